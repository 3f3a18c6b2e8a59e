package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"tutti"
	"tutti/clock"
)

// counting counts the round trips to the catalogue.
type counting struct {
	*library
	plans atomic.Int64
}

func (c *counting) Plan(ctx context.Context, req tutti.PlanRequest) (tutti.Plan, error) {
	c.plans.Add(1)
	return c.library.Plan(ctx, req)
}

// behind is a Streamer behind a proxy that says so with a header.
func behind(t *testing.T, lib *library, c clock.Clock, remember time.Duration) (*Streamer, *counting, *tutti.Pass) {
	t.Helper()
	catalog := &counting{library: lib}
	var last tutti.Pass
	s := NewStreamer(StreamerConfig{
		Catalog: catalog, Cache: lib, Clock: c, Logger: slog.New(slog.DiscardHandler), Metrics: NewMetrics(prometheus.NewRegistry()), Remember: remember,
		Digest: func(context.Context, tutti.Version) []byte { return []byte("0123456789abcdef0123456789abcdef") },
		Accel: func(r *http.Request, p tutti.Pass) (string, bool) {
			last = p
			return "/_tutti/" + p.Ref.ID(), r.Header.Get("Proxy") != ""
		},
	})
	return s, catalog, &last
}

// reading is what a counter shows.
func reading(t *testing.T, c prometheus.Metric) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

