package catalog

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tutti"
	"tutti/catalog/scan"
	"tutti/store"
)

// ---- items that may be larger than the store's ----

// The forms of a large item's value: whole, or the name and number of its parts.
const (
	wholeItem = 'w'
	partsItem = 'p'
)

// putLarge writes data under k, in parts where it is too large for one item. The parts are written first, under a name
// of their own, so that the one write of the item itself makes the whole visible or nothing.
func (c *Catalog) putLarge(ctx context.Context, k store.Key, data []byte, cond store.Condition) (uint64, error) {
	data = c.pack.EncodeAll(data, nil)
	if len(data) < store.MaxValue {
		version, err := c.store.Put(ctx, k, append([]byte{wholeItem}, data...), time.Time{}, cond)
		if err == nil && version > 1 {
			err = c.sweepLarge(ctx, k, "")
		}
		return version, err
	}
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return 0, err
	}
	generation := hex.EncodeToString(random[:])
	parts := 0
	for part := range slices.Chunk(data, store.MaxValue) {
		if _, err := c.store.Put(ctx, largePart(k, generation, parts), part, time.Time{}, store.Always); err != nil {
			return 0, err
		}
		parts++
	}
	head := appendUvarint(appendString([]byte{partsItem}, generation), uint64(parts))
	version, err := c.store.Put(ctx, k, head, time.Time{}, cond)
	if err != nil {
		return 0, err
	}
	return version, c.sweepLarge(ctx, k, generation)
}

func largePart(k store.Key, generation string, n int) store.Key {
	return store.Key{PK: "part#" + k.PK, SK: fmt.Sprintf("%s#%s#%04d", k.SK, generation, n)}
}

// sweepLarge deletes the parts of former values of k: all but the generation's.
func (c *Catalog) sweepLarge(ctx context.Context, k store.Key, but string) error {
	after := ""
	for {
		page, err := c.store.Query(ctx, "part#"+k.PK, k.SK+"#", after, 8)
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			if but != "" && strings.HasPrefix(item.SK, k.SK+"#"+but+"#") {
				continue
			}
			if err := c.store.Delete(ctx, item.Key, store.Always); err != nil {
				return err
			}
		}
		if after = page.Next; after == "" {
			return nil
		}
	}
}

// deleteLarge deletes k with its parts.
func (c *Catalog) deleteLarge(ctx context.Context, k store.Key, cond store.Condition) error {
	if err := c.store.Delete(ctx, k, cond); err != nil {
		return err
	}
	return c.sweepLarge(ctx, k, "")
}

// openLarge returns the data of a large item.
func (c *Catalog) openLarge(ctx context.Context, item store.Item) ([]byte, error) {
	const op = "catalog: read item"
	d := decoder{b: item.Value}
	var data []byte
	switch d.byte() {
	case wholeItem:
		data = d.b
	case partsItem:
		generation, parts := d.string(), int(d.uvarint())
		if d.err != nil {
			return nil, tutti.Wrap(tutti.KindInternal, op, d.err)
		}
		for n := range parts {
			part, err := c.store.Get(ctx, largePart(item.Key, generation, n))
			if err != nil {
				return nil, tutti.Wrap(tutti.KindOf(err), op, err)
			}
			data = append(data, part.Value...)
		}
	default:
		return nil, tutti.Errorf(tutti.KindInvalid, op, "an item was written by another version of tutti")
	}
	raw, err := c.unpack.DecodeAll(data, nil)
	if err != nil {
		return nil, tutti.Wrap(tutti.KindInternal, op, err)
	}
	return raw, nil
}

// ---- playlists ----

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
type playlists struct {
	writing sync.Mutex
	mu      sync.RWMutex
	byID    map[tutti.ID]*playlist
}

