package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tutti/clock"
)

// dial connects with 1448-byte segments. Without that, loopback's 64 KiB segments make a slow reader with a small
// receive buffer wait for the sender's persist timer, which is an artefact of the test and no property of the server.
func dial(ctx context.Context, from net.IP, address string, receiveBuffer int) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from}, Control: func(_, _ string, c syscall.RawConn) error {
		var inner error
		err := c.Control(func(fd uintptr) {
			const tcpMaxSeg = 2 // TCP_MAXSEG, tcp(7)
			inner = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpMaxSeg, 1448)
			if inner == nil && receiveBuffer > 0 {
				inner = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receiveBuffer)
			}
		})
		return errors.Join(err, inner)
	}}
	return d.DialContext(ctx, "tcp", address)
}

func hostOf(url string) string { return strings.TrimPrefix(url, "http://") }

// percentile of a sorted or unsorted set; p in 0..1.
func percentile(d []time.Duration, p float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(d))
	return s[min(len(s)-1, int(p*float64(len(s))))]
}

// apiResult is what a run of requests cost.
type apiResult struct {
	requests int
	p50, p99 time.Duration
	cpu      time.Duration // of the server, a request
}

// request drives one path (or several, in turn) over a few keep-alive connections until n are done, after a warm-up.
func request(s *server, n, connections int, path func(i int) string) (apiResult, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	one := func(i int) error {
		resp, err := client.Get(s.url + path(i))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK || strings.Contains(string(body[:min(len(body), 200)]), `"status":"failed"`) {
			return fmt.Errorf("%s: %s %.200s", path(i), resp.Status, body)
		}
		return nil
	}
	for i := range max(10, n/10) {
		if err := one(i); err != nil {
			return apiResult{}, err
		}
	}
	before, err := s.measure()
	if err != nil {
		return apiResult{}, err
	}
	times := make([]time.Duration, n)
	var next atomic.Int64
	var failed error
	var once sync.Once
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				t := time.Now()
				if err := one(i); err != nil {
					once.Do(func() { failed = err })
					return
				}
				times[i] = time.Since(t)
			}
		})
	}
	wg.Wait()
	if failed != nil {
		return apiResult{}, failed
	}
	after, err := s.measure()
	if err != nil {
		return apiResult{}, err
	}
	return apiResult{
		requests: n, p50: percentile(times, 0.5), p99: percentile(times, 0.99),
		cpu: after.since(before).cpu / time.Duration(n),
	}, nil
}

// download reads paths over some connections, each a number of times, and throws the bytes away through one buffer.
func download(s *server, connections, rounds int, paths []string) (bytes int64, err error) {
	transport := &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true, ReadBufferSize: 256 << 10}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var total atomic.Int64
	var once sync.Once
	var wg sync.WaitGroup
	for c := range connections {
		wg.Go(func() {
			buf := make([]byte, 256<<10)
			for r := range rounds {
				if s.open != nil {
					n, e := drain(s, paths[(c+r)%len(paths)], buf)
					total.Add(n)
					if e != nil {
						once.Do(func() { err = e })
						return
					}
					continue
				}
				resp, e := client.Get(s.url + paths[(c+r)%len(paths)])
				if e == nil {
					var n int64
					n, e = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{resp.Body}, buf)
					total.Add(n)
					resp.Body.Close()
					if e == nil && resp.StatusCode != http.StatusOK {
						e = fmt.Errorf("%s", resp.Status)
					}
				}
				if e != nil {
					once.Do(func() { err = e })
					return
				}
			}
		})
	}
	wg.Wait()
	return total.Load(), err
}

// drain reads one stream to its end.
func drain(s *server, path string, buf []byte) (int64, error) {
	r, err := s.stream(context.Background(), path, 0)
	if err != nil {
		return 0, err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, buf)
	return n, errors.Join(err, r.Close())
}

// pieces reads n pieces of size bytes, each from another place of another track, over some kept-alive connections.
func pieces(s *server, connections, n int, size, length int64, paths []string) (bytes int64, err error) {
	transport := &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true, ReadBufferSize: 256 << 10}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var total, next atomic.Int64
	var once sync.Once
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			buf := make([]byte, 256<<10)
			for {
				i := next.Add(1) - 1
				if i >= int64(n) {
					return
				}
				from := i * 7919 * size % (length - size) / size * size
				e := func() error {
					req, err := http.NewRequest(http.MethodGet, s.url+paths[int(i)%len(paths)], nil)
					if err != nil {
						return err
					}
					req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, from+size-1))
					resp, err := client.Do(req)
					if err != nil {
						return err
					}
					defer resp.Body.Close()
					got, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{resp.Body}, buf)
					total.Add(got)
					if err == nil && (resp.StatusCode != http.StatusPartialContent || got != size) {
						err = fmt.Errorf("%s, %d bytes", resp.Status, got)
					}
					return err
				}()
				if e != nil {
					once.Do(func() { err = e })
					return
				}
			}
		})
	}
	wg.Wait()
	return total.Load(), err
}

