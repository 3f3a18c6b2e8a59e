package sendspin

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/mewkiz/flac"

	"tutti"
	"tutti/rooms"
)

var dialects = []dialect{plain, first, current}

// TestAnEvening plays, seeks, pauses and sets volumes in every dialect.
func TestAnEvening(t *testing.T) {
	for _, d := range dialects {
		t.Run(d.String(), func(t *testing.T) {
			s := open(t, nil)
			p := newPeer(t, d)
			begun := p.dial(s.s, []string{"player@v1", "controller@v1", "metadata@v1", "source@v1"}, nil)
			if roles := begun.payload["active_roles"]; !reflect.DeepEqual(roles, []any{"player@v1", "controller@v1", "metadata@v1"}) {
				t.Errorf("active are %v", roles)
			}
			if id := begun.payload["server_id"]; d == plain && id != s.s.ID() {
				t.Errorf("the server is %v", id)
			}
			group := p.until("group/update")
			if group.payload["playback_state"] != "stopped" || group.payload["group_name"] != "Home" || group.payload["group_id"] != string(s.room) {
				t.Errorf("%v", group.payload)
			}
			p.ready(nil)
			asked := time.Now().UnixMicro()
			p.say("client/time", map[string]any{"client_transmitted": asked})
			told := p.until("server/time").payload
			got, sent := int64(told["server_received"].(float64)), int64(told["server_transmitted"].(float64))
			if int64(told["client_transmitted"].(float64)) != asked || got < asked || sent < got || sent > time.Now().UnixMicro() {
				t.Errorf("asked at %d, told %v", asked, told)
			}

			s.play(7, 8)
			m := p.seek("the metadata", func(m news) bool {
				about, ok := m.payload["metadata"].(map[string]any)
				return ok && about["title"] != nil
			}).payload["metadata"].(map[string]any)
			if m["artist"] != "The Counters" || m["album"] != "Numbers" || m["year"] != 1999.0 || m["track"] != 3.0 || m["progress"].(map[string]any)["track_duration"] != seconds*1000.0 {
				t.Errorf("%v", m)
			}
			if _, ok := m["repeat"]; ok == (d == current) {
				t.Errorf("repeat in the metadata: %v", ok)
			}
			start := p.until("stream/start").payload
			if got := start["player"]; !reflect.DeepEqual(got, map[string]any{"codec": "pcm", "sample_rate": 48000.0, "channels": 2.0, "bit_depth": 16.0}) {
				t.Errorf("%v", got)
			}
			if _, ok := start["server_transmitted"]; ok != (d == current) {
				t.Errorf("%v", start)
			}
			p.run(0, 7, 20)
			p.say("client/command", map[string]any{"controller": map[string]any{"command": "next"}})
			p.until("stream/clear")
			p.run(0, 8, 5)
			_, err := s.house.SeekRoom(t.Context(), tutti.Viewer{}, s.room, 0, 10*time.Second)
			must(t, err)
			p.until("stream/clear")
			p.run(480000, 7, 5)

			half := 50
			_, err = s.house.ChangeRoom(t.Context(), tutti.Viewer{}, s.room, tutti.RoomChange{Volume: &half})
			must(t, err)
			if c := p.until("server/command").payload["player"]; !reflect.DeepEqual(c, map[string]any{"command": "volume", "volume": 50.0}) {
				t.Errorf("%v", c)
			}
			p.ready(map[string]any{"player": map[string]any{"volume": 50, "muted": false}})
			p.ready(map[string]any{"player": map[string]any{"volume": 20, "muted": true}}) // at the device
			wait(t, "the device's volume", func() bool { p := s.player(p.id); return p.Volume == 40 && p.Muted })
			p.say("client/command", map[string]any{"controller": map[string]any{"command": "volume", "volume": 60}})
			wait(t, "the group's volume", func() bool {
				r, err := s.house.Room(t.Context(), tutti.Viewer{}, s.room)
				must(t, err)
				return level(r.Players[0], r) == 60
			})
			delay := 80 * time.Millisecond
			_, err = s.house.ChangeRoomPlayer(t.Context(), tutti.Viewer{}, p.id, tutti.RoomPlayerChange{Latency: &delay})
			must(t, err)
			if d != plain { // that one did not say that it can be told
				c := p.seek("the delay", func(m news) bool {
					c, _ := m.payload["player"].(map[string]any)
					name, _ := c["command"].(string)
					return strings.HasPrefix(name, "set_")
				}).payload["player"].(map[string]any)
				want := map[string]any{"command": "set_static_delay", "static_delay_ms": 80.0}
				if d == current {
					want = map[string]any{"command": "set_output_delay", "output_delay_ms": 80.0}
				}
				if !reflect.DeepEqual(c, want) {
					t.Errorf("%v", c)
				}
			}

			p.say("client/command", map[string]any{"controller": map[string]any{"command": "pause"}})
			p.until("stream/end")
			p.say("client/command", map[string]any{"controller": map[string]any{"command": "repeat_all"}})
			wait(t, "repeat", func() bool {
				r, err := s.house.Room(t.Context(), tutti.Viewer{}, s.room)
				must(t, err)
				return r.Repeat == tutti.RepeatAll && !r.Playing
			})
			p.say("client/goodbye", map[string]any{"reason": "shutdown"})
			for ok := true; ok; {
				_, ok = p.try()
			}
			wait(t, "it to be gone", func() bool { return !s.player(p.id).Connected })
		})
	}
}

