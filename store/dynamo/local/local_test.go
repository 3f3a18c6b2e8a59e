package local_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
	"tutti/store/dynamo"
	"tutti/store/dynamo/local"
)

// TestLoopbackOnly: an engine listens on the loopback interface and nowhere else, answers, and is gone after Stop.
func TestLoopbackOnly(t *testing.T) {
	for _, e := range []local.Engine{local.DynamoDB, local.Dynalite} {
		t.Run(string(e), func(t *testing.T) {
			s := local.ForTest(t, e)
			res, err := http.Get(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			u, err := url.Parse(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			addresses, err := net.InterfaceAddrs()
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range addresses {
				ip := a.(*net.IPNet).IP
				if ip.IsLoopback() || ip.IsLinkLocalUnicast() {
					continue
				}
				if c, err := net.Dial("tcp", net.JoinHostPort(ip.String(), u.Port())); err == nil {
					c.Close()
					t.Errorf("%s answers on %s", e, ip)
				}
			}
			s.Stop()
			if _, err := http.Get(s.URL); err == nil {
				t.Error("it answers after Stop")
			}
			s.Stop() // a second time is nothing
		})
	}
}

// TestEndsWithItsParent: when the process that started it is killed, an engine ends.
func TestEndsWithItsParent(t *testing.T) {
	s := local.ForTest(t, local.Dynalite)
	s.CloseInput()
	<-s.Done()
}

// TestDir: with a folder, tables are there again after the engine was killed and started on the same port.
func TestDir(t *testing.T) {
	cfg := local.Config{Dir: t.TempDir()}
	key := store.Key{PK: "p", SK: "s"}
	for round := range 2 {
		s, err := local.Start(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		table := dynamo.Config{Table: "kept", Endpoint: s.URL, Clock: clock.System}
		if err := dynamo.Init(t.Context(), table); err != nil {
			t.Fatal(err)
		}
		db, err := dynamo.Open(t.Context(), table)
		if err != nil {
			t.Fatal(err)
		}
		version, err := db.Put(t.Context(), key, nil, time.Time{}, store.Always)
		if version != uint64(round+1) || err != nil {
			t.Errorf("round %d: version %d, %v", round, version, err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		s.Stop()
		if _, err := fmt.Sscanf(s.URL, "http://127.0.0.1:%d", &cfg.Port); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for e, want := range map[local.Engine]string{local.DynamoDB: "openjdk-17-", local.Dynalite: "nodejs"} {
		_, err := local.Start(t.Context(), local.Config{Engine: e})
		if !tutti.IsKind(err, tutti.KindUnavailable) || !strings.Contains(tutti.Message(err), want) {
			t.Errorf("%s without its commands: %v", e, err)
		}
	}
	if _, err := local.Start(t.Context(), local.Config{Engine: "none"}); !tutti.IsKind(err, tutti.KindInvalid) {
		t.Errorf("an engine that does not exist: %v", err)
	}
}

func TestCannotStart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var said bytes.Buffer
	_, err = local.Start(t.Context(), local.Config{Engine: local.Dynalite, Port: l.Addr().(*net.TCPAddr).Port, Log: &said})
	if !tutti.IsKind(err, tutti.KindUnavailable) || !strings.Contains(err.Error(), "EADDRINUSE") || said.Len() == 0 {
		t.Fatalf("on a port in use: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := local.Start(ctx, local.Config{Engine: local.Dynalite}); err == nil {
		t.Fatal("started with a ctx that had ended")
	}
}
