package catalog

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"tutti"
	"tutti/catalog/scan"
)

// none stands for "no slot".
const none = ^uint32(0)

// The dictionary numbers of the two roles that need no tag of their own; every dictionary begins with them.
const (
	roleArtist = iota
	roleAlbumArtist
)

// maxLibraries is how many libraries there can be: a set of them is one machine word.
const maxLibraries = 64

// model is the read model: everything the catalogue knows that is not one person's. Things are numbered by slots, so
// that lists of them are plain integers; a track keeps its slot for as long as it is known.
//
// Tracks are the only truth. Albums, artists, genres and folders are derived from them, at the end of each batch of
// changes for those it touched, so the model is the same whether it was built in one go or change by change.
type model struct {
	mu       sync.RWMutex // readers hold it for one query; writers for a few dozen changes
	articles []string     // folded; ignored at the beginning of names when sorting

	dict  *dict
	arena arena

	libraries []string // by number
	counts    []counts // by library number
	formats   []string // suffixes of files, by the number of their bit

	// By track slot.
	refs     []ref // 0: free
	albumOf  []uint32
	folderOf []uint32
	libOf    []uint8
	missing  []bool
	titleLen []uint8
	free     []uint32
	heard    rows // what was heard in them
	byID     slotTable
	byFP     slotTable // by the first eight bytes of the fingerprint

	// By album and artist slot: the lengths of names, which a search asks of thousands.
	albumLen, artistLen []uint8

	albums       []album
	albumByID    map[uint64]uint32
	artists      []artist
	artistByID   map[uint64]uint32
	genres       []genre
	genreByName  map[string]uint32 // folded
	genreOfDict  map[uint32]uint32 // spelling → genre
	folders      []folder
	folderByID   map[uint64]uint32
	folderByPath map[folderKey]uint32

	albumsByName, albumsByArtist, albumsByAdded, albumsByYear *order
	artistsByName                                             *order
	tracksBy                                                  [trackKeys]*order // nil until somebody asks for it
	moved                                                     map[uint32]struct{}
	trackWords, albumWords, artistWords                       *index

	dirtyAlbums, dirtyArtists map[uint32]struct{}
	bulk                      bool // orders and derived things are made at the end
	seq                       uint64
	state                     state  // of the nodes that share the log
	generation                uint64 // counts batches, for caches of what was derived from the model
	scratch                   record
	given                     []given
	artistOf                  []uint32 // artist slot + 1 by the dictionary numbers of credits and details; 0: not asked yet
	lastFolder                struct{ n, slot uint32 }
	amends                    amendments
	tagged                    map[uint32]ref    // by slot: what its tags make of a track, where amendments make something else
	loading                   []tutti.Amendment // of a snapshot, until its tracks can be looked up
	unindexed                 bool              // byID, byFP and the dictionary's index wait for endParts
}

type counts struct {
	tracks, missing int
	duration        int64
	size            int64
}

type album struct {
	id              uint64
	tracks          []uint32 // in playing order, missing ones included
	blob            ref      // what appendAlbumBlob made of them
	nameKey         string   // for sorting
	artistKey       string
	added           int64
	year            int32
	live            int32  // tracks that are not missing; 0: not listed
	libs            uint64 // libraries of the live tracks
	formats         uint64 // of the live tracks, as bits of model.formats
	genres          []uint32
	genreTracks     []uint16 // live tracks of each of genres
	artists         []uint32 // album artists
	listed, covered bool

	loudness, truePeak float32 // of the tracks that were listened to, if that is all live ones: LUFS and dBTP; 0: else
}

type spelling struct {
	n     uint32 // in the dictionary
	count int32
}

type artist struct {
	id      uint64
	names   []spelling // of credits, by how many tracks
	details []spelling
	roles   []spelling // live tracks by role
	tracks  []uint32   // that credit the artist in any way, missing ones included
	live    []int32    // by library number, tracks that are not missing
	own     []uint32   // listed albums of which they are an album artist, by year
	name    string     // what the indexes have
	key     string
	listed  bool
}

