package accounts

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"sync"
	"time"

	"tutti"
	"tutti/store"
)

// ledger is where the processes of a fleet count failed sign-ins together: without it, whoever is spread over ten
// processes by the balancer in front of them could guess ten times as often.
//
// Only what is counted by address is shared: one item a network, named by a keyed hash, so that the store keeps nobody's
// address; written once for each failure that counts, and gone when all is forgiven. Names are counted by each process for
// itself: who has come in under a name from where is known only there, so a shared count would let a stranger, who
// guesses at a name, keep its owner out of every process that the owner has not used yet. The price is that many
// addresses together may try a name once in five minutes in every process.
//
// It costs a successful admission no write, and no read once its name and address are known in the process. Writes are
// bounded; beyond that, and while the store is away, each process counts alone.
type ledger struct {
	a   *Accounts
	key []byte // of the names of items

	mu     sync.Mutex
	writes float64 // that may be made now
	filled time.Time
}

const (
	ledgerRate  = 10 // writes a second
	ledgerBurst = 100
	ledgerTries = 3 // of a write that others get in the way of
)

// entry is a network's item: what its bucket holds.
type entry struct {
	Failures int       `json:"failures"`
	Counted  time.Time `json:"counted"`
	Until    time.Time `json:"until"`
}

func newLedger(a *Accounts, key []byte) *ledger {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("tutti ledger of failures"))
	return &ledger{a: a, key: mac.Sum(nil), writes: ledgerBurst, filled: a.clock.Now()}
}

func (l *ledger) item(addr netip.Prefix) store.Key {
	mac := hmac.New(sha256.New, l.key)
	mac.Write([]byte(addr.String()))
	return store.Key{PK: "accounts/failures/" + hex.EncodeToString(mac.Sum(nil)[:16]), SK: "address"}
}

// ask brings what is counted of a network up to date, if that was not done a moment ago.
func (l *ledger) ask(ctx context.Context, addr netip.Prefix) {
	if !l.a.limiter.due(addr) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := l.read(ctx, addr, 0); err != nil {
		l.a.logger.Debug("failed sign-ins at other nodes are not known", "error", err)
	}
}

// read reads a network's item. more is how many failures are not in it yet.
func (l *ledger) read(ctx context.Context, addr netip.Prefix, more int) error {
	it, err := l.a.store.Get(ctx, l.item(addr))
	var e entry
	switch {
	case tutti.IsKind(err, tutti.KindNotFound):
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(it.Value, &e); err != nil {
			return tutti.Wrap(tutti.KindInternal, "accounts.ledger", err)
		}
	}
	e.Failures += more
	l.a.limiter.learn(addr, e, it.Version)
	return nil
}

// tell writes down a failure that the limiter has just counted against a network.
func (l *ledger) tell(ctx context.Context, addr netip.Prefix) {
	if !l.mayWrite() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := l.write(ctx, addr)
	for try := 1; tutti.IsKind(err, tutti.KindConflict) && try < ledgerTries; try++ {
		// Another process has counted one: with this one that makes one more than it knows of.
		if err = l.read(ctx, addr, 1); err == nil {
			err = l.write(ctx, addr)
		}
	}
	if err != nil {
		l.a.logger.Debug("a failed sign-in is counted at this node alone", "error", err)
	}
}

func (l *ledger) write(ctx context.Context, addr netip.Prefix) error {
	e, version, gone := l.a.limiter.tally(addr)
	value, err := json.Marshal(e)
	if err != nil {
		return tutti.Wrap(tutti.KindInternal, "accounts.ledger", err)
	}
	cond := store.IfAbsent
	if version > 0 {
		cond = store.IfVersion(version)
	}
	version, err = l.a.store.Put(ctx, l.item(addr), value, gone, cond)
	if err == nil {
		l.a.limiter.written(addr, version)
	}
	return err
}

// mayWrite takes one of the writes that may be made.
func (l *ledger) mayWrite() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.a.clock.Now()
	l.writes = min(ledgerBurst, l.writes+ledgerRate*now.Sub(l.filled).Seconds())
	l.filled = now
	if l.writes < 1 {
		return false
	}
	l.writes--
	return true
}

// due reports whether the ledger should be asked about a network, and notes that it is.
func (l *limiter) due(addr netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	b := l.bucket(bucketKey{kind: byAddr, addr: addr}, now)
	if !b.told.IsZero() && now.Sub(b.told) < freshFor {
		return false
	}
	b.told = now // whoever comes meanwhile does not ask as well
	return true
}

// learn takes over what all have counted of a network where that is more than is counted here. The clocks of other
// nodes are not trusted with more than the policy's own delays.
func (l *limiter) learn(addr netip.Prefix, e entry, version uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	b := l.bucket(bucketKey{kind: byAddr, addr: addr}, now)
	b.forgive(now)
	theirs := bucket{failures: max(0, e.Failures), counted: e.Counted}
	if theirs.counted.After(now) {
		theirs.counted = now
	}
	theirs.forgive(now)
	if theirs.failures > b.failures {
		b.failures, b.counted = theirs.failures, theirs.counted
	}
	until := e.Until
	if most := now.Add(maxAddrDelay); until.After(most) {
		until = most
	}
	if until.After(b.until) {
		b.until = until
	}
	b.version, b.told = version, now
}

// tally is what is counted of a network, the version of the ledger's item, and when all will be forgiven.
func (l *limiter) tally(addr netip.Prefix) (e entry, version uint64, gone time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	b := l.bucket(bucketKey{kind: byAddr, addr: addr}, now)
	b.delay(now, maxAddrDelay)
	gone = b.counted.Add(time.Duration(b.failures) * forgiveEvery)
	if b.until.After(gone) {
		gone = b.until
	}
	return entry{Failures: b.failures, Counted: b.counted.UTC(), Until: b.until.UTC()}, b.version, gone
}

func (l *limiter) written(addr netip.Prefix, version uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	b := l.bucket(bucketKey{kind: byAddr, addr: addr}, now)
	b.version, b.told = version, now
}
