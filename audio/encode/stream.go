package encode

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tutti"
	"tutti/audio"
)

// stream is a running ffmpeg as a tutti.Object.
type stream struct {
	e           *Encoder
	place       *queue // in which it has one
	ref         tutti.Ref
	contentType string
	modTime     time.Time
	started     time.Time
	pid         int

	cancel  context.CancelFunc // kills the process group
	closed  atomic.Bool
	done    chan struct{} // closed when the process was reaped
	waitErr error         // of the process or its input; read after done
	feedErr error         // of its input alone

	samples int64 // to be written into a FLAC's header; 0: not known
	stderr  tail
	length  time.Duration // of what is asked for; 0: as the file says
	outTime atomic.Int64  // microseconds made so far

	mu   sync.Mutex // one reader at a time
	out  *os.File
	pos  int64
	size atomic.Int64
	err  error // how the stream ended: io.EOF or a failure
}

// start runs ffmpeg. It takes over in and the caller's place in the queue unless it returns an error.
func (e *Encoder) start(ctx context.Context, r tutti.Ref, f format, path string, in *input, place *queue) (*stream, error) {
	if err := in.settle(ctx, r, e.dir); err != nil {
		return nil, err
	}
	s := &stream{e: e, place: place, ref: r, contentType: f.contentType, modTime: in.modTime, started: e.clock.Now(), done: make(chan struct{})}
	s.size.Store(-1)
	if r.End != 0 {
		s.length = r.End - r.Start - r.Profile.Offset
	}
	var info audio.Info
	if !f.lossy {
		info = in.about(ctx, r)
	}
	s.samples = samplesOf(r, info)
	run, cancel := context.WithCancel(context.Background())
	s.cancel = cancel

	url := "file:/dev/fd/3"
	if in.file == nil {
		url = "pipe:0"
	}
	cmd := exec.CommandContext(run, path, arguments(r, f, url, depthOf(r.Profile, info))...)
	cmd.Env = []string{"LC_ALL=C"} // no proxy, no AV_LOG_FORCE_COLOR, nothing to inherit
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Stderr = &s.stderr
	var pipes pipes
	out, outW := pipes.add()
	progress, progressW := pipes.add()
	cmd.Stdout = outW
	var feed, feedW *os.File
	if in.file != nil {
		cmd.ExtraFiles = []*os.File{in.file, progressW}
	} else {
		feed, feedW = pipes.add()
		cmd.Stdin = feed
		cmd.ExtraFiles = []*os.File{nil, progressW} // descriptor 3 stays closed; progress is 4 either way
	}
	if pipes.err != nil {
		cancel()
		return nil, pipes.close()
	}
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, errors.Join(err, pipes.close())
	}
	for _, theirs := range []*os.File{outW, progressW, feed} {
		_ = theirs.Close() // the process has its own; feed may be nil, which Close does not mind
	}
	if nice := e.niceness(f); nice > 0 {
		if err := syscall.Setpriority(syscall.PRIO_PGRP, cmd.Process.Pid, nice); err != nil {
			e.log.Debug("ffmpeg keeps its priority", "err", err)
		}
	}
	s.out, s.pid = out, cmd.Process.Pid
	e.started.Add(1)
	e.active.Add(1)
	fed := make(chan error, 1)
	if feedW != nil {
		go func() { fed <- in.feed(run, feedW) }()
	} else {
		fed <- nil
	}
	go s.wait(cmd, in, fed, progress)
	return s, nil
}

// niceness is how far the processes that make a format give way.
func (e *Encoder) niceness(f format) int {
	if f.patient {
		return max(e.nice, patientNice)
	}
	return e.nice
}

// patientNice gives what nobody waits for a tenth of the processor while others want it, and all of it else.
const patientNice = 10

// pipes are pipes of which all are closed if one cannot be had.
type pipes struct {
	files []*os.File
	err   error
}

func (p *pipes) add() (r, w *os.File) {
	r, w, err := os.Pipe()
	p.err = errors.Join(p.err, err)
	p.files = append(p.files, r, w)
	return r, w
}

