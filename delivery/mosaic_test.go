package delivery

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"net/http"
	"path/filepath"
	"testing"

	"tutti"
)

// plain is a JPEG of one colour.
func plain(t *testing.T, w, h int, c color.Color) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		m.Set(i%w, i/w, c)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestMosaic(t *testing.T) {
	lib := newLibrary(t)
	colours := []color.RGBA{{200, 0, 0, 255}, {0, 200, 0, 255}, {0, 0, 200, 255}, {200, 200, 0, 255}}
	for i, c := range colours {
		id := tutti.NewID(tutti.PrefixTrack, uint64(i))
		name := filepath.Join("covers", string(id)+".jpg")
		lib.add(t, id, name, plain(t, 60, 60-10*i, c)).cover = name // not all covers are square
	}
	e := start(t, lib, nil)
	path := func(n uint64) string { return "/cover/" + string(tutti.NewID(tutti.PrefixPlaylist, n)) }
	got := e.do(t, http.MethodGet, path(4))
	if got.StatusCode != http.StatusOK || got.Header.Get("Content-Type") != "image/jpeg" {
		t.Fatalf("%s %s", got.Status, got.Header.Get("Content-Type"))
	}
	m, err := jpeg.Decode(bytes.NewReader(got.body))
	if err != nil || m.Bounds().Dx() != 300 || m.Bounds().Dy() != 300 {
		t.Fatalf("%v, %v", m.Bounds(), err)
	}
	for i, want := range colours {
		for _, at := range []image.Point{{10, 10}, {75, 75}, {140, 140}} { // the whole of each quarter
			r, g, b, _ := m.At(at.X+i%2*150, at.Y+i/2*150).RGBA()
			near := func(v uint32, want uint8) bool { return max(int(v>>8), int(want))-min(int(v>>8), int(want)) < 12 }
			if !near(r, want.R) || !near(g, want.G) || !near(b, want.B) {
				t.Errorf("quarter %d at %v is %d %d %d, want %v", i, at, r>>8, g>>8, b>>8, want)
			}
		}
	}
	if again := e.do(t, http.MethodGet, path(4), "If-None-Match: "+got.Header.Get("ETag")); again.StatusCode != http.StatusNotModified || len(again.body) != 0 {
		t.Errorf("again: %s", again.Status)
	}
	if head := e.do(t, http.MethodHead, path(4)); head.StatusCode != http.StatusOK || head.Header.Get("ETag") != got.Header.Get("ETag") {
		t.Errorf("HEAD: %s", head.Status)
	}
	// Of fewer albums it is the first one's, and what has no picture has none.
	if one := e.do(t, http.MethodGet, path(3)); one.StatusCode != http.StatusOK || !bytes.Equal(one.body, plain(t, 60, 60, colours[0])) {
		t.Errorf("three albums: %s, %d bytes", one.Status, len(one.body))
	}
	if none := e.do(t, http.MethodGet, path(0)); none.StatusCode != http.StatusNotFound {
		t.Errorf("no album: %s", none.Status)
	}
}
