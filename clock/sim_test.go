package clock

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// world is a simulation in virtual time: an oscillator with a rate of its own, and servers behind networks with delays.
type world struct {
	rng *rand.Rand
	now float64 // true seconds since epoch
	// The oscillator: what it shows, and how it drifts.
	shown float64
	ppm   func(t float64) float64
	d     *Disciplined
	hosts []*host
	next  []float64
	naps  int64 // suspensions that the oscillator has noticed
}

// Breaks makes world an oscillator that knows of suspensions.
func (w *world) Breaks() int64 { return w.naps }

// suspend lets time pass while the oscillator stands, which finds out roughly when it is asked next.
func (w *world) suspend(seconds, error float64) {
	w.now += seconds
	w.shown += seconds + error
	w.naps++
}

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// advance lets time pass, in steps short enough for the drift to be followed.
func (w *world) advance(seconds float64) {
	for seconds > 0 {
		step := min(seconds, 1)
		w.shown += step * (1 + w.ppm(w.now+step/2)*1e-6)
		w.now += step
		seconds -= step
	}
}

func (w *world) Elapsed() time.Duration { return time.Duration(math.Round(w.shown * 1e9)) }

// host is a time server of the simulation, and the way to it.
type host struct {
	w          *world
	name       string
	offset     func(t float64) float64 // seconds that it is wrong by
	base       float64                 // seconds of delay, each way
	asymmetry  float64                 // more on the way there
	jitter     float64                 // mean of what is added each way, exponentially distributed
	loss       float64
	kiss       string
	leap       Leap
	smeared    bool
	dispersion time.Duration
	far        bool
	silent     func(t float64) bool
}

func (h *host) Name() string { return h.name }

func (h *host) Pace() Pace {
	if h.far {
		return Far
	}
	return Near
}

// leapBy is how many leap seconds were added up to a moment.
var noLeap = func(float64) float64 { return 0 }

func (h *host) Ask(context.Context) (Exchange, error) {
	w := h.w
	if h.silent != nil && h.silent(w.now) || w.rng.Float64() < h.loss {
		return Exchange{}, context.DeadlineExceeded
	}
	tells := func() time.Time {
		return epoch.Add(time.Duration(math.Round((w.now + h.offset(w.now)) * 1e9)))
	}
	e := Exchange{Stratum: 2, Leap: h.leap, RootDispersion: h.dispersion, Precision: time.Microsecond, Kiss: h.kiss, Smeared: h.smeared}
	e.T1 = w.Elapsed()
	w.advance(h.base + h.asymmetry + w.rng.ExpFloat64()*h.jitter)
	e.T2 = tells()
	w.advance(20e-6)
	e.T3 = tells()
	w.advance(h.base + w.rng.ExpFloat64()*h.jitter)
	e.T4 = w.Elapsed()
	return e, nil
}

func newWorld(seed uint64, ppm func(float64) float64, c Config, hosts ...*host) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 1)), ppm: ppm, hosts: hosts}
	c.Oscillator, c.Begin = w, epoch
	for _, h := range hosts {
		h.w = w
		if h.offset == nil {
			h.offset = noLeap
		}
		c.Sources = append(c.Sources, h)
	}
	w.d = NewDisciplined(c)
	w.next = make([]float64, len(hosts))
	return w
}

func constant(v float64) func(float64) float64 { return func(float64) float64 { return v } }

// run lets the pollers do what they would, until a moment, and calls look every so often.
func (w *world) run(until, every float64, look func()) {
	looked := w.now
	for w.now < until {
		n := 0
		for i := range w.next {
			if w.next[i] < w.next[n] {
				n = i
			}
		}
		if len(w.next) == 0 || w.next[n] > looked+every {
			w.advance(max(0, looked+every-w.now))
			looked += every
			if look != nil {
				look()
			}
			continue
		}
		w.advance(max(0, w.next[n]-w.now))
		wait := w.d.ask(context.Background(), n, func(context.Context, time.Duration) error { w.advance(burstSpacing.Seconds()); return nil })
		w.next[n] = w.now + wait.Seconds()
	}
}

