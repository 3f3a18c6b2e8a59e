package subsonic

import (
	"net/url"
	"slices"
	"time"

	"tutti"
)

// ---- Bookmarks ----

func (s *Server) getBookmarks(c *call) error {
	ctx := c.r.Context()
	bookmarks, err := s.cfg.Catalog.Bookmarks(ctx, c.viewer)
	if err != nil {
		return err
	}
	ids := make([]tutti.ID, len(bookmarks))
	for i := range bookmarks {
		ids[i] = bookmarks[i].Track
	}
	tracks, err := s.cfg.Catalog.TracksByID(ctx, c.viewer, ids)
	if err != nil {
		return err
	}
	at := make(map[tutti.ID]*tutti.Track, len(tracks))
	for i := range tracks {
		at[tracks[i].ID] = &tracks[i]
	}
	c.out.open("bookmarks")
	c.out.array("bookmark")
	for _, b := range bookmarks {
		t := at[b.Track]
		if t == nil {
			continue // not to be seen any more; the bookmark waits until it is
		}
		c.out.each()
		c.out.int("position", b.Position.Milliseconds())
		c.out.str("username", c.user.Name)
		c.out.str("comment", b.Comment)
		c.out.timeAlways("created", b.Created)
		c.out.timeAlways("changed", b.Changed)
		c.out.open("entry")
		c.out.songWith(t, func() { c.out.int("bookmarkPosition", seconds(b.Position)) })
		c.out.close()
		c.out.close()
	}
	c.out.endArray()
	c.out.close()
	return nil
}

func (s *Server) createBookmark(c *call) error {
	c.need("position")
	b := tutti.Bookmark{Track: c.id("id"), Position: c.millis("position"), Comment: c.limited("comment", maxComment)}
	if err := c.err(); err != nil {
		return err
	}
	if err := s.songsExist(c, []tutti.ID{b.Track}); err != nil {
		return err
	}
	return s.cfg.Catalog.SaveBookmark(c.r.Context(), c.viewer, b)
}

func (s *Server) deleteBookmark(c *call) error {
	id := c.id("id")
	if err := c.err(); err != nil {
		return err
	}
	return s.cfg.Catalog.DeleteBookmark(c.r.Context(), c.viewer, id)
}

// ---- Play queues ----

// queue returns the saved queue with the songs in it that can be heard, and where the current one stands among those.
func (s *Server) queue(c *call) (q tutti.Queue, tracks []tutti.Track, current int, err error) {
	ctx := c.r.Context()
	if q, err = s.cfg.Catalog.Queue(ctx, c.viewer); err != nil {
		return q, nil, -1, err
	}
	if tracks, err = s.cfg.Catalog.TracksByID(ctx, c.viewer, q.Tracks); err != nil {
		return q, nil, -1, err
	}
	// Songs that are gone are left out of tracks, so positions move. Where the current one itself is gone, the queue
	// goes on with the next, from its beginning.
	at := 0
	for i, id := range q.Tracks {
		there := at < len(tracks) && tracks[at].ID == id
		if i == q.Current {
			if !there {
				q.Position = 0
			}
			break
		}
		if there {
			at++
		}
	}
	if len(tracks) == 0 || q.Current < 0 {
		return q, tracks, -1, nil
	}
	return q, tracks, min(at, len(tracks)-1), nil
}

func (s *Server) getPlayQueue(c *call) error {
	q, tracks, current, err := s.queue(c)
	if err != nil {
		return err
	}
	c.out.open("playQueue")
	if current >= 0 {
		c.out.str("current", string(tracks[current].ID))
	}
	s.finishQueue(c, q, tracks)
	return nil
}

func (s *Server) getPlayQueueByIndex(c *call) error {
	q, tracks, current, err := s.queue(c)
	if err != nil {
		return err
	}
	c.out.open("playQueueByIndex")
	if current >= 0 {
		c.out.int("currentIndex", int64(current))
	}
	s.finishQueue(c, q, tracks)
	return nil
}

func (s *Server) finishQueue(c *call, q tutti.Queue, tracks []tutti.Track) {
	c.out.int("position", q.Position.Milliseconds())
	c.out.str("username", c.user.Name)
	c.out.timeAlways("changed", q.Changed)
	c.out.str("changedBy", q.ChangedBy)
	c.out.songs("entry", tracks)
	c.out.close()
}

// saveQueue saves ids with the current one at an index; no ids clear the queue.
func (s *Server) saveQueue(c *call, ids []tutti.ID, current int, position time.Duration) error {
	if err := s.songsExist(c, ids); err != nil {
		return err
	}
	if len(ids) == 0 {
		current, position = -1, 0
	}
	return s.cfg.Catalog.SaveQueue(c.r.Context(), c.viewer, tutti.Queue{
		Tracks: ids, Current: current, Position: position, Changed: s.cfg.Clock.Now().UTC(), ChangedBy: c.player(),
	})
}

