package snapcast

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"tutti"
	"tutti/rooms"
)

// Snapcast's control is JSON-RPC 2.0 (https://www.jsonrpc.org/specification) with the methods and notifications of Snapcast's
// doc/json_rpc_api/control.md, version 0.26, whose names and shapes these are.
//
// What Snapcast calls a stream is what a room plays, and what it calls a group is who hears it: here each room is both, and
// a group that is given another room's stream moves there. Groups list Snapcast's own clients only. Volumes are told and set
// as they are heard, the room's taken in. Streams are neither added nor removed, which Debian's server does not allow either.

// controller answers and notifies.
type controller struct {
	house   *rooms.House
	browser tutti.Browser
	now     func() time.Time
	codec   string
	// greeted returns what a client said of itself that is connected here; nothing of others.
	greeted func(player string) greeting
	host    hostInfo // this machine
}

// everything is what whoever reaches the port may see and do: Snapcast has no passwords.
var everything = tutti.Viewer{Admin: true}

const (
	// snapserver is the version whose methods these are; apps choose by it what they ask for.
	snapserverVersion = "0.26.0"
	// maxBatch bounds the requests of one batch.
	maxBatch = 64
	// leastLatency is Snapcast's; the most is what a client holds.
	leastLatency = -10 * time.Second
)

// The codes of errors: the specification's §5.1, and Snapcast's for streams (PlayerControl's error codes).
const (
	codeParse          = -32700
	codeMethodNotFound = -32601
	codeInvalidParams  = -32602
	codeInternal       = -32603
	codeCannotNext     = 2
	codeCannotPrevious = 3
	codeCannotPlay     = 4
)

type request struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
}

type response struct {
	Error   *rpcError       `json:"error,omitempty"`
	ID      json.RawMessage `json:"id"`
	Version string          `json:"jsonrpc"`
	Result  any             `json:"result,omitempty"`
}

type notification struct {
	Version string `json:"jsonrpc"`
	Method  string `json:"method"`
	Params  any    `json:"params"`
}

// rpcError is an error of the protocol's.
type rpcError struct {
	Code    int    `json:"code"`
	Data    string `json:"data,omitempty"`
	Message string `json:"message"`
}

func (e *rpcError) Error() string { return e.Message + ": " + e.Data }

func invalidParams(format string, args ...any) *rpcError {
	return &rpcError{codeInvalidParams, fmt.Sprintf(format, args...), "Invalid params"}
}

// failure maps an error to the protocol's.
func failure(err error) *rpcError {
	var e *rpcError
	switch {
	case errors.As(err, &e):
		return e
	case tutti.IsKind(err, tutti.KindInvalid):
		return invalidParams("%s", tutti.Message(err))
	}
	return &rpcError{codeInternal, tutti.Message(err), "Internal error"}
}

func parseFailure(why string) response {
	return response{Error: &rpcError{codeParse, why, "Parse error"}, ID: json.RawMessage("null"), Version: "2.0"}
}

