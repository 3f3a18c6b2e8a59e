package analyse

import (
	"math"
	"slices"
)

// Loudness is measured as ITU-R BS.1770-5 and EBU R 128 lay down, its range as EBU Tech 3342.
//
// Each channel goes through the K-weighting: a shelf that stands for the head, and a high-pass. Its mean square is taken in
// steps of 100 ms, of which four make a gating block (75 % overlap) and thirty a short-term one. Kept are the steps'
// squares alone, four bytes each: 144 kB for an hour.
type loudness struct {
	rate    int
	weights []float64 // by channel
	filters []kWeight

	step     int64   // samples of the current step so far
	end      int64   // samples of all steps at whose count the current one is over
	steps    int64   // that are over
	sum      float64 // of the weighted squares of the current step
	energies []float32

	peaks []truePeak
}

const (
	stepsASecond = 10
	blockSteps   = 4  // 400 ms
	shortSteps   = 30 // 3 s
	absoluteGate = -70.0
)

// The bits of a WAVE file's channel mask (Microsoft, WAVEFORMATEXTENSIBLE) that do not weigh 1: the low-frequency channel
// is left out, and those behind and beside the listener count 1.5 dB more (BS.1770-5, table 3).
const (
	maskLFE      = 0x8
	maskSurround = 0x10 | 0x20 | 0x100 | 0x200 | 0x400 // back left and right, back centre, side left and right
	surround     = 1.41
)

// channelWeights returns the weight of each channel, in the order in which the mask's bits come.
func channelWeights(channels int, mask uint32) []float64 {
	w := make([]float64, channels)
	bit := uint32(1)
	for i := range w {
		w[i] = 1
		for bit != 0 && mask != 0 && mask&bit == 0 {
			bit <<= 1
		}
		switch {
		case mask == 0 || bit == 0:
		case bit&maskLFE != 0:
			w[i] = 0
		case bit&maskSurround != 0:
			w[i] = surround
		}
		bit <<= 1
	}
	return w
}

func newLoudness(rate, channels int, mask uint32) *loudness {
	l := &loudness{rate: rate, weights: channelWeights(channels, mask), filters: make([]kWeight, channels), peaks: make([]truePeak, channels)}
	for i := range l.filters {
		l.filters[i] = newKWeight(float64(rate))
		l.peaks[i].every = oversampling(rate)
	}
	l.end = l.boundary(1)
	return l
}

// boundary is the number of samples in the first n steps: rates need not be multiples of ten.
func (l *loudness) boundary(n int64) int64 { return (n*int64(l.rate) + stepsASecond/2) / stepsASecond }

// add takes interleaved samples.
func (l *loudness) add(x []float32) {
	channels := len(l.weights)
	for len(x) > 0 {
		n := int(min(int64(len(x)/channels), l.end-l.step))
		part := x[:n*channels]
		x = x[n*channels:]
		for c, w := range l.weights {
			if w == 0 {
				continue
			}
			l.sum += w * l.filters[c].squares(part[c:], channels)
		}
		for c := range l.peaks {
			l.peaks[c].add(part[c:], channels)
		}
		if l.step += int64(n); l.step == l.end {
			l.steps++
			begin := l.boundary(l.steps - 1)
			l.energies = append(l.energies, float32(l.sum/float64(l.end-begin)))
			l.sum = 0
			l.end = l.boundary(l.steps + 1)
		}
	}
}

// lufs is the loudness of a weighted mean square.
func lufs(energy float64) float64 { return -0.691 + 10*math.Log10(energy) }

func energyOf(lufs float64) float64 { return math.Pow(10, (lufs+0.691)/10) }

// blocks returns the mean squares of all windows of n steps.
func (l *loudness) blocks(n int) []float64 {
	if len(l.energies) < n {
		return nil
	}
	list := make([]float64, len(l.energies)-n+1)
	for i := range list {
		sum := 0.0
		for _, e := range l.energies[i : i+n] {
			sum += float64(e)
		}
		list[i] = sum / float64(n)
	}
	return list
}

