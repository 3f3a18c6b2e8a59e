package api

import (
	"bufio"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tutti"
	"tutti/audio/encode"
	"tutti/clock"
	folders "tutti/origin/folder"
)

// ffmpeg converts music as the server does.
func ffmpeg(t *testing.T) func(*folders.Origin) tutti.Source {
	return func(o *folders.Origin) tutti.Source {
		return made(encode.New(encode.Config{Files: o, Clock: clock.System, Logger: slog.New(slog.DiscardHandler)}))(t)
	}
}

// scanned puts one real file into the house and has the real scanner find it.
func scanned(t *testing.T, transcoders ...func(*folders.Origin) tutti.Source) (*house, track, []byte) {
	t.Helper()
	// A scan reports as true time goes by, and so do connections' deadlines; only the API's own clock stands still.
	h := openAt(t, clock.NewFake(clock.System.Now()), clock.System, transcoders...)
	content := wav()
	must(t, os.WriteFile(filepath.Join(h.music, "tone.wav"), content, 0o600))
	if w := h.ask(admin, "POST scan", `{"full":true}`); w.Code != http.StatusAccepted {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	done := tutti.Errorf(tutti.KindConflict, "test", "done")
	err := h.catalog.WatchScan(ctx, func(s tutti.ScanStatus) error {
		if !s.Scanning && s.Tracks == 1 {
			return done
		}
		return nil
	})
	if err != done { //nolint:errorlint // the very same value comes back, or the test fails
		t.Fatal(err)
	}
	list := decode[window[track]](t, h.ask(listener, "GET tracks", ""))
	if list.Total != 1 {
		t.Fatalf("%d tracks, want 1", list.Total)
	}
	return h, list.Items[0], content
}

func TestStreams(t *testing.T) {
	h, tr, content := scanned(t)
	path := "tracks/" + string(tr.ID)
	w := h.ask(admin, "GET "+path+"/stream?format=raw", "")
	if w.Code != http.StatusOK || w.Body.String() != string(content) {
		t.Fatalf("%d, %d bytes, want the %d of the file", w.Code, w.Body.Len(), len(content))
	}
	if ct := w.Header().Get("Content-Type"); ct != tr.ContentType {
		t.Errorf("Content-Type %q, want %q", ct, tr.ContentType)
	}
	r := h.request(admin, "GET "+path+"/stream?format=raw", "")
	r.Header.Set("Range", "bytes=44-143")
	if w := h.do(r); w.Code != http.StatusPartialContent || w.Body.String() != string(content[44:144]) {
		t.Errorf("%d, %d bytes, want bytes 44 to 143", w.Code, w.Body.Len())
	}
	if w := h.ask(admin, "HEAD "+path+"/stream?format=raw", ""); w.Code != http.StatusOK || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD: %d with %d bytes", w.Code, w.Body.Len())
	}
	if w := h.ask(admin, "GET "+path+"/download", ""); !strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("download: %d, Content-Disposition %q", w.Code, w.Header().Get("Content-Disposition"))
	}
	if w := h.ask(listener, "GET "+path+"/download", ""); w.Code != http.StatusForbidden {
		t.Errorf("download without the role: %d", w.Code)
	}
	// 128 kbit/s of PCM is below the listener's limit, and the house has no transcoder: both must show.
	if w := h.ask(listener, "GET "+path+"/stream?maxRate=64", ""); w.Code == http.StatusOK {
		t.Errorf("a stream of at most 64 kbit/s was served from an original of %d", tr.BitRate)
	}
	if w := h.ask(listener, "GET tracks/tr-0000000000099/stream", ""); w.Code != http.StatusNotFound || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("no such track: %d %s", w.Code, w.Header().Get("Content-Type"))
	}
	if w := h.ask(listener, "GET covers/"+string(tr.ID), ""); w.Code != http.StatusNotFound {
		t.Errorf("a cover where there is none: %d", w.Code)
	}
}

