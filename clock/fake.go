package clock

import (
	"slices"
	"sync"
	"time"
)

// Fake is a Clock that stands still until it is told to advance. Timers fire in the order of their deadlines, inside
// Advance. The zero value is not ready; use NewFake.
type Fake struct {
	mu     sync.Mutex
	now    time.Time
	timers []*fakeTimer
	waits  *sync.Cond
}

// NewFake returns a Fake that shows t.
func NewFake(t time.Time) *Fake {
	f := &Fake{now: t}
	f.waits = sync.NewCond(&f.mu)
	return f
}

type fakeTimer struct {
	f    *Fake
	at   time.Time
	ch   chan time.Time
	fn   func()
	live bool
}

// Now returns the time that the clock shows.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// NewTimer returns a timer that fires when the clock is advanced to d from now.
func (f *Fake) NewTimer(d time.Duration) Timer {
	t := &fakeTimer{f: f, ch: make(chan time.Time, 1)}
	t.Reset(d)
	return t
}

// AfterFunc runs fn in a goroutine of its own when the clock is advanced to d from now.
func (f *Fake) AfterFunc(d time.Duration, fn func()) Timer {
	t := &fakeTimer{f: f, fn: fn}
	t.Reset(d)
	return t
}

// Advance moves the clock on by d, firing what falls due on the way at its own time.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	end := f.now.Add(d)
	for len(f.timers) > 0 && !f.timers[0].at.After(end) {
		t := f.timers[0]
		f.timers = f.timers[1:]
		if t.at.After(f.now) {
			f.now = t.at
		}
		t.fireLocked()
	}
	f.now = end
}

// WaitForTimers blocks until at least n timers are pending: the way for a test to know that the code under test has
// gone to sleep.
func (f *Fake) WaitForTimers(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.timers) < n {
		f.waits.Wait()
	}
}

func (t *fakeTimer) fireLocked() {
	t.live = false
	if t.fn != nil {
		go t.fn()
		return
	}
	t.ch <- t.f.now
}

func (t *fakeTimer) C() <-chan time.Time { return t.ch }

func (t *fakeTimer) Stop() bool {
	t.f.mu.Lock()
	defer t.f.mu.Unlock()
	return t.stopLocked()
}

func (t *fakeTimer) stopLocked() bool {
	was := t.live
	t.live = false
	t.f.timers = slices.DeleteFunc(t.f.timers, func(o *fakeTimer) bool { return o == t })
	if t.ch != nil {
		select {
		case <-t.ch:
		default:
		}
	}
	return was
}

func (t *fakeTimer) Reset(d time.Duration) bool {
	t.f.mu.Lock()
	defer t.f.mu.Unlock()
	was := t.stopLocked()
	t.at, t.live = t.f.now.Add(d), true
	if d <= 0 {
		t.fireLocked()
		return was
	}
	i, _ := slices.BinarySearchFunc(t.f.timers, t, func(a, b *fakeTimer) int {
		if a.at.After(b.at) {
			return 1
		}
		return -1 // equal deadlines keep the order in which they were set
	})
	t.f.timers = slices.Insert(t.f.timers, i, t)
	t.f.waits.Broadcast()
	return was
}
