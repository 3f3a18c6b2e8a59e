package carbon

import (
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tutti/clock"
)

// sums returns the energy of all parts and that of the machine.
func sums(m *Meter) (parts, node Joules) {
	for _, by := range m.parts {
		for _, j := range by {
			parts += j
		}
	}
	for _, j := range m.node {
		node += j
	}
	return parts, node
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*max(1, math.Abs(want)) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// TestPartsAddUp: whatever counters do (run round, vanish, come back, fall), whatever the clock is set to, however time
// passes and whoever uses it, the parts add up to the machine within 0.1 %, none of them falls, and no look gives more
// than the counters did.
func TestPartsAddUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tr := newTree(t, rapid.IntRange(1, 8).Draw(rt, "vcpus"))
		const wrap = 262_143_328_850
		var counter [2]uint64
		there := [2]bool{rapid.Bool().Draw(rt, "package-0"), rapid.Bool().Draw(rt, "package-1")}
		show := func() {
			for i, on := range there {
				folder := "intel-rapl:" + strconv.Itoa(i)
				if on {
					tr.zone(folder, "package-"+strconv.Itoa(i), counter[i]%wrap, wrap)
				} else if _, err := readLine(tr.dir + "/powercap/" + folder + "/name"); err == nil {
					tr.drop(folder)
				}
			}
		}
		show()
		var stream, scan time.Duration
		c := tr.config()
		c.Work = []Work{{Stream, func() time.Duration { return stream }}, {Scan, func() time.Duration { return scan }}}
		m := tr.meter(c)
		before := map[Component]map[Origin]Joules{}
		for range rapid.IntRange(1, 8).Draw(rt, "looks") {
			seconds := rapid.Float64Range(0, 20_000).Draw(rt, "seconds")
			busy := rapid.Float64Range(0, 1).Draw(rt, "busy") * seconds * float64(tr.vcpus)
			ours := rapid.Float64Range(0, 1.2).Draw(rt, "ours") * busy
			stream += time.Duration(rapid.Float64Range(0, 1.5).Draw(rt, "stream") * ours * float64(time.Second))
			scan += time.Duration(rapid.Float64Range(0, 1.5).Draw(rt, "scan") * ours * float64(time.Second))
			tr.children += time.Duration(rapid.Float64Range(0, 0.5).Draw(rt, "children") * busy * float64(time.Second))
			for i := range counter {
				counter[i] += uint64(rapid.Float64Range(0, 200e6).Draw(rt, "watts") * seconds)
			}
			switch rapid.IntRange(0, 4).Draw(rt, "fault") {
			case 0:
				there[0] = !there[0]
			case 1:
				there[1] = !there[1]
			case 2:
				tr.clock = clock.NewFake(noon.Add(time.Duration(rapid.Int64Range(-1e18, 1e18).Draw(rt, "step"))))
				m.c.Clock = tr.clock
			case 3:
				tr.clock.Advance(time.Duration(seconds * float64(time.Second)))
			}
			show()
			tr.passed(seconds, busy, ours)
			tr.look(m)
			parts, node := sums(m)
			if math.Abs(float64(parts-node)) > 1e-3*float64(node) {
				rt.Fatalf("the parts add up to %v J, the machine is %v J", parts, node)
			}
			var kept Joules
			for _, d := range m.book.days {
				for _, by := range d.Energy {
					for _, j := range by {
						kept += j
					}
				}
			}
			if math.Abs(float64(kept-node)) > 1e-3*float64(node) {
				rt.Fatalf("the days add up to %v J, the machine is %v J", kept, node)
			}
			for _, c := range Components {
				for origin, j := range m.parts[c] {
					if j < before[c][origin] || math.IsNaN(float64(j)) {
						rt.Fatalf("%s fell from %v to %v J", c, before[c][origin], j)
					}
				}
				before[c] = maps.Clone(m.parts[c])
			}
		}
	})
}

