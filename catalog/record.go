package catalog

import (
	"encoding/binary"
	"path"
	"strings"
	"time"

	"tutti"
	"tutti/catalog/scan"
)

// A record is what is kept of one track: a scan.Entry as bytes, with everything that tends to be shared with other
// tracks replaced by its number in a dictionary. The same form is used in memory (with the catalogue's dictionary),
// in snapshots (likewise, verbatim) and in the log (with a dictionary of the log record's own).
//
// Dictionary strings are themselves structured: what an album's tracks have in common is one string (appendAlbum),
// so are a credit (number of the artist's ID, then the name), a folder, and a set of audio properties.

// The bits of a record's mask say which optional parts follow, in this order.
const (
	hasLyrics = 1 << iota
	hasCover
	hasModTime
	hasAdded
	hasDetails
	hasContributors
	hasCoverPath
	hasDiscSubtitle
	hasExplicit
	hasMoods
	hasSortTitle
	hasDisplayArtist // only where it is not the one artist's name
	hasDisplayComposer
	hasComment
	hasGroupings
	hasBPM
	hasRecordingID
	hasTrackID
	hasISRC
	hasWork
	hasMovement
	hasMovementNumber
	hasGain
	hasSection
	hasInode
)

// record is a decoded record. Byte slices point into the arena and dictionary numbers are unresolved, so that looking
// at a field costs no allocation. A record may be reused for the next decoding.
type record struct {
	mask                 uint64
	id                   uint64
	fp                   scan.Fingerprint
	album, folder, audio uint32
	name, title          []byte
	artists, genres      []uint32
	size                 int64
	modTime, added       int64
	duration             time.Duration
	bitRate              int
	track, disc          int
	rawVersion           []byte // packed
	rest                 []byte // the optional parts after added
}

