package enrich

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tutti"
	"tutti/metacodec"
	"tutti/metacodec/corpus"
)

// TestQuality measures the finders on a collection of music metadata that is corrupted on purpose, and prints the tables of
// docs/metadata-model.md:
//
//	TUTTI_CORPUS=DIR/test.tsv go test ./enrich -run TestQuality -v
//
// Thresholds were chosen on the validation part; the tables are of the test part, of which no artist is in either other.
func TestQuality(t *testing.T) {
	file := os.Getenv("TUTTI_CORPUS")
	if file == "" {
		t.Skip("TUTTI_CORPUS names no collection")
	}
	songs := readSongs(t, file)
	model, err := metacodec.Default()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	t.Run("split", func(t *testing.T) { measureSplits(t, songs, model, rng) })
	t.Run("spelling", func(t *testing.T) { measureSpellings(t, songs, rng) })
	t.Run("duplicates", func(t *testing.T) { measureDuplicates(t, songs, rng) })
	t.Run("genre", func(t *testing.T) {
		measureGenres(t, readSongs(t, filepath.Join(filepath.Dir(file), "train.tsv")), songs, model)
	})
}

func readSongs(t *testing.T, file string) (list []corpus.Song) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := corpus.ReadTSV(f, func(s *corpus.Song) error { list = append(list, *s); return nil }); err != nil {
		t.Fatal(err)
	}
	return list
}

// shelve makes a library of songs, except those that skip says.
func shelve(songs []corpus.Song, change func(*corpus.Song) bool) *Library {
	l := NewLibrary()
	albums := map[string]tutti.ID{}
	for i, s := range songs {
		if change != nil && !change(&s) {
			continue
		}
		a, ok := albums[s.Release()]
		if !ok {
			a = tutti.NewID(tutti.PrefixAlbum, uint64(len(albums)+1))
			albums[s.Release()] = a
		}
		track := tutti.Track{
			ID: tutti.NewID(tutti.PrefixTrack, uint64(i+1)), AlbumID: a, Album: s.Album, Title: s.Title, DisplayArtist: s.Artist,
			Artists: []tutti.ArtistRef{{Name: s.Artist}}, Duration: time.Duration(s.Seconds) * time.Second,
		}
		owner := s.AlbumArtist
		if owner == "" {
			owner = s.Artist
		}
		track.AlbumArtists = []tutti.ArtistRef{{Name: owner}}
		if s.Genre != "" {
			track.Genres = []string{s.Genre}
		}
		l.Add(&track)
	}
	return l
}

// verdict is a judgement with its probability, and whether it was right to make.
type verdict struct {
	p     float64
	right bool
}

// report prints precision and recall at some thresholds, of so many that were to be found, and how well the probabilities hold.
func report(t *testing.T, list []verdict, positives int) {
	t.Helper()
	var b strings.Builder
	b.WriteString("\n| from | suggested | precision | recall |\n|---|---|---|---|\n")
	for _, at := range []float64{Least, 0.8, 0.9, 0.95, 0.98} {
		n, right := 0, 0
		for _, v := range list {
			if v.p >= at {
				n++
				if v.right {
					right++
				}
			}
		}
		fmt.Fprintf(&b, "| %.2f | %d | %.4f | %.3f |\n", at, n, float64(right)/float64(max(1, n)), float64(right)/float64(positives))
	}
	b.WriteString("\n| said | judgements | held |\n|---|---|---|\n")
	for low := 0.0; low < 1; low += 0.2 {
		n, right, sum := 0, 0, 0.0
		for _, v := range list {
			if v.p >= low && v.p < low+0.2 {
				n++
				sum += v.p
				if v.right {
					right++
				}
			}
		}
		if n > 0 {
			fmt.Fprintf(&b, "| %.2f | %d | %.2f |\n", sum/float64(n), n, float64(right)/float64(n))
		}
	}
	loss := 0.0
	for _, v := range list {
		p := min(0.999, max(0.001, v.p))
		if !v.right {
			p = 1 - p
		}
		loss -= math.Log2(p)
	}
	fmt.Fprintf(&b, "\n%d judgements, %d to be found, %.3f bits each\n", len(list), positives, loss/float64(len(list)))
	t.Log(b.String())
}

