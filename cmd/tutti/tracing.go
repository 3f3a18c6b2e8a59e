package main

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.26.0"
	"go.opentelemetry.io/otel/trace"
)

// tracing sends spans to a collector. With none configured its tracer is nil and costs nothing.
type tracing struct {
	tracer   trace.Tracer
	provider *sdktrace.TracerProvider
}

// flushPatience is how long spans may take to leave when the program ends.
const flushPatience = 5 * time.Second

func newTracing(ctx context.Context, s traceSettings) (*tracing, error) {
	if s.Endpoint == "" {
		return &tracing{}, nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(s.Endpoint))
	if err != nil {
		return nil, fmt.Errorf("trace to %s: %w", s.Endpoint, err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(s.Sample))),
		sdktrace.WithResource(resource.NewSchemaless(semconv.ServiceName("tutti"), semconv.ServiceVersion(version))),
	)
	return &tracing{tracer: provider.Tracer("tutti"), provider: provider}, nil
}

// close sends what is left.
func (t *tracing) close() error {
	if t.provider == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushPatience)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last spans: %w", err)
	}
	return nil
}
