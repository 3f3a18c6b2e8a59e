package nginx_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tutti"
	"tutti/clock"
	"tutti/deploy/nginx"
	"tutti/peer/members"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fleet is the members as a test sets them.
type fleet struct {
	mu      sync.Mutex
	members map[tutti.Service][]tutti.Member
	changed chan struct{}
}

func (f *fleet) Members(s tutti.Service) []tutti.Member {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.members[s]
}

func (f *fleet) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

func (f *fleet) set(s tutti.Service, addresses ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members[s] = nil
	for _, a := range addresses {
		f.members[s] = append(f.members[s], tutti.Member{ID: a, Service: s, Address: a, State: tutti.MemberReady})
	}
	close(f.changed)
	f.changed = make(chan struct{})
}

// object is something that listeners fetch.
type object struct {
	id, etag string
	body     []byte
}

func newObject(seed uint64, size int) object {
	body := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(body) // never fails
	sum := sha256.Sum256(body)
	return object{id: tutti.Ref{Version: tutti.Version(hex.EncodeToString(sum[:]))}.ID(), etag: `"` + hex.EncodeToString(sum[:8]) + `"`, body: body}
}

var modified = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// stand is a real nginx between a client and servers that behave like delivery and trackcache as far as nginx is concerned.
type stand struct {
	t       *testing.T
	url     string
	client  *http.Client
	edge    *nginx.Edge
	fleet   *fleet
	dir     string
	log     *buffer
	objects map[string]object
	secrets atomic.Pointer[[]string] // nginx sends the first, and delivery knows all

	delivery http.Handler // what answers; the default sends nginx to the object that the path names
	caches   []*cache
}

// cache is a track cache.
type cache struct {
	s       *stand
	address string
	server  *httptest.Server
	slices  atomic.Int64
	// trouble runs before a request is answered; it may answer itself and return true.
	trouble atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
}

func (c *cache) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.slices.Add(1)
	if f := c.trouble.Load(); f != nil && (*f)(w, r) {
		return
	}
	o, ok := c.s.objects[strings.TrimPrefix(r.URL.Path, "/bytes/")]
	switch {
	case !ok:
		http.NotFound(w, r)
		return
	case r.URL.Query().Get("pass") != "good."+o.id:
		http.Error(w, "no pass", http.StatusForbidden)
		return
	}
	for _, secret := range []string{"Cookie", "Authorization", nginx.Header, "X-Forwarded-For"} {
		if v := r.Header.Get(secret); v != "" {
			c.s.t.Errorf("the track cache was told %s: %s", secret, v)
		}
	}
	h := w.Header()
	h.Set("ETag", o.etag)
	h.Set("Content-Type", "audio/flac")
	h.Set("Cache-Control", "public, max-age=1") // not for the listener, nor for the cache
	h.Set("X-Content-Duration", "0.000")
	h.Set("X-Accel-Redirect", "/metrics") // a track cache gives no orders
	http.ServeContent(w, r, "", modified, bytes.NewReader(o.body))
}

func newStand(t *testing.T, caches int, change func(*nginx.Config), objects ...object) *stand {
	t.Helper()
	s := &stand{t: t, fleet: &fleet{members: map[tutti.Service][]tutti.Member{}, changed: make(chan struct{})}, dir: t.TempDir(), log: &buffer{}, objects: map[string]object{}}
	for _, o := range objects {
		s.objects[o.id] = o
	}
	s.secrets.Store(&[]string{nginx.Secret([]byte("key"))})
	s.delivery = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o, ok := s.objects[strings.Trim(r.URL.Path, "/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		s.send(w, o, true)
	})
	a := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !nginx.Behind(r, *s.secrets.Load()...) {
			t.Errorf("%s did not come through nginx", r.URL.Path)
		}
		s.delivery.ServeHTTP(w, r)
	}))
	t.Cleanup(a.Close)
	var addresses []string
	for range caches {
		c := &cache{s: s}
		c.server = httptest.NewServer(c)
		c.address = c.server.Listener.Addr().String()
		t.Cleanup(c.server.Close)
		s.caches = append(s.caches, c)
		addresses = append(addresses, c.address)
	}
	s.fleet.set(tutti.ServiceDelivery, a.Listener.Addr().String())
	s.fleet.set(tutti.ServiceTrackCache, addresses...)

	config := nginx.Config{Listen: []string{freeAddress(t)}, Dir: s.dir, Workers: 2, WorkerConnections: 512, CacheBytes: 256 << 20}
	if change != nil {
		change(&config)
	}
	var err error
	s.edge, err = nginx.NewEdge(nginx.EdgeConfig{
		Config: config, Fleet: s.fleet, Secret: func() string { return (*s.secrets.Load())[0] }, Clock: clock.System,
		Logger: slog.New(slog.NewTextHandler(s.log, nil)), Grace: -1,
	})
	if tutti.IsKind(err, tutti.KindUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.edge.Run(ctx) }()
	s.url = "http://" + config.Listen[0]
	if config.TLSCert != "" {
		s.url = "https://" + config.Listen[0]
	}
	s.client = &http.Client{Transport: &http.Transport{DisableCompression: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if t.Failed() {
			t.Log(s.log.String())
		}
	})
	eventually(t, "nginx answers", func() bool {
		select {
		case err := <-ended:
			t.Fatalf("Run: %v", err)
		default:
		}
		resp, err := s.client.Get(s.url + "/healthz")
		if err != nil {
			return false // `nginx -t` listens as well, for a moment
		}
		return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
	})
	return s
}

