package api

import (
	"net/http"
	"slices"
	"time"

	"tutti"
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
	Players    []roomPlayer `json:"players"`
}

type roomPlayer struct {
	ID        string    `json:"id" doc:"What the player calls itself."`
	Name      string    `json:"name"`
	Kind      string    `json:"kind" doc:"snapcast."`
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

// roomRoutes are those of the rooms: everybody who may listen may use every room.
func (s *server) roomRoutes() []route {
	stream := holder(tutti.RoleStream)
	return []route{
		get("rooms", "listRooms", "rooms", "The rooms, with what plays there and on which players", member, (*call).rooms),
		send(http.MethodPost, "rooms", "createRoom", "rooms", "Make a room", stream, (*call).createRoom),
		get("rooms/{id}", "getRoom", "rooms", "A room", member, (*call).room),
		send(http.MethodPut, "rooms/{id}", "changeRoom", "rooms", "Change a room's name, volume or way to repeat", stream, (*call).changeRoom),
		act(http.MethodDelete, "rooms/{id}", "deleteRoom", "rooms", "Delete a room; its players move to another", stream, (*call).deleteRoom),
		send(http.MethodPut, "rooms/{id}/queue", "playRoom", "rooms", "Play something in a room", stream, (*call).playRoom),
		send(http.MethodPost, "rooms/{id}/queue", "appendRoom", "rooms", "Add to the end of a room's queue", stream, (*call).appendRoom),
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
		return nil, tutti.Errorf(tutti.KindNotFound, "api.rooms", "this server plays in no rooms: that takes one that runs alone (--role=all)")
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
			Volume: r.Volume, Muted: r.Muted, Problem: r.Problem, Players: wireList(r.Players, wireRoomPlayer),
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
