package nginx_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/deploy/nginx"
)

func TestLimits(t *testing.T) {
	s := newStand(t, 0, func(c *nginx.Config) { c.RequestRate, c.RequestBurst, c.Connections = 1, 5, 3 })
	release := make(chan struct{})
	s.delivery = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			w.(http.Flusher).Flush()
			<-release
		}
	})
	// Three are held open; the fourth at the same time is refused.
	var held []*http.Response
	for range 3 {
		resp, err := s.client.Get(s.url + "/slow")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, resp)
	}
	refused := s.do("GET", "/fast")
	if refused.StatusCode != 429 || refused.Header.Get("Retry-After") != "1" || refused.Header.Get("Content-Type") != "application/json" || !bytes.Contains(refused.body, []byte("exhausted")) {
		t.Errorf("a fourth at the same time: %s %v %s", refused.Status, refused.Header, refused.body)
	}
	close(release)
	for _, resp := range held {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	var fine, tooMany int
	for range 20 {
		switch a := s.do("GET", "/fast"); a.StatusCode {
		case 200:
			fine++
		case 429:
			tooMany++
		default:
			t.Errorf("%s", a.Status)
		}
	}
	if fine == 0 || tooMany < 10 {
		t.Errorf("of 20 at once, with a burst of 5, %d were answered and %d refused", fine, tooMany)
	}
	if a := s.do("GET", "/healthz"); a.StatusCode != 200 {
		t.Errorf("healthz is limited: %s", a.Status)
	}
}

// TestSlowListener has a listener take nothing: nginx lets go of the connection, and of the track cache long before.
func TestSlowListener(t *testing.T) {
	t.Parallel()
	o := newObject(5, 64<<20)
	s := newStand(t, 2, func(c *nginx.Config) { c.SendTimeout = 500 * time.Millisecond }, o)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "GET /%s HTTP/1.1\r\nHost: x\r\n\r\n", o.id); err != nil {
		t.Fatal(err)
	}
	// Its slices have been fetched and it takes none; after the time-out it is cut off, which a read finds out.
	eventually(t, "slices were fetched", func() bool { return s.caches[0].slices.Load()+s.caches[1].slices.Load() > 0 })
	began := time.Now()
	eventually(t, "nginx lets go", func() bool { return !strings.Contains(connections(t), peerOf(conn)) })
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	// A header that never ends is not waited for either; the time is fixed at 10 s, so only that it is set is looked at.
	text, err := os.ReadFile(filepath.Join(s.dir, "nginx.conf"))
	if err != nil || !bytes.Contains(text, []byte("client_header_timeout 10s;")) {
		t.Error("there is no limit for headers", err)
	}
}

// connections lists the established connections of the machine that nginx's side holds, as the kernel prints them.
func connections(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Skip(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 3 && f[3] == "01" {
			out.WriteString(f[1] + " " + f[2] + "\n")
		}
	}
	return out.String()
}

// peerOf is a connection as its other end appears in connections.
func peerOf(c net.Conn) string {
	kernel := func(a net.Addr) string {
		t := a.(*net.TCPAddr)
		ip := t.IP.To4()
		return fmt.Sprintf("%02X%02X%02X%02X:%04X", ip[3], ip[2], ip[1], ip[0], t.Port)
	}
	return kernel(c.RemoteAddr()) + " " + kernel(c.LocalAddr())
}

// workers returns the process ids of nginx's workers.
func workers(t *testing.T, dir string) []int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "nginx.pid"))
	if err != nil {
		t.Fatal(err)
	}
	master := strings.TrimSpace(string(b))
	children, err := os.ReadFile("/proc/" + master + "/task/" + master + "/children")
	if err != nil {
		t.Skip(err)
	}
	var out []int
	for _, f := range strings.Fields(string(children)) {
		pid, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, pid)
	}
	return out
}

