// Package songs writes OpenSubsonic songs, JSON objects as getSong answers them, as records of metacodec, and the same
// JSON back.
//
// A song says most things more than once: an album is named by its title and by its id, an artist in up to five places, a
// file's name is made of title and number. So a record holds what cannot be derived (the tags, the numbers, the ids of
// tracks), predict makes the whole song of it, and where the song at hand is another, that is kept as an exception. What
// is read back is byte for byte what was written but for white space between JSON's tokens, whatever server it comes
// from; the better a server's songs are like tutti's own, the fewer the exceptions.
package songs

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"tutti"
	"tutti/metacodec"
)

// Kind is what the records of songs are called.
const Kind metacodec.Kind = 0

// MaxSong is the longest song that is taken, as JSON, in bytes.
const MaxSong = metacodec.MaxText

// Derive is how ids follow from names, as the catalogue forms them. A function may return "" where it does not know.
// What it says for given arguments is part of the format: frames hold only that the id is the one derived.
type Derive struct {
	Artist func(name string) tutti.ID
	Folder func(library, dir string) tutti.ID
	Album  func(library, albumArtist, album string, year int, dir string) tutti.ID
}

// Codec writes and reads songs. It is for one goroutine at a time.
type Codec struct {
	derive  Derive
	compact bytes.Buffer
}

// New returns a codec that derives ids. Reader and writer derive alike.
func New(d Derive) *Codec { return &Codec{derive: d} }

const op = "songs"

// The members of a song in the order in which tutti writes them.
const (
	kID = iota
	kParent
	kIsDir
	kTitle
	kAlbum
	kArtist
	kTrack
	kYear
	kGenre
	kCoverArt
	kSize
	kContentType
	kSuffix
	kDuration
	kBitRate
	kBitDepth
	kSamplingRate
	kChannelCount
	kPath
	kIsVideo
	kStarred
	kUserRating
	kPlayCount
	kPlayed
	kDiscNumber
	kCreated
	kAlbumID
	kArtistID
	kType
	kMediaType
	kBPM
	kComment
	kSortName
	kMusicBrainzID
	kDisplayArtist
	kDisplayAlbumArtist
	kDisplayComposer
	kExplicitStatus
	kISRC
	kGenres
	kArtists
	kAlbumArtists
	kContributors
	kMoods
	kReplayGain
	kWorks
	kMovements
	kGroupings
	members
)

var names = [members]string{
	"id", "parent", "isDir", "title", "album", "artist", "track", "year", "genre", "coverArt", "size", "contentType", "suffix",
	"duration", "bitRate", "bitDepth", "samplingRate", "channelCount", "path", "isVideo", "starred", "userRating", "playCount",
	"played", "discNumber", "created", "albumId", "artistId", "type", "mediaType", "bpm", "comment", "sortName", "musicBrainzId",
	"displayArtist", "displayAlbumArtist", "displayComposer", "explicitStatus", "isrc", "genres", "artists", "albumArtists",
	"contributors", "moods", "replayGain", "works", "movements", "groupings",
}

var byName = func() map[string]int {
	m := make(map[string]int)
	for i, n := range names {
		m[n] = i
	}
	return m
}()

// types of files that tutti serves, for songs that have the usual one.
var types = map[string]string{
	"flac": "audio/flac", "mp3": "audio/mpeg", "m4a": "audio/mp4", "m4b": "audio/mp4", "ogg": "audio/ogg", "oga": "audio/ogg",
	"opus": "audio/ogg", "wav": "audio/wav", "aif": "audio/aiff", "aiff": "audio/aiff", "wma": "audio/x-ms-wma",
	"wv": "audio/x-wavpack", "ape": "audio/x-ape", "aac": "audio/aac", "mka": "audio/x-matroska", "dsf": "audio/x-dsf",
	"dff": "audio/x-dff", "mpc": "audio/x-musepack", "tta": "audio/x-tta",
}

