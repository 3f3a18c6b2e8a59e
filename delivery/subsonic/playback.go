package subsonic

import (
	"sync"
	"time"

	"tutti"
	"tutti/clock"
)

// playback follows the reports of running players (extension playbackReport) to count a play when it ends. It keeps
// one small record for each player at work, in memory only: were the process to end in mid-song, that one play would
// go uncounted, as it does when a player loses its connection.
//
// A play counts when at least half of the song, or four minutes of it, was heard; that is the rule of
// https://www.last.fm/api/scrobbling, which listeners know. What was heard is measured by the server's clock between
// the reports, so seeking to the end is not listening.
type playback struct {
	clock clock.Clock

	mu      sync.Mutex
	players map[playerKey]*playSession
}

type playerKey struct {
	user   tutti.ID
	player string
}

type playSession struct {
	track    tutti.ID
	duration time.Duration
	started  time.Time
	heard    time.Duration
	last     tutti.Playing
	ignore   bool // the client said that it counts this play itself
}

const (
	maxPlayers   = 10_000           // players followed at once; more is somebody inventing names
	reportsEnd   = 30 * time.Minute // after the planned end of a song its reports are no longer awaited (reportPlayback)
	alwaysCounts = 4 * time.Minute
)

func newPlayback(c clock.Clock) *playback {
	return &playback{clock: c, players: make(map[playerKey]*playSession)}
}

// report takes in one report and returns the plays that it ends.
func (p *playback) report(r *tutti.Playing, ignore bool) []tutti.Play {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := playerKey{r.User, r.Player}
	now := p.clock.Now()
	s := p.players[key]
	if s != nil && s.expired(now) {
		delete(p.players, key)
		s = nil
	}
	var plays []tutti.Play
	if s != nil {
		s.hear(now)
		s.ignore = s.ignore || ignore
		// A song that another follows, or that begins again, has ended without saying so.
		if s.track != r.Track.ID || r.State == "starting" && s.heard > 0 {
			plays = s.end(plays)
			delete(p.players, key)
			s = nil
		}
	}
	if s == nil {
		if r.State == "stopped" {
			return plays
		}
		if len(p.players) >= maxPlayers {
			p.sweep(now)
		}
		if len(p.players) >= maxPlayers {
			return plays
		}
		s = &playSession{track: r.Track.ID, duration: r.Track.Duration, started: now, ignore: ignore}
		p.players[key] = s
	}
	s.last = *r
	s.last.Track = tutti.Track{} // only its id and length matter, and they are kept
	s.last.ReportedAt = now
	if r.State == "stopped" {
		plays = s.end(plays)
		delete(p.players, key)
	}
	return plays
}

// hear adds what was played since the last report: no more than was left of the song.
func (s *playSession) hear(now time.Time) {
	if s.last.State != "playing" {
		return
	}
	d := time.Duration(float64(max(now.Sub(s.last.ReportedAt), 0)) * s.last.Rate)
	if s.duration > 0 {
		d = min(d, max(s.duration-s.last.Position, 0))
	}
	s.heard += d
}

func (s *playSession) end(plays []tutti.Play) []tutti.Play {
	enough := s.heard >= alwaysCounts || (s.duration > 0 && s.heard >= s.duration/2)
	if s.ignore || !enough {
		return plays
	}
	return append(plays, tutti.Play{Track: s.track, At: s.started.UTC()})
}

func (s *playSession) expired(now time.Time) bool {
	left := max(s.duration-s.last.Position, 0)
	if s.last.Rate > 0 {
		left = time.Duration(float64(left) / s.last.Rate)
	}
	if s.last.State == "paused" {
		left += 24 * time.Hour // a pause has no planned end; a day is a long one
	}
	return now.Sub(s.last.ReportedAt) > left+reportsEnd
}

func (p *playback) sweep(now time.Time) {
	for k, s := range p.players {
		if s.expired(now) {
			delete(p.players, k)
		}
	}
}
