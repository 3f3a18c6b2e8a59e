package rooms

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"tutti"
	"tutti/store"
)

// record is what is kept of a room. Whoever reads it knows which sample is to be heard when, and can play the room
// without asking anybody.
type record struct {
	ID       tutti.ID      `json:"id"`
	Name     string        `json:"name"`
	Tracks   []tutti.ID    `json:"tracks"`
	Current  int           `json:"current"`  // where the line began, or where a paused room waits
	Position time.Duration `json:"position"` // likewise
	Repeat   tutti.Repeat  `json:"repeat"`
	Volume   int           `json:"volume"`
	Muted    bool          `json:"muted"`
	// User is who chose the music; "" is whoever commands this machine.
	User tutti.ID `json:"user"`

	Playing bool   `json:"playing,omitempty"`
	Problem string `json:"problem,omitempty"` // why it does not play
	Line    line   `json:"line"`
	// Fence is of the leader that wrote last, and Leader its node: one with a lower fence is not a leader any more.
	Fence  uint64 `json:"fence,omitempty"`
	Leader string `json:"leader,omitempty"`
	// Led is when a leader last said that the room plays.
	Led time.Time `json:"led,omitzero"`
	// Before is the queue that was replaced last.
	Before *replaced `json:"before,omitempty"`
}

// line is a run of music without a break on one timeline.
type line struct {
	Serial uint64 `json:"serial"`         // grows with every break: players then forget what they hold
	Edit   uint64 `json:"edit,omitempty"` // grows when the queue is arranged anew under the line: indices are others
	// At is when sample 0 is heard; zero until a leader has the music at hand.
	At    time.Time `json:"at,omitzero"`
	Parts []part    `json:"parts,omitempty"` // which samples are of which track: the latest ones, oldest first
}

// part is a run of samples of one track.
type part struct {
	First   int64 `json:"first"`   // sample of the line
	Current int   `json:"current"` // index into the queue
	Offset  int64 `json:"offset"`  // sample of the track at First
}

// replaced is a queue that may be had back.
type replaced struct {
	Tracks   []tutti.ID    `json:"tracks"`
	Current  int           `json:"current"`
	Position time.Duration `json:"position"`
	User     tutti.ID      `json:"user"`
}

// maxParts bounds what is kept of a line: more than a second holds, for the shortest of tracks are longer.
const maxParts = 16

func (l line) anchored() bool { return !l.At.IsZero() }

func (l line) timeline() Timeline { return Timeline{At: l.At, Rate: Rate} }

// place is which part of a line is heard at a moment, and which sample of its track.
func place(t Timeline, parts []part, now time.Time) (p part, position time.Duration) {
	p = parts[0]
	n := max(t.Sample(now), p.First) // the first sample may still be to come
	for _, next := range parts[1:] {
		if next.First > n {
			break
		}
		p = next
	}
	return p, length(max(p.Offset+n-p.First, 0), Rate)
}

// place is where in the queue the room is heard to be at a moment.
func (rec *record) place(now time.Time) (current int, position time.Duration) {
	if !rec.Playing || !rec.Line.anchored() || len(rec.Line.Parts) == 0 {
		return rec.Current, rec.Position
	}
	p, position := place(rec.Line.timeline(), rec.Line.Parts, now)
	return p.Current, position
}

// halt pauses the record where it is heard.
func (rec *record) halt(now time.Time) {
	rec.Current, rec.Position = rec.place(now)
	rec.Playing = false
	rec.Line = line{Serial: rec.Line.Serial}
}

// begin lets the record play from its place on a new line, which a leader then anchors.
func (rec *record) begin(now time.Time) {
	if rec.Current < 0 || rec.Current >= len(rec.Tracks) {
		rec.Playing, rec.Line = false, line{Serial: rec.Line.Serial}
		return
	}
	rec.Playing, rec.Problem, rec.Led = true, "", now
	rec.Line = line{
		Serial: rec.Line.Serial + 1,
		Parts:  []part{{0, rec.Current, scale(int64(rec.Position), Rate, int64(time.Second))}},
	}
}

// following is the index of what comes after an entry of the queue.
func (rec *record) following(current int) (int, bool) {
	switch {
	case rec.Repeat == tutti.RepeatOne && current < len(rec.Tracks):
		return current, true
	case current+1 < len(rec.Tracks):
		return current + 1, true
	case rec.Repeat == tutti.RepeatAll && len(rec.Tracks) > 0:
		return 0, true
	}
	return 0, false
}

func (rec record) clone() record {
	rec.Tracks, rec.Line.Parts = slices.Clone(rec.Tracks), slices.Clone(rec.Line.Parts)
	return rec // Before is replaced, never changed
}

