package metacodec

import "math/bits"

// sibling names the field that often says the same, and comes before it in a record.
var sibling = [fields]Field{Artist: AlbumArtist, AlbumArtist: Artist, Album: Work, Title: Album, Composer: Artist, Sort: Artist, Work: Album}

// text codes a text: by a reference to one that is the same, or letter by letter. It returns the text in the history,
// where it stays until the frame ends.
func (c *coder) text(f Field, s []byte) []byte {
	ref, state := c.reference(f, s)
	if !ref.set {
		ref = c.spell(f, s)
		state = 0
	}
	c.same[f] = c.same[f]<<1 | state
	c.prevSame = state
	c.last[f] = ref
	c.before = ref.hash
	if c.first == 0 {
		c.first = ref.hash
	}
	if f == Genre {
		c.style = ref.hash
	}
	return c.history[ref.off : ref.off+ref.len : ref.off+ref.len]
}

func (c *coder) equal(r textRef, s []byte) bool {
	return string(c.history[r.off:r.off+r.len]) == string(s)
}

// reference codes whether the text is one that was said before. state is 1 where it is the last of its field.
func (c *coder) reference(f Field, s []byte) (ref textRef, state uint8) {
	last := c.last[f]
	if last.set {
		ctx := c.same[f]&1 | c.prevSame<<1 | b2u(c.rec > 2)<<2
		if c.flag(flagSame, f, ctx, b2i(c.equal(last, s))) == 1 {
			return last, 1
		}
	}
	if other := c.last[sibling[f]]; sibling[f] != Other && other.set && !(last.set && other.hash == last.hash) {
		ctx := b2u(last.set) | c.same[f]&1<<1 | c.prevSame<<2
		if c.flag(flagSibling, f, ctx, b2i(c.equal(other, s))) == 1 {
			return other, 0
		}
	}
	if !c.list || len(c.seen[f]) < 2 {
		return textRef{}, 0
	}
	// the last of them is c.last[f], which this is not
	known := c.seen[f][:len(c.seen[f])-1]
	at := -1
	if c.mode != decoding {
		h := hashText(s)
		for i := len(known) - 1; i >= 0; i-- {
			if known[i].hash == h && c.equal(known[i], s) {
				at = i
				break
			}
		}
	}
	if c.flag(flagBefore, f, uint8(min(bits.Len(uint(len(known)))-1, 5)), b2i(at >= 0)) == 0 {
		return textRef{}, 0
	}
	rank := c.gamma(f, uint64(len(known)-1-at))
	if rank >= uint64(len(known)) {
		c.pos = len(c.buf) + 9 // an overrun: no encoder writes this
		rank = 0
	}
	at = len(known) - 1 - int(rank)
	ref = known[at]
	list := c.seen[f]
	copy(list[at:], list[at+1:])
	list[len(list)-1] = ref
	return ref, 0
}

// remember keeps a text that was spelled, for references to it.
func (c *coder) remember(f Field, r textRef) {
	if !c.list {
		return
	}
	list := c.seen[f]
	if len(list) == remembered {
		copy(list, list[1:])
		list[len(list)-1] = r
	} else {
		list = append(list, r)
	}
	c.seen[f] = list
}

// speller is what the letters of a text so far come to.
type speller struct {
	tail   uint64 // the last 8 bytes, the newest lowest
	word   uint64 // hash of the word so far, in lower case
	words  [2]uint64
	prefix uint64 // hash of all of it
	shape  uint64 // classes of the last 8 characters, four bits each
	inWord int
	pos    int
}

// The classes of bytes.
const (
	classNone = iota
	classLower
	classUpper
	classDigit
	classSpace
	classHigh // of a character beyond ASCII
	classOpen
	classClose
	classQuote
	classDash
	classStop
	classComma
	classSlash
	classOther
)

func classOf(b byte) uint8 {
	switch {
	case b >= 'a' && b <= 'z':
		return classLower
	case b >= 'A' && b <= 'Z':
		return classUpper
	case b >= '0' && b <= '9':
		return classDigit
	case b == ' ':
		return classSpace
	case b >= 0x80:
		return classHigh
	}
	switch b {
	case '(', '[', '{':
		return classOpen
	case ')', ']', '}':
		return classClose
	case '"', '\'', '`':
		return classQuote
	case '-', '_':
		return classDash
	case '.', '!', '?':
		return classStop
	case ',', ';', ':', '&':
		return classComma
	case '/', '\\', '|':
		return classSlash
	}
	return classOther
}

var classes = func() (t [256]uint8) {
	for i := range t {
		t[i] = classOf(byte(i))
	}
	return t
}()

func (w *speller) add(b byte) {
	w.tail = w.tail<<8 | uint64(b)
	w.prefix = (w.prefix ^ uint64(b) + 1) * 0x100000001B3
	w.prefix ^= w.prefix >> 31
	cl := classes[b]
	if s := w.shape & 15; s != uint64(cl) || w.shape>>4&15 != uint64(cl) { // runs of a class count as two
		w.shape = w.shape<<4 | uint64(cl)
	}
	w.pos++
	switch cl {
	case classLower, classUpper, classHigh, classDigit, classQuote:
		if cl == classUpper {
			b |= 0x20
		}
		w.word = (w.word ^ uint64(b)) * 0x2127599BF4325C37
		w.word ^= w.word >> 33
		w.inWord++
	default:
		if w.inWord > 0 {
			w.words[1], w.words[0] = w.words[0], w.word
			w.word, w.inWord = 0, 0
		}
		if cl != classSpace {
			w.words[0] ^= uint64(b) * 0x9E3779B97F4A7C15
		}
	}
}

