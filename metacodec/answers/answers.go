// Package answers writes the JSON answers of /api/v1 as frames of metacodec, and gives the same JSON back, byte for byte
// but for white space between its tokens.
//
// An answer is taken apart by its JSON alone, so nothing here has to know a version of the API. An object is a shape and
// the values of its members. A shape is the members' names, in their order, and how the value of each is kept; one that
// was there before in the frame, or that the published tables have (tables.txt), is a number. What an object says twice is
// said once: an id that follows from names, a file's name that is made of title and number, a list that has nobody but
// whom the credit names. Values are written from the general to the particular, as the models are trained: the genre
// before the artist, the artist before the title. Objects of a list are records of their own, so that the model learns from
// the list. The whole format is in docs/metadata-frames.md.
package answers

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tutti"
	"tutti/metacodec"
	"tutti/metacodec/songs"
)

const op = "answers"

// Limits of what is read and written.
const (
	MaxAnswer  = 32 << 20 // bytes of an answer, as JSON
	maxDepth   = 8        // of objects in one another
	maxShapes  = 4096     // that a frame remembers
	maxNames   = 4096     // of members, beyond the published ones
	maxMembers = 1024     // of an object
)

// rowMembers is how many members the first object of a list has at least where each is a record of its own.
const rowMembers = 3

// Codec writes and reads answers. It is for one goroutine at a time.
type Codec struct {
	derive  songs.Derive
	enc     *metacodec.Encoder
	compact bytes.Buffer
	frame   learned
	room    []byte // of values that are read
}

// New returns a codec that derives ids. Reader and writer derive alike: what derive says is part of the format.
func New(derive songs.Derive) *Codec { return &Codec{derive: derive, enc: metacodec.NewEncoder(nil)} }

// learned is what a frame has said: the same for its writer and its reader.
type learned struct {
	names   []string // beyond the published ones
	number  map[string]int
	shapes  [][]item // likewise
	key     map[string]int
	people  map[string]uint64 // ids by name
	met     []person          // those of the record at hand: they are known from the next on
	tooMany bool
	said    int // how many of names the writer has written
}

func (l *learned) reset() {
	l.names, l.shapes, l.said = l.names[:0], l.shapes[:0], 0
	l.met, l.tooMany = l.met[:0], false
	l.number, l.key, l.people = map[string]int{}, map[string]int{}, map[string]uint64{}
}

// meet makes the people of a record known.
func (l *learned) meet() {
	for _, p := range l.met {
		l.people[p.name] = p.id
	}
	l.met = l.met[:0]
}

func (l *learned) nameOf(n int) (name string, ok bool) {
	t := published()
	if n < len(t.names) {
		return t.names[n].name, true
	}
	if n -= len(t.names); n < len(l.names) {
		return l.names[n], true
	}
	return "", false
}

// add gives a name its number.
func (l *learned) add(name string) int {
	n, ok := l.number[name]
	if !ok {
		n = len(published().names) + len(l.names)
		l.names = append(l.names, name)
		l.number[name] = n
	}
	return n
}

func (l *learned) shapeOf(n int) (shape []item, ok bool) {
	t := published()
	if n < len(t.shapes) {
		return t.shapes[n], true
	}
	if n -= len(t.shapes); n < len(l.shapes) {
		return l.shapes[n], true
	}
	return nil, false
}

func (l *learned) addShape(shape []item) {
	if len(l.shapes) < maxShapes {
		l.key[keyOf(shape)] = len(published().shapes) + len(l.shapes)
		l.shapes = append(l.shapes, shape)
	}
}

func keyOf(shape []item) string {
	b := make([]byte, 0, 3*len(shape))
	for _, it := range shape {
		b = append(binary.AppendUvarint(b, uint64(it.name)), byte(it.form))
	}
	return string(b)
}

// order returns in which order the values of a shape are written: by their names' numbers.
func order(shape []item) []int {
	o := make([]int, len(shape))
	for i := range o {
		o[i] = i
	}
	slices.SortStableFunc(o, func(a, b int) int { return shape[a].name - shape[b].name })
	return o
}

// things are what other values follow from: what is known of an object.
type things struct {
	texts map[int]string // by the number of the member's name
	whole map[int]uint64
}

func newThings() things { return things{map[int]string{}, map[int]uint64{}} }

