package catalog

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// fold reduces a text to what people mean when they type it: lower case, compatibility forms resolved, and without
// the marks over and under letters. Letters that Unicode does not decompose but that keyboards lack are spelt out.
//
// Marks of scripts in which they are vowels (Devanagari, Thai, …) stay; those of Hebrew and Arabic, which most texts
// leave out, go. Decomposition is NFKD of Unicode Standard Annex #15.
func fold(s string) string {
	ascii := true
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || ('A' <= c && c <= 'Z') {
			ascii = false
			break
		}
	}
	if ascii {
		return s
	}
	return string(appendFold(make([]byte, 0, len(s)+8), s))
}

func appendFold(b []byte, s string) []byte {
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			b = append(b, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r < firstLatin || r > lastLatin {
			return appendFoldAny(b, s[i:])
		}
		b = append(b, foldedLatin[r-firstLatin]...)
		i += n
	}
	return b
}

// The letters of Latin-1 and Latin Extended-A, which are most letters in names that are not ASCII. What becomes of each
// does not depend on its neighbours: the marks that come off it are dropped.
const (
	firstLatin = 0xc0
	lastLatin  = 0x17f
)

var foldedLatin = func() (folded [lastLatin + 1 - firstLatin]string) {
	for i := range folded {
		folded[i] = string(appendFoldAny(nil, string(rune(firstLatin+i))))
	}
	return folded
}()

// appendFoldAny is appendFold for any text.
func appendFoldAny(b []byte, s string) []byte {
	for _, r := range norm.NFKD.String(s) {
		switch r = unicode.ToLower(r); r {
		case 'ß':
			b = append(b, "ss"...)
		case 'æ':
			b = append(b, "ae"...)
		case 'œ':
			b = append(b, "oe"...)
		case 'ø':
			b = append(b, 'o')
		case 'đ', 'ð':
			b = append(b, 'd')
		case 'ħ':
			b = append(b, 'h')
		case 'ł':
			b = append(b, 'l')
		case 'þ':
			b = append(b, "th"...)
		case 'ı':
			b = append(b, 'i')
		case 'ς':
			b = append(b, "σ"...)
		case '’', 'ʼ', '‘':
			b = append(b, '\'')
		default:
			if !dropped(r) {
				b = utf8.AppendRune(b, r)
			}
		}
	}
	return b
}

func dropped(r rune) bool {
	switch {
	case r < 0x300:
		return false
	case r <= 0x36f, // combining diacritical marks, and their supplements
		0x1ab0 <= r && r <= 0x1aff,
		0x1dc0 <= r && r <= 0x1dff,
		0x20d0 <= r && r <= 0x20ff,
		0xfe20 <= r && r <= 0xfe2f,
		0x0591 <= r && r <= 0x05c7 && unicode.Is(unicode.Mn, r), // Hebrew points
		0x064b <= r && r <= 0x065f, r == 0x0670:                 // Arabic vowels
		return true
	}
	return false
}

// maxWords bounds what one text contributes to the index, and one query asks of it.
const maxWords = 24

// eachWord calls fn with the words of a folded text: runs of letters and digits, an apostrophe inside one being
// nothing ("don't" is "dont"). Scripts that are written without spaces give overlapping pairs of characters, and the
// last character of a run alone, so that any part of a run is found by the pairs it is made of and any single
// character as a prefix. A text without a single letter or digit ("!!!", "÷") is one word as it stands.
func eachWord(folded string, fn func(word string)) {
	n := 0
	emit := func(w string) {
		if n++; n <= maxWords {
			fn(w)
		}
	}
	var buf [64]byte
	joined := buf[:0] // a word with an apostrophe taken out; empty where the word is a piece of the text
	start, found := -1, false
	flush := func(end int) {
		if start < 0 {
			return
		}
		found = true
		if len(joined) > 0 {
			emit(string(append(joined, folded[start:end]...)))
			joined = joined[:0]
		} else if end > start {
			emit(folded[start:end])
		}
		start = -1
	}
	prev := "" // the character before, within a run without spaces
	endRun := func() {
		if prev != "" {
			found = true
			emit(prev)
			prev = ""
		}
	}
	for i, w := 0, 0; i < len(folded); i += w {
		c := folded[i]
		if c < utf8.RuneSelf {
			w = 1
			endRun()
			switch {
			case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
				if start < 0 {
					start = i
				}
			case c == '\'' && start >= 0:
				joined = append(joined, folded[start:i]...)
				start = i + 1
			default:
				flush(i)
			}
			continue
		}
		var r rune
		r, w = utf8.DecodeRuneInString(folded[i:])
		ch := folded[i : i+w]
		switch {
		case unspaced(r):
			flush(i)
			if prev != "" {
				found = true
				emit(prev + ch)
			}
			prev = ch
		case unicode.IsLetter(r), unicode.IsDigit(r), unicode.IsMark(r):
			endRun()
			if start < 0 {
				start = i
			}
		default:
			endRun()
			flush(i)
		}
	}
	endRun()
	flush(len(folded))
	if !found {
		if s := strings.TrimSpace(folded); s != "" && len(s) <= 64 {
			fn(s)
		}
	}
}

// unspaced reports whether a character is of a script written without spaces between words. U+3099 and U+309A are
// the voicing marks that NFKD takes off kana; U+30FC is the long vowel.
func unspaced(r rune) bool {
	if r < 0x2e80 {
		return false
	}
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) || r == 0x30fc || r == 0x3099 || r == 0x309a
}

// queryWords returns the distinct words of a query. The single character that eachWord gives for the end of a run
// would demand that the run ends there, so it is left out where the run had pairs.
func queryWords(folded string) []string {
	var words []string
	eachWord(folded, func(w string) {
		if !slices.Contains(words, w) {
			words = append(words, w)
		}
	})
	return slices.DeleteFunc(words, func(w string) bool {
		r, n := utf8.DecodeRuneInString(w)
		return n == len(w) && unspaced(r) && slices.ContainsFunc(words, func(o string) bool { return len(o) > n && strings.HasSuffix(o, w) })
	})
}

// sortKey is what a name is sorted by where it has no sort name of its own: folded, without a leading article, with
// digits before letters as bytes have it.
func sortKey(name string, articles []string) string {
	f := strings.TrimSpace(fold(name))
	for _, a := range articles {
		if rest, ok := strings.CutPrefix(f, a); ok {
			if r := strings.TrimLeft(rest, " "); r != "" && (len(r) < len(rest) || strings.HasSuffix(a, "'")) {
				return r
			}
		}
	}
	return f
}
