package snapcast

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tutti"
	"tutti/clock"
	"tutti/rooms"
	"tutti/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serving starts a house without music, and a server on loopback.
func serving(t *testing.T) (*rooms.House, *Server) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "tutti.db"), sqlite.Options{Clock: clock.System, Logger: quiet})
	must(t, err)
	house, err := rooms.New(t.Context(), rooms.Config{Store: st, Clock: clock.System, Logger: quiet})
	must(t, err)
	s, err := Listen(t.Context(), "127.0.0.1:0", Config{House: house, Clock: clock.System, Logger: quiet})
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- house.Run(ctx) }()
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		must(t, <-done)
		must(t, <-done)
		must(t, st.Close())
	})
	return house, s
}

// caller is a client of the tests' own.
type caller struct {
	t    *testing.T
	conn net.Conn
}

func call(t *testing.T, s *Server) *caller {
	t.Helper()
	conn, err := net.Dial("tcp", s.Address())
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	return &caller{t, conn}
}

func (c *caller) send(m base, body []byte) {
	c.t.Helper()
	_, err := c.conn.Write(m.append(nil, body))
	must(c.t, err)
}

func (c *caller) read() (base, []byte) {
	c.t.Helper()
	var head [baseSize]byte
	_, err := io.ReadFull(c.conn, head[:])
	must(c.t, err)
	m := parseBase(head[:])
	body := make([]byte, m.size)
	_, err = io.ReadFull(c.conn, body)
	must(c.t, err)
	return m, body
}

const hail = `{"Arch":"x86_64","ClientName":"Snapclient","HostName":"kitchen","ID":"00:11:22:33:44:55","Instance":2,"MAC":"00:11:22:33:44:55","OS":"Debian","SnapStreamProtocolVersion":2,"Version":"0.26.0"}`

func settingsIn(t *testing.T, m base, body []byte) settingsMessage {
	t.Helper()
	if m.kind != serverSettings {
		t.Fatalf("a message of type %d; want settings", m.kind)
	}
	text, err := uncounted(body)
	must(t, err)
	var s settingsMessage
	must(t, json.Unmarshal(text, &s))
	return s
}

