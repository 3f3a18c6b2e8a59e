package subsonic

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// encoder writes one answer in either of the two forms from one description of it, by appending: no reflection and no
// intermediate values, because a list of albums is the most frequent answer there is and both encoding/json and
// encoding/xml spend more on one than the catalogue does on finding it.
//
// The forms differ as OpenSubsonic's examples show. A scalar is a member in JSON and an attribute in XML; an object is
// a member and a child element; an array is an array and a repeated child element, so an empty one leaves no trace in
// XML. The member called "value" of genres and of lines of lyrics is the element's text (see text).
//
// XML wants an element's attributes before its children, so whoever describes an object writes its scalars first.
// Doing otherwise panics: it is a defect of the description that the first test to reach it finds, whatever the data.
type encoder struct {
	buf    []byte
	xml    bool
	frames []frame
}

type frame struct {
	name    string
	array   bool
	members int  // JSON: whether a comma is due
	inTag   bool // XML: the start tag still takes attributes
}

func (e *encoder) top() *frame { return &e.frames[len(e.frames)-1] }

// member begins a JSON member of the current object.
func (e *encoder) member(name string) {
	f := e.top()
	if f.members > 0 {
		e.buf = append(e.buf, ',')
	}
	f.members++
	e.buf = append(e.buf, '"')
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, '"', ':')
}

// attribute begins an XML attribute of the current element.
func (e *encoder) attribute(name string) {
	if !e.top().inTag {
		panic("subsonic: " + name + " is described after the children of " + e.top().name)
	}
	e.buf = append(e.buf, ' ')
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, '=', '"')
}

// leaveTag ends the current element's start tag, if it is still open.
func (e *encoder) leaveTag() {
	if f := e.top(); f.inTag {
		e.buf = append(e.buf, '>')
		f.inTag = false
	}
}

func (e *encoder) startTag(name string) {
	e.buf = append(e.buf, '<')
	e.buf = append(e.buf, name...)
}

func (e *encoder) endTag(name string) {
	e.buf = append(e.buf, '<', '/')
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, '>')
}

// open begins an object as a member of the current one; close ends it.
func (e *encoder) open(name string) {
	if e.xml {
		e.leaveTag()
		e.startTag(name)
	} else {
		e.member(name)
		e.buf = append(e.buf, '{')
	}
	e.frames = append(e.frames, frame{name: name, inTag: e.xml})
}

func (e *encoder) close() {
	f := *e.top()
	e.frames = e.frames[:len(e.frames)-1]
	switch {
	case !e.xml:
		e.buf = append(e.buf, '}')
	case f.inTag:
		e.buf = append(e.buf, '/', '>')
	default:
		e.endTag(f.name)
	}
}

// array begins an array; each begins its next object, which close ends; endArray ends it.
func (e *encoder) array(name string) {
	if e.xml {
		// The parent's start tag stays open: an array without elements leaves nothing behind.
		e.frames = append(e.frames, frame{name: name, array: true})
		return
	}
	e.member(name)
	e.buf = append(e.buf, '[')
	e.frames = append(e.frames, frame{name: name, array: true})
}

func (e *encoder) each() {
	f := e.top()
	if e.xml {
		if parent := &e.frames[len(e.frames)-2]; parent.inTag {
			e.buf = append(e.buf, '>')
			parent.inTag = false
		}
		e.startTag(f.name)
	} else {
		if f.members > 0 {
			e.buf = append(e.buf, ',')
		}
		e.buf = append(e.buf, '{')
	}
	f.members++
	e.frames = append(e.frames, frame{name: f.name, inTag: e.xml})
}

func (e *encoder) endArray() {
	e.frames = e.frames[:len(e.frames)-1]
	if !e.xml {
		e.buf = append(e.buf, ']')
	}
}

func (e *encoder) str(name, v string) {
	if e.xml {
		e.attribute(name)
		e.buf = append(appendXML(e.buf, v), '"')
		return
	}
	e.member(name)
	e.buf = appendJSON(e.buf, v)
}

// known writes a string that means nothing when empty.
func (e *encoder) known(name, v string) {
	if v != "" {
		e.str(name, v)
	}
}

func (e *encoder) raw(name string, v []byte) {
	if e.xml {
		e.attribute(name)
		e.buf = append(append(e.buf, v...), '"')
		return
	}
	e.member(name)
	e.buf = append(e.buf, v...)
}

