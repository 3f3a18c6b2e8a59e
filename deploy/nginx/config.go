// Package nginx puts Debian's nginx in front of a fleet: it writes the configuration from the members there are, has
// nginx check it, reloads it when they change, and can run nginx itself. It also holds the few words that delivery and
// nginx share: the addresses to which delivery sends nginx for bytes, and the secret by which it knows that a request
// came through this nginx.
//
// nginx is trusted with nothing but that secret: each request is authorised by delivery, and the track cache serves what
// delivery's pass allows, for as long as it lasts.
package nginx

import (
	"embed"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"time"

	"tutti"
)

// Config says what nginx is to do. Listen, Dir, Secret and the addresses of the members are required, though there may be
// no members yet: nginx then answers 503.
type Config struct {
	Deliveries, TrackCaches []string // HOST:PORT of the ready members

	Listen         []string // as nginx writes it: "127.0.0.1:8080", "443", "[::]:443", "unix:/run/tutti-edge.sock"
	RedirectListen []string // where plain HTTP is answered with the address in HTTPS; only with TLSCert
	ServerNames    []string // nil: whatever name a listener uses

	BasePath string   // under which delivery shows the server; "" or "/music"
	Events   []string // paths below BasePath at which delivery tells what happens for as long as somebody listens; a star is any one part
	Writes   []string // endpoints below BasePath's /rest/ that change something though they are asked by GET

	TLSCert, TLSKey string // files in PEM; both or neither
	// PeerTLS is how nginx speaks to the members; nil: plain HTTP, for one machine or a network that is trusted.
	PeerTLS *PeerTLS

	// Dir is a folder of nginx's own, for its pid, its temporary files and, unless CacheDir says otherwise, its cache.
	Dir        string
	CacheDir   string
	CacheBytes int64 // that the cache may take on the disk; 0 is 10 GiB

	// Secret is what delivery recognises this nginx by (see Secret).
	Secret string

	// Limits for one client address; 0 is no limit, which is for tests: many listeners may share an address.
	RequestRate  int // requests a second, not counting slices
	RequestBurst int // requests above the rate that are answered at once; 0 is ten seconds' worth
	Connections  int // requests at the same time; in HTTP/2 each stream is one

	SendTimeout       time.Duration // how long a listener may take nothing; 0 is 10 min, as delivery has it
	ReadTimeout       time.Duration // how long delivery may say nothing before another one is asked; 0 is 6 s, as it waits 5 s for a catalogue
	WriteTimeout      time.Duration // how long it may say nothing to a POST, which is not asked again; 0 is 15 s, as it waits 10 s for a catalogue
	EventTimeout      time.Duration // how long it may say nothing where a listener waits for events; 0 is 65 s
	TrackCacheTimeout time.Duration // how long a track cache may say nothing before the next one is asked; 0 is 3 s
	Linger            time.Duration // how long requests that run at a reload may go on, and so how long its old workers stay; 0 is 15 min
	MaxBody           int64         // bytes of a request's body; 0 is 8 MiB

	TrustedProxies    []string // addresses and networks of balancers in front that are believed about who asks
	Workers           int      // processes; 0: one for each CPU
	WorkerConnections int      // a process; 0 is 16384, or, for an Edge, as many as the system's limit of open files allows
	OpenFiles         int      // of a process; 0 is three for a connection, or, for an Edge, as many as the system's limit allows, up to 64 for one
	User              string   // whom the workers run as; "" is the user that starts nginx
	ErrorLog          string   // a file; "" is error.log in Dir, and with Run standard error, from which it takes the secrets out
	AccessLog         string   // a file; "" is none

	// BrotliModule is the file of nginx's Brotli filter; "" is none: texts are compressed with gzip only. An Edge looks for it.
	BrotliModule string

	relayed bool // Run reads standard error
}

// PeerTLS is mutual TLS between nginx and the members. Files are in PEM.
type PeerTLS struct {
	CA        string // who signs the members' certificates
	Name      string // that the members' certificates are for
	Cert, Key string // nginx's own; both or neither
}

//go:embed nginx.conf.tmpl
var templates embed.FS

