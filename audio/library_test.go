package audio_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tutti"
	"tutti/audio"
	"tutti/audio/audiotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

func files(t testing.TB) (dir string, all []audiotest.File) {
	t.Helper()
	return audio.Files(t)
}

// counted counts what is read of a file.
type counted struct {
	io.ReaderAt
	reads int
	bytes int64
}

func (c *counted) ReadAt(b []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(b, off)
	c.reads++
	c.bytes += int64(n)
	return n, err
}

func open(t testing.TB, path string) (*os.File, int64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return f, st.Size()
}

func read(t testing.TB, path string) audio.Info {
	t.Helper()
	f, size := open(t, path)
	info, err := audio.Read(t.Context(), f, size, filepath.Base(path))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return info
}

// frame is how far two readers may differ about a length: a frame of the codec, at its rate.
func frame(f audiotest.File) time.Duration {
	samples := map[string]int{"mp3": 1152, "mp2": 1152, "aac": 2048, "vorbis": 2048, "opus": 960, "speex": 640, "adpcm": 2041, "wavpack": 1}[f.Codec]
	return time.Duration(samples+1) * time.Second / time.Duration(f.SampleRate)
}

func TestProperties(t *testing.T) {
	dir, all := files(t)
	for _, f := range all {
		if !f.Native {
			continue
		}
		t.Run(f.Path, func(t *testing.T) {
			info := read(t, filepath.Join(dir, f.Path))
			got := audiotest.File{
				Path: f.Path, Format: info.Format, Codec: info.Codec, SampleRate: info.SampleRate, Channels: info.Channels, BitDepth: info.BitDepth,
				Tags: f.Tags, Native: true,
			}
			if diff := cmp.Diff(f, got); diff != "" {
				t.Error(diff)
			}
			if d := info.Duration - audiotest.Seconds*time.Second; d.Abs() > 2*frame(f) {
				t.Errorf("duration %v, want %ds", info.Duration, audiotest.Seconds)
			}
			// Encoder delay and padding are known everywhere but here, so the number of samples must be exact.
			if inexact := []string{"mp3/v1.mp3", "mp3/layer2.mp2", "ogg/speex.spx", "m4a/fragments.m4a", "wav/ima.wav"}; !slices.Contains(inexact, f.Path) {
				if want := int64(audiotest.Seconds * f.SampleRate); info.Samples != want {
					t.Errorf("%d samples, want %d", info.Samples, want)
				}
			}
			if info.Lossless != (f.BitDepth != 0) {
				t.Errorf("lossless %v", info.Lossless)
			}
			if info.AudioLength <= 0 || info.AudioOffset < 0 {
				t.Errorf("audio at %d, %d bytes", info.AudioOffset, info.AudioLength)
			}
			if info.BitRate <= 0 {
				t.Errorf("bit rate %d", info.BitRate)
			}
		})
	}
}

// TestFFprobeAgrees compares every file's properties with ffprobe's, and the tags of those that Probe alone can read
// with what was written.
func TestFFprobeAgrees(t *testing.T) {
	dir, all := files(t)
	ffprobe, err := exec.LookPath("ffprobe")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		t.Run(f.Path, func(t *testing.T) {
			path := filepath.Join(dir, f.Path)
			want, err := audio.Probe(t.Context(), ffprobe, path)
			if err != nil {
				t.Fatal(err)
			}
			if !f.Native {
				if want.SampleRate != f.SampleRate || want.Channels != f.Channels || want.Codec != f.Codec || want.BitDepth != f.BitDepth {
					t.Errorf("Probe says %d Hz, %d channels, %s, %d bits; want %+v", want.SampleRate, want.Channels, want.Codec, want.BitDepth, f)
				}
				if d := want.Duration - audiotest.Seconds*time.Second; d.Abs() > 150*time.Millisecond { // ADTS is estimated
					t.Errorf("duration %v", want.Duration)
				}
				for key, values := range audiotest.Fields(f.Tags) {
					if diff := cmp.Diff(values, want.Tags.All(key)); diff != "" {
						t.Errorf("%s: %s", key, diff)
					}
				}
				file, size := open(t, path)
				if _, err := audio.Read(t.Context(), file, size, path); !errors.Is(err, audio.ErrFormat) || tutti.KindOf(err) != tutti.KindInvalid {
					t.Errorf("Read says %v", err)
				}
				return
			}
			got := read(t, path)
			if got.Codec != want.Codec && f.Codec != "dsd" {
				t.Errorf("codec %s, ffprobe says %s", got.Codec, want.Codec)
			}
			rate := got.SampleRate
			if f.Codec == "dsd" { // ffmpeg counts bytes of eight samples
				rate /= 8
			}
			if rate != want.SampleRate || got.Channels != want.Channels {
				t.Errorf("%d Hz, %d channels; ffprobe says %d, %d", got.SampleRate, got.Channels, want.SampleRate, want.Channels)
			}
			estimated := f.Path == "mp3/ape.mp3" || f.Format == "dsf" // by ffprobe, which counts the picture in the tag as sound
			if d := got.Duration - want.Duration; d.Abs() > 2*frame(f) && !estimated {
				t.Errorf("duration %v, ffprobe says %v", got.Duration, want.Duration)
			}
			for _, key := range []string{"TITLE", "ALBUM", "ARTIST"} {
				if w := want.Tags.Get(key); w != "" && w != got.Tags.Get(key) {
					t.Errorf("%s is %q, ffprobe says %q", key, got.Tags.Get(key), w)
				}
			}
		})
	}
}

