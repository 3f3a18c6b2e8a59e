package encode

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tutti"
)

// shelf is a cache of originals, of which no file can be had: only their bytes.
type shelf struct {
	dir      string
	fail     error         // of Prepare, and of reading beyond half of an original
	hang     chan struct{} // if set, reading stops at half until the asker has gone; told when it begins
	prepared int
}

func (s *shelf) Open(_ context.Context, r tutti.Ref) (tutti.Object, error) {
	if !r.Profile.Original() || r.Start != 0 || r.End != 0 || r.Version == "" {
		return nil, tutti.Errorf(tutti.KindInvalid, "shelf", "not an original: %+v", r)
	}
	data, err := os.ReadFile(filepath.Join(s.dir, r.Path))
	if err != nil {
		return nil, tutti.Wrap(tutti.KindNotFound, "shelf", err)
	}
	return &book{bytes.NewReader(data), s}, nil
}

func (s *shelf) Prepare(context.Context, tutti.Ref) (tutti.Readiness, error) {
	s.prepared++
	return tutti.Readiness{}, s.fail
}

type book struct {
	*bytes.Reader
	s *shelf
}

func (b *book) ModTime() time.Time  { return time.Unix(1, 0) }
func (b *book) ContentType() string { return "audio/any" }
func (b *book) Close() error        { return nil }

func (b *book) CopyRange(ctx context.Context, w io.Writer, off, n int64) (int64, error) {
	end := b.Size()
	if n >= 0 {
		end = min(end, off+n)
	}
	stop := end
	if b.s.fail != nil || b.s.hang != nil {
		stop = min(end, b.Size()/2)
	}
	m, err := io.Copy(w, io.NewSectionReader(b.Reader, off, max(0, stop-off)))
	if err != nil || stop == end {
		return m, err
	}
	if b.s.hang != nil {
		close(b.s.hang)
		<-ctx.Done()
		return m, tutti.Wrap(tutti.KindUnavailable, "shelf", ctx.Err())
	}
	return m, b.s.fail
}

func cached(t *testing.T, s *shelf) (e *Encoder, dir string) {
	t.Helper()
	_, files := music(t)
	s.dir, dir = library, t.TempDir()
	return newEncoder(t, files, func(c *Config) { c.Caches, c.Dir = map[string]tutti.TrackCache{"2": s}, dir }), dir
}

