package api

import (
	"cmp"
	"context"
	"hash/fnv"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tutti"
	"tutti/delivery"
)

type room struct {
	ID         tutti.ID     `json:"id"`
	Name       string       `json:"name"`
	Playing    bool         `json:"playing"`
	Tracks     []track      `json:"tracks" doc:"The queue. Tracks that the asker may not see are left out."`
	Current    int          `json:"current" doc:"Which of them plays, from 0; -1 for an empty queue, and for a track that the asker may not see."`
	PositionMs int64        `json:"positionMs" doc:"In the current track, of what is heard at this moment."`
	Repeat     tutti.Repeat `json:"repeat" doc:"off, all or one."`
	Volume     int          `json:"volume" doc:"0 to 100; every player's own volume is a part of it."`
	Muted      bool         `json:"muted,omitempty"`
	Problem    string       `json:"problem,omitempty" doc:"Why it does not play, for a person."`
	Undo       bool         `json:"undo,omitempty" doc:"A queue was replaced that undoRoom brings back."`
	Players    []roomPlayer `json:"players"`
}

type roomPlayer struct {
	ID        string    `json:"id" doc:"What the player calls itself."`
	Name      string    `json:"name"`
	Kind      string    `json:"kind" doc:"The protocol: snapcast, sendspin, or web for a page in a browser."`
	Room      tutti.ID  `json:"room"`
	Connected bool      `json:"connected,omitempty"`
	Address   string    `json:"address" doc:"Where it connected from."`
	Volume    int       `json:"volume" doc:"0 to 100."`
	Muted     bool      `json:"muted,omitempty"`
	LatencyMs int64     `json:"latencyMs" doc:"What the player takes to make sound, besides what it knows itself: -10,000 to 10,000."`
	Seen      time.Time `json:"seen,omitzero" doc:"When it was last connected."`
}

type newRoom struct {
	Name string `json:"name"`
}

type roomChange struct {
	Name   *string       `json:"name,omitempty"`
	Volume *int          `json:"volume,omitempty" doc:"0 to 100."`
	Muted  *bool         `json:"muted,omitempty"`
	Repeat *tutti.Repeat `json:"repeat,omitempty" doc:"off, all or one."`
}

type roomPlay struct {
	Tracks     []tutti.ID `json:"tracks" doc:"By id, up to 5,000."`
	Current    int        `json:"current,omitempty" doc:"Which of them to begin with, from 0."`
	PositionMs int64      `json:"positionMs,omitempty"`
	Paused     bool       `json:"paused,omitempty" doc:"Do not begin to play."`
}

type roomAppend struct {
	Tracks []tutti.ID `json:"tracks" doc:"By id."`
}

type roomOrder struct {
	Tracks  []tutti.ID `json:"tracks" doc:"The whole queue, by id, up to 5,000. Tracks that the asker may not see leave it."`
	Current int        `json:"current" doc:"Where in it the track stands that plays, from 0: it goes on without a break. If another stands there, that is begun."`
}

type roomTransfer struct {
	To     string `json:"to" doc:"room: what the asker has in their queue goes on in the room. me: what plays in the room becomes the asker's queue, and the room pauses."`
	Player string `json:"player,omitempty" doc:"With me: the name of the app that goes on, as in saveQueue."`
}

type roomPlace struct {
	Current    int   `json:"current" doc:"Which track of the queue, from 0."`
	PositionMs int64 `json:"positionMs"`
}

type roomPlayerChange struct {
	Name      *string   `json:"name,omitempty"`
	Room      *tutti.ID `json:"room,omitempty" doc:"The room to move it to."`
	Volume    *int      `json:"volume,omitempty" doc:"0 to 100."`
	Muted     *bool     `json:"muted,omitempty"`
	LatencyMs *int64    `json:"latencyMs,omitempty" doc:"-10,000 to 10,000."`
}

