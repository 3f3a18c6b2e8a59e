package rooms

import (
	"math/bits"
	"time"
)

// Timeline says when each sample is to be heard: a straight line from sample numbers to time, in whole-number arithmetic,
// so that it is as exact after a day as in its first second. Rates are samples a second and positive.
type Timeline struct {
	First int64     // a sample
	At    time.Time // when it is heard
	Rate  int64
}

// Time is when a sample is heard, to the nanosecond below. Samples may lie before First.
func (t Timeline) Time(sample int64) time.Time {
	return t.At.Add(time.Duration(scale(sample-t.First, int64(time.Second), t.Rate)))
}

// Sample is the sample that is being heard at a time: the last one whose Time is not after it.
func (t Timeline) Sample(at time.Time) int64 {
	n := t.First + scale(int64(at.Sub(t.At)), t.Rate, int64(time.Second))
	// Time rounds down, so a sample's own time may lie just before the line; the next one may already have begun.
	for !t.Time(n + 1).After(at) {
		n++
	}
	return n
}

// scale is a·b/c rounded down, without overflow on the way; b and c are positive.
func scale(a, b, c int64) int64 {
	if a < 0 {
		hi, lo := bits.Mul64(uint64(-a), uint64(b))
		q, r := bits.Div64(hi, lo, uint64(c))
		if r > 0 {
			q++
		}
		return -int64(q)
	}
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(q)
}

// length is how long a number of samples is heard, rounded down.
func length(samples, rate int64) time.Duration {
	return time.Duration(scale(samples, int64(time.Second), rate))
}
