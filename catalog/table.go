package catalog

import "math/bits"

// slotTable finds track slots by a 64-bit key that the slot's record holds, so that the table itself need not: four
// bytes a cell, and nothing for the garbage collector to look into. Several slots may have one key. It is a hash table
// with linear probing (Knuth, The Art of Computer Programming, volume 3, section 6.4, algorithms L and R), in shards
// that grow one by one, so that no change waits for all of a large catalogue to be hashed again.
type slotTable struct {
	keyOf  func(slot uint32) uint64
	shards [tableShards]tableShard
	n      int
}

type tableShard struct {
	cells []uint32 // slot + 1, 0: free; their number is a power of two
	n     int
}

const tableShards = 256

// mixed spreads a key over all bits (Fibonacci hashing, section 6.4 again): the upper eight choose the shard.
func mixed(key uint64) uint64 {
	key ^= key >> 32
	return key * 0x9e3779b97f4a7c15
}

func (s *tableShard) home(h uint64) int {
	return int(h << 8 >> 8 >> (56 - bits.TrailingZeros(uint(len(s.cells)))))
}

// reserve makes room for n slots in all, of an empty table.
func (t *slotTable) reserve(n int) {
	size := 8
	for size*tableShards*5 < n*9 {
		size *= 2
	}
	for i := range t.shards {
		t.shards[i].cells = make([]uint32, size)
	}
}

// add enters a slot, which must not be there.
func (t *slotTable) add(key uint64, slot uint32) {
	h := mixed(key)
	s := &t.shards[h>>56]
	if (s.n+1)*5 > len(s.cells)*3 {
		old := s.cells
		s.cells = make([]uint32, max(8, 2*len(old)))
		for _, c := range old {
			if c != 0 {
				s.enter(mixed(t.keyOf(c-1)), c)
			}
		}
	}
	s.enter(h, slot+1)
	s.n++
	t.n++
}

func (s *tableShard) enter(h uint64, cell uint32) {
	i := s.home(h)
	for s.cells[i] != 0 {
		i = (i + 1) & (len(s.cells) - 1)
	}
	s.cells[i] = cell
}

// each calls fn for the slots with the key until it returns false.
func (t *slotTable) each(key uint64, fn func(slot uint32) bool) {
	h := mixed(key)
	s := &t.shards[h>>56]
	if s.n == 0 {
		return
	}
	for i := s.home(h); s.cells[i] != 0; i = (i + 1) & (len(s.cells) - 1) {
		if slot := s.cells[i] - 1; t.keyOf(slot) == key && !fn(slot) {
			return
		}
	}
}

// find returns a slot with the key.
func (t *slotTable) find(key uint64) (slot uint32, ok bool) {
	t.each(key, func(s uint32) bool {
		slot, ok = s, true
		return false
	})
	return slot, ok
}

// remove takes a slot out. Its key and those of all others must still be known to keyOf.
func (t *slotTable) remove(key uint64, slot uint32) {
	h := mixed(key)
	s := &t.shards[h>>56]
	if s.n == 0 {
		return
	}
	mask := len(s.cells) - 1
	i := s.home(h)
	for s.cells[i] != slot+1 {
		if s.cells[i] == 0 {
			return
		}
		i = (i + 1) & mask
	}
	// What follows without a gap moves up where the gap would part it from its home.
	for j := (i + 1) & mask; s.cells[j] != 0; j = (j + 1) & mask {
		if home := s.home(mixed(t.keyOf(s.cells[j] - 1))); (j-home)&mask >= (j-i)&mask {
			s.cells[i] = s.cells[j]
			i = j
		}
	}
	s.cells[i] = 0
	s.n--
	t.n--
}
