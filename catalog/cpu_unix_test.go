package catalog_test

import (
	"testing"

	"golang.org/x/sys/unix"
)

// cpu returns the seconds of CPU that the process has used.
func cpu(t testing.TB) float64 {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}
