package delivery

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseRange(t *testing.T) {
	for _, test := range []struct {
		header string
		size   int64
		want   span
		answer rangeAnswer
	}{
		// The examples of RFC 9110 §14.1.2, on 10,000 bytes.
		{"bytes=0-499", 10000, span{0, 500}, rangePart},
		{"bytes=500-999", 10000, span{500, 500}, rangePart},
		{"bytes=-500", 10000, span{9500, 500}, rangePart},
		{"bytes=9500-", 10000, span{9500, 500}, rangePart},
		{"bytes=0-0,-1", 10000, span{}, rangeWhole},
		{"bytes= 0-999, 4500-5499, -1000", 10000, span{}, rangeWhole},
		{"bytes=500-600,601-999", 10000, span{}, rangeWhole},
		{"bytes=500-700,601-999", 10000, span{}, rangeWhole},

		{"bytes=0-", 10000, span{0, 10000}, rangePart},
		{"bytes=0-20000", 10000, span{0, 10000}, rangePart},
		{"bytes=-20000", 10000, span{0, 10000}, rangePart},
		{"bytes=9999-9999", 10000, span{9999, 1}, rangePart},
		{"bytes=0-99999999999999999999999", 10000, span{0, 10000}, rangePart},
		{"bytes=-99999999999999999999999", 10000, span{0, 10000}, rangePart},
		{"BYTES=0-1", 10000, span{0, 2}, rangePart}, // range units are case-insensitive (§14.1)
		{"bytes=0-1,", 10000, span{0, 2}, rangePart},
		{"bytes=,,0-1", 10000, span{0, 2}, rangePart},
		{"bytes=0-1,20000-", 10000, span{0, 2}, rangePart}, // what cannot be satisfied drops out

		{"bytes=10000-", 10000, span{}, rangeUnsatisfiable},
		{"bytes=10000-10001,30000-", 10000, span{}, rangeUnsatisfiable},
		{"bytes=-0", 10000, span{}, rangeUnsatisfiable},
		{"bytes=99999999999999999999999-", 10000, span{}, rangeUnsatisfiable},

		{"bytes=5-4", 10000, span{}, rangeUnsatisfiable},
		{"bytes=a-b", 10000, span{}, rangeUnsatisfiable},
		{"bytes=1", 10000, span{}, rangeUnsatisfiable},
		{"bytes=-", 10000, span{}, rangeUnsatisfiable},
		{"bytes=--1", 10000, span{}, rangeUnsatisfiable},
		{"bytes=+1-2", 10000, span{}, rangeUnsatisfiable},
		{"bytes=0x1-2", 10000, span{}, rangeUnsatisfiable},
		{"bytes=0-1;5-6", 10000, span{}, rangeUnsatisfiable},

		{"seconds=1-2", 10000, span{}, rangeWhole}, // a unit that we do not have
		{"bytes", 10000, span{}, rangeWhole},
		{"", 10000, span{}, rangeWhole},
		{"bytes=", 10000, span{}, rangeWhole},
		{"bytes=0-", 0, span{}, rangeWhole},
		{"bytes=" + strings.Repeat("0-0,", maxRanges+1), 10000, span{}, rangeWhole},
	} {
		if got, answer := parseRange(test.header, test.size); got != test.want || answer != test.answer {
			t.Errorf("%q of %d: %v %v, want %v %v", test.header, test.size, got, answer, test.want, test.answer)
		}
	}
}

// TestRangeLikeNetHTTP compares with http.ServeContent, which has served the world for years: for any single range it
// must be the same bytes under the same status. "-0" is left out, to which net/http answers 206 with a Content-Range
// that ends before it begins; so are numbers over 18 digits, which it calls malformed, signs, which it reads, and empty content.
func TestRangeLikeNetHTTP(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		content := noise(rapid.IntRange(1, 300).Draw(t, "size"))
		header := "bytes=" + rapid.StringMatching(`[ ]?(0|[1-9][0-9]{0,2}|[0-9]{1,18})?[ ]?-[ ]?([1-9][0-9]{0,2}|[1-9][0-9]{1,17})?[ ]?|[0-9a ]{0,4}-?[0-9a ]{0,4}`).Draw(t, "range")
		if strings.Trim(header[6:], "- 0") == "" && strings.ContainsRune(header, '0') && strings.HasPrefix(strings.TrimSpace(header[6:]), "-") {
			t.Skip("a suffix of nothing")
		}
		compareWithNetHTTP(t, content, header)
	})
}

