package accounts

import (
	"context"
	"sync"
	"time"

	"tutti"
	"tutti/clock"
)

const (
	freshFor = time.Second     // how long an answer of the store is good without asking again
	staleFor = 5 * time.Minute // how long it stands in for the store's next one while the store is away
	patience = time.Second     // how long the store is waited for where an old answer would do
	awayFor  = time.Second     // how often a store that is away is asked whether it is back
)

// memory remembers what the store said a moment ago, and what it said last while it is away. The zero value with a clock
// is ready for use.
type memory[K, V comparable] struct {
	clock clock.Clock
	watch *watch                   // of a fleet; nil: what is older than freshFor is asked for anew
	whose func(V) (tutti.ID, bool) // the user of whom a value is; false: of nobody that a watch would name

	mu      sync.Mutex
	entries map[K]remembered[V]
	changes uint64    // counts what was forgotten, so that an answer that was under way meanwhile is not kept
	away    bool      // the store did not answer when last asked
	asking  bool      // somebody is finding out whether it does now
	again   time.Time // when to ask next
}

type remembered[V comparable] struct {
	value V
	at    time.Time // when the store said so
}

// maxEntries bounds a memory; with that many, something is forgotten for each thing learnt.
const maxEntries = 16384

// get returns what is remembered of k, or asks for it. ask is given what was remembered longer ago, or a zero V.
// Errors are not remembered. An answer up to staleFor old is returned in the place of KindUnavailable, unless fresh says
// that only the store's own will do: and while the store is known to be away, one caller at a time waits to find out
// whether it is back. What the store says is not there, or not to be had, is forgotten.
func (m *memory[K, V]) get(ctx context.Context, k K, fresh bool, ask func(ctx context.Context, old V) (V, error)) (V, error) {
	now := m.clock.Now()
	m.watch.want(now)
	m.mu.Lock()
	e, ok := m.entries[k]
	changes := m.changes
	usable := ok && !fresh && now.Sub(e.at) < staleFor
	if ok && !fresh && (now.Sub(e.at) < freshFor || m.vouched(e, now)) || usable && m.away && (m.asking || now.Before(m.again)) {
		m.mu.Unlock()
		return e.value, nil
	}
	finding := m.away && !m.asking
	if finding {
		m.asking = true
	}
	m.mu.Unlock()

	asked, cancel := ctx, context.CancelFunc(func() {})
	if usable {
		asked, cancel = context.WithTimeout(ctx, patience)
	}
	v, err := ask(asked, e.value)
	cancel()

	m.mu.Lock()
	defer m.mu.Unlock()
	if finding {
		m.asking = false
	}
	if err != nil && ctx.Err() != nil { // whoever asked has left: that says nothing of the store
		return v, err
	}
	if m.away = tutti.IsKind(err, tutti.KindUnavailable); m.away {
		m.again = m.clock.Now().Add(awayFor)
	}
	have, still := m.entries[k]
	switch {
	case m.away && usable && still && have == e: // and so not shown out meanwhile
		return e.value, nil
	case err != nil && !m.away && still:
		delete(m.entries, k)
		m.changes++
		return v, err
	case err != nil, m.changes != changes, still && have.at.After(now):
		return v, err
	}
	if m.entries == nil {
		m.entries = make(map[K]remembered[V])
	}
	if !still && len(m.entries) >= maxEntries {
		m.evict()
	}
	m.entries[k] = remembered[V]{v, now}
	return v, nil
}

// vouched reports whether the watch knows that what is remembered is still so.
func (m *memory[K, V]) vouched(e remembered[V], now time.Time) bool {
	if m.watch == nil {
		return false
	}
	user, ok := m.whose(e.value)
	return ok && m.watch.vouches(user, e.at, now)
}

// evict forgets the oldest of a few. Go's maps are iterated from a random place.
func (m *memory[K, V]) evict() {
	const sample = 8
	var victim K
	var oldest time.Time
	n := 0
	for k, e := range m.entries {
		if n == 0 || e.at.Before(oldest) {
			victim, oldest = k, e.at
		}
		if n++; n == sample {
			break
		}
	}
	delete(m.entries, victim)
}

// forget drops what is remembered of k.
func (m *memory[K, V]) forget(k K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, k)
	m.changes++
}

// replace remembers new in the place of old, unless old has been forgotten or replaced meanwhile. It does not make the
// store's word any younger.
func (m *memory[K, V]) replace(k K, old, new V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.entries[k]; ok && e.value == old {
		m.entries[k] = remembered[V]{new, e.at}
	}
}
