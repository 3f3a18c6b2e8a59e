package subsonic

import (
	"slices"
	"time"

	"tutti"
)

// starThings stars or unstars; the three parameters differ only in what old servers took the numbers for.
func (s *Server) starThings(c *call, starred bool) error {
	ids := slices.Concat(c.ids("id"), c.ids("albumId"), c.ids("artistId"))
	if len(ids) == 0 {
		c.fail(codeMissing, "a required parameter is missing: send id, albumId or artistId")
	}
	if err := c.err(); err != nil {
		return err
	}
	return s.cfg.Catalog.Star(c.r.Context(), c.viewer, starred, ids...)
}

func (s *Server) star(c *call) error { return s.starThings(c, true) }

func (s *Server) unstar(c *call) error { return s.starThings(c, false) }

func (s *Server) setRating(c *call) error {
	id := c.id("id")
	c.need("rating")
	rating := c.int("rating", 0, 0, 5)
	if err := c.err(); err != nil {
		return err
	}
	return s.cfg.Catalog.Rate(c.r.Context(), c.viewer, id, int(rating))
}

// scrobble counts plays, or with submission=false says what is playing. The n-th time belongs to the n-th song; a song
// without one was played now, and so was one from the future, which a player with a wrong clock sends.
func (s *Server) scrobble(c *call) error {
	ctx := c.r.Context()
	ids := c.ids("id")
	if len(ids) == 0 {
		c.need("id")
	}
	submission := c.bool("submission", true)
	now := s.cfg.Clock.Now().UTC()
	times := make([]time.Time, len(ids))
	for i := range times {
		times[i] = now
	}
	for i, v := range c.all("time") {
		if i == len(times) {
			break
		}
		if at := time.UnixMilli(c.asInt("time", v, 0, maxMillis)).UTC(); at.Before(now) {
			times[i] = at
		}
	}
	if err := c.err(); err != nil {
		return err
	}
	if err := s.songsExist(c, ids); err != nil {
		return err
	}
	if !submission {
		return s.cfg.Catalog.NowPlaying(ctx, c.viewer, tutti.Playing{
			User: c.user.ID, UserName: c.user.Name, Player: c.player(),
			Track: tutti.Track{ID: ids[len(ids)-1]}, State: "playing", Rate: 1, ReportedAt: now,
		})
	}
	plays := make([]tutti.Play, len(ids))
	for i := range ids {
		plays[i] = tutti.Play{Track: ids[i], At: times[i]}
	}
	return s.cfg.Catalog.Played(ctx, c.viewer, plays...)
}

var states = []string{"starting", "playing", "paused", "stopped"}

// mediaID reads the pair of parameters by which the newer endpoints name a song.
func (c *call) mediaID() tutti.ID {
	id := c.id("mediaId")
	switch kind := c.need("mediaType"); kind {
	case "song", "":
	case "podcast":
		c.fail(codeNotFound, "this server has no podcasts")
	default:
		c.fail(codeGeneric, "the parameter %q must be song or podcast", "mediaType")
	}
	return id
}

// reportPlayback is the extension playbackReport: what a player does at this moment. A play is counted from these
// reports when it ends; see playback.
func (s *Server) reportPlayback(c *call) error {
	ctx := c.r.Context()
	id := c.mediaID()
	c.need("positionMs")
	position := c.millis("positionMs")
	state := c.need("state")
	rate := c.float("playbackRate", 1, 0, 16)
	ignore := c.bool("ignoreScrobble", false)
	if state != "" && !slices.Contains(states, state) {
		c.fail(codeGeneric, "the parameter %q must be starting, playing, paused or stopped", "state")
	}
	if err := c.err(); err != nil {
		return err
	}
	track, err := s.cfg.Catalog.Track(ctx, c.viewer, id)
	if err != nil {
		return err
	}
	p := tutti.Playing{
		User: c.user.ID, UserName: c.user.Name, Player: c.player(),
		Track: track, State: state, Position: position, Rate: rate, ReportedAt: s.cfg.Clock.Now().UTC(),
	}
	if err := s.cfg.Catalog.NowPlaying(ctx, c.viewer, p); err != nil {
		return err
	}
	if finished := s.playback.report(&p, ignore); len(finished) > 0 {
		return s.cfg.Catalog.Played(ctx, c.viewer, finished...)
	}
	return nil
}
