package audio

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"tutti"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// frames returns n frames of MPEG-1 layer 3, 128 kbit/s, 44.1 kHz, mono or stereo, without padding.
func mpegFrames(n int) []byte {
	frame := make([]byte, 417)
	copy(frame, "\xFF\xFB\x90\x00")
	return bytes.Repeat(frame, n)
}

func safe(n int) string {
	return string([]byte{byte(n >> 21 & 127), byte(n >> 14 & 127), byte(n >> 7 & 127), byte(n & 127)})
}

func plain(n int) string { return string(binary.BigEndian.AppendUint32(nil, uint32(n))) }

// tag3 wraps frames in an ID3v2.3 tag, tag4 in a v2.4 one.
func tag3(flags byte, body string) string {
	return "ID3\x03\x00" + string([]byte{flags}) + safe(len(body)) + body
}

func tag4(flags byte, body string) string {
	return "ID3\x04\x00" + string([]byte{flags}) + safe(len(body)) + body
}

func frame3(id string, flags uint16, body string) string {
	return id + plain(len(body)) + string(binary.BigEndian.AppendUint16(nil, flags)) + body
}

func frame4(id string, flags uint16, body string) string {
	return id + safe(len(body)) + string(binary.BigEndian.AppendUint16(nil, flags)) + body
}

// readTags reads what a file of the tag and a little MPEG audio says.
func readTags(t *testing.T, tag string) Info {
	t.Helper()
	b := append([]byte(tag), mpegFrames(20)...)
	info, err := Read(t.Context(), bytes.NewReader(b), int64(len(b)), "a.mp3")
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(len(tag)); info.AudioOffset != want || info.AudioLength != 20*417 {
		t.Errorf("audio at %d, %d bytes; want %d, %d", info.AudioOffset, info.AudioLength, want, 20*417)
	}
	return info
}

func deflated(s string) string {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write([]byte(s))
	z.Close()
	return b.String()
}