func (t *things) known() *metacodec.Known {
	n := at()
	k := new(metacodec.Known)
	k.Set(metacodec.MarkTitle, []byte(t.texts[n.title]))
	k.Set(metacodec.MarkAlbum, []byte(t.texts[n.album]))
	artist := t.texts[n.albumArtist]
	if artist == "" {
		artist = t.texts[n.artist]
	}
	k.SetArtist([]byte(artist))
	k.SetNumbers(int64(min(t.whole[n.track], math.MaxInt32)), int64(min(t.whole[n.disc], math.MaxInt32)), int64(t.whole[n.date]))
	k[metacodec.MarkSuffix] = []byte(t.texts[n.suffix])
	return k
}

// inPath are what a path is made of, the likelier first.
var inPath = []byte{
	metacodec.MarkTitle, metacodec.MarkAlbum, metacodec.MarkArtist, metacodec.MarkTrack, metacodec.MarkTrackShort, metacodec.MarkYear,
	metacodec.MarkDisc, metacodec.MarkSuffix,
}

// usualSize is about how long a file is that lasts and has a bit rate as the object says.
func (t *things) usualSize() uint64 {
	n := at()
	return min(t.whole[n.durationMs]/1000, 1<<24) * min(t.whole[n.bitRate], 1<<24) * 125
}

// bySuffix is what a member mostly is in a file of the object's suffix.
func (t *things) bySuffix(name int) string {
	n := at()
	switch name {
	case n.contentType:
		return mediaTypes[t.texts[n.suffix]]
	case n.codec:
		return codecs[t.texts[n.suffix]]
	}
	return ""
}

// plain reports whether a name is of ASCII letters: how others are folded depends on the version of Unicode.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func number(id tutti.ID) uint64 {
	n, _ := id.Number()
	return n
}

// artist is the number of the id of an artist of this name: the one that the name had in this frame, else the one that
// follows from it. ok is false where neither is.
func (c *Codec) artist(name string) (n uint64, ok bool) {
	if n, ok := c.frame.people[name]; ok {
		return n, true
	}
	if c.derive.Artist == nil || name == "" || !plain(name) {
		return 0, false
	}
	return number(c.derive.Artist(name)), true
}

func dirOf(path string) string {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i]
	}
	return "."
}

// follows is the number of the id that follows from an object for one of its members.
func (c *Codec) follows(name, prefix int, t *things) (n uint64, ok bool) {
	m := at()
	switch {
	case prefix == idArtist && name == m.id:
		return c.artist(t.texts[m.name])
	case prefix == idFolder && c.derive.Folder != nil && t.texts[m.path] != "":
		dir := t.texts[m.path]
		if name != m.id {
			dir = dirOf(dir)
		}
		return number(c.derive.Folder(t.texts[m.library], dir)), true
	case prefix == idAlbum && name == m.albumID && c.derive.Album != nil && t.texts[m.album] != "" && t.texts[m.path] != "":
		if plain(t.texts[m.album]) && plain(t.texts[m.albumArtist]) {
			return number(c.derive.Album(t.texts[m.library], t.texts[m.albumArtist], t.texts[m.album], int(t.whole[m.date]), dirOf(t.texts[m.path]))), true
		}
	}
	return 0, false
}

// credit is whom a list of people names where it names one as the credit beside it does.
func (t *things) credit(name int) string {
	n := at()
	switch name {
	case n.artists:
		return t.texts[n.artist]
	case n.albumArtists:
		return t.texts[n.albumArtist]
	}
	return ""
}

// fieldOf is what predicts the value of a member; of an object's name that depends on what the object is.
func fieldOf(name int, shape []item) metacodec.Field {
	t, n := published(), at()
	if name >= len(t.names) {
		return metacodec.Other
	}
	if name != n.name && name != n.artist {
		return t.names[name].field
	}
	what := metacodec.Field(metacodec.Genre)
	for _, it := range shape {
		if it.name != n.id || it.form < formID || it.form >= formIDs {
			continue
		}
		switch it.form.prefix() {
		case idAlbum:
			if name == n.artist {
				return metacodec.AlbumArtist
			}
			return metacodec.Album
		case idArtist:
			what = metacodec.Artist
		default:
			what = metacodec.Name
		}
	}
	if name == n.artist {
		return metacodec.Artist
	}
	return what
}

