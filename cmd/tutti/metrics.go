package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"tutti"
)

// scanMetrics shows how scans get on, read when somebody asks for metrics.
type scanMetrics struct {
	status func() tutti.ScanStatus

	running, seen, failed, missing, tracks, duration, finished *prometheus.Desc
}

func newScanMetrics(status func() tutti.ScanStatus) *scanMetrics {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("tutti_scan_"+name, help, nil, nil)
	}
	return &scanMetrics{
		status:   status,
		running:  desc("running", "1 while a scan is under way."),
		seen:     desc("files_seen", "Files that the present or last scan looked at."),
		failed:   desc("files_unreadable", "Files that the present or last scan could not read."),
		missing:  desc("tracks_missing", "Tracks whose file the present or last scan found gone."),
		tracks:   desc("tracks", "Tracks in the catalogue that are not missing."),
		duration: desc("last_duration_seconds", "How long the last scan took."),
		finished: desc("last_finished_timestamp_seconds", "When the last scan ended, in Unix time."),
	}
}

// Describe implements prometheus.Collector.
func (m *scanMetrics) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect implements prometheus.Collector.
func (m *scanMetrics) Collect(ch chan<- prometheus.Metric) {
	st := m.status()
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	running := 0.0
	if st.Scanning {
		running = 1
	}
	gauge(m.running, running)
	gauge(m.seen, float64(st.Seen))
	gauge(m.failed, float64(st.Failed))
	gauge(m.missing, float64(st.Missing))
	gauge(m.tracks, float64(st.Tracks))
	duration, finished := 0.0, 0.0
	if !st.Scanning && !st.Finished.IsZero() {
		duration, finished = st.Finished.Sub(st.Started).Seconds(), float64(st.Finished.UnixMilli())/1000
	}
	gauge(m.duration, duration)
	gauge(m.finished, finished)
}
