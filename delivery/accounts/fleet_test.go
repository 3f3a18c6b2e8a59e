package accounts

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tutti"
	"tutti/store"
	"tutti/store/storetest"
)

// node is another delivery process on the house's store, with a key file of its own.
func (h *house) node(keyFile string) (*Accounts, error) {
	a, err := New(h.ctx, Config{Store: h.store, Clock: h.clock, Logger: quiet, KeyFile: keyFile, Shared: true})
	if err == nil {
		derive := a.hasher.derive
		a.hasher.derive = func(password, salt []byte, passes, memory uint32, lanes uint8, length uint32) []byte {
			return derive(password, salt, passes, min(memory, 64), lanes, length)
		}
	}
	return a, err
}

// colleague is a node with the fleet's key.
func (h *house) colleague() *Accounts {
	h.Helper()
	a, err := h.node(filepath.Join(h.dir, "tutti.key"))
	if err != nil {
		h.Fatal(err)
	}
	return a
}

// TestStrangerDoesNotRekeyTheFleet: a command on the host of a shared database that does not know that it is shared must
// not make a key of its own the one that counts.
func TestStrangerDoesNotRekeyTheFleet(t *testing.T) {
	h := newHouse(t)
	h.colleague()
	command := Config{Store: h.store, Clock: h.clock, Logger: quiet, KeyFile: filepath.Join(t.TempDir(), "secret.key")}
	_, err := New(h.ctx, command)
	h.wantKind(err, tutti.KindInvalid, "a command without the fleet's key")
	if _, err := os.Stat(command.KeyFile); err == nil {
		t.Error("it made a key")
	}
	if _, err := loadKey(command.KeyFile); err != nil { // makes one
		t.Fatal(err)
	}
	_, err = New(h.ctx, command)
	h.wantKind(err, tutti.KindInvalid, "a command with another key")
	h.colleague() // and the fleet's own still start
}

