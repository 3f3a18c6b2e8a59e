// Package tutti holds the words of the system: every domain type and every interface that its three services speak
// to one another. It imports the standard library only, and nothing in it does any work beyond naming and checking.
//
// One request for a stream walks the services in this order:
//
//	listener ──▶ delivery (A) ──1 Plan──▶ catalog (B) ──2 Prepare──▶ trackcache (C)
//	    ▲            │  ▲                     │  ▲                        │
//	    └─6 stream ──┘  └──────4 Plan ────────┘  └────3 Readiness─────────┘
//	                 └──────────────5 Open, CopyRange────────────────▶ (C)
//
// A is given a Catalog and a TrackCache, B is given a TrackCache, C is given a Source; none imports another's package.
// In one process these are direct calls; apart, the same interfaces are spoken over the network.
//
// Conventions for every interface here: methods are safe for concurrent use; errors are classified (see Error);
// nobody retries but the caller named in a method's comment; whoever obtained a closer closes it.
package tutti

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// ---- Who asks ----

// Viewer is on whose behalf a request is made. It travels with every call that reads or writes what a person may see.
type Viewer struct {
	User      ID       // whose stars, ratings, queues and playlists
	Libraries []string // ids of the libraries that may be seen; nil means all
	Admin     bool     // may see and change what belongs to others
}

// Sees reports whether the viewer may see the library.
func (v Viewer) Sees(library string) bool {
	if v.Libraries == nil {
		return true
	}
	for _, l := range v.Libraries {
		if l == library {
			return true
		}
	}
	return false
}

// ---- What there is ----

// Library is one root of music: a folder (or, later, a bucket) with a name that people see.
type Library struct {
	ID   string // short and stable, chosen by configuration order: "1", "2", …; OpenSubsonic's musicFolderId
	Name string
	Path string // where it is, for the operator; never sent to listeners
}

// Date is a calendar date of which only the year, or the year and month, may be known. The zero value is "unknown".
type Date struct{ Year, Month, Day int }

// IsZero reports whether nothing is known.
func (d Date) IsZero() bool { return d.Year == 0 }

// String formats the known parts as YYYY, YYYY-MM or YYYY-MM-DD; "" when unknown.
func (d Date) String() string {
	switch {
	case d.Year == 0:
		return ""
	case d.Month == 0:
		return pad(d.Year, 4)
	case d.Day == 0:
		return pad(d.Year, 4) + "-" + pad(d.Month, 2)
	}
	return pad(d.Year, 4) + "-" + pad(d.Month, 2) + "-" + pad(d.Day, 2)
}

func pad(n, width int) string {
	s := strconv.Itoa(n)
	if len(s) < width {
		s = strings.Repeat("0", width-len(s)) + s
	}
	return s
}

// Compare orders dates; an unknown part sorts before a known one.
func (d Date) Compare(e Date) int {
	for _, c := range [3][2]int{{d.Year, e.Year}, {d.Month, e.Month}, {d.Day, e.Day}} {
		if c[0] != c[1] {
			if c[0] < c[1] {
				return -1
			}
			return 1
		}
	}
	return 0
}

// Gain is loudness information as tagged or else as measured, in decibels relative to the ReplayGain 2.0 reference (-18 LUFS). R128 tags
// (Q7.8 relative to -23 LUFS, RFC 7845 §5.2.1) are converted when read. A nil field is not known.
type Gain struct {
	Track, Album         *float64 // dB to add
	TrackPeak, AlbumPeak *float64 // linear, 1 is full scale
	Base                 *float64 // dB, the Opus header's output gain, already part of the decoded signal
}

// IsZero reports whether nothing is known.
func (g Gain) IsZero() bool { return g == Gain{} }

// Sound is what was heard in a track: measured by listening to all of it once, not tagged.
type Sound struct {
	Loudness float64 // LUFS, integrated (EBU R 128); -70 is silence
	Range    float64 // of the loudness, in LU (EBU Tech 3342)
	TruePeak float64 // dBTP: 0 is full scale
	Tempo    float64 // beats a minute; 0: none
	Key      string  // as ID3's TKEY writes it: "C", "F#m"; "": none
}

// SonicMatch is a track and how much it sounds like another: 1 is the same, 0 is nothing in common, -1 is not known.
type SonicMatch struct {
	Track      Track
	Similarity float64
}

// ArtistRef names an artist from a track or an album.
type ArtistRef struct {
	ID   ID
	Name string
}

// Contributor is a person's part in a track. Role is one of OpenSubsonic's contributor roles ("composer",
// "performer", "conductor", …); SubRole narrows it ("Violin" for a performer).
type Contributor struct {
	Role, SubRole string
	Artist        ArtistRef
}

