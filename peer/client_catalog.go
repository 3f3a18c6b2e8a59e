package peer

import (
	"context"
	"time"

	"connectrpc.com/connect"

	"tutti"
	"tutti/clock"
	"tutti/peer/balance"
	"tutti/peer/wire"
)

// catalogClient speaks tutti.Catalog to the member of the catalogue that is nearest to who asks.
type catalogClient struct{ c *Client }

var _ tutti.Catalog = catalogClient{}

// Catalog returns the fleet's catalogue. Beyond what tutti.Catalog says, every method may return KindUnavailable: at
// once where no member is ready, else when members do not answer in time. A write that returns it may have happened.
func (c *Client) Catalog() tutti.Catalog { return catalogClient{c} }

// call asks the catalogue. method is named as in the protocol.
func call[A, B any](ctx context.Context, c *Client, method string, how balance.Class, req *A, do func(wire.CatalogClient, context.Context, *A) (*B, error)) (*B, error) {
	members := c.c.Fleet.Members(tutti.ServiceCatalog)
	if len(members) == 0 {
		return nil, nobody("Catalog/"+method, tutti.ServiceCatalog)
	}
	order := c.balanced
	if of, ok := any(req).(interface{ GetViewer() *wire.Viewer }); ok && of.GetViewer().GetUser() != "" {
		order = func(members []tutti.Member) []*target { return c.near(members, of.GetViewer().GetUser()) }
	}
	a, err := ask(ctx, c, "Catalog/"+method, how, order(members), func(ctx context.Context, t *target) (*B, error) {
		return do(t.catalog, ctx, req)
	})
	if err != nil {
		return nil, err
	}
	a.end()
	return a.value, nil
}

// tell is call for methods that return nothing.
func tell[A any](ctx context.Context, c *Client, method string, how balance.Class, req *A, do func(wire.CatalogClient, context.Context, *A) (*wire.Nothing, error)) error {
	_, err := call(ctx, c, method, how, req, do)
	return err
}

func viewed(v tutti.Viewer) *wire.ViewerRequest { return &wire.ViewerRequest{Viewer: toViewer(v)} }

func thing(v tutti.Viewer, id tutti.ID) *wire.ThingRequest {
	return &wire.ThingRequest{Viewer: toViewer(v), Id: text(string(id))}
}

func (c catalogClient) Libraries(ctx context.Context, v tutti.Viewer) ([]tutti.Library, error) {
	m, err := call(ctx, c.c, "Libraries", c.c.read(), viewed(v), wire.CatalogClient.Libraries)
	return each(m.GetLibraries(), fromLibrary), err
}

func (c catalogClient) Counts(ctx context.Context, v tutti.Viewer) (tutti.Counts, error) {
	m, err := call(ctx, c.c, "Counts", c.c.read(), viewed(v), wire.CatalogClient.Counts)
	return fromCounts(m), err
}

func (c catalogClient) Track(ctx context.Context, v tutti.Viewer, id tutti.ID) (tutti.Track, error) {
	m, err := call(ctx, c.c, "Track", c.c.read(), thing(v, id), wire.CatalogClient.Track)
	return fromTrack(m), err
}

func (c catalogClient) TracksByID(ctx context.Context, v tutti.Viewer, ids []tutti.ID) ([]tutti.Track, error) {
	m, err := call(ctx, c.c, "TracksByID", c.c.read(), &wire.ThingsRequest{Viewer: toViewer(v), Ids: texts(ids)}, wire.CatalogClient.TracksByID)
	return each(m.GetTracks(), fromTrack), err
}

func (c catalogClient) Tracks(ctx context.Context, v tutti.Viewer, q tutti.TrackQuery) ([]tutti.Track, int, error) {
	m, err := call(ctx, c.c, "Tracks", c.c.read(), &wire.TracksRequest{Viewer: toViewer(v), Query: toTrackQuery(q)}, wire.CatalogClient.Tracks)
	return each(m.GetTracks(), fromTrack), int(m.GetTotal()), err
}

func (c catalogClient) Album(ctx context.Context, v tutti.Viewer, id tutti.ID) (tutti.Album, []tutti.Track, error) {
	m, err := call(ctx, c.c, "Album", c.c.read(), thing(v, id), wire.CatalogClient.Album)
	return fromAlbum(m.GetAlbum()), each(m.GetTracks(), fromTrack), err
}