// TestConstantBitRates checks the bit rates of files of which the encoder was told one.
func TestConstantBitRates(t *testing.T) {
	dir, _ := files(t)
	for name, want := range map[string]int{
		"mp3/v24-utf16.mp3": 128, "mp3/v24-utf16be.mp3": 64, "mp3/v23-utf16.mp3": 192, "mp3/v1.mp3": 128, "mp3/layer2.mp2": 192, "mp3/ffmpeg.mp3": 32,
		"wav/16.wav": 1411, "wav/24.wav": 4608, "wav/float.wav": 1536, "aiff/16.aiff": 1411, "dsf/64.dsf": 5645,
	} {
		if got := read(t, filepath.Join(dir, name)).BitRate; got < want-1 || got > want+want/50 { // a frame more or less
			t.Errorf("%s: %d kbit/s, want %d", name, got, want)
		}
	}
}

// number are fields that formats write in different ways; they are compared by their accessors.
var number = map[string]func(audio.Tags) int{
	"TRACKNUMBER":   func(t audio.Tags) int { n, _ := t.Track(); return n },
	"TRACKTOTAL":    func(t audio.Tags) int { _, n := t.Track(); return n },
	"DISCNUMBER":    func(t audio.Tags) int { n, _ := t.Disc(); return n },
	"DISCTOTAL":     func(t audio.Tags) int { _, n := t.Disc(); return n },
	"MOVEMENT":      func(t audio.Tags) int { _, n, _ := t.Movement(); return n },
	"MOVEMENTTOTAL": func(t audio.Tags) int { _, _, n := t.Movement(); return n },
}

func TestEveryTagOfEveryFormat(t *testing.T) {
	dir, all := files(t)
	for _, f := range all {
		if !f.Native {
			continue
		}
		t.Run(f.Path, func(t *testing.T) {
			got := read(t, filepath.Join(dir, f.Path)).Tags
			for key, want := range audiotest.Fields(f.Tags) {
				switch {
				case number[key] != nil:
					if n := number[key](got); strconv.Itoa(n) != want[0] {
						t.Errorf("%s = %d, want %s", key, n, want[0])
					}
					continue
				case f.Path == "mp3/v23-utf16.mp3" && slices.Contains([]string{"MOOD", "RELEASEDATE", "DISCSUBTITLE", "TITLESORT", "ARTISTSORT", "ALBUMSORT"}, key):
					continue // v2.3 has no frame for them, and mutagen leaves them out
				case f.Path == "mp3/v23-utf16.mp3" && key == "ORIGINALDATE":
					key, want = "ORIGINALYEAR", []string{want[0][:4]}
				case f.Codec == "opus" && strings.HasPrefix(key, "REPLAYGAIN_"):
					continue // R128_ tags instead
				}
				if diff := cmp.Diff(want, got.All(key), cmpopts.SortSlices(strings.Compare)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", key, diff)
				}
			}
		})
	}
}

