package peer

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/peer/balance"
	"tutti/peer/wire"
)

// trackCacheClient speaks tutti.TrackCache to the members that own an object.
type trackCacheClient struct{ c *Client }

var _ tutti.TrackCache = trackCacheClient{}

// TrackCache returns the fleet's track cache. Beyond what tutti.TrackCache says, every method may return
// KindUnavailable: at once where no member is ready, else when members do not answer in time.
//
// What Open returns reads each chunk from the members that own it and changes to another one, at the very byte, when one
// fails or sends nothing for a second. It never mixes two versions: every answer must carry the same strong entity-tag.
func (c *Client) TrackCache() tutti.TrackCache { return trackCacheClient{c} }

// Prepare implements tutti.TrackCache.
func (t trackCacheClient) Prepare(ctx context.Context, r tutti.Ref) (tutti.Readiness, error) {
	const method = "TrackCache/Prepare"
	if err := checkRef(r); err != nil {
		return tutti.Readiness{}, err
	}
	first := tutti.ChunkID{Object: r.ID()}
	targets := t.c.owners(first)
	if len(targets) == 0 {
		return tutti.Readiness{}, nobody(method, tutti.ServiceTrackCache)
	}
	how := t.c.read()
	how.Hedge /= 2 // whoever waits for a plan must not have lost patience with the catalogue by then
	a, err := ask(ctx, t.c, method, how, targets, func(ctx context.Context, t *target) (*wire.Readiness, error) {
		return t.cache.Prepare(ctx, toRef(r))
	})
	if err != nil {
		return tutti.Readiness{}, err
	}
	a.end()
	out := fromReadiness(a.value)
	out.Owners = nil
	for _, m := range t.c.c.Fleet.Owners(first, tutti.Replicas) {
		out.Owners = append(out.Owners, m.Address)
	}
	return out, nil
}

// passFor is how long the passes last that a client gives itself. A request is let in or not when it arrives.
const passFor = time.Minute

// pass seals the leave to fetch an object.
func (c *Client) pass(r tutti.Ref) string {
	return c.c.Keys.SealPass(tutti.Pass{Ref: r, Size: -1, Expires: c.c.Clock.Now().Add(passFor)})
}

// wanted is one request for bytes.
type wanted struct {
	method string
	ref    tutti.Ref
	header http.Header
}

// fetch asks t. Any answer but 200 and 206 is an error.
func (c *Client) fetch(ctx context.Context, t *target, w wanted) (*http.Response, error) {
	const op = "peer: bytes"
	req, err := http.NewRequestWithContext(ctx, w.method, c.scheme+t.address+BytesPrefix+w.ref.ID(), http.NoBody)
	if err != nil {
		return nil, tutti.Wrap(tutti.KindInternal, op, err)
	}
	for k, v := range w.header {
		req.Header[k] = v
	}
	req.Header.Set(headerPass, c.pass(w.ref))
	resp, err := c.bytes.Do(req)
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusPartialContent:
		return resp, nil
	}
	return nil, answeredError{readFailure(op+" on "+t.address, resp)}
}

// answeredError is what a member said, as opposed to what happened on the way.
type answeredError struct{ error }

func (e answeredError) Unwrap() error { return e.error }

// patient is how members are asked for bytes: nothing is lost by asking another one, because the first stays in the
// race, and whoever answers first is read from.
func (c *Client) patient() balance.Class {
	return balance.Class{Patience: c.c.Patience, Hedge: c.c.Stall, Bytes: true, Again: true}
}

