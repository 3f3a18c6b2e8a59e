package peer

import (
	"context"
	"crypto/md5" //nolint:gosec // its length only: what an object store vouches for
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"tutti"
	"tutti/clock"
)

// The headers with which a member asks another for bytes. A pass stands in a header there, and in the query where nginx
// asks, which can put it nowhere else.
const (
	headerPass = "Tutti-Pass"
	headerFill = "Tutti-Fill" // "1": fill from your own tiers or the origin, and ask no member
	queryPass  = "pass"
)

// checkRef refuses a ref that could lead anywhere but into a library.
func checkRef(r tutti.Ref) error {
	if !fs.ValidPath(r.Path) || r.Path == "." || strings.IndexByte(r.Path, 0) >= 0 {
		return tutti.Errorf(tutti.KindInvalid, "peer", "%q is no path within a library", r.Path)
	}
	return nil
}

// byteServer answers requests for the bytes of objects.
//
//	GET|HEAD /bytes/<Ref.ID>?pass=…     what the pass is for, whole or one range of it
//	GET /bytes/<Ref.ID>  Tutti-Pass, Tutti-Fill: 1     the same for a member that fills a chunk
//
// What the pass says of the object goes out as ETag, Last-Modified, Content-Type, Repr-Digest and X-Content-Duration.
// Nothing is written before the first byte is there, so that whoever asks learns of an origin that is away from the
// status; afterwards a failure cuts the connection.
type byteServer struct {
	c       HandlerConfig
	metrics *serverMetrics
}

// ServeHTTP implements http.Handler.
func (s *byteServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	to := "pass"
	if r.Header.Get(headerFill) != "" {
		to = "fill"
	}
	p, err := s.admit(r)
	if err != nil {
		s.metrics.refused.WithLabelValues("bytes").Inc()
		s.c.Logger.Warn("refused a request for bytes", slog.String("from", r.RemoteAddr), slog.Any("error", err))
		writeFailure(w, err)
		return
	}
	b := &body{s: s, w: w, r: r, rc: http.NewResponseController(w), pass: p, to: to}
	if to == "fill" {
		err = b.fill()
	} else {
		err = b.object()
	}
	b.finish(err)
}

// admit opens the pass.
func (s *byteServer) admit(r *http.Request) (tutti.Pass, error) {
	const op = "peer: bytes"
	now := s.c.Clock.Now()
	if err := s.c.Keys.refresh(now); err != nil {
		s.c.Logger.Warn("the fleet's keys stay as they were", slog.Any("error", err))
	}
	if s.c.Keys == nil && !fromHere(r, s.c.Address) {
		return tutti.Pass{}, tutti.Errorf(tutti.KindUnauthorised, op, "this member has no keys and so answers on its own machine only")
	}
	sealed := r.Header.Get(headerPass)
	if sealed == "" {
		if len(r.URL.RawQuery) > maxPass+16 {
			return tutti.Pass{}, tutti.Errorf(tutti.KindUnauthorised, op, "the query is too long for a pass")
		}
		sealed = r.URL.Query().Get(queryPass)
	}
	p, err := s.c.Keys.OpenPass(sealed, now)
	if err != nil {
		return tutti.Pass{}, err
	}
	if r.URL.Path != BytesPrefix+p.Ref.ID() {
		return tutti.Pass{}, tutti.Errorf(tutti.KindForbidden, op, "the pass is for another object")
	}
	return p, nil
}

// body is one answer in the making. It is the io.Writer that an object's CopyRange is given.
type body struct {
	s    *byteServer
	w    http.ResponseWriter
	r    *http.Request
	rc   *http.ResponseController
	pass tutti.Pass
	to   string

	status int   // to be written with the first byte
	left   int64 // how many more bytes may be written; -1: no limit
	begun  bool
	sent   int64
	gone   error // the first failure to write
}

// errEnough says that an object had more bytes than were declared. The answer is whole.
var errEnough = errors.New("the declared length is reached")