// appendEntry appends e in record form, numbering shared strings in d. e must have passed checkEntry.
func appendEntry(b []byte, d *dict, e *scan.Entry) []byte {
	t := &e.Track
	var mask uint64
	set := func(bit uint64, on bool) {
		if on {
			mask |= bit
		}
	}
	set(hasLyrics, t.HasLyrics)
	set(hasCover, t.HasCover)
	set(hasModTime, representable(t.ModTime))
	set(hasAdded, representable(t.Added))
	set(hasSortTitle, t.SortTitle != "")
	set(hasDisplayArtist, len(t.Artists) != 1 || t.DisplayArtist != t.Artists[0].Name)
	set(hasDisplayComposer, t.DisplayComposer != "")
	set(hasContributors, len(t.Contributors) > 0)
	set(hasDiscSubtitle, t.DiscSubtitle != "")
	set(hasMoods, len(t.Moods) > 0)
	set(hasComment, t.Comment != "")
	set(hasGroupings, len(t.Groupings) > 0)
	set(hasBPM, t.BPM != 0)
	set(hasExplicit, t.Explicit != "")
	set(hasRecordingID, t.MusicBrainzID != "")
	set(hasTrackID, t.MusicBrainzTrackID != "")
	set(hasISRC, len(t.ISRC) > 0)
	set(hasWork, t.Work != "")
	set(hasMovement, t.Movement != "")
	set(hasMovementNumber, t.MovementNumber != 0)
	set(hasGain, !t.Gain.IsZero())
	set(hasSection, t.Start != 0 || t.End != 0)
	set(hasCoverPath, e.CoverPath != "")
	set(hasDetails, len(e.ArtistDetails) > 0)
	set(hasInode, e.Inode != 0)

	id, _ := t.ID.Number()
	b = appendUvarint(b, mask)
	b = appendU64(b, id)
	b = append(b, e.Fingerprint[:]...)
	b = appendUvarint(b, uint64(internAlbum(d, e)))
	b = appendUvarint(b, uint64(internFolder(d, e)))
	b = appendUvarint(b, uint64(internAudio(d, t)))
	b = appendString(b, path.Base(t.Path))
	b = appendString(b, t.Title)
	b = appendUvarint(b, uint64(len(t.Artists)))
	for _, a := range t.Artists {
		b = appendUvarint(b, uint64(internCredit(d, a)))
	}
	b = appendStrings(b, d, t.Genres)
	b = appendUvarint(b, uint64(t.Size))
	b = appendUvarint(b, uint64(t.Duration))
	b = appendVarint(b, int64(t.BitRate))
	b = appendVarint(b, int64(t.Track))
	b = appendVarint(b, int64(t.Disc))
	b = appendPacked(b, string(t.Version))
	if mask&hasModTime != 0 {
		b = appendVarint(b, t.ModTime.UnixNano())
	}
	if mask&hasAdded != 0 {
		b = appendVarint(b, t.Added.UnixNano())
	}

	if mask&hasDetails != 0 {
		b = appendUvarint(b, uint64(len(e.ArtistDetails)))
		for _, a := range e.ArtistDetails {
			b = appendUvarint(b, uint64(internDetail(d, a)))
		}
	}
	if mask&hasContributors != 0 {
		b = appendUvarint(b, uint64(len(t.Contributors)))
		for _, c := range t.Contributors {
			b = appendUvarint(b, uint64(d.intern(c.Role)))
			b = appendUvarint(b, uint64(d.intern(c.SubRole)))
			b = appendUvarint(b, uint64(internCredit(d, c.Artist)))
		}
	}
	if mask&hasCoverPath != 0 {
		b = appendUvarint(b, uint64(d.intern(e.CoverPath)))
	}
	if mask&hasDiscSubtitle != 0 {
		b = appendUvarint(b, uint64(d.intern(t.DiscSubtitle)))
	}
	if mask&hasExplicit != 0 {
		b = appendUvarint(b, uint64(d.intern(t.Explicit)))
	}
	if mask&hasMoods != 0 {
		b = appendStrings(b, d, t.Moods)
	}
	if mask&hasSortTitle != 0 {
		b = appendString(b, t.SortTitle)
	}
	if mask&hasDisplayArtist != 0 {
		b = appendUvarint(b, uint64(d.intern(t.DisplayArtist)))
	}
	if mask&hasDisplayComposer != 0 {
		b = appendUvarint(b, uint64(d.intern(t.DisplayComposer)))
	}
	if mask&hasComment != 0 {
		b = appendUvarint(b, uint64(d.intern(t.Comment)))
	}
	if mask&hasGroupings != 0 {
		b = appendStrings(b, d, t.Groupings)
	}
	if mask&hasBPM != 0 {
		b = appendVarint(b, int64(t.BPM))
	}
	if mask&hasRecordingID != 0 {
		b = appendPacked(b, t.MusicBrainzID)
	}
	if mask&hasTrackID != 0 {
		b = appendPacked(b, t.MusicBrainzTrackID)
	}
	if mask&hasISRC != 0 {
		b = appendUvarint(b, uint64(len(t.ISRC)))
		for _, s := range t.ISRC {
			b = appendString(b, s)
		}
	}
	if mask&hasWork != 0 {
		b = appendUvarint(b, uint64(d.intern(t.Work)))
	}
	if mask&hasMovement != 0 {
		b = appendString(b, t.Movement)
	}
	if mask&hasMovementNumber != 0 {
		b = appendVarint(b, int64(t.MovementNumber))
	}
	if mask&hasGain != 0 {
		b = appendGain(b, t.Gain)
	}
	if mask&hasSection != 0 {
		b = appendVarint(b, int64(t.Start))
		b = appendVarint(b, int64(t.End))
	}
	if mask&hasInode != 0 {
		b = appendUvarint(b, e.Inode)
	}
	return b
}

// representable reports whether a time can be kept as nanoseconds since 1970; others (and the zero time) are unknown.
func representable(t time.Time) bool {
	return !t.IsZero() && t.Year() > 1678 && t.Year() < 2262
}

