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
)

// dial connects with 1448-byte segments. Without that, loopback's 64 KiB segments make a slow reader with a small
// receive buffer wait for the sender's persist timer, which is an artefact of the test and no property of the server.
func dial(ctx context.Context, address string, receiveBuffer int) (net.Conn, error) {
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
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

// firstByte asks on a connection that is open already and returns how long the first byte of the body takes.
func firstByte(ctx context.Context, s *server, path string) (time.Duration, error) {
	c, err := dial(ctx, hostOf(s.url), 0)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	t := time.Now()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n", path); err != nil {
		return 0, err
	}
	r := bufio.NewReaderSize(c, 4096)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s", path, resp.Status)
	}
	var b [1]byte
	if _, err := io.ReadFull(resp.Body, b[:]); err != nil {
		return 0, err
	}
	return time.Since(t), nil
}

// pacedResult says how a crowd of listeners fared.
type pacedResult struct {
	listeners  int
	late       int // were at some moment more than a second of music behind, or never got a header
	firstBytes []time.Duration
	perMemory  int64 // bytes of the server's memory a listener, at the height
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
	res := pacedResult{listeners: listeners, firstBytes: make([]time.Duration, listeners)}
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
			first, ok := listen(ctx, s, paths[i%len(paths)], rate, end)
			res.firstBytes[i] = first
			late[i] = !ok
		})
	}
	height := time.NewTimer(ramp + hold*3/4)
	defer height.Stop()
	<-height.C
	at, err := s.measure()
	wg.Wait()
	if err != nil {
		return pacedResult{}, err
	}
	for _, l := range late {
		if l {
			res.late++
		}
	}
	res.perMemory = at.since(before).rss / int64(listeners)
	return res, nil
}

// listen plays one stream until end, again from its start if it is shorter, and reports whether the music never ran out.
func listen(ctx context.Context, s *server, path string, rate float64, end time.Time) (first time.Duration, ok bool) {
	asked := time.Now()
	deadline := end.Add(5 * time.Second)
	buf := make([]byte, 16<<10)
	var played time.Time // when the music began
	var arrived float64
	for time.Now().Before(end) {
		c, err := dial(ctx, hostOf(s.url), 64<<10)
		if err != nil {
			return first, false
		}
		fine := func() bool {
			defer c.Close()
			if err := c.SetDeadline(deadline); err != nil {
				return false
			}
			if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n", path); err != nil {
				return false
			}
			r := bufio.NewReaderSize(c, 4096)
			resp, err := http.ReadResponse(r, nil)
			if err != nil || resp.StatusCode != http.StatusOK {
				return false
			}
			defer resp.Body.Close()
			for time.Now().Before(end) {
				n, err := resp.Body.Read(buf)
				if n > 0 && played.IsZero() {
					played = time.Now()
					first = played.Sub(asked)
				}
				arrived += float64(n)
				if err == io.EOF {
					return true
				}
				if err != nil {
					return false
				}
				position := time.Since(played).Seconds() * rate
				if arrived < position-rate {
					return false // a second behind
				}
				if ahead := arrived - position; ahead > 2*rate { // two seconds in the player's buffer are enough
					t := time.NewTimer(time.Duration((ahead - rate) / rate * float64(time.Second)))
					select {
					case <-t.C:
					case <-ctx.Done():
						t.Stop()
						return false
					}
				}
			}
			return true
		}()
		if !fine {
			return first, false
		}
	}
	return first, !played.IsZero() && first < time.Second
}
