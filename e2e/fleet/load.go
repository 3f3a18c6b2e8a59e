package fleet

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// LoadConfig describes a crowd of listeners.
type LoadConfig struct {
	Client    *Client
	Tracks    []Track       // what they play, each listener in an order of its own
	Listeners int           // each plays one track after the other
	Rate      int           // bytes a second that a listener's music takes
	Ramp      time.Duration // the listeners start evenly over this
	Seed      uint64
}

// A listener's player: it starts to play once it has prebuffer of music, and reads until it has ahead of it. So the
// music stops when nothing arrives for a bit more than ahead. Players in the field hold more (10 s and up).
const (
	prebuffer = 500 * time.Millisecond
	ahead     = 6 * time.Second
	// receiveBuffer of the listener's socket, in bytes: less than half a second of music, so that the kernel hides nothing.
	receiveBuffer = 64 << 10
	// silence is how long a listener waits for a byte before it gives the connection up.
	silence = 20 * time.Second
)

// Stats is how a crowd fared in a span of time.
type Stats struct {
	Starts     int             // tracks that were asked for and of which a first byte came
	FirstByte  []time.Duration // from the connection's begin to the body's first byte, of each start
	Finished   int             // tracks that arrived whole
	Bytes      int64
	Wrong      int           // deliveries with a byte that is not the file's
	Cuts       int           // bodies that ended early or with an error
	Stalls     int           // times that the music stopped because nothing was left to play
	Longest    time.Duration // the longest of these
	Statuses   map[int]int   // of answers that had no music: neither 200 nor 206, or 200 and a document that says why
	Unanswered int           // requests that got no answer: refused or reset connections
	Examples   []string      // the first few things that went wrong, with their time
}

// add counts what another span of time saw as well.
func (s *Stats) add(o Stats) {
	s.Starts, s.Finished, s.Bytes = s.Starts+o.Starts, s.Finished+o.Finished, s.Bytes+o.Bytes
	s.FirstByte = append(s.FirstByte, o.FirstByte...)
	s.Wrong, s.Cuts, s.Unanswered = s.Wrong+o.Wrong, s.Cuts+o.Cuts, s.Unanswered+o.Unanswered
	s.Stalls, s.Longest = s.Stalls+o.Stalls, max(s.Longest, o.Longest)
	for status, n := range o.Statuses {
		if s.Statuses == nil {
			s.Statuses = map[int]int{}
		}
		s.Statuses[status] += n
	}
	s.Examples = append(s.Examples, o.Examples[:min(len(o.Examples), maxExamples-len(s.Examples))]...)
}

// String is for a person who wonders what went wrong.
func (s *Stats) String() string {
	return fmt.Sprintf("%d starts (p50 %v, p99 %v), %d finished, %d MB, %d wrong, %d cut, %d stalls (longest %v), refused %v, %d unanswered\n\t%s",
		s.Starts, s.P(0.5), s.P(0.99), s.Finished, s.Bytes>>20, s.Wrong, s.Cuts, s.Stalls, s.Longest, s.Statuses, s.Unanswered,
		strings.Join(s.Examples, "\n\t"))
}

// P returns the share's percentile of the starts' first bytes, 0 without any.
func (s *Stats) P(share float64) time.Duration { return percentile(s.FirstByte, share) }

func percentile(d []time.Duration, share float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(d))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

// Refused is how many answers had no music.
func (s *Stats) Refused() int {
	n := 0
	for _, k := range s.Statuses {
		n += k
	}
	return n
}

// maxExamples is how many examples are kept.
const maxExamples = 12

// Load is a crowd at play.
type Load struct {
	config LoadConfig
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	stats  Stats
	active int // listeners with a stream
}

// StartLoad lets the listeners start. Stop ends them.
func StartLoad(ctx context.Context, c LoadConfig) *Load {
	ctx, cancel := context.WithCancel(ctx)
	l := &Load{config: c, cancel: cancel, stats: Stats{Statuses: map[int]int{}}}
	for i := range c.Listeners {
		l.wg.Go(func() {
			if wait(ctx, c.Ramp*time.Duration(i)/time.Duration(c.Listeners)) == nil {
				l.listen(ctx, rand.New(rand.NewPCG(c.Seed, uint64(i))))
			}
		})
	}
	return l
}

// Stop ends the listeners and returns what they saw since Take.
func (l *Load) Stop() Stats {
	l.cancel()
	l.wg.Wait()
	return l.Take()
}

