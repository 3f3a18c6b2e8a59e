// Package audiotest makes small real music files of every format for tests, with ffmpeg for the sound and mutagen (a
// reader and writer of tags that shares nothing with ours) for the tags. Tests that use it need Debian's packages
// ffmpeg and python3-mutagen.
package audiotest

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Seconds is how long every file of the library plays.
const Seconds = 3

// Set says which of the fields that Fields lists a file was tagged with.
type Set string

// The sets of fields.
const (
	Rich   Set = "rich"   // all of them
	Basic  Set = "basic"  // title, artist, album, date, comment, track number and genre, in plain ASCII
	Bare   Set = ""       // none
	Ffmpeg Set = "ffmpeg" // those that ffmpeg writes of its own -metadata: title, artist, album, date, genre, track
)

// File is one file of the library.
type File struct {
	Path       string // within the library
	Format     string // as audio.Info.Format
	Codec      string
	SampleRate int
	Channels   int
	BitDepth   int // 0 for lossy ones
	Tags       Set
	Native     bool // audio.Read reads it; else it takes ffprobe
}

// Fields are the tags that files of the set have, as canonical names and values in order. The map
// is shared and must not be changed.
func Fields(s Set) map[string][]string {
	switch s {
	case Rich:
		return rich
	case Basic:
		return basic
	case Ffmpeg:
		return map[string][]string{
			"TITLE": {"Ffmpeg Title"}, "ARTIST": {"Ffmpeg Artist"}, "ALBUM": {"Ffmpeg Album"}, "DATE": {"2004"}, "GENRE": {"Rock"}, "TRACKNUMBER": {"5"},
		}
	}
	return nil
}

var basic = map[string][]string{
	"TITLE": {"Plain Title"}, "ARTIST": {"Plain Artist"}, "ALBUM": {"Plain Album"}, "DATE": {"1999"}, "COMMENT": {"Plain comment"},
	"TRACKNUMBER": {"7"}, "GENRE": {"Rock"},
}

var rich = map[string][]string{
	"TITLE":           {"Ærø – 愛のうた 🎵"},
	"ARTIST":          {"Ann Ävik feat. Bo Öst"},
	"ARTISTS":         {"Ann Ävik", "Bo Öst"},
	"ALBUMARTIST":     {"Ann Ävik"},
	"ALBUM":           {"Nächte / Nights"},
	"TITLESORT":       {"Aero"},
	"ARTISTSORT":      {"Avik, Ann feat. Ost, Bo"},
	"ALBUMARTISTSORT": {"Avik, Ann"},
	"ALBUMSORT":       {"Naechte"},
	"COMPOSERSORT":    {"Ek, Cy"},
	"DATE":            {"2019-05-17"},
	"ORIGINALDATE":    {"1977-03-02"},
	"RELEASEDATE":     {"2019-06-01"},
	"TRACKNUMBER":     {"3"}, "TRACKTOTAL": {"12"},
	"DISCNUMBER": {"2"}, "DISCTOTAL": {"3"},
	"DISCSUBTITLE":          {"The Second Night"},
	"GENRE":                 {"Jazz", "Trip-Hop", "Öst-Pop"},
	"MOOD":                  {"Calm", "Blue"},
	"COMMENT":               {"A comment; with a semicolon"},
	"COMPOSER":              {"Cy Ek", "Di Ål"},
	"LYRICIST":              {"Eva Ö"},
	"CONDUCTOR":             {"Fi Å"},
	"REMIXER":               {"Gus Y"},
	"PERFORMER":             {"Hal Ø (violin)", "Ida Ü (grand piano)"},
	"PRODUCER":              {"Jo P"},
	"ENGINEER":              {"Kim E"},
	"ARRANGER":              {"Lo A"},
	"MIXER":                 {"Mo M"},
	"BPM":                   {"97"},
	"COMPILATION":           {"1"},
	"ISRC":                  {"SEABC1900001", "SEABC1900002"},
	"LABEL":                 {"Nordlicht", "Süd"},
	"CATALOGNUMBER":         {"NL-77"},
	"BARCODE":               {"4006381333931"},
	"RELEASETYPE":           {"album", "live"},
	"EDITION":               {"Deluxe"},
	"WORK":                  {"Suite in D"},
	"MOVEMENTNAME":          {"Allegro"},
	"MOVEMENT":              {"2"},
	"MOVEMENTTOTAL":         {"4"},
	"GROUPING":              {"Night pieces"},
	"COPYRIGHT":             {"© 2019 Nordlicht"},
	"ITUNESADVISORY":        {"1"},
	"LYRICS":                {"[00:00.50]Första raden\n[00:01.50]Zweite Zeile"},
	"REPLAYGAIN_TRACK_GAIN": {"-6.54 dB"}, "REPLAYGAIN_TRACK_PEAK": {"0.987654"},
	"REPLAYGAIN_ALBUM_GAIN": {"-7.10 dB"}, "REPLAYGAIN_ALBUM_PEAK": {"0.991200"},
	"MUSICBRAINZ_TRACKID":        {"11111111-aaaa-4aaa-8aaa-000000000001"},
	"MUSICBRAINZ_RELEASETRACKID": {"22222222-aaaa-4aaa-8aaa-000000000002"},
	"MUSICBRAINZ_ALBUMID":        {"33333333-aaaa-4aaa-8aaa-000000000003"},
	"MUSICBRAINZ_RELEASEGROUPID": {"44444444-aaaa-4aaa-8aaa-000000000004"},
	"MUSICBRAINZ_ARTISTID":       {"55555555-aaaa-4aaa-8aaa-000000000005", "66666666-aaaa-4aaa-8aaa-000000000006"},
	"MUSICBRAINZ_ALBUMARTISTID":  {"55555555-aaaa-4aaa-8aaa-000000000005"},
}