type genre struct {
	key       string
	spellings []spelling // by live tracks
	live      []int32    // by library number
	byName    *order     // albums
	byArtist  *order     // albums, weighted by tracks of the genre
}

type folderKey struct {
	lib  uint8
	path string
}

type folder struct {
	id        uint64
	parent    uint32
	lib       uint8
	path      string
	children  []uint32 // by name
	tracks    []uint32
	live, all int // tracks in it and below it
	cover     string
	sides     uint64
}

func newModel(articles []string) *model {
	m := &model{
		dict:         newDict(),
		albumByID:    make(map[uint64]uint32),
		artistByID:   make(map[uint64]uint32),
		genreByName:  make(map[string]uint32),
		genreOfDict:  make(map[uint32]uint32),
		folderByID:   make(map[uint64]uint32),
		folderByPath: make(map[folderKey]uint32),
		trackWords:   newIndex(),
		albumWords:   newIndex(),
		artistWords:  newIndex(),
		dirtyAlbums:  make(map[uint32]struct{}),
		dirtyArtists: make(map[uint32]struct{}),
		articles:     articles,
	}
	m.byID.keyOf, m.byFP.keyOf = m.idOf, m.fpOf
	m.dict.intern("artist")
	m.dict.intern("albumartist")
	live := func(a uint32) int { return int(m.albums[a].live) }
	m.albumsByName = newOrder(m.compareName, live)
	m.albumsByArtist = newOrder(m.compareArtist, live)
	m.albumsByAdded = newOrder(func(a, b uint32) int {
		return cmp.Or(-cmp.Compare(m.albums[a].added, m.albums[b].added), m.compareName(a, b))
	}, nil)
	m.albumsByYear = newOrder(m.compareYear, live)
	m.albumsByName.head = func(a uint32) uint64 { return stringHead(m.albums[a].nameKey) }
	m.albumsByArtist.head = func(a uint32) uint64 { return stringHead(m.albums[a].artistKey) }
	m.albumsByAdded.head = func(a uint32) uint64 { return ^(uint64(m.albums[a].added) ^ 1<<63) }
	m.albumsByYear.head = func(a uint32) uint64 {
		x := &m.albums[a]
		return uint64(uint32(x.year)^1<<31)<<32 | stringHead(x.nameKey)>>32
	}
	m.artistsByName = newOrder(func(a, b uint32) int {
		x, y := &m.artists[a], &m.artists[b]
		return cmp.Or(strings.Compare(x.key, y.key), cmp.Compare(x.id, y.id))
	}, nil)
	m.artistsByName.head = func(x uint32) uint64 { return stringHead(m.artists[x].key) }
	return m
}

func (m *model) compareName(a, b uint32) int {
	x, y := &m.albums[a], &m.albums[b]
	if c := strings.Compare(x.nameKey, y.nameKey); c != 0 {
		return c
	}
	return cmp.Compare(x.id, y.id)
}

func (m *model) compareYear(a, b uint32) int {
	if x, y := m.albums[a].year, m.albums[b].year; x != y {
		return cmp.Compare(x, y)
	}
	return m.compareName(a, b)
}

func (m *model) compareArtist(a, b uint32) int {
	x, y := &m.albums[a], &m.albums[b]
	if c := strings.Compare(x.artistKey, y.artistKey); c != 0 {
		return c
	}
	return cmp.Compare(x.id, y.id)
}

// beginBulk and endBulk surround the loading of many records into an empty model.
func (m *model) beginBulk() {
	m.bulk = true
	m.trackWords.bulk, m.albumWords.bulk, m.artistWords.bulk = true, true, true
}

