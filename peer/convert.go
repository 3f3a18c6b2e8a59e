package peer

import (
	"strings"
	"time"
	"unicode/utf8"

	"tutti"
	"tutti/peer/wire"
)

// The conversions between the words and their messages: toX makes the message, fromX the word. A message that is not
// there reads as the zero value, which is how optional structs arrive that an older member did not send.

// text makes a string fit for Protocol Buffers, which take valid UTF-8 only. What a listener typed need not be.
func text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func texts[S ~string](in []S) []string {
	if len(in) == 0 {
		return nil
	}
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = text(string(s))
	}
	return out
}

func fromIDs(in []string) []tutti.ID {
	if len(in) == 0 {
		return nil
	}
	out := make([]tutti.ID, len(in))
	for i, s := range in {
		out[i] = tutti.ID(s)
	}
	return out
}

// each converts a list. An empty one becomes nil.
func each[A, B any](in []A, f func(A) B) []B {
	if len(in) == 0 {
		return nil
	}
	out := make([]B, len(in))
	for i := range in {
		out[i] = f(in[i])
	}
	return out
}

// eachOf is each for conversions that take large structs by pointer.
func eachOf[A, B any](in []A, f func(*A) B) []B {
	if len(in) == 0 {
		return nil
	}
	out := make([]B, len(in))
	for i := range in {
		out[i] = f(&in[i])
	}
	return out
}

func toTime(t time.Time) *wire.Time {
	if t.IsZero() {
		return nil
	}
	return &wire.Time{Seconds: t.Unix(), Nanos: int32(t.Nanosecond())}
}

func fromTime(m *wire.Time) time.Time {
	if m == nil {
		return time.Time{}
	}
	return time.Unix(m.GetSeconds(), int64(m.GetNanos())).UTC()
}

func toViewer(v tutti.Viewer) *wire.Viewer {
	return &wire.Viewer{User: text(string(v.User)), Libraries: texts(v.Libraries), AllLibraries: v.Libraries == nil, Admin: v.Admin}
}

func fromViewer(m *wire.Viewer) tutti.Viewer {
	v := tutti.Viewer{User: tutti.ID(m.GetUser()), Libraries: m.GetLibraries(), Admin: m.GetAdmin()}
	switch {
	case m.GetAllLibraries():
		v.Libraries = nil
	case v.Libraries == nil:
		v.Libraries = []string{} // nil would mean all
	}
	return v
}

func toLibrary(l tutti.Library) *wire.Library {
	return &wire.Library{Id: text(l.ID), Name: text(l.Name), Path: text(l.Path)}
}

func fromLibrary(m *wire.Library) tutti.Library {
	return tutti.Library{ID: m.GetId(), Name: m.GetName(), Path: m.GetPath()}
}

func toDate(d tutti.Date) *wire.Date {
	if d == (tutti.Date{}) {
		return nil
	}
	return &wire.Date{Year: int32(d.Year), Month: int32(d.Month), Day: int32(d.Day)}
}

func fromDate(m *wire.Date) tutti.Date {
	return tutti.Date{Year: int(m.GetYear()), Month: int(m.GetMonth()), Day: int(m.GetDay())}
}

func toGain(g tutti.Gain) *wire.Gain {
	if g.IsZero() {
		return nil
	}
	return &wire.Gain{Track: g.Track, Album: g.Album, TrackPeak: g.TrackPeak, AlbumPeak: g.AlbumPeak, Base: g.Base}
}

func fromGain(m *wire.Gain) tutti.Gain {
	if m == nil {
		return tutti.Gain{}
	}
	return tutti.Gain{Track: m.Track, Album: m.Album, TrackPeak: m.TrackPeak, AlbumPeak: m.AlbumPeak, Base: m.Base}
}

func toArtistRef(a tutti.ArtistRef) *wire.ArtistRef {
	return &wire.ArtistRef{Id: text(string(a.ID)), Name: text(a.Name)}
}

func fromArtistRef(m *wire.ArtistRef) tutti.ArtistRef {
	return tutti.ArtistRef{ID: tutti.ID(m.GetId()), Name: m.GetName()}
}

func toContributor(c tutti.Contributor) *wire.Contributor {
	return &wire.Contributor{Role: text(c.Role), SubRole: text(c.SubRole), Artist: toArtistRef(c.Artist)}
}

