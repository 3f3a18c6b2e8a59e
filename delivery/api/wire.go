package api

import (
	"slices"
	"time"

	"tutti"
)

// The JSON types. The doc tags become the descriptions in openapi.json; a member without omitempty or omitzero is
// always there.

type artistRef struct {
	ID   tutti.ID `json:"id" doc:"The artist's id."`
	Name string   `json:"name"`
}

type contributor struct {
	Role    string    `json:"role" doc:"composer, conductor, performer, …"`
	SubRole string    `json:"subRole,omitempty" doc:"Narrows the role: a performer's instrument."`
	Artist  artistRef `json:"artist"`
}

type gain struct {
	Track     *float64 `json:"track,omitempty" doc:"dB to add so that the track is at -18 LUFS (ReplayGain 2.0)."`
	Album     *float64 `json:"album,omitempty" doc:"dB to add so that the album is at -18 LUFS."`
	TrackPeak *float64 `json:"trackPeak,omitempty" doc:"Linear; 1 is full scale."`
	AlbumPeak *float64 `json:"albumPeak,omitempty" doc:"Linear; 1 is full scale."`
	Base      *float64 `json:"base,omitempty" doc:"dB; an Opus header's output gain, already in the decoded signal."`
}

// sound is what was heard in a track.
type sound struct {
	Loudness float64 `json:"loudness" doc:"LUFS, integrated (EBU R 128); -70 is silence."`
	Range    float64 `json:"range" doc:"Of the loudness, in LU."`
	TruePeak float64 `json:"truePeak" doc:"dBTP."`
	Tempo    float64 `json:"tempo,omitempty" doc:"Beats a minute."`
	Key      string  `json:"key,omitempty" doc:"As ID3's TKEY writes it: C, F#m."`
}

// annotation is what the asker did with a thing.
type annotation struct {
	Starred   time.Time `json:"starred,omitzero" doc:"Since when the asker has it starred."`
	Rating    int       `json:"rating,omitempty" doc:"The asker's, 1 to 5."`
	PlayCount int64     `json:"playCount,omitempty" doc:"How often the asker played it to the end."`
	Played    time.Time `json:"played,omitzero" doc:"When the asker last did."`
}

func wireAnnotation(a tutti.Annotation) annotation {
	return annotation{Starred: a.Starred, Rating: a.Rating, PlayCount: a.PlayCount, Played: a.Played}
}

type track struct {
	ID                 tutti.ID      `json:"id"`
	Title              string        `json:"title"`
	SortTitle          string        `json:"sortTitle,omitempty"`
	Album              string        `json:"album,omitempty"`
	AlbumID            tutti.ID      `json:"albumId,omitempty"`
	Artist             string        `json:"artist" doc:"The whole credit as tagged: A feat. B."`
	Artists            []artistRef   `json:"artists"`
	AlbumArtist        string        `json:"albumArtist,omitempty"`
	AlbumArtists       []artistRef   `json:"albumArtists,omitempty"`
	Composer           string        `json:"composer,omitempty"`
	Contributors       []contributor `json:"contributors,omitempty"`
	Track              int           `json:"track,omitempty" doc:"Its number on the disc, from 1."`
	Disc               int           `json:"disc,omitempty" doc:"From 1."`
	DiscSubtitle       string        `json:"discSubtitle,omitempty"`
	Date               string        `json:"date,omitempty" doc:"YYYY, YYYY-MM or YYYY-MM-DD, as far as known."`
	OriginalDate       string        `json:"originalDate,omitempty" doc:"Of the first release."`
	ReleaseDate        string        `json:"releaseDate,omitempty" doc:"Of this release."`
	Genres             []string      `json:"genres,omitempty"`
	Moods              []string      `json:"moods,omitempty"`
	Groupings          []string      `json:"groupings,omitempty"`
	Comment            string        `json:"comment,omitempty"`
	BPM                int           `json:"bpm,omitempty" doc:"Beats a minute: as tagged, else as heard."`
	Compilation        bool          `json:"compilation,omitempty"`
	Explicit           string        `json:"explicit,omitempty" doc:"explicit or clean; left out when unknown."`
	MusicBrainzID      string        `json:"musicBrainzId,omitempty" doc:"Of the recording."`
	MusicBrainzTrackID string        `json:"musicBrainzTrackId,omitempty" doc:"Of the track on the release."`
	ISRC               []string      `json:"isrc,omitempty"`
	Work               string        `json:"work,omitempty"`
	Movement           string        `json:"movement,omitempty"`
	MovementNumber     int           `json:"movementNumber,omitempty"`
	Gain               *gain         `json:"gain,omitempty" doc:"Loudness as tagged, else as measured."`
	Sound              *sound        `json:"sound,omitempty" doc:"What was heard in it; left out until it was listened to."`
	HasLyrics          bool          `json:"hasLyrics"`
	HasCover           bool          `json:"hasCover"`
	DurationMs         int64         `json:"durationMs"`
	Library            string        `json:"library" doc:"Its library's id."`
	FolderID           tutti.ID      `json:"folderId,omitempty"`
	Path               string        `json:"path" doc:"Within its library."`
	Size               int64         `json:"size" doc:"Bytes of the original."`
	Suffix             string        `json:"suffix" doc:"The file name's extension, without the dot."`
	ContentType        string        `json:"contentType" doc:"Media type of the original."`
	Codec              string        `json:"codec"`
	Lossless           bool          `json:"lossless"`
	BitRate            int           `json:"bitRate,omitempty" doc:"kbit/s, average."`
	SampleRate         int           `json:"sampleRate,omitempty" doc:"Hz."`
	BitDepth           int           `json:"bitDepth,omitempty" doc:"Bits a sample, of a lossless original."`
	Channels           int           `json:"channels,omitempty"`
	Added              time.Time     `json:"added,omitzero" doc:"When the library first had it."`
	Missing            bool          `json:"missing,omitempty" doc:"Its file was not there when last looked for."`
	annotation
}

