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
	if ref.len > 0 {
		c.habit = c.habit<<8 | uint64(classes[c.history[ref.off]])<<4 | uint64(classes[c.history[ref.off+ref.len-1]])
	} else {
		c.habit <<= 8
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
	if w.pos < 6 {
		h[0] = mix(0, w.prefix^ff<<56^c.prevNum*0xD6E8FEB86659FD93)
	} else {
		h[0] = mix(14, w.word^uint64(w.inWord)^ff<<56)
	}
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
	h[13] = mix(13, (w.tail&0xff|ff<<56|uint64(min(w.pos, 3))<<8|uint64(min(w.inWord, 3))<<10)^c.habit<<16)
}

// knowns is in how many ways the contexts of a text may be known.
const knowns = 5 * 3 * 3

// knownOf puts sets of known contexts into classes: the longest of the last letters, of the words, of the text so far.
var knownOf = func() (t [1 << 8]uint8) {
	for s := range t {
		letters, word, text := 0, 0, 0
		for i := range 4 { // of 3 to 6 letters
			if s>>i&1 != 0 {
				letters = i + 1
			}
		}
		for i := range 2 {
			if s>>(4+i)&1 != 0 {
				word = i + 1
			}
			if s>>(6+i)&1 != 0 {
				text = i + 1
			}
		}
		t[s] = uint8(letters*9 + word*3 + text)
	}
	return t
}()

// match is a place where the last letters stood before: what followed there may follow again.
type match struct {
	ptr    int
	len    int // letters that agree; 0: there is no such place
	expect int // the symbol that follows there; -1: none
	code   uint32
	left   int // of the code's decisions, those still to come; 0 once one was another
}

// The lengths that a match is given where no letters agree yet, and what it is taken for.
const (
	guessStart  = 1 // that a text begins as the one before in the record
	guessInside = 2 // that after a bracket or a dash one of the record's texts follows
	guessTrue   = 3 // that a guess was right so far, by one letter
)

func (p *match) begin(m *Model, text []byte) {
	p.expect, p.left = -1, 0
	if p.len == 0 || p.ptr >= len(text) {
		return
	}
	p.expect = int(text[p.ptr])
	if p.expect == 0 {
		p.expect = endSymbol
	}
	p.code, p.left = uint32(m.codes[p.expect]), int(m.lengths[p.expect])
}

// state is what the match says of the next decision; 0 is nothing.
func (p *match) state() uint8 {
	if p.left == 0 {
		return 0
	}
	return uint8(min(p.len, 31)<<1) | uint8(p.code>>(p.left-1)&1)
}

// sees follows the decision that was made.
func (p *match) sees(bit int) {
	if p.left == 0 {
		return
	}
	p.left--
	if int(p.code>>p.left&1) != bit {
		p.left, p.len = 0, 0
	}
}

// trust is how far a match is to be believed, as a class.
func (p *match) trust() int {
	switch {
	case p.left == 0:
		return 0
	case p.len <= 8:
		return 1
	case p.len <= 14:
		return 2
	}
	return 3
}

// spell codes a text letter by letter and appends it to the history, with a zero byte after it.
func (c *coder) spell(f Field, s []byte) textRef {
	off := len(c.history)
	var w speller
	c.look(f)
	if c.mode == training {
		c.tr.spelling(f, s)
	}
	if c.mode == training && c.tr.passing() {
		c.history = append(c.history, s...)
		return c.spelt(f, off)
	}
	for i := 0; ; i++ {
		sym := endSymbol
		if i < len(s) {
			sym = int(s[i])
		}
		c.textContexts(f, &w)
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
		c.follow(&w)
	}
	return c.spelt(f, off)
}

// spelt ends the text that begins at off of the history.
func (c *coder) spelt(f Field, off int) textRef {
	r := textRef{off: off, len: len(c.history) - off, set: true}
	r.hash = hashText(c.history[off:])
	c.history = append(c.history, 0)
	c.remember(f, r)
	return r
}

