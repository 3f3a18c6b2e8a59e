package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestControlTellsApart: a server that does not answer is not one that does not run, for which others look elsewhere.
func TestControlTellsApart(t *testing.T) {
	s := &settings{Data: t.TempDir()}
	if err := s.control(t.Context(), http.MethodGet, "rooms", nil, nil); !errors.Is(err, errNoServer) {
		t.Errorf("where none runs: %v", err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", controlPath(s.Data))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			cancel() // nobody waits any more
			err = conn.Close()
		}
		done <- err
	}()
	if err := s.control(ctx, http.MethodGet, "rooms", nil, nil); err == nil || errors.Is(err, errNoServer) {
		t.Errorf("where nobody waits for the answer: %v", err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := s.controlWithin(t.Context(), time.Millisecond, http.MethodGet, "rooms", nil, nil); err == nil || !strings.Contains(err.Error(), "did not answer within 1ms") {
		t.Errorf("where it does not answer in time: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestAnnounced: what only this machine reaches is not told to the network.
func TestAnnounced(t *testing.T) {
	n := &node{}
	for _, address := range []string{"127.0.0.1:1704", "[::1]:1705", "0.0.0.0:1704", "[::]:1780", "192.0.2.10:1705"} {
		reached, err := n.announce(address, nil, "_snapcast._tcp")
		if err != nil {
			t.Error(err)
		}
		if here := strings.HasPrefix(address, "127.") || strings.HasPrefix(address, "[::1]"); reached == here {
			t.Errorf("%s is reached by others: %v", address, reached)
		}
	}
	var told []string
	for _, s := range n.announced {
		told = append(told, s.At.String())
	}
	if want := []string{"0.0.0.0", "::", "192.0.2.10"}; !slices.Equal(told, want) {
		t.Errorf("%v is announced, want %v", told, want)
	}
	if _, err := n.announce("nowhere", nil, "_snapcast._tcp"); err == nil {
		t.Error("an address that is none is announced")
	}
}
