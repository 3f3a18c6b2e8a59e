package catalog

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/bits"

	"tutti/catalog/scan"
	"tutti/metacodec"
)

// What the journal keeps is packed: written so that nothing is stored that the reader can work out.
//
//   - What is a function of something else (a track's ID and version, an artist's and a folder's ID, and nearly always a
//     file's name) is one flag that says that it is what it should be, and is kept as it is where it is not.
//   - Numbers are differences to what one expects them to be: the record before, or what bit rate and length lead to.
//   - Each field has a column of its own, so that a general compressor finds like beside like. Hashes and UUIDs, in
//     which it finds nothing, lie apart from the rest.
//   - Texts go through metacodec's model where every reader has it, and lie in columns where not.
//
// packed and unpacked are one walk over the records (packer.record, packer.shared), which writes or reads: so the two cannot
// disagree. Whoever packs unpacks again and compares before anything is stored; what does not come back as it was
// is kept in the form of before.

// The columns. Text columns come last, one for each class of text.
const (
	colCount = iota
	colKind
	colMissing
	colMask
	colHow // how an ID, fingerprint, version or UUID is kept
	colAlbum
	colFolder
	colAudio
	colArtists
	colGenres
	colDetails
	colContributors
	colNumbers // other numbers of the dictionary
	colLists
	colUnit
	colDuration
	colBitRate
	colSize
	colTrack
	colDisc
	colModTime
	colNanos
	colAdded
	colGain
	colSection
	colInode
	colOther
	colDate
	colLength // of texts, and how much of one is as before
	colBytes  // what has no form
	colTitle
	colArtist
	colAlbumTitle
	colSort
	colName
	colPath
	colGenre
	colText
	columns
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// packer writes fields to columns, or reads them from there.
type packer struct {
	reading bool
	single  bool // few records: all in one column, since each costs a byte
	cols    [columns][]byte
	hashes  []byte
	texts   texts // nil: texts lie in columns
	grown   int   // bytes of text that were unfolded
	err     error
}

// texts is where the texts of a packed record go to or come from, in order, where they do not lie in columns.
type texts interface {
	begin()
	end()
	put(col int, s []byte)
	get(col int) ([]byte, error)
}

// begin and end surround the texts of one record.
func (x *packer) begin() {
	if x.texts != nil {
		x.texts.begin()
	}
}

func (x *packer) end() {
	if x.texts != nil && x.err == nil {
		x.texts.end()
	}
}

func (x *packer) fail() {
	if x.err == nil {
		x.err = errTruncated
	}
}

func (x *packer) column(c int) *[]byte {
	if x.single {
		c = 0
	}
	return &x.cols[c]
}

func (x *packer) num(c int, v *uint64) {
	col := x.column(c)
	if !x.reading {
		*col = binary.AppendUvarint(*col, *v)
		return
	}
	u, n := binary.Uvarint(*col)
	if n <= 0 {
		x.fail()
		*v = 0
		return
	}
	*col, *v = (*col)[n:], u
}

// diff is num for what is close to base.
func (x *packer) diff(c int, v *uint64, base uint64) {
	d := int64(*v - base)
	z := uint64(d<<1) ^ uint64(d>>63)
	x.num(c, &z)
	*v = base + uint64(int64(z>>1)^-int64(z&1))
}

func (x *packer) signed(c int, v *int64, base int64) {
	u := uint64(*v)
	x.diff(c, &u, uint64(base))
	*v = int64(u)
}

// choice writes which, or returns the one that was written, which is less than n.
func (x *packer) choice(c int, which, n uint64) uint64 {
	x.num(c, &which)
	if which >= n {
		x.fail()
		return 0
	}
	return which
}

func (x *packer) is(c int, yes bool) bool {
	var n uint64
	if yes {
		n = 1
	}
	return x.choice(c, n, 2) == 1
}

// hash keeps bytes in which there is nothing to find.
func (x *packer) hash(b []byte) {
	if !x.reading {
		x.hashes = append(x.hashes, b...)
		return
	}
	if len(x.hashes) < len(b) {
		x.fail()
		return
	}
	x.hashes = x.hashes[copy(b, x.hashes):]
}

func (x *packer) hash64(v *uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], *v)
	x.hash(b[:])
	*v = binary.LittleEndian.Uint64(b[:])
}

