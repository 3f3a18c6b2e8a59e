package encode

import (
	"context"
	"slices"
	"sync"
	"time"

	"tutti"
	"tutti/clock"
)

// queue gives out a fixed number of places, first come, first served. Those who wait are bounded in number and time,
// so that a burst of requests ends in clear errors rather than in a machine that does nothing but transcode.
type queue struct {
	clock   clock.Clock
	maxWait time.Duration
	length  int

	mu      sync.Mutex
	free    int
	waiting []chan struct{} // closed when the place is theirs
	onWait  func()          // called, if set, whenever somebody begins to wait
}

// enter waits for a place; leave gives it back.
func (q *queue) enter(ctx context.Context) error {
	const op = "encode: wait for a place"
	q.mu.Lock()
	if q.free > 0 {
		q.free--
		q.mu.Unlock()
		return nil
	}
	if len(q.waiting) >= q.length {
		q.mu.Unlock()
		return tutti.Errorf(tutti.KindExhausted, op, "too many tracks are being converted at once; try again in a moment, or play the original")
	}
	mine := make(chan struct{})
	q.waiting = append(q.waiting, mine)
	call := q.onWait
	q.mu.Unlock()
	if call != nil {
		call()
	}

	timer := q.clock.NewTimer(q.maxWait)
	defer timer.Stop()
	var err error
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
		err = tutti.Wrap(tutti.KindUnavailable, op, context.Cause(ctx))
	case <-timer.C():
		err = tutti.Errorf(tutti.KindExhausted, op, "the server was still busy converting other tracks after %s; try again in a moment, or play the original", q.maxWait)
	}
	q.mu.Lock()
	i := slices.Index(q.waiting, mine)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	q.mu.Unlock()
	if i < 0 { // the place came while we gave up: pass it on
		q.leave()
	}
	return err
}

func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.free++
		return
	}
	close(q.waiting[0])
	q.waiting = slices.Delete(q.waiting, 0, 1)
}

// full reports whether all places are taken.
func (q *queue) full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.free == 0
}

func (q *queue) queued() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}
