package catalog

import (
	"context"
	"sync"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
)

// visits are those of shares that are not in the store yet. A share is there to be looked at: nobody who visits it waits
// for being counted, or is turned away because a crowd comes at once or the store takes no writes. Each node writes the
// visits of a share together, once a second while there are some. What a node has not written when it is killed is not
// counted.
type visits struct {
	mu sync.Mutex
	of map[tutti.ID]*visit
}

type visit struct {
	n     int64
	last  time.Time
	taken bool // somebody writes them
}

const (
	visitsInterval = time.Second      // between two writes of one share's visits
	visitsRetry    = 10 * time.Second // after a write that failed
)

// visited counts a visit of a share, and returns how many there are that the store does not know of.
func (c *Catalog) visited(ctx context.Context, id tutti.ID) (waiting int64) {
	l := &c.visits
	l.mu.Lock()
	if l.of == nil {
		l.of = make(map[tutti.ID]*visit)
	}
	v := l.of[id]
	if v == nil {
		v = new(visit)
		l.of[id] = v
	}
	v.n++
	v.last = c.clock.Now().UTC().Round(0)
	waiting = v.n
	taken := v.taken
	v.taken = true
	l.mu.Unlock()
	switch {
	case taken:
	case c.cfg.SoleWriter: // a file at hand is written at once
		c.flushVisits(context.WithoutCancel(ctx), id)
	case !c.people.spawn(func() { c.tendVisits(c.people.life, id) }):
		l.leave(id)
	}
	return waiting
}

// tendVisits writes a share's visits now and then until there are no more, and at once when ctx ends.
func (c *Catalog) tendVisits(ctx context.Context, id tutti.ID) {
	for ctx.Err() == nil {
		done, err := c.writeVisits(ctx, id)
		if done {
			return
		}
		pause := visitsInterval
		if err != nil {
			pause = visitsRetry
		}
		_ = clock.Sleep(ctx, c.clock, pause) // it fails when ctx ends
	}
	c.flushVisits(context.WithoutCancel(ctx), id)
}

// flushVisits writes a share's visits until there are no more. Where that fails the next visitor tries again.
func (c *Catalog) flushVisits(ctx context.Context, id tutti.ID) {
	for {
		done, err := c.writeVisits(ctx, id)
		if done {
			return
		}
		if err != nil {
			c.visits.leave(id)
			return
		}
	}
}

// writeVisits adds the visits of a share that wait to those in the store. done says that there were none, and that the
// next visitor sees to the next.
func (c *Catalog) writeVisits(ctx context.Context, id tutti.ID) (done bool, err error) {
	const op = "catalog: count visits"
	n, last, ok := c.visits.take(id)
	if !ok {
		return true, nil
	}
	const tries = 8 // nodes that write at once
	for range tries {
		var s tutti.Share
		var version uint64
		if s, version, err = c.share(ctx, op, id); err != nil {
			break
		}
		s.Visits += n
		if last.After(s.LastVisited) {
			s.LastVisited = last
		}
		if err = c.putJSON(ctx, op, shareKey(id), s, s.Expires, store.IfVersion(version)); !tutti.IsKind(err, tutti.KindConflict) {
			break
		}
	}
	switch {
	case tutti.IsKind(err, tutti.KindNotFound): // it was deleted, or is over
		return false, nil
	case err != nil:
		c.visits.putBack(id, n, last)
		c.log.WarnContext(ctx, "visits of a share are not counted yet", "share", id, "visits", n, "err", err)
	}
	return false, err
}

// take returns the visits of a share that wait, which are then the caller's to write; ok is false where there are none,
// and then the next visitor begins anew.
func (l *visits) take(id tutti.ID) (n int64, last time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.of[id]
	if v.n == 0 {
		delete(l.of, id)
		return 0, last, false
	}
	n, v.n = v.n, 0
	return n, v.last, true
}

func (l *visits) putBack(id tutti.ID, n int64, last time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.of[id]
	v.n += n
	if last.After(v.last) {
		v.last = last
	}
}

// leave lets the next visitor see to a share's visits, with those that wait.
func (l *visits) leave(id tutti.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of[id].taken = false
}
