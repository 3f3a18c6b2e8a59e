package rooms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
	"tutti/store/lease"
)

// A fleet's processes each play every room that one of their players is in, from what the store says of it: the queue, and
// on which timeline it is heard. No sound goes from one to another, and none waits for another. What has to be decided
// by one, who leads the room decides and writes down: when a line begins, where one track follows another, that the queue
// is at its end or cannot be played. Commands come to any process, and are writes to the same record. So while nobody leads,
// everybody plays on.
//
// A leader has a lease (store/lease), and writes with its fence; docs/decisions/rooms.md says why.

const (
	// leaseTTL is how long a leader that was killed stays one. Nothing is heard of it, as all play on, unless a line is to
	// begin.
	leaseTTL = 4 * time.Second
	// lookEvery is how often a process with players looks at what others have changed, and watchedEvery one that is only
	// looked at or leads.
	lookEvery    = 200 * time.Millisecond
	watchedEvery = time.Second
	// readAll is how often everything is read though nothing was said to have changed: whoever changed it may have been
	// killed before it could say so.
	readAll = 10 * time.Second
	// ledEvery is how often a leader says that a room plays, and silentFor how long nobody may have said it for the room
	// to play on: when the power returns at night, a room that played in the evening stays silent.
	ledEvery  = 30 * time.Second
	silentFor = 90 * time.Second
	// unanchoredFor is how long a line may have no leader before people are told why.
	unanchoredFor = 5 * time.Second
)

// alone reports whether no other process shares the store.
func (h *House) alone() bool { return h.c.Node == "" }

// otherAlive reports whether a node is there.
func (h *House) otherAlive(node string) bool {
	return node != "" && (h.c.Alive == nil || h.c.Alive(node))
}

// unfit says why this process must not begin what others follow: its time may be too far from theirs.
func (h *House) unfit() error {
	if h.alone() || h.c.Within == nil {
		return nil
	}
	if err := h.c.Within(h.c.Bound); err != nil {
		return fmt.Errorf("rooms on several machines have to agree on the time, and here %w", err)
	}
	return nil
}

