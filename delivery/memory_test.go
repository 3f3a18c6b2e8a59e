package delivery

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tutti/clock"
)

// listenersEnv, when set to a number, has TestMemoryOfListeners run with that many.
const listenersEnv = "TUTTI_LISTENERS"

// TestMemoryOfListeners opens paced connections to a server in a process of its own and divides what that grows by.
// It takes about fifteen seconds, so it runs only where it is asked for: TUTTI_LISTENERS=1000 go test -run Memory -v
func TestMemoryOfListeners(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv(listenersEnv))
	if err != nil || n < 1 {
		t.Skipf("set %s to the number of listeners", listenersEnv)
	}
	file := filepath.Join(t.TempDir(), "a.flac")
	if err := os.WriteFile(file, noise(30<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	url, pid, _ := startChild(t, file)
	addr := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/")

	paced(t, addr, 20, 2*time.Second, nil) // what the first listeners cost once
	before := memory(t, pid)
	var during int
	paced(t, addr, n, 10*time.Second, func() { during = memory(t, pid) })
	each := float64(during-before) / float64(n)
	t.Logf("%d listeners: %d kB before, %d kB with them, %.1f kB each", n, before, during, each)
	if each > 40 {
		t.Errorf("%.1f kB a listener; 40 is the bar", each)
	}
}

// paced has n listeners take 48 kB a second (384 kbit/s) for d, and calls during shortly before the end.
func paced(t *testing.T, addr string, n int, d time.Duration, during func()) {
	t.Helper()
	// The sender's persist timer stalls readers with a set receive buffer on loopback, whose segments are 64 kB, unless
	// they ask for segments as on a real network.
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if ctl := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, 1448)
			if err == nil {
				err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 128<<10)
			}
		}); ctl != nil {
			return ctl
		}
		return err
	}}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range n {
		conn, err := dialer.DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer func() { _ = conn.Close() }()
			if _, err := fmt.Fprintf(conn, "GET /audio/tr-1 HTTP/1.1\r\nHost: x\r\nUser-Agent: test\r\nAccept: */*\r\nRange: bytes=0-\r\n\r\n"); err != nil {
				t.Error(err)
				return
			}
			buf := make([]byte, 12_000)
			tick := time.NewTicker(250 * time.Millisecond)
			defer tick.Stop()
			for {
				if _, err := io.ReadFull(conn, buf); err != nil {
					t.Errorf("a listener was cut off: %v", err)
					return
				}
				select {
				case <-tick.C:
				case <-stop:
					return
				}
			}
		})
	}
	if err := clock.Sleep(t.Context(), clock.System, d); err != nil {
		t.Fatal(err)
	}
	if during != nil {
		during()
	}
	close(stop)
	wg.Wait()
}

// memory returns the resident memory of a process in kB.
func memory(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
