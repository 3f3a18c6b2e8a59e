package catalog

import (
	"context"
	"sync"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
)

// Who watches is told by whatever happens in this process, at once. What other nodes did to the library is found out
// anyway (follow); what they did to playlists and to the queues of those who watch here is asked of the store now and
// then, for as long as somebody watches. A person's requests mostly come to one node, so that is the exception.

const (
	libraryInterval = 2 * time.Second // between two events of the library, to one who watches
	lookInterval    = 5 * time.Second // between two looks at what other nodes did
)

// news is who watches.
type news struct {
	mu       sync.Mutex
	watchers map[*watcher]struct{}
	unlook   context.CancelFunc // ends the looks at what other nodes did; nil where nobody looks
}

// watcher is one call of Watch.
type watcher struct {
	user  tutti.ID
	since time.Time
	wake  chan struct{} // has one element while there is something below

	mu                 sync.Mutex
	library, playlists bool
	queue              *tutti.Event
}

// tell notes what a watcher is to be told.
func (w *watcher) tell(note func()) {
	w.mu.Lock()
	note()
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// tellAll notes something for all who watch.
func (n *news) tellAll(note func(*watcher)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for w := range n.watchers {
		w.tell(func() { note(w) })
	}
}

func (n *news) library()   { n.tellAll(func(w *watcher) { w.library = true }) }
func (n *news) playlists() { n.tellAll(func(w *watcher) { w.playlists = true }) }

// queue notes that somebody's queue was saved.
func (n *news) queue(user tutti.ID, e tutti.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for w := range n.watchers {
		if w.user == user {
			w.tell(func() { w.queue = &e })
		}
	}
}

// join begins to watch. look, unless it is nil, begins to look at what other nodes do, and returns what ends that.
func (n *news) join(w *watcher, look func() context.CancelFunc) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.watchers == nil {
		n.watchers = make(map[*watcher]struct{})
	}
	n.watchers[w] = struct{}{}
	if n.unlook == nil && look != nil {
		n.unlook = look()
	}
}

func (n *news) leave(w *watcher) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if delete(n.watchers, w); len(n.watchers) == 0 && n.unlook != nil {
		n.unlook()
		n.unlook = nil
	}
}

// users returns those who watch, and since when.
func (n *news) users() map[tutti.ID]time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := make(map[tutti.ID]time.Time, len(n.watchers))
	for w := range n.watchers {
		if since, ok := list[w.user]; w.user != "" && (!ok || w.since.Before(since)) {
			list[w.user] = w.since
		}
	}
	return list
}

// Watch tells what happens.
func (c *Catalog) Watch(ctx context.Context, v tutti.Viewer, fn func(tutti.Event) error) error {
	var look func() context.CancelFunc
	if !c.cfg.SoleWriter {
		look = func() context.CancelFunc {
			ctx, stop := context.WithCancel(c.people.life)
			c.people.spawn(func() { c.lookAround(ctx) })
			return stop
		}
	}
	w := &watcher{user: v.User, since: c.clock.Now(), wake: make(chan struct{}, 1)}
	c.news.join(w, look)
	defer c.news.leave(w)

	ctx, stop := context.WithCancel(ctx)
	scans, ended := make(chan tutti.ScanStatus), make(chan error, 1)
	go func() { // ends with ctx, and is waited for
		ended <- c.WatchScan(ctx, func(s tutti.ScanStatus) error {
			select {
			case scans <- s:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	over, err := c.pass(ctx, w, scans, ended, fn)
	stop()
	if !over {
		<-ended
	}
	return err
}

// pass tells fn what there is to tell. over says that the scan's own news have ended, which is then the error.
func (c *Catalog) pass(ctx context.Context, w *watcher, scans <-chan tutti.ScanStatus, ended <-chan error, fn func(tutti.Event) error) (over bool, err error) {
	pause := c.clock.NewTimer(libraryInterval) // runs while the library may not be told of
	defer pause.Stop()
	pausing := true
	for {
		select {
		case s := <-scans:
			if err := fn(tutti.Event{Kind: tutti.EventScan, Scan: s}); err != nil {
				return false, err
			}
			continue
		case err := <-ended:
			return true, err
		case <-w.wake:
		case <-pause.C():
			pausing = false
		}
		w.mu.Lock()
		library, playlists, queue := w.library && !pausing, w.playlists, w.queue
		w.library, w.playlists, w.queue = w.library && pausing, false, nil
		w.mu.Unlock()
		if queue != nil {
			if err := fn(*queue); err != nil {
				return false, err
			}
		}
		if playlists {
			if err := fn(tutti.Event{Kind: tutti.EventPlaylists}); err != nil {
				return false, err
			}
		}
		if library {
			if err := fn(tutti.Event{Kind: tutti.EventLibrary}); err != nil {
				return false, err
			}
			pause.Reset(libraryInterval)
			pausing = true
		}
	}
}

// lookAround looks at what other nodes did until ctx ends, with the last who watches.
func (c *Catalog) lookAround(ctx context.Context) {
	versions := make(map[tutti.ID]uint64) // of queues, as last seen
	for first := true; first || clock.Sleep(ctx, c.clock, lookInterval) == nil; first = false {
		if c.reach.away() {
			continue
		}
		// What is new is told as it is read; a store that does not answer is asked again.
		if err := c.freshPlaylists(ctx); err != nil && ctx.Err() == nil && !tutti.IsKind(err, tutti.KindUnavailable) {
			c.log.ErrorContext(ctx, "the playlists cannot be followed", "err", err)
		}
		users := c.news.users()
		seen := make(map[tutti.ID]uint64, len(users))
		for u, since := range users {
			last, known := versions[u]
			item, err := c.store.Get(ctx, queueKey(u))
			switch {
			case err == nil:
			case tutti.IsKind(err, tutti.KindNotFound):
				seen[u] = 0
				continue
			default:
				if known {
					seen[u] = last
				}
				continue
			}
			if seen[u] = item.Version; item.Version == last {
				continue
			}
			// Of one that was never looked at, its own time says whether it was saved since.
			if e := c.queueEvent(ctx, item); known || e.At.After(since) {
				c.news.queue(u, e)
			}
		}
		versions = seen
	}
}

// queueEvent is the event of a queue that another node saved. By whom and when is left out where it cannot be read now.
func (c *Catalog) queueEvent(ctx context.Context, item store.Item) tutti.Event {
	e := tutti.Event{Kind: tutti.EventQueue}
	raw, _, err := c.openLarge(ctx, item)
	if err != nil {
		return e
	}
	d := decoder{b: raw}
	d.byte()
	d.varint()
	d.varint()
	at, by := d.time(), d.string()
	if d.err == nil {
		e.At, e.By = at, by
	}
	return e
}
