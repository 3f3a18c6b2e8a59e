package analyse

import (
	"encoding/binary"
	"math"

	"tutti"
)

// shape is what a WAVE file says of its samples.
type shape struct {
	rate, channels int
	mask           uint32 // which loudspeakers the channels are for, by bits; 0: not said
}

const (
	maxChannels = 24
	minRate     = 1000
	maxRate     = 1_000_000
	maxHeader   = 64 << 10 // far more than comes before the samples
)

// parseHeader reads the header of a WAVE file of 32-bit floating-point samples, as far as b has it. n is where the
// samples begin; 0 means that more of the file is needed. The sizes that it gives for the samples do not count: who writes into a
// pipe does not know them. (Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0", 1991, and
// the former's WAVEFORMATEXTENSIBLE.)
func parseHeader(b []byte) (s shape, n int, err error) {
	const op = "analyse: read the samples"
	if len(b) < 12 {
		return s, 0, nil
	}
	if string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return s, 0, tutti.Errorf(tutti.KindInvalid, op, "this is no WAVE file")
	}
	for at := 12; ; {
		if at+8 > len(b) {
			break
		}
		id, size := string(b[at:at+4]), binary.LittleEndian.Uint32(b[at+4:])
		at += 8
		if id == "data" {
			if s.rate == 0 {
				return s, 0, tutti.Errorf(tutti.KindInvalid, op, "the samples come before what they are")
			}
			return s, at, nil
		}
		if size > maxHeader {
			return s, 0, tutti.Errorf(tutti.KindInvalid, op, "a header of %d bytes is too long", size)
		}
		end := at + int(size) + int(size)%2
		if end > len(b) {
			break
		}
		if id == "fmt " {
			if s, err = parseFormat(b[at : at+int(size)]); err != nil {
				return s, 0, err
			}
		}
		at = end
	}
	if len(b) > maxHeader {
		return s, 0, tutti.Errorf(tutti.KindInvalid, op, "the header is too long")
	}
	return s, 0, nil
}

func parseFormat(b []byte) (s shape, err error) {
	const (
		op         = "analyse: read the samples"
		float      = 3
		extensible = 0xFFFE
	)
	if len(b) < 16 {
		return s, tutti.Errorf(tutti.KindInvalid, op, "the description of the samples is cut short")
	}
	format := binary.LittleEndian.Uint16(b)
	channels, rate := int(binary.LittleEndian.Uint16(b[2:])), int64(binary.LittleEndian.Uint32(b[4:]))
	bits := binary.LittleEndian.Uint16(b[14:])
	if format == extensible && len(b) >= 26 {
		s.mask = binary.LittleEndian.Uint32(b[20:])
		format = binary.LittleEndian.Uint16(b[24:])
	}
	if format != float || bits != 32 {
		return s, tutti.Errorf(tutti.KindInvalid, op, "these are no floating-point samples of 32 bits")
	}
	if channels < 1 || channels > maxChannels || rate < minRate || rate > maxRate {
		return s, tutti.Errorf(tutti.KindInvalid, op, "%d channels at %d Hz cannot be analysed", channels, rate)
	}
	s.rate, s.channels = int(rate), channels
	return s, nil
}

// sample reads one; what is no number is silence.
func sample(b []byte) float32 {
	v := math.Float32frombits(binary.LittleEndian.Uint32(b))
	if !(v > -1e6 && v < 1e6) {
		return 0
	}
	return v
}