func (c catalogClient) Albums(ctx context.Context, v tutti.Viewer, q tutti.AlbumQuery) ([]tutti.Album, int, error) {
	m, err := call(ctx, c.c, "Albums", c.c.read(), &wire.AlbumsRequest{Viewer: toViewer(v), Query: toAlbumQuery(q)}, wire.CatalogClient.Albums)
	return each(m.GetAlbums(), fromAlbum), int(m.GetTotal()), err
}

func (c catalogClient) Artist(ctx context.Context, v tutti.Viewer, id tutti.ID) (a tutti.Artist, own, appearsOn []tutti.Album, err error) {
	m, err := call(ctx, c.c, "Artist", c.c.read(), thing(v, id), wire.CatalogClient.Artist)
	return fromArtist(m.GetArtist()), each(m.GetOwn(), fromAlbum), each(m.GetAppearsOn(), fromAlbum), err
}

func (c catalogClient) Artists(ctx context.Context, v tutti.Viewer, library, role string) ([]tutti.Artist, error) {
	m, err := call(ctx, c.c, "Artists", c.c.read(), &wire.LibraryRequest{Viewer: toViewer(v), Library: text(library), Role: text(role)}, wire.CatalogClient.Artists)
	return each(m.GetArtists(), fromArtist), err
}

func (c catalogClient) Genres(ctx context.Context, v tutti.Viewer) ([]tutti.Genre, error) {
	m, err := call(ctx, c.c, "Genres", c.c.read(), viewed(v), wire.CatalogClient.Genres)
	return each(m.GetGenres(), fromGenre), err
}

func (c catalogClient) Folder(ctx context.Context, v tutti.Viewer, id tutti.ID) (tutti.FolderListing, error) {
	m, err := call(ctx, c.c, "Folder", c.c.read(), thing(v, id), wire.CatalogClient.Folder)
	return fromFolderListing(m), err
}

func (c catalogClient) RootFolders(ctx context.Context, v tutti.Viewer) ([]tutti.Folder, error) {
	m, err := call(ctx, c.c, "RootFolders", c.c.read(), viewed(v), wire.CatalogClient.RootFolders)
	return each(m.GetFolders(), fromFolder), err
}

func (c catalogClient) Search(ctx context.Context, v tutti.Viewer, q tutti.SearchQuery) (tutti.SearchResult, error) {
	m, err := call(ctx, c.c, "Search", c.c.read(), &wire.SearchRequest{Viewer: toViewer(v), Query: toSearchQuery(q)}, wire.CatalogClient.Search)
	return fromSearchResult(m), err
}

func (c catalogClient) Starred(ctx context.Context, v tutti.Viewer, library string) (tutti.SearchResult, []tutti.Folder, error) {
	m, err := call(ctx, c.c, "Starred", c.c.read(), &wire.LibraryRequest{Viewer: toViewer(v), Library: text(library)}, wire.CatalogClient.Starred)
	return fromSearchResult(m.GetThings()), each(m.GetFolders(), fromFolder), err
}

func (c catalogClient) Similar(ctx context.Context, v tutti.Viewer, id tutti.ID, limit int) ([]tutti.Track, error) {
	m, err := call(ctx, c.c, "Similar", c.c.read(), &wire.LimitRequest{Viewer: toViewer(v), Id: text(string(id)), Limit: int64(limit)}, wire.CatalogClient.Similar)
	return each(m.GetTracks(), fromTrack), err
}

func (c catalogClient) SonicSimilar(ctx context.Context, v tutti.Viewer, track tutti.ID, limit int) ([]tutti.SonicMatch, error) {
	m, err := call(ctx, c.c, "SonicSimilar", c.c.read(), &wire.LimitRequest{Viewer: toViewer(v), Id: text(string(track)), Limit: int64(limit)}, wire.CatalogClient.SonicSimilar)
	return each(m.GetMatches(), fromSonicMatch), err
}

func (c catalogClient) SonicPath(ctx context.Context, v tutti.Viewer, from, to tutti.ID, limit int) ([]tutti.SonicMatch, error) {
	m, err := call(ctx, c.c, "SonicPath", c.c.read(), &wire.SonicPathRequest{Viewer: toViewer(v), From: text(string(from)), To: text(string(to)), Limit: int64(limit)}, wire.CatalogClient.SonicPath)
	return each(m.GetMatches(), fromSonicMatch), err
}

func (c catalogClient) TopTracks(ctx context.Context, v tutti.Viewer, artistName string, limit int) ([]tutti.Track, error) {
	m, err := call(ctx, c.c, "TopTracks", c.c.read(), &wire.LimitRequest{Viewer: toViewer(v), Name: text(artistName), Limit: int64(limit)}, wire.CatalogClient.TopTracks)
	return each(m.GetTracks(), fromTrack), err
}

