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
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"tutti"
	"tutti/clock"
)

// Catalog is what Bytes asks of service B.
type Catalog interface {
	tutti.Planner
	Cover(ctx context.Context, v tutti.Viewer, id tutti.ID) (tutti.Ref, error)
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
	// Stall is how long a listener may take nothing at all before it is dropped; 0 is DefaultStall, less is for ever.
	Stall time.Duration
}

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
type Streamer struct{ c StreamerConfig }

var _ Bytes = (*Streamer)(nil)

// NewStreamer returns a Streamer. It holds nothing that needs closing.
func NewStreamer(c StreamerConfig) *Streamer {
	if c.Stall == 0 {
		c.Stall = DefaultStall
	}
	return &Streamer{c: c}
}

// ServeTrack implements Bytes.
func (s *Streamer) ServeTrack(w http.ResponseWriter, r *http.Request, req tutti.PlanRequest, o Options) error {
	ctx := r.Context()
	start := s.c.Clock.Now()
	if q := requestOf(ctx); q != nil {
		start = q.start
	}

	planCtx, endPlan := s.span(ctx, "plan")
	plan, err := s.c.Catalog.Plan(planCtx, req)
	endPlan(err)
	if err != nil {
		return err
	}
	kind := kindTranscode
	if plan.Ref.Profile.Original() {
		kind = kindOriginal
	}
	a := answer{
		contentType: plan.ContentType,
		cacheable:   audioCaching,
		estimate:    -1,
		first: func() {
			s.c.Metrics.firstByte.WithLabelValues(kind).Observe(s.c.Clock.Now().Sub(start).Seconds())
		},
	}
	if o.Download {
		a.disposition = attachment(fileName(&plan.Track, plan.Suffix, kind == kindOriginal))
	}
	if o.EstimateLength && plan.EstimatedSize > 0 {
		a.estimate = plan.EstimatedSize
	}
	if d := plan.Track.Duration - plan.Ref.Profile.Offset; d > 0 {
		a.duration = d
	}
	if r.Method == http.MethodHead && plan.Size < 0 {
		// Opening would set a transcoder to work for a listener who asked for no audio.
		s.head(w, a, -1, validators{})
		return nil
	}

	openCtx, endOpen := s.span(ctx, "open")
	obj, err := s.c.Cache.Open(openCtx, plan.Ref)
	endOpen(err)
	if err != nil {
		return err
	}
	defer s.close(ctx, obj)

	fromStart := true
	a.began = func(from int64) {
		fromStart = from == 0
		if fromStart && r.Method != http.MethodHead {
			s.c.Metrics.starts.WithLabelValues(kind).Inc()
		}
	}
	s.c.Metrics.active.Inc()
	defer s.c.Metrics.active.Dec()
	sendCtx, endSend := s.span(ctx, "send")
	n, result, err := s.send(sendCtx, w, r, plan.Ref, obj, a)
	endSend(err)
	s.c.Metrics.bytes.WithLabelValues(kind).Add(float64(n))
	if result == "" {
		return nil // an answer without a body: 304, 412, 416, HEAD
	}
	s.c.Metrics.ends.WithLabelValues(result).Inc()
	s.ended(ctx, plan.Track.ID, result, n, err)
	return nil
}

// ServeCover implements Bytes.
func (s *Streamer) ServeCover(w http.ResponseWriter, r *http.Request, v tutti.Viewer, id tutti.ID, pixels int) error {
	ctx := r.Context()
	if pixels < 0 {
		return tutti.Errorf(tutti.KindInvalid, "delivery.ServeCover", "a picture of %d pixels cannot be made", pixels)
	}
	ref, err := s.c.Catalog.Cover(ctx, v, id)
	if err != nil {
		return err
	}
	ref.Profile.Pixels = pixels
	obj, err := s.c.Cache.Open(ctx, ref)
	if err != nil {
		return err
	}
	defer s.close(ctx, obj)
	n, result, err := s.send(ctx, w, r, ref, obj, answer{cacheable: coverCaching, estimate: -1})
	if result == "" {
		return nil
	}
	s.c.Metrics.covers.Inc()
	s.ended(ctx, id, result, n, err)
	return nil
}

// Whatever we serve was asked for by one person who may see it, so no shared cache may keep it. Audio is revalidated
// each time, which costs a 304 and notices a file that was replaced; a picture may be a day old.
const (
	audioCaching = "private, no-cache"
	coverCaching = "private, max-age=86400"
)

// answer is what a response says besides its bytes.
type answer struct {
	contentType string // "": the object's own
	cacheable   string
	disposition string
	duration    time.Duration
	estimate    int64            // the length to declare where it is not known; -1 for none
	began       func(from int64) // called before the first byte is sent; may be nil
	first       func()           // called after; may be nil
}

// head writes the header of a 200 for size bytes, or for an unknown number of them.
func (s *Streamer) head(w http.ResponseWriter, a answer, size int64, v validators) {
	h := w.Header()
	a.describe(h)
	v.set(h)
	switch {
	case size >= 0:
		h.Set("Accept-Ranges", "bytes")
		h.Set("Content-Length", strconv.FormatInt(size, 10))
	default:
		h.Set("Accept-Ranges", "none")
		if a.estimate >= 0 {
			h.Set("Content-Length", strconv.FormatInt(a.estimate, 10))
		}
	}
	if plain := serverWriter(w); plain != nil {
		plain.raw = true
	}
	w.WriteHeader(http.StatusOK)
}

