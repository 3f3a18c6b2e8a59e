package fleet

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// isolated runs the test that calls it again, in namespaces of its own, and reports whether this is that run.
func isolated(t *testing.T) bool {
	t.Helper()
	if Isolated() {
		return true
	}
	program(t)
	args := []string{"-test.run=^" + t.Name() + "$", "-test.count=1", "-test.timeout=20m"}
	if testing.Verbose() {
		args = append(args, "-test.v")
	}
	if err := Isolate(args...); err != nil {
		t.Fatalf("%v (root, or a kernel that lets everybody have user namespaces, is needed for a partition and a full disk)", err)
	}
	return false
}

// TestNamespaces: a process in a namespace is reached, is not while it is cut off, is again afterwards, also after a
// kill; and its disk can be filled.
func TestNamespaces(t *testing.T) {
	if !isolated(t) {
		return
	}
	ctx, dir := t.Context(), t.TempDir()
	n, err := newNetwork(ctx)
	must(t, err)
	t.Cleanup(func() { must(t, n.close(context.Background())) })
	p := &Process{Name: "alone", Log: filepath.Join(dir, "log"), Data: filepath.Join(dir, "data"), net: n.link()}
	p.Address = net.JoinHostPort(p.net.addr.String(), "4533")
	must(t, os.Mkdir(p.Data, 0o700))
	f := &Fleet{config: Config{Isolated: true}}
	must(t, f.smallDisk(p.Data, 32<<20))
	t.Cleanup(func() { must(t, f.Stop(context.Background())) })
	at := "http://" + p.Address + "/healthz"
	p.spec = command{
		path: program(t), args: []string{"serve", "--listen", p.Address, "--data", p.Data},
		env:   os.Environ(),
		ready: func(ctx context.Context, _ *Process) error { return reachable(ctx, http.DefaultClient, at) },
	}
	must(t, p.Start(ctx))
	t.Cleanup(func() { must(t, p.Terminate(context.Background())) })
	for range 2 {
		must(t, f.Cut(ctx, p, true))
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		if err := reachable(short, http.DefaultClient, at); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a process that is cut off: %v", err)
		}
		cancel()
		must(t, f.Cut(ctx, p, false))
		healed := time.Now()
		must(t, until(ctx, func() (bool, error) { return reachable(ctx, http.DefaultClient, at) == nil, nil }))
		if took := time.Since(healed); took > 3*time.Second {
			t.Errorf("reached again after %v", took)
		}
		must(t, p.Kill())
		must(t, p.Start(ctx))
	}
	free, err := FillDisk(p)
	must(t, err)
	if err := os.WriteFile(filepath.Join(p.Data, "more"), make([]byte, 4096), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a write to a full disk: %v", err)
	}
	must(t, free())
	must(t, os.WriteFile(filepath.Join(p.Data, "more"), make([]byte, 4096), 0o600))
}