// gated returns the mean of what is above a threshold, and how many that are.
func gated(blocks []float64, threshold float64) (mean float64, n int) {
	sum := 0.0
	for _, e := range blocks {
		if e > threshold {
			sum += e
			n++
		}
	}
	if n == 0 {
		return 0, 0
	}
	return sum / float64(n), n
}

// integrated is the loudness of all, in LUFS, with the gates of BS.1770-5: blocks of -70 LUFS and less do not count,
// nor do those 10 LU below the mean of the others. ok is false where nothing is left: of silence, and of what is shorter
// than a block.
func (l *loudness) integrated() (v float64, ok bool) {
	blocks := l.blocks(blockSteps)
	mean, n := gated(blocks, energyOf(absoluteGate))
	if n == 0 {
		return 0, false
	}
	mean, n = gated(blocks, max(energyOf(absoluteGate), mean/10))
	if n == 0 {
		return 0, false
	}
	return lufs(mean), true
}

// loudnessRange is the range in LU: from the 10th to the 95th percentile of what is above -70 LUFS and less than 20 LU below
// the mean of that (EBU Tech 3342).
func (l *loudness) loudnessRange() float64 {
	blocks := l.blocks(shortSteps)
	mean, n := gated(blocks, energyOf(absoluteGate))
	if n == 0 {
		return 0
	}
	threshold := max(energyOf(absoluteGate), mean/100)
	kept := slices.DeleteFunc(blocks, func(e float64) bool { return e <= threshold })
	if len(kept) == 0 {
		return 0
	}
	slices.Sort(kept)
	at := func(p float64) float64 { return lufs(kept[int(math.Round(p*float64(len(kept)-1)))]) }
	return at(.95) - at(.10)
}

// truePeak is the largest sample of what a converter would make of the channels, in linear full scale.
func (l *loudness) truePeak() float64 {
	v := float32(0)
	for i := range l.peaks {
		l.peaks[i].flush()
		v = max(v, l.peaks[i].max)
	}
	return float64(v)
}

// kWeight is the K-weighting of one channel: two biquads in series.
type kWeight struct {
	shelf, pass biquad
}

type biquad struct {
	b0, b1, b2, a1, a2 float64
	z1, z2             float64
}

// newKWeight makes the two filters for any rate. BS.1770-5 gives their coefficients at 48 kHz only; these are the analogue
// prototypes that the bilinear transform turns into just those (B. De Man, "Evaluation of implementations of the EBU R128
// loudness measurement", AES 145th Convention, 2018).
func newKWeight(rate float64) kWeight {
	const (
		shelfFrequency = 1681.9744509555319
		shelfGain      = 3.99984385397
		shelfQ         = 0.7071752369554193
		shelfSlope     = 0.499666774155
		passFrequency  = 38.13547087613982
		passQ          = 0.5003270373253953
	)
	k := math.Tan(math.Pi * min(shelfFrequency/rate, .49))
	vh := math.Pow(10, shelfGain/20)
	vb := math.Pow(vh, shelfSlope)
	a0 := 1 + k/shelfQ + k*k
	w := kWeight{shelf: biquad{
		b0: (vh + vb*k/shelfQ + k*k) / a0, b1: 2 * (k*k - vh) / a0, b2: (vh - vb*k/shelfQ + k*k) / a0,
		a1: 2 * (k*k - 1) / a0, a2: (1 - k/shelfQ + k*k) / a0,
	}}
	k = math.Tan(math.Pi * passFrequency / rate)
	a0 = 1 + k/passQ + k*k
	// The numerator is 1, -2, 1 as the recommendation has it, not divided by a0.
	w.pass = biquad{b0: 1, b1: -2, b2: 1, a1: 2 * (k*k - 1) / a0, a2: (1 - k/passQ + k*k) / a0}
	return w
}

// tiny is added to the filters' state so that silence does not become numbers that processors are slow with.
const tiny = 1e-30

