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
		slots, _, _ := w.trackList("catalog.Search", tutti.TrackQuery{Page: q.Tracks}) // an order's page cannot fail
		res.Tracks = w.tracksAt(slots)
	}
}

// hit is a match with what it is ranked by.
type hit struct {
	slot  uint32
	rank  uint8 // less is better
	size  uint8 // of the name, up to 255
	plays int64
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

// closely is how many matches are compared by what they say; the rest follow by the length of their names.
const closely = 128

// best puts matches in order, and may use found's memory for it. sizes has the lengths of names by slot, so that none is looked at for that. Of many matches, those
// whose names are not much longer than the text are the ones that can be best, so only they are looked at closely.
func best(found []uint32, text string, sizes []uint8, look func(*hit)) []uint32 {
	shortest := uint8(min(len(text), 255))
	far := func(n uint8) int { // names shorter than the text cannot have it
		if n < shortest {
			return 512 - int(n)
		}
		return int(n)
	}
	slots := found
	if len(found) > closely {
		slots = make([]uint32, len(found))
		var counts [513]int
		for _, s := range found {
			counts[far(sizes[s])]++
		}
		at := 0
		for i, n := range counts {
			counts[i] = at
			at += n
		}
		for _, s := range found {
			at := &counts[far(sizes[s])]
			slots[*at] = s
			*at++
		}
	}
	near := make([]hit, min(len(slots), closely))
	for i := range near {
		near[i] = hit{slot: slots[i], size: sizes[slots[i]]}
		look(&near[i])
	}
	slices.SortFunc(near, func(a, b hit) int {
		switch {
		case a.rank != b.rank:
			return cmp.Compare(a.rank, b.rank)
		case a.plays != b.plays:
			return cmp.Compare(b.plays, a.plays)
		case a.size != b.size:
			return cmp.Compare(a.size, b.size)
		}
		return cmp.Compare(a.id, b.id)
	})
	for i := range near {
		slots[i] = near[i].slot
	}
	return slots
}

func (w *view) findArtists(text string, words []string, effort int) []uint32 {
	found := w.artistWords.find(words, effort, func(n uint32, prefix string) bool {
		begins, _ := hasWord(fold(w.artists[n].name), prefix)
		return begins
	})
	if !w.whole() { // what is indexed has tracks
		found = slices.DeleteFunc(found, func(n uint32) bool { return w.countOf(w.artists[n].live) == 0 })
	}
	var buf []byte
	return best(found, text, w.artistLen, func(h *hit) {
		x := &w.artists[h.slot]
		buf = appendFold(buf[:0], x.name)
		h.id, h.rank = x.id, rankOf(viewString(buf), text, words)
		h.plays = w.mine.of(kindArtist, x.id).PlayCount
	})
}

func shortLen(n int) uint8 { return uint8(min(n, 255)) }

func (w *view) findAlbums(text string, words []string, effort int) []uint32 {
	found := w.albumWords.find(words, effort, func(n uint32, prefix string) bool {
		for _, word := range w.albumWordsOf(n) {
			if strings.HasPrefix(word, prefix) {
				return true
			}
		}
		return false
	})
	if !w.whole() {
		found = slices.DeleteFunc(found, func(n uint32) bool { return !w.seesAlbum(n) })
	}
	var buf []byte
	return best(found, text, w.albumLen, func(h *hit) {
		d := decoder{b: w.arena.get(w.albums[h.slot].blob)}
		buf = appendFold(buf[:0], viewString(d.bytes()))
		h.id, h.rank = w.albums[h.slot].id, rankOf(viewString(buf), text, words)
		h.plays = w.mine.of(kindAlbum, h.id).PlayCount
	})
}

func (w *view) findTracks(text string, words []string, effort int) []uint32 {
	var (
		buf []byte
		r   record
	)
	found := w.trackWords.find(words, effort, func(s uint32, prefix string) bool {
		w.read(s, &r)
		has := false
		w.eachTrackWord(&r, func(word string) { has = has || strings.HasPrefix(word, prefix) })
		return has
	})
	found = slices.DeleteFunc(found, func(s uint32) bool { return w.missing[s] || !w.seesTrack(s) })
	return best(found, text, w.titleLen, func(h *hit) {
		id, title := recordTitle(w.bytes(h.slot))
		buf = appendFold(buf[:0], viewString(title))
		h.id, h.rank = id, rankOf(viewString(buf), text, words)
		h.plays = w.mine.of(kindTrack, id).PlayCount
	})
}
