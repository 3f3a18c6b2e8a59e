package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"tutti"
	"tutti/delivery/api"
	"tutti/rooms"
	"tutti/rooms/announce"
	"tutti/rooms/sendspin"
	"tutti/rooms/snapcast"
)

// nowhere is the address that switches a protocol of rooms off.
const nowhere = "off"

// makeRooms puts the rooms together, and lets players in.
func (n *node) makeRooms(ctx context.Context) error {
	config := rooms.Config{Store: n.store, Planner: n.catalog, Browser: n.catalog, Source: n.cache, User: n.accounts.UserByID, Clock: n.clock, Logger: n.logger, CPU: &n.spent.rooms}
	if n.settings.fleet() {
		var err error
		if config.Node, err = memberID(n.settings.Data, n.settings.Role); err != nil {
			return err
		}
		config.Within, config.Bound = n.time.Within, n.settings.RoomBound
	}
	if n.members != nil {
		config.Alive = func(node string) bool {
			return slices.ContainsFunc(n.members.Members(tutti.ServiceDelivery), func(m tutti.Member) bool { return m.ID == node })
		}
	}
	house, err := rooms.New(ctx, config)
	if err != nil {
		return err
	}
	n.rooms = house
	n.runners = append(n.runners, house.Run)
	if err := errors.Join(n.letSnapcastIn(ctx), n.letSendspinIn(ctx)); err != nil {
		return err
	}
	return n.announceRooms()
}

// announceRooms tells the local network where players find the rooms, where any protocol listens on it.
func (n *node) announceRooms() error {
	if len(n.announced) == 0 {
		return nil
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("name this server for players: %w", err)
	}
	config := announce.Config{Name: "tutti on " + host, Host: host, Services: n.announced, Find: n.sought, Found: n.found, Clock: n.clock, Logger: n.logger}
	n.runners = append(n.runners, func(ctx context.Context) error { return announce.Run(ctx, config) })
	return nil
}

// announce adds to what announceRooms tells: services of these types at an address that is listened on, unless only this
// machine reaches it. It reports whether others do.
func (n *node) announce(address string, text map[string]string, types ...string) (bool, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return false, fmt.Errorf("announce %v: %w", types, err)
	}
	if at.Addr().Unmap().IsLoopback() {
		return false, nil
	}
	for _, t := range types {
		n.announced = append(n.announced, announce.Service{Type: t, At: at.Addr().Unmap(), Port: int(at.Port()), Text: text})
	}
	return true, nil
}

func (n *node) letSnapcastIn(ctx context.Context) error {
	house, address := n.rooms, n.settings.Snapcast
	if address == nowhere {
		return nil
	}
	server, err := snapcast.Listen(ctx, address, snapcast.Config{House: house, Clock: n.clock, Logger: n.logger, Format: rooms.Format(n.settings.SnapcastFormat)})
	if err != nil {
		if address != defaultSnapcast {
			return err
		}
		n.logger.Warn("no Snapcast clients can connect: another program, or another tutti, listens there; --snapcast names another address, or off", "address", address, "err", err)
		return nil
	}
	n.runners = append(n.runners, server.Run)
	if _, err := n.announce(server.Address(), nil, "_snapcast._tcp", "_snapcast-stream._tcp"); err != nil {
		return err
	}
	// Not _snapcast-jsonrpc, which Debian's server announces too: it is longer than a service's name may be (RFC 6335, section
	// 5.1), and later versions of Snapcast have _snapcast-ctrl in its place.
	for _, way := range []struct {
		flag, lines, web, usual string
		types                   []string
	}{
		{"--snapcast-control", n.settings.SnapcastControl, "", defaultSnapcastControl, []string{"_snapcast-ctrl._tcp", "_snapcast-tcp._tcp"}},
		{"--snapcast-http", "", n.settings.SnapcastHTTP, defaultSnapcastHTTP, []string{"_snapcast-http._tcp"}},
	} {
		address := way.lines + way.web
		if address == nowhere {
			continue
		}
		control, err := server.Control(ctx, way.lines, way.web, n.catalog)
		if err != nil {
			if address != way.usual {
				return err
			}
			n.logger.Warn("Snapcast's apps cannot connect: another program, or another tutti, listens there; "+way.flag+" names another address, or off", "address", address, "err", err)
			continue
		}
		n.runners = append(n.runners, control.Run)
		lines, web := control.Addresses()
		if _, err := n.announce(lines+web, nil, way.types...); err != nil {
			return err
		}
	}
	return nil
}

