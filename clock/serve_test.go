package clock

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serving starts a server of a machine that follows only itself, on loopback.
func serving(t *testing.T) (*Server, *Disciplined) {
	t.Helper()
	machine, begin := NewMachine()
	d := NewDisciplined(Config{Oscillator: machine, Begin: begin, Sources: []Source{Host{machine}}})
	s, err := Listen("127.0.0.1:0", d, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- s.Run(ctx) }()
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, <-ended); err != nil {
			t.Error(err)
		}
	})
	<-d.Ready()
	return s, d
}

func TestOneServesAnother(t *testing.T) {
	s, first := serving(t)
	machine, begin := NewMachine()
	source, err := NewNTP(s.Address(), machine, begin)
	if err != nil {
		t.Fatal(err)
	}
	if source.Pace() != Near {
		t.Error("loopback is not near")
	}
	second := NewDisciplined(Config{Oscillator: machine, Begin: begin, Sources: []Source{source}})
	second.ask(t.Context(), 0, func(context.Context, time.Duration) error { return nil })
	st := second.State()
	if st.Status != Synchronised || st.Stratum != alone || st.Sources[0].Good != int64(Near.Burst) {
		t.Fatalf("%+v; last trouble %q", st, second.sources[0].trouble)
	}
	// Both are read as close together as can be; what lies between them bounds what can be seen.
	for range 1000 {
		a, b, c := first.Now(), second.Reading(), first.Now()
		if c.Sub(a) < 20*time.Microsecond {
			if b.Earliest.After(c) || b.Latest.Before(a) {
				t.Errorf("the second clock is between %v and %v, the first between %v and %v", b.Earliest, b.Latest, a, c)
			}
			return
		}
	}
	t.Error("the two could not be read together")
}

func TestWhoIsNear(t *testing.T) {
	machine, begin := NewMachine()
	for address, want := range map[string]Pace{
		"127.0.0.1": Near, "10.1.2.3:1123": Near, "[fd00::1]:123": Near, "fe80::1": Near, "nas": Near, "ntp.lan": Near, "clock.home.arpa.": Near,
		"pool.ntp.org": Far, "192.0.2.1": Far, "2001:db8::1": Far, "time.example.org:123": Far,
	} {
		n, err := NewNTP(address, machine, begin)
		if err != nil || n.Pace() != want {
			t.Errorf("%s: %+v, %v; want %+v", address, n, err, want)
		}
	}
	for _, bad := range []string{"", ":123", "a b", "http://ntp.org", "1:2:3:zz"} {
		if n, err := NewNTP(bad, machine, begin); err == nil {
			t.Errorf("%q was taken for %s", bad, n.Name())
		}
	}
	for address, want := range map[string]bool{"time.google.com": true, "time3.google.com:123": true, "169.254.169.123": true, "time.example.com": false, "google.com": false} {
		if n, err := NewNTP(address, machine, begin); err != nil || n.smeared() != want {
			t.Errorf("%s smears leap seconds: %v, want %v", address, !want, want)
		}
	}
}

