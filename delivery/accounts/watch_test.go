package accounts

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tutti"
	"tutti/store/storetest"
)

// TestWatchSpares: who comes now and then is not asked for anew each time, and a change of somebody else's is no reason to.
func TestWatchSpares(t *testing.T) {
	h := newHouse(t)
	anna, bert := h.create("anna", tutti.RoleStream), h.create("bert", tutti.RoleStream)
	here := h.colleague()
	plain := h.store
	counted := storetest.NewFaulty(plain, func(storetest.Call) storetest.Fault { return storetest.Fault{} })
	h.store = counted
	there := h.colleague()
	forms := everyForm(h, anna)
	reads := func(what string) int {
		t.Helper()
		before := counted.Calls("Get")
		for form, c := range forms {
			if _, err := there.Admit(h.ctx, c); err != nil {
				t.Fatalf("%s, %s: %v", what, form, err)
			}
		}
		return counted.Calls("Get") - before
	}
	if n := reads("first"); n == 0 {
		t.Fatal("nobody was asked for")
	}
	for range 30 {
		h.clock.Advance(freshFor + 100*time.Millisecond)
		if err := there.watch.ask(h.ctx); err != nil {
			t.Fatal(err)
		}
		if n := reads("a second later"); n != 0 {
			t.Fatalf("the store was asked %d times", n)
		}
	}
	bert.Roles = []tutti.Role{tutti.RoleShare}
	if _, err := here.UpdateUser(h.ctx, bert); err != nil {
		t.Fatal(err)
	}
	if err := there.watch.ask(h.ctx); err != nil {
		t.Fatal(err)
	}
	if n := reads("after somebody else's change"); n != 0 {
		t.Errorf("the store was asked %d times", n)
	}
	anna.Roles = bert.Roles
	if _, err := here.UpdateUser(h.ctx, anna); err != nil {
		t.Fatal(err)
	}
	if err := there.watch.ask(h.ctx); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(freshFor)
	if n := reads("after a change"); n == 0 {
		t.Error("the store was not asked")
	}
	// Where announcements cannot be learnt any more, everybody is asked for.
	h.clock.Advance(announcedFor)
	if n := reads("after long"); n == 0 {
		t.Error("the store was not asked")
	}
	h.clock.Advance(freshFor)
	if n := reads("unwatched"); n == 0 {
		t.Error("the store was not asked")
	}
}

// TestNothingIsTakenAwayUnannounced: where the announcement fails, so does the change.
func TestNothingIsTakenAwayUnannounced(t *testing.T) {
	h := newHouse(t)
	h.create("root", tutti.RoleAdmin)
	anna := h.create("anna", tutti.RoleStream)
	h.store = storetest.NewFaulty(h.store, func(c storetest.Call) storetest.Fault {
		if c.PK == changesPK {
			return storetest.Fault{Err: storetest.Throttled()}
		}
		return storetest.Fault{}
	})
	here := h.colleague()
	forms := everyForm(h, anna)
	keys, err := here.AppKeys(h.ctx, anna.ID)
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := here.Sessions(h.ctx, anna.ID)
	if err != nil {
		t.Fatal(err)
	}
	changed := anna
	changed.Roles = nil
	_, updated := here.UpdateUser(h.ctx, changed)
	for what, err := range map[string]error{
		"roles": updated, "password": here.SetPassword(h.ctx, "anna", "battery staple"), "key": here.RevokeAppKey(h.ctx, anna.ID, keys[0].ID),
		"session": here.RevokeSession(h.ctx, anna.ID, sessions[0].ID), "sign out": here.SignOut(h.ctx, forms["session"].Session), "user": here.DeleteUser(h.ctx, "anna"),
	} {
		h.wantKind(err, tutti.KindUnavailable, what)
	}
	for what, c := range forms {
		if u, err := here.Admit(h.ctx, c); err != nil || !u.Has(tutti.RoleStream) {
			t.Errorf("%s: %v, %v", what, u.Roles, err)
		}
	}
}