// TestWorkerKilled kills a worker. Its connections are gone, and the next request finds another.
func TestWorkerKilled(t *testing.T) {
	t.Parallel()
	o := newObject(6, 3<<20)
	s := newStand(t, 2, nil, o)
	for range 3 {
		before := workers(t, s.dir)
		if err := syscall.Kill(before[0], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		got := 0
		for range 20 {
			resp, err := s.client.Get(s.url + "/" + o.id)
			if err != nil {
				continue // its connection was the dead worker's
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err == nil && bytes.Equal(body, o.body) {
				got++
			}
		}
		if got < 18 {
			t.Errorf("after a worker was killed %d of 20 requests were answered", got)
		}
		eventually(t, "there are two workers again", func() bool { return len(workers(t, s.dir)) >= 2 })
	}
}

// TestFollow has members come and go under listeners who take their time.
func TestFollow(t *testing.T) {
	t.Parallel()
	o := newObject(8, 24<<20)
	s := newStand(t, 3, nil, o)
	var streams sync.WaitGroup
	var cut atomic.Int64
	for range 8 {
		streams.Go(func() {
			resp, err := s.client.Get(s.url + "/" + o.id)
			if err != nil {
				cut.Add(1)
				return
			}
			defer func() { _ = resp.Body.Close() }()
			var got bytes.Buffer
			for got.Len() < len(o.body) {
				if _, err := io.CopyN(&got, resp.Body, min(1<<20, int64(len(o.body)-got.Len()))); err != nil {
					break
				}
				time.Sleep(100 * time.Millisecond) // a listener has a pace
			}
			if !bytes.Equal(got.Bytes(), o.body) {
				cut.Add(1)
			}
		})
	}
	file := filepath.Join(s.dir, "nginx.conf")
	text := func() string {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	all := []string{s.caches[0].address, s.caches[1].address, s.caches[2].address}
	for _, now := range [][]string{all[:2], all, all[1:]} {
		s.fleet.set(tutti.ServiceTrackCache, now...)
		old := workers(t, s.dir)
		eventually(t, "the configuration follows", func() bool {
			for _, a := range all {
				if strings.Contains(text(), "server "+a+" ") != slices.Contains(now, a) {
					return false
				}
			}
			return true
		})
		eventually(t, "new workers run", func() bool { return fmt.Sprint(workers(t, s.dir)) != fmt.Sprint(old) })
	}
	streams.Wait()
	if n := cut.Load(); n != 0 {
		t.Errorf("%d of 8 streams were cut by three reloads", n)
	}
	if _, err := os.Stat(file + ".previous"); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read the secret: %v %v", info.Mode(), err)
	}
	// Members that nginx cannot take are left out, and do not keep it from following the others.
	s.fleet.set(tutti.ServiceTrackCache, "no-such-host.invalid:7003", "tutti_c1:7003", "10.0.0.1:99999", all[0])
	eventually(t, "the good one is there alone", func() bool {
		return strings.Contains(text(), "server "+all[0]+" ") && !strings.Contains(text(), "server "+all[2]+" ")
	})
	for _, bad := range []string{"no-such-host.invalid:7003", "tutti_c1:7003", "10.0.0.1:99999"} {
		if strings.Contains(text(), bad) || strings.Count(s.log.String(), "address="+bad) != 1 {
			t.Errorf("%s is not left out, or not said to be", bad)
		}
	}
	if a := s.do("GET", "/"+o.id, "Range: bytes=0-9"); a.StatusCode != 206 {
		t.Errorf("after members were left out: %s", a.Status)
	}
	// With nobody left, listeners are told so.
	s.fleet.set(tutti.ServiceTrackCache)
	eventually(t, "there are no track caches", func() bool { return !strings.Contains(text(), "tutti_slices") })
	s.fleet.set(tutti.ServiceDelivery)
	var last answer
	eventually(t, "there are no deliveries", func() bool { last = s.do("GET", "/"); return last.StatusCode == 503 })
	if last.Header.Get("Retry-After") != "2" || !bytes.Contains(last.body, []byte("unavailable")) {
		t.Errorf("nobody is there: %s %v %s", last.Status, last.Header, last.body)
	}
}

// TestDeliveries has one of two deliveries die: reads find the other, and nothing is written twice.
func TestDeliveries(t *testing.T) {
	t.Parallel()
	s := newStand(t, 0, nil)
	var writes, reads atomic.Int64
	answers := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "ok") })
	good := httptest.NewServer(answers)
	defer good.Close()
	dies := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			writes.Add(1)
		} else {
			reads.Add(1)
		}
		panic(http.ErrAbortHandler)
	}))
	defer dies.Close()
	s.fleet.set(tutti.ServiceDelivery, good.Listener.Addr().String(), dies.Listener.Addr().String())
	eventually(t, "nginx knows both", func() bool { s.do("GET", "/"); return reads.Load() > 0 })
	fine, failed := 0, 0
	for range 30 {
		if a := s.do("GET", "/"); a.StatusCode == 200 {
			fine++
		}
		before := writes.Load()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if n := writes.Load() - before; n > 1 || n == 1 && resp.StatusCode != 503 {
			t.Errorf("a write arrived %d times at the one that dies, and the answer is %s", n, resp.Status)
		} else if n == 1 {
			failed++
		}
	}
	if fine != 30 {
		t.Errorf("%d of 30 reads were answered", fine)
	}
	t.Logf("%d writes met the one that dies", failed)
	dies.Close()
	for range 10 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := s.client.Do(req); err != nil || resp.StatusCode != 200 {
			t.Errorf("a write that could not be sent to one that is gone: %v %v", resp, err)
		} else {
			_ = resp.Body.Close()
		}
	}
}

