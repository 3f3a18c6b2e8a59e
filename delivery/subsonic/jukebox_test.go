package subsonic_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"tutti"
)

// jukebox asks jukeboxControl, and returns the songs' ids and what is said of them.
func (h *house) jukebox(user, query string) (ids []tutti.ID, s struct {
	CurrentIndex int
	Playing      bool
	Gain         float64
	Position     int
},
) {
	h.t.Helper()
	var answer struct {
		Response struct {
			Status        string
			JukeboxStatus json.RawMessage
			Playlist      struct{ Entry []struct{ ID tutti.ID } } `json:"jukeboxPlaylist"`
		} `json:"subsonic-response"`
	}
	w := h.ask("jukeboxControl?"+query, as(user)+"&f=json", "")
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Response.Status != "ok" {
		h.t.Fatalf("%s: %v %s", query, err, w.Body)
	}
	if err := json.Unmarshal(answer.Response.JukeboxStatus, &s); err != nil {
		h.t.Fatalf("%s: %v %s", query, err, w.Body)
	}
	w = h.ask("jukeboxControl?action=get", as(user)+"&f=json", "")
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		h.t.Fatal(err)
	}
	for _, e := range answer.Response.Playlist.Entry {
		ids = append(ids, e.ID)
	}
	return ids, s
}

func TestJukebox(t *testing.T) {
	h := open(t)
	h.furnish()
	for _, c := range []struct {
		query    string
		want     []tutti.ID
		current  int
		playing  bool
		position int
	}{
		{"action=status", nil, -1, false, 0},
		{"action=start", nil, -1, false, 0}, // there is nothing to begin
		{"action=set&" + q("id", tr1, "id", tr2, "id", tr3), []tutti.ID{tr1, tr2, tr3}, 0, false, 0},
		{"action=skip&index=1&offset=7", []tutti.ID{tr1, tr2, tr3}, 1, true, 7},
		{"action=set&" + q("id", tr3, "id", tr4, "id", tr2), []tutti.ID{tr3, tr4, tr2}, 2, true, 7}, // what plays goes on
		{"action=add&" + q("id", tr1, "id", tr5), []tutti.ID{tr3, tr4, tr2, tr1, tr5}, 2, true, 7},
		{"action=remove&index=0", []tutti.ID{tr4, tr2, tr1, tr5}, 1, true, 7},
		{"action=remove&index=1", []tutti.ID{tr4, tr1, tr5}, 1, true, 0}, // the next takes its place
		{"action=stop", []tutti.ID{tr4, tr1, tr5}, 1, false, 0},
		{"action=skip&index=2", []tutti.ID{tr4, tr1, tr5}, 2, true, 0},
		{"action=remove&index=2", []tutti.ID{tr4, tr1}, 1, true, 0},
		{"action=clear", nil, -1, false, 0},
	} {
		ids, s := h.jukebox(operator, c.query)
		if !slices.Equal(ids, c.want) || s.CurrentIndex != c.current || s.Playing != c.playing || s.Position != c.position {
			t.Errorf("%s: %v %+v, want %v, %d, %v, %d s", c.query, ids, s, c.want, c.current, c.playing, c.position)
		}
	}
	h.jukebox(operator, "action=set&"+q("id", tr1, "id", tr2, "id", tr3, "id", tr4, "id", tr5))
	h.jukebox(operator, "action=skip&index=3")
	ids, s := h.jukebox(operator, "action=shuffle")
	if len(ids) != 5 || ids[0] != tr4 || s.CurrentIndex != 0 || !s.Playing {
		t.Errorf("shuffled: %v %+v", ids, s)
	}
	if _, s := h.jukebox(operator, "action=setGain&gain=0.25"); s.Gain != 0.25 {
		t.Errorf("%+v", s)
	}

	// Who sees one library only skips to what they see, and leaves the rest where it is.
	h.jukebox(operator, "action=set&"+q("id", tr3, "id", tr1, "id", tr4, "id", tr2))
	ids, s = h.jukebox(listener, "action=skip&index=1")
	if !slices.Equal(ids, []tutti.ID{tr1, tr2}) || s.CurrentIndex != 1 {
		t.Errorf("a listener sees %v %+v", ids, s)
	}
	if ids, s = h.jukebox(operator, "action=status"); len(ids) != 4 || s.CurrentIndex != 3 {
		t.Errorf("%v %+v", ids, s)
	}
	for _, wrong := range []string{"action=remove&index=2", "action=skip&index=-1", "action=skip", "action=add&id=" + tr3, "action=add", "action=setGain&gain=2", "action=dance", ""} {
		if w := h.ask("jukeboxControl?"+wrong, as(listener)+"&f=json", ""); !strings.Contains(w.Body.String(), `"failed"`) {
			t.Errorf("%q is answered with %s", wrong, w.Body)
		}
	}

	// A room that bears one's name is one's own.
	if _, err := h.rooms.CreateRoom(t.Context(), tutti.Viewer{}, "Listener"); err != nil {
		t.Fatal(err)
	}
	if ids, _ := h.jukebox(listener, "action=set&id="+tr1); !slices.Equal(ids, []tutti.ID{tr1}) {
		t.Errorf("%v", ids)
	}
	if ids, _ := h.jukebox(operator, "action=status"); len(ids) != 4 {
		t.Errorf("%v", ids)
	}
	h.must("updateRoomPlayer?id=00:11:22:33:44:55&room=listener&gain=0.5&latency=-20&name=Bedroom")
	all, err := h.rooms.Rooms(t.Context(), tutti.Viewer{})
	if err != nil {
		t.Fatal(err)
	}
	if p := all[1].Players; len(p) != 1 || p[0].Name != "Bedroom" || p[0].Volume != 50 || p[0].Latency != -20*time.Millisecond {
		t.Errorf("%+v", all[1])
	}
}
