package delivery

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tutti"
	"tutti/clock"
)

func TestOriginal(t *testing.T) {
	lib := newLibrary(t)
	content := noise(300_000)
	lib.add(t, "tr-1", "Album/01 - Été.flac", content)
	e := start(t, lib, nil)

	whole := e.do(t, "GET", "/audio/tr-1")
	tag, modified := whole.Header.Get("ETag"), whole.Header.Get("Last-Modified")
	if !regexp.MustCompile(`^"[A-Za-z0-9_-]{22}"$`).MatchString(tag) {
		t.Errorf("ETag %s is not a strong one", tag)
	}
	if modified != "Sun, 01 Mar 2026 12:30:15 GMT" {
		t.Errorf("Last-Modified %s", modified)
	}

	for _, test := range []struct {
		name   string
		method string
		header []string
		status int
		part   span   // of the content
		ranges string // Content-Range
	}{
		{"the whole", "GET", nil, 200, span{0, 300_000}, ""},
		{"HEAD", "HEAD", nil, 200, span{}, ""},
		{"HEAD knows no Range", "HEAD", []string{"Range: bytes=0-9"}, 200, span{}, ""},
		{"a form that is answered like GET knows none either", "POST", []string{"Range: bytes=0-9"}, 200, span{0, 300_000}, ""},
		{"first bytes", "GET", []string{"Range: bytes=0-99"}, 206, span{0, 100}, "bytes 0-99/300000"},
		{"from the beginning", "GET", []string{"Range: bytes=0-"}, 206, span{0, 300_000}, "bytes 0-299999/300000"},
		{"to the end", "GET", []string{"Range: bytes=299999-"}, 206, span{299_999, 1}, "bytes 299999-299999/300000"},
		{"the last bytes", "GET", []string{"Range: bytes=-1000"}, 206, span{299_000, 1000}, "bytes 299000-299999/300000"},
		{"several ranges", "GET", []string{"Range: bytes=0-1,5-6"}, 200, span{0, 300_000}, ""},
		{"beyond the end", "GET", []string{"Range: bytes=300000-"}, 416, span{}, "bytes */300000"},
		{"nonsense", "GET", []string{"Range: bytes=x"}, 416, span{}, "bytes */300000"},
		{"another unit", "GET", []string{"Range: seconds=1-2"}, 200, span{0, 300_000}, ""},
		{"If-Range with our tag", "GET", []string{"Range: bytes=5-9", "If-Range: " + tag}, 206, span{5, 5}, "bytes 5-9/300000"},
		{"If-Range with another tag", "GET", []string{"Range: bytes=5-9", `If-Range: "old"`}, 200, span{0, 300_000}, ""},
		{"If-Range with a weak tag", "GET", []string{"Range: bytes=5-9", "If-Range: W/" + tag}, 200, span{0, 300_000}, ""},
		{"If-Range with our date", "GET", []string{"Range: bytes=5-9", "If-Range: " + modified}, 206, span{5, 5}, "bytes 5-9/300000"},
		{"If-Range with a later date", "GET", []string{"Range: bytes=5-9", "If-Range: Sun, 01 Mar 2026 12:30:16 GMT"}, 200, span{0, 300_000}, ""},
		{"If-None-Match", "GET", []string{"If-None-Match: " + tag}, 304, span{}, ""},
		{"If-None-Match, HEAD", "HEAD", []string{"If-None-Match: " + tag}, 304, span{}, ""},
		{"If-None-Match, in a list", "GET", []string{`If-None-Match: "x", W/` + tag}, 304, span{}, ""},
		{"If-None-Match, another", "GET", []string{`If-None-Match: "x"`, "If-Modified-Since: " + modified}, 200, span{0, 300_000}, ""},
		{"If-None-Match, any", "GET", []string{"If-None-Match: *", "Range: bytes=0-1"}, 304, span{}, ""},
		{"If-Modified-Since", "GET", []string{"If-Modified-Since: " + modified}, 304, span{}, ""},
		{"If-Modified-Since, before", "GET", []string{"If-Modified-Since: Sun, 01 Mar 2026 12:30:14 GMT"}, 200, span{0, 300_000}, ""},
		{"If-Match", "GET", []string{"If-Match: " + tag, "Range: bytes=0-1"}, 206, span{0, 2}, "bytes 0-1/300000"},
		{"If-Match, another", "GET", []string{`If-Match: "x"`}, 412, span{}, ""},
		{"If-Unmodified-Since", "GET", []string{"If-Unmodified-Since: Sun, 01 Mar 2026 12:30:14 GMT"}, 412, span{}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := e.do(t, test.method, "/audio/tr-1", test.header...)
			if got.err != nil {
				t.Fatal(got.err)
			}
			want := content[test.part.start : test.part.start+test.part.length]
			if got.StatusCode != test.status || !bytes.Equal(got.body, want) || got.Header.Get("Content-Range") != test.ranges {
				t.Errorf("%d, %d bytes, Content-Range %q; want %d, %d, %q", got.StatusCode, len(got.body), got.Header.Get("Content-Range"), test.status, len(want), test.ranges)
			}
			h := got.Header
			switch got.StatusCode {
			case 200, 206:
				length := len(want)
				if test.method == "HEAD" {
					length = len(content)
				}
				for k, v := range map[string]string{
					"Content-Type": "audio/flac", "Accept-Ranges": "bytes", "Content-Length": strconv.Itoa(length), "ETag": tag, "Last-Modified": modified,
					"Cache-Control": "private, no-cache", "X-Content-Duration": "90.000", "Content-Disposition": "", "Content-Encoding": "",
				} {
					if h.Get(k) != v {
						t.Errorf("%s: %q, want %q", k, h.Get(k), v)
					}
				}
			case 304:
				for k, v := range map[string]string{"ETag": tag, "Last-Modified": modified, "Cache-Control": "private, no-cache", "Content-Type": "", "Content-Length": ""} {
					if h.Get(k) != v {
						t.Errorf("%s: %q, want %q", k, h.Get(k), v)
					}
				}
			}
		})
	}
}