func (m *model) endBulk() {
	var words sync.WaitGroup
	words.Go(m.still().indexTracks) // half of the work, and independent of the rest
	m.settle()
	words.Wait()
	m.albumWords.endBulk()
	m.artistWords.endBulk()
	m.bulk = false
	var listed []uint32
	for i := range m.albums {
		if m.albums[i].listed {
			listed = append(listed, uint32(i))
		}
	}
	var orders sync.WaitGroup
	for _, o := range m.albumOrders() {
		orders.Go(func() { o.fill(slices.Clone(listed)) })
	}
	orders.Wait()
	byGenre := func(sorted *order, of func(*genre) *order) {
		lists := make([][]uint32, len(m.genres))
		for a := range sorted.each(0) {
			for _, g := range m.albums[a].genres {
				lists[g] = append(lists[g], a)
			}
		}
		for g, list := range lists {
			of(&m.genres[g]).fillSorted(list)
		}
	}
	byGenre(m.albumsByName, func(g *genre) *order { return g.byName })
	byGenre(m.albumsByArtist, func(g *genre) *order { return g.byArtist })
	listed = listed[:0]
	for i := range m.artists {
		if m.artists[i].listed {
			listed = append(listed, uint32(i))
		}
	}
	m.artistsByName.fill(listed)

	// Lists grew by doubling; most will not grow again.
	for i := range m.albums {
		m.albums[i].tracks = fit(m.albums[i].tracks)
	}
	for i := range m.artists {
		m.artists[i].tracks = fit(m.artists[i].tracks)
		slices.SortFunc(m.artists[i].own, m.compareYear)
	}
	for i := range m.folders {
		m.folders[i].tracks = fit(m.folders[i].tracks)
		m.folders[i].children = fit(m.folders[i].children)
	}
	for _, x := range [...]*index{m.trackWords, m.albumWords, m.artistWords} {
		for i := range x.postings {
			x.postings[i].slots = fit(x.postings[i].slots)
		}
	}
}

// fit returns the list in memory of its own size.
func fit(list []uint32) []uint32 {
	if cap(list)-len(list) <= len(list)/8 {
		return list
	}
	return append(make([]uint32, 0, len(list)), list...)
}

// still returns as much of the model as the words of its tracks are made from, which does not change while the model
// goes on to derive things and so to add to its arena and dictionary.
func (m *model) still() *model {
	return &model{
		dict: &dict{list: m.dict.list}, arena: arena{chunks: slices.Clone(m.arena.chunks)}, refs: slices.Clone(m.refs), trackWords: m.trackWords,
	}
}

// indexTracks enters the words of all tracks. Those that a track has in common with the one before it, its album's and
// its artists', are looked up only once.
func (m *model) indexTracks() {
	var (
		r      record
		x      = m.trackWords
		album  = none
		by     []uint32
		common []uint32
		buf    [256]byte
	)
	for i, at := range m.refs {
		if at == 0 {
			continue
		}
		slot := uint32(i)
		m.read(slot, &r)
		if r.album != album || !slices.Equal(r.artists, by) {
			album, by, common = r.album, append(by[:0], r.artists...), common[:0]
			m.eachSharedWord(&r, func(w string) { common = append(common, x.numberOf(w)) })
		}
		for _, n := range common {
			x.postings[n].slots = insertSorted(x.postings[n].slots, slot)
		}
		eachWord(viewString(appendFold(buf[:0], viewString(r.title))), func(w string) { x.add(w, slot) })
	}
	x.endBulk()
}

func (m *model) albumOrders() [4]*order {
	return [...]*order{m.albumsByName, m.albumsByArtist, m.albumsByAdded, m.albumsByYear}
}

// formatBit numbers the suffix of a file. A scan knows some forty (scan's kinds); what comes after the 63rd shares a bit,
// and so is found by each other's names.
func (m *model) formatBit(suffix string) int {
	i := slices.Index(m.formats, suffix)
	if i < 0 {
		i = len(m.formats)
		m.formats = append(m.formats, suffix)
	}
	return min(i, 63)
}

// library numbers a library.
func (m *model) library(name string) uint8 {
	if i := slices.Index(m.libraries, name); i >= 0 {
		return uint8(i)
	}
	m.libraries = append(m.libraries, name)
	m.counts = append(m.counts, counts{})
	return uint8(len(m.libraries) - 1)
}

func (m *model) bytes(slot uint32) []byte { return m.arena.get(m.refs[slot]) }

