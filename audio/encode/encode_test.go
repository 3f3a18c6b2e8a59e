package encode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mewkiz/flac"
	"go.uber.org/goleak"

	"tutti"
	"tutti/clock"
	"tutti/origin/folder"
)

// library is where music puts its files; they are made once for all tests, which takes seconds.
var (
	library string
	once    sync.Once
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "encode-")
	if err != nil {
		panic(err)
	}
	library = dir
	code := m.Run()
	if err := errors.Join(os.RemoveAll(dir), goleak.Find()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// music is a folder of sources, each 12 s of coloured noise under a tone: no two places in it are alike, so that a
// misplaced sample shows.
func music(t *testing.T) (dir string, files Files) {
	t.Helper()
	o, err := folder.New(folder.Config{Libraries: []folder.Library{{ID: "1", Name: "Music", Path: library}}})
	if err != nil {
		t.Fatal(err)
	}
	once.Do(func() { makeMusic(t, library) })
	return library, o
}

func makeMusic(t *testing.T, dir string) {
	t.Helper()
	const sound = "anoisesrc=colour=pink:seed=7:amplitude=0.4:duration=12:sample_rate=44100[n];sine=440:duration=12:sample_rate=44100,volume=0.4[s];" +
		"[n][s]join=inputs=2:channel_layout=stereo"
	tags := []string{"-metadata", "title=A title", "-metadata", "artist=An artist", "-metadata", "album=  Duration: 00:00:01.00, start"}
	make := func(name string, args ...string) {
		run(t, "ffmpeg", append(append(append([]string{"-v", "error", "-f", "lavfi", "-i", sound}, tags...), args...), filepath.Join(dir, name))...)
	}
	make("a.flac", "-sample_fmt", "s16")
	make("hires.flac", "-ar", "96000", "-sample_fmt", "s32", "-bits_per_raw_sample", "24")
	make("a.ogg", "-c:a", "libvorbis")
	make("a.opus", "-c:a", "libopus")
	make("a.mp3", "-c:a", "libmp3lame", "-q:a", "2")
	make("a.m4a", "-c:a", "aac") // its index at the end
	make("fast.m4a", "-c:a", "alac", "-movflags", "+faststart")
	make("a.caf", "-c:a", "alac")
	make("a.aac", "-c:a", "aac")
	make("a.wav", "-c:a", "pcm_s24le")
	for _, name := range []string{"-i.flac", "file:a b\n'\"%d.flac", "concat:a|b.flac"} {
		if err := os.Link(filepath.Join(dir, "a.flac"), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// run runs a program, fails the test if it fails, and returns its output.
func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, stderr.String())
	}
	return out.Bytes()
}

func newEncoder(t *testing.T, files Files, change ...func(*Config)) *Encoder {
	t.Helper()
	c := Config{Files: files, Clock: clock.System, Logger: slog.New(slog.DiscardHandler), Nice: 5}
	for _, f := range change {
		f(&c)
	}
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// encoded returns all of what the encoder makes of r.
func encoded(t *testing.T, e *Encoder, r tutti.Ref) []byte {
	t.Helper()
	o, err := e.Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	n, err := o.CopyRange(t.Context(), &out, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if n != int64(out.Len()) || o.Size() != n {
		t.Errorf("CopyRange says %d and Size %d for %d bytes", n, o.Size(), out.Len())
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// pcm decodes a file to 32-bit samples, interleaved.
func pcm(t *testing.T, path string, args ...string) []byte {
	t.Helper()
	return run(t, "ffmpeg", append(append([]string{"-v", "error", "-i", "file:" + path}, args...), "-f", "s32le", "-")...)
}

func pcmOf(t *testing.T, data []byte, args ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return pcm(t, path, args...)
}

func probe(t *testing.T, data []byte) map[string]string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	out := run(t, "ffprobe", "-v", "error", "-select_streams", "a", "-show_entries",
		"stream=codec_name,sample_rate,channels,bits_per_raw_sample,bits_per_sample:stream_tags:format=format_name,nb_streams,bit_rate:format_tags", "-of", "default=nokey=0:noprint_wrappers=1", path)
	got := map[string]string{}
	for line := range strings.Lines(string(out)) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
		if _, ok := got[strings.ToLower(k)]; !ok || v != "N/A" {
			got[strings.ToLower(k)] = v
		}
	}
	return got
}

func TestFormats(t *testing.T) {
	t.Parallel()
	dir, files := music(t)
	e := newEncoder(t, files)
	want := len(pcm(t, filepath.Join(dir, "a.flac"), "-ac", "1")) / 4
	for _, test := range []struct {
		source  string
		profile tutti.Profile
		want    map[string]string
		rate    int // kbit/s, within a tenth; 0: any
		tags    bool
	}{
		{"a.flac", tutti.Profile{Format: "mp3"}, map[string]string{"codec_name": "mp3", "sample_rate": "44100", "channels": "2"}, 192, true},
		{"a.ogg", tutti.Profile{Format: "mp3", BitRate: 320}, map[string]string{"codec_name": "mp3"}, 320, true},
		{"hires.flac", tutti.Profile{Format: "mp3", BitRate: 64, Channels: 1}, map[string]string{"sample_rate": "48000", "channels": "1"}, 64, true},
		{"a.mp3", tutti.Profile{Format: "opus", BitRate: 96}, map[string]string{"codec_name": "opus", "sample_rate": "48000"}, 0, true},
		{"hires.flac", tutti.Profile{Format: "opus", Rate: 24000}, map[string]string{"codec_name": "opus", "sample_rate": "48000"}, 0, true},
		{"a.m4a", tutti.Profile{Format: "aac", BitRate: 128}, map[string]string{"codec_name": "aac", "format_name": "aac"}, 0, false},
		{"a.ogg", tutti.Profile{Format: "flac"}, map[string]string{"codec_name": "flac"}, 0, true},
		{"hires.flac", tutti.Profile{Format: "flac", Rate: 44100, BitDepth: 16}, map[string]string{"sample_rate": "44100", "bits_per_raw_sample": "16"}, 0, true},
		{"hires.flac", tutti.Profile{Format: "flac"}, map[string]string{"sample_rate": "96000", "bits_per_raw_sample": "24"}, 0, true},
		{"hires.flac", tutti.Profile{Format: "wav"}, map[string]string{"codec_name": "pcm_s24le", "bits_per_sample": "24"}, 0, true},
		{"a.flac", tutti.Profile{Format: "wav"}, map[string]string{"codec_name": "pcm_s16le"}, 0, true},
		{"a.mp3", tutti.Profile{Format: "wav"}, map[string]string{"codec_name": "pcm_s16le"}, 0, true},
		{"a.opus", tutti.Profile{Format: "ts"}, map[string]string{"codec_name": "aac", "format_name": "mpegts", "sample_rate": "48000"}, 0, false},
		{"-i.flac", tutti.Profile{Format: "opus"}, map[string]string{"codec_name": "opus"}, 0, true},
		{"file:a b\n'\"%d.flac", tutti.Profile{Format: "opus"}, map[string]string{"codec_name": "opus"}, 0, true},
		{"concat:a|b.flac", tutti.Profile{Format: "opus"}, map[string]string{"codec_name": "opus"}, 0, true},
	} {
		if testing.Short() && (test.source == "hires.flac" || test.source == "a.mp3" || strings.HasPrefix(test.source, "file:")) {
			continue // ffmpeg's work, not ours
		}
		t.Run(fmt.Sprintf("%q to %s", test.source, test.profile), func(t *testing.T) {
			data := encoded(t, e, tutti.Ref{Library: "1", Path: test.source, Profile: test.profile})
			got := probe(t, data)
			if test.want["format_name"] == "" {
				test.want["format_name"] = map[string]string{"opus": "ogg"}[test.profile.Format]
				if test.want["format_name"] == "" {
					test.want["format_name"] = test.profile.Format
				}
			}
			if test.tags {
				test.want["tag:title"], test.want["tag:artist"] = "A title", "An artist"
			}
			for k, v := range test.want {
				if got[k] != v {
					t.Errorf("%s is %q, not %q; all: %v", k, got[k], v, got)
				}
			}
			if test.rate != 0 {
				if kbit := float64(len(data)) * 8 / 12 / 1000; math.Abs(kbit/float64(test.rate)-1) > 0.1 {
					t.Errorf("%.0f kbit/s, not %d", kbit, test.rate)
				}
			}
			// All the sound is there, give or take what codecs put before and after it.
			samples := len(pcmOf(t, data, "-ar", "44100", "-ac", "1")) / 4
			slack := 3000
			if test.profile.Format == "flac" || test.profile.Format == "wav" {
				slack = 2500 // the source's own delay, where it is lossy
			}
			if d := samples - want; d < -slack || d > slack {
				t.Errorf("%d samples of sound, not %d", samples, want)
			}
		})
	}
}

func TestLosslessIsLossless(t *testing.T) {
	t.Parallel()
	dir, files := music(t)
	e := newEncoder(t, files)
	sources := []string{"a.flac", "hires.flac", "a.wav"}
	if testing.Short() {
		sources = sources[:1]
	}
	for _, source := range sources {
		for _, format := range []string{"flac", "wav"} {
			data := encoded(t, e, tutti.Ref{Library: "1", Path: source, Profile: tutti.Profile{Format: format}})
			if !bytes.Equal(pcmOf(t, data), pcm(t, filepath.Join(dir, source))) {
				t.Errorf("%s as %s does not sound the same to the bit", source, format)
			}
		}
	}
}

func TestSameBytesTwice(t *testing.T) {
	t.Parallel()
	_, files := music(t)
	e := newEncoder(t, files)
	for name := range formats {
		for _, r := range []tutti.Ref{{Start: time.Second, End: 3 * time.Second}, {}} { // without tags and with them
			r.Library, r.Path, r.Profile.Format = "1", "a.flac", name
			data := encoded(t, e, r)
			if !bytes.Equal(data, encoded(t, e, r)) {
				t.Errorf("%s differs from one run to the next", name)
			}
			if v := regexp.MustCompile(`Lav[cf]\d+`).Find(data); v != nil {
				t.Errorf("%s says by which version it was made: %s", name, v)
			}
		}
	}
}

// cdFrames is a position on a CD, as cue sheets give it: 75 to the second.
func cdFrames(n int64) time.Duration { return time.Duration(n) * time.Second / 75 }

func TestSectionsTile(t *testing.T) {
	t.Parallel()
	dir, files := music(t)
	e := newEncoder(t, files)
	sources := []string{"a.flac", "a.wav", "hires.flac"}
	if testing.Short() {
		sources = sources[:1]
	}
	for _, source := range sources {
		whole := pcm(t, filepath.Join(dir, source))
		var joined []byte
		cuts := []time.Duration{0, cdFrames(1), cdFrames(100), cdFrames(301), cdFrames(601), 0}
		for i := range len(cuts) - 1 {
			r := tutti.Ref{Library: "1", Path: source, Start: cuts[i], End: cuts[i+1], Profile: tutti.Profile{Format: "flac"}}
			data := encoded(t, e, r)
			joined = append(joined, pcmOf(t, data)...)
			f, err := flac.New(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			var samples uint64
			for {
				frame, err := f.ParseNext()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				samples += uint64(frame.BlockSize)
			}
			if f.Info.NSamples != samples {
				t.Errorf("%s from %s: STREAMINFO says %d samples, and there are %d", source, cuts[i], f.Info.NSamples, samples)
			}
		}
		if !bytes.Equal(joined, whole) {
			t.Errorf("%s: the sections together are %d bytes of sound, not the same %d", source, len(joined), len(whole))
		}
		offset := encoded(t, e, tutti.Ref{Library: "1", Path: source, Start: cuts[2], Profile: tutti.Profile{Format: "wav", Offset: cuts[4] - cuts[2]}})
		if got := pcmOf(t, offset); len(got) == 0 || !bytes.HasSuffix(whole, got) || cdFrames(601).Seconds() > 12-float64(len(got))/8/44100+0.01 && source != "hires.flac" {
			t.Errorf("%s from an offset is %d bytes of sound and not the end of the whole", source, len(got))
		}
	}
}

// A lossy source seeks as exactly as its container can say; for those with time stamps that is to the sample.
func TestOffsetOfLossySources(t *testing.T) {
	t.Parallel()
	dir, files := music(t)
	e := newEncoder(t, files)
	for _, source := range []string{"a.ogg", "a.opus", "a.m4a", "a.mp3"} {
		whole := pcm(t, filepath.Join(dir, source), "-ac", "1", "-ar", "44100")
		r := tutti.Ref{Library: "1", Path: source, Profile: tutti.Profile{Format: "wav", Offset: 7300 * time.Millisecond}}
		got := pcmOf(t, encoded(t, e, r), "-ac", "1", "-ar", "44100")
		at := (len(whole) - len(got)) / 4
		if at < 0 || math.Abs(float64(at)/44100-7.3) > 0.05 {
			t.Errorf("%s from 7.3 s starts at %.4f s", source, float64(at)/44100)
		}
	}
}

func floats(b []byte) []float64 {
	s := make([]float64, len(b)/4)
	for i := range s {
		s[i] = float64(int32(uint32(b[4*i])|uint32(b[4*i+1])<<8|uint32(b[4*i+2])<<16|uint32(b[4*i+3])<<24)) / (1 << 31)
	}
	return s
}

// Segments that were encoded apart play as one stream: time stamps without a gap, and a decoder that hears them in a
// row is no further from the source at the joints than elsewhere.
func TestSegmentsJoin(t *testing.T) {
	t.Parallel()
	dir, files := music(t)
	e := newEncoder(t, files)
	var stream []byte
	cuts := []time.Duration{0, 3 * time.Second, 6 * time.Second, 9 * time.Second, 12 * time.Second}
	for i := range len(cuts) - 1 {
		r := tutti.Ref{Library: "1", Path: "a.flac", Start: cuts[i], End: cuts[i+1], Profile: tutti.Profile{Format: "ts", BitRate: 256}}
		stream = append(stream, encoded(t, e, r)...)
	}
	path := filepath.Join(t.TempDir(), "all.ts")
	if err := os.WriteFile(path, stream, 0o600); err != nil {
		t.Fatal(err)
	}
	last := -1.0
	for _, f := range strings.Fields(string(run(t, "ffprobe", "-v", "error", "-show_entries", "packet=pts_time", "-of", "csv=p=0", path))) {
		pts, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSuffix(f, "side_data"), ","), 64)
		if err != nil {
			continue
		}
		if last >= 0 && math.Abs(pts-last-1024.0/48000) > 0.0002 {
			t.Errorf("a packet at %.6f s follows one at %.6f s", pts, last)
		}
		last = pts
	}
	if math.Abs(last-12) > 0.05 {
		t.Errorf("the last packet is at %.3f s", last)
	}
	got := floats(pcm(t, path, "-ac", "1"))[1024:] // frame -1 is silence
	want := floats(pcm(t, filepath.Join(dir, "a.flac"), "-ac", "1", "-ar", "48000"))
	noise := func(from, to float64) float64 {
		var sum float64
		a, b := int(from*48000), int(to*48000)
		for i := a; i < b; i++ {
			sum += (got[i] - want[i]) * (got[i] - want[i])
		}
		return math.Sqrt(sum / float64(b-a))
	}
	// The encoder spends its bits differently from one segment to the next, so what counts is the worse of the two sides.
	const frame = 1024.0 / 48000
	for _, c := range cuts[1:4] {
		at := c.Seconds()
		joint, before, after := noise(at-frame, at+2*frame), noise(at-6*frame, at-frame), noise(at+2*frame, at+7*frame)
		if joint > 1.2*max(before, after) {
			t.Errorf("the noise at %s is %.5f, before it %.5f and after it %.5f", c, joint, before, after)
		}
	}
}

func TestWhatCannotBeMade(t *testing.T) {
	dir, files := music(t)
	e := newEncoder(t, files)
	for _, test := range []struct {
		ref  tutti.Ref
		want tutti.Kind
	}{
		{tutti.Ref{Library: "1", Path: "a.flac"}, tutti.KindInvalid},
		{tutti.Ref{Library: "1", Path: "a.flac", Profile: tutti.Profile{Format: "exe"}}, tutti.KindInvalid},
		{tutti.Ref{Library: "1", Path: "a.flac", Profile: tutti.Profile{Format: "mp3", BitRate: 1}}, tutti.KindInvalid},
		{tutti.Ref{Library: "1", Path: "a.flac", Profile: tutti.Profile{Format: "mp3", BitRate: 9000}}, tutti.KindInvalid},
		{tutti.Ref{Library: "1", Path: "a.flac", Profile: tutti.Profile{Format: "flac", BitRate: 900}}, tutti.KindInvalid},
		{tutti.Ref{Library: "1", Path: "a.flac", Profile: tutti.Profile{Format: "flac", BitDepth: 20}}, tutti.KindInvalid},
		{tutti.Ref{Library: "1", Path: "a.flac", Profile: tutti.Profile{Format: "mp3", Rate: 5}}, tutti.KindInvalid},
		{tutti.Ref{Library: "1", Path: "a.flac", Profile: tutti.Profile{Format: "mp3", Channels: 99}}, tutti.KindInvalid},
		{tutti.Ref{Library: "1", Path: "a.flac", Profile: tutti.Profile{Format: "ts", Rate: 44100}}, tutti.KindInvalid},
		{tutti.Ref{Library: "1", Path: "a.flac", Profile: tutti.Profile{Format: "peaks", Channels: 1}}, tutti.KindInvalid},
		{tutti.Ref{Library: "1", Path: "a.flac", Profile: tutti.Profile{Format: "mp3", Offset: -1}}, tutti.KindInvalid},
		{tutti.Ref{Library: "1", Path: "a.flac", End: time.Second, Profile: tutti.Profile{Format: "mp3", Offset: time.Second}}, tutti.KindInvalid},
		{tutti.Ref{Library: "1", Path: "none.flac", Profile: tutti.Profile{Format: "mp3"}}, tutti.KindNotFound},
		{tutti.Ref{Library: "1", Path: "../a.flac", Profile: tutti.Profile{Format: "mp3"}}, tutti.KindNotFound},
	} {
		_, err := e.Open(t.Context(), test.ref)
		if !tutti.IsKind(err, test.want) {
			t.Errorf("Open(%+v) = %v, want %s", test.ref, err, test.want)
		}
		if err := e.Check(t.Context(), test.ref); !tutti.IsKind(err, test.want) {
			t.Errorf("Check(%+v) = %v, want %s", test.ref, err, test.want)
		}
	}
	// What is no music, or leads elsewhere, fails once ffmpeg has looked at it.
	playlist := "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://" + filepath.Join(dir, "a.flac") + "\n#EXT-X-ENDLIST\n"
	for name, content := range map[string]string{
		"text.mp3": strings.Repeat("this is no music. ", 1000), "empty.flac": "", "list.mp3": playlist,
		"cat.mp3": "ffconcat version 1.0\nfile '" + filepath.Join(dir, "a.flac") + "'\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		o, err := e.Open(t.Context(), tutti.Ref{Library: "1", Path: name, Profile: tutti.Profile{Format: "mp3"}})
		if err != nil {
			t.Fatal(err)
		}
		n, err := o.CopyRange(t.Context(), io.Discard, 0, -1)
		if n != 0 || !tutti.IsKind(err, tutti.KindUnavailable) {
			t.Errorf("%s gave %d bytes and %v", name, n, err)
		}
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	}
	// Nothing comes after the end.
	o, err := e.Open(t.Context(), tutti.Ref{Library: "1", Path: "a.flac", Profile: tutti.Profile{Format: "opus", Offset: time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	// ffmpeg writes headers without sound, as it would for a silent file: an empty piece of music and no failure.
	if n, err := o.CopyRange(t.Context(), io.Discard, 0, -1); n > 1000 || err != nil {
		t.Errorf("after the end there are %d bytes, %v", n, err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}

func TestWithoutFFmpeg(t *testing.T) {
	_, files := music(t)
	e := newEncoder(t, files, func(c *Config) { c.FFmpeg = "no-such-ffmpeg" })
	_, err := e.Available(t.Context())
	_, oerr := e.Open(t.Context(), tutti.Ref{Library: "1", Path: "a.flac", Profile: tutti.Profile{Format: "mp3"}})
	for _, err := range []error{err, oerr} {
		if !tutti.IsKind(err, tutti.KindUnavailable) || !strings.Contains(tutti.Message(err), "originals still play") {
			t.Errorf("%v (%s)", err, tutti.Message(err))
		}
	}
	if _, err := newEncoder(t, files, func(c *Config) { c.FFmpeg = "true" }).Available(t.Context()); !tutti.IsKind(err, tutti.KindUnavailable) {
		t.Errorf("/bin/true passes for ffmpeg: %v", err)
	}
	if v, err := newEncoder(t, files).Available(t.Context()); err != nil || v == "" {
		t.Errorf("Available: %q, %v", v, err)
	}
}

// long is a ref that takes ffmpeg far longer than any test: the same 12 s, as WAV, which a pipe that nobody reads
// soon blocks.
func long() tutti.Ref {
	return tutti.Ref{Library: "1", Path: "a.flac", Profile: tutti.Profile{Format: "wav"}}
}

func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func TestCloseEndsTheProcess(t *testing.T) {
	_, files := music(t)
	e := newEncoder(t, files, func(c *Config) { c.Parallel = 1 })
	for i := range int64(3) {
		o, err := e.Open(t.Context(), long())
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 { // once without having read anything
			if _, err := o.ReadAt(make([]byte, 1000), 0); err != nil {
				t.Fatal(err)
			}
		}
		pid := o.(*stream).pid
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
		if !gone(pid) {
			t.Errorf("process %d is there after Close", pid)
		}
		if s := e.Stats(); s.Active != 0 || s.Stopped != i+1 || s.Failed != 0 {
			t.Errorf("%+v", s)
		}
		if err := o.Close(); err == nil {
			t.Error("closing twice is no error")
		}
	}
}

func TestReadsAreInOrderAndCancellable(t *testing.T) {
	_, files := music(t)
	e := newEncoder(t, files)
	o, err := e.Open(t.Context(), long())
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	var out bytes.Buffer
	if n, err := o.CopyRange(t.Context(), &out, 0, 100); n != 100 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := o.CopyRange(t.Context(), &out, 0, 1); !tutti.IsKind(err, tutti.KindInvalid) {
		t.Errorf("reading again: %v", err)
	}
	if _, err := o.ReadAt(make([]byte, 1), 5000); !tutti.IsKind(err, tutti.KindInvalid) {
		t.Errorf("reading ahead: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := o.CopyRange(ctx, &out, 100, -1); !tutti.IsKind(err, tutti.KindUnavailable) {
		t.Errorf("with a cancelled context: %v", err)
	}
	rest := make([]byte, 3<<20)
	n, err := o.ReadAt(rest, int64(out.Len()))
	if !errors.Is(err, io.EOF) || out.Len()+n != 44100*12*4+int(o.Size()-44100*12*4) {
		t.Errorf("the rest: %d bytes after %d, %v, size %d", n, out.Len(), err, o.Size())
	}
	whole := encoded(t, e, long())
	if !bytes.Equal(append(out.Bytes(), rest[:n]...), whole) {
		t.Error("pieces differ from the whole")
	}
}

func TestAProcessThatDiesIsAnError(t *testing.T) {
	_, files := music(t)
	var log bytes.Buffer
	e := newEncoder(t, files, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	o, err := e.Open(t.Context(), long())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.ReadAt(make([]byte, 1000), 0); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(o.(*stream).pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	n, err := o.CopyRange(t.Context(), io.Discard, 1000, -1)
	if !tutti.IsKind(err, tutti.KindUnavailable) || o.Size() != -1 {
		t.Errorf("%d bytes more, then %v; size %d", n, err, o.Size())
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if s := e.Stats(); s.Failed != 1 || !strings.Contains(log.String(), "signal: killed") || !strings.Contains(log.String(), "Input #0") {
		t.Errorf("%+v; log: %s", s, log.String())
	}
}

func TestProgress(t *testing.T) {
	_, files := music(t)
	e := newEncoder(t, files)
	o, err := e.Open(t.Context(), long())
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if _, err := o.CopyRange(t.Context(), io.Discard, 0, -1); err != nil {
		t.Fatal(err)
	}
	s := o.(*stream)
	if p := s.Progress(); p < 0.95 || p > 1 {
		t.Errorf("progress is %.3f at the end; ffmpeg took the input for %s long and made %d µs", p, s.stderr.duration(), s.outTime.Load())
	}
}

// BenchmarkStart measures how long a listener waits for the first byte of a transcode.
func BenchmarkStart(b *testing.B) {
	path := filepath.Join(library, "long.flac")
	if out, err := exec.Command("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "anoisesrc=colour=pink:duration=240:sample_rate=44100", "-ac", "2", "-sample_fmt", "s16", path).CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	o, err := folder.New(folder.Config{Libraries: []folder.Library{{ID: "1", Name: "Music", Path: library}}})
	if err != nil {
		b.Fatal(err)
	}
	e, err := New(Config{Files: o, Clock: clock.System, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range []tutti.Profile{{Format: "mp3"}, {Format: "opus"}, {Format: "flac", BitDepth: 16}, {Format: "opus", Offset: 200 * time.Second}} {
		b.Run(p.String(), func(b *testing.B) {
			for b.Loop() {
				s, err := e.Open(b.Context(), tutti.Ref{Library: "1", Path: "long.flac", Profile: p})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := s.ReadAt(make([]byte, 1), 0); err != nil {
					b.Fatal(err)
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
