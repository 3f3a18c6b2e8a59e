package api

import (
	"math"
	"net/http"
	"time"

	"tutti"
	"tutti/delivery"
)

type rating struct {
	Rating int `json:"rating" min:"0" max:"5" doc:"1 to 5; 0 takes the rating back."`
}

type play struct {
	Track tutti.ID  `json:"track"`
	At    time.Time `json:"at,omitzero" doc:"When it ended; left out for now."`
}

type plays struct {
	Plays []play `json:"plays" doc:"At most 500."`
}

type report struct {
	Track      tutti.ID `json:"track"`
	State      string   `json:"state" enum:"starting,playing,paused,stopped"`
	PositionMs int64    `json:"positionMs"`
	Rate       float64  `json:"rate,omitempty" doc:"Playback rate; left out for 1."`
	Player     string   `json:"player,omitempty" doc:"The app's name."`
}

type playing struct {
	User       string    `json:"user"`
	Player     string    `json:"player,omitempty"`
	State      string    `json:"state" enum:"starting,playing,paused,stopped"`
	PositionMs int64     `json:"positionMs" doc:"As reported."`
	Rate       float64   `json:"rate"`
	Reported   time.Time `json:"reported"`
	Track      track     `json:"track"`
}

// plan says in which shape a track would be delivered.
type plan struct {
	Codec       string `json:"codec" doc:"Of what is sent: flac, mp3, opus, aac, …"`
	ContentType string `json:"contentType"`
	BitRate     int    `json:"bitRate,omitempty" doc:"kbit/s, average; left out where it is not known beforehand."`
	SampleRate  int    `json:"sampleRate,omitempty" doc:"Hz."`
	BitDepth    int    `json:"bitDepth,omitempty" doc:"Bits a sample, of what is lossless."`
	Channels    int    `json:"channels,omitempty"`
	Size        int64  `json:"size,omitempty" doc:"Bytes; left out while it is not known."`
	Original    bool   `json:"original" doc:"The original, bit for bit."`
	Lossless    bool   `json:"lossless" doc:"Nothing of the original's sound is lost on the way, and the original is lossless."`
	Ready       bool   `json:"ready" doc:"The first bytes can be sent at once."`
	Reason      string `json:"reason" doc:"Why it is sent so, for a person."`
}

// peaks is the outline of a track.
type peaks struct {
	Points     []float64 `json:"points" doc:"The largest sample of each part of the track, from 0 to 1, which is full scale."`
	RMS        []float64 `json:"rms" doc:"The root mean square of each part, likewise."`
	DurationMs int64     `json:"durationMs" doc:"Of all parts together, which are equally long."`
}

// Limits of what a listener sends.
const (
	maxPlays = 500
	maxName  = 200 // bytes of an app's name
	maxList  = 40_000
	maxPx    = 4096

	maxPoints = 4000
)

