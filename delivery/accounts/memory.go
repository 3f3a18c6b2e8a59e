package accounts

import (
	"sync"
	"time"

	"tutti/clock"
)

const (
	freshFor = time.Second // how long an answer of the store is good without asking again
)

// memory remembers what the store said a moment ago. The zero value with a clock is ready for use.
type memory[K, V comparable] struct {
	clock clock.Clock

	mu      sync.Mutex
	entries map[K]remembered[V]
	changes uint64 // counts forget, so that an answer that was under way meanwhile is not kept
}

type remembered[V comparable] struct {
	value V
	at    time.Time
}

// maxEntries bounds a memory; with that many, something is forgotten for each thing learnt.
const maxEntries = 4096

// get returns what is remembered of k, or asks for it. ask is given what was remembered longer ago, or a zero V.
// Errors are not remembered.
func (m *memory[K, V]) get(k K, fresh bool, ask func(old V) (V, error)) (V, error) {
	now := m.clock.Now()
	m.mu.Lock()
	e, ok := m.entries[k]
	changes := m.changes
	m.mu.Unlock()
	if ok && !fresh && now.Sub(e.at) < freshFor {
		return e.value, nil
	}
	v, err := ask(e.value)
	if err != nil {
		return v, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.changes != changes {
		return v, nil
	}
	if m.entries == nil {
		m.entries = make(map[K]remembered[V])
	}
	if !ok && len(m.entries) >= maxEntries {
		for victim := range m.entries {
			delete(m.entries, victim)
			break
		}
	}
	m.entries[k] = remembered[V]{v, now}
	return v, nil
}

// forget drops what is remembered of k.
func (m *memory[K, V]) forget(k K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, k)
	m.changes++
}

// replace remembers new in the place of old, unless old has been forgotten or replaced meanwhile.
func (m *memory[K, V]) replace(k K, old, new V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.entries[k]; ok && e.value == old {
		m.entries[k] = remembered[V]{new, m.clock.Now()}
	}
}
