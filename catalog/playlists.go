package catalog

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"slices"
	"strings"
	"sync"
	"time"

	"tutti"
	"tutti/catalog/scan"
	"tutti/store"
)

const playlistsPK = "playlists"

// playlist is a tutti.Playlist with its tracks as numbers.
type playlist struct {
	id               tutti.ID
	owner            tutti.ID
	name, comment    string
	public           bool
	created, changed int64
	library, file    string // of an imported one
	tracks           []uint64
	version          uint64 // of the item
}

const playlistFormat = 1

func (p *playlist) encode() []byte {
	b := []byte{playlistFormat}
	for _, s := range [...]string{string(p.owner), p.name, p.comment, p.library, p.file} {
		b = appendString(b, s)
	}
	b = append(b, boolByte(p.public))
	b = appendVarint(appendVarint(b, p.created), p.changed)
	b = appendUvarint(b, uint64(len(p.tracks)))
	for _, n := range p.tracks {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return b
}

func decodePlaylist(raw []byte) (*playlist, error) {
	const op = "catalog: read playlist"
	d := decoder{b: raw}
	if f := d.byte(); f != playlistFormat {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "a playlist was written by another version of tutti")
	}
	p := &playlist{owner: tutti.ID(d.string()), name: d.string(), comment: d.string(), library: d.string(), file: d.string()}
	p.public = d.byte() != 0
	p.created, p.changed = d.varint(), d.varint()
	n := d.uvarint()
	if n*8 != uint64(len(d.b)) {
		d.fail()
	}
	if d.err != nil {
		return nil, tutti.Wrap(tutti.KindInternal, op, d.err)
	}
	p.tracks = make([]uint64, n)
	for i := range p.tracks {
		p.tracks[i] = d.u64()
	}
	return p, nil
}

// playlists holds all playlists in memory; eight bytes an entry. A *playlist in it never changes, it is replaced.
//
// Nodes beside one another keep a log of the playlists that were written, by ID, from which the others see which to
// read again: one small question for each request, and one read for each change. A record follows the write of its item
// and precedes the answer, so whatever was acknowledged is seen. A node that is killed in between leaves a change that
// nobody was promised; everything is read again now and then, and then that is seen as well.
type playlists struct {
	writing turn
	looks   looks

	reading turn      // one reads from the store at a time
	seq     uint64    // the log as far as it was followed; guarded by reading
	loaded  time.Time // when everything was read; guarded by reading

	mu   sync.RWMutex
	byID map[tutti.ID]*playlist
}

const (
	playlistsLog = "playlists"

	// playlistsKept is how many records of the log there are at least; nodes that are further behind read everything.
	playlistsKept = 1000

	// playlistsAnew is how often everything is read again, if anybody asks.
	playlistsAnew = 10 * time.Minute
)

// load reads all playlists anew.
func (l *playlists) load(ctx context.Context, c *Catalog) error {
	const op = "catalog: read playlists"
	var seq uint64
	if !c.cfg.SoleWriter { // first, so that nothing is missed
		var err error
		if seq, err = c.store.LastSeq(ctx, playlistsLog); err != nil {
			return tutti.Wrap(tutti.KindOf(err), op, err)
		}
	}
	began := c.clock.Now()
	l.mu.RLock()
	known := l.byID
	l.mu.RUnlock()
	fresh := make(map[tutti.ID]*playlist)
	after := ""
	for {
		page, err := c.store.Query(ctx, playlistsPK, "", after, 100)
		if err != nil {
			return tutti.Wrap(tutti.KindOf(err), op, err)
		}
		for _, item := range page.Items {
			id := tutti.ID(item.SK)
			l.mu.RLock()
			old, ok := known[id]
			l.mu.RUnlock()
			if ok && old.version == item.Version {
				fresh[id] = old
				continue
			}
			p, err := c.readPlaylist(ctx, item)
			if err != nil {
				return err
			}
			if p != nil {
				fresh[id] = p
			}
		}
		if after = page.Next; after == "" {
			break
		}
	}
	l.mu.Lock()
	l.byID = fresh
	l.mu.Unlock()
	l.seq, l.loaded = seq, began
	return nil
}

