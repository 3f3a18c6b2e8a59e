package audio

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tutti"
)

var errID3 = errors.New("damaged ID3 tag")

// syncsafe reads 28 bits spread over four bytes (ID3v2.4 structure §6.2).
func syncsafe(b []byte) uint32 {
	return uint32(b[0]&0x7F)<<21 | uint32(b[1]&0x7F)<<14 | uint32(b[2]&0x7F)<<7 | uint32(b[3]&0x7F)
}

// unsync undoes unsynchronisation: a zero byte that follows 0xFF was put there by the writer (ID3v2.4 structure §6.1).
func unsync(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		out = append(out, b[i])
		if b[i] == 0xFF && i+1 < len(b) && b[i+1] == 0 {
			i++
		}
	}
	return out
}

// id3v2 reads the ID3v2 tag at off into info and returns where it ends. Frames are visited one by one and pictures
// jumped over, except in a tag that is unsynchronised as a whole, which can only be read as a whole.
// https://id3.org/id3v2-00, https://id3.org/id3v2.3.0, https://id3.org/id3v2.4.0-structure
func (p *parser) id3v2(off int64) (end int64, err error) {
	h, err := p.f.at(off, 10)
	if err != nil {
		return 0, err
	}
	if !hasAt(h, 0, "ID3") || h[6]|h[7]|h[8]|h[9] >= 0x80 {
		return 0, errID3
	}
	version, flags, size := h[3], h[5], int64(syncsafe(h[6:]))
	start := off + 10
	end = start + size
	if version == 4 && flags&0x10 != 0 {
		end += 10
	}
	if end > p.f.size { // cut short; its frames may still be good
		end = p.f.size
		size = min(size, end-start)
	}
	if version < 2 || version > 4 {
		return end, nil
	}
	var s stream = &section{p.f, start, start + size}
	left := size
	if flags&0x80 != 0 && version < 4 {
		b, err := p.f.at(start, int(min(size, maxBlock)))
		if err != nil {
			return 0, err
		}
		b = unsync(b)
		s, left = &memory{b: b}, int64(len(b))
	}
	t := id3Tag{p: p, version: version, unsynced: flags&0x80 != 0 && version == 4}
	if flags&0x40 != 0 {
		switch version {
		case 2: // compressed by a scheme that was never defined
			return end, nil
		case 3: // the size does not count itself
			b, err := s.next(4)
			if err != nil {
				return end, nil
			}
			n := int64(binary.BigEndian.Uint32(b))
			if s.skip(n) != nil {
				return end, nil
			}
			left -= n + 4
		case 4:
			b, err := s.next(4)
			if err != nil {
				return end, nil
			}
			n := int64(syncsafe(b))
			if n < 4 || s.skip(n-4) != nil {
				return end, nil
			}
			left -= n
		}
	}
	if err := t.frames(s, left); err != nil && p.f.failed != nil {
		return end, err
	}
	t.finish()
	return end, nil
}

// id3Tag gathers what is known of one tag while its frames pass by.
type id3Tag struct {
	p        *parser
	version  byte
	unsynced bool // every frame is (v2.4)

	year, date string // TYER and TDAT, which make up one date
	inflated   int64  // bytes that came out of compressed frames
}

func (t *id3Tag) frames(s stream, left int64) error {
	header := int64(10)
	if t.version == 2 {
		header = 6
	}
	for n := 0; left >= header && n < maxTags; n++ {
		b, err := s.next(int(header))
		if err != nil {
			return err
		}
		left -= header
		if b[0] == 0 { // padding
			return nil
		}
		var id string
		var size int64
		var flags uint16
		if t.version == 2 {
			id, size = string(b[:3]), int64(b[3])<<16|int64(b[4])<<8|int64(b[5])
		} else {
			id, size, flags = string(b[:4]), int64(binary.BigEndian.Uint32(b[4:])), binary.BigEndian.Uint16(b[8:])
			if t.version == 4 {
				size = t.size4(s, b[4:8], left)
			}
		}
		if strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ") != "" || size > left {
			return errID3
		}
		left -= size
		if size == 0 {
			continue
		}
		if err := t.frame(s, id, flags, size); err != nil {
			return err
		}
	}
	return nil
}

