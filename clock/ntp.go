package clock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/beevik/ntp"
)

// NTP is a time server that is asked over NTP version 4 (RFC 5905). Make it with NewNTP.
type NTP struct {
	address string
	pace    Pace
	osc     Oscillator
	begin   time.Time

	mu       sync.Mutex
	resolved string // the address that answered last; "" to look it up
}

// smearing are servers that spread leap seconds over a day instead of announcing them, as their operators say:
// developers.google.com/time/smear, aws.amazon.com (Time Sync Service), engineering.fb.com (2020-03-18, NTP service).
var smearing = []string{"time.google.com", "time.android.com", "time.aws.com", "169.254.169.123", "fd00:ec2::123", "time.facebook.com"}

// NewNTP returns the server at an address, HOST or HOST:PORT. Addresses of one's own networks, and names without a dot
// or below local, lan, internal and home.arpa (RFC 8375), count as near.
func NewNTP(address string, osc Oscillator, begin time.Time) (*NTP, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = strings.Trim(address, "[]"), "123"
		if strings.Contains(host, ":") {
			if _, err := netip.ParseAddr(host); err != nil {
				return nil, fmt.Errorf("%q is no time server: want HOST or HOST:PORT", address)
			}
		}
	}
	if _, bad := strconv.ParseUint(port, 10, 16); host == "" || bad != nil || strings.ContainsAny(host, " /\x00") {
		return nil, fmt.Errorf("%q is no time server: want HOST or HOST:PORT", address)
	}
	n := &NTP{address: net.JoinHostPort(host, port), pace: Far, osc: osc, begin: begin}
	if near(host) {
		n.pace = Near
	}
	return n, nil
}

func near(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast()
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return !strings.Contains(host, ".") ||
		slices.ContainsFunc([]string{".local", ".lan", ".internal", ".home.arpa"}, func(end string) bool { return strings.HasSuffix(host, end) })
}

func (n *NTP) smeared() bool {
	host, _, err := net.SplitHostPort(n.address)
	if err != nil {
		return false
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return slices.ContainsFunc(smearing, func(s string) bool {
		first, rest, _ := strings.Cut(host, ".")
		// time1.google.com to time4.google.com are time.google.com's.
		return host == s || strings.TrimRight(first, "0123456789")+"."+rest == s
	})
}

// Name is the server's address with its port.
func (n *NTP) Name() string { return n.address }

// Pace is Near or Far.
func (n *NTP) Pace() Pace { return n.pace }

// Ask asks once. Every question comes from a port of its own and carries a random number that the answer must repeat, so
// that who is not on the way cannot answer in the server's place.
func (n *NTP) Ask(ctx context.Context) (Exchange, error) {
	n.mu.Lock()
	address := n.resolved
	n.mu.Unlock()
	if address == "" {
		address = n.address
	}
	s := &stamped{osc: n.osc, begin: n.begin}
	options := ntp.QueryOptions{
		Timeout:       askTimeout,
		GetSystemTime: s.now,
		Dialer: func(_, remote string) (net.Conn, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "udp", remote)
			if err != nil {
				return nil, err
			}
			s.Conn = conn
			s.arrivals()
			s.stop = context.AfterFunc(ctx, func() { _ = conn.Close() }) // wakes the reader, whose error says what happened
			return s, nil
		},
	}
	r, err := ntp.QueryWithOptions(address, options)
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil {
		n.resolved = "" // it may have moved
		return Exchange{}, explain(ctx, err)
	}
	n.resolved = s.RemoteAddr().String()
	return Exchange{
		T1: r.Timestamps.ClientXmit.Sub(n.begin), T2: r.Timestamps.ServerRecv, T3: r.Timestamps.ServerXmit, T4: r.Timestamps.ClientRecv.Sub(n.begin),
		Stratum: r.Stratum, Leap: Leap(r.Leap), RootDelay: r.RootDelay, RootDispersion: r.RootDispersion,
		Precision: r.Precision, ReferenceID: r.ReferenceID, Kiss: kissCode(r), Smeared: n.smeared(),
	}, nil
}

func kissCode(r *ntp.Response) string {
	if !r.IsKissOfDeath() {
		return ""
	}
	if r.KissCode == "" {
		return "?"
	}
	return r.KissCode
}

func explain(ctx context.Context, err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, ntp.ErrServerResponseMismatch):
		return errors.New("sent an answer to a question that nobody asked")
	case ctx.Err() != nil || errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("does not answer")
	default:
		return err
	}
}

// stamped is a connection that knows when its last packet arrived, by the oscillator.
type stamped struct {
	net.Conn
	osc   Oscillator
	begin time.Time
	stop  func() bool
	oob   []byte        // room for the kernel's time stamp; nil where it gives none
	at    time.Duration // when the packet that was just read arrived; 0 for none
}

// now is the library's idea of the system's time: the oscillator's, and right after a packet was read the time of its
// arrival.
func (s *stamped) now() time.Time {
	at := s.at
	if s.at = 0; at == 0 {
		at = s.osc.Elapsed()
	}
	// Without the monotonic reading, differences of these times are those of the oscillator.
	return s.begin.Add(at).Round(0)
}

func (s *stamped) Read(b []byte) (int, error) {
	udp, ok := s.Conn.(*net.UDPConn)
	if !ok || s.oob == nil {
		n, err := s.Conn.Read(b)
		s.at = s.osc.Elapsed()
		return n, err
	}
	n, oobn, _, _, err := udp.ReadMsgUDP(b, s.oob)
	s.at = arrival(s.oob[:oobn], s.osc)
	return n, err
}

func (s *stamped) Close() error {
	s.stop()
	return s.Conn.Close()
}
