// Package sendspin lets Sendspin clients play in rooms, show what is played and command it (github.com/Sendspin/spec). A
// group of Sendspin is a room.
//
// Clients connect by WebSocket, or are called where they announce themselves. Three dialects are in use: the plain one of
// early 2026, the first encrypted one, and that of the present text; a client's first words say which it speaks
// (docs/decisions/sendspin.md). Stamps are those of the room's timeline in microseconds by the server's clock, which
// clients learn by asking for the time.
package sendspin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"tutti"
	"tutti/clock"
	"tutti/rooms"
	"tutti/store"
)

const (
	// Path is where WebSockets are taken: what the specification recommends, and what announcements say.
	Path = "/sendspin"
	// kind is a player's, among those of other protocols.
	kind = "sendspin"

	// unsent bounds what may lie in the kernel unsent, so that an answer about the time does not wait behind sound.
	unsent = 16 << 10
	// silence is after how long a client that sends nothing is gone: it asks for the time every few seconds, and is pinged
	// where it has not.
	silence = 30 * time.Second
	// maxClients bounds the connections.
	maxClients = 256
	// headerTime is how long a request may take to arrive.
	headerTime = 10 * time.Second
)

// Config says where to listen and for whom. Every field but the last two is required.
type Config struct {
	House   *rooms.House
	Browser tutti.Browser // what is known of tracks, and where their pictures are
	Source  tutti.Source  // of pictures
	Store   store.Store   // for the server's identity and its pairings
	Clock   clock.Clock   // the one that rooms are stamped by
	Logger  *slog.Logger
	Name    string // of this server, for people

	// Paired lets nobody play who was not paired.
	Paired bool
	// Origins are the hosts whose pages may connect, besides pages of this server's own host.
	Origins []string
}

// Server speaks to clients. Make it with Listen and Run it.
type Server struct {
	c         Config
	keys      *keyring
	l         net.Listener
	places    chan struct{}
	painting  chan struct{} // one place: pictures are made one at a time, as large as clients may ask for
	announced chan []string // who announces itself now, for visit

	mu      sync.Mutex
	clients map[string]*client // by client_id, those whose greeting was taken
}

// Listen opens HOST:PORT for clients. The caller runs the server, which closes the port at the end.
func Listen(ctx context.Context, address string, c Config) (*Server, error) {
	keys, err := openKeys(ctx, c.Store)
	if err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for Sendspin clients: %w", err)
	}
	return &Server{c: c, keys: keys, l: l, places: make(chan struct{}, maxClients), painting: make(chan struct{}, 1), announced: make(chan []string, 1), clients: map[string]*client{}}, nil
}

// Address is where it listens.
func (s *Server) Address() string { return s.l.Addr().String() }

// ID is what clients know this server by.
func (s *Server) ID() string { return s.keys.id() }

// Run serves clients until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	var clients sync.WaitGroup
	defer clients.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path, func(w http.ResponseWriter, r *http.Request) {
		if !s.welcome(r) {
			http.Error(w, "this page may not connect; --sendspin-origins says which may", http.StatusForbidden)
			return
		}
		select {
		case s.places <- struct{}{}:
			defer func() { <-s.places }()
		default:
			s.c.Logger.Warn("too many Sendspin clients", "from", r.RemoteAddr, "most", maxClients)
			http.Error(w, "too many clients", http.StatusServiceUnavailable)
			return
		}
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled})
		if err != nil {
			return // it has been answered
		}
		clients.Add(1) // the handler's own goroutine is not waited for once the connection is taken over
		defer clients.Done()
		_ = s.meet(ctx, ws, r.RemoteAddr) // it has been logged
	})
	clients.Go(func() { s.visit(ctx) })
	web := &http.Server{
		Handler: mux, ReadHeaderTimeout: headerTime, IdleTimeout: headerTime, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(s.c.Logger.Handler(), slog.LevelDebug),
		ConnState: func(c net.Conn, state http.ConnState) {
			if tcp, ok := c.(*net.TCPConn); ok && state == http.StateNew {
				rooms.LimitUnsent(tcp, unsent)
			}
		},
	}
	defer context.AfterFunc(ctx, func() { _ = web.Close() })()
	if err := web.Serve(s.l); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("take Sendspin clients: %w", err)
	}
	return nil
}

// welcome reports whether a request comes from no page, or from one that may connect: any page in the world could
// otherwise command the rooms through the browser of who looks at it, by the server's name or by its own (rooms.LocalName).
func (s *Server) welcome(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	page, err := url.Parse(origin)
	if err != nil || page.Hostname() == "" {
		return false
	}
	own := r.Host
	if host, _, err := net.SplitHostPort(own); err == nil {
		own = host
	}
	if strings.EqualFold(page.Hostname(), strings.Trim(own, "[]")) && rooms.LocalName(page.Hostname()) {
		return true
	}
	for _, o := range s.c.Origins {
		if o == "*" || strings.EqualFold(o, page.Hostname()) {
			return true
		}
	}
	return false
}

// meet serves one connection, whoever made it, to its end, and returns why it ended.
func (s *Server) meet(ctx context.Context, ws *websocket.Conn, from string) error {
	host, _, err := net.SplitHostPort(from)
	if err != nil {
		host = from
	}
	err = s.serve(ctx, ws, host)
	if closed := ws.CloseNow(); err == nil {
		err = closed
	}
	var closed websocket.CloseError
	var bye *goodbye
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.As(err, &closed) && !errors.As(err, &bye) && ctx.Err() == nil {
		s.c.Logger.Info("a Sendspin client was lost", "from", host, "err", err)
	}
	return err
}

// serve is one connection from its first frame to its end.
func (s *Server) serve(ctx context.Context, ws *websocket.Conn, host string) error {
	ctx, stop := context.WithCancel(ctx)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer stop()
	l := newLink(ctx, ws, s.c.Clock)
	reading.Go(l.pump)
	c := &client{s: s, l: l, host: host, orders: make(chan func(context.Context) error), gone: make(chan struct{}), changed: make(chan struct{})}
	if err := c.greet(ctx); err != nil {
		return err
	}
	s.enter(c)
	defer s.leave(c)
	defer c.quiet(false)
	return c.listen(ctx)
}

// enter makes a client one that can be found. One with the same name is sent away: it has lost its connection without
// knowing.
func (s *Server) enter(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.clients[c.id]; old != nil {
		close(old.replaced)
	}
	c.replaced = make(chan struct{})
	s.clients[c.id] = c
}

func (s *Server) leave(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients[c.id] == c {
		delete(s.clients, c.id)
	}
}

// sealed reports whether a client of that name is connected that encrypts, and so has shown that the name is its own.
func (s *Server) sealed(id string) bool {
	s.mu.Lock()
	c := s.clients[id]
	s.mu.Unlock()
	return c != nil && c.l.sealed()
}

// deaf reports whether a player of a room is a client of ours that makes no sound, or whose volume cannot be set.
func (s *Server) deaf(player string) bool {
	s.mu.Lock()
	c := s.clients[player]
	s.mu.Unlock()
	return c != nil && !c.takes(commandVolume)
}
