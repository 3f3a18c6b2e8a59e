package carbon

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// processTime is the CPU time of this process, and of the processes that it has started: those that have ended, and,
// as far as they can be seen, those that still run.
func processTime(proc string) (self, children time.Duration, err error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, 0, err
	}
	self = spent(u)
	if err := unix.Getrusage(unix.RUSAGE_CHILDREN, &u); err != nil {
		return 0, 0, err
	}
	children = spent(u)
	// A kernel without CONFIG_PROC_CHILDREN has no such lists: there, a child counts when it ends.
	lists, err := filepath.Glob(filepath.Join(proc, "self", "task", "*", "children"))
	if err != nil {
		return self, children, nil
	}
	for _, list := range lists {
		pids, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended since
		}
		for pid := range strings.FieldsSeq(string(pids)) {
			stat, err := readSmall(filepath.Join(proc, pid, "stat"), 4<<10)
			if err != nil {
				continue // the process has ended since, and counts among the ended
			}
			children += childTime(stat)
		}
	}
	return self, children, nil
}

func spent(u unix.Rusage) time.Duration {
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// childTime reads utime and stime, fields 14 and 15 of /proc/PID/stat (proc_pid_stat(5)). The second field, the
// program's name in parentheses, may hold anything.
func childTime(stat string) time.Duration {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	var sum uint64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseUint(f, 10, 48)
		if err != nil {
			return 0
		}
		sum += n
	}
	return time.Duration(sum) * (time.Second / ticks)
}

// threadTime is the CPU time of the thread that calls.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
