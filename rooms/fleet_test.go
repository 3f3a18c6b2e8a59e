package rooms

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
	"tutti/store/sqlite"
)

// fleet is some processes' houses over one database, in virtual time.
type fleet struct {
	t      *testing.T
	clock  *clock.Fake
	store  store.Store
	seen   *sounds
	houses []*member
	ears   []*ear
	room   tutti.ID
}

// member is one process's House.
type member struct {
	*House
	dead  *severed
	stop  func()
	wrong atomic.Bool // its clock cannot be relied on
}

// severed is a store that a process may be cut off from for ever, which is what a kill looks like to the others.
type severed struct {
	store.Store
	cut  atomic.Bool
	busy atomic.Int32
}

var errCut = tutti.Errorf(tutti.KindUnavailable, "severed", "cut off")

func (s *severed) Get(ctx context.Context, k store.Key) (store.Item, error) {
	s.busy.Add(1)
	defer s.busy.Add(-1)
	if s.cut.Load() {
		return store.Item{}, errCut
	}
	return s.Store.Get(ctx, k)
}

func (s *severed) Put(ctx context.Context, k store.Key, v []byte, expires time.Time, c store.Condition) (uint64, error) {
	s.busy.Add(1)
	defer s.busy.Add(-1)
	if s.cut.Load() {
		return 0, errCut
	}
	return s.Store.Put(ctx, k, v, expires, c)
}

func (s *severed) Query(ctx context.Context, pk, prefix, after string, limit int) (store.Page, error) {
	s.busy.Add(1)
	defer s.busy.Add(-1)
	if s.cut.Load() {
		return store.Page{}, errCut
	}
	return s.Store.Query(ctx, pk, prefix, after, limit)
}

func openFleet(t *testing.T, n int, lengths ...int) *fleet {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	f := &fleet{t: t, clock: clock.NewFake(epoch), seen: &sounds{lengths: map[tutti.ID]int{}, missing: map[tutti.ID]bool{}}}
	for n, l := range lengths {
		f.seen.lengths[trackID(n+1)] = l
	}
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "tutti.db"), sqlite.Options{Clock: f.clock, Logger: quiet})
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	f.store = st
	for i := range n {
		f.open(string(rune('a' + i)))
	}
	all, err := f.houses[0].Rooms(t.Context(), tutti.Viewer{})
	must(t, err)
	f.room = all[0].ID
	return f
}

func (f *fleet) open(node string) *member {
	f.t.Helper()
	m := &member{dead: &severed{Store: f.store}}
	h, err := New(f.t.Context(), Config{
		Store: m.dead, Planner: f.seen, Browser: f.seen, Source: f.seen, User: anybody, Clock: f.clock, Logger: slog.New(slog.DiscardHandler),
		Node: node, Bound: time.Millisecond,
		Alive: func(node string) bool {
			for _, o := range f.houses {
				if o.c.Node == node {
					return !o.dead.cut.Load()
				}
			}
			return false
		},
		Within: func(time.Duration) error {
			if m.wrong.Load() {
				return errors.New("nobody keeps the time")
			}
			return nil
		},
	})
	must(f.t, err)
	m.House = h
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	m.stop = sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil && !m.dead.cut.Load() {
			f.t.Error(err)
		}
	})
	f.t.Cleanup(m.stop)
	f.houses = append(f.houses, m)
	return m
}

// ear is a player that remembers which sample it is to hear when.
type ear struct {
	member *member
	seat   *Seat
	done   chan struct{}
	stop   context.CancelFunc

	mu    sync.Mutex
	heard map[time.Time]uint32 // of each block the first sample: its index and its track
	last  time.Time
}

// idle reports whether the player has taken all that there is for it.
func (e *ear) idle() bool {
	select {
	case <-e.done:
		return true
	default:
	}
	p, _ := e.seat.program()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.blocks) == 0 {
		return true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.last.Before(p.blocks[len(p.blocks)-1].at)
}

