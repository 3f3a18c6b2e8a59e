package catalog

import (
	"bytes"

	"tutti"
	"tutti/catalog/scan"
	"tutti/metacodec"
)

// The sorts of strings in a dictionary, by what refers to them. One that is not laid out as its sort should be is kept
// as sharedText.
const (
	sharedText = iota
	sharedCredit
	sharedFolder
	sharedAudio
	sharedAlbum
	sharedDetail
	sharedGenre
	sharedSorts
)

// sorts says of each string of a dictionary what sort it is, as far as records tell.
type sorts []uint8

func (s sorts) set(n uint64, sort uint8) {
	if n < uint64(len(s)) {
		s[n] = sort
	}
}

// note notes what a record refers to.
func (s sorts) note(f *fields) {
	s.set(f.album, sharedAlbum)
	s.set(f.folder, sharedFolder)
	s.set(f.audio, sharedAudio)
	for _, n := range f.artists {
		s.set(n, sharedCredit)
	}
	for _, n := range f.genres {
		s.set(n, sharedGenre)
	}
	for _, n := range f.details {
		s.set(n, sharedDetail)
	}
	for i := 2; i < len(f.contributors); i += 3 {
		s.set(f.contributors[i], sharedCredit)
	}
}

// credits notes the artists of the albums in list, once the albums are known.
func (s sorts) credits(at func(i int) string) {
	for i, sort := range s {
		if sort != sharedAlbum {
			continue
		}
		var a sharedAlbumFields
		d := decodeString(at(i))
		if d.album(&a); d.err != nil {
			continue
		}
		for _, n := range a.artists {
			s.set(n, sharedCredit)
		}
	}
}

// shared is what was said by the strings before, on which the next ones build.
type shared struct {
	n       uint64 // number of the string in the dictionary
	known   metacodec.Known
	recent  [8]uint64 // IDs of the latest credits, as a ring
	credits int
	name    []byte // of the latest credit
	at      uint64 // its number
	library []byte
	folder  []byte // templates
	text    []byte
	sort    []byte
	album   sharedAlbumFields
}

// sharedAlbumFields is an album's string, as appendAlbum lays it out.
type sharedAlbumFields struct {
	id            uint64
	name, sort    []byte
	mbid          []byte // packed
	artists       []uint64
	display       []byte
	labels, types []uint64
	edition       []byte
	compilation   uint64
	dates         [9]int64
}

func (d *decoder) album(a *sharedAlbumFields) {
	a.id = d.u64()
	a.name, a.sort, a.mbid = d.bytes(), d.bytes(), d.packedBytes()
	a.artists = d.longs(1)
	a.display = d.bytes()
	a.labels, a.types = d.longs(1), d.longs(1)
	a.edition = d.bytes()
	a.compilation = uint64(d.byte())
	for i := range a.dates {
		a.dates[i] = d.varint()
	}
	if len(d.b) > 0 {
		d.fail()
	}
}

func (a *sharedAlbumFields) append(b []byte) []byte {
	b = appendBytes(appendBytes(appendU64(b, a.id), a.name), a.sort)
	b = appendLongs(append(b, a.mbid...), a.artists, 1)
	b = appendBytes(b, a.display)
	b = appendLongs(appendLongs(b, a.labels, 1), a.types, 1)
	b = append(appendBytes(b, a.edition), byte(a.compilation))
	for _, n := range a.dates {
		b = appendVarint(b, n)
	}
	return b
}

// shared walks over one string of a dictionary, of a sort as far as that is known, and returns it.
func (x *packer) shared(s *shared, str []byte, sort uint8) []byte {
	if !x.reading && !fits(sort, str) {
		sort = sharedText
	}
	sort = uint8(x.choice(colKind, uint64(sort), sharedSorts))
	if x.err != nil {
		return nil
	}
	switch sort {
	case sharedCredit:
		str = x.credit(s, str)
	case sharedFolder:
		str = x.folder(s, str)
	case sharedAlbum:
		str = x.album(s, str)
	case sharedDetail:
		str = x.detail(s, str)
	case sharedAudio:
		x.plain(colBytes, &str)
	case sharedGenre:
		x.text(colGenre, &str)
	default:
		s.text = x.template(colText, &str, s.text, &s.known, inText)
	}
	s.n++
	return str
}

// fits reports whether a string is laid out as its sort is, to the byte.
func fits(sort uint8, str []byte) bool {
	switch sort {
	case sharedCredit:
		return len(str) >= 8
	case sharedFolder:
		id, library, dir, err := splitFolder(viewString(str))
		return err == nil && bytes.Equal(append(appendString(appendU64(nil, id), library), dir...), str)
	case sharedAlbum:
		var a sharedAlbumFields
		d := decoder{b: str}
		d.album(&a)
		return d.err == nil && bytes.Equal(a.append(nil), str)
	case sharedDetail:
		var v sharedDetailFields
		d := decoder{b: str}
		d.detail(&v)
		return d.err == nil && bytes.Equal(v.append(nil), str)
	}
	return true
}

