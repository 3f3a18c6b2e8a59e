package delivery

import (
	"strings"
	"unicode/utf8"
)

// Attachment is a Content-Disposition that has a browser save the body under name (RFC 6266). The name goes out twice
// where it needs to: in ASCII for old clients, and whole as filename* (RFC 8187), which wins where it is understood.
func Attachment(name string) string {
	name = safeFileName(name)
	var ascii strings.Builder
	plain := true
	for _, c := range name {
		switch {
		case c == '"' || c == '\\': // would need escapes that browsers disagree about (RFC 6266 appendix D)
			ascii.WriteByte('\'')
			plain = false
		case c == '%': // some take it for the start of an escape (same place)
			ascii.WriteByte('_')
			plain = false
		case c < 0x20 || c > 0x7e:
			ascii.WriteByte('_')
			plain = false
		default:
			ascii.WriteRune(c)
		}
	}
	s := `attachment; filename="` + ascii.String() + `"`
	if plain {
		return s
	}
	return s + "; filename*=UTF-8''" + extValue(name)
}

// maxFileName is the longest name, in bytes, that common file systems take.
const maxFileName = 255

// safeFileName makes s one valid UTF-8 file name without control characters or anything that could be a path.
func safeFileName(s string) string {
	s = strings.Map(func(c rune) rune {
		switch {
		case c == '/' || c == '\\':
			return '_'
		case c < 0x20 || c == 0x7f || c >= 0x80 && c < 0xa0:
			return -1
		case c == 0x200e || c == 0x200f || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069:
			return -1 // marks that turn the direction of text can make "exe.mp3" out of "3pm.exe"
		}
		return c
	}, strings.ToValidUTF8(s, "_"))
	if s == "" || s == "." || s == ".." {
		s = "track"
	}
	if len(s) > maxFileName {
		dot := strings.LastIndexByte(s, '.')
		ending := ""
		if dot > 0 && len(s)-dot <= 16 {
			ending = s[dot:]
		}
		cut := maxFileName - len(ending)
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + ending
	}
	return s
}

// extValue encodes s as an ext-value's value-chars (RFC 8187 §3.2.1).
func extValue(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("!#$&+-.^_`|~", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}
