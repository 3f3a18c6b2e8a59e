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
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"tutti"
	"tutti/carbon"
	"tutti/clock"
	"tutti/store"
)

// Config is what a House needs. Without Node the House is alone with its store; the last four fields are of one that is not.
type Config struct {
	Store   store.Store
	Planner tutti.Planner
	Browser tutti.Browser
	Source  tutti.Source // of the track cache
	// User returns an account: what may be heard in a room is what whoever chose it may see, at the time it is played.
	User   func(ctx context.Context, id tutti.ID) (tutti.User, error)
	Clock  clock.Clock // the disciplined one: players are stamped by it
	Logger *slog.Logger
	CPU    *carbon.Tally // counts the CPU time that sound for players takes; nil: nobody does

	Node   string                         // what tells this process from the others that share the store
	Alive  func(node string) bool         // reports whether another process is there; nil believes whatever the store says
	Within func(most time.Duration) error // says why the clock may be wrong by more than that, as clock.Disciplined does
	Bound  time.Duration                  // the most that the clock may be wrong by for this process to lead a room
}

// House has all rooms and players. It implements tutti.Rooms. Run it; it stops playing when Run's context ends.
//
// Processes that share a store each have a House, and play the same rooms: see fleet.go.
type House struct {
	c       Config
	running context.Context // of the pumps
	stop    context.CancelFunc
	pumps   sync.WaitGroup
	seating sync.Mutex    // one change of players at a time
	wake    chan struct{} // for attend: there is something to look after

	mu       sync.Mutex
	rooms    []*room // in the order of their names
	players  map[string]*player
	seats    int
	deleting int // rooms that are on their way out
	watchers int
	news     news
	head     uint64 // version of the head item up to which everything is known

	sentBlocks, sentBytes atomic.Int64 // to all players together
}

// Sent is how much sound all players together were sent so far, and in how many bytes.
func (h *House) Sent() (time.Duration, int64) {
	return time.Duration(h.sentBlocks.Load()) * blockSamples * time.Second / Rate, h.sentBytes.Load()
}

const (
	maxRooms   = 64
	maxPlayers = 512
	maxQueue   = 5000 // an entry takes 17 bytes of a stored record, which holds two queues
	maxName    = 100  // characters
	maxLatency = 10 * time.Second
	firstRoom  = "Home"
)

// New reads the rooms that there are, and makes one where there is none. The caller runs the House and closes the store
// after it.
func New(ctx context.Context, c Config) (*House, error) {
	h := &House{c: c, players: map[string]*player{}, news: makeNews(), wake: make(chan struct{}, 1)}
	h.running, h.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := h.begin(ctx); err != nil {
		h.stop()
		return nil, err
	}
	return h, nil
}

func (h *House) begin(ctx context.Context) error {
	if err := h.load(ctx); err != nil {
		return err
	}
	if len(h.rooms) == 0 { // of processes that start at once one makes it
		r := newRecord(1, firstRoom)
		if err := h.add(ctx, "rooms.New", r); err != nil && !tutti.IsKind(err, tutti.KindConflict) {
			return err
		}
		if err := h.load(ctx); err != nil {
			return err
		}
	}
	if err := h.forgetSeats(ctx); err != nil {
		return err
	}
	if h.alone() {
		return h.resume(ctx)
	}
	return nil
}

func newRecord(n uint64, name string) record {
	return record{ID: tutti.NewID(tutti.PrefixRoom, n), Name: name, Current: -1, Repeat: tutti.RepeatOff, Volume: 100}
}

// add writes a new room. KindConflict says that there is one of its id.
func (h *House) add(ctx context.Context, op string, rec record) error {
	value, err := json.Marshal(rec)
	if err != nil {
		return tutti.Errorf(tutti.KindInternal, op, "%v", err)
	}
	version, err := h.c.Store.Put(ctx, roomKey(rec.ID), value, time.Time{}, store.IfAbsent)
	if err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	h.mu.Lock()
	if _, err := h.find(op, rec.ID); err != nil {
		r := h.newRoom(rec)
		r.version = version
		h.rooms = append(h.rooms, r)
		h.sort()
		h.news.touch()
	}
	h.mu.Unlock()
	h.announce(ctx)
	return nil
}

func (h *House) sort() {
	slices.SortStableFunc(h.rooms, func(a, b *room) int { return strings.Compare(a.Name, b.Name) })
}

