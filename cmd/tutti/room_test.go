package main

import (
	"slices"
	"strings"
	"testing"
)

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
