package peer

import (
	"context"

	"connectrpc.com/connect"

	"tutti"
	"tutti/peer/wire"
)

// catalogServer answers for a catalogue. What its methods return as errors, failures makes fit to travel.
type catalogServer struct{ c tutti.Catalog }

var _ wire.CatalogHandler = catalogServer{}

// one wraps an answer that is converted by value.
func one[A, B any](a A, err error, f func(A) *B) (*B, error) {
	if err != nil {
		return nil, err
	}
	return f(a), nil
}

// oneOf is one for conversions that take large structs by pointer.
func oneOf[A, B any](a A, err error, f func(*A) *B) (*B, error) {
	if err != nil {
		return nil, err
	}
	return f(&a), nil
}

func done(err error) (*wire.Nothing, error) { return &wire.Nothing{}, err }

func trackList(tracks []tutti.Track, total int, err error) (*wire.TrackList, error) {
	if err != nil {
		return nil, err
	}
	return &wire.TrackList{Tracks: eachOf(tracks, toTrack), Total: int64(total)}, nil
}

func (s catalogServer) Libraries(ctx context.Context, m *wire.ViewerRequest) (*wire.LibraryList, error) {
	l, err := s.c.Libraries(ctx, fromViewer(m.GetViewer()))
	return &wire.LibraryList{Libraries: each(l, toLibrary)}, err
}

func (s catalogServer) Counts(ctx context.Context, m *wire.ViewerRequest) (*wire.Counts, error) {
	c, err := s.c.Counts(ctx, fromViewer(m.GetViewer()))
	return one(c, err, toCounts)
}

func (s catalogServer) Track(ctx context.Context, m *wire.ThingRequest) (*wire.Track, error) {
	t, err := s.c.Track(ctx, fromViewer(m.GetViewer()), tutti.ID(m.GetId()))
	return oneOf(t, err, toTrack)
}

func (s catalogServer) TracksByID(ctx context.Context, m *wire.ThingsRequest) (*wire.TrackList, error) {
	t, err := s.c.TracksByID(ctx, fromViewer(m.GetViewer()), fromIDs(m.GetIds()))
	return trackList(t, 0, err)
}

func (s catalogServer) Tracks(ctx context.Context, m *wire.TracksRequest) (*wire.TrackList, error) {
	return trackList(s.c.Tracks(ctx, fromViewer(m.GetViewer()), fromTrackQuery(m.GetQuery())))
}

func (s catalogServer) Album(ctx context.Context, m *wire.ThingRequest) (*wire.AlbumTracks, error) {
	a, tracks, err := s.c.Album(ctx, fromViewer(m.GetViewer()), tutti.ID(m.GetId()))
	if err != nil {
		return nil, err
	}
	return &wire.AlbumTracks{Album: toAlbum(&a), Tracks: eachOf(tracks, toTrack)}, nil
}

func (s catalogServer) Albums(ctx context.Context, m *wire.AlbumsRequest) (*wire.AlbumList, error) {
	a, total, err := s.c.Albums(ctx, fromViewer(m.GetViewer()), fromAlbumQuery(m.GetQuery()))
	return &wire.AlbumList{Albums: eachOf(a, toAlbum), Total: int64(total)}, err
}

func (s catalogServer) Artist(ctx context.Context, m *wire.ThingRequest) (*wire.ArtistAlbums, error) {
	a, own, on, err := s.c.Artist(ctx, fromViewer(m.GetViewer()), tutti.ID(m.GetId()))
	if err != nil {
		return nil, err
	}
	return &wire.ArtistAlbums{Artist: toArtist(&a), Own: eachOf(own, toAlbum), AppearsOn: eachOf(on, toAlbum)}, nil
}

func (s catalogServer) Artists(ctx context.Context, m *wire.LibraryRequest) (*wire.ArtistList, error) {
	a, err := s.c.Artists(ctx, fromViewer(m.GetViewer()), m.GetLibrary(), m.GetRole())
	return &wire.ArtistList{Artists: eachOf(a, toArtist)}, err
}