// What follows is made when it is first needed, which in most processes is never.
var page = sync.OnceValue(func() *template.Template { return template.Must(template.ParseFS(templates, "nginx.conf.tmpl")) })

func form(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

// Text is the configuration as nginx reads it. It returns KindInvalid for a value that cannot stand in it.
func (c Config) Text() (string, error) {
	c = c.withDefaults()
	if err := c.valid(); err != nil {
		return "", err
	}
	var b strings.Builder
	if err := page().Execute(&b, settings{c}); err != nil {
		return "", tutti.Wrap(tutti.KindInternal, "nginx.Text", err)
	}
	return b.String(), nil
}

func (c Config) withDefaults() Config {
	zero := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	zero(&c.RequestBurst, 10*c.RequestRate)
	zero(&c.WorkerConnections, 16384)
	zero(&c.OpenFiles, filesPerConnection*c.WorkerConnections+otherFiles)
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.SendTimeout, 10 * time.Minute}, {&c.ReadTimeout, 6 * time.Second}, {&c.WriteTimeout, 15 * time.Second}, {&c.EventTimeout, 65 * time.Second}, {&c.TrackCacheTimeout, 3 * time.Second}, {&c.Linger, 15 * time.Minute}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, n := range []struct {
		field *int64
		value int64
	}{{&c.CacheBytes, 10 << 30}, {&c.MaxBody, 8 << 20}} {
		if *n.field == 0 {
			*n.field = n.value
		}
	}
	if c.CacheDir == "" {
		c.CacheDir = filepath.Join(c.Dir, "cache")
	}
	// The order in which the ring is made; it must be the same everywhere.
	c.Deliveries, c.TrackCaches = sorted(c.Deliveries), sorted(c.TrackCaches)
	return c
}

func sorted(addresses []string) []string {
	out := slices.Clone(addresses)
	slices.Sort(out)
	return slices.Compact(out)
}

var (
	nameForm   = form(`^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$|^_$`)
	userForm   = form(`^[A-Za-z_][A-Za-z0-9_-]{0,31}$`)
	secretForm = form(`^[A-Za-z0-9_-]{32,128}$`)
	baseForm   = form(`^(/[A-Za-z0-9._~-]+)*$`)
	writeForm  = form(`^[A-Za-z0-9.]+$`)
	listenForm = form(`^(unix:/[A-Za-z0-9._/-]+|([A-Za-z0-9.-]+|\*|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}|[0-9]{1,5})$`)
)