func fromContributor(m *wire.Contributor) tutti.Contributor {
	return tutti.Contributor{Role: m.GetRole(), SubRole: m.GetSubRole(), Artist: fromArtistRef(m.GetArtist())}
}

func toAnnotation(a tutti.Annotation) *wire.Annotation {
	if a == (tutti.Annotation{}) {
		return nil
	}
	return &wire.Annotation{Starred: toTime(a.Starred), Rating: int32(a.Rating), PlayCount: a.PlayCount, Played: toTime(a.Played)}
}

func fromAnnotation(m *wire.Annotation) tutti.Annotation {
	return tutti.Annotation{
		Starred: fromTime(m.GetStarred()), Rating: int(m.GetRating()), PlayCount: m.GetPlayCount(), Played: fromTime(m.GetPlayed()),
	}
}

func toTrack(t *tutti.Track) *wire.Track {
	return &wire.Track{
		Id: text(string(t.ID)), AlbumId: text(string(t.AlbumID)), FolderId: text(string(t.FolderID)), Library: text(t.Library),
		Title: text(t.Title), SortTitle: text(t.SortTitle), Album: text(t.Album),
		Artists: each(t.Artists, toArtistRef), AlbumArtists: each(t.AlbumArtists, toArtistRef),
		DisplayArtist: text(t.DisplayArtist), DisplayAlbumArtist: text(t.DisplayAlbumArtist), DisplayComposer: text(t.DisplayComposer),
		Contributors: each(t.Contributors, toContributor), Track: int64(t.Track), Disc: int64(t.Disc), DiscSubtitle: text(t.DiscSubtitle),
		Date: toDate(t.Date), OriginalDate: toDate(t.OriginalDate), ReleaseDate: toDate(t.ReleaseDate),
		Genres: texts(t.Genres), Moods: texts(t.Moods), Comment: text(t.Comment), Groupings: texts(t.Groupings), Bpm: int64(t.BPM),
		Compilation: t.Compilation, Explicit: text(t.Explicit),
		MusicbrainzId: text(t.MusicBrainzID), MusicbrainzTrackId: text(t.MusicBrainzTrackID), Isrc: texts(t.ISRC),
		Work: text(t.Work), Movement: text(t.Movement), MovementNumber: int64(t.MovementNumber), Gain: toGain(t.Gain),
		HasLyrics: t.HasLyrics, HasCover: t.HasCover, Path: text(t.Path), Size: t.Size, ModTime: toTime(t.ModTime),
		Suffix: text(t.Suffix), ContentType: text(t.ContentType), Codec: text(t.Codec), DurationNs: int64(t.Duration),
		BitRate: int64(t.BitRate), SampleRate: int64(t.SampleRate), BitDepth: int64(t.BitDepth), Channels: int64(t.Channels),
		StartNs: int64(t.Start), EndNs: int64(t.End), Version: text(string(t.Version)), Added: toTime(t.Added), Missing: t.Missing,
		Annotation: toAnnotation(t.Annotation), Sound: toSound(t.Sound),
	}
}

