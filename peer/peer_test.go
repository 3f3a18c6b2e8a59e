package peer_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tutti"
	"tutti/clock"
	"tutti/peer"
	"tutti/store"
	"tutti/store/sqlite"
	"tutti/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

var epoch = time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)

// keys returns a file's worth of keys, the same for all who are given them.
func keys(t testing.TB) *peer.Keys {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	if err := peer.NewKeysFile(path); err != nil {
		t.Fatal(err)
	}
	k, err := peer.ReadKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// serve offers the parts and returns the address. The server is gone when the test ends.
func serve(t testing.TB, c peer.HandlerConfig) string {
	t.Helper()
	return strings.TrimPrefix(start(t, c).URL, "http://")
}

func start(t testing.TB, c peer.HandlerConfig) *httptest.Server {
	t.Helper()
	if c.Clock == nil {
		c.Clock = clock.System
	}
	if c.Logger == nil {
		c.Logger = quiet
	}
	s := httptest.NewServer(peer.Handler(c))
	t.Cleanup(s.Close)
	return s
}

// fleet is a tutti.Fleet that stands still, apart from what a test does to it. Chunk n is owned by the members from
// the n-th on.
type fleet struct {
	mu      sync.Mutex
	members []tutti.Member
}

func (f *fleet) add(s tutti.Service, addresses ...string) *fleet {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range addresses {
		f.members = append(f.members, tutti.Member{ID: a, Service: s, Address: a, State: tutti.MemberReady})
	}
	return f
}

func (f *fleet) remove(address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members = slices.DeleteFunc(f.members, func(m tutti.Member) bool { return m.Address == address })
}

func (f *fleet) Self() tutti.Member { return tutti.Member{ID: "self"} }

func (f *fleet) Members(s tutti.Service) []tutti.Member {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []tutti.Member
	for _, m := range f.members {
		if m.Service == s {
			out = append(out, m)
		}
	}
	return out
}

func (f *fleet) Owners(chunk tutti.ChunkID, n int) []tutti.Member {
	all := f.Members(tutti.ServiceTrackCache)
	var out []tutti.Member
	for i := range min(n, len(all)) {
		out = append(out, all[(int(chunk.N)+i)%len(all)])
	}
	return out
}

// client returns a client that is closed when the test ends.
func client(t testing.TB, c peer.ClientConfig) *peer.Client {
	t.Helper()
	if c.Clock == nil {
		c.Clock = clock.System
	}
	c.Logger = quiet
	cl := peer.NewClient(c)
	t.Cleanup(cl.Close)
	return cl
}

func wantKind(t testing.TB, err error, kind tutti.Kind, what string) {
	t.Helper()
	if !tutti.IsKind(err, kind) {
		t.Errorf("%s: %v, want an error that is %s", what, err, kind)
	}
}

// backed is a remote store that closes the real one behind it as well, as the suite expects of a store.
type backed struct {
	store.Store
	real   store.Store
	server *httptest.Server
}

func (b backed) Close() error {
	err := b.Store.Close()
	b.server.Close()
	return errors.Join(err, b.real.Close())
}

func TestStoreContract(t *testing.T) {
	k := keys(t)
	storetest.Run(t, func(t testing.TB, c clock.Clock) store.Store {
		real, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "tutti.db"), sqlite.Options{Clock: c})
		if err != nil {
			t.Fatal(err)
		}
		s := start(t, peer.HandlerConfig{Store: real, Keys: k})
		remote, err := peer.OpenStore(t.Context(), s.URL, peer.StoreConfig{Keys: k, Clock: clock.System, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		return backed{remote, real, s}
	})
}

func TestStoresAnswersStayBounded(t *testing.T) {
	real, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "tutti.db"), sqlite.Options{Clock: clock.System})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := real.Close(); err != nil {
			t.Error(err)
		}
	})
	// A store that returns as much as it is asked for, as the contract allows.
	s := start(t, peer.HandlerConfig{Store: greedy{real}})
	remote, err := peer.OpenStore(t.Context(), s.URL, peer.StoreConfig{Clock: clock.System, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = remote.Close() })
	const items = 100 // 35 MB, more than twice what a message may have
	value := make([]byte, store.MaxValue)
	var all []store.Key
	for i := range items {
		key := store.Key{PK: "p", SK: string(rune('a'+i/26)) + string(rune('a'+i%26))}
		all = append(all, key)
		if _, err := real.Put(t.Context(), key, value, time.Time{}, store.Always); err != nil {
			t.Fatal(err)
		}
		if err := real.Append(t.Context(), "l", uint64(i+1), value); err != nil {
			t.Fatal(err)
		}
	}
	got, err := remote.BatchGet(t.Context(), all)
	if err != nil || len(got) != items {
		t.Errorf("BatchGet: %d items, %v", len(got), err)
	}
	var found int
	for after := ""; ; {
		page, err := remote.Query(t.Context(), "p", "", after, store.MaxPage)
		if err != nil {
			t.Fatal(err)
		}
		found += len(page.Items)
		if after = page.Next; after == "" {
			break
		}
	}
	if found != items {
		t.Errorf("Query: %d items", found)
	}
	var seq uint64
	for {
		records, err := remote.ReadLog(t.Context(), "l", seq, store.MaxPage)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) == 0 {
			break
		}
		for _, r := range records {
			if seq++; r.Seq != seq {
				t.Fatalf("record %d after %d", r.Seq, seq-1)
			}
		}
	}
	if seq != items {
		t.Errorf("ReadLog: %d records", seq)
	}
}