func (c catalogClient) Lyrics(ctx context.Context, v tutti.Viewer, track tutti.ID) ([]tutti.Lyrics, error) {
	m, err := call(ctx, c.c, "Lyrics", c.c.read(), thing(v, track), wire.CatalogClient.Lyrics)
	return each(m.GetLyrics(), fromLyrics), err
}

func (c catalogClient) Cover(ctx context.Context, v tutti.Viewer, id tutti.ID) (tutti.Ref, error) {
	m, err := call(ctx, c.c, "Cover", c.c.read(), thing(v, id), wire.CatalogClient.Cover)
	return fromRef(m), err
}

func (c catalogClient) Mosaic(ctx context.Context, v tutti.Viewer, playlist tutti.ID) ([]tutti.Ref, error) {
	m, err := call(ctx, c.c, "Mosaic", c.c.read(), thing(v, playlist), wire.CatalogClient.Mosaic)
	return each(m.GetRefs(), fromRef), err
}

func (c catalogClient) FindTracks(ctx context.Context, v tutti.Viewer, sought []tutti.Sought) ([]tutti.ID, error) {
	m, err := call(ctx, c.c, "FindTracks", c.c.read(), &wire.FindRequest{Viewer: toViewer(v), Sought: each(sought, toSought)}, wire.CatalogClient.FindTracks)
	return fromIDs(m.GetIds()), err
}

func (c catalogClient) Home(ctx context.Context, v tutti.Viewer, limit int) ([]tutti.HomeShelf, error) {
	m, err := call(ctx, c.c, "Home", c.c.read(), &wire.LimitRequest{Viewer: toViewer(v), Limit: int64(limit)}, wire.CatalogClient.Home)
	return each(m.GetShelves(), fromHomeShelf), err
}

func (c catalogClient) Star(ctx context.Context, v tutti.Viewer, starred bool, ids ...tutti.ID) error {
	return tell(ctx, c.c, "Star", c.c.writeAgain(), &wire.StarRequest{Viewer: toViewer(v), Starred: starred, Ids: texts(ids)}, wire.CatalogClient.Star)
}

func (c catalogClient) Rate(ctx context.Context, v tutti.Viewer, id tutti.ID, rating int) error {
	return tell(ctx, c.c, "Rate", c.c.writeAgain(), &wire.RateRequest{Viewer: toViewer(v), Id: text(string(id)), Rating: int64(rating)}, wire.CatalogClient.Rate)
}

func (c catalogClient) Played(ctx context.Context, v tutti.Viewer, plays ...tutti.Play) error {
	return tell(ctx, c.c, "Played", c.c.write(), &wire.PlayedRequest{Viewer: toViewer(v), Plays: each(plays, toPlay)}, wire.CatalogClient.Played)
}

func (c catalogClient) NowPlaying(ctx context.Context, v tutti.Viewer, p tutti.Playing) error {
	return tell(ctx, c.c, "NowPlaying", c.c.writeAgain(), &wire.NowPlayingRequest{Viewer: toViewer(v), Playing: toPlaying(&p)}, wire.CatalogClient.NowPlaying)
}

func (c catalogClient) NowPlayingAll(ctx context.Context, v tutti.Viewer) ([]tutti.Playing, error) {
	m, err := call(ctx, c.c, "NowPlayingAll", c.c.read(), viewed(v), wire.CatalogClient.NowPlayingAll)
	return each(m.GetPlaying(), fromPlaying), err
}

func (c catalogClient) Playlists(ctx context.Context, v tutti.Viewer) ([]tutti.Playlist, error) {
	m, err := call(ctx, c.c, "Playlists", c.c.read(), viewed(v), wire.CatalogClient.Playlists)
	return each(m.GetPlaylists(), fromPlaylist), err
}

func (c catalogClient) Playlist(ctx context.Context, v tutti.Viewer, id tutti.ID) (tutti.Playlist, error) {
	m, err := call(ctx, c.c, "Playlist", c.c.read(), thing(v, id), wire.CatalogClient.Playlist)
	return fromPlaylist(m), err
}

func (c catalogClient) SavePlaylist(ctx context.Context, v tutti.Viewer, p tutti.Playlist) (tutti.Playlist, error) {
	m, err := call(ctx, c.c, "SavePlaylist", c.c.write(), &wire.PlaylistRequest{Viewer: toViewer(v), Playlist: toPlaylist(&p)}, wire.CatalogClient.SavePlaylist)
	return fromPlaylist(m), err
}