// derivedID keeps an ID that should follow from something else.
func (x *packer) derivedID(id *uint64, derived tutti.ID) {
	n, _ := derived.Number()
	if x.is(colHow, *id == n) {
		*id = n
		return
	}
	x.hash64(id)
}

func (x *packer) credit(s *shared, str []byte) []byte {
	var id uint64
	var name []byte
	if !x.reading {
		id, name = stringU64(viewString(str)), str[8:]
	}
	x.text(colArtist, &name)
	x.derivedID(&id, scan.ArtistID(viewString(name)))
	s.recent[s.credits%len(s.recent)] = id
	s.credits++
	s.name, s.at = name, s.n
	s.known.SetArtist(name)
	return append(appendU64(nil, id), name...)
}

func (x *packer) folder(s *shared, str []byte) []byte {
	var (
		id      uint64
		library string
		dir     string
	)
	if !x.reading {
		id, library, dir, _ = splitFolder(viewString(str)) // fits has seen to it
	}
	lib, path := []byte(library), []byte(dir)
	x.near(colText, &lib, s.library)
	s.library = lib
	s.folder = x.template(colPath, &path, s.folder, &s.known, inFolder)
	s.known[metacodec.MarkFolder] = path
	x.derivedID(&id, scan.FolderID(string(lib), string(path)))
	return append(appendBytes(appendU64(nil, id), lib), path...)
}

func (x *packer) album(s *shared, str []byte) []byte {
	before := s.album
	a := &s.album
	*a = sharedAlbumFields{}
	if !x.reading {
		d := decoder{b: str}
		d.album(a)
	}
	x.hash64(&a.id)
	x.list(colArtists, &a.artists, nil, s.n, 1)
	byLatest := len(a.artists) == 1 && a.artists[0] == s.at
	x.text(colAlbumTitle, &a.name)
	x.near(colSort, &a.sort, nil)
	if x.is(colHow, len(a.mbid) == 1 && a.mbid[0] == 0) { // none
		a.mbid = []byte{0}
	} else {
		x.uuid(&a.mbid)
	}
	display := before.display
	if byLatest {
		display = s.name
	}
	x.near(colArtist, &a.display, display)
	x.list(colGenres, &a.labels, before.labels, 0, 1)
	x.list(colGenres, &a.types, before.types, 0, 1)
	x.near(colText, &a.edition, nil)
	x.num(colOther, &a.compilation)
	if a.compilation > 255 {
		x.fail()
	}
	for i := 0; i < len(a.dates); i += 3 { // original date and release date are mostly none, or the date
		base := before.dates[i : i+3]
		if i > 0 {
			base = a.dates[:3]
		}
		if x.is(colDate, i > 0 && [3]int64(a.dates[i:i+3]) == [3]int64{}) {
			continue
		}
		for j := range base {
			x.signed(colDate, &a.dates[i+j], base[j])
		}
	}
	s.known.Set(metacodec.MarkAlbum, a.name)
	s.known.SetNumbers(0, 0, a.dates[0])
	return a.append(nil)
}

type sharedDetailFields struct {
	id   uint64
	sort []byte
	mbid []byte // packed
}

func (d *decoder) detail(v *sharedDetailFields) {
	v.id, v.sort, v.mbid = d.u64(), d.bytes(), d.packedBytes()
	if len(d.b) > 0 {
		d.fail()
	}
}

func (v *sharedDetailFields) append(b []byte) []byte {
	return append(appendBytes(appendU64(b, v.id), v.sort), v.mbid...)
}

func (x *packer) detail(s *shared, str []byte) []byte {
	var v sharedDetailFields
	if !x.reading {
		d := decoder{b: str}
		d.detail(&v)
	}
	which := uint64(len(s.recent)) // none of them
	if !x.reading {
		for i := range min(s.credits, len(s.recent)) {
			if s.recent[(s.credits-1-i)%len(s.recent)] == v.id {
				which = uint64(i)
				break
			}
		}
	}
	which = x.choice(colHow, which, uint64(len(s.recent))+1)
	switch {
	case which == uint64(len(s.recent)):
		x.hash64(&v.id)
	case int(which) >= s.credits:
		x.fail()
	default:
		v.id = s.recent[(s.credits-1-int(which))%len(s.recent)]
	}
	s.sort = x.template(colSort, &v.sort, s.sort, &s.known, inSortName)
	if x.is(colHow, len(v.mbid) == 1 && v.mbid[0] == 0) {
		v.mbid = []byte{0}
	} else {
		x.uuid(&v.mbid)
	}
	return v.append(nil)
}

// sorts finds out what sort the strings of the dictionary are.
func (s captured) sorts() sorts {
	list := make(sorts, len(s.dict))
	for _, r := range s.refs {
		if r == 0 {
			continue
		}
		var f fields
		d := decoder{b: blobAt(s.chunks, r)}
		if d.fields(&f); d.err == nil {
			list.note(&f)
		}
	}
	list.credits(func(i int) string { return s.dict[i] })
	return list
}
