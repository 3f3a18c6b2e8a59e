package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"tutti"
	"tutti/clock"
	"tutti/store"
	"tutti/store/sqlite"
	"tutti/store/storetest"
)

const ttl = 8 * time.Second

func open(t testing.TB, c clock.Clock) store.Store {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t) })
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "tutti.db"), sqlite.Options{Clock: c, Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func config(s store.Store, c clock.Clock, holder string) Config {
	return Config{Store: s, Clock: c, Name: "scan", Holder: holder, TTL: ttl}
}

func mustTry(t testing.TB, n *contender) *Lease {
	t.Helper()
	l, _, err := n.try(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func wantKind(t testing.TB, err error, kind tutti.Kind) {
	t.Helper()
	if !tutti.IsKind(err, kind) {
		t.Fatalf("%v, want %v", err, kind)
	}
}

func TestTakeover(t *testing.T) {
	c := clock.NewFake(storetest.Epoch)
	s := open(t, c)
	a, b := &contender{c: config(s, c, "a")}, &contender{c: config(s, c, "b")}
	l := mustTry(t, a)
	if holder, fence, err := Holder(t.Context(), s, "scan"); holder != "a" || fence != l.Fence() || err != nil {
		t.Fatal(holder, fence, err)
	}
	conflict := func() {
		t.Helper()
		if got, _, err := b.try(t.Context()); got != nil || !tutti.IsKind(err, tutti.KindConflict) {
			t.Fatalf("b has %v, %v", got, err)
		}
	}
	for range 5 { // as long as a renews, b waits
		conflict()
		c.Advance(ttl / renewPart)
		if err := l.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.Advance(ttl/renewPart*3 - time.Nanosecond)
	if !l.Held() {
		t.Fatal("a does not hold the lease, three quarters into it")
	}
	conflict() // the first reading of the last renewal: b's TTL begins here
	c.Advance(time.Nanosecond)
	if l.Held() {
		t.Fatal("a still holds the lease after three quarters")
	}
	wantKind(t, l.Renew(t.Context()), tutti.KindConflict)
	c.Advance(ttl - 2*time.Nanosecond)
	conflict()
	c.Advance(time.Nanosecond)
	next := mustTry(t, b)
	if next.Fence() <= l.Fence() || !next.Held() {
		t.Fatalf("fence %d after %d", next.Fence(), l.Fence())
	}
	if err := l.Release(t.Context()); err != nil { // what a lost is not a's to release
		t.Fatal(err)
	}
	if holder, _, err := Holder(t.Context(), s, "scan"); holder != "b" || err != nil {
		t.Fatal(holder, err)
	}
}

func TestRelease(t *testing.T) {
	c := clock.NewFake(storetest.Epoch)
	s := open(t, c)
	var fence uint64
	for i := range 100 { // more often than the time of day counts
		l, err := Acquire(t.Context(), config(s, c, fmt.Sprint("holder", i)))
		if err != nil {
			t.Fatal(err)
		}
		if l.Fence() <= fence {
			t.Fatalf("fence %d after %d", l.Fence(), fence)
		}
		fence = l.Fence()
		if err := l.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if l.Held() {
			t.Fatal("held after its release")
		}
		wantKind(t, l.Renew(t.Context()), tutti.KindConflict)
		_, _, err = Holder(t.Context(), s, "scan")
		wantKind(t, err, tutti.KindNotFound)
	}
	c.Advance(remember + 2*ttl) // the item is forgotten, the fence goes on
	l, err := Acquire(t.Context(), config(s, c, "after"))
	if err != nil || l.Fence() <= fence {
		t.Fatalf("fence %d after %d, %v", l.Fence(), fence, err)
	}
}

func TestAcquireWaits(t *testing.T) {
	for _, test := range []struct {
		name    string
		between func(t *testing.T, first *Lease)
		kind    tutti.Kind
		rounds  int // of a quarter TTL
	}{
		{"a sign of life", func(t *testing.T, first *Lease) {
			if err := first.Renew(t.Context()); err != nil {
				t.Error(err)
			}
		}, tutti.KindConflict, 1},
		{"a release", func(t *testing.T, first *Lease) {
			if err := first.Release(t.Context()); err != nil {
				t.Error(err)
			}
		}, 0, 1},
		{"silence", func(*testing.T, *Lease) {}, 0, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := clock.NewFake(storetest.Epoch)
			s := open(t, c)
			first, err := Acquire(t.Context(), config(s, c, "first"))
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error)
			go func() {
				l, err := Acquire(t.Context(), config(s, c, "second"))
				if err == nil && (!l.Held() || first.Held()) {
					t.Errorf("second holds: %v, first holds: %v", l.Held(), first.Held())
				}
				done <- err
			}()
			c.WaitForTimers(1)
			test.between(t, first)
			for i := range test.rounds {
				if i > 0 {
					c.WaitForTimers(1)
				}
				c.Advance(ttl / renewPart)
			}
			if err := <-done; (err == nil) != (test.kind == 0) || err != nil && tutti.KindOf(err) != test.kind {
				t.Fatalf("%v, want %v", err, test.kind)
			}
		})
	}
}

func TestAcquireGivesUp(t *testing.T) {
	c := clock.NewFake(storetest.Epoch)
	s := open(t, c)
	mustTry(t, &contender{c: config(s, c, "first")})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		c.WaitForTimers(1)
		cancel()
	}()
	_, err := Acquire(ctx, config(s, c, "second"))
	wantKind(t, err, tutti.KindConflict)
	if !strings.Contains(tutti.Message(err), "first") {
		t.Fatal(err)
	}
}

func TestTry(t *testing.T) {
	c := clock.NewFake(storetest.Epoch)
	s := open(t, c)
	first, err := Try(t.Context(), config(s, c, "first"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Try(t.Context(), config(s, c, "second"))
	wantKind(t, err, tutti.KindConflict)
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	second, err := Try(t.Context(), config(s, c, "second"))
	if err != nil || second.Fence() <= first.Fence() {
		t.Fatalf("fence %d after %d, %v", second.Fence(), first.Fence(), err)
	}
}

func TestRace(t *testing.T) {
	c := clock.NewFake(storetest.Epoch)
	s := open(t, c)
	for round := range 20 {
		const racers = 8
		leases := make([]*Lease, racers)
		var wg sync.WaitGroup
		for i := range racers {
			wg.Go(func() {
				cfg := config(s, c, fmt.Sprint(i))
				cfg.Name = fmt.Sprint("race", round)
				l, _, err := (&contender{c: cfg}).try(t.Context())
				if err != nil && !tutti.IsKind(err, tutti.KindConflict) {
					t.Error(err)
				}
				leases[i] = l
			})
		}
		wg.Wait()
		winners := 0
		for _, l := range leases {
			if l != nil && l.Held() {
				winners++
			}
		}
		if winners != 1 {
			t.Fatalf("%d racers hold the lease", winners)
		}
	}
}

// TestLostAnswers loses the answer of every kind of write that has happened.
func TestLostAnswers(t *testing.T) {
	c := clock.NewFake(storetest.Epoch)
	var lose string
	s := storetest.NewFaulty(open(t, c), func(call storetest.Call) storetest.Fault {
		if call.Method == lose {
			lose = ""
			return storetest.Fault{Lost: storetest.Throttled()}
		}
		return storetest.Fault{}
	})
	lose = "Put"
	l := mustTry(t, &contender{c: config(s, c, "a")}) // the claim is found to have happened
	lose = "Put"
	wantKind(t, l.Renew(t.Context()), tutti.KindUnavailable)
	if !l.Held() {
		t.Fatal("one renewal without an answer has lost the lease")
	}
	if err := l.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	lose = "Put"
	wantKind(t, l.Renew(t.Context()), tutti.KindUnavailable)
	if err := l.Release(t.Context()); err != nil { // at the version that the lost renewal made
		t.Fatal(err)
	}
	_, _, err := Holder(t.Context(), s, "scan")
	wantKind(t, err, tutti.KindNotFound)
}

// TestOwnGhost: a claim happened, and neither its answer nor the reading after it arrived. The same contender has it back
// without waiting for a TTL.
func TestOwnGhost(t *testing.T) {
	c := clock.NewFake(storetest.Epoch)
	away := false
	s := storetest.NewFaulty(open(t, c), func(call storetest.Call) storetest.Fault {
		switch {
		case away && call.Method == "Put":
			return storetest.Fault{Lost: storetest.Throttled()}
		case away && call.N > 1:
			return storetest.Fault{Err: storetest.Throttled()}
		}
		return storetest.Fault{}
	})
	n := &contender{c: config(s, c, "a")}
	away = true
	_, _, err := n.try(t.Context())
	wantKind(t, err, tutti.KindUnavailable)
	away = false
	if l := mustTry(t, n); !l.Held() {
		t.Fatal("not held")
	}
}

// TestCannotRenew: a holder whose store is away stops itself before anybody else can have the lease.
func TestCannotRenew(t *testing.T) {
	c := clock.NewFake(storetest.Epoch)
	real := open(t, c)
	cut := false
	var mu sync.Mutex
	cutOff := storetest.NewFaulty(real, func(storetest.Call) storetest.Fault {
		mu.Lock()
		defer mu.Unlock()
		if cut {
			return storetest.Fault{Err: storetest.Throttled()}
		}
		return storetest.Fault{}
	})
	started, stopped := make(chan struct{}), make(chan time.Time)
	result := make(chan error)
	go func() {
		result <- Hold(t.Context(), config(cutOff, c, "a"), func(ctx context.Context, _ uint64) error {
			close(started)
			<-ctx.Done()
			stopped <- c.Now()
			return nil
		})
	}()
	<-started
	c.WaitForTimers(2)
	c.Advance(ttl / 4)
	c.WaitForTimers(2)
	mu.Lock()
	cut = true
	mu.Unlock()
	since := c.Now() // of the last renewal
	other := &contender{c: config(real, c, "b")}
	_, _, err := other.try(t.Context())
	wantKind(t, err, tutti.KindConflict)
	for range 2 {
		c.Advance(ttl / 4)
		c.WaitForTimers(2) // a renewal has failed, the next one is due with the end
	}
	c.Advance(ttl / 4)
	if at := (<-stopped).Sub(since); at != ttl/4*3 {
		t.Fatalf("the work stopped %v after the last renewal", at)
	}
	wantKind(t, <-result, tutti.KindConflict)
	_, _, err = other.try(t.Context())
	wantKind(t, err, tutti.KindConflict)
	c.Advance(ttl / 4)
	mustTry(t, other)
}

// TestRefusedClaimOverGhost: a contender finds its own earlier claim, and its new one is refused. What it reads then is
// the old claim, which others have watched for longer than the new one would last.
func TestRefusedClaimOverGhost(t *testing.T) {
	c := clock.NewFake(storetest.Epoch)
	refuse := false
	s := storetest.NewFaulty(open(t, c), func(call storetest.Call) storetest.Fault {
		if refuse && call.Method == "Put" {
			return storetest.Fault{Err: storetest.Throttled()}
		}
		return storetest.Fault{}
	})
	a, b := &contender{c: config(s, c, "a")}, &contender{c: config(s, c, "b")}
	mustTry(t, a) // and forgets it, its release refused
	_, _, err := b.try(t.Context())
	wantKind(t, err, tutti.KindConflict)
	c.Advance(ttl - time.Second)
	refuse = true
	l, _, err := a.try(t.Context())
	if l != nil || !tutti.IsKind(err, tutti.KindUnavailable) {
		t.Fatalf("%v, %v", l, err)
	}
	refuse = false
	c.Advance(time.Second)
	mustTry(t, b)
}

func TestHold(t *testing.T) {
	c := clock.NewFake(storetest.Epoch)
	s := open(t, c)
	mishap := errors.New("mishap")
	for _, want := range []error{nil, mishap} {
		var l uint64
		err := Hold(t.Context(), config(s, c, "a"), func(ctx context.Context, fence uint64) error {
			holder, now, err := Holder(ctx, s, "scan")
			if l = fence; holder != "a" || now != fence || err != nil {
				t.Error(holder, now, fence, err)
			}
			return want
		})
		if err != want || l == 0 {
			t.Fatalf("%v, want %v", err, want)
		}
		_, _, err = Holder(t.Context(), s, "scan")
		wantKind(t, err, tutti.KindNotFound)
	}
}

// TestHoldLosesLease: another takes the lease away, as after this process was stopped for long.
func TestHoldLosesLease(t *testing.T) {
	c := clock.NewFake(storetest.Epoch)
	s := open(t, c)
	err := Hold(t.Context(), config(s, c, "a"), func(ctx context.Context, fence uint64) error {
		thief := record{Holder: "b", Nonce: "other", Fence: fence + 1, TTL: ttl.Milliseconds()}
		if _, err := put(ctx, config(s, c, "b"), thief, store.Always); err != nil {
			t.Error(err)
		}
		c.WaitForTimers(2)
		c.Advance(ttl / 4) // a renewal is due
		<-ctx.Done()
		return ctx.Err()
	})
	wantKind(t, err, tutti.KindConflict)
	if holder, _, err := Holder(t.Context(), s, "scan"); holder != "b" || err != nil {
		t.Fatal(holder, err)
	}
}

func TestKeep(t *testing.T) {
	c := clock.NewFake(storetest.Epoch)
	s := open(t, c)
	type turn struct {
		holder string
		fence  uint64
	}
	turns := make(chan turn)
	begin := func(holder string, c *clock.Fake) (end func()) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- Keep(ctx, config(s, c, holder), slog.New(slog.DiscardHandler), func(ctx context.Context, fence uint64) error {
				turns <- turn{holder, fence}
				<-ctx.Done()
				return ctx.Err()
			})
		}()
		return func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Keep: %v", err)
			}
		}
	}
	endA := begin("a", c)
	first := <-turns
	c.WaitForTimers(2)
	other := clock.NewFake(storetest.Epoch) // b's own clock: nothing of a's fires when it is moved
	endB := begin("b", other)
	other.WaitForTimers(1)
	endA() // releases
	other.Advance(ttl / 4)
	second := <-turns
	if first.holder != "a" || second.holder != "b" || second.fence <= first.fence {
		t.Fatalf("%v, then %v", first, second)
	}
	endB()
	_, _, err := Holder(t.Context(), s, "scan")
	wantKind(t, err, tutti.KindNotFound)
}