// size4 reads a frame's size in a v2.4 tag. It should be syncsafe, but a widespread program wrote plain numbers: where
// the two readings differ, the one after which another frame (or the end) follows is right.
func (t *id3Tag) size4(s stream, b []byte, left int64) int64 {
	plain, safe := int64(binary.BigEndian.Uint32(b)), int64(syncsafe(b))
	if plain == safe {
		return safe
	}
	sec, ok := s.(*section)
	if !ok || (b[0]|b[1]|b[2]|b[3]) >= 0x80 {
		return plain
	}
	follows := func(n int64) bool {
		if n == left {
			return true
		}
		if n+10 > left {
			return false
		}
		h, err := sec.f.at(sec.off+n, 4)
		if err != nil {
			return false
		}
		return string(h) == "\x00\x00\x00\x00" || strings.Trim(string(h), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
	}
	if !follows(safe) && follows(plain) {
		return plain
	}
	return safe
}

// The format flags of a frame that change how its body reads.
const (
	v3Compressed, v3Encrypted, v3Grouped                               = 0x80, 0x40, 0x20
	v4Grouped, v4Compressed, v4Encrypted, v4Unsynced, v4LengthIncluded = 0x40, 0x08, 0x04, 0x02, 0x01
)

// frame reads the body of size bytes, of which s stands at the first.
func (t *id3Tag) frame(s stream, id string, flags uint16, size int64) error {
	if t.version == 2 {
		id = v22[id] // "" for what is of no interest
	}
	var grouped, compressed, encrypted, length bool
	unsynced := t.unsynced
	switch t.version {
	case 3:
		compressed, encrypted, grouped = flags&v3Compressed != 0, flags&v3Encrypted != 0, flags&v3Grouped != 0
		length = compressed
	case 4:
		compressed, encrypted, grouped = flags&v4Compressed != 0, flags&v4Encrypted != 0, flags&v4Grouped != 0
		unsynced = unsynced || flags&v4Unsynced != 0
		length = flags&v4LengthIncluded != 0 || compressed
	}
	if encrypted || !t.wanted(id) {
		return s.skip(size)
	}
	prefix := int64(0)
	if length {
		prefix += 4
	}
	if grouped {
		prefix++
	}
	if prefix > size {
		return s.skip(size)
	}
	if prefix > 0 {
		if err := s.skip(prefix); err != nil {
			return err
		}
		size -= prefix
	}
	picture := id == "APIC" || id == "PIC"
	if picture && !unsynced && !compressed {
		return t.picture(s, id, size)
	}
	limit := int64(maxText)
	if picture {
		limit = MaxPicture + 4096
		if !t.p.keep {
			limit = 4096 // enough for the description
		}
	}
	if size > limit && !picture {
		return s.skip(size)
	}
	b, err := s.next(int(min(size, limit)))
	if err != nil {
		return err
	}
	if unsynced {
		b = unsync(b)
	}
	if compressed {
		b = inflate(b, min(limit, maxInflate-t.inflated))
		if t.inflated += int64(len(b)); len(b) == 0 {
			return s.skip(size - min(size, limit))
		}
	}
	if picture {
		// Its length is only known as stored; the bytes lie nowhere in one piece.
		m := &memory{b: b, pad: size - min(size, limit)}
		if err := t.picture(m, id, int64(len(b))+m.pad); err != nil && !errors.Is(err, errTruncated) {
			return err
		}
		return s.skip(size - min(size, limit))
	}
	// The bytes belong to the window of the file; what is kept of them is copied into strings before the next read.
	t.body(id, b)
	return s.skip(size - min(size, limit))
}

// maxInflate bounds what all compressed frames of a tag may grow to: a few kB can hold thousands of times as much.
const maxInflate = 2 * MaxPicture

// inflate returns at most limit bytes of a compressed frame; nil if there are none.
func inflate(b []byte, limit int64) []byte {
	z, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil
	}
	out, err := io.ReadAll(io.LimitReader(z, limit))
	if err != nil && len(out) == 0 {
		return nil
	}
	return out // what could be read of a damaged frame is text all the same
}

