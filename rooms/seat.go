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
	expelled chan struct{}
}

// Sit gives a player that connects the room it was in last, or the first one, and its settings. A player that is there
// already is expelled: it has lost its connection without knowing.
func (h *House) Sit(ctx context.Context, a Arrival) (*Seat, error) {
	const op = "rooms.Sit"
	if !goodPlayerID(a.ID) {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "a player is known by 1 to 200 printable characters")
	}
	name, err := checkName(op, a.Name)
	if err != nil {
		name = a.ID[:min(len(a.ID), maxName)]
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.players[a.ID]
	if p == nil {
		if err := h.makeRoomForOne(ctx); err != nil {
			return nil, err
		}
		p = &player{ID: a.ID, Name: name, Volume: 100}
	}
	r, err := h.find(op, p.Room)
	if a.Room != "" {
		if r, err = h.find(op, a.Room); err != nil {
			return nil, err
		}
	}
	if err != nil {
		r = h.rooms[0] // it is new, or its room is gone
	}
	before := *p
	p.Kind, p.Address, p.Seen, p.Room = a.Kind, a.Address, h.c.Clock.Now().UTC(), r.ID
	if err := h.savePlayer(ctx, p); err != nil {
		*p = before
		return nil, err
	}
	h.players[a.ID] = p
	if p.seat != nil {
		close(p.seat.expelled)
	}
	p.seat = &Seat{house: h, player: p, room: r, moved: make(chan struct{}), told: make(chan struct{}), expelled: make(chan struct{})}
	h.news.touch()
	return p.seat, nil
}

// makeRoomForOne forgets who was away the longest where there are as many players as can be. The caller holds mu.
func (h *House) makeRoomForOne(ctx context.Context) error {
	const op = "rooms.Sit"
	if len(h.players) < maxPlayers {
		return nil
	}
	var oldest *player
	for _, p := range h.players {
		if p.seat == nil && (oldest == nil || p.Seen.Before(oldest.Seen)) {
			oldest = p
		}
	}
	if oldest == nil {
		return tutti.Errorf(tutti.KindExhausted, op, "%d players are connected, and no more can be", maxPlayers)
	}
	if err := h.c.Store.Delete(ctx, store.Key{PK: partition, SK: playerPrefix + oldest.ID}, store.Always); err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
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

// Leave gives the seat up. The player stays known.
func (s *Seat) Leave() {
	h := s.house
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.player.seat == s {
		s.player.seat = nil
		s.player.Seen = h.c.Clock.Now().UTC()
		h.news.touch()
	}
}

// Expelled is closed when the same player has connected a second time: this connection is dead.
func (s *Seat) Expelled() <-chan struct{} { return s.expelled }

// sit moves the seat to another room. The caller holds House.mu.
func (s *Seat) sit(r *room) {
	s.room = r
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
	return Settings{Room: r.ID, Volume: p.Volume * r.Volume / 100, Muted: p.Muted || r.Muted, Latency: p.Latency}, s.told
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

// SetVolume takes a volume that was set at the player itself, where people hear it with the room's taken in: what is
// kept is the player's part. nil leaves as it is, and so does what the room alone decides.
func (s *Seat) SetVolume(ctx context.Context, volume *int, muted *bool) error {
	s.house.mu.Lock()
	whole, silenced := s.room.Volume, s.room.Muted
	s.house.mu.Unlock()
	if silenced {
		muted = nil
	}
	if volume != nil && *volume >= 0 && *volume <= 100 {
		if whole == 0 {
			volume = nil
		} else {
			own := min(100, (*volume*100+whole/2)/whole)
			volume = &own
		}
	}
	_, err := s.house.ChangeRoomPlayer(ctx, tutti.Viewer{}, s.player.ID, tutti.RoomPlayerChange{Volume: volume, Muted: muted})
	return err
}
