package catalog

import (
	"cmp"
	"container/heap"
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tutti"
	"tutti/store"
)

// nowPlaying is who plays what. A process alone keeps that in memory: its restart ends the streams too. Nodes beside
// one another keep it as items that expire, one for each player, so that each of them can say it. There memory holds
// what this node wrote last, so that a player that reports all the time costs a write only when something has changed.
type nowPlaying struct {
	mu     sync.Mutex
	by     map[nowKey]*player
	of     map[tutti.ID]int // players of each person
	ends   endings
	latest list.List // of *player, the latest report first

	// What all nodes wrote, as last read. Who waited for reading while that was read need not read it again.
	reading turn
	asked   atomic.Uint64 // counts who asked
	read    []nowEntry
	readFor uint64    // asked when that was read; guarded by reading
	readAt  time.Time // guarded by reading
}

// player is one that nowPlaying remembers.
type player struct {
	key nowKey
	nowEntry
	end int           // place in endings
	at  *list.Element // place in latest
}

// endings is a heap (container/heap) of players by when they are forgotten.
type endings []*player

func (e endings) Len() int           { return len(e) }
func (e endings) Less(i, j int) bool { return e[i].until.Before(e[j].until) }

func (e endings) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].end, e[j].end = i, j
}

// Push implements heap.Interface.
func (e *endings) Push(x any) {
	p := x.(*player)
	p.end = len(*e)
	*e = append(*e, p)
}

// Pop implements heap.Interface.
func (e *endings) Pop() any {
	last := len(*e) - 1
	p := (*e)[last]
	(*e)[last] = nil
	*e = (*e)[:last]
	return p
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

	// maxPlayingShard is how many players of a partition are looked at by who wants to know of all: 16,000 in all, the
	// latest of this node's where there is no partition. Of more than that some are not listed.
	maxPlayingShard = 1000

	// maxPlaying is how many players a list shows, those that reported last.
	maxPlaying = 500

	// playingFew is how many players are read anew for whoever asks. A list of more, which costs 30 read units of
	// DynamoDB or more, is good for playingAge.
	playingFew = 200
	playingAge = time.Second

	// namesAtOnce is how many users' names are asked for at a time.
	namesAtOnce = 16

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
	if n.by == nil {
		n.by, n.of = make(map[nowKey]*player), make(map[tutti.ID]int)
	}
	n.expire(now)
	x, known := n.by[key]
	if known {
		former = x.nowEntry
	}
	switch {
	case e.State == "stopped" || !e.until.After(now):
		if known {
			n.forget(x)
		}
	case known:
		x.nowEntry = e
		heap.Fix(&n.ends, x.end)
		n.latest.MoveToFront(x.at)
	case n.of[key.user] >= maxPlayers:
		return former, tutti.Errorf(tutti.KindExhausted, op, "more than %d players report at once", maxPlayers)
	default:
		x = &player{key: key, nowEntry: e}
		n.by[key] = x
		n.of[key.user]++
		heap.Push(&n.ends, x)
		x.at = n.latest.PushFront(x)
	}
	return former, nil
}

// expire forgets the players whose time is over. The caller holds mu.
func (n *nowPlaying) expire(now time.Time) {
	for len(n.ends) > 0 && !n.ends[0].until.After(now) {
		n.forget(n.ends[0])
	}
}

// forget forgets a player. The caller holds mu.
func (n *nowPlaying) forget(x *player) {
	heap.Remove(&n.ends, x.end)
	n.latest.Remove(x.at)
	delete(n.by, x.key)
	if n.of[x.key.user]--; n.of[x.key.user] == 0 {
		delete(n.of, x.key.user)
	}
}

