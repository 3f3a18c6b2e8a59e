// Package web is the page: TypeScript and Solid under src, built by Vite into dist, embedded here and served as plain
// files. It knows nothing of the server but the addresses of its native API, and the server nothing of it but a handler.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// dist is what `npm run build` made, or only a .gitkeep where the page was not built. "all:" so that an unbuilt tree
// still compiles: the pattern must match at least one file, and names that begin with a dot count only with it.
//
//go:embed all:dist
var dist embed.FS

// index is the one document; every address of the page that is not a file is it.
const index = "index.html"

// notBuilt is shown where the binary was compiled without the page.
const notBuilt = "This binary holds no page: it was compiled before the page was built.\n" +
	"Run: make build\nThe API (/api/v1/openapi.json) and OpenSubsonic (/rest) work without it.\n"

// Files returns the built page's files. Without a build it has no index.html.
func Files() fs.FS {
	sub, err := fs.Sub(dist, "dist")
	if err != nil { // only an invalid path could fail, and "dist" is none
		panic(err)
	}
	return sub
}

// Handler serves the embedded page; see NewHandler.
func Handler(base string) (http.Handler, error) { return NewHandler(Files(), base) }

// NewHandler serves the page from files, which it reads once: some hundred kilobytes. It answers GET and HEAD. base is
// the path under which a proxy shows the server, "" or one like "/music"; requests come without it.
//
//   - Files under assets/ have their content's hash in the name and so are cached for a year; everything else is
//     revalidated by its ETag.
//   - Where name.br or name.gz lies beside a file and the browser takes it, that is sent.
//   - An address whose last part has no dot is an address of the page itself and gets index.html; the page's own
//     router shows what it names. Other unknown names are 404. Directories are never listed.
//
// It returns an error only where files cannot be read.
func NewHandler(files fs.FS, base string) (http.Handler, error) {
	p := page{}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path.Base(name), ".") {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		if name == index {
			content = at(content, base)
		}
		sum := sha256.Sum256(content)
		p[name] = file{content: content, etag: hex.EncodeToString(sum[:12])}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// at writes into index.html where the page stands. The build refers to its files relatively ("./assets/…"), which is
// right from no address of the page that has a slash in it; and the scripts must know where the API is.
func at(document []byte, base string) []byte {
	if base = strings.Trim(base, "/"); base != "" {
		base = "/" + base
	}
	escaped := html.EscapeString(base)
	document = bytes.ReplaceAll(document, []byte(`="./`), []byte(`="`+escaped+`/`))
	return bytes.Replace(document, []byte(`name="base" content=""`), []byte(`name="base" content="`+escaped+`"`), 1)
}

// page maps names, slash-separated and relative, to what is served under them.
type page map[string]file

type file struct {
	content []byte
	etag    string // without quotes; encodings of one file have different bytes and so different tags
}

// encodings are tried in order; brotli is the smaller.
var encodings = []struct{ name, suffix string }{{"br", ".br"}, {"gzip", ".gz"}}

func (p page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the page is only read", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	f, ok := p[name]
	if !ok || strings.HasSuffix(name, ".br") || strings.HasSuffix(name, ".gz") {
		if name != "" && strings.Contains(path.Base(name), ".") {
			http.NotFound(w, r)
			return
		}
		name = index
		if f, ok = p[name]; !ok {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, notBuilt) // a client that is gone needs no answer
			return
		}
	}

	h := w.Header()
	h.Set("Content-Type", contentType(name))
	if strings.HasPrefix(name, "assets/") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	for _, e := range encodings {
		packed, ok := p[name+e.suffix]
		if !ok {
			continue
		}
		h.Add("Vary", "Accept-Encoding")
		if h.Get("Content-Encoding") == "" && accepts(r.Header.Get("Accept-Encoding"), e.name) {
			h.Set("Content-Encoding", e.name)
			f = packed
		}
	}
	h.Set("ETag", `"`+f.etag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}

// accepts reports whether an Accept-Encoding header names the coding without refusing it by a weight of zero
// (RFC 9110 §12.5.3). A bare "*" is not taken as consent: who sends it is no browser, and plain bytes always serve.
func accepts(header, coding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if !strings.EqualFold(strings.TrimSpace(name), coding) {
			continue
		}
		weight := strings.TrimPrefix(strings.ReplaceAll(params, " ", ""), "q=")
		return strings.Trim(weight, "0.") != "" || weight == ""
	}
	return false
}

// contentType does not ask the machine's mime tables, which differ from one to the next.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".webmanifest":
		return "application/manifest+json"
	case ".woff2":
		return "font/woff2"
	case ".txt":
		return "text/plain; charset=utf-8"
	case ".png":
		return "image/png"
	}
	return "application/octet-stream"
}