// read decodes a track's record. What is in the arena was checked when it was put there, so a failure is a defect of
// this package and the process cannot usefully go on.
func (m *model) read(slot uint32, r *record) {
	if err := r.decode(m.bytes(slot)); err != nil {
		panic("catalog: the record of a known track does not decode")
	}
}

func (m *model) lookup(n uint32) string { return m.dict.list[n] }

// ---- changes ----

// put adds the track, or replaces it.
func (m *model) put(e *scan.Entry) {
	id, _ := e.ID.Number()
	slot, known := m.byID.find(id)
	wasMissing := false
	if known {
		wasMissing = m.missing[slot]
		if e.Added.IsZero() {
			m.read(slot, &m.scratch)
			if m.scratch.mask&hasAdded != 0 {
				c := *e
				c.Added = unixNano(m.scratch.added)
				e = &c
			}
		}
	}
	shown, tagged := e, []byte(nil)
	if len(m.amends) > 0 {
		if s, ok := m.amends.shown(e); ok {
			shown, tagged = &s, appendEntry(nil, m.dict, e)
		}
	}
	b := appendEntry(nil, m.dict, shown)
	if known {
		m.setTagged(slot, tagged)
		if bytes.Equal(b, m.bytes(slot)) {
			if wasMissing != e.Missing {
				m.setMissing(slot, e.Missing)
			}
			return
		}
		if was := m.fpOf(slot); was != fpKey(e.Fingerprint) || m.sectionChanged(slot, e) {
			m.heard.clear(slot)
		}
		m.unlink(slot)
		m.arena.release(m.refs[slot])
	} else {
		slot = m.newSlot()
	}
	m.refs[slot] = m.arena.add(b)
	if !known {
		m.setTagged(slot, tagged)
		m.byID.add(id, slot)
	}
	m.missing[slot] = e.Missing
	m.read(slot, &m.scratch)
	m.link(slot, &m.scratch)
}

// same reports whether putting the entry would change nothing.
func (m *model) same(e *scan.Entry) bool {
	id, _ := e.ID.Number()
	slot, known := m.byID.find(id)
	if !known || m.missing[slot] != e.Missing {
		return false
	}
	old, ok := m.entry(e.ID)
	if !ok {
		return false
	}
	c := *e
	if c.Added.IsZero() {
		c.Added = old.Added
	}
	d := newDict()
	a := appendEntry(nil, d, &old)
	n := len(d.list)
	b := appendEntry(nil, d, &c)
	return n == len(d.list) && bytes.Equal(a, b)
}

func (m *model) newSlot() uint32 {
	if n := len(m.free); n > 0 {
		s := m.free[n-1]
		m.free = m.free[:n-1]
		return s
	}
	m.refs = append(m.refs, 0)
	m.albumOf = append(m.albumOf, none)
	m.folderOf = append(m.folderOf, none)
	m.libOf = append(m.libOf, 0)
	m.missing = append(m.missing, false)
	m.titleLen = append(m.titleLen, 0)
	return uint32(len(m.refs) - 1)
}

func (m *model) remove(slot uint32) {
	id := recordID(m.bytes(slot))
	m.unlink(slot)
	m.byID.remove(id, slot)
	m.arena.release(m.refs[slot])
	m.setTagged(slot, nil)
	m.refs[slot] = 0
	m.missing[slot] = false
	m.heard.clear(slot)
	m.free = append(m.free, slot)
}

func (m *model) setMissing(slot uint32, missing bool) {
	if m.missing[slot] == missing {
		return
	}
	r := &m.scratch
	m.read(slot, r)
	given := m.creditsOf(r)
	m.count(slot, r, given, -1)
	m.missing[slot] = missing
	m.count(slot, r, given, 1)
	m.touchAlbum(m.albumOf[slot])
	if missing {
		m.unlist(slot)
	} else {
		m.list(slot)
	}
}

func fpKey(fp scan.Fingerprint) uint64 { return binary.LittleEndian.Uint64(fp[:]) }

