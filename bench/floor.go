package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
)

// The floor: what any fleet costs that is made of nginx and of Go processes beside it, whatever they do. nginx asks a
// process that answers every request with X-Accel-Redirect and nothing else, and sends the file from its disk; in the second
// shape that process first asks another one, as delivery asks the catalogue. Connections are kept on both ways, with
// net/http's defaults. What a start through the fleet takes above it is our own.

// authoriserCommand is the first argument with which this program is such a process.
const authoriserCommand = "authoriser"

// authorise answers on an address until it is ended. With next, it asks there first, for each request.
func authorise(address, next string) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true}}
	return http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if next != "" {
			resp, err := client.Get(next + r.URL.Path)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			resp.Body.Close() // it is empty
		}
		w.Header().Set("X-Accel-Redirect", "/bytes"+r.URL.Path)
	}))
}

// startFloor starts such an nginx over a folder, with depth processes of which each asks the next one.
func startFloor(ctx context.Context, root, scratch string, depth int) (_ *server, err error) {
	s := &server{name: "floor"}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ask, next := "", ""
	for range depth {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		ask = fmt.Sprintf("127.0.0.1:%d", port)
		p := exec.CommandContext(ctx, self, authoriserCommand, ask, next)
		p.Stderr = os.Stderr
		if err := p.Start(); err != nil {
			return nil, err
		}
		s.also, s.pids = append(s.also, p), append(s.pids, p.Process.Pid)
		if err := listens(ask); err != nil {
			return nil, err
		}
		next = "http://" + ask
	}
	conf := filepath.Join(scratch, "floor.conf")
	err = os.WriteFile(conf, fmt.Appendf(nil, `daemon off;
pid %[1]s/floor.pid;
error_log %[1]s/floor.log error;
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
	upstream authoriser { server %[4]s; keepalive 64; keepalive_requests 1000000; }
	server {
		listen %[2]s backlog=4096;
		location / { proxy_pass http://authoriser; proxy_http_version 1.1; proxy_set_header Connection ""; }
		location /bytes/ { internal; alias %[3]s/; }
	}
}
`, scratch, address, root, ask), 0o600)
	if err != nil {
		return nil, err
	}
	front := exec.CommandContext(ctx, "nginx", "-c", conf, "-e", filepath.Join(scratch, "floor.log"))
	front.Stderr = os.Stderr
	if err := front.Start(); err != nil {
		return nil, err
	}
	s.cmd, s.url = front, "http://"+address
	if err := listens(address); err != nil {
		return nil, fmt.Errorf("nginx: %w", err)
	}
	workers, err := children(s.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	s.pids = append(append(s.pids, s.cmd.Process.Pid), workers...)
	return s, nil
}