// off is how wrong the clock is, in nanoseconds, and whether the truth lies within its bounds.
func (w *world) off() (wrong float64, r Reading, held bool) {
	truth := epoch.Add(time.Duration(math.Round(w.now * 1e9)))
	r = w.d.readingAt(w.Elapsed())
	return float64(r.Time.Sub(truth)), r, !truth.Before(r.Earliest) && !truth.After(r.Latest)
}

// measured collects errors after the clock has had time to settle.
type measured struct {
	wrong, bound []float64
	missed       int
}

func (m *measured) look(w *world) func() {
	return func() {
		wrong, r, held := w.off()
		m.wrong = append(m.wrong, math.Abs(wrong))
		m.bound = append(m.bound, float64(r.Bound()))
		if !held {
			m.missed++
		}
	}
}

func quantile(v []float64, q float64) float64 {
	s := slices.Clone(v)
	slices.Sort(s)
	return s[min(len(s)-1, int(q*float64(len(s))))]
}

// walk is an oscillator whose rate wanders: the temperature of a room goes up and down by day, and at random besides.
func walk(seed uint64, ppm, daily, step float64) func(float64) float64 {
	rng := rand.New(rand.NewPCG(seed, 2))
	var steps []float64
	return func(t float64) float64 {
		n := int(t / 60)
		for len(steps) <= n {
			last := ppm
			if len(steps) > 0 {
				last = steps[len(steps)-1]
			}
			steps = append(steps, last+rng.NormFloat64()*step)
		}
		return steps[n] + daily*math.Sin(2*math.Pi*t/86400)
	}
}

// TestAccuracy has the bars for a clean server near by and for one behind two milliseconds of jitter each way, with
// oscillators that run fast, slow, and differently from minute to minute.
func TestAccuracy(t *testing.T) {
	oscillators := []struct {
		name string
		ppm  func(float64) float64
	}{{"-100 ppm", constant(-100)}, {"as it is", constant(0)}, {"+100 ppm", constant(100)}, {"calm room", walk(3, 20, 0.1, 0.0005)}, {"warm room", walk(3, 20, 0.3, 0.003)}}
	for _, network := range []struct {
		host    host
		settled float64 // seconds
		allowed float64 // microseconds
	}{
		{host{name: "clean", base: 60e-6, jitter: 15e-6}, 120, 20},
		{host{name: "jittery", base: 300e-6, jitter: 2e-3}, 600, 150},
		{host{name: "far away", base: 10e-3, jitter: 1e-3, far: true}, 3600, 500},
	} {
		for _, o := range oscillators {
			h := network.host
			w := newWorld(1, o.ppm, Config{}, &h)
			w.run(network.settled, 1, nil)
			var m measured
			w.run(24*3600, 1, m.look(w))
			p99 := quantile(m.wrong, .99) / 1e3
			t.Logf("%-9s %-9s p50 %5.1f µs, p99 %5.1f µs, bound p50 %.0f µs, %d questions", h.name, o.name, quantile(m.wrong, .5)/1e3, p99, quantile(m.bound, .5)/1e3, w.d.sources[0].asked)
			if m.missed > 0 || p99 > network.allowed {
				t.Errorf("%s, %s: %d of %d outside the bound; p99 %.1f µs, allowed %.0f", h.name, o.name, m.missed, len(m.wrong), p99, network.allowed)
			}
		}
	}
}

