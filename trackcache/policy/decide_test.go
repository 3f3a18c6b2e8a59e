package policy

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestBreakerNeedsTwoWitnesses: one object that cannot be read never opens a breaker, two in a row do, and then the prober
// asks for each in its turn until one is answered.
func TestBreakerNeedsTwoWitnesses(t *testing.T) {
	var b Breaker[string]
	for range 10 {
		if opened, probe := b.Failed("bad"); opened || probe {
			t.Fatal("one object that cannot be read took the storage away")
		}
	}
	opened, probe := b.Failed("worse")
	if !opened || !probe || !b.Open() {
		t.Fatalf("two that cannot be read: opened %v, probe %v", opened, probe)
	}
	b.Wanted("new")
	var asked []string
	var waits []time.Duration
	for range 4 {
		k, wait, ok := b.Probe()
		if !ok {
			t.Fatal("nothing to probe for while it is open")
		}
		asked, waits = append(asked, k), append(waits, wait)
		if opened, again := b.Failed(k); opened || again {
			t.Fatalf("a failed probe: opened %v, another prober %v", opened, again)
		}
	}
	for _, k := range []string{"bad", "worse", "new"} {
		if !slices.Contains(asked, k) {
			t.Errorf("asked for %v, and never for %s", asked, k)
		}
	}
	if want := []time.Duration{ProbeMin, 2 * ProbeMin, ProbeMax, ProbeMax}; !slices.Equal(waits, want) {
		t.Errorf("waited %v, want %v", waits, want)
	}
	if !b.Answered("new", true) || b.Open() {
		t.Error("an answer does not close it")
	}
	if _, _, ok := b.Probe(); ok {
		t.Error("something to probe for while it is closed")
	}
}

// TestBreakerAsksItsWitness: where something could be read before, that is asked for before the storage is taken for away.
func TestBreakerAsksItsWitness(t *testing.T) {
	for _, answers := range []bool{true, false} {
		var b Breaker[string]
		b.Answered("good", true)
		var probe bool
		for i := range TripAfter {
			if b.Open() {
				t.Fatalf("open after %d failures", i)
			}
			_, probe = b.Failed("bad")
		}
		k, wait, ok := b.Probe()
		if !probe || !ok || k != "good" || wait != 0 {
			t.Fatalf("probe %v: %q after %v, %v", probe, k, wait, ok)
		}
		if answers {
			b.Answered(k, true)
		} else {
			b.Failed(k)
		}
		if b.Open() == answers {
			t.Errorf("the witness answered: %v; open: %v", answers, b.Open())
		}
	}
}

// TestBreakerNeverLosesItsProber: whatever happens, an open or doubted breaker has exactly one prober, and a closed one none
// that would go on.
func TestBreakerNeverLosesItsProber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b Breaker[int]
		probers := 0
		key := rapid.IntRange(0, 5)
		failed := func(k int) {
			if _, probe := b.Failed(k); probe {
				probers++
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"fail":   func(t *rapid.T) { failed(key.Draw(t, "key")) },
			"answer": func(t *rapid.T) { b.Answered(key.Draw(t, "key"), rapid.Bool().Draw(t, "read")) },
			"want":   func(t *rapid.T) { b.Wanted(key.Draw(t, "key")) },
			"probe": func(t *rapid.T) {
				if probers == 0 {
					t.Skip("no prober")
				}
				if k, _, ok := b.Probe(); !ok {
					probers--
				} else if rapid.Bool().Draw(t, "answered") {
					b.Answered(k, true)
				} else {
					failed(k)
				}
			},
			"": func(t *rapid.T) {
				if probers > 1 || b.Open() && probers != 1 {
					t.Fatalf("%d probers, open %v", probers, b.Open())
				}
			},
		})
	})
}

func TestSuspectsAreForgiven(t *testing.T) {
	var s Suspects[int]
	if s.Suspected(1, noon) {
		t.Error("who did nothing is suspected")
	}
	s.Note(1, noon)
	if !s.Suspected(1, noon.Add(SuspectFor-1)) || s.Suspected(1, noon.Add(SuspectFor)) || s.Suspected(2, noon) {
		t.Error("suspected for another time than SuspectFor, or another")
	}
}