// TestOneKey: a node whose key file is not the fleet's does not start, and says what to copy.
func TestOneKey(t *testing.T) {
	h := newHouse(t)
	h.create("anna")
	ours, theirs := filepath.Join(h.dir, "tutti.key"), filepath.Join(t.TempDir(), "a", "other.key")
	refused := func(what string) {
		t.Helper()
		_, err := h.node(theirs)
		h.wantKind(err, tutti.KindInvalid, what)
		if m := tutti.Message(err); !strings.Contains(m, theirs) || !strings.Contains(m, "copy") {
			t.Errorf("%s: the message is %q", what, m)
		}
	}
	refused("no key file")
	if _, err := os.Stat(theirs); err == nil {
		t.Error("it made a key file that is of no use")
	}
	if _, err := loadKey(theirs); err != nil { // makes one
		t.Fatal(err)
	}
	refused("another key file")
	key, err := os.ReadFile(ours)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(theirs, key, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := h.node(theirs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Admit(h.ctx, byToken("anna", goodPassword, "salt", home)); err != nil {
		t.Errorf("a token at the node that was given the key: %v", err)
	}
	// Lost everywhere.
	for _, file := range []string{ours, theirs} {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	refused("a key file that was lost")
	if err := ForgetKey(h.ctx, h.store, h.clock); err != nil {
		t.Fatal(err)
	}
	if a, err = h.node(theirs); err != nil {
		t.Fatal(err)
	}
	_, err = a.Admit(h.ctx, byToken("anna", goodPassword, "salt", home))
	h.wantKind(err, tutti.KindUnauthorised, "a token under a new key")
	if m := tutti.Message(err); !strings.Contains(m, "replaced on 2024-02-29") {
		t.Errorf("the user is told %q", m)
	}
	if _, err := a.SignIn(h.ctx, byPassword("anna", goodPassword, home), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Admit(h.ctx, byToken("anna", goodPassword, "salt", home)); err != nil {
		t.Errorf("a token after signing in: %v", err)
	}
}

// TestFirstNodes: of two nodes with key files of their own that start on an empty store, one may go on.
func TestFirstNodes(t *testing.T) {
	h := newHouse(t)
	if err := h.store.Delete(h.ctx, keyNoteKey, store.Always); err != nil {
		t.Fatal(err)
	}
	first, second := filepath.Join(t.TempDir(), "key"), filepath.Join(t.TempDir(), "key")
	real, racing := h.store, true
	h.store = storetest.NewFaulty(real, func(c storetest.Call) storetest.Fault {
		if c.Method != "Put" || c.PK != keyNoteKey.PK || !racing {
			return storetest.Fault{}
		}
		racing = false
		return storetest.Fault{Before: func() {
			if _, err := h.node(second); err != nil {
				t.Error(err)
			}
		}}
	})
	_, err := h.node(first)
	h.wantKind(err, tutti.KindInvalid, "the one that came too late")
	if _, err := h.node(second); err != nil {
		t.Error(err)
	}
}

// everyForm is anna's ways in.
func everyForm(h *house, u tutti.User) map[string]tutti.Credentials {
	h.Helper()
	_, key, err := h.CreateAppKey(h.ctx, u.ID, "phone")
	if err != nil {
		h.Fatal(err)
	}
	s, err := h.SignIn(h.ctx, byPassword(u.Name, goodPassword, home), "")
	if err != nil {
		h.Fatal(err)
	}
	return map[string]tutti.Credentials{
		"password": byPassword(u.Name, goodPassword, home), "token": byToken(u.Name, goodPassword, "salt", home),
		"app key": {AppKey: key, From: home}, "session": {Session: s.Secret, From: home},
	}
}

// TestPlaysOnWithoutStore: while the store is away, those who were let in lately are, for five minutes, at nobody's
// cost; nothing else happens.
func TestPlaysOnWithoutStore(t *testing.T) {
	h := newHouse(t)
	anna := h.create("anna", tutti.RoleAdmin)
	bert := h.create("bert")
	annas, berts := everyForm(h, anna), everyForm(h, bert)
	var fault storetest.Fault
	h.trouble(&fault)
	faulty := h.store.(*storetest.Faulty)
	for what, c := range annas {
		if err := h.mayEnter(c); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	fault.Err = storetest.Throttled()
	for minute := range 5 {
		h.clock.Advance(time.Minute - time.Second)
		before := faulty.Calls("Get") + faulty.Calls("Put")
		for range 100 {
			for what, c := range annas {
				if err := h.mayEnter(c); err != nil {
					t.Fatalf("%s, %d minutes later: %v", what, minute+1, err)
				}
			}
		}
		// Users, keys and sessions find out for themselves, once a second.
		if n := faulty.Calls("Get") + faulty.Calls("Put") - before; n > 3 {
			t.Errorf("400 admissions asked a store that is away %d times", n)
		}
	}
	h.wantKind(h.mayEnter(byPassword("anna", "wrong password", elsewhere)), tutti.KindUnauthorised, "a wrong password")
	for what, c := range berts {
		h.wantKind(h.mayEnter(c), tutti.KindUnavailable, what+" of one who has not been here")
	}
	_, err := h.SignIn(h.ctx, annas["password"], "")
	h.wantKind(err, tutti.KindUnavailable, "signing in")
	h.wantKind(h.SetPassword(h.ctx, "bert", "battery staple"), tutti.KindUnavailable, "changing")
	_, _, err = h.CreateAppKey(h.ctx, anna.ID, "tablet")
	h.wantKind(err, tutti.KindUnavailable, "a new key")
	h.clock.Advance(10 * time.Second)
	for what, c := range annas {
		h.wantKind(h.mayEnter(c), tutti.KindUnavailable, what+" after five minutes")
	}
	fault.Err = nil
	h.clock.Advance(awayFor)
	for what, c := range annas {
		if err := h.mayEnter(c); err != nil {
			t.Errorf("%s, when the store is back: %v", what, err)
		}
	}
}

// TestShownOutStaysOut: who is known to have been shown out is not let in from memory.
func TestShownOutStaysOut(t *testing.T) {
	for what, out := range map[string]func(h *house, a *Accounts, u tutti.User, fault *storetest.Fault){
		"by another node, as was seen": func(h *house, a *Accounts, u tutti.User, _ *storetest.Fault) {
			if err := h.another().DeleteUser(h.ctx, u.Name); err != nil {
				h.Fatal(err)
			}
		},
		"here, with the answer lost": func(h *house, a *Accounts, u tutti.User, fault *storetest.Fault) {
			fault.Lost = storetest.Throttled()
			h.wantKind(a.DeleteUser(h.ctx, u.Name), tutti.KindUnavailable, "deleting")
			fault.Lost = nil
		},
		"here, and perhaps not": func(h *house, a *Accounts, u tutti.User, fault *storetest.Fault) {
			fault.Err = storetest.Throttled()
			for _, it := range []error{a.RevokeAppKey(h.ctx, u.ID, "00000000"), a.SetPassword(h.ctx, u.Name, "battery staple")} {
				h.wantKind(it, tutti.KindUnavailable, "a change")
			}
			fault.Err = nil
			if err := a.DeleteUser(h.ctx, u.Name); err != nil {
				h.Fatal(err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			h := newHouse(t)
			u := h.create("anna")
			h.create("root", tutti.RoleAdmin)
			forms := everyForm(h, u)
			plain := h.store
			var fault storetest.Fault
			h.store = storetest.NewFaulty(plain, func(c storetest.Call) storetest.Fault {
				if fault.Lost != nil && c.Method != "Delete" {
					return storetest.Fault{}
				}
				return fault
			})
			a := h.another()
			h.store = plain
			for _, c := range forms {
				if _, err := a.Admit(h.ctx, c); err != nil {
					t.Fatal(err)
				}
			}
			out(h, a, u, &fault)
			h.clock.Advance(freshFor)
			for what, c := range forms {
				_, err := a.Admit(h.ctx, c)
				if err == nil {
					t.Errorf("%s: let in after being shown out", what)
				}
			}
			fault.Err = storetest.Throttled()
			for range 3 {
				h.clock.Advance(2 * time.Second)
				for what, c := range forms {
					if _, err := a.Admit(h.ctx, c); err == nil {
						t.Errorf("%s: let in from memory after being shown out", what)
					}
				}
			}
		})
	}
}

// TestSeenEverywhere: what one node changes holds at the others a second later.
func TestSeenEverywhere(t *testing.T) {
	h := newHouse(t)
	u := h.create("anna", tutti.RoleStream)
	h.create("root", tutti.RoleAdmin)
	forms := everyForm(h, u)
	there := h.colleague()
	admit := func(what string) (tutti.User, error) {
		t.Helper()
		return there.Admit(h.ctx, forms[what])
	}
	for what := range forms {
		if got, err := admit(what); err != nil || got.Has(tutti.RoleShare) {
			t.Fatalf("%s: %+v, %v", what, got, err)
		}
	}
	u.Roles = []tutti.Role{tutti.RoleShare}
	if _, err := h.UpdateUser(h.ctx, u); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(freshFor)
	for what := range forms {
		if got, err := admit(what); err != nil || !got.Has(tutti.RoleShare) || got.Has(tutti.RoleStream) {
			t.Errorf("%s: a second later the roles are %v, %v", what, got.Roles, err)
		}
	}
	keys, err := h.AppKeys(h.ctx, u.ID)
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	if err := h.RevokeAppKey(h.ctx, u.ID, keys[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := h.SignOut(h.ctx, forms["session"].Session); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(freshFor)
	for _, what := range []string{"app key", "session"} {
		_, err := admit(what)
		h.wantKind(err, tutti.KindUnauthorised, what+" that was revoked")
	}
	if err := h.SetPassword(h.ctx, "anna", "battery staple"); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(freshFor)
	for _, what := range []string{"password", "token"} {
		_, err := admit(what)
		h.wantKind(err, tutti.KindUnauthorised, what+" that was changed")
	}
}

// hanging is a store that does not answer.
type hanging struct {
	store.Store
	hang  bool
	waits chan struct{} // gets one for each Get that hangs
}

func (s *hanging) Get(ctx context.Context, k store.Key) (store.Item, error) {
	if !s.hang {
		return s.Store.Get(ctx, k)
	}
	s.waits <- struct{}{}
	<-ctx.Done()
	return store.Item{}, tutti.Wrap(tutti.KindUnavailable, "hanging", ctx.Err())
}

// TestSilentStore: a store that does not answer is waited for once, briefly, by one.
func TestSilentStore(t *testing.T) {
	h := newHouse(t)
	h.create("anna")
	s := &hanging{Store: h.store, waits: make(chan struct{}, 100)}
	h.store = s
	a := h.another()
	c := byPassword("anna", goodPassword, home)
	if _, err := a.Admit(h.ctx, c); err != nil {
		t.Fatal(err)
	}
	s.hang = true
	h.clock.Advance(time.Minute)
	if _, err := a.Admit(h.ctx, c); err != nil { // waits for patience
		t.Fatal(err)
	}
	h.clock.Advance(awayFor)
	found := make(chan error)
	go func() { // finds out whether it is back
		_, err := a.Admit(h.ctx, c)
		found <- err
	}()
	<-s.waits
	<-s.waits
	for range 50 { // and meanwhile nobody else waits
		if _, err := a.Admit(h.ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.waits); n != 0 {
		t.Errorf("%d others asked a store that does not answer", n)
	}
	if err := <-found; err != nil {
		t.Fatal(err)
	}
	// Who leaves while waiting says nothing of the store.
	ctx, cancel := context.WithCancel(h.ctx)
	fresh := h.another
	s.hang = false
	b := fresh()
	if _, err := b.Admit(h.ctx, c); err != nil {
		t.Fatal(err)
	}
	s.hang = true
	h.clock.Advance(time.Minute)
	left := make(chan error)
	go func() {
		_, err := b.Admit(ctx, c)
		left <- err
	}()
	<-s.waits
	cancel()
	if err := <-left; err == nil {
		t.Error("admitted although the caller had left")
	}
	if b.users.away {
		t.Error("the store is taken for away because a caller left")
	}
}

// TestAdmissionsWriteNothing counts what is written for those who come in.
func TestAdmissionsWriteNothing(t *testing.T) {
	h := newHouse(t)
	u := h.create("anna")
	forms := everyForm(h, u)
	faulty := storetest.NewFaulty(h.store, func(storetest.Call) storetest.Fault { return storetest.Fault{} })
	h.store = faulty
	a := h.colleague()
	for range 50 {
		h.clock.Advance(70 * time.Second)
		for what, c := range forms {
			if _, err := a.Admit(h.ctx, c); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
	// 58 minutes: the key was never used, and once; the session is an hour old once.
	if n := faulty.Calls("Put"); n > 2 {
		t.Errorf("200 admissions made %d writes", n)
	}
}

// TestGuessesAtManyNodes: a guesser gains nothing from a balancer that spreads the guesses.
func TestGuessesAtManyNodes(t *testing.T) {
	h := newHouse(t)
	h.create("anna")
	nodes := []*Accounts{h.colleague(), h.colleague(), h.colleague()}
	if _, err := nodes[0].Admit(h.ctx, byPassword("anna", goodPassword, home)); err != nil {
		t.Fatal(err)
	}
	guess := func(i int) tutti.Kind {
		t.Helper()
		_, err := nodes[i%len(nodes)].Admit(h.ctx, byPassword(fmt.Sprint("name", i), "guess "+randomDigits(10), elsewhere))
		if err == nil {
			t.Fatal("a guess got in")
		}
		return tutti.KindOf(err)
	}
	n := 0
	for ; guess(n) == tutti.KindUnauthorised; n++ {
		h.clock.Advance(freshFor)
		if n > 100 {
			t.Fatal("never held up")
		}
	}
	if n != freeFailures+2 { // the first delay is over when the next guess comes
		t.Errorf("%d guesses went through at three nodes, want the %d of one", n, freeFailures+2)
	}
	for i := range nodes {
		if k := guess(i); k != tutti.KindExhausted {
			t.Errorf("node %d: %v", i, k)
		}
		if _, err := nodes[i].Admit(h.ctx, byPassword("anna", goodPassword, home)); err != nil {
			t.Errorf("node %d: a listener at home: %v", i, err)
		}
	}
	// Nobody's address is kept.
	p, err := h.store.Query(h.ctx, nodes[0].ledger.item(network(elsewhere)).PK, "", "", 10)
	if err != nil || len(p.Items) != 1 || p.Items[0].Expires.IsZero() || p.Items[0].Expires.After(h.clock.Now().Add(time.Hour)) {
		t.Fatalf("the ledger has %+v, %v", p.Items, err)
	}
	if it := p.Items[0]; strings.Contains(it.PK+it.SK+string(it.Value), elsewhere.String()) {
		t.Errorf("the ledger keeps an address: %+v", it)
	}
	// Left alone, it is forgotten.
	h.clock.Advance(time.Hour)
	for i := range nodes {
		if k := guess(i); k != tutti.KindUnauthorised {
			t.Errorf("node %d, an hour later: %v", i, k)
		}
	}
}

// TestLedgerIsALimiter compares three nodes, at which guesses arrive in turn and a second apart, with the limiter of one
// process: they must refuse the same ones.
func TestLedgerIsALimiter(t *testing.T) {
	h := newHouse(t)
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		from := addr(round)
		single := newLimiter(h.clock)
		nodes := []*Accounts{h.colleague(), h.colleague(), h.colleague()}
		for i := range rapid.IntRange(1, 30).Draw(rt, "guesses") {
			h.clock.Advance(time.Duration(rapid.IntRange(1, 120).Draw(rt, "seconds")) * time.Second)
			a := nodes[rapid.IntRange(0, 2).Draw(rt, "node")]
			name := fmt.Sprint("name", i)
			at := attempt{addr: network(from), name: single.hash(name), shared: true, guess: single.hash(name)}
			want := tutti.KindUnauthorised
			if single.wait(at) > 0 {
				want = tutti.KindExhausted
			} else {
				single.failed(at)
			}
			_, err := a.Admit(h.ctx, byPassword(name, "guess", from))
			if got := tutti.KindOf(err); got != want {
				rt.Fatalf("guess %d: %v, and one process alone says %v", i, got, want)
			}
		}
	})
}

// TestLedgerInTrouble: without the store each node counts alone, and the writes are bounded.
func TestLedgerInTrouble(t *testing.T) {
	h := newHouse(t)
	h.create("anna")
	var fault storetest.Fault
	faulty := storetest.NewFaulty(h.store, func(c storetest.Call) storetest.Fault {
		if strings.HasPrefix(c.PK, "accounts/failures/") {
			return fault
		}
		return storetest.Fault{}
	})
	h.store = faulty
	a := h.colleague()
	fault.Err = storetest.Throttled()
	n := 0
	for ; ; n++ {
		_, err := a.Admit(h.ctx, byPassword(fmt.Sprint("name", n), "guess", elsewhere))
		if tutti.IsKind(err, tutti.KindExhausted) {
			break
		}
		h.wantKind(err, tutti.KindUnauthorised, "a guess")
	}
	if n != freeFailures+1 {
		t.Errorf("%d guesses went through without the store", n)
	}
	if _, err := a.Admit(h.ctx, byPassword("anna", goodPassword, home)); err != nil {
		t.Errorf("a listener: %v", err)
	}
	fault.Err = nil
	before := faulty.Calls("Put")
	for i := range 3 * ledgerBurst {
		_, err := a.Admit(h.ctx, byPassword(fmt.Sprint("name", i), "guess", addr(i)))
		h.wantKind(err, tutti.KindUnauthorised, "a guess")
	}
	if got := faulty.Calls("Put") - before; got > ledgerBurst {
		t.Errorf("a crowd made %d writes in a moment", got)
	}
}