// TestBoundIsNeverWrong looks a million times, over oscillators, asymmetric ways and an hour without servers.
func TestBoundIsNeverWrong(t *testing.T) {
	looks := 1_000_000
	if testing.Short() {
		looks = 50_000
	}
	rng := rand.New(rand.NewPCG(11, 11))
	const days = 20
	var widest float64
	for n := range days {
		ppm := rng.Float64()*200 - 100
		h := &host{name: "far", base: 1e-3 + rng.Float64()*20e-3, asymmetry: rng.Float64() * 20e-3, jitter: rng.Float64() * 3e-3, loss: rng.Float64() * 0.3, far: n%2 == 0}
		h.silent = func(now float64) bool { return now > 6*3600 }
		drift := walk(uint64(n), ppm, 0.3, 0.003)
		w := newWorld(uint64(n), drift, Config{Limit: time.Hour}, h)
		w.run(60, 1, nil)
		missed, seen := 0, 0
		w.run(7*3600, 7*3600/float64(looks/days), func() {
			_, r, held := w.off()
			if seen++; !held {
				missed++
			}
			if w.now > 7*3600-2 {
				// What any clock would have to allow that had met the least delay each time: half of the round trip,
				// and for the time since the last answer that the rate was straying while it was measured, that the
				// measuring of it was no better than the round trip over its length, and that it strays on.
				trip, since := (2*h.base+h.asymmetry)*1e9, w.shown-w.d.sources[0].heard
				best := trip/2 + since*(2*wander+trip/(6*3600))
				widest = max(widest, float64(r.Latest.Sub(r.Earliest))/2/best)
			}
		})
		if missed > 0 {
			t.Errorf("day %d (%.1f ppm, %+v): %d of %d outside the bound", n, ppm, h.asymmetry, missed, seen)
		}
	}
	t.Logf("after an hour of holdover the bound is at most %.2f × what it has to be", widest)
	if widest > 2 {
		t.Errorf("the bound is %.2f × what it has to be, allowed 2", widest)
	}
}

func TestLiars(t *testing.T) {
	honest := func(n int) []*host {
		var all []*host
		for range n {
			all = append(all, &host{name: "honest", base: 200e-6, jitter: 30e-6})
		}
		return all
	}
	lie := func(by, from float64) *host {
		return &host{name: "liar", base: 200e-6, jitter: 30e-6, offset: func(now float64) float64 {
			if now < from {
				return 0
			}
			return by
		}}
	}
	for _, c := range []struct {
		name  string
		hosts []*host
	}{
		{"none", honest(3)},
		{"1 of 4, by an hour", append(honest(3), lie(3600, 0))},
		{"1 of 4, by an hour, later", append(honest(3), lie(-3600, 1800))},
		{"1 of 4, by 5 ms", append(honest(3), lie(5e-3, 0))},
		{"1 of 4, within its bound", append(honest(3), lie(150e-6, 0))},
		{"2 of 5, each another lie", append(honest(3), lie(3600, 0), lie(-1, 900))},
		{"2 of 5, the same lie", append(honest(3), lie(2, 0), lie(2, 900))},
		{"2 of 5, within their bounds", append(honest(3), lie(150e-6, 0), lie(120e-6, 0))},
	} {
		w := newWorld(5, constant(12), Config{}, c.hosts...)
		w.run(600, 1, nil)
		var m measured
		w.run(3*3600, 1, m.look(w))
		t.Logf("%-30s p50 %.1f µs, max %.1f µs", c.name, quantile(m.wrong, .5)/1e3, quantile(m.wrong, 1)/1e3)
		if m.missed > 0 || quantile(m.wrong, 1) > 10e3 {
			t.Errorf("%s: %d outside the bound, at most %.1f µs wrong, allowed 10", c.name, m.missed, quantile(m.wrong, 1)/1e3)
		}
		if s := w.d.State(); s.Status != Synchronised {
			t.Errorf("%s: %s: %s", c.name, s.Status, s.Reason)
		}
	}
}

