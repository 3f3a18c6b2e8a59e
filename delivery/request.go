package delivery

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"tutti"
	"tutti/clock"
)

// request is what the server knows of one request beyond net/http. There is one for each request, made by the
// outermost handler and reached through the context, so that the layers inside cost one allocation together.
type request struct {
	id     string
	from   netip.Addr // of the listener, seen through trusted proxies; the zero Addr when it cannot be known
	scheme string
	host   string
	base   string // the path under which the server is mounted at its proxy: "" or "/music"
	route  string
	start  time.Time
	conn   sender // of an HTTP/1.x connection without TLS, else nil

	tail *answer // what is to be sent once the handler has returned; nil for nothing

	cancel   context.CancelCauseFunc
	deadline clock.Timer     // ends the request, unless it is held open; nil for none
	closing  context.Context // ends when the server begins to shut down
	held     atomic.Bool
	forget   atomic.Pointer[func() bool] // stops the wait for closing
}

type requestKey struct{}

func requestOf(ctx context.Context) *request {
	q, _ := ctx.Value(requestKey{}).(*request)
	return q
}

// ClientAddr returns the address of whoever asks: the connection's, or what a trusted proxy says it is. It is the
// zero Addr where that cannot be known, such as on a Unix socket without a proxy header.
func ClientAddr(r *http.Request) netip.Addr {
	if q := requestOf(r.Context()); q != nil {
		return q.from
	}
	return peerAddr(r.RemoteAddr)
}

// RequestID returns the id under which the log knows the request; "" outside of a Server.
func RequestID(ctx context.Context) string {
	if q := requestOf(ctx); q != nil {
		return q.id
	}
	return ""
}

// SetRoute names the request for metrics, logs and traces. The name must be one of a fixed, small set ("getSong"), and
// never anything that the asker chose. Without it, a request goes by the pattern that an http.ServeMux matched, else by
// the name of its Mount.
func SetRoute(r *http.Request, name string) {
	if q := requestOf(r.Context()); q != nil {
		q.route = name
	}
}

// BaseURL returns the address under which the asker reaches this server, without a slash at the end:
// "https://music.example.org/tutti". It is as good as the Host header and the proxy: fit for links back to whoever
// asked, not for deciding anything.
func BaseURL(r *http.Request) string {
	if q := requestOf(r.Context()); q != nil {
		return q.scheme + "://" + q.host + q.base
	}
	return scheme(r) + "://" + r.Host
}

// Secure reports whether the asker came over TLS, here or at a trusted proxy: whether cookies are to be marked Secure.
func Secure(r *http.Request) bool {
	if q := requestOf(r.Context()); q != nil {
		return q.scheme == "https"
	}
	return r.TLS != nil
}

// BasePath returns the path prefix under which the server is mounted at its proxy, "" or one like "/music": what
// cookies are limited to and what a link without a host begins with.
func BasePath(r *http.Request) string {
	if q := requestOf(r.Context()); q != nil {
		return q.base
	}
	return ""
}

// HoldOpen lifts the deadline of a request whose answer takes as long as its listener wants: a stream of events, a
// long poll. Its context then ends when the listener leaves or the server begins to shut down. Flushing a response
// does the same. Audio needs neither: Bytes sees to it, and lets audio play on while the server shuts down.
func HoldOpen(ctx context.Context) {
	if q := requestOf(ctx); q != nil {
		q.holdOpen()
	}
}

func (q *request) holdOpen() {
	if !q.lift() {
		return
	}
	stop := context.AfterFunc(q.closing, func() {
		q.cancel(tutti.Errorf(tutti.KindUnavailable, "delivery.HoldOpen", "the server is shutting down"))
	})
	q.forget.Store(&stop)
}

// lift stops the request's deadline; it reports whether this was the first call.
func (q *request) lift() bool {
	if q.held.Swap(true) {
		return false
	}
	if q.deadline != nil {
		q.deadline.Stop()
	}
	return true
}

