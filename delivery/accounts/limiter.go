package accounts

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"tutti/clock"
)

// The policy on failures. A count is of failures beyond those forgiven; each minute forgives one.
const (
	freeFailures  = 10
	firstDelay    = time.Second      // after the first failure beyond the free ones; doubles with each further one
	maxAddrDelay  = 15 * time.Minute // for an address, and for a known pair of name and address
	maxNameDelay  = 5 * time.Minute  // for a name from addresses it is not known from
	forgiveEvery  = time.Minute
	forgetGood    = 30 * 24 * time.Hour
	maxRemembered = 16384 // buckets, of about 100 bytes
)

// limiter slows down guessing. Failures are counted in three kinds of bucket:
//
//   - by address (an IPv6 address by its /64, which is what one customer has), so that one attacker gets nowhere
//     with many names or keys;
//   - by name, so that many attackers get nowhere with one name;
//   - by pair of name and address, for pairs from which a sign-in has succeeded. Such a pair is counted by itself
//     and not held up by the other two: an attacker elsewhere who guesses somebody's name does not lock its owner out, and
//     neither does one who shares the address lock out those who are at home there.
//
// For keys and sessions the name is the credential itself, so that those in use go on working; a guess at one counts
// against its address alone. A guess that repeats the one before it is refused but not counted: it teaches its maker
// nothing, and an app that holds an old password repeats it for days. Everything is kept in memory, bounded, and forgotten
// with the process; what is counted by address is shared with the other processes of a fleet (ledger).
type limiter struct {
	clock clock.Clock
	seed  maphash.Seed

	mu      sync.Mutex
	buckets map[bucketKey]*bucket
}

type bucketKind uint8

const (
	byAddr bucketKind = iota
	byName
	byPair
)

type bucketKey struct {
	kind bucketKind
	name uint64
	addr netip.Prefix
}

type bucket struct {
	failures int
	counted  time.Time // up to when failures were forgiven
	until    time.Time // refused until then
	used     time.Time
	guess    uint64 // the latest
	good     bool   // a pair that has succeeded

	// Of an address, in a fleet:
	version uint64    // of the ledger's item, as last known; 0: there was none
	told    time.Time // when the ledger was last asked
}

// attempt is somebody at the door.
type attempt struct {
	addr   netip.Prefix
	name   uint64 // of what they claim to be
	shared bool   // name is a user's name, which many may guess at, and not a secret by itself
	guess  uint64 // of all they showed
}

func newLimiter(c clock.Clock) *limiter {
	return &limiter{clock: c, seed: maphash.MakeSeed(), buckets: make(map[bucketKey]*bucket)}
}

// network is the part of an address that one customer has.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address: all of those are one
	}
	return p
}

func (l *limiter) hash(parts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seed)
	for _, p := range parts {
		h.WriteString(p)
		h.WriteByte(0xff) // in no UTF-8
	}
	return h.Sum64()
}

func (at attempt) pair() bucketKey { return bucketKey{byPair, at.name, at.addr} }

// good returns the attempt's bucket if it is of a pair that has succeeded.
func (l *limiter) good(at attempt, now time.Time) *bucket {
	b := l.buckets[at.pair()]
	if b == nil || !b.good || now.Sub(b.used) > forgetGood {
		return nil
	}
	return b
}

// keys are the buckets against which an attempt of no known pair counts, with their longest delay.
func (at attempt) keys() map[bucketKey]time.Duration {
	k := map[bucketKey]time.Duration{{kind: byAddr, addr: at.addr}: maxAddrDelay}
	if at.shared {
		k[bucketKey{kind: byName, name: at.name}] = maxNameDelay
	}
	return k
}

// wait returns how long the attempt has to wait, 0 if it may go ahead.
func (l *limiter) wait(at attempt) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	if b := l.good(at, now); b != nil {
		return max(0, b.until.Sub(now))
	}
	var d time.Duration
	for k := range at.keys() {
		if b := l.buckets[k]; b != nil {
			d = max(d, b.until.Sub(now))
		}
	}
	return d
}

// succeeded makes the attempt's pair a known one.
func (l *limiter) succeeded(at attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	b := l.bucket(at.pair(), now)
	b.good, b.failures, b.until, b.used = true, 0, time.Time{}, now
}

// known reports whether the attempt's pair is one that has succeeded.
func (l *limiter) known(at attempt) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.good(at, l.clock.Now()) != nil
}

// failed counts a failure. It reports whether that counts against the address.
func (l *limiter) failed(at attempt) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	if b := l.good(at, now); b != nil {
		b.count(at.guess, now, maxAddrDelay)
		return false
	}
	counted := false
	for k, longest := range at.keys() {
		if l.bucket(k, now).count(at.guess, now, longest) && k.kind == byAddr {
			counted = true
		}
	}
	return counted
}

// count reports whether the failure was one that counts.
func (b *bucket) count(guess uint64, now time.Time, longest time.Duration) bool {
	b.forgive(now)
	b.used = now
	if b.failures > 0 && guess == b.guess {
		return false
	}
	b.guess = guess
	b.failures++
	b.delay(now, longest)
	return true
}

// delay sets how long is refused after the latest failure.
func (b *bucket) delay(now time.Time, longest time.Duration) {
	if over := b.failures - freeFailures; over > 0 {
		b.until = now.Add(min(firstDelay<<min(over-1, 20), longest))
	}
}

func (b *bucket) forgive(now time.Time) {
	if n := int(now.Sub(b.counted) / forgiveEvery); n > 0 {
		b.failures = max(0, b.failures-n)
		b.counted = b.counted.Add(time.Duration(n) * forgiveEvery)
	}
	if b.failures == 0 {
		b.counted = now
	}
}

// bucket returns the bucket of a key, making it, and room for it, if need be.
func (l *limiter) bucket(k bucketKey, now time.Time) *bucket {
	b := l.buckets[k]
	if b == nil {
		if len(l.buckets) >= maxRemembered {
			l.evict(now)
		}
		b = &bucket{counted: now, used: now}
		l.buckets[k] = b
	}
	return b
}

// evict removes the bucket that is missed least among a few: one that holds nobody up now, else the one unused for
// longest. Go's maps are iterated from a random place, so an attacker cannot aim it.
func (l *limiter) evict(now time.Time) {
	const sample = 16
	var victim bucketKey
	var worst *bucket
	n := 0
	for k, b := range l.buckets {
		held := b.until.After(now)
		if worst == nil || (worst.until.After(now) && !held) || (worst.until.After(now) == held && b.used.Before(worst.used)) {
			victim, worst = k, b
		}
		if n++; n == sample {
			break
		}
	}
	delete(l.buckets, victim)
}
