package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"tutti/bench/sim"
)

// titles of the scenarios' plots.
var titles = map[string]string{
	"snapcast": "Two Snapcast clients on tutti, and two on snapserver beside them",
	"pages":    "Two pages",
	"mixed":    "A Snapcast client and a page",
}

// report writes the table and the plots, and what could not be measured.
func report(o options, all []measured, failed error) error {
	var b strings.Builder
	fmt.Fprintf(&b, `# How far apart players are

Heard, not believed: every player plays to a stereo pair of one sound card that goes nowhere, which is recorded; windows of a
second are compared by generalised cross-correlation. Noise is played. The players, PulseAudio and the server share one machine
with %d cores, so that what one figure is worth is told by the one beside it from the same recording.

    go run ./bench/unison -length %s -settle %s -realtime=%t

| heard together | windows | silent | p50 | p95 | p99 | most | middle |
|---|---:|---:|---:|---:|---:|---:|---:|
`, runtime.NumCPU(), o.length, o.settle, o.realtime)
	for _, m := range all {
		fmt.Fprintf(&b, "| %s | %d | %d | %s | %s | %s | %s | %s |\n", m.what, len(m.series.us), m.series.blank,
			micros(m.series.apart(0.5)), micros(m.series.apart(0.95)), micros(m.series.apart(0.99)), micros(m.series.apart(1)), micros(m.series.middle()))
	}
	b.WriteString("\np50 to most: how far apart, in either direction. Middle: the median with its sign, positive where the second is late. Silent: windows\nin which one of them could not be heard.\n")
	if failed != nil {
		b.WriteString("\nNot all could be measured: the run ended with an error.\n")
	}
	if o.out == "-" {
		fmt.Print(b.String())
		return nil
	}
	for _, s := range scenarios {
		var lines []sim.Line
		for _, m := range all {
			if m.scenario != s.name || len(m.series.us) == 0 {
				continue
			}
			l := sim.Line{Name: m.what, X: m.series.at}
			for _, us := range m.series.us {
				l.Y = append(l.Y, math.Abs(us))
			}
			lines = append(lines, l)
		}
		if len(lines) == 0 {
			continue
		}
		name := "unison-" + s.name + ".svg"
		f, err := os.Create(filepath.Join(filepath.Dir(o.out), name))
		if err != nil {
			return err
		}
		if err := sim.Plot(f, titles[s.name], "seconds", "µs apart", lines, 0); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		fmt.Fprintf(&b, "\n## %s\n\n![How far apart, over time](%s)\n", titles[s.name], name)
	}
	return os.WriteFile(o.out, []byte(b.String()), 0o644)
}

// micros writes microseconds, or milliseconds where those are many.
func micros(us float64) string {
	switch {
	case math.IsNaN(us):
		return "–"
	case math.Abs(us) < 1000:
		return fmt.Sprintf("%.0f µs", us)
	default:
		return fmt.Sprintf("%.2f ms", us/1000)
	}
}
