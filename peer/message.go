package peer

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/bits"
	"slices"
	"sync"
	"unsafe"

	"google.golang.org/protobuf/reflect/protoreflect"

	"tutti"
	"tutti/metacodec"
	"tutti/peer/wire"
)

// A message of the catalogue's is written small as one record of a metacodec frame, field by field as its description in
// tutti.proto says: which fields it has, as the difference to the message of its sort before it; numbers as
// differences to the field's number before; IDs as their 64 bits, UUIDs and hashes as bytes; a text that was there before
// by its place; a path by its template; and what is left, new texts, through the model where both sides have one.
//
// It works on the message as Protocol Buffers write it and gives that back to the byte, so that neither the words nor
// their conversions know of it. What is not laid out as this program lays it out (fields of a newer version,
// say) is not written small at all, and travels as it is.

// shape is a sort of message.
type shape struct {
	fields []part
	at     [64]int8 // by field number, -1: no such field
	usual  uint64   // the fields that such a message mostly has, as bits of fields
	isTime bool
}

// part is a field of a shape.
type part struct {
	number   uint64
	wire     uint64 // its type: varint, 64 bits, or bytes
	sort     sort
	repeated bool
	message  *shape // of a field that is one
	field    metacodec.Field
	prefix   string // of the IDs in it, mostly
	first    uint64 // what a number is expected to be at first
}

// sort says how a field's values are kept.
type sort uint8

const (
	sortNumber sort = iota
	sortYes         // true wherever it is there at all
	sortLasting
	sortDouble
	sortText
	sortPath
	sortMessage
	sortOpaque
)

const (
	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
)

// texts says of the fields by name which statistics predict them. All others are metacodec.Other.
var textFields = map[protoreflect.FullName]metacodec.Field{
	"tutti.v1.Track.title": metacodec.Title, "tutti.v1.Track.sort_title": metacodec.Sort, "tutti.v1.Track.album": metacodec.Album,
	"tutti.v1.Track.display_artist": metacodec.Artist, "tutti.v1.Track.display_album_artist": metacodec.AlbumArtist,
	"tutti.v1.Track.display_composer": metacodec.Composer, "tutti.v1.Track.genres": metacodec.Genre, "tutti.v1.Track.moods": metacodec.Mood,
	"tutti.v1.Track.comment": metacodec.Comment, "tutti.v1.Track.work": metacodec.Work, "tutti.v1.Track.movement": metacodec.Title,
	"tutti.v1.Track.path": metacodec.Path, "tutti.v1.Track.suffix": metacodec.Token, "tutti.v1.Track.content_type": metacodec.Token,
	"tutti.v1.Track.codec": metacodec.Token, "tutti.v1.ArtistRef.name": metacodec.Artist, "tutti.v1.Album.name": metacodec.Album,
	"tutti.v1.Album.sort_name": metacodec.Sort, "tutti.v1.Album.display_artist": metacodec.AlbumArtist, "tutti.v1.Album.genres": metacodec.Genre,
	"tutti.v1.Album.moods": metacodec.Mood, "tutti.v1.Album.record_labels": metacodec.Label, "tutti.v1.Album.formats": metacodec.Token,
	"tutti.v1.Album.release_types": metacodec.Token, "tutti.v1.Artist.name": metacodec.Artist, "tutti.v1.Artist.sort_name": metacodec.Sort,
	"tutti.v1.Artist.roles": metacodec.Token, "tutti.v1.Genre.name": metacodec.Genre, "tutti.v1.Folder.name": metacodec.Name,
	"tutti.v1.Folder.path": metacodec.Path, "tutti.v1.Lyrics.artist": metacodec.Artist, "tutti.v1.Lyrics.title": metacodec.Title,
	"tutti.v1.LyricsLine.text": metacodec.Lyrics, "tutti.v1.Playlist.name": metacodec.Name, "tutti.v1.Playlist.comment": metacodec.Comment,
	"tutti.v1.Ref.path": metacodec.Path, "tutti.v1.SearchQuery.text": metacodec.Name, "tutti.v1.TrackQuery.text": metacodec.Name,
	"tutti.v1.Sought.title": metacodec.Title, "tutti.v1.Sought.paths": metacodec.Path, "tutti.v1.Share.description": metacodec.Comment,
}