// run reads chunks until so many follow one another, and finds in them the samples of a track from one on, each due when it
// should be. On a machine that is too busy a room leaves out what is too late and begins anew: then it is some way on, by less
// than a second.
func (p *peer) run(sample, track, chunks int) {
	p.t.Helper()
	var began int64
	for n := 0; n < chunks; n++ {
		at, data := p.chunk()
		if want := began + int64(n)*20_000; n > 0 && (at < want-1 || at > want+1) {
			p.t.Logf("chunk %d is due %d µs after the first", n, at-began)
			n = 0
		}
		if n == 0 {
			began = at
			on := (int(binary.LittleEndian.Uint16(data)) - sample) & 0xffff
			if on >= rooms.Rate {
				p.t.Fatalf("sample %d is %d on", sample, on)
			}
			sample += on
		}
		for i := range len(data) / 4 {
			l, r := int(binary.LittleEndian.Uint16(data[4*i:])), int(binary.LittleEndian.Uint16(data[4*i+2:]))
			if l != (sample+n*960+i)&0xffff || r != track {
				p.t.Fatalf("chunk %d, sample %d is %d of track %d", n, i, l, r)
			}
		}
	}
}

// TestAnnounced: clients that announce themselves are called, again where that is wanted, and not where it is not.
func TestAnnounced(t *testing.T) {
	for _, d := range dialects {
		t.Run(d.String(), func(t *testing.T) {
			s := open(t, nil)
			here, calls := announcing(t)
			there, others := announcing(t)
			roles := []string{"player@v1"}
			p := newPeer(t, d)
			s.s.Announced([]string{here})
			p.use(<-calls)
			p.begin(roles, nil)
			p.ready(nil)
			s.play(5)
			p.run(0, 5, 3)
			if at := s.player(p.id).Address; at != "127.0.0.1" {
				t.Errorf("it is at %q", at)
			}
			bye := func(reason string) {
				p.say("client/goodbye", map[string]any{"reason": reason})
				for ok := true; ok; {
					_, ok = p.try()
				}
				wait(t, "it to be gone", func() bool { return !s.player(p.id).Connected })
			}
			bye("restart")
			var again *websocket.Conn
			wait(t, "another call", func() bool {
				s.s.Announced([]string{here})
				select {
				case again = <-calls:
					return true
				case <-time.After(50 * time.Millisecond):
					return false
				}
			})
			p.use(again)
			p.begin(roles, nil)
			bye("user_request")
			s.s.Announced([]string{here, there})
			select {
			case <-calls:
				t.Error("it was called although it did not want to be")
			case ws := <-others: // after which the first would have been called
				must(t, ws.CloseNow())
			}
			wait(t, "a call after it had been away", func() bool {
				s.s.Announced(nil)
				s.s.Announced([]string{here})
				select {
				case again = <-calls:
					return true
				case <-time.After(50 * time.Millisecond):
					return false
				}
			})
			must(t, again.CloseNow())
		})
	}
	if _, err := ClientURL("192.168.1.2:8928", "elsewhere"); err == nil {
		t.Error("a path that is none")
	}
}

// TestFormats: FLAC that decodes to the same samples, and a change of format that neither repeats nor leaves out a sample.
func TestFormats(t *testing.T) {
	for _, d := range dialects {
		t.Run(d.String(), func(t *testing.T) {
			s := open(t, nil)
			p := newPeer(t, d)
			p.dial(s.s, []string{"player@v1"}, nil)
			p.ready(nil)
			s.play(9)
			p.until("stream/start")
			at, _ := p.chunk()
			if d == current {
				p.ready(map[string]any{"player": map[string]any{"output_delay_ms": 0, "supported_commands": []string{}, "format": format{"flac", 2, 48000, 16}}})
			} else {
				p.say("stream/request-format", map[string]any{"player": map[string]any{"codec": "flac"}})
			}
			last := at
			var start map[string]any
			for start == nil {
				switch m := p.next(); {
				case m.kind == "stream/start":
					start = m.payload["player"].(map[string]any)
				case m.kind == "" && m.id == audioChunk:
					last = int64(binary.BigEndian.Uint64(m.body))
				}
			}
			header, err := base64.StdEncoding.DecodeString(start["codec_header"].(string))
			must(t, err)
			next, frame := p.chunk()
			if next < last+19_999 || next > last+20_001 {
				t.Errorf("the first chunk in the new format is due %d µs after the last one", next-last)
			}
			stream, err := flac.New(bytes.NewReader(append(header, frame...)))
			must(t, err)
			f, err := stream.ParseNext()
			must(t, err)
			first := int((next - at) * 48 / 1000)
			if got := int(uint16(f.Subframes[0].Samples[0])); got < first-1 || got > first+1 || f.Subframes[1].Samples[0] != 9 {
				t.Errorf("it begins with sample %d, not %d", got, first)
			}
		})
	}
}

// TestCapacity: no more is sent than a client holds, and it gets on with little.
func TestCapacity(t *testing.T) {
	s := open(t, nil)
	p := newPeer(t, plain)
	const capacity = 5 * (960*4 + 13)
	p.dial(s.s, []string{"player@v1"}, map[string]any{"player@v1_support": map[string]any{
		"supported_formats": []format{{"pcm", 2, 48000, 16}}, "buffer_capacity": capacity,
	}})
	p.ready(nil)
	s.play(1)
	p.until("stream/start")
	var due []int64
	for range 30 {
		at, _ := p.chunk()
		due = append(due, at)
		heard := time.Now().UnixMicro() - 20_000 // what is being heard is held
		if due = slices.DeleteFunc(due, func(at int64) bool { return at < heard }); len(due) > 5 {
			t.Fatalf("%d chunks are held; 5 fit", len(due))
		}
	}
	now := time.Now()
	var h held
	for i := range 5 {
		h.add(parcel{now.Add(time.Duration(i+1) * time.Second), 10})
	}
	if w := h.room(10, 60, now); w != 0 {
		t.Errorf("waits %v where there is room", w)
	}
	if w := h.room(25, 60, now); w != 2*time.Second {
		t.Errorf("waits %v for 25 bytes of 60 with 50 taken", w)
	}
	if h.drain(now.Add(3 * time.Second)); h.bytes != 20 || len(h.sent) != 2 {
		t.Errorf("%+v", h)
	}
}