func TestETagNamesTheBytes(t *testing.T) {
	lib := newLibrary(t)
	a := lib.add(t, "tr-1", "a.flac", noise(10))
	e := start(t, lib, nil)
	first := e.do(t, "GET", "/audio/tr-1").Header.Get("ETag")
	if again := e.do(t, "GET", "/audio/tr-1").Header.Get("ETag"); again != first {
		t.Errorf("the tag changed from %s to %s without cause", first, again)
	}
	a.track.Version = "v2"
	second := e.do(t, "GET", "/audio/tr-1").Header.Get("ETag")
	a.profile = tutti.Profile{Format: "mp3", BitRate: 128}
	third := e.do(t, "GET", "/audio/tr-1").Header.Get("ETag")
	if first == second || second == third || first == third {
		t.Errorf("versions and profiles share a tag: %s %s %s", first, second, third)
	}
}

func TestDownloadNames(t *testing.T) {
	lib := newLibrary(t)
	lib.add(t, "tr-1", "Album/01 - Été.flac", noise(10))
	cut := lib.add(t, "tr-2", "Album/02 - Plain.flac", noise(10))
	cut.profile, cut.suffix = tutti.Profile{Format: "mp3"}, "mp3"
	e := start(t, lib, nil)
	if got := e.do(t, "GET", "/audio/tr-1?download").Header.Get("Content-Disposition"); got != `attachment; filename="01 - _t_.flac"; filename*=UTF-8''01%20-%20%C3%89t%C3%A9.flac` {
		t.Error(got)
	}
	if got := e.do(t, "GET", "/audio/tr-2?download").Header.Get("Content-Disposition"); got != `attachment; filename="02 - Plain.mp3"` {
		t.Error(got)
	}
}

