// Package peer is how the services of a fleet call one another when each runs in a process of its own. It speaks the
// interfaces of the root package, so that neither side knows whether the other is in the same process.
//
//	A ──Client.Catalog()──▶ B ──Client.TrackCache().Prepare──▶ C      control: Connect over HTTP/1.1, Protocol Buffers
//	A, nginx ─────────GET /bytes/<ref id>?pass=…─────────────▶ C      bytes: plain HTTP/1.1 with Range
//	C ──Client.Ranges(member)──▶ C                                    one member fills its chunks from another
//	any ──OpenStore──▶ a process that has the store
//
// Who may ask: control requests are signed with the fleet's keys (see Keys), bytes are given to whoever has a sealed
// tutti.Pass. Mutual TLS can be had as well (see ReadTLS). Without keys a Handler answers on the loopback interface only.
//
// What belongs here: messages, conversions, signatures, choosing and changing members. What does not: what members
// there are (peer/members), and what any of them does.
package peer

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"tutti"
	"tutti/clock"
	"tutti/peer/wire"
	"tutti/store"
)

// Where a Handler answers: everything that begins with one of these.
const (
	Prefix      = "/tutti.v1." // control
	BytesPrefix = "/bytes/"
)

// Paths are the folders under which a Handler answers, for servers that mount by folder.
func Paths() []string {
	return []string{
		"/" + wire.CatalogName + "/", "/" + wire.TrackCacheName + "/", "/" + wire.StoreName + "/", BytesPrefix,
	}
}

// MaxBody is how many bytes the body of a request may have, for servers that bound it.
const MaxBody = maxBody

// HandlerConfig is what a member offers to the others. Parts that are nil are not offered. Clock and Logger are required.
type HandlerConfig struct {
	Catalog    tutti.Catalog
	TrackCache tutti.TrackCache // serves passes
	// Ranges answers other members that fill their chunks: from this process's own tiers or the origin. It must ask no
	// member, or two that each think the other has a chunk would ask each other in circles. Readers that it returns may
	// implement io.WriterTo to hand files to the kernel. Where it is a tutti.Neighbour, the rest of that is offered too.
	Ranges tutti.RangeSource
	Store  store.Store

	Models Models // as ClientConfig.Models

	Keys *Keys // nil: answers on the loopback interface only; see Secured
	// Address is the HOST:PORT under which the other members know this process; requests that were signed for another
	// one are refused. "": not checked.
	Address string
	// Stall is how long somebody may take nothing of the bytes that are sent; 0 is 10 min, as long as a listener may
	// pause. Less is for ever.
	Stall time.Duration

	Clock  clock.Clock // must show true time: signatures, passes and deadlines go by it
	Logger *slog.Logger
}

// Endpoint is what Handler returns: an http.Handler that counts what it does.
type Endpoint struct {
	control http.Handler
	bytes   http.Handler
	metrics *serverMetrics
}

var (
	_ http.Handler         = (*Endpoint)(nil)
	_ prometheus.Collector = (*Endpoint)(nil)
)

// Handler returns what answers the other members. It holds nothing that needs closing.
func Handler(c HandlerConfig) *Endpoint {
	if c.Stall == 0 {
		c.Stall = 10 * time.Minute
	}
	m := newServerMetrics()
	mux := http.NewServeMux()
	options := []connect.HandlerOption{
		connect.WithInterceptors(&failures{clock: c.Clock, log: c.Logger, metrics: m}),
		connect.WithReadMaxBytes(maxBody),
		connect.WithCompression("gzip", nil, nil), // members are near one another: it would cost more than it saves
	}
	if c.Catalog != nil {
		mux.Handle(wire.NewCatalogHandler(catalogServer{c.Catalog}, options...))
	}
	if neighbour, ok := c.Ranges.(tutti.Neighbour); ok || c.TrackCache != nil {
		mux.Handle(wire.NewTrackCacheHandler(trackCacheServer{c.TrackCache, neighbour}, options...))
	}
	if c.Store != nil {
		mux.Handle(wire.NewStoreHandler(storeServer{c.Store}, options...))
	}
	var next http.Handler = mux
	if c.Models != nil {
		next = &codingHandler{coding: coding{c.Models, m.coding}, next: mux, refuse: connect.NewErrorWriter()}
	}
	return &Endpoint{
		control: &guard{
			verifier: newVerifier(c.Keys, c.Clock, c.Address), next: next, refuse: connect.NewErrorWriter(), log: c.Logger, metrics: m,
		},
		bytes:   &byteServer{c: c, metrics: m},
		metrics: m,
	}
}