// TestTLS asks by HTTP/2, with TLS 1.2 at least, and is sent there from plain HTTP.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certificate, key := selfSigned(t, dir)
	o := newObject(9, 3<<20)
	var plain string
	s := newStand(t, 2, func(c *nginx.Config) {
		plain = freeAddress(t)
		c.TLSCert, c.TLSKey, c.RedirectListen = certificate, key, []string{plain}
	}, o)
	pem, err := os.ReadFile(certificate)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get(s.url + "/" + o.id)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.ProtoMajor != 2 || !bytes.Equal(body, o.body) || resp.TLS.Version != tls.VersionTLS13 {
		t.Errorf("%s %s, %d bytes, TLS %x, %v", resp.Proto, resp.Status, len(body), resp.TLS.Version, err)
	}
	for version, works := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true} {
		c, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "https://"), &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10, MaxVersion: version})
		if (err == nil) != works {
			t.Errorf("TLS %x: %v", version, err)
		}
		if err == nil {
			_ = c.Close()
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+plain+"/rest/ping?u=a", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err = s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 308 || resp.Header.Get("Location") != "https://127.0.0.1/rest/ping?u=a" {
		t.Errorf("plain HTTP: %s to %s", resp.Status, resp.Header.Get("Location"))
	}
}

// TestUpgrade speaks WebSocket's handshake through nginx, and tries another upgrade.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	s := newStand(t, 0, nil)
	s.delivery = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Connection") != "upgrade" {
			_, _ = fmt.Fprintf(w, "upgrade %q, for %s by %s, %s", r.Header.Get("Upgrade"), r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"), r.Host)
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString("you said " + line)
		_ = rw.Flush()
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\r\n")
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 101 {
		t.Fatal(resp, err)
	}
	_, _ = io.WriteString(conn, "hello\n")
	if line, err := in.ReadString('\n'); line != "you said hello\n" {
		t.Errorf("%q %v", line, err)
	}
	_ = resp.Body.Close()
	a := s.do("GET", "/", "Upgrade: h2c", "Connection: Upgrade", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "Forwarded: for=1.2.3.4", "Host: y")
	if want := `upgrade "", for 127.0.0.1 by http, ` + strings.TrimPrefix(s.url, "http://"); string(a.body) != want {
		t.Errorf("%s, want %s", a.body, want)
	}
}

// TestNothingSecretIsLogged looks for what was in queries and share addresses.
func TestNothingSecretIsLogged(t *testing.T) {
	var access string
	s := newStand(t, 1, func(c *nginx.Config) {
		access = filepath.Join(c.Dir, "access.log")
		c.AccessLog = access
		c.TrackCacheTimeout = 50 * time.Millisecond
	})
	abort := func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }
	s.caches[0].trouble.Store(&abort)
	o := newObject(10, 1000)
	s.delivery = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/dies") {
			panic(http.ErrAbortHandler)
		}
		s.send(w, o, true)
	})
	for _, path := range []string{"/rest/stream?u=a&p=hunter2", "/share/hunter2/stream/1", "/music/share/hunter2", "/dies?p=hunter2", "/dies/share/hunter2"} {
		s.do("GET", path)
	}
	eventually(t, "the requests are logged", func() bool {
		pid, err := os.ReadFile(filepath.Join(s.dir, "nginx.pid"))
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(pid)))
		if err != nil {
			t.Fatal(err)
		}
		_ = syscall.Kill(n, syscall.SIGUSR1) // opens its logs anew, and so writes what is buffered
		b, err := os.ReadFile(access)
		return err == nil && bytes.Count(b, []byte("\n")) >= 5
	})
	b, err := os.ReadFile(access)
	if err != nil {
		t.Fatal(err)
	}
	for name, log := range map[string]string{"access log": string(b), "error log": s.log.String()} {
		for _, secret := range []string{"hunter2", "good." + o.id, nginx.Secret([]byte("key"))} {
			if strings.Contains(log, secret) {
				t.Errorf("the %s has %q:\n%s", name, secret, log)
			}
		}
	}
	if !strings.Contains(string(b), `"path":"/rest/stream"`) || !strings.Contains(s.log.String(), "prematurely closed") {
		t.Errorf("the logs are of no use:\n%s\n%s", b, s.log.String())
	}
}

