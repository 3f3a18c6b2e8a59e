// Package web lets browsers play in rooms: a page opens a WebSocket (RFC 6455) on the server's own address and is sent
// sound with the time at which to play it. Who may, and from which pages, is for whoever calls Play to say.
//
// The wire, protocol "tutti.room.1". Numbers are big-endian; times are int64 nanoseconds of the rooms' clock since a moment
// that is fixed for the connection, and positive.
//
//	to the page, binary                      to the server, binary
//	1 token(12) received(8) sent(8)          1 token(12)
//	  the answer to a question about           a question about the time; the token is the page's own:
//	  the time, before any sound               when it asked
//	2 format(1) header                       to the server, text
//	  forget all sound; more comes             {"errorUs":n,"boundUs":n}: how far off the page plays,
//	  format: 1 pcm, 2 flac                    and by how much it may be wrong in that
//	3 at(8) block
//	  sound, and when its first sample is heard
//	to the page, text
//	{"room":…,"volume":0…100,"muted":…,"latencyMs":n}
//	  at the beginning and whenever one of them has changed
//
// The connection ends with 1001 when the server shuts down, and with 4001 when the same player has connected again.
package web

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"tutti"
	"tutti/clock"
	"tutti/rooms"
)

// protocol is the wire's name and version.
const protocol = "tutti.room.1"

// Kinds of binary messages.
const (
	kindTime   = 1
	kindHeader = 2
	kindBlock  = 3
)

const (
	// tokenSize is what a page sends to know its question by.
	tokenSize = 12
	// maxMessage bounds what a page may send at once.
	maxMessage = 1024
	// silence is after how long a page that sends nothing is gone: it asks for the time every few seconds.
	silence = 30 * time.Second
	// stall is how long a page may take nothing of what is sent to it: more would be heard too late.
	stall = 5 * time.Second
	// unsent bounds what may lie in the kernel unsent, so that an answer about the time does not wait behind sound.
	unsent = 16 << 10
	// maxPages bounds the connections.
	maxPages = 256
	// maxOff bounds what a page may say of itself.
	maxOff = 10 * time.Second
)

// statusReplaced ends the connection of a player that has connected again.
const statusReplaced = websocket.StatusCode(4001)

// Config is what a Server needs; every field is required.
type Config struct {
	House  *rooms.House
	Clock  clock.Clock // the one that rooms are stamped by
	Logger *slog.Logger
}

// Server speaks to pages.
type Server struct {
	c      Config
	places chan struct{}
}

// New returns a Server. It holds nothing that needs closing.
func New(c Config) *Server { return &Server{c: c, places: make(chan struct{}, maxPages)} }

// formats are what pages are sent, with their bytes on the wire.
var formats = map[rooms.Format]byte{rooms.PCM: 1, rooms.FLAC: 2}

// Play lets the page that asks play in a room, until it leaves or the request's context ends. It returns an error, and has
// written nothing, where the page cannot: KindInvalid for a request that is none of a player's, KindNotFound where there
// is no such room, KindExhausted where there are too many pages.
func (s *Server) Play(w http.ResponseWriter, r *http.Request, g tutti.RoomGuest) error {
	const op = "web.Play"
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		return tutti.Errorf(tutti.KindInvalid, op, "this address speaks WebSocket")
	}
	var format rooms.Format
	for _, f := range g.Formats {
		if formats[rooms.Format(f)] != 0 {
			format = rooms.Format(f)
			break
		}
	}
	if format == "" {
		return tutti.Errorf(tutti.KindInvalid, op, "rooms play to pages as flac and pcm")
	}
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	default:
		return tutti.Errorf(tutti.KindExhausted, op, "%d pages play in rooms, and no more can", maxPages)
	}
	seat, err := s.c.House.Sit(r.Context(), rooms.Arrival{ID: g.Player, Name: g.Name, Kind: "web", Address: g.Address, Room: g.Room})
	if err != nil {
		return err
	}
	defer seat.Leave()
	// The caller has seen to where the page comes from.
	conn, err := websocket.Accept(&tapped{w}, r, &websocket.AcceptOptions{Subprotocols: []string{protocol}, InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return nil // Accept has answered
	}
	conn.SetReadLimit(maxMessage)
	p := &page{s: s, conn: conn, seat: seat, format: format, base: s.c.Clock.Now().Add(-2 * time.Second), urgent: make(chan []byte, 8)}
	err = p.serve(r.Context())
	if err != nil && r.Context().Err() == nil && websocket.CloseStatus(err) == -1 {
		s.c.Logger.Info("a page that played in a room was lost", "player", g.Player, "from", g.Address, "err", err)
	}
	return nil
}

// page is one connection.
type page struct {
	s      *Server
	conn   *websocket.Conn
	seat   *rooms.Seat
	format rooms.Format
	base   time.Time   // times on the wire count from here
	urgent chan []byte // messages that go before sound
}

// serve is a page's connection from its greeting to its end.
func (p *page) serve(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	alive := p.s.c.Clock.AfterFunc(silence, stop)
	defer alive.Stop()
	var writer sync.WaitGroup
	failed := make(chan error, 1)
	writer.Go(func() {
		err := p.write(ctx)
		switch {
		case errors.Is(err, errReplaced):
			_ = p.conn.Close(statusReplaced, "the same player has connected again")
		case ctx.Err() != nil:
			_ = p.conn.Close(websocket.StatusGoingAway, "")
		}
		_ = p.conn.CloseNow() // wakes the reader
		failed <- err
	})
	err := p.read(alive)
	stop()
	writer.Wait()
	if wrote := <-failed; wrote != nil && !errors.Is(wrote, context.Canceled) {
		return wrote
	}
	return err
}

