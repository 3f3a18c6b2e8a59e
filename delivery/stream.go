package delivery

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path"
	"runtime"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/semaphore"

	"tutti"
	"tutti/carbon"
	"tutti/clock"
)

// Catalog is what Bytes asks of service B.
type Catalog interface {
	tutti.Planner
	Cover(ctx context.Context, v tutti.Viewer, id tutti.ID) (tutti.Ref, error)
	Mosaic(ctx context.Context, v tutti.Viewer, playlist tutti.ID) ([]tutti.Ref, error)
}

// StreamerConfig is what a Streamer needs. Catalog, Cache, Clock, Logger and Metrics are required.
type StreamerConfig struct {
	Catalog Catalog
	Cache   tutti.Source // the track cache
	// Clock must show true time: the deadlines of connections are set by it.
	Clock   clock.Clock
	Logger  *slog.Logger
	Metrics *Metrics
	Tracer  trace.Tracer // nil: no spans, and no cost
	// Digest returns the SHA-256 of a version's original, nil where it is not known; it goes out with the original as
	// Repr-Digest. nil: no digests.
	Digest func(ctx context.Context, v tutti.Version) []byte
	// Stall is how long a listener may take nothing at all before it is dropped; 0 is DefaultStall, less is for ever.
	Stall time.Duration
	// Accel, where it is set, has the proxy in front fetch the bytes from the track cache itself: it returns the address to
	// send the proxy to (X-Accel-Redirect), and false where the request did not come through such a proxy. The pass names
	// what is to be sent, and is good for 12 h; its Size is -1 for what is still being made, and for whatever else goes out whole.
	Accel func(r *http.Request, p tutti.Pass) (location string, ok bool)
	// Played, where it is set, is told of music that was sent: to whom, over which link as far as an address tells, how
	// many bytes, and how long they play.
	Played func(carbon.Play)
	// Remember is how long a plan is good for further requests of the same user for the same thing: the many ranges that
	// a running player asks for then cost no round trip. 0 is not at all, as in one process, where a plan costs nothing.
	Remember time.Duration
}

// DefaultRemember is a Remember for a fleet: long enough for a player that asks for a range a second, and short enough
// that a file which was replaced or hidden is gone from its listeners at once as people see it.
const DefaultRemember = 5 * time.Second

// DefaultStall lets a player be paused for longer than a coffee takes: one that has filled its buffer takes nothing
// until it is resumed. A player that was dropped asks again, with Range, from where it was.
const DefaultStall = 10 * time.Minute

// Streamer answers with audio and pictures. It makes the one control round trip A→B→C→B→A (Plan) and then moves the
// bytes from the track cache to the listener.
//
// Bytes of a known length are answered as RFC 9110 has it: a strong ETag, Last-Modified, If-Match,
// If-Unmodified-Since, If-None-Match, If-Modified-Since, Range with If-Range, 206, 304, 412 and 416. Range counts on
// GET only (§14.2), so HEAD always describes the whole. See parseRange for what happens to sets of ranges.
//
// Bytes that are still being made go out as they come, in chunks, as a 200 without validators; a Range header is
// ignored, which §14.2 allows and every player copes with. Where the listener asked for an estimated length
// (Options.EstimateLength), that length is declared: what is made beyond it is not sent, and where it turns out too
// long the connection ends early. Once such bytes are complete they are answered like any others.
type Streamer struct {
	c       StreamerConfig
	plans   planMemory
	mosaics *semaphore.Weighted // how many are put together at once
}

var _ Bytes = (*Streamer)(nil)

// NewStreamer returns a Streamer. It holds nothing that needs closing.
func NewStreamer(c StreamerConfig) *Streamer {
	if c.Stall == 0 {
		c.Stall = DefaultStall
	}
	return &Streamer{c: c, mosaics: semaphore.NewWeighted(int64(runtime.NumCPU())), plans: planMemory{clock: c.Clock, good: c.Remember, by: make(map[planKey]planned)}}
}

// ServeTrack implements Bytes.
func (s *Streamer) ServeTrack(w http.ResponseWriter, r *http.Request, req tutti.PlanRequest, o Options) error {
	a, err := s.planTrack(w, r, req, o)
	if err != nil {
		return err
	}
	if a.redirect() {
		return nil
	}
	if r.Method == http.MethodHead && a.size < 0 {
		a.head(-1, validators{}) // opening would set a transcoder to work for a listener who asked for no audio
		return nil
	}
	if err := a.open(); err != nil {
		s.plans.forget(a.key)
		return err
	}
	a.deliver()
	return nil
}