// text keeps a text. What is read is good as long as nobody changes it.
func (x *packer) text(c int, s *[]byte) {
	if x.texts != nil {
		if !x.reading {
			x.texts.put(c, *s)
			return
		}
		if x.err != nil {
			*s = nil
			return
		}
		if *s, x.err = x.texts.get(c); x.err == nil {
			x.grow(len(*s))
		}
		return
	}
	x.plain(c, s)
}

// plain keeps bytes in a column, whatever becomes of texts.
func (x *packer) plain(c int, s *[]byte) {
	n := uint64(len(*s))
	x.num(colLength, &n)
	col := x.column(c)
	if !x.reading {
		*col = append(*col, *s...)
		return
	}
	if n > uint64(len(*col)) {
		x.fail()
		*s = nil
		return
	}
	*s, *col = (*col)[:n:n], (*col)[n:]
	x.grow(int(n))
}

// grow bounds what texts amount to when they are unfolded.
func (x *packer) grow(n int) {
	if x.grown += n; x.grown > maxUnpacked {
		x.fail()
	}
}

// near is text for what may begin as another does.
func (x *packer) near(c int, s *[]byte, other []byte) {
	var same uint64
	if !x.reading {
		for int(same) < min(len(*s), len(other)) && (*s)[same] == other[same] {
			same++
		}
	}
	whole := x.is(colHow, int(same) == len(other) && len(*s) == len(other))
	if whole {
		*s = other
		return
	}
	x.num(colLength, &same)
	if same > uint64(len(other)) {
		x.fail()
		return
	}
	rest := (*s)[min(int(same), len(*s)):]
	x.text(c, &rest)
	if x.reading {
		x.grow(int(same))
		*s = append(other[:same:same], rest...)
	}
}

// template keeps a text by its template, which is often the one before. It returns the template.
func (x *packer) template(c int, s *[]byte, before []byte, k *metacodec.Known, order []byte) []byte {
	var t []byte
	if !x.reading {
		t = k.Fold(*s, order)
	}
	x.near(c, &t, before)
	if x.reading && x.err == nil {
		if *s, x.err = k.Unfold(t); x.err == nil {
			x.grow(len(*s))
		}
	}
	return t
}

var (
	inFileName = []byte{metacodec.MarkTitle, metacodec.MarkTrack, metacodec.MarkTrackShort, metacodec.MarkDisc}
	inFolder   = []byte{metacodec.MarkAlbum, metacodec.MarkArtist, metacodec.MarkYear}
	inText     = []byte{metacodec.MarkFolder, metacodec.MarkArtist, metacodec.MarkAlbum}
	inSortName = []byte{metacodec.MarkArtistRest, metacodec.MarkArtistHead}
)

// fields are a record's, as record.go lays them out, dictionary numbers unresolved.
type fields struct {
	missing              uint64
	mask, id             uint64
	fp                   scan.Fingerprint
	album, folder, audio uint64
	name, title          []byte
	artists, genres      []uint64
	size, duration       uint64
	bitRate, track, disc int64
	version              []byte // packed
	modTime, added       int64

	details, contributors     []uint64 // a contributor is three numbers
	cover, subtitle, explicit uint64
	moods                     []uint64
	sortTitle                 []byte
	artist, composer, comment uint64 // as displayed
	groupings                 []uint64
	bpm                       int64
	recording, recordingTrack []byte // packed
	isrc                      [][]byte
	work                      uint64
	movement                  []byte
	movementNumber            int64
	gain                      byte
	gains, exact              [5]uint64
	start, end                int64
	inode                     uint64

	unit     uint64 // of the duration, as metacodec.CountUnits says
	template []byte // of the name
}