func TestProblemsBeforeTheFirstByte(t *testing.T) {
	lib := newLibrary(t)
	lib.add(t, "tr-1", "a.flac", noise(10)).openErr = tutti.Errorf(tutti.KindExhausted, "test", "too many transcodes at once; try again soon")
	lib.add(t, "tr-2", "b.flac", noise(10))
	if err := os.Remove(filepath.Join(lib.dir, "b.flac")); err != nil {
		t.Fatal(err)
	}
	e := start(t, lib, nil)
	busy := e.do(t, "GET", "/audio/tr-1")
	if busy.StatusCode != 429 || busy.Header.Get("Retry-After") != "5" || string(busy.body) != "too many transcodes at once; try again soon\n" {
		t.Errorf("%d, %v, %q", busy.StatusCode, busy.Header, busy.body)
	}
	for _, id := range []string{"tr-2", "tr-none"} {
		if got := e.do(t, "GET", "/audio/"+id); got.StatusCode != 404 {
			t.Errorf("%s: %d %q", id, got.StatusCode, got.body)
		}
	}
}

func TestMemoryAndEmpty(t *testing.T) {
	lib := newLibrary(t)
	content := noise(500_000)
	lib.add(t, "tr-1", "a.flac", content).inMemory = true
	lib.add(t, "tr-2", "empty.flac", nil)
	e := start(t, lib, nil)
	if got := e.do(t, "GET", "/audio/tr-1"); !bytes.Equal(got.body, content) || got.err != nil {
		t.Errorf("%d bytes, %v", len(got.body), got.err)
	}
	if got := e.do(t, "GET", "/audio/tr-1", "Range: bytes=100000-399999"); !bytes.Equal(got.body, content[100_000:400_000]) || got.err != nil {
		t.Errorf("%d bytes, %v", len(got.body), got.err)
	}
	if got := e.do(t, "GET", "/audio/tr-2", "Range: bytes=0-"); got.StatusCode != 200 || len(got.body) != 0 || got.Header.Get("Content-Length") != "0" {
		t.Errorf("an empty file: %d %v", got.StatusCode, got.Header)
	}
}

// TestStillBeingMade listens to a transcode while it is made, and again when it is done.
func TestStillBeingMade(t *testing.T) {
	lib := newLibrary(t)
	_, m := lib.addMaking(t, "tr-1", "a.opus")
	content := noise(200_000)
	e := start(t, lib, nil)

	head := e.do(t, "HEAD", "/audio/tr-1")
	if head.StatusCode != 200 || head.Header.Get("Accept-Ranges") != "none" || head.ContentLength != -1 || head.Header.Get("ETag") != "" {
		t.Errorf("HEAD: %d %v", head.StatusCode, head.Header)
	}
	lib.mu.Lock()
	if lib.opened != 0 {
		t.Error("HEAD set the transcoder to work")
	}
	lib.mu.Unlock()

	m.write(t, content[:10])
	req, err := http.NewRequestWithContext(t.Context(), "GET", e.url+"/audio/tr-1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Range", "bytes=0-")
	res, err := e.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 200 || res.ContentLength != -1 || res.Header.Get("Accept-Ranges") != "none" || res.Header.Get("Content-Type") != "audio/ogg; codecs=opus" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	got := make([]byte, len(content))
	if _, err := io.ReadFull(res.Body, got[:10]); err != nil { // what there is comes without waiting for more
		t.Fatal(err)
	}
	m.write(t, content[10:100_000])
	if _, err := io.ReadFull(res.Body, got[10:100_000]); err != nil {
		t.Fatal(err)
	}
	m.write(t, content[100_000:])
	m.end(nil)
	rest, err := io.ReadAll(res.Body)
	if err != nil || !bytes.Equal(append(got[:100_000], rest...), content) {
		t.Errorf("%d bytes more, %v", len(rest), err)
	}
	if err := res.Body.Close(); err != nil {
		t.Error(err)
	}

	done := e.do(t, "GET", "/audio/tr-1", "Range: bytes=50-59")
	if done.StatusCode != 206 || !bytes.Equal(done.body, content[50:60]) || done.Header.Get("ETag") == "" {
		t.Errorf("once complete: %d %v", done.StatusCode, done.Header)
	}
}

