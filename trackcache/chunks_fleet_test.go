package trackcache

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tutti"
	"tutti/clock"
	"tutti/store/sqlite"
	"tutti/store/storetest"
	"tutti/trackcache/policy"
)

// testFleet is some members' Chunks over one origin and one store, joined by links that can be made to fail.
type testFleet struct {
	t     testing.TB
	clock *clock.Fake
	o     *objects
	store *storetest.Faulty

	mu        sync.Mutex
	storeAway bool
	hold      func(storetest.Call) func() // what a call of the store waits for; nil: nothing
	nodes     map[string]*Chunks
	away      map[string]bool        // not among the members
	fault     map[string]func() fail // of the links to a member
	seen      map[string]func(tutti.ChunkID) []string
}

// fail is what a link does to one exchange.
type fail struct {
	refuse bool
	stall  bool  // never answer
	cut    int64 // break off after so many bytes; 0 never
	spoil  bool  // change a bit
}

func newFleet(t testing.TB, n int, change ...func(*ChunksConfig)) *testFleet {
	t.Helper()
	fake := clock.NewFake(start)
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), sqlite.Options{Clock: fake, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	f := &testFleet{
		t: t, clock: fake, o: newObjects(),
		nodes: map[string]*Chunks{}, away: map[string]bool{}, fault: map[string]func() fail{}, seen: map[string]func(tutti.ChunkID) []string{},
	}
	f.store = storetest.NewFaulty(s, func(c storetest.Call) storetest.Fault {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.storeAway {
			return storetest.Fault{Err: storetest.Throttled()}
		}
		if f.hold != nil {
			return storetest.Fault{Before: f.hold(c)}
		}
		return storetest.Fault{}
	})
	for i := range n {
		f.add(fmt.Sprintf("c%d", i+1), change...)
	}
	return f
}

func (f *testFleet) add(id string, change ...func(*ChunksConfig)) *Chunks {
	f.t.Helper()
	c := ChunksConfig{
		Origin: f.o, Store: f.store, Clock: f.clock,
		Fleet: view{f, id}, Peer: func(m tutti.Member) tutti.RangeSource { return link{f, m.ID} },
	}
	for _, ch := range change {
		ch(&c)
	}
	n := newChunks(f.t, c)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nodes[id] = n
	return n
}

func (f *testFleet) node(id string) *Chunks {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nodes[id]
}

func (f *testFleet) with(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// settle waits until nothing is being filled or told.
func (f *testFleet) settle() {
	for f.busy() {
		time.Sleep(time.Millisecond)
	}
}

func (f *testFleet) busy() bool {
	f.mu.Lock()
	nodes := slices.Collect(maps.Values(f.nodes))
	f.mu.Unlock() // a node that holds its own lock may be asking this for members
	for _, n := range nodes {
		n.mu.Lock()
		filling := len(n.filling)
		n.mu.Unlock()
		if filling > 0 || len(n.hints) > 0 || len(n.warmth) > 0 {
			return true
		}
	}
	return false
}

// owners are the members that own a chunk, by the highest hash.
func (f *testFleet) owners(id tutti.ChunkID) []string {
	var ids []string
	for n := range f.nodes {
		if !f.away[n] {
			ids = append(ids, n)
		}
	}
	score := func(n string) uint64 {
		h := fnv.New64a()
		fmt.Fprintf(h, "%s/%d/%s", id.Object, id.N, n)
		x := h.Sum64()
		x ^= x >> 33
		x *= 0xff51afd7ed558ccd
		return x ^ x>>33
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Compare(score(b), score(a)) })
	return ids
}

// view is the fleet as one member sees it.
type view struct {
	f    *testFleet
	self string
}

func member(id string) tutti.Member {
	return tutti.Member{ID: id, Service: tutti.ServiceTrackCache, Address: id + ":1", State: tutti.MemberReady}
}

func (v view) Self() tutti.Member { return member(v.self) }

func (v view) Members(tutti.Service) []tutti.Member {
	v.f.mu.Lock()
	defer v.f.mu.Unlock()
	var out []tutti.Member
	for n := range v.f.nodes {
		if !v.f.away[n] {
			out = append(out, member(n))
		}
	}
	return out
}

func (v view) Owners(id tutti.ChunkID, n int) []tutti.Member {
	v.f.mu.Lock()
	defer v.f.mu.Unlock()
	ids := v.f.owners(id)
	if own := v.f.seen[v.self]; own != nil {
		ids = own(id)
	}
	var out []tutti.Member
	for _, id := range ids[:min(n, len(ids))] {
		out = append(out, member(id))
	}
	return out
}

// link is the way to another member.
type link struct {
	f  *testFleet
	to string
}

