// Package rooms plays a queue on many players at once, the same sample at the same instant. A room has one timeline: it
// says when each sample is to be heard, by the disciplined clock, and every protocol takes its stamps from it. Protocols
// live in folders of their own (rooms/snapcast); each asks the House for a Seat for every player that connects, and sends
// what the seat's feed gives.
//
// Sound comes from the track cache, as 48 kHz WAVE that is made once for each track, so that rooms hold no decoder, any
// sample can be begun at, and tracks follow one another without a gap.
package rooms

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"tutti"
	"tutti/clock"
	"tutti/store"
)

// Config is what a House needs; every field is required.
type Config struct {
	Store   store.Store
	Planner tutti.Planner
	Browser tutti.Browser
	Source  tutti.Source // of the track cache
	// User returns an account: what may be heard in a room is what whoever chose it may see, at the time it is played.
	User   func(ctx context.Context, id tutti.ID) (tutti.User, error)
	Clock  clock.Clock // the disciplined one: players are stamped by it
	Logger *slog.Logger
}

// House has all rooms and players. It implements tutti.Rooms. Run it; it stops playing when Run's context ends.
type House struct {
	c       Config
	running context.Context // of the pumps
	stop    context.CancelFunc
	pumps   sync.WaitGroup

	mu      sync.Mutex
	rooms   []*room // in the order of their names
	players map[string]*player
	news    news
}

// record is what is kept of a room.
type record struct {
	ID       tutti.ID      `json:"id"`
	Name     string        `json:"name"`
	Tracks   []tutti.ID    `json:"tracks"`
	Current  int           `json:"current"`
	Position time.Duration `json:"position"`
	Repeat   tutti.Repeat  `json:"repeat"`
	Volume   int           `json:"volume"`
	Muted    bool          `json:"muted"`
	// User is who chose the music; "" is whoever commands this machine.
	User tutti.ID `json:"user"`
}

// player is what is kept of a player, and its seat while it is connected.
type player struct {
	ID      string        `json:"id"`
	Name    string        `json:"name"`
	Kind    string        `json:"kind"`
	Room    tutti.ID      `json:"room"`
	Address string        `json:"address"`
	Volume  int           `json:"volume"`
	Muted   bool          `json:"muted"`
	Latency time.Duration `json:"latency"`
	Seen    time.Time     `json:"seen"`

	seat  *Seat
	steps *steps // nil where it said nothing yet
}

const (
	partition    = "rooms"
	roomPrefix   = "room#"
	playerPrefix = "player#"

	maxRooms   = 64
	maxPlayers = 512
	maxQueue   = 5000 // an entry takes 17 bytes of a stored record
	maxName    = 100  // characters
	maxLatency = 10 * time.Second
	firstRoom  = "Home"
)

// New reads the rooms that there are, and makes one where there is none. The caller runs the House and closes the store
// after it.
func New(ctx context.Context, c Config) (*House, error) {
	h := &House{c: c, players: map[string]*player{}, news: makeNews()}
	h.running, h.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := h.load(ctx); err != nil {
		return nil, err
	}
	if len(h.rooms) == 0 {
		if _, err := h.create(ctx, firstRoom); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func (h *House) load(ctx context.Context) error {
	const op = "rooms.New"
	for after := ""; ; {
		page, err := h.c.Store.Query(ctx, partition, "", after, store.MaxPage)
		if err != nil {
			return tutti.Wrap(tutti.KindOf(err), op, err)
		}
		for _, item := range page.Items {
			switch {
			case strings.HasPrefix(item.SK, roomPrefix):
				r := h.newRoom(record{})
				if err := json.Unmarshal(item.Value, &r.record); err != nil {
					return tutti.Errorf(tutti.KindInternal, op, "the record of room %s cannot be read: %v", item.SK, err)
				}
				h.rooms = append(h.rooms, r)
			case strings.HasPrefix(item.SK, playerPrefix):
				p := &player{}
				if err := json.Unmarshal(item.Value, p); err != nil {
					return tutti.Errorf(tutti.KindInternal, op, "the record of player %s cannot be read: %v", item.SK, err)
				}
				h.players[p.ID] = p
			}
		}
		if after = page.Next; after == "" {
			h.sort()
			return nil
		}
	}
}

func (h *House) newRoom(rec record) *room {
	return &room{record: rec, house: h, program: newProgram()}
}

func (h *House) sort() {
	slices.SortStableFunc(h.rooms, func(a, b *room) int { return strings.Compare(a.Name, b.Name) })
}

// Run waits for ctx to end, keeps the place of every room that plays, and stops them.
func (h *House) Run(ctx context.Context) error {
	<-ctx.Done()
	h.mu.Lock()
	now := h.c.Clock.Now()
	var playing []*room
	for _, r := range h.rooms {
		if r.playing {
			r.halt(now)
			playing = append(playing, r)
		}
	}
	h.stop()
	h.mu.Unlock()
	h.pumps.Wait()
	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), keeping)
	defer cancel()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range playing {
		if err := h.save(keep, r); err != nil {
			return err
		}
	}
	return nil
}