func wireTrack(t *tutti.Track) track {
	out := track{
		ID: t.ID, Title: t.Title, SortTitle: t.SortTitle, Album: t.Album, AlbumID: t.AlbumID,
		Artist: t.DisplayArtist, Artists: wireRefs(t.Artists), AlbumArtist: t.DisplayAlbumArtist, AlbumArtists: wireRefs(t.AlbumArtists),
		Composer: t.DisplayComposer, Track: t.Track, Disc: t.Disc, DiscSubtitle: t.DiscSubtitle,
		Date: t.Date.String(), OriginalDate: t.OriginalDate.String(), ReleaseDate: t.ReleaseDate.String(),
		Genres: t.Genres, Moods: t.Moods, Groupings: t.Groupings, Comment: t.Comment, BPM: t.BPM, Compilation: t.Compilation,
		Explicit: t.Explicit, MusicBrainzID: t.MusicBrainzID, MusicBrainzTrackID: t.MusicBrainzTrackID, ISRC: t.ISRC,
		Work: t.Work, Movement: t.Movement, MovementNumber: t.MovementNumber,
		HasLyrics: t.HasLyrics, HasCover: t.HasCover, DurationMs: t.Duration.Milliseconds(),
		Library: t.Library, FolderID: t.FolderID, Path: t.Path, Size: t.Size, Suffix: t.Suffix, ContentType: t.ContentType,
		Codec: t.Codec, Lossless: t.Lossless(), BitRate: t.BitRate, SampleRate: t.SampleRate, BitDepth: t.BitDepth,
		Channels: t.Channels, Added: t.Added, Missing: t.Missing, annotation: wireAnnotation(t.Annotation),
	}
	for _, c := range t.Contributors {
		out.Contributors = append(out.Contributors, contributor{Role: c.Role, SubRole: c.SubRole, Artist: artistRef(c.Artist)})
	}
	if !t.Gain.IsZero() {
		g := gain(t.Gain)
		out.Gain = &g
	}
	if t.Sound != nil {
		s := sound(*t.Sound)
		out.Sound = &s
	}
	return out
}

func wireRefs(refs []tutti.ArtistRef) []artistRef {
	return wireList(refs, func(r *tutti.ArtistRef) artistRef { return artistRef(*r) })
}

// wireList converts a list; the result is never nil, so that JSON never says null.
func wireList[T, W any](in []T, one func(*T) W) []W {
	out := make([]W, len(in))
	for i := range in {
		out[i] = one(&in[i])
	}
	return out
}

type disc struct {
	Disc  int    `json:"disc" doc:"From 1."`
	Title string `json:"title"`
}

