package sqlite

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"tutti"
)

// The bounds of a group of writes that is committed together.
const (
	maxGroup      = 256     // writes
	maxGroupBytes = 8 << 20 // bytes of values, so that nobody waits long behind a large group
)

// write is one change on its way through the writer.
type write struct {
	op    string
	bytes int
	run   func(c *conn) error // an error of ours (a conflict) concerns this write alone; the engine's concerns the group
	state atomic.Uint32
	err   error
	done  chan struct{}
}

// A write is waiting until the writer takes it or its caller withdraws it, whichever comes first.
const (
	waiting uint32 = iota
	taken
	withdrawn
)

// submit hands a change to the writer and waits until it is durable. A caller whose ctx ends gets ctx's error only
// if the change was withdrawn in time and has not happened; otherwise it gets the outcome, which is near by then.
func (s *Store) submit(ctx context.Context, op string, bytes int, run func(c *conn) error) error {
	if err := ctx.Err(); err != nil {
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	w := &write{op: op, bytes: bytes, run: run, done: make(chan struct{})}
	select {
	case <-s.stop:
		return closed(op)
	default:
	}
	select {
	case s.writes <- w:
	case <-s.stop:
		return closed(op)
	case <-ctx.Done():
		return tutti.Wrap(tutti.KindUnavailable, op, ctx.Err())
	}
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		if w.state.CompareAndSwap(waiting, withdrawn) {
			return tutti.Wrap(tutti.KindUnavailable, op, ctx.Err())
		}
	case <-s.done: // the writer left while this write was on its way to it
		if w.state.CompareAndSwap(waiting, withdrawn) {
			return closed(op)
		}
	}
	<-w.done
	return w.err
}

// runWriter is the goroutine that writes. It sleeps until there is something to write, takes all that waits, and
// commits it at once.
func (s *Store) runWriter(c *conn) {
	defer close(s.done)
	group := make([]*write, 0, maxGroup)
	for {
		var first *write
		select {
		case first = <-s.writes:
		case <-s.stop:
			select { // what was handed over before Close is still written
			case first = <-s.writes:
			default:
				s.err = c.close()
				return
			}
		}
		group = s.gather(group[:0], first)
		if len(group) > 0 {
			s.commit(c, group)
		}
		clear(group)
	}
}

// gather appends first and whatever else is waiting to group, as far as they are still wanted.
func (s *Store) gather(group []*write, first *write) []*write {
	bytes := 0
	for w := first; ; {
		if w.state.CompareAndSwap(waiting, taken) {
			group = append(group, w)
			bytes += w.bytes
		}
		if len(group) == maxGroup || bytes >= maxGroupBytes {
			return group
		}
		select {
		case w = <-s.writes:
		default:
			return group
		}
	}
}

// commit runs the writes of a group in one transaction and tells each its outcome.
func (s *Store) commit(c *conn, group []*write) {
	if err := s.transact(c, group); err != nil {
		for _, w := range group {
			w.err = classify(w.op, err)
		}
	}
	s.counts.commits.Add(1)
	s.counts.writes.Add(int64(len(group)))
	for _, w := range group {
		close(w.done)
	}
}

func (s *Store) transact(c *conn, group []*write) error {
	if _, err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := runAll(c, group)
	if err == nil {
		err = s.sweepExpired(c)
	}
	if err == nil {
		_, err = c.exec("COMMIT")
	}
	if err != nil {
		// Most errors leave the transaction open, some have already rolled it back; ROLLBACK then has nothing to do and
		// says so. If the connection is beyond use, the next BEGIN says that.
		if _, rollback := c.exec("ROLLBACK"); rollback != nil {
			s.logger.Warn("could not roll back", "error", rollback)
		}
	}
	return err
}

const (
	sweepEvery = time.Minute
	sweepStep  = 256 // items, so that the writes that carry the sweep along are not held up
	sweepSQL   = `DELETE FROM items WHERE (pk, sk) IN (SELECT pk, sk FROM items WHERE expires <> 0 AND expires <= ? LIMIT ?)`
)

// sweepExpired removes some expired items in the transaction of writes that come anyway. Reads do not need it, so an
// idle server leaves them where they are.
func (s *Store) sweepExpired(c *conn) error {
	now := s.clock.Now()
	if now.Before(s.sweep) {
		return nil
	}
	n, err := c.exec(sweepSQL, now.Unix(), int64(sweepStep))
	if n < sweepStep { // else there may be more, for the next write to remove
		s.sweep = now.Add(sweepEvery)
	}
	return err
}

// runAll runs each write and returns the first error of the engine; it leaves the errors of ours in the writes.
func runAll(c *conn, group []*write) error {
	for _, w := range group {
		err := w.run(c)
		var ours *tutti.Error
		if err != nil && !errors.As(err, &ours) {
			return err
		}
		w.err = err
	}
	return nil
}
