// Package hits replays requests for chunks against rules of what a cache keeps: the track cache's own (the code that
// runs in the server, package trackcache/policy), others to compare it with, and one that knows the future, which none
// can beat.
package hits

import (
	"container/heap"
	"container/list"
	"iter"
	"math"

	"github.com/maypok86/otter/v2"

	"tutti/bench/traffic"
	"tutti/trackcache/policy"
)

// Cache keeps chunks of at most so many bytes.
type Cache interface {
	// Request asks for a chunk of a size and reports whether it was kept. One that was not is offered to be kept.
	Request(chunk int32, size int64) bool
}

// Stream is requests for chunks, in order, with each chunk's size.
type Stream struct {
	Chunks []int32 // numbered as the catalogue does
	Size   func(chunk int32) int64
	Bytes  int64 // of the whole catalogue
	Count  int   // chunks that there are
}

// NewStream collects what requests ask for.
func NewStream(c *traffic.Catalogue, requests iter.Seq[traffic.Request]) Stream {
	sizes := make([]int32, c.Chunks())
	for t := range int32(c.Tracks()) {
		for n := range c.ChunksOf(t) {
			sizes[c.Chunk(t, n)] = int32(c.ChunkBytes(t, n))
		}
	}
	s := Stream{Size: func(chunk int32) int64 { return int64(sizes[chunk]) }, Bytes: c.Bytes(), Count: c.Chunks()}
	for r := range requests {
		s.Chunks = append(s.Chunks, c.Chunk(r.Track, r.Chunk))
	}
	return s
}

// Replay makes the requests and returns the share of them that was answered, those of the first quarter left out,
// because a cache begins empty once and not every hour.
func (s Stream) Replay(c Cache) float64 {
	warm := len(s.Chunks) / 4
	var hits int
	for i, chunk := range s.Chunks {
		if c.Request(chunk, s.Size(chunk)) && i >= warm {
			hits++
		}
	}
	return float64(hits) / float64(max(1, len(s.Chunks)-warm))
}

// Ours is the rule of the track cache.
func Ours(bytes int64) Cache { return ours{policy.NewS3FIFO[int32](bytes)} }

type ours struct{ p *policy.S3FIFO[int32] }

func (o ours) Request(chunk int32, size int64) bool {
	if o.p.Hit(chunk) {
		return true
	}
	o.p.Add(chunk, size)
	return false
}

// LRU keeps what was asked for last.
func LRU(bytes int64) Cache { return &lru{max: bytes, kept: map[int32]*list.Element{}} }

type lru struct {
	max, bytes int64
	order      list.List // of lruEntry, the latest first
	kept       map[int32]*list.Element
}

type lruEntry struct {
	chunk int32
	size  int64
}

func (l *lru) Request(chunk int32, size int64) bool {
	if e := l.kept[chunk]; e != nil {
		l.order.MoveToFront(e)
		return true
	}
	if size > l.max {
		return false
	}
	for l.bytes+size > l.max {
		old := l.order.Remove(l.order.Back()).(lruEntry)
		delete(l.kept, old.chunk)
		l.bytes -= old.size
	}
	l.kept[chunk] = l.order.PushFront(lruEntry{chunk, size})
	l.bytes += size
	return false
}

// TinyLFU is W-TinyLFU (Einziger, Friedman and Manes, ACM Transactions on Storage 13:4, 2017) as otter has it, with its
// upkeep done at every request, so that it loses none of them.
func TinyLFU(bytes int64) Cache {
	return tinyLFU{otter.Must(&otter.Options[int32, int32]{
		MaximumWeight: uint64(bytes),
		Weigher:       func(_, size int32) uint32 { return uint32(size) },
		Executor:      func(fn func()) { fn() },
	})}
}

type tinyLFU struct{ c *otter.Cache[int32, int32] }

func (t tinyLFU) Request(chunk int32, size int64) bool {
	_, hit := t.c.GetIfPresent(chunk)
	if !hit {
		t.c.Set(chunk, int32(size))
	}
	t.c.CleanUp()
	return hit
}

// Clairvoyant lets go what is asked for again the latest (Belady 1966). Where chunks are of one size, as all but the last
// of a track are, no rule does better.
func (s Stream) Clairvoyant(bytes int64) Cache {
	next := make([]int32, len(s.Chunks))
	seen := make([]int32, s.Count)
	for i := range seen {
		seen[i] = math.MaxInt32
	}
	for i := len(s.Chunks) - 1; i >= 0; i-- {
		next[i] = seen[s.Chunks[i]]
		seen[s.Chunks[i]] = int32(i)
	}
	return &clairvoyant{max: bytes, next: next, kept: map[int32]*future{}}
}

type future struct {
	chunk, next int32
	size        int64
	place       int
}

type futures []*future

func (f futures) Len() int           { return len(f) }
func (f futures) Less(i, j int) bool { return f[i].next > f[j].next }
func (f futures) Swap(i, j int)      { f[i], f[j] = f[j], f[i]; f[i].place, f[j].place = i, j }
func (f *futures) Push(x any)        { e := x.(*future); e.place = len(*f); *f = append(*f, e) }
func (f *futures) Pop() any {
	e := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return e
}

type clairvoyant struct {
	max, bytes int64
	next       []int32
	at         int
	kept       map[int32]*future
	farthest   futures
}

func (c *clairvoyant) Request(chunk int32, size int64) bool {
	next := c.next[c.at]
	c.at++
	if f := c.kept[chunk]; f != nil {
		f.next = next
		heap.Fix(&c.farthest, f.place)
		return true
	}
	if next == math.MaxInt32 || size > c.max {
		return false // never again: not worth a place
	}
	for c.bytes+size > c.max {
		if c.farthest[0].next <= next {
			return false // all that is kept is wanted before
		}
		old := heap.Pop(&c.farthest).(*future)
		delete(c.kept, old.chunk)
		c.bytes -= old.size
	}
	f := &future{chunk: chunk, next: next, size: size}
	c.kept[chunk] = f
	heap.Push(&c.farthest, f)
	c.bytes += size
	return false
}
