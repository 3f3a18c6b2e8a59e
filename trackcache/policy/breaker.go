package policy

import (
	"slices"
	"time"
)

// Breaker says whether the storage of a library is to be left alone (a circuit breaker: M. Nygard, "Release It!", 2nd ed.,
// §5.2). It is closed until several reads in a row failed, of more than one object: one object that cannot be read is not a
// storage that is away, so a witness is asked for first, an object that could be read lately. While it is open nobody
// reads but a prober, which asks for one object after another, each in its turn, until the storage answers.
//
// K names an object. A Breaker knows no time and no lock: whoever has it says what happened, and waits as told. The zero
// value is closed.
type Breaker[K comparable] struct {
	failed  int // reads in a row
	bad     []K // what failed since the last answer, the newest last
	good    []K // what was read lately, the newest last
	open    bool
	doubted bool // doubt is asked for, to know whether the storage is away
	doubt   K
	probing bool          // a prober is at work
	wait    time.Duration // before the next probe
	asked   []K           // what was wanted while it was open, the newest last
	turn    int           // of the probes, among what they may ask for
}

const (
	// TripAfter is how many reads fail in a row before there is doubt: one may be chance, and a listener waits for each.
	TripAfter = 3
	// ProbeMin and ProbeMax are the shortest and the longest pause between two probes: what is down for long is found
	// again within the longest.
	ProbeMin = 500 * time.Millisecond
	ProbeMax = 2 * time.Second

	maxKnown = 4 // keys in each list of a breaker
)

// known puts k at the end of a list of keys.
func known[K comparable](keys []K, k K) []K {
	if i := slices.Index(keys, k); i >= 0 {
		keys = slices.Delete(keys, i, i+1)
	} else if len(keys) == maxKnown {
		keys = slices.Delete(keys, 0, 1)
	}
	return append(keys, k)
}

// Open reports whether the storage is known to be away.
func (b *Breaker[K]) Open() bool { return b.open }

// Wanted notes that k was refused because the breaker is open, so that a probe asks for it.
func (b *Breaker[K]) Wanted(k K) {
	if b.open && !slices.Contains(b.good, k) && !slices.Contains(b.bad, k) {
		b.asked = known(b.asked, k)
	}
}

// Answered notes that the storage answered when it was asked for k, and whether k was read; else it said that it has no
// such thing. It reports whether that closed the breaker.
func (b *Breaker[K]) Answered(k K, read bool) (closed bool) {
	closed = b.open
	if read {
		b.good = known(b.good, k)
	}
	*b = Breaker[K]{good: b.good, probing: b.probing}
	return closed
}

// Failed notes that k could not be read. It reports whether that opened the breaker, and whether a prober has to begin: one
// that goes by Probe until there is nothing more to ask for.
func (b *Breaker[K]) Failed(k K) (opened, probe bool) {
	if b.open {
		return false, false // a probe, or a read that began before: the prober has enough to ask for
	}
	b.failed++
	b.bad = known(b.bad, k)
	w, ok := b.witness()
	switch {
	case b.failed < TripAfter || b.doubted && k != b.doubt:
		return false, false
	case !b.doubted && ok:
		b.doubted, b.doubt = true, w
	case b.doubted || len(b.bad) > 1: // the witness failed too, or there is none
		b.open, b.doubted, b.wait, opened = true, false, ProbeMin, true
	default:
		return false, false
	}
	probe = !b.probing
	b.probing = true
	return opened, probe
}

// Probe returns what a prober has to ask for next, and after how long; ok is false where there is nothing any more, and its
// work is done.
func (b *Breaker[K]) Probe() (k K, wait time.Duration, ok bool) {
	switch {
	case b.open:
		wait = b.wait
		b.wait = min(2*b.wait, ProbeMax)
		return b.candidate(), wait, true
	case b.doubted:
		return b.doubt, 0, true
	}
	b.probing = false
	return k, 0, false
}

// witness returns the newest of what could be read lately and has not failed since.
func (b *Breaker[K]) witness() (k K, ok bool) {
	for _, k := range slices.Backward(b.good) {
		if !slices.Contains(b.bad, k) {
			return k, true
		}
	}
	return k, false
}

// candidate returns what the next probe is to ask for: each in its turn, so that none that cannot be read hides that the
// others can.
func (b *Breaker[K]) candidate() K {
	all := slices.Concat(b.good, b.bad, b.asked)
	slices.Reverse(all[:len(b.good)])
	k := all[b.turn%len(all)]
	b.turn++
	return k
}
