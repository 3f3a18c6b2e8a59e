package clock

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Status is how far a disciplined clock may be relied on.
type Status string

// The states of a disciplined clock.
const (
	// Synchronised: a majority of the sources confirms the time, and has done so lately.
	Synchronised Status = "synchronised"
	// Holdover: no source was heard for a while; the clock goes on by what it learned, and its bound widens.
	Holdover Status = "holdover"
	// Unsynchronised: nothing is known of the time of day, or the sources contradict one another or what the clock has
	// kept, or the bound is beyond Config.Limit.
	Unsynchronised Status = "unsynchronised"
)

// Reading is the time with what is known of its error: true time (UTC, as Unix time) is from Earliest to Latest, as
// long as the sources' majority is right and the oscillator keeps its rate within 1 ppm.
type Reading struct {
	Time             time.Time
	Earliest, Latest time.Time // zero where nothing is known
}

// Bound is the most that Time can be wrong by; Unbounded where nothing is known.
func (r Reading) Bound() time.Duration {
	if r.Latest.IsZero() {
		return Unbounded
	}
	return max(r.Latest.Sub(r.Time), r.Time.Sub(r.Earliest), 0)
}

// Unbounded is the error bound of a clock that knows nothing of the time of day.
const Unbounded = time.Duration(math.MaxInt64)

// State is what a disciplined clock knows of itself, for people and for metrics.
type State struct {
	Status  Status
	Reason  string        // why it is not synchronised; "" where it is
	Offset  time.Duration // from the oscillator, counted from the system's time when the process began, to the time it shows
	System  time.Duration // from the system's clock to the time it shows: positive where the system is behind
	Pending time.Duration // what is still to be slewed
	Skew    float64       // parts per million that the oscillator is slow by
	Bound   time.Duration // the most that the time can be wrong by; Unbounded where nothing is known
	Stratum int           // of the best source that is followed; 0 for none
	Leap    Leap
	Sources []SourceState
}

// SourceState is what is known of one source.
type SourceState struct {
	Name         string
	Selected     bool          // the clock follows it
	Rejected     string        // why not; "" where it does
	Stratum      int           // 0 before it answered
	Offset       time.Duration // of the clock's time to what this source says: positive where the clock is behind
	Delay        time.Duration // of the last exchange
	Bound        time.Duration // the most that it can be wrong by, as it says itself and the delays allow
	RootDistance time.Duration // of that, what it says itself
	Poll         time.Duration // how often it is asked
	Heard        time.Duration // since the last answer that was of use; -1 for none
	Asked, Good  int64         // questions, and answers that were of use
}

// Sample is what a clock showed at a moment, for a plot.
type Sample struct {
	At     time.Time
	System time.Duration // as in State
	Bound  time.Duration // likewise
}

// Config says whom a Disciplined asks and what it may do. All fields but Oscillator have defaults.
type Config struct {
	Oscillator Oscillator // required
	Begin      time.Time  // the system's time when the oscillator showed 0; with a monotonic reading, so do the times shown
	Sources    []Source
	Limit      time.Duration // the bound above which the clock calls itself unsynchronised; 100 ms
	Timers     Clock         // wakes the pollers; System
	Logger     *slog.Logger  // says when the state changes; none
}

// Disciplined is a clock of its own beside the system's: an oscillator that nobody sets, and the line that turns its
// readings into the time of day, learned from NTP servers. The system's clock is never touched, and setting it changes
// nothing here. Until the first sources have answered it shows the system's time and says that it knows nothing; then
// it is set once, and from there on only slewed, by no more than 500 ppm, so that it never runs backwards.
//
// It is a Clock and safe for concurrent use. Run asks the sources until its context ends.
type Disciplined struct {
	c       Config
	mu      sync.Mutex
	sources []*followed
	set     bool // the time was set for the first time
	ready   chan struct{}
	leapAt  time.Time // when an announced leap second comes; zero for none
	leap    Leap
	// clash is since when the sources contradict what the clock has kept, on the oscillator; -1 where they do not.
	clash  float64
	breaks int64
	view   atomic.Pointer[view]
	past   []Sample // oldest first, as long as thinning leaves it
	asks   int64    // answers since the start, of which one in every is in past
	every  int64
}

