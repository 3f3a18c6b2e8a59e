package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSubsonicAPIClient drives the server through an independent client library from npm.
func TestSubsonicAPIClient(t *testing.T) {
	music := wesnoth(t)
	s := start(t, "", []string{music})
	s.scanned()
	if _, err := os.Stat("clients/node_modules/subsonic-api"); err != nil {
		t.Fatalf("the client is not installed; make e2e installs it: %v", err)
	}
	key, err := exec.Command(binary(t), "user", "key", "add", adminName, "e2e", "--data", s.Data).Output()
	if err != nil {
		t.Fatalf("make an app key while the server runs: %v", err)
	}
	cmd := exec.Command(need(t, "node"), "clients/subsonic-api.mjs", s.URL, adminName, adminPassword, strings.TrimSpace(string(key)))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	played := 0
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if len(words) < 3 {
			continue
		}
		played++
		name := strings.Join(words[1:len(words)-1], " ")
		if want := fileSum(t, filepath.Join(music, filepath.Base(name))); words[len(words)-1] != want {
			t.Errorf("%s: the client received other bytes than the file has", name)
		}
	}
	if played != 3 {
		t.Errorf("the client played %d tracks, not 3:\n%s", played, out)
	}
}
