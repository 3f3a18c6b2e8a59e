package trackcache

import (
	"context"
	"time"

	"tutti"
	"tutti/clock"
)

// What is got before anybody asks for it: the next chunk of somebody who listens on, and a second copy of what is
// played often, as policy.Foresight and policy.Demand say. Both are told to the member that owns the chunk, which does as
// it sees fit.

const (
	maxHints  = 32 // told at a time
	maxWarmth = 16 // got at a time; what is beyond is not got, because it can still be when it is asked for
	hintLimit = time.Second
)

// listening is called when a listener has taken half of chunk n, or all of a shorter one: whoever leaves before has
// cost nothing.
func (c *Chunks) listening(r tutti.Ref, info tutti.ObjectInfo, n int64) {
	id := tutti.ChunkID{Object: r.ID(), N: n}
	now := c.clock.Now()
	row, reach := c.foresight.Heard(id.Object, n, now)
	if n == 0 {
		c.played(r)
	}
	if row && n == chunks(info.Size)-1 {
		c.mu.Lock()
		c.object(id.Object).heard = true
		c.mu.Unlock()
	}
	for next := n + 1; next <= n+reach && next < chunks(info.Size); next++ {
		if !c.foresight.Tell(id.Object, next, row, now) {
			continue
		}
		owner, ok := c.firstOwner(tutti.ChunkID{Object: id.Object, N: next})
		if !ok {
			_ = c.warm(r, next, row) // ourselves
			continue
		}
		c.tell(owner, func(ctx context.Context, m tutti.Neighbour) error { return m.Warm(ctx, r, next, row) })
	}
}

// firstOwner returns the first owner of a chunk; ok is false where that is this member.
func (c *Chunks) firstOwner(id tutti.ChunkID) (m tutti.Member, ok bool) {
	if c.fleet == nil {
		return m, false
	}
	owners := c.fleet.Owners(id, 1)
	if len(owners) == 0 || owners[0].ID == c.fleet.Self().ID {
		return m, false
	}
	return owners[0], true
}

// hit counts a chunk that was found on the disk. One that is asked for a second time at its first owner is told to the
// second, so that it is there should the first be killed.
func (c *Chunks) hit(r tutti.Ref, id tutti.ChunkID, e *diskChunk, who asker) {
	c.stats.hitsDisk.Add(1)
	if who != byListener {
		return
	}
	c.disk.mu.Lock()
	useful, again := e.demand.Asked()
	c.disk.mu.Unlock()
	if useful {
		c.stats.aheadUseful.Add(1)
	}
	if !again || c.fleet == nil {
		return
	}
	owners := c.fleet.Owners(id, tutti.Replicas)
	if len(owners) < 2 || owners[0].ID != c.fleet.Self().ID {
		return
	}
	c.stats.replicated.Add(1)
	c.tell(owners[1], func(ctx context.Context, m tutti.Neighbour) error { return m.Warm(ctx, r, id.N, true) })
}

// tell tells another member something, in the background. Where too much is being told already it is left out.
func (c *Chunks) tell(m tutti.Member, say func(context.Context, tutti.Neighbour) error) {
	n, ok := c.peer(m).(tutti.Neighbour)
	if !ok {
		return
	}
	c.background(c.hints, &c.stats.hintsDropped, func() {
		ctx, cancel := within(c.ctx, c.clock, hintLimit)
		defer cancel()
		if err := say(ctx, n); err != nil {
			c.stats.hintsDropped.Add(1)
			c.log.Debug("another member could not be told of a chunk", "member", m.ID, "err", err)
		}
	})
}

// background runs fn in a goroutine of the Chunks, if there is a place for it.
func (c *Chunks) background(places chan struct{}, dropped interface{ Add(int64) int64 }, fn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	select {
	case places <- struct{}{}:
	default:
		dropped.Add(1)
		return
	}
	c.running.Add(1)
	go func() {
		defer c.running.Done()
		defer func() { <-places }()
		fn()
	}()
}

// warm is what another member's Warm comes to.
func (c *Chunks) warm(r tutti.Ref, n int64, fetch bool) error {
	if err := c.check("trackcache.Warm", r); err != nil {
		return err
	}
	if r.Version == "" || n < 0 {
		return tutti.Errorf(tutti.KindInvalid, "trackcache.Warm", "chunk %d of an object without a version", n)
	}
	id := tutti.ChunkID{Object: r.ID(), N: n}
	c.foresight.Expect(id.Object, n, c.clock.Now())
	if !fetch || c.holds(id) || c.guard.isOpen(r.Library) {
		return nil
	}
	c.background(c.warmth, &c.stats.warmDropped, func() {
		h, err := c.get(c.ctx, r, n, byForesight)
		if err != nil {
			return // logged by the fill
		}
		c.stats.aheadFilled.Add(1)
		if h.mem != nil {
			_ = h.mem.until(c.ctx, func() bool { return h.mem.done })
		}
		h.close()
	})
	return nil
}

// holds reports whether a chunk lies here, or is on its way.
func (c *Chunks) holds(id tutti.ChunkID) bool {
	c.mu.Lock()
	here := c.memory[id] != nil || c.filling[id] != nil
	c.mu.Unlock()
	return here || c.disk.has(id)
}

// heldBy reports whether another member says that it has a chunk.
func (c *Chunks) heldBy(ctx context.Context, m tutti.Member, r tutti.Ref, n int64) bool {
	bits, err := c.askHeld(ctx, m, r, n+1)
	return err == nil && bit(bits, n)
}

func (c *Chunks) askHeld(ctx context.Context, m tutti.Member, r tutti.Ref, n int64) ([]byte, error) {
	p, ok := c.peer(m).(tutti.Neighbour)
	if !ok {
		return nil, nil
	}
	if c.late.suspected(m) {
		return nil, errLate
	}
	limited, cancel := within(ctx, c.clock, peerHurry)
	defer cancel()
	bits, err := p.Held(limited, r, n)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		c.late.note(m, errLate)
	}
	return bits, err
}

// within returns a context that ends after d of the clock's time.
func within(ctx context.Context, k clock.Clock, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	limit := k.AfterFunc(d, cancel)
	return ctx, func() { limit.Stop(); cancel() }
}

func bit(bits []byte, i int64) bool { return i/8 < int64(len(bits)) && bits[i/8]&(1<<(i%8)) != 0 }
