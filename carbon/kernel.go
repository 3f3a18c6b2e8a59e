package carbon

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
)

// machine is what the kernel has counted so far of the processors within the boundary: the whole machine, or, in a
// container with a limit of its own, what the container may use.
type machine struct {
	uptime   float64 // seconds since the machine started, sleep included
	capacity float64 // CPU seconds that there were
	busy     float64 // CPU seconds that somebody used
	memory   float64 // GB (10^9 bytes)
	vcpus    float64
	inGroup  bool // the boundary is a container's
}

// ticks is how many units of /proc/stat make a second: USER_HZ, which is 100 on every architecture that Go runs on.
const ticks = 100

// maxStat is more than /proc/stat takes on any machine: most of it is a line a processor and one for interrupts.
const maxStat = 4 << 20

// parseStat reads the processors' time from /proc/stat (proc_stat(5)). Waiting for a disk is idleness; time that was
// stolen by other guests of the host is neither ours nor anybody's here. A guest's time is counted under user already.
func parseStat(s string) (capacity, busy float64, vcpus int, err error) {
	for line := range strings.Lines(s) {
		name, rest, _ := strings.Cut(line, " ")
		if !strings.HasPrefix(name, "cpu") {
			break // they come first
		}
		if name != "cpu" {
			vcpus++
			continue
		}
		var t [8]float64 // user nice system idle iowait irq softirq steal
		for i, f := range strings.Fields(rest) {
			if i >= len(t) {
				break
			}
			n, err := strconv.ParseUint(f, 10, 64)
			if err != nil {
				return 0, 0, 0, fmt.Errorf("/proc/stat: %w", err)
			}
			t[i] = float64(n) / ticks
		}
		busy = t[0] + t[1] + t[2] + t[5] + t[6]
		capacity = busy + t[3] + t[4]
	}
	if vcpus == 0 || capacity <= 0 {
		return 0, 0, 0, errors.New("/proc/stat names no processor")
	}
	return capacity, busy, vcpus, nil
}

// parseUptime reads the first number of /proc/uptime, in seconds.
func parseUptime(s string) (float64, error) {
	first, _, _ := strings.Cut(strings.TrimSpace(s), " ")
	v, err := strconv.ParseFloat(first, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		return 0, fmt.Errorf("/proc/uptime: %q is no time", first)
	}
	return v, nil
}

// parseMemory reads MemTotal of /proc/meminfo, in GB.
func parseMemory(s string) (float64, error) {
	for line := range strings.Lines(s) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kib, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("/proc/meminfo: %w", err)
			}
			return float64(kib) * 1024 / 1e9, nil
		}
	}
	return 0, errors.New("/proc/meminfo does not say how much memory there is")
}

// parseCPUMax reads cpu.max of a control group (Documentation/admin-guide/cgroup-v2.rst): how many processors' worth of
// time it may use. ok is false where there is no limit.
func parseCPUMax(s string) (vcpus float64, ok bool) {
	quota, period, _ := strings.Cut(strings.TrimSpace(s), " ")
	q, err := strconv.ParseUint(quota, 10, 64)
	if err != nil {
		return 0, false // "max"
	}
	p, err := strconv.ParseUint(period, 10, 64)
	if err != nil || p == 0 || q == 0 {
		return 0, false
	}
	return float64(q) / float64(p), true
}

// parseUsage reads usage_usec of a control group's cpu.stat, in seconds.
func parseUsage(s string) (float64, error) {
	for line := range strings.Lines(s) {
		if rest, ok := strings.CutPrefix(line, "usage_usec "); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(rest), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("cpu.stat: %w", err)
			}
			return float64(n) / 1e6, nil
		}
	}
	return 0, errors.New("cpu.stat does not say how much was used")
}

// readMachine reads the kernel's accounting. A control group with a limit, as a container has it, is the boundary where
// there is one: what other containers do on the same host is not for us to see.
func readMachine(proc, cgroup string) (machine, error) {
	var m machine
	stat, err := readSmall(filepath.Join(proc, "stat"), maxStat)
	if err != nil {
		return m, err
	}
	var cpus int
	if m.capacity, m.busy, cpus, err = parseStat(stat); err != nil {
		return m, err
	}
	m.vcpus = float64(cpus)
	up, err := readSmall(filepath.Join(proc, "uptime"), maxLine)
	if err != nil {
		return m, err
	}
	if m.uptime, err = parseUptime(up); err != nil {
		return m, err
	}
	info, err := readSmall(filepath.Join(proc, "meminfo"), 64<<10)
	if err != nil {
		return m, err
	}
	if m.memory, err = parseMemory(info); err != nil {
		return m, err
	}
	limit, err := readLine(filepath.Join(cgroup, "cpu.max"))
	if err != nil {
		return m, nil // no group of our own
	}
	vcpus, limited := parseCPUMax(limit)
	if !limited || vcpus >= m.vcpus {
		return m, nil
	}
	usage, err := readSmall(filepath.Join(cgroup, "cpu.stat"), 64<<10)
	if err != nil {
		return m, nil // nor can it be read
	}
	used, err := parseUsage(usage)
	if err != nil {
		return m, err
	}
	m.capacity, m.busy, m.vcpus, m.inGroup = vcpus*m.uptime, used, vcpus, true
	if memory, err := readNumber(filepath.Join(cgroup, "memory.max")); err == nil { // else "max"
		m.memory = min(m.memory, float64(memory)/1e9)
	}
	return m, nil
}
