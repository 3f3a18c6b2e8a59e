package sim

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"testing"
	"time"

	"tutti/deploy/capacity"
)

func figures(t *testing.T) (m, a capacity.Figures) {
	t.Helper()
	m, err := capacity.Measured()
	if err != nil {
		t.Fatal(err)
	}
	if a, err = capacity.Assumed(); err != nil {
		t.Fatal(err)
	}
	return m, a
}

func run(t *testing.T, s Scenario) Result {
	t.Helper()
	r, err := Run(t.Context(), s.Name, s.Config)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func check(t *testing.T, r Result) {
	t.Helper()
	for _, p := range r.Points {
		if p.Edge+p.Cache+p.Peer+p.Head+p.Origin > p.Requests {
			t.Errorf("%+v: more answers than requests", p)
		}
		t.Logf("%v: %d starts, p50 %v p99 %v, refused %d lost %d; edge %d cache %d peer %d head %d origin %d of %d; origin %.0f/s; skew %.2f/%.2f; busy %.2f %.2f %.2f",
			p.At, p.Starts, p.P50, p.P99, p.Refused, p.Lost, p.Edge, p.Cache, p.Peer, p.Head, p.Origin, p.Requests, p.OriginRate, p.SkewP99, p.Skew, p.EdgeBusy, p.DeliveryBusy, p.CacheBusy)
	}
}

func TestRelease(t *testing.T) {
	m, a := figures(t)
	s, err := Release(m, a, 30_000, 20_000, 1)
	if err != nil {
		t.Fatal(err)
	}
	s.Config.Until = 6 * time.Minute
	s.Config.Every = 30 * time.Second
	one := run(t, s)
	check(t, one)
	before, after := one.Sum(0, s.Event), one.Sum(s.Event+time.Minute, s.Config.Until)
	if before.Starts == 0 || float64(after.Requests)/3 < 1.3*float64(before.Requests)/2 {
		t.Errorf("no crowd came: %d requests in 2 min, then %d in 3", before.Requests, after.Requests)
	}
	// The crowd wants one album, and that is read once for each owner of a chunk: the origin sees no crowd.
	if after.OriginRate > 1.3*before.OriginRate+5 {
		t.Errorf("origin: %.1f reads/s before, %.1f after", before.OriginRate, after.OriginRate)
	}
	if before.Refused > 0 || after.Lost > 0 {
		t.Errorf("refused %d before, lost %d after", before.Refused, after.Lost)
	}
}

// TestTheSameTwice: a zone lost in the middle of it included, a run is the same each time.
func TestTheSameTwice(t *testing.T) {
	m, a := figures(t)
	var results []Result
	for range 2 {
		s, err := Loss(m, a, 3_000, 2_000, 1, 2*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		results = append(results, run(t, s))
	}
	if results[0].Events < 1000 || !reflect.DeepEqual(results[0], results[1]) {
		t.Errorf("%d and %d requests, and not the same result", results[0].Events, results[1].Events)
	}
}

// TestZoneOfManyMachinesHeals: with as many nginx machines as ten million listeners have, drawn small, those of the lost zone
// are spread over all that are left, and none of these is asked for more than it can do.
func TestZoneOfManyMachinesHeals(t *testing.T) {
	m, a := figures(t)
	s, err := Loss(m, a, 30_000, 20_000, 1, 3*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	s.Config.Plan.Roles[0].Instances, s.Config.Plan.Roles[0].GbitEach = 56, s.Config.Plan.Roles[0].GbitEach*2/56
	r := run(t, s)
	check(t, r)
	if after, ok := r.Recovered(s.Event); !ok || after > time.Minute {
		t.Errorf("recovered after %v (%v)", after, ok)
	}
}

func TestLoss(t *testing.T) {
	m, a := figures(t)
	s, err := Loss(m, a, 30_000, 20_000, 1, 4*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, s)
	check(t, r)
	before, during := r.Sum(0, s.Event), r.Sum(s.Event, s.Event+10*time.Second)
	if before.Refused != 0 || during.Refused == 0 {
		t.Errorf("refused %d before and %d when a third of the fleet went", before.Refused, during.Refused)
	}
	if during.Lost > 0 {
		t.Errorf("%d listeners gave up", during.Lost)
	}
	// Each listener asks for the next chunk, and finds out, within 33 s.
	if after, ok := r.Recovered(s.Event); !ok || after > time.Minute {
		t.Errorf("recovered after %v (%v)", after, ok)
	}
}

// TestOverload: where a fleet is half as large as it must be, starts are refused and not put off without end.
func TestOverload(t *testing.T) {
	m, a := figures(t)
	s, err := Release(m, a, 30_000, 5_000, 1)
	if err != nil {
		t.Fatal(err)
	}
	s.Config.Until = 5 * time.Minute
	for i := range s.Config.Plan.Roles[:1] {
		s.Config.Plan.Roles[i].GbitEach /= 8
	}
	for i := range s.Config.Plan.Roles[3:] {
		s.Config.Plan.Roles[3+i].GbitEach /= 16
	}
	r := run(t, s)
	check(t, r)
	if last := r.Sum(4*time.Minute, 5*time.Minute); last.Refused == 0 {
		t.Error("nobody was refused")
	}
}

func TestDayFillsTheCaches(t *testing.T) {
	m, a := figures(t)
	s, err := Day(m, a, 8_000, 20_000, 10)
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, s)
	first, last := r.Sum(0, time.Hour), r.Sum(16*time.Hour, 17*time.Hour)
	hit := func(p Point) float64 { return 1 - float64(p.Origin)/float64(p.Requests) }
	if hit(last) < 0.6 || hit(last) <= hit(first) {
		t.Errorf("hit ratio %.2f at first, %.2f in the evening", hit(first), hit(last))
	}
	if last.Requests < 5*first.Requests {
		t.Errorf("%d requests in the first hour, %d at eight in the evening", first.Requests, last.Requests)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	m, a := figures(t)
	s, err := Release(m, a, 30_000, 5_000, 1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, s.Name, s.Config); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestPlotIsXML(t *testing.T) {
	var b bytes.Buffer
	err := Plot(&b, "p99 < 50 ms & more", "min", "ms", []Line{{"a", []float64{0, 1, 2}, []float64{1, 100, 10}}, {"b <", []float64{0, 2}, []float64{0, 5}}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(&b)
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