// TestRunTwice starts a second nginx in the folder of the first, and one where a killed one has left its socket.
func TestRunTwice(t *testing.T) {
	t.Parallel()
	s := newStand(t, 1, nil)
	second, err := nginx.NewEdge(nginx.EdgeConfig{
		Config: nginx.Config{Listen: []string{freeAddress(t)}, Dir: s.dir, Secret: nginx.Secret([]byte("key"))}, Fleet: s.fleet,
		File: filepath.Join(t.TempDir(), "second.conf"), Clock: clock.System, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context()); !tutti.IsKind(err, tutti.KindUnavailable) || !strings.Contains(tutti.Message(err), "another nginx runs") {
		t.Errorf("a second nginx: %v", err)
	}
	dir := t.TempDir()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "fill.sock")})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	listen := freeAddress(t)
	third, err := nginx.NewEdge(nginx.EdgeConfig{
		Config: nginx.Config{Listen: []string{listen}, Dir: dir, Secret: nginx.Secret([]byte("key"))}, Fleet: s.fleet, Clock: clock.System, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- third.Run(ctx) }()
	eventually(t, "it runs all the same", func() bool {
		resp, err := http.Get("http://" + listen + "/healthz")
		return err == nil && resp.Body.Close() == nil && resp.StatusCode == 200
	})
	http.DefaultClient.CloseIdleConnections()
	// An nginx that ends of itself is noticed.
	pid, err := os.ReadFile(filepath.Join(dir, "nginx.pid"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(pid)))
	if err != nil {
		t.Fatal(err)
	}
	orphans := workers(t, dir)
	if err := syscall.Kill(n, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !tutti.IsKind(err, tutti.KindUnavailable) {
		t.Errorf("nginx was killed, and Run returns %v", err)
	}
	cancel()
	eventually(t, "the workers that it left are gone", func() bool {
		for _, pid := range orphans {
			if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && !bytes.Contains(b, []byte(") Z ")) {
				return false
			}
		}
		return true
	})
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		`request: "GET /rest/ping?u=a&p=b HTTP/1.1", upstream: "http://c/bytes/0?pass=x", host: "y"`: `request: "GET /rest/ping?... HTTP/1.1", upstream: "http://c/bytes/0?...", host: "y"`,
		`request: "GET /share/abc/x HTTP/1.1"`:                                                       `request: "GET /share/.../x HTTP/1.1"`,
		`nothing to hide`:                                                                            `nothing to hide`,
	} {
		if got := nginx.Redact(in); got != want {
			t.Errorf("%s\n got %s", in, got)
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("/rest/ping?u=a", "hunter2")
	f.Add("/share/", "x y")
	f.Fuzz(func(t *testing.T, path, secret string) {
		if secret = strings.Map(func(r rune) rune {
			if r == ' ' || r == '"' || r == '?' || r == '/' {
				return -1
			}
			return r
		}, secret); len(secret) < 4 || strings.Contains(path, secret) {
			return
		}
		line := nginx.Redact(`request: "GET ` + path + `?p=` + secret + ` HTTP/1.1"`)
		if strings.Contains(line, secret) {
			t.Errorf("%q tells %q", line, secret)
		}
	})
}

// TestFrozenDelivery has one of two deliveries freeze: it takes connections, as the kernel does for a process that is
// stopped, and says nothing. What is asked is asked of the other one, long before anybody gives up. What legitimately takes
// long is waited for: a write, which nobody else may be told, a listener's events, and a length that has to be guessed.
func TestFrozenDelivery(t *testing.T) {
	t.Parallel()
	s := newStand(t, 0, func(c *nginx.Config) { c.BasePath, c.Events = "/music", []string{"/events"} })
	const longer = 7 * time.Second // than a question may take
	timer := func(r *http.Request) bool {
		select {
		case <-r.Context().Done():
			return false
		case <-time.After(longer):
			return true
		}
	}
	var told atomic.Int64
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/music/events":
			_, _ = io.WriteString(w, "first,")
			_ = http.NewResponseController(w).Flush()
			if timer(r) {
				_, _ = io.WriteString(w, "second")
			}
		case r.Method == http.MethodPost:
			told.Add(1)
			body, err := io.ReadAll(r.Body)
			if err == nil && timer(r) {
				_, _ = fmt.Fprintf(w, "told %s", body)
			}
		case r.URL.Query().Get("estimateContentLength") == "true":
			if timer(r) {
				_, _ = io.WriteString(w, "converted")
			}
		default:
			_, _ = io.WriteString(w, "ok")
		}
	}))
	t.Cleanup(good.Close)
	s.fleet.set(tutti.ServiceDelivery, good.Listener.Addr().String())
	eventually(t, "nginx knows the good one", func() bool { return string(s.do("GET", "/").body) == "ok" })
	var work sync.WaitGroup
	for _, test := range []struct{ method, path, body, want string }{
		{"GET", "/music/events", "", "first,second"},
		{"POST", "/rest/scrobble", "id=1", "told id=1"},
		{"GET", "/rest/stream?id=1&estimateContentLength=true&format=opus", "", "converted"},
	} {
		work.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), test.method, s.url+test.path, strings.NewReader(test.body))
			if err != nil {
				t.Error(err)
				return
			}
			resp, err := s.client.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = resp.Body.Close() }()
			if b, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 || string(b) != test.want {
				t.Errorf("%s %s: %s %q %v", test.method, test.path, resp.Status, b, err)
			}
		})
	}
	work.Wait()
	if n := told.Load(); n != 1 {
		t.Errorf("a write was told %d times", n)
	}

	frozen, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = frozen.Close() })
	s.fleet.set(tutti.ServiceDelivery, good.Listener.Addr().String(), frozen.Addr().String())
	began := time.Now()
	eventually(t, "the frozen one is asked", func() bool {
		var questions sync.WaitGroup
		for range 12 {
			questions.Go(func() {
				if a := s.do("GET", "/rest/ping"); a.StatusCode != 200 || string(a.body) != "ok" {
					t.Errorf("with one of two frozen: %s %q", a.Status, a.body)
				}
			})
		}
		questions.Wait()
		if err := frozen.SetDeadline(time.Now().Add(time.Millisecond)); err != nil {
			t.Error(err)
		}
		c, err := frozen.Accept()
		return err == nil && c.Close() == nil
	})
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestKeyRotation changes the fleet's key as the guide says, under requests: delivery knows nginx at every moment, also when
// the old key is gone.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	s := newStand(t, 0, nil)
	var said atomic.Value
	s.delivery = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { said.Store(r.Header.Get(nginx.Header)) })
	before, after := nginx.Secret([]byte("key")), nginx.Secret([]byte("new key"))
	for _, keys := range [][]string{{before}, {before, after}, {after, before}, {after}} {
		s.secrets.Store(&keys) // s looks that each request comes with one of them
		eventually(t, "nginx sends what the first key says", func() bool {
			a := s.do("GET", "/rest/ping")
			return a.StatusCode == 200 && said.Load() == keys[0]
		})
	}
}

