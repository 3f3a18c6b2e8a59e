package subsonic_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tutti"
	"tutti/delivery"
)

// The small fixed library that the golden files show. It is a tutti.Catalog of its own, kept in maps, so that a golden
// file changes only when this wire does; that the wire and the real catalogue fit together is the end-to-end tests'
// business.

var epoch = time.Date(2026, 3, 14, 15, 9, 26, 535_000_000, time.UTC)

func day(n int) time.Time { return epoch.AddDate(0, 0, -n) }

func fid(prefix string, n uint64) tutti.ID { return tutti.NewID(prefix, n) }

var (
	bach       = tutti.ArtistRef{ID: fid(tutti.PrefixArtist, 1), Name: "Johann Sebastian Bach"}
	academy    = tutti.ArtistRef{ID: fid(tutti.PrefixArtist, 2), Name: "The Academy"}
	dvorak     = tutti.ArtistRef{ID: fid(tutti.PrefixArtist, 3), Name: "Antonín Dvořák"}
	signs      = tutti.ArtistRef{ID: fid(tutti.PrefixArtist, 4), Name: `<Signs> & "Marks"`}
	fugue      = fid(tutti.PrefixAlbum, 1)
	worldAlbum = fid(tutti.PrefixAlbum, 2)
	oddAlbum   = fid(tutti.PrefixAlbum, 3)
	root1      = fid(tutti.PrefixFolder, 1)
	root2      = fid(tutti.PrefixFolder, 2)
	bachDir    = fid(tutti.PrefixFolder, 3)
	fugueDir   = fid(tutti.PrefixFolder, 4)
	dvorakDir  = fid(tutti.PrefixFolder, 5)
)

func ptr[T any](v T) *T { return &v }

type library struct {
	tutti.Catalog // nil: of what is not below, OpenSubsonic asks nothing

	mu        sync.Mutex
	now       func() time.Time
	libraries []tutti.Library
	tracks    []tutti.Track
	albums    []tutti.Album
	artists   []tutti.Artist
	folders   []tutti.Folder
	lyrics    map[tutti.ID][]tutti.Lyrics
	notes     map[tutti.ID]map[tutti.ID]tutti.Annotation
	playing   []tutti.Playing
	playlists []tutti.Playlist
	bookmarks map[tutti.ID][]tutti.Bookmark
	queues    map[tutti.ID]tutti.Queue
	stations  []tutti.Station
	shares    []tutti.Share
	scan      tutti.ScanStatus
	next      uint64
	plays     []tutti.Play
}