// specs are the library's files. scheme is how tag.py writes the tags; encoder is what ffmpeg is told.
var specs = []struct {
	File
	scheme, encoder string
}{
	{File{Path: "mp3/v24-utf8.mp3", Format: "mp3", Codec: "mp3", SampleRate: 44100, Channels: 2, Tags: Rich, Native: true}, "id3v24-utf8", "-c:a libmp3lame -q:a 5 -id3v2_version 0"},
	{File{Path: "mp3/v24-utf16.mp3", Format: "mp3", Codec: "mp3", SampleRate: 48000, Channels: 2, Tags: Rich, Native: true}, "id3v24-utf16", "-c:a libmp3lame -b:a 128k -id3v2_version 0"},
	{File{Path: "mp3/v24-utf16be.mp3", Format: "mp3", Codec: "mp3", SampleRate: 44100, Channels: 1, Tags: Rich, Native: true}, "id3v24-utf16be", "-c:a libmp3lame -b:a 64k -ac 1 -id3v2_version 0"},
	{File{Path: "mp3/v23-utf16.mp3", Format: "mp3", Codec: "mp3", SampleRate: 44100, Channels: 2, Tags: Rich, Native: true}, "id3v23", "-c:a libmp3lame -b:a 192k -id3v2_version 0"},
	{File{Path: "mp3/v23-latin1.mp3", Format: "mp3", Codec: "mp3", SampleRate: 22050, Channels: 2, Tags: Basic, Native: true}, "id3v23-latin1", "-c:a libmp3lame -q:a 4 -ar 22050 -id3v2_version 0"},
	{File{Path: "mp3/v22.mp3", Format: "mp3", Codec: "mp3", SampleRate: 44100, Channels: 2, Tags: Basic, Native: true}, "id3v22", "-c:a libmp3lame -q:a 4 -id3v2_version 0"},
	{File{Path: "mp3/v1.mp3", Format: "mp3", Codec: "mp3", SampleRate: 44100, Channels: 2, Tags: Basic, Native: true}, "id3v1", "-c:a libmp3lame -b:a 128k -write_xing 0 -id3v2_version 0"},
	{File{Path: "mp3/ape.mp3", Format: "mp3", Codec: "mp3", SampleRate: 44100, Channels: 2, Tags: Rich, Native: true}, "ape", "-c:a libmp3lame -b:a 128k -id3v2_version 0"},
	{File{Path: "mp3/ffmpeg.mp3", Format: "mp3", Codec: "mp3", SampleRate: 11025, Channels: 1, Tags: Ffmpeg, Native: true}, "", "-c:a libmp3lame -b:a 32k -ar 11025 -ac 1"},
	{File{Path: "mp3/layer2.mp2", Format: "mp3", Codec: "mp2", SampleRate: 44100, Channels: 2, Native: true}, "", "-c:a mp2 -b:a 192k"},
	{File{Path: "flac/16.flac", Format: "flac", Codec: "flac", SampleRate: 44100, Channels: 2, BitDepth: 16, Tags: Rich, Native: true}, "vorbis", "-c:a flac -sample_fmt s16"},
	{File{Path: "flac/24.flac", Format: "flac", Codec: "flac", SampleRate: 96000, Channels: 1, BitDepth: 24, Tags: Basic, Native: true}, "vorbis", "-c:a flac -ar 96000 -ac 1 -sample_fmt s32 -bits_per_raw_sample 24"},
	{File{Path: "flac/surround.flac", Format: "flac", Codec: "flac", SampleRate: 48000, Channels: 6, BitDepth: 16, Tags: Ffmpeg, Native: true}, "", "-c:a flac -ac 6 -sample_fmt s16"},
	{File{Path: "ogg/vorbis.ogg", Format: "ogg", Codec: "vorbis", SampleRate: 44100, Channels: 2, Tags: Rich, Native: true}, "vorbis", "-c:a libvorbis -q:a 4"},
	{File{Path: "ogg/mono.ogg", Format: "ogg", Codec: "vorbis", SampleRate: 32000, Channels: 1, Tags: Basic, Native: true}, "vorbis", "-c:a libvorbis -q:a 2 -ar 32000 -ac 1"},
	{File{Path: "ogg/flac.oga", Format: "ogg", Codec: "flac", SampleRate: 44100, Channels: 2, BitDepth: 16, Tags: Rich, Native: true}, "vorbis", "-c:a flac -sample_fmt s16"},
	{File{Path: "ogg/speex.spx", Format: "ogg", Codec: "speex", SampleRate: 16000, Channels: 1, Tags: Basic, Native: true}, "vorbis", "-c:a libspeex -ar 16000 -ac 1"},
	{File{Path: "opus/stereo.opus", Format: "ogg", Codec: "opus", SampleRate: 48000, Channels: 2, Tags: Rich, Native: true}, "opus", "-c:a libopus -b:a 96k"},
	{File{Path: "opus/mono.opus", Format: "ogg", Codec: "opus", SampleRate: 48000, Channels: 1, Tags: Basic, Native: true}, "vorbis", "-c:a libopus -b:a 32k -ac 1"},
	{File{Path: "m4a/aac.m4a", Format: "mp4", Codec: "aac", SampleRate: 44100, Channels: 2, Tags: Rich, Native: true}, "mp4", "-c:a aac -b:a 128k"},
	{File{Path: "m4a/faststart.m4a", Format: "mp4", Codec: "aac", SampleRate: 48000, Channels: 1, Tags: Basic, Native: true}, "mp4", "-c:a aac -b:a 64k -ac 1 -movflags +faststart"},
	{File{Path: "m4a/fragments.m4a", Format: "mp4", Codec: "aac", SampleRate: 44100, Channels: 2, Native: true}, "", "-c:a aac -b:a 96k -f mp4 -movflags +empty_moov+default_base_moof -frag_duration 500000"},
	{File{Path: "m4a/alac.m4a", Format: "mp4", Codec: "alac", SampleRate: 44100, Channels: 2, BitDepth: 16, Tags: Rich, Native: true}, "mp4", "-c:a alac -sample_fmt s16p"},
	{File{Path: "m4a/alac24.m4a", Format: "mp4", Codec: "alac", SampleRate: 96000, Channels: 2, BitDepth: 24, Tags: Ffmpeg, Native: true}, "", "-c:a alac -ar 96000 -sample_fmt s32p"},
	{File{Path: "m4a/flac.mp4", Format: "mp4", Codec: "flac", SampleRate: 44100, Channels: 2, BitDepth: 16, Tags: Basic, Native: true}, "mp4", "-c:a flac -sample_fmt s16 -f mp4 -strict -2"},
	{File{Path: "m4a/opus.mp4", Format: "mp4", Codec: "opus", SampleRate: 48000, Channels: 2, Tags: Basic, Native: true}, "mp4", "-c:a libopus -f mp4 -strict -2"},
	{File{Path: "wav/16.wav", Format: "wav", Codec: "pcm", SampleRate: 44100, Channels: 2, BitDepth: 16, Tags: Rich, Native: true}, "wave", "-c:a pcm_s16le"},
	{File{Path: "wav/24.wav", Format: "wav", Codec: "pcm", SampleRate: 96000, Channels: 2, BitDepth: 24, Tags: Ffmpeg, Native: true}, "", "-c:a pcm_s24le -ar 96000"},
	{File{Path: "wav/float.wav", Format: "wav", Codec: "pcm", SampleRate: 48000, Channels: 1, BitDepth: 32, Tags: Basic, Native: true}, "wave", "-c:a pcm_f32le -ac 1"},
	{File{Path: "wav/rf64.wav", Format: "wav", Codec: "pcm", SampleRate: 44100, Channels: 2, BitDepth: 16, Native: true}, "", "-c:a pcm_s16le -rf64 always"},
	{File{Path: "wav/ima.wav", Format: "wav", Codec: "adpcm", SampleRate: 44100, Channels: 2, Native: true}, "", "-c:a adpcm_ima_wav"},
	{File{Path: "wav/mulaw.wav", Format: "wav", Codec: "g711", SampleRate: 8000, Channels: 1, Native: true}, "", "-c:a pcm_mulaw -ar 8000 -ac 1"},
	{File{Path: "aiff/16.aiff", Format: "aiff", Codec: "pcm", SampleRate: 44100, Channels: 2, BitDepth: 16, Tags: Rich, Native: true}, "aiff", "-c:a pcm_s16be"},
	{File{Path: "aiff/sowt.aifc", Format: "aiff", Codec: "pcm", SampleRate: 48000, Channels: 1, BitDepth: 16, Native: true}, "", "-c:a pcm_s16le -ac 1 -f aiff"},
	{File{Path: "wavpack/16.wv", Format: "wavpack", Codec: "wavpack", SampleRate: 44100, Channels: 2, BitDepth: 16, Tags: Rich, Native: true}, "apev2", "-c:a wavpack -sample_fmt s16p"},
	{File{Path: "wavpack/surround.wv", Format: "wavpack", Codec: "wavpack", SampleRate: 48000, Channels: 6, BitDepth: 16, Tags: Basic, Native: true}, "apev2", "-c:a wavpack -ac 6 -sample_fmt s16p"},
	{File{Path: "ape/silence.ape", Format: "ape", Codec: "ape", SampleRate: 44100, Channels: 2, BitDepth: 16, Tags: Rich, Native: true}, "apev2", "monkeys"},
	{File{Path: "dsf/64.dsf", Format: "dsf", Codec: "dsd", SampleRate: 2822400, Channels: 2, BitDepth: 1, Tags: Rich, Native: true}, "dsf", "dsf"},
	{File{Path: "other/windows.wma", Format: "asf", Codec: "wmav2", SampleRate: 44100, Channels: 2, Tags: Basic}, "asf", "-c:a wmav2 -b:a 128k"},
	{File{Path: "other/matroska.mka", Format: "matroska", Codec: "vorbis", SampleRate: 44100, Channels: 2, Tags: Ffmpeg}, "", "-c:a libvorbis"},
	{File{Path: "other/adts.aac", Format: "aac", Codec: "aac", SampleRate: 44100, Channels: 2}, "", "-c:a aac -b:a 96k -f adts"},
	{File{Path: "other/true.tta", Format: "tta", Codec: "tta", SampleRate: 44100, Channels: 2, BitDepth: 16, Tags: Ffmpeg}, "", "-c:a tta -sample_fmt s16"},
}

