package catalog_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tutti"
	"tutti/catalog/catalogtest"
	"tutti/catalog/scan"
	"tutti/store/storetest"
)

// seed applies n synthetic tracks through a node and waits until all have them.
func (f *fleet) seed(n int, by *node, others ...*node) []tutti.ID {
	f.t.Helper()
	var ids []tutti.ID
	var batch []scan.Change
	for e := range catalogtest.Synthetic(n) {
		ids = append(ids, e.ID)
		batch = append(batch, scan.Change{Put: &e})
	}
	if err := by.Apply(context.Background(), batch); err != nil {
		f.t.Fatal(err)
	}
	for _, o := range others {
		if err := o.Refresh(context.Background()); err != nil {
			f.t.Fatal(err)
		}
	}
	return ids
}

// TestStoreAway: while the store is away, what is in memory is answered from there at once, and what would have to be
// written is refused at once. Whether it hangs or refuses makes a difference for the first moments only.
func TestStoreAway(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		t.Run(fmt.Sprintf("hangs=%v", hangs), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				f := newFleet(t)
				a, b := f.start("a", false), f.start("b", false)
				ids := f.seed(30, a, b)
				if err := a.Star(ctx, she, true, ids[0]); err != nil {
					t.Fatal(err)
				}
				list, err := a.SavePlaylist(ctx, she, tutti.Playlist{Name: "kept", Tracks: ids[:3]})
				if err != nil {
					t.Fatal(err)
				}
				if tr, err := b.Track(ctx, she, ids[0]); err != nil || tr.Starred.IsZero() {
					t.Fatal("not seen through the other node", err)
				}
				if _, err := b.Playlist(ctx, she, list.ID); err != nil {
					t.Fatal(err)
				}
				stranger := tutti.Viewer{User: "us-00000000000s9"} // b knows nothing of them
				began := time.Now()
				b.link.away(hangs)
				longest := map[string]time.Duration{}
				settled := map[string]time.Duration{} // after six seconds
				timed := func(what string, fn func() error) error {
					start := time.Now()
					err := fn()
					took := time.Since(start)
					longest[what] = max(longest[what], took)
					if start.Sub(began) > 6*time.Second {
						settled[what] = max(settled[what], took)
					}
					return err
				}
				for round := 0; time.Since(began) < 30*time.Second; round++ {
					for who, v := range map[string]tutti.Viewer{"her": she, "a stranger": stranger} {
						reads := map[string]func() error{
							"track": func() error {
								tr, err := b.Track(ctx, v, ids[0])
								if err == nil && tr.Starred.IsZero() == (v.User == she.User) {
									err = fmt.Errorf("%s: starred %v", who, tr.Starred)
								}
								return err
							},
							"search": func() error {
								_, err := b.Search(ctx, v, tutti.SearchQuery{Text: "a", Tracks: tutti.Page{Limit: 10}})
								return err
							},
							"albums": func() error {
								_, _, err := b.Albums(ctx, v, tutti.AlbumQuery{Order: tutti.AlbumsByName, Page: tutti.Page{Limit: 10}})
								return err
							},
							"starred": func() error {
								_, _, err := b.Starred(ctx, v, "")
								if v.User != stranger.User {
									return err
								}
								if tutti.IsKind(err, tutti.KindUnavailable) {
									return nil
								}
								return fmt.Errorf("an empty list rather than an error: %v", err)
							},
							"genres":   func() error { _, err := b.Genres(ctx, v); return err },
							"playlist": func() error { _, err := b.Playlist(ctx, she, list.ID); return err },
							"playing":  func() error { return b.NowPlaying(ctx, v, tutti.Playing{Player: "p", Track: tutti.Track{ID: ids[0]}}) },
							"plan": func() error {
								b.link.calls()
								p, err := b.Plan(ctx, tutti.PlanRequest{Viewer: v, Track: ids[0]})
								calls := b.link.calls()
								delete(calls, "LastSeq catalog") // the follower's
								if err == nil && (len(calls) > 0 || p.Track.ID != ids[0]) {
									err = fmt.Errorf("asked the store %v", calls)
								}
								return err
							},
						}
						for what, fn := range reads {
							if err := timed(what, fn); err != nil {
								t.Errorf("%s for %s: %v", what, who, err)
							}
						}
					}
					if round%10 != 0 {
						time.Sleep(300 * time.Millisecond)
						continue
					}
					for what, fn := range map[string]func() error{
						"star": func() error { return b.Star(ctx, she, true, ids[5]) },
						"save": func() error {
							_, err := b.SavePlaylist(ctx, she, tutti.Playlist{Name: "lost", Tracks: ids[:1]})
							return err
						},
						"queue": func() error { return b.SaveQueue(ctx, she, tutti.Queue{Tracks: ids[:2]}) },
						"scan":  func() error { _, err := b.Scan(ctx, false); return err },
					} {
						wantKind(t, timed(what, fn), tutti.KindUnavailable)
					}
					if err := b.Caught(ctx); err != nil {
						t.Error(err)
					}
				}
				for what, took := range longest {
					limit := 150 * time.Millisecond
					switch what {
					case "plan", "genres":
						limit = 0
					case "star", "save", "queue", "scan", "playing", "starred":
						limit = 4 * time.Second
					}
					if took > limit {
						t.Errorf("%s took %v", what, took)
					}
				}
				for what, took := range settled {
					if took > 0 {
						t.Errorf("%s took %v when it was known that the store is away", what, took)
					}
				}
				if !strings.Contains(metrics(b), "tutti_catalog_store_away 1\n") {
					t.Error("metrics do not show that the store is away")
				}
				if err := a.Star(ctx, she, true, ids[1]); err != nil { // the store is away for b alone
					t.Fatal(err)
				}
				b.link.back()
				took := f.within(3*time.Second, "what was written meanwhile is seen", func() bool {
					tr, err := b.Track(ctx, she, ids[1])
					return err == nil && !tr.Starred.IsZero()
				})
				t.Logf("seen %v after the store came back; longest %v, later %v", took, longest, settled)
				if err := b.Star(ctx, she, true, ids[2]); err != nil {
					t.Error(err)
				}
				if tr, err := a.Track(ctx, she, ids[5]); err != nil || !tr.Starred.IsZero() {
					t.Errorf("what was refused has happened: %v", err)
				}
			})
		})
	}
}

