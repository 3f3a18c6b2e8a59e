package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tutti/catalog/scan"
	"tutti/metacodec"
	"tutti/metacodec/answers"
	"tutti/metacodec/metacodectest"
	"tutti/metacodec/songs"
)

var derives = songs.Derive{Artist: scan.ArtistID, Folder: scan.FolderID, Album: scan.AlbumID}

func (h *house) accept(line, accept string) *httptest.ResponseRecorder {
	h.t.Helper()
	r := h.request(admin, line, "")
	r.Header.Set("Accept", accept)
	return h.do(r)
}

// unframe reads an answer that is a frame.
func unframe(t testing.TB, w *httptest.ResponseRecorder, m ...*metacodec.Model) string {
	t.Helper()
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), frameType) {
		t.Fatalf("%d %s: %s", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	body := made(answers.New(derives).Read(nil, w.Body.Bytes(), metacodec.NewModels(m...)))(t)
	return string(body) + "\n"
}

// offer puts a model into the store, and waits until answers are written with it.
func (h *house) offer(m *metacodec.Model) {
	h.t.Helper()
	made(h.models.Add(h.t.Context(), made(m.File())(h.t)))(h.t)
	for deadline := time.Now().Add(20 * time.Second); h.models.All().Get(m.ID()) == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatal("the model was not fetched for a client that has it")
		}
		h.accept("GET tracks", frameType+";model="+m.ID().String())
	}
}

// TestFramesAreTheSameAnswers asks for everything that is there as a frame in both forms.
func TestFramesAreTheSameAnswers(t *testing.T) {
	h := open(t)
	h.furnish()
	list := decode[playlist](t, h.ask(admin, "POST playlists", `{"name":"Evening","tracks":["`+string(waltz)+`","`+string(solo)+`"]}`))
	if w := h.ask(admin, "PUT queue", `{"tracks":["`+string(polka)+`"],"current":0,"positionMs":1000}`); w.Code != http.StatusNoContent {
		t.Fatal(w.Body)
	}
	m := metacodectest.Model(t, "api")
	h.offer(m)
	lines := map[string]string{
		"listAlbums": "albums", "getAlbum": "albums/" + string(dances), "listArtists": "artists", "getArtist": "artists/" + string(scan.ArtistID("The Harbour Band")),
		"listTopTracks": "artists/" + string(scan.ArtistID("The Harbour Band")) + "/top", "listGenres": "genres", "listTracks": "tracks",
		"getTrack": "tracks/" + string(waltz), "listSimilar": "similar/" + string(waltz), "getFolder": "folders/" + string(scan.FolderID("1", "Dances")),
		"listShelves": "shelves", "search": "search?q=da", "listStarred": "starred", "listPlaylists": "playlists",
		"getPlaylist": "playlists/" + string(list.ID), "getQueue": "queue",
	}
	for _, rt := range (&server{}).routes() {
		if rt.frame != (lines[rt.id] != "") {
			t.Errorf("%s: is it there as a frame, and asked for here?", rt.id)
		}
	}
	for id, path := range lines {
		line := "GET " + path
		plain := h.ask(admin, line, "")
		if id == "listShelves" || id == "listSimilar" { // in chance's order
			w := h.accept(line, frameType)
			if !json.Valid([]byte(unframe(t, w))) {
				t.Errorf("%s: not JSON", id)
			}
			continue
		}
		if plain.Code != http.StatusOK || plain.Header().Get("Vary") != "Accept" {
			t.Errorf("%s: %d, Vary %q", id, plain.Code, plain.Header().Get("Vary"))
		}
		bare := h.accept(line, frameType)
		if got := unframe(t, bare); got != plain.Body.String() {
			t.Errorf("%s: as a frame it is\n%s\nnot\n%s", id, got, plain.Body)
		}
		if ct := bare.Header().Get("Content-Type"); ct != frameType || bare.Header().Get("Vary") != "Accept" {
			t.Errorf("%s: %s", id, ct)
		}
		modelled := h.accept(line, "application/json;q=0.5, "+frameType+";model="+m.ID().String())
		if got := unframe(t, modelled, m); got != plain.Body.String() {
			t.Errorf("%s: through the model it is\n%s\nnot\n%s", id, got, plain.Body)
		}
		if bare.Body.Len() >= plain.Body.Len() || modelled.Body.Len() > bare.Body.Len() {
			t.Errorf("%s: %d bytes as JSON, %d as a frame, %d through the model", id, plain.Body.Len(), bare.Body.Len(), modelled.Body.Len())
		}
	}
	w := h.accept("GET tracks/"+string(waltz), frameType+";model="+m.ID().String())
	if ct := w.Header().Get("Content-Type"); ct != frameType+"; model="+m.ID().String() {
		t.Errorf("what needs the model says %q", ct)
	}
}

func TestWhoGetsFrames(t *testing.T) {
	h := open(t)
	h.furnish()
	h.offer(metacodectest.Model(t, "api"))
	other := "0123456789abcdef"
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "application/json": false, frameType: true, frameType + ";q=0": false, frameType + "; q=0.5, application/json": false,
		frameType + "; q=0.5, application/json; q=0.4, */*": true, "text/html, " + frameType + ";model=" + other: true, frameType + ";model=x": true,
		frameType + ";q=x": false, "application/json, " + frameType: true, frameType + "x": false,
	} {
		w := h.accept("GET tracks", accept)
		if got := w.Header().Get("Content-Type") == frameType; got != want || w.Code != http.StatusOK {
			t.Errorf("Accept: %s: %d %s", accept, w.Code, w.Header().Get("Content-Type"))
		}
	}
	if w := h.accept("GET tracks/tr-0000000000009", frameType); w.Code != http.StatusNotFound || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("an error: %d %s", w.Code, w.Header().Get("Content-Type"))
	}
}

// TestModelsAreFilesToFetch gets what a client needs to read frames.
func TestModelsAreFilesToFetch(t *testing.T) {
	h := open(t)
	m := metacodectest.Model(t, "api")
	file := made(m.File())(t)
	made(h.models.Add(t.Context(), file))(t)
	must(t, h.models.Use(t.Context(), m.ID()))
	list := decode[items[modelEntry]](t, h.ask(listener, "GET models", ""))
	if len(list.Items) != 3 || list.Items[0].Used || list.Items[2] != (modelEntry{m.ID().String(), "api", len(file), true}) {
		t.Errorf("%+v", list.Items)
	}
	for _, one := range list.Items {
		w := h.ask(listener, "GET models/"+one.ID, "")
		if w.Code != http.StatusOK || w.Body.Len() != one.Size || w.Header().Get("Cache-Control") != "private, max-age=31536000, immutable" {
			t.Errorf("%s: %d, %d bytes, %s", one.ID, w.Code, w.Body.Len(), w.Header().Get("Cache-Control"))
		}
		if got, err := metacodec.Load(bytes.NewReader(w.Body.Bytes())); err != nil || got.ID().String() != one.ID {
			t.Errorf("%s: %v", one.ID, err)
		}
	}
	for _, id := range []string{"x", "0123456789abcdef"} {
		if w := h.ask(listener, "GET models/"+id, ""); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", id, w.Code)
		}
	}
	if w := h.ask("", "GET models", ""); w.Code != http.StatusUnauthorized {
		t.Errorf("a stranger: %d", w.Code)
	}
}
