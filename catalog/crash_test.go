package catalog_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tutti"
	"tutti/catalog"
	"tutti/catalog/catalogtest"
	"tutti/catalog/scan"
	"tutti/clock"
	"tutti/store"
	"tutti/store/sqlite"
	"tutti/store/storetest"
)

// crashChild is set, to the database's path, in the process that TestKill kills.
const crashChild = "TUTTI_TEST_CATALOG_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashChild); path != "" {
		if err := child(path); err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
		return
	}
	// Property tests open a database or two for each check; 25 of them find what there is to find quickly enough. Ask
	// for more with -rapid.checks.
	if f := flag.Lookup("rapid.checks"); f != nil {
		f.DefValue = "25"
		if err := f.Value.Set(f.DefValue); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

// batchSize is how many tracks the child applies at once.
const batchSize = 25

func openAt(path string) (*catalog.Catalog, store.Store, error) {
	s, err := sqlite.Open(context.Background(), path, sqlite.Options{Clock: clock.System, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, nil, err
	}
	c, err := catalog.New(context.Background(), catalog.Config{
		Store: s, Clock: clock.System, Logger: slog.New(slog.DiscardHandler), SoleWriter: true,
		Origin: shelfware{[]tutti.Library{{ID: "1", Name: "Music"}}},
		Tuning: catalog.Tuning{SnapshotBytes: 8 << 10, UserSnapshotBytes: 512}, // snapshots all the time
	})
	return c, s, err
}

// child adds synthetic tracks where it finds that it had stopped, star after star, and says what was acknowledged.
func child(path string) error {
	ctx := context.Background()
	c, _, err := openAt(path)
	if err != nil {
		return err
	}
	go func() { _ = c.Run(ctx) }() // it ends with the process
	n := c.TrackCount("1")
	fmt.Println("ready", n)
	var batch []scan.Change
	i := 0
	for e := range catalogtest.Synthetic(1 << 30) {
		if i++; i <= n {
			continue
		}
		if batch = append(batch, scan.Change{Put: &e}); len(batch) < batchSize {
			continue
		}
		if err := c.Apply(ctx, batch); err != nil {
			return err
		}
		fmt.Println("tracks", i)
		if err := c.Star(ctx, she, true, e.ID); err != nil {
			return err
		}
		fmt.Println("star", e.ID)
		batch = nil
	}
	return nil
}

// TestKill kills a process that writes, again and again, and finds everything that it had acknowledged, without any
// repair. TUTTI_TEST_KILLS sets how often; the default takes a few seconds.
func TestKill(t *testing.T) {
	kills := 25
	if testing.Short() {
		kills = 5
	}
	if s := os.Getenv("TUTTI_TEST_KILLS"); s != "" {
		var err error
		if kills, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "tutti.db")
	rng := rand.New(rand.NewPCG(1, 2))
	tracks, stars := 0, map[tutti.ID]bool{}
	for kill := range kills {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashChild+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		left := 1 + rng.IntN(12) // lines to let it say after it is ready
		delay := time.Duration(rng.IntN(3000)) * time.Microsecond
		lines := bufio.NewScanner(out)
		ready := false
		for lines.Scan() {
			word, value, _ := strings.Cut(lines.Text(), " ")
			switch word {
			case "ready":
				ready = true
				if n, err := strconv.Atoi(value); err != nil || n < tracks || n%batchSize != 0 {
					t.Fatalf("kill %d: it begins with %s tracks after %d were acknowledged", kill, value, tracks)
				}
			case "tracks":
				if tracks, err = strconv.Atoi(value); err != nil {
					t.Fatal(err)
				}
			case "star":
				stars[tutti.ID(value)] = true
			default:
				t.Fatalf("kill %d: %s", kill, lines.Text())
			}
			if left--; ready && left == 0 {
				// At any moment from here on: it may be in the middle of anything.
				time.AfterFunc(delay, func() { _ = cmd.Process.Kill() }) // it may have ended
			}
			if left < -1000 {
				t.Fatal("it does not die")
			}
		}
		if err := cmd.Wait(); err == nil || !ready {
			t.Fatalf("kill %d: it ended by itself: %v", kill, err)
		}
	}

	c, s, err := openAt(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }() // nothing was written
	n := c.TrackCount("1")
	if n < tracks || n > tracks+batchSize {
		t.Fatalf("%d tracks after %d were acknowledged", n, tracks)
	}
	i := 0
	for want := range catalogtest.Synthetic(n) {
		i++
		got, ok := c.Entry(want.ID)
		if !ok || fmt.Sprintf("%+v", flat(got)) != fmt.Sprintf("%+v", flat(want)) {
			t.Fatalf("track %d is\n%+v\ninstead of\n%+v", i, flat(got), flat(want))
		}
	}
	res, _, err := c.Starred(context.Background(), she, "")
	if err != nil {
		t.Fatal(err)
	}
	found := map[tutti.ID]bool{}
	for _, tr := range res.Tracks {
		found[tr.ID] = true
	}
	for id := range stars {
		if !found[id] {
			t.Errorf("the star of %s is lost", id)
		}
	}
	if tracks == 0 || len(stars) == 0 {
		t.Fatal("nothing was acknowledged")
	}
}

// flat makes entries comparable as text.
func flat(e scan.Entry) scan.Entry {
	for _, f := range []**float64{&e.Gain.Track, &e.Gain.Album, &e.Gain.TrackPeak, &e.Gain.AlbumPeak, &e.Gain.Base} {
		if *f != nil {
			e.Comment += fmt.Sprintf(" %v", **f)
			*f = nil
		}
	}
	return e
}

// TestFaults lets the store fail in every way at every place, now and then, and finds what was acknowledged.
func TestFaults(t *testing.T) {
	for name, fault := range map[string]storetest.Fault{
		"refused": {Err: storetest.Throttled()},
		"lost":    {Lost: storetest.Throttled()}, // done, but the answer did not arrive
		"short":   {Short: 1},
	} {
		often := []int{2, 5, 7}
		if testing.Short() {
			often = often[1:2]
		}
		for _, every := range often {
			t.Run(fmt.Sprintf("%s/%d", name, every), func(t *testing.T) {
				ctx := context.Background()
				// By chance, not by turns, in which the same call of each attempt might fail for ever.
				var mu sync.Mutex // the catalogue's own goroutines call the store, too
				chance := rand.New(rand.NewPCG(uint64(every), 5))
				var loud atomic.Bool
				var faulty *storetest.Faulty
				d := newDesk(t, func(c *catalog.Config) {
					faulty = storetest.NewFaulty(c.Store, func(storetest.Call) storetest.Fault {
						mu.Lock()
						defer mu.Unlock()
						if !loud.Load() || chance.IntN(every) != 0 {
							return storetest.Fault{}
						}
						return fault
					})
					c.Store = faulty
					c.Tuning = catalog.Tuning{SnapshotBytes: 2000, UserSnapshotBytes: 100}
				})
				loud.Store(true)
				kept := map[tutti.ID]bool{}
				starred := map[tutti.ID]bool{}
				for e := range catalogtest.Synthetic(40) {
					var err error
					for range 100 { // as a scan does: what failed is applied again
						if err = d.Apply(ctx, []scan.Change{{Put: &e}}); err == nil {
							break
						}
					}
					if err != nil {
						t.Fatal(err)
					}
					kept[e.ID] = true
					if err := d.Star(ctx, she, true, e.ID); err == nil {
						starred[e.ID] = true
					}
					_ = d.Snapshot(ctx) // fails as often as not
				}
				if faulty.Calls("Append") < len(kept) {
					t.Fatal("hardly anything was written")
				}
				loud.Store(false)
				for id := range kept { // one more deed, to find out whether those happened of which the answer was lost
					if err := d.Rate(ctx, she, id, 3); err != nil {
						t.Fatal(err)
					}
					break
				}
				for range 2 { // as it is, and after a restart
					for id := range kept {
						if _, err := d.Track(ctx, she, id); err != nil {
							t.Errorf("%s: %v", id, err)
						}
					}
					for id := range starred {
						if tr, err := d.Track(ctx, she, id); err != nil || tr.Starred.IsZero() {
							t.Errorf("%s has lost its star (%v)", id, err)
						}
					}
					before := d.everything(t)
					d.reopen(t)
					if after := d.everything(t); after != before {
						t.Errorf("a restart changes\n%s\nto\n%s", before, after)
					}
				}
				// What interrupted snapshots left behind goes.
				run, stop := context.WithCancel(ctx)
				done := make(chan error)
				go func() { done <- d.Run(run) }()
				for {
					page, err := d.store.Query(ctx, "catalog", "snapshot-intent#", "", 10)
					if err != nil {
						t.Fatal(err)
					}
					if len(page.Items) == 0 {
						break
					}
				}
				stop()
				if err := <-done; err != nil {
					t.Error(err)
				}
				parts, err := d.store.Query(ctx, "catalog", "snapshot-part#", "", 1000)
				if err != nil {
					t.Fatal(err)
				}
				generations := map[string]bool{}
				for _, p := range parts.Items {
					generations[strings.Split(p.SK, "#")[1]] = true
				}
				if len(generations) > 1 {
					t.Errorf("parts of %d snapshots are left", len(generations))
				}
				d.reopen(t)
				if n := d.TrackCount("1"); n != len(kept) {
					t.Errorf("%d tracks after the sweep instead of %d", n, len(kept))
				}
			})
		}
	}
}