// playerRecord is what is kept of a player.
type playerRecord struct {
	ID      string        `json:"id"`
	Name    string        `json:"name"`
	Kind    string        `json:"kind"`
	Room    tutti.ID      `json:"room"`
	Address string        `json:"address"`
	Volume  int           `json:"volume"`
	Muted   bool          `json:"muted"`
	Latency time.Duration `json:"latency"`
	Seen    time.Time     `json:"seen"`
	// Node is the process of a fleet that it is connected to; "" where it is not, or where there is no fleet.
	Node string `json:"node,omitempty"`
}

// player is a player that is known, and its seat while it is connected here.
type player struct {
	playerRecord
	version uint64
	seat    *Seat
	steps   *steps // nil where it said nothing yet
}

const (
	partition    = "rooms"
	roomPrefix   = "room#"
	playerPrefix = "player#"

	// tries bounds how often a change is made again because another process was first.
	tries = 16
)

// headKey is the item that is written after every change, so that others need look at no more than its version.
var headKey = store.Key{PK: partition, SK: "head"}

func roomKey(id tutti.ID) store.Key { return store.Key{PK: partition, SK: roomPrefix + string(id)} }

func playerKey(id string) store.Key { return store.Key{PK: partition, SK: playerPrefix + id} }

// errUnchanged is what a change says of itself where there is nothing to do.
var errUnchanged = errors.New("nothing to change")

// change writes a room's record as do makes it, and what follows from it happens in this process. do is called again
// where another process was first.
func (h *House) change(ctx context.Context, op string, id tutti.ID, do func(rec *record, now time.Time) error) (tutti.Room, error) {
	h.mu.Lock()
	r, err := h.find(op, id)
	h.mu.Unlock()
	if err != nil {
		return tutti.Room{}, err
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	for range tries {
		h.mu.Lock()
		now := h.c.Clock.Now()
		next, version := r.record.clone(), r.version
		if r.leads() && r.run != nil && r.run.serial == next.Line.Serial {
			next.Line.Parts = slices.Clone(r.run.parts)
		}
		h.mu.Unlock()
		err := do(&next, now)
		if errors.Is(err, errUnchanged) {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.show(r), nil
		}
		if err != nil {
			return tutti.Room{}, err
		}
		value, err := json.Marshal(next)
		if err != nil {
			return tutti.Room{}, tutti.Errorf(tutti.KindInternal, op, "%v", err)
		}
		written, err := h.c.Store.Put(ctx, roomKey(id), value, time.Time{}, store.IfVersion(version))
		if tutti.IsKind(err, tutti.KindConflict) {
			if err := h.reread(ctx, op, r); err != nil {
				return tutti.Room{}, err
			}
			continue
		}
		if err != nil {
			return tutti.Room{}, tutti.Wrap(tutti.KindOf(err), op, err)
		}
		h.mu.Lock()
		r.apply(next, written)
		out := h.show(r)
		h.mu.Unlock()
		h.announce(ctx)
		return out, nil
	}
	return tutti.Room{}, tutti.Errorf(tutti.KindUnavailable, op, "others are changing this room all the time; try again")
}

// reread takes what another process has made of a room.
func (h *House) reread(ctx context.Context, op string, r *room) error {
	item, err := h.c.Store.Get(ctx, roomKey(r.ID))
	if tutti.IsKind(err, tutti.KindNotFound) {
		return tutti.Errorf(tutti.KindNotFound, op, "there is no such room")
	}
	if err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	next, err := readRoom(item)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r.apply(next, item.Version)
	return nil
}

func readRoom(item store.Item) (rec record, err error) {
	if err := json.Unmarshal(item.Value, &rec); err != nil {
		return rec, tutti.Errorf(tutti.KindInternal, "rooms.load", "the record of room %s cannot be read: %v", item.SK, err)
	}
	return rec, nil
}

func readPlayer(item store.Item) (rec playerRecord, err error) {
	if err := json.Unmarshal(item.Value, &rec); err != nil {
		return rec, tutti.Errorf(tutti.KindInternal, "rooms.load", "the record of player %s cannot be read: %v", item.SK, err)
	}
	return rec, nil
}

// changePlayer writes a player's record as do makes it, likewise. A player that is not known is made from fresh, which
// is nil where there has to be one.
func (h *House) changePlayer(ctx context.Context, op, id string, fresh *playerRecord, do func(*playerRecord) error) (*player, error) {
	h.seating.Lock()
	defer h.seating.Unlock()
	for range tries {
		h.mu.Lock()
		p := h.players[id]
		cond := store.IfAbsent
		var next playerRecord
		switch {
		case p != nil:
			next, cond = p.playerRecord, store.IfVersion(p.version)
		case fresh != nil:
			next = *fresh
		default:
			h.mu.Unlock()
			return nil, tutti.Errorf(tutti.KindNotFound, op, "there is no such player")
		}
		h.mu.Unlock()
		err := do(&next)
		if errors.Is(err, errUnchanged) {
			return p, nil
		}
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(next)
		if err != nil {
			return nil, tutti.Errorf(tutti.KindInternal, op, "%v", err)
		}
		version, err := h.c.Store.Put(ctx, playerKey(id), value, time.Time{}, cond)
		if tutti.IsKind(err, tutti.KindConflict) {
			if err := h.rereadPlayer(ctx, op, id); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, tutti.Wrap(tutti.KindOf(err), op, err)
		}
		h.mu.Lock()
		p = h.applyPlayer(next, version)
		h.mu.Unlock()
		h.announce(ctx)
		return p, nil
	}
	return nil, tutti.Errorf(tutti.KindUnavailable, op, "others are changing this player all the time; try again")
}

func (h *House) rereadPlayer(ctx context.Context, op, id string) error {
	item, err := h.c.Store.Get(ctx, playerKey(id))
	if tutti.IsKind(err, tutti.KindNotFound) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if p := h.players[id]; p != nil && p.seat == nil {
			delete(h.players, id)
		} else if p != nil {
			p.version = 0 // forgotten while it is connected here: it is written anew
		}
		return nil
	}
	if err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	next, err := readPlayer(item)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.applyPlayer(next, item.Version)
	return nil
}