func ask(t *testing.T, s *Streamer, method string, req tutti.PlanRequest, o Options, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "/", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	if err := s.ServeTrack(w, r, req, o); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestAccelOriginal(t *testing.T) {
	lib := newLibrary(t)
	lib.add(t, "tr-1", "Album/01 - Été.flac", noise(300_000))
	s, _, pass := behind(t, lib, clock.NewFake(modTime.Add(time.Hour)), 0)
	req := tutti.PlanRequest{Track: "tr-1"}

	direct := ask(t, s, "GET", req, Options{Download: true})
	if direct.Code != 200 || direct.Body.Len() != 300_000 || direct.Header().Get("X-Accel-Redirect") != "" {
		t.Fatalf("without a proxy: %d, %d bytes, %v", direct.Code, direct.Body.Len(), direct.Header())
	}
	sent := ask(t, s, "GET", req, Options{Download: true}, "Proxy", "1")
	if sent.Code != 200 || sent.Body.Len() != 0 || sent.Header().Get("X-Accel-Redirect") != "/_tutti/"+pass.Ref.ID() {
		t.Fatalf("with one: %d, %d bytes, %v", sent.Code, sent.Body.Len(), sent.Header())
	}
	for _, k := range []string{"Content-Type", "Cache-Control", "Content-Disposition", "Repr-Digest", "X-Content-Duration", "Etag", "Last-Modified"} {
		if a, b := direct.Header().Get(k), sent.Header().Get(k); a != b || a == "" {
			t.Errorf("%s: %q without the proxy, %q with it", k, a, b)
		}
	}
	want := tutti.Pass{
		Ref: lib.tracks["tr-1"].track.Ref(), Size: 300_000, ModTime: modTime, ContentType: "audio/flac", ETag: direct.Header().Get("Etag"),
		SHA256: []byte("0123456789abcdef0123456789abcdef"), Duration: 90 * time.Second, Expires: modTime.Add(13 * time.Hour),
	}
	if fmt.Sprint(*pass) != fmt.Sprint(want) {
		t.Errorf("the pass\n %v, want\n %v", *pass, want)
	}
	if a, b := reading(t, s.c.Metrics.redirects.WithLabelValues(kindOriginal)), reading(t, s.c.Metrics.redirectedBytes); a != 1 || b != 300_000 {
		t.Errorf("%v redirects of %v bytes are counted", a, b)
	}
	if n := reading(t, s.c.Metrics.starts.WithLabelValues(kindOriginal)); n != 2 {
		t.Errorf("%v starts are counted", n)
	}

	tag, date := direct.Header().Get("Etag"), direct.Header().Get("Last-Modified")
	for _, test := range []struct {
		method   string
		header   []string
		status   int
		redirect bool
	}{
		{"GET", []string{"Range", "bytes=100-"}, 200, true}, // the proxy makes it a 206
		{"GET", []string{"Range", "bytes=300000-"}, 416, false},
		{"GET", []string{"Range", "bytes=x"}, 416, false},
		{"GET", []string{"Range", "bytes=300000-", "If-Range", `"other"`}, 200, true},
		{"GET", []string{"If-None-Match", tag}, 304, false},
		{"GET", []string{"If-None-Match", `"other"`}, 200, true},
		{"GET", []string{"If-Modified-Since", date}, 304, false},
		{"GET", []string{"If-Match", `"other"`}, 412, false},
		{"GET", []string{"If-Match", tag}, 200, true},
		{"HEAD", nil, 200, false},
		{"HEAD", []string{"Range", "bytes=0-1"}, 200, false},
		{"POST", nil, 200, true},
	} {
		// Whatever is answered here is what is answered without a proxy.
		a := ask(t, s, test.method, req, Options{}, append([]string{"Proxy", "1"}, test.header...)...)
		b := ask(t, s, test.method, req, Options{}, test.header...)
		if a.Code != test.status || (a.Header().Get("X-Accel-Redirect") != "") != test.redirect {
			t.Errorf("%s %v: %d %v", test.method, test.header, a.Code, a.Header())
		}
		if !test.redirect && (a.Code != b.Code || fmt.Sprint(a.Header()) != fmt.Sprint(b.Header())) {
			t.Errorf("%s %v:\n with    %d %v\n without %d %v", test.method, test.header, a.Code, a.Header(), b.Code, b.Header())
		}
	}
	if a := ask(t, s, "POST", req, Options{}, "Proxy", "1", "Range", "bytes=0-9"); a.Body.Len() != 300_000 {
		t.Errorf("a form with a Range was left to the proxy: %v", a.Header())
	}
}

func TestAccelOpensNothing(t *testing.T) {
	lib := newLibrary(t)
	lib.add(t, "tr-1", "a.flac", noise(1000))
	s, _, _ := behind(t, lib, clock.System, 0)
	for _, method := range []string{"GET", "HEAD"} {
		ask(t, s, method, tutti.PlanRequest{Track: "tr-1"}, Options{}, "Proxy", "1")
	}
	if lib.opened != 0 {
		t.Errorf("%d objects were opened for a proxy that fetches them itself", lib.opened)
	}
}

func TestAccelWhole(t *testing.T) {
	lib := newLibrary(t)
	it, m := lib.addMaking(t, "tr-1", "a.opus")
	m.write(t, noise(1000))
	m.end(nil)
	it.estimate = 5000
	s, _, pass := behind(t, lib, clock.System, 0)
	req := tutti.PlanRequest{Track: "tr-1"}
	w := ask(t, s, "GET", req, Options{}, "Proxy", "1", "Range", "bytes=0-", "If-None-Match", `"x"`)
	if w.Code != 200 || w.Header().Get("X-Accel-Redirect") == "" || w.Header().Get("Etag") != "" || w.Header().Get("Content-Type") == "" {
		t.Errorf("what is being made: %d %v", w.Code, w.Header())
	}
	if pass.Size != -1 || pass.ETag != "" || pass.SHA256 != nil {
		t.Errorf("the pass knows what nobody can: %v", pass)
	}
	if w := ask(t, s, "HEAD", req, Options{}, "Proxy", "1"); w.Header().Get("X-Accel-Redirect") != "" {
		t.Errorf("HEAD was left to the proxy: %v", w.Header())
	}
	if w := ask(t, s, "GET", req, Options{EstimateLength: true}, "Proxy", "1"); w.Header().Get("X-Accel-Redirect") != "" || w.Body.Len() != 1000 {
		t.Errorf("a length that is a guess was left to the proxy: %v", w.Header())
	}
	// An original of which the size is not known, or no version, could change under the proxy's cache.
	original := lib.add(t, "tr-2", "b.flac", noise(1000))
	original.track.Version = ""
	if w := ask(t, s, "GET", tutti.PlanRequest{Track: "tr-2"}, Options{}, "Proxy", "1"); w.Header().Get("X-Accel-Redirect") != "" {
		t.Errorf("an original without a version was left to the proxy")
	}
}

func TestPlansAreRemembered(t *testing.T) {
	lib := newLibrary(t)
	it := lib.add(t, "tr-1", "a.flac", noise(1000))
	lib.add(t, "tr-2", "b.flac", noise(1000))
	fake := clock.NewFake(modTime)
	s, catalog, _ := behind(t, lib, fake, DefaultRemember)
	base := tutti.PlanRequest{Track: "tr-1", Viewer: tutti.Viewer{User: "u1"}}
	opus := tutti.Profile{Format: "opus"}
	for i, change := range []func(*tutti.PlanRequest){
		func(*tutti.PlanRequest) {},
		func(r *tutti.PlanRequest) { r.Track = "tr-2" },
		func(r *tutti.PlanRequest) { r.Viewer.Libraries = []string{"1"} },
		func(r *tutti.PlanRequest) { r.Viewer.Libraries = []string{"1", "2"} },
		func(r *tutti.PlanRequest) { r.Want.Format = "mp3" },
		func(r *tutti.PlanRequest) { r.Want.MaxRate = 96 },
		func(r *tutti.PlanRequest) { r.Want.Offset = time.Second },
		func(r *tutti.PlanRequest) { r.Want.From = time.Second },
		func(r *tutti.PlanRequest) { r.Want.To = time.Second },
		func(r *tutti.PlanRequest) { r.Want.Exact = &tutti.Profile{} },
		func(r *tutti.PlanRequest) { r.Want.Exact = &opus },
	} {
		req := base
		change(&req)
		for range 3 {
			ask(t, s, "GET", req, Options{}, "Proxy", "1")
		}
		if n := catalog.plans.Load(); n != int64(i+1) {
			t.Fatalf("after %d different requests there were %d round trips", i+1, n)
		}
	}
	// Who else may see the same is given the same.
	other := base
	other.Viewer.User, other.Viewer.Admin = "u2", true
	before := catalog.plans.Load()
	ask(t, s, "GET", other, Options{}, "Proxy", "1")
	if n := catalog.plans.Load(); n != before {
		t.Errorf("%d round trips for what another user was planned", n-before)
	}
	// Who may see no library is told so, whatever others were told, and told again: refusals are not remembered.
	none := base
	none.Viewer.Libraries = []string{}
	before = catalog.plans.Load()
	for range 2 {
		err := s.ServeTrack(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/", nil), none, Options{})
		if !tutti.IsKind(err, tutti.KindNotFound) {
			t.Errorf("one who sees nothing: %v", err)
		}
	}
	if n := catalog.plans.Load(); n != before+2 {
		t.Errorf("%d round trips for two refusals", n-before)
	}
	fake.Advance(DefaultRemember)
	before = catalog.plans.Load()
	ask(t, s, "GET", base, Options{}, "Proxy", "1")
	if n := catalog.plans.Load(); n != before+1 {
		t.Error("a plan is remembered for too long")
	}
	// A plan that leads nowhere is forgotten.
	it.openErr = tutti.Errorf(tutti.KindNotFound, "test", "gone")
	if err := s.ServeTrack(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/", nil), base, Options{}); !tutti.IsKind(err, tutti.KindNotFound) {
		t.Errorf("what is gone: %v", err)
	}
	it.openErr = nil
	before = catalog.plans.Load()
	ask(t, s, "GET", base, Options{})
	if n := catalog.plans.Load(); n != before+1 {
		t.Error("a plan that led nowhere is still remembered")
	}
}

func TestPlanMemoryIsBounded(t *testing.T) {
	fake := clock.NewFake(modTime)
	m := planMemory{clock: fake, good: time.Minute, by: map[planKey]planned{}}
	for i := range maxPlans + 1000 {
		m.put(planKey{track: tutti.ID(fmt.Sprint(i))}, planned{size: int64(i)})
		fake.Advance(time.Millisecond)
		if len(m.by) > maxPlans {
			t.Fatalf("%d plans are remembered", len(m.by))
		}
	}
	if p, ok := m.get(planKey{track: tutti.ID(fmt.Sprint(maxPlans + 999))}); !ok || p.size != maxPlans+999 {
		t.Error("the latest plan is not among them")
	}
}

// BenchmarkRedirect is what one range request of a running player costs delivery beside net/http and the wire.
func BenchmarkRedirect(b *testing.B) {
	lib := newLibrary(b)
	lib.add(b, "tr-1", "a.flac", noise(1000))
	s := NewStreamer(StreamerConfig{
		Catalog: lib, Cache: lib, Clock: clock.System, Logger: slog.New(slog.DiscardHandler), Metrics: NewMetrics(prometheus.NewRegistry()), Remember: time.Hour,
		Accel: func(*http.Request, tutti.Pass) (string, bool) { return "/_tutti/", true },
	})
	r := httptest.NewRequestWithContext(b.Context(), "GET", "/", nil)
	r.Header.Set("Range", "bytes=100-")
	b.ReportAllocs()
	for b.Loop() {
		if err := s.ServeTrack(httptest.NewRecorder(), r, tutti.PlanRequest{Track: "tr-1"}, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
