package catalog

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"tutti"
)

// maxQuery bounds the text of a search, in bytes.
const maxQuery = 512

// Search returns what matches every word of the text: a word matches where a word of the thing's names begins with
// it. Tracks are found by their own, their artists' and their album's names; albums by theirs and their artists'.
// Case, accents and compatibility forms make no difference.
//
// Best first means: the whole name; names that begin with the text; names that have all words; the rest. Among equals
// what the viewer plays more comes first, then shorter names.
func (c *Catalog) Search(ctx context.Context, v tutti.Viewer, q tutti.SearchQuery) (tutti.SearchResult, error) {
	var res tutti.SearchResult
	if len(q.Text) > maxQuery {
		return res, tutti.Errorf(tutti.KindInvalid, "catalog.Search", "a search may have %d bytes of text", maxQuery)
	}
	w, err := c.look(ctx, v, q.Library)
	if err != nil {
		return res, err
	}
	defer w.done()
	text := strings.TrimSpace(fold(q.Text))
	words := queryWords(text)
	if len(words) == 0 {
		w.everything(q, &res)
		return res, nil
	}
	effort := c.cfg.Tuning.SearchEffort
	if q.Artists.Limit > 0 {
		for _, n := range window(w.findArtists(text, words, effort), q.Artists) {
			res.Artists = append(res.Artists, w.artistAt(n))
		}
	}
	if q.Albums.Limit > 0 {
		res.Albums = w.albumsAt(window(w.findAlbums(text, words, effort), q.Albums))
	}
	if q.Tracks.Limit > 0 {
		res.Tracks = w.tracksAt(window(w.findTracks(text, words, effort), q.Tracks))
	}
	return res, nil
}

// everything answers an empty search: clients that keep a copy of the library page through it.
func (w *view) everything(q tutti.SearchQuery, res *tutti.SearchResult) {
	if q.Artists.Limit > 0 {
		whole, skip := w.whole(), max(q.Artists.Offset, 0)
		from := 0
		if whole {
			from, skip = skip, 0
		}
		for n := range w.artistsByName.each(from) {
			if !whole && w.countOf(w.artists[n].live) == 0 {
				continue
			}
			if skip > 0 {
				skip--
				continue
			}
			if res.Artists = append(res.Artists, w.artistAt(n)); len(res.Artists) == q.Artists.Limit {
				break
			}
		}
	}
	if q.Albums.Limit > 0 {
		p := tutti.Page{Offset: max(q.Albums.Offset, 0), Limit: q.Albums.Limit}
		slots, _, _ := w.pageOf(w.albumsByName, p, w.whole(), w.seesAlbum) // an order's page cannot fail
		res.Albums = w.albumsAt(slots)
	}
	if q.Tracks.Limit > 0 {
		slots, _ := w.orderedTracks(trackFilter{genre: none, artist: none}, q.Tracks)
		res.Tracks = w.tracksAt(slots)
	}
}

// hit is a match with what it is ranked by.
type hit struct {
	slot  uint32
	rank  uint8 // less is better
	plays int64
	size  int // of the name
	id    uint64
}

// The ranks of a match.
const (
	rankWhole  = iota // the name is the text
	rankBegins        // the name begins with it
	rankExact         // every word of the text is a word of the name
	rankNamed         // every word of the text begins a word of the name
	rankOther         // some are in other names
)

// rankOf ranks a folded name.
func rankOf(name, text string, words []string) uint8 {
	if rest, ok := strings.CutPrefix(name, text); ok {
		if rest == "" {
			return rankWhole
		}
		return rankBegins
	}
	rank := uint8(rankExact)
	for _, want := range words {
		switch begins, is := hasWord(name, want); {
		case is:
		case begins:
			rank = rankNamed
		default:
			return rankOther
		}
	}
	return rank
}

// hasWord reports whether a word of the folded text begins with want, and whether one is want.
func hasWord(folded, want string) (begins, is bool) {
	eachWord(folded, func(w string) {
		if strings.HasPrefix(w, want) {
			begins = true
			is = is || w == want
		}
	})
	return begins, is
}

// best sorts hits and returns their slots.
func best(hits []hit) []uint32 {
	slices.SortFunc(hits, func(a, b hit) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), -cmp.Compare(a.plays, b.plays), cmp.Compare(a.size, b.size), cmp.Compare(a.id, b.id))
	})
	slots := make([]uint32, len(hits))
	for i, h := range hits {
		slots[i] = h.slot
	}
	return slots
}

func (w *view) findArtists(text string, words []string, effort int) []uint32 {
	var hits []hit
	check := func(n uint32, prefix string) bool {
		begins, _ := hasWord(fold(w.artists[n].name), prefix)
		return begins
	}
	w.artistWords.find(words, effort, check, func(n uint32) bool {
		x := &w.artists[n]
		if w.countOf(x.live) > 0 {
			name := fold(x.name)
			hits = append(hits, hit{n, rankOf(name, text, words), w.mine.of(kindArtist, x.id).PlayCount, len(name), x.id})
		}
		return true
	})
	return best(hits)
}

func (w *view) findAlbums(text string, words []string, effort int) []uint32 {
	var (
		hits []hit
		buf  []byte
	)
	check := func(n uint32, prefix string) bool {
		for _, word := range w.albumWordsOf(n) {
			if strings.HasPrefix(word, prefix) {
				return true
			}
		}
		return false
	}
	w.albumWords.find(words, effort, check, func(n uint32) bool {
		if w.seesAlbum(n) {
			d := decoder{b: w.arena.get(w.albums[n].blob)}
			buf = appendFold(buf[:0], viewString(d.bytes()))
			id := w.albums[n].id
			hits = append(hits, hit{n, rankOf(viewString(buf), text, words), w.mine.of(kindAlbum, id).PlayCount, len(buf), id})
		}
		return true
	})
	return best(hits)
}

func (w *view) findTracks(text string, words []string, effort int) []uint32 {
	var (
		hits []hit
		buf  []byte
		r    record
	)
	check := func(s uint32, prefix string) bool {
		w.read(s, &r)
		found := false
		w.eachTrackWord(&r, func(word string) { found = found || strings.HasPrefix(word, prefix) })
		return found
	}
	w.trackWords.find(words, effort, check, func(s uint32) bool {
		if !w.missing[s] && w.seesTrack(s) {
			w.read(s, &r)
			buf = appendFold(buf[:0], viewString(r.title))
			hits = append(hits, hit{s, rankOf(viewString(buf), text, words), w.mine.of(kindTrack, r.id).PlayCount, len(buf), r.id})
		}
		return true
	})
	return best(hits)
}
