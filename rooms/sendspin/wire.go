package sendspin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// dialect is which of the protocol's three wires a client speaks. The first frame tells the plain one from the encrypted
// ones; those begin alike, and the greeting inside tells them apart.
type dialect int

const (
	// plain is the text of January 2026, with what players of that time have added to it (required_lead_time_ms,
	// min_buffer_ms, static_delay_ms, supported_commands in client/state). Its first frame is client/hello.
	plain dialect = iota
	// first is the first encrypted one, of August 2026: its client/hello has supported_pair_methods as a list.
	first
	// current is the text of September 2026: supported_pair_methods is an object.
	current
)

func (d dialect) String() string { return [...]string{"plain", "encrypted, first", "encrypted"}[d] }

// Binary messages begin with one of these.
const (
	jsonBody      = 0 // of the encrypted dialects, where everything is binary
	fragment      = 1 // current
	fragmentMore  = 2 // first
	fragmentLast  = 3 // first
	audioChunk    = 4
	artworkFirst  = 8 // to 11, a channel each
	visualLoud    = 16
	visualPeakHz  = 18
	visualBins    = 19
	visualOnset   = 20
	artworkLimit  = 65519 // bytes of an artwork message of the current dialect
	maxTransport  = 65535 // bytes of a Noise message (The Noise Protocol Framework, revision 34, section 3)
	tagSize       = 16
	maxPlaintext  = maxTransport - tagSize
	maxMessage    = 64 << 10 // bytes of what a client may send, fragments put together
	maxRoles      = 32
	maxFormats    = 64
	maxBins       = 512
	maxChannels   = 4
	maxSide       = 4096 // pixels of a picture that a client may ask for
	maxNameBytes  = 400
	maxDelay      = 5000 // ms, of an output delay
	maxClientName = 80   // bytes of a name in the log
)

// envelope is every JSON message.
type envelope struct {
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload"`
}

func parseEnvelope(b []byte) (envelope, error) {
	var e envelope
	if len(b) > maxMessage {
		return e, fmt.Errorf("a message of %d bytes; %d are allowed", len(b), maxMessage)
	}
	if !utf8.Valid(b) {
		return e, errors.New("a message that is not UTF-8")
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return e, fmt.Errorf("a message that is no JSON: %w", err)
	}
	if e.Type == "" || len(e.Type) > 64 {
		return e, errors.New("a message without a type")
	}
	if len(e.Payload) == 0 || bytes.Equal(e.Payload, []byte("null")) {
		e.Payload = json.RawMessage("{}")
	}
	return e, nil
}

// opening is the payload of client/init.
type opening struct {
	ClientID string `json:"client_id"`
	Version  int    `json:"version"`
	Suite    string `json:"suite"`
}

// greeting is the payload of client/hello. What a plain one has and the others say in client/init is in it, too.
type greeting struct {
	ClientID string `json:"client_id"`
	Version  int    `json:"version"`
	Name     string `json:"name"`
	Device   struct {
		Product      string `json:"product_name"`
		Manufacturer string `json:"manufacturer"`
		Software     string `json:"software_version"`
	} `json:"device_info"`
	Roles   []string `json:"supported_roles"`
	Player  *playerSupport
	Artwork *struct { // of the first two dialects; the current one has it in client/state
		Channels []pictureWish `json:"channels"`
	} `json:"artwork@v1_support"`
	Visualizer *visualSupport `json:"visualizer@v1_support"`
	Methods    methods        `json:"supported_pair_methods"`
	Unpaired   struct {
		Enabled bool `json:"enabled"`
	} `json:"unpaired_access"`
}

type playerSupport struct {
	Formats  []format `json:"supported_formats"`
	Capacity int64    `json:"buffer_capacity"`
	Commands []string `json:"supported_commands"` // the current dialect has them in client/state
}

// format is how sound is sent.
type format struct {
	Codec    string `json:"codec"`
	Channels int    `json:"channels"`
	Rate     int    `json:"sample_rate"`
	Depth    int    `json:"bit_depth"`
}

