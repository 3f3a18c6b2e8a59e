package subsonic

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"tutti"
)

// The elements that answers are made of. A field that OpenSubsonic added is always there, empty where nothing is
// known, because its absence tells a client that the server does not support it. What has no empty form that the
// schema allows (a time, a rating from 1 to 5) is left out instead.

func seconds(d time.Duration) int64 { return int64(d.Round(time.Second) / time.Second) }

func names(refs []tutti.ArtistRef) string {
	switch len(refs) {
	case 0:
		return ""
	case 1:
		return refs[0].Name
	}
	all := make([]string, len(refs))
	for i, r := range refs {
		all[i] = r.Name
	}
	return strings.Join(all, ", ")
}

func first[T any](all []T) (v T) {
	if len(all) > 0 {
		v = all[0]
	}
	return v
}

func explicitStatus(v string) string {
	if v == "explicit" || v == "clean" {
		return v
	}
	return ""
}

// refs writes artists with the fields that ArtistID3 requires, which the specification asks for inside songs and albums.
func (e *encoder) refs(name string, artists []tutti.ArtistRef) {
	e.array(name)
	for _, a := range artists {
		e.each()
		e.str("id", string(a.ID))
		e.str("name", a.Name)
		e.close()
	}
	e.endArray()
}

// named writes an array of objects that have a name and nothing else (ItemGenre, RecordLabel).
func (e *encoder) named(name string, values []string) {
	e.array(name)
	for _, v := range values {
		e.each()
		e.str("name", v)
		e.close()
	}
	e.endArray()
}

func (e *encoder) date(name string, d tutti.Date) {
	e.open(name)
	if d.Year > 0 {
		e.int("year", int64(d.Year))
		if d.Month >= 1 && d.Month <= 12 {
			e.int("month", int64(d.Month))
			if d.Day >= 1 && d.Day <= 31 {
				e.int("day", int64(d.Day))
			}
		}
	}
	e.close()
}

// annotation writes what the viewer did with a thing.
func (e *encoder) annotation(a tutti.Annotation) {
	e.time("starred", a.Starred)
	e.rating(a.Rating)
	e.int("playCount", a.PlayCount)
	e.time("played", a.Played)
}

func (e *encoder) rating(r int) {
	if r >= 1 && r <= 5 {
		e.int("userRating", int64(r))
	}
}

// year is the one that a list shows: of this release, else of the first.
func year(dates ...tutti.Date) int64 {
	for _, d := range dates {
		if d.Year > 0 {
			return int64(d.Year)
		}
	}
	return 0
}

// songCover is the picture of a song: its album's where it has one, so that a client fetches one picture an album.
func songCover(t *tutti.Track) string {
	switch {
	case !t.HasCover:
		return ""
	case t.AlbumID != "":
		return string(t.AlbumID)
	}
	return string(t.ID)
}

// song writes the fields of a Child that is a track into the current object.
func (e *encoder) song(t *tutti.Track) { e.songWith(t, func() {}) }