// answer is the reply to one message, a request or a batch of them; nil where none is due.
func (c *controller) answer(ctx context.Context, message []byte) []byte {
	var batch []json.RawMessage
	if json.Unmarshal(message, &batch) != nil {
		if r, due := c.answerOne(ctx, message); due {
			return encode(r)
		}
		return nil
	}
	if len(batch) == 0 || len(batch) > maxBatch {
		return encode(parseFailure("Invalid request"))
	}
	var out []response
	for _, one := range batch {
		if r, due := c.answerOne(ctx, one); due {
			out = append(out, r)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return encode(out)
}

// answerOne answers a request; a notification is none, and is carried out without an answer.
func (c *controller) answerOne(ctx context.Context, message []byte) (r response, due bool) {
	var q request
	if !json.Valid(message) {
		return parseFailure("that is not JSON"), true
	}
	if json.Unmarshal(message, &q) != nil || q.Version != "2.0" || q.Method == "" || !goodID(q.ID) {
		return parseFailure("Invalid request"), true
	}
	r = response{ID: q.ID, Version: "2.0"}
	result, err := c.call(ctx, q.Method, q.Params)
	if r.Result = result; err != nil {
		r.Error, r.Result = failure(err), nil
	}
	return r, len(q.ID) > 0
}

// goodID reports whether an id is a number, a string or null, or left out.
func goodID(id json.RawMessage) bool {
	return len(id) == 0 || id[0] != '{' && id[0] != '[' && id[0] != 't' && id[0] != 'f'
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // these always marshal
	}
	return b
}

// params are what the methods take; each takes some.
type params struct {
	ID      string `json:"id"`
	Volume  volumeParams
	Latency int
	Name    *string
	Mute    *bool
	Clients []string
	Stream  string `json:"stream_id"`

	Property string
	Value    json.RawMessage
	Command  string
	Params   struct {
		Offset, Position *float64 // seconds
	}
}

type volumeParams struct {
	Muted   *bool
	Percent *int
}

type method func(c *controller, ctx context.Context, p params) (any, error)

var methods = map[string]method{
	"Server.GetRPCVersion": (*controller).rpcVersion,
	"Server.GetStatus":     (*controller).serverStatus,
	"Server.DeleteClient":  (*controller).deleteClient,
	"Client.GetStatus":     (*controller).clientStatus,
	"Client.SetVolume":     (*controller).setVolume,
	"Client.SetLatency":    (*controller).setLatency,
	"Client.SetName":       (*controller).setClientName,
	"Group.GetStatus":      (*controller).groupStatus,
	"Group.SetMute":        (*controller).setGroupMute,
	"Group.SetName":        (*controller).setGroupName,
	"Group.SetStream":      (*controller).setGroupStream,
	"Group.SetClients":     (*controller).setGroupClients,
	"Stream.Control":       (*controller).controlStream,
	"Stream.SetProperty":   (*controller).setStreamProperty,
}

func (c *controller) call(ctx context.Context, name string, raw json.RawMessage) (any, error) {
	do, ok := methods[name]
	if !ok {
		return nil, &rpcError{Code: codeMethodNotFound, Message: "Method not found"}
	}
	var p params
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &p); err != nil {
			return nil, invalidParams("%v", err)
		}
	}
	return do(c, ctx, p)
}

// The shapes of what there is.
type (
	serverShape struct {
		Groups  []groupShape  `json:"groups"`
		Server  serverInfo    `json:"server"`
		Streams []streamShape `json:"streams"`
	}
	serverInfo struct {
		Host       hostInfo       `json:"host"`
		Snapserver snapserverInfo `json:"snapserver"`
	}
	snapserverInfo struct {
		ControlProtocolVersion int    `json:"controlProtocolVersion"`
		Name                   string `json:"name"`
		ProtocolVersion        int    `json:"protocolVersion"`
		Version                string `json:"version"`
	}
	hostInfo struct {
		Arch string `json:"arch"`
		IP   string `json:"ip"`
		MAC  string `json:"mac"`
		Name string `json:"name"`
		OS   string `json:"os"`
	}
	groupShape struct {
		Clients []clientShape `json:"clients"`
		ID      string        `json:"id"`
		Muted   bool          `json:"muted"`
		Name    string        `json:"name"`
		Stream  string        `json:"stream_id"`
	}
	clientShape struct {
		Config     clientConfig   `json:"config"`
		Connected  bool           `json:"connected"`
		Host       hostInfo       `json:"host"`
		ID         string         `json:"id"`
		LastSeen   seenShape      `json:"lastSeen"`
		Snapclient snapclientInfo `json:"snapclient"`
	}
	clientConfig struct {
		Instance int         `json:"instance"`
		Latency  int64       `json:"latency"`
		Name     string      `json:"name"`
		Volume   volumeShape `json:"volume"`
	}
	volumeShape struct {
		Muted   bool `json:"muted"`
		Percent int  `json:"percent"`
	}
	seenShape struct {
		Sec  int64 `json:"sec"`
		Usec int64 `json:"usec"`
	}
	snapclientInfo struct {
		Name            string `json:"name"`
		ProtocolVersion int    `json:"protocolVersion"`
		Version         string `json:"version"`
	}
	streamShape struct {
		ID         string          `json:"id"`
		Properties propertiesShape `json:"properties"`
		Status     string          `json:"status"`
		URI        uriShape        `json:"uri"`
	}
	uriShape struct {
		Fragment string            `json:"fragment"`
		Host     string            `json:"host"`
		Path     string            `json:"path"`
		Query    map[string]string `json:"query"`
		Raw      string            `json:"raw"`
		Scheme   string            `json:"scheme"`
	}
	propertiesShape struct {
		CanControl     bool           `json:"canControl"`
		CanGoNext      bool           `json:"canGoNext"`
		CanGoPrevious  bool           `json:"canGoPrevious"`
		CanPause       bool           `json:"canPause"`
		CanPlay        bool           `json:"canPlay"`
		CanSeek        bool           `json:"canSeek"`
		LoopStatus     string         `json:"loopStatus"`
		Metadata       *metadataShape `json:"metadata,omitempty"`
		PlaybackStatus string         `json:"playbackStatus"`
		Position       float64        `json:"position"` // seconds
		Volume         int            `json:"volume"`
	}
	metadataShape struct {
		Album       string   `json:"album,omitempty"`
		AlbumArtist []string `json:"albumArtist,omitempty"`
		Artist      []string `json:"artist,omitempty"`
		DiscNumber  int      `json:"discNumber,omitempty"`
		Duration    float64  `json:"duration,omitempty"` // seconds
		Genre       []string `json:"genre,omitempty"`
		Title       string   `json:"title,omitempty"`
		TrackID     string   `json:"trackId,omitempty"`
		TrackNumber int      `json:"trackNumber,omitempty"`
	}
)