func (t *id3Tag) wanted(id string) bool {
	if id == "" {
		return false
	}
	if id[0] == 'T' {
		return true
	}
	switch id {
	case "APIC", "PIC", "COMM", "USLT", "SYLT", "UFID", "IPLS", "CHAP", "MVNM", "MVIN", "GRP1", "RVA2", "PCST":
		return true
	}
	return false
}

// v22 gives the names since v2.3 of v2.2's frames.
var v22 = map[string]string{
	"TT1": "TIT1", "TT2": "TIT2", "TT3": "TIT3", "TP1": "TPE1", "TP2": "TPE2", "TP3": "TPE3", "TP4": "TPE4", "TAL": "TALB",
	"TYE": "TYER", "TDA": "TDAT", "TOR": "TORY", "TRK": "TRCK", "TPA": "TPOS", "TCO": "TCON", "TCM": "TCOM", "TXT": "TEXT",
	"TBP": "TBPM", "TCR": "TCOP", "TEN": "TENC", "TSS": "TSSE", "TLA": "TLAN", "TMT": "TMED", "TPB": "TPUB", "TRC": "TSRC",
	"TXX": "TXXX", "TCP": "TCMP", "TS2": "TSO2", "TSA": "TSOA", "TSC": "TSOC", "TSP": "TSOP", "TST": "TSOT", "TOA": "TOPE",
	"TOL": "TOLY", "TOT": "TOAL", "TKE": "TKEY", "COM": "COMM", "ULT": "USLT", "SLT": "SYLT", "UFI": "UFID", "IPL": "IPLS",
	"PIC": "PIC", "GP1": "GRP1", "MVN": "MVNM", "MVI": "MVIN",
}

// id3Names are the canonical names of text frames.
var id3Names = map[string]string{
	"TIT2": "TITLE", "TIT3": "SUBTITLE", "TPE1": "ARTIST", "TPE2": "ALBUMARTIST", "TALB": "ALBUM", "TIT1": "GROUPING", "GRP1": "GROUPING",
	"TRCK": "TRACKNUMBER", "TPOS": "DISCNUMBER", "TSST": "DISCSUBTITLE", "TCOM": "COMPOSER", "TEXT": "LYRICIST", "TPE3": "CONDUCTOR",
	"TPE4": "REMIXER", "TBPM": "BPM", "TCOP": "COPYRIGHT", "TENC": "ENCODEDBY", "TSSE": "ENCODER", "TLAN": "LANGUAGE", "TMED": "MEDIA",
	"TPUB": "LABEL", "TSRC": "ISRC", "TCMP": "COMPILATION", "TMOO": "MOOD", "TKEY": "KEY",
	"TSOT": "TITLESORT", "TSOP": "ARTISTSORT", "TSO2": "ALBUMARTISTSORT", "TSOA": "ALBUMSORT", "TSOC": "COMPOSERSORT",
	"TDRC": "DATE", "TDOR": "ORIGINALDATE", "TDRL": "RELEASEDATE", "TORY": "ORIGINALYEAR", "TOPE": "ORIGINALARTIST", "TOAL": "ORIGINALALBUM",
	"TOLY": "ORIGINALLYRICIST", "MVNM": "MOVEMENTNAME", "MVIN": "MOVEMENT", "TXXX": "",
}