func (d *decoder) longs(each int) []uint64 {
	n := each * d.count()
	if n == 0 {
		return nil
	}
	list := make([]uint64, 0, min(n, len(d.b)))
	for range n {
		list = append(list, d.uvarint())
	}
	return list
}

func (d *decoder) packedBytes() []byte {
	before := d.b
	d.skipPacked()
	return before[:len(before)-len(d.b)]
}

// fields reads a record.
func (d *decoder) fields(f *fields) {
	f.mask, f.id = d.uvarint(), d.u64()
	copy(f.fp[:], d.take(len(f.fp)))
	f.album, f.folder, f.audio = d.uvarint(), d.uvarint(), d.uvarint()
	f.name, f.title = d.bytes(), d.bytes()
	f.artists, f.genres = d.longs(1), d.longs(1)
	f.size, f.duration = d.uvarint(), d.uvarint()
	f.bitRate, f.track, f.disc = d.varint(), d.varint(), d.varint()
	f.version = d.packedBytes()
	if f.mask&hasModTime != 0 {
		f.modTime = d.varint()
	}
	if f.mask&hasAdded != 0 {
		f.added = d.varint()
	}
	if f.mask&hasDetails != 0 {
		f.details = d.longs(1)
	}
	if f.mask&hasContributors != 0 {
		f.contributors = d.longs(3)
	}
	for _, o := range f.firstNumbers() {
		if f.mask&o.bit != 0 {
			*o.v = d.uvarint()
		}
	}
	if f.mask&hasMoods != 0 {
		f.moods = d.longs(1)
	}
	if f.mask&hasSortTitle != 0 {
		f.sortTitle = d.bytes()
	}
	for _, o := range f.laterNumbers() {
		if f.mask&o.bit != 0 {
			*o.v = d.uvarint()
		}
	}
	if f.mask&hasGroupings != 0 {
		f.groupings = d.longs(1)
	}
	if f.mask&hasBPM != 0 {
		f.bpm = d.varint()
	}
	if f.mask&hasRecordingID != 0 {
		f.recording = d.packedBytes()
	}
	if f.mask&hasTrackID != 0 {
		f.recordingTrack = d.packedBytes()
	}
	if f.mask&hasISRC != 0 {
		for range d.count() {
			f.isrc = append(f.isrc, d.bytes())
		}
	}
	if f.mask&hasWork != 0 {
		f.work = d.uvarint()
	}
	if f.mask&hasMovement != 0 {
		f.movement = d.bytes()
	}
	if f.mask&hasMovementNumber != 0 {
		f.movementNumber = d.varint()
	}
	if f.mask&hasGain != 0 {
		f.gain = d.byte()
		for i := range f.gains {
			if f.gain&(1<<i) == 0 {
				continue
			}
			if f.gains[i] = d.uvarint(); f.gains[i]&1 != 0 {
				f.exact[i] = d.u64()
			}
		}
	}
	if f.mask&hasSection != 0 {
		f.start, f.end = d.varint(), d.varint()
	}
	if f.mask&hasInode != 0 {
		f.inode = d.uvarint()
	}
	if len(d.b) > 0 {
		d.fail()
	}
}

type optional struct {
	bit uint64
	v   *uint64
}

func (f *fields) firstNumbers() [3]optional {
	return [...]optional{{hasCoverPath, &f.cover}, {hasDiscSubtitle, &f.subtitle}, {hasExplicit, &f.explicit}}
}

func (f *fields) laterNumbers() [3]optional {
	return [...]optional{{hasDisplayArtist, &f.artist}, {hasDisplayComposer, &f.composer}, {hasComment, &f.comment}}
}