func (c *coder) textContexts(f Field, w *speller) {
	ff := uint64(f) + 1
	h := &c.h
	h[0] = mix(0, ff)
	h[1] = mix(1, ff<<56|w.tail&0xff)
	h[2] = mix(2, ff<<56|w.tail&0xffff)
	h[3] = mix(3, w.tail&0xffffff)
	h[4] = mix(4, w.tail&0xffffffff)
	h[5] = mix(5, w.tail&0xffffffffff)
	h[6] = mix(6, w.tail&0xffffffffffff)
	h[7] = mix(7, w.word^uint64(w.inWord))
	h[8] = mix(8, w.word^w.words[0]*0xD6E8FEB86659FD93)
	h[9] = mix(9, w.prefix^ff<<56)
	h[10] = mix(10, w.prefix*0xD6E8FEB86659FD93^c.before^ff<<56)
	h[11] = mix(11, w.shape&0xffffff<<8|ff)
	h[12] = mix(12, (w.tail&0xffff|ff<<32)^c.style)
	h[13] = mix(13, w.word^w.words[1]*0xD6E8FEB86659FD93^0x55)
}

// spell codes a text letter by letter and appends it to the history, with a zero byte after it.
func (c *coder) spell(f Field, s []byte) textRef {
	off := len(c.history)
	var w speller
	c.mptr, c.mlen = 0, 0
	if c.mode == training {
		c.tr.spelling(f, s)
	}
	for i := 0; ; i++ {
		sym := endSymbol
		if i < len(s) {
			sym = int(s[i])
		}
		c.textContexts(f, &w)
		c.predict()
		sym = c.symbol(f, sym, &w)
		if sym == endSymbol {
			break
		}
		if len(c.history)-off >= MaxText || c.mode == decoding && c.overrun() {
			c.pos = len(c.buf) + 9
			break
		}
		c.history = append(c.history, byte(sym))
		w.add(byte(sym))
		c.found5(w.pos, w.tail)
	}
	r := textRef{off: off, len: len(c.history) - off, set: true}
	r.hash = hashText(c.history[off:])
	c.history = append(c.history, 0)
	c.remember(f, r)
	return r
}

// predict sets what the match says comes next.
func (c *coder) predict() {
	c.expect = -1
	if c.mlen > 0 {
		c.expect = int(c.history[c.mptr])
		if c.expect == 0 {
			c.expect = endSymbol
		}
	}
}

// found5 follows the match past the newest byte, or looks for another: the last place in the frame where the last
// matchMin bytes stood.
func (c *coder) found5(pos int, tail uint64) {
	n := len(c.history)
	if c.mlen > 0 && c.history[c.mptr] == byte(tail) {
		c.mlen++
		c.mptr++
	} else {
		c.mlen = 0
	}
	if pos < matchMin {
		return
	}
	slot := &c.matches[mix(31, tail&(1<<(8*matchMin)-1))>>54]
	if c.mlen == 0 && *slot != 0 {
		p := int(*slot)
		k := 0
		for k < 15 && p-1-k >= 0 && c.history[p-1-k] == c.history[n-1-k] {
			k++
		}
		if k >= matchMin {
			c.mlen, c.mptr = k, p
		}
	}
	*slot = uint32(n)
	if c.mptr >= n {
		c.mlen = 0
	}
}

// symbol codes one symbol.
func (c *coder) symbol(f Field, sym int, w *speller) int {
	m := c.m
	n := c.texts
	var code uint32
	left := 0
	if c.mode != decoding {
		code, left = uint32(m.codes[sym]), int(m.lengths[sym])
	}
	var want uint32
	wantLen := 0
	if c.expect >= 0 {
		want, wantLen = uint32(m.codes[c.expect]), int(m.lengths[c.expect])
	}
	at := 0
	depth := 0
	node := 1
	ml := 0
	if c.mlen > 0 {
		ml = min(c.mlen, 31)
	}
	prefix := uint64(1)
	agreed := wantLen > 0
	for {
		if depth%chunk == 0 {
			c.enter(n, prefix)
			node = 1
		}
		state := uint8(0)
		mb := 0
		if agreed && depth < wantLen {
			state = uint8(ml<<1) | uint8(want>>(wantLen-1-depth)&1)
			mb = 1
			if ml > 8 {
				mb = 2
			}
			if ml > 14 {
				mb = 3
			}
		}
		c.mstate = state
		c.gateText(f, w, depth, mb)
		bit := 0
		if c.mode != decoding {
			bit = int(code >> (left - 1 - depth) & 1)
		}
		bit = c.bit(node, bit)
		if state != 0 && int(state&1) != bit {
			agreed = false
			c.mlen = 0
		}
		node = node<<1 | bit
		prefix = prefix<<1 | uint64(bit)
		depth++
		at = int(m.tree[at][bit])
		if at < 0 {
			return -at - 1
		}
	}
}

// gateText chooses the weights for a decision in a text: by the field and how deep in the symbol, by how many contexts are
// known and how long the match is, and by what stands before.
func (c *coder) gateText(f Field, w *speller, depth, match int) {
	g1 := c.found*4 + match
	if c.list {
		g1 = g1*4 + min(bits.Len(uint(c.rec-1)), 3)
	}
	c.gate(f, int(f&31)*3+min(depth/chunk, 2), g1, int(classes[byte(w.tail)])*16+min(w.inWord, 3)*4+depth%chunk)
}
