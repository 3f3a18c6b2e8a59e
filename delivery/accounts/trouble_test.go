package accounts

import (
	"context"
	"errors"
	"testing"
	"time"

	"tutti"
	"tutti/store/storetest"
)

// trouble makes the house's store go wrong as fault says.
func (h *house) trouble(fault *storetest.Fault) {
	h.Helper()
	h.store = storetest.NewFaulty(h.store, func(storetest.Call) storetest.Fault { return *fault })
	h.Accounts = h.another()
}

// TestStoreAway: while the store is away nobody is told that their password is wrong, nobody is held up for it afterwards, and
// those who came in a moment ago go on.
func TestStoreAway(t *testing.T) {
	h := newHouse(t)
	u := h.create("anna", tutti.RoleAdmin)
	_, key, err := h.CreateAppKey(h.ctx, u.ID, "phone")
	if err != nil {
		t.Fatal(err)
	}
	s, err := h.SignIn(h.ctx, byPassword("anna", goodPassword, home), "")
	if err != nil {
		t.Fatal(err)
	}
	var fault storetest.Fault
	h.trouble(&fault)
	forms := map[string]tutti.Credentials{
		"password": byPassword("anna", goodPassword, home), "token": byToken("anna", goodPassword, "salt", home),
		"app key": {AppKey: key, From: home}, "session": {Session: s.Secret, From: home},
	}
	fault.Err = storetest.Throttled()
	for what, c := range forms {
		for range freeFailures + 5 {
			h.wantKind(h.mayEnter(c), tutti.KindUnavailable, what)
		}
	}
	_, err = h.SignIn(h.ctx, byPassword("anna", goodPassword, home), "")
	h.wantKind(err, tutti.KindUnavailable, "sign-in")
	_, err = h.CreateUser(h.ctx, tutti.User{Name: "bert"}, goodPassword)
	h.wantKind(err, tutti.KindUnavailable, "a new user")
	h.wantKind(h.DeleteUser(h.ctx, "anna"), tutti.KindUnavailable, "deleting")
	_, _, err = h.EnsureAdmin(h.ctx, "admin", "")
	h.wantKind(err, tutti.KindUnavailable, "the first admin")
	fault.Err = nil
	for what, c := range forms {
		if err := h.mayEnter(c); err != nil {
			t.Errorf("%s, when the store is back: %v", what, err)
		}
	}
	fault.Err = storetest.Throttled()
	for what, c := range forms {
		if err := h.mayEnter(c); err != nil {
			t.Errorf("%s, a moment later: %v", what, err)
		}
	}
}

// TestLostAnswers: a write that has happened although its answer was lost leaves nothing that a second try cannot mend.
func TestLostAnswers(t *testing.T) {
	h := newHouse(t)
	var fault storetest.Fault
	h.trouble(&fault)
	fault.Lost = storetest.Throttled()
	_, err := h.CreateUser(h.ctx, tutti.User{Name: "anna"}, goodPassword)
	h.wantKind(err, tutti.KindUnavailable, "a new user")
	fault.Lost = nil
	h.create("anna")
	fault.Lost = storetest.Throttled()
	h.wantKind(h.SetPassword(h.ctx, "anna", "battery staple"), tutti.KindUnavailable, "a new password")
	fault.Lost = nil
	if err := h.SetPassword(h.ctx, "anna", "battery staple"); err != nil {
		t.Fatal(err)
	}
	if err := h.mayEnter(byPassword("anna", "battery staple", home)); err != nil {
		t.Fatal(err)
	}
}

// TestReadOnlyDisk: what is only noted (when a session or a key was last used) keeps nobody out when it cannot be written.
func TestReadOnlyDisk(t *testing.T) {
	h := newHouse(t)
	u := h.create("anna")
	_, key, err := h.CreateAppKey(h.ctx, u.ID, "phone")
	if err != nil {
		t.Fatal(err)
	}
	s, err := h.SignIn(h.ctx, byPassword("anna", goodPassword, home), "")
	if err != nil {
		t.Fatal(err)
	}
	full := false
	h.store = storetest.NewFaulty(h.store, func(c storetest.Call) storetest.Fault {
		if full && c.Method == "Put" {
			return storetest.Fault{Err: storetest.Throttled()}
		}
		return storetest.Fault{}
	})
	h.Accounts = h.another()
	full = true
	h.clock.Advance(2 * time.Hour)
	for _, c := range []tutti.Credentials{{AppKey: key, From: home}, {Session: s.Secret, From: home}} {
		if err := h.mayEnter(c); err != nil {
			t.Error(err)
		}
	}
}

// TestChangedMeanwhile has another process change the user between reading and writing.
func TestChangedMeanwhile(t *testing.T) {
	h := newHouse(t)
	h.create("anna")
	other := h.another()
	interfere := 0
	h.store = storetest.NewFaulty(h.store, func(c storetest.Call) storetest.Fault {
		if c.Method != "Put" || c.PK != usersPK || interfere == 0 {
			return storetest.Fault{}
		}
		interfere--
		return storetest.Fault{Before: func() {
			if _, err := other.UpdateUser(h.ctx, tutti.User{Name: "anna", Email: "other@example.org"}); err != nil {
				t.Error(err)
			}
		}}
	})
	h.Accounts = h.another()
	interfere = 3
	if err := h.SetPassword(h.ctx, "anna", "battery staple"); err != nil {
		t.Fatal(err)
	}
	u, err := h.User(h.ctx, "anna")
	if err != nil || u.Email != "other@example.org" {
		t.Fatalf("the other's change is lost: %+v, %v", u, err)
	}
	interfere = 100
	h.wantKind(h.SetPassword(h.ctx, "anna", goodPassword), tutti.KindConflict, "when it never ends")
}

// TestCrowdAtTheDoor: argon2 runs for few at a time, a bounded number wait, and those who give up go.
func TestCrowdAtTheDoor(t *testing.T) {
	h := newHouse(t)
	h.create("anna")
	for range cap(h.hasher.slots) {
		h.hasher.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(h.ctx)
	results := make(chan error)
	for range maxQueued + 10 {
		go func() {
			_, err := h.SignIn(ctx, byPassword("anna", goodPassword, home), "")
			results <- err
		}()
	}
	for range 10 {
		h.wantKind(<-results, tutti.KindExhausted, "more than may wait")
	}
	cancel()
	for range maxQueued {
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("one who gave up: %v", err)
		}
	}
	for range cap(h.hasher.slots) {
		<-h.hasher.slots
	}
	if _, err := h.SignIn(h.ctx, byPassword("anna", goodPassword, home), ""); err != nil {
		t.Fatal(err)
	}
}