// readPlaylist makes a playlist of its item; nil where it was deleted meanwhile.
func (c *Catalog) readPlaylist(ctx context.Context, item store.Item) (*playlist, error) {
	raw, item, err := c.openLarge(ctx, item)
	if tutti.IsKind(err, tutti.KindNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p, err := decodePlaylist(raw)
	if err != nil {
		return nil, err
	}
	p.id, p.version = tutti.ID(item.SK), item.Version
	return p, nil
}

// freshPlaylists reads what other nodes changed, for somebody who is about to write.
func (c *Catalog) freshPlaylists(ctx context.Context) error {
	l := &c.playlists
	if c.cfg.SoleWriter {
		return nil
	}
	if err := l.reading.lock(ctx); err != nil {
		return err
	}
	defer l.reading.unlock()
	if c.clock.Now().Sub(l.loaded) >= playlistsAnew {
		return l.load(ctx, c)
	}
	return l.followChanges(ctx, c)
}

// recentPlaylists is freshPlaylists for somebody who reads, and does not wait for a store that is away; fresh is false
// where it is.
func (c *Catalog) recentPlaylists(ctx context.Context) (fresh bool, err error) {
	if c.cfg.SoleWriter {
		return true, nil
	}
	return c.playlists.looks.await(ctx, c, c.cfg.Tuning.Wait, c.freshPlaylists)
}

// followChanges reads again what the log names. The caller has reading.
func (l *playlists) followChanges(ctx context.Context, c *Catalog) error {
	const op = "catalog: read playlists"
	last, err := c.store.LastSeq(ctx, playlistsLog)
	if err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	seq, changed := l.seq, make(map[tutti.ID]bool)
	for seq < last {
		records, err := c.store.ReadLog(ctx, playlistsLog, seq, store.MaxPage)
		if err != nil {
			return tutti.Wrap(tutti.KindOf(err), op, err)
		}
		if len(records) == 0 || records[0].Seq != seq+1 {
			return l.load(ctx, c)
		}
		for _, r := range records {
			changed[tutti.ID(r.Value)], seq = true, r.Seq
		}
	}
	for id := range changed {
		var p *playlist
		item, err := c.store.Get(ctx, playlistKey(id))
		if err == nil {
			p, err = c.readPlaylist(ctx, item)
		}
		if err != nil && !tutti.IsKind(err, tutti.KindNotFound) {
			return tutti.Wrap(tutti.KindOf(err), op, err)
		}
		l.mu.Lock()
		if p != nil {
			l.byID[id] = p
		} else {
			delete(l.byID, id)
		}
		l.mu.Unlock()
	}
	l.seq = seq
	if len(changed) > 0 {
		c.news.playlists()
	}
	return nil
}

// tellPlaylist lets the other nodes know that a playlist was written or deleted.
func (c *Catalog) tellPlaylist(ctx context.Context, id tutti.ID) error {
	const op = "catalog: tell of a playlist"
	if c.cfg.SoleWriter {
		return nil
	}
	const tries = 32
	for range tries {
		last, err := c.store.LastSeq(ctx, playlistsLog)
		if err != nil {
			return tutti.Wrap(tutti.KindOf(err), op, err)
		}
		err = c.store.Append(ctx, playlistsLog, last+1, []byte(id))
		if tutti.IsKind(err, tutti.KindConflict) {
			continue
		}
		if err == nil && last%playlistsKept == 0 && last > playlistsKept {
			err = c.store.TrimLog(ctx, playlistsLog, last-playlistsKept)
		}
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	return tutti.Errorf(tutti.KindConflict, op, "too many playlists change at once; look again")
}

func playlistKey(id tutti.ID) store.Key { return store.Key{PK: playlistsPK, SK: string(id)} }

func (l *playlists) get(id tutti.ID) *playlist {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.byID[id]
}

func (l *playlists) set(p *playlist) {
	l.mu.Lock()
	l.byID[p.id] = p
	l.mu.Unlock()
}

// visible reports whether v may see the playlist: their own, public ones, and an admin all. An imported one is of its
// library.
func (p *playlist) visible(v tutti.Viewer) bool {
	if p.library != "" && !v.Sees(p.library) {
		return false
	}
	return p.public || v.Admin || (v.User != "" && p.owner == v.User)
}

func (c *Catalog) userName(ctx context.Context, id tutti.ID) string {
	if c.cfg.User == nil || id == "" || c.reach.away() {
		return ""
	}
	u, err := c.cfg.User(ctx, id)
	if err != nil {
		if !tutti.IsKind(err, tutti.KindNotFound) {
			c.log.WarnContext(ctx, "a user's name could not be read", "user", id, "err", err)
		}
		return ""
	}
	return u.Name
}

// describe makes the tutti.Playlist that w's viewer sees. Entries that are gone or hidden are left out.
func (w *view) describe(p *playlist, tracks bool) tutti.Playlist {
	out := tutti.Playlist{
		ID: p.id, Owner: p.owner, Name: p.name, Comment: p.comment, Public: p.public, File: p.file, Version: p.version,
		Created: unixNano(p.created), Changed: unixNano(p.changed),
	}
	if tracks {
		out.Tracks = make([]tutti.ID, 0, len(p.tracks))
	}
	var r record
	for _, n := range p.tracks {
		s, ok := w.byID.find(n)
		if !ok || !w.seesTrack(s) {
			continue
		}
		w.read(s, &r)
		out.SongCount++
		out.Duration += r.duration
		if tracks {
			out.Tracks = append(out.Tracks, tutti.NewID(tutti.PrefixTrack, n))
		}
	}
	return out
}

// Playlists lists the playlists that v may see, by name, without their tracks.
func (c *Catalog) Playlists(ctx context.Context, v tutti.Viewer) ([]tutti.Playlist, error) {
	if _, err := c.recentPlaylists(ctx); err != nil {
		return nil, err
	}
	c.playlists.mu.RLock()
	var mine []*playlist
	for _, p := range c.playlists.byID {
		if p.visible(v) {
			mine = append(mine, p)
		}
	}
	c.playlists.mu.RUnlock()
	slices.SortFunc(mine, func(a, b *playlist) int {
		return cmp.Or(strings.Compare(fold(a.name), fold(b.name)), strings.Compare(string(a.id), string(b.id)))
	})
	w := c.glance(v)
	list := make([]tutti.Playlist, len(mine))
	for i, p := range mine {
		list[i] = w.describe(p, false)
	}
	w.done()
	names := make(map[tutti.ID]string)
	for i := range list {
		owner := list[i].Owner
		if _, known := names[owner]; !known {
			names[owner] = c.userName(ctx, owner)
		}
		list[i].OwnerName = names[owner]
	}
	return list, nil
}

// Playlist returns a playlist with its tracks.
func (c *Catalog) Playlist(ctx context.Context, v tutti.Viewer, id tutti.ID) (tutti.Playlist, error) {
	fresh, err := c.recentPlaylists(ctx)
	if err != nil {
		return tutti.Playlist{}, err
	}
	p := c.playlists.get(id)
	if p == nil && !fresh {
		return tutti.Playlist{}, tutti.Errorf(tutti.KindUnavailable, "catalog.Playlist", "the database does not answer; this playlist cannot be read now")
	}
	if p == nil || !p.visible(v) {
		return tutti.Playlist{}, notFound("catalog.Playlist", id)
	}
	w := c.glance(v)
	out := w.describe(p, true)
	w.done()
	out.OwnerName = c.userName(ctx, out.Owner)
	return out, nil
}

// Limits of what a person may keep.
const (
	maxPlaylistTracks = 500_000
	maxName           = 1 << 10
	maxComment        = 16 << 10
)

// SavePlaylist creates or replaces a playlist.
func (c *Catalog) SavePlaylist(ctx context.Context, v tutti.Viewer, in tutti.Playlist) (tutti.Playlist, error) {
	const op = "catalog.SavePlaylist"
	name := strings.TrimSpace(in.Name)
	switch {
	case v.User == "":
		return tutti.Playlist{}, tutti.Errorf(tutti.KindForbidden, op, "nobody is signed in")
	case name == "":
		return tutti.Playlist{}, tutti.Errorf(tutti.KindInvalid, op, "a playlist needs a name")
	case len(name) > maxName || len(in.Comment) > maxComment:
		return tutti.Playlist{}, tutti.Errorf(tutti.KindInvalid, op, "the name may have %d bytes and the comment %d", maxName, maxComment)
	case len(in.Tracks) > maxPlaylistTracks:
		return tutti.Playlist{}, tutti.Errorf(tutti.KindInvalid, op, "%d tracks are more than the %d a playlist may have", len(in.Tracks), maxPlaylistTracks)
	case in.ID != "" && !in.ID.Is(tutti.PrefixPlaylist):
		return tutti.Playlist{}, notFound(op, in.ID)
	}
	if err := c.playlists.writing.lock(ctx); err != nil {
		return tutti.Playlist{}, err
	}
	defer c.playlists.writing.unlock()
	for try := 0; ; try++ {
		out, err := c.savePlaylist(ctx, op, v, in, name)
		// Whoever names no version wants the list so whatever it was before.
		if in.Version != 0 || try == maxItemTries || !tutti.IsKind(err, tutti.KindConflict) {
			return out, err
		}
	}
}

// savePlaylist is one attempt of SavePlaylist. The caller holds writing.
func (c *Catalog) savePlaylist(ctx context.Context, op string, v tutti.Viewer, in tutti.Playlist, name string) (tutti.Playlist, error) {
	if err := c.freshPlaylists(ctx); err != nil {
		return tutti.Playlist{}, err
	}
	now := c.clock.Now().UnixNano()
	p := &playlist{id: in.ID, owner: v.User, name: name, comment: in.Comment, public: in.Public, created: now, changed: now}
	cond := store.IfAbsent
	if in.ID == "" {
		n, err := randomNumber()
		if err != nil {
			return tutti.Playlist{}, tutti.Wrap(tutti.KindInternal, op, err)
		}
		p.id = tutti.NewID(tutti.PrefixPlaylist, n)
	} else {
		old := c.playlists.get(in.ID)
		if err := changeable(op, old, in.ID, v); err != nil {
			return tutti.Playlist{}, err
		}
		if in.Version != 0 && in.Version != old.version {
			return tutti.Playlist{}, tutti.Errorf(tutti.KindConflict, op, "the playlist was changed elsewhere meanwhile; look again")
		}
		p.owner, p.created = old.owner, old.created
		cond = store.IfVersion(old.version)
	}
	p.tracks = make([]uint64, len(in.Tracks))
	w := c.glance(v)
	for i, id := range in.Tracks {
		if _, ok := w.trackSlot(id); !ok {
			w.done()
			return tutti.Playlist{}, notFound(op, id)
		}
		p.tracks[i] = number(id)
	}
	out := w.describe(p, true)
	w.done()
	if err := c.keepPlaylist(ctx, op, p, cond); err != nil {
		return tutti.Playlist{}, err
	}
	out.Version = p.version
	out.OwnerName = c.userName(ctx, out.Owner)
	return out, nil
}

// keepPlaylist writes a playlist. The caller holds writing.
func (c *Catalog) keepPlaylist(ctx context.Context, op string, p *playlist, cond store.Condition) (err error) {
	if p.version, err = c.putLarge(ctx, playlistKey(p.id), p.encode(), cond); err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	c.playlists.set(p)
	c.news.playlists()
	return c.tellPlaylist(ctx, p.id)
}

func randomNumber() (uint64, error) {
	var b [8]byte
	_, err := rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:]), err
}

