package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
	"tutti/store/sqlite"
)

// hanging is a store of which no question is answered before it is given up, while it hangs.
type hanging struct {
	store.Store
	hangs bool
	asked int
}

func (h *hanging) Get(ctx context.Context, k store.Key) (store.Item, error) {
	h.asked++
	if h.hangs {
		<-ctx.Done()
		return store.Item{}, tutti.Wrap(tutti.KindUnavailable, "hanging", ctx.Err())
	}
	return h.Store.Get(ctx, k)
}

// TestDigestsDoNotHoldUpStreams: a store that hangs costs one stream 50 ms, and the next ones nothing; a digest that
// another process takes meanwhile is found.
func TestDigestsDoNotHoldUpStreams(t *testing.T) {
	c := clock.NewFake(time.Unix(1_700_000_000, 0))
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "x.db"), sqlite.Options{Clock: c, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h := &hanging{Store: s, hangs: true}
	d := newDigests(h, c, slog.New(slog.DiscardHandler))
	const version = "v1"

	got := make(chan []byte, 1)
	go func() { got <- d.get(t.Context(), version) }()
	c.WaitForTimers(1)
	c.Advance(digestWait)
	if sum := <-got; sum != nil {
		t.Errorf("a store that hangs said %x", sum)
	}
	if d.get(t.Context(), version) != nil || h.asked != 1 {
		t.Errorf("a store that hangs was asked %d times", h.asked)
	}

	h.hangs = false
	c.Advance(digestAway)
	if d.get(t.Context(), version) != nil || h.asked != 2 {
		t.Errorf("after the pause it was asked %d times", h.asked)
	}
	want := sha256.Sum256([]byte("music"))
	elsewhere := newDigests(s, c, slog.New(slog.DiscardHandler))
	if err := elsewhere.put(t.Context(), tutti.Ref{Version: version}, want); err != nil {
		t.Fatal(err)
	}
	if d.get(t.Context(), version) != nil || h.asked != 2 {
		t.Error("what was missing a moment ago is asked for again at once")
	}
	c.Advance(digestAnew)
	for range 3 {
		if sum := d.get(t.Context(), version); !bytes.Equal(sum, want[:]) {
			t.Errorf("what another process has taken: %x", sum)
		}
	}
	if h.asked != 3 {
		t.Errorf("asked %d times", h.asked)
	}
}
