package scan

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tutti"
	"tutti/audio"
	"tutti/origin"
)

// What is written where tags say nothing.
const (
	unknownArtist  = "[Unknown Artist]"
	unknownAlbum   = "[Unknown Album]"
	variousArtists = "Various Artists"
)

// Limits on what one file may put into the catalogue: tags are foreign bytes, and an entry with all of them at once
// must still fit a store's item (store.MaxValue).
const (
	maxField   = 400  // bytes of a name
	maxComment = 4000 // bytes of a comment
	maxValues  = 40   // values of a field
)

// draft is an entry that still lacks what depends on other files: its ID, its album, and its album artist where no tag
// says.
type draft struct {
	Entry
	section     int    // number within a cue sheet, from 1; 0 for a whole file
	albumTagged bool   // the album's name is from a tag, not from the directory
	ownerTagged bool   // the album artist is from a tag
	edition     string // folded
}

// drafts makes the entries of one file: one, or one for each track of its cue sheet.
func (f *folder) drafts(fi *tutti.FileInfo, info *audio.Info, fp Fingerprint, sh *sheet) []draft {
	if sh == nil && info.Cue != nil {
		for _, cf := range info.Cue.Files {
			if len(cf.Tracks) > 1 {
				sh = &sheet{info.Cue, cf}
				break
			}
		}
	}
	if sh != nil {
		if ds := f.sections(fi, info, fp, sh); ds != nil {
			return ds
		}
	}
	return []draft{f.draft(fi, info, fp)}
}

// sections makes an entry of each track of a cue sheet. It returns nil where the sheet does not fit the file: some
// taggers copy a whole album's sheet into each of its tracks.
func (f *folder) sections(fi *tutti.FileInfo, info *audio.Info, fp Fingerprint, sh *sheet) []draft {
	sections := sh.file.Sections()
	if last := sections[len(sections)-1]; info.Duration <= 0 || last.Start >= info.Duration {
		return nil
	}
	ds := make([]draft, 0, len(sections))
	left := fi.Size // the sections' shares add up to the file, by which the book knows it again
	for i, sec := range sections {
		if sec.End == 0 || sec.End > info.Duration {
			sec.End = info.Duration
		}
		if sec.End <= sec.Start {
			return nil
		}
		track := sh.file.Tracks[i]
		own := *info
		own.Tags = sheetTags(sh.cue.TrackTags(track), info.Tags)
		d := f.draft(fi, &own, fp)
		d.section = i + 1
		if own.Tags.Title() == "" {
			d.Title = fmt.Sprintf("Track %02d", track.Number)
		}
		if d.Track.Track == 0 {
			d.Track.Track = track.Number
		}
		d.Start, d.End, d.Duration = sec.Start, sec.End, sec.End-sec.Start
		d.Size = min(left, int64(float64(fi.Size)*float64(d.Duration)/float64(info.Duration)))
		left -= d.Size
		if i == len(sections)-1 {
			d.Size += left
		}
		ds = append(ds, d)
	}
	return ds
}

// notOfTrack are the fields of a whole file that say nothing about one track in it.
var notOfTrack = map[string]bool{
	"TITLE": true, "TITLESORT": true, "TRACKNUMBER": true, "ISRC": true, "LYRICS": true, "SYNCEDLYRICS": true, "CUESHEET": true,
	"MUSICBRAINZ_TRACKID": true, "MUSICBRAINZ_RELEASETRACKID": true, "REPLAYGAIN_TRACK_GAIN": true, "REPLAYGAIN_TRACK_PEAK": true, "R128_TRACK_GAIN": true,
}

// sheetTags completes what a cue sheet says of a track with what the file's tags say of the album.
func sheetTags(sheet, file audio.Tags) audio.Tags {
	own := len(sheet)
	for _, t := range file {
		if !notOfTrack[t.Key] && !sheet[:own].Has(t.Key) {
			sheet = append(sheet, t)
		}
	}
	return sheet
}

