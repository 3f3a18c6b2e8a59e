package encode

import (
	"golang.org/x/sys/unix"
)

// yield makes the calling thread, to which its goroutine must be locked, give way to others: on Linux niceness is a thread's.
func yield(nice int) error { return unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), nice) }