// link enters the slot's record, decoded in r, everywhere it belongs; unlink takes it out again.
func (m *model) link(slot uint32, r *record) {
	m.titleLen[slot] = shortLen(len(r.title))
	if !m.unindexed {
		m.byFP.add(fpKey(r.fp), slot)
	}

	a := m.albumSlot(stringU64(m.lookup(r.album)))
	m.albumOf[slot] = a
	m.albums[a].tracks = append(m.albums[a].tracks, slot)
	m.touchAlbum(a)

	f := m.folderOfDict(r.folder)
	m.libOf[slot], m.folderOf[slot] = m.folders[f].lib, f
	m.folders[f].tracks = insertSorted(m.folders[f].tracks, slot)

	given := m.creditsOf(r)
	for i := range given {
		c := &given[i]
		if c.first {
			m.artists[c.artist].tracks = insertSorted(m.artists[c.artist].tracks, slot)
		}
		addSpelling(&m.artists[c.artist].names, c.credit, 1)
		m.touchArtist(c.artist)
	}
	m.eachDetail(r, func(detail uint32) {
		x := m.artistOfDict(detail)
		addSpelling(&m.artists[x].details, detail, 1)
		m.touchArtist(x)
	})
	for _, n := range r.genres {
		m.genreSlot(n)
	}
	m.count(slot, r, given, 1)
	if !m.bulk {
		m.eachTrackWord(r, func(w string) { m.trackWords.add(w, slot) })
	}
	if !m.missing[slot] {
		m.list(slot)
	}
}

// touchAlbum and touchArtist say that settle has to derive something anew. While loading it derives everything.
func (m *model) touchAlbum(n uint32) {
	if !m.bulk {
		m.dirtyAlbums[n] = struct{}{}
	}
}

func (m *model) touchArtist(n uint32) {
	if !m.bulk {
		m.dirtyArtists[n] = struct{}{}
	}
}

func (m *model) unlink(slot uint32) {
	if !m.missing[slot] {
		m.unlist(slot)
	}
	r := &m.scratch
	m.read(slot, r)
	if !m.bulk {
		m.eachTrackWord(r, func(w string) { m.trackWords.remove(w, slot) })
	}
	given := m.creditsOf(r)
	m.count(slot, r, given, -1)
	m.eachDetail(r, func(detail uint32) {
		x := m.artistOfDict(detail)
		addSpelling(&m.artists[x].details, detail, -1)
		m.touchArtist(x)
	})
	for i := range given {
		c := &given[i]
		if c.first {
			m.artists[c.artist].tracks = removeSorted(m.artists[c.artist].tracks, slot)
		}
		addSpelling(&m.artists[c.artist].names, c.credit, -1)
		m.touchArtist(c.artist)
	}
	f := m.folderOf[slot]
	m.folders[f].tracks = removeSorted(m.folders[f].tracks, slot)
	a := m.albumOf[slot]
	tracks := m.albums[a].tracks
	i := slices.Index(tracks, slot)
	m.albums[a].tracks = slices.Delete(tracks, i, i+1)
	m.touchAlbum(a)
	m.byFP.remove(fpKey(r.fp), slot)
}

// count adds the track to (or takes it from) all that counts tracks.
func (m *model) count(slot uint32, r *record, given []given, by int) {
	lib := m.libOf[slot]
	c := &m.counts[lib]
	live := by
	if m.missing[slot] {
		c.missing += by
		live = 0
	} else {
		c.tracks += by
		c.duration += int64(by) * int64(r.duration)
		c.size += int64(by) * r.size
	}
	for f := m.folderOf[slot]; f != none; f = m.folders[f].parent {
		m.folders[f].live += live
		m.folders[f].all += by
	}
	if live == 0 {
		return
	}
	for i := range given {
		c := &given[i]
		x := &m.artists[c.artist]
		if c.first {
			addCount(&x.live, lib, live)
		}
		addSpelling(&x.roles, c.role, live)
		m.touchArtist(c.artist)
	}
	for i, n := range r.genres {
		g := m.genreSlot(n)
		addSpelling(&m.genres[g].spellings, n, live)
		if !m.genreBefore(r, i, g) {
			addCount(&m.genres[g].live, lib, live)
		}
	}
}

