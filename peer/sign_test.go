package peer

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tutti"
	"tutti/clock"
)

// sent makes a signed request as a member would receive it.
func sent(t testing.TB, s *signer, target, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(body))
	s.sign(r, []byte(body))
	return r
}

func TestSignedRequests(t *testing.T) {
	now := clock.NewFake(epoch)
	keys := testKeys(t)
	s := newSigner(keys, now)
	const target = "http://10.0.0.1:4533/tutti.v1.Store/Put?a=1"
	fresh := func() *verifier { return newVerifier(keys, now, "10.0.0.1:4533") }

	v := fresh()
	r := sent(t, s, target, "message")
	if err := v.verify(r); err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(r.Body); err != nil || string(body) != "message" {
		t.Errorf("the body is %q, %v", body, err)
	}

	for what, change := range map[string]func(*http.Request){
		"another method":     func(r *http.Request) { r.Method = http.MethodGet },
		"another path":       func(r *http.Request) { r.URL.Path = "/tutti.v1.Store/Delete" },
		"another query":      func(r *http.Request) { r.URL.RawQuery = "a=2" },
		"another member":     func(r *http.Request) { r.Host = "10.0.0.2:4533" },
		"another body":       func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("massage")) },
		"no body":            func(r *http.Request) { r.Body = http.NoBody },
		"no signature":       func(r *http.Request) { r.Header.Del("Authorization") },
		"another scheme":     func(r *http.Request) { r.Header.Set("Authorization", "Basic YTpi") },
		"another time":       edit("time=1709208000000", "time=1709208000001"),
		"another number":     edit("n=", "n=1"),
		"something appended": func(r *http.Request) { r.Header.Set("Authorization", r.Header.Get("Authorization")+"A") },
	} {
		r := sent(t, s, target, "message")
		change(r)
		wantKind(t, fresh().verify(r), tutti.KindUnauthorised, what)
	}
	wantKind(t, fresh().verify(sent(t, newSigner(testKeys(t, line("k1", "b2")), now), target, "m")), tutti.KindUnauthorised, "another fleet's key")
	wantKind(t, newVerifier(keys, now, "10.0.0.2:4533").verify(sent(t, s, target, "m")), tutti.KindUnauthorised, "received by another member")
}

func edit(old, change string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, change, 1))
	}
}

func TestRecordedRequests(t *testing.T) {
	now := clock.NewFake(epoch)
	keys := testKeys(t)
	s, v := newSigner(keys, now), newVerifier(keys, now, "")
	again := func(r *http.Request) *http.Request {
		c := r.Clone(context.Background())
		c.Body = io.NopCloser(strings.NewReader("m"))
		return c
	}
	r := sent(t, s, "http://a/x", "m")
	if err := v.verify(again(r)); err != nil {
		t.Fatal(err)
	}
	wantKind(t, v.verify(again(r)), tutti.KindUnauthorised, "the same request again")
	now.Advance(maxSkew)
	wantKind(t, v.verify(again(r)), tutti.KindUnauthorised, "the same request at the end of its time")
	now.Advance(2*maxSkew + time.Second)
	v.swept = time.Time{}
	v.sweep(now.Now())
	if len(v.clients) != 0 {
		t.Error("a client that has been silent is not forgotten")
	}
	wantKind(t, v.verify(again(r)), tutti.KindUnauthorised, "the same request when its client is forgotten")
}

func TestClocksApart(t *testing.T) {
	keys := testKeys(t)
	for apart, ok := range map[time.Duration]bool{
		0: true, maxSkew: true, -maxSkew: true, maxSkew + time.Millisecond: false, -maxSkew - time.Millisecond: false,
	} {
		r := sent(t, newSigner(keys, clock.NewFake(epoch.Add(apart))), "http://a/x", "")
		err := newVerifier(keys, clock.NewFake(epoch), "").verify(r)
		if ok != (err == nil) {
			t.Errorf("%s apart: %v", apart, err)
		}
		if !ok && (!tutti.IsKind(err, tutti.KindUnauthorised) || !strings.Contains(tutti.Message(err), "clock")) {
			t.Errorf("%s apart: %v, want an error that names the clocks", apart, err)
		}
	}
}