// send is what delivery answers.
func (s *stand) send(w http.ResponseWriter, o object, sliced bool) {
	h := w.Header()
	h.Set("X-Accel-Redirect", nginx.Location(o.id, "good."+o.id, sliced))
	h.Set("Content-Type", "audio/flac")
	h.Set("Cache-Control", "private, no-cache")
	h.Set("Content-Disposition", `attachment; filename="a.flac"`)
	h.Set("ETag", o.etag)
	h.Set("X-Content-Duration", "12.345")
	h.Set("Repr-Digest", "sha-256=:abc:")
	h.Set("X-Request-Id", "request-1")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Content-Security-Policy", "default-src 'none'")
	w.WriteHeader(http.StatusOK)
}

type answer struct {
	*http.Response
	body []byte
	err  error // of reading the body
}

func (s *stand) do(method, path string, headers ...string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Add(k, v)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	a := answer{Response: resp}
	a.body, a.err = io.ReadAll(resp.Body)
	return a
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not come to pass that %s", what)
		}
	}
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestGoldenPassesNginx has nginx look at every configuration whose text is in testdata.
func TestGoldenPassesNginx(t *testing.T) {
	files, err := filepath.Glob("testdata/*.conf")
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	dir := t.TempDir()
	certificate, key := selfSigned(t, dir)
	if err := os.MkdirAll(filepath.Join(dir, "nginx", "temp"), 0o700); err != nil {
		t.Fatal(err)
	}
	edge, err := nginx.NewEdge(nginx.EdgeConfig{
		Config: nginx.Config{Listen: []string{"127.0.0.1:1"}, Dir: dir, Secret: nginx.Secret([]byte("key"))},
		Fleet:  &fleet{}, Clock: clock.System, Logger: slog.New(slog.DiscardHandler),
	})
	if tutti.IsKind(err, tutti.KindUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		here := strings.NewReplacer("/var/lib/tutti/nginx", filepath.Join(dir, "nginx"), "/var/log/tutti", dir,
			"/etc/tutti/ca.pem", certificate, "/etc/tutti/cert.pem", certificate, "/etc/tutti/key.pem", key,
			"/etc/tutti/nginx.pem", certificate, "/etc/tutti/nginx.key", key,
			"listen 443", "listen unix:"+dir+"/1", "listen [::]:443", "listen unix:"+dir+"/2", "listen 80", "listen unix:"+dir+"/3", "listen [::]:80", "listen unix:"+dir+"/4").Replace(string(text))
		there := filepath.Join(dir, "nginx.conf")
		if err := os.WriteFile(there, []byte(here), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := edge.Check(t.Context(), there); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte("events {} http { nonsense; }"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := edge.Check(t.Context(), filepath.Join(dir, "nginx.conf")); !tutti.IsKind(err, tutti.KindInvalid) || !strings.Contains(tutti.Message(err), "nonsense") {
		t.Errorf("a configuration that is none: %v", err)
	}
}

// TestBytes asks for an object in the ways that players do.
func TestBytes(t *testing.T) {
	o := newObject(1, 5<<20+12345)
	small := newObject(2, 1000)
	s := newStand(t, 3, nil, o, small)
	size := len(o.body)
	for _, test := range []struct {
		headers    []string
		status     int
		from, to   int
		contentRge string
	}{
		{nil, 200, 0, size, ""},
		{nil, 200, 0, size, ""}, // from nginx's cache
		{[]string{"Range: bytes=0-0"}, 206, 0, 1, "bytes 0-0/5255225"},
		{[]string{"Range: bytes=1048575-1048576"}, 206, 1<<20 - 1, 1<<20 + 1, "bytes 1048575-1048576/5255225"},
		{[]string{"Range: bytes=100-3000000"}, 206, 100, 3000001, "bytes 100-3000000/5255225"},
		{[]string{"Range: bytes=5242880-"}, 206, 5 << 20, size, "bytes 5242880-5255224/5255225"},
		{[]string{"Range: bytes=-100"}, 206, size - 100, size, "bytes 5255125-5255224/5255225"},
		{[]string{"Range: bytes=-99999999"}, 206, 0, size, "bytes 0-5255224/5255225"},
		{[]string{"Range: bytes=4000000-99999999"}, 206, 4000000, size, "bytes 4000000-5255224/5255225"},
		{[]string{"Range: bytes=2000000-2000009", "If-Range: " + o.etag}, 206, 2000000, 2000010, "bytes 2000000-2000009/5255225"},
		{[]string{"Range: bytes=2000000-2000009", `If-Range: "other"`}, 200, 0, size, ""},
		{[]string{"Range: bytes=2000000-2000009", "If-Range: " + modified.Format(http.TimeFormat)}, 206, 2000000, 2000010, "bytes 2000000-2000009/5255225"},
		{[]string{"Range: bytes=0-1,5-6"}, 200, 0, size, ""},
		{[]string{"Cookie: tutti=secret", "Authorization: Basic c2VjcmV0", "X-Forwarded-For: 1.2.3.4", nginx.Header + ": guess"}, 200, 0, size, ""},
	} {
		a := s.do("GET", "/"+o.id, test.headers...)
		if a.StatusCode != test.status || a.err != nil || a.Header.Get("Content-Range") != test.contentRge || !bytes.Equal(a.body, o.body[test.from:test.to]) {
			t.Errorf("%v: %s, %q, %d bytes (equal %v), %v", test.headers, a.Status, a.Header.Get("Content-Range"), len(a.body), bytes.Equal(a.body, o.body[test.from:test.to]), a.err)
		}
		for k, want := range map[string]string{
			"Content-Type": "audio/flac", "Cache-Control": "private, no-cache", "Content-Disposition": `attachment; filename="a.flac"`, "Etag": o.etag,
			"X-Content-Duration": "12.345", "Repr-Digest": "sha-256=:abc:", "X-Request-Id": "request-1", "X-Content-Type-Options": "nosniff",
			"Access-Control-Allow-Origin": "*", "Content-Security-Policy": "default-src 'none'", "Accept-Ranges": "bytes",
			"Last-Modified": modified.Format(http.TimeFormat), "X-Accel-Redirect": "", nginx.Header: "",
		} {
			if got := strings.Join(a.Header.Values(k), " + "); got != want && (k != "Accept-Ranges" || test.status == 200) {
				t.Errorf("%v: %s is %q, want %q", test.headers, k, got, want)
			}
		}
	}
	if a := s.do("GET", "/"+small.id); a.StatusCode != 200 || !bytes.Equal(a.body, small.body) {
		t.Errorf("less than a slice: %s, %d bytes", a.Status, len(a.body))
	}
	// What the first request brought into nginx's cache was fetched once.
	var total int64
	for _, c := range s.caches {
		total += c.slices.Load()
	}
	if total != 7 {
		t.Errorf("7 slices were fetched %d times", total)
	}
	// Of what goes whole nothing is kept.
	s.delivery = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.send(w, o, false) })
	if a := s.do("GET", "/x"); a.StatusCode != 200 || !bytes.Equal(a.body, o.body) || a.Header.Get("Content-Disposition") == "" || len(a.Header.Values("Cache-Control")) != 1 {
		t.Errorf("whole: %s, %d bytes, %v", a.Status, len(a.body), a.Header)
	}
	if a := s.do("GET", "/x", "Range: bytes=3000000-3000009", "If-Range: "+o.etag); a.StatusCode != 206 || !bytes.Equal(a.body, o.body[3000000:3000010]) {
		t.Errorf("a part of what goes whole: %s, %d bytes", a.Status, len(a.body))
	}
	if a := s.do("GET", "/x", "If-None-Match: "+o.etag); a.StatusCode != 304 {
		t.Errorf("nothing new: %s", a.Status)
	}
}

// TestOwners looks whom nginx asks, with this configuration, for which chunk: those that the fleet says own it.
func TestOwners(t *testing.T) {
	o := newObject(11, 20<<20)
	s := newStand(t, 5, nil, o)
	var addresses []string
	asked := map[string][]string{} // range, or "" for the whole, → who was asked
	var mu sync.Mutex
	for _, c := range s.caches {
		addresses = append(addresses, c.address)
	}
	ring := members.NewRing(addresses)
	dead := ring.Owners(members.SliceKey(tutti.ChunkID{Object: o.id, N: 1}), 1)[0]
	for _, c := range s.caches {
		note := func(w http.ResponseWriter, r *http.Request) bool {
			mu.Lock()
			defer mu.Unlock()
			asked[r.Header.Get("Range")] = append(asked[r.Header.Get("Range")], c.address)
			if c.address == dead {
				panic(http.ErrAbortHandler) // the second owner is asked next
			}
			return false
		}
		c.trouble.Store(&note)
	}
	if a := s.do("GET", "/"+o.id); a.err != nil || !bytes.Equal(a.body, o.body) {
		t.Fatalf("%s, %d bytes, %v", a.Status, len(a.body), a.err)
	}
	s.delivery = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.send(w, o, false) })
	s.do("GET", "/whole")
	for n := range int64(20) {
		key := members.SliceKey(tutti.ChunkID{Object: o.id, N: n})
		want := ring.Owners(key, tutti.Replicas)
		if want[0] != dead {
			want = want[:1]
		}
		if got := asked[strings.TrimPrefix(key, o.id)]; !slices.Equal(got, want) {
			t.Errorf("chunk %d: nginx asked %v, its owners are %v", n, got, want)
		}
	}
	whole := ring.Owners(members.SliceKey(tutti.ChunkID{Object: o.id}), tutti.Replicas)
	if whole[0] != dead {
		whole = whole[:1]
	}
	if got := asked[""]; !slices.Equal(got, whole) {
		t.Errorf("for the whole nginx asked %v, the owners are %v", got, whole)
	}
}