func (f *folder) draft(fi *tutti.FileInfo, info *audio.Info, fp Fingerprint) draft {
	t := info.Tags
	mb := t.MusicBrainz()
	sorts := t.SortNames()
	d := draft{Entry: Entry{
		Fingerprint: fp, Inode: fi.Inode,
		AlbumSort: clip(sorts.Album), AlbumMBID: mb.Release,
		RecordLabels: clipAll(t.Labels()), ReleaseTypes: clipAll(t.ReleaseTypes()), AlbumEdition: clip(t.Edition()),
		Track: tutti.Track{
			FolderID: FolderID(f.library, f.dir), Library: f.library,
			Title: clip(t.Title()), SortTitle: clip(sorts.Title), Album: clip(t.Album()),
			DisplayArtist: clip(t.DisplayArtist()), DisplayAlbumArtist: clip(t.DisplayAlbumArtist()), DisplayComposer: clip(t.DisplayComposer()),
			DiscSubtitle: clip(t.DiscSubtitle()),
			Date:         t.Date(), OriginalDate: t.OriginalDate(), ReleaseDate: t.ReleaseDate(),
			Genres: clipAll(t.Genres()), Moods: clipAll(t.Moods()), Groupings: clipAll(t.Groupings()), ISRC: clipAll(t.ISRC()),
			Comment: clipTo(t.Comment(), maxComment), BPM: t.BPM(), Compilation: t.Compilation(), Explicit: t.Explicit(),
			MusicBrainzID: mb.Recording, MusicBrainzTrackID: mb.ReleaseTrack,
			Work: clip(t.Work()), Gain: info.Gain(),
			Path: fi.Path, Size: fi.Size, ModTime: fi.ModTime, Suffix: origin.Suffix(fi.Path),
			ContentType: info.ContentType(), Codec: info.Codec, Duration: info.Duration, BitRate: info.BitRate,
			SampleRate: info.SampleRate, BitDepth: info.BitDepth, Channels: info.Channels,
			Version: VersionOf(fp, fi.Size, fi.ModTime.UnixNano()),
		},
	}}
	if by := origin.ContentType(fi.Path); d.ContentType == "application/octet-stream" {
		d.ContentType = by
	}
	d.Track.Track, _ = t.Track()
	d.Disc, _ = t.Disc()
	d.Movement, d.MovementNumber, _ = t.Movement()
	d.Movement = clip(d.Movement)
	if d.Disc == 0 {
		d.Disc = f.disc
	}
	if d.Title == "" {
		var n int
		if d.Title, n = titleOf(fi.Path); d.Track.Track == 0 {
			d.Track.Track = n
		}
	}
	if d.albumTagged = d.Album != ""; !d.albumTagged {
		d.Album = unknownAlbum
		if f.albumFolder != "." {
			d.Album = origin.ReadableName(path.Base(f.albumFolder))
		}
	}
	d.edition = fold(d.AlbumEdition)

	var people details
	artists := clipAll(t.Artists())
	if len(artists) == 0 {
		artists, d.DisplayArtist = []string{unknownArtist}, unknownArtist
	}
	d.Artists = people.refs(artists, sorts.Artists, mb.Artists)
	owners := clipAll(t.AlbumArtists())
	switch {
	case len(owners) > 0:
		d.ownerTagged = true
		d.AlbumArtists = people.refs(owners, sorts.AlbumArtists, mb.AlbumArtists)
	case d.Compilation:
		d.ownerTagged = true
		d.setOwner(tutti.ArtistRef{ID: ArtistID(variousArtists), Name: variousArtists})
	}
	composers := 0
	for _, c := range t.Contributors() {
		if len(d.Contributors) == maxValues {
			break
		}
		name := clip(c.Name)
		ref := tutti.ArtistRef{ID: ArtistID(name), Name: name}
		if c.Role == "composer" {
			if composers < len(sorts.Composers) {
				people.add(ref.ID, clip(sorts.Composers[composers]), "")
			}
			composers++
		}
		d.Contributors = append(d.Contributors, tutti.Contributor{Role: c.Role, SubRole: clip(c.SubRole), Artist: ref})
	}
	d.ArtistDetails = people

	d.HasLyrics = info.HasLyrics() || f.hasLyricsFor(fi.Path)
	switch {
	case f.cover != "":
		d.CoverPath = f.cover
	case len(info.Pictures) == 0:
		d.CoverPath = f.lateCover
	}
	d.HasCover = d.CoverPath != "" || len(info.Pictures) > 0
	return d
}