// TestKeepGivesTurns: work that ends by itself, well or badly, leaves the lease to others for a TTL.
func TestKeepGivesTurns(t *testing.T) {
	c := clock.NewFake(storetest.Epoch)
	s := open(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	// The fence of a lease that is free is the time of day at which it was asked for, in milliseconds. When the work begins
	// says less: the clock may have been advanced before.
	runs := make(chan uint64, 100)
	done := make(chan error)
	go func() {
		done <- Keep(ctx, config(s, c, "a"), slog.New(slog.DiscardHandler), func(_ context.Context, fence uint64) error {
			runs <- fence
			return errors.New("mishap")
		})
	}()
	last := <-runs
	for range 3 {
		for len(runs) == 0 {
			c.WaitForTimers(1)
			c.Advance(ttl / 4)
		}
		next := <-runs
		if next < last+uint64(ttl.Milliseconds()) {
			t.Errorf("a turn asked for at %d after one at %d", next, last)
		}
		last = next
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestConfig(t *testing.T) {
	c := clock.NewFake(storetest.Epoch)
	good := config(open(t, c), c, "a")
	for what, spoil := range map[string]func(*Config){
		"no holder":     func(c *Config) { c.Holder = "" },
		"a long holder": func(c *Config) { c.Holder = strings.Repeat("h", maxHolder+1) },
		"no name":       func(c *Config) { c.Name = "" },
		"a long name":   func(c *Config) { c.Name = strings.Repeat("n", store.MaxPK) },
		"a bad name":    func(c *Config) { c.Name = "\xff" },
		"a short TTL":   func(c *Config) { c.TTL = minTTL - 1 },
		"a long TTL":    func(c *Config) { c.TTL = MaxTTL + 1 },
	} {
		bad := good
		spoil(&bad)
		_, err := Acquire(t.Context(), bad)
		if !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("%s: Acquire returned %v", what, err)
		}
		if err := Keep(t.Context(), bad, nil, nil); !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("%s: Keep returned %v", what, err)
		}
	}
}

// TestDamagedItem: what is not a lease is left alone for a TTL, and then replaced.
func TestDamagedItem(t *testing.T) {
	c := clock.NewFake(storetest.Epoch)
	s := open(t, c)
	n := &contender{c: config(s, c, "a")}
	if _, err := s.Put(t.Context(), n.c.key(), []byte("\x00rubbish"), time.Time{}, store.Always); err != nil {
		t.Fatal(err)
	}
	_, _, err := n.try(t.Context())
	wantKind(t, err, tutti.KindConflict)
	c.Advance(ttl)
	mustTry(t, n)
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"", "{}", "null", "[]", `{"nonce":"x","fence":18446744073709551615}`, `{"nonce":"x","ttl_ms":-1}`} {
		f.Add([]byte(seed))
	}
	f.Add(record{Holder: "a", Nonce: "n", Fence: 7, TTL: 8000}.encode())
	f.Fuzz(func(t *testing.T, value []byte) {
		r := decode(value, ttl)
		if r.TTL <= 0 || r.TTL > MaxTTL.Milliseconds() || r.Fence > maxFence {
			t.Fatalf("%+v", r)
		}
		if again := decode(r.encode(), ttl); again != r && again.Nonce != "?" {
			t.Fatalf("%+v is read as %+v", r, again)
		}
	})
}

