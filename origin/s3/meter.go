package s3

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Prices is what the store asks for, in US dollars. A listing costs as much as a write.
type Prices struct {
	Get  float64 // for 1,000 requests of GET and HEAD
	List float64 // for 1,000 listings
	GB   float64 // for 10⁹ bytes sent out
}

// DefaultPrices are Amazon's for S3 Standard in us-east-1 (https://aws.amazon.com/s3/pricing/, read in November 2026)
// to a server in the same region, where bytes cost nothing.
var DefaultPrices = Prices{Get: 0.0004, List: 0.005}

// The operations, as metrics name them.
const (
	opGet  = "get"
	opHead = "head"
	opList = "list"
)

// meter counts what is asked of the store.
type meter struct {
	prices   Prices
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	bytes    prometheus.Counter
	retries  prometheus.Counter
	resumed  prometheus.Counter
	dollars  prometheus.Counter
}

func (m *meter) init(p Prices) {
	m.prices = p
	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tutti_origin_s3_requests_total", Help: "Requests to the object store, by operation and outcome (ok, not found, changed, failed).",
	}, []string{"operation", "outcome"})
	m.seconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "tutti_origin_s3_request_seconds", Help: "Time until the object store's answer began, by operation.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"operation"})
	m.bytes = prometheus.NewCounter(prometheus.CounterOpts{Name: "tutti_origin_s3_bytes_total", Help: "Bytes of objects read from the object store."})
	m.retries = prometheus.NewCounter(prometheus.CounterOpts{Name: "tutti_origin_s3_retries_total", Help: "Requests to the object store that were made again."})
	m.resumed = prometheus.NewCounter(prometheus.CounterOpts{Name: "tutti_origin_s3_resumed_total", Help: "Answers of the object store that ended early and were asked for again from there."})
	m.dollars = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tutti_origin_s3_cost_dollars_total", Help: "What the requests and bytes cost by the configured prices, in US dollars.",
	})
}

// request counts one try. A refused or missing object was an answer, and is paid for; no answer is not.
func (m *meter) request(operation string, took time.Duration, err error) {
	outcome := "ok"
	switch answer := status(err); {
	case err == nil:
	case answer == http.StatusNotFound:
		outcome = "not found"
	case answer == http.StatusPreconditionFailed:
		outcome = "changed"
	default:
		outcome = "failed"
	}
	m.requests.WithLabelValues(operation, outcome).Inc()
	m.seconds.WithLabelValues(operation).Observe(took.Seconds())
	if err != nil && status(err) == 0 {
		return
	}
	if operation == opList {
		m.dollars.Add(m.prices.List / 1000)
	} else {
		m.dollars.Add(m.prices.Get / 1000)
	}
}

func (m *meter) read(n int64) {
	m.bytes.Add(float64(n))
	if m.prices.GB > 0 {
		m.dollars.Add(float64(n) * m.prices.GB / 1e9)
	}
}

func (m *meter) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.requests, m.seconds, m.bytes, m.retries, m.resumed, m.dollars}
}

// Describe implements prometheus.Collector.
func (o *Origin) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range o.meter.collectors() {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (o *Origin) Collect(ch chan<- prometheus.Metric) {
	for _, c := range o.meter.collectors() {
		c.Collect(ch)
	}
}
