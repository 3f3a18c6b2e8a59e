package delivery

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"tutti"
	"tutti/clock"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(child())
	}
	goleak.VerifyTestMain(m)
}

// library is a real Source and a real Planner over files in a folder: what the catalogue and the track cache are to
// the edge, without what they are to themselves.
type library struct {
	dir    string
	tracks map[tutti.ID]*item

	mu     sync.Mutex
	opened int
	closed int
}

type item struct {
	track    tutti.Track
	profile  tutti.Profile
	suffix   string
	estimate int64
	making   *making // not nil: still being made
	cover    string
	openErr  error
	failAt   int64 // > 0: the medium fails there
	inMemory bool
}

func newLibrary(t testing.TB) *library {
	t.Helper()
	return &library{dir: t.TempDir(), tracks: make(map[tutti.ID]*item)}
}

var modTime = time.Date(2026, 3, 1, 12, 30, 15, 123456789, time.UTC)

// add writes a file and makes a track of it.
func (l *library) add(t testing.TB, id tutti.ID, name string, content []byte) *item {
	t.Helper()
	p := filepath.Join(l.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(p, modTime, modTime); err != nil {
		t.Fatal(err)
	}
	it := &item{track: tutti.Track{
		ID: id, Library: "1", Title: string(id), Path: name, Size: int64(len(content)), ModTime: modTime, Version: tutti.Version("v-" + string(id)),
		ContentType: "audio/flac", Suffix: "flac", Duration: 90 * time.Second,
	}}
	l.tracks[id] = it
	return it
}

func (l *library) Plan(_ context.Context, req tutti.PlanRequest) (tutti.Plan, error) {
	it, ok := l.tracks[req.Track]
	if !ok || !req.Viewer.Sees(it.track.Library) {
		return tutti.Plan{}, tutti.Errorf(tutti.KindNotFound, "library.Plan", "there is no such track")
	}
	ref := it.track.Ref()
	ref.Profile = it.profile
	p := tutti.Plan{Track: it.track, Ref: ref, ContentType: it.track.ContentType, Suffix: it.suffix, Size: it.track.Size, EstimatedSize: it.estimate}
	if it.making != nil {
		p.Size = -1
	}
	if req.Want.Format == "mp3" {
		p.ContentType = "audio/mpeg"
	}
	return p, nil
}

func (l *library) Cover(_ context.Context, v tutti.Viewer, id tutti.ID) (tutti.Ref, error) {
	it, ok := l.tracks[id]
	if !ok || it.cover == "" || !v.Sees(it.track.Library) {
		return tutti.Ref{}, tutti.Errorf(tutti.KindNotFound, "library.Cover", "there is no picture")
	}
	return tutti.Ref{Library: "1", Path: it.cover, Version: "cover-" + it.track.Version}, nil
}

// Mosaic has the pictures of as many items as the playlist's number says.
func (l *library) Mosaic(ctx context.Context, v tutti.Viewer, playlist tutti.ID) ([]tutti.Ref, error) {
	n, _ := playlist.Number()
	var refs []tutti.Ref
	for _, id := range slices.Sorted(maps.Keys(l.tracks)) {
		if ref, err := l.Cover(ctx, v, id); err == nil && len(refs) < int(n) {
			refs = append(refs, ref)
		}
	}
	if len(refs) == 0 {
		return nil, tutti.Errorf(tutti.KindNotFound, "library.Mosaic", "there is no picture")
	}
	return refs, nil
}

func (l *library) Open(_ context.Context, r tutti.Ref) (tutti.Object, error) {
	var it *item
	for _, candidate := range l.tracks {
		if candidate.track.Path == r.Path {
			it = candidate
		}
	}
	o := &object{library: l, contentType: "image/jpeg", item: &item{}}
	if it != nil {
		if it.openErr != nil {
			return nil, it.openErr
		}
		o.item, o.contentType = it, it.track.ContentType
	}
	f, err := os.Open(filepath.Join(l.dir, filepath.FromSlash(r.Path)))
	if err != nil {
		return nil, tutti.Wrap(tutti.KindNotFound, "library.Open", err)
	}
	o.File = f
	l.mu.Lock()
	l.opened++
	l.mu.Unlock()
	return o, nil
}

func (l *library) open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.opened - l.closed
}