func appendLongs(b []byte, list []uint64, each int) []byte {
	b = appendUvarint(b, uint64(len(list)/each))
	for _, n := range list {
		b = appendUvarint(b, n)
	}
	return b
}

// append writes the record as record.go does.
func (f *fields) append(b []byte) []byte {
	b = appendU64(appendUvarint(b, f.mask), f.id)
	b = append(b, f.fp[:]...)
	b = appendUvarint(appendUvarint(appendUvarint(b, f.album), f.folder), f.audio)
	b = appendBytes(appendBytes(b, f.name), f.title)
	b = appendLongs(appendLongs(b, f.artists, 1), f.genres, 1)
	b = appendUvarint(appendUvarint(b, f.size), f.duration)
	b = appendVarint(appendVarint(appendVarint(b, f.bitRate), f.track), f.disc)
	b = append(b, f.version...)
	if f.mask&hasModTime != 0 {
		b = appendVarint(b, f.modTime)
	}
	if f.mask&hasAdded != 0 {
		b = appendVarint(b, f.added)
	}
	if f.mask&hasDetails != 0 {
		b = appendLongs(b, f.details, 1)
	}
	if f.mask&hasContributors != 0 {
		b = appendLongs(b, f.contributors, 3)
	}
	for _, o := range f.firstNumbers() {
		if f.mask&o.bit != 0 {
			b = appendUvarint(b, *o.v)
		}
	}
	if f.mask&hasMoods != 0 {
		b = appendLongs(b, f.moods, 1)
	}
	if f.mask&hasSortTitle != 0 {
		b = appendBytes(b, f.sortTitle)
	}
	for _, o := range f.laterNumbers() {
		if f.mask&o.bit != 0 {
			b = appendUvarint(b, *o.v)
		}
	}
	if f.mask&hasGroupings != 0 {
		b = appendLongs(b, f.groupings, 1)
	}
	if f.mask&hasBPM != 0 {
		b = appendVarint(b, f.bpm)
	}
	if f.mask&hasRecordingID != 0 {
		b = append(b, f.recording...)
	}
	if f.mask&hasTrackID != 0 {
		b = append(b, f.recordingTrack...)
	}
	if f.mask&hasISRC != 0 {
		b = appendUvarint(b, uint64(len(f.isrc)))
		for _, s := range f.isrc {
			b = appendBytes(b, s)
		}
	}
	if f.mask&hasWork != 0 {
		b = appendUvarint(b, f.work)
	}
	if f.mask&hasMovement != 0 {
		b = appendBytes(b, f.movement)
	}
	if f.mask&hasMovementNumber != 0 {
		b = appendVarint(b, f.movementNumber)
	}
	if f.mask&hasGain != 0 {
		b = append(b, f.gain)
		for i := range f.gains {
			if f.gain&(1<<i) == 0 {
				continue
			}
			if b = appendUvarint(b, f.gains[i]); f.gains[i]&1 != 0 {
				b = appendU64(b, f.exact[i])
			}
		}
	}
	if f.mask&hasSection != 0 {
		b = appendVarint(appendVarint(b, f.start), f.end)
	}
	if f.mask&hasInode != 0 {
		b = appendUvarint(b, f.inode)
	}
	return b
}

// list keeps numbers, which are often those of the record before, and else close to base.
func (x *packer) list(c int, v *[]uint64, before []uint64, base uint64, each int) {
	same := !x.reading && len(*v) == len(before)
	for i := 0; same && i < len(before); i++ {
		same = (*v)[i] == before[i]
	}
	if x.is(colLists, same) {
		*v = before
		return
	}
	n := uint64(len(*v) / each)
	x.num(colLists, &n)
	if x.reading {
		if x.err != nil || n > uint64(len(*x.column(c))) {
			x.fail()
			return
		}
		*v = make([]uint64, n*uint64(each))
	}
	for i := range *v {
		x.diff(c, &(*v)[i], base)
	}
}