func (s catalogServer) Genres(ctx context.Context, m *wire.ViewerRequest) (*wire.GenreList, error) {
	g, err := s.c.Genres(ctx, fromViewer(m.GetViewer()))
	return &wire.GenreList{Genres: each(g, toGenre)}, err
}

func (s catalogServer) Folder(ctx context.Context, m *wire.ThingRequest) (*wire.FolderListing, error) {
	l, err := s.c.Folder(ctx, fromViewer(m.GetViewer()), tutti.ID(m.GetId()))
	return oneOf(l, err, toFolderListing)
}

func (s catalogServer) RootFolders(ctx context.Context, m *wire.ViewerRequest) (*wire.FolderList, error) {
	f, err := s.c.RootFolders(ctx, fromViewer(m.GetViewer()))
	return &wire.FolderList{Folders: eachOf(f, toFolder)}, err
}

func (s catalogServer) Search(ctx context.Context, m *wire.SearchRequest) (*wire.SearchResult, error) {
	r, err := s.c.Search(ctx, fromViewer(m.GetViewer()), fromSearchQuery(m.GetQuery()))
	return one(r, err, toSearchResult)
}

func (s catalogServer) Starred(ctx context.Context, m *wire.LibraryRequest) (*wire.StarredThings, error) {
	r, folders, err := s.c.Starred(ctx, fromViewer(m.GetViewer()), m.GetLibrary())
	return &wire.StarredThings{Things: toSearchResult(r), Folders: eachOf(folders, toFolder)}, err
}

func (s catalogServer) Similar(ctx context.Context, m *wire.LimitRequest) (*wire.TrackList, error) {
	t, err := s.c.Similar(ctx, fromViewer(m.GetViewer()), tutti.ID(m.GetId()), int(m.GetLimit()))
	return trackList(t, 0, err)
}

func (s catalogServer) SonicSimilar(ctx context.Context, m *wire.LimitRequest) (*wire.SonicMatches, error) {
	list, err := s.c.SonicSimilar(ctx, fromViewer(m.GetViewer()), tutti.ID(m.GetId()), int(m.GetLimit()))
	return &wire.SonicMatches{Matches: eachOf(list, toSonicMatch)}, err
}

func (s catalogServer) SonicPath(ctx context.Context, m *wire.SonicPathRequest) (*wire.SonicMatches, error) {
	list, err := s.c.SonicPath(ctx, fromViewer(m.GetViewer()), tutti.ID(m.GetFrom()), tutti.ID(m.GetTo()), int(m.GetLimit()))
	return &wire.SonicMatches{Matches: eachOf(list, toSonicMatch)}, err
}

func (s catalogServer) TopTracks(ctx context.Context, m *wire.LimitRequest) (*wire.TrackList, error) {
	t, err := s.c.TopTracks(ctx, fromViewer(m.GetViewer()), m.GetName(), int(m.GetLimit()))
	return trackList(t, 0, err)
}

func (s catalogServer) Lyrics(ctx context.Context, m *wire.ThingRequest) (*wire.LyricsList, error) {
	l, err := s.c.Lyrics(ctx, fromViewer(m.GetViewer()), tutti.ID(m.GetId()))
	return &wire.LyricsList{Lyrics: eachOf(l, toLyrics)}, err
}

func (s catalogServer) Cover(ctx context.Context, m *wire.ThingRequest) (*wire.Ref, error) {
	r, err := s.c.Cover(ctx, fromViewer(m.GetViewer()), tutti.ID(m.GetId()))
	return one(r, err, toRef)
}

func (s catalogServer) Mosaic(ctx context.Context, m *wire.ThingRequest) (*wire.RefList, error) {
	r, err := s.c.Mosaic(ctx, fromViewer(m.GetViewer()), tutti.ID(m.GetId()))
	return &wire.RefList{Refs: each(r, toRef)}, err
}

