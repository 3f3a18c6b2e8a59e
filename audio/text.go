package audio

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"
)

// windows1252 maps 0x80 to 0x9F, which in ISO 8859-1 are control characters that no tag means; programs on Windows
// wrote typographic quotes and dashes there. https://encoding.spec.whatwg.org/#index-windows-1252
var windows1252 = [32]rune{
	0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D, 0x017D, 0x8F,
	0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D, 0x017E, 0x0178,
}

// latin1 decodes ISO 8859-1 with the Windows extension.
func latin1(b []byte) string {
	ascii := true
	for _, c := range b {
		if c >= 0x80 {
			ascii = false
			break
		}
	}
	if ascii {
		return string(b)
	}
	var s strings.Builder
	s.Grow(len(b) + 8)
	for _, c := range b {
		if c >= 0x80 && c < 0xA0 {
			s.WriteRune(windows1252[c-0x80])
		} else {
			s.WriteRune(rune(c))
		}
	}
	return s.String()
}

// utf8OrLatin1 decodes text whose writer should have used UTF-8 but may not have.
func utf8OrLatin1(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return latin1(b)
}

// utf16String decodes UTF-16 in the given order unless a byte order mark says otherwise. Lone surrogates become U+FFFD.
func utf16String(b []byte, order binary.ByteOrder) string {
	if len(b) >= 2 {
		switch {
		case b[0] == 0xFF && b[1] == 0xFE:
			order, b = binary.LittleEndian, b[2:]
		case b[0] == 0xFE && b[1] == 0xFF:
			order, b = binary.BigEndian, b[2:]
		}
	}
	var s strings.Builder
	s.Grow(len(b) / 2)
	for len(b) >= 2 {
		r := rune(order.Uint16(b))
		b = b[2:]
		if utf16.IsSurrogate(r) {
			low := rune(0)
			if len(b) >= 2 {
				low = rune(order.Uint16(b))
			}
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				b = b[2:]
			}
		}
		s.WriteRune(r)
	}
	return s.String()
}

// decodeText decodes a small text file of unknown encoding: byte order marks first, then UTF-8, UTF-16 by its zero
// bytes, Shift JIS where it is valid and has kana, and Windows-1252 for the rest.
func decodeText(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte("\xEF\xBB\xBF")):
		return strings.ToValidUTF8(string(b[3:]), "\uFFFD")
	case bytes.HasPrefix(b, []byte("\xFF\xFE")), bytes.HasPrefix(b, []byte("\xFE\xFF")):
		return utf16String(b, binary.LittleEndian)
	}
	var zeros [2]int
	for i, c := range b[:min(len(b), 512)] {
		if c == 0 {
			zeros[i&1]++
		}
	}
	switch n := min(len(b), 512); {
	case zeros[1] > n/4 && zeros[0] <= n/16:
		return utf16String(b, binary.LittleEndian)
	case zeros[0] > n/4 && zeros[1] <= n/16:
		return utf16String(b, binary.BigEndian)
	}
	if utf8.Valid(b) {
		return string(b)
	}
	if s, err := japanese.ShiftJIS.NewDecoder().Bytes(b); err == nil && looksJapanese(string(s)) {
		return string(s)
	}
	return latin1(b)
}

// looksJapanese reports whether text that was decoded as Shift JIS has full-width kana and no undecodable bytes.
// Windows-1252 text hardly ever passes: its accented letters are single bytes between ASCII ones, which Shift JIS
// takes for half-width kana or for halves of a character.
func looksJapanese(s string) bool {
	kana := 0
	for _, r := range s {
		switch {
		case r == utf8.RuneError:
			return false
		case r >= 0x3041 && r <= 0x30FE:
			kana++
		}
	}
	return kana >= 2
}

// clean trims what taggers leave around a value: spaces and the NULs of fixed-size fields.
func clean(s string) string {
	return strings.Trim(s, " \t\r\n\x00")
}