// TestMutagenAgrees checks that each value that mutagen reads from a file is one that we read, and that the lengths
// are the same.
func TestMutagenAgrees(t *testing.T) {
	dir, all := files(t)
	var paths []string
	for _, f := range all {
		if f.Native && f.Path != "m4a/fragments.m4a" && f.Path != "wav/rf64.wav" && f.Path != "wav/ima.wav" { // mutagen understands none of them
			paths = append(paths, filepath.Join(dir, f.Path))
		}
	}
	dumps := audiotest.Dump(t, paths...)
	for _, f := range all {
		dump := dumps[filepath.Join(dir, f.Path)]
		if dump == nil {
			continue
		}
		t.Run(f.Path, func(t *testing.T) {
			info := read(t, filepath.Join(dir, f.Path))
			if s, err := strconv.ParseFloat(dump["=length"][0], 64); err != nil || math.Abs(s-info.Duration.Seconds()) > 2*frame(f).Seconds() {
				t.Errorf("duration %v, mutagen says %v (%v)", info.Duration, s, err)
			}
			for key, values := range dump {
				if key == "=length" || strings.HasPrefix(strings.ToUpper(key), "METADATA_BLOCK_PICTURE") {
					continue
				}
				for _, v := range values {
					if !holds(info.Tags, v) {
						t.Errorf("mutagen reads %s = %q, which we have not: %q", key, v, info.Tags)
					}
				}
			}
		})
	}
}

// holds reports whether one of the tags has the value, or the value as a format's own notation of it.
func holds(tags audio.Tags, v string) bool {
	switch v {
	case "True":
		v = "1"
	case "(17)", "17":
		v = "Rock"
	case "violin", "grand piano", "producer", "engineer", "arranger", "mix": // functions, which become keys or part of a performer
		return true
	}
	if pair, ok := strings.CutPrefix(v, "("); ok { // mutagen's "(3, 12)" for a number of a total
		n, total, _ := strings.Cut(strings.TrimSuffix(pair, ")"), ", ")
		if _, err := strconv.Atoi(n); err == nil {
			return holds(tags, n) && (total == "0" || holds(tags, total))
		}
	}
	return slices.ContainsFunc(tags, func(t audio.Tag) bool {
		return t.Value == strings.TrimSpace(v) || strings.HasPrefix(t.Value, v+" (") || strings.HasPrefix(t.Value, v+"-") || t.Value+"/4" == v || t.Value == strings.ReplaceAll(v, "\r\n", "\n")
	})
}

func TestAccessors(t *testing.T) {
	dir, all := files(t)
	for _, f := range all {
		if f.Tags != audiotest.Rich || !f.Native {
			continue
		}
		t.Run(f.Path, func(t *testing.T) {
			info := read(t, filepath.Join(dir, f.Path))
			g := info.Gain()
			if g.Track == nil || math.Abs(*g.Track+6.54) > 0.005 || g.Album == nil || math.Abs(*g.Album+7.10) > 0.005 {
				t.Errorf("gain %v %v", g.Track, g.Album)
			}
			if f.Codec != "opus" && (g.TrackPeak == nil || *g.TrackPeak != 0.987654) {
				t.Errorf("peak %v", g.TrackPeak)
			}
			ls := info.Lyrics()
			if len(ls) != 1 || !ls[0].Synced || len(ls[0].Lines) != 2 || ls[0].Lines[1].Start != 1500*time.Millisecond || ls[0].Lines[1].Text != "Zweite Zeile" {
				t.Errorf("lyrics %+v", ls)
			}
			tags := info.Tags
			if diff := cmp.Diff([]string{"Ann Ävik", "Bo Öst"}, tags.Artists()); diff != "" {
				t.Error(diff)
			}
			if got := tags.DisplayArtist(); got != "Ann Ävik feat. Bo Öst" {
				t.Errorf("display artist %q", got)
			}
			if d := tags.Date(); d != (tutti.Date{Year: 2019, Month: 5, Day: 17}) {
				t.Errorf("date %v", d)
			}
			if d := tags.OriginalDate(); d.Year != 1977 {
				t.Errorf("original date %v", d)
			}
			want := []audio.Credit{
				{Role: "composer", Name: "Cy Ek"},
				{Role: "composer", Name: "Di Ål"},
				{Role: "lyricist", Name: "Eva Ö"},
				{Role: "conductor", Name: "Fi Å"},
				{Role: "performer", SubRole: "violin", Name: "Hal Ø"},
				{Role: "performer", SubRole: "grand piano", Name: "Ida Ü"},
				{Role: "arranger", Name: "Lo A"},
				{Role: "producer", Name: "Jo P"},
				{Role: "engineer", Name: "Kim E"},
				{Role: "mixer", Name: "Mo M"},
				{Role: "remixer", Name: "Gus Y"},
			}
			if diff := cmp.Diff(want, tags.Contributors()); diff != "" {
				t.Error(diff)
			}
			mb := tags.MusicBrainz()
			if mb.Recording == "" || mb.ReleaseTrack == "" || mb.Release == "" || mb.ReleaseGroup == "" || len(mb.Artists) != 2 || len(mb.AlbumArtists) != 1 {
				t.Errorf("MusicBrainz %+v", mb)
			}
			if !tags.Compilation() || tags.BPM() != 97 || tags.Explicit() != "explicit" || tags.Edition() != "Deluxe" || !slices.Equal(tags.ReleaseTypes(), []string{"album", "live"}) {
				t.Errorf("compilation %v, BPM %d, %q, %q, %q", tags.Compilation(), tags.BPM(), tags.Explicit(), tags.Edition(), tags.ReleaseTypes())
			}
		})
	}
}