// object is an open file, or one that grows while somebody writes it.
type object struct {
	*os.File
	library     *library
	item        *item
	contentType string
}

func (o *object) Size() int64 {
	if o.item.making != nil {
		if n, done := o.item.making.state(); !done {
			return -1
		} else {
			return n
		}
	}
	info, err := o.Stat()
	if err != nil {
		return -1
	}
	return info.Size()
}

func (o *object) ModTime() time.Time  { return modTime }
func (o *object) ContentType() string { return o.contentType }

func (o *object) CopyRange(ctx context.Context, w io.Writer, off, n int64) (int64, error) {
	if o.item.making != nil {
		return o.item.making.copy(ctx, w, o, off, n)
	}
	if n < 0 {
		n = o.Size() - off
	}
	if fail := o.item.failAt; fail > 0 && off+n > fail {
		m, err := o.CopyRange2(w, off, fail-off)
		if err == nil {
			err = tutti.Errorf(tutti.KindUnavailable, "library.CopyRange", "the disk is gone")
		}
		return m, err
	}
	return o.CopyRange2(w, off, n)
}

// CopyRange2 is CopyRange where nothing can go wrong.
func (o *object) CopyRange2(w io.Writer, off, n int64) (int64, error) {
	if o.item.inMemory {
		b := make([]byte, n)
		if _, err := o.ReadAt(b, off); err != nil {
			return 0, err
		}
		m, err := w.Write(b)
		return int64(m), err
	}
	if _, err := o.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	m, err := io.CopyN(w, o.File, n)
	return m, err
}

func (o *object) Close() error {
	o.library.mu.Lock()
	o.library.closed++
	o.library.mu.Unlock()
	return o.File.Close()
}

// making is a file that is being written by a transcoder, which is the test.
type making struct {
	path string
	mu   sync.Mutex
	n    int64
	done bool
	err  error
	more chan struct{} // closed and replaced when something changes
}

func (l *library) addMaking(t testing.TB, id tutti.ID, name string) (*item, *making) {
	t.Helper()
	it := l.add(t, id, name, nil)
	it.profile = tutti.Profile{Format: "opus", BitRate: 96}
	it.track.ContentType = "audio/ogg; codecs=opus"
	it.suffix = "opus"
	it.making = &making{path: filepath.Join(l.dir, name), more: make(chan struct{})}
	return it, it.making
}

