package api

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"tutti/rooms"
)

// TestRoomEvents: who watches is told of the rooms at once, of every change, and of how far off players say they are.
func TestRoomEvents(t *testing.T) {
	h := open(t)
	h.furnish()
	next := h.listen(t, listener, "rooms/events")
	read := func(want string, into any) {
		t.Helper()
		name, data := next()
		if err := json.Unmarshal([]byte(data), into); name != want || err != nil {
			t.Fatalf("%s %q: %v; want %s", name, data, err, want)
		}
	}
	var now roomsEvent
	read("rooms", &now)
	if len(now.Rooms) != 1 || now.Rooms[0].Current != -1 || now.Rooms[0].Track != nil {
		t.Fatalf("%+v", now)
	}
	room, queue := now.Rooms[0].ID, now.Rooms[0].Queue

	body := `{"tracks":["` + string(waltz) + `","` + string(polka) + `"],"current":1,"positionMs":1500,"paused":true}`
	if w := h.ask(listener, "PUT rooms/"+string(room)+"/queue", body); w.Code != http.StatusOK {
		t.Fatal(w.Code, w.Body)
	}
	h.clock.WaitForTimers(2) // the beat of the stream, and what gathers changes
	h.clock.Advance(time.Second)
	now = roomsEvent{}
	read("rooms", &now)
	if r := now.Rooms[0]; r.Length != 2 || r.Current != 1 || r.Track == nil || r.Track.ID != polka || r.PositionMs != 1500 || r.Queue == queue {
		t.Fatalf("%+v", r)
	}

	seat, err := h.rooms.Sit(t.Context(), rooms.Arrival{ID: "web-1", Name: "Page", Kind: "web", Address: "192.0.2.9", Room: room})
	must(t, err)
	defer seat.Leave()
	seat.Report(-70*time.Microsecond, time.Millisecond)
	h.clock.WaitForTimers(2)
	h.clock.Advance(time.Second)
	now = roomsEvent{}
	read("rooms", &now)
	if p := now.Rooms[0].Players; len(p) != 1 || p[0].Kind != "web" || !p[0].Connected {
		t.Fatalf("%+v", p)
	}
	var steps stepsEvent
	read("steps", &steps)
	if len(steps.Steps) != 1 || steps.Steps[0].Player != "web-1" || steps.Steps[0].ErrorUs != -70 || steps.Steps[0].BoundUs != 1000 {
		t.Errorf("%+v", steps)
	}
}

// TestJoinRoom: a WebSocket is opened by our own page and by who has a key, and by no other site with a visitor's cookie.
func TestJoinRoom(t *testing.T) {
	h := open(t)
	c := signedIn(t, h)
	for _, tc := range []struct {
		name, line string
		cookie     bool
		header     []string
		status     int
	}{
		{"nobody", "", false, nil, 401},
		{"no WebSocket", "?player=web-1&format=pcm", true, nil, 400},
		{"no format", "?player=web-1", true, []string{"Upgrade", "websocket"}, 400},
		{"another site", "?player=web-1&format=pcm", true, []string{"Upgrade", "websocket", "Origin", "https://evil.example"}, 403},
		{"another site that hides", "?player=web-1&format=pcm", true, []string{"Upgrade", "websocket", "Origin", "null"}, 403},
		{"another site without a name", "?player=web-1&format=pcm", true, []string{"Upgrade", "websocket", "Sec-Fetch-Site", "cross-site"}, 403},
		{"our page, but no such room", "?player=web-1&format=pcm", true, []string{"Upgrade", "websocket", "Origin", "http://example.com"}, 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := h.request("", "GET rooms/ro-0000000000099/play"+tc.line, "")
			if tc.cookie {
				r.AddCookie(c)
			}
			for i := 0; i < len(tc.header); i += 2 {
				r.Header.Set(tc.header[i], tc.header[i+1])
			}
			if w := h.do(r); w.Code != tc.status {
				t.Errorf("%d %s; want %d", w.Code, w.Body, tc.status)
			}
		})
	}
}