func newLibrary(now func() time.Time) *library {
	l := &library{
		now:       now,
		libraries: []tutti.Library{{ID: "1", Name: "Music"}, {ID: "2", Name: "Second shelf"}},
		notes:     map[tutti.ID]map[tutti.ID]tutti.Annotation{},
		bookmarks: map[tutti.ID][]tutti.Bookmark{},
		queues:    map[tutti.ID]tutti.Queue{},
		next:      100,
		scan:      tutti.ScanStatus{Phase: "done", Tracks: 5, Finished: day(1)},
		folders: []tutti.Folder{
			{ID: root1, Library: "1", Name: "Music", Path: "."},
			{ID: root2, Library: "2", Name: "Second shelf", Path: "."},
			{ID: bachDir, ParentID: root1, Library: "1", Name: "Bach", Path: "Bach"},
			{ID: fugueDir, ParentID: bachDir, Library: "1", Name: "Die Kunst der Fuge", Path: "Bach/Die Kunst der Fuge", HasCover: true},
			{ID: dvorakDir, ParentID: root2, Library: "2", Name: "Dvořák", Path: "Dvořák"},
		},
		artists: []tutti.Artist{
			{ID: academy.ID, Name: academy.Name, SortName: "Academy", Roles: []string{"artist", "conductor"}, TrackCount: 1},
			{ID: bach.ID, Name: bach.Name, SortName: "Bach, Johann Sebastian", MusicBrainzID: "24f1766e-9635-4d58-a4d4-9413f9f98a4c", Roles: []string{"albumartist", "artist", "composer"}, AlbumCount: 1, TrackCount: 2, HasCover: true},
			{ID: dvorak.ID, Name: dvorak.Name, SortName: "Dvořák, Antonín", Roles: []string{"albumartist", "artist"}, AlbumCount: 1, TrackCount: 2},
			{ID: signs.ID, Name: signs.Name, Roles: []string{"albumartist", "artist"}, AlbumCount: 1, TrackCount: 1},
		},
		albums: []tutti.Album{
			{
				ID: fugue, Name: "Die Kunst der Fuge", SortName: "Kunst der Fuge, Die", DiscTitles: map[int]string{2: "Anhang", 1: "Contrapunctus"},
				Artists: []tutti.ArtistRef{bach}, DisplayArtist: bach.Name, Date: tutti.Date{Year: 1998, Month: 5}, OriginalDate: tutti.Date{Year: 1751},
				ReleaseDate: tutti.Date{Year: 1998, Month: 5, Day: 4}, Genres: []string{"Baroque", "Classical"}, Moods: []string{"Calm"}, RecordLabels: []string{"Harmonia"},
				ReleaseTypes: []string{"Album"}, Edition: "Remastered", MusicBrainzID: "0da340a0-6ad7-4fc2-a272-6f94393a7831", Explicit: "clean",
				SongCount: 2, Duration: 401 * time.Second, Size: 60_000_000, Added: day(30), HasCover: true, Library: "1", Formats: []string{"flac"},
			},
			{
				ID: worldAlbum, Name: "Z nového světa", Artists: []tutti.ArtistRef{dvorak}, DisplayArtist: dvorak.Name, Date: tutti.Date{Year: 1893},
				Genres: []string{"Classical"}, SongCount: 2, Duration: 1325 * time.Second, Added: day(2), Library: "2", Formats: []string{"mp3", "opus"},
			},
			{ID: oddAlbum, Name: "a\x00b\u2028c\ufffe\xff", Artists: []tutti.ArtistRef{signs}, SongCount: 1, Duration: 1500 * time.Millisecond, Added: day(9), Library: "1", Compilation: true},
		},
		tracks: []tutti.Track{
			{
				ID: fid(tutti.PrefixTrack, 1), AlbumID: fugue, FolderID: fugueDir, Library: "1", Title: "Contrapunctus I", SortTitle: "Contrapunctus 01", Album: "Die Kunst der Fuge",
				Artists: []tutti.ArtistRef{bach, academy}, AlbumArtists: []tutti.ArtistRef{bach}, DisplayArtist: "Johann Sebastian Bach; The Academy", DisplayAlbumArtist: bach.Name, DisplayComposer: bach.Name,
				Contributors: []tutti.Contributor{{Role: "composer", Artist: bach}, {Role: "performer", SubRole: "Violin", Artist: academy}},
				Track:        1, Disc: 1, DiscSubtitle: "Contrapunctus", Date: tutti.Date{Year: 1998}, OriginalDate: tutti.Date{Year: 1751}, Genres: []string{"Baroque", "Classical"}, Moods: []string{"Calm", "Stern"},
				Comment: "recorded\nlive", Groupings: []string{"Fugues"}, BPM: 72, Explicit: "clean", MusicBrainzID: "8f3471b5-7e6a-48da-86a9-c1c07a0f47ae", ISRC: []string{"DEF059800001"},
				Work: "BWV 1080", Movement: "Contrapunctus I", MovementNumber: 1,
				Gain:      tutti.Gain{Track: ptr(-3.21), Album: ptr(-4.0), TrackPeak: ptr(0.9876), AlbumPeak: ptr(1.0), Base: ptr(math.NaN())},
				HasLyrics: true, HasCover: true, Path: "Bach/Die Kunst der Fuge/01.flac", Size: 31_234_567, ModTime: day(40), Suffix: "flac", ContentType: "audio/flac", Codec: "flac",
				Duration: 200*time.Second + 600*time.Millisecond, BitRate: 1245, SampleRate: 96000, BitDepth: 24, Channels: 2, Version: "v1", Added: day(30),
			},
			{
				ID: fid(tutti.PrefixTrack, 2), AlbumID: fugue, FolderID: fugueDir, Library: "1", Title: "Contrapunctus II", Album: "Die Kunst der Fuge",
				Artists: []tutti.ArtistRef{bach}, AlbumArtists: []tutti.ArtistRef{bach}, DisplayArtist: bach.Name, Track: 2, Disc: 1, Genres: []string{"Baroque"},
				HasCover: true, Path: "Bach/Die Kunst der Fuge/disc.flac", Size: 29_000_000, Suffix: "flac", ContentType: "audio/flac", Codec: "flac", Start: 10 * time.Second, End: 210 * time.Second,
				Duration: 200 * time.Second, BitRate: 900, SampleRate: 44100, BitDepth: 16, Channels: 2, Version: "v2", Added: day(30),
			},
			{
				ID: fid(tutti.PrefixTrack, 3), AlbumID: worldAlbum, FolderID: dvorakDir, Library: "2", Title: "Largo", Album: "Z nového světa",
				Artists: []tutti.ArtistRef{dvorak}, AlbumArtists: []tutti.ArtistRef{dvorak}, DisplayArtist: dvorak.Name, Track: 2, Date: tutti.Date{Year: 1893}, Genres: []string{"Classical"}, HasLyrics: true,
				Path: "Dvořák/02.mp3", Size: 14_500_000, Suffix: "mp3", ContentType: "audio/mpeg", Codec: "mp3", Duration: 725 * time.Second, BitRate: 160, SampleRate: 44100, Channels: 2, Version: "v3", Added: day(2),
			},
			{
				ID: fid(tutti.PrefixTrack, 4), AlbumID: worldAlbum, FolderID: dvorakDir, Library: "2", Title: "Scherzo", Album: "Z nového světa",
				Artists: []tutti.ArtistRef{dvorak}, AlbumArtists: []tutti.ArtistRef{dvorak}, DisplayArtist: dvorak.Name, Track: 3, Genres: []string{"Classical"},
				Path: "Dvořák/03.opus", Size: 9_600_000, Suffix: "opus", ContentType: "audio/ogg", Codec: "opus", Duration: 600 * time.Second, BitRate: 128, SampleRate: 48000, Channels: 2, Version: "v4", Added: day(2),
			},
			{
				ID: fid(tutti.PrefixTrack, 5), AlbumID: oddAlbum, FolderID: root1, Library: "1", Title: "tab\tquote\"back\\slash <&>", Album: "a\x00b\u2028c\ufffe\xff",
				Artists: []tutti.ArtistRef{signs}, Path: "odd.wav", Size: 264_644, Suffix: "wav", ContentType: "audio/wav", Codec: "pcm",
				Duration: 1500 * time.Millisecond, BitRate: 1411, SampleRate: 44100, BitDepth: 16, Channels: 2, Version: "v5", Added: day(9),
			},
		},
		lyrics: map[tutti.ID][]tutti.Lyrics{
			fid(tutti.PrefixTrack, 1): {
				{Lang: "deu", Synced: true, Offset: -100 * time.Millisecond, Lines: []tutti.LyricsLine{
					{Start: 0, Text: "Süße Ruh", Cues: []tutti.LyricsCue{{Start: 0, End: 400 * time.Millisecond, From: 0, To: 7}, {Start: 400 * time.Millisecond, From: 7, To: 10}}},
					{Start: 2 * time.Second, Text: "kommt"},
				}},
				{Artist: "Bach", Title: "Contrapunctus", Lines: []tutti.LyricsLine{{Text: "Sweet <rest>"}, {Text: "comes"}}},
			},
			fid(tutti.PrefixTrack, 3): {{Lang: "eng", Lines: []tutti.LyricsLine{{Text: "Goin' home"}}}},
		},
		stations: []tutti.Station{{ID: fid(tutti.PrefixStation, 1), Name: "Radio Example", StreamURL: "https://radio.example/stream", HomeURL: "https://radio.example/"}},
	}
	return l
}

