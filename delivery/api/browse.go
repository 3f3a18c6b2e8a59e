package api

import (
	"time"

	"tutti"
)

type library struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type counts struct {
	Tracks     int       `json:"tracks"`
	Albums     int       `json:"albums"`
	Artists    int       `json:"artists"`
	Genres     int       `json:"genres"`
	Missing    int       `json:"missing" doc:"Tracks whose file was not there when last looked for."`
	DurationMs int64     `json:"durationMs"`
	Size       int64     `json:"size" doc:"Bytes of all originals."`
	LastScan   time.Time `json:"lastScan,omitzero"`
}

type albumReply struct {
	album
	Tracks []track `json:"tracks" doc:"In order of disc and number."`
}

type artistReply struct {
	artist
	Albums    []album `json:"albums" doc:"Of which they are an album artist, newest last."`
	AppearsOn []album `json:"appearsOn" doc:"On which they only appear."`
}

type searchReply struct {
	Artists []artist `json:"artists"`
	Albums  []album  `json:"albums"`
	Tracks  []track  `json:"tracks"`
}

type shelf struct {
	Kind   tutti.ShelfKind `json:"kind" enum:"played,added,frequent,forgotten,genre,decade,starred,random" doc:"played: last played first. added: what came last. frequent: most played. forgotten: liked, and not played for three months. genre and decade: of those that the asker plays most, what they never played first. starred: latest first. random: any."`
	Of     string          `json:"of,omitempty" doc:"The genre's name, or the decade's first year."`
	Albums []album         `json:"albums"`
}

type starredReply struct {
	searchReply
	Folders []folder `json:"folders"`
}

type folderReply struct {
	folder
	Parents []folder `json:"parents" doc:"From the library's root down to the parent."`
	Folders []folder `json:"folders"`
	Tracks  []track  `json:"tracks"`
}

type lyricsCue struct {
	StartMs int64 `json:"startMs"`
	EndMs   int64 `json:"endMs,omitempty" doc:"Left out when unknown."`
	From    int   `json:"from" doc:"Where in the line's UTF-8 bytes the part begins."`
	To      int   `json:"to" doc:"Where it ends."`
}

type lyricsLine struct {
	StartMs *int64      `json:"startMs,omitempty" doc:"Only of synced lyrics."`
	Text    string      `json:"text"`
	Cues    []lyricsCue `json:"cues,omitempty" doc:"When its parts are sung."`
}

type lyrics struct {
	Artist   string       `json:"artist,omitempty"`
	Title    string       `json:"title,omitempty"`
	Lang     string       `json:"lang" doc:"ISO 639; und when unknown."`
	Synced   bool         `json:"synced"`
	OffsetMs int64        `json:"offsetMs,omitempty" doc:"Positive: show earlier."`
	Lines    []lyricsLine `json:"lines"`
}

func wireLyrics(l *tutti.Lyrics) lyrics {
	out := lyrics{Artist: l.Artist, Title: l.Title, Lang: l.Lang, Synced: l.Synced, OffsetMs: l.Offset.Milliseconds()}
	out.Lines = wireList(l.Lines, func(n *tutti.LyricsLine) lyricsLine {
		line := lyricsLine{Text: n.Text}
		if l.Synced {
			ms := n.Start.Milliseconds()
			line.StartMs = &ms
		}
		for _, q := range n.Cues {
			line.Cues = append(line.Cues, lyricsCue{q.Start.Milliseconds(), q.End.Milliseconds(), q.From, q.To})
		}
		return line
	})
	return out
}

// The query parameters that several routes share.
var (
	qOffset    = param{name: "offset", kind: integer, max: 1 << 30, doc: "How many to leave out at the beginning."}
	qLimit     = param{name: "limit", kind: integer, min: 1, max: maxPage, def: pageLength, doc: "At most how many."}
	qLibrary   = param{name: "library", doc: "Only this library, by id."}
	qGenres    = param{name: "genre", many: true, doc: "Only this genre, without regard to case; of several, any."}
	qFormats   = param{name: "format", many: true, doc: "Only files of this kind, by suffix: flac, mp3, …; of several, any."}
	qLibraries = param{name: "library", many: true, doc: "Only this library, by id; of several, any."}
	qFrom      = param{name: "fromYear", kind: integer, max: 9999, doc: "Not before this year; 0 is no bound."}
	qTo        = param{name: "toYear", kind: integer, max: 9999, doc: "Not after this year; 0 is no bound."}
)

var albumOrders = []string{
	string(tutti.AlbumsByName), string(tutti.AlbumsByArtist), string(tutti.AlbumsNewest), string(tutti.AlbumsRandom),
	string(tutti.AlbumsByYear), string(tutti.AlbumsByGenre), string(tutti.AlbumsFrequent), string(tutti.AlbumsRecent),
	string(tutti.AlbumsStarred), string(tutti.AlbumsHighest),
}