// Version identifies the bytes of an audio file: a hash of its audio fingerprint, size and modification time. A
// different version is different bytes as far as every cache is concerned.
type Version string

// Track is one piece of music as the catalogue knows it. Times are UTC; a zero time is unknown.
type Track struct {
	ID       ID
	AlbumID  ID
	FolderID ID
	Library  string

	Title, SortTitle    string
	Album               string
	Artists             []ArtistRef // at least one; an untagged file has the artist "[Unknown Artist]"
	AlbumArtists        []ArtistRef
	DisplayArtist       string // as the tag spells the whole credit: "A feat. B"
	DisplayAlbumArtist  string
	DisplayComposer     string
	Contributors        []Contributor
	Track, Disc         int // 1-based; 0 is unknown
	DiscSubtitle        string
	Date                Date // of this recording's release as tagged
	OriginalDate        Date
	ReleaseDate         Date
	Genres, Moods       []string
	Comment             string
	Groupings           []string
	BPM                 int // as tagged, else as heard
	Compilation         bool
	Explicit            string // "explicit", "clean" or ""
	MusicBrainzID       string // recording id
	MusicBrainzTrackID  string // release track id
	ISRC                []string
	Work, Movement      string
	MovementNumber      int
	Gain                Gain   // where the tags have no gain at all, the one that Sound comes to
	Sound               *Sound // nil: not listened to yet
	HasLyrics, HasCover bool   // embedded or beside the file

	Path        string        // within the library, slash-separated
	Size        int64         // bytes of the file; for a cue track, its share of it by duration
	ModTime     time.Time     // of the file
	Suffix      string        // file name extension in lower case without the dot
	ContentType string        // media type of the original
	Codec       string        // "flac", "mp3", "aac", "alac", "vorbis", "opus", "pcm", …
	Duration    time.Duration // as played, encoder delay and padding excluded where known
	BitRate     int           // kbit/s, averaged over the audio
	SampleRate  int           // Hz
	BitDepth    int           // bits a sample; 0 for lossy codecs
	Channels    int
	Start, End  time.Duration // a cue track's section of its file; both zero for a whole file
	Version     Version
	Added       time.Time // when the catalogue first met it
	Missing     bool      // its file (or library) was not there when last looked for

	Annotation // the asking viewer's
}

// Lossless reports whether the original is a lossless encoding.
func (t *Track) Lossless() bool {
	switch t.Codec {
	case "flac", "alac", "pcm", "wavpack", "ape", "dsd", "tta", "truehd", "mlp", "shorten":
		return true
	}
	return false
}

// Ref names the track's original bytes for a Source.
func (t *Track) Ref() Ref {
	return Ref{Library: t.Library, Path: t.Path, Version: t.Version, Start: t.Start, End: t.End}
}

// Annotation is what one person did with a thing. The zero value is "nothing yet".
type Annotation struct {
	Starred   time.Time // zero: not starred
	Rating    int       // 1 to 5; 0: none
	PlayCount int64
	Played    time.Time // last
}

// Album is a set of tracks released together.
type Album struct {
	ID                        ID
	Name, SortName            string
	DiscTitles                map[int]string // disc number → subtitle
	Artists                   []ArtistRef
	DisplayArtist             string
	Date                      Date
	OriginalDate, ReleaseDate Date
	Genres, Moods             []string
	RecordLabels              []string
	ReleaseTypes              []string // "Album", "EP", "Live", …
	Edition                   string   // OpenSubsonic's "version": "Deluxe Edition"
	MusicBrainzID             string
	Compilation               bool
	Explicit                  string
	SongCount                 int
	Duration                  time.Duration
	Size                      int64
	Added                     time.Time // the newest of its tracks
	HasCover                  bool
	Missing                   bool   // all of its tracks are missing
	Library                   string // of its first track
	Formats                   []string
	Annotation
}

// Artist is a person or group credited on at least one track or album.
type Artist struct {
	ID             ID
	Name, SortName string
	MusicBrainzID  string
	Roles          []string // "albumartist", "artist", "composer", …
	AlbumCount     int      // albums on which they are an album artist
	TrackCount     int
	HasCover       bool
	Annotation
}

// Genre is a genre with how much there is of it.
type Genre struct {
	Name                  string
	SongCount, AlbumCount int
	Covers                []ID // up to four of its albums that have a picture
}

// Folder is a directory of a library that has music in it or below it.
type Folder struct {
	ID, ParentID ID // ParentID is "" for a library's root
	Library      string
	Name         string
	Path         string // within the library, slash-separated; "." for the root
	HasCover     bool
	Annotation
}

