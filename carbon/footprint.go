package carbon

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"tutti"
)

// Figure is an amount with how it came to be. Nothing is shown to anybody without.
type Figure struct {
	Value float64 `json:"value"`
	Label Label   `json:"label" enum:"measured,modelled,assumed" doc:"How it came to be."`
}

// Footprint is what a person is told.
type Footprint struct {
	At        time.Time  `json:"at"`
	Intensity GridFigure `json:"intensity" doc:"The carbon intensity of the grid at present."`
	Energy    Told       `json:"energy" doc:"What is known of this process's energy at present."`
	Meter     string     `json:"meter" enum:"plug,psys,package,core,dram,model,kept" doc:"What that is known from: a plug, the processor's counters of that name, a model; kept where nobody meters at present."`
	Embodied  Told       `json:"embodied"`
	Network   Told       `json:"network"`
	Members   int        `json:"members" doc:"Processes whose records are added up."`
	Today     Period     `json:"today" doc:"The day in UTC."`
	Year      Period     `json:"year" doc:"The last 365 days."`
	Levers    []Lever    `json:"levers" doc:"What would change most, the largest first."`
}

// GridFigure is an Intensity as people are told it.
type GridFigure struct {
	GramsPerKWh Figure    `json:"gramsPerKwh"`
	Method      string    `json:"method"`
	Boundary    string    `json:"boundary,omitempty"`
	Source      string    `json:"source" doc:"constant, file, or the name of a feed."`
	Time        time.Time `json:"time,omitzero" doc:"To which the value belongs."`
	Stale       bool      `json:"stale,omitempty" doc:"It is older than it should be."`
}

// Told is a Basis as people are told it.
type Told struct {
	Label    Label  `json:"label" enum:"measured,modelled,assumed"`
	Method   string `json:"method"`
	Boundary string `json:"boundary"`
}

// Part is the energy and the emissions of a component.
type Part struct {
	Component Component `json:"component" enum:"stream,transcode,scan,enrich,train,rooms,serve,other,idle" doc:"serve is the page and the rest of the process; other is other programs of the machine, and in no sum."`
	KWh       Figure    `json:"kwh"`
	Grams     Figure    `json:"grams"`
}

// Period is what happened over some days.
type Period struct {
	From         string  `json:"from" doc:"YYYY-MM-DD, in UTC."`
	Until        string  `json:"until" doc:"The last day."`
	CoveredHours float64 `json:"coveredHours" doc:"Hours of machines of which the energy is known."`
	MeasuredPart float64 `json:"measuredPart" doc:"The share of the energy that was measured, 0 to 1."`
	Parts        []Part  `json:"parts"`

	KWh         Figure `json:"kwh" doc:"All parts but other, and of idle the configured share."`
	Operational Figure `json:"operational" doc:"Grams of CO2 equivalent of doing something."`
	Idle        Figure `json:"idle" doc:"Grams of being there."`
	Embodied    Figure `json:"embodied" doc:"Grams of making the machine, its part for this time."`
	Total       Figure `json:"total" doc:"The sum of the three."`
	Network     Figure `json:"network" doc:"Grams that the streams added to the network's; beside the total, which is the machine's."`
	Comparison  Figure `json:"comparison" doc:"Grams after the Sustainable Web Design Model, version 4, from nothing but the bytes: a comparison only."`

	StreamHours Figure  `json:"streamHours" doc:"Hours of music sent to listeners."`
	Bytes       Figure  `json:"bytes"`
	Listeners   int     `json:"listeners" doc:"Different listeners; at least so many where more is true."`
	More        bool    `json:"more,omitempty"`
	Score       *Scored `json:"score,omitempty" doc:"Left out while nothing was streamed."`
	PerListener *Figure `json:"perListener,omitempty" doc:"Grams of the total for each listener."`
	Mine        *Figure `json:"mine,omitempty" doc:"Hours of music sent to who asks."`
	MyGrams     *Figure `json:"myGrams,omitempty" doc:"Grams of the total, by the share of the music sent."`
}

// Scored is a Software Carbon Intensity (ISO/IEC 21031:2024), in grams of CO2 equivalent for each stream-hour.
type Scored struct {
	Operational Figure `json:"operational"`
	Idle        Figure `json:"idle"`
	Embodied    Figure `json:"embodied"`
	Total       Figure `json:"total"`
	Network     Figure `json:"network" doc:"Beside the total."`
}