func (c catalogClient) DeletePlaylist(ctx context.Context, v tutti.Viewer, id tutti.ID) error {
	return tell(ctx, c.c, "DeletePlaylist", c.c.write(), thing(v, id), wire.CatalogClient.DeletePlaylist)
}

func (c catalogClient) Bookmarks(ctx context.Context, v tutti.Viewer) ([]tutti.Bookmark, error) {
	m, err := call(ctx, c.c, "Bookmarks", c.c.read(), viewed(v), wire.CatalogClient.Bookmarks)
	return each(m.GetBookmarks(), fromBookmark), err
}

func (c catalogClient) SaveBookmark(ctx context.Context, v tutti.Viewer, b tutti.Bookmark) error {
	return tell(ctx, c.c, "SaveBookmark", c.c.writeAgain(), &wire.BookmarkRequest{Viewer: toViewer(v), Bookmark: toBookmark(b)}, wire.CatalogClient.SaveBookmark)
}

func (c catalogClient) DeleteBookmark(ctx context.Context, v tutti.Viewer, track tutti.ID) error {
	return tell(ctx, c.c, "DeleteBookmark", c.c.write(), thing(v, track), wire.CatalogClient.DeleteBookmark)
}

func (c catalogClient) Queue(ctx context.Context, v tutti.Viewer) (tutti.Queue, error) {
	m, err := call(ctx, c.c, "Queue", c.c.read(), viewed(v), wire.CatalogClient.Queue)
	return fromQueue(m), err
}

func (c catalogClient) SaveQueue(ctx context.Context, v tutti.Viewer, q tutti.Queue) error {
	return tell(ctx, c.c, "SaveQueue", c.c.writeAgain(), &wire.QueueRequest{Viewer: toViewer(v), Queue: toQueue(q)}, wire.CatalogClient.SaveQueue)
}

func (c catalogClient) Stations(ctx context.Context, v tutti.Viewer) ([]tutti.Station, error) {
	m, err := call(ctx, c.c, "Stations", c.c.read(), viewed(v), wire.CatalogClient.Stations)
	return each(m.GetStations(), fromStation), err
}

func (c catalogClient) SaveStation(ctx context.Context, v tutti.Viewer, s tutti.Station) (tutti.Station, error) {
	m, err := call(ctx, c.c, "SaveStation", c.c.write(), &wire.StationRequest{Viewer: toViewer(v), Station: toStation(s)}, wire.CatalogClient.SaveStation)
	return fromStation(m), err
}

func (c catalogClient) DeleteStation(ctx context.Context, v tutti.Viewer, id tutti.ID) error {
	return tell(ctx, c.c, "DeleteStation", c.c.write(), thing(v, id), wire.CatalogClient.DeleteStation)
}

func (c catalogClient) Shares(ctx context.Context, v tutti.Viewer) ([]tutti.Share, error) {
	m, err := call(ctx, c.c, "Shares", c.c.read(), viewed(v), wire.CatalogClient.Shares)
	return each(m.GetShares(), fromShare), err
}

func (c catalogClient) SaveShare(ctx context.Context, v tutti.Viewer, s tutti.Share) (tutti.Share, error) {
	m, err := call(ctx, c.c, "SaveShare", c.c.write(), &wire.ShareRequest{Viewer: toViewer(v), Share: toShare(&s)}, wire.CatalogClient.SaveShare)
	return fromShare(m), err
}

func (c catalogClient) DeleteShare(ctx context.Context, v tutti.Viewer, id tutti.ID) error {
	return tell(ctx, c.c, "DeleteShare", c.c.write(), thing(v, id), wire.CatalogClient.DeleteShare)
}

func (c catalogClient) OpenShare(ctx context.Context, secret string) (tutti.Share, []tutti.Track, error) {
	m, err := call(ctx, c.c, "OpenShare", c.c.write(), &wire.SecretRequest{Secret: text(secret)}, wire.CatalogClient.OpenShare)
	return fromShare(m.GetShare()), each(m.GetTracks(), fromTrack), err
}

func (c catalogClient) PeekShare(ctx context.Context, secret string) (tutti.Share, []tutti.Track, error) {
	m, err := call(ctx, c.c, "PeekShare", c.c.read(), &wire.SecretRequest{Secret: text(secret)}, wire.CatalogClient.PeekShare)
	return fromShare(m.GetShare()), each(m.GetTracks(), fromTrack), err
}

