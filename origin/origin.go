// Package origin holds what every origin of music shares: how names that are not text become paths, which of what lies
// there counts as music (Rules), and which media type a file's name promises. The origins themselves are in the packages
// below it; each implements tutti.Origin and passes the suite in origin/origintest.
package origin

import (
	"strings"
	"unicode/utf8"
)

// Paths in tutti are valid UTF-8, but the names of a Unix file system are any bytes without '/' and NUL, and old music
// collections have names in Latin-1 or Shift JIS. EscapeName maps a name to text without loss: a byte that is not part
// of valid UTF-8 becomes the private-use character U+EF00 plus the byte, which gives U+EF80…U+EFFF since ASCII is
// always valid. A name that holds such a character itself has its three bytes escaped too, so that different names
// never become the same text. (MirBSD's OPTU encodings use the same range for the same purpose.)
const (
	escapeBase  = 0xEF00
	escapeFirst = escapeBase + 0x80
	escapeLast  = escapeBase + 0xFF
)

// EscapeName returns the path element for the name of a file. Names that are valid UTF-8 and free of U+EF80…U+EFFF,
// as good as all, are returned unchanged.
func EscapeName(name string) string {
	if !needsEscape(name) {
		return name
	}
	var b strings.Builder
	b.Grow(3 * len(name))
	for len(name) > 0 {
		r, n := utf8.DecodeRuneInString(name)
		if (r == utf8.RuneError && n == 1) || (r >= escapeFirst && r <= escapeLast) {
			for _, c := range []byte(name[:n]) {
				b.WriteRune(escapeBase + rune(c))
			}
		} else {
			b.WriteString(name[:n])
		}
		name = name[n:]
	}
	return b.String()
}

func needsEscape(name string) bool {
	for i := 0; i < len(name); i++ {
		if name[i] >= utf8.RuneSelf {
			return !utf8.ValidString(name) || strings.ContainsFunc(name, escaped)
		}
	}
	return false
}

func escaped(r rune) bool { return r >= escapeFirst && r <= escapeLast }

// UnescapeName returns the name of the file that EscapeName made elem of. ok is false where EscapeName makes no name
// into elem, so that a file has only one path.
func UnescapeName(elem string) (name string, ok bool) {
	if !utf8.ValidString(elem) {
		return "", false
	}
	if !strings.ContainsFunc(elem, escaped) {
		return elem, true
	}
	b := make([]byte, 0, len(elem))
	for _, r := range elem {
		if escaped(r) {
			b = append(b, byte(r-escapeBase))
		} else {
			b = utf8.AppendRune(b, r)
		}
	}
	return string(b), EscapeName(string(b)) == elem
}

// UnescapePath is UnescapeName for every element of a slash-separated path.
func UnescapePath(path string) (string, bool) {
	if !strings.ContainsFunc(path, escaped) {
		return path, utf8.ValidString(path)
	}
	elems := strings.Split(path, "/")
	for i, e := range elems {
		name, ok := UnescapeName(e)
		if !ok {
			return "", false
		}
		elems[i] = name
	}
	return strings.Join(elems, "/"), true
}

// ReadableName is what a person is shown for a path element: escaped bytes are taken for Latin-1, the usual encoding
// of old Western collections, where each byte is the code point of its character.
func ReadableName(elem string) string {
	if !strings.ContainsFunc(elem, escaped) {
		return elem
	}
	return strings.Map(func(r rune) rune {
		if escaped(r) {
			return r - escapeBase
		}
		return r
	}, elem)
}

// contentTypes are the media types of what lies in music folders, by lower-case suffix: RFC 9639 §12.1 (FLAC),
// RFC 5334 (Ogg), RFC 3003 (MPEG), RFC 4337 (MP4), and the customary x- names where nothing is registered.
var contentTypes = map[string]string{
	"aac": "audio/aac", "aif": "audio/aiff", "aifc": "audio/aiff", "aiff": "audio/aiff", "ape": "audio/x-ape",
	"dff": "audio/x-dff", "dsf": "audio/x-dsf", "flac": "audio/flac", "m4a": "audio/mp4", "m4b": "audio/mp4", "mka": "audio/x-matroska",
	"mp2": "audio/mpeg", "mp3": "audio/mpeg", "mp4": "audio/mp4", "mpc": "audio/x-musepack", "oga": "audio/ogg", "ogg": "audio/ogg",
	"opus": "audio/ogg", "spx": "audio/ogg", "tak": "audio/x-tak", "tta": "audio/x-tta", "wav": "audio/wav", "weba": "audio/webm",
	"wma": "audio/x-ms-wma", "wv": "audio/x-wavpack",
	"gif": "image/gif", "jpeg": "image/jpeg", "jpg": "image/jpeg", "png": "image/png", "webp": "image/webp",
	"cue": "text/plain; charset=utf-8", "lrc": "text/plain; charset=utf-8", "m3u": "audio/x-mpegurl", "m3u8": "audio/x-mpegurl", "txt": "text/plain; charset=utf-8",
}

// ContentType is the media type that the name of a file promises, "application/octet-stream" where it promises none.
func ContentType(name string) string {
	if t, ok := contentTypes[Suffix(name)]; ok {
		return t
	}
	return "application/octet-stream"
}

// Suffix is the file name extension of a path in lower case, without the dot; "" where there is none.
func Suffix(path string) string {
	for i := len(path) - 1; i >= 0 && path[i] != '/'; i-- {
		if path[i] == '.' {
			return strings.ToLower(path[i+1:])
		}
	}
	return ""
}