func TestEstimatedLength(t *testing.T) {
	content := noise(100_000)
	for _, test := range []struct {
		name     string
		estimate int64
		received int
		cut      bool
	}{
		{"too short: the rest is not sent", 60_000, 60_000, false},
		{"right", 100_000, 100_000, false},
		{"too long: the connection ends", 130_000, 100_000, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			lib := newLibrary(t)
			it, m := lib.addMaking(t, "tr-1", "a.opus")
			it.estimate = test.estimate
			e := start(t, lib, nil)
			got := make(chan reply)
			go func() { got <- e.do(t, "GET", "/audio/tr-1?estimate") }()
			eventually(t, "the track is opened", func() bool { return lib.open() == 1 })
			for part := range 10 {
				m.write(t, content[part*10_000:(part+1)*10_000])
			}
			m.end(nil)
			r := <-got
			if r.ContentLength != test.estimate || len(r.body) != test.received || !bytes.Equal(r.body, content[:test.received]) {
				t.Errorf("declared %d, received %d", r.ContentLength, len(r.body))
			}
			if cut := errors.Is(r.err, io.ErrUnexpectedEOF); cut != test.cut {
				t.Errorf("reading ended with %v", r.err)
			}
		})
	}
}

// TestFailureMidway: an answer that is not whole must not look whole, neither with a length nor in chunks.
func TestFailureMidway(t *testing.T) {
	lib := newLibrary(t)
	lib.add(t, "tr-1", "a.flac", noise(200_000)).failAt = 120_000
	_, m := lib.addMaking(t, "tr-2", "b.opus")
	m.write(t, noise(5000))
	e := start(t, lib, nil)
	got := e.do(t, "GET", "/audio/tr-1")
	if !errors.Is(got.err, io.ErrUnexpectedEOF) || len(got.body) != 120_000 {
		t.Errorf("%d bytes, %v", len(got.body), got.err)
	}
	chunked := make(chan reply)
	go func() { chunked <- e.do(t, "GET", "/audio/tr-2") }()
	eventually(t, "the track is opened", func() bool { return lib.open() == 1 })
	m.end(tutti.Errorf(tutti.KindInternal, "test", "ffmpeg crashed"))
	if got := <-chunked; got.err == nil || len(got.body) != 5000 {
		t.Errorf("%d bytes, %v", len(got.body), got.err)
	}
	if n := e.metric(t, "tutti_stream_ends_total", "failed"); n != 2 {
		t.Errorf("%v failures counted", n)
	}
	if log := e.log.String(); !strings.Contains(log, "ffmpeg crashed") || !strings.Contains(log, "the disk is gone") {
		t.Errorf("the log does not say why: %s", log)
	}
}

// TestListenerLeaves: the transcode that only they listened to must not go on.
func TestListenerLeaves(t *testing.T) {
	lib := newLibrary(t)
	_, m := lib.addMaking(t, "tr-1", "a.opus")
	m.write(t, noise(1000))
	e := start(t, lib, nil)
	res, err := e.client.Get(e.url + "/audio/tr-1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(res.Body, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the track is closed", func() bool { return lib.open() == 0 })
	eventually(t, "it is counted", func() bool { return e.metric(t, "tutti_stream_ends_total", "left") == 1 })
	if strings.Contains(e.log.String(), "level=ERROR") {
		t.Errorf("somebody leaving is no error: %s", e.log)
	}
}

