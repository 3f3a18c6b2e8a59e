package e2e

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tutti/store/dynamo/local"
)

// shellBlocks returns the lines of the ```sh blocks of a Markdown file.
func shellBlocks(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	inside := false
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "```sh":
			inside = true
		case line == "```":
			inside = false
		case inside && line != "" && !strings.HasPrefix(line, "#"):
			lines = append(lines, line)
		}
	}
	return lines
}

func documents(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../docs/guide/*.md", "../docs/decisions/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, files...)
	}
	return out
}

// TestCommandsInDocs runs every command that the documents show, as a reader would, on a fresh installation. A make
// target is resolved but not run: this test is part of one.
func TestCommandsInDocs(t *testing.T) {
	bin := binary(t)
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "Music"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(home, "bin")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(bin, filepath.Join(path, "tutti")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"etc/systemd/system", "etc/sysusers.d", "etc/tutti"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Where the documents name a table of Amazon's, the one that is used lies here.
	table := sync.OnceValue(func() string { return local.ForTest(t, local.DynamoDB).URL })
	const region = "?region=eu-central-1"
	here := func(line string) string {
		if !strings.Contains(line, "dynamodb://") {
			return line
		}
		return strings.ReplaceAll(line, region, region+"&endpoint="+url.QueryEscape(table()))
	}
	env := append(os.Environ(), "AWS_ACCESS_KEY_ID=docs", "AWS_SECRET_ACCESS_KEY=docs", "HOME="+home, "XDG_DATA_HOME=", "PATH="+path+":"+os.Getenv("PATH"),
		"TUTTI_LISTEN=127.0.0.1:0", "TUTTI_MUSIC="+filepath.Join(home, "Music"))
	seen := 0
	shell := func(t *testing.T, dir, line string) {
		t.Helper()
		cmd := exec.Command("sh", "-c", line)
		cmd.Env, cmd.Dir = env, dir
		if b, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, b)
		}
	}
	// The first start makes what the other commands work on.
	serveOnce(t, env, home, "tutti serve --music ~/Music")
	for _, file := range documents(t) {
		for _, line := range shellBlocks(t, file) {
			seen++
			name := filepath.Base(file) + ": " + line
			switch words := strings.Fields(line); words[0] {
			case "make":
				t.Run(name, func(t *testing.T) { shell(t, "..", "make -n "+strings.Join(words[1:], " ")) })
			case "tutti":
				if words[1] == "serve" {
					t.Run(name, func(t *testing.T) { serveOnce(t, env, home, line) })
					continue
				}
				t.Run(name, func(t *testing.T) { shell(t, home, here(line)) })
			case "install":
				t.Run(name, func(t *testing.T) {
					shell(t, "..", strings.NewReplacer("/usr/local/bin", path+"/..", "/etc/", home+"/etc/").Replace(line))
				})
			default:
				t.Errorf("%s: no way to test this command is known", name)
			}
		}
	}
	if seen < 8 {
		t.Errorf("only %d commands were found in the documents", seen)
	}
}

// serveOnce runs a serve command until it is ready and stops it.
func serveOnce(t *testing.T, env []string, dir, line string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", "exec "+line)
	cmd.Env, cmd.Dir = env, dir
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := false
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "tutti ready at ") {
			ready = true
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil || !ready {
		t.Errorf("%s: ready %v, ended with %v", line, ready, err)
	}
}

// TestUnits has systemd look at the units that are shipped, with the program where it is here.
func TestUnits(t *testing.T) {
	bin, dir := binary(t), t.TempDir()
	for file, instance := range map[string]string{
		"tutti.service": "tutti.service", "tutti@.service": "tutti@delivery.service", "tutti-nginx.service": "tutti-nginx.service",
	} {
		b, err := os.ReadFile(filepath.Join("../deploy", file))
		if err != nil {
			t.Fatal(err)
		}
		unit := filepath.Join(dir, instance)
		if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(b), "/usr/local/bin/tutti", bin)), 0o644); err != nil {
			t.Fatal(err)
		}
		if b, err := exec.Command(need(t, "systemd-analyze"), "verify", "--man=no", unit).CombinedOutput(); err != nil || len(b) > 0 {
			t.Errorf("%s: %v\n%s", file, err, b)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)

// TestLinksInDocs follows every link from a document to a file of this repository.
func TestLinksInDocs(t *testing.T) {
	for _, file := range documents(t) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(b), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s links to %s, which is not there", file, m[1])
			}
		}
	}
}