// songWith is song with further scalar fields, as now-playing entries have.
func (e *encoder) songWith(t *tutti.Track, more func()) {
	artist := t.DisplayArtist
	if artist == "" {
		artist = names(t.Artists)
	}
	albumArtist := t.DisplayAlbumArtist
	if albumArtist == "" {
		albumArtist = names(t.AlbumArtists)
	}
	e.str("id", string(t.ID))
	e.known("parent", string(t.FolderID))
	e.bool("isDir", false)
	e.str("title", t.Title)
	e.known("album", t.Album)
	e.known("artist", artist)
	e.positive("track", int64(t.Track))
	e.positive("year", year(t.Date, t.ReleaseDate, t.OriginalDate))
	e.known("genre", first(t.Genres))
	e.known("coverArt", songCover(t))
	e.int("size", max(t.Size, 0))
	e.known("contentType", t.ContentType)
	e.known("suffix", t.Suffix)
	e.int("duration", seconds(t.Duration))
	e.int("bitRate", int64(t.BitRate))
	e.int("bitDepth", int64(t.BitDepth))
	e.int("samplingRate", int64(t.SampleRate))
	e.int("channelCount", int64(t.Channels))
	e.known("path", t.Path)
	e.bool("isVideo", false)
	e.annotation(t.Annotation)
	e.positive("discNumber", int64(t.Disc))
	e.time("created", t.Added)
	e.known("albumId", string(t.AlbumID))
	e.known("artistId", string(first(t.Artists).ID))
	e.str("type", "music")
	e.str("mediaType", "song")
	e.int("bpm", int64(max(t.BPM, 0)))
	e.str("comment", t.Comment)
	e.str("sortName", cmp.Or(t.SortTitle, t.Title))
	e.str("musicBrainzId", t.MusicBrainzID)
	e.str("displayArtist", artist)
	e.str("displayAlbumArtist", albumArtist)
	e.str("displayComposer", t.DisplayComposer)
	e.str("explicitStatus", explicitStatus(t.Explicit))
	more()
	e.strings("isrc", t.ISRC)
	e.named("genres", t.Genres)
	e.refs("artists", t.Artists)
	e.refs("albumArtists", t.AlbumArtists)
	e.array("contributors")
	for i := range t.Contributors {
		c := &t.Contributors[i]
		e.each()
		e.str("role", c.Role)
		e.known("subRole", c.SubRole)
		e.open("artist")
		e.str("id", string(c.Artist.ID))
		e.str("name", c.Artist.Name)
		e.close()
		e.close()
	}
	e.endArray()
	e.strings("moods", t.Moods)
	e.open("replayGain")
	e.gain("trackGain", t.Gain.Track)
	e.gain("albumGain", t.Gain.Album)
	e.gain("trackPeak", t.Gain.TrackPeak)
	e.gain("albumPeak", t.Gain.AlbumPeak)
	e.gain("baseGain", t.Gain.Base)
	e.close()
	e.array("works")
	if t.Work != "" {
		e.each()
		e.str("name", t.Work)
		e.close()
	}
	e.endArray()
	e.array("movements")
	if t.Movement != "" {
		e.each()
		e.str("name", t.Movement)
		e.positive("number", int64(t.MovementNumber))
		e.close()
	}
	e.endArray()
	e.strings("groupings", t.Groupings)
}

func (e *encoder) gain(name string, v *float64) {
	if v != nil {
		e.float(name, *v)
	}
}

func (e *encoder) songs(name string, tracks []tutti.Track) {
	e.array(name)
	for i := range tracks {
		e.each()
		e.song(&tracks[i])
		e.close()
	}
	e.endArray()
}

func albumArtist(a *tutti.Album) string {
	if a.DisplayArtist != "" {
		return a.DisplayArtist
	}
	return names(a.Artists)
}

// album writes the fields of an AlbumID3 into the current object.
func (e *encoder) album(a *tutti.Album) {
	artist := albumArtist(a)
	e.str("id", string(a.ID))
	e.str("name", a.Name)
	e.str("version", a.Edition)
	e.known("artist", artist)
	e.known("artistId", string(first(a.Artists).ID))
	if a.HasCover {
		e.str("coverArt", string(a.ID))
	}
	e.int("songCount", int64(a.SongCount))
	e.int("duration", seconds(a.Duration))
	e.annotation(a.Annotation)
	e.timeAlways("created", a.Added)
	e.positive("year", year(a.Date, a.ReleaseDate, a.OriginalDate))
	e.known("genre", first(a.Genres))
	e.str("musicBrainzId", a.MusicBrainzID)
	e.str("displayArtist", artist)
	e.str("sortName", cmp.Or(a.SortName, a.Name))
	e.bool("isCompilation", a.Compilation)
	e.str("explicitStatus", explicitStatus(a.Explicit))
	e.named("recordLabels", a.RecordLabels)
	e.named("genres", a.Genres)
	e.refs("artists", a.Artists)
	e.strings("releaseTypes", a.ReleaseTypes)
	e.strings("moods", a.Moods)
	e.date("originalReleaseDate", a.OriginalDate)
	e.date("releaseDate", a.ReleaseDate)
	e.array("discTitles")
	if len(a.DiscTitles) > 0 {
		discs := make([]int, 0, len(a.DiscTitles))
		for d := range a.DiscTitles {
			discs = append(discs, d)
		}
		slices.Sort(discs)
		for _, d := range discs {
			e.each()
			e.int("disc", int64(d))
			e.str("title", a.DiscTitles[d])
			e.close()
		}
	}
	e.endArray()
}

