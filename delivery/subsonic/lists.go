package subsonic

import (
	"hash/fnv"
	"math"
	"time"

	"tutti"
)

// maxPage is the most that a list of albums or songs returns at once, as the specification has it; maxFound bounds
// searches, which the specification leaves open and clients use to copy a whole library.
const (
	maxPage  = 500
	maxFound = 10_000
)

var albumOrders = map[string]tutti.AlbumOrder{
	"alphabeticalByName":   tutti.AlbumsByName,
	"alphabeticalByArtist": tutti.AlbumsByArtist,
	"newest":               tutti.AlbumsNewest,
	"random":               tutti.AlbumsRandom,
	"byYear":               tutti.AlbumsByYear,
	"byGenre":              tutti.AlbumsByGenre,
	"frequent":             tutti.AlbumsFrequent,
	"recent":               tutti.AlbumsRecent,
	"starred":              tutti.AlbumsStarred,
	"highest":              tutti.AlbumsHighest,
}

// maxYear keeps years within what a date can hold.
const maxYear = 9999

// only is a condition of one value, which a request may leave out.
func only(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

func (s *Server) albumList(c *call) ([]tutti.Album, error) {
	kind := c.need("type")
	q := tutti.AlbumQuery{Page: tutti.Page{Offset: c.offset("offset"), Limit: c.count("size", 10, maxPage)}}
	var known bool
	if q.Order, known = albumOrders[kind]; !known {
		c.fail(codeGeneric, "the parameter %q names no kind of list that there is", "type")
	}
	switch q.Order {
	case tutti.AlbumsByYear:
		c.need("fromYear")
		c.need("toYear")
		q.FromYear, q.ToYear = int(c.int("fromYear", 0, 0, maxYear)), int(c.int("toYear", 0, 0, maxYear))
	case tutti.AlbumsByGenre:
		q.Genres = only(c.need("genre"))
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	library, err := s.library(c)
	if err != nil || q.Limit == 0 {
		return nil, err
	}
	q.Libraries = only(library)
	albums, _, err := s.cfg.Catalog.Albums(c.r.Context(), c.viewer, q)
	return albums, err
}

func (s *Server) getAlbumList(c *call) error {
	albums, err := s.albumList(c)
	if err != nil {
		return err
	}
	c.out.open("albumList")
	c.out.albumChildren("album", albums)
	c.out.close()
	return nil
}

func (s *Server) getAlbumList2(c *call) error {
	albums, err := s.albumList(c)
	if err != nil {
		return err
	}
	c.out.open("albumList2")
	c.out.albums("album", albums)
	c.out.close()
	return nil
}

// trackList answers a query for tracks in the element called name.
func (s *Server) trackList(c *call, name string, q tutti.TrackQuery) error {
	if err := c.err(); err != nil {
		return err
	}
	library, err := s.library(c)
	if err != nil {
		return err
	}
	q.Libraries = only(library)
	var tracks []tutti.Track
	if q.Limit > 0 {
		if tracks, _, err = s.cfg.Catalog.Tracks(c.r.Context(), c.viewer, q); err != nil {
			return err
		}
	}
	c.out.open(name)
	c.out.songs("song", tracks)
	c.out.close()
	return nil
}

func (s *Server) getRandomSongs(c *call) error {
	return s.trackList(c, "randomSongs", tutti.TrackQuery{
		Random:   true,
		Genres:   only(c.get("genre")),
		FromYear: int(c.int("fromYear", 0, 0, maxYear)),
		ToYear:   int(c.int("toYear", 0, 0, maxYear)),
		Page:     tutti.Page{Limit: c.count("size", 10, maxPage)},
	})
}

func (s *Server) getSongsByGenre(c *call) error {
	return s.trackList(c, "songsByGenre", tutti.TrackQuery{
		Genres: only(c.need("genre")),
		Page:   tutti.Page{Offset: c.offset("offset"), Limit: c.count("count", 10, maxPage)},
	})
}

// playingPosition is where a player must be by now, going by its last report. It does not run past the end.
func playingPosition(p *tutti.Playing, now time.Time) time.Duration {
	at := p.Position
	if p.State == "playing" {
		if since := now.Sub(p.ReportedAt); since > 0 {
			at += time.Duration(float64(since) * p.Rate)
		}
	}
	if p.Track.Duration > 0 {
		at = min(at, p.Track.Duration)
	}
	return max(at, 0)
}

func (s *Server) getNowPlaying(c *call) error {
	playing, err := s.cfg.Catalog.NowPlayingAll(c.r.Context(), c.viewer)
	if err != nil {
		return err
	}
	now := s.cfg.Clock.Now()
	c.out.open("nowPlaying")
	c.out.array("entry")
	for i := range playing {
		p := &playing[i]
		c.out.each()
		c.out.songWith(&p.Track, func() {
			c.out.str("username", p.UserName)
			c.out.int("minutesAgo", max(int64(now.Sub(p.ReportedAt)/time.Minute), 0))
			c.out.int("playerId", playerNumber(p.UserName, p.Player))
			c.out.str("playerName", p.Player)
			c.out.str("state", p.State)
			c.out.int("positionMs", playingPosition(p, now).Milliseconds())
			c.out.float("playbackRate", p.Rate)
		})
		c.out.close()
	}
	c.out.endArray()
	c.out.close()
	return nil
}

// playerNumber gives a player the number that the protocol wants: the same for the same player, and small enough for a
// signed 32-bit integer.
func playerNumber(user, player string) int64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(user + "\x00" + player)) // a hash never fails
	return int64(h.Sum32() & math.MaxInt32)
}

// starredOf finds what answers getStarred and getStarred2.
func (s *Server) starredOf(c *call) (tutti.SearchResult, []tutti.Folder, error) {
	library, err := s.library(c)
	if err != nil {
		return tutti.SearchResult{}, nil, err
	}
	return s.cfg.Catalog.Starred(c.r.Context(), c.viewer, library)
}

func (s *Server) getStarred(c *call) error {
	found, folders, err := s.starredOf(c)
	if err != nil {
		return err
	}
	c.out.open("starred")
	c.out.oldArtists("artist", found.Artists)
	c.out.array("album")
	for i := range found.Albums {
		c.out.each()
		c.out.albumChild(&found.Albums[i])
		c.out.close()
	}
	for i := range folders {
		c.out.each()
		c.out.folderChild(&folders[i])
		c.out.close()
	}
	c.out.endArray()
	c.out.songs("song", found.Tracks)
	c.out.close()
	return nil
}

func (s *Server) getStarred2(c *call) error {
	found, _, err := s.starredOf(c)
	if err != nil {
		return err
	}
	c.out.open("starred2")
	c.out.artists("artist", found.Artists)
	c.out.albums("album", found.Albums)
	c.out.songs("song", found.Tracks)
	c.out.close()
	return nil
}