// squares filters every stride-th sample and returns the sum of the results' squares.
func (w *kWeight) squares(x []float32, stride int) float64 {
	s, p := w.shelf, w.pass
	sum := 0.0
	for i := 0; i < len(x); i += stride {
		v := float64(x[i]) + tiny
		y := s.b0*v + s.z1
		s.z1 = s.b1*v - s.a1*y + s.z2
		s.z2 = s.b2*v - s.a2*y
		z := y + p.z1
		p.z1 = -2*y - p.a1*z + p.z2
		p.z2 = y - p.a2*z
		sum += z * z
	}
	w.shelf, w.pass = s, p
	return sum
}

// truePeak finds the largest value between samples of one channel: BS.1770-5, annex 2.
type truePeak struct {
	every int // phases that are left out between two: 1 for four times the samples, 2 for twice, 4 for none
	max   float32
	buf   [peakLot + peakTaps - 1]float32
	n     int // samples in buf after the first peakTaps-1, which are those before
}

const (
	peakTaps   = 12
	peakPhases = 4
	peakLot    = 48
)

// peakFilter is the interpolator of annex 2, in its four phases.
var peakFilter = [peakPhases][peakTaps]float32{
	{0.0017089843750, 0.0109863281250, -0.0196533203125, 0.0332031250000, -0.0594482421875, 0.1373291015625, 0.9721679687500, -0.1022949218750, 0.0476074218750, -0.0266113281250, 0.0148925781250, -0.0083007812500},
	{-0.0291748046875, 0.0292968750000, -0.0517578125000, 0.0891113281250, -0.1665039062500, 0.4650878906250, 0.7797851562500, -0.2003173828125, 0.1015625000000, -0.0582275390625, 0.0330810546875, -0.0189208984375},
	{-0.0189208984375, 0.0330810546875, -0.0582275390625, 0.1015625000000, -0.2003173828125, 0.7797851562500, 0.4650878906250, -0.1665039062500, 0.0891113281250, -0.0517578125000, 0.0292968750000, -0.0291748046875},
	{-0.0083007812500, 0.0148925781250, -0.0266113281250, 0.0476074218750, -0.1022949218750, 0.9721679687500, 0.1373291015625, -0.0594482421875, 0.0332031250000, -0.0196533203125, 0.0109863281250, 0.0017089843750},
}

// peakGain is the most that the interpolator can make of samples of size 1: the largest sum of a phase's absolute values.
var peakGain = func() float32 {
	most := float32(0)
	for _, phase := range peakFilter {
		sum := float32(0)
		for _, c := range phase {
			sum += max(c, -c)
		}
		most = max(most, sum)
	}
	return most
}()

// oversampling says which phases are needed for samples to come at 192 kHz or more, as annex 2 asks at 48 kHz.
func oversampling(rate int) int {
	switch {
	case rate < 96000:
		return 1
	case rate < 192000:
		return 2
	}
	return 4
}

func (p *truePeak) add(x []float32, stride int) {
	for i := 0; i < len(x); i += stride {
		p.buf[peakTaps-1+p.n] = x[i]
		if p.n++; p.n == peakLot {
			p.look()
		}
	}
}

// flush looks at what is left, and lets the filter ring out.
func (p *truePeak) flush() {
	for range peakTaps {
		p.add([]float32{0}, 1)
	}
	p.look()
}

// look interpolates what is in buf, unless nothing there can be larger than what was found before: most music is far
// below its peak most of the time.
func (p *truePeak) look() {
	all := p.buf[:peakTaps-1+p.n]
	most := float32(0)
	for _, v := range all {
		most = max(most, v, -v)
	}
	p.max = max(p.max, most)
	if p.every < peakPhases && most*peakGain > p.max {
		for i := range p.n {
			w := (*[peakTaps]float32)(all[i : i+peakTaps])
			for phase := 0; phase < peakPhases; phase += p.every {
				f := &peakFilter[phase]
				v := w[0]*f[0] + w[1]*f[1] + w[2]*f[2] + w[3]*f[3] + w[4]*f[4] + w[5]*f[5] +
					w[6]*f[6] + w[7]*f[7] + w[8]*f[8] + w[9]*f[9] + w[10]*f[10] + w[11]*f[11]
				p.max = max(p.max, v, -v)
			}
		}
	}
	copy(p.buf[:peakTaps-1], all[p.n:])
	p.n = 0
}
