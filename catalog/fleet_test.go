package catalog_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tutti"
	"tutti/catalog"
	"tutti/catalog/catalogtest"
	"tutti/catalog/scan"
	"tutti/clock"
	"tutti/origin/folder"
	"tutti/store"
	"tutti/store/sqlite"
	"tutti/store/storetest"
)

// The tests of this file run several nodes on one store. Most run in a bubble of testing/synctest, in which clock.System
// shows a time that passes only while everybody waits: what takes a minute is over at once, and takes just as long each
// time.

// fleet is a store and a folder of music, and the nodes that share them.
type fleet struct {
	t     *testing.T
	store store.Store
	music string
	tune  catalog.Tuning
	forms atomic.Int64 // counts how often it was asked which form to write
}

// node is one process of a fleet.
type node struct {
	*desk
	name    string
	link    *link
	applied atomic.Int64 // calls of Apply that succeeded
	gate    atomic.Pointer[func()]
	end     context.CancelFunc
	ended   chan error
}

// link is a node's way to the store, on which things happen.
type link struct {
	*storetest.Faulty
	mu     sync.Mutex
	fault  func(storetest.Call) storetest.Fault
	frozen chan struct{} // not nil: calls wait for it to be closed, and are then made whatever has become of who made them
	hangs  bool          // calls are not answered
	counts map[string]int
}

func (l *link) decide(c storetest.Call) storetest.Fault {
	l.mu.Lock()
	l.counts[c.Method+" "+c.PK]++
	fault := l.fault
	l.mu.Unlock()
	if fault != nil {
		return fault(c)
	}
	return storetest.Fault{}
}

func (l *link) set(fn func(storetest.Call) storetest.Fault) {
	l.mu.Lock()
	l.fault = fn
	l.mu.Unlock()
}

// away makes every call fail at once, or hang.
func (l *link) away(hang bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hangs = hang; !hang {
		l.fault = func(storetest.Call) storetest.Fault { return storetest.Fault{Err: storetest.Throttled()} }
	}
}

func (l *link) back() {
	l.mu.Lock()
	l.fault, l.hangs = nil, false
	l.mu.Unlock()
}

// freeze is what SIGSTOP does to a process as the store sees it. thaw is SIGCONT.
func (l *link) freeze() {
	l.mu.Lock()
	l.frozen = make(chan struct{})
	l.mu.Unlock()
}

func (l *link) thaw() {
	l.mu.Lock()
	close(l.frozen)
	l.frozen = nil
	l.mu.Unlock()
}

// calls returns how often methods were called since the last call of calls, by method and partition or log.
func (l *link) calls() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counts
	l.counts = make(map[string]int)
	return c
}

// pass lets a call through when it is time, with the context that it then has.
func (l *link) pass(ctx context.Context) (context.Context, error) {
	l.mu.Lock()
	frozen, hangs := l.frozen, l.hangs
	l.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return ctx, tutti.Wrap(tutti.KindUnavailable, "link", ctx.Err())
	}
	if frozen != nil {
		<-frozen
		return context.WithoutCancel(ctx), nil
	}
	return ctx, nil
}

func (l *link) Get(ctx context.Context, k store.Key) (store.Item, error) {
	ctx, err := l.pass(ctx)
	if err != nil {
		return store.Item{}, err
	}
	return l.Faulty.Get(ctx, k)
}

func (l *link) Put(ctx context.Context, k store.Key, value []byte, expires time.Time, cond store.Condition) (uint64, error) {
	ctx, err := l.pass(ctx)
	if err != nil {
		return 0, err
	}
	return l.Faulty.Put(ctx, k, value, expires, cond)
}

func (l *link) Query(ctx context.Context, pk, prefix, after string, limit int) (store.Page, error) {
	ctx, err := l.pass(ctx)
	if err != nil {
		return store.Page{}, err
	}
	return l.Faulty.Query(ctx, pk, prefix, after, limit)
}

func (l *link) Append(ctx context.Context, log string, seq uint64, value []byte) error {
	ctx, err := l.pass(ctx)
	if err != nil {
		return err
	}
	return l.Faulty.Append(ctx, log, seq, value)
}

func (l *link) ReadLog(ctx context.Context, log string, since uint64, limit int) ([]store.Record, error) {
	ctx, err := l.pass(ctx)
	if err != nil {
		return nil, err
	}
	return l.Faulty.ReadLog(ctx, log, since, limit)
}