func (e *encoder) int(name string, v int64) {
	var digits [20]byte
	e.raw(name, strconv.AppendInt(digits[:0], v, 10))
}

// positive writes a number that means nothing unless it is above zero.
func (e *encoder) positive(name string, v int64) {
	if v > 0 {
		e.int(name, v)
	}
}

// float leaves out what JSON cannot say: a tag may well hold "nan".
func (e *encoder) float(name string, v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return
	}
	var digits [32]byte
	e.raw(name, strconv.AppendFloat(digits[:0], v, 'f', -1, 64))
}

func (e *encoder) bool(name string, v bool) {
	var word [5]byte
	e.raw(name, strconv.AppendBool(word[:0], v))
}

// timeLayout is RFC 3339 in UTC to the millisecond, which every client's parser is known to read.
const timeLayout = "2006-01-02T15:04:05.000Z"

// time leaves out the zero time, which is "never" or "unknown" everywhere in the catalogue.
func (e *encoder) time(name string, t time.Time) {
	if t.IsZero() {
		return
	}
	e.timeAlways(name, t)
}

// timeAlways writes a time that must be there; what is not known is the beginning of 1970.
func (e *encoder) timeAlways(name string, t time.Time) {
	t = t.UTC()
	if y := t.Year(); t.IsZero() || y < 1 || y > 9999 { // RFC 3339 §5.6 has four digits for it
		t = time.Unix(0, 0).UTC()
	}
	var b [32]byte
	v := b[:0]
	if !e.xml {
		v = append(v, '"')
	}
	v = t.AppendFormat(v, timeLayout)
	if !e.xml {
		v = append(v, '"')
	}
	e.raw(name, v)
}

// text writes the member "value", which in XML is the element's text.
func (e *encoder) text(v string) {
	if e.xml {
		e.leaveTag()
		e.buf = appendXML(e.buf, v)
		return
	}
	e.str("value", v)
}

func (e *encoder) strings(name string, vs []string) {
	if e.xml {
		for _, v := range vs {
			e.leaveTag()
			e.startTag(name)
			e.buf = append(e.buf, '>')
			e.buf = appendXML(e.buf, v)
			e.endTag(name)
		}
		return
	}
	e.member(name)
	e.buf = append(e.buf, '[')
	for i, v := range vs {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		e.buf = appendJSON(e.buf, v)
	}
	e.buf = append(e.buf, ']')
}

func (e *encoder) ints(name string, vs []int64) {
	if !e.xml {
		e.member(name)
		e.buf = append(e.buf, '[')
	}
	for i, v := range vs {
		switch {
		case e.xml:
			e.leaveTag()
			e.startTag(name)
			e.buf = append(e.buf, '>')
		case i > 0:
			e.buf = append(e.buf, ',')
		}
		e.buf = strconv.AppendInt(e.buf, v, 10)
		if e.xml {
			e.endTag(name)
		}
	}
	if !e.xml {
		e.buf = append(e.buf, ']')
	}
}

const hexDigits = "0123456789abcdef"

// appendJSON appends a JSON string (RFC 8259 §7). Bytes that are not UTF-8 become U+FFFD; U+2028 and U+2029, which end
// lines in JavaScript, are escaped for JSONP.
func appendJSON(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= 0x20 && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(append(dst, s[start:i]...), "\ufffd"...)
			start = i + size
		case r == '\u2028' || r == '\u2029':
			dst = append(append(dst, s[start:i]...), `\u202`...)
			dst = append(dst, hexDigits[r&15])
			start = i + size
		}
		i += size
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// appendXML appends text that is right both between tags and between double quotes. What XML 1.0 (§2.2) has no
// character for becomes U+FFFD; tabs and line ends are written as references, or attributes would lose them (§3.3.3).
func appendXML(dst []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		var esc string
		switch {
		case r == '&':
			esc = "&amp;"
		case r == '<':
			esc = "&lt;"
		case r == '>':
			esc = "&gt;"
		case r == '"':
			esc = "&#34;"
		case r == '\t':
			esc = "&#9;"
		case r == '\n':
			esc = "&#10;"
		case r == '\r':
			esc = "&#13;"
		case r < 0x20, r == utf8.RuneError && size == 1, r == 0xFFFE, r == 0xFFFF:
			esc = "\ufffd"
		default:
			i += size
			continue
		}
		dst = append(append(dst, s[start:i]...), esc...)
		i += size
		start = i
	}
	return append(dst, s[start:]...)
}