// genreBefore reports whether one of the record's first n genres is g in another spelling.
func (m *model) genreBefore(r *record, n int, g uint32) bool {
	for _, o := range r.genres[:n] {
		if m.genreSlot(o) == g {
			return true
		}
	}
	return false
}

func addCount(list *[]int32, lib uint8, by int) {
	for len(*list) <= int(lib) {
		*list = append(*list, 0)
	}
	(*list)[lib] += int32(by)
}

func sum(list []int32) int {
	n := 0
	for _, v := range list {
		n += int(v)
	}
	return n
}

func addSpelling(list *[]spelling, n uint32, by int) {
	for i := range *list {
		s := &(*list)[i]
		if s.n != n {
			continue
		}
		if s.count += int32(by); s.count == 0 {
			*list = slices.Delete(*list, i, i+1)
		}
		return
	}
	*list = append(*list, spelling{n, int32(by)})
}

// preferred returns the most used spelling; among equals the first in byte order.
func (m *model) preferred(list []spelling) (string, bool) {
	if len(list) == 0 {
		return "", false
	}
	best := list[0]
	for _, s := range list[1:] {
		if s.count > best.count || (s.count == best.count && m.lookup(s.n) < m.lookup(best.n)) {
			best = s
		}
	}
	return m.lookup(best.n), true
}

// given is a credit on a track: its dictionary number and its role's, and the artist it is for.
type given struct {
	credit, role, artist uint32
	first                bool // the artist's first credit on the track
}

// creditsOf returns the track's credits, good until it is called again.
func (m *model) creditsOf(r *record) []given {
	list := m.given[:0]
	visit := func(credit, role uint32) {
		x := m.artistOfDict(credit)
		first := !slices.ContainsFunc(list, func(g given) bool { return g.artist == x })
		list = append(list, given{credit, role, x, first})
	}
	for _, n := range r.artists {
		visit(n, roleArtist)
	}
	d := decodeString(m.lookup(r.album))
	d.u64()
	d.bytes()
	d.bytes()
	d.skipPacked()
	for range d.count() {
		visit(uint32(d.uvarint()), roleAlbumArtist)
	}
	if r.mask&hasContributors != 0 {
		d := r.contributors()
		for range d.count() {
			role := uint32(d.uvarint())
			d.uvarint()
			visit(uint32(d.uvarint()), role)
		}
	}
	m.given = list
	return list
}

func (m *model) eachDetail(r *record, fn func(detail uint32)) {
	if r.mask&hasDetails == 0 {
		return
	}
	d := decoder{b: r.rest}
	for range d.count() {
		fn(uint32(d.uvarint()))
	}
}

// eachTrackWord calls fn with the words by which a track is found: of its title, its artists' names, its album's and
// its album's artists'. A word may come more than once.
func (m *model) eachTrackWord(r *record, fn func(string)) {
	var buf [256]byte
	eachWord(viewString(appendFold(buf[:0], viewString(r.title))), fn)
	m.eachSharedWord(r, fn)
}

// eachSharedWord calls fn with those of them that are not of the title.
func (m *model) eachSharedWord(r *record, fn func(string)) {
	var buf [256]byte
	text := buf[:0]
	for _, n := range r.artists {
		eachWord(viewString(appendFold(text, m.lookup(n)[8:])), fn)
	}
	d := decodeString(m.lookup(r.album))
	d.u64()
	eachWord(viewString(appendFold(text, d.string())), fn)
	d.bytes()
	d.skipPacked()
	for range d.count() {
		if n := uint32(d.uvarint()); !slices.Contains(r.artists, n) {
			eachWord(viewString(appendFold(text, m.lookup(n)[8:])), fn)
		}
	}
}

func (m *model) albumSlot(id uint64) uint32 {
	s, ok := m.albumByID[id]
	if !ok {
		s = uint32(len(m.albums))
		m.albums = append(m.albums, album{id: id})
		m.albumLen = append(m.albumLen, 0)
		m.albumByID[id] = s
	}
	return s
}

