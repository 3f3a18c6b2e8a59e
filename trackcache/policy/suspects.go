package policy

import (
	"iter"
	"sync"
	"time"
)

// Suspects are the members that were silent lately, as one is that was stopped or cut off: what should not wait for them
// does not ask them. M names a member. It is safe for concurrent use, and the zero value suspects nobody.
type Suspects[M comparable] struct {
	mu    sync.Mutex
	since map[M]time.Time
}

const (
	// SuspectFor is how long a member that was silent is not asked again: until it is no member any more, or has been
	// stopped for no longer than a moment.
	SuspectFor  = 3 * time.Second
	maxSuspects = 1024 // more members than a fleet has
)

// Note notes that a member did not answer in time.
func (s *Suspects[M]) Note(m M, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since == nil || len(s.since) > maxSuspects {
		s.since = map[M]time.Time{}
	}
	s.since[m] = now
}

// Suspected reports whether a member was silent lately.
func (s *Suspects[M]) Suspected(m M, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.since[m]
	return ok && now.Sub(t) < SuspectFor
}

// Sources says which of a chunk's owners a member asks for it before it asks the origin, as indices into the owners: those
// before it in their order, and, as the first owner, the others, if they say that they have it (ifHeld): it is what is left of the time
// before a change of members, or of its disk. self is the member's own place among the owners, -1 for none; suspected is
// asked when it is an owner's turn.
func Sources(owners, self int, suspected func(owner int) bool) iter.Seq2[int, bool] {
	return func(yield func(owner int, ifHeld bool) bool) {
		for i := range owners {
			if i != self && !suspected(i) && !yield(i, i > 0 && self == 0) {
				return
			}
		}
	}
}
