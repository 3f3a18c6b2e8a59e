package sendspin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"tutti"
	"tutti/rooms"
)

// client is one connection, from its greeting on.
type client struct {
	s        *Server
	l        *link
	host     string
	id       string
	g        greeting
	orders   chan func(context.Context) error // what others want the listening goroutine to do
	replaced chan struct{}                    // closed when the same client has connected again; the Server's
	gone     chan struct{}                    // closed when nobody takes orders any more

	// The listening goroutine's.
	active  []string // families of roles
	seat    *rooms.Seat
	running *running // what speaks while roles are active
	pair    *attempt // a pairing that goes on
	round   uint32   // activations for pairing since the last handshake
	warned  bool     // that it wants more than rooms give
	missing bool     // it was paired, and does not know its key any more

	mu      sync.Mutex
	report  report
	changed chan struct{} // closed when report is another
}

// report is what a client has said of itself so far.
type report struct {
	said      bool // its first client/state is there
	available bool
	away      bool // it has left its room's playing until somebody asks for it (spec, External Source Handling)
	volume    *int
	muted     *bool
	delay     *time.Duration
	commands  []string
	wish      *format
	pictures  []pictureWish
	visual    *visualWish
}

const (
	commandVolume      = "volume"
	commandMute        = "mute"
	commandStaticDelay = "set_static_delay"
	commandOutputDelay = "set_output_delay"
)

// reports returns what the client has said, and a channel that is closed when that is another.
func (c *client) reports() (report, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.report, c.changed
}

// learn changes what is known of the client.
func (c *client) learn(change func(*report)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.report)
	close(c.changed)
	c.changed = make(chan struct{})
}

// takes reports whether the client plays and takes a command.
func (c *client) takes(command string) bool {
	r, _ := c.reports()
	return c.g.Player != nil && slices.Contains(r.commands, command)
}

// greet takes the connection up to the client's greeting.
func (c *client) greet(ctx context.Context) error {
	f, err := c.l.next(ctx, handshakeStep)
	if err != nil {
		return err
	}
	if !f.text {
		return errors.New("it did not begin with words")
	}
	e, err := parseEnvelope(f.data)
	if err != nil {
		return err
	}
	switch e.Type {
	case "client/hello":
		err = c.greetPlain(ctx, e.Payload)
	case "client/init":
		err = c.greetSealed(ctx, f.data, e.Payload)
	default:
		return fmt.Errorf("it began with %q", e.Type)
	}
	if err != nil {
		return err
	}
	c.report.commands = nil
	if c.g.Player != nil {
		c.report.commands = c.g.Player.Commands
	}
	if c.g.Artwork != nil {
		c.report.pictures = c.g.Artwork.Channels
	}
	if c.g.Visualizer != nil && len(c.g.Visualizer.Types) > 0 {
		c.report.visual = &c.g.Visualizer.visualWish
	}
	c.report.available = true
	return nil
}

func (c *client) greetPlain(ctx context.Context, payload []byte) error {
	var err error
	if c.g, err = parseGreeting(payload); err != nil {
		return err
	}
	if c.g.Version != 1 {
		return fmt.Errorf("it speaks version %d of the protocol", c.g.Version)
	}
	if c.id = c.g.ClientID; c.id == "" {
		return errors.New("it has no name")
	}
	if c.s.sealed(c.id) {
		return errors.New("it does not encrypt, and who is connected with its name does")
	}
	if _, paired, err := c.s.keys.of(ctx, c.id); err != nil {
		return err
	} else if paired || c.s.c.Paired {
		return errors.New("it does not encrypt, and only who was paired may connect with its name or at all")
	}
	return nil
}