// viewer is what somebody may hear now.
func (h *House) viewer(ctx context.Context, user tutti.ID) (tutti.Viewer, error) {
	if user == "" {
		return tutti.Viewer{Admin: true}, nil
	}
	u, err := h.c.User(ctx, user)
	if tutti.IsKind(err, tutti.KindNotFound) {
		return tutti.Viewer{}, tutti.Errorf(tutti.KindForbidden, "rooms.viewer", "who chose this music has no account any more; choose again")
	}
	return u.Viewer(), err
}

// save writes a room's record. The caller holds mu.
func (h *House) save(ctx context.Context, r *room) error {
	value, err := json.Marshal(r.record)
	if err != nil {
		return tutti.Errorf(tutti.KindInternal, "rooms.save", "%v", err)
	}
	_, err = h.c.Store.Put(ctx, store.Key{PK: partition, SK: roomPrefix + string(r.ID)}, value, time.Time{}, store.Always)
	return tutti.Wrap(tutti.KindOf(err), "rooms.save", err)
}

// savePlayer writes a player's record. The caller holds mu.
func (h *House) savePlayer(ctx context.Context, p *player) error {
	value, err := json.Marshal(p)
	if err != nil {
		return tutti.Errorf(tutti.KindInternal, "rooms.savePlayer", "%v", err)
	}
	_, err = h.c.Store.Put(ctx, store.Key{PK: partition, SK: playerPrefix + p.ID}, value, time.Time{}, store.Always)
	return tutti.Wrap(tutti.KindOf(err), "rooms.savePlayer", err)
}

func (h *House) find(op string, id tutti.ID) (*room, error) {
	for _, r := range h.rooms {
		if r.ID == id {
			return r, nil
		}
	}
	return nil, tutti.Errorf(tutti.KindNotFound, op, "there is no such room")
}

// show is a room as it is at this moment. The caller holds mu.
func (h *House) show(r *room) tutti.Room {
	current, position := r.place(h.c.Clock.Now())
	if len(r.Tracks) == 0 {
		current = -1
	}
	out := tutti.Room{
		ID: r.ID, Name: r.Name, Playing: r.playing, Tracks: slices.Clone(r.Tracks), Current: current, Position: position, Repeat: r.Repeat,
		Volume: r.Volume, Muted: r.Muted, Problem: r.problem,
	}
	for _, p := range h.players {
		if p.Room == r.ID {
			out.Players = append(out.Players, p.show())
		}
	}
	slices.SortFunc(out.Players, func(a, b tutti.RoomPlayer) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	return out
}

func (p *player) show() tutti.RoomPlayer {
	return tutti.RoomPlayer{
		ID: p.ID, Name: p.Name, Kind: p.Kind, Room: p.Room, Connected: p.seat != nil, Address: p.Address, Volume: p.Volume, Muted: p.Muted,
		Latency: p.Latency, Seen: p.Seen,
	}
}

// Rooms implements tutti.Rooms.
func (h *House) Rooms(context.Context, tutti.Viewer) ([]tutti.Room, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]tutti.Room, 0, len(h.rooms))
	for _, r := range h.rooms {
		out = append(out, h.show(r))
	}
	return out, nil
}

// Room implements tutti.Rooms.
func (h *House) Room(_ context.Context, _ tutti.Viewer, id tutti.ID) (tutti.Room, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.find("rooms.Room", id)
	if err != nil {
		return tutti.Room{}, err
	}
	return h.show(r), nil
}

// CreateRoom implements tutti.Rooms.
func (h *House) CreateRoom(ctx context.Context, _ tutti.Viewer, name string) (tutti.Room, error) {
	return h.create(ctx, name)
}

