// Package carbon says what a stream-hour costs the planet: the energy that this machine used (a meter, or a model where
// there is none), what it was used for, the carbon intensity of the grid at that time, and the score that follows,
// the Software Carbon Intensity of ISO/IEC 21031:2024.
//
// What belongs here: reading meters, attributing energy, the models with their constants and sources, intensity feeds
// and the choice of clean hours. What does not: what a stream or a job is. Whoever moves music tells a Meter what it
// did; what is kept from day to day goes through a Ledger, and how that is stored is the caller's.
//
// No figure of this package goes without its Basis: whether it was measured, modelled or assumed, how, and what is
// inside its boundary.
package carbon

import (
	"context"
	"time"
)

// Joules is an amount of energy.
type Joules float64

// joulesPerKWh is exact: 1 kW × 3,600 s.
const joulesPerKWh = 3.6e6

// KWh returns the energy in kilowatt-hours.
func (j Joules) KWh() float64 { return float64(j) / joulesPerKWh }

// FromKWh returns an amount of kilowatt-hours.
func FromKWh(kwh float64) Joules { return Joules(kwh * joulesPerKWh) }

// Grams is a mass of CO2 equivalent.
type Grams float64

// GramsPerKWh is a grid's carbon intensity, in grams of CO2 equivalent for each kilowatt-hour.
type GramsPerKWh float64

// Of returns what an amount of energy at this intensity emits.
func (g GramsPerKWh) Of(j Joules) Grams { return Grams(j.KWh() * float64(g)) }

// Label says how a figure came to be. The order is that of trust: of a sum, the weakest label of its parts is the sum's.
type Label string

// The labels.
const (
	Measured Label = "measured" // a meter or a counter of the kernel or the hardware read it
	Modelled Label = "modelled" // computed from something measured by a published model
	Assumed  Label = "assumed"  // a constant that somebody chose
)

func (l Label) rank() int {
	switch l {
	case Measured:
		return 0
	case Modelled:
		return 1
	}
	return 2
}

// Weakest returns the label of what is computed from figures with these labels.
func Weakest(labels ...Label) Label {
	out := Measured
	for _, l := range labels {
		if l.rank() > out.rank() {
			out = l
		}
	}
	return out
}

// Basis is what stands behind a figure.
type Basis struct {
	Label    Label
	Method   string // how it was found, in a few words: "RAPL package counters", "watts per vCPU × utilisation"
	Boundary string // what is inside: "processor packages of this machine"
}

// Intensity is a grid's carbon intensity at a time, and where the figure is from.
type Intensity struct {
	Value  GramsPerKWh
	Basis  Basis     // Measured for what a feed reports, Modelled for a forecast or an estimate, Assumed for a constant
	Source string    // "constant", "gb", …; a short name for metrics
	Time   time.Time // to which the value belongs; zero for a constant
	Stale  bool      // it is older than it should be: the feed is lost
}

// Grid tells a grid's carbon intensity. Its methods answer from what is known, after at most one attempt of a few
// seconds to learn more; where nothing is known they answer with the constant that is configured, Assumed and Stale.
type Grid interface {
	// Now is the intensity at present.
	Now(ctx context.Context) Intensity
	// Mean is the mean intensity from a time to a later one, which has passed. Where only a part of it is known, it is
	// the mean of that part; where nothing is, it is Now's.
	Mean(ctx context.Context, from, to time.Time) Intensity
}