// TestCountersAreExact: what the counters show is what is booked, also where one has run round, and one zone that is shown
// twice counts once.
func TestCountersAreExact(t *testing.T) {
	tr := newTree(t, 4)
	const wrap = 1_000_000_000 // 1000 J
	tr.zone("intel-rapl:0", "package-0", 900e6, wrap)
	tr.zone("intel-rapl:0:0", "core", 5, wrap)
	tr.zone("intel-rapl:0:1", "dram", 5, wrap)
	tr.zone("intel-rapl-mmio:0", "package-0", 900e6, wrap)
	tr.zone("intel-rapl:1", "package-1", 0, wrap)
	var stream time.Duration
	c := tr.config()
	c.Work = []Work{{Stream, func() time.Duration { return stream }}}
	m := tr.meter(c)
	tr.zone("intel-rapl:0", "package-0", 50e6, wrap) // 150 J on
	tr.zone("intel-rapl-mmio:0", "package-0", 50e6, wrap)
	tr.zone("intel-rapl:0:0", "core", 900e6, wrap)
	tr.zone("intel-rapl:1", "package-1", 50e6, wrap)
	stream = 250 * time.Millisecond
	tr.passed(1, 2, 0.5) // of 4 CPU seconds half were busy, an eighth ours, half of that streaming
	tr.look(m)
	near(t, "the machine", float64(m.node["package"]), 200)
	near(t, "stream", float64(m.parts[Stream]["package"]), 200*0.25/4)
	near(t, "serve", float64(m.parts[Serve]["package"]), 200*0.25/4)
	near(t, "other", float64(m.parts[Other]["package"]), 200*1.5/4)
	near(t, "idle", float64(m.parts[Idle]["package"]), 100)
	if b := m.basis(); b.Label != Measured {
		t.Errorf("counters are %+v", b)
	}

	// psys holds everything, and wins from then on that it is there at both ends.
	tr.zone("intel-rapl:2", "psys", 0, wrap)
	tr.passed(1, 0, 0)
	tr.look(m)
	tr.zone("intel-rapl:2", "psys", 7e6, wrap)
	tr.passed(1, 0, 0)
	tr.look(m)
	near(t, "psys", float64(m.node["psys"]), 7)
}

// TestSeldomReadCountersAreEstimates: a counter that may have run round unseen is no measurement. What it drew when it was
// last measured says how often it has.
func TestSeldomReadCountersAreEstimates(t *testing.T) {
	tr := newTree(t, 4)
	const wrap = 100_000_000_000 // 100 kJ: 200 s at what a zone may draw at most
	tr.zone("intel-rapl:0", "package-0", 0, wrap)
	m := tr.meter(tr.config())
	tr.passed(100, 0, 0)
	tr.zone("intel-rapl:0", "package-0", 2000e6, wrap) // 20 W
	tr.look(m)
	near(t, "measured", float64(m.node["package"]), 2000)
	tr.passed(10_000, 0, 0)
	tr.zone("intel-rapl:0", "package-0", 212_000_000_000%wrap, wrap) // 21 W, so that it ran round twice
	tr.look(m)
	near(t, "estimated", float64(m.node["package-estimated"]), 210_000)
	if l := Origin("package-estimated").Label(); l != Modelled {
		t.Errorf("what was read too seldom is %s", l)
	}
	// Before anything was measured nobody can say how often, and the model is taken.
	m = tr.meter(tr.config())
	tr.passed(10_000, 0, 0)
	tr.look(m)
	near(t, "model", float64(m.node[fromModel]), 10_000*(4*AverageMinWatts+16*DefaultMemoryWatts))
}

// TestModel: where nothing measures, it is watts per vCPU by how busy they are, and memory.
func TestModel(t *testing.T) {
	tr := newTree(t, 2)
	tr.write("proc/cpuinfo", "model name\t: AMD EPYC 7763 64-Core Processor\n")
	c := tr.config()
	c.Rest = Stream
	m := tr.meter(c)
	tr.passed(3600, 720, 720) // a tenth busy, all of it ours
	tr.look(m)
	idle, busy := 3600*(2*0.45+16*0.392), 720*(2.02-0.45)
	near(t, "idle", float64(m.parts[Idle][fromModel]), idle)
	near(t, "stream", float64(m.parts[Stream][fromModel]), busy)
	near(t, "grams", float64(m.grams[Idle]+m.grams[Stream]), (idle+busy)/3.6e6*500)
	for name, third := range map[string]bool{"AMD EPYC 7763 64-Core Processor": true, "AMD EPYC 7R13 Processor": true, "AMD EPYC 7742": false, "AMD EPYC 9654": false, "AMD EPYC": false} {
		if got := (Model{}).settle(name).max == epycThirdMax; got != third {
			t.Errorf("%s: third generation %v", name, got)
		}
	}
	if s := (Model{MinWatts: 1, MaxWatts: 2, MemoryWatts: -1}).settle("AMD EPYC 7763"); s.min != 1 || s.max != 2 || s.memory != 0 {
		t.Errorf("configured watts are %+v", s)
	}
}

// TestContainer: with a limit of its own a container is the boundary.
func TestContainer(t *testing.T) {
	tr := newTree(t, 64)
	tr.write("cgroup/cpu.max", "150000 100000\n")
	tr.write("cgroup/memory.max", "2000000000\n")
	tr.write("cgroup/cpu.stat", "usage_usec 1000000\nuser_usec 1\n")
	m := tr.meter(tr.config())
	tr.passed(100, 3000, 10)
	tr.write("cgroup/cpu.stat", "usage_usec 16000000\nuser_usec 1\n")
	tr.look(m)
	idle := 100 * (1.5*AverageMinWatts + 2*DefaultMemoryWatts)
	near(t, "idle", float64(m.parts[Idle][fromModel]), idle)
	near(t, "serve", float64(m.parts[Serve][fromModel]), 10*(AverageMaxWatts-AverageMinWatts))
	near(t, "other", float64(m.parts[Other][fromModel]), 5*(AverageMaxWatts-AverageMinWatts))
}

