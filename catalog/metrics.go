package catalog

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var _ prometheus.Collector = (*Catalog)(nil)

// descs are what a catalogue shows in metrics.
type descs struct {
	seq, behind, tracks, snapshotAge, loads, away, stale, scans, people, heard, unheard *prometheus.Desc
	written, units                                                                      *prometheus.Desc
}

func newDescs() descs {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("tutti_catalog_"+name, help, nil, nil)
	}
	return descs{
		seq:         desc("seq", "Record of the catalogue's log up to which this node has read."),
		behind:      desc("follow_lag_seconds", "Time since this node last saw that it had read the whole log; 0 for a node that is alone with its store."),
		tracks:      desc("tracks", "Tracks that this node knows and that are not missing."),
		snapshotAge: desc("snapshot_age_seconds", "Age of the catalogue's snapshot as far as this node knows it; absent where there is none."),
		loads:       desc("loads_total", "Times that this node has read the whole catalogue: at its start, and when it had fallen behind further than the log reaches back."),
		away:        desc("store_away", "1 while the store does not answer, so that answers come from memory."),
		stale:       desc("stale_answers_total", "Answers whose stars, ratings and play counts may be outdated because the store did not answer in time."),
		scans:       desc("scanner", "1 where this node is the one that scans."),
		heard:       desc("tracks_heard", "Tracks that were listened to: whose loudness, tempo, key and likeness are known."),
		unheard:     desc("tracks_unheard", "Tracks that could not be listened to since this node began."),
		people:      desc("people", "People whose state is held in memory."),
		written: prometheus.NewDesc("tutti_catalog_written_bytes_total",
			"Bytes that this node has written of the catalogue's log and of its snapshots: as they were stored, and as versions before would have stored them.",
			[]string{"what", "form"}, nil),
		units: prometheus.NewDesc("tutti_catalog_written_units_total",
			"The same in write units of DynamoDB, of 1 KB.", []string{"what", "form"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *Catalog) Describe(ch chan<- *prometheus.Desc) {
	d := &c.descs
	for _, desc := range [...]*prometheus.Desc{d.seq, d.behind, d.tracks, d.snapshotAge, d.loads, d.away, d.stale, d.scans, d.people, d.heard, d.unheard, d.written, d.units} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector. It asks the store for nothing.
func (c *Catalog) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	one := func(on bool) float64 {
		if on {
			return 1
		}
		return 0
	}
	m := c.current()
	m.mu.RLock()
	seq, tracks, heard := m.seq, 0, m.heard.n
	for _, n := range m.counts {
		tracks += n.tracks
	}
	m.mu.RUnlock()
	c.journal.mu.Lock()
	written := c.journal.manifest.written
	c.journal.mu.Unlock()
	c.people.mu.Lock()
	people := len(c.people.present)
	c.people.mu.Unlock()
	gauge(c.descs.seq, float64(seq))
	gauge(c.descs.behind, c.behind().Seconds())
	gauge(c.descs.tracks, float64(tracks))
	if written != 0 {
		gauge(c.descs.snapshotAge, c.clock.Now().Sub(time.Unix(written, 0)).Seconds())
	}
	gauge(c.descs.away, one(c.reach.out()))
	gauge(c.descs.scans, one(c.scanner != nil && (c.cfg.SoleWriter || c.duty.fence.Load() != 0)))
	gauge(c.descs.people, float64(people))
	gauge(c.descs.heard, float64(heard))
	c.listening.mu.Lock()
	gauge(c.descs.unheard, float64(len(c.listening.failed)))
	c.listening.mu.Unlock()
	for what, of := range map[string]*saving{"log": &c.saved.log, "snapshot": &c.saved.snapshot} {
		counter := func(d *prometheus.Desc, n int64, form string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), what, form)
		}
		counter(c.descs.written, of.stored.Load(), "stored")
		counter(c.descs.written, of.before.Load(), "before")
		counter(c.descs.units, of.storedUnits.Load(), "stored")
		counter(c.descs.units, of.beforeUnits.Load(), "before")
	}
	ch <- prometheus.MustNewConstMetric(c.descs.loads, prometheus.CounterValue, float64(c.loads.Load()))
	ch <- prometheus.MustNewConstMetric(c.descs.stale, prometheus.CounterValue, float64(c.people.stale.Load()))
}
