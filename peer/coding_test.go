package peer_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	dto "github.com/prometheus/client_model/go"

	"github.com/prometheus/client_golang/prometheus"

	"tutti"
	"tutti/clock"
	"tutti/metacodec"
	"tutti/metacodec/metacodectest"
	"tutti/peer"
)

// shelf is a process's models, as a test sets them. It writes down which it was told of.
type shelf struct {
	mu     sync.Mutex
	all    *metacodec.Models
	wanted []metacodec.ModelID
}

func having(models ...*metacodec.Model) *shelf { return &shelf{all: metacodec.NewModels(models...)} }

func (s *shelf) All() *metacodec.Models {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

func (s *shelf) Best(reads []metacodec.ModelID) *metacodec.Model {
	for _, id := range reads {
		if m := s.All().Get(id); m != nil {
			return m
		}
	}
	return nil
}

func (s *shelf) Want(id metacodec.ModelID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.wanted, id) {
		s.wanted = append(s.wanted, id)
	}
}

func (s *shelf) heard(id metacodec.ModelID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.wanted, id)
}

// bytesOf returns what the client's or the endpoint's counters say of messages, as written and as travelled.
func bytesOf(t testing.TB, c prometheus.Collector) (written, travelled float64) {
	t.Helper()
	ch := make(chan prometheus.Metric, 1000)
	c.Collect(ch)
	close(ch)
	for m := range ch {
		var out dto.Metric
		if err := m.Write(&out); err != nil {
			t.Fatal(err)
		}
		for _, l := range out.GetLabel() {
			switch l.GetValue() {
			case "written":
				written += out.GetCounter().GetValue()
			case "travelled":
				travelled += out.GetCounter().GetValue()
			}
		}
	}
	return written, travelled
}

// TestMixedVersions plays the script between processes of which either may be of a version that knows nothing of the
// coding, may have no model, the same, or another: answers are the same, and small where they can be.
func TestMixedVersions(t *testing.T) {
	const tracks = 300
	one, other := metacodectest.Model(t, "one"), metacodectest.Model(t, "other")
	want := script(t, newCatalog(t, tracks, nil))
	for name, c := range map[string]struct {
		asks, answers peer.Models
		small         bool
	}{
		"an old one asks":     {nil, having(one), false},
		"an old one answers":  {having(one), nil, false},
		"without a model":     {having(), having(), true},
		"one has a model":     {having(one), having(), true},
		"both have the model": {having(one), having(other, one), true},
		"each has another":    {having(one), having(other), true},
	} {
		t.Run(name, func(t *testing.T) {
			k := keys(t)
			far := (&fleet{}).add(tutti.ServiceCatalog, serve(t, peer.HandlerConfig{Catalog: newCatalog(t, tracks, nil), Keys: k, Models: c.answers}))
			asks := client(t, peer.ClientConfig{Fleet: far, Keys: k, Models: c.asks})
			got := script(t, asks.Catalog())
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("answers differ (-direct +remote):\n%s", diff)
			}
			written, travelled := bytesOf(t, asks)
			if c.small != (travelled < written/2) {
				t.Errorf("%.0f bytes travelled as %.0f", written, travelled)
			}
		})
	}
}

// TestModelsAreHeardOf: each side hears which models the other has, and wants those.
func TestModelsAreHeardOf(t *testing.T) {
	one, other := metacodectest.Model(t, "one"), metacodectest.Model(t, "other")
	asks, answers := having(one), having(other)
	far := (&fleet{}).add(tutti.ServiceCatalog, serve(t, peer.HandlerConfig{Catalog: newCatalog(t, 2, nil), Models: answers}))
	c := client(t, peer.ClientConfig{Fleet: far, Models: asks}).Catalog()
	if _, err := c.Counts(t.Context(), she); err != nil {
		t.Fatal(err)
	}
	if !asks.heard(other.ID()) || !answers.heard(one.ID()) {
		t.Errorf("heard of %v and %v", asks.wanted, answers.wanted)
	}
}

// TestAnotherProgramAnswersThereNow: at an address where small requests were read there are, from one request to the next, the
// same program without its model, and an older one. Neither does anybody notice.
func TestAnotherProgramAnswersThereNow(t *testing.T) {
	model := metacodectest.Model(t, "one")
	real := newCatalog(t, 50, nil)
	var requests atomic.Int32
	var answers atomic.Pointer[http.Handler]
	become := func(m peer.Models) {
		h := http.Handler(peer.Handler(peer.HandlerConfig{Catalog: real, Models: m, Clock: clock.System, Logger: quiet}))
		answers.Store(&h)
	}
	var small atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.Header.Get("Content-Encoding") != "" {
			small.Add(1)
		}
		(*answers.Load()).ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	become(having(model))
	far := (&fleet{}).add(tutti.ServiceCatalog, s.Listener.Addr().String())
	c := client(t, peer.ClientConfig{Fleet: far, Models: having(model)}).Catalog()
	search := func(wantRequests, wantSmall int32) {
		t.Helper()
		requests.Store(0)
		small.Store(0)
		if _, _, err := c.Tracks(t.Context(), she, tutti.TrackQuery{Text: "Song of the 12th Day (Live)", Page: tutti.Page{Limit: 5}}); err != nil {
			t.Error(err)
		}
		if requests.Load() != wantRequests || small.Load() != wantSmall {
			t.Errorf("%d requests, %d of them small; want %d and %d", requests.Load(), small.Load(), wantRequests, wantSmall)
		}
	}
	search(1, 0) // nothing is known of the other yet
	search(1, 1)
	become(having())
	search(2, 1)
	search(1, 1) // small without the model
	become(nil)
	search(2, 1)
	search(1, 0)
	become(having(model))
	search(1, 0)
	search(1, 1)
}

// TestDamagedMessages: what is damaged on its way is an error, on both sides.
func TestDamagedMessages(t *testing.T) {
	real := http.Handler(peer.Handler(peer.HandlerConfig{Catalog: newCatalog(t, 50, nil), Models: having(), Clock: clock.System, Logger: quiet}))
	var damage atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !damage.Load() {
			real.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		real.ServeHTTP(rec, r)
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		b := rec.Body.Bytes()
		b[len(b)/2] ^= 4
		_, _ = w.Write(b) // the client's answer shows it
	}))
	t.Cleanup(s.Close)
	far := (&fleet{}).add(tutti.ServiceCatalog, s.Listener.Addr().String())
	c := client(t, peer.ClientConfig{Fleet: far, Models: having()}).Catalog()
	q := tutti.TrackQuery{Page: tutti.Page{Limit: 20}}
	if _, _, err := c.Tracks(t.Context(), she, q); err != nil {
		t.Fatal(err)
	}
	damage.Store(true)
	if _, _, err := c.Tracks(t.Context(), she, q); err == nil {
		t.Error("a damaged answer is taken for one")
	}
	damage.Store(false)
	for _, body := range []string{"", "NONSENSE!", "\x00\x01\x02\x03\x04\x05\x06\x07"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/tutti.v1.Catalog/Tracks", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/proto")
		r.Header.Set("Content-Encoding", "tutti-meta")
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close() // its status says it
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("a small request of %q is answered with %s", body, resp.Status)
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}