func (l link) fault() (*Chunks, fail) {
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	var x fail
	if ask := l.f.fault[l.to]; ask != nil {
		x = ask()
	}
	return l.f.nodes[l.to], x
}

func (l link) OpenRange(ctx context.Context, r tutti.Ref, off, n int64, tag string) (io.ReadCloser, tutti.ObjectInfo, error) {
	c, x := l.fault()
	if err := x.before(ctx); err != nil {
		return nil, tutti.ObjectInfo{}, err
	}
	rc, info, err := c.Neighbour().OpenRange(ctx, r, off, n, tag)
	if err != nil {
		return nil, info, err
	}
	if x.cut > 0 {
		rc = readCloser{io.LimitReader(rc, x.cut), rc}
	}
	if x.spoil {
		rc = readCloser{&spoiler{r: rc}, rc}
	}
	return rc, info, nil
}

func (x fail) before(ctx context.Context) error {
	switch {
	case x.refuse:
		return tutti.Errorf(tutti.KindUnavailable, "link", "connection refused")
	case x.stall:
		<-ctx.Done()
		return tutti.Wrap(tutti.KindUnavailable, "link", ctx.Err())
	}
	return nil
}

func (l link) Held(ctx context.Context, r tutti.Ref, n int64) ([]byte, error) {
	c, x := l.fault()
	if err := x.before(ctx); err != nil {
		return nil, err
	}
	return c.Neighbour().Held(ctx, r, n)
}

func (l link) Warm(ctx context.Context, r tutti.Ref, n int64, fetch bool) error {
	c, x := l.fault()
	if err := x.before(ctx); err != nil {
		return err
	}
	return c.Neighbour().Warm(ctx, r, n, fetch)
}

type readCloser struct {
	io.Reader
	io.Closer
}

// spoiler changes one bit of the first read.
type spoiler struct {
	r    io.Reader
	done bool
}

func (s *spoiler) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if n > 0 && !s.done {
		s.done = true
		p[n/2] ^= 1
	}
	return n, err
}

// firstOf and secondOf are the Chunks of a chunk's owners, and other those of a member that does not own it.
func (f *testFleet) ranked(r tutti.Ref, n int64, rank int) *Chunks {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nodes[f.owners(tutti.ChunkID{Object: r.ID(), N: n})[rank]]
}

func (f *testFleet) name(r tutti.Ref, n int64, rank int) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.owners(tutti.ChunkID{Object: r.ID(), N: n})[rank]
}

// readAt reads n bytes from off through one member, as a slice is read.
func readAt(t testing.TB, c *Chunks, r tutti.Ref, off, n int64) []byte {
	t.Helper()
	b, err := tryReadAt(t, c, r, off, n)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func tryReadAt(t testing.TB, c *Chunks, r tutti.Ref, off, n int64) ([]byte, error) {
	t.Helper()
	o, err := c.OpenAt(t.Context(), r, off)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	var b bytes.Buffer
	m, err := o.CopyRange(t.Context(), &b, off, n)
	if m != int64(b.Len()) {
		t.Errorf("CopyRange says %d for %d bytes", m, b.Len())
	}
	return b.Bytes(), err
}

func TestFleetReadsTheOriginOnceAChunk(t *testing.T) {
	f := newFleet(t, 3)
	data := noise(1, 2*tutti.ChunkSize+100)
	r := f.o.put("a.flac", data)
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			obj, err := f.ranked(r, 0, i%3).OpenAt(t.Context(), r, 0)
			if err != nil {
				t.Error(err)
				return
			}
			defer obj.Close()
			w := expect{want: data}
			if n, err := obj.CopyRange(t.Context(), &w, 0, -1); err != nil || len(w.want) > 0 {
				t.Errorf("%d bytes came, %v", n, err)
			}
		})
	}
	wg.Wait()
	f.settle()
	for n := range int64(3) {
		if got := f.o.count(r.Path, n*tutti.ChunkSize); got != 1 {
			t.Errorf("the origin was read %d times for chunk %d", got, n)
		}
		id := tutti.ChunkID{Object: r.ID(), N: n}
		if f.ranked(r, n, 2).disk.has(id) {
			t.Errorf("chunk %d lies on the disk of a member that does not own it", n)
		}
	}
}

