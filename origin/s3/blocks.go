package s3

import (
	"sync"
)

// How much is asked for where a reader of tags wants a little: the beginning holds the tags of most formats, with
// room for a picture before them; the end holds those of the others; and the fingerprint takes pieces of 16 KiB from in
// between. Measurements are in docs/decisions/s3.md.
const (
	headBlock = 256 << 10
	tailBlock = 192 << 10 // as far from the end as the last page of an Ogg file is looked for (audio.Fingerprint)
	someBlock = 64 << 10  // what the readers of package audio take at a time
	longBlock = 1 << 20   // the most that is read ahead, and the least that is not kept
	maxBlocks = 4 << 20   // bytes kept of a file
)

// blocks are the parts of a file that were read lately.
type blocks struct {
	mu   sync.Mutex
	kept []block // the latest last
	size int
	end  int64 // where the latest read ended, and
	step int   // how much it asked for: who reads on is given twice as much
}

type block struct {
	off  int64
	data []byte
}

// read fills p, which is inside the file.
func (bs *blocks) read(b *object, p []byte, off int64) (int, error) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	n := 0
	for n < len(p) {
		if k := bs.copy(p[n:], off+int64(n)); k > 0 {
			n += k
			continue
		}
		if len(p)-n >= longBlock {
			if err := b.fill(p[n:], off+int64(n)); err != nil {
				return n, err
			}
			return len(p), nil
		}
		from, length := bs.plan(b.facts.size, off+int64(n), len(p)-n)
		data := make([]byte, length)
		if err := b.fill(data, from); err != nil {
			return n, err
		}
		bs.keep(data, from)
	}
	return n, nil
}

// plan decides which bytes to ask for where need bytes from off are wanted that are not kept.
func (bs *blocks) plan(size, off int64, need int) (from int64, length int) {
	if size <= longBlock && off >= headBlock { // all that the first block left
		return headBlock, int(size - headBlock)
	}
	if tail := max(size-tailBlock, 0); off >= tail {
		return tail, int(size - tail)
	}
	if length = someBlock; off == bs.end && bs.step > 0 {
		length = min(2*bs.step, longBlock)
	}
	return off, int(min(int64(max(length, need)), size-off))
}

func (bs *blocks) copy(p []byte, off int64) int {
	for i := len(bs.kept) - 1; i >= 0; i-- {
		k := bs.kept[i]
		if off >= k.off && off < k.off+int64(len(k.data)) {
			return copy(p, k.data[off-k.off:])
		}
	}
	return 0
}

// keep remembers data, which lies at off, and forgets what was read first if that is too much.
func (bs *blocks) keep(data []byte, off int64) {
	if len(data) == 0 {
		return
	}
	bs.kept = append(bs.kept, block{off, data})
	bs.size += len(data)
	bs.end, bs.step = off+int64(len(data)), len(data)
	for bs.size > maxBlocks {
		bs.size -= len(bs.kept[0].data)
		bs.kept = bs.kept[1:]
	}
}

func (bs *blocks) drop() {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	bs.kept, bs.size = nil, 0
}