func fromTrack(m *wire.Track) tutti.Track {
	return tutti.Track{
		ID: tutti.ID(m.GetId()), AlbumID: tutti.ID(m.GetAlbumId()), FolderID: tutti.ID(m.GetFolderId()), Library: m.GetLibrary(),
		Title: m.GetTitle(), SortTitle: m.GetSortTitle(), Album: m.GetAlbum(),
		Artists: each(m.GetArtists(), fromArtistRef), AlbumArtists: each(m.GetAlbumArtists(), fromArtistRef),
		DisplayArtist: m.GetDisplayArtist(), DisplayAlbumArtist: m.GetDisplayAlbumArtist(), DisplayComposer: m.GetDisplayComposer(),
		Contributors: each(m.GetContributors(), fromContributor), Track: int(m.GetTrack()), Disc: int(m.GetDisc()), DiscSubtitle: m.GetDiscSubtitle(),
		Date: fromDate(m.GetDate()), OriginalDate: fromDate(m.GetOriginalDate()), ReleaseDate: fromDate(m.GetReleaseDate()),
		Genres: m.GetGenres(), Moods: m.GetMoods(), Comment: m.GetComment(), Groupings: m.GetGroupings(), BPM: int(m.GetBpm()),
		Compilation: m.GetCompilation(), Explicit: m.GetExplicit(),
		MusicBrainzID: m.GetMusicbrainzId(), MusicBrainzTrackID: m.GetMusicbrainzTrackId(), ISRC: m.GetIsrc(),
		Work: m.GetWork(), Movement: m.GetMovement(), MovementNumber: int(m.GetMovementNumber()), Gain: fromGain(m.GetGain()),
		HasLyrics: m.GetHasLyrics(), HasCover: m.GetHasCover(), Path: m.GetPath(), Size: m.GetSize(), ModTime: fromTime(m.GetModTime()),
		Suffix: m.GetSuffix(), ContentType: m.GetContentType(), Codec: m.GetCodec(), Duration: time.Duration(m.GetDurationNs()),
		BitRate: int(m.GetBitRate()), SampleRate: int(m.GetSampleRate()), BitDepth: int(m.GetBitDepth()), Channels: int(m.GetChannels()),
		Start: time.Duration(m.GetStartNs()), End: time.Duration(m.GetEndNs()), Version: tutti.Version(m.GetVersion()),
		Added: fromTime(m.GetAdded()), Missing: m.GetMissing(), Annotation: fromAnnotation(m.GetAnnotation()), Sound: fromSound(m.GetSound()),
	}
}

func toSound(s *tutti.Sound) *wire.Sound {
	if s == nil {
		return nil
	}
	return &wire.Sound{Loudness: s.Loudness, Range: s.Range, TruePeak: s.TruePeak, Tempo: s.Tempo, Key: text(s.Key)}
}

func fromSound(m *wire.Sound) *tutti.Sound {
	if m == nil {
		return nil
	}
	return &tutti.Sound{Loudness: m.GetLoudness(), Range: m.GetRange(), TruePeak: m.GetTruePeak(), Tempo: m.GetTempo(), Key: m.GetKey()}
}

func toSonicMatch(m *tutti.SonicMatch) *wire.SonicMatch {
	return &wire.SonicMatch{Track: toTrack(&m.Track), Similarity: m.Similarity}
}

func fromSonicMatch(m *wire.SonicMatch) tutti.SonicMatch {
	return tutti.SonicMatch{Track: fromTrack(m.GetTrack()), Similarity: m.GetSimilarity()}
}

func toAlbum(a *tutti.Album) *wire.Album {
	var titles map[int64]string
	if len(a.DiscTitles) > 0 {
		titles = make(map[int64]string, len(a.DiscTitles))
		for disc, title := range a.DiscTitles {
			titles[int64(disc)] = text(title)
		}
	}
	return &wire.Album{
		Id: text(string(a.ID)), Name: text(a.Name), SortName: text(a.SortName), DiscTitles: titles,
		Artists: each(a.Artists, toArtistRef), DisplayArtist: text(a.DisplayArtist),
		Date: toDate(a.Date), OriginalDate: toDate(a.OriginalDate), ReleaseDate: toDate(a.ReleaseDate),
		Genres: texts(a.Genres), Moods: texts(a.Moods), RecordLabels: texts(a.RecordLabels), ReleaseTypes: texts(a.ReleaseTypes),
		Edition: text(a.Edition), MusicbrainzId: text(a.MusicBrainzID), Compilation: a.Compilation, Explicit: text(a.Explicit),
		SongCount: int64(a.SongCount), DurationNs: int64(a.Duration), Size: a.Size, Added: toTime(a.Added), HasCover: a.HasCover,
		Missing: a.Missing, Library: text(a.Library), Formats: texts(a.Formats), Annotation: toAnnotation(a.Annotation),
	}
}