// followed is a source with what was heard from it.
type followed struct {
	source   Source
	pace     Pace
	filter   filter
	poll     int // log2 of seconds
	minPoll  int
	maxPoll  int
	calm     int     // polls in a row that went as foreseen
	heard    float64 // the last good answer, on the oscillator; -1 for none
	trouble  string  // why the last exchange was of no use
	gone     bool    // it told us to go away
	asked    int64
	good     int64
	rejected string
	selected bool
}

// view is what readers need, unchanging.
type view struct {
	at         float64 // on the oscillator, seconds
	correction float64 // shown at that moment, nanoseconds
	rate       float64 // of the line that is followed
	pending    float64 // what is to be slewed, nanoseconds
	slew       float64 // nanoseconds a second, of pending's sign
	candidates []candidate
	prior      []candidate // what was known before the sources contradicted it; also to be covered
	status     Status
	reason     string
	heard      float64
	stale      float64 // seconds after which who was not heard is in holdover
	stratum    int     // of the best source that is followed; 0 for none
	leap       Leap
}

// candidate is one source's bounds.
type candidate struct {
	reach reach
	root  float64
}

func (c candidate) bounds(at float64) interval {
	low, high := c.reach.bounds(at)
	return interval{low: low - c.root, high: high + c.root}
}

const (
	// maxSlew is RFC 5905's bound on the rate of correction (§11.3) and adjtime's; in nanoseconds a second.
	maxSlew = 500e3
	// slewOver is the time, in seconds, over which an ordinary correction is spread: long enough that players that follow
	// this clock change their speed by nothing that can be heard, short beside the shortest poll.
	slewOver = 8
	// leastSlew, in nanoseconds a second, ends corrections of nanoseconds instead of spreading them for ever.
	leastSlew = 100
	// patience is how long, in seconds, the clock keeps to itself when its sources say what it holds to be impossible.
	patience = 3600
	// slewable is the largest contradiction, in nanoseconds, that is given in to after that: at 500 ppm a thousand seconds.
	// A larger one is either a lie or needs the time to be set, which happens at a start only.
	slewable = 500e6
	// calmPolls is how many polls have to go as foreseen before one asks half as often.
	calmPolls = 4
	// firstPoll is log2 of the first interval in seconds: the rate is learned from exchanges that lie apart.
	firstPoll = 1
	// maxSamples bounds the history.
	maxSamples = 512
	// staleAfter is how many intervals without an answer make holdover.
	staleAfter = 3
)