func (e *encoder) albums(name string, albums []tutti.Album) {
	e.array(name)
	for i := range albums {
		e.each()
		e.album(&albums[i])
		e.close()
	}
	e.endArray()
}

// albumChild writes an album as the directory that clients of the older, file-minded endpoints take it for. Its id
// works with getMusicDirectory.
func (e *encoder) albumChild(a *tutti.Album) {
	artist := albumArtist(a)
	e.str("id", string(a.ID))
	e.known("parent", string(first(a.Artists).ID))
	e.bool("isDir", true)
	e.str("title", a.Name)
	e.str("album", a.Name)
	e.known("artist", artist)
	e.positive("year", year(a.Date, a.ReleaseDate, a.OriginalDate))
	e.known("genre", first(a.Genres))
	if a.HasCover {
		e.str("coverArt", string(a.ID))
	}
	e.int("duration", seconds(a.Duration))
	e.bool("isVideo", false)
	e.annotation(a.Annotation)
	e.time("created", a.Added)
	e.str("albumId", string(a.ID))
	e.known("artistId", string(first(a.Artists).ID))
	e.str("mediaType", "album")
	e.str("sortName", cmp.Or(a.SortName, a.Name))
	e.str("musicBrainzId", a.MusicBrainzID)
	e.str("displayArtist", artist)
	e.str("explicitStatus", explicitStatus(a.Explicit))
	e.named("genres", a.Genres)
	e.refs("artists", a.Artists)
	e.strings("moods", a.Moods)
}

func (e *encoder) albumChildren(name string, albums []tutti.Album) {
	e.array(name)
	for i := range albums {
		e.each()
		e.albumChild(&albums[i])
		e.close()
	}
	e.endArray()
}

// folderChild writes a folder of the library.
func (e *encoder) folderChild(f *tutti.Folder) {
	e.str("id", string(f.ID))
	e.known("parent", string(f.ParentID))
	e.bool("isDir", true)
	e.str("title", f.Name)
	if f.HasCover {
		e.str("coverArt", string(f.ID))
	}
	e.known("path", f.Path)
	e.bool("isVideo", false)
	e.annotation(f.Annotation)
}

// artist writes the fields of an ArtistID3.
func (e *encoder) artist(a *tutti.Artist) {
	e.str("id", string(a.ID))
	e.str("name", a.Name)
	if a.HasCover {
		e.str("coverArt", string(a.ID))
	}
	e.int("albumCount", int64(a.AlbumCount))
	e.time("starred", a.Starred)
	e.rating(a.Rating)
	e.str("musicBrainzId", a.MusicBrainzID)
	e.str("sortName", cmp.Or(a.SortName, a.Name))
	e.strings("roles", a.Roles)
}

func (e *encoder) artists(name string, artists []tutti.Artist) {
	e.array(name)
	for i := range artists {
		e.each()
		e.artist(&artists[i])
		e.close()
	}
	e.endArray()
}

// oldArtist writes the fields of the file-minded Artist.
func (e *encoder) oldArtist(id tutti.ID, name string, a tutti.Annotation) {
	e.str("id", string(id))
	e.str("name", name)
	e.time("starred", a.Starred)
	e.rating(a.Rating)
}

func (e *encoder) oldArtists(name string, artists []tutti.Artist) {
	e.array(name)
	for i := range artists {
		e.each()
		e.oldArtist(artists[i].ID, artists[i].Name, artists[i].Annotation)
		e.close()
	}
	e.endArray()
}