func fromAlbum(m *wire.Album) tutti.Album {
	var titles map[int]string
	if len(m.GetDiscTitles()) > 0 {
		titles = make(map[int]string, len(m.GetDiscTitles()))
		for disc, title := range m.GetDiscTitles() {
			titles[int(disc)] = title
		}
	}
	return tutti.Album{
		ID: tutti.ID(m.GetId()), Name: m.GetName(), SortName: m.GetSortName(), DiscTitles: titles,
		Artists: each(m.GetArtists(), fromArtistRef), DisplayArtist: m.GetDisplayArtist(),
		Date: fromDate(m.GetDate()), OriginalDate: fromDate(m.GetOriginalDate()), ReleaseDate: fromDate(m.GetReleaseDate()),
		Genres: m.GetGenres(), Moods: m.GetMoods(), RecordLabels: m.GetRecordLabels(), ReleaseTypes: m.GetReleaseTypes(),
		Edition: m.GetEdition(), MusicBrainzID: m.GetMusicbrainzId(), Compilation: m.GetCompilation(), Explicit: m.GetExplicit(),
		SongCount: int(m.GetSongCount()), Duration: time.Duration(m.GetDurationNs()), Size: m.GetSize(), Added: fromTime(m.GetAdded()),
		HasCover: m.GetHasCover(), Missing: m.GetMissing(), Library: m.GetLibrary(), Formats: m.GetFormats(),
		Annotation: fromAnnotation(m.GetAnnotation()),
	}
}

func toArtist(a *tutti.Artist) *wire.Artist {
	return &wire.Artist{
		Id: text(string(a.ID)), Name: text(a.Name), SortName: text(a.SortName), MusicbrainzId: text(a.MusicBrainzID), Roles: texts(a.Roles),
		AlbumCount: int64(a.AlbumCount), TrackCount: int64(a.TrackCount), HasCover: a.HasCover, Annotation: toAnnotation(a.Annotation),
	}
}

func fromArtist(m *wire.Artist) tutti.Artist {
	return tutti.Artist{
		ID: tutti.ID(m.GetId()), Name: m.GetName(), SortName: m.GetSortName(), MusicBrainzID: m.GetMusicbrainzId(), Roles: m.GetRoles(),
		AlbumCount: int(m.GetAlbumCount()), TrackCount: int(m.GetTrackCount()), HasCover: m.GetHasCover(), Annotation: fromAnnotation(m.GetAnnotation()),
	}
}

func toGenre(g tutti.Genre) *wire.Genre {
	return &wire.Genre{Name: text(g.Name), SongCount: int64(g.SongCount), AlbumCount: int64(g.AlbumCount), Covers: texts(g.Covers)}
}

func fromGenre(m *wire.Genre) tutti.Genre {
	return tutti.Genre{Name: m.GetName(), SongCount: int(m.GetSongCount()), AlbumCount: int(m.GetAlbumCount()), Covers: fromIDs(m.GetCovers())}
}

func toFolder(f *tutti.Folder) *wire.Folder {
	return &wire.Folder{
		Id: text(string(f.ID)), ParentId: text(string(f.ParentID)), Library: text(f.Library), Name: text(f.Name), Path: text(f.Path),
		HasCover: f.HasCover, Annotation: toAnnotation(f.Annotation),
	}
}

func fromFolder(m *wire.Folder) tutti.Folder {
	return tutti.Folder{
		ID: tutti.ID(m.GetId()), ParentID: tutti.ID(m.GetParentId()), Library: m.GetLibrary(), Name: m.GetName(), Path: m.GetPath(),
		HasCover: m.GetHasCover(), Annotation: fromAnnotation(m.GetAnnotation()),
	}
}

func toFolderListing(l *tutti.FolderListing) *wire.FolderListing {
	return &wire.FolderListing{
		Folder: toFolder(&l.Folder), Parents: eachOf(l.Parents, toFolder), Folders: eachOf(l.Folders, toFolder), Tracks: eachOf(l.Tracks, toTrack),
	}
}

func fromFolderListing(m *wire.FolderListing) tutti.FolderListing {
	return tutti.FolderListing{
		Folder: fromFolder(m.GetFolder()), Parents: each(m.GetParents(), fromFolder), Folders: each(m.GetFolders(), fromFolder),
		Tracks: each(m.GetTracks(), fromTrack),
	}
}

func toLyrics(l *tutti.Lyrics) *wire.Lyrics {
	return &wire.Lyrics{
		Artist: text(l.Artist), Title: text(l.Title), Lang: text(l.Lang), Synced: l.Synced, OffsetNs: int64(l.Offset),
		Lines: each(l.Lines, toLyricsLine),
	}
}

func fromLyrics(m *wire.Lyrics) tutti.Lyrics {
	return tutti.Lyrics{
		Artist: m.GetArtist(), Title: m.GetTitle(), Lang: m.GetLang(), Synced: m.GetSynced(), Offset: time.Duration(m.GetOffsetNs()),
		Lines: each(m.GetLines(), fromLyricsLine),
	}
}