// How an id or a reference is given.
const (
	idNone    = iota // there is none
	idDerived        // it follows from the rest
	idRaw            // 64 bits follow
)

// The pictures that a song's coverArt names.
const (
	coverNone = iota
	coverAlbum
	coverSelf
)

// song is what a record holds: all that predict needs.
type song struct {
	genre, albumArtist, artist, album, title      string
	sort, comment, composer, suffix               string
	path                                          string
	year, disc, track, seconds                    uint64
	size                                          uint64
	bitRate, bitDepth, sampleRate, channels       uint64
	playCount, bpm, cover                         uint64
	id, parent, albumID, artistID                 uint64
	idForm, parentForm, albumIDForm, artistIDForm uint64
	library                                       uint64
	mbid                                          [16]byte
	hasMBID, hasSort                              bool
	created                                       time.Time
}

type values [members][]byte

// member is one of those that tutti does not write, and where it stands among the others.
type member struct {
	at   int
	name []byte // as JSON
	raw  []byte
}

// Append writes a song as a record. It fails with tutti.KindInvalid where the line is not a JSON object, or too long.
func (c *Codec) Append(e *metacodec.Encoder, line []byte) error {
	if len(line) > MaxSong {
		return tutti.Errorf(tutti.KindInvalid, op, "A song takes at most %d bytes.", MaxSong)
	}
	c.compact.Reset()
	if err := json.Compact(&c.compact, line); err != nil {
		return tutti.Wrap(tutti.KindInvalid, op, err)
	}
	compact := c.compact.Bytes()
	if compact[0] != '{' {
		return tutti.Errorf(tutti.KindInvalid, op, "A song is a JSON object.")
	}
	var v values
	var order []byte
	var more []member
	inOrder, last, n := true, -1, 0
	eachMember(compact, func(name, raw []byte) {
		i, known := byName[string(name[1:len(name)-1])]
		if !known || v[i] != nil {
			more = append(more, member{n, name, raw})
		} else {
			v[i] = raw
			inOrder = inOrder && i > last
			last = i
			order = append(order, byte(i+1))
		}
		n++
	})
	s := c.take(&v)
	s.write(e)
	usual := c.predict(s)
	var differ []int
	for i := range v {
		if !bytes.Equal(v[i], usual[i]) || (v[i] == nil) != (usual[i] == nil) {
			differ = append(differ, i)
		}
	}
	plain := len(differ) == 0 && inOrder && len(more) == 0
	e.Bool(metacodec.Usual, plain)
	if !plain {
		writeExceptions(e, &v, differ, order, inOrder, more)
	}
	e.End()
	return nil
}

func writeExceptions(e *metacodec.Encoder, v *values, differ []int, order []byte, inOrder bool, more []member) {
	e.Uint(metacodec.Count, uint64(len(differ)))
	last := 0
	for _, i := range differ {
		e.Uint(metacodec.Number, uint64(i-last))
		last = i
		e.Bool(metacodec.Flag, v[i] != nil)
		if v[i] != nil {
			e.TextBytes(metacodec.Structured, v[i])
		}
	}
	e.Bool(metacodec.Usual, inOrder)
	if !inOrder {
		e.TextBytes(metacodec.Token, order)
	}
	e.Uint(metacodec.Count, uint64(len(more)))
	for _, m := range more {
		e.Uint(metacodec.Number, uint64(m.at))
		e.TextBytes(metacodec.Token, m.name)
		e.TextBytes(metacodec.Structured, m.raw)
	}
}