func (h *House) create(ctx context.Context, name string) (tutti.Room, error) {
	const op = "rooms.CreateRoom"
	name, err := checkName(op, name)
	if err != nil {
		return tutti.Room{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.rooms) >= maxRooms {
		return tutti.Room{}, tutti.Errorf(tutti.KindExhausted, op, "there are %d rooms already; delete one first", maxRooms)
	}
	if err := h.unused(op, name, nil); err != nil {
		return tutti.Room{}, err
	}
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return tutti.Room{}, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	n := uint64(0)
	for _, v := range b {
		n = n<<8 | uint64(v)
	}
	r := h.newRoom(record{ID: tutti.NewID(tutti.PrefixRoom, n), Name: name, Current: -1, Repeat: tutti.RepeatOff, Volume: 100})
	if err := h.save(ctx, r); err != nil {
		return tutti.Room{}, err
	}
	h.rooms = append(h.rooms, r)
	h.sort()
	h.news.touch()
	return h.show(r), nil
}

func checkName(op, name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }) {
		return "", tutti.Errorf(tutti.KindInvalid, op, "a name has 1 to %d characters, on one line", maxName)
	}
	return name, nil
}

func (h *House) unused(op, name string, but *room) error {
	for _, r := range h.rooms {
		if r != but && strings.EqualFold(r.Name, name) {
			return tutti.Errorf(tutti.KindConflict, op, "there is a room %q already", r.Name)
		}
	}
	return nil
}

// ChangeRoom implements tutti.Rooms.
func (h *House) ChangeRoom(ctx context.Context, _ tutti.Viewer, id tutti.ID, c tutti.RoomChange) (tutti.Room, error) {
	const op = "rooms.ChangeRoom"
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.find(op, id)
	if err != nil {
		return tutti.Room{}, err
	}
	next := r.record
	if c.Name != nil {
		if next.Name, err = checkName(op, *c.Name); err != nil {
			return tutti.Room{}, err
		}
		if err := h.unused(op, next.Name, r); err != nil {
			return tutti.Room{}, err
		}
	}
	if c.Volume != nil {
		if next.Volume = *c.Volume; next.Volume < 0 || next.Volume > 100 {
			return tutti.Room{}, tutti.Errorf(tutti.KindInvalid, op, "a volume is from 0 to 100")
		}
	}
	if c.Muted != nil {
		next.Muted = *c.Muted
	}
	if c.Repeat != nil {
		if next.Repeat = *c.Repeat; !slices.Contains([]tutti.Repeat{tutti.RepeatOff, tutti.RepeatAll, tutti.RepeatOne}, next.Repeat) {
			return tutti.Room{}, tutti.Errorf(tutti.KindInvalid, op, "repeat is off, all or one")
		}
	}
	return h.store(ctx, r, next)
}

// store keeps a room's new record and tells its players. The caller holds mu.
func (h *House) store(ctx context.Context, r *room, next record) (tutti.Room, error) {
	before := r.record
	r.record = next
	if err := h.save(ctx, r); err != nil {
		r.record = before
		return tutti.Room{}, err
	}
	h.sort()
	h.settings(r.ID)
	h.news.touch()
	return h.show(r), nil
}

// settings tells the players of a room that their volume may be another. The caller holds mu.
func (h *House) settings(id tutti.ID) {
	for _, p := range h.players {
		if p.seat != nil && p.Room == id {
			p.seat.tell()
		}
	}
}

// DeleteRoom implements tutti.Rooms.
func (h *House) DeleteRoom(ctx context.Context, _ tutti.Viewer, id tutti.ID) error {
	const op = "rooms.DeleteRoom"
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.find(op, id)
	if err != nil {
		return err
	}
	if len(h.rooms) == 1 {
		return tutti.Errorf(tutti.KindConflict, op, "the last room stays; rename it instead")
	}
	if err := h.c.Store.Delete(ctx, store.Key{PK: partition, SK: roomPrefix + string(id)}, store.Always); err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	r.halt(h.c.Clock.Now())
	h.rooms = slices.DeleteFunc(h.rooms, func(o *room) bool { return o == r })
	h.news.touch()
	for _, p := range h.players {
		if p.Room == id {
			h.move(p, h.rooms[0])
			err = errors.Join(err, h.savePlayer(ctx, p)) // who could not be moved for good is moved again when it comes next
		}
	}
	return err
}

// move puts a player into a room. The caller holds mu.
func (h *House) move(p *player, r *room) {
	p.Room = r.ID
	if p.seat != nil {
		p.seat.sit(r)
	}
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
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.find(op, id)
	if err != nil {
		return tutti.Room{}, err
	}
	after := r.halt(h.c.Clock.Now())
	next := r.record
	next.Tracks, next.Current, next.Position = slices.Clone(p.Tracks), p.Current, p.Position
	next.User = v.User
	if len(p.Tracks) == 0 {
		next.Current, next.Position = -1, 0
	}
	if _, err := h.store(ctx, r, next); err != nil {
		return tutti.Room{}, err
	}
	if !p.Paused {
		r.begin(after)
	}
	return h.show(r), nil
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
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.find("rooms.PauseRoom", id)
	if err != nil || !r.playing {
		if err != nil {
			return tutti.Room{}, err
		}
		return h.show(r), nil
	}
	r.halt(h.c.Clock.Now())
	return h.store(ctx, r, r.record)
}

