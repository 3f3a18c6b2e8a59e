package capacity

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tutti"
)

var update = flag.Bool("update", false, "write the golden files anew")

// figures returns those of the tests, which a new measurement does not change.
func figures(t testing.TB) (m, a Figures) {
	t.Helper()
	b, err := os.ReadFile("testdata/measured.json")
	if err != nil {
		t.Fatal(err)
	}
	if m, err = ReadMeasured(b); err != nil {
		t.Fatal(err)
	}
	if a, err = Assumed(); err != nil {
		t.Fatal(err)
	}
	return m, a
}

func question(listeners int) Question {
	return Question{Listeners: listeners, Bitrate: 256, Tracks: 1_000_000, TrackSeconds: 240, Zones: 3}
}

func TestGolden(t *testing.T) {
	m, a := figures(t)
	for _, c := range []struct {
		name string
		q    Question
	}{
		{"small", Question{Listeners: 200, Bitrate: 900, Tracks: 20_000, TrackSeconds: 240, Zones: 1, NoHeads: true, NoTLS: true}},
		{"million", question(1_000_000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Make(c.q, m, a)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := p.WriteText(&got); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", c.name+".txt")
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got.String()); d != "" {
				t.Errorf("run with -update if this is meant (-want +got):\n%s", d)
			}
		})
	}
}