// letSendspinIn listens where the settings say, as letSnapcastIn does.
func (n *node) letSendspinIn(ctx context.Context) error {
	address := n.settings.Sendspin
	if address == nowhere {
		return nil
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("name this server for Sendspin: %w", err)
	}
	name := "tutti on " + host
	server, err := sendspin.Listen(ctx, address, sendspin.Config{
		House: n.rooms, Browser: n.catalog, Source: n.cache, Store: n.store, Clock: n.clock, Logger: n.logger, Name: name,
		Paired: n.settings.SendspinPaired, Origins: n.settings.SendspinOrigins,
	})
	if err != nil {
		if address != defaultSendspin {
			return err
		}
		n.logger.Warn("no Sendspin clients can connect: another program, or another tutti, listens there; --sendspin names another address, or off", "address", address, "err", err)
		return nil
	}
	n.pairings = server
	n.runners = append(n.runners, server.Run)
	reached, err := n.announce(server.Address(), map[string]string{"path": sendspin.Path, "name": name}, "_sendspin-server._tcp")
	if err != nil || !reached {
		return err
	}
	// Clients that announce themselves want to be called.
	n.sought = "_sendspin._tcp"
	n.found = func(players []announce.Player) {
		var all []string
		for _, p := range players {
			if at, err := sendspin.ClientURL(p.Address.String(), p.Text["path"]); err == nil { // one without a path is of something else
				all = append(all, at)
			}
		}
		server.Announced(all)
	}
	return nil
}

const (
	defaultSnapcast        = "127.0.0.1:1704"
	defaultSnapcastControl = "127.0.0.1:1705"
	defaultSnapcastHTTP    = "127.0.0.1:1780"
	defaultSendspin        = "127.0.0.1:8927"
)

// controlPath is the socket by which the user that the server runs as commands it, and nobody else.
func controlPath(data string) string { return filepath.Join(data, "control.sock") }

// makeControl lets commands such as `tutti room` reach the running server, with all rights.
func (n *node) makeControl(ctx context.Context, c api.Config) error {
	path := controlPath(n.settings.Data)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // of a process that was killed; the lock says that it is gone
		return fmt.Errorf("make the control socket: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		// A path of more than 107 bytes, or a file system without sockets: music does not depend on it.
		n.logger.Warn("tutti room will not reach this server", "err", err)
		return nil
	}
	n.closers = append(n.closers, func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("make the control socket: %w", err)
	}
	c.Door = trusting{c.Door}
	server := &http.Server{Handler: api.New(c), ReadHeaderTimeout: 10 * time.Second}
	n.runners = append(n.runners, func(ctx context.Context) error {
		defer context.AfterFunc(ctx, func() { _ = server.Close() })() // ends Serve; commands under way are told by their own context
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve the control socket: %w", err)
		}
		return nil
	})
	return nil
}

// trusting is a door that is open: who comes to it has been admitted by the file system.
type trusting struct{ tutti.Door }

// Admit admits everybody as an admin without a name of their own.
func (trusting) Admit(context.Context, tutti.Credentials) (tutti.User, error) {
	return tutti.User{Name: "this machine", Roles: allRoles}, nil
}

// errNoServer is that of a command which needs a running server.
var errNoServer = errors.New("no server runs")

const (
	// answerTime is how long the running server may take to answer.
	answerTime = 30 * time.Second
	// pairTime is the same where somebody has to do something at a player first, for which the server gives three minutes.
	pairTime = 200 * time.Second
)

// control asks the running server. body and reply may be nil; a reply that is a *[]byte gets the answer as it is. The error
// is errNoServer where there is none, and not where there is one that does not answer.
func (s *settings) control(ctx context.Context, method, path string, body, reply any) error {
	return s.controlWithin(ctx, answerTime, method, path, body, reply)
}

