package analyse

import (
	"math"
	"math/bits"

	"gonum.org/v1/gonum/dsp/fourier"
)

// A print is an acoustic fingerprint as Chromaprint makes it (L. Lalinský, "How does Chromaprint work?", 2011; the method
// is that of Y. Ke, D. Hoiem and R. Sukthankar, "Computer Vision for Music Identification", CVPR 2005, on chroma as in
// D. Jang et al., "Pairwise Boosted Audio Fingerprint", 2009): the same 32-bit numbers that its algorithm 2, the default,
// gives of the same sound. So they can be compared with those of other programs and looked up at AcoustID. The classifiers
// are Chromaprint's, which its author released under the MIT licence (Copyright (C) 2010-2016 Lukas Lalinsky).
type chromaprint struct {
	fft    *fourier.FFT
	window []float64
	notes  []int8 // by bin; -1: not of the chroma
	frame  []float64
	bins   []complex128

	buf    []float32
	chroma [][printNotes]float64 // the last few, before they are smoothed
	rows   [][printNotes]float64 // sums over all time before and all notes below: an integral image
	left   int                   // samples still to be listened to
}

const (
	printRate    = 11025
	printFrame   = 4096
	printHop     = printFrame / 3
	printNotes   = 12
	printSeconds = 120 // as its command line program does; enough to tell any two recordings apart
)

var printSmooth = [5]float64{.25, .75, 1, .75, .25}

// classifier is a filter that is laid over the chroma of 16 frames, and the thresholds that make two bits of its answer.
type classifier struct {
	shape, note, notes, frames int
	thresholds                 [3]float64
}

var classifiers = [16]classifier{
	{0, 4, 3, 15, [3]float64{1.98215, 2.35817, 2.63523}},
	{4, 4, 6, 15, [3]float64{-1.03809, -0.651211, -0.282167}},
	{1, 0, 4, 16, [3]float64{-0.298702, 0.119262, 0.558497}},
	{3, 8, 2, 12, [3]float64{-0.105439, 0.0153946, 0.135898}},
	{3, 4, 4, 8, [3]float64{-0.142891, 0.0258736, 0.200632}},
	{4, 0, 3, 5, [3]float64{-0.826319, -0.590612, -0.368214}},
	{1, 2, 2, 9, [3]float64{-0.557409, -0.233035, 0.0534525}},
	{2, 7, 3, 4, [3]float64{-0.0646826, 0.00620476, 0.0784847}},
	{2, 6, 2, 16, [3]float64{-0.192387, -0.029699, 0.215855}},
	{2, 1, 3, 2, [3]float64{-0.0397818, -0.00568076, 0.0292026}},
	{5, 10, 1, 15, [3]float64{-0.53823, -0.369934, -0.190235}},
	{3, 6, 2, 10, [3]float64{-0.124877, 0.0296483, 0.139239}},
	{2, 1, 1, 14, [3]float64{-0.101475, 0.0225617, 0.231971}},
	{3, 5, 6, 4, [3]float64{-0.0799915, -0.00729616, 0.063262}},
	{1, 9, 2, 12, [3]float64{-0.272556, 0.019424, 0.302559}},
	{3, 4, 2, 14, [3]float64{-0.164292, -0.0321188, 0.0846339}},
}

const classifierFrames = 16 // the widest

func newChromaprint() *chromaprint {
	c := &chromaprint{
		fft: fourier.NewFFT(printFrame), window: make([]float64, printFrame), notes: make([]int8, printFrame/2+1),
		frame: make([]float64, printFrame), left: printSeconds * printRate,
	}
	for i := range c.window {
		c.window[i] = (.54 - .46*math.Cos(2*math.Pi*float64(i)/(printFrame-1))) / math.MaxInt16
	}
	const lowest, highest = 28.0, 3520.0 // Hz
	bin := func(f float64) int { return int(math.Round(printFrame * f / printRate)) }
	for i := range c.notes {
		c.notes[i] = -1
		if i >= max(1, bin(lowest)) && i < min(printFrame/2, bin(highest)) {
			octave := math.Log2(float64(i) * printRate / printFrame / (440.0 / 16))
			c.notes[i] = int8(printNotes * (octave - math.Floor(octave)))
		}
	}
	return c
}