// late is a store at the other end of a bad network: writes get lost, answers get lost, and writes that were given up
// arrive in the end.
type late struct {
	store.Store
	next    func() mishap
	pending []func()
}

type mishap int

const (
	fine mishap = iota
	refused
	answerLost
	delayed
)

func (l *late) Get(ctx context.Context, k store.Key) (store.Item, error) {
	it, err := l.Store.Get(ctx, k)
	if l.next() != fine {
		return store.Item{}, storetest.Throttled()
	}
	return it, err
}

func (l *late) Put(ctx context.Context, k store.Key, value []byte, expires time.Time, cond store.Condition) (uint64, error) {
	switch l.next() {
	case refused:
		return 0, storetest.Throttled()
	case answerLost:
		if _, err := l.Store.Put(ctx, k, value, expires, cond); err != nil {
			return 0, err
		}
		return 0, storetest.Throttled()
	case delayed:
		l.pending = append(l.pending, func() {
			// Nobody is there any more to read the outcome.
			_, _ = l.Store.Put(ctx, k, value, expires, cond)
		})
		return 0, storetest.Throttled()
	}
	return l.Store.Put(ctx, k, value, expires, cond)
}

// TestNeverTwo lets three processes, whose clocks run at different rates, do what they may do to one lease over a bad
// network, each step taking its time. At no moment do two of them hold it, and each fence is higher than the one before.
func TestNeverTwo(t *testing.T) {
	real := open(t, clock.NewFake(storetest.Epoch))
	round := 0
	property := func(t *rapid.T) {
		round++
		type process struct {
			*contender
			clock *clock.Fake
			rate  float64
			lease *Lease
		}
		var processes []*process
		var fence uint64
		check := func() {
			held := 0
			for _, p := range processes {
				if p.lease != nil && p.lease.Held() {
					held++
				}
			}
			if held > 1 {
				t.Fatalf("%d processes hold the lease", held)
			}
		}
		pass := func(d time.Duration) {
			for _, p := range processes {
				p.clock.Advance(time.Duration(float64(d) * p.rate))
			}
			check()
		}
		s := &late{Store: real}
		s.next = func() mishap {
			pass(time.Duration(rapid.IntRange(0, 1500).Draw(t, "ms for the call")) * time.Millisecond)
			return rapid.SampledFrom([]mishap{fine, fine, fine, refused, answerLost, delayed}).Draw(t, "network")
		}
		for i := range 3 {
			rate := 0.87 + 0.26*float64(rapid.IntRange(0, 100).Draw(t, "clock rate"))/100
			c := clock.NewFake(storetest.Epoch)
			cfg := config(s, c, fmt.Sprint(i))
			cfg.Name = fmt.Sprint("round", round)
			processes = append(processes, &process{contender: &contender{c: cfg}, clock: c, rate: rate})
		}
		one := rapid.SampledFrom(processes)
		ctx := context.Background()
		t.Repeat(map[string]func(*rapid.T){
			"contend": func(t *rapid.T) {
				p := one.Draw(t, "who")
				if p.lease != nil {
					t.Skip()
				}
				var l *Lease
				for range rapid.IntRange(1, 6).Draw(t, "readings") {
					var err error
					if l, _, err = p.try(ctx); err == nil {
						break
					}
					pass(time.Duration(rapid.IntRange(0, 4000).Draw(t, "ms between")) * time.Millisecond)
				}
				if l == nil {
					return
				}
				if p.lease = l; l.Fence() <= fence {
					t.Fatalf("fence %d after %d", l.Fence(), fence)
				}
				fence = l.Fence()
			},
			"renew": func(t *rapid.T) {
				p := one.Draw(t, "who")
				if p.lease == nil {
					t.Skip()
				}
				if err := p.lease.Renew(ctx); tutti.IsKind(err, tutti.KindConflict) {
					p.lease = nil
				} else if err == nil && p.lease.Fence() != fence {
					t.Fatalf("renewed under fence %d, the newest is %d", p.lease.Fence(), fence)
				}
			},
			"release": func(t *rapid.T) {
				p := one.Draw(t, "who")
				if p.lease == nil {
					t.Skip()
				}
				_ = p.lease.Release(ctx) // lost or not, it is over
				p.lease = nil
			},
			"start again": func(t *rapid.T) {
				p := one.Draw(t, "who")
				p.contender, p.lease = &contender{c: p.c}, nil
			},
			"wait": func(t *rapid.T) {
				pass(time.Duration(rapid.IntRange(1, 10_000).Draw(t, "ms")) * time.Millisecond)
			},
			"deliver": func(t *rapid.T) {
				if len(s.pending) == 0 {
					t.Skip()
				}
				i := rapid.IntRange(0, len(s.pending)-1).Draw(t, "which")
				do := s.pending[i]
				s.pending = append(s.pending[:i], s.pending[i+1:]...)
				do()
			},
			"": func(*rapid.T) { check() },
		})
	}
	for range 5 {
		rapid.Check(t, property)
	}
}
