package delivery

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestLikeNginx asks an nginx that serves the same file the same things. Where we differ on purpose, the test says so.
func TestLikeNginx(t *testing.T) {
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("nginx is not installed")
	}
	lib := newLibrary(t)
	lib.add(t, "tr-1", "a.flac", noise(10_000))
	ours := start(t, lib, nil)
	theirs := startNginx(t, nginx, lib.dir)
	date := modTime.Format(http.TimeFormat)

	for _, test := range []struct {
		method  string
		headers []string
		differ  string // why we answer otherwise
	}{
		{"GET", nil, ""},
		{"HEAD", nil, ""},
		{"GET", []string{"Range: bytes=0-99"}, ""},
		{"GET", []string{"Range: bytes=9999-"}, ""},
		{"GET", []string{"Range: bytes=-100"}, ""},
		{"GET", []string{"Range: bytes=-20000"}, ""},
		{"GET", []string{"Range: bytes=5000-20000"}, ""},
		{"GET", []string{"Range: bytes=10000-"}, ""},
		{"GET", []string{"Range: bytes=7-3"}, ""},
		{"GET", []string{"Range: bytes=a-b"}, ""},
		{"GET", []string{"Range: lines=1-2"}, ""},
		{"GET", []string{"Range: bytes=0-1,5-6"}, "the whole, not multipart"},
		{"HEAD", []string{"Range: bytes=0-99"}, "Range is for GET (RFC 9110 §14.2)"},
		{"GET", []string{"If-Modified-Since: " + date}, ""},
		{"GET", []string{"If-Unmodified-Since: Sun, 01 Mar 2020 00:00:00 GMT"}, ""},
		{"GET", []string{`If-None-Match: "x"`}, ""},
		{"GET", []string{`If-Match: "x"`}, ""},
		{"GET", []string{"If-None-Match: *"}, ""},
		{"GET", []string{"Range: bytes=0-99", "If-Range: " + date}, ""},
		{"GET", []string{"Range: bytes=0-99", `If-Range: "x"`}, ""},
		{"GET", []string{"Range: bytes=0-99", "If-Range: Sun, 01 Mar 2020 00:00:00 GMT"}, ""},
	} {
		describe := func(r reply) string {
			h := r.Header
			return fmt.Sprint(r.StatusCode, " range=", h.Get("Content-Range"), " length=", len(r.body), " modified=", r.StatusCode < 400 && h.Get("Last-Modified") != "", " tag=", r.StatusCode < 400 && h.Get("ETag") != "")
		}
		we, they := ours.do(t, test.method, "/audio/tr-1", test.headers...), theirs.do(t, test.method, "/a.flac", test.headers...)
		if we.StatusCode >= 400 {
			we.body, they.body = nil, nil // nginx sends a page, which may say what it likes
		}
		if same := describe(we) == describe(they); same != (test.differ == "") {
			t.Errorf("%s %v (%s)\n ours   %s\n theirs %s", test.method, test.headers, test.differ, describe(we), describe(they))
		}
	}
}

// startNginx serves a folder until the test ends.
func startNginx(t *testing.T, nginx, root string) *edge {
	t.Helper()
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	config := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error;
events {}
http {
	access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/c;
	server { listen unix:%[2]s; root %[3]s; }
}`, dir, socket, root)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(nginx, "-p", dir, "-c", file, "-e", filepath.Join(dir, "error"))
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DialContext: dial}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have failed to start
		_ = cmd.Wait()
	})
	eventually(t, "nginx listens", func() bool {
		c, err := net.Dial("unix", socket)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
	return &edge{url: "http://nginx", client: client}
}