var trackOrders = []string{
	string(tutti.TracksByArtist), string(tutti.TracksByTitle), string(tutti.TracksByAlbum), string(tutti.TracksByYear), string(tutti.TracksByDuration),
	string(tutti.TracksAdded), string(tutti.TracksRecent), string(tutti.TracksFrequent), string(tutti.TracksStarred), string(tutti.TracksHighest),
}

func (s *server) browseRoutes() []route {
	return []route{
		get("libraries", "listLibraries", "browse", "The libraries that the asker sees", member, (*call).libraries),
		get("counts", "getCounts", "browse", "How much there is", member, (*call).counts),
		get("albums", "listAlbums", "browse", "Albums", member, (*call).albums,
			param{name: "order", enum: albumOrders, doc: "byYear goes down where fromYear is after toYear; frequent, recent, starred and highest are the asker's."},
			qGenres, qFormats, qFrom, qTo, qLibraries, qOffset, qLimit).framed(),
		get("albums/{id}", "getAlbum", "browse", "An album with its tracks", member, (*call).album).framed(),
		get("artists", "listArtists", "browse", "Artists by sort name", member, (*call).artists, qLibrary,
			param{name: "role", doc: "Only those with the role: albumartist, artist, composer, …"}, qOffset,
			param{name: "limit", kind: integer, min: 1, max: 10_000, def: 10_000, doc: "At most how many."}).framed(),
		get("artists/{id}", "getArtist", "browse", "An artist with their albums", member, (*call).artist).framed(),
		get("artists/{id}/top", "listTopTracks", "browse", "An artist's tracks, most played by the asker first", member, (*call).topTracks, qLimit).framed(),
		get("genres", "listGenres", "browse", "Genres", member, (*call).genres).framed(),
		get("tracks", "listTracks", "browse", "Tracks", member, (*call).tracks,
			param{name: "order", enum: trackOrders, doc: "artist, album and year are the album's, and its tracks follow one another; added is newest first; recent, frequent, starred and highest are the asker's, and list only what has been played, starred or rated."},
			param{name: "reverse", kind: boolean, doc: "From the end of the order."},
			param{name: "random", kind: boolean, doc: "In a fresh random order instead."},
			param{name: "q", doc: "Every word must begin a word of the track's, its artists' or its album's name; case and accents do not count."},
			qGenres, qFormats, qFrom, qTo, qLibraries, param{name: "artist", doc: "Only this artist's, by id."}, qOffset, qLimit).framed(),
		get("tracks/{id}", "getTrack", "browse", "A track", member, (*call).track).framed(),
		get("tracks/{id}/lyrics", "getLyrics", "browse", "A track's lyrics, one entry for each language", member, (*call).lyrics),
		get("similar/{id}", "listSimilar", "browse", "Tracks like a track, album or artist", member, (*call).similar, qLimit).framed(),
		get("folders", "listFolders", "browse", "The root folder of every library that the asker sees", member, (*call).folders),
		get("folders/{id}", "getFolder", "browse", "What is in a folder", member, (*call).folder).framed(),
		get("shelves", "listShelves", "browse", "What the asker may want to hear", member, (*call).shelves,
			param{name: "limit", kind: integer, min: 1, max: 50, def: 20, doc: "At most how many albums on each."}).framed().
			saying("Shelves with nothing on them are left out. Those that are random are drawn anew each time."),
		get("search", "search", "browse", "Search as you type", member, (*call).search,
			param{name: "q", doc: "Every word must begin a word of the name; case and accents do not count. Nothing lists everything."},
			qLibrary, limitOf("artists"), limitOf("albums"), limitOf("tracks")).framed(),
		get("starred", "listStarred", "browse", "What the asker starred, latest first", member, (*call).starred, qLibrary).framed(),
	}
}

func limitOf(what string) param {
	return param{name: what, kind: integer, max: maxPage, def: 10, doc: "At most how many " + what + "; 0 for none."}
}

func (c *call) libraries() (items[library], error) {
	list, err := c.Catalog.Libraries(c.r.Context(), c.viewer)
	return items[library]{wireList(list, func(l *tutti.Library) library { return library{l.ID, l.Name} })}, err
}

func (c *call) counts() (counts, error) {
	n, err := c.Catalog.Counts(c.r.Context(), c.viewer)
	return counts{n.Tracks, n.Albums, n.Artists, n.Genres, n.Missing, n.Duration.Milliseconds(), n.Size, n.LastScan}, err
}

func (c *call) albums() (window[album], error) {
	q := tutti.AlbumQuery{
		Order: tutti.AlbumOrder(c.params.text("order")), Genres: c.params.list("genre"), Formats: c.params.list("format"),
		Libraries: c.params.list("library"), FromYear: c.params.int("fromYear"), ToYear: c.params.int("toYear"), Page: c.params.page(),
	}
	list, total, err := c.Catalog.Albums(c.r.Context(), c.viewer, q)
	return window[album]{total, q.Offset, wireList(list, wireAlbum)}, err
}