func TestPlan(t *testing.T) {
	h, tr, content := scanned(t, ffmpeg(t))
	path := "GET tracks/" + string(tr.ID) + "/plan"
	rules := newRules(t)
	for query, want := range map[string]plan{
		"": {
			Codec: "pcm", ContentType: tr.ContentType, BitRate: tr.BitRate, SampleRate: tr.SampleRate, BitDepth: tr.BitDepth, Channels: tr.Channels,
			Size: int64(len(content)), Original: true, Lossless: true, Ready: true, Reason: "original, bit for bit",
		},
		"?format=flac": {
			Codec: "flac", ContentType: "audio/flac", SampleRate: tr.SampleRate, BitDepth: tr.BitDepth, Channels: tr.Channels, Lossless: true,
			Reason: "converted to flac without loss: the player asked for flac",
		},
		"?format=opus&maxRate=64": {
			Codec: "opus", ContentType: "audio/ogg", BitRate: 64, SampleRate: 48000, Channels: tr.Channels,
			Reason: "converted to opus at 64 kbit/s: the original's 128 kbit/s are more than the 64 asked for",
		},
	} {
		w := h.ask(listener, path+query, "")
		rules.check(t, path+query, w.Code, w.Header().Get("Content-Type"), w.Body.Bytes())
		if got := decode[plan](t, w); got != want {
			t.Errorf("%q: %+v, want %+v", query, got, want)
		}
	}
}

func TestPeaks(t *testing.T) {
	h, tr, _ := scanned(t, ffmpeg(t))
	path := "GET tracks/" + string(tr.ID) + "/peaks?points=7"
	w := h.ask(listener, path, "")
	for tries := 0; w.Code == http.StatusServiceUnavailable && tries < 20; tries++ { // each waits a while by itself
		if w.Header().Get("Retry-After") != "1" {
			t.Fatalf("Retry-After %q", w.Header().Get("Retry-After"))
		}
		w = h.ask(listener, path, "")
	}
	newRules(t).check(t, path, w.Code, w.Header().Get("Content-Type"), w.Body.Bytes())
	got := decode[peaks](t, w)
	if len(got.Points) != 7 || len(got.RMS) != 7 || got.DurationMs != tr.DurationMs {
		t.Fatalf("%+v of a track of %d ms", got, tr.DurationMs)
	}
	for i, v := range got.Points {
		if v <= 0 || v > 1 || got.RMS[i] <= 0 || got.RMS[i] > v {
			t.Errorf("part %d peaks at %v with a mean of %v", i, v, got.RMS[i])
		}
	}
	if cc := w.Header().Get("Cache-Control"); cc != peaksCaching {
		t.Errorf("Cache-Control %q", cc)
	}
	for line, want := range map[string]int{
		"GET tracks/tr-0000000000099/peaks": http.StatusNotFound, path + "&points=8": http.StatusBadRequest, "GET tracks/" + string(tr.ID) + "/peaks?points=0": http.StatusBadRequest,
	} {
		if w := h.ask(listener, line, ""); w.Code != want {
			t.Errorf("%s: %d, want %d", line, w.Code, want)
		}
	}
}

func TestScanEvents(t *testing.T) {
	h, _, _ := scanned(t)
	srv := httptest.NewServer(h.handler)
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+Prefix+"scan/events", nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+h.key(listener))
	client := srv.Client()
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	must(t, err)
	defer resp.Body.Close()
	if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Fatalf("Content-Type %q", ct)
	}
	lines := bufio.NewScanner(resp.Body)
	next := func() string {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the stream ended: %v", lines.Err())
		}
		return lines.Text()
	}
	if l := next(); l != "event: scan" {
		t.Fatalf("first line %q", l)
	}
	data, ok := strings.CutPrefix(next(), "data: ")
	var st scanStatus
	if err := json.Unmarshal([]byte(data), &st); !ok || err != nil || st.Tracks != 1 || st.Scanning {
		t.Errorf("%q: %v", data, err)
	}
	next() // the empty line that ends an event
	// After a silence the stream shows that it lives.
	h.clock.WaitForTimers(1)
	h.clock.Advance(beat)
	if l := next(); l != ":" {
		t.Errorf("after %v: %q, want a comment", beat, l)
	}
}
