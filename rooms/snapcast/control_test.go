package snapcast

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"tutti"
)

// shelf is a catalogue of the tracks that are asked for.
type shelf struct{ tutti.Browser }

func (shelf) TracksByID(_ context.Context, _ tutti.Viewer, ids []tutti.ID) (out []tutti.Track, _ error) {
	for _, id := range ids {
		out = append(out, tutti.Track{ID: id, Title: "Rain", Album: "Weather", Artists: []tutti.ArtistRef{{Name: "The Clouds"}}, Duration: 90 * time.Second})
	}
	return out, nil
}

// controlled lets apps in.
func controlled(t *testing.T, s *Server) (lines, web string) {
	t.Helper()
	k, err := s.Control(t.Context(), "127.0.0.1:0", "127.0.0.1:0", shelf{})
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		must(t, <-done)
	})
	return k.Addresses()
}

// app is an app that controls rooms.
type app struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Scanner
}

func openApp(t *testing.T, address string) *app {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	in := bufio.NewScanner(conn)
	in.Buffer(nil, 1<<20)
	return &app{t, conn, in}
}

// read returns the next message that is wanted, as what it says of itself.
func (a *app) read(wanted func(map[string]any) bool) map[string]any {
	a.t.Helper()
	for a.in.Scan() {
		var m map[string]any
		if err := json.Unmarshal(a.in.Bytes(), &m); err != nil {
			a.t.Fatalf("%v: %s", err, a.in.Bytes())
		}
		if wanted(m) {
			return m
		}
	}
	a.t.Fatalf("waited in vain: %v", a.in.Err())
	return nil
}

// ask sends a request and returns its answer's result as JSON, or its error.
func (a *app) ask(method, params string) string {
	a.t.Helper()
	_, err := a.conn.Write([]byte(`{"id":1,"jsonrpc":"2.0","method":"` + method + `","params":` + params + "}\r\n"))
	must(a.t, err)
	m := a.read(func(m map[string]any) bool { _, ok := m["id"]; return ok })
	part := m["result"]
	if m["error"] != nil {
		part = m["error"]
	}
	return string(encode(part))
}

// told waits for a notification, and returns what it says.
func (a *app) told(method string) string {
	a.t.Helper()
	return string(encode(a.read(func(m map[string]any) bool { return m["method"] == method })["params"]))
}