// body reads a frame that is not a picture.
func (t *id3Tag) body(id string, b []byte) {
	tags := &t.p.info.Tags
	switch id {
	case "UFID":
		if owner, v, ok := bytes.Cut(b, []byte{0}); ok && string(owner) == "http://musicbrainz.org" {
			tags.put("MUSICBRAINZ_TRACKID", latin1(v))
		}
		return
	case "CHAP":
		t.chapter(b)
		return
	case "RVA2":
		t.volume(b)
		return
	}
	if len(b) < 2 {
		return
	}
	enc, rest := b[0], b[1:]
	switch id {
	case "COMM", "USLT":
		if len(rest) < 3 {
			return
		}
		lang := language(rest[:3])
		desc, text := cutText(enc, rest[3:])
		value := strings.Join(t.values(enc, text), "\n")
		switch {
		case id == "USLT":
			t.addLyrics(rawLyrics{lang: lang, text: value})
			tags.put("LYRICS", value)
		case desc == "" || strings.EqualFold(desc, "description") || strings.EqualFold(desc, "comment"):
			tags.put("COMMENT", value)
		default: // iTunes keeps "iTunNORM", "iTunSMPB" and others here
			tags.add(desc, value)
			t.gapless(desc, value)
		}
	case "SYLT":
		t.synced(enc, rest)
	case "TXXX":
		desc, text := cutText(enc, rest)
		for _, v := range t.values(enc, text) {
			tags.add(desc, v)
		}
	case "IPLS", "TIPL", "TMCL":
		t.people(id, t.list(enc, rest))
	case "TYER":
		t.year = clean(firstOf(t.values(enc, rest)))
	case "TDAT":
		t.date = clean(firstOf(t.values(enc, rest)))
	case "TCON":
		for _, v := range t.values(enc, rest) {
			for _, g := range id3Genre(v) {
				tags.put("GENRE", g)
			}
		}
	case "MVIN":
		n, total, _ := strings.Cut(firstOf(t.values(enc, rest)), "/")
		tags.put("MOVEMENT", n)
		tags.put("MOVEMENTTOTAL", total)
	default:
		name, ok := id3Names[id]
		if !ok {
			return
		}
		values := t.values(enc, rest)
		if t.version < 4 && len(values) == 1 {
			switch id { // the frames of which v2.3 says that "/" separates values
			case "TCOM", "TEXT", "TOLY", "TOPE", "TPE1":
				values = splitSlash(values[0])
			}
		}
		for _, v := range values {
			tags.put(name, v)
		}
	}
}

// finish adds what needed more than one frame.
func (t *id3Tag) finish() {
	if t.year == "" || t.p.info.Tags.Has("DATE") {
		return
	}
	date := t.year
	if _, ok := digits(t.date, 4); ok && len(t.date) == 4 && len(t.year) == 4 { // DDMM
		date += "-" + t.date[2:] + "-" + t.date[:2]
	}
	t.p.info.Tags.put("DATE", date)
}

// splitSlash separates values at "/" as v2.2 and v2.3 have it. The rule cannot tell a separator from a name like
// "AC/DC" or "GZA/Genius", so a slash with a part of fewer than four letters on either side stays part of the name
// unless spaces surround it.
func splitSlash(s string) []string {
	if strings.Contains(s, " / ") {
		return strings.Split(s, " / ")
	}
	parts := strings.Split(s, "/")
	for _, part := range parts {
		if utf8.RuneCountInString(clean(part)) < 4 {
			return []string{s}
		}
	}
	return parts
}

// text decodes one string of a frame by its encoding byte (ID3v2.4 structure §4).
func text(enc byte, b []byte) string {
	switch enc {
	case 1:
		return utf16String(b, binary.LittleEndian) // a mark should say; where it is missing the writer was on Windows
	case 2:
		return utf16String(b, binary.BigEndian)
	case 3:
		return utf8OrLatin1(b)
	}
	// Encoding 0 is ISO 8859-1, but UTF-8 is found there often, and hardly any other text is valid UTF-8.
	return utf8OrLatin1(b)
}

// cutText separates a terminated string from what follows it, which is nil where there is no terminator.
func cutText(enc byte, b []byte) (string, []byte) {
	s, rest := rawText(enc, b)
	return clean(s), rest
}

// rawText is cutText with the spaces left on.
func rawText(enc byte, b []byte) (string, []byte) {
	if enc == 1 || enc == 2 {
		for i := 0; i+1 < len(b); i += 2 {
			if b[i] == 0 && b[i+1] == 0 {
				return text(enc, b[:i]), b[i+2:]
			}
		}
		return text(enc, b), nil
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return text(enc, b[:i]), b[i+1:]
	}
	return text(enc, b), nil
}