// TestWatchIsNeverLate: whatever is done when, also between a change's announcement and the change, nobody is let in by
// what was changed more than a second ago.
func TestWatchIsNeverLate(t *testing.T) {
	h := newHouse(t)
	h.create("root", tutti.RoleAdmin)
	u := h.create("anna")
	forms := everyForm(h, u)
	plain := h.store
	var meanwhile func()
	h.store = storetest.NewFaulty(plain, func(c storetest.Call) storetest.Fault {
		if c.Method == "Put" && c.PK == usersPK && meanwhile != nil {
			return storetest.Fault{Before: meanwhile}
		}
		return storetest.Fault{}
	})
	here := h.colleague()
	h.store = plain
	there := h.colleague()
	type state struct {
		bitRate int
		until   time.Time // when the change that ended it was acknowledged
	}
	states := []state{{}}
	next := 0
	spared := 0
	rapid.Check(t, func(rt *rapid.T) {
		pass := func(label string, most time.Duration) {
			h.clock.Advance(time.Duration(rapid.IntRange(0, int(most/time.Millisecond)).Draw(rt, label)) * time.Millisecond)
		}
		look := func() {
			form := rapid.SampledFrom([]string{"app key", "password", "session", "token"}).Draw(rt, "form")
			before := there.watch.begun
			got, err := there.Admit(h.ctx, forms[form])
			if err != nil {
				rt.Fatal(err)
			}
			if before.Equal(there.watch.begun) && h.clock.Now().Sub(before) < freshFor {
				spared++
			}
			i := slices.IndexFunc(states, func(s state) bool { return s.bitRate == got.MaxBitRate })
			if i < 0 {
				if got.MaxBitRate != next { // which is being written
					rt.Fatalf("a bit rate of %d, which never was", got.MaxBitRate)
				}
				return
			}
			if until := states[i].until; !until.IsZero() && h.clock.Now().Sub(until) >= freshFor {
				rt.Fatalf("by %s: let in by what was changed %v ago", form, h.clock.Now().Sub(until))
			}
		}
		step := func() {
			switch rapid.IntRange(0, 2).Draw(rt, "step") {
			case 0:
				pass("a while", 3*time.Second)
			case 1:
				if err := there.watch.ask(h.ctx); err != nil {
					rt.Fatal(err)
				}
			case 2:
				look()
			}
		}
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			for range rapid.IntRange(0, 8).Draw(rt, "before") {
				step()
			}
			if rapid.Bool().Draw(rt, "long") {
				pass("long", 2*time.Minute)
				continue
			}
			next++
			began := h.clock.Now()
			meanwhile = func() {
				for range rapid.IntRange(0, 6).Draw(rt, "meanwhile") {
					if h.clock.Now().Sub(began) < changeWithin-3*time.Second {
						step()
					}
				}
			}
			changed := u
			changed.MaxBitRate = next
			if _, err := here.UpdateUser(h.ctx, changed); err != nil {
				rt.Fatal(err)
			}
			meanwhile = nil
			states[len(states)-1].until = h.clock.Now()
			states = append(states, state{bitRate: next})
		}
	})
	if spared == 0 {
		t.Error("nobody was let in by what was remembered")
	}
}

// TestWatchRests: announcements are asked for while somebody comes, and not else.
func TestWatchRests(t *testing.T) {
	h := newHouse(t)
	anna := h.create("anna")
	counted := storetest.NewFaulty(h.store, func(storetest.Call) storetest.Fault { return storetest.Fault{} })
	h.store = counted
	there := h.colleague()
	forms := everyForm(h, anna)
	ctx, cancel := context.WithCancel(h.ctx)
	ended := make(chan error)
	go func() { ended <- there.Run(ctx) }()
	for range 2 {
		before := counted.Calls("Query")
		if _, err := there.Admit(h.ctx, forms["token"]); err != nil {
			t.Fatal(err)
		}
		asked := 0
		for ; ; asked++ {
			h.clock.WaitForTimers(1)
			if got := counted.Calls("Query") - before; got != asked+1 {
				t.Fatalf("asked %d times where %d were due", got, asked+1)
			}
			h.clock.Advance(watchEvery)
			if asked == int(trustedFor/watchEvery)-1 {
				break
			}
		}
		for there.watch.mu.Lock(); !there.watch.asleep; there.watch.mu.Lock() { // it falls asleep when it next looks
			there.watch.mu.Unlock()
			runtime.Gosched()
		}
		there.watch.mu.Unlock()
		h.clock.Advance(time.Minute)
		if got := counted.Calls("Query") - before; got != asked+1 {
			t.Errorf("asked %d times, %d of them while nobody came", got, got-asked-1)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
