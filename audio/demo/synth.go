package demo

import "math"

// mixer collects notes into a stereo recording. Positions and lengths are in seconds, levels are linear, and pan runs
// from -1 (left) to 1 (right).
type mixer struct {
	left, right []float64
	send        []float64 // what goes into the reverberation, mono
	noise       *noise
}

func newMixer(seconds float64) *mixer {
	n := int(seconds * sampleRate)
	n += (blockSize - n%blockSize) % blockSize
	return &mixer{left: make([]float64, n), right: make([]float64, n), send: make([]float64, n), noise: newNoise(1)}
}

func (m *mixer) length() int { return len(m.left) }

// frequency of a MIDI note in equal temperament, A4 (69) at 440 Hz.
func frequency(note int) float64 { return 440 * math.Exp2(float64(note-69)/12) }

// add places a mono voice. Panning keeps the power constant.
func (m *mixer) add(at float64, n int, pan, wet float64, voice func(i int) float64) {
	angle := (math.Max(-1, math.Min(1, pan)) + 1) * math.Pi / 4
	gl, gr := math.Cos(angle), math.Sin(angle)
	start := int(at * sampleRate)
	for i := range n {
		if start+i >= len(m.left) {
			return
		}
		v := voice(i)
		m.left[start+i] += v * gl
		m.right[start+i] += v * gr
		m.send[start+i] += v * wet
	}
}

// oscillator is a sine by rotation: two multiplications a sample instead of a call of math.Sin.
type oscillator struct{ re, im, cos, sin float64 }

func newOscillator(hz, phase float64) oscillator {
	s, c := math.Sincos(2 * math.Pi * hz / sampleRate)
	im, re := math.Sincos(phase)
	return oscillator{re: re, im: im, cos: c, sin: s}
}

func (o *oscillator) next() float64 {
	v := o.im
	o.re, o.im = o.re*o.cos-o.im*o.sin, o.re*o.sin+o.im*o.cos
	return v
}

// pad is a slow chorus of detuned partials.
func (m *mixer) pad(at, length float64, note int, level, pan float64) {
	f := frequency(note)
	var voices []oscillator
	var gains []float64
	for i, detune := range []float64{0.9975, 1, 1.0028} {
		for partial := 1; partial <= 5; partial++ {
			voices = append(voices, newOscillator(f*detune*float64(partial), float64(i*partial)))
			gains = append(gains, math.Pow(float64(partial), -1.9)/2)
		}
	}
	n := int(length * sampleRate)
	attack, release := 0.28*length, 0.34*length
	m.add(at, n, pan, 0.5, func(i int) float64 {
		t := float64(i) / sampleRate
		env := math.Min(1, math.Min(t/attack, (length-t)/release))
		env *= env * (3 - 2*env)
		sum := 0.0
		for k := range voices {
			sum += gains[k] * voices[k].next()
		}
		return level * env * sum
	})
}

// pluck is a string after Karplus and Strong, "Digital Synthesis of Plucked-String and Drum Timbres", Computer Music
// Journal 7:2 (1983), with a fractional delay so that high notes are in tune.
func (m *mixer) pluck(at float64, note int, level, pan float64) {
	period := sampleRate/frequency(note) - 0.5 // the averaging filter delays by half a sample
	size := int(period)
	frac := period - float64(size)
	line := make([]float64, size+1)
	smooth := 0.0
	for i := range line {
		smooth += 0.55 * ((2*m.noise.unit() - 1) - smooth) // a soft pick
		line[i] = smooth
	}
	n := int(2.2 * sampleRate)
	pos, last := 0, 0.0
	m.add(at, n, pan, 0.35, func(i int) float64 {
		next := pos + 1
		if next == len(line) {
			next = 0
		}
		out := line[pos]*(1-frac) + line[next]*frac
		line[pos] = 0.997 * 0.5 * (out + last)
		last = out
		pos = next
		return level * out * math.Min(1, float64(n-i)/4410)
	})
}