func (x *packer) duration(f, before *fields) {
	var n uint64
	if !x.reading {
		f.unit, n = metacodec.CountUnits(f.duration, before.unit)
	}
	f.unit = x.choice(colUnit, f.unit, metacodec.Units)
	x.num(colDuration, &n)
	var ok bool
	if f.duration, ok = metacodec.FromUnits(f.unit, n); !ok {
		x.fail()
	}
}

// expectedSize is what bit rate (kbit/s) and duration lead to.
func expectedSize(f *fields) uint64 {
	if f.bitRate <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(f.duration, uint64(f.bitRate))
	if hi >= 8e6 {
		return 0
	}
	n, _ := bits.Div64(hi, lo, 8e6)
	return n
}

// How something is kept.
const (
	asDerived = iota // it is what follows from the rest
	asBefore         // it is that of the record before
	asItIs
	asSection // derived, for a section of a file
	hows
)

// uuid keeps a packed UUID, or whatever else stands in its place.
func (x *packer) uuid(v *[]byte) {
	const head = 16<<2 | packedUUID // one byte
	isOne := x.is(colHow, len(*v) == 17 && (*v)[0] == head)
	if !isOne {
		x.plain(colBytes, v)
		return
	}
	if x.reading {
		*v = append(make([]byte, 0, 17), head)
		*v = (*v)[:17]
	}
	x.hash((*v)[1:])
}

// record walks over a record's fields. before is the record before it.
func (x *packer) record(f, before *fields) {
	x.num(colMissing, &f.missing)
	mask := f.mask ^ before.mask
	x.num(colMask, &mask)
	f.mask = mask ^ before.mask
	if x.is(colHow, f.fp == before.fp) {
		f.fp = before.fp
	} else {
		x.hash(f.fp[:])
	}
	x.diff(colAlbum, &f.album, before.album)
	x.diff(colFolder, &f.folder, before.folder)
	x.diff(colAudio, &f.audio, before.audio)
	x.list(colArtists, &f.artists, before.artists, f.album, 1)
	x.list(colGenres, &f.genres, before.genres, 0, 1)
	x.text(colTitle, &f.title)
	x.signed(colTrack, &f.track, before.track+1)
	x.signed(colDisc, &f.disc, before.disc)
	x.name(f, before)
	x.duration(f, before)
	x.signed(colBitRate, &f.bitRate, before.bitRate)
	x.diff(colSize, &f.size, expectedSize(f))
	x.times(f, before)
	if f.mask&hasSection != 0 {
		x.signed(colSection, &f.start, before.end)
		x.signed(colSection, &f.end, f.start+int64(f.duration))
	}
	x.identity(f, before)

	if f.mask&hasDetails != 0 {
		x.list(colDetails, &f.details, before.details, f.album, 1)
	}
	if f.mask&hasContributors != 0 {
		x.list(colContributors, &f.contributors, before.contributors, 0, 3)
	}
	first, firstBefore := f.firstNumbers(), before.firstNumbers()
	for i, o := range first {
		if f.mask&o.bit != 0 {
			x.diff(colNumbers, o.v, *firstBefore[i].v)
		}
	}
	later, laterBefore := f.laterNumbers(), before.laterNumbers()
	for i, o := range later {
		if f.mask&o.bit != 0 {
			x.diff(colNumbers, o.v, *laterBefore[i].v)
		}
	}
	if f.mask&hasWork != 0 {
		x.diff(colNumbers, &f.work, before.work)
	}
	if f.mask&hasMoods != 0 {
		x.list(colGenres, &f.moods, before.moods, 0, 1)
	}
	if f.mask&hasGroupings != 0 {
		x.list(colGenres, &f.groupings, before.groupings, 0, 1)
	}
	if f.mask&hasSortTitle != 0 {
		x.near(colSort, &f.sortTitle, nil)
	}
	if f.mask&hasMovement != 0 {
		x.near(colTitle, &f.movement, before.movement)
	}
	if f.mask&hasBPM != 0 {
		x.signed(colOther, &f.bpm, before.bpm)
	}
	if f.mask&hasMovementNumber != 0 {
		x.signed(colOther, &f.movementNumber, before.movementNumber)
	}
	if f.mask&hasRecordingID != 0 {
		x.uuid(&f.recording)
	}
	if f.mask&hasTrackID != 0 {
		x.uuid(&f.recordingTrack)
	}
	if f.mask&hasISRC != 0 {
		x.codes(f, before)
	}
	if f.mask&hasGain != 0 {
		x.gain(f, before)
	}
	if f.mask&hasInode != 0 {
		x.diff(colInode, &f.inode, before.inode+1)
	}
}