// TestLyingMajority: three of five begin to say the same wrong thing. Nobody can know who is right, so the clock must not
// claim to.
func TestLyingMajority(t *testing.T) {
	for _, by := range []float64{0.05, 2, 3600, -3600} {
		var hosts []*host
		for n := range 5 {
			hosts = append(hosts, &host{name: "host", base: 200e-6, jitter: 30e-6, offset: func(now float64) float64 {
				if n < 3 && now > 3600 {
					return by
				}
				return 0
			}})
		}
		w := newWorld(6, constant(12), Config{}, hosts...)
		w.run(3500, 1, nil)
		var m measured
		unsure := 0
		look := m.look(w)
		w.run(3600+1800, 1, func() {
			look()
			if w.d.status(w.Elapsed()).status == Unsynchronised {
				unsure++
			}
		})
		// They begin to lie one after the other, as they are asked.
		t.Logf("by %v s: at most %.1f µs wrong, %d of %d outside the bound, %d unsynchronised", by, quantile(m.wrong, 1)/1e3, m.missed, len(m.wrong), unsure)
		if m.missed > 0 || unsure < len(m.wrong)*3/4 || quantile(m.wrong, 1) > 50e3 {
			t.Errorf("by %v s: %d outside the bound, %d of %d unsynchronised, at most %.1f µs wrong", by, m.missed, unsure, len(m.wrong), quantile(m.wrong, 1)/1e3)
		}
	}
}

func TestNeverBackwardsAndNeverFasterThanAllowed(t *testing.T) {
	step := 0.0
	hosts := []*host{
		{name: "a", base: 1e-3, jitter: 2e-3, loss: .2, offset: func(float64) float64 { return step }},
		{name: "b", base: 1e-3, jitter: 2e-3, loss: .2, offset: func(now float64) float64 { return step + 0.02*math.Sin(now/900) }},
	}
	w := newWorld(7, walk(7, -80, 0.5, 0.05), Config{}, hosts...)
	w.run(30, 1, nil)
	last, lastAt := w.d.Now(), w.now
	for range 5 {
		step += (w.rng.Float64() - .5) * .3
		w.run(w.now+5000, .5, func() {
			now := w.d.Now()
			ran, took := float64(now.Sub(last)), (w.now-lastAt)*1e9
			if took == 0 {
				return // a burst ended where a look was due
			}
			if ran <= 0 || math.Abs(ran-took) > took*(maxSlew+1e5)*1e-9+1 {
				t.Fatalf("in %v the clock went on by %v", time.Duration(took), now.Sub(last))
			}
			last, lastAt = now, w.now
		})
	}
}

// TestSuspension: after the machine was suspended the clock knows that it knows nothing, until the servers have told it
// again; and then it is right.
func TestSuspension(t *testing.T) {
	w := newWorld(12, constant(30), Config{}, &host{name: "lan", base: 100e-6, jitter: 20e-6})
	w.run(1800, 1, nil)
	w.suspend(8*3600, 0.4)
	w.d.mu.Lock()
	w.d.woke()
	w.d.mu.Unlock()
	if s := w.d.State(); s.Status != Unsynchronised || s.Bound != Unbounded {
		t.Errorf("right after: %s, bound %v", s.Status, s.Bound)
	}
	w.run(w.now+120, 1, nil)
	// What was shown before it is not taken back, but slewed over.
	w.run(w.now+1200, 1, nil)
	wrong, _, held := w.off()
	if s := w.d.State(); s.Status != Synchronised || !held || math.Abs(wrong) > 20e3 {
		t.Errorf("later: %s (%s), %.1f µs wrong, within its bound: %v", s.Status, s.Reason, wrong/1e3, held)
	}
}

func TestHoldoverSaysSo(t *testing.T) {
	h := &host{name: "lan", base: 100e-6, jitter: 20e-6, silent: func(now float64) bool { return now > 1000 }}
	w := newWorld(8, constant(50), Config{Limit: 10 * time.Millisecond}, h)
	w.run(990, 1, nil)
	if s := w.d.State(); s.Status != Synchronised || math.Abs(s.Skew+50) > .1 {
		t.Fatalf("%s (%s), skew %.2f ppm; want -50", s.Status, s.Reason, s.Skew)
	}
	if err := w.d.Within(time.Millisecond); err != nil {
		t.Error(err)
	}
	w.run(1000+600, 1, nil)
	if s := w.d.State(); s.Status != Holdover {
		t.Errorf("after ten minutes of silence: %s (%s)", s.Status, s.Reason)
	}
	if err := w.d.Within(100 * time.Microsecond); err == nil {
		t.Error("allowed to act within 100 µs after ten minutes of silence")
	}
	w.run(1000+6*3600, 60, nil)
	if s := w.d.State(); s.Status != Unsynchronised {
		t.Errorf("after six hours of silence: %s, bound %v", s.Status, s.Bound)
	}
	if wrong, _, held := w.off(); !held || math.Abs(wrong) > 5e6 {
		t.Errorf("after six hours of silence: %.0f µs wrong; within the bound: %v", wrong/1e3, held)
	}
}