type album struct {
	ID            tutti.ID    `json:"id"`
	Name          string      `json:"name"`
	SortName      string      `json:"sortName,omitempty"`
	Artist        string      `json:"artist" doc:"The whole credit as tagged."`
	Artists       []artistRef `json:"artists"`
	Date          string      `json:"date,omitempty" doc:"YYYY, YYYY-MM or YYYY-MM-DD, as far as known."`
	OriginalDate  string      `json:"originalDate,omitempty" doc:"Of the first release."`
	ReleaseDate   string      `json:"releaseDate,omitempty" doc:"Of this release."`
	Genres        []string    `json:"genres,omitempty"`
	Moods         []string    `json:"moods,omitempty"`
	RecordLabels  []string    `json:"recordLabels,omitempty"`
	ReleaseTypes  []string    `json:"releaseTypes,omitempty" doc:"Album, EP, Live, …"`
	Edition       string      `json:"edition,omitempty"`
	MusicBrainzID string      `json:"musicBrainzId,omitempty" doc:"Of the release."`
	Compilation   bool        `json:"compilation,omitempty"`
	Explicit      string      `json:"explicit,omitempty" doc:"explicit or clean; left out when unknown."`
	DiscTitles    []disc      `json:"discTitles,omitempty" doc:"Of the discs that have one, in order."`
	Formats       []string    `json:"formats,omitempty" doc:"The codecs of its tracks."`
	TrackCount    int         `json:"trackCount"`
	DurationMs    int64       `json:"durationMs"`
	Size          int64       `json:"size" doc:"Bytes of all its originals."`
	Added         time.Time   `json:"added,omitzero" doc:"When the library first had the newest of its tracks."`
	HasCover      bool        `json:"hasCover"`
	Missing       bool        `json:"missing,omitempty" doc:"None of its files was there when last looked for."`
	Library       string      `json:"library,omitempty" doc:"The id of its first track's library."`
	annotation
}

func wireAlbum(a *tutti.Album) album {
	out := album{
		ID: a.ID, Name: a.Name, SortName: a.SortName, Artist: a.DisplayArtist, Artists: wireRefs(a.Artists),
		Date: a.Date.String(), OriginalDate: a.OriginalDate.String(), ReleaseDate: a.ReleaseDate.String(),
		Genres: a.Genres, Moods: a.Moods, RecordLabels: a.RecordLabels, ReleaseTypes: a.ReleaseTypes, Edition: a.Edition,
		MusicBrainzID: a.MusicBrainzID, Compilation: a.Compilation, Explicit: a.Explicit, Formats: a.Formats,
		TrackCount: a.SongCount, DurationMs: a.Duration.Milliseconds(), Size: a.Size, Added: a.Added, HasCover: a.HasCover,
		Missing: a.Missing, Library: a.Library, annotation: wireAnnotation(a.Annotation),
	}
	for n, title := range a.DiscTitles {
		out.DiscTitles = append(out.DiscTitles, disc{n, title})
	}
	slices.SortFunc(out.DiscTitles, func(a, b disc) int { return a.Disc - b.Disc })
	return out
}

type artist struct {
	ID            tutti.ID `json:"id"`
	Name          string   `json:"name"`
	SortName      string   `json:"sortName,omitempty"`
	MusicBrainzID string   `json:"musicBrainzId,omitempty"`
	Roles         []string `json:"roles,omitempty" doc:"albumartist, artist, composer, …"`
	AlbumCount    int      `json:"albumCount" doc:"Albums on which they are an album artist."`
	TrackCount    int      `json:"trackCount"`
	HasCover      bool     `json:"hasCover"`
	annotation
}

func wireArtist(a *tutti.Artist) artist {
	return artist{
		ID: a.ID, Name: a.Name, SortName: a.SortName, MusicBrainzID: a.MusicBrainzID, Roles: a.Roles,
		AlbumCount: a.AlbumCount, TrackCount: a.TrackCount, HasCover: a.HasCover, annotation: wireAnnotation(a.Annotation),
	}
}

type genre struct {
	Name       string     `json:"name"`
	TrackCount int        `json:"trackCount"`
	AlbumCount int        `json:"albumCount"`
	Covers     []tutti.ID `json:"covers" doc:"Up to four of its albums that have a picture."`
}

type folder struct {
	ID       tutti.ID `json:"id"`
	ParentID tutti.ID `json:"parentId,omitempty" doc:"Left out for a library's root."`
	Library  string   `json:"library" doc:"Its library's id."`
	Name     string   `json:"name"`
	Path     string   `json:"path" doc:"Within its library; a dot is the root."`
	HasCover bool     `json:"hasCover"`
	annotation
}

