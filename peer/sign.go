package peer

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tutti"
	"tutti/clock"
)

// A signed request carries
//
//	Authorization: Tutti1 key=k2, time=1790000000000, from=9f3c…, n=17, body=…, mac=…
//
// where mac is an HMAC-SHA256 over method, host, path, query and everything before it in the header; body is the
// SHA-256 of the body. The signature is checked before a byte of the body is read, so strangers cannot make a member
// take one in.
//
// What was recorded on the way cannot be sent again: each client counts its requests, and a member keeps, for each
// client, which of the last replayWindow numbers it has seen (the sliding window of RFC 4303 §3.4.3). The time lets it
// forget clients: what is older than maxSkew is refused anyway. Half a minute is wide enough for machines that set
// their clocks by NTP now and then, and short enough that the memory of a client is soon given back.
//
// Answers are not signed. Where somebody could sit between the members, use mutual TLS as well: see ReadTLS.
const (
	authScheme   = "Tutti1"
	maxSkew      = 30 * time.Second
	replayWindow = 1 << 14 // more than the requests of one client that can overtake one another
	maxClients   = 4096    // of which a member keeps windows: 2 KiB each
	maxBody      = 16 << 20
)

// signer signs what one process sends.
type signer struct {
	keys  *Keys
	clock clock.Clock
	from  string // names this process, for as long as it runs
	n     atomic.Uint64
}

func newSigner(k *Keys, c clock.Clock) *signer {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails: see crypto/rand
	return &signer{keys: k, clock: c, from: hex.EncodeToString(id[:])}
}

// signed is a RoundTripper that signs every request. Bodies are held in memory: they are messages, never music.
type signed struct {
	*signer
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (s *signed) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.keys == nil {
		return s.next.RoundTrip(r)
	}
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = readBody(r.Body, r.ContentLength); err != nil {
			return nil, err
		}
	}
	out := r.WithContext(r.Context())
	out.Header = r.Header.Clone()
	out.Body, out.GetBody, out.ContentLength = http.NoBody, nil, int64(len(body))
	if len(body) > 0 {
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		out.Body = io.NopCloser(bytes.NewReader(body))
	}
	s.sign(out, body)
	return s.next.RoundTrip(out)
}

// readBody reads a body of at most maxBody bytes and closes it. length is what was declared, -1 if nothing.
func readBody(r io.ReadCloser, length int64) (body []byte, err error) {
	defer func() {
		if closeErr := r.Close(); err == nil {
			err = closeErr
		}
	}()
	if length > maxBody {
		return nil, errTooLarge
	}
	var b bytes.Buffer
	if length > 0 {
		b.Grow(int(min(length, 1<<20)) + bytes.MinRead)
	}
	if n, err := b.ReadFrom(io.LimitReader(r, maxBody+1)); err != nil {
		return nil, err
	} else if n > maxBody {
		return nil, errTooLarge
	}
	return b.Bytes(), nil
}

var errTooLarge = tutti.Errorf(tutti.KindInvalid, "peer", "a message of more than %d bytes", maxBody)

func (s *signer) sign(r *http.Request, body []byte) {
	k := s.keys.signing()
	sum := sha256.Sum256(body)
	b := make([]byte, 0, 256)
	b = append(b, authScheme+" key="...)
	b = append(b, k.id...)
	b = strconv.AppendInt(append(b, ", time="...), s.clock.Now().UnixMilli(), 10)
	b = append(append(b, ", from="...), s.from...)
	b = strconv.AppendUint(append(b, ", n="...), s.n.Add(1), 10)
	b = base64.RawURLEncoding.AppendEncode(append(b, ", body="...), sum[:])
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	mac := requestMAC(k, r.Method, host, r.URL.EscapedPath(), r.URL.RawQuery, b)
	b = base64.RawURLEncoding.AppendEncode(append(b, ", mac="...), mac)
	r.Header["Authorization"] = []string{string(b)}
}

// requestMAC signs what a request is and the fields of its header. No part can have a line feed in it, so no two
// requests are written the same.
func requestMAC(k key, method, host, path, query string, fields []byte) []byte {
	h := hmac.New(sha256.New, k.request)
	b := make([]byte, 0, 512)
	for _, s := range [...]string{method, strings.ToLower(host), path, query} {
		b = append(append(b, s...), '\n')
	}
	_, _ = h.Write(append(b, fields...)) // a hash never fails
	return h.Sum(nil)
}

// verifier checks what one process receives.
type verifier struct {
	keys    *Keys
	clock   clock.Clock
	address string // the Host that requests must name; "" for any

	mu      sync.Mutex
	clients map[string]*window
	swept   time.Time
}

// window is which of one client's numbers were seen: the newest, and a bit for each of those before it.
type window struct {
	used time.Time
	top  uint64
	bits [replayWindow / 64]uint64
}

func newVerifier(k *Keys, c clock.Clock, address string) *verifier {
	return &verifier{keys: k, clock: c, address: strings.ToLower(address), clients: map[string]*window{}}
}

// credentials are the fields of a signed request's header.
type credentials struct {
	key, from string
	time      int64
	n         uint64
	body, mac []byte
	signed    []byte // of the header, what the signature is over
}

