package catalog

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"tutti"
)

// Lists of tracks come in the order of their albums, which are kept sorted anyway; or in an order of the tracks' own,
// which is made when somebody first asks for it and kept up from then on; or in that of what the viewer did. Where not
// everything is wanted, the whole order is walked once and what matches is remembered for the next pages.

// Tracks lists the tracks that match. How many there are is exact but for a random order with several conditions.
func (c *Catalog) Tracks(ctx context.Context, v tutti.Viewer, q tutti.TrackQuery) ([]tutti.Track, int, error) {
	const op = "catalog.Tracks"
	if len(q.Text) > maxQuery {
		return nil, 0, tutti.Errorf(tutti.KindInvalid, op, "a search may have %d bytes of text", maxQuery)
	}
	look := c.look
	if _, personal := personalOrders[q.Order]; personal && !q.Random {
		look = c.lookMine
	}
	key, own := ownOrders[q.Order]
	for {
		if own && !q.Random {
			if err := c.sortTracks(ctx, c.current(), key); err != nil {
				return nil, 0, err
			}
		}
		w, err := look(ctx, v, q.Libraries...)
		if err != nil {
			return nil, 0, err
		}
		if own && !q.Random && w.tracksBy[key] == nil { // the model was replaced in between
			w.done()
			continue
		}
		defer w.done()
		slots, n, err := w.trackList(op, q)
		if err != nil {
			return nil, 0, err
		}
		return w.tracksAt(slots), n, nil
	}
}

// personalOrders are the orders of what the viewer did, as people rank it.
var personalOrders = map[tutti.TrackOrder]tutti.AlbumOrder{
	tutti.TracksRecent: tutti.AlbumsRecent, tutti.TracksFrequent: tutti.AlbumsFrequent, tutti.TracksStarred: tutti.AlbumsStarred, tutti.TracksHighest: tutti.AlbumsHighest,
}

// ownOrders are the orders that have nothing to do with albums.
var ownOrders = map[tutti.TrackOrder]trackKey{tutti.TracksByTitle: byTitle, tutti.TracksByDuration: byDuration, tutti.TracksAdded: byAdded}

// trackFilter is a TrackQuery in slots.
type trackFilter struct {
	genres   []uint32 // any of these; nil: any at all
	formats  uint64   // any of these; 0: any at all
	artist   uint32   // none: any
	from, to int      // years
	among    bitmap   // nil: all
	empty    bool     // nothing can match
}

// everything reports whether the filter lets everything pass.
func (f *trackFilter) everything() bool {
	return len(f.genres) == 0 && f.formats == 0 && f.artist == none && f.from == 0 && f.to == 0 && f.among == nil
}

// bitmap is a set of slots.
type bitmap []uint64

func (b bitmap) has(slot uint32) bool { return b[slot/64]&(1<<(slot%64)) != 0 }

func (b bitmap) add(slot uint32) { b[slot/64] |= 1 << (slot % 64) }

func (w *view) filter(q tutti.TrackQuery) trackFilter {
	f := trackFilter{artist: none, from: q.FromYear, to: q.ToYear}
	if f.from != 0 && f.to != 0 && f.from > f.to {
		f.from, f.to = f.to, f.from
	}
	var genres, formats bool
	f.genres, genres = w.genresOf(q.Genres)
	f.formats, formats = w.formatsOf(q.Formats)
	f.empty = !genres || !formats
	if q.Artist != "" {
		var ok bool
		if f.artist, ok = w.artistSlotOf(q.Artist); !ok {
			f.empty = true
		}
	}
	return f
}

// albumMatches reports whether tracks of the album can match.
func (w *view) albumMatches(f *trackFilter, n uint32) bool {
	return w.albumHas(n, f.genres, f.formats, f.from, f.to)
}

// matches reports whether a track of an album that matches does so itself.
func (w *view) matches(f *trackFilter, slot uint32, r *record) bool {
	if w.refs[slot] == 0 || w.missing[slot] || !w.seesTrack(slot) || (f.among != nil && !f.among.has(slot)) {
		return false
	}
	if f.artist != none {
		if _, ok := slices.BinarySearch(w.artists[f.artist].tracks, slot); !ok {
			return false
		}
	}
	a := &w.albums[w.albumOf[slot]]
	one := f.formats == 0 || a.formats&^f.formats == 0 // all of the album's formats will do
	genre := len(f.genres) == 0
	for i, g := range a.genres { // or all of its tracks have one
		genre = genre || int32(a.genreTracks[i]) == a.live && slices.Contains(f.genres, g)
	}
	if genre && one {
		return true
	}
	w.read(slot, r)
	if !one && !w.formatIn(r, f.formats) {
		return false
	}
	return genre || slices.ContainsFunc(r.genres, func(n uint32) bool { return slices.Contains(f.genres, w.genreOfDict[n]) })
}

