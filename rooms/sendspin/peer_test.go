package sendspin

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/flynn/noise"
	"go.uber.org/goleak"

	"tutti"
	"tutti/clock"
	"tutti/rooms"
	"tutti/store"
	"tutti/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sounds is a catalogue and a track cache of tracks that are made of numbers: sample n of a track has n in its left channel
// and the track's number in its right one. Their pictures are all of one colour.
type sounds struct{ tutti.Browser }

const seconds = 30

func trackID(n int) tutti.ID { return tutti.NewID(tutti.PrefixTrack, uint64(n)) }

func known(id tutti.ID) tutti.Track {
	return tutti.Track{
		ID: id, Title: "Track " + string(id), Album: "Numbers", DisplayArtist: "The Counters", Artists: []tutti.ArtistRef{{ID: "ar-1"}},
		Track: 3, Date: tutti.Date{Year: 1999}, Duration: seconds * time.Second,
	}
}

func (sounds) Plan(_ context.Context, r tutti.PlanRequest) (tutti.Plan, error) {
	return tutti.Plan{Track: known(r.Track), Ref: tutti.Ref{Path: string(r.Track)}}, nil
}

func (sounds) TracksByID(_ context.Context, _ tutti.Viewer, ids []tutti.ID) ([]tutti.Track, error) {
	var out []tutti.Track
	for _, id := range ids {
		out = append(out, known(id))
	}
	return out, nil
}

func (sounds) Cover(_ context.Context, _ tutti.Viewer, id tutti.ID) (tutti.Ref, error) {
	return tutti.Ref{Path: "picture"}, nil
}

func (sounds) Open(_ context.Context, r tutti.Ref) (tutti.Object, error) {
	var b bytes.Buffer
	if r.Path == "picture" {
		src := image.NewRGBA(image.Rect(0, 0, 200, 100))
		for i := range 200 * 100 {
			src.Set(i%200, i/200, color.RGBA{200, 40, 20, 255})
		}
		err := jpeg.Encode(&b, src, nil)
		return object{bytes.NewReader(b.Bytes())}, err
	}
	n, _ := tutti.ID(r.Path).Number()
	b.WriteString("RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00\x01\x00\x02\x00\x80\xbb\x00\x00\x00\xee\x02\x00\x04\x00\x10\x00data\xff\xff\xff\xff")
	for i := range seconds * rooms.Rate {
		b.Write([]byte{byte(i), byte(i >> 8), byte(n), byte(n >> 8)})
	}
	return object{bytes.NewReader(b.Bytes())}, nil
}

type object struct{ *bytes.Reader }

func (object) ModTime() time.Time  { return time.Time{} }
func (object) ContentType() string { return "audio/wav" }
func (object) Close() error        { return nil }
func (o object) CopyRange(_ context.Context, w io.Writer, off, n int64) (int64, error) {
	return io.Copy(w, io.NewSectionReader(o.Reader, off, n))
}

// stage is a server with a room.
type stage struct {
	t     *testing.T
	s     *Server
	house *rooms.House
	room  tutti.ID
	store store.Store
}

func open(t *testing.T, change func(*Config)) *stage {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "tutti.db"), sqlite.Options{Clock: clock.System, Logger: quiet})
	must(t, err)
	anybody := func(context.Context, tutti.ID) (tutti.User, error) { return tutti.User{}, nil }
	house, err := rooms.New(t.Context(), rooms.Config{Store: st, Planner: sounds{}, Browser: sounds{}, Source: sounds{}, User: anybody, Clock: clock.System, Logger: quiet})
	must(t, err)
	c := Config{House: house, Browser: sounds{}, Source: sounds{}, Store: st, Clock: clock.System, Logger: quiet, Name: "here"}
	if change != nil {
		change(&c)
	}
	s, err := Listen(t.Context(), "127.0.0.1:0", c)
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
	all, err := house.Rooms(t.Context(), tutti.Viewer{})
	must(t, err)
	return &stage{t, s, house, all[0].ID, st}
}

