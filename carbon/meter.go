package carbon

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"tutti"
	"tutti/clock"
)

// Component is what energy was used for.
type Component string

// The components. Serve is the rest of this process: the page, the wires, memory. Other is whatever else runs on the
// machine; it is metered, so that the parts add up to the machine, and is no part of any score.
const (
	Stream    Component = "stream"
	Transcode Component = "transcode"
	Scan      Component = "scan"
	Enrich    Component = "enrich"
	Train     Component = "train"
	Rooms     Component = "rooms"
	Serve     Component = "serve"
	Other     Component = "other"
	Idle      Component = "idle"
)

// Components lists the components.
var Components = []Component{Stream, Transcode, Scan, Enrich, Train, Rooms, Serve, Other, Idle}

// Origin says what the energy of an interval is known from. Those with a suffix are estimates: readings that were too
// far apart to be a measurement.
type Origin string

// The origins beside the classes of RAPL zones ("psys", "package", "core", "dram").
const (
	fromPlug     Origin = "plug"
	fromModel    Origin = "model"
	estimatedFor        = "-estimated"
)

// Label says how far an origin is to be trusted.
func (o Origin) Label() Label {
	if o == fromPlug || slices.Contains(zoneClasses, string(o)) {
		return Measured
	}
	return Modelled
}

// Work is one kind of work in this process, and how its CPU time is known.
type Work struct {
	Component Component
	// CPU is the CPU time that it took so far; what it returns never falls. It is a tally of threads, or an estimate
	// from something counted; the sum of all is held to what the kernel says of the process.
	CPU func() time.Duration
}

// MeterConfig is what a Meter needs. Grid, Clock and Logger are required.
type MeterConfig struct {
	Proc, Powercap, Cgroup string // where the kernel shows itself; "" is /proc, /sys/class/powercap, /sys/fs/cgroup
	Plug                   *Plug  // nil for none
	Model                  Model
	Work                   []Work
	Rooms                  func() (time.Duration, int64) // the sound that players in rooms were sent so far, and its bytes; nil: none
	Rest                   Component                     // what this process does where no Work says; "" is Serve
	Hardware               Hardware                      // VCPUs and Memory 0: those of the machine
	Grid                   Grid
	Ledger                 Ledger // what is kept; nil: nothing is
	Member                 string // this process's name in the Ledger; "" on one machine
	// Every is how far apart Run looks and keeps at most, though nothing happens; 0: for as long as nothing happens it
	// sleeps. It is for members of a fleet, which nobody may ask for long.
	Every  time.Duration
	Clock  clock.Clock
	Logger *slog.Logger

	// usage replaces processTime in tests.
	usage func() (self, children time.Duration, err error)
}

// Meter knows what energy this machine used and for what. It looks when it is asked to: what happened between two looks
// is attributed by counters that went on meanwhile, so that nothing has to tick.
//
// Energy is taken from the best of what is there at both ends of an interval: the plug, the processor's own counters
// (psys, package, core, dram), the model. It is attributed by CPU time: of what the machine used, the share of its
// processors' time that was busy went to what made them busy, and the rest to idleness; with the model, whose idle power
// is known, exactly what is above that went to what made them busy. Of this process, CPU time is attributed to
// Config.Work as far as the kernel's total for the process allows. The parts always add up to the machine.
type Meter struct {
	c     MeterConfig
	model settled
	name  string // of the processor

	mu       sync.Mutex
	last     *look
	zones    map[string]zonePower // by class
	lag      float64              // CPU seconds of ours that the kernel had not yet counted for the machine, and so went to nobody else
	parts    map[Component]map[Origin]Joules
	node     map[Origin]Joules
	origin   Origin // of the last interval
	now      Intensity
	plugAway time.Time // until when the plug is left alone
	hours    float64   // stream-hours since the process began
	grams    map[Component]Grams
	covered  time.Duration // of the process's life, for what making the machine emitted
	book     daybook
	kept     time.Time

	wake   chan struct{}
	plays  sync.Mutex // held for moments only: listeners wait for it
	played []dated
}

// look is everything that was read at one time.
type look struct {
	at             time.Time
	machine        machine
	zones          map[string]map[string]zoneReading
	plug           plugReading
	plugged        bool
	self, children time.Duration
	work           []time.Duration
	sound          time.Duration // that players in rooms were sent
	bytes          int64
}