// greetSealed is the handshake of the encrypted dialects (spec, connection.md, Encryption).
func (c *client) greetSealed(ctx context.Context, raw, payload []byte) error {
	var o opening
	refuse := func(reason string) error {
		if err := c.l.say(ctx, "server/error", map[string]string{"reason": reason}); err != nil {
			return err
		}
		return fmt.Errorf("its first message: %s", reason)
	}
	if err := json.Unmarshal(payload, &o); err != nil {
		// A version of its own may come with a shape of its own.
		var v struct {
			Version int `json:"version"`
		}
		if json.Unmarshal(payload, &v) == nil && v.Version != 0 && v.Version != 1 {
			return refuse("unsupported_version")
		}
		return refuse("malformed")
	}
	if o.Version == 0 {
		return refuse("malformed")
	}
	if o.Version != 1 {
		return refuse("unsupported_version")
	}
	suite, ok := suites[o.Suite]
	if !ok {
		return refuse("unsupported_suite")
	}
	peer, err := sized(o.ClientID, 32)
	if err != nil {
		return refuse("malformed")
	}
	c.id = o.ClientID
	mine := encode("server/init", map[string]any{"server_id": c.s.keys.id(), "version": 1})
	key, kind := sentinelKey, sentinel
	known, paired, err := c.s.keys.of(ctx, c.id)
	if err != nil {
		return err
	}
	if paired {
		key, kind = known.Key, longTerm
	}
	h, hand, err := shakeHands(c.s.keys.self, peer, suite, slices.Concat(raw, mine), key, kind)
	if err != nil {
		return err
	}
	if err := c.l.send(ctx, jsonBody, func(time.Time) []byte { return mine }); err != nil {
		return err
	}
	if err := c.l.say(ctx, "noise/handshake", noiseMessage{base64url(hand)}); err != nil {
		return err
	}
	f, err := c.l.next(ctx, handshakeStep)
	if err != nil {
		return err
	}
	if !f.text {
		return errors.New("it answered the handshake with something else")
	}
	e, err := parseEnvelope(f.data)
	if err != nil {
		return err
	}
	if e.Type != "noise/handshake" {
		return fmt.Errorf("it answered the handshake with %q", e.Type)
	}
	answer, err := parseNoise(e.Payload)
	if err != nil {
		return err
	}
	session, err := h.finish(answer, true)
	if err != nil {
		return err
	}
	c.l.mu.Lock()
	c.l.session, c.l.dialect = session, current // until its greeting says; the two do not differ before
	c.l.mu.Unlock()
	if c.missing = paired && session.key == sentinel; c.missing {
		c.s.c.Logger.Warn("a Sendspin client does not know its pairing any more; it plays nothing until it is paired again", "name", known.Name, "id", c.id)
	}
	if err := c.l.say(ctx, "server/hello", map[string]any{"name": c.s.c.Name}); err != nil {
		return err
	}
	m, err := c.await(ctx, handshakeStep, "client/hello")
	if err != nil {
		return err
	}
	if c.g, err = parseGreeting(m); err != nil {
		return err
	}
	if c.g.Methods.listed || c.g.Methods.of == nil {
		c.l.mu.Lock()
		c.l.dialect = first
		c.l.mu.Unlock()
	}
	return nil
}

// await reads up to a message of a type, which is the next that the client may send.
func (c *client) await(ctx context.Context, within time.Duration, kind string) ([]byte, error) {
	for {
		f, err := c.l.next(ctx, within)
		if err != nil {
			return nil, err
		}
		m, complete, err := c.l.open(f)
		if err != nil {
			return nil, err
		}
		if !complete {
			continue
		}
		if m.id != jsonBody {
			return nil, fmt.Errorf("it sent a message of type %d and not %s", m.id, kind)
		}
		e, err := parseEnvelope(m.body)
		if err != nil {
			return nil, err
		}
		if e.Type != kind {
			return nil, fmt.Errorf("it sent %q and not %s", e.Type, kind)
		}
		return e.Payload, nil
	}
}

// entitled reports whether the client may have its roles: it was paired, or those who were not may.
func (c *client) entitled() bool {
	if c.l.session == nil {
		return true
	}
	return c.l.session.key == longTerm || !c.s.c.Paired && !c.missing && c.g.Unpaired.Enabled && c.pair == nil
}