// changeable reports whether v may change the playlist.
func changeable(op string, p *playlist, id tutti.ID, v tutti.Viewer) error {
	switch {
	case p == nil || !p.visible(v):
		return notFound(op, id)
	case p.file != "":
		return tutti.Errorf(tutti.KindForbidden, op, "this playlist follows the file %s; change that, or make a copy", p.file)
	case p.owner != v.User && !v.Admin:
		return tutti.Errorf(tutti.KindForbidden, op, "this playlist belongs to somebody else")
	}
	return nil
}

// DeletePlaylist deletes a playlist.
func (c *Catalog) DeletePlaylist(ctx context.Context, v tutti.Viewer, id tutti.ID) error {
	const op = "catalog.DeletePlaylist"
	if err := c.playlists.writing.lock(ctx); err != nil {
		return err
	}
	defer c.playlists.writing.unlock()
	if err := c.freshPlaylists(ctx); err != nil {
		return err
	}
	if err := changeable(op, c.playlists.get(id), id, v); err != nil {
		return err
	}
	return c.dropPlaylist(ctx, op, id)
}

func (c *Catalog) dropPlaylist(ctx context.Context, op string, id tutti.ID) error {
	if err := c.deleteLarge(ctx, playlistKey(id)); err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	c.playlists.mu.Lock()
	delete(c.playlists.byID, id)
	c.playlists.mu.Unlock()
	c.news.playlists()
	return c.tellPlaylist(ctx, id)
}