func (s *settings) controlWithin(ctx context.Context, most time.Duration, method, path string, body, reply any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("the server on the data folder %s did not answer within %v", s.Data, most))
	defer cancel()
	socket := controlPath(s.Data)
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://localhost"+api.Prefix+path, content)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer local")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := (&http.Client{Transport: transport}).Do(r)
	var dial *net.OpError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &dial) && dial.Op == "dial":
		return fmt.Errorf("%w on the data folder %s (--data names another): %w", errNoServer, s.Data, err)
	case err != nil:
		return fmt.Errorf("ask the server on the data folder %s: %w", s.Data, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 256<<20))
	if err != nil {
		return err
	}
	if answer.StatusCode >= 300 {
		var problem struct{ Detail string }
		if json.Unmarshal(text, &problem) != nil || problem.Detail == "" {
			problem.Detail = answer.Status
		}
		return errors.New(problem.Detail)
	}
	switch reply := reply.(type) {
	case nil:
		return nil
	case *[]byte:
		*reply = text
		return nil
	}
	return json.Unmarshal(text, reply)
}

type roomCmd struct {
	List    roomListCmd    `cmd:"" help:"List the rooms, what plays there, and their players."`
	Create  roomCreateCmd  `cmd:"" help:"Make a room."`
	Delete  roomDeleteCmd  `cmd:"" help:"Delete a room; its players move to another."`
	Play    roomPlayCmd    `cmd:"" help:"Play something in a room; without anything to search for, go on playing."`
	Pause   roomPauseCmd   `cmd:"" help:"Pause a room."`
	Seek    roomSeekCmd    `cmd:"" help:"Go to a time in what plays, or to another track of the queue."`
	Volume  roomVolumeCmd  `cmd:"" help:"Set a room's volume, or one player's."`
	Members roomMembersCmd `cmd:"" help:"List a room's players, or move one into the room."`
	Pair    roomPairCmd    `cmd:"" help:"Pair a player that encrypts, so that it knows this server and this server knows it."`
	Unpair  roomUnpairCmd  `cmd:"" help:"Forget a pairing."`
}

// shownRoom is what these commands read of a room.
type shownRoom struct {
	ID      tutti.ID
	Name    string
	Playing bool
	Tracks  []struct {
		ID                   tutti.ID
		Title, Artist, Album string
		DurationMs           int64
	}
	Current    int
	PositionMs int64
	Repeat     string
	Volume     int
	Muted      bool
	Problem    string
	Players    []shownPlayer
}

type shownPlayer struct {
	ID, Name, Kind, Address string
	Connected, Muted        bool
	Volume                  int
	LatencyMs               int64
}

// room finds a room by its name or id; "" is the only one there is.
func (s *settings) room(ctx context.Context, name string) (shownRoom, error) {
	all, err := s.rooms(ctx)
	if err != nil {
		return shownRoom{}, err
	}
	var names []string
	for _, r := range all {
		if strings.EqualFold(r.Name, name) || string(r.ID) == name || name == "" && len(all) == 1 {
			return r, nil
		}
		names = append(names, r.Name)
	}
	if name == "" {
		return shownRoom{}, fmt.Errorf("which room? there are %s", strings.Join(names, ", "))
	}
	return shownRoom{}, fmt.Errorf("there is no room %q; there are %s", name, strings.Join(names, ", "))
}

func (s *settings) rooms(ctx context.Context) ([]shownRoom, error) {
	var reply struct{ Items []shownRoom }
	err := s.control(ctx, http.MethodGet, "rooms", nil, &reply)
	return reply.Items, err
}

func roomPath(r shownRoom, rest string) string { return "rooms/" + url.PathEscape(string(r.ID)) + rest }

type roomListCmd struct {
	JSON bool `name:"json" help:"Print it as JSON."`
}