// Run looks after the rooms until ctx ends, keeps the place of every room that plays, and stops them. Where the process is
// back soon, or others go on, they play on as if nothing had happened.
func (h *House) Run(ctx context.Context) error {
	leading, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	h.attend(ctx, leading)
	h.mu.Lock()
	playing := map[*room]uint64{}
	for _, r := range h.rooms {
		if r.Playing && r.leads() {
			playing[r] = r.Line.Serial
		}
	}
	h.mu.Unlock()
	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), keeping)
	defer cancel()
	var err error
	for r, serial := range playing {
		if failed := r.changeLed(keep, serial, stillPlays); !errors.Is(failed, errOvertaken) {
			err = errors.Join(err, failed)
		}
	}
	release()
	h.stop()
	h.pumps.Wait()
	return err
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
	now := h.c.Clock.Now()
	rec := r.latest()
	current, position := rec.place(now)
	if len(r.Tracks) == 0 {
		current = -1
	}
	out := tutti.Room{
		ID: r.ID, Name: r.Name, Playing: r.Playing, Tracks: slices.Clone(r.Tracks), Current: current, Position: position, Repeat: r.Repeat,
		Volume: r.Volume, Muted: r.Muted, Problem: r.Problem, Undo: r.Before != nil,
	}
	if r.Playing && !r.Line.anchored() && now.Sub(r.Led) > unanchoredFor {
		if err := h.unfit(); err != nil {
			out.Problem = err.Error()
		}
	}
	for _, p := range h.players {
		if p.Room == r.ID {
			out.Players = append(out.Players, h.showPlayer(p))
		}
	}
	slices.SortFunc(out.Players, func(a, b tutti.RoomPlayer) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	return out
}

// connected reports whether a player is connected, here or elsewhere. The caller holds mu.
func (h *House) connected(p *player) bool {
	return p.seat != nil || p.Node != h.c.Node && h.otherAlive(p.Node)
}

// showPlayer is a player as it is. The caller holds mu.
func (h *House) showPlayer(p *player) tutti.RoomPlayer {
	return tutti.RoomPlayer{
		ID: p.ID, Name: p.Name, Kind: p.Kind, Room: p.Room, Connected: h.connected(p), Address: p.Address, Volume: p.Volume, Muted: p.Muted,
		Latency: p.Latency, Seen: p.Seen,
	}
}

// Rooms implements tutti.Rooms.
func (h *House) Rooms(ctx context.Context, _ tutti.Viewer) ([]tutti.Room, error) {
	h.refresh(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]tutti.Room, 0, len(h.rooms))
	for _, r := range h.rooms {
		out = append(out, h.show(r))
	}
	return out, nil
}

// Room implements tutti.Rooms.
func (h *House) Room(ctx context.Context, _ tutti.Viewer, id tutti.ID) (tutti.Room, error) {
	h.refresh(ctx)
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
	h.refresh(ctx)
	h.mu.Lock()
	many := len(h.rooms)
	h.mu.Unlock()
	if many >= maxRooms {
		return tutti.Room{}, tutti.Errorf(tutti.KindExhausted, op, "there are %d rooms already; delete one first", maxRooms)
	}
	if err := h.unused(op, name, ""); err != nil {
		return tutti.Room{}, err
	}
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return tutti.Room{}, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	rec := newRecord(binary.BigEndian.Uint64(b[:]), name)
	if err := h.add(ctx, op, rec); err != nil {
		return tutti.Room{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.find(op, rec.ID)
	if err != nil {
		return tutti.Room{}, err
	}
	return h.show(r), nil
}

func checkName(op, name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }) {
		return "", tutti.Errorf(tutti.KindInvalid, op, "a name has 1 to %d characters, on one line", maxName)
	}
	return name, nil
}

// unused checks that no room but one has the name.
func (h *House) unused(op, name string, but tutti.ID) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.rooms {
		if r.ID != but && strings.EqualFold(r.Name, name) {
			return tutti.Errorf(tutti.KindConflict, op, "there is a room %q already", r.Name)
		}
	}
	return nil
}

// settings tells the players of a room that their volume may be another. The caller holds mu.
func (h *House) settings(id tutti.ID) {
	for _, p := range h.players {
		if p.seat != nil && p.Room == id {
			p.seat.tell()
		}
	}
}
