package web

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/coder/websocket"
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

// tone is a catalogue and a track cache of one endless track, whose sample n has n in its left channel.
type tone struct{ tutti.Browser }

const track = tutti.ID("tr-0000000000001")

func (tone) Plan(_ context.Context, r tutti.PlanRequest) (tutti.Plan, error) {
	return tutti.Plan{Track: tutti.Track{ID: r.Track, Duration: time.Hour}, Ref: tutti.Ref{Profile: *r.Want.Exact}}, nil
}

func (tone) TracksByID(_ context.Context, _ tutti.Viewer, ids []tutti.ID) ([]tutti.Track, error) {
	return []tutti.Track{{ID: ids[0]}}, nil
}

func (tone) Open(context.Context, tutti.Ref) (tutti.Object, error) { return &object{}, nil }

type object struct{}

func (*object) ModTime() time.Time  { return time.Time{} }
func (*object) ContentType() string { return "audio/wav" }
func (*object) Close() error        { return nil }
func (*object) Size() int64         { return -1 }
func (*object) ReadAt([]byte, int64) (int, error) {
	return 0, io.EOF
}

func (*object) CopyRange(_ context.Context, w io.Writer, off, n int64) (int64, error) {
	b := []byte("RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00\x01\x00\x02\x00\x80\xbb\x00\x00\x00\xee\x02\x00\x04\x00\x10\x00data\xff\xff\xff\xff")
	for i := int64(len(b)); i < off+n; i += rooms.FrameSize {
		b = binary.LittleEndian.AppendUint16(b, uint16((i-44)/rooms.FrameSize))
		b = binary.LittleEndian.AppendUint16(b, 0)
	}
	return io.Copy(w, bytes.NewReader(b[off:off+n]))
}

// serving starts a house with a playing room, and a server on loopback.
func serving(t *testing.T) (*rooms.House, tutti.ID, string) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "tutti.db"), sqlite.Options{Clock: clock.System, Logger: quiet})
	must(t, err)
	anybody := func(context.Context, tutti.ID) (tutti.User, error) { return tutti.User{}, nil }
	house, err := rooms.New(t.Context(), rooms.Config{Store: st, Planner: tone{}, Browser: tone{}, Source: tone{}, User: anybody, Clock: clock.System, Logger: quiet})
	must(t, err)
	pages := New(Config{House: house, Clock: clock.System, Logger: quiet})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if err := pages.Play(w, r, tutti.RoomGuest{Room: tutti.ID(q.Get("room")), Player: q.Get("player"), Name: "Page", Address: "192.0.2.7", Formats: q["format"]}); err != nil {
			http.Error(w, tutti.Message(err), http.StatusTeapot)
		}
	}))
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- house.Run(ctx) }()
	t.Cleanup(func() {
		server.Close()
		stop()
		must(t, <-done)
		must(t, st.Close())
	})
	all, err := house.Rooms(t.Context(), tutti.Viewer{})
	must(t, err)
	return house, all[0].ID, server.URL
}

func join(t *testing.T, url string, room tutti.ID, player string) *websocket.Conn {
	t.Helper()
	conn, reply, err := websocket.Dial(t.Context(), url+"?room="+string(room)+"&player="+player+"&format=vorbis&format=pcm", &websocket.DialOptions{Subprotocols: []string{protocol}})
	must(t, err)
	if reply.Body != nil {
		must(t, reply.Body.Close())
	}
	conn.SetReadLimit(1 << 20)
	t.Cleanup(func() { _ = conn.CloseNow() })
	if conn.Subprotocol() != protocol {
		t.Fatalf("it speaks %q", conn.Subprotocol())
	}
	return conn
}

// next is the next message of a kind; 0 is text.
func next(t *testing.T, conn *websocket.Conn, kind byte) []byte {
	t.Helper()
	for {
		typ, m, err := conn.Read(t.Context())
		must(t, err)
		if typ == websocket.MessageText && kind == 0 || typ == websocket.MessageBinary && m[0] == kind {
			return m
		}
	}
}

