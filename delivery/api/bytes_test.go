package api

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
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
	album := "GET albums/" + string(tr.AlbumID) + "/download"
	w = h.ask(admin, album, "")
	z, err := zip.NewReader(bytes.NewReader(w.Body.Bytes()), int64(w.Body.Len()))
	if err != nil || len(z.File) != 1 || z.File[0].UncompressedSize64 != uint64(len(content)) || !strings.HasSuffix(z.File[0].Name, "/tone.wav") {
		t.Errorf("album: %d %s, %v, %+v", w.Code, w.Header(), err, z)
	}
	if w := h.ask(listener, album, ""); w.Code != http.StatusForbidden {
		t.Errorf("album without the role: %d", w.Code)
	}
	if w := h.ask(admin, "GET albums/al-0000000000099/download", ""); w.Code != http.StatusNotFound || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("no such album: %d %s", w.Code, w.Header().Get("Content-Type"))
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

// listen opens an event stream and returns what reads its next event: the name, and the data as JSON. A comment is ":".
func (h *house) listen(t *testing.T, user, path string) (next func() (name, data string)) {
	t.Helper()
	srv := httptest.NewServer(h.handler)
	ctx, cancel := context.WithCancel(t.Context())
	client := srv.Client()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+Prefix+path, nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+h.key(user))
	resp, err := client.Do(req)
	must(t, err)
	t.Cleanup(func() {
		cancel()
		_ = resp.Body.Close() // it was cancelled
		client.CloseIdleConnections()
		srv.Close()
	})
	if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Fatalf("%s, Content-Type %q", resp.Status, ct)
	}
	lines := bufio.NewScanner(resp.Body)
	return func() (name, data string) {
		t.Helper()
		for lines.Scan() {
			switch l := lines.Text(); {
			case l == ":":
				name = l
			case strings.HasPrefix(l, "event: "):
				name = l[len("event: "):]
			case strings.HasPrefix(l, "data: "):
				data = l[len("data: "):]
			case l == "":
				return name, data
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return "", ""
	}
}

func TestScanEvents(t *testing.T) {
	h, _, _ := scanned(t)
	next := h.listen(t, listener, "scan/events")
	name, data := next()
	var st scanStatus
	if err := json.Unmarshal([]byte(data), &st); name != "scan" || err != nil || st.Tracks != 1 || st.Scanning {
		t.Errorf("%s %q: %v", name, data, err)
	}
	// After a silence the stream shows that it lives.
	h.clock.WaitForTimers(1)
	h.clock.Advance(beat)
	if name, _ := next(); name != ":" {
		t.Errorf("after %v: %q, want a comment", beat, name)
	}
}

func TestEvents(t *testing.T) {
	h, tr, _ := scanned(t)
	next := h.listen(t, listener, "events")
	if name, _ := next(); name != "scan" {
		t.Fatalf("the first event is %q", name)
	}
	if w := h.ask(listener, "PUT queue", `{"tracks":["`+string(tr.ID)+`"],"current":0,"player":"the kitchen"}`); w.Code != http.StatusNoContent {
		t.Fatal(w.Code, w.Body)
	}
	name, data := next()
	var e queueEvent
	if err := json.Unmarshal([]byte(data), &e); name != "queue" || err != nil || e.ChangedBy != "the kitchen" || e.Changed.IsZero() {
		t.Errorf("%s %q: %v", name, data, err)
	}
	if w := h.ask(admin, "POST playlists", `{"name":"x","tracks":[]}`); w.Code != http.StatusCreated {
		t.Fatal(w.Code, w.Body)
	}
	if name, data := next(); name != "playlists" || data != "{}" {
		t.Errorf("%s %s", name, data)
	}
	if w := h.ask("", "GET events", ""); w.Code != http.StatusUnauthorized {
		t.Errorf("for nobody: %d", w.Code)
	}
}

func TestShelves(t *testing.T) {
	h := open(t)
	h.furnish()
	if w := h.ask(listener, "POST plays", `{"plays":[{"track":"`+string(waltz)+`"}]}`); w.Code != http.StatusNoContent {
		t.Fatal(w.Code, w.Body)
	}
	w := h.ask(listener, "GET shelves?limit=1", "")
	newRules(t).check(t, "GET shelves?limit=1", w.Code, w.Header().Get("Content-Type"), w.Body.Bytes())
	var kinds []string
	for _, s := range decode[items[shelf]](t, w).Items {
		kinds = append(kinds, string(s.Kind)+" "+s.Of)
		if len(s.Albums) != 1 || s.Kind == tutti.ShelfPlayed && s.Albums[0].ID != dances {
			t.Errorf("on the shelf %s: %+v", s.Kind, s.Albums)
		}
	}
	if want := []string{"played ", "added ", "frequent ", "genre Folk", "decade 1970", "random "}; !slices.Equal(kinds, want) {
		t.Errorf("%q, want %q", kinds, want)
	}
}

func TestRadio(t *testing.T) {
	h := open(t)
	away := make(chan struct{})
	live := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "audio/mpeg")
		w.Header().Set("Icy-Metaint", "4")
		_, _ = w.Write([]byte("soun\x02StreamTitle='A - B';StreamUrl=''"[:4+1+32]))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(away)
	}))
	defer live.Close()
	made := decode[station](t, h.ask(admin, "POST stations", `{"name":"Harbour FM","streamUrl":"`+live.URL+`"}`))
	path := "stations/" + string(made.ID)
	srv := httptest.NewServer(h.handler)
	defer srv.Close()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+Prefix+path+"/stream", nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+h.key(listener))
	client := srv.Client()
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	must(t, err)
	var sound [4]byte
	if _, err := io.ReadFull(resp.Body, sound[:]); err != nil || string(sound[:]) != "soun" || resp.Header.Get("Content-Type") != "audio/mpeg" {
		t.Errorf("%q, %v, %v", sound, resp.Header, err)
	}
	next := h.listen(t, listener, path+"/events")
	for { // the title comes between the sound, so perhaps a little later
		name, data := next()
		if name != "title" {
			t.Fatalf("an event %q", name)
		}
		if data == `{"title":"A - B"}` {
			break
		}
	}
	leave()
	_ = resp.Body.Close() // it was cancelled
	<-away                // the station is left with the listener
	for line, want := range map[string]int{
		"GET stations/rs-0000000000099/stream": http.StatusNotFound, "GET stations/rs-0000000000099/events": http.StatusNotFound,
	} {
		if w := h.ask(listener, line, ""); w.Code != want {
			t.Errorf("%s: %d, want %d", line, w.Code, want)
		}
	}
}

