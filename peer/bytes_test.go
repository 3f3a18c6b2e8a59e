package peer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"tutti"
	"tutti/clock"
	"tutti/origin/folder"
	"tutti/peer"
	"tutti/trackcache"
)

// music writes a file of noise to a library's folder and returns its bytes and its ref.
func music(t testing.TB, dir, name string, size int) ([]byte, tutti.Ref) {
	t.Helper()
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(b) // never fails
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(dir, name), epoch, epoch); err != nil {
		t.Fatal(err)
	}
	return b, tutti.Ref{Library: "1", Path: name, Version: tutti.Version("v" + strconv.Itoa(size))}
}

// newCache returns a track cache over a folder.
func newCache(t testing.TB, dir string) *trackcache.Cache {
	t.Helper()
	origin, err := folder.New(folder.Config{Libraries: []folder.Library{{ID: "1", Name: "Music", Path: dir}}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	c, err := trackcache.New(trackcache.Config{Origin: origin, Local: true, Dir: t.TempDir(), Clock: clock.System, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// get asks for bytes as nginx does.
func get(t testing.TB, method, address, id, pass string, header ...string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+peer.BytesPrefix+id+"?pass="+pass, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		t.Fatalf("after %d bytes: %v", len(body), err)
	}
	return resp, body
}

func TestBytesByPass(t *testing.T) {
	dir := t.TempDir()
	want, ref := music(t, dir, "a.flac", 3<<20+7)
	size := int64(len(want))
	k := keys(t)
	at := serve(t, peer.HandlerConfig{TrackCache: newCache(t, dir), Keys: k})
	sum := sha256.Sum256(want)
	p := tutti.Pass{
		Ref: ref, Size: size, ModTime: epoch, ContentType: "audio/flac", ETag: `"e1"`, SHA256: sum[:], Duration: 61500 * time.Millisecond,
		Expires: time.Now().Add(time.Hour),
	}
	sealed := k.SealPass(p)
	date := epoch.Format(http.TimeFormat)
	for _, c := range []struct {
		what, method string
		header       []string
		status       int
		from, to     int64
	}{
		{"whole", "GET", nil, 200, 0, size},
		{"head", "HEAD", nil, 200, 0, 0},
		{"head with a range", "HEAD", []string{"Range", "bytes=0-9"}, 200, 0, 0},
		{"a chunk", "GET", []string{"Range", "bytes=1048576-2097151"}, 206, 1 << 20, 2 << 20},
		{"the last chunk, as nginx asks", "GET", []string{"Range", "bytes=3145728-4194303"}, 206, 3 << 20, size},
		{"open", "GET", []string{"Range", "bytes=100-"}, 206, 100, size},
		{"suffix", "GET", []string{"Range", "bytes=-100"}, 206, size - 100, size},
		{"more than all", "GET", []string{"Range", "bytes=-99999999999999999999"}, 206, 0, size},
		{"one byte", "GET", []string{"Range", "bytes=5-5"}, 206, 5, 6},
		{"beyond the end", "GET", []string{"Range", "bytes=" + strconv.FormatInt(size, 10) + "-"}, 416, 0, 0},
		{"no bytes at the end", "GET", []string{"Range", "bytes=-0"}, 416, 0, 0},
		{"backwards", "GET", []string{"Range", "bytes=9-5"}, 416, 0, 0},
		{"nonsense", "GET", []string{"Range", "bytes=a-b"}, 416, 0, 0},
		{"two ranges", "GET", []string{"Range", "bytes=0-1,5-6"}, 200, 0, size},
		{"other units", "GET", []string{"Range", "seconds=0-1"}, 200, 0, size},
		{"if it is the same", "GET", []string{"Range", "bytes=0-9", "If-Range", `"e1"`}, 206, 0, 10},
		{"if it is another", "GET", []string{"Range", "bytes=0-9", "If-Range", `"e2"`}, 200, 0, size},
		{"if it is weakly the same", "GET", []string{"Range", "bytes=0-9", "If-Range", `W/"e1"`}, 200, 0, size},
		{"if it is of the same time", "GET", []string{"Range", "bytes=0-9", "If-Range", date}, 206, 0, 10},
		{"if it is of another time", "GET", []string{"Range", "bytes=0-9", "If-Range", epoch.Add(time.Second).Format(http.TimeFormat)}, 200, 0, size},
		{"only if it is the same", "GET", []string{"If-Match", `"e0", "e1"`}, 200, 0, size},
		{"only if it is another", "GET", []string{"Range", "bytes=0-9", "If-Match", `"e2"`}, 412, 0, 0},
		{"only if it is there", "GET", []string{"If-Match", "*"}, 200, 0, size},
		{"to write", "PUT", nil, 405, 0, 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			resp, body := get(t, c.method, at, ref.ID(), sealed, c.header...)
			if resp.StatusCode != c.status {
				t.Fatalf("%s, want %d", resp.Status, c.status)
			}
			if c.status/100 != 2 {
				return
			}
			if !bytes.Equal(body, want[c.from:c.to]) {
				t.Errorf("%d other bytes, want %d", len(body), c.to-c.from)
			}
			length := c.to - c.from
			if c.method == "HEAD" {
				length = size
			}
			fields := map[string]string{
				"Content-Length": strconv.FormatInt(length, 10), "Etag": `"e1"`, "Last-Modified": date, "Content-Type": "audio/flac", "Accept-Ranges": "bytes",
				"X-Content-Duration": "61.500", "Repr-Digest": "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":",
				"Content-Range": "",
			}
			if c.status == http.StatusPartialContent {
				fields["Content-Range"] = fmt.Sprintf("bytes %d-%d/%d", c.from, c.to-1, size)
			}
			for name, value := range fields {
				if got := resp.Header.Get(name); got != value {
					t.Errorf("%s: %q, want %q", name, got, value)
				}
			}
		})
	}
}

// TestPassesAndAddresses asks for what is not to be had.
func TestPassesAndAddresses(t *testing.T) {
	dir := t.TempDir()
	_, ref := music(t, dir, "a.flac", 1000)
	if err := os.WriteFile(filepath.Join(filepath.Dir(dir), "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	k := keys(t)
	at := serve(t, peer.HandlerConfig{TrackCache: newCache(t, dir), Keys: k})
	soon := time.Now().Add(time.Hour)
	seal := func(change func(*tutti.Pass)) (string, string) {
		p := tutti.Pass{Ref: ref, Size: -1, Expires: soon}
		change(&p)
		return p.Ref.ID(), k.SealPass(p)
	}
	good := func(*tutti.Pass) {}
	for _, c := range []struct {
		what   string
		change func(*tutti.Pass)
		id     func(string) string
		status int
	}{
		{"a good pass", good, nil, 200},
		{"another object", good, func(string) string { return tutti.Ref{Library: "1", Path: "b.flac", Version: "v"}.ID() }, 403},
		{"a path in the address", good, func(id string) string { return id + "/../../etc/passwd" }, 403},
		{"an address in the address", good, func(string) string { return "http://127.0.0.1:1/" }, 403},
		{"no object", good, func(string) string { return "" }, 403},
		{"an expired pass", func(p *tutti.Pass) { p.Expires = time.Now().Add(-time.Second) }, nil, 403},
		{"a path out of the library", func(p *tutti.Pass) { p.Ref.Path = "../secret" }, nil, 400},
		{"a path from the root", func(p *tutti.Pass) { p.Ref.Path = "/etc/passwd" }, nil, 400},
		{"an address as a path", func(p *tutti.Pass) { p.Ref.Path = "http://127.0.0.1:1/" }, nil, 400},
		{"a file that is not there", func(p *tutti.Pass) { p.Ref.Path = "none.flac" }, nil, 404},
		{"a library that is not there", func(p *tutti.Pass) { p.Ref.Library = "9" }, nil, 404},
		{"another size", func(p *tutti.Pass) { p.Size = 999 }, nil, 412},
	} {
		id, sealed := seal(c.change)
		if c.id != nil {
			id = c.id(id)
		}
		resp, body := get(t, "GET", at, id, sealed)
		if resp.StatusCode != c.status {
			t.Errorf("%s: %s", c.what, resp.Status)
		}
		if bytes.Contains(body, []byte("secret")) {
			t.Errorf("%s leads out", c.what)
		}
	}
	// A header names another host: nobody is asked there.
	id, sealed := seal(good)
	resp, _ := get(t, "GET", at, id, sealed, "Host", "169.254.169.254", "X-Forwarded-Host", "169.254.169.254", "X-Accel-Redirect", "/etc/passwd")
	if resp.StatusCode != http.StatusOK {
		t.Errorf("with headers that are nothing to us: %s", resp.Status)
	}
}

// asks notes what a ResponseWriter is asked to send from.
type asks struct {
	http.ResponseWriter
	files *atomic.Int64
	other *atomic.Int64
}

func (a asks) ReadFrom(src io.Reader) (int64, error) {
	if lr, ok := src.(*io.LimitedReader); ok {
		if _, ok := lr.R.(*os.File); ok {
			a.files.Add(lr.N)
		}
	}
	return a.ResponseWriter.(io.ReaderFrom).ReadFrom(src)
}

func (a asks) Write(p []byte) (int, error) {
	a.other.Add(int64(len(p)))
	return a.ResponseWriter.Write(p)
}

func (a asks) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// TestFilesGoByTheKernel makes sure that a file reaches the server's own ReadFrom as what sendfile takes.
func TestFilesGoByTheKernel(t *testing.T) {
	dir := t.TempDir()
	want, ref := music(t, dir, "a.flac", 2<<20+5)
	k := keys(t)
	handler := peer.Handler(peer.HandlerConfig{TrackCache: newCache(t, dir), Keys: k, Clock: clock.System, Logger: quiet})
	var files, other atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(asks{w, &files, &other}, r) }))
	defer s.Close()
	sealed := k.SealPass(tutti.Pass{Ref: ref, Size: -1, Expires: time.Now().Add(time.Hour)})
	_, body := get(t, "GET", strings.TrimPrefix(s.URL, "http://"), ref.ID(), sealed)
	if !bytes.Equal(body, want) {
		t.Errorf("%d other bytes", len(body))
	}
	if files.Load() != int64(len(want)) || other.Load() != 0 {
		t.Errorf("%d bytes went by the kernel and %d did not, of %d", files.Load(), other.Load(), len(want))
	}
}

// made is a track cache of one object that is made while it is read, or fails at some byte.
type made struct {
	tutti.TrackCache
	size    int64 // as Size says
	content []byte
	fail    error         // after the content
	each    chan struct{} // if set, each byte waits for one
}

func (m *made) Open(context.Context, tutti.Ref) (tutti.Object, error) { return &madeObject{m}, nil }

type madeObject struct{ *made }

func (o *madeObject) Size() int64         { return o.size }
func (o *madeObject) ModTime() time.Time  { return epoch }
func (o *madeObject) ContentType() string { return "audio/ogg" }
func (o *madeObject) Close() error        { return nil }
func (o *madeObject) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(o.content).ReadAt(p, off)
}

func (o *madeObject) CopyRange(ctx context.Context, w io.Writer, off, n int64) (total int64, err error) {
	end := int64(len(o.content))
	if n >= 0 {
		end = min(end, off+n)
	}
	for i := off; i < end; i++ {
		if o.each != nil {
			select {
			case <-o.each:
			case <-ctx.Done():
				return total, ctx.Err()
			}
		}
		m, err := w.Write(o.content[i : i+1])
		total += int64(m)
		if err != nil {
			return total, err
		}
	}
	return total, o.fail
}

var opus = tutti.Ref{Library: "1", Path: "a.flac", Version: "v1", Profile: tutti.Profile{Format: "opus", BitRate: 96}}

func TestGrowingObjects(t *testing.T) {
	k := keys(t)
	m := &made{size: -1, content: []byte("abcdefgh"), each: make(chan struct{})}
	at := serve(t, peer.HandlerConfig{TrackCache: m, Keys: k})
	cache := client(t, peer.ClientConfig{Fleet: (&fleet{}).add(tutti.ServiceTrackCache, at), Keys: k}).TrackCache()
	obj, err := cache.Open(t.Context(), opus)
	if err != nil {
		t.Fatal(err)
	}
	if obj.Size() != -1 || obj.ContentType() != "audio/ogg" {
		t.Errorf("%d bytes of %s", obj.Size(), obj.ContentType())
	}
	r, w := io.Pipe()
	result := make(chan error, 1)
	go func() {
		_, err := obj.CopyRange(t.Context(), w, 0, -1)
		result <- errors.Join(err, w.Close())
	}()
	for i := range m.content { // each byte arrives before the next one is made
		m.each <- struct{}{}
		var b [1]byte
		if _, err := io.ReadFull(r, b[:]); err != nil || b[0] != m.content[i] {
			t.Fatalf("byte %d: %q, %v", i, b, err)
		}
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
	close(m.each)
	for _, c := range []struct {
		off, n int64
		want   string
	}{{3, -1, "defgh"}, {0, 3, "abc"}, {2, 4, "cdef"}, {8, -1, ""}, {6, 100, "gh"}, {0, 8, "abcdefgh"}} {
		var b bytes.Buffer
		if n, err := obj.CopyRange(t.Context(), &b, c.off, c.n); err != nil || b.String() != c.want || n != int64(len(c.want)) {
			t.Errorf("%d bytes from %d: %d, %q, %v, want %q", c.n, c.off, n, b.String(), err, c.want)
		}
	}
	if _, err := obj.CopyRange(t.Context(), io.Discard, 9, -1); !tutti.IsKind(err, tutti.KindInvalid) {
		t.Errorf("from beyond the end: %v", err)
	}
	if err := obj.Close(); err != nil {
		t.Error(err)
	}
}

func TestAnEarlyEndIsNoEnd(t *testing.T) {
	k := keys(t)
	for what, m := range map[string]*made{
		"of a transcode that fails":       {size: -1, content: []byte("abcdefgh"), fail: tutti.Errorf(tutti.KindUnavailable, "ffmpeg", "it died")},
		"of an object that is shorter":    {size: 100, content: []byte("abcdefgh")},
		"of an object that fails halfway": {size: 100, content: []byte("abcdefgh"), fail: errors.New("the disk is gone")},
	} {
		s := start(t, peer.HandlerConfig{TrackCache: m, Keys: k})
		at := strings.TrimPrefix(s.URL, "http://")
		cache := client(t, peer.ClientConfig{Fleet: (&fleet{}).add(tutti.ServiceTrackCache, at), Keys: k}).TrackCache()
		obj, err := cache.Open(t.Context(), opus)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		n, err := obj.CopyRange(t.Context(), &b, 0, -1)
		wantKind(t, err, tutti.KindUnavailable, "the end "+what)
		if n != int64(b.Len()) || !strings.HasPrefix("abcdefgh", b.String()) {
			t.Errorf("%s: %d bytes: %q", what, n, b.String())
		}
		// And the same for whoever knows no members, as nginx does not.
		sealed := k.SealPass(tutti.Pass{Ref: opus, Size: -1, Expires: time.Now().Add(time.Hour)})
		resp, err := http.Get(s.URL + peer.BytesPrefix + opus.ID() + "?pass=" + sealed) //nolint:noctx // a test's own server
		if err == nil {                                                                 // else it broke before its header had left
			if _, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("%s: the answer looks whole", what)
			}
			_ = resp.Body.Close()
		}
		http.DefaultClient.CloseIdleConnections()
	}
}

func TestFailuresBeforeTheFirstByte(t *testing.T) {
	k := keys(t)
	for _, c := range []struct {
		err    error
		status int
		retry  string
	}{
		{tutti.Errorf(tutti.KindUnavailable, "origin", "the music is away"), 503, "5"},
		{tutti.Errorf(tutti.KindExhausted, "fill", "too much at once"), 429, "5"},
		{&tutti.Error{Kind: tutti.KindUnavailable, Op: "x", Message: "soon", Err: retry(1500 * time.Millisecond)}, 503, "2"},
		{tutti.Errorf(tutti.KindNotFound, "origin", "no such file"), 404, ""},
		{errors.New("secret of the disk"), 500, ""},
	} {
		at := serve(t, peer.HandlerConfig{TrackCache: &made{size: 10, fail: c.err}, Keys: k})
		sealed := k.SealPass(tutti.Pass{Ref: opus, Size: -1, ETag: `"e"`, Expires: time.Now().Add(time.Hour)})
		resp, body := get(t, "GET", at, opus.ID(), sealed, "Range", "bytes=0-4")
		if resp.StatusCode != c.status || resp.Header.Get("Retry-After") != c.retry || resp.Header.Get("Content-Range") != "" || resp.Header.Get("Etag") != "" {
			t.Errorf("%v: %s with %v", c.err, resp.Status, resp.Header)
		}
		if bytes.Contains(body, []byte("secret")) {
			t.Errorf("%v: the answer is %q", c.err, body)
		}
		// A member reads the same kind and message from it.
		cache := client(t, peer.ClientConfig{Fleet: (&fleet{}).add(tutti.ServiceTrackCache, at), Keys: k}).TrackCache()
		obj, err := cache.Open(t.Context(), opus)
		if err != nil {
			t.Fatal(err)
		}
		_, err = obj.CopyRange(t.Context(), io.Discard, 0, -1)
		if tutti.KindOf(err) != tutti.KindOf(c.err) || tutti.Message(err) != tutti.Message(c.err) {
			t.Errorf("%v arrived as %v", c.err, err)
		}
		var says interface{ RetryAfter() time.Duration }
		if c.retry == "2" && (!errors.As(err, &says) || says.RetryAfter() != 2*time.Second) {
			t.Errorf("%v does not say when to ask again", err)
		}
	}
}

type retry time.Duration

func (r retry) Error() string             { return "busy" }
func (r retry) RetryAfter() time.Duration { return time.Duration(r) }

// counted adds up a counter over its labels.
func counted(t testing.TB, c prometheus.Collector, name string) (sum float64) {
	t.Helper()
	ch := make(chan prometheus.Metric, 1000)
	c.Collect(ch)
	close(ch)
	for m := range ch {
		if !strings.Contains(m.Desc().String(), `"`+name+`"`) {
			continue
		}
		var out dto.Metric
		if err := m.Write(&out); err != nil {
			t.Fatal(err)
		}
		sum += out.GetCounter().GetValue()
	}
	return sum
}

// faulty is a way to a member on which things happen.
type faulty struct {
	net.Listener
	to string

	mu     sync.Mutex
	plan   func(n int) (after int64, how string) // for connection n: after so many bytes of answers it is "reset", "closed" or "stalled"
	count  int
	conns  []net.Conn
	ended  chan struct{}
	copies sync.WaitGroup
}

func newFaulty(t testing.TB, to string, plan func(n int) (int64, string)) *faulty {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &faulty{Listener: l, to: to, plan: plan, ended: make(chan struct{})}
	f.copies.Go(f.accept)
	t.Cleanup(func() {
		close(f.ended)
		_ = l.Close()
		f.mu.Lock()
		for _, c := range f.conns {
			_ = c.Close()
		}
		f.mu.Unlock()
		f.copies.Wait()
	})
	return f
}

func (f *faulty) accept() {
	for {
		in, err := f.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", f.to)
		if err != nil {
			_ = in.Close()
			continue
		}
		f.mu.Lock()
		after, how := f.plan(f.count)
		f.count++
		f.conns = append(f.conns, in, out)
		f.mu.Unlock()
		f.copies.Go(func() {
			_, _ = io.Copy(out, in)
			_ = out.Close()
		})
		f.copies.Go(func() {
			defer in.Close()
			defer out.Close()
			if how == "" {
				_, _ = io.Copy(in, out)
				return
			}
			_, _ = io.CopyN(in, out, after)
			switch how {
			case "reset":
				_ = in.(*net.TCPConn).SetLinger(0)
			case "stalled":
				<-f.ended
			}
		})
	}
}

// TestStreamsSurvive reads a file through members of which most connections break, in three ways, at places all over
// it, and demands the very bytes each time.
func TestStreamsSurvive(t *testing.T) {
	dir := t.TempDir()
	want, ref := music(t, dir, "a.flac", 5<<20+123)
	k := keys(t)
	for _, how := range []string{"reset", "closed", "stalled"} {
		t.Run(how, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(7, uint64(len(how))))
			far := &fleet{}
			for i := range 3 {
				at := serve(t, peer.HandlerConfig{TrackCache: newCache(t, dir), Keys: k})
				places := rand.New(rand.NewPCG(uint64(i), uint64(len(how))))
				way := newFaulty(t, at, func(n int) (int64, string) {
					if n%2 == 1 {
						return 0, "" // every second connection is good
					}
					return places.Int64N(2 << 20), how
				})
				far.add(tutti.ServiceTrackCache, way.Addr().String())
			}
			c := client(t, peer.ClientConfig{Fleet: far, Keys: k, Stall: 30 * time.Millisecond})
			for round := range 4 {
				obj, err := c.TrackCache().Open(t.Context(), ref)
				if err != nil {
					t.Fatal(err)
				}
				if obj.Size() != int64(len(want)) || !obj.ModTime().Equal(epoch) {
					t.Errorf("%d bytes from %s", obj.Size(), obj.ModTime())
				}
				off := rng.Int64N(int64(len(want)))
				if round == 0 {
					off = 0
				}
				var b bytes.Buffer
				n, err := obj.CopyRange(t.Context(), &b, off, -1)
				if err != nil || n != int64(b.Len()) || !bytes.Equal(b.Bytes(), want[off:]) {
					t.Fatalf("from %d: %d of %d bytes, the right ones: %v, %v", off, n, len(want)-int(off), bytes.HasPrefix(want[off:], b.Bytes()), err)
				}
				piece := make([]byte, 1<<20)
				at := rng.Int64N(int64(len(want) - len(piece)))
				if n, err := obj.ReadAt(piece, at); err != nil || n != len(piece) || !bytes.Equal(piece, want[at:at+int64(n)]) {
					t.Fatalf("ReadAt %d: %d, %v", at, n, err)
				}
				if err := obj.Close(); err != nil {
					t.Error(err)
				}
			}
			if counted(t, c, "tutti_peer_failovers_total") == 0 {
				t.Error("nothing ever failed; this test tests nothing")
			}
		})
	}
}