// prefixes are those of the IDs that fields mostly hold.
var prefixes = map[protoreflect.FullName]string{
	"tutti.v1.Track.id": tutti.PrefixTrack, "tutti.v1.Track.album_id": tutti.PrefixAlbum, "tutti.v1.Track.folder_id": tutti.PrefixFolder,
	"tutti.v1.Album.id": tutti.PrefixAlbum, "tutti.v1.Artist.id": tutti.PrefixArtist, "tutti.v1.ArtistRef.id": tutti.PrefixArtist,
	"tutti.v1.Folder.id": tutti.PrefixFolder, "tutti.v1.Folder.parent_id": tutti.PrefixFolder, "tutti.v1.Genre.covers": tutti.PrefixAlbum,
	"tutti.v1.Playlist.id": tutti.PrefixPlaylist, "tutti.v1.Playlist.owner": tutti.PrefixUser, "tutti.v1.Viewer.user": tutti.PrefixUser,
	"tutti.v1.Playlist.tracks": tutti.PrefixTrack, "tutti.v1.Queue.tracks": tutti.PrefixTrack, "tutti.v1.ThingsRequest.ids": tutti.PrefixTrack,
	"tutti.v1.PlanRequest.track": tutti.PrefixTrack, "tutti.v1.Play.track": tutti.PrefixTrack, "tutti.v1.Bookmark.track": tutti.PrefixTrack,
	"tutti.v1.IDList.ids": tutti.PrefixTrack, "tutti.v1.Share.entries": tutti.PrefixTrack, "tutti.v1.ThingRequest.id": tutti.PrefixTrack,
	"tutti.v1.StarRequest.ids": tutti.PrefixTrack, "tutti.v1.RateRequest.id": tutti.PrefixTrack, "tutti.v1.LimitRequest.id": tutti.PrefixTrack,
}

// expected are numbers as they mostly are.
var expected = map[protoreflect.FullName]uint64{
	"tutti.v1.Track.sample_rate": 44100, "tutti.v1.Track.channels": 2, "tutti.v1.Track.bit_depth": 16, "tutti.v1.Track.disc": 1,
	"tutti.v1.Time.seconds": 1_700_000_000, "tutti.v1.Date.year": 2000, "tutti.v1.Track.bit_rate": 900,
}

// usual are the fields that messages mostly have.
var usual = map[protoreflect.FullName][]protoreflect.Name{
	"tutti.v1.Track": {
		"id", "album_id", "folder_id", "library", "title", "album", "artists", "album_artists", "display_artist", "display_album_artist",
		"track", "disc", "date", "genres", "has_cover", "path", "size", "mod_time", "suffix", "content_type", "codec", "duration_ns", "bit_rate",
		"sample_rate", "bit_depth", "channels", "version", "added",
	},
	"tutti.v1.Album": {
		"id", "name", "artists", "display_artist", "date", "genres", "song_count", "duration_ns", "size", "added", "has_cover", "library", "formats",
	},
	"tutti.v1.ArtistRef": {"id", "name"}, "tutti.v1.Date": {"year", "month", "day"}, "tutti.v1.Time": {"seconds", "nanos"},
	"tutti.v1.Artist": {"id", "name", "roles", "album_count", "track_count", "has_cover"}, "tutti.v1.Viewer": {"user", "all_libraries"},
	"tutti.v1.Plan": {"track", "ref", "content_type", "suffix", "size", "reason", "ready"}, "tutti.v1.ThingRequest": {"viewer", "id"},
	"tutti.v1.Ref": {"library", "path", "version"},
}