func appendStrings(b []byte, d *dict, list []string) []byte {
	b = appendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendUvarint(b, uint64(d.intern(s)))
	}
	return b
}

func internCredit(d *dict, a tutti.ArtistRef) uint32 {
	n, _ := a.ID.Number()
	var buf [128]byte
	return d.internBytes(append(appendU64(buf[:0], n), a.Name...))
}

func internDetail(d *dict, a scan.ArtistDetail) uint32 {
	n, _ := a.ID.Number()
	var buf [128]byte
	b := appendString(appendU64(buf[:0], n), a.SortName)
	return d.internBytes(appendPacked(b, a.MusicBrainzID))
}

func internFolder(d *dict, e *scan.Entry) uint32 {
	n, _ := e.FolderID.Number()
	var buf [256]byte
	b := appendString(appendU64(buf[:0], n), e.Library)
	return d.internBytes(append(b, path.Dir(e.Path)...))
}

func internAudio(d *dict, t *tutti.Track) uint32 {
	var buf [128]byte
	b := appendString(appendString(appendString(buf[:0], t.Suffix), t.ContentType), t.Codec)
	b = appendVarint(appendVarint(appendVarint(b, int64(t.SampleRate)), int64(t.BitDepth)), int64(t.Channels))
	return d.internBytes(b)
}

// internAlbum keeps what a track says about its album.
func internAlbum(d *dict, e *scan.Entry) uint32 {
	n, _ := e.AlbumID.Number()
	var buf [256]byte
	b := appendU64(buf[:0], n)
	b = appendString(b, e.Album)
	b = appendString(b, e.AlbumSort)
	b = appendPacked(b, e.AlbumMBID)
	b = appendUvarint(b, uint64(len(e.AlbumArtists)))
	for _, a := range e.AlbumArtists {
		b = appendUvarint(b, uint64(internCredit(d, a)))
	}
	b = appendString(b, e.DisplayAlbumArtist)
	b = appendStrings(b, d, e.RecordLabels)
	b = appendStrings(b, d, e.ReleaseTypes)
	b = appendString(b, e.AlbumEdition)
	b = append(b, boolByte(e.Compilation))
	for _, dt := range [...]tutti.Date{e.Date, e.OriginalDate, e.ReleaseDate} {
		b = appendVarint(b, int64(dt.Year))
		b = appendVarint(b, int64(dt.Month))
		b = appendVarint(b, int64(dt.Day))
	}
	return d.internBytes(b)
}

func boolByte(v bool) byte {
	if v {
		return 1
	}
	return 0
}

func gainFields(g *tutti.Gain) [5]**float64 {
	return [...]**float64{&g.Track, &g.Album, &g.TrackPeak, &g.AlbumPeak, &g.Base}
}

// Gains are tagged with two decimals, peaks with six or more; the Opus header's gain is in 1/256 dB.
var gainScales = [...]float64{100, 100, 1e6, 1e6, 256}

func appendGain(b []byte, g tutti.Gain) []byte {
	fields := gainFields(&g)
	var which byte
	for i, f := range fields {
		if *f != nil {
			which |= 1 << i
		}
	}
	b = append(b, which)
	for i, f := range fields {
		if *f != nil {
			b = appendNumber(b, **f, gainScales[i])
		}
	}
	return b
}

func (d *decoder) gain() tutti.Gain {
	var g tutti.Gain
	which := d.byte()
	for i, f := range gainFields(&g) {
		if which&(1<<i) != 0 {
			v := d.number(gainScales[i])
			*f = &v
		}
	}
	return g
}

// numbers reads a list of dictionary numbers into buf.
func (d *decoder) numbers(buf []uint32) []uint32 {
	buf = buf[:0]
	for range d.count() {
		buf = append(buf, uint32(d.uvarint()))
	}
	return buf
}