func toLyricsLine(l tutti.LyricsLine) *wire.LyricsLine {
	return &wire.LyricsLine{StartNs: int64(l.Start), Text: text(l.Text), Cues: each(l.Cues, func(c tutti.LyricsCue) *wire.LyricsCue {
		return &wire.LyricsCue{StartNs: int64(c.Start), EndNs: int64(c.End), From: int64(c.From), To: int64(c.To)}
	})}
}

func fromLyricsLine(m *wire.LyricsLine) tutti.LyricsLine {
	return tutti.LyricsLine{Start: time.Duration(m.GetStartNs()), Text: m.GetText(), Cues: each(m.GetCues(), func(c *wire.LyricsCue) tutti.LyricsCue {
		return tutti.LyricsCue{Start: time.Duration(c.GetStartNs()), End: time.Duration(c.GetEndNs()), From: int(c.GetFrom()), To: int(c.GetTo())}
	})}
}

func toPage(p tutti.Page) *wire.Page {
	return &wire.Page{Offset: int64(p.Offset), Limit: int64(p.Limit)}
}

func fromPage(m *wire.Page) tutti.Page {
	return tutti.Page{Offset: int(m.GetOffset()), Limit: int(m.GetLimit())}
}

func toAlbumQuery(q tutti.AlbumQuery) *wire.AlbumQuery {
	return &wire.AlbumQuery{
		Order: text(string(q.Order)), Genres: texts(q.Genres), FromYear: int64(q.FromYear), ToYear: int64(q.ToYear), Formats: texts(q.Formats),
		Libraries: texts(q.Libraries), Page: toPage(q.Page),
	}
}

func fromAlbumQuery(m *wire.AlbumQuery) tutti.AlbumQuery {
	return tutti.AlbumQuery{
		Order: tutti.AlbumOrder(m.GetOrder()), Genres: m.GetGenres(), FromYear: int(m.GetFromYear()), ToYear: int(m.GetToYear()), Formats: m.GetFormats(),
		Libraries: m.GetLibraries(), Page: fromPage(m.GetPage()),
	}
}

func toTrackQuery(q tutti.TrackQuery) *wire.TrackQuery {
	return &wire.TrackQuery{
		Text: text(q.Text), Genres: texts(q.Genres), FromYear: int64(q.FromYear), ToYear: int64(q.ToYear), Formats: texts(q.Formats),
		Libraries: texts(q.Libraries), Artist: text(string(q.Artist)), Order: text(string(q.Order)), Reverse: q.Reverse, Random: q.Random, Page: toPage(q.Page),
	}
}

func fromTrackQuery(m *wire.TrackQuery) tutti.TrackQuery {
	return tutti.TrackQuery{
		Text: m.GetText(), Genres: m.GetGenres(), FromYear: int(m.GetFromYear()), ToYear: int(m.GetToYear()), Formats: m.GetFormats(),
		Libraries: m.GetLibraries(), Artist: tutti.ID(m.GetArtist()), Order: tutti.TrackOrder(m.GetOrder()), Reverse: m.GetReverse(), Random: m.GetRandom(),
		Page: fromPage(m.GetPage()),
	}
}

func toSearchQuery(q tutti.SearchQuery) *wire.SearchQuery {
	return &wire.SearchQuery{Text: text(q.Text), Library: text(q.Library), Artists: toPage(q.Artists), Albums: toPage(q.Albums), Tracks: toPage(q.Tracks)}
}

func fromSearchQuery(m *wire.SearchQuery) tutti.SearchQuery {
	return tutti.SearchQuery{
		Text: m.GetText(), Library: m.GetLibrary(), Artists: fromPage(m.GetArtists()), Albums: fromPage(m.GetAlbums()), Tracks: fromPage(m.GetTracks()),
	}
}

func toSearchResult(r tutti.SearchResult) *wire.SearchResult {
	return &wire.SearchResult{Artists: eachOf(r.Artists, toArtist), Albums: eachOf(r.Albums, toAlbum), Tracks: eachOf(r.Tracks, toTrack)}
}