// greedy returns pages and logs of any size.
type greedy struct{ store.Store }

func (g greedy) Query(ctx context.Context, pk, prefix, after string, limit int) (store.Page, error) {
	var out store.Page
	for {
		p, err := g.Store.Query(ctx, pk, prefix, after, limit-len(out.Items))
		if err != nil {
			return p, err
		}
		out.Items, out.Next, after = append(out.Items, p.Items...), p.Next, p.Next
		if after == "" || len(out.Items) == limit {
			return out, nil
		}
	}
}

func (g greedy) ReadLog(ctx context.Context, log string, since uint64, limit int) ([]store.Record, error) {
	var out []store.Record
	for len(out) < limit {
		r, err := g.Store.ReadLog(ctx, log, since, limit-len(out))
		if err != nil || len(r) == 0 {
			return out, err
		}
		out, since = append(out, r...), r[len(r)-1].Seq
	}
	return out, nil
}

func TestStoreAddresses(t *testing.T) {
	for _, address := range []string{"", "10.0.0.1:4533", "ftp://a", "http://", "http://a/path", "http://a?x=1", "http://user:pw@a", "http://a b"} {
		_, err := peer.OpenStore(t.Context(), address, peer.StoreConfig{Clock: clock.System, Logger: quiet})
		wantKind(t, err, tutti.KindInvalid, address)
	}
	s := start(t, peer.HandlerConfig{Store: greedy{}, Keys: keys(t)})
	_, err := peer.OpenStore(t.Context(), s.URL, peer.StoreConfig{Keys: keys(t), Clock: clock.System, Logger: quiet})
	wantKind(t, err, tutti.KindUnauthorised, "a store of another fleet")
	// A store that is away may come back.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	away, err := peer.OpenStore(t.Context(), "http://"+l.Addr().String(), peer.StoreConfig{Clock: clock.System, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	_, err = away.Get(t.Context(), store.Key{PK: "p", SK: "s"})
	wantKind(t, err, tutti.KindUnavailable, "a store that is away")
	if err := away.Close(); err != nil {
		t.Error(err)
	}
}

func TestStrangers(t *testing.T) {
	k := keys(t)
	s := start(t, peer.HandlerConfig{Store: greedy{}, Catalog: nil, Keys: k})
	for path, method := range map[string]string{
		"/tutti.v1.Store/Get": http.MethodPost, "/tutti.v1.Catalog/Track": http.MethodPost,
		"/bytes/0123456789abcdef0123456789abcdef": http.MethodGet, "/bytes/": http.MethodHead,
	} {
		req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}
