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
	root := beginning{}
	for i := range len(prefix) {
		c.feed(&root.w, prefix[i])
	}
	start := len(c.history) - len(prefix)
	open := []beginning{root}
	var done []Completion
	for range maxCompletion {
		var next []beginning
		for _, b := range open {
			c.history = append(c.history[:start], prefix...)
			c.history = append(c.history, b.rest...)
			c.expect, c.mlen, c.mstate = -1, 0, 0
			for _, s := range c.branches(f, &b.w) {
				bits := b.bits + s.bits
				if s.symbol == endSymbol {
					done = append(done, Completion{prefix + string(b.rest), float64(bits) / bitOne})
					continue
				}
				w := b.w
				w.add(byte(s.symbol))
				next = append(next, beginning{w, append(slices.Clone(b.rest), byte(s.symbol)), bits})
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
	w    speller
	rest []byte
	bits uint64
}

func (c *coder) feed(w *speller, b byte) {
	c.history = append(c.history, b)
	w.add(b)
}

// branch is a symbol and what it costs.
type branch struct {
	symbol int
	bits   uint64
}

// branches returns the symbols that may well come next, the end among them.
func (c *coder) branches(f Field, w *speller) []branch {
	c.textContexts(f, w)
	type inner struct {
		at, depth, node int
		prefix          uint64
		bits            uint64
	}
	var out []branch
	todo := []inner{{node: 1, prefix: 1}}
	for len(todo) > 0 {
		t := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if t.depth%chunk == 0 {
			t.node = 1
		}
		// the buckets are entered anew for every node: another may have been looked at meanwhile
		c.enter(c.texts, t.prefix>>(t.depth%chunk))
		c.gateText(f, w, t.depth, 0)
		for bit := range 2 {
			before := c.bits
			c.bit(t.node, bit)
			bits := t.bits + c.bits - before
			if bits > branchBits {
				continue
			}
			at := int(c.m.tree[t.at][bit])
			if at < 0 {
				out = append(out, branch{-at - 1, bits})
				continue
			}
			todo = append(todo, inner{at, t.depth + 1, t.node<<1 | bit, t.prefix<<1 | uint64(bit), bits})
		}
	}
	return out
}
