package trackcache

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
	"tutti/store/sqlite"
)

// maker makes sound of unknown size, as a transcoder does: 64 KiB for each value from its gate.
type maker struct {
	data  []byte
	gate  chan struct{}
	opens *atomic.Int64
}

func (m *maker) Open(context.Context, tutti.Ref) (tutti.Object, error) {
	m.opens.Add(1)
	return &made{m}, nil
}

type made struct{ m *maker }

func (o *made) Size() int64                       { return -1 }
func (o *made) ModTime() time.Time                { return start }
func (o *made) ContentType() string               { return "audio/mpeg" }
func (o *made) ReadAt([]byte, int64) (int, error) { return 0, io.EOF }
func (o *made) Close() error                      { return nil }

func (o *made) CopyRange(ctx context.Context, w io.Writer, _, _ int64) (total int64, err error) {
	for p := o.m.data; len(p) > 0; {
		select {
		case <-o.m.gate:
		case <-ctx.Done():
			return total, ctx.Err()
		}
		n, err := w.Write(p[:min(len(p), 64<<10)])
		total += int64(n)
		if err != nil {
			return total, err
		}
		p = p[n:]
	}
	return total, nil
}

// makers are some members' Caches with a transcoder each.
type makers struct {
	mu     sync.Mutex
	caches map[string]*Cache
	away   map[string]bool
	stop   map[string]chan struct{} // closed once a member is stopped: it takes what is sent and answers nothing
	opens  map[string]*atomic.Int64
	gates  map[string]chan struct{}
}

// makersView is the fleet as one of them sees it.
type makersView struct {
	self  string
	order []string // of owners
}

func (v makersView) Owners(_ tutti.ChunkID, n int) []tutti.Member {
	var out []tutti.Member
	for _, id := range v.order[:min(n, len(v.order))] {
		out = append(out, member(id))
	}
	return out
}

func (v makersView) Self() tutti.Member                   { return member(v.self) }
func (v makersView) Members(tutti.Service) []tutti.Member { return v.Owners(tutti.ChunkID{}, 9) }

// way is the link to a member.
type way struct {
	f  *makers
	to string
}

func (l way) OpenRange(ctx context.Context, r tutti.Ref, off, n int64, tag string) (io.ReadCloser, tutti.ObjectInfo, error) {
	c, err := l.reach(ctx)
	if err != nil {
		return nil, tutti.ObjectInfo{}, err
	}
	rc, info, err := c.Neighbour().OpenRange(ctx, r, off, n, tag)
	if err != nil {
		return nil, info, err
	}
	return readCloser{&severed{ctx, rc, l}, rc}, info, nil
}

func (l way) Held(ctx context.Context, r tutti.Ref, n int64) ([]byte, error) {
	c, err := l.reach(ctx)
	if err != nil {
		return nil, err
	}
	return c.Neighbour().Held(ctx, r, n)
}

func (l way) Warm(ctx context.Context, r tutti.Ref, n int64, fetch bool) error {
	c, err := l.reach(ctx)
	if err != nil {
		return err
	}
	return c.Neighbour().Warm(ctx, r, n, fetch)
}

// reach returns the member, as far as it can be reached.
func (l way) reach(ctx context.Context) (*Cache, error) {
	l.f.mu.Lock()
	c, away, stopped := l.f.caches[l.to], l.f.away[l.to], l.f.stop[l.to]
	l.f.mu.Unlock()
	select {
	case <-stopped:
		<-ctx.Done()
		return nil, tutti.Wrap(tutti.KindUnavailable, "way", ctx.Err())
	default:
	}
	if away {
		return nil, errAway
	}
	return c, nil
}

// severed fails once its member is away, and waits once it is stopped.
type severed struct {
	ctx context.Context
	r   io.Reader
	l   way
}

func (s *severed) Read(p []byte) (int, error) {
	if _, err := s.l.reach(s.ctx); err != nil {
		return 0, err
	}
	n, err := s.r.Read(p[:min(len(p), 16<<10)])
	if _, gone := s.l.reach(s.ctx); gone != nil {
		return 0, gone
	}
	return n, err
}

func newMakers(t *testing.T, s store.Store, k clock.Clock, ids ...string) *makers {
	f := &makers{
		caches: map[string]*Cache{}, away: map[string]bool{}, stop: map[string]chan struct{}{}, opens: map[string]*atomic.Int64{},
		gates: map[string]chan struct{}{},
	}
	for _, id := range ids {
		f.stop[id] = make(chan struct{})
		f.opens[id], f.gates[id] = &atomic.Int64{}, make(chan struct{})
		f.caches[id] = newCache(t, Config{
			Origin: files(t, t.TempDir()), Local: true, Clock: k, Store: s,
			Transcoder: &maker{noise(1, 300_000), f.gates[id], f.opens[id]},
			Fleet:      makersView{id, ids}, Peer: func(m tutti.Member) tutti.RangeSource { return way{f, m.ID} },
		})
	}
	return f
}

var converted = tutti.Ref{Library: "1", Path: "a.flac", Version: "v", Profile: tutti.Profile{Format: "mp3", BitRate: 192}}