// FolderListing is a folder with what is directly inside it, in name order.
type FolderListing struct {
	Folder
	Parents []Folder // from the library's root down to the parent
	Folders []Folder
	Tracks  []Track
}

// Lyrics is one set of lyrics in one language.
type Lyrics struct {
	Artist, Title string
	Lang          string // ISO 639; "und" when unknown
	Synced        bool
	Offset        time.Duration // positive: show earlier
	Lines         []LyricsLine
}

// LyricsLine is a line; Start counts only where Lyrics.Synced is true.
type LyricsLine struct {
	Start time.Duration
	Text  string
	Cues  []LyricsCue // when its words are sung, in order, where the lyrics say (enhanced LRC); else nil
}

// LyricsCue is when a part of a line is sung. From and To are byte offsets into the line's Text: Text[From:To] is the
// part. A zero End is unknown.
type LyricsCue struct {
	Start, End time.Duration
	From, To   int
}

// Page is a window into an ordered list. Limit is never 0 in a valid call.
type Page struct{ Offset, Limit int }

// AlbumOrder is how a list of albums is ordered; the values are OpenSubsonic's list types.
type AlbumOrder string

// The orders of an album list.
const (
	AlbumsByName   AlbumOrder = "alphabeticalByName"
	AlbumsByArtist AlbumOrder = "alphabeticalByArtist"
	AlbumsNewest   AlbumOrder = "newest"
	AlbumsRandom   AlbumOrder = "random"
	AlbumsByYear   AlbumOrder = "byYear"  // from FromYear to ToYear, descending when FromYear > ToYear
	AlbumsByGenre  AlbumOrder = "byGenre" // within Genre, by name
	AlbumsFrequent AlbumOrder = "frequent"
	AlbumsRecent   AlbumOrder = "recent" // last played first
	AlbumsStarred  AlbumOrder = "starred"
	AlbumsHighest  AlbumOrder = "highest" // rating
)

// AlbumQuery selects albums that match every given condition.
type AlbumQuery struct {
	Order            AlbumOrder
	Genres           []string // any of these; nil is any at all; matched without regard to case
	FromYear, ToYear int      // 0 is unbounded
	Formats          []string // with a track in any of these, as Album.Formats has them; nil is any at all
	Libraries        []string // of these; nil is every library the viewer sees
	Page
}

// TrackOrder is how a list of tracks is ordered.
type TrackOrder string

// The orders of a list of tracks. Equals are in the order of their albums, or of their ids.
const (
	TracksByArtist   TrackOrder = "artist" // the album's, then by year, album and place; "" is the same
	TracksByTitle    TrackOrder = "title"
	TracksByAlbum    TrackOrder = "album" // its name, then by place
	TracksByYear     TrackOrder = "year"  // its album's, earliest first, then by album and place; those without come first
	TracksByDuration TrackOrder = "duration"
	TracksAdded      TrackOrder = "added"    // newest first
	TracksRecent     TrackOrder = "recent"   // played by the viewer, last played first
	TracksFrequent   TrackOrder = "frequent" // played by the viewer, most played first
	TracksStarred    TrackOrder = "starred"  // by the viewer, latest first
	TracksHighest    TrackOrder = "highest"  // rated by the viewer, best first
)

// TrackQuery selects tracks that match every given condition.
type TrackQuery struct {
	Text             string   // each of its words begins a word of the track's, its artists' or its album's name; "" is any
	Genres           []string // any of these; nil is any at all; matched without regard to case
	FromYear, ToYear int      // of its album; 0 is unbounded
	Formats          []string // any of these, as Track.Suffix has them; nil is any at all
	Libraries        []string // of these; nil is every library the viewer sees
	Artist           ID
	Order            TrackOrder
	Reverse          bool // from the end of the order
	Random           bool // a fresh random order instead
	Page
}

// SearchQuery asks for the best matches of a text, per kind of thing. An empty text lists everything.
type SearchQuery struct {
	Text                    string
	Library                 string
	Artists, Albums, Tracks Page // a Limit of 0 asks for none
}

// SearchResult is what matched, best first.
type SearchResult struct {
	Artists []Artist
	Albums  []Album
	Tracks  []Track
}

// Counts says how much a library, or all of them, holds.
type Counts struct {
	Tracks, Albums, Artists, Genres, Missing int
	Duration                                 time.Duration
	Size                                     int64
	LastScan                                 time.Time
}