func (s *server) listenRoutes() []route {
	stream, comment := holder(tutti.RoleStream), holder(tutti.RoleComment)
	wants := []param{
		{name: "format", doc: "raw for the original bit for bit, or mp3, opus, aac, flac, wav; left out, the server decides."},
		{name: "maxRate", kind: integer, max: 100_000, doc: "At most so many kbit/s; 0 is no limit."},
		{name: "offsetMs", kind: integer, max: maxMs, doc: "Begin this far in; the answer is then a transcode."},
	}
	return []route{
		bytesOf("tracks/{id}/stream", "streamTrack", "listen", "A track's audio", "audio/*", stream, (*call).stream, wants...).
			saying("Originals and finished transcodes answer Range, If-Range and conditional requests."),
		get("tracks/{id}/plan", "planTrack", "listen", "What streamTrack would send, and why", stream, (*call).plan, wants...).
			saying("It makes the beginning ready as well, so asking it of the next track has that start at once."),
		get("tracks/{id}/peaks", "getPeaks", "listen", "What a track looks like, for a seek bar", stream, (*call).peaks,
			param{name: "points", kind: integer, min: 1, max: maxPoints, def: 800, doc: "In how many parts."}).
			saying("Outlines are made once, when first asked for. Until one is there the answer is 503, unavailable, with Retry-After."),
		bytesOf("tracks/{id}/download", "downloadTrack", "listen", "A track's original as a file", "audio/*", holder(tutti.RoleDownload), (*call).download),
		bytesOf("albums/{id}/download", "downloadAlbum", "listen", "An album's originals as a ZIP file", "application/zip", holder(tutti.RoleDownload), (*call).downloadAlbum).
			saying("The files are stored as they are, in one folder that is named after the album. Ranges are not answered."),
		bytesOf("covers/{id}", "getCover", "listen", "The picture of a track, album, artist, folder or playlist", "image/*", member, (*call).cover,
			param{name: "size", kind: integer, max: maxPx, doc: "At most so many pixels on its longest side; 0 is as it is."}),
		act(http.MethodPut, "stars/{id}", "star", "listen", "Star a track, album, artist or folder", comment, (*call).star),
		act(http.MethodDelete, "stars/{id}", "unstar", "listen", "Take a star back", comment, (*call).unstar),
		put(http.MethodPut, "ratings/{id}", "rate", "listen", "Rate a track, album or artist", comment, (*call).rate),
		put(http.MethodPost, "plays", "addPlays", "listen", "Count tracks that were played to the end", stream, (*call).addPlays),
		get("now-playing", "listNowPlaying", "listen", "What is being played by everybody", member, (*call).nowPlaying),
		put(http.MethodPut, "now-playing", "reportPlaying", "listen", "Say what a player does at this moment", stream, (*call).reportPlaying),
	}
}

// want is what the asker's query says, within what their account allows.
func (c *call) want() tutti.PlanRequest {
	want := tutti.Want{
		Format: c.params.text("format"), MaxRate: c.params.int("maxRate"), Offset: milliseconds(int64(c.params.int("offsetMs"))),
	}
	if limit := c.who.MaxBitRate; limit > 0 && (want.MaxRate == 0 || want.MaxRate > limit) {
		want.MaxRate = limit
	}
	return tutti.PlanRequest{Viewer: c.viewer, Track: c.id(), Want: want}
}

func (c *call) stream() error {
	return c.Bytes.ServeTrack(c.w, c.r, c.want(), delivery.Options{})
}

func (c *call) plan() (plan, error) {
	p, err := c.Catalog.Plan(c.r.Context(), c.want())
	if err != nil {
		return plan{}, err
	}
	t, made := &p.Track, p.Ref.Profile
	out := plan{
		Codec: t.Codec, ContentType: p.ContentType, BitRate: t.BitRate, SampleRate: t.SampleRate, BitDepth: t.BitDepth, Channels: t.Channels,
		Size: max(0, p.Size), Original: made.Original(), Lossless: t.Lossless(), Ready: p.Ready, Reason: p.Reason,
	}
	if out.Original {
		return out, nil
	}
	out.Codec, out.BitRate = made.Format, made.BitRate
	if made.Rate != 0 {
		out.SampleRate = made.Rate
	}
	if made.Channels != 0 {
		out.Channels = made.Channels
	}
	switch made.Format {
	case "flac", "wav": // at the depth of the original
		out.Lossless = out.Lossless && made.Rate == 0 && made.Channels == 0
		return out, nil
	case "opus":
		out.SampleRate = 48000 // RFC 6716: all there is
	case "mp3": // ISO 11172-3 and 13818-3 know no more
		out.SampleRate, out.Channels = min(out.SampleRate, 48000), min(out.Channels, 2)
	}
	out.Lossless, out.BitDepth = false, 0
	return out, nil
}

// peaksCaching lets a browser keep an outline for a day: one of another version of the file is hardly worth a question.
const peaksCaching = "private, max-age=86400"

func (c *call) peaks() (peaks, error) {
	p, length, err := c.Waveforms.Waveform(c.r.Context(), c.viewer, c.id())
	if err != nil {
		return peaks{}, err
	}
	c.w.Header().Set("Cache-Control", peaksCaching)
	p = p.Resample(c.params.int("points"))
	return peaks{shares(p.Peak), shares(p.RMS), length.Milliseconds()}, nil
}

