package scan

import (
	"context"
	"errors"
	"path"
	"reflect"
	"strings"
	"time"

	"tutti"
	"tutti/origin"
)

// Limits of a batch: what killing the server at any moment may cost at most.
const (
	batchChanges = 500
	batchWeight  = 200_000     // estimated bytes
	batchAge     = time.Second // so that what a long scan finds appears soon
)

const (
	maxCopies   = 64     // copies of one piece of sound among which a moved file is looked for
	maxDeferred = 10_000 // files whose identity waits for the end of the walk: bounds memory
	maxSiblings = 500    // files of a directory that are asked which album they are of
)

// committer decides which track and which album each file is, and applies the decisions to the book. It lives for one
// scan over all libraries, because files move between them. Only one goroutine uses it at a time.
//
// A file is the same track as before, and so keeps its ID, stars and play counts, by the first of these that holds:
//
//  1. The book has its sound at its path: it was tagged anew.
//  2. The book has its sound at another path, and that path no longer holds it: it was moved or renamed.
//  3. The book has a track at its path, whose sound was found nowhere else by the end of the walk: the file was
//     replaced, say by a better encoding.
//
// Otherwise it is new. So files that swap names, or all move up by one number, keep their own IDs; and a copy is a track
// of its own, with the next ordinal in its ID.
type committer struct {
	s *Scanner

	batch   []Change
	weight  int
	flushed time.Time
	pending map[tutti.ID]*Entry           // put by batch: newer than what the book has
	byFP    map[Fingerprint][]tutti.ID    // of pending
	scope   *albums                       // of the last album folder
	moved   map[tutti.ID]struct{}         // tracks that were found at another path
	gone    []tutti.ID                    // tracks whose file was not there, or was another's by now
	waiting []waiting                     // for rule 3
	again   map[string]map[string]bool    // directories to read again as a whole, by library
	changed map[string]bool               // libraries whose tracks changed, so that playlists may
	counts  func(func(*tutti.ScanStatus)) // updates the status
	lists   []lists                       // for the end of the scan, one for each pass
}

// waiting is a file at a known path with unknown sound.
type waiting struct {
	p      *pass
	drafts []*draft // those without an ID
	known  []tutti.ID
	scope  *albums
}

func (s *Scanner) newCommitter() *committer {
	return &committer{
		s: s, flushed: s.clock.Now(), pending: map[tutti.ID]*Entry{}, byFP: map[Fingerprint][]tutti.ID{}, moved: map[tutti.ID]struct{}{},
		again: map[string]map[string]bool{}, changed: map[string]bool{}, counts: s.update,
	}
}

// commit decides on a unit.
func (c *committer) commit(ctx context.Context, p *pass, u *unit) error {
	for _, id := range u.found {
		c.changed[p.lib.ID] = true
		c.counts(func(st *tutti.ScanStatus) { st.Changed++ })
		if err := c.emit(ctx, Change{Found: id}, 24); err != nil {
			return err
		}
	}
	c.gone = append(c.gone, u.gone...)
	if len(u.todo) > 0 {
		if err := c.files(ctx, p, u); err != nil {
			return err
		}
	}
	if !u.last || u.node.look.err != nil || (u.node.dir == "." && !p.partial) {
		return nil
	}
	l := &u.node.look
	if l.c.cover == l.info.CoverPath && l.c.sides == l.info.Sides {
		return nil
	}
	f := FolderInfo{Library: p.lib.ID, Path: u.node.dir, CoverPath: l.c.cover, Sides: l.c.sides}
	return c.emit(ctx, Change{Folder: &f}, 50+len(f.Path)+len(f.CoverPath))
}

func (c *committer) files(ctx context.Context, p *pass, u *unit) error {
	folder := u.node.look.c.folder
	c.enter(p.lib.ID, folder.albumFolder)
	c.inferOwners(p, u)
	for i := range u.todo {
		t := &u.todo[i]
		switch {
		case tutti.IsKind(t.err, tutti.KindNotFound): // removed between listing and reading
			c.gone = append(c.gone, t.known...)
			continue
		case elsewhere(p.s.origin, p.lib.ID) && tutti.IsKind(t.err, tutti.KindUnavailable) && !errors.Is(t.err, errNoReader):
			// That says something of the store at this moment, and nothing of the file: the next scan reads it.
			c.counts(func(st *tutti.ScanStatus) { st.Failed++ })
			if p.unread++; p.unread == maxUnread {
				return t.err
			}
			continue
		case t.err != nil:
			p.s.refuse(p.lib.ID, &t.fi, t.err)
			c.counts(func(st *tutti.ScanStatus) { st.Failed++ })
			continue
		}
		p.unread = 0
		p.s.accept(p.lib.ID, &t.fi)
		w := waiting{p: p, known: t.known, scope: c.scope}
		used := make(map[tutti.ID]bool, len(t.drafts))
		for k := range t.drafts {
			d := &t.drafts[k]
			old, err := c.sameSound(ctx, d)
			if err != nil {
				return err
			}
			switch {
			case old != nil:
				used[old.ID] = true
				if err := c.put(ctx, p, c.scope, d, old); err != nil {
					return err
				}
			case len(t.known) > 0:
				w.drafts = append(w.drafts, d)
			default:
				if err := c.put(ctx, p, c.scope, d, nil); err != nil {
					return err
				}
			}
		}
		if len(w.drafts) > 0 {
			w.known = without(t.known, used)
			c.waiting = append(c.waiting, w)
			if len(c.waiting) > maxDeferred {
				if err := c.resolve(ctx, c.waiting[0]); err != nil {
					return err
				}
				c.waiting = c.waiting[1:]
			}
			continue
		}
		c.gone = append(c.gone, without(t.known, used)...)
	}
	return nil
}

