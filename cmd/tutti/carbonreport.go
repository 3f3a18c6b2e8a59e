package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"tutti/carbon"
)

type carbonCmd struct {
	Report carbonReportCmd `cmd:"" help:"Say what listening cost: energy, emissions, the score of a stream-hour, and what would change most."`
}

type carbonReportCmd struct {
	JSON     bool `name:"json" help:"Print it as JSON, as GET /api/v1/carbon has it." xor:"form"`
	Manifest bool `help:"Print the last year as a manifest of the Green Software Foundation's Impact Framework, for if-run." xor:"form"`
}

// Run prints what the running server knows, or what was kept where none runs, or where it is a fleet's.
func (c carbonReportCmd) Run(ctx context.Context, s *settings, std *streams, logger *slog.Logger) error {
	if _, err := os.Stat(controlPath(s.Data)); err == nil && !s.fleet() {
		if err = c.running(ctx, s, std); !errors.Is(err, errNoServer) {
			return err
		}
	}
	return c.kept(ctx, s, std, logger)
}

// running prints what a server says.
func (c carbonReportCmd) running(ctx context.Context, s *settings, std *streams) error {
	if c.Manifest {
		var text []byte
		if err := s.control(ctx, http.MethodGet, "carbon/manifest", nil, &text); err != nil {
			return err
		}
		_, err := std.out.Write(text)
		return err
	}
	var f carbon.Footprint
	if err := s.control(ctx, http.MethodGet, "carbon", nil, &f); err != nil {
		return err
	}
	return c.print(std.out, f)
}

// kept prints what lies in the store.
func (c carbonReportCmd) kept(ctx context.Context, s *settings, std *streams, logger *slog.Logger) (err error) {
	if _, err := os.Stat(databasePath(s.Data)); err != nil && s.Store.sqlite() {
		return fmt.Errorf("nothing is known of energy: no server has run on the data folder %s (--data names another)", s.Data)
	}
	n := newNode(s, logger)
	defer func() { err = errors.Join(err, n.close()) }()
	for _, part := range []string{"store", "grid"} {
		if err := n.build(ctx, part); err != nil {
			return err
		}
	}
	now := n.clock.Now()
	days, err := carbon.LastYear(ctx, &carbonDays{store: n.store}, now)
	if err != nil {
		return err
	}
	if c.Manifest {
		text, err := carbon.ManifestOf(days, now, n.grid.Now(ctx))
		if err != nil {
			return err
		}
		_, err = io.WriteString(std.out, text)
		return err
	}
	return c.print(std.out, carbon.KeptFootprint(days, now, n.grid.Now(ctx), s.Carbon.hardware()))
}

func (c carbonReportCmd) print(w io.Writer, f carbon.Footprint) error {
	if c.JSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(f)
	}
	return printFootprint(w, f)
}