func (p *pipes) close() error {
	for _, f := range p.files {
		_ = f.Close() // nothing was written; the files of a failed pipe are nil, which Close does not mind
	}
	return p.err
}

// wait follows the process to its end: it owns the process, the input, what feeds it and the progress pipe.
func (s *stream) wait(cmd *exec.Cmd, in *input, fed <-chan error, progress *os.File) {
	s.follow(progress) // until ffmpeg closes it, at the latest by ending
	err := errors.Join(cmd.Wait(), progress.Close())
	s.cancel() // and with it what feeds a process that did not want all
	s.feedErr = <-fed
	err = errors.Join(s.feedErr, err, in.Close())
	s.waitErr = err
	s.e.active.Add(-1)
	s.place.leave()
	log := s.e.log.With("library", s.ref.Library, "path", s.ref.Path, "profile", s.ref.Profile.String(), "pid", s.pid, "took", s.e.clock.Now().Sub(s.started))
	switch {
	case err == nil:
		s.e.finished.Add(1)
		log.Debug("transcoded")
	case s.closed.Load():
		s.e.stopped.Add(1)
		log.Debug("transcode stopped: nobody listens any more")
	default:
		s.e.failed.Add(1)
		log.Warn("transcode failed", "err", err, "ffmpeg", s.stderr.String())
	}
	close(s.done)
}

// follow reads ffmpeg's progress reports, lines of key=value twice a second.
func (s *stream) follow(r io.Reader) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if v, ok := strings.CutPrefix(lines.Text(), "out_time_us="); ok {
			if us, err := strconv.ParseInt(v, 10, 64); err == nil && us > 0 {
				s.outTime.Store(us)
			}
		}
	}
	// A line longer than the scanner's 64 KiB would end the loop early; ffmpeg must not block on a full pipe then.
	_, _ = io.Copy(io.Discard, r)
}

// Progress is how much of the object has been made, from 0 to 1; 0 where that is not known.
func (s *stream) Progress() float64 {
	length := s.length
	if length == 0 {
		length = s.stderr.duration() - s.ref.Start - s.ref.Profile.Offset
	}
	if length <= 0 {
		return 0
	}
	made := time.Duration(s.outTime.Load()) * time.Microsecond
	return min(1, made.Seconds()/length.Seconds())
}

func (s *stream) Size() int64         { return s.size.Load() }
func (s *stream) ModTime() time.Time  { return s.modTime }
func (s *stream) ContentType() string { return s.contentType }

// CopyRange implements tutti.Object, from where the last call ended.
func (s *stream) CopyRange(ctx context.Context, w io.Writer, off, n int64) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if off != s.pos {
		return 0, tutti.Errorf(tutti.KindInvalid, "encode: read", "a stream that is being made is read from front to back")
	}
	buf := make([]byte, 64<<10)
	var total int64
	for n < 0 || total < n {
		b := buf
		if n >= 0 {
			b = buf[:min(int64(len(buf)), n-total)]
		}
		m, err := s.read(ctx, b)
		if m > 0 {
			taken, werr := w.Write(b[:m])
			total += int64(taken)
			if werr != nil {
				return total, werr
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return total, nil
		case err != nil:
			return total, err
		}
	}
	return total, nil
}