func fromSearchResult(m *wire.SearchResult) tutti.SearchResult {
	return tutti.SearchResult{
		Artists: each(m.GetArtists(), fromArtist), Albums: each(m.GetAlbums(), fromAlbum), Tracks: each(m.GetTracks(), fromTrack),
	}
}

func toCounts(c tutti.Counts) *wire.Counts {
	return &wire.Counts{
		Tracks: int64(c.Tracks), Albums: int64(c.Albums), Artists: int64(c.Artists), Genres: int64(c.Genres), Missing: int64(c.Missing),
		DurationNs: int64(c.Duration), Size: c.Size, LastScan: toTime(c.LastScan),
	}
}

func fromCounts(m *wire.Counts) tutti.Counts {
	return tutti.Counts{
		Tracks: int(m.GetTracks()), Albums: int(m.GetAlbums()), Artists: int(m.GetArtists()), Genres: int(m.GetGenres()), Missing: int(m.GetMissing()),
		Duration: time.Duration(m.GetDurationNs()), Size: m.GetSize(), LastScan: fromTime(m.GetLastScan()),
	}
}

func toPlay(p tutti.Play) *wire.Play {
	return &wire.Play{Track: text(string(p.Track)), At: toTime(p.At)}
}

func fromPlay(m *wire.Play) tutti.Play {
	return tutti.Play{Track: tutti.ID(m.GetTrack()), At: fromTime(m.GetAt())}
}

func toPlaying(p *tutti.Playing) *wire.Playing {
	return &wire.Playing{
		User: text(string(p.User)), UserName: text(p.UserName), Player: text(p.Player), Track: toTrack(&p.Track), State: text(p.State),
		PositionNs: int64(p.Position), Rate: p.Rate, ReportedAt: toTime(p.ReportedAt),
	}
}

func fromPlaying(m *wire.Playing) tutti.Playing {
	return tutti.Playing{
		User: tutti.ID(m.GetUser()), UserName: m.GetUserName(), Player: m.GetPlayer(), Track: fromTrack(m.GetTrack()), State: m.GetState(),
		Position: time.Duration(m.GetPositionNs()), Rate: m.GetRate(), ReportedAt: fromTime(m.GetReportedAt()),
	}
}

func toPlaylist(p *tutti.Playlist) *wire.Playlist {
	return &wire.Playlist{
		Id: text(string(p.ID)), Owner: text(string(p.Owner)), OwnerName: text(p.OwnerName), Name: text(p.Name), Comment: text(p.Comment),
		Public: p.Public, Tracks: texts(p.Tracks), SongCount: int64(p.SongCount), DurationNs: int64(p.Duration),
		Created: toTime(p.Created), Changed: toTime(p.Changed), File: text(p.File), Version: p.Version,
	}
}

func fromPlaylist(m *wire.Playlist) tutti.Playlist {
	return tutti.Playlist{
		ID: tutti.ID(m.GetId()), Owner: tutti.ID(m.GetOwner()), OwnerName: m.GetOwnerName(), Name: m.GetName(), Comment: m.GetComment(),
		Public: m.GetPublic(), Tracks: fromIDs(m.GetTracks()), SongCount: int(m.GetSongCount()), Duration: time.Duration(m.GetDurationNs()),
		Created: fromTime(m.GetCreated()), Changed: fromTime(m.GetChanged()), File: m.GetFile(), Version: m.GetVersion(),
	}
}

func toBookmark(b tutti.Bookmark) *wire.Bookmark {
	return &wire.Bookmark{
		Track: text(string(b.Track)), PositionNs: int64(b.Position), Comment: text(b.Comment), Created: toTime(b.Created), Changed: toTime(b.Changed),
	}
}

func fromBookmark(m *wire.Bookmark) tutti.Bookmark {
	return tutti.Bookmark{
		Track: tutti.ID(m.GetTrack()), Position: time.Duration(m.GetPositionNs()), Comment: m.GetComment(),
		Created: fromTime(m.GetCreated()), Changed: fromTime(m.GetChanged()),
	}
}

func toQueue(q tutti.Queue) *wire.Queue {
	return &wire.Queue{
		Tracks: texts(q.Tracks), Current: int64(q.Current), PositionNs: int64(q.Position), Changed: toTime(q.Changed), ChangedBy: text(q.ChangedBy),
	}
}