// TestStalledListener: who takes nothing is dropped, who takes little is not.
func TestStalledListener(t *testing.T) {
	lib := newLibrary(t)
	lib.add(t, "tr-1", "a.flac", noise(16<<20))
	lib.add(t, "tr-2", "b.flac", noise(16<<20)).inMemory = true
	e := start(t, lib, func(_ *ServerConfig, sc *StreamerConfig) { sc.Stall = 150 * time.Millisecond })
	for _, id := range []string{"tr-1", "tr-2"} {
		conn := rawGet(t, e, "/audio/"+id)
		eventually(t, "the one who takes nothing is dropped", func() bool { return lib.open() == 0 })
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	if n := e.metric(t, "tutti_stream_ends_total", "stalled"); n != 2 {
		t.Errorf("%v stalls counted: %s", n, e.log)
	}

	conn := rawGet(t, e, "/audio/tr-1")
	buf := make([]byte, 64<<10)
	begin := time.Now()
	for time.Since(begin) < 600*time.Millisecond { // four times the limit
		if _, err := io.ReadFull(conn, buf); err != nil {
			t.Fatalf("a slow listener was dropped after %v: %v", time.Since(begin), err)
		}
		if err := clock.Sleep(t.Context(), clock.System, 5*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

// rawGet asks on a connection with a small receive buffer and reads nothing.
func rawGet(t testing.TB, e *edge, path string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the track is opened", func() bool { return e.lib.open() == 1 })
	return conn
}

// countingConn counts what reaches the connection, and how.
type countingConn struct {
	*tcpConn
	n *counts
}

type counts struct{ direct, through, bytes, written atomic.Int64 }

func (c countingConn) sendFile(lr *io.LimitedReader) (int64, error) {
	if _, ok := lr.R.(*os.File); ok {
		c.n.direct.Add(1)
	}
	n, err := c.tcpConn.sendFile(lr)
	c.n.bytes.Add(n)
	return n, err
}

func (c countingConn) ReadFrom(r io.Reader) (int64, error) {
	if lr, ok := r.(*io.LimitedReader); ok {
		if _, ok := lr.R.(*os.File); ok {
			c.n.through.Add(1)
		}
	}
	return c.tcpConn.ReadFrom(r)
}

func (c countingConn) Write(p []byte) (int, error) {
	c.n.written.Add(int64(len(p)))
	return c.tcpConn.Write(p)
}

type countingListener struct {
	net.Listener
	n *counts
}

func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countingConn{c.(*tcpConn), l.n}, nil
}

// TestNothingHidesTheFile: through every middleware there is, an original reaches the connection as a file, and its
// bytes are not copied. Nor is the connection lost for the next request, though net/http did not send the body.
func TestNothingHidesTheFile(t *testing.T) {
	lib := newLibrary(t)
	content := noise(3 << 20)
	lib.add(t, "tr-1", "a.flac", content)
	var n counts
	wire := func(next http.Handler) http.Handler { // as a wire might wrap the writer
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(struct {
				http.ResponseWriter
				unwrapper
			}{w, unwrapper{w}}, r)
		})
	}
	e := start(t, lib, func(c *ServerConfig, _ *StreamerConfig) { c.Mounts[0].Handler = wire(c.Mounts[0].Handler) })
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	second := &http.Server{Handler: e.Server, ConnContext: keepConn}
	done := make(chan error)
	go func() { done <- second.Serve(countingListener{listener{inner}, &n}) }()
	reused := 0
	for range 5 {
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
			if i.Reused {
				reused++
			}
		}})
		req, err := http.NewRequestWithContext(ctx, "GET", "http://"+inner.Addr().String()+"/audio/tr-1", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", "gzip")
		req.Header.Set("Range", "bytes=1000-")
		if got := e.send(t, req); got.StatusCode != 206 || !bytes.Equal(got.body, content[1000:]) {
			t.Fatalf("%d, %d bytes, %v", got.StatusCode, len(got.body), got.err)
		}
	}
	if err := second.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	if n.direct.Load() != 5 || n.through.Load() != 0 || n.bytes.Load() != 5*int64(len(content)-1000) {
		t.Errorf("%d files went to the connection and %d through net/http, with %d bytes", n.direct.Load(), n.through.Load(), n.bytes.Load())
	}
	if w := n.written.Load(); w > 5*1024 {
		t.Errorf("%d bytes were copied: more than headers", w)
	}
	if reused != 4 {
		t.Errorf("the connection was used again %d times, want 4", reused)
	}
}

type unwrapper struct{ w http.ResponseWriter }

func (u unwrapper) Unwrap() http.ResponseWriter { return u.w }

// TestPlainWriters: Bytes works, and keeps its promises, with writers that are not the server's.
func TestPlainWriters(t *testing.T) {
	lib := newLibrary(t)
	content := noise(300_000)
	lib.add(t, "tr-1", "a.flac", content)
	e := start(t, lib, nil)
	w := httptest.NewRecorder()
	sc := StreamerConfig{Catalog: lib, Cache: lib, Clock: clock.System, Logger: e.c.Logger, Metrics: e.c.Metrics}
	if err := NewStreamer(sc).ServeTrack(w, httptest.NewRequest("GET", "/", nil), tutti.PlanRequest{Track: "tr-1"}, Options{}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(w.Body.Bytes(), content) {
		t.Errorf("%d bytes", w.Body.Len())
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := NewStreamer(sc).ServeTrack(w, r, tutti.PlanRequest{Track: "tr-1"}, Options{}); err != nil {
			WriteError(w, err)
		}
	}))
	defer srv.Close()
	res, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || !bytes.Equal(body, content) {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	if err := res.Body.Close(); err != nil {
		t.Error(err)
	}
}