// keep remembers what other nodes know, unless the player has stopped or reported again meanwhile.
func (n *nowPlaying) keep(key nowKey, e nowEntry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if x, ok := n.by[key]; ok && x.Track.ID == e.Track.ID && x.State == e.State {
		x.nowEntry = e
		heap.Fix(&n.ends, x.end)
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

// known returns what this node knows of players, of those that reported last; untold: only what other nodes were not
// told.
func (n *nowPlaying) known(now time.Time, untold bool) (list []nowEntry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.expire(now)
	left := playingShards * maxPlayingShard
	for at := n.latest.Front(); at != nil && left > 0; at = at.Next() {
		if x := at.Value.(*player); !untold || x.written.IsZero() {
			list = append(list, x.nowEntry)
		}
		left--
	}
	return list
}

// playing returns who plays what. Where the store can be asked, what it says counts, and of this node's own knowledge
// only what could not be told.
func (c *Catalog) playing(ctx context.Context, op string) ([]nowEntry, error) {
	if c.cfg.SoleWriter {
		return c.now.known(c.clock.Now(), false), nil
	}
	told, err := c.playingAnywhere(ctx, op)
	now := c.clock.Now()
	if err != nil {
		if ctx.Err() == nil && tutti.IsKind(err, tutti.KindUnavailable) {
			return c.now.known(now, false), nil
		}
		return nil, err
	}
	list := c.now.known(now, true)
	own := make(map[nowKey]bool, len(list))
	for i := range list {
		own[nowKey{list[i].User, list[i].Player}] = true
	}
	for _, e := range told {
		if e.until.After(now) && !own[nowKey{e.User, e.Player}] {
			list = append(list, e)
		}
	}
	return list, nil
}

// playingAnywhere returns what all nodes wrote, as it was when it was asked for; of many players as it was less than
// playingAge before. One at a time reads, and for all who wait meanwhile. Nobody changes what is returned.
func (c *Catalog) playingAnywhere(ctx context.Context, op string) ([]nowEntry, error) {
	n := &c.now
	mine := n.asked.Add(1)
	if err := n.reading.lock(ctx); err != nil {
		return nil, err
	}
	defer n.reading.unlock()
	now := c.clock.Now()
	if n.readFor >= mine || len(n.read) > playingFew && now.Sub(n.readAt) < playingAge {
		return n.read, nil
	}
	readFor := n.asked.Load()
	var shards [playingShards][]nowEntry
	g, gctx := errgroup.WithContext(ctx)
	for i := range shards {
		g.Go(func() (err error) {
			shards[i], err = c.playingIn(gctx, op, i)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	n.read, n.readFor, n.readAt = slices.Concat(shards[:]...), readFor, now
	return n.read, nil
}

// playingIn reads a partition's players.
func (c *Catalog) playingIn(ctx context.Context, op string, shard int) (list []nowEntry, err error) {
	for after := ""; len(list) < maxPlayingShard; {
		page, err := c.store.Query(ctx, playingPK(shard), "", after, maxPlayingShard-len(list))
		if err != nil {
			return nil, tutti.Wrap(tutti.KindOf(err), op, err)
		}
		for _, item := range page.Items {
			var p playingItem
			if err := json.Unmarshal(item.Value, &p); err != nil {
				return nil, tutti.Wrap(tutti.KindInternal, op, err)
			}
			list = append(list, nowEntry{Playing: tutti.Playing{
				User: p.User, Player: p.Player, Track: tutti.Track{ID: p.Track}, State: p.State,
				Position: time.Duration(p.Position), Rate: p.Rate, ReportedAt: unixNano(p.At),
			}, until: unixNano(p.Until)})
		}
		if after = page.Next; after == "" {
			break
		}
	}
	return list, nil
}

// NowPlayingAll returns who plays what, latest report first, as far as v sees the tracks: at most maxPlaying players.
func (c *Catalog) NowPlayingAll(ctx context.Context, v tutti.Viewer) ([]tutti.Playing, error) {
	found, err := c.playing(ctx, "catalog.NowPlayingAll")
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b nowEntry) int {
		return cmp.Or(-a.ReportedAt.Compare(b.ReportedAt), cmp.Compare(a.User, b.User), cmp.Compare(a.Player, b.Player))
	})
	w, err := c.look(ctx, v, "")
	if err != nil {
		return nil, err
	}
	var r record
	seen := make([]tutti.Playing, 0, min(len(found), maxPlaying))
	for i := range found {
		if s, ok := w.trackSlot(found[i].Track.ID); ok {
			p := found[i].Playing
			p.Track = w.trackAt(s, &r)
			if seen = append(seen, p); len(seen) == maxPlaying {
				break
			}
		}
	}
	w.done()
	names := c.userNames(ctx, seen)
	for i := range seen {
		seen[i].UserName = names[seen[i].User]
	}
	return seen, nil
}

// userNames returns the names of those who play, as far as they can be had.
func (c *Catalog) userNames(ctx context.Context, of []tutti.Playing) map[tutti.ID]string {
	names := make(map[tutti.ID]string)
	for i := range of {
		names[of[i].User] = ""
	}
	var (
		mu sync.Mutex
		g  errgroup.Group
	)
	g.SetLimit(namesAtOnce)
	for _, id := range slices.Collect(maps.Keys(names)) {
		g.Go(func() error {
			name := c.userName(ctx, id)
			mu.Lock()
			names[id] = name
			mu.Unlock()
			return nil
		})
	}
	_ = g.Wait() // a name that cannot be had is left out
	return names
}