func (f *fleet) listen(m *member, id string) *ear {
	f.t.Helper()
	seat, err := m.Sit(f.t.Context(), Arrival{ID: id, Name: id, Kind: "test", Address: "192.0.2.1"})
	must(f.t, err)
	ctx, stop := context.WithCancel(context.Background())
	e := &ear{member: m, seat: seat, heard: map[time.Time]uint32{}, done: make(chan struct{}), stop: stop}
	f.ears = append(f.ears, e)
	go func() {
		defer close(e.done)
		defer seat.Leave()
		go func() {
			select {
			case <-seat.Expelled():
				stop()
			case <-ctx.Done():
			}
		}()
		feed := seat.Feed(PCM)
		for {
			p, err := feed.Next(ctx)
			if err != nil {
				return
			}
			e.mu.Lock()
			if p.Header != nil { // what was to be heard later is forgotten
				maps.DeleteFunc(e.heard, func(at time.Time, _ uint32) bool { return at.After(f.clock.Now()) })
				e.last = time.Time{}
			} else {
				e.heard[p.Block.At] = binary.LittleEndian.Uint32(p.Block.Data)
				e.last = p.Block.At
			}
			e.mu.Unlock()
		}
	}()
	f.t.Cleanup(func() {
		stop()
		<-e.done
	})
	return e
}

// pass lets time pass in small steps, for as long as it takes for a condition to hold. After each step everybody does what
// is due: a process is not kept from its work by the test's hurry. Somebody may wait for a time that they reckoned before the
// last step, though, so that time goes on after a while whatever anybody does.
func (f *fleet) pass(what string, until func() bool) {
	f.t.Helper()
	const enough = 20 * time.Millisecond
	since := time.Now()
	for !until() {
		f.clock.Advance(5 * time.Millisecond)
		step := time.Now()
		for calm := 0; calm < 20 && time.Since(step) < enough; calm++ {
			if time.Since(since) > time.Minute {
				f.t.Fatalf("waited in vain for %s%s", what, f.state())
			}
			if !f.idle() {
				calm = 0
				time.Sleep(50 * time.Microsecond)
			}
			runtime.Gosched()
		}
	}
}

// state is what everybody is at, for whoever has to find out why they are at nothing.
func (f *fleet) state() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nit is %v", f.clock.Now().Sub(epoch))
	for _, m := range f.houses {
		m.mu.Lock()
		for _, r := range m.rooms {
			fmt.Fprintf(&b, "\n%s: cut off %v, in the store %d, leads %v, plays %v, line %+v", m.c.Node, m.dead.cut.Load(), m.dead.busy.Load(), r.leading, r.Playing, r.Line)
			if r.run != nil {
				fmt.Fprintf(&b, ", runs %d up to %d: %+v", r.run.serial, r.run.sent, r.run.parts)
			}
			r.program.mu.Lock()
			if n := len(r.program.blocks); n > 0 {
				fmt.Fprintf(&b, ", sent up to %v", r.program.blocks[n-1].at.Sub(epoch))
			}
			r.program.mu.Unlock()
		}
		m.mu.Unlock()
	}
	for _, e := range f.ears {
		e.mu.Lock()
		fmt.Fprintf(&b, "\nan ear of %s has heard up to %v", e.member.c.Node, e.last.Sub(epoch))
		e.mu.Unlock()
	}
	return b.String()
}

// idle reports whether nobody waits for the store, and all that is to be sent by now has been.
func (f *fleet) idle() bool {
	for _, m := range f.houses {
		if m.dead.cut.Load() {
			continue
		}
		if m.dead.busy.Load() > 0 {
			return false
		}
		m.mu.Lock()
		for _, r := range m.rooms {
			if r.run == nil || !r.Line.anchored() {
				continue
			}
			r.program.mu.Lock()
			n := len(r.program.blocks)
			behind := n == 0 || r.program.blocks[n-1].at.Before(f.clock.Now().Add(lead-40*time.Millisecond))
			r.program.mu.Unlock()
			if behind && r.Line.At.Before(f.clock.Now().Add(lead-40*time.Millisecond)) {
				m.mu.Unlock()
				return false
			}
		}
		m.mu.Unlock()
	}
	for _, e := range f.ears {
		if !e.member.dead.cut.Load() && !e.idle() {
			return false
		}
	}
	return true
}