func (m *model) formatIn(r *record, set uint64) bool {
	d := decodeString(m.lookup(r.audio))
	i := slices.Index(m.formats, d.string())
	return i >= 0 && set&(1<<min(i, 63)) != 0
}

// trackList returns a page of the tracks that a query selects, and how many there are.
func (w *view) trackList(op string, q tutti.TrackQuery) ([]uint32, int, error) {
	f := w.filter(q)
	if f.empty {
		return nil, 0, nil
	}
	if words := queryWords(strings.TrimSpace(fold(q.Text))); len(words) > 0 {
		f.among = w.withWords(words)
	}
	p := tutti.Page{Offset: max(q.Offset, 0), Limit: max(q.Limit, 0)}
	if q.Random {
		slots, n := w.randomTracks(f, p)
		return slots, n, nil
	}
	if by, ok := personalOrders[q.Order]; ok {
		var (
			list []uint32
			r    record
		)
		for _, id := range w.mine.ranked(kindTrack, by) {
			if s, ok := w.byID.find(id); ok && w.albumMatches(&f, w.albumOf[s]) && w.matches(&f, s, &r) {
				list = append(list, s)
			}
		}
		return turned(list, p, q.Reverse), len(list), nil
	}
	o, ofAlbums, ok := w.orderOf(q.Order)
	if !ok {
		return nil, 0, tutti.Errorf(tutti.KindInvalid, op, "%q is not an order of tracks", string(q.Order))
	}
	if ofAlbums && f.artist != none && f.among == nil {
		list := w.artistTracks(&f, o.cmp)
		return turned(list, p, q.Reverse), len(list), nil
	}
	// Where an order's weights say how many tracks match, the page is found without a walk.
	known := w.whole() && f.everything()
	if g := f.genres; ofAlbums && len(g) == 1 && w.whole() && o == w.albumsByArtist {
		if rest := (trackFilter{formats: f.formats, artist: f.artist, from: f.from, to: f.to, among: f.among}); rest.everything() {
			o, known = w.genres[g[0]].byArtist, true
		}
	}
	if !known {
		list := w.c.lists.get(listOf(w, q), func() []uint32 { return w.walk(o, ofAlbums, &f) })
		return turned(list, p, q.Reverse), len(list), nil
	}
	if q.Reverse { // the same page, counted from the beginning
		end := max(0, o.total-p.Offset)
		p = tutti.Page{Offset: max(0, end-p.Limit), Limit: min(end, p.Limit)}
	}
	slots := w.pageOfTracks(o, ofAlbums, &f, p)
	if q.Reverse {
		slices.Reverse(slots)
	}
	return slots, o.total, nil
}

// turned is a page of a list, which may be counted from its end.
func turned(list []uint32, p tutti.Page, reverse bool) []uint32 {
	if !reverse {
		return window(list, p)
	}
	end := max(0, len(list)-p.Offset)
	part := slices.Clone(list[max(0, end-p.Limit):end])
	slices.Reverse(part)
	return part
}

// orderOf returns the order of that name, and whether it is one of albums, whose tracks then follow one another.
func (w *view) orderOf(by tutti.TrackOrder) (o *order, ofAlbums, ok bool) {
	switch by {
	case "", tutti.TracksByArtist:
		return w.albumsByArtist, true, true
	case tutti.TracksByAlbum:
		return w.albumsByName, true, true
	case tutti.TracksByYear:
		return w.albumsByYear, true, true
	}
	k, ok := ownOrders[by]
	if !ok {
		return nil, false, false
	}
	return w.tracksBy[k], false, true
}

// walk returns all tracks that match, in order.
func (w *view) walk(o *order, ofAlbums bool, f *trackFilter) []uint32 {
	var (
		list []uint32
		r    record
	)
	for n := range o.each(0) {
		if !ofAlbums {
			if w.albumMatches(f, w.albumOf[n]) && w.matches(f, n, &r) {
				list = append(list, n)
			}
			continue
		}
		if !w.albumMatches(f, n) {
			continue
		}
		for _, s := range w.albums[n].tracks {
			if w.matches(f, s, &r) {
				list = append(list, s)
			}
		}
	}
	return list
}

