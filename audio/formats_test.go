package audio_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
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
	"golang.org/x/sys/unix"
)

// ffmpeg runs ffmpeg on files within dir.
func ffmpeg(t testing.TB, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffmpeg", append([]string{"-v", "error", "-nostdin", "-y"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %q: %v\n%s", args, err, out)
	}
}

func content(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readBytes(t testing.TB, b []byte, name string) audio.Info {
	t.Helper()
	info, err := audio.Read(t.Context(), bytes.NewReader(b), int64(len(b)), name)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// TestChainedOgg plays two streams one after the other, and three, of which the first is found from its tags and the
// length is that of all.
func TestChainedOgg(t *testing.T) {
	dir, _ := files(t)
	tmp := t.TempDir()
	for _, name := range []string{"ogg/vorbis.ogg", "opus/stereo.opus"} {
		first := content(t, filepath.Join(dir, name))
		chain := slices.Clone(first)
		for n := 2; n <= 3; n++ {
			next := filepath.Join(tmp, "next.ogg")
			ffmpeg(t, "-i", filepath.Join(dir, name), "-map", "0:a", "-c", "copy", "-map_metadata", "-1", "-serial_offset", []string{"", "", "700", "900"}[n], "-f", "ogg", next)
			chain = append(chain, content(t, next)...)
			info := readBytes(t, chain, name)
			want := time.Duration(n) * audiotest.Seconds * time.Second
			if d := info.Duration - want; d.Abs() > 50*time.Millisecond {
				t.Errorf("%s ×%d: %v, want %v", name, n, info.Duration, want)
			}
			if info.Tags.Album() != "Nächte / Nights" {
				t.Errorf("%s ×%d: album %q", name, n, info.Tags.Album())
			}
		}
	}
}

// TestChainedOggFarApart has links larger than what is looked at from the end, so that their borders must be searched.
func TestChainedOggFarApart(t *testing.T) {
	tmp := t.TempDir()
	var chain []byte
	for n, seconds := range []string{"5", "40", "7"} {
		path := filepath.Join(tmp, "link.ogg")
		ffmpeg(t, "-f", "lavfi", "-i", "anoisesrc=r=44100:a=0.4:d="+seconds, "-c:a", "libvorbis", "-q:a", "7", "-serial_offset", strconv.Itoa(1000*n), path)
		chain = append(chain, content(t, path)...)
	}
	c := &counted{ReaderAt: bytes.NewReader(chain)}
	info, err := audio.Read(t.Context(), c, int64(len(chain)), "a.ogg")
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(52 * 44100); info.Samples != want {
		t.Errorf("%d samples in %d bytes, want %d", info.Samples, len(chain), want)
	}
	if c.reads > 40 {
		t.Errorf("%d reads", c.reads)
	}
}

// TestOggBesideVideo reads the sound of a file in which pages of video lie between.
func TestOggBesideVideo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "film.ogv")
	ffmpeg(t, "-f", "lavfi", "-i", "testsrc2=s=160x120:d=3", "-f", "lavfi", "-i", "sine=d=3", "-c:v", "libtheora", "-c:a", "libvorbis", "-metadata:s:a", "title=Sound", path)
	info := read(t, path)
	if info.Codec != "vorbis" || info.Samples != 3*44100 || info.Tags.Title() != "Sound" {
		t.Errorf("%s, %d samples, %q", info.Codec, info.Samples, info.Tags)
	}
}

