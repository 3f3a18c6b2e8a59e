package delivery

import (
	"strings"
	"sync"
	"time"

	"tutti"
	"tutti/clock"
)

// planKey is what a plan depends on: what whoever asks may see, and what they want. Two requests with one key would be
// given one plan, see tutti.Planner; so what many begin to listen to within seconds is planned once.
type planKey struct {
	track     tutti.ID
	libraries string // "*" for all, else the ids, each after a comma
	format    string
	maxRate   int
	offset    time.Duration
	exact     tutti.Profile
	isExact   bool
	from, to  time.Duration
}

func keyOf(req tutti.PlanRequest) planKey {
	k := planKey{
		track: req.Track, libraries: "*", format: req.Want.Format, maxRate: req.Want.MaxRate, offset: req.Want.Offset,
		from: req.Want.From, to: req.Want.To,
	}
	if req.Viewer.Libraries != nil {
		var b strings.Builder
		for _, l := range req.Viewer.Libraries {
			b.WriteString("," + l)
		}
		k.libraries = b.String()
	}
	if req.Want.Exact != nil {
		k.exact, k.isExact = *req.Want.Exact, true
	}
	return k
}

// planned is what is kept of a plan.
type planned struct {
	ref            tutti.Ref
	size, estimate int64
	modified       time.Time
	contentType    string
	name           string // of a download
	duration       time.Duration
	until          time.Time
}

// maxPlans bounds how many plans are remembered; about 1 KB each.
const maxPlans = 10_000

// planMemory remembers plans for a short while.
type planMemory struct {
	clock clock.Clock
	good  time.Duration // 0: nothing is remembered

	mu sync.Mutex
	by map[planKey]planned
}

func (m *planMemory) get(k planKey) (planned, bool) {
	if m.good <= 0 {
		return planned{}, false
	}
	now := m.clock.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.by[k]
	if ok && !now.Before(p.until) {
		delete(m.by, k)
		ok = false
	}
	return p, ok
}

func (m *planMemory) put(k planKey, p planned) {
	if m.good <= 0 {
		return
	}
	now := m.clock.Now()
	p.until = now.Add(m.good)
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.by) >= maxPlans {
		// A few are looked at, the oldest of which goes, so that a flood costs each request the same.
		var oldest planKey
		at, looked := p.until, 0
		for o, q := range m.by {
			if !q.until.After(at) {
				oldest, at = o, q.until
			}
			if looked++; looked == 8 {
				break
			}
		}
		delete(m.by, oldest)
		if len(m.by) >= maxPlans {
			return
		}
	}
	m.by[k] = p
}

// forget drops a plan that turned out to be no good.
func (m *planMemory) forget(k planKey) {
	if m.good <= 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.by, k)
}