// bands are names that were split in error by somebody's music server, or could be: none is two artists.
var bands = []string{
	"Simon & Garfunkel", "Simon and Garfunkel", "Rock & Roll", "Earth, Wind & Fire", "AC/DC", "Hall & Oates", "Crosby, Stills & Nash", "Crosby, Stills, Nash & Young", "Emerson, Lake & Palmer",
	"Blood, Sweat & Tears", "Peter, Paul and Mary", "Mumford & Sons", "Belle and Sebastian", "Florence + The Machine", "Nick Cave & The Bad Seeds", "Bob Marley & The Wailers", "Tyler, The Creator",
	"Kool & The Gang", "Huey Lewis and the News", "Mike + The Mechanics", "Echo & The Bunnymen", "Siouxsie and the Banshees", "Hootie & The Blowfish", "Derek and the Dominos", "Tom Petty and the Heartbreakers",
	"Joan Jett & The Blackhearts", "Booker T. & The M.G.'s", "Sly & The Family Stone", "Ike & Tina Turner", "Sonny & Cher", "Brooks & Dunn", "Chas & Dave", "Dan + Shay", "Angus & Julia Stone", "Iron & Wine",
	"Of Monsters and Men", "Coheed and Cambria", "Between the Buried and Me", "Me First and the Gimme Gimmes", "Now, Now", "Dropkick Murphys", "Godspeed You! Black Emperor", "Above & Beyond", "Aly & Fila",
	"Martha and the Vandellas", "Gladys Knight & The Pips", "Smokey Robinson & The Miracles", "Edward Sharpe & The Magnetic Zeros", "King Gizzard & The Lizard Wizard", "Marina and the Diamonds", "Big Brother and the Holding Company",
	"Amadou & Mariam", "Rodrigo y Gabriela", "Nico & Vinz", "Matt and Kim", "She & Him", "Tegan and Sara", "Meat Beat Manifesto", "Dead or Alive", "KC and the Sunshine Band", "Bill Haley & His Comets",
}

func separated(s string) bool { return pieces(s) != nil }

func measureSplits(t *testing.T, songs []corpus.Song, model Scorer, rng *rand.Rand) {
	seen := map[string]int{}
	for i := range songs {
		seen[songs[i].Artist]++
	}
	var singles []string
	for a, n := range seen {
		if n >= 2 && !separated(a) && !strings.ContainsAny(a, "()[]") {
			singles = append(singles, a)
		}
	}
	slices.Sort(singles)
	// Some artists are known nowhere else in the library than in the credits that are made below.
	hidden := map[string]bool{}
	for i, a := range singles {
		if i%5 == 0 {
			hidden[a] = true
		}
	}
	l := shelve(songs, func(s *corpus.Song) bool { return !hidden[s.Artist] })
	bits := bitsOf(model)
	judge := func(credit string, parts []string) (v verdict, cut bool) {
		w, odds := l.best(credit, bits, &splitWeights)
		return verdict{logistic(odds), parts != nil && slices.Equal(w.parts, parts)}, w.parts != nil
	}
	var list []verdict
	positives := 0
	seps := []string{" & ", " & ", " and ", ", ", " with ", " vs. ", " + ", " feat. ", " x "}
	for range 1500 {
		a, b := singles[rng.IntN(len(singles))], singles[rng.IntN(len(singles))]
		if a == b {
			continue
		}
		credit := a + seps[rng.IntN(len(seps))] + b
		v, _ := judge(credit, []string{a, b})
		positives++
		list = append(list, v)
	}
	// Whoever has albums under a name with a separator, and no part of it known alone, is one artist.
	for _, n := range l.sortedNames() {
		ps := pieces(n.text)
		if ps == nil || n.albums < 1 || slices.ContainsFunc(ps, func(p piece) bool { return l.names[p.text] != nil }) {
			continue
		}
		if v, cut := judge(n.text, nil); cut {
			list = append(list, v)
		}
	}
	// The bands, as often as the rest, in a library where one of the parts is somebody's name, too.
	cut := map[string]int{}
	for range 8 {
		for _, band := range bands {
			ps := pieces(band)
			if ps == nil {
				continue
			}
			only := ps[rng.IntN(len(ps))].text
			fresh := l.names[only] == nil
			if fresh {
				l.names[only] = &name{text: only, tracks: 1 + rng.IntN(20), whole: 1 + rng.IntN(20), albums: rng.IntN(2)}
			}
			v, _ := judge(band, nil)
			if list = append(list, v); v.p >= Least {
				cut[band]++
			}
			if fresh {
				delete(l.names, only)
			}
		}
	}
	report(t, list, positives)
	t.Logf("bands cut in error: %v", cut)
}

// misspell writes a name as people do. It returns the name itself where there is nothing to misspell.
func misspell(s string, rng *rand.Rand) string {
	ways := []func(string) string{
		func(s string) string {
			if r, ok := strings.CutPrefix(s, "The "); ok {
				return r
			}
			return "The " + s
		},
		func(s string) string {
			if r, ok := strings.CutPrefix(s, "The "); ok {
				return r + ", The"
			}
			return s
		},
		func(s string) string { return strings.Replace(s, " & ", " and ", 1) },
		func(s string) string { return strings.Replace(s, " and ", " & ", 1) },
		stripMarks,
		func(s string) string { return strings.NewReplacer(".", "", "'", "", "-", " ", "!", "").Replace(s) },
		func(s string) string {
			if f := strings.Fields(s); len(f) == 2 && !strings.ContainsAny(s, ",&/") {
				return f[1] + ", " + f[0]
			}
			return s
		},
	}
	for range 8 {
		if m := ways[rng.IntN(len(ways))](s); m != s && strings.TrimSpace(m) != "" {
			return m
		}
	}
	return s
}

