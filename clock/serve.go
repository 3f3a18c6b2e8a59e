package clock

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Server answers NTP questions with a Disciplined's time, for a fleet or a household without a time server of its own:
// version 3 and 4, client mode (RFC 5905 §7.3), nothing else of the protocol, and never with more bytes than were asked
// with. Make it with Listen.
type Server struct {
	clock  *Disciplined
	conn   *net.UDPConn
	osc    Oscillator
	logger *slog.Logger
	stamps bool
	alone  bool // no server keeps the clock, so what it shows is the time here, by definition

	mu    sync.Mutex
	asked map[netip.Addr]*visitor
	swept time.Duration
}

// visitor is somebody who asks, and how many more questions they have.
type visitor struct {
	left float64
	at   time.Duration
}

const (
	packetSize = 48 // RFC 5905 §7.3, without extensions
	// allowance is how many questions one address may ask at once, and refill how many more a second: several nodes behind
	// one address may each send a burst. Beyond it comes one kiss-o'-death RATE (§7.4), then silence.
	allowance = 64
	refill    = 4.0
	// visitors bounds the memory for them.
	visitors = 4096
	// alone is the stratum of a clock that no server keeps, as others have it for their local clocks.
	alone = 10
	// loopback stands for the reference of a server that follows several.
	loopback = 0x7f7f0101
	// ntpEpoch is 1970 in NTP's seconds since 1900 (RFC 5905 §6).
	ntpEpoch = 2208988800
)

// Listen opens HOST:PORT for questions. The caller runs the server, which closes the socket at the end.
func Listen(address string, d *Disciplined, logger *slog.Logger) (*Server, error) {
	at, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, fmt.Errorf("serving time on %s: %w", address, err)
	}
	conn, err := net.ListenUDP("udp", at)
	if err != nil {
		return nil, fmt.Errorf("serving time on %s: %w", address, err)
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	alone := !slices.ContainsFunc(d.c.Sources, func(s Source) bool { return s.Pace() != local })
	return &Server{clock: d, conn: conn, osc: d.c.Oscillator, logger: logger, stamps: stamping(conn), alone: alone, asked: map[netip.Addr]*visitor{}}, nil
}

// Address is where it listens.
func (s *Server) Address() string { return s.conn.LocalAddr().String() }

// Run answers until ctx ends, and returns an error only where the socket fails before.
func (s *Server) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = s.conn.Close() })() // closing wakes the reader
	defer s.conn.Close()
	packet, oob := make([]byte, 512), make([]byte, oobSize)
	for {
		n, oobn, _, from, err := s.conn.ReadMsgUDPAddrPort(packet, oob)
		arrived := s.osc.Elapsed()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("serving time on %s: %w", s.Address(), err)
			}
			continue // an answer that could not be delivered comes back as an error of the next reading
		}
		if s.stamps {
			arrived = arrival(oob[:oobn], s.osc)
		}
		reply, ok := s.answer(packet[:n], from.Addr(), arrived)
		if !ok {
			continue
		}
		if _, err := s.conn.WriteToUDPAddrPort(reply, from); err != nil {
			s.logger.Debug("an NTP answer could not be sent", "to", from.String(), "error", err)
		}
	}
}

// answer is the reply to a packet that arrived at a reading of the oscillator; ok is false where it deserves none.
func (s *Server) answer(question []byte, from netip.Addr, arrived time.Duration) (reply []byte, ok bool) {
	if len(question) < packetSize {
		return nil, false
	}
	version, mode := question[0]>>3&7, question[0]&7
	if mode != 3 || version < 3 || version > 4 {
		return nil, false
	}
	reply = make([]byte, packetSize)
	copy(reply[24:32], question[40:48]) // the origin's time stamp is the question's transmit time stamp
	reply[2], reply[3] = question[2], precision
	switch s.allowed(from, arrived) {
	case refused:
		return nil, false
	case warned:
		reply[0] = byte(LeapUnknown)<<6 | version<<3 | 4
		copy(reply[12:16], "RATE")
		return reply, true
	}
	r, v := s.clock.readingAt(arrived), s.clock.view.Load()
	leap, stratum, reference, dispersion := v.leap, min(v.stratum+1, maxStratum), uint32(loopback), r.Bound()
	switch {
	case s.alone:
		stratum, reference, dispersion = alone, binary.BigEndian.Uint32([]byte("LOCL")), 0
	case s.clock.status(arrived).status == Unsynchronised:
		leap, stratum = LeapUnknown, 16
	}
	reply[0], reply[1] = byte(leap)<<6|version<<3|4, byte(stratum)
	// Whatever is not known for sure is dispersion; the way to the reference clock is in it.
	binary.BigEndian.PutUint32(reply[8:], short(dispersion))
	binary.BigEndian.PutUint32(reply[12:], reference)
	binary.BigEndian.PutUint64(reply[16:], stamp(r.Time)) // steered all the time
	binary.BigEndian.PutUint64(reply[32:], stamp(r.Time))
	binary.BigEndian.PutUint64(reply[40:], stamp(s.clock.Now()))
	return reply, true
}

// precision is log2 of a microsecond, in seconds (RFC 5905 §7.3).
const precision = byte(0x100 - 20)

// stamp is a time in NTP's 64 bits: seconds since 1900, modulo 2³², and their fraction (RFC 5905 §6).
func stamp(t time.Time) uint64 {
	seconds := uint64(t.Unix()+ntpEpoch) & math.MaxUint32
	return seconds<<32 | uint64(t.Nanosecond())<<32/1e9
}

// short is a duration in NTP's 32 bits, 16 of them for the fraction, rounded up.
func short(d time.Duration) uint32 {
	v := math.Ceil(d.Seconds() * (1 << 16))
	return uint32(min(max(v, 0), math.MaxUint32))
}

type leave int

const (
	granted leave = iota
	warned
	refused
)

// allowed takes one question off an address's allowance.
func (s *Server) allowed(from netip.Addr, now time.Duration) leave {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.asked[from]
	if v == nil {
		if len(s.asked) >= visitors {
			s.sweep(now)
		}
		if len(s.asked) >= visitors {
			return refused
		}
		v = &visitor{left: allowance, at: now}
		s.asked[from] = v
	}
	v.left = min(allowance, v.left+refill*(now-v.at).Seconds())
	v.at = now
	switch v.left--; {
	case v.left >= 0:
		return granted
	case v.left >= -1:
		return warned
	default:
		v.left = max(v.left, -2)
		return refused
	}
}

// sweep forgets who has their whole allowance again.
func (s *Server) sweep(now time.Duration) {
	if now-s.swept < time.Second {
		return
	}
	s.swept = now
	for a, v := range s.asked {
		if v.left+refill*(now-v.at).Seconds() >= allowance {
			delete(s.asked, a)
		}
	}
}
