package catalog

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
)

// reach knows whether the store answers. A catalogue whose store is elsewhere must not wait for it while it is away:
// what is in memory is answered from there, and what is not is refused at once. It is a circuit breaker (M. Nygard,
// "Release It!", 2007): after a few calls in a row to which the store had no answer, further ones are not made, but for
// one now and then that finds out whether it is back: the follower's, or, while none runs, whichever comes first.
type reach struct {
	clock  clock.Clock
	log    *slog.Logger
	tended atomic.Bool // a follower runs

	mu     sync.Mutex
	misses int       // calls in a row without an answer
	since  time.Time // of the first of them
	probe  time.Time // the next call is let through from then on
}

const (
	awayAfter  = 3                      // calls in a row without an answer
	probeEvery = 400 * time.Millisecond // less than Tuning.Follow, so that each look of a follower is one

	// patience is how long a call may take: whatever has not come until then was lost.
	patience = 3 * time.Second
	// lookPatience is the same for the question how far a log goes, which is what everybody asks all the time. It leaves a
	// database that takes half a second for each answer, and is asked twice for a log that is empty, some room.
	lookPatience = 2 * time.Second
)

// away reports whether a call would not be made now.
func (r *reach) away() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.misses >= awayAfter && (r.tended.Load() || r.clock.Now().Before(r.probe))
}

// out reports whether the store counts as away.
func (r *reach) out() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.misses >= awayAfter
}

// allow returns KindUnavailable where the call is not to be made.
func (r *reach) allow(op string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.misses < awayAfter {
		return nil
	}
	now := r.clock.Now()
	if r.tended.Load() || now.Before(r.probe) {
		return tutti.Errorf(tutti.KindUnavailable, op, "the database has not answered for %s; music plays, but nothing can be kept now",
			now.Sub(r.since).Round(time.Second))
	}
	r.probe = now.Add(probeEvery)
	return nil
}

// note takes down how a call went. That the caller went away says nothing.
func (r *reach) note(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !tutti.IsKind(err, tutti.KindUnavailable) {
		if r.misses >= awayAfter {
			r.log.InfoContext(ctx, "the store answers again", "away", r.clock.Now().Sub(r.since))
		}
		r.misses = 0
		return
	}
	now := r.clock.Now()
	switch r.misses++; r.misses {
	case 1:
		r.since = now
	case awayAfter:
		r.log.WarnContext(ctx, "the store does not answer; until it does, what is in memory is all there is", "err", err)
		r.probe = now.Add(probeEvery)
	}
}

// guarded is the store as seen through a reach, with an end to the longest call.
type guarded struct {
	store store.Store
	reach *reach
}

var _ store.Store = (*guarded)(nil)

// call makes a call to the store if that is to be made.
func call[T any](ctx context.Context, g *guarded, op string, limit time.Duration, fn func(context.Context) (T, error)) (T, error) {
	if err := g.reach.allow(op); err != nil {
		var zero T
		return zero, err
	}
	return try(ctx, g, limit, fn)
}

// try makes a call to the store.
func try[T any](ctx context.Context, g *guarded, limit time.Duration, fn func(context.Context) (T, error)) (T, error) {
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	end := g.reach.clock.AfterFunc(limit, cancel)
	defer end.Stop()
	v, err := fn(limited)
	g.reach.note(ctx, err)
	return v, err
}

func act(ctx context.Context, g *guarded, op string, fn func(context.Context) error) error {
	_, err := call(ctx, g, op, patience, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

// ask makes a call that finds out whether the store answers.
func (g *guarded) ask(ctx context.Context) error {
	_, err := try(ctx, g, lookPatience, func(ctx context.Context) (uint64, error) { return g.store.LastSeq(ctx, catalogLog) })
	return err
}

// Get implements store.Store.
func (g *guarded) Get(ctx context.Context, k store.Key) (store.Item, error) {
	return call(ctx, g, "catalog: get", patience, func(ctx context.Context) (store.Item, error) { return g.store.Get(ctx, k) })
}

// BatchGet implements store.Store.
func (g *guarded) BatchGet(ctx context.Context, keys []store.Key) ([]store.Item, error) {
	return call(ctx, g, "catalog: get", patience, func(ctx context.Context) ([]store.Item, error) { return g.store.BatchGet(ctx, keys) })
}

// Put implements store.Store.
func (g *guarded) Put(ctx context.Context, k store.Key, value []byte, expires time.Time, cond store.Condition) (uint64, error) {
	return call(ctx, g, "catalog: put", patience, func(ctx context.Context) (uint64, error) {
		return g.store.Put(ctx, k, value, expires, cond)
	})
}

// Delete implements store.Store.
func (g *guarded) Delete(ctx context.Context, k store.Key, cond store.Condition) error {
	return act(ctx, g, "catalog: delete", func(ctx context.Context) error { return g.store.Delete(ctx, k, cond) })
}

// Query implements store.Store.
func (g *guarded) Query(ctx context.Context, pk, prefix, after string, limit int) (store.Page, error) {
	return call(ctx, g, "catalog: query", patience, func(ctx context.Context) (store.Page, error) {
		return g.store.Query(ctx, pk, prefix, after, limit)
	})
}

// Append implements store.Store.
func (g *guarded) Append(ctx context.Context, log string, seq uint64, value []byte) error {
	return act(ctx, g, "catalog: append", func(ctx context.Context) error { return g.store.Append(ctx, log, seq, value) })
}

// ReadLog implements store.Store.
func (g *guarded) ReadLog(ctx context.Context, log string, since uint64, limit int) ([]store.Record, error) {
	return call(ctx, g, "catalog: read log", patience, func(ctx context.Context) ([]store.Record, error) {
		return g.store.ReadLog(ctx, log, since, limit)
	})
}

// LastSeq implements store.Store.
func (g *guarded) LastSeq(ctx context.Context, log string) (uint64, error) {
	return call(ctx, g, "catalog: follow", lookPatience, func(ctx context.Context) (uint64, error) { return g.store.LastSeq(ctx, log) })
}

// TrimLog implements store.Store. It may take as long as there is to trim.
func (g *guarded) TrimLog(ctx context.Context, log string, upTo uint64) error {
	_, err := call(ctx, g, "catalog: trim", 24*patience, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, g.store.TrimLog(ctx, log, upTo)
	})
	return err
}

// Close implements store.Store; the store is closed by whoever opened it.
func (g *guarded) Close() error { return nil }
