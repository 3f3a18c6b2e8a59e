package api

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"tutti"
	"tutti/carbon"
	"tutti/catalog"
	"tutti/catalog/scan"
	"tutti/clock"
	"tutti/delivery"
	"tutti/delivery/accounts"
	"tutti/delivery/radio"
	"tutti/enrich"
	"tutti/metacodec/songs"
	folders "tutti/origin/folder"
	"tutti/peer/models"
	"tutti/rooms"
	"tutti/rooms/sendspin"
	roomweb "tutti/rooms/web"
	"tutti/store/sqlite"
	"tutti/trackcache"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	admin    = "operator"
	listener = "listener"
	secret   = "a long enough password"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// house is the API over the real parts: accounts, catalogue and scanner, store, origin and track cache.
type house struct {
	t        testing.TB
	handler  http.Handler
	clock    *clock.Fake
	accounts *accounts.Accounts
	catalog  *catalog.Catalog
	rooms    *rooms.House
	meter    *carbon.Meter
	models   *models.Models
	jobs     *carbon.Scheduler
	keys     map[string]string // app keys by user
	music    string
}

// open opens a house in which time stands still at epoch.
func open(t testing.TB) *house {
	t.Helper()
	fake := clock.NewFake(epoch)
	return openAt(t, fake, fake)
}

// openAt opens a house; catalogue and scanner may have a clock of their own. It converts music only where it is given what does.
func openAt(t testing.TB, fake *clock.Fake, scanning clock.Clock, transcoders ...func(*folders.Origin) tutti.Source) *house {
	t.Helper()
	ctx := context.Background()
	dir := t.TempDir()
	h := &house{t: t, clock: fake, keys: map[string]string{}, music: filepath.Join(dir, "music")}
	quiet := slog.New(slog.DiscardHandler)
	must(t, os.Mkdir(h.music, 0o700))
	st := made(sqlite.Open(ctx, filepath.Join(dir, "tutti.db"), sqlite.Options{Clock: h.clock, Logger: quiet}))(t)
	h.accounts = made(accounts.New(ctx, accounts.Config{Store: st, Clock: h.clock, Logger: quiet, KeyFile: filepath.Join(dir, "key")}))(t)
	for _, u := range []tutti.User{
		{Name: admin, Roles: []tutti.Role{tutti.RoleAdmin}},
		{Name: listener, Roles: []tutti.Role{tutti.RoleStream, tutti.RoleComment}, MaxBitRate: 192},
	} {
		made(h.accounts.CreateUser(ctx, u, secret))(t)
	}
	origin := made(folders.New(folders.Config{Libraries: []folders.Library{{ID: "1", Name: "Music", Path: h.music}}, Logger: quiet}))(t)
	// The cache and the connections' deadlines want true time; nothing of it shows in an answer.
	var transcoder tutti.Source
	for _, make := range transcoders {
		transcoder = make(origin)
	}
	cache := made(trackcache.New(trackcache.Config{
		Origin: origin, Transcoder: transcoder, Local: true, Dir: filepath.Join(dir, "cache"), MaxBytes: 64 << 20, MemoryBytes: 4 << 20, Clock: clock.System, Logger: quiet,
	}))(t)
	h.catalog = made(catalog.New(ctx, catalog.Config{
		Store: st, Origin: origin, Cache: cache, Clock: scanning, Logger: quiet, SoleWriter: true, User: h.accounts.UserByID,
		NewScanner: func(book scan.Book) (catalog.Scanner, error) {
			return scan.New(scan.Config{Origin: origin, Book: book, Clock: scanning, Logger: quiet, Workers: 1})
		},
	}))(t)
	h.rooms = made(rooms.New(ctx, rooms.Config{Store: st, Planner: h.catalog, Browser: h.catalog, Source: cache, User: h.accounts.UserByID, Clock: h.clock, Logger: quiet}))(t)
	spin := made(sendspin.Listen(ctx, "127.0.0.1:0", sendspin.Config{House: h.rooms, Browser: h.catalog, Source: cache, Store: st, Clock: h.clock, Logger: quiet, Name: "here"}))(t)
	h.jobs = carbon.NewScheduler(carbon.SchedulerConfig{Clock: h.clock, Logger: quiet})
	h.models = models.New(models.Config{Store: st, Clock: h.clock, Logger: quiet})
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 4)
	go func() { done <- h.catalog.Run(running) }()
	go func() { done <- spin.Run(running) }()
	go func() { done <- h.models.Run(running) }()
	go func() { done <- h.rooms.Run(running) }()
	t.Cleanup(func() {
		stop()
		for range cap(done) {
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		must(t, cache.Close())
		must(t, st.Close())
	})
	streamer := delivery.NewStreamer(delivery.StreamerConfig{
		Catalog: h.catalog, Cache: cache, Clock: clock.System, Logger: quiet, Metrics: delivery.NewMetrics(prometheus.NewRegistry()),
	})
	h.meter = made(carbon.NewMeter(ctx, carbon.MeterConfig{Grid: carbon.NewCached(carbon.Constant(400), 400, h.clock, quiet), Clock: h.clock, Logger: quiet}))(t)
	h.handler = New(Config{
		Carbon:  h.meter,
		Catalog: h.catalog, Accounts: h.accounts, Door: h.accounts, Bytes: streamer, Waveforms: streamer, Rooms: h.rooms, Pairings: spin, Clock: h.clock,
		Jobs: h.jobs, Suggestions: made(enrich.New(enrich.Config{Store: st, Amender: h.catalog, Tagged: h.catalog, Jobs: h.jobs, Clock: h.clock, Logger: quiet}))(t), Grid: carbon.NewCached(carbon.CSV{Path: filepath.Join("testdata", "grid.csv")}, 445, h.clock, quiet),
		Pages:  roomweb.New(roomweb.Config{House: h.rooms, Clock: h.clock, Logger: quiet}),
		Models: h.models, Derive: songs.Derive{Artist: scan.ArtistID, Folder: scan.FolderID, Album: scan.AlbumID},
		Radio: radio.New(radio.Config{Private: true, Clock: clock.System, Logger: quiet}), Logger: quiet, Version: "1.2.3",
	})
	return h
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func made[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		must(t, err)
		return v
	}
}