// seconds to the microsecond, as positions in a JSON of bounded length.
func seconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e6 }

const kind = "snapcast"

// clients are a room's Snapcast clients.
func clients(r tutti.Room) []tutti.RoomPlayer {
	return slices.DeleteFunc(slices.Clone(r.Players), func(p tutti.RoomPlayer) bool { return p.Kind != kind })
}

func (c *controller) client(r tutti.Room, p tutti.RoomPlayer) clientShape {
	g := c.greeted(p.ID)
	seen := p.Seen
	if p.Connected {
		seen = c.now()
	}
	return clientShape{
		Config: clientConfig{
			Instance: max(g.Instance, 1), Latency: p.Latency.Milliseconds(), Name: p.Name,
			Volume: volumeShape{Muted: p.Muted, Percent: (p.Volume*r.Volume + 50) / 100},
		},
		Connected: p.Connected, Host: hostInfo{Arch: g.Arch, IP: p.Address, MAC: g.MAC, Name: p.Name, OS: g.OS}, ID: p.ID,
		LastSeen:   seenShape{seen.Unix(), int64(seen.Nanosecond() / 1000)},
		Snapclient: snapclientInfo{Name: g.ClientName, ProtocolVersion: g.Protocol, Version: g.Version},
	}
}

func (c *controller) group(r tutti.Room) groupShape {
	out := groupShape{Clients: []clientShape{}, ID: string(r.ID), Muted: r.Muted, Name: r.Name, Stream: r.Name}
	for _, p := range clients(r) {
		out.Clients = append(out.Clients, c.client(r, p))
	}
	return out
}

// stream is what a room plays; t is its current track, if it is known.
func (c *controller) stream(r tutti.Room, t *tutti.Track) streamShape {
	s := streamShape{ID: r.Name, Status: "idle", Properties: propertiesShape{
		CanControl: true, CanGoNext: r.Current+1 < len(r.Tracks) || r.Repeat == tutti.RepeatAll && len(r.Tracks) > 0, CanGoPrevious: r.Current > 0,
		CanPause: len(r.Tracks) > 0, CanPlay: len(r.Tracks) > 0, CanSeek: len(r.Tracks) > 0,
		LoopStatus: loops[r.Repeat], PlaybackStatus: "stopped", Position: seconds(r.Position), Volume: r.Volume,
	}}
	switch {
	case r.Playing:
		s.Status, s.Properties.PlaybackStatus = "playing", "playing"
	case len(r.Tracks) > 0:
		s.Properties.PlaybackStatus = "paused"
	}
	if t != nil {
		m := &metadataShape{
			Album: t.Album, Title: t.Title, DiscNumber: t.Disc, Duration: seconds(t.Duration), Genre: t.Genres, TrackID: string(t.ID), TrackNumber: t.Track,
		}
		for _, a := range t.Artists {
			m.Artist = append(m.Artist, a.Name)
		}
		for _, a := range t.AlbumArtists {
			m.AlbumArtist = append(m.AlbumArtist, a.Name)
		}
		s.Properties.Metadata = m
	}
	query := map[string]string{"chunk_ms": "20", "codec": c.codec, "name": r.Name, "sampleformat": "48000:16:2"}
	s.URI = uriShape{Path: "/" + string(r.ID), Query: query, Scheme: "tutti"}
	raw := url.Values{}
	for k, v := range query {
		raw.Set(k, v)
	}
	s.URI.Raw = "tutti:///" + string(r.ID) + "?" + raw.Encode()
	return s
}

