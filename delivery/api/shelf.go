package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"tutti"
	"tutti/delivery"
)

type playlistReply struct {
	playlist
	Tracks []track `json:"tracks"`
}

type playlistEdit struct {
	Name    string     `json:"name"`
	Comment string     `json:"comment,omitempty"`
	Public  bool       `json:"public,omitempty"`
	Tracks  []tutti.ID `json:"tracks" doc:"The whole list, by id."`
	Version uint64     `json:"version,omitempty" doc:"The version that was edited; left out, the list is replaced whatever it is now."`
}

type queueReply struct {
	Tracks     []track   `json:"tracks"`
	Current    int       `json:"current" doc:"Which of them plays, from 0; -1 for an empty queue."`
	PositionMs int64     `json:"positionMs"`
	Changed    time.Time `json:"changed,omitzero"`
	ChangedBy  string    `json:"changedBy,omitempty" doc:"The app that last changed it."`
}

type queueEdit struct {
	Tracks     []tutti.ID `json:"tracks" doc:"By id; the same track may stand in it twice."`
	Current    int        `json:"current" doc:"Which of them plays, from 0; -1 for an empty queue."`
	PositionMs int64      `json:"positionMs,omitempty"`
	Player     string     `json:"player,omitempty" doc:"The app's name."`
}

type bookmark struct {
	Track      track     `json:"track"`
	PositionMs int64     `json:"positionMs"`
	Comment    string    `json:"comment,omitempty"`
	Created    time.Time `json:"created"`
	Changed    time.Time `json:"changed"`
}

type bookmarkEdit struct {
	PositionMs int64  `json:"positionMs"`
	Comment    string `json:"comment,omitempty"`
}

type station struct {
	ID        tutti.ID `json:"id"`
	Name      string   `json:"name"`
	StreamURL string   `json:"streamUrl"`
	HomeURL   string   `json:"homeUrl,omitempty"`
}

type stationEdit struct {
	Name      string `json:"name"`
	StreamURL string `json:"streamUrl" doc:"http or https."`
	HomeURL   string `json:"homeUrl,omitempty" doc:"http or https."`
}

type share struct {
	ID          tutti.ID   `json:"id"`
	URL         string     `json:"url" doc:"The public page."`
	Owner       string     `json:"owner"`
	Description string     `json:"description,omitempty"`
	Entries     []tutti.ID `json:"entries" doc:"Tracks, albums or playlists, by id."`
	Created     time.Time  `json:"created"`
	Expires     time.Time  `json:"expires,omitzero" doc:"Left out for never."`
	LastVisited time.Time  `json:"lastVisited,omitzero"`
	Visits      int64      `json:"visits"`
}

type newShare struct {
	Entries []tutti.ID `json:"entries" doc:"Tracks, albums or playlists, by id."`
	shareEdit
}

type shareEdit struct {
	Description string    `json:"description,omitempty"`
	Expires     time.Time `json:"expires,omitzero" doc:"Left out for never."`
}