const maxAuthorization = 512

// parseAuthorization reads the header of a signed request. The fields stand in one order only.
func parseAuthorization(header string) (c credentials, ok bool) {
	if len(header) > maxAuthorization {
		return c, false
	}
	rest, ok := strings.CutPrefix(header, authScheme+" key=")
	if !ok {
		return c, false
	}
	next := func(name string) string {
		var s string
		if ok {
			s, rest, ok = strings.Cut(rest, ", "+name+"=")
		}
		return s
	}
	c.key = next("time")
	stamp := next("from")
	c.from = next("n")
	n := next("body")
	body := next("mac")
	if !ok || !goodKeyID(c.key) || len(c.from) != 16 {
		return c, false
	}
	c.signed = []byte(header[:len(header)-len(rest)-len(", mac=")])
	var errs [4]error
	c.time, errs[0] = strconv.ParseInt(stamp, 10, 64)
	c.n, errs[1] = strconv.ParseUint(n, 10, 64)
	c.body, errs[2] = base64.RawURLEncoding.Strict().DecodeString(body)
	c.mac, errs[3] = base64.RawURLEncoding.Strict().DecodeString(rest)
	for _, err := range errs {
		if err != nil {
			return c, false
		}
	}
	return c, len(c.body) == sha256.Size && len(c.mac) == sha256.Size && c.n > 0
}

// verify checks the signature of r and reads its body, which it replaces. It returns KindUnauthorised for what no
// member has sent, or has sent before.
func (v *verifier) verify(r *http.Request) error {
	const op = "peer: verify"
	if v.keys == nil {
		if !fromHere(r, v.address) {
			return tutti.Errorf(tutti.KindUnauthorised, op, "this member has no keys and so answers on its own machine only")
		}
		return nil
	}
	c, ok := parseAuthorization(r.Header.Get("Authorization"))
	if !ok {
		return tutti.Errorf(tutti.KindUnauthorised, op, "the request is not signed by a member of the fleet")
	}
	k, ok := v.keys.find(c.key)
	if !ok || !hmac.Equal(c.mac, requestMAC(k, r.Method, r.Host, r.URL.EscapedPath(), r.URL.RawQuery, c.signed)) {
		return tutti.Errorf(tutti.KindUnauthorised, op, "the request is not signed with a key of this fleet")
	}
	if v.address != "" && strings.ToLower(r.Host) != v.address {
		return tutti.Errorf(tutti.KindUnauthorised, op, "the request was meant for %q, and this member is known as %q", r.Host, v.address)
	}
	now := v.clock.Now()
	if apart := now.Sub(time.UnixMilli(c.time)); apart > maxSkew || apart < -maxSkew {
		return tutti.Errorf(tutti.KindUnauthorised, op, "the sender's clock is %s apart from ours, which is more than %s; set the clocks of both machines", apart.Abs().Round(time.Second), maxSkew)
	}
	if err := v.first(c.from, c.n, now); err != nil {
		return err
	}
	if r.Body == nil {
		return nil
	}
	body, err := readBody(r.Body, r.ContentLength)
	if err != nil {
		return tutti.Wrap(tutti.KindInvalid, op, err)
	}
	if sum := sha256.Sum256(body); !hmac.Equal(sum[:], c.body) {
		return tutti.Errorf(tutti.KindUnauthorised, op, "the request's body is not the one that was signed")
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return nil
}

// first reports an error unless number n of the client is seen for the first time.
func (v *verifier) first(from string, n uint64, now time.Time) error {
	const op = "peer: verify"
	v.mu.Lock()
	defer v.mu.Unlock()
	w := v.clients[from]
	if w == nil {
		if len(v.clients) >= maxClients {
			v.sweep(now)
		}
		if len(v.clients) >= maxClients {
			return tutti.Errorf(tutti.KindExhausted, op, "more than %d processes ask this member", maxClients)
		}
		w = &window{}
		v.clients[from] = w
	}
	w.used = now
	if !w.see(n) {
		return tutti.Errorf(tutti.KindUnauthorised, op, "the request was received before")
	}
	return nil
}

// sweep forgets the clients of whom every request that could be repeated has become too old. v.mu is held.
func (v *verifier) sweep(now time.Time) {
	if now.Sub(v.swept) < time.Second {
		return
	}
	v.swept = now
	for id, w := range v.clients {
		if now.Sub(w.used) > 2*maxSkew {
			delete(v.clients, id)
		}
	}
}

// see marks n and reports whether it was not marked. What is too old for the window counts as marked.
func (w *window) see(n uint64) bool {
	if n > w.top {
		if n-w.top >= replayWindow {
			w.bits = [replayWindow / 64]uint64{}
		} else {
			for i := w.top + 1; i <= n; i++ {
				w.bits[i%replayWindow/64] &^= 1 << (i % 64)
			}
		}
		w.top = n
	} else if w.top-n >= replayWindow {
		return false
	}
	bit := &w.bits[n%replayWindow/64]
	if *bit&(1<<(n%64)) != 0 {
		return false
	}
	*bit |= 1 << (n % 64)
	return true
}