func TestID3Structures(t *testing.T) {
	title := "\x03A \xC3\xA9 title"
	big := "\x03" + strings.Repeat("x", 200)
	for name, c := range map[string]struct {
		tag  string
		want Tags
	}{
		"v2.3 unsynchronised tag": {
			// The text is UTF-16 of U+00FF, of which the byte 0xFF and the zero after it need a zero between them.
			tag3(0x80, strings.ReplaceAll(frame3("TIT2", 0, "\x01\xFF\xFE\xFF\x00A\x00"), "\xFF", "\xFF\x00")),
			Tags{{"TITLE", "ÿA"}},
		},
		"v2.3 extended header": {tag3(0x40, plain(6)+"\x00\x00"+plain(0)+frame3("TIT2", 0, "\x00Plain")), Tags{{"TITLE", "Plain"}}},
		"v2.4 extended header": {tag4(0x40, safe(6)+"\x01\x00"+frame4("TIT2", 0, title)), Tags{{"TITLE", "A é title"}}},
		"v2.3 compressed frame": {
			tag3(0, frame3("TIT2", v3Compressed, plain(len(title))+deflated(title))), Tags{{"TITLE", "A é title"}},
		},
		"v2.4 compressed, unsynchronised, grouped frame": {
			tag4(0, frame4("TIT2", v4Compressed|v4LengthIncluded|v4Unsynced|v4Grouped, "G"+safe(len(title))+strings.ReplaceAll(deflated(title), "\xFF", "\xFF\x00"))), Tags{{"TITLE", "A é title"}},
		},
		"v2.4 encrypted frame is passed over": {
			tag4(0, frame4("TIT2", v4Encrypted, "\x01abc")+frame4("TALB", 0, "\x03Album")), Tags{{"ALBUM", "Album"}},
		},
		"v2.4 with plain sizes": {
			"ID3\x04\x00\x00" + safe(20+len(big)+len(title)) + "TIT2" + plain(len(big)) + "\x00\x00" + big + "TALB" + plain(len(title)) + "\x00\x00" + title,
			Tags{{"TITLE", big[1:]}, {"ALBUM", "A é title"}},
		},
		"v2.4 several values and empty ones": {tag4(0, frame4("TPE1", 0, "\x03A\x00\x00B\x00")), Tags{{"ARTIST", "A"}, {"ARTIST", "B"}}},
		"v2.4 UTF-16 values of which only the first has a mark": {
			tag4(0, frame4("TPE1", 0, "\x01\xFE\xFF\x00A\x00\x00\x00B")), Tags{{"ARTIST", "A"}, {"ARTIST", "B"}},
		},
		"v2.4 does not divide at slashes": {tag4(0, frame4("TPE1", 0, "\x03Left/Right")), Tags{{"ARTIST", "Left/Right"}}},
		"v2.3 divides artists at slashes": {tag3(0, frame3("TPE1", 0, "\x00Left Side/Right Side")), Tags{{"ARTIST", "Left Side"}, {"ARTIST", "Right Side"}}},
		"v2.3 leaves names with slashes":  {tag3(0, frame3("TPE1", 0, "\x00AC/DC")+frame3("TIT2", 0, "\x00One/Other")), Tags{{"ARTIST", "AC/DC"}, {"TITLE", "One/Other"}}},
		"v2.3 date":                       {tag3(0, frame3("TDAT", 0, "\x001705")+frame3("TYER", 0, "\x002019")), Tags{{"DATE", "2019-05-17"}}},
		"v2.3 genres":                     {tag3(0, frame3("TCON", 0, "\x00(31)(39)")), Tags{{"GENRE", "Trance"}, {"GENRE", "Noise"}}},
		"comments": {
			tag4(0, frame4("COMM", 0, "\x00XXX\x00First")+frame4("COMM", 0, "\x00engID3v1 Comment\x00Other")+frame4("COMM", 0, "\x00engiTunNORM\x00 0000")),
			Tags{{"COMMENT", "First"}, {"ID3V1 COMMENT", "Other"}, {"ITUNNORM", "0000"}},
		},
		"user text": {
			tag4(0, frame4("TXXX", 0, "\x03MusicBrainz Album Id\x00x")+frame4("TXXX", 0, "\x03replaygain_track_gain\x00-1 dB")+frame4("TXXX", 0, "\x03Odd\x00a\x00b")),
			Tags{{"MUSICBRAINZ_ALBUMID", "x"}, {"REPLAYGAIN_TRACK_GAIN", "-1 dB"}, {"ODD", "a"}, {"ODD", "b"}},
		},
		"people": {
			tag4(0, frame4("TIPL", 0, "\x03mix\x00Mo\x00artist liaison\x00Al")+frame4("TMCL", 0, "\x03Cello\x00Yo\x00mix\x00Not a function here")),
			Tags{{"MIXER", "Mo"}, {"PERFORMER", "Al (artist liaison)"}, {"PERFORMER", "Yo (Cello)"}, {"PERFORMER", "Not a function here (mix)"}},
		},
		"relative volume": {
			tag4(0, frame4("RVA2", 0, "track\x00\x01\xFB\x80\x10\x40\x00")), Tags{{"REPLAYGAIN_TRACK_GAIN", "-2.25 dB"}, {"REPLAYGAIN_TRACK_PEAK", "0.500000"}},
		},
		"two tags": {
			tag4(0, frame4("TIT2", 0, "\x03First")) + tag4(0, frame4("TIT2", 0, "\x03Second")+frame4("TALB", 0, "\x03Album")),
			Tags{{"TITLE", "First"}, {"ALBUM", "Album"}},
		},
		"damage after good frames": {tag4(0, frame4("TIT2", 0, "\x03Good")+"T\xFF\x00Zgarbage garbage"), Tags{{"TITLE", "Good"}}},
		"padding":                  {tag4(0, frame4("TIT2", 0, "\x03Good")+strings.Repeat("\x00", 3000)), Tags{{"TITLE", "Good"}}},
		"a header that is none":    {"ID3\x03\x00\x00\xFF\xFF\xFF\xFF", nil},
		"v2.2": {
			"ID3\x02\x00\x00" + safe(6+5+6+4) + "TT2\x00\x00\x05\x00Song" + "TBP\x00\x00\x04\x00120", Tags{{"TITLE", "Song"}, {"BPM", "120"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, readTags(t, c.tag).Tags); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestTagsBehindTheSound puts an ID3v2.4 tag, an APE tag, a Lyrics3 block and an ID3v1 tag behind the audio.
func TestTagsBehindTheSound(t *testing.T) {
	body := frame4("TIT2", 0, "\x03Appended")
	v24 := "ID3\x04\x00\x10" + safe(len(body)) + body + "3DI\x04\x00\x10" + safe(len(body))
	item := func(key, value string) string {
		return string(binary.LittleEndian.AppendUint32(nil, uint32(len(value)))) + "\x00\x00\x00\x00" + key + "\x00" + value
	}
	items := item("Artist", "One\x00Two") + item("Title", "Not this one")
	le := func(ns ...uint32) (s string) {
		for _, n := range ns {
			s += string(binary.LittleEndian.AppendUint32(nil, n))
		}
		return s
	}
	ape := "APETAGEX" + le(2000, uint32(len(items)+32), 2, 0xA0000000, 0, 0) + items + "APETAGEX" + le(2000, uint32(len(items)+32), 2, 0x80000000, 0, 0)
	lyrics3 := "LYRICSBEGININD00002110" + "000022LYRICS200"
	field := func(s string, n int) string { return s + strings.Repeat("\x00", n-len(s)) }
	v1 := "TAG" + field("No", 30) + field("No", 30) + field("Album of v1", 30) + "1987" + field("Words", 28) + "\x00\x09\x11"
	sound := mpegFrames(30)
	b := append(slices.Clone(sound), v24+ape+lyrics3+v1...)
	info, err := Read(t.Context(), bytes.NewReader(b), int64(len(b)), "a.mp3")
	if err != nil {
		t.Fatal(err)
	}
	want := Tags{{"ARTIST", "One"}, {"ARTIST", "Two"}, {"TITLE", "Not this one"}, {"ALBUM", "Album of v1"}, {"DATE", "1987"}, {"COMMENT", "Words"}, {"TRACKNUMBER", "9"}, {"GENRE", "Rock"}}
	if diff := cmp.Diff(want, info.Tags); diff != "" {
		t.Error(diff)
	}
	if info.AudioLength != int64(len(sound)) {
		t.Errorf("the sound has %d bytes, want %d", info.AudioLength, len(sound))
	}
	if (info.Duration - 30*1152*time.Second/44100).Abs() > 26*time.Millisecond {
		t.Errorf("%d samples, %v", info.Samples, info.Duration)
	}
}

func TestSynchronisedLyrics(t *testing.T) {
	at := func(ms int) string { return plain(ms) }
	sylt := frame4("SYLT", 0, "\x03deu\x02\x01about\x00"+"\nStil\x00"+at(1000)+"le \x00"+at(1300)+"Nacht\x00"+at(1600)+"\nEnde\x00"+at(4000))
	info := readTags(t, tag4(0, sylt+frame4("USLT", 0, "\x03eng\x00Quiet\nnight")+frame4("TPE1", 0, "\x03Choir")))
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	want := []tutti.Lyrics{
		{Artist: "Choir", Lang: "deu", Synced: true, Lines: []tutti.LyricsLine{
			{Start: ms(1000), Text: "Stille Nacht", Cues: []tutti.LyricsCue{{Start: ms(1000), End: ms(1300), To: 4}, {Start: ms(1300), End: ms(1600), From: 4, To: 7}, {Start: ms(1600), From: 7, To: 12}}},
			{Start: ms(4000), Text: "Ende"},
		}},
		{Artist: "Choir", Lang: "eng", Lines: []tutti.LyricsLine{{Text: "Quiet"}, {Text: "night"}}},
	}
	if diff := cmp.Diff(want, info.Lyrics()); diff != "" {
		t.Error(diff)
	}
	if !info.HasLyrics() {
		t.Error("HasLyrics is false")
	}
}

func TestChapters(t *testing.T) {
	chap := frame4("CHAP", 0, "c1\x00"+plain(0)+plain(1500)+"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"+frame4("TIT2", 0, "\x03Intro"))
	want := []Chapter{{0, 1500 * time.Millisecond, "Intro"}}
	if diff := cmp.Diff(want, readTags(t, tag4(0, chap)).Chapters); diff != "" {
		t.Error(diff)
	}
	tags := Tags{{"CHAPTER001", "00:00:00.000"}, {"CHAPTER001NAME", "One"}, {"CHAPTER002", "00:01:02.500"}, {"CHAPTERS", "x"}}
	want = []Chapter{{0, 62500 * time.Millisecond, "One"}, {62500 * time.Millisecond, 0, ""}}
	if diff := cmp.Diff(want, tags.chapters()); diff != "" {
		t.Error(diff)
	}
}

func TestGenres(t *testing.T) {
	for in, want := range map[string][]string{
		"17": {"Rock"}, "(17)": {"Rock"}, "(17)Rock": {"Rock"}, "(4)Eurodisco": {"Eurodisco"}, "(31)(39)": {"Trance", "Noise"},
		"((Brackets)": {"(Brackets)"}, "(RX)": {"Remix"}, "CR": {"Cover"}, "(999)": {"(999)"}, "(8)(Free) Form": {"Jazz", "(Free) Form"},
		"Jazz": {"Jazz"}, "90s": {"90s"}, "": nil, "191": {"Psybient"}, "192": {"192"},
	} {
		if diff := cmp.Diff(want, id3Genre(in), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q: %s", in, diff)
		}
	}
}

// stuff unsynchronises as ID3v2.4 structure §6.1 has it.
func stuff(b []byte) []byte {
	var written []byte
	for i, c := range b {
		written = append(written, c)
		if c == 0xFF && (i+1 == len(b) || b[i+1] == 0 || b[i+1] >= 0xE0) {
			written = append(written, 0)
		}
	}
	return written
}

func TestUnsync(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOf(rapid.SampledFrom([]byte{0xFF, 0, 0xE0, 1})).Draw(t, "b")
		written := stuff(b)
		if got := unsync(written); !bytes.Equal(got, b) {
			t.Fatalf("% x became % x, want % x", written, got, b)
		}
	})
}

func TestPicturesInOddFrames(t *testing.T) {
	jpeg := "\xFF\xD8\xFF\xE0" + strings.Repeat("\xFF\x00\xFF\xE1 picture ", 9000)
	stuffed := string(stuff([]byte(jpeg)))
	apic := "\x00image/jpg\x00\x03front\x00"
	pic22 := "\x00JPG\x03front\x00" + jpeg
	n := len(pic22)
	for name, tag := range map[string]string{
		"v2.4 plain":                 tag4(0, frame4("APIC", 0, apic+jpeg)),
		"v2.4 unsynchronised frame":  tag4(0, frame4("APIC", v4Unsynced|v4LengthIncluded, safe(len(apic+jpeg))+apic+stuffed)),
		"v2.4 unsynchronised tag":    tag4(0x80, frame4("APIC", v4LengthIncluded, safe(len(apic+jpeg))+apic+stuffed)),
		"v2.4 compressed":            tag4(0, frame4("APIC", v4Compressed|v4LengthIncluded, safe(len(apic+jpeg))+deflated(apic+jpeg))),
		"v2.3 compressed":            tag3(0, frame3("APIC", v3Compressed, plain(len(apic+jpeg))+deflated(apic+jpeg))),
		"v2.3 unsynchronised tag":    tag3(0x80, "APIC"+plain(len(apic+jpeg))+"\x00\x00"+apic+stuffed),
		"v2.2":                       "ID3\x02\x00\x00" + safe(n+6) + "PIC" + string([]byte{byte(n >> 16), byte(n >> 8), byte(n)}) + pic22,
		"a link before it, not read": tag4(0, frame4("APIC", 0, "\x00-->\x00\x03\x00http://example.org/a.jpg")+frame4("APIC", 0, apic+jpeg)),
	} {
		t.Run(name, func(t *testing.T) {
			b := append([]byte(tag+frame4("TIT2", 0, "\x03")), mpegFrames(20)...)
			data, mime, err := Picture(t.Context(), bytes.NewReader(b), int64(len(b)), "a.mp3", PictureFront)
			if err != nil || mime != "image/jpeg" || string(data) != jpeg {
				t.Fatalf("%v, %s, %d bytes of %d", err, mime, len(data), len(jpeg))
			}
			info, err := Read(t.Context(), bytes.NewReader(b), int64(len(b)), "a.mp3")
			if err != nil || len(info.Pictures) == 0 {
				t.Fatalf("%v, %+v", err, info.Pictures)
			}
			if p := info.Pictures[len(info.Pictures)-1]; p.Kind != PictureFront || p.Description != "front" {
				t.Errorf("%+v", p)
			}
		})
	}
}

func TestPictureMIME(t *testing.T) {
	for in, want := range map[[2]string]string{
		{"\xFF\xD8\xFF\xE0", "image/png"}: "image/jpeg", {"\x89PNG\r\n\x1A\n", ""}: "image/png", {"GIF89a", ""}: "image/gif", {"RIFF....WEBP", ""}: "image/webp",
		{"BM", ""}: "image/bmp", {"....ftypavif", ""}: "image/avif", {"?", "JPG"}: "image/jpeg", {"?", "png"}: "image/png", {"?", "image/tiff"}: "image/tiff",
		{"<svg onload=…>", "image/svg+xml"}: "application/octet-stream", {"<html>", "text/html"}: "application/octet-stream",
	} {
		if got := pictureMIME([]byte(in[0]), in[1]); got != want {
			t.Errorf("%q is %s, want %s", in, got, want)
		}
	}
}
