package catalog_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tutti"
	"tutti/store/storetest"
)

// TestFleetInTrouble lets three nodes scan a folder that grows, with listeners at work through all of them, for some
// minutes of virtual time in which every few seconds something happens to one of them: a restart, a stop as by SIGSTOP,
// a death with requests on their way that arrive much later, a store that refuses, hangs, or loses its answers. Then all
// nodes say the same, know every file, and nothing is lost that was acknowledged. TUTTI_TEST_TROUBLES says how many such
// histories there are.
func TestFleetInTrouble(t *testing.T) {
	t.Parallel()
	seeds := 2
	if testing.Short() {
		seeds = 1
	}
	if n, err := strconv.Atoi(os.Getenv("TUTTI_TEST_TROUBLES")); err == nil {
		seeds = n
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { trouble(t, rand.New(rand.NewPCG(uint64(seed), 9))) })
		})
	}
}

// crew is the nodes that are there; they come and go under their names.
type crew struct {
	f     *fleet
	mu    sync.Mutex
	nodes map[string]*node
	dead  []*node // frozen for good; thawed at the end
}

func (c *crew) at(rng *rand.Rand) *node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[string(rune('a'+rng.IntN(3)))]
}

func (c *crew) put(n *node) {
	c.mu.Lock()
	c.nodes[n.name] = n
	c.mu.Unlock()
}

// strike makes something happen to a node.
func (c *crew) strike(t *testing.T, rng *rand.Rand) string {
	n := c.at(rng)
	pause := time.Duration(rng.IntN(20_000)) * time.Millisecond
	every := 2 + rng.IntN(5)
	faults := func(fault storetest.Fault) {
		n.link.set(func(call storetest.Call) storetest.Fault {
			if call.N%every == 0 {
				return fault
			}
			return storetest.Fault{}
		})
	}
	kind := []string{"restart", "stop", "death", "refuses", "hangs", "throttles", "loses"}[rng.IntN(7)]
	switch kind {
	case "restart":
		n.stop(t)
		c.put(c.f.start(n.name, true))
		return kind
	case "stop":
		n.link.freeze()
		time.Sleep(pause)
		n.link.thaw()
		return kind
	case "death":
		n.link.freeze()
		c.dead = append(c.dead, n)
		c.put(c.f.start(n.name, true))
		return kind
	case "refuses":
		n.link.away(false)
	case "hangs":
		n.link.away(true)
	case "throttles":
		faults(storetest.Fault{Err: storetest.Throttled()})
	case "loses":
		faults(storetest.Fault{Lost: storetest.Throttled()})
	}
	time.Sleep(pause)
	n.link.back()
	return kind
}

// listener does things as one person, through whichever node, and remembers what was acknowledged.
type listener struct {
	tutti.Viewer
	stars map[tutti.ID]bool
	plays map[tutti.ID][2]int64 // acknowledged, and sent
	lists map[tutti.ID]int      // tracks in a playlist
	acks  int
}

func (l *listener) listen(ctx context.Context, t *testing.T, c *crew, rng *rand.Rand) {
	check := func(what string, err error) bool {
		if err != nil && ctx.Err() == nil && !tutti.IsKind(err, tutti.KindUnavailable) && !tutti.IsKind(err, tutti.KindConflict) && !tutti.IsKind(err, tutti.KindNotFound) {
			t.Errorf("%s: %v", what, err)
		}
		if err == nil {
			l.acks++
		}
		return err == nil
	}
	for ctx.Err() == nil {
		time.Sleep(time.Duration(50+rng.IntN(400)) * time.Millisecond)
		n := c.at(rng)
		tracks, _, err := n.Tracks(ctx, l.Viewer, tutti.TrackQuery{Random: true, Page: tutti.Page{Limit: 1}})
		if err != nil && ctx.Err() == nil {
			t.Errorf("a list of tracks: %v", err)
		}
		if len(tracks) == 0 {
			continue
		}
		id := tracks[0].ID
		switch rng.IntN(4) {
		case 0:
			if check("star", n.Star(ctx, l.Viewer, true, id)) {
				l.stars[id] = true
			}
		case 1:
			p := l.plays[id]
			if p[1]++; check("play", n.Played(ctx, l.Viewer, tutti.Play{Track: id})) {
				p[0]++
			}
			l.plays[id] = p
		case 2:
			saved, err := n.SavePlaylist(ctx, l.Viewer, tutti.Playlist{Name: "a list", Tracks: []tutti.ID{id}})
			if check("playlist", err) {
				l.lists[saved.ID] = 1
			}
		case 3:
			_, err := n.Plan(ctx, tutti.PlanRequest{Viewer: l.Viewer, Track: id})
			check("plan", err)
		}
	}
}

