package catalog_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestAskAgain asks a node for a scan that has not heard yet that the one it was asked for before is done. What lies in
// the folder by then is found: the second request does not join the first.
func TestAskAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.write("a/1.wav", 1)
		nodes := []*node{f.start("a", true), f.start("b", true)}
		f.within(time.Second, "a scanner", func() bool { return scannerOf(nodes...) != nil })
		holder, other := nodes[0], nodes[1]
		if scannerOf(nodes...) == other {
			holder, other = other, holder
		}
		for round := 1; round <= 5; round++ {
			f.write("a/"+string(rune('1'+round))+".wav", round+1)
			if _, err := other.Scan(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			// The holder knows first that it is done.
			f.within(3*time.Second, "what is new is found", func() bool {
				st := status(t, holder)
				return !st.Scanning && st.Tracks == round+1
			})
		}
	})
}
