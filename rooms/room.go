package rooms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tutti"
	"tutti/clock"
)

const (
	// lead is how far ahead of being heard a block is sent: as much as players hold. It outlasts a lost packet's
	// retransmission and the pauses of a wireless network.
	lead = time.Second
	// startDelay is from a command to the first sound: time for a player to get a buffer's first blocks and to open its
	// device.
	startDelay = 400 * time.Millisecond
	// nearEnd is how long before its end the next track is opened, so that it is made when it is needed.
	nearEnd = 15 * time.Second
	// keeping is how long the store may take when nobody waits for it.
	keeping = 5 * time.Second
	// lateBy is how far behind a room may come before it starts a new program: the blocks until then would reach players
	// too late.
	lateBy = lead - 200*time.Millisecond
)

// room is a room at work. Its fields belong to House.mu, but for what run owns.
type room struct {
	record
	house   *House
	program *program
	stop    context.CancelFunc
	done    chan struct{} // closed when the pump has ended; nil where none runs
	playing bool
	problem string
	// parts say which samples of the running program are of which track, oldest first.
	timeline Timeline
	parts    []part
}

// part is a run of samples of one track.
type part struct {
	first   int64 // sample of the program
	current int   // index into the queue
	offset  int64 // sample of the track at first
}

// place is where in the queue the room is heard to be at a moment.
func (r *room) place(now time.Time) (current int, position time.Duration) {
	if !r.playing || len(r.parts) == 0 {
		return r.Current, r.Position
	}
	p := r.parts[0]
	n := max(r.timeline.Sample(now), p.first) // the first sample may still be to come
	for _, next := range r.parts[1:] {
		if next.first > n {
			break
		}
		p = next
	}
	return p.current, length(max(p.offset+n-p.first, 0), Rate)
}

// halt ends the running program, keeping its place. The caller holds House.mu, and waits for the pump, if it must, by
// the channel that is returned (closed already where nothing ran).
func (r *room) halt(now time.Time) <-chan struct{} {
	if r.done == nil {
		return closed
	}
	r.Current, r.Position = r.place(now)
	r.playing = false
	r.stop()
	done := r.done
	r.done = nil
	r.program.end()
	r.replace()
	return done
}

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// replace gives players an empty program: they forget what they hold, and are silent.
func (r *room) replace() {
	r.program = newProgram()
	r.house.news.touch()
	for _, p := range r.house.players {
		if p.seat != nil && p.seat.room == r {
			p.seat.turn()
		}
	}
}

// begin starts a program at the record's place. The caller holds House.mu.
func (r *room) begin(after <-chan struct{}) {
	if r.Current < 0 || r.Current >= len(r.Tracks) || r.house.running.Err() != nil {
		return
	}
	ctx, stop := context.WithCancel(r.house.running)
	done := make(chan struct{})
	r.stop, r.done, r.playing, r.problem, r.parts = stop, done, true, "", nil
	r.program.end()
	r.replace()
	p := r.program
	r.house.pumps.Go(func() {
		defer close(done)
		<-after // the program before has let go of its files
		err := r.pump(ctx, p)
		r.house.mu.Lock()
		defer r.house.mu.Unlock()
		if r.done != done {
			return // somebody else has taken over
		}
		told := ctx.Err() != nil
		r.Current, r.Position = r.place(r.house.c.Clock.Now())
		r.done, r.playing = nil, false
		r.house.news.touch()
		stop()
		p.end()
		if err != nil && !told {
			r.problem = tutti.Message(err)
			r.house.c.Logger.Warn("a room stopped", "room", r.Name, "err", err)
			r.replace()
		} else if err == nil {
			r.Current, r.Position = 0, 0 // the queue has been heard
		}
		keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), keeping)
		defer cancel()
		if err := r.house.save(keep, r); err != nil {
			r.house.c.Logger.Warn("a room's place could not be kept", "room", r.Name, "err", err)
		}
	})
}