// add takes samples at printRate, of full scale 1.
func (c *chromaprint) add(x []float32) {
	x = x[:min(len(x), c.left)]
	c.left -= len(x)
	c.buf = append(c.buf, x...)
	for len(c.buf) >= printFrame {
		for i, w := range c.window {
			c.frame[i] = w * math.Round(float64(min(max(c.buf[i], -1), 1))*32768) // it works on 16 bits
		}
		c.bins = c.fft.Coefficients(c.bins, c.frame)
		var chroma [printNotes]float64
		for i, n := range c.notes {
			if n >= 0 {
				v := c.bins[i]
				chroma[n] += real(v)*real(v) + imag(v)*imag(v)
			}
		}
		c.take(chroma)
		c.buf = c.buf[:copy(c.buf, c.buf[printHop:])]
	}
}

// take smooths the chroma over five frames, brings it to length 1 and enters it into the integral image.
func (c *chromaprint) take(chroma [printNotes]float64) {
	c.chroma = append(c.chroma, chroma)
	if len(c.chroma) < len(printSmooth) {
		return
	}
	var row [printNotes]float64
	norm := 0.0
	for n := range row {
		for i, w := range printSmooth {
			row[n] += w * c.chroma[i][n]
		}
		norm += row[n] * row[n]
	}
	c.chroma = c.chroma[:copy(c.chroma, c.chroma[1:])]
	const silence = .01
	if norm = math.Sqrt(norm); norm < silence {
		row = [printNotes]float64{}
	} else {
		for n := range row {
			row[n] /= norm
		}
	}
	for n := 1; n < printNotes; n++ {
		row[n] += row[n-1]
	}
	if k := len(c.rows); k > 0 {
		for n := range row {
			row[n] += c.rows[k-1][n]
		}
	}
	c.rows = append(c.rows, row)
}

// area is the sum over frames from t0 to t1 and notes from n0 to n1, the latter excluded.
func (c *chromaprint) area(t0, n0, t1, n1 int) float64 {
	if t0 == t1 || n0 == n1 {
		return 0
	}
	at := func(t, n int) float64 {
		if t == 0 || n == 0 {
			return 0
		}
		return c.rows[t-1][n-1]
	}
	return at(t1, n1) - at(t0, n1) - at(t1, n0) + at(t0, n0)
}

func (c *chromaprint) apply(f *classifier, t int) float64 {
	n, h, w := f.note, f.notes, f.frames
	var a, b float64
	switch f.shape {
	case 0: // all of it
		a = c.area(t, n, t+w, n+h)
	case 1: // upper notes against lower ones
		a, b = c.area(t, n+h/2, t+w, n+h), c.area(t, n, t+w, n+h/2)
	case 2: // later against earlier
		a, b = c.area(t+w/2, n, t+w, n+h), c.area(t, n, t+w/2, n+h)
	case 3: // two corners against the two others
		a = c.area(t, n+h/2, t+w/2, n+h) + c.area(t+w/2, n, t+w, n+h/2)
		b = c.area(t, n, t+w/2, n+h/2) + c.area(t+w/2, n+h/2, t+w, n+h)
	case 4: // the middle notes against those around
		a = c.area(t, n+h/3, t+w, n+2*(h/3))
		b = c.area(t, n, t+w, n+h/3) + c.area(t, n+2*(h/3), t+w, n+h)
	case 5: // the middle of the time against what is around
		a = c.area(t+w/3, n, t+2*(w/3), n+h)
		b = c.area(t, n, t+w/3, n+h) + c.area(t+2*(w/3), n, t+w, n+h)
	}
	return math.Log((1 + a) / (1 + b))
}

// print returns the numbers, one for each eighth of a second or so; none of less than three seconds.
func (c *chromaprint) print() []uint32 {
	gray := [4]uint32{0, 1, 3, 2}
	var list []uint32
	for t := 0; t+classifierFrames <= len(c.rows); t++ {
		v := uint32(0)
		for i := range classifiers {
			f := &classifiers[i]
			x, level := c.apply(f, t), 0
			for level < 3 && x >= f.thresholds[level] {
				level++
			}
			v = v<<2 | gray[level]
		}
		list = append(list, v)
	}
	return list
}

// sketch makes a few numbers of a print of any length, which differ in few bits between two encodings of one recording: of each
// quarter, the majority of each bit (M. Charikar, "Similarity Estimation Techniques from Rounding Algorithms", STOC 2002).
func sketch(print []uint32) (s [sketchParts]uint32) {
	for part := range s {
		list := print[part*len(print)/sketchParts : (part+1)*len(print)/sketchParts]
		var counts [32]int
		for _, v := range list {
			for v != 0 {
				b := bits.TrailingZeros32(v)
				counts[b]++
				v &^= 1 << b
			}
		}
		for b, n := range counts {
			if 2*n > len(list) {
				s[part] |= 1 << b
			}
		}
	}
	return s
}

const sketchParts = 4
