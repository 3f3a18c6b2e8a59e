package metacodec

import "math/bits"

// How the model works. A literal text is coded symbol by symbol (a byte, or the end), a symbol as the binary decisions of
// a prefix code (frequent symbols have few), and each decision by mixing what several contexts have to say: after which
// characters, in which word, after which words, at which place of which field, after which text of the record before it.
// For every context the training kept how often the decision fell either way, as a state of four bits each; a trained
// table turns the state into a logit, and gated linear mixing of the logits (M. Mahoney, "Adaptive weighing of context
// models for lossless data compression", FIT TR CS-2005-16; C. Mattern, "Mixing strategies in data compression", DCC 2012)
// gives the probability. A context's weight is the sum of three, each chosen by another view of where coding is, so that
// one dot product is enough; a context that says nothing costs nothing. The tables are frozen: they are the same for every
// reader, whatever was read before. What a frame itself teaches goes into small tables of the frame's own ("overlay"),
// which enter the mixing beside the others, as do two matches: the place in the frame, and the place in a list of texts
// that the model keeps, where the last letters stood before. Numbers are coded likewise, as their length in bits and then
// their leading bits.
const (
	maxContexts = 14                         // frozen contexts of a text
	numContexts = 7                          // of a number
	overlays    = 7                          // contexts that a frame learns for itself
	maxInputs   = maxContexts + overlays + 3 // and two matches, and a constant
	chunk       = 4                          // decisions that share a bucket: a tree of 15 nodes in 16 bytes
	bucketSize  = 1 << chunk                 //
	endSymbol   = 256                        // ends a text
	symbols     = 257                        //
	logitLimit  = 11 * logitOne              // further out lie probabilities that 16 bits cannot say
	logitOne    = 256                        // a logit of 1, in natural units
	weightOne   = 1 << 12                    // a weight of 1
	maxModelled = 1 << 20                    // bytes of plain form that are given to the model; more goes to Zstandard
	whats       = 10                         // sorts of flags
	flagsOf     = fields * 8                 // contexts of one sort
	remembered  = 64                         // texts of a field that can be referred to in a frame
	matchMin    = 4                          // bytes that must agree before a match in the frame predicts
	phraseMin   = 5                          // and in the model's phrases
)

// The sorts of flags.
const (
	flagSame    = iota // a text is the last of its field
	flagSibling        // a text is that of the field that usually says the same
	flagBefore         // a text was said before in the frame
	flagRank           // how long ago
	flagEqual          // a number is the last of its field
	flagNext           // a number is one more
	flagBool           // yes or no
	flagNanos          // a moment is not a whole second
	flagSameID         // an ID, or bytes, are the last of their field
	flagKind           // a record is of the last record's kind
)

// ranks of a net's three gates, each of which chooses a row of weights by another view of where coding is.
const gates = 3

// A net turns the states of contexts into a probability. There are four: for texts and numbers, in frames of one record
// and of many.
type net struct {
	which              int
	contexts, overlays int
	inputs             int                  // contexts + overlays + two matches + constant
	rows               [gates]int           // how many rows of weights each gate has
	logits             *[lanesOf][256]int16 // by input: what a state says
	weights            [gates][]row
}

// row is the weights of all inputs in one view. Its length is a power of two, so that no index needs a check.
type row [lanesOf]int16

const lanesOf = 32

const (
	netText = iota
	netTextList
	netNumber
	netNumberList
	nets
)

// shape gives a net its dimensions, which are part of the format.
func (n *net) shape(which int) {
	n.which = which
	n.contexts = maxContexts
	n.rows = [gates]int{32 * 3, knowns * 12, 16 * 4 * 4}
	if which >= netNumber {
		n.contexts = numContexts
		n.rows = [gates]int{fields * 8, 8 * 8, 64 * 3} // by field and stage, how many contexts are known, the number before
	}
	if which == netTextList || which == netNumberList {
		n.overlays = overlays
		if which == netNumberList {
			n.overlays = numContexts
		}
		n.rows[0] *= 4
	}
	n.inputs = n.contexts + n.overlays + 3
	n.logits = new([lanesOf][256]int16)
	for g := range gates {
		n.weights[g] = make([]row, n.rows[g])
	}
}

// textRef is a text in the history of a frame.
type textRef struct {
	off, len int
	hash     uint64
	set      bool
}

type coderMode uint8

const (
	encoding coderMode = iota
	decoding
	scoring  // counts bits, writes nothing
	training // leaves every decision to the trainer
)

