package carbon

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"
)

// ledger keeps days in memory.
type ledger struct {
	mu   sync.Mutex
	days map[[2]string]Day
	kept int
	err  error

	tries int
	tried *sync.Cond
}

func (l *ledger) Days(_ context.Context, from, to string) ([]Day, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Day
	for _, d := range l.days {
		if d.Date >= from && d.Date <= to {
			out = append(out, d)
		}
	}
	return out, l.err
}

func (l *ledger) Keep(_ context.Context, d Day) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.days[[2]string{d.Date, d.Member}] = d
		l.kept++
	}
	l.tries++
	l.tried.Broadcast()
	return l.err
}

func newLedger() *ledger {
	l := &ledger{days: map[[2]string]Day{}}
	l.tried = sync.NewCond(&l.mu)
	return l
}

// wait waits until so many records were to be kept.
func (l *ledger) wait(tries int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.tries < tries {
		l.tried.Wait()
	}
}

func (l *ledger) day(date, member string) (d Day, kept int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.days[[2]string{date, member}], l.kept
}

// run runs a meter until the test ends it.
func run(t *testing.T, m *Meter) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.Run(ctx) }()
	return func() {
		cancel()
		must(t, <-done)
	}
}

// TestKeeping: what happens is kept, once a minute at most; while nothing happens nothing is written and nothing wakes; the
// end is kept, and the next process goes on from there.
func TestKeeping(t *testing.T) {
	tr := newTree(t, 2)
	l := newLedger()
	c := tr.config()
	c.Ledger = l
	m := tr.meter(c)
	end := run(t, m)
	tr.clock.Advance(24 * time.Hour)
	if _, kept := l.day("", ""); kept != 0 {
		t.Errorf("idle, %d records were kept", kept)
	}
	tr.passed(24*3600, 0, 0)
	m.Played(Play{Listener: "us-1", Link: Fixed, Bytes: 5e6, Duration: 3 * time.Minute})
	l.wait(2) // yesterday and today
	for range 5 {
		m.Played(Play{Listener: "us-1", Link: Fixed, Bytes: 5e6, Duration: 3 * time.Minute})
	}
	tr.clock.WaitForTimers(1)
	tr.clock.Advance(keepEvery)
	l.wait(3)
	d, kept := l.day("2026-03-02", "")
	if kept != 3 {
		t.Errorf("%d records were kept of two days", kept)
	}
	if d.Heard[Fixed].Seconds != 6*180 || d.Listeners["us-1"] != 6*180 || d.Hours[12] != 6*180 {
		t.Errorf("six plays of three minutes are %+v", d)
	}
	before, _ := l.day("2026-03-01", "")
	near(t, "both days", before.Covered+d.Covered, 24*3600)
	near(t, "the first", before.Covered, 12*3600)
	m.Played(Play{Listener: "us-2", Link: LAN, Bytes: 1, Duration: time.Minute})
	end()
	if d, _ := l.day("2026-03-02", ""); d.Heard[LAN].Seconds != 60 {
		t.Error("what happened last is lost")
	}
	next := tr.meter(c)
	f, err := next.Footprint(t.Context(), "us-1")
	must(t, err)
	near(t, "the hours after a restart", f.Today.StreamHours.Value, 19./60)
	near(t, "the listener's", f.Today.Mine.Value, 18./60)
}

// TestKeptThoughNobodyAsks: a member of a fleet keeps what its machine used, and one that could not tries again.
func TestKeptThoughNobodyAsks(t *testing.T) {
	tr := newTree(t, 2)
	l := newLedger()
	c := tr.config()
	c.Ledger, c.Member, c.Every, c.Logger = l, "trackcache-1", 15*time.Minute, slog.New(slog.DiscardHandler)
	m := tr.meter(c)
	end := run(t, m)
	defer end()
	for i, away := range []error{errors.New("the table is away"), nil} {
		l.mu.Lock()
		l.err = away
		l.mu.Unlock()
		tr.clock.WaitForTimers(1)
		tr.passed(900, 10, 5)
		tr.clock.Advance(c.Every)
		l.wait(i + 1)
	}
	d, kept := l.day("2026-03-01", "trackcache-1")
	if kept != 1 {
		t.Fatalf("%d records were kept", kept)
	}
	near(t, "covered", d.Covered, 1800)
}

// TestOneMachineIsOne: members that share a machine share its idleness and its making, and are no other programs to one
// another.
func TestOneMachineIsOne(t *testing.T) {
	day := func(member, host string, covered float64, stream, other, idle Joules) Day {
		d := Day{Date: "2026-03-01", Member: member, Host: host, Hardware: Hardware{VCPUs: 2, Memory: 4, Made: 1e6}, Covered: covered}
		for c, j := range map[Component]Joules{Stream: stream, Other: other, Idle: idle} {
			d.book(c, fromModel, j)
			d.emit(c, GramsPerKWh(500).Of(j))
		}
		d.hear(LAN, Heard{Seconds: 3600, Bytes: 1})
		return d
	}
	days := []Day{
		day("a", "one", 3600, 3.6e6, 1e6, 7.2e6),
		day("b", "one", 7200, 7.2e6, 5e6, 14.4e6),
		day("c", "two", 3600, 3.6e6, 1e6, 7.2e6),
		day("d", "", 3600, 3.6e6, 1e6, 7.2e6),
		day("e", "", 3600, 3.6e6, 1e6, 7.2e6),
	}
	f := NewFootprint(days, noon, "", march, Basis{Label: Measured}, "package", Hardware{})
	near(t, "machines' hours", f.Today.CoveredHours, 2+1+1+1)
	near(t, "energy", f.Today.KWh.Value, 1+2+1+1+1+4+2+2+2)
	near(t, "operational", f.Today.Operational.Value, 500*6)
	near(t, "idle", f.Today.Idle.Value, 500*10)
	near(t, "made", f.Today.Embodied.Value, 5*1e6/(4*365*24))
	for _, p := range f.Today.Parts {
		if p.Component == Other {
			near(t, "others", p.KWh.Value, (5e6-3.6e6+3e6)/3.6e6)
		}
	}
	if days[1].Energy[Other][fromModel] != 5e6 || days[0].Covered != 3600 {
		t.Error("the records were changed")
	}
	if f.Members != 5 {
		t.Errorf("%d members", f.Members)
	}
}