func TestCover(t *testing.T) {
	lib := newLibrary(t)
	lib.add(t, "tr-1", "Album/a.flac", noise(10)).cover = "Album/cover.jpg"
	lib.add(t, "tr-2", "Album/b.flac", noise(10))
	picture := noise(4000)
	if err := os.WriteFile(filepath.Join(lib.dir, "Album/cover.jpg"), picture, 0o600); err != nil {
		t.Fatal(err)
	}
	e := start(t, lib, nil)
	got := e.do(t, "GET", "/cover/tr-1")
	if got.StatusCode != 200 || !bytes.Equal(got.body, picture) || got.Header.Get("Content-Type") != "image/jpeg" || got.Header.Get("Cache-Control") != "private, max-age=86400" {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
	if again := e.do(t, "GET", "/cover/tr-1", "If-None-Match: "+got.Header.Get("ETag")); again.StatusCode != 304 {
		t.Errorf("%d", again.StatusCode)
	}
	if none := e.do(t, "GET", "/cover/tr-2"); none.StatusCode != 404 {
		t.Errorf("%d", none.StatusCode)
	}
}

// TestSendfile looks at the system calls themselves.
func TestSendfile(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	trace := filepath.Join(t.TempDir(), "trace")
	if out, err := exec.Command(strace, "-o", trace, "true").CombinedOutput(); err != nil {
		t.Skipf("strace may not trace here: %s", out)
	}
	file := filepath.Join(t.TempDir(), "a.flac")
	content := noise(2 << 20)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	url, _, stop := startChild(t, file, strace, "-f", "-qq", "-s", "0", "-e", "trace=sendfile,write,writev,splice,copy_file_range", "-e", "signal=none", "-o", trace)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	res, err := client.Get(url + "audio/tr-1")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || !bytes.Equal(body, content) {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	if err := res.Body.Close(); err != nil {
		t.Error(err)
	}
	client.CloseIdleConnections()
	stop()
	sent, written := sumCalls(t, trace, "sendfile"), sumCalls(t, trace, "write")
	if sent != int64(len(content)) {
		t.Errorf("sendfile(2) sent %d of %d bytes", sent, len(content))
	}
	if written > 4096 { // the header, the child's address, and wake-ups of the runtime
		t.Errorf("write(2) sent %d bytes", written)
	}
}

// sumCalls adds up what the successful calls in a trace returned, whole or resumed.
func sumCalls(t *testing.T, trace, call string) (sum int64) {
	t.Helper()
	b, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	result := regexp.MustCompile(`(?m)^\d+ +(?:<\.\.\. )?` + call + `(?:\(| resumed>).*= (\d+)$`)
	for _, m := range result.FindAllSubmatch(b, -1) {
		n, err := strconv.ParseInt(string(m[1]), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

func TestUnixSocket(t *testing.T) {
	lib := newLibrary(t)
	content := noise(3 << 20)
	lib.add(t, "tr-1", "a.flac", content)
	lib.add(t, "tr-2", "b.flac", content).inMemory = true
	path := filepath.Join(t.TempDir(), "s")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false) // as after kill -9
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}
	var from sync.Map
	e := start(t, lib, func(c *ServerConfig, _ *StreamerConfig) {
		c.Listen = append(c.Listen, "unix:"+path)
		c.Mounts = append(c.Mounts, Mount{Path: "/who", Name: "who", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			from.Store("addr", ClientAddr(r).String())
		})})
	})
	if got := e.URLs()[1]; got != "unix:"+path {
		t.Errorf("URLs: %s", got)
	}
	if _, err := listen(t.Context(), "unix:"+path, &net.ListenConfig{}); !tutti.IsKind(err, tutti.KindUnavailable) {
		t.Errorf("a second server took the socket of the first: %v", err)
	}
	tr := &http.Transport{}
	tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
	e.client.Transport = tr
	defer tr.CloseIdleConnections()
	for _, id := range []string{"tr-1", "tr-2", "tr-1"} {
		if got := e.do(t, "GET", "/audio/"+id, "Range: bytes=7-"); !bytes.Equal(got.body, content[7:]) || got.err != nil {
			t.Errorf("%s: %d bytes, %v", id, len(got.body), got.err)
		}
	}
	e.do(t, "GET", "/who", "X-Forwarded-For: 192.0.2.7")
	if addr, _ := from.Load("addr"); addr != "192.0.2.7" {
		t.Errorf("the proxy on the socket said 192.0.2.7, but it was taken for %v", addr)
	}
}

func TestTLS(t *testing.T) {
	lib := newLibrary(t)
	content := noise(3 << 20)
	lib.add(t, "tr-1", "a.flac", content)
	certificates := httptest.NewUnstartedServer(nil)
	certificates.StartTLS()
	defer certificates.Close()
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			e := start(t, lib, func(c *ServerConfig, _ *StreamerConfig) {
				c.TLS = &tls.Config{Certificates: certificates.TLS.Certificates}
			})
			tr := certificates.Client().Transport.(*http.Transport).Clone()
			tr.ForceAttemptHTTP2 = proto == "HTTP/2.0"
			if !tr.ForceAttemptHTTP2 {
				tr.TLSClientConfig.NextProtos = []string{"http/1.1"}
			}
			e.client.Transport = tr
			defer tr.CloseIdleConnections()
			if !strings.HasPrefix(e.url, "https://") {
				t.Fatal(e.url)
			}
			got := e.do(t, "GET", "/audio/tr-1", "Range: bytes=7-")
			if got.Proto != proto || !bytes.Equal(got.body, content[7:]) || got.err != nil {
				t.Errorf("%s, %d bytes, %v", got.Proto, len(got.body), got.err)
			}
		})
	}
}

