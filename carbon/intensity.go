package carbon

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"tutti"
	"tutti/clock"
)

// Source says where an intensity comes from.
type Source struct {
	Short    string // for settings and metrics: "gb"
	Name     string // as people know it: "GB Carbon Intensity API"
	Region   string // the zone, region or postcode that was asked for; "" where there is but one
	Marginal bool   // what one kWh more would emit, where others tell the mean of all
	Constant bool   // somebody chose one figure for all time
	Repeated bool   // what is to come is what was a day before: nobody predicts it
}

// String names the source, with what has to be known of it to read its figures.
func (s Source) String() string {
	out := s.Name
	if s.Region != "" {
		out += " (" + s.Region + ")"
	}
	if s.Marginal {
		out += ", marginal"
	}
	if s.Repeated {
		out += ", by the day before"
	}
	return out
}

// Feed is where intensities come from.
type Feed interface {
	Source() Source
	// Fetch returns what is known of the time around now: some of what was, and what is predicted, as far as there is
	// any. Errors are KindUnavailable, KindUnauthorised where the feed wants another secret, or KindExhausted where it was
	// asked too often; those may know when to ask again (RetryAfter). Nobody retries but the caller.
	Fetch(ctx context.Context, now time.Time) (Series, error)
}

const (
	// StaleAfter is from when on an intensity says that it is old.
	StaleAfter = 2 * time.Hour
	// fresh is for how long what a feed said is not asked for again. The feeds themselves change every 5 to 60 minutes, and the
	// grid's half hours are what forecasts are made of.
	fresh = 30 * time.Minute
	// firstPause and lastPause bound the pause after a failure, which doubles with each.
	firstPause = time.Minute
	lastPause  = time.Hour
	// horizon is how far ahead anybody looks: two days, which the GB feed predicts.
	horizon = 48 * time.Hour
)

// Cached is a feed that remembers, and the Grid that meters ask. It asks only when somebody wants to know, no more often than
// every half hour, and leaves a feed alone that fails: a minute, then longer, up to an hour.
type Cached struct {
	feed      Feed
	otherwise GramsPerKWh
	clock     clock.Clock
	log       *slog.Logger

	asking chan struct{} // has an element while somebody asks the feed

	mu     sync.Mutex
	series Series
	at     time.Time // of series
	err    error     // of the last question; nil where it was answered
	pause  time.Duration
	again  time.Time // not to be asked before
}

var (
	_ Grid    = (*Cached)(nil)
	_ Outlook = (*Cached)(nil)
)

// NewCached returns one that has asked nothing yet. otherwise is the intensity where the feed says nothing.
func NewCached(f Feed, otherwise GramsPerKWh, c clock.Clock, logger *slog.Logger) *Cached {
	return &Cached{feed: f, otherwise: otherwise, clock: c, log: logger, asking: make(chan struct{}, 1)}
}

// Source says where the figures come from.
func (g *Cached) Source() Source { return g.feed.Source() }

// Now implements Grid. Where the feed does not answer, the last that it said stays, and is stale after StaleAfter.
func (g *Cached) Now(ctx context.Context) Intensity {
	_ = g.refresh(ctx) // it is logged, and shows in the answer's age
	return g.Last()
}

// Last is Now without asking the feed, for those who must not wait.
func (g *Cached) Last() Intensity {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock.Now()
	p, ok := g.series.At(now)
	if !ok {
		// The latest that was.
		i := g.series.after(now) - 1
		if i < 0 {
			return g.unknown()
		}
		p = g.series[i]
	}
	out := g.intensity(GramsPerKWh(p.Grams), p.Forecast)
	out.Time = p.From
	out.Stale = max(now.Sub(g.at), now.Sub(p.To)) > StaleAfter
	return out
}

// Mean implements Grid, from what is remembered: the feed is asked only for what it knows now.
func (g *Cached) Mean(ctx context.Context, from, to time.Time) Intensity {
	_ = g.refresh(ctx) // as in Now
	g.mu.Lock()
	var sum, seconds float64
	forecast := false
	for _, p := range g.series {
		start, end := p.From, p.To
		if start.Before(from) {
			start = from
		}
		if end.After(to) {
			end = to
		}
		if d := end.Sub(start).Seconds(); d > 0 {
			sum, seconds, forecast = sum+p.Grams*d, seconds+d, forecast || p.Forecast
		}
	}
	g.mu.Unlock()
	if seconds == 0 {
		return g.Last()
	}
	out := g.intensity(GramsPerKWh(sum/seconds), forecast)
	out.Time = from
	return out
}

