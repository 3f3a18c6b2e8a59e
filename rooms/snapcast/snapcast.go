// Package snapcast lets unmodified Snapcast clients play in rooms: they connect over TCP (port 1704), and are controlled
// by the apps that control Snapcast, over JSON-RPC (port 1705, and HTTP with WebSockets on 1780).
//
// A client plays a block at its stamp plus the buffer that it was told, by the server's clock, which it learns by time
// messages. So a block's stamp is the time at which its room has it heard, less the buffer.
package snapcast

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/rooms"
)

// Buffer is how long clients keep a block before they play it. Rooms send blocks as early.
const Buffer = time.Second

const (
	// greetingTime is how long a client may take to say who it is.
	greetingTime = 10 * time.Second
	// silence is after how long a client that sends nothing is gone: it asks for the time every second.
	silence = 30 * time.Second
	// stall is how long a client may take nothing of what is sent to it: more would be heard too late.
	stall = 5 * time.Second
	// unsent bounds what may lie in the kernel unsent, so that an answer about the time does not wait behind sound.
	unsent = 16 << 10
	// breath is how long to wait after a connection that could not be taken.
	breath = 100 * time.Millisecond
	// maxShown bounds what is logged of what a client says of itself.
	maxShown = 80
	// maxClients bounds the connections.
	maxClients = 256
)

// Server speaks to clients. Make it with Listen and Run it.
type Server struct {
	house  *rooms.House
	clock  clock.Clock
	logger *slog.Logger
	format rooms.Format
	l      net.Listener

	mu        sync.Mutex
	greetings map[string]*greeting // of the clients that are connected here, by player
}

// Config says where to listen and for whom.
type Config struct {
	House  *rooms.House
	Clock  clock.Clock // the one that rooms are stamped by
	Logger *slog.Logger
	Format rooms.Format // what goes over the network; "" is FLAC
}

// Listen opens HOST:PORT for clients. The caller runs the server, which closes the port at the end.
func Listen(ctx context.Context, address string, c Config) (*Server, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for Snapcast clients: %w", err)
	}
	if c.Format == "" {
		c.Format = rooms.FLAC
	}
	return &Server{house: c.House, clock: c.Clock, logger: c.Logger, format: c.Format, l: l, greetings: map[string]*greeting{}}, nil
}

// Address is where it listens.
func (s *Server) Address() string { return s.l.Addr().String() }

// Run serves clients until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	return s.accept(ctx, s.l, "a Snapcast client", maxClients, s.serve)
}

// accept serves connections, so many at a time, until ctx ends, and closes the port. serve returns when ctx has ended.
func (s *Server) accept(ctx context.Context, l net.Listener, who string, most int, serve func(context.Context, net.Conn) error) error {
	defer context.AfterFunc(ctx, func() { _ = l.Close() })() // closing wakes Accept
	var clients sync.WaitGroup
	defer clients.Wait()
	places := make(chan struct{}, most)
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = conn.Close() // it came too late
			}
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("take %s: %w", who, err)
		}
		if err != nil { // such as too many open files, which passes
			s.logger.Warn(who+" could not be taken", "err", err)
			if clock.Sleep(ctx, s.clock, breath) != nil {
				return nil
			}
			continue
		}
		select {
		case places <- struct{}{}:
		default:
			s.logger.Warn(who+" too many", "from", conn.RemoteAddr().String(), "most", most)
			_ = conn.Close() // refused
			continue
		}
		clients.Go(func() {
			defer func() { <-places }()
			defer conn.Close()
			if err := serve(ctx, conn); err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil {
				s.logger.Info(who+" was lost", "from", conn.RemoteAddr().String(), "err", err)
			}
		})
	}
}

// greeted returns what a client said of itself that is connected here; nothing of others.
func (s *Server) greeted(player string) greeting {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.greetings[player]; g != nil {
		return *g
	}
	return greeting{}
}

// serve is one client's connection from its greeting to its end.
func (s *Server) serve(ctx context.Context, conn net.Conn) (err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // wakes reader and writer
	if tcp, ok := conn.(*net.TCPConn); ok {
		rooms.LimitUnsent(tcp, unsent)
	}
	in := bufio.NewReaderSize(conn, 4096)
	if err := conn.SetReadDeadline(clock.Deadline(greetingTime)); err != nil {
		return err
	}
	m, body, at, err := readMessage(in, s.clock.Now)
	if err != nil {
		return err
	}
	if m.kind != hello {
		return fmt.Errorf("it began with a message of type %d and not with a greeting", m.kind)
	}
	g, err := parseHello(body)
	if err != nil {
		return err
	}
	id := g.ID
	if g.Instance > 1 {
		id = fmt.Sprintf("%s#%d", id, g.Instance)
	}
	host, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		return err
	}
	seat, err := s.house.Sit(ctx, rooms.Arrival{ID: id, Name: g.HostName, Kind: kind, Address: host})
	if err != nil {
		return err
	}
	defer seat.Leave()
	s.mu.Lock()
	s.greetings[id] = &g
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.greetings[id] == &g { // else it has connected again
			delete(s.greetings, id)
		}
	}()
	s.logger.Info("a Snapcast client joined", "name", g.HostName[:min(len(g.HostName), maxShown)], "id", id, "from", host, "version", g.Version[:min(len(g.Version), maxShown)])

	c := &client{s: s, conn: conn, seat: seat, urgent: make(chan []byte, 8)}
	var writer sync.WaitGroup
	defer writer.Wait()
	defer stop()
	failed := make(chan error, 1)
	writer.Go(func() {
		failed <- c.write(ctx, m, at)
		stop()
	})
	err = c.read(ctx, in)
	stop()
	writer.Wait()
	if wrote := <-failed; wrote != nil && !errors.Is(wrote, context.Canceled) {
		return wrote
	}
	return err
}