var loops = map[tutti.Repeat]string{tutti.RepeatOff: "none", tutti.RepeatOne: "track", tutti.RepeatAll: "playlist"}

// status is all that there is. Rooms without clients are no groups, as with Snapcast.
func (c *controller) status(ctx context.Context, all []tutti.Room) (serverShape, error) {
	out := serverShape{Groups: []groupShape{}, Streams: []streamShape{}, Server: serverInfo{
		Host: c.host, Snapserver: snapserverInfo{ControlProtocolVersion: 1, Name: "Snapserver", ProtocolVersion: 1, Version: snapserverVersion},
	}}
	var ids []tutti.ID
	for _, r := range all {
		if r.Current >= 0 && r.Current < len(r.Tracks) {
			ids = append(ids, r.Tracks[r.Current])
		}
	}
	tracks := map[tutti.ID]*tutti.Track{}
	if len(ids) > 0 {
		found, err := c.browser.TracksByID(ctx, everything, ids)
		if err != nil {
			return out, err
		}
		for _, t := range found {
			tracks[t.ID] = &t
		}
	}
	for _, r := range all {
		var t *tutti.Track
		if r.Current >= 0 && r.Current < len(r.Tracks) {
			t = tracks[r.Tracks[r.Current]]
		}
		out.Streams = append(out.Streams, c.stream(r, t))
		if g := c.group(r); len(g.Clients) > 0 {
			out.Groups = append(out.Groups, g)
		}
	}
	return out, nil
}

type statusResult struct {
	Server serverShape `json:"server"`
}

func (c *controller) rpcVersion(context.Context, params) (any, error) {
	return map[string]int{"major": 2, "minor": 0, "patch": 0}, nil
}

func (c *controller) serverStatus(ctx context.Context, _ params) (any, error) {
	all, err := c.house.Rooms(ctx, everything)
	if err != nil {
		return nil, err
	}
	s, err := c.status(ctx, all)
	return statusResult{s}, err
}

func (c *controller) deleteClient(ctx context.Context, p params) (any, error) {
	if _, _, err := c.findClient(ctx, p.ID); err != nil {
		return nil, err
	}
	if err := c.house.ForgetRoomPlayer(ctx, everything, p.ID); err != nil {
		return nil, err
	}
	return c.serverStatus(ctx, p)
}

func notFound(what string) *rpcError {
	return &rpcError{codeInternal, what + " not found", "Internal error"}
}

func (c *controller) findClient(ctx context.Context, id string) (tutti.Room, tutti.RoomPlayer, error) {
	all, err := c.house.Rooms(ctx, everything)
	if err != nil {
		return tutti.Room{}, tutti.RoomPlayer{}, err
	}
	for _, r := range all {
		for _, p := range clients(r) {
			if p.ID == id {
				return r, p, nil
			}
		}
	}
	return tutti.Room{}, tutti.RoomPlayer{}, notFound("Client")
}

func (c *controller) findGroup(ctx context.Context, id string) (tutti.Room, error) {
	r, err := c.house.Room(ctx, everything, tutti.ID(id))
	if tutti.IsKind(err, tutti.KindNotFound) {
		return r, notFound("Group")
	}
	return r, err
}

func (c *controller) findStream(ctx context.Context, id string) (tutti.Room, error) {
	all, err := c.house.Rooms(ctx, everything)
	if err != nil {
		return tutti.Room{}, err
	}
	for _, r := range all {
		if r.Name == id {
			return r, nil
		}
	}
	return tutti.Room{}, notFound("Stream")
}

