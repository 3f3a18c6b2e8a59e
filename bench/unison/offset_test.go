package main

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/dsp/fourier"
)

// noise returns what plays the same noise later by a number of samples that need not be whole.
func noise() func(late float64) []float32 {
	rng := rand.New(rand.NewPCG(5, 6))
	white := make([]float64, 1<<17)
	for i := range white {
		white[i] = rng.NormFloat64() / 8
	}
	fft := fourier.NewFFT(len(white))
	spectrum := fft.Coefficients(nil, white)
	return func(late float64) []float32 {
		shifted := make([]complex128, len(spectrum))
		for i, c := range spectrum {
			shifted[i] = c * cmplx.Exp(complex(0, -2*math.Pi*float64(i)*late/float64(len(white))))
		}
		out := make([]float32, window)
		for i, v := range fft.Sequence(nil, shifted)[10_000 : 10_000+window] {
			out[i] = float32(v / float64(len(white)))
		}
		return out
	}
}

func TestOffsetsAreFound(t *testing.T) {
	c := newCorrelator()
	play := noise()
	here := play(0)
	for _, want := range []float64{0, 0.25, 1.5, -7.75, 480, -960.5} {
		got, ok := c.late(here, play(want))
		if !ok || math.Abs(got-want) > 0.1 {
			t.Errorf("%v samples late are found as %v, %v", want, got, ok)
		}
	}
}

func TestSilenceAndOtherSoundHaveNoOffset(t *testing.T) {
	c := newCorrelator()
	rng := rand.New(rand.NewPCG(7, 8))
	other := func() []float32 {
		s := make([]float32, window)
		for i := range s {
			s[i] = float32(rng.NormFloat64() / 8)
		}
		return s
	}
	if _, ok := c.late(other(), make([]float32, window)); ok {
		t.Error("silence has an offset")
	}
	if got, ok := c.late(other(), other()); ok {
		t.Errorf("sounds that have nothing in common are %v samples apart", got)
	}
	s := compare(make([]float32, 3*window), make([]float32, 3*window))
	if s.blank != 3 || len(s.us) != 0 || !math.IsNaN(s.apart(0.5)) {
		t.Errorf("three windows of silence are %+v", s)
	}
}