// commonTexts are there before the first message: words of fixed vocabularies. They are part of the coding's name.
var commonTexts = [...]string{
	"1", "flac", "audio/flac", "mp3", "audio/mpeg", "m4a", "audio/mp4", "aac", "alac", "opus", "audio/ogg", "ogg", "vorbis", "wav", "audio/wav",
	"Album", "album", "single", "ep", "compilation", "artist", "albumartist", "composer", "original", "Rock", "Pop", "Classical", "Jazz",
	"Electronic", "Various Artists", "[Unknown Artist]", "[Unknown Album]",
}

// exchange is the messages of a method.
type exchange struct{ request, answer *shape }

// exchanges are the catalogue's methods by path. What streams is not among them.
var exchanges = sync.OnceValue(func() map[string]exchange {
	shapes := map[protoreflect.FullName]*shape{}
	out := map[string]exchange{}
	for _, service := range []protoreflect.Name{"Catalog", "TrackCache"} {
		methods := wire.File_tutti_proto.Services().ByName(service).Methods()
		for i := range methods.Len() {
			m := methods.Get(i)
			if m.IsStreamingServer() {
				continue
			}
			out["/"+string(m.Parent().FullName())+"/"+string(m.Name())] = exchange{shapeOf(m.Input(), shapes), shapeOf(m.Output(), shapes)}
		}
	}
	return out
})

func shapeOf(d protoreflect.MessageDescriptor, known map[protoreflect.FullName]*shape) *shape {
	if s := known[d.FullName()]; s != nil {
		return s
	}
	s := &shape{isTime: d.FullName() == "tutti.v1.Time"}
	known[d.FullName()] = s
	for i := range s.at {
		s.at[i] = -1
	}
	fields := make([]protoreflect.FieldDescriptor, d.Fields().Len())
	for i := range fields {
		fields[i] = d.Fields().Get(i)
	}
	slices.SortFunc(fields, func(a, b protoreflect.FieldDescriptor) int { return int(a.Number() - b.Number()) })
	for i, f := range fields {
		p := part{number: uint64(f.Number()), repeated: f.IsList() || f.IsMap(), first: expected[f.FullName()], prefix: prefixes[f.FullName()]}
		switch f.Kind() {
		case protoreflect.BoolKind:
			if p.sort = sortYes; f.HasPresence() {
				p.sort = sortNumber
			}
		case protoreflect.DoubleKind:
			p.wire, p.sort = wire64, sortDouble
		case protoreflect.StringKind:
			p.wire, p.sort, p.field = wireBytes, sortText, textFields[f.FullName()]
			if n := f.FullName(); n == "tutti.v1.Track.path" {
				p.sort = sortPath
			}
		case protoreflect.MessageKind:
			p.wire, p.sort, p.message = wireBytes, sortMessage, shapeOf(f.Message(), known)
		case protoreflect.BytesKind:
			p.wire, p.sort = wireBytes, sortOpaque
		default:
			if n := f.FullName(); n == "tutti.v1.Track.duration_ns" || n == "tutti.v1.Album.duration_ns" {
				p.sort = sortLasting
			}
			if f.IsList() {
				p.wire, p.sort = wireBytes, sortOpaque // packed
			}
		}
		if slices.Contains(usual[d.FullName()], f.Name()) {
			s.usual |= 1 << i
		}
		s.at[p.number] = int8(i)
		s.fields = append(s.fields, p)
	}
	return s
}

// How a text is kept.
const (
	howBefore   = iota // it is the field's one before
	howKnown           // it was there: its distance follows
	howID              // an ID with the prefix of the field's before
	howPrefixed        // an ID: its prefix follows
	howUUID
	howHash // hexadecimal
	howText
	howTemplate // made by the template before
	howMade     // by one that follows
)

// memory is what is remembered of a sort of message within a frame.
type memory struct {
	epoch    uint64
	mask     uint64
	counts   []uint64
	numbers  []uint64
	units    []uint64
	texts    [][]byte
	prefixes []string
}

