package catalog

import (
	"iter"
	"slices"
	"strings"
)

// index is an inverted index: for every word the slots (of tracks, albums or artists) whose text has it, in order.
// Words are kept sorted too, so that a prefix is a range of them.
type index struct {
	number   map[string]uint32
	postings []posting
	free     []uint32 // numbers of postings that became empty
	sorted   *order   // of posting numbers, by word
	bulk     bool     // sorted is filled by endBulk
}

type posting struct {
	word  string
	slots []uint32
}

func newIndex() *index {
	x := &index{number: make(map[string]uint32)}
	x.sorted = newOrder(func(a, b uint32) int { return strings.Compare(x.postings[a].word, x.postings[b].word) }, nil)
	x.sorted.head = func(n uint32) uint64 { return stringHead(x.postings[n].word) }
	return x
}

func (x *index) endBulk() {
	list := make([]uint32, 0, len(x.number))
	for _, n := range x.number {
		list = append(list, n)
	}
	x.sorted.fill(list)
	x.bulk = false
}

// add notes that the slot's text has the word; adding it again changes nothing.
func (x *index) add(word string, slot uint32) {
	n := x.numberOf(word)
	x.postings[n].slots = insertSorted(x.postings[n].slots, slot)
}

// numberOf returns the number of the word's posting, which must then be given a slot.
func (x *index) numberOf(word string) uint32 {
	n, ok := x.number[word]
	if !ok {
		word = strings.Clone(word)
		if k := len(x.free); k > 0 {
			n = x.free[k-1]
			x.free = x.free[:k-1]
			x.postings[n].word = word
		} else {
			n = uint32(len(x.postings))
			x.postings = append(x.postings, posting{word: word})
		}
		x.number[word] = n
		if !x.bulk {
			x.sorted.insert(n)
		}
	}
	return n
}

// remove takes back an add.
func (x *index) remove(word string, slot uint32) {
	n, ok := x.number[word]
	if !ok {
		return
	}
	p := &x.postings[n]
	if p.slots = removeSorted(p.slots, slot); len(p.slots) > 0 {
		return
	}
	if !x.bulk {
		x.sorted.remove(n)
	}
	delete(x.number, p.word)
	*p = posting{}
	x.free = append(x.free, n)
}

// insertSorted and removeSorted keep a list of distinct slots in order. Most slots come in rising order.
func insertSorted(list []uint32, v uint32) []uint32 {
	if n := len(list); n == 0 || list[n-1] < v {
		return append(list, v)
	}
	i, ok := slices.BinarySearch(list, v)
	if ok {
		return list
	}
	return slices.Insert(list, i, v)
}

func removeSorted(list []uint32, v uint32) []uint32 {
	i, ok := slices.BinarySearch(list, v)
	if !ok {
		return list
	}
	return slices.Delete(list, i, i+1)
}

// prefixed yields the numbers of the postings of the words that begin with prefix, in the order of the words. It finds
// both ends of that range first, so that none of the words between them is looked at: in a large catalogue each look is
// a wait for memory.
func (x *index) prefixed(prefix string) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		from := x.sorted.rank(func(n uint32) int { return strings.Compare(x.postings[n].word, prefix) })
		end := x.sorted.rank(func(n uint32) int {
			if w := x.postings[n].word; w < prefix || strings.HasPrefix(w, prefix) {
				return -1
			}
			return 1
		})
		left := end - from
		if left == 0 {
			return
		}
		for n := range x.sorted.each(from) {
			if !yield(n) {
				return
			}
			if left--; left == 0 {
				return
			}
		}
	}
}

// sample bounds how many words of a prefix are looked at when a slot is looked up.
const sample = 8

// term is a query word with the postings of the words that begin with it.
type term struct {
	word  string
	lists [][]uint32 // the first few
	many  bool       // there are more
	guess int        // how many slots there are, roughly
}

func (x *index) term(word string) term {
	t := term{word: word}
	for n := range x.prefixed(word) {
		p := &x.postings[n]
		if len(t.lists) == sample {
			// How much more there is does not matter: it is a lot.
			t.many = true
			t.guess = t.guess*4 + 1000
			break
		}
		t.lists = append(t.lists, p.slots)
		t.guess += len(p.slots)
	}
	return t
}

func (t *term) has(slot uint32) bool {
	for _, l := range t.lists {
		if _, ok := slices.BinarySearch(l, slot); ok {
			return true
		}
	}
	return false
}

// The effort of asking for a slot's text and of going to another word's list, against that of a look at one list. Both
// are mostly waits for memory.
const (
	textEffort = 8
	listEffort = 10
)

// from returns the rest of a sorted list from v on. It looks at near elements first, in steps that double, so that a
// walk along two lists together stays within a few cache lines.
func from(list []uint32, v uint32) []uint32 {
	n := 1
	for n < len(list) && list[n] < v {
		n *= 2
	}
	i, _ := slices.BinarySearch(list[n/2:min(n+1, len(list))], v)
	return list[n/2+i:]
}

// find returns the slots whose text has, for every word of the query, a word that begins with it; in no order that
// means anything, each once. check tells whether a slot's text has a word with the prefix; it is asked only where the
// index alone cannot tell.
//
// It stops after about effort steps of some 20 ns. This bound is what keeps a search for "a" in two million tracks as
// cheap as any other: of a flood of matches only the first few thousand are found, those that have all words exactly
// before others. Which ones does not depend on the page that is asked for, so pages neither overlap nor leave gaps.
func (x *index) find(words []string, effort int, check func(slot uint32, prefix string) bool) []uint32 {
	if len(words) == 0 {
		return nil
	}
	var found []uint32
	var exact [][]uint32
	same := none // the posting of the only word
	for _, w := range words {
		if n, ok := x.number[w]; ok {
			exact, same = append(exact, x.postings[n].slots), n
		}
	}
	left := effort / 2 // for each of the two passes
	if len(exact) == len(words) {
		slices.SortFunc(exact, func(a, b []uint32) int { return len(a) - len(b) })
	next:
		for _, slot := range exact[0] {
			if left -= len(exact); left < 0 {
				break
			}
			for i := range exact[1:] {
				other := &exact[1+i]
				if *other = from(*other, slot); len(*other) == 0 {
					break next
				}
				if (*other)[0] != slot {
					continue next
				}
			}
			found = append(found, slot)
		}
	}

	terms := make([]term, len(words))
	for i, w := range words {
		if terms[i] = x.term(w); len(terms[i].lists) == 0 {
			return nil
		}
	}
	slices.SortStableFunc(terms, func(a, b term) int { return a.guess - b.guess })
	left = effort / 2
prefixes:
	for n := range x.prefixed(terms[0].word) {
		if len(words) == 1 && n == same {
			continue // the first pass had them
		}
		if left -= listEffort; left < 0 {
			break
		}
	candidates:
		for _, slot := range x.postings[n].slots {
			if left--; left < 0 {
				break prefixes
			}
			for i := range terms[1:] {
				t := &terms[1+i]
				left -= len(t.lists)
				if t.has(slot) {
					continue
				}
				if t.many {
					if left -= textEffort; check(slot, t.word) {
						continue
					}
				}
				continue candidates
			}
			found = append(found, slot)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