func (l *library) id(prefix string) tutti.ID { l.next++; return fid(prefix, l.next) }

func notFound() error { return tutti.Errorf(tutti.KindNotFound, "fixture", "there is no such thing") }

func (l *library) note(v tutti.Viewer, id tutti.ID) tutti.Annotation { return l.notes[v.User][id] }

func (l *library) annotate(v tutti.Viewer, id tutti.ID, change func(*tutti.Annotation)) {
	mine := l.notes[v.User]
	if mine == nil {
		mine = map[tutti.ID]tutti.Annotation{}
		l.notes[v.User] = mine
	}
	a := mine[id]
	change(&a)
	mine[id] = a
}

func page[T any](all []T, p tutti.Page) []T {
	from := min(p.Offset, len(all))
	return all[from:min(from+p.Limit, len(all))]
}

// seen returns the tracks, or albums, that pass a filter as the viewer sees them.
func (l *library) seenTracks(v tutti.Viewer, keep func(*tutti.Track) bool) []tutti.Track {
	var out []tutti.Track
	for _, t := range l.tracks {
		if v.Sees(t.Library) && keep(&t) {
			t.Annotation = l.note(v, t.ID)
			out = append(out, t)
		}
	}
	return out
}

func (l *library) seenAlbums(v tutti.Viewer, keep func(*tutti.Album) bool) []tutti.Album {
	var out []tutti.Album
	for _, a := range l.albums {
		if v.Sees(a.Library) && keep(&a) {
			a.Annotation = l.note(v, a.ID)
			out = append(out, a)
		}
	}
	return out
}