// NewDisciplined makes a clock that shows Begin plus the oscillator's reading until it knows better.
func NewDisciplined(c Config) *Disciplined {
	if c.Limit == 0 {
		c.Limit = 100 * time.Millisecond
	}
	if c.Timers == nil {
		c.Timers = System
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Disciplined{c: c, ready: make(chan struct{}), clash: -1}
	for _, s := range c.Sources {
		p := s.Pace()
		d.sources = append(d.sources, &followed{source: s, pace: p, poll: firstPoll, minPoll: log2(p.Min), maxPoll: log2(p.Max), heard: -1})
	}
	reason := "no time server is configured, so this is the system's time as it was at the start"
	if len(d.sources) > 0 {
		reason = "no time server has answered yet"
	}
	d.view.Store(&view{at: c.Oscillator.Elapsed().Seconds(), status: Unsynchronised, reason: reason, heard: -1})
	return d
}

func log2(d time.Duration) int { return int(math.Round(math.Log2(max(d.Seconds(), 1)))) }

// shown is the correction at a moment.
func (v *view) shown(at float64) float64 {
	dt := at - v.at
	slewed := v.slew * dt
	if math.Abs(slewed) > math.Abs(v.pending) {
		slewed = v.pending
	}
	return v.correction + v.rate*dt + slewed
}

// bounds is where the truth must be at a moment.
func (v *view) bounds(at float64) (low, high float64, ok bool) {
	low, high, ok = boundsOf(v.candidates, at)
	if len(v.prior) > 0 {
		if l, h, was := boundsOf(v.prior, at); was {
			low, high, ok = min(low, l), max(high, h), true
		}
	}
	return low, high, ok
}

// boundsOf falls back to everything that any source says where they have no majority.
func boundsOf(all []candidate, at float64) (low, high float64, ok bool) {
	if len(all) == 0 {
		return math.Inf(1), math.Inf(-1), false
	}
	intervals := make([]interval, 0, 8)
	for _, c := range all {
		intervals = append(intervals, c.bounds(at))
	}
	if low, high, ok = agreed(intervals); ok {
		return low, high, true
	}
	low, high = math.Inf(1), math.Inf(-1)
	for _, i := range intervals {
		low, high = min(low, i.low), max(high, i.high)
	}
	return low, high, true
}

// time turns an oscillator's reading and a correction in nanoseconds into the time of day.
func (d *Disciplined) time(at time.Duration, correction float64) time.Time {
	return d.c.Begin.Add(at + time.Duration(math.Round(correction)))
}

// Now is the time that the clock shows. It never runs backwards once the clock was set for the first time.
func (d *Disciplined) Now() time.Time {
	at := d.c.Oscillator.Elapsed()
	return d.time(at, d.view.Load().shown(at.Seconds()))
}

// Reading is Now with its bounds.
func (d *Disciplined) Reading() Reading { return d.readingAt(d.c.Oscillator.Elapsed()) }

func (d *Disciplined) readingAt(at time.Duration) Reading {
	v := d.view.Load()
	r := Reading{Time: d.time(at, v.shown(at.Seconds()))}
	if low, high, ok := v.bounds(at.Seconds()); ok {
		// Whole nanoseconds, outwards.
		r.Earliest, r.Latest = d.time(at, math.Floor(low)), d.time(at, math.Ceil(high))
	}
	return r
}

// NewTimer and AfterFunc run on the timers of the configuration: a wait is the same wait whatever time it is.
func (d *Disciplined) NewTimer(after time.Duration) Timer { return d.c.Timers.NewTimer(after) }

// AfterFunc is as NewTimer, and calls fn.
func (d *Disciplined) AfterFunc(after time.Duration, fn func()) Timer {
	return d.c.Timers.AfterFunc(after, fn)
}

// Ready is closed when the clock has been set for the first time.
func (d *Disciplined) Ready() <-chan struct{} { return d.ready }

// Within reports an error where the time may be wrong by more than most: what hands over by the clock asks before it acts.
func (d *Disciplined) Within(most time.Duration) error {
	s := d.status(d.c.Oscillator.Elapsed())
	if s.status == Unsynchronised {
		return fmt.Errorf("the clock is not synchronised: %s", s.reason)
	}
	if s.bound > most {
		return fmt.Errorf("the time may be wrong by %v, and no more than %v is allowed here", s.bound, most)
	}
	return nil
}

type status struct {
	status Status
	reason string
	bound  time.Duration
}

// status is the view's, with what has become of it since.
func (d *Disciplined) status(at time.Duration) status {
	v := d.view.Load()
	s := status{v.status, v.reason, d.readingAt(at).Bound()}
	if s.status == Unsynchronised {
		return s
	}
	if at.Seconds()-v.heard > v.stale {
		s.status, s.reason = Holdover, fmt.Sprintf("no time server was heard for %v", time.Duration((at.Seconds()-v.heard)*1e9).Round(time.Second))
	}
	if s.bound > d.c.Limit {
		s.status, s.reason = Unsynchronised, fmt.Sprintf("the time may be wrong by %v; the limit is %v", s.bound.Round(time.Microsecond), d.c.Limit)
	}
	return s
}

// State is a snapshot for people and metrics.
func (d *Disciplined) State() State {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := d.c.Oscillator.Elapsed()
	seconds := at.Seconds()
	v, st := d.view.Load(), d.status(at)
	shown := v.shown(seconds)
	s := State{
		Status: st.status, Reason: st.reason, Bound: st.bound, Stratum: v.stratum, Leap: d.leap,
		Offset:  time.Duration(shown),
		System:  d.time(at, shown).Round(0).Sub(time.Now().Round(0)),
		Pending: time.Duration(v.correction + v.rate*(seconds-v.at) + v.pending - shown),
		Skew:    v.rate / 1e3,
	}
	for _, f := range d.sources {
		o := SourceState{
			Name: f.source.Name(), Selected: f.selected, Rejected: f.rejected, Stratum: int(f.filter.last.Stratum),
			Poll: time.Duration(1<<f.poll) * time.Second, Heard: -1, Asked: f.asked, Good: f.good, Bound: Unbounded,
		}
		if f.heard >= 0 {
			o.Heard = time.Duration((seconds - f.heard) * 1e9)
		}
		if r, ok := f.filter.lines(seconds); ok {
			o.Delay, o.RootDistance = f.filter.last.Delay(), f.filter.last.RootDistance()
			low, high := r.bounds(seconds)
			o.Bound = time.Duration((high-low)/2) + o.RootDistance
			if likely, ok := f.filter.estimate(seconds); ok {
				o.Offset = time.Duration(likely.offset - shown)
			}
		}
		s.Sources = append(s.Sources, o)
	}
	return s
}

// take adds what a source answered and sets the clock by it. epoch is how often the machine had been suspended when the
// first question was asked; trouble says why there is nothing, or not all.
func (d *Disciplined) take(n int, epoch int64, asked int, answers []Exchange, trouble string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.sources[n]
	f.asked += int64(asked)
	f.trouble = trouble
	d.woke()
	if epoch != d.breaks {
		answers = nil // their timestamps lie on either side of a suspension
	}
	now := d.c.Oscillator.Elapsed().Seconds()
	d.leapSecond(now)
	before, foreseen := f.filter.estimate(now)
	fresh := 0
	for _, e := range answers {
		if p := e.problem(); p != "" {
			f.trouble = p
			d.kissed(f, e.Kiss)
			continue
		}
		f.filter.add(e, d.c.Begin)
		fresh++
	}
	if fresh > 0 {
		f.good += int64(fresh)
		f.heard = now
		foreseen = !f.filter.settle(now) && foreseen
		f.hurry(now, before, foreseen)
	} else if !f.gone && f.heard >= 0 {
		f.poll = min(max(f.poll, f.minPoll)+1, f.maxPoll) // who does not answer is asked less
	}
	d.update(now)
	d.remember()
}

// remember keeps what the clock shows now. When there is much, every other sample goes, and from then on only half as many
// come: so it reaches back to the start, and costs no waking up of its own. The caller holds mu.
func (d *Disciplined) remember() {
	d.every = max(d.every, 1)
	if d.asks++; d.asks%d.every != 0 {
		return
	}
	if len(d.past) >= maxSamples {
		kept := d.past[:0]
		for i := 1; i < len(d.past); i += 2 {
			kept = append(kept, d.past[i])
		}
		d.past = kept
		if d.every *= 2; d.asks%d.every != 0 {
			return
		}
	}
	at := d.c.Oscillator.Elapsed()
	shown := d.time(at, d.view.Load().shown(at.Seconds()))
	d.past = append(d.past, Sample{At: shown, System: shown.Round(0).Sub(time.Now().Round(0)), Bound: d.readingAt(at).Bound()})
}

// History is what the clock showed whenever a source was asked, oldest first: at most 512 samples, which reach back to the
// start by lying further apart.
func (d *Disciplined) History() []Sample {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.past)
}