func fromQueue(m *wire.Queue) tutti.Queue {
	return tutti.Queue{
		Tracks: fromIDs(m.GetTracks()), Current: int(m.GetCurrent()), Position: time.Duration(m.GetPositionNs()),
		Changed: fromTime(m.GetChanged()), ChangedBy: m.GetChangedBy(),
	}
}

func toStation(s tutti.Station) *wire.Station {
	return &wire.Station{Id: text(string(s.ID)), Name: text(s.Name), StreamUrl: text(s.StreamURL), HomeUrl: text(s.HomeURL)}
}

func fromStation(m *wire.Station) tutti.Station {
	return tutti.Station{ID: tutti.ID(m.GetId()), Name: m.GetName(), StreamURL: m.GetStreamUrl(), HomeURL: m.GetHomeUrl()}
}

func toShare(s *tutti.Share) *wire.Share {
	return &wire.Share{
		Id: text(string(s.ID)), Secret: text(s.Secret), Owner: text(string(s.Owner)), OwnerName: text(s.OwnerName), OwnerMaxRate: int64(s.OwnerMaxRate),
		Description: text(s.Description), Entries: texts(s.Entries), Created: toTime(s.Created), Expires: toTime(s.Expires),
		LastVisited: toTime(s.LastVisited), Visits: s.Visits,
	}
}

func fromShare(m *wire.Share) tutti.Share {
	return tutti.Share{
		ID: tutti.ID(m.GetId()), Secret: m.GetSecret(), Owner: tutti.ID(m.GetOwner()), OwnerName: m.GetOwnerName(), OwnerMaxRate: int(m.GetOwnerMaxRate()),
		Description: m.GetDescription(), Entries: fromIDs(m.GetEntries()), Created: fromTime(m.GetCreated()), Expires: fromTime(m.GetExpires()),
		LastVisited: fromTime(m.GetLastVisited()), Visits: m.GetVisits(),
	}
}

func toScanStatus(s tutti.ScanStatus) *wire.ScanStatus {
	return &wire.ScanStatus{
		Scanning: s.Scanning, Phase: text(s.Phase), Seen: s.Seen, Total: s.Total, Added: s.Added, Changed: s.Changed, Moved: s.Moved,
		Removed: s.Removed, Missing: s.Missing, Failed: s.Failed, Started: toTime(s.Started), Finished: toTime(s.Finished),
		Error: text(s.Error), Tracks: int64(s.Tracks), Heard: int64(s.Heard),
	}
}

func fromScanStatus(m *wire.ScanStatus) tutti.ScanStatus {
	return tutti.ScanStatus{
		Scanning: m.GetScanning(), Phase: m.GetPhase(), Seen: m.GetSeen(), Total: m.GetTotal(), Added: m.GetAdded(), Changed: m.GetChanged(),
		Moved: m.GetMoved(), Removed: m.GetRemoved(), Missing: m.GetMissing(), Failed: m.GetFailed(),
		Started: fromTime(m.GetStarted()), Finished: fromTime(m.GetFinished()), Error: m.GetError(), Tracks: int(m.GetTracks()),
		Heard: int(m.GetHeard()),
	}
}

func toProfile(p tutti.Profile) *wire.Profile {
	return &wire.Profile{
		Format: text(p.Format), BitRate: int64(p.BitRate), Rate: int64(p.Rate), Channels: int64(p.Channels), BitDepth: int64(p.BitDepth),
		OffsetNs: int64(p.Offset), Pixels: int64(p.Pixels), Cover: p.Cover,
	}
}

func fromProfile(m *wire.Profile) tutti.Profile {
	return tutti.Profile{
		Format: m.GetFormat(), BitRate: int(m.GetBitRate()), Rate: int(m.GetRate()), Channels: int(m.GetChannels()), BitDepth: int(m.GetBitDepth()),
		Offset: time.Duration(m.GetOffsetNs()), Pixels: int(m.GetPixels()), Cover: m.GetCover(),
	}
}

func toRef(r tutti.Ref) *wire.Ref {
	return &wire.Ref{
		Library: text(r.Library), Path: text(r.Path), Version: text(string(r.Version)), Profile: toProfile(r.Profile),
		StartNs: int64(r.Start), EndNs: int64(r.End),
	}
}