// shares says levels as shares of full scale, to four places: as exact as anybody can draw.
func shares(levels []uint16) []float64 {
	out := make([]float64, len(levels))
	for i, v := range levels {
		out[i] = math.Round(float64(v)/math.MaxUint16*1e4) / 1e4
	}
	return out
}

func (c *call) download() error {
	req := tutti.PlanRequest{Viewer: c.viewer, Track: c.id(), Want: tutti.Want{Format: "raw"}}
	return c.Bytes.ServeTrack(c.w, c.r, req, delivery.Options{Download: true})
}

func (c *call) downloadAlbum() error {
	album, tracks, err := c.Catalog.Album(c.r.Context(), c.viewer, c.id())
	if err != nil {
		return err
	}
	return c.Bytes.ServeAlbum(c.w, c.r, c.viewer, &album, tracks)
}

func (c *call) cover() error {
	return c.Bytes.ServeCover(c.w, c.r, c.viewer, c.id(), c.params.int("size"))
}

func (c *call) star() error { return c.Catalog.Star(c.r.Context(), c.viewer, true, c.id()) }

func (c *call) unstar() error { return c.Catalog.Star(c.r.Context(), c.viewer, false, c.id()) }

func (c *call) rate(b rating) error {
	if b.Rating < 0 || b.Rating > 5 {
		return tutti.Errorf(tutti.KindInvalid, "api.rate", `"rating" must be from 0 to 5`)
	}
	return c.Catalog.Rate(c.r.Context(), c.viewer, c.id(), b.Rating)
}

func (c *call) addPlays(b plays) error {
	if len(b.Plays) > maxPlays {
		return tutti.Errorf(tutti.KindInvalid, "api.addPlays", "at most %d plays at once", maxPlays)
	}
	now := c.Clock.Now().UTC()
	list := make([]tutti.Play, len(b.Plays))
	for i, p := range b.Plays {
		list[i] = tutti.Play{Track: p.Track, At: p.At.UTC()}
		if p.At.IsZero() || p.At.After(now) {
			list[i].At = now
		}
	}
	return c.Catalog.Played(c.r.Context(), c.viewer, list...)
}

func (c *call) nowPlaying() (items[playing], error) {
	list, err := c.Catalog.NowPlayingAll(c.r.Context(), c.viewer)
	return items[playing]{wireList(list, func(p *tutti.Playing) playing {
		return playing{p.UserName, p.Player, p.State, p.Position.Milliseconds(), p.Rate, p.ReportedAt, wireTrack(&p.Track)}
	})}, err
}

func (c *call) reportPlaying(b report) error {
	const op = "api.reportPlaying"
	switch b.State {
	case "starting", "playing", "paused", "stopped":
	default:
		return tutti.Errorf(tutti.KindInvalid, op, `"state" must be starting, playing, paused or stopped`)
	}
	if b.Rate == 0 {
		b.Rate = 1
	}
	if err := checkMs("positionMs", b.PositionMs); err != nil {
		return err
	}
	if b.Rate < 0.1 || b.Rate > 10 || len(b.Player) > maxName {
		return tutti.Errorf(tutti.KindInvalid, op, `"rate" must be from 0.1 to 10, and "player" at most %d bytes`, maxName)
	}
	return c.Catalog.NowPlaying(c.r.Context(), c.viewer, tutti.Playing{
		User: c.who.ID, UserName: c.who.Name, Player: b.Player, Track: tutti.Track{ID: b.Track}, State: b.State,
		Position: milliseconds(b.PositionMs), Rate: b.Rate, ReportedAt: c.Clock.Now().UTC(),
	})
}

func checkMs(name string, n int64) error {
	if n < 0 || n > maxMs {
		return tutti.Errorf(tutti.KindInvalid, "api.checkMs", "%q must be from 0 to %d", name, int64(maxMs))
	}
	return nil
}
