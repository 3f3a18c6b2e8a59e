package trackcache

import (
	"testing"

	"tutti"
)

// TestProven looks that an original counts as proven from the time on at which its seal is known, also to a member that did
// not take it, and through the cache that passes originals on.
func TestProven(t *testing.T) {
	f := newFleet(t, 2)
	c, other, r := f.node("c1"), f.node("c2"), f.o.put("a.flac", noise(1, tutti.ChunkSize+100))
	proven := func(c *Chunks) bool {
		t.Helper()
		o, err := c.OpenAt(t.Context(), r, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		p := (&passed{Object: o}).Proven()
		f.settle() // it is looked for meanwhile
		return p
	}
	read(t, c, r)
	f.settle()
	for range 2 { // also once it has been looked for
		if proven(c) {
			t.Error("proven without a seal")
		}
	}
	o, err := c.OpenToVerify(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	s := NewSealer()
	if _, err := o.CopyRange(t.Context(), s, 0, -1); err != nil {
		t.Fatal(err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Seal(t.Context(), r, s); err != nil {
		t.Fatal(err)
	}
	if !proven(c) {
		t.Error("who took the seal does not know it")
	}
	f.clock.Advance(unsealed) // it may have found that there was none
	proven(other)
	if !proven(other) {
		t.Error("the other member does not find the seal")
	}
	if !(&passed{Object: &held{piece: &piece{}}}).Proven() {
		t.Error("what is not had in chunks is no worse than its origin")
	}
}