// ---- scan.Book ----

// PlaylistFiles returns the files that playlists of the library follow.
func (c *Catalog) PlaylistFiles(library string) []string {
	c.playlists.mu.RLock()
	defer c.playlists.mu.RUnlock()
	var files []string
	for _, p := range c.playlists.byID {
		if p.file != "" && p.library == library {
			files = append(files, p.file)
		}
	}
	return files
}

// ImportPlaylist creates, replaces or (without tracks) deletes the playlist that follows a file. It is public to those
// who see the library.
func (c *Catalog) ImportPlaylist(ctx context.Context, library string, in tutti.Playlist) error {
	const op = "catalog.ImportPlaylist"
	if library == "" || in.File == "" || len(in.Name) > maxName || len(in.File) > maxTexts || len(in.Tracks) > maxPlaylistTracks {
		return tutti.Errorf(tutti.KindInvalid, op, "%q is not a playlist that can be kept", in.File)
	}
	id := scan.PlaylistID(library, in.File)
	if err := c.playlists.writing.lock(ctx); err != nil {
		return err
	}
	defer c.playlists.writing.unlock()
	if err := c.freshPlaylists(ctx); err != nil {
		return err
	}
	if err := c.stillScans(ctx); err != nil { // after the version was read that is to be replaced
		return err
	}
	old := c.playlists.get(id)
	if in.Tracks == nil {
		if old == nil {
			return nil
		}
		return c.dropPlaylist(ctx, op, id)
	}
	now := c.clock.Now().UnixNano()
	p := &playlist{
		id: id, owner: in.Owner, name: cmp.Or(strings.TrimSpace(in.Name), in.File), comment: in.Comment, public: true,
		created: now, changed: now, library: library, file: in.File, tracks: make([]uint64, 0, len(in.Tracks)),
	}
	for _, t := range in.Tracks {
		if !t.Is(tutti.PrefixTrack) {
			return tutti.Errorf(tutti.KindInvalid, op, "%q is not a track's ID", string(t))
		}
		p.tracks = append(p.tracks, number(t))
	}
	if representable(in.Changed) {
		p.changed = in.Changed.UnixNano()
	}
	cond := store.IfAbsent
	if old != nil {
		p.created = old.created
		if !representable(in.Changed) {
			p.changed = old.changed // for the comparison
		}
		if bytes.Equal(p.encode(), old.encode()) {
			return nil
		}
		if !representable(in.Changed) {
			p.changed = now
		}
		cond = store.IfVersion(old.version)
	}
	return c.keepPlaylist(ctx, op, p, cond)
}
