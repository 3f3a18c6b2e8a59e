package audio

import (
	"encoding/binary"
	"math"

	"tutti"
)

// Peaks is the outline of a piece of music over time, as seek bars draw it: its length in equal parts, and of each part
// the largest sample and the root mean square of all of them. Full scale is 65,535. Both lists are equally long.
type Peaks struct {
	Peak, RMS []uint16
}

// maxPeaks is how many parts an outline has at most, and twice how many it has at least, but for pieces of less than a
// quarter of a second: more than the pixels of a wide screen.
const maxPeaks = 4096

// firstPart is how many samples a part of a very short piece has.
const firstPart = 64

// A PeakMeter takes sound as interleaved little-endian 16-bit samples, of however many channels, and outlines it in
// memory that does not grow with its length: where there are too many parts, neighbours become one. The zero value is
// ready to be written to.
type PeakMeter struct {
	size  int64 // samples of a full part; 0: nothing was written
	parts []part
	now   part
	half  byte // the first byte of a sample that was cut in two
	cut   bool
}

type part struct {
	peak    uint16 // of 32,768
	squares uint64
	samples int64
}

func (p *part) add(q part) {
	p.peak = max(p.peak, q.peak)
	p.squares += q.squares
	p.samples += q.samples
}

// Write implements io.Writer. It never fails, and may be given any number of bytes at a time.
func (m *PeakMeter) Write(b []byte) (int, error) {
	n := len(b)
	if m.size == 0 {
		m.size = firstPart
	}
	if m.cut && n > 0 {
		m.take([]byte{m.half, b[0]})
		b, m.cut = b[1:], false
	}
	if len(b)%2 != 0 {
		m.half, m.cut = b[len(b)-1], true
		b = b[:len(b)-1]
	}
	m.take(b)
	return n, nil
}

func (m *PeakMeter) take(b []byte) {
	for len(b) > 0 {
		piece := b[:min(int64(len(b)), 2*(m.size-m.now.samples))]
		b = b[len(piece):]
		peak, squares := int64(m.now.peak), m.now.squares
		m.now.samples += int64(len(piece) / 2)
		for ; len(piece) >= 2; piece = piece[2:] {
			v := int64(int16(binary.LittleEndian.Uint16(piece)))
			if v < 0 {
				v = -v
			}
			peak = max(peak, v)
			squares += uint64(v * v) // at most 1<<30
		}
		m.now.peak, m.now.squares = uint16(peak), squares
		if m.now.samples == m.size {
			m.finish()
		}
	}
}

// finish ends the current part.
func (m *PeakMeter) finish() {
	m.parts, m.now = append(m.parts, m.now), part{}
	if len(m.parts) < maxPeaks {
		return
	}
	for i := range maxPeaks / 2 {
		m.parts[i] = m.parts[2*i]
		m.parts[i].add(m.parts[2*i+1])
	}
	m.parts = m.parts[:maxPeaks/2]
	m.size *= 2
}

// Peaks is the outline of what was written so far. The last part may be shorter than the others.
func (m *PeakMeter) Peaks() Peaks {
	list := m.parts[:len(m.parts):len(m.parts)]
	if m.now.samples > 0 {
		list = append(list, m.now)
	}
	p := Peaks{make([]uint16, len(list)), make([]uint16, len(list))}
	for i, x := range list {
		p.Peak[i] = wide(float64(x.peak))
		p.RMS[i] = wide(math.Sqrt(float64(x.squares) / float64(x.samples)))
	}
	return p
}

// wide brings the size of a sample, of 32,768, to that of an outline, of 65,535.
func wide(v float64) uint16 { return uint16(math.Round(v / 32768 * math.MaxUint16)) }

// peaksMagic begins an outline as bytes; its last byte is the version of the format.
const peaksMagic = "tutti peaks\x01"

// Bytes writes the outline down: a mark, the number of parts as 32 bits, and as 16 bits each all peaks and all mean squares,
// little end first.
func (p Peaks) Bytes() []byte {
	b := make([]byte, 0, len(peaksMagic)+4+4*len(p.Peak))
	b = append(b, peaksMagic...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(p.Peak)))
	for _, list := range [...][]uint16{p.Peak, p.RMS} {
		for _, v := range list {
			b = binary.LittleEndian.AppendUint16(b, v)
		}
	}
	return b
}

// MaxPeaksBytes is how long the bytes of an outline are at most.
const MaxPeaksBytes = len(peaksMagic) + 4 + 4*maxPeaks

// ParsePeaks reads what Bytes wrote. The error is KindInvalid for anything else.
func ParsePeaks(b []byte) (Peaks, error) {
	const op = "audio.ParsePeaks"
	if len(b) < len(peaksMagic)+4 || len(b) > MaxPeaksBytes || string(b[:len(peaksMagic)]) != peaksMagic {
		return Peaks{}, tutti.Errorf(tutti.KindInvalid, op, "these bytes are no outline of a piece of music")
	}
	b = b[len(peaksMagic):]
	n := int(binary.LittleEndian.Uint32(b))
	if b = b[4:]; len(b) != 4*n {
		return Peaks{}, tutti.Errorf(tutti.KindInvalid, op, "an outline of %d parts in %d bytes", n, len(b))
	}
	p := Peaks{make([]uint16, n), make([]uint16, n)}
	for i := range n {
		p.Peak[i] = binary.LittleEndian.Uint16(b[2*i:])
		p.RMS[i] = binary.LittleEndian.Uint16(b[2*(n+i):])
	}
	return p, nil
}

// Resample returns the outline in n parts, each of which holds all that it has to do with of what p has: no peak is lost
// where n is less. An outline of nothing is n times silence.
func (p Peaks) Resample(n int) Peaks {
	out := Peaks{make([]uint16, n), make([]uint16, n)}
	have := len(p.Peak)
	if have == 0 {
		return out
	}
	for i := range n {
		from := i * have / n
		to := max(from+1, ((i+1)*have+n-1)/n)
		var squares uint64
		for j := from; j < to; j++ {
			out.Peak[i] = max(out.Peak[i], p.Peak[j])
			squares += uint64(p.RMS[j]) * uint64(p.RMS[j])
		}
		out.RMS[i] = uint16(math.Round(math.Sqrt(float64(squares) / float64(to-from))))
	}
	return out
}