// TestClosed knocks at doors that are not for listeners.
func TestClosed(t *testing.T) {
	s := newStand(t, 1, func(c *nginx.Config) { c.BasePath = "/music" })
	s.delivery = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprintf(w, "delivery saw %s", r.URL.Path) })
	for _, path := range []string{
		"/metrics", "//metrics", "/%6detrics", "/x/../metrics", "/music/metrics", "/readyz", "/debug/pprof/", "/debug//pprof/heap", "/tutti.v1.Store/Get",
		"/music/tutti.v1.Catalog/Plan", "/bytes/0123", "/music/bytes/x", "/_tutti/slices/00000000000000000000000000000000?pass=x", "/_tutti/whole/00000000000000000000000000000000", "/_tutti/",
	} {
		if a := s.do("GET", path); a.StatusCode != 404 || bytes.Contains(a.body, []byte("delivery")) {
			t.Errorf("%s: %s %s", path, a.Status, a.body)
		}
	}
	for _, path := range []string{"/", "/rest/ping", "/music/", "/share/abc", "/metricsx"} {
		if a := s.do("GET", path); a.StatusCode != 200 || string(a.body) != "delivery saw "+path {
			t.Errorf("%s: %s %s", path, a.Status, a.body)
		}
	}
	if a := s.do("GET", "/healthz"); a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("healthz: %s %s", a.Status, a.body)
	}
}