func (c *controller) clientStatus(ctx context.Context, p params) (any, error) {
	r, player, err := c.findClient(ctx, p.ID)
	return map[string]any{"client": c.client(r, player)}, err
}

func (c *controller) setVolume(ctx context.Context, p params) (any, error) {
	if _, _, err := c.findClient(ctx, p.ID); err != nil {
		return nil, err
	}
	level := p.Volume.Percent
	if level != nil {
		within := min(max(*level, 0), 100)
		level = &within
	}
	if err := c.house.SetLevel(ctx, p.ID, level, p.Volume.Muted); err != nil {
		return nil, err
	}
	r, player, err := c.findClient(ctx, p.ID)
	return map[string]any{"volume": c.client(r, player).Config.Volume}, err
}

func (c *controller) setLatency(ctx context.Context, p params) (any, error) {
	if _, _, err := c.findClient(ctx, p.ID); err != nil {
		return nil, err
	}
	latency := time.Duration(min(max(p.Latency, int(leastLatency.Milliseconds())), int(Buffer.Milliseconds()))) * time.Millisecond
	_, err := c.house.ChangeRoomPlayer(ctx, everything, p.ID, tutti.RoomPlayerChange{Latency: &latency})
	return map[string]any{"latency": latency.Milliseconds()}, err
}

func (c *controller) setClientName(ctx context.Context, p params) (any, error) {
	if p.Name == nil {
		return nil, invalidParams("name is missing")
	}
	if _, _, err := c.findClient(ctx, p.ID); err != nil {
		return nil, err
	}
	player, err := c.house.ChangeRoomPlayer(ctx, everything, p.ID, tutti.RoomPlayerChange{Name: p.Name})
	return map[string]any{"name": player.Name}, err
}

func (c *controller) groupStatus(ctx context.Context, p params) (any, error) {
	r, err := c.findGroup(ctx, p.ID)
	return map[string]any{"group": c.group(r)}, err
}

