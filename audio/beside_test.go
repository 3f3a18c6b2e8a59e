package audio

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tutti"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const cueSheet = "\xEF\xBB\xBFREM GENRE \"Post-Rock\"\r\nREM DATE 2001\r\nREM DISCNUMBER 2\r\nCATALOG 4006381333931\r\nPERFORMER \"The Band\"\r\nTITLE \"The \"Long\" Album\"\r\n" +
	"FILE \"CD1\\Long Album.flac\" WAVE\r\n  TRACK 01 AUDIO\r\n    TITLE \"One\"\r\n    INDEX 01 00:00:00\r\n" +
	"  TRACK 02 AUDIO\r\n    TITLE \"Two\"\r\n    PERFORMER \"A Guest\"\r\n    ISRC SEABC0100002\r\n    REM REPLAYGAIN_TRACK_GAIN -3.2 dB\r\n    INDEX 00 03:58:10\r\n    INDEX 01 04:00:37\r\n" +
	"  TRACK 03 MODE1/2352\r\n    INDEX 01 09:00:00\r\n"

func TestParseCue(t *testing.T) {
	c, err := ParseCue([]byte(cueSheet))
	if err != nil {
		t.Fatal(err)
	}
	if c.Title != `The "Long" Album` || c.Performer != "The Band" || c.Catalog != "4006381333931" || c.Rem["GENRE"] != "Post-Rock" {
		t.Errorf("%+v", c)
	}
	if len(c.Files) != 1 || c.Files[0].Name != "CD1/Long Album.flac" || len(c.Files[0].Tracks) != 2 {
		t.Fatalf("%+v", c.Files)
	}
	two := 4*time.Minute + 37*time.Second/75
	want := []Chapter{{Title: "One", End: two}, {Title: "Two", Start: two}}
	if diff := cmp.Diff(want, c.Files[0].Sections()); diff != "" {
		t.Error(diff)
	}
	tags := c.TrackTags(c.Files[0].Tracks[1])
	for key, v := range map[string]string{
		"TITLE": "Two", "ARTIST": "A Guest", "ALBUMARTIST": "The Band", "ALBUM": `The "Long" Album`, "TRACKNUMBER": "2", "ISRC": "SEABC0100002",
		"GENRE": "Post-Rock", "DATE": "2001", "DISCNUMBER": "2", "REPLAYGAIN_TRACK_GAIN": "-3.2 dB",
	} {
		if got := tags.Get(key); got != v {
			t.Errorf("%s = %q, want %q", key, got, v)
		}
	}
}

// A gap at the end of one file, its track at the beginning of the next.
func TestParseCueWithGapsInTheFileBefore(t *testing.T) {
	c, err := ParseCue([]byte("FILE one.wav WAVE\nTRACK 1 AUDIO\nINDEX 01 00:00:00\nTRACK 2 AUDIO\nTITLE Second\nINDEX 00 03:00:00\nFILE two.wav WAVE\nINDEX 01 00:00:00\nTRACK 3 AUDIO\nINDEX 1 01:00:00"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range c.Files {
		for _, tr := range f.Tracks {
			got = append(got, fmt.Sprintf("%s %d %v %s", f.Name, tr.Number, tr.Start, tr.Title))
		}
	}
	if diff := cmp.Diff([]string{"one.wav 1 0s ", "two.wav 2 0s Second", "two.wav 3 1m0s "}, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseCueRefuses(t *testing.T) {
	for _, s := range []string{"", "TITLE x", "FILE a WAVE\nTRACK 1 AUDIO\n", strings.Repeat("x", maxText+1)} {
		if _, err := ParseCue([]byte(s)); !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("%.20q: %v", s, err)
		}
	}
}

func TestCueTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, s, f := rapid.IntRange(0, 999).Draw(t, "m"), rapid.IntRange(0, 59).Draw(t, "s"), rapid.IntRange(0, 74).Draw(t, "f")
		got, ok := cueTime(fmt.Sprintf("%02d:%02d:%02d", m, s, f))
		if frames := (got*75 + time.Second/2) / time.Second; !ok || int(frames) != (m*60+s)*75+f {
			t.Fatalf("%v, %v", got, ok)
		}
	})
}

