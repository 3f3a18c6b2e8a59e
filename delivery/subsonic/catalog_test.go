package subsonic_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"tutti"
	"tutti/catalog"
	"tutti/catalog/catalogtest"
	"tutti/catalog/scan"
	"tutti/clock"
	"tutti/delivery"
	"tutti/delivery/subsonic"
	"tutti/origin/folder"
	"tutti/store/sqlite"
)

// realHouse is a house whose catalogue is the real one, over a real store.
func realHouse(t testing.TB) (*house, *catalog.Catalog) {
	t.Helper()
	return realHouseWith(t, nil)
}

// realHouseWith is a realHouse that plays, too, through the track cache that makeCache opens on its origin.
func realHouseWith(t testing.TB, makeCache func(*folder.Origin) tutti.TrackCache) (*house, *catalog.Catalog) {
	t.Helper()
	ctx := t.Context()
	fake := clock.NewFake(epoch)
	dir := t.TempDir()
	var libraries []folder.Library
	for _, l := range newLibrary(fake.Now).libraries {
		path := filepath.Join(dir, "music"+l.ID)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		libraries = append(libraries, folder.Library{ID: l.ID, Name: l.Name, Path: path})
	}
	origin, err := folder.New(folder.Config{Libraries: libraries})
	if err != nil {
		t.Fatal(err)
	}
	st, err := sqlite.Open(ctx, filepath.Join(dir, "tutti.db"), sqlite.Options{Clock: fake})
	if err != nil {
		t.Fatal(err)
	}
	a := populate(t, fake, st, filepath.Join(dir, "key"))
	var cache tutti.TrackCache
	if makeCache != nil {
		cache = makeCache(origin)
	}
	scanner := &idle{}
	c, err := catalog.New(ctx, catalog.Config{
		Store: st, Origin: origin, Cache: cache, Clock: fake, Logger: slog.New(slog.DiscardHandler), SoleWriter: true,
		NewScanner: func(scan.Book) (catalog.Scanner, error) { return scanner, nil },
		User:       func(ctx context.Context, id tutti.ID) (tutti.User, error) { return a.UserByID(ctx, id) },
	})
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- c.Run(running) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	h := &house{t: t, clock: fake, sound: &sound{catalog: c}, accounts: a, music: libraries[0].Path}
	var bytes delivery.Bytes = h.sound
	if cache != nil {
		bytes = delivery.NewStreamer(delivery.StreamerConfig{
			Catalog: c, Cache: cache, Clock: clock.System, // true time, for the connections' deadlines
			Logger: slog.New(slog.DiscardHandler), Metrics: delivery.NewMetrics(prometheus.NewRegistry()),
		})
	}
	h.server = subsonic.New(subsonic.Config{
		Catalog: c, Accounts: a, Door: a, Bytes: bytes, Clock: fake, Logger: slog.New(slog.DiscardHandler),
		ServerVersion: "1.2.3", IgnoredArticles: catalog.DefaultIgnoredArticles,
		ShareURL: func(r *http.Request, secret string) string { return "https://music.example/share/" + secret },
	})
	return h, c
}

// idle is a scanner that has nothing to do.
type idle struct{}

func (idle) Run(ctx context.Context) error { <-ctx.Done(); return nil }

func (idle) Scan(context.Context, bool) (tutti.ScanStatus, error) {
	return tutti.ScanStatus{Scanning: true, Phase: "listing"}, nil
}

func (idle) Status() tutti.ScanStatus { return tutti.ScanStatus{Phase: "done", Finished: epoch} }

func (idle) Outstanding() bool { return false }