func without(ids []tutti.ID, used map[tutti.ID]bool) []tutti.ID {
	var rest []tutti.ID
	for _, id := range ids {
		if !used[id] {
			rest = append(rest, id)
		}
	}
	return rest
}

// entry is the book's, or what will be once the batch is applied.
func (c *committer) entry(id tutti.ID) (*Entry, bool) {
	if e, ok := c.pending[id]; ok {
		return e, true
	}
	e, ok := c.s.book.Entry(id)
	return &e, ok
}

// sameSound applies rules 1 and 2.
func (c *committer) sameSound(ctx context.Context, d *draft) (*Entry, error) {
	ids := c.s.book.ByFingerprint(d.Fingerprint)
	if more := c.byFP[d.Fingerprint]; len(more) > 0 {
		ids = append(append([]tutti.ID(nil), ids...), more...)
	}
	var elsewhere []*Entry
	for _, id := range ids {
		e, ok := c.entry(id)
		if !ok || e.Fingerprint != d.Fingerprint || !sameSection(e, d) {
			continue
		}
		if e.Library == d.Library && e.Path == d.Path {
			return e, nil
		}
		if len(elsewhere) < maxCopies {
			elsewhere = append(elsewhere, e)
		}
	}
	var best *Entry
	score := func(e *Entry) int {
		n := 0
		if e.Library == d.Library {
			n++
		}
		if path.Base(e.Path) == path.Base(d.Path) {
			n += 2
		}
		return n
	}
	for _, e := range elsewhere {
		if best != nil && score(e) <= score(best) {
			continue
		}
		there, err := c.holds(ctx, e)
		if err != nil {
			return nil, err
		}
		if !there {
			best = e
		}
	}
	return best, nil
}

// sameSection reports whether both are whole files, or the same track of a cue sheet.
func sameSection(e *Entry, d *draft) bool {
	if d.section == 0 {
		return e.Start == 0 && e.End == 0
	}
	return e.End != 0 && e.Track.Track == d.Track.Track && e.Disc == d.Disc
}

// holds reports whether an entry's path still holds its sound. Where that cannot be told, because a disk is away, it
// does: a copy too many can be removed, an ID given away cannot be had back.
func (c *committer) holds(ctx context.Context, e *Entry) (bool, error) {
	fi, err := c.s.origin.Stat(ctx, e.Library, e.Path)
	switch {
	case tutti.IsKind(err, tutti.KindNotFound) || err == nil && fi.Dir:
		return false, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err != nil:
		return true, nil
	case fi.Size == e.Size && e.End == 0 && fi.ModTime.Equal(e.ModTime):
		return true, nil
	}
	_, fp, err := c.s.readSound(ctx, e.Library, &fi)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	return err != nil || fp == e.Fingerprint, nil
}

// resolve applies rule 3 to a file that waited for the end.
func (c *committer) resolve(ctx context.Context, w waiting) error {
	used := map[tutti.ID]bool{}
	for _, d := range w.drafts {
		var old *Entry
		for _, id := range w.known {
			if _, elsewhere := c.moved[id]; elsewhere || used[id] {
				continue
			}
			if e, ok := c.entry(id); ok && (len(w.known) == 1 && len(w.drafts) == 1 || sameSection(e, d)) {
				old = e
				break
			}
		}
		if old != nil {
			used[old.ID] = true
		}
		if err := c.put(ctx, w.p, w.scope, d, old); err != nil {
			return err
		}
	}
	c.gone = append(c.gone, without(w.known, used)...)
	return nil
}

