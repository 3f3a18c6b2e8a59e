package balance

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tutti"
)

var now = time.Unix(1_700_000_000, 0)

type member struct{ health Health }

func (m *member) Health() *Health { return &m.health }

// TestSuspicionGrows: a member that fails again before it answered is avoided for twice as long, up to a limit.
func TestSuspicionGrows(t *testing.T) {
	var h Health
	for i, want := range []time.Duration{1, 2, 4, 4, 4} {
		h.Suspect(now)
		if want *= time.Second; !h.Suspected(now.Add(want-1)) || h.Suspected(now.Add(want)) {
			t.Errorf("failure %d: not avoided for %v", i+1, want)
		}
	}
	h.Answered()
	h.Suspect(now)
	if h.Suspected(now.Add(Suspicion)) {
		t.Error("an answer is not forgotten before")
	}
}

// TestOrders: whatever is known of the members, each order has every one of them once, those who are well first.
func TestOrders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := make([]*member, rapid.IntRange(0, 6).Draw(t, "members"))
		well := 0
		for i := range all {
			all[i] = &member{}
			for range rapid.IntRange(0, 40).Draw(t, "calls") {
				all[i].health.Begin()
			}
			if rapid.Bool().Draw(t, "failed") {
				all[i].health.Suspect(now)
			} else {
				well++
			}
		}
		intN := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "dice") }
		cut := rapid.IntRange(0, len(all)).Draw(t, "owners")
		for name, out := range map[string][]*member{"balanced": Balanced(all, now, intN), "near": Near(all, now)} {
			if len(out) != len(all) {
				t.Fatalf("%s: %d of %d", name, len(out), len(all))
			}
			for i, m := range out {
				if slices.Contains(out[:i], m) || !slices.Contains(all, m) {
					t.Fatalf("%s: one twice, or a stranger", name)
				}
				if crowd := name == "near" && m == all[0]; m.health.Suspected(now) != (i >= well) && !crowd {
					t.Fatalf("%s: who is avoided is not behind", name)
				}
			}
		}
		if out := Owners(all[:cut], all[cut:], now); len(out) != len(all) || cut > 0 && len(out) > 0 && out[0].health.Suspected(now) && well > 0 &&
			slices.ContainsFunc(all[:cut], func(m *member) bool { return !m.health.Suspected(now) }) {
			t.Fatal("an owner that is well is not asked first")
		}
	})
}

// TestHedgesAreRationed: one in twenty, and ten in a row at most.
func TestHedgesAreRationed(t *testing.T) {
	var b HedgeBudget
	if b.Spend() {
		t.Error("a hedge before any call")
	}
	for range 10_000 {
		b.Earn()
	}
	row := 0
	for b.Spend() {
		row++
	}
	if row != hedgeBurst/hedgeShare {
		t.Errorf("%d in a row", row)
	}
	spent := 0
	for range 2000 {
		if b.Earn(); b.Spend() {
			spent++
		}
	}
	if spent != 2000/hedgeShare {
		t.Errorf("%d of 2000 calls", spent)
	}
}

func TestRace(t *testing.T) {
	type failure struct {
		answered bool
		kind     tutti.Kind
		unsent   bool
		want     Next
	}
	away, gone := tutti.KindUnavailable, tutti.KindNotFound
	for name, c := range map[string]struct {
		class    Class
		targets  int
		slow     bool // before the failures
		failures []failure
	}{
		"a read goes on to the next, three at most": {Class{Again: true}, 5, false, []failure{{false, away, false, Ask}, {true, away, false, Ask}, {false, away, false, GiveUp}}},
		"what all would say is final":               {Class{Again: true}, 3, false, []failure{{true, gone, false, Final}}},
		"a write that may have arrived stays":       {Class{}, 3, false, []failure{{false, away, false, GiveUp}}},
		"a write that surely did not goes on":       {Class{}, 2, false, []failure{{false, away, true, Ask}, {false, away, true, GiveUp}}},
		"another version stands alone":              {Class{Again: true, Bytes: true}, 2, false, []failure{{true, tutti.KindConflict, false, Ask}, {true, tutti.KindConflict, false, GiveUp}}},
		"who was hedged is waited for":              {Class{Again: true, Bytes: true}, 2, true, []failure{{false, away, false, Wait}, {false, away, false, GiveUp}}},
	} {
		var b HedgeBudget
		r := NewRace(c.class, c.targets, &b)
		if c.slow && !r.Slow(&b) {
			t.Errorf("%s: nobody else is asked", name)
		}
		for i, f := range c.failures {
			if got := r.Failed(f.answered, f.kind, f.unsent); got != f.want {
				t.Errorf("%s: failure %d leads to %d, want %d", name, i, got, f.want)
			}
		}
	}
	var b HedgeBudget
	if r := NewRace(Class{Hedge: time.Second}, 1, &b); r.Hedge() != 0 {
		t.Error("there is nobody to hedge with")
	}
	if r := NewRace(Class{Hedge: time.Second}, 2, &b); r.Hedge() != time.Second || r.Slow(&b) {
		t.Error("a hedge without a budget")
	}
}