// intensity labels a figure of the feed.
func (g *Cached) intensity(value GramsPerKWh, forecast bool) Intensity {
	source := g.feed.Source()
	b := Basis{Label: Measured, Method: "as " + source.String() + " reports", Boundary: "generation of electricity in the grid"}
	switch {
	case source.Constant:
		b.Label, b.Method = Assumed, source.Name
	case forecast:
		b.Label, b.Method = Modelled, "as "+source.String()+" predicts"
	}
	return Intensity{Value: value, Basis: b, Source: source.Short}
}

// unknown is what there is where the feed said nothing.
func (g *Cached) unknown() Intensity {
	return Intensity{
		Value: g.otherwise, Source: Constant(0).Source().Short, Stale: true,
		Basis: Basis{Label: Assumed, Method: Constant(0).Source().Name, Boundary: "generation of electricity in the grid"},
	}
}

// Outlook implements the scheduler's. What is older than StaleAfter is no outlook: the error then is the feed's.
func (g *Cached) Outlook(ctx context.Context) (Series, Source, error) {
	err := g.refresh(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	source := g.feed.Source()
	now := g.clock.Now()
	if g.series == nil || now.Sub(g.at) > StaleAfter {
		if err == nil {
			err = tutti.Errorf(tutti.KindUnavailable, "carbon.Outlook", "%s says nothing", source)
		}
		return nil, source, err
	}
	s := g.series
	if end := len(s); end > 0 && !s[end-1].To.After(now.Add(fresh)) {
		if longer := s.repeatDay(now.Add(horizon)); len(longer) > len(s) {
			s, source.Repeated = longer, true
		}
	}
	return s, source, nil
}

// refresh asks the feed if it is time. Who comes while another asks waits for that answer.
func (g *Cached) refresh(ctx context.Context) error {
	select {
	case g.asking <- struct{}{}:
	case <-ctx.Done():
		return tutti.Wrap(tutti.KindUnavailable, "carbon.Cached", ctx.Err())
	}
	defer func() { <-g.asking }()
	g.mu.Lock()
	now := g.clock.Now()
	known, err, rest := g.series != nil && now.Sub(g.at) < fresh, g.err, now.Before(g.again)
	g.mu.Unlock()
	if known {
		return nil
	}
	if rest {
		return err
	}
	series, err := g.feed.Fetch(ctx, now)
	if err == nil && len(series) == 0 {
		err = tutti.Errorf(tutti.KindUnavailable, "carbon.Cached", "%s answered with nothing", g.feed.Source())
	}
	if err != nil && ctx.Err() != nil {
		return err // who asked has left, which says nothing about the feed
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now = g.clock.Now()
	if g.err = err; err == nil {
		g.series, g.at, g.pause, g.again = series, now, 0, time.Time{}
		return nil
	}
	g.log.WarnContext(ctx, "the intensity of the grid could not be had; what was known stays", "feed", g.feed.Source().Short, "err", err)
	g.pause = min(max(2*g.pause, firstPause), lastPause)
	wait := g.pause
	var later interface{ RetryAfter() time.Duration }
	if errors.As(err, &later) {
		wait = min(max(wait, later.RetryAfter()), 24*time.Hour)
	}
	g.again = now.Add(wait)
	return err
}

// Constant is a feed that always says the same: the mean of a country, or of a supplier.
type Constant float64

// Source implements Feed.
func (c Constant) Source() Source {
	return Source{Short: "constant", Name: "a constant from the configuration", Constant: true}
}

// Fetch implements Feed.
func (c Constant) Fetch(_ context.Context, now time.Time) (Series, error) {
	from := now.UTC().Truncate(time.Hour)
	var points []Point
	for t := from.Add(-time.Hour); t.Before(from.Add(horizon)); t = t.Add(time.Hour) {
		points = append(points, Point{From: t, To: t.Add(time.Hour), Grams: float64(c)})
	}
	return newSeries(points)
}
