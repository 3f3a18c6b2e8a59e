package catalog_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tutti"
	"tutti/catalog"
	"tutti/catalog/scan"
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

// balky is a scanner that refuses some requests.
type balky struct {
	catalog.Scanner
	refusals atomic.Int64 // left
	took     atomic.Int64 // requests that it took
}

func (b *balky) Scan(ctx context.Context, full bool) (tutti.ScanStatus, error) {
	if b.refusals.Add(-1) >= 0 {
		return tutti.ScanStatus{}, tutti.Errorf(tutti.KindUnavailable, "balky", "not now")
	}
	b.took.Add(1)
	return b.Scanner.Scan(ctx, full)
}

// TestRefusedRequest: a request that the scanner refuses is not done, whatever the other nodes are told. It is made again
// until the scanner takes it.
func TestRefusedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.write("a/1.wav", 1)
		a, b := f.start("a", true), f.start("b", false)
		scanner := &balky{}
		inner := a.cfg.NewScanner
		a.cfg.NewScanner = func(book scan.Book) (catalog.Scanner, error) {
			s, err := inner(book)
			scanner.Scanner = s
			return scanner, err
		}
		scanner.refusals.Store(3)
		a.restart(t)
		f.within(time.Second, "a scanner", func() bool { return scannerOf(a) != nil })
		if _, err := b.Scan(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		took := f.within(time.Minute, "the scanner takes the request", func() bool {
			if scanner.took.Load() > 0 {
				return true
			}
			time.Sleep(time.Second) // b follows
			if scanner.took.Load() == 0 && !status(t, b).Scanning {
				t.Fatal("the request counts as done")
			}
			return false
		})
		t.Logf("taken %v after three refusals", took)
		f.within(3*time.Second, "it is done, and known to be", func() bool {
			st := status(t, b)
			return !st.Scanning && st.Tracks == 1
		})
		if n := scanner.took.Load(); n != 1 {
			t.Errorf("the scanner was asked %d times", n)
		}
	})
}