func (l *link) LastSeq(ctx context.Context, log string) (uint64, error) {
	ctx, err := l.pass(ctx)
	if err != nil {
		return 0, err
	}
	return l.Faulty.LastSeq(ctx, log)
}

// gatedBook lets a test in before a scan's changes are applied. They are then applied whatever has become of the scan: a
// process that goes on after it was stopped may do a lot before its timers tell it that time has passed.
type gatedBook struct {
	scan.Book
	n *node
}

func (b gatedBook) Apply(ctx context.Context, changes []scan.Change) error {
	if fn := b.n.gate.Load(); fn != nil {
		(*fn)()
		ctx = context.WithoutCancel(ctx)
	}
	err := b.Book.Apply(ctx, changes)
	if err == nil {
		b.n.applied.Add(1)
	}
	return err
}

// newFleet opens a store. Call it in the bubble.
func newFleet(t *testing.T) *fleet {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "tutti.db"), sqlite.Options{Clock: clock.System, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &fleet{t: t, store: s, music: t.TempDir()}
}

// start starts a node. With scans it takes its turn at scanning, else it follows.
func (f *fleet) start(name string, scans bool) *node {
	f.t.Helper()
	n := &node{name: name}
	n.link = &link{counts: make(map[string]int)}
	n.link.Faulty = storetest.NewFaulty(f.store, n.link.decide)
	libraries := []tutti.Library{{ID: "1", Name: "Music", Path: f.music}}
	cfg := catalog.Config{
		Store: n.link, Clock: clock.System, Logger: slog.New(slog.DiscardHandler), Node: name, Tuning: f.tune,
		Origin: shelfware{libraries},
		Packed: func() bool { return f.forms.Add(1)%2 == 0 }, // as in a fleet that is being upgraded, and back, and again
	}
	if scans {
		o, err := folder.New(folder.Config{Libraries: []folder.Library{{ID: "1", Name: "Music", Path: f.music}}, Logger: cfg.Logger})
		if err != nil {
			f.t.Fatal(err)
		}
		cfg.Origin = o
		cfg.NewScanner = func(b scan.Book) (catalog.Scanner, error) {
			return scan.New(scan.Config{Origin: o, Book: gatedBook{b, n}, Clock: clock.System, Logger: cfg.Logger, Workers: 1})
		}
	}
	n.desk = &desk{store: f.store, cfg: cfg}
	n.reopen(f.t)
	n.run()
	f.t.Cleanup(func() { n.stop(f.t) })
	return n
}

// run runs the node, as its process does.
func (n *node) run() {
	ctx, end := context.WithCancel(context.Background())
	n.end, n.ended = end, make(chan error, 1)
	c := n.Catalog
	go func() { n.ended <- c.Run(ctx) }()
}

// stop ends the node, as a process ends that is told to.
func (n *node) stop(t testing.TB) {
	if n.end == nil {
		return
	}
	n.end()
	if err := <-n.ended; err != nil {
		t.Error(err)
	}
	n.end = nil
}

// restart ends the node and starts it again.
func (n *node) restart(t testing.TB) {
	t.Helper()
	n.stop(t)
	n.reopen(t)
	n.run()
}

