package rooms

import (
	"context"
	"time"

	"tutti"
	"tutti/store"
)

// Arrival is a player that connects.
type Arrival struct {
	ID      string // that it keeps from one connection to the next: 1 to 200 bytes of printable ASCII
	Name    string // to begin with; people may give it another
	Kind    string // the protocol's name
	Address string
	Room    tutti.ID // that it wants to play in; "" is the one that it was in last, or else the first
}

// Seat is a connected player's place in a room. Leave gives it up.
type Seat struct {
	house  *House
	player *player
	room   *room // belongs to House.mu
	// moved is closed when there is another program for the seat; told when the settings may be others. Both belong to House.mu.
	moved, told chan struct{}
	// expelled is closed when the same player has connected again.
	expelled       chan struct{}
	out, abandoned bool // Leave was called; expelled is closed
}

// Sit gives a player that connects the room it was in last, or the first one, and its settings. A player that is there
// already is expelled: it has lost its connection without knowing. KindConflict says that one of its ID is connected by
// another protocol.
func (h *House) Sit(ctx context.Context, a Arrival) (*Seat, error) {
	const op = "rooms.Sit"
	if !goodPlayerID(a.ID) {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "a player is known by 1 to 200 printable characters")
	}
	name, err := checkName(op, a.Name)
	if err != nil {
		name = a.ID[:min(len(a.ID), maxName)]
	}
	h.refresh(ctx)
	if err := h.makeRoomForOne(ctx, a.ID); err != nil {
		return nil, err
	}
	fresh := playerRecord{ID: a.ID, Name: name, Volume: 100}
	sit := func(p *playerRecord) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		// Each protocol sees to it who may have a name, as far as it can. One that cannot must not give it away.
		if known := h.players[a.ID]; known != nil && known.Kind != a.Kind && h.connected(known) {
			return tutti.Errorf(tutti.KindConflict, op, "the player %s is connected by %s", known.Name, known.Kind)
		}
		r, err := h.find(op, p.Room)
		if a.Room != "" {
			if r, err = h.find(op, a.Room); err != nil {
				return err
			}
		}
		if err != nil {
			r = h.rooms[0] // it is new, or its room is gone
		}
		p.Kind, p.Address, p.Seen, p.Room, p.Node = a.Kind, a.Address, h.c.Clock.Now().UTC(), r.ID, h.c.Node
		return nil
	}
	p, err := h.changePlayer(ctx, op, a.ID, &fresh, sit)
	if tutti.IsKind(err, tutti.KindUnavailable) && !h.alone() && ctx.Err() == nil {
		// Who knocks while the store is away hears what the others hear.
		p, err = h.remember(fresh, sit)
	}
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.find(op, p.Room)
	if err != nil {
		r = h.rooms[0]
	}
	if p.seat != nil {
		p.seat.expel()
	}
	s := &Seat{house: h, player: p, room: r, moved: make(chan struct{}), told: make(chan struct{}), expelled: make(chan struct{})}
	p.seat = s
	h.seats++
	r.reconcile()
	h.news.touch()
	h.lookAfter()
	return s, nil
}

// remember seats a player without writing it down.
func (h *House) remember(fresh playerRecord, sit func(*playerRecord) error) (*player, error) {
	h.mu.Lock()
	p := h.players[fresh.ID]
	if p == nil {
		p = &player{playerRecord: fresh}
		h.players[fresh.ID] = p
	}
	next := p.playerRecord
	h.mu.Unlock()
	if err := sit(&next); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p.playerRecord = next
	return p, nil
}

// makeRoomForOne forgets who was away the longest where there are as many players as can be and one more comes.
func (h *House) makeRoomForOne(ctx context.Context, id string) error {
	const op = "rooms.Sit"
	h.seating.Lock()
	defer h.seating.Unlock()
	h.mu.Lock()
	var oldest *player
	for _, p := range h.players {
		if !h.connected(p) && (oldest == nil || p.Seen.Before(oldest.Seen)) {
			oldest = p
		}
	}
	full := len(h.players) >= maxPlayers && h.players[id] == nil
	h.mu.Unlock()
	if !full {
		return nil
	}
	if oldest == nil {
		return tutti.Errorf(tutti.KindExhausted, op, "%d players are connected, and no more can be", maxPlayers)
	}
	if err := h.c.Store.Delete(ctx, playerKey(oldest.ID), store.Always); err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.players, oldest.ID)
	return nil
}

