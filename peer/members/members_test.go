package members

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"tutti"
	"tutti/clock"
	"tutti/store"
	"tutti/store/sqlite"
	"tutti/store/storetest"
)

func TestMain(m *testing.M) {
	// Each check of the property test opens a database; 25 find what there is to find. Ask for more with -rapid.checks.
	if f := flag.Lookup("rapid.checks"); f != nil {
		f.DefValue = "25"
		if err := f.Value.Set(f.DefValue); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

var began = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// tick is the resolution of the virtual time.
const tick = 100 * time.Millisecond

// world is a fleet in virtual time. Nothing in it runs by itself: each tick, those whose time has come give a sign of
// life or take a look, one after the other, so that every run is the same.
type world struct {
	t     rapid.TB
	clock *clock.Fake
	store store.Store
	procs []*process
}

type process struct {
	w                  *world
	m                  *Members
	nextBeat, nextLook time.Time
	dead, stopped      bool
	err                error              // with which Run would have returned
	puts, queries      func() error       // what the store says to this one; nil: all is well
	lost               func() error       // what it says after having done a write
	views              map[string][]sight // what it saw of others, by id
}

type sight struct {
	at    time.Time
	state tutti.MemberState // "": not there
}

func newWorld(t rapid.TB) *world {
	w := &world{t: t, clock: clock.NewFake(began)}
	dir, ok := t.(interface{ TempDir() string })
	if !ok {
		t.Fatal("no folder")
	}
	s, err := sqlite.Open(context.Background(), filepath.Join(dir.TempDir(), "db"), sqlite.Options{Clock: w.clock, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w.store = s
	return w
}

func (w *world) close() {
	if err := w.store.Close(); err != nil {
		w.t.Error(err)
	}
}

// start starts a process whose beats and looks come at these ticks of each second. An empty id is an observer.
func (w *world) start(id string, service tutti.Service, beatAt, lookAt int) *process {
	p, err := w.tryStart(id, service, beatAt, lookAt)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) tryStart(id string, service tutti.Service, beatAt, lookAt int) (*process, error) {
	p := &process{w: w, views: map[string][]sight{}}
	faulty := storetest.NewFaulty(w.store, func(c storetest.Call) (f storetest.Fault) {
		switch {
		case (c.Method == "Put" || c.Method == "Delete") && p.puts != nil:
			f.Err = p.puts()
		case (c.Method == "Query" || c.Method == "Get") && p.queries != nil:
			f.Err = p.queries()
		}
		if c.Method == "Put" && p.lost != nil {
			f.Lost = p.lost()
		}
		return f
	})
	var self tutti.Member
	if id != "" {
		self = tutti.Member{ID: id, Service: service, Address: fmt.Sprintf("10.0.0.1:%d", 1000+len(w.procs)), Version: "test"}
	}
	var err error
	p.m, err = New(context.Background(), Config{Store: faulty, Self: self, Clock: w.clock, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	now := w.clock.Now()
	p.nextBeat, p.nextLook = now.Add(time.Duration(beatAt+1)*tick), now.Add(time.Duration(lookAt+1)*tick)
	w.procs = append(w.procs, p)
	return p, nil
}

func (w *world) run(d time.Duration) {
	for range d / tick {
		w.clock.Advance(tick)
		now := w.clock.Now()
		for _, p := range w.procs {
			p.turn(now)
		}
	}
}

// turn is what Run does, without waiting.
func (p *process) turn(now time.Time) {
	if p.dead || p.stopped || p.err != nil {
		return
	}
	if !now.Before(p.nextBeat) {
		p.nextBeat = later(p.nextBeat, now)
		if err := p.m.beat(context.Background()); tutti.IsKind(err, tutti.KindConflict) {
			p.err = err
			return
		}
	}
	if !now.Before(p.nextLook) {
		p.nextLook = later(p.nextLook, now)
		if err := p.m.look(context.Background()); err == nil {
			p.note(now)
		}
	}
}

func later(next, now time.Time) time.Time {
	if next = next.Add(time.Second); next.Before(now) {
		return now
	}
	return next
}

func (p *process) note(now time.Time) {
	seen := map[string]tutti.MemberState{}
	for _, o := range p.m.All() {
		seen[o.ID] = o.State
	}
	for _, o := range p.w.procs {
		id := o.m.Self().ID
		if v := p.views[id]; len(v) == 0 || v[len(v)-1].state != seen[id] {
			p.views[id] = append(v, sight{now, seen[id]})
		}
	}
}

func (p *process) ready() *process {
	if err := p.m.Ready(context.Background()); err != nil {
		p.w.t.Fatal(err)
	}
	return p
}

func (p *process) sees(id string) tutti.MemberState {
	for _, o := range p.m.All() {
		if o.ID == id {
			return o.State
		}
	}
	return ""
}

func (p *process) ids(s tutti.Service) []string {
	var ids []string
	for _, o := range p.m.Members(s) {
		ids = append(ids, o.ID)
	}
	return ids
}

func wantIDs(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func away() error { return storetest.Throttled() }

func TestComeAndGo(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	a := w.start("a1", tutti.ServiceDelivery, 0, 5).ready()
	b := w.start("b1", tutti.ServiceCatalog, 3, 8).ready()
	nginx := w.start("", "", 0, 2)
	w.run(2 * time.Second)
	for _, p := range []*process{a, b, nginx} {
		wantIDs(t, "deliveries", p.ids(tutti.ServiceDelivery), "a1")
		wantIDs(t, "catalogues", p.ids(tutti.ServiceCatalog), "b1")
	}
	// What one learns to read the others hear of within a second; one of an older version says nothing.
	if err := b.m.SetReads(t.Context(), tutti.FormPacked+" 4f2a91c07d3e21b0"); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	for _, m := range nginx.m.All() {
		if got, want := m.ReadsAll("4f2a91c07d3e21b0", tutti.FormPacked), m.ID == "b1"; got != want || m.ReadsAll("5") || !m.ReadsAll() {
			t.Errorf("%s reads %q", m.ID, m.Reads)
		}
	}
	changed := a.m.Changed()
	c2 := w.start("c2", tutti.ServiceTrackCache, 9, 9)
	c1 := w.start("c1", tutti.ServiceTrackCache, 1, 4)
	w.run(time.Second)
	select {
	case <-changed:
	default:
		t.Error("a is not told of a change")
	}
	if s := a.sees("c1"); s != tutti.MemberStarting || len(a.ids(tutti.ServiceTrackCache)) != 0 {
		t.Errorf("a member that starts is %q and may be asked", s)
	}
	c1.ready()
	c2.ready()
	wantIDs(t, "one that is ready knows it itself at once", c1.ids(tutti.ServiceTrackCache), "c1")
	w.run(time.Second)
	for _, p := range []*process{a, b, c1, c2, nginx} {
		wantIDs(t, "ready within a second", p.ids(tutti.ServiceTrackCache), "c1", "c2")
	}
	// All agree about who owns what, and Owners keeps to the ring's order.
	for n := range int64(100) {
		chunk := tutti.ChunkID{Object: "object", N: n}
		want := NewRing([]string{c2.m.Self().Address, c1.m.Self().Address}).Owners(SliceKey(chunk), 2)
		for _, p := range []*process{a, b, c1, nginx} {
			if got := addresses(p.m.Owners(chunk, 2)); !slices.Equal(got, want) {
				t.Fatalf("chunk %d: %v, want %v", n, got, want)
			}
		}
	}
	if err := c1.m.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	wantIDs(t, "while c1 drains", a.ids(tutti.ServiceTrackCache), "c2")
	if s := a.sees("c1"); s != tutti.MemberDraining {
		t.Errorf("c1 is %q", s)
	}
	if err := c1.m.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	if s := a.sees("c1"); s != "" {
		t.Errorf("c1 has left and is %q", s)
	}
	w.run(10 * time.Second)
	if _, err := w.store.Get(t.Context(), store.Key{PK: partition, SK: prefix + "c1"}); !tutti.IsKind(err, tutti.KindNotFound) {
		t.Errorf("one that has left gives signs of life: %v", err)
	}
}

// TestKilled measures how long a dead member is believed to live, for all phases in which beats and looks can fall.
func TestKilled(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	watcher := w.start("a0", tutti.ServiceDelivery, 0, 0).ready()
	var longest time.Duration
	for at := range 10 {
		victim := w.start(fmt.Sprint("c", at), tutti.ServiceTrackCache, at, 5).ready()
		w.run(5 * time.Second)
		w.run(time.Duration(at*3%10) * tick)
		id := victim.m.Self().ID
		if watcher.sees(id) != tutti.MemberReady {
			t.Fatalf("%s is not seen", id)
		}
		victim.dead = true
		killed := w.clock.Now()
		for watcher.sees(id) != "" {
			if w.run(tick); w.clock.Now().Sub(killed) > 10*time.Second {
				t.Fatalf("%s is dead and seen", id)
			}
		}
		longest = max(longest, w.clock.Now().Sub(killed))
	}
	if longest > 3*time.Second || longest < 2*time.Second {
		t.Errorf("the dead were seen for up to %s", longest)
	}
	w.run(time.Minute + time.Second)
	w.clock.Advance(time.Second)
	if len(watcher.m.roll.seen) != 1 {
		t.Errorf("the dead are never forgotten: %v", watcher.m.roll.seen)
	}
}

// TestStoreAway takes the store away from everybody for longer and longer, and kills one meanwhile.
func TestStoreAway(t *testing.T) {
	for _, length := range []time.Duration{2 * time.Second, 30 * time.Second, 3 * time.Minute} {
		t.Run(length.String(), func(t *testing.T) {
			w := newWorld(t)
			defer w.close()
			for i := range 5 {
				w.start(fmt.Sprint("c", i), tutti.ServiceTrackCache, i*2, 9-i).ready()
			}
			observer := w.start("", "", 0, 4)
			w.run(5 * time.Second)
			for _, p := range w.procs {
				p.puts, p.queries = away, away
			}
			w.run(length / 2)
			w.procs[4].dead = true
			w.run(length / 2)
			for _, p := range w.procs[:4] {
				wantIDs(t, "while the store is away", p.ids(tutti.ServiceTrackCache), "c0", "c1", "c2", "c3", "c4")
				p.puts, p.queries = nil, nil
			}
			observer.queries = nil
			before := len(observer.views["c0"])
			w.run(5 * time.Second)
			for _, p := range append(w.procs[:4:4], observer) {
				wantIDs(t, "when it is back", p.ids(tutti.ServiceTrackCache), "c0", "c1", "c2", "c3")
				for _, id := range []string{"c0", "c1", "c2", "c3"} {
					for _, v := range p.views[id] {
						if v.state == "" && v.at.After(began.Add(5*time.Second)) {
							t.Errorf("%s dropped %s, which lives, at %s", p.m.Self().ID, id, v.at.Sub(began))
						}
					}
				}
			}
			if len(observer.views["c0"]) != before {
				t.Errorf("the observer saw c0 change: %v", observer.views["c0"])
			}
		})
	}
}

// TestReadsOnly has a store that answers reads and takes no writes: nobody gives signs of life, and nobody is dead.
func TestReadsOnly(t *testing.T) {
	for phase := range 10 {
		w := newWorld(t)
		for i := range 3 {
			w.start(fmt.Sprint("c", i), tutti.ServiceTrackCache, i*3, 9-i).ready()
		}
		observer := w.start("", "", 0, 4)
		w.run(3*time.Second + time.Duration(phase)*tick)
		for _, p := range w.procs {
			p.puts = away
		}
		w.run(40 * time.Second) // well below the time after which items expire
		for _, p := range append(w.procs[:3:3], observer) {
			wantIDs(t, "while nothing can be written", p.ids(tutti.ServiceTrackCache), "c0", "c1", "c2")
		}
		w.close()
	}
}

// TestStopped stops a process for ten seconds, as SIGSTOP does, and for so long that its item expires.
func TestStopped(t *testing.T) {
	for _, length := range []time.Duration{10 * time.Second, 2 * time.Minute} {
		w := newWorld(t)
		a := w.start("a", tutti.ServiceDelivery, 2, 7).ready()
		c1 := w.start("c1", tutti.ServiceTrackCache, 4, 1).ready()
		c2 := w.start("c2", tutti.ServiceTrackCache, 6, 8).ready()
		w.run(5 * time.Second)
		epoch := c1.m.Self().Epoch
		c1.stopped = true
		w.run(3 * time.Second)
		wantIDs(t, "three seconds after the stop", a.ids(tutti.ServiceTrackCache), "c2")
		w.run(length - 3*time.Second)
		c1.stopped = false
		w.run(tick)
		wantIDs(t, "what the sleeper sees when it wakes", c1.ids(tutti.ServiceTrackCache), "c1", "c2")
		w.run(2 * time.Second)
		for _, p := range []*process{a, c1, c2} {
			wantIDs(t, "two seconds later", p.ids(tutti.ServiceTrackCache), "c1", "c2")
		}
		if c1.err != nil || c1.m.Self().Epoch != epoch {
			t.Errorf("it went on as another: %v, epoch %d after %d", c1.err, c1.m.Self().Epoch, epoch)
		}
		w.close()
	}
}

// TestSameID starts two processes with one id. The younger has it, whatever the older was doing.
func TestSameID(t *testing.T) {
	for _, test := range []struct {
		name  string
		older func(*world, *process)
	}{
		{"running", func(*world, *process) {}},
		{"stopped for a while", func(w *world, p *process) { p.stopped = true; w.run(20 * time.Second) }},
		{"forgotten", func(w *world, p *process) { p.stopped = true; w.run(3 * time.Minute) }},
		{"cut off", func(w *world, p *process) { p.puts, p.queries = away, away; w.run(10 * time.Second) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			defer w.close()
			observer := w.start("", "", 0, 3)
			older := w.start("c1", tutti.ServiceTrackCache, 4, 1).ready()
			w.run(2 * time.Second)
			test.older(w, older)
			younger := w.start("c1", tutti.ServiceTrackCache, 6, 8).ready()
			if younger.m.Self().Epoch <= older.m.Self().Epoch {
				t.Errorf("epoch %d follows %d", younger.m.Self().Epoch, older.m.Self().Epoch)
			}
			older.stopped, older.puts, older.queries = false, nil, nil
			w.run(2 * time.Second)
			if !tutti.IsKind(older.err, tutti.KindConflict) || younger.err != nil {
				t.Errorf("the older ends with %v, the younger with %v", older.err, younger.err)
			}
			w.run(5 * time.Second)
			if got := observer.m.Members(tutti.ServiceTrackCache); len(got) != 1 || got[0].Address != younger.m.Self().Address {
				t.Errorf("the observer sees %v", got)
			}
			// That the older leaves at last takes nothing from the younger.
			if err := older.m.Leave(t.Context()); err != nil {
				t.Error(err)
			}
			w.run(2 * time.Second)
			wantIDs(t, "after the older has left", observer.ids(tutti.ServiceTrackCache), "c1")
		})
	}
}

// TestLostAnswers has writes happen whose answers are lost.
func TestLostAnswers(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	observer := w.start("", "", 0, 3)
	p := w.start("c1", tutti.ServiceTrackCache, 4, 1).ready()
	n := 0
	p.lost = func() error {
		if n++; n%2 == 0 {
			return away()
		}
		return nil
	}
	w.run(20 * time.Second)
	if p.err != nil || observer.sees("c1") != tutti.MemberReady || len(observer.views["c1"]) > 2 {
		t.Errorf("%v; the observer saw %v", p.err, observer.views["c1"])
	}
	p.lost = away // of the last write before it leaves
	w.run(time.Second)
	p.lost = nil
	if err := p.m.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	if s := observer.sees("c1"); s != "" {
		t.Errorf("it has left and is %q", s)
	}
}

func TestRefused(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	good := tutti.Member{ID: "a", Service: tutti.ServiceDelivery, Address: "10.0.0.1:80"}
	for name, change := range map[string]func(*tutti.Member){
		"no id":       func(m *tutti.Member) { m.ID = "" },
		"no service":  func(m *tutti.Member) { m.Service = "all" },
		"no address":  func(m *tutti.Member) { m.Address = "" },
		"no host":     func(m *tutti.Member) { m.Address = ":80" },
		"any port":    func(m *tutti.Member) { m.Address = "10.0.0.1:0" },
		"no port":     func(m *tutti.Member) { m.Address = "10.0.0.1:65536" },
		"no name":     func(m *tutti.Member) { m.Address = "tutti_c1:80" },
		"two lines":   func(m *tutti.Member) { m.Address = "a\nb:80" },
		"a long name": func(m *tutti.Member) { m.ID = string(make([]byte, maxID+1)) },
	} {
		self := good
		change(&self)
		if _, err := New(t.Context(), Config{Store: w.store, Self: self, Clock: w.clock, Logger: slog.New(slog.DiscardHandler)}); !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	gone := storetest.NewFaulty(w.store, func(storetest.Call) storetest.Fault { return storetest.Fault{Err: away()} })
	if _, err := New(t.Context(), Config{Store: gone, Self: good, Clock: w.clock, Logger: slog.New(slog.DiscardHandler)}); !tutti.IsKind(err, tutti.KindUnavailable) {
		t.Errorf("without a store: %v", err)
	}
	// What makes no sense in the store is nobody.
	for i, v := range []string{"", "{", `"x"`, `{"epoch":-1}`} {
		if _, err := w.store.Put(t.Context(), store.Key{PK: partition, SK: prefix + fmt.Sprint("x", i)}, []byte(v), time.Time{}, store.Always); err != nil {
			t.Fatal(err)
		}
	}
	p := w.start("x0", tutti.ServiceCatalog, 0, 0).ready() // has the id of one of them
	w.run(5 * time.Second)
	if len(p.m.All()) != 1 || p.err != nil {
		t.Errorf("%v, %v", p.m.All(), p.err)
	}
}

// TestRun lets members run by themselves, by the machine's clock.
func TestRun(t *testing.T) {
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "db"), sqlite.Options{Clock: clock.System})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	const beat = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 4)
	start := func(id string) *Members {
		m, err := New(ctx, Config{Store: s, Beat: beat, Clock: clock.System, Logger: slog.New(slog.DiscardHandler), Self: tutti.Member{ID: id, Service: tutti.ServiceCatalog, Address: "127.0.0.1:1"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		go func() { ended <- m.Run(ctx) }()
		return m
	}
	a, b := start("a"), start("b")
	until := func(what string, m *Members, ok func() bool) {
		t.Helper()
		limit := time.NewTimer(20 * time.Second)
		defer limit.Stop()
		for {
			changed := m.Changed()
			if ok() {
				return
			}
			select {
			case <-changed:
			case <-limit.C:
				t.Fatalf("it does not come to pass that %s: %v", what, m.All())
			}
		}
	}
	until("a sees b", a, func() bool { return len(a.Members(tutti.ServiceCatalog)) == 2 })
	until("b sees a", b, func() bool { return len(b.Members(tutti.ServiceCatalog)) == 2 })
	if err := b.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	until("b has left", a, func() bool { return len(a.All()) == 1 })
	start("a")
	if err := <-ended; !tutti.IsKind(err, tutti.KindConflict) {
		t.Errorf("the older of two ends with %v", err)
	}
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(a); err != nil {
		t.Error(err)
	}
	if families, err := registry.Gather(); err != nil || len(families) != 6 {
		t.Errorf("%d metrics, %v", len(families), err)
	}
	cancel()
	for range 2 {
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// TestAnything lets processes start, die, stop, go on and leave at random, with a store that fails at random, and checks
// what holds whatever happens.
func TestAnything(t *testing.T) {
	test := t
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(inDir{t, test})
		defer w.close()
		observer := w.start("", "", 0, rapid.IntRange(0, 9).Draw(t, "look"))
		w.start("d0", tutti.ServiceDelivery, rapid.IntRange(0, 9).Draw(t, "beat"), 0).ready() // lives throughout
		phase := rapid.IntRange(0, 9)
		for range rapid.IntRange(1, 8).Draw(t, "actions") {
			i := rapid.IntRange(1, len(w.procs)-1).Draw(t, "who")
			p := w.procs[i]
			switch action := rapid.SampledFrom([]string{"start", "kill", "stop", "continue", "leave", "fail", "mend", "wait"}).Draw(t, "what"); action {
			case "start":
				id := fmt.Sprint("c", rapid.IntRange(0, 4).Draw(t, "id"))
				if p, err := w.tryStart(id, tutti.ServiceTrackCache, phase.Draw(t, "beat"), phase.Draw(t, "look")); err == nil {
					_ = p.m.Ready(context.Background())
				}
			case "kill":
				p.dead = p.dead || i != 1
			case "stop":
				p.stopped = i != 1
			case "continue":
				p.stopped = false
			case "leave":
				if i != 1 && !p.dead && !p.stopped && p.err == nil && p.puts == nil {
					if err := p.m.Leave(context.Background()); err != nil {
						t.Fatal(err)
					}
					p.dead = true
				}
			case "fail":
				for _, p := range w.procs {
					p.puts, p.queries = away, away
				}
			case "mend":
				for _, p := range w.procs {
					p.puts, p.queries = nil, nil
				}
			}
			w.run(time.Duration(rapid.IntRange(0, 40).Draw(t, "ticks")) * tick)
		}
		for _, p := range w.procs {
			p.puts, p.queries = nil, nil
		}
		w.run(6 * time.Second)
		// Who lives is seen, who does not is not, and of each id only the youngest lives.
		want := map[string]string{}
		for _, p := range w.procs[1:] {
			if !p.dead && !p.stopped && p.err == nil {
				self := p.m.Self()
				if other, twice := want[self.ID]; twice {
					t.Fatalf("%s lives at %s and at %s", self.ID, other, self.Address)
				}
				want[self.ID] = self.Address
			}
		}
		for _, p := range w.procs {
			if p.dead || p.stopped || p.err != nil {
				continue
			}
			got := map[string]string{}
			for _, o := range p.m.All() {
				got[o.ID] = o.Address
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%q sees %v, there are %v", p.m.Self().ID, got, want)
			}
		}
		for _, v := range observer.views["d0"] {
			if v.state == "" && v.at.After(began.Add(2*time.Second)) {
				t.Fatalf("d0 lived throughout and was dropped at %s", v.at.Sub(began))
			}
		}
	})
}

// inDir is a rapid.T with folders, which are the test's.
type inDir struct {
	*rapid.T
	test *testing.T
}

func (d inDir) TempDir() string { return d.test.TempDir() }

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"service":"trackcache","address":"10.0.0.1:1","epoch":3,"state":"ready","started":"2026-05-01T12:00:00Z","start":"0011"}`))
	f.Add([]byte(`{"epoch":18446744073709551616}`))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parse(b)
		var e *tutti.Error
		if err != nil && (!errors.As(err, &e) || e.Kind != tutti.KindInvalid) {
			t.Errorf("%v", err)
		}
		if err == nil && len(b) > maxItem {
			t.Errorf("%d bytes were taken for %v", len(b), r)
		}
	})
}