func (s *stage) play(tracks ...int) {
	s.t.Helper()
	var ids []tutti.ID
	for _, n := range tracks {
		ids = append(ids, trackID(n))
	}
	_, err := s.house.PlayRoom(s.t.Context(), tutti.Viewer{}, s.room, tutti.RoomPlay{Tracks: ids})
	must(s.t, err)
}

func (s *stage) player(id string) tutti.RoomPlayer {
	s.t.Helper()
	r, err := s.house.Room(s.t.Context(), tutti.Viewer{}, s.room)
	must(s.t, err)
	for _, p := range r.Players {
		if p.ID == id {
			return p
		}
	}
	return tutti.RoomPlayer{}
}

// wait lets a condition come true.
func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for since := time.Now(); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Since(since) > 20*time.Second {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// peer is a client of the tests' own, written from the specification's side of the client.
type peer struct {
	t       *testing.T
	ws      *websocket.Conn
	dialect dialect
	id      string
	self    noise.DHKey
	server  []byte
	suite   noise.CipherSuite
	keys    map[string][]byte // by psk_id
	out, in *noise.CipherState
	hash    []byte
	matched string // psk_id
	whole   []byte
}

// news is what the server says: JSON with its type, or a binary message.
type news struct {
	kind    string
	payload map[string]any
	id      byte
	body    []byte
}

func newPeer(t *testing.T, d dialect) *peer {
	t.Helper()
	self, err := noise.DH25519.GenerateKeypair(rand.Reader)
	must(t, err)
	p := &peer{t: t, dialect: d, self: self, id: base64url(self.Public), suite: suites["25519_ChaChaPoly_SHA256"], keys: map[string][]byte{}}
	if d == plain {
		p.id = "speaker-1"
	}
	sentinel := sha256.Sum256([]byte("sendspin-sentinel-psk-v1"))
	p.learn(sentinel[:])
	return p
}

func (p *peer) learn(key []byte) string {
	h := sha256.Sum256(append([]byte("sendspin-psk-id-v1"), key...))
	p.keys[base64url(h[:])] = key
	return base64url(h[:])
}

// dial connects, and says and hears all that comes before the first roles. The greeting's payload is what extra makes of it.
func (p *peer) dial(s *Server, roles []string, extra map[string]any) news {
	p.t.Helper()
	p.connect(s)
	return p.begin(roles, extra)
}

// begin is dial on a connection that is there.
func (p *peer) begin(roles []string, extra map[string]any) news {
	p.t.Helper()
	if p.dialect == plain {
		p.say("client/hello", p.greeting(roles, extra))
		return p.until("server/hello")
	}
	p.shake()
	p.until("server/hello")
	p.say("client/hello", p.greeting(roles, extra))
	return p.until("server/activate")
}

func (p *peer) connect(s *Server) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws://"+s.Address()+Path, nil)
	must(p.t, err)
	p.use(ws)
}

func (p *peer) use(ws *websocket.Conn) {
	ws.SetReadLimit(1 << 20)
	p.ws, p.out, p.in, p.whole = ws, nil, nil, nil
	p.t.Cleanup(func() { _ = ws.CloseNow() })
}

// announcing is a client that is called: its URL, and the connections that are made to it.
func announcing(t *testing.T) (string, <-chan *websocket.Conn) {
	t.Helper()
	calls := make(chan *websocket.Conn)
	done := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		select {
		case calls <- ws:
			<-done
		case <-done:
			_ = ws.CloseNow()
		}
	}))
	t.Cleanup(func() { close(done); web.Close() })
	at, err := ClientURL(web.Listener.Addr().String(), "/a path")
	must(t, err)
	return at, calls
}