// scribe writes or reads the messages of one frame.
type scribe struct {
	memories map[*shape]*memory
	epoch    uint64
	head     []byte // numbers, and how texts are kept
	hashes   []byte
	texts    [][]byte // new ones, in order; of a scribe that reads those that are to come
	fields   []metacodec.Field
	list     [][]byte // all texts that were there
	places   map[string]int
	template []byte
	enc      *metacodec.Encoder
	dec      *metacodec.Decoder
	arena    []byte
	limit    int
	depth    int
	err      error
}

var scribes = sync.Pool{New: func() any {
	return &scribe{memories: map[*shape]*memory{}, places: map[string]int{}, enc: metacodec.NewEncoder(nil)}
}}

func newScribe() *scribe {
	s := scribes.Get().(*scribe)
	s.epoch++
	s.head, s.hashes, s.arena = s.head[:0], s.hashes[:0], s.arena[:0]
	s.texts, s.fields, s.list, s.template, s.depth, s.err = s.texts[:0], s.fields[:0], s.list[:0], nil, 0, nil
	clear(s.places)
	for _, t := range commonTexts {
		s.places[t] = len(s.list)
		s.list = append(s.list, unsafe.Slice(unsafe.StringData(t), len(t)))
	}
	return s
}

func (s *scribe) release() {
	clear(s.places) // its keys are pieces of the message
	clear(s.list)
	clear(s.texts)
	s.dec = nil
	for _, m := range s.memories {
		clear(m.texts)
	}
	if cap(s.head)+cap(s.hashes)+cap(s.arena) < 1<<20 {
		scribes.Put(s)
	}
}

func (s *scribe) memory(of *shape) *memory {
	m := s.memories[of]
	if m == nil {
		n := len(of.fields)
		m = &memory{counts: make([]uint64, n), numbers: make([]uint64, n), units: make([]uint64, n), texts: make([][]byte, n), prefixes: make([]string, n)}
		s.memories[of] = m
	}
	if m.epoch != s.epoch {
		m.epoch, m.mask = s.epoch, of.usual
		for i := range of.fields {
			p := &of.fields[i]
			m.counts[i], m.numbers[i], m.units[i], m.texts[i], m.prefixes[i] = 1, p.first, 0, nil, p.prefix
		}
	}
	return m
}

var errOdd = tutti.Errorf(tutti.KindInvalid, "peer: read message", "a message of another member makes no sense")

func (s *scribe) fail() {
	if s.err == nil {
		s.err = errOdd
	}
}

func zigzag(d int64) uint64   { return uint64(d<<1) ^ uint64(d>>63) }
func unzigzag(z uint64) int64 { return int64(z>>1) ^ -int64(z&1) }

func (s *scribe) put(v uint64)        { s.head = binary.AppendUvarint(s.head, v) }
func (s *scribe) putDiff(v, b uint64) { s.put(zigzag(int64(v - b))) }

func uvarint(b []byte) (uint64, int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	return binary.Uvarint(b)
}

func (s *scribe) get() uint64 {
	v, n := uvarint(s.head)
	if n <= 0 {
		s.fail()
		s.head = nil
		return 0
	}
	s.head = s.head[n:]
	return v
}

func (s *scribe) getDiff(b uint64) uint64 { return b + uint64(unzigzag(s.get())) }

// occurrence is one value of a field in a message.
type occurrence struct {
	part   int
	number uint64
	bytes  []byte
}

// scan takes a message apart. ok is false for one that this program would have written otherwise.
func (of *shape) scan(b []byte, list []occurrence) (_ []occurrence, ok bool) {
	last := -1
	for len(b) > 0 {
		tag, n := uvarint(b)
		number := tag >> 3
		if n <= 0 || number >= uint64(len(of.at)) || of.at[number] < 0 {
			return list, false
		}
		i := int(of.at[number])
		p := &of.fields[i]
		if tag&7 != p.wire || i < last || i == last && !p.repeated {
			return list, false
		}
		last = i
		b = b[n:]
		o := occurrence{part: i}
		switch p.wire {
		case wireVarint:
			if o.number, n = uvarint(b); n <= 0 || n != (bits.Len64(o.number|1)+6)/7 || p.sort == sortYes && o.number != 1 {
				return list, false
			}
			b = b[n:]
		case wire64:
			if len(b) < 8 {
				return list, false
			}
			o.number, b = binary.LittleEndian.Uint64(b), b[8:]
		default:
			size, n := uvarint(b)
			if n <= 0 || size > uint64(len(b)-n) || n != (bits.Len64(size|1)+6)/7 {
				return list, false
			}
			o.bytes, b = b[n:n+int(size)], b[n+int(size):]
		}
		list = append(list, o)
	}
	return list, true
}

