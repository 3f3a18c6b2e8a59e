package delivery

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"tutti"
	"tutti/clock"
)

// at adds a mount.
func at(path string, h http.HandlerFunc) Mount {
	return Mount{Path: path, Name: "at" + path, Handler: h}
}

func with(mounts ...Mount) func(*ServerConfig, *StreamerConfig) {
	return func(c *ServerConfig, _ *StreamerConfig) { c.Mounts = append(c.Mounts, mounts...) }
}

func TestStatus(t *testing.T) {
	for kind, want := range map[tutti.Kind]int{
		tutti.KindInternal: 500, tutti.KindNotFound: 404, tutti.KindInvalid: 400, tutti.KindConflict: 409, tutti.KindUnauthorised: 401,
		tutti.KindForbidden: 403, tutti.KindExhausted: 429, tutti.KindUnavailable: 503,
	} {
		if got := Status(tutti.Wrap(tutti.KindInternal, "outer", tutti.Errorf(kind, "inner", "message"))); got != want {
			t.Errorf("%s: %d, want %d", kind, got, want)
		}
	}
	if got := Status(fmt.Errorf("reading: %w", &http.MaxBytesError{})); got != 413 {
		t.Errorf("a body too large: %d", got)
	}
	if got := Status(context.Canceled); got != 503 {
		t.Errorf("cancelled: %d", got)
	}
	if got := RetryAfter(fmt.Errorf("x: %w", retryError{tutti.Errorf(tutti.KindExhausted, "", ""), 90 * time.Second})); got != 90*time.Second {
		t.Errorf("Retry-After: %v", got)
	}
}