// ServeCover implements Bytes.
func (s *Streamer) ServeCover(w http.ResponseWriter, r *http.Request, v tutti.Viewer, id tutti.ID, pixels int) error {
	if pixels < 0 {
		return tutti.Errorf(tutti.KindInvalid, "delivery.ServeCover", "a picture of %d pixels cannot be made", pixels)
	}
	if id.Is(tutti.PrefixPlaylist) {
		return s.serveMosaic(w, r, v, id, pixels)
	}
	ref, err := s.c.Catalog.Cover(r.Context(), v, id)
	if err != nil {
		return err
	}
	return s.servePicture(w, r, id, ref, pixels, coverCaching)
}

func (s *Streamer) servePicture(w http.ResponseWriter, r *http.Request, id tutti.ID, ref tutti.Ref, pixels int, caching string) error {
	ref.Profile.Pixels = pixels
	a := &answer{s: s, w: w, r: r, ctx: r.Context(), id: id, ref: ref, caching: caching}
	if err := a.open(); err != nil {
		return hidden(err)
	}
	a.deliver()
	return nil
}

// hidden is what becomes of an error of a picture where not the request is at fault but the picture: it is damaged, or
// larger than any is. Apps then show their own.
func hidden(err error) error {
	if tutti.IsKind(err, tutti.KindInvalid) || tutti.IsKind(err, tutti.KindExhausted) {
		return &tutti.Error{Kind: tutti.KindNotFound, Op: "delivery.ServeCover", Message: tutti.Message(err), Err: err}
	}
	return err
}

// Whatever we serve was asked for by one person who may see it, so no shared cache may keep it. Audio is revalidated
// each time, which costs a 304 and notices a file that was replaced; a picture may be a day old.
const (
	audioCaching = "private, no-cache"
	coverCaching = "private, max-age=86400"
)

// answer is one response in the making. It lives on the heap, not in the frames of the functions that make it: those
// stay on the stack for as long as somebody listens, and a deep stack is most of what a listener costs us.
type answer struct {
	s   *Streamer
	w   http.ResponseWriter
	r   *http.Request
	ctx context.Context
	id  tutti.ID
	ref tutti.Ref
	obj tutti.Object

	key         planKey
	kind        string // of audio, for metrics; "" for a picture
	start       time.Time
	size        int64     // as planned
	modified    time.Time // of the original, as planned
	contentType string
	caching     string
	disposition string
	duration    time.Duration
	estimate    int64 // the length to declare where it is not known; 0 for none
	listener    tutti.ID

	sent   int64
	result string // how the body ended; "" where there was none
	err    error  // why it ended early
}

// planTrack asks the catalogue what to send. A Plan is large, and is not kept.
func (s *Streamer) planTrack(w http.ResponseWriter, r *http.Request, req tutti.PlanRequest, o Options) (*answer, error) {
	a := &answer{s: s, w: w, r: r, ctx: r.Context(), id: req.Track, kind: kindTranscode, caching: audioCaching, listener: req.Viewer.User}
	if q := requestOf(a.ctx); q != nil {
		a.start = q.start
	} else {
		a.start = s.c.Clock.Now()
	}
	a.key = keyOf(req)
	p, known := s.plans.get(a.key)
	if !known {
		end := a.span("plan")
		plan, err := s.c.Catalog.Plan(a.ctx, req)
		end(err)
		if err != nil {
			return nil, err
		}
		p = planned{
			ref: plan.Ref, size: plan.Size, estimate: plan.EstimatedSize, modified: plan.Track.ModTime, contentType: plan.ContentType,
			name: fileName(&plan.Track, plan.Suffix, plan.Ref.Profile.Original()), duration: plan.Track.Duration - plan.Ref.Profile.Offset,
		}
		s.plans.put(a.key, p)
	}
	a.ref, a.size, a.modified, a.contentType, a.duration = p.ref, p.size, p.modified, p.contentType, p.duration
	if p.ref.Profile.Original() {
		a.kind = kindOriginal
	}
	if o.Download {
		a.disposition = Attachment(p.name)
	}
	if o.EstimateLength {
		a.estimate = p.estimate
	}
	return a, nil
}

// played tells of music that was sent. Of an object of which the size is not known, the bytes say how long they play by
// the bit rate that was asked for.
func (a *answer) played(bytes int64) {
	if a.s.c.Played == nil || bytes <= 0 || a.duration <= 0 || a.ref.Profile.Format == "peaks" {
		return
	}
	size := a.size
	if a.obj != nil && a.obj.Size() > 0 {
		size = a.obj.Size()
	}
	music := a.duration
	switch rate := a.ref.Profile.BitRate; {
	case size > 0:
		music = time.Duration(float64(a.duration) * float64(bytes) / float64(size))
	case a.result == "complete":
	case rate > 0:
		music = time.Duration(float64(bytes) * 8 / float64(rate*1000) * float64(time.Second))
	default:
		return // it ended early, and nobody knows how early
	}
	a.s.c.Played(carbon.Play{
		Listener: a.listener, Link: carbon.LinkOf(ClientAddr(a.r), strings.EqualFold(a.r.Header.Get("Save-Data"), "on")),
		Bytes: bytes, Duration: min(music, a.duration),
	})
}