// write writes a message. It reports false for one that cannot be written small.
func (s *scribe) write(of *shape, b []byte) bool {
	var room [48]occurrence
	list, ok := of.scan(b, room[:0])
	if !ok {
		return false
	}
	m := s.memory(of)
	var mask uint64
	var counts [64]uint64
	for i := range list {
		mask |= 1 << list[i].part
		counts[list[i].part]++
	}
	s.put(mask ^ m.mask)
	m.mask = mask
	for i := range of.fields {
		if of.fields[i].repeated && mask&(1<<i) != 0 {
			s.putDiff(counts[i], m.counts[i])
			m.counts[i] = counts[i]
		}
	}
	var known *metacodec.Known
	for i := range list {
		o := &list[i]
		p := &of.fields[o.part]
		switch p.sort {
		case sortNumber:
			s.putDiff(o.number, m.numbers[o.part])
			m.numbers[o.part] = o.number
		case sortYes:
		case sortLasting:
			unit, n := metacodec.CountUnits(o.number, m.units[o.part])
			m.units[o.part] = unit
			s.put(unit)
			s.put(n)
		case sortDouble:
			s.putDouble(math.Float64frombits(o.number), &m.numbers[o.part])
		case sortText:
			s.putText(p, m, o.part, o.bytes)
		case sortPath:
			if known == nil {
				known = knownOf(of, list[:i])
			}
			s.putPath(p, m, o.part, o.bytes, known)
		case sortMessage:
			if !s.write(p.message, o.bytes) {
				return false
			}
		case sortOpaque:
			s.put(uint64(len(o.bytes)))
			s.hashes = append(s.hashes, o.bytes...)
		}
	}
	return true
}

// The scales of doubles: gains have two decimals, peaks six.
var scales = [...]float64{100, 1e6}

func (s *scribe) putDouble(v float64, before *uint64) {
	for i, scale := range scales {
		n := math.Round(v * scale)
		if math.Abs(n) < 1<<40 && n/scale == v && !(v == 0 && math.Signbit(v)) {
			s.put(uint64(i))
			s.putDiff(uint64(int64(n)), *before)
			*before = uint64(int64(n))
			return
		}
	}
	s.put(uint64(len(scales)))
	s.hashes = binary.LittleEndian.AppendUint64(s.hashes, math.Float64bits(v))
}

func (s *scribe) getDouble(before *uint64) uint64 {
	i := s.get()
	if i >= uint64(len(scales)) {
		b := s.take(8)
		if b == nil || i > uint64(len(scales)) {
			s.fail()
			return 0
		}
		return binary.LittleEndian.Uint64(b)
	}
	*before = s.getDiff(*before)
	return math.Float64bits(float64(int64(*before)) / scales[i])
}

// isHex reports whether s is lower-case hexadecimal.
func isHex(s []byte) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func (s *scribe) place(b []byte) {
	s.places[unsafe.String(unsafe.SliceData(b), len(b))] = len(s.list)
	s.list = append(s.list, b)
}

func (s *scribe) putText(p *part, m *memory, i int, b []byte) {
	if before := m.texts[i]; before != nil && string(before) == string(b) {
		s.put(howBefore)
		return
	}
	m.texts[i] = b
	if at, ok := s.places[string(b)]; ok {
		s.put(howKnown)
		s.put(uint64(len(s.list) - 1 - at))
		return
	}
	if s.putSpecial(m, i, b) {
		return
	}
	s.put(howText)
	s.newText(p.field, b)
}

