package api

import (
	"net/http"
	"testing"
	"time"

	"tutti"
	"tutti/clock"
)

// kept is a clock whose past is known.
type kept struct {
	state clock.State
	past  []clock.Sample
}

func (k kept) State() clock.State      { return k.state }
func (k kept) History() []clock.Sample { return k.past }

// TestClock: administrators are told what the clock knows, with why a source is not followed; what has no bound has none
// in the answer.
func TestClock(t *testing.T) {
	h := open(t)
	rules := newRules(t)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	keeper := kept{
		clock.State{Status: clock.Synchronised, System: -1500 * time.Nanosecond, Bound: 20 * time.Microsecond, Skew: 12.5, Sources: []clock.SourceState{
			{Name: "near", Selected: true, Stratum: 1, Bound: 20 * time.Microsecond, Poll: 64 * time.Second, Heard: 3 * time.Second, Asked: 8, Good: 8},
			{Name: "liar", Rejected: "a majority contradicts it", Bound: clock.Unbounded, Heard: -1},
		}},
		[]clock.Sample{{At: at, System: time.Millisecond, Bound: clock.Unbounded}, {At: at.Add(time.Minute), System: time.Microsecond, Bound: 20 * time.Microsecond}},
	}
	c := &call{server: &server{Config: Config{Clock: h.clock, Time: keeper}}}
	got := made(c.clock())(t)
	if len(got.Sources) != 2 || got.OffsetUs != -1.5 || got.Sources[1].BoundUs != nil || got.Sources[1].HeardS != nil || got.Sources[1].Rejected == "" || *got.Sources[0].HeardS != 3 {
		t.Errorf("%+v", got)
	}
	if len(got.History) != 2 || got.History[0].BoundUs != nil || *got.History[1].BoundUs != 20 || got.History[0].OffsetUs != 1000 {
		t.Errorf("%+v", got.History)
	}
	w := h.ask(admin, "GET clock", "")
	rules.check(t, "GET clock", w.Code, w.Header().Get("Content-Type"), w.Body.Bytes())
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("a process without a clock of its own: %d %s", w.Code, w.Body)
	}
	if w := h.ask(listener, "GET clock", ""); w.Code != http.StatusForbidden {
		t.Errorf("who does not administer: %d", w.Code)
	}
	if _, err := (&call{server: &server{}}).clock(); tutti.KindOf(err) != tutti.KindUnavailable {
		t.Error(err)
	}
}