func measureSpellings(t *testing.T, songs []corpus.Song, rng *rand.Rand) {
	made := map[string]string{} // misspelt: name
	seen := map[string]bool{}
	for i := range songs {
		seen[songs[i].Artist] = true
	}
	l := shelve(songs, func(s *corpus.Song) bool {
		if rng.IntN(20) == 0 {
			if m := misspell(s.Artist, rng); m != s.Artist && !seen[m] && !strings.EqualFold(m, s.Artist) {
				made[m] = s.Artist
				s.Artist, s.AlbumArtist = m, m
			}
		}
		return true
	})
	// What is left of an artist all of whose songs were misspelt cannot be known to be one.
	positives := 0
	for _, right := range made {
		if l.names[right] != nil {
			positives++
		}
	}
	var list []verdict
	shown := 0
	for _, s := range l.findSpellings(nil) {
		after := s.Changes[0].After[0]
		right := made[s.Of] == after || made[after] == s.Of || made[s.Of] != "" && made[s.Of] == made[after]
		if !right && shown < 12 {
			shown++
			t.Logf("%q → %q (%.2f) was not made here", s.Of, after, s.Probability)
		}
		list = append(list, verdict{s.Probability, right})
	}
	report(t, list, positives)
}

func measureDuplicates(t *testing.T, songs []corpus.Song, rng *rand.Rand) {
	// Copies of some songs, misspelt and a little longer or shorter; and as many other versions, a good deal longer or shorter.
	all := slices.Clone(songs)
	twin := map[int]int{}
	positives := 0
	for i := 0; i < len(songs); i += 7 {
		if songs[i].Seconds < 30 {
			continue
		}
		c := songs[i]
		c.Group += "'"
		if rng.IntN(2) == 0 {
			c.Artist = misspell(c.Artist, rng)
		}
		switch rng.IntN(3) {
		case 0:
			c.Title = strings.ToUpper(c.Title)
		case 1:
			c.Title += " (2009 Remaster)"
		}
		if rng.IntN(2) == 0 {
			c.Seconds += rng.IntN(3) - 1
			twin[len(all)] = i
			positives++
		} else {
			c.Seconds += 5 + rng.IntN(60)
		}
		all = append(all, c)
	}
	byKey := map[string][]int{}
	for i := range all {
		k := RecordingKey(all[i].Artist, all[i].Title)
		byKey[k] = append(byKey[k], i)
	}
	var list []verdict
	for i := len(songs); i < len(all); i++ {
		for _, o := range byKey[RecordingKey(all[i].Artist, all[i].Title)] {
			if o >= len(songs) || all[o].Seconds == 0 {
				continue
			}
			p := SameLength(time.Duration(all[i].Seconds)*time.Second, time.Duration(all[o].Seconds)*time.Second)
			n, is := twin[i]
			list = append(list, verdict{p, is && n == o})
		}
	}
	report(t, list, positives)
}

func measureGenres(t *testing.T, train, test []corpus.Song, model Scorer) {
	l := shelve(slices.Concat(train, test), nil)
	g := l.Genres(model)
	mine := map[string]bool{}
	for i := range test {
		mine[key(test[i].Artist)] = true
	}
	n, known := 0, 0
	var top [2][3]int // by whether the artist has other albums: judged, top 1, top 3
	var base [2]int
	var list []verdict
	for _, a := range l.albums {
		if len(a.owners) == 0 || !mine[key(a.owners[0])] {
			continue
		}
		truth, has := a.genres.top()
		if has == 0 || !slices.Contains(g.genres, truth) {
			continue
		}
		n++
		k := key(a.owners[0])
		own := g.byArtist[k]
		without := &counts{}
		for i, text := range own.texts {
			c := own.n[i]
			if text == truth {
				c--
			}
			for range c {
				without.add(text)
			}
		}
		which := 1
		if g.byArtist[k] = without; len(without.n) == 0 {
			delete(g.byArtist, k)
			which = 0
		} else {
			known++
		}
		guess := g.Guess(a.owners[0], a.title)
		g.byArtist[k] = own
		majority := g.genres[0]
		if which == 1 {
			majority, _ = without.top()
		}
		top[which][0]++
		if majority == truth {
			base[which]++
		}
		for i := range guess[:min(3, len(guess))] {
			if guess[i].Value == truth {
				if i == 0 {
					top[which][1]++
				}
				top[which][2]++
			}
		}
		list = append(list, verdict{guess[0].P, guess[0].Value == truth})
	}
	for which, name := range []string{"artists without another album", "artists with others"} {
		m := float64(max(1, top[which][0]))
		t.Logf("%s: %d albums; the majority's genre right in %.3f, ours in %.3f, among our first three %.3f",
			name, top[which][0], float64(base[which])/m, float64(top[which][1])/m, float64(top[which][2])/m)
	}
	report(t, list, n)
}