// Browser answers what there is. Lists come back in a fixed order; the second result of a paged list is its full
// length. Nothing here waits for a scan. What v did with things may be left out, or be some time old, while the database
// does not answer; lists of just that (Starred, TopTracks, albums in an order of v's own) are then KindUnavailable rather
// than empty.
type Browser interface {
	Libraries(ctx context.Context, v Viewer) ([]Library, error)
	Counts(ctx context.Context, v Viewer) (Counts, error)
	// Track, Album, Artist and Folder return KindNotFound for what is not there or not to be seen.
	Track(ctx context.Context, v Viewer, id ID) (Track, error)
	// TracksByID keeps the order of ids; those that are not there or not to be seen are left out.
	TracksByID(ctx context.Context, v Viewer, ids []ID) ([]Track, error)
	Tracks(ctx context.Context, v Viewer, q TrackQuery) ([]Track, int, error)
	Album(ctx context.Context, v Viewer, id ID) (Album, []Track, error)
	Albums(ctx context.Context, v Viewer, q AlbumQuery) ([]Album, int, error)
	// Artist returns the artist with the albums they are an album artist of (newest last), and those they only appear on.
	Artist(ctx context.Context, v Viewer, id ID) (a Artist, own, appearsOn []Album, err error)
	// Artists lists those with the role ("albumartist", "composer", …; "" is every artist) by sort name.
	Artists(ctx context.Context, v Viewer, library, role string) ([]Artist, error)
	Genres(ctx context.Context, v Viewer) ([]Genre, error)
	Folder(ctx context.Context, v Viewer, id ID) (FolderListing, error)
	// RootFolders returns one folder for each library that v sees.
	RootFolders(ctx context.Context, v Viewer) ([]Folder, error)
	Search(ctx context.Context, v Viewer, q SearchQuery) (SearchResult, error)
	// Starred returns what v starred, latest first.
	Starred(ctx context.Context, v Viewer, library string) (SearchResult, []Folder, error)
	// Similar returns tracks like the thing that id names (track, album or artist), from the library itself.
	Similar(ctx context.Context, v Viewer, id ID, limit int) ([]Track, error)
	// SonicSimilar returns the tracks that v sees and that sound most like one, the most alike first, without it. There are
	// none while it has not been listened to.
	SonicSimilar(ctx context.Context, v Viewer, track ID, limit int) ([]SonicMatch, error)
	// SonicPath returns at most limit tracks that lead from one to another in small steps of how they sound, both included,
	// each with its similarity to the first. Where one of them has not been listened to there is nothing in between.
	SonicPath(ctx context.Context, v Viewer, from, to ID, limit int) ([]SonicMatch, error)
	// TopTracks returns an artist's tracks, most played by v first.
	TopTracks(ctx context.Context, v Viewer, artistName string, limit int) ([]Track, error)
	Lyrics(ctx context.Context, v Viewer, track ID) ([]Lyrics, error)
	// Cover says where the picture of a track, album, artist, folder or playlist is. The Ref's profile is the original
	// picture; the caller sets Profile.Pixels to have it made smaller.
	Cover(ctx context.Context, v Viewer, id ID) (Ref, error)
	// Mosaic says where the pictures of a playlist's first albums are that have one, up to four of them, each as Cover says
	// it. A playlist without any, or that v does not see, is KindNotFound.
	Mosaic(ctx context.Context, v Viewer, playlist ID) ([]Ref, error)
	// FindTracks returns for each description the track that v sees and that fits it best, "" where none does.
	FindTracks(ctx context.Context, v Viewer, sought []Sought) ([]ID, error)
	// Home returns what v may want to hear, made of what there is and what v did, each shelf of at most limit things. A shelf
	// with nothing on it is left out, and so are v's own while the database does not answer.
	Home(ctx context.Context, v Viewer, limit int) ([]HomeShelf, error)
}

// Sought describes a track that somebody looks for, as a line of a playlist file does.
type Sought struct {
	Paths    []string      // where its file may be within a library, most likely first
	Title    string        // "Artist - Title", or the title alone; "" where unknown
	Duration time.Duration // 0 where unknown
}

// ShelfKind says what a shelf of the home page has on it.
type ShelfKind string

// The kinds of shelves, in the order of Home.
const (
	ShelfPlayed    ShelfKind = "played"    // albums that v played, last played first
	ShelfAdded     ShelfKind = "added"     // albums that came last
	ShelfFrequent  ShelfKind = "frequent"  // albums that v played most
	ShelfForgotten ShelfKind = "forgotten" // albums that v liked and has not played for three months, at random
	ShelfGenre     ShelfKind = "genre"     // albums of one of v's genres, at random, those first that v never played
	ShelfDecade    ShelfKind = "decade"    // albums of one of v's decades, likewise
	ShelfStarred   ShelfKind = "starred"   // albums that v starred, latest first
	ShelfRandom    ShelfKind = "random"    // any albums
)

