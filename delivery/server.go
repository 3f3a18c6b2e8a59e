package delivery

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"tutti"
	"tutti/clock"
)

// Mount is a handler with its place and its rules.
type Mount struct {
	// Path is where it answers: with a slash at the end everything below ("/rest/", "/"), else exactly this. The longest
	// that fits wins. The handler sees paths without ServerConfig.BasePath but with Path.
	Path    string
	Name    string // of the route in metrics and traces, where the handler does not name its own with SetRoute
	Handler http.Handler

	// AnyOrigin lets pages from anywhere read the answers (CORS), without the browser's credentials. It is for a wire
	// whose requests carry their own, and such a wire must not look at cookies: the check of where unsafe requests come
	// from, which every other mount has, is off.
	AnyOrigin bool
	// CSP is the Content-Security-Policy of the answers; "" is CSPNothing.
	CSP string
	// Private paths hold a secret and are not logged.
	Private bool
	// MaxBody is how many bytes of a request's body are read; 0 is 1 MiB. Reading on gives an *http.MaxBytesError,
	// which Status maps to 413.
	MaxBody int64
	// Deadline is how long an answer may take that is not held open; 0 is ServerConfig.Deadline, less is for ever.
	Deadline time.Duration
}

// Policies for Mount.CSP.
const (
	// CSPNothing is for answers that are data: nothing in them is to be run, shown or framed.
	CSPNothing = "default-src 'none'; frame-ancestors 'none'; sandbox"
	// CSPPage is for pages whose scripts, styles and media all come from here, in files of their own.
	CSPPage = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; " +
		"font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

// ServerConfig is what a Server needs. Listen, Mounts, Clock, Logger, Metrics and Registry are required.
type ServerConfig struct {
	Listen []string // "127.0.0.1:4533", "[::]:4533", "unix:/run/tutti.sock"
	Mounts []Mount
	TLS    *tls.Config // nil: plain HTTP; does not concern Unix sockets

	// BasePath is the path under which a proxy shows this server: "" or "/music". Requests may come with or without it.
	BasePath string
	// PublicURL is the address that links carry, with BasePath; "" is whatever address the asker used.
	PublicURL string
	Proxies   Proxies

	ReadHeaderTimeout time.Duration // for a request's header; 0 is 10 s
	ReadTimeout       time.Duration // for a request's header and body; 0 is 1 min
	IdleTimeout       time.Duration // for a connection between requests; 0 is 2 min
	Deadline          time.Duration // for an answer that is not a stream; 0 is 30 s
	Stall             time.Duration // how long an asker may take nothing of an answer; 0 is DefaultStall
	Grace             time.Duration // how long streams may go on once Run is told to end; 0 is 30 s, less is not at all
	MaxHeaderBytes    int           // 0 is 256 KiB: old apps send whole playlists in the query
	Slow              time.Duration // requests that take longer are logged as warnings; 0 is 1 s, less is never

	Clock    clock.Clock
	Logger   *slog.Logger
	Metrics  *Metrics
	Registry prometheus.Gatherer
	Tracer   trace.Tracer // nil: no spans, and no cost

	// Ready returns nil once requests are answered properly; nil is always ready.
	Ready func(ctx context.Context) error
	// Time is what the clock knows of itself, for /healthz; nil where it knows nothing.
	Time func() clock.State
	// Admin admits to the profiler at /debug/pprof/; nil turns it off. It is asked for every request and may look at
	// basic authentication, which `go tool pprof https://user:key@host/…` sends.
	Admin func(r *http.Request) bool
	// Scraper admits to /metrics; nil admits everybody.
	Scraper func(r *http.Request) bool
}

// Server is the HTTP edge: it listens, sees to what all answers have in common, and hands requests to its mounts.
type Server struct {
	c        ServerConfig
	mounts   []Mount // longest path first
	base     string
	public   *url.URL
	ids      *requestIDs
	http     *http.Server
	origins  *http.CrossOriginProtection
	closing  context.Context // ends when shutting down begins
	beginEnd context.CancelFunc

	running running

	mu        sync.Mutex
	listeners []net.Listener
}

// running counts the handlers at work: net/http cuts connections without waiting for those who write to them.
type running struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed when n falls to 0; nil while nobody waits
}

func (r *running) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
}

func (r *running) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n--; r.n == 0 && r.idle != nil {
		close(r.idle)
		r.idle = nil
	}
}

// wait waits until no handler is at work, or until late; it reports whether none is.
func (r *running) wait(late <-chan time.Time) bool {
	r.mu.Lock()
	if r.n == 0 {
		r.mu.Unlock()
		return true
	}
	if r.idle == nil {
		r.idle = make(chan struct{})
	}
	idle := r.idle
	r.mu.Unlock()
	select {
	case <-idle:
		return true
	case <-late:
		return false
	}
}

// lastWords is how long handlers may take to notice that their connections are gone.
const lastWords = 5 * time.Second

