package metacodec

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math/bits"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"

	"tutti"
)

// Model is a trained model. It never changes and is safe for concurrent use.
type Model struct {
	id   ModelID
	name string
	salt uint8 // makes the ID another

	lengths [symbols]uint8  // of the symbols' codes
	codes   [symbols]uint16 //
	tree    [][2]int16      // of the code; leaves are -1-symbol

	sets  []set  // power of two of them
	shift uint   // of a hash, to the number of its set
	nodes []byte // buckets of bucketSize states; the first has all states zero and stands for what was never seen

	phrases []byte               // texts, each with a zero byte after it
	places  [][phraseWays]uint32 // by hash of five letters: where in the phrases they end, the latest first

	nets   [nets]net
	flags  []uint16 // [what][field][8]: probability of yes
	squash []uint16 // from logit + logitLimit to probability, 16 bits
	log2   [257]uint32

	pool sync.Pool // of *coder
}

// set says which contexts are known of those whose hash falls into it: eight lanes of 16 bits of the hash each (zero:
// none), and where the bucket of the first lies; the others follow it.
type set struct {
	tags [2]uint64
	base uint32
}

const lanes = 8

// ID returns the model's name for frames and stores.
func (m *Model) ID() ModelID { return m.id }

// Name returns what the model was called when it was trained.
func (m *Model) Name() string { return m.name }

// Memory returns roughly how many bytes the model takes.
func (m *Model) Memory() int {
	n := len(m.sets)*24 + len(m.nodes) + len(m.phrases) + len(m.places)*phraseWays*4 + len(m.flags)*2 + len(m.squash)*2
	for i := range m.nets {
		n += lanesOf * 256 * 2
		for _, w := range m.nets[i].weights {
			n += len(w) * lanesOf * 2
		}
	}
	return n
}

const eachLane = 0x0001000100010001

func tagOf(h uint64) uint64 {
	t := h & 0xffff
	if t == 0 {
		t = 1
	}
	return t
}

// spread gives a context's hash its last turn: the highest bits choose the set, the lowest the tag.
func spread(key uint64) uint64 {
	h := key * 0x9E3779B97F4A7C15
	return h ^ h>>29
}

// find returns where the states of the context with a hash begin, 0 where it is not known.
func (s *set) find(h uint64) uint32 {
	t := tagOf(h) * eachLane
	// a lane that is zero after the exclusive or has its highest bit set by the subtraction (H. Warren, "Hacker's
	// Delight", 2nd ed., §6-1); lanes above it may too, so the lowest counts
	x := s.tags[0] ^ t
	if z := (x - eachLane) &^ x & (eachLane << 15); z != 0 {
		return (s.base + uint32(bits.TrailingZeros64(z))>>4) * bucketSize
	}
	x = s.tags[1] ^ t
	if z := (x - eachLane) &^ x & (eachLane << 15); z != 0 {
		return (s.base + 4 + uint32(bits.TrailingZeros64(z))>>4) * bucketSize
	}
	return 0
}

// phraseWays is how many places are known of five letters.
const phraseWays = 4

func (m *Model) placeOf(tail uint64) *[phraseWays]uint32 {
	return &m.places[mix(30, tail&(1<<(8*phraseMin)-1))>>32&uint64(len(m.places)-1)]
}

// index finds the places in the phrases.
func (m *Model) index() {
	n := 1
	for n < len(m.phrases)/8 {
		n *= 2
	}
	m.places = make([][phraseWays]uint32, n)
	var tail uint64
	from := 0
	for i, b := range m.phrases {
		if b == 0 {
			from = i + 1
			continue
		}
		tail = tail<<8 | uint64(b)
		if i+1-from < phraseMin {
			continue
		}
		p := m.placeOf(tail)
		copy(p[1:], p[:])
		p[0] = uint32(i + 1)
	}
}

// phrase returns the place in the phrases whose letters before agree longest with the last of the history, and how many do.
func (m *Model) phrase(c *coder, w *speller) (at, n int) {
	for _, p := range m.placeOf(w.tail) {
		if p == 0 {
			break
		}
		if c.mode == training && c.tr.own(p) {
			continue
		}
		if k := agree(m.phrases[:p], c.history); k >= phraseMin && k > n {
			at, n = int(p), k
		}
	}
	return at, n
}

// A state is how often a decision fell to 0 (high four bits) and to 1 (low four bits), as levels.
var levels = [16]uint32{0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256, 512, 1024}