func (s catalogServer) FindTracks(ctx context.Context, m *wire.FindRequest) (*wire.IDList, error) {
	ids, err := s.c.FindTracks(ctx, fromViewer(m.GetViewer()), each(m.GetSought(), fromSought))
	return &wire.IDList{Ids: texts(ids)}, err
}

func (s catalogServer) Home(ctx context.Context, m *wire.LimitRequest) (*wire.HomeShelves, error) {
	h, err := s.c.Home(ctx, fromViewer(m.GetViewer()), int(m.GetLimit()))
	return &wire.HomeShelves{Shelves: each(h, toHomeShelf)}, err
}

func (s catalogServer) Watch(ctx context.Context, m *wire.ViewerRequest, out *connect.ServerStream[wire.Event]) error {
	return s.c.Watch(ctx, fromViewer(m.GetViewer()), func(e tutti.Event) error { return out.Send(toEvent(e)) })
}

func (s catalogServer) Star(ctx context.Context, m *wire.StarRequest) (*wire.Nothing, error) {
	return done(s.c.Star(ctx, fromViewer(m.GetViewer()), m.GetStarred(), fromIDs(m.GetIds())...))
}

func (s catalogServer) Rate(ctx context.Context, m *wire.RateRequest) (*wire.Nothing, error) {
	return done(s.c.Rate(ctx, fromViewer(m.GetViewer()), tutti.ID(m.GetId()), int(m.GetRating())))
}

func (s catalogServer) Played(ctx context.Context, m *wire.PlayedRequest) (*wire.Nothing, error) {
	return done(s.c.Played(ctx, fromViewer(m.GetViewer()), each(m.GetPlays(), fromPlay)...))
}

func (s catalogServer) NowPlaying(ctx context.Context, m *wire.NowPlayingRequest) (*wire.Nothing, error) {
	return done(s.c.NowPlaying(ctx, fromViewer(m.GetViewer()), fromPlaying(m.GetPlaying())))
}

func (s catalogServer) NowPlayingAll(ctx context.Context, m *wire.ViewerRequest) (*wire.PlayingList, error) {
	p, err := s.c.NowPlayingAll(ctx, fromViewer(m.GetViewer()))
	return &wire.PlayingList{Playing: eachOf(p, toPlaying)}, err
}

func (s catalogServer) Playlists(ctx context.Context, m *wire.ViewerRequest) (*wire.PlaylistList, error) {
	p, err := s.c.Playlists(ctx, fromViewer(m.GetViewer()))
	return &wire.PlaylistList{Playlists: eachOf(p, toPlaylist)}, err
}

func (s catalogServer) Playlist(ctx context.Context, m *wire.ThingRequest) (*wire.Playlist, error) {
	p, err := s.c.Playlist(ctx, fromViewer(m.GetViewer()), tutti.ID(m.GetId()))
	return oneOf(p, err, toPlaylist)
}

func (s catalogServer) SavePlaylist(ctx context.Context, m *wire.PlaylistRequest) (*wire.Playlist, error) {
	p, err := s.c.SavePlaylist(ctx, fromViewer(m.GetViewer()), fromPlaylist(m.GetPlaylist()))
	return oneOf(p, err, toPlaylist)
}

func (s catalogServer) DeletePlaylist(ctx context.Context, m *wire.ThingRequest) (*wire.Nothing, error) {
	return done(s.c.DeletePlaylist(ctx, fromViewer(m.GetViewer()), tutti.ID(m.GetId())))
}

func (s catalogServer) Bookmarks(ctx context.Context, m *wire.ViewerRequest) (*wire.BookmarkList, error) {
	b, err := s.c.Bookmarks(ctx, fromViewer(m.GetViewer()))
	return &wire.BookmarkList{Bookmarks: each(b, toBookmark)}, err
}

func (s catalogServer) SaveBookmark(ctx context.Context, m *wire.BookmarkRequest) (*wire.Nothing, error) {
	return done(s.c.SaveBookmark(ctx, fromViewer(m.GetViewer()), fromBookmark(m.GetBookmark())))
}

