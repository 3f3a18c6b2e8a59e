package nginx

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tutti"
)

var update = flag.Bool("update", false, "write the golden files anew")

const someSecret = "0123456789abcdef0123456789abcdef"

// goldens are the configurations whose text a person has looked at.
func goldens() map[string]Config {
	one := Config{
		Deliveries: []string{"127.0.0.1:7001"}, TrackCaches: []string{"127.0.0.1:7003"},
		Listen: []string{"127.0.0.1:8080"}, Dir: "/var/lib/tutti/nginx", Secret: someSecret,
	}
	none := one
	none.Deliveries, none.TrackCaches, none.relayed = nil, nil, true
	many := one
	many.Deliveries = []string{"10.0.0.3:7001", "10.0.0.2:7001"}
	many.TrackCaches = []string{"10.0.0.7:7003", "10.0.0.5:7003", "[fd00::6]:7003"}
	many.RequestRate, many.Connections = 50, 256
	many.TrustedProxies = []string{"10.0.0.0/8", "fd00::1"}
	many.AccessLog = "/var/log/tutti/access.log"
	many.ErrorLog = "/var/log/tutti/nginx.log"
	secure := many
	secure.Listen, secure.RedirectListen = []string{"443", "[::]:443"}, []string{"80", "[::]:80"}
	secure.ServerNames = []string{"music.example.org"}
	secure.TLSCert, secure.TLSKey = "/etc/tutti/cert.pem", "/etc/tutti/key.pem"
	secure.PeerTLS = &PeerTLS{CA: "/etc/tutti/ca.pem", Name: "tutti-fleet", Cert: "/etc/tutti/nginx.pem", Key: "/etc/tutti/nginx.key"}
	secure.User, secure.BasePath, secure.Workers = "www-data", "/music.v1", 4
	secure.BrotliModule = "/usr/lib/nginx/modules/ngx_http_brotli_filter_module.so"
	secure.Events, secure.Writes = []string{"/api/v1/events"}, []string{"star", "do.this"}
	return map[string]Config{"one": one, "none": none, "many": many, "secure": secure}
}

func TestGolden(t *testing.T) {
	for name, c := range goldens() {
		t.Run(name, func(t *testing.T) {
			got, err := c.Text()
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".conf")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the configuration is not what %s says; look at the difference, then go test ./deploy/nginx -update", file)
			}
			if strings.Contains(got, "<no value>") {
				t.Error("a value is missing")
			}
		})
	}
}

// TestSafe gives every text of the configuration what would make nginx read something else in it.
func TestSafe(t *testing.T) {
	bad := []string{`a"; deny all; #`, "x\ny", "$host", `\`, "a b", "a;b", "{", "'"}
	fields := map[string]func(*Config, string){
		"delivery":   func(c *Config, v string) { c.Deliveries = []string{v} },
		"trackcache": func(c *Config, v string) { c.TrackCaches = []string{"10.0.0.1:1", v + ":1"} },
		"listen":     func(c *Config, v string) { c.Listen = []string{v} },
		"name":       func(c *Config, v string) { c.ServerNames = []string{v} },
		"secret":     func(c *Config, v string) { c.Secret = someSecret + v },
		"user":       func(c *Config, v string) { c.User = v },
		"proxy":      func(c *Config, v string) { c.TrustedProxies = []string{v} },
		"events":     func(c *Config, v string) { c.Events = []string{"/" + v} },
		"write":      func(c *Config, v string) { c.Writes = []string{v} },
		"base":       func(c *Config, v string) { c.BasePath = "/" + v },
		"peer":       func(c *Config, v string) { c.PeerTLS = &PeerTLS{CA: "/ca", Name: v} },
	}
	for name, set := range fields {
		for _, v := range bad {
			c := goldens()["one"]
			set(&c, v)
			if _, err := c.Text(); !tutti.IsKind(err, tutti.KindInvalid) {
				t.Errorf("%s %q: %v", name, v, err)
			}
		}
	}
	for _, v := range []string{`/a"b`, "/a\nb", "/$host", `/a\b`, "relative"} {
		for name, set := range map[string]func(*Config){
			"dir": func(c *Config) { c.Dir = v }, "cache": func(c *Config) { c.CacheDir = v }, "log": func(c *Config) { c.ErrorLog = v },
			"access": func(c *Config) { c.AccessLog = v }, "cert": func(c *Config) { c.TLSCert, c.TLSKey = v, "/key" },
			"ca": func(c *Config) { c.PeerTLS = &PeerTLS{CA: v, Name: "fleet"} },
		} {
			c := goldens()["one"]
			set(&c)
			if _, err := c.Text(); !tutti.IsKind(err, tutti.KindInvalid) {
				t.Errorf("%s %q: %v", name, v, err)
			}
		}
	}
	for name, set := range map[string]func(*Config){
		"nothing to listen on": func(c *Config) { c.Listen = nil },
		"no secret":            func(c *Config) { c.Secret = "" },
		"a cert without a key": func(c *Config) { c.TLSCert = "/c" },
		"redirect without TLS": func(c *Config) { c.RedirectListen = []string{"80"} },
		"negative":             func(c *Config) { c.RequestRate = -1 },
		"an hour ago":          func(c *Config) { c.SendTimeout = -1 },
		"no folder":            func(c *Config) { c.Dir = "" },
	} {
		c := goldens()["one"]
		set(&c)
		if _, err := c.Text(); !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