// listen gives the client its roles and hears it until the end.
func (c *client) listen(ctx context.Context) error {
	defer close(c.gone)
	if err := c.welcome(ctx); err != nil {
		return err
	}
	timer := c.s.c.Clock.NewTimer(silence)
	defer timer.Stop()
	var pinging sync.WaitGroup
	defer pinging.Wait()
	pinged := make(chan error, 1)
	var failed <-chan error
	for {
		if failed = nil; c.running != nil {
			failed = c.running.failed
		}
		var expired <-chan struct{}
		if c.seat != nil {
			expired = c.seat.Expelled()
		}
		select {
		case f, ok := <-c.l.in:
			if !ok {
				return c.l.fault
			}
			timer.Reset(silence)
			m, complete, err := c.l.open(f)
			if err != nil {
				return err
			}
			if !complete {
				continue
			}
			if err := c.hear(ctx, m); err != nil {
				return err
			}
		case do := <-c.orders:
			if err := do(ctx); err != nil {
				return err
			}
		case err := <-failed:
			return err
		case <-c.replaced:
			return errors.New("the same client has connected again")
		case <-expired:
			return errors.New("the same client has connected again")
		case <-timer.C():
			// A client without a clock to keep may have nothing to say. What it answers is read here.
			pinging.Go(func() {
				ctx, cancel := context.WithTimeout(ctx, stall)
				defer cancel()
				pinged <- c.l.ws.Ping(ctx)
			})
		case err := <-pinged:
			if err != nil {
				return fmt.Errorf("it said nothing for %v: %w", silence, err)
			}
			timer.Reset(silence)
		}
	}
}

// welcome tells the client what it is here for, and begins to speak to it.
func (c *client) welcome(ctx context.Context) error {
	roles := c.g.roles()
	if !c.entitled() {
		roles = nil
	}
	if slices.Contains(roles, rolePlayer) && c.choose(report{}) == nil {
		c.s.c.Logger.Warn("a Sendspin client takes no format that rooms have: 48 kHz, two channels, 16 bits, as flac or pcm", "name", c.shownName(), "id", c.id)
		roles = slices.DeleteFunc(roles, func(r string) bool { return r == rolePlayer })
	}
	c.active = roles
	if len(roles) > 0 && c.seat == nil {
		seat, err := c.s.c.House.Sit(ctx, rooms.Arrival{ID: c.id, Name: c.g.Name, Kind: kind, Address: c.host})
		if err != nil {
			return err
		}
		c.seat = seat
	}
	playing := false
	if c.seat != nil {
		scene, _ := c.seat.Scene()
		playing = scene.Room.Playing
	}
	if c.l.session == nil {
		reason := "discovery"
		if playing {
			reason = "playback"
		}
		if err := c.l.say(ctx, "server/hello", map[string]any{
			"server_id": c.s.keys.id(), "name": c.s.c.Name, "version": 1, "active_roles": versioned(roles), "connection_reason": reason,
		}); err != nil {
			return err
		}
	} else if err := c.l.say(ctx, "server/activate", c.activation(playing)); err != nil {
		return err
	}
	c.s.c.Logger.Info("a Sendspin client joined", "name", c.shownName(), "id", c.id, "from", c.host, "wire", c.l.dialect.String(), "paired", c.l.session != nil && c.l.session.key == longTerm, "roles", roles)
	if len(roles) > 0 {
		c.start(ctx, playing)
	}
	return nil
}

// activation is the payload of server/activate outside a pairing.
func (c *client) activation(playing bool) map[string]any {
	activities := []string{}
	if playing && len(c.active) > 0 {
		activities = append(activities, "playback")
	}
	return map[string]any{"activities": activities, "active_roles": versioned(c.active)}
}

func (c *client) shownName() string { return c.g.Name[:min(len(c.g.Name), maxClientName)] }