// setOwner makes a the only album artist.
func (d *draft) setOwner(a tutti.ArtistRef) {
	d.AlbumArtists = []tutti.ArtistRef{a}
	d.DisplayAlbumArtist = a.Name
}

// albumKey returns what the draft's album is recognised by.
func (d *draft) albumKey() albumKey {
	return albumKey{name: fold(d.Album), artist: ownersOf(&d.Entry), edition: d.edition, mbid: d.AlbumMBID}
}

func ownersOf(e *Entry) string {
	if len(e.AlbumArtists) == 1 {
		return fold(e.AlbumArtists[0].Name)
	}
	var b strings.Builder
	for _, a := range e.AlbumArtists {
		b.WriteString(fold(a.Name))
		b.WriteByte(0)
	}
	return b.String()
}

// year is the year that tells albums of one name apart.
func (d *draft) year() int { return cmp.Or(d.ReleaseDate.Year, d.Date.Year, d.OriginalDate.Year) }

// details gathers what tags say of artists.
type details []ArtistDetail

func (ds *details) add(id tutti.ID, sort, mbid string) {
	if sort == "" && mbid == "" {
		return
	}
	i := slices.IndexFunc(*ds, func(d ArtistDetail) bool { return d.ID == id })
	if i < 0 {
		*ds = append(*ds, ArtistDetail{ID: id, SortName: sort, MusicBrainzID: mbid})
		return
	}
	have := &(*ds)[i]
	have.SortName, have.MusicBrainzID = cmp.Or(have.SortName, sort), cmp.Or(have.MusicBrainzID, mbid)
}

// refs names artists. Sort names and MusicBrainz ids belong to them only if there are as many.
func (ds *details) refs(people, sorts, mbids []string) []tutti.ArtistRef {
	refs := make([]tutti.ArtistRef, 0, len(people))
	for i, name := range people {
		ref := tutti.ArtistRef{ID: ArtistID(name), Name: name}
		if slices.ContainsFunc(refs, func(r tutti.ArtistRef) bool { return r.ID == ref.ID }) {
			continue
		}
		refs = append(refs, ref)
		var sort, mbid string
		if len(sorts) == len(people) {
			sort = clip(sorts[i])
		}
		if len(mbids) == len(people) {
			mbid = mbids[i]
		}
		ds.add(ref.ID, sort, mbid)
	}
	return refs
}

func clip(s string) string { return clipTo(s, maxField) }

// clipTo cuts s to at most n bytes, between characters.
func clipTo(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func clipAll(ss []string) []string {
	if len(ss) > maxValues {
		ss = ss[:maxValues]
	}
	for i := range ss {
		ss[i] = clip(ss[i])
	}
	return ss
}

// weight estimates how many bytes an entry takes in a batch.
func (e *Entry) weight() int {
	n := 300 + len(e.Title) + len(e.Album) + len(e.Path) + len(e.CoverPath) + len(e.Comment) + len(e.DisplayArtist) + len(e.DisplayAlbumArtist)
	for _, l := range [...][]tutti.ArtistRef{e.Artists, e.AlbumArtists} {
		for _, a := range l {
			n += 20 + len(a.Name)
		}
	}
	for _, c := range e.Contributors {
		n += 30 + len(c.Artist.Name) + len(c.SubRole)
	}
	for _, l := range [...][]string{e.Genres, e.Moods, e.Groupings, e.ISRC, e.RecordLabels, e.ReleaseTypes} {
		for _, s := range l {
			n += 4 + len(s)
		}
	}
	for _, d := range e.ArtistDetails {
		n += 60 + len(d.SortName)
	}
	return n
}

// added is when a track counts as added. In the first scan of a library that is its file's time, because "newest"
// would otherwise mean nothing in a collection of many years; afterwards it is now.
func added(first bool, modTime, now time.Time) time.Time {
	if first && modTime.Before(now) {
		return modTime
	}
	return now
}
