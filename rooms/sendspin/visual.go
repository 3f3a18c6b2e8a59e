package sendspin

import (
	"context"
	"encoding/binary"
	"math"
	"math/bits"
	"math/cmplx"
	"slices"
	"time"

	"tutti/rooms"
)

// visuals sends what a visualizer shows, computed from the sound, as far ahead as the sound itself.
func (c *client) visuals(ctx context.Context) error {
	pieces, failed, stop := c.feed(ctx, rooms.PCM)
	defer stop()
	var (
		active *visualWish // of the stream
		a      *analysis
		in     held
	)
	for {
		scene, changed := c.seat.Scene()
		r, said := c.reports()
		want := r.visual
		if !scene.Room.Playing || !r.said || !r.available || r.away || want != nil && len(offered(want)) == 0 {
			want = nil
		}
		if active != nil && want == nil {
			active, a, in = nil, nil, held{}
			if err := c.l.say(ctx, "stream/end", map[string]any{"roles": []string{roleVisualizer}}); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-said:
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case p := <-pieces:
			if p.Header != nil {
				if active != nil {
					a, in = newAnalysis(active), held{}
					if err := c.l.sayAt(ctx, "stream/clear", c.stamped(map[string]any{"roles": []string{roleVisualizer}})); err != nil {
						return err
					}
				}
				continue
			}
			if want == nil {
				continue
			}
			if active != want {
				active, a = want, newAnalysis(want)
				if err := c.l.sayAt(ctx, "stream/start", c.stamped(map[string]any{roleVisualizer: a.config()})); err != nil {
					return err
				}
			}
			for _, m := range a.block(p.Block.Data) {
				size := int64(9 + len(m.data))
				now := c.s.c.Clock.Now()
				if in.drain(now); in.bytes+size > c.g.Visualizer.Capacity {
					continue
				}
				in.add(parcel{p.Block.At, size})
				if err := c.l.send(ctx, m.id, func(time.Time) []byte {
					return append(binary.BigEndian.AppendUint64(nil, uint64(p.Block.At.UnixMicro())), m.data...)
				}); err != nil {
					return err
				}
			}
		}
	}
}

// offered are the types that are asked for and can be had: beats would take an analysis of the whole track.
func offered(w *visualWish) []string {
	return slices.DeleteFunc(slices.Clone(w.Types), func(t string) bool {
		return !slices.Contains([]string{"loudness", "f_peak", "spectrum", "peak"}, t) || t == "spectrum" && w.Spectrum.Count > maxBins
	})
}

const (
	window = 2048 // samples of a spectrum: 43 ms, and 23 Hz a bin
	floor  = -60  // dB that are shown as nothing
	// An onset is a rise of the spectrum that is so much larger than those of the last second.
	onsetTimes  = 2.5
	onsetMemory = 50 // blocks
	onsetRest   = 5  // blocks between two
)

// analysis turns blocks of sound into what is shown.
type analysis struct {
	types   []string
	every   int // blocks between two frames
	bins    *bins
	edges   []float64
	n       int
	ring    []float64
	hann    []float64
	weight  []float64 // of power by A-weighting, a bin of the transform
	before  []float64 // magnitudes of the last block
	rises   []float64
	resting int
}

// visual is a binary message of a visualizer.
type visual struct {
	id   byte
	data []byte
}

const blocksASecond = 50

func newAnalysis(w *visualWish) *analysis {
	a := &analysis{types: offered(w), bins: w.Spectrum, ring: make([]float64, window), hann: make([]float64, window), weight: make([]float64, window/2)}
	a.every = max(1, (blocksASecond+max(w.RateMax, 1)-1)/max(w.RateMax, 1))
	for i := range a.hann {
		a.hann[i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/window)
	}
	for i := range a.weight {
		a.weight[i] = aWeight(float64(i) * rooms.Rate / window)
	}
	if slices.Contains(a.types, "spectrum") {
		a.edges = edges(w.Spectrum)
	}
	return a
}

// config is the visualizer's part of stream/start.
func (a *analysis) config() map[string]any {
	out := map[string]any{"types": a.types, "rate_max": max(1, blocksASecond/a.every)}
	if a.edges != nil {
		out["spectrum"] = a.bins
	}
	return out
}

// aWeight is A-weighting as a factor of power (IEC 61672-1, annex E), 1 at 1 kHz.
func aWeight(f float64) float64 {
	const f1, f2, f3, f4 = 20.598997, 107.65265, 737.86223, 12194.217
	s := f * f
	gain := f4 * f4 * s * s / ((s + f1*f1) * math.Sqrt((s+f2*f2)*(s+f3*f3)) * (s + f4*f4))
	return gain * gain * math.Pow(10, 0.2)
}

// edges are the frequencies between display bins.
func edges(b *bins) []float64 {
	to, from := func(f float64) float64 { return f }, func(v float64) float64 { return v }
	switch b.Scale {
	case "mel":
		to = func(f float64) float64 { return 2595 * math.Log10(1+f/700) }
		from = func(v float64) float64 { return 700 * (math.Pow(10, v/2595) - 1) }
	case "log":
		to = func(f float64) float64 { return math.Log10(max(f, 1)) }
		from = func(v float64) float64 { return math.Pow(10, v) }
	}
	out := make([]float64, b.Count+1)
	low, high := to(float64(b.Min)), to(float64(b.Max))
	for i := range out {
		out[i] = from(low + (high-low)*float64(i)/float64(b.Count))
	}
	return out
}

