package catalog_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tutti"
	"tutti/catalog"
	"tutti/store/storetest"
)

// TestCrowdAtShare lets crowds come to a share at once through several nodes, with a store that takes its time. All are
// let in, all are counted, and that costs a node no more than a write a second.
func TestCrowdAtShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFleet(t)
		nodes := []*node{f.start("a", false), f.start("b", false), f.start("c", false)}
		ids := f.seed(30, nodes[0], nodes[1:]...)
		s, err := nodes[0].SaveShare(ctx, she, tutti.Share{Entries: ids[:10]})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes {
			n.link.calls()
			n.link.set(func(storetest.Call) storetest.Fault {
				return storetest.Fault{Before: func() { time.Sleep(5 * time.Millisecond) }}
			})
		}
		const visitors = 300
		var wg sync.WaitGroup
		for i := range visitors {
			wg.Go(func() {
				began := time.Now()
				got, tracks, err := nodes[i%3].OpenShare(ctx, s.Secret)
				if err != nil || len(tracks) != 10 || got.Visits == 0 || got.LastVisited.IsZero() {
					t.Errorf("%d tracks after %d visits, %v", len(tracks), got.Visits, err)
				}
				if took := time.Since(began); took > 20*time.Millisecond {
					t.Errorf("a visitor waited for %v", took)
				}
			})
		}
		wg.Wait()
		f.within(5*time.Second, "all are counted", func() bool {
			got, _, err := nodes[1].PeekShare(ctx, s.Secret)
			return err == nil && got.Visits == visitors
		})
		puts := 0
		for _, n := range nodes {
			puts += n.link.calls()["Put shares"]
		}
		if puts > 15 { // two or three each, and some that another was faster than
			t.Errorf("%d writes", puts)
		}
	})
}

// TestVisitsKept: a share is shown while the store takes no writes, and its visits are counted when it does again; also
// those of a node that is told to stop.
func TestVisitsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFleet(t)
		a, b := f.start("a", false), f.start("b", false)
		ids := f.seed(30, a, b)
		s, err := a.SaveShare(ctx, she, tutti.Share{Entries: ids[:10]})
		if err != nil {
			t.Fatal(err)
		}
		a.link.set(func(c storetest.Call) storetest.Fault {
			if c.Method == "Put" {
				return storetest.Fault{Err: storetest.Throttled()}
			}
			return storetest.Fault{}
		})
		visit := func(n *node) {
			t.Helper()
			if _, _, err := n.OpenShare(ctx, s.Secret); err != nil {
				t.Fatal(err)
			}
		}
		counted := func() int64 {
			t.Helper()
			got, _, err := b.PeekShare(ctx, s.Secret)
			if err != nil {
				t.Fatal(err)
			}
			return got.Visits
		}
		for range 50 {
			visit(a)
			time.Sleep(100 * time.Millisecond)
		}
		if n := counted(); n != 0 {
			t.Fatalf("%d are counted", n)
		}
		a.link.back()
		f.within(11*time.Second, "those meanwhile are counted", func() bool { return counted() == 50 })
		visit(a)
		f.within(2*time.Second, "a visit is counted", func() bool { return counted() == 51 })
		visit(a) // within a second of the write
		a.stop(t)
		if n := counted(); n != 52 {
			t.Errorf("%d are counted when the node has ended", n)
		}
		if err := b.DeleteShare(ctx, she, s.ID); err != nil {
			t.Fatal(err)
		}
	})
}

// TestCrowdAtShareAlone: a process alone counts at once, whoever comes meanwhile, and the next visitor makes up for a write
// that failed.
func TestCrowdAtShareAlone(t *testing.T) {
	var faulty atomic.Bool
	d := newDesk(t, func(c *catalog.Config) {
		c.Store = storetest.NewFaulty(c.Store, func(c storetest.Call) storetest.Fault {
			if c.Method == "Put" && faulty.Load() {
				return storetest.Fault{Err: storetest.Throttled()}
			}
			return storetest.Fault{}
		})
	})
	ctx := t.Context()
	id := six(t, d)[0]
	s, err := d.SaveShare(ctx, she, tutti.Share{Entries: []tutti.ID{id}})
	if err != nil {
		t.Fatal(err)
	}
	counted := func(want int64) {
		t.Helper()
		if got, _, err := d.PeekShare(ctx, s.Secret); err != nil || got.Visits != want {
			t.Errorf("%d visits instead of %d, %v", got.Visits, want, err)
		}
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, _, err := d.OpenShare(ctx, s.Secret); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	counted(50)
	faulty.Store(true)
	if _, _, err := d.OpenShare(ctx, s.Secret); err != nil {
		t.Error(err)
	}
	counted(50)
	faulty.Store(false)
	if got, _, err := d.OpenShare(ctx, s.Secret); err != nil || got.Visits != 52 {
		t.Errorf("%d visits, %v", got.Visits, err)
	}
	counted(52)
}
