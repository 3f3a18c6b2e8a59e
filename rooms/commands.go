package rooms

import (
	"context"
	"errors"
	"slices"
	"time"

	"tutti"
	"tutti/store"
)

// ChangeRoom implements tutti.Rooms.
func (h *House) ChangeRoom(ctx context.Context, _ tutti.Viewer, id tutti.ID, c tutti.RoomChange) (tutti.Room, error) {
	const op = "rooms.ChangeRoom"
	h.refresh(ctx)
	return h.change(ctx, op, id, func(next *record, _ time.Time) (err error) {
		if c.Name != nil {
			if next.Name, err = checkName(op, *c.Name); err != nil {
				return err
			}
			if err := h.unused(op, next.Name, id); err != nil {
				return err
			}
		}
		if c.Volume != nil {
			if next.Volume = *c.Volume; next.Volume < 0 || next.Volume > 100 {
				return tutti.Errorf(tutti.KindInvalid, op, "a volume is from 0 to 100")
			}
		}
		if c.Muted != nil {
			next.Muted = *c.Muted
		}
		if c.Repeat != nil {
			if next.Repeat = *c.Repeat; !slices.Contains([]tutti.Repeat{tutti.RepeatOff, tutti.RepeatAll, tutti.RepeatOne}, next.Repeat) {
				return tutti.Errorf(tutti.KindInvalid, op, "repeat is off, all or one")
			}
		}
		return nil
	})
}

