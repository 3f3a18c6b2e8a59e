package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	user     = "bench"
	password = "benchmark password"
)

// server is a process under measurement.
type server struct {
	name   string
	url    string
	secure string // HOST:PORT with TLS, of the nginx that has a certificate
	cmd    *exec.Cmd
	also   []*exec.Cmd // that belong to it
	pids   []int
	from   net.IP                                                         // the client's address; nil is any
	live   func() ([]int, error)                                          // in place of pids, where processes come and go
	open   func(ctx context.Context, track string) (io.ReadCloser, error) // in place of HTTP
}

// stop ends the process and waits for it.
func (s *server) stop() error {
	var err error
	for _, c := range append([]*exec.Cmd{s.cmd}, s.also...) {
		if c == nil { // it did not come to that
			continue
		}
		if e := c.Process.Signal(syscall.SIGTERM); e != nil && !errors.Is(e, os.ErrProcessDone) {
			err = errors.Join(err, e)
		}
		if e := c.Wait(); e != nil && c.ProcessState.ExitCode() > 1 { // nats-server ends with 1, and what ends by the signal with -1
			err = errors.Join(err, fmt.Errorf("%s: %w", s.name, e))
		}
	}
	return err
}

func (s *server) measure() (usage, error) {
	if s.live == nil {
		return measure(s.pids...)
	}
	pids, err := s.live()
	if err != nil {
		return usage{}, err
	}
	return measure(pids...)
}

// startTutti runs bin/tutti and waits until it is ready.
func startTutti(ctx context.Context, bin, data, music string, extra ...string) (*server, error) {
	args := append([]string{"serve", "--listen", "127.0.0.1:0", "--data", data, "--music", music, "--log-level", "warn"}, extra...)
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Env = append(os.Environ(), "TUTTI_ANALYSE_ENABLED=false", "TUTTI_ADMIN_USER="+user, "TUTTI_ADMIN_PASSWORD="+password)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "tutti ready at "); ok {
			return &server{name: "tutti", url: strings.TrimSpace(address), cmd: cmd, pids: []int{cmd.Process.Pid}}, nil
		}
	}
	return nil, fmt.Errorf("tutti ended before it was ready: %w", cmd.Wait())
}

// startNginx serves a folder statically, as the reference.
func startNginx(ctx context.Context, root, scratch string) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	var secure, listen string
	if _, err := os.Stat(filepath.Join(scratch, "cert.pem")); err == nil {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		secure = fmt.Sprintf("127.0.0.1:%d", port)
		listen = fmt.Sprintf("listen %s ssl; ssl_certificate %s/cert.pem; ssl_certificate_key %[2]s/key.pem; ssl_protocols TLSv1.3; ssl_session_tickets off;", secure, scratch)
	}
	conf := filepath.Join(scratch, "nginx.conf")
	err = os.WriteFile(conf, fmt.Appendf(nil, `daemon off;
pid %[1]s/nginx.pid;
error_log %[1]s/nginx.log error;
worker_processes 2;
worker_rlimit_nofile 20000;
user root;
events { worker_connections 8192; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	keepalive_requests 1000000;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fcgi;
	uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
	server { listen %[2]s backlog=4096; %[4]s location / { root %[3]s; } }
}
`, scratch, address, root, listen), 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "nginx", "-c", conf, "-e", filepath.Join(scratch, "nginx.log"))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{name: "nginx", url: "http://" + address, secure: secure, cmd: cmd}
	if err := listens(address); err != nil {
		return nil, fmt.Errorf("nginx: %w", err)
	}
	workers, err := children(cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	s.pids = append([]int{cmd.Process.Pid}, workers...)
	return s, nil
}

// listens waits until somebody does at an address.
func listens(address string) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		c, err := net.Dial("tcp", address)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// rest is the path of an OpenSubsonic request with credentials.
func rest(endpoint string, pairs ...string) string {
	v := url.Values{"u": {user}, "p": {password}, "v": {"1.16.1"}, "c": {"bench"}, "f": {"json"}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return "/rest/" + endpoint + "?" + v.Encode()
}

// scanned waits until the scan at start is over.
func (s *server) scanned(ctx context.Context, want int) error {
	for ctx.Err() == nil {
		resp, err := http.Get(s.url + rest("getScanStatus"))
		if err != nil {
			return err
		}
		var body bytes.Buffer
		_, err = body.ReadFrom(resp.Body)
		resp.Body.Close()
		if err != nil {
			return err
		}
		if strings.Contains(body.String(), `"scanning":false`) && strings.Contains(body.String(), fmt.Sprintf(`"count":%d`, want)) {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return ctx.Err()
}
