package e2e

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestStrawberry lets the desktop player Strawberry fetch the library over Subsonic and play from it, in a window on a
// virtual screen, by clicking as a person would.
func TestStrawberry(t *testing.T) {
	strawberry, xdotool := need(t, "strawberry"), need(t, "xdotool")
	s := start(t, "", []string{wesnoth(t)})
	tracks := s.scanned()
	display := screen(t)

	home := t.TempDir()
	config := filepath.Join(home, ".config", "strawberry")
	runtime := filepath.Join(home, "run")
	for _, dir := range []string{config, runtime} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	settings := fmt.Sprintf(`[Subsonic]
enabled=true
url=%s
username=%s
password=@ByteArray(%s)
authmethod=1
downloadalbumcovers=true

[Backend]
output=fakesink

[CoverProviders]
providers=@Invalid()
`, s.URL, adminName, base64.StdEncoding.EncodeToString([]byte(adminPassword)))
	if err := os.WriteFile(filepath.Join(config, "strawberry.conf"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &safeBuffer{}
	cmd := exec.Command(need(t, "dbus-run-session"), "--", strawberry, "--verbose")
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home+"/.config", "XDG_DATA_HOME="+home+"/.local/share",
		"XDG_CACHE_HOME="+home+"/.cache", "XDG_RUNTIME_DIR="+runtime, "DISPLAY="+display, "QT_QPA_PLATFORM=xcb")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopGroup(t, cmd) })

	do := func(args ...string) {
		t.Helper()
		c := exec.Command(xdotool, args...)
		c.Env = append(os.Environ(), "DISPLAY="+display)
		if b, err := c.CombinedOutput(); err != nil {
			t.Logf("xdotool %s: %v %s", strings.Join(args, " "), err, b)
		}
	}
	// A click may come before the window is ready for it, so each is repeated until the program's log shows its effect.
	until := func(what string, done func() bool, act func()) {
		t.Helper()
		next := time.Now()
		waitFor(t, what+"; the log ends with\n"+tail(log), func() bool {
			if done() {
				return true
			}
			if time.Now().After(next) {
				act()
				next = time.Now().Add(3 * time.Second)
			}
			return false
		})
	}
	database := filepath.Join(home, ".local/share/strawberry/strawberry/strawberry.db")
	songs := func() int {
		b, err := exec.Command(need(t, "sqlite3"), "-readonly", database, "select count(*) from subsonic_songs").Output()
		if err != nil {
			return 0 // not made yet
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	until("Strawberry to fetch the library", func() bool { return songs() == tracks }, func() {
		do("mousemove", "40", "612", "click", "1")  // the tab "Subsonic"
		do("mousemove", "165", "300", "click", "1") // "click here to retrieve music"
	})
	played := regexp.MustCompile(`Got stream info for "` + regexp.QuoteMeta(s.URL) + `/rest/stream`)
	until("Strawberry to play", func() bool { return played.MatchString(log.String()) }, func() {
		do("mousemove", "165", "110", "click", "--repeat", "2", "--delay", "80", "1") // an artist, into the playlist
		do("mousemove", "500", "85", "click", "--repeat", "2", "--delay", "80", "1")  // the first row
	})
}

// screen starts a virtual screen and returns its name.
func screen(t *testing.T) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(need(t, "Xvfb"), "-displayfd", "3", "-screen", "0", "1280x800x24", "-nolisten", "tcp")
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() { stopGroup(t, cmd) })
	number, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("the virtual screen did not start: %v", err)
	}
	return ":" + strings.TrimSpace(number)
}

// stopGroup ends a program with what it started.
func stopGroup(t *testing.T, cmd *exec.Cmd) {
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM); err != nil {
		t.Logf("stop %s: %v", cmd.Path, err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it was told to end; how it says goodbye does not matter
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
			t.Logf("kill %s: %v", cmd.Path, err)
		}
		<-done
	}
}

func tail(b *safeBuffer) string {
	s := b.String()
	return s[max(0, len(s)-2000):]
}