// TestByHand checks a plan against figures worked out apart from the program, with pencil and the two lists of figures
// (testdata/measured.json and assumed.json), for a million listeners at 256 kbit/s to a million tracks of 240 s.
func TestByHand(t *testing.T) {
	m, a := figures(t)
	p, err := Make(question(1_000_000), m, a)
	if err != nil {
		t.Fatal(err)
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-6*math.Abs(want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	const starts = 1e6 / 240. // 4,166.67 a second: everybody starts a track every 240 s
	near("starts", p.StartsPerSecond, starts)
	near("GB/s", p.GBPerSecond, 32) // 10⁶ × 32,000 bytes/s
	near("Gbit/s to listeners", p.Network.ToListenersGbit, 256*1.06)
	near("stream-hours", p.Money.StreamHours, 365e6)
	near("catalogue", p.Objects.GB, 7680) // 7.68 MB a track

	// nginx: 271.36 Gbit/s in machines of 0.6 × 12.5 are 36.2, so 37, and half as many again for a lost zone of three: 56.
	// Track caches: nginx has 0.14 of it, 27.52 GB/s are passed on, 233.37 Gbit/s in machines of 0.6 × 4.687 are 82.98, so 83
	// and 125. Starts ask for next to nothing: 3 delivery nodes and 3 for the catalogue, whose pages (0.02 MB each, three a
	// start) are 2.12 Gbit/s in machines of 0.6 × 1.876, 2 and 3.
	for i, want := range []int{56, 3, 3, 125} {
		if r := p.Roles[i]; r.Instances != want {
			t.Errorf("%s: %d machines, want %d", r.Name, r.Instances, want)
		}
	}
	// 125 disks hold two copies of everything, for which the curve has 0.98 of ALL requests. So 0.02 of the 32 GB/s are
	// read from the object store, 0.64 GB/s in chunks of 1,048,576 bytes, whatever part of the hits is nginx's; of the 0.86
	// that reach the track caches they answer 0.84.
	near("hits", p.HitRatio, .98)
	near("hits of the track caches", p.CacheHitRatio, .84/.86)
	near("reads of the object store", p.Objects.GetsPerSecond, 610.3515625)
	near("Gbit/s from it", p.Network.OriginGbit, .64*8*1.06)
	// 0.3 s of CPU for each of the 27.52 GB sent, 2 s more for each of the 0.64 fetched, 0.2 ms a start.
	near("cores of the track caches", p.Roles[3].CPU, 8.256+1.28+starts*.0002)

	// A head is 341.1 KiB: a consistent read is a unit for 4 KiB, 85.3, so 87 for its two items; a write is a unit for 1 KiB, 342, and one for
	// the note. A partition's 3,000 units are 34 reads, a new table's 4,000 are 11 writes, a million reads 87 × $0.125.
	limits := map[string]Limit{}
	for _, l := range p.Limits {
		limits[l.Name] = l
	}
	near("head reads of a partition", limits["head reads, one partition"].Ceiling, 34)
	near("head writes of a new table", limits["head writes, new table"].Ceiling, 11)
	near("a million starts from heads", p.Money.HeadsPerStarts, 10.875)
	// 0.02 of the starts find their beginning nowhere, half of those have a head, the others learn that for a unit.
	// 200,000 heads that live 30 days are written every 12.96 s.
	near("head reads", p.Store.HeadReads, starts*.01)
	near("head writes", p.Store.HeadWrites, 1/12.96)

	// When nobody listens: 131 members write a unit a second. They and 56 nginx machines read 131 × 300 bytes, 9.6 units of
	// 4,096 bytes and so 10, as often. 3 catalogue nodes read two units each. A head is written as ever, after a look for
	// its note.
	const restingReads, restingWrites = 187*10 + 3*2 + 1/12.96, 131 + 343/12.96
	near("resting reads", p.Store.RestingReads, restingReads)
	near("resting writes", p.Store.RestingWrites, restingWrites)
	near("heartbeats read", limits["heartbeats, one partition's reads"].Load, 1870)
	near("heartbeats written", limits["heartbeats, one partition's writes"].Load, 131)
	// A start takes one read, its report one read and two writes.
	const reads, writes = starts*2 + starts*.01*87 + starts*.01, starts * 2
	near("reads", p.Store.ReadUnits, reads+restingReads)
	near("writes", p.Store.WriteUnits, writes+restingWrites)
	near("all writes as those of heads", limits["head writes, new table"].Load, (writes+restingWrites)/343)
	// A month has 2,628,000 s. On average half as many listen as at the peak, but as many machines run.
	near("reads a month", p.Store.ReadMillions, (reads/2+restingReads)*2.628)
	near("writes a month", p.Store.WriteMillions, (writes/2+restingWrites)*2.628)
	near("reads of the object store, a month", p.Objects.GetsMillions, 610.3515625/2*2.628)
	// 32 GB/s × ½ × 2,628,000 s × 1.06, the first 150,000 GB at their prices and the rest at $0.05.
	near("egress", p.Money.Egress, 10_000*.09+40_000*.085+100_000*.07+(32*.5*2_628_000*1.06-150_000)*.05)
	// Two thirds of what the track caches send goes to another zone.
	near("between zones", p.Money.Zones, 27.52*1.06*2/3*.5*2_628_000*.02)
	// 4,000 write units a second are the reports of 480,000 listeners, less the heads' 26 and the heartbeats' 63: the
	// fleet for 469,000 has 59 track caches and four others.
	if at := limits["write units, new table"].Binds; at < 468_500 || at > 470_000 {
		t.Errorf("a new table's writes bind at %d listeners", at)
	}
}

// TestAtRest checks what a fleet takes when nobody listens against DynamoDB's own count for one of two delivery, two
// catalogue and three track cache processes and one nginx: 11.2 units read and 7.4 written a second (docs/benchmarks.md,
// "The fleet next to nginx and a broker"; leases and the scan are in that as well).
func TestAtRest(t *testing.T) {
	m, a := figures(t)
	reads, writes := resting(m, a, 7, 1, 2)
	if reads != 12 || writes != 7 {
		t.Errorf("%v units read and %v written, want 8 looks of one unit and 2 × 2 for the log, and 7 heartbeats", reads, writes)
	}
	if math.Abs(reads-11.2) > .1*11.2 || math.Abs(writes-7.4) > .1*7.4 {
		t.Errorf("%v units read and %v written; measured were 11.2 and 7.4", reads, writes)
	}
}

// with is a list of figures with one of them changed.
func with(f Figures, name string, value float64) Figures {
	f.Figures = maps.Clone(f.Figures)
	figure := f.Figures[name]
	figure.Value = value
	f.Figures[name] = figure
	return f
}

func someQuestion(t *rapid.T) Question {
	return Question{
		Listeners: rapid.IntRange(1, 1e7).Draw(t, "listeners"), Bitrate: rapid.IntRange(8, 3000).Draw(t, "bitrate"),
		Tracks: rapid.IntRange(1, 1e8).Draw(t, "tracks"), TrackSeconds: rapid.Float64Range(30, 3000).Draw(t, "seconds"),
		HitRatio: rapid.Float64Range(0, 1).Draw(t, "hits"), Zones: rapid.IntRange(1, 6).Draw(t, "zones"),
		NoHeads: rapid.Bool().Draw(t, "no heads"), NoTLS: rapid.Bool().Draw(t, "no TLS"),
	}
}

func close6(a, b float64) bool { return math.Abs(a-b) <= 1e-6*max(math.Abs(a), math.Abs(b), 1e-9) }

// TestEveryByteComesFromSomewhere: what nginx, the track caches and the object store answer is all that is asked for,
// and the object store answers no more than nginx passes on.
func TestEveryByteComesFromSomewhere(t *testing.T) {
	m, a := figures(t)
	rapid.Check(t, func(t *rapid.T) {
		edge := rapid.Float64Range(0, 1).Draw(t, "nginx has")
		p := compute(someQuestion(t), m, with(a, edgeHit, edge))
		passed := p.Network.CacheToEdgeGbit / 8 / a.at(framing)
		stored := p.Objects.GetsPerSecond * tutti.ChunkSize / 1e9
		if sum := p.GBPerSecond*edge + passed*p.CacheHitRatio + stored; !close6(sum, p.GBPerSecond) {
			t.Fatalf("%v GB/s are answered, %v asked for: %+v", sum, p.GBPerSecond, p)
		}
		if p.CacheHitRatio < 0 || p.CacheHitRatio > 1 || stored > passed*(1+1e-9) {
			t.Fatalf("of %v GB/s that reach the track caches the object store answers %v; %v", passed, stored, p.CacheHitRatio)
		}
	})
}

// TestNginxTakesHitsNotMisses: what nginx keeps spares the track caches bytes, but the object store nothing, as long as
// the track caches would have it too.
func TestNginxTakesHitsNotMisses(t *testing.T) {
	m, a := figures(t)
	rapid.Check(t, func(t *rapid.T) {
		q := someQuestion(t)
		q.HitRatio = rapid.Float64Range(0.5, 1).Draw(t, "hit ratio")
		less := rapid.Float64Range(0, 0.5).Draw(t, "nginx has")
		more := rapid.Float64Range(less, 0.5).Draw(t, "or")
		p, r := compute(q, m, with(a, edgeHit, less)), compute(q, m, with(a, edgeHit, more))
		if p.Objects.GetsPerSecond != r.Objects.GetsPerSecond || p.Store.HeadReads != r.Store.HeadReads {
			t.Fatalf("%v and %v reads/s, %v and %v heads/s", p.Objects.GetsPerSecond, r.Objects.GetsPerSecond, p.Store.HeadReads, r.Store.HeadReads)
		}
		if r.Network.CacheToEdgeGbit > p.Network.CacheToEdgeGbit {
			t.Fatalf("%v Gbit/s, and %v where nginx has more", p.Network.CacheToEdgeGbit, r.Network.CacheToEdgeGbit)
		}
	})
}

// TestRestIsPaidAllMonth: of a month in which nobody listens but at the peak, what is left is the rest; and of a month of
// peaks every unit is paid.
func TestRestIsPaidAllMonth(t *testing.T) {
	m, a := figures(t)
	rapid.Check(t, func(t *rapid.T) {
		q := someQuestion(t)
		month := func(mean float64) Store { return compute(q, m, with(a, meanToPeak, mean)).Store }
		quiet, half, busy := month(0), month(.5), month(1)
		const million = monthSeconds / 1e6
		if !close6(quiet.ReadMillions, quiet.RestingReads*million) || !close6(quiet.WriteMillions, quiet.RestingWrites*million) {
			t.Fatalf("nobody listens: %+v", quiet)
		}
		if !close6(busy.ReadMillions, busy.ReadUnits*million) || !close6(busy.WriteMillions, busy.WriteUnits*million) {
			t.Fatalf("all listen always: %+v", busy)
		}
		if !close6(half.ReadMillions, (quiet.ReadMillions+busy.ReadMillions)/2) || !close6(half.WriteMillions, (quiet.WriteMillions+busy.WriteMillions)/2) {
			t.Fatalf("half: %+v", half)
		}
	})
}

// TestHeadsCountOnce: a plan with heads takes what one without takes, and the heads.
func TestHeadsCountOnce(t *testing.T) {
	m, a := figures(t)
	rapid.Check(t, func(t *rapid.T) {
		q := someQuestion(t)
		q.NoHeads = true
		without := compute(q, m, a).Store
		q.NoHeads = false
		p := compute(q, m, a)
		s := p.Store
		notes := p.StartsPerSecond*(1-p.HitRatio) - s.HeadReads + s.HeadWrites
		if !close6(s.ReadUnits, without.ReadUnits+87*s.HeadReads+notes) || !close6(s.WriteUnits, without.WriteUnits+343*s.HeadWrites) {
			t.Fatalf("%+v\n%+v", without, s)
		}
		for _, l := range p.Limits {
			if l.Name == "head writes, new table" && !close6(l.Load*343, s.WriteUnits) {
				t.Fatalf("%v writes of a head's size, but %v units", l.Load, s.WriteUnits)
			}
		}
	})
}

// TestNginxMachinesLook: one more nginx machine is one more look at the heartbeats, and no heartbeat.
func TestNginxMachinesLook(t *testing.T) {
	m, a := figures(t)
	rapid.Check(t, func(t *rapid.T) {
		members := float64(rapid.IntRange(1, 2000).Draw(t, "members"))
		edges := float64(rapid.IntRange(0, 2000).Draw(t, "nginx machines"))
		r1, w1 := resting(m, a, members, edges, 2)
		r2, w2 := resting(m, a, members, edges+1, 2)
		if look := r2 - r1; look != math.Ceil(members*300/4096) || w1 != w2 || w1 != members {
			t.Fatalf("a look takes %v, heartbeats %v and %v", look, w1, w2)
		}
	})
}

func TestMonotone(t *testing.T) {
	m, a := figures(t)
	rapid.Check(t, func(t *rapid.T) {
		q := someQuestion(t)
		q.HitRatio = rapid.Float64Range(0.01, 1).Draw(t, "hit ratio")
		more := q
		more.Listeners += rapid.IntRange(1, 1e7).Draw(t, "more")
		small, large := compute(q, m, a), compute(more, m, a)
		for i := range small.Roles {
			s, l := small.Roles[i], large.Roles[i]
			if l.Instances < s.Instances || l.CPU < s.CPU || l.Gbit < s.Gbit {
				t.Fatalf("%s shrinks from %+v to %+v", s.Name, s, l)
			}
			if s.Instances < s.Needed || q.Zones > 1 && s.Instances-int(math.Ceil(float64(s.Instances)/float64(q.Zones))) < s.Needed {
				t.Fatalf("%s: %d machines in %d zones are too few for %d", s.Name, s.Instances, q.Zones, s.Needed)
			}
		}
		if large.Money.Month < small.Money.Month || large.Store.WriteUnits < small.Store.WriteUnits || large.Objects.GetsPerSecond < small.Objects.GetsPerSecond {
			t.Fatalf("more listeners ask for less: %+v, %+v", small, large)
		}
		sum := small.Money.Machines + small.Money.Egress + small.Money.Zones + small.Money.Store + small.Money.Objects
		if math.Abs(sum-small.Money.Month) > 1e-6*sum {
			t.Fatalf("the parts are %v, the month %v", sum, small.Money.Month)
		}
		b, err := json.Marshal(small)
		if err != nil {
			t.Fatal(err) // NaN and infinities are no JSON
		}
		if len(b) == 0 {
			t.Fatal("empty")
		}
	})
}

// TestUnits: twice the bit rate is twice the bytes and the same control traffic.
func TestUnits(t *testing.T) {
	m, a := figures(t)
	q := question(100_000)
	q.HitRatio = 0.9
	one := compute(q, m, a)
	q.Bitrate *= 2
	two := compute(q, m, a)
	if one.GBPerSecond*2 != two.GBPerSecond || one.StartsPerSecond != two.StartsPerSecond || one.Objects.GB*2 != two.Objects.GB ||
		one.Roles[1].CPU != two.Roles[1].CPU {
		t.Errorf("%+v\n%+v", one, two)
	}
}

func TestBindsIsTheFirst(t *testing.T) {
	m, a := figures(t)
	p, err := Make(question(1_000_000), m, a)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range p.Limits {
		if l.Binds == 0 {
			continue
		}
		at := func(listeners int) float64 {
			for _, other := range compute(question(listeners), m, a).Limits {
				if other.Name == l.Name {
					return other.Share
				}
			}
			t.Fatalf("no limit %q", l.Name)
			return 0
		}
		if at(l.Binds) < 1 || l.Binds > 1 && at(l.Binds-1) >= 1 {
			t.Errorf("%s does not begin to bind at %d: %v, %v", l.Name, l.Binds, at(l.Binds-1), at(l.Binds))
		}
	}
}

func TestQuestionsWithoutAnswer(t *testing.T) {
	m, a := figures(t)
	for name, change := range map[string]func(*Question){
		"nobody":     func(q *Question) { q.Listeners = 0 },
		"too many":   func(q *Question) { q.Listeners = math.MaxInt },
		"silence":    func(q *Question) { q.Bitrate = 0 },
		"no tracks":  func(q *Question) { q.Tracks = 0 },
		"no time":    func(q *Question) { q.TrackSeconds = 0 },
		"NaN":        func(q *Question) { q.TrackSeconds = math.NaN() },
		"NaN hits":   func(q *Question) { q.HitRatio = math.NaN() },
		"all hits+":  func(q *Question) { q.HitRatio = 1.01 },
		"plays":      func(q *Question) { q.PlaysPerHour = -1 },
		"no zone":    func(q *Question) { q.Zones = 0 },
		"gift":       func(q *Question) { q.EgressPrice = -1 },
		"cache":      func(q *Question) { q.CacheShare = math.Inf(1) },
		"over hours": func(q *Question) { q.PlaysPerHour = 1e9 },
	} {
		q := question(1000)
		change(&q)
		if _, err := Make(q, m, a); !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEmbeddedFigures(t *testing.T) {
	var out bytes.Buffer
	if err := Answer(&out, question(10_000), true); err != nil {
		t.Fatal(err)
	}
	var back struct {
		Roles    []Role
		Limits   []Limit
		Measured Figures
	}
	if err := json.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Roles) != 4 || len(back.Limits) < 10 || len(back.Measured.Figures) != len(measuredNames) {
		t.Errorf("%+v", back)
	}
}

func TestReadMeasuredRefuses(t *testing.T) {
	good, err := os.ReadFile("testdata/measured.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"missing":  {`"cache_cpu_per_gb"`, `"cache_cpu_per_go"`},
		"negative": {`{"value": 0.145,`, `{"value": -0.145,`},
		"no unit":  {`"unit": "bytes"`, `"unit": ""`},
		"field":    {`"where"`, `"wear"`},
		"falling":  {`{"share": 0.1, "ratio": 0.7}`, `{"share": 0.1, "ratio": 0.2}`},
		"no hits":  {`"hits"`, `"hitsHow"`},
	} {
		bad := strings.Replace(string(good), change[0], change[1], 1)
		if bad == string(good) {
			t.Fatalf("%s changes nothing", name)
		}
		if _, err := ReadMeasured([]byte(bad)); !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRewrite(t *testing.T) {
	good, err := os.ReadFile("testdata/measured.json")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "measured.json")
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	hits := []Point{{0.5, 0.5}, {1, 0.9}}
	if err := Rewrite(path, "2030-01-01", "elsewhere", map[string]Figure{CachePerGB: {Value: 0.25}}, hits, "a test"); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := ReadMeasured(b)
	if err != nil {
		t.Fatal(err)
	}
	old, _ := figures(t)
	want := old.Figures[CachePerGB]
	want.Value = 0.25
	if f.Figures[CachePerGB] != want || f.Where != "elsewhere" || !cmp.Equal(f.Hits, hits) || f.Figures[FillPerGB] != old.Figures[FillPerGB] {
		t.Errorf("%+v", f)
	}
	for _, bad := range []map[string]Figure{{"nonsense": {Value: 1}}, {CachePerGB: {Value: -1}}} {
		if err := Rewrite(path, "", "", bad, nil, ""); !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, b) {
		t.Errorf("a refused rewrite changed the file: %v", err)
	}
}

func TestHitCurve(t *testing.T) {
	m, _ := figures(t)
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.Float64Range(-1, 2).Draw(t, "a")
		b := rapid.Float64Range(-1, 2).Draw(t, "b")
		ra, rb := m.hit(min(a, b)), m.hit(max(a, b))
		if ra > rb+1e-12 || ra < 0 || rb > 1 {
			t.Fatalf("%v at %v, %v at %v", ra, min(a, b), rb, max(a, b))
		}
	})
	for _, p := range m.Hits {
		if got := m.hit(p.Share); math.Abs(got-p.Ratio) > 1e-9 {
			t.Errorf("at %v the curve has %v, measured was %v", p.Share, got, p.Ratio)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", 0.000123456: "0.000123", 12.345: "12.3", 999.6: "1,000", 1234567: "1,234,567", 100: "100", 99.99: "100", 0.5: "0.5", 1000: "1,000", 10: "10",
	} {
		if got := number(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}

func FuzzReadMeasured(f *testing.F) {
	for _, path := range []string{"testdata/measured.json", "measured.json"} {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"figures":{}}`))
	f.Add([]byte(`{"hits":[{"share":1e400}]}`))
	assumed, err := Assumed()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ReadMeasured(b)
		if err != nil {
			if !tutti.IsKind(err, tutti.KindInvalid) {
				t.Fatal(err)
			}
			return
		}
		if _, err := Make(question(1000), m, assumed); err != nil {
			t.Fatal(err)
		}
	})
}