func TestPictures(t *testing.T) {
	dir, all := files(t)
	var front, back []byte
	for _, f := range all {
		if !f.Native {
			continue
		}
		t.Run(f.Path, func(t *testing.T) {
			file, size := open(t, filepath.Join(dir, f.Path))
			data, mime, err := audio.Picture(t.Context(), file, size, f.Path, audio.PictureFront)
			if f.Tags != audiotest.Rich {
				if tutti.KindOf(err) != tutti.KindNotFound {
					t.Fatalf("a picture in a file without one: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, kind, err := image.DecodeConfig(bytes.NewReader(data)); err != nil || kind != "jpeg" || mime != "image/jpeg" {
				t.Errorf("%s, %s, %v", kind, mime, err)
			}
			if front == nil {
				front = data
			}
			if !bytes.Equal(front, data) {
				t.Error("the front cover differs from other files'")
			}
			if f.Format != "mp4" { // there a picture has no kind
				data, mime, err = audio.Picture(t.Context(), file, size, f.Path, audio.PictureBack)
				if back == nil {
					back = data
				}
				if err != nil || mime != "image/png" || !bytes.Equal(data, back) {
					t.Errorf("back: %s, %v, %d bytes", mime, err, len(data))
				}
			}
			info := read(t, filepath.Join(dir, f.Path))
			if len(info.Pictures) != 2 {
				t.Errorf("%d pictures: %+v", len(info.Pictures), info.Pictures)
			}
			for _, p := range info.Pictures {
				if p.Kind == audio.PictureBack && f.Format != "ape" && f.Format != "wavpack" && f.Path != "mp3/ape.mp3" && p.Description != "back – ü" {
					t.Errorf("description %q", p.Description)
				}
			}
		})
	}
}

// TestReadsLittle holds the promise that a scan never reads whole files, pictures included.
func TestReadsLittle(t *testing.T) {
	dir, all := files(t)
	for _, f := range all {
		if !f.Native {
			continue
		}
		file, size := open(t, filepath.Join(dir, f.Path))
		c := &counted{ReaderAt: file}
		info, err := audio.Read(t.Context(), c, size, f.Path)
		if err != nil {
			t.Fatal(err)
		}
		reads, n := c.reads, c.bytes
		if _, err := audio.Fingerprint(t.Context(), &info, c, size); err != nil {
			t.Fatal(err)
		}
		t.Logf("%-22s %7d bytes: Read %d reads, %6d bytes; Fingerprint %d reads", f.Path, size, reads, n, c.reads-reads)
		if again := c.reads - reads; reads > 4 || again > 5 {
			t.Errorf("%s: %d and %d reads", f.Path, reads, again)
		}
	}
}

func fingerprint(t testing.TB, path string) [16]byte {
	t.Helper()
	f, size := open(t, path)
	info, err := audio.Read(t.Context(), f, size, path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	fp, err := audio.Fingerprint(t.Context(), &info, f, size)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return fp
}

// TestFingerprintSurvivesTagging tags every file anew with mutagen, and every one that ffmpeg can copy with ffmpeg,
// both with tags of quite another length.
func TestFingerprintSurvivesTagging(t *testing.T) {
	dir, all := files(t)
	tmp := t.TempDir()
	tagged := func(f audiotest.File) string {
		return filepath.Join(tmp, "mutagen-"+strings.ReplaceAll(f.Path, "/", "-"))
	}
	copied := func(f audiotest.File) string {
		return filepath.Join(tmp, "ffmpeg-"+strings.ReplaceAll(f.Path, "/", "-"))
	}
	var retag, inputs, outputs []string
	for _, f := range all {
		if !f.Native || f.Path == "m4a/fragments.m4a" || f.Path == "wav/rf64.wav" { // neither program writes these two again as they are
			continue
		}
		path := filepath.Join(dir, f.Path)
		if err := os.WriteFile(tagged(f), content(t, path), 0o644); err != nil {
			t.Fatal(err)
		}
		retag = append(retag, tagged(f))
		if f.Format != "ape" && f.Format != "dsf" { // which ffmpeg does not write
			title := "title=" + strings.Repeat("Another ", 300)
			outputs = append(outputs, "-map", strconv.Itoa(len(inputs)/2)+":a", "-c", "copy", "-strict", "-2", "-metadata", title, "-metadata:s:a", title, copied(f))
			inputs = append(inputs, "-i", path)
		}
	}
	audiotest.Retag(t, retag...)
	ffmpeg(t, append(inputs, outputs...)...)

	seen := map[[16]byte]string{}
	for _, f := range all {
		if !f.Native {
			continue
		}
		path := filepath.Join(dir, f.Path)
		want := fingerprint(t, path)
		if other, ok := seen[want]; ok {
			t.Errorf("%s has the fingerprint of %s", f.Path, other)
		}
		seen[want] = f.Path
		for _, again := range []string{tagged(f), copied(f)} {
			if _, err := os.Stat(again); errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if title := read(t, again).Tags.Title(); f.Tags != audiotest.Bare && title == audiotest.Fields(f.Tags)["TITLE"][0] {
				t.Errorf("%s was not tagged anew: %q", again, title)
			}
			if got := fingerprint(t, again); got != want {
				a, b := read(t, path), read(t, again)
				t.Errorf("%s changed the fingerprint: sound at %d, %d bytes; was at %d, %d", again, b.AudioOffset, b.AudioLength, a.AudioOffset, a.AudioLength)
			}
		}
	}
}

func TestReadReportsWhatItCannotRead(t *testing.T) {
	for name, content := range map[string]string{"empty.mp3": "", "text.mp3": strings.Repeat("no music here ", 9999), "cut.flac": "fLaC\x00\x00\x00\x22", "cut.ogg": "OggS\x00\x02", "cut.m4a": "\x00\x00\x00\x20ftypM4A \x00", "odd.xyz": "zzzzzzzz"} {
		_, err := audio.Read(t.Context(), strings.NewReader(content), int64(len(content)), name)
		if tutti.KindOf(err) != tutti.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := errors.New("the disk is broken")
	if _, err := audio.Read(t.Context(), failing{broken}, 1<<20, "a.mp3"); !errors.Is(err, broken) || tutti.KindOf(err) != tutti.KindUnavailable {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := audio.Read(ctx, strings.NewReader("fLaC"), 4, "a.flac"); !errors.Is(err, context.Canceled) || tutti.KindOf(err) != tutti.KindUnavailable {
		t.Errorf("%v", err)
	}
}

type failing struct{ err error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

// BenchmarkRead is what a scan does with a file. cpu-µs/op is processor time, which other programs on the machine do
// not change; the target is 500.
func BenchmarkRead(b *testing.B) {
	dir, all := files(b)
	for _, f := range all {
		if !f.Native {
			continue
		}
		b.Run(strings.ReplaceAll(f.Path, "/", "-"), func(b *testing.B) {
			path := filepath.Join(dir, f.Path)
			b.ReportAllocs()
			start := processorTime(b)
			for b.Loop() {
				file, err := os.Open(path)
				if err != nil {
					b.Fatal(err)
				}
				st, err := file.Stat()
				if err != nil {
					b.Fatal(err)
				}
				info, err := audio.Read(b.Context(), file, st.Size(), path)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := audio.Fingerprint(b.Context(), &info, file, st.Size()); err != nil {
					b.Fatal(err)
				}
				if err := file.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((processorTime(b)-start).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}

// processorTime is how long the process has run on all processors, kernel included.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