// DeleteRoom implements tutti.Rooms.
func (h *House) DeleteRoom(ctx context.Context, _ tutti.Viewer, id tutti.ID) error {
	const op = "rooms.DeleteRoom"
	h.refresh(ctx)
	h.mu.Lock()
	r, err := h.find(op, id)
	if err != nil {
		h.mu.Unlock()
		return err
	}
	if len(h.rooms)-h.deleting <= 1 { // who deletes the others may be quicker
		h.mu.Unlock()
		return tutti.Errorf(tutti.KindConflict, op, "the last room stays; rename it instead")
	}
	h.deleting++
	h.mu.Unlock()
	r.writing.Lock()
	defer r.writing.Unlock()
	err = h.c.Store.Delete(ctx, roomKey(id), store.Always)
	h.mu.Lock()
	h.deleting--
	if err != nil {
		h.mu.Unlock()
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	h.drop(id)
	to := h.rooms[0].ID
	var moved []string
	for _, p := range h.players {
		if p.Room == id {
			moved = append(moved, p.ID)
		}
	}
	h.mu.Unlock()
	for _, player := range moved { // who could not be moved for good is moved again when it comes next
		_, failed := h.changePlayer(ctx, op, player, nil, func(p *playerRecord) error { p.Room = to; return nil })
		err = errors.Join(err, failed)
	}
	h.announce(ctx)
	return err
}

// PlayRoom implements tutti.Rooms.
func (h *House) PlayRoom(ctx context.Context, v tutti.Viewer, id tutti.ID, p tutti.RoomPlay) (tutti.Room, error) {
	const op = "rooms.PlayRoom"
	if len(p.Tracks) > maxQueue {
		return tutti.Room{}, tutti.Errorf(tutti.KindInvalid, op, "a room's queue holds %d tracks, not %d", maxQueue, len(p.Tracks))
	}
	if len(p.Tracks) > 0 && (p.Current < 0 || p.Current >= len(p.Tracks)) || p.Position < 0 {
		return tutti.Room{}, tutti.Errorf(tutti.KindInvalid, op, "current is an index into the tracks, and the position is not before their beginning")
	}
	if err := h.visible(ctx, op, v, p.Tracks); err != nil {
		return tutti.Room{}, err
	}
	h.refresh(ctx)
	return h.change(ctx, op, id, func(next *record, now time.Time) error {
		next.halt(now)
		if len(next.Tracks) > 0 {
			next.Before = &replaced{next.Tracks, next.Current, next.Position, next.User}
		}
		next.Tracks, next.Current, next.Position, next.User = slices.Clone(p.Tracks), p.Current, p.Position, v.User
		next.Problem = ""
		if len(p.Tracks) == 0 {
			next.Current, next.Position = -1, 0
		}
		if p.Paused {
			return nil
		}
		return h.beginRecord(op, next, now)
	})
}

// UndoRoom implements tutti.Rooms.
func (h *House) UndoRoom(ctx context.Context, _ tutti.Viewer, id tutti.ID) (tutti.Room, error) {
	const op = "rooms.UndoRoom"
	h.refresh(ctx)
	return h.change(ctx, op, id, func(next *record, now time.Time) error {
		if next.Before == nil {
			return tutti.Errorf(tutti.KindConflict, op, "no queue was replaced here")
		}
		was := next.Playing
		next.halt(now)
		b := next.Before
		next.Before = nil
		if len(next.Tracks) > 0 { // an undo may be undone
			next.Before = &replaced{next.Tracks, next.Current, next.Position, next.User}
		}
		next.Tracks, next.Current, next.Position, next.User, next.Problem = slices.Clone(b.Tracks), b.Current, b.Position, b.User, ""
		if !was {
			return nil
		}
		return h.beginRecord(op, next, now)
	})
}

// beginRecord lets a record play, if somebody can lead it.
func (h *House) beginRecord(op string, rec *record, now time.Time) error {
	// Another that leads it already has a better clock, or it would not.
	if err := h.unfit(); err != nil && (rec.Leader == "" || !h.otherAlive(rec.Leader)) {
		return tutti.Errorf(tutti.KindUnavailable, op, "%v", err)
	}
	rec.begin(now)
	return nil
}

// visible checks that a listener may see every track.
func (h *House) visible(ctx context.Context, op string, v tutti.Viewer, ids []tutti.ID) error {
	for chunk := range slices.Chunk(ids, 500) {
		found, err := h.c.Browser.TracksByID(ctx, v, chunk)
		if err != nil {
			return err
		}
		seen := map[tutti.ID]bool{}
		for _, t := range found {
			seen[t.ID] = true
		}
		for _, id := range chunk {
			if !seen[id] {
				return tutti.Errorf(tutti.KindNotFound, op, "there is no track %s", id)
			}
		}
	}
	return nil
}

// PauseRoom implements tutti.Rooms.
func (h *House) PauseRoom(ctx context.Context, _ tutti.Viewer, id tutti.ID) (tutti.Room, error) {
	h.refresh(ctx)
	return h.change(ctx, "rooms.PauseRoom", id, func(next *record, now time.Time) error {
		if !next.Playing {
			return errUnchanged
		}
		next.halt(now)
		return nil
	})
}

// ResumeRoom implements tutti.Rooms.
func (h *House) ResumeRoom(ctx context.Context, _ tutti.Viewer, id tutti.ID) (tutti.Room, error) {
	const op = "rooms.ResumeRoom"
	h.refresh(ctx)
	return h.change(ctx, op, id, func(next *record, now time.Time) error {
		if next.Playing || next.Current < 0 || next.Current >= len(next.Tracks) {
			return errUnchanged
		}
		return h.beginRecord(op, next, now)
	})
}

// SeekRoom implements tutti.Rooms.
func (h *House) SeekRoom(ctx context.Context, _ tutti.Viewer, id tutti.ID, current int, position time.Duration) (tutti.Room, error) {
	const op = "rooms.SeekRoom"
	h.refresh(ctx)
	return h.change(ctx, op, id, func(next *record, now time.Time) error {
		if current < 0 || current >= len(next.Tracks) || position < 0 {
			return tutti.Errorf(tutti.KindInvalid, op, "the queue has %d tracks, and no place before their beginning", len(next.Tracks))
		}
		was := next.Playing
		next.halt(now)
		next.Current, next.Position = current, position
		if !was {
			return nil
		}
		return h.beginRecord(op, next, now)
	})
}

// AppendRoom implements tutti.Rooms.
func (h *House) AppendRoom(ctx context.Context, v tutti.Viewer, id tutti.ID, tracks []tutti.ID) (tutti.Room, error) {
	const op = "rooms.AppendRoom"
	if err := h.visible(ctx, op, v, tracks); err != nil {
		return tutti.Room{}, err
	}
	h.refresh(ctx)
	return h.change(ctx, op, id, func(next *record, _ time.Time) error {
		if len(next.Tracks)+len(tracks) > maxQueue {
			return tutti.Errorf(tutti.KindInvalid, op, "a room's queue holds %d tracks", maxQueue)
		}
		if len(next.Tracks) == 0 {
			next.User = v.User
		}
		next.Tracks = append(next.Tracks, tracks...)
		if !next.Playing {
			next.Current = max(next.Current, 0)
		}
		return nil
	})
}

// ArrangeRoom implements tutti.Rooms.
func (h *House) ArrangeRoom(ctx context.Context, v tutti.Viewer, id tutti.ID, tracks []tutti.ID, current int) (tutti.Room, error) {
	const op = "rooms.ArrangeRoom"
	switch {
	case len(tracks) > maxQueue:
		return tutti.Room{}, tutti.Errorf(tutti.KindInvalid, op, "a room's queue holds %d tracks, not %d", maxQueue, len(tracks))
	case len(tracks) > 0 && (current < 0 || current >= len(tracks)):
		return tutti.Room{}, tutti.Errorf(tutti.KindInvalid, op, "current is an index into the tracks")
	}
	h.refresh(ctx)
	h.mu.Lock()
	r, err := h.find(op, id)
	if err != nil {
		h.mu.Unlock()
		return tutti.Room{}, err
	}
	known := map[tutti.ID]bool{}
	for _, t := range r.Tracks {
		known[t] = true
	}
	h.mu.Unlock()
	// What is in the queue already was chosen by somebody who may see it.
	if err := h.visible(ctx, op, v, slices.DeleteFunc(slices.Clone(tracks), func(t tutti.ID) bool { return known[t] })); err != nil {
		return tutti.Room{}, err
	}
	return h.change(ctx, op, id, func(next *record, now time.Time) error {
		if len(tracks) == 0 {
			next.halt(now)
			next.Tracks, next.Current, next.Position = []tutti.ID{}, -1, 0
			return nil
		}
		was, position := next.place(now)
		same := was >= 0 && was < len(next.Tracks) && next.Tracks[was] == tracks[current]
		next.Tracks = slices.Clone(tracks)
		switch {
		case next.Playing && same && next.Line.anchored():
			// The line goes on; what was to follow is found anew.
			p, _ := place(next.Line.timeline(), next.Line.Parts, now)
			p.Current = current
			next.Line.Parts, next.Line.Edit = []part{p}, next.Line.Edit+1
		case next.Playing:
			next.halt(now)
			if next.Current, next.Position = current, 0; same {
				next.Position = position
			}
			return h.beginRecord(op, next, now)
		default:
			if next.Current = current; !same {
				next.Position = 0
			}
		}
		return nil
	})
}

// ChangeRoomPlayer implements tutti.Rooms.
func (h *House) ChangeRoomPlayer(ctx context.Context, _ tutti.Viewer, id string, c tutti.RoomPlayerChange) (tutti.RoomPlayer, error) {
	const op = "rooms.ChangeRoomPlayer"
	h.refresh(ctx)
	p, err := h.changePlayer(ctx, op, id, nil, func(next *playerRecord) (err error) {
		before := *next
		if c.Name != nil {
			if next.Name, err = checkName(op, *c.Name); err != nil {
				return err
			}
		}
		if c.Volume != nil {
			next.Volume = *c.Volume
		}
		if c.Muted != nil {
			next.Muted = *c.Muted
		}
		if c.Latency != nil {
			next.Latency = *c.Latency
		}
		if c.Room != nil {
			h.mu.Lock()
			_, err := h.find(op, *c.Room)
			h.mu.Unlock()
			if err != nil {
				return err
			}
			next.Room = *c.Room
		}
		if next.Volume < 0 || next.Volume > 100 || next.Latency > maxLatency || next.Latency < -maxLatency {
			return tutti.Errorf(tutti.KindInvalid, op, "a volume is from 0 to 100, a latency from -10 s to 10 s")
		}
		if *next == before {
			return errUnchanged
		}
		return nil
	})
	if err != nil {
		return tutti.RoomPlayer{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.showPlayer(p), nil
}

// ForgetRoomPlayer implements tutti.Rooms.
func (h *House) ForgetRoomPlayer(ctx context.Context, _ tutti.Viewer, id string) error {
	const op = "rooms.ForgetRoomPlayer"
	h.refresh(ctx)
	h.seating.Lock()
	defer h.seating.Unlock()
	h.mu.Lock()
	p := h.players[id]
	connected := p != nil && h.connected(p)
	h.mu.Unlock()
	switch {
	case p == nil:
		return tutti.Errorf(tutti.KindNotFound, op, "there is no such player")
	case connected:
		return tutti.Errorf(tutti.KindConflict, op, "%s is connected; switch it off first", p.Name)
	}
	if err := h.c.Store.Delete(ctx, playerKey(id), store.Always); err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	h.mu.Lock()
	if p.seat == nil {
		delete(h.players, id)
	}
	h.news.touch()
	h.mu.Unlock()
	h.announce(ctx)
	return nil
}

// SetLevel sets how loud a player is heard to be, 0 to 100, its room's volume taken in, and whether it is muted; nil leaves
// as it is. Where the room is not loud enough for that, the room is made louder and the others in it stay as loud as
// they were.
func (h *House) SetLevel(ctx context.Context, id string, level *int, muted *bool) error {
	const op = "rooms.SetLevel"
	if level != nil && (*level < 0 || *level > 100) {
		return tutti.Errorf(tutti.KindInvalid, op, "a volume is from 0 to 100")
	}
	h.refresh(ctx)
	h.mu.Lock()
	p := h.players[id]
	if p == nil {
		h.mu.Unlock()
		return tutti.Errorf(tutti.KindNotFound, op, "there is no such player")
	}
	r, err := h.find(op, p.Room)
	if err != nil {
		h.mu.Unlock()
		return err
	}
	whole, room := r.Volume, r.ID
	others := map[string]int{}
	for _, o := range h.players {
		if o != p && o.Room == room && o.Volume > 0 {
			others[o.ID] = o.Volume * whole
		}
	}
	h.mu.Unlock()
	change := tutti.RoomPlayerChange{Muted: muted}
	louder := false
	if level != nil {
		own := 100
		if louder = *level > whole; !louder && whole > 0 {
			own = (*level*100 + whole/2) / whole
		}
		if whole > 0 || louder { // in a silent room all are silent, whatever they are set to
			change.Volume = &own
		}
	}
	if _, err := h.ChangeRoomPlayer(ctx, tutti.Viewer{}, id, change); err != nil || !louder {
		return err
	}
	for o, loud := range others {
		volume := (loud + *level/2) / *level
		if _, failed := h.ChangeRoomPlayer(ctx, tutti.Viewer{}, o, tutti.RoomPlayerChange{Volume: &volume}); !tutti.IsKind(failed, tutti.KindNotFound) {
			err = errors.Join(err, failed)
		}
	}
	_, failed := h.ChangeRoom(ctx, tutti.Viewer{}, room, tutti.RoomChange{Volume: level})
	return errors.Join(err, failed)
}