// write makes a sound file of its own.
func (f *fleet) write(name string, seed int) {
	f.t.Helper()
	p := filepath.Join(f.music, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		f.t.Fatal(err)
	}
	const samples = 4000
	b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00")
	b = binary.LittleEndian.AppendUint32(b, 8000)
	b = binary.LittleEndian.AppendUint32(b, 8000*2)
	b = append(b, 2, 0, 16, 0)
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, samples*2)
	for i := range samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(i*seed))
	}
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-8))
	if err := os.WriteFile(p, b, 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// within waits until cond holds, and returns how long that took. It fails after the limit.
func (f *fleet) within(limit time.Duration, what string, cond func() bool) time.Duration {
	f.t.Helper()
	began := time.Now()
	for !cond() {
		if time.Since(began) >= limit {
			f.t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(began)
}

func status(t testing.TB, n *node) tutti.ScanStatus {
	t.Helper()
	st, err := n.ScanStatus(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// scannerOf returns the node that scans; nil while none does.
func scannerOf(nodes ...*node) *node {
	for _, n := range nodes {
		if strings.Contains(metrics(n), "tutti_catalog_scanner 1") {
			return n
		}
	}
	return nil
}

// TestOneNodeScans: of three nodes one scans, whichever is asked; all show how it gets on and what it found; and none
// does anything while there is nothing to do but to look at the log and to keep the lease.
func TestOneNodeScans(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		for i := range 30 {
			f.write(fmt.Sprintf("a/%02d.wav", i), i+1)
		}
		nodes := []*node{f.start("a", true), f.start("b", true), f.start("c", true)}
		f.within(time.Second, "a scanner", func() bool { return scannerOf(nodes...) != nil })
		holder := scannerOf(nodes...)
		var others []*node
		for _, n := range nodes {
			if n != holder {
				others = append(others, n)
			}
		}
		asked := others[0]
		var seen []tutti.ScanStatus
		watching, unwatch := context.WithCancel(t.Context())
		watched := make(chan error, 1)
		go func() {
			watched <- others[1].WatchScan(watching, func(st tutti.ScanStatus) error {
				seen = append(seen, st)
				return nil
			})
		}()
		st, err := asked.Scan(t.Context(), false)
		if err != nil || !st.Scanning {
			t.Fatalf("asked: %+v, %v", st, err)
		}
		took := f.within(2*time.Second, "the scan's end is known everywhere", func() bool {
			for _, n := range nodes {
				if st := status(t, n); st.Scanning || st.Added != 30 || st.Tracks != 30 {
					return false
				}
			}
			return true
		})
		t.Logf("asked, scanned and known to all after %v", took)
		for _, n := range others {
			if n.applied.Load() != 0 {
				t.Errorf("%s wrote, too", n.name)
			}
			if a, b := n.everything(t), holder.everything(t); a != b {
				t.Errorf("%s says\n%s\ninstead of\n%s", n.name, a, b)
			}
			if a, b := status(t, n), status(t, holder); !a.Finished.Equal(b.Finished) || a.Seen != b.Seen {
				t.Errorf("%s says of the scan %+v instead of %+v", n.name, a, b)
			}
		}
		time.Sleep(time.Second)
		unwatch()
		if err := <-watched; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		last := seen[len(seen)-1]
		if len(seen) < 2 || last.Scanning || last.Added != 30 {
			t.Errorf("who watched on another node saw %+v", seen)
		}
		scanned := false
		for _, s := range seen {
			scanned = scanned || s.Scanning
		}
		if !scanned {
			t.Error("who watched on another node saw no scan")
		}

		for _, n := range nodes {
			n.link.calls()
		}
		time.Sleep(time.Minute)
		for _, n := range nodes {
			for call, times := range n.link.calls() {
				limit := map[string]int{"LastSeq catalog": 121, "LastSeq playlists": 6}[call]
				if strings.HasSuffix(call, " lease#scanner") {
					limit = 25
				}
				if times > limit {
					t.Errorf("idle for a minute, %s called %s %d times instead of %d", n.name, call, times, limit)
				}
			}
		}
	})
}

// TestStoppedScanner stops the scanning node in the middle of a scan, as SIGSTOP does. Another takes over and finishes;
// when the first one goes on, with a batch on its way to the store, it changes nothing any more.
func TestStoppedScanner(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"before the batch", "as the batch is sent"} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				const files = 1200 // three batches
				for i := range files {
					f.write(fmt.Sprintf("%d/%04d.wav", i/100, i), i+1)
				}
				a, b, c := f.start("a", true), f.start("b", true), f.start("c", true)
				f.within(time.Second, "a scanner", func() bool { return scannerOf(a, b, c) != nil })
				stopped := scannerOf(a, b, c)
				var others []*node
				for _, n := range []*node{a, b, c} {
					if n != stopped {
						others = append(others, n)
					}
				}
				thaw := make(chan struct{})
				var calls atomic.Int64
				gate := func() {
					if calls.Add(1) != 2 { // the second batch
						return
					}
					stopped.link.freeze()
					if where == "before the batch" {
						<-thaw
					}
				}
				stopped.gate.Store(&gate)
				if _, err := others[0].Scan(t.Context(), true); err != nil {
					t.Fatal(err)
				}
				f.within(5*time.Second, "the scan is stopped", func() bool { return calls.Load() == 2 })
				took := f.within(20*time.Second, "another node takes over", func() bool { return scannerOf(others...) != nil })
				t.Logf("another node took over after %v", took)
				f.within(5*time.Second, "it finishes, and both know", func() bool {
					for _, n := range others {
						if st := status(t, n); st.Scanning || st.Tracks != files {
							return false
						}
					}
					return true
				})
				last, err := f.store.LastSeq(t.Context(), "catalog")
				if err != nil {
					t.Fatal(err)
				}
				want := others[0].everything(t)
				stopped.link.thaw()
				if where == "before the batch" {
					close(thaw)
				}
				f.within(15*time.Second, "the stopped node catches up", func() bool {
					return stopped.TrackCount("1") == files && stopped.everything(t) == want
				})
				if got := stopped.applied.Load(); got != 1 {
					t.Errorf("the stopped node applied %d batches instead of 1", got)
				}
				time.Sleep(time.Minute)
				now, err := f.store.LastSeq(t.Context(), "catalog")
				if err != nil || now != last {
					t.Errorf("the log went on from %d to %d (%v)", last, now, err)
				}
			})
		})
	}
}