// TestAway: a client that is used otherwise is left alone until somebody asks for it there.
func TestAway(t *testing.T) {
	s := open(t, nil)
	p := newPeer(t, current)
	p.dial(s.s, []string{"player@v1", "controller@v1"}, nil)
	p.ready(nil)
	s.play(1)
	p.chunk()
	p.ready(map[string]any{"available": false})
	ended, alone := false, false
	p.seek("the end of the stream, in a group of its own", func(m news) bool {
		ended = ended || m.kind == "stream/end"
		alone = alone || m.kind == "group/update" && m.payload["playback_state"] == "stopped"
		return ended && alone
	})
	p.ready(map[string]any{"available": true})
	p.say("client/time", map[string]any{"client_transmitted": 1})
	for m := p.next(); m.kind != "server/time"; m = p.next() {
		if m.kind == "stream/start" {
			t.Error("it was given sound again unasked")
		}
	}
	p.say("client/command", map[string]any{"controller": map[string]any{"command": "switch"}})
	p.chunk()
	p.say("client/leave", map[string]any{})
	p.until("stream/end")
}

// TestShows: pictures, colours and a spectrum.
func TestShows(t *testing.T) {
	for _, d := range dialects {
		t.Run(d.String(), func(t *testing.T) {
			s := open(t, nil)
			p := newPeer(t, d)
			wish := map[string]any{"channels": []map[string]any{
				{"source": "none"}, {"source": "album", "format": "jpeg", "width": 64, "height": 48, "media_width": 64, "media_height": 48},
			}}
			visual := map[string]any{
				"types": []string{"beat", "loudness", "f_peak", "spectrum", "peak"}, "rate_max": 25,
				"spectrum": map[string]any{"n_disp_bins": 12, "scale": "mel", "f_min": 50, "f_max": 16000},
			}
			extra := map[string]any{}
			if d != current {
				extra["artwork@v1_support"] = wish
			}
			p.dial(s.s, []string{"artwork@v1", "color@v1", "visualizer@v1"}, extra)
			p.say("client/state", map[string]any{"available": true, "artwork": wish, "visualizer": visual})
			s.play(1)
			var data []byte
			var colours, spectrum, started map[string]any
			kinds := map[byte]bool{}
			size := -1
			for colours == nil || spectrum == nil || started == nil || len(data) != size || !kinds[visualLoud] || !kinds[visualPeakHz] || !kinds[visualBins] {
				m := p.next()
				switch {
				case m.kind == "server/state":
					if c, ok := m.payload["color"].(map[string]any); ok && c["primary"] != nil {
						colours = c
					}
				case m.kind == "stream/start":
					if a, ok := m.payload["artwork"].(map[string]any); ok {
						started = a
					}
					if v, ok := m.payload["visualizer"].(map[string]any); ok {
						spectrum = v
					}
				case m.id == artworkFirst+1 && m.kind == "" && d == current:
					switch {
					case m.body[0] == 2:
						size = int(binary.BigEndian.Uint32(m.body[9:]))
					case m.body[0] == 0:
						data = append(data, m.body[1:]...)
					default:
						t.Fatalf("flags %b", m.body[0])
					}
				case m.id == artworkFirst+1 && m.kind == "":
					data = m.body[8:]
					size = len(data)
				case m.id >= 16 && m.id < 24 && m.kind == "":
					kinds[m.id] = true
					if m.id == visualBins && len(m.body) != 8+2*12 {
						t.Errorf("a spectrum of %d bytes", len(m.body))
					}
				}
			}
			if got := started["channels"]; !reflect.DeepEqual(got, []any{map[string]any{"source": "none"}, map[string]any{"source": "album", "format": "jpeg", "width": 64.0, "height": 48.0}}) {
				t.Errorf("%v", got)
			}
			if !reflect.DeepEqual(spectrum["types"], []any{"loudness", "f_peak", "spectrum", "peak"}) || spectrum["rate_max"] != 25.0 {
				t.Errorf("%v", spectrum)
			}
			img, err := jpeg.Decode(bytes.NewReader(data))
			must(t, err)
			want := image.Rect(0, 0, 64, 32) // of 200 by 100
			if d == current {
				want = image.Rect(0, 0, 64, 48)
				if r, _, _, _ := img.At(3, 3).RGBA(); r > 0x1000 {
					t.Error("there is no black above the picture")
				}
			}
			if img.Bounds() != want {
				t.Errorf("the picture is %v", img.Bounds())
			}
			if r, g, _, _ := img.At(32, want.Dy()/2).RGBA(); r < 0xb000 || g > 0x4000 {
				t.Errorf("in the middle of the picture is %x %x", r, g)
			}
		})
	}
}

// code is what a test's client shows.
func (p *peer) code(nonceA string, nonceB []byte) string {
	a, err := unbase64(nonceA)
	must(p.t, err)
	return shownCode(p.dialect, p.hash, a, nonceB, 6)
}

