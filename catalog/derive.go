package catalog

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"tutti"
)

// derived is what an album's tracks say about it.
type derived struct {
	album       tutti.Album
	genres      []uint32 // slots, in the order of album.Genres
	genreTracks []uint16
	libs        uint64
}

// tally counts values and lists them most frequent first, then in the order of their first appearance.
type tally[T comparable] struct {
	values []T
	counts []int
}

func (t *tally[T]) add(v T) {
	if i := slices.Index(t.values, v); i >= 0 {
		t.counts[i]++
		return
	}
	t.values = append(t.values, v)
	t.counts = append(t.counts, 1)
}

// list sorts the tally and returns its values.
func (t *tally[T]) list() []T {
	for i := 1; i < len(t.values); i++ { // insertion: stable, and these are a handful
		for j := i; j > 0 && t.counts[j] > t.counts[j-1]; j-- {
			t.counts[j], t.counts[j-1] = t.counts[j-1], t.counts[j]
			t.values[j], t.values[j-1] = t.values[j-1], t.values[j]
		}
	}
	return t.values
}

// sortTracks puts an album's tracks in playing order: by disc, track number and path.
func (m *model) sortTracks(a uint32) {
	type key struct {
		slot, disc, track uint32
		folder            string
		name              string
	}
	tracks := m.albums[a].tracks
	if len(tracks) < 2 {
		return
	}
	keys := make([]key, len(tracks))
	var r record
	for i, s := range tracks {
		m.read(s, &r)
		keys[i] = key{s, uint32(r.disc), uint32(r.track), m.folders[m.folderOf[s]].path, viewString(r.name)}
	}
	slices.SortFunc(keys, func(x, y key) int {
		return cmp.Or(cmp.Compare(x.disc, y.disc), cmp.Compare(x.track, y.track),
			strings.Compare(x.folder, y.folder), strings.Compare(x.name, y.name), cmp.Compare(m.idOf(x.slot), m.idOf(y.slot)))
	})
	for i, k := range keys {
		tracks[i] = k.slot
	}
}

func (m *model) idOf(slot uint32) uint64 { return recordID(m.bytes(slot)) }

func (m *model) fpOf(slot uint32) uint64 { return recordFP(m.bytes(slot)) }

// liveTracks returns the album's tracks that are not missing, or all of them if none is left.
func (m *model) liveTracks(a uint32) []uint32 {
	tracks := m.albums[a].tracks
	first := slices.IndexFunc(tracks, func(s uint32) bool { return m.missing[s] })
	if first < 0 {
		return tracks
	}
	live := slices.Clone(tracks[:first])
	for _, s := range tracks[first:] {
		if !m.missing[s] {
			live = append(live, s)
		}
	}
	if len(live) == 0 {
		return tracks
	}
	return live
}

// aggregate says what the tracks, which are of one album, make it. Where they differ in a thing of which an album
// has one, most of them decide, and the earliest of the dates counts; where it can have several, it has them all, the
// most frequent first. Annotation is left alone.
func (m *model) aggregate(tracks []uint32) derived {
	var (
		d       derived
		r       record
		facts   tally[uint32] // what tracks say about the album, by dictionary number
		genres  tally[uint32] // slots
		spelt   []spelling
		moods   tally[string]
		formats tally[uint32]
		a       = &d.album
		clean   = 0
		live    = 0
	)
	if len(tracks) == 0 {
		a.Missing = true
		return d
	}
	for i, s := range tracks {
		m.read(s, &r)
		facts.add(r.album)
		formats.add(r.audio)
		for j, n := range r.genres {
			g := m.genreOfDict[n]
			if !m.genreBefore(&r, j, g) {
				genres.add(g)
			}
			addSpelling(&spelt, n, 1)
		}
		subtitle, explicit, mm := r.albumParts(m.dict)
		for _, v := range mm {
			moods.add(v)
		}
		if subtitle != "" && a.DiscTitles[r.disc] == "" {
			if a.DiscTitles == nil {
				a.DiscTitles = make(map[int]string)
			}
			a.DiscTitles[r.disc] = subtitle
		}
		switch explicit {
		case "explicit":
			a.Explicit = explicit
		case "clean":
			clean++
		}
		a.SongCount++
		a.Duration += r.duration
		a.Size += r.size
		a.HasCover = a.HasCover || r.mask&(hasCover|hasCoverPath) != 0
		if r.mask&hasAdded != 0 {
			if t := unixNano(r.added); t.After(a.Added) {
				a.Added = t
			}
		}
		if i == 0 {
			a.Library = m.libraries[m.libOf[s]]
		}
		if !m.missing[s] {
			live++
			d.libs |= 1 << m.libOf[s]
		}
	}
	if a.Explicit == "" && clean > 0 && clean == len(tracks) {
		a.Explicit = "clean"
	}
	a.Missing = live == 0
	if a.Missing {
		for _, s := range tracks {
			d.libs |= 1 << m.libOf[s]
		}
	}
	a.Moods = moods.list()
	d.genres = genres.list()
	for _, n := range genres.counts {
		d.genreTracks = append(d.genreTracks, uint16(min(n, 1<<16-1)))
	}
	for _, g := range d.genres {
		var best []spelling
		for _, s := range spelt {
			if m.genreOfDict[s.n] == g {
				best = append(best, s)
			}
		}
		name, _ := m.preferred(best)
		a.Genres = append(a.Genres, name)
	}
	for _, n := range formats.list() {
		f := decodeString(m.lookup(n))
		if suffix := f.string(); !slices.Contains(a.Formats, suffix) {
			a.Formats = append(a.Formats, suffix)
		}
	}
	m.mergeFacts(&d, &facts)
	return d
}

