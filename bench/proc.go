package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// usage is what the kernel says a set of processes has used so far.
type usage struct {
	cpu     time.Duration
	wakeups int64 // voluntary context switches: each is a sleep that ended
	written int64 // bytes handed to the block layer
	rss     int64 // bytes resident now
}

func (u usage) since(before usage) usage {
	return usage{cpu: u.cpu - before.cpu, wakeups: u.wakeups - before.wakeups, written: u.written - before.written, rss: u.rss - before.rss}
}

// measure adds up the usage of processes. CPU time comes from schedstat, in nanoseconds, of every thread that lives;
// servers measured here do not end threads.
func measure(pids ...int) (usage, error) {
	var sum usage
	for _, pid := range pids {
		dir := fmt.Sprintf("/proc/%d", pid)
		tasks, err := filepath.Glob(dir + "/task/*")
		if err != nil || len(tasks) == 0 {
			return usage{}, fmt.Errorf("process %d is gone", pid)
		}
		for _, task := range tasks {
			b, err := os.ReadFile(task + "/schedstat")
			if err != nil {
				continue // the thread ended between the listing and now
			}
			ns, err := strconv.ParseInt(strings.Fields(string(b))[0], 10, 64)
			if err != nil {
				return usage{}, fmt.Errorf("%s/schedstat: %w", task, err)
			}
			sum.cpu += time.Duration(ns)
			n, err := field(task+"/status", "voluntary_ctxt_switches:")
			if err != nil {
				continue
			}
			sum.wakeups += n
		}
		rss, err := field(dir+"/status", "VmRSS:")
		if err != nil {
			continue // it has ended, and nobody has waited for it yet
		}
		sum.rss += rss << 10
		written, err := field(dir+"/io", "write_bytes:")
		if err != nil {
			return usage{}, err
		}
		sum.written += written
	}
	return sum, nil
}

// field returns the number behind a name in a file of lines "name number …".
func field(path, name string) (int64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", path, name)
}

// children returns the processes that a process has started, such as nginx's workers; any of its threads may have.
func children(pid int) ([]int, error) {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil || len(lists) == 0 {
		return nil, fmt.Errorf("process %d is gone", pid)
	}
	var out []int
	for _, list := range lists {
		b, err := os.ReadFile(list)
		if err != nil {
			continue // the thread ended between the listing and now
		}
		for _, s := range strings.Fields(string(b)) {
			n, err := strconv.Atoi(s)
			if err != nil {
				return nil, err
			}
			out = append(out, n)
		}
	}
	return out, nil
}

// maxRSS is the most memory that an ended command had resident, in bytes (ru_maxrss is in KiB on Linux).
func maxRSS(cmd *exec.Cmd) int64 {
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		return u.Maxrss << 10
	}
	return 0
}
