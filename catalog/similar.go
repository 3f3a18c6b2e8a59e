package catalog

import (
	"cmp"
	"context"
	"encoding/binary"
	"hash/fnv"
	"slices"
	"strings"

	"tutti"
)

// similarPool bounds how many candidates are weighed.
const similarPool = 400

// soundWeight is what sounding just like it counts for: as much as an artist, a genre and the year together.
const soundWeight = 12

// Similar returns tracks like the thing that id names, from the library itself: those that sound like it, where that was
// listened to, by the same artists, of the same genres and about the same years. The same question gets the same answer until the library changes; different things
// of one genre get different ones.
func (c *Catalog) Similar(ctx context.Context, v tutti.Viewer, id tutti.ID, limit int) ([]tutti.Track, error) {
	w, err := c.look(ctx, v, "")
	if err != nil {
		return nil, err
	}
	defer w.done()
	var (
		r       record
		artists []uint32
		genres  []uint32
		year    int32
		self    = none
		sound   blend
	)
	fromAlbum := func(n uint32) {
		artists = append(artists, w.albums[n].artists...)
		genres = append(genres, w.albums[n].genres...)
		year = w.albums[n].year
		for _, s := range w.albums[n].tracks {
			sound.add(w.heard.at(s))
		}
	}
	if s, ok := w.trackSlot(id); ok {
		self = s
		sound.add(w.heard.at(s))
		w.read(s, &r)
		for _, n := range r.artists {
			artists = append(artists, w.artistByID[creditID(w.lookup(n))])
		}
		for _, n := range r.genres {
			genres = append(genres, w.genreOfDict[n])
		}
		year = w.albums[w.albumOf[s]].year
	} else if n, ok := w.albumSlotOf(id); ok {
		fromAlbum(n)
	} else if n, ok := w.artistSlotOf(id); ok {
		for _, a := range w.artists[n].own {
			fromAlbum(a)
		}
		artists = append(artists[:0], n)
	} else {
		return nil, notFound("catalog.Similar", id)
	}
	slices.Sort(genres)
	genres = slices.Compact(genres)

	// A seed of the thing itself makes the order among equals its own, and lets it begin at its own place in a genre.
	seed := number(id)
	mix := func(n uint64) uint64 {
		h := fnv.New64a()
		var b [16]byte
		binary.LittleEndian.PutUint64(b[:], seed)
		binary.LittleEndian.PutUint64(b[8:], n)
		_, _ = h.Write(b[:]) // a hash never fails
		return h.Sum64()
	}
	type candidate struct {
		slot  uint32
		score int
		tie   uint64
	}
	var pool []candidate
	like, heard := sound.embedding()
	seen := map[uint32]bool{self: true}
	add := func(s uint32) {
		if seen[s] || w.missing[s] || !w.seesTrack(s) {
			return
		}
		seen[s] = true
		w.read(s, &r)
		score := 0
		for _, n := range r.artists {
			if slices.Contains(artists, w.artistByID[creditID(w.lookup(n))]) {
				score += 6
			}
		}
		for _, n := range r.genres {
			if slices.Contains(genres, w.genreOfDict[n]) {
				score += 3
			}
		}
		if y := w.albums[w.albumOf[s]].year; y != 0 && year != 0 {
			score += max(0, 3-int(max(y-year, year-y))/4)
		}
		if row := w.heard.at(s); heard && row != nil {
			score += int(soundWeight * max(0, similarity(like.distance(row))))
		}
		pool = append(pool, candidate{s, score, mix(r.id)})
	}
	if heard {
		for _, m := range w.nearest(&like, similarPool/4, nil) {
			add(m.slot)
		}
	}
	for _, n := range artists {
		tracks := w.artists[n].tracks
		for i := range min(len(tracks), similarPool/3) {
			add(tracks[i])
		}
	}
	for _, g := range genres {
		o := w.genres[g].byArtist
		if o.n == 0 {
			continue
		}
		left := similarPool / max(2, len(genres))
		for a := range o.each(int(mix(uint64(g)) % uint64(o.n))) {
			for _, s := range w.albums[a].tracks {
				add(s)
				left--
			}
			if left <= 0 {
				break
			}
		}
	}
	slices.SortFunc(pool, func(a, b candidate) int { return cmp.Or(-cmp.Compare(a.score, b.score), cmp.Compare(a.tie, b.tie)) })
	slots := make([]uint32, 0, max(0, min(limit, len(pool))))
	for _, p := range pool[:cap(slots)] {
		slots = append(slots, p.slot)
	}
	return w.tracksAt(slots), nil
}

// TopTracks returns an artist's tracks, those that v played most first, then the latest albums'. An artist whom nobody
// knows has none.
func (c *Catalog) TopTracks(ctx context.Context, v tutti.Viewer, artistName string, limit int) ([]tutti.Track, error) {
	w, err := c.lookMine(ctx, v, "")
	if err != nil {
		return nil, err
	}
	defer w.done()
	n, ok := w.artistNamed(artistName)
	if !ok {
		return nil, nil
	}
	type candidate struct {
		slot  uint32
		plays int64
	}
	var (
		r    record
		list []candidate
	)
	for _, s := range w.artists[n].tracks {
		if w.missing[s] || !w.seesTrack(s) {
			continue
		}
		w.read(s, &r)
		if slices.ContainsFunc(r.artists, func(k uint32) bool { return creditID(w.lookup(k)) == w.artists[n].id }) {
			list = append(list, candidate{s, w.mine.of(kindTrack, r.id).PlayCount})
		}
	}
	slices.SortStableFunc(list, func(a, b candidate) int {
		x, y := w.albumOf[a.slot], w.albumOf[b.slot]
		c := cmp.Or(-cmp.Compare(a.plays, b.plays), -cmp.Compare(w.albums[x].year, w.albums[y].year))
		if c == 0 && x != y {
			c = w.compareName(x, y)
		}
		if c == 0 {
			c = cmp.Compare(slices.Index(w.albums[x].tracks, a.slot), slices.Index(w.albums[x].tracks, b.slot))
		}
		return c
	})
	slots := make([]uint32, 0, max(0, min(limit, len(list))))
	for _, x := range list[:cap(slots)] {
		slots = append(slots, x.slot)
	}
	return w.tracksAt(slots), nil
}

// artistNamed finds an artist that v sees by name, as people spell it. Of several the one with most tracks is meant.
func (w *view) artistNamed(name string) (uint32, bool) {
	want := strings.TrimSpace(fold(name))
	found, most := none, 0
	words := queryWords(want)
	if len(words) == 0 {
		return 0, false
	}
	p, ok := w.artistWords.number[words[0]]
	if !ok {
		return 0, false
	}
	for _, n := range w.artistWords.postings[p].slots {
		if x := &w.artists[n]; fold(x.name) == want && w.countOf(x.live) > most {
			found, most = n, w.countOf(x.live)
		}
	}
	return found, found != none
}