func (s catalogServer) DeleteBookmark(ctx context.Context, m *wire.ThingRequest) (*wire.Nothing, error) {
	return done(s.c.DeleteBookmark(ctx, fromViewer(m.GetViewer()), tutti.ID(m.GetId())))
}

func (s catalogServer) Queue(ctx context.Context, m *wire.ViewerRequest) (*wire.Queue, error) {
	q, err := s.c.Queue(ctx, fromViewer(m.GetViewer()))
	return one(q, err, toQueue)
}

func (s catalogServer) SaveQueue(ctx context.Context, m *wire.QueueRequest) (*wire.Nothing, error) {
	return done(s.c.SaveQueue(ctx, fromViewer(m.GetViewer()), fromQueue(m.GetQueue())))
}

func (s catalogServer) Stations(ctx context.Context, m *wire.ViewerRequest) (*wire.StationList, error) {
	l, err := s.c.Stations(ctx, fromViewer(m.GetViewer()))
	return &wire.StationList{Stations: each(l, toStation)}, err
}

func (s catalogServer) SaveStation(ctx context.Context, m *wire.StationRequest) (*wire.Station, error) {
	st, err := s.c.SaveStation(ctx, fromViewer(m.GetViewer()), fromStation(m.GetStation()))
	return one(st, err, toStation)
}

func (s catalogServer) DeleteStation(ctx context.Context, m *wire.ThingRequest) (*wire.Nothing, error) {
	return done(s.c.DeleteStation(ctx, fromViewer(m.GetViewer()), tutti.ID(m.GetId())))
}

func (s catalogServer) Shares(ctx context.Context, m *wire.ViewerRequest) (*wire.ShareList, error) {
	l, err := s.c.Shares(ctx, fromViewer(m.GetViewer()))
	return &wire.ShareList{Shares: eachOf(l, toShare)}, err
}

func (s catalogServer) SaveShare(ctx context.Context, m *wire.ShareRequest) (*wire.Share, error) {
	share, err := s.c.SaveShare(ctx, fromViewer(m.GetViewer()), fromShare(m.GetShare()))
	return oneOf(share, err, toShare)
}

func (s catalogServer) DeleteShare(ctx context.Context, m *wire.ThingRequest) (*wire.Nothing, error) {
	return done(s.c.DeleteShare(ctx, fromViewer(m.GetViewer()), tutti.ID(m.GetId())))
}

func shareTracks(share tutti.Share, tracks []tutti.Track, err error) (*wire.ShareTracks, error) {
	if err != nil {
		return nil, err
	}
	return &wire.ShareTracks{Share: toShare(&share), Tracks: eachOf(tracks, toTrack)}, nil
}

func (s catalogServer) OpenShare(ctx context.Context, m *wire.SecretRequest) (*wire.ShareTracks, error) {
	return shareTracks(s.c.OpenShare(ctx, m.GetSecret()))
}

func (s catalogServer) PeekShare(ctx context.Context, m *wire.SecretRequest) (*wire.ShareTracks, error) {
	return shareTracks(s.c.PeekShare(ctx, m.GetSecret()))
}

func (s catalogServer) Scan(ctx context.Context, m *wire.ScanRequest) (*wire.ScanStatus, error) {
	status, err := s.c.Scan(ctx, m.GetFull())
	return one(status, err, toScanStatus)
}

func (s catalogServer) ScanStatus(ctx context.Context, _ *wire.Nothing) (*wire.ScanStatus, error) {
	status, err := s.c.ScanStatus(ctx)
	return one(status, err, toScanStatus)
}

func (s catalogServer) WatchScan(ctx context.Context, _ *wire.Nothing, out *connect.ServerStream[wire.ScanStatus]) error {
	return s.c.WatchScan(ctx, func(status tutti.ScanStatus) error { return out.Send(toScanStatus(status)) })
}

func (s catalogServer) Plan(ctx context.Context, m *wire.PlanRequest) (*wire.Plan, error) {
	p, err := s.c.Plan(ctx, fromPlanRequest(m))
	return oneOf(p, err, toPlan)
}