func (e *ear) until(at time.Time) func() bool {
	return func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return !e.last.Before(at)
	}
}

// same compares what two ears heard from one moment to another: all of it, block by block, without a gap.
func (f *fleet) same(a, b *ear, from, to time.Time) {
	f.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	blocks := 0
	var before time.Time
	for at := range a.heard {
		if before.IsZero() || at.Before(before) {
			before = at
		}
	}
	for at := before; !at.After(to); at = at.Add(20 * time.Millisecond) {
		if at.Before(from) {
			continue
		}
		x, ok := a.heard[at]
		y, also := b.heard[at]
		if !ok || !also || x != y {
			f.t.Fatalf("at %v one hears %x (%v), the other %x (%v)", at.Sub(epoch), x, ok, y, also)
		}
		blocks++
	}
	if blocks == 0 {
		f.t.Fatal("nothing was heard")
	}
}

func (f *fleet) play(m *member, tracks ...int) {
	f.t.Helper()
	var ids []tutti.ID
	for _, n := range tracks {
		ids = append(ids, trackID(n))
	}
	_, err := m.PlayRoom(f.t.Context(), tutti.Viewer{}, f.room, tutti.RoomPlay{Tracks: ids})
	must(f.t, err)
}

func (f *fleet) leader() string {
	r, err := f.record()
	must(f.t, err)
	return r.Leader
}

func (f *fleet) record() (record, error) {
	item, err := f.store.Get(f.t.Context(), roomKey(f.room))
	if err != nil {
		return record{}, err
	}
	return readRoom(item)
}

// TestFleetPlaysAsOne: players of different processes hear the same samples at the same moments, also from one track to
// the next; when the leader is killed nothing of it is heard, and another leads.
func TestFleetPlaysAsOne(t *testing.T) {
	f := openFleet(t, 3, 4*Rate+123, 3*Rate+77, 30*Rate, 30*Rate)
	b, c := f.listen(f.houses[1], "b"), f.listen(f.houses[2], "c")
	f.play(f.houses[0], 1, 2, 3, 4)
	f.pass("a leader", func() bool { r, err := f.record(); must(t, err); return r.Line.anchored() })
	r, err := f.record()
	must(t, err)
	start := r.Line.At
	f.pass("two tracks", func() bool { return b.until(start.Add(8*time.Second))() && c.until(start.Add(8*time.Second))() })
	f.same(b, c, start.Add(time.Second), start.Add(8*time.Second))

	leader := f.leader()
	var killed *member
	var others []*ear
	for i, m := range f.houses {
		if m.c.Node == leader {
			killed = m
		} else if e := []*ear{nil, b, c}[i]; e != nil {
			others = append(others, e)
		}
	}
	killed.dead.cut.Store(true)
	killed.stop()
	at := f.clock.Now()
	f.pass("another leader", func() bool { return f.leader() != leader })
	if took := f.clock.Now().Sub(at); took > 10*time.Second {
		t.Errorf("it took %v until another led", took)
	}
	end := f.clock.Now().Add(5 * time.Second)
	for _, e := range others {
		f.pass("the music to go on", e.until(end))
	}
	f.same(others[0], others[len(others)-1], start.Add(time.Second), end)
	// One timeline from the beginning to the end: each block is where it belongs.
	e := others[0]
	e.mu.Lock()
	defer e.mu.Unlock()
	lengths := []int64{4*Rate + 123, 3*Rate + 77, 30 * Rate, 30 * Rate}
	line := Timeline{At: start, Rate: Rate}
	for block := int64(100); ; block++ {
		at := line.Time(block * blockSamples)
		if at.After(end) {
			break
		}
		n, track := block*blockSamples, 0
		for n >= lengths[track] {
			n -= lengths[track]
			track++
		}
		if got, want := e.heard[at], uint32(n&0xffff)|uint32(track+1)<<16; got != want {
			t.Fatalf("block %d is %x, want %x", block, got, want)
		}
	}
}

