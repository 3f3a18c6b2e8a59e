package carbon

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tutti"
)

var update = flag.Bool("update", false, "ask the references for the figures of testdata anew")

// needReference skips what asks the references where they are not there to be asked.
func needReference(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("the references are asked by the full run")
	}
	if _, err := os.Stat("reference/node_modules/@grnsft/if"); err != nil {
		t.Skip("the references are not installed: npm ci in carbon/reference, as make test does")
	}
}

// ask runs a script of reference on one line of JSON, and reads its answer.
func ask[Q, A any](t *testing.T, script string, question Q) (answer A) {
	t.Helper()
	needReference(t)
	in, err := json.Marshal(question)
	must(t, err)
	cmd := exec.CommandContext(t.Context(), "node", script)
	cmd.Dir, cmd.Stdin = "reference", bytes.NewReader(append(in, '\n'))
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, problems.String())
	}
	must(t, json.Unmarshal(out, &answer))
	return answer
}

// swdmCase is a question to the Sustainable Web Design Model; an intensity that is nil is the model's own.
type swdmCase struct {
	Bytes   float64  `json:"bytes"`
	Centre  *float64 `json:"dataCenter"`
	Network *float64 `json:"network"`
	Device  *float64 `json:"device"`
	Hosting float64  `json:"hosting"`
	Want    float64  `json:"want,omitempty"` // in the fixture
}

func (c swdmCase) ask() float64 {
	grid := SWDMWorld
	for _, s := range []struct {
		to   *GramsPerKWh
		from *float64
	}{{&grid.DataCentre, c.Centre}, {&grid.Network, c.Network}, {&grid.Device, c.Device}} {
		if s.from != nil {
			*s.to = GramsPerKWh(*s.from)
		}
	}
	operation, embodied := SWDM(c.Bytes, grid, c.Hosting)
	return float64(operation.Total() + embodied.Total())
}

func swdmCases(n int) []swdmCase {
	random := rand.New(rand.NewPCG(4, 2024))
	some := func() *float64 {
		switch random.IntN(4) {
		case 0:
			return nil
		case 1:
			return ptr(float64(random.IntN(1000))) // as people write them, 0 among them
		}
		return ptr(random.Float64() * 1000)
	}
	cases := []swdmCase{{Bytes: 0}, {Bytes: 0.5}, {Bytes: 1}, {Bytes: 1e9}, {Bytes: 1e18}, {Bytes: 1e6, Hosting: 1}, {Bytes: 1e6, Centre: ptr(0.0), Network: ptr(0.0), Device: ptr(0.0)}}
	for len(cases) < n {
		cases = append(cases, swdmCase{
			Bytes: math.Trunc(math.Pow(10, 15*random.Float64())), Hosting: []float64{0, 1, random.Float64()}[random.IntN(3)],
			Centre: some(), Network: some(), Device: some(),
		})
	}
	return cases
}

func same(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within*math.Abs(want)) {
		t.Errorf("%s: %v, the reference says %v", what, got, want)
	}
}

// TestSWDM holds the model to what co2.js said of some cases.
func TestSWDM(t *testing.T) {
	path := filepath.Join("testdata", "swdm.json")
	if *update {
		cases := swdmCases(250)
		for i, want := range ask[[]swdmCase, []float64](t, "swdm.mjs", cases) {
			cases[i].Want = want
		}
		var b bytes.Buffer
		for i, c := range cases {
			line, err := json.Marshal(c)
			must(t, err)
			fmt.Fprintf(&b, "%s%s\n", map[bool]string{true: "[", false: ","}[i == 0], line)
		}
		must(t, os.WriteFile(path, append(b.Bytes(), "]\n"...), 0o644))
	}
	b, err := os.ReadFile(path)
	must(t, err)
	var cases []swdmCase
	must(t, json.Unmarshal(b, &cases))
	if len(cases) < 200 {
		t.Fatalf("%s holds %d cases", path, len(cases))
	}
	for _, c := range cases {
		same(t, fmt.Sprintf("%v bytes", c.Bytes), c.ask(), c.Want, 1e-12)
	}
	if got := (swdmCase{Bytes: math.NaN()}).ask(); got != 0 {
		t.Errorf("no number of bytes is %v g", got)
	}
}

// TestSWDMAgainstCO2JS asks co2.js itself, 10,000 times.
func TestSWDMAgainstCO2JS(t *testing.T) {
	cases := swdmCases(10_000)
	for i, want := range ask[[]swdmCase, []float64](t, "swdm.mjs", cases) {
		same(t, fmt.Sprintf("%+v", cases[i]), cases[i].ask(), want, 1e-12)
	}
}