func (s *server) shelfRoutes() []route {
	lists, comment, shares, admin := holder(tutti.RolePlaylist), holder(tutti.RoleComment), holder(tutti.RoleShare), holder(tutti.RoleAdmin)
	return []route{
		get("playlists", "listPlaylists", "playlists", "The asker's playlists and public ones", member, (*call).playlists).framed(),
		send(http.MethodPost, "playlists", "createPlaylist", "playlists", "Make a playlist", lists, (*call).createPlaylist),
		get("playlists/{id}", "getPlaylist", "playlists", "A playlist with its tracks", member, (*call).playlist).framed(),
		send(http.MethodPut, "playlists/{id}", "replacePlaylist", "playlists", "Replace a playlist", lists, (*call).replacePlaylist),
		bytesOf("playlists/{id}/m3u", "exportPlaylist", "playlists", "A playlist as a file", m3uType, member, (*call).exportPlaylist).
			saying("An extended M3U in UTF-8 (.m3u8), whose paths are relative to the tracks' libraries."),
		send(http.MethodPost, "playlists/import", "importPlaylist", "playlists", "Make a playlist of an M3U file", lists, (*call).importPlaylist).
			saying("Tracks are found by the end of their paths, else by artist, title and length. What is not found is left out of the list, and said."),
		act(http.MethodDelete, "playlists/{id}", "deletePlaylist", "playlists", "Delete a playlist", lists, (*call).deletePlaylist),

		get("queue", "getQueue", "shelf", "What the asker plays, to go on with on another player", member, (*call).queue).framed(),
		put(http.MethodPut, "queue", "saveQueue", "shelf", "Keep the queue", holder(tutti.RoleStream), (*call).saveQueue),
		get("bookmarks", "listBookmarks", "shelf", "Places in long tracks to come back to", member, (*call).bookmarks),
		put(http.MethodPut, "bookmarks/{id}", "saveBookmark", "shelf", "Mark a place in a track", comment, (*call).saveBookmark),
		act(http.MethodDelete, "bookmarks/{id}", "deleteBookmark", "shelf", "Forget the place in a track", comment, (*call).deleteBookmark),
		get("stations", "listStations", "shelf", "Internet radio stations", member, (*call).stations),
		bytesOf("stations/{id}/stream", "streamStation", "shelf", "A radio station's sound", "audio/*", holder(tutti.RoleStream), (*call).streamStation).
			saying("Relayed as it comes, without the titles between. Stations that send segments (HLS) are not relayed."),
		bytesOf(titlesPath, "watchStation", "shelf", "What a radio station plays, as it says so", "text/event-stream", holder(tutti.RoleStream), (*call).watchStation).
			saying("Server-sent events named title, whose data is a stationTitle: one at once, with an empty title until one is known, then one whenever it changes."),
		send(http.MethodPost, "stations", "createStation", "shelf", "Add a radio station", admin, (*call).createStation),
		send(http.MethodPut, "stations/{id}", "replaceStation", "shelf", "Change a radio station", admin, (*call).replaceStation),
		act(http.MethodDelete, "stations/{id}", "deleteStation", "shelf", "Remove a radio station", admin, (*call).deleteStation),
		get("shares", "listShares", "shelf", "The asker's public pages", member, (*call).shares),
		send(http.MethodPost, "shares", "createShare", "shelf", "Make a public page", shares, (*call).createShare),
		send(http.MethodPut, "shares/{id}", "updateShare", "shelf", "Change a public page's description and end", shares, (*call).updateShare),
		act(http.MethodDelete, "shares/{id}", "deleteShare", "shelf", "Take a public page down", shares, (*call).deleteShare),
	}
}

// ---- Playlists ----

func (c *call) playlists() (items[playlist], error) {
	list, err := c.Catalog.Playlists(c.r.Context(), c.viewer)
	return items[playlist]{wireList(list, func(p *tutti.Playlist) playlist { return wirePlaylist(p, c.viewer) })}, err
}

func (c *call) withTracks(p tutti.Playlist) (playlistReply, error) {
	tracks, err := c.Catalog.TracksByID(c.r.Context(), c.viewer, p.Tracks)
	return playlistReply{wirePlaylist(&p, c.viewer), wireList(tracks, wireTrack)}, err
}

func (c *call) playlist() (playlistReply, error) {
	p, err := c.Catalog.Playlist(c.r.Context(), c.viewer, c.id())
	if err != nil {
		return playlistReply{}, err
	}
	return c.withTracks(p)
}

func (c *call) savePlaylist(p tutti.Playlist, b playlistEdit) (playlistReply, error) {
	if err := checkList(b.Tracks); err != nil {
		return playlistReply{}, err
	}
	p.Name, p.Comment, p.Public, p.Tracks, p.Version = b.Name, b.Comment, b.Public, b.Tracks, b.Version
	p, err := c.Catalog.SavePlaylist(c.r.Context(), c.viewer, p)
	if err != nil {
		return playlistReply{}, err
	}
	return c.withTracks(p)
}

func (c *call) createPlaylist(b playlistEdit) (playlistReply, error) {
	return c.savePlaylist(tutti.Playlist{}, b)
}

func (c *call) replacePlaylist(b playlistEdit) (playlistReply, error) {
	p, err := c.Catalog.Playlist(c.r.Context(), c.viewer, c.id())
	if err != nil {
		return playlistReply{}, err
	}
	return c.savePlaylist(p, b)
}