func TestSecondOwnerHasWhatIsAskedForTwice(t *testing.T) {
	f := newFleet(t, 3)
	data := noise(1, 100_000)
	r := f.o.put("a.flac", data)
	for range 3 {
		readAt(t, f.ranked(r, 0, 0), r, 0, -1)
		f.settle()
	}
	second := f.ranked(r, 0, 1)
	if !second.disk.has(tutti.ChunkID{Object: r.ID()}) {
		t.Fatal("the second owner does not have it")
	}
	if f.o.opened.Load() != 1 {
		t.Errorf("the origin was asked %d times", f.o.opened.Load())
	}
	f.o.with(func() { f.o.fault = func(tutti.Ref, int64, int64) error { return errAway } })
	first := f.name(r, 0, 0)
	f.with(func() { f.away[first] = true })
	if got := readAt(t, second, r, 0, -1); !bytes.Equal(got, data) {
		t.Error("other bytes came")
	}
}

var errAway = tutti.Errorf(tutti.KindUnavailable, "objects", "connection refused")

func TestNewFirstOwnerAsksTheOneBefore(t *testing.T) {
	f := newFleet(t, 2)
	data := noise(1, 100_000)
	r := f.o.put("a.flac", data)
	first, second := f.name(r, 0, 0), f.name(r, 0, 1)
	f.with(func() { f.away[first] = true }) // as if it were not there yet
	readAt(t, f.node(second), r, 0, -1)
	f.settle()
	f.with(func() { f.away[first] = false })
	if got := readAt(t, f.node(first), r, 0, -1); !bytes.Equal(got, data) {
		t.Error("other bytes came")
	}
	if f.o.opened.Load() != 1 {
		t.Errorf("the origin was asked %d times", f.o.opened.Load())
	}
}

func TestMembersDoNotWaitForEachOther(t *testing.T) {
	f := newFleet(t, 2)
	data := noise(1, 100_000)
	r := f.o.put("a.flac", data)
	// Each takes the other for the first owner.
	f.with(func() {
		f.seen["c1"] = func(tutti.ChunkID) []string { return []string{"c2", "c1"} }
		f.seen["c2"] = func(tutti.ChunkID) []string { return []string{"c1", "c2"} }
	})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if got := readAt(t, f.node([]string{"c1", "c2"}[i%2]), r, 0, -1); !bytes.Equal(got, data) {
				t.Error("other bytes came")
			}
		})
	}
	wg.Wait()
	if n := f.o.opened.Load(); n < 1 || n > 2 {
		t.Errorf("the origin was asked %d times", n)
	}
}

func TestLinksThatFail(t *testing.T) {
	for name, x := range map[string]fail{
		"refused": {refuse: true}, "broken off": {cut: 70_000}, "silent": {stall: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 3)
			data := noise(1, tutti.ChunkSize+4)
			r := f.o.put("a.flac", data)
			first := f.name(r, 0, 0)
			f.with(func() { f.fault[first] = func() fail { return x } })
			done := make(chan struct{})
			go func() { // a silent member is given up by the clock
				defer close(done)
				if got := readAt(t, f.ranked(r, 0, 2), r, 0, tutti.ChunkSize); !bytes.Equal(got, data[:tutti.ChunkSize]) {
					t.Error("other bytes came")
				}
			}()
			for {
				select {
				case <-done:
					for f.busy() { // something else may wait for the silent one
						f.clock.Advance(100 * time.Millisecond)
						time.Sleep(time.Millisecond)
					}
					return
				case <-time.After(5 * time.Millisecond):
					f.clock.Advance(100 * time.Millisecond)
				}
			}
		})
	}
}

func TestOneMemberAsksTheOriginForADeadFirstOwner(t *testing.T) {
	f := newFleet(t, 4)
	data := noise(1, tutti.ChunkSize)
	r := f.o.put("a.flac", data)
	gate := make(chan struct{})
	f.o.gate = gate
	first, second := f.name(r, 0, 0), f.name(r, 0, 1)
	f.with(func() {
		f.fault[first] = func() fail { return fail{refuse: true} }
		f.fault[second] = f.fault[first] // as far as the others can see
	})
	var wg sync.WaitGroup
	for _, rank := range []int{2, 3} {
		wg.Go(func() {
			if got := readAt(t, f.ranked(r, 0, rank), r, 0, -1); !bytes.Equal(got, data) {
				t.Error("other bytes came")
			}
		})
		for f.o.opened.Load() == 0 { // the first has the lease
			time.Sleep(time.Millisecond)
		}
	}
	for f.ranked(r, 0, 2).stats.leased.Load()+f.ranked(r, 0, 3).stats.leased.Load() == 0 { // one reads along with the other
		time.Sleep(time.Millisecond)
	}
	close(gate)
	wg.Wait()
	f.settle()
	if n := f.o.opened.Load(); n != 1 {
		t.Errorf("the origin was asked %d times", n)
	}
}

