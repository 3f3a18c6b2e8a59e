// Package local runs real engines that speak DynamoDB on this machine, for tests, benchmarks and fleets on loopback:
// Amazon's own DynamoDB Local (from Maven Central) and dynalite (from npm), which shares no code with it. What they consist of is
// pinned in the folders beside this file, fetched once for each user, and kept in that user's cache folder.
//
// Neither is for data that anybody would miss.
package local

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"tutti"
)

// Engine is one of the engines that can be started.
type Engine string

// The engines.
const (
	DynamoDB Engine = "dynamodblocal" // needs java and javac (17 or later) and mvn
	Dynalite Engine = "dynalite"      // needs node and npm; has no TTL and no transactions
)

//go:embed dynamodblocal/pom.xml dynamodblocal/Loopback.java dynalite/package.json dynalite/package-lock.json dynalite/.npmrc dynalite/loopback.js
var parts embed.FS

// packages says which Debian package has a command.
var packages = map[string]string{
	"java": "openjdk-17-jre-headless", "javac": "openjdk-17-jdk-headless", "mvn": "maven", "node": "nodejs", "npm": "npm",
}

// Config says what to start.
type Config struct {
	Engine Engine    // "": DynamoDB
	Port   int       // on 127.0.0.1; 0: a free one
	Dir    string    // where DynamoDB Local keeps its tables; "": in memory, gone when it stops. Dynalite has memory only
	Log    io.Writer // what it says, and that something is being fetched; one Write at a time. nil: nowhere
}

// Server is an engine that runs.
type Server struct {
	URL string // http://127.0.0.1:PORT; it takes any credentials
	PID int

	cmd  *exec.Cmd
	in   io.Closer
	done chan struct{}
	stop sync.Once
}

// Start starts an engine and returns when it answers. The first start of a user fetches what it consists of, which takes
// half a minute or so. ctx bounds the start. The engine ends with Stop, and with this process, however that ends. Start
// returns KindUnavailable, with the name of the package to install, where a command is missing.
func Start(ctx context.Context, c Config) (*Server, error) {
	const op = "local.Start"
	if c.Engine == "" {
		c.Engine = DynamoDB
	}
	if c.Log == nil {
		c.Log = io.Discard
	}
	c.Log = &oneAtATime{w: c.Log}
	dir, err := fetched(ctx, c.Engine, c.Log)
	if err != nil {
		return nil, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	s, err := launch(ctx, c, dir)
	return s, tutti.Wrap(tutti.KindUnavailable, op, err)
}

// ForTest starts an engine that stops with the test. It fails the test where it cannot.
func ForTest(t testing.TB, e Engine) *Server {
	t.Helper()
	s, err := Start(t.Context(), Config{Engine: e})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Done is closed when the engine has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Stop ends the engine, at once and whatever state it is in, and waits for it.
func (s *Server) Stop() {
	s.stop.Do(func() {
		// Kill fails only where the process has ended already.
		_ = s.cmd.Process.Kill()
		<-s.done
		_ = s.in.Close()
	})
	<-s.done
}

func command(ctx context.Context, dir string, name string, args ...string) (*exec.Cmd, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, tutti.Errorf(tutti.KindUnavailable, "local.Start", "%s is missing: apt-get install %s", name, packages[name])
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	return cmd, nil
}

// run runs a command that prepares something.
func run(ctx context.Context, dir, name string, args ...string) error {
	cmd, err := command(ctx, dir, name, args...)
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, tail(out))
	}
	return nil
}

func tail(out []byte) []byte {
	const most = 4000
	return bytes.TrimSpace(out[max(0, len(out)-most):])
}