// look begins to look for matches.
func (c *coder) look(f Field) {
	c.in, c.of = match{}, match{}
	if c.guess = c.last[sibling[f]]; sibling[f] == Other {
		c.guess = textRef{}
	}
	if c.guess.set {
		c.in = match{ptr: c.guess.off, len: guessStart}
	}
}

// follow takes the matches past the newest byte, or looks for others: the last place in the frame, and the place among
// the model's phrases, where the last letters stood.
func (c *coder) follow(w *speller) {
	if c.mode == training && c.tr.stage < stageStates {
		return
	}
	n := len(c.history)
	if c.in.len > 0 {
		c.in.ptr++
		c.in.len = max(c.in.len+1, guessTrue)
		if c.in.ptr >= n {
			c.in.len = 0
		}
	}
	if w.pos >= matchMin {
		slot := &c.matches[mix(31, w.tail&(1<<(8*matchMin)-1))>>54]
		if p := int(*slot); c.in.len == 0 && p > 0 && p < n {
			if k := agree(c.history[:p], c.history[:n]); k >= matchMin {
				c.in = match{ptr: p, len: k}
			}
		}
		*slot = uint32(n)
	}
	if c.in.len == 0 && c.guess.set {
		switch classes[byte(w.tail)] {
		case classOpen, classDash, classSlash, classQuote:
			c.in = match{ptr: c.guess.off, len: guessInside}
		case classSpace:
			if cl := classes[byte(w.tail>>8)]; cl == classDash || cl == classComma {
				c.in = match{ptr: c.guess.off, len: guessInside}
			}
		}
	}
	if c.of.len > 0 {
		c.of.ptr++
		c.of.len++
	}
	if w.pos >= phraseMin && (c.of.len == 0 || c.of.len < 16 && w.inWord == 0) {
		if p, k := c.m.phrase(c, w); k > c.of.len {
			c.of = match{ptr: p, len: k}
		}
	}
}

// agree returns how many bytes at the ends of a and b are the same, at most 24.
func agree(a, b []byte) int {
	k := 0
	for k < 24 && k < len(a) && k < len(b) && a[len(a)-1-k] == b[len(b)-1-k] {
		k++
	}
	return k
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
	c.in.begin(m, c.history)
	c.of.begin(m, m.phrases)
	at := 0
	depth := 0
	node := 1
	prefix := uint64(1)
	for {
		if depth%chunk == 0 {
			c.enter(n, prefix)
			c.view(f, depth)
			node = 1
		}
		c.gateText(w, depth)
		bit := 0
		if c.mode != decoding {
			bit = int(code >> (left - 1 - depth) & 1)
		}
		bit = c.bit(node, c.in.state(), c.of.state(), bit)
		c.in.sees(bit)
		c.of.sees(bit)
		node = node<<1 | bit
		prefix = prefix<<1 | uint64(bit)
		depth++
		at = int(m.tree[at][bit])
		if at < 0 {
			return -at - 1
		}
	}
}

// view takes what of the choice of weights stays the same until other buckets are entered: the field and how deep in the
// symbol (in a list also how much of it was read), and which contexts are known.
func (c *coder) view(f Field, depth int) {
	g0 := int(f&31)*3 + min(depth/chunk, 2)
	if c.list {
		g0 = g0*4 + min(bits.Len(uint(c.rec-1)), 3)
	}
	s := c.found>>3&15 | c.found>>7&3<<4 | c.found>>9&3<<6
	c.views = [2]int{g0, int(knownOf[s]) * 12}
}

// gateText chooses the weights for a decision in a text: by the view, by how good the matches are, and by what stands
// before.
func (c *coder) gateText(w *speller, depth int) {
	g1 := c.views[1] + c.in.trust()*3 + min(c.of.trust(), 2)
	c.gate(c.views[0], g1, int(classes[byte(w.tail)])*16+min(w.inWord, 3)*4+depth%chunk)
}