func (c *call) album() (albumReply, error) {
	a, tracks, err := c.Catalog.Album(c.r.Context(), c.viewer, c.id())
	return albumReply{wireAlbum(&a), wireList(tracks, wireTrack)}, err
}

func (c *call) artists() (window[artist], error) {
	list, err := c.Catalog.Artists(c.r.Context(), c.viewer, c.params.text("library"), c.params.text("role"))
	page := c.params.page()
	from := min(page.Offset, len(list))
	return window[artist]{len(list), page.Offset, wireList(list[from:min(len(list), from+page.Limit)], wireArtist)}, err
}

func (c *call) artist() (artistReply, error) {
	a, own, on, err := c.Catalog.Artist(c.r.Context(), c.viewer, c.id())
	return artistReply{wireArtist(&a), wireList(own, wireAlbum), wireList(on, wireAlbum)}, err
}

func (c *call) topTracks() (items[track], error) {
	ctx := c.r.Context()
	a, _, _, err := c.Catalog.Artist(ctx, c.viewer, c.id())
	if err != nil {
		return items[track]{}, err
	}
	list, err := c.Catalog.TopTracks(ctx, c.viewer, a.Name, c.params.int("limit"))
	return items[track]{wireList(list, wireTrack)}, err
}

func (c *call) genres() (items[genre], error) {
	list, err := c.Catalog.Genres(c.r.Context(), c.viewer)
	return items[genre]{wireList(list, func(g *tutti.Genre) genre {
		return genre{g.Name, g.SongCount, g.AlbumCount, append([]tutti.ID{}, g.Covers...)}
	})}, err
}

func (c *call) tracks() (window[track], error) {
	q := tutti.TrackQuery{
		Order: tutti.TrackOrder(c.params.text("order")), Reverse: c.params.bool("reverse"), Random: c.params.bool("random"), Text: c.params.text("q"),
		Genres: c.params.list("genre"), Formats: c.params.list("format"), Libraries: c.params.list("library"),
		FromYear: c.params.int("fromYear"), ToYear: c.params.int("toYear"), Artist: tutti.ID(c.params.text("artist")), Page: c.params.page(),
	}
	list, total, err := c.Catalog.Tracks(c.r.Context(), c.viewer, q)
	return window[track]{total, q.Offset, wireList(list, wireTrack)}, err
}

func (c *call) track() (track, error) {
	t, err := c.Catalog.Track(c.r.Context(), c.viewer, c.id())
	return wireTrack(&t), err
}

func (c *call) lyrics() (items[lyrics], error) {
	list, err := c.Catalog.Lyrics(c.r.Context(), c.viewer, c.id())
	return items[lyrics]{wireList(list, wireLyrics)}, err
}

func (c *call) similar() (items[track], error) {
	list, err := c.Catalog.Similar(c.r.Context(), c.viewer, c.id(), c.params.int("limit"))
	return items[track]{wireList(list, wireTrack)}, err
}

func (c *call) folders() (items[folder], error) {
	list, err := c.Catalog.RootFolders(c.r.Context(), c.viewer)
	return items[folder]{wireList(list, wireFolder)}, err
}

func (c *call) folder() (folderReply, error) {
	l, err := c.Catalog.Folder(c.r.Context(), c.viewer, c.id())
	return folderReply{
		wireFolder(&l.Folder), wireList(l.Parents, wireFolder), wireList(l.Folders, wireFolder), wireList(l.Tracks, wireTrack),
	}, err
}

func wireSearch(r tutti.SearchResult) searchReply {
	return searchReply{wireList(r.Artists, wireArtist), wireList(r.Albums, wireAlbum), wireList(r.Tracks, wireTrack)}
}

func (c *call) search() (searchReply, error) {
	r, err := c.Catalog.Search(c.r.Context(), c.viewer, tutti.SearchQuery{
		Text: c.params.text("q"), Library: c.params.text("library"),
		Artists: tutti.Page{Limit: c.params.int("artists")},
		Albums:  tutti.Page{Limit: c.params.int("albums")},
		Tracks:  tutti.Page{Limit: c.params.int("tracks")},
	})
	return wireSearch(r), err
}

func (c *call) shelves() (items[shelf], error) {
	list, err := c.Catalog.Home(c.r.Context(), c.viewer, c.params.int("limit"))
	return items[shelf]{wireList(list, func(s *tutti.HomeShelf) shelf { return shelf{s.Kind, s.Of, wireList(s.Albums, wireAlbum)} })}, err
}

func (c *call) starred() (starredReply, error) {
	r, folders, err := c.Catalog.Starred(c.r.Context(), c.viewer, c.params.text("library"))
	return starredReply{wireSearch(r), wireList(folders, wireFolder)}, err
}
