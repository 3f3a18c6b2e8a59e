package catalog

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"tutti"
	"tutti/catalog/scan"
)

// view is one query's look at the catalogue: the model under its read lock, with what the viewer may see and did.
type view struct {
	*model
	c    *Catalog
	mask uint64 // of the libraries that the viewer sees
	mine *person
}

// look takes the read lock; the caller calls done. libraries other than v's are hidden; none, or "", is all of them. While
// the store does not answer, what a viewer did whom this node has not met is left out.
func (c *Catalog) look(ctx context.Context, v tutti.Viewer, libraries ...string) (*view, error) {
	mine, err := c.people.get(ctx, v.User, false)
	if err != nil {
		return nil, err
	}
	return c.lookAs(mine, v, libraries...), nil
}

// lookMine is look for what the viewer did itself. That must not be left out: an app that mirrors somebody's stars would
// take an empty list for an order to delete them. The error is KindUnavailable where it cannot be had.
func (c *Catalog) lookMine(ctx context.Context, v tutti.Viewer, libraries ...string) (*view, error) {
	mine, err := c.people.get(ctx, v.User, true)
	if err != nil {
		return nil, err
	}
	return c.lookAs(mine, v, libraries...), nil
}

// glance is look without what the viewer did: it asks the store for nothing.
func (c *Catalog) glance(v tutti.Viewer) *view { return c.lookAs(c.people.nobody, v) }

// lookAs takes the read lock of the model and of mine, which done releases.
func (c *Catalog) lookAs(mine *person, v tutti.Viewer, libraries ...string) *view {
	all := !slices.ContainsFunc(libraries, func(l string) bool { return l != "" })
	m := c.current()
	m.mu.RLock()
	w := &view{model: m, c: c, mine: mine}
	for _, l := range c.libraries {
		if v.Sees(l.ID) && (all || slices.Contains(libraries, l.ID)) {
			if i := slices.Index(m.libraries, l.ID); i >= 0 {
				w.mask |= 1 << i
			}
		}
	}
	mine.mu.RLock()
	return w
}

func (w *view) done() {
	w.mine.mu.RUnlock()
	w.model.mu.RUnlock()
	w.c.people.release(w.mine)
}

// whole reports whether nothing at all is hidden from the viewer, so that the lists can be used as they are.
func (w *view) whole() bool {
	for i := range w.libraries {
		if w.mask&(1<<i) == 0 && w.counts[i].tracks+w.counts[i].missing > 0 {
			return false
		}
	}
	return true
}

func (w *view) seesTrack(slot uint32) bool { return w.mask&(1<<w.libOf[slot]) != 0 }

func (w *view) seesAlbum(n uint32) bool { return w.albums[n].libs&w.mask != 0 }

// countOf adds up a count by library over the libraries that the viewer sees.
func (w *view) countOf(byLibrary []int32) int {
	n := 0
	for i, v := range byLibrary {
		if w.mask&(1<<i) != 0 {
			n += int(v)
		}
	}
	return n
}

func (w *view) trackSlot(id tutti.ID) (uint32, bool) {
	if !id.Is(tutti.PrefixTrack) {
		return 0, false
	}
	s, ok := w.byID.find(number(id))
	return s, ok && w.seesTrack(s)
}

func (w *view) albumSlotOf(id tutti.ID) (uint32, bool) {
	if !id.Is(tutti.PrefixAlbum) {
		return 0, false
	}
	s, ok := w.albumByID[number(id)]
	return s, ok && len(w.albums[s].tracks) > 0 && w.seesAlbum(s)
}

// artistSlotOf finds an artist of whom the viewer sees at least one track, be it a missing one.
func (w *view) artistSlotOf(id tutti.ID) (uint32, bool) {
	if !id.Is(tutti.PrefixArtist) {
		return 0, false
	}
	s, ok := w.artistByID[number(id)]
	if !ok {
		return 0, false
	}
	x := &w.artists[s]
	return s, w.countOf(x.live) > 0 || slices.ContainsFunc(x.tracks, w.seesTrack)
}

func (w *view) folderSlotOf(id tutti.ID) (uint32, bool) {
	if !id.Is(tutti.PrefixFolder) {
		return 0, false
	}
	s, ok := w.folderByID[number(id)]
	return s, ok && w.mask&(1<<w.folders[s].lib) != 0 && (w.folders[s].live > 0 || w.folders[s].parent == none)
}