func TestControl(t *testing.T) {
	house, s := serving(t)
	lines, _ := controlled(t, s)
	c := call(t, s)
	c.send(base{kind: hello, id: 7}, counted([]byte(hail)))
	c.read()
	home, err := house.Rooms(t.Context(), tutti.Viewer{})
	must(t, err)
	group := string(home[0].ID)
	a, other := openApp(t, lines), openApp(t, lines)
	const id = "00:11:22:33:44:55#2"
	for _, app := range []*app{a, other} { // which both are told of changes from now on
		if got := app.ask("Server.GetRPCVersion", "{}"); got != `{"major":2,"minor":0,"patch":0}` {
			t.Error(got)
		}
		if got := app.ask("Server.GetStatus", "{}"); !strings.Contains(got, `"connected":true`) || !strings.Contains(got, `"name":"Home"`) {
			t.Error(got)
		}
	}
	for _, c := range []struct{ method, params, want string }{
		{"Client.SetVolume", `{"id":"` + id + `","volume":{"muted":true,"percent":74}}`, `{"volume":{"muted":true,"percent":74}}`},
		{"Client.SetVolume", `{"id":"` + id + `","volume":{"percent":150}}`, `{"volume":{"muted":true,"percent":100}}`},
		{"Client.SetLatency", `{"id":"` + id + `","latency":10}`, `{"latency":10}`},
		{"Client.SetLatency", `{"id":"` + id + `","latency":99999}`, `{"latency":1000}`},
		{"Client.SetName", `{"id":"` + id + `","name":"Laptop"}`, `{"name":"Laptop"}`},
		{"Client.SetName", `{"id":"` + id + `"}`, `{"code":-32602,"data":"name is missing","message":"Invalid params"}`},
		{"Client.GetStatus", `{"id":"nope"}`, `{"code":-32603,"data":"Client not found","message":"Internal error"}`},
		{"Group.SetMute", `{"id":"` + group + `","mute":true}`, `{"mute":true}`},
		{"Group.SetName", `{"id":"` + group + `","name":"House"}`, `{"name":"House"}`},
		{"Group.SetStream", `{"id":"` + group + `","stream_id":"House"}`, `{"stream_id":"House"}`},
		{"Group.SetStream", `{"id":"` + group + `","stream_id":"nope"}`, `{"code":-32603,"data":"Stream not found","message":"Internal error"}`},
		{"Stream.SetProperty", `{"id":"House","property":"loopStatus","value":"playlist"}`, `"ok"`},
		{"Stream.SetProperty", `{"id":"House","property":"loopStatus","value":"sometimes"}`, `{"code":-32602,"data":"Value for loopStatus must be one of 'none', 'track', 'playlist'","message":"Invalid params"}`},
		{"Stream.SetProperty", `{"id":"House","property":"volume","value":101}`, `{"code":-32602,"data":"a volume is from 0 to 100","message":"Invalid params"}`},
		{"Stream.SetProperty", `{"id":"House","property":"volume","value":50}`, `"ok"`},
		{"Stream.Control", `{"id":"House","command":"play","params":{}}`, `{"code":4,"message":"Stream property canPlay is false"}`},
		{"Stream.Control", `{"id":"House","command":"next","params":{}}`, `{"code":2,"message":"Stream property canGoNext is false"}`},
		{"Stream.Control", `{"id":"House","command":"bogus","params":{}}`, `{"code":-32602,"data":"Command 'bogus' not supported","message":"Invalid params"}`},
		{"Stream.Control", `{"id":"House","command":"seek","params":{"offset":1e300}}`, `{"code":-32602,"data":"offset is missing, or no number of seconds","message":"Invalid params"}`},
		{"Stream.AddStream", `{"streamUri":"pipe:///tmp/x?name=y"}`, `{"code":-32601,"message":"Method not found"}`},
	} {
		if got := a.ask(c.method, c.params); got != c.want {
			t.Errorf("%s %s is answered with %s, want %s", c.method, c.params, got, c.want)
		}
	}
	if got := a.ask("Server.DeleteClient", `{"id":"`+id+`"}`); !strings.Contains(got, "Laptop is connected") {
		t.Error(got)
	}
	// The other app has heard of what came of it.
	other.told("Server.OnUpdate") // the room, and so the stream, has another name
	p, err := house.Room(t.Context(), tutti.Viewer{}, home[0].ID)
	must(t, err)
	if p.Name != "House" || !p.Muted || p.Volume != 50 || p.Repeat != tutti.RepeatAll || p.Players[0].Name != "Laptop" || p.Players[0].Latency != time.Second {
		t.Errorf("%+v", p)
	}
	// Single changes are told as such.
	must(t, c.conn.Close())
	other.told("Client.OnDisconnect")
	if got := a.ask("Group.SetMute", `{"id":"`+group+`","mute":false}`); got != `{"mute":false}` {
		t.Error(got)
	}
	if got := other.told("Group.OnMute"); got != `{"id":"`+group+`","mute":false}` {
		t.Error(got)
	}
	// Who is sent away goes to a room of its own, and back.
	a.ask("Group.SetClients", `{"id":"`+group+`","clients":[]}`)
	all, err := house.Rooms(t.Context(), tutti.Viewer{})
	must(t, err)
	if len(all) != 2 || all[1].Name != "Laptop" || len(all[1].Players) != 1 {
		t.Errorf("%+v", all)
	}
	other.told("Server.OnUpdate")
	a.ask("Group.SetStream", `{"id":"`+string(all[1].ID)+`","stream_id":"House"}`)
	a.ask("Group.SetClients", `{"id":"`+group+`","clients":[]}`)
	if all, err = house.Rooms(t.Context(), tutti.Viewer{}); err != nil || len(all) != 2 || len(all[1].Players) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	if got := a.ask("Server.DeleteClient", `{"id":"`+id+`"}`); !strings.Contains(got, `"groups":[]`) {
		t.Error(got)
	}
}

// TestControlWords: what is no request is answered as the specification has it.
func TestControlWords(t *testing.T) {
	_, s := serving(t)
	lines, _ := controlled(t, s)
	a := openApp(t, lines)
	for _, c := range [][2]string{
		{`not json`, `{"error":{"code":-32700,"data":"that is not JSON","message":"Parse error"},"id":null,"jsonrpc":"2.0"}`},
		{`{"jsonrpc":"2.0","method":5,"id":7}`, `{"error":{"code":-32700,"data":"Invalid request","message":"Parse error"},"id":null,"jsonrpc":"2.0"}`},
		{`[]`, `{"error":{"code":-32700,"data":"Invalid request","message":"Parse error"},"id":null,"jsonrpc":"2.0"}`},
		{`{"jsonrpc":"2.0","method":"Nope","id":"abc"}`, `{"error":{"code":-32601,"message":"Method not found"},"id":"abc","jsonrpc":"2.0"}`},
		// A notification has no answer, so that the next is the batch's.
		{
			"{\"jsonrpc\":\"2.0\",\"method\":\"Server.GetRPCVersion\"}\r\n\r\n" + `[{"jsonrpc":"2.0","method":"Server.GetRPCVersion","id":8},{"jsonrpc":"2.0","method":"Server.GetRPCVersion"},{"jsonrpc":"2.0","method":"Nope","id":9}]`,
			`[{"id":8,"jsonrpc":"2.0","result":{"major":2,"minor":0,"patch":0}},{"error":{"code":-32601,"message":"Method not found"},"id":9,"jsonrpc":"2.0"}]`,
		},
	} {
		_, err := a.conn.Write([]byte(c[0] + "\r\n"))
		must(t, err)
		if !a.in.Scan() {
			t.Fatal(a.in.Err())
		}
		if got := a.in.Text(); got != c[1] {
			t.Errorf("%s is answered with %s", c[0], got)
		}
	}
	_, err := a.conn.Write(bytes.Repeat([]byte("x"), maxMessage+1))
	must(t, err)
	if a.in.Scan() {
		t.Errorf("an endless line is answered with %s", a.in.Text())
	}
}