// load reads all playlists anew.
func (l *playlists) load(ctx context.Context, c *Catalog) error {
	l.mu.RLock()
	known := l.byID
	l.mu.RUnlock()
	fresh := make(map[tutti.ID]*playlist)
	after := ""
	for {
		page, err := c.store.Query(ctx, playlistsPK, "", after, 100)
		if err != nil {
			return tutti.Wrap(tutti.KindOf(err), "catalog: read playlists", err)
		}
		for _, item := range page.Items {
			id := tutti.ID(item.SK)
			if old, ok := known[id]; ok && old.version == item.Version {
				fresh[id] = old
				continue
			}
			raw, err := c.openLarge(ctx, item)
			if err != nil {
				return err
			}
			p, err := decodePlaylist(raw)
			if err != nil {
				return err
			}
			p.id, p.version = id, item.Version
			fresh[id] = p
		}
		if after = page.Next; after == "" {
			break
		}
	}
	l.mu.Lock()
	l.byID = fresh
	l.mu.Unlock()
	return nil
}

// fresh reads the playlists again where another node may have changed them.
func (c *Catalog) freshPlaylists(ctx context.Context) error {
	if c.cfg.SoleWriter {
		return nil
	}
	return c.playlists.load(ctx, c)
}

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
	if c.cfg.User == nil || id == "" {
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
	if err := c.freshPlaylists(ctx); err != nil {
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
	w, err := c.look(ctx, v, "")
	if err != nil {
		return nil, err
	}
	list := make([]tutti.Playlist, len(mine))
	for i, p := range mine {
		list[i] = w.describe(p, false)
	}
	w.done()
	for i := range list {
		list[i].OwnerName = c.userName(ctx, list[i].Owner)
	}
	return list, nil
}

// Playlist returns a playlist with its tracks.
func (c *Catalog) Playlist(ctx context.Context, v tutti.Viewer, id tutti.ID) (tutti.Playlist, error) {
	if err := c.freshPlaylists(ctx); err != nil {
		return tutti.Playlist{}, err
	}
	p := c.playlists.get(id)
	if p == nil || !p.visible(v) {
		return tutti.Playlist{}, notFound("catalog.Playlist", id)
	}
	w, err := c.look(ctx, v, "")
	if err != nil {
		return tutti.Playlist{}, err
	}
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
	c.playlists.writing.Lock()
	defer c.playlists.writing.Unlock()
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
	w, err := c.look(ctx, v, "")
	if err != nil {
		return tutti.Playlist{}, err
	}
	p.tracks = make([]uint64, len(in.Tracks))
	for i, id := range in.Tracks {
		if _, ok := w.trackSlot(id); !ok {
			w.done()
			return tutti.Playlist{}, notFound(op, id)
		}
		p.tracks[i] = number(id)
	}
	out := w.describe(p, true)
	w.done()
	if p.version, err = c.putLarge(ctx, store.Key{PK: playlistsPK, SK: string(p.id)}, p.encode(), cond); err != nil {
		return tutti.Playlist{}, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	c.playlists.set(p)
	out.Version = p.version
	out.OwnerName = c.userName(ctx, out.Owner)
	return out, nil
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
	c.playlists.writing.Lock()
	defer c.playlists.writing.Unlock()
	if err := c.freshPlaylists(ctx); err != nil {
		return err
	}
	if err := changeable(op, c.playlists.get(id), id, v); err != nil {
		return err
	}
	return c.dropPlaylist(ctx, op, id)
}

func (c *Catalog) dropPlaylist(ctx context.Context, op string, id tutti.ID) error {
	if err := c.deleteLarge(ctx, store.Key{PK: playlistsPK, SK: string(id)}, store.Always); err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	c.playlists.mu.Lock()
	delete(c.playlists.byID, id)
	c.playlists.mu.Unlock()
	return nil
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
	c.playlists.writing.Lock()
	defer c.playlists.writing.Unlock()
	if err := c.freshPlaylists(ctx); err != nil {
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
	var err error
	if p.version, err = c.putLarge(ctx, store.Key{PK: playlistsPK, SK: string(id)}, p.encode(), cond); err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	c.playlists.set(p)
	return nil
}