// Run prints the rooms.
func (c roomListCmd) Run(ctx context.Context, s *settings, std *streams) error {
	all, err := s.rooms(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		var raw json.RawMessage
		if err := s.control(ctx, http.MethodGet, "rooms", nil, &raw); err != nil {
			return err
		}
		_, err := std.out.Write(append(raw, '\n'))
		return err
	}
	for _, r := range all {
		fmt.Fprintf(std.out, "%s: %s\n", r.Name, r.status())
		for _, p := range r.Players {
			fmt.Fprintf(std.out, "  %s\n", p.status())
		}
	}
	return nil
}

func (r shownRoom) status() string {
	volume := fmt.Sprintf("volume %d", r.Volume)
	if r.Muted {
		volume = "muted"
	}
	if r.Current < 0 || r.Current >= len(r.Tracks) {
		return "nothing to play, " + volume
	}
	t, state := r.Tracks[r.Current], "paused"
	if r.Playing {
		state = "playing"
	}
	at, length := time.Duration(r.PositionMs)*time.Millisecond, time.Duration(t.DurationMs)*time.Millisecond
	text := fmt.Sprintf("%s “%s” by %s, %v of %v, %d of %d, %s", state, t.Title, t.Artist, at.Round(time.Second), length.Round(time.Second), r.Current+1, len(r.Tracks), volume)
	if r.Problem != "" {
		text += "; it stopped: " + r.Problem
	}
	return text
}

func (p shownPlayer) status() string {
	state := "away"
	if p.Connected {
		state = "connected from " + p.Address
	}
	volume := fmt.Sprintf("volume %d", p.Volume)
	if p.Muted {
		volume = "muted"
	}
	text := fmt.Sprintf("%s (%s, %s): %s, %s", p.Name, p.Kind, p.ID, state, volume)
	if p.LatencyMs != 0 {
		text += fmt.Sprintf(", latency %d ms", p.LatencyMs)
	}
	return text
}

type roomCreateCmd struct {
	Name string `arg:"" help:"The room's name."`
}

// Run makes a room.
func (c roomCreateCmd) Run(ctx context.Context, s *settings, std *streams) error {
	var r shownRoom
	if err := s.control(ctx, http.MethodPost, "rooms", map[string]string{"name": c.Name}, &r); err != nil {
		return err
	}
	_, err := fmt.Fprintf(std.out, "%s: a new room\n", r.Name)
	return err
}

type roomDeleteCmd struct {
	Room string `arg:"" help:"The room's name."`
}

// Run deletes a room.
func (c roomDeleteCmd) Run(ctx context.Context, s *settings) error {
	r, err := s.room(ctx, c.Room)
	if err != nil {
		return err
	}
	return s.control(ctx, http.MethodDelete, roomPath(r, ""), nil, nil)
}

type roomPlayCmd struct {
	Search []string `arg:"" optional:"" help:"Words of an album's or a track's name; the best album is played whole, else the best track."`
	Room   string   `help:"The room's name; not needed where there is one only." placeholder:"NAME"`
}

// Run searches and plays, or goes on.
func (c roomPlayCmd) Run(ctx context.Context, s *settings, std *streams) error {
	r, err := s.room(ctx, c.Room)
	if err != nil {
		return err
	}
	if len(c.Search) == 0 {
		if len(r.Tracks) == 0 {
			return errors.New("nothing has been played there yet: name an album or a track")
		}
		if err := s.control(ctx, http.MethodPost, roomPath(r, "/resume"), nil, nil); err != nil {
			return err
		}
		return s.show(ctx, r.Name, std)
	}
	words := strings.Join(c.Search, " ")
	var found struct {
		Albums, Tracks []struct{ ID tutti.ID }
	}
	if err := s.control(ctx, http.MethodGet, "search?"+url.Values{"q": {words}, "albums": {"1"}, "tracks": {"1"}}.Encode(), nil, &found); err != nil {
		return err
	}
	var ids []tutti.ID
	switch {
	case len(found.Albums) > 0:
		var album struct{ Tracks []struct{ ID tutti.ID } }
		if err := s.control(ctx, http.MethodGet, "albums/"+url.PathEscape(string(found.Albums[0].ID)), nil, &album); err != nil {
			return err
		}
		for _, t := range album.Tracks {
			ids = append(ids, t.ID)
		}
	case len(found.Tracks) > 0:
		ids = []tutti.ID{found.Tracks[0].ID}
	default:
		return fmt.Errorf("nothing is called %q", words)
	}
	if err := s.control(ctx, http.MethodPut, roomPath(r, "/queue"), map[string]any{"tracks": ids}, nil); err != nil {
		return err
	}
	return s.show(ctx, r.Name, std)
}