func TestParseLRC(t *testing.T) {
	l, err := ParseLRC([]byte("[ar: Someone ]\r\n[ti:A Song]\r\n[la:DE]\r\n[offset:+250]\r\n[by:x]\r\n[00:10.5][01:02:25]Chorus\r\n[00:01]First [Live]\r\n[00:05.123] <00:05.20>Two <00:05.70>words<00:06.00>\r\nnot timed\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	want := tutti.Lyrics{Artist: "Someone", Title: "A Song", Lang: "de", Synced: true, Offset: ms(250), Lines: []tutti.LyricsLine{
		{Start: ms(1000), Text: "First [Live]"},
		{Start: ms(5123), Text: "Two words", Cues: []tutti.LyricsCue{{Start: ms(5200), End: ms(5700), From: 0, To: 3}, {Start: ms(5700), End: ms(6000), From: 4, To: 9}}},
		{Start: ms(10500), Text: "Chorus"},
		{Start: ms(62250), Text: "Chorus"},
	}}
	if diff := cmp.Diff(want, l); diff != "" {
		t.Error(diff)
	}
}

func TestParseLRCOfPlainText(t *testing.T) {
	l, err := ParseLRC([]byte("[Verse 1]\nI <3 you\n\nBye\n\n"))
	if err != nil || l.Synced {
		t.Fatalf("%v %+v", err, l)
	}
	if diff := cmp.Diff([]tutti.LyricsLine{{Text: "[Verse 1]"}, {Text: "I <3 you"}, {}, {Text: "Bye"}}, l.Lines); diff != "" {
		t.Error(diff)
	}
	for _, s := range []string{"", "\n\n", "[ar:only]\n", strings.Repeat("x", maxText+1)} {
		if _, err := ParseLRC([]byte(s)); !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("%.20q: %v", s, err)
		}
	}
}

func TestParseM3U(t *testing.T) {
	l, err := ParseM3U([]byte("#EXTM3U\n#PLAYLIST: Mine \n#EXTINF:123 tvg-id=\"x\",Some One - A, B\nsub/a.mp3\n#EXTINF:-1,Radio\nhttp://radio.example/live\n\n../B\xE4r/b.mp3\nC:\\Music\\Album\\c.flac\nfile:///home/me/Music/d%20e.ogg\nAlbum\\f.mp3\n../../out.mp3\nAC/DC\\x.mp3\n"))
	if err != nil {
		t.Fatal(err)
	}
	if l.Name != "Mine" || l.Entries[0].Duration != 123*time.Second || l.Entries[0].Title != "Some One - A, B" || l.Entries[1].Title != "Radio" || l.Entries[1].Duration != 0 {
		t.Errorf("%+v", l)
	}
	var got [][]string
	for _, e := range l.Entries {
		got = append(got, e.Candidates("lists"))
	}
	want := [][]string{
		{"lists/sub/a.mp3"},
		nil,
		{"Bär/b.mp3"},
		{"Music/Album/c.flac", "Album/c.flac", "c.flac"},
		{"home/me/Music/d e.ogg", "me/Music/d e.ogg", "Music/d e.ogg", "d e.ogg"},
		{"lists/Album/f.mp3"},
		nil,
		{`lists/AC/DC\x.mp3`},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := ParseM3U([]byte("#EXTM3U\n")); !tutti.IsKind(err, tutti.KindInvalid) {
		t.Error(err)
	}
}

func TestDecodeText(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                         "plain",
		"\xEF\xBB\xBFBär":               "Bär",
		"B\xE4r \x93so\x94":             "Bär “so”",
		"\xFF\xFEB\x00\xE4\x00":         "Bä",
		"\xFE\xFF\x00B\x00\xE4":         "Bä",
		"T\x00r\x00a\x00c\x00k\x00":     "Track",
		"\x00T\x00r\x00a\x00c\x00k":     "Track",
		"\x82\xA0\x82\xA2 \x88\xA4":     "あい 愛",
		"\xC5ngstr\xF6m \xE9t\xE9 \xFC": "Ångström été ü",
		"\xFF\xFE\x3C\xD8\xB5\xDF":      "🎵",
		"\xFF\xFE\x3C\xD8":              "\uFFFD",
	} {
		if got := decodeText([]byte(in)); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}