func TestSources(t *testing.T) {
	for _, c := range []struct {
		owners, self int
		suspected    []int
		want, ifHeld []int
	}{
		{owners: 2, self: -1, want: []int{0, 1}},
		{owners: 2, self: -1, suspected: []int{0}, want: []int{1}},
		{owners: 2, self: 0, want: []int{1}, ifHeld: []int{1}},
		{owners: 2, self: 1, want: []int{0}},
		{owners: 1, self: 0},
		{owners: 0, self: -1},
	} {
		var asked, held []int
		for i, ifHeld := range Sources(c.owners, c.self, func(i int) bool { return slices.Contains(c.suspected, i) }) {
			asked = append(asked, i)
			if ifHeld {
				held = append(held, i)
			}
		}
		if !slices.Equal(asked, c.want) || !slices.Equal(held, c.ifHeld) {
			t.Errorf("%+v: asks %v, if held %v", c, asked, held)
		}
	}
}

// TestForesightKnowsWhoPlays: who plays from the beginning is foreseen chunk by chunk, from member to member; who leaps is
// announced only, until the chunk after the leap is asked for too; who downloads gets two.
func TestForesightKnowsWhoPlays(t *testing.T) {
	var a, b Foresight[string] // a owns the even chunks, b the odd ones
	at := noon
	for n := range int64(6) {
		own, other := &a, &b
		if n%2 == 1 {
			own, other = &b, &a
		}
		row, reach := own.Heard("x", n, at)
		if !row || reach != 1 {
			t.Fatalf("chunk %d of somebody who plays: row %v, reach %d", n, row, reach)
		}
		if !own.Tell("x", n+1, row, at) || own.Tell("x", n+1, row, at) {
			t.Fatalf("chunk %d is to be told once", n+1)
		}
		other.Expect("x", n+1, at)
		at = at.Add(30 * time.Second)
	}
	var c Foresight[string]
	if row, _ := c.Heard("x", 7, noon); row {
		t.Error("a leap is a row")
	}
	c.Expect("x", 8, noon)
	if row, reach := c.Heard("x", 8, noon.Add(time.Second)); !row || reach != 2 {
		t.Errorf("who downloads: row %v, reach %d", row, reach)
	}
	if row, _ := c.Heard("x", 8, noon.Add(expectFor)); row {
		t.Error("expected for ever")
	}
}

// TestDemand: the second request for a chunk has its other owner told, once, whether it had been got ahead of time or not.
func TestDemand(t *testing.T) {
	type answer struct{ useful, again bool }
	for _, c := range []struct {
		demand Demand
		want   []answer // to each request that finds the chunk
	}{
		{Demand{}, []answer{{false, true}, {false, false}, {false, false}}}, // the first request was the one that fetched it
		{Demand{Ahead: true}, []answer{{true, false}, {false, true}, {false, false}}},
	} {
		d := c.demand
		for i, want := range c.want {
			useful, again := d.Asked()
			if got := (answer{useful, again}); got != want {
				t.Errorf("ahead %v, request %d: %+v, want %+v", c.demand.Ahead, i, got, want)
			}
		}
	}
}

func TestQuota(t *testing.T) {
	q := Quota{PerSecond: 10, PerMonth: 100, Burst: 20}
	at := time.Date(2026, 3, 31, 23, 59, 0, 0, time.UTC)
	if !q.Take(at, 20, 1) || q.Take(at, 1, 1) {
		t.Error("what is saved up is Burst")
	}
	if at = at.Add(time.Second); !q.Take(at, 10, 1) || q.Take(at, 1, 1) {
		t.Error("a second brings PerSecond")
	}
	if at = at.Add(10 * time.Second); q.Take(at, 21, 1) || q.Take(at, 20, 0.4) || !q.Take(at, 20, 0.5) {
		t.Error("a month's share is 50 here, of which 30 were spent")
	}
	q.Back(5)
	if q.Units() != 45 {
		t.Errorf("spent %v", q.Units())
	}
	if at = at.Add(time.Minute); !q.Take(at, 20, 0.5) {
		t.Error("April begins anew")
	}
}