// woke starts anew where the machine was suspended since the last call. The caller holds mu.
func (d *Disciplined) woke() {
	b, ok := d.c.Oscillator.(interface{ Breaks() int64 })
	if !ok {
		return
	}
	if n := b.Breaks(); n != d.breaks {
		d.breaks = n
		d.forget()
	}
}

// kissed does what a kiss-o'-death asks for (RFC 5905 §7.4).
func (d *Disciplined) kissed(f *followed, code string) {
	switch code {
	case "DENY", "RSTR":
		f.gone = true
	case "RATE":
		f.maxPoll = max(f.maxPoll, log2(Far.Max))
		f.minPoll = min(f.minPoll+1, f.maxPoll)
		f.poll = max(f.poll, f.minPoll)
	}
}

// hurry asks less often while things go as foreseen, and more often when they do not.
func (f *followed) hurry(now float64, before line, foreseen bool) {
	after, ok := f.filter.estimate(now)
	if !ok {
		return
	}
	off := math.Abs(after.offset - before.offset)
	r, _ := f.filter.lines(now)
	low, high := r.bounds(now)
	switch width := high - low; {
	case f.poll < f.minPoll:
		f.poll++ // learning the rate
	case !foreseen || off > width/2:
		f.calm = 0
		f.poll = max(f.poll-1, f.minPoll)
	case off > max(width/8, float64(10*time.Microsecond)):
		f.calm = 0
	default:
		if f.calm++; f.calm >= calmPolls {
			f.calm = 0
			f.poll = min(f.poll+1, f.maxPoll)
		}
	}
}