func levelOf(n uint32) uint8 {
	l := uint8(0)
	for l < 15 && levels[l+1] <= n {
		l++
	}
	return l
}

// learned is, of a state and a decision, the state after it in a frame of its own: counts up to 6, then stays; what was
// seen the other way is half forgotten above 2, for what came last says most (the idea of nonstationary states: Mahoney,
// op. cit.).
var learned = func() (t [256][2]uint8) {
	up := func(l uint8) uint8 { return min(l+1, 7) }
	down := func(l uint8) uint8 {
		if l > 2 {
			return 2 + (l-2)/2
		}
		return l
	}
	for s := range t {
		z, o := uint8(s>>4), uint8(s&15)
		t[s][0] = up(z)<<4 | down(o)
		t[s][1] = down(z)<<4 | up(o)
	}
	return t
}()

// overlay is the table of what a frame teaches: a hash table that is emptied for every frame and grows with it. When it
// has reached its greatest size new contexts push out old ones.
type overlay struct {
	tags  []uint32
	nodes []byte
	size  int
}

const (
	overlaySmall = 1 << 10
	overlayLarge = 1 << 17
	overlayEach  = 256 // contexts that a record brings, about
)

// find returns where the states of a context begin; a new one begins with all of them zero.
func (o *overlay) find(key uint64) uint32 {
	h := key * 0xD6E8FEB86659FD93
	h ^= h >> 32
	tag := uint32(h>>32) | 1
	mask := uint32(o.size - 1)
	at := uint32(h) & mask
	for i := range uint32(4) {
		x := (at + i) & mask
		switch o.tags[x] {
		case tag:
			return x * bucketSize
		case 0:
			o.take(x, tag)
			return x * bucketSize
		}
	}
	o.take(at, tag)
	return at * bucketSize
}

func (o *overlay) take(x, tag uint32) {
	o.tags[x] = tag
	clear(o.nodes[x*bucketSize : (x+1)*bucketSize])
}

// room empties the overlay and makes it large enough for about n contexts. The size is part of the format, for it decides
// what is forgotten.
func (o *overlay) room(n int) {
	size := overlaySmall
	for size < n && size < overlayLarge {
		size *= 2
	}
	o.size = size
	if cap(o.tags) < size {
		o.tags = make([]uint32, size)
		o.nodes = make([]byte, size*bucketSize)
	}
	o.tags, o.nodes = o.tags[:size], o.nodes[:size*bucketSize]
	clear(o.tags)
}

func (m *Model) get() *coder {
	if c, ok := m.pool.Get().(*coder); ok {
		return c
	}
	return new(coder)
}

// keepHistory is how much a coder may keep for the next frame.
const keepHistory = 1 << 20

func (m *Model) end(c *coder) {
	if cap(c.history) > keepHistory {
		c.history = nil
	}
	c.buf = nil
	m.pool.Put(c)
}

// begin begins to read a body.
func (m *Model) begin(body []byte) *coder {
	c := m.get()
	c.reset(m, decoding)
	c.startDecode(body)
	return c
}

// appendBody appends the records of an encoder.
func (m *Model) appendBody(dst []byte, e *Encoder) []byte {
	c := m.get()
	c.reset(m, encoding)
	c.startEncode(dst)
	c.write(e)
	dst = c.finish()
	m.end(c)
	return dst
}

// write codes all that an encoder holds.
func (c *coder) write(e *Encoder) {
	c.count(uint64(e.records))
	for i := range e.ops {
		switch o := &e.ops[i]; o.typ {
		case opBegin:
			c.begin(o.n)
		case opUint:
			c.uint(o.field, o.n)
		case opInt:
			c.int(o.field, o.n)
		case opBool:
			c.bool(o.field, o.n)
		case opTime:
			c.time(o.field, o.n, o.nanos)
		case opID:
			c.id(o.field, e.buf[o.off:o.off+int(o.n)])
		case opBytes:
			c.bytes(o.field, e.buf[o.off:o.off+int(o.n)])
		case opText:
			c.text(o.field, e.buf[o.off:o.off+int(o.n)])
		}
	}
}