// Lever is something that could be changed, and what that would save in a year.
type Lever struct {
	Name  string `json:"name" enum:"idle-watts,mobile-codec,hours,longer-life"`
	Now   Figure `json:"now" doc:"Watts, kbit/s, hours a day, or years."`
	Then  Figure `json:"then"`
	Saves Figure `json:"saves" doc:"Grams of CO2 equivalent a year."`
	Part  Figure `json:"part" doc:"The same as a share of what a year of this emits, 0 to 1."`
	From  int    `json:"from,omitempty" doc:"For hours: the hour of the day, in UTC, from which nobody listened."`
}

// member is what one machine contributes to a Period.
type member struct {
	name      string
	hardware  Hardware
	covered   float64 // seconds
	active    Joules  // of tutti's work
	idle      Joules
	activeCO2 Grams
	idleCO2   Grams
}

// own reports whether a component is tutti's.
func own(c Component) bool { return c != Other }

func told(b Basis) Told { return Told(b) }

// period adds up the records of the days from one to another, and of whose listener asks.
func period(days []Day, from, until string, who tutti.ID, intensity Intensity) (p Period, all []member) {
	p = Period{From: from, Until: until, Parts: []Part{}}
	var sum Day
	type owner struct {
		name string
		hw   Hardware
	}
	machines := map[owner]*member{}
	var machineLabels []Label
	for i := range days {
		d := &days[i]
		if d.Date < from || d.Date > until {
			continue
		}
		sum.add(d)
		key := owner{d.Member, d.Hardware}
		m := machines[key]
		if m == nil {
			m = &member{name: d.Member, hardware: d.Hardware}
			machines[key] = m
			machineLabels = append(machineLabels, d.Hardware.basis().Label)
		}
		m.covered += d.Covered
		share := d.Hardware.share()
		for _, c := range Components {
			j, _ := total(d.Energy[c])
			switch {
			case c == Idle:
				m.idle += j * Joules(share)
				m.idleCO2 += d.Grams[c] * Grams(share)
			case own(c):
				m.active += j
				m.activeCO2 += d.Grams[c]
			}
		}
	}
	p.CoveredHours = sum.Covered / secondsPerHour
	var every, measured Joules
	energy := Measured
	for _, c := range Components {
		j, exact := total(sum.Energy[c])
		if j == 0 {
			continue
		}
		label := Measured
		for origin := range sum.Energy[c] {
			label = Weakest(label, origin.Label())
		}
		every += j
		measured += exact
		energy = Weakest(energy, label)
		p.Parts = append(p.Parts, Part{c, Figure{j.KWh(), label}, Figure{float64(sum.Grams[c]), Weakest(label, gridLabel(sum.Grid, intensity))}})
	}
	if every > 0 {
		p.MeasuredPart = float64(measured / every)
	}
	if len(p.Parts) == 0 {
		energy = intensity.Basis.Label
	}
	emissions := Weakest(energy, gridLabel(sum.Grid, intensity))

	var operational, idle, embodied Grams
	var used Joules
	for _, m := range machines {
		all = append(all, *m)
	}
	slices.SortFunc(all, func(a, b member) int {
		return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.covered, b.covered))
	})
	for _, m := range all { // in order: the same records give the same sums
		operational += m.activeCO2
		idle += m.idleCO2
		embodied += m.hardware.Over(time.Duration(m.covered * float64(time.Second)))
		used += m.active + m.idle
	}
	made := Weakest(append(machineLabels, Modelled)...)
	sci := operational + idle + embodied
	p.KWh = Figure{used.KWh(), energy}
	p.Operational, p.Idle, p.Embodied = Figure{float64(operational), emissions}, Figure{float64(idle), emissions}, Figure{float64(embodied), made}
	p.Total = Figure{float64(sci), Weakest(emissions, made)}

	var network Joules
	var bytes float64
	for _, l := range Links {
		network += NetworkEnergy(l, sum.Heard[l].Bytes)
		bytes += sum.Heard[l].Bytes
	}
	mean := intensity.Value
	if len(all) > 0 && used > 0 {
		mean = GramsPerKWh(float64(operational+idle) / used.KWh())
	}
	networkCO2 := mean.Of(network)
	// Which link a listener is on is a guess by their address.
	p.Network = Figure{float64(networkCO2), Assumed}
	operation, web := SWDM(bytes, SWDMWorld, 0)
	p.Comparison = Figure{float64(operation.Total() + web.Total()), Modelled}

	hours := sum.seconds() / secondsPerHour
	p.StreamHours, p.Bytes = Figure{hours, Measured}, Figure{bytes, Measured}
	p.Listeners, p.More = len(sum.Listeners), sum.Crowded
	if s, ok := SCI(operational, idle, embodied, hours); ok {
		p.Score = &Scored{
			Operational: Figure{float64(s.Operational), emissions}, Idle: Figure{float64(s.Idle), emissions},
			Embodied: Figure{float64(s.Embodied), made}, Total: Figure{float64(s.Total()), p.Total.Label},
			Network: Figure{float64(networkCO2) / hours, Assumed},
		}
	}
	if n := len(sum.Listeners); n > 0 {
		p.PerListener = &Figure{float64(sci) / float64(n), p.Total.Label}
	}
	if who != "" {
		mine := sum.Listeners[who] / secondsPerHour
		p.Mine = &Figure{mine, Measured}
		if hours > 0 {
			p.MyGrams = &Figure{float64(sci) * mine / hours, p.Total.Label}
		}
	}
	return p, all
}