// plugRetry is how long a plug that did not answer is left alone.
const plugRetry = time.Minute

// NewMeter returns a Meter that has looked once, so that it knows from now on.
func NewMeter(ctx context.Context, c MeterConfig) (*Meter, error) {
	const op = "carbon.NewMeter"
	if c.Grid == nil || c.Clock == nil || c.Logger == nil {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "a grid, a clock and a logger are needed")
	}
	for _, d := range []struct{ field, value *string }{
		{&c.Proc, ptr("/proc")},
		{&c.Powercap, ptr("/sys/class/powercap")},
		{&c.Cgroup, ptr("/sys/fs/cgroup")},
	} {
		if *d.field == "" {
			*d.field = *d.value
		}
	}
	if c.Rest == "" {
		c.Rest = Serve
	}
	if c.usage == nil {
		c.usage = func() (time.Duration, time.Duration, error) { return processTime(c.Proc) }
	}
	m := &Meter{
		c: c, name: readModelName(c.Proc),
		zones: map[string]zonePower{}, parts: map[Component]map[Origin]Joules{}, node: map[Origin]Joules{}, grams: map[Component]Grams{},
	}
	for _, class := range zoneClasses {
		m.zones[class] = zonePower{}
	}
	m.model = c.Model.settle(m.name)
	if err := m.open(ctx); err != nil {
		return nil, err
	}
	return m, m.Look(ctx)
}

func ptr[T any](v T) *T { return &v }

// Look reads what there is and attributes what was used since the last look. It returns KindUnavailable where the
// kernel's accounting cannot be read; the next look then covers the time.
func (m *Meter) Look(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lookLocked(ctx)
}