func (x *packer) name(f, before *fields) {
	var k metacodec.Known
	k.Set(metacodec.MarkTitle, f.title)
	k.SetNumbers(f.track, f.disc, 0)
	f.template = x.template(colName, &f.name, before.template, &k, inFileName)
}

func (x *packer) times(f, before *fields) {
	const second = 1_000_000_000
	if f.mask&hasModTime != 0 {
		seconds, nanos := f.modTime/second, f.modTime%second
		x.signed(colModTime, &seconds, before.modTime/second)
		x.signed(colNanos, &nanos, 0)
		f.modTime = seconds*second + nanos
	}
	if f.mask&hasAdded != 0 {
		if x.is(colHow, f.added == f.modTime) {
			f.added = f.modTime
		} else {
			x.signed(colAdded, &f.added, before.added)
		}
	}
}

// identity walks over what follows from the rest: the track's ID and the file's version.
func (x *packer) identity(f, before *fields) {
	derived := func(section int) uint64 {
		n, _ := scan.TrackID(f.fp, section, 0).Number()
		return n
	}
	how := uint64(asItIs)
	if !x.reading {
		switch f.id {
		case derived(0):
			how = asDerived
		case derived(int(f.track)):
			how = asSection
		}
	}
	switch x.choice(colHow, how, hows) {
	case asDerived:
		f.id = derived(0)
	case asSection:
		f.id = derived(int(f.track))
	default:
		x.hash64(&f.id)
	}

	var buf [64]byte
	version := func() []byte {
		return appendPacked(buf[:0], string(scan.VersionOf(f.fp, int64(f.size), f.modTime)))
	}
	how = asItIs
	if !x.reading {
		switch {
		case bytes.Equal(f.version, before.version):
			how = asBefore
		case bytes.Equal(f.version, version()):
			how = asDerived
		}
	}
	switch x.choice(colHow, how, hows) {
	case asBefore:
		f.version = before.version
	case asDerived:
		if x.reading {
			f.version = bytes.Clone(version())
		}
	default:
		x.plain(colBytes, &f.version)
	}
}

func (x *packer) codes(f, before *fields) {
	n := uint64(len(f.isrc))
	x.num(colLists, &n)
	if x.reading {
		if x.err != nil || n > uint64(len(*x.column(colLength))) {
			x.fail()
			return
		}
		f.isrc = make([][]byte, 0, min(n, 64))
	}
	last := []byte(nil)
	if len(before.isrc) > 0 {
		last = before.isrc[0]
	}
	for i := range int(n) {
		if x.err != nil {
			return
		}
		if x.reading {
			f.isrc = append(f.isrc, nil)
		}
		x.near(colText, &f.isrc[i], last)
		last = f.isrc[i]
	}
}

func (x *packer) gain(f, before *fields) {
	which := uint64(f.gain)
	x.num(colGain, &which)
	f.gain = byte(which)
	for i := range f.gains {
		if f.gain&(1<<i) == 0 {
			continue
		}
		x.diff(colGain, &f.gains[i], before.gains[i])
		if f.gains[i]&1 != 0 {
			x.hash64(&f.exact[i])
		}
	}
}
