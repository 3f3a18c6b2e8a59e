package catalog

import (
	"context"
	"sync"
	"time"

	"tutti"
)

// readiness remembers for a short while which originals the track cache can send at once, so that the starts of what many
// listen to cost no round trip to it. Only good news is remembered, and only of originals that have a version: what is
// not there yet must be prepared, and what is made is kept up by being asked for. The first bad news of a library drops
// all that is remembered of it, so a library that cannot be reached is refused with its reason from the next start on.
type readiness struct {
	good time.Duration // 0: nothing is remembered

	mu sync.Mutex
	by map[tutti.Ref]readyUntil
}

type readyUntil struct {
	tutti.Readiness
	until time.Time
}

// maxReady bounds how many are remembered; about 300 bytes each.
const maxReady = 10_000

// prepare asks the track cache to make an object ready, unless it has just said that the object is.
func (c *Catalog) prepare(ctx context.Context, r tutti.Ref) (tutti.Readiness, error) {
	m := &c.ready
	if m.good <= 0 || !r.Profile.Original() || r.Version == "" {
		return c.cfg.Cache.Prepare(ctx, r)
	}
	now := c.clock.Now()
	m.mu.Lock()
	known, ok := m.by[r]
	m.mu.Unlock()
	if ok && now.Before(known.until) {
		return known.Readiness, nil
	}
	ready, err := c.cfg.Cache.Prepare(ctx, r)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err != nil && ctx.Err() != nil: // whoever asked has left: that says nothing of the library
	case tutti.IsKind(err, tutti.KindUnavailable):
		for have := range m.by {
			if have.Library == r.Library {
				delete(m.by, have)
			}
		}
	case err != nil, !ready.Ready:
		delete(m.by, r)
	default:
		if len(m.by) >= maxReady {
			m.drop(now)
		}
		if m.by == nil {
			m.by = make(map[tutti.Ref]readyUntil)
		}
		m.by[r] = readyUntil{ready, now.Add(m.good)}
	}
	return ready, err
}

// drop makes room: of a few, what is over, and one in any case. Go's maps are iterated from a random place.
func (m *readiness) drop(now time.Time) {
	looked := 0
	for r, known := range m.by {
		if looked == 0 || !now.Before(known.until) {
			delete(m.by, r)
		}
		if looked++; looked == 8 {
			return
		}
	}
}