// methods are the ways of pairing that a client offers, by their names in the current dialect. listed says that they came
// as a list, which the first encrypted dialect has.
type methods struct {
	listed bool
	of     map[string]method
}

type method struct {
	Method    string   `json:"method"` // in lists
	Formats   []string `json:"formats"`
	MinLength int      `json:"min_pin_length"`
	Locked    bool     `json:"locked_out"`
}

const (
	byToken       = "pairing_psk"
	byShownCode   = "dynamic_pairing_code"
	byFixedCode   = "static_pairing_code"
	byShownFirst  = "dynamic_pin" // what the first encrypted dialect calls them
	byFixedFirst  = "static_pin"
	formatDigits  = "digits"
	fixedLength   = 8 // digits
	shownLength   = 6
	maxCodeLength = 12
)

// UnmarshalJSON takes both shapes.
func (m *methods) UnmarshalJSON(b []byte) error {
	m.of = map[string]method{}
	if len(b) > 0 && b[0] == '{' {
		var by map[string]json.RawMessage
		if err := json.Unmarshal(b, &by); err != nil {
			return err
		}
		for _, name := range []string{byToken, byShownCode, byFixedCode} { // others are of a newer text, and left alone
			raw, ok := by[name]
			if !ok {
				continue
			}
			var v method
			if err := json.Unmarshal(raw, &v); err != nil {
				return err
			}
			if name == byShownCode && !slices.Contains(v.Formats, formatDigits) {
				continue // a picture to scan, which a terminal cannot
			}
			m.of[name] = v
		}
		return nil
	}
	m.listed = true
	var all []method
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	for _, v := range all {
		switch v.Method {
		case byToken:
			m.of[byToken] = v
		case byShownFirst:
			m.of[byShownCode] = v
		case byFixedFirst:
			m.of[byFixedCode] = v
		}
	}
	return nil
}

type visualSupport struct {
	Capacity int64 `json:"buffer_capacity"`
	visualWish
}

// visualWish is what a visualizer asks for: in client/state, and in client/hello where a client of an earlier text has it
// there.
type visualWish struct {
	Types    []string `json:"types"`
	RateMax  int      `json:"rate_max"`
	Spectrum *bins    `json:"spectrum"`
}

type bins struct {
	Count int    `json:"n_disp_bins"`
	Scale string `json:"scale"`
	Min   int    `json:"f_min"`
	Max   int    `json:"f_max"`
}

// pictureWish is what a client wants on a channel. The current dialect says width and height where the others say
// media_width and media_height.
type pictureWish struct {
	Source      string `json:"source"`
	Format      string `json:"format"`
	Width       int    `json:"width"`
	Height      int    `json:"height"`
	MediaWidth  int    `json:"media_width"`
	MediaHeight int    `json:"media_height"`
}

// role names a family of roles, and is known at version 1.
const (
	rolePlayer     = "player"
	roleController = "controller"
	roleMetadata   = "metadata"
	roleArtwork    = "artwork"
	roleVisualizer = "visualizer"
	roleColor      = "color"
)

// roles are those of a greeting that are known, in its order.
func (g *greeting) roles() []string {
	var out []string
	for _, r := range g.Roles {
		family, version, _ := strings.Cut(r, "@")
		if version != "v1" || slices.Contains(out, family) {
			continue
		}
		switch family {
		case rolePlayer:
			if g.Player == nil {
				continue
			}
		case roleVisualizer:
			if g.Visualizer == nil {
				continue
			}
		case roleController, roleMetadata, roleArtwork, roleColor:
		default:
			continue
		}
		out = append(out, family)
	}
	return out
}

func versioned(families []string) []string {
	out := make([]string, len(families))
	for i, f := range families {
		out[i] = f + "@v1"
	}
	return out
}