func (a *answer) open() (err error) {
	end := a.span("open")
	a.obj, err = a.s.c.Cache.Open(a.ctx, a.ref)
	end(err)
	return err
}

func (a *answer) close() {
	if err := a.obj.Close(); err != nil {
		a.s.c.Logger.LogAttrs(a.ctx, slog.LevelWarn, "closing what was sent", slog.String("request", RequestID(a.ctx)), slog.Any("error", err))
	}
}

// deliver sends the answer, within a Server by leaving it to the outermost handler: what the wires had on the stack is
// gone by then. The runtime halves a stack only while less than a quarter of it is in use, and gives new goroutines
// stacks of the average size, so a thousand paced listeners of the whole program cost 41 kB each without this and 35 with.
func (a *answer) deliver() {
	q, plain := requestOf(a.ctx), serverWriter(a.w)
	if q == nil || plain == nil || q.tail != nil {
		a.run(a.ctx)
		return
	}
	a.w, q.tail = plain, a
}

// run sends the answer. ctx may outlive the one that the wire had.
func (a *answer) run(ctx context.Context) {
	a.ctx = ctx
	defer a.close()
	m := a.s.c.Metrics
	if a.kind == "" {
		a.send()
		if a.result != "" {
			m.covers.Inc()
		}
		a.finish()
		return
	}
	m.active.Inc()
	defer m.active.Dec()
	end := a.span("send")
	a.send()
	end(a.err)
	m.bytes.WithLabelValues(a.kind).Add(float64(a.sent))
	m.served.Add(1)
	m.servedBytes.Add(a.sent)
	a.played(a.sent)
	if a.result != "" {
		m.ends.WithLabelValues(a.result).Inc()
	}
	a.finish()
}

// send answers with the object.
func (a *answer) send() {
	if q := requestOf(a.ctx); q != nil {
		q.lift() // from here on it takes as long as it takes
	}
	part, body := a.begin()
	if !body {
		return
	}
	if a.kind != "" && part.start == 0 {
		a.s.c.Metrics.starts.WithLabelValues(a.kind).Inc()
	}
	if part.length == 0 {
		a.result = "complete"
		return
	}
	a.copy(part)
	a.result = outcome(a.ctx, a.err)
	if a.result == "complete" && part.length > 0 && a.sent < part.length {
		// The header promised more. With an estimate that is nobody's fault; else the object is not what it said.
		a.err = io.ErrUnexpectedEOF
		if a.estimate != part.length {
			a.result = "failed"
		}
	}
}

// begin writes the header. It returns the part of the object that is to follow, of negative length where that is
// everything there will be, and whether anything is.
func (a *answer) begin() (part span, body bool) {
	if a.contentType == "" {
		a.contentType = a.obj.ContentType()
	}
	if a.contentType == "" {
		a.contentType = "application/octet-stream" // better than an empty field, and nobody may guess
	}
	size := a.obj.Size()
	if size < 0 {
		a.head(-1, validators{})
		if a.estimate > 0 {
			return span{0, a.estimate}, a.r.Method != http.MethodHead
		}
		return span{0, -1}, a.r.Method != http.MethodHead
	}
	a.estimate = 0
	v := validators{etag: etag(a.ref, size, a.obj.ModTime()), modified: a.obj.ModTime()}
	part, status := a.choose(size, v)
	switch status {
	case http.StatusOK:
		a.head(size, v)
		return part, a.r.Method != http.MethodHead
	case http.StatusPartialContent:
		a.w.Header().Set("Content-Range", part.contentRange(size))
		a.writeHeader(status, part.length, v)
		return part, true
	}
	return span{}, false
}

// choose evaluates the conditions of the request for an object of size bytes, and its Range. It returns the part to send
// and 200 or 206; any other status has been answered.
func (a *answer) choose(size int64, v validators) (span, int) {
	h := a.w.Header()
	switch v.check(a.r) {
	case notModified:
		// The fields that a 200 would have had, but not those that describe the content (RFC 9110 §15.4.5).
		h.Set("Cache-Control", a.caching)
		v.set(h)
		a.w.WriteHeader(http.StatusNotModified)
		return span{}, http.StatusNotModified
	case failedBefore:
		a.w.WriteHeader(http.StatusPreconditionFailed)
		return span{}, http.StatusPreconditionFailed
	}
	if header := a.r.Header.Get("Range"); header != "" && a.r.Method == http.MethodGet && v.rangeApplies(a.r.Header) {
		part, verdict := parseRange(header, size)
		switch verdict {
		case rangeUnsatisfiable:
			h.Set("Content-Range", "bytes */"+strconv.FormatInt(size, 10))
			h.Set("Accept-Ranges", "bytes")
			h.Set("Content-Length", "0")
			a.w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return span{}, http.StatusRequestedRangeNotSatisfiable
		case rangePart:
			return part, http.StatusPartialContent
		}
	}
	return span{0, size}, http.StatusOK
}