// object answers from the track cache.
func (b *body) object() error {
	const op = "peer: bytes"
	if b.s.c.TrackCache == nil {
		return tutti.Errorf(tutti.KindUnavailable, op, "this member has no track cache")
	}
	ctx := b.r.Context()
	obj, err := b.open(ctx)
	if err != nil {
		return err
	}
	err = b.send(ctx, obj)
	if closeErr := obj.Close(); closeErr != nil {
		b.s.c.Logger.Warn("closing what was sent", slog.Any("error", closeErr))
	}
	return err
}

// unprovenFor is how many seconds nginx may keep bytes that are not known to be the file's: long enough for what many ask
// for now, and short enough for what was wrong to be gone when somebody comes back to it.
const unprovenFor = "600"

// maxSize is more than any object has: what begins beyond it was counted from an end that is not known.
const maxSize = 1 << 50

// open opens the object, telling where reading will begin where that helps.
func (b *body) open(ctx context.Context) (tutti.Object, error) {
	size := b.pass.Size
	if size < 0 {
		size = math.MaxInt64
	}
	s, ok := b.s.c.TrackCache.(tutti.Seeker)
	part, verdict := parseRange(b.r.Header.Get("Range"), size)
	if !ok || b.r.Method != http.MethodGet || verdict == rangeUnsatisfiable || part.start > maxSize {
		return b.s.c.TrackCache.Open(ctx, b.pass.Ref)
	}
	return s.OpenAt(ctx, b.pass.Ref, part.start)
}

func (b *body) send(ctx context.Context, obj tutti.Object) error {
	size := obj.Size()
	if size < 0 { // still being made: as it comes, in chunks, without validators
		b.describe(obj.ContentType())
		b.w.Header().Set("Accept-Ranges", "none")
		b.w.Header().Set("X-Accel-Buffering", "no") // nginx would wait for full buffers, and the listener for the first sound
		if b.r.Header.Get("If-Match") != "" {
			return b.unmatched()
		}
		b.status, b.left = http.StatusOK, -1
		if b.r.Method == http.MethodHead {
			b.begin()
			return nil
		}
		_, err := obj.CopyRange(ctx, b, 0, -1)
		return err
	}
	if b.pass.Size >= 0 && b.pass.Size != size {
		return tutti.Errorf(tutti.KindConflict, "peer: bytes", "the object has %d bytes and the pass is for %d; ask for the stream again", size, b.pass.Size)
	}
	etag, modified := b.pass.ETag, b.pass.ModTime
	if modified.IsZero() {
		modified = obj.ModTime()
	}
	if etag == "" {
		etag = etagOf(b.pass.Ref, size, obj.ModTime())
	}
	part, err := b.choose(size, etag, modified)
	if err != nil || part.end < 0 {
		return err
	}
	b.describe(obj.ContentType())
	if p, ok := obj.(tutti.Prover); ok && !p.Proven() {
		b.w.Header().Set("X-Accel-Expires", unprovenFor)
	}
	if b.r.Method == http.MethodHead || part.length() == 0 {
		b.begin()
		return nil
	}
	return b.exactly(part.length())(obj.CopyRange(ctx, b, part.start, part.length()))
}

// exactly checks that what was copied is what was declared.
func (b *body) exactly(declared int64) func(int64, error) error {
	return func(_ int64, err error) error {
		switch {
		case errors.Is(err, errEnough):
			return nil
		case err == nil && b.sent < declared:
			return tutti.Wrap(tutti.KindUnavailable, "peer: bytes", io.ErrUnexpectedEOF)
		}
		return err
	}
}