// Open implements tutti.Source.
func (t trackCacheClient) Open(ctx context.Context, r tutti.Ref) (tutti.Object, error) {
	const method = "TrackCache/Open"
	if err := checkRef(r); err != nil {
		return nil, err
	}
	targets := t.c.owners(tutti.ChunkID{Object: r.ID()})
	if len(targets) == 0 {
		return nil, nobody(method, tutti.ServiceTrackCache)
	}
	a, err := ask(ctx, t.c, method, t.c.patient(), targets, func(ctx context.Context, to *target) (*http.Response, error) {
		return t.c.fetch(ctx, to, wanted{method: http.MethodHead, ref: r})
	})
	if err != nil {
		return nil, err
	}
	defer a.end()
	_ = a.value.Body.Close() // an answer to HEAD has none
	o := &object{c: t.c, ref: r, size: a.value.ContentLength, contentType: a.value.Header.Get("Content-Type"), tag: a.value.Header.Get("Etag")}
	if a.value.Header.Get("Accept-Ranges") != "bytes" {
		o.size = -1
	}
	if modified, err := http.ParseTime(a.value.Header.Get("Last-Modified")); err == nil {
		o.modTime = modified
	}
	return o, nil
}

// object is an object of the track cache's, as its members have it.
type object struct {
	c           *Client
	ref         tutti.Ref
	size        int64
	modTime     time.Time
	contentType string
	tag         string
}

func (o *object) Size() int64         { return o.size }
func (o *object) ModTime() time.Time  { return o.modTime }
func (o *object) ContentType() string { return o.contentType }
func (o *object) Close() error        { return nil }

// ReadAt implements io.ReaderAt.
func (o *object) ReadAt(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	w := &filler{p: p}
	if o.size >= 0 && off >= o.size {
		return 0, io.EOF
	}
	_, err := o.CopyRange(context.Background(), w, off, int64(len(p))) // bounded by the client's patience
	if err == nil && w.n < len(p) {
		err = io.EOF
	}
	return w.n, err
}

// filler writes into a slice that is large enough.
type filler struct {
	p []byte
	n int
}