// mergeFacts fills what the tracks say about the album as a whole.
func (m *model) mergeFacts(d *derived, facts *tally[uint32]) {
	a := &d.album
	list := facts.list()
	// Equal counts must not be decided by which track was read first: take the smallest text.
	most := 1
	for most < len(list) && facts.counts[most] == facts.counts[0] {
		most++
	}
	slices.SortFunc(list[:most], func(x, y uint32) int { return m.compareFacts(x, y) })
	earliest := func(to *tutti.Date, d tutti.Date) {
		if !d.IsZero() && (to.IsZero() || earlier(d, *to)) {
			*to = d
		}
	}
	union := func(to *[]string, from []string) {
		for _, v := range from {
			if !slices.Contains(*to, v) {
				*to = append(*to, v)
			}
		}
	}
	for i, n := range list {
		f, err := decodeAlbum(m.dict, m.lookup(n))
		if err != nil {
			panic("catalog: an album's facts do not decode")
		}
		if i == 0 {
			a.ID = tutti.NewID(tutti.PrefixAlbum, f.id)
			a.Name, a.SortName = f.name, f.sort
			a.MusicBrainzID = f.mbid
			a.Artists, a.DisplayArtist = f.artists, f.display
			a.Edition = f.edition
		}
		if a.SortName == "" {
			a.SortName = f.sort
		}
		if a.MusicBrainzID == "" {
			a.MusicBrainzID = f.mbid
		}
		if a.Edition == "" {
			a.Edition = f.edition
		}
		if len(a.Artists) == 0 {
			a.Artists, a.DisplayArtist = f.artists, f.display
		}
		union(&a.RecordLabels, f.labels)
		union(&a.ReleaseTypes, f.types)
		a.Compilation = a.Compilation || f.compilation
		earliest(&a.Date, f.date)
		earliest(&a.OriginalDate, f.orig)
		earliest(&a.ReleaseDate, f.rel)
	}
	if a.DisplayArtist == "" {
		names := make([]string, len(a.Artists))
		for i, x := range a.Artists {
			names[i] = x.Name
		}
		a.DisplayArtist = strings.Join(names, ", ")
	}
}

// compareFacts orders two tracks' statements about an album by what they say. Their bytes hold dictionary numbers,
// which depend on what came first, so those cannot be compared.
func (m *model) compareFacts(x, y uint32) int {
	f, err := decodeAlbum(m.dict, m.lookup(x))
	g, err2 := decodeAlbum(m.dict, m.lookup(y))
	if err != nil || err2 != nil {
		panic("catalog: an album's facts do not decode")
	}
	artists := func(a, b tutti.ArtistRef) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(string(a.ID), string(b.ID)))
	}
	return cmp.Or(
		strings.Compare(f.name, g.name), strings.Compare(f.sort, g.sort), strings.Compare(f.mbid, g.mbid),
		slices.CompareFunc(f.artists, g.artists, artists), strings.Compare(f.display, g.display),
		strings.Compare(f.edition, g.edition), f.date.Compare(g.date), f.orig.Compare(g.orig), f.rel.Compare(g.rel),
		slices.Compare(f.labels, g.labels), slices.Compare(f.types, g.types),
		cmp.Compare(boolByte(f.compilation), boolByte(g.compilation)))
}