// choose evaluates the conditions and the range of the request and prepares the header. A span with a negative end
// says that the answer has been given.
func (b *body) choose(size int64, etag string, modified time.Time) (span, error) {
	h := b.w.Header()
	answered := span{0, -1}
	if match := b.r.Header.Get("If-Match"); match != "" && !ifMatch(match, etag) {
		return answered, b.unmatched()
	}
	h.Set("Etag", etag)
	if !modified.IsZero() {
		h.Set("Last-Modified", modified.UTC().Format(http.TimeFormat))
	}
	h.Set("Accept-Ranges", "bytes")
	part := span{0, size}
	b.status = http.StatusOK
	if header := b.r.Header.Get("Range"); header != "" && b.r.Method == http.MethodGet && ifRange(b.r.Header.Get("If-Range"), etag, modified) {
		chosen, verdict := parseRange(header, size)
		switch verdict {
		case rangeUnsatisfiable:
			h.Set("Content-Range", "bytes */"+strconv.FormatInt(size, 10))
			h.Set("Content-Length", "0")
			b.status = http.StatusRequestedRangeNotSatisfiable
			b.begin()
			return answered, nil
		case rangePart:
			part = chosen
			h.Set("Content-Range", contentRange(part, size))
			b.status = http.StatusPartialContent
		}
	}
	h.Set("Content-Length", strconv.FormatInt(part.length(), 10))
	b.left = part.length()
	return part, nil
}

func (b *body) unmatched() error {
	return tutti.Errorf(tutti.KindConflict, "peer: bytes", "the object has changed")
}

// describe sets what the pass says of the object.
func (b *body) describe(contentType string) {
	h := b.w.Header()
	if b.pass.ContentType != "" {
		contentType = b.pass.ContentType
	}
	if contentType == "" {
		contentType = "application/octet-stream" // better than nothing, and nobody may guess
	}
	h.Set("Content-Type", contentType)
	if b.pass.SHA256 != nil { // of the whole, whatever part is sent: RFC 9530 §3
		h.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(b.pass.SHA256)+":")
	}
	if b.pass.Duration > 0 {
		h.Set("X-Content-Duration", strconv.FormatFloat(b.pass.Duration.Seconds(), 'f', 3, 64))
	}
}

// fill answers a member that fills a chunk. The tag of the object travels as an entity-tag.
func (b *body) fill() error {
	const op = "peer: fill"
	if b.s.c.Ranges == nil {
		return tutti.Errorf(tutti.KindUnavailable, op, "this member has no chunks")
	}
	off, n := int64(0), int64(-1)
	if header := b.r.Header.Get("Range"); header != "" {
		part, verdict := parseRange(header, math.MaxInt64)
		if verdict != rangePart || part.start > maxSize {
			return tutti.Errorf(tutti.KindInvalid, op, "a fill is for one range from a place in the object")
		}
		off = part.start
		if part.end < math.MaxInt64 {
			n = part.length()
		}
	}
	tag := ""
	if match := b.r.Header.Get("If-Match"); match != "" {
		var ok bool
		if tag, ok = tagOf(match); !ok {
			return tutti.Errorf(tutti.KindInvalid, op, "a malformed If-Match")
		}
	}
	reader, info, err := b.s.c.Ranges.OpenRange(b.r.Context(), b.pass.Ref, off, n, tag)
	if err != nil {
		return err
	}
	err = b.pour(reader, info, off, n)
	if closeErr := reader.Close(); closeErr != nil && err == nil {
		err = tutti.Wrap(tutti.KindUnavailable, op, closeErr)
	}
	return err
}

