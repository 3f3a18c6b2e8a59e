package delivery

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what the edge does. One is made for a process and given to its Server and its Streamer; other parts
// register collectors of their own in the same registry.
type Metrics struct {
	requests  *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	inFlight  prometheus.Gauge
	panics    prometheus.Counter
	starts    *prometheus.CounterVec
	ends      *prometheus.CounterVec
	bytes     *prometheus.CounterVec
	firstByte *prometheus.HistogramVec
	active    prometheus.Gauge
	covers    prometheus.Counter

	redirects       *prometheus.CounterVec
	redirectedBytes prometheus.Counter

	served, servedBytes atomic.Int64
}

// Served is how many requests for audio were answered so far, and how many bytes this process itself sent for them.
func (m *Metrics) Served() (requests, bytes int64) { return m.served.Load(), m.servedBytes.Load() }

// NewMetrics makes the metrics and registers them. It panics if reg has some of that name already, as a second
// Metrics in one registry is a mistake in the program.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tutti_http_requests_total", Help: "Requests answered, by route, method and status.",
		}, []string{"route", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tutti_http_request_seconds", Help: "Time to answer a request that was not a stream, by route.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "tutti_http_requests_in_flight", Help: "Requests being answered now, streams included."}),
		panics:   prometheus.NewCounter(prometheus.CounterOpts{Name: "tutti_http_panics_total", Help: "Requests that met a defect of the program."}),
		starts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tutti_stream_starts_total", Help: "Audio requested from its beginning, by kind (original, transcode).",
		}, []string{"kind"}),
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tutti_stream_ends_total", Help: "Audio responses by how they ended: complete, left, stalled (took nothing), failed (our side).",
		}, []string{"result"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tutti_stream_bytes_total", Help: "Bytes of audio sent, by kind; a response counts when it ends.",
		}, []string{"kind"}),
		firstByte: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tutti_stream_first_byte_seconds", Help: "Time from a request for audio to its first bytes handed to the network, by kind.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"kind"}),
		active: prometheus.NewGauge(prometheus.GaugeOpts{Name: "tutti_streams_active", Help: "Audio responses being sent now."}),
		covers: prometheus.NewCounter(prometheus.CounterOpts{Name: "tutti_covers_total", Help: "Pictures sent."}),
		redirects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tutti_stream_redirects_total", Help: "Requests for audio whose bytes the proxy in front fetches from the track cache itself, by kind.",
		}, []string{"kind"}),
		redirectedBytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tutti_stream_redirected_bytes_total", Help: "Bytes that the proxy in front was sent for, where it is known how many; the listener may have left before.",
		}),
	}
	reg.MustRegister(m.redirects, m.redirectedBytes, m.requests, m.duration, m.inFlight, m.panics, m.starts, m.ends, m.bytes, m.firstByte, m.active, m.covers)
	for _, kind := range []string{kindOriginal, kindTranscode} { // rates need a zero to start from
		m.starts.WithLabelValues(kind)
		m.redirects.WithLabelValues(kind)
		m.bytes.WithLabelValues(kind)
	}
	for _, result := range []string{"complete", "left", "stalled", "failed"} {
		m.ends.WithLabelValues(result)
	}
	return m
}

const (
	kindOriginal  = "original"
	kindTranscode = "transcode"
)

// methodLabel keeps the label's values few, whatever clients send.
func methodLabel(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return method
	}
	return "other"
}

func (m *Metrics) request(route, method string, status int, took time.Duration, stream bool) {
	m.requests.WithLabelValues(route, methodLabel(method), strconv.Itoa(status)).Inc()
	if !stream {
		m.duration.WithLabelValues(route).Observe(took.Seconds())
	}
}
