package trackcache

import (
	"sync"
	"time"

	"tutti"
)

// recent remembers chunks for a while, the latest maxRecent of them at least: two generations of a map, of which the
// older is dropped when the newer is full.
type recent struct {
	mu       sync.Mutex
	now, old map[tutti.ChunkID]time.Time
}

const maxRecent = 16 << 10

func newRecent() *recent { return &recent{now: map[tutti.ChunkID]time.Time{}} }

// note remembers that the chunk was met at t, and returns when it was met before; zero is never.
func (r *recent) note(id tutti.ChunkID, t time.Time) (before time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before = r.when(id)
	if len(r.now) >= maxRecent {
		r.now, r.old = map[tutti.ChunkID]time.Time{}, r.now
	}
	r.now[id] = t
	return before
}

// met returns when the chunk was met last; zero is never.
func (r *recent) met(id tutti.ChunkID) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.when(id)
}

func (r *recent) when(id tutti.ChunkID) time.Time {
	if t, ok := r.now[id]; ok {
		return t
	}
	return r.old[id]
}