func (p *peer) greeting(roles []string, extra map[string]any) map[string]any {
	g := map[string]any{
		"name": "Speaker", "supported_roles": roles,
		"player@v1_support": map[string]any{
			"supported_formats": []format{{"opus", 2, 48000, 16}, {"pcm", 2, 48000, 16}, {"flac", 2, 48000, 16}}, "buffer_capacity": 1 << 20,
			"supported_commands": []string{"volume", "mute"},
		},
		"visualizer@v1_support": map[string]any{"buffer_capacity": 1 << 16},
		"unpaired_access":       map[string]any{"enabled": true},
	}
	switch p.dialect {
	case plain:
		g["client_id"], g["version"] = p.id, 1
	case first:
		g["trust_level"] = "none"
		g["supported_pair_methods"] = []map[string]any{{"method": "pairing_psk"}, {"method": "dynamic_pin", "min_pin_length": 6, "out_channels": []string{"display"}}}
	default:
		g["supported_pair_methods"] = map[string]any{"pairing_psk": map[string]any{}, "dynamic_pairing_code": map[string]any{"formats": []string{"digits"}, "out_channels": []string{"display"}}}
	}
	for k, v := range extra {
		g[k] = v
	}
	return g
}

func (p *peer) send(kind websocket.MessageType, b []byte) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	must(p.t, p.ws.Write(ctx, kind, b))
}

func (p *peer) say(kind string, payload any) {
	p.t.Helper()
	b, err := json.Marshal(map[string]any{"type": kind, "payload": payload})
	must(p.t, err)
	if p.out == nil {
		p.send(websocket.MessageText, b)
		return
	}
	sealed, err := p.out.Encrypt(nil, nil, append([]byte{0}, b...))
	must(p.t, err)
	p.send(websocket.MessageBinary, sealed)
}

func (p *peer) raw() (websocket.MessageType, []byte, error) {
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	return p.ws.Read(ctx)
}

// respond plays the client's part in a handshake.
func (p *peer) respond(prologue, message []byte) (answer []byte, out, in *noise.CipherState) {
	p.t.Helper()
	h, err := noise.NewHandshakeState(noise.Config{
		CipherSuite: p.suite, Pattern: noise.HandshakeKK, Prologue: prologue, StaticKeypair: p.self, PeerStatic: p.server, PresharedKeyPlacement: 2,
	})
	must(p.t, err)
	payload, _, _, err := h.ReadMessage(nil, message)
	must(p.t, err)
	var named struct {
		ID string `json:"psk_id"`
	}
	must(p.t, json.Unmarshal(payload, &named))
	key, ok := p.keys[named.ID]
	if !ok {
		named.ID = "GFsV9tLaSQm9HcFWpKsgYQOr7wFTvNUtkmFwuVz3zoo" // the published key's, from the specification
		key = p.keys[named.ID]
	}
	p.matched = named.ID
	must(p.t, h.SetPresharedKey(key))
	answer, in, out, err = h.WriteMessage(nil, []byte("{}"))
	must(p.t, err)
	p.hash = bytes.Clone(h.ChannelBinding())
	return answer, out, in
}

func (p *peer) shake() {
	p.t.Helper()
	suite := "25519_ChaChaPoly_SHA256"
	if p.dialect == first {
		suite = "25519_AESGCM_SHA256"
		p.suite = suites[suite]
	}
	mine, err := json.Marshal(map[string]any{"type": "client/init", "payload": map[string]any{"client_id": p.id, "version": 1, "suite": suite}})
	must(p.t, err)
	p.send(websocket.MessageText, mine)
	_, theirs, err := p.raw()
	must(p.t, err)
	var init struct {
		Type    string
		Payload struct {
			ServerID string `json:"server_id"`
			Version  int
		}
	}
	must(p.t, json.Unmarshal(theirs, &init))
	if init.Type != "server/init" || init.Payload.Version != 1 {
		p.t.Fatalf("the server began with %s", theirs)
	}
	p.server, err = unbase64(init.Payload.ServerID)
	must(p.t, err)
	m := p.next()
	data, err := unbase64(m.payload["data"].(string))
	must(p.t, err)
	answer, out, in := p.respond(slices.Concat(mine, theirs), data)
	p.say("noise/handshake", map[string]any{"data": base64url(answer)})
	p.out, p.in = out, in
}