// bell is two sines, the second bending the first (frequency modulation after Chowning, JAES 21:7, 1973).
func (m *mixer) bell(at float64, note int, level, pan float64) {
	f := frequency(note)
	modulator := newOscillator(f*3.5, 0)
	n := int(2.8 * sampleRate)
	phase, step := 0.0, 2*math.Pi*f/sampleRate
	env, index := 1.0, 1.4
	m.add(at, n, pan, 0.7, func(i int) float64 {
		phase += step
		out := level * env * math.Sin(phase+index*modulator.next())
		env *= 0.99994
		index *= 0.99988
		if i < 200 {
			out *= float64(i) / 200
		}
		return out * math.Min(1, float64(n-i)/8820)
	})
}

// bass is a round low note.
func (m *mixer) bass(at, length float64, note int, level float64) {
	f := frequency(note)
	first, second := newOscillator(f, 0), newOscillator(2*f, 0)
	n := int(length * sampleRate)
	m.add(at, n, 0, 0.08, func(i int) float64 {
		t := float64(i) / sampleRate
		env := math.Min(1, t/0.03) * math.Min(1, (length-t)/0.12) * math.Exp(-t*0.5)
		return level * env * (first.next() + 0.35*second.next())
	})
}

// finish adds the room and sets the level: peaks at -3 dB, with the ends faded so that nothing clicks.
func (m *mixer) finish() *mixer {
	m.reverb()
	peak := 0.0
	for i := range m.left {
		peak = math.Max(peak, math.Max(math.Abs(m.left[i]), math.Abs(m.right[i])))
	}
	gain, fade := 0.708/peak, int(1.5*sampleRate)
	for i := range m.left {
		g := gain * math.Min(1, float64(len(m.left)-1-i)/float64(fade))
		m.left[i] *= g
		m.right[i] *= g
	}
	return m
}

// reverb is Schroeder's room: parallel combs into all-passes ("Natural Sounding Artificial Reverberation", JAES 10:3,
// 1962), with a low-pass in each comb after Moorer. The two ears differ by a few samples of delay.
func (m *mixer) reverb() {
	for ear, out := range [][]float64{m.left, m.right} {
		wet := make([]float64, len(m.send))
		for _, delay := range []int{1557, 1617, 1491, 1422, 1277, 1356} {
			line, pos, low := make([]float64, delay+23*ear), 0, 0.0
			for i, in := range m.send {
				v := line[pos]
				low += 0.65 * (v - low)
				line[pos] = in + 0.84*low
				wet[i] += v
				if pos++; pos == len(line) {
					pos = 0
				}
			}
		}
		for _, delay := range []int{556, 441, 341} {
			line, pos := make([]float64, delay+23*ear), 0
			for i, in := range wet {
				v := line[pos]
				line[pos] = in + 0.5*v
				wet[i] = v - 0.5*line[pos]
				if pos++; pos == len(line) {
					pos = 0
				}
			}
		}
		for i := range out {
			out[i] += 0.06 * wet[i]
		}
	}
}

// pcm returns samples from up to to as 16-bit integers with triangular dither of two steps, which turns the error of
// rounding into a faint even hiss.
func (m *mixer) pcm(from, to int) (left, right []int16) {
	dither := newNoise(uint64(from) + 99)
	quantise := func(in []float64) []int16 {
		out := make([]int16, len(in))
		for i, v := range in {
			v = math.Round(v*32767 + dither.unit() - dither.unit())
			out[i] = int16(math.Max(-32768, math.Min(32767, v)))
		}
		return out
	}
	return quantise(m.left[from:to]), quantise(m.right[from:to])
}

// noise is xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016): the same
// numbers at every run.
type noise struct{ state uint64 }

func newNoise(seed uint64) *noise { return &noise{state: seed*0x9E3779B97F4A7C15 | 1} }

// unit returns a number in [0, 1).
func (n *noise) unit() float64 {
	n.state ^= n.state >> 12
	n.state ^= n.state << 25
	n.state ^= n.state >> 27
	return float64(n.state*0x2545F4914F6CDD1D>>11) / (1 << 53)
}
