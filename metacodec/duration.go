package metacodec

import "math/bits"

const nanoseconds = 1_000_000_000

// rates are those of samples of which a piece's length is a whole number; the first is milliseconds, the last nanoseconds.
// Their places are part of the format: add before the last only together with a new one.
var rates = [...]uint64{1000, 8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000, nanoseconds}

// Units is how many units there are that a duration may be counted in.
const Units = uint64(len(rates))

// CountUnits returns a unit in which the duration, in nanoseconds, is a whole number, and that number: of a decoder's
// duration the samples, which are two or three bytes where nanoseconds are five. before is the unit of the duration
// before, which is taken where it serves.
func CountUnits(duration, before uint64) (unit, n uint64) {
	if before < Units-1 {
		if n, ok := samples(duration, rates[before]); ok {
			return before, n
		}
	}
	for u, rate := range rates[:Units-1] {
		if n, ok := samples(duration, rate); ok {
			return uint64(u), n
		}
	}
	return Units - 1, duration
}

// samples returns how many samples at a rate last for the duration, rounded down to the nanosecond as package audio does.
func samples(duration, rate uint64) (n uint64, exact bool) {
	hi, lo := bits.Mul64(duration, rate)
	if hi >= nanoseconds {
		return 0, false
	}
	n, rest := bits.Div64(hi, lo, nanoseconds)
	if rest > 0 {
		n++
	}
	d, ok := last(n, rate)
	return n, ok && d == duration
}

func last(n, rate uint64) (duration uint64, ok bool) {
	hi, lo := bits.Mul64(n, nanoseconds)
	if hi >= rate {
		return 0, false
	}
	duration, _ = bits.Div64(hi, lo, rate)
	return duration, true
}

// FromUnits is the inverse of CountUnits. ok is false for what that does not return.
func FromUnits(unit, n uint64) (duration uint64, ok bool) {
	if unit >= Units {
		return 0, false
	}
	return last(n, rates[unit])
}