func TestServicesAgree(t *testing.T) {
	// Three services with oscillators of their own ask one server; all three see the same true time pass.
	type service struct {
		w    *world
		shot map[float64]float64
	}
	var all []service
	for n, ppm := range []float64{-90, 10, 75} {
		w := newWorld(uint64(20+n), walk(uint64(30+n), ppm, .3, .003), Config{}, &host{name: "ntp", base: 150e-6, jitter: 100e-6})
		s := service{w, map[float64]float64{}}
		w.run(300, 1, nil)
		w.run(6*3600, 1, func() { wrong, _, _ := w.off(); s.shot[math.Round(w.now)] = wrong })
		all = append(all, s)
	}
	var apart []float64
	for at, a := range all[0].shot {
		b, okB := all[1].shot[at]
		c, okC := all[2].shot[at]
		if okB && okC {
			apart = append(apart, max(a, b, c)-min(a, b, c))
		}
	}
	t.Logf("p50 %.1f µs, p99 %.1f µs apart over %d s", quantile(apart, .5)/1e3, quantile(apart, .99)/1e3, len(apart))
	if len(apart) < 10_000 || quantile(apart, .99) > 50e3 {
		t.Errorf("%d moments, p99 %.1f µs apart, allowed 50", len(apart), quantile(apart, .99)/1e3)
	}
}

func TestKisses(t *testing.T) {
	rate, deny := &host{name: "rate", base: 1e-3}, &host{name: "deny", base: 1e-3, kiss: "DENY"}
	good := &host{name: "good", base: 1e-3}
	w := newWorld(9, constant(1), Config{}, rate, deny, good)
	rate.kiss = "RATE"
	w.run(3600, 10, nil)
	s := w.d.State()
	if s.Status != Synchronised || !s.Sources[2].Selected {
		t.Errorf("%s (%s): %+v", s.Status, s.Reason, s.Sources)
	}
	if s.Sources[1].Asked > 1 {
		t.Errorf("asked %d times who said DENY", s.Sources[1].Asked)
	}
	if s.Sources[0].Poll < 512*time.Second || s.Sources[0].Asked > 20 {
		t.Errorf("asks who said RATE every %v, %d times in an hour", s.Sources[0].Poll, s.Sources[0].Asked)
	}
}