// TestTriesAgain has what nginx needs go missing while the members change, and come back: nginx follows without another
// change.
func TestTriesAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certificate, key := selfSigned(t, dir)
	s := newStand(t, 0, func(c *nginx.Config) { c.TLSCert, c.TLSKey = certificate, key })
	if err := os.Rename(certificate, certificate+".away"); err != nil { // as while it is renewed
		t.Fatal(err)
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "other") }))
	t.Cleanup(other.Close)
	s.fleet.set(tutti.ServiceDelivery, other.Listener.Addr().String())
	const refused = "nginx does not follow the fleet"
	eventually(t, "it is refused", func() bool { return strings.Contains(s.log.String(), refused) })
	if err := os.Rename(certificate+".away", certificate); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other one answers", func() bool { return string(s.do("GET", "/").body) == "other" })
	if n := strings.Count(s.log.String(), refused); n != 1 {
		t.Errorf("one trouble is logged %d times", n)
	}
}

// TestReloadsLater has members change before anybody has started nginx: it is given what is in the file once it runs.
func TestReloadsLater(t *testing.T) {
	t.Parallel()
	s := newStand(t, 0, nil)
	var log buffer
	dir := t.TempDir()
	members := &fleet{members: map[tutti.Service][]tutti.Member{}, changed: make(chan struct{})}
	edge, err := nginx.NewEdge(nginx.EdgeConfig{
		Config: nginx.Config{Listen: []string{freeAddress(t)}, Dir: dir, Secret: nginx.Secret([]byte("key"))}, Fleet: members,
		Clock: clock.System, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- edge.Follow(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	eventually(t, "it is written", func() bool { return strings.Contains(log.String(), "no nginx to reload") })
	// The process that it is to tell is another stand's, whose workers change when it is told.
	old := workers(t, s.dir)
	pid, err := os.ReadFile(filepath.Join(s.dir, "nginx.pid"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "nginx.pid"), pid, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nginx is told", func() bool {
		return strings.Contains(log.String(), "nginx follows the fleet") && fmt.Sprint(workers(t, s.dir)) != fmt.Sprint(old)
	})
}

// TestToldOnce has a delivery process die after it has done what an app told it by GET and before it has said so: it is not
// told again. Where one cannot be reached, another one is told.
func TestToldOnce(t *testing.T) {
	t.Parallel()
	s := newStand(t, 0, func(c *nginx.Config) { c.BasePath, c.Writes = "/music", []string{"createPlaylist", "star"} })
	var heard atomic.Int64
	var dying atomic.Bool
	var deliveries []string
	for range 2 {
		a := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			heard.Add(1)
			if dying.Load() {
				panic(http.ErrAbortHandler)
			}
			if !nginx.Behind(r, *s.secrets.Load()...) {
				t.Errorf("%s did not come through nginx", r.URL)
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			_, _ = fmt.Fprintf(w, "%s %s for %s, %s%s", r.Method, r.RequestURI, r.Header.Get("X-Forwarded-For"), body, r.Header.Get("X-Tutti-Method"))
		}))
		t.Cleanup(a.Close)
		deliveries = append(deliveries, a.Listener.Addr().String())
	}
	gone := freeAddress(t)
	s.fleet.set(tutti.ServiceDelivery, append(deliveries, gone)...)
	eventually(t, "nginx knows them", func() bool { return strings.HasPrefix(string(s.do("GET", "/").body), "GET / for") })

	for range 12 { // some meet the one that is gone
		if a := s.do("GET", "/rest/star?id=1%2F2"); a.StatusCode != 200 || string(a.body) != "GET /rest/star?id=1%2F2 for 127.0.0.1, " {
			t.Fatalf("%s %q", a.Status, a.body)
		}
	}
	resp, err := s.client.Post(s.url+"/music/rest/star.view", "application/x-www-form-urlencoded", strings.NewReader("id=3"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if want := "POST /music/rest/star.view for 127.0.0.1, id=3"; err != nil || string(body) != want {
		t.Errorf("%s %q %v, want %s", resp.Status, body, err, want)
	}
	dying.Store(true)
	for _, path := range []string{"/rest/createPlaylist?name=x", "/music/rest/createPlaylist.view", "/rest/old/star/"} {
		eventually(t, "one of them is believed and told", func() bool {
			heard.Store(0)
			a := s.do("GET", path)
			n := heard.Load()
			if a.StatusCode != 503 || a.Header.Get("Retry-After") == "" || !bytes.Contains(a.body, []byte("unavailable")) || n > 1 {
				t.Errorf("%s: %s %s, done %d times", path, a.Status, a.body, n)
			}
			return n == 1
		})
	}
}

// TestNothingSecretWithoutRun starts nginx by hand with what was written, as a service manager may. There is nobody to take
// secrets out of what it says.
func TestNothingSecretWithoutRun(t *testing.T) {
	t.Parallel()
	dies := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(dies.Close)
	members := &fleet{members: map[tutti.Service][]tutti.Member{}, changed: make(chan struct{})}
	members.set(tutti.ServiceDelivery, dies.Listener.Addr().String())
	dir, listen := t.TempDir(), freeAddress(t)
	edge, err := nginx.NewEdge(nginx.EdgeConfig{
		Config: nginx.Config{Listen: []string{listen}, Dir: dir, Secret: nginx.Secret([]byte("key"))}, Fleet: members,
		Clock: clock.System, Logger: slog.New(slog.DiscardHandler),
	})
	if tutti.IsKind(err, tutti.KindUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := edge.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx"
	}
	var said buffer
	cmd := exec.Command(program, "-p", dir, "-e", "stderr", "-c", edge.File(), "-g", "daemon off;")
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	asked := false
	eventually(t, "nginx answers", func() bool {
		resp, err := http.Get("http://" + listen + "/rest/ping?p=hunter2")
		if err != nil {
			return false
		}
		asked = resp.StatusCode == 503
		return resp.Body.Close() == nil
	})
	http.DefaultClient.CloseIdleConnections()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !asked {
		t.Errorf("nginx: %v; its delivery process was asked: %v", err, asked)
	}
	log, err := os.ReadFile(filepath.Join(dir, "error.log"))
	if err != nil {
		t.Error(err)
	}
	if text := said.String() + string(log); strings.Contains(text, "hunter2") {
		t.Errorf("nginx tells the password:\n%s", text)
	}
}

// TestBalancer has something stand in front of nginx, and somebody pretend to.
func TestBalancer(t *testing.T) {
	t.Parallel()
	for trusted, want := range map[string]string{"127.0.0.0/8": "1.2.3.4 by https", "10.0.0.0/8": "127.0.0.1 by http"} {
		s := newStand(t, 0, func(c *nginx.Config) { c.TrustedProxies = []string{trusted} })
		s.delivery = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, "%s by %s", r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"))
		})
		if a := s.do("GET", "/", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https"); string(a.body) != want {
			t.Errorf("%s is trusted: %s, want %s", trusted, a.body, want)
		}
	}
}

