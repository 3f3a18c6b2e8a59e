package carbon

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func amount(v float64) bool { return v >= 0 && !math.IsInf(v, 0) }

// FuzzKernel: whatever the kernel's files hold, each is an amount or an error.
func FuzzKernel(f *testing.F) {
	for _, s := range []string{
		"cpu  10 2 3 400 5 0 1 0 0 0\ncpu0 10 2 3 400 5 0 1 0 0 0\nintr 5\n", "cpu 1\ncpu0\n", "1234.56 99.1\n", "NaN 1", "-1",
		"MemTotal:       15625000 kB\n", "MemTotal: 99999999999999999999 kB\n", "150000 100000\n", "max 100000\n", "1 0",
		"usage_usec 5\nuser_usec 1\n", "usage_usec -1", "17 (a ) b) R 1 17 17 0 -1 0 0 0 0 0 250 50 0 0 20", "1 (x) R", "model name\t: AMD EPYC 7763\n", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if capacity, busy, vcpus, err := parseStat(s); err == nil && (!amount(busy) || capacity < busy || vcpus < 1) {
			t.Errorf("parseStat: %v of %v CPU seconds on %d processors", busy, capacity, vcpus)
		}
		if v, err := parseUptime(s); err == nil && !amount(v) {
			t.Errorf("parseUptime: %v", v)
		}
		if v, err := parseMemory(s); err == nil && !amount(v) {
			t.Errorf("parseMemory: %v", v)
		}
		if v, ok := parseCPUMax(s); ok && !(v > 0 && amount(v)) {
			t.Errorf("parseCPUMax: %v", v)
		}
		if v, err := parseUsage(s); err == nil && !amount(v) {
			t.Errorf("parseUsage: %v", v)
		}
		if v := childTime(s); v < 0 {
			t.Errorf("childTime: %v", v)
		}
		if w := (Model{}).settle(modelName(s)); !(w.min > 0 && w.max > w.min) {
			t.Errorf("a processor of %+v", w)
		}
	})
}

// FuzzPlug: whatever a plug answers, wherever one looks, it is an amount or an error.
func FuzzPlug(f *testing.F) {
	f.Add("$.apower", `{"apower":12.5}`)
	f.Add("Status[1]['P out']", `{"Status":[0,{"P out":"10"}]}`)
	f.Add("$[0]", `[1e999]`)
	f.Add("$..a", `{"a":-1}`)
	f.Add(`$["a"]["b"]`, `{"a":{"b":"NaN"}}`)
	f.Fuzz(func(t *testing.T, path, body string) {
		steps, err := parsePath(path)
		if err != nil {
			return
		}
		if len(steps) == 0 || len(steps) > maxSteps {
			t.Fatalf("%q has %d steps", path, len(steps))
		}
		if v, err := numberAt([]byte(body), steps); err == nil && !amount(v) {
			t.Errorf("%s of %s is %v", path, body, v)
		}
	})
}

// FuzzPowercap: whatever stands in the files of two zones, one within the other, and whatever stood there before, what is
// read of them is an amount of energy that the zones could have used.
func FuzzPowercap(f *testing.F) {
	f.Add("package-0", "100", "262143328850", "55000000", "core", "7", "100", uint32(60))
	f.Add("psys", "5", "4", "", "package-0", "18446744073709551615", "18446744073709551615", uint32(1))
	f.Add("core", "x", "0", "-1", "core", "1", "1", uint32(1<<31))
	f.Fuzz(func(t *testing.T, name, energy, wrap, limit, inner, innerEnergy, innerWrap string, seconds uint32) {
		dir := t.TempDir()
		write := func(folder, file, content string) {
			must(t, os.MkdirAll(filepath.Join(dir, folder), 0o700))
			must(t, os.WriteFile(filepath.Join(dir, folder, file), []byte(content), 0o600))
		}
		write("intel-rapl:0", "name", name)
		write("intel-rapl:0", "energy_uj", "0")
		write("intel-rapl:0", "max_energy_range_uj", wrap)
		before := readPowercap(dir)
		write("intel-rapl:0", "energy_uj", energy)
		write("intel-rapl:0", "constraint_0_power_limit_uw", limit)
		write("intel-rapl:0:0", "name", inner)
		write("intel-rapl:0:0", "energy_uj", innerEnergy)
		write("intel-rapl:0:0", "max_energy_range_uj", innerWrap)
		after := readPowercap(dir)
		interval := time.Duration(seconds) * time.Second
		for _, class := range zoneClasses {
			for key, z := range after[class] {
				if z.wrap == 0 || z.energy > z.wrap || z.peak() <= 0 {
					t.Errorf("%s is %+v", key, z)
				}
			}
			for _, last := range []zonePower{{}, {name: 20}} {
				if used, _, ok := energyOf(before[class], after[class], interval, last); ok && !amount(float64(used)) {
					t.Errorf("%s used %v J", class, used)
				}
			}
		}
	})
}