// roomNow is a room without its queue, as it is told to those who watch.
type roomNow struct {
	ID         tutti.ID     `json:"id"`
	Name       string       `json:"name"`
	Playing    bool         `json:"playing"`
	Queue      string       `json:"queue" doc:"Another one when the queue is another: ask getRoom for it."`
	Length     int          `json:"length" doc:"How many tracks of the queue the asker may see."`
	Current    int          `json:"current" doc:"As in getRoom."`
	Track      *track       `json:"track,omitempty" doc:"The current one; left out where there is none that the asker may see."`
	PositionMs int64        `json:"positionMs" doc:"In the current track, of what is heard at this moment."`
	Repeat     tutti.Repeat `json:"repeat" doc:"off, all or one."`
	Volume     int          `json:"volume" doc:"0 to 100."`
	Muted      bool         `json:"muted,omitempty"`
	Problem    string       `json:"problem,omitempty" doc:"Why it does not play, for a person."`
	Undo       bool         `json:"undo,omitempty" doc:"As in getRoom."`
	Players    []roomPlayer `json:"players"`
}

// roomsEvent is all rooms as they are.
type roomsEvent struct {
	Rooms []roomNow `json:"rooms"`
}

// roomStep is how far off a player plays, as it says itself.
type roomStep struct {
	Player  string    `json:"player" doc:"The player's id."`
	At      time.Time `json:"at"`
	ErrorUs float64   `json:"errorUs" doc:"Microseconds from when a sample was due to when it was heard: positive is late."`
	BoundUs float64   `json:"boundUs" doc:"The most that the player's idea of the time can be wrong by."`
}

// stepsEvent is what players said of themselves since the event before; the first has the last five minutes.
type stepsEvent struct {
	Steps []roomStep `json:"steps"`
}

// Pages lets browsers play in rooms; rooms/web does.
type Pages interface {
	// Play takes the request's connection over until the page leaves. An error means that nothing has been written.
	Play(w http.ResponseWriter, r *http.Request, g tutti.RoomGuest) error
}

// roomRoutes are those of the rooms: everybody who may listen may use every room.
func (s *server) roomRoutes() []route {
	stream := holder(tutti.RoleStream)
	return []route{
		get("rooms", "listRooms", "rooms", "The rooms, with what plays there and on which players", member, (*call).rooms),
		send(http.MethodPost, "rooms", "createRoom", "rooms", "Make a room", stream, (*call).createRoom),
		bytesOf(roomEventsPath, "watchRooms", "rooms", "What happens in the rooms, as it happens", "text/event-stream", member, (*call).watchRooms).
			saying("Server-sent events: rooms, whose data is a roomsEvent, at once and after every change, at most four times a second; and steps, " +
				"whose data is a stepsEvent, as players say how far off they are."),
		{
			method: http.MethodGet, path: "rooms/{id}/play", id: "joinRoom", tag: "rooms", summary: "Play in a room", access: stream,
			about: "A WebSocket of the protocol tutti.room.1, which the package rooms/web describes: sound with the time at which to play it.",
			query: []param{
				{name: "player", doc: "By what the player is known from one connection to the next: up to 200 bytes of printable ASCII."},
				{name: "name", doc: "What to call it, where it is new."},
				{name: "format", doc: "In which formats it can play, the best first: flac, pcm.", many: true},
			},
			status: http.StatusSwitchingProtocols, media: "application/octet-stream",
			run: func(c *call) (any, error) {
				err := c.joinRoom()
				c.wrote = err == nil
				return nil, err
			},
		},
		get("rooms/{id}", "getRoom", "rooms", "A room", member, (*call).room),
		send(http.MethodPut, "rooms/{id}", "changeRoom", "rooms", "Change a room's name, volume or way to repeat", stream, (*call).changeRoom),
		act(http.MethodDelete, "rooms/{id}", "deleteRoom", "rooms", "Delete a room; its players move to another", stream, (*call).deleteRoom),
		send(http.MethodPut, "rooms/{id}/queue", "playRoom", "rooms", "Play something in a room", stream, (*call).playRoom),
		send(http.MethodPost, "rooms/{id}/queue", "appendRoom", "rooms", "Add to the end of a room's queue", stream, (*call).appendRoom),
		send(http.MethodPut, "rooms/{id}/order", "arrangeRoom", "rooms", "Remove, add and move tracks in a room's queue while it plays", stream, (*call).arrangeRoom),
		read(http.MethodPost, "rooms/{id}/undo", "undoRoom", "rooms", "Bring back the queue that was replaced last", stream, (*call).undoRoom),
		send(http.MethodPost, "rooms/{id}/transfer", "transferRoom", "rooms", "Take one's queue to a room, or from it", stream, (*call).transferRoom),
		send(http.MethodPut, "rooms/{id}/place", "seekRoom", "rooms", "Go to a place in a room's queue", stream, (*call).seekRoom),
		act(http.MethodPost, "rooms/{id}/pause", "pauseRoom", "rooms", "Pause a room", stream, (*call).pauseRoom),
		act(http.MethodPost, "rooms/{id}/resume", "resumeRoom", "rooms", "Let a room play on", stream, (*call).resumeRoom),
		send(http.MethodPut, "room-players/{id}", "changeRoomPlayer", "rooms", "Change a player's name, room, volume or latency", stream, (*call).changeRoomPlayer),
		act(http.MethodDelete, "room-players/{id}", "forgetRoomPlayer", "rooms", "Forget a player that is not connected", stream, (*call).forgetRoomPlayer),
	}
}