func (c *call) deletePlaylist() error {
	return c.Catalog.DeletePlaylist(c.r.Context(), c.viewer, c.id())
}

func checkList(ids []tutti.ID) error {
	if len(ids) > maxList {
		return tutti.Errorf(tutti.KindInvalid, "api.checkList", "a list holds at most %d tracks", maxList)
	}
	return nil
}

// ---- Queue and bookmarks ----

func (c *call) queue() (queueReply, error) {
	ctx := c.r.Context()
	q, err := c.Catalog.Queue(ctx, c.viewer)
	if err != nil {
		return queueReply{}, err
	}
	known, err := c.tracksOf(ctx, q.Tracks)
	if err != nil {
		return queueReply{}, err
	}
	out := queueReply{Tracks: make([]track, 0, len(q.Tracks)), Current: -1, Changed: q.Changed, ChangedBy: q.ChangedBy}
	for i, id := range q.Tracks {
		t, ok := known[id]
		if !ok {
			continue // gone, or no longer to be seen
		}
		if i == q.Current {
			out.PositionMs = q.Position.Milliseconds()
		}
		if i <= q.Current {
			out.Current = len(out.Tracks)
		}
		out.Tracks = append(out.Tracks, wireTrack(&t))
	}
	if out.Current < 0 && len(out.Tracks) > 0 {
		out.Current = 0
	}
	return out, nil
}

// tracksOf returns those of the tracks that the asker sees, each once.
func (c *call) tracksOf(ctx context.Context, ids []tutti.ID) (map[tutti.ID]tutti.Track, error) {
	list, err := c.Catalog.TracksByID(ctx, c.viewer, ids)
	out := make(map[tutti.ID]tutti.Track, len(list))
	for _, t := range list {
		out[t.ID] = t
	}
	return out, err
}

func (c *call) saveQueue(b queueEdit) error {
	const op = "api.saveQueue"
	if err := checkList(b.Tracks); err != nil {
		return err
	}
	if err := checkMs("positionMs", b.PositionMs); err != nil {
		return err
	}
	if len(b.Tracks) == 0 {
		b.Current = -1
	} else if b.Current < 0 || b.Current >= len(b.Tracks) {
		return tutti.Errorf(tutti.KindInvalid, op, `"current" must be the place of one of the tracks, from 0`)
	}
	if len(b.Player) > maxName {
		return tutti.Errorf(tutti.KindInvalid, op, `"player" must be at most %d bytes`, maxName)
	}
	return c.Catalog.SaveQueue(c.r.Context(), c.viewer, tutti.Queue{
		Tracks: b.Tracks, Current: b.Current, Position: milliseconds(b.PositionMs), Changed: c.Clock.Now().UTC(), ChangedBy: b.Player,
	})
}

func (c *call) bookmarks() (items[bookmark], error) {
	ctx := c.r.Context()
	list, err := c.Catalog.Bookmarks(ctx, c.viewer)
	if err != nil {
		return items[bookmark]{}, err
	}
	ids := make([]tutti.ID, len(list))
	for i := range list {
		ids[i] = list[i].Track
	}
	known, err := c.tracksOf(ctx, ids)
	out := items[bookmark]{make([]bookmark, 0, len(list))}
	for _, b := range list {
		if t, ok := known[b.Track]; ok {
			out.Items = append(out.Items, bookmark{wireTrack(&t), b.Position.Milliseconds(), b.Comment, b.Created, b.Changed})
		}
	}
	return out, err
}

func (c *call) saveBookmark(b bookmarkEdit) error {
	if err := checkMs("positionMs", b.PositionMs); err != nil {
		return err
	}
	return c.Catalog.SaveBookmark(c.r.Context(), c.viewer, tutti.Bookmark{Track: c.id(), Position: milliseconds(b.PositionMs), Comment: b.Comment})
}

func (c *call) deleteBookmark() error {
	return c.Catalog.DeleteBookmark(c.r.Context(), c.viewer, c.id())
}

// ---- Radio stations ----

func wireStation(s *tutti.Station) station { return station(*s) }

func (c *call) stations() (items[station], error) {
	list, err := c.Catalog.Stations(c.r.Context(), c.viewer)
	return items[station]{wireList(list, wireStation)}, err
}

