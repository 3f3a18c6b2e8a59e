package accounts

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tutti"
	"tutti/clock"
)

// guess tries a wrong password, a new one each time, and returns the kind of refusal.
func (h *house) guess(name string, from netip.Addr) tutti.Kind {
	h.Helper()
	_, err := h.Admit(h.ctx, byPassword(name, "guess "+randomDigits(10), from))
	if err == nil {
		h.Fatal("a guess got in")
	}
	return tutti.KindOf(err)
}

// guessUntilHeldUp returns how many guesses went through.
func (h *house) guessUntilHeldUp(name string, from netip.Addr) int {
	h.Helper()
	for n := range 1000 {
		if h.guess(name, from) == tutti.KindExhausted {
			return n
		}
	}
	h.Fatal("never held up")
	return 0
}

func (h *house) mayEnter(c tutti.Credentials) error {
	_, err := h.Admit(h.ctx, c)
	return err
}

func addr(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

func TestGuessesFromOneAddress(t *testing.T) {
	h := newHouse(t)
	u := h.create("anna")
	_, key, err := h.CreateAppKey(h.ctx, u.ID, "phone")
	if err != nil {
		t.Fatal(err)
	}
	// Many names from one address.
	for i := range freeFailures + 1 {
		if k := h.guess(fmt.Sprint("name", i), elsewhere); k != tutti.KindUnauthorised {
			t.Fatalf("guess %d: %v", i, k)
		}
	}
	for what, c := range map[string]tutti.Credentials{
		"password": byPassword("anna", goodPassword, elsewhere),
		"token":    byToken("anna", goodPassword, "salt", elsewhere),
		"app key":  {AppKey: key, From: elsewhere},
		"session":  {Session: "x", From: elsewhere},
	} {
		h.wantKind(h.mayEnter(c), tutti.KindExhausted, what)
	}
	_, err = h.SignIn(h.ctx, byPassword("anna", goodPassword, elsewhere), "")
	h.wantKind(err, tutti.KindExhausted, "a sign-in")
	if err := h.mayEnter(byPassword("anna", goodPassword, home)); err != nil {
		t.Fatalf("from another address: %v", err)
	}
	// The delay passes, and doubles with the next failure.
	for want := firstDelay; want < maxAddrDelay; want *= 2 {
		h.clock.Advance(want - time.Millisecond)
		if k := h.guess("x", elsewhere); k != tutti.KindExhausted {
			t.Fatalf("after %v: %v", want, k)
		}
		h.clock.Advance(time.Millisecond)
		if want > 30*time.Second {
			break // from here on minutes are forgiven meanwhile
		}
		if k := h.guess("x", elsewhere); k != tutti.KindUnauthorised {
			t.Fatalf("after %v: %v", want, k)
		}
	}
	// Left alone, it is forgotten.
	h.clock.Advance(time.Hour)
	if n := h.guessUntilHeldUp("x", elsewhere); n != freeFailures+1 {
		t.Fatalf("%d guesses after an hour", n)
	}
}

func TestEveryFormCounts(t *testing.T) {
	for what, c := range map[string]func(i int) tutti.Credentials{
		"password": func(i int) tutti.Credentials { return byPassword(fmt.Sprint("n", i), "wrong", elsewhere) },
		"token":    func(i int) tutti.Credentials { return byToken(fmt.Sprint("n", i), "wrong", fmt.Sprint(i), elsewhere) },
		"app key": func(i int) tutti.Credentials {
			return tutti.Credentials{AppKey: fmt.Sprint("tutti_", i), From: elsewhere}
		},
		"session": func(i int) tutti.Credentials { return tutti.Credentials{Session: fmt.Sprint(i, ".x"), From: elsewhere} },
	} {
		h := newHouse(t)
		for i := range freeFailures + 1 {
			h.wantKind(h.mayEnter(c(i)), tutti.KindUnauthorised, what)
		}
		h.wantKind(h.mayEnter(c(99)), tutti.KindExhausted, what)
	}
	h := newHouse(t)
	for i := range freeFailures + 1 {
		_, err := h.SignIn(h.ctx, byPassword(fmt.Sprint("n", i), "wrong", elsewhere), "")
		h.wantKind(err, tutti.KindUnauthorised, "sign-in")
	}
	before := h.argons.Load()
	_, err := h.SignIn(h.ctx, byPassword("n", "wrong", elsewhere), "")
	h.wantKind(err, tutti.KindExhausted, "sign-in")
	if h.argons.Load() != before {
		t.Fatal("argon2 runs for those who are held up")
	}
}

func TestGuessesAtOneName(t *testing.T) {
	h := newHouse(t)
	h.create("anna")
	if err := h.mayEnter(byPassword("anna", goodPassword, home)); err != nil {
		t.Fatal(err)
	}
	// Many addresses guess at one name.
	for i := range freeFailures + 1 {
		if k := h.guess("anna", addr(i)); k != tutti.KindUnauthorised {
			t.Fatalf("guess %d: %v", i, k)
		}
	}
	if k := h.guess("ANNA", addr(1000)); k != tutti.KindExhausted {
		t.Fatalf("one more: %v", k)
	}
	// Its owner does not notice, at home.
	for range 3 {
		if err := h.mayEnter(byPassword("anna", goodPassword, home)); err != nil {
			t.Fatalf("at home: %v", err)
		}
	}
	h.wantKind(h.mayEnter(byPassword("anna", goodPassword, addr(1001))), tutti.KindExhausted, "from an unknown address")
	h.clock.Advance(maxNameDelay)
	if err := h.mayEnter(byPassword("anna", goodPassword, addr(1001))); err != nil {
		t.Fatalf("from an unknown address, later: %v", err)
	}
}

func TestKnownPairs(t *testing.T) {
	h := newHouse(t)
	h.create("anna")
	u := h.create("bert")
	_, key, err := h.CreateAppKey(h.ctx, u.ID, "phone")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []tutti.Credentials{byPassword("anna", goodPassword, home), byPassword("bert", goodPassword, home), {AppKey: key, From: home}} {
		if err := h.mayEnter(c); err != nil {
			t.Fatal(err)
		}
	}
	// Somebody at the same address guesses: at others' names, then at anna's.
	h.guessUntilHeldUp("carl", home)
	if err := h.mayEnter(byPassword("anna", goodPassword, home)); err != nil {
		t.Fatalf("anna at home: %v", err)
	}
	if n := h.guessUntilHeldUp("anna", home); n != freeFailures+1 {
		t.Fatalf("%d guesses at a known pair", n)
	}
	h.wantKind(h.mayEnter(byPassword("anna", goodPassword, home)), tutti.KindExhausted, "anna, while somebody guesses at her name at home")
	if err := h.mayEnter(byPassword("bert", goodPassword, home)); err != nil {
		t.Fatalf("bert at home: %v", err)
	}
	if err := h.mayEnter(tutti.Credentials{AppKey: key, From: home}); err != nil {
		t.Fatalf("bert's phone at home: %v", err)
	}
	// A success in between does not give an attacker more guesses at other names.
	h = newHouse(t)
	h.create("mallory")
	h.create("anna")
	guesses := 0
	for range 50 {
		if err := h.mayEnter(byPassword("mallory", goodPassword, elsewhere)); err != nil {
			t.Fatal(err)
		}
		if h.guess("anna", elsewhere) == tutti.KindUnauthorised {
			guesses++
		}
	}
	if guesses != freeFailures+1 {
		t.Fatalf("%d guesses with successes in between", guesses)
	}
}

// TestStubbornApp has an app repeat an old password for a day: it must not lock the address.
func TestStubbornApp(t *testing.T) {
	h := newHouse(t)
	h.create("anna")
	for range 1000 {
		h.wantKind(h.mayEnter(byPassword("anna", "last year's password", home)), tutti.KindUnauthorised, "the old password")
		h.clock.Advance(time.Second)
	}
	if err := h.mayEnter(byPassword("anna", goodPassword, home)); err != nil {
		t.Fatal(err)
	}
}

func TestNetworks(t *testing.T) {
	same := [][2]string{
		{"192.0.2.1", "::ffff:192.0.2.1"},
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff::9"},
		{"fe80::1%eth0", "fe80::1%eth1"},
	}
	different := [][2]string{{"192.0.2.1", "192.0.2.2"}, {"2001:db8:1:2::1", "2001:db8:1:3::1"}, {"::1", "127.0.0.1"}}
	for i, pairs := range [][][2]string{same, different} {
		for _, p := range pairs {
			if got := network(netip.MustParseAddr(p[0])) == network(netip.MustParseAddr(p[1])); got != (i == 0) {
				t.Errorf("%v are one network: %v", p, got)
			}
		}
	}
	if network(netip.Addr{}) != (netip.Prefix{}) {
		t.Error("no address has a network")
	}
}

// TestMemoryIsBounded floods the limiter and sees that whoever is held up stays so.
func TestMemoryIsBounded(t *testing.T) {
	fake := clock.NewFake(epoch)
	l := newLimiter(fake)
	bad := attempt{addr: network(elsewhere), name: 1, shared: true}
	for i := range 30 {
		bad.guess = uint64(i)
		l.failed(bad)
	}
	for i := range 3 * maxRemembered {
		l.failed(attempt{addr: network(addr(i)), name: uint64(i), shared: true, guess: uint64(i)})
	}
	if n := len(l.buckets); n > maxRemembered {
		t.Fatalf("%d buckets", n)
	}
	if l.wait(bad) == 0 {
		t.Fatal("a flood of others let an attacker go free")
	}
}

// TestLimiterProperties checks for any sequence of events that delays stay within their bounds, that a known pair is
// held up only by its own failures, and that a quiet hour lets everybody in.
func TestLimiterProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fake := clock.NewFake(epoch)
		l := newLimiter(fake)
		mine := attempt{addr: network(home), name: 1, shared: true}
		l.succeeded(mine)
		t.Repeat(map[string]func(*rapid.T){
			"fail": func(t *rapid.T) {
				at := attempt{
					addr: network(addr(rapid.IntRange(0, 3).Draw(t, "address"))), name: rapid.Uint64Range(1, 4).Draw(t, "name"),
					shared: rapid.Bool().Draw(t, "shared"), guess: rapid.Uint64().Draw(t, "guess"),
				}
				l.failed(at)
				if d := l.wait(at); d < 0 || d > maxAddrDelay {
					t.Fatalf("a delay of %v", d)
				}
			},
			"fail at home": func(t *rapid.T) {
				l.failed(attempt{addr: network(home), name: rapid.Uint64Range(2, 4).Draw(t, "name"), shared: true, guess: rapid.Uint64().Draw(t, "guess")})
			},
			"wait": func(t *rapid.T) {
				fake.Advance(time.Duration(rapid.IntRange(0, 300).Draw(t, "seconds")) * time.Second)
			},
			"": func(t *rapid.T) {
				if d := l.wait(mine); d != 0 {
					t.Fatalf("a known pair without failures waits for %v", d)
				}
			},
		})
		fake.Advance(time.Hour)
		for i := range 4 {
			if d := l.wait(attempt{addr: network(addr(i)), name: uint64(i), shared: true}); d != 0 {
				t.Fatalf("after a quiet hour: %v", d)
			}
		}
	})
}