func (c catalogClient) Scan(ctx context.Context, full bool) (tutti.ScanStatus, error) {
	m, err := call(ctx, c.c, "Scan", c.c.writeAgain(), &wire.ScanRequest{Full: full}, wire.CatalogClient.Scan)
	return fromScanStatus(m), err
}

func (c catalogClient) ScanStatus(ctx context.Context) (tutti.ScanStatus, error) {
	m, err := call(ctx, c.c, "ScanStatus", c.c.read(), &wire.Nothing{}, wire.CatalogClient.ScanStatus)
	return fromScanStatus(m), err
}

func (c catalogClient) Plan(ctx context.Context, req tutti.PlanRequest) (tutti.Plan, error) {
	m, err := call(ctx, c.c, "Plan", c.c.read(), toPlanRequest(req), wire.CatalogClient.Plan)
	return fromPlan(m), err
}

const (
	watchAgain  = 500 * time.Millisecond // between two tries to watch
	watchGiveUp = 20                     // tries in a row without a word from any member
)

// WatchScan goes on with another member when the one that was watched goes away. It returns KindUnavailable when there
// was none for ten seconds.
func (c catalogClient) WatchScan(ctx context.Context, fn func(tutti.ScanStatus) error) error {
	return watch(ctx, c.c, "WatchScan", c.c.balanced, func(ctx context.Context, t *target) (*connect.ServerStreamForClient[wire.ScanStatus], error) {
		return t.catalog.WatchScan(ctx, &wire.Nothing{})
	}, func(m *wire.ScanStatus) error { return fn(fromScanStatus(m)) })
}

// Watch goes on with another member as WatchScan does, and begins with the one that the viewer's other requests go to. What
// happened in between is not known, so everything counts as changed.
func (c catalogClient) Watch(ctx context.Context, v tutti.Viewer, fn func(tutti.Event) error) error {
	near := func(members []tutti.Member) []*target { return c.c.near(members, string(v.User)) }
	heard, missed := false, false
	return watch(ctx, c.c, "Watch", near, func(ctx context.Context, t *target) (*connect.ServerStreamForClient[wire.Event], error) {
		missed = heard
		return t.catalog.Watch(ctx, viewed(v))
	}, func(m *wire.Event) error {
		if missed {
			for _, kind := range [...]tutti.EventKind{tutti.EventLibrary, tutti.EventPlaylists, tutti.EventQueue} {
				if err := fn(tutti.Event{Kind: kind}); err != nil {
					return err
				}
			}
		}
		heard, missed = true, false
		return fn(fromEvent(m))
	})
}

// watch passes on what members of the catalogue say, one after another as they go away.
func watch[M any](
	ctx context.Context, c *Client, method string, order func([]tutti.Member) []*target,
	open func(context.Context, *target) (*connect.ServerStreamForClient[M], error), fn func(*M) error,
) error {
	silent := 0
	for {
		var err error
		if members := c.c.Fleet.Members(tutti.ServiceCatalog); len(members) == 0 {
			err = nobody("Catalog/"+method, tutti.ServiceCatalog)
		} else {
			var heard bool
			var own error
			if heard, own, err = watchOne(ctx, c, method, order(members)[0], open, fn); own != nil {
				return own
			}
			if heard {
				silent = 0
			}
		}
		if ctx.Err() != nil {
			return tutti.Wrap(tutti.KindUnavailable, "peer: Catalog/"+method, context.Cause(ctx))
		}
		if silent++; err != nil && (silent >= watchGiveUp || tutti.KindOf(err) != tutti.KindUnavailable) {
			return err
		}
		if err := clock.Sleep(ctx, c.c.Clock, watchAgain); err != nil {
			return tutti.Wrap(tutti.KindUnavailable, "peer: Catalog/"+method, context.Cause(ctx))
		}
	}
}

// watchOne passes on what one member says. own is what fn returned.
func watchOne[M any](
	ctx context.Context, c *Client, method string, t *target,
	open func(context.Context, *target) (*connect.ServerStreamForClient[M], error), fn func(*M) error,
) (heard bool, own, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := open(ctx, t)
	if err == nil {
		for stream.Receive() {
			heard = true
			if own := fn(stream.Msg()); own != nil {
				cancel()
				_ = stream.Close() // it was cancelled
				return heard, own, nil
			}
		}
		err = stream.Err()
		_ = stream.Close() // Err has said what there is to say
	}
	err, answered := incoming(ctx, "peer: Catalog/"+method+" on "+t.address, err)
	if !answered && ctx.Err() == nil {
		c.suspect(t)
	}
	return heard, nil, err
}