// pump sends blocks until the queue ends, something fails, or ctx ends.
func (r *room) pump(ctx context.Context, p *program) (err error) {
	c := r.house.c.Clock
	r.house.mu.Lock()
	if err := ctx.Err(); err != nil { // halted before it began, and the queue may be another by now
		r.house.mu.Unlock()
		return err
	}
	current, offset := r.Current, int64(r.Position)*Rate/int64(time.Second)
	first, user, name := r.Tracks[current], r.User, r.Name
	r.house.mu.Unlock()

	viewer, err := r.house.viewer(ctx, user)
	if err != nil {
		return err
	}
	sound, err := r.house.open(ctx, viewer, first)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sound.close()) }()
	var following *recording
	defer func() {
		if following != nil {
			err = errors.Join(err, following.close())
		}
	}()
	t := Timeline{First: 0, At: c.Now().Add(startDelay), Rate: Rate}
	r.anchor(p, t, part{0, current, offset})
	wanted := -1 // index of following
	silent := 0  // tracks in a row that had no sample
	for sample := int64(0); ; sample += blockSamples {
		at := t.Time(sample)
		switch ahead := at.Add(-lead).Sub(c.Now()); {
		case ahead > 0:
			if err := clock.Sleep(ctx, c, ahead); err != nil {
				return err
			}
		case ahead < -lateBy && sample > 0:
			// The music came too late: go on from here, for everybody alike, rather than each when it can.
			return r.again(ctx, p, current, offset)
		}
		block := make([]byte, blockSamples*FrameSize)
		for filled := 0; filled < len(block); {
			n, err := sound.read(ctx, block[filled:], offset)
			if err != nil {
				return fmt.Errorf("play %q: %w", sound.track.Title, err)
			}
			filled += n
			offset += int64(n / FrameSize)
			if filled == len(block) {
				break
			}
			if silent++; n > 0 {
				silent = 0
			} else if silent > maxQueue {
				return tutti.Errorf(tutti.KindInvalid, "rooms.pump", "nothing in the queue has any sound")
			}
			// The track is at its end: the next one follows in the same block.
			next, more := r.following(current)
			if !more {
				p.add(at, block, c.Now())
				return r.playOut(ctx, t.Time(sample+int64(filled/FrameSize)))
			}
			if following == nil || wanted != next {
				if following, err = r.reopen(ctx, viewer, following, next); err != nil {
					return err
				}
			}
			if err := sound.close(); err != nil {
				return err
			}
			sound, following, current, offset = following, nil, next, 0
			r.join(p, part{sample + int64(filled/FrameSize), current, 0})
		}
		p.add(at, block, c.Now())
		if following == nil && sound.track.Duration-length(offset, Rate) < nearEnd {
			if next, more := r.following(current); more {
				if following, err = r.reopen(ctx, viewer, nil, next); err != nil {
					// It is tried again when it is needed, and is a failure only then.
					r.house.c.Logger.Warn("a room's next track cannot be opened yet", "room", name, "err", err)
					following = nil
				}
				wanted = next
			}
		}
	}
}

// reopen opens an entry of the queue in place of what was opened in advance.
func (r *room) reopen(ctx context.Context, v tutti.Viewer, old *recording, current int) (*recording, error) {
	if old != nil {
		if err := old.close(); err != nil {
			return nil, err
		}
	}
	r.house.mu.Lock()
	if current >= len(r.Tracks) {
		r.house.mu.Unlock()
		return nil, tutti.Errorf(tutti.KindConflict, "rooms.pump", "the queue was changed")
	}
	id := r.Tracks[current]
	r.house.mu.Unlock()
	return r.house.open(ctx, v, id)
}

// again begins another program where this one has got to.
func (r *room) again(ctx context.Context, p *program, current int, offset int64) error {
	r.house.mu.Lock()
	defer r.house.mu.Unlock()
	if r.program != p || ctx.Err() != nil {
		return ctx.Err()
	}
	r.house.c.Logger.Warn("a room's music came too late and was begun again where it was", "room", r.Name)
	r.Current, r.Position = current, length(offset, Rate)
	r.stop()
	done := r.done
	r.begin(done)
	return context.Canceled
}

// playOut waits until everything has been heard.
func (r *room) playOut(ctx context.Context, until time.Time) error {
	return clock.Sleep(ctx, r.house.c.Clock, until.Sub(r.house.c.Clock.Now()))
}

// anchor makes a timeline that of the room, if the program still is.
func (r *room) anchor(p *program, t Timeline, first part) {
	r.house.mu.Lock()
	defer r.house.mu.Unlock()
	if r.program == p {
		r.timeline, r.parts = t, []part{first}
		r.house.news.touch()
	}
}

// join notes where another track begins.
func (r *room) join(p *program, next part) {
	r.house.mu.Lock()
	defer r.house.mu.Unlock()
	if r.program == p {
		r.parts = append(r.parts, next)
		// It is told when it is heard.
		c := r.house.c.Clock
		c.AfterFunc(r.timeline.Time(next.first).Sub(c.Now()), func() {
			r.house.mu.Lock()
			defer r.house.mu.Unlock()
			r.house.news.touch()
		})
		if len(r.parts) > 16 { // a second holds no more tracks than that
			r.parts = r.parts[1:]
		}
	}
}

// following is the index of what comes after an entry of the queue.
func (r *room) following(current int) (int, bool) {
	r.house.mu.Lock()
	defer r.house.mu.Unlock()
	switch {
	case r.Repeat == tutti.RepeatOne:
		return current, true
	case current+1 < len(r.Tracks):
		return current + 1, true
	case r.Repeat == tutti.RepeatAll && len(r.Tracks) > 0:
		return 0, true
	}
	return 0, false
}
