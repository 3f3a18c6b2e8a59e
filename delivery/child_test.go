package delivery

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tutti"
	"tutti/clock"
)

// childEnv, when set, has the test binary be a server of the file that it names, so that a test can look at it from
// outside: at its system calls, at its memory.
const childEnv = "TUTTI_DELIVERY_CHILD"

// child serves until its standard input ends. It prints its address.
func child() int {
	file := os.Getenv(childEnv)
	info, err := os.Stat(file)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	lib := &library{dir: filepath.Dir(file), tracks: map[tutti.ID]*item{
		"tr-1": {track: tutti.Track{ID: "tr-1", Library: "1", Path: filepath.Base(file), Size: info.Size(), Version: "v", ContentType: "audio/flac"}},
	}}
	reg := prometheus.NewRegistry()
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	metrics := NewMetrics(reg)
	streamer := NewStreamer(StreamerConfig{Catalog: lib, Cache: lib, Clock: clock.System, Logger: logger, Metrics: metrics})
	s, err := NewServer(ServerConfig{
		Listen: []string{"127.0.0.1:0"}, Clock: clock.System, Logger: logger, Metrics: metrics, Registry: reg, Grace: -1,
		Admin: func(*http.Request) bool { return true },
		Mounts: []Mount{{Path: "/audio/", Name: "audio", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := streamer.ServeTrack(w, r, tutti.PlanRequest{Track: "tr-1"}, Options{}); err != nil {
				WriteError(w, err)
			}
		})}},
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := s.Listen(ctx); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(s.URLs()[0])
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the parent
		cancel()
	}()
	if err := s.Run(ctx); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// startChild runs the test binary as a server of file, behind the command line prefix. stop ends it.
func startChild(t testing.TB, file string, prefix ...string) (url string, pid int, stop func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append(prefix, self)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), childEnv+"="+file)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(5*time.Minute, func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "http://") {
		t.Fatalf("the child said %q, %v", line, err)
	}
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the child: %v", err)
		}
		kill.Stop()
	}
	t.Cleanup(stop)
	return strings.TrimSpace(line), cmd.Process.Pid, stop
}
