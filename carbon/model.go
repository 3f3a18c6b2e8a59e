package carbon

import (
	"path/filepath"
	"regexp"
)

// Model estimates a machine's power from how busy its processors are. The zero value takes everything from the machine.
type Model struct {
	MinWatts, MaxWatts float64 // of an idle and a busy virtual processor; MaxWatts 0: by the processor's family
	MemoryWatts        float64 // a GB; negative is none, 0 is DefaultMemoryWatts
}

// The power of a virtual processor, idle and busy, as Cloud Carbon Footprint derives it from SPECpower results
// (https://www.cloudcarbonfootprint.org/docs/methodology/, coefficients of Amazon's machines, read in November 2026). A
// machine's power is taken to lie on the line between the two: P = min + utilisation × (max − min).
const (
	// AverageMinWatts and AverageMaxWatts are of the average of all families, for processors that are not known.
	AverageMinWatts = 0.74
	AverageMaxWatts = 3.5
	epycThirdMin    = 0.45 // AMD EPYC of the third generation
	epycThirdMax    = 2.02
	// DefaultMemoryWatts is of a GB of memory, busy or not: 0.000392 kWh for a GB and an hour.
	DefaultMemoryWatts = 0.392
)

// epycThird matches the names of third-generation EPYCs, of which the last digit is 3: 7763, and 7R13 and 7B13 of clouds.
var epycThird = regexp.MustCompile(`\bEPYC 7[0-9A-Z][0-9A-Z]3\b`)

// readModelName returns the name of the processor, "" where /proc/cpuinfo does not say.
func readModelName(proc string) string {
	s, err := readSmall(filepath.Join(proc, "cpuinfo"), 16<<10) // the first processor is as good as any
	if err != nil {
		return ""
	}
	return modelName(s)
}

var modelLine = regexp.MustCompile(`(?m)^model name\s*:\s*(.*)$`)

func modelName(cpuinfo string) string {
	if m := modelLine.FindStringSubmatch(cpuinfo); m != nil {
		return m[1]
	}
	return ""
}

// settled is a Model without open questions.
type settled struct {
	min, max, memory float64 // watts
	label            Label
	method           string
}

func (m Model) settle(processor string) settled {
	s := settled{min: m.MinWatts, max: m.MaxWatts, memory: m.MemoryWatts, label: Modelled, method: "the configured watts per virtual processor × how busy they are, and memory"}
	switch {
	case m.MaxWatts > 0:
	case epycThird.MatchString(processor):
		s.min, s.max, s.method = epycThirdMin, epycThirdMax, "watts per virtual processor of a third-generation EPYC × how busy they are, and memory"
	default:
		s.min, s.max, s.method = AverageMinWatts, AverageMaxWatts, "average watts per virtual processor × how busy they are, and memory"
	}
	if s.memory == 0 {
		s.memory = DefaultMemoryWatts
	}
	s.memory = max(0, s.memory)
	return s
}

// energy is what the machine used, and what of that it would have used doing nothing.
func (s settled) energy(capacity, busy, memory, seconds float64) (used, idle Joules) {
	idle = Joules(s.min*capacity + s.memory*memory*seconds)
	return idle + Joules((s.max-s.min)*busy), idle
}