func (l *library) Libraries(_ context.Context, v tutti.Viewer) ([]tutti.Library, error) {
	return slices.DeleteFunc(slices.Clone(l.libraries), func(x tutti.Library) bool { return !v.Sees(x.ID) }), nil
}

func (l *library) Counts(context.Context, tutti.Viewer) (tutti.Counts, error) {
	return tutti.Counts{Tracks: len(l.tracks), Albums: len(l.albums), LastScan: day(1)}, nil
}

func (l *library) Track(_ context.Context, v tutti.Viewer, id tutti.ID) (tutti.Track, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if found := l.seenTracks(v, func(t *tutti.Track) bool { return t.ID == id }); len(found) > 0 {
		return found[0], nil
	}
	return tutti.Track{}, notFound()
}

func (l *library) TracksByID(_ context.Context, v tutti.Viewer, ids []tutti.ID) ([]tutti.Track, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []tutti.Track
	for _, id := range ids {
		out = append(out, l.seenTracks(v, func(t *tutti.Track) bool { return t.ID == id })...)
	}
	return out, nil
}

func hasGenre(genres, want []string) bool {
	return len(want) == 0 || slices.ContainsFunc(genres, func(g string) bool { return strings.EqualFold(g, want[0]) })
}

func inLibrary(id string, want []string) bool { return len(want) == 0 || slices.Contains(want, id) }

func inYears(y, from, to int) bool { return (from == 0 || y >= from) && (to == 0 || y <= to) }

func (l *library) Tracks(_ context.Context, v tutti.Viewer, q tutti.TrackQuery) ([]tutti.Track, int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.seenTracks(v, func(t *tutti.Track) bool {
		return inLibrary(t.Library, q.Libraries) && hasGenre(t.Genres, q.Genres) && inYears(t.Date.Year, q.FromYear, q.ToYear) &&
			(q.Artist == "" || slices.ContainsFunc(t.Artists, func(a tutti.ArtistRef) bool { return a.ID == q.Artist }))
	})
	return page(all, q.Page), len(all), nil
}

func (l *library) Album(_ context.Context, v tutti.Viewer, id tutti.ID) (tutti.Album, []tutti.Track, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if found := l.seenAlbums(v, func(a *tutti.Album) bool { return a.ID == id }); len(found) > 0 {
		return found[0], l.seenTracks(v, func(t *tutti.Track) bool { return t.AlbumID == id }), nil
	}
	return tutti.Album{}, nil, notFound()
}