func TestOneMemberMakesATranscodeForAll(t *testing.T) {
	f := newMakers(t, nil, clock.NewFake(start), "c1", "c2", "c3")
	want := noise(1, 300_000)
	var wg sync.WaitGroup
	for _, id := range []string{"c1", "c2", "c3", "c3", "c2"} {
		wg.Go(func() {
			o, err := f.caches[id].Open(t.Context(), converted)
			if err != nil {
				t.Error(err)
				return
			}
			defer o.Close()
			var b bytes.Buffer
			if _, err := o.CopyRange(t.Context(), &b, 0, -1); err != nil || !bytes.Equal(b.Bytes(), want) || o.ContentType() != "audio/mpeg" {
				t.Errorf("%s: %d bytes of %s, %v", id, b.Len(), o.ContentType(), err)
			}
		})
	}
	close(f.gates["c1"])
	wg.Wait()
	if a, b, c := f.opens["c1"].Load(), f.opens["c2"].Load(), f.opens["c3"].Load(); a != 1 || b+c != 0 {
		t.Errorf("it was made %d, %d and %d times", a, b, c)
	}
}

func TestTranscodeOfAMemberThatIsKilledGoesOn(t *testing.T) {
	k := clock.NewFake(start)
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), sqlite.Options{Clock: k, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	f := newMakers(t, s, k, "c1", "c2", "c3")
	want := noise(1, 300_000)
	f.gates["c1"] = f.caches["c1"].transcoder.(*maker).gate
	o, err := func() (tutti.Object, error) {
		go func() { f.gates["c1"] <- struct{}{} }()
		return f.caches["c2"].Open(t.Context(), converted)
	}()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	f.mu.Lock()
	f.away["c1"] = true
	f.mu.Unlock()
	go func() { // the link notices when it reads again
		select {
		case f.gates["c1"] <- struct{}{}:
		case <-t.Context().Done():
		}
	}()
	close(f.gates["c2"])
	if got := all(t, o); !bytes.Equal(got, want) {
		t.Errorf("%d other bytes came", len(got))
	}
	if n := f.opens["c2"].Load(); n != 1 {
		t.Errorf("the second member made it %d times", n)
	}
}

func TestMembersThatTakeEachOtherForTheMaker(t *testing.T) {
	f := newMakers(t, nil, clock.NewFake(start), "c1", "c2")
	want := noise(1, 300_000)
	for id, other := range map[string]string{"c1": "c2", "c2": "c1"} {
		f.caches[id].borrower.fleet = makersView{id, []string{other, id}}
		close(f.gates[id])
	}
	var wg sync.WaitGroup
	for _, id := range []string{"c1", "c2", "c1", "c2"} {
		wg.Go(func() {
			o, err := f.caches[id].Open(t.Context(), converted)
			if err != nil {
				t.Error(err)
				return
			}
			defer o.Close()
			if got := all(t, o); !bytes.Equal(got, want) {
				t.Error("other bytes came")
			}
		})
	}
	wg.Wait()
}

// A member that is stopped, before it has sent anything or after, holds nobody up for longer than a moment.
func TestTranscodeOfAMemberThatIsStoppedGoesOn(t *testing.T) {
	for name, before := range map[string]int{"before its first byte": 0, "in the middle": 2} {
		t.Run(name, func(t *testing.T) {
			k := clock.NewFake(start)
			f := newMakers(t, nil, k, "c1", "c2", "c3")
			close(f.gates["c2"])
			if before == 0 {
				close(f.stop["c1"])
			}
			var got []byte
			listened := make(chan struct{})
			go func() {
				defer close(listened)
				o, err := f.caches["c2"].Open(t.Context(), converted)
				if err != nil {
					t.Error(err)
					return
				}
				defer o.Close()
				got = all(t, o)
			}()
			for range before {
				f.gates["c1"] <- struct{}{}
			}
			if before > 0 {
				close(f.stop["c1"])
			}
			since := k.Now()
			patiently(t, k, func() { <-listened })
			if waited := k.Now().Sub(since); waited > 3*time.Second {
				t.Errorf("it waited for %v", waited)
			}
			if want := noise(1, 300_000); !bytes.Equal(got, want) {
				t.Errorf("%d other bytes came", len(got))
			}
			if !f.caches["c2"].borrower.late.suspected(member("c1")) {
				t.Error("it will be asked again at once")
			}
		})
	}
}

// A member that is there may take its time.
func TestTranscodeThatTakesLongIsMadeOnce(t *testing.T) {
	k := clock.NewFake(start)
	f := newMakers(t, nil, k, "c1", "c2")
	listened := make(chan struct{})
	go func() {
		defer close(listened)
		if got := fetch(t, f.caches["c2"], converted); !bytes.Equal(got, noise(1, 300_000)) {
			t.Error("other bytes came")
		}
	}()
	for range 6 { // 64 KiB every ten seconds
		for since := k.Now(); k.Now().Sub(since) < 10*time.Second; {
			k.Advance(250 * time.Millisecond)
			time.Sleep(time.Millisecond)
		}
		select {
		case f.gates["c1"] <- struct{}{}:
		case <-listened:
		}
	}
	<-listened
	if a, b := f.opens["c1"].Load(), f.opens["c2"].Load(); a != 1 || b != 0 {
		t.Errorf("it was made %d and %d times", a, b)
	}
}
