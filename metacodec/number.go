package metacodec

import "math/bits"

// Numbers. A number that equals the last of its field, or is one more, is a flag or two. Any other is coded as its length
// in bits (0 for 0, at most 64), then the bits below the leading one: the first modelledBits of them with contexts, four
// at a time, the rest as they are.
const modelledBits = 12

const (
	wasOther = iota
	wasEqual
	wasNext
)

func (c *coder) uint(f Field, v uint64) uint64 {
	l := &c.numbers[f]
	how := uint8(wasOther)
	if l.set {
		ctx := l.how | b2u(c.prevSame != 0)<<2
		switch {
		case c.flag(flagEqual, f, ctx, b2i(v == l.value)) == 1:
			v, how = l.value, wasEqual
		case c.flag(flagNext, f, ctx, b2i(v == l.value+1)) == 1:
			v, how = l.value+1, wasNext
		}
	}
	if how == wasOther {
		v = c.literal(f, v)
	}
	l.value, l.how, l.set = v, how, true
	c.prevNum = v + 1
	c.habit = c.habit<<1 | uint64(b2u(v == 0))
	return v
}

// int codes a number that was made positive by zigzag.
func (c *coder) int(f Field, v uint64) uint64 { return c.uint(f, v) }

func (c *coder) literal(f Field, v uint64) uint64 {
	l := &c.numbers[f]
	ff := uint64(f) + 64
	var was uint64
	if l.set {
		was = l.value + 1
	}
	h := &c.h
	h[0] = mix(16, ff)
	h[1] = mix(17, ff|was<<8)
	h[2] = mix(18, ff^c.before)
	h[3] = mix(19, ff|c.prevNum<<8)
	h[4] = mix(20, ff^c.first)
	h[5] = mix(21, ff^c.style)
	h[6] = mix(22, ff^c.first^c.prevNum<<40)
	if c.mode == training {
		c.tr.numbering()
	}

	n := bits.Len64(v)
	high := c.group(f, 0, 1, uint64(n>>4), 3)
	n = int(high<<4 | c.group(f, 1, 2+high, uint64(n&15), 4))
	if n > 64 {
		n = 64 // only in a frame that nobody wrote
	}
	if n <= 1 {
		return uint64(n)
	}
	got, left := uint64(1), n-1
	for stage := 2; left > 0 && stage < 2+modelledBits/chunk; stage++ {
		k := min(left, chunk)
		left -= k
		got = got<<k | c.group(f, stage, 0x100|uint64(n)<<24|got<<32, v>>left&(1<<k-1), k)
	}
	return got<<left | c.raw(v&(1<<left-1), left)
}

// group codes k bits, k ≤ 4, whose contexts are entered together.
func (c *coder) group(f Field, stage int, prefix, v uint64, k int) uint64 {
	n := c.nums
	c.enter(n, prefix)
	g0 := int(f)*8 + stage
	if c.list {
		g0 = g0*4 + min(bits.Len(uint(c.rec-1)), 3)
	}
	c.gate(g0, c.known*8, int(min(c.prevNum, 63))*3+min(stage, 2))
	node := 1
	for i := k - 1; i >= 0; i-- {
		node = node<<1 | c.bit(node, 0, 0, int(v>>i&1))
	}
	return uint64(node) & (1<<k - 1)
}

func (c *coder) bool(f Field, v uint64) uint64 {
	b := &c.bools[f]
	v = uint64(c.flag(flagBool, f, *b&7, int(v)))
	*b = *b<<1 | uint8(v)
	return v
}

// time codes a moment: its seconds as the difference to the last of its field, and its nanoseconds if there are any.
func (c *coder) time(f Field, sec uint64, nanos uint32) (uint64, uint32) {
	l := &c.numbers[f]
	if !l.set {
		l.value = 0
	}
	last := l.value
	diff := c.literal(f, zigzag(unzigzag(sec)-unzigzag(last)))
	sec = zigzag(unzigzag(diff) + unzigzag(last))
	l.value, l.set = sec, true
	if c.flag(flagNanos, f, b2u(l.how == 1), b2i(nanos != 0)) == 0 {
		l.how = 0
		return sec, 0
	}
	l.how = 1
	// milliseconds, microseconds or nanoseconds: what file systems and databases keep
	unit := uint32(1)
	switch {
	case nanos%1_000_000 == 0:
		unit = 1_000_000
	case nanos%1_000 == 0:
		unit = 1_000
	}
	switch {
	case c.flag(flagNanos, f, 2, b2i(unit == 1_000_000)) == 1:
		return sec, uint32(c.raw(uint64(nanos/1_000_000), 10)) * 1_000_000
	case c.flag(flagNanos, f, 3, b2i(unit == 1_000)) == 1:
		return sec, uint32(c.raw(uint64(nanos/1_000), 20)) * 1_000
	}
	return sec, uint32(c.raw(uint64(nanos), 30))
}

// opaque codes n bytes that nothing predicts, unless they are the last of their field.
func (c *coder) opaque(f Field, b []byte, n int) []byte {
	l := &c.last[f]
	if l.set && l.len == n {
		if c.flag(flagSameID, f, c.bools[f]&3, b2i(string(c.history[l.off:l.off+l.len]) == string(b))) == 1 {
			c.bools[f] = c.bools[f]<<1 | 1
			return c.history[l.off : l.off+l.len : l.off+l.len]
		}
		c.bools[f] <<= 1
	}
	off := len(c.history)
	for i := range n {
		var v uint64
		if i < len(b) {
			v = uint64(b[i])
		}
		c.history = append(c.history, byte(c.raw(v, 8)))
		if c.mode == decoding && c.overrun() {
			break
		}
	}
	*l = textRef{off: off, len: len(c.history) - off, set: true}
	return c.history[off:len(c.history):len(c.history)]
}

func (c *coder) id(f Field, b []byte) []byte { return c.opaque(f, b, 16) }

func (c *coder) bytes(f Field, b []byte) []byte {
	n := c.gamma(f, uint64(len(b)))
	if n > MaxText {
		c.pos = len(c.buf) + 9 // an overrun: no encoder writes this
		return nil
	}
	return c.opaque(f, b, int(n))
}