// NewServer checks the configuration and returns a Server that does not listen yet. It returns KindInvalid for a
// configuration that cannot work.
func NewServer(c ServerConfig) (*Server, error) {
	const op = "delivery.NewServer"
	if len(c.Listen) == 0 {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "no address to listen on is configured")
	}
	if err := c.Proxies.valid(); err != nil {
		return nil, err
	}
	base := strings.TrimSuffix(c.BasePath, "/")
	if base != "" && (!strings.HasPrefix(base, "/") || strings.ContainsAny(base, "?#%\\") || strings.Contains(base, "//")) {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "base path %q must look like /music", c.BasePath)
	}
	var public *url.URL
	if c.PublicURL != "" {
		u, err := url.Parse(strings.TrimSuffix(c.PublicURL, "/"))
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || !plainHost(u.Host) || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return nil, tutti.Errorf(tutti.KindInvalid, op, "public address %q must look like https://music.example.org/path", c.PublicURL)
		}
		if u.Path != base {
			return nil, tutti.Errorf(tutti.KindInvalid, op, "the public address ends in %q but the base path is %q; they must agree", u.Path, base)
		}
		public = u
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.ReadHeaderTimeout, 10 * time.Second},
		{&c.ReadTimeout, time.Minute},
		{&c.IdleTimeout, 2 * time.Minute},
		{&c.Deadline, 30 * time.Second},
		{&c.Stall, DefaultStall},
		{&c.Grace, 30 * time.Second},
		{&c.Slow, time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.MaxHeaderBytes == 0 {
		c.MaxHeaderBytes = 256 << 10
	}
	s := &Server{c: c, base: base, public: public, ids: newRequestIDs(rand.Uint64()), origins: http.NewCrossOriginProtection()}
	if err := s.mount(); err != nil {
		return nil, err
	}
	if public != nil {
		if err := s.origins.AddTrustedOrigin(public.Scheme + "://" + public.Host); err != nil {
			return nil, tutti.Errorf(tutti.KindInvalid, op, "public address: %v", err)
		}
	}
	s.closing, s.beginEnd = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: c.ReadHeaderTimeout,
		ReadTimeout:       c.ReadTimeout,
		WriteTimeout:      max(0, c.Stall), // from the request's header on; every write of a stream renews it
		IdleTimeout:       c.IdleTimeout,
		MaxHeaderBytes:    c.MaxHeaderBytes,
		TLSConfig:         c.TLS.Clone(),
		ConnContext:       keepConn,
		ErrorLog:          slog.NewLogLogger(quietly{c.Logger.Handler()}, slog.LevelWarn),
	}
	return s, nil
}

// Listen opens the addresses. Run does so too where it was not done before; calling it first tells the addresses.
func (s *Server) Listen(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.listeners) > 0 {
		return nil
	}
	for _, addr := range s.c.Listen {
		l, err := listen(ctx, addr, &net.ListenConfig{})
		if err != nil {
			for _, open := range s.listeners {
				err = errors.Join(err, open.Close())
			}
			s.listeners = nil
			return err
		}
		s.listeners = append(s.listeners, l)
	}
	return nil
}

// URLs returns the addresses that Listen opened, in the order of ServerConfig.Listen: "http://127.0.0.1:4533/music/".
func (s *Server) URLs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, l := range s.listeners {
		if l.Addr().Network() == "unix" {
			out = append(out, "unix:"+l.Addr().String())
			continue
		}
		sch := "http"
		if s.c.TLS != nil {
			sch = "https"
		}
		out = append(out, sch+"://"+l.Addr().String()+s.base+"/")
	}
	return out
}

// Run listens, unless that was done before, and serves until ctx ends. Then it shuts down: /readyz says so, nothing
// new is accepted, event streams end at once, other answers and audio may go on for the grace period, and what is left
// after it is cut off. What handlers use may be closed once it has returned. It returns nil after a shutdown, whether or not it had to cut, and an error if it could not
// listen or serve.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	listeners := s.listeners
	s.mu.Unlock()
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { failed <- s.serve(l) }()
	}
	var err error
	running := len(listeners)
	select {
	case <-ctx.Done():
	case err = <-failed:
		running--
		err = tutti.Wrap(tutti.KindUnavailable, "delivery.Run", err)
	}
	s.shutDown(ctx)
	for ; running > 0; running-- {
		if e := <-failed; !errors.Is(e, http.ErrServerClosed) && err == nil {
			err = tutti.Wrap(tutti.KindUnavailable, "delivery.Run", e)
		}
	}
	return err
}

func (s *Server) serve(l net.Listener) error {
	if s.c.TLS != nil && l.Addr().Network() != "unix" {
		return s.http.ServeTLS(l, "", "") // the certificate is in the configuration
	}
	return s.http.Serve(l)
}

func (s *Server) shutDown(ctx context.Context) {
	s.beginEnd()
	grace, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	if s.c.Grace <= 0 {
		cut()
	} else {
		t := s.c.Clock.AfterFunc(s.c.Grace, cut)
		defer t.Stop()
	}
	if err := s.http.Shutdown(grace); err == nil {
		return
	}
	s.c.Logger.Info("cutting off the streams that outlasted the grace period", slog.Duration("grace", max(0, s.c.Grace)))
	if err := s.http.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		s.c.Logger.Warn("closing connections", slog.Any("error", err))
	}
	t := s.c.Clock.NewTimer(lastWords)
	defer t.Stop()
	if !s.running.wait(t.C()) {
		s.c.Logger.Warn("some requests do not end, though nobody waits for them")
	}
}

// quietly is a log handler for what net/http has to say: clients that vanish or speak TLS to a plain port are not
// worth a warning each.
type quietly struct{ slog.Handler }

func (q quietly) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	if !q.Enabled(ctx, r.Level) {
		return nil
	}
	return q.Handler.Handle(ctx, r)
}