// TestFleetCommands: what is said to any process is done by all, and a player that knocks elsewhere is there.
func TestFleetCommands(t *testing.T) {
	f := openFleet(t, 2, 60*Rate, 60*Rate, 60*Rate)
	a, b := f.houses[0], f.houses[1]
	ear := f.listen(b, "radio")
	f.play(a, 1, 2)
	playing := func(track uint32) func() bool {
		return func() bool {
			ear.mu.Lock()
			defer ear.mu.Unlock()
			return ear.heard[ear.last]>>16 == track && ear.last.After(f.clock.Now().Add(-time.Second))
		}
	}
	f.pass("the first track", playing(1))
	_, err := a.SeekRoom(t.Context(), tutti.Viewer{}, f.room, 1, 10*time.Second)
	must(t, err)
	f.pass("the second track", playing(2))
	volume := 30
	_, err = a.ChangeRoomPlayer(t.Context(), tutti.Viewer{}, "radio", tutti.RoomPlayerChange{Volume: &volume})
	must(t, err)
	f.pass("the volume", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.players["radio"].seat.level() == 30
	})
	r, err := a.Room(t.Context(), tutti.Viewer{}, f.room)
	must(t, err)
	if len(r.Players) != 1 || !r.Players[0].Connected || r.Players[0].Volume != 30 {
		t.Errorf("%+v", r.Players)
	}
	// The rest of the queue is another, and what plays goes on.
	before, err := f.record()
	must(t, err)
	_, err = a.ArrangeRoom(t.Context(), tutti.Viewer{}, f.room, []tutti.ID{trackID(2), trackID(3)}, 0)
	must(t, err)
	after, err := f.record()
	must(t, err)
	if after.Line.Serial != before.Line.Serial || !after.Line.At.Equal(before.Line.At) || after.Line.Parts[0].Current != 0 {
		t.Errorf("%+v, before %+v", after.Line, before.Line)
	}
	r, err = b.PauseRoom(t.Context(), tutti.Viewer{}, f.room)
	must(t, err)
	if r.Playing || r.Current != 0 || r.Position < 10*time.Second {
		t.Errorf("%+v", r)
	}
	r, err = a.Room(t.Context(), tutti.Viewer{}, f.room)
	must(t, err)
	if r.Playing {
		t.Error("one knows nothing of the pause")
	}
	_, err = a.UndoRoom(t.Context(), tutti.Viewer{}, f.room)
	must(t, errKind(err, tutti.KindConflict))
	// The player connects to the other process without having left this one.
	again := f.listen(a, "radio")
	f.pass("the old seat to be given up", func() bool {
		select {
		case <-ear.done:
			return true
		default:
			return false
		}
	})
	again.stop()
	<-again.done
	r, err = b.Room(t.Context(), tutti.Viewer{}, f.room)
	must(t, err)
	if len(r.Players) != 1 || r.Players[0].Connected {
		t.Errorf("%+v", r.Players)
	}
}

// TestFleetClocks: who does not know the time well enough does not lead, and says why where nobody else does.
func TestFleetClocks(t *testing.T) {
	f := openFleet(t, 2, 60*Rate)
	a, b := f.houses[0], f.houses[1]
	a.wrong.Store(true)
	_, err := a.PlayRoom(t.Context(), tutti.Viewer{}, f.room, tutti.RoomPlay{Tracks: []tutti.ID{trackID(1)}})
	if !tutti.IsKind(err, tutti.KindUnavailable) || tutti.Message(err) != "rooms on several machines have to agree on the time, and here nobody keeps the time" {
		t.Errorf("%v", err)
	}
	f.listen(a, "a")
	ear := f.listen(b, "b")
	f.play(b, 1)
	f.pass("the music", func() bool { return ear.until(f.clock.Now())() && f.leader() == "b" })
	// It gives the lead up when it does not know the time any more; what plays goes on.
	b.wrong.Store(true)
	f.pass("the lead to be given up", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return !b.rooms[0].leading
	})
	f.pass("the music to go on", ear.until(f.clock.Now().Add(5*time.Second)))
}
