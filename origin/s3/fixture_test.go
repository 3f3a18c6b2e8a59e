package s3_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"go.uber.org/goleak"

	"tutti"
	"tutti/clock"
	"tutti/origin/s3"
	"tutti/origin/s3/local"
)

// server is one real object store for all tests of the package; each has buckets of its own.
var server *local.Server

func TestMain(m *testing.M) {
	var err error
	if server, err = local.Start(context.Background(), local.Config{}); err != nil {
		log.Fatalf("versitygw is needed, and fetched by the Go tool: %v", err)
	}
	for _, v := range server.Env() {
		name, value, _ := strings.Cut(v, "=")
		os.Setenv(name, value) // the SDK's chain finds it there
	}
	// Nothing of the machine's own configuration may change what the tests do.
	os.Setenv("AWS_CONFIG_FILE", os.DevNull)
	os.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	code := m.Run()
	if err := server.Close(); err != nil {
		log.Print(err)
		code = 1
	}
	if err := goleak.Find(); code == 0 && err != nil {
		log.Print(err)
		code = 1
	}
	os.Exit(code)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t testing.TB, what string, err error, kind tutti.Kind) {
	t.Helper()
	if !tutti.IsKind(err, kind) {
		t.Errorf("%s: got %v, want an error of kind %q", what, err, kind)
	}
}

var buckets atomic.Int64

// bucket makes an empty bucket.
func bucket(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("music-%d", buckets.Add(1))
	must(t, server.MakeBucket(t.Context(), name))
	return name
}

func put(t testing.TB, bucket, key string, data []byte) {
	t.Helper()
	must(t, server.Put(t.Context(), bucket, key, data))
}

func remove(t testing.TB, bucket, key string) {
	t.Helper()
	must(t, server.Remove(t.Context(), bucket, key))
}

// keys are those of a bucket that begin with prefix.
func keys(t testing.TB, bucket, prefix string) []string {
	t.Helper()
	var ks []string
	pages := awss3.NewListObjectsV2Paginator(server.Client(), &awss3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		pg, err := pages.NextPage(t.Context())
		must(t, err)
		for _, o := range pg.Contents {
			ks = append(ks, aws.ToString(o.Key))
		}
	}
	return ks
}

// open makes an origin of the server's buckets, or of another endpoint's where a library has one.
func open(t testing.TB, c s3.Config) *s3.Origin {
	t.Helper()
	for i := range c.Libraries {
		l := &c.Libraries[i]
		l.PathStyle = true
		if l.Endpoint == "" {
			l.Endpoint = server.URL
		}
	}
	if c.Clock == nil {
		c.Clock = clock.System
	}
	o, err := s3.New(t.Context(), c)
	must(t, err)
	t.Cleanup(func() { must(t, o.Close()) })
	return o
}

// content is bytes that differ everywhere within a few MiB.
func content(n int) []byte {
	b := make([]byte, n)
	x := uint32(2463534242)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x >> 7)
	}
	return b
}

// fault is what happens to one request.
type fault struct {
	before func()          // runs before the request goes on to the store
	status int             // answered instead of the store's answer
	code   string          // in the answer's body
	cut    int64           // the connection ends after this many bytes of the body; 0: it does not
	reset  bool            // and it ends with a reset
	stall  <-chan struct{} // nothing more comes after cut bytes until this is closed
}

// proxy stands between the origin and the store, and does to requests what the test says.
type proxy struct {
	*httptest.Server
	mu    sync.Mutex
	fault func(*http.Request) fault
	seen  []string // "GET key range"
}

func newProxy(t testing.TB) *proxy {
	p := &proxy{fault: func(*http.Request) fault { return fault{} }}
	target, err := url.Parse(server.URL)
	must(t, err)
	transport := &http.Transport{}
	rp := &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host }, // the host is signed
		Transport:    transport,
		ErrorLog:     log.New(io.Discard, "", 0),
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.seen = append(p.seen, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+r.Header.Get("Range")))
		f := p.fault(r)
		p.mu.Unlock()
		if f.before != nil {
			f.before()
		}
		if f.status != 0 {
			w.WriteHeader(f.status)
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>as the test says</Message></Error>", f.code)
			return
		}
		if f.cut > 0 || f.stall != nil {
			w = &faulty{ResponseWriter: w, f: f, gone: r.Context().Done()}
		}
		rp.ServeHTTP(w, r)
	}))
	p.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.Start()
	t.Cleanup(func() {
		p.Close()
		transport.CloseIdleConnections()
	})
	return p
}

// on sets what happens to requests.
func (p *proxy) on(fn func(*http.Request) fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.seen = fn, nil
}

// requests are those since on.
func (p *proxy) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// origin is an origin of one bucket behind the proxy.
func (p *proxy) origin(t testing.TB, bucket string, with ...func(*s3.Config)) *s3.Origin {
	c := s3.Config{Libraries: []s3.Library{{ID: "1", Name: "Music", Bucket: bucket, Endpoint: p.URL}}}
	for _, w := range with {
		w(&c)
	}
	return open(t, c)
}

type faulty struct {
	http.ResponseWriter
	f    fault
	gone <-chan struct{}
	sent int64
}

func (w *faulty) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *faulty) Write(b []byte) (int, error) {
	if w.sent+int64(len(b)) < w.f.cut {
		w.sent += int64(len(b))
		return w.ResponseWriter.Write(b)
	}
	if _, err := w.ResponseWriter.Write(b[:w.f.cut-w.sent]); err != nil {
		return 0, err
	}
	c := http.NewResponseController(w.ResponseWriter)
	if err := c.Flush(); err != nil {
		return 0, err
	}
	if w.f.stall != nil {
		select {
		case <-w.f.stall:
		case <-w.gone:
		}
	}
	if w.f.reset {
		conn, _, err := c.Hijack()
		if err != nil {
			return 0, err
		}
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
	panic(http.ErrAbortHandler)
}

// deadline bounds a test that would otherwise hang.
func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
