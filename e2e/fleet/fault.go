package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Trouble is what a Proxy does to the exchanges that pass through it. The zero value is none.
type Trouble struct {
	Down     bool          // refuse connections and reset the ones there are, as a machine whose program died
	Hang     bool          // take requests and never answer
	Delay    time.Duration // hold a request back before it is passed on
	Throttle float64       // share of requests, 0 to 1, answered with the Proxy's refusal instead of being passed on
	Rate     int64         // bytes a second of each answer's body; 0: as fast as it comes
	Truncate float64       // share of answers that break off in the middle of the body
	Corrupt  float64       // share of answers with one byte of the body changed
	Smallest int64         // answers with bodies of fewer bytes than this are neither truncated nor corrupted
}

// Proxy stands between the fleet and a service that it needs, DynamoDB or an object store, passes everything on
// unchanged, and makes trouble when told to.
type Proxy struct {
	Refuse func(w http.ResponseWriter) // how the service itself says "too many requests"

	address string
	target  *url.URL
	forward *httputil.ReverseProxy
	ctx     context.Context // ends with the proxy
	end     context.CancelFunc

	trouble atomic.Pointer[Trouble]
	watch   atomic.Pointer[func(*http.Request)]

	mu     sync.Mutex
	server *http.Server
	served chan struct{} // closed when server has ended
	random *rand.Rand
}

// NewProxy listens on address (HOST:PORT, port 0 for a free one) for target. The caller closes it.
func NewProxy(address string, target *url.URL, logger *slog.Logger) (*Proxy, error) {
	p := &Proxy{address: address, target: target, random: rand.New(rand.NewPCG(1, 2)), Refuse: func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}}
	p.ctx, p.end = context.WithCancel(context.Background())
	p.trouble.Store(&Trouble{})
	p.forward = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			// The Host header and the path stay as they are: both are signed.
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
			r.Out.Host = r.In.Host
		},
		Transport:      &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
		FlushInterval:  -1,
		ModifyResponse: p.modify,
		ErrorLog:       slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	if err := p.listen(); err != nil {
		return nil, err
	}
	return p, nil
}

// URL is where the proxy listens.
func (p *Proxy) URL() string { return "http://" + p.address }

// listen opens the proxy. The first time it settles which port that is.
func (p *Proxy) listen() error {
	l, err := net.Listen("tcp", p.address)
	if err != nil {
		return err
	}
	p.address = l.Addr().String()
	p.server, p.served = &http.Server{Handler: p, ReadHeaderTimeout: patience}, make(chan struct{})
	go func(s *http.Server, served chan struct{}) {
		defer close(served)
		_ = s.Serve(l) // it returns when it is closed, and only then
	}(p.server, p.served)
	return nil
}

func (p *Proxy) shut() error {
	if p.server == nil {
		return nil
	}
	err := p.server.Close()
	<-p.served
	p.server = nil
	return err
}

// Set makes trouble from now on, instead of what was set before.
func (p *Proxy) Set(t Trouble) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble.Store(&t)
	switch {
	case t.Down:
		return p.shut()
	case p.server == nil:
		return p.listen()
	}
	return nil
}

// Clear ends all trouble.
func (p *Proxy) Clear() error { return p.Set(Trouble{}) }

// Watch calls fn with every request that is passed on, before it is; nil ends that.
func (p *Proxy) Watch(fn func(*http.Request)) {
	if fn == nil {
		p.watch.Store(nil)
		return
	}
	p.watch.Store(&fn)
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() error {
	p.end()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forward.Transport.(*http.Transport).CloseIdleConnections()
	return p.shut()
}

// chance throws the dice.
func (p *Proxy) chance(share float64) bool {
	if share <= 0 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.random.Float64() < share
}

// ServeHTTP passes a request on, or not.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t := p.trouble.Load()
	switch {
	case t.Hang:
		select {
		case <-r.Context().Done():
		case <-p.ctx.Done():
		}
		panic(http.ErrAbortHandler)
	case p.chance(t.Throttle):
		p.Refuse(w)
		return
	}
	if t.Delay > 0 && wait(r.Context(), t.Delay) != nil {
		panic(http.ErrAbortHandler)
	}
	if fn := p.watch.Load(); fn != nil {
		(*fn)(r)
	}
	p.forward.ServeHTTP(w, r)
}

// modify spoils an answer's body.
func (p *Proxy) modify(resp *http.Response) error {
	t := p.trouble.Load()
	if t.Rate > 0 {
		resp.Body = &slowBody{ReadCloser: resp.Body, ctx: resp.Request.Context(), rate: t.Rate}
	}
	if n := resp.ContentLength; n > 1 && n >= t.Smallest && resp.Request.Method == http.MethodGet {
		if p.chance(t.Truncate) {
			resp.Body = &cutBody{ReadCloser: resp.Body, left: n / 2}
		}
		if p.chance(t.Corrupt) {
			resp.Body = &corruptBody{ReadCloser: resp.Body, at: n / 2}
		}
	}
	return nil
}

// wait is a sleep that ends with the context.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// slowBody lets a body through at a rate.
type slowBody struct {
	io.ReadCloser
	ctx  context.Context
	rate int64 // bytes a second
}

func (b *slowBody) Read(buf []byte) (int, error) {
	n, err := b.ReadCloser.Read(buf[:min(int64(len(buf)), max(1, b.rate/20))])
	if e := wait(b.ctx, time.Duration(n)*time.Second/time.Duration(b.rate)); e != nil {
		return n, e
	}
	return n, err
}

// errCut is how a truncated body ends.
var errCut = errors.New("cut by the fault proxy")

// cutBody breaks a body off.
type cutBody struct {
	io.ReadCloser
	left int64
}

func (b *cutBody) Read(buf []byte) (int, error) {
	if b.left == 0 {
		return 0, errCut
	}
	n, err := b.ReadCloser.Read(buf[:min(int64(len(buf)), b.left)])
	b.left -= int64(n)
	return n, err
}

// corruptBody changes the byte at an offset.
type corruptBody struct {
	io.ReadCloser
	at int64 // from here on; negative once it is past
}

func (b *corruptBody) Read(buf []byte) (int, error) {
	n, err := b.ReadCloser.Read(buf)
	if b.at >= 0 && b.at < int64(n) {
		buf[b.at] ^= 0x55
	}
	b.at -= int64(n)
	return n, err
}

// refuseDynamoDB answers as DynamoDB does when a partition or the table has no capacity left.
func refuseDynamoDB(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(http.StatusBadRequest)
	fmt.Fprint(w, `{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",`+
		`"message":"The level of configured provisioned throughput for the table was exceeded."}`)
}

// refuseS3 answers as Amazon S3 does when there are too many requests.
func refuseS3(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusServiceUnavailable)
	fmt.Fprint(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`)
}