// decode reads the record's fixed part.
func (r *record) decode(b []byte) error {
	d := decoder{b: b}
	r.mask = d.uvarint()
	r.id = d.u64()
	copy(r.fp[:], d.take(len(r.fp)))
	r.album, r.folder, r.audio = uint32(d.uvarint()), uint32(d.uvarint()), uint32(d.uvarint())
	r.name, r.title = d.bytes(), d.bytes()
	r.artists = d.numbers(r.artists)
	r.genres = d.numbers(r.genres)
	r.size = int64(d.uvarint())
	r.duration = time.Duration(d.uvarint())
	r.bitRate, r.track, r.disc = int(d.varint()), int(d.varint()), int(d.varint())
	v := d.b
	d.skipPacked()
	r.rawVersion = v[:len(v)-len(d.b)]
	r.modTime, r.added = 0, 0
	if r.mask&hasModTime != 0 {
		r.modTime = d.varint()
	}
	if r.mask&hasAdded != 0 {
		r.added = d.varint()
	}
	r.rest = d.b
	return d.err
}

// recordFP returns the eight bytes of the fingerprint by which a track is looked up, as fpKey does.
func recordFP(b []byte) uint64 {
	_, n := binary.Uvarint(b)
	return binary.LittleEndian.Uint64(b[n+8:])
}

// recordTitle returns what a search ranks a track by, without decoding the rest of its record.
func recordTitle(b []byte) (id uint64, title []byte) {
	d := decoder{b: b}
	d.uvarint()
	id = d.u64()
	d.take(len(scan.Fingerprint{}))
	d.uvarint()
	d.uvarint()
	d.uvarint()
	d.bytes()
	return id, d.bytes()
}

// contributors returns a decoder that stands at the contributors, which the record must have.
func (r *record) contributors() decoder {
	d := decoder{b: r.rest}
	if r.mask&hasDetails != 0 {
		d.skipNumbers(1)
	}
	return d
}

// albumParts returns those of the optional parts that matter to a track's album.
func (r *record) albumParts(l lookup) (subtitle, explicit string, moods []string) {
	d := r.contributors()
	if r.mask&hasContributors != 0 {
		d.skipNumbers(3)
	}
	if r.mask&hasCoverPath != 0 {
		d.uvarint()
	}
	if r.mask&hasDiscSubtitle != 0 {
		subtitle = resolve(l, &d, uint32(d.uvarint()))
	}
	if r.mask&hasExplicit != 0 {
		explicit = resolve(l, &d, uint32(d.uvarint()))
	}
	if r.mask&hasMoods != 0 {
		moods = d.strings(l)
	}
	return subtitle, explicit, moods
}

// sortTitle returns the title by which the track is to be sorted, "" where that is its title.
func (r *record) sortTitle() string {
	if r.mask&hasSortTitle == 0 {
		return ""
	}
	d := r.contributors()
	if r.mask&hasContributors != 0 {
		d.skipNumbers(3)
	}
	for _, bit := range [...]uint64{hasCoverPath, hasDiscSubtitle, hasExplicit} {
		if r.mask&bit != 0 {
			d.uvarint()
		}
	}
	if r.mask&hasMoods != 0 {
		d.skipNumbers(1)
	}
	return viewString(d.bytes())
}

// coverPath returns the picture beside the file, "" for none.
func (r *record) coverPath(l lookup) string {
	if r.mask&hasCoverPath == 0 {
		return ""
	}
	d := r.contributors()
	if r.mask&hasContributors != 0 {
		d.skipNumbers(3)
	}
	return resolve(l, &d, uint32(d.uvarint()))
}

// skipNumbers passes over a list whose elements are that many numbers each.
func (d *decoder) skipNumbers(each int) {
	for range each * d.count() {
		d.uvarint()
	}
}

func (d *decoder) skipPacked() {
	n := d.uvarint() >> 2
	if n > uint64(len(d.b)) {
		d.fail()
		return
	}
	d.take(int(n))
}