// TestTwoVersionsAreNeverMixed gives one member another file under the same name.
func TestTwoVersionsAreNeverMixed(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	want, ref := music(t, one, "a.flac", 3<<20)
	_, _ = music(t, two, "a.flac", 3<<20+1)
	k := keys(t)
	first := serve(t, peer.HandlerConfig{TrackCache: newCache(t, one), Keys: k})
	second := serve(t, peer.HandlerConfig{TrackCache: newCache(t, two), Keys: k})
	far := (&fleet{}).add(tutti.ServiceTrackCache, first, second)
	obj, err := client(t, peer.ClientConfig{Fleet: far, Keys: k}).TrackCache().Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	// The second chunk is the second member's, but the first has it as well, and of the right version.
	var b bytes.Buffer
	if _, err := obj.CopyRange(t.Context(), &b, 0, -1); err != nil || !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
	far.remove(first)
	n, err := obj.CopyRange(t.Context(), io.Discard, 0, -1)
	wantKind(t, err, tutti.KindConflict, "with nobody left who has that version")
	if n != 0 {
		t.Errorf("%d bytes of the other version were sent", n)
	}
}

func TestDeadMembersAreGoneRound(t *testing.T) {
	dir := t.TempDir()
	want, ref := music(t, dir, "a.flac", 2<<20)
	k := keys(t)
	at := serve(t, peer.HandlerConfig{TrackCache: newCache(t, dir), Keys: k})
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	far := (&fleet{}).add(tutti.ServiceTrackCache, strings.TrimPrefix(dead.URL, "http://"), at)
	cache := client(t, peer.ClientConfig{Fleet: far, Keys: k}).TrackCache()
	ready, err := cache.Prepare(t.Context(), ref)
	if err != nil || ready.Size != int64(len(want)) || !ready.Ready || len(ready.Owners) != 2 {
		t.Errorf("%+v, %v", ready, err)
	}
	obj, err := cache.Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := obj.CopyRange(t.Context(), &b, 0, -1); err != nil || !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
	far.remove(at)
	far.remove(strings.TrimPrefix(dead.URL, "http://"))
	_, err = cache.Prepare(t.Context(), ref)
	wantKind(t, err, tutti.KindUnavailable, "nobody is left")
	_, err = cache.Open(t.Context(), ref)
	wantKind(t, err, tutti.KindUnavailable, "nobody is left")
	_, err = obj.CopyRange(t.Context(), io.Discard, 0, -1)
	wantKind(t, err, tutti.KindUnavailable, "nobody is left")
}

