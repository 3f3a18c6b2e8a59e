package carbon

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"tutti"
)

// ManifestOf writes what happened over a year as a manifest of the Green Software Foundation's Impact Framework
// (https://if.greensoftware.foundation), so that `if-run` computes the score anew, from the energy up: one child for each
// machine, whose scores add up to the fleet's, as each is for each of all stream-hours. It returns KindNotFound while
// there is nothing to divide by.
func ManifestOf(days []Day, now time.Time, intensity Intensity) (string, error) {
	until := dateOf(now)
	p, machines := period(shared(days), yearBefore(now), until, "", intensity)
	if p.StreamHours.Value <= 0 || len(machines) == 0 {
		return "", tutti.Errorf(tutti.KindNotFound, "carbon.ManifestOf", "nothing has been streamed yet, so there is no score to compute")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# The Software Carbon Intensity of tutti, %s to %s (ISO/IEC 21031:2024).\n", p.From, p.Until)
	fmt.Fprintf(&b, "# Energy: %s. Emissions: %s. Making the machines: %s. Run it with: if-run --manifest FILE\n", p.KWh.Label, p.Operational.Label, p.Embodied.Label)
	b.WriteString(`name: tutti
description: Grams of CO2 equivalent for each hour of music sent to listeners; the network and players are not in it.
tags:
aggregation:
  metrics:
    - carbon
    - sci
  type: both
initialize:
  plugins:
`)
	product := func(name, a, c, out string) {
		fmt.Fprintf(&b, "    %s:\n      method: Multiply\n      path: builtin\n      config:\n        input-parameters: [%s, %s]\n        output-parameter: %s\n", name, a, c, out)
	}
	product("operational", "energy-active", "intensity-active", "carbon-operational")
	product("idle", "energy-idle", "intensity-idle", "carbon-idle")
	b.WriteString(`    sum:
      method: Sum
      path: builtin
      config:
        input-parameters: [carbon-operational, carbon-idle, embodied-carbon]
        output-parameter: carbon
      parameter-metadata:
        outputs:
          carbon:
            description: all that was emitted
            unit: gCO2e
            aggregation-method:
              time: sum
              component: sum
    sci:
      method: Sci
      path: builtin
      config:
        functional-unit: stream-hours
`)
	children := make([]string, len(machines))
	for i, m := range machines {
		children[i] = fmt.Sprintf("machine-%d", i+1)
		hw := m.hardware
		// Of a machine of which the making is known, the plugin's estimate from its parts is left with nothing to add.
		fmt.Fprintf(&b, "    embodied-%d:\n      method: SciEmbodied\n      path: builtin\n      config:\n        lifespan: %s\n", i+1, number(hw.life().Seconds()))
		if hw.Made > 0 {
			fmt.Fprintf(&b, "        baseline-emissions: %s\n        baseline-vcpus: %s\n        memory-emissions-constant: 0\n", number(float64(hw.Made)), number(hw.VCPUs))
		}
	}
	b.WriteString("tree:\n  children:\n")
	for i, m := range machines {
		fmt.Fprintf(&b, "    %s:\n", children[i])
		if m.name != "" {
			fmt.Fprintf(&b, "      # %s\n", oneLine(m.name))
		}
		fmt.Fprintf(&b, "      pipeline:\n        compute: [operational, idle, embodied-%d, sum, sci]\n      inputs:\n", i+1)
		for _, v := range []struct {
			name  string
			value float64
		}{
			{"duration", max(1, m.covered)}, // seconds; the plugin takes no less
			{"time", max(m.covered, 1e-9)},  // that making the machine is charged for
			{"energy-active", m.active.KWh()},
			{"intensity-active", intensityOf(m.activeCO2, m.active)},
			{"energy-idle", m.idle.KWh()},
			{"intensity-idle", intensityOf(m.idleCO2, m.idle)},
			{"vCPUs", m.hardware.VCPUs},
			{"memory", m.hardware.Memory},
			{"usage-ratio", m.hardware.share()},
			{"stream-hours", p.StreamHours.Value},
		} {
			lead := "          "
			if v.name == "duration" {
				fmt.Fprintf(&b, "        - timestamp: \"%sT00:00:00.000Z\"\n", p.From)
			}
			fmt.Fprintf(&b, "%s%s: %s\n", lead, v.name, number(v.value))
		}
	}
	return b.String(), nil
}

// intensityOf is the mean intensity of some energy, in g/kWh.
func intensityOf(g Grams, j Joules) float64 {
	if j <= 0 {
		return 0
	}
	return float64(g) / j.KWh()
}

// number writes a number so that nothing of it is lost, and without an exponent, which YAML 1.1 and 1.2 read differently.
func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// oneLine keeps a name within the line of its comment.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
