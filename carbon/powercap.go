package carbon

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The powercap framework of Linux (Documentation/power/powercap/powercap.rst) shows a processor's energy counters, RAPL,
// as a tree of zones: a folder for each, with its name, a counter in microjoules and the value at which that begins anew.
// A zone may be in another (core is in package), and one zone may be shown twice, by its registers and by memory-mapped
// ones (intel-rapl-mmio); such a pair is one zone, not two.

// zoneClasses are the kinds of zones that are used, the one that holds most of the machine first. Only zones of one
// class are added up: package holds core, and psys holds them all.
var zoneClasses = []string{"psys", "package", "core", "dram"}

var zoneBoundaries = map[string]string{
	"psys":    "the whole platform, as the processor's vendor counts it",
	"package": "the processor packages; no memory, disks or power supply",
	"core":    "the processor's cores",
	"dram":    "the memory",
}

// classOf returns the class of a zone by its name, "" for one that is not used: "package-1-die-0" is a package.
func classOf(name string) string {
	for _, c := range zoneClasses {
		if name == c || strings.HasPrefix(name, c+"-") {
			return c
		}
	}
	return ""
}

// zoneReading is a zone's counter at a time.
type zoneReading struct {
	energy, wrap uint64  // microjoules; the counter runs from 0 to wrap
	watts        float64 // the most that the zone may draw, as far as anybody says; else 0
}

// maxZones is far more than any machine has.
const maxZones = 1024

// readPowercap returns the zones below root by class and by where they are in the machine ("package-0/core"). A zone
// that cannot be read is left out, as is one whose counter makes no sense; without any the result is empty.
func readPowercap(root string) map[string]map[string]zoneReading {
	dirs, err := os.ReadDir(root)
	if err != nil {
		return nil // there is no such hardware, or it is not shown to us; examine says which
	}
	var folders []string
	for _, d := range dirs {
		if len(folders) < maxZones && strings.Contains(d.Name(), ":") {
			folders = append(folders, d.Name())
		}
	}
	// Of a zone that is shown twice the first is taken: the registers' own, as "intel-rapl" comes before "intel-rapl-mmio".
	slices.SortFunc(folders, func(a, b string) int {
		ca, pa, _ := strings.Cut(a, ":")
		cb, pb, _ := strings.Cut(b, ":")
		if c := strings.Compare(ca, cb); c != 0 {
			return c
		}
		return strings.Compare(pa, pb)
	})
	names := map[string]string{}
	out := map[string]map[string]zoneReading{}
	for _, f := range folders {
		name, err := readLine(filepath.Join(root, f, "name"))
		if err != nil {
			continue
		}
		// The folder of a zone within another is called as that one is, with a number more.
		key := name
		if within, ok := names[f[:strings.LastIndexByte(f, ':')]]; ok {
			key = within + "/" + name
		}
		names[f] = key
		class := classOf(name)
		if class == "" {
			continue
		}
		if _, twice := out[class][key]; twice {
			continue
		}
		z, err := readZone(filepath.Join(root, f))
		if err != nil {
			continue
		}
		if out[class] == nil {
			out[class] = map[string]zoneReading{}
		}
		out[class][key] = z
	}
	return out
}

func readZone(dir string) (zoneReading, error) {
	var z zoneReading
	var err error
	if z.wrap, err = readNumber(filepath.Join(dir, "max_energy_range_uj")); err != nil {
		return z, err
	}
	if z.energy, err = readNumber(filepath.Join(dir, "energy_uj")); err != nil {
		return z, err
	}
	if z.wrap == 0 || z.energy > z.wrap {
		return z, errors.New("the counter is beyond its own end")
	}
	for _, n := range []string{"0", "1", "2"} {
		for _, what := range []string{"_max_power_uw", "_power_limit_uw"} {
			// Which of them a machine has differs; none is needed.
			if uw, err := readNumber(filepath.Join(dir, "constraint_"+n+what)); err == nil {
				z.watts = max(z.watts, float64(uw)/1e6)
			}
		}
	}
	return z, nil
}

// plausibleWatts is what a zone may draw at most where it does not say: more than any processor's thermal design power.
const plausibleWatts = 500

// peak is what a zone may draw at most, in watts. Firmware lets a processor exceed its lasting limit for seconds; limits
// that are no limits at all (some boards say 4 kW) are not believed.
func (z zoneReading) peak() float64 {
	if z.watts <= 0 || z.watts > plausibleWatts {
		return plausibleWatts
	}
	return 2 * z.watts
}

// since returns the energy between an earlier reading and this one, taking it that the counter began anew at most once,
// and the energy that each further time would add.
func (z zoneReading) since(before zoneReading) (used, lap Joules) {
	lap = Joules(float64(z.wrap) / 1e6)
	if z.energy >= before.energy {
		return Joules(float64(z.energy-before.energy) / 1e6), lap
	}
	return Joules(float64(before.wrap-before.energy+z.energy) / 1e6), lap
}

// laps reports whether the counter may have begun anew unseen within an interval, so that what it shows is no measure.
func (z zoneReading) laps(interval time.Duration) bool {
	return z.peak()*interval.Seconds() >= float64(z.wrap)/1e6
}

// zonePower is what a zone drew when it was last measured, in watts.
type zonePower map[string]float64

// energyOf adds up a class of zones between two readings. ok is false where the class is not wholly there in both.
// exact is false where a counter may have run round unseen: then each zone is taken to have drawn about what it drew
// when last measured, and the number of rounds is the one that comes closest. Without such a measurement ok is false.
func energyOf(before, after map[string]zoneReading, interval time.Duration, last zonePower) (used Joules, exact, ok bool) {
	if len(before) == 0 || len(before) != len(after) {
		return 0, false, false
	}
	exact = true
	for _, z := range after {
		exact = exact && !z.laps(interval)
	}
	for key, b := range before {
		a, there := after[key]
		if !there || a.wrap != b.wrap {
			return 0, false, false
		}
		e, lap := a.since(b)
		if !exact {
			watts, known := last[key]
			if !known {
				return 0, false, false
			}
			e += lap * Joules(max(0, math.Round((watts*interval.Seconds()-float64(e))/float64(lap))))
		} else if s := interval.Seconds(); s > 0 {
			last[key] = float64(e) / s
		}
		used += e
	}
	return used, exact, true
}

// maxLine is more than any file of the kernel that holds one value takes.
const maxLine = 256

// readSmall reads a small file of the kernel, no more than limit bytes.
func readSmall(path string, limit int64) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(f, limit))
	return string(b), errors.Join(err, f.Close())
}

func readLine(path string) (string, error) {
	s, err := readSmall(path, maxLine)
	return strings.TrimSpace(s), err
}

func readNumber(path string) (uint64, error) {
	s, err := readLine(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(s, 10, 64)
}

// Powercap says what can be read of the tree of energy counters at root: the class of zones that would be used, "" for
// none, and the error that keeps us from counters which are there. Since 2020 they are root's alone (CVE-2020-8694).
func Powercap(root string) (class string, err error) {
	have := readPowercap(root)
	for _, c := range zoneClasses {
		if len(have[c]) > 0 {
			return c, nil
		}
	}
	counters, err := filepath.Glob(filepath.Join(root, "*:*", "energy_uj"))
	if err != nil || len(counters) == 0 {
		return "", nil
	}
	if _, err := os.ReadFile(counters[0]); errors.Is(err, fs.ErrPermission) {
		return "", err
	}
	return "", nil
}