// announce says that something has changed. Whoever changed it may be ended by that very change; the others are told all
// the same.
func (h *House) announce(ctx context.Context) {
	if h.alone() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keeping)
	defer cancel()
	version, err := h.c.Store.Put(ctx, headKey, []byte("{}"), time.Time{}, store.Always)
	if err != nil {
		h.c.Logger.Warn("the others will find out later what has changed in the rooms", "err", err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if version == h.head+1 { // else there is more to read
		h.head = version
	}
}

// refresh takes what others have changed. While the store is away, what is known stays.
func (h *House) refresh(ctx context.Context) {
	if h.alone() {
		return
	}
	item, err := h.c.Store.Get(ctx, headKey)
	if tutti.IsKind(err, tutti.KindNotFound) {
		return
	}
	h.mu.Lock()
	known := h.head
	h.mu.Unlock()
	if err == nil && item.Version == known {
		return
	}
	if err == nil {
		err = h.load(ctx)
	}
	if err != nil {
		if ctx.Err() == nil {
			h.c.Logger.Warn("what others have changed in the rooms is not known", "err", err)
		}
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.head = max(h.head, item.Version)
}

// lookAfter wakes attend.
func (h *House) lookAfter() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// attend looks after the rooms until ctx ends: alone there is nothing to do, and in a fleet only while this process has
// players, is watched, or knows of a room that plays. What is led is led until leading ends.
func (h *House) attend(ctx, leading context.Context) {
	if h.alone() {
		<-ctx.Done()
		return
	}
	all := h.c.Clock.Now()
	timer := h.c.Clock.NewTimer(watchedEvery)
	defer timer.Stop()
	for {
		h.contend(leading)
		if every := h.interval(); every > 0 {
			timer.Reset(every)
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-h.wake:
		case <-timer.C():
		}
		if now := h.c.Clock.Now(); now.Sub(all) > readAll {
			all = now
			if err := h.load(ctx); err != nil && ctx.Err() == nil {
				h.c.Logger.Warn("what others have changed in the rooms is not known", "err", err)
			}
			continue
		}
		h.refresh(ctx)
	}
}

// interval is how often there is something to look at, 0 for never.
func (h *House) interval() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seats > 0 {
		return lookEvery
	}
	if h.watchers > 0 {
		return watchedEvery
	}
	for _, r := range h.rooms {
		if r.Playing {
			return watchedEvery
		}
	}
	return 0
}

// contend asks for the lead of every room that plays, and gives up that of those that do not.
func (h *House) contend(ctx context.Context) {
	unfit := h.unfit()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.rooms {
		wanted := r.Playing && unfit == nil && ctx.Err() == nil
		switch {
		case wanted && r.contending == nil:
			asking, stop := context.WithCancel(ctx)
			r.contending = stop
			h.pumps.Go(func() { r.contend(asking) })
		case !wanted && r.contending != nil:
			if r.Playing {
				h.c.Logger.Warn("no room is led here", "room", r.Name, "err", unfit)
			}
			r.contending()
			r.contending = nil
		}
	}
}

// contend holds the room's lease whenever nobody else does, until ctx ends.
func (r *room) contend(ctx context.Context) {
	c := r.house.c
	err := lease.Keep(ctx, lease.Config{Store: c.Store, Clock: c.Clock, Name: "room#" + string(r.ID), Holder: c.Node, TTL: leaseTTL}, c.Logger, r.lead)
	if err != nil {
		c.Logger.Error("a room cannot be led", "room", r.ID, "err", err)
	}
}

// errOvertaken is why a leader's change is not made: it leads no more, or there is another line.
var errOvertaken = errors.New("overtaken")

// lead is what a leader does: its pump anchors lines and writes down what follows what.
func (r *room) lead(ctx context.Context, fence uint64) error {
	h := r.house
	_, err := h.change(ctx, "rooms.lead", r.ID, func(rec *record, now time.Time) error {
		if rec.Fence > fence {
			return errOvertaken
		}
		rec.Fence, rec.Leader = fence, h.c.Node
		return silence(rec, now)
	})
	if err != nil {
		return err
	}
	h.mu.Lock()
	r.leading, r.fence = true, fence
	r.reconcile()
	h.mu.Unlock()
	<-ctx.Done()
	h.mu.Lock()
	r.leading = false
	r.reconcile()
	h.mu.Unlock()
	return nil
}

// silence pauses a room that nobody has led for long, else it plays on.
func silence(rec *record, now time.Time) error {
	if rec.Playing && now.Sub(rec.Led) > silentFor {
		rec.halt(rec.Led)
		return nil
	}
	rec.Led = now
	return nil
}

// resume goes on with the rooms that played when this process, which is alone, ended.
func (h *House) resume(ctx context.Context) error {
	for _, r := range h.rooms {
		if !r.Playing {
			continue
		}
		if _, err := h.change(ctx, "rooms.New", r.ID, silence); err != nil {
			return err
		}
	}
	return nil
}

// forgetSeats says of the players that were connected to this process before that they are not.
func (h *House) forgetSeats(ctx context.Context) error {
	if h.alone() {
		return nil
	}
	var mine []string
	for _, p := range h.players {
		if p.Node == h.c.Node {
			mine = append(mine, p.ID)
		}
	}
	for _, id := range mine {
		_, err := h.changePlayer(ctx, "rooms.New", id, nil, func(p *playerRecord) error { p.Node = ""; return nil })
		if err != nil && !tutti.IsKind(err, tutti.KindNotFound) {
			return err
		}
	}
	return nil
}

// changeLed is change by who leads the room and pumps the line: with a fence, and only if both are still so.
func (r *room) changeLed(ctx context.Context, serial uint64, do func(rec *record, now time.Time) error) error {
	h := r.house
	h.mu.Lock()
	leads, fence := r.leads(), r.fence
	h.mu.Unlock()
	if !leads {
		return errOvertaken
	}
	_, err := h.change(ctx, "rooms.lead", r.ID, func(rec *record, now time.Time) error {
		if rec.Fence > fence || !rec.Playing || rec.Line.Serial != serial {
			return errOvertaken
		}
		return do(rec, now)
	})
	return err
}

// stillPlays says of a record that its room plays.
func stillPlays(rec *record, now time.Time) error {
	rec.Led = now
	return nil
}

// pauseAfter waits before something is tried again.
func (h *House) pauseAfter(ctx context.Context) error {
	return clock.Sleep(ctx, h.c.Clock, time.Second)
}