// stream asks for a track on a connection of its own and returns its bytes; the caller closes it. A refusal is an error
// that says with which status.
func (s *server) stream(ctx context.Context, path string, receiveBuffer int) (io.ReadCloser, error) {
	if s.open != nil {
		return s.open(ctx, path)
	}
	c, err := dial(ctx, s.from, hostOf(s.url), receiveBuffer)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) }) // it only ends what waits
	fail := func(err error) (io.ReadCloser, error) {
		stop()
		return nil, errors.Join(err, c.Close())
	}
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n", path); err != nil {
		return fail(err)
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(c, 4096), nil)
	if err != nil {
		return fail(err)
	}
	if resp.StatusCode != http.StatusOK {
		return fail(&refusal{status: resp.StatusCode, retry: resp.Header.Get("Retry-After")})
	}
	return &httpStream{body: resp.Body, conn: c, stop: stop}, nil
}

// refusal is an answer that is no music.
type refusal struct {
	status int
	retry  string // its Retry-After
}

func (r *refusal) Error() string { return fmt.Sprintf("status %d, Retry-After %q", r.status, r.retry) }

type httpStream struct {
	body io.Reader
	conn net.Conn
	stop func() bool
}

func (h *httpStream) Read(p []byte) (int, error) { return h.body.Read(p) }

func (h *httpStream) Close() error {
	h.stop()
	return h.conn.Close()
}

// firstByte opens a stream and returns how long the first byte of the body takes.
func firstByte(ctx context.Context, s *server, path string) (time.Duration, error) {
	t := time.Now()
	r, err := s.stream(ctx, path, 0)
	if err != nil {
		return 0, err
	}
	var b [1]byte
	_, err = io.ReadFull(r, b[:])
	took := time.Since(t)
	return took, errors.Join(err, r.Close())
}

// pacedResult says how a crowd of listeners fared.
type pacedResult struct {
	listeners    int
	late         int // were at some moment more than a second of music behind, or never got a header
	firstBytes   []time.Duration
	refusedAfter []time.Duration // how long it took to tell them
	refusals     map[string]int  // what those were told who got no music, and how many were
	perMemory    int64           // bytes of the server's memory a listener, at the height
	cpu          time.Duration   // of the server a second of the hold's second half
}

// paced lets listeners start evenly over ramp and each read at rate bytes a second for hold after that. A listener is
// late when what has arrived falls more than a second behind what would have been played.
func paced(ctx context.Context, s *server, listeners int, rate float64, ramp, hold time.Duration, paths []string) (pacedResult, error) {
	before, err := s.measure()
	if err != nil {
		return pacedResult{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, ramp+hold+10*time.Second)
	defer cancel()
	end := time.Now().Add(ramp + hold)
	res := pacedResult{listeners: listeners, firstBytes: make([]time.Duration, listeners), refusals: map[string]int{}}
	var mu sync.Mutex
	late := make([]bool, listeners)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range listeners {
		wg.Go(func() {
			late[i] = true // until it has heard everything in time
			wait := time.NewTimer(time.Until(start.Add(ramp * time.Duration(i) / time.Duration(listeners))))
			defer wait.Stop()
			select {
			case <-wait.C:
			case <-ctx.Done():
				return
			}
			asked := time.Now()
			first, err := listen(ctx, s, paths[i%len(paths)], rate, end)
			res.firstBytes[i] = first
			late[i] = err != nil
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				res.refusals[err.Error()]++
				var refused *refusal
				if errors.As(err, &refused) {
					res.refusedAfter = append(res.refusedAfter, time.Since(asked))
				}
			}
		})
	}
	var at [2]usage
	for i, when := range []time.Duration{ramp + hold/2, ramp + hold*15/16} {
		t := time.NewTimer(time.Until(start.Add(when)))
		<-t.C
		if at[i], err = s.measure(); err != nil {
			cancel()
			break
		}
	}
	wg.Wait()
	if err != nil {
		return pacedResult{}, err
	}
	for _, l := range late {
		if l {
			res.late++
		}
	}
	res.perMemory = at[1].since(before).rss / int64(listeners)
	res.cpu = time.Duration(float64(at[1].since(at[0]).cpu) / (hold * 7 / 16).Seconds())
	return res, nil
}

// listen plays one stream until end, again from its start if it is shorter. The error is what became of the music if it
// was not all there in time.
func listen(ctx context.Context, s *server, path string, rate float64, end time.Time) (first time.Duration, err error) {
	asked := time.Now()
	ctx, cancel := context.WithDeadline(ctx, end.Add(5*time.Second))
	defer cancel()
	buf := make([]byte, 16<<10)
	var played time.Time // when the music began
	var arrived float64
	for time.Now().Before(end) {
		if err := func() error {
			r, err := s.stream(ctx, path, 64<<10)
			if err != nil {
				return err
			}
			defer r.Close()
			for time.Now().Before(end) {
				n, err := r.Read(buf)
				if n > 0 && played.IsZero() {
					played = time.Now()
					first = played.Sub(asked)
				}
				arrived += float64(n)
				if err == io.EOF {
					return nil
				}
				if err != nil {
					return errors.New("cut")
				}
				position := time.Since(played).Seconds() * rate
				if arrived < position-rate {
					return errors.New("a second behind")
				}
				if ahead := arrived - position; ahead > 2*rate { // two seconds in the player's buffer are enough
					if err := clock.Sleep(ctx, clock.System, time.Duration((ahead-rate)/rate*float64(time.Second))); err != nil {
						return err
					}
				}
			}
			return nil
		}(); err != nil {
			return first, err
		}
	}
	if played.IsZero() || first >= time.Second {
		return first, errors.New("a second late")
	}
	return first, nil
}