// earlier reports whether d is before e; of two dates that agree as far as they go, the one that says more is.
func earlier(d, e tutti.Date) bool {
	if d.Year != e.Year {
		return d.Year < e.Year
	}
	if d.Month != e.Month {
		return d.Month != 0 && (e.Month == 0 || d.Month < e.Month)
	}
	return d.Day != 0 && (e.Day == 0 || d.Day < e.Day)
}

// year is the year by which an album is listed: of its first release where that is known.
func year(a *tutti.Album) int {
	for _, d := range [...]tutti.Date{a.OriginalDate, a.Date, a.ReleaseDate} {
		if d.Year != 0 {
			return d.Year
		}
	}
	return 0
}

// deriveAlbum brings an album's facts and its places in the orders up to date. d is what aggregate says, nil to ask it.
func (m *model) deriveAlbum(n uint32, d *derived) {
	a := &m.albums[n]
	if d == nil {
		m.sortTracks(n)
		v := m.aggregate(m.liveTracks(n))
		d = &v
	}
	var oldWords []string
	if a.listed {
		if !m.bulk {
			for _, o := range m.albumOrders() {
				o.remove(n)
			}
			for _, g := range a.genres {
				m.genres[g].byName.remove(n)
				m.genres[g].byArtist.remove(n)
			}
		}
		oldWords = m.albumWordsOf(n)
		for _, x := range a.artists {
			own := m.artists[x].own
			if i, ok := slices.BinarySearchFunc(own, n, m.compareYear); ok {
				m.artists[x].own = slices.Delete(own, i, i+1)
			}
		}
	}
	if a.blob != 0 {
		m.arena.release(a.blob)
		a.blob = 0
	}

	*a = album{id: a.id, tracks: a.tracks, listed: len(a.tracks) > 0 && !d.album.Missing}
	if len(a.tracks) > 0 {
		v := &d.album
		a.blob = m.arena.add(m.appendAlbumBlob(nil, v))
		a.libs, a.covered = d.libs, v.HasCover
		a.loudness, a.truePeak = m.albumLoudness(n)
		m.albumLen[n] = shortLen(len(v.Name))
		if a.listed {
			a.live = int32(v.SongCount)
			a.genres, a.genreTracks = d.genres, d.genreTracks
			for _, suffix := range v.Formats {
				a.formats |= 1 << m.formatBit(suffix)
			}
			a.year = int32(year(v))
			if !v.Added.IsZero() {
				a.added = v.Added.UnixNano()
			}
			for _, x := range v.Artists {
				id, _ := x.ID.Number()
				s := m.artistSlot(id)
				if !slices.Contains(a.artists, s) {
					a.artists = append(a.artists, s)
				}
			}
			a.nameKey = sortKey(v.Name, m.articles)
			if v.SortName != "" {
				a.nameKey = strings.TrimSpace(fold(v.SortName))
			}
			artist := sortKey(v.DisplayArtist, m.articles)
			a.artistKey = artist + "\x00" + tutti.Date{Year: int(a.year)}.String() + "\x00" + a.nameKey
			// The key begins with the artist's, and ends with the name's; keep the one string.
			a.nameKey = a.artistKey[len(a.artistKey)-len(a.nameKey):]
		}
	}

	var words []string
	if a.listed {
		if !m.bulk {
			for _, o := range m.albumOrders() {
				o.insert(n)
			}
			for _, g := range a.genres {
				m.genres[g].byName.insert(n)
				m.genres[g].byArtist.insert(n)
			}
		}
		words = m.albumWordsOf(n)
	}
	if !slices.Equal(oldWords, words) {
		for _, w := range oldWords {
			m.albumWords.remove(w, n)
		}
		for _, w := range words {
			m.albumWords.add(w, n)
		}
	}
	for _, x := range a.artists {
		own := m.artists[x].own
		if m.bulk {
			m.artists[x].own = append(own, n) // endBulk sorts them
			continue
		}
		i, _ := slices.BinarySearchFunc(own, n, m.compareYear)
		m.artists[x].own = slices.Insert(own, i, n)
	}
}