func (l *library) Albums(_ context.Context, v tutti.Viewer, q tutti.AlbumQuery) ([]tutti.Album, int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.seenAlbums(v, func(a *tutti.Album) bool {
		return inLibrary(a.Library, q.Libraries) && hasGenre(a.Genres, q.Genres) &&
			inYears(a.Date.Year, min(q.FromYear, q.ToYear), max(q.FromYear, q.ToYear)) &&
			(q.Order != tutti.AlbumsStarred || !l.note(v, a.ID).Starred.IsZero())
	})
	slices.SortStableFunc(all, func(a, b tutti.Album) int {
		switch q.Order {
		case tutti.AlbumsNewest:
			return b.Added.Compare(a.Added)
		case tutti.AlbumsByYear:
			if q.FromYear > q.ToYear {
				a, b = b, a
			}
			return a.Date.Compare(b.Date)
		case tutti.AlbumsFrequent:
			return cmp.Compare(b.PlayCount, a.PlayCount)
		default:
			return strings.Compare(a.Name, b.Name)
		}
	})
	return page(all, q.Page), len(all), nil
}

func (l *library) Artist(_ context.Context, v tutti.Viewer, id tutti.ID) (a tutti.Artist, own, on []tutti.Album, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.artists, func(a tutti.Artist) bool { return a.ID == id })
	if i < 0 {
		return a, nil, nil, notFound()
	}
	a = l.artists[i]
	a.Annotation = l.note(v, id)
	is := func(r tutti.ArtistRef) bool { return r.ID == id }
	own = l.seenAlbums(v, func(a *tutti.Album) bool { return slices.ContainsFunc(a.Artists, is) })
	on = l.seenAlbums(v, func(a *tutti.Album) bool {
		return !slices.ContainsFunc(a.Artists, is) && len(l.seenTracks(v, func(t *tutti.Track) bool { return t.AlbumID == a.ID && slices.ContainsFunc(t.Artists, is) })) > 0
	})
	return a, own, on, nil
}

func (l *library) Artists(_ context.Context, v tutti.Viewer, _, role string) ([]tutti.Artist, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []tutti.Artist
	for _, a := range l.artists {
		if role == "" || slices.Contains(a.Roles, role) {
			a.Annotation = l.note(v, a.ID)
			out = append(out, a)
		}
	}
	return out, nil
}

func (l *library) Genres(context.Context, tutti.Viewer) ([]tutti.Genre, error) {
	return []tutti.Genre{{Name: "Baroque", SongCount: 2, AlbumCount: 1}, {Name: "R&B", SongCount: 3, AlbumCount: 2}}, nil
}

func (l *library) Folder(_ context.Context, v tutti.Viewer, id tutti.ID) (tutti.FolderListing, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.folders, func(f tutti.Folder) bool { return f.ID == id && v.Sees(f.Library) })
	if i < 0 {
		return tutti.FolderListing{}, notFound()
	}
	out := tutti.FolderListing{Folder: l.folders[i]}
	out.Annotation = l.note(v, id)
	for _, f := range l.folders {
		if f.ParentID == id {
			f.Annotation = l.note(v, f.ID)
			out.Folders = append(out.Folders, f)
		}
	}
	out.Tracks = l.seenTracks(v, func(t *tutti.Track) bool { return t.FolderID == id })
	return out, nil
}

func (l *library) RootFolders(_ context.Context, v tutti.Viewer) ([]tutti.Folder, error) {
	return slices.DeleteFunc(slices.Clone(l.folders), func(f tutti.Folder) bool { return f.ParentID != "" || !v.Sees(f.Library) }), nil
}

func (l *library) Search(_ context.Context, v tutti.Viewer, q tutti.SearchQuery) (r tutti.SearchResult, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	match := func(parts ...string) bool {
		text := strings.ToLower(strings.Join(parts, " "))
		for _, w := range strings.Fields(strings.ToLower(q.Text)) {
			if !strings.Contains(text, w) {
				return false
			}
		}
		return true
	}
	r.Artists = page(slices.DeleteFunc(slices.Clone(l.artists), func(a tutti.Artist) bool { return !match(a.Name) }), q.Artists)
	r.Albums = page(l.seenAlbums(v, func(a *tutti.Album) bool { return match(a.Name, a.DisplayArtist) }), q.Albums)
	r.Tracks = page(l.seenTracks(v, func(t *tutti.Track) bool { return match(t.Title, t.Album, t.DisplayArtist) }), q.Tracks)
	return r, nil
}