func (m *making) write(t testing.TB, p []byte) {
	t.Helper()
	f, err := os.OpenFile(m.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	m.change(func() { m.n += int64(len(p)) })
}

func (m *making) end(err error) { m.change(func() { m.done, m.err = true, err }) }

func (m *making) change(fn func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fn()
	close(m.more)
	m.more = make(chan struct{})
}

func (m *making) state() (int64, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.n, m.done
}

func (m *making) copy(ctx context.Context, w io.Writer, o *object, off, n int64) (sent int64, err error) {
	for n < 0 || sent < n {
		m.mu.Lock()
		have, done, end, more := m.n, m.done, m.err, m.more
		m.mu.Unlock()
		if at := off + sent; have > at {
			part := have - at
			if n >= 0 {
				part = min(part, n-sent)
			}
			k, err := o.CopyRange2(w, at, part)
			sent += k
			if err != nil {
				return sent, err
			}
			continue
		}
		if done {
			return sent, end
		}
		select {
		case <-more:
		case <-ctx.Done():
			return sent, ctx.Err()
		}
	}
	return sent, nil
}

// noise is n bytes that are the same in every run.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

// edge is a running Server with a Streamer behind /audio/ and /cover/.
type edge struct {
	*Server
	lib    *library
	url    string
	reg    *prometheus.Registry
	log    *logBuffer
	stop   context.CancelFunc
	ended  chan struct{}
	client *http.Client
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs a server. change, if not nil, may alter the configuration.
func start(t testing.TB, lib *library, change func(*ServerConfig, *StreamerConfig)) *edge {
	t.Helper()
	e := &edge{lib: lib, reg: prometheus.NewRegistry(), log: &logBuffer{}, ended: make(chan struct{})}
	logger := slog.New(slog.NewTextHandler(e.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	metrics := NewMetrics(e.reg)
	sc := StreamerConfig{Catalog: lib, Cache: lib, Clock: clock.System, Logger: logger, Metrics: metrics}
	c := ServerConfig{
		Listen: []string{"127.0.0.1:0"}, Clock: clock.System, Logger: logger, Metrics: metrics, Registry: e.reg,
		Grace: 5 * time.Second,
	}
	c.Mounts = []Mount{
		{Path: "/audio/", Name: "audio", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			o := Options{Download: r.URL.Query().Has("download"), EstimateLength: r.URL.Query().Has("estimate")}
			id := tutti.ID(strings.TrimPrefix(r.URL.Path, "/audio/"))
			if err := NewStreamer(sc).ServeTrack(w, r, tutti.PlanRequest{Track: id}, o); err != nil {
				WriteError(w, err)
			}
		})},
		{Path: "/cover/", Name: "cover", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id := tutti.ID(strings.TrimPrefix(r.URL.Path, "/cover/"))
			if err := NewStreamer(sc).ServeCover(w, r, tutti.Viewer{}, id, 300); err != nil {
				WriteError(w, err)
			}
		})},
	}
	if change != nil {
		change(&c, &sc)
	}
	s, err := NewServer(c)
	if err != nil {
		t.Fatal(err)
	}
	e.Server = s
	ctx, cancel := context.WithCancel(context.Background())
	e.stop = cancel
	if err := s.Listen(ctx); err != nil {
		cancel()
		t.Fatal(err)
	}
	go func() {
		defer close(e.ended)
		if err := s.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	e.url = strings.TrimSuffix(s.URLs()[0], "/")
	transport := &http.Transport{DisableCompression: true}
	e.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() {
		cancel()
		transport.CloseIdleConnections()
		<-e.ended
		if n := lib.open(); n != 0 {
			t.Errorf("%d objects were not closed", n)
		}
	})
	return e
}

// reply is a response that has been read to its end.
type reply struct {
	*http.Response
	body []byte
	err  error // of reading the body
}

// do asks, with header given as "Name: value" lines.
func (e *edge) do(t testing.TB, method, path string, header ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, e.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range header {
		k, v, _ := strings.Cut(h, ": ")
		if k == "Host" {
			req.Host = v
		}
		req.Header.Add(k, v)
	}
	return e.send(t, req)
}

func (e *edge) send(t testing.TB, req *http.Request) reply {
	t.Helper()
	res, err := e.client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	defer func() {
		if err := res.Body.Close(); err != nil {
			t.Error(err)
		}
	}()
	body, err := io.ReadAll(res.Body)
	return reply{res, body, err}
}

// eventually waits until cond holds. It is for what another goroutine does after the client has its answer.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		if err := clock.Sleep(t.Context(), clock.System, time.Millisecond); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
}

// metric returns the value of a counter or gauge, or the count of a histogram, whose labels have these values.
func (e *edge) metric(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	families, err := e.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	next:
		for _, m := range f.GetMetric() {
			for _, want := range labels {
				if !slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetValue() == want }) {
					continue next
				}
			}
			switch {
			case m.GetCounter() != nil:
				return m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				return m.GetGauge().GetValue()
			case m.GetHistogram() != nil:
				return float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return 0
}
