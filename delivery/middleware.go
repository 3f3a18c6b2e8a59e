package delivery

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/trace"

	"tutti"
	"tutti/clock"
)

// mount sorts the configured mounts and adds the server's own.
func (s *Server) mount() error {
	const op = "delivery.NewServer"
	own := []Mount{
		{Path: "/healthz", Name: "healthz", Handler: http.HandlerFunc(s.healthz), AnyOrigin: true},
		{Path: "/readyz", Name: "readyz", Handler: http.HandlerFunc(s.readyz), AnyOrigin: true},
		{Path: "/metrics", Name: "metrics", Handler: s.guard(s.c.Scraper, promhttp.HandlerFor(s.c.Registry, promhttp.HandlerOpts{
			ErrorLog:           slog.NewLogLogger(s.c.Logger.Handler(), slog.LevelWarn),
			DisableCompression: true, // the server compresses
		}))},
	}
	if s.c.Admin != nil {
		mux := http.NewServeMux()
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
		own = append(own, Mount{Path: "/debug/pprof/", Name: "pprof", Handler: s.guard(s.c.Admin, mux), Deadline: -1})
	}
	s.mounts = append(own, s.c.Mounts...)
	seen := make(map[string]bool)
	for i := range s.mounts {
		m := &s.mounts[i]
		switch {
		case !strings.HasPrefix(m.Path, "/"), m.Handler == nil, m.Name == "":
			return tutti.Errorf(tutti.KindInvalid, op, "mount %q needs a path that begins with a slash, a name and a handler", m.Path)
		case seen[strings.TrimSuffix(m.Path, "/")]:
			return tutti.Errorf(tutti.KindInvalid, op, "two handlers for %s", m.Path)
		}
		seen[strings.TrimSuffix(m.Path, "/")] = true
		if m.CSP == "" {
			m.CSP = CSPNothing
		}
		if m.MaxBody == 0 {
			m.MaxBody = 1 << 20
		}
		if m.Deadline == 0 {
			m.Deadline = s.c.Deadline
		}
	}
	slices.SortStableFunc(s.mounts, func(a, b Mount) int { return len(b.Path) - len(a.Path) })
	return nil
}

// find returns the mount for a path, or nil. A folder is found without its slash, too.
func (s *Server) find(path string) *Mount {
	for i := range s.mounts {
		m := &s.mounts[i]
		if dir, ok := strings.CutSuffix(m.Path, "/"); path == m.Path || ok && (strings.HasPrefix(path, m.Path) || path == dir && dir != "") {
			return m
		}
	}
	return nil
}

// exchange is a request with its answer, on the heap for the reason that answer is.
type exchange struct {
	request
	response
	s     *Server
	m     *Mount // nil: there is nothing at the address
	r     *http.Request
	ctx   context.Context
	trace trace.Span // nil: no tracer
}

// ServeHTTP implements http.Handler. It is what Run serves, and can be served by a test's own server.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.running.begin()
	defer s.running.end()
	x := s.begin(w, r)
	defer x.end()
	if s.admit(x.m, &x.response, x.r) {
		x.m.Handler.ServeHTTP(&x.response, x.r)
		if a := x.tail; a != nil {
			x.tail = nil
			a.run(x.ctx)
		}
	}
}

// begin learns who asks for what.
func (s *Server) begin(w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{s: s}
	q := &x.request
	q.id, q.start, q.closing, q.conn, q.base = r.Header.Get("X-Request-Id"), s.c.Clock.Now(), s.closing, connOf(r), s.base
	if !goodRequestID(q.id) {
		q.id = s.ids.next()
	}
	q.from, q.scheme, q.host = s.c.Proxies.origin(r)
	if s.public != nil {
		q.scheme, q.host = s.public.Scheme, s.public.Host
	}
	x.ctx, q.cancel = context.WithCancelCause(context.WithValue(r.Context(), requestKey{}, q))
	x.ctx, x.trace = s.startSpan(x.ctx, r)
	x.response = response{ResponseWriter: w, req: q, clock: s.c.Clock, gzip: r.Method != http.MethodHead && acceptsGzip(r.Header)}
	w.Header()["X-Request-Id"] = []string{q.id}
	x.r = r.WithContext(x.ctx)
	x.m = s.route(x.r)
	if x.m != nil && x.m.Deadline > 0 {
		after := x.m.Deadline
		q.deadline = s.c.Clock.AfterFunc(after, func() {
			q.cancel(tutti.Errorf(tutti.KindUnavailable, "delivery.Server", "this took longer than %s and was given up; try again later", after))
		})
	}
	s.c.Metrics.inFlight.Inc()
	return x
}