// TestAnswersFromElsewhere: what does not repeat the question's random number is not an answer to it.
func TestAnswersFromElsewhere(t *testing.T) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func([]byte)
		says  string
	}{
		"bogus origin": {func(b []byte) { b[24] ^= 1 }, "nobody asked"},
		"short":        {nil, ""},
		"kiss":         {func(b []byte) { b[1] = 0; copy(b[12:], "DENY") }, ""},
	} {
		served := make(chan struct{})
		go func() {
			defer close(served)
			b := make([]byte, 512)
			n, from, err := conn.ReadFromUDP(b)
			if err != nil || n < packetSize {
				return
			}
			reply := make([]byte, packetSize)
			reply[0], reply[1] = 4<<3|4, 2
			copy(reply[24:32], b[40:48])
			for _, at := range []int{16, 32, 40} {
				binary.BigEndian.PutUint64(reply[at:], stamp(epoch))
			}
			if c.spoil == nil {
				reply = reply[:20]
			} else {
				c.spoil(reply)
			}
			_, _ = conn.WriteToUDP(reply, from)
		}()
		machine, begin := NewMachine()
		n, err := NewNTP(conn.LocalAddr().String(), machine, begin)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		e, err := n.Ask(ctx)
		cancel()
		<-served
		if name == "kiss" {
			if err != nil || e.Kiss != "DENY" {
				t.Errorf("kiss: %+v, %v", e, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	machine, begin := NewMachine()
	n, err := NewNTP(conn.LocalAddr().String(), machine, begin)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := n.Ask(ctx); err == nil {
		t.Error("somebody answered where nobody is")
	}
}

func TestTooManyQuestions(t *testing.T) {
	w := newWorld(1, constant(0), Config{}, &host{name: "up", base: 1e-4})
	w.run(60, 1, nil)
	s := &Server{clock: w.d, osc: w, asked: map[netip.Addr]*visitor{}}
	question := make([]byte, packetSize)
	question[0] = 4<<3 | 3
	from := netip.MustParseAddr("192.0.2.7")
	var answers, kisses, silence int
	for range allowance + 10 {
		switch reply, ok := s.answer(question, from, w.Elapsed()); {
		case !ok:
			silence++
		case reply[1] == 0 && string(reply[12:16]) == "RATE":
			kisses++
		default:
			answers++
			if reply[0] != 4<<3|4 || reply[1] != 3 {
				t.Fatalf("answer begins with % x", reply[:2])
			}
		}
	}
	if answers != allowance || kisses != 1 || silence != 9 {
		t.Errorf("%d answers, %d kisses, %d silences", answers, kisses, silence)
	}
	if _, ok := s.answer(question, netip.MustParseAddr("192.0.2.8"), w.Elapsed()); !ok {
		t.Error("another one was refused")
	}
	w.advance(60)
	if reply, ok := s.answer(question, from, w.Elapsed()); !ok || reply[1] == 0 {
		t.Error("refused for ever")
	}
	for n := range 3 * visitors {
		s.answer(question, netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), w.Elapsed())
	}
	if len(s.asked) > visitors {
		t.Errorf("remembers %d who asked", len(s.asked))
	}
}

func TestWhoDoesNotKnowTheTimeDoesNotServeIt(t *testing.T) {
	w := newWorld(1, constant(0), Config{}, &host{name: "down", silent: func(float64) bool { return true }})
	s := &Server{clock: w.d, osc: w, asked: map[netip.Addr]*visitor{}}
	question := make([]byte, packetSize)
	question[0] = 3<<3 | 3
	reply, ok := s.answer(question, netip.MustParseAddr("192.0.2.7"), w.Elapsed())
	if !ok || reply[0]>>6 != byte(LeapUnknown) || reply[1] != 16 {
		t.Errorf("% x", reply)
	}
}

func FuzzAnswer(f *testing.F) {
	w := newWorld(1, constant(0), Config{}, &host{name: "up", base: 1e-4})
	w.run(60, 1, nil)
	s := &Server{clock: w.d, osc: w, asked: map[netip.Addr]*visitor{}}
	good := make([]byte, packetSize)
	good[0] = 4<<3 | 3
	f.Add(good)
	f.Add([]byte{})
	f.Add(append(good, make([]byte, 464)...))
	f.Fuzz(func(t *testing.T, question []byte) {
		w.advance(1)
		reply, ok := s.answer(question, netip.MustParseAddr("192.0.2.7"), w.Elapsed())
		if !ok {
			return
		}
		if len(reply) > len(question) || string(reply[24:32]) != string(question[40:48]) || reply[0]&7 != 4 {
			t.Errorf("% x answered with % x", question, reply)
		}
	})
}

// FuzzFilter: whatever servers say, the arithmetic neither fails nor grows.
func FuzzFilter(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Add(make([]byte, 600))
	f.Fuzz(func(t *testing.T, b []byte) {
		var x filter
		at := time.Duration(0)
		for len(b) >= 6 {
			at += time.Duration(b[0]) * 100 * time.Millisecond
			there, back := time.Duration(b[1])*time.Millisecond, time.Duration(b[2])*time.Millisecond
			off := time.Duration(int16(binary.BigEndian.Uint16(b[3:]))) * time.Duration(b[5]) * time.Millisecond
			b = b[6:]
			e := Exchange{T1: at, T4: at + there + back, T2: epoch.Add(at + there + off), T3: epoch.Add(at + there + off), Stratum: 1}
			at = e.T4
			if e.problem() != "" {
				continue
			}
			x.add(e, epoch)
			x.settle(at.Seconds())
			if _, ok := x.lines(at.Seconds()); !ok {
				t.Fatal("after settling, no line is left")
			}
			if _, ok := x.estimate(at.Seconds()); !ok {
				t.Fatal("after settling, there is no estimate")
			}
			if len(x.uppers) > maxHull || len(x.lowers) > maxHull || len(x.recent) > maxRecent {
				t.Fatal("the filter grows")
			}
		}
	})
}