// webURL refuses what a page must not link to, such as javascript: addresses.
func webURL(name, s string) error {
	if u, err := url.Parse(s); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return tutti.Errorf(tutti.KindInvalid, "api.webURL", "%q must be an http or https address", name)
	}
	return nil
}

func (c *call) saveStation(id tutti.ID, b stationEdit) (station, error) {
	if err := webURL("streamUrl", b.StreamURL); err != nil {
		return station{}, err
	}
	if b.HomeURL != "" {
		if err := webURL("homeUrl", b.HomeURL); err != nil {
			return station{}, err
		}
	}
	s, err := c.Catalog.SaveStation(c.r.Context(), c.viewer, tutti.Station{ID: id, Name: b.Name, StreamURL: b.StreamURL, HomeURL: b.HomeURL})
	return wireStation(&s), err
}

func (c *call) createStation(b stationEdit) (station, error) { return c.saveStation("", b) }

func (c *call) replaceStation(b stationEdit) (station, error) { return c.saveStation(c.id(), b) }

// stationTitle is what a station plays.
type stationTitle struct {
	Title string `json:"title" doc:"As the station says it, mostly the artist, a dash and the title; empty where it says nothing."`
}

// station finds the station that the request names.
func (c *call) station() (tutti.Station, error) {
	list, err := c.Catalog.Stations(c.r.Context(), c.viewer)
	for _, s := range list {
		if s.ID == c.id() {
			return s, nil
		}
	}
	if err == nil {
		err = tutti.Errorf(tutti.KindNotFound, "api.station", "there is no such radio station")
	}
	return tutti.Station{}, err
}

func (c *call) streamStation() error {
	s, err := c.station()
	if err != nil {
		return err
	}
	r, stop := c.whileAdmitted()
	defer stop()
	return c.Radio.Relay(c.w, r, s.ID, s.StreamURL)
}

func (c *call) watchStation() error {
	s, err := c.station()
	if err != nil {
		return err
	}
	return c.events(func(ctx context.Context, tell func(string, any) error) error {
		return c.Radio.Titles(ctx, s.ID, s.StreamURL, func(title string) error { return tell("title", stationTitle{title}) })
	})
}

func (c *call) deleteStation() error {
	return c.Catalog.DeleteStation(c.r.Context(), c.viewer, c.id())
}

// ---- Shares ----

func (c *call) wireShare(s *tutti.Share) share {
	return share{
		ID: s.ID, URL: delivery.ShareURL(c.r, s.Secret), Owner: s.OwnerName, Description: s.Description,
		Entries: append([]tutti.ID{}, s.Entries...), Created: s.Created, Expires: s.Expires, LastVisited: s.LastVisited, Visits: s.Visits,
	}
}

func (c *call) shares() (items[share], error) {
	list, err := c.Catalog.Shares(c.r.Context(), c.viewer)
	return items[share]{wireList(list, c.wireShare)}, err
}

func (c *call) createShare(b newShare) (share, error) {
	if len(b.Entries) == 0 || len(b.Entries) > maxPage {
		return share{}, tutti.Errorf(tutti.KindInvalid, "api.createShare", "a share holds from 1 to %d entries", maxPage)
	}
	s, err := c.Catalog.SaveShare(c.r.Context(), c.viewer, tutti.Share{Entries: b.Entries, Description: b.Description, Expires: b.Expires.UTC()})
	return c.wireShare(&s), err
}

func (c *call) updateShare(b shareEdit) (share, error) {
	ctx := c.r.Context()
	list, err := c.Catalog.Shares(ctx, c.viewer)
	if err != nil {
		return share{}, err
	}
	for _, s := range list {
		if s.ID != c.id() {
			continue
		}
		s.Description, s.Expires = b.Description, b.Expires.UTC()
		s, err = c.Catalog.SaveShare(ctx, c.viewer, s)
		return c.wireShare(&s), err
	}
	return share{}, tutti.Errorf(tutti.KindNotFound, "api.updateShare", "you have no such share")
}

func (c *call) deleteShare() error {
	return c.Catalog.DeleteShare(c.r.Context(), c.viewer, c.id())
}
