package enrich

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tutti"
	"tutti/metacodec"
)

// What an album's tags lack is guessed from what else the library has of its artists, from the names of its folders, and from what a
// generative model finds likely.

// findOwners suggests an artist for albums that count as several artists' although nearly all tracks are one's.
func (l *Library) findOwners() []tutti.Suggestion {
	var out []tutti.Suggestion
	for _, a := range l.albums {
		if a.compiled || a.tracks < 4 || len(a.owners) != 1 || a.owners[0] != variousArtists {
			continue
		}
		firsts := counts{}
		for i, credit := range a.primary.texts {
			first := credit
			if ps := pieces(credit); ps != nil {
				first = ps[0].text
			}
			for range a.primary.n[i] {
				firsts.add(first)
			}
		}
		owner, n := firsts.top()
		if nobody(owner) {
			continue
		}
		share := float64(n) / float64(a.tracks)
		p := logistic(12 * (share - 0.72))
		out = append(out, tutti.Suggestion{
			Kind: tutti.SuggestOwner, Of: string(a.id), Subject: a.title, Tracks: a.tracks, Probability: round(p), Source: byRules, Why: "share",
			Changes: []tutti.TagChange{{Field: tutti.FieldAlbumArtist, Before: a.owners, After: []string{owner}}},
		})
	}
	return out
}

// yearInPath matches a year as people write it into the name of an album's folder.
var yearInPath = regexp.MustCompile(`(?:^|[\s(\[_-])((?:19|20)\d{2})(?:$|[\s)\]_-])`)

// findYears suggests a year for albums without one.
func (l *Library) findYears() []tutti.Suggestion {
	known := make(map[string]int) // by artist and title
	of := func(a *album) string { return key(strings.Join(a.owners, " ")) + "\x00" + key(a.title) }
	for _, a := range l.albums {
		if a.year != 0 && a.title != "" {
			known[of(a)] = a.year
		}
	}
	var out []tutti.Suggestion
	for _, a := range l.albums {
		if a.year != 0 {
			continue
		}
		year, p, why := 0, 0.0, ""
		folders := strings.Split(a.path, "/")
		if y := known[of(a)]; y != 0 {
			year, p, why = y, 0.85, "elsewhere"
		} else if n := len(folders); n > 1 {
			for _, f := range slices.Backward(folders[max(0, n-3) : n-1]) {
				m := yearInPath.FindAllStringSubmatch(f, -1)
				if len(m) == 1 && !strings.Contains(a.title, m[0][1]) {
					year, _ = strconv.Atoi(m[0][1])
					p, why = 0.95, "folder"
					break
				}
			}
		}
		if year == 0 {
			continue
		}
		out = append(out, tutti.Suggestion{
			Kind: tutti.SuggestYear, Of: string(a.id), Subject: subjectOf(a), Tracks: a.tracks, Probability: p, Source: byRules, Why: why,
			Changes: []tutti.TagChange{{Field: tutti.FieldYear, After: []string{strconv.Itoa(year)}}},
		})
	}
	return out
}

func subjectOf(a *album) string {
	if len(a.owners) == 0 {
		return a.title
	}
	return strings.Join(a.owners, ", ") + " · " + a.title
}

// maxGenres is how many of the library's genres are weighed for an album: those that most albums have.
const maxGenres = 40

// GenreGuesser guesses genres from what the library has.
type GenreGuesser struct {
	scorer   Scorer
	genres   []string // most albums first
	prior    []float64
	byArtist map[string]*counts // by key of the artist
}

// Guess is a value with its probability.
type Guess struct {
	Value string
	P     float64
}

// Genres returns what guesses genres.
func (l *Library) Genres(scorer Scorer) *GenreGuesser {
	g := &GenreGuesser{scorer: scorer, byArtist: make(map[string]*counts)}
	all := make(map[string]int)
	total := 0
	for _, a := range l.albums {
		top, n := a.genres.top()
		if n == 0 {
			continue
		}
		all[top]++
		total++
		for _, o := range a.owners {
			if nobody(o) {
				continue
			}
			k := key(o)
			if g.byArtist[k] == nil {
				g.byArtist[k] = new(counts)
			}
			g.byArtist[k].add(top)
		}
	}
	for text := range all {
		g.genres = append(g.genres, text)
	}
	slices.SortFunc(g.genres, func(a, b string) int { return cmp.Or(cmp.Compare(all[b], all[a]), strings.Compare(a, b)) })
	g.genres = g.genres[:min(len(g.genres), maxGenres)]
	for _, text := range g.genres {
		g.prior = append(g.prior, float64(all[text])/float64(total))
	}
	return g
}

// genreWeights: how much an artist's other albums count against the rest of the library, as so many albums of the prior; how
// strongly what the model says does; and by what its result is made less sure of itself. Chosen on the validation part of the
// collection that TestQuality measures with.
var genreWeights = struct{ prior, model, temper float64 }{prior: 1, model: 0.35, temper: 0.5}

// Guess returns genres for an album of an artist, the most probable first.
func (g *GenreGuesser) Guess(artist, album string, titles ...string) []Guess {
	if len(g.genres) == 0 {
		return nil
	}
	w := &genreWeights
	out := make([]Guess, len(g.genres))
	own := g.byArtist[key(artist)]
	for i, text := range g.genres {
		p := w.prior * g.prior[i]
		n := w.prior
		if own != nil {
			for j, t := range own.texts {
				n += float64(own.n[j])
				if t == text {
					p += float64(own.n[j])
				}
			}
		}
		x := math.Log(p / n)
		if g.scorer != nil && own == nil {
			known := metacodec.Value{Field: metacodec.Genre, Text: text}
			x -= w.model * math.Ln2 * g.scorer.Bits(metacodec.AlbumArtist, artist, known)
			x -= w.model * math.Ln2 * g.scorer.Bits(metacodec.Album, album, known, metacodec.Value{Field: metacodec.AlbumArtist, Text: artist})
		}
		if own == nil {
			x *= w.temper
		}
		out[i] = Guess{text, x}
	}
	most := slices.MaxFunc(out, func(a, b Guess) int { return cmp.Compare(a.P, b.P) }).P
	sum := 0.0
	for i := range out {
		out[i].P = math.Exp(out[i].P - most)
		sum += out[i].P
	}
	for i := range out {
		out[i].P /= sum
	}
	slices.SortStableFunc(out, func(a, b Guess) int { return cmp.Compare(b.P, a.P) })
	return out
}

// maxGuessed bounds the albums for which a genre is guessed in one look: the model takes some milliseconds for each.
const maxGuessed = 2000

func (l *Library) findGenres(scorer Scorer) []tutti.Suggestion {
	g := l.Genres(scorer)
	var out []tutti.Suggestion
	guessed := 0
	for _, a := range l.albums {
		if _, n := a.genres.top(); n > 0 || len(a.owners) == 0 || nobody(a.owners[0]) || guessed == maxGuessed {
			continue
		}
		guessed++
		list := g.Guess(a.owners[0], a.title)
		if len(list) == 0 {
			break
		}
		why := "artist"
		if g.byArtist[key(a.owners[0])] == nil {
			why = "model"
		}
		out = append(out, tutti.Suggestion{
			Kind: tutti.SuggestGenre, Of: string(a.id), Subject: subjectOf(a), Tracks: a.tracks, Probability: round(list[0].P), Source: byRules, Why: why,
			Changes: []tutti.TagChange{{Field: tutti.FieldGenre, After: []string{list[0].Value}}},
		})
	}
	return out
}
