package trackcache

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"

	"tutti"
)

// small is the size up to which a complete object is held in memory as well.
const small = 128 << 10

// memory is the tier of small objects: pictures, of which a page asks for fifty at once. It saves each of them four
// system calls. Music is not kept here: a file that many listen to lies in the kernel's page cache, from where sendfile
// reaches the network without a copy, and which gives way when the machine needs its memory for something else.
type memory struct {
	max int64

	mu   sync.Mutex
	byID map[string]*slot[*piece]
	lru  segmented[*piece]
}

// piece is an object in memory.
type piece struct {
	key         string
	data        []byte
	contentType string
	modTime     time.Time
}

func (m *memory) get(key string) *piece {
	m.mu.Lock()
	defer m.mu.Unlock()
	x := m.byID[key]
	if x == nil {
		return nil
	}
	m.lru.used(x)
	return x.value
}

func (m *memory) put(p *piece) {
	size := int64(len(p.data) + len(p.key))
	if size > small || size > m.max {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byID[p.key] != nil {
		return
	}
	m.byID[p.key] = m.lru.add(p, size)
	for m.lru.bytes > m.max {
		x := m.lru.victim(func(v *piece) bool { return true })
		m.lru.remove(x)
		delete(m.byID, x.value.key)
	}
}

// held is an opened piece.
type held struct {
	*piece
	c *Cache // counts what it delivers; nil while it is being made
}

func (h *held) Size() int64         { return int64(len(h.data)) }
func (h *held) ModTime() time.Time  { return h.modTime }
func (h *held) ContentType() string { return h.contentType }
func (h *held) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(h.data).ReadAt(p, off)
}
func (h *held) Close() error { return nil }

func (h *held) CopyRange(ctx context.Context, w io.Writer, off, n int64) (int64, error) {
	size := int64(len(h.data))
	if err := checkRange(ctx, off, size); err != nil {
		return 0, err
	}
	end := size
	if n >= 0 && n < size-off {
		end = off + n
	}
	taken, err := w.Write(h.data[off:end])
	if h.c != nil {
		h.c.stats.bytesMemory.Add(int64(taken))
	}
	return int64(taken), err
}

// checkRange refuses offsets outside size bytes (-1: not known yet).
func checkRange(ctx context.Context, off, size int64) error {
	if off < 0 || size >= 0 && off > size {
		return tutti.Errorf(tutti.KindInvalid, "trackcache: read", "offset %d is outside the %d bytes", off, size)
	}
	return tutti.Wrap(tutti.KindUnavailable, "trackcache: read", ctx.Err())
}