func (c *controller) setGroupMute(ctx context.Context, p params) (any, error) {
	if p.Mute == nil {
		return nil, invalidParams("mute is missing")
	}
	r, err := c.findGroup(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	r, err = c.house.ChangeRoom(ctx, everything, r.ID, tutti.RoomChange{Muted: p.Mute})
	return map[string]any{"mute": r.Muted}, err
}

func (c *controller) setGroupName(ctx context.Context, p params) (any, error) {
	if p.Name == nil {
		return nil, invalidParams("name is missing")
	}
	r, err := c.findGroup(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	r, err = c.house.ChangeRoom(ctx, everything, r.ID, tutti.RoomChange{Name: p.Name})
	return map[string]any{"name": r.Name}, err
}

// setGroupStream moves a group's clients to the room that plays the stream.
func (c *controller) setGroupStream(ctx context.Context, p params) (any, error) {
	from, err := c.findGroup(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	to, err := c.findStream(ctx, p.Stream)
	if err != nil {
		return nil, err
	}
	for _, player := range clients(from) {
		err = errors.Join(err, c.move(ctx, player, to.ID))
	}
	return map[string]any{"stream_id": to.Name}, err
}

func (c *controller) move(ctx context.Context, p tutti.RoomPlayer, to tutti.ID) error {
	if p.Room == to {
		return nil
	}
	_, err := c.house.ChangeRoomPlayer(ctx, everything, p.ID, tutti.RoomPlayerChange{Room: &to})
	return err
}

// setGroupClients makes a room's Snapcast clients these. Who is sent away goes to a room where nothing plays and nobody is,
// made for that where there is none.
func (c *controller) setGroupClients(ctx context.Context, p params) (any, error) {
	room, err := c.findGroup(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	all, err := c.house.Rooms(ctx, everything)
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		for _, player := range clients(r) {
			switch wanted := slices.Contains(p.Clients, player.ID); {
			case wanted:
				err = errors.Join(err, c.move(ctx, player, room.ID))
			case r.ID == room.ID:
				err = errors.Join(err, c.sendAway(ctx, player))
			}
		}
	}
	if err != nil {
		return nil, err
	}
	return c.serverStatus(ctx, p)
}

func (c *controller) sendAway(ctx context.Context, player tutti.RoomPlayer) error {
	all, err := c.house.Rooms(ctx, everything)
	if err != nil {
		return err
	}
	free := func(r tutti.Room) bool { return r.ID != player.Room && len(r.Players) == 0 && !r.Playing }
	i := slices.IndexFunc(all, func(r tutti.Room) bool { return free(r) && strings.EqualFold(r.Name, player.Name) })
	if i < 0 {
		i = slices.IndexFunc(all, free)
	}
	if i >= 0 {
		return c.move(ctx, player, all[i].ID)
	}
	for n := 1; ; n++ {
		name := player.Name
		if n > 1 {
			name = fmt.Sprintf("%s %d", name, n)
		}
		r, err := c.house.CreateRoom(ctx, everything, name)
		if tutti.IsKind(err, tutti.KindConflict) {
			continue // there is one of that name, which is not free; there are few rooms
		}
		if err != nil {
			return err
		}
		return c.move(ctx, player, r.ID)
	}
}

func (c *controller) controlStream(ctx context.Context, p params) (any, error) {
	r, err := c.findStream(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	go_, ok := map[string]func(context.Context, tutti.Room, params) error{
		"play": c.play, "pause": c.pause, "playPause": c.playPause, "stop": c.stop, "next": c.next, "previous": c.previous,
		"seek": c.seek, "setPosition": c.setPosition,
	}[p.Command]
	if !ok {
		return nil, invalidParams("Command '%s' not supported", p.Command)
	}
	return "ok", go_(ctx, r, p)
}

func (c *controller) play(ctx context.Context, r tutti.Room, _ params) error {
	if len(r.Tracks) == 0 {
		return &rpcError{Code: codeCannotPlay, Message: "Stream property canPlay is false"}
	}
	_, err := c.house.ResumeRoom(ctx, everything, r.ID)
	return err
}

func (c *controller) pause(ctx context.Context, r tutti.Room, _ params) error {
	_, err := c.house.PauseRoom(ctx, everything, r.ID)
	return err
}

func (c *controller) playPause(ctx context.Context, r tutti.Room, p params) error {
	if r.Playing {
		return c.pause(ctx, r, p)
	}
	return c.play(ctx, r, p)
}

func (c *controller) stop(ctx context.Context, r tutti.Room, p params) error {
	if err := c.pause(ctx, r, p); err != nil || len(r.Tracks) == 0 {
		return err
	}
	return c.place(ctx, r, r.Current, 0)
}

func (c *controller) place(ctx context.Context, r tutti.Room, current int, position time.Duration) error {
	_, err := c.house.SeekRoom(ctx, everything, r.ID, current, max(position, 0))
	return err
}

func (c *controller) next(ctx context.Context, r tutti.Room, _ params) error {
	switch {
	case r.Current+1 < len(r.Tracks):
		return c.place(ctx, r, r.Current+1, 0)
	case r.Repeat == tutti.RepeatAll && len(r.Tracks) > 0:
		return c.place(ctx, r, 0, 0)
	}
	return &rpcError{Code: codeCannotNext, Message: "Stream property canGoNext is false"}
}

func (c *controller) previous(ctx context.Context, r tutti.Room, _ params) error {
	if r.Current <= 0 {
		return &rpcError{Code: codeCannotPrevious, Message: "Stream property canGoPrevious is false"}
	}
	return c.place(ctx, r, r.Current-1, 0)
}

// span is so many seconds as a time that can be added to; what is beyond a year is none.
func span(s *float64, name string) (time.Duration, error) {
	const year = 365 * 24 * 3600
	if s == nil || math.IsNaN(*s) || math.Abs(*s) > year {
		return 0, invalidParams("%s is missing, or no number of seconds", name)
	}
	return time.Duration(*s * float64(time.Second)), nil
}

func (c *controller) seek(ctx context.Context, r tutti.Room, p params) error {
	by, err := span(p.Params.Offset, "offset")
	if err != nil {
		return err
	}
	return c.place(ctx, r, r.Current, r.Position+by)
}

func (c *controller) setPosition(ctx context.Context, r tutti.Room, p params) error {
	to, err := span(p.Params.Position, "position")
	if err != nil {
		return err
	}
	return c.place(ctx, r, r.Current, to)
}

func (c *controller) setStreamProperty(ctx context.Context, p params) (any, error) {
	r, err := c.findStream(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	var change tutti.RoomChange
	switch p.Property {
	case "loopStatus":
		var loop string
		if json.Unmarshal(p.Value, &loop) != nil {
			return nil, invalidParams("value is no text")
		}
		for repeat, name := range loops {
			if name == loop {
				change.Repeat = &repeat
			}
		}
		if change.Repeat == nil {
			return nil, invalidParams("Value for loopStatus must be one of 'none', 'track', 'playlist'")
		}
	case "volume":
		if json.Unmarshal(p.Value, &change.Volume) != nil || change.Volume == nil {
			return nil, invalidParams("Value for volume must be an int")
		}
	case "mute":
		if json.Unmarshal(p.Value, &change.Muted) != nil || change.Muted == nil {
			return nil, invalidParams("Value for mute must be bool")
		}
	default:
		return nil, invalidParams("Property '%s' not supported", p.Property)
	}
	_, err = c.house.ChangeRoom(ctx, everything, r.ID, change)
	return "ok", err
}

// notify tells of every change until ctx ends or tell fails: as single changes where they are such, else by all that there is.
func (c *controller) notify(ctx context.Context, tell func([]byte) error) error {
	var known *serverShape
	return c.house.WatchRooms(ctx, everything, func(n tutti.RoomNews) error {
		if !n.Changed {
			return nil
		}
		now, err := c.status(ctx, n.Rooms)
		if err != nil {
			return nil // the catalogue is away for a moment; what has changed is told with the next change
		}
		if known != nil {
			for _, one := range changes(*known, now) {
				if err := tell(encode(one)); err != nil {
					return err
				}
			}
		}
		known = &now
		return nil
	})
}

// changes are the notifications that make one status the other.
func changes(was, is serverShape) (out []notification) {
	say := func(name string, params any) { out = append(out, notification{"2.0", name, params}) }
	update := []notification{{"2.0", "Server.OnUpdate", statusResult{is}}}
	sameStreams := slices.EqualFunc(was.Streams, is.Streams, func(a, b streamShape) bool { return a.ID == b.ID && a.URI.Path == b.URI.Path })
	sameGroups := slices.EqualFunc(was.Groups, is.Groups, func(a, b groupShape) bool {
		return a.ID == b.ID && slices.EqualFunc(a.Clients, b.Clients, func(a, b clientShape) bool { return a.ID == b.ID })
	})
	if !sameStreams || !sameGroups {
		return update
	}
	for i, s := range is.Streams {
		before := was.Streams[i]
		if s.Status != before.Status {
			say("Stream.OnUpdate", map[string]any{"id": s.ID, "stream": s})
		}
		if p, q := s.Properties, before.Properties; true {
			p.Position, q.Position = 0, 0 // it moves by itself
			if !reflect.DeepEqual(p, q) {
				say("Stream.OnProperties", map[string]any{"id": s.ID, "properties": s.Properties})
			}
		}
	}
	for i, g := range is.Groups {
		before := was.Groups[i]
		if g.Muted != before.Muted {
			say("Group.OnMute", map[string]any{"id": g.ID, "mute": g.Muted})
		}
		if g.Name != before.Name {
			say("Group.OnNameChanged", map[string]any{"id": g.ID, "name": g.Name})
		}
		for j, cl := range g.Clients {
			earlier := before.Clients[j]
			switch {
			case cl.Connected && !earlier.Connected:
				say("Client.OnConnect", map[string]any{"id": cl.ID, "client": cl})
			case !cl.Connected && earlier.Connected:
				say("Client.OnDisconnect", map[string]any{"id": cl.ID, "client": cl})
			}
			if cl.Config.Volume != earlier.Config.Volume {
				say("Client.OnVolumeChanged", map[string]any{"id": cl.ID, "volume": cl.Config.Volume})
			}
			if cl.Config.Latency != earlier.Config.Latency {
				say("Client.OnLatencyChanged", map[string]any{"id": cl.ID, "latency": cl.Config.Latency})
			}
			if cl.Config.Name != earlier.Config.Name {
				say("Client.OnNameChanged", map[string]any{"id": cl.ID, "name": cl.Config.Name})
			}
		}
	}
	return out
}