func (w *view) trackAt(slot uint32, r *record) tutti.Track {
	var e scan.Entry
	w.read(slot, r)
	if err := r.entry(w.dict, &e, false); err != nil {
		panic("catalog: the record of a known track does not decode")
	}
	t := e.Track
	t.Missing = w.missing[slot]
	w.hear(slot, &t)
	t.Annotation = w.mine.of(kindTrack, r.id)
	return t
}

func (w *view) tracksAt(slots []uint32) []tutti.Track {
	if len(slots) == 0 {
		return nil
	}
	list := make([]tutti.Track, len(slots))
	var r record
	for i, s := range slots {
		list[i] = w.trackAt(s, &r)
	}
	return list
}

func (w *view) albumAt(n uint32) tutti.Album {
	var a tutti.Album
	if x := &w.albums[n]; x.libs&^w.mask != 0 {
		// Part of it lies in a library that the viewer does not see.
		visible := make([]uint32, 0, len(x.tracks))
		for _, s := range x.tracks {
			if w.seesTrack(s) && (!w.missing[s] || !x.listed) {
				visible = append(visible, s)
			}
		}
		d := w.aggregate(visible)
		a = d.album
	} else {
		a = w.readAlbum(n)
	}
	a.Annotation = w.mine.of(kindAlbum, w.albums[n].id)
	return a
}

func (w *view) albumsAt(slots []uint32) []tutti.Album {
	if len(slots) == 0 {
		return nil
	}
	list := make([]tutti.Album, len(slots))
	for i, n := range slots {
		list[i] = w.albumAt(n)
	}
	return list
}

func (w *view) artistAt(n uint32) tutti.Artist {
	x := &w.artists[n]
	a := tutti.Artist{ID: tutti.NewID(tutti.PrefixArtist, x.id), Name: x.name, Annotation: w.mine.of(kindArtist, x.id)}
	a.SortName, a.MusicBrainzID = w.artistDetail(x)
	a.TrackCount = w.countOf(x.live)
	for _, s := range x.roles {
		a.Roles = append(a.Roles, w.lookup(s.n))
	}
	slices.Sort(a.Roles)
	for _, b := range x.own {
		if w.seesAlbum(b) {
			a.AlbumCount++
			a.HasCover = a.HasCover || w.albums[b].covered
		}
	}
	if !a.HasCover && a.AlbumCount == 0 {
		for _, s := range x.tracks[:min(len(x.tracks), 32)] {
			a.HasCover = a.HasCover || (w.seesTrack(s) && w.albums[w.albumOf[s]].covered)
		}
	}
	return a
}

func (w *view) folderAt(n uint32) tutti.Folder {
	f := &w.folders[n]
	v := tutti.Folder{
		ID: tutti.NewID(tutti.PrefixFolder, f.id), Library: w.libraries[f.lib],
		Name: f.name(), Path: f.path, HasCover: w.folderCover(n) != (tutti.Ref{}),
		Annotation: w.mine.of(kindFolder, f.id),
	}
	if f.parent != none {
		v.ParentID = tutti.NewID(tutti.PrefixFolder, w.folders[f.parent].id)
	}
	return v
}

func notFound(op string, id tutti.ID) error {
	what := "thing"
	for _, k := range [...][2]string{
		{tutti.PrefixTrack, "track"},
		{tutti.PrefixAlbum, "album"},
		{tutti.PrefixArtist, "artist"},
		{tutti.PrefixFolder, "folder"},
		{tutti.PrefixPlaylist, "playlist"},
		{tutti.PrefixShare, "share"},
		{tutti.PrefixStation, "radio station"},
	} {
		if strings.HasPrefix(string(id), k[0]) {
			what = k[1]
		}
	}
	return tutti.Errorf(tutti.KindNotFound, op, "there is no such %s", what)
}

// window cuts a page out of a list.
func window[T any](list []T, p tutti.Page) []T {
	from := min(max(p.Offset, 0), len(list))
	return list[from : from+min(max(p.Limit, 0), len(list)-from)]
}

// ---- tutti.Browser ----

// Libraries returns the libraries that v sees, in the order of the configuration.
func (c *Catalog) Libraries(_ context.Context, v tutti.Viewer) ([]tutti.Library, error) {
	var list []tutti.Library
	for _, l := range c.libraries {
		if v.Sees(l.ID) {
			list = append(list, l)
		}
	}
	return list, nil
}