// sid and wrap are the client's side of pairing.
func (p *peer) sid(index, round uint32) []byte {
	sid := slices.Concat([]byte("sendspin-pair-pake-v1"), p.hash)
	sid = binary.BigEndian.AppendUint32(sid, index)
	if p.dialect == current {
		sid = binary.BigEndian.AppendUint32(sid, round)
	}
	return sid
}

func (p *peer) wrap(label string, sid, isk, secret []byte) string {
	key := sha256.Sum256(slices.Concat([]byte(label), sid, isk))
	return base64url(p.suite.Cipher(key).Encrypt(nil, 0, nil, secret))
}

func random(t *testing.T) []byte {
	b := make([]byte, 32)
	_, err := rand.Read(b)
	must(t, err)
	return b
}

var admin = tutti.Viewer{Admin: true}

// TestPairByToken: a client that lets nobody in unpaired is paired by its token, keeps its pairing over connections, and is
// let go.
func TestPairByToken(t *testing.T) {
	for _, d := range []dialect{first, current} {
		t.Run(d.String(), func(t *testing.T) {
			s := open(t, func(c *Config) { c.Paired = true })
			p := newPeer(t, d)
			closed := map[string]any{"unpaired_access": map[string]any{"enabled": false}}
			m := p.dial(s.s, []string{"player@v1"}, closed)
			if len(m.payload["active_roles"].([]any)) > 0 {
				t.Errorf("unpaired, it has %v", m.payload["active_roles"])
			}
			secret := random(t)
			p.learn(secret)
			token := "sp:0" + strings.ToLower(strings.ReplaceAll(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(append(bytes.Clone(p.self.Public), secret...)), "2", "9"))
			result := make(chan error, 1)
			go func() {
				r, err := s.s.Pair(context.Background(), admin, "", " "+token+"\n")
				if err == nil && !r.Paired {
					t.Errorf("%+v", r)
				}
				result <- err
			}()
			m = p.until("server/activate")
			key := "selected_pair_method"
			if d == current {
				key = "pairing"
				if m.payload[key].(map[string]any)["method"] != "pairing_psk" {
					t.Errorf("%v", m.payload)
				}
				p.say("client/pair-init", map[string]any{"pairing_index": 1})
			}
			if m.payload[key] == nil || !reflect.DeepEqual(m.payload["activities"], []any{"pairing"}) {
				t.Errorf("%v", m.payload)
			}
			long := random(t)
			id := p.learn(long)
			p.say("client/pair-finalize", map[string]any{"long_term_psk": base64url(long)})
			p.until("server/pair-finalize")
			m = p.until("server/activate")
			if !reflect.DeepEqual(m.payload["active_roles"], []any{"player@v1"}) || p.matched != id {
				t.Errorf("paired, it has %v", m.payload)
			}
			must(t, <-result)

			again := *p
			m = again.dial(s.s, []string{"player@v1"}, closed)
			if again.matched != id || len(m.payload["active_roles"].([]any)) != 1 {
				t.Errorf("connected again, it has %v", m.payload)
			}
			if pairs, err := s.s.Pairings(t.Context(), admin); err != nil || len(pairs) != 1 || !pairs[0].Paired || !pairs[0].Connected {
				t.Errorf("%+v %v", pairs, err)
			}
			// In the clear nobody may take its place.
			liar := newPeer(t, plain)
			liar.id = p.id
			liar.connect(s.s)
			liar.say("client/hello", liar.greeting([]string{"player@v1"}, nil))
			if m, ok := liar.try(); ok {
				t.Errorf("who took its name was told %v", m)
			}
			// It forgets: the server finds out, and gives it nothing until it is paired again.
			delete(again.keys, id)
			m = again.dial(s.s, []string{"player@v1"}, nil)
			if len(m.payload["active_roles"].([]any)) != 0 {
				t.Errorf("without its key, it has %v", m.payload)
			}
			must(t, s.s.Unpair(t.Context(), admin, p.id))
			again.until("server/unpair")
			if m, ok := again.try(); ok {
				t.Errorf("let go, it is told %v", m)
			}
			if err := s.s.Unpair(t.Context(), admin, p.id); !tutti.IsKind(err, tutti.KindNotFound) {
				t.Errorf("a second time: %v", err)
			}
		})
	}
}

