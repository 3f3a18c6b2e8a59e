package peer

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"connectrpc.com/connect"

	"tutti"
	"tutti/metacodec"
)

// Messages between delivery and the catalogue travel small (message.go) as a content coding of HTTP (RFC 9110 §8.4),
// below Connect, which sees Protocol Buffers as ever, and above the signature, which covers what travels:
//
//	Accept-Encoding: tutti-meta, tutti-meta-4f2a91c07d3e21b0     this side reads the coding, and that model in it
//	Content-Encoding: tutti-meta
//
// Whoever answers says so too (RFC 9110 §12.5.3), so that the next request may be small; with a small answer it says
// nothing where it reads just what it was told. So nothing has to be known of
// another member, and one that knows nothing of the coding is spoken to as before, whichever of the two is older. A
// frame is never written with a model that the other side has not just named.
const (
	codingName  = "tutti-meta"
	codingModel = codingName + "-"
)

// Models is where a process has its metadata models.
type Models interface {
	// All is what frames can be read with.
	All() *metacodec.Models
	// Best is the model to write with of those that a reader has, nil where none of them is here.
	Best(reads []metacodec.ModelID) *metacodec.Model
	// Want gets a model that has been heard of, in its own time.
	Want(id metacodec.ModelID)
}

// coding is what both sides do.
type coding struct {
	models  Models
	metrics *codingMetrics
}

// hello is what this side reads, as a header says it.
func (c *coding) hello() string {
	ids := c.models.All().IDs()
	b := make([]byte, 0, len(codingName)*(1+2*len(ids))+16*len(ids))
	b = append(b, codingName...)
	for _, id := range ids {
		b = append(append(append(b, ", "...), codingModel...), id.String()...)
	}
	return string(b)
}

// maxHeard is how many models are read of one header.
const maxHeard = 8

// heard reads what the other side said. ok is false where it does not read the coding.
func heard(header []string) (ids []metacodec.ModelID, ok bool) {
	for _, line := range header {
		for token := range strings.SplitSeq(line, ",") {
			token = strings.TrimSpace(token)
			if token == codingName {
				ok = true
			}
			if name, is := strings.CutPrefix(token, codingModel); is && len(ids) < maxHeard {
				if id, err := metacodec.ParseModelID(name); err == nil {
					ids = append(ids, id)
				}
			}
		}
	}
	return ids, ok
}

// fastTexts is how many bytes of new text go through a model, where there is one. It spells a byte in about a microsecond
// on either side: an answer about one thing has some dozens of them. A list of fifty has thousands, which would take longer
// than all else that is done for it, and Zstandard makes as little of it (docs/decisions/metadata-codec.md).
const fastTexts = 160

// smallFrom is how long a message must be to be worth it: a frame has a head and a checksum.
const smallFrom = 16

// encode returns a message written small for a reader, or nil where it is best left as it is.
func (c *coding) encode(of *shape, message []byte, reads []metacodec.ModelID) []byte {
	if len(message) < smallFrom {
		return nil
	}
	small, ok := appendSmall(make([]byte, 0, len(message)/2), of, message, func(texts int) *metacodec.Model {
		if texts == 0 || texts > fastTexts {
			return nil
		}
		return c.models.Best(reads)
	})
	if !ok || len(small) >= len(message) {
		return nil
	}
	return small
}

// decode makes a message of a small one.
func (c *coding) decode(of *shape, small []byte) ([]byte, error) {
	return appendMessage(nil, of, small, c.models.All())
}

// codingTransport is the asking side. It knows of each address whether requests may be small.
type codingTransport struct {
	coding
	next http.RoundTripper

	mu    sync.Mutex
	reads map[string]reader // by address
}

// reader is what another member is known to read.
type reader struct {
	header string // as it said it
	ids    []metacodec.ModelID
	ok     bool
}

// maxReaders is how many addresses are remembered: those of a large fleet, several times over.
const maxReaders = 4096

// RoundTrip implements http.RoundTripper.
func (t *codingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	x, ok := exchanges()[r.URL.Path]
	if !ok || r.Body == nil || r.Header.Get("Content-Type") != "application/proto" || r.Header.Get("Content-Encoding") != "" {
		return t.next.RoundTrip(r)
	}
	message, err := io.ReadAll(io.LimitReader(r.Body, maxSmall))
	_ = r.Body.Close() // it lies in memory
	if err != nil {
		return nil, err
	}
	address, hello := r.URL.Host, t.hello()
	var small []byte
	if to := t.reader(address); to.ok {
		small = t.encode(x.request, message, to.ids)
	}
	resp, err := t.send(r, hello, message, small)
	if err != nil {
		return nil, err
	}
	t.hear(address, hello, resp)
	if small != nil && (resp.StatusCode == http.StatusUnsupportedMediaType || resp.StatusCode == http.StatusNotImplemented) {
		// Another program answers there now, or the same without the model: nothing has been done yet.
		_ = resp.Body.Close() // nobody reads it
		if resp, err = t.send(r, hello, message, nil); err != nil {
			return nil, err
		}
		t.hear(address, hello, resp)
	}
	if resp.Header.Get("Content-Encoding") != codingName {
		t.metrics.note("received", resp.ContentLength, resp.ContentLength)
		return resp, nil
	}
	return t.grow(resp, x.answer)
}

// send sends a message, small if small is not nil.
func (t *codingTransport) send(r *http.Request, hello string, message, small []byte) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Accept-Encoding", hello)
	body := message
	if small != nil {
		r.Header.Set("Content-Encoding", codingName)
		body = small
	}
	r.ContentLength = int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, _ = r.GetBody() // it cannot fail
	t.metrics.note("sent", int64(len(message)), int64(len(body)))
	return t.next.RoundTrip(r)
}

