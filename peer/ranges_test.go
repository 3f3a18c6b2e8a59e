package peer

import (
	"net/http"
	"strings"
	"testing"
)

// FuzzRange holds what a Range header leads to against the bounds of the object, and writes it back as a
// Content-Range.
func FuzzRange(f *testing.F) {
	for _, s := range []string{"bytes=0-9", "bytes=5-", "bytes=-5", "bytes=9-5", "bytes=a", "bytes=0-0,5-6", "bytes= 1-2", "items=0-1", "bytes=-", "bytes=99999999999999999999-"} {
		f.Add(s, int64(10))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			size = -(size + 1)
		}
		s, verdict := parseRange(header, size)
		switch verdict {
		case rangePart:
			if s.start < 0 || s.end <= s.start || s.end > size {
				t.Errorf("%q of %d bytes is %+v", header, size, s)
			}
			got, whole, ok := parseContentRange(contentRange(s, size))
			if !ok || got != s || whole != size {
				t.Errorf("%+v of %d reads back as %+v of %d, %v", s, size, got, whole, ok)
			}
		case rangeWhole, rangeUnsatisfiable:
			if s != (span{}) {
				t.Errorf("%q of %d bytes is %+v though it is no part", header, size, s)
			}
		}
	})
}

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-9/10", "bytes 0-9/*", "bytes */10", "bytes 9-0/10", "bytes 0-10/10", "bytes -/", "bytes 0-9223372036854775807/*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		s, size, ok := parseContentRange(header)
		if ok && (s.start < 0 || s.end <= s.start || size < -1 || size >= 0 && s.end > size) {
			t.Errorf("%q is %+v of %d", header, s, size)
		}
	})
}

// FuzzFailure reads answers that say what went wrong, whoever gave them.
func FuzzFailure(f *testing.F) {
	f.Add("1", "5", "no such file", 404)
	f.Add("", "", "<html>", 502)
	f.Add("300", "-1", "\xff", 500)
	f.Fuzz(func(t *testing.T, kind, retry, body string, status int) {
		resp := &http.Response{StatusCode: status, Header: http.Header{headerKind: {kind}, "Retry-After": {retry}}, Body: nopBody{strings.NewReader(body)}}
		err := readFailure("op", resp)
		if err == nil || retryAfter(err) < 0 || len(userMessage(err)) > maxMessage {
			t.Errorf("%v", err)
		}
	})
}

type nopBody struct{ *strings.Reader }

func (nopBody) Close() error { return nil }