// Counts says how much there is in the libraries that v sees.
func (c *Catalog) Counts(ctx context.Context, v tutti.Viewer) (tutti.Counts, error) {
	w := c.glance(v)
	defer w.done()
	var n tutti.Counts
	for i, lib := range w.counts {
		if w.mask&(1<<i) != 0 {
			n.Tracks += lib.tracks
			n.Missing += lib.missing
			n.Duration += time.Duration(lib.duration)
			n.Size += lib.size
		}
	}
	if w.whole() {
		n.Albums, n.Artists = w.albumsByName.n, w.artistsByName.n
	} else {
		for a := range w.albumsByName.each(0) {
			if w.seesAlbum(a) {
				n.Albums++
			}
		}
		for a := range w.artistsByName.each(0) {
			if w.countOf(w.artists[a].live) > 0 {
				n.Artists++
			}
		}
	}
	for i := range w.genres {
		if w.countOf(w.genres[i].live) > 0 {
			n.Genres++
		}
	}
	n.LastScan = c.lastScan(w.model)
	return n, nil
}

// Track returns one track.
func (c *Catalog) Track(ctx context.Context, v tutti.Viewer, id tutti.ID) (tutti.Track, error) {
	w, err := c.look(ctx, v, "")
	if err != nil {
		return tutti.Track{}, err
	}
	defer w.done()
	s, ok := w.trackSlot(id)
	if !ok {
		return tutti.Track{}, notFound("catalog.Track", id)
	}
	var r record
	return w.trackAt(s, &r), nil
}

// TracksByID returns those tracks that are there and to be seen.
func (c *Catalog) TracksByID(ctx context.Context, v tutti.Viewer, ids []tutti.ID) ([]tutti.Track, error) {
	w, err := c.look(ctx, v, "")
	if err != nil {
		return nil, err
	}
	defer w.done()
	slots := make([]uint32, 0, len(ids))
	for _, id := range ids {
		if s, ok := w.trackSlot(id); ok {
			slots = append(slots, s)
		}
	}
	return w.tracksAt(slots), nil
}

// Album returns an album and its tracks in playing order. Missing tracks are left out unless all are missing.
func (c *Catalog) Album(ctx context.Context, v tutti.Viewer, id tutti.ID) (tutti.Album, []tutti.Track, error) {
	w, err := c.look(ctx, v, "")
	if err != nil {
		return tutti.Album{}, nil, err
	}
	defer w.done()
	n, ok := w.albumSlotOf(id)
	if !ok {
		return tutti.Album{}, nil, notFound("catalog.Album", id)
	}
	return w.albumAt(n), w.tracksAt(w.albumTracks(n)), nil
}

// albumTracks returns the tracks of an album that a list of it shows.
func (w *view) albumTracks(n uint32) []uint32 {
	slots := make([]uint32, 0, len(w.albums[n].tracks))
	for _, s := range w.albums[n].tracks {
		if w.seesTrack(s) && (!w.missing[s] || !w.albums[n].listed) {
			slots = append(slots, s)
		}
	}
	return slots
}

// Albums lists albums.
func (c *Catalog) Albums(ctx context.Context, v tutti.Viewer, q tutti.AlbumQuery) ([]tutti.Album, int, error) {
	look := c.look
	switch q.Order {
	case tutti.AlbumsFrequent, tutti.AlbumsRecent, tutti.AlbumsStarred, tutti.AlbumsHighest:
		look = c.lookMine
	}
	w, err := look(ctx, v, q.Libraries...)
	if err != nil {
		return nil, 0, err
	}
	defer w.done()
	slots, n, err := w.albumList(q)
	if err != nil {
		return nil, 0, err
	}
	return w.albumsAt(slots), n, nil
}

// genresOf finds genres by name; ok is false where there are names and none is known.
func (w *view) genresOf(names []string) (slots []uint32, ok bool) {
	for _, name := range names {
		if g, known := w.genreByName[fold(strings.TrimSpace(name))]; known && !slices.Contains(slots, g) {
			slots = append(slots, g)
		}
	}
	return slots, len(names) == 0 || len(slots) > 0
}

// formatsOf finds formats by suffix, as bits; ok is false where there are suffixes and none is known.
func (w *view) formatsOf(suffixes []string) (set uint64, ok bool) {
	for _, s := range suffixes {
		if i := slices.Index(w.formats, strings.ToLower(s)); i >= 0 {
			set |= 1 << i
		}
	}
	return set, len(suffixes) == 0 || set != 0
}

