package carbon

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	energyDesc = prometheus.NewDesc("tutti_energy_joules_total", "Energy that this machine used since this process began, by what it was used for and how it is known. Other programs are apart.", []string{"component", "source"}, nil)
	gridDesc   = prometheus.NewDesc("tutti_grid_intensity_grams_per_kwh", "Carbon intensity of the grid, in grams of CO2 equivalent for each kWh.", []string{"source", "label"}, nil)
	hoursDesc  = prometheus.NewDesc("tutti_stream_hours_total", "Hours of music sent to listeners since this process began.", nil, nil)
	sciDesc    = prometheus.NewDesc("tutti_sci_grams_per_stream_hour", "Software Carbon Intensity since this process began (ISO/IEC 21031:2024), by part; their sum is the score. There is none before anything was streamed.", []string{"part"}, nil)
)

// Describe implements prometheus.Collector.
func (m *Meter) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{energyDesc, gridDesc, hoursDesc, sciDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector: being asked is a reason to look.
func (m *Meter) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.lookLocked(context.Background()); err != nil {
		m.c.Logger.Warn("the energy of this machine could not be read; the next look covers the time", "err", err)
	}
	m.settlePlays()
	for _, c := range Components {
		for origin, j := range m.parts[c] {
			ch <- prometheus.MustNewConstMetric(energyDesc, prometheus.CounterValue, float64(j), string(c), string(origin))
		}
	}
	ch <- prometheus.MustNewConstMetric(gridDesc, prometheus.GaugeValue, float64(m.now.Value), m.now.Source, string(m.now.Basis.Label))
	ch <- prometheus.MustNewConstMetric(hoursDesc, prometheus.CounterValue, m.hours)
	var active Grams
	for _, c := range Components {
		if c != Idle && own(c) {
			active += m.grams[c]
		}
	}
	hw := m.book.hardware
	score, ok := SCI(active, m.grams[Idle]*Grams(hw.share()), hw.Over(m.covered), m.hours)
	if !ok {
		return
	}
	for part, g := range map[string]Grams{"operational": score.Operational, "idle": score.Idle, "embodied": score.Embodied} {
		ch <- prometheus.MustNewConstMetric(sciDesc, prometheus.GaugeValue, float64(g), part)
	}
}
