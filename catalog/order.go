package catalog

import (
	"cmp"
	"encoding/binary"
	"iter"
	"slices"
)

// orderChunk is the most elements a chunk of an order holds. Inserting moves half of that on average (a kilobyte), and
// finding the n-th element walks the chunks: 2,000,000 tracks' albums are about a thousand.
const orderChunk = 512

// order is a sorted list of slots that changes cheaply: a sequence of sorted chunks. An element may have a weight, so
// that "the tracks of these albums, from the 1,000,000th on" is found without counting them all.
//
// cmp must be a total order on the slots. Neither an element's key nor its weight may change while it is in the list:
// take it out before and put it back after.
type order struct {
	cmp    func(a, b uint32) int
	head   func(uint32) uint64 // nil, or a number that agrees with cmp: where heads differ, they decide
	weigh  func(uint32) int    // nil: every element weighs 1
	chunks [][]uint32
	weight []int // of each chunk's elements together
	n      int
	total  int // sum of weight
}

func newOrder(cmp func(a, b uint32) int, weigh func(uint32) int) *order {
	if weigh == nil {
		weigh = func(uint32) int { return 1 }
	}
	return &order{cmp: cmp, weigh: weigh}
}

// fill replaces the contents by list, sorting it in place. It sorts by heads that lie side by side, and looks at what is
// sorted, which is scattered all over the memory, only where those agree.
func (o *order) fill(list []uint32) {
	if o.head == nil {
		slices.SortFunc(list, o.cmp)
		o.fillSorted(list)
		return
	}
	type headed struct {
		head uint64
		v    uint32
	}
	heads := make([]headed, len(list))
	for i, v := range list {
		heads[i] = headed{o.head(v), v}
	}
	slices.SortFunc(heads, func(a, b headed) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		return o.cmp(a.v, b.v)
	})
	for i := range heads {
		list[i] = heads[i].v
	}
	o.fillSorted(list)
}

// stringHead is the head of things sorted by s: its first bytes.
func stringHead(s string) uint64 {
	var b [8]byte
	copy(b[:], s)
	return binary.BigEndian.Uint64(b[:])
}

// fillSorted is fill for a list that is in order.
func (o *order) fillSorted(list []uint32) {
	o.chunks, o.weight, o.n, o.total = nil, nil, len(list), 0
	for part := range slices.Chunk(list, orderChunk/4*3) {
		w := 0
		for _, v := range part {
			w += o.weigh(v)
		}
		o.chunks = append(o.chunks, append(make([]uint32, 0, orderChunk), part...))
		o.weight = append(o.weight, w)
		o.total += w
	}
}

// chunkOf returns the first chunk whose last element is not before v.
func (o *order) chunkOf(v uint32) int {
	i, _ := slices.BinarySearchFunc(o.chunks, v, func(c []uint32, v uint32) int { return o.cmp(c[len(c)-1], v) })
	return i
}

// insert adds v, which must not be there.
func (o *order) insert(v uint32) {
	weight := o.weigh(v)
	o.n++
	o.total += weight
	if len(o.chunks) == 0 {
		o.chunks = append(o.chunks, append(make([]uint32, 0, 8), v))
		o.weight = append(o.weight, weight)
		return
	}
	i := min(o.chunkOf(v), len(o.chunks)-1)
	c := o.chunks[i]
	j, _ := slices.BinarySearchFunc(c, v, o.cmp)
	c = slices.Insert(c, j, v)
	o.chunks[i] = c
	o.weight[i] += weight
	if len(c) < orderChunk {
		return
	}
	// Split. The upper part gets memory of its own, so that both have room.
	half := len(c) / 2
	upper := append(make([]uint32, 0, orderChunk), c[half:]...)
	w := 0
	for _, v := range upper {
		w += o.weigh(v)
	}
	o.chunks[i] = c[:half]
	o.weight[i] -= w
	o.chunks = slices.Insert(o.chunks, i+1, upper)
	o.weight = slices.Insert(o.weight, i+1, w)
}

// remove takes v out, if it is there.
func (o *order) remove(v uint32) {
	i := o.chunkOf(v)
	if i == len(o.chunks) {
		return
	}
	j, ok := slices.BinarySearchFunc(o.chunks[i], v, o.cmp)
	if !ok {
		return
	}
	weight := o.weigh(v)
	o.n--
	o.total -= weight
	o.chunks[i] = slices.Delete(o.chunks[i], j, j+1)
	o.weight[i] -= weight
	if len(o.chunks[i]) == 0 {
		o.chunks = slices.Delete(o.chunks, i, i+1)
		o.weight = slices.Delete(o.weight, i, i+1)
	}
}

// each yields the elements from the given position on.
func (o *order) each(from int) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for _, c := range o.chunks {
			if from >= len(c) {
				from -= len(c)
				continue
			}
			for _, v := range c[max(from, 0):] {
				if !yield(v) {
					return
				}
			}
			from = 0
		}
	}
}

// backward yields the elements from the given position, counted from the end, towards the beginning.
func (o *order) backward(from int) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for _, c := range slices.Backward(o.chunks) {
			if from >= len(c) {
				from -= len(c)
				continue
			}
			for _, v := range slices.Backward(c[:len(c)-max(from, 0)]) {
				if !yield(v) {
					return
				}
			}
			from = 0
		}
	}
}

// eachWeighted yields the elements from the one in which the given weight falls, with how much of the weight falls into
// the first of them (0 for all others).
func (o *order) eachWeighted(from int) iter.Seq2[uint32, int] {
	return func(yield func(uint32, int) bool) {
		for i, c := range o.chunks {
			if from > 0 && from >= o.weight[i] {
				from -= o.weight[i]
				continue
			}
			for _, v := range c {
				if from > 0 {
					if w := o.weigh(v); from >= w {
						from -= w
						continue
					}
				}
				if !yield(v, from) {
					return
				}
				from = 0
			}
		}
	}
}

// rank returns how many elements come before those for which at returns 0 or more; at must be negative, then zero,
// then positive along the list.
func (o *order) rank(at func(uint32) int) int {
	i, _ := slices.BinarySearchFunc(o.chunks, 0, func(c []uint32, _ int) int {
		if at(c[len(c)-1]) < 0 {
			return -1
		}
		return 1
	})
	n := 0
	for _, c := range o.chunks[:i] {
		n += len(c)
	}
	if i < len(o.chunks) {
		j, _ := slices.BinarySearchFunc(o.chunks[i], 0, func(v uint32, _ int) int {
			if at(v) < 0 {
				return -1
			}
			return 1
		})
		n += j
	}
	return n
}
