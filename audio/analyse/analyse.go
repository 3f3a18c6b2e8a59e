// Package analyse listens to music and says what it is like: how loud (EBU R 128), how fast, in which key, which recording
// (Chromaprint), and where it stands among others (an embedding). One pass over the samples finds all of it, in memory that
// does not grow with the music but for a few bytes a second.
//
// What belongs here: arithmetic on samples. What does not: decoding (audio/encode has ffmpeg do it), and what becomes of the
// results (the catalogue keeps them).
package analyse

import (
	"encoding/binary"
	"io"
	"math"

	"tutti"
	"tutti/audio"
)

// Version counts the ways in which results were made. Those of another version are made anew.
const Version = 1

// Result is what was found in a piece of music.
type Result struct {
	Loudness     float64 // LUFS, integrated over all of it; Silence and less: none to speak of
	Range        float64 // LU
	TruePeak     float64 // dBTP
	Tempo        float64 // beats a minute; 0: none
	TempoClarity float64 // 0 to 1
	Key          int     // 0 to 11: C major to B major; 12 to 23: C minor to B minor; NoKey
	KeyClarity   float64 // 0 to 1
	Sketch       [sketchParts]uint32
	Embedding    [Dimensions]int8
}

const (
	// Silence is the loudness, in LUFS, below which nothing counts (BS.1770-5's absolute gate).
	Silence = absoluteGate
	// NoKey is the Key of what has none.
	NoKey = -1
)

// Full is all that one pass over the samples finds: what is kept of every track, and what is asked for now and then.
type Full struct {
	Result
	Peaks audio.Peaks
	Print []uint32 // as Chromaprint's algorithm 2 makes it of the first two minutes
}

// Analyser takes a WAVE file of 32-bit floating-point samples, in pieces of any size. The zero value is ready to be
// written to. It is not safe for concurrent use.
type Analyser struct {
	head  []byte // until the samples begin; then what is left of a frame that was cut in two
	shape shape
	err   error

	outline  audio.PeakMeter
	loudness *loudness
	toTimbre *resampler
	toTonal  *resampler
	timbre   *timbre
	tonality *tonality
	print    *chromaprint

	frames          int64
	samples         []float32 // scratch
	mono, low, slow []float32
	coarse          []byte
}

var _ io.Writer = (*Analyser)(nil)

// lot is how many frames are worked on at a time, to stay within a processor's nearest memory.
const lot = 2048

// Write implements io.Writer. The error is KindInvalid for what is no such file; the same again for all later calls.
func (a *Analyser) Write(b []byte) (int, error) {
	n := len(b)
	if a.err != nil {
		return 0, a.err
	}
	if a.loudness == nil {
		a.head = append(a.head, b...)
		s, begin, err := parseHeader(a.head)
		if err != nil {
			a.err = err
			return 0, err
		}
		if begin == 0 {
			return n, nil
		}
		a.begin(s)
		b, a.head = a.head[begin:], nil
	}
	frame := 4 * a.shape.channels
	if len(a.head) > 0 {
		k := min(frame-len(a.head), len(b))
		a.head = append(a.head, b[:k]...)
		if b = b[k:]; len(a.head) < frame {
			return n, nil
		}
		a.take(a.head)
		a.head = a.head[:0]
	}
	for len(b) >= frame {
		k := min(len(b)/frame, lot) * frame
		a.take(b[:k])
		b = b[k:]
	}
	a.head = append(a.head, b...)
	return n, nil
}

func (a *Analyser) begin(s shape) {
	a.shape = s
	a.loudness = newLoudness(s.rate, s.channels, s.mask)
	a.toTimbre = newResampler(s.rate, timbreRate, 12, .85)
	a.toTonal = newResampler(s.rate, printRate, 16, .8) // as Chromaprint's own
	a.timbre, a.tonality, a.print = newTimbre(), newTonality(), newChromaprint()
}

// take works on whole frames.
func (a *Analyser) take(b []byte) {
	channels := a.shape.channels
	a.samples, a.mono, a.coarse = a.samples[:0], a.mono[:0], a.coarse[:0]
	sum := float32(0)
	for i := 0; i < len(b); i += 4 {
		v := sample(b[i:])
		a.samples = append(a.samples, v)
		a.coarse = binary.LittleEndian.AppendUint16(a.coarse, uint16(int16(min(max(math.RoundToEven(float64(v)*32768), -32768), 32767))))
		sum += v
		if len(a.samples)%channels == 0 {
			a.mono = append(a.mono, sum/float32(channels))
			sum = 0
		}
	}
	a.frames += int64(len(a.mono))
	_, _ = a.outline.Write(a.coarse) // never fails
	a.loudness.add(a.samples)
	a.low = a.toTimbre.add(a.mono, a.low[:0])
	a.timbre.add(a.low)
	a.slow = a.toTonal.add(a.mono, a.slow[:0])
	a.tonality.add(a.slow)
	a.print.add(a.slow)
}

// measured is what the samples came to.
type measured struct {
	loudness *loudness
	timbre   *timbre
	tonality *tonality
	tempo    tempo
	likeness []float64
}

// Full says what was found in all that was written. It is called once, after the last Write. The error is KindInvalid where
// there were no samples.
func (a *Analyser) Full() (Full, error) {
	if a.err != nil {
		return Full{}, a.err
	}
	if a.frames == 0 {
		return Full{}, tutti.Errorf(tutti.KindInvalid, "analyse.Full", "there is no sound in this")
	}
	a.low = a.toTimbre.flush(a.low[:0])
	a.timbre.add(a.low)
	a.slow = a.toTonal.flush(a.slow[:0])
	a.tonality.add(a.slow)
	a.print.add(a.slow)

	m := a.measured()
	f := Full{Peaks: a.outline.Peaks(), Print: a.print.print()}
	f.Loudness = Silence
	loud, ok := a.loudness.integrated()
	if ok {
		f.Loudness = loud
	}
	f.Range = a.loudness.loudnessRange()
	f.TruePeak = math.Inf(-1)
	if p := a.loudness.truePeak(); p > 0 {
		f.TruePeak = 20 * math.Log10(p)
	}
	f.Key = NoKey
	if ok { // silence has none of the rest
		f.Tempo, f.TempoClarity = m.tempo.bpm, m.tempo.clear
		if key, clarity, ok := m.tonality.key(); ok {
			f.Key, f.KeyClarity = key, clarity
		}
		f.Embedding = embed(m.features())
	}
	f.Sketch = sketch(f.Print)
	return f, nil
}

func (a *Analyser) measured() measured {
	m := measured{loudness: a.loudness, timbre: a.timbre, tonality: a.tonality}
	onsets := a.timbre.rhythm()
	m.likeness = likeness(onsets)
	m.tempo = findTempo(m.likeness)
	return m
}
