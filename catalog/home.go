package catalog

import (
	"cmp"
	"context"
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"tutti"
)

// What home's shelves are made from.
const (
	homeLimit     = 50                  // albums on one shelf at most
	homeTaste     = 200                 // of a person's albums, from the most played on, say what they like
	homeGenres    = 2                   // shelves of genres
	homePool      = 1000                // albums of a genre or of a decade that are drawn from
	forgottenFor  = 90 * 24 * time.Hour // without having been played
	forgottenPlay = 5                   // plays of an album's tracks that show that somebody liked it
)

// Home makes the shelves of somebody's home page. What is random on it is drawn anew each time.
func (c *Catalog) Home(ctx context.Context, v tutti.Viewer, limit int) ([]tutti.HomeShelf, error) {
	if limit < 1 || limit > homeLimit {
		return nil, tutti.Errorf(tutti.KindInvalid, "catalog.Home", "a shelf has from 1 to %d albums", homeLimit)
	}
	w, err := c.look(ctx, v)
	if err != nil {
		return nil, err
	}
	defer w.done()
	h := home{view: w, limit: limit, now: c.clock.Now()}
	h.ranked(tutti.ShelfPlayed, tutti.AlbumsRecent)
	h.listed(tutti.ShelfAdded, tutti.AlbumsNewest)
	h.ranked(tutti.ShelfFrequent, tutti.AlbumsFrequent)
	h.forgotten()
	h.tastes()
	h.ranked(tutti.ShelfStarred, tutti.AlbumsStarred)
	h.listed(tutti.ShelfRandom, tutti.AlbumsRandom)
	return h.shelves, nil
}

type home struct {
	*view
	limit   int
	now     time.Time
	shelves []tutti.HomeShelf
}

// put adds a shelf, unless it is empty.
func (h *home) put(kind tutti.ShelfKind, of string, albums []uint32) {
	if albums = albums[:min(len(albums), h.limit)]; len(albums) > 0 {
		h.shelves = append(h.shelves, tutti.HomeShelf{Kind: kind, Of: of, Albums: h.albumsAt(albums)})
	}
}

// album returns the album of that number, if the viewer sees it.
func (h *home) album(id uint64) (uint32, bool) {
	n, ok := h.albumByID[id]
	return n, ok && h.albums[n].listed && h.seesAlbum(n)
}

// ranked is a shelf of what the viewer did most or last.
func (h *home) ranked(kind tutti.ShelfKind, by tutti.AlbumOrder) {
	var list []uint32
	for _, id := range h.mine.ranked(kindAlbum, by) {
		if n, ok := h.album(id); ok {
			if list = append(list, n); len(list) == h.limit {
				break
			}
		}
	}
	h.put(kind, "", list)
}

// listed is the beginning of a list of all albums.
func (h *home) listed(kind tutti.ShelfKind, by tutti.AlbumOrder) {
	list, _, _ := h.albumList(tutti.AlbumQuery{Order: by, Page: tutti.Page{Limit: h.limit}}) // these orders need nothing else
	h.put(kind, "", list)
}

// forgotten is what the viewer starred, rated or often played, and not lately.
func (h *home) forgotten() {
	var list []uint32
	before := h.now.Add(-forgottenFor).UnixNano()
	for s, n := range h.mine.notes {
		if s.kind != kindAlbum || n.played > before || n.played == 0 && n.starred > before || n.starred == 0 && n.rating < 4 && n.count < forgottenPlay {
			continue
		}
		if a, ok := h.album(s.n); ok {
			list = append(list, a)
		}
	}
	shuffle(list)
	h.put(tutti.ShelfForgotten, "", list)
}

// tastes are shelves of the genres and of the decade of which the viewer played most.
func (h *home) tastes() {
	genres, decades := map[uint32]int64{}, map[uint32]int64{}
	for i, id := range h.mine.ranked(kindAlbum, tutti.AlbumsFrequent) {
		if i == homeTaste {
			break
		}
		n, ok := h.album(id)
		if !ok {
			continue
		}
		plays := h.mine.notes[subject{kindAlbum, id}].count
		for _, g := range h.albums[n].genres[:min(len(h.albums[n].genres), 2)] { // what follows is afterthoughts
			genres[g] += plays
		}
		if y := h.albums[n].year; y > 0 {
			decades[uint32(y/10*10)] += plays
		}
	}
	for _, g := range most(genres)[:min(len(genres), homeGenres)] {
		name, _ := h.preferred(h.genres[g].spellings)
		h.put(tutti.ShelfGenre, name, h.unheard(h.genres[g].byName.each(h.somewhere(h.genres[g].byName.n))))
	}
	for _, d := range most(decades)[:min(len(decades), 1)] {
		first := h.albumsByYear.rank(func(n uint32) int { return cmp.Compare(h.albums[n].year, int32(d)) })
		end := h.albumsByYear.rank(func(n uint32) int { return cmp.Compare(h.albums[n].year, int32(d)+10) })
		h.put(tutti.ShelfDecade, strconv.Itoa(int(d)), h.unheard(func(yield func(uint32) bool) {
			for n := range h.albumsByYear.each(first + h.somewhere(end-first)) {
				if h.albums[n].year >= int32(d)+10 || !yield(n) {
					return
				}
			}
		}))
	}
}

// most returns the keys with the largest values first.
func most(of map[uint32]int64) []uint32 {
	list := make([]uint32, 0, len(of))
	for k := range of {
		list = append(list, k)
	}
	slices.SortFunc(list, func(a, b uint32) int { return cmp.Or(cmp.Compare(of[b], of[a]), cmp.Compare(a, b)) })
	return list
}

// somewhere is where to begin to draw from a list, so that of a long one not always the same part is drawn from.
func (h *home) somewhere(n int) int { return rand.IntN(max(0, n-homePool) + 1) }

// unheard draws albums, those first that the viewer never played.
func (h *home) unheard(pool iter.Seq[uint32]) []uint32 {
	var fresh, heard []uint32
	left := homePool
	for n := range pool {
		switch {
		case !h.seesAlbum(n):
		case h.mine.notes[subject{kindAlbum, h.albums[n].id}].count > 0:
			heard = append(heard, n)
		default:
			fresh = append(fresh, n)
		}
		if left--; left == 0 {
			break
		}
	}
	shuffle(fresh)
	shuffle(heard)
	return append(fresh, heard...)
}

func shuffle(list []uint32) {
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}