// parseGreeting reads a client/hello.
func parseGreeting(payload []byte) (greeting, error) {
	var g greeting
	// The role's own key cannot be an embedded name: two shapes of it are in use.
	var support struct {
		Player *playerSupport `json:"player@v1_support"`
		Old    *playerSupport `json:"player_support"`
	}
	if err := errors.Join(json.Unmarshal(payload, &g), json.Unmarshal(payload, &support)); err != nil {
		return g, fmt.Errorf("its greeting: %w", err)
	}
	if g.Player = support.Player; g.Player == nil {
		g.Player = support.Old
	}
	switch {
	case len(g.Name) > maxNameBytes, len(g.Device.Product)+len(g.Device.Manufacturer)+len(g.Device.Software) > 4*maxNameBytes:
		return g, errors.New("its greeting: names that are too long")
	case len(g.Roles) > maxRoles:
		return g, fmt.Errorf("its greeting: %d roles", len(g.Roles))
	case g.Player != nil && (len(g.Player.Formats) == 0 || len(g.Player.Formats) > maxFormats || g.Player.Capacity <= 0):
		return g, errors.New("its greeting: a player says which formats it takes and how much it holds")
	case g.Visualizer != nil && g.Visualizer.Capacity <= 0:
		return g, errors.New("its greeting: a visualizer says how much it holds")
	}
	if g.Visualizer != nil {
		if err := g.Visualizer.check(); err != nil {
			return g, err
		}
	}
	if g.Artwork != nil {
		var err error
		if g.Artwork.Channels, err = checkPictures(g.Artwork.Channels); err != nil {
			return g, err
		}
	}
	return g, nil
}

func checkPictures(all []pictureWish) ([]pictureWish, error) {
	if len(all) > maxChannels {
		return nil, fmt.Errorf("%d channels of pictures; there are %d", len(all), maxChannels)
	}
	for i := range all {
		c := &all[i]
		if c.Width == 0 && c.Height == 0 {
			c.Width, c.Height = c.MediaWidth, c.MediaHeight
		}
		c.MediaWidth, c.MediaHeight = 0, 0
		if c.Source == sourceNone {
			*c = pictureWish{Source: sourceNone}
			continue
		}
		if c.Source != sourceAlbum && c.Source != sourceArtist || !slices.Contains([]string{"jpeg", "png", "bmp"}, c.Format) ||
			c.Width < 1 || c.Height < 1 || c.Width > maxSide || c.Height > maxSide {
			return nil, fmt.Errorf("a picture of %q as %q, %d by %d", c.Source, c.Format, c.Width, c.Height)
		}
	}
	return all, nil
}

func (v *visualWish) check() error {
	if len(v.Types) > 16 || v.RateMax < 0 {
		return errors.New("what it wants to show")
	}
	if s := v.Spectrum; s != nil && (s.Count < 1 || s.Min < 0 || s.Max <= s.Min || s.Max > 1<<20 || !slices.Contains([]string{"mel", "log", "lin"}, s.Scale)) {
		return errors.New("the spectrum that it wants to show")
	}
	if slices.Contains(v.Types, "spectrum") && v.Spectrum == nil {
		return errors.New("a spectrum without its bins")
	}
	return nil
}

// stateReport is the payload of client/state. What is nil was not said.
type stateReport struct {
	Available *bool         `json:"available"`
	State     string        `json:"state"` // plain: synchronized, error or external_source
	Player    *playerReport `json:"player"`
	Artwork   *struct {
		Channels []pictureWish `json:"channels"`
	} `json:"artwork"`
	Visualizer *visualWish `json:"visualizer"`
}

type playerReport struct {
	State       string   `json:"state"` // as players of the plain dialect have it
	Volume      *int     `json:"volume"`
	Muted       *bool    `json:"muted"`
	StaticDelay *float64 `json:"static_delay_ms"` // the first two dialects
	OutputDelay *float64 `json:"output_delay_ms"` // the current one
	MinBuffer   *float64 `json:"min_buffer_ms"`
	Commands    []string `json:"supported_commands"`
	Format      *format  `json:"format"`
}