// shown is a power on the wire's scale; 1 is that of a sine at full scale.
func shown(power float64) uint16 {
	if power <= 0 {
		return 0
	}
	return uint16(min(max((10*math.Log10(power)-floor)/-floor, 0), 1)*65535 + 0.5)
}

// block takes a block's samples and returns what is to be shown at its time.
func (a *analysis) block(samples []byte) []visual {
	n := len(samples) / rooms.FrameSize
	copy(a.ring, a.ring[n:])
	for i := range n {
		left := int16(binary.LittleEndian.Uint16(samples[i*rooms.FrameSize:]))
		right := int16(binary.LittleEndian.Uint16(samples[i*rooms.FrameSize+2:]))
		a.ring[window-n+i] = (float64(left) + float64(right)) / 65536
	}
	a.n++
	due := a.n%a.every == 0
	wantsPeaks := slices.Contains(a.types, "peak")
	if !due && !wantsPeaks {
		return nil
	}
	x := make([]complex128, window)
	for i, v := range a.ring {
		x[i] = complex(v*a.hann[i], 0)
	}
	transform(x)
	// A sine at full scale is window/4 high in the transform under this window, and its power spreads over 1.5 bins.
	power := make([]float64, window/2)
	var weighed float64
	top := 0
	for i := 1; i < window/2; i++ {
		m := cmplx.Abs(x[i])
		power[i] = m * m * 16 / (window * window) * a.weight[i] / 1.5
		weighed += power[i]
		if power[i] > power[top] {
			top = i
		}
	}
	var out []visual
	u16 := binary.BigEndian.AppendUint16
	if wantsPeaks {
		if strength, ok := a.onset(power); ok {
			out = append(out, visual{visualOnset, []byte{strength}})
		}
	}
	if !due {
		return out
	}
	for _, t := range a.types {
		switch t {
		case "loudness":
			out = append(out, visual{visualLoud, u16(nil, shown(weighed))})
		case "f_peak":
			hz, amp := math.Round(float64(top)*rooms.Rate/window), shown(power[top]*1.5)
			if amp == 0 {
				hz = 0
			}
			out = append(out, visual{visualPeakHz, u16(u16(nil, uint16(hz)), amp)})
		case "spectrum":
			data := make([]byte, 0, 2*a.bins.Count)
			for i := range a.bins.Count {
				data = u16(data, shown(between(power, a.edges[i], a.edges[i+1])))
			}
			out = append(out, visual{visualBins, data})
		}
	}
	return out
}

// between is the power between two frequencies; where they lie within one bin of the transform, that bin's.
func between(power []float64, low, high float64) float64 {
	const width = float64(rooms.Rate) / window
	from, to := int(math.Ceil(low/width)), int(math.Ceil(high/width))
	if from >= len(power) {
		return 0
	}
	if to <= from {
		return power[min(int(low/width+0.5), len(power)-1)]
	}
	sum := 0.0
	for _, p := range power[from:min(to, len(power))] {
		sum += p
	}
	return sum
}

// onset finds a sudden rise by spectral flux (Dixon, “Onset Detection Revisited”, DAFx 2006) against its own mean.
func (a *analysis) onset(power []float64) (strength uint8, found bool) {
	now := make([]float64, len(power))
	rise := 0.0
	for i, p := range power {
		now[i] = math.Sqrt(p)
		if a.before != nil {
			rise += max(0, now[i]-a.before[i])
		}
	}
	a.before = now
	mean := 0.0
	for _, r := range a.rises {
		mean += r / float64(len(a.rises))
	}
	enough := len(a.rises) >= onsetRest
	a.rises = append(a.rises, rise)
	if len(a.rises) > onsetMemory {
		a.rises = a.rises[1:]
	}
	if a.resting > 0 {
		a.resting--
		return 0, false
	}
	const quiet = 0.02 // of full scale: the rise that noise makes
	if !enough || rise < quiet || rise < onsetTimes*mean {
		return 0, false
	}
	a.resting = onsetRest
	return uint8(min(255, 64*rise/max(mean, rise/16))), true
}

// transform is the discrete Fourier transform in place, of a power of two (Cooley and Tukey, 1965).
func transform(x []complex128) {
	shift := 64 - bits.Len(uint(len(x)-1))
	for i := range x {
		if j := int(bits.Reverse64(uint64(i)) >> shift); j > i {
			x[i], x[j] = x[j], x[i]
		}
	}
	for size := 2; size <= len(x); size *= 2 {
		step := cmplx.Exp(complex(0, -2*math.Pi/float64(size)))
		for at := 0; at < len(x); at += size {
			w := complex(1, 0)
			for k := range size / 2 {
				even, odd := x[at+k], w*x[at+k+size/2]
				x[at+k], x[at+k+size/2] = even+odd, even-odd
				w *= step
			}
		}
	}
}
