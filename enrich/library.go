package enrich

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"tutti"
)

// Limits of what a look holds in memory, some 200 MB at the most, for a library of millions of tracks; what is beyond is not looked at.
const (
	maxNames      = 1 << 19
	maxRecordings = 4 << 20
)

// Library is what one look through the tracks gathers. It is used by one goroutine.
type Library struct {
	tracks     int
	names      map[string]*name
	albums     []*album
	byID       map[tutti.ID]*album
	recordings []recording
	titles     []tutti.Suggestion
	amended    fieldsOf
}

// name is one spelling of an artist.
type name struct {
	text   string
	tracks int // that credit it, in any way
	whole  int // whose artists it is all of
	albums int // whose artist it is
	last   *album
}

// album is what the finders want to know of an album.
type album struct {
	id       tutti.ID
	title    string
	owners   []string
	year     int
	genres   counts
	primary  counts // first artists of the tracks
	tracks   int
	path     string // of one of its tracks
	compiled bool
	works    []titled
}

// counts counts texts, in the order of their first appearance.
type counts struct {
	texts []string
	n     []int
}

func (c *counts) add(s string) {
	if i := slices.Index(c.texts, s); i >= 0 {
		c.n[i]++
		return
	}
	if len(c.texts) < 64 {
		c.texts, c.n = append(c.texts, s), append(c.n, 1)
	}
}

// top returns what was counted most, and how often; the first of equals.
func (c *counts) top() (string, int) {
	best := 0
	for i, n := range c.n {
		if n > c.n[best] {
			best = i
		}
	}
	if len(c.n) == 0 {
		return "", 0
	}
	return c.texts[best], c.n[best]
}

// Read looks through a library.
func Read(ctx context.Context, from tutti.Tagged) (*Library, error) {
	l := NewLibrary()
	amended, err := from.Amendments(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range amended {
		l.amended[fieldOf{a.Field, a.Of}] = true
	}
	if err := from.EachTagged(ctx, func(t *tutti.Track) error { l.Add(t); return nil }); err != nil {
		return nil, err
	}
	return l, nil
}

// NewLibrary returns a library without tracks.
func NewLibrary() *Library {
	return &Library{names: make(map[string]*name), byID: make(map[tutti.ID]*album), amended: make(fieldsOf)}
}

// The names that the scanner writes where tags say nothing. They are nobody's.
const (
	unknownArtist  = "[Unknown Artist]"
	variousArtists = "Various Artists"
)

func nobody(s string) bool { return s == unknownArtist || s == variousArtists }

// Add looks at a track. Tracks of one album come together, or the album counts as several.
func (l *Library) Add(t *tutti.Track) {
	l.tracks++
	a := l.byID[t.AlbumID]
	if a == nil {
		a = &album{id: t.AlbumID, title: t.Album, path: t.Path, compiled: t.Compilation}
		for _, o := range t.AlbumArtists {
			a.owners = append(a.owners, o.Name)
		}
		l.byID[t.AlbumID] = a
		l.albums = append(l.albums, a)
	}
	a.tracks++
	if y := cmp.Or(t.OriginalDate.Year, t.Date.Year, t.ReleaseDate.Year); y != 0 && (a.year == 0 || y < a.year) {
		a.year = y
	}
	for _, g := range t.Genres {
		a.genres.add(g)
	}
	if len(t.Artists) > 0 {
		a.primary.add(t.Artists[0].Name)
	}
	for _, x := range t.Artists {
		if n := l.credit(x.Name, a); n != nil && len(t.Artists) == 1 {
			n.whole++
		}
	}
	for _, x := range t.AlbumArtists {
		n := l.credit(x.Name, a)
		if n != nil && n.last != a {
			n.last = a
			n.albums++
		}
	}
	l.readTitle(t, a)
	l.readRecording(t)
}

func (l *Library) credit(text string, _ *album) *name {
	if nobody(text) {
		return nil
	}
	n := l.names[text]
	if n == nil {
		if len(l.names) >= maxNames {
			return nil
		}
		n = &name{text: strings.Clone(text)}
		l.names[n.text] = n
	}
	n.tracks++
	return n
}

// sortedNames returns the names in byte order, so that a look finds the same whatever the order of the map.
func (l *Library) sortedNames() []*name {
	list := make([]*name, 0, len(l.names))
	for _, n := range l.names {
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b *name) int { return strings.Compare(a.text, b.text) })
	return list
}

// Find returns what all finders suggest, at most perKind of a kind, the most probable. Nothing is suggested for what is amended.
// Without a scorer, finders do without what a model says.
func (l *Library) Find(scorer Scorer) []tutti.Suggestion {
	var out []tutti.Suggestion
	split := l.findSplits(scorer)
	taken := make(map[string]bool, len(split))
	for i := range split {
		taken[split[i].Of] = true
	}
	for _, list := range [][]tutti.Suggestion{
		split, l.findSpellings(taken), l.findTitles(), l.findOwners(), l.findGenres(scorer), l.findYears(), l.findDuplicates(),
	} {
		list = slices.DeleteFunc(list, func(s tutti.Suggestion) bool { return s.Probability < Least || l.amended.touches(&s) })
		slices.SortStableFunc(list, func(a, b tutti.Suggestion) int {
			return cmp.Or(cmp.Compare(b.Probability, a.Probability), cmp.Compare(b.Tracks, a.Tracks), strings.Compare(a.Subject, b.Subject))
		})
		out = append(out, list[:min(len(list), perKind)]...)
	}
	return out
}

// Least is the probability below which nothing is suggested.
const Least = 0.6

// round keeps a probability to two digits, so that a little more evidence is no reason to write it anew, and never says 1.
func round(p float64) float64 { return float64(int(min(p, 0.99)*100+0.5)) / 100 }

const byRules = "rules"