// read answers questions about the time, and takes what the page says of itself. It ends with the connection.
func (p *page) read(alive clock.Timer) error {
	for {
		kind, m, err := p.conn.Read(context.Background())
		at := p.s.c.Clock.Now()
		if err != nil {
			return err
		}
		alive.Reset(silence)
		if kind == websocket.MessageText {
			off, bound, err := parseReport(m)
			if err != nil {
				return err
			}
			p.seat.Report(off, bound)
			continue
		}
		if len(m) != 1+tokenSize || m[0] != kindTime {
			return fmt.Errorf("it sent a message of %d bytes that is none", len(m))
		}
		answer := binary.BigEndian.AppendUint64(bytes.Clone(m), uint64(at.Sub(p.base)))
		select {
		case p.urgent <- answer:
		default: // it asks faster than it takes answers; the next one will do
		}
	}
}

// parseReport reads what a page says of how far off it plays.
func parseReport(m []byte) (off, bound time.Duration, err error) {
	var r struct{ ErrorUs, BoundUs *float64 }
	if err := json.Unmarshal(m, &r); err != nil {
		return 0, 0, fmt.Errorf("what it says of itself: %w", err)
	}
	most := float64(maxOff / time.Microsecond)
	if r.ErrorUs == nil || r.BoundUs == nil || math.Abs(*r.ErrorUs) > most || *r.BoundUs < 0 || *r.BoundUs > most {
		return 0, 0, errors.New("what it says of itself is out of bounds")
	}
	return time.Duration(*r.ErrorUs * 1e3), time.Duration(*r.BoundUs * 1e3), nil
}

var errReplaced = errors.New("the same player has connected again")

// write sends settings and sound, and what is urgent before both.
func (p *page) write(ctx context.Context) error {
	settings, changed := p.seat.Settings()
	if err := p.tell(ctx, settings); err != nil {
		return err
	}
	pieces := make(chan rooms.Piece)
	failed := make(chan error, 1)
	var feeding sync.WaitGroup
	defer feeding.Wait()
	feeder, stop := context.WithCancel(ctx)
	defer stop()
	feeding.Go(func() {
		feed := p.seat.Feed(p.format)
		for {
			piece, err := feed.Next(feeder)
			if err != nil {
				failed <- err
				return
			}
			select {
			case pieces <- piece:
			case <-feeder.Done():
				failed <- feeder.Err()
				return
			}
		}
	})
	for {
		// What is urgent goes first, however much there is to play.
		select {
		case m := <-p.urgent:
			if err := p.answer(ctx, m); err != nil {
				return err
			}
			continue
		default:
		}
		select {
		case m := <-p.urgent:
			if err := p.answer(ctx, m); err != nil {
				return err
			}
		case <-changed:
			settings, changed = p.seat.Settings()
			if err := p.tell(ctx, settings); err != nil {
				return err
			}
		case piece := <-pieces:
			var m []byte
			if piece.Header != nil {
				m = append([]byte{kindHeader, formats[p.format]}, piece.Header...)
			} else {
				m = slices.Grow([]byte{kindBlock}, 8+len(piece.Block.Data))
				m = binary.BigEndian.AppendUint64(m, uint64(piece.Block.At.Sub(p.base)))
				m = append(m, piece.Block.Data...)
			}
			if err := p.send(ctx, websocket.MessageBinary, m); err != nil {
				return err
			}
		case <-p.seat.Expelled():
			return errReplaced
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// answer says when an answer leaves, at the last moment.
func (p *page) answer(ctx context.Context, m []byte) error {
	return p.send(ctx, websocket.MessageBinary, binary.BigEndian.AppendUint64(m, uint64(p.s.c.Clock.Now().Sub(p.base))))
}

func (p *page) tell(ctx context.Context, s rooms.Settings) error {
	text, err := json.Marshal(struct {
		Room      tutti.ID `json:"room"`
		Volume    int      `json:"volume"`
		Muted     bool     `json:"muted"`
		LatencyMs int64    `json:"latencyMs"`
	}{s.Room, s.Volume, s.Muted, s.Latency.Milliseconds()})
	if err != nil {
		return err
	}
	return p.send(ctx, websocket.MessageText, text)
}

func (p *page) send(ctx context.Context, kind websocket.MessageType, m []byte) error {
	ctx, cancel := context.WithTimeout(ctx, stall)
	defer cancel()
	return p.conn.Write(ctx, kind, m)
}

// tapped is a ResponseWriter whose connection is limited in what it holds unsent when it is taken over.
type tapped struct{ http.ResponseWriter }

// Unwrap lets http.ResponseController reach what is inside.
func (t *tapped) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// Hijack implements http.Hijacker.
func (t *tapped) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(t.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	raw := conn
	if secure, ok := conn.(*tls.Conn); ok {
		raw = secure.NetConn()
	}
	if c, ok := raw.(syscall.Conn); ok {
		rooms.LimitUnsent(c, unsent)
	}
	return conn, rw, nil
}
