package nginx_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tutti/deploy/nginx"
)

// TestListenersShareOpenSlices: many who take one track slowly have the files of its slices open once for each worker,
// and not once each, and nobody is turned away for it.
func TestListenersShareOpenSlices(t *testing.T) {
	const slices, listeners = 24, 40
	o := newObject(1, slices<<20)
	s := newStand(t, 2, func(c *nginx.Config) { c.OpenFiles = 700 }, o) // 960 slices would not go in, even in two workers
	if a := s.do("GET", "/"+o.id); a.err != nil || len(a.body) != len(o.body) {
		t.Fatalf("%d bytes, %v", len(a.body), a.err)
	}
	host := strings.TrimPrefix(s.url, "http://")
	conns := make([]net.Conn, listeners)
	for i := range conns {
		c, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.(*net.TCPConn).SetReadBuffer(32 << 10); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(c, "GET /%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", o.id); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 20<<10)); err != nil { // the music has begun
			t.Fatal(err)
		}
		conns[i] = c
	}
	b, err := os.ReadFile(filepath.Join(s.dir, "nginx.pid"))
	if err != nil {
		t.Fatal(err)
	}
	workers, err := os.ReadFile("/proc/" + strings.TrimSpace(string(b)) + "/task/" + strings.TrimSpace(string(b)) + "/children")
	if err != nil {
		t.Fatal(err)
	}
	open := 0
	for _, pid := range strings.Fields(string(workers)) {
		files, err := filepath.Glob("/proc/" + pid + "/fd/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if to, err := os.Readlink(f); err == nil && strings.HasPrefix(to, filepath.Join(s.dir, "cache")) {
				open++
			}
		}
	}
	if open == 0 || open > 2*slices {
		t.Errorf("%d listeners have %d slices open, of %d", listeners, open, slices)
	}
	for i, c := range conns {
		rest, err := io.ReadAll(c)
		if err != nil || len(rest) < len(o.body)-(20<<10) {
			t.Errorf("listener %d got %d bytes, %v", i, len(rest), err)
		}
	}
}