// HomeShelf is a row of albums.
type HomeShelf struct {
	Kind   ShelfKind
	Of     string // the genre's name, or the decade's first year; else ""
	Albums []Album
}

// Annotator records what people do with things. Each call is durable when it returns.
type Annotator interface {
	Star(ctx context.Context, v Viewer, starred bool, ids ...ID) error
	Rate(ctx context.Context, v Viewer, id ID, rating int) error
	// Played counts one finished play of each track, its album and its artists.
	Played(ctx context.Context, v Viewer, plays ...Play) error
	// NowPlaying says what a player does at this moment; it is forgotten when the track would have ended.
	NowPlaying(ctx context.Context, v Viewer, p Playing) error
	// NowPlayingAll returns who plays what, latest report first, of many players the 500 that reported last.
	NowPlayingAll(ctx context.Context, v Viewer) ([]Playing, error)
}

// Play is one finished play.
type Play struct {
	Track ID
	At    time.Time
}

// Playing is a player at work.
type Playing struct {
	User       ID
	UserName   string
	Player     string // the client's name and id
	Track      Track  // only ID is needed when reporting
	State      string // "starting", "playing", "paused" or "stopped"
	Position   time.Duration
	Rate       float64 // playback rate, 1 is normal
	ReportedAt time.Time
}

// Playlist is an ordered list of tracks with an owner. File is where an imported playlist came from; such a list
// follows its file and cannot be edited.
type Playlist struct {
	ID               ID
	Owner            ID
	OwnerName        string
	Name, Comment    string
	Public           bool
	Tracks           []ID
	SongCount        int
	Duration         time.Duration
	Created, Changed time.Time
	File             string // library path of an imported .m3u; "" for one made by hand
	Version          uint64 // optimistic concurrency: the store's version of the item
}

// Playlists keeps playlists. A viewer sees their own and public ones and changes only their own.
type Playlists interface {
	Playlists(ctx context.Context, v Viewer) ([]Playlist, error) // Tracks is left nil
	Playlist(ctx context.Context, v Viewer, id ID) (Playlist, error)
	// SavePlaylist creates (ID "") or replaces. With a Version other than 0 it returns KindConflict if the list changed since.
	SavePlaylist(ctx context.Context, v Viewer, p Playlist) (Playlist, error)
	DeletePlaylist(ctx context.Context, v Viewer, id ID) error
}

// Bookmark is a place in a long track to come back to.
type Bookmark struct {
	Track            ID
	Position         time.Duration
	Comment          string
	Created, Changed time.Time
}

// Queue is what a person plays, handed from player to player. The same track may stand in it twice, so the current
// entry is an index.
type Queue struct {
	Tracks    []ID
	Current   int // index into Tracks; -1 when empty
	Position  time.Duration
	Changed   time.Time
	ChangedBy string // client name
}

// Station is an internet radio station.
type Station struct {
	ID                       ID
	Name, StreamURL, HomeURL string
}

// Share is a public page with something on it. Secret is the unguessable part of its address.
type Share struct {
	ID                            ID
	Secret                        string
	Owner                         ID
	OwnerName                     string
	OwnerMaxRate                  int // kbit/s that the owner may listen at, 0 for no limit; OpenShare and PeekShare say it
	Description                   string
	Entries                       []ID      // tracks, albums or playlists
	Created, Expires, LastVisited time.Time // zero Expires: never; zero LastVisited: not yet
	Visits                        int64
}

// Shelf keeps a person's bookmarks, queue and shares, and the household's radio stations.
type Shelf interface {
	Bookmarks(ctx context.Context, v Viewer) ([]Bookmark, error)
	SaveBookmark(ctx context.Context, v Viewer, b Bookmark) error
	DeleteBookmark(ctx context.Context, v Viewer, track ID) error
	Queue(ctx context.Context, v Viewer) (Queue, error)
	SaveQueue(ctx context.Context, v Viewer, q Queue) error
	Stations(ctx context.Context, v Viewer) ([]Station, error)
	SaveStation(ctx context.Context, v Viewer, s Station) (Station, error) // admins only; ID "" creates
	DeleteStation(ctx context.Context, v Viewer, id ID) error              // admins only
	Shares(ctx context.Context, v Viewer) ([]Share, error)
	SaveShare(ctx context.Context, v Viewer, s Share) (Share, error) // ID "" creates and fills ID and Secret
	DeleteShare(ctx context.Context, v Viewer, id ID) error
	// OpenShare returns the share with the secret and the tracks on it, and counts the visit: at once, or within a second
	// or two where several nodes share a database. An expired or unknown share is KindNotFound.
	OpenShare(ctx context.Context, secret string) (Share, []Track, error)
	// PeekShare is OpenShare without counting a visit, and so without a write: for the pictures and the music that the
	// share's page goes on to fetch.
	PeekShare(ctx context.Context, secret string) (Share, []Track, error)
}

