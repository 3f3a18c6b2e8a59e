package main

import (
	"math"
	"math/cmplx"
	"slices"

	"gonum.org/v1/gonum/dsp/fourier"
)

const (
	rate = 48_000
	// window is the sound from which one offset is made, a second.
	window = rate
	// farthest is the largest offset that is looked for, in samples: 0.3 s.
	farthest = rate * 3 / 10
	// quiet is the loudness below which a window is silence, as a part of full scale.
	quiet = 1e-3
	// standsOut is by how much the highest peak must stand out of the mean of all, to be one.
	standsOut = 8
)

// correlator finds how far apart two recordings of the same sound are.
type correlator struct {
	fft  *fourier.FFT
	pad  []float64
	a, b []complex128
	out  []float64
}

func newCorrelator() *correlator {
	const size = 1 << 17 // a window, with as much silence behind it as offsets reach, and more
	return &correlator{fft: fourier.NewFFT(size), pad: make([]float64, size)}
}

// late returns by how many samples b is behind a, to a small part of one, by generalised cross-correlation with phase
// transform (C. Knapp, G. Carter: "The generalized correlation method for estimation of time delay", IEEE Transactions on
// Acoustics, Speech, and Signal Processing 24, 1976). It is not ok where one is silent or they are not the same sound.
func (c *correlator) late(a, b []float32) (samples float64, ok bool) {
	if loudness(a) < quiet || loudness(b) < quiet {
		return 0, false
	}
	c.a = c.fft.Coefficients(c.a, c.fill(a))
	c.b = c.fft.Coefficients(c.b, c.fill(b))
	for i := range c.a {
		x := cmplx.Conj(c.a[i]) * c.b[i]
		if m := cmplx.Abs(x); m > 0 {
			x /= complex(m, 0)
		}
		c.a[i] = x
	}
	c.out = c.fft.Sequence(c.out, c.a)
	n := len(c.out)
	at := func(lag int) float64 { return c.out[(lag+n)%n] }
	best, sum := 0, 0.0
	for lag := -farthest; lag <= farthest; lag++ {
		sum += math.Abs(at(lag))
		if at(lag) > at(best) {
			best = lag
		}
	}
	if at(best) < standsOut*sum/(2*farthest+1) {
		return 0, false
	}
	// Between samples the peak of whitened sound is a sinc's (H. Foroosh, J. Zerubia, M. Berthod: "Extension of phase
	// correlation to subpixel registration", IEEE Transactions on Image Processing 11, 2002).
	m, before, after := at(best), max(0, at(best-1)), max(0, at(best+1))
	part := after / (m + after)
	if before > after {
		part = -before / (m + before)
	}
	return float64(best) + part, true
}

func (c *correlator) fill(s []float32) []float64 {
	clear(c.pad)
	for i, v := range s {
		// A raised cosine at both ends, so that where the window begins is no sound of its own.
		c.pad[i] = float64(v) * 0.5 * (1 - math.Cos(2*math.Pi*(float64(i)+0.5)/float64(len(s))))
	}
	return c.pad
}

func loudness(s []float32) float64 {
	sum := 0.0
	for _, v := range s {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(len(s)))
}

// series is how far a player was behind another, window by window.
type series struct {
	at    []float64 // seconds since the recording's beginning
	us    []float64 // microseconds, positive where the second is late
	blank int       // windows in which one of them was silent
}

// compare measures all windows of two recordings of the same length.
func compare(a, b []float32) series {
	var s series
	c := newCorrelator()
	for from := 0; from+window <= min(len(a), len(b)); from += window {
		late, ok := c.late(a[from:from+window], b[from:from+window])
		if !ok {
			s.blank++
			continue
		}
		s.at = append(s.at, float64(from)/rate)
		s.us = append(s.us, late/rate*1e6)
	}
	return s
}

// apart returns a quantile of how far apart they were, in either direction, and NaN where nothing is known.
func (s series) apart(q float64) float64 {
	if len(s.us) == 0 {
		return math.NaN()
	}
	sizes := make([]float64, len(s.us))
	for i, v := range s.us {
		sizes[i] = math.Abs(v)
	}
	slices.Sort(sizes)
	return sizes[min(len(sizes)-1, int(math.Ceil(q*float64(len(sizes))))-1)]
}

// middle returns the median with its sign.
func (s series) middle() float64 {
	if len(s.us) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s.us))
	return sorted[len(sorted)/2]
}
