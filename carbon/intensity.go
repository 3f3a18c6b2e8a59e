package carbon

import (
	"context"
	"errors"
	"sync"
	"time"

	"tutti"
	"tutti/clock"
)

// Source says where an intensity comes from.
type Source struct {
	Name     string // as people know it: "GB Carbon Intensity API"
	Region   string // the zone, region or postcode that was asked for; "" where there is but one
	Marginal bool   // what one kWh more would emit, where others tell the mean of all
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

// Reading is the intensity of the grid now.
type Reading struct {
	Grams    float64 // per kWh
	Source   Source
	Forecast bool          // predicted, not what was
	Age      time.Duration // since the feed said so
	Stale    bool          // older than StaleAfter: the feed does not answer
}

// Cached is a feed that remembers. It asks only when somebody wants to know, no more often than every half hour, and leaves a
// feed alone that fails: a minute, then longer, up to an hour.
type Cached struct {
	feed  Feed
	clock clock.Clock

	asking chan struct{} // has an element while somebody asks the feed

	mu     sync.Mutex
	series Series
	at     time.Time // of series
	err    error     // of the last question; nil where it was answered
	pause  time.Duration
	again  time.Time // not to be asked before
}

// NewCached returns a Cached that has asked nothing yet.
func NewCached(f Feed, c clock.Clock) *Cached {
	return &Cached{feed: f, clock: c, asking: make(chan struct{}, 1)}
}

// Source says where the figures come from.
func (g *Cached) Source() Source { return g.feed.Source() }

// Now returns the intensity of this hour, asking the feed if what is known is older than half an hour. While the feed
// does not answer the last one stays, and says when it is stale; KindUnavailable where there is none.
func (g *Cached) Now(ctx context.Context) (Reading, error) {
	err := g.refresh(ctx)
	r, ok := g.Last()
	if !ok {
		if err == nil {
			err = tutti.Errorf(tutti.KindUnavailable, "carbon.Now", "%s says nothing of this hour", g.feed.Source())
		}
		return Reading{}, err
	}
	return r, nil
}

// Last is Now without asking the feed, for those who look often and must not wait. It reports false where nothing is known.
func (g *Cached) Last() (Reading, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock.Now()
	p, ok := g.series.At(now)
	if !ok {
		// The latest that was.
		i := g.series.after(now) - 1
		if i < 0 {
			return Reading{}, false
		}
		p = g.series[i]
	}
	r := Reading{Grams: p.Grams, Source: g.feed.Source(), Forecast: p.Forecast, Age: max(now.Sub(g.at), now.Sub(p.To), 0)}
	r.Stale = r.Age > StaleAfter
	return r, true
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
func (c Constant) Source() Source { return Source{Name: "a constant from the configuration"} }

// Fetch implements Feed.
func (c Constant) Fetch(_ context.Context, now time.Time) (Series, error) {
	from := now.UTC().Truncate(time.Hour)
	var points []Point
	for t := from.Add(-time.Hour); t.Before(from.Add(horizon)); t = t.Add(time.Hour) {
		points = append(points, Point{From: t, To: t.Add(time.Hour), Grams: float64(c)})
	}
	return newSeries(points)
}