// ScanStatus is how a scan gets on.
type ScanStatus struct {
	Scanning                                bool
	Phase                                   string // "listing", "reading", "playlists", "done"
	Seen, Total                             int64  // files looked at, and files there are as far as known
	Added, Changed, Moved, Removed, Missing int64
	Failed                                  int64 // files that could not be read; the log names them
	Started, Finished                       time.Time
	Error                                   string
	Tracks                                  int // in the catalogue now
	Heard                                   int // of those, how many have been listened to (Track.Sound); that goes on after a scan
}

// Scanner looks through the libraries.
type Scanner interface {
	// Scan starts a scan, or joins the running one, and returns at once. full reads every file again.
	Scan(ctx context.Context, full bool) (ScanStatus, error)
	ScanStatus(ctx context.Context) (ScanStatus, error)
	// WatchScan calls fn with the status now and after every change, at most four times a second, until ctx ends or fn
	// returns an error; it returns that error.
	WatchScan(ctx context.Context, fn func(ScanStatus) error) error
}

// EventKind says what has happened.
type EventKind string

// The kinds of events.
const (
	EventScan      EventKind = "scan"      // a scan got on; Scan says how it stands
	EventLibrary   EventKind = "library"   // what there is has changed
	EventPlaylists EventKind = "playlists" // playlists have changed, some of which the viewer may not see
	EventQueue     EventKind = "queue"     // the viewer's queue was saved; By says by which player, At when, as far as known
)

// Event is something that players want to know of when it happens.
type Event struct {
	Kind EventKind
	Scan ScanStatus
	By   string
	At   time.Time
}

// Watcher tells what happens.
type Watcher interface {
	// Watch calls fn with how the scan stands, and from then on with everything that happens, until ctx ends or fn returns
	// an error; it returns that error. What happens often is told now and then: a scan four times a second, changes of the
	// library every other second, and what other nodes of a fleet did within seconds. Something may be told that did not
	// happen, as where a node had to be replaced by another, which does not know. What happened between two calls is not told.
	Watch(ctx context.Context, v Viewer, fn func(Event) error) error
}

// Catalog is service B.
type Catalog interface {
	Browser
	Annotator
	Playlists
	Shelf
	Scanner
	Watcher
	Planner
}

// ---- How it is delivered ----

// Profile says in which shape bytes are wanted. The zero value is the original, bit for bit.
type Profile struct {
	Format   string        // "" original; "mp3", "opus", "aac", "flac", "wav"; "jpeg" for pictures
	BitRate  int           // kbit/s for a lossy format; 0 is the format's default
	Rate     int           // sample rate in Hz; 0 keeps the source's (opus is always 48000)
	Channels int           // 0 keeps the source's
	BitDepth int           // for flac and wav; 0 keeps the source's
	Offset   time.Duration // start this far in (transcodeOffset)
	Pixels   int           // pictures: longest side at most this many pixels; 0 keeps the size
	Cover    bool          // the picture embedded in the file, not its audio
}

// Original reports whether the profile leaves the bytes as they are.
func (p Profile) Original() bool { return p == Profile{} }

// String is the profile's canonical name, the same for equal profiles and different for different ones. It is part of
// chunk keys and safe in file names: "original", "opus-128", "flac-r44100-b16", "cover", "cover-jpeg-p300".
func (p Profile) String() string {
	if p.Original() {
		return "original"
	}
	var parts []string
	if p.Cover {
		parts = append(parts, "cover")
	}
	if p.Format != "" {
		parts = append(parts, p.Format)
	}
	for _, f := range []struct {
		letter string
		n      int64
	}{
		{"", int64(p.BitRate)},
		{"r", int64(p.Rate)},
		{"c", int64(p.Channels)},
		{"b", int64(p.BitDepth)},
		{"o", p.Offset.Milliseconds()},
		{"p", int64(p.Pixels)},
	} {
		if f.n != 0 {
			parts = append(parts, f.letter+strconv.FormatInt(f.n, 10))
		}
	}
	return strings.Join(parts, "-")
}

// Ref names an immutable sequence of bytes: a version of a file in a profile. Start and End cut a cue track from it.
type Ref struct {
	Library    string
	Path       string // within the library; valid per fs.ValidPath
	Version    Version
	Profile    Profile
	Start, End time.Duration
}

// ChunkSize is the size in bytes of every chunk but an object's last, on disk and between nodes.
const ChunkSize = 1 << 20