// key returns an app key of the user's.
func (h *house) key(user string) string {
	h.t.Helper()
	if h.keys[user] == "" {
		u := made(h.accounts.User(context.Background(), user))(h.t)
		_, key, err := h.accounts.CreateAppKey(context.Background(), u.ID, "tests")
		must(h.t, err)
		h.keys[user] = key
	}
	return h.keys[user]
}

// request builds "GET albums?limit=2" with a JSON body, as a user with an app key; "" is nobody.
func (h *house) request(user, line, body string) *http.Request {
	method, path, _ := strings.Cut(line, " ")
	r := httptest.NewRequestWithContext(context.Background(), method, Prefix+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if user != "" {
		r.Header.Set("Authorization", "Bearer "+h.key(user))
	}
	return r
}

func (h *house) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	return w
}

func (h *house) ask(user, line, body string) *httptest.ResponseRecorder {
	h.t.Helper()
	return h.do(h.request(user, line, body))
}

// decode reads a successful answer.
func decode[T any](t testing.TB, w *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if w.Code >= http.StatusBadRequest {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	must(t, json.Unmarshal(w.Body.Bytes(), &v))
	return v
}

// The fixture: two albums of one artist, one of another, with every field of a track filled once.
var (
	waltz  = tutti.NewID(tutti.PrefixTrack, 1)
	polka  = tutti.NewID(tutti.PrefixTrack, 2)
	solo   = tutti.NewID(tutti.PrefixTrack, 3)
	dances = tutti.NewID(tutti.PrefixAlbum, 1)
	solos  = tutti.NewID(tutti.PrefixAlbum, 2)
)

func ptr[T any](v T) *T { return &v }

func (h *house) furnish() {
	h.t.Helper()
	ref := func(name string) tutti.ArtistRef { return tutti.ArtistRef{ID: scan.ArtistID(name), Name: name} }
	band, guest := ref("The Harbour Band"), ref("Guest Quartet")
	track := func(id, album tutti.ID, n int, title, albumName string) tutti.Track {
		return tutti.Track{
			ID: id, AlbumID: album, FolderID: scan.FolderID("1", albumName), Library: "1", Title: title, Album: albumName, Artists: []tutti.ArtistRef{band}, AlbumArtists: []tutti.ArtistRef{band},
			DisplayArtist: band.Name, DisplayAlbumArtist: band.Name, Track: n, Disc: 1, Date: tutti.Date{Year: 1999, Month: 5}, Genres: []string{"Folk"},
			Path: albumName + "/" + title + ".flac", Size: 1_000_000, ModTime: epoch.Add(-time.Hour), Suffix: "flac", ContentType: "audio/flac", Codec: "flac",
			Duration: 65 * time.Second, BitRate: 700, SampleRate: 44100, BitDepth: 16, Channels: 2, Version: tutti.Version("v" + title), Added: epoch,
		}
	}
	full := track(waltz, dances, 1, "Waltz", "Dances")
	full.Artists = append(full.Artists, guest)
	full.DisplayArtist = "The Harbour Band feat. Guest Quartet"
	full.SortTitle, full.DisplayComposer, full.DiscSubtitle = "waltz", "Anonymous", "Evening"
	full.Contributors = []tutti.Contributor{{Role: "performer", SubRole: "Accordion", Artist: guest}}
	full.OriginalDate, full.ReleaseDate = tutti.Date{Year: 1972}, tutti.Date{Year: 1999, Month: 5, Day: 2}
	full.Moods, full.Groupings, full.Comment, full.BPM, full.Explicit = []string{"Merry"}, []string{"Barn"}, "A <tag> & more", 180, "clean"
	full.MusicBrainzID, full.MusicBrainzTrackID, full.ISRC = "4d6a7c2e-0000-4000-8000-000000000001", "4d6a7c2e-0000-4000-8000-000000000002", []string{"GBAAA9900001"}
	full.Work, full.Movement, full.MovementNumber = "Three Dances", "Waltz", 1
	full.Gain = tutti.Gain{Track: ptr(-6.5), Album: ptr(-7.0), TrackPeak: ptr(0.98), AlbumPeak: ptr(1.0)}
	second := track(polka, dances, 2, "Polka", "Dances")
	other := track(solo, solos, 1, "Alone", "Solos")
	other.Artists, other.AlbumArtists, other.DisplayArtist, other.DisplayAlbumArtist = []tutti.ArtistRef{guest}, []tutti.ArtistRef{guest}, guest.Name, guest.Name
	other.Genres, other.Date = []string{"Classical"}, tutti.Date{Year: 2010}
	var changes []scan.Change
	for _, t := range []tutti.Track{full, second, other} {
		e := &scan.Entry{Track: t, RecordLabels: []string{"Quayside"}, ReleaseTypes: []string{"Album"}}
		changes = append(changes, scan.Change{Put: e})
	}
	must(h.t, h.catalog.Apply(context.Background(), changes))
}

// wav returns a second of a tone as 16-bit mono PCM.
func wav() []byte {
	const rate = 8000
	data := make([]byte, 0, 44+2*rate)
	data = append(data, "RIFF"...)
	data = binary.LittleEndian.AppendUint32(data, 36+2*rate)
	data = append(data, "WAVEfmt "...)
	for _, v := range []uint32{16, 1 | 1<<16, rate, 2 * rate, 2 | 16<<16} {
		data = binary.LittleEndian.AppendUint32(data, v)
	}
	data = append(data, "data"...)
	data = binary.LittleEndian.AppendUint32(data, 2*rate)
	for i := range rate {
		data = binary.LittleEndian.AppendUint16(data, uint16(int16(8000*math.Sin(2*math.Pi*440*float64(i)/rate))))
	}
	return data
}
