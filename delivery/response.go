package delivery

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"tutti/clock"
)

// response is the one writer that the server puts around net/http's. It counts, it compresses text, and it lets files
// through untouched: ReadFrom and Unwrap reach net/http.
type response struct {
	http.ResponseWriter
	req     *request
	clock   clock.Clock
	gzip    bool // the asker takes gzip
	pending bool // status is set, but the header waits for the first write to decide on compression
	raw     bool // never compress: Bytes set Content-Length and ETag for the bytes as they are
	status  int
	bytes   int64 // of the body as sent
	written time.Time
	zw      *gzip.Writer
	err     error // of the first write that failed
}

// minGzip is the length of body from which compression pays: below it, header and body go out in one packet anyway.
const minGzip = 1024

var gzipWriters = sync.Pool{New: func() any {
	// The fastest level: a list of albums shrinks to a tenth at it, and the next level costs twice the time for 5 % more.
	zw, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant of the package
	}
	return zw
}}

// compressible reports whether a media type is text that our own handlers write. Audio and pictures never are.
func compressible(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	t = strings.TrimSpace(t)
	switch t {
	case "application/json", "application/xml", "text/xml", "text/html", "text/css", "text/plain", "text/javascript",
		"application/javascript", "image/svg+xml", "application/manifest+json", "application/vnd.apple.mpegurl":
		return true
	}
	return strings.HasPrefix(t, "application/") && (strings.HasSuffix(t, "+json") || strings.HasSuffix(t, "+xml"))
}

// WriteHeader sends the status and the header, having decided whether the body is compressed. Where that depends on
// the length of a body of unknown length, it is put off until the first write tells.
func (w *response) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(status) // informational: the real one follows
		return
	}
	if w.status != 0 {
		return
	}
	w.status = status
	h := w.Header()
	if w.raw || !compressible(h.Get("Content-Type")) {
		w.sendHeader()
		return
	}
	addVary(h, "Accept-Encoding")
	if !w.gzip || status == http.StatusNoContent || status == http.StatusNotModified || status == http.StatusPartialContent ||
		h.Get("Content-Encoding") != "" || h.Get("Content-Range") != "" {
		w.sendHeader()
		return
	}
	if declared := h.Get("Content-Length"); declared != "" {
		if n, err := strconv.ParseInt(declared, 10, 64); err == nil && n >= minGzip {
			w.startGzip(h)
		}
		w.sendHeader()
		return
	}
	w.pending = true
}

func (w *response) sendHeader() {
	w.pending = false
	w.ResponseWriter.WriteHeader(w.status)
}

func (w *response) startGzip(h http.Header) {
	h.Del("Content-Length")
	h.Del("Accept-Ranges")
	h.Set("Content-Encoding", "gzip")
	// The compressed form is another representation, so a strong validator of the plain one cannot name it (RFC 9110 §8.8.3.3).
	if tag := h.Get("Etag"); strings.HasPrefix(tag, `"`) {
		h.Set("Etag", "W/"+tag)
	}
	w.zw = gzipWriters.Get().(*gzip.Writer)
	w.zw.Reset(counted{w})
}

// counted is the way of compressed bytes to net/http.
type counted struct{ w *response }

func (c counted) Write(p []byte) (int, error) { return c.w.count(c.w.ResponseWriter.Write(p)) }

func (w *response) count(n int, err error) (int, error) {
	w.bytes += int64(n)
	if n > 0 && w.written.IsZero() {
		w.written = w.clock.Now()
	}
	if err != nil && w.err == nil {
		w.err = err
	}
	return n, err
}

// Write sends p, compressed where the header said so.
func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		if _, ok := w.Header()["Content-Type"]; !ok {
			w.Header().Set("Content-Type", http.DetectContentType(p))
		}
		w.WriteHeader(http.StatusOK)
	}
	if w.pending {
		if len(p) >= minGzip {
			w.startGzip(w.Header())
		}
		w.sendHeader()
	}
	if w.zw != nil {
		return w.zw.Write(p)
	}
	return w.count(w.ResponseWriter.Write(p))
}

// ReadFrom passes src on to net/http, which sends files by sendfile(2).
func (w *response) ReadFrom(src io.Reader) (int64, error) {
	rf, ok := w.ResponseWriter.(io.ReaderFrom)
	if !ok || w.status == 0 || w.pending || w.zw != nil { // Write decides about compression first
		return io.Copy(struct{ io.Writer }{w}, src)
	}
	n, err := rf.ReadFrom(src)
	w.bytes += n
	if n > 0 && w.written.IsZero() {
		w.written = w.clock.Now()
	}
	if err != nil && w.err == nil {
		w.err = err
	}
	return n, err
}

// FlushError sends what is buffered. Whoever flushes is sending a stream, so the request's deadline is lifted.
func (w *response) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.pending {
		w.sendHeader() // a stream of small things: each must get through at once
	}
	w.req.holdOpen()
	if w.zw != nil {
		if err := w.zw.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush is FlushError for those who only know http.Flusher.
func (w *response) Flush() { _ = w.FlushError() } // a failure is kept in err and ends the next write

// Unwrap lets http.ResponseController reach net/http's writer.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// finish sends what the handler left: a header without a body, the end of a compressed one.
func (w *response) finish() {
	if w.pending {
		w.sendHeader()
	}
	if w.zw == nil {
		return
	}
	if err := w.zw.Close(); err != nil && w.err == nil {
		w.err = err
	}
	w.zw.Reset(io.Discard)
	gzipWriters.Put(w.zw)
	w.zw = nil
}

// acceptsGzip reads Accept-Encoding (RFC 9110 §12.5.3) as far as it concerns gzip.
func acceptsGzip(h http.Header) bool {
	for _, v := range h["Accept-Encoding"] {
		for coding := range strings.SplitSeq(v, ",") {
			name, params, _ := strings.Cut(coding, ";")
			if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
				continue
			}
			q, ok := strings.CutPrefix(strings.TrimSpace(params), "q=")
			if !ok {
				return true
			}
			weight, err := strconv.ParseFloat(q, 64)
			return err == nil && weight > 0
		}
	}
	return false
}

// addVary adds a field name to Vary, once.
func addVary(h http.Header, field string) {
	for _, v := range h["Vary"] {
		for f := range strings.SplitSeq(v, ",") {
			if f = strings.TrimSpace(f); f == "*" || strings.EqualFold(f, field) {
				return
			}
		}
	}
	h.Add("Vary", field)
}
