package clock

import (
	"math"
	"slices"
	"time"
)

// filter keeps what the exchanges with one source say of the offset between the local oscillator and that source: the
// set of all straight lines, offset against time, that no exchange contradicts.
//
// A packet cannot arrive before it was sent. So each question gives an upper bound on the offset (it cannot be more
// than T2 − T1) and each answer a lower one (it cannot be less than T3 − T4), and both hold whatever the delays were: no
// symmetry is assumed. The lines between all of those form a convex polygon in the plane of offset and rate. Its extent
// is the error bound, from now into any holdover; and where delays are noisy, it is the smallest delay of each direction
// by itself that cuts it, which two exchanges need not share: the minimum of each way is met far more often than the
// minimum of both at once.
//
// S. Moon, P. Skelly, D. Towsley: "Estimation and removal of clock skew from network delay measurements", INFOCOM
// 1999, lay one line under the delays of one way by linear programming; this is the same for both ways with one rate.
// The bounds are those of K. Marzullo, S. Owicki: "Maintaining the time in a distributed system", PODC 1983, with
// the rate learned instead of assumed.
type filter struct {
	uppers, lowers hull     // for the bound: everything since maxAge, as far as it matters
	recent         []pair   // for the estimate: the latest exchanges, each of them
	last           Exchange // what the newest exchange said of the server
	seen           bool
}

// pair is what one exchange says.
type pair struct{ upper, lower bound }

// bound is a limit on the offset, in nanoseconds from the oscillator's beginning, at a moment, in its seconds.
type bound struct{ at, offset float64 }

// hull is those bounds, oldest first, that a straight line can touch: the convex hull of all of them, on the side of the
// lines (A. Andrew: "Another efficient algorithm for convex hulls in two dimensions", Information Processing Letters 9
// (1979)). That a rate may stray loosens bounds by their age, which leaves the hull what it is.
type hull []bound

// add takes the newest bound. sign is 1 for upper bounds and -1 for lower ones.
func (h *hull) add(b bound, sign float64) {
	all := *h
	for len(all) > 1 {
		p, q := all[len(all)-2], all[len(all)-1]
		if sign*((q.offset-p.offset)*(b.at-p.at)-(b.offset-p.offset)*(q.at-p.at)) < 0 {
			break
		}
		all = all[:len(all)-1]
	}
	*h = append(all, b)
}

// forget drops what is older than a moment, but never the newest.
func (h *hull) forget(before float64) {
	n := 0
	for n < len(*h)-1 && (*h)[n].at < before {
		n++
	}
	*h = (*h)[n:]
}

const (
	// maxHull bounds a filter's memory and the work of an update. Hulls of noise have a handful of corners.
	maxHull = 128
	// maxRecent is how many exchanges the estimate is made of, 40 bursts of a near server, and recentAge for how many
	// seconds: in more time than that the temperature changes.
	maxRecent, recentAge = 320, 7200
	// maxAge is how old a point may get, in seconds: within it a room's temperature may have come round once.
	maxAge = 6 * 3600
	// maxRate is the most that an oscillator may be off by, as in RFC 5905 (§11.3: 500 ppm); in nanoseconds a second.
	maxRate = 500e3
	// wander is how far, in nanoseconds a second, the oscillator's rate may stray from the line within the filter's
	// memory or in holdover, for the bound. Uncompensated quartz keeps within 1 ppm while its temperature changes by a few
	// degrees (IEEE Std 1139 has the terms; D. Mills: "Computer Network Time Synchronization", §12, has measurements).
	wander = 1e3
	// likelyWander is the same for the estimate, which need not hold always but be right mostly: old exchanges count less.
	likelyWander = 20
)

// reach is a convex polygon of lines, as its corners: offset in nanoseconds at a moment, and rate in nanoseconds a
// second.
type reach struct {
	at      float64 // seconds of the oscillator
	corners []line
	spare   []line // room for the next cut
}

type line struct{ offset, rate float64 }

func (l line) after(seconds float64) float64 { return l.offset + l.rate*seconds }

// reset forgets everything, as when the source's time has stepped.
func (f *filter) reset() { *f = filter{} }

// add takes an exchange that has no problem. base is the moment, by the time of day, from which offsets are counted.
func (f *filter) add(e Exchange, base time.Time) {
	noise := float64(timestampNoise + e.Precision/2)
	now := e.T4.Seconds()
	p := pair{
		upper: bound{e.T1.Seconds(), float64(e.T2.Sub(base)-e.T1) + noise},
		lower: bound{now, float64(e.T3.Sub(base)-e.T4) - noise},
	}
	f.uppers.add(p.upper, 1)
	f.lowers.add(p.lower, -1)
	f.last, f.seen = e, true
	f.recent = append(f.recent, p)
	for len(f.recent) > maxRecent || now-f.recent[0].lower.at > recentAge {
		f.recent = f.recent[1:]
	}
	for _, h := range []*hull{&f.uppers, &f.lowers} {
		h.forget(now - maxAge)
		if len(*h) > maxHull {
			*h = (*h)[1:]
		}
	}
}

// shift moves every point by d: at a leap second, when the time of day is set back and the oscillator is not.
func (f *filter) shift(d time.Duration) {
	for _, h := range []hull{f.uppers, f.lowers} {
		for i := range h {
			h[i].offset += float64(d)
		}
	}
	for i := range f.recent {
		f.recent[i].upper.offset += float64(d)
		f.recent[i].lower.offset += float64(d)
	}
}