// Take returns what the listeners saw since it was last called.
func (l *Load) Take() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	l.stats = Stats{Statuses: map[int]int{}}
	return s
}

// Active is how many listeners have a stream that runs.
func (l *Load) Active() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.active
}

func (l *Load) note(fn func(s *Stats), format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fn(&l.stats)
	if format != "" && len(l.stats.Examples) < maxExamples {
		l.stats.Examples = append(l.stats.Examples, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
	}
}

// listen plays tracks until the context ends.
func (l *Load) listen(ctx context.Context, random *rand.Rand) {
	for first := true; ctx.Err() == nil; first = false {
		p := &player{load: l, track: l.config.Tracks[random.IntN(len(l.config.Tracks))], random: random}
		if first { // in the middle of something, so that they do not all end at the same time
			p.from = random.Int64N(p.track.Size)
			p.arrived = p.from
		}
		p.play(ctx)
	}
}

// player plays one track.
type player struct {
	load   *Load
	track  Track
	random *rand.Rand

	from    int64     // where it begins
	arrived int64     // up to where it has come
	begun   time.Time // when the first note sounded, moved on by every stop; zero before
}

// play reads the track to its end, and takes it up where it broke off, as players do. It gives up on a track that does
// not start.
func (p *player) play(ctx context.Context) {
	f, err := os.Open(p.track.File)
	if err != nil {
		p.load.note(func(s *Stats) { s.Wrong++ }, "%v", err)
		_ = wait(ctx, time.Second)
		return
	}
	defer f.Close()
	for again := true; again && ctx.Err() == nil; {
		var pause time.Duration
		again, pause = p.request(ctx, f)
		_ = wait(ctx, pause)
	}
}

// request asks for the rest of the track and plays it as far as it comes. It reports whether to ask again, and how long
// to wait before that, or before the next track.
func (p *player) request(ctx context.Context, f *os.File) (again bool, pause time.Duration) {
	l, from := p.load, p.arrived
	asked := time.Now()
	conn, err := dial(ctx, strings.TrimPrefix(l.config.Client.URL, "http://"))
	if err != nil {
		if ctx.Err() == nil {
			l.note(func(s *Stats) { s.Unanswered++ }, "%s at %d: %v", p.track.Title, from, err)
		}
		return true, 100 * time.Millisecond
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	header := ""
	if from > 0 || p.random.IntN(2) == 0 { // browsers begin with a range, other players without
		header = fmt.Sprintf("Range: bytes=%d-\r\n", from)
	}
	path := l.config.Client.Rest("stream", url.Values{"id": {p.track.ID}, "format": {"raw"}})
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: fleet\r\nConnection: close\r\n%s\r\n", path, header)
	var resp *http.Response
	if err == nil {
		if err = conn.SetReadDeadline(time.Now().Add(silence)); err == nil {
			resp, err = http.ReadResponse(bufio.NewReaderSize(conn, 16<<10), nil)
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			l.note(func(s *Stats) { s.Unanswered++ }, "%s at %d: no answer after %v: %v", p.track.Title, from, time.Since(asked).Round(time.Millisecond), err)
		}
		return true, 100 * time.Millisecond
	}
	defer resp.Body.Close()
	// OpenSubsonic says most of what goes wrong with a status of 200 and a document.
	document := strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json")
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent || document {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 200)) // for the message; what cannot be read is not in it
		l.note(func(s *Stats) { s.Statuses[resp.StatusCode]++ }, "%s at %d: %s after %v: %s", p.track.Title, from, resp.Status, time.Since(asked).Round(time.Millisecond), bytes.TrimSpace(b))
		after, err := strconv.Atoi(resp.Header.Get("Retry-After"))
		if err != nil {
			after = 1
		}
		return from > p.from, min(time.Duration(after)*time.Second, time.Second)
	}
	if resp.ContentLength != p.track.Size-from {
		l.note(func(s *Stats) { s.Wrong++ }, "%s at %d: %d bytes announced of %d", p.track.Title, from, resp.ContentLength, p.track.Size)
		return false, 0
	}
	l.mu.Lock()
	l.active++
	l.mu.Unlock()
	err = p.read(ctx, conn, resp.Body, f, asked)
	l.mu.Lock()
	l.active--
	l.mu.Unlock()
	switch {
	case err == nil:
		l.note(func(s *Stats) { s.Finished++ }, "")
		return false, time.Until(p.begun.Add(p.length(p.track.Size - p.from))) // it is played out
	case errors.Is(err, errWrong):
		l.note(func(s *Stats) { s.Wrong++ }, "%s: the bytes before %d are not the file's", p.track.Title, p.arrived)
		return false, 0
	case ctx.Err() != nil:
		return false, 0
	}
	l.note(func(s *Stats) { s.Cuts++ }, "%s: cut at %d of %d: %v", p.track.Title, p.arrived, p.track.Size, err)
	return true, 50 * time.Millisecond
}

