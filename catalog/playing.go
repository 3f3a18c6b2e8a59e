package catalog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tutti"
	"tutti/store"
)

// nowPlaying is who plays what. A process alone keeps that in memory: its restart ends the streams too. Nodes beside
// one another keep it as items that expire, one for each player, so that each of them can say it. There memory holds
// what this node wrote last, so that a player that reports all the time costs a write only when something has changed.
type nowPlaying struct {
	mu   sync.Mutex
	list map[nowKey]nowEntry
}

type nowKey struct {
	user   tutti.ID
	player string
}

type nowEntry struct {
	tutti.Playing
	until   time.Time
	written time.Time // when other nodes were told; zero: they could not be
	version uint64    // of the item that tells them
}

const (
	// maxPlayers bounds the players of one person that are remembered, by each node.
	maxPlayers = 32

	// maxPlayerName bounds a player's name in bytes.
	maxPlayerName = 256

	// playingShards is over how many partitions the players of all people are spread: a million that begin a track every
	// three minutes are 5,600 writes a second, and a partition of DynamoDB takes 1,000.
	playingShards = 16

	// playingInterval is how often a report that brings nothing new is written all the same.
	playingInterval = 20 * time.Second

	// seekTolerance is how far a position may be from where it would have got to by itself.
	seekTolerance = 3 * time.Second
)

// playingItem is what is kept of a player.
type playingItem struct {
	User     tutti.ID `json:"user"`
	Player   string   `json:"player"`
	Track    tutti.ID `json:"track"`
	State    string   `json:"state"`
	Position int64    `json:"position"` // nanoseconds
	Rate     float64  `json:"rate"`
	At       int64    `json:"at"`    // Unix nanoseconds
	Until    int64    `json:"until"` // the same; more exact than the item's expiry
}

func playingPK(shard int) string { return fmt.Sprintf("playing#%02d", shard) }

func (k nowKey) item() store.Key {
	h := fnv.New32a()
	_, _ = h.Write([]byte(k.user)) // a hash takes everything
	player := sha256.Sum256([]byte(k.player))
	return store.Key{PK: playingPK(int(h.Sum32() % playingShards)), SK: string(k.user) + "#" + hex.EncodeToString(player[:8])}
}

// NowPlaying remembers what a player does until the track would have ended; a paused one for an hour. It is a sign of
// life, not a deed: where the store is away, this node alone knows of it.
func (c *Catalog) NowPlaying(ctx context.Context, v tutti.Viewer, p tutti.Playing) error {
	const op = "catalog.NowPlaying"
	switch p.State {
	case "", "starting", "playing", "paused", "stopped":
	default:
		return tutti.Errorf(tutti.KindInvalid, op, "%q is not a state of a player", p.State)
	}
	if len(p.Player) > maxPlayerName {
		return tutti.Errorf(tutti.KindInvalid, op, "the player's name is longer than %d bytes", maxPlayerName)
	}
	t, err := c.bareTrack(op, v, p.Track.ID)
	if err != nil {
		return err
	}
	now := c.clock.Now()
	p.User, p.Track, p.ReportedAt = v.User, t, now.UTC().Round(0)
	if p.Rate <= 0 {
		p.Rate = 1
	}
	left := time.Duration(float64(max(0, t.Duration-p.Position)) / p.Rate)
	if p.State == "paused" {
		left = time.Hour
	}
	key, e := nowKey{v.User, p.Player}, nowEntry{Playing: p, until: now.Add(left)}
	former, err := c.now.set(op, key, e, now)
	if err != nil || c.cfg.SoleWriter {
		return err
	}
	if former.tells(&e) {
		// As long as it is what is there: the player may have come through another node meanwhile. To look costs a fifth of
		// what writing does.
		if item, err := c.store.Get(ctx, key.item()); err == nil && item.Version == former.version {
			c.now.keep(key, former)
			return nil
		}
	}
	if e.version, err = c.tellPlaying(ctx, op, key, &e); err != nil {
		if !tutti.IsKind(err, tutti.KindUnavailable) {
			return err
		}
		return nil
	}
	e.written = now
	c.now.keep(key, e)
	return nil
}

// set remembers e, or forgets the player where e says that it stopped, and returns what was remembered before.
func (n *nowPlaying) set(op string, key nowKey, e nowEntry, now time.Time) (former nowEntry, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.list == nil {
		n.list = make(map[nowKey]nowEntry)
	}
	players := 0
	for k, x := range n.list {
		if !x.until.After(now) {
			delete(n.list, k)
		} else if k.user == key.user {
			players++
		}
	}
	former, known := n.list[key]
	switch {
	case e.State == "stopped":
		delete(n.list, key)
	case !known && players >= maxPlayers:
		return former, tutti.Errorf(tutti.KindExhausted, op, "more than %d players report at once", maxPlayers)
	default:
		n.list[key] = e
	}
	return former, nil
}

