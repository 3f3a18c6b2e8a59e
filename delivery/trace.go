package delivery

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// The server makes its spans itself. The contributed middleware wraps the writer and the body of every request, tells
// time on its own, and keeps query strings; a request here costs one span and nothing when tracing is off.

// startSpan begins the request's span under the caller's trace, if it brought one (W3C Trace Context). It returns a
// nil span where there is no tracer.
func (s *Server) startSpan(ctx context.Context, r *http.Request) (context.Context, trace.Span) {
	if s.c.Tracer == nil {
		return ctx, nil
	}
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	return s.c.Tracer.Start(ctx, methodLabel(r.Method), trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(requestOf(ctx).start))
}

// endSpan gives the span what is known only now. The attributes are those of the semantic conventions for HTTP
// servers, https://opentelemetry.io/docs/specs/semconv/http/http-spans/, less the query, which holds secrets.
func (s *Server) endSpan(span trace.Span, m *Mount, r *http.Request, w *response) {
	if span == nil {
		return
	}
	if span.IsRecording() {
		route := routeName(m, r)
		span.SetName(methodLabel(r.Method) + " " + route)
		span.SetAttributes(
			attribute.String("http.request.method", methodLabel(r.Method)),
			attribute.String("http.route", route),
			attribute.String("url.path", shownPath(m, r)),
			attribute.String("url.scheme", w.req.scheme),
			attribute.String("server.address", w.req.host),
			attribute.Int("http.response.status_code", w.status),
			attribute.Int64("http.response.body.size", w.bytes),
			attribute.String("tutti.request", w.req.id),
		)
		if w.req.from.IsValid() {
			span.SetAttributes(attribute.String("client.address", w.req.from.String()))
		}
		if w.status >= 500 {
			span.SetStatus(codes.Error, "")
		}
	}
	span.End(trace.WithTimestamp(s.c.Clock.Now()))
}