func (b *body) pour(reader io.Reader, info tutti.ObjectInfo, off, n int64) error {
	part := span{off, info.Size}
	if n >= 0 && n < info.Size-off {
		part.end = off + n
	}
	h := b.w.Header()
	if info.Size < 0 && (off > 0 || n >= 0) {
		return tutti.Errorf(tutti.KindUnavailable, "peer: fill", "what is still being made can only be had from its beginning to its end")
	}
	if info.Size >= 0 && part.length() <= 0 && (off > 0 || n >= 0) {
		h.Set("Content-Range", "bytes */"+strconv.FormatInt(info.Size, 10))
		h.Set("Content-Length", "0")
		b.status = http.StatusRequestedRangeNotSatisfiable
		b.begin()
		return nil
	}
	setInfo(h, info)
	if info.Size < 0 { // still being made
		b.status, b.left = http.StatusOK, -1
		_, err := io.Copy(b, reader)
		return err
	}
	h.Set("Content-Length", strconv.FormatInt(part.length(), 10))
	b.status, b.left = http.StatusOK, part.length()
	if off > 0 || n >= 0 {
		h.Set("Content-Range", contentRange(part, info.Size))
		b.status = http.StatusPartialContent
	}
	if b.r.Method == http.MethodHead || part.length() == 0 {
		b.begin()
		return nil
	}
	if from, ok := reader.(io.WriterTo); ok {
		return b.exactly(part.length())(from.WriteTo(b))
	}
	return b.exactly(part.length())(b.ReadFrom(reader))
}

// headerModTime is the exact time of change, which Last-Modified has in seconds only.
const headerModTime = "Tutti-Modified"

const md5Prefix = "md5=:" // of Repr-Digest, RFC 9530 §5

// setInfo puts what a source says of an object, but for its size, into the header of an answer; readInfo takes it out.
func setInfo(h http.Header, info tutti.ObjectInfo) {
	if info.Tag != "" {
		h.Set("Etag", tagETag(info.Tag))
	}
	if !info.ModTime.IsZero() {
		h.Set("Last-Modified", info.ModTime.UTC().Format(http.TimeFormat))
		h.Set(headerModTime, info.ModTime.UTC().Format(time.RFC3339Nano))
	}
	if info.ContentType != "" {
		h.Set("Content-Type", info.ContentType)
	}
	if len(info.MD5) > 0 {
		h.Set("Repr-Digest", md5Prefix+base64.StdEncoding.EncodeToString(info.MD5)+":")
	}
}

func readInfo(h http.Header, size int64) (info tutti.ObjectInfo, ok bool) {
	info = tutti.ObjectInfo{Size: size, ContentType: h.Get("Content-Type")}
	ok = true
	if etag := h.Get("Etag"); etag != "" {
		info.Tag, ok = tagOf(etag)
	}
	if t, err := time.Parse(time.RFC3339Nano, h.Get(headerModTime)); err == nil {
		info.ModTime = t.UTC()
	}
	if digest, found := strings.CutPrefix(h.Get("Repr-Digest"), md5Prefix); found {
		sum, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(digest, ":"))
		ok = ok && err == nil && len(sum) == md5.Size
		info.MD5 = sum
	}
	return info, ok
}

// tagETag makes an entity-tag of an object's tag, whatever is in it; tagOf takes it back.
func tagETag(tag string) string { return `"` + base64.RawURLEncoding.EncodeToString([]byte(tag)) + `"` }

func tagOf(etag string) (string, bool) {
	if len(etag) < 2 || etag[0] != '"' || etag[len(etag)-1] != '"' {
		return "", false
	}
	tag, err := base64.RawURLEncoding.Strict().DecodeString(etag[1 : len(etag)-1])
	return string(tag), err == nil
}

// etagOf names the bytes of an object among members, where the pass does not. Originals are named by their version.
// What was made need not be the same the next time, and what has no version may change: both are named by when as well.
func etagOf(ref tutti.Ref, size int64, modified time.Time) string {
	id := append(make([]byte, 0, 128), ref.Key()...)
	id = strconv.AppendInt(append(id, '/'), size, 10)
	if !ref.Profile.Original() || ref.Version == "" {
		id = strconv.AppendInt(append(id, '/'), modified.UnixNano(), 10)
	}
	sum := sha256.Sum256(id)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}

// begin writes the header.
func (b *body) begin() {
	if !b.begun {
		b.begun = true
		b.w.WriteHeader(b.status)
	}
}