// TestManyMembers has nginx look at the configuration of fleets that are larger than any will be.
func TestManyMembers(t *testing.T) {
	t.Parallel()
	members := &fleet{members: map[tutti.Service][]tutti.Member{}, changed: make(chan struct{})}
	var addresses []string
	for i := range 1000 {
		addresses = append(addresses, fmt.Sprintf("[fd00:1111:2222:3333:4444:5555:6666:%x]:%d", 0x1000+i, 10000+i))
	}
	members.set(tutti.ServiceDelivery, addresses...)
	members.set(tutti.ServiceTrackCache, addresses...)
	edge, err := nginx.NewEdge(nginx.EdgeConfig{
		Config: nginx.Config{Listen: []string{freeAddress(t)}, Dir: t.TempDir(), Secret: nginx.Secret([]byte("key"))}, Fleet: members,
		Clock: clock.System, Logger: slog.New(slog.DiscardHandler),
	})
	if tutti.IsKind(err, tutti.KindUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := edge.Write(t.Context()); err != nil || !changed {
		t.Error(changed, err)
	}
}

// TestOldWorkersEnd reloads nginx under a page that is open, and so has an event stream: the workers of before are not kept
// by it for ever.
func TestOldWorkersEnd(t *testing.T) {
	t.Parallel()
	const linger = time.Second
	s := newStand(t, 0, func(c *nginx.Config) { c.Linger, c.Events = linger, []string{"/events"} })
	events := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}))
	t.Cleanup(events.Close)
	s.fleet.set(tutti.ServiceDelivery, events.Listener.Addr().String())
	eventually(t, "the first reload", func() bool { return s.do("GET", "/").StatusCode == 200 })
	resp, err := s.client.Get(s.url + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	old := workers(t, s.dir)
	began := time.Now()
	s.fleet.set(tutti.ServiceDelivery, events.Listener.Addr().String(), freeAddress(t))
	if _, err := io.Copy(io.Discard, resp.Body); err == nil && time.Since(began) < linger {
		t.Errorf("a reload ended the events after %s", time.Since(began))
	}
	eventually(t, "the workers of before have ended", func() bool {
		for _, pid := range workers(t, s.dir) {
			if slices.Contains(old, pid) {
				return false
			}
		}
		return true
	})
}