// client is one connection.
type client struct {
	s      *Server
	conn   net.Conn
	seat   *rooms.Seat
	urgent chan []byte // messages that go before sound
	lastID uint16      // of what was sent; the writer's
}

// read answers questions about the time, and takes volumes that were set at the client.
func (c *client) read(ctx context.Context, in *bufio.Reader) error {
	for {
		if err := c.conn.SetReadDeadline(clock.Deadline(silence)); err != nil {
			return err
		}
		m, body, at, err := readMessage(in, c.s.clock.Now)
		if err != nil {
			return err
		}
		switch m.kind {
		case timeMessage:
			// The answer says how long the question was under way, by this clock against the client's; when it was sent is
			// written into it at the last moment.
			took := stampOf(at).micros() - m.sent.micros()
			reply := base{kind: timeMessage, refersTo: m.id, received: stampOf(at)}.append(nil, timeBody(stampOfMicros(took)))
			select {
			case c.urgent <- reply:
			default: // it asks faster than it takes answers; the next one will do
			}
		case clientInfo:
			text, err := uncounted(body)
			if err != nil {
				return err
			}
			var v volumeMessage
			if err := json.Unmarshal(text, &v); err != nil {
				return fmt.Errorf("its volume: %w", err)
			}
			if err := c.seat.SetVolume(ctx, v.Volume, v.Muted); err != nil && !tutti.IsKind(err, tutti.KindInvalid) {
				return err
			}
		}
	}
}

// write sends settings and sound, and what is urgent before both.
func (c *client) write(ctx context.Context, greeted base, at time.Time) error {
	settings, changed := c.seat.Settings()
	if err := c.send(settingsOf(settings, base{kind: serverSettings, refersTo: greeted.id, received: stampOf(at)})); err != nil {
		return err
	}
	pieces := make(chan rooms.Piece)
	var feeding sync.WaitGroup
	defer feeding.Wait()
	feeder, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 1)
	feeding.Go(func() {
		feed := c.seat.Feed(c.s.format)
		for {
			p, err := feed.Next(feeder)
			if err != nil {
				failed <- err
				return
			}
			select {
			case pieces <- p:
			case <-feeder.Done():
				failed <- feeder.Err()
				return
			}
		}
	})
	// untouched is the header that was sent last, as long as no sound has followed it. A second one would say nothing: the client
	// holds nothing that it has to forget. And it costs: a client opens its sound device anew with each, and its player for
	// PulseAudio ends in a fault as it closes it (github.com/snapcast/snapcast, pull request 1542).
	var untouched []byte
	for {
		// What is urgent goes first, however much there is to play.
		select {
		case m := <-c.urgent:
			if err := c.send(m); err != nil {
				return err
			}
			continue
		default:
		}
		select {
		case m := <-c.urgent:
			if err := c.send(m); err != nil {
				return err
			}
		case <-changed:
			settings, changed = c.seat.Settings()
			if err := c.send(settingsOf(settings, base{kind: serverSettings})); err != nil {
				return err
			}
		case p := <-pieces:
			if p.Header != nil && bytes.Equal(p.Header, untouched) {
				continue
			}
			untouched = p.Header
			m := base{kind: codecHeader}.append(nil, codecBody(string(c.s.format), p.Header))
			if p.Header == nil {
				m = base{kind: wireChunk}.append(nil, chunkBody(stampOf(p.Block.At.Add(-Buffer)), p.Block.Data))
			}
			if err := c.send(m); err != nil {
				return err
			}
		case <-c.seat.Expelled():
			return errors.New("the same client has connected again")
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func settingsOf(s rooms.Settings, m base) []byte {
	text, err := json.Marshal(settingsMessage{BufferMs: Buffer.Milliseconds(), Latency: s.Latency.Milliseconds(), Muted: s.Muted, Volume: s.Volume})
	if err != nil {
		panic(err) // numbers always marshal
	}
	return m.append(nil, counted(text))
}

// send writes a message, with its number and the moment of its sending.
func (c *client) send(message []byte) error {
	if err := c.conn.SetWriteDeadline(clock.Deadline(stall)); err != nil {
		return err
	}
	c.lastID++
	putSent(message, c.lastID, stampOf(c.s.clock.Now()))
	_, err := c.conn.Write(message)
	return err
}
