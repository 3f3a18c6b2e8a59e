package peer_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/peer"
	"tutti/store/sqlite"
)

// sevenTracks is a catalogue that answers one question.
type sevenTracks struct{ tutti.Catalog }

func (sevenTracks) Counts(context.Context, tutti.Viewer) (tutti.Counts, error) {
	return tutti.Counts{Tracks: 7}, nil
}

// TestRefusalIsNotTheListeners: a member whose clock is wrong takes nobody for a member. That is no reason to doubt the
// listener's credentials; another member is asked.
func TestRefusalIsNotTheListeners(t *testing.T) {
	k := keys(t)
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "x.db"), sqlite.Options{Clock: clock.System, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	ahead := clock.NewFake(time.Now().Add(time.Minute))
	bad := serve(t, peer.HandlerConfig{Keys: k, Catalog: sevenTracks{}, Store: st, Clock: ahead})

	alone := client(t, peer.ClientConfig{Fleet: (&fleet{}).add(tutti.ServiceCatalog, bad), Keys: k})
	_, err = alone.Catalog().Counts(t.Context(), tutti.Viewer{})
	if !tutti.IsKind(err, tutti.KindUnavailable) || !strings.Contains(err.Error(), "clock") {
		t.Errorf("a member that is a minute ahead: %v", err)
	}
	if m := tutti.Message(err); strings.Contains(m, "clock") {
		t.Errorf("listeners are told about the fleet's clocks: %q", m)
	}

	good := serve(t, peer.HandlerConfig{Keys: k, Catalog: sevenTracks{}})
	both := client(t, peer.ClientConfig{Fleet: (&fleet{}).add(tutti.ServiceCatalog, bad, good), Keys: k})
	for range 20 {
		n, err := both.Catalog().Counts(t.Context(), tutti.Viewer{})
		if err != nil || n.Tracks != 7 {
			t.Fatalf("with a second member: %+v, %v", n, err)
		}
	}

	_, err = peer.OpenStore(t.Context(), "http://"+bad, peer.StoreConfig{Keys: k, Clock: clock.System, Logger: quiet})
	if !tutti.IsKind(err, tutti.KindUnauthorised) || !strings.Contains(tutti.Message(err), "clock") {
		t.Errorf("whoever starts is not told why: %v", err)
	}
}

// TestNoKeysNoStrangers: without keys only this machine is answered, and a page that has its name point here is not this
// machine.
func TestNoKeysNoStrangers(t *testing.T) {
	s := httptest.NewServer(peer.Handler(peer.HandlerConfig{Catalog: sevenTracks{}, Address: "music-host:4534", Clock: clock.System, Logger: quiet}))
	t.Cleanup(s.Close)
	for host, want := range map[string]int{
		"evil.example:4534": http.StatusUnauthorized, "evil.example": http.StatusUnauthorized,
		"127.0.0.1:4534": http.StatusOK, "localhost": http.StatusOK, "[::1]:80": http.StatusOK, "MUSIC-host:4534": http.StatusOK,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/tutti.v1.Catalog/Counts", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		if resp.StatusCode != want {
			t.Errorf("as %s: %s, want %d", host, resp.Status, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