// putSpecial writes what only looks like a text.
func (s *scribe) putSpecial(m *memory, i int, b []byte) bool {
	text := unsafe.String(unsafe.SliceData(b), len(b))
	if n, ok := tutti.ID(text).Number(); ok && string(tutti.NewID(text[:3], n)) == text {
		if m.prefixes[i] == text[:3] {
			s.put(howID)
		} else {
			s.put(howPrefixed)
			s.head = append(s.head, b[:3]...)
			m.prefixes[i] = text[:3]
		}
		s.hashes = binary.LittleEndian.AppendUint64(s.hashes, n)
		s.place(b)
		return true
	}
	if len(b) == 36 && b[8] == '-' && b[13] == '-' && b[18] == '-' && b[23] == '-' {
		var plain [32]byte
		copy(plain[:8], b)
		copy(plain[8:12], b[9:])
		copy(plain[12:16], b[14:])
		copy(plain[16:20], b[19:])
		copy(plain[20:], b[24:])
		if isHex(plain[:]) {
			s.put(howUUID)
			s.hashes, _ = hex.AppendDecode(s.hashes, plain[:]) // it is hexadecimal
			s.place(b)
			return true
		}
	}
	if len(b) >= 16 && len(b)%2 == 0 && isHex(b) {
		s.put(howHash)
		s.put(uint64(len(b) / 2))
		s.hashes, _ = hex.AppendDecode(s.hashes, b) // likewise
		s.place(b)
		return true
	}
	return false
}

func (s *scribe) newText(f metacodec.Field, b []byte) {
	s.texts, s.fields = append(s.texts, b), append(s.fields, f)
	if len(b) > 0 {
		s.place(b)
	}
}

// maxDepth is how deep messages may lie in one another, where a message of a folder may hold folders without end.
const maxDepth = 16

// read reads a message and appends it to out.
func (s *scribe) read(of *shape, out []byte) []byte {
	if s.depth++; s.depth > maxDepth {
		s.fail()
		return out
	}
	defer func() { s.depth-- }()
	m := s.memory(of)
	mask := s.get() ^ m.mask
	m.mask = mask
	if bits.Len64(mask) > len(of.fields) {
		s.fail()
	}
	for i := range of.fields {
		if of.fields[i].repeated && mask&(1<<i) != 0 {
			m.counts[i] = s.getDiff(m.counts[i])
		}
	}
	begun := len(out)
	var known *metacodec.Known
	var counts [64]uint64 // as they are here: messages within may be of this sort as well
	copy(counts[:], m.counts)
	for i := range of.fields {
		if mask&(1<<i) == 0 {
			continue
		}
		p := &of.fields[i]
		n := uint64(1)
		if p.repeated {
			n = counts[i]
		}
		for range n {
			if s.err != nil {
				return out
			}
			out = binary.AppendUvarint(out, p.number<<3|p.wire)
			switch p.sort {
			case sortNumber:
				m.numbers[i] = s.getDiff(m.numbers[i])
				out = binary.AppendUvarint(out, m.numbers[i])
			case sortYes:
				out = append(out, 1)
			case sortLasting:
				m.units[i] = s.get()
				v, ok := metacodec.FromUnits(m.units[i], s.get())
				if !ok {
					s.fail()
				}
				out = binary.AppendUvarint(out, v)
			case sortDouble:
				out = binary.LittleEndian.AppendUint64(out, s.getDouble(&m.numbers[i]))
			case sortText:
				b := s.getText(p, m, i)
				out = append(binary.AppendUvarint(out, uint64(len(b))), b...)
			case sortPath:
				if known == nil {
					var room [48]occurrence
					list, _ := of.scan(out[begun:len(out)-tagLen(p.number)], room[:0])
					known = knownOf(of, list)
				}
				b := s.getPath(p, m, i, known)
				out = append(binary.AppendUvarint(out, uint64(len(b))), b...)
			case sortMessage:
				from := len(out)
				out = s.read(p.message, out)
				out = insertLength(out, from)
			case sortOpaque:
				b := s.take(int(min(s.get(), math.MaxInt32)))
				out = append(binary.AppendUvarint(out, uint64(len(b))), b...)
			}
			if len(out) > s.limit {
				s.fail()
			}
		}
	}
	return out
}

