package sendspin

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"tutti"
	"tutti/rooms"
)

// show tells the client about its group, what plays, and what it may command, whenever any of that changes; and the player
// what people have set.
func (c *client) show(ctx context.Context, playing bool) error {
	var (
		group    map[string]any
		commands map[string]any
		metadata metadataKey
		titled   bool
		told     settings
	)
	has := func(role string) bool { return slices.Contains(c.active, role) }
	for {
		scene, changed := c.seat.Scene()
		r, said := c.reports()
		if r.away {
			scene = rooms.Scene{Room: tutti.Room{ID: scene.Room.ID + "-" + "alone", Name: c.seat.Player().Name, Current: -1, Repeat: tutti.RepeatOff, Volume: scene.Room.Volume}, Now: scene.Now}
		}
		if c.l.session != nil && scene.Room.Playing != playing {
			// What the server is here for decides whose a client is that several servers want.
			playing = scene.Room.Playing
			if err := c.l.say(ctx, "server/activate", c.activation(playing)); err != nil {
				return err
			}
		}
		if next := groupOf(scene.Room); !reflect.DeepEqual(next, group) {
			group = next
			if err := c.l.say(ctx, "group/update", group); err != nil {
				return err
			}
		}
		if has(roleController) {
			next, err := c.controls(ctx, scene)
			if err != nil {
				return err
			}
			if !reflect.DeepEqual(next, commands) {
				commands = next
				if err := c.l.say(ctx, "server/state", map[string]any{roleController: commands}); err != nil {
					return err
				}
			}
		}
		if has(roleMetadata) {
			if key := keyFor(scene); key != metadata || !titled {
				metadata, titled = key, true
				about, err := c.about(ctx, scene)
				if err != nil {
					return err
				}
				if err := c.l.say(ctx, "server/state", map[string]any{roleMetadata: about}); err != nil {
					return err
				}
			}
		}
		if has(rolePlayer) && r.said {
			if err := c.set(ctx, r, &told); err != nil {
				return err
			}
		}
		if err := c.until(ctx, scene, changed, said); err != nil {
			return err
		}
	}
}

