package trackcache

import (
	"context"
	"errors"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/trackcache/policy"
)

// Suspects are the members that were silent lately (policy.Suspects). The Chunks and the Cache of a process share them.
type Suspects struct {
	clock clock.Clock
	late  policy.Suspects[string] // by the member's ID
}

// NewSuspects returns Suspects that suspect nobody.
func NewSuspects(c clock.Clock) *Suspects { return &Suspects{clock: c} }

// note notes that a member did not answer in time, where that is what err says.
func (s *Suspects) note(m tutti.Member, err error) {
	if errors.Is(err, errLate) {
		s.late.Note(m.ID, s.clock.Now())
	}
}

func (s *Suspects) suspected(m tutti.Member) bool { return s.late.Suspected(m.ID, s.clock.Now()) }

// aliveWait is how long a member may take to say that it is there: it does nothing for it but answer.
const aliveWait = 500 * time.Millisecond

// vigil watches an exchange with a member that may take its time: it waits in a queue, or makes what has been asked for.
// When nothing has come for a while the member is asked whether it is there at all, and where it does not say, the exchange
// ends with errLate.
type vigil struct {
	clock  clock.Clock
	cancel context.CancelCauseFunc // of the exchange
	alive  func(context.Context) bool
	came   chan struct{} // has a value when something came
	done   chan struct{}
}

// watch begins a vigil, which ends with ctx, the exchange's.
func watch(ctx context.Context, c clock.Clock, cancel context.CancelCauseFunc, alive func(context.Context) bool) *vigil {
	v := &vigil{clock: c, cancel: cancel, alive: alive, came: make(chan struct{}, 1), done: make(chan struct{})}
	go v.run(ctx)
	return v
}

// progress says that something came.
func (v *vigil) progress() {
	select {
	case v.came <- struct{}{}:
	default:
	}
}

func (v *vigil) run(ctx context.Context) {
	defer close(v.done)
	for clock.Sleep(ctx, v.clock, peerStall) == nil {
		select {
		case <-v.came:
			continue
		default:
		}
		limited, stop := within(ctx, v.clock, aliveWait)
		alive := v.alive(limited)
		stop()
		if !alive && ctx.Err() == nil {
			v.cancel(errLate)
			return
		}
	}
}

// end ends the exchange and waits for the vigil's end.
func (v *vigil) end() {
	v.cancel(nil)
	<-v.done
}