// gridLabel is how far the intensities of some days are to be trusted: the present one's where nothing was used.
func gridLabel(by map[Label]Joules, now Intensity) Label {
	if len(by) == 0 {
		return now.Basis.Label
	}
	out := Measured
	for l := range by {
		out = Weakest(out, l)
	}
	return out
}

// yearBefore is the first of the 365 or 366 days that end today.
func yearBefore(now time.Time) string { return dateOf(now.UTC().AddDate(-1, 0, 1)) }

// Footprint looks, adds up what is known, and says what would change most. who is the listener who asks, "" for nobody.
func (m *Meter) Footprint(ctx context.Context, who tutti.ID) (Footprint, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.lookLocked(ctx); err != nil {
		return Footprint{}, err
	}
	now := m.c.Clock.Now()
	days, err := m.days(ctx, yearBefore(now))
	if err != nil {
		return Footprint{}, err
	}
	return NewFootprint(days, now, who, m.now, m.basis(), m.meter(), m.book.hardware), nil
}

// LastYear returns the records that a Footprint is made of.
func LastYear(ctx context.Context, l Ledger, now time.Time) ([]Day, error) {
	return l.Days(ctx, yearBefore(now), dateOf(now))
}

// KeptFootprint is that of records where nobody meters at present: what their energy is known from stands in them. machine is
// what is said of the machine, of which the latest record knows how large it is.
func KeptFootprint(days []Day, now time.Time, intensity Intensity, machine Hardware) Footprint {
	energy := Basis{Label: Measured, Method: "as it was found when it was used", Boundary: "the machines that were metered"}
	var latest string
	for i := range days {
		for _, by := range days[i].Energy {
			for origin := range by {
				energy.Label = Weakest(energy.Label, origin.Label())
			}
		}
		if hw := days[i].Hardware; days[i].Date >= latest {
			latest, machine.VCPUs, machine.Memory = days[i].Date, hw.VCPUs, hw.Memory
		}
	}
	return NewFootprint(days, now, "", intensity, energy, meterKept, machine)
}

// meterKept is the Footprint's Meter where there is none.
const meterKept = "kept"

// NewFootprint adds up records. energy and meter say what is known of the energy at present.
func NewFootprint(days []Day, now time.Time, who tutti.ID, intensity Intensity, energy Basis, meter string, hw Hardware) Footprint {
	today := dateOf(now)
	days = shared(days)
	f := Footprint{
		At: now.UTC(),
		Intensity: GridFigure{
			GramsPerKWh: Figure{float64(intensity.Value), intensity.Basis.Label}, Method: intensity.Basis.Method,
			Boundary: intensity.Basis.Boundary, Source: intensity.Source, Time: intensity.Time, Stale: intensity.Stale,
		},
		Energy: told(energy), Meter: meter, Embodied: told(hw.basis()),
		Network: Told{Modelled, "what the bytes add to the power of lines and masts; which of them a listener uses is guessed by their address", "the network between the server and the listener; no player"},
	}
	f.Today, _ = period(days, today, today, who, intensity)
	var machines []member
	f.Year, machines = period(days, yearBefore(now), today, who, intensity)
	names := map[string]bool{}
	for _, m := range machines {
		names[m.name] = true
	}
	f.Members = len(names)
	f.Levers = levers(days, now, intensity)
	return f
}

// total adds energy up, and apart from it what of it was measured, in an order that is always the same.
func total(by map[Origin]Joules) (all, measured Joules) {
	for _, o := range slices.Sorted(maps.Keys(by)) {
		all += by[o]
		if o.Label() == Measured {
			measured += by[o]
		}
	}
	return all, measured
}
