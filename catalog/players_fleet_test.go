package catalog_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tutti"
)

// TestListOfManyPlayers: a list of players shows the latest and is as long as a list may be; whoever asks for it at once, or
// within a second, shares what was read of the store; and names are asked for of those alone who are on it, some at a time.
func TestListOfManyPlayers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFleet(t)
		a, b := f.start("a", false), f.start("b", false)
		var names, most, running atomic.Int64
		b.cfg.User = func(_ context.Context, id tutti.ID) (tutti.User, error) {
			names.Add(1)
			now := running.Add(1)
			defer running.Add(-1)
			for {
				if m := most.Load(); now <= m || most.CompareAndSwap(m, now) {
					break
				}
			}
			time.Sleep(time.Millisecond)
			return tutti.User{ID: id, Name: "name of " + string(id)}, nil
		}
		b.restart(t)
		ids := f.seed(5, a, b)
		const players = 700
		for i := range players {
			v := tutti.Viewer{User: tutti.NewID(tutti.PrefixUser, uint64(i)+1)}
			if err := a.NowPlaying(ctx, v, tutti.Playing{Player: "p", Track: tutti.Track{ID: ids[0]}, State: "paused"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		queries := func() (n int) {
			for call, times := range b.link.calls() {
				if strings.HasPrefix(call, "Query playing#") {
					n += times
				}
			}
			return n
		}
		queries()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				list, err := b.NowPlayingAll(ctx, she)
				if err != nil || len(list) != 500 {
					t.Errorf("%d players, %v", len(list), err)
					return
				}
				if want := tutti.NewID(tutti.PrefixUser, players); list[0].User != want || list[0].UserName != "name of "+string(want) {
					t.Errorf("the first is %+v", list[0])
				}
				if !slices.IsSortedFunc(list, func(x, y tutti.Playing) int { return y.ReportedAt.Compare(x.ReportedAt) }) {
					t.Error("not the latest first")
				}
			})
		}
		wg.Wait()
		if n := queries(); n != 16 {
			t.Errorf("%d questions to the store for 50 who ask at once", n)
		}
		if n := names.Load(); n != 50*500 {
			t.Errorf("%d names for 50 lists of 500", n)
		}
		if n := most.Load(); n > 50*16 {
			t.Errorf("%d names at once for 50 lists", n)
		}
		if err := a.NowPlaying(ctx, she, tutti.Playing{Player: "new", Track: tutti.Track{ID: ids[1]}, State: "paused"}); err != nil {
			t.Fatal(err)
		}
		took := f.within(1100*time.Millisecond, "a new player is shown", func() bool {
			list, err := b.NowPlayingAll(ctx, she)
			return err == nil && len(list) == 500 && list[0].Player == "new"
		})
		t.Logf("a new player among %d is shown after %v", players, took)
	})
}
