package trackcache

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/trackcache/policy"
)

// guard stands before the origin of chunks. It gives an attempt so long and no longer, and where a library's storage
// is away it is left alone (policy.Breaker): everybody is told so at once, until an attempt of our own, made now and then,
// succeeds. While all is well nothing is sent but what listeners want.
type guard struct {
	origin    tutti.RangeSource
	firstByte time.Duration // until an attempt's answer begins
	stall     time.Duration // between two pieces of it
	clock     clock.Clock
	log       *slog.Logger

	reads, failures, refused, probes atomic.Int64

	ctx     context.Context // of the probes
	running *sync.WaitGroup

	mu       sync.Mutex
	breakers map[string]*policy.Breaker[tutti.Ref] // by library: each may lie elsewhere
}

func (g *guard) breaker(library string) *policy.Breaker[tutti.Ref] {
	b := g.breakers[library]
	if b == nil {
		b = &policy.Breaker[tutti.Ref]{}
		g.breakers[library] = b
	}
	return b
}

// isOpen reports whether a library's storage is known to be away.
func (g *guard) isOpen(library string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.breaker(library).Open()
}

// wanted notes what somebody was refused because the library is away, so that a probe asks for it.
func (g *guard) wanted(r tutti.Ref) {
	g.refused.Add(1)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.breaker(r.Library).Wanted(r)
}

func (g *guard) states() map[string]bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := make(map[string]bool, len(g.breakers))
	for l, b := range g.breakers {
		s[l] = b.Open()
	}
	return s
}

func awayError() error {
	return tutti.Errorf(tutti.KindUnavailable, "trackcache: read the origin", "the storage of the music is away; what was played lately still plays. Try again in a few seconds")
}

// OpenRange implements tutti.RangeSource.
func (g *guard) OpenRange(ctx context.Context, r tutti.Ref, off, n int64, tag string) (io.ReadCloser, tutti.ObjectInfo, error) {
	if g.isOpen(r.Library) {
		g.wanted(r)
		return nil, tutti.ObjectInfo{}, awayError()
	}
	return g.attempt(ctx, r, off, n, tag)
}

func (g *guard) attempt(ctx context.Context, r tutti.Ref, off, n int64, tag string) (io.ReadCloser, tutti.ObjectInfo, error) {
	g.reads.Add(1)
	rc, info, err := openTimed(ctx, g.clock, g.firstByte, g.stall, g.origin, r, off, n, tag)
	if err != nil {
		g.note(ctx, r, err)
		return nil, info, err
	}
	rc.note = func(err error) { g.note(ctx, r, err) }
	return rc, info, nil
}

// note counts the outcome of an attempt. What the origin says of the object (not there, another by now) is no failure
// of the origin; what the asker broke off says nothing.
func (g *guard) note(ctx context.Context, r tutti.Ref, err error) {
	failure := false
	if err != nil {
		switch tutti.KindOf(err) {
		case tutti.KindNotFound, tutti.KindConflict, tutti.KindInvalid, tutti.KindForbidden:
		default:
			if ctx.Err() != nil {
				return
			}
			failure = true
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.breaker(r.Library)
	if !failure {
		if b.Answered(r, err == nil) {
			g.log.Info("the storage of the music answers again", "library", r.Library)
		}
		return
	}
	g.failures.Add(1)
	opened, probe := b.Failed(r)
	if opened {
		g.log.Error("the storage of the music is away; it is asked again now and then", "library", r.Library, "err", err)
	}
	if probe && g.ctx.Err() == nil {
		g.running.Add(1)
		go g.probe(r.Library)
	}
}

// probe asks for the witness, or, while the library is away, until its storage answers.
func (g *guard) probe(library string) {
	defer g.running.Done()
	for {
		r, wait, ok := g.next(library)
		if !ok || clock.Sleep(g.ctx, g.clock, wait) != nil {
			return
		}
		g.probes.Add(1)
		ctx, cancel := context.WithCancel(g.ctx)
		limit := g.clock.AfterFunc(policy.ProbeMax, cancel)
		rc, _, err := g.origin.OpenRange(ctx, r, 0, 1, "")
		if err == nil {
			_, err = io.ReadFull(rc, make([]byte, 1))
			if errors.Is(err, io.EOF) {
				err = nil // an empty file
			}
			err = errors.Join(err, rc.Close())
		}
		limit.Stop()
		cancel()
		g.note(g.ctx, r, err)
	}
}

// next returns what is to be asked for next, and when; ok is false where nothing is.
func (g *guard) next(library string) (r tutti.Ref, wait time.Duration, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.breaker(library).Probe()
}

// errLate is the error of whoever did not answer in time.
var errLate = tutti.Errorf(tutti.KindUnavailable, "trackcache: read a range", "the storage of the music does not answer; try again in a few seconds")

// openTimed opens a range of src. An answer that does not begin within first, or stands still for stall, is broken
// off with KindUnavailable; the context of the exchange ends with the reader.
func openTimed(ctx context.Context, c clock.Clock, first, stall time.Duration, src tutti.RangeSource, r tutti.Ref, off, n int64, tag string) (*timedBody, tutti.ObjectInfo, error) {
	inner, cancel := context.WithCancelCause(ctx)
	timer := c.AfterFunc(first, func() { cancel(errLate) })
	rc, info, err := src.OpenRange(inner, r, off, n, tag)
	if !timer.Stop() && err == nil && inner.Err() != nil {
		err = errors.Join(errLate, rc.Close())
	}
	if err != nil {
		if inner.Err() != nil && ctx.Err() == nil {
			err = errLate
		}
		cancel(nil)
		return nil, info, err
	}
	left := n
	if info.Size >= 0 && (left < 0 || left > info.Size-off) {
		left = max(0, info.Size-off)
	}
	return &timedBody{rc: rc, ctx: inner, outer: ctx, cancel: cancel, clock: c, stall: stall, left: left}, info, nil
}

// timedBody is a body that is broken off when it stands still. One goroutine reads it.
type timedBody struct {
	rc         io.ReadCloser
	ctx, outer context.Context
	cancel     context.CancelCauseFunc
	clock      clock.Clock
	stall      time.Duration
	left       int64       // bytes that are still to come; negative where that is not known
	note       func(error) // told once how it ended, unless nil
	ended      bool
}

func (b *timedBody) Read(p []byte) (int, error) {
	timer := b.clock.AfterFunc(b.stall, func() { b.cancel(errLate) })
	n, err := b.rc.Read(p)
	timer.Stop()
	b.left -= int64(n)
	if err == io.EOF && b.left > 0 {
		err = tutti.Errorf(tutti.KindUnavailable, "trackcache: read a range", "the storage of the music broke off; try again in a few seconds")
	}
	if err != nil && err != io.EOF && b.ctx.Err() != nil && b.outer.Err() == nil {
		err = errLate
	}
	if err != nil {
		b.end(err)
	}
	return n, err
}

// end reports the outcome, once. The end of the body is a success; that it came early is for the reader to say.
func (b *timedBody) end(err error) {
	if b.ended {
		return
	}
	b.ended = true
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if b.note != nil {
		b.note(err)
	}
}

// Close ends the exchange.
func (b *timedBody) Close() error {
	if b.left == 0 {
		b.end(nil) // whoever has all there is need not read on to hear that it ends
	}
	err := b.rc.Close()
	b.cancel(nil)
	return err
}
