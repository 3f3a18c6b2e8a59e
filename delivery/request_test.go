package delivery

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// TestOrigin: who is believed about where a request came from. 10.0.0.0/8 are our proxies.
func TestOrigin(t *testing.T) {
	const ours = "10.1.1.1:999"
	for _, test := range []struct {
		name    string
		header  string // that Proxies reads
		peer    string
		headers []string
		want    string // address scheme host
	}{
		{"direct", "", "192.0.2.1:5", nil, "192.0.2.1 http h"},
		{"direct, IPv4 in IPv6", "", "[::ffff:192.0.2.1]:5", nil, "192.0.2.1 http h"},
		{"direct, IPv6 with a zone", "", "[fe80::1%eth0]:5", nil, "fe80::1 http h"},
		{"a stranger's word", "", "192.0.2.1:5", []string{"X-Forwarded-For: 198.51.100.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil"}, "192.0.2.1 http h"},
		{"our proxy's", "", ours, []string{"X-Forwarded-For: 198.51.100.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: music.example"}, "198.51.100.1 https music.example"},
		{"what the listener made up stands left", "", ours, []string{"X-Forwarded-For: 1.1.1.1, 198.51.100.1"}, "198.51.100.1 http h"},
		{"even when it names our own", "", ours, []string{"X-Forwarded-For: 10.9.9.9, 198.51.100.1"}, "198.51.100.1 http h"},
		{"two proxies", "", ours, []string{"X-Forwarded-For: 198.51.100.1, 10.2.2.2"}, "198.51.100.1 http h"},
		{"two lines", "", ours, []string{"X-Forwarded-For: 198.51.100.1", "X-Forwarded-For: 10.2.2.2"}, "198.51.100.1 http h"},
		{"only proxies", "", ours, []string{"X-Forwarded-For: 10.3.3.3, 10.2.2.2"}, "10.3.3.3 http h"},
		{"rubbish ends the chain", "", ours, []string{"X-Forwarded-For: 198.51.100.1, unknown, 10.2.2.2"}, "10.2.2.2 http h"},
		{"with ports and brackets", "", ours, []string{"X-Forwarded-For: [2001:db8::1]:4711"}, "2001:db8::1 http h"},
		{"another header is not read", "", ours, []string{"X-Real-IP: 198.51.100.1", "Forwarded: for=198.51.100.2"}, "10.1.1.1 http h"},
		{"X-Real-IP", "x-real-ip", ours, []string{"X-Real-IP: 198.51.100.1", "X-Forwarded-For: 1.1.1.1"}, "198.51.100.1 http h"},
		{"a host that is more than one", "", ours, []string{"X-Forwarded-Host: a/b", "X-Forwarded-Proto: javascript"}, "10.1.1.1 http h"},

		// The examples of RFC 7239 §4.
		{"Forwarded", "Forwarded", ours, []string{`Forwarded: for="_gazonk"`}, "invalid IP http h"},
		{"Forwarded, IPv6", "Forwarded", ours, []string{`Forwarded: For="[2001:db8:cafe::17]:4711"`}, "2001:db8:cafe::17 http h"},
		{"Forwarded, all", "Forwarded", ours, []string{`Forwarded: for=192.0.2.60;proto=https;by=203.0.113.43;host=music.example`}, "192.0.2.60 https music.example"},
		{"Forwarded, list", "Forwarded", ours, []string{`Forwarded: for=192.0.2.43, for=198.51.100.17`}, "198.51.100.17 http h"},
		{"Forwarded, through two", "Forwarded", ours, []string{`Forwarded: for=192.0.2.43;proto=https, for="10.2.2.2"`}, "192.0.2.43 https h"},
		{"Forwarded, a comma in quotes", "Forwarded", ours, []string{`Forwarded: for=192.0.2.43;ext="a,b;c\",d"`}, "192.0.2.43 http h"},
		{"Forwarded, hidden behind a proxy", "Forwarded", ours, []string{`Forwarded: for=192.0.2.43, for=unknown, for=10.2.2.2`}, "invalid IP http h"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "http://h/", nil)
			r.RemoteAddr = test.peer
			for _, h := range test.headers {
				k, v, _ := strings.Cut(h, ": ")
				r.Header.Add(k, v)
			}
			p := Proxies{Trusted: prefixes("10.0.0.0/8"), Header: test.header}
			if err := p.valid(); err != nil {
				t.Fatal(err)
			}
			addr, scheme, host := p.origin(r)
			if got := addr.String() + " " + scheme + " " + host; got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// TestVouched believes a proxy at a strange address that proves who it is, and what it says of the listener only.
func TestVouched(t *testing.T) {
	p := Proxies{Trusted: prefixes("10.0.0.0/8"), Vouched: func(r *http.Request) bool { return r.Header.Get("Secret") == "s" }}
	for secret, want := range map[string]string{"s": "198.51.100.7 https h", "guess": "192.0.2.1 http h", "": "192.0.2.1 http h"} {
		r := httptest.NewRequest("GET", "http://h/", nil)
		r.RemoteAddr = "192.0.2.1:5"
		r.Header.Set("Secret", secret)
		r.Header.Set("X-Forwarded-For", "203.0.113.9, 198.51.100.7")
		r.Header.Set("X-Forwarded-Proto", "https")
		addr, scheme, host := p.origin(r)
		if got := addr.String() + " " + scheme + " " + host; got != want {
			t.Errorf("%q: %s, want %s", secret, got, want)
		}
	}
}

// FuzzOrigin: whatever a forwarding header says, a stranger's is not read, and one of ours gives a host that can stand
// in a URL.
func FuzzOrigin(f *testing.F) {
	for _, s := range []string{"1.2.3.4", `for="[::1]:80";proto=https;host=a`, "a,b,,c", `for="a\`, strings.Repeat(",", 100), `host="x y"`} {
		f.Add(s, "https", "h")
	}
	f.Fuzz(func(t *testing.T, value, proto, fhost string) {
		r := httptest.NewRequest("GET", "http://h/", nil)
		for _, name := range []string{"X-Forwarded-For", "Forwarded", "X-Real-IP"} {
			r.Header.Set(name, value)
			r.Header.Set("X-Forwarded-Proto", proto)
			r.Header.Set("X-Forwarded-Host", fhost)
			r.RemoteAddr = "192.0.2.1:1"
			p := Proxies{Trusted: prefixes("10.0.0.0/8"), Header: name}
			if a, s, h := p.origin(r); a.String() != "192.0.2.1" || s != "http" || h != "h" {
				t.Errorf("a stranger was believed: %s %s %s", a, s, h)
			}
			r.RemoteAddr = "10.0.0.1:1"
			if a, s, h := p.origin(r); s != "http" && s != "https" || !plainHost(h) || a.Zone() != "" || a.Is4In6() {
				t.Errorf("%q: %s %q %q", value, a, s, h)
			}
		}
	})
}

func TestRequestOutsideOfAServer(t *testing.T) {
	r := httptest.NewRequest("GET", "http://h:1/x", nil)
	r.RemoteAddr = "192.0.2.1:1"
	if ClientAddr(r).String() != "192.0.2.1" || BaseURL(r) != "http://h:1" || Secure(r) || RequestID(r.Context()) != "" || BasePath(r) != "" {
		t.Error("a request that no Server has seen should be described by itself")
	}
	SetRoute(r, "x")
	HoldOpen(r.Context())
	unix := r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.UnixAddr{Net: "unix"}))
	unix.RemoteAddr = "@"
	unix.Header.Set("X-Forwarded-For", "192.0.2.9")
	if a, _, _ := (Proxies{}).origin(unix); a.String() != "192.0.2.9" {
		t.Errorf("the proxy on our Unix socket was not believed: %s", a)
	}
}

func TestRequestIDs(t *testing.T) {
	a, b := newRequestIDs(1<<63), newRequestIDs(1)
	seen := make(map[string]bool)
	for range 1000 {
		for _, id := range []string{a.next(), b.next() + "........"} {
			if seen[id] || !goodRequestID(id) {
				t.Fatalf("bad id %q", id)
			}
			seen[id] = true
		}
	}
}