func TestSilentMemberIsNotAskedAgain(t *testing.T) {
	f := newFleet(t, 3)
	data := noise(1, 100_000)
	r := f.o.put("a.flac", data)
	asker, first := f.ranked(r, 0, 1), f.name(r, 0, 0)
	var asked atomic.Int64
	f.with(func() { f.fault[first] = func() fail { asked.Add(1); return fail{stall: true} } })
	done := make(chan struct{})
	go func() {
		defer close(done)
		readAt(t, asker, r, 0, -1)
	}()
	for open := true; open; {
		select {
		case <-done:
			open = false
		case <-time.After(time.Millisecond):
			f.clock.Advance(50 * time.Millisecond)
		}
	}
	before := asked.Load()
	asker.disk.drop(tutti.ChunkID{Object: r.ID()}, nil)
	readAt(t, asker, r, 0, -1)
	if n := asked.Load() - before; n != 0 {
		t.Errorf("it was asked %d times more", n)
	}
	f.with(func() { delete(f.fault, first) })
	f.clock.Advance(policy.SuspectFor)
	f.settle()
	asker.disk.drop(tutti.ChunkID{Object: r.ID()}, nil)
	fills := asker.stats.fillsPeer.Load()
	readAt(t, asker, r, 0, -1)
	if asker.stats.fillsPeer.Load() != fills+1 {
		t.Error("it was not asked when it was back")
	}
}

func TestMetricsOfChunks(t *testing.T) {
	f := newFleet(t, 1)
	read(t, f.node("c1"), f.o.put("a.flac", noise(1, 1000)))
	f.settle()
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(f.node("c1")); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, m := range families {
		for _, x := range m.GetMetric() {
			label := ""
			if len(x.GetLabel()) > 0 {
				label = x.GetLabel()[0].GetValue()
			}
			got[m.GetName()+" "+label] = x.GetCounter().GetValue() + x.GetGauge().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"tutti_chunks_reads_total filled": 1, "tutti_chunks_filled_bytes_total origin": 1000, "tutti_chunks_fills_total origin": 1,
		"tutti_chunks_stored disk": 1, "tutti_chunks_stored_bytes disk": 1000 + chunkHeader, "tutti_chunks_origin_total read": 1, "tutti_chunks_origin_away 1": 0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (%v), not %v", name, v, ok, want)
		}
	}
}