func TestControlWeb(t *testing.T) {
	house, s := serving(t)
	_, web := controlled(t, s)
	post := func(origin, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequest(http.MethodPost, "http://"+web+"/jsonrpc", strings.NewReader(body))
		must(t, err)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		answer, err := client.Do(r)
		must(t, err)
		defer answer.Body.Close()
		b, err := io.ReadAll(answer.Body)
		must(t, err)
		return answer.StatusCode, string(b)
	}
	const ask = `{"id":1,"jsonrpc":"2.0","method":"Server.GetRPCVersion"}`
	const want = `{"id":1,"jsonrpc":"2.0","result":{"major":2,"minor":0,"patch":0}}`
	for _, origin := range []string{"", "http://" + web} {
		if code, got := post(origin, ask); code != 200 || got != want {
			t.Error(origin, code, got)
		}
	}
	if code, got := post("http://elsewhere.example", ask); code != 403 {
		t.Error(code, got)
	}
	// A page whose name leads here for a moment asks under one name, and is not from here for that.
	r, err := http.NewRequest(http.MethodPost, "http://"+web+"/jsonrpc", strings.NewReader(ask))
	must(t, err)
	r.Header.Set("Origin", "http://evil.example:1780")
	r.Host = "evil.example:1780"
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	must(t, err)
	must(t, answer.Body.Close())
	if answer.StatusCode != 403 {
		t.Errorf("a page of its own host's name: %d", answer.StatusCode)
	}
	if code, got := post("", strings.Repeat(" ", maxMessage+1)); code != 400 {
		t.Error(code, got)
	}
	conn, _, err := websocket.Dial(t.Context(), "ws://"+web+"/jsonrpc", nil)
	must(t, err)
	defer conn.CloseNow()
	say := func(m string) { t.Helper(); must(t, conn.Write(t.Context(), websocket.MessageText, []byte(m))) }
	hear := func() string {
		t.Helper()
		_, m, err := conn.Read(t.Context())
		must(t, err)
		return string(m)
	}
	say(ask)
	if got := hear(); got != want {
		t.Error(got)
	}
	// What changes is told, by whoever it was changed; the first look may come before or after, so that it is changed until it is told.
	volume := 10
	told := make(chan string, 1)
	go func() {
		_, m, err := conn.Read(t.Context())
		if err != nil {
			m = []byte(err.Error())
		}
		told <- string(m)
	}()
	all, err := house.Rooms(t.Context(), tutti.Viewer{})
	must(t, err)
	for {
		_, err = house.ChangeRoom(t.Context(), tutti.Viewer{}, all[0].ID, tutti.RoomChange{Volume: &volume})
		must(t, err)
		volume = 110 - volume
		select {
		case got := <-told:
			if !strings.Contains(got, "Stream.OnProperties") {
				t.Error(got)
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func FuzzControl(f *testing.F) {
	f.Add([]byte(`{"id":1,"jsonrpc":"2.0","method":"Stream.Control","params":{"id":"x","command":"seek","params":{"offset":1}}}`))
	f.Add([]byte(`[{"jsonrpc":"2.0","method":"Server.GetRPCVersion","id":8}]`))
	f.Add([]byte(`[1,2,null,{}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var q request
		if json.Unmarshal(b, &q) == nil && q.Method != "Server.GetRPCVersion" && methods[q.Method] != nil {
			var p params
			_ = json.Unmarshal(q.Params, &p) // the house is not asked here
			_, _ = span(p.Params.Offset, "offset")
			return
		}
		if bytes.Contains(b, []byte("Set")) || bytes.Contains(b, []byte("Status")) || bytes.Contains(b, []byte("Control")) || bytes.Contains(b, []byte("Delete")) {
			return // in a batch, likewise
		}
		if reply := (&controller{}).answer(t.Context(), b); reply != nil && !json.Valid(reply) {
			t.Errorf("%q is answered with %q", b, reply)
		}
	})
}