func TestWhoeverTakesTheBytesMayFail(t *testing.T) {
	dir := t.TempDir()
	_, ref := music(t, dir, "a.flac", 2<<20)
	k := keys(t)
	far := (&fleet{}).add(tutti.ServiceTrackCache, serve(t, peer.HandlerConfig{TrackCache: newCache(t, dir), Keys: k}))
	obj, err := client(t, peer.ClientConfig{Fleet: far, Keys: k}).TrackCache().Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("full")
	if n, err := obj.CopyRange(t.Context(), &limited{left: 100_000, err: full}, 0, -1); !errors.Is(err, full) || n != 100_000 {
		t.Errorf("%d bytes, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := obj.CopyRange(ctx, &limited{left: 100_000, end: cancel}, 0, -1); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

// limited takes so many bytes, and then fails or ends something.
type limited struct {
	left int
	err  error
	end  func()
}

func (l *limited) Write(p []byte) (int, error) {
	if l.end != nil {
		if l.left -= len(p); l.left < 0 {
			l.end()
		}
		return len(p), nil
	}
	n := min(len(p), l.left)
	l.left -= n
	if n < len(p) {
		return n, l.err
	}
	return n, nil
}

// unsure is a track cache that does not know whether its bytes are the right ones.
type unsure struct {
	*made
	proven bool
}

func (u *unsure) Open(context.Context, tutti.Ref) (tutti.Object, error) {
	return &unsureObject{madeObject{u.made}, u.proven}, nil
}

type unsureObject struct {
	madeObject
	proven bool
}

func (o *unsureObject) Proven() bool { return o.proven }

// TestUnproven looks what nginx is told of how long bytes are good.
func TestUnproven(t *testing.T) {
	k := keys(t)
	for proven, want := range map[bool]string{true: "", false: "600"} {
		cache := &unsure{&made{size: 3, content: []byte("abc")}, proven}
		s := httptest.NewServer(peer.Handler(peer.HandlerConfig{TrackCache: cache, Keys: k, Clock: clock.System, Logger: quiet}))
		ref := tutti.Ref{Library: "l", Path: "a.flac", Version: "v"}
		resp, body := get(t, "GET", strings.TrimPrefix(s.URL, "http://"), ref.ID(), k.SealPass(tutti.Pass{Ref: ref, Size: 3, Expires: time.Now().Add(time.Hour)}))
		s.Close()
		if got := resp.Header.Get("X-Accel-Expires"); got != want || string(body) != "abc" {
			t.Errorf("proven %v: X-Accel-Expires %q, %s %q", proven, got, resp.Status, body)
		}
	}
}