// pageOfTracks is a page of an order whose weights are those of the tracks that match.
func (w *view) pageOfTracks(o *order, ofAlbums bool, f *trackFilter, p tutti.Page) []uint32 {
	var r record
	slots := make([]uint32, 0, min(p.Limit, o.total))
	if !ofAlbums {
		for s := range o.each(p.Offset) {
			if len(slots) == p.Limit {
				break
			}
			slots = append(slots, s)
		}
		return slots
	}
	for a, skip := range o.eachWeighted(p.Offset) {
		if len(slots) >= p.Limit {
			break
		}
		for _, s := range w.albums[a].tracks {
			if !w.matches(f, s, &r) {
				continue
			}
			if skip > 0 {
				skip--
				continue
			}
			if len(slots) < p.Limit {
				slots = append(slots, s)
			}
		}
	}
	return slots
}

// artistTracks lists one artist's tracks that match, by their albums in the order given and their places in those.
func (w *view) artistTracks(f *trackFilter, order func(a, b uint32) int) []uint32 {
	var (
		r      record
		albums []uint32
	)
	for _, s := range w.artists[f.artist].tracks {
		if a := w.albumOf[s]; w.albums[a].listed && w.albumMatches(f, a) && !slices.Contains(albums, a) {
			albums = append(albums, a)
		}
	}
	slices.SortFunc(albums, order)
	var list []uint32
	for _, a := range albums {
		for _, s := range w.albums[a].tracks {
			if w.matches(f, s, &r) {
				list = append(list, s)
			}
		}
	}
	return list
}

// withWords returns the tracks that have, for each word, one that begins with it: all of them, where a search stops at
// as many as anybody looks at.
func (w *view) withWords(words []string) bitmap {
	var all bitmap
	for _, word := range words {
		set := make(bitmap, (len(w.refs)+63)/64)
		for n := range w.trackWords.prefixed(word) {
			for _, s := range w.trackWords.postings[n].slots {
				set.add(s)
			}
		}
		if all == nil {
			all = set
			continue
		}
		for i := range all {
			all[i] &= set[i]
		}
	}
	return all
}

// randomTracks draws tracks at random, each at most once. Where many match, slots are drawn until enough of them do;
// else all that match are gathered.
func (w *view) randomTracks(f trackFilter, p tutti.Page) ([]uint32, int) {
	var (
		r       record
		drawn   []uint32
		n       = 0
		total   = len(w.refs)
		already = make(map[uint32]struct{})
	)
	for i := range w.counts {
		if w.mask&(1<<i) != 0 {
			n += w.counts[i].tracks
		}
	}
	if total == 0 || n == 0 {
		return nil, 0
	}
	for tries := 16*p.Limit + 64; tries > 0 && len(drawn) < min(p.Limit, n); tries-- {
		s := rand.Uint32N(uint32(total))
		if _, ok := already[s]; ok || w.refs[s] == 0 {
			continue
		}
		if already[s] = struct{}{}; w.albumMatches(&f, w.albumOf[s]) && w.matches(&f, s, &r) {
			drawn = append(drawn, s)
		}
	}
	if len(drawn) == min(p.Limit, n) {
		return drawn, n
	}
	list := w.walk(w.albumsByArtist, true, &f)
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return window(list, tutti.Page{Limit: p.Limit}), len(list)
}

// ---- orders of the tracks' own ----

// trackKey is what tracks are sorted by.
type trackKey int

const (
	byTitle trackKey = iota
	byDuration
	byAdded
	trackKeys
)

// appendTrackKey appends what a track is sorted by, so that bytes compare as tracks do; its ID comes last.
func (m *model) appendTrackKey(b []byte, k trackKey, slot uint32, r *record) []byte {
	m.read(slot, r)
	switch k {
	case byTitle:
		title := r.sortTitle()
		if title == "" {
			title = viewString(r.title)
		}
		b = append(append(b, sortKey(title, m.articles)...), 0)
	case byDuration:
		b = binary.BigEndian.AppendUint64(b, uint64(r.duration))
	case byAdded: // newest first
		b = binary.BigEndian.AppendUint64(b, ^(uint64(r.added) ^ 1<<63))
	}
	return binary.BigEndian.AppendUint64(b, r.id)
}

func (m *model) newTrackOrder(k trackKey) *order {
	return newOrder(func(a, b uint32) int {
		var (
			r    record
			x, y [128]byte
		)
		return bytes.Compare(m.appendTrackKey(x[:0], k, a, &r), m.appendTrackKey(y[:0], k, b, &r))
	}, nil)
}

// list enters a track that is not missing into the orders that there are; unlist takes it out, before anything about it
// changes.
func (m *model) list(slot uint32) {
	for _, o := range m.tracksBy {
		if o != nil {
			o.insert(slot)
		}
	}
	if m.moved != nil {
		m.moved[slot] = struct{}{}
	}
}

