package carbon

import (
	"context"
	"encoding/csv"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tutti"
	"tutti/clock"
)

// syntheticYear is half-hourly intensity of a year of a grid that nobody has: a night without sun, a noon with it, an evening
// peak, weekends with less demand, winters with more, and wind that comes and goes over days. The weather is a mean-reverting
// walk (Ornstein-Uhlenbeck) with a time constant of 30 hours, the rest white noise.
func syntheticYear(seed uint64) Series {
	r := rand.New(rand.NewPCG(seed, 7))
	const step = 30 * time.Minute
	const relax = 30 * time.Hour
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var points []Point
	wind := 0.0
	keep := math.Exp(-float64(step) / float64(relax))
	for t := from; t.Before(from.AddDate(1, 0, 0)); t = t.Add(step) {
		wind = keep*wind + math.Sqrt(1-keep*keep)*r.NormFloat64()
		hour := float64(t.Hour()) + float64(t.Minute())/60
		season := math.Cos(2 * math.Pi * float64(t.YearDay()-15) / 365)
		sun := math.Max(0, math.Cos(2*math.Pi*(hour-13)/24)) * (1 - 0.6*season)
		evening := math.Exp(-(hour - 19) * (hour - 19) / 8)
		g := 230 + 30*season - 45*sun + 45*evening - 45*wind + 4*r.NormFloat64()
		if d := t.Weekday(); d == time.Saturday || d == time.Sunday {
			g -= 25
		}
		points = append(points, Point{From: t, To: t.Add(step), Grams: math.Max(g, 15)})
	}
	s, err := newSeries(points)
	if err != nil {
		panic(err)
	}
	return s
}

// forecaster predicts a known year with errors as Wiesner et al. do (Middleware '21, §5.2): each value of a forecast is off by a
// normal deviate of a share of the year's mean.
type forecaster struct {
	truth Series
	noise float64 // of the year's mean, as a share
	clock clock.Clock
	rand  *rand.Rand
	mean  float64
	asked int
}

func (f *forecaster) Outlook(context.Context) (Series, Source, error) {
	f.asked++
	now := f.clock.Now()
	i := f.truth.after(now)
	j := min(i+int(2*24+2*8)+2, len(f.truth))
	out := make(Series, j-i)
	copy(out, f.truth[i:j])
	for k := range out {
		out[k].Forecast = true
		out[k].Grams = math.Max(0, out[k].Grams+f.rand.NormFloat64()*f.noise*f.mean)
	}
	return out, Source{Name: "virtual"}, nil
}

// yearResult is what a year of jobs came to, in means of g/kWh.
type yearResult struct {
	runs                     int
	atOnce, moved, oracle    float64
	late, regret, movedCount int
}

func (y yearResult) saving() float64 { return 1 - y.moved/y.atOnce }
func (y yearResult) best() float64   { return 1 - y.oracle/y.atOnce }
func (y yearResult) String() string {
	return fmt.Sprintf("%d jobs: at once %.1f, moved %.1f, oracle %.1f g/kWh; saved %.2f %% of %.2f %% (%.2f %% of the oracle), moved %d, late %d, regretted %d (%.2f %%)",
		y.runs, y.atOnce, y.moved, y.oracle, 100*y.saving(), 100*y.best(), 100*y.saving()/y.best(), y.movedCount, y.late, y.regret, 100*float64(y.regret)/float64(y.runs))
}

// virtualYear hands the scheduler itself a job of d every step of the year, with a slack, and has it run by a virtual clock.
func virtualYear(t testing.TB, truth Series, noise float64, d, slack, every time.Duration, seed uint64) yearResult {
	t.Helper()
	var out yearResult
	mean, ok := truth.Mean(truth[0].From, truth[len(truth)-1].To)
	if !ok {
		t.Fatal("the year has gaps")
	}
	r := rand.New(rand.NewPCG(seed, 11))
	last := truth[len(truth)-1].To
	for given := truth[0].From; !given.Add(slack + d).After(last); given = given.Add(every) {
		c := clock.NewFake(given)
		ran := make(chan time.Time, 1)
		f := &forecaster{truth: truth, noise: noise, clock: c, rand: r, mean: mean}
		s := NewScheduler(SchedulerConfig{Clock: c, Logger: slog.New(slog.DiscardHandler), Outlook: f})
		deadline := given.Add(slack + d)
		if err := s.HandOver(context.Background(), tutti.Job{
			Name: "job", Kind: tutti.JobTrain, Duration: d, Deadline: deadline,
			Run: func(context.Context) error { ran <- c.Now(); return nil },
		}); err != nil {
			t.Fatal(err)
		}
		began := drive(s, c, ran)
		was, ok1 := truth.Mean(given, given.Add(d))
		is, ok2 := truth.Mean(began, began.Add(d))
		_, best, ok3 := truth.Cleanest(d, given, given.Add(slack))
		if !ok1 || !ok2 || !ok3 {
			t.Fatal("beyond the year")
		}
		out.runs++
		out.atOnce += was
		out.moved += is
		out.oracle += best
		if began.After(deadline.Add(-d)) {
			out.late++
		}
		if !began.Equal(given) {
			out.movedCount++
		}
		if is > was {
			out.regret++
		}
	}
	n := float64(out.runs)
	out.atOnce, out.moved, out.oracle = out.atOnce/n, out.moved/n, out.oracle/n
	return out
}