// TestPairByCode: with codes that the client shows, or has for good; a wrong one first.
func TestPairByCode(t *testing.T) {
	for _, test := range []struct {
		d     dialect
		shown bool
	}{{first, true}, {first, false}, {current, true}, {current, false}} {
		t.Run(test.d.String(), func(t *testing.T) {
			s := open(t, nil)
			p := newPeer(t, test.d)
			extra := map[string]any{}
			if !test.shown {
				extra["supported_pair_methods"] = map[string]any{"pairing_psk": map[string]any{}, "static_pairing_code": map[string]any{}}
				if test.d == first {
					extra["supported_pair_methods"] = []map[string]any{{"method": "pairing_psk"}, {"method": "static_pin"}}
				}
			}
			p.dial(s.s, []string{"player@v1"}, extra)
			p.ready(nil)
			s.play(1)
			p.chunk()
			if _, err := s.s.Pair(t.Context(), tutti.Viewer{}, p.id, ""); !tutti.IsKind(err, tutti.KindForbidden) {
				t.Errorf("somebody who is no admin: %v", err)
			}
			type answer struct {
				p   tutti.RoomPairing
				err error
			}
			pair := func(secret string) <-chan answer {
				out := make(chan answer, 1)
				go func() {
					r, err := s.s.Pair(context.Background(), admin, p.id, secret)
					out <- answer{r, err}
				}()
				return out
			}
			// begin goes up to the code, and returns it.
			var nonce []byte
			var nonceA string
			begin := func(index uint32) string {
				begun := pair("")
				p.until("stream/end")
				m := p.until("server/activate")
				if !reflect.DeepEqual(m.payload["activities"], []any{"pairing"}) {
					t.Fatalf("%v", m.payload)
				}
				init := map[string]any{"pairing_index": index}
				nonce = random(t)
				if test.shown {
					promise := sha256.Sum256(append([]byte("sendspin-pair-commit-v1"), nonce...))
					init["commit_B"] = base64url(promise[:])
				}
				p.say("client/pair-init", init)
				code := "31415926"
				if test.shown {
					m = p.until("server/pair-init")
					if length, ok := m.payload["pin_length"]; ok != (test.d == first) || ok && length != 6.0 {
						t.Errorf("%v", m.payload)
					}
					nonceA = m.payload["nonce_A"].(string)
					code = p.code(nonceA, nonce)
				}
				if a := <-begun; a.err != nil || !a.p.Ready {
					t.Fatalf("%+v", a)
				}
				return code
			}
			// prove answers an entered code, and reports whether it was the right one.
			var sid []byte
			var pake *cpace
			prove := func(code string, index, round uint32) bool {
				m := p.until("server/pair-auth")
				share, err := sized(m.payload["pake_msg_1"].(string), 32)
				must(t, err)
				sid = p.sid(index, round)
				pake, err = newCPace(false, []byte(code), sid)
				must(t, err)
				must(t, pake.derive(share))
				p.say("client/pair-auth", map[string]any{"pake_msg_2": base64url(pake.share)})
				tag, err := sized(p.until("server/pair-confirm").payload["server_kc"].(string), 64)
				must(t, err)
				return pake.verify(tag)
			}
			code := begin(1)
			wrong := pair("000-000 01")
			if prove(code, 1, 1) {
				t.Fatal("a wrong code was proven")
			}
			index, round := uint32(1), uint32(2)
			if test.shown && test.d == current {
				p.say("client/pair-retry", map[string]any{})
				if m := p.until("server/pair-init"); len(m.payload) != 0 {
					t.Errorf("%v", m.payload)
				}
			} else {
				p.say("pair/abort", map[string]any{"reason": "pairing_code_mismatch"})
				p.until("stream/start") // the music goes on
			}
			if a := <-wrong; !tutti.IsKind(a.err, tutti.KindInvalid) {
				t.Errorf("a wrong code: %+v", a)
			}
			if !(test.shown && test.d == current) {
				index, round = 2, 1
				code = begin(2)
			}
			right := pair(code)
			if !prove(code, index, round) {
				t.Fatal("the right code was not proven")
			}
			confirm := map[string]any{"client_kc": base64url(pake.proof())}
			if test.shown && test.d == first {
				confirm["nonce_B"] = base64url(nonce)
			} else if test.shown {
				confirm["wrapped_nonce_B"] = p.wrap("sendspin-pair-nonce-wrap-v1", sid, pake.key, nonce)
			}
			long := random(t)
			id := p.learn(long)
			p.say("client/pair-confirm", confirm)
			p.say("client/pair-finalize", map[string]any{"wrapped_psk": p.wrap("sendspin-pair-psk-wrap-v1", sid, pake.key, long)})
			p.until("server/pair-finalize")
			p.until("stream/start")
			if p.matched != id {
				t.Error("the new key is not used")
			}
			if a := <-right; a.err != nil || !a.p.Paired {
				t.Errorf("%+v", a)
			}
		})
	}
}