func trouble(t *testing.T, rng *rand.Rand) {
	f := newFleet(t)
	f.tune.SnapshotBytes, f.tune.UserSnapshotBytes = 20_000, 1000
	c := &crew{f: f, nodes: map[string]*node{}}
	for _, name := range []string{"a", "b", "c"} {
		c.put(f.start(name, true))
	}
	ctx, end := context.WithCancel(t.Context())
	defer end()
	var wg sync.WaitGroup
	files := 0
	growth := rand.New(rand.NewPCG(1, rng.Uint64()))
	wg.Go(func() { // the folder grows, and somebody asks for it to be looked at
		rng := growth
		for ctx.Err() == nil {
			for range 1 + rng.IntN(60) {
				f.write(fmt.Sprintf("%d/%05d.wav", files/40, files), files+1)
				files++
			}
			_, _ = c.at(rng).Scan(ctx, rng.IntN(8) == 0) // refused while the store is away
			time.Sleep(time.Duration(rng.IntN(8000)) * time.Millisecond)
		}
	})
	var listeners []*listener
	for i := range 3 {
		l := &listener{
			Viewer: tutti.Viewer{User: tutti.NewID(tutti.PrefixUser, uint64(i)+1)},
			stars:  map[tutti.ID]bool{}, plays: map[tutti.ID][2]int64{}, lists: map[tutti.ID]int{},
		}
		listeners = append(listeners, l)
		own := rand.New(rand.NewPCG(2, rng.Uint64()))
		wg.Go(func() { l.listen(ctx, t, c, own) })
	}
	what := map[string]int{}
	for range 14 {
		time.Sleep(time.Duration(rng.IntN(5000)) * time.Millisecond)
		what[c.strike(t, rng)]++
	}
	end()
	wg.Wait()
	for _, n := range c.dead {
		n.link.thaw() // what they had sent arrives
	}
	time.Sleep(time.Minute)
	a := c.nodes["a"]
	for { // until a node takes the request
		if _, err := a.Scan(t.Context(), false); err == nil {
			break
		}
		time.Sleep(time.Second)
	}
	f.within(time.Minute, "every file is known", func() bool {
		st := status(t, a)
		return !st.Scanning && st.Tracks == files
	})
	time.Sleep(11 * time.Minute) // playlists of which an answer was lost are seen as well
	want := a.everything(t)
	late := f.start("late", false)
	acks := 0
	for _, n := range append([]*node{late, c.nodes["b"], c.nodes["c"]}, c.dead...) {
		if got := n.everything(t); got != want {
			t.Errorf("%s says\n%s\ninstead of\n%s", n.name, got, want)
		}
		for _, l := range listeners {
			acks += l.acks
			for id := range l.stars {
				if tr, err := n.Track(t.Context(), l.Viewer, id); err != nil || tr.Starred.IsZero() {
					t.Errorf("%s: a star is lost, %v", n.name, err)
				}
			}
			for id, p := range l.plays {
				if tr, err := n.Track(t.Context(), l.Viewer, id); err != nil || tr.PlayCount < p[0] || tr.PlayCount > p[1] {
					t.Errorf("%s: %d plays of which %d of %d were acknowledged, %v", n.name, tr.PlayCount, p[0], p[1], err)
				}
			}
			for id, tracks := range l.lists {
				if p, err := n.Playlist(t.Context(), l.Viewer, id); err != nil || len(p.Tracks) != tracks {
					t.Errorf("%s: a playlist has %d tracks instead of %d, %v", n.name, len(p.Tracks), tracks, err)
				}
			}
		}
	}
	if acks == 0 || files == 0 {
		t.Error("nothing happened")
	}
	t.Logf("%d files, %d acknowledged calls, %v", files, acks, what)
}