// TestWindow sends numbers in an order that is all but right, each of them twice, and compares with a set.
func TestWindow(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	numbers := make([]uint64, 0, 6*replayWindow)
	for n := uint64(1); n <= 3*replayWindow; n++ {
		numbers = append(numbers, n, n)
	}
	at := func(n uint64) float64 { return float64(n) + rng.Float64()*replayWindow/4 }
	keyed := make(map[int]float64, len(numbers))
	order := make([]int, len(numbers))
	for i, n := range numbers {
		order[i], keyed[i] = i, at(n)
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if keyed[a] < keyed[b] {
			return -1
		}
		return 1
	})
	var w window
	seen := map[uint64]bool{}
	for _, i := range order {
		n := numbers[i]
		if got := w.see(n); got == seen[n] {
			t.Fatalf("number %d with %d the newest: %v", n, w.top, got)
		}
		seen[n] = true
	}
	if w.see(w.top - replayWindow) {
		t.Error("a number before the window counts as new")
	}
	far := w.top + 10*replayWindow
	if !w.see(far) || w.see(far) || !w.see(far-1) || !w.see(far-replayWindow+1) || w.see(far-replayWindow) {
		t.Error("after a leap the window is wrong")
	}
}

func TestBodyLimit(t *testing.T) {
	now := clock.NewFake(epoch)
	keys := testKeys(t)
	v := newVerifier(keys, now, "")
	// A stranger's body is not read at all.
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://a/x", failing{t})
	r.Header.Set("Authorization", authScheme+" key=k1, time=1, from=0123456789abcdef, n=1, body="+strings.Repeat("A", 43)+", mac="+strings.Repeat("A", 43))
	wantKind(t, v.verify(r), tutti.KindUnauthorised, "a stranger")
	// A member's is, up to the limit.
	for length, ok := range map[int]bool{maxBody: true, maxBody + 1: false} {
		body := bytes.Repeat([]byte("x"), length)
		for _, declared := range []int64{int64(length), -1} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://a/x", bytes.NewReader(body))
			newSigner(keys, now).sign(r, body)
			r.ContentLength = declared
			if err := v.verify(r); ok != (err == nil) {
				t.Errorf("%d bytes, declared as %d: %v", length, declared, err)
			}
		}
	}
}

// failing is a body that nobody may read.
type failing struct{ t *testing.T }

func (f failing) Read([]byte) (int, error) {
	f.t.Error("the body was read")
	return 0, io.EOF
}

func TestManyClients(t *testing.T) {
	now := clock.NewFake(epoch)
	v := newVerifier(testKeys(t), now, "")
	for i := range maxClients {
		if err := v.first("client"+strconv.Itoa(i), 1, now.Now()); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, v.first("one more", 1, now.Now()), tutti.KindExhausted, "one client too many")
	if err := v.first("client7", 2, now.Now()); err != nil {
		t.Errorf("a client that is known: %v", err)
	}
	now.Advance(2*maxSkew + time.Second)
	if err := v.first("one more", 1, now.Now()); err != nil {
		t.Errorf("when the others are forgotten: %v", err)
	}
}

func TestWithoutKeys(t *testing.T) {
	v := newVerifier(nil, clock.NewFake(epoch), "")
	for from, ok := range map[string]bool{
		"127.0.0.1:5000": true, "[::1]:5000": true, "[::ffff:127.0.0.1]:5000": true, "@": true, "10.0.0.1:5000": false, "[2001:db8::1]:5000": false, "nonsense": false,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/x", nil)
		r.RemoteAddr = from
		if err := v.verify(r); ok != (err == nil) {
			t.Errorf("from %s: %v", from, err)
		}
	}
	for addr, ok := range map[string]bool{
		"127.0.0.1:4533": true, "localhost:4533": true, "[::1]:0": true, "unix:/run/tutti.sock": true,
		":4533": false, "0.0.0.0:4533": false, "[::]:4533": false, "10.0.0.1:4533": false, "example.org:80": false, "nonsense": false,
	} {
		if err := Secured([]string{addr}, nil); ok != (err == nil) {
			t.Errorf("listening on %s without keys: %v", addr, err)
		}
		if err := Secured([]string{addr}, testKeys(t)); err != nil {
			t.Errorf("listening on %s with keys: %v", addr, err)
		}
	}
}

func FuzzAuthorization(f *testing.F) {
	now := clock.NewFake(epoch)
	keys := testKeys(f)
	r := httptest.NewRequest(http.MethodPost, "http://a/x", nil)
	newSigner(keys, now).sign(r, nil)
	f.Add(r.Header.Get("Authorization"))
	f.Add(authScheme + " key=, time=, from=, n=, body=, mac=")
	f.Fuzz(func(t *testing.T, header string) {
		c, ok := parseAuthorization(header)
		if !ok {
			return
		}
		if !strings.HasPrefix(header, string(c.signed)) || !goodKeyID(c.key) || c.n == 0 {
			t.Errorf("%q was read as %+v", header, c)
		}
	})
}

func BenchmarkSignature(b *testing.B) {
	keys := testKeys(b)
	s, v := newSigner(keys, clock.System), newVerifier(keys, clock.System, "")
	body := bytes.Repeat([]byte("x"), 200)
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "http://a/x", bytes.NewReader(body))
		s.sign(r, body)
		if err := v.verify(r); err != nil {
			b.Fatal(err)
		}
	}
}