func (m *Meter) lookLocked(ctx context.Context) error {
	const op = "carbon: read the kernel's accounting"
	l := &look{at: m.c.Clock.Now(), zones: readPowercap(m.c.Powercap), work: make([]time.Duration, len(m.c.Work))}
	if m.c.Plug != nil && !l.at.Before(m.plugAway) {
		var err error
		if l.plug, err = m.c.Plug.read(ctx); err != nil {
			m.c.Logger.WarnContext(ctx, "the plug does not say what it measures; the next best is taken meanwhile", "err", err)
			m.plugAway = l.at.Add(plugRetry)
		}
		l.plugged = err == nil
	}
	// What is attributed is read before what it is part of, so that it is never more.
	for i, w := range m.c.Work {
		l.work[i] = w.CPU()
	}
	if m.c.Rooms != nil {
		l.sound, l.bytes = m.c.Rooms()
	}
	var err error
	if l.self, l.children, err = m.c.usage(); err != nil {
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	if l.machine, err = readMachine(m.c.Proc, m.c.Cgroup); err != nil {
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	before := m.last
	m.last = l
	if before == nil {
		m.now = m.c.Grid.Now(ctx)
		return nil
	}
	m.attribute(ctx, before, l)
	if d := l.sound - before.sound; d > 0 {
		p := Play{Link: LAN, Bytes: l.bytes - before.bytes, Duration: d}
		m.book.play(l.at, p)
		m.hours += d.Hours()
	}
	return nil
}

// attribute books what was used between two looks.
func (m *Meter) attribute(ctx context.Context, before, after *look) {
	// Time is what the kernel says went by: it has no steps.
	seconds := max(0, after.machine.uptime-before.machine.uptime)
	capacity := max(0, after.machine.capacity-before.machine.capacity)
	busy := min(capacity, max(0, after.machine.busy-before.machine.busy))
	if before.machine.inGroup != after.machine.inGroup {
		capacity, busy = 0, 0 // the boundary has changed
	}
	energy, floor, origin := m.energy(before, after, time.Duration(seconds*float64(time.Second)), capacity, busy)
	cpu := m.cpu(before, after, busy)

	parts := split(energy, floor, capacity, cpu)
	m.origin = origin
	m.node[origin] += energy
	m.covered += time.Duration(seconds * float64(time.Second))
	m.now = m.c.Grid.Now(ctx)
	mean := m.c.Grid.Mean(ctx, before.at, after.at)
	for c, j := range parts {
		if j == 0 {
			continue
		}
		if m.parts[c] == nil {
			m.parts[c] = map[Origin]Joules{}
		}
		m.parts[c][origin] += j
		m.grams[c] += mean.Value.Of(j)
	}
	m.book.energy(before.at, after.at, seconds, origin, parts, mean)
}

// energy is what the machine used, what of that it would have used doing nothing (less than 0 where nobody knows), and
// how that is known.
func (m *Meter) energy(before, after *look, interval time.Duration, capacity, busy float64) (used, floor Joules, origin Origin) {
	if before.plugged && after.plugged {
		if e, measured, ok := after.plug.energy(before.plug, interval); ok {
			if !measured {
				return e, -1, fromPlug + estimatedFor
			}
			return e, -1, fromPlug
		}
	}
	for _, class := range zoneClasses {
		if e, exact, ok := energyOf(before.zones[class], after.zones[class], interval, m.zones[class]); ok {
			if !exact {
				return e, -1, Origin(class) + estimatedFor
			}
			return e, -1, Origin(class)
		}
	}
	used, floor = m.model.energy(capacity, busy, after.machine.memory, interval.Seconds())
	return used, floor, fromModel
}

// cpu is who used the processors, in CPU seconds.
func (m *Meter) cpu(before, after *look, busy float64) map[Component]float64 {
	cpu := map[Component]float64{}
	self := max(0, (after.self - before.self).Seconds())
	var sum float64
	for i, w := range m.c.Work {
		if used := (after.work[i] - before.work[i]).Seconds(); used > 0 {
			cpu[w.Component] += used
			sum += used
		}
	}
	if sum > self {
		for c := range cpu {
			cpu[c] *= self / sum
		}
		sum = self
	}
	cpu[m.c.Rest] += self - sum
	children := max(0, (after.children - before.children).Seconds())
	cpu[Transcode] += children
	// The machine's time is counted in ticks, and a child's by some kernels when it ends: what is ours and not yet among
	// the machine's is remembered, or it would be taken for somebody else's when it is counted.
	if other := busy - self - children - m.lag; other >= 0 {
		cpu[Other], m.lag = other, 0
	} else {
		m.lag = -other
	}
	return cpu
}

// split divides energy among who used the processors, and idleness. floor is what an idle machine would have used; where
// it is not known (less than 0), energy goes by the share of the processors' time.
func split(energy, floor Joules, capacity float64, cpu map[Component]float64) map[Component]Joules {
	var busy float64
	for _, c := range Components { // in their order, so that the same looks give the same sums
		busy += cpu[c]
	}
	active := energy - floor
	if floor < 0 {
		active = 0
		if capacity > 0 {
			active = energy * Joules(min(1, busy/capacity))
		}
	}
	parts := map[Component]Joules{}
	idle := energy
	if busy > 0 && active > 0 {
		for _, c := range Components {
			j := active * Joules(cpu[c]/busy)
			parts[c] = j
			idle -= j
		}
	}
	parts[Idle] = max(0, idle)
	return parts
}

// meter is the name of what the energy is known from, for a Footprint.
func (m *Meter) meter() string {
	if m.origin == "" {
		return string(fromModel) // until something was used
	}
	return strings.TrimSuffix(string(m.origin), estimatedFor)
}

// basis says what the energy is known from.
func (m *Meter) basis() Basis {
	boundary := "this machine's processors and memory"
	if m.last != nil && m.last.machine.inGroup {
		boundary = "this container's processors and memory"
	}
	switch {
	case m.origin == fromPlug:
		return Basis{Measured, "a plug that measures", "everything on that plug"}
	case m.origin == fromPlug+estimatedFor:
		return Basis{Modelled, "a plug's power, read too seldom to be a measurement", "everything on that plug"}
	case slices.Contains(zoneClasses, string(m.origin)):
		return Basis{Measured, "the processor's own energy counters (RAPL " + string(m.origin) + ")", zoneBoundaries[string(m.origin)]}
	}
	for _, class := range zoneClasses {
		if m.origin == Origin(class)+estimatedFor {
			return Basis{Modelled, "the processor's energy counters (RAPL " + class + "), read too seldom to be a measurement", zoneBoundaries[class]}
		}
	}
	return Basis{m.model.label, m.model.method, boundary}
}