// house is the rooms, where this process has any.
func (c *call) house() (tutti.Rooms, error) {
	if c.Rooms == nil {
		return nil, tutti.Errorf(tutti.KindNotFound, "api.rooms", "this server plays in no rooms")
	}
	return c.Rooms, nil
}

func (c *call) wireRooms(rooms ...tutti.Room) ([]room, error) {
	var ids []tutti.ID
	for _, r := range rooms {
		ids = append(ids, r.Tracks...)
	}
	slices.Sort(ids)
	known, err := c.tracksOf(c.r.Context(), slices.Compact(ids))
	if err != nil {
		return nil, err
	}
	out := make([]room, 0, len(rooms))
	for _, r := range rooms {
		w := room{
			ID: r.ID, Name: r.Name, Playing: r.Playing, Tracks: []track{}, Current: -1, PositionMs: r.Position.Milliseconds(), Repeat: r.Repeat,
			Volume: r.Volume, Muted: r.Muted, Problem: r.Problem, Undo: r.Undo, Players: wireList(r.Players, wireRoomPlayer),
		}
		for i, id := range r.Tracks {
			t, ok := known[id]
			if !ok {
				continue
			}
			if i == r.Current {
				w.Current = len(w.Tracks)
			}
			w.Tracks = append(w.Tracks, wireTrack(&t))
		}
		out = append(out, w)
	}
	return out, nil
}

func wireRoomPlayer(p *tutti.RoomPlayer) roomPlayer {
	return roomPlayer{
		ID: p.ID, Name: p.Name, Kind: p.Kind, Room: p.Room, Connected: p.Connected, Address: p.Address, Volume: p.Volume, Muted: p.Muted,
		LatencyMs: p.Latency.Milliseconds(), Seen: p.Seen,
	}
}

func (c *call) rooms() (items[room], error) {
	h, err := c.house()
	if err != nil {
		return items[room]{}, err
	}
	list, err := h.Rooms(c.r.Context(), c.viewer)
	if err != nil {
		return items[room]{}, err
	}
	out, err := c.wireRooms(list...)
	return items[room]{out}, err
}

// inRoom does something with the rooms and answers with the one that it was done to.
func (c *call) inRoom(do func(tutti.Rooms) (tutti.Room, error)) (room, error) {
	h, err := c.house()
	if err != nil {
		return room{}, err
	}
	r, err := do(h)
	if err != nil {
		return room{}, err
	}
	out, err := c.wireRooms(r)
	if err != nil {
		return room{}, err
	}
	return out[0], nil
}