func TestAClientsHour(t *testing.T) {
	house, s := serving(t)
	c := call(t, s)
	c.send(base{kind: hello, id: 7}, counted([]byte(hail)))
	m, body := c.read()
	if got := settingsIn(t, m, body); m.refersTo != 7 || got != (settingsMessage{BufferMs: 1000, Volume: 100}) {
		t.Errorf("%+v %+v", m, got)
	}
	m, body = c.read()
	if codec, err := uncounted(body); err != nil || m.kind != codecHeader || string(codec) != "flac" || string(body[8+len(codec):][:4]) != "fLaC" {
		t.Fatalf("%+v % x", m, body)
	}

	// The server's answer to a question about the time says how long that was under way, by the server's clock.
	sent := stampOf(time.Now().Add(-1500 * time.Millisecond))
	c.send(base{kind: timeMessage, id: 9, sent: sent}, timeBody(stamp{}))
	m, body = c.read()
	took := int64(int32(binary.LittleEndian.Uint32(body)))*1e6 + int64(int32(binary.LittleEndian.Uint32(body[4:])))
	if m.kind != timeMessage || m.refersTo != 9 || took < 1_500_000 || took > 21_500_000 || m.sent.micros() < m.received.micros() {
		t.Errorf("%+v, under way for %d µs", m, took)
	}
	// A clock that is ahead of the server's makes it less than nothing.
	c.send(base{kind: timeMessage, id: 10, sent: stampOf(time.Now().Add(time.Hour))}, timeBody(stamp{}))
	m, body = c.read()
	if sec := int32(binary.LittleEndian.Uint32(body)); sec > -3500 || int32(binary.LittleEndian.Uint32(body[4:])) < 0 {
		t.Errorf("%+v % x", m, body)
	}

	all, err := house.Rooms(t.Context(), tutti.Viewer{})
	must(t, err)
	if len(all[0].Players) != 1 || all[0].Players[0].Name != "kitchen" || all[0].Players[0].ID != "00:11:22:33:44:55#2" || !all[0].Players[0].Connected {
		t.Errorf("%+v", all[0].Players)
	}
	volume, latency := 50, 30*time.Millisecond
	_, err = house.ChangeRoomPlayer(t.Context(), tutti.Viewer{}, all[0].Players[0].ID, tutti.RoomPlayerChange{Volume: &volume, Latency: &latency})
	must(t, err)
	_, err = house.ChangeRoom(t.Context(), tutti.Viewer{}, all[0].ID, tutti.RoomChange{Volume: &volume})
	must(t, err)
	for got := (settingsMessage{}); got.Volume != 25; {
		m, body = c.read()
		if got = settingsIn(t, m, body); got.Latency != 30 {
			t.Errorf("%+v", got)
		}
	}
	// The device's own knob.
	c.send(base{kind: clientInfo, id: 11}, counted([]byte(`{"volume":40,"muted":true}`)))
	m, body = c.read()
	if got := settingsIn(t, m, body); got.Volume != 40 || !got.Muted {
		t.Errorf("after the knob was turned, the client is told %+v", got)
	}
	all, err = house.Rooms(t.Context(), tutti.Viewer{})
	must(t, err)
	if p := all[0].Players[0]; p.Volume != 80 || !p.Muted { // of a room at 50
		t.Errorf("%+v", p)
	}
	// The same client from elsewhere: it has lost this connection without knowing.
	again := call(t, s)
	again.send(base{kind: hello, id: 1}, counted([]byte(hail)))
	again.read()
	if _, err := io.Copy(io.Discard, c.conn); err != nil {
		t.Errorf("the first connection ends with %v", err)
	}
}

// TestStrangers: what is no client is sent away, and others go on.
func TestStrangers(t *testing.T) {
	_, s := serving(t)
	for name, words := range map[string][]byte{
		"a browser":         []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n......."),
		"no greeting":       base{kind: timeMessage}.append(nil, timeBody(stamp{})),
		"a huge message":    append(base{kind: hello}.append(nil, nil)[:22], 0xff, 0xff, 0xff, 0x7f),
		"half a length":     base{kind: hello}.append(nil, []byte{9, 0}),
		"a length too long": base{kind: hello}.append(nil, []byte{9, 0, 0, 0, '{', '}'}),
		"no JSON":           base{kind: hello}.append(nil, counted([]byte("hello"))),
		"no name":           base{kind: hello}.append(nil, counted([]byte("{}"))),
		"a strange name":    base{kind: hello}.append(nil, counted([]byte(`{"ID":"a b\u0000"}`))),
	} {
		c := call(t, s)
		_, err := c.conn.Write(words)
		must(t, err)
		if tcp, ok := c.conn.(*net.TCPConn); ok && name == "a browser" {
			must(t, tcp.CloseWrite())
		}
		if b, _ := io.ReadAll(c.conn); len(b) > 0 { // a connection that is reset is one that is ended, too
			t.Errorf("%s was answered with % x", name, b)
		}
	}
	c := call(t, s)
	c.send(base{kind: hello}, counted([]byte(hail)))
	c.read()
}

func FuzzHello(f *testing.F) {
	f.Add(counted([]byte(hail)))
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if g, err := parseHello(b); err == nil && len(g.ID) > len(b) {
			t.Errorf("%+v from % x", g, b)
		}
	})
}

// TestGreetingIsShort: what every app is told of a client is bounded.
func TestGreetingIsShort(t *testing.T) {
	for n, ok := range map[int]bool{253: true, 60_000: false} {
		text, err := json.Marshal(map[string]any{"ID": "a", "OS": strings.Repeat("x", n)})
		must(t, err)
		if _, err := parseHello(counted(text)); (err == nil) != ok {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}