//go:embed tag.py
var tagger string

// Library makes the library in dir and returns its files. Every file has sound of its own, so that fingerprints
// differ. It fails the test where ffmpeg or mutagen are missing.
func Library(t testing.TB, dir string) []File {
	t.Helper()
	jpeg, png := pictures(t)
	args := []string{"-hide_banner", "-nostdin", "-v", "error", "-y"}
	var outs []string
	var files []File
	var jobs []Job
	for n, s := range specs {
		path := filepath.Join(dir, filepath.FromSlash(s.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		switch s.encoder {
		case "monkeys":
			write(t, path, monkeys())
		case "dsf":
			write(t, path, dsf())
		default:
			rate := s.SampleRate
			// A chord that glides, with a little noise, so that no piece of a file equals another.
			args = append(args, "-f", "lavfi", "-i", fmt.Sprintf("aevalsrc='0.3*sin(%d*t*(1+t/9))+0.05*random(%d)|0.3*sin(%d*t)+0.05*random(%d)':s=%d:d=%d", 900+70*n, n, 1400+110*n, n+100, rate, Seconds))
			outs = append(outs, "-map", fmt.Sprintf("%d:a", countInputs(args)-1), "-map_metadata", "-1", "-bitexact")
			outs = append(outs, strings.Fields(s.encoder)...)
			if s.Tags == Ffmpeg {
				for key, name := range map[string]string{"TITLE": "title", "ARTIST": "artist", "ALBUM": "album", "DATE": "date", "GENRE": "genre", "TRACKNUMBER": "track"} {
					outs = append(outs, "-metadata", name+"="+Fields(Ffmpeg)[key][0])
				}
			}
			outs = append(outs, path)
		}
		if s.scheme != "" {
			jobs = append(jobs, Job{Path: path, Scheme: s.scheme, Fields: Fields(s.Tags), Pictures: s.Tags == Rich})
		}
		files = append(files, s.File)
	}
	run(t, "ffmpeg", nil, append(args, outs...)...)
	tag(t, jpeg, png, jobs)
	return files
}

func countInputs(args []string) int {
	n := 0
	for _, a := range args {
		if a == "-i" {
			n++
		}
	}
	return n
}

// Job says what to write into one file.
type Job struct {
	Path     string              `json:"path"`
	Scheme   string              `json:"scheme"` // one of those that tag.py's write function knows: "vorbis", "mp4", "id3v24-utf8" …
	Fields   map[string][]string `json:"fields"`
	Pictures bool                `json:"pictures"` // a front and a back cover as well; only Library has them
}

// Tag writes tags with mutagen.
func Tag(t testing.TB, jobs ...Job) {
	t.Helper()
	tag(t, nil, nil, jobs)
}

func tag(t testing.TB, jpeg, png []byte, jobs []Job) {
	t.Helper()
	in, err := json.Marshal(map[string]any{"jobs": jobs, "jpeg": jpeg, "png": png})
	if err != nil {
		t.Fatal(err)
	}
	run(t, python(t), in, "-c", tagger)
}

// Retag writes other tags into files with mutagen, by the scheme that fits each one's format, so that they have other
// tags, of other lengths, around the same sound.
func Retag(t testing.TB, paths ...string) {
	t.Helper()
	var jobs []Job
	for _, path := range paths {
		jobs = append(jobs, Job{Path: path, Scheme: "retag", Fields: map[string][]string{
			"TITLE": {"Entirely another title " + strings.Repeat("long ", 400)}, "ARTIST": {"Somebody else"},
		}})
	}
	Tag(t, jobs...)
}

// Dump returns what mutagen reads from the files: by path, its own names of fields with their values as text, and
// under "=length" the seconds that it thinks they play.
func Dump(t testing.TB, paths ...string) map[string]map[string][]string {
	t.Helper()
	in, err := json.Marshal(map[string]any{"dump": paths})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string][]string{}
	if err := json.Unmarshal(run(t, python(t), in, "-c", tagger), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// python finds an interpreter that has mutagen. Debian's own comes first: python3 in the path may be another one,
// which does not see Debian's packages.
func python(t testing.TB) string {
	t.Helper()
	for _, p := range []string{"/usr/bin/python3", "python3"} {
		if exec.CommandContext(t.Context(), p, "-c", "import mutagen").Run() == nil {
			return p
		}
	}
	t.Fatal("python3 with mutagen is needed: apt-get install python3-mutagen")
	return ""
}

func run(t testing.TB, name string, stdin []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, complaint.Bytes())
	}
	return out.Bytes()
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// pictures makes a JPEG that is larger than a reader's first window, and a small PNG.
func pictures(t testing.TB) (jpeg, png []byte) {
	t.Helper()
	tmp := t.TempDir()
	j, p := filepath.Join(tmp, "front.jpg"), filepath.Join(tmp, "back.png")
	run(t, "ffmpeg", nil, "-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=s=600x600,noise=alls=60", "-f", "lavfi", "-i", "color=red:s=16x16",
		"-map", "0:v", "-frames:v", "1", "-q:v", "2", j, "-map", "1:v", "-frames:v", "1", p)
	var err error
	if jpeg, err = os.ReadFile(j); err != nil {
		t.Fatal(err)
	}
	if png, err = os.ReadFile(p); err != nil {
		t.Fatal(err)
	}
	return jpeg, png
}

// monkeys is the file that no free program writes: the header of a Monkey's Audio file of version 3.99, with as many
// frames as the length needs. What it holds are no valid frames, so it can be looked at but not played.
func monkeys() []byte {
	const perFrame, rate = 73728 * 4, 44100
	total := rate * Seconds
	frames := (total + perFrame - 1) / perFrame
	body := make([]byte, 4096*frames)
	for i := range body {
		body[i] = byte(i*7 + i>>8)
	}
	var b bytes.Buffer
	put := func(vs ...any) {
		for _, v := range vs {
			if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
				panic(err) // only for types of no fixed size
			}
		}
	}
	b.WriteString("MAC ")
	put(uint16(3990), uint16(0), uint32(52), uint32(24), uint32(4*frames), uint32(0), uint32(len(body)), uint32(0), uint32(0), [16]byte{})
	put(uint16(2000), uint16(1<<5), uint32(perFrame), uint32(total-(frames-1)*perFrame), uint32(frames), uint16(16), uint16(2), uint32(rate))
	for i := range frames {
		put(uint32(52 + 24 + 4*frames + 4096*i))
	}
	b.Write(body)
	return b.Bytes()
}

// dsf is a DSF file of DSD64 silence (0x69 is its idle pattern) with a marked beginning.
func dsf() []byte {
	const rate, block = 2822400, 4096
	samples := rate * Seconds
	blocks := (samples/8 + block - 1) / block
	data := bytes.Repeat([]byte{0x69}, blocks*block*2)
	copy(data, "a beginning that is unlike others")
	var b bytes.Buffer
	put := func(vs ...any) {
		for _, v := range vs {
			if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
				panic(err) // only for types of no fixed size
			}
		}
	}
	b.WriteString("DSD ")
	put(uint64(28), uint64(28+52+12+len(data)), uint64(0))
	b.WriteString("fmt ")
	put(uint64(52), uint32(1), uint32(0), uint32(2), uint32(2), uint32(rate), uint32(1), uint64(samples), uint32(block), uint32(0))
	b.WriteString("data")
	put(uint64(12 + len(data)))
	b.Write(data)
	return b.Bytes()
}