// end counts, logs and cleans up. It is deferred: nothing of it may be skipped, whatever the handler did. A panic is a
// defect of ours, or (http.ErrAbortHandler) the way to tell a listener that an answer is not whole.
func (x *exchange) end() {
	p := recover()
	if x.tail != nil {
		x.tail.close() // the handler did not live to see it sent
	}
	if p != nil && p != http.ErrAbortHandler { //nolint:errorlint // a panic's value, compared as net/http does
		x.s.c.Metrics.panics.Inc()
		x.s.c.Logger.LogAttrs(x.ctx, slog.LevelError, "a defect ended a request", slog.String("request", x.id),
			slog.String("path", shownPath(x.m, x.r)), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		if x.status == 0 {
			WriteError(&x.response, tutti.Errorf(tutti.KindInternal, "delivery.Server", ""))
			p = nil
		} else {
			p = http.ErrAbortHandler
		}
	}
	if p == nil {
		x.finish()
	}
	stream := x.raw || x.held.Load()
	x.release()
	x.s.c.Metrics.inFlight.Dec()
	x.s.done(x.ctx, x.m, x.r, &x.response, stream)
	x.s.endSpan(x.trace, x.m, x.r, &x.response)
	if p != nil {
		panic(p) // net/http cuts the connection and says nothing
	}
}

// route finds the mount and takes the base path off the request's.
func (s *Server) route(r *http.Request) *Mount {
	// Apps put "/rest/ping" behind an address that ends in a slash.
	if strings.Contains(r.URL.Path, "//") {
		u := *r.URL
		u.Path, u.RawPath = slashes.ReplaceAllString(u.Path, "/"), slashes.ReplaceAllString(u.RawPath, "/")
		r.URL = &u
	}
	if s.base != "" {
		if rest, ok := strings.CutPrefix(r.URL.Path, s.base); ok && (rest == "" || rest[0] == '/') {
			u := *r.URL
			u.Path = rest
			u.RawPath = strings.TrimPrefix(u.RawPath, s.base)
			r.URL = &u
		}
	}
	m := s.find(r.URL.Path)
	if m != nil && r.URL.Path+"/" == m.Path { // handlers know their folder with its slash only
		u := *r.URL
		u.Path, u.RawPath = m.Path, ""
		r.URL = &u
	}
	return m
}

var slashes = regexp.MustCompile("/{2,}")

// Header values that are the same for every answer, made once. They are never changed in place: http.Header's methods
// replace slices, and appending to one of these copies it.
var (
	nosniff     = []string{"nosniff"}
	noReferrer  = []string{"no-referrer"}
	denyFrames  = []string{"DENY"}
	sameOrigin  = []string{"same-origin"}
	crossOrigin = []string{"cross-origin"}
	anyOrigin   = []string{"*"}
	exposed     = []string{"Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag, Last-Modified, Retry-After, X-Content-Duration, X-Request-Id"}
)

// admit sets the headers that all answers have and refuses, with an answer, what needs no handler to be refused.
func (s *Server) admit(m *Mount, w *response, r *http.Request) bool {
	h := w.Header()
	h["X-Content-Type-Options"] = nosniff
	h["Referrer-Policy"] = noReferrer
	switch {
	case r.URL.Path == "" && s.base != "":
		http.Redirect(w, r, s.base+"/", http.StatusMovedPermanently)
		return false
	case m == nil:
		WriteError(w, tutti.Errorf(tutti.KindNotFound, "delivery.Server", "there is nothing at this address"))
		return false
	}
	h["X-Frame-Options"] = denyFrames
	h["Content-Security-Policy"] = []string{m.CSP}
	if m.AnyOrigin {
		h["Access-Control-Allow-Origin"] = anyOrigin
		h["Access-Control-Expose-Headers"] = exposed
		h["Cross-Origin-Resource-Policy"] = crossOrigin
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS")
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Range, If-Range, If-None-Match, If-Modified-Since, X-Requested-With")
			h.Set("Access-Control-Max-Age", "86400")
			w.WriteHeader(http.StatusNoContent)
			return false
		}
	} else {
		h["Cross-Origin-Resource-Policy"] = sameOrigin
		h["Cross-Origin-Opener-Policy"] = sameOrigin
		if err := s.origins.Check(r); err != nil {
			WriteError(w, &tutti.Error{Kind: tutti.KindForbidden, Op: "delivery.Server", Message: "this request came from a page of another site, and was refused", Err: err})
			return false
		}
	}
	if r.Body != nil && r.ContentLength != 0 {
		r.Body = http.MaxBytesReader(w.ResponseWriter, r.Body, m.MaxBody)
	}
	return true
}

