package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// tutti runs the program with arguments and returns what it printed.
func tutti(t *testing.T, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.Command(binary(t), args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// TestBackupWhileServing backs a server up under writes and restores it elsewhere: every star that was acknowledged
// before the backup began is in it, and the people can sign in.
func TestBackupWhileServing(t *testing.T) {
	music := []string{wesnoth(t)}
	s := start(t, "", music)
	s.scanned()
	songs := s.songs()
	for _, song := range songs[:10] {
		s.call("star", url.Values{"id": {song.ID}}, "", nil)
	}
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 10; ; i++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := s.tryCall("star", url.Values{"id": {songs[10+i%(len(songs)-10)].ID}}, "", nil); err != nil {
				stopped <- err
				return
			}
		}
	}()
	archive := filepath.Join(t.TempDir(), "b.tar.zst")
	out, errs, err := tutti(t, "", "backup", archive, "--data", s.Data)
	close(stop)
	if werr := <-stopped; werr != nil {
		t.Errorf("a write failed while the backup ran: %v", werr)
	}
	if err != nil {
		t.Fatalf("backup: %v\n%s%s", err, out, errs)
	}
	if info, err := os.Stat(archive); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup has secrets in it and mode %v (%v)", info.Mode(), err)
	}
	if _, _, err := tutti(t, "", "restore", archive, "--data", s.Data); err == nil {
		t.Error("a restore into the data folder of a running server was not refused")
	}

	elsewhere := filepath.Join(t.TempDir(), "restored")
	if out, errs, err := tutti(t, "", "restore", archive, "--data", elsewhere); err != nil {
		t.Fatalf("restore: %v\n%s%s", err, out, errs)
	}
	r := start(t, elsewhere, music)
	starred := map[string]bool{}
	for _, song := range r.songs() {
		starred[song.ID] = song.Starred != ""
	}
	for _, song := range songs[:10] {
		if !starred[song.ID] {
			t.Errorf("the star of %s is not in the backup", song.Title)
		}
	}
}

// TestCommandLine walks through the commands as an operator would.
func TestCommandLine(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	for _, c := range []struct {
		stdin string
		args  []string
		want  string // in what is printed; "!" before it: the command fails and says it
	}{
		{"", []string{"version"}, "tutti "},
		{"", []string{"man"}, ".TH TUTTI 1"},
		{"", []string{"completion", "bash"}, "tutti completion"},
		{"", []string{"config"}, "listen: [127.0.0.1:4533]"},
		{"", []string{"serve", "--role", "broker"}, `!--role must be one of "all","delivery","catalog","trackcache" but got "broker"`},
		{"", []string{"frobnicate"}, "!frobnicate"},
		{"", []string{"scan"}, "!--music DIR"},
		{"", []string{"scan", "--music", wesnoth(t)}, "41 tracks in the catalogue"},
		{"", []string{"scan", "--music", wesnoth(t)}, "41 files seen in "},
		{"a good password\n", []string{"user", "add", "anna", "--roles", "admin"}, "added anna (admin)"},
		{"short\n", []string{"user", "add", "ben"}, "!password"},
		{"another good one\n", []string{"user", "add", "Anna"}, "!already"},
		{"", []string{"user", "list"}, "anna"},
		{"", []string{"user", "key", "add", "anna", "my phone"}, "tutti_"},
		{"", []string{"user", "key", "list", "anna"}, "my phone"},
		{"", []string{"user", "roles", "anna", "stream"}, "!admin"},
		{"", []string{"doctor", "--listen", "127.0.0.1:0", "--music", wesnoth(t)}, "is sound"},
	} {
		out, errs, err := tutti(t, c.stdin, append(c.args, "--data", data, "--log-level", "error")...)
		want, fails := strings.CutPrefix(c.want, "!")
		if (err != nil) != fails || !strings.Contains(out+errs, want) {
			t.Errorf("tutti %s: %v\n%s%s(wanted %q)", strings.Join(c.args, " "), err, out, errs, c.want)
		}
		if strings.ContainsAny(out+errs, "\x1b\r") {
			t.Errorf("tutti %s moves the cursor in a pipe", strings.Join(c.args, " "))
		}
	}
}

// TestStopLetsStreamsEnd asks a server to stop while somebody listens: the stream ends whole. A second signal ends the
// server at once.
func TestStopLetsStreamsEnd(t *testing.T) {
	music := wesnoth(t)
	for _, signals := range []int{1, 2} {
		s := start(t, "", []string{music})
		s.scanned()
		largest := s.songs()[0]
		for _, song := range s.songs() {
			if song.Size > largest.Size {
				largest = song
			}
		}
		resp, err := http.Get(s.rest("stream", url.Values{"id": {largest.ID}}))
		if err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 4096)
		if _, err := io.ReadFull(resp.Body, first); err != nil {
			t.Fatal(err)
		}
		for range signals {
			if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			waitFor(t, "the server to stop listening", func() bool {
				fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
				r, err := fresh.Get(s.URL + "/healthz")
				if err == nil {
					r.Body.Close()
				}
				return err != nil
			})
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		whole := err == nil && n+4096 == largest.Size
		if signals == 1 && !whole {
			t.Errorf("the stream was cut: %v", fmt.Sprint(n, err))
		}
		<-s.done
		if signals == 1 && s.err != nil {
			t.Errorf("the server ended with %v", s.err)
		}
	}
}
