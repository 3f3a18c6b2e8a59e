package analyse

import (
	"math"

	"gonum.org/v1/gonum/dsp/fourier"
)

// timbre gathers what the sound is like, and when something sets in, from a spectrum every 11.6 ms.
type timbre struct {
	fft    *fourier.FFT
	window []float64
	frame  []float64
	bins   []complex128
	power  []float64
	mel    []melBand
	buf    []float32

	levels, before [melBands]float64 // of the bands, compressed
	n              int               // frames
	onsets, low    []float32         // how much sets in, in all bands and in the lowest ones

	cepstrum [cepstra]stats
	last     [cepstra]float64
	delta    [cepstra]stats
	flatness [flatBands]stats
	centroid stats
	rolloff  stats
}

const (
	timbreRate  = 22050
	timbreFrame = 1024
	timbreHop   = 256
	onsetRate   = float64(timbreRate) / timbreHop

	melBands  = 40
	lowBands  = 6 // up to some 250 Hz
	cepstra   = 13
	flatBands = 6

	// maxOnsets bounds what is remembered of a very long piece: 20 minutes have shown what its beat is.
	maxOnsets = 20 * 60 * timbreRate / timbreHop
)

// stats is a mean and a deviation.
type stats struct{ n, sum, squares float64 }

func (s *stats) add(v float64) {
	s.n++
	s.sum += v
	s.squares += v * v
}

func (s *stats) mean() float64 {
	if s.n == 0 {
		return 0
	}
	return s.sum / s.n
}

func (s *stats) deviation() float64 {
	if s.n == 0 {
		return 0
	}
	m := s.sum / s.n
	return math.Sqrt(max(0, s.squares/s.n-m*m))
}

// melBand is a triangle over bins.
type melBand struct {
	from    int
	weights []float64
}

func mel(f float64) float64 { return 2595 * math.Log10(1+f/700) } // D. O'Shaughnessy, "Speech Communication", 1987

func hertz(m float64) float64 { return 700 * (math.Pow(10, m/2595) - 1) }

func newTimbre() *timbre {
	t := &timbre{
		fft: fourier.NewFFT(timbreFrame), window: make([]float64, timbreFrame), frame: make([]float64, timbreFrame), power: make([]float64, timbreFrame/2+1),
	}
	for i := range t.window {
		t.window[i] = (.5 - .5*math.Cos(2*math.Pi*float64(i)/timbreFrame)) * 4 / timbreFrame
	}
	const lowest, highest = 30.0, 10500.0
	edge := func(i int) float64 {
		return hertz(mel(lowest)+(mel(highest)-mel(lowest))*float64(i)/(melBands+1)) * timbreFrame / timbreRate
	}
	for i := range melBands {
		l, c, r := edge(i), edge(i+1), edge(i+2)
		b := melBand{from: int(l) + 1}
		for k := b.from; float64(k) < r; k++ {
			w := (float64(k) - l) / (c - l)
			if float64(k) > c {
				w = (r - float64(k)) / (r - c)
			}
			b.weights = append(b.weights, w)
		}
		if len(b.weights) == 0 { // narrower than a bin
			b.from, b.weights = int(math.Round(c)), []float64{1}
		}
		t.mel = append(t.mel, b)
	}
	return t
}

// cosines are the DCT-II that turns bands into a cepstrum.
var cosines = func() (c [cepstra][melBands]float64) {
	for k := range c {
		for i := range c[k] {
			c[k][i] = math.Cos(math.Pi*float64(k)*(float64(i)+.5)/melBands) / melBands
		}
	}
	return c
}()

// flatEdges are the bins between which the flatness is taken: octaves from 86 Hz on.
var flatEdges = [flatBands + 1]int{4, 10, 20, 40, 80, 160, 320}

func (t *timbre) add(x []float32) {
	t.buf = append(t.buf, x...)
	for len(t.buf) >= timbreFrame {
		for i, w := range t.window {
			t.frame[i] = w * float64(t.buf[i])
		}
		t.bins = t.fft.Coefficients(t.bins, t.frame)
		t.look()
		t.buf = t.buf[:copy(t.buf, t.buf[timbreHop:])]
	}
}

const quietest = 1e-9 // -90 dB

func (t *timbre) look() {
	total := 0.0
	for i, v := range t.bins {
		t.power[i] = real(v)*real(v) + imag(v)*imag(v)
		total += t.power[i]
	}
	var bands [melBands]float64
	for i := range t.mel {
		b := &t.mel[i]
		sum := 0.0
		for k, w := range b.weights {
			sum += w * t.power[b.from+k]
		}
		bands[i] = sum
	}
	// Compressed as hearing does, and so that noise far below the music does not count.
	t.before = t.levels
	all, low := 0.0, 0.0
	for i, e := range bands {
		t.levels[i] = math.Log1p(1e5 * e)
		if d := t.levels[i] - t.before[i]; d > 0 && t.n > 0 {
			all += d
			if i < lowBands {
				low += d
			}
		}
	}
	if len(t.onsets) < maxOnsets {
		t.onsets, t.low = append(t.onsets, float32(all)), append(t.low, float32(low))
	}
	t.n++
	if t.n%4 != 0 || total < quietest { // every 46 ms is enough for the rest
		return
	}
	var cepstrum [cepstra]float64
	for i, e := range bands {
		bands[i] = math.Log(e + quietest)
	}
	for k := range cepstrum {
		for i, v := range bands {
			cepstrum[k] += cosines[k][i] * v
		}
		t.cepstrum[k].add(cepstrum[k])
		if t.cepstrum[k].n > 1 {
			t.delta[k].add(cepstrum[k] - t.last[k])
		}
	}
	t.last = cepstrum
	for i := range flatBands {
		// How far the geometric mean is below the arithmetic one (ISO/IEC 15938-4 §5.3.4, AudioSpectrumFlatness).
		logs, sum := 0.0, 0.0
		part := t.power[flatEdges[i]:flatEdges[i+1]]
		for _, p := range part {
			logs += math.Log(p + quietest/1e3)
			sum += p + quietest/1e3
		}
		n := float64(len(part))
		t.flatness[i].add(logs/n - math.Log(sum/n))
	}
	weighted, below, at := 0.0, 0.0, 0
	for i, p := range t.power {
		weighted += float64(i) * p
	}
	for below < .85*total && at < len(t.power) {
		below += t.power[at]
		at++
	}
	t.centroid.add(math.Log2(1 + weighted/total))
	t.rolloff.add(math.Log2(float64(at)))
}

// rhythm is the onsets with what is usual at their time taken away, so that only what stands out remains.
func (t *timbre) rhythm() []float32 {
	const around = 43 // half a second
	out := make([]float32, len(t.onsets))
	sum := 0.0
	n := 0
	for i := range min(around, len(t.onsets)) {
		sum += float64(t.onsets[i] + 2*t.low[i])
		n++
	}
	for i := range t.onsets {
		if j := i + around; j < len(t.onsets) {
			sum += float64(t.onsets[j] + 2*t.low[j])
			n++
		}
		if j := i - around - 1; j >= 0 {
			sum -= float64(t.onsets[j] + 2*t.low[j])
			n--
		}
		out[i] = max(0, t.onsets[i]+2*t.low[i]-float32(sum/float64(n)))
	}
	return out
}
