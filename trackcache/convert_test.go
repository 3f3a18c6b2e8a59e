package trackcache

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"tutti"
	"tutti/audio/encode"
	"tutti/clock"
	"tutti/store/sqlite"
)

// music makes 20 s of sound of a few chunks with ffmpeg, in the format of the name.
func music(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	args = append([]string{"-v", "error", "-f", "lavfi", "-i", "anoisesrc=colour=white:seed=3:duration=20:sample_rate=48000", "-ac", "2"}, args...)
	if out, err := exec.Command("ffmpeg", append(args, path)...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) < tutti.ChunkSize+tutti.ChunkSize/2 {
		t.Fatalf("%d bytes are no more than a chunk", len(data))
	}
	return data
}

// TestConvertingWhatIsInChunks: an original of a bucket is converted from its chunks, each of which is fetched once,
// whether it was played before or is converted again; and while the storage is away, if they are all there.
func TestConvertingWhatIsInChunks(t *testing.T) {
	for name, data := range map[string][]byte{
		"a.flac": music(t, "a.flac", "-sample_fmt", "s16"),
		"a.m4a":  music(t, "a.m4a", "-c:a", "alac"), // its index is at its end
	} {
		o := newObjects()
		original := o.put(name, data)
		chunked := newChunks(t, ChunksConfig{Origin: o})
		enc, err := encode.New(encode.Config{
			Files: files(t, t.TempDir()), Caches: map[string]tutti.TrackCache{"1": chunked}, Dir: t.TempDir(),
			Clock: clock.System, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		c := newCache(t, Config{Origin: chunked, Local: true, Transcoder: enc})
		as := func(p tutti.Profile) tutti.Ref {
			r := original
			r.Profile = p
			return r
		}
		if got := fetch(t, c, as(tutti.Profile{Format: "mp3", BitRate: 128})); len(got) < 20*128_000/8 {
			t.Errorf("%s: %d bytes of mp3", name, len(got))
		}
		settle(chunked)
		reads := func() (n int) {
			o.with(func() {
				for _, of := range o.reads {
					n += of
				}
			})
			return n
		}
		if n, want := reads(), int(chunks(int64(len(data)))); n != want {
			t.Errorf("%s: the storage was read %d times for %d chunks: %v", name, n, want, o.reads)
		}
		o.with(func() { o.fault = func(tutti.Ref, int64, int64) error { return errAway } })
		losing(t, chunked, original)
		opus := as(tutti.Profile{Format: "opus", BitRate: 96})
		if ready, err := c.Prepare(t.Context(), opus); err != nil {
			t.Errorf("%s: %+v, %v", name, ready, err)
		}
		if got := fetch(t, c, opus); !bytes.HasPrefix(got, []byte("OggS")) {
			t.Errorf("%s: %d bytes that are no Ogg", name, len(got))
		}
		if got := fetch(t, c, original); !bytes.Equal(got, data) {
			t.Errorf("%s: the original is another", name)
		}
		// What is not there is refused at once, before a process is started for it.
		started := enc.Stats().Started
		gone := original
		gone.Version = "another"
		gone.Profile = opus.Profile
		if _, err := c.Prepare(t.Context(), gone); !tutti.IsKind(err, tutti.KindUnavailable) || tutti.Message(err) != tutti.Message(awayError()) {
			t.Errorf("%s: %v", name, err)
		}
		if n := enc.Stats().Started; n != started {
			t.Errorf("%s: %d processes for nothing", name, n-started)
		}
	}
}

// stopped is a transcoder whose process is killed with its member after it made a part of an object.
type stopped struct {
	tutti.Source
	after int64
}

func (s stopped) Open(ctx context.Context, r tutti.Ref) (tutti.Object, error) {
	o, err := s.Source.Open(ctx, r)
	return stoppedObject{o, s.after}, err
}

type stoppedObject struct {
	tutti.Object
	after int64
}

func (o stoppedObject) CopyRange(ctx context.Context, w io.Writer, off, _ int64) (int64, error) {
	n, err := o.Object.CopyRange(ctx, w, off, o.after)
	return n, errors.Join(err, errAway)
}

// TestWhatIsMadeGoesOnElsewhere has one member make part of each format with ffmpeg, be killed, and another go on: what
// it makes must be the same to the byte.
func TestWhatIsMadeGoesOnElsewhere(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.flac"), music(t, "a.flac", "-sample_fmt", "s16", "-metadata", "title=A title"))
	formats := []string{"opus", "mp3", "aac", "flac", "ts", "wav"}
	if testing.Short() {
		formats = formats[:1]
	}
	for _, format := range formats {
		s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), sqlite.Options{Clock: clock.System, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		f := newMakers(t, s, clock.System, "c1", "c2")
		encoders := map[string]*encode.Encoder{}
		for id, c := range f.caches {
			o := files(t, dir)
			encoders[id] = transcoder(t, o)
			c.transcoder = encoders[id]
		}
		r := ref("a.flac")
		r.Profile.Format = format
		const before = 100_000
		f.caches["c1"].transcoder = stopped{encoders["c1"], before}
		o, err := f.caches["c2"].Open(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		got := all(t, o)
		if err := o.Close(); err != nil {
			t.Error(err)
		}
		if a, b := encoders["c1"].Stats(), encoders["c2"].Stats(); a.Started != 1 || b.Started != 1 {
			t.Errorf("%s: made by %+v and %+v", format, a, b)
		}
		if want := fetch(t, newCache(t, Config{Origin: files(t, dir), Local: true, Transcoder: transcoder(t, files(t, dir))}), r); !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, not the %d that one member makes", format, len(got), len(want))
		}
		if len(got) <= before {
			t.Errorf("%s: %d bytes; nobody had to go on", format, len(got))
		}
	}
}