// TestScannerStops: a node that is told to stop gives the scan to another one at once.
func TestScannerStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		for i := range 700 { // two batches
			f.write(fmt.Sprintf("%d/%04d.wav", i/100, i), i+1)
		}
		a := f.start("a", true)
		f.within(time.Second, "a scanner", func() bool { return scannerOf(a) != nil })
		b := f.start("b", true)
		stop := make(chan struct{})
		var once sync.Once
		gate := func() { once.Do(func() { close(stop) }) }
		a.gate.Store(&gate)
		if _, err := b.Scan(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		<-stop
		a.stop(t)
		took := f.within(5*time.Second, "the other node finishes", func() bool {
			st := status(t, b)
			return !st.Scanning && st.Tracks == 700
		})
		t.Logf("finished by another node after %v", took)
	})
}

// TestFollowing: what one node applies the others show within a second, also while thousands of changes are made.
func TestFollowing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.tune.SnapshotBytes = 100_000 // several, meanwhile
		w := f.start("writer", false)
		followers := []*node{f.start("b", false), f.start("c", false)}
		var batch []scan.Change
		var worst time.Duration
		i := 0
		for e := range catalogtest.Synthetic(6000) {
			i++
			if batch = append(batch, scan.Change{Put: &e}); len(batch) < 100 {
				continue
			}
			if err := w.Apply(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			batch = nil
			began := time.Now()
			if i%1000 == 0 {
				for _, n := range followers {
					f.within(time.Second, "the followers have it", func() bool { _, ok := n.Entry(e.ID); return ok })
				}
				worst = max(worst, time.Since(began))
			}
			time.Sleep(70 * time.Millisecond)
		}
		t.Logf("at most %v behind", worst)
		f.within(time.Second, "all is known", func() bool {
			return followers[0].TrackCount("1") == i && followers[1].TrackCount("1") == i
		})
		for _, n := range followers {
			if n.everything(t) != w.everything(t) {
				t.Errorf("%s says something else than the writer", n.name)
			}
			if !strings.Contains(metrics(n), "tutti_catalog_loads_total 1\n") {
				t.Errorf("%s had to load everything again", n.name)
			}
		}
		records, err := f.store.ReadLog(t.Context(), "catalog", 0, 1)
		if err != nil || len(records) != 1 || records[0].Seq == 1 {
			t.Errorf("the log was never trimmed: %v", err)
		}
	})
}

