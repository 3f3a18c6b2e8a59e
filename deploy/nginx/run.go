package nginx

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tutti"
	"tutti/clock"
)

// Fleet is what Edge needs to know of the members; peer/members has it.
type Fleet interface {
	// Members returns the ready members that run the service.
	Members(s tutti.Service) []tutti.Member
	// Changed returns a channel that is closed at the next change.
	Changed() <-chan struct{}
}

// EdgeConfig is what an Edge needs. Config, Fleet, Clock and Logger are required.
type EdgeConfig struct {
	// Config is everything but the members' addresses, which come from Fleet.
	Config Config
	Fleet  Fleet
	// Secret, if there is one, tells Config.Secret as it is at the moment. Follow and Run ask it every other second.
	Secret func() string
	// File is where the configuration is kept; "" is nginx.conf in Config.Dir. The one before stays beside it, with
	// ".previous" after its name.
	File    string
	Program string // nginx; "" is found in PATH
	// NoBrotli does without nginx's Brotli filter also where it is installed.
	NoBrotli bool
	Clock    clock.Clock
	Logger   *slog.Logger
	// Grace is how long streams may go on when a nginx that Run has started is to end; 0 is 30 s, less is not at all.
	Grace time.Duration
}

// Edge keeps an nginx in step with the fleet.
type Edge struct {
	c       EdgeConfig
	program string
	written string          // what is in File
	loaded  string          // what nginx was told to load, or had loaded when it began
	shown   string          // how the certificates' files looked when nginx read them
	looked  string          // and at the latest look
	trouble string          // why it was not, as the log has it
	known   map[string]bool // host names that were looked up with success
	leftOut map[string]bool // addresses of members, and whether nginx does without them
	brotli  *string         // the file of the filter, or ""; nil before it was looked for
	running atomic.Int64    // the process that Run has started; 0: none
}

// NewEdge returns KindUnavailable where there is no nginx, and KindInvalid for a configuration that cannot be.
func NewEdge(c EdgeConfig) (*Edge, error) {
	const op = "nginx.NewEdge"
	if c.Program == "" {
		c.Program = "nginx"
	}
	program, err := exec.LookPath(c.Program)
	if err != nil {
		// Debian keeps it where only root's PATH leads.
		if program, err = exec.LookPath("/usr/sbin/" + filepath.Base(c.Program)); err != nil {
			return nil, &tutti.Error{Kind: tutti.KindUnavailable, Op: op, Message: "nginx is not installed; on Debian: apt install nginx-light", Err: err}
		}
	}
	if c.File == "" {
		c.File = filepath.Join(c.Config.Dir, "nginx.conf")
	}
	if c.Grace == 0 {
		c.Grace = 30 * time.Second
	}
	if os.Geteuid() == 0 && c.Config.User == "" {
		// nginx would have its workers run as nobody, who cannot look into our folder.
		c.Config.User = "root"
		c.Logger.Warn("nginx runs as root; start it as a user of its own, which needs CAP_NET_BIND_SERVICE for ports below 1024")
	}
	// nginx cannot raise the hard limit that it inherits, and would complain at each start.
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil, tutti.Wrap(tutti.KindInternal, op, err)
	}
	allowed := int(min(limit.Max, 1<<20)) // fs.nr_open, beyond which not even root may go
	if c.Config.WorkerConnections == 0 {
		if most := (allowed - otherFiles) / filesPerConnection; most < c.Config.withDefaults().WorkerConnections {
			c.Config.WorkerConnections = max(most, 64)
		}
	}
	if c.Config.OpenFiles == 0 {
		connections := c.Config.withDefaults().WorkerConnections
		c.Config.OpenFiles = max(filesPerConnection*connections+otherFiles, min(allowed, manyPerConnection*connections+otherFiles))
	}
	e := &Edge{c: c, program: program, known: map[string]bool{}, leftOut: map[string]bool{}}
	if _, err := e.config().Text(); err != nil {
		return nil, err
	}
	return e, nil
}

// File is where the configuration is kept.
func (e *Edge) File() string { return e.c.File }

func (e *Edge) config() Config {
	c := e.c.Config
	if e.c.Secret != nil {
		c.Secret = e.c.Secret()
	}
	return c
}