func (s *Server) savePlayQueue(c *call) error {
	ids := c.ids("id")
	current := c.asID("current", c.get("current"))
	position := c.millis("position")
	at := -1
	switch {
	case len(ids) == 0 && current != "":
		c.fail(codeMissing, "the required parameter %q is missing: the current song must be in the queue", "id")
	case len(ids) > 0 && current == "":
		c.need("current")
	case len(ids) > 0:
		if at = slices.Index(ids, current); at < 0 {
			c.fail(codeGeneric, "the current song must be in the queue")
		}
	}
	if err := c.err(); err != nil {
		return err
	}
	return s.saveQueue(c, ids, at, position)
}

// savePlayQueueByIndex answers every wrong index with error 10, as the extension indexBasedQueue demands.
func (s *Server) savePlayQueueByIndex(c *call) error {
	ids := c.ids("id")
	_, hasIndex := c.lookup("currentIndex")
	at := c.int("currentIndex", 0, -1<<40, 1<<40)
	position := c.millis("position")
	switch {
	case len(ids) == 0 && hasIndex:
		c.fail(codeMissing, "%q must not be sent without songs", "currentIndex")
	case len(ids) > 0 && !hasIndex:
		c.need("currentIndex")
	case len(ids) > 0 && (at < 0 || at >= int64(len(ids))):
		c.fail(codeMissing, "%q must be from 0 to %d", "currentIndex", len(ids)-1)
	}
	if err := c.err(); err != nil {
		return err
	}
	return s.saveQueue(c, ids, int(at), position)
}

// ---- Internet radio ----

func (s *Server) getInternetRadioStations(c *call) error {
	stations, err := s.cfg.Catalog.Stations(c.r.Context(), c.viewer)
	if err != nil {
		return err
	}
	c.out.open("internetRadioStations")
	c.out.array("internetRadioStation")
	for _, st := range stations {
		c.out.each()
		c.out.str("id", string(st.ID))
		c.out.str("name", st.Name)
		c.out.str("streamUrl", st.StreamURL)
		c.out.known("homePageUrl", st.HomeURL)
		c.out.close()
	}
	c.out.endArray()
	c.out.close()
	return nil
}

// webAddress reads an address that a browser will be sent to: http or https, so that no script hides in it.
func (c *call) webAddress(name string) string {
	v := c.limited(name, 2000)
	if v == "" {
		return ""
	}
	u, err := url.Parse(v)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		c.fail(codeGeneric, "the parameter %q must be an address that begins with http:// or https://", name)
		return ""
	}
	return v
}

func (c *call) station() tutti.Station {
	c.need("streamUrl")
	c.need("name")
	home := c.webAddress("homepageUrl")
	if home == "" {
		home = c.webAddress("homePageUrl") // as the answers spell it
	}
	return tutti.Station{Name: c.limited("name", maxName), StreamURL: c.webAddress("streamUrl"), HomeURL: home}
}

func (s *Server) createInternetRadioStation(c *call) error {
	st := c.station()
	if err := c.err(); err != nil {
		return err
	}
	_, err := s.cfg.Catalog.SaveStation(c.r.Context(), c.viewer, st)
	return err
}

func (s *Server) updateInternetRadioStation(c *call) error {
	st := c.station()
	st.ID = c.id("id")
	if err := c.err(); err != nil {
		return err
	}
	stations, err := s.cfg.Catalog.Stations(c.r.Context(), c.viewer)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(stations, func(have tutti.Station) bool { return have.ID == st.ID }) {
		return failf(codeNotFound, "there is no such station")
	}
	_, err = s.cfg.Catalog.SaveStation(c.r.Context(), c.viewer, st)
	return err
}

func (s *Server) deleteInternetRadioStation(c *call) error {
	id := c.id("id")
	if err := c.err(); err != nil {
		return err
	}
	return s.cfg.Catalog.DeleteStation(c.r.Context(), c.viewer, id)
}

// ---- Shares ----

func (s *Server) sharing() error {
	if s.cfg.ShareURL == nil {
		return failf(codeGeneric, "sharing is turned off on this server")
	}
	return nil
}

func (s *Server) getShares(c *call) error {
	if err := s.sharing(); err != nil {
		return err
	}
	shares, err := s.cfg.Catalog.Shares(c.r.Context(), c.viewer)
	if err != nil {
		return err
	}
	return s.writeShares(c, shares)
}

func (s *Server) writeShares(c *call, shares []tutti.Share) error {
	c.out.open("shares")
	c.out.array("share")
	for i := range shares {
		if err := s.writeShare(c, &shares[i]); err != nil {
			return err
		}
	}
	c.out.endArray()
	c.out.close()
	return nil
}