func recordID(b []byte) uint64 {
	_, n := binary.Uvarint(b)
	return binary.LittleEndian.Uint64(b[n:])
}

// lookup resolves dictionary numbers.
type lookup interface {
	at(n uint32) (string, bool)
}

func resolve(l lookup, d *decoder, n uint32) string {
	s, ok := l.at(n)
	if !ok {
		d.fail()
	}
	return s
}

func creditOf(s string) tutti.ArtistRef {
	if len(s) < 8 {
		return tutti.ArtistRef{}
	}
	return tutti.ArtistRef{ID: tutti.NewID(tutti.PrefixArtist, creditID(s)), Name: s[8:]}
}

func creditID(s string) uint64 { return stringU64(s) }

func stringU64(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func credits(l lookup, d *decoder, numbers []uint32) []tutti.ArtistRef {
	if len(numbers) == 0 {
		return nil
	}
	list := make([]tutti.ArtistRef, len(numbers))
	for i, n := range numbers {
		list[i] = creditOf(resolve(l, d, n))
	}
	return list
}

func (d *decoder) strings(l lookup) []string {
	n := d.count()
	if n == 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = resolve(l, d, uint32(d.uvarint()))
	}
	return list
}

// albumFacts is what a track says about its album.
type albumFacts struct {
	id              uint64
	name, sort      string
	mbid            string
	artists         []tutti.ArtistRef
	display         string
	labels, types   []string
	edition         string
	compilation     bool
	date, orig, rel tutti.Date
}

func decodeAlbum(l lookup, s string) (albumFacts, error) {
	var f albumFacts
	d := decodeString(s)
	f.id = d.u64()
	f.name, f.sort, f.mbid = d.string(), d.string(), d.packed()
	if n := d.count(); n > 0 {
		f.artists = make([]tutti.ArtistRef, n)
		for i := range f.artists {
			f.artists[i] = creditOf(resolve(l, &d, uint32(d.uvarint())))
		}
	}
	f.display = d.string()
	f.labels, f.types = d.strings(l), d.strings(l)
	f.edition = d.string()
	f.compilation = d.byte() != 0
	for _, dt := range [...]*tutti.Date{&f.date, &f.orig, &f.rel} {
		dt.Year, dt.Month, dt.Day = int(d.varint()), int(d.varint()), int(d.varint())
	}
	return f, d.err
}

// splitFolder takes a folder string apart.
func splitFolder(s string) (id uint64, library, dir string, err error) {
	d := decodeString(s)
	id = d.u64()
	library = d.string()
	return id, library, d.text(d.b), d.err
}

func splitDetail(s string) (id uint64, sortName, mbid string) {
	d := decodeString(s)
	id = d.u64()
	return id, d.string(), d.packed()
}