// running is what speaks to a client while it has roles, each part in a goroutine of its own.
type running struct {
	stop   context.CancelFunc
	parts  sync.WaitGroup
	failed chan error
}

// start begins to speak. The roles' parts look at c.active and c.seat, which stay as they are until quiet.
func (c *client) start(ctx context.Context, playing bool) {
	ctx, stop := context.WithCancel(ctx)
	r := &running{stop: stop, failed: make(chan error, 1)}
	c.running = r
	run := func(part func(context.Context) error) {
		r.parts.Go(func() {
			if err := part(ctx); err != nil && ctx.Err() == nil {
				select {
				case r.failed <- err:
				default: // one is enough
				}
			}
		})
	}
	run(func(ctx context.Context) error { return c.show(ctx, playing) })
	for role, part := range map[string]func(context.Context) error{rolePlayer: c.sound, roleVisualizer: c.visuals} {
		if slices.Contains(c.active, role) {
			run(part)
		}
	}
	if slices.Contains(c.active, roleArtwork) || slices.Contains(c.active, roleColor) {
		run(c.paint)
	}
}

// quiet stops speaking. The seat is kept where the client is to go on.
func (c *client) quiet(goesOn bool) {
	if c.running != nil {
		c.running.stop()
		c.running.parts.Wait()
		c.running = nil
	}
	if c.seat != nil && !goesOn {
		c.seat.Leave()
		c.seat = nil
	}
}

// hear acts on a message.
func (c *client) hear(ctx context.Context, m message) error {
	if m.id != jsonBody {
		return nil // clients of roles that are not active here, such as sources, are not listened to
	}
	e, err := parseEnvelope(m.body)
	if err != nil {
		return err
	}
	switch e.Type {
	case "client/time":
		q, err := parseQuestion(e.Payload)
		if err != nil {
			return err
		}
		received := m.at.UnixMicro()
		return c.l.sayAt(ctx, "server/time", func(now int64) any {
			return map[string]any{"client_transmitted": q.Sent, "server_received": received, "server_transmitted": now}
		})
	case "client/state":
		s, err := parseState(e.Payload)
		if err != nil {
			return err
		}
		return c.state(ctx, s)
	case "client/command":
		o, err := parseOrder(e.Payload)
		if err != nil || o.Controller == nil || !slices.Contains(c.active, roleController) {
			return err
		}
		return c.command(ctx, o)
	case "stream/request-format":
		f, err := parseFormatWish(e.Payload)
		if err != nil {
			return err
		}
		c.wishes(f)
	case "client/leave":
		c.learn(func(r *report) { r.away = true })
	case "client/goodbye":
		return parseGoodbye(e.Payload)
	case "client/pair-pending", "client/pair-init", "client/pair-auth", "client/pair-retry", "client/pair-confirm", "client/pair-finalize", "pair/abort":
		return c.pairing(ctx, e)
	}
	return nil // of a newer text
}

// goodbye ends a connection that the client wants to end, for a reason that it may have given.
type goodbye struct{ reason string }

func (g *goodbye) Error() string { return "it said goodbye: " + g.reason }

func parseGoodbye(payload []byte) error {
	var m struct {
		Reason string `json:"reason"`
	}
	if err := json.Unmarshal(payload, &m); err != nil {
		return fmt.Errorf("its goodbye: %w", err)
	}
	return &goodbye{m.Reason[:min(len(m.Reason), 64)]}
}

