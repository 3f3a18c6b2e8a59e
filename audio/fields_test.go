package audio

import (
	"math"
	"math/big"
	"testing"
	"time"

	"tutti"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func TestParseDate(t *testing.T) {
	for in, want := range map[string]tutti.Date{
		"1999": {Year: 1999}, "1999-07": {Year: 1999, Month: 7}, "1999-07-21": {Year: 1999, Month: 7, Day: 21},
		"1999-07-21T10:11:12Z": {Year: 1999, Month: 7, Day: 21}, "1999-07-21 10:11": {Year: 1999, Month: 7, Day: 21},
		"1999.07.21": {Year: 1999, Month: 7, Day: 21}, "1999/7/2": {Year: 1999, Month: 7, Day: 2}, "19990721": {Year: 1999, Month: 7, Day: 21},
		"21.07.1999": {Year: 1999, Month: 7, Day: 21}, "1999-00-00": {Year: 1999}, "1999-02-30": {Year: 1999, Month: 2}, "2000-02-29": {Year: 2000, Month: 2, Day: 29},
		"1900-02-29": {Year: 1900, Month: 2}, "1999-13-01": {Year: 1999}, " 1999 ": {Year: 1999}, "1999-xx": {Year: 1999},
		"": {}, "0000": {}, "99": {}, "c. 1999": {}, "unknown": {}, "1-2-3-4": {}, "T": {}, "12345": {},
	} {
		if got := ParseDate(in); got != want {
			t.Errorf("%q is %+v, want %+v", in, got, want)
		}
	}
}

func TestParseDateReadsWhatDateWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-30_000_000_000, 200_000_000_000).Draw(t, "unix"), 0).UTC()
		d := tutti.Date{Year: at.Year(), Month: int(at.Month()), Day: at.Day()}
		switch rapid.IntRange(0, 2).Draw(t, "known") {
		case 0:
			d.Month, d.Day = 0, 0
		case 1:
			d.Day = 0
		}
		if got := ParseDate(d.String()); got != d {
			t.Fatalf("%v came back as %v", d, got)
		}
	})
}

func TestSamplesToDuration(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, rate := rapid.Int64Range(0, 1<<45).Draw(t, "n"), rapid.IntRange(6000, 1<<26).Draw(t, "rate")
		want := new(big.Int).Div(new(big.Int).Mul(big.NewInt(n), big.NewInt(int64(time.Second))), big.NewInt(int64(rate)))
		if got := samplesToDuration(n, rate); !want.IsInt64() || int64(got) != want.Int64() {
			t.Fatalf("%d at %d is %d, want %v", n, rate, got, want)
		}
	})
	if d := samplesToDuration(math.MaxInt64, 1); d != 0 {
		t.Errorf("three hundred thousand million years: %v", d)
	}
}

func TestScaled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, scale, rate := rapid.Int64Range(1, math.MaxInt64).Draw(t, "n"), rapid.Int64Range(1, math.MaxUint32).Draw(t, "scale"), rapid.IntRange(1, 1<<26).Draw(t, "rate")
		product := new(big.Int).Mul(big.NewInt(n), big.NewInt(int64(rate)))
		want, rest := new(big.Int).QuoRem(product, big.NewInt(scale), new(big.Int))
		if rest.Int64() >= (scale+1)/2 {
			want.Add(want, big.NewInt(1))
		}
		if !want.IsInt64() {
			want.SetInt64(0)
		}
		if got := scaled(n, scale, rate); got != want.Int64() {
			t.Fatalf("%d × %d / %d is %d, want %v", n, rate, scale, got, want)
		}
	})
}

func TestExtended(t *testing.T) {
	for want, b := range map[int]string{ // as in the headers that ffmpeg writes
		44100: "\x40\x0E\xAC\x44\x00\x00\x00\x00\x00\x00", 48000: "\x40\x0E\xBB\x80\x00\x00\x00\x00\x00\x00", 96000: "\x40\x0F\xBB\x80\x00\x00\x00\x00\x00\x00",
		8000: "\x40\x0B\xFA\x00\x00\x00\x00\x00\x00\x00", 0: "\xC0\x0E\xAC\x44\x00\x00\x00\x00\x00\x00",
	} {
		if got := extended([]byte(b)); got != want {
			t.Errorf("% x is %d, want %d", b, got, want)
		}
	}
}