// TestSlowStore: a store that takes half a second for each answer is not away. Reads do not wait for it; writes do, and are
// done; who writes and reads through one node sees what they wrote at once, and the others see it soon.
func TestSlowStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFleet(t)
		a, b := f.start("a", false), f.start("b", false)
		ids := f.seed(30, a, b)
		for _, n := range []*node{a, b} {
			n.link.set(func(storetest.Call) storetest.Fault {
				return storetest.Fault{Before: func() { time.Sleep(500 * time.Millisecond) }}
			})
		}
		for i := range 40 {
			v := tutti.Viewer{User: tutti.NewID(tutti.PrefixUser, uint64(i)+1)} // nobody has met them
			began := time.Now()
			if err := a.Star(ctx, v, true, ids[i%30]); err != nil {
				t.Fatalf("after %v: %v", time.Since(began), err)
			}
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("a star took %v", took)
			}
			began = time.Now()
			if tr, err := a.Track(ctx, v, ids[i%30]); err != nil || tr.Starred.IsZero() {
				t.Errorf("who wrote does not see it: %v", err)
			}
			if _, err := b.Track(ctx, v, ids[i%30]); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > 300*time.Millisecond {
				t.Errorf("two reads took %v", took)
			}
			f.within(5*time.Second, "the other node shows the star", func() bool {
				tr, err := b.Track(ctx, v, ids[i%30])
				return err == nil && !tr.Starred.IsZero()
			})
			for _, n := range []*node{a, b} {
				if strings.Contains(metrics(n), "tutti_catalog_store_away 1") {
					t.Fatalf("%s takes the store for away", n.name)
				}
			}
		}
	})
}

// TestReadYourWrites: what was acknowledged through one node is seen through every other, by everything that a person
// keeps, with three nodes writing for the same person at once.
func TestReadYourWrites(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.tune.Wait = time.Minute // the contract holds as long as the store answers; a busy machine may take its time
	f.tune.UserSnapshotBytes = 2000
	readYourWrites(t, f, 40)
}

