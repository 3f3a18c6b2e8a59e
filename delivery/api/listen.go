package api

import (
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

// Limits of what a listener sends.
const (
	maxPlays = 500
	maxName  = 200 // bytes of an app's name
	maxList  = 40_000
	maxPx    = 4096
)

func (s *server) listenRoutes() []route {
	stream, comment := holder(tutti.RoleStream), holder(tutti.RoleComment)
	return []route{
		bytesOf("tracks/{id}/stream", "streamTrack", "listen", "A track's audio", "audio/*", stream, (*call).stream,
			param{name: "format", doc: "raw for the original bit for bit, or mp3, opus, aac, flac, wav; left out, the server decides."},
			param{name: "maxRate", kind: integer, max: 100_000, doc: "At most so many kbit/s; 0 is no limit."},
			param{name: "offsetMs", kind: integer, max: maxMs, doc: "Begin this far in; the answer is then a transcode."}).
			saying("Originals and finished transcodes answer Range, If-Range and conditional requests."),
		bytesOf("tracks/{id}/download", "downloadTrack", "listen", "A track's original as a file", "audio/*", holder(tutti.RoleDownload), (*call).download),
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

func (c *call) stream() error {
	want := tutti.Want{
		Format: c.params.text("format"), MaxRate: c.params.int("maxRate"), Offset: milliseconds(int64(c.params.int("offsetMs"))),
	}
	if limit := c.who.MaxBitRate; limit > 0 && (want.MaxRate == 0 || want.MaxRate > limit) {
		want.MaxRate = limit
	}
	return c.Bytes.ServeTrack(c.w, c.r, tutti.PlanRequest{Viewer: c.viewer, Track: c.id(), Want: want}, delivery.Options{})
}

func (c *call) download() error {
	req := tutti.PlanRequest{Viewer: c.viewer, Track: c.id(), Want: tutti.Want{Format: "raw"}}
	return c.Bytes.ServeTrack(c.w, c.r, req, delivery.Options{Download: true})
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