// renew moves the write deadline on. A writer without deadlines, in a test say, goes without.
func (b *body) renew() error {
	if b.s.c.Stall <= 0 {
		return nil
	}
	if err := b.rc.SetWriteDeadline(clock.Deadline(b.s.c.Stall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

const (
	writePiece = 128 << 10 // bytes under one deadline from memory
	filePiece  = 1 << 20   // and from a file: the size of a chunk
)

// Write sends p.
func (b *body) Write(p []byte) (n int, err error) {
	whole := len(p)
	if b.left >= 0 && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	for len(p) > 0 {
		if err := b.renew(); err != nil {
			return n, b.failed(err)
		}
		b.begin()
		m, err := b.w.Write(p[:min(len(p), writePiece)])
		n += m
		b.took(int64(m))
		if err != nil {
			return n, b.failed(err)
		}
		p = p[m:]
		if b.left < 0 { // still being made: pass on what there is
			if err := b.rc.Flush(); err != nil {
				return n, b.failed(err)
			}
		}
	}
	if n < whole {
		return n, errEnough
	}
	return n, nil
}

// ReadFrom sends what src has; a file behind an *io.LimitedReader goes by sendfile(2), because http.ResponseWriter's
// own ReadFrom is given it.
func (b *body) ReadFrom(src io.Reader) (total int64, err error) {
	lr, ok := src.(*io.LimitedReader)
	rf, canSend := b.w.(io.ReaderFrom)
	if ok {
		_, ok = lr.R.(*os.File)
	}
	if !ok || !canSend || b.left < 0 {
		return b.copy(src)
	}
	for lr.N > 0 {
		if b.left == 0 {
			return total, errEnough
		}
		if err := b.renew(); err != nil {
			return total, b.failed(err)
		}
		b.begin()
		part := &io.LimitedReader{R: lr.R, N: min(lr.N, b.left, filePiece)}
		n, err := rf.ReadFrom(part)
		total += n
		lr.N -= n
		b.took(n)
		if err != nil {
			return total, b.failed(err)
		}
		if n == 0 {
			return total, nil // the file is shorter than it was
		}
	}
	return total, nil
}

var copyBuffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

func (b *body) copy(src io.Reader) (int64, error) {
	buf := copyBuffers.Get().(*[64 << 10]byte)
	defer copyBuffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{b}, struct{ io.Reader }{src}, buf[:])
}

func (b *body) took(n int64) {
	b.sent += n
	if b.left >= 0 {
		b.left -= n
	}
}

func (b *body) failed(err error) error {
	if b.gone == nil {
		b.gone = err
	}
	return err
}

// finish counts how the answer ended, and makes sure that the other side learns of a failure: from the status where
// there is none yet, else from a connection that ends in the middle of the body.
func (b *body) finish(err error) {
	m := b.s.metrics
	m.bytes.WithLabelValues(b.to).Add(float64(b.sent))
	if err == nil {
		b.begin() // an object without a byte
		m.bodies.WithLabelValues(b.to, "complete").Inc()
		return
	}
	result := "failed"
	switch {
	case errors.Is(b.gone, os.ErrDeadlineExceeded):
		result = "stalled"
	case b.gone != nil, b.r.Context().Err() != nil:
		result = "left"
	case !b.begun:
		result = "refused"
	}
	m.bodies.WithLabelValues(b.to, result).Inc()
	level := slog.LevelDebug
	if kind := tutti.KindOf(err); result == "failed" || result == "refused" && (kind == tutti.KindInternal || kind == tutti.KindUnavailable) {
		level = slog.LevelWarn
	}
	b.s.c.Logger.LogAttrs(b.r.Context(), level, "bytes ended early", slog.String("object", b.pass.Ref.ID()), slog.String("result", result),
		slog.Int64("sent", b.sent), slog.Any("error", err))
	if !b.begun {
		writeFailure(b.w, err)
		return
	}
	panic(http.ErrAbortHandler)
}