// TestStrangers: what is no client is sent away, and others go on.
func TestStrangers(t *testing.T) {
	s := open(t, nil)
	id := base64url(make([]byte, 32))
	for name, words := range map[string]string{
		"no JSON":           "hello",
		"no type":           "{}",
		"another beginning": `{"type":"client/state","payload":{}}`,
		"no name":           `{"type":"client/hello","payload":{"version":1}}`,
		"another version":   `{"type":"client/hello","payload":{"version":2,"client_id":"a"}}`,
		"no payload":        `{"type":"client/hello"}`,
		"a player without":  `{"type":"client/hello","payload":{"version":1,"client_id":"a","supported_roles":["player@v1"],"player@v1_support":{}}}`,
		"many roles":        `{"type":"client/hello","payload":{"version":1,"client_id":"a","supported_roles":["` + strings.Repeat(`a","`, 40) + `"]}}`,
		"a huge message":    `{"type":"client/hello","payload":{"name":"` + strings.Repeat("a", 70000) + `"}}`,
		"a strange key":     `{"type":"client/init","payload":{"version":1,"client_id":"` + id + `","suite":"25519_ChaChaPoly_SHA256"}}`,
	} {
		p := newPeer(t, plain)
		p.connect(s.s)
		p.send(websocket.MessageText, []byte(words))
		if m, ok := p.try(); ok {
			t.Errorf("%s was answered with %v", name, m)
		}
	}
	for reason, words := range map[string]string{
		"unsupported_version": `{"version":2,"client_id":7}`,
		"unsupported_suite":   `{"version":1,"client_id":"` + id + `","suite":"rot13"}`,
		"malformed":           `{"version":1,"client_id":"short","suite":"25519_ChaChaPoly_SHA256"}`,
	} {
		p := newPeer(t, plain)
		p.connect(s.s)
		p.send(websocket.MessageText, []byte(`{"type":"client/init","payload":`+words+`}`))
		if m := p.until("server/error"); m.payload["reason"] != reason {
			t.Errorf("%s is said to be %v", reason, m.payload)
		}
		if _, ok := p.try(); ok {
			t.Errorf("after %s it goes on", reason)
		}
	}
	// A page of somebody else's may not connect; one of this host may.
	for _, c := range []struct {
		origin, host string
		welcome      bool
	}{
		{"http://evil.example", "", false},
		{"http://127.0.0.1:9999", "", true},
		{"null", "", false},
		{"http://evil.example:8927", "evil.example:8927", false}, // whose name leads here for a moment
		{"http://music.local", "music.local:8927", true},
	} {
		ws, _, err := websocket.Dial(t.Context(), "ws://"+s.s.Address()+Path, &websocket.DialOptions{Host: c.host, HTTPHeader: http.Header{"Origin": {c.origin}}})
		if (err == nil) != c.welcome {
			t.Errorf("a page of %s, of host %q: %v", c.origin, c.host, err)
		}
		if ws != nil {
			must(t, ws.CloseNow())
		}
	}
	// Nobody in the clear sends away who has shown that the name is its own.
	encrypts := newPeer(t, current)
	encrypts.dial(s.s, []string{"player@v1"}, map[string]any{"unpaired_access": map[string]any{"enabled": true}})
	liar := newPeer(t, plain)
	liar.id = encrypts.id
	liar.connect(s.s)
	liar.say("client/hello", liar.greeting([]string{"player@v1"}, nil))
	if m, ok := liar.try(); ok {
		t.Errorf("who took its name was told %v", m)
	}
	encrypts.say("client/time", map[string]any{"client_transmitted": 1})
	encrypts.until("server/time")
	p := newPeer(t, plain)
	p.dial(s.s, []string{"player@v1"}, nil)
	again := newPeer(t, plain)
	again.dial(s.s, []string{"player@v1"}, nil)
	for ok := true; ok; {
		_, ok = p.try()
	}
}

// TestLargePicture: a picture as large as a client may ask for takes not much more memory than itself.
func TestLargePicture(t *testing.T) {
	src := image.NewYCbCr(image.Rect(0, 0, 2000, 2000), image.YCbCrSubsampleRatio420)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b, err := render(src, pictureWish{Source: sourceAlbum, Format: "jpeg", Width: 2048, Height: 2048}, true)
	must(t, err)
	runtime.ReadMemStats(&after)
	if got, err := jpeg.DecodeConfig(bytes.NewReader(b)); err != nil || got.Width != 2048 || got.Height != 2048 {
		t.Errorf("%+v %v", got, err)
	}
	if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 40 { // it has 16 MiB
		t.Errorf("it took %d MiB", took)
	}
}

// TestVectors are those of the drafts and of the specification.
func TestVectors(t *testing.T) {
	unhex := func(s string) []byte { b, err := hex.DecodeString(s); must(t, err); return b }
	// draft-irtf-cfrg-cpace-21, appendix B.1.
	sid := unhex("7e4b4791d6a8ef019b936c79fb7f2c57")
	g := generator([]byte("Password"), unhex("0b415f696e69746961746f720b425f726573706f6e646572"), sid)
	if hex.EncodeToString(g) != "d04bf6d41f6a289632a2e929fa29bebd51092512a7829fdde7d314b62f05a73f" {
		t.Errorf("the generator is %x", g)
	}
	a, err := newCPaceWith(true, g, sid, unhex("21b4f4bd9e64ed355c3eb676a28ebedaf6d8f17bdc365995b319097153044080"))
	must(t, err)
	b, err := newCPaceWith(false, g, sid, unhex("848b0779ff415f0af4ea14df9dd1d3c29ac41d836c7808896c4eba19c51ac40a"))
	must(t, err)
	a.ada, a.adb, b.ada, b.adb = []byte("ADa"), []byte("ADb"), []byte("ADa"), []byte("ADb")
	if hex.EncodeToString(a.share) != "1d13c89278cdadd826f6d8d7f887701430f8380ddc17611cdd6dc989ce0c9f32" ||
		hex.EncodeToString(b.share) != "248cccf6d5cdc3646f0ad593f9e6cef4e69d4945f8372e623512ecea32185623" {
		t.Errorf("the shares are %x and %x", a.share, b.share)
	}
	must(t, a.derive(b.share))
	must(t, b.derive(a.share))
	if want := "6e19b875f7a561d6b3ca3dbb9ef42ac55de3e717881018204b8922b4d5e53bb2aa82c300bea7b65d2b671da71922ddf6472301b79bc270adfa8bf413285f2263"; hex.EncodeToString(a.key) != want || hex.EncodeToString(b.key) != want {
		t.Errorf("the keys are %x and %x", a.key, b.key)
	}
	if !a.verify(b.proof()) || !b.verify(a.proof()) || a.verify(a.proof()) {
		t.Error("the proofs do not prove")
	}
	if err := a.derive(b.share); err == nil {
		t.Error("a second share was taken")
	}
	c, err := newCPace(true, []byte("1"), sid)
	must(t, err)
	if err := c.derive(make([]byte, 32)); err == nil {
		t.Error("a point of low order was taken")
	}

	// The specification's, connection.md and pairing.md.
	if hex.EncodeToString(sentinelKey) != "1b5e24dbc1aed95fc2a5a338a90c05df44bd10f5ec1f4cd66cbf86272767b9d3" || keyName(sentinelKey) != "GFsV9tLaSQm9HcFWpKsgYQOr7wFTvNUtkmFwuVz3zoo" {
		t.Errorf("the published key is %x, its name %s", sentinelKey, keyName(sentinelKey))
	}
	client, key, err := parseToken("SP:0AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYP6BYPC4PSOLZXH5DU6V97M5XXO74HR6LZ7J5PW674PT6X37T6757Y")
	must(t, err)
	for i := range 32 {
		if client[i] != byte(i) || key[i] != byte(0xe0+i) {
			t.Fatalf("the token is of %x and %x", client, key)
		}
	}
	for _, damaged := range []string{"", "SP:", "SP:1AAAQ", "SP:0AAAQ", "SP:0!", "0" + strings.Repeat("A", 2000)} {
		if _, _, err := parseToken(damaged); err == nil {
			t.Errorf("%q was taken for a token", damaged)
		}
	}
}

