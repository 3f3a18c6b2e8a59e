package subsonic

import (
	"context"
	"slices"

	"tutti"
)

const (
	maxName    = 500     // characters of a name
	maxComment = 5000    // characters of a comment or description
	maxEntries = 100_000 // songs in a playlist or queue
)

// playlist writes the fields of a Playlist, without its songs.
func (c *call) playlist(p *tutti.Playlist) {
	e := c.out
	e.str("id", string(p.ID))
	e.str("name", p.Name)
	e.str("comment", p.Comment)
	e.str("owner", p.OwnerName)
	e.bool("public", p.Public)
	e.int("songCount", int64(p.SongCount))
	e.int("duration", seconds(p.Duration))
	e.timeAlways("created", p.Created)
	e.timeAlways("changed", p.Changed)
	if p.SongCount > 0 {
		e.str("coverArt", string(p.ID))
	}
	e.bool("readonly", p.File != "" || p.Owner != c.viewer.User)
	e.strings("allowedUser", nil)
}

func (s *Server) getPlaylists(c *call) error {
	owner := c.get("username")
	if owner != "" && !sameName(owner, c.user.Name) && !c.viewer.Admin {
		return failf(codeForbidden, "only an administrator may list another person's playlists")
	}
	playlists, err := s.cfg.Catalog.Playlists(c.r.Context(), c.viewer)
	if err != nil {
		return err
	}
	c.out.open("playlists")
	c.out.array("playlist")
	for i := range playlists {
		if owner != "" && !sameName(owner, playlists[i].OwnerName) {
			continue
		}
		c.out.each()
		c.playlist(&playlists[i])
		c.out.close()
	}
	c.out.endArray()
	c.out.close()
	return nil
}

// wholePlaylist writes a playlist with its songs. What it says of their number and length is of the songs that the
// viewer can hear, so that the two agree.
func (s *Server) wholePlaylist(c *call, p tutti.Playlist) error {
	tracks, err := s.cfg.Catalog.TracksByID(c.r.Context(), c.viewer, p.Tracks)
	if err != nil {
		return err
	}
	p.SongCount, p.Duration = len(tracks), 0
	for i := range tracks {
		p.Duration += tracks[i].Duration
	}
	c.out.open("playlist")
	c.playlist(&p)
	c.out.songs("entry", tracks)
	c.out.close()
	return nil
}

func (s *Server) getPlaylist(c *call) error {
	id := c.id("id")
	if err := c.err(); err != nil {
		return err
	}
	p, err := s.cfg.Catalog.Playlist(c.r.Context(), c.viewer, id)
	if err != nil {
		return err
	}
	return s.wholePlaylist(c, p)
}

// songsExist returns an error unless every id is a song that the viewer can hear.
func (s *Server) songsExist(c *call, ids []tutti.ID) error {
	if len(ids) > maxEntries {
		return failf(codeGeneric, "too many songs: at most %d", maxEntries)
	}
	if len(ids) == 0 {
		return nil
	}
	wanted := slices.Clone(ids)
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	tracks, err := s.cfg.Catalog.TracksByID(c.r.Context(), c.viewer, wanted)
	if err != nil {
		return err
	}
	if len(tracks) < len(wanted) {
		return failf(codeNotFound, "%d of these songs are not in the library", len(wanted)-len(tracks))
	}
	return nil
}

// createPlaylist makes a playlist, or, with playlistId, replaces the songs of one and its name where one is sent.
func (s *Server) createPlaylist(c *call) error {
	ctx := c.r.Context()
	id := c.asID("playlistId", c.get("playlistId"))
	name := c.limited("name", maxName)
	songs := c.ids("songId")
	if id == "" {
		c.need("name")
	}
	if err := c.err(); err != nil {
		return err
	}
	if err := s.songsExist(c, songs); err != nil {
		return err
	}
	var p tutti.Playlist
	var err error
	if id == "" {
		p, err = s.cfg.Catalog.SavePlaylist(ctx, c.viewer, tutti.Playlist{Owner: c.user.ID, OwnerName: c.user.Name, Name: name, Tracks: songs})
	} else {
		p, err = s.editPlaylist(ctx, c.viewer, id, func(p *tutti.Playlist) error {
			p.Tracks = songs
			if name != "" {
				p.Name = name
			}
			return nil
		})
	}
	if err != nil {
		return err
	}
	return s.wholePlaylist(c, p)
}

// editPlaylist changes a playlist as it is now. Where somebody else changed it meanwhile, it begins again: the change
// is then made to what they left.
func (s *Server) editPlaylist(ctx context.Context, v tutti.Viewer, id tutti.ID, change func(*tutti.Playlist) error) (tutti.Playlist, error) {
	const attempts = 8
	for attempt := 1; ; attempt++ {
		p, err := s.cfg.Catalog.Playlist(ctx, v, id)
		if err != nil {
			return p, err
		}
		if p.Owner != v.User {
			return p, failf(codeForbidden, "only its owner may change this playlist")
		}
		if p.File != "" {
			return p, failf(codeForbidden, "this playlist follows a file in the music folder; change that file instead")
		}
		p.Tracks = slices.Clone(p.Tracks)
		if err := change(&p); err != nil {
			return p, err
		}
		saved, err := s.cfg.Catalog.SavePlaylist(ctx, v, p)
		if !tutti.IsKind(err, tutti.KindConflict) || attempt == attempts {
			return saved, err
		}
	}
}

// updatePlaylist changes what is sent and leaves the rest. Positions to remove count in the list as it was before, and
// songs are then added behind what is left.
func (s *Server) updatePlaylist(c *call) error {
	id := c.id("playlistId")
	name, comment := c.limited("name", maxName), c.limited("comment", maxComment)
	_, hasComment := c.lookup("comment")
	_, hasPublic := c.lookup("public")
	public := c.bool("public", false)
	add := c.ids("songIdToAdd")
	var remove []int
	for _, v := range c.all("songIndexToRemove") {
		remove = append(remove, int(c.asInt("songIndexToRemove", v, 0, maxEntries)))
	}
	if err := c.err(); err != nil {
		return err
	}
	if err := s.songsExist(c, add); err != nil {
		return err
	}
	_, err := s.editPlaylist(c.r.Context(), c.viewer, id, func(p *tutti.Playlist) error {
		if name != "" {
			p.Name = name
		}
		if hasComment {
			p.Comment = comment
		}
		if hasPublic {
			p.Public = public
		}
		gone := make(map[int]bool, len(remove))
		for _, i := range remove {
			if i >= len(p.Tracks) {
				return failf(codeGeneric, "there is no song at position %d: the playlist has %d", i, len(p.Tracks))
			}
			gone[i] = true
		}
		kept := p.Tracks[:0]
		for i, t := range p.Tracks {
			if !gone[i] {
				kept = append(kept, t)
			}
		}
		p.Tracks = append(kept, add...)
		if len(p.Tracks) > maxEntries {
			return failf(codeGeneric, "too many songs: at most %d", maxEntries)
		}
		return nil
	})
	return err
}

func (s *Server) deletePlaylist(c *call) error {
	id := c.id("id")
	if err := c.err(); err != nil {
		return err
	}
	return s.cfg.Catalog.DeletePlaylist(c.r.Context(), c.viewer, id)
}
