package subsonic

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"tutti"
)

func (s *Server) getMusicFolders(c *call) error {
	libraries, err := s.cfg.Catalog.Libraries(c.r.Context(), c.viewer)
	if err != nil {
		return err
	}
	c.out.open("musicFolders")
	c.out.array("musicFolder")
	for _, l := range libraries {
		c.out.each()
		c.out.libraryID("id", l.ID)
		c.out.str("name", l.Name)
		c.out.close()
	}
	c.out.endArray()
	c.out.close()
	return nil
}

// libraryID writes a library's id, which the protocol has as a number.
func (e *encoder) libraryID(name, id string) {
	if n, err := strconv.ParseInt(id, 10, 64); err == nil {
		e.int(name, n)
		return
	}
	e.str(name, id)
}

// library reads musicFolderId. Some clients send -1 or nothing for "all of them".
func (s *Server) library(c *call) (string, error) {
	id := c.get("musicFolderId")
	if id == "" || id == "-1" {
		return "", nil
	}
	libraries, err := s.cfg.Catalog.Libraries(c.r.Context(), c.viewer)
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(libraries, func(l tutti.Library) bool { return l.ID == id }) {
		return "", failf(codeNotFound, "there is no music folder with this id")
	}
	return id, nil
}

// indexed is a part of an alphabet with what begins with it.
type indexed[T any] struct {
	name  string
	items []T
}

// index sorts things under the first letters of their names, keeping their order within each.
func index[T any](items []T, articles []string, nameOf func(*T) string) []indexed[T] {
	var out []indexed[T]
	at := map[string]int{}
	for i := range items {
		k := initial(nameOf(&items[i]), articles)
		n, seen := at[k]
		if !seen {
			n = len(out)
			at[k] = n
			out = append(out, indexed[T]{name: k})
		}
		out[n].items = append(out[n].items, items[i])
	}
	slices.SortStableFunc(out, func(a, b indexed[T]) int {
		if (a.name == otherInitial) != (b.name == otherInitial) {
			if a.name == otherInitial {
				return 1 // behind the letters
			}
			return -1
		}
		return strings.Compare(a.name, b.name)
	})
	return out
}

const otherInitial = "#"

// initial is the letter that a name is listed under: its first, in upper case and without its accent, articles passed
// over. Digits, signs and writing systems of thousands of characters share one place.
func initial(name string, articles []string) string {
	name = strings.TrimSpace(name)
	for _, a := range articles {
		if rest, found := cutFold(name, a); found && (strings.HasPrefix(rest, " ") || strings.HasSuffix(a, "'")) {
			if rest = strings.TrimSpace(rest); rest != "" {
				name = rest
				break
			}
		}
	}
	r, size := utf8.DecodeRuneInString(name)
	if r >= utf8.RuneSelf {
		r, _ = utf8.DecodeRuneInString(norm.NFKD.String(name[:size]))
	}
	if !unicode.IsLetter(r) || unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana, unicode.Yi) {
		return otherInitial
	}
	return string(unicode.ToUpper(r))
}

