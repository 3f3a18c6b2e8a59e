package trackcache

import (
	"context"
	"crypto/sha256"
	"testing"
	"time"

	"tutti"
)

// TestWhoAsksForAHashHoldsUpNobody has the question whether a hash is still wanted wait, as it does while the store
// hangs.
func TestWhoAsksForAHashHoldsUpNobody(t *testing.T) {
	o := newObjects()
	gate, asking, hashed := make(chan struct{}), make(chan struct{}, 1), make(chan tutti.Ref, 2)
	c := newCache(t, Config{
		Origin: newChunks(t, ChunksConfig{Origin: o}), Local: true, HashRate: 1 << 60,
		OnHash: func(_ context.Context, r tutti.Ref, _ [sha256.Size]byte) error { hashed <- r; return nil },
		WantHash: func(tutti.Ref) bool {
			select {
			case asking <- struct{}{}:
			default:
			}
			<-gate
			return true
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- c.Run(ctx) }()
	a, b := o.put("a.flac", noise(1, 1000)), o.put("b.flac", noise(2, 1000))
	listened := make(chan struct{})
	go func() {
		defer close(listened)
		fetch(t, c, a)
		<-asking
		fetch(t, c, b)
		fetch(t, c, a)
	}()
	select {
	case <-listened:
	case <-time.After(10 * time.Second):
		t.Error("who has listened waits for an answer of the store")
	}
	close(gate)
	for _, want := range []tutti.Ref{a, b} {
		if got := <-hashed; got != want {
			t.Errorf("the hash of %s came, not that of %s", got.Path, want.Path)
		}
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}