// forget starts anew, as after the machine was suspended: the oscillator did not count meanwhile, or only roughly.
func (d *Disciplined) forget() {
	for _, f := range d.sources {
		f.filter.reset()
		f.poll, f.heard = firstPoll, -1
	}
	d.set = false
	d.clash = -1
	v := *d.view.Load()
	v.candidates, v.prior, v.status, v.reason = nil, nil, Unsynchronised, "the machine was suspended, and nobody has been heard since"
	d.view.Store(&v)
}

// leapSecond follows the announcement of the majority, and takes the second in or out of everything that was
// measured before it. The time that is shown is slewed over it, on every node in the same way.
func (d *Disciplined) leapSecond(now float64) {
	shown := d.time(time.Duration(now*1e9), d.view.Load().shown(now))
	if !d.leapAt.IsZero() && !shown.Before(d.leapAt) {
		by := -time.Second
		if d.leap == LeapDelete {
			by = time.Second
		}
		for _, f := range d.sources {
			f.filter.shift(by)
		}
		v := *d.view.Load()
		v.candidates = shifted(v.candidates, float64(by))
		v.prior = shifted(v.prior, float64(by))
		d.view.Store(&v)
		d.leapAt, d.leap = time.Time{}, LeapNone
		return
	}
	var votes [3]int
	for _, f := range d.sources {
		if f.selected && f.filter.seen && f.filter.last.Leap < LeapUnknown {
			votes[f.filter.last.Leap]++
		}
	}
	d.leap, d.leapAt = LeapNone, time.Time{}
	for _, l := range []Leap{LeapAdd, LeapDelete} {
		if votes[l] > votes[LeapNone] {
			y, m, _ := shown.UTC().Date()
			d.leap, d.leapAt = l, time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC)
			if l == LeapDelete {
				d.leapAt = d.leapAt.Add(-time.Second)
			}
		}
	}
}

func shifted(all []candidate, by float64) []candidate {
	out := slices.Clone(all)
	for i, c := range out {
		out[i].reach.corners = slices.Clone(c.reach.corners)
		for n := range out[i].reach.corners {
			out[i].reach.corners[n].offset += by
		}
	}
	return out
}

