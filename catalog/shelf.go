package catalog

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"tutti"
	"tutti/store"
)

// Bookmarks, queues, stations and shares are items of their own in JSON, so that a person can look into the database.
// They are read from the store when asked for: nobody asks often.

// getJSON reads the item into v; ok is false where there is none.
func (c *Catalog) getJSON(ctx context.Context, op string, k store.Key, v any) (version uint64, ok bool, err error) {
	item, err := c.store.Get(ctx, k)
	switch {
	case tutti.IsKind(err, tutti.KindNotFound):
		return 0, false, nil
	case err != nil:
		return 0, false, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	if err := json.Unmarshal(item.Value, v); err != nil {
		return 0, false, tutti.Wrap(tutti.KindInternal, op, err)
	}
	return item.Version, true, nil
}

func (c *Catalog) putJSON(ctx context.Context, op string, k store.Key, v any, expires time.Time, cond store.Condition) error {
	value, err := json.Marshal(v)
	if err != nil {
		return tutti.Wrap(tutti.KindInternal, op, err)
	}
	if _, err := c.store.Put(ctx, k, value, expires, cond); err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	return nil
}

// listJSON calls add with each item of a partition.
func (c *Catalog) listJSON(ctx context.Context, op, pk, prefix string, add func(store.Item) error) error {
	after := ""
	for {
		page, err := c.store.Query(ctx, pk, prefix, after, store.MaxPage)
		if err != nil {
			return tutti.Wrap(tutti.KindOf(err), op, err)
		}
		for _, item := range page.Items {
			if err := add(item); err != nil {
				return tutti.Wrap(tutti.KindInternal, op, err)
			}
		}
		if after = page.Next; after == "" {
			return nil
		}
	}
}

func signedIn(op string, v tutti.Viewer) error {
	if v.User == "" {
		return tutti.Errorf(tutti.KindForbidden, op, "nobody is signed in")
	}
	return nil
}

// ---- bookmarks ----

const bookmarkPrefix = "bookmark#"

func bookmarkKey(user, track tutti.ID) store.Key {
	return store.Key{PK: partitionOf(user), SK: bookmarkPrefix + string(track)}
}

// Bookmarks returns v's bookmarks, the latest changed first. Those of tracks that are gone or hidden are left out.
func (c *Catalog) Bookmarks(ctx context.Context, v tutti.Viewer) ([]tutti.Bookmark, error) {
	const op = "catalog.Bookmarks"
	if err := signedIn(op, v); err != nil {
		return nil, err
	}
	var list []tutti.Bookmark
	err := c.listJSON(ctx, op, partitionOf(v.User), bookmarkPrefix, func(item store.Item) error {
		var b tutti.Bookmark
		if err := json.Unmarshal(item.Value, &b); err != nil {
			return err
		}
		list = append(list, b)
		return nil
	})
	if err != nil {
		return nil, err
	}
	w := c.glance(v)
	defer w.done()
	list = slices.DeleteFunc(list, func(b tutti.Bookmark) bool {
		_, ok := w.trackSlot(b.Track)
		return !ok
	})
	slices.SortFunc(list, func(a, b tutti.Bookmark) int {
		return cmp.Or(b.Changed.Compare(a.Changed), strings.Compare(string(a.Track), string(b.Track)))
	})
	return list, nil
}

// SaveBookmark sets v's bookmark of a track. Created and Changed are filled here.
func (c *Catalog) SaveBookmark(ctx context.Context, v tutti.Viewer, b tutti.Bookmark) error {
	const op = "catalog.SaveBookmark"
	switch err := signedIn(op, v); {
	case err != nil:
		return err
	case b.Position < 0:
		return tutti.Errorf(tutti.KindInvalid, op, "a bookmark cannot be before the track's beginning")
	case len(b.Comment) > maxComment:
		return tutti.Errorf(tutti.KindInvalid, op, "the comment may have %d bytes", maxComment)
	}
	if _, err := c.bareTrack(op, v, b.Track); err != nil {
		return err
	}
	k := bookmarkKey(v.User, b.Track)
	var old tutti.Bookmark
	_, ok, err := c.getJSON(ctx, op, k, &old)
	if err != nil {
		return err
	}
	b.Changed = c.clock.Now().UTC().Round(0)
	b.Created = b.Changed
	if ok {
		b.Created = old.Created
	}
	return c.putJSON(ctx, op, k, b, time.Time{}, store.Always)
}

// DeleteBookmark deletes v's bookmark of a track, whether or not there is one.
func (c *Catalog) DeleteBookmark(ctx context.Context, v tutti.Viewer, track tutti.ID) error {
	const op = "catalog.DeleteBookmark"
	if err := signedIn(op, v); err != nil {
		return err
	}
	if !track.Is(tutti.PrefixTrack) {
		return notFound(op, track)
	}
	if err := c.store.Delete(ctx, bookmarkKey(v.User, track), store.Always); err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	return nil
}

// ---- queue ----

// maxQueue bounds the tracks of a queue.
const maxQueue = 100_000

func queueKey(user tutti.ID) store.Key { return store.Key{PK: partitionOf(user), SK: "queue"} }

const queueFormat = 1

// Queue returns v's queue. Tracks that are gone or hidden are left out; if that takes the current one, the next takes
// its place, from the beginning.
func (c *Catalog) Queue(ctx context.Context, v tutti.Viewer) (tutti.Queue, error) {
	const op = "catalog.Queue"
	if err := signedIn(op, v); err != nil {
		return tutti.Queue{}, err
	}
	empty := tutti.Queue{Current: -1}
	item, err := c.store.Get(ctx, queueKey(v.User))
	switch {
	case tutti.IsKind(err, tutti.KindNotFound):
		return empty, nil
	case err != nil:
		return empty, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	raw, _, err := c.openLarge(ctx, item)
	if tutti.IsKind(err, tutti.KindNotFound) {
		return empty, nil
	}
	if err != nil {
		return empty, err
	}
	d := decoder{b: raw}
	if f := d.byte(); f != queueFormat {
		return empty, tutti.Errorf(tutti.KindInvalid, op, "the queue was written by another version of tutti")
	}
	current := int(d.varint())
	q := tutti.Queue{Current: -1, Position: time.Duration(d.varint()), Changed: d.time(), ChangedBy: d.string()}
	w := c.glance(v)
	defer w.done()
	for i := 0; len(d.b) > 0; i++ {
		id := tutti.NewID(tutti.PrefixTrack, d.u64())
		_, ok := w.trackSlot(id)
		if i == current {
			q.Current = len(q.Tracks)
			if !ok {
				q.Position = 0
			}
		}
		if ok {
			q.Tracks = append(q.Tracks, id)
		}
	}
	if d.err != nil {
		return empty, tutti.Wrap(tutti.KindInternal, op, d.err)
	}
	if q.Current >= len(q.Tracks) {
		q.Current = len(q.Tracks) - 1
	}
	return q, nil
}

// SaveQueue replaces v's queue. Changed is filled here.
func (c *Catalog) SaveQueue(ctx context.Context, v tutti.Viewer, q tutti.Queue) error {
	const op = "catalog.SaveQueue"
	switch err := signedIn(op, v); {
	case err != nil:
		return err
	case len(q.Tracks) > maxQueue:
		return tutti.Errorf(tutti.KindInvalid, op, "%d tracks are more than the %d a queue may have", len(q.Tracks), maxQueue)
	case q.Position < 0 || len(q.ChangedBy) > maxName:
		return tutti.Errorf(tutti.KindInvalid, op, "the position or the client's name cannot be kept")
	case len(q.Tracks) == 0:
		q.Current, q.Position = -1, 0
	case q.Current < 0 || q.Current >= len(q.Tracks):
		return tutti.Errorf(tutti.KindInvalid, op, "the current entry %d is not one of %d", q.Current, len(q.Tracks))
	}
	b := appendVarint([]byte{queueFormat}, int64(q.Current))
	b = appendVarint(b, int64(q.Position))
	now := c.clock.Now()
	b = appendVarint(b, now.UnixNano())
	b = appendString(b, q.ChangedBy)
	w := c.glance(v)
	for _, id := range q.Tracks {
		if _, ok := w.trackSlot(id); !ok {
			w.done()
			return notFound(op, id)
		}
		b = appendU64(b, number(id))
	}
	w.done()
	if _, err := c.putLarge(ctx, queueKey(v.User), b, store.Always); err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	c.news.queue(v.User, tutti.Event{Kind: tutti.EventQueue, By: q.ChangedBy, At: now.UTC().Round(0)})
	return nil
}

// ---- stations ----

const stationsPK = "stations"

// Stations lists the radio stations by name.
func (c *Catalog) Stations(ctx context.Context, _ tutti.Viewer) ([]tutti.Station, error) {
	var list []tutti.Station
	err := c.listJSON(ctx, "catalog.Stations", stationsPK, "", func(item store.Item) error {
		var s tutti.Station
		if err := json.Unmarshal(item.Value, &s); err != nil {
			return err
		}
		list = append(list, s)
		return nil
	})
	slices.SortFunc(list, func(a, b tutti.Station) int {
		return cmp.Or(strings.Compare(fold(a.Name), fold(b.Name)), strings.Compare(string(a.ID), string(b.ID)))
	})
	return list, err
}

func adminOnly(op string, v tutti.Viewer) error {
	if !v.Admin {
		return tutti.Errorf(tutti.KindForbidden, op, "only an admin may change the radio stations")
	}
	return nil
}

// SaveStation creates or replaces a radio station.
func (c *Catalog) SaveStation(ctx context.Context, v tutti.Viewer, s tutti.Station) (tutti.Station, error) {
	const op = "catalog.SaveStation"
	if err := adminOnly(op, v); err != nil {
		return tutti.Station{}, err
	}
	s.Name = strings.TrimSpace(s.Name)
	if s.Name == "" || len(s.Name) > maxName {
		return tutti.Station{}, tutti.Errorf(tutti.KindInvalid, op, "a radio station needs a name of at most %d bytes", maxName)
	}
	if !webAddress(s.StreamURL) {
		return tutti.Station{}, tutti.Errorf(tutti.KindInvalid, op, "the stream's address must begin with http:// or https://")
	}
	if s.HomeURL != "" && !webAddress(s.HomeURL) {
		return tutti.Station{}, tutti.Errorf(tutti.KindInvalid, op, "the home page's address must begin with http:// or https://")
	}
	var cond store.Condition
	if s.ID == "" {
		n, err := randomNumber()
		if err != nil {
			return tutti.Station{}, tutti.Wrap(tutti.KindInternal, op, err)
		}
		s.ID, cond = tutti.NewID(tutti.PrefixStation, n), store.IfAbsent
	} else {
		var old tutti.Station
		version, ok, err := c.station(ctx, op, s.ID, &old)
		if err != nil {
			return tutti.Station{}, err
		}
		if !ok {
			return tutti.Station{}, notFound(op, s.ID)
		}
		cond = store.IfVersion(version)
	}
	return s, c.putJSON(ctx, op, store.Key{PK: stationsPK, SK: string(s.ID)}, s, time.Time{}, cond)
}

func (c *Catalog) station(ctx context.Context, op string, id tutti.ID, to *tutti.Station) (uint64, bool, error) {
	if !id.Is(tutti.PrefixStation) {
		return 0, false, nil
	}
	return c.getJSON(ctx, op, store.Key{PK: stationsPK, SK: string(id)}, to)
}

// webAddress reports whether s is an address that a browser may follow. Others (javascript:, file:) must never get
// onto a page.
func webAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= 4<<10 && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// DeleteStation deletes a radio station.
func (c *Catalog) DeleteStation(ctx context.Context, v tutti.Viewer, id tutti.ID) error {
	const op = "catalog.DeleteStation"
	if err := adminOnly(op, v); err != nil {
		return err
	}
	var old tutti.Station
	_, ok, err := c.station(ctx, op, id, &old)
	if err != nil {
		return err
	}
	if !ok {
		return notFound(op, id)
	}
	if err := c.store.Delete(ctx, store.Key{PK: stationsPK, SK: string(id)}, store.Always); err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	return nil
}

// ---- shares ----

const sharesPK = "shares"

// maxShareEntries bounds the entries of a share, maxShareTracks the tracks that they may amount to.
const (
	maxShareEntries = 1000
	maxShareTracks  = 10_000
)

// shareID derives a share's ID from its secret, so that either finds the one item and the ID gives nothing away.
func shareID(secret string) tutti.ID {
	h := sha256.Sum256([]byte("share\x00" + secret))
	return tutti.NewID(tutti.PrefixShare, binary.BigEndian.Uint64(h[:]))
}

func shareKey(id tutti.ID) store.Key { return store.Key{PK: sharesPK, SK: string(id)} }

func (c *Catalog) share(ctx context.Context, op string, id tutti.ID) (s tutti.Share, version uint64, err error) {
	if !id.Is(tutti.PrefixShare) {
		return s, 0, notFound(op, id)
	}
	version, ok, err := c.getJSON(ctx, op, shareKey(id), &s)
	if err == nil && (!ok || (!s.Expires.IsZero() && !s.Expires.After(c.clock.Now()))) {
		err = notFound(op, id)
	}
	return s, version, err
}

// Shares returns v's shares, an admin's everybody's, latest first.
func (c *Catalog) Shares(ctx context.Context, v tutti.Viewer) ([]tutti.Share, error) {
	const op = "catalog.Shares"
	if err := signedIn(op, v); err != nil {
		return nil, err
	}
	var list []tutti.Share
	now := c.clock.Now()
	err := c.listJSON(ctx, op, sharesPK, "", func(item store.Item) error {
		var s tutti.Share
		if err := json.Unmarshal(item.Value, &s); err != nil {
			return err
		}
		if s.Owner != v.User && !v.Admin || !s.Expires.IsZero() && !s.Expires.After(now) {
			return nil
		}
		owner, err := c.sharer(ctx, s.Owner)
		if tutti.IsKind(err, tutti.KindNotFound) {
			return nil // an owner who is gone took the share along
		}
		if err != nil {
			return err
		}
		s.OwnerName = owner.Name
		list = append(list, s)
		return nil
	})
	slices.SortFunc(list, func(a, b tutti.Share) int {
		return cmp.Or(b.Created.Compare(a.Created), strings.Compare(string(a.ID), string(b.ID)))
	})
	return list, err
}

// SaveShare creates a share, or changes description, expiry and entries of one. The owner must see every entry.
func (c *Catalog) SaveShare(ctx context.Context, v tutti.Viewer, in tutti.Share) (tutti.Share, error) {
	const op = "catalog.SaveShare"
	now := c.clock.Now()
	switch err := signedIn(op, v); {
	case err != nil:
		return tutti.Share{}, err
	case len(in.Entries) == 0 || len(in.Entries) > maxShareEntries:
		return tutti.Share{}, tutti.Errorf(tutti.KindInvalid, op, "a share needs 1 to %d entries", maxShareEntries)
	case len(in.Description) > maxComment:
		return tutti.Share{}, tutti.Errorf(tutti.KindInvalid, op, "the description may have %d bytes", maxComment)
	case !in.Expires.IsZero() && !in.Expires.After(now):
		return tutti.Share{}, tutti.Errorf(tutti.KindInvalid, op, "a share cannot have ended before it begins")
	}
	if err := c.shareable(ctx, v, op, in.Entries); err != nil {
		return tutti.Share{}, err
	}
	s, cond := in, store.IfAbsent
	if in.ID == "" {
		var random [16]byte // 128 bits: nobody guesses one
		if _, err := rand.Read(random[:]); err != nil {
			return tutti.Share{}, tutti.Wrap(tutti.KindInternal, op, err)
		}
		s.Secret = base64.RawURLEncoding.EncodeToString(random[:])
		s.ID, s.Owner = shareID(s.Secret), v.User
		s.Created, s.LastVisited, s.Visits = now.UTC().Round(0), time.Time{}, 0
	} else {
		old, version, err := c.ownShare(ctx, op, v, in.ID)
		if err != nil {
			return tutti.Share{}, err
		}
		old.Description, old.Expires, old.Entries = in.Description, in.Expires, in.Entries
		s, cond = old, store.IfVersion(version)
	}
	s.OwnerName = ""
	if err := c.putJSON(ctx, op, shareKey(s.ID), s, s.Expires, cond); err != nil {
		return tutti.Share{}, err
	}
	s.OwnerName = c.userName(ctx, s.Owner)
	return s, nil
}

func (c *Catalog) ownShare(ctx context.Context, op string, v tutti.Viewer, id tutti.ID) (tutti.Share, uint64, error) {
	s, version, err := c.share(ctx, op, id)
	if err == nil && s.Owner != v.User && !v.Admin {
		err = notFound(op, id)
	}
	return s, version, err
}

// shareable checks that v sees every entry.
func (c *Catalog) shareable(ctx context.Context, v tutti.Viewer, op string, entries []tutti.ID) error {
	for _, id := range entries {
		if strings.HasPrefix(string(id), tutti.PrefixPlaylist) {
			if _, err := c.Playlist(ctx, v, id); err != nil {
				return err
			}
		}
	}
	w := c.glance(v)
	defer w.done()
	for _, id := range entries {
		_, track := w.trackSlot(id)
		_, album := w.albumSlotOf(id)
		if !track && !album && !strings.HasPrefix(string(id), tutti.PrefixPlaylist) {
			return notFound(op, id)
		}
	}
	return nil
}

// DeleteShare deletes a share.
func (c *Catalog) DeleteShare(ctx context.Context, v tutti.Viewer, id tutti.ID) error {
	const op = "catalog.DeleteShare"
	if err := signedIn(op, v); err != nil {
		return err
	}
	if _, _, err := c.ownShare(ctx, op, v, id); err != nil {
		return err
	}
	if err := c.store.Delete(ctx, shareKey(id), store.Always); err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	return nil
}

// OpenShare returns a share's tracks and counts the visit, as well as the store lets it: its trouble is not the visitor's.
func (c *Catalog) OpenShare(ctx context.Context, secret string) (tutti.Share, []tutti.Track, error) {
	s, owner, tracks, err := c.peek(ctx, "catalog.OpenShare", secret)
	if err != nil {
		return tutti.Share{}, nil, err
	}
	s.Visits += c.visited(ctx, s.ID)
	s.LastVisited = c.clock.Now().UTC().Round(0)
	s.OwnerName, s.OwnerMaxRate = owner.Name, owner.MaxBitRate
	return s, tracks, nil
}

// PeekShare returns a share's tracks.
func (c *Catalog) PeekShare(ctx context.Context, secret string) (tutti.Share, []tutti.Track, error) {
	s, owner, tracks, err := c.peek(ctx, "catalog.PeekShare", secret)
	s.OwnerName, s.OwnerMaxRate = owner.Name, owner.MaxBitRate
	return s, tracks, err
}

func (c *Catalog) peek(ctx context.Context, op, secret string) (s tutti.Share, owner tutti.User, tracks []tutti.Track, err error) {
	if len(secret) > 64 {
		return s, owner, nil, notFound(op, tutti.PrefixShare)
	}
	found, _, err := c.share(ctx, op, shareID(secret))
	if err != nil {
		return s, owner, nil, err
	}
	if subtle.ConstantTimeCompare([]byte(found.Secret), []byte(secret)) != 1 {
		return s, owner, nil, notFound(op, tutti.PrefixShare)
	}
	// The page shows what its owner may see today, and for as long as they may share.
	if owner, err = c.sharer(ctx, found.Owner); err != nil {
		return s, tutti.User{}, nil, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	if !owner.Has(tutti.RoleShare) {
		return s, tutti.User{}, nil, notFound(op, tutti.PrefixShare)
	}
	tracks, err = c.shareTracks(ctx, owner.Viewer(), found.Entries)
	return found, owner, tracks, err
}

// sharer returns the owner of a share: KindNotFound for one who is gone. Where nobody knows users, all may share.
func (c *Catalog) sharer(ctx context.Context, id tutti.ID) (tutti.User, error) {
	if c.cfg.User == nil {
		return tutti.User{ID: id, Roles: []tutti.Role{tutti.RoleShare}}, nil
	}
	return c.cfg.User(ctx, id)
}

// shareTracks lists what a share amounts to. The stars on it are nobody's business.
func (c *Catalog) shareTracks(ctx context.Context, owner tutti.Viewer, entries []tutti.ID) ([]tutti.Track, error) {
	lists := make(map[tutti.ID][]tutti.ID)
	for _, id := range entries {
		if strings.HasPrefix(string(id), tutti.PrefixPlaylist) {
			p, err := c.Playlist(ctx, owner, id)
			if err != nil && !tutti.IsKind(err, tutti.KindNotFound) {
				return nil, err
			}
			lists[id] = p.Tracks
		}
	}
	w := c.glance(owner)
	defer w.done()
	var slots []uint32
	add := func(id tutti.ID) {
		if s, ok := w.trackSlot(id); ok && !w.missing[s] {
			slots = append(slots, s)
		}
	}
	for _, id := range entries {
		add(id)
		if n, ok := w.albumSlotOf(id); ok && w.albums[n].listed {
			slots = append(slots, w.albumTracks(n)...)
		}
		for _, t := range lists[id] {
			add(t)
		}
	}
	return w.tracksAt(slots[:min(len(slots), maxShareTracks)]), nil
}
