// Package clock is the only place that asks the operating system what time it is. Everything else is given a Clock,
// so that tests run on a Fake and time never has to be waited for.
package clock

import (
	"context"
	"time"
)

// Clock tells the time and wakes those who wait for it.
type Clock interface {
	// Now is the current time with a monotonic reading, so that differences between two calls never run backwards.
	Now() time.Time
	// NewTimer returns a timer that fires once, after d.
	NewTimer(d time.Duration) Timer
	// AfterFunc runs fn in a goroutine of its own after d, unless the timer is stopped before.
	AfterFunc(d time.Duration, fn func()) Timer
}

// Timer is a pending event. C is nil for a timer made by AfterFunc.
type Timer interface {
	C() <-chan time.Time
	// Stop reports whether it kept the timer from firing.
	Stop() bool
	// Reset starts the timer anew; as with time.Timer since Go 1.23 no stale value is received afterwards.
	Reset(d time.Duration) bool
}

// System is the machine's clock.
var System Clock = system{}

type system struct{}

type systemTimer struct{ t *time.Timer }

func (system) Now() time.Time { return time.Now() }

func (system) NewTimer(d time.Duration) Timer { return systemTimer{time.NewTimer(d)} }

func (system) AfterFunc(d time.Duration, fn func()) Timer { return systemTimer{time.AfterFunc(d, fn)} }

func (s systemTimer) C() <-chan time.Time { return s.t.C }

func (s systemTimer) Stop() bool { return s.t.Stop() }

func (s systemTimer) Reset(d time.Duration) bool { return s.t.Reset(d) }

// Deadline is the time d from now as the runtime and the kernel count it, for SetDeadline and its like: their timers run on
// the system's clock, which a Disciplined may be far from.
func Deadline(d time.Duration) time.Time { return time.Now().Add(d) }

// Sleep waits for d or until ctx ends, and returns ctx's error in the second case.
func Sleep(ctx context.Context, c Clock, d time.Duration) error {
	t := c.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
