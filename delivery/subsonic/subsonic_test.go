package subsonic_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"tutti"
	"tutti/clock"
	"tutti/delivery/accounts"
	"tutti/delivery/subsonic"
	"tutti/rooms"
	"tutti/store"
	"tutti/store/sqlite"
)

const (
	operator = "operator" // may do everything
	listener = "listener" // may listen
	password = "open, sesame"
)

// house is a server with real accounts over a real store, and the fixed library.
type house struct {
	t        testing.TB
	clock    *clock.Fake
	library  *library
	sound    *sound
	accounts *accounts.Accounts
	server   *subsonic.Server
	rooms    *rooms.House // nil until furnish
	key      string       // an app key of the operator
	music    string       // of a real house: where its first library lies
}

func openAccounts(t testing.TB, c clock.Clock) *accounts.Accounts {
	t.Helper()
	dir := t.TempDir()
	st, err := sqlite.Open(t.Context(), filepath.Join(dir, "tutti.db"), sqlite.Options{Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return populate(t, c, st, filepath.Join(dir, "key"))
}

// populate makes the two accounts in a store.
func populate(t testing.TB, c clock.Clock, st store.Store, keyFile string) *accounts.Accounts {
	t.Helper()
	a, err := accounts.New(t.Context(), accounts.Config{Store: st, Clock: c, Logger: slog.New(slog.DiscardHandler), KeyFile: keyFile})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []tutti.User{
		{Name: operator, Email: "operator@example.org", Roles: []tutti.Role{tutti.RoleAdmin}, Scrobbling: true},
		{Name: listener, Roles: []tutti.Role{tutti.RoleStream}, Libraries: []string{"1"}, MaxBitRate: 192},
	} {
		if _, err := a.CreateUser(t.Context(), u, password); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// newHouse opens a house. Accounts may be shared between houses whose requests do not change them.
func newHouse(t testing.TB, fake *clock.Fake, a *accounts.Accounts) *house {
	t.Helper()
	lib := newLibrary(fake.Now)
	h := &house{t: t, clock: fake, library: lib, sound: &sound{catalog: lib}, accounts: a}
	h.server = subsonic.New(h.config())
	return h
}

func (h *house) config() subsonic.Config {
	return subsonic.Config{
		Catalog: h.library, Accounts: h.accounts, Door: h.accounts, Bytes: h.sound, Clock: h.clock, Logger: slog.New(slog.DiscardHandler),
		ServerVersion: "1.2.3", IgnoredArticles: []string{"The", "Die"},
		ShareURL: func(r *http.Request, secret string) string { return "https://music.example/share/" + secret },
	}
}

// furnish gives the house rooms, and a player in the first. Their music is always still being made.
func (h *house) furnish() {
	h.t.Helper()
	ctx := context.Background()
	quiet := slog.New(slog.DiscardHandler)
	st, err := sqlite.Open(ctx, filepath.Join(h.t.TempDir(), "rooms.db"), sqlite.Options{Clock: h.clock, Logger: quiet})
	if err != nil {
		h.t.Fatal(err)
	}
	anybody := func(context.Context, tutti.ID) (tutti.User, error) { return tutti.User{}, nil }
	if h.rooms, err = rooms.New(ctx, rooms.Config{Store: st, Planner: making{}, Browser: h.library, User: anybody, Clock: h.clock, Logger: quiet}); err != nil {
		h.t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- h.rooms.Run(running) }()
	seat, err := h.rooms.Sit(ctx, rooms.Arrival{ID: "00:11:22:33:44:55", Name: "Kitchen radio", Kind: "snapcast", Address: "192.0.2.7"})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		seat.Leave()
		stop()
		if err := errors.Join(<-done, st.Close()); err != nil {
			h.t.Error(err)
		}
	})
	c := h.config()
	c.Rooms = h.rooms
	h.server = subsonic.New(c)
}

// making is a planner whose music is never ready.
type making struct{}

func (making) Plan(ctx context.Context, _ tutti.PlanRequest) (tutti.Plan, error) {
	<-ctx.Done()
	return tutti.Plan{}, ctx.Err()
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T) *house {
	t.Helper()
	fake := clock.NewFake(epoch)
	return newHouse(t, fake, openAccounts(t, fake))
}

func (h *house) appKey() string {
	if h.key == "" {
		u, err := h.accounts.User(context.Background(), operator)
		if err != nil {
			h.t.Fatal(err)
		}
		if _, h.key, err = h.accounts.CreateAppKey(context.Background(), u.ID, "a phone"); err != nil {
			h.t.Fatal(err)
		}
	}
	return h.key
}

func token(salt string) string {
	sum := md5.Sum([]byte(password + salt))
	return hex.EncodeToString(sum[:])
}

// as returns the parameters with which a user signs in.
func as(user string) string {
	return "u=" + user + "&t=" + token("c19b2d") + "&s=c19b2d&v=1.16.1&c=test"
}

// ask makes a request: "endpoint?query" by GET, or "POST endpoint?query" with a body.
func (h *house) ask(request, auth, body string) *httptest.ResponseRecorder {
	method, target, found := strings.Cut(request, " ")
	if !found {
		method, target = http.MethodGet, request
	}
	endpoint, query, _ := strings.Cut(target, "?")
	if auth != "" && query != "" {
		query += "&"
	}
	r := httptest.NewRequestWithContext(h.t.Context(), method, "/rest/", strings.NewReader(body))
	r.URL.Path += endpoint
	r.URL.RawQuery = query + auth
	switch {
	case strings.HasPrefix(body, "{"):
		r.Header.Set("Content-Type", "application/json")
	case body != "":
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	h.server.ServeHTTP(w, r)
	return w
}

// json asks as the operator.
func (h *house) json(request string) string {
	return h.ask(request, as(operator)+"&f=json", "").Body.String()
}

// must asks as the operator and fails the test unless all is well.
func (h *house) must(request string) string {
	h.t.Helper()
	body := h.json(request)
	if !strings.Contains(body, `"status":"ok"`) {
		h.t.Fatalf("%s: %s", request, body)
	}
	return body
}

func (h *house) wants(answer string, parts ...string) {
	h.t.Helper()
	for _, part := range parts {
		if !strings.Contains(answer, part) {
			h.t.Errorf("the answer lacks %s:\n%s", part, answer)
		}
	}
}

func q(pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v.Encode()
}