// coder walks through the values of a frame and codes each, one way or the other: the same code models for the writer,
// the reader, the scorer and the trainer, so that they cannot differ. Its methods take the value that is to be written,
// which is ignored when reading, and return the value.
type coder struct {
	rangeCoder
	m     *Model
	mode  coderMode
	tr    *trainer
	bits  uint64 // scoring: 1/65536 bit spent
	list  bool   // more than one record
	rec   int    // of the record
	kind  uint64
	texts *net // the nets in use
	nums  *net

	history []byte
	last    [fields]textRef
	numbers [fields]struct {
		value uint64
		set   bool
		how   uint8
	}
	same     [fields]uint8 // outcomes of flagSame, newest low
	prevSame uint8         // of the text before in this record
	before   uint64        // hash of the text before in this record
	first    uint64        // hash of the record's first text
	style    uint64        // hash of the record's genre
	habit    uint64        // how the record's texts begin and end, and which numbers are missing
	prevNum  uint64        // the number before in this record
	seen     [fields][]textRef
	bools    [fields]uint8
	flags    []uint16 // of this frame, where it learns

	// the symbol at hand
	h      [maxContexts]uint64
	sets   [maxContexts]set
	idx    [maxContexts]uint32 // of the buckets of the contexts that are known
	which  [maxContexts]uint8  // which those are
	known  int                 // how many
	found  uint32              // the same as a set of bits
	oidx   [maxInputs]uint32
	n      *net
	w      [gates]*row
	views  [2]int // the parts of the first and the second gate that stay the same within a symbol, or a bucket
	states [maxInputs]uint8

	guess   textRef // a text that this one may hold
	in, of  match   // in the frame, and in the model's phrases
	matches []uint32
	ov      overlay
}

// mix hashes a context.
func mix(i int, v uint64) uint64 {
	v = (v ^ uint64(i+1)<<58) * 0x9E3779B97F4A7C15 // 2^64 divided by the golden ratio: D. Knuth, TAOCP vol. 3, §6.4
	v ^= v >> 32
	return v * 0xD6E8FEB86659FD93 // an odd number with no structure; the multiplication spreads the low bits again
}

func hashText(b []byte) uint64 {
	h := uint64(len(b)) + 0x51ED270B
	for _, c := range b {
		h = (h ^ uint64(c)) * 0x100000001B3 // FNV-1a's prime
		h ^= h >> 29
	}
	return h
}

// reset makes the coder ready for a frame.
func (c *coder) reset(m *Model, mode coderMode) {
	*c = coder{
		m: m, mode: mode, tr: c.tr, history: c.history[:0], matches: c.matches, seen: c.seen, flags: c.flags, ov: c.ov,
	}
	for f := range c.seen {
		c.seen[f] = c.seen[f][:0]
	}
	if c.matches == nil {
		c.matches = make([]uint32, 1<<10)
	} else {
		clear(c.matches)
	}
	if c.flags == nil {
		c.flags = make([]uint16, len(m.flags))
	}
	c.many(false)
}

func (c *coder) many(list bool) {
	c.list = list
	i := 0
	if list {
		i = 1
		copy(c.flags, c.m.flags)
	}
	c.texts, c.nums = &c.m.nets[netText+i], &c.m.nets[netNumber+i]
}

// decide codes a bit that is 1 with probability p / 65536.
func (c *coder) decide(bit int, p uint32) int {
	switch c.mode {
	case encoding:
		c.encode(bit, p)
	case decoding:
		bit = c.decode(p)
	case scoring:
		if bit == 0 {
			p = 1<<16 - p
		}
		c.bits += cost(p, &c.m.log2)
	}
	return bit
}

// flag codes a decision that has a context of its own. In a list its probability moves with what it meets.
func (c *coder) flag(what int, f Field, ctx uint8, bit int) int {
	i := what*flagsOf + int(f)*8 + int(ctx&7)
	if c.mode == training {
		c.tr.flag(i, bit)
		return bit
	}
	if !c.list {
		return c.decide(bit, uint32(c.m.flags[i]))
	}
	p := uint32(c.flags[i])
	bit = c.decide(bit, p)
	if bit != 0 {
		p += (1<<16 - p) >> 4
	} else {
		p -= p >> 4
	}
	c.flags[i] = uint16(min(max(p, 48), 1<<16-48))
	return bit
}

// raw codes n bits that nothing predicts, the highest first.
func (c *coder) raw(v uint64, n int) uint64 {
	var out uint64
	for i := n - 1; i >= 0; i-- {
		out = out<<1 | uint64(c.decide(int(v>>i&1), 1<<15))
	}
	return out
}

// gamma codes a small number by flags: its length in ones and a zero, then its bits.
func (c *coder) gamma(f Field, v uint64) uint64 {
	n := bits.Len64(v+1) - 1
	k := 0
	for ; k < 63; k++ {
		more := 0
		if k < n {
			more = 1
		}
		if c.flag(flagRank, f, uint8(min(k, 7)), more) == 0 {
			break
		}
	}
	return (1<<k | c.raw((v+1)&(1<<k-1), k)) - 1
}