// next is the next whole message, decrypted.
func (p *peer) next() news {
	p.t.Helper()
	for {
		m, ok := p.try()
		if !ok {
			p.t.Fatal("the connection ended")
		}
		if m.kind == "noise/handshake" && p.out != nil {
			data, err := unbase64(m.payload["data"].(string))
			must(p.t, err)
			answer, out, in := p.respond(p.hash, data)
			p.say("noise/handshake", map[string]any{"data": base64url(answer)})
			p.out, p.in = out, in
			continue
		}
		return m
	}
}

// try is next that reports the end of the connection.
func (p *peer) try() (news, bool) {
	p.t.Helper()
	for {
		text, b, err := p.raw()
		if errors.Is(err, context.DeadlineExceeded) {
			p.t.Fatal("the connection neither says anything nor ends")
		}
		if err != nil {
			return news{}, false
		}
		if p.in != nil {
			if text == websocket.MessageText {
				p.t.Fatalf("clear text: %s", b)
			}
			if b, err = p.in.Decrypt(nil, nil, b); err != nil {
				p.t.Fatal(err)
			}
			switch {
			case p.dialect == first && (b[0] == 2 || b[0] == 3):
				p.whole = append(p.whole, b[1:]...)
				if b[0] == 2 {
					continue
				}
				b, p.whole = p.whole, nil
			case p.dialect == current && b[0] == 1:
				if b[1]&2 != 0 && p.whole != nil || b[1]&2 == 0 && p.whole == nil || b[1]&^3 != 0 {
					p.t.Fatalf("a fragment with flags %b", b[1])
				}
				p.whole = append(p.whole, b[2:]...)
				if b[1]&1 == 0 {
					continue
				}
				b, p.whole = p.whole, nil
			}
		}
		if text == websocket.MessageBinary && (p.in == nil || b[0] != 0) {
			return news{id: b[0], body: b[1:]}, true
		}
		if p.in != nil {
			b = b[1:]
		}
		var m struct {
			Type    string
			Payload map[string]any
		}
		must(p.t, json.Unmarshal(b, &m))
		return news{kind: m.Type, payload: m.Payload}, true
	}
}

// until reads up to a JSON message of a type.
func (p *peer) until(kind string) news {
	p.t.Helper()
	return p.seek(kind, func(m news) bool { return m.kind == kind })
}

func (p *peer) seek(what string, is func(news) bool) news {
	p.t.Helper()
	for since := time.Now(); time.Since(since) < 20*time.Second; {
		if m := p.next(); is(m) {
			return m
		}
	}
	p.t.Fatalf("no %s came", what)
	return news{}
}

// ready is a player's first state.
func (p *peer) ready(more map[string]any) {
	p.t.Helper()
	player := map[string]any{"volume": 100, "muted": false}
	s := map[string]any{"player": player}
	switch p.dialect {
	case plain:
		s["state"] = "synchronized"
	case first:
		s["available"] = true
		player["static_delay_ms"], player["supported_commands"] = 0, []string{"set_static_delay"}
	default:
		s["available"] = true
		player["output_delay_ms"], player["required_lead_time_ms"], player["min_buffer_ms"] = 0, 200, 100
		player["supported_commands"] = []string{"volume", "mute", "set_output_delay"}
	}
	for k, v := range more {
		s[k] = v
	}
	p.say("client/state", s)
}

// chunk is the next piece of sound, and when it is to be heard.
func (p *peer) chunk() (at int64, data []byte) {
	p.t.Helper()
	m := p.seek("sound", func(m news) bool { return m.id == audioChunk && m.kind == "" })
	at = int64(binary.BigEndian.Uint64(m.body))
	data = m.body[8:]
	if p.dialect == current {
		lead := time.Duration(binary.BigEndian.Uint32(data)) * time.Microsecond
		if until := time.Duration(at-time.Now().UnixMicro()) * time.Microsecond; lead < until || lead > until+20*time.Second {
			p.t.Errorf("a chunk says that it was sent %v ahead, and came %v ahead", lead, until)
		}
		data = data[4:]
	}
	return at, data
}