func (l *library) Starred(_ context.Context, v tutti.Viewer, _ string) (r tutti.SearchResult, folders []tutti.Folder, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	starred := func(id tutti.ID) bool { return !l.note(v, id).Starred.IsZero() }
	for _, a := range l.artists {
		if a.Annotation = l.note(v, a.ID); starred(a.ID) {
			r.Artists = append(r.Artists, a)
		}
	}
	for _, f := range l.folders {
		if f.Annotation = l.note(v, f.ID); starred(f.ID) {
			folders = append(folders, f)
		}
	}
	r.Albums = l.seenAlbums(v, func(a *tutti.Album) bool { return starred(a.ID) })
	r.Tracks = l.seenTracks(v, func(t *tutti.Track) bool { return starred(t.ID) })
	return r, folders, nil
}

func (l *library) Similar(_ context.Context, v tutti.Viewer, id tutti.ID, limit int) ([]tutti.Track, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.seenTracks(v, func(t *tutti.Track) bool { return t.ID != id && hasGenre(t.Genres, []string{"Classical"}) })
	return all[:min(limit, len(all))], nil
}

// SonicSimilar finds everything a little less alike than the last.
func (l *library) SonicSimilar(_ context.Context, v tutti.Viewer, track tutti.ID, limit int) ([]tutti.SonicMatch, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.seenTracks(v, func(t *tutti.Track) bool { return t.ID != track })
	if len(l.seenTracks(v, func(t *tutti.Track) bool { return t.ID == track })) == 0 {
		return nil, notFound()
	}
	var list []tutti.SonicMatch
	for i := range all[:min(limit, len(all))] {
		list = append(list, tutti.SonicMatch{Track: all[i], Similarity: 1 / float64(i+2)})
	}
	return list, nil
}

func (l *library) SonicPath(_ context.Context, v tutti.Viewer, from, to tutti.ID, limit int) ([]tutti.SonicMatch, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ends := append(l.seenTracks(v, func(t *tutti.Track) bool { return t.ID == from }), l.seenTracks(v, func(t *tutti.Track) bool { return t.ID == to })...)
	if len(ends) < 2 {
		return nil, notFound()
	}
	list := []tutti.SonicMatch{{Track: ends[0], Similarity: 1}}
	if limit > 2 {
		for _, t := range l.seenTracks(v, func(t *tutti.Track) bool { return t.ID != from && t.ID != to })[:1] {
			list = append(list, tutti.SonicMatch{Track: t, Similarity: .75})
		}
	}
	return append(list, tutti.SonicMatch{Track: ends[1], Similarity: .5}), nil
}

func (l *library) TopTracks(_ context.Context, v tutti.Viewer, name string, limit int) ([]tutti.Track, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.seenTracks(v, func(t *tutti.Track) bool {
		return slices.ContainsFunc(t.Artists, func(a tutti.ArtistRef) bool { return strings.EqualFold(a.Name, name) })
	})
	if len(all) == 0 {
		return nil, notFound()
	}
	return all[:min(limit, len(all))], nil
}

func (l *library) Lyrics(_ context.Context, _ tutti.Viewer, id tutti.ID) ([]tutti.Lyrics, error) {
	return l.lyrics[id], nil
}

func (l *library) Cover(context.Context, tutti.Viewer, tutti.ID) (tutti.Ref, error) {
	return tutti.Ref{}, notFound()
}

func (l *library) exists(id tutti.ID) bool {
	return slices.ContainsFunc(l.tracks, func(t tutti.Track) bool { return t.ID == id }) ||
		slices.ContainsFunc(l.albums, func(a tutti.Album) bool { return a.ID == id }) ||
		slices.ContainsFunc(l.artists, func(a tutti.Artist) bool { return a.ID == id }) ||
		slices.ContainsFunc(l.folders, func(f tutti.Folder) bool { return f.ID == id })
}

func (l *library) Star(_ context.Context, v tutti.Viewer, starred bool, ids ...tutti.ID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		if !l.exists(id) {
			return notFound()
		}
	}
	for _, id := range ids {
		l.annotate(v, id, func(a *tutti.Annotation) {
			a.Starred = time.Time{}
			if starred {
				a.Starred = l.now()
			}
		})
	}
	return nil
}