// TestLateTicks: what the kernel counts for the machine later than for us is not taken for somebody else's.
func TestLateTicks(t *testing.T) {
	tr := newTree(t, 2)
	m := tr.meter(tr.config())
	for range 50 {
		tr.passed(1, 0, 0.5)
		tr.look(m)
		tr.passed(1, 1, 0.5)
		tr.look(m)
	}
	if other := m.parts[Other][fromModel]; other > 1e-6 {
		t.Errorf("%v J were somebody else's", other)
	}
}

// TestPlug reads a real server over HTTP: a counter, a power, and a plug that goes away.
func TestPlug(t *testing.T) {
	var body atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if body.Load().(string) == "" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte(body.Load().(string)))
	}))
	defer server.Close()
	tr := newTree(t, 2)
	plug, err := NewPlug(PlugConfig{URL: server.URL, Path: "$.aenergy.total", Unit: "Wh", Clock: tr.clock})
	must(t, err)
	c := tr.config()
	c.Plug = plug
	body.Store(`{"apower":12.5,"aenergy":{"total":1000.5,"by_minute":[1,2]}}`)
	m := tr.meter(c)
	body.Store(`{"apower":12.5,"aenergy":{"total":1012.5}}`)
	tr.passed(3600, 1800, 900)
	tr.clock.Advance(time.Hour)
	tr.look(m)
	near(t, "plug", float64(m.node[fromPlug]), 12*3600)
	near(t, "serve", float64(m.parts[Serve][fromPlug]), 12*3600*900/7200)
	if b := m.basis(); b.Label != Measured {
		t.Errorf("a plug is %+v", b)
	}
	body.Store("") // away: the model serves, also for the interval in which it comes back
	tr.passed(10, 0, 0)
	tr.look(m)
	tr.clock.Advance(plugRetry)
	body.Store(`{"aenergy":{"total":5}}`)
	tr.passed(10, 0, 0)
	tr.look(m)
	body.Store(`{"aenergy":{"total":4}}`) // it was reset
	tr.passed(10, 0, 0)
	tr.look(m)
	near(t, "model", float64(m.node[fromModel]), 30*(2*AverageMinWatts+16*DefaultMemoryWatts))

	power, err := NewPlug(PlugConfig{URL: server.URL, Path: "Status[1]['P out']", Unit: "W", Clock: tr.clock})
	must(t, err)
	c.Plug = power
	body.Store(`{"Status":[0,{"P out":"10"}]}`)
	m = tr.meter(c)
	body.Store(`{"Status":[0,{"P out":20}]}`)
	tr.passed(10, 0, 0)
	tr.look(m)
	near(t, "power", float64(m.node[fromPlug]), 150)
	tr.passed(1000, 0, 0)
	tr.look(m)
	near(t, "power read seldom", float64(m.node[fromPlug+estimatedFor]), 20_000)
	for _, bad := range []PlugConfig{{URL: "ftp://x", Path: "$.a", Unit: "W"}, {URL: "http://x", Path: "$", Unit: "W"}, {URL: "http://x", Path: "$.a", Unit: "A"}} {
		if _, err := NewPlug(bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// TestTally counts the CPU time of what runs inside, and no time that is only waited.
func TestTally(t *testing.T) {
	var tally Tally
	x := 1.0
	for tally.CPU() < 2*time.Millisecond {
		tally.Do(func() {
			for range 100_000 {
				x = math.Sqrt(x + 1)
			}
		})
	}
	before := tally.CPU()
	tally.Do(func() {})
	if spent := tally.CPU() - before; spent > time.Millisecond {
		t.Errorf("nothing took %v", spent)
	}
	var none *Tally
	ran := false
	none.Do(func() { ran = true })
	if !ran || none.CPU() != 0 {
		t.Error("a nil Tally does not run what it is given")
	}
}

// BenchmarkLook is what a look costs on this machine, and BenchmarkPlayed what a stream's end does.
func BenchmarkLook(b *testing.B) {
	m, err := NewMeter(b.Context(), MeterConfig{Grid: constant(1), Clock: clock.System, Logger: newTree(b, 1).config().Logger})
	must(b, err)
	for b.Loop() {
		must(b, m.Look(b.Context()))
	}
}

func BenchmarkPlayed(b *testing.B) {
	tr := newTree(b, 1)
	m := tr.meter(tr.config())
	for b.Loop() {
		m.Played(Play{Listener: "us-1", Link: Fixed, Bytes: 1e6, Duration: time.Minute})
	}
}