// fetched returns the folder that has all that the engine consists of, and fills it where need be. The folder's name
// is a hash of what is pinned, so that a change of that fetches anew. It appears in one piece, and one
// process at a time fetches.
func fetched(ctx context.Context, e Engine, log io.Writer) (string, error) {
	pinned, err := fs.Sub(parts, string(e))
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	names, err := fs.Glob(pinned, "*")
	if err != nil {
		return "", err
	}
	if len(names) == 0 {
		return "", tutti.Errorf(tutti.KindInvalid, "local.Start", "there is no engine %q", e)
	}
	for _, name := range names {
		text, err := fs.ReadFile(pinned, name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %d\n%s", name, len(text), text)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "tutti")
	dir := filepath.Join(cache, string(e)+"-"+hex.EncodeToString(sum.Sum(nil)[:8]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(cache, string(e)+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close() // and with it the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); err == nil { // somebody else was first
		return dir, nil
	}
	drafts := filepath.Join(cache, string(e)+"-draft-")
	if left, err := filepath.Glob(drafts + "*"); err == nil { // by fetches that were killed
		for _, dir := range left {
			if err := os.RemoveAll(dir); err != nil {
				return "", err
			}
		}
	}
	fmt.Fprintf(log, "fetching %s, once, into %s\n", e, dir)
	draft, err := os.MkdirTemp(cache, filepath.Base(drafts))
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(draft)
	for _, name := range names {
		text, err := fs.ReadFile(pinned, name)
		if err == nil {
			err = os.WriteFile(filepath.Join(draft, name), text, 0o600)
		}
		if err != nil {
			return "", err
		}
	}
	if err := prepare(ctx, e, draft); err != nil {
		return "", err
	}
	return dir, os.Rename(draft, dir)
}

func prepare(ctx context.Context, e Engine, dir string) error {
	if e == Dynalite {
		return run(ctx, dir, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
	}
	if err := run(ctx, dir, "mvn", "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=lib"); err != nil {
		return err
	}
	return run(ctx, dir, "javac", "-cp", "lib/*", "-d", "lib", "Loopback.java")
}

// invocation is how an engine is run.
func invocation(c Config, dir string) (name string, args []string) {
	port := strconv.Itoa(c.Port)
	if c.Engine == Dynalite {
		return "node", []string{"loopback.js", port}
	}
	// The JVM's flags are for a quick start and a small heap: a test keeps little for a short time.
	lib := filepath.Join(dir, "lib")
	args = []string{
		"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m", "-Djava.net.preferIPv4Stack=true",
		"-Djava.library.path=" + lib, "-cp", lib + string(filepath.ListSeparator) + filepath.Join(lib, "*"), "Loopback", port,
		"-sharedDb", "-disableTelemetry",
	}
	if c.Dir == "" {
		return "java", append(args, "-inMemory")
	}
	return "java", append(args, "-dbPath", c.Dir)
}

const ready = "listening on "

// launch starts the engine and waits until it says on which port it listens.
func launch(ctx context.Context, c Config, dir string) (*Server, error) {
	if c.Dir != "" {
		abs, err := filepath.Abs(c.Dir)
		if err != nil {
			return nil, err
		}
		c.Dir = abs
	}
	name, args := invocation(c, dir)
	cmd, err := command(context.WithoutCancel(ctx), dir, name, args...)
	if err != nil {
		return nil, err
	}
	// A group of its own keeps ctrl-C in a terminal from it: it is ended by its parent, after those that use it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe() // closed by the system when this process ends, which ends the engine
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var said buffer
	cmd.Stderr = io.MultiWriter(&said, c.Log)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &Server{PID: cmd.Process.Pid, cmd: cmd, in: in, done: make(chan struct{})}
	port := make(chan string, 1)
	go func() {
		defer close(s.done)
		lines := bufio.NewScanner(io.TeeReader(out, io.MultiWriter(&said, c.Log)))
		for lines.Scan() {
			if p, ok := strings.CutPrefix(lines.Text(), ready); ok {
				select {
				case port <- p:
				default:
				}
			}
		}
		// It was killed, or ended with an error that said tells better than its status.
		_ = cmd.Wait()
	}()
	select {
	case p := <-port:
		s.URL = "http://127.0.0.1:" + p
		return s, nil
	case <-s.done:
		return nil, fmt.Errorf("%s ended before it was ready:\n%s", c.Engine, tail(said.bytes()))
	case <-ctx.Done():
		s.Stop()
		return nil, errors.Join(ctx.Err(), fmt.Errorf("%s was not ready:\n%s", c.Engine, tail(said.bytes())))
	}
}

// oneAtATime passes on what comes from several goroutines.
type oneAtATime struct {
	mu sync.Mutex
	w  io.Writer
}

func (o *oneAtATime) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Write(p)
}

// buffer keeps the first of what an engine says, for the error of one that does not come up.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	const most = 1 << 16
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.b.Len() < most {
		b.b.Write(p[:min(len(p), most-b.b.Len())])
	}
	return len(p), nil
}

func (b *buffer) bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.b.Bytes())
}