// textField and numberField keep texts and numbers apart: each has statistics of its own.
func textField(f metacodec.Field) metacodec.Field {
	if f >= metacodec.Number {
		return metacodec.Other
	}
	return f
}

func numberField(f metacodec.Field) metacodec.Field {
	if f < metacodec.Number {
		return metacodec.Number
	}
	return f
}

// The forms of times.
const uuidLen = 36

func uuidOf(s string) (id [16]byte, ok bool) {
	if len(s) != uuidLen || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, false
	}
	if _, err := hex.Decode(id[:], []byte(s[:8]+s[9:13]+s[14:18]+s[19:23]+s[24:])); err != nil {
		return id, false
	}
	return id, uuidText(id) == s
}

func uuidText(id [16]byte) string {
	h := hex.EncodeToString(id[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// dateOf reads a date, as far as it is known. form is formText for what is none.
func dateOf(s string) (form form, year, month, day uint64) {
	for i := range len(s) {
		if c := s[i]; i == 4 || i == 7 {
			if c != '-' {
				return formText, 0, 0, 0
			}
		} else if c < '0' || c > '9' {
			return formText, 0, 0, 0
		}
	}
	two := func(i int) uint64 { return uint64(s[i]-'0')*10 + uint64(s[i+1]-'0') }
	switch len(s) {
	case 4:
		return formYear, two(0)*100 + two(2), 0, 0
	case 7:
		return formMonth, two(0)*100 + two(2), two(5), 0
	case 10:
		return formDay, two(0)*100 + two(2), two(5), two(8)
	}
	return formText, 0, 0, 0
}

func appendDigits(b []byte, n uint64, digits int) []byte {
	s := strconv.FormatUint(n, 10)
	for range digits - len(s) {
		b = append(b, '0')
	}
	return append(b, s...)
}

// decimal is a number of hundredths or millionths as encoding/json writes it.
func decimal(n int64, scale float64) []byte {
	return strconv.AppendFloat(nil, float64(n)/scale, 'f', -1, 64)
}

const (
	hundredths = 100
	millionths = 1e6
)

const hexDigits = "0123456789abcdef"

// appendString appends a string as encoding/json does.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\b':
			b = append(b, `\b`...)
		case c == '\f':
			b = append(b, `\f`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c < ' ' || c == '<' || c == '>' || c == '&':
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

// textOf returns the string that a JSON value is. ok is false where it is none or would be written otherwise.
func textOf(raw []byte) (s string, ok bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		s = string(raw[1 : len(raw)-1])
	} else if json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	var room [128]byte
	return s, bytes.Equal(appendString(room[:0], s), raw)
}

func wholeOf(raw []byte) (n uint64, ok bool) {
	n, err := strconv.ParseUint(string(raw), 10, 64)
	return n, err == nil && (raw[0] != '0' || len(raw) == 1)
}

func idOf(s string) (n uint64, prefix int, ok bool) {
	if len(s) < 3 || s[2] != '-' {
		return 0, 0, false
	}
	prefix = slices.Index(prefixes[:], s[:3])
	if n, ok = tutti.ID(s).Number(); !ok || prefix < 0 || string(tutti.NewID(s[:3], n)) != s {
		return 0, 0, false
	}
	return n, prefix, true
}

// momentOf reads a time in UTC.
func momentOf(s string) (time.Time, bool) {
	if len(s) < len("2006-01-02T15:04:05Z") || s[len(s)-1] != 'Z' {
		return time.Time{}, false
	}
	m, err := time.Parse(time.RFC3339Nano, s)
	return m, err == nil && !m.IsZero() && m.Format(time.RFC3339Nano) == s
}

// eachMember goes through the members of a compact JSON object. It reports false for a name that is written with escapes.
func eachMember(b []byte, fn func(name string, raw []byte)) {
	for i := 1; i < len(b)-1; i++ { // after "{" or ","
		from := i
		i = skip(b, i)
		colon := i
		i = skip(b, i+1)
		fn(string(b[from+1:colon-1]), b[colon+1:i])
	}
}

// eachElement goes through a compact JSON list.
func eachElement(b []byte, fn func(raw []byte)) {
	for i := 1; i < len(b)-1; i++ {
		from := i
		i = skip(b, i)
		fn(b[from:i])
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