// entry completes the decoding. full also fills what only the scanner reads (and the album's facts that Track does
// not have).
func (r *record) entry(l lookup, e *scan.Entry, full bool) error {
	d := decoder{b: r.rest}
	t := &e.Track
	t.ID = tutti.NewID(tutti.PrefixTrack, r.id)
	e.Fingerprint = r.fp
	facts, err := decodeAlbum(l, resolve(l, &d, r.album))
	if err != nil {
		return err
	}
	t.AlbumID = tutti.NewID(tutti.PrefixAlbum, facts.id)
	t.Album, t.AlbumArtists, t.DisplayAlbumArtist = facts.name, facts.artists, facts.display
	t.Date, t.OriginalDate, t.ReleaseDate = facts.date, facts.orig, facts.rel
	t.Compilation = facts.compilation
	if full {
		e.AlbumSort, e.AlbumMBID, e.AlbumEdition = facts.sort, facts.mbid, facts.edition
		e.RecordLabels, e.ReleaseTypes = facts.labels, facts.types
	}
	folder, library, dir, err := splitFolder(resolve(l, &d, r.folder))
	if err != nil {
		return err
	}
	t.FolderID, t.Library = tutti.NewID(tutti.PrefixFolder, folder), library
	if dir == "." {
		t.Path = string(r.name)
	} else {
		t.Path = dir + "/" + string(r.name)
	}
	audio := decodeString(resolve(l, &d, r.audio))
	t.Suffix, t.ContentType, t.Codec = audio.string(), audio.string(), audio.string()
	t.SampleRate, t.BitDepth, t.Channels = int(audio.varint()), int(audio.varint()), int(audio.varint())
	t.Title = string(r.title)
	t.Artists = credits(l, &d, r.artists)
	if len(r.genres) > 0 {
		t.Genres = make([]string, len(r.genres))
		for i, n := range r.genres {
			t.Genres[i] = resolve(l, &d, n)
		}
	}
	t.Size, t.Duration = r.size, r.duration
	t.BitRate, t.Track, t.Disc = r.bitRate, r.track, r.disc
	v := decoder{b: r.rawVersion}
	t.Version = tutti.Version(v.packed())
	if r.mask&hasModTime != 0 {
		t.ModTime = time.Unix(0, r.modTime).UTC()
	}
	if r.mask&hasAdded != 0 {
		t.Added = time.Unix(0, r.added).UTC()
	}
	t.HasLyrics, t.HasCover = r.mask&hasLyrics != 0, r.mask&hasCover != 0

	str := func(bit uint64, to *string) {
		if r.mask&bit != 0 {
			*to = resolve(l, &d, uint32(d.uvarint()))
		}
	}
	if len(t.Artists) == 1 {
		t.DisplayArtist = t.Artists[0].Name
	}
	if r.mask&hasDetails != 0 {
		n := d.count()
		if full {
			e.ArtistDetails = make([]scan.ArtistDetail, 0, n)
		}
		for range n {
			s := resolve(l, &d, uint32(d.uvarint()))
			if full {
				id, sortName, mbid := splitDetail(s)
				e.ArtistDetails = append(e.ArtistDetails, scan.ArtistDetail{ID: tutti.NewID(tutti.PrefixArtist, id), SortName: sortName, MusicBrainzID: mbid})
			}
		}
	}
	if r.mask&hasContributors != 0 {
		t.Contributors = make([]tutti.Contributor, d.count())
		for i := range t.Contributors {
			c := &t.Contributors[i]
			c.Role = resolve(l, &d, uint32(d.uvarint()))
			c.SubRole = resolve(l, &d, uint32(d.uvarint()))
			c.Artist = creditOf(resolve(l, &d, uint32(d.uvarint())))
		}
	}
	if r.mask&hasCoverPath != 0 {
		e.CoverPath = resolve(l, &d, uint32(d.uvarint()))
	}
	str(hasDiscSubtitle, &t.DiscSubtitle)
	str(hasExplicit, &t.Explicit)
	if r.mask&hasMoods != 0 {
		t.Moods = d.strings(l)
	}
	if r.mask&hasSortTitle != 0 {
		t.SortTitle = d.string()
	}
	str(hasDisplayArtist, &t.DisplayArtist)
	str(hasDisplayComposer, &t.DisplayComposer)
	str(hasComment, &t.Comment)
	if r.mask&hasGroupings != 0 {
		t.Groupings = d.strings(l)
	}
	if r.mask&hasBPM != 0 {
		t.BPM = int(d.varint())
	}
	if r.mask&hasRecordingID != 0 {
		t.MusicBrainzID = d.packed()
	}
	if r.mask&hasTrackID != 0 {
		t.MusicBrainzTrackID = d.packed()
	}
	if r.mask&hasISRC != 0 {
		t.ISRC = make([]string, d.count())
		for i := range t.ISRC {
			t.ISRC[i] = d.string()
		}
	}
	str(hasWork, &t.Work)
	if r.mask&hasMovement != 0 {
		t.Movement = d.string()
	}
	if r.mask&hasMovementNumber != 0 {
		t.MovementNumber = int(d.varint())
	}
	if r.mask&hasGain != 0 {
		t.Gain = d.gain()
	}
	if r.mask&hasSection != 0 {
		t.Start, t.End = time.Duration(d.varint()), time.Duration(d.varint())
	}
	if r.mask&hasInode != 0 {
		e.Inode = d.uvarint()
	}
	return d.err
}

