// Package e2e drives the real binary with real clients: players, client libraries, browsers, a kill -9. `make e2e`
// builds the binary and runs it; a plain `go test ./...` skips what is here.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tutti/e2e/fleet"
)

const (
	adminName     = "admin"
	adminPassword = "correct horse battery"

	// patience is how long anything may take before the test gives up; it is no measure of speed.
	patience = 2 * time.Minute
)

// binary returns the path of the program under test, or skips.
func binary(t *testing.T) string {
	t.Helper()
	bin := os.Getenv("TUTTI_BIN")
	if bin == "" {
		t.Skip("TUTTI_BIN names no binary; run make e2e")
	}
	return bin
}

// need skips nothing: a client that the tests are made for must be there.
func need(t *testing.T, command string) string {
	t.Helper()
	path, err := exec.LookPath(command)
	if err != nil {
		t.Fatalf("%s is not installed; make e2e installs it", command)
	}
	return path
}

// beside runs a program until the test ends, and shows what it said where the test fails.
func beside(t *testing.T, program string, args ...string) {
	t.Helper()
	log := &safeBuffer{}
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // it was told to end
		if t.Failed() {
			t.Log(log.String())
		}
	})
}

// server is a running `tutti serve`.
type server struct {
	t    *testing.T
	URL  string
	Data string
	cmd  *exec.Cmd
	log  *safeBuffer
	done chan struct{} // closed when the process has ended
	err  error         // how, valid after done
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start runs a server on a free port over the music folders and waits until it answers. It is stopped when the test
// ends. data "" is a fresh folder.
func start(t *testing.T, data string, music []string, extra ...string) *server {
	t.Helper()
	if data == "" {
		data = filepath.Join(t.TempDir(), "data")
	}
	args := []string{"serve", "--listen", "127.0.0.1:0", "--data", data, "--log-format", "json"}
	for _, m := range music {
		args = append(args, "--music", m)
	}
	s := &server{t: t, Data: data, log: &safeBuffer{}, done: make(chan struct{})}
	s.cmd = exec.Command(binary(t), append(args, extra...)...)
	// Nothing is listened to unless a test says so: ffmpeg would be in the way of what is timed.
	s.cmd.Env = append(os.Environ(), "TUTTI_ANALYSE_ENABLED=false", "TUTTI_ADMIN_USER="+adminName, "TUTTI_ADMIN_PASSWORD="+adminPassword)
	s.cmd.Stderr = s.log
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if rest, ok := strings.CutPrefix(lines.Text(), "tutti ready at "); ok {
				ready <- strings.TrimSpace(rest)
			}
		}
		s.err = s.cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(s.stop)
	select {
	case s.URL = <-ready:
	case <-s.done:
		t.Fatalf("the server ended at once: %v\n%s", s.err, s.log)
	case <-time.After(patience):
		t.Fatalf("the server did not become ready\n%s", s.log)
	}
	return s
}

// stop ends the server politely and checks that it went without a complaint.
func (s *server) stop() {
	select {
	case <-s.done:
		return
	default:
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Errorf("stop the server: %v", err)
	}
	select {
	case <-s.done:
		if s.err != nil {
			s.t.Errorf("the server ended with %v\n%s", s.err, s.log)
		}
	case <-time.After(patience):
		s.t.Errorf("the server did not stop\n%s", s.log)
		s.kill()
	}
}

// kill ends the server as a power cut would end its process.
func (s *server) kill() {
	if err := s.cmd.Process.Kill(); err != nil {
		s.t.Errorf("kill the server: %v", err)
	}
	<-s.done
}

// rest is the address of an OpenSubsonic endpoint with the admin's credentials.
func (s *server) rest(endpoint string, params url.Values) string {
	v := url.Values{"u": {adminName}, "p": {adminPassword}, "v": {"1.16.1"}, "c": {"e2e"}, "f": {"json"}}
	for k, vs := range params {
		v[k] = vs
	}
	return s.URL + "/rest/" + endpoint + "?" + v.Encode()
}

// call makes an OpenSubsonic request and decodes the named part of its answer into out (nil to ignore it).
func (s *server) call(endpoint string, params url.Values, part string, out any) {
	s.t.Helper()
	if err := s.tryCall(endpoint, params, part, out); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) tryCall(endpoint string, params url.Values, part string, out any) error {
	c := fleet.Client{URL: s.URL, User: adminName, Password: adminPassword}
	return c.Call(context.WithoutCancel(s.t.Context()), endpoint, params, part, out)
}

func (s *server) get(address string) ([]byte, error) {
	resp, err := http.Get(address)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 400 {
		return nil, fmt.Errorf("%s: %s: %.300s", resp.Request.URL.Path, resp.Status, body)
	}
	return body, nil
}

// waitFor polls a condition that only the outside can see, until it holds.
func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

// scanned waits until the scan that runs at start has ended, and returns how many tracks there are.
func (s *server) scanned() int {
	s.t.Helper()
	var status struct {
		Scanning bool   `json:"scanning"`
		Count    int    `json:"count"`
		LastScan string `json:"lastScan"`
	}
	waitFor(s.t, "the first scan", func() bool {
		s.call("getScanStatus", nil, "scanStatus", &status)
		return !status.Scanning && (status.LastScan != "" || status.Count > 0)
	})
	return status.Count
}

// song is what the tests look at of a Subsonic song.
type song struct {
	ID          string `json:"id"`
	Title       string `json:"title"`
	Album       string `json:"album"`
	Artist      string `json:"artist"`
	Path        string `json:"path"`
	Size        int64  `json:"size"`
	Suffix      string `json:"suffix"`
	ContentType string `json:"contentType"`
	Duration    int    `json:"duration"`
	PlayCount   int    `json:"playCount"`
	Starred     string `json:"starred"`
}

// songs lists the whole library.
func (s *server) songs() []song {
	s.t.Helper()
	var all []song
	for {
		var page struct {
			Song []song `json:"song"`
		}
		s.call("search3", url.Values{
			"query": {""}, "songCount": {"500"}, "songOffset": {fmt.Sprint(len(all))},
			"albumCount": {"0"}, "artistCount": {"0"},
		}, "searchResult3", &page)
		if len(page.Song) == 0 {
			return all
		}
		all = append(all, page.Song...)
	}
}