func readYourWrites(t *testing.T, f *fleet, rounds int) {
	ctx := t.Context()
	nodes := []*node{f.start("a", false), f.start("b", false), f.start("c", false)}
	ids := f.seed(60, nodes[0], nodes[1:]...)
	shared := ids[0]
	var wg sync.WaitGroup
	for w, at := range nodes {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(7, uint64(w)))
			other := func() *node { return nodes[(w+1+rng.IntN(2))%3] }
			mine := ids[1+w*15 : 1+(w+1)*15]
			var list tutti.Playlist
			for round := range rounds {
				id := mine[rng.IntN(len(mine))]
				star, rating := round%2 == 0, 1+rng.IntN(5)
				fail := func(what string, err error, got any) { t.Errorf("%s, %d, %s: %v, %v", at.name, round, what, got, err) }
				if err := at.Star(ctx, she, star, id); err != nil {
					fail("star", err, nil)
				}
				if tr, err := other().Track(ctx, she, id); err != nil || tr.Starred.IsZero() == star {
					fail("star", err, tr.Starred)
				}
				if err := at.Rate(ctx, she, id, rating); err != nil {
					fail("rate", err, nil)
				}
				if tr, err := other().Track(ctx, she, id); err != nil || tr.Rating != rating {
					fail("rating", err, tr.Rating)
				}
				if err := at.Played(ctx, she, tutti.Play{Track: shared}); err != nil {
					fail("play", err, nil)
				}
				list.Name, list.Tracks = fmt.Sprint(at.name, round), mine[:1+rng.IntN(14)]
				saved, err := at.SavePlaylist(ctx, she, list)
				if err != nil {
					fail("save", err, nil)
					continue
				}
				list = saved
				if got, err := other().Playlist(ctx, she, list.ID); err != nil || got.Name != list.Name || !slices.Equal(got.Tracks, list.Tracks) {
					fail("playlist", err, got)
				}
				if round%7 == 6 {
					if err := at.DeletePlaylist(ctx, she, list.ID); err != nil {
						fail("delete", err, nil)
					}
					_, err := other().Playlist(ctx, she, list.ID)
					if !tutti.IsKind(err, tutti.KindNotFound) {
						fail("deleted", err, nil)
					}
					list = tutti.Playlist{}
				}
				if err := at.SaveBookmark(ctx, she, tutti.Bookmark{Track: id, Position: time.Duration(round)}); err != nil {
					fail("bookmark", err, nil)
				}
				marks, err := other().Bookmarks(ctx, she)
				if err != nil || !slices.ContainsFunc(marks, func(b tutti.Bookmark) bool { return b.Track == id && b.Position == time.Duration(round) }) {
					fail("bookmarks", err, marks)
				}
				self := tutti.Viewer{User: tutti.NewID(tutti.PrefixUser, uint64(w)+100)} // a queue is replaced as a whole
				if err := at.SaveQueue(ctx, self, tutti.Queue{Tracks: mine[:3], Current: round % 3}); err != nil {
					fail("queue", err, nil)
				}
				if q, err := other().Queue(ctx, self); err != nil || q.Current != round%3 || len(q.Tracks) != 3 {
					fail("queue", err, q)
				}
				p := tutti.Playing{Player: at.name, Track: tutti.Track{ID: id}, State: "paused", Position: time.Duration(round) * time.Minute}
				if err := at.NowPlaying(ctx, self, p); err != nil {
					fail("now playing", err, nil)
				}
				playing, err := other().NowPlayingAll(ctx, self)
				if err != nil || !slices.ContainsFunc(playing, func(q tutti.Playing) bool {
					return q.User == self.User && q.Player == p.Player && q.Track.ID == id && q.Position == p.Position && q.Track.Title != ""
				}) {
					fail("now playing", err, playing)
				}
			}
		})
	}
	wg.Wait()
	for _, n := range nodes {
		tr, err := n.Track(ctx, she, shared)
		if err != nil || tr.PlayCount != int64(3*rounds) {
			t.Errorf("%s says %d plays instead of %d, %v", n.name, tr.PlayCount, 3*rounds, err)
		}
	}
}

