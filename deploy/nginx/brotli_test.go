package nginx_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tutti"
	"tutti/clock"
	"tutti/deploy/nginx"
)

// TestBrotli: who takes Brotli gets texts in it, and others what delivery makes of it; bytes of music stay what they are.
func TestBrotli(t *testing.T) {
	o := newObject(1, 100<<10)
	s := newStand(t, 1, nil, o)
	long := strings.Repeat(`{"title":"The Harbour Polka","artist":"The Harbour Band"},`, 200)
	music := s.delivery
	s.delivery = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/tracks":
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Vary", "Accept-Encoding")
			w.Header().Set("X-Asked-For", r.Header.Get("Accept-Encoding"))
			_, _ = w.Write([]byte(long))
		default:
			music.ServeHTTP(w, r)
		}
	})
	for _, c := range []struct{ accept, encoding, asked string }{
		{"gzip, deflate, br, zstd", "br", ""},
		{"br;q=1.0, gzip;q=0.5", "br", ""},
		{"gzip", "gzip", "gzip"},
		{"gzip, br;q=0", "gzip", ""},
		{"bread, x-br", "", "bread, x-br"},
		{"", "", ""},
	} {
		a := s.do("GET", "/api/v1/tracks", "Accept-Encoding: "+c.accept)
		if got := a.Header.Get("Content-Encoding"); got != c.encoding || a.Header.Get("X-Asked-For") != c.asked {
			t.Errorf("%q is answered in %q, and delivery was asked for %q; want %q and %q", c.accept, got, a.Header.Get("X-Asked-For"), c.encoding, c.asked)
		}
		if !strings.Contains(a.Header.Get("Vary"), "Accept-Encoding") {
			t.Errorf("%q: an answer in %q does not say that it depends on that", c.accept, c.encoding)
		}
		if c.encoding != "br" {
			continue
		}
		node := exec.CommandContext(t.Context(), "node", "-e", "process.stdout.write(require('zlib').brotliDecompressSync(require('fs').readFileSync(0)))")
		node.Stdin = bytes.NewReader(a.body)
		text, err := node.Output()
		if err != nil || string(text) != long || len(a.body) > len(long)/10 {
			t.Errorf("%d bytes in Brotli are %d, %v; want %d", len(a.body), len(text), err, len(long))
		}
	}
	if a := s.do("GET", "/"+o.id, "Accept-Encoding: br, gzip"); a.Header.Get("Content-Encoding") != "" || !bytes.Equal(a.body, o.body) {
		t.Errorf("music came in %q, %d bytes of %d", a.Header.Get("Content-Encoding"), len(a.body), len(o.body))
	}
}

// TestBrotliOfAnotherVersion: nginx refuses every configuration with a filter that was not made for it.
func TestBrotliOfAnotherVersion(t *testing.T) {
	installed, err := exec.LookPath("nginx")
	if err != nil {
		installed = "/usr/sbin/nginx"
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "nginx")
	script := "#!/bin/sh\nif [ \"$1\" = -V ]; then echo \"configure arguments: --modules-path=" + dir + " --with-compat\" >&2; exit; fi\nexec " + installed + " \"$@\"\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	log := &buffer{}
	edge, err := nginx.NewEdge(nginx.EdgeConfig{
		Config:  nginx.Config{Listen: []string{freeAddress(t)}, Dir: filepath.Join(dir, "data"), Secret: nginx.Secret([]byte("key"))},
		Fleet:   &fleet{members: map[tutti.Service][]tutti.Member{}, changed: make(chan struct{})},
		Program: program, Clock: clock.System, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ngx_http_brotli_filter_module.so"), []byte("of another version"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := edge.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(edge.File())
	if err != nil || bytes.Contains(text, []byte("brotli")) {
		t.Errorf("the configuration asks for it all the same, %v", err)
	}
	if !strings.Contains(log.String(), "does not take its Brotli filter") {
		t.Errorf("nobody said so: %s", log)
	}
}