func (m *model) unlist(slot uint32) {
	for _, o := range m.tracksBy {
		if o != nil {
			o.remove(slot)
		}
	}
	if m.moved != nil {
		m.moved[slot] = struct{}{}
	}
}

// sortLot is how many tracks' keys are gathered at a time while the model is held still: some milliseconds' worth.
const sortLot = 1 << 14

// sortTracks makes an order of tracks, unless there is one. The model goes on changing meanwhile: what did is put right
// at the end.
func (c *Catalog) sortTracks(ctx context.Context, m *model, k trackKey) error {
	m.mu.RLock()
	done := m.tracksBy[k] != nil
	m.mu.RUnlock()
	if done {
		return nil
	}
	if err := c.sorting.lock(ctx); err != nil {
		return err
	}
	defer c.sorting.unlock()
	m.mu.Lock()
	if m.tracksBy[k] != nil {
		m.mu.Unlock()
		return nil
	}
	m.moved = make(map[uint32]struct{})
	m.mu.Unlock()

	// All keys lie in one piece of memory. Most comparisons are decided by the first bytes of each, side by side.
	type keyed struct {
		head     uint64
		from, to int
		slot     uint32
	}
	var (
		keys []byte
		list []keyed
		r    record
	)
	for first, all := 0, false; !all; first += sortLot {
		m.mu.RLock()
		end := min(first+sortLot, len(m.refs))
		for s := first; s < end; s++ {
			if m.refs[s] == 0 || m.missing[s] {
				continue
			}
			from := len(keys)
			keys = m.appendTrackKey(keys, k, uint32(s), &r)
			list = append(list, keyed{stringHead(viewString(keys[from:])), from, len(keys), uint32(s)})
		}
		all = end == len(m.refs)
		m.mu.RUnlock()
	}
	slices.SortFunc(list, func(a, b keyed) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		return bytes.Compare(keys[a.from:a.to], keys[b.from:b.to])
	})

	m.mu.Lock()
	defer m.mu.Unlock()
	sorted := make([]uint32, 0, len(list))
	for i := range list {
		if _, moved := m.moved[list[i].slot]; !moved {
			sorted = append(sorted, list[i].slot)
		}
	}
	o := m.newTrackOrder(k)
	o.fillSorted(sorted)
	for s := range m.moved {
		if m.refs[s] != 0 && !m.missing[s] {
			o.insert(s)
		}
	}
	m.tracksBy[k], m.moved = o, nil
	return nil
}

// ---- remembered lists ----

// trackLists remembers which tracks some queries selected, for as long as the catalogue stays as it is: whoever scrolls
// through a list asks for page after page.
type trackLists struct {
	mu   sync.Mutex
	held []trackSet // the latest asked for last
}

type trackSet struct {
	key   listKey
	slots []uint32
}

// listKey is all that such a list depends on.
type listKey struct {
	model      *model
	generation uint64
	mask       uint64
	query      string
}

// Limits of what is remembered: lists, and tracks in them together, at four bytes each.
const (
	maxLists  = 16
	maxListed = 4 << 20
)

func listOf(w *view, q tutti.TrackQuery) listKey {
	var b []byte
	for _, list := range [...][]string{{q.Text}, q.Genres, q.Formats, {string(q.Artist)}, {string(q.Order)}} {
		b = appendUvarint(b, uint64(len(list)))
		for _, s := range list {
			b = appendString(b, s)
		}
	}
	b = appendVarint(appendVarint(b, int64(q.FromYear)), int64(q.ToYear))
	return listKey{w.model, w.generation, w.mask, string(b)}
}

// get returns the list of that key, which make makes if need be. Nobody may change it.
func (l *trackLists) get(k listKey, make func() []uint32) []uint32 {
	l.mu.Lock()
	i := slices.IndexFunc(l.held, func(s trackSet) bool { return s.key == k })
	if i >= 0 {
		found := l.held[i]
		l.held = append(slices.Delete(l.held, i, i+1), found)
		l.mu.Unlock()
		return found.slots
	}
	l.mu.Unlock()
	made := make()
	if len(made) > maxListed {
		return made
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// What is of an older state of the catalogue is asked for no more.
	l.held = slices.DeleteFunc(l.held, func(s trackSet) bool {
		return s.key == k || s.key.model != k.model || s.key.generation < k.generation
	})
	l.held = append(l.held, trackSet{k, made})
	total := 0
	for i := len(l.held) - 1; i >= 0; i-- {
		if total += len(l.held[i].slots); total > maxListed || len(l.held)-i > maxLists {
			l.held = slices.Delete(l.held, 0, i+1)
			break
		}
	}
	return made
}