// drive runs a scheduler with one job by its virtual clock until the job has begun, without a goroutine that waits: what Run
// does when a timer fires, at the times that it asks for.
func drive(s *Scheduler, c *clock.Fake, ran chan time.Time) time.Time {
	var jobs sync.WaitGroup
	defer jobs.Wait()
	for {
		next := s.look(context.Background(), &jobs)
		if next.IsZero() { // it has begun
			return <-ran
		}
		c.Advance(next.Sub(c.Now()))
	}
}

func TestAYearInVirtualTime(t *testing.T) {
	truth := syntheticYear(1)
	every := 2*time.Hour + 30*time.Minute // which comes to every half hour of the day
	if testing.Short() {
		every = 11*time.Hour + 30*time.Minute
	}
	for _, c := range []struct {
		noise  float64
		share  float64 // of the oracle's saving
		regret float64
	}{{0, 0.97, 0}, {0.05, 0.95, 0.03}} {
		got := virtualYear(t, truth, c.noise, 4*time.Hour, 24*time.Hour, every, 3)
		t.Logf("forecast noise %.0f %%: %v", 100*c.noise, got)
		if got.late != 0 {
			t.Errorf("%d jobs were late", got.late)
		}
		if share := got.saving() / got.best(); share < c.share {
			t.Errorf("noise %v: %.2f %% of the oracle's saving, want %.0f %%", c.noise, 100*share, 100*c.share)
		}
		if regret := float64(got.regret) / float64(got.runs); regret > c.regret {
			t.Errorf("noise %v: %.2f %% of the jobs were regretted", c.noise, 100*regret)
		}
	}
}

// TestRealYears does the same on the real series of 2020 that "Let's Wait Awhile" published, where TUTTI_WAIT_AWHILE names the
// folder data of a copy of its repository. They are not ours to ship.
func TestRealYears(t *testing.T) {
	dir := os.Getenv("TUTTI_WAIT_AWHILE")
	if dir == "" {
		t.Skip("TUTTI_WAIT_AWHILE names no folder; see docs/carbon-method.md")
	}
	for _, zone := range []string{"gb", "ger", "fr"} {
		truth := readYear(t, filepath.Join(dir, zone+"_ci.csv"))
		for _, noise := range []float64{0, 0.05, 0.1} {
			got := virtualYear(t, truth, noise, 4*time.Hour, 24*time.Hour, 30*time.Minute, 3)
			t.Logf("%-3s noise %4.1f %%: %v", zone, 100*noise, got)
			if got.late != 0 {
				t.Errorf("%d jobs were late", got.late)
			}
		}
	}
}

func readYear(t *testing.T, path string) Series {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var points []Point
	for _, row := range rows[1:] {
		at, err := time.Parse(time.DateTime, strings.TrimSpace(row[0]))
		if err != nil {
			t.Fatal(err)
		}
		g, err := strconv.ParseFloat(row[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		if at.Year() == 2020 && at.Minute()%30 == 0 {
			points = append(points, Point{From: at, To: at.Add(30 * time.Minute), Grams: g})
		}
	}
	s, err := newSeries(points)
	if err != nil {
		t.Fatal(err)
	}
	// A missing half hour is as the one before.
	var out Series
	for i, p := range s {
		if i > 0 {
			for out[len(out)-1].To.Before(p.From) {
				gap := out[len(out)-1]
				gap.From, gap.To = gap.To, gap.To.Add(30*time.Minute)
				out = append(out, gap)
			}
		}
		out = append(out, p)
	}
	return out
}
