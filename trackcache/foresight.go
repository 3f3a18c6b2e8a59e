package trackcache

import (
	"context"
	"time"

	"tutti"
	"tutti/clock"
)

// What is got before anybody asks for it: the next chunk of somebody who listens on, and a second copy of what is
// played often. Both are told to the member that owns the chunk, which does as it sees fit.
//
// Each member sees only the chunks that it owns, so that who plays on cannot be told from who leaps by looking at one's
// own. The owner of a chunk therefore tells the owner of the next one, and that one knows a request it was told of for
// what it is. The first chunk of a track begins a row; after a leap, the first chunk only announces the next.

const (
	maxHints  = 32 // told at a time
	maxWarmth = 16 // got at a time; what is beyond is not got, because it can still be when it is asked for
	// hintAgain is how long nobody is told of a chunk again.
	hintAgain = time.Minute
	// expectFor is how long a chunk is expected: a MiB of a low bit rate lasts two minutes, and people pause.
	expectFor = 5 * time.Minute
	// fast is the time for which a chunk of a listener who downloads lasts, rather than one who plays; they get two
	// chunks ahead.
	fast      = 2 * time.Second
	hintLimit = time.Second
)

// listening is called when a listener has taken half of chunk n, or all of a shorter one: whoever leaves before has
// cost nothing.
func (c *Chunks) listening(r tutti.Ref, info tutti.ObjectInfo, n int64) {
	id := tutti.ChunkID{Object: r.ID(), N: n}
	now := c.clock.Now()
	expected := c.expected.met(id)
	row := n == 0 || !expected.IsZero() && now.Sub(expected) < expectFor
	if n == 0 {
		c.played(r)
	}
	if row && n == chunks(info.Size)-1 {
		c.mu.Lock()
		c.object(id.Object).heard = true
		c.mu.Unlock()
	}
	reach := int64(1)
	if row && !expected.IsZero() && now.Sub(expected) < fast {
		reach = 2
	}
	for next := n + 1; next <= n+reach && next < chunks(info.Size); next++ {
		nid := tutti.ChunkID{Object: id.Object, N: next}
		key := nid
		if !row {
			key.N = -1 - next // announced, which is not the same as fetched
		}
		if before := c.hinted.note(key, now); !before.IsZero() && now.Sub(before) < hintAgain {
			continue
		}
		owner, ok := c.firstOwner(nid)
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
	ahead, told := e.ahead, e.told
	e.ahead, e.told = false, true
	c.disk.mu.Unlock()
	if ahead {
		c.stats.aheadUseful.Add(1)
		return // this was the first request
	}
	if told || c.fleet == nil {
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
	if n > 0 { // a beginning is the next of nothing
		c.expected.note(id, c.clock.Now())
	}
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