// albumHas reports whether the viewer sees some of the album and it has one of the genres, one of the formats, and a year
// within the bounds; of each, nothing or 0 is any.
func (w *view) albumHas(n uint32, genres []uint32, formats uint64, from, to int) bool {
	a := &w.albums[n]
	if a.libs&w.mask == 0 || formats != 0 && a.formats&formats == 0 {
		return false
	}
	if from != 0 || to != 0 {
		if y := int(a.year); y == 0 || y < from || to != 0 && y > to {
			return false
		}
	}
	return len(genres) == 0 || slices.ContainsFunc(a.genres, func(g uint32) bool { return slices.Contains(genres, g) })
}

func (w *view) albumList(q tutti.AlbumQuery) ([]uint32, int, error) {
	p := tutti.Page{Offset: max(q.Offset, 0), Limit: max(q.Limit, 0)}
	genres, ok := w.genresOf(q.Genres)
	switch {
	case !ok:
		return nil, 0, nil
	case len(genres) == 0 && q.Order == tutti.AlbumsByGenre:
		return nil, 0, tutti.Errorf(tutti.KindInvalid, "catalog.Albums", "albums by genre need the genre")
	}
	formats, ok := w.formatsOf(q.Formats)
	if !ok {
		return nil, 0, nil
	}
	from, to := q.FromYear, q.ToYear
	if from != 0 && to != 0 {
		from, to = min(from, to), max(from, to)
	}
	if q.Order == tutti.AlbumsByYear {
		from, to = 0, 0 // that order begins and ends at them
	}
	keep := func(n uint32) bool { return w.albumHas(n, genres, formats, from, to) }
	plain := w.whole() && formats == 0 && from == 0 && to == 0 // but for genres
	all := plain && len(genres) == 0
	g := none // the one genre that has an order of its own
	if len(genres) == 1 {
		g = genres[0]
	}

	switch q.Order {
	case tutti.AlbumsByName, tutti.AlbumsByGenre:
		o := w.albumsByName
		if g != none {
			o = w.genres[g].byName
			all = plain
		}
		return w.pageOf(o, p, all, keep)
	case tutti.AlbumsByArtist:
		o := w.albumsByArtist
		if g != none {
			o = w.genres[g].byArtist
			all = plain
		}
		return w.pageOf(o, p, all, keep)
	case tutti.AlbumsNewest:
		return w.pageOf(w.albumsByAdded, p, all, keep)
	case tutti.AlbumsByYear:
		return w.albumsOfYears(q.FromYear, q.ToYear, p, all, keep)
	case tutti.AlbumsRandom:
		return w.randomAlbums(p, all, keep)
	case tutti.AlbumsFrequent, tutti.AlbumsRecent, tutti.AlbumsStarred, tutti.AlbumsHighest:
		var list []uint32
		for _, id := range w.mine.ranked(kindAlbum, q.Order) {
			if n, ok := w.albumByID[id]; ok && w.albums[n].listed && keep(n) {
				list = append(list, n)
			}
		}
		return window(list, p), len(list), nil
	}
	return nil, 0, tutti.Errorf(tutti.KindInvalid, "catalog.Albums", "%q is not an order of albums", string(q.Order))
}

// pageOf cuts a page out of an order. all says that keep keeps everything.
func (w *view) pageOf(o *order, p tutti.Page, all bool, keep func(uint32) bool) ([]uint32, int, error) {
	slots := make([]uint32, 0, min(p.Limit, o.n))
	if all {
		for n := range o.each(p.Offset) {
			if len(slots) == p.Limit {
				break
			}
			slots = append(slots, n)
		}
		return slots, o.n, nil
	}
	total := 0
	for n := range o.each(0) {
		if !keep(n) {
			continue
		}
		if total >= p.Offset && len(slots) < p.Limit {
			slots = append(slots, n)
		}
		total++
	}
	return slots, total, nil
}

func (w *view) albumsOfYears(from, to int, p tutti.Page, all bool, keep func(uint32) bool) ([]uint32, int, error) {
	descending := from > to && to != 0
	if descending {
		from, to = to, from
	}
	o := w.albumsByYear
	year := func(y int) func(uint32) int {
		return func(n uint32) int { return cmp.Compare(int(w.albums[n].year), y) }
	}
	first := o.rank(year(max(from, 1))) // the unknown year is 0
	end := o.n
	if to != 0 {
		end = o.rank(year(to + 1))
	}
	count := max(0, end-first)
	seq := o.each(first)
	if descending {
		seq = o.backward(o.n - end)
	}
	if all {
		seq = o.each(first + p.Offset)
		if descending {
			seq = o.backward(o.n - end + p.Offset)
		}
		left := min(p.Limit, max(0, count-p.Offset))
		slots := make([]uint32, 0, left)
		for n := range seq {
			if len(slots) == left {
				break
			}
			slots = append(slots, n)
		}
		return slots, count, nil
	}
	var slots []uint32
	total, seen := 0, 0
	for n := range seq {
		if seen++; seen > count {
			break
		}
		if !keep(n) {
			continue
		}
		if total >= p.Offset && len(slots) < p.Limit {
			slots = append(slots, n)
		}
		total++
	}
	return slots, total, nil
}

