package analyse

import (
	"math"

	"gonum.org/v1/gonum/dsp/fourier"
)

// tempo is found from how much sets in at each moment (timbre.onsets): how alike that is to itself a beat later, over
// windows of 24 s (P. Grosche and M. Müller, "Extracting Predominant Local Pulse Information from Music Recordings", IEEE
// TASLP 19(6), 2011, have it for Fourier's; the autocorrelation with a preference is D. Ellis, "Beat Tracking by Dynamic
// Programming", Journal of New Music Research 36(1), 2007).
type tempo struct {
	bpm   float64 // 0: none
	clear float64 // 0 to 1: how much of what sets in comes again a beat later
}

const (
	lowestBPM  = 50.0
	highestBPM = 210.0

	tempoWindow = 2048 // frames: 23.8 s
	tempoHop    = 1024
	tempoLags   = 560 // four beats at 37 bpm

	// Between a tempo and its double only a preference decides, as with people, who tap at one or the other: it is a bell
	// over the octaves, so wide that what is played counts for more (test: TestTempo).
	preferred = 140.0
	width     = 1.2 // octaves
)

// likeness returns the autocorrelation of the onsets by lag, 1 at none, averaged over the windows by how much sets in there.
// nil where there is too little.
func likeness(onsets []float32) []float64 {
	if len(onsets) < tempoWindow/8 {
		return nil
	}
	sum := make([]float64, tempoLags)
	fft := fourier.NewFFT(2 * tempoWindow)
	buf := make([]float64, 2*tempoWindow)
	var bins []complex128
	for at := 0; ; at += tempoHop {
		n := min(tempoWindow, len(onsets)-at)
		if at > 0 && n < tempoWindow/2 {
			break
		}
		clear(buf)
		mean := 0.0
		for _, v := range onsets[at : at+n] {
			mean += float64(v)
		}
		mean /= float64(n)
		for i, v := range onsets[at : at+n] {
			buf[i] = float64(v) - mean
		}
		bins = fft.Coefficients(bins, buf)
		for i, v := range bins {
			bins[i] = complex(real(v)*real(v)+imag(v)*imag(v), 0)
		}
		buf = fft.Sequence(buf, bins)
		for lag := range min(tempoLags, n/2) {
			sum[lag] += buf[lag] * float64(n) / float64(n-lag) // as many products for each lag
		}
	}
	if sum[0] <= 0 {
		return nil
	}
	for lag := tempoLags - 1; lag >= 0; lag-- {
		sum[lag] /= sum[0]
	}
	return sum
}

// at reads a list between two of its places.
func at(list []float64, x float64) float64 {
	i := int(x)
	if i+1 >= len(list) {
		return 0
	}
	f := x - float64(i)
	return list[i]*(1-f) + list[i+1]*f
}

// findTempo returns the tempo at which onsets repeat, by their likeness. Two and four beats later they must be alike as well; in between,
// a half and a third of a beat later, they may be: that alone makes no beat faster.
func findTempo(a []float64) tempo {
	if a == nil {
		return tempo{}
	}
	peak := func(x float64) float64 { // the largest nearby: a window's frames do not fall on the beats
		v := at(a, x)
		for _, d := range [...]float64{-1, -.5, .5, 1} {
			v = max(v, at(a, x+d))
		}
		return v
	}
	best, most := 0.0, 0.0
	for bpm := lowestBPM; bpm <= highestBPM; bpm *= 1.005 {
		lag := 60 * onsetRate / bpm
		s := peak(lag) + .5*peak(2*lag) + .25*peak(4*lag) - .5*max(0, at(a, 1.5*lag)) - .25*max(0, at(a, .75*lag))
		octaves := math.Log2(bpm / preferred)
		s *= math.Exp(-.5 * octaves * octaves / (width * width))
		if s > most {
			best, most = bpm, s
		}
	}
	if best == 0 {
		return tempo{}
	}
	// Closer, from the farthest multiple that can be told from its neighbours by then.
	lag := 60 * onsetRate / best
	for _, beats := range [...]float64{1, 2, 4, 8} {
		centre := lag * beats
		if centre+8 >= tempoLags {
			break
		}
		top, where := math.Inf(-1), 0
		for i := int(centre - 3); i <= int(centre+4); i++ {
			if i > 0 && a[i] > top {
				top, where = a[i], i
			}
		}
		if where < 1 || a[where] < a[where-1] || a[where] < a[where+1] {
			break
		}
		l, c, r := a[where-1], a[where], a[where+1]
		x := float64(where)
		if l-2*c+r < 0 {
			x += .5 * (l - r) / (l - 2*c + r)
		}
		lag = x / beats
	}
	return tempo{bpm: 60 * onsetRate / lag, clear: min(max(peak(lag), 0), 1)}
}