// Read reads a song and appends it to dst as JSON. What is damaged shows in the decoder's Err, or is KindInvalid.
func (c *Codec) Read(d *metacodec.Decoder, dst []byte) ([]byte, error) {
	var s song
	s.read(d)
	if err := d.Err(); err != nil {
		return dst, err
	}
	v := c.predict(&s)
	order := usualOrder
	var more []member
	if !d.Bool(metacodec.Usual) {
		bad := func() ([]byte, error) {
			if err := d.Err(); err != nil {
				return dst, err
			}
			return dst, tutti.Errorf(tutti.KindInvalid, op, "The song is damaged.")
		}
		i := uint64(0)
		for n := d.Uint(metacodec.Count); n > 0 && d.Err() == nil; n-- {
			if i += d.Uint(metacodec.Number); i >= members {
				return bad()
			}
			if v[i] = nil; d.Bool(metacodec.Flag) {
				v[i] = slices.Clone(d.Text(metacodec.Structured))
			}
		}
		if !d.Bool(metacodec.Usual) {
			order = slices.Clone(d.Text(metacodec.Token))
		}
		n := d.Uint(metacodec.Count)
		for ; n > 0 && d.Err() == nil; n-- {
			m := member{at: int(min(d.Uint(metacodec.Number), MaxSong))}
			m.name = slices.Clone(d.Text(metacodec.Token))
			m.raw = slices.Clone(d.Text(metacodec.Structured))
			more = append(more, m)
		}
		if d.Err() != nil {
			return bad()
		}
	}
	out := append(dst, '{')
	n := 0
	put := func(name, raw []byte) {
		if n++; n > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, name...), ':'), raw...)
	}
	var quoted [64]byte
	for _, k := range order {
		for len(more) > 0 && more[0].at <= n {
			put(more[0].name, more[0].raw)
			more = more[1:]
		}
		if k == 0 || int(k) > members || v[k-1] == nil {
			continue
		}
		put(append(append(append(quoted[:0], '"'), names[k-1]...), '"'), v[k-1])
	}
	for _, m := range more {
		put(m.name, m.raw)
	}
	return append(out, '}'), d.Err()
}

var usualOrder = func() (o []byte) {
	for i := range members {
		o = append(o, byte(i+1))
	}
	return o
}()

// eachMember goes through the members of a compact JSON object.
func eachMember(b []byte, fn func(name, raw []byte)) {
	for i := 1; i < len(b)-1; i++ { // after "{" or ","
		name := i
		i = skip(b, i)
		colon := i
		i = skip(b, i+1)
		fn(b[name:colon], b[colon+1:i])
	}
}

// skip returns where the value at i ends.
func skip(b []byte, i int) int {
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',', ':':
			if depth == 0 {
				return i
			}
		}
	}
	return i
}

// text returns the string that a JSON value is, "" where it is none or would be written otherwise.
func text(raw []byte) string {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	var s string
	if json.Unmarshal(raw, &s) != nil || !bytes.Equal(appendString(nil, s), raw) {
		return ""
	}
	return s
}

func number(raw []byte) uint64 {
	n, err := strconv.ParseUint(string(raw), 10, 53)
	if err != nil {
		return 0
	}
	return n
}

// idOf returns the number of an id with a prefix.
func idOf(raw []byte, prefix string) (n, form uint64) {
	if id := tutti.ID(text(raw)); id.Is(prefix) {
		n, _ := id.Number()
		return n, idRaw
	}
	return 0, idNone
}

// moment is how tutti writes times.
const moment = "2006-01-02T15:04:05.000Z"