// list decodes a frame's strings, empty ones included: v2.4 separates them by terminators, and writers of v2.3 do so too.
func (t *id3Tag) list(enc byte, b []byte) []string {
	var vs []string
	order := binary.ByteOrder(binary.LittleEndian)
	if enc == 1 && len(b) >= 2 && b[0] == 0xFE && b[1] == 0xFF {
		order = binary.BigEndian // later strings may lack a mark of their own
	}
	for len(b) > 0 && len(vs) < maxTags {
		if enc != 1 && enc != 2 {
			v, rest, _ := bytes.Cut(b, []byte{0})
			vs, b = append(vs, clean(text(enc, v))), rest
			continue
		}
		end := 0
		for end+1 < len(b) && (b[end] != 0 || b[end+1] != 0) {
			end += 2
		}
		v := b[:min(end, len(b))]
		b = b[min(end+2, len(b)):]
		if enc == 1 {
			vs = append(vs, clean(utf16String(v, order)))
		} else {
			vs = append(vs, clean(text(enc, v)))
		}
	}
	return vs
}

// values is list without empty strings.
func (t *id3Tag) values(enc byte, b []byte) []string {
	vs := t.list(enc, b)
	n := 0
	for _, v := range vs {
		if v != "" {
			vs[n] = v
			n++
		}
	}
	return vs[:n]
}

func firstOf(vs []string) string {
	if len(vs) == 0 {
		return ""
	}
	return vs[0]
}

// language reads an ISO 639-2 code; "" for what is none.
func language(b []byte) string {
	s := strings.ToLower(string(b))
	if s == "xxx" || s == "und" || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") != "" {
		return ""
	}
	return s
}

// people reads pairs of function (or instrument) and person.
func (t *id3Tag) people(id string, list []string) {
	tags := &t.p.info.Tags
	for i := 0; i+1 < len(list); i += 2 {
		function, person := list[i], list[i+1]
		if key := functionKeys[strings.ToLower(function)]; key != "" && id != "TMCL" {
			tags.put(key, person)
		} else if function == "" || strings.EqualFold(function, "performer") {
			tags.put("PERFORMER", person)
		} else if person != "" {
			tags.put("PERFORMER", person+" ("+function+")")
		}
	}
}

// functionKeys are the functions of the involved people list that have a field of their own.
var functionKeys = map[string]string{
	"arranger": "ARRANGER", "engineer": "ENGINEER", "producer": "PRODUCER", "dj-mix": "DJMIXER", "mix": "MIXER", "mixer": "MIXER",
	"director": "DIRECTOR", "conductor": "CONDUCTOR", "composer": "COMPOSER", "lyricist": "LYRICIST", "remixer": "REMIXER", "writer": "WRITER",
}

// id3Genre resolves the numbers in a genre: "17", "(17)", "(4)Eurodisco", "(51)(39)", "((Brackets)", "RX", "CR"
// (ID3v2.3 §4.2.1 TCON, ID3v2.4 frames §4.2.3 TCON).
func id3Genre(s string) []string {
	var gs []string
	number := func(s string) (string, bool) {
		switch s {
		case "RX":
			return "Remix", true
		case "CR":
			return "Cover", true
		}
		n, ok := digits(s, 3)
		if !ok || n >= len(id3Genres) {
			return "", false
		}
		return id3Genres[n], true
	}
	if g, ok := number(s); ok {
		return []string{g}
	}
	for strings.HasPrefix(s, "(") && !strings.HasPrefix(s, "((") {
		ref, rest, ok := strings.Cut(s[1:], ")")
		g, known := number(ref)
		if !ok || !known {
			break
		}
		// "(4)Eurodisco": the text refines the number, so that it stands alone, unless it repeats it.
		if rest == "" || strings.HasPrefix(rest, "(") || strings.EqualFold(rest, g) {
			gs = append(gs, g)
		}
		if s = rest; strings.EqualFold(rest, g) {
			s = ""
		}
	}
	if strings.HasPrefix(s, "((") {
		s = s[1:]
	}
	if s != "" {
		gs = append(gs, s)
	}
	return gs
}