func (m *model) artistSlot(id uint64) uint32 {
	s, ok := m.artistByID[id]
	if !ok {
		s = uint32(len(m.artists))
		m.artists = append(m.artists, artist{id: id})
		m.artistLen = append(m.artistLen, 0)
		m.artistByID[id] = s
	}
	return s
}

// artistOfDict returns the artist of a credit or detail, by its dictionary number: tracks come with the same few over
// and over, so the numbers' artists are remembered.
func (m *model) artistOfDict(n uint32) uint32 {
	if int(n) >= len(m.artistOf) {
		m.artistOf = append(m.artistOf, make([]uint32, len(m.dict.list)-len(m.artistOf))...)
	}
	if x := m.artistOf[n]; x != 0 {
		return x - 1
	}
	x := m.artistSlot(stringU64(m.lookup(n)))
	m.artistOf[n] = x + 1
	return x
}

// folderOfDict returns the folder of a dictionary string. A track's is mostly that of the one before.
func (m *model) folderOfDict(n uint32) uint32 {
	if m.lastFolder.n == n && n != 0 && m.folders[m.lastFolder.slot].id == stringU64(m.lookup(n)) {
		return m.lastFolder.slot
	}
	id, lib, dir, _ := splitFolder(m.lookup(n))
	f := m.folderSlot(m.library(lib), dir)
	m.setFolderID(f, id)
	m.lastFolder.n, m.lastFolder.slot = n, f
	return f
}

func (m *model) genreSlot(spelling uint32) uint32 {
	if g, ok := m.genreOfDict[spelling]; ok {
		return g
	}
	key := fold(strings.TrimSpace(m.lookup(spelling)))
	g, ok := m.genreByName[key]
	if !ok {
		g = uint32(len(m.genres))
		m.genres = append(m.genres, genre{key: key, byName: newOrder(m.compareName, nil)})
		m.genres[g].byArtist = newOrder(m.compareArtist, func(a uint32) int {
			x := &m.albums[a]
			if i := slices.Index(x.genres, g); i >= 0 {
				return int(x.genreTracks[i])
			}
			return 0
		})
		m.genreByName[key] = g
	}
	m.genreOfDict[spelling] = g
	return g
}

// folderNumber is the number of a folder that no track has named yet, as its tracks will.
func folderNumber(library, dir string) uint64 {
	n, _ := scan.FolderID(library, dir).Number()
	return n
}

func (m *model) folderSlot(lib uint8, dir string) uint32 {
	key := folderKey{lib, dir}
	if s, ok := m.folderByPath[key]; ok {
		return s
	}
	parent := none
	if dir != "." {
		parent = m.folderSlot(lib, path.Dir(dir))
	}
	key.path = strings.Clone(dir)
	s := uint32(len(m.folders))
	m.folders = append(m.folders, folder{id: folderNumber(m.libraries[lib], dir), parent: parent, lib: lib, path: key.path})
	m.folderByPath[key] = s
	m.folderByID[m.folders[s].id] = s
	if parent != none {
		c := m.folders[parent].children
		i, _ := slices.BinarySearchFunc(c, dir, func(n uint32, dir string) int { return strings.Compare(m.folders[n].path, dir) })
		m.folders[parent].children = slices.Insert(c, i, s)
	}
	return s
}

func (m *model) setFolderID(f uint32, id uint64) {
	if old := m.folders[f].id; old != id {
		delete(m.folderByID, old)
		m.folders[f].id = id
		m.folderByID[id] = f
	}
}

func (m *model) setFolder(info *scan.FolderInfo) {
	f := &m.folders[m.folderSlot(m.library(info.Library), info.Path)]
	if f.cover != info.CoverPath {
		f.cover = strings.Clone(info.CoverPath)
	}
	f.sides = info.Sides
}

// ---- deriving ----