// show prints what a room does.
func (s *settings) show(ctx context.Context, name string, std *streams) error {
	r, err := s.room(ctx, name)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.out, "%s: %s\n", r.Name, r.status())
	return err
}

type roomPauseCmd struct {
	Room string `arg:"" optional:"" help:"The room's name; not needed where there is one only."`
}

// Run pauses a room.
func (c roomPauseCmd) Run(ctx context.Context, s *settings, std *streams) error {
	r, err := s.room(ctx, c.Room)
	if err != nil {
		return err
	}
	if err := s.control(ctx, http.MethodPost, roomPath(r, "/pause"), nil, nil); err != nil {
		return err
	}
	return s.show(ctx, r.Name, std)
}

type roomSeekCmd struct {
	To    time.Duration `arg:"" help:"The time in the track, such as 1m30s."`
	Track int           `help:"Which track of the queue, from 1; by default the one that plays."`
	Room  string        `help:"The room's name; not needed where there is one only." placeholder:"NAME"`
}

// Run goes to a place in the queue.
func (c roomSeekCmd) Run(ctx context.Context, s *settings, std *streams) error {
	r, err := s.room(ctx, c.Room)
	if err != nil {
		return err
	}
	current := r.Current
	if c.Track > 0 {
		current = c.Track - 1
	}
	if err := s.control(ctx, http.MethodPut, roomPath(r, "/place"), map[string]any{"current": current, "positionMs": c.To.Milliseconds()}, nil); err != nil {
		return err
	}
	return s.show(ctx, r.Name, std)
}

type roomVolumeCmd struct {
	Volume int    `arg:"" help:"0 to 100."`
	Room   string `help:"The room's name; not needed where there is one only." placeholder:"NAME"`
	Player string `help:"A player's name or id, instead of the whole room." placeholder:"NAME"`
}

// Run sets a volume.
func (c roomVolumeCmd) Run(ctx context.Context, s *settings, std *streams) error {
	if c.Player != "" {
		p, err := s.roomPlayer(ctx, c.Player)
		if err != nil {
			return err
		}
		return s.control(ctx, http.MethodPut, "room-players/"+url.PathEscape(p.ID), map[string]int{"volume": c.Volume}, nil)
	}
	r, err := s.room(ctx, c.Room)
	if err != nil {
		return err
	}
	if err := s.control(ctx, http.MethodPut, roomPath(r, ""), map[string]int{"volume": c.Volume}, nil); err != nil {
		return err
	}
	return s.show(ctx, r.Name, std)
}

// roomPlayer finds a player by its name or id.
func (s *settings) roomPlayer(ctx context.Context, name string) (shownPlayer, error) {
	all, err := s.rooms(ctx)
	if err != nil {
		return shownPlayer{}, err
	}
	for _, r := range all {
		if i := slices.IndexFunc(r.Players, func(p shownPlayer) bool { return p.ID == name || strings.EqualFold(p.Name, name) }); i >= 0 {
			return r.Players[i], nil
		}
	}
	return shownPlayer{}, fmt.Errorf("there is no player %q; tutti room list names them", name)
}

type roomMembersCmd struct {
	Room string `arg:"" optional:"" help:"The room's name; not needed where there is one only."`
	Add  string `help:"A player's name or id, to move it into the room." placeholder:"NAME"`
}