// maxTexts bounds the texts of one entry, so that any entry fits a log record and any string a snapshot's part.
const maxTexts = 128 << 10

// checkEntry returns KindInvalid for an entry that cannot be kept. It is the scanner's defect, or a hostile file's
// doing where a text is absurdly long.
func checkEntry(e *scan.Entry) error {
	const op = "catalog.Apply"
	ids := [...]struct {
		id     tutti.ID
		prefix string
	}{{e.ID, tutti.PrefixTrack}, {e.AlbumID, tutti.PrefixAlbum}, {e.FolderID, tutti.PrefixFolder}}
	for _, x := range ids {
		if !x.id.Is(x.prefix) {
			return tutti.Errorf(tutti.KindInvalid, op, "%q is not an ID that begins with %q", string(x.id), x.prefix)
		}
	}
	if len(e.Artists) == 0 {
		return tutti.Errorf(tutti.KindInvalid, op, "track %s has no artist", e.ID)
	}
	for _, list := range [...][]tutti.ArtistRef{e.Artists, e.AlbumArtists} {
		for _, a := range list {
			if !a.ID.Is(tutti.PrefixArtist) {
				return tutti.Errorf(tutti.KindInvalid, op, "%q is not an artist's ID", string(a.ID))
			}
		}
	}
	for _, c := range e.Contributors {
		if !c.Artist.ID.Is(tutti.PrefixArtist) {
			return tutti.Errorf(tutti.KindInvalid, op, "%q is not an artist's ID", string(c.Artist.ID))
		}
	}
	for _, a := range e.ArtistDetails {
		if !a.ID.Is(tutti.PrefixArtist) {
			return tutti.Errorf(tutti.KindInvalid, op, "%q is not an artist's ID", string(a.ID))
		}
	}
	if e.Library == "" || e.Path == "" || e.Path == "." || path.Clean(e.Path) != e.Path || strings.HasPrefix(e.Path, "/") || strings.HasPrefix(e.Path, "../") {
		return tutti.Errorf(tutti.KindInvalid, op, "%q is not a path in a library", e.Path)
	}
	texts := len(e.Title) + len(e.SortTitle) + len(e.Album) + len(e.AlbumSort) + len(e.Comment) + len(e.Path) + len(e.CoverPath) +
		len(e.DisplayArtist) + len(e.DisplayAlbumArtist) + len(e.DisplayComposer) + len(e.DiscSubtitle) + len(e.Work) + len(e.Movement)
	for _, list := range [...][]string{e.Genres, e.Moods, e.Groupings, e.ISRC, e.RecordLabels, e.ReleaseTypes} {
		for _, s := range list {
			texts += len(s)
		}
	}
	for _, list := range [...][]tutti.ArtistRef{e.Artists, e.AlbumArtists} {
		for _, a := range list {
			texts += len(a.Name)
		}
	}
	for _, c := range e.Contributors {
		texts += len(c.Role) + len(c.SubRole) + len(c.Artist.Name)
	}
	if texts > maxTexts {
		return tutti.Errorf(tutti.KindInvalid, op, "the tags of %q hold %d bytes of text, more than %d", e.Path, texts, maxTexts)
	}
	if e.Size < 0 || e.Duration < 0 || e.Start < 0 || e.End < 0 {
		return tutti.Errorf(tutti.KindInvalid, op, "track %s has a negative size or duration", e.ID)
	}
	return nil
}
