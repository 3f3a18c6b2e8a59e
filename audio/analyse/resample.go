package analyse

import "math"

// resampler brings one channel to another rate: a windowed sinc (Kaiser) in as many phases as the two rates' ratio has,
// so that each sample of the output is one inner product.
type resampler struct {
	up, down int // the ratio in lowest terms
	taps     int
	phases   [][]float32
	buf      []float32 // what has come and is still needed
	phase    int       // of the next output sample
	skip     int       // samples of the input that come before those it is made of
}

// newResampler returns a resampler with crossings zero crossings of the sinc altogether, whose pass band ends at that share
// of the lower rate's half.
func newResampler(from, to, crossings int, cutoff float64) *resampler {
	g := gcd(from, to)
	r := &resampler{up: to / g, down: from / g}
	factor := min(float64(to)*cutoff/float64(from), 1)
	r.taps = int(math.Ceil(float64(crossings) / factor))
	centre := (r.taps - 1) / 2
	const beta = 9
	r.phases = make([][]float32, r.up)
	for p := range r.phases {
		h := make([]float32, r.taps)
		sum := 0.0
		values := make([]float64, r.taps)
		for i := range h {
			x := (float64(i-centre) - float64(p)/float64(r.up)) * factor
			w := 2 * x / (factor * float64(r.taps))
			v := bessel(beta * math.Sqrt(max(1-w*w, 0)))
			if x != 0 {
				v *= math.Sin(math.Pi*x) / (math.Pi * x)
			}
			values[i] = v
			sum += v
		}
		for i, v := range values {
			h[i] = float32(v / sum)
		}
		r.phases[p] = h
	}
	r.buf = make([]float32, centre, r.taps+8192) // silence before the first sample
	return r
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// bessel is the modified Bessel function of the first kind and order 0, by its power series.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-12; k++ {
		term *= (x / 2 / k) * (x / 2 / k)
		sum += term
	}
	return sum
}

// add takes samples and appends what they make to out.
func (r *resampler) add(x, out []float32) []float32 {
	r.buf = append(r.buf, x...)
	at := r.skip
	for at+r.taps <= len(r.buf) {
		out = append(out, dot(r.phases[r.phase], r.buf[at:]))
		r.phase += r.down
		at += r.phase / r.up
		r.phase %= r.up
	}
	if at < len(r.buf) {
		r.buf = r.buf[:copy(r.buf, r.buf[at:])]
		r.skip = 0
		return out
	}
	r.skip = at - len(r.buf)
	r.buf = r.buf[:0]
	return out
}

// flush returns out with what comes of the last samples.
func (r *resampler) flush(out []float32) []float32 { return r.add(make([]float32, r.taps/2), out) }

func dot(h, x []float32) float32 {
	x = x[:len(h)]
	var a, b, c, d float32
	i := 0
	for ; i+4 <= len(h); i += 4 {
		hh, xx := h[i:i+4:i+4], x[i:i+4:i+4]
		a += hh[0] * xx[0]
		b += hh[1] * xx[1]
		c += hh[2] * xx[2]
		d += hh[3] * xx[3]
	}
	for ; i < len(h); i++ {
		a += h[i] * x[i]
	}
	return a + b + c + d
}