// Run lists a room's players, or moves one there.
func (c roomMembersCmd) Run(ctx context.Context, s *settings, std *streams) error {
	r, err := s.room(ctx, c.Room)
	if err != nil {
		return err
	}
	if c.Add != "" {
		p, err := s.roomPlayer(ctx, c.Add)
		if err != nil {
			return err
		}
		if err := s.control(ctx, http.MethodPut, "room-players/"+url.PathEscape(p.ID), map[string]tutti.ID{"room": r.ID}, nil); err != nil {
			return err
		}
		if r, err = s.room(ctx, string(r.ID)); err != nil {
			return err
		}
	}
	w := tabwriter.NewWriter(std.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tKIND\tID\tCONNECTED\tVOLUME\tLATENCY")
	for _, p := range r.Players {
		fmt.Fprintf(w, "%s\t%s\t%s\t%v\t%d\t%d ms\n", p.Name, p.Kind, p.ID, p.Connected, p.Volume, p.LatencyMs)
	}
	return w.Flush()
}

type roomPairCmd struct {
	Player string `arg:"" optional:"" help:"The player's name or id, or the token (SP:…) that it shows; without, those that can be paired are listed."`
	Code   string `arg:"" optional:"" help:"The code that the player shows, or came with."`
}

// pairing is what these commands read of one.
type pairing struct {
	Player, Name, Note       string
	Connected, Paired, Ready bool
	Methods                  []tutti.PairMethod
}

func (s *settings) pairings(ctx context.Context) ([]pairing, error) {
	var reply struct{ Items []pairing }
	err := s.control(ctx, http.MethodGet, "room-pairings", nil, &reply)
	return reply.Items, err
}

// pairing finds one by its player's name or id.
func (s *settings) pairing(ctx context.Context, name string) (pairing, error) {
	all, err := s.pairings(ctx)
	if err != nil {
		return pairing{}, err
	}
	var found []pairing
	for _, p := range all {
		if p.Player == name {
			return p, nil
		}
		if strings.EqualFold(p.Name, name) {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return pairing{}, fmt.Errorf("no player %q is connected that encrypts, nor paired; tutti room pair lists those that are", name)
	}
	return pairing{}, fmt.Errorf("there are %d players %q; name one by its id, as tutti room pair lists them", len(found), name)
}

// Run lists, or takes a step towards a pairing.
func (c roomPairCmd) Run(ctx context.Context, s *settings, std *streams) error {
	if c.Player == "" {
		all, err := s.pairings(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(std.out, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "NAME\tID\tCONNECTED\tPAIRED\tCAN BE PAIRED BY")
		for _, p := range all {
			var ways []string
			for _, m := range p.Methods {
				ways = append(ways, string(m))
			}
			fmt.Fprintf(w, "%s\t%s\t%v\t%v\t%s\n", p.Name, p.Player, p.Connected, p.Paired, strings.Join(ways, ", "))
		}
		return w.Flush()
	}
	step := map[string]string{"secret": c.Code}
	if c.Code == "" && strings.HasPrefix(strings.ToUpper(c.Player), "SP:") {
		step["secret"] = c.Player
	} else {
		p, err := s.pairing(ctx, c.Player)
		if err != nil {
			return err
		}
		step["player"] = p.Player
	}
	var now pairing
	if err := s.controlWithin(ctx, pairTime, http.MethodPost, "room-pairings", step, &now); err != nil {
		return err
	}
	text := now.Name + ": paired"
	switch {
	case now.Paired:
	case now.Ready:
		text = fmt.Sprintf("%s waits for its code: tutti room pair %q CODE", now.Name, now.Name)
	default:
		text = fmt.Sprintf("%s needs something done first, and then tutti room pair %q CODE", now.Name, now.Name)
	}
	if now.Note != "" {
		text += fmt.Sprintf("\nit says: %q", now.Note)
	}
	_, err := fmt.Fprintln(std.out, text)
	return err
}

type roomUnpairCmd struct {
	Player string `arg:"" help:"The player's name or id."`
}

// Run forgets a pairing.
func (c roomUnpairCmd) Run(ctx context.Context, s *settings, std *streams) error {
	p, err := s.pairing(ctx, c.Player)
	if err != nil {
		return err
	}
	if err := s.control(ctx, http.MethodDelete, "room-pairings/"+url.PathEscape(p.Player), nil, nil); err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.out, "%s: not paired any more\n", p.Name)
	return err
}