// A model's file is
//
//	"tuttimm" and the version of the file's format, a byte
//	the length of the rest, unpacked: 4 bytes, little-endian
//	the rest as a Zstandard frame
//
// and the rest, all little-endian: the length of the name (a byte) and the name; a byte that only
// makes the ID another; the lengths of the symbols' codes, a
// byte each; the flags, the squashing and the logarithm tables; for every net its logits and weights; the length of the phrases
// (4 bytes) and the phrases; the number of sets and of buckets (4 bytes each), then per set how many lanes it has (a byte), then the lanes' tags, and then
// the states of all buckets, node by node (all first nodes, all second nodes…), which packs better.
const (
	fileMagic   = "tuttimm"
	fileVersion = 2
	maxFile     = 32 << 20
	maxUnpacked = 64 << 20
	maxBuckets  = 3 << 20
	maxSets     = 1 << 20
	maxPhrases  = 16 << 20
)

func errModel(what string) error {
	return tutti.Errorf(tutti.KindInvalid, "metacodec.Load", "This is not a metadata model that can be used: %s.", what)
}

// Load reads a model's file. It fails with tutti.KindInvalid where it is not one, or of another version.
func Load(r io.Reader) (*Model, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, tutti.Wrap(tutti.KindUnavailable, "metacodec.Load", err)
	}
	return parse(b)
}

func parse(b []byte) (*Model, error) {
	const headLen = len(fileMagic) + 1 + 4
	switch {
	case len(b) > maxFile:
		return nil, errModel("it is too large")
	case len(b) < headLen || string(b[:len(fileMagic)]) != fileMagic:
		return nil, errModel("it begins otherwise")
	case b[len(fileMagic)] != fileVersion:
		return nil, errModel("it is of another version")
	}
	size := binary.LittleEndian.Uint32(b[len(fileMagic)+1:])
	if size > maxUnpacked {
		return nil, errModel("it is too large")
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxUnpacked))
	if err != nil {
		return nil, tutti.Wrap(tutti.KindInternal, "metacodec.Load", err)
	}
	defer z.Close()
	rest, err := z.DecodeAll(b[headLen:], make([]byte, 0, size))
	if err != nil || len(rest) != int(size) {
		return nil, errModel("it cannot be unpacked")
	}
	sum := sha256.Sum256(b)
	m := &Model{id: ModelID(sum[:8])}
	p := &fileReader{b: rest}
	m.name, m.salt = string(p.take(int(p.byte()))), p.byte()
	copy(m.lengths[:], p.take(symbols))
	if !p.ok() || !m.plant() {
		return nil, errModel("its symbols have no code")
	}
	m.tables()
	p.u16s(m.flags)
	p.u16s(m.squash)
	p.u32s(m.log2[:])
	for i := range m.nets {
		n := &m.nets[i]
		n.shape(i)
		for j := range n.inputs - 1 {
			p.i16s(n.logits[j][:])
		}
		for g := range gates {
			for j := range n.weights[g] {
				p.i16s(n.weights[g][j][:n.inputs])
			}
		}
	}
	phrases := int(p.u32())
	if !p.ok() || phrases > maxPhrases {
		return nil, errModel("it has too many phrases")
	}
	m.phrases = slices.Clone(p.take(phrases))
	m.index()
	sets, buckets := int(p.u32()), int(p.u32())
	if !p.ok() || sets < 1 || sets > maxSets || sets&(sets-1) != 0 || buckets < 1 || buckets > maxBuckets {
		return nil, errModel("its tables are of the wrong size")
	}
	m.grow(sets, buckets)
	counts := p.take(sets)
	if !p.ok() {
		return nil, errModel("it is cut short")
	}
	base := 1
	for i, n := range counts {
		if n > lanes {
			return nil, errModel("its tables are wrong")
		}
		s := &m.sets[i]
		s.base = uint32(base)
		for l := range int(n) {
			s.tags[l/4] |= uint64(p.u16()) << (l % 4 * 16)
		}
		base += int(n)
	}
	if base != buckets {
		return nil, errModel("its tables are wrong")
	}
	for node := range bucketSize - 1 {
		for i, s := range p.take(buckets) {
			m.nodes[i*bucketSize+node+1] = s
		}
	}
	if !p.ok() || len(p.b) > 0 {
		return nil, errModel("it is cut short")
	}
	if !slices.ContainsFunc(m.flags, func(p uint16) bool { return p == 0 }) && !slices.Contains(m.squash, 0) && bytes.Count(m.nodes[:bucketSize], []byte{0}) == bucketSize {
		return m, nil
	}
	return nil, errModel("it has impossible probabilities")
}

// tables makes room for what every model has.
func (m *Model) tables() {
	m.flags = make([]uint16, whats*flagsOf)
	m.squash = make([]uint16, 2*logitLimit+1)
}

func (m *Model) grow(sets, buckets int) {
	m.sets = make([]set, sets)
	m.shift = uint(64 - bits.TrailingZeros(uint(sets)))
	m.nodes = make([]byte, buckets*bucketSize)
}