// TestDeadTrackCache has track caches die before and while they answer. A slice of which only a part arrived must not be
// taken for all of it: nginx's slice module would, and go on with the next one.
func TestDeadTrackCache(t *testing.T) {
	if testing.Short() {
		t.Skip("it is about nginx")
	}
	t.Parallel()
	o := newObject(3, 24<<20)
	s := newStand(t, 3, nil, o)
	var cut atomic.Int64
	random := rand.New(rand.NewPCG(7, 7))
	var mu sync.Mutex
	dies := func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		n := random.IntN(10)
		at := random.IntN(1 << 20)
		mu.Unlock()
		first := r.Header.Get("Range") == "bytes=0-1048575"
		switch {
		case n == 0:
			panic(http.ErrAbortHandler)
		case n == 1 && !first:
			cut.Add(1)
			w.Header().Set("ETag", s.objects[strings.TrimPrefix(r.URL.Path, "/bytes/")].etag)
			http.ServeContent(&cutter{w, at}, r, "", modified, bytes.NewReader(s.objects[strings.TrimPrefix(r.URL.Path, "/bytes/")].body))
			panic(http.ErrAbortHandler)
		}
		return false
	}
	for _, c := range s.caches[:2] {
		c.trouble.Store(&dies)
	}
	whole := 0
	for i := range 12 {
		o := newObject(uint64(100+i), 24<<20)
		s.objects[o.id] = o
		a := s.do("GET", "/"+o.id)
		switch {
		case a.StatusCode == http.StatusServiceUnavailable: // all three died at the first slice
		case !bytes.HasPrefix(o.body, a.body):
			t.Fatalf("what arrived is not what was sent; the first %d bytes of %d are", same(o.body, a.body), len(a.body))
		case a.err == nil && len(a.body) == len(o.body):
			whole++
		}
	}
	if whole < 9 || cut.Load() < 8 {
		t.Errorf("%d of 12 arrived whole although %d slices were cut off", whole, cut.Load())
	}
}

