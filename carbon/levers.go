package carbon

import (
	"slices"
	"time"
)

// levers computes what a year would emit less if one thing were changed, from the last 30 days of this installation. The
// largest three are enough to know where to begin.
const (
	leverDays    = 30
	leverCount   = 3
	opusKbps     = 128 // at which listening tests find Opus transparent for nearly all music; what is made unless told otherwise
	extraYears   = 2
	leverAtLeast = 3600 // seconds that must be known for a year to be projected
)

func levers(days []Day, now time.Time, intensity Intensity) []Lever {
	from := dateOf(now.AddDate(0, 0, 1-leverDays))
	recent, each := period(days, from, dateOf(now), "", intensity)
	var sum Day
	var watts, life, embodied float64
	lifeLabel := Measured
	for i := range days {
		if days[i].Date >= from {
			sum.add(&days[i])
		}
	}
	if sum.Covered < leverAtLeast {
		return []Lever{}
	}
	idle := Measured
	for o := range sum.Energy[Idle] {
		idle = Weakest(idle, o.Label())
	}
	// A machine whose hardware was changed, or described anew, is one machine still.
	names := map[string]bool{}
	for _, m := range each {
		names[m.name] = true
		span := m.hardware.life().Hours() / hoursPerYear
		life = max(life, span)
		watts += float64(m.idle) / sum.Covered
		embodied += float64(EmbodiedOf(m.hardware)) * m.hardware.share() / span * m.covered / sum.Covered
		lifeLabel = Weakest(lifeLabel, m.hardware.basis().Label)
	}
	machines := float64(len(names))
	watts, embodied = watts*machines, embodied*machines
	grid := intensity
	perYear := func(watts float64) float64 {
		return float64(grid.Value.Of(Joules(watts * hoursPerYear * secondsPerHour)))
	}
	// Of a year as the last days were: what runs, and what was made.
	year := recent.Total.Value + recent.Network.Value
	years := hoursPerYear * secondsPerHour * machines / sum.Covered // in a year, of what was in those days
	year *= years
	with := Weakest(idle, grid.Basis.Label)

	mobile := sum.Heard[Mobile]
	rate := 0.0
	if mobile.Seconds > 0 {
		rate = mobile.Bytes * 8 / 1000 / mobile.Seconds
	}
	// Of each second of music on a mobile network, in a year.
	spared := NetworkEnergy(Mobile, mobile.Seconds*years*max(0, rate-opusKbps)*1000/8)

	quiet, begin := silence(sum.Hours)
	out := []Lever{
		{
			Name: "idle-watts", Now: Figure{watts, idle}, Then: Figure{watts / 2, Assumed},
			Saves: Figure{perYear(watts / 2), Weakest(with, Assumed)},
		},
		{
			Name: "hours", Now: Figure{24, Assumed}, Then: Figure{float64(24 - quiet), Assumed}, From: begin,
			Saves: Figure{perYear(watts * float64(quiet) / 24), Weakest(with, Assumed)},
		},
		{
			Name: "mobile-codec", Now: Figure{rate, Measured}, Then: Figure{min(rate, opusKbps), Assumed},
			Saves: Figure{float64(grid.Value.Of(spared)), Assumed},
		},
		{
			Name: "longer-life", Now: Figure{life, Assumed}, Then: Figure{life + extraYears, Assumed},
			Saves: Figure{embodied * (1 - life/(life+extraYears)), Weakest(lifeLabel, Assumed)},
		},
	}
	for i := range out {
		out[i].Part = Figure{0, out[i].Saves.Label}
		if year > 0 {
			out[i].Part.Value = min(1, out[i].Saves.Value/year)
		}
	}
	slices.SortStableFunc(out, func(a, b Lever) int {
		switch {
		case a.Saves.Value > b.Saves.Value:
			return -1
		case a.Saves.Value < b.Saves.Value:
			return 1
		}
		return 0
	})
	return out[:leverCount]
}

// silence is the longest run of hours of the day in which nothing was sent, over midnight if need be, and its first hour.
func silence(hours [24]float64) (length, from int) {
	for begin := range 24 {
		n := 0
		for n < 24 && hours[(begin+n)%24] == 0 {
			n++
		}
		if n > length {
			length, from = n, begin
		}
	}
	return length, from
}