func TestChaptersAsFFmpegWritesThem(t *testing.T) {
	tmp := t.TempDir()
	meta := filepath.Join(tmp, "meta.txt")
	if err := os.WriteFile(meta, []byte(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1200\ntitle=Första\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=1200\nEND=3000\ntitle=Second\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ffprobe, err := exec.LookPath("ffprobe")
	if err != nil {
		t.Fatal(err)
	}
	want := []audio.Chapter{{Start: 0, End: 1200 * time.Millisecond, Title: "Första"}, {Start: 1200 * time.Millisecond, End: 3 * time.Second, Title: "Second"}}
	for _, name := range []string{"a.mp3", "a.m4b", "a.opus", "a.mka"} {
		path := filepath.Join(tmp, name)
		format := []string{}
		if name == "a.m4b" {
			format = []string{"-f", "mp4"}
		}
		ffmpeg(t, append(append([]string{"-f", "lavfi", "-i", "sine=d=3", "-i", meta, "-map", "0:a", "-map_chapters", "1"}, format...), path)...)
		var got audio.Info
		if name == "a.mka" {
			if got, err = audio.Probe(t.Context(), ffprobe, path); err != nil {
				t.Fatal(err)
			}
		} else {
			got = read(t, path)
		}
		want := slices.Clone(want)
		if name == "a.m4b" || name == "a.opus" { // they do not say where the last one ends
			want[1].End = 0
		}
		if diff := cmp.Diff(want, got.Chapters); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestMP3WithoutHeader estimates the length of streams that do not say it: exact for a constant bit rate, near for a
// variable one.
func TestMP3WithoutHeader(t *testing.T) {
	tmp := t.TempDir()
	for args, tolerance := range map[string]time.Duration{"-b:a 128k": 60 * time.Millisecond, "-q:a 5": 600 * time.Millisecond} {
		path := filepath.Join(tmp, "a.mp3")
		// Loud and quiet stretches, so that a variable rate really varies.
		cmd := append([]string{"-f", "lavfi", "-i", "aevalsrc=0.5*random(0)*gt(mod(t\\,4)\\,2)+0.1*sin(900*t):d=20"}, strings.Fields(args)...)
		ffmpeg(t, append(cmd, "-write_xing", "0", "-id3v2_version", "0", path)...)
		if d := read(t, path).Duration - 20*time.Second; d.Abs() > tolerance {
			t.Errorf("%s: %v off", args, d)
		}
	}
}

func TestVBRIHeader(t *testing.T) {
	frame := make([]byte, 417)
	copy(frame, "\xFF\xFB\x90\x00")
	head := slices.Clone(frame)
	copy(head[36:], "VBRI\x00\x01\x00\x00\x00\x64")
	binary.BigEndian.PutUint32(head[46:], 417*1001)
	binary.BigEndian.PutUint32(head[50:], 1000)
	info := readBytes(t, append(head, bytes.Repeat(frame, 50)...), "a.mp3")
	if info.Samples != 1000*1152 || info.AudioOffset != 417 || info.BitRate != 128 {
		t.Errorf("%d samples, sound at %d, %d kbit/s", info.Samples, info.AudioOffset, info.BitRate)
	}
}

// TestJunkBeforeMP3 finds the first frame behind bytes that look like one.
func TestJunkBeforeMP3(t *testing.T) {
	frame := make([]byte, 417)
	copy(frame, "\xFF\xFB\x90\x00")
	junk := append([]byte("junk\xFF\xFB\x90\x00\xFF\xF3"), make([]byte, 1000)...)
	info := readBytes(t, append(junk, bytes.Repeat(frame, 50)...), "a.mp3")
	if info.AudioOffset != int64(len(junk)) || (info.Samples-50*1152)/1152 != 0 {
		t.Errorf("sound at %d, want %d; %d samples", info.AudioOffset, len(junk), info.Samples)
	}
}

// TestITunesGapless reads the note that iTunes leaves about the encoder's delay and padding.
func TestITunesGapless(t *testing.T) {
	dir, _ := files(t)
	path := filepath.Join(t.TempDir(), "a.m4a")
	if err := os.WriteFile(path, content(t, filepath.Join(dir, "m4a/aac.m4a")), 0o644); err != nil {
		t.Fatal(err)
	}
	audiotest.Tag(t, audiotest.Job{Path: path, Scheme: "mp4", Fields: map[string][]string{
		"iTunSMPB": {" 00000000 00000840 000001CA 00000000000203F6 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000"},
	}})
	if i := read(t, path); i.EncoderDelay != 0x840 || i.EncoderPadding != 0x1CA || i.Samples != 0x203F6 {
		t.Errorf("delay %d, padding %d, %d samples", i.EncoderDelay, i.EncoderPadding, i.Samples)
	}
}

// TestOpusOutputGain sets the gain in the header, which R128 tags do not include.
func TestOpusOutputGain(t *testing.T) {
	dir, _ := files(t)
	b := content(t, filepath.Join(dir, "opus/stereo.opus"))
	at := bytes.Index(b, []byte("OpusHead")) + 16
	binary.LittleEndian.PutUint16(b[at:], 0xFE80) // -1.5 dB in Q7.8; the page's checksum is not looked at
	info := readBytes(t, b, "a.opus")
	if g := info.Gain(); g.Base == nil || *g.Base != -1.5 || g.Track == nil || *g.Track != -2954.0/256+5 {
		t.Errorf("%+v", g)
	}
}

func TestWAVInfoChunk(t *testing.T) {
	chunk := func(id string, body string) string {
		s := id + string(binary.LittleEndian.AppendUint32(nil, uint32(len(body)))) + body
		return s + strings.Repeat("\x00", len(body)&1)
	}
	// Extensible: 20 valid bits in 24, subformat PCM.
	format := "\xFE\xFF\x02\x00\x44\xAC\x00\x00\x98\x09\x04\x00\x06\x00\x18\x00" + "\x16\x00\x14\x00\x03\x00\x00\x00" + "\x01\x00\x00\x00\x00\x00\x10\x00\x80\x00\x00\xAA\x00\x38\x9B\x71"
	info := chunk("LIST", "INFO"+chunk("INAM", "B\xE4r\x00")+chunk("IART", "Odd")+chunk("ITRK", "4")+chunk("IZZZ", "?"))
	body := "WAVE" + chunk("fmt ", format) + info + chunk("data", strings.Repeat("abcdef", 44100))
	b := []byte("RIFF" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(body)))) + body)
	i := readBytes(t, b, "a.wav")
	if i.BitDepth != 20 || i.Samples != 44100 || i.Codec != "pcm" || i.Channels != 2 {
		t.Errorf("%d bits, %d samples, %s, %d channels", i.BitDepth, i.Samples, i.Codec, i.Channels)
	}
	if diff := cmp.Diff(audio.Tags{{Key: "TITLE", Value: "Bär"}, {Key: "ARTIST", Value: "Odd"}, {Key: "TRACKNUMBER", Value: "4"}}, i.Tags); diff != "" {
		t.Error(diff)
	}
	// A recorder that never came back to write the sizes.
	cut := bytes.Replace(b, []byte("data"+string(binary.LittleEndian.AppendUint32(nil, 6*44100))), []byte("data\xFF\xFF\xFF\xFF"), 1)
	if i := readBytes(t, cut, "a.wav"); i.Samples != 44100 {
		t.Errorf("%d samples without a size", i.Samples)
	}
}

// TestFLACCueSheetBlock reads tracks from the metadata block that rippers write beside the cue sheet's text.
func TestFLACCueSheetBlock(t *testing.T) {
	dir, _ := files(t)
	b := content(t, filepath.Join(dir, "flac/surround.flac"))
	track := func(number byte, offset uint64, isrc string, indexes ...uint64) []byte {
		e := binary.BigEndian.AppendUint64(nil, offset)
		e = append(e, number)
		e = append(append(e, isrc...), make([]byte, 12-len(isrc)+14)...)
		e = append(e, byte(len(indexes)))
		for n, at := range indexes {
			e = append(binary.BigEndian.AppendUint64(e, at), byte(n+2-len(indexes)), 0, 0, 0)
		}
		return e
	}
	block := make([]byte, 396)
	copy(block, "4006381333931")
	block[395] = 3
	block = append(block, track(1, 0, "SEABC0100001", 0)...)
	block = append(block, track(2, 48000, "", 0, 24000)...) // a gap of half a second
	block = append(block, track(170, 144000, "")...)
	head := append([]byte{5, 0, byte(len(block) >> 8), byte(len(block))}, block...)
	at := 4 + 4 + 34 // behind STREAMINFO
	b = slices.Concat(b[:at], head, b[at:])
	cue := readBytes(t, b, "a.flac").Cue
	if cue == nil || cue.Catalog != "4006381333931" || len(cue.Files) != 1 || cue.Files[0].Tracks[0].ISRC != "SEABC0100001" {
		t.Fatalf("%+v", cue)
	}
	want := []audio.Chapter{{End: 1500 * time.Millisecond}, {Start: 1500 * time.Millisecond}}
	if diff := cmp.Diff(want, cue.Files[0].Sections()); diff != "" {
		t.Error(diff)
	}
}

// TestEmbeddedCueSheet reads a cue sheet from a comment, as rippers put it into one file for a whole disc.
func TestEmbeddedCueSheet(t *testing.T) {
	dir, _ := files(t)
	path := filepath.Join(t.TempDir(), "a.flac")
	if err := os.WriteFile(path, content(t, filepath.Join(dir, "flac/24.flac")), 0o644); err != nil {
		t.Fatal(err)
	}
	audiotest.Tag(t, audiotest.Job{Path: path, Scheme: "vorbis", Fields: map[string][]string{
		"CUESHEET": {"FILE \"a.wav\" WAVE\n TRACK 01 AUDIO\n  TITLE \"Ö\"\n  INDEX 01 00:00:00\n TRACK 02 AUDIO\n  INDEX 01 00:01:30\n"},
	}})
	cue := read(t, path).Cue
	if cue == nil || len(cue.Files) != 1 {
		t.Fatalf("%+v", cue)
	}
	want := []audio.Chapter{{Title: "Ö", End: 1400 * time.Millisecond}, {Start: 1400 * time.Millisecond}}
	if diff := cmp.Diff(want, cue.Files[0].Sections()); diff != "" {
		t.Error(diff)
	}
}

// TestHostileFilesStayCheap gives files that promise far more than they should be read for.
func TestHostileFilesStayCheap(t *testing.T) {
	bomb := func(n int) string {
		var b bytes.Buffer
		z := zlib.NewWriter(&b)
		z.Write(append([]byte{3}, make([]byte, n)...))
		z.Close()
		return b.String()
	}(1 << 20)
	frame := "TXXX" + string(binary.BigEndian.AppendUint32(nil, uint32(len(bomb)+4))) + "\x00\x80\x00\x10\x00\x00" + bomb
	tag := strings.Repeat(frame, 4000)
	n := len(tag)
	tag = "ID3\x03\x00\x00" + string([]byte{byte(n >> 21 & 127), byte(n >> 14 & 127), byte(n >> 7 & 127), byte(n & 127)}) + tag
	page := func(serial, number uint32, flags byte, packet string, lacing string) string {
		return "OggS\x00" + string([]byte{flags}) + strings.Repeat("\x00", 8) + string(binary.LittleEndian.AppendUint32(nil, serial)) +
			string(binary.LittleEndian.AppendUint32(nil, number)) + "\x00\x00\x00\x00" + string([]byte{byte(len(lacing))}) + lacing + packet
	}
	head := page(1, 0, 2, "OpusHead\x01\x02\x00\x00\x80\xBB\x00\x00\x00\x00\x00", "\x13")
	endless := head + page(1, 1, 0, "OpusTags\x00\x00\x00\x00\xFF\xFF\xFF\xFF"+strings.Repeat("\xFF\xFF\xFF\x7F", 60), "\xFF\x01")
	for name, c := range map[string]struct {
		start string
		size  int64
	}{
		"bombs.mp3":   {tag, int64(len(tag)) + 1<<20},
		"empty.m4a":   {"\x00\x00\x00\x08ftyp", 1 << 40},
		"endless.ogg": {endless + strings.Repeat(page(1, 2, 1, strings.Repeat("x", 255), "\xFF"), 20000), 1 << 40},
		"zeros.wav":   {"RIFF\x00\x00\x00\x00WAVE", 1 << 40},
		"zeros.aiff":  {"FORM\x00\x00\x00\x00AIFF", 1 << 40},
		"blocks.wv":   {"wvpk\x18\x00\x00\x00", 1 << 40},
		"long.flac":   {"fLaC\x04\xFF\xFF\xFF", 1 << 40},
		"sync.mp3":    {strings.Repeat("\xFF\xFB\x90\x00", 1<<16), 1 << 40},
	} {
		r := &counted{ReaderAt: sparse{c.start}}
		_, err := audio.Read(t.Context(), r, c.size, name)
		if r.bytes > 257<<20 || r.reads > 4097 {
			t.Errorf("%s: %d reads, %d MiB (%v)", name, r.reads, r.bytes>>20, err)
		}
	}
}

// sparse is a string followed by zeros for ever.
type sparse struct{ start string }

func (s sparse) ReadAt(b []byte, off int64) (int, error) {
	clear(b)
	if off < int64(len(s.start)) {
		copy(b, s.start[off:])
	}
	return len(b), nil
}

// TestMonkeysBefore398 reads the header that the program wrote until 2003.
func TestMonkeysBefore398(t *testing.T) {
	b := []byte("MAC ")
	for _, v := range []uint16{3970, 2000, 0, 2} {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	for _, v := range []uint32{44100, 44, 0, 3, 1000} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	i := readBytes(t, append(b, make([]byte, 5000)...), "a.ape")
	if i.Samples != 2*73728*4+1000 || i.BitDepth != 16 || i.Channels != 2 || i.SampleRate != 44100 {
		t.Errorf("%+v", i)
	}
}

// TestFragmentsByIndex reads the length of a fragmented file from its sidx box.
func TestFragmentsByIndex(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mp4")
	ffmpeg(t, "-f", "lavfi", "-i", "sine=d=20", "-c:a", "aac", "-movflags", "+frag_keyframe+empty_moov+default_base_moof+global_sidx", "-frag_duration", "1000000", path)
	f, size := open(t, path)
	c := &counted{ReaderAt: f}
	info, err := audio.Read(t.Context(), c, size, path)
	if err != nil {
		t.Fatal(err)
	}
	if d := info.Duration - 20*time.Second; d.Abs() > 50*time.Millisecond || c.reads > 6 {
		t.Errorf("%v after %d reads", info.Duration, c.reads)
	}
}

// TestHEAAC reads a decoder's description with spectral band replication: no free encoder makes one, so the
// description of an ordinary file is changed.
func TestHEAAC(t *testing.T) {
	dir, _ := files(t)
	b := content(t, filepath.Join(dir, "m4a/aac.m4a"))
	at := bytes.Index(b, []byte("\x05\x80\x80\x80\x05\x12\x10"))
	if at < 0 {
		t.Fatal("the file's AudioSpecificConfig is not where it should be")
	}
	// 5 bits 5 (SBR), 4 bits 7 (22,050 Hz), 4 bits 2 channels, 4 bits 4 (44,100 Hz), 5 bits 2 (LC).
	copy(b[at+5:], []byte{0b00101_011, 0b1_0010_010, 0b0_00010_00})
	if i := readBytes(t, b, "a.m4a"); i.SampleRate != 44100 || i.Profile != "HE-AAC" || i.Channels != 2 {
		t.Errorf("%d Hz, %s, %d channels", i.SampleRate, i.Profile, i.Channels)
	}
	// 2 (LC), 22,050 Hz, stereo, three bits; then, for those who look, 0x2B7, 5 (SBR), present, 44,100 Hz.
	copy(b[at+5:], []byte{0b00010_011, 0b1_0010_000, 0b01010110, 0b111_00101, 0b1_0100_000})
	if i := readBytes(t, b, "a.m4a"); i.SampleRate != 44100 || i.Profile != "HE-AAC" || i.Channels != 2 {
		t.Errorf("%d Hz, %s, %d channels", i.SampleRate, i.Profile, i.Channels)
	}
	// 29 (parametric stereo), 22,050 Hz, mono, 44,100 Hz.
	copy(b[at+5:], []byte{0b11101_011, 0b1_0001_010, 0b0_00010_00})
	if i := readBytes(t, b, "a.m4a"); i.SampleRate != 44100 || i.Profile != "HE-AACv2" || i.Channels != 2 {
		t.Errorf("%d Hz, %s, %d channels", i.SampleRate, i.Profile, i.Channels)
	}
}

// TestProbeIsContained gives ffprobe names that it would take for something else than files.
func TestProbeIsContained(t *testing.T) {
	ffprobe, err := exec.LookPath("ffprobe")
	if err != nil {
		t.Fatal(err)
	}
	dir, _ := files(t)
	tmp := t.TempDir()
	if err := os.WriteFile(filepath.Join(tmp, "list.mka"), []byte("ffconcat version 1.0\nfile '"+filepath.Join(dir, "wav/16.wav")+"'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"lavfi:sine", "concat:" + filepath.Join(dir, "wav/16.wav"), "-version", filepath.Join(tmp, "missing.mka")} {
		if _, err := audio.Probe(t.Context(), ffprobe, path); err == nil {
			t.Errorf("%s was read", path)
		}
	}
	if _, err := audio.Probe(t.Context(), filepath.Join(tmp, "no-such-program"), filepath.Join(dir, "wav/16.wav")); err == nil {
		t.Error("a program that is not there found something")
	}
}

// TestProbeIsBounded runs programs that never stop talking, or never talk.
func TestProbeIsBounded(t *testing.T) {
	script := func(body string) string {
		path := filepath.Join(t.TempDir(), "ffprobe")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if _, err := audio.Probe(t.Context(), script("exec yes"), "a"); !tutti.IsKind(err, tutti.KindExhausted) {
		t.Errorf("endless answer: %v", err)
	}
	if _, err := audio.Probe(t.Context(), script("echo '{}'"), "a"); !tutti.IsKind(err, tutti.KindInvalid) {
		t.Errorf("no streams: %v", err)
	}
	if _, err := audio.Probe(t.Context(), script("echo bad file >&2; exit 1"), "a"); !tutti.IsKind(err, tutti.KindInvalid) || !strings.Contains(err.Error(), "bad file") {
		t.Errorf("failure: %v", err)
	}
	// It says when it has begun, and then waits for what never comes.
	begun := filepath.Join(t.TempDir(), "begun")
	if err := unix.Mkfifo(begun, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = os.ReadFile(begun) // returns once the script has opened and closed it
		cancel()
	}()
	if _, err := audio.Probe(ctx, script("echo > "+begun+"; exec tail -f /dev/null"), "a"); !tutti.IsKind(err, tutti.KindUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestNoSound gives both readers files that only claim to hold music.
func TestNoSound(t *testing.T) {
	ffprobe, err := exec.LookPath("ffprobe")
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 50_000)
	if _, err := rand.NewChaCha8([32]byte{4}).Read(noise); err != nil {
		t.Fatal(err)
	}
	dir, _ := files(t)
	for ext := range strings.FieldsSeq("flac mp3 ogg opus m4a aac wav aiff wv ape dsf mka tta mpc wma") {
		for what, b := range map[string][]byte{"nothing": nil, "noise": noise, "zeros": make([]byte, 50_000), "text": bytes.Repeat([]byte("no music\n"), 500)} {
			path := filepath.Join(t.TempDir(), "a."+ext)
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
			if info, err := audio.Read(t.Context(), bytes.NewReader(b), int64(len(b)), path); !tutti.IsKind(err, tutti.KindInvalid) {
				t.Errorf("%s as %s: %+v, %v", what, ext, info, err)
			}
			if what == "zeros" || what == "text" {
				continue // a process each; noise and nothing are what ffprobe was seen to believe
			}
			if info, err := audio.Probe(t.Context(), ffprobe, path); !tutti.IsKind(err, tutti.KindInvalid) {
				t.Errorf("ffprobe: %s as %s: %+v, %v", what, ext, info, err)
			}
		}
	}
	// A stream that was written to a pipe does not say how long it is, but it can be played.
	path := filepath.Join(t.TempDir(), "a.webm")
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-i", filepath.Join(dir, "wav/16.wav"), "-c:a", "libopus", "-f", "webm", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out, 0o644); err != nil {
		t.Fatal(err)
	}
	if info, err := audio.Probe(t.Context(), ffprobe, path); err != nil || info.Codec != "opus" || info.Channels != 2 {
		t.Errorf("%+v, %v", info, err)
	}
}

// TestHybridWavPack changes the one bit of a header that says so, for lack of an encoder in ffmpeg.
func TestHybridWavPack(t *testing.T) {
	dir, _ := files(t)
	b := content(t, filepath.Join(dir, "wavpack/16.wv"))
	b[24] |= 1 << 3
	i := readBytes(t, b, "a.wv")
	track := tutti.Track{Codec: i.Codec}
	if i.Codec != "wavpack-hybrid" || i.Lossless || track.Lossless() || i.BitDepth != 0 {
		t.Errorf("%s, lossless %v and %v, %d bits", i.Codec, i.Lossless, track.Lossless(), i.BitDepth)
	}
}

// TestQuickTime reads QuickTime's own forms of a sample's description.
func TestQuickTime(t *testing.T) {
	tmp := t.TempDir()
	for _, c := range []struct {
		args, codec string
		bits        int
	}{{"-c:a pcm_f64le -ar 192000", "pcm", 64}, {"-c:a alac -sample_fmt s16p", "alac", 16}, {"-c:a pcm_s16be", "pcm", 16}, {"-c:a pcm_s24le", "pcm", 24}, {"-c:a pcm_f32le", "pcm", 32}, {"-c:a aac", "aac", 0}} {
		path := filepath.Join(tmp, "a.mov")
		ffmpeg(t, append(append([]string{"-f", "lavfi", "-i", "sine=r=48000:d=2"}, strings.Fields(c.args)...), "-f", "mov", path)...)
		i := read(t, path)
		rate := 48000
		if strings.Contains(c.args, "192000") { // more than the field of the first version holds
			rate = 192000
		}
		if i.Codec != c.codec || i.SampleRate != rate || i.Channels != 1 || i.BitDepth != c.bits || i.Samples != int64(2*rate) {
			t.Errorf("%s: %s, %d Hz, %d channels, %d bits, %d samples", c.args, i.Codec, i.SampleRate, i.Channels, i.BitDepth, i.Samples)
		}
	}
}

// TestGaplessNoteInMP3 is iTunes' way, in a file whose first frame says nothing of delay and padding.
func TestGaplessNoteInMP3(t *testing.T) {
	frame := make([]byte, 417)
	copy(frame, "\xFF\xFB\x90\x00")
	head := slices.Clone(frame)
	copy(head[36:], "Info\x00\x00\x00\x01\x00\x00\x00\x32")
	note := "\x00engiTunSMPB\x00 00000000 00000210 00000390 0000000000010000"
	comm := "COMM" + string(binary.BigEndian.AppendUint32(nil, uint32(len(note)))) + "\x00\x00" + note
	b := []byte("ID3\x03\x00\x00\x00\x00\x00" + string([]byte{byte(len(comm))}) + comm)
	info := readBytes(t, append(append(b, head...), bytes.Repeat(frame, 50)...), "a.mp3")
	if info.EncoderDelay != 0x210 || info.EncoderPadding != 0x390 || info.Samples != 50*1152-0x210-0x390 {
		t.Errorf("delay %d, padding %d, %d samples", info.EncoderDelay, info.EncoderPadding, info.Samples)
	}
}