func (c *call) room() (room, error) {
	return c.inRoom(func(h tutti.Rooms) (tutti.Room, error) { return h.Room(c.r.Context(), c.viewer, c.id()) })
}

func (c *call) createRoom(b newRoom) (room, error) {
	return c.inRoom(func(h tutti.Rooms) (tutti.Room, error) { return h.CreateRoom(c.r.Context(), c.viewer, b.Name) })
}

func (c *call) changeRoom(b roomChange) (room, error) {
	return c.inRoom(func(h tutti.Rooms) (tutti.Room, error) {
		return h.ChangeRoom(c.r.Context(), c.viewer, c.id(), tutti.RoomChange(b))
	})
}

func (c *call) deleteRoom() error {
	h, err := c.house()
	if err != nil {
		return err
	}
	return h.DeleteRoom(c.r.Context(), c.viewer, c.id())
}

func (c *call) playRoom(b roomPlay) (room, error) {
	if err := checkMs("positionMs", b.PositionMs); err != nil {
		return room{}, err
	}
	return c.inRoom(func(h tutti.Rooms) (tutti.Room, error) {
		return h.PlayRoom(c.r.Context(), c.viewer, c.id(), tutti.RoomPlay{Tracks: b.Tracks, Current: b.Current, Position: milliseconds(b.PositionMs), Paused: b.Paused})
	})
}

func (c *call) appendRoom(b roomAppend) (room, error) {
	return c.inRoom(func(h tutti.Rooms) (tutti.Room, error) {
		return h.AppendRoom(c.r.Context(), c.viewer, c.id(), b.Tracks)
	})
}

func (c *call) arrangeRoom(b roomOrder) (room, error) {
	return c.inRoom(func(h tutti.Rooms) (tutti.Room, error) {
		return h.ArrangeRoom(c.r.Context(), c.viewer, c.id(), b.Tracks, b.Current)
	})
}

func (c *call) undoRoom() (room, error) {
	return c.inRoom(func(h tutti.Rooms) (tutti.Room, error) { return h.UndoRoom(c.r.Context(), c.viewer, c.id()) })
}

func (c *call) transferRoom(b roomTransfer) (room, error) {
	const op = "api.transferRoom"
	if len(b.Player) > maxName {
		return room{}, tutti.Errorf(tutti.KindInvalid, op, `"player" must be at most %d bytes`, maxName)
	}
	ctx := c.r.Context()
	switch b.To {
	case "room":
		return c.inRoom(func(h tutti.Rooms) (tutti.Room, error) {
			q, err := c.Catalog.Queue(ctx, c.viewer)
			if err != nil {
				return tutti.Room{}, err
			}
			tracks, current, err := c.seen(q.Tracks, q.Current)
			if err != nil {
				return tutti.Room{}, err
			}
			if len(tracks) == 0 {
				return tutti.Room{}, tutti.Errorf(tutti.KindConflict, op, "your queue is empty")
			}
			if current < 0 { // what played is gone
				current, q.Position = 0, 0
			}
			return h.PlayRoom(ctx, c.viewer, c.id(), tutti.RoomPlay{Tracks: tracks, Current: current, Position: q.Position})
		})
	case "me":
		return c.inRoom(func(h tutti.Rooms) (tutti.Room, error) {
			r, err := h.Room(ctx, c.viewer, c.id())
			if err != nil {
				return tutti.Room{}, err
			}
			if tracks, _, err := c.seen(r.Tracks, r.Current); err != nil || len(tracks) == 0 { // before anything is paused in vain
				return tutti.Room{}, cmp.Or(err, tutti.Errorf(tutti.KindConflict, op, "nothing in this room's queue is for you to hear"))
			}
			if r, err = h.PauseRoom(ctx, c.viewer, c.id()); err != nil {
				return tutti.Room{}, err
			}
			tracks, current, err := c.seen(r.Tracks, r.Current)
			if err != nil {
				return tutti.Room{}, err
			}
			if current < 0 {
				current, r.Position = 0, 0
			}
			return r, c.Catalog.SaveQueue(ctx, c.viewer, tutti.Queue{
				Tracks: tracks, Current: current, Position: r.Position, Changed: c.Clock.Now().UTC(), ChangedBy: b.Player,
			})
		})
	}
	return room{}, tutti.Errorf(tutti.KindInvalid, op, `"to" is room or me`)
}