// lines is the set of lines that no exchange contradicts, seen from a moment, with the rate straying by up to wander. ok is
// false where there is none: then the source or the oscillator did not keep to a line.
func (f *filter) lines(at float64) (reach, bool) {
	if !f.seen {
		return reach{}, false
	}
	r := everywhere(at, f.lowers[len(f.lowers)-1], f.uppers[len(f.uppers)-1])
	for _, b := range slices.Backward(f.uppers) {
		r.cut(b, wander, 1)
	}
	for _, b := range slices.Backward(f.lowers) {
		r.cut(b, wander, -1)
	}
	return r, len(r.corners) > 0
}

// everywhere is the set of all lines that an oscillator may follow from the newest bounds on.
func everywhere(at float64, lower, upper bound) reach {
	room := 2*maxRate*(at-min(lower.at, upper.at)) + 1e6 // more than can be left after those two have cut it
	low, high := lower.offset-room, upper.offset+room
	return reach{at: at, corners: []line{{low, -maxRate}, {high, -maxRate}, {high, maxRate}, {low, maxRate}}}
}

// cut keeps the lines below (sign 1) or above (-1) a bound that is looser by what the rate may have strayed since.
func (r *reach) cut(b bound, stray, sign float64) {
	x := b.at - r.at
	r.corners, r.spare = clip(r.spare[:0], r.corners, x, b.offset+sign*stray*math.Abs(x), sign), r.corners
}

// clip keeps the part of a convex polygon where sign·(offset + rate·x) ≤ sign·bound (I. Sutherland, G. Hodgman:
// "Reentrant polygon clipping", CACM 17 (1974)).
func clip(into, corners []line, x, bound, sign float64) []line {
	for i, a := range corners {
		b := corners[(i+1)%len(corners)]
		da, db := sign*(a.after(x)-bound), sign*(b.after(x)-bound)
		if da <= 0 {
			into = append(into, a)
		}
		if da < 0 && db > 0 || da > 0 && db < 0 {
			t := da / (da - db)
			into = append(into, line{a.offset + t*(b.offset-a.offset), a.rate + t*(b.rate-a.rate)})
		}
	}
	return into
}

// bounds is the least and the most that the offset can be at a moment, later than the set's or not, with the rate
// straying on.
func (r reach) bounds(at float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, c := range r.corners {
		v := c.after(at - r.at)
		low, high = min(low, v), max(high, v)
	}
	stray := wander * math.Abs(at-r.at)
	return low - stray, high + stray
}

// middle is the line that lies as far as it can from every bound: at the rate where the set is widest, halfway up. That is
// the solution of the linear programme that Moon et al. give, for both ways together: the sum of all distances is least.
func (r reach) middle() line {
	widest := -1.0
	const rounding = 1   // nanoseconds
	var from, to float64 // of the rates at which the set is widest, within rounding
	for _, c := range r.corners {
		low, high := r.slice(c.rate)
		switch w := high - low; {
		case w > widest+rounding:
			widest, from, to = w, c.rate, c.rate
		case w > widest-rounding:
			from, to = min(from, c.rate), max(to, c.rate)
		}
	}
	rate := (from + to) / 2
	low, high := r.slice(rate)
	return line{offset: (low + high) / 2, rate: rate}
}

// slice is the extent in offset of the lines with one rate.
func (r reach) slice(rate float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	add := func(v float64) { low, high = min(low, v), max(high, v) }
	for i, a := range r.corners {
		b := r.corners[(i+1)%len(r.corners)]
		if a.rate == rate {
			add(a.offset)
		}
		if (a.rate < rate) != (b.rate < rate) && a.rate != b.rate {
			t := (rate - a.rate) / (b.rate - a.rate)
			add(a.offset + t*(b.offset-a.offset))
		}
	}
	return low, high
}

// settle drops the oldest bounds for as long as no line leads through all, as the source or the oscillator did not keep
// to one. It reports whether it had to.
func (f *filter) settle(at float64) bool {
	if _, ok := f.lines(at); ok {
		return false
	}
	for f.halve(at) {
		if _, ok := f.lines(at); ok {
			break
		}
	}
	return true
}

// halve forgets the older half of the time that the filter looks back on, and reports whether there was one.
func (f *filter) halve(at float64) bool {
	if len(f.uppers) == 1 && len(f.lowers) == 1 {
		return false
	}
	before := at - (at-min(f.uppers[0].at, f.lowers[0].at))/2
	n := len(f.uppers) + len(f.lowers)
	f.uppers.forget(before)
	f.lowers.forget(before)
	if len(f.uppers)+len(f.lowers) == n { // both lie at the end
		f.uppers, f.lowers = f.uppers[len(f.uppers)-1:], f.lowers[len(f.lowers)-1:]
	}
	return true
}

// estimate is the likely line at a moment: the middle of what the latest exchanges allow, as many of them as keep to one
// line within likelyWander.
func (f *filter) estimate(at float64) (line, bool) {
	for recent := f.recent; len(recent) > 0; recent = recent[max(1, len(recent)/8):] {
		newest := recent[len(recent)-1]
		r := everywhere(at, newest.lower, newest.upper)
		for _, p := range slices.Backward(recent) {
			r.cut(p.upper, likelyWander, 1)
			r.cut(p.lower, likelyWander, -1)
			if len(r.corners) == 0 {
				break
			}
		}
		if len(r.corners) > 0 {
			return r.middle(), true
		}
	}
	return line{}, false
}