func (idle) Watch(ctx context.Context, fn func(tutti.ScanStatus) error) error {
	if err := fn(tutti.ScanStatus{}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// furnish puts the fixture's tracks into the real catalogue.
func furnish(t *testing.T, h *house, c *catalog.Catalog) {
	t.Helper()
	var changes []scan.Change
	for _, track := range newLibrary(h.clock.Now).tracks {
		if track.ID == tr5 {
			track.Album = "Odd" // what a reader of tags would have made of it
		}
		track.HasLyrics = false // there are no files
		changes = append(changes, scan.Change{Put: &scan.Entry{Track: track}})
	}
	if err := c.Apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
}

// TestRealCatalogue asks the real catalogue, holding the fixture's tracks, everything that the golden files ask the
// fixture. What it says is its own affair; that it is in the protocol's form is this test's.
func TestRealCatalogue(t *testing.T) {
	rules := readSchema(t)
	h, c := realHouse(t)
	furnish(t, h, c)
	// Ids that the catalogue chooses are found by asking.
	find := func(body, pattern string) string {
		t.Helper()
		m := regexp.MustCompile(pattern).FindStringSubmatch(body)
		if m == nil {
			t.Fatalf("%s is not in %s", pattern, body)
		}
		return m[1]
	}
	bachDir := find(h.must("getIndexes"), `"id":"(fo-\w+)","name":"Bach"`)
	directory := h.must("getMusicDirectory?id=" + bachDir)
	ids := strings.NewReplacer(
		"fo-0000000000001", find(directory, `"parent":"(fo-\w+)","name":"Bach"`),
		fo4, find(directory, `"id":"(fo-\w+)","parent":"`+bachDir),
	)
	for _, g := range goldens {
		if g.rooms {
			continue // how rooms and the catalogue fit together is delivery/api's and e2e's business
		}
		if g.users || strings.HasPrefix(g.name, "error") {
			continue
		}
		t.Run(g.name, func(t *testing.T) {
			last := ""
			substitute := func(ask string) string {
				ask = ids.Replace(ask)
				for prefix, list := range map[string]string{"pl-": "getPlaylists", "sh-": "getShares", "rs-": "getInternetRadioStations"} {
					if !strings.Contains(ask, prefix+"00000000000") {
						continue
					}
					all := regexp.MustCompile(`"id":"(`+prefix+`\w+)"`).FindAllStringSubmatch(h.must(list), -1)
					if len(all) == 0 {
						h.must("createInternetRadioStation?" + q("name", "Radio", "streamUrl", "http://radio.example/"))
						all = regexp.MustCompile(`"id":"(`+prefix+`\w+)"`).FindAllStringSubmatch(h.must(list), -1)
					}
					last = all[len(all)-1][1]
					ask = regexp.MustCompile(prefix+`0000000000\w+`).ReplaceAllString(ask, last)
				}
				return ask
			}
			for _, form := range []string{"json", "xml"} {
				for _, b := range g.before {
					if b != "wait 20s" {
						h.must(substitute(b))
					}
				}
				auth := as(operator) + "&"
				if g.as == "nobody" {
					auth = ""
				}
				ask := substitute(g.ask)
				body := h.ask(ask, auth+"f="+form, g.body).Body.Bytes()
				endpoint := endpointOf(g.ask)
				if form == "xml" {
					rules.checkXML(t, endpoint, body)
					continue
				}
				rules.checkJSON(t, endpoint, body)
				var doc struct {
					Response struct{ Status string } `json:"subsonic-response"`
				}
				if err := json.NewDecoder(bytes.NewReader(body)).Decode(&doc); err != nil {
					t.Fatal(err)
				}
				if g.name != "getVideos" && doc.Response.Status != "ok" {
					t.Errorf("%s: %s", ask, body)
				}
			}
		})
	}
}

// BenchmarkRealCatalogue measures whole requests against the real catalogue, CPU time first: TUTTI_BENCH_TRACKS tracks
// (20,000), of the synthetic library.
func BenchmarkRealCatalogue(b *testing.B) {
	n := 20_000
	if v := os.Getenv("TUTTI_BENCH_TRACKS"); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil {
			b.Fatal(err)
		}
	}
	h, c := realHouse(b)
	var changes []scan.Change
	var some tutti.Track
	for e := range catalogtest.Synthetic(n) {
		changes = append(changes, scan.Change{Put: &e})
		if len(changes) == n/2 {
			some = e.Track
		}
	}
	for len(changes) > 0 {
		part := changes[:min(500, len(changes))]
		changes = changes[len(part):]
		if err := c.Apply(b.Context(), part); err != nil {
			b.Fatal(err)
		}
	}
	for _, request := range []struct{ name, endpoint, query string }{
		{"ping", "ping", ""},
		{"song", "getSong", "id=" + string(some.ID)},
		{"album", "getAlbum", "id=" + string(some.AlbumID)},
		{"50 newest albums", "getAlbumList2", "type=newest&size=50"},
		{"50 albums by name", "getAlbumList2", "type=alphabeticalByName&size=50&offset=500"},
		{"50 random albums", "getAlbumList2", "type=random&size=50"},
		{"search for a word", "search3", "query=" + strings.Fields(some.Title)[0]},
		{"500 songs of everything", "search3", "query=&artistCount=0&albumCount=0&songCount=500&songOffset=1000"},
		{"all artists", "getArtists", ""},
		{"all genres", "getGenres", ""},
	} {
		for _, form := range []string{"json", "xml"} {
			b.Run(request.name+"/"+form, func(b *testing.B) {
				before := processTime(b)
				for b.Loop() {
					r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/rest/", nil)
					r.URL.Path += request.endpoint
					r.URL.RawQuery = request.query + "&" + as(operator) + "&f=" + form
					h.server.ServeHTTP(nowhere{http.Header{}}, r)
				}
				b.ReportMetric(float64((processTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
			})
		}
	}
}
