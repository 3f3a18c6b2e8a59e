package e2e

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tutti runs a command of the program on the server's data folder and returns what it printed.
func (s *server) tutti(args ...string) string {
	s.t.Helper()
	cmd := exec.Command(binary(s.t), append(args, "--data", s.Data)...)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("tutti %s: %v\n%s", strings.Join(args, " "), err, &complaint)
	}
	return out.String()
}

// TestSnapclients lets two unmodified Snapcast clients play a room, and finds in what they play the very samples of the
// file.
func TestSnapclients(t *testing.T) {
	snapclient := need(t, "snapclient")
	music := t.TempDir()
	rng := rand.New(rand.NewPCG(3, 4))
	noise := make([]byte, 12*48000*4)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	raw := filepath.Join(t.TempDir(), "noise.raw")
	if err := os.WriteFile(raw, noise, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(need(t, "ffmpeg"), "-v", "error", "-f", "s16le", "-ar", "48000", "-ac", "2", "-i", raw,
		"-metadata", "title=White Water", "-metadata", "artist=The Falls", "-metadata", "album=Spray", filepath.Join(music, "water.flac")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	address := freeTCP(t)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, "", []string{music}, "--snapcast", address)
	s.scanned()

	var heard []string
	for _, name := range []string{"kitchen", "bath"} {
		file := filepath.Join(t.TempDir(), name+".pcm")
		heard = append(heard, file)
		beside(t, snapclient, "-h", host, "-p", port, "--hostID", name, "--player", "file:filename="+file, "--logsink", "stdout")
	}
	wait(t, "both to join", func() bool { return strings.Count(s.tutti("room", "list"), "connected from 127.0.0.1") == 2 })
	if out := s.tutti("room", "play", "white", "water"); !strings.Contains(out, "playing “White Water” by The Falls") {
		t.Errorf("room play says %q", out)
	}
	// A stretch from the middle, long enough not to be there by chance.
	stretch := noise[2*48000*4 : 2*48000*4+4096*4]
	for n, file := range heard {
		wait(t, "the music in "+file, func() bool {
			b, err := os.ReadFile(file)
			return err == nil && bytes.Contains(b, stretch)
		})
		t.Logf("player %d played the file's samples", n)
	}
	if out := s.tutti("room", "pause"); !strings.Contains(out, "paused “White Water”") {
		t.Errorf("room pause says %q", out)
	}
	s.tutti("room", "create", "Bath")
	s.tutti("room", "volume", "--player", "bath", "40")
	if out := s.tutti("room", "members", "Bath", "--add", "bath"); !strings.Contains(out, "bath") || !strings.Contains(out, "40") {
		t.Errorf("room members says %q", out)
	}
	var rooms struct {
		Items []struct {
			Name    string
			Playing bool
			Players []struct{ ID string }
		}
	}
	if err := json.Unmarshal([]byte(s.tutti("room", "list", "--json")), &rooms); err != nil {
		t.Fatal(err)
	}
	if len(rooms.Items) != 2 || len(rooms.Items[0].Players) != 1 || rooms.Items[0].Players[0].ID != "bath" || rooms.Items[1].Playing {
		t.Errorf("%+v", rooms)
	}
}

// wait lets a condition come true.
func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for since := time.Now(); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Since(since) > patience {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func freeTCP(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