func (a answer) describe(h http.Header) {
	if a.contentType != "" {
		h.Set("Content-Type", a.contentType)
	}
	h.Set("Cache-Control", a.cacheable)
	if a.disposition != "" {
		h.Set("Content-Disposition", a.disposition)
	}
	if a.duration > 0 {
		h.Set("X-Content-Duration", strconv.FormatFloat(a.duration.Seconds(), 'f', 3, 64))
	}
}

// send answers with the object. result is "" where the answer has no body; err is why a body ended early.
func (s *Streamer) send(ctx context.Context, w http.ResponseWriter, r *http.Request, ref tutti.Ref, obj tutti.Object, a answer) (sent int64, result string, err error) {
	if a.contentType == "" {
		a.contentType = obj.ContentType()
	}
	size := obj.Size()
	if q := requestOf(ctx); q != nil {
		q.lift() // from here on it takes as long as it takes
	}
	if size < 0 {
		s.head(w, a, -1, validators{})
		if r.Method == http.MethodHead {
			return 0, "", nil
		}
		return s.copy(ctx, w, r, obj, a, span{0, a.estimate}, true)
	}

	v := validators{etag: etag(ref, obj), modified: obj.ModTime()}
	h := w.Header()
	switch v.check(r) {
	case notModified:
		// The fields that a 200 would have had, but not those that describe the content (RFC 9110 §15.4.5).
		h.Set("Cache-Control", a.cacheable)
		v.set(h)
		w.WriteHeader(http.StatusNotModified)
		return 0, "", nil
	case failedBefore:
		w.WriteHeader(http.StatusPreconditionFailed)
		return 0, "", nil
	}
	part, verdict := span{0, size}, rangeWhole
	if header := r.Header.Get("Range"); header != "" && r.Method == http.MethodGet && v.rangeApplies(r.Header) {
		if p, got := parseRange(header, size); got != rangeWhole {
			part, verdict = p, got
		}
	}
	switch verdict {
	case rangeUnsatisfiable:
		h.Set("Content-Range", "bytes */"+strconv.FormatInt(size, 10))
		h.Set("Accept-Ranges", "bytes")
		h.Set("Content-Length", "0")
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		return 0, "", nil
	case rangePart:
		a.describe(h)
		v.set(h)
		h.Set("Accept-Ranges", "bytes")
		h.Set("Content-Range", part.contentRange(size))
		h.Set("Content-Length", strconv.FormatInt(part.length, 10))
		if plain := serverWriter(w); plain != nil {
			plain.raw = true
		}
		w.WriteHeader(http.StatusPartialContent)
	default:
		s.head(w, a, size, v)
	}
	if r.Method == http.MethodHead {
		return 0, "", nil
	}
	return s.copy(ctx, w, r, obj, a, part, false)
}

// copy sends the body; a negative length is everything there will be.
func (s *Streamer) copy(ctx context.Context, w http.ResponseWriter, r *http.Request, obj tutti.Object, a answer, part span, open bool) (sent int64, result string, err error) {
	if a.began != nil {
		a.began(part.start)
	}
	if part.length == 0 {
		return 0, "complete", nil
	}
	b := newBody(w, r, s.c.Clock, s.c.Stall, part.length, a.first)
	n, err := obj.CopyRange(ctx, b, part.start, part.length)
	result = finish(ctx, err)
	if result == "complete" && part.length >= 0 && n < part.length {
		// The header promised more. With an estimate that is nobody's fault; else the object is not what it said.
		if err = io.ErrUnexpectedEOF; !open {
			result = "failed"
		}
	}
	return n, result, err
}

// ended logs how a body ended, and cuts the connection where the listener must learn that this was not all: a response
// in chunks would otherwise end as if it were whole. net/http's own answer to a short body is the same.
func (s *Streamer) ended(ctx context.Context, id tutti.ID, result string, n int64, err error) {
	if err == nil {
		return
	}
	level := slog.LevelDebug
	if result == "failed" {
		level = slog.LevelError
	}
	s.c.Logger.LogAttrs(ctx, level, "stream ended early", slog.String("request", RequestID(ctx)), slog.String("id", string(id)),
		slog.String("result", result), slog.Int64("bytes", n), slog.Any("error", err))
	if !errors.Is(err, errDeclared) {
		panic(http.ErrAbortHandler)
	}
}

func (s *Streamer) close(ctx context.Context, obj tutti.Object) {
	if err := obj.Close(); err != nil {
		s.c.Logger.LogAttrs(ctx, slog.LevelWarn, "closing what was sent", slog.String("request", RequestID(ctx)), slog.Any("error", err))
	}
}

// span begins a child span of the request's, if there is a tracer.
func (s *Streamer) span(ctx context.Context, name string) (context.Context, func(error)) {
	if s.c.Tracer == nil {
		return ctx, func(error) {}
	}
	ctx, span := s.c.Tracer.Start(ctx, name)
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, tutti.KindOf(err).String())
			span.SetAttributes(attribute.String("error.type", tutti.KindOf(err).String()))
		}
		span.End()
	}
}

// etag names exactly these bytes. Originals are named by their version, which changes with the file. Two runs of a
// transcoder need not agree on every byte, so what was made is named by when it was made as well.
func etag(ref tutti.Ref, obj tutti.Object) string {
	id := make([]byte, 0, 128)
	id = append(id, ref.Key()...)
	id = strconv.AppendInt(append(id, '/'), obj.Size(), 10)
	if !ref.Profile.Original() {
		id = strconv.AppendInt(append(id, '/'), obj.ModTime().UnixNano(), 10)
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
