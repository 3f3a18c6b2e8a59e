package peer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tutti"
	"tutti/clock"
	"tutti/peer"
)

// slow is a catalogue of which each call of Track, Played and Star waits for the test.
type slow struct {
	tutti.Catalog
	name  string
	calls chan tutti.ID // says that a call is there, and for which track
	hold  chan struct{} // closed: nothing waits
	err   error
	n     atomic.Int64
	scans atomic.Int64

	mu    sync.Mutex
	gates map[tutti.ID]chan struct{}
}

func newSlow(name string) *slow {
	return &slow{name: name, calls: make(chan tutti.ID, 1000), hold: make(chan struct{})}
}

// gate is what calls about one track wait for.
func (s *slow) gate(id tutti.ID) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gates == nil {
		s.gates = map[tutti.ID]chan struct{}{}
	}
	if s.gates[id] == nil {
		s.gates[id] = make(chan struct{})
	}
	return s.gates[id]
}

func (s *slow) wait(ctx context.Context, id tutti.ID) error {
	s.n.Add(1)
	s.calls <- id
	select {
	case <-s.hold:
		return s.err
	case <-s.gate(id):
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *slow) Track(ctx context.Context, _ tutti.Viewer, id tutti.ID) (tutti.Track, error) {
	return tutti.Track{ID: id, Title: s.name}, s.wait(ctx, id)
}

func (s *slow) Played(ctx context.Context, _ tutti.Viewer, _ ...tutti.Play) error {
	return s.wait(ctx, "")
}

func (s *slow) Star(ctx context.Context, _ tutti.Viewer, _ bool, _ ...tutti.ID) error {
	return s.wait(ctx, "")
}

func (s *slow) Plan(ctx context.Context, _ tutti.PlanRequest) (tutti.Plan, error) {
	return tutti.Plan{}, s.wait(ctx, "")
}

func (s *slow) ScanStatus(context.Context) (tutti.ScanStatus, error) {
	s.scans.Add(1)
	return tutti.ScanStatus{}, nil
}

// pair returns two slow catalogues, with a client of both.
func pair(t testing.TB, fake clock.Clock) (a, b *slow, remote tutti.Catalog, c *peer.Client) {
	t.Helper()
	a, b = newSlow("a"), newSlow("b")
	far := (&fleet{}).add(tutti.ServiceCatalog, serve(t, peer.HandlerConfig{Catalog: a}), serve(t, peer.HandlerConfig{Catalog: b}))
	c = client(t, peer.ClientConfig{Fleet: far, Clock: fake})
	return a, b, c.Catalog(), c
}

// somebody is one of many people, of whom some have the one member for their own and some the other.
func somebody(i int) tutti.Viewer {
	return tutti.Viewer{User: tutti.NewID(tutti.PrefixUser, uint64(i))}
}

// TestEachPersonHasAMember: whatever one person does goes to one member, and people are with both.
func TestEachPersonHasAMember(t *testing.T) {
	a, b, remote, _ := pair(t, clock.System)
	close(a.hold)
	close(b.hold)
	calls := func(i int) (toA, toB int64) {
		beforeA, beforeB := a.n.Load(), b.n.Load()
		for range 3 {
			if _, err := remote.Track(t.Context(), somebody(i), "tr-0000000000001"); err != nil {
				t.Fatal(err)
			}
			if err := remote.Star(t.Context(), somebody(i), true, "tr-0000000000001"); err != nil {
				t.Fatal(err)
			}
		}
		if err := remote.Played(t.Context(), somebody(i)); err != nil {
			t.Fatal(err)
		}
		if _, err := remote.Plan(t.Context(), tutti.PlanRequest{Viewer: somebody(i)}); err != nil {
			t.Fatal(err)
		}
		return a.n.Load() - beforeA, b.n.Load() - beforeB
	}
	withA, withB := 0, 0
	for i := range 40 {
		switch toA, toB := calls(i); {
		case toA == 8 && toB == 0:
			withA++
		case toA == 0 && toB == 8:
			withB++
		default:
			t.Errorf("of 8 calls of one person %d went to the one and %d to the other", toA, toB)
		}
	}
	if withA == 0 || withB == 0 {
		t.Errorf("%d people are with the one and %d with the other", withA, withB)
	}
	// Nobody in particular is with both.
	for range 100 {
		if _, err := remote.ScanStatus(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if withA, withB := a.scans.Load(), b.scans.Load(); withA == 0 || withB == 0 || withA+withB != 100 {
		t.Errorf("the one was asked %d times and the other %d times", withA, withB)
	}
}

// first waits for the first call about a track on either. Calls about others that come late are passed over.
func first(a, b *slow, id tutti.ID) (busy, idle *slow) {
	for {
		select {
		case got := <-a.calls:
			if got == id {
				return a, b
			}
		case got := <-b.calls:
			if got == id {
				return b, a
			}
		}
	}
}

func TestASilentMemberIsNotWaitedFor(t *testing.T) {
	fake := clock.NewFake(epoch)
	a, b, remote, c := pair(t, fake)
	// The budget for asking twice is earned by calls that went well.
	close(b.hold)
	close(a.hold)
	for range 40 {
		if _, err := remote.Track(t.Context(), she, "tr-0000000000001"); err != nil {
			t.Fatal(err)
		}
	}
	a.hold, b.hold = make(chan struct{}), make(chan struct{})
	const second = tutti.ID("tr-0000000000002")
	got := make(chan string, 1)
	go func() {
		track, err := remote.Track(t.Context(), she, second)
		if err != nil {
			t.Error(err)
		}
		got <- track.Title
	}()
	busy, idle := first(a, b, second)
	fake.WaitForTimers(2) // its patience, and the time after which another is asked
	fake.Advance(100 * time.Millisecond)
	for id := range idle.calls {
		if id == second {
			break
		}
	}
	close(idle.hold)
	if name := <-got; name != idle.name {
		t.Errorf("the answer is by %s", name)
	}
	if n := counted(t, c, "tutti_peer_hedged_total"); n != 1 {
		t.Errorf("%v calls were asked twice", n)
	}
	// For a second the silent one is not asked first.
	for range 20 {
		track, err := remote.Track(t.Context(), she, "tr-0000000000001")
		if err != nil || track.Title != idle.name {
			t.Fatalf("asked %s, %v", track.Title, err)
		}
	}
	close(busy.hold)
	fake.Advance(time.Second)
	asked := map[string]bool{}
	for range 64 {
		track, err := remote.Track(t.Context(), she, "tr-0000000000001")
		if err != nil {
			t.Fatal(err)
		}
		asked[track.Title] = true
	}
	if !asked[busy.name] {
		t.Error("the silent one is avoided for ever")
	}
}

// TestASlowFleetIsNotAskedTwiceAsMuch lets every call be slow: at most one in twenty may then be asked of another.
func TestASlowFleetIsNotAskedTwiceAsMuch(t *testing.T) {
	fake := clock.NewFake(epoch)
	a, b, remote, c := pair(t, fake)
	const calls = 60
	for i := range calls {
		id := tutti.NewID(tutti.PrefixTrack, uint64(i))
		done := make(chan error, 1)
		go func() {
			_, err := remote.Track(t.Context(), she, id)
			done <- err
		}()
		busy, _ := first(a, b, id)
		fake.WaitForTimers(2)
		fake.Advance(100 * time.Millisecond)
		close(busy.gate(id))
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if n := counted(t, c, "tutti_peer_hedged_total"); n > calls/20 {
		t.Errorf("%v of %d calls were asked twice", n, calls)
	}
}

func TestReadsGoToAnotherMember(t *testing.T) {
	a, b, remote, _ := pair(t, clock.System)
	a.err = tutti.Errorf(tutti.KindUnavailable, "catalog", "not loaded yet")
	close(a.hold)
	close(b.hold)
	for i := range 20 {
		if track, err := remote.Track(t.Context(), somebody(i), "tr-0000000000001"); err != nil || track.Title != "b" {
			t.Fatalf("by %q, %v", track.Title, err)
		}
	}
	if a.n.Load() == 0 {
		t.Error("the one that is not ready was never asked; this test tests nothing")
	}
	// What a member knows is the answer: nobody else is asked.
	a.err = tutti.Errorf(tutti.KindNotFound, "catalog", "no such track")
	b.err = a.err
	before := a.n.Load() + b.n.Load()
	_, err := remote.Track(t.Context(), she, "tr-0000000000001")
	wantKind(t, err, tutti.KindNotFound, "a track that is not there")
	if n := a.n.Load() + b.n.Load() - before; n != 1 {
		t.Errorf("%d members were asked", n)
	}
}

// TestWritesHappenOnce breaks the connection after a member has received a write.
func TestWritesHappenOnce(t *testing.T) {
	a, b := newSlow("a"), newSlow("b")
	close(a.hold)
	close(b.hold)
	// Answers never arrive: the write has happened, and the asker cannot know.
	cut := func(int) (int64, string) { return 0, "reset" }
	wayA := newFaulty(t, serve(t, peer.HandlerConfig{Catalog: a}), cut)
	wayB := newFaulty(t, serve(t, peer.HandlerConfig{Catalog: b}), cut)
	far := (&fleet{}).add(tutti.ServiceCatalog, wayA.Addr().String(), wayB.Addr().String())
	remote := client(t, peer.ClientConfig{Fleet: far}).Catalog()
	err := remote.Played(t.Context(), she, tutti.Play{Track: "tr-0000000000001", At: epoch})
	wantKind(t, err, tutti.KindUnavailable, "a write whose answer is lost")
	if n := a.n.Load() + b.n.Load(); n > 1 {
		t.Errorf("the write was sent to %d members", n)
	}
	err = remote.Star(t.Context(), she, true, "tr-0000000000001")
	wantKind(t, err, tutti.KindUnavailable, "a write that may be repeated")

	// Nobody listens at one address: nothing can have happened there.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	good := newSlow("good")
	close(good.hold)
	far = (&fleet{}).add(tutti.ServiceCatalog, dead, serve(t, peer.HandlerConfig{Catalog: good}))
	for i := range 10 {
		remote := client(t, peer.ClientConfig{Fleet: far}).Catalog() // a new one suspects nobody yet
		if err := remote.Played(t.Context(), somebody(i), tutti.Play{Track: "tr-0000000000001", At: epoch}); err != nil {
			t.Fatal(err)
		}
	}
	if n := good.n.Load(); n != 10 {
		t.Errorf("%d writes of 10", n)
	}
}

func TestPatienceEnds(t *testing.T) {
	fake := clock.NewFake(epoch)
	s := newSlow("s")
	far := (&fleet{}).add(tutti.ServiceCatalog, serve(t, peer.HandlerConfig{Catalog: s}))
	remote := client(t, peer.ClientConfig{Fleet: far, Clock: fake, Read: 3 * time.Second, Write: 7 * time.Second}).Catalog()
	for _, c := range []struct {
		what string
		wait time.Duration
		do   func() error
	}{
		{"read", 3 * time.Second, func() error {
			_, err := remote.Track(t.Context(), she, "tr-0000000000001")
			return err
		}},
		{"write", 7 * time.Second, func() error { return remote.Played(t.Context(), she) }},
	} {
		done := make(chan error, 1)
		go func() { done <- c.do() }()
		<-s.calls
		fake.Advance(c.wait - 1)
		select {
		case err := <-done:
			t.Errorf("%s: gave up early: %v", c.what, err)
			continue
		default:
		}
		fake.Advance(1)
		wantKind(t, <-done, tutti.KindUnavailable, c.what)
	}
}

func TestNobodyIsReady(t *testing.T) {
	remote := client(t, peer.ClientConfig{Fleet: &fleet{}, Clock: clock.NewFake(epoch)}).Catalog()
	_, err := remote.Track(t.Context(), she, "tr-0000000000001")
	wantKind(t, err, tutti.KindUnavailable, "a fleet without a catalogue")
	if !strings.Contains(tutti.Message(err), "catalog") {
		t.Errorf("the message does not say what is missing: %q", tutti.Message(err))
	}
}

func TestGivingUp(t *testing.T) {
	s := newSlow("s")
	far := (&fleet{}).add(tutti.ServiceCatalog, serve(t, peer.HandlerConfig{Catalog: s}))
	remote := client(t, peer.ClientConfig{Fleet: far}).Catalog()
	why := tutti.Errorf(tutti.KindUnavailable, "server", "this took too long")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := remote.Track(ctx, she, "tr-0000000000001")
		done <- err
	}()
	<-s.calls
	cancel(why)
	if err := <-done; !errors.Is(err, why) || tutti.Message(err) != "this took too long" {
		t.Errorf("%v", err)
	}
}

// chunks is a neighbour that holds one object in memory.
type chunks struct {
	content []byte
	info    tutti.ObjectInfo
	err     error
	cutAt   int // the reader fails there; 0: never
	warmed  chan [2]int64
}

func (c *chunks) OpenRange(_ context.Context, r tutti.Ref, off, n int64, tag string) (io.ReadCloser, tutti.ObjectInfo, error) {
	switch {
	case c.err != nil:
		return nil, tutti.ObjectInfo{}, c.err
	case tag != "" && tag != c.info.Tag:
		return nil, tutti.ObjectInfo{}, tutti.Errorf(tutti.KindConflict, "chunks", "another tag")
	case off > int64(len(c.content)):
		return nil, tutti.ObjectInfo{}, tutti.Errorf(tutti.KindInvalid, "chunks", "beyond the end")
	}
	part := c.content[off:]
	if n >= 0 && n < int64(len(part)) {
		part = part[:n]
	}
	var reader io.Reader = bytes.NewReader(part)
	if c.cutAt > 0 {
		reader = io.MultiReader(bytes.NewReader(part[:c.cutAt]), broken{})
	}
	return io.NopCloser(reader), c.info, nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) {
	return 0, tutti.Errorf(tutti.KindUnavailable, "origin", "it is gone")
}

func (c *chunks) Held(_ context.Context, _ tutti.Ref, n int64) ([]byte, error) {
	return bytes.Repeat([]byte{0x5a}, int(n+7)/8), nil
}

func (c *chunks) Warm(_ context.Context, _ tutti.Ref, n int64, fetch bool) error {
	f := int64(0)
	if fetch {
		f = 1
	}
	c.warmed <- [2]int64{n, f}
	return nil
}

// nobody is a track cache that must not be asked: a fill that reached it could ask members in a circle.
type untouchable struct{ t *testing.T }

func (u untouchable) Open(context.Context, tutti.Ref) (tutti.Object, error) {
	u.t.Error("a fill reached the track cache")
	return nil, errors.New("no")
}

func (u untouchable) Prepare(context.Context, tutti.Ref) (tutti.Readiness, error) {
	u.t.Error("a fill reached the track cache")
	return tutti.Readiness{}, errors.New("no")
}

func TestFills(t *testing.T) {
	k := keys(t)
	c := &chunks{
		content: []byte("0123456789"), warmed: make(chan [2]int64, 1),
		info: tutti.ObjectInfo{Size: 10, ModTime: epoch.Add(123456789), ContentType: "audio/flac", Tag: `W/"odd" ü, tag`},
	}
	at := serve(t, peer.HandlerConfig{Ranges: c, TrackCache: untouchable{t}, Keys: k})
	cl := client(t, peer.ClientConfig{Fleet: &fleet{}, Keys: k})
	near := cl.Ranges(tutti.Member{Address: at}).(tutti.Neighbour)
	ref := tutti.Ref{Library: "1", Path: "a.flac", Version: "v1"}
	for _, x := range []struct {
		off, n int64
		tag    string
		want   string
		kind   tutti.Kind // of the error; 0 for none
	}{
		{0, -1, "", "0123456789", 0},
		{0, 10, "", "0123456789", 0},
		{0, 4, "", "0123", 0},
		{4, 3, c.info.Tag, "456", 0},
		{8, 100, "", "89", 0},
		{9, -1, "", "9", 0},
		{0, 1 << 20, c.info.Tag, "0123456789", 0},
		{0, 1, "another", "", tutti.KindConflict},
		{11, 1, "", "", tutti.KindInvalid},
		{-1, 1, "", "", tutti.KindInvalid},
	} {
		rc, info, err := near.OpenRange(t.Context(), ref, x.off, x.n, x.tag)
		if x.kind != 0 {
			wantKind(t, err, x.kind, "a fill")
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", x, err)
			continue
		}
		if diff := cmp.Diff(c.info, info); diff != "" {
			t.Errorf("%+v: what is said of the object changed:\n%s", x, diff)
		}
		b, err := io.ReadAll(rc)
		if err != nil || string(b) != x.want {
			t.Errorf("%+v: %q, %v", x, b, err)
		}
		if err := errors.Join(rc.Close(), rc.Close()); err != nil {
			t.Error(err)
		}
	}
	whole := c.content
	c.content, c.cutAt, c.info.Size = bytes.Repeat([]byte("x"), 100_000), 70_000, 100_000
	rc, _, err := near.OpenRange(t.Context(), ref, 0, -1, "")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(rc)
	wantKind(t, err, tutti.KindUnavailable, "a fill that breaks")
	if len(b) > c.cutAt || !bytes.HasPrefix(c.content, b) {
		t.Errorf("read %d bytes before it broke", len(b))
	}
	_ = rc.Close()
	c.content, c.cutAt, c.info.Size = whole, 0, int64(len(whole))
	c.err = tutti.Errorf(tutti.KindNotFound, "origin", "no such file")
	_, _, err = near.OpenRange(t.Context(), ref, 0, -1, "")
	wantKind(t, err, tutti.KindNotFound, "a file that is not there")
	if tutti.Message(err) != "no such file" {
		t.Errorf("the message became %q", tutti.Message(err))
	}

	held, err := near.Held(t.Context(), ref, 12)
	if err != nil || !bytes.Equal(held, []byte{0x5a, 0x5a}) {
		t.Errorf("held %x, %v", held, err)
	}
	_, err = near.Held(t.Context(), ref, 1<<40)
	wantKind(t, err, tutti.KindInvalid, "asking about a thousand million chunks")
	if err := near.Warm(t.Context(), ref, 7, true); err != nil {
		t.Error(err)
	}
	if got := <-c.warmed; got != [2]int64{7, 1} {
		t.Errorf("warmed %v", got)
	}
	for _, path := range []string{"../x", "/etc/passwd", ""} {
		bad := tutti.Ref{Library: "1", Path: path, Version: "v1"}
		_, _, err := near.OpenRange(t.Context(), bad, 0, 1, "")
		wantKind(t, err, tutti.KindInvalid, "a fill of "+path)
		_, err = near.Held(t.Context(), bad, 1)
		wantKind(t, err, tutti.KindInvalid, "asking about "+path)
	}
}