// keep remembers what other nodes know, unless the player has stopped or reported again meanwhile.
func (n *nowPlaying) keep(key nowKey, e nowEntry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now, ok := n.list[key]; ok && now.Track.ID == e.Track.ID && now.State == e.State {
		n.list[key] = e
	}
}

// tells reports whether e, which other nodes were told of, says next too: the same track goes on as it did.
func (e *nowEntry) tells(next *nowEntry) bool {
	passed := next.ReportedAt.Sub(e.ReportedAt)
	at := e.Position
	if e.State != "paused" {
		at += time.Duration(float64(passed) * e.Rate)
	}
	return next.State != "stopped" && !e.written.IsZero() && next.ReportedAt.Sub(e.written) < playingInterval &&
		e.Track.ID == next.Track.ID && e.State == next.State && e.Rate == next.Rate && (at-next.Position).Abs() <= seekTolerance
}

// tellPlaying lets the other nodes know, and returns the version of the item that does.
func (c *Catalog) tellPlaying(ctx context.Context, op string, key nowKey, e *nowEntry) (version uint64, err error) {
	if e.State == "stopped" {
		err = c.store.Delete(ctx, key.item(), store.Always)
	} else {
		var value []byte
		value, err = json.Marshal(playingItem{
			User: e.User, Player: e.Player, Track: e.Track.ID, State: e.State, Position: int64(e.Position), Rate: e.Rate,
			At: e.ReportedAt.UnixNano(), Until: e.until.UnixNano(),
		})
		if err != nil {
			return 0, tutti.Wrap(tutti.KindInternal, op, err)
		}
		version, err = c.store.Put(ctx, key.item(), value, e.until.Add(time.Second), store.Always)
	}
	if err != nil {
		return 0, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	return version, nil
}

// known returns what this node knows of players.
func (n *nowPlaying) known(now time.Time) map[nowKey]nowEntry {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := make(map[nowKey]nowEntry, len(n.list))
	for k, e := range n.list {
		if e.until.After(now) {
			list[k] = e
		} else {
			delete(n.list, k)
		}
	}
	return list
}

// playing returns who plays what. Where the store can be asked, what it says counts, and of this node's own knowledge
// only what could not be told.
func (c *Catalog) playing(ctx context.Context, op string, now time.Time) (map[nowKey]nowEntry, error) {
	mine := c.now.known(now)
	if c.cfg.SoleWriter {
		return mine, nil
	}
	var shards [playingShards][]playingItem
	g, gctx := errgroup.WithContext(ctx)
	for i := range shards {
		g.Go(func() error {
			return c.listJSON(gctx, op, playingPK(i), "", func(item store.Item) error {
				var p playingItem
				if err := json.Unmarshal(item.Value, &p); err != nil {
					return err
				}
				shards[i] = append(shards[i], p)
				return nil
			})
		})
	}
	if err := g.Wait(); err != nil {
		if ctx.Err() == nil && tutti.IsKind(err, tutti.KindUnavailable) {
			return mine, nil
		}
		return nil, err
	}
	list := make(map[nowKey]nowEntry)
	for _, p := range slices.Concat(shards[:]...) {
		until := unixNano(p.Until)
		if !until.After(now) {
			continue
		}
		list[nowKey{p.User, p.Player}] = nowEntry{Playing: tutti.Playing{
			User: p.User, Player: p.Player, Track: tutti.Track{ID: p.Track}, State: p.State,
			Position: time.Duration(p.Position), Rate: p.Rate, ReportedAt: unixNano(p.At),
		}, until: until}
	}
	for key, own := range mine {
		if own.written.IsZero() {
			list[key] = own
		}
	}
	return list, nil
}

// NowPlayingAll returns who plays what, latest report first, as far as v sees the tracks.
func (c *Catalog) NowPlayingAll(ctx context.Context, v tutti.Viewer) ([]tutti.Playing, error) {
	found, err := c.playing(ctx, "catalog.NowPlayingAll", c.clock.Now())
	if err != nil {
		return nil, err
	}
	list := make([]tutti.Playing, 0, len(found))
	for _, e := range found {
		list = append(list, e.Playing)
	}
	slices.SortFunc(list, func(a, b tutti.Playing) int {
		return cmp.Or(-a.ReportedAt.Compare(b.ReportedAt), cmp.Compare(a.User, b.User), cmp.Compare(a.Player, b.Player))
	})
	w, err := c.look(ctx, v, "")
	if err != nil {
		return nil, err
	}
	var r record
	seen := list[:0]
	for _, p := range list {
		if s, ok := w.trackSlot(p.Track.ID); ok {
			p.Track = w.trackAt(s, &r)
			seen = append(seen, p)
		}
	}
	w.done()
	names := make(map[tutti.ID]string)
	for i := range seen {
		name, ok := names[seen[i].User]
		if !ok {
			name = c.userName(ctx, seen[i].User)
			names[seen[i].User] = name
		}
		seen[i].UserName = name
	}
	return seen, nil
}
