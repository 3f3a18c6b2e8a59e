package metacodec

import "math/bits"

// rangeCoder is a binary arithmetic coder (Witten, Neal, Cleary, "Arithmetic coding for data compression", CACM 30(6),
// 1987) over an interval of 64 bits: bytes on which both ends agree are shifted out, so no carry ever runs back. With
// probabilities of 16 bits the interval is all but never too narrow for one, and where it is, coding stays exact and
// costs a bit more.
type rangeCoder struct {
	low, high uint64
	code      uint64 // decoding: what the interval is around
	buf       []byte // encoding: written so far; decoding: the body
	pos       int    // decoding: of the next byte to take
}

func (r *rangeCoder) startEncode(dst []byte) {
	r.low, r.high, r.buf = 0, 1<<64-1, dst
}

func (r *rangeCoder) startDecode(src []byte) {
	r.low, r.high, r.buf, r.pos, r.code = 0, 1<<64-1, src, 0, 0
	for range 8 {
		r.code = r.code<<8 | uint64(r.next())
	}
}

// next takes a byte; after the last there are zeros, which the encoder leaves away.
func (r *rangeCoder) next() (b byte) {
	if r.pos < len(r.buf) {
		b = r.buf[r.pos]
	}
	r.pos++
	return b
}

// encode writes a bit that is 1 with probability p / 65536, 0 < p < 65536.
func (r *rangeCoder) encode(bit int, p uint32) {
	mid := r.low + (r.high-r.low)>>16*uint64(p)
	if bit != 0 {
		r.high = mid
	} else {
		r.low = mid + 1
	}
	for r.low^r.high < 1<<56 {
		r.buf = append(r.buf, byte(r.high>>56))
		r.low <<= 8
		r.high = r.high<<8 | 255
	}
}

// decode reads a bit that encode wrote with the same p.
func (r *rangeCoder) decode(p uint32) (bit int) {
	mid := r.low + (r.high-r.low)>>16*uint64(p)
	if r.code <= mid {
		bit = 1
		r.high = mid
	} else {
		r.low = mid + 1
	}
	for r.low^r.high < 1<<56 {
		r.low <<= 8
		r.high = r.high<<8 | 255
		r.code = r.code<<8 | uint64(r.next())
	}
	return bit
}

// finish writes the fewest bytes that, with zeros after them, lie in the interval.
func (r *rangeCoder) finish() []byte {
	if r.low > 0 {
		n := 1
		for ; n < 8; n++ {
			unit := uint64(1) << (64 - 8*n)
			up := r.low + unit - 1
			if up < r.low { // beyond 2^64
				continue
			}
			if up &^= unit - 1; up <= r.high {
				r.low = up
				break
			}
		}
		for i := range n {
			r.buf = append(r.buf, byte(r.low>>(56-8*i)))
		}
	}
	return r.buf
}

// overrun reports whether more was read than was ever written.
func (r *rangeCoder) overrun() bool { return r.pos > len(r.buf)+8 }

// ended reports whether all that was written was read.
func (r *rangeCoder) ended() bool { return r.pos >= len(r.buf) && !r.overrun() }

// cost is what a bit of probability p / 65536 takes, in 1/65536 bit: -log2(p/65536), by the table of the model's
// logarithms for the leading 8 bits.
func cost(p uint32, log2 *[257]uint32) uint64 {
	n := bits.Len32(p) // 1…16
	m := p << (16 - n) // 0x8000…0xffff
	i := (m >> 7) - 256
	f := m & 127
	l := log2[i] + (log2[i+1]-log2[i])*f/128
	return uint64(16-(n-1))<<16 - uint64(l)
}