func (c Config) valid() error {
	invalid := func(format string, args ...any) error {
		return tutti.Errorf(tutti.KindInvalid, "nginx.Text", format, args...)
	}
	for _, a := range slices.Concat(c.Deliveries, c.TrackCaches) {
		if !validMember(a) {
			return invalid("the member address %q must be HOST:PORT", a)
		}
	}
	if len(c.Listen) == 0 {
		return invalid("nginx needs an address to listen on")
	}
	for _, l := range slices.Concat(c.Listen, c.RedirectListen) {
		if !listenForm().MatchString(l) {
			return invalid("nginx cannot listen on %q; write HOST:PORT, a port, or unix:/path", l)
		}
	}
	for _, n := range c.ServerNames {
		if !nameForm().MatchString(n) {
			return invalid("%q is no server name", n)
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return invalid("TLS needs a certificate and its key")
	}
	if len(c.RedirectListen) > 0 && c.TLSCert == "" {
		return invalid("plain HTTP can be sent to HTTPS only where there is a certificate")
	}
	if !baseForm().MatchString(c.BasePath) {
		return invalid("the base path %q must look like /music", c.BasePath)
	}
	for _, p := range c.Events {
		if p == "" || !baseForm().MatchString(strings.ReplaceAll(p, "/*/", "/any/")) {
			return invalid("the path %q must look like /api/events or /api/*/events", p)
		}
	}
	for _, name := range c.Writes {
		if !writeForm().MatchString(name) {
			return invalid("%q is no name of an endpoint", name)
		}
	}
	if !secretForm().MatchString(c.Secret) {
		return invalid("the secret between nginx and delivery must be 32 to 128 letters, digits, - and _")
	}
	if c.User != "" && !userForm().MatchString(c.User) {
		return invalid("%q is no user name", c.User)
	}
	for _, p := range c.TrustedProxies {
		_, err := netip.ParsePrefix(p)
		if _, addrErr := netip.ParseAddr(p); err != nil && addrErr != nil {
			return invalid("the trusted proxy %q must be an address or a network such as 10.0.0.0/8", p)
		}
	}
	files := []string{c.Dir, c.CacheDir, c.TLSCert, c.TLSKey, c.ErrorLog, c.AccessLog, c.BrotliModule}
	if p := c.PeerTLS; p != nil {
		if p.CA == "" || !nameForm().MatchString(p.Name) || (p.Cert == "") != (p.Key == "") {
			return invalid("TLS to the members needs the authority's certificate and the name that theirs are for, and a certificate with its key or neither")
		}
		files = append(files, p.CA, p.Cert, p.Key)
	}
	for _, f := range files {
		// nginx knows variables in some of these, and a quoted string can hold anything else but quotes, backslashes and NUL.
		if f != "" && (!filepath.IsAbs(f) || strings.ContainsAny(f, "$\"\\\x00\n\r")) {
			return invalid("the path %q must be absolute and free of quotes, backslashes and dollar signs", f)
		}
	}
	if c.Dir == "" {
		return invalid("nginx needs a folder of its own")
	}
	// The path of a Unix socket has 107 bytes at most (unix(7)), and nginx takes no quotes around it.
	if socket := (settings{c}).FillSocket(); len(socket) > 107 || !listenForm().MatchString("unix:"+socket) {
		return invalid("nginx's folder %q must have a shorter path of letters, digits, dots, dashes and slashes", c.Dir)
	}
	for _, n := range []int64{int64(c.RequestRate), int64(c.RequestBurst), int64(c.Connections), c.MaxBody, c.CacheBytes, int64(c.Workers), int64(c.WorkerConnections), int64(c.OpenFiles)} {
		if n < 0 {
			return invalid("a limit of nginx's cannot be negative")
		}
	}
	for _, d := range []time.Duration{c.SendTimeout, c.ReadTimeout, c.WriteTimeout, c.EventTimeout, c.TrackCacheTimeout, c.Linger} {
		if d < time.Millisecond {
			return invalid("a time limit of nginx's must be a millisecond or more")
		}
	}
	return nil
}

func validMember(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || !listenForm().MatchString(address) || host == "" || host == "*" {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// settings is what the template sees.
type settings struct{ Config }

// Oldest is the oldest nginx that the configuration is tested with.
func (settings) Oldest() string { return "1.22" }

// Texts are the media types that are compressed, but for text/html, which always is.
func (settings) Texts() string {
	return "application/json application/xml text/xml text/css text/plain text/javascript application/javascript image/svg+xml application/manifest+json application/vnd.apple.mpegurl"
}

// Path is a path in Dir, ready to stand in the file.
func (s settings) Path(name string) string { return s.Quote(filepath.Join(s.Dir, name)) }

// Quote makes one parameter of a value that valid has seen.
func (settings) Quote(v string) string { return `"` + v + `"` }

// Seconds writes a duration as nginx reads it.
func (settings) Seconds(d time.Duration) string {
	if d%time.Second == 0 {
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
}

// Names are the server's names; "_" is any.
func (s settings) Names() string {
	if len(s.ServerNames) == 0 {
		return "_"
	}
	return strings.Join(s.ServerNames, " ")
}

// ErrorLogLine is where errors go, and which. nginx quotes a request's first line with its query, and so the secrets in
// it, when an error concerns a request. Run takes them out of what nginx says on standard error; nobody does for a file,
// which so gets only what is critical.
func (s settings) ErrorLogLine() string {
	switch {
	case s.ErrorLog != "":
		return s.Quote(s.ErrorLog) + " crit"
	case s.relayed:
		return "stderr warn"
	}
	return s.Path("error.log") + " crit"
}

// filesPerConnection is how many files a worker needs for a request: a connection to its listener, one to a member, and
// one in the cache. Without TLS it holds all slices of the track that it sends open, in as many files: manyPerConnection
// is enough for tracks of 60 MB of which each listener plays another. otherFiles is what it needs besides.
const filesPerConnection, manyPerConnection, otherFiles = 3, 64, 256

// SharedFiles is how many open files a worker keeps for whoever may want the same next.
func (s settings) SharedFiles() int { return min(4096, s.OpenFiles/4) }

// KeysZone is the shared memory for the cache's keys. nginx keeps 8,000 of them in a megabyte
// (nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_cache_path), and each is of one slice.
func (s settings) KeysZone() string {
	return strconv.FormatInt(max(4, s.CacheBytes/tutti.ChunkSize/8000+1), 10) + "m"
}

// Zone is the shared memory for what the workers know of n servers: nginx 1.22 takes 0.6 KiB for each.
func (settings) Zone(n int) string { return strconv.Itoa(max(256, 64+2*n)) + "k" }

// FillSocket is where the server listens that fetches slices.
func (s settings) FillSocket() string { return filepath.Join(s.Dir, "fill.sock") }

// TellSocket is where the server listens that passes on what is told by GET.
func (s settings) TellSocket() string { return filepath.Join(s.Dir, "tell.sock") }

// TellTimeout is how long that may take at all: two tries to reach somebody, and an answer.
func (s settings) TellTimeout() time.Duration { return s.WriteTimeout + 3*time.Second }

// WritesForm is a regular expression that matches one of Writes.
func (s settings) WritesForm() string {
	forms := make([]string, len(s.Writes))
	for i, name := range s.Writes {
		forms[i] = s.Form(name)
	}
	return strings.Join(forms, "|")
}

// FillTimeout is how long fetching a slice may take at all: three tries, two of them in vain.
func (s settings) FillTimeout() time.Duration { return 3*s.TrackCacheTimeout + 3*time.Second }

// Scheme is how the members are spoken to.
func (s settings) Scheme() string {
	if s.PeerTLS != nil {
		return "https"
	}
	return "http"
}

// Closed are the addresses of delivery that are not for listeners, with and without the base path.
func (s settings) Closed() []string {
	var out []string
	for _, base := range slices.Compact([]string{"", s.BasePath}) {
		out = append(out, "= "+base+"/readyz", "= "+base+"/metrics", base+"/debug/", base+"/tutti.v1.", base+"/bytes/")
	}
	return append(out, "/_tutti/")
}

// Form is a regular expression that matches a text of letters, digits and dots.
func (settings) Form(text string) string { return regexp.QuoteMeta(text) }

// EventForm is one that matches a path of Events.
func (s settings) EventForm(path string) string {
	return strings.ReplaceAll(s.Form(path), `/\*/`, "/[^/]+/")
}

// BaseForm is one that matches the base path, or nothing.
func (s settings) BaseForm() string {
	if s.BasePath == "" {
		return ""
	}
	return "(" + s.Form(s.BasePath) + ")?"
}

func (settings) Header() string { return Header }
func (settings) Slices() string { return slicesPath }
func (settings) Whole() string  { return wholePath }

// kept is a header field of delivery's answer that the listener is to see although the bytes come from elsewhere.
type kept struct {
	Header string
	Always bool // with errors, too
}

// Name is the field as nginx's variables are named.
func (k kept) Name() string { return strings.ReplaceAll(strings.ToLower(k.Header), "-", "_") }

// Variable is where it is kept.
func (k kept) Variable() string { return "tutti_" + k.Name() }

// Kept lists them. nginx itself keeps Content-Type, Content-Disposition, Cache-Control, Expires and Set-Cookie when it is
// sent elsewhere (ngx_http_upstream.c, "redirect"); ETag and Last-Modified come with the bytes and must, for ranges.
func (settings) Kept() []kept {
	return []kept{
		{"X-Request-Id", true},
		{"X-Content-Type-Options", true},
		{"Referrer-Policy", true},
		{"X-Frame-Options", true},
		{"Content-Security-Policy", true},
		{"Cross-Origin-Resource-Policy", true},
		{"Cross-Origin-Opener-Policy", true},
		{"Access-Control-Allow-Origin", true},
		{"Access-Control-Expose-Headers", true},
		{"X-Content-Duration", false},
		{"Repr-Digest", false},
	}
}
