package corpus_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"tutti"
	"tutti/metacodec"
	"tutti/metacodec/corpus"
)

func all(read func(func(*corpus.Song) error) error) (out []corpus.Song, err error) {
	err = read(func(s *corpus.Song) error { out = append(out, *s); return nil })
	return out, err
}

const head = "source\talbumartist\tartist\talbum\ttitle\ttrack\tdisc\tyear\tgenre\tduration\tgroup\n"

func TestReadTSV(t *testing.T) {
	got, err := all(func(each func(*corpus.Song) error) error {
		return corpus.ReadTSV(strings.NewReader(head+
			"x\tNina Simone\tNina Simone\tPastel Blues\tSinnerman\t9\t1\t1965\tJazz\t620.4\tg1\n"+
			"x\t\t\tNo artist\tTitle\t\t\t\t\t\tg2\n"+
			"x\tA\tA\t\tB\t\t0\t\t\t\tg3\n"), each)
	})
	want := []corpus.Song{
		{Source: "x", AlbumArtist: "Nina Simone", Artist: "Nina Simone", Album: "Pastel Blues", Title: "Sinnerman", Track: 9, Disc: 1, Year: 1965, Genre: "Jazz", Seconds: 620, Group: "g1"},
		{Source: "x", AlbumArtist: "A", Artist: "A", Title: "B", Group: "g3"},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
	for _, bad := range []string{"a\tb\n", head + "x\ty\n", head + "x\tA\tA\t\tB\tone\t0\t\t\t\tg\n"} {
		if _, err := all(func(each func(*corpus.Song) error) error { return corpus.ReadTSV(strings.NewReader(bad), each) }); !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestReadFMA(t *testing.T) {
	const csv = ",album,album,album,artist,set,track,track,track,track\n" +
		",id,title,date_released,name,split,title,number,duration,genre_top\n" +
		"track_id,,,,,,,,,\n" +
		"2,1,\"AWOL, A Way Of Life\",2009-01-05 00:00:00,AWOL,training,Food,3,168,Hip-Hop\n" +
		"3,1,x,,,training,,1,2,\n"
	got, err := all(func(each func(*corpus.Song) error) error { return corpus.ReadFMA(strings.NewReader(csv), each) })
	want := []corpus.Song{{Source: "fma", AlbumArtist: "AWOL", Artist: "AWOL", Album: "AWOL, A Way Of Life", Title: "Food", Track: 3, Disc: 1, Year: 2009, Genre: "Hip-Hop", Seconds: 168, Group: "1"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
	for _, bad := range []string{"", "a,b\n", "a,b\nc,d\n", "a,b\n\"c"} {
		if _, err := all(func(each func(*corpus.Song) error) error { return corpus.ReadFMA(strings.NewReader(bad), each) }); !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func dump(tracks string) fstest.MapFS {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	return fstest.MapFS{
		"artist_credit":   file("7\tDavid Bowie & Queen\t2\t5\t2011-05-16\t0\tgid\n8\tQueen\t1\t9\t2011-05-16\t0\tgid\n"),
		"release":         file("3\tgid\tHot Space\t8\t1\t1\t\\N\t\\N\t\\N\t\\N\t\t0\t-1\t\\N\n"),
		"release_country": file("3\t222\t1982\t5\t\\N\n3\t81\t1991\t\\N\t\\N\n"),
		"medium":          file("5\t3\t1\t1\t\t0\t\\N\t11\n"),
		"track":           file(tracks),
	}
}

func TestReadMusicBrainz(t *testing.T) {
	read := func(d fstest.MapFS) ([]corpus.Song, error) {
		return all(func(each func(*corpus.Song) error) error { return corpus.ReadMusicBrainz(d, 100, each) })
	}
	got, err := read(dump("1\tgid\t9\t5\t11\t11\tUnder \\\\ Pressure\t7\t248440\t0\t\\N\tf\n2\tgid\t9\t6\t1\t1\tOf another release\t7\t1\t0\t\\N\tf\n"))
	want := []corpus.Song{{Source: "musicbrainz", AlbumArtist: "Queen", Artist: "David Bowie & Queen", Album: "Hot Space", Title: `Under \ Pressure`, Track: 11, Disc: 1, Year: 1982, Seconds: 248, Group: "3"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
	if _, err := read(dump("1\tgid\n")); !tutti.IsKind(err, tutti.KindInvalid) {
		t.Error(err)
	}
	if _, err := read(fstest.MapFS{}); !tutti.IsKind(err, tutti.KindNotFound) {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(head + "x\tA\tA\t\tB\t\t0\t\t\t\tg3\n")
	f.Add("1\tgid\t9\t5\t11\t11\tUnder \\\\ Pressure\t7\t248440\t0\t\\N\tf\n")
	f.Fuzz(func(t *testing.T, s string) {
		each := func(s *corpus.Song) error {
			if s.Artist == "" || s.Title == "" {
				t.Error("a song without a name")
			}
			return nil
		}
		_ = corpus.ReadTSV(strings.NewReader(s), each)   // that it returns is what is asked
		_ = corpus.ReadFMA(strings.NewReader(s), each)   //
		_ = corpus.ReadMusicBrainz(dump(s), 1<<20, each) //
	})
}

func TestSplitKeepsArtistsApart(t *testing.T) {
	var songs []*corpus.Song
	for i := range 400 {
		songs = append(songs, &corpus.Song{Artist: string(rune('a' + i%100)), Title: "t", Group: string(rune('A' + i%7))})
	}
	learn, test := corpus.Split(songs, 5)
	known := map[string]bool{}
	for _, s := range learn {
		known[s.Primary()] = true
	}
	for _, s := range test {
		if known[s.Primary()] {
			t.Fatal("an artist is on both sides")
		}
	}
	if len(learn)+len(test) != len(songs) || len(test) < 20 {
		t.Fatal(len(learn), len(test))
	}
	scores, err := corpus.Score(nil, test)
	if err != nil || scores.Alone < 5 || scores.Pages > scores.Alone {
		t.Fatal(scores, err)
	}
}

// TestLearning trains a small model twice: the same samples make the same model, and it is better than none.
func TestLearning(t *testing.T) {
	samples := func() (out []metacodec.Sample) {
		for i := range 120 {
			out = append(out, sample{&corpus.Song{
				Source: "x", Artist: "The " + string(rune('A'+i%40)) + " Band", AlbumArtist: "The " + string(rune('A'+i%40)) + " Band", Album: "Greatest Hits", Title: "Love Song", Genre: "Rock",
				Track: 1 + i/40, Disc: 1, Year: 1970 + i%40, Seconds: 200 + i%60, Group: string(rune('A' + i%40)),
			}})
		}
		return out
	}
	var files [2][]byte
	var m *metacodec.Model
	for i := range files {
		var err error
		if m, err = metacodec.Train(t.Context(), samples(), metacodec.Training{Name: "t", Seed: 3, Buckets: 20_000}); err != nil {
			t.Fatal(err)
		}
		if files[i], err = m.File(); err != nil {
			t.Fatal(err)
		}
	}
	if string(files[0]) != string(files[1]) {
		t.Error("the same samples made two models")
	}
	test := []*corpus.Song{{Artist: "The Z Band", AlbumArtist: "The Z Band", Album: "Greatest Hits", Title: "Love Song", Genre: "Rock", Track: 2, Disc: 1, Year: 1990, Seconds: 222}}
	with, err := corpus.Score(m, test)
	if err != nil {
		t.Fatal(err)
	}
	without, err := corpus.Score(nil, test)
	if err != nil {
		t.Fatal(err)
	}
	if with.Alone > without.Alone/4 {
		t.Errorf("%.1f bytes with the model, %.1f without", with.Alone, without.Alone)
	}
	other := m.ID()
	other[len(other)-1]++ // another model of the same tag
	apart, err := metacodec.Train(t.Context(), samples(), metacodec.Training{Name: "t", Seed: 3, Buckets: 20_000, Apart: []metacodec.ModelID{other}})
	if err != nil || apart.ID().Tag() == m.ID().Tag() {
		t.Error("two models in use have the same tag", err)
	}
}

type sample struct{ *corpus.Song }

func (s sample) Artist() string { return s.Primary() }
