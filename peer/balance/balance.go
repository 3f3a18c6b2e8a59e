// Package balance decides which member of a fleet is asked, in which order, and when another one is asked as well: the order
// of those that may be asked (Order, Balanced, Near, Owners), what is remembered of each (Health), and the course of
// one question (Race). It knows no connections and no clock, so that the client of package peer and the simulation of a
// fleet (bench/sim) run the same code.
package balance

import (
	"cmp"
	"hash/fnv"
	"io"
	"slices"
	"sync/atomic"
	"time"
)

// Health is what a process remembers of a member that it asks. The zero value is of one that is well. It is safe for
// concurrent use.
type Health struct {
	inFlight atomic.Int64
	avoid    atomic.Int64 // until when, in nanoseconds since 1970
	failures atomic.Int32 // in a row
}

// Suspicion is how long a member that failed is avoided: twice as long after each failure without an answer in between, up
// to MaxSuspicion, when the fleet, which takes up to 3 s, must have noticed that it is gone.
const (
	Suspicion    = time.Second
	MaxSuspicion = 4 * time.Second
)

// Begin and End stand around what the member is asked to do.
func (h *Health) Begin() { h.inFlight.Add(1) }

// End: see Begin.
func (h *Health) End() { h.inFlight.Add(-1) }

// InFlight is how many calls of this process are under way.
func (h *Health) InFlight() int64 { return h.inFlight.Load() }

// Answered notes that the member said something: it lives.
func (h *Health) Answered() { h.failures.Store(0) }

// Suspect notes that the member failed, or was silent.
func (h *Health) Suspect(now time.Time) {
	d := min(MaxSuspicion, Suspicion<<min(h.failures.Add(1)-1, 8))
	h.avoid.Store(now.Add(d).UnixNano())
}

// Suspected reports whether the member is avoided.
func (h *Health) Suspected(now time.Time) bool {
	until := h.avoid.Load()
	return until != 0 && now.UnixNano() < until
}

// Target is a member that can be asked.
type Target interface {
	comparable
	Health() *Health
}

// Order puts those who are avoided behind the others, without changing the order otherwise; well is how many are not avoided.
func Order[T Target](targets []T, now time.Time) (ordered []T, well int) {
	ordered = make([]T, 0, len(targets))
	var late []T
	for _, t := range targets {
		if t.Health().Suspected(now) {
			late = append(late, t)
		} else {
			ordered = append(ordered, t)
		}
	}
	return append(ordered, late...), len(ordered)
}

// Balanced orders members by the power of two choices (Mitzenmacher, IEEE TPDS 12(10), 2001): the less busy of two, the
// other one, and the rest. intN draws from [0, n).
func Balanced[T Target](targets []T, now time.Time, intN func(int) int) []T {
	out, well := Order(targets, now)
	if well > 1 {
		i := intN(well)
		out[0], out[i] = out[i], out[0]
		j := 1 + intN(well-1)
		out[1], out[j] = out[j], out[1]
		lessBusyFirst(out)
	}
	return out
}

func lessBusyFirst[T Target](out []T) {
	if out[1].Health().InFlight() < out[0].Health().InFlight() {
		out[0], out[1] = out[1], out[0]
	}
}

// Crowd is how many calls may be under way to one member before it is compared with the others: as many as can come at
// one moment by chance.
const Crowd = 16

// Near orders members for one person, from their rank for that person (Rank). Where the first is avoided, or has more than
// twice as many calls of this process under way as the others on average, the less busy of the person's next two comes first.
func Near[T Target](ranked []T, now time.Time) []T {
	out, well := Order(ranked, now)
	if well == 0 {
		return out
	}
	displaced := out[0] != ranked[0]
	if !displaced && crowded(out[:well]) {
		displaced = true
		copy(out, out[1:well])
		out[well-1] = ranked[0]
		well--
	}
	if displaced && well > 1 {
		lessBusyFirst(out)
	}
	return out
}

// crowded reports whether the first has more than twice as much to do as the others on average.
func crowded[T Target](targets []T) bool {
	n := targets[0].Health().InFlight()
	if n <= Crowd || len(targets) == 1 {
		return false
	}
	var others int64
	for _, t := range targets[1:] {
		others += t.Health().InFlight()
	}
	return n*int64(len(targets)-1) > 2*others
}

// Rank orders members for one person by rendezvous hashing (Thaler and Ravishankar, IEEE/ACM ToN 6(1), 1998), so that every
// process asks the same one, and only those move whose member leaves.
func Rank[M any](members []M, person string, id func(M) string) []M {
	ranked := slices.Clone(members)
	score := make(map[string]uint64, len(members))
	for _, m := range members {
		score[id(m)] = rendezvous(person, id(m))
	}
	slices.SortFunc(ranked, func(a, b M) int {
		return cmp.Or(cmp.Compare(score[id(b)], score[id(a)]), cmp.Compare(id(a), id(b)))
	})
	return ranked
}

// rendezvous is how well a member suits a person: FNV-1a, whose last bytes move its upper bits too little to compare by, and the
// finaliser of MurmurHash3 to mend that.
func rendezvous(person, member string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, person+"\x00"+member) // a hash never fails
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// Owners orders the members of the track cache for a chunk: those that own it, then the others, which come first while all
// owners are avoided.
func Owners[T Target](owners, others []T, now time.Time) []T {
	out, well := Order(owners, now)
	if len(others) == 0 {
		return out
	}
	rest, _ := Order(others, now)
	if well > 0 {
		return append(out, rest...)
	}
	return append(rest, out...)
}

// HedgeBudget lets one call in twenty be asked twice because it takes long, and a few more in a row, so that a fleet that is
// slow as a whole does not get twice as much to do. It is safe for concurrent use.
type HedgeBudget struct{ tokens atomic.Int64 }

const (
	hedgeShare = 20  // calls for each hedge
	hedgeBurst = 200 // in calls: ten hedges
)

// Earn counts a call.
func (b *HedgeBudget) Earn() {
	if b.tokens.Load() < hedgeBurst {
		b.tokens.Add(1)
	}
}

// Spend asks for a hedge.
func (b *HedgeBudget) Spend() bool {
	if b.tokens.Add(-hedgeShare) >= 0 {
		return true
	}
	b.tokens.Add(hedgeShare)
	return false
}