// knownDay is the day of which the score is known: 0.004 kWh at 342.06 g/kWh on a machine of 2 vCPU and 24 GB, in an hour
// with 40 stream-hours.
func knownDay() Day {
	d := Day{Date: "2026-03-01", Hardware: Hardware{VCPUs: 2, Memory: 24}, Covered: 3600}
	d.book(Stream, "package", FromKWh(0.004))
	d.emit(Stream, GramsPerKWh(342.06).Of(FromKWh(0.004)))
	d.grid(Measured, FromKWh(0.004))
	d.hear(LAN, Heard{Seconds: 40 * 3600, Bytes: 1e9})
	return d
}

const knownScore = 0.8269458449391174

var march = Intensity{Value: 342.06, Basis: Basis{Label: Measured}}

// TestKnownScore: the score of a known day is what the Impact Framework computes.
func TestKnownScore(t *testing.T) {
	f := NewFootprint([]Day{knownDay()}, noon, "", march, Basis{Label: Measured}, "package", Hardware{VCPUs: 2, Memory: 24})
	if f.Year.Score == nil {
		t.Fatal("there is no score")
	}
	same(t, "the known score", f.Year.Score.Total.Value, knownScore, 1e-9)
	same(t, "the sum of its parts", f.Year.Score.Operational.Value+f.Year.Score.Idle.Value+f.Year.Score.Embodied.Value, knownScore, 1e-9)
	if _, ok := SCI(1, 1, 1, 0); ok {
		t.Error("there is a score of no stream-hours")
	}
}

// someYear makes up what some members did on some days.
func someYear(random *rand.Rand) []Day {
	var days []Day
	for member := range 1 + random.IntN(4) {
		hw := Hardware{VCPUs: float64(1 + random.IntN(64)), Memory: 1 + 255*random.Float64(), Share: random.Float64()*0.99 + 0.01}
		if random.IntN(2) == 0 {
			hw.Made, hw.Life = Grams(1000+1e6*random.Float64()), time.Duration((1+random.Float64()*9)*float64(365*24*time.Hour))
		}
		name := ""
		if member > 0 {
			name = fmt.Sprintf("delivery %d\nbox", member)
		}
		for day := range 1 + random.IntN(5) {
			d := Day{Date: dateOf(noon.AddDate(0, 0, -80*day)), Member: name, Hardware: hw, Covered: 86400 * random.Float64()}
			for _, c := range Components {
				if random.IntN(3) == 0 {
					continue
				}
				j := Joules(math.Pow(10, -3+9*random.Float64()))
				d.book(c, fromModel, j)
				d.emit(c, GramsPerKWh(900*random.Float64()).Of(j))
			}
			d.hear(Links[random.IntN(3)], Heard{Seconds: 1 + 1e5*random.Float64(), Bytes: 1e9 * random.Float64()})
			days = append(days, d)
		}
	}
	return days
}

func manifest(t *testing.T, days ...Day) string {
	t.Helper()
	s, err := ManifestOf(days, noon, march)
	must(t, err)
	return s
}

// TestManifests: the Impact Framework computes the same score from our manifests as we do.
func TestManifests(t *testing.T) {
	type answer struct {
		SCI, Carbon float64
		Error       string
	}
	random := rand.New(rand.NewPCG(1, 1))
	texts := []string{manifest(t, knownDay())}
	wants := []Scored{{Total: Figure{Value: knownScore}}}
	grams := []float64{knownScore * 40}
	for range 150 {
		days := someYear(random)
		f := NewFootprint(days, noon, "", march, Basis{}, "model", Hardware{})
		texts, wants, grams = append(texts, manifest(t, days...)), append(wants, *f.Year.Score), append(grams, f.Year.Total.Value)
	}
	for i, got := range ask[[]string, []answer](t, "sci.mjs", texts) {
		if got.Error != "" {
			t.Fatalf("manifest %d: %s\n%s", i, got.Error, texts[i])
		}
		same(t, fmt.Sprintf("the score of manifest %d", i), wants[i].Total.Value, got.SCI, 1e-9)
		same(t, fmt.Sprintf("the grams of manifest %d", i), grams[i], got.Carbon, 1e-9)
	}
}

// TestIfRun gives a manifest to the Impact Framework's own command.
func TestIfRun(t *testing.T) {
	needReference(t)
	path := filepath.Join(t.TempDir(), "tutti.yml")
	must(t, os.WriteFile(path, []byte(manifest(t, knownDay())), 0o600))
	cmd := exec.CommandContext(t.Context(), "node_modules/.bin/if-run", "--manifest", path)
	cmd.Dir = "reference"
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "sci: 0.82694584493911") {
		t.Errorf("if-run: %v\n%s", err, out)
	}
}

// TestNoManifest: where nothing was streamed there is nothing to divide by.
func TestNoManifest(t *testing.T) {
	d := knownDay()
	d.Heard = nil
	if s, err := ManifestOf([]Day{d}, noon, march); !tutti.IsKind(err, tutti.KindNotFound) {
		t.Errorf("a manifest of nothing: %v\n%s", err, s)
	}
}
