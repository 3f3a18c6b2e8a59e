package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// forgetCode takes the pages of the program's own file out of this process's memory, those that nobody changed: the packages'
// initialisation and the start touch many times what serving does, and the kernel would keep them mapped for as long as
// the process lives. They stay in the page cache, from where what is used again is mapped again, a minor fault for 16
// pages; what is not may go when others need the room (madvise(2), MADV_DONTNEED of a file's mapping).
func forgetCode() error {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("find the program's file: %w", err)
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return fmt.Errorf("read the memory's map: %w", err)
	}
	defer f.Close()
	// A mapping is a line with its addresses, rights and file, and then lines with figures.
	var from, to uintptr
	ours := false
	for lines := bufio.NewScanner(f); ; {
		if !lines.Scan() {
			return lines.Err()
		}
		line := lines.Text()
		fields := strings.Fields(line)
		if len(fields) >= 2 && len(fields[1]) == 4 && strings.Contains(fields[0], "-") {
			ours = len(fields) >= 6 && strings.HasSuffix(line, " "+exe) && fields[1][1] == '-' && fields[1][3] == 'p'
			if ours {
				a, b, _ := strings.Cut(fields[0], "-")
				start, err1 := strconv.ParseUint(a, 16, 64)
				end, err2 := strconv.ParseUint(b, 16, 64)
				if err1 != nil || err2 != nil {
					return fmt.Errorf("read the memory's map: %q", line)
				}
				from, to = uintptr(start), uintptr(end)
			}
			continue
		}
		// Pages that the loader has changed, and then protected, are in no file. "Anonymous" counts them, and comes after
		// all that it depends on.
		if ours && fields[0] == "Anonymous:" && fields[1] == "0" {
			if _, _, errno := unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED); errno != 0 {
				return fmt.Errorf("give back the program's pages: %w", errno)
			}
		}
	}
}