// TestHTTP10: a client that knows no chunks gets a transcode all the same, up to the end of the connection.
func TestHTTP10(t *testing.T) {
	lib := newLibrary(t)
	_, m := lib.addMaking(t, "tr-1", "a.opus")
	content := noise(5000)
	m.write(t, content)
	e := start(t, lib, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /audio/tr-1 HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(res.Body, make([]byte, 5000)); err != nil {
		t.Fatal(err)
	}
	m.end(nil)
	rest, err := io.ReadAll(res.Body)
	if err != nil || len(rest) != 0 {
		t.Errorf("%d bytes too many: %s, %v", len(rest), hex.EncodeToString(rest), err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

// TestAfterTheHandler: the bytes go out once the handler has returned, whatever became of the handler's context; if it
// did not live to return, what was opened is closed (start checks that).
func TestAfterTheHandler(t *testing.T) {
	lib := newLibrary(t)
	content := noise(100_000)
	lib.add(t, "tr-1", "a.flac", content)
	e := start(t, lib, func(c *ServerConfig, _ *StreamerConfig) {
		audio := c.Mounts[0].Handler
		c.Mounts = append(
			c.Mounts,
			at("/cancels/", func(w http.ResponseWriter, r *http.Request) {
				ctx, cancel := context.WithCancel(r.Context())
				defer cancel()
				r = r.WithContext(ctx)
				r.URL.Path = "/audio/tr-1"
				audio.ServeHTTP(w, r)
			}),
			at("/panics/", func(w http.ResponseWriter, r *http.Request) {
				r.URL.Path = "/audio/tr-1"
				audio.ServeHTTP(w, r)
				panic("a defect")
			}),
		)
	})
	if got := e.do(t, "GET", "/cancels/"); got.err != nil || !bytes.Equal(got.body, content) {
		t.Errorf("%d bytes, %v", len(got.body), got.err)
	}
	if got := e.do(t, "GET", "/panics/"); got.StatusCode != 500 {
		t.Errorf("%d", got.StatusCode)
	}
}