// albumWordsOf returns the distinct words by which an album is found: of its name and its artists'.
func (m *model) albumWordsOf(n uint32) []string {
	var words []string
	add := func(w string) {
		if !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	d := decoder{b: m.arena.get(m.albums[n].blob)}
	eachWord(fold(d.string()), add)
	d.bytes()
	for range d.count() {
		eachWord(fold(m.lookup(uint32(d.uvarint()))[8:]), add)
	}
	return words
}

// appendAlbumBlob writes an album's facts; readAlbum reads them.
func (m *model) appendAlbumBlob(b []byte, a *tutti.Album) []byte {
	b = appendString(b, a.Name)
	b = appendString(b, a.SortName)
	b = appendUvarint(b, uint64(len(a.Artists)))
	for _, x := range a.Artists {
		b = appendUvarint(b, uint64(internCredit(m.dict, x)))
	}
	b = appendUvarint(b, uint64(m.dict.intern(a.DisplayArtist)))
	for _, d := range [...]tutti.Date{a.Date, a.OriginalDate, a.ReleaseDate} {
		b = appendVarint(b, int64(d.Year))
		b = appendVarint(b, int64(d.Month)<<5|int64(d.Day))
	}
	for _, list := range [...][]string{a.Genres, a.Moods, a.RecordLabels, a.ReleaseTypes, a.Formats} {
		b = appendStrings(b, m.dict, list)
	}
	b = appendString(b, a.Edition)
	b = appendPacked(b, a.MusicBrainzID)
	b = append(b, boolByte(a.Compilation)|boolByte(a.HasCover)<<1|boolByte(a.Missing)<<2|boolByte(!a.Added.IsZero())<<3)
	b = appendUvarint(b, uint64(m.dict.intern(a.Explicit)))
	b = appendUvarint(b, uint64(m.dict.intern(a.Library)))
	b = appendUvarint(b, uint64(a.SongCount))
	b = appendUvarint(b, uint64(a.Duration))
	b = appendUvarint(b, uint64(a.Size))
	if !a.Added.IsZero() {
		b = appendVarint(b, a.Added.UnixNano())
	}
	discs := make([]int, 0, len(a.DiscTitles))
	for disc := range a.DiscTitles {
		discs = append(discs, disc)
	}
	slices.Sort(discs)
	b = appendUvarint(b, uint64(len(discs)))
	for _, disc := range discs {
		b = appendVarint(b, int64(disc))
		b = appendUvarint(b, uint64(m.dict.intern(a.DiscTitles[disc])))
	}
	return b
}

func (m *model) readAlbum(n uint32) tutti.Album {
	x := &m.albums[n]
	// What is in the arena never changes, so the album's texts may be pieces of it.
	d := decodeString(viewString(m.arena.get(x.blob)))
	a := tutti.Album{ID: tutti.NewID(tutti.PrefixAlbum, x.id)}
	a.Name, a.SortName = d.string(), d.string()
	if c := d.count(); c > 0 {
		a.Artists = make([]tutti.ArtistRef, c)
		for i := range a.Artists {
			a.Artists[i] = creditOf(m.lookup(uint32(d.uvarint())))
		}
	}
	a.DisplayArtist = m.lookup(uint32(d.uvarint()))
	for _, dt := range [...]*tutti.Date{&a.Date, &a.OriginalDate, &a.ReleaseDate} {
		dt.Year = int(d.varint())
		md := int(d.varint())
		dt.Month, dt.Day = md>>5, md&31
	}
	for _, list := range [...]*[]string{&a.Genres, &a.Moods, &a.RecordLabels, &a.ReleaseTypes, &a.Formats} {
		*list = d.strings(m.dict)
	}
	a.Edition, a.MusicBrainzID = d.string(), d.packed()
	flags := d.byte()
	a.Compilation, a.HasCover, a.Missing = flags&1 != 0, flags&2 != 0, flags&4 != 0
	a.Explicit = m.lookup(uint32(d.uvarint()))
	a.Library = m.lookup(uint32(d.uvarint()))
	a.SongCount = int(d.uvarint())
	a.Duration = time.Duration(d.uvarint())
	a.Size = int64(d.uvarint())
	if flags&8 != 0 {
		a.Added = d.time()
	}
	if c := d.count(); c > 0 {
		a.DiscTitles = make(map[int]string, c)
		for range c {
			disc := int(d.varint())
			a.DiscTitles[disc] = m.lookup(uint32(d.uvarint()))
		}
	}
	if d.err != nil {
		panic("catalog: an album's facts do not decode")
	}
	return a
}
