package announce

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/mdns/v2"
	"go.uber.org/goleak"

	"tutti/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestFound: what one announces, another finds, with all that it says.
func TestFound(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 2)
	quiet := slog.New(slog.DiscardHandler)
	// A type of the test's own, so that nobody else on the network is found.
	const kind = "_tutti-test._tcp"
	go func() {
		done <- Run(ctx, Config{
			Name: "The Kitchen. Really", Host: "my_host.example", Loopback: true, Clock: clock.System, Logger: quiet,
			Services: []Service{{Type: kind, At: netip.MustParseAddr("127.0.0.1"), Port: 8928, Text: map[string]string{"path": "/sendspin", "name": "Küche"}}},
		})
	}()
	found := make(chan []Player, 100)
	go func() {
		done <- Run(ctx, Config{Name: "looks", Loopback: true, Find: kind, Found: func(p []Player) { found <- p }, Clock: clock.System, Logger: quiet})
	}()
	defer func() {
		stop()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}()
	deadline := time.After(time.Minute)
	for {
		select {
		case all := <-found:
			for _, p := range all {
				if p.Name == "The Kitchen. Really" && p.Address.Port() == 8928 && p.Text["path"] == "/sendspin" && p.Text["name"] == "Küche" {
					t.Log(p)
					return
				}
				t.Fatalf("%+v", p)
			}
		case <-deadline:
			t.Fatal("nobody was found")
		}
	}
}

func TestPlayer(t *testing.T) {
	for _, c := range []struct {
		at   string
		port uint16
		text string
		ok   bool
	}{
		{"192.168.1.4", 8928, "/sendspin", true},
		{"10.0.0.1", 1, "/", true},
		{"127.0.0.1", 8928, "/sendspin", false}, // nor what only this machine can reach
		{"8.8.8.8", 8928, "/sendspin", false},   // nothing beyond the local network is called
		{"192.168.1.4", 0, "/sendspin", false},
		{"192.168.1.4", 8928, strings.Repeat("/", 300), false},
	} {
		p, ok := new(Config).player(mdns.ServiceEvent{Addr: netip.MustParseAddr(c.at), Instance: mdns.ServiceInstance{Port: c.port, Text: []mdns.TXTEntry{mdns.NewTXTString("Path", c.text)}}})
		if ok != c.ok || ok && p.Text["path"] != c.text {
			t.Errorf("%+v: %+v, %v", c, p, ok)
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range [][2]string{{"My_Host.example.org", "myhost"}, {"...", "music"}, {"-a-", "a"}, {strings.Repeat("x", 90), strings.Repeat("x", 50)}} {
		if got := hostLabel(c[0]); got != c[1] {
			t.Errorf("%q as a host is %q", c[0], got)
		}
	}
	if got := label("tutti on " + strings.Repeat("é", 60)); len(got) > 63 || !strings.HasPrefix(got, "tutti on é") {
		t.Errorf("%q", got)
	}
}