// buffer is how far ahead of its time the player wants sound at least (spec, player, Server Audio Send Constraints).
func (p *playerReport) buffer() time.Duration {
	ms := 0.0
	for _, v := range []*float64{p.OutputDelay, p.MinBuffer} {
		if v != nil {
			ms += max(*v, 0)
		}
	}
	return time.Duration(ms * float64(time.Millisecond))
}

func parseState(payload []byte) (stateReport, error) {
	var s stateReport
	if err := json.Unmarshal(payload, &s); err != nil {
		return s, fmt.Errorf("its state: %w", err)
	}
	if p := s.Player; p != nil {
		if p.Volume != nil && (*p.Volume < 0 || *p.Volume > 100) {
			return s, fmt.Errorf("its state: a volume of %d", *p.Volume)
		}
		if len(p.Commands) > 16 {
			return s, errors.New("its state: too many commands")
		}
		if p.OutputDelay == nil {
			p.OutputDelay = p.StaticDelay
		}
		for _, d := range []*float64{p.OutputDelay, p.MinBuffer} {
			if d != nil && !(*d >= -maxDelay && *d <= 60_000) {
				return s, errors.New("its state: a time that cannot be")
			}
		}
	}
	if s.Artwork != nil {
		var err error
		if s.Artwork.Channels, err = checkPictures(s.Artwork.Channels); err != nil {
			return s, err
		}
	}
	if s.Visualizer != nil {
		if err := s.Visualizer.check(); err != nil {
			return s, err
		}
	}
	return s, nil
}

// order is the payload of client/command.
type order struct {
	Controller *struct {
		Command  string `json:"command"`
		Volume   *int   `json:"volume"`
		Mute     *bool  `json:"mute"`
		Position *int64 `json:"position_ms"`
		Offset   *int64 `json:"offset_ms"`
	} `json:"controller"`
}

func parseOrder(payload []byte) (order, error) {
	var o order
	if err := json.Unmarshal(payload, &o); err != nil {
		return o, fmt.Errorf("its command: %w", err)
	}
	return o, nil
}

// formatWish is the payload of stream/request-format, of the first two dialects. What is nil stays.
type formatWish struct {
	Player *struct {
		Codec    *string `json:"codec"`
		Channels *int    `json:"channels"`
		Rate     *int    `json:"sample_rate"`
		Depth    *int    `json:"bit_depth"`
	} `json:"player"`
	Artwork *struct {
		Channel int     `json:"channel"`
		Source  *string `json:"source"`
		Format  *string `json:"format"`
		Width   *int    `json:"media_width"`
		Height  *int    `json:"media_height"`
	} `json:"artwork"`
}

func parseFormatWish(payload []byte) (formatWish, error) {
	var f formatWish
	if err := json.Unmarshal(payload, &f); err != nil {
		return f, fmt.Errorf("the format that it asks for: %w", err)
	}
	if f.Artwork != nil && (f.Artwork.Channel < 0 || f.Artwork.Channel >= maxChannels) {
		return f, fmt.Errorf("channel %d", f.Artwork.Channel)
	}
	return f, nil
}

// question is the payload of client/time.
type question struct {
	Sent *int64 `json:"client_transmitted"`
}

func parseQuestion(payload []byte) (question, error) {
	var q question
	// Clients written in JavaScript send the fractions of a microsecond that their clock has.
	var loose struct {
		Sent *json.Number `json:"client_transmitted"`
	}
	if err := json.Unmarshal(payload, &loose); err != nil || loose.Sent == nil {
		return q, fmt.Errorf("its question about the time: %w", errors.Join(err, errors.New("no time")))
	}
	if v, err := loose.Sent.Int64(); err == nil {
		q.Sent = &v
		return q, nil
	}
	f, err := loose.Sent.Float64()
	if err != nil || !(f > -1<<62 && f < 1<<62) {
		return q, errors.New("its question about the time: a time that cannot be")
	}
	v := int64(f)
	q.Sent = &v
	return q, nil
}