// put completes a draft and writes it; old is the track that it is, nil for a new one.
func (c *committer) put(ctx context.Context, p *pass, scope *albums, d *draft, old *Entry) error {
	e := &d.Entry
	e.AlbumID = scope.place(d, old)
	if old == nil {
		for n := 0; ; n++ {
			e.ID = TrackID(e.Fingerprint, d.section, n)
			if _, taken := c.entry(e.ID); !taken {
				break
			}
		}
		e.Added = added(p.first, e.ModTime, c.s.clock.Now())
		c.counts(func(st *tutti.ScanStatus) { st.Added++ })
	} else {
		e.ID = old.ID
		if old.Library == e.Library && old.Path == e.Path {
			if sameEntry(old, e) {
				return nil
			}
			c.counts(func(st *tutti.ScanStatus) { st.Changed++ })
		} else {
			c.moved[e.ID] = struct{}{}
			c.counts(func(st *tutti.ScanStatus) { st.Moved++ })
		}
	}
	c.changed[e.Library] = true
	// First the batch, then what is known of it: emit forgets that when it applies the batch that was full.
	if err := c.emit(ctx, Change{Put: e}, e.weight()); err != nil {
		return err
	}
	if _, again := c.pending[e.ID]; !again {
		c.byFP[e.Fingerprint] = append(c.byFP[e.Fingerprint], e.ID)
	}
	c.pending[e.ID] = e
	return nil
}

// sameEntry reports whether putting e would change nothing: reading a whole library again need not write it again.
func sameEntry(old, e *Entry) bool {
	if old.Missing {
		return false
	}
	a := *old
	a.Added, a.Annotation = e.Added, e.Annotation
	return reflect.DeepEqual(&a, e)
}

func (c *committer) emit(ctx context.Context, ch Change, weight int) error {
	if len(c.batch) >= batchChanges || c.weight+weight > batchWeight ||
		len(c.batch)%32 == 31 && c.s.clock.Now().Sub(c.flushed) > batchAge {
		if err := c.flush(ctx); err != nil {
			return err
		}
	}
	c.batch = append(c.batch, ch)
	c.weight += weight
	return nil
}

func (c *committer) flush(ctx context.Context) error {
	if len(c.batch) == 0 {
		return nil
	}
	if err := c.s.book.Apply(ctx, c.batch); err != nil {
		return tutti.Wrap(tutti.KindUnavailable, "scan: apply to the catalogue", err)
	}
	c.batch, c.weight, c.flushed = nil, 0, c.s.clock.Now()
	clear(c.pending)
	clear(c.byFP)
	tracks := c.s.trackCount()
	c.counts(func(st *tutti.ScanStatus) { st.Tracks = tracks })
	return nil
}

// finish decides what had to wait until every library was walked: files that were replaced, and tracks that are gone.
func (c *committer) finish(ctx context.Context) error {
	for _, w := range c.waiting {
		if err := c.resolve(ctx, w); err != nil {
			return err
		}
	}
	c.waiting = nil
	for _, id := range c.gone {
		if _, elsewhere := c.moved[id]; elsewhere {
			continue
		}
		e, ok := c.entry(id)
		if !ok || e.Missing {
			continue
		}
		c.changed[e.Library] = true
		c.counts(func(st *tutti.ScanStatus) { st.Missing++ })
		if err := c.emit(ctx, Change{Missing: id}, 24); err != nil {
			return err
		}
	}
	c.gone = nil
	return c.flush(ctx)
}

// taggedOwners returns the album artist of each album of the unit, by folded name, whose tagged tracks all name the same
// single one.
func taggedOwners(u *unit) map[string]tutti.ArtistRef {
	var owners map[string]tutti.ArtistRef
	for i := range u.todo {
		for k := range u.todo[i].drafts {
			d := &u.todo[i].drafts[k]
			if !d.ownerTagged || !d.albumTagged {
				continue
			}
			if owners == nil {
				owners = map[string]tutti.ArtistRef{}
			}
			name := fold(d.Album)
			have, ok := owners[name]
			switch {
			case len(d.AlbumArtists) != 1 || ok && have.ID != d.AlbumArtists[0].ID:
				owners[name] = tutti.ArtistRef{} // they disagree, which lasts
			case !ok:
				owners[name] = d.AlbumArtists[0]
			}
		}
	}
	return owners
}

// albumKey is what an album is recognised by within its folder.
type albumKey struct {
	name, artist, edition string // folded
	mbid                  string // MusicBrainz release, if tagged
}

// albums are the albums of one album folder: a directory together with those of its discs. There the folder decides:
// tracks with the same album artist, album and edition are of one album whatever their years say, and those without a
// MusicBrainz id join those that have one.
type albums struct {
	library, folder string
	list            []albumOf
}

type albumOf struct {
	albumKey
	id tutti.ID
}

func (a *albums) find(k albumKey) (tutti.ID, bool) {
	best := -1
	for i := range a.list {
		o := &a.list[i]
		if o.name != k.name || o.artist != k.artist || o.edition != k.edition {
			continue
		}
		if o.mbid == k.mbid {
			return o.id, true
		}
		if (o.mbid == "" || k.mbid == "") && best < 0 {
			best = i
		}
	}
	if best < 0 {
		return "", false
	}
	return a.list[best].id, true
}