func compareWithNetHTTP(t interface {
	Helper()
	Errorf(string, ...any)
}, content []byte, header string,
) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Range", header)
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "audio/flac")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))

	part, answer := parseRange(header, int64(len(content)))
	status, body, contentRange := http.StatusOK, content, ""
	switch answer {
	case rangePart:
		status, body = http.StatusPartialContent, content[part.start:part.start+part.length]
		contentRange = part.contentRange(int64(len(content)))
	case rangeUnsatisfiable:
		status = http.StatusRequestedRangeNotSatisfiable
	}
	if status != w.Code {
		t.Errorf("%q of %d bytes: %d, but net/http says %d", header, len(content), status, w.Code)
		return
	}
	if status < 400 && (!bytes.Equal(body, w.Body.Bytes()) || contentRange != w.Header().Get("Content-Range")) {
		t.Errorf("%q of %d bytes: %s with %d bytes, but net/http sends %s with %d", header, len(content), contentRange, len(body), w.Header().Get("Content-Range"), w.Body.Len())
	}
}

// FuzzParseRange: whatever the header, an answered span lies within the representation.
func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"bytes=0-499", "bytes=-1", "bytes=5-", "bytes=0-0,-1", "bytes=9-1", "items=1-2", "bytes=-0", "bytes=1-99999999999999999999"} {
		f.Add(s, int64(10000))
	}
	f.Add("bytes=0-", int64(1<<63-1))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		s, answer := parseRange(header, size)
		if answer != rangePart {
			if s != (span{}) {
				t.Errorf("%q: a span without its answer", header)
			}
			return
		}
		if s.start < 0 || s.length <= 0 || s.start > size-s.length {
			t.Errorf("%q of %d: %v is not within", header, size, s)
		}
		if want := "/" + strconv.FormatInt(size, 10); !strings.HasSuffix(s.contentRange(size), want) {
			t.Errorf("%q: %s", header, s.contentRange(size))
		}
	})
}

// TestConditionsLikeNetHTTP draws conditional headers and compares the outcome with http.ServeContent.
func TestConditionsLikeNetHTTP(t *testing.T) {
	tag := rapid.SampledFrom([]string{`"a"`, `"b"`, `W/"a"`, `W/"b"`, `*`, `"a", "b"`, `"c" , W/"a"`, `a`, `"a`, ``, `"b",`})
	date := rapid.SampledFrom([]string{
		modTime.Format(http.TimeFormat), modTime.Add(-time.Second).Format(http.TimeFormat), modTime.Add(time.Hour).Format(http.TimeFormat),
		"yesterday", "", modTime.Format(time.RFC850), modTime.Format(time.ANSIC),
	})
	content := noise(100)
	rapid.Check(t, func(t *rapid.T) {
		r := httptest.NewRequest(rapid.SampledFrom([]string{"GET", "HEAD"}).Draw(t, "method"), "/", nil)
		for name, gen := range map[string]*rapid.Generator[string]{"If-Match": tag, "If-None-Match": tag, "If-Modified-Since": date, "If-Unmodified-Since": date} {
			if rapid.Bool().Draw(t, name) {
				r.Header.Set(name, gen.Draw(t, name+" value"))
			}
		}
		switch rapid.IntRange(0, 2).Draw(t, "If-Range") {
		case 1:
			r.Header.Set("If-Range", rapid.SampledFrom([]string{`"a"`, `"b"`, `W/"a"`}).Draw(t, "tag"))
		case 2:
			r.Header.Set("If-Range", date.Draw(t, "date"))
		}
		r.Header.Set("Range", "bytes=10-19")
		v := validators{etag: rapid.SampledFrom([]string{`"a"`, ``}).Draw(t, "etag"), modified: modTime}

		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", "audio/flac")
		if v.etag != "" {
			w.Header().Set("ETag", v.etag)
		}
		http.ServeContent(w, r, "", modTime, bytes.NewReader(content))

		status := http.StatusOK
		switch v.check(r) {
		case notModified:
			status = http.StatusNotModified
		case failedBefore:
			status = http.StatusPreconditionFailed
		default:
			if v.rangeApplies(r.Header) {
				status = http.StatusPartialContent
			}
		}
		if status != w.Code {
			t.Errorf("%v with our tag %q: %d, but net/http says %d", r.Header, v.etag, status, w.Code)
		}
	})
}

// FuzzETags: reading a list of entity-tags ends, and finds ours only where it is.
func FuzzETags(f *testing.F) {
	for _, s := range []string{`"a"`, `W/"a", "b"`, `*`, `"`, `W/`, `,,,`, `"a"x"b"`, "\"\x7f\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if matchAny([]string{s}, `"needle"`, strongMatch) && !strings.Contains(s, `"needle"`) && !strings.Contains(s, "*") {
			t.Errorf("%q matched", s)
		}
		(validators{etag: `"needle"`}).rangeApplies(http.Header{"If-Range": {s}})
	})
}
