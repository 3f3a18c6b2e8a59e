package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// TestLongForms posts what an app posts that saves a play queue of 100,000 songs. The form must be read to its end: the
// answer is about the songs, which are not there, and not about the form.
func TestLongForms(t *testing.T) {
	clean(t)
	s, err := parse(t, "serve", "--listen", "127.0.0.1:0", "--data", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	n := newNode(&s, slog.New(slog.DiscardHandler))
	defer func() {
		if err := n.close(); err != nil {
			t.Error(err)
		}
	}()
	if err := n.build(t.Context(), "all"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.accounts.EnsureAdmin(t.Context(), "admin", "a good password"); err != nil {
		t.Fatal(err)
	}
	const song = "tr-0000000000001"
	form := url.Values{"u": {"admin"}, "p": {"a good password"}, "v": {"1.16.1"}, "c": {"test"}, "f": {"json"}, "current": {song}}
	body := form.Encode() + strings.Repeat("&id="+song, 100_000)
	r := httptest.NewRequest(http.MethodPost, "/rest/savePlayQueue", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	n.server.ServeHTTP(w, r)
	if got := w.Body.String(); !strings.Contains(got, fmt.Sprintf("%q:70", "code")) {
		t.Errorf("%d, %.300s", w.Code, got)
	}
}