func TestAPagesVisit(t *testing.T) {
	house, room, url := serving(t)
	conn := join(t, url, room, "web-1")
	var settings struct {
		Room   tutti.ID
		Volume int
	}
	must(t, json.Unmarshal(next(t, conn, 0), &settings))
	if settings.Room != room || settings.Volume != 100 {
		t.Errorf("%+v", settings)
	}
	if h := next(t, conn, kindHeader); h[1] != 1 || string(h[2:6]) != "RIFF" {
		t.Errorf("the header is % x", h)
	}

	// Blocks follow one another on one line.
	_, err := house.PlayRoom(t.Context(), tutti.Viewer{}, room, tutti.RoomPlay{Tracks: []tutti.ID{track}})
	must(t, err)
	next(t, conn, kindHeader) // forget the silence
	var first uint64
	for n := range uint64(10) {
		b := next(t, conn, kindBlock)
		at := binary.BigEndian.Uint64(b[1:])
		if n == 0 {
			first = at
		}
		if index := binary.LittleEndian.Uint16(b[9:]); at != first+n*20_000_000 || uint64(index) != n*960 {
			t.Fatalf("block %d begins with sample %d at %d", n, index, at-first)
		}
	}

	// An answer about the time comes with what was asked, and lies within the question.
	token := []byte("\x01twelve bytes")
	must(t, conn.Write(t.Context(), websocket.MessageBinary, token))
	a := next(t, conn, kindTime)
	received, sent := binary.BigEndian.Uint64(a[13:]), binary.BigEndian.Uint64(a[21:])
	if !bytes.Equal(a[:13], token) || sent < received || sent-received > 5e9 || first < received {
		t.Errorf("% x: received %d, sent %d, the first block at %d", a, received, sent, first)
	}

	// What it says of itself reaches who watches.
	must(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"errorUs":-120.5,"boundUs":900}`)))
	watch, stop := context.WithCancel(t.Context())
	defer stop()
	err = house.WatchRooms(watch, tutti.Viewer{}, func(n tutti.RoomNews) error {
		if len(n.Steps) == 0 {
			return nil
		}
		if s := n.Steps[0]; s.Player != "web-1" || s.Error != -120500*time.Nanosecond || s.Bound != 900*time.Microsecond {
			t.Errorf("%+v", s)
		}
		return errSeen
	})
	if !errors.Is(err, errSeen) {
		t.Error(err)
	}
}

var errSeen = errors.New("seen")

// TestReplaced: a player that connects again takes its own place, and the connection before is told so.
func TestReplaced(t *testing.T) {
	_, room, url := serving(t)
	before := join(t, url, room, "web-1")
	next(t, before, kindHeader)
	after := join(t, url, room, "web-1")
	next(t, after, kindHeader)
	for {
		if _, _, err := before.Read(t.Context()); err != nil {
			if websocket.CloseStatus(err) != statusReplaced {
				t.Errorf("it ended with %v", err)
			}
			return
		}
	}
}

func TestRefused(t *testing.T) {
	_, room, url := serving(t)
	for _, query := range []string{"?room=" + string(room) + "&player=web-1", "?room=ro-none&player=web-1&format=pcm", "?room=" + string(room) + "&player=&format=pcm"} {
		_, reply, err := websocket.Dial(t.Context(), url+query, nil)
		if err == nil || reply.StatusCode != http.StatusTeapot {
			t.Errorf("%s: %v", query, err)
		}
	}
	reply, err := http.Get(url + "?room=" + string(room) + "&player=web-1&format=pcm")
	must(t, err)
	must(t, reply.Body.Close())
	if reply.StatusCode != http.StatusTeapot {
		t.Errorf("a request that opens no WebSocket gets %d", reply.StatusCode)
	}
}

func FuzzReport(f *testing.F) {
	f.Add([]byte(`{"errorUs":-120.5,"boundUs":900}`))
	f.Add([]byte(`{"errorUs":1e300,"boundUs":null}`))
	f.Fuzz(func(t *testing.T, m []byte) {
		off, bound, err := parseReport(m)
		if err == nil && (off > maxOff || off < -maxOff || bound < 0 || bound > maxOff) {
			t.Errorf("%s: %v %v", m, off, bound)
		}
	})
}