func (e *Edge) text(ctx context.Context) (string, error) {
	c := e.config()
	if e.brotli == nil && c.BrotliModule == "" && !e.c.NoBrotli {
		file, err := e.findBrotli(ctx)
		if err != nil {
			return "", err
		}
		e.brotli = &file
	}
	if e.brotli != nil {
		c.BrotliModule = *e.brotli
	}
	c.Deliveries = e.addresses(ctx, tutti.ServiceDelivery)
	c.TrackCaches = e.addresses(ctx, tutti.ServiceTrackCache)
	return c.Text()
}

// modulesPath is where nginx says that its modules are.
var modulesPath = form(`--modules-path=(/[^\s'"$\\]+)`)

// findBrotli returns the file of nginx's Brotli filter, or "" where there is none that this nginx takes: it refuses one that
// was built for another version, and with it the whole configuration.
func (e *Edge) findBrotli(ctx context.Context) (string, error) {
	const op = "nginx.findBrotli"
	said, err := exec.CommandContext(ctx, e.program, "-V").CombinedOutput()
	if err != nil {
		return "", tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	found := modulesPath().FindSubmatch(said)
	if found == nil {
		return "", nil // one that takes no modules
	}
	file := filepath.Join(string(found[1]), "ngx_http_brotli_filter_module.so")
	if _, err := os.Stat(file); err != nil {
		e.c.Logger.InfoContext(ctx, "nginx compresses texts with gzip only; for Brotli, on Debian: apt install libnginx-mod-http-brotli-filter")
		return "", nil
	}
	if err := os.MkdirAll(e.c.Config.Dir, 0o700); err != nil {
		return "", tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	s := settings{e.c.Config}
	trial := filepath.Join(e.c.Config.Dir, "brotli.conf")
	text := "load_module " + s.Quote(file) + ";\npid " + s.Path("brotli.pid") + ";\nevents {}\n"
	if err := os.WriteFile(trial, []byte(text), 0o600); err != nil {
		return "", tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	refused := e.Check(ctx, trial)
	if err := os.Remove(trial); err != nil {
		return "", tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if refused != nil {
		e.c.Logger.WarnContext(ctx, "nginx compresses texts with gzip only, as it does not take its Brotli filter", "file", file, "err", refused)
		return "", nil
	}
	return file, nil
}

// addresses returns those of the members that run the service. Where nginx cannot take one, or cannot look its name up, it
// refuses the whole configuration, so such a one is left out and the log says so: one member's mistake would keep nginx
// from following all the others.
func (e *Edge) addresses(ctx context.Context, s tutti.Service) []string {
	var out []string
	for _, m := range e.c.Fleet.Members(s) {
		reason := "it is not HOST:PORT"
		fine := validMember(m.Address)
		if fine {
			reason = "nobody on this machine knows the name"
			fine = e.resolves(ctx, m.Address)
		}
		if fine {
			out = append(out, m.Address)
		} else if !e.leftOut[m.Address] {
			e.c.Logger.ErrorContext(ctx, "nginx does without a member whose address is of no use to it", "member", m.ID, "service", string(s), "address", m.Address, "reason", reason)
		}
		e.leftOut[m.Address] = !fine
	}
	return out
}

// resolves reports whether the host of an address can be looked up. A name server that does not answer is no reason to do
// without anybody.
func (e *Edge) resolves(ctx context.Context, address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if _, err := netip.ParseAddr(host); err == nil || e.known[host] {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err = net.DefaultResolver.LookupHost(ctx, host)
	e.known[host] = err == nil
	var unknown *net.DNSError
	return !errors.As(err, &unknown) || !unknown.IsNotFound
}

// Write writes the configuration for the members of this moment, if nginx finds nothing wrong with it, and reports
// whether it differs from what was there. The file is never half written, and is readable by its owner only: it holds
// the secret.
func (e *Edge) Write(ctx context.Context) (changed bool, err error) {
	const op = "nginx.Write"
	text, err := e.text(ctx)
	if err != nil {
		return false, err
	}
	if e.written == "" {
		before, err := os.ReadFile(e.c.File)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, tutti.Wrap(tutti.KindUnavailable, op, err)
		}
		e.written = string(before)
	}
	if text == e.written {
		return false, nil
	}
	for _, dir := range []string{filepath.Dir(e.c.File), e.c.Config.Dir, filepath.Join(e.c.Config.Dir, "temp"), e.c.Config.CacheDir} {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return false, tutti.Wrap(tutti.KindUnavailable, op, err)
		}
	}
	next := e.c.File + ".next"
	if err := writeSynced(next, text); err != nil {
		return false, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	if err := e.Check(ctx, next); err != nil {
		clear(e.known)    // nginx may have found that a name is gone
		return false, err // next stays, for whoever wants to see what nginx did not like
	}
	previous := e.c.File + ".previous"
	if err := os.Remove(previous); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	if err := os.Link(e.c.File, previous); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	if err := os.Rename(next, e.c.File); err != nil {
		return false, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	e.written = text
	return true, nil
}

func writeSynced(path, text string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	return f.Sync()
}

// args are how nginx is told which configuration it is about. -e is where it writes what happens before it has read it.
func (e *Edge) args(file string, more ...string) []string {
	return append([]string{"-p", e.c.Config.Dir, "-e", "stderr", "-c", file}, more...)
}

// Check has nginx check a configuration file. It returns KindInvalid with what nginx says about it.
func (e *Edge) Check(ctx context.Context, file string) error {
	const op = "nginx.Check"
	out, err := exec.CommandContext(ctx, e.program, e.args(file, "-q", "-t")...).CombinedOutput()
	if err != nil {
		said := Redact(strings.TrimSpace(string(out)))
		return &tutti.Error{Kind: tutti.KindInvalid, Op: op, Message: "nginx refuses the configuration: " + said, Err: err}
	}
	return nil
}

// Reload has the running nginx take up what is in the file. Connections go on as they are. It returns KindUnavailable
// where none runs.
func (e *Edge) Reload() error {
	const op = "nginx.Reload"
	pid, err := e.pid()
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGHUP)
	}
	if err != nil {
		return &tutti.Error{Kind: tutti.KindUnavailable, Op: op, Message: "nginx does not run", Err: err}
	}
	return nil
}

func (e *Edge) pid() (int, error) {
	if pid := e.running.Load(); pid != 0 {
		return int(pid), nil // the file may be the work of the nginx before, which removes it when it ends
	}
	b, err := os.ReadFile(filepath.Join(e.c.Config.Dir, "nginx.pid"))
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid <= 1 {
		return 0, tutti.Errorf(tutti.KindInvalid, "nginx.pid", "the pid file says %q", bytes.TrimSpace(b))
	}
	return pid, nil
}

const (
	// settle is how long the members must have stayed the same: a process that starts or stops changes twice.
	settle = 200 * time.Millisecond
	// pace is the least time between two reloads: each leaves workers behind until their last stream has ended.
	pace = time.Second
	// glance is how often it is looked whether the secret is still the same, and what failed is tried again.
	glance = 2 * time.Second
)

// Follow keeps the file, and the nginx that runs with it, in step with the fleet until ctx ends; then it returns nil. It
// begins with writing the file, and with a reload if that changed it. A configuration that nginx refuses is logged and
// not loaded, and tried again from time to time, as is a reload that failed; that the first one is refused is an error.
func (e *Edge) Follow(ctx context.Context) error {
	change := e.c.Fleet.Changed()
	changed, err := e.Write(ctx)
	if err != nil {
		return err
	}
	e.shown = e.certificates()
	e.looked = e.shown
	if !changed {
		e.loaded = e.written
	} else if _, err := e.step(ctx); err != nil {
		e.trouble = err.Error()
		e.c.Logger.InfoContext(ctx, "nginx's configuration is written, but there is no nginx to reload", "file", e.c.File)
	}
	return e.follow(ctx, change)
}

// step writes the file if it is not as the fleet is, and has nginx load it if it has not yet, or if there are other
// certificates. It reports whether it did.
func (e *Edge) step(ctx context.Context) (changed bool, err error) {
	if _, err := e.Write(ctx); err != nil {
		return false, err
	}
	files := e.certificates()
	// A renewal writes more than one file: it is over when all look as they did at the last look.
	renewed := files != e.shown && files == e.looked
	e.looked = files
	if e.loaded == e.written && !renewed {
		return false, nil
	}
	if renewed {
		// nginx stays with what it has where it cannot load these, but says so in its own log only.
		if err := e.Check(ctx, e.c.File); err != nil {
			return false, err
		}
		e.c.Logger.InfoContext(ctx, "nginx reads its certificates anew")
	}
	if err := e.Reload(); err != nil {
		return false, err
	}
	e.loaded, e.shown = e.written, files
	return true, nil
}

// certificates tells how the files that TLS needs look from outside. A file that cannot be seen is for nginx to complain of.
func (e *Edge) certificates() string {
	files := []string{e.c.Config.TLSCert, e.c.Config.TLSKey}
	if p := e.c.Config.PeerTLS; p != nil {
		files = append(files, p.CA, p.Cert, p.Key)
	}
	var b strings.Builder
	for _, f := range files {
		if f == "" {
			continue
		}
		if info, err := os.Stat(f); err == nil {
			fmt.Fprintln(&b, info.ModTime().UnixNano(), info.Size())
		} else {
			fmt.Fprintln(&b, "none")
		}
	}
	return b.String()
}

func (e *Edge) follow(ctx context.Context, change <-chan struct{}) error {
	look := e.c.Clock.NewTimer(glance)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C():
		case <-change:
			if clock.Sleep(ctx, e.c.Clock, settle) != nil {
				return nil
			}
			change = e.c.Fleet.Changed()
		}
		look.Reset(glance)
		changed, err := e.step(ctx)
		if err == nil {
			e.trouble = ""
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil: // and it is tried again at the next glance
			if e.trouble != err.Error() {
				e.c.Logger.ErrorContext(ctx, "nginx does not follow the fleet", "err", err)
			}
			e.trouble = err.Error()
		case changed:
			e.c.Logger.InfoContext(ctx, "nginx follows the fleet", "deliveries", len(e.c.Fleet.Members(tutti.ServiceDelivery)), "trackcaches", len(e.c.Fleet.Members(tutti.ServiceTrackCache)))
		}
		if (changed || err != nil) && clock.Sleep(ctx, e.c.Clock, pace-settle) != nil {
			return nil
		}
	}
}

// Run starts nginx in the foreground and keeps it in step with the fleet until ctx ends. Then nginx finishes its streams
// for as long as Grace allows, and Run returns nil. That nginx cannot start, or ends of itself, is KindUnavailable. Should
// this process be killed, nginx listens no longer, finishes its streams and ends.
func (e *Edge) Run(ctx context.Context) error {
	const op = "nginx.Run"
	change := e.c.Fleet.Changed()
	e.c.Config.relayed = true
	if _, err := e.Write(ctx); err != nil {
		return err
	}
	for _, socket := range []string{settings{e.c.Config}.FillSocket(), settings{e.c.Config}.TellSocket()} {
		if err := e.clearSocket(ctx, socket); err != nil {
			return tutti.Wrap(tutti.KindUnavailable, op, err)
		}
	}
	e.shown = e.certificates()
	e.looked = e.shown
	cmd := exec.Command(e.program, e.args(e.c.File, "-g", "daemon off;")...) // not CommandContext: its end is to be graceful
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT, Setpgid: true}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	if err := cmd.Start(); err != nil {
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	e.running.Store(int64(cmd.Process.Pid))
	e.loaded = e.written
	defer e.running.Store(0)
	e.c.Logger.InfoContext(ctx, "nginx runs", "pid", cmd.Process.Pid, "listen", e.c.Config.Listen)
	var work sync.WaitGroup
	defer work.Wait()
	var last lastLine
	said := make(chan struct{})
	work.Go(func() {
		defer close(said)
		e.relay(stderr, &last)
	})
	// Workers without a master would keep the pipe open for as long as their streams last.
	defer func() {
		limit := e.c.Clock.NewTimer(time.Second)
		defer limit.Stop()
		select {
		case <-said:
		case <-limit.C():
		}
		_ = stderr.Close() // nothing of it was for us to keep
	}()
	following, stop := context.WithCancel(ctx)
	defer stop()
	work.Go(func() { _ = e.follow(following, change) }) // it only ever returns nil
	ended := make(chan error, 1)
	work.Go(func() {
		state, err := cmd.Process.Wait() // not cmd.Wait, which would close the pipe before it is read to its end
		if err == nil {
			err = errors.New(state.String())
		}
		ended <- err
	})
	select {
	case err := <-ended:
		// Where the master was killed, its workers still listen: they finish their streams and make room.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGQUIT) // there may be none
		limit := e.c.Clock.NewTimer(time.Second)
		defer limit.Stop()
		select { // for what it said last
		case <-said:
		case <-limit.C():
		}
		message := "nginx ended of itself"
		if text := last.get(); text != "" {
			message += ": " + text
		}
		return &tutti.Error{Kind: tutti.KindUnavailable, Op: op, Message: message, Err: err}
	case <-ctx.Done():
	}
	stop()
	return e.end(cmd.Process, ended)
}

// clearSocket makes sure that nginx can listen on a socket of its own: one that a nginx which was killed has left is removed,
// and one that is about to end is waited for.
func (e *Edge) clearSocket(ctx context.Context, path string) error {
	for range 30 {
		c, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case errors.Is(err, syscall.ECONNREFUSED):
			return os.Remove(path)
		case err != nil:
			return err
		}
		_ = c.Close()
		if err := clock.Sleep(ctx, e.c.Clock, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return tutti.Errorf(tutti.KindUnavailable, "nginx.Run", "another nginx runs in the folder %s; end it first", e.c.Config.Dir)
}

// end has nginx finish: no new connections at once, then the streams that run, then all of it.
func (e *Edge) end(p *os.Process, ended <-chan error) error {
	limit := e.c.Clock.NewTimer(max(0, e.c.Grace))
	defer limit.Stop()
	_ = p.Signal(syscall.SIGQUIT) // it may have ended by now, which ended tells
	select {
	case <-ended:
		return nil
	case <-limit.C():
	}
	_ = p.Signal(syscall.SIGTERM)
	limit.Reset(5 * time.Second)
	select {
	case <-ended:
		return nil
	case <-limit.C():
	}
	_ = syscall.Kill(-p.Pid, syscall.SIGKILL) // its workers as well
	<-ended
	return nil
}

// lastLine keeps what nginx complained about last.
type lastLine struct {
	mu   sync.Mutex
	text string
}

func (l *lastLine) set(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = s
}

func (l *lastLine) get() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text
}

// relay passes on what nginx says, without secrets, until it has ended and all its workers have.
func (e *Edge) relay(r io.Reader, last *lastLine) {
	lines := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := lines.ReadSlice('\n') // what is longer than the buffer comes in pieces, each cleaned
		if text := strings.TrimSpace(string(line)); text != "" {
			level, message := parseLine(text)
			message = Redact(message)
			if level >= slog.LevelError {
				last.set(message)
			}
			e.c.Logger.Log(context.Background(), level, "nginx: "+message)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

// lineForm is how nginx begins a line: time, level, process and thread.
var lineForm = regexp.MustCompile(`^(?:\d{4}/\d\d/\d\d \d\d:\d\d:\d\d |nginx: )\[([a-z]+)\] (?:\d+#\d+: )?`)

func parseLine(line string) (slog.Level, string) {
	m := lineForm.FindStringSubmatch(line)
	if m == nil {
		return slog.LevelInfo, line
	}
	rest := line[len(m[0]):]
	switch m[1] {
	case "debug", "info":
		return slog.LevelDebug, rest
	case "notice":
		return slog.LevelInfo, rest
	case "warn":
		return slog.LevelWarn, rest
	}
	return slog.LevelError, rest
}

// secretForms find what nginx quotes of requests and is not for a log: queries, and the paths of shares.
var (
	queryForm = regexp.MustCompile(`\?[^" ]*`)
	shareForm = regexp.MustCompile(`(/share/)[^" /?]+`)
)

// Redact takes out of a line of nginx's what may be secret.
func Redact(line string) string {
	return shareForm.ReplaceAllString(queryForm.ReplaceAllString(line, "?..."), "${1}...")
}