func same(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// cutter is a connection that breaks after some bytes.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	if len(p) > c.left {
		_, _ = c.ResponseWriter.Write(p[:c.left])
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

// TestTrackCacheLeavesForGood takes a track cache away in the middle of a stream, under a listener who takes their time.
func TestTrackCacheLeavesForGood(t *testing.T) {
	t.Parallel()
	o := newObject(4, 32<<20)
	s := newStand(t, 3, nil, o)
	resp, err := s.client.Get(s.url + "/" + o.id)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got := make([]byte, 0, len(o.body))
	piece := make([]byte, 256<<10)
	for len(got) < len(o.body) {
		n, err := io.ReadFull(resp.Body, piece[:min(len(piece), len(o.body)-len(got))])
		got = append(got, piece[:n]...)
		if err != nil {
			t.Fatalf("after %d bytes: %v", len(got), err)
		}
		if len(got) == 4<<20 {
			s.caches[2].server.CloseClientConnections()
			_ = s.caches[2].server.Listener.Close()
		}
	}
	if !bytes.Equal(got, o.body) {
		t.Error("the stream is not what was sent")
	}
}

// TestUnproven has a track cache send bytes of which it is not sure, and that are wrong: nginx asks again when it was told to,
// and keeps for good what it was not told about.
func TestUnproven(t *testing.T) {
	t.Parallel()
	right, wrong := newObject(12, 3<<20), newObject(13, 3<<20)
	s := newStand(t, 1, nil, right)
	unsure := func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("X-Accel-Expires", "1")
		w.Header().Set("ETag", right.etag)
		w.Header().Set("Content-Type", "audio/flac")
		http.ServeContent(w, r, "", modified, bytes.NewReader(wrong.body))
		return true
	}
	s.caches[0].trouble.Store(&unsure)
	if a := s.do("GET", "/"+right.id); !bytes.Equal(a.body, wrong.body) || a.Header.Get("X-Accel-Expires") != "" {
		t.Fatalf("%s, %d bytes, %v", a.Status, len(a.body), a.Header)
	}
	s.caches[0].trouble.Store(nil)
	eventually(t, "the right bytes are fetched", func() bool { return bytes.Equal(s.do("GET", "/"+right.id).body, right.body) })
	fetched := s.caches[0].slices.Load()
	select {
	case <-time.After(2100 * time.Millisecond):
	case <-t.Context().Done():
	}
	if a := s.do("GET", "/"+right.id); !bytes.Equal(a.body, right.body) || s.caches[0].slices.Load() != fetched {
		t.Errorf("%s; %d slices were fetched again", a.Status, s.caches[0].slices.Load()-fetched)
	}
}