func TestExportPlaylist(t *testing.T) {
	h := open(t)
	h.furnish()
	made := decode[playlistReply](t, h.ask(admin, "POST playlists", `{"name":"Barn \"x\"\nüber","public":true,"tracks":["`+string(polka)+`","`+string(waltz)+`"]}`))
	w := h.ask(listener, "GET playlists/"+string(made.ID)+"/m3u", "")
	want := "#EXTM3U\n#PLAYLIST:Barn \"x\" über\n#EXTINF:65,The Harbour Band - Polka\nDances/Polka.flac\n" +
		"#EXTINF:65,The Harbour Band feat. Guest Quartet - Waltz\nDances/Waltz.flac\n"
	if w.Code != http.StatusOK || w.Body.String() != want || w.Header().Get("Content-Type") != m3uType {
		t.Errorf("%d %s\n%s", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	if cd := w.Header().Get("Content-Disposition"); !strings.HasPrefix(cd, "attachment; ") || !strings.Contains(cd, ".m3u8") {
		t.Errorf("Content-Disposition %q", cd)
	}
	// What goes out comes in again.
	body, err := json.Marshal(playlistImport{M3U: w.Body.String()})
	must(t, err)
	again := decode[importReply](t, h.ask(admin, "POST playlists/import", string(body)))
	if len(again.Missing) != 0 || len(again.Playlist.Tracks) != 2 || again.Playlist.Tracks[0].ID != polka || again.Playlist.Tracks[1].ID != waltz {
		t.Errorf("%+v", again)
	}
	if w := h.ask(listener, "GET playlists/pl-0000000000099/m3u", ""); w.Code != http.StatusNotFound {
		t.Errorf("no such list: %d", w.Code)
	}
}
