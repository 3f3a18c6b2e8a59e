package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"tutti/bench/sim"
	"tutti/deploy/capacity"
)

// benchScale simulates a fleet for a million listeners and for ten, and writes docs/scale.md with its plots.
func benchScale(ctx context.Context, o options, _, _ string) ([]section, error) {
	m, err := readFigures(o.measured)
	if err != nil {
		return nil, err
	}
	a, err := capacity.Assumed()
	if err != nil {
		return nil, err
	}
	type run struct {
		title string
		make  func() (sim.Scenario, error)
	}
	const million = 1_000_000
	runs := []run{
		{"A day, 1,000,000 listeners at the peak", func() (sim.Scenario, error) { return sim.Day(m, a, million, million, dayBy(o.scaleBy)) }},
		{"A release, 1,000,000 listeners and half as many more", func() (sim.Scenario, error) { return sim.Release(m, a, million, million, o.scaleBy) }},
		{"A zone lost, 1,000,000 listeners", func() (sim.Scenario, error) { return sim.Loss(m, a, million, million, o.scaleBy, 4*time.Minute) }},
		{"A zone lost, 10,000,000 listeners", func() (sim.Scenario, error) {
			s, err := sim.Loss(m, a, 10*million, million, o.scaleBy, 88*time.Second)
			s.Name = "loss-10m"
			return s, err
		}},
	}
	var page strings.Builder
	table := section{title: "Scale, simulated", how: "Virtual time, real rules: see docs/scale.md. Tiers are shares of the requests for chunks; the load of the busiest track cache is against their mean."}
	type outcome struct {
		s    sim.Scenario
		res  sim.Result
		took time.Duration
	}
	outcomes := make([]outcome, len(runs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.NumCPU())
	for i, r := range slices.Backward(runs) { // the largest first
		g.Go(func() error {
			began := time.Now()
			s, err := r.make()
			if err != nil {
				return err
			}
			res, err := sim.Run(ctx, s.Name, s.Config)
			outcomes[i] = outcome{s, res, time.Since(began).Round(time.Second)}
			fmt.Fprintf(os.Stderr, "%s: %d requests in %v\n", r.title, res.Events, outcomes[i].took)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, r := range runs {
		s, res, took := outcomes[i].s, outcomes[i].res, outcomes[i].took
		if o.out != "-" {
			if err := scenarioPage(&page, filepath.Dir(o.out), r.title, s, res, took); err != nil {
				return nil, err
			}
		}
		from := s.Event
		if from == 0 {
			from = 12 * time.Hour // of the day: caches are warm
		}
		p := res.Sum(from, s.Config.Until)
		reads := float64(max(1, p.Requests))
		what := fmt.Sprintf("start p50 %s, p99 %s; nginx %s, track cache %s, neighbour %s, head %s, origin %s", ms(p.P50), ms(p.P99), percent(float64(p.Edge)/reads),
			percent(float64(p.Cache)/reads), percent(float64(p.Peer)/reads), percent(float64(p.Head)/reads), percent(float64(p.Origin)/reads))
		reference := ""
		if s.Event > 0 {
			b := res.Sum(0, s.Event)
			reference = fmt.Sprintf("before: p50 %s, p99 %s, origin %.0f reads/s", ms(b.P50), ms(b.P99), b.OriginRate)
		}
		more := fmt.Sprintf("origin %.0f reads/s; busiest cache %.2f × mean; turned away once or more %s; gave up %d", p.OriginRate, p.Skew, percent(float64(p.Refused)/float64(p.Requests+p.Refused)), p.Lost)
		if after, ok := res.Recovered(s.Event); s.Event > 0 && ok {
			more += fmt.Sprintf("; as before after %v", after)
		}
		table.add(r.title, what+"; "+more, reference, "", "")
	}
	if o.out != "-" {
		head := scaleHead(m, o.scaleBy)
		if err := os.WriteFile(filepath.Join(filepath.Dir(o.out), "scale.md"), []byte(head+page.String()), 0o644); err != nil {
			return nil, err
		}
	}
	return []section{table}, nil
}

// dayBy is what part of a day is simulated: a whole one would be 1,500 million requests.
func dayBy(by int) int { return max(80, 8*by) }

func readFigures(path string) (capacity.Figures, error) {
	if path == "" {
		return capacity.Measured()
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return capacity.Figures{}, err
	}
	return capacity.ReadMeasured(b)
}

// scenarioPage writes what a run was and what came of it, with plots beside the page.
func scenarioPage(w io.Writer, dir, title string, s sim.Scenario, res sim.Result, took time.Duration) error {
	c := s.Config
	fmt.Fprintf(w, "## %s\n\n%s. ", title, upper(s.How))
	var parts []string
	for _, r := range c.Plan.Roles {
		parts = append(parts, fmt.Sprintf("%d %s (%g cores, %g Gbit/s)", r.Instances, r.Name, r.Cores, r.GbitEach))
	}
	fmt.Fprintf(w, "Simulated: %d listeners, %d tracks, %s; the track caches hold %.0f %% of the catalogue's bytes, second copies included. %d requests for chunks, simulated in %v.\n\n",
		c.Traffic.Seats, c.Traffic.Catalogue.Tracks(), strings.Join(parts, ", "), c.DiskShare*100, res.Events, took)
	unit, x := time.Minute, "minutes"
	if c.Until > 2*time.Hour {
		unit, x = time.Hour, "hours"
	}
	line := func(name string, y func(sim.Point) float64) sim.Line {
		l := sim.Line{Name: name}
		for _, p := range res.Points {
			l.X = append(l.X, float64(p.At)/float64(unit))
			l.Y = append(l.Y, y(p))
		}
		return l
	}
	share := func(of func(sim.Point) int) func(sim.Point) float64 {
		return func(p sim.Point) float64 { return 100 * float64(of(p)) / float64(max(1, p.Requests)) }
	}
	second := c.Every.Seconds()
	for _, plot := range []struct {
		name, title, y string
		lines          []sim.Line
	}{
		{"tiers", "Where chunks come from", "% of the requests", []sim.Line{
			line("nginx", share(func(p sim.Point) int { return p.Edge })), line("track cache", share(func(p sim.Point) int { return p.Cache })),
			line("its neighbour", share(func(p sim.Point) int { return p.Peer })), line("head in the store", share(func(p sim.Point) int { return p.Head })),
			line("origin", share(func(p sim.Point) int { return p.Origin })),
		}},
		{"starts", "Time to the first byte of a start", "ms", []sim.Line{
			line("p50", func(p sim.Point) float64 { return float64(p.P50) / 1e6 }), line("p99", func(p sim.Point) float64 { return float64(p.P99) / 1e6 }),
		}},
		{"rates", "Starts, reads of the origin, and answers that were none", "a second", []sim.Line{
			line("starts", func(p sim.Point) float64 { return float64(p.Starts) / second }), line("origin reads", func(p sim.Point) float64 { return p.OriginRate }),
			line("turned away", func(p sim.Point) float64 { return float64(p.Refused) / second }),
		}},
	} {
		name := fmt.Sprintf("scale-%s-%s.svg", s.Name, plot.name)
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if err := errors.Join(sim.Plot(f, plot.title, x, plot.y, plot.lines, float64(s.Event)/float64(unit)), f.Close()); err != nil {
			return err
		}
		fmt.Fprintf(w, "![%s](%s)\n\n", plot.title, name)
	}
	fmt.Fprint(w, "| | starts/s | p50 | p99 | nginx | track cache | neighbour | head | origin | origin reads/s | head reads/s | busiest cache × mean | busy: nginx, A, C | turned away | gave up |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	phase := func(name string, from, to time.Duration) {
		p := res.Sum(from, to)
		reads := float64(max(1, p.Requests))
		fmt.Fprintf(w, "| %s | %.0f | %s | %s | %s | %s | %s | %s | %s | %.0f | %.1f | %.2f | %s, %s, %s | %s | %d |\n", name,
			float64(p.Starts)/(to-from).Seconds(), ms(p.P50), ms(p.P99), percent(float64(p.Edge)/reads), percent(float64(p.Cache)/reads), percent(float64(p.Peer)/reads),
			percent(float64(p.Head)/reads), percent(float64(p.Origin)/reads), p.OriginRate, p.HeadRate, p.Skew,
			percent(p.EdgeBusy), percent(p.DeliveryBusy), percent(p.CacheBusy), percent(float64(p.Refused)/float64(max(1, p.Requests+p.Refused))), p.Lost)
	}
	if s.Event > 0 {
		phase("before", 0, s.Event)
		phase("the 40 s after", s.Event, s.Event+40*time.Second)
		phase("from then on", s.Event+40*time.Second, c.Until)
		if after, ok := res.Recovered(s.Event); ok {
			fmt.Fprintf(w, "\nAs before (p99 within twice, nobody turned away) after %v.", after)
		} else {
			fmt.Fprint(w, "\nNot as before (p99 within twice, nobody turned away) until the end.")
		}
		fmt.Fprintln(w)
	} else {
		phase("4 to 8 in the morning", 0, 4*time.Hour)
		phase("noon to 2", 8*time.Hour, 10*time.Hour)
		phase("7 to 9 in the evening", 15*time.Hour, 17*time.Hour)
		phase("the night after", 20*time.Hour, 24*time.Hour)
	}
	fmt.Fprintln(w)
	return nil
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func scaleHead(m capacity.Figures, by int) string {
	size := fmt.Sprintf("All of it was simulated, of the day one in %d of the listeners, tracks, machines and of the object store's rate, which leaves hit ratios and waiting as\nthey are ([SHARDS](https://www.usenix.org/conference/fast15/technical-sessions/presentation/waldspurger)).", dayBy(by))
	if by > 1 {
		size = fmt.Sprintf("With `-scale-by 1` all of it is simulated; here it was 1 in %d of the listeners, tracks, machines and of the object store's rate (of the day,\n1 in %d), which leaves hit ratios and waiting as they are ([SHARDS](https://www.usenix.org/conference/fast15/technical-sessions/presentation/waldspurger)).\nRates below are those of the part.", by, dayBy(by))
	}
	return fmt.Sprintf(`# Scale

What happens to a fleet of a million listeners, and of ten. It is simulated, and made by `+"`go run ./bench -only scale -scale-by %d -out docs/benchmarks.md`"+` from a
seed: the same figures come out every time. For a plan of your own, with money: `+"`tutti plan --listeners 1000000 --bitrate 256`"+`.

**What is real.** The number and size of the machines is `+"`tutti plan`"+`'s. What decides is the code of the fleet itself, the same types and
functions: who owns a chunk (`+"`peer/members.Ring`"+`), who counts as a member and when no longer (`+"`peer/members.Roll`"+`), which member is asked, which next,
and when another one as well (`+"`peer/balance`"+`: near, owners, suspicion, hedges and their budget, fail-over); what a track cache keeps, when it leaves
the origin alone, whom it asks before that and whom it suspects, what it fetches ahead, gives a second copy of, and may spend on heads
(`+"`trackcache/policy`"+`, `+"`trackcache.HeadPolicy`"+`). What a request costs each machine was measured by `+"`make bench`"+` on %s (%s):
`+"`deploy/capacity/measured.json`"+`.

**What is modelled.** Time: processors and network cards are queues; the object store answers after 60 ms in the median (log-normal, σ 0.5) and takes
5,500 reads a second for each of its prefixes, of which there is one for each million listeners; the database answers a head after 8 ms. nginx, with the
constants of its configuration: its cache is an LRU, a server that is lost is given up after 3 or 6 s where a connection to it was kept and
after 0.5 or 1 s where one has to be opened, the next server is asked, and one that failed often enough within a second is passed over for one.
A request that would wait for more than a second is turned away with Retry-After; listeners come back after that second, doubled each time with
jitter, and give up after six. Where an nginx does not answer they try another of its addresses, drawn anew, after a second or a bit more.

**At which size.** %s

**What is not in it.** The listeners' own networks, packet loss, garbage collection, disks that are slower than the network, and a database that
throttles. A lost zone answers nothing: no connection is refused, each runs into its timeout. "Turned away" counts those too.

**What it found.** An earlier one had players draw their next address from eight of 56, and a lost zone of the fleet for ten
million did not heal: a third of the listeners stood before a seventh of the machines. The players' names were to blame, and not the fleet; with a
name that gives each of them all addresses it heals as below. Putting the fleet's own code in place of its rules, stated again, showed one that
was not kept: what had been fetched ahead never got its second copy. And a part of a fleet is a fair one only with nginx's cache cut as
small: with that, nginx answers one request in seven and not three in ten, and plans have a fifth more track caches.

`, by, m.Made, m.Where, size)
}
