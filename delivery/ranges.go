package delivery

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// span is a part of a representation: length bytes from start.
type span struct{ start, length int64 }

// contentRange formats the span for Content-Range (RFC 9110 §14.4).
func (s span) contentRange(size int64) string {
	b := make([]byte, 0, 64)
	b = append(b, "bytes "...)
	b = strconv.AppendInt(b, s.start, 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, s.start+s.length-1, 10)
	b = append(b, '/')
	return string(strconv.AppendInt(b, size, 10))
}

// rangeAnswer is what a Range header leads to.
type rangeAnswer uint8

const (
	rangeWhole         rangeAnswer = iota // 200 with everything: there is no Range, or it is to be ignored
	rangePart                             // 206 with one span
	rangeUnsatisfiable                    // 416
)

// maxRanges bounds how many ranges of one header are looked at.
const maxRanges = 64

// parseRange decides about a Range header (RFC 9110 §14.2) for a representation of size bytes.
//
//   - A unit other than bytes is ignored, as §14.2 demands.
//   - One satisfiable range is served. Of a set, those beyond the end are dropped (§14.1.2) and what is left is served
//     if it is one range.
//   - Several satisfiable ranges are answered with the whole, which §14.2 allows: no player asks for them, and a
//     multipart answer is a way to make a server send far more than the file.
//   - A header that is not well formed is rejected (416), as §14.2 also allows; net/http and nginx do the same.
//   - An empty representation has no ranges to select: the header is ignored.
func parseRange(header string, size int64) (span, rangeAnswer) {
	unit, set, ok := strings.Cut(header, "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return span{}, rangeWhole
	}
	var found []span
	specs, count := 0, 0
	for spec := range strings.SplitSeq(set, ",") {
		if count++; count > maxRanges {
			return span{}, rangeWhole
		}
		spec = strings.Trim(spec, " \t")
		if spec == "" {
			continue // empty list elements are to be tolerated (RFC 9110 §5.6.1.2)
		}
		specs++
		first, last, ok := strings.Cut(spec, "-")
		if !ok {
			return span{}, rangeUnsatisfiable
		}
		s, valid := parseSpan(strings.Trim(first, " \t"), strings.Trim(last, " \t"), size)
		if !valid {
			return span{}, rangeUnsatisfiable
		}
		if s.length > 0 {
			found = append(found, s)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], rangePart
	case len(found) > 1, specs == 0, size == 0:
		return span{}, rangeWhole
	}
	return span{}, rangeUnsatisfiable
}

// parseSpan reads "first-last", "first-" or "-suffix". A range without any byte of the representation has length 0.
func parseSpan(first, last string, size int64) (s span, valid bool) {
	if first == "" {
		suffix, ok := parseNumber(last)
		if !ok {
			return span{}, false
		}
		suffix = min(suffix, size)
		return span{size - suffix, suffix}, true
	}
	from, ok := parseNumber(first)
	if !ok {
		return span{}, false
	}
	to := size - 1
	if last != "" {
		n, ok := parseNumber(last)
		if !ok || n < from {
			return span{}, false
		}
		to = min(to, n)
	}
	if from >= size {
		return span{}, true
	}
	return span{from, to - from + 1}, true
}

// parseNumber reads digits. A number too large for an int64 is still a number, far beyond any end.
func parseNumber(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 1<<63 - 1, true
	}
	return n, true
}

// validators name a version of a representation. etag is a whole entity-tag with its quotes, or "" for none; a zero
// modified is unknown.
type validators struct {
	etag     string
	modified time.Time
}

// precondition is the outcome of a request's conditional headers.
type precondition uint8

const (
	proceed      precondition = iota
	notModified               // 304
	failedBefore              // 412
)

// check evaluates the conditional headers in the order of RFC 9110 §13.2.2, except for If-Range. A method other than
// GET and HEAD is one that a wire answers like GET (OpenSubsonic's form POST).
func (v validators) check(r *http.Request) precondition {
	h := r.Header
	switch {
	case h.Get("If-Match") != "":
		if !matchAny(h["If-Match"], v.etag, strongMatch) {
			return failedBefore
		}
	case h.Get("If-Unmodified-Since") != "":
		if t, err := http.ParseTime(h.Get("If-Unmodified-Since")); err == nil && !v.modified.IsZero() && v.modified.Unix() > t.Unix() {
			return failedBefore
		}
	}
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case h.Get("If-None-Match") != "":
		if matchAny(h["If-None-Match"], v.etag, weakMatch) {
			if safe {
				return notModified
			}
			return failedBefore
		}
	case safe && h.Get("If-Modified-Since") != "":
		if t, err := http.ParseTime(h.Get("If-Modified-Since")); err == nil && !v.modified.IsZero() && v.modified.Unix() <= t.Unix() {
			return notModified
		}
	}
	return proceed
}

// rangeApplies evaluates If-Range (RFC 9110 §13.1.5): whether a Range header is to be heeded. A date counts only if it
// is exactly ours, and an entity-tag only if both are strong.
func (v validators) rangeApplies(h http.Header) bool {
	s := strings.TrimSpace(h.Get("If-Range"))
	if s == "" {
		return true
	}
	if tag, rest, ok := cutETag(s); ok {
		return rest == "" && strongMatch(tag, v.etag)
	}
	t, err := http.ParseTime(s)
	return err == nil && !v.modified.IsZero() && t.Unix() == v.modified.Unix()
}

// set puts the validators into the header.
func (v validators) set(h http.Header) {
	if v.etag != "" {
		h.Set("ETag", v.etag)
	}
	if !v.modified.IsZero() {
		h.Set("Last-Modified", v.modified.UTC().Format(http.TimeFormat))
	}
}

// matchAny reports whether a list of entity-tags, or "*", names the representation whose tag is etag.
func matchAny(values []string, etag string, match func(a, b string) bool) bool {
	for _, s := range values {
		for {
			s = strings.TrimLeft(s, " \t,")
			if s == "" {
				break
			}
			if s[0] == '*' {
				return true
			}
			tag, rest, ok := cutETag(s)
			if !ok {
				break
			}
			if match(tag, etag) {
				return true
			}
			s = rest
		}
	}
	return false
}

func strongMatch(a, b string) bool { return a == b && strings.HasPrefix(a, `"`) }

func weakMatch(a, b string) bool {
	return b != "" && strings.TrimPrefix(a, "W/") == strings.TrimPrefix(b, "W/")
}

// cutETag takes an entity-tag (RFC 9110 §8.8.3) off the front of s.
func cutETag(s string) (tag, rest string, ok bool) {
	start := 0
	if strings.HasPrefix(s, "W/") {
		start = 2
	}
	if len(s)-start < 2 || s[start] != '"' {
		return "", "", false
	}
	for i := start + 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[:i+1], strings.TrimLeft(s[i+1:], " \t"), true
		case c == 0x21 || c >= 0x23 && c <= 0x7e || c >= 0x80:
		default:
			return "", "", false
		}
	}
	return "", "", false
}