// ReadAt implements io.ReaderAt, from where the last call ended.
func (s *stream) ReadAt(p []byte, off int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if off != s.pos {
		return 0, tutti.Errorf(tutti.KindInvalid, "encode: read", "a stream that is being made is read from front to back")
	}
	total := 0
	for total < len(p) {
		n, err := s.read(context.Background(), p[total:])
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// read takes what ffmpeg has written. The end of the pipe is the end of the stream only if ffmpeg says that it went well.
func (s *stream) read(ctx context.Context, p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = s.out.SetReadDeadline(time.Unix(1, 0)) // a closed pipe needs no waking
		close(interrupted)
	})
	n, err := s.out.Read(p)
	if !stop() {
		<-interrupted // so that the deadline cannot meet a later read
		_ = s.out.SetReadDeadline(time.Time{})
	}
	if s.samples > 0 {
		stampSamples(p[:n], s.pos, s.samples)
	}
	s.pos += int64(n)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, tutti.Wrap(tutti.KindUnavailable, "encode: read", context.Cause(ctx))
	case !errors.Is(err, io.EOF):
		s.err = tutti.Wrap(tutti.KindUnavailable, "encode: read", err)
		return n, s.err
	}
	<-s.done
	switch {
	case s.feedErr != nil:
		s.err = tutti.Wrap(tutti.KindUnavailable, "encode: read the original", s.feedErr)
	case s.waitErr != nil:
		s.err = &tutti.Error{Kind: tutti.KindUnavailable, Op: "encode: run ffmpeg", Message: "this track could not be converted; the server's log says why", Err: s.waitErr}
	case s.pos == 0:
		s.err = tutti.Errorf(tutti.KindInvalid, "encode: run ffmpeg", "there is nothing to play after %s", s.ref.Start+s.ref.Profile.Offset)
	default:
		s.size.Store(s.pos)
		s.err = io.EOF
	}
	return n, s.err
}

// stampSamples writes the number of samples into the piece p, which lies at off, of a FLAC file. ffmpeg could do so
// only at the end, by going back; a player that finds 0 there can neither show the length nor seek. The 36 bits end
// STREAMINFO's eighteenth byte, and STREAMINFO follows the four bytes of "fLaC" and four of its header (RFC 9639 §8.1,
// §8.2). The field is zero as ffmpeg wrote it.
func stampSamples(p []byte, off, samples int64) {
	const last = 4 + 4 + 17
	for i := range int64(5) { // the fifth byte from the end shares its upper half with the bit depth
		if at := last - i - off; at >= 0 && at < int64(len(p)) {
			b := byte(samples >> (8 * i))
			if i == 4 {
				b &= 0x0F
			}
			p[at] |= b
		}
	}
}

// Close stops the process, if it still runs, and returns when it is gone.
func (s *stream) Close() error {
	if s.closed.Swap(true) {
		return tutti.Wrap(tutti.KindInternal, "encode: close", os.ErrClosed)
	}
	s.cancel()
	<-s.done
	return s.out.Close()
}

// tail keeps the end of what ffmpeg says, for the log, and the input's duration, which it says early.
type tail struct {
	mu   sync.Mutex
	b    []byte
	line []byte // the unfinished line
	d    time.Duration
}

const (
	tailSize = 4 << 10
	maxLine  = 256
)

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if len(t.b) > 2*tailSize { // moved once in a while, not at each write
		t.b = append(t.b[:0], t.b[len(t.b)-tailSize:]...)
	}
	for rest := p; len(rest) > 0 && t.d == 0; {
		part, after, ended := bytes.Cut(rest, []byte{'\n'})
		if room := maxLine - len(t.line); room > 0 {
			t.line = append(t.line, part[:min(len(part), room)]...)
		}
		if ended {
			t.d = inputDuration(t.line)
			t.line = t.line[:0]
		}
		rest = after
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b[max(0, len(t.b)-tailSize):])
}

func (t *tail) duration() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.d
}

// inputDuration reads a line such as "  Duration: 00:03:20.05, start: 0.000000, bitrate: 912 kb/s". Tags are printed
// deeper, so no title can pretend to be one.
func inputDuration(line []byte) time.Duration {
	s, ok := strings.CutPrefix(string(line), "  Duration: ")
	if !ok {
		return 0
	}
	s, _, _ = strings.Cut(s, ",")
	parts := strings.Split(s, ":")
	if len(parts) != 3 {
		return 0
	}
	h, err1 := strconv.ParseUint(parts[0], 10, 16)
	m, err2 := strconv.ParseUint(parts[1], 10, 8)
	sec, err3 := strconv.ParseFloat(parts[2], 64)
	if err1 != nil || err2 != nil || err3 != nil || !(sec >= 0 && sec < 60) {
		return 0
	}
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(sec*float64(time.Second))
}
