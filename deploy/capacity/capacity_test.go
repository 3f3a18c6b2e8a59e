package capacity

import (
	"bytes"
	"encoding/json"
	"flag"
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

// TestByHand checks a plan against figures worked out apart from the program.
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
	near("starts", p.StartsPerSecond, 1e6/240)
	near("GB/s", p.GBPerSecond, 32)
	near("Gbit/s to listeners", p.Network.ToListenersGbit, 256*1.06)
	near("stream-hours", p.Money.StreamHours, 365e6)
	near("catalogue", p.Objects.GB, 7680) // 7.68 MB a track
	near("a million starts from heads", p.Money.HeadsPerStarts, 5.5)
	// 32 GB/s × ½ × 2,628,000 s × 1.06, the first 150,000 GB at their prices and the rest at $0.05.
	near("egress", p.Money.Egress, 10_000*.09+40_000*.085+100_000*.07+(32*.5*2_628_000*1.06-150_000)*.05)
	limits := map[string]Limit{}
	for _, l := range p.Limits {
		limits[l.Name] = l
	}
	near("head reads of a partition", limits["head reads, one partition"].Ceiling, 68)
	near("head writes of a new table", limits["head writes, new table"].Ceiling, 11)
	// A play is reported with two units: 4,000 units are 2,000 plays a second, which 480,000 listeners make with 240 s
	// a track, less what the heads and heartbeats write.
	if at := limits["write units, new table"].Binds; at < 400_000 || at > 480_000 {
		t.Errorf("a new table's writes bind at %d listeners", at)
	}
}

func TestMonotone(t *testing.T) {
	m, a := figures(t)
	rapid.Check(t, func(t *rapid.T) {
		q := Question{
			Listeners: rapid.IntRange(1, 1e7).Draw(t, "listeners"), Bitrate: rapid.IntRange(8, 3000).Draw(t, "bitrate"),
			Tracks: rapid.IntRange(1, 1e8).Draw(t, "tracks"), TrackSeconds: rapid.Float64Range(30, 3000).Draw(t, "seconds"),
			HitRatio: rapid.Float64Range(0.01, 1).Draw(t, "hits"), Zones: rapid.IntRange(1, 6).Draw(t, "zones"),
			NoHeads: rapid.Bool().Draw(t, "no heads"), NoTLS: rapid.Bool().Draw(t, "no TLS"),
		}
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
