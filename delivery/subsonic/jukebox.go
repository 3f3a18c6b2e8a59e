package subsonic

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"tutti"
)

// A jukebox is a room: what jukeboxControl plays is heard on the room's players. Which room is said by the parameter room,
// an id or a name (extension tuttiRooms); apps that know nothing of rooms get the one that bears the user's name, else the
// first in which there is a player, else the first. So a household with one room shares it, and whoever wants a room of
// their own names one after themselves.

var errNoRooms = failf(codeGeneric, "this server plays in no rooms")

// jukebox is the room that a request is about.
func (s *Server) jukebox(c *call) (tutti.Room, error) {
	name := c.limited("room", 100)
	if err := c.err(); err != nil {
		return tutti.Room{}, err
	}
	if s.cfg.Rooms == nil {
		return tutti.Room{}, errNoRooms
	}
	all, err := s.cfg.Rooms.Rooms(c.r.Context(), c.viewer)
	if err != nil {
		return tutti.Room{}, err
	}
	if i := slices.IndexFunc(all, func(r tutti.Room) bool { return string(r.ID) == name }); i >= 0 {
		return all[i], nil
	}
	wanted := name
	if wanted == "" {
		wanted = c.user.Name
	}
	if i := slices.IndexFunc(all, func(r tutti.Room) bool { return strings.EqualFold(r.Name, wanted) }); i >= 0 {
		return all[i], nil
	}
	if name != "" {
		return tutti.Room{}, failf(codeNotFound, "there is no such room")
	}
	i := slices.IndexFunc(all, func(r tutti.Room) bool { return len(r.Players) > 0 })
	return all[max(i, 0)], nil // there is always one
}

// entries are a room's songs that the asker may see, and where each stands in the room's queue: what others chose may be
// hidden from them.
type entries struct {
	tracks  []tutti.Track
	at      []int
	current int // among tracks; -1 where there is none
}

func (s *Server) entries(c *call, r tutti.Room) (e entries, err error) {
	e.current = -1
	if len(r.Tracks) == 0 {
		return e, nil
	}
	if e.tracks, err = s.cfg.Catalog.TracksByID(c.r.Context(), c.viewer, r.Tracks); err != nil {
		return e, err
	}
	for i, id := range r.Tracks {
		if len(e.at) < len(e.tracks) && e.tracks[len(e.at)].ID == id {
			if i <= r.Current {
				e.current = len(e.at)
			}
			e.at = append(e.at, i)
		}
	}
	return e, nil
}

func (s *Server) writeJukebox(c *call, r tutti.Room, e entries) {
	c.out.int("currentIndex", int64(e.current))
	c.out.bool("playing", r.Playing)
	c.out.float("gain", float64(r.Volume)/100)
	c.out.int("position", int64(r.Position/time.Second))
}

type jukeboxAction func(s *Server, c *call, r tutti.Room) (tutti.Room, error)

var jukeboxActions = map[string]jukeboxAction{
	"get":    func(_ *Server, _ *call, r tutti.Room) (tutti.Room, error) { return r, nil },
	"status": func(_ *Server, _ *call, r tutti.Room) (tutti.Room, error) { return r, nil },
	"set":    (*Server).jukeboxSet,
	"start": func(s *Server, c *call, r tutti.Room) (tutti.Room, error) {
		return s.cfg.Rooms.ResumeRoom(c.r.Context(), c.viewer, r.ID)
	},
	"stop": func(s *Server, c *call, r tutti.Room) (tutti.Room, error) {
		return s.cfg.Rooms.PauseRoom(c.r.Context(), c.viewer, r.ID)
	},
	"skip": (*Server).jukeboxSkip,
	"add":  (*Server).jukeboxAdd,
	"clear": func(s *Server, c *call, r tutti.Room) (tutti.Room, error) {
		return s.cfg.Rooms.PlayRoom(c.r.Context(), c.viewer, r.ID, tutti.RoomPlay{})
	},
	"remove":  (*Server).jukeboxRemove,
	"shuffle": (*Server).jukeboxShuffle,
	"setGain": (*Server).jukeboxGain,
}