func (f *filler) Write(b []byte) (int, error) {
	n := copy(f.p[f.n:], b)
	f.n += n
	if n < len(b) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

// CopyRange implements tutti.Object.
func (o *object) CopyRange(ctx context.Context, w io.Writer, off, n int64) (total int64, err error) {
	const op = "peer: copy"
	if off < 0 || o.size >= 0 && off > o.size {
		return 0, tutti.Errorf(tutti.KindInvalid, op, "offset %d is outside the %d bytes", off, o.size)
	}
	if o.size < 0 {
		return o.copyGrowing(ctx, w, off, n)
	}
	end := o.size
	if n >= 0 && n < end-off {
		end = off + n
	}
	for at := off; at < end; {
		id := tutti.ChunkID{Object: o.ref.ID()}
		part := span{at, end}
		if o.ref.Profile.Original() && o.ref.Version != "" { // others lie as a whole with the owners of chunk 0
			id.N = at / tutti.ChunkSize
			part.end = min(end, (id.N+1)*tutti.ChunkSize)
		}
		copied, err := o.copyPart(ctx, w, id, part)
		total += copied
		if err != nil {
			return total, err
		}
		at = part.end
	}
	return total, nil
}

// writeError is a failure of the one who takes the bytes, of which no member is to blame.
type writeError struct{ error }

func (e writeError) Unwrap() error { return e.error }

// copyPart copies a part from the members that own it, going on with another one wherever one stops.
func (o *object) copyPart(ctx context.Context, w io.Writer, id tutti.ChunkID, part span) (total int64, err error) {
	const method = "TrackCache/bytes"
	const op = "peer: " + method
	for fruitless := 0; part.length() > 0; {
		targets := o.c.owners(id)
		if len(targets) == 0 {
			return total, nobody(method, tutti.ServiceTrackCache)
		}
		a, err := ask(ctx, o.c, method, o.c.patient(), targets, func(ctx context.Context, t *target) (*http.Response, error) {
			return o.fetchPart(ctx, t, part)
		})
		if err != nil {
			return total, err
		}
		n, err := o.c.drain(ctx, a, w, part.length())
		total += n
		part.start += n
		var refused writeError
		switch {
		case err == nil:
			continue
		case errors.As(err, &refused):
			return total, refused.error
		case ctx.Err() != nil:
			return total, tutti.Wrap(tutti.KindUnavailable, op, context.Cause(ctx))
		}
		o.c.suspect(a.t)
		o.c.metrics.moved.WithLabelValues(method).Inc()
		if fruitless++; n > 0 {
			fruitless = 0
		}
		if fruitless > 2*balance.MaxAsked {
			return total, tutti.Wrap(tutti.KindUnavailable, op+" on "+a.t.address, err)
		}
	}
	return total, nil
}

// fetchPart asks t for a part and makes sure that it is one, of the same bytes.
func (o *object) fetchPart(ctx context.Context, t *target, part span) (*http.Response, error) {
	header := http.Header{"Range": {"bytes=" + strconv.FormatInt(part.start, 10) + "-" + strconv.FormatInt(part.end-1, 10)}}
	if o.tag != "" {
		header["If-Match"] = []string{o.tag}
	}
	resp, err := o.c.fetch(ctx, t, wanted{method: http.MethodGet, ref: o.ref, header: header})
	if err != nil {
		return nil, err
	}
	got, size, ok := parseContentRange(resp.Header.Get("Content-Range"))
	if resp.StatusCode == http.StatusOK { // a whole answers as well, where it is the part
		got, size, ok = span{0, resp.ContentLength}, resp.ContentLength, true
	}
	if !ok || got != part || size != o.size || resp.ContentLength != part.length() || o.tag != "" && !strong(o.tag, resp.Header.Get("Etag")) {
		_ = resp.Body.Close()
		return nil, answeredError{tutti.Errorf(tutti.KindConflict, "peer: bytes on "+t.address, "the object has changed; ask for the stream again")}
	}
	return resp, nil
}

// copyGrowing copies an object whose size was not known when it was opened: whole, from one member, because no two of
// them make it the same. If that member fails, so does the copy.
func (o *object) copyGrowing(ctx context.Context, w io.Writer, off, n int64) (int64, error) {
	const method = "TrackCache/bytes"
	const op = "peer: " + method
	targets := o.c.owners(tutti.ChunkID{Object: o.ref.ID()})
	if len(targets) == 0 {
		return 0, nobody(method, tutti.ServiceTrackCache)
	}
	a, err := ask(ctx, o.c, method, o.c.patient(), targets, func(ctx context.Context, t *target) (*http.Response, error) {
		return o.c.fetch(ctx, t, wanted{method: http.MethodGet, ref: o.ref})
	})
	if err != nil {
		return 0, err
	}
	length := a.value.ContentLength // known by now, if it was completed meanwhile
	out := &section{w: w, skip: off, left: n}
	copied, err := o.c.drain(ctx, a, out, length)
	var refused writeError
	switch {
	case errors.As(err, &refused) && errors.Is(refused.error, errEnough):
		return out.taken, nil
	case errors.As(err, &refused):
		return out.taken, refused.error
	case ctx.Err() != nil:
		return out.taken, tutti.Wrap(tutti.KindUnavailable, op, context.Cause(ctx))
	case err != nil:
		o.c.suspect(a.t)
		return out.taken, tutti.Wrap(tutti.KindUnavailable, op+" on "+a.t.address, err)
	case copied < off:
		return 0, tutti.Errorf(tutti.KindInvalid, op, "offset %d is outside the %d bytes", off, copied)
	}
	return out.taken, nil
}

// drain copies the body of an answer to w and ends the attempt. length is how many bytes there are, -1 if that is not
// known. The error is a writeError where w is at fault; an early end is one as well.
func (c *Client) drain(ctx context.Context, a *attempt[*http.Response], w io.Writer, length int64) (total int64, err error) {
	defer a.end()
	defer a.value.Body.Close() // what it could say has been said by Read
	a.t.health.Begin()
	defer a.t.health.End()
	from := newWatched(a.value.Body, c.c.Clock, c.c.Stall, func() { a.cancel(errSilent) })
	defer from.stop()
	if length < 0 {
		from.every = c.c.Patience // whoever makes it may take its time
	}
	buf := copyBuffers.Get().(*[64 << 10]byte)
	defer copyBuffers.Put(buf)
	for {
		n, readErr := from.Read(buf[:])
		if n > 0 {
			m, err := w.Write(buf[:n])
			total += int64(m)
			if err == nil && m < n {
				err = io.ErrShortWrite
			}
			if err != nil {
				return total, writeError{err}
			}
		}
		switch {
		case readErr == io.EOF && length >= 0 && total < length: //nolint:errorlint // Read returns it bare
			return total, io.ErrUnexpectedEOF
		case readErr == io.EOF: //nolint:errorlint // see above
			return total, nil
		case readErr != nil:
			if from.stalled() {
				c.metrics.stalled.Inc()
				return total, errSilent
			}
			return total, readErr
		}
	}
}

// watched is a reader that is given up when a Read takes too long. Only the time spent waiting for bytes counts, not
// what the reader does in between.
type watched struct {
	r     io.Reader
	every time.Duration
	timer clock.Timer
	fired chan struct{}
}

func newWatched(r io.Reader, c clock.Clock, every time.Duration, giveUp func()) *watched {
	w := &watched{r: r, every: every, fired: make(chan struct{}, 1)}
	w.timer = c.AfterFunc(every, func() {
		select {
		case w.fired <- struct{}{}:
		default:
		}
		giveUp()
	})
	w.timer.Stop()
	return w
}

func (w *watched) Read(p []byte) (int, error) {
	w.timer.Reset(w.every)
	n, err := w.r.Read(p)
	w.timer.Stop()
	return n, err
}

func (w *watched) stop() { w.timer.Stop() }

func (w *watched) stalled() bool {
	select {
	case <-w.fired:
		return true
	default:
		return false
	}
}

// section passes on a part of what is written to it.
type section struct {
	w          io.Writer
	skip, left int64 // left -1: all
	taken      int64
}

func (x *section) Write(p []byte) (int, error) {
	n := len(p)
	drop := min(x.skip, int64(n))
	x.skip -= drop
	p = p[drop:]
	enough := x.left >= 0 && int64(len(p)) >= x.left
	if enough {
		p = p[:x.left]
	}
	m, err := x.w.Write(p)
	x.taken += int64(m)
	if x.left >= 0 {
		x.left -= int64(m)
	}
	if err == nil && enough {
		err = errEnough
	}
	if err != nil {
		return int(drop) + m, err
	}
	return n, nil
}

// Ranges returns one member's chunks, for filling those of this process; it is a tutti.Neighbour. The member answers from
// its own tiers or the origin and asks no other member, so no request can go in circles. Nothing is retried.
func (c *Client) Ranges(m tutti.Member) tutti.RangeSource { return neighbour{c, m} }

type neighbour struct {
	c *Client
	m tutti.Member
}

var _ tutti.Neighbour = neighbour{}

// near asks the one member, once.
func near[A, B any](ctx context.Context, s neighbour, method string, req *A, do func(wire.TrackCacheClient, context.Context, *A) (*B, error)) (*B, error) {
	a, err := ask(ctx, s.c, "TrackCache/"+method, balance.Class{Patience: s.c.c.Read}, []*target{s.c.target(s.m)}, func(ctx context.Context, t *target) (*B, error) {
		return do(t.cache, ctx, req)
	})
	if err != nil {
		return nil, err
	}
	a.end()
	return a.value, nil
}

// Held implements tutti.Neighbour.
func (s neighbour) Held(ctx context.Context, r tutti.Ref, n int64) ([]byte, error) {
	m, err := near(ctx, s, "Held", &wire.HeldRequest{Ref: toRef(r), Chunks: n}, wire.TrackCacheClient.Held)
	return m.GetChunks(), err
}

// Warm implements tutti.Neighbour.
func (s neighbour) Warm(ctx context.Context, r tutti.Ref, n int64, fetch bool) error {
	_, err := near(ctx, s, "Warm", &wire.WarmRequest{Ref: toRef(r), Chunk: n, Fetch: fetch}, wire.TrackCacheClient.Warm)
	return err
}

// OpenRange implements tutti.RangeSource.
func (s neighbour) OpenRange(ctx context.Context, r tutti.Ref, off, n int64, tag string) (io.ReadCloser, tutti.ObjectInfo, error) {
	const method = "TrackCache/fill"
	var none tutti.ObjectInfo
	if err := checkRef(r); err != nil {
		return nil, none, err
	}
	if off < 0 {
		return nil, none, tutti.Errorf(tutti.KindInvalid, "peer: "+method, "offset %d is before the beginning", off)
	}
	header := http.Header{headerFill: {"1"}}
	if off > 0 || n >= 0 {
		spec := "bytes=" + strconv.FormatInt(off, 10) + "-"
		if n >= 0 {
			spec += strconv.FormatInt(off+max(n, 1)-1, 10)
		}
		header["Range"] = []string{spec}
	}
	if tag != "" {
		header["If-Match"] = []string{tagETag(tag)}
	}
	how := balance.Class{Patience: s.c.c.Patience}
	a, err := ask(ctx, s.c, method, how, []*target{s.c.target(s.m)}, func(ctx context.Context, t *target) (*http.Response, error) {
		return s.c.fetch(ctx, t, wanted{method: http.MethodGet, ref: r, header: header})
	})
	if err != nil {
		return nil, none, err
	}
	resp := a.value
	// Without a length it is still being made, and can only be had as a whole.
	size, ok := resp.ContentLength, off == 0 && (resp.ContentLength >= 0 || n < 0)
	if resp.StatusCode == http.StatusPartialContent {
		var got span
		got, size, ok = parseContentRange(resp.Header.Get("Content-Range"))
		ok = ok && got.start == off && got.length() == resp.ContentLength && size >= 0
	}
	info, complete := readInfo(resp.Header, size)
	ok = ok && complete
	if !ok || tag != "" && info.Tag != tag {
		_ = resp.Body.Close()
		a.end()
		return nil, none, tutti.Errorf(tutti.KindConflict, "peer: "+method+" on "+a.t.address, "another part than the one asked for")
	}
	a.t.health.Begin()
	return &filling{
		a: a, left: resp.ContentLength, op: "peer: " + method + " on " + a.t.address,
		from: newWatched(resp.Body, s.c.c.Clock, s.c.c.Patience, func() { a.cancel(errSilent) }),
	}, info, nil
}

// filling is the body of an answer to a fill.
type filling struct {
	a      *attempt[*http.Response]
	from   *watched
	left   int64
	op     string
	closed bool
}

func (f *filling) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, io.EOF
	}
	if f.left < 0 { // until the end of a chunked body, which says whether it is the end
		n, err := f.from.Read(p)
		if errors.Is(err, io.EOF) {
			f.left = 0
			return n, io.EOF
		}
		return n, tutti.Wrap(tutti.KindUnavailable, f.op, err)
	}
	n, err := f.from.Read(p[:min(int64(len(p)), f.left)])
	f.left -= int64(n)
	switch {
	case f.left == 0:
		return n, nil
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return n, tutti.Wrap(tutti.KindUnavailable, f.op, err)
}

// Close ends the exchange.
func (f *filling) Close() error {
	if f.closed {
		return nil
	}
	f.closed = true
	f.from.stop()
	if f.left == 0 {
		// One more read finds the end of the body, so that the connection serves again.
		_, _ = f.from.r.Read(make([]byte, 1))
	}
	err := f.a.value.Body.Close()
	f.a.end()
	f.a.t.health.End()
	return tutti.Wrap(tutti.KindUnavailable, f.op, err)
}
