package trackcache

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"tutti"
	"tutti/clock"
	"tutti/peer"
)

// wired are members whose Caches and Chunks reach one another over HTTP, as in a fleet.
type wired struct {
	members []tutti.Member
	caches  map[string]*Cache
	chunks  map[string]*Chunks
	makers  map[string]*maker
}

// wiredView is the fleet as one of them sees it. Chunk n belongs to the n-th and the one after.
type wiredView struct {
	*wired
	self int
}

func (v wiredView) Self() tutti.Member                   { return v.members[v.self] }
func (v wiredView) Members(tutti.Service) []tutti.Member { return v.members }

func (v wiredView) Owners(id tutti.ChunkID, n int) (out []tutti.Member) {
	for i := range min(n, len(v.members)) {
		out = append(out, v.members[(int(id.N)+i)%len(v.members)])
	}
	return out
}

func newWired(t *testing.T, o tutti.RangeSource, n int) *wired {
	f := &wired{caches: map[string]*Cache{}, chunks: map[string]*Chunks{}, makers: map[string]*maker{}}
	handlers := make([]atomic.Pointer[http.Handler], n)
	for i := range n {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*handlers[i].Load()).ServeHTTP(w, r) }))
		t.Cleanup(s.Close)
		m := member(fmt.Sprintf("c%d", i+1))
		m.Address = s.Listener.Addr().String()
		f.members = append(f.members, m)
	}
	quiet := slog.New(slog.DiscardHandler)
	for i, m := range f.members {
		client := peer.NewClient(peer.ClientConfig{Fleet: wiredView{f, i}, Clock: clock.System, Logger: quiet})
		t.Cleanup(func() { client.Close() })
		ways := func(m tutti.Member) tutti.RangeSource { return client.Ranges(m) }
		c := newChunks(t, ChunksConfig{Origin: o, Fleet: wiredView{f, i}, Peer: ways, Clock: clock.System})
		mk := &maker{data: noise(7, 300_000), gate: make(chan struct{}), opens: &atomic.Int64{}}
		close(mk.gate)
		cache := newCache(t, Config{
			Origin: c, Local: true, Transcoder: mk, Fleet: wiredView{f, i}, Peer: ways, Clock: clock.System,
		})
		f.caches[m.ID], f.chunks[m.ID], f.makers[m.ID] = cache, c, mk
		var h http.Handler = peer.Handler(peer.HandlerConfig{
			TrackCache: cache, Ranges: cache.Neighbour(), Clock: clock.System, Logger: quiet,
		})
		handlers[i].Store(&h)
	}
	return f
}

func fromCache(t *testing.T, c *Cache, r tutti.Ref) []byte {
	t.Helper()
	o, err := c.Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	return all(t, o)
}

func TestMembersOverTheWire(t *testing.T) {
	o := newObjects()
	data := noise(1, 4*tutti.ChunkSize+77)
	r := o.put("a.flac", data)
	f := newWired(t, o, 3)
	for range 2 {
		for id, c := range f.caches {
			if got := fromCache(t, c, r); !bytes.Equal(got, data) {
				t.Errorf("%s: other bytes came", id)
			}
		}
	}
	for _, c := range f.chunks {
		settle(c)
	}
	for n := range int64(5) {
		if got := o.count(r.Path, n*tutti.ChunkSize); got != 1 {
			t.Errorf("the origin was read %d times for chunk %d", got, n)
		}
	}
	c3 := f.chunks["c3"]
	held, err := c3.peer(f.members[0]).(tutti.Neighbour).Held(t.Context(), r, 5)
	if err != nil || !bit(held, 0) {
		t.Errorf("the first says that it holds %b, %v", held, err)
	}
	if !c3.heldBy(t.Context(), f.members[0], r, 0) {
		t.Error("who has the first chunk does not say so")
	}

	t.Run("a state that has changed", func(t *testing.T) {
		_, _, err := c3.peer(f.members[0]).OpenRange(t.Context(), r, 0, 10, "another")
		if !tutti.IsKind(err, tutti.KindConflict) {
			t.Error(err)
		}
	})
	t.Run("a file that is not there", func(t *testing.T) {
		if _, err := c3.Open(t.Context(), tutti.Ref{Library: "1", Path: "none", Version: "v"}); !tutti.IsKind(err, tutti.KindNotFound) {
			t.Error(err)
		}
	})
	t.Run("an empty file", func(t *testing.T) {
		for id, c := range f.caches {
			if got := fromCache(t, c, o.put("empty", nil)); len(got) != 0 {
				t.Errorf("%s: %d bytes", id, len(got))
			}
		}
	})
}

func TestTranscodesOverTheWire(t *testing.T) {
	f := newWired(t, newObjects(), 3)
	maker := f.makers["c1"]
	maker.gate = make(chan struct{})
	want := noise(7, 300_000)
	var wg sync.WaitGroup
	for _, id := range []string{"c3", "c2", "c1"} { // while it is being made
		wg.Go(func() {
			if got := fromCache(t, f.caches[id], converted); !bytes.Equal(got, want) {
				t.Errorf("%s: %d other bytes came", id, len(got))
			}
		})
	}
	maker.gate <- struct{}{}
	close(maker.gate)
	wg.Wait()
	for id, m := range f.makers {
		if n := m.opens.Load(); n != map[string]int64{"c1": 1}[id] {
			t.Errorf("%s made it %d times", id, n)
		}
	}
	other := converted // and when it is there
	other.Version = "w"
	for _, id := range []string{"c1", "c2", "c3"} {
		if got := fromCache(t, f.caches[id], other); !bytes.Equal(got, want) {
			t.Errorf("%s: other bytes came", id)
		}
	}
	if n := f.makers["c2"].opens.Load() + f.makers["c3"].opens.Load(); n != 0 {
		t.Errorf("it was made %d times more", n)
	}
}

var _ io.WriterTo = (*rangeReader)(nil)
