package rooms

import (
	"time"

	"tutti"
)

// Lead is how far ahead of being heard sound is sent.
const Lead = lead

// Scene is what a seat's room is about, for players that show it to people.
type Scene struct {
	Room tutti.Room // as it is at Now
	Now  time.Time
	// From is since when the current entry of the queue is heard, or when it will begin; the zero time where nothing plays,
	// or nobody has said yet when it begins.
	From time.Time
	// Next is when another entry begins to be heard; the zero time where that is not known yet.
	Next time.Time
}

// Scene returns what the seat's room is about now, and a channel that is closed when that may be other than time alone
// makes it.
func (s *Seat) Scene() (Scene, <-chan struct{}) {
	h := s.house
	h.mu.Lock()
	defer h.mu.Unlock()
	out := Scene{Room: h.show(s.room), Now: h.c.Clock.Now()}
	rec := s.room.latest()
	if !rec.Playing || !rec.Line.anchored() || len(rec.Line.Parts) == 0 {
		return out, h.news.scene
	}
	t := rec.Line.timeline()
	out.From = t.Time(rec.Line.Parts[0].First)
	for _, p := range rec.Line.Parts[1:] {
		at := t.Time(p.First)
		if at.After(out.Now) {
			out.Next = at
			break
		}
		out.From = at
	}
	return out, h.news.scene
}

// Player is the seat's own player.
func (s *Seat) Player() tutti.RoomPlayer {
	s.house.mu.Lock()
	defer s.house.mu.Unlock()
	return s.house.showPlayer(s.player)
}
