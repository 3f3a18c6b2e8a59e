package catalog

import (
	"context"
	"sync"
	"time"

	"tutti"
)

// looks shares looks at the store among requests that want to know, each, whether another node has written something:
// however many come at once, one look is under way and one more is to follow it. A request waits for one that begins
// after itself, so it sees whatever was acknowledged before it came.
type looks struct {
	mu            sync.Mutex
	current, next *glimpse
}

// glimpse is one look. It goes on when those who waited for it have gone, for the next ones.
type glimpse struct {
	done chan struct{}
	err  error
}

func newGlimpse() *glimpse { return &glimpse{done: make(chan struct{})} }

// await waits for a look that begins now or later, but no longer than the time given, and not at all while the store is
// away. fresh is false where there was no answer in time: what is in memory is then what there is. Errors are look's,
// other than KindUnavailable, or that ctx ended.
func (l *looks) await(ctx context.Context, c *Catalog, longest time.Duration, look func(context.Context) error) (fresh bool, err error) {
	if c.reach.away() {
		c.people.stale.Add(1)
		return false, nil
	}
	g := l.join(c, look)
	wait := c.clock.NewTimer(longest)
	defer wait.Stop()
	select {
	case <-g.done:
		if g.err == nil || !tutti.IsKind(g.err, tutti.KindUnavailable) {
			return true, g.err
		}
	case <-wait.C():
	case <-ctx.Done():
		return false, tutti.Wrap(tutti.KindUnavailable, "catalog: look at the store", ctx.Err())
	}
	c.people.stale.Add(1)
	return false, nil
}

func (l *looks) join(c *Catalog, look func(context.Context) error) *glimpse {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current != nil {
		if l.next == nil {
			l.next = newGlimpse()
		}
		return l.next
	}
	g := newGlimpse()
	if !c.people.spawn(func() { l.run(c.people.life, g, look) }) {
		g.err = c.people.life.Err()
		close(g.done)
		return g
	}
	l.current = g
	return g
}

// run looks for as long as somebody waits for it.
func (l *looks) run(ctx context.Context, g *glimpse, look func(context.Context) error) {
	for g != nil {
		g.err = look(ctx)
		close(g.done)
		l.mu.Lock()
		l.current, l.next = l.next, nil
		g = l.current
		l.mu.Unlock()
	}
}

// turn is a lock that is held while the store is asked, so that waiting for it must end when the asker goes away.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// lock waits for the turn; the error is KindUnavailable, and says that ctx ended.
func (t turn) lock(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return tutti.Wrap(tutti.KindUnavailable, "catalog: wait", ctx.Err())
	}
}

func (t turn) unlock() { <-t }