// printFootprint tells a person. No figure stands without its label.
func printFootprint(out io.Writer, f carbon.Footprint) error {
	fmt.Fprintf(out, "What listening cost, %s\n\n", f.At.Format("2006-01-02 15:04 MST"))
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	row := func(name string, show func(float64) string, of func(carbon.Period) *carbon.Figure) {
		if of(f.Today) == nil && of(f.Year) == nil {
			return
		}
		fmt.Fprint(w, name)
		for _, p := range []carbon.Period{f.Today, f.Year} {
			if v := of(p); v != nil {
				fmt.Fprintf(w, "\t%s\t%s", show(v.Value), v.Label)
			} else {
				fmt.Fprint(w, "\t-\t")
			}
		}
		fmt.Fprintln(w)
	}
	score := func(of func(*carbon.Scored) carbon.Figure) func(carbon.Period) *carbon.Figure {
		return func(p carbon.Period) *carbon.Figure {
			if p.Score == nil {
				return nil
			}
			v := of(p.Score)
			return &v
		}
	}
	fmt.Fprintln(w, "\ttoday\t\t365 days\t")
	row("music sent", hoursText, func(p carbon.Period) *carbon.Figure { return &p.StreamHours })
	row("energy", energyText, func(p carbon.Period) *carbon.Figure { return &p.KWh })
	row("emissions", gramsText, func(p carbon.Period) *carbon.Figure { return &p.Total })
	row("  of doing something", gramsText, func(p carbon.Period) *carbon.Figure { return &p.Operational })
	row("  of being there", gramsText, func(p carbon.Period) *carbon.Figure { return &p.Idle })
	row("  of making the machine", gramsText, func(p carbon.Period) *carbon.Figure { return &p.Embodied })
	row("a stream-hour (SCI)", gramsText, score(func(s *carbon.Scored) carbon.Figure { return s.Total }))
	row("  of doing something", gramsText, score(func(s *carbon.Scored) carbon.Figure { return s.Operational }))
	row("  of being there", gramsText, score(func(s *carbon.Scored) carbon.Figure { return s.Idle }))
	row("  of making the machine", gramsText, score(func(s *carbon.Scored) carbon.Figure { return s.Embodied }))
	row("a listener", gramsText, func(p carbon.Period) *carbon.Figure { return p.PerListener })
	row("beside it, the network", gramsText, func(p carbon.Period) *carbon.Figure { return &p.Network })
	row("for comparison, as a web page", gramsText, func(p carbon.Period) *carbon.Figure { return &p.Comparison })
	if err := w.Flush(); err != nil {
		return err
	}

	fmt.Fprintf(out, "\nWhat the energy of these 365 days went to (%s of them known, %s measured):\n", hoursText(f.Year.CoveredHours), percentText(f.Year.MeasuredPart))
	w = tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for _, p := range f.Year.Parts {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", p.Component, energyText(p.KWh.Value), p.KWh.Label, gramsText(p.Grams.Value), p.Grams.Label)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(f.Levers) > 0 {
		fmt.Fprintln(out, "\nWhat would change most in a year:")
	}
	for i, l := range f.Levers {
		fmt.Fprintf(out, "  %d. %s: %s less, %s of all (%s)\n", i+1, leverText(l), gramsText(l.Saves.Value), percentText(l.Part.Value), l.Saves.Label)
	}
	fmt.Fprintf(out, "\nHow this is known:\n")
	w = tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	grid := fmt.Sprintf("%s g/kWh: %s", roundText(f.Intensity.GramsPerKWh.Value), f.Intensity.Method)
	if f.Intensity.Stale {
		grid += "; older than it should be"
	}
	fmt.Fprintf(w, "  energy\t%s\t%s; inside: %s\n", f.Energy.Label, f.Energy.Method, f.Energy.Boundary)
	fmt.Fprintf(w, "  grid\t%s\t%s\n", f.Intensity.GramsPerKWh.Label, grid)
	fmt.Fprintf(w, "  making\t%s\t%s; inside: %s\n", f.Embodied.Label, f.Embodied.Method, f.Embodied.Boundary)
	fmt.Fprintf(w, "  network\t%s\t%s; inside: %s\n", f.Network.Label, f.Network.Method, f.Network.Boundary)
	if f.Members > 1 {
		fmt.Fprintf(w, "  members\t\t%d processes, added up; machines that they share count once\n", f.Members)
	}
	return w.Flush()
}

func leverText(l carbon.Lever) string {
	switch l.Name {
	case "idle-watts":
		return fmt.Sprintf("a machine that idles at %s W instead of %s W", roundText(l.Then.Value), roundText(l.Now.Value))
	case "hours":
		if l.Then.Value == 0 {
			return "switched off, as nobody listened"
		}
		return fmt.Sprintf("asleep from %02d:00 to %02d:00 UTC, when nobody listened", l.From, (l.From+24-int(l.Then.Value))%24)
	case "mobile-codec":
		return fmt.Sprintf("%s instead of %s kbit/s on mobile networks (Opus)", roundText(l.Then.Value), roundText(l.Now.Value))
	case "longer-life":
		return fmt.Sprintf("this machine in use for %s instead of %s years", roundText(l.Then.Value), roundText(l.Now.Value))
	}
	return l.Name
}

// roundText shows three digits of a number, which is more than any of these is good for.
func roundText(v float64) string {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return "0"
	}
	digits := max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
	s := strconv.FormatFloat(v, 'f', min(digits, 9), 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// unitText shows an amount in the unit that leaves few digits before the point.
func unitText(v float64, small, unit, large string) string {
	switch a := math.Abs(v); {
	case a >= 1000:
		return roundText(v/1000) + " " + large
	case a >= 1 || a == 0:
		return roundText(v) + " " + unit
	}
	return roundText(v*1000) + " " + small
}

func gramsText(g float64) string    { return unitText(g, "mg", "g", "kg") }
func energyText(kwh float64) string { return unitText(kwh*1000, "mWh", "Wh", "kWh") }
func hoursText(h float64) string    { return roundText(h) + " h" }
func percentText(part float64) string {
	return roundText(math.Round(part*1000)/10) + " %"
}
