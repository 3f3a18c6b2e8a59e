package analyse

import (
	"math"

	"gonum.org/v1/gonum/dsp/fourier"
)

// tonality gathers which notes there are, for the key and the embedding: the peaks of the spectrum, folded into one octave
// of 120 parts (E. Gómez, "Tonal Description of Polyphonic Audio for Music Content Processing", INFORMS Journal on
// Computing 18(3), 2006).
type tonality struct {
	fft    *fourier.FFT
	window []float64
	frame  []float64
	bins   []complex128
	mags   []float64
	buf    []float32

	fine   [octaveParts]float64 // of all frames
	frames int
	last   [12]float64
	change float64 // sum of the distances between the chroma of neighbours
	spread float64 // sum of the frames' entropies
}

const (
	tonalRate   = printRate // they share the samples
	tonalFrame  = 4096
	tonalHop    = 2048
	perSemitone = 10
	octaveParts = 12 * perSemitone
)

func newTonality() *tonality {
	t := &tonality{
		fft: fourier.NewFFT(tonalFrame), window: make([]float64, tonalFrame), frame: make([]float64, tonalFrame), mags: make([]float64, tonalFrame/2+1),
	}
	for i := range t.window {
		t.window[i] = (.5 - .5*math.Cos(2*math.Pi*float64(i)/tonalFrame)) * 4 / tonalFrame // a sine of full scale peaks at 1
	}
	return t
}

func (t *tonality) add(x []float32) {
	t.buf = append(t.buf, x...)
	for len(t.buf) >= tonalFrame {
		for i, w := range t.window {
			t.frame[i] = w * float64(t.buf[i])
		}
		t.bins = t.fft.Coefficients(t.bins, t.frame)
		t.look()
		t.buf = t.buf[:copy(t.buf, t.buf[tonalHop:])]
	}
}

// look enters the peaks of one frame.
func (t *tonality) look() {
	const (
		lowest  = 60.0 // Hz: below, a semitone is narrower than the window tells apart
		highest = 2100.0
		quiet   = 1e-4 // -80 dB
	)
	from, to := int(math.Ceil(lowest*tonalFrame/tonalRate)), int(math.Floor(highest*tonalFrame/tonalRate))
	most := 0.0
	for i := from - 1; i <= to+1; i++ {
		v := t.bins[i]
		t.mags[i] = math.Hypot(real(v), imag(v))
		most = max(most, t.mags[i])
	}
	if most < quiet {
		return
	}
	var chroma [12]float64
	sum := 0.0
	floor := most / 100
	for i := from; i <= to; i++ {
		a, b, c := t.mags[i-1], t.mags[i], t.mags[i+1]
		if b < floor || b < a || b <= c || a == 0 || c == 0 {
			continue
		}
		// The peak of the parabola through the three, in decibels.
		la, lb, lc := math.Log(a), math.Log(b), math.Log(c)
		at := float64(i) + .5*(la-lc)/(la-2*lb+lc)
		note := 12 * math.Log2(at*tonalRate/tonalFrame/(440.0*math.Exp2(-9.0/12))) // from C
		w := math.Sqrt(b)                                                          // loud notes do not count for more notes
		part := int(math.Round(note*perSemitone)) % octaveParts
		if part < 0 {
			part += octaveParts
		}
		t.fine[part] += w
		chroma[(part+perSemitone/2)/perSemitone%12] += w
		sum += w
	}
	if sum == 0 {
		return
	}
	entropy, change := 0.0, 0.0
	for n := range chroma {
		chroma[n] /= sum
		if chroma[n] > 0 {
			entropy -= chroma[n] * math.Log2(chroma[n])
		}
		d := chroma[n] - t.last[n]
		change += d * d
	}
	t.spread += entropy
	if t.frames > 0 {
		t.change += math.Sqrt(change)
	}
	t.last = chroma
	t.frames++
}

// chroma is how much there is of each of the twelve notes, from C; the sum is 1. Instruments that are tuned higher or lower
// than 440 Hz are brought there first: all the notes are off by the same part of a semitone, which is the angle of the
// mean of their places within one (E. Gómez, as above, section 3.2).
func (t *tonality) chroma() (c [12]float64, ok bool) {
	var x, y, sum float64
	for i, v := range t.fine {
		s, k := math.Sincos(2 * math.Pi * float64(i) / perSemitone)
		x += v * k
		y += v * s
		sum += v
	}
	if sum == 0 {
		return c, false
	}
	off := math.Atan2(y, x) / (2 * math.Pi) * perSemitone // parts, from -5 to 5
	for i, v := range t.fine {
		n := int(math.Floor((float64(i)-off)/perSemitone + .5))
		c[(n+24)%12] += v / sum
	}
	return c, true
}

// keyProfiles say how much there is of each note of the scale in major and in minor, from the tonic: counted in 490 and 487
// pieces (J. Albrecht and D. Shanahan, "The Use of Large Corpora to Train a New Type of Key-Finding Algorithm", Music
// Perception 31(1), 2013, table 1).
var keyProfiles = [2][12]float64{
	{.238, .006, .111, .006, .137, .094, .016, .214, .009, .080, .008, .081},
	{.220, .006, .104, .123, .019, .103, .012, .214, .062, .022, .061, .052},
}

// key returns the key as its tonic, from 0 for C to 11 for B, plus 12 where it is minor, and how clear it is, from 0 to 1:
// the correlation with the best key's profile.
func (t *tonality) key() (key int, clear float64, ok bool) {
	c, ok := t.chroma()
	if !ok {
		return 0, 0, false
	}
	best, second := math.Inf(-1), math.Inf(-1)
	for k := range 24 {
		r := keyFit(&c, k)
		if r > best {
			best, second, key = r, best, k
		} else if r > second {
			second = r
		}
	}
	return key, max(0, best), best > second
}

// keyFit is the correlation of the chroma with a key's profile.
func keyFit(c *[12]float64, key int) float64 {
	p := &keyProfiles[key/12]
	var sxy, sxx, syy float64
	for n := range 12 {
		x, y := c[(n+key)%12]-1.0/12, p[n]-1.0/12
		sxy += x * y
		sxx += x * x
		syy += y * y
	}
	if sxx == 0 {
		return 0
	}
	return sxy / math.Sqrt(sxx*syy)
}
