package carbon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tutti/clock"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// constant is a grid that never changes.
type constant GramsPerKWh

func (c constant) Now(context.Context) Intensity {
	return Intensity{Value: GramsPerKWh(c), Basis: Basis{Label: Assumed, Method: "a constant"}, Source: "constant"}
}

func (c constant) Mean(ctx context.Context, _, _ time.Time) Intensity { return c.Now(ctx) }

// tree is a machine as the kernel shows it, in files.
type tree struct {
	t              testing.TB
	dir            string
	vcpus          int
	uptime         float64
	busy, idle     float64 // CPU seconds
	self, children time.Duration
	clock          *clock.Fake
}

func newTree(t testing.TB, vcpus int) *tree {
	t.Helper()
	tr := &tree{t: t, dir: t.TempDir(), vcpus: vcpus, clock: clock.NewFake(noon)}
	for _, d := range []string{"proc", "powercap", "cgroup"} {
		must(t, os.Mkdir(filepath.Join(tr.dir, d), 0o700))
	}
	tr.write("proc/meminfo", "MemTotal:       15625000 kB\nMemFree: 1 kB\n") // 16 GB
	tr.write("proc/cpuinfo", "processor\t: 0\nmodel name\t: Some Processor\n")
	tr.passed(1000, 100, 0)
	return tr
}

func (tr *tree) write(name, content string) {
	tr.t.Helper()
	path := filepath.Join(tr.dir, name)
	must(tr.t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(tr.t, os.WriteFile(path, []byte(content), 0o600))
}

// passed lets time go by on the machine, in which its processors were busy for so many CPU seconds, so many of them ours.
func (tr *tree) passed(seconds, busy, ours float64) {
	tr.t.Helper()
	tr.uptime += seconds
	tr.busy += busy
	tr.idle += max(0, seconds*float64(tr.vcpus)-busy)
	tr.self += time.Duration(ours * float64(time.Second))
	stat := fmt.Sprintf("cpu  %d 0 0 %d 0 0 0 0 0 0\n", int64(tr.busy*100), int64(tr.idle*100))
	for i := range tr.vcpus {
		stat += fmt.Sprintf("cpu%d 0 0 0 0 0 0 0 0 0 0\n", i)
	}
	tr.write("proc/stat", stat+"intr 1 2 3\n")
	tr.write("proc/uptime", fmt.Sprintf("%.2f 1.00\n", tr.uptime))
}

// zone makes or changes an energy counter, in microjoules.
func (tr *tree) zone(folder, name string, energy, wrap uint64) {
	tr.t.Helper()
	dir := "powercap/" + folder + "/"
	tr.write(dir+"name", name+"\n")
	tr.write(dir+"energy_uj", fmt.Sprintln(energy))
	tr.write(dir+"max_energy_range_uj", fmt.Sprintln(wrap))
}

func (tr *tree) drop(folder string) {
	tr.t.Helper()
	must(tr.t, os.RemoveAll(filepath.Join(tr.dir, "powercap", folder)))
}

func (tr *tree) config() MeterConfig {
	return MeterConfig{
		Proc: filepath.Join(tr.dir, "proc"), Powercap: filepath.Join(tr.dir, "powercap"), Cgroup: filepath.Join(tr.dir, "cgroup"),
		Grid: constant(500), Clock: tr.clock, Logger: slog.New(slog.DiscardHandler),
		usage: func() (time.Duration, time.Duration, error) { return tr.self, tr.children, nil },
	}
}

func (tr *tree) meter(c MeterConfig) *Meter {
	tr.t.Helper()
	m, err := NewMeter(tr.t.Context(), c)
	must(tr.t, err)
	return m
}

func (tr *tree) look(m *Meter) {
	tr.t.Helper()
	must(tr.t, m.Look(tr.t.Context()))
}
