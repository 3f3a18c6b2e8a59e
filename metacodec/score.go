package metacodec

import (
	"cmp"
	"slices"
)

// Value is a text that is known of a record.
type Value struct {
	Field Field
	Text  string
}

// scorer takes a coder through what is known.
func (m *Model) scorer(known []Value) *coder {
	c := m.get()
	c.reset(m, scoring)
	c.count(1)
	c.begin(0)
	for _, v := range known {
		c.text(v.Field, []byte(v.Text))
	}
	return c
}

// bitOne is a bit in what scoring counts.
const bitOne = 1 << 16

// Bits returns how surprising a text is in a field, given what is known of the record in the order in which records are
// written (genre, album artist, artist, album, title): -log2 of the probability that the model gives it. It is what the
// text would cost in a frame of one record. Two spellings of one thing are compared by the difference of their bits.
func (m *Model) Bits(f Field, text string, known ...Value) float64 {
	c := m.scorer(known)
	defer m.end(c)
	before := c.bits
	c.text(f, []byte(text))
	return float64(c.bits-before) / bitOne
}

// Completion is a text that the model continues a prefix to.
type Completion struct {
	Text string
	Bits float64 // -log2 of the probability of the rest and the end, given the prefix
}

// The limits of a search for completions.
const (
	beam          = 24 // beginnings that are followed at a time
	maxCompletion = 96 // bytes after the prefix
	branchBits    = 8 * bitOne
)

// Complete returns up to n texts of a field that begin with prefix, the most probable first, given what is known of the
// record. It follows the most probable beginnings only (beam search), so it may miss some.
func (m *Model) Complete(f Field, prefix string, n int, known ...Value) []Completion {
	c := m.scorer(known)
	defer m.end(c)
	start := len(c.history)
	c.look(f)
	root := beginning{in: c.in}
	for i := range len(prefix) {
		root.add(c, prefix[i])
	}
	open := []beginning{root}
	var done []Completion
	for range maxCompletion {
		var next []beginning
		for _, b := range open {
			c.history = append(c.history[:start], prefix...)
			c.history = append(c.history, b.rest...)
			for _, s := range c.branches(f, &b) {
				bits := b.bits + s.bits
				if s.symbol == endSymbol {
					done = append(done, Completion{prefix + string(b.rest), float64(bits) / bitOne})
					continue
				}
				longer := b
				longer.bits = bits
				longer.rest = append(slices.Clone(b.rest), byte(s.symbol))
				longer.add(c, byte(s.symbol))
				c.history = c.history[:len(c.history)-1]
				next = append(next, longer)
			}
		}
		slices.SortFunc(next, func(a, b beginning) int { return cmp.Compare(a.bits, b.bits) })
		open = next[:min(beam, len(next))]
		slices.SortFunc(done, func(a, b Completion) int { return cmp.Compare(a.Bits, b.Bits) })
		done = done[:min(n, len(done))]
		if len(open) == 0 || len(done) == n && float64(open[0].bits)/bitOne >= done[n-1].Bits {
			break
		}
	}
	return done
}

// beginning is a text that is being completed.
type beginning struct {
	w      speller
	in, of match
	rest   []byte
	bits   uint64
}

// add appends a letter to the text, which stands at the end of the coder's history.
func (b *beginning) add(c *coder, letter byte) {
	c.in, c.of = b.in, b.of
	c.in.begin(c.m, c.history)
	c.of.begin(c.m, c.m.phrases)
	if c.in.expect != int(letter) {
		c.in.len = 0
	}
	if c.of.expect != int(letter) {
		c.of.len = 0
	}
	c.history = append(c.history, letter)
	b.w.add(letter)
	c.follow(&b.w)
	b.in, b.of = c.in, c.of
}

// branch is a symbol and what it costs.
type branch struct {
	symbol int
	bits   uint64
}

// branches returns the symbols that may well come next, the end among them.
func (c *coder) branches(f Field, b *beginning) []branch {
	c.textContexts(f, &b.w)
	type inner struct {
		at, depth, node int
		prefix          uint64
		bits            uint64
		in, of          match
	}
	var out []branch
	root := inner{node: 1, prefix: 1, in: b.in, of: b.of}
	root.in.begin(c.m, c.history)
	root.of.begin(c.m, c.m.phrases)
	todo := []inner{root}
	for len(todo) > 0 {
		t := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if t.depth%chunk == 0 {
			t.node = 1
		}
		// the buckets are entered anew for every node: another may have been looked at meanwhile
		c.enter(c.texts, t.prefix>>(t.depth%chunk))
		c.view(f, t.depth)
		for bit := range 2 {
			next := t
			c.in, c.of = t.in, t.of
			c.gateText(&b.w, t.depth)
			before := c.bits
			c.bit(t.node, c.in.state(), c.of.state(), bit)
			if next.bits += c.bits - before; next.bits > branchBits {
				continue
			}
			if next.at = int(c.m.tree[t.at][bit]); next.at < 0 {
				out = append(out, branch{-next.at - 1, next.bits})
				continue
			}
			next.in.sees(bit)
			next.of.sees(bit)
			next.depth, next.node, next.prefix = t.depth+1, t.node<<1|bit, t.prefix<<1|uint64(bit)
			todo = append(todo, next)
		}
	}
	return out
}