// seen returns those of the tracks that the asker may see, and where current is among them; -1 where it is not.
func (c *call) seen(ids []tutti.ID, current int) ([]tutti.ID, int, error) {
	all := slices.Clone(ids)
	slices.Sort(all)
	known, err := c.tracksOf(c.r.Context(), slices.Compact(all))
	if err != nil {
		return nil, 0, err
	}
	out, at := []tutti.ID{}, -1
	for i, id := range ids {
		if _, ok := known[id]; !ok {
			continue
		}
		if i == current {
			at = len(out)
		}
		out = append(out, id)
	}
	return out, at, nil
}

func (c *call) seekRoom(b roomPlace) (room, error) {
	if err := checkMs("positionMs", b.PositionMs); err != nil {
		return room{}, err
	}
	return c.inRoom(func(h tutti.Rooms) (tutti.Room, error) {
		r, err := h.Room(c.r.Context(), c.viewer, c.id())
		if err != nil {
			return tutti.Room{}, err
		}
		current, err := c.placeOf(r, b.Current)
		if err != nil {
			return tutti.Room{}, err
		}
		return h.SeekRoom(c.r.Context(), c.viewer, c.id(), current, milliseconds(b.PositionMs))
	})
}

// placeOf turns an index into the tracks that the asker sees into one into all of them; -1 where there is none.
func (c *call) placeOf(r tutti.Room, seen int) (int, error) {
	known, err := c.tracksOf(c.r.Context(), r.Tracks)
	if err != nil {
		return 0, err
	}
	for i, id := range r.Tracks {
		if _, ok := known[id]; !ok {
			continue
		}
		if seen == 0 {
			return i, nil
		}
		seen--
	}
	return -1, nil
}

func (c *call) pauseRoom() error {
	_, err := c.inRoom(func(h tutti.Rooms) (tutti.Room, error) { return h.PauseRoom(c.r.Context(), c.viewer, c.id()) })
	return err
}

func (c *call) resumeRoom() error {
	_, err := c.inRoom(func(h tutti.Rooms) (tutti.Room, error) { return h.ResumeRoom(c.r.Context(), c.viewer, c.id()) })
	return err
}

func (c *call) changeRoomPlayer(b roomPlayerChange) (roomPlayer, error) {
	h, err := c.house()
	if err != nil {
		return roomPlayer{}, err
	}
	change := tutti.RoomPlayerChange{Name: b.Name, Room: b.Room, Volume: b.Volume, Muted: b.Muted}
	if b.LatencyMs != nil {
		latency := time.Duration(*b.LatencyMs) * time.Millisecond
		if *b.LatencyMs < -10_000 || *b.LatencyMs > 10_000 {
			return roomPlayer{}, tutti.Errorf(tutti.KindInvalid, "api.changeRoomPlayer", `"latencyMs" is from -10000 to 10000`)
		}
		change.Latency = &latency
	}
	p, err := h.ChangeRoomPlayer(c.r.Context(), c.viewer, c.r.PathValue("id"), change)
	return wireRoomPlayer(&p), err
}

func (c *call) forgetRoomPlayer() error {
	h, err := c.house()
	if err != nil {
		return err
	}
	return h.ForgetRoomPlayer(c.r.Context(), c.viewer, c.r.PathValue("id"))
}