// ResumeRoom implements tutti.Rooms.
func (h *House) ResumeRoom(_ context.Context, _ tutti.Viewer, id tutti.ID) (tutti.Room, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.find("rooms.ResumeRoom", id)
	if err != nil {
		return tutti.Room{}, err
	}
	if !r.playing {
		r.begin(closed)
	}
	return h.show(r), nil
}

// SeekRoom implements tutti.Rooms.
func (h *House) SeekRoom(ctx context.Context, _ tutti.Viewer, id tutti.ID, current int, position time.Duration) (tutti.Room, error) {
	const op = "rooms.SeekRoom"
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.find(op, id)
	if err != nil {
		return tutti.Room{}, err
	}
	if current < 0 || current >= len(r.Tracks) || position < 0 {
		return tutti.Room{}, tutti.Errorf(tutti.KindInvalid, op, "the queue has %d tracks, and no place before their beginning", len(r.Tracks))
	}
	was := r.playing
	after := r.halt(h.c.Clock.Now())
	next := r.record
	next.Current, next.Position = current, position
	if _, err := h.store(ctx, r, next); err != nil {
		return tutti.Room{}, err
	}
	if was {
		r.begin(after)
	}
	return h.show(r), nil
}

// AppendRoom implements tutti.Rooms.
func (h *House) AppendRoom(ctx context.Context, v tutti.Viewer, id tutti.ID, tracks []tutti.ID) (tutti.Room, error) {
	const op = "rooms.AppendRoom"
	if err := h.visible(ctx, op, v, tracks); err != nil {
		return tutti.Room{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.find(op, id)
	if err != nil {
		return tutti.Room{}, err
	}
	next := r.record
	if next.Tracks = append(slices.Clone(r.Tracks), tracks...); len(next.Tracks) > maxQueue {
		return tutti.Room{}, tutti.Errorf(tutti.KindInvalid, op, "a room's queue holds %d tracks", maxQueue)
	}
	if !r.playing {
		next.Current = max(next.Current, 0)
	}
	if len(r.Tracks) == 0 {
		next.User = v.User
	}
	return h.store(ctx, r, next)
}

// ChangeRoomPlayer implements tutti.Rooms.
func (h *House) ChangeRoomPlayer(ctx context.Context, _ tutti.Viewer, id string, c tutti.RoomPlayerChange) (tutti.RoomPlayer, error) {
	const op = "rooms.ChangeRoomPlayer"
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.players[id]
	if p == nil {
		return tutti.RoomPlayer{}, tutti.Errorf(tutti.KindNotFound, op, "there is no such player")
	}
	before := *p
	var err error
	if c.Name != nil {
		if p.Name, err = checkName(op, *c.Name); err != nil {
			*p = before
			return tutti.RoomPlayer{}, err
		}
	}
	if c.Volume != nil {
		p.Volume = *c.Volume
	}
	if c.Muted != nil {
		p.Muted = *c.Muted
	}
	if c.Latency != nil {
		p.Latency = *c.Latency
	}
	var to *room
	if c.Room != nil {
		if to, err = h.find(op, *c.Room); err == nil {
			p.Room = to.ID
		}
	}
	if err == nil && (p.Volume < 0 || p.Volume > 100 || p.Latency > maxLatency || p.Latency < -maxLatency) {
		err = tutti.Errorf(tutti.KindInvalid, op, "a volume is from 0 to 100, a latency from -10 s to 10 s")
	}
	if err == nil && *p == before {
		return p.show(), nil
	}
	if err == nil {
		err = h.savePlayer(ctx, p)
	}
	if err != nil {
		*p = before
		return tutti.RoomPlayer{}, err
	}
	h.news.touch()
	if p.seat != nil {
		if to != nil && to.ID != before.Room {
			p.seat.sit(to)
		}
		p.seat.tell()
	}
	return p.show(), nil
}

// ForgetRoomPlayer implements tutti.Rooms.
func (h *House) ForgetRoomPlayer(ctx context.Context, _ tutti.Viewer, id string) error {
	const op = "rooms.ForgetRoomPlayer"
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.players[id]
	switch {
	case p == nil:
		return tutti.Errorf(tutti.KindNotFound, op, "there is no such player")
	case p.seat != nil:
		return tutti.Errorf(tutti.KindConflict, op, "%s is connected; switch it off first", p.Name)
	}
	if err := h.c.Store.Delete(ctx, store.Key{PK: partition, SK: playerPrefix + id}, store.Always); err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	delete(h.players, id)
	h.news.touch()
	return nil
}
