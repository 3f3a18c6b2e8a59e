package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long a process may take to become ready or to end. It is no measure of speed: it is what tells a
// hang from a slow machine.
const patience = 90 * time.Second

// poll is how often a condition is looked at that only the outside can see.
const poll = 20 * time.Millisecond

// Process is one running program of the fleet. It dies with the process that started it, whichever way that ends.
type Process struct {
	Name    string // "delivery-1", "nginx", …
	Role    string // "delivery", "catalog", "trackcache", "nginx", "dynamodb", "s3"
	Address string // HOST:PORT
	Log     string // the file that has what it writes
	Data    string // its data folder

	Snapcast string // HOST:PORT for Snapcast clients, of a delivery process

	spec command
	net  *link // its way to the others in a fleet of namespaces; nil on loopback

	mu      sync.Mutex
	cmd     *exec.Cmd
	done    chan struct{} // closed when the process has ended
	err     error         // how, valid after done
	wanted  bool          // somebody asked it to end
	stopped bool          // by SIGSTOP
}

// command is how a process is started, the first time and again.
type command struct {
	path  string
	args  []string
	env   []string
	dir   string
	ready func(ctx context.Context, p *Process) error // nil once it answers
}

// Start runs the program, the first time or again after it ended, with the same address and data, and returns when it
// answers. What it writes is appended to its log file.
func (p *Process) Start(ctx context.Context) error {
	done, err := p.launch(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error
	err = until(ctx, func() (bool, error) {
		select {
		case <-done:
			return false, fmt.Errorf("%s ended before it was ready (%s)", p.Name, p.tail())
		default:
		}
		if p.spec.ready == nil {
			return true, nil
		}
		last = p.spec.ready(ctx, p)
		return last == nil, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s is not ready after %v: %w (%s)", p.Name, patience, last, p.tail())
	}
	return err
}

// launch starts the program and returns what is closed when it has ended.
func (p *Process) launch(ctx context.Context) (done chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		return nil, fmt.Errorf("%s is running already", p.Name)
	}
	log, err := os.OpenFile(p.Log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(p.spec.path, p.spec.args...)
	cmd.Env, cmd.Dir = p.spec.env, p.spec.dir
	cmd.Stdout, cmd.Stderr = log, log
	// A group of its own keeps ctrl-C in a terminal from reaching it, so that the fleet can end in order; the signal at
	// the parent's death keeps it from staying behind. (The signal comes at the end of the thread that started it. Go's
	// threads end only with a goroutine that is locked to one, and none is here.)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if p.net == nil {
		err = cmd.Start()
	} else {
		err = p.net.start(ctx, cmd)
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	done = make(chan struct{})
	p.cmd, p.done, p.err, p.wanted, p.stopped = cmd, done, nil, false, false
	go func() {
		err := cmd.Wait()
		// Children that the program could not take along, such as nginx's workers after a kill of their master.
		if e := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); e != nil && !errors.Is(e, syscall.ESRCH) {
			err = errors.Join(err, e)
		}
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
		close(done)
	}()
	return done, nil
}

// until looks at a condition until it holds, fails, or the context ends.
func until(ctx context.Context, cond func() (bool, error)) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		if ok, err := cond(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// tail returns the last lines of the log, for an error message.
func (p *Process) tail() string {
	b, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	if len(lines) > 5 {
		lines = lines[len(lines)-5:]
	}
	return "see " + p.Log + ": " + string(bytes.Join(lines, []byte(" | ")))
}

// running reports whether the process lives; mu is held.
func (p *Process) running() bool {
	if p.done == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// ended is closed when the process that was started last has ended.
func (p *Process) ended() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}

// PID returns the process's id, 0 while it does not run.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return 0
	}
	return p.cmd.Process.Pid
}

// Kill ends the process as a power cut would end it, and returns when it is gone.
func (p *Process) Kill() error {
	done, err := p.ask(syscall.SIGKILL)
	if done != nil {
		<-done
	}
	return err
}

// Terminate asks the process to end, and returns when it has. An end with another status than 0 is an error; one that
// does not come in time is forced.
func (p *Process) Terminate(ctx context.Context) error {
	done, err := p.ask(syscall.SIGTERM)
	if done == nil || err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-done:
	case <-ctx.Done():
		err := fmt.Errorf("%s did not end when asked to: %w (%s)", p.Name, ctx.Err(), p.tail())
		return errors.Join(err, p.Kill())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return fmt.Errorf("%s ended with %w (%s)", p.Name, p.err, p.tail())
	}
	return nil
}

// ask sends a signal that ends the process. done is nil where nothing runs.
func (p *Process) ask(sig syscall.Signal) (done chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return nil, nil
	}
	p.wanted = true
	err = p.cmd.Process.Signal(sig)
	if err == nil && p.stopped { // while it is stopped it hears of SIGKILL only
		p.stopped = false
		err = p.cmd.Process.Signal(syscall.SIGCONT)
	}
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	return p.done, err
}

// Pause stops the process where it is (SIGSTOP): it holds its connections, and answers nothing. When Pause returns none
// of its threads runs any more.
func (p *Process) Pause() error {
	if err := p.signal(syscall.SIGSTOP, true); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return until(ctx, func() (bool, error) {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.PID()))
		for _, task := range tasks {
			b, err := os.ReadFile(task)
			if err != nil {
				return false, err
			}
			if _, after, ok := bytes.Cut(b, []byte(") ")); !ok || after[0] != 'T' { // proc_pid_stat(5): state
				return false, nil
			}
		}
		return len(tasks) > 0, err
	})
}

// Continue lets a paused process go on.
func (p *Process) Continue() error { return p.signal(syscall.SIGCONT, false) }

func (p *Process) signal(sig syscall.Signal, stopped bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return fmt.Errorf("%s does not run", p.Name)
	}
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	p.stopped = stopped
	return nil
}

// Unexpected returns an error if the process ended without being asked to.
func (p *Process) Unexpected() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil || p.running() || p.wanted {
		return nil
	}
	return fmt.Errorf("%s ended by itself: %w (%s)", p.Name, p.err, p.tail())
}

// Children returns the process ids of the process's children, such as nginx's workers.
func (p *Process) Children() ([]int, error) { return children(p.PID()) }

func children(pid int) ([]int, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // each thread has its own
	if err != nil {
		return nil, err
	}
	var out []int
	for _, thread := range threads {
		b, err := os.ReadFile(thread)
		if errors.Is(err, os.ErrNotExist) {
			continue // it ended meanwhile
		}
		if err != nil {
			return nil, err
		}
		for _, word := range strings.Fields(string(b)) {
			n, err := strconv.Atoi(word)
			if err != nil {
				return nil, err
			}
			out = append(out, n)
		}
	}
	return out, nil
}
