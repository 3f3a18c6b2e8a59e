package trackcache

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

type counters struct {
	passed, hitsMemory, hitsDisk, joined, misses atomic.Int64
	bytesMemory, bytesDisk, bytesOrigin          atomic.Int64
	filling, fillsFailed, fillsStopped           atomic.Int64
	evicted, damaged                             atomic.Int64
}

// Stats counts what a Cache did since it was made.
type Stats struct {
	Passed     int64 // originals opened straight from a local origin
	HitsMemory int64
	HitsDisk   int64
	Joined     int64 // opened while somebody else had it made
	Misses     int64 // had to be made

	BytesMemory, BytesDisk, BytesOrigin int64 // delivered, by where they came from

	Filling                   int64 // objects being made now
	FillsFailed               int64
	FillsStopped              int64 // because nobody was left to read them
	Evicted                   int64
	Damaged                   int64 // found not to be what was written, and made again
	StoredBytes, FillingBytes int64 // on disk now: complete objects, and pieces of those being made
	StoredObjects             int64
}

// Stats returns the counts now.
func (c *Cache) Stats() Stats {
	s := &c.stats
	c.mu.Lock()
	stored, filling, objects := c.lru.bytes, c.filling, c.lru.len()
	c.mu.Unlock()
	return Stats{
		Passed: s.passed.Load(), HitsMemory: s.hitsMemory.Load(), HitsDisk: s.hitsDisk.Load(),
		Joined: s.joined.Load(), Misses: s.misses.Load(),
		BytesMemory: s.bytesMemory.Load(), BytesDisk: s.bytesDisk.Load(), BytesOrigin: s.bytesOrigin.Load(),
		Filling: s.filling.Load(), FillsFailed: s.fillsFailed.Load(), FillsStopped: s.fillsStopped.Load(),
		Evicted: s.evicted.Load(), Damaged: s.damaged.Load(),
		StoredBytes: stored, FillingBytes: filling, StoredObjects: int64(objects),
	}
}

var (
	descOpens   = prometheus.NewDesc("tutti_trackcache_opens_total", "Objects opened, by what answered.", []string{"by"}, nil)
	descBytes   = prometheus.NewDesc("tutti_trackcache_bytes_total", "Bytes delivered, by where they came from.", []string{"from"}, nil)
	descFills   = prometheus.NewDesc("tutti_trackcache_fills_ended_early_total", "Fills that ended before their object was complete.", []string{"why"}, nil)
	descFilling = prometheus.NewDesc("tutti_trackcache_filling", "Objects being made now.", nil, nil)
	descEvicted = prometheus.NewDesc("tutti_trackcache_evicted_total", "Objects that made room for others.", nil, nil)
	descDamaged = prometheus.NewDesc("tutti_trackcache_damaged_total", "Objects found damaged on disk.", nil, nil)
	descStored  = prometheus.NewDesc("tutti_trackcache_stored_bytes", "Bytes on disk, pieces of unfinished objects included.", nil, nil)
	descObjects = prometheus.NewDesc("tutti_trackcache_stored_objects", "Complete objects on disk.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *Cache) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descOpens, descBytes, descFills, descFilling, descEvicted, descDamaged, descStored, descObjects} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Cache) Collect(ch chan<- prometheus.Metric) {
	s := c.Stats()
	counter := func(d *prometheus.Desc, n int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, n int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n))
	}
	counter(descOpens, s.Passed, "origin")
	counter(descOpens, s.HitsMemory, "memory")
	counter(descOpens, s.HitsDisk, "disk")
	counter(descOpens, s.Joined, "joined")
	counter(descOpens, s.Misses, "made")
	counter(descBytes, s.BytesOrigin, "origin")
	counter(descBytes, s.BytesMemory, "memory")
	counter(descBytes, s.BytesDisk, "disk")
	counter(descFills, s.FillsFailed, "failed")
	counter(descFills, s.FillsStopped, "nobody listens")
	gauge(descFilling, s.Filling)
	counter(descEvicted, s.Evicted)
	counter(descDamaged, s.Damaged)
	gauge(descStored, s.StoredBytes+s.FillingBytes)
	gauge(descObjects, s.StoredObjects)
}