func fromRef(m *wire.Ref) tutti.Ref {
	return tutti.Ref{
		Library: m.GetLibrary(), Path: m.GetPath(), Version: tutti.Version(m.GetVersion()), Profile: fromProfile(m.GetProfile()),
		Start: time.Duration(m.GetStartNs()), End: time.Duration(m.GetEndNs()),
	}
}

func toWant(w tutti.Want) *wire.Want {
	m := &wire.Want{Format: text(w.Format), MaxRate: int64(w.MaxRate), OffsetNs: int64(w.Offset), FromNs: int64(w.From), ToNs: int64(w.To)}
	if w.Exact != nil {
		m.Exact = toProfile(*w.Exact)
	}
	return m
}

func fromWant(m *wire.Want) tutti.Want {
	w := tutti.Want{
		Format: m.GetFormat(), MaxRate: int(m.GetMaxRate()), Offset: time.Duration(m.GetOffsetNs()),
		From: time.Duration(m.GetFromNs()), To: time.Duration(m.GetToNs()),
	}
	if m.GetExact() != nil {
		p := fromProfile(m.GetExact())
		w.Exact = &p
	}
	return w
}

func toPlanRequest(r tutti.PlanRequest) *wire.PlanRequest {
	return &wire.PlanRequest{Viewer: toViewer(r.Viewer), Track: text(string(r.Track)), Want: toWant(r.Want)}
}

func fromPlanRequest(m *wire.PlanRequest) tutti.PlanRequest {
	return tutti.PlanRequest{Viewer: fromViewer(m.GetViewer()), Track: tutti.ID(m.GetTrack()), Want: fromWant(m.GetWant())}
}

func toPlan(p *tutti.Plan) *wire.Plan {
	return &wire.Plan{
		Track: toTrack(&p.Track), Ref: toRef(p.Ref), ContentType: text(p.ContentType), Suffix: text(p.Suffix), Size: p.Size,
		EstimatedSize: p.EstimatedSize, Reason: text(p.Reason), Owners: texts(p.Owners), Ready: p.Ready,
	}
}

func fromPlan(m *wire.Plan) tutti.Plan {
	return tutti.Plan{
		Track: fromTrack(m.GetTrack()), Ref: fromRef(m.GetRef()), ContentType: m.GetContentType(), Suffix: m.GetSuffix(), Size: m.GetSize(),
		EstimatedSize: m.GetEstimatedSize(), Reason: m.GetReason(), Owners: m.GetOwners(), Ready: m.GetReady(),
	}
}

func toReadiness(r tutti.Readiness) *wire.Readiness {
	return &wire.Readiness{Size: r.Size, ContentType: text(r.ContentType), Ready: r.Ready, Owners: texts(r.Owners)}
}

func fromReadiness(m *wire.Readiness) tutti.Readiness {
	return tutti.Readiness{Size: m.GetSize(), ContentType: m.GetContentType(), Ready: m.GetReady(), Owners: m.GetOwners()}
}

func toSought(s tutti.Sought) *wire.Sought {
	return &wire.Sought{Paths: texts(s.Paths), Title: text(s.Title), DurationNs: int64(s.Duration)}
}

func fromSought(m *wire.Sought) tutti.Sought {
	return tutti.Sought{Paths: m.GetPaths(), Title: m.GetTitle(), Duration: time.Duration(m.GetDurationNs())}
}

func toHomeShelf(s tutti.HomeShelf) *wire.HomeShelf {
	return &wire.HomeShelf{Kind: text(string(s.Kind)), Of: text(s.Of), Albums: eachOf(s.Albums, toAlbum)}
}

func fromHomeShelf(m *wire.HomeShelf) tutti.HomeShelf {
	return tutti.HomeShelf{Kind: tutti.ShelfKind(m.GetKind()), Of: m.GetOf(), Albums: each(m.GetAlbums(), fromAlbum)}
}

func toEvent(e tutti.Event) *wire.Event {
	return &wire.Event{Kind: text(string(e.Kind)), Scan: toScanStatus(e.Scan), By: text(e.By), At: toTime(e.At)}
}

func fromEvent(m *wire.Event) tutti.Event {
	return tutti.Event{Kind: tutti.EventKind(m.GetKind()), Scan: fromScanStatus(m.GetScan()), By: m.GetBy(), At: fromTime(m.GetAt())}
}
