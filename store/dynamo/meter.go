package dynamo

import (
	"maps"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/prometheus/client_golang/prometheus"
)

// Prices are what the database costs, in dollars or any other money.
type Prices struct {
	MillionReads   float64 // for a million read request units: strongly consistent reads of up to 4 KB
	MillionWrites  float64 // for a million write request units: writes of up to 1 KB
	GigabyteMonths float64 // for a gigabyte kept for a month
}

// DefaultPrices are Amazon's for on-demand tables of the standard class in us-east-1, in US dollars since 1 November 2024
// (https://aws.amazon.com/dynamodb/pricing/on-demand/).
var DefaultPrices = Prices{MillionReads: 0.125, MillionWrites: 0.625, GigabyteMonths: 0.25}

// Units are what was consumed.
type Units struct {
	Calls  uint64
	Reads  float64 // read units
	Writes float64 // write units
}

// Consumption is what a Store has consumed since it was opened, as the database reported it. A write that was refused
// by its condition is not reported, but paid for: it counts as the units of what was to be written.
type Consumption struct {
	Since      time.Time
	Total      Units
	Operations map[string]Units // by DynamoDB's operation: GetItem, PutItem …
	Dollars    float64          // of Total, by the Prices given
	Throttled  uint64           // attempts that were refused for being too many
	Lost       uint64           // attempts that ended without an answer or with the database's own failure
}

type meter struct {
	prices Prices
	since  time.Time

	mu         sync.Mutex
	operations map[string]Units
	throttled  uint64
	lost       uint64
}

func newMeter(p Prices, since time.Time) *meter {
	return &meter{prices: p, since: since, operations: make(map[string]Units)}
}

// Dollars returns what units cost.
func (p Prices) Dollars(u Units) float64 {
	return (u.Reads*p.MillionReads + u.Writes*p.MillionWrites) / 1e6
}

func (m *meter) read(operation string, consumed ...types.ConsumedCapacity) {
	m.add(operation, Units{Calls: 1, Reads: sum(consumed)})
}

func (m *meter) wrote(operation string, consumed ...types.ConsumedCapacity) {
	m.add(operation, Units{Calls: 1, Writes: sum(consumed)})
}

// refused counts a write that its condition kept from happening.
func (m *meter) refused(operation string, bytes int) {
	m.add(operation, Units{Calls: 1, Writes: float64(max(1, (bytes+1023)/1024))})
}

func sum(consumed []types.ConsumedCapacity) (units float64) {
	for _, c := range consumed {
		if c.CapacityUnits != nil {
			units += *c.CapacityUnits
		}
	}
	return units
}

func one(c *types.ConsumedCapacity) types.ConsumedCapacity {
	if c == nil {
		return types.ConsumedCapacity{}
	}
	return *c
}

func (m *meter) add(operation string, u Units) {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.operations[operation]
	m.operations[operation] = Units{was.Calls + u.Calls, was.Reads + u.Reads, was.Writes + u.Writes}
}

func (m *meter) failed(throttled bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if throttled {
		m.throttled++
	} else {
		m.lost++
	}
}

// Consumed returns what the Store has consumed.
func (m *meter) Consumed() Consumption {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := Consumption{Since: m.since, Operations: maps.Clone(m.operations), Throttled: m.throttled, Lost: m.lost}
	for _, u := range m.operations {
		c.Total = Units{c.Total.Calls + u.Calls, c.Total.Reads + u.Reads, c.Total.Writes + u.Writes}
	}
	c.Dollars = m.prices.Dollars(c.Total)
	return c
}

var (
	callsDesc = prometheus.NewDesc("tutti_dynamodb_calls_total",
		"Requests to DynamoDB that it carried out or refused by their condition, by operation.", []string{"operation"}, nil)
	unitsDesc = prometheus.NewDesc("tutti_dynamodb_consumed_units_total",
		"Request units consumed in DynamoDB: 4 KB of a consistent read, 1 KB of a write.", []string{"kind", "operation"}, nil)
	dollarsDesc = prometheus.NewDesc("tutti_dynamodb_cost_dollars_total",
		"What the request units cost at the configured prices.", nil, nil)
	failedDesc = prometheus.NewDesc("tutti_dynamodb_failed_attempts_total",
		"Attempts that DynamoDB throttled, or whose answer was lost or a failure of its own.", []string{"reason"}, nil)
)

// Describe implements prometheus.Collector.
func (m *meter) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{callsDesc, unitsDesc, dollarsDesc, failedDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *meter) Collect(ch chan<- prometheus.Metric) {
	c := m.Consumed()
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	for operation, u := range c.Operations {
		counter(callsDesc, float64(u.Calls), operation)
		if u.Reads > 0 {
			counter(unitsDesc, u.Reads, "read", operation)
		}
		if u.Writes > 0 {
			counter(unitsDesc, u.Writes, "write", operation)
		}
	}
	counter(dollarsDesc, c.Dollars)
	counter(failedDesc, float64(c.Throttled), "throttled")
	counter(failedDesc, float64(c.Lost), "lost")
}