// plant makes the canonical prefix code (D. Hirschberg, D. Lelewer, "Efficient decoding of prefix codes", CACM 33(4), 1990)
// of the lengths, and reports whether there is one that leaves no bits unused.
func (m *Model) plant() bool {
	m.tree = append(m.tree[:0], [2]int16{})
	var code, full uint32
	for l := uint8(1); l <= maxCode; l++ {
		code <<= 1
		for s, have := range m.lengths {
			if have != l {
				continue
			}
			if code>>l != 0 {
				return false
			}
			m.codes[s] = uint16(code)
			full += 1 << (maxCode - l)
			at := 0
			for i := int(l) - 1; i > 0; i-- {
				next := &m.tree[at][code>>i&1]
				if *next == 0 {
					m.tree = append(m.tree, [2]int16{})
					next = &m.tree[at][code>>i&1]
					*next = int16(len(m.tree) - 1)
				}
				at = int(*next)
			}
			m.tree[at][code&1] = int16(-1 - s)
			code++
		}
	}
	for _, l := range m.lengths {
		if l == 0 || l > maxCode {
			return false
		}
	}
	return full == 1<<maxCode
}

const maxCode = 16

// bytesOf returns the model's file.
func (m *Model) bytesOf() ([]byte, error) {
	w := &fileWriter{}
	w.b = append(append(append(w.b, byte(len(m.name))), m.name...), m.salt)
	w.b = append(w.b, m.lengths[:]...)
	w.u16s(m.flags)
	w.u16s(m.squash)
	w.u32s(m.log2[:])
	for i := range m.nets {
		n := &m.nets[i]
		for j := range n.inputs - 1 {
			w.i16s(n.logits[j][:])
		}
		for g := range gates {
			for j := range n.weights[g] {
				w.i16s(n.weights[g][j][:n.inputs])
			}
		}
	}
	w.b = append(binary.LittleEndian.AppendUint32(w.b, uint32(len(m.phrases))), m.phrases...)
	buckets := len(m.nodes) / bucketSize
	w.b = binary.LittleEndian.AppendUint32(w.b, uint32(len(m.sets)))
	w.b = binary.LittleEndian.AppendUint32(w.b, uint32(buckets))
	for i := range m.sets {
		w.b = append(w.b, byte(m.sets[i].used()))
	}
	for i := range m.sets {
		s := &m.sets[i]
		for l := range s.used() {
			w.b = binary.LittleEndian.AppendUint16(w.b, uint16(s.tags[l/4]>>(l%4*16)))
		}
	}
	for node := range bucketSize - 1 {
		for i := range buckets {
			w.b = append(w.b, m.nodes[i*bucketSize+node+1])
		}
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(8<<20))
	if err != nil {
		return nil, tutti.Wrap(tutti.KindInternal, "metacodec: write model", err)
	}
	out := append([]byte(fileMagic), fileVersion)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(w.b)))
	out = z.EncodeAll(w.b, out)
	return out, z.Close()
}

func (s *set) used() int {
	n := 0
	for n < lanes && s.tags[n/4]>>(n%4*16)&0xffff != 0 {
		n++
	}
	return n
}

type fileWriter struct{ b []byte }

func (w *fileWriter) u16s(v []uint16) {
	for _, x := range v {
		w.b = binary.LittleEndian.AppendUint16(w.b, x)
	}
}

func (w *fileWriter) u32s(v []uint32) {
	for _, x := range v {
		w.b = binary.LittleEndian.AppendUint32(w.b, x)
	}
}

func (w *fileWriter) i16s(v []int16) {
	for _, x := range v {
		w.b = binary.LittleEndian.AppendUint16(w.b, uint16(x))
	}
}

// fileReader takes values from the front of b; after the end they are zero, and ok says so.
type fileReader struct {
	b     []byte
	short bool
}

func (r *fileReader) ok() bool { return !r.short }

func (r *fileReader) take(n int) []byte {
	if n > len(r.b) {
		r.short, r.b = true, nil
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *fileReader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *fileReader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (r *fileReader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *fileReader) u16s(to []uint16) {
	for i := range to {
		to[i] = r.u16()
	}
}

func (r *fileReader) i16s(to []int16) {
	for i := range to {
		to[i] = int16(r.u16())
	}
}

func (r *fileReader) u32s(to []uint32) {
	for i := range to {
		to[i] = r.u32()
	}
}