func (t *codingTransport) reader(address string) reader {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reads[address]
}

// hear remembers what a member says that it reads: with a small answer only where that is not what it was told that this
// side reads. Where it says nothing, be it that another program or an older one answers there now, it is spoken to without
// the coding.
func (t *codingTransport) hear(address, hello string, resp *http.Response) {
	said := strings.Join(resp.Header.Values("Accept-Encoding"), ",")
	if said == "" && resp.Header.Get("Content-Encoding") == codingName {
		said = hello
	}
	if t.reader(address).header == said {
		return
	}
	ids, ok := heard([]string{said})
	t.mu.Lock()
	if len(t.reads) >= maxReaders {
		clear(t.reads)
	}
	t.reads[address] = reader{said, ids, ok}
	t.mu.Unlock()
	for _, id := range ids {
		t.models.Want(id)
	}
}

// grow makes of a small answer what Connect expects.
func (t *codingTransport) grow(resp *http.Response, of *shape) (*http.Response, error) {
	small, err := io.ReadAll(io.LimitReader(resp.Body, maxSmall))
	_ = resp.Body.Close() // it was read
	if err != nil {
		return nil, err
	}
	message, err := t.decode(of, small)
	if err != nil {
		return nil, tutti.Wrap(tutti.KindUnavailable, "peer: read answer", err)
	}
	t.metrics.note("received", int64(len(message)), int64(len(small)))
	resp.Header.Del("Content-Encoding")
	resp.Header.Set("Content-Length", strconv.Itoa(len(message)))
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(message)), int64(len(message))
	return resp, nil
}

// CloseIdleConnections closes those of the transport behind.
func (t *codingTransport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// codingHandler is the answering side.
type codingHandler struct {
	coding
	next   http.Handler
	refuse *connect.ErrorWriter
}

// ServeHTTP implements http.Handler.
func (h *codingHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x, ok := exchanges()[r.URL.Path]
	if !ok {
		h.next.ServeHTTP(w, r)
		return
	}
	if r.Header.Get("Content-Encoding") == codingName {
		if err := h.grow(r, x.request); err != nil {
			w.Header().Set("Accept-Encoding", h.hello())
			if _, ok := errors.AsType[*metacodec.UnknownModelError](err); ok {
				http.Error(w, err.Error(), http.StatusUnsupportedMediaType)
				return
			}
			_ = h.refuse.Write(w, r, outgoing(err)) // who has left needs no telling
			return
		}
	}
	told := r.Header.Get("Accept-Encoding")
	reads, ok := heard(r.Header.Values("Accept-Encoding"))
	if !ok {
		h.next.ServeHTTP(w, r)
		return
	}
	r.Header.Del("Accept-Encoding")
	for _, id := range reads {
		h.models.Want(id)
	}
	kept := keptPool.Get().(*kept)
	kept.w, kept.status, kept.through = w, 0, false
	kept.body.Reset()
	defer func() {
		kept.w = nil
		if kept.body.Cap() < 1<<20 {
			keptPool.Put(kept)
		}
	}()
	h.next.ServeHTTP(kept, r)
	h.send(kept, x.answer, told, reads)
}

// grow makes of a small request what Connect expects.
func (h *codingHandler) grow(r *http.Request, of *shape) error {
	small, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return tutti.Wrap(tutti.KindUnavailable, "peer: read request", err)
	}
	message, err := h.decode(of, small)
	if err != nil {
		return err
	}
	h.metrics.note("received", int64(len(message)), int64(len(small)))
	r.Header.Del("Content-Encoding")
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(message)), int64(len(message))
	return nil
}

// send sends an answer that was kept, small if that is possible.
func (h *codingHandler) send(k *kept, of *shape, told string, reads []metacodec.ModelID) {
	if k.through {
		return
	}
	header, body := k.w.Header(), k.body.Bytes()
	hello := h.hello()
	if k.status == http.StatusOK && header.Get("Content-Type") == "application/proto" && header.Get("Content-Encoding") == "" {
		message := body
		if small := h.encode(of, message, reads); small != nil {
			body = small
			header.Set("Content-Encoding", codingName)
			header.Del("Content-Length")
		}
		h.metrics.note("sent", int64(len(message)), int64(len(body)))
	}
	if hello != told || header.Get("Content-Encoding") != codingName {
		header.Set("Accept-Encoding", hello)
	}
	if k.status != 0 {
		k.w.WriteHeader(k.status)
	}
	_, _ = k.w.Write(body) // who has left needs no answer
}

// kept is an answer that waits to be written small. One that is flushed is one that streams, and is let through.
type kept struct {
	w       http.ResponseWriter
	status  int
	body    bytes.Buffer
	through bool
}

var keptPool = sync.Pool{New: func() any { return new(kept) }}

// Header implements http.ResponseWriter.
func (k *kept) Header() http.Header { return k.w.Header() }

// WriteHeader implements http.ResponseWriter.
func (k *kept) WriteHeader(status int) {
	if k.through {
		k.w.WriteHeader(status)
		return
	}
	if k.status == 0 {
		k.status = status
	}
}

// Write implements http.ResponseWriter.
func (k *kept) Write(b []byte) (int, error) {
	if k.through {
		return k.w.Write(b)
	}
	if k.status == 0 {
		k.status = http.StatusOK
	}
	return k.body.Write(b)
}

// Flush implements http.Flusher.
func (k *kept) Flush() {
	if !k.through {
		k.through = true
		if k.status != 0 {
			k.w.WriteHeader(k.status)
		}
		_, _ = k.w.Write(k.body.Bytes()) // likewise
		k.body.Reset()
	}
	if f, ok := k.w.(http.Flusher); ok {
		f.Flush()
	}
}