// randomAlbums draws albums at random, each at most once. An offset means nothing in a fresh order.
func (w *view) randomAlbums(p tutti.Page, all bool, keep func(uint32) bool) ([]uint32, int, error) {
	if all && p.Limit < w.albumsByName.n/4 {
		drawn := make([]uint32, 0, p.Limit)
		already := make(map[uint32]struct{}, p.Limit)
		for tries := 16*p.Limit + 64; tries > 0 && len(drawn) < p.Limit; tries-- {
			n := rand.Uint32N(uint32(len(w.albums)))
			if _, ok := already[n]; !ok && w.albums[n].listed {
				already[n] = struct{}{}
				drawn = append(drawn, n)
			}
		}
		if len(drawn) == p.Limit {
			return drawn, w.albumsByName.n, nil
		}
	}
	var list []uint32
	for n := range w.albumsByName.each(0) {
		if keep(n) {
			list = append(list, n)
		}
	}
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:min(p.Limit, len(list))], len(list), nil
}

// Artist returns an artist, their albums, and those that they only appear on, each oldest first.
func (c *Catalog) Artist(ctx context.Context, v tutti.Viewer, id tutti.ID) (tutti.Artist, []tutti.Album, []tutti.Album, error) {
	w, err := c.look(ctx, v, "")
	if err != nil {
		return tutti.Artist{}, nil, nil, err
	}
	defer w.done()
	n, ok := w.artistSlotOf(id)
	if !ok {
		return tutti.Artist{}, nil, nil, notFound("catalog.Artist", id)
	}
	x := &w.artists[n]
	own := make([]uint32, 0, len(x.own))
	for _, a := range x.own {
		if w.seesAlbum(a) {
			own = append(own, a)
		}
	}
	var others []uint32
	last := none // a track's neighbours are mostly of its album
	for _, s := range x.tracks {
		a := w.albumOf[s]
		if a == last || w.missing[s] || !w.seesTrack(s) {
			continue
		}
		if last = a; !slices.Contains(w.albums[a].artists, n) {
			others = append(others, a)
		}
	}
	slices.SortFunc(others, w.compareYear)
	others = slices.Compact(others)
	return w.artistAt(n), w.albumsAt(own), w.albumsAt(others), nil
}

// Artists lists the artists with a role.
func (c *Catalog) Artists(ctx context.Context, v tutti.Viewer, library, role string) ([]tutti.Artist, error) {
	w, err := c.look(ctx, v, library)
	if err != nil {
		return nil, err
	}
	defer w.done()
	var (
		list   []tutti.Artist
		wanted = none
	)
	if role != "" {
		n, ok := w.dict.index[role]
		if !ok {
			return nil, nil
		}
		wanted = n
	}
	whole := w.whole()
	for n := range w.artistsByName.each(0) {
		x := &w.artists[n]
		if wanted != none && !slices.ContainsFunc(x.roles, func(s spelling) bool { return s.n == wanted }) {
			continue
		}
		if !whole {
			if w.countOf(x.live) == 0 || (wanted == roleAlbumArtist && !slices.ContainsFunc(x.own, w.seesAlbum)) {
				continue
			}
		}
		list = append(list, w.artistAt(n))
	}
	return list, nil
}

// genreCovers is how many pictures stand for a genre.
const genreCovers = 4

// Genres lists the genres by name.
func (c *Catalog) Genres(ctx context.Context, v tutti.Viewer) ([]tutti.Genre, error) {
	w := c.glance(v)
	defer w.done()
	whole := w.whole()
	var list []tutti.Genre
	for i := range w.genres {
		g := &w.genres[i]
		n := w.countOf(g.live)
		if n == 0 {
			continue
		}
		name, _ := w.preferred(g.spellings)
		out := tutti.Genre{Name: name, SongCount: n, AlbumCount: g.byName.n}
		if !whole {
			out.AlbumCount = 0
		}
		for a := range g.byName.each(0) {
			if !w.seesAlbum(a) {
				continue
			}
			if w.albums[a].covered && len(out.Covers) < genreCovers {
				out.Covers = append(out.Covers, tutti.NewID(tutti.PrefixAlbum, w.albums[a].id))
			}
			if !whole {
				out.AlbumCount++
			} else if len(out.Covers) == genreCovers {
				break
			}
		}
		list = append(list, out)
	}
	slices.SortFunc(list, func(a, b tutti.Genre) int {
		return cmp.Or(strings.Compare(fold(a.Name), fold(b.Name)), strings.Compare(a.Name, b.Name))
	})
	return list, nil
}