func (s *Server) jukeboxControl(c *call) error {
	name := c.need("action")
	if err := c.err(); err != nil {
		return err
	}
	do := jukeboxActions[name]
	if do == nil {
		return failf(codeGeneric, "the parameter \"action\" must be get, status, set, start, stop, skip, add, clear, remove, shuffle or setGain")
	}
	r, err := s.jukebox(c)
	if err != nil {
		return err
	}
	if r, err = do(s, c, r); err != nil {
		return err
	}
	e, err := s.entries(c, r)
	if err != nil {
		return err
	}
	if name == "get" {
		c.out.open("jukeboxPlaylist")
		s.writeJukebox(c, r, e)
		c.out.songs("entry", e.tracks)
	} else {
		c.out.open("jukeboxStatus")
		s.writeJukebox(c, r, e)
	}
	c.out.close()
	return nil
}

// jukeboxSet replaces the queue. A song that plays and is in the new queue plays on.
func (s *Server) jukeboxSet(c *call, r tutti.Room) (tutti.Room, error) {
	ids := c.ids("id")
	if err := c.err(); err != nil {
		return r, err
	}
	if err := s.songsExist(c, ids); err != nil {
		return r, err
	}
	if r.Playing && r.Current >= 0 && r.Current < len(r.Tracks) {
		if i := slices.Index(ids, r.Tracks[r.Current]); i >= 0 {
			return s.cfg.Rooms.ArrangeRoom(c.r.Context(), c.viewer, r.ID, ids, i)
		}
	}
	return s.cfg.Rooms.PlayRoom(c.r.Context(), c.viewer, r.ID, tutti.RoomPlay{Tracks: ids, Paused: !r.Playing})
}

func (s *Server) jukeboxAdd(c *call, r tutti.Room) (tutti.Room, error) {
	ids := c.ids("id")
	if len(ids) == 0 {
		c.need("id")
	}
	if err := c.err(); err != nil {
		return r, err
	}
	if err := s.songsExist(c, ids); err != nil {
		return r, err
	}
	return s.cfg.Rooms.AppendRoom(c.r.Context(), c.viewer, r.ID, ids)
}

// jukeboxIndex is the required parameter index, as a place in the room's queue.
func (s *Server) jukeboxIndex(c *call, r tutti.Room) (int, error) {
	c.need("index")
	index := c.int("index", 0, 0, math.MaxInt32)
	if err := c.err(); err != nil {
		return 0, err
	}
	e, err := s.entries(c, r)
	if err != nil {
		return 0, err
	}
	if index >= int64(len(e.at)) {
		return 0, failf(codeNotFound, "there is no song %d: the first is 0, and there are %d", index, len(e.at))
	}
	return e.at[index], nil
}

func (s *Server) jukeboxSkip(c *call, r tutti.Room) (tutti.Room, error) {
	offset := c.int("offset", 0, 0, 7*24*3600) // seconds
	index, err := s.jukeboxIndex(c, r)
	if err != nil {
		return r, err
	}
	if r, err = s.cfg.Rooms.SeekRoom(c.r.Context(), c.viewer, r.ID, index, time.Duration(offset)*time.Second); err != nil || r.Playing {
		return r, err
	}
	return s.cfg.Rooms.ResumeRoom(c.r.Context(), c.viewer, r.ID)
}

// jukeboxRemove takes a song out. Where it is the current one, the next takes its place.
func (s *Server) jukeboxRemove(c *call, r tutti.Room) (tutti.Room, error) {
	index, err := s.jukeboxIndex(c, r)
	if err != nil {
		return r, err
	}
	left, current := slices.Delete(slices.Clone(r.Tracks), index, index+1), r.Current
	if index < current || current == len(left) {
		current--
	}
	return s.cfg.Rooms.ArrangeRoom(c.r.Context(), c.viewer, r.ID, left, max(current, 0))
}

// jukeboxShuffle puts the songs in another order, the current one first.
func (s *Server) jukeboxShuffle(c *call, r tutti.Room) (tutti.Room, error) {
	if len(r.Tracks) == 0 {
		return r, nil
	}
	tracks := slices.Clone(r.Tracks)
	current := max(r.Current, 0)
	tracks[0], tracks[current] = tracks[current], tracks[0]
	rest := tracks[1:]
	rand.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	return s.cfg.Rooms.ArrangeRoom(c.r.Context(), c.viewer, r.ID, tracks, 0)
}

