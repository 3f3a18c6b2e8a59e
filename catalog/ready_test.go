package catalog_test

import (
	"context"
	"testing"
	"time"

	"tutti"
	"tutti/catalog"
)

// TestReadyIsRemembered plans again and again, and counts how often the track cache is asked.
func TestReadyIsRemembered(t *testing.T) {
	ctx := context.Background()
	cache := &librarian{ready: tutti.Readiness{Size: 7, Ready: true, Owners: []string{"n1"}}}
	d := newDesk(t, func(c *catalog.Config) { c.Cache, c.Ready = cache, 2*time.Second })
	ids := six(t, d)
	plan := func(id tutti.ID, want tutti.Want, asked int) error {
		t.Helper()
		before := len(cache.asked)
		p, err := d.Plan(ctx, tutti.PlanRequest{Viewer: she, Track: id, Want: want})
		if n := len(cache.asked) - before; n != asked {
			t.Errorf("the track cache was asked %d times, want %d", n, asked)
		}
		if err == nil && (p.Size != 7 || len(p.Owners) != 1 || p.Ready != cache.ready.Ready) {
			t.Errorf("%+v", p)
		}
		return err
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	ok(plan(ids[0], tutti.Want{}, 1))
	ok(plan(ids[0], tutti.Want{}, 0))
	ok(plan(ids[0], tutti.Want{MaxRate: 100_000}, 0)) // the same bytes
	ok(plan(ids[1], tutti.Want{}, 1))
	d.clock.Advance(2 * time.Second)
	ok(plan(ids[0], tutti.Want{}, 1))
	// What is made is kept up by being asked for.
	ok(plan(ids[0], tutti.Want{Format: "mp3"}, 1))
	ok(plan(ids[0], tutti.Want{Format: "mp3"}, 1))
	// What cannot be sent at once is prepared each time.
	cache.ready.Ready = false
	ok(plan(ids[2], tutti.Want{}, 1))
	ok(plan(ids[2], tutti.Want{}, 1))
	cache.ready.Ready = true
	ok(plan(ids[2], tutti.Want{}, 1))
	ok(plan(ids[2], tutti.Want{}, 0))
	// One file that is gone says nothing of the others.
	cache.err = tutti.Errorf(tutti.KindNotFound, "x", "no file")
	wantKind(t, plan(ids[4], tutti.Want{}, 1), tutti.KindNotFound)
	ok(plan(ids[2], tutti.Want{}, 0))
	// A library that is away is refused from the first bad news on, whatever was ready; that says nothing of another one.
	cache.err = nil
	ok(plan(ids[1], tutti.Want{}, 1))
	cache.err = tutti.Errorf(tutti.KindUnavailable, "x", "the disk is away")
	wantKind(t, plan(ids[4], tutti.Want{}, 1), tutti.KindUnavailable)
	ok(plan(ids[1], tutti.Want{}, 0))
	wantKind(t, plan(ids[2], tutti.Want{}, 1), tutti.KindUnavailable)
	wantKind(t, plan(ids[2], tutti.Want{}, 1), tutti.KindUnavailable)
	cache.err = nil
	ok(plan(ids[2], tutti.Want{}, 1))
	ok(plan(ids[2], tutti.Want{}, 0))
	// Who left before the answer brought no news.
	cache.err = tutti.Errorf(tutti.KindUnavailable, "x", "cancelled")
	gone, leave := context.WithCancel(ctx)
	leave()
	_, err := d.Plan(gone, tutti.PlanRequest{Viewer: she, Track: ids[4]})
	wantKind(t, err, tutti.KindUnavailable)
	cache.err = nil
	ok(plan(ids[2], tutti.Want{}, 0))
}
