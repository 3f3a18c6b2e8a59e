package members

import (
	"github.com/prometheus/client_golang/prometheus"

	"tutti"
)

var (
	describeMembers = prometheus.NewDesc("tutti_fleet_members", "Processes of the fleet as this one sees them, by service and state.", []string{"service", "state"}, nil)
	describeCalls   = prometheus.NewDesc("tutti_fleet_store_calls_total", "Signs of life given and looks taken, by whether the store answered.", []string{"call", "result"}, nil)
	describeDropped = prometheus.NewDesc("tutti_fleet_silent_total", "Members that were dropped because they gave no sign of life.", nil, nil)
	describeChanges = prometheus.NewDesc("tutti_fleet_changes_total", "Changes of the fleet that this process has seen.", nil, nil)
	describeAge     = prometheus.NewDesc("tutti_fleet_view_age_seconds", "Time since the members were last read from the store.", nil, nil)
	describeEpoch   = prometheus.NewDesc("tutti_fleet_epoch", "This process's epoch: which start of its ID it is.", nil, nil)
)

// Describe implements prometheus.Collector.
func (m *Members) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{describeMembers, describeCalls, describeDropped, describeChanges, describeAge, describeEpoch} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Members) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, x float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, x, labels...)
	}
	type class struct {
		service tutti.Service
		state   tutti.MemberState
	}
	counts := map[class]int{}
	for _, s := range []tutti.Service{tutti.ServiceDelivery, tutti.ServiceCatalog, tutti.ServiceTrackCache} {
		counts[class{s, tutti.MemberReady}] = 0 // an alert on "none ready" needs the zero
	}
	for _, o := range m.All() {
		counts[class{known(o.Service, services), known(o.State, states)}]++
	}
	for c, n := range counts {
		gauge(describeMembers, float64(n), string(c.service), string(c.state))
	}
	failed, made := m.failedBeats.Load(), m.beats.Load()
	counter(describeCalls, made, "beat", "answered")
	counter(describeCalls, failed, "beat", "failed")
	counter(describeCalls, m.looks.Load(), "look", "answered")
	counter(describeCalls, m.failedLooks.Load(), "look", "failed")
	counter(describeDropped, m.dropped.Load())
	counter(describeChanges, m.changes.Load())
	m.watching.Lock()
	age := m.c.Clock.Now().Sub(m.roll.looked)
	m.watching.Unlock()
	gauge(describeAge, age.Seconds())
	gauge(describeEpoch, float64(m.Self().Epoch))
}

var (
	services = []tutti.Service{tutti.ServiceDelivery, tutti.ServiceCatalog, tutti.ServiceTrackCache}
	states   = []tutti.MemberState{tutti.MemberStarting, tutti.MemberReady, tutti.MemberDraining}
)

// known keeps the label's values few, whatever stands in the store.
func known[T ~string](value T, values []T) T {
	for _, v := range values {
		if v == value {
			return v
		}
	}
	return "other"
}