// release gives back what the request holds.
func (q *request) release() {
	q.lift()
	if stop := q.forget.Load(); stop != nil {
		(*stop)()
	}
	q.cancel(nil)
}

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// peerAddr returns the address in an http.Request's RemoteAddr, without a zone and with IPv4 as IPv4.
func peerAddr(remote string) netip.Addr {
	if ap, err := netip.ParseAddrPort(remote); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// Proxies says whom to believe about where a request came from. A proxy adds to exactly one kind of header and passes
// the others on as the client sent them, so only the one named here is read, and only from an address in Trusted or from
// whom Vouched believes.
type Proxies struct {
	Trusted []netip.Prefix // a peer on a Unix socket always counts as trusted: the socket's permissions decide who that is
	Header  string         // "X-Forwarded-For" (also the meaning of ""), "Forwarded" (RFC 7239) or "X-Real-IP"
	// Vouched reports whether a request proves by itself that it came through a proxy to be believed, from wherever that
	// is: by a secret that the proxy shares with us. nil: none does.
	Vouched func(r *http.Request) bool
}

// valid returns KindInvalid for a header that is not one of the three.
func (p Proxies) valid() error {
	switch http.CanonicalHeaderKey(p.Header) {
	case "", "X-Forwarded-For", "Forwarded", "X-Real-Ip":
		return nil
	}
	return tutti.Errorf(tutti.KindInvalid, "delivery.New", "proxy header %q is none of X-Forwarded-For, Forwarded and X-Real-IP", p.Header)
}

func (p Proxies) trusts(a netip.Addr) bool {
	for _, t := range p.Trusted {
		if t.Contains(a) {
			return true
		}
	}
	return false
}

// maxHops bounds how many addresses of a forwarding header are looked at.
const maxHops = 32

// origin says where the request really came from: the address, the scheme and the host that the listener used.
func (p Proxies) origin(r *http.Request) (from netip.Addr, sch, host string) {
	from, sch, host = peerAddr(r.RemoteAddr), scheme(r), r.Host
	if from.IsValid() && !p.trusts(from) || !from.IsValid() && !onUnixSocket(r) {
		if p.Vouched == nil || !p.Vouched(r) {
			return from, sch, host
		}
	}
	switch http.CanonicalHeaderKey(p.Header) {
	case "Forwarded":
		hops := parseForwarded(r.Header["Forwarded"])
		for i := len(hops) - 1; i >= 0; i-- {
			h := hops[i]
			if h.proto != "" {
				sch = h.proto
			}
			if h.host != "" {
				host = h.host
			}
			if !h.addr.IsValid() { // "unknown" or an obfuscated name: nothing further left can be believed
				return netip.Addr{}, sch, host
			}
			if from = h.addr; !p.trusts(from) {
				break
			}
		}
		return from, sch, host
	case "X-Real-Ip":
		if a, ok := parseHop(r.Header.Get("X-Real-Ip")); ok {
			from = a
		}
	default:
		// Each proxy appends whom it saw. From the right, the first that is not one of ours is the listener; whatever
		// stands left of it is hearsay.
		list := hopList(r.Header["X-Forwarded-For"])
		for i := len(list) - 1; i >= 0; i-- {
			a, ok := parseHop(list[i])
			if !ok {
				break
			}
			if from = a; !p.trusts(from) {
				break
			}
		}
	}
	// The last value is what the nearest proxy said.
	if l := hopList(r.Header["X-Forwarded-Proto"]); len(l) > 0 {
		if v := strings.ToLower(l[len(l)-1]); v == "http" || v == "https" {
			sch = v
		}
	}
	if l := hopList(r.Header["X-Forwarded-Host"]); len(l) > 0 && plainHost(l[len(l)-1]) {
		host = l[len(l)-1]
	}
	return from, sch, host
}

func onUnixSocket(r *http.Request) bool {
	a, ok := r.Context().Value(http.LocalAddrContextKey).(interface{ Network() string })
	return ok && a.Network() == "unix"
}

// hopList splits the values of a header that is a comma-separated list, keeping the last maxHops of them.
func hopList(values []string) []string {
	var out []string
	for i := len(values) - 1; i >= 0 && len(out) < maxHops; i-- {
		rest := values[i]
		for len(out) < maxHops {
			cut := strings.LastIndexByte(rest, ',')
			if v := strings.TrimSpace(rest[cut+1:]); v != "" {
				out = append(out, v)
			}
			if cut < 0 {
				break
			}
			rest = rest[:cut]
		}
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// parseHop reads an address as proxies write it: bare, in brackets, with a port.
func parseHop(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().WithZone(""), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			if a, err := netip.ParseAddr(inner); err == nil {
				return a.Unmap().WithZone(""), true
			}
		}
	}
	return netip.Addr{}, false
}

// plainHost reports whether s can stand as the host of a URL: names, addresses and a port, and nothing that could end
// the host and begin something else.
func plainHost(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '-', c == '_', c == ':', c == '[', c == ']':
		default:
			return false
		}
	}
	return true
}

// hop is one element of a Forwarded header.
type hop struct {
	addr        netip.Addr
	proto, host string
}

// parseForwarded reads the last maxHops elements of the Forwarded header (RFC 7239 §4). An element that cannot be read
// is kept as one without an address, so that nothing left of it is believed.
func parseForwarded(values []string) []hop {
	s := strings.Join(values, ",")
	if len(s) > 16<<10 {
		return nil
	}
	var hops []hop
	for _, element := range splitQuoted(s, ',') {
		var h hop
		if strings.TrimSpace(element) == "" {
			continue
		}
		for _, pair := range splitQuoted(element, ';') {
			name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			value = unquote(value)
			switch strings.ToLower(name) {
			case "for":
				if a, ok := parseHop(value); ok {
					h.addr = a
				}
			case "proto":
				if v := strings.ToLower(value); v == "http" || v == "https" {
					h.proto = v
				}
			case "host":
				if plainHost(value) {
					h.host = value
				}
			}
		}
		hops = append(hops, h)
	}
	if len(hops) > maxHops {
		hops = hops[len(hops)-maxHops:]
	}
	return hops
}

// splitQuoted splits at sep outside of quoted strings (RFC 9110 §5.6.4).
func splitQuoted(s string, sep byte) []string {
	var out []string
	quoted := false
	from := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == sep && !quoted:
			out = append(out, s[from:i])
			from = i + 1
		}
	}
	return append(out, s[from:])
}

// unquote removes the quotes and escapes of a quoted string; a bare token is returned as it is.
func unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	s = s[1 : len(s)-1]
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// goodRequestID reports whether an id that a client or proxy brought may stand in our log.
func goodRequestID(s string) bool {
	if len(s) < 8 || len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// requestIDs makes ids that differ within a process by counting, and between processes by a random start.
type requestIDs struct {
	prefix string
	n      atomic.Uint64
}

func newRequestIDs(random uint64) *requestIDs {
	return &requestIDs{prefix: strconv.FormatUint(random, 36) + "-"}
}

func (g *requestIDs) next() string {
	var b [32]byte
	return string(strconv.AppendUint(append(b[:0], g.prefix...), g.n.Add(1), 36))
}
