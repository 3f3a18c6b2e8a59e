package web

import (
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

// built is a page as Vite leaves it, in small.
var built = fstest.MapFS{
	".gitkeep":                {},
	"index.html":              {Data: []byte(`<meta name="base" content="" /><script type="module" src="./assets/index-a1.js"></script>`)},
	"icon.svg":                {Data: []byte("<svg/>")},
	"assets/index-a1.js":      {Data: []byte("console.log('plain')")},
	"assets/index-a1.js.br":   {Data: []byte("brotli")},
	"assets/index-a1.js.gz":   {Data: []byte("gzip")},
	"assets/face-b2.woff2":    {Data: []byte("font")},
	"assets/index-c3.css":     {Data: []byte("a{}")},
	"tutti.webmanifest":       {Data: []byte("{}")},
	"assets/unknown-d4.thing": {Data: []byte("?")},
}

func serve(t *testing.T, files fs.FS, base, method, target string, header ...string) *http.Response {
	t.Helper()
	h, err := NewHandler(files, base)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestServes(t *testing.T) {
	for _, c := range []struct {
		target, accept               string
		status                       int
		contentType, cache, encoding string
		body                         string
	}{
		{target: "/", status: 200, contentType: "text/html; charset=utf-8", cache: "no-cache", body: `"base" content=""`},
		{target: "/album/al-0h3kz2v9a1b2c", status: 200, contentType: "text/html; charset=utf-8", cache: "no-cache", body: `src="/assets/index-a1.js"`},
		{target: "/search?q=a.b", status: 200, contentType: "text/html; charset=utf-8", cache: "no-cache"},
		{target: "/assets", status: 200, contentType: "text/html; charset=utf-8", cache: "no-cache"}, // no directory is ever listed
		{target: "/assets/", status: 200, contentType: "text/html; charset=utf-8", cache: "no-cache"},
		{target: "/assets/index-a1.js", status: 200, contentType: "text/javascript; charset=utf-8", cache: "public, max-age=31536000, immutable", body: "plain"},
		{target: "/assets/index-a1.js", accept: "gzip, deflate, br, zstd", status: 200, contentType: "text/javascript; charset=utf-8", cache: "public, max-age=31536000, immutable", encoding: "br", body: "brotli"},
		{target: "/assets/index-a1.js", accept: "gzip", status: 200, contentType: "text/javascript; charset=utf-8", cache: "public, max-age=31536000, immutable", encoding: "gzip", body: "gzip"},
		{target: "/assets/index-a1.js", accept: "br;q=0, gzip;q=0.5", status: 200, contentType: "text/javascript; charset=utf-8", cache: "public, max-age=31536000, immutable", encoding: "gzip"},
		{target: "/assets/face-b2.woff2", accept: "br", status: 200, contentType: "font/woff2", cache: "public, max-age=31536000, immutable"},
		{target: "/assets/index-c3.css", status: 200, contentType: "text/css; charset=utf-8", cache: "public, max-age=31536000, immutable"},
		{target: "/assets/unknown-d4.thing", status: 200, contentType: "application/octet-stream", cache: "public, max-age=31536000, immutable"},
		{target: "/icon.svg", status: 200, contentType: "image/svg+xml", cache: "no-cache"},
		{target: "/tutti.webmanifest", status: 200, contentType: "application/manifest+json", cache: "no-cache"},
		{target: "/assets/index-a1.js.br", status: 404},
		{target: "/assets/gone-e5.js", status: 404},
		{target: "/.gitkeep", status: 404},
		{target: "/../../etc/passwd", status: 200, contentType: "text/html; charset=utf-8", cache: "no-cache"}, // an address of the page like any other
		{target: "/%2e%2e/embed.go", status: 404},
	} {
		t.Run(c.target+" "+c.accept, func(t *testing.T) {
			r := serve(t, built, "", http.MethodGet, c.target, "Accept-Encoding", c.accept)
			if r.StatusCode != c.status {
				t.Fatalf("status %d, want %d", r.StatusCode, c.status)
			}
			if c.status != http.StatusOK {
				return
			}
			for name, want := range map[string]string{"Content-Type": c.contentType, "Cache-Control": c.cache, "Content-Encoding": c.encoding} {
				if got := r.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if b := body(t, r); !strings.Contains(b, c.body) {
				t.Errorf("body %q has no %q", b, c.body)
			}
		})
	}
}

func TestRevalidates(t *testing.T) {
	plain := serve(t, built, "", http.MethodGet, "/assets/index-a1.js").Header.Get("ETag")
	packed := serve(t, built, "", http.MethodGet, "/assets/index-a1.js", "Accept-Encoding", "br")
	if plain == "" || plain == packed.Header.Get("ETag") {
		t.Errorf("ETags %q and %q: different bytes need different ones", plain, packed.Header.Get("ETag"))
	}
	if v := packed.Header.Values("Vary"); len(v) == 0 {
		t.Error("no Vary: a cache would give brotli to everybody")
	}
	if r := serve(t, built, "", http.MethodGet, "/assets/index-a1.js", "If-None-Match", plain); r.StatusCode != http.StatusNotModified {
		t.Errorf("status %d, want 304", r.StatusCode)
	}
}

func TestBelowAPath(t *testing.T) {
	for _, base := range []string{"/music", "music/", "/music/"} {
		got := body(t, serve(t, built, base, http.MethodGet, "/artists"))
		for _, want := range []string{`name="base" content="/music"`, `src="/music/assets/index-a1.js"`} {
			if !strings.Contains(got, want) {
				t.Errorf("base %q: %s has no %s", base, got, want)
			}
		}
	}
	if got := body(t, serve(t, built, `/"><script>`, http.MethodGet, "/")); strings.Contains(got, `/"><script>`) {
		t.Errorf("the base is not escaped: %s", got)
	}
}

func TestMethods(t *testing.T) {
	r := serve(t, built, "", http.MethodPost, "/")
	if r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") == "" {
		t.Errorf("POST: %d, Allow %q", r.StatusCode, r.Header.Get("Allow"))
	}
	if r := serve(t, built, "", http.MethodHead, "/"); r.StatusCode != http.StatusOK || body(t, r) != "" || r.Header.Get("Content-Length") == "" {
		t.Errorf("HEAD: %d, Content-Length %q", r.StatusCode, r.Header.Get("Content-Length"))
	}
}

func TestNotBuilt(t *testing.T) {
	r := serve(t, fstest.MapFS{".gitkeep": {}}, "", http.MethodGet, "/albums")
	if b := body(t, r); r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(b, "make build") {
		t.Errorf("%d %s", r.StatusCode, b)
	}
}

// TestFiles holds for every build, and without one.
func TestFiles(t *testing.T) {
	if _, err := Handler(""); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Stat(Files(), ".gitkeep"); err != nil {
		t.Error("dist/.gitkeep is gone: without it a tree without a build does not compile")
	}
}