// cutFold is strings.CutPrefix without regard to case.
func cutFold(s, prefix string) (rest string, found bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// getIndexes lists the folders at the top of the libraries, and the tracks that lie beside them.
func (s *Server) getIndexes(c *call) error {
	ctx := c.r.Context()
	library, err := s.library(c)
	if err != nil {
		return err
	}
	since := c.moment("ifModifiedSince")
	if err := c.err(); err != nil {
		return err
	}
	counts, err := s.cfg.Catalog.Counts(ctx, c.viewer)
	if err != nil {
		return err
	}
	var modified int64
	if !counts.LastScan.IsZero() {
		modified = counts.LastScan.UnixMilli()
	}
	c.out.open("indexes")
	c.out.int("lastModified", modified)
	c.out.str("ignoredArticles", s.articles)
	if since.IsZero() || modified > since.UnixMilli() {
		roots, err := s.cfg.Catalog.RootFolders(ctx, c.viewer)
		if err != nil {
			return err
		}
		var folders []tutti.Folder
		var tracks []tutti.Track
		for _, root := range roots {
			if library != "" && root.Library != library {
				continue
			}
			listing, err := s.cfg.Catalog.Folder(ctx, c.viewer, root.ID)
			if err != nil {
				return err
			}
			folders = append(folders, listing.Folders...)
			tracks = append(tracks, listing.Tracks...)
		}
		c.out.array("index")
		for _, part := range index(folders, s.cfg.IgnoredArticles, func(f *tutti.Folder) string { return f.Name }) {
			c.out.each()
			c.out.str("name", part.name)
			c.out.array("artist")
			for i := range part.items {
				f := &part.items[i]
				c.out.each()
				c.out.oldArtist(f.ID, f.Name, f.Annotation)
				c.out.close()
			}
			c.out.endArray()
			c.out.close()
		}
		c.out.endArray()
		c.out.songs("child", tracks)
	}
	c.out.close()
	return nil
}

// getMusicDirectory lists a folder. Artists and albums are directories too, because the album lists of the file-minded
// endpoints hand out their ids.
func (s *Server) getMusicDirectory(c *call) error {
	id := c.id("id")
	if err := c.err(); err != nil {
		return err
	}
	switch {
	case id.Is(tutti.PrefixArtist):
		return s.artistDirectory(c, id)
	case id.Is(tutti.PrefixAlbum):
		return s.albumDirectory(c, id)
	}
	f, err := s.cfg.Catalog.Folder(c.r.Context(), c.viewer, id)
	if err != nil {
		return err
	}
	c.out.directory(f.ID, f.ParentID, f.Name, f.Annotation)
	c.out.array("child")
	for i := range f.Folders {
		c.out.each()
		c.out.folderChild(&f.Folders[i])
		c.out.close()
	}
	for i := range f.Tracks {
		c.out.each()
		c.out.song(&f.Tracks[i])
		c.out.close()
	}
	c.out.endArray()
	c.out.close()
	return nil
}

func (s *Server) artistDirectory(c *call, id tutti.ID) error {
	a, own, appearsOn, err := s.cfg.Catalog.Artist(c.r.Context(), c.viewer, id)
	if err != nil {
		return err
	}
	c.out.directory(a.ID, "", a.Name, a.Annotation)
	c.out.albumChildren("child", slices.Concat(own, appearsOn))
	c.out.close()
	return nil
}

func (s *Server) albumDirectory(c *call, id tutti.ID) error {
	a, tracks, err := s.cfg.Catalog.Album(c.r.Context(), c.viewer, id)
	if err != nil {
		return err
	}
	c.out.directory(a.ID, first(a.Artists).ID, a.Name, a.Annotation)
	c.out.songs("child", tracks)
	c.out.close()
	return nil
}

// directory begins a directory; its children and the close are the caller's.
func (e *encoder) directory(id, parent tutti.ID, name string, a tutti.Annotation) {
	e.open("directory")
	e.str("id", string(id))
	e.known("parent", string(parent))
	e.str("name", name)
	e.time("starred", a.Starred)
	e.rating(a.Rating)
	e.int("playCount", a.PlayCount)
}

func (s *Server) getGenres(c *call) error {
	genres, err := s.cfg.Catalog.Genres(c.r.Context(), c.viewer)
	if err != nil {
		return err
	}
	c.out.open("genres")
	c.out.array("genre")
	for _, g := range genres {
		c.out.each()
		c.out.int("songCount", int64(g.SongCount))
		c.out.int("albumCount", int64(g.AlbumCount))
		c.out.text(g.Name)
		c.out.close()
	}
	c.out.endArray()
	c.out.close()
	return nil
}

func (s *Server) getArtists(c *call) error {
	library, err := s.library(c)
	if err != nil {
		return err
	}
	artists, err := s.cfg.Catalog.Artists(c.r.Context(), c.viewer, library, "albumartist")
	if err != nil {
		return err
	}
	c.out.open("artists")
	c.out.str("ignoredArticles", s.articles)
	c.out.array("index")
	for _, part := range index(artists, s.cfg.IgnoredArticles, func(a *tutti.Artist) string {
		if a.SortName != "" {
			return a.SortName
		}
		return a.Name
	}) {
		c.out.each()
		c.out.str("name", part.name)
		c.out.artists("artist", part.items)
		c.out.close()
	}
	c.out.endArray()
	c.out.close()
	return nil
}

// getArtist lists the artist's own albums and then those they appear on.
func (s *Server) getArtist(c *call) error {
	id := c.id("id")
	if err := c.err(); err != nil {
		return err
	}
	a, own, appearsOn, err := s.cfg.Catalog.Artist(c.r.Context(), c.viewer, id)
	if err != nil {
		return err
	}
	c.out.open("artist")
	c.out.artist(&a)
	c.out.albums("album", slices.Concat(own, appearsOn))
	c.out.close()
	return nil
}

func (s *Server) getAlbum(c *call) error {
	id := c.id("id")
	if err := c.err(); err != nil {
		return err
	}
	a, tracks, err := s.cfg.Catalog.Album(c.r.Context(), c.viewer, id)
	if err != nil {
		return err
	}
	c.out.open("album")
	c.out.album(&a)
	c.out.songs("song", tracks)
	c.out.close()
	return nil
}

func (s *Server) getSong(c *call) error {
	id := c.id("id")
	if err := c.err(); err != nil {
		return err
	}
	t, err := s.cfg.Catalog.Track(c.r.Context(), c.viewer, id)
	if err != nil {
		return err
	}
	c.out.open("song")
	c.out.song(&t)
	c.out.close()
	return nil
}

// artistBehind finds the artist that an id stands for: itself, or the first of an album, a song or a folder's music.
func (s *Server) artistBehind(c *call, id tutti.ID) (tutti.Artist, error) {
	ctx := c.r.Context()
	switch {
	case id.Is(tutti.PrefixTrack):
		t, err := s.cfg.Catalog.Track(ctx, c.viewer, id)
		if err != nil {
			return tutti.Artist{}, err
		}
		id = first(t.Artists).ID
	case id.Is(tutti.PrefixAlbum):
		a, _, err := s.cfg.Catalog.Album(ctx, c.viewer, id)
		if err != nil {
			return tutti.Artist{}, err
		}
		id = first(a.Artists).ID
	case id.Is(tutti.PrefixFolder):
		t, err := s.trackBelow(c, id)
		if err != nil {
			return tutti.Artist{}, err
		}
		id = first(slices.Concat(t.AlbumArtists, t.Artists)).ID
	}
	a, _, _, err := s.cfg.Catalog.Artist(ctx, c.viewer, id)
	return a, err
}

// trackBelow returns the first track in a folder, or in the first folder inside it that has one.
func (s *Server) trackBelow(c *call, id tutti.ID) (tutti.Track, error) {
	const deepest = 8 // an artist's folder holds albums, which hold discs; music deeper down says little of the folder
	for range deepest {
		f, err := s.cfg.Catalog.Folder(c.r.Context(), c.viewer, id)
		if err != nil {
			return tutti.Track{}, err
		}
		if len(f.Tracks) > 0 {
			return f.Tracks[0], nil
		}
		if len(f.Folders) == 0 {
			break
		}
		id = f.Folders[0].ID
	}
	return tutti.Track{}, failf(codeNotFound, "there is no music in this folder")
}

// artistInfo answers getArtistInfo and getArtistInfo2 from what the library holds: nothing is asked of the internet,
// and similar artists are those of similar music.
func (s *Server) artistInfo(c *call, element string, list func(name string, artists []tutti.Artist)) error {
	id := c.id("id")
	count := c.count("count", 20, maxPage)
	c.bool("includeNotPresent", false)
	if err := c.err(); err != nil {
		return err
	}
	a, err := s.artistBehind(c, id)
	if err != nil {
		return err
	}
	similar, err := s.similarArtists(c, a.ID, count)
	if err != nil {
		return err
	}
	c.out.open(element)
	c.out.known("musicBrainzId", a.MusicBrainzID)
	list("similarArtist", similar)
	c.out.close()
	return nil
}

func (s *Server) getArtistInfo(c *call) error {
	return s.artistInfo(c, "artistInfo", c.out.oldArtists)
}

func (s *Server) getArtistInfo2(c *call) error {
	return s.artistInfo(c, "artistInfo2", c.out.artists)
}

func (s *Server) similarArtists(c *call, of tutti.ID, count int) ([]tutti.Artist, error) {
	if count == 0 {
		return nil, nil
	}
	ctx := c.r.Context()
	// Several tracks of one artist are alike; ask for enough of them to meet count artists.
	tracks, err := s.cfg.Catalog.Similar(ctx, c.viewer, of, min(5*count, maxPage))
	if err != nil {
		return nil, err
	}
	var similar []tutti.Artist
	seen := map[tutti.ID]bool{of: true}
	for i := range tracks {
		for _, ref := range tracks[i].Artists {
			if len(similar) == count {
				return similar, nil
			}
			if seen[ref.ID] {
				continue
			}
			seen[ref.ID] = true
			a, _, _, err := s.cfg.Catalog.Artist(ctx, c.viewer, ref.ID)
			if tutti.IsKind(err, tutti.KindNotFound) {
				continue // gone since the list was made
			}
			if err != nil {
				return nil, err
			}
			similar = append(similar, a)
		}
	}
	return similar, nil
}

func (s *Server) getAlbumInfo(c *call) error {
	ctx := c.r.Context()
	id := c.id("id")
	if err := c.err(); err != nil {
		return err
	}
	switch {
	case id.Is(tutti.PrefixTrack):
		t, err := s.cfg.Catalog.Track(ctx, c.viewer, id)
		if err != nil {
			return err
		}
		id = t.AlbumID
	case id.Is(tutti.PrefixFolder):
		t, err := s.trackBelow(c, id)
		if err != nil {
			return err
		}
		id = t.AlbumID
	}
	a, _, err := s.cfg.Catalog.Album(ctx, c.viewer, id)
	if err != nil {
		return err
	}
	c.out.open("albumInfo")
	c.out.known("musicBrainzId", a.MusicBrainzID)
	c.out.close()
	return nil
}

func (s *Server) similarSongs(c *call, element string) error {
	id := c.id("id")
	count := c.count("count", 50, maxPage)
	if err := c.err(); err != nil {
		return err
	}
	var tracks []tutti.Track
	if count > 0 {
		var err error
		if tracks, err = s.cfg.Catalog.Similar(c.r.Context(), c.viewer, id, count); err != nil {
			return err
		}
	}
	c.out.open(element)
	c.out.songs("song", tracks)
	c.out.close()
	return nil
}

func (s *Server) getSimilarSongs(c *call) error { return s.similarSongs(c, "similarSongs") }

func (s *Server) getSimilarSongs2(c *call) error { return s.similarSongs(c, "similarSongs2") }

// getTopSongs lists an artist's songs, those most played by the viewer first. The id is the extension
// topSongsByArtistId and goes before the name.
func (s *Server) getTopSongs(c *call) error {
	ctx := c.r.Context()
	count := c.count("count", 50, maxPage)
	id := c.asID("id", c.get("id"))
	name := ""
	if id == "" {
		name = c.need("artist")
	}
	if err := c.err(); err != nil {
		return err
	}
	var tracks []tutti.Track
	var err error
	switch {
	case count == 0:
	case id == "":
		tracks, err = s.cfg.Catalog.TopTracks(ctx, c.viewer, name, count)
	default:
		tracks, err = s.topByID(c, id, count)
	}
	if err != nil && !(id == "" && tutti.IsKind(err, tutti.KindNotFound)) { // a name nobody has is no songs, not an error
		return err
	}
	c.out.open("topSongs")
	c.out.songs("song", tracks)
	c.out.close()
	return nil
}

// topByID sorts the artist's songs by how often they were played. An artist with more than topScan songs is a
// placeholder such as "Various Artists", of which a part is as good as the whole.
func (s *Server) topByID(c *call, id tutti.ID, count int) ([]tutti.Track, error) {
	const topScan = 5000
	if _, _, _, err := s.cfg.Catalog.Artist(c.r.Context(), c.viewer, id); err != nil {
		return nil, err
	}
	tracks, _, err := s.cfg.Catalog.Tracks(c.r.Context(), c.viewer, tutti.TrackQuery{Artist: id, Page: tutti.Page{Limit: topScan}})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(tracks, func(a, b tutti.Track) int {
		switch {
		case a.PlayCount > b.PlayCount:
			return -1
		case a.PlayCount < b.PlayCount:
			return 1
		}
		return 0
	})
	return tracks[:min(count, len(tracks))], nil
}