// HeadSize is how many of an object's first bytes are its head: about 15 s of music, and small enough, with room for
// a description, for one item of every store (store.MaxValue; DynamoDB stops at 400 KB).
const HeadSize = 340 << 10

// Key is the ref's identity in every cache: version, profile and section. A ref without a version, such as that of a
// picture beside the music, is named by its place instead; what lies there may change.
func (r Ref) Key() string {
	k := string(r.Version)
	if k == "" {
		k = "at:" + r.Library + "/" + r.Path
	}
	k += "#" + r.Profile.String()
	if r.Start != 0 || r.End != 0 {
		k += "@" + strconv.FormatInt(r.Start.Microseconds(), 10) + "-" + strconv.FormatInt(r.End.Microseconds(), 10)
	}
	return k
}

// ID is Key as 32 hexadecimal digits: short, and safe in addresses and file names.
func (r Ref) ID() string {
	sum := sha256.Sum256([]byte(r.Key()))
	return hex.EncodeToString(sum[:16])
}

// ChunkKey is the key of the n-th chunk of the ref: "version#profile#n".
func (r Ref) ChunkKey(n int64) string { return r.Key() + "#" + strconv.FormatInt(n, 10) }

// Object is opened bytes. The opener closes it.
type Object interface {
	// Size is the length in bytes, or -1 while it is not known (a transcode that is still being made).
	Size() int64
	ModTime() time.Time
	ContentType() string
	// CopyRange copies n bytes from offset off to w (n < 0: to the end, however far that turns out to be), waiting for
	// bytes that are still being made. Where bytes lie in a file it hands w an *os.File behind an io.LimitedReader
	// through io.ReaderFrom, so that a network connection can use sendfile. It returns how many bytes w took.
	CopyRange(ctx context.Context, w io.Writer, off, n int64) (int64, error)
	io.ReaderAt
	io.Closer
}

// Source opens objects by ref. An origin, the transcoder, every cache tier and the track cache itself are Sources:
// a cache is the thing it caches. Open returns KindNotFound where there is no such file, KindUnavailable where it
// cannot be had now, KindExhausted where too much is asked at once, and KindInvalid for a ref that it cannot serve.
type Source interface {
	Open(ctx context.Context, r Ref) (Object, error)
}

// FileInfo is what an origin knows of a file without opening it.
type FileInfo struct {
	Path    string
	Size    int64
	ModTime time.Time
	Dir     bool
	Inode   uint64 // 0 where the origin has none
}

// Origin is where music lives. Paths are slash-separated and valid per fs.ValidPath; an origin never reaches outside
// its root, whatever links it meets.
type Origin interface {
	Source
	Libraries() []Library
	// Stat and List return KindNotFound for what is not there and KindUnavailable when the library itself is away.
	Stat(ctx context.Context, library, path string) (FileInfo, error)
	// List returns the entries directly inside a directory, by name, without what the library's rules exclude.
	List(ctx context.Context, library, dir string) ([]FileInfo, error)
	// OpenFile opens a file for random access, for readers of tags.
	OpenFile(ctx context.Context, library, path string) (fs.File, error)
	// Watch calls fn with the directory (or "." for anywhere) in which something changed, until ctx ends. It returns
	// KindUnavailable where changes cannot be watched; a scheduled scan then finds them.
	Watch(ctx context.Context, library string, fn func(dir string)) error
}

// Want is what a listener asked for: a format by name ("raw" and "" allow the original), at most a bit rate, from an
// offset; or exactly a Profile. With Exact the listener may ask for a section of the track, as segmented streaming
// does: From and To count from the track's own beginning and become the Ref's Start and End, moved by the track's
// Start where it is itself a section of its file. To beyond the track's end means its end; both zero is all of it.
type Want struct {
	Format   string
	MaxRate  int // kbit/s; 0 is no limit
	Offset   time.Duration
	Exact    *Profile
	From, To time.Duration
}

// PlanRequest asks how to deliver a track.
type PlanRequest struct {
	Viewer Viewer
	Track  ID
	Want   Want
}

// Plan is the catalogue's answer to a request for a stream: what it is, in which shape it goes out, and where the
// bytes are to be had.
type Plan struct {
	Track         Track
	Ref           Ref
	ContentType   string
	Suffix        string
	Size          int64    // -1 while unknown
	EstimatedSize int64    // a guess for players that insist on a length; 0 when there is none
	Reason        string   // why this profile, in words a listener understands: "original, bit for bit"
	Owners        []string // addresses of the track cache nodes that own the chunks; empty within one process
	Ready         bool     // the head lies ready in the track cache
}