func TestDistribute(t *testing.T) {
	for _, test := range []struct {
		have []int
		want int
		get  []int
	}{
		{nil, 50, nil},
		{[]int{40, 60}, 60, []int{50, 70}},
		{[]int{10, 90}, 100, []int{100, 100}},
		{[]int{90, 50}, 80, []int{100, 60}},
		{[]int{95, 50}, 80, []int{100, 60}},
		{[]int{5, 50, 95}, 10, []int{0, 0, 30}},
		{[]int{0, 0}, 0, []int{0, 0}},
	} {
		if got := distribute(test.have, test.want); !reflect.DeepEqual(got, test.get) {
			t.Errorf("%v to %d: %v, not %v", test.have, test.want, got, test.get)
		}
	}
}

// TestPalette: whatever the picture, text can be read.
func TestPalette(t *testing.T) {
	contrast := func(a, b [3]int) float64 {
		l := func(c [3]int) float64 {
			return rgb{linear(float64(c[0]) / 255), linear(float64(c[1]) / 255), linear(float64(c[2]) / 255)}.luminance()
		}
		x, y := l(a), l(b)
		return (max(x, y) + 0.05) / (min(x, y) + 0.05)
	}
	white, black := [3]int{255, 255, 255}, [3]int{}
	for _, c := range []color.RGBA{{0, 0, 0, 255}, {255, 255, 255, 255}, {255, 0, 0, 255}, {0, 255, 0, 255}, {0, 0, 255, 255}, {128, 128, 128, 255}, {255, 255, 0, 255}} {
		src := image.NewRGBA(image.Rect(0, 0, 8, 8))
		for i := range 64 {
			src.Set(i%8, i/8, c)
		}
		src.Set(0, 0, color.RGBA{20, 200, 255, 255})
		got := palette(src)
		if p := got["primary"].([3]int); p != [3]int{int(c.R), int(c.G), int(c.B)} {
			t.Errorf("of %v the primary colour is %v", c, p)
		}
		at := func(k string) [3]int { return got[k].([3]int) }
		for _, pair := range [][2][3]int{
			{at("background_dark"), white},
			{at("background_dark"), at("on_dark")},
			{at("on_dark"), black},
			{at("background_light"), black},
			{at("background_light"), at("on_light")},
			{at("on_light"), white},
		} {
			if r := contrast(pair[0], pair[1]); r < 4.5 {
				t.Errorf("of %v: %v on %v has a contrast of %.2f", c, pair[0], pair[1], r)
			}
		}
	}
}

// TestAnalysis: a sine at full scale is as loud as can be at 1 kHz, found where it is, and in its own bin.
func TestAnalysis(t *testing.T) {
	sine := func(hz, amplitude float64, from, n int) []byte {
		var b []byte
		for i := range n {
			v := uint16(int16(math.Round(amplitude * 32767 * math.Sin(2*math.Pi*hz*float64(from+i)/rooms.Rate))))
			b = binary.LittleEndian.AppendUint16(b, v)
			b = binary.LittleEndian.AppendUint16(b, v)
		}
		return b
	}
	w := &visualWish{Types: []string{"loudness", "f_peak", "spectrum", "peak"}, RateMax: 60, Spectrum: &bins{Count: 10, Scale: "lin", Min: 0, Max: 10000}}
	a := newAnalysis(w)
	var last []visual
	for i := range 20 {
		last = a.block(sine(1000, 1, i*960, 960))
	}
	value := func(id byte) []byte {
		for _, v := range last {
			if v.id == id {
				return v.data
			}
		}
		t.Fatalf("no message of type %d", id)
		return nil
	}
	if v := binary.BigEndian.Uint16(value(visualLoud)); v < 65000 {
		t.Errorf("full scale at 1 kHz is %d", v)
	}
	f := value(visualPeakHz)
	if hz, amp := binary.BigEndian.Uint16(f), binary.BigEndian.Uint16(f[2:]); hz < 980 || hz > 1020 || amp < 63000 {
		t.Errorf("it is found at %d Hz with %d", hz, amp)
	}
	s := value(visualBins)
	for i := range 10 {
		v := binary.BigEndian.Uint16(s[2*i:])
		if loud := i == 0 || i == 1; loud != (v > 30000) { // 1 kHz lies between the two
			t.Errorf("display bin %d is %d", i, v)
		}
	}
	for i := range 60 {
		last = a.block(sine(1000, 0.001, i*960, 960))
		for _, v := range last {
			if v.id == visualOnset && i > 3 { // the end of what was loud is a click
				t.Error("quiet going on is an onset")
			}
		}
	}
	onsets := 0
	for i := range 5 {
		for _, v := range a.block(sine(200, 1, i*960, 960)) {
			if v.id == visualOnset {
				onsets++
			}
		}
	}
	if onsets != 1 {
		t.Errorf("a tone that begins has %d onsets", onsets)
	}
	for range 5 {
		last = a.block(make([]byte, 960*4))
	}
	if v := binary.BigEndian.Uint16(value(visualLoud)); v != 0 {
		t.Errorf("silence is %d", v)
	}
	if f := value(visualPeakHz); binary.BigEndian.Uint32(f) != 0 {
		t.Errorf("silence has a peak: % x", f)
	}
	for _, scale := range []string{"mel", "log", "lin"} {
		if e := edges(&bins{Count: 4, Scale: scale, Min: 20, Max: 20000}); math.Abs(e[0]-20) > 0.01 || math.Abs(e[4]-20000) > 0.1 || !slices.IsSorted(e) {
			t.Errorf("%s: %v", scale, e)
		}
	}
	if w := aWeight(1000); math.Abs(w-1) > 0.01 {
		t.Errorf("A-weighting at 1 kHz is %v", w)
	}
}