// until waits for what makes a scene another: something changes, or its next moment comes.
func (c *client) until(ctx context.Context, scene rooms.Scene, changed, said <-chan struct{}) error {
	moment := scene.Next
	if scene.From.After(scene.Now) {
		moment = scene.From
	}
	var due <-chan time.Time
	if !moment.IsZero() {
		timer := c.s.c.Clock.NewTimer(moment.Sub(scene.Now))
		defer timer.Stop()
		due = timer.C()
	}
	select {
	case <-changed:
	case <-said:
	case <-due:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func groupOf(r tutti.Room) map[string]any {
	state := "stopped"
	if r.Playing {
		state = "playing"
	}
	return map[string]any{"playback_state": state, "group_id": string(r.ID), "group_name": r.Name}
}

// metadataKey is what metadata depends on, besides the time.
type metadataKey struct {
	track    tutti.ID
	playing  bool
	from     time.Time
	begun    bool
	position time.Duration // where it does not move
	repeat   tutti.Repeat
}

func keyFor(s rooms.Scene) metadataKey {
	k := metadataKey{track: trackOf(s.Room), playing: s.Room.Playing, from: s.From, repeat: s.Room.Repeat}
	k.begun = !s.From.IsZero() && !s.From.After(s.Now)
	if !k.playing {
		k.position = s.Room.Position
	}
	return k
}

func trackOf(r tutti.Room) tutti.ID {
	if r.Current < 0 || r.Current >= len(r.Tracks) {
		return ""
	}
	return r.Tracks[r.Current]
}

// everyone sees what a room plays: who chose it might.
var everyone = tutti.Viewer{Admin: true}

// track is what is known of what a room plays; nil where that is nothing.
func (c *client) track(ctx context.Context, r tutti.Room) (*tutti.Track, error) {
	id := trackOf(r)
	if id == "" {
		return nil, nil
	}
	found, err := c.s.c.Browser.TracksByID(ctx, everyone, []tutti.ID{id})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// about is the metadata object of server/state.
func (c *client) about(ctx context.Context, s rooms.Scene) (map[string]any, error) {
	t, err := c.track(ctx, s.Room)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"timestamp": s.Now.UnixMicro()}
	if c.l.dialect != current {
		// Fields that are not sent stay as they are, so all are.
		for _, k := range []string{"title", "artist", "album_artist", "album", "artwork_url", "year", "track", "progress"} {
			out[k] = nil
		}
		out["repeat"], out["shuffle"] = string(s.Room.Repeat), false
	}
	if t == nil {
		return out, nil
	}
	for k, v := range map[string]string{"title": t.Title, "artist": t.DisplayArtist, "album_artist": t.DisplayAlbumArtist, "album": t.Album} {
		if v != "" {
			out[k] = v
		}
	}
	if t.Date.Year > 0 {
		out["year"] = t.Date.Year
	}
	if t.Track > 0 {
		out["track"] = t.Track
	}
	speed, position := 0, s.Room.Position
	if s.Room.Playing {
		speed = 1000
		if s.From.IsZero() || s.From.After(s.Now) {
			speed = 0 // it is still to begin, and is told again when it does
		}
	}
	out["progress"] = map[string]any{"track_progress": position.Milliseconds(), "track_duration": t.Duration.Milliseconds(), "playback_speed": speed}
	return out, nil
}

// controls is the controller object of server/state.
func (c *client) controls(ctx context.Context, s rooms.Scene) (map[string]any, error) {
	can := []string{"play", "pause", "stop", "next", "previous", "repeat_off", "repeat_one", "repeat_all", "switch"}
	out := map[string]any{"volume": 100, "muted": false}
	if players := c.loud(s.Room); len(players) > 0 {
		sum, muted := 0, true
		for _, p := range players {
			sum += level(p, s.Room)
			muted = muted && (p.Muted || s.Room.Muted)
		}
		out["volume"], out["muted"] = (sum+len(players)/2)/len(players), muted
		can = append(can, "volume", "mute")
	}
	if c.l.dialect == current {
		out["repeat"], out["shuffle"] = string(s.Room.Repeat), false
		t, err := c.track(ctx, s.Room)
		if err != nil {
			return nil, err
		}
		if t != nil && t.Duration > 0 {
			can = append(can, "seek", "seek_relative")
			out["seek_max_ms"] = t.Duration.Milliseconds()
		}
	}
	out["supported_commands"] = can
	return out, nil
}

// loud are the players of a room whose volume can be set.
func (c *client) loud(r tutti.Room) []tutti.RoomPlayer {
	return slices.DeleteFunc(slices.Clone(r.Players), func(p tutti.RoomPlayer) bool { return !p.Connected || c.s.deaf(p.ID) })
}

// settings are what a player was told last.
type settings struct {
	known  bool
	volume int
	muted  bool
	delay  time.Duration
}

// set tells the player what it is to be set to, where that is neither what it says nor what it was told.
func (c *client) set(ctx context.Context, r report, told *settings) error {
	s, _ := c.seat.Settings()
	say := func(command, field string, value any) error {
		return c.l.say(ctx, "server/command", map[string]any{rolePlayer: map[string]any{"command": command, field: value}})
	}
	fresh := !told.known
	told.known = true
	if (fresh || told.volume != s.Volume) && c.takes(commandVolume) && (r.volume == nil || *r.volume != s.Volume || !fresh) {
		if err := say(commandVolume, "volume", s.Volume); err != nil {
			return err
		}
	}
	told.volume = s.Volume
	if (fresh || told.muted != s.Muted) && c.takes(commandMute) && (r.muted == nil || *r.muted != s.Muted || !fresh) {
		if err := say(commandMute, "mute", s.Muted); err != nil {
			return err
		}
	}
	told.muted = s.Muted
	delay := min(max(s.Latency, 0), maxDelay*time.Millisecond)
	if s.Latency != delay {
		delay = 0 // the stamps do it
	}
	if command := c.delayCommand(); command != "" && (fresh || told.delay != delay) && (r.delay == nil || *r.delay != delay || !fresh) {
		field := "output_delay_ms"
		if command == commandStaticDelay {
			field = "static_delay_ms"
		}
		if err := say(command, field, delay.Milliseconds()); err != nil {
			return err
		}
	}
	told.delay = delay
	return nil
}

// command does what somebody asks for at a client. What cannot be done now is left, as the specification has it: it knows
// no answer to a command.
func (c *client) command(ctx context.Context, o order) error {
	scene, _ := c.seat.Scene()
	r, house := scene.Room, c.s.c.House
	anyone := tutti.Viewer{} // rooms belong to the household
	seek := func(current int, to time.Duration) error {
		_, err := house.SeekRoom(ctx, anyone, r.ID, current, max(to, 0))
		return err
	}
	var err error
	rejoin := func() { c.learn(func(r *report) { r.away = false }) }
	if report, _ := c.reports(); report.away {
		if name := o.Controller.Command; name != "switch" && name != "play" || !report.available {
			return nil
		}
		rejoin() // the group that it was in before
		if o.Controller.Command == "switch" {
			return nil
		}
	}
	switch o.Controller.Command {
	case "play":
		_, err = house.ResumeRoom(ctx, anyone, r.ID)
	case "pause":
		_, err = house.PauseRoom(ctx, anyone, r.ID)
	case "stop":
		if _, err = house.PauseRoom(ctx, anyone, r.ID); err == nil && len(r.Tracks) > 0 {
			err = seek(max(r.Current, 0), 0)
		}
	case "next":
		switch {
		case r.Current+1 < len(r.Tracks):
			err = seek(r.Current+1, 0)
		case r.Repeat == tutti.RepeatAll && len(r.Tracks) > 0:
			err = seek(0, 0)
		}
	case "previous":
		switch {
		case r.Current < 0:
		case r.Position > restartAfter || r.Current == 0:
			err = seek(r.Current, 0)
		default:
			err = seek(r.Current-1, 0)
		}
	case "seek":
		t, lost := c.track(ctx, r)
		if lost != nil {
			return lost
		}
		if p := o.Controller.Position; t != nil && p != nil && *p >= 0 && *p <= t.Duration.Milliseconds() {
			err = seek(r.Current, time.Duration(*p)*time.Millisecond)
		}
	case "seek_relative":
		t, lost := c.track(ctx, r)
		if lost != nil {
			return lost
		}
		const day = int64(24 * time.Hour / time.Millisecond)
		if by := o.Controller.Offset; t != nil && by != nil {
			err = seek(r.Current, min(r.Position+time.Duration(min(max(*by, -day), day))*time.Millisecond, t.Duration))
		}
	case "volume":
		if v := o.Controller.Volume; v != nil && *v >= 0 && *v <= 100 {
			err = c.setGroupVolume(ctx, r, *v)
		}
	case "mute":
		if m := o.Controller.Mute; m != nil {
			err = c.setGroupMute(ctx, r, *m)
		}
	case "repeat_off", "repeat_one", "repeat_all":
		mode := tutti.Repeat(o.Controller.Command[len("repeat_"):])
		_, err = house.ChangeRoom(ctx, anyone, r.ID, tutti.RoomChange{Repeat: &mode})
	case "switch":
		err = c.moveOn(ctx, r)
	}
	var known *tutti.Error
	if errors.As(err, &known) && known.Kind != tutti.KindInternal && known.Kind != tutti.KindUnavailable {
		c.s.c.Logger.Debug("a Sendspin client's command was not followed", "id", c.id, "command", o.Controller.Command, "err", err)
		return nil
	}
	return err
}

// restartAfter is how far into a track “previous” goes to its beginning first.
const restartAfter = 3 * time.Second

// setGroupVolume sets every player's volume so that their average is as asked for (spec, controller, Setting group volume).
func (c *client) setGroupVolume(ctx context.Context, r tutti.Room, want int) error {
	players := c.loud(r)
	volumes := make([]int, len(players))
	for i, p := range players {
		volumes[i] = level(p, r)
	}
	for i, v := range distribute(volumes, want) {
		if err := c.s.c.House.SetLevel(ctx, players[i].ID, &v, nil); err != nil {
			return err
		}
	}
	return nil
}

// setGroupMute mutes every player, or none: the room's own mute would hold those that are to be heard.
func (c *client) setGroupMute(ctx context.Context, r tutti.Room, muted bool) error {
	if r.Muted && !muted {
		if _, err := c.s.c.House.ChangeRoom(ctx, tutti.Viewer{}, r.ID, tutti.RoomChange{Muted: &muted}); err != nil {
			return err
		}
	}
	for _, p := range c.loud(r) {
		if err := c.s.c.House.SetLevel(ctx, p.ID, nil, &muted); err != nil {
			return err
		}
	}
	return nil
}

// level is how loud a player is heard, its room's volume taken in.
func level(p tutti.RoomPlayer, r tutti.Room) int { return (p.Volume*r.Volume + 50) / 100 }

// distribute moves volumes by the same amount towards an average, and shares what some cannot move among the others.
func distribute(volumes []int, want int) []int {
	if len(volumes) == 0 {
		return nil
	}
	at := make([]float64, len(volumes))
	fixed := make([]bool, len(volumes))
	sum := 0.0
	for i, v := range volumes {
		at[i] = float64(v)
		sum += at[i]
	}
	delta := float64(want) - sum/float64(len(volumes))
	for free := len(volumes); free > 0; {
		lost := 0.0
		for i := range at {
			if fixed[i] {
				continue
			}
			at[i] += delta
			if clamped := min(max(at[i], 0), 100); clamped != at[i] {
				lost += at[i] - clamped
				at[i], fixed[i] = clamped, true
				free--
			}
		}
		if lost == 0 || free == 0 {
			break
		}
		delta = lost / float64(free)
	}
	out := make([]int, len(at))
	for i, v := range at {
		out[i] = int(v + 0.5)
	}
	return out
}

// moveOn puts the client into the next room of the specification's cycle: those with several players that play, then those
// with one other player, then, for a player, one with nobody else.
func (c *client) moveOn(ctx context.Context, here tutti.Room) error {
	all, err := c.s.c.House.Rooms(ctx, tutti.Viewer{})
	if err != nil {
		return err
	}
	var several, single, alone []tutti.Room
	for _, r := range all {
		others := 0
		for _, p := range r.Players {
			if p.Connected && p.ID != c.id {
				others++
			}
		}
		switch {
		case others == 0:
			alone = append(alone, r)
		case others == 1 && r.ID != here.ID:
			single = append(single, r)
		case r.Playing:
			several = append(several, r)
		}
	}
	cycle := append(several, single...)
	if slices.Contains(c.active, rolePlayer) && len(alone) > 0 {
		cycle = append(cycle, alone[0])
	}
	at := slices.IndexFunc(cycle, func(r tutti.Room) bool { return r.ID == here.ID })
	if len(cycle) == 0 || len(cycle) == 1 && at == 0 {
		return nil
	}
	next := cycle[(at+1)%len(cycle)].ID
	_, err = c.s.c.House.ChangeRoomPlayer(ctx, tutti.Viewer{}, c.id, tutti.RoomPlayerChange{Room: &next})
	return err
}