// take finds in a song what a record holds.
func (c *Codec) take(v *values) *song {
	s := &song{
		genre: text(v[kGenre]), albumArtist: text(v[kDisplayAlbumArtist]), artist: text(v[kArtist]), album: text(v[kAlbum]),
		title: text(v[kTitle]), comment: text(v[kComment]), composer: text(v[kDisplayComposer]), suffix: text(v[kSuffix]),
		path: text(v[kPath]), year: number(v[kYear]), disc: number(v[kDiscNumber]), track: number(v[kTrack]),
		seconds: number(v[kDuration]), size: number(v[kSize]), bitRate: number(v[kBitRate]), bitDepth: number(v[kBitDepth]),
		sampleRate: number(v[kSamplingRate]), channels: number(v[kChannelCount]), playCount: number(v[kPlayCount]), bpm: number(v[kBPM]),
	}
	if s.sort = text(v[kSortName]); s.sort != s.title {
		s.hasSort = true
	} else {
		s.sort = ""
	}
	if id := strings.ReplaceAll(text(v[kMusicBrainzID]), "-", ""); len(id) == 2*len(s.mbid) {
		_, err := hex.Decode(s.mbid[:], []byte(id))
		s.hasMBID = err == nil
	}
	if t, err := time.Parse(moment, text(v[kCreated])); err == nil {
		s.created = t
	}
	s.id, s.idForm = idOf(v[kID], tutti.PrefixTrack)
	s.parent, s.parentForm = idOf(v[kParent], tutti.PrefixFolder)
	s.albumID, s.albumIDForm = idOf(v[kAlbumID], tutti.PrefixAlbum)
	s.artistID, s.artistIDForm = idOf(v[kArtistID], tutti.PrefixArtist)
	switch cover := v[kCoverArt]; {
	case cover == nil:
		s.cover = coverNone
	case bytes.Equal(cover, v[kAlbumID]):
		s.cover = coverAlbum
	default:
		s.cover = coverSelf
	}
	for l := uint64(1); l <= libraries; l++ {
		if s.parentForm == idRaw && c.folder(l, s.path) == s.parent {
			s.parentForm, s.parent, s.library = idDerived, 0, l
		}
	}
	if s.albumIDForm == idRaw && c.album(s) == s.albumID {
		s.albumIDForm, s.albumID = idDerived, 0
	}
	if s.artistIDForm == idRaw && c.artist(s.artist) == s.artistID {
		s.artistIDForm, s.artistID = idDerived, 0
	}
	return s
}

// libraries is how many music folders are tried as that of a song: they are numbered, and few have more.
const libraries = 8

func numberOf(id tutti.ID) uint64 {
	n, ok := id.Number()
	if !ok {
		return 0
	}
	return n
}

func (c *Codec) artist(name string) uint64 {
	if c.derive.Artist == nil || name == "" || !ascii(name) {
		return 0
	}
	return numberOf(c.derive.Artist(name))
}

func (c *Codec) folder(library uint64, path string) uint64 {
	if c.derive.Folder == nil || path == "" || library == 0 {
		return 0
	}
	return numberOf(c.derive.Folder(strconv.FormatUint(library, 10), dirOf(path)))
}

func (c *Codec) album(s *song) uint64 {
	if c.derive.Album == nil || s.library == 0 || s.album == "" || !ascii(s.album) || !ascii(s.albumArtist) {
		return 0
	}
	return numberOf(c.derive.Album(strconv.FormatUint(s.library, 10), s.albumArtist, s.album, int(s.year), dirOf(s.path)))
}

func dirOf(path string) string {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i]
	}
	return "."
}

