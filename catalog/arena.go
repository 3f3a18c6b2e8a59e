package catalog

// The catalogue of two million tracks has to fit in a small machine's memory, so what is kept of a track is a string
// of bytes in an arena (see record.go), and every string that tends to come again (names, folders, genres, what
// an album's tracks have in common) is kept once, in a dictionary. Neither holds pointers for the garbage collector to
// follow, beyond one a megabyte.

const arenaChunk = 1 << 20

// ref says where a blob lies in an arena: chunk number in the upper half, offset in the lower. Zero is none.
type ref uint64

// arena keeps blobs, each preceded by its length. What is released leaves a hole until compact.
type arena struct {
	chunks [][]byte // nil where a chunk was given back
	live   []int    // bytes in use of each chunk, lengths included
	used   int      // sum of live
	held   int      // sum of the chunks' filled bytes
}

// add copies b into the arena.
func (a *arena) add(b []byte) ref {
	need := len(b) + uvarintLen(uint64(len(b)))
	last := len(a.chunks) - 1
	if last < 0 || a.chunks[last] == nil || cap(a.chunks[last])-len(a.chunks[last]) < need {
		c := make([]byte, 1, max(arenaChunk, need+1)) // offset 0 is never a blob, so that no ref is zero
		a.chunks = append(a.chunks, c)
		a.live = append(a.live, 0)
		a.held++
		last++
	}
	c := a.chunks[last]
	r := ref(last)<<32 | ref(len(c))
	c = appendBytes(c, b)
	a.chunks[last] = c
	a.live[last] += need
	a.used += need
	a.held += need
	return r
}

// adopt makes b, which holds blobs as add lays them out, a chunk of the arena without copying it. What is in b besides
// blobs counts as holes; used says how many bytes are not. It returns what to add to an offset in b for a ref.
func (a *arena) adopt(b []byte, used int) ref {
	a.chunks = append(a.chunks, b[:len(b):len(b)])
	a.live = append(a.live, used)
	a.used += used
	a.held += len(b)
	return ref(len(a.chunks)-1) << 32
}

// get returns the blob; the caller must not change it nor keep it beyond the lock it reads under.
func (a *arena) get(r ref) []byte { return blobAt(a.chunks, r) }

func blobAt(chunks [][]byte, r ref) []byte {
	d := decoder{b: chunks[r>>32][uint32(r):]}
	return d.bytes()
}

// release marks the blob as a hole.
func (a *arena) release(r ref) {
	if r == 0 {
		return
	}
	n := len(a.get(r))
	n += uvarintLen(uint64(n))
	a.live[r>>32] -= n
	a.used -= n
	if i := int(r >> 32); a.live[i] == 0 && i != len(a.chunks)-1 {
		a.drop(i)
	}
}

func (a *arena) drop(i int) {
	a.held -= len(a.chunks[i])
	a.chunks[i] = nil
}

// wasteful reports whether more than a third of what the arena holds is holes, and enough to be worth the work.
func (a *arena) wasteful() bool { return a.held > 8*arenaChunk && a.used < a.held/3*2 }

// sparse reports whether r lies in a chunk that compaction should empty: one that is more than a quarter holes.
func (a *arena) sparse(r ref) bool {
	i := int(r >> 32)
	return i != len(a.chunks)-1 && a.live[i] < len(a.chunks[i])/4*3
}

// move puts the blob elsewhere and returns where.
func (a *arena) move(r ref) ref {
	n := a.add(a.get(r))
	a.release(r)
	return n
}

// dict numbers strings from 0 in the order of their first appearance. Numbers are never given back: the few strings
// that nothing refers to any more are left out when the catalogue is next loaded from a log.
type dict struct {
	list  []string
	index map[string]uint32
}

func newDict() *dict { return &dict{index: make(map[string]uint32)} }

func (d *dict) intern(s string) uint32 {
	if n, ok := d.index[s]; ok {
		return n
	}
	n := uint32(len(d.list))
	s = string(append([]byte(nil), s...)) // not a piece of something bigger that it would keep alive
	d.list = append(d.list, s)
	d.index[s] = n
	return n
}

// internBytes is intern without a copy of what is known already.
func (d *dict) internBytes(b []byte) uint32 {
	if n, ok := d.index[string(b)]; ok {
		return n
	}
	return d.intern(string(b))
}

// load appends strings that are distinct and that the dictionary does not have, without indexing them; reindex must
// follow. They are pieces of raw, which must not change any more.
func (d *dict) load(raw []byte) error {
	s := decodeString(viewString(raw))
	for len(s.b) > 0 {
		d.list = append(d.list, s.string())
	}
	return s.err
}

// reindex makes the index anew after strings were loaded.
func (d *dict) reindex() error {
	d.index = make(map[string]uint32, len(d.list))
	for i, s := range d.list {
		d.index[s] = uint32(i)
	}
	if len(d.index) != len(d.list) {
		return errTruncated
	}
	return nil
}

func (d *dict) at(n uint32) (string, bool) {
	if int(n) >= len(d.list) {
		return "", false
	}
	return d.list[n], true
}
