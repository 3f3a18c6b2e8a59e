package catalog

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tutti"
)

// TestManyPlayers: what a report costs does not grow with the number of players.
func TestManyPlayers(t *testing.T) {
	const players = 20_000
	var n nowPlaying
	now := rightTime
	began := time.Now()
	for i := range players {
		now = now.Add(time.Millisecond)
		k := nowKey{tutti.NewID(tutti.PrefixUser, uint64(i)), "p"}
		e := nowEntry{Playing: tutti.Playing{User: k.user, Player: k.player, ReportedAt: now}, until: now.Add(time.Hour)}
		if _, err := n.set("test", k, e, now); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Fatalf("%d reports have taken %v", i+1, took)
		}
	}
	if got := len(n.known(now, false)); got != playingShards*maxPlayingShard {
		t.Errorf("%d of them are looked at for a list", got)
	}
	if got := n.known(now, false)[0].User; got != tutti.NewID(tutti.PrefixUser, players-1) {
		t.Errorf("the latest is %s", got)
	}
	if n.known(now.Add(2*time.Hour), false); len(n.by)+len(n.of)+len(n.ends)+n.latest.Len() != 0 {
		t.Errorf("%d players are remembered when their time is over", len(n.by))
	}
}

// TestPlayersModel compares nowPlaying with a list that is looked through.
func TestPlayersModel(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var n nowPlaying
		model := map[nowKey]nowEntry{}
		now := rightTime
		for step := range 2000 {
			now = now.Add(time.Duration(rng.IntN(1000)) * time.Millisecond)
			for k, e := range model {
				if !e.until.After(now) {
					delete(model, k)
				}
			}
			k := nowKey{tutti.NewID(tutti.PrefixUser, rng.Uint64N(3)), fmt.Sprint(rng.IntN(maxPlayers + 8))}
			e := nowEntry{
				Playing: tutti.Playing{User: k.user, Player: k.player, State: "playing", ReportedAt: now},
				until:   now.Add(time.Duration(rng.IntN(120_000)) * time.Millisecond),
			}
			if rng.IntN(8) == 0 {
				e.State = "stopped"
			}
			former, known := model[k]
			if known && rng.IntN(4) == 0 {
				former.written = now
				n.keep(k, former)
				model[k] = former
				continue
			}
			players := 0
			for other := range model {
				if other.user == k.user {
					players++
				}
			}
			got, err := n.set("test", k, e, now)
			if got.until != former.until || got.written != former.written {
				t.Fatalf("seed %d, step %d: %+v was known instead of %+v", seed, step, got, former)
			}
			switch {
			case e.State == "stopped" || !e.until.After(now):
				delete(model, k)
			case !known && players >= maxPlayers:
				if !tutti.IsKind(err, tutti.KindExhausted) {
					t.Fatalf("seed %d, step %d: %v for one player too many", seed, step, err)
				}
				continue
			default:
				model[k] = e
			}
			if err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, step, err)
			}
		}
		for _, untold := range []bool{false, true} {
			var want []nowEntry
			for _, e := range model {
				if e.until.After(now) && (!untold || e.written.IsZero()) {
					want = append(want, e)
				}
			}
			got := n.known(now, untold)
			if !untold && !slices.IsSortedFunc(got, func(a, b nowEntry) int { return -a.ReportedAt.Compare(b.ReportedAt) }) {
				t.Fatalf("seed %d: not the latest first", seed)
			}
			for _, list := range [][]nowEntry{got, want} {
				slices.SortFunc(list, func(a, b nowEntry) int { return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Player, b.Player)) })
			}
			if !slices.EqualFunc(got, want, func(a, b nowEntry) bool {
				return a.User == b.User && a.Player == b.Player && a.until.Equal(b.until) && a.written.Equal(b.written) && a.ReportedAt.Equal(b.ReportedAt)
			}) {
				t.Fatalf("seed %d: %d players are known instead of %d", seed, len(got), len(want))
			}
		}
		if len(n.of) > 3 || len(n.by) != len(n.ends) || len(n.by) != n.latest.Len() {
			t.Fatalf("seed %d: %d, %d, %d and %d", seed, len(n.by), len(n.of), len(n.ends), n.latest.Len())
		}
	}
}
