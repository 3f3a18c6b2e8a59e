package rooms

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"tutti"
	"tutti/store"
)

// stopped waits until the room does not play, and returns it.
func (s *stage) stopped() tutti.Room {
	s.t.Helper()
	for {
		s.mu.Lock()
		more := s.news.more
		s.mu.Unlock()
		r, err := s.Room(s.t.Context(), tutti.Viewer{}, s.room)
		must(s.t, err)
		if !r.Playing {
			return r
		}
		select {
		case <-more:
		case <-time.After(20 * time.Second):
			s.t.Fatalf("it still plays: %+v", r)
		}
	}
}

// TestNothingHasSound: tracks without a sample that repeat for ever end in a problem that people are told, rather than in
// a search without end.
func TestNothingHasSound(t *testing.T) {
	for _, repeat := range []tutti.Repeat{tutti.RepeatOne, tutti.RepeatAll} {
		t.Run(string(repeat), func(t *testing.T) {
			s := open(t, 0, 0)
			_, err := s.ChangeRoom(t.Context(), tutti.Viewer{}, s.room, tutti.RoomChange{Repeat: &repeat})
			must(t, err)
			s.play(1, 2)
			if r := s.stopped(); r.Problem != "nothing in the queue has any sound" {
				t.Errorf("%+v", r)
			}
		})
	}
}

// slow is a store whose first deletion waits.
type slow struct {
	store.Store
	taken      atomic.Bool
	begun, end chan struct{}
}

func (h *slow) Delete(ctx context.Context, k store.Key, c store.Condition) error {
	if h.taken.CompareAndSwap(false, true) {
		close(h.begun)
		<-h.end
	}
	return h.Store.Delete(ctx, k, c)
}

// TestLastTwoRooms: of the last two rooms one stays, and can be played in, though both are deleted at once.
func TestLastTwoRooms(t *testing.T) {
	s := open(t, Rate)
	other, err := s.CreateRoom(t.Context(), tutti.Viewer{}, "Attic")
	must(t, err)
	held := &slow{Store: s.c.Store, begun: make(chan struct{}), end: make(chan struct{})}
	s.c.Store = held
	done := make(chan error, 1)
	go func() { done <- s.DeleteRoom(context.Background(), tutti.Viewer{}, s.room) }()
	<-held.begun
	err = s.DeleteRoom(t.Context(), tutti.Viewer{}, other.ID)
	close(held.end)
	must(t, <-done)
	if !tutti.IsKind(err, tutti.KindConflict) {
		t.Errorf("the other was deleted, too: %v", err)
	}
	if _, err := s.PlayRoom(t.Context(), tutti.Viewer{}, other.ID, tutti.RoomPlay{Tracks: []tutti.ID{trackID(1)}}); err != nil {
		t.Errorf("in the room that is left: %v", err)
	}
}

// TestOnePlayerOneProtocol: who comes by another protocol does not take the place of a player that is connected; once that
// has gone, it may.
func TestOnePlayerOneProtocol(t *testing.T) {
	s := open(t)
	seat, err := s.Sit(t.Context(), Arrival{ID: "k", Name: "Kitchen", Kind: "sendspin"})
	must(t, err)
	thief := Arrival{ID: "k", Name: "not it", Kind: "snapcast"}
	if _, err := s.Sit(t.Context(), thief); !tutti.IsKind(err, tutti.KindConflict) {
		t.Errorf("it was let in: %v", err)
	}
	select {
	case <-seat.Expelled():
		t.Error("who was there was sent away")
	default:
	}
	if p := seat.Player(); p.Kind != "sendspin" || p.Name != "Kitchen" {
		t.Errorf("%+v", p)
	}
	again, err := s.Sit(t.Context(), Arrival{ID: "k", Name: "Kitchen", Kind: "sendspin"})
	must(t, err)
	<-seat.Expelled()
	seat.Leave()
	again.Leave()
	other, err := s.Sit(t.Context(), thief)
	must(t, err)
	other.Leave()
}

// TestReports: what players say of how far off they are wakes who watches that, and nobody who shows what plays; and no
// more often than it is of use.
func TestReports(t *testing.T) {
	s := open(t)
	seat := s.sit("a")
	defer seat.Leave()
	_, changed := seat.Scene()
	for range 1000 {
		seat.Report(time.Millisecond, time.Millisecond)
	}
	select {
	case <-changed:
		t.Error("a scene was told to be another")
	default:
	}
	s.mu.Lock()
	n := len(s.players["a"].steps.list)
	s.mu.Unlock()
	if n != 1 {
		t.Errorf("%d reports at one moment were kept", n)
	}
	muted := true
	_, err := s.ChangeRoom(t.Context(), tutti.Viewer{}, s.room, tutti.RoomChange{Muted: &muted})
	must(t, err)
	<-changed
}