// Planner decides how a track is delivered. It tells the track cache to make the head ready and does not wait for
// more than that. Of the viewer a plan depends on the libraries that they may see and on nothing else, so that whoever sees
// the same may be given the same plan for a moment.
type Planner interface {
	Plan(ctx context.Context, req PlanRequest) (Plan, error)
}

// Readiness is what the track cache knows of an object when asked to make it ready.
type Readiness struct {
	Size        int64 // -1 while unknown
	ContentType string
	Ready       bool // the first bytes can be sent without waiting for the origin or a transcoder
	Owners      []string
}

// TrackCache is service C: bytes near the listener.
type TrackCache interface {
	Source
	// Prepare begins to make the object ready and returns what is known now; it does not wait for a transcode. It
	// returns the errors that Open would.
	Prepare(ctx context.Context, r Ref) (Readiness, error)
}

// ---- Who may ----

// Role is a permission that a user has.
type Role string

// The roles; each gives what it says and nothing more, except that an admin may do everything.
const (
	RoleAdmin    Role = "admin"    // users, settings, scans
	RoleStream   Role = "stream"   // listen
	RoleDownload Role = "download" // take originals away
	RoleShare    Role = "share"    // make public pages
	RolePlaylist Role = "playlist" // make playlists
	RoleCover    Role = "cover"    // change pictures
	RoleComment  Role = "comment"  // stars, ratings, bookmarks
)

// User is an account.
type User struct {
	ID         ID
	Name       string // what they sign in with; compared without regard to case
	Email      string
	Roles      []Role
	Libraries  []string // nil: all
	MaxBitRate int      // kbit/s; 0: no limit
	Scrobbling bool
	Created    time.Time
	Changed    time.Time
}

// Has reports whether the user has the role; an admin has every role.
func (u User) Has(r Role) bool {
	for _, have := range u.Roles {
		if have == r || have == RoleAdmin {
			return true
		}
	}
	return false
}

// Viewer returns the user as one who asks.
func (u User) Viewer() Viewer {
	return Viewer{User: u.ID, Libraries: u.Libraries, Admin: u.Has(RoleAdmin)}
}

// AppKey is a named secret with which one app signs in as its user. The secret itself is shown once, when it is made.
type AppKey struct {
	ID       string
	Name     string
	Created  time.Time
	LastUsed time.Time // zero: never; kept to the hour
}

// Accounts keeps users and their secrets. It does not check who asks: its callers do.
type Accounts interface {
	Users(ctx context.Context) ([]User, error) // by name
	User(ctx context.Context, name string) (User, error)
	UserByID(ctx context.Context, id ID) (User, error)
	// CreateUser fills ID, Created and Changed. It returns KindConflict if the name is taken and KindInvalid for an
	// empty name or a password that is too short.
	CreateUser(ctx context.Context, u User, password string) (User, error)
	// UpdateUser replaces everything but ID, Name and Created. The last admin stays one: taking that away is KindConflict.
	UpdateUser(ctx context.Context, u User) (User, error)
	DeleteUser(ctx context.Context, name string) error
	// SetPassword changes the password and ends the user's sessions.
	SetPassword(ctx context.Context, name, password string) error
	AppKeys(ctx context.Context, user ID) ([]AppKey, error)
	CreateAppKey(ctx context.Context, user ID, name string) (k AppKey, secret string, err error)
	RevokeAppKey(ctx context.Context, user ID, keyID string) error
}

// Credentials is what somebody shows at a door: a name with a password or with a token and its salt, or an app key,
// or a session. From is the address they come from, against which failures are counted.
type Credentials struct {
	From           netip.Addr
	Name, Password string
	Token, Salt    string // Subsonic: hex(md5(password + salt))
	AppKey         string
	Session        string // the page's cookie
}

// Session is a signed-in browser.
type Session struct {
	ID               string // what lists show and Revoke takes; not the secret
	Secret           string // the cookie's value; only SignIn fills it
	User             User
	Created, Expires time.Time
	LastSeen         time.Time // kept to the hour
	From, UserAgent  string    // of the sign-in
}

// Door decides who comes in. Every failure is KindUnauthorised and takes as long as a success; after several failures
// from one address or for one name it is KindExhausted for a while, except for who has come in from that address under
// that name before: a stranger who guesses somebody's name does not lock its owner out.
type Door interface {
	Admit(ctx context.Context, c Credentials) (User, error)
	// SignIn admits by name and password and opens a session.
	SignIn(ctx context.Context, c Credentials, userAgent string) (Session, error)
	// Session returns the live session with the secret.
	Session(ctx context.Context, secret string) (Session, error)
	SignOut(ctx context.Context, secret string) error
	Sessions(ctx context.Context, user ID) ([]Session, error)
	RevokeSession(ctx context.Context, user ID, sessionID string) error
}