func FuzzMessages(f *testing.F) {
	for _, s := range []string{
		`{"type":"client/hello","payload":{"client_id":"a","version":1,"supported_roles":["player@v1"],"player@v1_support":{"supported_formats":[{"codec":"pcm","channels":2,"sample_rate":48000,"bit_depth":16}],"buffer_capacity":1}}}`,
		`{"type":"client/hello","payload":{"supported_pair_methods":{"pairing_psk":{},"dynamic_pairing_code":{"formats":["digits"]}}}}`,
		`{"type":"client/hello","payload":{"supported_pair_methods":[{"method":"dynamic_pin","min_pin_length":4}],"artwork@v1_support":{"channels":[{"source":"album","format":"png","media_width":1,"media_height":1}]}}}`,
		`{"type":"client/state","payload":{"available":true,"player":{"volume":5,"output_delay_ms":3.5},"visualizer":{"types":["spectrum"],"rate_max":5,"spectrum":{"n_disp_bins":4,"scale":"mel","f_min":1,"f_max":2}}}}`,
		`{"type":"client/command","payload":{"controller":{"command":"seek","position_ms":9}}}`,
		`{"type":"stream/request-format","payload":{"player":{"codec":"flac"},"artwork":{"channel":3}}}`,
		`{"type":"client/time","payload":{"client_transmitted":1.5}}`,
		`{"type":"client/pair-init","payload":{"pairing_index":1,"commit_B":"AA"}}`,
		`{"type":"noise/handshake","payload":{"data":"AAAA"}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parseEnvelope(b)
		if err != nil {
			return
		}
		if g, err := parseGreeting(e.Payload); err == nil {
			if len(g.roles()) > 6 {
				t.Errorf("%v", g.roles())
			}
			if g.Player != nil {
				c := &client{g: g}
				if chosen := c.choose(report{}); chosen != nil && chosen.Rate != rooms.Rate {
					t.Errorf("%v", chosen)
				}
			}
		}
		if s, err := parseState(e.Payload); err == nil && s.Visualizer != nil {
			if len(offered(s.Visualizer)) > 0 {
				newAnalysis(s.Visualizer).block(make([]byte, 960*4))
			}
		}
		_, _ = parseOrder(e.Payload)
		_, _ = parseFormatWish(e.Payload)
		_, _ = parseQuestion(e.Payload)
		_, _ = parsePair(e.Payload)
		_, _ = parseNoise(e.Payload)
	})
}

// FuzzFragments: what is taken apart is put together again, and nothing else makes trouble.
func FuzzFragments(f *testing.F) {
	f.Add([]byte{4, 1, 2}, uint8(0), true)
	f.Add([]byte{1, 3, 0}, uint8(1), false)
	f.Add(bytes.Repeat([]byte{4}, 300), uint8(1), true)
	f.Fuzz(func(t *testing.T, b []byte, which uint8, whole bool) {
		l := &link{dialect: []dialect{first, current}[which%2]}
		if !whole {
			for some := range slices.Chunk(b, 7) {
				if _, _, err := l.assemble(some, time.Time{}); err != nil {
					return
				}
			}
			return
		}
		if len(b) == 0 || b[0] < 4 {
			return
		}
		long := bytes.Repeat(b, min(maxMessage/len(b), 1+maxPlaintext*5/4/len(b)))
		if len(long) > maxMessage {
			return
		}
		var got message
		for n, some := range fragments(l.dialect, long) {
			if len(some) > maxPlaintext {
				t.Fatalf("a fragment of %d bytes", len(some))
			}
			m, complete, err := l.assemble(some, time.Time{})
			if err != nil || complete != (n == len(fragments(l.dialect, long))-1) {
				t.Fatalf("fragment %d: %v %v", n, complete, err)
			}
			got = m
		}
		if got.id != long[0] || !bytes.Equal(got.body, long[1:]) {
			t.Error("something else came out")
		}
	})
}

func FuzzToken(f *testing.F) {
	f.Add("SP:0AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYP6BYPC4PSOLZXH5DU6V97M5XXO74HR6LZ7J5PW674PT6X37T6757Y")
	f.Fuzz(func(t *testing.T, s string) {
		if client, key, err := parseToken(s); err == nil && (len(client) != 32 || len(key) != 32) {
			t.Errorf("%x %x", client, key)
		}
	})
}