// routeName is how metrics and traces call what was asked.
func routeName(m *Mount, r *http.Request) string {
	if q := requestOf(r.Context()); q != nil && q.route != "" {
		return q.route
	}
	if m == nil {
		return "none"
	}
	if r.Pattern != "" {
		_, path, found := strings.Cut(r.Pattern, " ")
		if !found {
			path = r.Pattern
		}
		return path
	}
	return m.Name
}

// shownPath is what the log may know of the address: never the query, in which wires carry passwords, tokens and keys.
func shownPath(m *Mount, r *http.Request) string {
	if m != nil && m.Private {
		return m.Path + "…"
	}
	return r.URL.Path
}

// done counts and logs a request that has been answered.
func (s *Server) done(ctx context.Context, m *Mount, r *http.Request, w *response, stream bool) {
	took := s.c.Clock.Now().Sub(w.req.start)
	status := w.status
	if status == 0 {
		status = http.StatusOK // a handler that writes nothing answers 200
	}
	route := routeName(m, r)
	s.c.Metrics.request(route, r.Method, status, took, stream)
	level, message := slog.LevelDebug, "request"
	switch {
	case status >= 500:
		level = slog.LevelWarn
	case !stream && s.c.Slow > 0 && took > s.c.Slow:
		level, message = slog.LevelWarn, "slow request"
	}
	if !s.c.Logger.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request", w.req.id), slog.String("method", r.Method), slog.String("path", shownPath(m, r)),
		slog.String("route", route), slog.Int("status", status), slog.Int64("bytes", w.bytes), slog.Duration("took", took),
	}
	if w.req.from.IsValid() {
		attrs = append(attrs, slog.String("from", w.req.from.String()))
	}
	if w.err != nil {
		attrs = append(attrs, slog.String("write", w.err.Error()))
	}
	s.c.Logger.LogAttrs(ctx, level, message, attrs...)
}

// healthz says that the process lives, and how good its time is. Which servers the time comes from is told to this
// machine only.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) {
	var t *clock.State
	if s.c.Time != nil {
		state := s.c.Time()
		if q := requestOf(r.Context()); q == nil || !q.from.IsLoopback() {
			state.Sources = nil
		}
		t = &state
	}
	writeState(w, http.StatusOK, "ok", "", t)
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if s.closing.Err() != nil {
		writeState(w, http.StatusServiceUnavailable, "stopping", "the server is shutting down", nil)
		return
	}
	if s.c.Ready != nil {
		if err := s.c.Ready(r.Context()); err != nil {
			SetRetryAfter(w.Header(), err)
			writeState(w, http.StatusServiceUnavailable, "not ready", tutti.Message(err), nil)
			return
		}
	}
	writeState(w, http.StatusOK, "ready", "", nil)
}

func writeState(w http.ResponseWriter, status int, state, detail string, t *clock.State) {
	body, err := json.Marshal(struct {
		Status string       `json:"status"`
		Detail string       `json:"detail,omitempty"`
		Clock  *clock.State `json:"clock,omitempty"`
	}{state, detail, t})
	if err != nil {
		panic(err) // strings and finite numbers always marshal
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a prober that has left needs no answer
}

// guard asks for a name and password where allow says no.
func (s *Server) guard(allow func(*http.Request) bool, next http.Handler) http.Handler {
	if allow == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !allow(r) {
			w.Header().Set("WWW-Authenticate", `Basic realm="tutti", charset="UTF-8"`)
			WriteError(w, tutti.Errorf(tutti.KindUnauthorised, "delivery.Server", "sign in as an admin"))
			return
		}
		next.ServeHTTP(w, r)
	})
}