// Folder lists a folder.
func (c *Catalog) Folder(ctx context.Context, v tutti.Viewer, id tutti.ID) (tutti.FolderListing, error) {
	w, err := c.look(ctx, v, "")
	if err != nil {
		return tutti.FolderListing{}, err
	}
	defer w.done()
	n, ok := w.folderSlotOf(id)
	if !ok {
		return tutti.FolderListing{}, notFound("catalog.Folder", id)
	}
	f := &w.folders[n]
	l := tutti.FolderListing{Folder: c.named(w.folderAt(n))}
	for p := f.parent; p != none; p = w.folders[p].parent {
		l.Parents = append(l.Parents, c.named(w.folderAt(p)))
	}
	slices.Reverse(l.Parents)
	for _, ch := range f.children {
		if w.folders[ch].live > 0 {
			l.Folders = append(l.Folders, w.folderAt(ch))
		}
	}
	l.Tracks = w.tracksAt(slices.DeleteFunc(slices.Clone(f.tracks), func(s uint32) bool { return w.missing[s] }))
	slices.SortFunc(l.Tracks, func(a, b tutti.Track) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.Start, b.Start), strings.Compare(string(a.ID), string(b.ID)))
	})
	return l, nil
}

// named gives a library's root its library's name.
func (c *Catalog) named(f tutti.Folder) tutti.Folder {
	if f.Path == "." {
		for _, l := range c.libraries {
			if l.ID == f.Library {
				f.Name = l.Name
			}
		}
	}
	return f
}

// RootFolders returns one folder for each library that v sees, also for those without music.
func (c *Catalog) RootFolders(ctx context.Context, v tutti.Viewer) ([]tutti.Folder, error) {
	w, err := c.look(ctx, v, "")
	if err != nil {
		return nil, err
	}
	defer w.done()
	var list []tutti.Folder
	for _, l := range c.libraries {
		if !v.Sees(l.ID) {
			continue
		}
		if n, ok := w.findFolder(l.ID, "."); ok {
			list = append(list, c.named(w.folderAt(n)))
		} else {
			list = append(list, tutti.Folder{ID: tutti.NewID(tutti.PrefixFolder, folderNumber(l.ID, ".")), Library: l.ID, Name: l.Name, Path: "."})
		}
	}
	return list, nil
}

// Starred returns what v starred, latest first.
func (c *Catalog) Starred(ctx context.Context, v tutti.Viewer, library string) (tutti.SearchResult, []tutti.Folder, error) {
	w, err := c.lookMine(ctx, v, library)
	if err != nil {
		return tutti.SearchResult{}, nil, err
	}
	defer w.done()
	var (
		res     tutti.SearchResult
		folders []tutti.Folder
		r       record
	)
	for _, id := range w.mine.ranked(kindTrack, tutti.AlbumsStarred) {
		if s, ok := w.byID.find(id); ok && !w.missing[s] && w.seesTrack(s) {
			res.Tracks = append(res.Tracks, w.trackAt(s, &r))
		}
	}
	for _, id := range w.mine.ranked(kindAlbum, tutti.AlbumsStarred) {
		if n, ok := w.albumByID[id]; ok && w.albums[n].listed && w.seesAlbum(n) {
			res.Albums = append(res.Albums, w.albumAt(n))
		}
	}
	for _, id := range w.mine.ranked(kindArtist, tutti.AlbumsStarred) {
		if n, ok := w.artistByID[id]; ok && w.artists[n].listed && w.countOf(w.artists[n].live) > 0 {
			res.Artists = append(res.Artists, w.artistAt(n))
		}
	}
	for _, id := range w.mine.ranked(kindFolder, tutti.AlbumsStarred) {
		if n, ok := w.folderByID[id]; ok && w.folders[n].live > 0 && w.mask&(1<<w.folders[n].lib) != 0 {
			folders = append(folders, w.folderAt(n))
		}
	}
	return res, folders, nil
}