// update chooses among the sources and steers the clock.
func (d *Disciplined) update(now float64) {
	old := d.view.Load()
	smeared := d.smearing()
	var all []interval
	var candidates []candidate
	for n, f := range d.sources {
		f.selected, f.rejected = false, f.trouble
		switch {
		case f.gone:
			f.rejected = "told us to go away (" + f.trouble + ")"
			continue
		case !f.filter.seen:
			if f.rejected == "" {
				f.rejected = "has not answered"
			}
			continue
		case f.filter.last.Smeared != smeared:
			f.rejected = "spreads leap seconds over a day, and the others do not"
			if smeared {
				f.rejected = "does not spread leap seconds over a day, as the others do"
			}
			continue
		}
		r, ok := f.filter.lines(now)
		likely, guessed := f.filter.estimate(now)
		if !ok || !guessed {
			f.rejected = "contradicts itself"
			continue
		}
		c := candidate{r, float64(f.filter.last.RootDistance())}
		i := c.bounds(now)
		i.estimate, i.source = likely, n
		all, candidates = append(all, i), append(candidates, c)
	}
	kept := survivors(all)
	if len(kept) == 0 {
		d.keep(now, old, all, candidates)
		return
	}
	for _, i := range all {
		d.sources[i.source].rejected = "is outvoted by the others"
	}
	heard, stale, stratum := -1.0, 0.0, 0
	for _, i := range kept {
		f := d.sources[i.source]
		f.selected, f.rejected = true, ""
		heard, stale = max(heard, f.heard), max(stale, staleAfter*float64(int(1)<<f.poll))
		if of := int(f.filter.last.Stratum); stratum == 0 || of < stratum {
			stratum = of
		}
	}
	target := combine(kept)
	v := &view{at: now, rate: max(-maxRate, min(maxRate, target.rate)), candidates: candidates, status: Synchronised, heard: heard, stale: stale, stratum: stratum, leap: d.leap}
	d.unkept(v, kept)
	if !d.set {
		d.set = true
		again := false
		select {
		case <-d.ready:
			again = true
		default:
			close(d.ready)
		}
		// After a suspension time has gone on; but it is not set back for those who have seen it.
		if v.correction = target.offset; !again || v.correction >= old.shown(now) {
			d.show(old, v)
			return
		}
		d.steer(old, v, now, target.offset)
		return
	}
	low, high, _ := boundsOf(candidates, now)
	was := old.candidates
	if d.clash >= 0 {
		was = old.prior
	}
	wasLow, wasHigh, known := boundsOf(was, now)
	apart := max(wasLow-high, low-wasHigh)
	if known && apart > 0 {
		if d.clash < 0 {
			d.clash = now
		}
		if now-d.clash < patience || apart > slewable {
			// Whoever is right, the truth is in one of the two.
			v.correction, v.rate, v.prior = old.shown(now), old.rate, was
			v.status = Unsynchronised
			v.reason = fmt.Sprintf("the time servers say what cannot be: that this clock, which they set, has come to be wrong by at least %v", time.Duration(apart).Round(time.Microsecond))
			if apart > slewable {
				v.reason += "; if they are right, start tutti again"
			}
			d.show(old, v)
			return
		}
	}
	d.clash = -1
	d.steer(old, v, now, target.offset)
}

// unkept says so where all that there is to follow is this machine's clock, which nobody keeps.
func (d *Disciplined) unkept(v *view, kept []interval) {
	for _, i := range kept {
		if last := d.sources[i.source].filter.last; !last.Host || last.Stratum < maxStratum {
			return
		}
	}
	v.status = Unsynchronised
	v.reason = "nobody keeps this machine's clock: name time servers (clock: servers), or run chrony or systemd-timesyncd"
}

// steer goes on from what is shown and slews towards an offset.
func (d *Disciplined) steer(old, v *view, now, offset float64) {
	v.correction = old.shown(now)
	v.pending = offset - v.correction
	v.slew = math.Copysign(min(maxSlew, max(math.Abs(v.pending)/slewOver, leastSlew)), v.pending)
	d.show(old, v)
}

// keep goes on without a majority: on what was known, with everything that was said inside the bound.
func (d *Disciplined) keep(now float64, old *view, all []interval, candidates []candidate) {
	v := *old
	v.at, v.correction = now, old.shown(now)
	v.pending, v.slew = v.pending-(v.correction-old.correction-old.rate*(now-old.at)), old.slew
	if len(all) == 0 {
		d.view.Store(&v) // nobody was heard: what there is widens by itself
		return
	}
	for _, i := range all {
		d.sources[i.source].rejected = "has no majority behind it"
	}
	v.status, v.reason = Unsynchronised, "the time servers contradict one another, and no majority agrees"
	if d.clash < 0 {
		d.clash, v.prior = now, old.candidates
	}
	v.candidates = candidates
	d.show(old, &v)
}

func (d *Disciplined) show(old, v *view) {
	d.view.Store(v)
	if old.status != v.status || old.reason != v.reason {
		attrs := []any{"state", string(v.status)}
		if v.reason != "" {
			attrs = append(attrs, "why", v.reason)
		}
		level := slog.LevelInfo
		if v.status != Synchronised {
			level = slog.LevelWarn
		}
		d.c.Logger.Log(context.Background(), level, "clock", attrs...)
	}
}

// smearing is whether the clock follows servers that spread leap seconds over a day: the larger camp, or where they are
// equal the one that keeps to UTC. Mixed, the two would be up to half a second apart around a leap second.
func (d *Disciplined) smearing() bool {
	smear, not := 0, 0
	for _, f := range d.sources {
		switch {
		case !f.filter.seen || f.gone:
		case f.filter.last.Smeared:
			smear++
		default:
			not++
		}
	}
	return smear > not
}
