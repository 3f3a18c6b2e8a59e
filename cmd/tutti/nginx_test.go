package main

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tutti/delivery/subsonic"
)

// TestNginxFlags looks that what an operator says about nginx arrives in its configuration, and what is wrong is refused.
func TestNginxFlags(t *testing.T) {
	dir := clean(t)
	p := &program{}
	parser, err := newParser(p, &streams{in: strings.NewReader(""), out: &bytes.Buffer{}, err: &bytes.Buffer{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{
		"nginx", "--data", dir, "--http-base-path", "/music",
		"--nginx-trusted-proxies", "10.0.0.0/24,fd00::1", "--nginx-access-log", "/var/log/a", "--nginx-error-log", "/var/log/e", "--nginx-user", "www-data",
	}); err != nil {
		t.Fatal(err)
	}
	n := newNode(&p.settings, slog.New(slog.DiscardHandler))
	c := p.Nginx.config(n)
	if !slices.Equal(c.TrustedProxies, []string{"10.0.0.0/24", "fd00::1"}) || c.AccessLog != "/var/log/a" || c.ErrorLog != "/var/log/e" || c.User != "www-data" {
		t.Errorf("%+v", c)
	}
	if c.Dir != filepath.Join(dir, "nginx") || c.BasePath != "/music" || !slices.Equal(c.Writes, subsonic.Writes()) || !slices.Contains(c.Events, "/api/v1/events") {
		t.Errorf("%+v", c)
	}
	c.Secret = strings.Repeat("s", 32)
	if _, err := c.Text(); err != nil {
		t.Error(err)
	}
	c.TrustedProxies = []string{"the balancer"}
	if _, err := c.Text(); err == nil {
		t.Error("a balancer without an address is taken")
	}
}