// settle brings what is derived up to date after a batch of changes.
func (m *model) settle() {
	m.generation++
	if m.bulk {
		m.settleAll()
		return
	}
	for a := range m.dirtyAlbums {
		m.deriveAlbum(a, nil)
	}
	clear(m.dirtyAlbums)
	for x := range m.dirtyArtists {
		m.deriveArtist(x)
	}
	clear(m.dirtyArtists)
	if m.arena.wasteful() {
		m.compact()
	}
}

// settleAll derives everything. The albums' facts are gathered on all cores, which only reads, and entered one by one.
func (m *model) settleAll() {
	const lot = 4096
	for from := 0; from < len(m.albums); from += lot {
		facts := make([]derived, min(lot, len(m.albums)-from))
		var wg sync.WaitGroup
		workers := runtime.GOMAXPROCS(0)
		for w := range workers {
			wg.Go(func() {
				for i := w; i < len(facts); i += workers {
					n := uint32(from + i)
					m.sortTracks(n)
					facts[i] = m.aggregate(m.liveTracks(n))
				}
			})
		}
		wg.Wait()
		for i := range facts {
			m.deriveAlbum(uint32(from+i), &facts[i])
		}
	}
	for x := range m.artists {
		m.deriveArtist(uint32(x))
	}
}

// compact moves what is left in chunks that are mostly holes, which then go.
func (m *model) compact() {
	for i, r := range m.refs {
		if r != 0 && m.arena.sparse(r) {
			m.refs[i] = m.arena.move(r)
		}
	}
	for slot, r := range m.tagged {
		if m.arena.sparse(r) {
			m.tagged[slot] = m.arena.move(r)
		}
	}
	for i := range m.albums {
		if r := m.albums[i].blob; r != 0 && m.arena.sparse(r) {
			m.albums[i].blob = m.arena.move(r)
		}
	}
}

// deriveArtist brings an artist's name, place and words up to date.
func (m *model) deriveArtist(n uint32) {
	x := &m.artists[n]
	name, sortName := "", ""
	if credit, ok := m.preferred(x.names); ok {
		name = credit[8:]
	}
	sortName, _ = m.artistDetail(x)
	key := sortKey(name, m.articles)
	if sortName != "" {
		key = strings.TrimSpace(fold(sortName))
	}
	listed := len(x.names) > 0 && sum(x.live) > 0
	if listed == x.listed && name == x.name && key == x.key {
		return
	}
	if x.listed {
		if !m.bulk {
			m.artistsByName.remove(n)
		}
		eachWord(fold(x.name), func(w string) { m.artistWords.remove(w, n) })
	}
	x.name, x.key, x.listed = name, key, listed
	m.artistLen[n] = shortLen(len(name))
	if listed {
		if !m.bulk {
			m.artistsByName.insert(n)
		}
		eachWord(fold(name), func(w string) { m.artistWords.add(w, n) })
	}
}

// artistDetail returns the preferred sort name and MusicBrainz ID, each from the details that have one.
func (m *model) artistDetail(x *artist) (sortName, mbid string) {
	pick := func(get func(sortName, mbid string) string) string {
		best, most := "", int32(0)
		for _, s := range x.details {
			_, sn, mb := splitDetail(m.lookup(s.n))
			v := get(sn, mb)
			if v != "" && (s.count > most || (s.count == most && v < best)) {
				best, most = v, s.count
			}
		}
		return best
	}
	return pick(func(s, _ string) string { return s }), pick(func(_, m string) string { return m })
}

// entry returns a track as its tags have it.
func (m *model) entry(id tutti.ID) (e scan.Entry, ok bool) {
	n, ok := id.Number()
	if !ok || !id.Is(tutti.PrefixTrack) {
		return e, false
	}
	slot, ok := m.byID.find(n)
	if !ok {
		return e, false
	}
	var r record
	if err := r.decode(m.taggedBytes(slot)); err != nil {
		panic("catalog: the record of a known track does not decode")
	}
	if err := r.entry(m.dict, &e, true); err != nil {
		panic("catalog: the record of a known track does not decode")
	}
	e.Missing = m.missing[slot]
	return e, true
}