func TestArtists(t *testing.T) {
	const id = "55555555-aaaa-4aaa-8aaa-000000000005"
	for _, c := range []struct {
		tags Tags
		want []string
	}{
		{Tags{{"ARTIST", "Solo"}}, []string{"Solo"}},
		{Tags{{"ARTIST", "A"}, {"ARTIST", "B; C"}}, []string{"A", "B; C"}},
		{Tags{{"ARTIST", "A; B;C"}}, []string{"A", "B", "C"}},
		{Tags{{"ARTIST", "A / B"}}, []string{"A", "B"}},
		{Tags{{"ARTIST", "AC/DC"}}, []string{"AC/DC"}},
		{Tags{{"ARTIST", "Simon & Garfunkel"}}, []string{"Simon & Garfunkel"}},
		{Tags{{"ARTIST", "Earth, Wind & Fire"}}, []string{"Earth, Wind & Fire"}},
		{Tags{{"ARTIST", "A feat. B"}}, []string{"A", "B"}},
		{Tags{{"ARTIST", "A (Feat. B) "}}, []string{"A", "B"}},
		{Tags{{"ARTIST", "A ft. B featuring C"}}, []string{"A", "B", "C"}},
		{Tags{{"ARTIST", "İ feat. B"}}, []string{"İ feat. B"}},
		{Tags{{"ARTIST", "A feat. B"}, {"MUSICBRAINZ_ARTISTID", id}}, []string{"A feat. B"}},
		{Tags{{"ARTIST", "A feat. B"}, {"ARTISTS", "A"}, {"ARTISTS", "B"}}, []string{"A", "B"}},
		{Tags{{"ARTIST", "A feat. B"}, {"ARTISTS", "A;B"}}, []string{"A", "B"}},
		{Tags{{"ARTISTS", "A/B"}, {"MUSICBRAINZ_ARTISTID", id + "/66666666-aaaa-4aaa-8aaa-000000000006"}}, []string{"A", "B"}},
		{Tags{{"ARTIST", "AC/DC"}, {"MUSICBRAINZ_ARTISTID", id}}, []string{"AC/DC"}},
		{Tags{{"ARTIST", ";"}}, nil},
		{nil, nil},
	} {
		if diff := cmp.Diff(c.want, c.tags.Artists(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q: %s", c.tags, diff)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		tags     Tags
		n, total int
	}{
		{Tags{{"TRACKNUMBER", "3"}}, 3, 0},
		{Tags{{"TRACKNUMBER", "03/12"}}, 3, 12},
		{Tags{{"TRACKNUMBER", "3"}, {"TRACKTOTAL", "12"}}, 3, 12},
		{Tags{{"TRACKNUMBER", " 3 of 12"}}, 3, 0},
		{Tags{{"TRACKNUMBER", "A3"}}, 3, 0},
		{Tags{{"TRACKNUMBER", "/12"}}, 0, 12},
		{Tags{{"TRACKNUMBER", "-1"}}, 0, 0},
		{Tags{{"TRACKNUMBER", "99999999999999999999"}}, 999999999, 0},
		{nil, 0, 0},
	} {
		if n, total := c.tags.Track(); n != c.n || total != c.total {
			t.Errorf("%q: %d of %d, want %d of %d", c.tags, n, total, c.n, c.total)
		}
	}
}

func TestGain(t *testing.T) {
	gain := func(key, value string) (g tutti.Gain) {
		i := Info{Tags: Tags{{key, value}}}
		return i.Gain()
	}
	for value, want := range map[string]float64{"-6.54 dB": -6.54, "+2,5 dB": 2.5, "3": 3, " 1.25DB ": 1.25} {
		if g := gain("REPLAYGAIN_TRACK_GAIN", value); g.Track == nil || *g.Track != want {
			t.Errorf("%q: %v", value, g.Track)
		}
	}
	for _, value := range []string{"", "loud", "NaN", "1e99", "- dB"} {
		if g := gain("REPLAYGAIN_ALBUM_GAIN", value); g.Album != nil {
			t.Errorf("%q: %v", value, *g.Album)
		}
	}
	if g := gain("R128_TRACK_GAIN", "-1280"); g.Track == nil || *g.Track != 0 { // -5 dB to reach -23 LUFS is 0 to reach -18
		t.Errorf("%v", g.Track)
	}
	if g := gain("R128_ALBUM_GAIN", "40000"); g.Album != nil { // more than 16 bits
		t.Errorf("%v", *g.Album)
	}
	if g := gain("REPLAYGAIN_TRACK_PEAK", "-0.5"); g.TrackPeak == nil || *g.TrackPeak != 0 {
		t.Errorf("%v", g.TrackPeak)
	}
}

func TestContributors(t *testing.T) {
	tags := Tags{
		{"PERFORMER:GUITAR", "Gil"}, {"PERFORMER", "Han (bass (fretless))"}, {"PERFORMER", "Ivy"}, {"COMPOSER", "J; K"}, {"DJMIXER", "L"}, {"COMPOSER", "J"},
	}
	want := []Credit{
		{"composer", "", "J"}, {"composer", "", "K"}, {"performer", "guitar", "Gil"}, {"performer", "bass (fretless)", "Han"}, {"performer", "", "Ivy"}, {"djmixer", "", "L"},
	}
	if diff := cmp.Diff(want, tags.Contributors()); diff != "" {
		t.Error(diff)
	}
}

func TestSmallAccessors(t *testing.T) {
	tags := Tags{
		{"GENRE", "(17)"},
		{"GENRE", "Jazz; Rock ;8"},
		{"ISRC", "se-abc-19-00001"},
		{"RELEASETYPE", "album/live"},
		{"BPM", "128,6"},
		{"MOVEMENT", "Allegro"},
		{"COMPILATION", "true"},
		{"ITUNESADVISORY", "2"},
		{"ORIGINALYEAR", "1977"},
		{"ARTISTSORT", "B, A; D, C"},
		{"MUSICBRAINZ_ALBUMID", "no uuid"},
		{"MUSICBRAINZ_ARTISTID", "55555555-AAAA-4aaa-8aaa-000000000005/66666666-aaaa-4aaa-8aaa-000000000006"},
	}
	type all struct {
		Genres, ISRC, Types, ArtistSort, MB []string
		BPM, N                              int
		Movement, Explicit, Release         string
		Compilation                         bool
		Date, Original                      tutti.Date
	}
	name, n, _ := tags.Movement()
	mb := tags.MusicBrainz()
	got := all{
		tags.Genres(), tags.ISRC(), tags.ReleaseTypes(), tags.SortNames().Artists, mb.Artists, tags.BPM(), n, name, tags.Explicit(), mb.Release, tags.Compilation(),
		tags.Date(), tags.OriginalDate(),
	}
	want := all{
		[]string{"Rock", "Jazz"},
		[]string{"SEABC1900001"},
		[]string{"album", "live"},
		[]string{"B, A", "D, C"},
		[]string{"55555555-aaaa-4aaa-8aaa-000000000005", "66666666-aaaa-4aaa-8aaa-000000000006"},
		129, 0, "Allegro", "clean", "", true,
		tutti.Date{Year: 1977},
		tutti.Date{Year: 1977},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTagsAreBoundedAndWithoutRepetition(t *testing.T) {
	var tags Tags
	for n := range 2 * maxTags {
		tags.add("Artist", string(rune('a'+n%3)))
		tags.add("x", time.Duration(n).String())
	}
	if len(tags) != maxTags || len(tags.All("artist")) != 3 {
		t.Errorf("%d tags, %d artists", len(tags), len(tags.All("artist")))
	}
	first := Tags{{"A", "1"}}
	first.addMissing(Tags{{"A", "2"}, {"B", "3"}, {"B", "4"}})
	if diff := cmp.Diff(Tags{{"A", "1"}, {"B", "3"}, {"B", "4"}}, first); diff != "" {
		t.Error(diff)
	}
}

func TestParametricStereoBehindLC(t *testing.T) {
	var track mp4Track
	// LC, 22,050 Hz, mono; 0x2B7, SBR, 44,100 Hz; 0x548, parametric stereo.
	track.aacConfig([]byte{0b00010_011, 0b1_0001_000, 0b01010110, 0b111_00101, 0b1_0100_101, 0b01001000, 0b1_0000000})
	if track.rate != 44100 || track.profile != "HE-AACv2" || track.channels != 2 {
		t.Errorf("%+v", track)
	}
}