// TestNowPlayingAcrossNodes: a player that reports all the time costs a write only now and then, and what it does is seen
// through every node until it stops, or the track would have ended.
func TestNowPlayingAcrossNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFleet(t)
		a, b := f.start("a", false), f.start("b", false)
		ids := f.seed(5, a, b)
		tr, err := a.Track(ctx, she, ids[0])
		if err != nil {
			t.Fatal(err)
		}
		puts := func(n *node) (puts int) {
			for call, times := range n.link.calls() {
				if strings.HasPrefix(call, "Put playing#") {
					puts += times
				}
			}
			return puts
		}
		report := func(n *node, state string, position time.Duration) {
			t.Helper()
			if err := n.NowPlaying(ctx, she, tutti.Playing{Player: "p", Track: tutti.Track{ID: ids[0]}, State: state, Position: position}); err != nil {
				t.Fatal(err)
			}
		}
		shown := func(n *node) string {
			t.Helper()
			list, err := n.NowPlayingAll(ctx, she)
			if err != nil {
				t.Fatal(err)
			}
			var out []string
			for _, p := range list {
				at := p.Position
				if p.State == "playing" {
					at += time.Since(p.ReportedAt)
				}
				out = append(out, fmt.Sprint(p.State, " ", at.Round(time.Second)))
			}
			return strings.Join(out, ", ")
		}
		for i := range 60 {
			report(a, "playing", time.Duration(i)*time.Second)
			for _, n := range []*node{a, b} {
				if got, want := shown(n), fmt.Sprint("playing ", time.Duration(i)*time.Second); got != want {
					t.Fatalf("%s shows %q instead of %q", n.name, got, want)
				}
			}
			time.Sleep(time.Second)
		}
		if n := puts(a); n != 3 {
			t.Errorf("%d writes in a minute instead of 3", n)
		}
		report(a, "playing", 2*time.Second) // a seek
		report(a, "paused", 2*time.Second)
		if n := puts(a); n != 2 {
			t.Errorf("%d writes for a seek and a pause instead of 2", n)
		}
		if got := shown(b); got != "paused 2s" {
			t.Error(got)
		}
		report(b, "playing", 3*time.Second) // the same player comes through another node
		if got := shown(a); got != "playing 3s" {
			t.Error(got)
		}
		report(a, "stopped", 0)
		for _, n := range []*node{a, b} {
			if got := shown(n); got != "" {
				t.Errorf("%s shows %q of a player that stopped", n.name, got)
			}
		}
		report(a, "playing", 0)
		b.link.away(false)
		report(b, "playing", 4*time.Second) // b alone knows
		if got := shown(b); got != "playing 4s" {
			t.Error(got)
		}
		b.link.back()
		time.Sleep(time.Second)
		time.Sleep(tr.Duration)
		for _, n := range []*node{a, b} {
			if got := shown(n); got != "" {
				t.Errorf("%s shows %q after the track's end", n.name, got)
			}
		}
	})
}

// TestLargeItemsOfTwoNodes: two nodes replace, and read, the same playlist, too large for one item, at once. Somebody
// wins each time, no reader finds half of anything, and nothing is left behind.
func TestLargeItemsOfTwoNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("a list of 180,000 tracks; smaller ones race as well")
	}
	t.Parallel()
	ctx := t.Context()
	f := newFleet(t)
	f.tune.Wait = time.Minute
	a, b := f.start("a", false), f.start("b", false)
	ids := f.seed(2000, a, b)
	list, err := a.SavePlaylist(ctx, she, tutti.Playlist{Name: "all", Tracks: ids})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	all := make([]tutti.ID, 180_000) // in no order, so that it does not compress
	for i := range all {
		all[i] = ids[rng.IntN(len(ids))]
	}
	versions := [][]tutti.ID{all, all[1:], ids}
	check := func(n *node) {
		p, err := n.Playlist(ctx, she, list.ID)
		if err != nil {
			t.Errorf("%s: %v", n.name, err)
			return
		}
		if !slices.ContainsFunc(versions, func(v []tutti.ID) bool { return slices.Equal(p.Tracks, v) }) {
			t.Errorf("%s reads a playlist that nobody saved, of %d", n.name, len(p.Tracks))
		}
	}
	var wg sync.WaitGroup
	for i, n := range []*node{a, b} {
		wg.Go(func() {
			for range 2 {
				if _, err := n.SavePlaylist(ctx, she, tutti.Playlist{ID: list.ID, Name: "all", Tracks: versions[i]}); err != nil {
					t.Errorf("%s: %v", n.name, err)
				}
				check(n)
			}
		})
		wg.Go(func() {
			for range 3 {
				check(n)
			}
		})
	}
	wg.Wait()
	generations := func() map[string]bool {
		page, err := f.store.Query(ctx, "part#playlists", "", "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for _, item := range page.Items {
			names[strings.Split(item.SK, "#")[1]] = true
		}
		return names
	}
	if n := len(generations()); n != 1 {
		t.Errorf("parts of %d playlists are kept", n)
	}
	if err := b.DeletePlaylist(ctx, she, list.ID); err != nil {
		t.Fatal(err)
	}
	if n := len(generations()); n != 0 {
		t.Errorf("parts of %d playlists are kept of one that was deleted", n)
	}
}