// applyPlayer takes a player's record for what is, and tells its seat. The caller holds mu.
func (h *House) applyPlayer(next playerRecord, version uint64) *player {
	p := h.players[next.ID]
	if p == nil {
		p = &player{}
		h.players[next.ID] = p
	} else if version <= p.version {
		return p
	}
	p.playerRecord, p.version = next, version
	if s := p.seat; s != nil {
		if next.Node != h.c.Node {
			s.expel() // it has connected to another process
		} else {
			r, err := h.find("rooms.move", next.Room)
			if err != nil {
				r = h.rooms[0] // its room was deleted a moment ago
			}
			if r != s.room {
				s.sit(r)
			}
			s.tell()
		}
	}
	h.news.touch()
	return p
}

// load reads all rooms and players.
func (h *House) load(ctx context.Context) error {
	h.mu.Lock()
	goneRooms, gonePlayers := map[tutti.ID]bool{}, map[string]bool{}
	for _, r := range h.rooms {
		goneRooms[r.ID] = true
	}
	for id := range h.players {
		gonePlayers[id] = true
	}
	h.mu.Unlock()
	rooms, players := map[tutti.ID]store.Item{}, map[string]store.Item{}
	for after := ""; ; {
		page, err := h.c.Store.Query(ctx, partition, "", after, store.MaxPage)
		if err != nil {
			return tutti.Wrap(tutti.KindOf(err), "rooms.load", err)
		}
		for _, item := range page.Items {
			if id, ok := strings.CutPrefix(item.SK, roomPrefix); ok {
				rooms[tutti.ID(id)] = item
				delete(goneRooms, tutti.ID(id))
			}
			if id, ok := strings.CutPrefix(item.SK, playerPrefix); ok {
				players[id] = item
				delete(gonePlayers, id)
			}
		}
		if after = page.Next; after == "" {
			break
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, item := range rooms {
		r, err := h.find("rooms.load", id)
		if err == nil && r.version >= item.Version {
			continue
		}
		next, err := readRoom(item)
		if err != nil {
			return err
		}
		if r == nil {
			r = h.newRoom(next)
			h.rooms = append(h.rooms, r)
		}
		r.apply(next, item.Version)
	}
	for _, id := range slices.Collect(maps.Keys(goneRooms)) {
		h.drop(id)
	}
	for _, item := range players {
		next, err := readPlayer(item)
		if err != nil {
			return err
		}
		h.applyPlayer(next, item.Version)
	}
	for id := range gonePlayers {
		if p := h.players[id]; p != nil && p.seat == nil {
			delete(h.players, id)
		}
	}
	h.sort()
	return nil
}

// drop takes a room away that was deleted, with nobody left in it. The caller holds mu.
func (h *House) drop(id tutti.ID) {
	r, err := h.find("rooms.drop", id)
	if err != nil || len(h.rooms) == 1 {
		return
	}
	r.gone = true
	r.reconcile()
	if r.contending != nil {
		r.contending()
		r.contending = nil
	}
	h.rooms = slices.DeleteFunc(h.rooms, func(o *room) bool { return o == r })
	for _, p := range h.players {
		if p.seat != nil && p.seat.room == r {
			p.seat.sit(h.rooms[0])
		}
	}
	h.news.touch()
}