func TestHealth(t *testing.T) {
	var notReady error
	e := start(t, newLibrary(t), func(c *ServerConfig, _ *StreamerConfig) {
		c.Ready = func(context.Context) error { return notReady }
	})
	if got := e.do(t, "GET", "/healthz"); got.StatusCode != 200 || string(got.body) != `{"status":"ok"}`+"\n" {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if got := e.do(t, "GET", "/readyz"); got.StatusCode != 200 || string(got.body) != `{"status":"ready"}`+"\n" {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	notReady = tutti.Errorf(tutti.KindUnavailable, "test", "the catalogue is being read")
	got := e.do(t, "GET", "/readyz")
	if got.StatusCode != 503 || got.Header.Get("Retry-After") == "" || string(got.body) != `{"status":"not ready","detail":"the catalogue is being read"}`+"\n" {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
}

func TestMetricsAndProfiler(t *testing.T) {
	lib := newLibrary(t)
	lib.add(t, "tr-1", "a.flac", noise(1000))
	e := start(t, lib, func(c *ServerConfig, _ *StreamerConfig) {
		c.Admin = func(r *http.Request) bool { _, key, _ := r.BasicAuth(); return key == "sesame" }
	})
	e.do(t, "GET", "/audio/tr-1")
	e.do(t, "GET", "/audio/tr-1", "Range: bytes=0-9")
	e.do(t, "GET", "/audio/tr-1", "Range: bytes=10-19")
	e.do(t, "GET", "/audio/tr-none")
	e.do(t, "BREW", "/healthz")
	text := string(e.do(t, "GET", "/metrics").body)
	for _, want := range []string{
		`tutti_http_requests_total{code="200",method="GET",route="audio"} 1`,
		`tutti_http_requests_total{code="206",method="GET",route="audio"} 2`,
		`tutti_http_requests_total{code="404",method="GET",route="audio"} 1`,
		`tutti_http_requests_total{code="200",method="other",route="healthz"} 1`,
		`tutti_stream_starts_total{kind="original"} 2`,
		`tutti_stream_bytes_total{kind="original"} 1020`,
		`tutti_stream_ends_total{result="complete"} 3`,
		`tutti_stream_first_byte_seconds_count{kind="original"} 3`,
		`tutti_http_request_seconds_count{route="audio"} 1`, // the 404: streams take as long as they take
		`tutti_streams_active 0`,
		`tutti_http_requests_in_flight 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("missing %s in\n%s", want, text)
		}
	}
	got := e.do(t, "GET", "/debug/pprof/cmdline")
	if got.StatusCode != 401 || !strings.HasPrefix(got.Header.Get("WWW-Authenticate"), "Basic") {
		t.Errorf("the profiler let a stranger in: %d", got.StatusCode)
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", e.url+"/debug/pprof/cmdline", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("admin", "sesame")
	if got := e.send(t, req); got.StatusCode != 200 || !strings.Contains(string(got.body), "test") {
		t.Errorf("the profiler kept an admin out: %d", got.StatusCode)
	}
	if got := start(t, lib, nil).do(t, "GET", "/debug/pprof/"); got.StatusCode != 404 {
		t.Errorf("without Admin there is no profiler, but: %d", got.StatusCode)
	}
}

func TestHeaders(t *testing.T) {
	e := start(t, newLibrary(t), with(
		Mount{Path: "/rest/", Name: "rest", AnyOrigin: true, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})},
		Mount{Path: "/", Name: "page", CSP: CSPPage, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})},
	))
	page := e.do(t, "GET", "/").Header
	for k, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin",
		"Cross-Origin-Opener-Policy": "same-origin", "Content-Security-Policy": CSPPage, "Access-Control-Allow-Origin": "",
	} {
		if page.Get(k) != want {
			t.Errorf("page: %s: %q, want %q", k, page.Get(k), want)
		}
	}
	rest := e.do(t, "GET", "/rest/ping", "Origin: https://app.example").Header
	for k, want := range map[string]string{
		"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": "", "Cross-Origin-Resource-Policy": "cross-origin", "Content-Security-Policy": CSPNothing,
	} {
		if rest.Get(k) != want {
			t.Errorf("rest: %s: %q, want %q", k, rest.Get(k), want)
		}
	}
	pre := e.do(t, "OPTIONS", "/rest/stream", "Origin: https://app.example", "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: range")
	if pre.StatusCode != 204 || !strings.Contains(pre.Header.Get("Access-Control-Allow-Headers"), "Range") || !strings.Contains(pre.Header.Get("Access-Control-Allow-Methods"), "GET") {
		t.Errorf("preflight: %d %v", pre.StatusCode, pre.Header)
	}
}

// TestOtherSites: a page elsewhere cannot have a signed-in browser change something here.
func TestOtherSites(t *testing.T) {
	ok := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
	e := start(t, newLibrary(t), with(at("/api/", ok), Mount{Path: "/rest/", Name: "rest", AnyOrigin: true, Handler: http.HandlerFunc(ok)}))
	public := start(t, newLibrary(t), func(c *ServerConfig, _ *StreamerConfig) {
		c.PublicURL = "https://music.example"
		c.Mounts = []Mount{at("/api/", ok)}
	})
	for _, test := range []struct {
		e       *edge
		method  string
		path    string
		headers []string
		status  int
	}{
		{e, "POST", "/api/x", []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, 403},
		{e, "POST", "/api/x", []string{"Sec-Fetch-Site: same-site", "Origin: https://sub.example"}, 403},
		{e, "DELETE", "/api/x", []string{"Origin: https://evil.example"}, 403},
		{e, "POST", "/api/x", []string{"Origin: null"}, 403},
		{e, "GET", "/api/x", []string{"Sec-Fetch-Site: cross-site"}, 204},
		{e, "POST", "/api/x", []string{"Sec-Fetch-Site: same-origin"}, 204},
		{e, "POST", "/api/x", nil, 204}, // not a browser
		{e, "POST", "/rest/x", []string{"Sec-Fetch-Site: cross-site", "Origin: https://app.example"}, 204},
		{public, "POST", "/api/x", []string{"Origin: https://music.example"}, 204}, // the proxy changed Host
	} {
		if got := test.e.do(t, test.method, test.path, test.headers...); got.StatusCode != test.status {
			t.Errorf("%s %s %v: %d, want %d", test.method, test.path, test.headers, got.StatusCode, test.status)
		}
	}
}

func TestRequestIDAndLog(t *testing.T) {
	e := start(t, newLibrary(t), with(
		at("/rest/", func(w http.ResponseWriter, r *http.Request) {
			SetRoute(r, "getSong")
			_, _ = io.WriteString(w, RequestID(r.Context()))
		}),
		Mount{Path: "/share/", Name: "share", Private: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
		})},
	))
	got := e.do(t, "GET", "/rest/getSong?u=ann&p=hunter2&t=t0ken&s=sa1t&apiKey=k3y", "X-Request-Id: from-the-proxy.1")
	if id := got.Header.Get("X-Request-Id"); id != "from-the-proxy.1" || string(got.body) != id {
		t.Errorf("id %q, body %q", id, got.body)
	}
	for _, bad := range []string{"short", "with spaces and more", strings.Repeat("x", 65), "semi;colon;colon"} {
		if id := e.do(t, "GET", "/rest/x", "X-Request-Id: "+bad).Header.Get("X-Request-Id"); id == bad || !goodRequestID(id) {
			t.Errorf("%q was answered with %q", bad, id)
		}
	}
	e.do(t, "GET", "/share/5ecret/stream/tr-1")
	eventually(t, "all is logged", func() bool { return strings.Contains(e.log.String(), "route=share") })
	log := e.log.String()
	for _, secret := range []string{"hunter2", "t0ken", "sa1t", "k3y", "5ecret", "u=ann"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q:\n%s", secret, log)
		}
	}
	for _, want := range []string{"level=DEBUG", "request=from-the-proxy.1", "route=getSong", "status=200", "from=127.0.0.1", "path=/share/…", "level=WARN"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if n := e.metric(t, "tutti_http_requests_total", "getSong", "200"); n != 5 {
		t.Errorf("%v requests counted under the name that the wire gave", n)
	}
}

func TestPanics(t *testing.T) {
	e := start(t, newLibrary(t), with(
		at("/before", func(http.ResponseWriter, *http.Request) { panic("a defect") }),
		at("/after", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
			panic("another defect")
		}),
		at("/chunks", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			w.(http.Flusher).Flush()
			panic("a third defect")
		}),
	))
	got := e.do(t, "GET", "/before")
	if got.StatusCode != 500 || strings.Contains(string(got.body), "defect") || got.Header.Get("X-Request-Id") == "" {
		t.Errorf("%d %q", got.StatusCode, got.body)
	}
	for _, path := range []string{"/after", "/chunks"} {
		res, err := e.client.Post(e.url+path, "", nil) // a GET would be sent again
		if err != nil {
			continue // cut before even the header was out
		}
		if _, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("%s: half an answer looks whole", path)
		}
		if err := res.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	log := e.log.String()
	for _, want := range []string{`panic="a defect"`, `panic="another defect"`, `panic="a third defect"`} {
		if strings.Count(log, want) != 1 {
			t.Errorf("%s is logged %d times", want, strings.Count(log, want))
		}
	}
	if n := e.metric(t, "tutti_http_panics_total"); n != 3 {
		t.Errorf("%v panics counted", n)
	}
}

func TestBodyLimit(t *testing.T) {
	m := at("/api/", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			WriteError(w, err)
			return
		}
		_, _ = fmt.Fprint(w, len(b))
	})
	m.MaxBody = 1000
	e := start(t, newLibrary(t), with(m))
	for size, status := range map[int]int{0: 200, 1000: 200, 1001: 413, 1 << 20: 413} {
		for _, chunked := range []bool{false, true} {
			var body io.Reader = bytes.NewReader(make([]byte, size))
			if chunked {
				body = io.MultiReader(body)
			}
			req, err := http.NewRequestWithContext(t.Context(), "POST", e.url+"/api/", body)
			if err != nil {
				t.Fatal(err)
			}
			if got := e.send(t, req); got.StatusCode != status {
				t.Errorf("%d bytes: %d, want %d", size, got.StatusCode, status)
			}
		}
	}
}

// TestDeadline: an answer that takes too long is given up, one that is held open is not. The clock stands still but
// for the test, so the handlers wait for exactly what they are tested for.
func TestDeadline(t *testing.T) {
	fake := clock.NewFake(time.Now().Add(time.Hour)) // the sockets' deadlines must lie ahead
	var shut context.Context
	e := start(t, newLibrary(t), func(c *ServerConfig, _ *StreamerConfig) {
		c.Clock, c.Deadline = fake, 20*time.Second
		c.Mounts = append(
			c.Mounts,
			at("/slow", func(w http.ResponseWriter, r *http.Request) {
				fake.Advance(20 * time.Second)
				<-r.Context().Done()
				WriteError(w, context.Cause(r.Context()))
			}),
			at("/events", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = io.WriteString(w, "data: 1\n\n")
				w.(http.Flusher).Flush()
				fake.Advance(time.Hour)
				_, _ = fmt.Fprintf(w, "data: %v\n\n", r.Context().Err())
				w.(http.Flusher).Flush()
				shut = r.Context()
				<-shut.Done()
			}),
		)
	})
	got := e.do(t, "GET", "/slow")
	if got.StatusCode != 503 || string(got.body) != "this took longer than 20s and was given up; try again later\n" {
		t.Errorf("%d %q", got.StatusCode, got.body)
	}
	res, err := e.client.Get(e.url + "/events")
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(res.Body)
	for _, want := range []string{"data: 1\n", "\n", "data: <nil>\n", "\n"} {
		if line, err := lines.ReadString('\n'); line != want || err != nil {
			t.Errorf("%q %v, want %q", line, err, want)
		}
	}
	// Shutting down ends it at once, without the grace period: the clock does not move.
	e.stop()
	<-e.ended
	if err := context.Cause(shut); tutti.Message(err) != "the server is shutting down" {
		t.Errorf("it ended because: %v", err)
	}
	if err := res.Body.Close(); err != nil {
		t.Error(err)
	}
}

// TestShutdown: audio that is being listened to may end; what outlasts the grace period is cut.
func TestShutdown(t *testing.T) {
	for _, cut := range []bool{false, true} {
		t.Run(fmt.Sprintf("cut=%v", cut), func(t *testing.T) {
			lib := newLibrary(t)
			_, m := lib.addMaking(t, "tr-1", "a.opus")
			m.write(t, []byte("first"))
			fake := clock.NewFake(time.Now().Add(time.Hour))
			e := start(t, lib, func(c *ServerConfig, sc *StreamerConfig) { c.Clock, c.Grace, sc.Clock = fake, time.Minute, fake })
			res, err := e.client.Get(e.url + "/audio/tr-1")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(res.Body, make([]byte, 5)); err != nil {
				t.Fatal(err)
			}
			e.stop()
			eventually(t, "nothing new is accepted", func() bool {
				c, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
				if err != nil {
					return true
				}
				_ = c.Close()
				return false
			})
			if cut {
				fake.WaitForTimers(1)
				fake.Advance(time.Minute)
			} else {
				m.write(t, []byte("last"))
				m.end(nil)
			}
			rest, err := io.ReadAll(res.Body)
			if cut && err == nil || !cut && (err != nil || string(rest) != "last") {
				t.Errorf("%q, %v", rest, err)
			}
			if err := res.Body.Close(); err != nil {
				t.Error(err)
			}
			<-e.ended
		})
	}
}

func TestBasePath(t *testing.T) {
	say := at("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s %s %v", r.URL.Path, BaseURL(r), BasePath(r), Secure(r))
	})
	rest := at("/rest/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.Path+" in its own folder")
	})
	base := func(public string) *edge {
		return start(t, newLibrary(t), func(c *ServerConfig, _ *StreamerConfig) {
			c.BasePath, c.PublicURL, c.Mounts = "/music/", public, []Mount{say, rest}
			c.Proxies = Proxies{Trusted: prefixes("127.0.0.0/8")}
		})
	}
	e := base("")
	if !strings.HasSuffix(e.url, "/music") {
		t.Errorf("URLs: %s", e.url)
	}
	e.url = strings.TrimSuffix(e.url, "/music")
	for path, want := range map[string]string{
		"/music/x/y":  "/x/y http://h.example/music /music false",
		"/music/":     "/ http://h.example/music /music false",
		"/x":          "/x http://h.example/music /music false", // the proxy took it off already
		"/musical":    "/musical http://h.example/music /music false",
		"/music//x":   "/x http://h.example/music /music false", // an app's address ended in a slash
		"//x///y/":    "/x/y/ http://h.example/music /music false",
		"/music/rest": "/rest/ in its own folder",
		"/rest":       "/rest/ in its own folder",
		"//rest/ping": "/rest/ping in its own folder",
		"/resting":    "/resting http://h.example/music /music false",
	} {
		if got := string(e.do(t, "GET", path, "Host: h.example").body); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if got := string(e.do(t, "GET", "/x", "X-Forwarded-Proto: https", "X-Forwarded-Host: h.example:8443").body); got != "/x https://h.example:8443/music /music true" {
		t.Error(got)
	}
	if got := e.do(t, "GET", "/music"); got.StatusCode != 301 || got.Header.Get("Location") != "/music/" {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
	e = base("https://music.example/music")
	if got := string(e.do(t, "GET", "/x", "Host: other").body); got != "/x https://music.example/music /music true" {
		t.Error(got)
	}
}

func TestCompression(t *testing.T) {
	long, short := strings.Repeat(`{"a":1},`, 1000), `{"a":1}`
	answer := func(contentType, body string, headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			for _, h := range headers {
				k, v, _ := strings.Cut(h, ": ")
				w.Header().Set(k, v)
			}
			w.WriteHeader(http.StatusOK)
			for part := range strings.SplitAfterSeq(body, ",") {
				if contentType != "application/xml" {
					part = body
				}
				if _, err := io.WriteString(w, part); err != nil {
					t.Error(err)
				}
				if contentType != "application/xml" {
					break
				}
			}
		}
	}
	e := start(t, newLibrary(t), with(
		at("/long", answer("application/json", long)),
		at("/declared", answer("application/json; charset=utf-8", long, fmt.Sprintf("Content-Length: %d", len(long)), `ETag: "x"`)),
		at("/short", answer("application/json", short)),
		at("/parts", answer("application/xml", long)),
		at("/flac", answer("audio/flac", long)),
		at("/done", answer("text/css", long, "Content-Encoding: br")),
		at("/empty", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(418)
		}),
	))
	for _, test := range []struct {
		path, accept, encoding, body string
	}{
		{"/long", "gzip, br", "gzip", long},
		{"/long", "br;q=1, GZIP;q=0.5", "gzip", long},
		{"/long", "gzip;q=0", "", long},
		{"/long", "", "", long},
		{"/declared", "gzip", "gzip", long},
		{"/short", "gzip", "", short},
		{"/parts", "gzip", "", long}, // its first part is short, and a stream of small things must get through
		{"/flac", "gzip", "", long},
		{"/done", "gzip", "br", long},
		{"/empty", "gzip", "", ""},
	} {
		got := e.do(t, "GET", test.path, "Accept-Encoding: "+test.accept)
		body := string(got.body)
		if test.encoding == "gzip" && got.Header.Get("Content-Encoding") == "gzip" {
			zr, err := gzip.NewReader(bytes.NewReader(got.body))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(zr)
			if err != nil {
				t.Fatal(err)
			}
			body = string(b)
			if len(got.body) > len(long)/10 {
				t.Errorf("%s: %d bytes", test.path, len(got.body))
			}
		}
		if got.err != nil || got.Header.Get("Content-Encoding") != test.encoding || body != test.body {
			t.Errorf("%s, %q: %v %v, %d bytes", test.path, test.accept, got.err, got.Header, len(body))
		}
		wantVary := "Accept-Encoding"
		if test.path == "/flac" {
			wantVary = ""
		}
		if got.Header.Get("Vary") != wantVary {
			t.Errorf("%s: Vary %q", test.path, got.Header.Get("Vary"))
		}
		if test.path == "/declared" && test.encoding == "gzip" && got.Header.Get("ETag") != `W/"x"` {
			t.Errorf("the tag of other bytes: %s", got.Header.Get("ETag"))
		}
	}
	if got := e.do(t, "HEAD", "/declared", "Accept-Encoding: gzip"); got.ContentLength != int64(len(long)) || got.Header.Get("Content-Encoding") != "" {
		t.Errorf("HEAD: %v", got.Header)
	}
	if got := e.do(t, "GET", "/empty", "Accept-Encoding: gzip"); got.StatusCode != 418 {
		t.Errorf("a status without a body: %d", got.StatusCode)
	}
}

func TestTraces(t *testing.T) {
	lib := newLibrary(t)
	lib.add(t, "tr-1", "a.flac", noise(1000))
	spans := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(spans))
	e := start(t, lib, func(c *ServerConfig, sc *StreamerConfig) {
		c.Tracer, sc.Tracer = provider.Tracer("tutti"), provider.Tracer("tutti")
	})
	e.do(t, "GET", "/audio/tr-1?p=hunter2", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	eventually(t, "all spans are there", func() bool { return len(spans.GetSpans()) == 4 })
	var names []string
	for _, s := range spans.GetSpans() {
		names = append(names, s.Name)
		if id := s.SpanContext.TraceID().String(); id != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("%s is in trace %s, not the caller's", s.Name, id)
		}
		b, err := json.Marshal(s.Attributes)
		if err != nil || strings.Contains(string(b), "hunter2") {
			t.Errorf("%s: %s %v", s.Name, b, err)
		}
	}
	if got := strings.Join(names, ","); got != "plan,open,send,GET audio" {
		t.Error(got)
	}
	if err := provider.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestConfiguration(t *testing.T) {
	h := http.NotFoundHandler()
	for name, change := range map[string]func(*ServerConfig){
		"no address":             func(c *ServerConfig) { c.Listen = nil },
		"an odd base path":       func(c *ServerConfig) { c.BasePath = "music" },
		"a base path with a %":   func(c *ServerConfig) { c.BasePath = "/a%20b" },
		"an odd public address":  func(c *ServerConfig) { c.PublicURL = "music.example" },
		"addresses that differ":  func(c *ServerConfig) { c.PublicURL = "https://music.example/other" },
		"an unknown header":      func(c *ServerConfig) { c.Proxies.Header = "X-Client" },
		"a mount without a name": func(c *ServerConfig) { c.Mounts = []Mount{{Path: "/x", Handler: h}} },
		"two for one folder": func(c *ServerConfig) {
			c.Mounts = []Mount{{Path: "/x", Name: "x", Handler: h}, {Path: "/x/", Name: "y", Handler: h}}
		},
		"two for one path": func(c *ServerConfig) { c.Mounts = []Mount{{Path: "/healthz", Name: "x", Handler: h}} },
	} {
		e := ServerConfig{Listen: []string{"127.0.0.1:0"}, Clock: clock.System}
		good := start(t, newLibrary(t), nil).c
		e.Logger, e.Metrics, e.Registry = good.Logger, good.Metrics, good.Registry
		change(&e)
		if _, err := NewServer(e); !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listen(t.Context(), taken.Addr().String(), &net.ListenConfig{}); !strings.Contains(tutti.Message(err), "something else listens there") {
		t.Errorf("%v", err)
	}
	if err := taken.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestSlowHeader(t *testing.T) {
	e := start(t, newLibrary(t), func(c *ServerConfig, _ *StreamerConfig) { c.ReadHeaderTimeout = 50 * time.Millisecond })
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost:"); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(conn); err != nil || len(b) > 0 && !bytes.HasPrefix(b, []byte("HTTP/1.1 408")) && !bytes.HasPrefix(b, []byte("HTTP/1.1 400")) {
		t.Errorf("%q %v", b, err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

// BenchmarkServer is what the edge adds to a request, without the network.
func BenchmarkServer(b *testing.B) {
	e := start(b, newLibrary(b), func(c *ServerConfig, _ *StreamerConfig) {
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil)) // as in use: nothing below information
		c.Mounts = []Mount{at("/rest/", func(w http.ResponseWriter, r *http.Request) {
			SetRoute(r, "ping")
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte("{}"))
		})}
	})
	r := httptest.NewRequest("GET", "/rest/ping", nil)
	b.ReportAllocs()
	for b.Loop() {
		e.ServeHTTP(discard{http.Header{}}, r)
	}
}

// discard is a writer that keeps nothing.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
