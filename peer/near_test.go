package peer

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/peer/balance"
)

// still is a fleet of catalogue members.
type still []tutti.Member

func (f still) Self() tutti.Member                       { return tutti.Member{ID: "self"} }
func (f still) Members(tutti.Service) []tutti.Member     { return f }
func (f still) Owners(tutti.ChunkID, int) []tutti.Member { return nil }

func catalogues(n int) (f still) {
	for i := range n {
		f = append(f, tutti.Member{ID: fmt.Sprintf("host-%d/catalog", i), Address: fmt.Sprintf("10.0.0.%d:4604", 10+i)})
	}
	return f
}

func asking(t *testing.T, k clock.Clock) *Client {
	t.Helper()
	c := NewClient(ClientConfig{Fleet: catalogues(9), Clock: k, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(c.Close)
	return c
}

const people = 10_000

func person(i int) string { return string(tutti.NewID(tutti.PrefixUser, uint64(i))) }

// firsts is which member each person's calls go to.
func firsts(c *Client, members []tutti.Member) (of []string, each map[string]int) {
	each = map[string]int{}
	for i := range people {
		at := c.near(members, person(i))[0].address
		of = append(of, at)
		each[at]++
	}
	return of, each
}

func TestPeopleAreSpreadEvenly(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5, 9} {
		c := asking(t, clock.NewFake(time.Unix(0, 0)))
		of, each := firsts(c, catalogues(n))
		share, worst := float64(people)/float64(n), 0.0
		for _, got := range each {
			worst = max(worst, float64(got)/share)
		}
		t.Logf("%d members: the most asked has %.2f of an equal share", n, worst)
		if len(each) != n || worst > 1.1 {
			t.Errorf("%d members: %v", n, each)
		}
		again, _ := firsts(asking(t, clock.NewFake(time.Unix(9, 0))), catalogues(n))
		for i := range of {
			if of[i] != again[i] {
				t.Fatalf("another process asks %s for a person for whom this one asks %s", again[i], of[i])
			}
		}
	}
}

// TestWhoMovesWhenAMemberLeaves: those who were with it, evenly to the others, and nobody else.
func TestWhoMovesWhenAMemberLeaves(t *testing.T) {
	c := asking(t, clock.NewFake(time.Unix(0, 0)))
	members := catalogues(5)
	before, each := firsts(c, members)
	gone := members[2]
	after, _ := firsts(c, append(members[:2:2], members[3:]...))
	to := map[string]int{}
	for i := range before {
		switch {
		case before[i] == gone.Address:
			to[after[i]]++
		case before[i] != after[i]:
			t.Fatalf("somebody moved from %s to %s, though %s left", before[i], after[i], gone.Address)
		}
	}
	share := float64(each[gone.Address]) / 4
	for at, n := range to {
		if r := float64(n) / share; at == gone.Address || r < 0.8 || r > 1.2 {
			t.Errorf("of %d people %d moved to %s", each[gone.Address], n, at)
		}
	}
	if len(to) != 4 {
		t.Errorf("they moved to %v", to)
	}
}

// TestASuspectIsAskedLast: for whom a silent member comes first the less busy of their next two is asked, and nobody
// else notices.
func TestASuspectIsAskedLast(t *testing.T) {
	k := clock.NewFake(time.Unix(1_700_000_000, 0))
	c := asking(t, k)
	members := catalogues(5)
	before, _ := firsts(c, members)
	silent, busy := c.target(members[0]), c.target(members[1])
	for range 3 { // more than others, and no crowd
		busy.health.Begin()
	}
	c.suspect(silent)
	moved := map[string]bool{}
	for i := range people {
		order := c.near(members, person(i))
		if len(order) != len(members) || order[len(order)-1] != silent {
			t.Fatalf("%d are asked, the silent one not last", len(order))
		}
		if before[i] != silent.address && order[0].address != before[i] {
			t.Fatalf("somebody moved from %s to %s", before[i], order[0].address)
		}
		if before[i] == silent.address {
			moved[order[0].address] = true
		}
	}
	if len(moved) != 3 || moved[busy.address] {
		t.Errorf("they moved to %v; %s has calls under way already", moved, busy.address)
	}
	k.Advance(balance.Suspicion)
	if after, _ := firsts(c, members); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Error("not all went back")
	}
}

// occupy makes a target one with so many calls under way.
func occupy(t *target, calls int64) {
	for t.health.InFlight() < calls {
		t.health.Begin()
	}
	for t.health.InFlight() > calls {
		t.health.End()
	}
}

func TestACrowdedMemberIsNotAskedFirst(t *testing.T) {
	c := asking(t, clock.NewFake(time.Unix(0, 0)))
	members := catalogues(3)
	before, _ := firsts(c, members)
	full := c.target(members[0])
	for _, x := range []struct {
		full, others int64
		crowded      bool
	}{
		{balance.Crowd, 0, false}, // a few calls are no crowd, whatever the others have
		{balance.Crowd + 1, 0, true},
		{40, 20, false},
		{41, 20, true},
		{500, 400, false}, // all have much to do
	} {
		occupy(full, x.full)
		for _, m := range members[1:] {
			occupy(c.target(m), x.others)
		}
		for i := range people {
			order := c.near(members, person(i))
			switch {
			case before[i] != full.address && order[0].address != before[i]:
				t.Fatalf("%+v: somebody moved from %s to %s", x, before[i], order[0].address)
			case before[i] == full.address && (order[0] != full) != x.crowded:
				t.Fatalf("%+v: asked %s", x, order[0].address)
			case before[i] == full.address && x.crowded && order[2] != full:
				t.Fatalf("%+v: the crowded one is not the last resort", x)
			}
		}
	}
}