// picture reads an attached picture of size bytes (ID3v2.4 frames §4.14; v2.2's PIC has a three-letter format instead
// of a media type).
func (t *id3Tag) picture(s stream, id string, size int64) error {
	head, err := s.next(int(min(size, 2048)))
	if err != nil {
		return err
	}
	rest := size - int64(len(head))
	if len(head) < 6 {
		return s.skip(rest)
	}
	enc, b := head[0], head[1:]
	pic := PictureInfo{Offset: -1}
	if id == "PIC" {
		pic.MIME = pictureMIME(nil, latin1(b[:3]))
		if latin1(b[:3]) == "-->" {
			pic.MIME = "-->"
		}
		b = b[3:]
	} else {
		var mime string
		if mime, b = cutText(0, b); len(b) == 0 {
			return s.skip(rest)
		}
		pic.MIME = mime
	}
	if len(b) == 0 {
		return s.skip(rest)
	}
	pic.Kind = PictureKind(b[0])
	desc, data := cutText(enc, b[1:])
	if data == nil {
		return s.skip(rest)
	}
	pic.Description = desc
	pic.Size = int64(len(data)) + rest
	if sec, ok := s.(*section); ok {
		pic.Offset = sec.off - int64(len(data))
	} else if t.p.keep && pic.Size <= MaxPicture {
		pic.data = bytes.Clone(data)
		if rest > 0 {
			more, err := s.next(int(rest))
			if err != nil {
				return err
			}
			pic.data = append(pic.data, more...)
			rest = 0
		}
	}
	t.p.addPicture(pic)
	return s.skip(rest)
}

// synced reads synchronised lyrics (ID3v2.4 frames §4.9): pieces of text, each followed by its time.
func (t *id3Tag) synced(enc byte, b []byte) {
	if len(b) < 6 || b[3] != 2 || b[4] != 1 { // times in MPEG frames are of no use to a player; other content is no lyrics
		return
	}
	lang := language(b[:3])
	_, b = cutText(enc, b[5:])
	var lines []tutti.LyricsLine
	breaks := false // some piece begins with a newline: then those that do not are syllables of the line before
	for len(b) > 0 && len(lines) < maxLines {
		piece, rest := rawText(enc, b)
		if len(rest) < 4 {
			break
		}
		lines = append(lines, tutti.LyricsLine{Start: time.Duration(binary.BigEndian.Uint32(rest)) * time.Millisecond, Text: piece})
		breaks = breaks || strings.HasPrefix(piece, "\n") || strings.HasPrefix(piece, "\r")
		b = rest[4:]
	}
	n := 0
	for i, l := range lines {
		if breaks && i > 0 && n > 0 && !strings.HasPrefix(l.Text, "\n") && !strings.HasPrefix(l.Text, "\r") {
			line := &lines[n-1]
			if line.Cues == nil {
				line.Cues = []tutti.LyricsCue{{Start: line.Start, To: len(line.Text)}}
			}
			line.Cues[len(line.Cues)-1].End = l.Start
			line.Cues = append(line.Cues, tutti.LyricsCue{Start: l.Start, From: len(line.Text), To: len(line.Text) + len(l.Text)})
			line.Text += l.Text
			continue
		}
		l.Text = strings.TrimLeft(l.Text, "\r\n")
		lines[n] = l
		n++
	}
	lines = lines[:n]
	for i := range lines {
		if lines[i].Cues == nil { // else the cues' offsets must stay true
			lines[i].Text = clean(lines[i].Text)
		}
	}
	if len(lines) > 0 {
		t.addLyrics(rawLyrics{lang: lang, lines: lines})
	}
}

// addLyrics keeps lyrics, of at most as many languages as anybody translates to.
func (t *id3Tag) addLyrics(l rawLyrics) {
	if len(t.p.info.lyrics) < 32 {
		t.p.info.lyrics = append(t.p.info.lyrics, l)
	}
}