func (s *Server) jukeboxGain(c *call, r tutti.Room) (tutti.Room, error) {
	c.need("gain")
	volume := c.gain("gain")
	if err := c.err(); err != nil {
		return r, err
	}
	return s.cfg.Rooms.ChangeRoom(c.r.Context(), c.viewer, r.ID, tutti.RoomChange{Volume: volume})
}

// gain is a loudness from 0 to 1 as a volume, nil where it was not sent.
func (c *call) gain(name string) *int {
	if _, sent := c.lookup(name); !sent {
		return nil
	}
	volume := int(math.Round(c.float(name, 1, 0, 1) * 100))
	return &volume
}

// ---- The extension tuttiRooms ----

// flag is a parameter that is true or false, nil where it was not sent.
func (c *call) flag(name string) *bool {
	if _, sent := c.lookup(name); !sent {
		return nil
	}
	v := c.bool(name, false)
	return &v
}

// text is a parameter, nil where it was not sent.
func (c *call) text(name string) *string {
	v, sent := c.lookup(name)
	if !sent {
		return nil
	}
	return &v
}

func (s *Server) getRooms(c *call) error {
	if s.cfg.Rooms == nil {
		return errNoRooms
	}
	all, err := s.cfg.Rooms.Rooms(c.r.Context(), c.viewer)
	if err != nil {
		return err
	}
	c.out.open("rooms")
	c.out.array("room")
	for _, r := range all {
		c.out.each()
		if err := s.writeRoom(c, r); err != nil {
			return err
		}
		c.out.close()
	}
	c.out.endArray()
	c.out.close()
	return nil
}

func (s *Server) writeRoom(c *call, r tutti.Room) error {
	e, err := s.entries(c, r)
	if err != nil {
		return err
	}
	c.out.str("id", string(r.ID))
	c.out.str("name", r.Name)
	s.writeJukebox(c, r, e)
	c.out.int("songCount", int64(len(e.tracks)))
	c.out.bool("muted", r.Muted)
	c.out.str("repeat", string(r.Repeat))
	c.out.known("problem", r.Problem)
	c.out.array("player")
	for _, p := range r.Players {
		c.out.each()
		c.out.str("id", p.ID)
		c.out.str("name", p.Name)
		c.out.str("kind", p.Kind)
		c.out.bool("connected", p.Connected)
		c.out.float("gain", float64(p.Volume)/100)
		c.out.bool("muted", p.Muted)
		c.out.int("latency", p.Latency.Milliseconds())
		c.out.close()
	}
	c.out.endArray()
	return nil
}

func (s *Server) updateRoom(c *call) error {
	r, err := s.jukebox(c)
	if err != nil {
		return err
	}
	change := tutti.RoomChange{Name: c.text("name"), Volume: c.gain("gain"), Muted: c.flag("muted")}
	if repeat := c.text("repeat"); repeat != nil {
		change.Repeat = (*tutti.Repeat)(repeat)
	}
	if err := c.err(); err != nil {
		return err
	}
	if r, err = s.cfg.Rooms.ChangeRoom(c.r.Context(), c.viewer, r.ID, change); err != nil {
		return err
	}
	c.out.open("room")
	if err := s.writeRoom(c, r); err != nil {
		return err
	}
	c.out.close()
	return nil
}

// updateRoomPlayer moves a player into a room, and sets what it is.
func (s *Server) updateRoomPlayer(c *call) error {
	id := c.limited("id", 200)
	c.need("id")
	change := tutti.RoomPlayerChange{Name: c.text("name"), Volume: c.gain("gain"), Muted: c.flag("muted")}
	if _, sent := c.lookup("latency"); sent {
		latency := time.Duration(c.int("latency", 0, -10_000, 10_000)) * time.Millisecond
		change.Latency = &latency
	}
	if err := c.err(); err != nil {
		return err
	}
	if c.get("room") != "" {
		r, err := s.jukebox(c)
		if err != nil {
			return err
		}
		change.Room = &r.ID
	}
	if s.cfg.Rooms == nil {
		return errNoRooms
	}
	_, err := s.cfg.Rooms.ChangeRoomPlayer(c.r.Context(), c.viewer, id, change)
	return err
}