func (s *Server) writeShare(c *call, sh *tutti.Share) error {
	c.out.each()
	c.out.str("id", string(sh.ID))
	c.out.str("url", s.cfg.ShareURL(c.r, sh.Secret))
	c.out.str("description", sh.Description)
	c.out.str("username", sh.OwnerName)
	c.out.timeAlways("created", sh.Created)
	c.out.time("expires", sh.Expires)
	c.out.time("lastVisited", sh.LastVisited)
	c.out.int("visitCount", sh.Visits)
	c.out.array("entry")
	for _, id := range sh.Entries {
		if err := s.writeEntry(c, id); err != nil {
			return err
		}
	}
	c.out.endArray()
	c.out.close()
	return nil
}

// writeEntry writes one thing on a share: a song or an album as itself, a playlist as its songs. What has gone from
// the library is passed over.
func (s *Server) writeEntry(c *call, id tutti.ID) error {
	ctx := c.r.Context()
	var tracks []tutti.Track
	switch {
	case id.Is(tutti.PrefixAlbum):
		a, _, err := s.cfg.Catalog.Album(ctx, c.viewer, id)
		if tutti.IsKind(err, tutti.KindNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		c.out.each()
		c.out.albumChild(&a)
		c.out.close()
		return nil
	case id.Is(tutti.PrefixPlaylist):
		p, err := s.cfg.Catalog.Playlist(ctx, c.viewer, id)
		if tutti.IsKind(err, tutti.KindNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if tracks, err = s.cfg.Catalog.TracksByID(ctx, c.viewer, p.Tracks); err != nil {
			return err
		}
	default:
		var err error
		if tracks, err = s.cfg.Catalog.TracksByID(ctx, c.viewer, []tutti.ID{id}); err != nil {
			return err
		}
	}
	for i := range tracks {
		c.out.each()
		c.out.song(&tracks[i])
		c.out.close()
	}
	return nil
}

// expiry reads when a share ends. Zero and, in an update, nothing mean never and no change.
func (s *Server) expiry(c *call) time.Time {
	at := c.moment("expires")
	if !at.IsZero() && !at.After(s.cfg.Clock.Now()) {
		c.fail(codeGeneric, "the parameter %q lies in the past", "expires")
	}
	return at
}

// shareable returns an error unless the viewer can see the thing.
func (s *Server) shareable(c *call, id tutti.ID) error {
	var err error
	switch {
	case id.Is(tutti.PrefixAlbum):
		_, _, err = s.cfg.Catalog.Album(c.r.Context(), c.viewer, id)
	case id.Is(tutti.PrefixPlaylist):
		_, err = s.cfg.Catalog.Playlist(c.r.Context(), c.viewer, id)
	default:
		_, err = s.cfg.Catalog.Track(c.r.Context(), c.viewer, id)
	}
	return err
}

func (s *Server) createShare(c *call) error {
	const maxShared = 1000
	if err := s.sharing(); err != nil {
		return err
	}
	ids := c.ids("id")
	if len(ids) == 0 {
		c.need("id")
	}
	if len(ids) > maxShared {
		c.fail(codeGeneric, "too much to share at once: at most %d things; share a playlist instead", maxShared)
	}
	sh := tutti.Share{
		Owner: c.user.ID, OwnerName: c.user.Name,
		Description: c.limited("description", maxComment), Entries: ids, Expires: s.expiry(c),
	}
	if err := c.err(); err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.shareable(c, id); err != nil {
			return err
		}
	}
	saved, err := s.cfg.Catalog.SaveShare(c.r.Context(), c.viewer, sh)
	if err != nil {
		return err
	}
	return s.writeShares(c, []tutti.Share{saved})
}

func (s *Server) updateShare(c *call) error {
	if err := s.sharing(); err != nil {
		return err
	}
	id := c.id("id")
	description := c.limited("description", maxComment)
	_, hasDescription := c.lookup("description")
	expires := s.expiry(c)
	_, hasExpires := c.lookup("expires")
	if err := c.err(); err != nil {
		return err
	}
	shares, err := s.cfg.Catalog.Shares(c.r.Context(), c.viewer)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(shares, func(sh tutti.Share) bool { return sh.ID == id })
	if i < 0 {
		return failf(codeNotFound, "there is no such share")
	}
	sh := shares[i]
	if hasDescription {
		sh.Description = description
	}
	if hasExpires {
		sh.Expires = expires
	}
	_, err = s.cfg.Catalog.SaveShare(c.r.Context(), c.viewer, sh)
	return err
}

func (s *Server) deleteShare(c *call) error {
	id := c.id("id")
	if err := c.err(); err != nil {
		return err
	}
	return s.cfg.Catalog.DeleteShare(c.r.Context(), c.viewer, id)
}