// ascii reports whether a name is of plain letters. How others are folded depends on the version of Unicode.
func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// predict makes the song that a record stands for.
func (c *Codec) predict(s *song) (v values) {
	quote := func(t string) []byte { return appendString(nil, t) }
	known := func(t string) []byte {
		if t == "" {
			return nil
		}
		return quote(t)
	}
	whole := func(n uint64) []byte { return strconv.AppendUint(nil, n, 10) }
	positive := func(n uint64) []byte {
		if n == 0 {
			return nil
		}
		return whole(n)
	}
	id := func(prefix string, form, n, derived uint64) []byte {
		switch form {
		case idRaw:
			return quote(string(tutti.NewID(prefix, n)))
		case idDerived:
			return quote(string(tutti.NewID(prefix, derived)))
		}
		return nil
	}
	v[kID] = id(tutti.PrefixTrack, s.idForm, s.id, 0)
	v[kParent] = id(tutti.PrefixFolder, s.parentForm, s.parent, c.folder(s.library, s.path))
	v[kAlbumID] = id(tutti.PrefixAlbum, s.albumIDForm, s.albumID, c.album(s))
	v[kArtistID] = id(tutti.PrefixArtist, s.artistIDForm, s.artistID, c.artist(s.artist))
	v[kIsDir], v[kIsVideo] = []byte("false"), []byte("false")
	v[kTitle], v[kAlbum], v[kArtist] = quote(s.title), known(s.album), known(s.artist)
	v[kTrack], v[kYear], v[kDiscNumber] = positive(s.track), positive(s.year), positive(s.disc)
	v[kGenre], v[kPath], v[kSuffix] = known(s.genre), known(s.path), known(s.suffix)
	switch s.cover {
	case coverAlbum:
		v[kCoverArt] = v[kAlbumID]
	case coverSelf:
		v[kCoverArt] = v[kID]
	}
	v[kSize], v[kDuration], v[kPlayCount], v[kBPM] = whole(s.size), whole(s.seconds), whole(s.playCount), whole(s.bpm)
	v[kBitRate], v[kBitDepth], v[kSamplingRate], v[kChannelCount] = whole(s.bitRate), whole(s.bitDepth), whole(s.sampleRate), whole(s.channels)
	v[kContentType] = known(types[s.suffix])
	if !s.created.IsZero() {
		v[kCreated] = append(s.created.AppendFormat([]byte{'"'}, moment), '"')
	}
	v[kType], v[kMediaType] = []byte(`"music"`), []byte(`"song"`)
	v[kComment], v[kDisplayComposer], v[kExplicitStatus] = quote(s.comment), quote(s.composer), []byte(`""`)
	v[kSortName] = quote(s.title)
	if s.hasSort {
		v[kSortName] = quote(s.sort)
	}
	v[kMusicBrainzID] = []byte(`""`)
	if s.hasMBID {
		h := hex.EncodeToString(s.mbid[:])
		v[kMusicBrainzID] = quote(h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:])
	}
	v[kDisplayArtist], v[kDisplayAlbumArtist] = quote(s.artist), quote(s.albumArtist)
	v[kGenres], v[kArtists], v[kAlbumArtists] = []byte("[]"), []byte("[]"), []byte("[]")
	if s.genre != "" {
		v[kGenres] = append(appendString([]byte(`[{"name":`), s.genre), "}]"...)
	}
	person := func(id []byte, name string) []byte {
		b := append(append([]byte(`[{"id":`), id...), `,"name":`...)
		return append(appendString(b, name), "}]"...)
	}
	if v[kArtistID] != nil {
		v[kArtists] = person(v[kArtistID], s.artist)
		switch {
		case s.albumArtist == s.artist:
			v[kAlbumArtists] = v[kArtists]
		case s.albumArtist != "":
			v[kAlbumArtists] = person(quote(string(tutti.NewID(tutti.PrefixArtist, c.artist(s.albumArtist)))), s.albumArtist)
		}
	}
	for _, k := range []int{kISRC, kContributors, kMoods, kWorks, kMovements, kGroupings} {
		v[k] = []byte("[]")
	}
	v[kReplayGain] = []byte("{}")
	return v
}

// usualSize is about how long a file of so many seconds and kbit/s is.
func usualSize(seconds, bitRate uint64) uint64 {
	return min(seconds, 1<<24) * min(bitRate, 1<<24) * 125
}

const hexDigits = "0123456789abcdef"

// appendString appends a string as JSON, escaped as tutti's own answers are: what must be, and what ends a line in
// JavaScript.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c == 0xe2 && i+2 < len(s) && s[i+1] == 0x80 && s[i+2]|1 == 0xa9: // U+2028 and U+2029
			b = append(append(b, `\u202`...), hexDigits[s[i+2]&15])
			i += 2
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
