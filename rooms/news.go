package rooms

import (
	"context"
	"time"

	"tutti"
	"tutti/clock"
)

const (
	// gather is how long changes are gathered before the next are told.
	gather = 250 * time.Millisecond
	// maxSteps bounds what is remembered of what players said of themselves: five minutes, once a second.
	maxSteps = 300
	stepAge  = 5 * time.Minute
	// leastStep is how soon after one another they count: every one wakes who watches the rooms.
	leastStep = 100 * time.Millisecond
)

// news is what watchers wait for. It belongs to House.mu.
type news struct {
	changes int64         // of rooms and players, counted
	told    int64         // steps, counted
	more    chan struct{} // closed at the next of either
	scene   chan struct{} // closed at the next change, or as soon as another track is known to come; not at steps
}

func makeNews() news { return news{more: make(chan struct{}), scene: make(chan struct{})} }

// touch says that a room or a player is not what it was.
func (n *news) touch() {
	n.changes++
	n.wake()
}

func (n *news) wake() {
	close(n.scene)
	n.scene = make(chan struct{})
	n.step()
}

// step says that a player has said something of itself, which is nothing to who shows what plays.
func (n *news) step() {
	close(n.more)
	n.more = make(chan struct{})
}

// steps is what a player said of itself lately, oldest first. It is not kept: who connects anew has yet to find its step.
type steps struct {
	list []numbered
}

type numbered struct {
	n    int64 // among all steps of the house
	step tutti.RoomStep
}

// Report takes what the player says of how far off it is, ten times a second at most. It is for protocols whose players
// measure that themselves.
func (s *Seat) Report(off, bound time.Duration) {
	h := s.house
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.player.seat != s {
		return // another connection is the player's by now
	}
	now := h.c.Clock.Now()
	if s.player.steps == nil {
		s.player.steps = &steps{}
	}
	all := s.player.steps
	if n := len(all.list); n > 0 && now.Sub(all.list[n-1].step.At) < leastStep {
		return
	}
	for len(all.list) > 0 && (len(all.list) >= maxSteps || now.Sub(all.list[0].step.At) > stepAge) {
		all.list = all.list[1:]
	}
	h.news.told++
	all.list = append(all.list, numbered{h.news.told, tutti.RoomStep{Player: s.player.ID, At: now.UTC(), Error: off, Bound: bound}})
	h.news.step()
}

// WatchRooms implements tutti.Rooms.
func (h *House) WatchRooms(ctx context.Context, _ tutti.Viewer, fn func(tutti.RoomNews) error) error {
	changes, told := int64(-1), int64(0)
	h.refresh(ctx)
	h.mu.Lock()
	h.watchers++
	h.mu.Unlock()
	h.lookAfter()
	defer func() {
		h.mu.Lock()
		h.watchers--
		h.mu.Unlock()
	}()
	join := h.c.Clock.NewTimer(time.Hour)
	defer join.Stop()
	heard := time.Time{} // up to where joins were told
	for {
		h.mu.Lock()
		more := h.news.more
		now := h.c.Clock.Now()
		passed, next := h.joins(heard, now)
		heard = now
		out := tutti.RoomNews{Changed: h.news.changes != changes || passed}
		if out.Changed {
			for _, r := range h.rooms {
				out.Rooms = append(out.Rooms, h.show(r))
			}
		}
		for _, p := range h.players {
			if p.steps == nil {
				continue
			}
			for _, s := range p.steps.list {
				if s.n > told && now.Sub(s.step.At) <= stepAge {
					out.Steps = append(out.Steps, s.step)
				}
			}
		}
		changes, told = h.news.changes, h.news.told
		h.mu.Unlock()
		if out.Changed || len(out.Steps) > 0 {
			if err := fn(out); err != nil {
				return err
			}
			if err := clock.Sleep(ctx, h.c.Clock, gather); err != nil {
				return err
			}
		}
		join.Reset(max(next, time.Millisecond))
		select {
		case <-more:
		case <-join.C():
		case <-ctx.Done():
			return ctx.Err()
		case <-h.running.Done():
			return nil
		}
	}
}

// joins reports whether another track began to be heard in some room after a moment up to now, and in how long the next one
// will, as far as that is known. The caller holds mu.
func (h *House) joins(after, now time.Time) (passed bool, next time.Duration) {
	next = time.Hour
	for _, r := range h.rooms {
		rec := r.latest()
		if !rec.Playing || !rec.Line.anchored() {
			continue
		}
		for _, p := range rec.Line.Parts {
			switch at := rec.Line.timeline().Time(p.First); {
			case at.After(now):
				next = min(next, at.Sub(now))
			case at.After(after):
				passed = true
			}
		}
	}
	return passed, next
}