func (l *library) Rate(_ context.Context, v tutti.Viewer, id tutti.ID, rating int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.exists(id) {
		return notFound()
	}
	l.annotate(v, id, func(a *tutti.Annotation) { a.Rating = rating })
	return nil
}

func (l *library) Played(_ context.Context, v tutti.Viewer, plays ...tutti.Play) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range plays {
		l.plays = append(l.plays, p)
		l.annotate(v, p.Track, func(a *tutti.Annotation) { a.PlayCount++; a.Played = p.At })
	}
	return nil
}

func (l *library) NowPlaying(ctx context.Context, v tutti.Viewer, p tutti.Playing) error {
	t, err := l.Track(ctx, v, p.Track.ID)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.playing = slices.DeleteFunc(l.playing, func(q tutti.Playing) bool { return q.User == p.User && q.Player == p.Player })
	if p.State != "stopped" {
		p.Track = t
		l.playing = append(l.playing, p)
	}
	return nil
}

func (l *library) NowPlayingAll(context.Context, tutti.Viewer) ([]tutti.Playing, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.playing), nil
}

func (l *library) Playlists(_ context.Context, v tutti.Viewer) ([]tutti.Playlist, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []tutti.Playlist
	for _, p := range l.playlists {
		if p.Public || p.Owner == v.User {
			p.SongCount, p.Tracks = len(p.Tracks), nil
			out = append(out, p)
		}
	}
	return out, nil
}

func (l *library) Playlist(_ context.Context, v tutti.Viewer, id tutti.ID) (tutti.Playlist, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.playlists {
		if p.ID == id && (p.Public || p.Owner == v.User) {
			return p, nil
		}
	}
	return tutti.Playlist{}, notFound()
}

func (l *library) SavePlaylist(_ context.Context, _ tutti.Viewer, p tutti.Playlist) (tutti.Playlist, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.Changed = l.now()
	p.Version++
	if p.ID == "" {
		p.ID, p.Created = l.id(tutti.PrefixPlaylist), l.now()
		l.playlists = append(l.playlists, p)
		return p, nil
	}
	i := slices.IndexFunc(l.playlists, func(q tutti.Playlist) bool { return q.ID == p.ID })
	switch {
	case i < 0:
		return p, notFound()
	case l.playlists[i].Version+1 != p.Version:
		return p, tutti.Errorf(tutti.KindConflict, "fixture", "the playlist changed meanwhile")
	}
	l.playlists[i] = p
	return p, nil
}

func (l *library) DeletePlaylist(_ context.Context, v tutti.Viewer, id tutti.ID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.playlists)
	l.playlists = slices.DeleteFunc(l.playlists, func(p tutti.Playlist) bool { return p.ID == id && p.Owner == v.User })
	if len(l.playlists) == n {
		return notFound()
	}
	return nil
}

func (l *library) Bookmarks(_ context.Context, v tutti.Viewer) ([]tutti.Bookmark, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.bookmarks[v.User]), nil
}

func (l *library) SaveBookmark(ctx context.Context, v tutti.Viewer, b tutti.Bookmark) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.Created, b.Changed = l.now(), l.now()
	l.bookmarks[v.User] = append(slices.DeleteFunc(l.bookmarks[v.User], func(o tutti.Bookmark) bool { return o.Track == b.Track }), b)
	return nil
}

func (l *library) DeleteBookmark(_ context.Context, v tutti.Viewer, id tutti.ID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bookmarks[v.User] = slices.DeleteFunc(l.bookmarks[v.User], func(o tutti.Bookmark) bool { return o.Track == id })
	return nil
}

func (l *library) Queue(_ context.Context, v tutti.Viewer) (tutti.Queue, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q, ok := l.queues[v.User]
	if !ok {
		q.Current = -1
	}
	return q, nil
}

func (l *library) SaveQueue(_ context.Context, v tutti.Viewer, q tutti.Queue) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queues[v.User] = q
	return nil
}

func (l *library) Stations(context.Context, tutti.Viewer) ([]tutti.Station, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.stations), nil
}