// ServeHTTP implements http.Handler.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, BytesPrefix):
		e.bytes.ServeHTTP(w, r)
	case strings.HasPrefix(r.URL.Path, Prefix):
		e.control.ServeHTTP(w, r)
	default:
		http.NotFound(w, r)
	}
}

// guard lets nobody in but members.
type guard struct {
	verifier *verifier
	next     http.Handler
	refuse   *connect.ErrorWriter
	log      *slog.Logger
	metrics  *serverMetrics
}

// ServeHTTP implements http.Handler.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := g.verifier.keys.refresh(g.verifier.clock.Now()); err != nil {
		g.log.Warn("the fleet's keys stay as they were", slog.Any("error", err))
	}
	if err := g.verifier.verify(r); err != nil {
		g.metrics.refused.WithLabelValues("control").Inc()
		g.log.Warn("refused a request", slog.String("from", r.RemoteAddr), slog.String("path", r.URL.Path), slog.Any("error", err))
		w.Header().Set("Connection", "close") // and leave what it may still send unread
		if err := g.refuse.Write(w, r, outgoing(err)); err != nil {
			g.log.Debug("a refusal did not arrive", slog.Any("error", err))
		}
		return
	}
	g.next.ServeHTTP(w, r)
}

// failures is around every method: it makes errors fit to travel, logs what only we may know, contains panics and counts.
type failures struct {
	clock   clock.Clock
	log     *slog.Logger
	metrics *serverMetrics
}

func (f *failures) around(ctx context.Context, procedure string, do func() error) (err error) {
	begun := f.clock.Now()
	method := procedure[strings.LastIndexByte(procedure, '.')+1:] // "Catalog/Track"
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint // a panic's value, compared as net/http does
				panic(p)
			}
			f.metrics.panics.Inc()
			err = &tutti.Error{Kind: tutti.KindInternal, Op: method, Err: panicked(p)}
		}
		kind := "ok"
		if err != nil {
			kind = tutti.KindOf(err).String()
			f.report(ctx, method, err)
			err = outgoing(err)
		}
		f.metrics.calls.WithLabelValues(method, kind).Inc()
		f.metrics.took.WithLabelValues(method).Observe(f.clock.Now().Sub(begun).Seconds())
	}()
	return do()
}

// report logs what does not travel.
func (f *failures) report(ctx context.Context, method string, err error) {
	level := slog.LevelDebug
	switch tutti.KindOf(err) {
	case tutti.KindInternal:
		level = slog.LevelError
	case tutti.KindUnavailable:
		if ctx.Err() == nil { // else the asker has given up, which is no news
			level = slog.LevelWarn
		}
	}
	f.log.LogAttrs(ctx, level, "a call failed", slog.String("method", method), slog.Any("error", err))
}

// WrapUnary implements connect.Interceptor.
func (f *failures) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (out connect.AnyResponse, err error) {
		err = f.around(ctx, req.Spec().Procedure, func() error {
			out, err = next(ctx, req)
			return err
		})
		if err != nil {
			return nil, err
		}
		return out, nil
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (f *failures) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		return f.around(ctx, conn.Spec().Procedure, func() error { return next(ctx, conn) })
	}
}

// WrapStreamingClient implements connect.Interceptor. A handler has no client.
func (f *failures) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}