// TestFleetHistory lets three nodes live through anything: changes of the library, what people do through whichever
// node, faults of the store of every kind, restarts, pauses. In the end all nodes say the same, as a node does that
// starts then; and it is what was acknowledged.
func TestFleetHistory(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var caught any
		synctest.Test(t, func(t *testing.T) {
			defer func() { caught = recover() }() // what rapid throws must not end in the bubble
			history(t, rt)
		})
		if caught != nil {
			panic(caught)
		}
	})
}

func history(t *testing.T, rt *rapid.T) {
	ctx := t.Context()
	f := newFleet(t)
	f.tune.SnapshotBytes, f.tune.UserSnapshotBytes = 3000, 300
	var nodes []*node
	for _, name := range []string{"a", "b", "c"} {
		nodes = append(nodes, f.start(name, false))
	}
	var entries []scan.Entry
	for e := range catalogtest.Synthetic(120) {
		entries = append(entries, e)
	}
	known := map[tutti.ID]bool{}
	type said struct {
		starred, unsure bool
		plays, maybe    int64
	}
	people := []tutti.Viewer{she, {User: "us-00000000000s2"}}
	notes := map[tutti.ID]map[tutti.ID]*said{she.User: {}, people[1].User: {}}
	noteOf := func(v tutti.Viewer, id tutti.ID) *said {
		n := notes[v.User][id]
		if n == nil {
			n = &said{}
			notes[v.User][id] = n
		}
		return n
	}
	lists := map[tutti.ID][]tutti.ID{}
	vague := map[tutti.ID]bool{} // lists of which an answer was lost
	// outcome returns whether something was acknowledged; what was not may have happened where the answer was lost.
	outcome := func(what string, err error) bool {
		if err != nil && !tutti.IsKind(err, tutti.KindUnavailable) && !tutti.IsKind(err, tutti.KindConflict) {
			rt.Fatalf("%s: %v", what, err)
		}
		return err == nil
	}
	for range rapid.IntRange(10, 40).Draw(rt, "steps") {
		n := nodes[rapid.IntRange(0, 2).Draw(rt, "node")]
		v := people[rapid.IntRange(0, 1).Draw(rt, "person")]
		var id tutti.ID
		if len(known) > 0 {
			id = rapid.SampledFrom(slices.Sorted(maps.Keys(known))).Draw(rt, "track")
			if _, ok := n.Entry(id); !ok {
				id = "" // this node does not know it yet
			}
		}
		switch op := rapid.SampledFrom([]string{
			"apply", "apply", "star", "star", "unstar", "play", "play", "save", "delete", "fault", "fault", "mend", "restart", "wait", "wait", "snapshot",
		}).Draw(rt, "op"); {
		case op == "apply":
			from := rapid.IntRange(0, len(entries)-1).Draw(rt, "from")
			part := entries[from:min(len(entries), from+rapid.IntRange(1, 40).Draw(rt, "many"))]
			var batch []scan.Change
			for i := range part {
				batch = append(batch, scan.Change{Put: &part[i]})
			}
			if outcome(op, n.Apply(ctx, batch)) {
				for i := range part {
					known[part[i].ID] = true
				}
			}
		case op == "fault":
			kind := rapid.SampledFrom([]string{"refused", "lost", "short", "away"}).Draw(rt, "fault")
			every := rapid.IntRange(2, 6).Draw(rt, "every")
			if kind == "away" {
				n.link.away(rapid.Bool().Draw(rt, "hangs"))
				break
			}
			fault := map[string]storetest.Fault{
				"refused": {Err: storetest.Throttled()}, "lost": {Lost: storetest.Throttled()}, "short": {Short: 1},
			}[kind]
			n.link.set(func(c storetest.Call) storetest.Fault {
				if c.N%every == 0 {
					return fault
				}
				return storetest.Fault{}
			})
		case op == "mend":
			n.link.back()
		case op == "restart":
			n.link.back()
			n.restart(t)
		case op == "wait":
			time.Sleep(time.Duration(rapid.IntRange(1, 3000).Draw(rt, "ms")) * time.Millisecond)
		case op == "snapshot":
			outcome(op, n.Snapshot(ctx))
		case id == "":
		case op == "star", op == "unstar":
			s := noteOf(v, id)
			if outcome(op, n.Star(ctx, v, op == "star", id)) {
				s.starred, s.unsure = op == "star", false
			} else {
				s.unsure = true
			}
		case op == "play":
			s := noteOf(v, id)
			if outcome(op, n.Played(ctx, v, tutti.Play{Track: id})) {
				s.plays++
			} else {
				s.maybe++
			}
		case op == "save":
			p := tutti.Playlist{Name: "list", Tracks: []tutti.ID{id}}
			if len(lists) > 0 && rapid.Bool().Draw(rt, "again") {
				p.ID = rapid.SampledFrom(slices.Sorted(maps.Keys(lists))).Draw(rt, "list")
				p.Tracks = append(slices.Clone(lists[p.ID]), id)
			}
			saved, err := n.SavePlaylist(ctx, she, p)
			if tutti.IsKind(err, tutti.KindNotFound) {
				break // a track, or the list, of which this node does not know
			}
			if outcome(op, err) {
				lists[saved.ID] = p.Tracks
				delete(vague, saved.ID)
			} else if p.ID != "" {
				vague[p.ID] = true
			}
		case op == "delete" && len(lists) > 0:
			list := rapid.SampledFrom(slices.Sorted(maps.Keys(lists))).Draw(rt, "list")
			err := n.DeletePlaylist(ctx, she, list)
			if tutti.IsKind(err, tutti.KindNotFound) {
				break
			}
			if outcome(op, err) {
				delete(lists, list)
				delete(vague, list)
			} else {
				vague[list] = true
			}
		}
	}
	for _, n := range nodes {
		n.link.back()
	}
	time.Sleep(11 * time.Minute) // whatever was open is closed, and what was written without a word is seen
	nodes = append(nodes, f.start("d", false))
	want := nodes[3].everything(t)
	for _, n := range nodes {
		if got := n.everything(t); got != want {
			rt.Fatalf("%s says\n%s\ninstead of\n%s", n.name, got, want)
		}
		for id := range known {
			if _, ok := n.Entry(id); !ok {
				rt.Fatalf("%s does not know %s", n.name, id)
			}
		}
		for _, v := range people {
			for id, s := range notes[v.User] {
				tr, err := n.Track(ctx, v, id)
				if err != nil {
					rt.Fatalf("%s: %v", n.name, err)
				}
				if !s.unsure && tr.Starred.IsZero() == s.starred {
					rt.Fatalf("%s says that the star of %s is %v; last acknowledged was %v", n.name, id, !s.starred, s.starred)
				}
				if tr.PlayCount < s.plays || tr.PlayCount > s.plays+s.maybe {
					rt.Fatalf("%s counts %d plays of %s; %d were acknowledged and %d were not", n.name, tr.PlayCount, id, s.plays, s.maybe)
				}
			}
		}
		for id, tracks := range lists {
			p, err := n.Playlist(ctx, she, id)
			if vague[id] {
				continue
			}
			if err != nil || !slices.Equal(p.Tracks, tracks) {
				rt.Fatalf("%s has of the list %s %v instead of %v, %v", n.name, id, p.Tracks, tracks, err)
			}
		}
	}
	for _, n := range nodes {
		n.stop(t)
	}
}