func (l *library) SaveStation(_ context.Context, _ tutti.Viewer, s tutti.Station) (tutti.Station, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.ID == "" {
		s.ID = l.id(tutti.PrefixStation)
		l.stations = append(l.stations, s)
		return s, nil
	}
	l.stations[slices.IndexFunc(l.stations, func(o tutti.Station) bool { return o.ID == s.ID })] = s
	return s, nil
}

func (l *library) DeleteStation(_ context.Context, _ tutti.Viewer, id tutti.ID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.stations)
	l.stations = slices.DeleteFunc(l.stations, func(o tutti.Station) bool { return o.ID == id })
	if len(l.stations) == n {
		return notFound()
	}
	return nil
}

func (l *library) Shares(_ context.Context, v tutti.Viewer) ([]tutti.Share, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.shares), func(s tutti.Share) bool { return s.Owner != v.User && !v.Admin }), nil
}

func (l *library) SaveShare(_ context.Context, _ tutti.Viewer, s tutti.Share) (tutti.Share, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.ID == "" {
		s.ID, s.Created = l.id(tutti.PrefixShare), l.now()
		s.Secret = "secret" + strconv.FormatUint(l.next, 10)
		l.shares = append(l.shares, s)
		return s, nil
	}
	l.shares[slices.IndexFunc(l.shares, func(o tutti.Share) bool { return o.ID == s.ID })] = s
	return s, nil
}

func (l *library) DeleteShare(_ context.Context, _ tutti.Viewer, id tutti.ID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.shares)
	l.shares = slices.DeleteFunc(l.shares, func(o tutti.Share) bool { return o.ID == id })
	if len(l.shares) == n {
		return notFound()
	}
	return nil
}

func (l *library) OpenShare(context.Context, string) (tutti.Share, []tutti.Track, error) {
	return tutti.Share{}, nil, notFound()
}

func (l *library) PeekShare(context.Context, string) (tutti.Share, []tutti.Track, error) {
	return tutti.Share{}, nil, notFound()
}

func (l *library) Scan(_ context.Context, full bool) (tutti.ScanStatus, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.scan = tutti.ScanStatus{Scanning: true, Phase: "listing", Seen: 3, Tracks: 5}
	if full {
		l.scan.Seen = 0
	}
	return l.scan, nil
}

func (l *library) ScanStatus(context.Context) (tutti.ScanStatus, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.scan, nil
}

func (l *library) WatchScan(ctx context.Context, fn func(tutti.ScanStatus) error) error {
	if err := fn(l.scan); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

func (l *library) Plan(ctx context.Context, r tutti.PlanRequest) (tutti.Plan, error) {
	t, err := l.Track(ctx, r.Viewer, r.Track)
	return tutti.Plan{Track: t, Ref: t.Ref(), ContentType: t.ContentType, Suffix: t.Suffix, Size: t.Size}, err
}

// sound answers with bytes that say what was asked for, so that tests see what reached delivery.Bytes.
type sound struct {
	catalog tutti.Catalog
	mu      sync.Mutex
	asked   tutti.PlanRequest
	options delivery.Options
	pixels  int
}

func (s *sound) ServeTrack(w http.ResponseWriter, r *http.Request, req tutti.PlanRequest, o delivery.Options) error {
	plan, err := s.catalog.Plan(r.Context(), req)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.asked, s.options = req, o
	s.mu.Unlock()
	w.Header().Set("Content-Type", plan.ContentType)
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader("sound of "+string(plan.Track.ID)))
	return nil
}

func (s *sound) ServeAlbum(w http.ResponseWriter, _ *http.Request, _ tutti.Viewer, album *tutti.Album, tracks []tutti.Track) error {
	_, err := fmt.Fprintf(w, "%d files of %s", len(tracks), album.ID)
	return err
}

func (s *sound) ServeCover(w http.ResponseWriter, r *http.Request, v tutti.Viewer, id tutti.ID, pixels int) error {
	if _, _, err := s.catalog.Album(r.Context(), v, id); err != nil {
		return err
	}
	s.mu.Lock()
	s.pixels = pixels
	s.mu.Unlock()
	w.Header().Set("Content-Type", "image/jpeg")
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader("picture of "+string(id)))
	return nil
}

var (
	_ tutti.Catalog  = (*library)(nil)
	_ delivery.Bytes = (*sound)(nil)
)