// head writes the header of a 200 for size bytes, or for an unknown number of them (-1).
func (a *answer) head(size int64, v validators) {
	if size < 0 && a.estimate > 0 {
		a.w.Header().Set("Content-Length", strconv.FormatInt(a.estimate, 10))
	}
	a.writeHeader(http.StatusOK, size, v)
}

func (a *answer) writeHeader(status int, length int64, v validators) {
	h := a.w.Header()
	a.describe(h)
	v.set(h)
	if length >= 0 {
		h.Set("Accept-Ranges", "bytes")
		h.Set("Content-Length", strconv.FormatInt(length, 10))
	} else {
		h.Set("Accept-Ranges", "none")
	}
	if plain := serverWriter(a.w); plain != nil {
		plain.raw = true
	}
	a.w.WriteHeader(status)
}

// describe sets the fields that say what the bytes are, whoever sends them.
func (a *answer) describe(h http.Header) {
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", a.caching)
	if a.disposition != "" {
		h.Set("Content-Disposition", a.disposition)
	}
	if sum := a.digest(); sum != nil {
		// Of the whole, whatever part of it is sent: RFC 9530 §3.
		h.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum)+":")
	}
	if a.duration > 0 {
		h.Set("X-Content-Duration", strconv.FormatFloat(a.duration.Seconds(), 'f', 3, 64))
	}
}

func (a *answer) digest() []byte {
	if a.kind != kindOriginal || a.s.c.Digest == nil {
		return nil
	}
	return a.s.c.Digest(a.ctx, a.ref.Version)
}

// copy sends the body.
func (a *answer) copy(part span) {
	b := newBody(a.w, a.r, a.s.c.Clock, a.s.c.Stall, part.length, a.firstByte)
	length := part.length
	if a.estimate > 0 {
		length = -1 // all there will be; b stops at the length that was declared
	}
	a.sent, a.err = a.obj.CopyRange(a.ctx, b, part.start, length)
}

func (a *answer) firstByte() {
	if a.kind != "" {
		a.s.c.Metrics.firstByte.WithLabelValues(a.kind).Observe(a.s.c.Clock.Now().Sub(a.start).Seconds())
	}
}

// finish logs how a body ended, and cuts the connection where the listener must learn that this was not all: a response
// in chunks would otherwise end as if it were whole. net/http's own answer to a short body is the same.
func (a *answer) finish() {
	if a.err == nil || errors.Is(a.err, errDeclared) {
		return
	}
	level := slog.LevelDebug
	if a.result == "failed" {
		level = slog.LevelError
	}
	a.s.c.Logger.LogAttrs(a.ctx, level, "stream ended early", slog.String("request", RequestID(a.ctx)), slog.String("id", string(a.id)),
		slog.String("result", a.result), slog.Int64("bytes", a.sent), slog.Any("error", a.err))
	panic(http.ErrAbortHandler)
}

// span begins a child span of the request's, if there is a tracer.
func (a *answer) span(name string) (end func(error)) {
	if a.s.c.Tracer == nil {
		return func(error) {}
	}
	_, span := a.s.c.Tracer.Start(a.ctx, name)
	return func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, tutti.KindOf(err).String())
			span.SetAttributes(attribute.String("error.type", tutti.KindOf(err).String()))
		}
		span.End()
	}
}

// etag names exactly these bytes. Originals are named by their version, which changes with the file. Two runs of a
// transcoder need not agree on every byte, so what was made is named by when it was made as well.
func etag(ref tutti.Ref, size int64, modified time.Time) string {
	id := make([]byte, 0, 128)
	id = append(id, ref.Key()...)
	id = strconv.AppendInt(append(id, '/'), size, 10)
	if !ref.Profile.Original() {
		id = strconv.AppendInt(append(id, '/'), modified.UnixNano(), 10)
	}
	sum := sha256.Sum256(id)
	var out [2 + 22]byte // 16 bytes in base64 and two quotes
	out[0], out[len(out)-1] = '"', '"'
	base64.RawURLEncoding.Encode(out[1:len(out)-1], sum[:16])
	return string(out[:])
}

// fileName is what a downloaded track is called: the original's own name, or the same with the new ending.
func fileName(t *tutti.Track, suffix string, original bool) string {
	name := path.Base(t.Path)
	if original || suffix == "" {
		return name
	}
	return name[:len(name)-len(path.Ext(name))] + "." + suffix
}