func (a *albums) add(k albumKey, id tutti.ID) {
	for i := range a.list {
		if a.list[i] == (albumOf{k, id}) {
			return
		}
	}
	a.list = append(a.list, albumOf{k, id})
}

// place returns the album that a draft is of: one that its album folder has already; else that of the track before it
// was moved, if its tags still name it; else a new one. So an album keeps its ID, and its stars, when its directory
// moves and when its year is put right.
func (a *albums) place(d *draft, old *Entry) tutti.ID {
	k := d.albumKey()
	id, ok := a.find(k)
	if !ok && old != nil && old.Library == d.Library {
		was := keyOf(old)
		renamed := !d.albumTagged && old.Album == untaggedAlbum(old.Path)
		if was.artist == k.artist && was.edition == k.edition && (was.name == k.name || renamed) && (was.mbid == k.mbid || was.mbid == "" || k.mbid == "") {
			id, ok = old.AlbumID, true
		}
	}
	if !ok {
		id = newAlbumID(d.Library, k, d.year(), a.folder)
	}
	a.add(k, id)
	return id
}

func keyOf(e *Entry) albumKey {
	return albumKey{name: fold(e.Album), artist: ownersOf(e), edition: fold(e.AlbumEdition), mbid: e.AlbumMBID}
}

// untaggedAlbum is what the album of a file is called where no tag says.
func untaggedAlbum(p string) string {
	folder, _ := albumFolderOf(path.Dir(p))
	if folder == "." {
		return unknownAlbum
	}
	return origin.ReadableName(path.Base(folder))
}

// enter makes c.scope that of the album folder, with the albums that the book and the batch know there.
func (c *committer) enter(library, folder string) {
	if c.scope != nil && c.scope.library == library && c.scope.folder == folder {
		return
	}
	c.scope = &albums{library: library, folder: folder}
	add := func(dir string) {
		files, _ := c.s.book.Files(library, dir)
		for i := range files[:min(len(files), maxSiblings)] {
			for _, id := range files[i].Tracks {
				if e, ok := c.entry(id); ok {
					c.scope.add(keyOf(e), e.AlbumID)
				}
			}
		}
	}
	add(folder)
	for _, name := range c.s.book.Dirs(library, folder) {
		if _, disc := discFolder(name); disc {
			add(path.Join(folder, name))
		}
	}
	for _, e := range c.pending {
		if e.Library != library || folder != "." && !strings.HasPrefix(e.Path, folder) {
			continue // the rest of the check costs more
		}
		if of, _ := albumFolderOf(path.Dir(e.Path)); of == folder {
			c.scope.add(keyOf(e), e.AlbumID)
		}
	}
}

// inferOwners gives album artists to the drafts whose tags name none: the one that their album's other tracks in the
// directory are tagged with, if they agree; else the first artist of their tracks if that is the same throughout the
// directory, and "Various Artists" if not. A file that joins a directory later and would change
// what is decided there has the whole directory read again.
func (c *committer) inferOwners(p *pass, u *unit) {
	owner := map[string]tutti.ArtistRef{} // by folded album name
	various := tutti.ArtistRef{ID: ArtistID(variousArtists), Name: variousArtists}
	each := func(fn func(d *draft)) {
		for i := range u.todo {
			for k := range u.todo[i].drafts {
				if d := &u.todo[i].drafts[k]; !d.ownerTagged {
					fn(d)
				}
			}
		}
	}
	tagged := taggedOwners(u)
	each(func(d *draft) {
		name := fold(d.Album)
		have, ok := owner[name]
		switch {
		case tagged[name].ID != "":
			owner[name] = tagged[name]
		case !ok:
			owner[name] = d.Artists[0]
		case have.ID != d.Artists[0].ID:
			owner[name] = various
		}
	})
	if len(owner) == 0 {
		return
	}
	disc := u.node.look.c.folder.disc > 0
	for name, ref := range owner {
		if u.whole && !disc {
			continue // what is known of these files is about to be replaced
		}
		joins, differs := false, false
		for i := range c.scope.list {
			o := &c.scope.list[i]
			if o.name == name {
				joins = joins || o.artist == fold(variousArtists)
				differs = differs || o.artist != fold(ref.Name)
			}
		}
		switch {
		case joins:
			owner[name] = various
		case differs && !u.whole && !u.node.reread:
			if c.again[p.lib.ID] == nil {
				c.again[p.lib.ID] = map[string]bool{}
			}
			c.again[p.lib.ID][u.node.dir] = true
		}
	}
	each(func(d *draft) { d.setOwner(owner[fold(d.Album)]) })
}