// watchRooms tells what happens in the rooms.
func (c *call) watchRooms() error {
	h, err := c.house()
	if err != nil {
		return err
	}
	return c.events(func(ctx context.Context, tell func(string, any) error) error {
		queues := map[tutti.ID]queueSeen{}
		return h.WatchRooms(ctx, c.viewer, func(n tutti.RoomNews) error {
			if n.Changed {
				e := roomsEvent{Rooms: []roomNow{}}
				for _, r := range n.Rooms {
					now, err := c.roomNow(ctx, r, queues)
					if err != nil {
						return err
					}
					e.Rooms = append(e.Rooms, now)
				}
				if err := tell("rooms", e); err != nil {
					return err
				}
			}
			if len(n.Steps) == 0 {
				return nil
			}
			return tell("steps", stepsEvent{wireList(n.Steps, func(s *tutti.RoomStep) roomStep {
				return roomStep{s.Player, s.At, float64(s.Error) / 1e3, float64(s.Bound) / 1e3}
			})})
		})
	})
}

// queueSeen is a queue as far as the asker may see it: the place of each of its tracks among those, -1 for the others.
type queueSeen struct {
	queue  string
	places []int
	length int
}

// roomNow is a room as it is told. Who sees what of a queue is found out once for each queue.
func (c *call) roomNow(ctx context.Context, r tutti.Room, queues map[tutti.ID]queueSeen) (roomNow, error) {
	hash := fnv.New64a()
	for _, id := range r.Tracks {
		_, _ = hash.Write([]byte(id)) // it never fails
	}
	out := roomNow{
		ID: r.ID, Name: r.Name, Playing: r.Playing, Queue: strconv.FormatUint(hash.Sum64(), 36), Current: -1, PositionMs: r.Position.Milliseconds(),
		Repeat: r.Repeat, Volume: r.Volume, Muted: r.Muted, Problem: r.Problem, Undo: r.Undo, Players: wireList(r.Players, wireRoomPlayer),
	}
	q := queues[r.ID]
	if q.queue != out.Queue {
		known, err := c.tracksOf(ctx, r.Tracks)
		if err != nil {
			return roomNow{}, err
		}
		q = queueSeen{queue: out.Queue, places: make([]int, len(r.Tracks))}
		for i, id := range r.Tracks {
			q.places[i] = -1
			if _, ok := known[id]; ok {
				q.places[i] = q.length
				q.length++
			}
		}
		queues[r.ID] = q
	}
	out.Length = q.length
	if r.Current < 0 || r.Current >= len(q.places) || q.places[r.Current] < 0 {
		return out, nil
	}
	out.Current = q.places[r.Current]
	id := r.Tracks[r.Current]
	known, err := c.tracksOf(ctx, []tutti.ID{id})
	if err != nil {
		return roomNow{}, err
	}
	if t, ok := known[id]; ok {
		w := wireTrack(&t)
		out.Track = &w
	}
	return out, nil
}

// joinRoom lets a page play in a room.
func (c *call) joinRoom() error {
	const op = "api.joinRoom"
	if c.Pages == nil {
		_, err := c.house()
		return err
	}
	if !c.fromHere() {
		return tutti.Errorf(tutti.KindForbidden, op, "this request came from another site's page, so it was refused")
	}
	delivery.HoldOpen(c.r.Context())
	r, stop := c.whileAdmitted()
	defer stop()
	from := ""
	if a := delivery.ClientAddr(c.r); a.IsValid() {
		from = a.String()
	}
	return c.Pages.Play(c.w, r, tutti.RoomGuest{
		Room: c.id(), Player: c.params.text("player"), Name: c.params.text("name"), Address: from, Formats: c.params.list("format"),
	})
}

// fromHere reports whether a request to open a WebSocket may be answered: browsers let any page open one anywhere, with the
// cookies (RFC 6455 §10.2), so what came by cookie must have come from our own page. A bearer key is only sent by who has it.
func (c *call) fromHere() bool {
	if _, bearer := bearerKey(c.r); bearer {
		return true
	}
	origin := c.r.Header.Get("Origin")
	if origin == "" {
		return c.r.Header.Get("Sec-Fetch-Site") == "same-origin" || c.r.Header.Get("Sec-Fetch-Site") == ""
	}
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	base, err := url.Parse(delivery.BaseURL(c.r))
	return err == nil && strings.EqualFold(u.Host, base.Host) || strings.EqualFold(u.Host, c.r.Host)
}