// TestLateNodes: a node that was cut off for longer than the log reaches back, and nodes that join while a snapshot is
// being written and its predecessor deleted, come to know what there is.
func TestLateNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of entries; the others race as well")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		w := f.start("writer", false)
		late := f.start("late", false)
		var entries []scan.Entry
		for e := range catalogtest.Synthetic(3000) {
			entries = append(entries, e)
		}
		apply := func(part []scan.Entry) {
			var batch []scan.Change
			for i := range part {
				batch = append(batch, scan.Change{Put: &part[i]})
			}
			if err := w.Apply(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
		}
		snapshot := func() {
			if err := w.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		apply(entries[:500])
		f.within(time.Second, "the late node follows", func() bool { return late.TrackCount("1") == 500 })
		late.link.away(false)
		for i := 500; i < 2000; i += 500 {
			apply(entries[i : i+500])
			snapshot()
		}
		if late.TrackCount("1") != 500 {
			t.Fatal("it was not cut off")
		}
		time.Sleep(30 * time.Second)
		if err := late.Caught(t.Context()); err != nil {
			t.Errorf("where the store is away a node is as ready as any: %v", err)
		}
		late.link.back()
		took := f.within(2*time.Second, "the late node has caught up", func() bool { return late.everything(t) == w.everything(t) })
		t.Logf("caught up %v after the store came back", took)
		if !strings.Contains(metrics(late), "tutti_catalog_loads_total 2\n") {
			t.Error("it cannot have followed a log that was trimmed")
		}
		// At each step of a snapshot, another node joins.
		apply(entries[2000:])
		joined := 0
		w.link.set(func(c storetest.Call) storetest.Fault {
			if !strings.HasPrefix(c.PK, "catalog") || c.Method == "LastSeq" {
				return storetest.Fault{}
			}
			return storetest.Fault{Before: func() {
				n := &node{desk: &desk{store: f.store, cfg: late.cfg}}
				n.cfg.Store = f.store
				n.reopen(t)
				if n.TrackCount("1") != 3000 {
					t.Errorf("a node that joined at %s %s %s knows %d tracks", c.Method, c.PK, c.SK, n.TrackCount("1"))
				}
				joined++
			}}
		})
		snapshot()
		w.link.back()
		if joined < 5 {
			t.Errorf("only %d nodes joined", joined)
		}
	})
}

// TestPoisonedLog: a node that the store answers and that does not get on all the same is not ready.
func TestPoisonedLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		n := f.start("a", false)
		time.Sleep(time.Minute)
		if err := n.Caught(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := f.store.Append(t.Context(), "catalog", 1, []byte("\xff from another version")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if err := n.Caught(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Second)
		wantKind(t, n.Caught(t.Context()), tutti.KindUnavailable)
	})
}

// metrics returns what a node shows in metrics, a line for each.
func metrics(n *node) string {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(n.Catalog)
	families, err := r.Gather()
	if err != nil {
		return err.Error()
	}
	var out strings.Builder
	for _, f := range families {
		for _, m := range f.GetMetric() {
			v := m.GetGauge().GetValue()
			if m.GetCounter() != nil {
				v = m.GetCounter().GetValue()
			}
			fmt.Fprintf(&out, "%s %v\n", f.GetName(), v)
		}
	}
	return out.String()
}

// TestOneMachineBecomesAFleet, and again one machine: both read what the other wrote, and leave nothing of it behind.
func TestOneMachineBecomesAFleet(t *testing.T) {
	ctx := t.Context()
	d := newDesk(t)
	d.fill(t, catalogtest.Synthetic(800))
	want := d.everything(t)
	parts := func(pk string) int {
		page, err := d.store.Query(ctx, pk, "snapshot-part#", "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		return len(page.Items)
	}
	snapshot := func() {
		t.Helper()
		if err := d.Snapshot(ctx); err != nil {
			t.Fatal(err)
		}
		d.reopen(t)
		if got := d.everything(t); got != want {
			t.Fatalf("after a restart it says\n%s\ninstead of\n%s", got, want)
		}
	}
	change := func() {
		t.Helper()
		for e := range catalogtest.Synthetic(1) {
			e.Title += d.clock.Now().String()
			d.clock.Advance(time.Second)
			if err := d.Apply(ctx, []scan.Change{{Put: &e}}); err != nil {
				t.Fatal(err)
			}
		}
		want = d.everything(t)
	}
	snapshot()
	if parts("catalog") == 0 {
		t.Fatal("there is no snapshot")
	}
	d.cfg.SoleWriter = false
	d.reopen(t)
	if got := d.everything(t); got != want {
		t.Fatalf("the fleet says\n%s\ninstead of\n%s", got, want)
	}
	change()
	snapshot()
	if n := parts("catalog"); n != 0 {
		t.Errorf("%d parts of one machine's snapshot are left", n)
	}
	change()
	snapshot()
	d.cfg.SoleWriter = true
	d.reopen(t)
	if got := d.everything(t); got != want {
		t.Fatalf("the one machine says\n%s\ninstead of\n%s", got, want)
	}
	change()
	snapshot()
	if parts("catalog") == 0 {
		t.Error("there is no snapshot of the one machine's")
	}
	records, err := d.store.ReadLog(ctx, "catalog", 0, 10)
	if err != nil || len(records) != 0 {
		t.Errorf("the log of one machine ends with its snapshot; it has %d records, %v", len(records), err)
	}
}
