package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestCluster runs `make cluster`'s program as a person does: with a folder of music, which it must leave alone; killing a
// part, which comes back; ^C, which leaves nothing behind; and once more on the same data, where what was starred still is.
func TestCluster(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	music := filepath.Join(dir, "music")
	_, err := Music{Album: "Mine", Tracks: 2, Bytes: 1 << 20}.Write(music)
	must(t, err)
	must(t, os.Chmod(filepath.Join(music, "Mine"), 0o555))
	t.Cleanup(func() { must(t, os.Chmod(filepath.Join(music, "Mine"), 0o755)) })
	bin, program := program(t), filepath.Join(dir, "cluster")
	if b, err := exec.Command("go", "build", "-o", program, "./cluster").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	starred := ""
	for run := range 2 {
		c := startCluster(t, program, "-bin", bin, "-music", music, "-port", "0", "-data", filepath.Join(dir, "data"))
		must(t, c.client.Scanned(ctx, 2))
		tracks, err := c.client.Tracks(ctx, music, "Mine")
		must(t, err)
		for _, a := range Try(ctx, c.client, tracks) {
			if a.Err != nil {
				t.Errorf("run %d: %+v", run, a)
			}
		}
		if run == 0 {
			starred = tracks[0].ID
			must(t, c.client.Call(ctx, "star", map[string][]string{"id": {starred}}, "", nil))
		} else if tracks[0].ID == starred && tracks[0].Starred == "" {
			t.Error("what was starred in the first run no longer is in the second")
		}
		entries := c.table(t)
		for _, role := range []string{RoleNginx, RoleDelivery, RoleCatalog, RoleTrackCache, RoleDynamoDB, RoleS3} {
			if len(pids(entries, role)) == 0 {
				t.Errorf("cluster.json has no %s", role)
			}
		}
		if run == 0 {
			for _, role := range []string{RoleTrackCache, RoleNginx, RoleS3, RoleDynamoDB} {
				killed := pids(entries, role)[0]
				must(t, syscall.Kill(killed, syscall.SIGKILL))
				must(t, until(ctx, func() (bool, error) {
					now := pids(c.table(t), role)
					return len(now) > 0 && now[0] != killed && now[0] != 0, nil
				}))
			}
			must(t, until(ctx, func() (bool, error) {
				return c.client.Call(ctx, "unstar", map[string][]string{"id": {tracks[1].ID}}, "", nil) == nil, nil
			}))
		}
		c.interrupt(t)
		for _, e := range append(entries, c.table(t)...) {
			if b, err := os.ReadFile("/proc/" + strconv.Itoa(e.PID) + "/cmdline"); err == nil && len(b) > 0 {
				t.Errorf("after ^C, %s still runs as %d: %s", e.Role, e.PID, b)
			}
		}
	}
	var names []string
	must(t, filepath.WalkDir(music, func(p string, _ os.DirEntry, err error) error { names = append(names, p); return err }))
	if len(names) != 4 {
		t.Errorf("the music folder has %v", names)
	}
}

type runningCluster struct {
	cmd    *exec.Cmd
	data   string
	client *Client
	ended  chan error
}

func startCluster(t *testing.T, program string, args ...string) *runningCluster {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Env = append(os.Environ(), "TUTTI_ADMIN_PASSWORD=", "TUTTI_ADMIN_USER=")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	c := &runningCluster{cmd: cmd, data: args[len(args)-1], client: &Client{}, ended: make(chan error, 1)}
	lines := bufio.NewScanner(out)
	for c.client.Password == "" && lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "tutti cluster ready at "); ok {
			c.client.URL = url
		}
		if rest, ok := strings.CutPrefix(lines.Text(), "sign in as "); ok {
			c.client.User, c.client.Password, _ = strings.Cut(rest, " with the password ")
		}
	}
	go func() {
		for lines.Scan() { // the rest is for people
		}
		c.ended <- cmd.Wait()
	}()
	if c.client.URL == "" || c.client.Password == "" {
		t.Fatalf("it ended before it was ready: %v", <-c.ended)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // it has ended where all went well
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return c
}

func (c *runningCluster) table(t *testing.T) []Entry {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(c.data, "cluster.json"))
	must(t, err)
	var entries []Entry
	must(t, json.Unmarshal(b, &entries))
	return entries
}

func pids(entries []Entry, role string) []int {
	var out []int
	for _, e := range entries {
		if e.Role == role {
			out = append(out, e.PID)
		}
	}
	return out
}

// interrupt is ^C in a terminal: the signal goes to the whole group.
func (c *runningCluster) interrupt(t *testing.T) {
	t.Helper()
	must(t, syscall.Kill(-c.cmd.Process.Pid, syscall.SIGINT))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case err := <-c.ended:
		must(t, err)
	case <-ctx.Done():
		t.Fatal("it does not end")
	}
}
