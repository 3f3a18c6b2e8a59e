package peer

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// span is a part of an object: from start up to, but not including, end.
type span struct{ start, end int64 }

func (s span) length() int64 { return s.end - s.start }

// rangeAnswer is what a Range header leads to.
type rangeAnswer uint8

const (
	rangeWhole         rangeAnswer = iota // 200 with everything: there is no Range, or it is to be ignored
	rangePart                             // 206
	rangeUnsatisfiable                    // 416
)

// parseRange decides about a Range header (RFC 9110 §14.2) for size bytes. Members and nginx ask for one range at a
// time; a set of them is answered with the whole, which §14.2 allows. A malformed header is refused.
func parseRange(header string, size int64) (span, rangeAnswer) {
	unit, spec, ok := strings.Cut(header, "=")
	if !ok || !strings.EqualFold(unit, "bytes") || strings.Contains(spec, ",") {
		return span{}, rangeWhole
	}
	first, last, ok := strings.Cut(strings.TrimSpace(spec), "-")
	if !ok || first == "" && last == "" {
		return span{}, rangeUnsatisfiable
	}
	from, okFrom := parseNumber(first)
	to, okTo := parseNumber(last)
	if !okFrom || !okTo {
		return span{}, rangeUnsatisfiable
	}
	switch {
	case first == "": // the last so many bytes
		if to == 0 || size == 0 {
			return span{}, rangeUnsatisfiable
		}
		return span{max(0, size-to), size}, rangePart
	case from >= size || last != "" && to < from:
		return span{}, rangeUnsatisfiable
	case last == "" || to >= size-1:
		return span{from, size}, rangePart
	}
	return span{from, to + 1}, rangePart
}

// parseNumber reads digits; nothing reads as 0. A number too large for an int64 is still a number, far beyond any end.
func parseNumber(s string) (int64, bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	if s == "" {
		return 0, true
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return math.MaxInt64, true
	}
	return n, true
}

// parseContentRange reads the answer to a range (RFC 9110 §14.4): "bytes 0-99/1000". The whole's size is -1 for "*".
func parseContentRange(header string) (s span, size int64, ok bool) {
	rest, ok := strings.CutPrefix(header, "bytes ")
	if !ok {
		return span{}, 0, false
	}
	part, whole, ok := strings.Cut(rest, "/")
	first, last, okPart := strings.Cut(part, "-")
	if !ok || !okPart || first == "" || last == "" || whole == "" {
		return span{}, 0, false
	}
	from, okFrom := parseNumber(first)
	to, okTo := parseNumber(last)
	size, okSize := int64(-1), true
	if whole != "*" {
		size, okSize = parseNumber(whole)
	}
	if !okFrom || !okTo || !okSize || to < from || to == math.MaxInt64 || size >= 0 && to >= size {
		return span{}, 0, false
	}
	return span{from, to + 1}, size, true
}

func contentRange(s span, size int64) string {
	b := append(make([]byte, 0, 64), "bytes "...)
	b = strconv.AppendInt(b, s.start, 10)
	b = strconv.AppendInt(append(b, '-'), s.end-1, 10)
	return string(strconv.AppendInt(append(b, '/'), size, 10))
}

// isETag reports whether s is one whole entity-tag, with its quotes (RFC 9110 §8.8.3).
func isETag(s string) bool {
	s = strings.TrimPrefix(s, "W/")
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return false
	}
	for i := 1; i < len(s)-1; i++ {
		if c := s[i]; c != 0x21 && (c < 0x23 || c == 0x7f) {
			return false
		}
	}
	return true
}

// isFieldValue reports whether s may stand in a header as it is (RFC 9110 §5.5).
func isFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// strong reports whether two entity-tags are strong and equal (RFC 9110 §8.8.3.2).
func strong(a, b string) bool { return a == b && strings.HasPrefix(a, `"`) }

// ifMatch reports whether an If-Match header lets the request through (RFC 9110 §13.1.1). Members and nginx send one
// entity-tag, or the few that a person's tool may send without commas inside.
func ifMatch(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || strong(tag, etag) {
			return true
		}
	}
	return false
}

// ifRange reports whether an If-Range header lets the range be heeded (RFC 9110 §13.1.5).
func ifRange(header, etag string, modified time.Time) bool {
	header = strings.TrimSpace(header)
	if header == "" {
		return true
	}
	if strings.HasPrefix(header, `"`) || strings.HasPrefix(header, "W/") {
		return strong(header, etag)
	}
	t, err := http.ParseTime(header)
	return err == nil && !modified.IsZero() && t.Unix() == modified.Unix()
}