func TestHeadsStartWhatTheOriginIsSlowToSend(t *testing.T) {
	f := newFleet(t, 3)
	data := noise(1, tutti.ChunkSize+4)
	r := f.o.put("a.flac", data)
	readAt(t, f.ranked(r, 0, 0), r, 0, -1)
	f.settle()
	if n := f.ranked(r, 0, 0).heads.written.Load(); n != 0 {
		t.Fatalf("%d heads were written after one start", n)
	}
	readAt(t, f.ranked(r, 0, 0), r, 0, -1)
	f.settle()
	if n := f.ranked(r, 0, 0).heads.written.Load(); n != 0 {
		t.Fatalf("%d heads were written after one start that asked twice", n)
	}
	f.clock.Advance(startAgain)
	readAt(t, f.ranked(r, 0, 0), r, 0, -1)
	f.settle()
	if n := f.ranked(r, 0, 0).heads.written.Load(); n != 1 {
		t.Fatalf("%d heads were written after two starts", n)
	}
	readAt(t, f.ranked(r, 0, 0), r, 0, -1)
	f.settle()
	if n := f.ranked(r, 0, 0).heads.written.Load(); n != 1 {
		t.Fatalf("%d heads were written after three starts", n)
	}

	// All of the fleet is new; the origin answers, but nothing comes.
	g := newFleet(t, 3)
	g.o, g.store = f.o, f.store
	g2 := g.add("c4", func(c *ChunksConfig) { c.Origin, c.Store = f.o, f.store })
	g.with(func() { g.seen["c4"] = func(tutti.ChunkID) []string { return []string{"c4"} } })
	gate := make(chan struct{})
	f.o.with(func() { f.o.gate = gate })
	o, err := g2.OpenAt(t.Context(), r, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	var b bytes.Buffer
	if _, err := o.CopyRange(t.Context(), &b, 0, tutti.HeadSize); err != nil || !bytes.Equal(b.Bytes(), data[:tutti.HeadSize]) {
		t.Fatalf("%d bytes, %v", b.Len(), err)
	}
	close(gate)
	if got := all(t, o); !bytes.Equal(got, data) {
		t.Error("other bytes came")
	}
	if n := f.o.count(r.Path, tutti.HeadSize); n != 1 {
		t.Errorf("the origin was asked %d times for what follows the head", n)
	}
}

// TestStartsThatNginxAnswersCount: what is prepared again and again is played often, though no byte of it is asked for here.
func TestStartsThatNginxAnswersCount(t *testing.T) {
	f := newFleet(t, 3)
	r := f.o.put("a.flac", noise(1, 400_000))
	owner := f.ranked(r, 0, 0)
	for i, want := range []int64{0, 1, 1} {
		if _, err := owner.Prepare(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		f.settle()
		if n := owner.heads.written.Load(); n != want {
			t.Fatalf("%d heads were written after %d starts", n, i+1)
		}
		f.clock.Advance(startAgain)
	}
}

// TestHeadStartsWhileItsRestComes: the start of a head is heard before the store has sent the rest.
func TestHeadStartsWhileItsRestComes(t *testing.T) {
	f := newFleet(t, 1, func(c *ChunksConfig) { c.Heads.When = HeadsAlways })
	data := noise(1, tutti.ChunkSize)
	r := f.o.put("a.flac", data)
	readAt(t, f.node("c1"), r, 0, -1)
	f.settle()
	n := f.add("c2")
	rest, origin := make(chan struct{}), make(chan struct{})
	f.with(func() {
		f.seen["c2"] = func(tutti.ChunkID) []string { return []string{"c2"} }
		f.hold = func(c storetest.Call) func() {
			if c.Method == "Get" && c.SK == headRestKey("").SK {
				return func() { <-rest }
			}
			return nil
		}
	})
	f.o.with(func() { f.o.gate = origin })
	o, err := n.OpenAt(t.Context(), r, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	for _, part := range []struct {
		from, to int64
		next     chan struct{}
	}{{0, headStart, rest}, {headStart, tutti.HeadSize, origin}, {tutti.HeadSize, tutti.ChunkSize, make(chan struct{})}} {
		var b bytes.Buffer
		if _, err := o.CopyRange(t.Context(), &b, part.from, part.to-part.from); err != nil || !bytes.Equal(b.Bytes(), data[part.from:part.to]) {
			t.Fatalf("from %d: %d bytes, %v", part.from, b.Len(), err)
		}
		close(part.next)
	}
}

func TestHeadThatIsOldIsDropped(t *testing.T) {
	f := newFleet(t, 1, func(c *ChunksConfig) { c.Heads.When = HeadsAlways })
	before, after := noise(1, 400_000), noise(2, 400_000)
	r := f.o.put("a.flac", before)
	readAt(t, f.node("c1"), r, 0, -1)
	f.settle()
	if n := f.node("c1").heads.written.Load(); n != 1 {
		t.Fatalf("%d heads were written", n)
	}
	f.o.put("a.flac", after)
	n := f.add("c2")
	f.with(func() { f.seen["c2"] = func(tutti.ChunkID) []string { return []string{"c2"} } })
	got, err := tryReadAt(t, n, r, 0, -1)
	if err == nil && !bytes.Equal(got, after) || !bytes.HasPrefix(before, got) && !bytes.Equal(got, after) {
		t.Fatalf("%d bytes of two states, %v", len(got), err)
	}
	f.settle()
	for range 2 {
		if got, err = tryReadAt(t, n, r, 0, -1); err == nil {
			break
		}
		f.settle()
	}
	if err != nil || !bytes.Equal(got, after) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestHeadsKeepToTheirQuota(t *testing.T) {
	f := newFleet(t, 1, func(c *ChunksConfig) {
		c.Heads = HeadPolicy{When: HeadsAlways, WritesPerMonth: 120} // one head of 100 KB, not two
	})
	n := f.node("c1")
	var refs []tutti.Ref
	for i := range 3 {
		r := f.o.put(fmt.Sprint(i), noise(uint64(i), 100_000))
		refs = append(refs, r)
		readAt(t, n, r, 0, -1)
		f.settle()
	}
	if w, s := n.heads.written.Load(), n.heads.skipped.Load(); w != 1 || s != 2 {
		t.Errorf("%d heads were written, %d skipped", w, s)
	}
	f.clock.Advance(32 * 24 * time.Hour) // another month
	for _, r := range refs[1:] {
		readAt(t, n, r, 0, -1)
		f.settle()
	}
	if w := n.heads.written.Load(); w != 2 {
		t.Errorf("%d heads were written by the next month", w)
	}
}

func TestHeadsQuotaIsTheFleets(t *testing.T) {
	f := newFleet(t, 3, func(c *ChunksConfig) {
		c.Heads = HeadPolicy{When: HeadsAlways, WritesPerMonth: 360} // three heads of 100 KB: one each
	})
	for i := range 30 {
		r := f.o.put(fmt.Sprint(i), noise(uint64(i), 100_000))
		readAt(t, f.ranked(r, 0, 0), r, 0, -1)
		f.settle()
	}
	for id, n := range f.nodes {
		if w := n.heads.written.Load(); w != 1 {
			t.Errorf("%s wrote %d heads", id, w)
		}
	}
}

func TestListeningGetsTheNextChunkAhead(t *testing.T) {
	f := newFleet(t, 4)
	data := noise(1, 6*tutti.ChunkSize)
	r := f.o.put("a.flac", data)
	slice := func(n int64) {
		t.Helper()
		if got := readAt(t, f.ranked(r, n, 0), r, n*tutti.ChunkSize, tutti.ChunkSize); !bytes.Equal(got, data[n*tutti.ChunkSize:(n+1)*tutti.ChunkSize]) {
			t.Error("other bytes came")
		}
		f.settle()
	}
	has := func(n int64) bool { return f.ranked(r, n, 0).disk.has(tutti.ChunkID{Object: r.ID(), N: n}) }
	if _, err := f.ranked(r, 0, 0).Prepare(t.Context(), r); err != nil { // as every start begins
		t.Fatal(err)
	}
	f.settle()
	slice(0)
	if !has(1) || has(2) {
		t.Fatalf("after the first chunk: the second is there: %v, the third: %v", has(1), has(2))
	}
	f.clock.Advance(30 * time.Second) // of music
	slice(1)
	if !has(2) || has(3) {
		t.Fatalf("after the second chunk: the third is there: %v, the fourth: %v", has(2), has(3))
	}
	slice(4) // a leap
	if has(5) {
		t.Error("a leap got the chunk after it")
	}
	if n := f.o.opened.Load(); n != 4 {
		t.Errorf("the origin was asked %d times", n)
	}
	f.clock.Advance(time.Second) // no play: a download
	slice(2)
	slice(3)
	slice(4)
	if !has(5) {
		t.Error("a row after a leap was not seen")
	}
}

func TestWhoSendsTheEndTakesTheSeal(t *testing.T) {
	f := newFleet(t, 4)
	r := f.o.put("a.flac", noise(1, 4*tutti.ChunkSize))
	verify := func() (who []string) {
		for _, id := range []string{"c1", "c2", "c3", "c4"} {
			if f.node(id).Verifies(r) {
				who = append(who, id)
			}
		}
		return who
	}
	readAt(t, f.ranked(r, 3, 0), r, 3*tutti.ChunkSize, tutti.ChunkSize) // a leap to the end
	f.settle()
	if who := verify(); who != nil {
		t.Errorf("%v would, after a leap", who)
	}
	for n := range int64(4) {
		if who := verify(); who != nil {
			t.Errorf("%v would, before chunk %d", who, n)
		}
		readAt(t, f.ranked(r, n, 0), r, n*tutti.ChunkSize, tutti.ChunkSize)
		f.settle()
	}
	if who, want := verify(), []string{f.name(r, 3, 0)}; !slices.Equal(who, want) {
		t.Errorf("%v would, not %v", who, want)
	}
}

func TestOriginAway(t *testing.T) {
	f := newFleet(t, 2)
	data := noise(1, 3*tutti.ChunkSize)
	r, cold := f.o.put("a.flac", data), f.o.put("b.flac", data)
	for n := range int64(3) { // wholly in reach, one chunk here, one there
		readAt(t, f.ranked(r, n, 0), r, n*tutti.ChunkSize, tutti.ChunkSize)
		f.settle()
	}
	f.o.with(func() { f.o.fault = func(tutti.Ref, int64, int64) error { return errAway } })
	c := f.ranked(r, 0, 0)
	for !c.guard.isOpen("1") {
		done := make(chan error, 1)
		go func() {
			_, err := tryReadAt(t, c, cold, 0, -1)
			done <- err
		}()
		for waiting := true; waiting; {
			select {
			case err := <-done:
				if !tutti.IsKind(err, tutti.KindUnavailable) {
					t.Fatal(err)
				}
				waiting = false
			case <-time.After(time.Millisecond):
				f.clock.Advance(10 * time.Millisecond)
			}
		}
	}
	asked := f.o.opened.Load()
	began := time.Now()
	if _, err := c.OpenAt(t.Context(), cold, 0); !tutti.IsKind(err, tutti.KindUnavailable) {
		t.Fatal(err)
	}
	if _, err := c.Prepare(t.Context(), cold); !tutti.IsKind(err, tutti.KindUnavailable) {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 50*time.Millisecond {
		t.Errorf("it took %v to say that the origin is away", took)
	}
	if ready, err := c.Prepare(t.Context(), r); err != nil || !ready.Ready || ready.Size != int64(len(data)) {
		t.Errorf("what is in reach is not ready: %+v, %v", ready, err)
	}
	f.with(func() { clear(f.fault) })
	if got := readAt(t, c, r, 0, -1); !bytes.Equal(got, data) {
		t.Error("other bytes came")
	}
	if f.o.opened.Load() != asked {
		t.Error("listeners' requests went to an origin that is away")
	}

	f.o.with(func() { f.o.fault = nil })
	for c.guard.isOpen("1") {
		f.clock.Advance(100 * time.Millisecond)
		time.Sleep(time.Millisecond)
	}
	if got := readAt(t, c, cold, 0, -1); !bytes.Equal(got, data) {
		t.Error("other bytes came")
	}
	f.settle()
}

// TestOriginAwayAndAMemberSilent: what only a silent member has cannot be had, whoever has the beginning; what another
// has as well can.
func TestOriginAwayAndAMemberSilent(t *testing.T) {
	f := newFleet(t, 3)
	data := noise(1, 6*tutti.ChunkSize)
	once, twice := f.o.put("once.flac", data), f.o.put("twice.flac", data)
	for n := range int64(6) {
		readAt(t, f.ranked(once, n, 0), once, n*tutti.ChunkSize, tutti.ChunkSize)
		for rank := range 2 {
			readAt(t, f.ranked(twice, n, rank), twice, n*tutti.ChunkSize, tutti.ChunkSize)
		}
		f.settle()
	}
	f.o.with(func() { f.o.fault = func(tutti.Ref, int64, int64) error { return errAway } })
	asked := f.name(once, 0, 0) // has the beginning
	c := f.node(asked)
	losing(t, c, once)
	prepare := func(r tutti.Ref) (ready tutti.Readiness, err error) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			ready, err = c.Prepare(t.Context(), r)
		}()
		for {
			select {
			case <-done:
				return ready, err
			case <-time.After(time.Millisecond):
				f.clock.Advance(time.Millisecond)
			}
		}
	}
	for _, r := range []tutti.Ref{once, twice} {
		if ready, err := prepare(r); err != nil || !ready.Ready {
			t.Errorf("%s is in reach: %+v, %v", r.Path, ready, err)
		}
	}
	for _, x := range []fail{{stall: true}, {refuse: true}} {
		lost := 0
		for id := range f.nodes {
			if id == asked {
				continue
			}
			f.with(func() { f.fault[id] = func() fail { return x } })
			alone := slices.ContainsFunc([]int64{1, 2, 3, 4, 5}, func(n int64) bool { return f.name(once, n, 0) == id })
			ready, err := prepare(once)
			if alone {
				lost++
			}
			if alone != tutti.IsKind(err, tutti.KindUnavailable) || ready.Ready == alone {
				t.Errorf("%+v: %s is silent, which alone has a chunk: %v; yet %+v, %v", x, id, alone, ready, err)
			}
			if ready, err := prepare(twice); err != nil || !ready.Ready {
				t.Errorf("%+v: %s is silent, and others have all: %+v, %v", x, id, ready, err)
			}
			f.with(func() { delete(f.fault, id) })
			f.clock.Advance(policy.SuspectFor)
		}
		if lost == 0 {
			t.Error("nobody had a chunk alone; this test tests nothing")
		}
	}
}

// losing has the node find out that the storage is away, by asking for r and for what it never had.
func losing(t *testing.T, c *Chunks, r tutti.Ref) {
	t.Helper()
	for !c.guard.isOpen(r.Library) {
		for _, r := range []tutti.Ref{r, {Library: r.Library, Path: "cold.flac", Version: "cold"}} {
			if _, _, err := c.guard.OpenRange(t.Context(), r, 0, 1, ""); !tutti.IsKind(err, tutti.KindUnavailable) {
				t.Fatal(err)
			}
		}
	}
}

// sealed has the seal of an original taken by the node.
func sealed(t *testing.T, f *testFleet, c *Chunks, r tutti.Ref) {
	t.Helper()
	o, err := c.OpenToVerify(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	s := NewSealer()
	if _, err := o.CopyRange(t.Context(), s, 0, -1); err != nil {
		t.Fatal(err)
	}
	if err := c.Seal(t.Context(), r, s); err != nil {
		t.Fatal(err)
	}
	f.settle()
}

func TestSealedBytesAreNeverOthers(t *testing.T) {
	f := newFleet(t, 3)
	data := noise(1, 2*tutti.ChunkSize+sealBlock+5)
	r := f.o.put("a.flac", data)
	sealed(t, f, f.ranked(r, 0, 0), r)

	t.Run("from the origin", func(t *testing.T) {
		bad := 2
		n := f.add("alone1")
		f.with(func() { f.seen["alone1"] = func(tutti.ChunkID) []string { return []string{"alone1"} } })
		f.o.with(func() {
			f.o.spoil = func(off int64, b []byte) {
				if bad > 0 {
					bad--
					b[len(b)-1] ^= 1
				}
			}
		})
		if got := readAt(t, n, r, 0, -1); !bytes.Equal(got, data) {
			t.Error("other bytes came")
		}
		if n.stats.mismatched.Load() != 2 {
			t.Errorf("%d mismatches were counted", n.stats.mismatched.Load())
		}
		f.settle()
	})
	t.Run("from an origin that has nothing else", func(t *testing.T) {
		n := f.add("alone2")
		f.with(func() { f.seen["alone2"] = func(tutti.ChunkID) []string { return []string{"alone2"} } })
		f.o.with(func() { f.o.spoil = func(off int64, b []byte) { b[len(b)-1] ^= 1 } })
		got, err := tryReadAt(t, n, r, 0, -1)
		if !tutti.IsKind(err, tutti.KindUnavailable) || !bytes.HasPrefix(data, got) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		f.o.with(func() { f.o.spoil = nil })
		f.settle()
	})
	t.Run("from another member", func(t *testing.T) {
		f.with(func() { delete(f.nodes, "alone1"); delete(f.nodes, "alone2") })
		asker, first, second := f.ranked(r, 1, 2), f.name(r, 1, 0), f.name(r, 1, 1)
		asker.mu.Lock()
		for k := range asker.memory {
			delete(asker.memory, k)
			asker.inMemory.Remove(k)
		}
		asker.mu.Unlock()
		f.with(func() {
			f.fault[first] = func() fail { return fail{spoil: true} }
			f.fault[second] = f.fault[first]
		})
		if got := readAt(t, asker, r, tutti.ChunkSize, tutti.ChunkSize); !bytes.Equal(got, data[tutti.ChunkSize:2*tutti.ChunkSize]) {
			t.Error("other bytes came")
		}
		if asker.stats.mismatched.Load() == 0 {
			t.Error("no mismatch was counted")
		}
		f.settle()
	})
}

// What was filled while the store did not say whether there is a seal is compared with it once it does, wherever it lies.
func TestWhatWasFilledWithoutItsSealIsComparedLater(t *testing.T) {
	data := noise(1, tutti.ChunkSize+100)
	for name, disk := range map[string]bool{"on the disk": true, "in memory": false} {
		for _, restart := range []bool{false, true} {
			if restart && !disk {
				continue
			}
			t.Run(fmt.Sprintf("%s, restart %v", name, restart), func(t *testing.T) {
				f := newFleet(t, 1)
				r := f.o.put("a.flac", data)
				sealed(t, f, f.node("c1"), r)
				dir := t.TempDir()
				add := func() *Chunks {
					c := f.add("c2", func(c *ChunksConfig) { c.Dir = dir })
					f.with(func() { f.seen["c2"] = func(tutti.ChunkID) []string { return []string{"c2"} } })
					if !disk {
						c.disk.create = func(string) (file, error) { return nil, syscall.ENOSPC }
					}
					return c
				}
				c := add()
				f.o.with(func() { f.o.spoil = func(_ int64, b []byte) { b[len(b)/2] ^= 1 } })
				f.with(func() { f.storeAway = true })
				readAt(t, c, r, 0, -1) // nobody can tell
				f.settle()
				f.o.with(func() { f.o.spoil = nil })
				f.with(func() { f.storeAway = false })
				if restart {
					if err := c.Close(); err != nil {
						t.Fatal(err)
					}
					c = add()
				}
				f.clock.Advance(pauseFor)
				for range 2 {
					if got := readAt(t, c, r, 0, -1); !bytes.Equal(got, data) {
						t.Error("other bytes came")
					}
					f.settle()
				}
				if n := c.stats.mismatched.Load(); n != 2 {
					t.Errorf("%d chunks were found to be others", n)
				}
				if n := c.seals.read.Load(); n != 1 {
					t.Errorf("the seal was read %d times", n)
				}
			})
		}
	}
}

func TestStoreAway(t *testing.T) {
	f := newFleet(t, 3, func(c *ChunksConfig) { c.Heads.When = HeadsAlways })
	f.with(func() { f.storeAway = true })
	data := noise(1, 2*tutti.ChunkSize)
	r := f.o.put("a.flac", data)
	for i := range 3 {
		if got := readAt(t, f.ranked(r, 0, i), r, 0, -1); !bytes.Equal(got, data) {
			t.Error("other bytes came")
		}
		f.settle()
	}
	if n := f.o.opened.Load(); n != 2 {
		t.Errorf("the origin was asked %d times", n)
	}
}