func goodPlayerID(id string) bool {
	if id == "" || len(id) > 200 {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}

// Leave gives the seat up, once. The player stays known.
func (s *Seat) Leave() {
	h := s.house
	h.mu.Lock()
	if s.out {
		h.mu.Unlock()
		return
	}
	s.out = true
	h.seats--
	mine := s.player.seat == s
	if mine {
		s.player.seat = nil
		s.player.Seen = h.c.Clock.Now().UTC()
		s.room.reconcile()
		h.news.touch()
	}
	id := s.player.ID
	h.mu.Unlock()
	if !mine || h.alone() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(h.running), keeping)
	defer cancel()
	_, err := h.changePlayer(ctx, "rooms.Leave", id, nil, func(p *playerRecord) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if back := h.players[id]; p.Node != h.c.Node || back != nil && back.seat != nil {
			return errUnchanged // it has come again, here or elsewhere
		}
		p.Node, p.Seen = "", h.c.Clock.Now().UTC()
		return nil
	})
	if err != nil && !tutti.IsKind(err, tutti.KindNotFound) {
		h.c.Logger.Warn("that a player has left could not be kept", "player", id, "err", err)
	}
}

// expel ends the seat: the player has come again. The caller holds House.mu.
func (s *Seat) expel() {
	if !s.abandoned {
		s.abandoned = true
		close(s.expelled)
	}
}

// Expelled is closed when the same player has connected a second time: this connection is dead.
func (s *Seat) Expelled() <-chan struct{} { return s.expelled }

// sit moves the seat to another room. The caller holds House.mu.
func (s *Seat) sit(r *room) {
	before := s.room
	s.room = r
	before.reconcile()
	r.reconcile()
	s.turn()
	s.tell()
}

// turn says that there is another program. The caller holds House.mu.
func (s *Seat) turn() {
	close(s.moved)
	s.moved = make(chan struct{})
}

// tell says that the settings may be others. The caller holds House.mu.
func (s *Seat) tell() {
	close(s.told)
	s.told = make(chan struct{})
}

// Settings are a player's, with its room's taken in.
type Settings struct {
	Room    tutti.ID
	Volume  int // 0 to 100
	Muted   bool
	Latency time.Duration
}

// Settings returns the settings, and a channel that is closed when they may be others.
func (s *Seat) Settings() (Settings, <-chan struct{}) {
	h := s.house
	h.mu.Lock()
	defer h.mu.Unlock()
	p, r := s.player, s.room
	return Settings{Room: r.ID, Volume: s.level(), Muted: p.Muted || r.Muted, Latency: p.Latency}, s.told
}

// program is what the seat's room sends now, and a channel that is closed when it sends something else or the seat is
// in another room.
func (s *Seat) program() (*program, <-chan struct{}) {
	h := s.house
	h.mu.Lock()
	defer h.mu.Unlock()
	return s.room.program, s.moved
}

// Feed is the seat's way through its room's sound. One at a time.
func (s *Seat) Feed(f Format) *Feed { return &Feed{seat: s, format: f} }

// SetVolume takes a volume that was set at the player itself, where people hear it with the room's taken in. nil leaves
// as it is, and so does what the room alone decides.
func (s *Seat) SetVolume(ctx context.Context, volume *int, muted *bool) error {
	h := s.house
	h.mu.Lock()
	id, level, silenced := s.player.ID, s.level(), s.room.Muted
	h.mu.Unlock()
	if volume != nil && *volume == level {
		volume = nil
	}
	if silenced {
		muted = nil
	}
	return h.SetLevel(ctx, id, volume, muted)
}

// level is how loud the player is, its room's volume taken in. The caller holds House.mu.
func (s *Seat) level() int { return (s.player.Volume*s.room.Volume + 50) / 100 }