// TestFromACache converts what lies in no file, and gets what it gets from files.
func TestFromACache(t *testing.T) {
	t.Parallel()
	e, dir := cached(t, &shelf{})
	sources := []string{"a.flac", "a.wav", "a.ogg", "a.opus", "a.mp3", "a.m4a", "fast.m4a", "a.caf", "a.aac"}
	if testing.Short() {
		sources = []string{"a.flac", "a.mp3", "a.m4a"}
	}
	for _, source := range sources {
		for _, r := range []tutti.Ref{
			{},
			{End: cdFrames(200)},
			{Start: cdFrames(301), End: cdFrames(601)},
			{Start: cdFrames(301), Profile: tutti.Profile{Offset: 1234 * time.Millisecond}},
		} {
			r.Path, r.Version, r.Profile.Format = source, "v", "wav"
			r.Library = "1"
			want := encoded(t, e, r)
			r.Library = "2"
			got := encoded(t, e, r)
			if source == "a.mp3" && r.Start == 0 && r.End == 0 {
				// Through a pipe ffmpeg does not know which of the last frame's samples are padding.
				if extra := (len(got) - len(want)) / 4; extra < 0 || extra > 1152 {
					t.Errorf("%d samples more", extra)
				}
				got = got[:len(want)]
			}
			if len(got) < 44 || !bytes.Equal(got, want) {
				t.Errorf("%s from %s to %s: %d bytes, and %d from a file, are not the same", source, r.Start, r.End, len(got), len(want))
			}
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFromACacheThatFails(t *testing.T) {
	why := tutti.Errorf(tutti.KindUnavailable, "shelf", "the storage of the music is away")
	for _, source := range []string{"a.flac", "a.m4a"} {
		s := &shelf{fail: why}
		e, _ := cached(t, s)
		r := tutti.Ref{Library: "2", Path: source, Version: "v", Profile: tutti.Profile{Format: "opus"}}
		o, err := e.Open(t.Context(), r)
		if err == nil {
			// What came of it sounds like a track that ends early, unless the reader is told.
			_, err = o.CopyRange(t.Context(), io.Discard, 0, -1)
			if o.Size() >= 0 {
				t.Errorf("%s: taken for %d bytes", source, o.Size())
			}
			if cerr := o.Close(); cerr != nil {
				t.Error(cerr)
			}
		}
		if !tutti.IsKind(err, tutti.KindUnavailable) || tutti.Message(err) != "the storage of the music is away" {
			t.Errorf("%s: %v", source, err)
		}
		if st := e.Stats(); st.Failed != 1 || st.Active != 0 {
			t.Errorf("%s: %+v", source, st)
		}
		if err := e.Check(t.Context(), r); tutti.Message(err) != tutti.Message(why) || s.prepared != 1 {
			t.Errorf("%s: Check: %v, prepared %d times", source, err, s.prepared)
		}
	}
}

func TestFromACacheThatHangs(t *testing.T) {
	s := &shelf{hang: make(chan struct{})}
	e, _ := cached(t, s)
	o, err := e.Open(t.Context(), tutti.Ref{Library: "2", Path: "a.flac", Version: "v", Profile: tutti.Profile{Format: "opus"}})
	if err != nil {
		t.Fatal(err)
	}
	<-s.hang
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if st := e.Stats(); st.Stopped != 1 || st.Active != 0 {
		t.Errorf("%+v", st)
	}
	// A copy that is waited for ends with whoever waits.
	s.hang = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-s.hang; cancel() }()
	if _, err := e.Open(ctx, tutti.Ref{Library: "2", Path: "a.m4a", Version: "v", Profile: tutti.Profile{Format: "opus"}}); !tutti.IsKind(err, tutti.KindUnavailable) {
		t.Error(err)
	}
	if st := e.Stats(); st.Active != 0 {
		t.Errorf("%+v", st)
	}
}

func TestSniffMP4(t *testing.T) {
	box := func(name string, n int) string {
		return string([]byte{0, 0, byte(n >> 8), byte(n)}) + name + string(make([]byte, n-8))
	}
	long := "\x00\x00\x00\x01free\x00\x00\x00\x00\x00\x00\x00\x18" + string(make([]byte, 8))
	for _, test := range []struct {
		what, data string
		want       kind
	}{
		{"index first", box("ftyp", 20) + box("free", 300) + box("moov", 40) + box("mdat", 40), streams},
		{"after a box of 64-bit length", box("ftyp", 20) + long + box("moov", 40), streams},
		{"sound first", box("ftyp", 20) + box("mdat", 40) + box("moov", 40), seeks},
		{"a box of no length", box("ftyp", 20) + "\x00\x00\x00\x00free" + string(make([]byte, 20)), seeks},
		{"a box beyond the end", box("ftyp", 20) + "\xff\xff\xff\xfffree" + string(make([]byte, 20)), seeks},
		{"a box of 2^64-1 bytes", box("ftyp", 20) + "\x00\x00\x00\x01free\xff\xff\xff\xff\xff\xff\xff\xff", seeks},
		{"too many boxes", box("ftyp", 20) + string(bytes.Repeat([]byte(box("free", 8)), 100)) + box("moov", 40), seeks},
		{"nothing else", box("ftyp", 20), seeks},
	} {
		got, err := sniffMP4(bytes.NewReader([]byte(test.data)), int64(len(test.data)))
		if err != nil || got != test.want {
			t.Errorf("%s: %v, %v", test.what, got, err)
		}
	}
}

func FuzzSniffMP4(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x08ftyp\x00\x00\x00\x01moov\x00\x00\x00\x00\x00\x00\x00\x10"))
	f.Add([]byte("\x00\x00\x00\x10ftypmp42mp42\x7f\xff\xff\xffmdatxxxxxxxxxxxxxxxx"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := sniffMP4(bytes.NewReader(b), int64(len(b))); err != nil {
			t.Error(err)
		}
	})
}
