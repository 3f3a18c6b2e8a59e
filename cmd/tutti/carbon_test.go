package main

import (
	"bytes"
	"flag"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tutti"
	"tutti/carbon"
	"tutti/clock"
)

var update = flag.Bool("update", false, "write the golden files anew")

// someDays are two machines' records of two days, around a new year.
func someDays() []carbon.Day {
	hw := carbon.Hardware{VCPUs: 4, Memory: 8, Made: 200_000, Life: 6 * 365 * 24 * time.Hour}
	day := func(date, member string, origin carbon.Origin, streamed float64) carbon.Day {
		d := carbon.Day{
			Date: date, Member: member, Hardware: hw, Covered: 86_400,
			Energy: map[carbon.Component]map[carbon.Origin]carbon.Joules{
				carbon.Stream: {origin: 3000}, carbon.Transcode: {origin: 9000}, carbon.Other: {origin: 5000}, carbon.Idle: {origin: 518_400},
			},
			Grams: map[carbon.Component]carbon.Grams{carbon.Stream: 0.25, carbon.Transcode: 0.75, carbon.Other: 0.4, carbon.Idle: 43.2},
			Grid:  map[carbon.Label]carbon.Joules{carbon.Measured: 535_400},
		}
		if streamed > 0 {
			d.Heard = map[carbon.Link]carbon.Heard{carbon.LAN: {Seconds: streamed, Bytes: streamed * 100_000}, carbon.Mobile: {Seconds: streamed / 2, Bytes: streamed * 20_000}}
			d.Listeners = map[tutti.ID]float64{"us-1": streamed, "us-2": streamed / 2}
			d.Hours[19] = streamed * 1.5
		}
		return d
	}
	return []carbon.Day{
		day("2026-12-31", "", "package", 20_000),
		day("2027-01-01", "", "package", 7200),
		day("2027-01-01", "attic", "model", 0),
	}
}

// TestCarbonReport: what people are told, for a person to review; no amount stands without its label.
func TestCarbonReport(t *testing.T) {
	grid := carbon.Intensity{Value: 300, Basis: carbon.Basis{Label: carbon.Measured, Method: "a feed"}, Source: "feed", Stale: true}
	f := carbon.KeptFootprint(someDays(), time.Date(2027, 1, 1, 20, 0, 0, 0, time.UTC), grid, carbon.Hardware{Made: 200_000})
	var b bytes.Buffer
	if err := printFootprint(&b, f); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "carbon-report.txt")
	if *update {
		if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("(-golden +got)\n%s", diff)
	}
	amounts, labels := regexp.MustCompile(`\d (?:h|m?g|kg|m?Wh|kWh|g/kWh)\b`), regexp.MustCompile(`\b(?:measured|modelled|assumed)\b`)
	for line := range strings.Lines(b.String()) {
		if a, l := len(amounts.FindAllString(line, -1)), len(labels.FindAllString(line, -1)); l < a {
			t.Errorf("%d amounts and %d labels: %s", a, l, line)
		}
	}
}

// TestCarbonDays: the store gives back the days that it was given, over the turn of a year, and nothing else.
func TestCarbonDays(t *testing.T) {
	clean(t)
	s, err := parse(t, "serve", "--listen", "127.0.0.1:0", "--data", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	n := newNode(&s, slog.New(slog.DiscardHandler))
	n.clock = clock.NewFake(time.Date(2027, 1, 1, 20, 0, 0, 0, time.UTC)) // days do not last for ever
	defer func() {
		if err := n.close(); err != nil {
			t.Error(err)
		}
	}()
	if err := n.build(t.Context(), "store"); err != nil {
		t.Fatal(err)
	}
	l := &carbonDays{store: n.store}
	want := map[string]carbon.Day{}
	for _, d := range someDays() {
		want[d.Date+d.Member] = d
		for range 2 { // the second replaces the first
			if err := l.Keep(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
	}
	days, err := l.Days(t.Context(), "2026-12-31", "2027-01-01")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]carbon.Day{}
	for _, d := range days {
		got[d.Date+d.Member] = d
	}
	if diff := cmp.Diff(want, got); diff != "" || len(days) != len(want) {
		t.Errorf("%d days (-want +got)\n%s", len(days), diff)
	}
	days, err = l.Days(t.Context(), "2027-01-01", "2027-01-01")
	if err != nil || len(days) != 2 {
		t.Errorf("of one day: %v, %v", slices.Collect(maps.Keys(got)), err)
	}
}