func wireFolder(f *tutti.Folder) folder {
	return folder{f.ID, f.ParentID, f.Library, f.Name, f.Path, f.HasCover, wireAnnotation(f.Annotation)}
}

type playlist struct {
	ID         tutti.ID  `json:"id"`
	Name       string    `json:"name"`
	Comment    string    `json:"comment,omitempty"`
	Owner      string    `json:"owner" doc:"The name of whose it is."`
	Mine       bool      `json:"mine" doc:"It is the asker's own."`
	Public     bool      `json:"public" doc:"Everybody may see it."`
	Imported   bool      `json:"imported,omitempty" doc:"It follows a playlist file in a library and cannot be edited."`
	TrackCount int       `json:"trackCount"`
	DurationMs int64     `json:"durationMs"`
	Created    time.Time `json:"created,omitzero"`
	Changed    time.Time `json:"changed,omitzero"`
	Version    uint64    `json:"version" doc:"Send it back when replacing the list: a list that changed since is a conflict."`
}

func wirePlaylist(p *tutti.Playlist, v tutti.Viewer) playlist {
	return playlist{
		ID: p.ID, Name: p.Name, Comment: p.Comment, Owner: p.OwnerName, Mine: p.Owner == v.User, Public: p.Public,
		Imported: p.File != "", TrackCount: p.SongCount, DurationMs: p.Duration.Milliseconds(),
		Created: p.Created, Changed: p.Changed, Version: p.Version,
	}
}

type user struct {
	ID         tutti.ID     `json:"id"`
	Name       string       `json:"name"`
	Email      string       `json:"email,omitempty"`
	Roles      []tutti.Role `json:"roles" enum:"admin,stream,download,share,playlist,cover,comment" doc:"What the account may do; an admin may do everything."`
	Libraries  []string     `json:"libraries,omitempty" doc:"The ids of the libraries it sees; left out for all."`
	MaxBitRate int          `json:"maxBitRate,omitempty" doc:"kbit/s; left out for no limit."`
	Scrobbling bool         `json:"scrobbling"`
	Created    time.Time    `json:"created,omitzero"`
	Changed    time.Time    `json:"changed,omitzero"`
}

func wireUser(u *tutti.User) user {
	return user{
		u.ID, u.Name, u.Email, append([]tutti.Role{}, u.Roles...), u.Libraries, u.MaxBitRate, u.Scrobbling, u.Created, u.Changed,
	}
}

type scanStatus struct {
	Scanning bool      `json:"scanning"`
	Phase    string    `json:"phase,omitempty" doc:"listing, reading, playlists or done."`
	Seen     int64     `json:"seen" doc:"Files looked at."`
	Total    int64     `json:"total" doc:"Files there are, as far as known."`
	Added    int64     `json:"added"`
	Changed  int64     `json:"changed"`
	Moved    int64     `json:"moved"`
	Removed  int64     `json:"removed"`
	Missing  int64     `json:"missing"`
	Failed   int64     `json:"failed" doc:"Files that could not be read; the log names them."`
	Started  time.Time `json:"started,omitzero"`
	Finished time.Time `json:"finished,omitzero"`
	Error    string    `json:"error,omitempty"`
	Tracks   int       `json:"tracks" doc:"In the catalogue now."`
	Heard    int       `json:"heard" doc:"Of those, how many have been listened to, for loudness, tempo, key and likeness. That goes on after a scan."`
}

func wireScan(s tutti.ScanStatus) scanStatus {
	return scanStatus{
		Scanning: s.Scanning, Phase: s.Phase, Seen: s.Seen, Total: s.Total, Added: s.Added, Changed: s.Changed,
		Moved: s.Moved, Removed: s.Removed, Missing: s.Missing, Failed: s.Failed, Started: s.Started, Finished: s.Finished,
		Error: s.Error, Tracks: s.Tracks, Heard: s.Heard,
	}
}

// items is a whole list, total a window into one.
type items[W any] struct {
	Items []W `json:"items"`
}

type window[W any] struct {
	Total  int `json:"total" doc:"How long the whole list is."`
	Offset int `json:"offset" doc:"Where in it these items begin."`
	Items  []W `json:"items"`
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// maxMs is the largest number of milliseconds that a client may name: a month, far inside what a Duration holds.
const maxMs = 31 * 24 * 3600 * 1000