// count codes how many records the frame has.
func (c *coder) count(n uint64) uint64 {
	// one record is what there is most often, none nearly never
	if n <= 1 {
		n ^= 1
	}
	if n = c.gamma(Count, n); n <= 1 {
		n ^= 1
	}
	c.several(n)
	return n
}

// several prepares for n records.
func (c *coder) several(n uint64) {
	c.many(n > 1)
	if c.list {
		c.ov.room(int(min(n, overlayLarge)) * overlayEach)
	}
}

// records reads how many records the frame has.
func (c *coder) records() uint64 { return c.count(0) }

// begin begins a record.
func (c *coder) begin(k uint64) uint64 {
	if c.list || c.mode == training {
		same := 0
		if k == c.kind {
			same = 1
		}
		if c.flag(flagKind, Other, uint8(min(c.rec, 1)), same) == 1 {
			k = c.kind
		} else {
			k = c.raw(k, 5)
		}
	} else if c.flag(flagKind, Other, uint8(2+min(c.rec, 1)), b2i(k == 0)) == 1 {
		k = 0
	} else {
		k = c.raw(k, 5)
	}
	c.kind = k
	c.rec++
	c.before, c.first, c.style, c.habit, c.prevNum, c.prevSame = 0, 0, 0, 0, 0, 0
	return k
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func b2u(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// enter finds the buckets of all contexts for the next decisions; prefix tells apart what was decided within the symbol.
func (c *coder) enter(n *net, prefix uint64) {
	c.n = n
	c.known, c.found = 0, 0
	salt := prefix * 0xA24BAED4963EE407
	if c.mode == training && c.tr.collecting() {
		for i := range n.contexts {
			c.tr.collect(c.h[i] + salt)
		}
		return
	}
	m := c.m
	// all sets first: they lie far apart in memory, and a processor fetches several at a time
	var hashes [maxContexts]uint64
	for i := range n.contexts {
		h := spread(c.h[i] + salt)
		hashes[i] = h
		c.sets[i] = m.sets[h>>m.shift]
	}
	for i := range n.contexts {
		if x := c.sets[i].find(hashes[i]); x != 0 {
			c.idx[c.known] = x
			c.which[c.known] = uint8(i)
			c.known++
			c.found |= 1 << i
		}
	}
	if n.overlays == numContexts && n.contexts == numContexts {
		for i := range n.overlays {
			c.oidx[i] = c.ov.find(c.h[i] + salt)
		}
	} else if n.overlays > 0 {
		for i, x := range overlaid {
			c.oidx[i] = c.ov.find(c.h[x] + salt)
		}
	}
}

// overlaid are the contexts of a text that a frame learns for itself.
var overlaid = [overlays]int{2, 3, 4, 6, 7, 8, 9}

// gate chooses the rows of weights.
func (c *coder) gate(g0, g1, g2 int) {
	n := c.n
	c.w = [gates]*row{&n.weights[0][g0], &n.weights[1][g1], &n.weights[2][g2]}
	if c.mode == training {
		c.tr.gate = [gates]int{g0, g1, g2}
	}
}

// bit codes a decision at a node of the buckets that were entered; in and of are the states of the matches.
func (c *coder) bit(node int, in, of uint8, bit int) int {
	if c.mode == training {
		if c.tr.counting(c, node, bit) {
			return bit
		}
		return c.tr.bit(c, node, in, of, bit)
	}
	n := c.n
	last := (n.inputs - 1) & (lanesOf - 1)
	w0, w1, w2 := c.w[0], c.w[1], c.w[2]
	logits, nodes := n.logits, c.m.nodes
	says := func(i int, s uint8) int64 {
		i &= lanesOf - 1
		return int64(logits[i][s]) * (int64(w0[i]) + int64(w1[i]) + int64(w2[i]))
	}
	d := logitOne * (int64(w0[last]) + int64(w1[last]) + int64(w2[last]))
	idx := c.idx[:c.known]
	which := c.which[:len(idx)]
	for k, x := range idx {
		d += says(int(which[k]), nodes[int(x)+node])
	}
	if n.overlays > 0 {
		for k, x := range c.oidx[:n.overlays] {
			if s := c.ov.nodes[int(x)+node]; s != 0 {
				d += says(n.contexts+k, s)
			}
		}
	}
	if in != 0 {
		d += says(last-2, in)
	}
	if of != 0 {
		d += says(last-1, of)
	}
	bit = c.decide(bit, uint32(c.m.squash[min(max(d/weightOne, -logitLimit), logitLimit)+logitLimit]))
	for i := range n.overlays {
		p := &c.ov.nodes[int(c.oidx[i])+node]
		*p = learned[*p][bit&1]
	}
	return bit
}
