package carbon

import "time"

// Hardware is the machine that is used, for the carbon of making it.
type Hardware struct {
	VCPUs  float64
	Memory float64 // GB
	// Made is what making the machine emitted; 0 is what EmbodiedOf estimates.
	Made Grams
	Life time.Duration // for how long it will be used; 0 is DefaultLife
	// Share of the machine that is there for tutti, 0 to 1; 0 is all of it.
	Share float64
}

// The estimate of what making a server emits, from its processors and memory, is that of the Impact Framework's
// sci-embodied (https://if.greensoftware.foundation/users/how-to-import-plugins, plugin version 1.1), which follows
// B. Davy, "Building an AWS EC2 carbon emissions dataset", 2021: a server with one virtual processor and 16 GB is
// 1,000 kg, each further processor 100 kg, each further GB 533/384 kg. It is of rack servers: for a small computer at
// home it is far too much, and its maker's own figure is to be configured.
const (
	serverGrams     = 1_000_000
	serverVCPUs     = 1
	serverMemory    = 16 // GB
	gramsPerVCPU    = 100_000
	gramsPerGB      = 533.0 / 384 * 1000
	DefaultLife     = 4 * 365 * 24 * time.Hour // of the same source
	secondsPerHour  = 3600
	hoursPerYear    = 8760
	functionalUnit  = "stream-hour"
	embodiedMethod  = "the Impact Framework's estimate from processors and memory, spread evenly over the machine's life"
	embodiedAsTold  = "the configured figure for making the machine, spread evenly over its life"
	embodiedContent = "making this machine, its share for tutti"
)

// EmbodiedOf is what making the whole machine emitted.
func EmbodiedOf(h Hardware) Grams {
	if h.Made > 0 {
		return h.Made
	}
	return Grams(serverGrams + (h.VCPUs-serverVCPUs)*gramsPerVCPU + (h.Memory-serverMemory)*gramsPerGB)
}

func (h Hardware) life() time.Duration {
	if h.Life > 0 {
		return h.Life
	}
	return DefaultLife
}

func (h Hardware) share() float64 {
	if h.Share > 0 {
		return h.Share
	}
	return 1
}

// basis says how EmbodiedOf came to its figure.
func (h Hardware) basis() Basis {
	if h.Made > 0 {
		return Basis{Assumed, embodiedAsTold, embodiedContent}
	}
	return Basis{Modelled, embodiedMethod, embodiedContent}
}

// Over is the part of it that falls upon a time of use: ISO/IEC 21031:2024 §6.5, M = TE × TS × RS.
func (h Hardware) Over(d time.Duration) Grams {
	return Grams(float64(EmbodiedOf(h)) * h.share() * (d.Seconds() / h.life().Seconds()))
}

// Score is a Software Carbon Intensity, in grams of CO2 equivalent for each stream-hour: ISO/IEC 21031:2024,
// SCI = (E × I + M) per R. R is the stream-hour: an hour of music sent to a listener. Energy that was used to do
// something, energy that was used to be there, and what making the machine emitted are apart, as each is lowered in
// another way.
type Score struct{ Operational, Idle, Embodied Grams }

// Total is the score as the standard has it.
func (s Score) Total() Grams { return s.Operational + s.Idle + s.Embodied }

// SCI is the score of what was emitted, for each of so many stream-hours. ok is false without any: nothing is not zero.
func SCI(operational, idle, embodied Grams, streamHours float64) (s Score, ok bool) {
	if !(streamHours > 0) {
		return Score{}, false
	}
	r := Grams(streamHours)
	return Score{operational / r, idle / r, embodied / r}, true
}
