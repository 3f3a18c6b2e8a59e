package clock

import (
	"cmp"
	"math"
	"slices"
)

// interval is where one source says the offset is, in nanoseconds: for sure (as sure as the source is) between low and
// high, and likely at estimate.
type interval struct {
	low, high float64
	estimate  line
	source    int
}

// tolerated is how many of n sources may be wrong without the rest being outvoted: fewer than half of three or more.
// Two that disagree cannot tell which of them is right.
func tolerated(n int) int {
	if n < 3 {
		return 0
	}
	return (n - 1) / 2
}

// agreed is where the truth must be when no more than the tolerated number of intervals are wrong: from the least to the
// greatest offset that lies in all the others (K. Marzullo, S. Owicki: "Maintaining the time in a distributed system",
// PODC 1983, §3). Narrower would be what all happen to share, and one source that lies a little could cut the truth off.
// ok is false where no offset lies in so many: then more are wrong.
func agreed(all []interval) (low, high float64, ok bool) {
	type edge struct {
		at   float64
		step int
	}
	edges := make([]edge, 0, 2*len(all))
	for _, i := range all {
		edges = append(edges, edge{i.low, 1}, edge{i.high, -1})
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(b.step, a.step)) })
	need, depth := len(all)-tolerated(len(all)), 0
	low, high = math.Inf(1), math.Inf(-1)
	for _, e := range edges {
		if e.step > 0 {
			if depth++; depth >= need {
				low = min(low, e.at)
			}
			continue
		}
		if depth >= need {
			high = max(high, e.at)
		}
		depth--
	}
	return low, high, len(all) > 0 && low <= high
}

// survivors are the sources that the majority confirms (RFC 5905 §11.2.1: as few falsetickers as can be assumed so that
// the rest share an interval that holds their estimates), without the outliers among them (§11.2.2). It is empty where
// there is no majority.
func survivors(all []interval) []interval {
	low, high, ok := 0.0, 0.0, false
	for false_ := 0; false_ <= tolerated(len(all)) && !ok; false_++ {
		low, high, ok = shared(all, len(all)-false_)
		if !ok {
			continue
		}
		outside := 0
		for _, i := range all {
			if i.estimate.offset < low || i.estimate.offset > high {
				outside++
			}
		}
		ok = outside <= false_
	}
	if !ok {
		return nil
	}
	var kept []interval
	for _, i := range all {
		if i.estimate.offset >= low && i.estimate.offset <= high {
			kept = append(kept, i)
		}
	}
	return cluster(kept)
}

// shared is the smallest interval that lies in n of them (RFC 5905 §11.2.1).
func shared(all []interval, n int) (low, high float64, ok bool) {
	var lows, highs []float64
	for _, i := range all {
		lows, highs = append(lows, i.low), append(highs, i.high)
	}
	slices.Sort(lows)
	slices.Sort(highs)
	within := func(v float64) int {
		in := 0
		for _, i := range all {
			if i.low <= v && v <= i.high {
				in++
			}
		}
		return in
	}
	low, high = math.NaN(), math.NaN()
	for _, v := range lows {
		if within(v) >= n {
			low = v
			break
		}
	}
	for _, v := range slices.Backward(highs) {
		if within(v) >= n {
			high = v
			break
		}
	}
	return low, high, low <= high
}

// fewest is RFC 5905's NMIN: below it, clustering throws nobody out (§11.2.2).
const fewest = 3

// cluster throws out, one after the other, the source that lies furthest from the others, for as long as it lies further
// from them than the best of them is sure of itself (RFC 5905 §11.2.2).
func cluster(all []interval) []interval {
	for len(all) > fewest {
		furthest, jitter, surest := 0, -1.0, math.Inf(1)
		for n, i := range all {
			sum := 0.0
			for _, o := range all {
				d := i.estimate.offset - o.estimate.offset
				sum += d * d
			}
			if j := math.Sqrt(sum / float64(len(all)-1)); j > jitter {
				furthest, jitter = n, j
			}
			surest = min(surest, (i.high-i.low)/2)
		}
		if jitter <= surest {
			break
		}
		all = slices.Delete(slices.Clone(all), furthest, furthest+1)
	}
	return all
}

// combine is the survivors' line: the weighted medians of their offsets and of their rates, where who is surer weighs more.
// RFC 5905 §11.2.3 takes the mean, which a source that lies within its bound moves by as much as it likes to within
// its weight; a median it moves by no more than the honest ones differ.
func combine(all []interval) line {
	weight := func(i interval) float64 { return 1 / max(i.high-i.low, 1) }
	return line{
		offset: weightedMedian(all, func(i interval) float64 { return i.estimate.offset }, weight),
		rate:   weightedMedian(all, func(i interval) float64 { return i.estimate.rate }, weight),
	}
}

func weightedMedian(all []interval, value, weight func(interval) float64) float64 {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b interval) int { return cmp.Compare(value(a), value(b)) })
	total := 0.0
	for _, i := range sorted {
		total += weight(i)
	}
	sum := 0.0
	for n, i := range sorted {
		sum += weight(i)
		if math.Abs(sum-total/2) < total*1e-9 && n+1 < len(sorted) {
			return (value(i) + value(sorted[n+1])) / 2
		}
		if sum > total/2 {
			return value(i)
		}
	}
	return math.NaN()
}
