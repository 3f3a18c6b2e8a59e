package carbon

import (
	"math"
	"slices"
	"time"

	"tutti"
)

// Point is what the grid emits for each kWh over a stretch of time.
type Point struct {
	From, To time.Time // To is not part of it
	Grams    float64   // of CO2 equivalents, per kWh; 0 to MaxGrams
	Forecast bool      // a prediction, not what was
}

// Series is what is known of the grid over time: points in order, none of which overlap. There may be gaps.
type Series []Point

// MaxGrams is more than any grid emits per kWh: lignite and oil shale stay below 1,300 (UNECE, Carbon Neutrality in the UNECE
// Region: Integrated Life-cycle Assessment of Electricity Sources, 2022, table 1; small oil generators reach twice that).
// What is beyond it is a mistake, of units mostly.
const MaxGrams = 5000

// longestPoint is for how long a value without an end holds at most.
const longestPoint = 3 * time.Hour

// newSeries puts points in order. A point without To holds until the next one, the last one for as long as the one before;
// none longer than longestPoint. Of two points of one time the later in the list stays. The error is KindUnavailable: whoever
// sent such points cannot be relied on.
func newSeries(points []Point) (Series, error) {
	const op = "carbon.newSeries"
	for _, p := range points {
		if math.IsNaN(p.Grams) || p.Grams < 0 || p.Grams > MaxGrams {
			return nil, tutti.Errorf(tutti.KindUnavailable, op, "%v g/kWh at %s is no carbon intensity", p.Grams, p.From.Format(time.RFC3339))
		}
		if !p.To.IsZero() && !p.To.After(p.From) {
			return nil, tutti.Errorf(tutti.KindUnavailable, op, "a carbon intensity from %s to %s", p.From.Format(time.RFC3339), p.To.Format(time.RFC3339))
		}
	}
	s := slices.Clone(points)
	slices.SortStableFunc(s, func(a, b Point) int { return a.From.Compare(b.From) })
	out := s[:0]
	for _, p := range s {
		if n := len(out); n > 0 && out[n-1].From.Equal(p.From) {
			out[n-1] = p
			continue
		}
		out = append(out, p)
	}
	for i := range out {
		p := &out[i]
		p.From, p.To = p.From.UTC(), p.To.UTC()
		switch {
		case i+1 < len(out) && (p.To.IsZero() || p.To.After(out[i+1].From)):
			p.To = out[i+1].From.UTC()
		case p.To.IsZero() && i > 0:
			p.To = p.From.Add(p.From.Sub(out[i-1].From))
		case p.To.IsZero():
			p.To = p.From.Add(time.Hour)
		}
		if p.To.Sub(p.From) > longestPoint {
			p.To = p.From.Add(longestPoint)
		}
	}
	return out, nil
}

// after returns the index of the first point that ends after t.
func (s Series) after(t time.Time) int {
	i, _ := slices.BinarySearchFunc(s, t, func(p Point, t time.Time) int {
		if p.To.After(t) {
			return 1
		}
		return -1
	})
	return i
}

// At returns the point that t is in.
func (s Series) At(t time.Time) (Point, bool) {
	if i := s.after(t); i < len(s) && !s[i].From.After(t) {
		return s[i], true
	}
	return Point{}, false
}

// Mean is the mean over time from one instant to another, in grams per kWh. It reports false where the series has a gap
// between them, or does not reach so far.
func (s Series) Mean(from, to time.Time) (float64, bool) {
	if !to.After(from) {
		p, ok := s.At(from)
		return p.Grams, ok
	}
	var sum float64
	at := from
	for i := s.after(from); i < len(s) && at.Before(to); i++ {
		p := s[i]
		if p.From.After(at) {
			return 0, false
		}
		end := p.To
		if end.After(to) {
			end = to
		}
		sum += p.Grams * end.Sub(at).Seconds()
		at = end
	}
	if at.Before(to) {
		return 0, false
	}
	return sum / to.Sub(from).Seconds(), true
}

// Cleanest returns when to begin something that takes d, at from or later but not after latest, so that the mean over it is
// least, and that mean; of equal ones the earliest. It reports false where the series covers no such stretch.
//
// The mean changes at a constant rate for as long as neither the beginning nor the end of the window passes from one point to
// the next, so it is least where one of them does, or at a bound.
func (s Series) Cleanest(d time.Duration, from, latest time.Time) (start time.Time, mean float64, ok bool) {
	try := func(t time.Time) {
		if t.Before(from) || t.After(latest) {
			return
		}
		m, covered := s.Mean(t, t.Add(d))
		// A difference in the last digits is one of rounding, and no reason to wait.
		if covered && (!ok || m < mean*(1-1e-12) || m <= mean && t.Before(start)) {
			start, mean, ok = t, m, true
		}
	}
	try(from)
	for i := s.after(from); i < len(s) && !s[i].From.After(latest.Add(d)); i++ {
		for _, edge := range [...]time.Time{s[i].From, s[i].To} {
			try(edge)
			try(edge.Add(-d))
		}
	}
	try(latest)
	return start, mean, ok
}

// repeatDay continues the series up to until by what was a day before, for grids of which nobody predicts anything: the
// hours of a day resemble those of the day before more than the day's mean (persistence, the usual reference of forecasting).
// A series that knows less than a day stays as it is.
func (s Series) repeatDay(until time.Time) Series {
	const day = 24 * time.Hour
	if len(s) == 0 || s[len(s)-1].To.Sub(s[0].From) < day {
		return s
	}
	out := slices.Clone(s)
	end := s[len(s)-1].To
	for i := s.after(end.Add(-day)); i < len(out) && out[len(out)-1].To.Before(until); i++ {
		p := out[i]
		p.From, p.To, p.Forecast = p.From.Add(day), p.To.Add(day), true
		if p.From.Before(end) {
			p.From = end
		}
		out = append(out, p)
	}
	return out
}