// length is how long so many bytes play.
func (p *player) length(n int64) time.Duration {
	return time.Duration(float64(n) / float64(p.load.config.Rate) * float64(time.Second))
}

// errWrong says that a byte differs from the file.
var errWrong = errors.New("the bytes are not the file's")

// read takes a body at the music's pace and compares it with the file. It returns nil at the track's end.
func (p *player) read(ctx context.Context, conn net.Conn, body io.Reader, f *os.File, asked time.Time) error {
	l := p.load
	buf, want := make([]byte, 32<<10), make([]byte, 32<<10)
	for {
		if err := conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return err
		}
		n, err := body.Read(buf)
		now := time.Now()
		if n > 0 {
			if _, e := f.ReadAt(want[:n], p.arrived); e != nil || !bytes.Equal(buf[:n], want[:n]) {
				return errWrong
			}
			if p.arrived == p.from {
				l.note(func(s *Stats) { s.Starts++; s.FirstByte = append(s.FirstByte, now.Sub(asked)) }, "")
			}
			before := p.arrived
			p.arrived += int64(n)
			if !p.begun.IsZero() {
				if late := now.Sub(p.begun.Add(p.length(before - p.from))); late > 0 {
					l.note(func(s *Stats) { s.Stalls++; s.Longest = max(s.Longest, late) }, "%s: silent for %v at %d", p.track.Title, late.Round(time.Millisecond), before)
					p.begun = p.begun.Add(late)
				}
			} else if p.length(p.arrived-p.from) >= prebuffer {
				p.begun = now
			}
			l.mu.Lock()
			l.stats.Bytes += int64(n)
			l.mu.Unlock()
		}
		switch {
		case p.arrived == p.track.Size:
			return nil
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
		if !p.begun.IsZero() {
			if have := p.begun.Add(p.length(p.arrived - p.from)).Sub(now); have > ahead {
				if err := wait(ctx, have-ahead+100*time.Millisecond); err != nil {
					return err
				}
			}
		}
	}
}

// dial connects with 1448-byte segments and a small receive buffer. With loopback's own segments of 64 KiB, a slow
// reader with a small buffer waits for the sender's persist timer, which would be an artefact of the test.
func dial(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: 5 * time.Second, Control: func(_, _ string, c syscall.RawConn) error {
		var inner error
		err := c.Control(func(fd uintptr) {
			const tcpMaxSeg = 2 // TCP_MAXSEG, tcp(7)
			inner = errors.Join(
				syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpMaxSeg, 1448),
				syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receiveBuffer),
			)
		})
		return errors.Join(err, inner)
	}}
	return d.DialContext(ctx, "tcp", address)
}

// Attempt is how one request for a track's first bytes ended.
type Attempt struct {
	Status     int // 0 without an answer
	Took       time.Duration
	RetryAfter string
	Err        error
}

// Try asks for the first 64 KiB of each track at the same time, as so many impatient listeners would.
func Try(ctx context.Context, c *Client, tracks []Track) []Attempt {
	out := make([]Attempt, len(tracks))
	var wg sync.WaitGroup
	for i, t := range tracks {
		wg.Go(func() {
			begin := time.Now()
			header := http.Header{"Range": {"bytes=0-65535"}}
			b, _, err := c.do(ctx, http.MethodGet, c.Rest("stream", url.Values{"id": {t.ID}, "format": {"raw"}}), header, nil)
			out[i] = Attempt{Took: time.Since(begin), Err: err, Status: http.StatusPartialContent}
			var refused *StatusError
			switch {
			case errors.As(err, &refused):
				out[i].Status, out[i].RetryAfter = refused.Status, refused.Header.Get("Retry-After")
			case err != nil:
				out[i].Status = 0
			default:
				want, e := os.ReadFile(t.File)
				if e != nil || !bytes.Equal(b, want[:min(len(want), 64<<10)]) {
					out[i].Err = errors.Join(fmt.Errorf("%w: %d of them: %.200q", errWrong, len(b), b), e)
				}
			}
		})
	}
	wg.Wait()
	return out
}
