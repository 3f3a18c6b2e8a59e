package members

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tutti"
)

// TestRingLikeNginx puts a real nginx in front of servers that say who they are, and asks it for slices of objects as a
// listener's request would. Whoever answers must be who Owners names; and where the first choice is dead, the second.
func TestRingLikeNginx(t *testing.T) {
	program, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("nginx is not installed")
	}
	const servers, keys = 7, 2000
	var dead atomic.Int32 // index of the server that refuses; -1: none
	dead.Store(-1)
	var addresses []string
	for i := range servers {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		addresses = append(addresses, address)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if int(dead.Load()) == i {
				panic(http.ErrAbortHandler) // as a process that dies: nginx sees the connection close
			}
			first, last := int64(0), int64(0)
			if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last); err != nil {
				t.Errorf("Range %q: %v", r.Header.Get("Range"), err)
			}
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, first, first+1)) // the object's last byte
			w.Header().Set("X-Server", address)
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write([]byte("x"))
		}), ReadHeaderTimeout: time.Minute}
		go func() { _ = server.Serve(l) }()
		t.Cleanup(func() { _ = server.Close() })
	}
	client := ringNginx(t, program, addresses)
	ring := NewRing(addresses)
	random := rand.New(rand.NewPCG(5, 22))
	ask := func(c tutti.ChunkID) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://nginx/"+c.Object, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", c.N*tutti.ChunkSize))
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusPartialContent {
			t.Fatalf("%v: %s, %v", c, resp.Status, err)
		}
		return resp.Header.Get("X-Server")
	}
	for _, down := range []int32{-1, 0, 3} {
		dead.Store(down)
		second := 0
		for range keys / 2 {
			c := tutti.ChunkID{Object: tutti.Ref{Version: tutti.Version(fmt.Sprint(random.Uint64()))}.ID(), N: random.Int64N(5000)}
			owners := ring.Owners(SliceKey(c), tutti.Replicas)
			want := owners[0]
			if down >= 0 && want == addresses[down] {
				want, second = owners[1], second+1
			}
			if got := ask(c); got != want {
				t.Fatalf("%v with server %d down: nginx asked %s, we say %v", c, down, got, owners)
			}
		}
		if down >= 0 && second < keys/2/servers/4 {
			t.Fatalf("only %d of %d keys met the server that is down: nothing was shown", second, keys/2)
		}
	}
}

func ringNginx(t *testing.T, program string, addresses []string) *http.Client {
	t.Helper()
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	config := fmt.Sprintf(`daemon off; master_process off; %[4]s pid %[1]s/pid; error_log %[1]s/error;
events {}
http {
	access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/c;
	upstream c { hash $object$slice_range consistent; server %[3]s max_fails=0; }
	server { listen unix:%[2]s; location ~ ^/(?<object>.*)$ { slice 1m; proxy_set_header Range $slice_range; proxy_pass http://c; } }
}`, dir, socket, strings.Join(addresses, " max_fails=0; server "), user)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-p", dir, "-c", file, "-e", filepath.Join(dir, "error"))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	for deadline := time.Now().Add(10 * time.Second); ; {
		c, err := net.Dial("unix", socket)
		if err == nil {
			_ = c.Close()
			return client
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("nginx: %v: %s", err, said.String())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("nginx does not listen")
		}
	}
}