// chapter reads a CHAP frame: an element id, times in milliseconds, byte offsets, and frames of its own of which the
// title is one. https://id3.org/id3v2-chapters-1.0
func (t *id3Tag) chapter(b []byte) {
	_, b, ok := bytes.Cut(b, []byte{0})
	if !ok || len(b) < 16 || len(t.p.info.Chapters) >= maxTags {
		return
	}
	c := Chapter{
		Start: time.Duration(binary.BigEndian.Uint32(b)) * time.Millisecond,
		End:   time.Duration(binary.BigEndian.Uint32(b[4:])) * time.Millisecond,
	}
	sub := parser{info: &Info{}}
	st := id3Tag{p: &sub, version: t.version}
	m := &memory{b: b[16:]}
	for len(m.b) >= 10 && t.version > 2 {
		h, err := m.next(10)
		if err != nil {
			break
		}
		n := int(binary.BigEndian.Uint32(h[4:]))
		if t.version == 4 {
			n = int(syncsafe(h[4:]))
		}
		body, err := m.next(n)
		if err != nil {
			break
		}
		if string(h[:4]) == "TIT2" {
			st.body("TIT2", body)
		}
	}
	c.Title = sub.info.Tags.Get("TITLE")
	t.p.info.Chapters = append(t.p.info.Chapters, c)
}

// volume reads an RVA2 frame (ID3v2.4 frames §4.11), with which some taggers wrote ReplayGain before there were TXXX
// frames for it: an identification, then for each channel a type, Q6.9 decibels and a peak of given width.
func (t *id3Tag) volume(b []byte) {
	id, b, ok := bytes.Cut(b, []byte{0})
	key := ""
	switch strings.ToLower(string(id)) {
	case "track":
		key = "REPLAYGAIN_TRACK_"
	case "album":
		key = "REPLAYGAIN_ALBUM_"
	}
	tags := &t.p.info.Tags
	for ok && key != "" && len(b) >= 4 {
		kind, db, bits := b[0], float64(int16(binary.BigEndian.Uint16(b[1:])))/512, int(b[3])
		n := (bits + 7) / 8
		if len(b) < 4+n {
			return
		}
		if kind == 1 && !tags.Has(key+"GAIN") { // the master volume
			tags.put(key+"GAIN", fmt.Sprintf("%.2f dB", db))
			if n > 0 && n <= 7 {
				peak := uint64(0)
				for _, c := range b[4 : 4+n] {
					peak = peak<<8 | uint64(c)
				}
				tags.put(key+"PEAK", strconv.FormatFloat(float64(peak)/float64(uint64(1)<<(bits-1)), 'f', 6, 64))
			}
		}
		b = b[4+n:]
	}
}

// id3v1 reads the 128 bytes of an ID3v1 or 1.1 tag. https://id3.org/ID3v1
func id3v1(b []byte) Tags {
	var t Tags
	field := func(b []byte) string {
		if i := bytes.IndexByte(b, 0); i >= 0 {
			b = b[:i]
		}
		return utf8OrLatin1(b)
	}
	t.put("TITLE", field(b[3:33]))
	t.put("ARTIST", field(b[33:63]))
	t.put("ALBUM", field(b[63:93]))
	t.put("DATE", field(b[93:97]))
	t.put("COMMENT", field(b[97:127]))
	if b[125] == 0 && b[126] != 0 {
		t.put("TRACKNUMBER", strconv.Itoa(int(b[126])))
	}
	if int(b[127]) < len(id3Genres) {
		t.put("GENRE", id3Genres[b[127]])
	}
	return t
}

// gapless takes iTunes' note of the encoder's delay and padding, which it writes into MP3 files as a comment.
func (t *id3Tag) gapless(desc, value string) {
	f := strings.Fields(value)
	if !strings.EqualFold(desc, "iTunSMPB") || len(f) < 4 {
		return
	}
	delay, err1 := strconv.ParseUint(f[1], 16, 16)
	padding, err2 := strconv.ParseUint(f[2], 16, 16)
	if err1 == nil && err2 == nil {
		t.p.info.EncoderDelay, t.p.info.EncoderPadding = int(delay), int(padding)
	}
}