// state takes in what the client says of itself. Volume, mute and delay are the client's own to say: where they are other
// than at its last report, somebody has set them at the device.
func (c *client) state(ctx context.Context, s stateReport) error {
	before, _ := c.reports()
	var volume *int
	var muted *bool
	var delay *time.Duration
	available := before.available
	if s.Available != nil {
		available = *s.Available
	}
	switch s.State {
	case "external_source":
		available = false
	case "synchronized", "error":
		available = true
	}
	if p := s.Player; p != nil && p.buffer() > rooms.Lead && !c.warned {
		c.warned = true
		c.s.c.Logger.Warn("a Sendspin client wants sound further ahead of its time than rooms send it; it may stutter", "name", c.shownName(), "wants", p.buffer(), "has", rooms.Lead)
	}
	c.learn(func(r *report) {
		r.said = true
		if r.available && !available {
			r.away = true
		}
		r.available = available
		if p := s.Player; p != nil {
			if p.Volume != nil && (r.volume == nil || *r.volume != *p.Volume) {
				r.volume, volume = p.Volume, p.Volume
			}
			if p.Muted != nil && (r.muted == nil || *r.muted != *p.Muted) {
				r.muted, muted = p.Muted, p.Muted
			}
			if p.OutputDelay != nil {
				d := time.Duration(min(max(*p.OutputDelay, 0), maxDelay) * float64(time.Millisecond))
				if r.delay == nil || *r.delay != d {
					r.delay, delay = &d, &d
				}
			}
			if p.Commands != nil {
				// The current text has all of them here; before it, volume and mute were those of the greeting.
				r.commands = p.Commands
				if c.l.dialect != current && c.g.Player != nil {
					r.commands = append(slices.Clone(c.g.Player.Commands), p.Commands...)
				}
			}
			if c.l.dialect == current {
				r.wish = p.Format
			}
		}
		if s.Artwork != nil {
			r.pictures = s.Artwork.Channels
		}
		if s.Visualizer != nil {
			r.visual = s.Visualizer
		}
	})
	if c.seat == nil || !slices.Contains(c.active, rolePlayer) {
		return nil
	}
	set, _ := c.seat.Settings()
	if volume != nil && *volume == set.Volume {
		volume = nil
	}
	if muted != nil && *muted == set.Muted {
		muted = nil
	}
	if volume != nil || muted != nil {
		if err := c.seat.SetVolume(ctx, volume, muted); err != nil && !tutti.IsKind(err, tutti.KindInvalid) {
			return err
		}
	}
	if delay != nil && c.delayCommand() != "" && *delay != set.Latency {
		if _, err := c.s.c.House.ChangeRoomPlayer(ctx, tutti.Viewer{}, c.id, tutti.RoomPlayerChange{Latency: delay}); err != nil {
			return err
		}
	}
	return nil
}

// delayCommand is how the client is told of a delay, "" where it cannot be.
func (c *client) delayCommand() string {
	for _, name := range []string{commandOutputDelay, commandStaticDelay} {
		if c.takes(name) {
			return name
		}
	}
	return ""
}

// wishes takes in another format that the client asks for, of the dialects that have a message for it.
func (c *client) wishes(f formatWish) {
	c.learn(func(r *report) {
		if p := f.Player; p != nil && c.g.Player != nil {
			next := c.g.Player.Formats[0]
			if r.wish != nil {
				next = *r.wish
			} else if chosen := c.choose(*r); chosen != nil {
				next = *chosen
			}
			for _, v := range []struct{ said, to *int }{{p.Channels, &next.Channels}, {p.Rate, &next.Rate}, {p.Depth, &next.Depth}} {
				if v.said != nil {
					*v.to = *v.said
				}
			}
			if p.Codec != nil {
				next.Codec = *p.Codec
			}
			r.wish = &next
		}
		if a := f.Artwork; a != nil && a.Channel < len(r.pictures) {
			next := slices.Clone(r.pictures)
			n := &next[a.Channel]
			for _, v := range []struct{ said, to *string }{{a.Source, &n.Source}, {a.Format, &n.Format}} {
				if v.said != nil {
					*v.to = *v.said
				}
			}
			for _, v := range []struct{ said, to *int }{{a.Width, &n.Width}, {a.Height, &n.Height}} {
				if v.said != nil {
					*v.to = *v.said
				}
			}
			if checked, err := checkPictures(next); err == nil {
				r.pictures = checked
			}
		}
	})
}
