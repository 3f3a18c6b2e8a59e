package accounts

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"tutti"
	"tutti/clock"
	"tutti/store"
	"tutti/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)

// house is accounts on a real store, with a clock that stands still.
type house struct {
	*testing.T
	*Accounts
	ctx    context.Context
	clock  *clock.Fake
	store  store.Store
	dir    string
	argons atomic.Int64 // argon2 runs
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{T: t, ctx: t.Context(), clock: clock.NewFake(epoch), dir: t.TempDir()}
	s, err := sqlite.Open(h.ctx, filepath.Join(h.dir, "tutti.db"), sqlite.Options{Clock: h.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	h.store = s
	h.Accounts = h.another()
	return h
}

// another is what another process, or the next one, sees of the same house.
func (h *house) another() *Accounts {
	h.Helper()
	a, err := New(h.ctx, Config{Store: h.store, Clock: h.clock, Logger: quiet, KeyFile: filepath.Join(h.dir, "tutti.key")})
	if err != nil {
		h.Fatal(err)
	}
	derive := a.hasher.derive
	a.hasher.derive = func(password, salt []byte, passes, memory uint32, lanes uint8, length uint32) []byte {
		h.argons.Add(1)
		return derive(password, salt, passes, min(memory, 64), lanes, length) // the real function on little memory
	}
	return a
}

const goodPassword = "correct horse"

func (h *house) create(name string, roles ...tutti.Role) tutti.User {
	h.Helper()
	u, err := h.CreateUser(h.ctx, tutti.User{Name: name, Roles: roles}, goodPassword)
	if err != nil {
		h.Fatal(err)
	}
	return u
}

func (h *house) wantKind(err error, kind tutti.Kind, what string) {
	h.Helper()
	if err == nil || tutti.KindOf(err) != kind {
		h.Fatalf("%s: %v, want %v", what, err, kind)
	}
}

var (
	home      = netip.MustParseAddr("192.0.2.1")
	elsewhere = netip.MustParseAddr("198.51.100.7")
)

func byPassword(name, password string, from netip.Addr) tutti.Credentials {
	return tutti.Credentials{From: from, Name: name, Password: password}
}

func byToken(name, password, salt string, from netip.Addr) tutti.Credentials {
	sum := md5.Sum([]byte(password + salt))
	return tutti.Credentials{From: from, Name: name, Token: hex.EncodeToString(sum[:]), Salt: salt}
}

func TestUsers(t *testing.T) {
	h := newHouse(t)
	want := tutti.User{
		Name: "Zoë Müller", Email: "z@example.org", Roles: []tutti.Role{tutti.RoleStream, tutti.RoleAdmin, tutti.RoleStream},
		Libraries: []string{"1", "3"}, MaxBitRate: 192, Scrobbling: true,
	}
	got, err := h.CreateUser(h.ctx, want, goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	if !got.ID.Is(tutti.PrefixUser) || !got.Created.Equal(epoch) || !got.Changed.Equal(epoch) {
		t.Fatalf("made %+v", got)
	}
	want.ID, want.Created, want.Changed = got.ID, epoch, epoch
	want.Roles = []tutti.Role{tutti.RoleAdmin, tutti.RoleStream}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
	for _, name := range []string{"Zoë Müller", "ZOË MÜLLER", "  zoë  müller ", "Zoe\u0308 Mu\u0308ller", "Ｚoë Müller"} {
		found, err := h.another().User(h.ctx, name)
		if err != nil || cmp.Diff(want, found) != "" {
			t.Fatalf("%q: %v, %s", name, err, cmp.Diff(want, found))
		}
		_, err = h.CreateUser(h.ctx, tutti.User{Name: name}, goodPassword)
		h.wantKind(err, tutti.KindConflict, "a name that is taken")
	}
	byID, err := h.UserByID(h.ctx, got.ID)
	if err != nil || cmp.Diff(want, byID) != "" {
		t.Fatal(err, cmp.Diff(want, byID))
	}
	_, err = h.UserByID(h.ctx, tutti.NewID(tutti.PrefixUser, 1))
	h.wantKind(err, tutti.KindNotFound, "an id nobody has")
	_, err = h.UserByID(h.ctx, "tr-0000000000000")
	h.wantKind(err, tutti.KindNotFound, "an id of a track")
	_, err = h.User(h.ctx, "nobody")
	h.wantKind(err, tutti.KindNotFound, "a name nobody has")

	h.create("anna")
	h.clock.Advance(time.Hour)
	want.Libraries, want.Roles, want.Email, want.MaxBitRate, want.Scrobbling = []string{}, []tutti.Role{tutti.RoleAdmin}, "", 0, false
	want.Changed = epoch.Add(time.Hour)
	changed := want
	changed.Name = "zoë müller" // the spelling stays
	got, err = h.UpdateUser(h.ctx, changed)
	if err != nil || cmp.Diff(want, got) != "" {
		t.Fatal(err, cmp.Diff(want, got))
	}
	if got.Libraries == nil {
		t.Fatal("no libraries became all libraries")
	}
	users, err := h.Users(h.ctx)
	if err != nil || len(users) != 2 || users[0].Name != "anna" || cmp.Diff(want, users[1]) != "" {
		t.Fatal(err, users)
	}
	changed.ID = tutti.NewID(tutti.PrefixUser, 7)
	_, err = h.UpdateUser(h.ctx, changed)
	h.wantKind(err, tutti.KindNotFound, "an update with another's id")

	if err := h.DeleteUser(h.ctx, "ANNA"); err != nil {
		t.Fatal(err)
	}
	h.wantKind(h.DeleteUser(h.ctx, "anna"), tutti.KindNotFound, "a user deleted twice")
	_, err = h.UpdateUser(h.ctx, tutti.User{Name: "anna"})
	h.wantKind(err, tutti.KindNotFound, "an update of a deleted user")
	h.wantKind(h.SetPassword(h.ctx, "anna", goodPassword), tutti.KindNotFound, "a password for a deleted user")
}

func TestDirectory(t *testing.T) {
	h := newHouse(t)
	u := h.create("Ada", tutti.RoleStream)
	d := NewDirectory(h.store, h.clock)
	got, err := d.UserByID(h.ctx, u.ID)
	if diff := cmp.Diff(u, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := d.UserByID(h.ctx, tutti.NewID(tutti.PrefixUser, 7)); !tutti.IsKind(err, tutti.KindNotFound) {
		t.Errorf("a user that is not there: %v", err)
	}
	u.Libraries = []string{"2"}
	if _, err := h.UpdateUser(h.ctx, u); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(2 * freshFor)
	if got, err = d.UserByID(h.ctx, u.ID); err != nil || !slices.Equal(got.Libraries, u.Libraries) {
		t.Errorf("a change is not seen: %+v, %v", got, err)
	}
}

func TestInvalidUsers(t *testing.T) {
	h := newHouse(t)
	for what, u := range map[string]tutti.User{
		"no name":         {},
		"spaces":          {Name: "  "},
		"long name":       {Name: strings.Repeat("n", maxName+1)},
		"NUL":             {Name: "a\x00b"},
		"not UTF-8":       {Name: "\xff"},
		"zero width":      {Name: "a\u200bb"},
		"control":         {Name: "a\x1bb"},
		"role":            {Name: "a", Roles: []tutti.Role{"root"}},
		"email":           {Name: "a", Email: "a@b\r\nBcc: c"},
		"bit rate":        {Name: "a", MaxBitRate: -1},
		"many libraries":  {Name: "a", Libraries: make([]string, maxLibraries+1)},
		"very long email": {Name: "a", Email: strings.Repeat("e", 300)},
	} {
		_, err := h.CreateUser(h.ctx, u, goodPassword)
		h.wantKind(err, tutti.KindInvalid, what)
	}
	for _, password := range []string{"", "seven77", "ééééééé", strings.Repeat("p", maxPassword+1), "nul\x00nul\x00", "\xff\xff\xff\xff\xff\xff\xff\xff"} {
		_, err := h.CreateUser(h.ctx, tutti.User{Name: "a"}, password)
		h.wantKind(err, tutti.KindInvalid, fmt.Sprintf("password %.10q", password))
	}
	if users, err := h.Users(h.ctx); err != nil || len(users) != 0 {
		t.Fatal(users, err)
	}
}

func TestLastAdmin(t *testing.T) {
	h := newHouse(t)
	created, password, err := h.EnsureAdmin(h.ctx, "Admin", "")
	if err != nil || !created || len(password) != 23 {
		t.Fatal(created, password, err)
	}
	if created, again, err := h.EnsureAdmin(h.ctx, "other", ""); created || again != "" || err != nil {
		t.Fatal("a second first admin", created, err)
	}
	s, err := h.SignIn(h.ctx, byPassword("admin", password, home), "")
	if err != nil || !s.User.Has(tutti.RoleAdmin) {
		t.Fatal(err, s.User)
	}
	h.wantKind(h.DeleteUser(h.ctx, "admin"), tutti.KindConflict, "deleting the last admin")
	_, err = h.UpdateUser(h.ctx, tutti.User{Name: "admin"})
	h.wantKind(err, tutti.KindConflict, "demoting the last admin")

	// Two admins who demote one another at once: one stays.
	h.create("second", tutti.RoleAdmin)
	var wg sync.WaitGroup
	for _, name := range []string{"admin", "second"} {
		wg.Go(func() {
			if _, err := h.UpdateUser(h.ctx, tutti.User{Name: name}); err != nil && !tutti.IsKind(err, tutti.KindConflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	users, err := h.Users(h.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(slices.DeleteFunc(users, func(u tutti.User) bool { return !u.Has(tutti.RoleAdmin) })); n != 1 {
		t.Fatalf("%d admins are left", n)
	}
}

func TestEnsureAdminWithPassword(t *testing.T) {
	h := newHouse(t)
	created, generated, err := h.EnsureAdmin(h.ctx, "admin", goodPassword)
	if err != nil || !created || generated != "" {
		t.Fatal(created, generated, err)
	}
	if _, err := h.Admit(h.ctx, byPassword("admin", goodPassword, home)); err != nil {
		t.Fatal(err)
	}
}

func TestAdmit(t *testing.T) {
	h := newHouse(t)
	want := h.create("Anna", tutti.RoleStream)
	session, err := h.SignIn(h.ctx, byPassword("anna", goodPassword, home), "Test/1")
	if err != nil {
		t.Fatal(err)
	}
	_, secret, err := h.CreateAppKey(h.ctx, want.ID, "phone")
	if err != nil {
		t.Fatal(err)
	}
	upper := byToken("anna", goodPassword, "x", home)
	upper.Token = strings.ToUpper(upper.Token)
	for what, c := range map[string]tutti.Credentials{
		"password":     byPassword("anna", goodPassword, home),
		"another case": byPassword("ANNA", goodPassword, home),
		"token":        byToken("Anna", goodPassword, "c19b2d", home),
		"empty salt":   byToken("Anna", goodPassword, "", home),
		"upper case":   upper,
		"app key":      {AppKey: secret},
		"session":      {Session: session.Secret},
		"app key first": {
			AppKey: secret, Name: "anna", Password: "wrong", Session: "wrong",
		},
	} {
		got, err := h.Admit(h.ctx, c)
		if err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("%s: %v %s", what, err, cmp.Diff(want, got))
		}
	}
	long := byToken("anna", goodPassword, "x", home)
	long.Salt = strings.Repeat("x", 100_000)
	other := []byte(secret)
	other[len(other)-1] ^= 1
	for what, c := range map[string]tutti.Credentials{
		"nothing":           {},
		"a name alone":      {Name: "anna"},
		"wrong password":    byPassword("anna", "wrong", home),
		"prefix":            byPassword("anna", goodPassword[:5], home),
		"longer":            byPassword("anna", goodPassword+"x", home),
		"nobody":            byPassword("nobody", goodPassword, home),
		"no name":           byPassword("", goodPassword, home),
		"not a name":        byPassword("\xff\x00", goodPassword, home),
		"wrong token":       byToken("anna", "wrong", "salt", home),
		"nobody's token":    byToken("nobody", goodPassword, "salt", home),
		"token of nothing":  byToken("anna", "", "salt", home),
		"token, other salt": {Name: "anna", Token: byToken("anna", goodPassword, "a", home).Token, Salt: "b"},
		"long salt":         long,
		"hash as token":     {Name: "anna", Token: "$argon2id$", Salt: ""},
		"bad app key":       {AppKey: "tutti_"},
		"guessed app key":   {AppKey: string(other)},
		"bad session":       {Session: "x.y"},
		"guessed session":   {Session: session.Secret[:len(session.Secret)-1] + "-"},
	} {
		c.From = elsewhere
		h.Accounts = h.another() // so that nobody is held up
		_, err := h.Admit(h.ctx, c)
		h.wantKind(err, tutti.KindUnauthorised, what)
	}
}

// TestSameWork checks that a name which nobody has costs the same work as one which somebody has.
func TestSameWork(t *testing.T) {
	h := newHouse(t)
	h.create("anna")
	for what, try := range map[string]func(name string) error{
		"sign-in": func(name string) error {
			_, err := h.SignIn(h.ctx, byPassword(name, "wrong password", home), "")
			return err
		},
		"password": func(name string) error {
			_, err := h.Admit(h.ctx, byPassword(name, "wrong password", home))
			return err
		},
		"token": func(name string) error {
			_, err := h.Admit(h.ctx, byToken(name, "wrong password", "salt", home))
			return err
		},
	} {
		var argons [3]int64
		var messages [3]string
		for i, name := range []string{"anna", "nobody", "\xff not a name \x00"} {
			before := h.argons.Load()
			err := try(name)
			h.wantKind(err, tutti.KindUnauthorised, what)
			argons[i], messages[i] = h.argons.Load()-before, tutti.Message(err)
		}
		if argons[0] != argons[1] || argons[0] != argons[2] || messages[0] != messages[1] || messages[0] != messages[2] {
			t.Errorf("%s: argon2 ran %d times, messages %q", what, argons, messages)
		}
		if want := int64(0); what == "sign-in" {
			if want = 1; argons[0] != want {
				t.Errorf("%s ran argon2 %d times", what, argons[0])
			}
		} else if argons[0] != want {
			t.Errorf("%s ran argon2 %d times", what, argons[0])
		}
	}
	acc, err := h.load(h.ctx, "nobody", true)
	if err != nil || acc.exists || acc.opened != nil || acc.secret == "" {
		t.Errorf("nobody has no secret to compare with: %v, %v", err, acc.opened)
	}
}

func TestSetPassword(t *testing.T) {
	h := newHouse(t)
	u := h.create("anna")
	old, err := h.SignIn(h.ctx, byPassword("anna", goodPassword, home), "")
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := h.CreateAppKey(h.ctx, u.ID, "phone")
	if err != nil {
		t.Fatal(err)
	}
	other := h.another()
	if _, err := other.Session(h.ctx, old.Secret); err != nil {
		t.Fatal(err)
	}
	h.wantKind(h.SetPassword(h.ctx, "anna", "short"), tutti.KindInvalid, "a short password")
	if err := h.SetPassword(h.ctx, "Anna", "battery staple"); err != nil {
		t.Fatal(err)
	}
	_, err = h.Session(h.ctx, old.Secret)
	h.wantKind(err, tutti.KindUnauthorised, "a session from before")
	_, err = h.Admit(h.ctx, byPassword("anna", goodPassword, home))
	h.wantKind(err, tutti.KindUnauthorised, "the old password")
	_, err = h.Admit(h.ctx, byToken("anna", goodPassword, "salt", home))
	h.wantKind(err, tutti.KindUnauthorised, "a token of the old password")
	if _, err := h.Admit(h.ctx, byToken("anna", "battery staple", "salt", home)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Admit(h.ctx, tutti.Credentials{AppKey: key}); err != nil {
		t.Fatalf("app keys go on: %v", err)
	}
	// Another process sees it a second later at the latest.
	h.clock.Advance(time.Second)
	_, err = other.Session(h.ctx, old.Secret)
	h.wantKind(err, tutti.KindUnauthorised, "a session from before, in another process")
	_, err = other.Admit(h.ctx, byPassword("anna", goodPassword, home))
	h.wantKind(err, tutti.KindUnauthorised, "the old password, in another process")
	if sessions, err := h.Sessions(h.ctx, u.ID); err != nil || len(sessions) != 0 {
		t.Fatal(sessions, err)
	}
}

func TestSessions(t *testing.T) {
	h := newHouse(t)
	u := h.create("anna")
	first, err := h.SignIn(h.ctx, byPassword("anna", goodPassword, home), "Browser/1 "+strings.Repeat("é", 300))
	if err != nil {
		t.Fatal(err)
	}
	if first.Created != epoch || first.Expires != epoch.Add(sessionLife) || first.From != "192.0.2.1" || len(first.UserAgent) > maxUserAgent {
		t.Fatalf("%+v", first)
	}
	h.clock.Advance(time.Minute)
	second, err := h.SignIn(h.ctx, byPassword("anna", goodPassword, elsewhere), "Browser/2")
	if err != nil {
		t.Fatal(err)
	}
	if second.Secret == first.Secret || second.ID == first.ID {
		t.Fatal("two sessions are one")
	}
	list, err := h.Sessions(h.ctx, u.ID)
	if err != nil || len(list) != 2 || list[0].ID != second.ID || list[1].ID != first.ID || list[0].Secret != "" {
		t.Fatalf("%v %+v", err, list)
	}
	writes := func() uint64 {
		it, err := h.store.Get(h.ctx, store.Key{PK: sessionsPK(u.ID), SK: hashSecret(first.Secret)})
		if err != nil {
			t.Fatal(err)
		}
		return it.Version
	}
	// Seen within the hour: nothing is written. Seen later: once.
	for range 50 {
		if _, err := h.Session(h.ctx, first.Secret); err != nil {
			t.Fatal(err)
		}
		h.clock.Advance(time.Minute)
	}
	if n := writes(); n != 1 {
		t.Fatalf("%d writes within the hour", n)
	}
	h.clock.Advance(10 * time.Minute)
	for range 5 {
		if s, err := h.Session(h.ctx, first.Secret); err != nil || !s.LastSeen.Equal(h.clock.Now()) || !s.Expires.Equal(h.clock.Now().Add(sessionLife)) {
			t.Fatalf("%v %+v", err, s)
		}
	}
	if n := writes(); n != 2 {
		t.Fatalf("%d writes in two hours", n)
	}
	// It slides: used every 20 days it lives on; the other one ends.
	for range 5 {
		h.clock.Advance(20 * 24 * time.Hour)
		if _, err := h.Session(h.ctx, first.Secret); err != nil {
			t.Fatal(err)
		}
	}
	_, err = h.Session(h.ctx, second.Secret)
	h.wantKind(err, tutti.KindUnauthorised, "a session that nobody used for a month")
	h.clock.Advance(sessionLife)
	_, err = h.Session(h.ctx, first.Secret)
	h.wantKind(err, tutti.KindUnauthorised, "a session that has just ended")

	third, err := h.SignIn(h.ctx, byPassword("anna", goodPassword, home), "")
	if err != nil {
		t.Fatal(err)
	}
	fourth, err := h.SignIn(h.ctx, byPassword("anna", goodPassword, home), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.SignOut(h.ctx, third.Secret); err != nil {
		t.Fatal(err)
	}
	if err := h.SignOut(h.ctx, "nonsense"); err != nil {
		t.Fatal(err)
	}
	_, err = h.Session(h.ctx, third.Secret)
	h.wantKind(err, tutti.KindUnauthorised, "a session that was signed out")
	for _, id := range []string{"", third.ID, "zzzzzzzzzzzzzzzz", strings.Repeat("\x00", sessionIDLen)} {
		h.wantKind(h.RevokeSession(h.ctx, u.ID, id), tutti.KindNotFound, "revoking "+id)
	}
	if _, err := h.Session(h.ctx, fourth.Secret); err != nil {
		t.Fatal(err)
	}
	if err := h.RevokeSession(h.ctx, u.ID, fourth.ID); err != nil {
		t.Fatal(err)
	}
	_, err = h.Session(h.ctx, fourth.Secret)
	h.wantKind(err, tutti.KindUnauthorised, "a session that was revoked")
}

func TestAppKeys(t *testing.T) {
	h := newHouse(t)
	u := h.create("anna")
	for _, name := range []string{"", "  ", strings.Repeat("n", maxKeyName+1), "a\nb", "\xff"} {
		_, _, err := h.CreateAppKey(h.ctx, u.ID, name)
		h.wantKind(err, tutti.KindInvalid, fmt.Sprintf("a key named %q", name))
	}
	_, _, err := h.CreateAppKey(h.ctx, tutti.NewID(tutti.PrefixUser, 1), "phone")
	h.wantKind(err, tutti.KindNotFound, "a key for nobody")
	phone, secret, err := h.CreateAppKey(h.ctx, u.ID, " phone ")
	if err != nil || phone.Name != "phone" || !strings.HasPrefix(secret, "tutti_") || len(secret) != keyTotalLen {
		t.Fatal(err, phone, len(secret))
	}
	h.clock.Advance(time.Minute)
	car, carSecret, err := h.CreateAppKey(h.ctx, u.ID, "car")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := h.Admit(h.ctx, tutti.Credentials{AppKey: secret}); err != nil {
			t.Fatal(err)
		}
		h.clock.Advance(time.Minute)
	}
	phone.LastUsed = epoch.Add(time.Minute)
	keys, err := h.AppKeys(h.ctx, u.ID)
	if err != nil || cmp.Diff([]tutti.AppKey{car, phone}, keys) != "" {
		t.Fatal(err, cmp.Diff([]tutti.AppKey{car, phone}, keys))
	}
	for _, id := range []string{"", "zzzzzzzz", "\xff\xff\xff\xff\xff\xff\xff\xff"} {
		h.wantKind(h.RevokeAppKey(h.ctx, u.ID, id), tutti.KindNotFound, "revoking what is not there")
	}
	if err := h.RevokeAppKey(h.ctx, u.ID, phone.ID); err != nil {
		t.Fatal(err)
	}
	_, err = h.Admit(h.ctx, tutti.Credentials{AppKey: secret})
	h.wantKind(err, tutti.KindUnauthorised, "a revoked key")
	if _, err := h.Admit(h.ctx, tutti.Credentials{AppKey: carSecret}); err != nil {
		t.Fatal(err)
	}
	// A user of the same name who comes later has nothing of the old one's.
	if err := h.DeleteUser(h.ctx, "anna"); err != nil {
		t.Fatal(err)
	}
	h.create("anna")
	_, err = h.Admit(h.ctx, tutti.Credentials{AppKey: carSecret})
	h.wantKind(err, tutti.KindUnauthorised, "the key of a deleted user")
	for i := range maxKeys {
		u, _ := h.User(h.ctx, "anna")
		if _, _, err := h.CreateAppKey(h.ctx, u.ID, fmt.Sprint("key ", i)); err != nil {
			t.Fatal(err)
		}
	}
	again, err := h.User(h.ctx, "anna")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = h.CreateAppKey(h.ctx, again.ID, "one more")
	h.wantKind(err, tutti.KindExhausted, "too many keys")
}

// TestNothingReadable looks for secrets in what the store holds.
func TestNothingReadable(t *testing.T) {
	h := newHouse(t)
	u := h.create("anna")
	s, err := h.SignIn(h.ctx, byPassword("anna", goodPassword, home), "")
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := h.CreateAppKey(h.ctx, u.ID, "phone")
	if err != nil {
		t.Fatal(err)
	}
	for _, pk := range []string{usersPK, idsPK, sessionsPK(u.ID), appKeysPK(u.ID), keyNoteKey.PK} {
		found := false
		err := h.each(h.ctx, pk, func(it store.Item) error {
			found = true
			for _, secret := range []string{goodPassword, s.Secret, key, key[len(key)-keySecret:]} {
				if strings.Contains(it.SK+string(it.Value), secret) {
					t.Errorf("%s holds a secret", pk)
				}
			}
			return nil
		})
		if err != nil || !found {
			t.Fatal(pk, found, err)
		}
	}
	info, err := os.Stat(filepath.Join(h.dir, "tutti.key"))
	if err != nil || info.Mode() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
	// Swapping the sealed passwords of two users opens neither.
	acc, err := h.load(h.ctx, "anna", true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.vault.open(tutti.NewID(tutti.PrefixUser, 5), acc.Sealed); err == nil {
		t.Fatal("a secret opened for another user")
	}
}

func TestKeyLost(t *testing.T) {
	h := newHouse(t)
	u := h.create("anna")
	_, key, err := h.CreateAppKey(h.ctx, u.ID, "phone")
	if err != nil {
		t.Fatal(err)
	}
	token := byToken("anna", goodPassword, "salt", home)
	if _, err := h.Admit(h.ctx, token); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(h.dir, "tutti.key")); err != nil {
		t.Fatal(err)
	}
	h.Accounts = h.another()
	_, err = h.Admit(h.ctx, token)
	h.wantKind(err, tutti.KindUnauthorised, "a token without the key")
	if m := tutti.Message(err); !strings.Contains(m, "key file was replaced on 2024-02-29") {
		t.Fatalf("the message does not help: %q", m)
	}
	if _, err := h.Admit(h.ctx, tutti.Credentials{AppKey: key}); err != nil {
		t.Fatal(err)
	}
	_, err = h.Admit(h.ctx, byPassword("anna", "wrong password", home))
	h.wantKind(err, tutti.KindUnauthorised, "a wrong password without the key")
	// A right password works, and mends the rest.
	before := h.argons.Load()
	for range 3 {
		if _, err := h.Admit(h.ctx, byPassword("anna", goodPassword, home)); err != nil {
			t.Fatal(err)
		}
	}
	if n := h.argons.Load() - before; n != 1 {
		t.Fatalf("argon2 ran %d times", n)
	}
	if _, err := h.Admit(h.ctx, token); err != nil {
		t.Fatal(err)
	}
	// So does signing in.
	if err := os.WriteFile(filepath.Join(h.dir, "tutti.key"), []byte(strings.Repeat("ab", keyLen)), 0o600); err != nil {
		t.Fatal(err)
	}
	h.Accounts = h.another()
	_, err = h.Admit(h.ctx, token)
	h.wantKind(err, tutti.KindUnauthorised, "a token with another key")
	if _, err := h.SignIn(h.ctx, byPassword("anna", goodPassword, home), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Admit(h.ctx, token); err != nil {
		t.Fatal(err)
	}
	// A damaged key file is not replaced.
	for _, text := range []string{"", "ab", strings.Repeat("xy", keyLen), strings.Repeat("ab", keyLen+1)} {
		if err := os.WriteFile(filepath.Join(h.dir, "tutti.key"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := New(h.ctx, Config{Store: h.store, Clock: h.clock, Logger: quiet, KeyFile: filepath.Join(h.dir, "tutti.key")})
		h.wantKind(err, tutti.KindInvalid, "a damaged key file")
	}
}

func TestRehash(t *testing.T) {
	h := newHouse(t)
	h.create("anna")
	now := cost
	defer func() { cost = now }()
	cost.passes++
	if _, err := h.SignIn(h.ctx, byPassword("anna", goodPassword, home), ""); err != nil {
		t.Fatal(err)
	}
	acc, err := h.load(h.ctx, "anna", true)
	if err != nil {
		t.Fatal(err)
	}
	p, err := parsePHC(acc.Hash)
	if err != nil || p.passes != cost.passes {
		t.Fatal(err, p.passes)
	}
	if _, err := h.SignIn(h.ctx, byPassword("anna", goodPassword, home), ""); err != nil {
		t.Fatal(err)
	}
}

// TestTwoFirstRuns has two processes make the key file and the first admin at once.
func TestTwoFirstRuns(t *testing.T) {
	h := newHouse(t)
	for round := range 10 {
		file := filepath.Join(h.dir, fmt.Sprint("key", round))
		var wg sync.WaitGroup
		var ids [4][4]byte
		for i := range ids {
			wg.Go(func() {
				key, err := loadKey(file)
				if err != nil {
					t.Error(err)
					return
				}
				v, err := newVault(key)
				if err != nil {
					t.Error(err)
					return
				}
				ids[i] = v.id
			})
		}
		wg.Wait()
		for _, id := range ids {
			if id != ids[0] {
				t.Fatal("two keys for one file")
			}
		}
	}
	entries, err := os.ReadDir(h.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".key-") {
			t.Errorf("%s was left behind", e.Name())
		}
	}
	var created atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		a := h.another()
		wg.Go(func() {
			ok, _, err := a.EnsureAdmin(h.ctx, "admin", "")
			if err != nil {
				t.Error(err)
			}
			if ok {
				created.Add(1)
			}
		})
	}
	wg.Wait()
	if created.Load() != 1 {
		t.Fatalf("%d first admins", created.Load())
	}
}

// TestEverythingAtOnce is for the race detector.
func TestEverythingAtOnce(t *testing.T) {
	h := newHouse(t)
	h.create("admin", tutti.RoleAdmin)
	u := h.create("anna")
	_, key, err := h.CreateAppKey(h.ctx, u.ID, "phone")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 30 {
				var err error
				switch (i + j) % 6 {
				case 0:
					_, err = h.Admit(h.ctx, byToken("anna", goodPassword, fmt.Sprint(j), home))
				case 1:
					_, err = h.Admit(h.ctx, tutti.Credentials{AppKey: key})
				case 2:
					_, err = h.UpdateUser(h.ctx, tutti.User{Name: "anna", MaxBitRate: j})
				case 3:
					var s tutti.Session
					if s, err = h.SignIn(h.ctx, byPassword("anna", goodPassword, home), ""); err == nil {
						_, err = h.Session(h.ctx, s.Secret)
					}
				case 4:
					_, err = h.Users(h.ctx)
				case 5:
					_, err = h.Admit(h.ctx, byPassword("nobody", "wrong password", elsewhere))
					if tutti.IsKind(err, tutti.KindUnauthorised) || tutti.IsKind(err, tutti.KindExhausted) {
						err = nil
					}
				}
				if err != nil {
					t.Errorf("%d: %v", (i+j)%6, err)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkAdmit(b *testing.B) {
	ctx := b.Context()
	dir := b.TempDir()
	s, err := sqlite.Open(ctx, filepath.Join(dir, "tutti.db"), sqlite.Options{Clock: clock.System})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	a, err := New(ctx, Config{Store: s, Clock: clock.System, Logger: quiet, KeyFile: filepath.Join(dir, "key")})
	if err != nil {
		b.Fatal(err)
	}
	u, err := a.CreateUser(ctx, tutti.User{Name: "anna"}, goodPassword)
	if err != nil {
		b.Fatal(err)
	}
	_, key, err := a.CreateAppKey(ctx, u.ID, "phone")
	if err != nil {
		b.Fatal(err)
	}
	for name, c := range map[string]tutti.Credentials{
		"token": byToken("anna", goodPassword, "salt", home), "password": byPassword("anna", goodPassword, home), "appkey": {AppKey: key},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Admit(ctx, c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("token-not-remembered", func(b *testing.B) {
		for b.Loop() {
			a.users.forget("anna")
			if _, err := a.Admit(ctx, byToken("anna", goodPassword, "salt", home)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sign-in", func(b *testing.B) {
		for b.Loop() {
			if _, err := a.SignIn(ctx, byPassword("anna", goodPassword, home), ""); err != nil {
				b.Fatal(err)
			}
		}
	})
}