func TestBadAnswers(t *testing.T) {
	good := Exchange{T1: time.Second, T4: time.Second + time.Millisecond, T2: epoch, T3: epoch.Add(10 * time.Microsecond), Stratum: 2}
	if p := good.problem(); p != "" {
		t.Fatal(p)
	}
	for name, spoil := range map[string]func(*Exchange){
		"stratum 0":      func(e *Exchange) { e.Stratum = 0 },
		"stratum 16":     func(e *Exchange) { e.Stratum = 16 },
		"leap unknown":   func(e *Exchange) { e.Leap = LeapUnknown },
		"no time":        func(e *Exchange) { e.T2 = time.Time{} },
		"backwards":      func(e *Exchange) { e.T3 = e.T2.Add(-time.Second) },
		"less than none": func(e *Exchange) { e.T3 = e.T2.Add(2 * time.Millisecond) },
		"own clock":      func(e *Exchange) { e.T4 = e.T1 - 1 },
		"slow":           func(e *Exchange) { e.T4 = e.T1 + 4*time.Second },
		"far away":       func(e *Exchange) { e.RootDispersion = 2 * time.Second },
		"negative root":  func(e *Exchange) { e.RootDelay = -time.Second },
		"kiss":           func(e *Exchange) { e.Kiss = "RATE" },
	} {
		e := good
		spoil(&e)
		if e.problem() == "" {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestSmearedAreNotMixed(t *testing.T) {
	a, b, c := &host{name: "a", base: 1e-3}, &host{name: "b", base: 1e-3}, &host{name: "time.google.com", base: 1e-3, smeared: true, offset: constant(0.3)}
	w := newWorld(10, constant(1), Config{}, a, c, b)
	w.run(600, 10, nil)
	if s := w.d.State(); s.Sources[1].Selected || s.Sources[1].Rejected == "" || s.Status != Synchronised {
		t.Errorf("%+v", s)
	}
}

// TestLeapSecond: servers announce one, then repeat a second; the clock slews over it, and several do it alike.
func TestLeapSecond(t *testing.T) {
	midnight := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC).Sub(epoch).Seconds()
	start := midnight - 3600
	var shown [2][]float64
	for n := range shown {
		leap := LeapNone
		h := []*host{}
		for range 3 {
			h = append(h, &host{name: "utc", base: 300e-6, jitter: 50e-6})
		}
		w := newWorld(uint64(40+n), constant(float64(30*n)), Config{Limit: 2 * time.Second}, h...)
		w.now = start
		w.shown = start
		for i := range w.next {
			w.next[i] = start
		}
		for _, x := range h {
			x.offset = func(now float64) float64 {
				if now >= midnight {
					return -1
				}
				return 0
			}
		}
		w.run(start+600, 1, nil)
		leap = LeapAdd
		for _, x := range h {
			x.leap = leap
		}
		w.run(midnight-1, 1, nil)
		last := w.d.Now()
		w.run(midnight+1, .25, func() {
			if now := w.d.Now(); now.Before(last) {
				t.Fatalf("back from %v to %v", last, now)
			} else {
				last = now
			}
		})
		for _, x := range h {
			x.leap = LeapNone
		}
		w.run(midnight+3000, 1, func() {
			wrong, _, _ := w.off() // against a time without the leap second
			shown[n] = append(shown[n], wrong)
		})
		if end := shown[n][len(shown[n])-1]; math.Abs(end+1e9) > 1e6 {
			t.Errorf("clock %d: %.3f s from the time before the leap second, want -1", n, end/1e9)
		}
		if s := w.d.State(); s.Status != Synchronised {
			t.Errorf("clock %d: %s: %s", n, s.Status, s.Reason)
		}
	}
	apart := 0.0
	for i := range min(len(shown[0]), len(shown[1])) {
		apart = max(apart, math.Abs(shown[0][i]-shown[1][i]))
	}
	t.Logf("two clocks are at most %.1f ms apart while they slew", apart/1e6)
	if apart > 40e6 {
		t.Errorf("two clocks are %.1f ms apart while they slew over a leap second", apart/1e6)
	}
}

// TestHistory: what the clock showed is remembered from its first minutes to its last, in a bounded number of samples.
func TestHistory(t *testing.T) {
	w := newWorld(9, constant(50), Config{}, &host{name: "lan", base: 100e-6, jitter: 20e-6})
	w.run(60, 1, nil)
	for range 3_000 {
		w.advance(64)
		w.d.mu.Lock()
		w.d.remember() // as after every answer
		w.d.mu.Unlock()
	}
	past := w.d.History()
	if len(past) < maxSamples/3 || len(past) > maxSamples {
		t.Fatalf("%d samples after two days", len(past))
	}
	now := w.d.Now()
	if first, last := past[0].At.Sub(epoch), now.Sub(past[len(past)-1].At); first > time.Hour || last > time.Hour {
		t.Errorf("the first is %v old at the start, the last %v at the end", first, last)
	}
	if !slices.IsSortedFunc(past, func(a, b Sample) int { return a.At.Compare(b.At) }) {
		t.Error("they are out of order")
	}
	for _, s := range past[len(past)/2:] {
		if s.Bound == Unbounded || s.Bound <= 0 {
			t.Fatalf("%v is bounded by %v", s.At, s.Bound)
		}
	}
}