func tagLen(number uint64) int { return (bits.Len64(number<<3) + 6) / 7 }

// insertLength puts the length of what follows from into its place.
func insertLength(out []byte, from int) []byte {
	var b [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(b[:], uint64(len(out)-from))
	out = append(out, b[:n]...)
	copy(out[from+n:], out[from:len(out)-n])
	copy(out[from:], b[:n])
	return out
}

func (s *scribe) take(n int) []byte {
	if n > len(s.hashes) {
		s.fail()
		return nil
	}
	b := s.hashes[:n:n]
	s.hashes = s.hashes[n:]
	return b
}

// room returns n bytes that stay as they are as long as the scribe works.
func (s *scribe) room(n int) []byte {
	if cap(s.arena)-len(s.arena) < n {
		s.arena = make([]byte, 0, max(4096, n))
	}
	s.arena = s.arena[:len(s.arena)+n]
	return s.arena[len(s.arena)-n:]
}

func (s *scribe) getText(p *part, m *memory, i int) []byte {
	b := s.textBy(s.get(), p, m, i)
	m.texts[i] = b
	return b
}

func (s *scribe) textBy(how uint64, p *part, m *memory, i int) []byte {
	switch how {
	case howBefore:
		return m.texts[i]
	case howKnown:
		at := s.get()
		if at >= uint64(len(s.list)) {
			s.fail()
			return nil
		}
		return s.list[len(s.list)-1-int(at)]
	case howPrefixed:
		if len(s.head) < 3 {
			s.fail()
			return nil
		}
		m.prefixes[i] = string(s.head[:3])
		s.head = s.head[3:]
		fallthrough
	case howID:
		n := s.take(8)
		if n == nil || len(m.prefixes[i]) != 3 {
			s.fail()
			return nil
		}
		id := tutti.NewID(m.prefixes[i], binary.LittleEndian.Uint64(n))
		b := s.room(len(id))
		copy(b, id)
		s.list = append(s.list, b)
		return b
	case howUUID:
		n := s.take(16)
		if n == nil {
			return nil
		}
		b := s.room(36)
		hex.Encode(b[0:8], n[0:4])
		hex.Encode(b[9:13], n[4:6])
		hex.Encode(b[14:18], n[6:8])
		hex.Encode(b[19:23], n[8:10])
		hex.Encode(b[24:36], n[10:16])
		b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
		s.list = append(s.list, b)
		return b
	case howHash:
		n := s.take(int(min(s.get(), math.MaxInt32)))
		b := s.room(2 * len(n))
		hex.Encode(b, n)
		s.list = append(s.list, b)
		return b
	case howText:
		return s.nextText(p.field)
	}
	s.fail()
	return nil
}

func (s *scribe) nextText(f metacodec.Field) []byte {
	b := s.dec.Text(f)
	if s.dec.Err() != nil {
		s.fail()
		return nil
	}
	if len(b) > 0 {
		s.list = append(s.list, b)
	}
	return b
}

var (
	inPath     = []byte{metacodec.MarkTitle, metacodec.MarkAlbum, metacodec.MarkArtist, metacodec.MarkTrack, metacodec.MarkYear, metacodec.MarkTrackShort, metacodec.MarkDisc}
	knownNames = sync.OnceValue(func() (n struct{ title, album, artists, track, disc, date int }) {
		fields := (&wire.Track{}).ProtoReflect().Descriptor().Fields()
		at := func(name protoreflect.Name) int { return int(fields.ByName(name).Number()) }
		n.title, n.album, n.artists, n.track, n.disc, n.date = at("title"), at("album"), at("display_album_artist"), at("track"), at("disc"), at("date")
		return n
	})
)

// knownOf gathers what a track's path is mostly made of, from the fields before it.
func knownOf(of *shape, list []occurrence) *metacodec.Known {
	k := new(metacodec.Known)
	var track, disc, year int64
	names := knownNames()
	for i := range list {
		o := &list[i]
		switch int(of.fields[o.part].number) {
		case names.title:
			k.Set(metacodec.MarkTitle, o.bytes)
		case names.album:
			k.Set(metacodec.MarkAlbum, o.bytes)
		case names.artists:
			k.SetArtist(o.bytes)
		case names.track:
			track = int64(o.number)
		case names.disc:
			disc = int64(o.number)
		case names.date:
			if len(o.bytes) > 0 && o.bytes[0] == 1<<3 { // the year comes first
				v, _ := uvarint(o.bytes[1:])
				year = int64(v)
			}
		}
	}
	k.SetNumbers(track, disc, year)
	return k
}

func (s *scribe) putPath(p *part, m *memory, i int, b []byte, k *metacodec.Known) {
	m.texts[i] = b
	if at, ok := s.places[string(b)]; ok {
		s.put(howKnown)
		s.put(uint64(len(s.list) - 1 - at))
		return
	}
	t := k.Fold(b, inPath)
	if s.template != nil && string(t) == string(s.template) {
		s.put(howTemplate)
	} else {
		s.put(howMade)
		s.newText(p.field, t)
		s.template = t
	}
	s.place(b) // a plan's reference has it again
}

func (s *scribe) getPath(p *part, m *memory, i int, k *metacodec.Known) []byte {
	var b []byte
	switch how := s.get(); how {
	case howKnown:
		b = s.textBy(how, p, m, i)
	case howMade:
		s.template = s.nextText(p.field)
		fallthrough
	case howTemplate:
		if how == howTemplate && s.template == nil {
			s.fail()
			return nil
		}
		var err error
		if b, err = k.Unfold(s.template); err != nil {
			s.fail()
			return nil
		}
		s.list = append(s.list, b)
	default:
		s.fail()
	}
	m.texts[i] = b
	return b
}

// appendSmall appends the frame of a message, written with a model, nil for none. ok is false where it cannot be written
// small; what was appended is then to be forgotten.
func appendSmall(dst []byte, of *shape, message []byte, model func(texts int) *metacodec.Model) (_ []byte, ok bool) {
	s := newScribe()
	defer s.release()
	if !s.write(of, message) {
		return dst, false
	}
	texts := 0
	for _, t := range s.texts {
		texts += len(t)
	}
	s.enc.Reset(model(texts))
	s.enc.Begin(0)
	s.enc.Bytes(metacodec.Number, s.head)
	s.enc.Bytes(metacodec.Identifier, s.hashes)
	for i, t := range s.texts {
		s.enc.TextBytes(s.fields[i], t)
	}
	s.enc.End()
	dst, err := s.enc.AppendFrame(dst)
	return dst, err == nil
}

// maxSmall bounds what a small message may grow to.
const maxSmall = 2 * maxBody

// appendMessage appends the message of a frame. Errors are KindInvalid for what makes no sense, and KindUnavailable with a
// metacodec.UnknownModelError for a model that is not among models.
func appendMessage(dst []byte, of *shape, frame []byte, models *metacodec.Models) ([]byte, error) {
	s := newScribe()
	defer s.release()
	d := metacodec.NewDecoder(models)
	defer d.Close()
	if err := d.Reset(frame); err != nil {
		return dst, err
	}
	s.dec, s.limit = d, len(dst)+maxSmall
	head, hashes := s.head, s.hashes
	defer func() { s.head, s.hashes = head[:0], hashes[:0] }()
	if !d.Next() {
		s.fail()
	}
	s.head = d.Bytes(metacodec.Number)
	s.hashes = d.Bytes(metacodec.Identifier)
	if s.err == nil {
		dst = s.read(of, dst)
	}
	switch {
	case d.Err() != nil:
		return dst, d.Err()
	case s.err != nil:
		return dst, s.err
	case d.Next() || d.Err() != nil || len(s.head) > 0 || len(s.hashes) > 0:
		return dst, errOdd
	}
	return dst, nil
}
