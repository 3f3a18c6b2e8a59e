package catalog

import (
	"testing"
	"time"

	"tutti"
)

func TestReadyIsBounded(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m := readiness{good: time.Second, by: map[tutti.Ref]readyUntil{}}
	for i := range maxReady {
		m.by[tutti.Ref{Version: tutti.Version(rune(i + 1))}] = readyUntil{until: now.Add(time.Duration(i%2) * time.Second)}
	}
	for range 100 {
		before, valid := len(m.by), 0
		m.drop(now)
		if len(m.by) >= before || len(m.by) < before-8 {
			t.Fatalf("of %d are left %d", before, len(m.by))
		}
		for _, known := range m.by {
			if now.Before(known.until) {
				valid++
			}
		}
		if valid < maxReady/2-100 {
			t.Fatalf("only %d that are good are left", valid)
		}
	}
}
