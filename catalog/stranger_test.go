package catalog_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tutti"
	"tutti/store/storetest"
)

// TestStranger asks a node for what somebody keeps whom it has not met. While the store is slow they get what is theirs,
// and while it is away an error: never an empty list, by which an app that mirrors its stars would delete them all.
func TestStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFleet(t)
		a, b := f.start("a", false), f.start("b", false)
		ids := f.seed(30, a, b)
		tracks, err := a.TracksByID(ctx, she, ids)
		if err != nil {
			t.Fatal(err)
		}
		somebody := func(n int) tutti.Viewer { return tutti.Viewer{User: tutti.NewID(tutti.PrefixUser, uint64(n)+1)} }
		for n := range 20 {
			for i, tr := range tracks[:10] {
				if err := a.Star(ctx, somebody(n), true, tr.ID, tr.AlbumID); err != nil {
					t.Fatal(err)
				}
				if err := a.Rate(ctx, somebody(n), tr.AlbumID, 5); err != nil {
					t.Fatal(err)
				}
				if i > 0 {
					continue
				}
				if err := a.Played(ctx, somebody(n), tutti.Play{Track: tr.ID}); err != nil {
					t.Fatal(err)
				}
			}
		}
		albums := func(by tutti.AlbumOrder) func(tutti.Viewer) (int, error) {
			return func(v tutti.Viewer) (int, error) {
				_, n, err := b.Albums(ctx, v, tutti.AlbumQuery{Order: by, Page: tutti.Page{Limit: 100}})
				return n, err
			}
		}
		theirs := []struct {
			what string
			ask  func(tutti.Viewer) (int, error)
		}{
			{"starred", func(v tutti.Viewer) (int, error) {
				r, _, err := b.Starred(ctx, v, "")
				return len(r.Tracks), err
			}},
			{"starred albums", albums(tutti.AlbumsStarred)},
			{"best albums", albums(tutti.AlbumsHighest)},
			{"albums played lately", albums(tutti.AlbumsRecent)},
			{"albums played often", albums(tutti.AlbumsFrequent)},
			{"top tracks", func(v tutti.Viewer) (int, error) {
				list, err := b.TopTracks(ctx, v, tracks[0].Artists[0].Name, 1)
				if err == nil && (len(list) != 1 || list[0].PlayCount != 1) {
					err = fmt.Errorf("%d tracks", len(list))
				}
				return len(list), err
			}},
		}
		b.link.set(func(storetest.Call) storetest.Fault {
			return storetest.Fault{Before: func() { time.Sleep(600 * time.Millisecond) }}
		})
		next := 0
		for _, x := range theirs {
			if n, err := x.ask(somebody(next)); err != nil || n == 0 {
				t.Errorf("%s while the store is slow: %d, %v", x.what, n, err)
			}
			next++
		}
		met := next
		b.link.away(true)
		for _, x := range theirs {
			began := time.Now()
			_, err := x.ask(somebody(next))
			wantKind(t, err, tutti.KindUnavailable)
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("%s, while the store hangs, took %v", x.what, took)
			}
			if _, err := b.Track(ctx, somebody(next), ids[0]); err != nil {
				t.Error(err)
			}
			next++
		}
		for i, x := range theirs {
			if n, err := x.ask(somebody(i % met)); err != nil || n == 0 {
				t.Errorf("%s of somebody who is known, while the store hangs: %d, %v", x.what, n, err)
			}
		}
		if _, _, err := b.Starred(ctx, tutti.Viewer{}, ""); err != nil {
			t.Errorf("nobody's stars: %v", err)
		}
		b.link.back()
		f.within(3*time.Second, "what is theirs is there again", func() bool {
			r, _, err := b.Starred(ctx, somebody(met), "")
			return err == nil && len(r.Tracks) == 10
		})
	})
}
