package peer

import (
	"fmt"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// panicked is a panic as an error, with the place where it happened. It is for the log.
func panicked(p any) error { return fmt.Errorf("panic: %v\n%s", p, debug.Stack()) }

// buckets are seconds: from what a call over loopback takes to what nobody waits for.
var buckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

type serverMetrics struct {
	calls   *prometheus.CounterVec
	took    *prometheus.HistogramVec
	refused *prometheus.CounterVec
	panics  prometheus.Counter
	bytes   *prometheus.CounterVec
	bodies  *prometheus.CounterVec
	coding  *codingMetrics
}

func newServerMetrics() *serverMetrics {
	return &serverMetrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tutti_peer_served_total", Help: "Calls answered for other members, by method and by kind of error (\"ok\" for none).",
		}, []string{"method", "kind"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tutti_peer_served_seconds", Help: "How long calls of other members took to answer.", Buckets: buckets,
		}, []string{"method"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tutti_peer_refused_total", Help: "Requests without a valid signature or pass.",
		}, []string{"what"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tutti_peer_panics_total", Help: "Calls that a defect ended.",
		}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tutti_peer_sent_bytes_total", Help: "Bytes of objects sent, to whoever has a pass or to members that fill their chunks.",
		}, []string{"to"}),
		bodies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tutti_peer_sent_total", Help: "Requests for bytes by how they ended: complete, left, stalled, failed, or refused with an error.",
		}, []string{"to", "result"}),
		coding: newCodingMetrics("server"),
	}
}

func (m *serverMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.calls, m.took, m.refused, m.panics, m.bytes, m.bodies, m.coding.bytes}
}

// Describe implements prometheus.Collector.
func (e *Endpoint) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range e.metrics.all() {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (e *Endpoint) Collect(ch chan<- prometheus.Metric) {
	for _, c := range e.metrics.all() {
		c.Collect(ch)
	}
}

type clientMetrics struct {
	calls   *prometheus.CounterVec
	hedged  *prometheus.CounterVec
	moved   *prometheus.CounterVec
	stalled prometheus.Counter
	coding  *codingMetrics
}

func newClientMetrics() *clientMetrics {
	return &clientMetrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tutti_peer_calls_total", Help: "Calls to other members, by method and by kind of error (\"ok\" for none).",
		}, []string{"method", "kind"}),
		hedged: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tutti_peer_hedged_total", Help: "Calls of which another member was asked because the first took long.",
		}, []string{"method"}),
		moved: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tutti_peer_failovers_total", Help: "Calls and streams that went on with another member because one failed.",
		}, []string{"method"}),
		stalled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tutti_peer_stalls_total", Help: "Members that sent nothing for too long in the middle of an object.",
		}),
		coding: newCodingMetrics("client"),
	}
}

// Describe implements prometheus.Collector.
func (c *Client) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.metrics.all() {
		m.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (c *Client) Collect(ch chan<- prometheus.Metric) {
	for _, m := range c.metrics.all() {
		m.Collect(ch)
	}
}

func (m *clientMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.calls, m.hedged, m.moved, m.stalled, m.coding.bytes}
}

// codingMetrics count what metadata took, and would have.
type codingMetrics struct{ bytes *prometheus.CounterVec }

func newCodingMetrics(side string) *codingMetrics {
	return &codingMetrics{bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name:        "tutti_peer_metadata_bytes_total",
		Help:        "Bytes of messages of the catalogue between members, as Protocol Buffers (\"written\") and as they travelled (\"travelled\").",
		ConstLabels: prometheus.Labels{"side": side},
	}, []string{"way", "form"})}
}

func (m *codingMetrics) note(way string, written, travelled int64) {
	if written > 0 {
		m.bytes.WithLabelValues(way, "written").Add(float64(written))
		m.bytes.WithLabelValues(way, "travelled").Add(float64(max(0, travelled)))
	}
}
