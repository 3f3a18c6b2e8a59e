// Package lease makes one of many processes the one that does something: the scanner, the maker of a transcode, the
// filler of a chunk. A lease is one item of the store, taken and renewed by conditional writes; there is no other
// coordinator.
//
// # Who may believe what
//
// No two machines need to agree on the time of day. A holder reads its own monotonic clock before it writes, and
// believes that it holds the lease until TTL less a margin of a quarter has passed on that clock. A contender takes the
// lease over when it has seen the item unchanged for a whole TTL on its own clock, counted from when its first reading
// of it had returned. The holder's write came before that reading, so the holder has stopped believing first, as
// long as neither clock runs a quarter faster than the other. (C. Gray, D. Cheriton: "Leases: an efficient fault-tolerant
// mechanism for distributed file cache consistency", SOSP 1989, §2, with time since an observation in place of
// synchronised clocks.)
//
// A process that is stopped by its system between asking Held and doing the work can still do it too late. What may not
// be done by two, rather than merely should not, carries the fence: a number that grows with each holder, for whoever keeps
// the result to refuse what comes with a lower one. The item outlives its holders by a day so that the
// number does not start again; after that the time of day takes its place, so a fence is monotonic unless clocks differ by
// a day.
//
// # What it costs
//
// A holder writes four times a TTL, a contender reads four times a TTL. A process alone with its store needs no lease.
package lease

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
)

const (
	// MaxTTL bounds Config.TTL, and what a contender believes of a holder's.
	MaxTTL = time.Hour
	// minTTL leaves room for four writes to a database elsewhere.
	minTTL = 100 * time.Millisecond
	// marginPart is the part of the TTL by which a holder stops believing early: for clocks that differ in rate, and for
	// work to come to its end.
	marginPart = 4
	// renewPart is how many renewals or readings there are in a TTL. With the margin, two renewals may fail.
	renewPart = 4
	// remember is how long an item outlives its last write, so that the fence goes on from where it was.
	remember = 24 * time.Hour
	// maxHolder bounds Config.Holder in bytes.
	maxHolder = 256
	// maxFence is beyond what counting and the time of day reach in any year; an item with a higher one is not ours.
	maxFence = 1 << 62

	pkPrefix = "lease#"
	sortKey  = "holder"
)

// Config says which lease, and for whom.
type Config struct {
	Store  store.Store
	Clock  clock.Clock
	Name   string        // of the lease, as a store key: up to store.MaxPK less 6 bytes
	Holder string        // who asks, for people to read: 1 to 256 bytes. It grants nothing: two processes of one name exclude each other
	TTL    time.Duration // 100 ms to MaxTTL; how long the lease outlives a holder that was killed
}

func (c Config) key() store.Key { return store.Key{PK: pkPrefix + c.Name, SK: sortKey} }

func (c Config) check(op string) error {
	switch {
	case c.TTL < minTTL || c.TTL > MaxTTL:
		return tutti.Errorf(tutti.KindInvalid, op, "a lease of %v is outside %v to %v", c.TTL, minTTL, MaxTTL)
	case c.Holder == "" || len(c.Holder) > maxHolder:
		return tutti.Errorf(tutti.KindInvalid, op, "a holder's name of %d bytes is outside 1 to %d", len(c.Holder), maxHolder)
	case c.Name == "":
		return tutti.Errorf(tutti.KindInvalid, op, "a lease without a name")
	}
	return store.CheckKey(c.key())
}

// record is the value of a lease's item. A released lease has no Nonce and no Holder.
type record struct {
	Holder string `json:"holder,omitempty"`
	Nonce  string `json:"nonce,omitempty"` // of the claim by which the holder became it
	Fence  uint64 `json:"fence"`
	TTL    int64  `json:"ttl_ms,omitempty"` // what the holder goes by
}

func (r record) free() bool { return r.Nonce == "" }

func (r record) encode() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and numbers
	}
	return b
}

// decode reads an item's value. What cannot be read counts as held by somebody unknown with the given TTL: it is left
// alone for as long as it changes, and taken over when it does not.
func decode(value []byte, ttl time.Duration) record {
	var r record
	if err := json.Unmarshal(value, &r); err != nil || r.Fence > maxFence {
		return record{Nonce: "?", TTL: ttl.Milliseconds()}
	}
	if r.TTL <= 0 || r.TTL > MaxTTL.Milliseconds() {
		r.TTL = ttl.Milliseconds()
	}
	return r
}

// put writes r under the condition. An item that is not written for a day goes.
func put(ctx context.Context, c Config, r record, cond store.Condition) (version uint64, err error) {
	return c.Store.Put(ctx, c.key(), r.encode(), c.Clock.Now().Add(remember+c.TTL), cond)
}

// Holder returns who holds the lease and under which fence. It returns KindNotFound where nobody does. A holder that was
// killed is returned for as long as nobody has taken its place.
func Holder(ctx context.Context, s store.Store, name string) (holder string, fence uint64, err error) {
	const op = "lease.Holder"
	it, err := s.Get(ctx, Config{Name: name}.key())
	if err != nil {
		return "", 0, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	r := decode(it.Value, MaxTTL)
	if r.free() {
		return "", 0, tutti.Errorf(tutti.KindNotFound, op, "nobody holds the lease %q", name)
	}
	return r.Holder, r.Fence, nil
}

// Lease is a lease that was acquired. Its methods may be called from any goroutine.
type Lease struct {
	c     Config
	nonce string
	fence uint64

	writing sync.Mutex // one renewal or release at a time
	version uint64     // of the item as last written or read; guarded by writing

	mu    sync.Mutex
	until time.Time // believed until then
	over  bool      // lost or released
}

// contender is somebody who wants a lease, with what it has seen of it so far.
type contender struct {
	c Config

	nonce string // of the latest claim
	seen  sighting
	since time.Time // when the reading that first showed seen had returned
}

// sighting tells one state of the item from any other: a version may return after the item was forgotten, a nonce not.
type sighting struct {
	version uint64
	nonce   string
}

// try reads the item once and takes the lease if it may. Otherwise it returns KindConflict, and whether the holder has
// shown a sign of life since the call before.
func (n *contender) try(ctx context.Context) (l *Lease, alive bool, err error) {
	const op = "lease.Acquire"
	it, err := n.c.Store.Get(ctx, n.c.key())
	if tutti.IsKind(err, tutti.KindNotFound) {
		l, err = n.claim(ctx, record{}, store.IfAbsent)
		return l, false, err
	}
	if err != nil {
		return nil, false, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	now := n.c.Clock.Now()
	r := decode(it.Value, n.c.TTL)
	if see := (sighting{it.Version, r.Nonce}); see != n.seen {
		alive = n.seen != sighting{}
		n.seen, n.since = see, now
	}
	// The item may be this contender's own, from a claim whose answer was lost. When that was written is not known, so it
	// has to be claimed again.
	if r.free() || r.Nonce == n.nonce || now.Sub(n.since) >= time.Duration(r.TTL)*time.Millisecond {
		l, err = n.claim(ctx, r, store.IfVersion(it.Version))
		return l, false, err
	}
	return nil, alive, tutti.Errorf(tutti.KindConflict, op, "%q is held by %s", n.c.Name, r.Holder)
}

// claim writes this contender over what was there.
func (n *contender) claim(ctx context.Context, old record, cond store.Condition) (*Lease, error) {
	const op = "lease.Acquire"
	// Each claim has its own nonce: an older one of this contender's must not pass for this one, because it was written before
	// now.
	n.nonce = rand.Text()
	now := n.c.Clock.Now()
	r := record{
		Holder: n.c.Holder,
		Nonce:  n.nonce,
		Fence:  max(old.Fence+1, uint64(max(now.UnixMilli(), 0))),
		TTL:    n.c.TTL.Milliseconds(),
	}
	version, err := put(ctx, n.c, r, cond)
	if tutti.IsKind(err, tutti.KindUnavailable) && ctx.Err() == nil { // it may have happened
		it, again := n.c.Store.Get(ctx, n.c.key())
		if again != nil || decode(it.Value, n.c.TTL).Nonce != n.nonce {
			return nil, tutti.Wrap(tutti.KindUnavailable, op, err)
		}
		version, err = it.Version, nil
	}
	if err != nil {
		return nil, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	n.seen = sighting{}
	return &Lease{c: n.c, nonce: n.nonce, fence: r.Fence, version: version, until: now.Add(n.c.believed())}, nil
}

// believed is for how long a holder relies on a write, from before it was made.
func (c Config) believed() time.Duration { return c.TTL - c.TTL/marginPart }

// Acquire takes the lease. It returns KindConflict while another holds it: as soon as that one is seen to renew it,
// else when ctx ends. Where the holder gives no sign of life it is watched for its TTL, and then taken over from; so a call
// takes up to 1.25 TTL, and whoever cannot wait for that gives ctx a shorter end. KindUnavailable is the store's.
func Acquire(ctx context.Context, c Config) (*Lease, error) {
	if err := c.check("lease.Acquire"); err != nil {
		return nil, err
	}
	n := &contender{c: c}
	for {
		l, alive, err := n.try(ctx)
		if err == nil || alive || !tutti.IsKind(err, tutti.KindConflict) {
			return l, err
		}
		if clock.Sleep(ctx, c.Clock, c.TTL/renewPart) != nil {
			return nil, err
		}
	}
}

// Try is Acquire without the waiting: it asks once, and returns KindConflict at once while another holds the lease, alive
// or not. So a holder that died keeps the lease from those who only Try, until somebody Acquires it or it has been
// forgotten, a day later. It is for work that a lease merely saves from being done twice.
func Try(ctx context.Context, c Config) (*Lease, error) {
	if err := c.check("lease.Try"); err != nil {
		return nil, err
	}
	n := &contender{c: c}
	l, _, err := n.try(ctx)
	return l, err
}

// Fence returns the number of this holder. Each later holder's is higher.
func (l *Lease) Fence() uint64 { return l.fence }

// Held reports whether the lease is held: by this process's own clock, and without asking the store. Once it is false it
// stays so.
func (l *Lease) Held() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heldLocked()
}

func (l *Lease) heldLocked() bool {
	if !l.over && !l.c.Clock.Now().Before(l.until) {
		l.over = true
	}
	return !l.over
}

// left is for how long the lease is held without a renewal.
func (l *Lease) left() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until.Sub(l.c.Clock.Now())
}

func (l *Lease) lost(op string) error {
	l.mu.Lock()
	l.over = true
	l.mu.Unlock()
	return tutti.Errorf(tutti.KindConflict, op, "%q is no longer held by %s", l.c.Name, l.c.Holder)
}

// Renew holds the lease for a further TTL. It returns KindConflict when the lease is lost: taken over, released, or too
// late. After KindUnavailable the lease is held for as long as Held says, and the caller tries again.
func (l *Lease) Renew(ctx context.Context) error {
	const op = "lease.Renew"
	l.writing.Lock()
	defer l.writing.Unlock()
	for {
		if !l.Held() {
			return l.lost(op)
		}
		start := l.c.Clock.Now()
		mine := record{Holder: l.c.Holder, Nonce: l.nonce, Fence: l.fence, TTL: l.c.TTL.Milliseconds()}
		version, err := put(ctx, l.c, mine, store.IfVersion(l.version))
		if err == nil {
			l.mu.Lock()
			held := l.heldLocked()
			if held {
				l.until = start.Add(l.c.believed())
			}
			l.mu.Unlock()
			l.version = version
			if !held {
				return l.lost(op)
			}
			return nil
		}
		if !tutti.IsKind(err, tutti.KindConflict) {
			return tutti.Wrap(tutti.KindOf(err), op, err)
		}
		// Another's write, or one of our own whose answer was lost.
		if ours, err := l.reread(ctx, op); err != nil || !ours {
			if err == nil {
				err = l.lost(op)
			}
			return err
		}
	}
}

// reread finds out the item's version and whether it is ours. The caller has l.writing.
func (l *Lease) reread(ctx context.Context, op string) (ours bool, err error) {
	it, err := l.c.Store.Get(ctx, l.c.key())
	if tutti.IsKind(err, tutti.KindNotFound) {
		return false, nil
	}
	if err != nil {
		return false, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	if decode(it.Value, l.c.TTL).Nonce != l.nonce {
		return false, nil
	}
	l.version = it.Version
	return true, nil
}

// Release gives the lease up, so that the next contender need not wait for its TTL. From the call on Held is false, whatever
// Release returns; an error is the store's, and costs the others a TTL. Releasing what was lost is no error.
func (l *Lease) Release(ctx context.Context) error {
	const op = "lease.Release"
	l.mu.Lock()
	l.over = true
	l.mu.Unlock()
	l.writing.Lock()
	defer l.writing.Unlock()
	for {
		_, err := put(ctx, l.c, record{Fence: l.fence}, store.IfVersion(l.version))
		if !tutti.IsKind(err, tutti.KindConflict) {
			return tutti.Wrap(tutti.KindOf(err), op, err)
		}
		if ours, err := l.reread(ctx, op); err != nil || !ours {
			return err
		}
	}
}

// Hold acquires the lease as Acquire does, runs fn while renewing it, and releases it. The context that fn gets ends
// when the lease is lost, before anybody else can have it, and when ctx ends; Hold waits for fn to return. It returns fn's
// error, or KindConflict if the lease was lost before fn was done. That it could not be released is not an error: it costs the
// next holder a TTL.
func Hold(ctx context.Context, c Config, fn func(ctx context.Context, fence uint64) error) error {
	l, err := Acquire(ctx, c)
	if err != nil {
		return err
	}
	out := l.during(ctx, fn)
	if out.lost {
		return l.lost("lease.Hold")
	}
	return out.fn
}

// outcome is what came of work under a lease.
type outcome struct {
	lost               bool // the lease was lost before fn returned
	fn, renew, release error
}

// during runs fn while renewing the lease, and releases it.
func (l *Lease) during(ctx context.Context, fn func(ctx context.Context, fence uint64) error) (out outcome) {
	fnCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	// The timer and not the renewal ends the work: a renewal may hang in the store for longer than the lease lasts.
	end := l.c.Clock.AfterFunc(l.left(), cancel)
	var renewing sync.WaitGroup
	renewing.Go(func() {
		for clock.Sleep(fnCtx, l.c.Clock, l.c.TTL/renewPart) == nil {
			out.renew = l.Renew(fnCtx)
			switch {
			case out.renew == nil:
				end.Reset(l.left())
			case tutti.IsKind(out.renew, tutti.KindConflict):
				cancel()
			}
		}
	})
	out.fn = fn(fnCtx, l.fence)
	out.lost = !l.Held()
	cancel()
	renewing.Wait()
	end.Stop()
	// On shutdown ctx has ended already; the release gets a little longer, so as not to hold up the shutdown for a store that
	// is away.
	releaseCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	limit := l.c.Clock.AfterFunc(l.c.TTL/renewPart, stop)
	defer limit.Stop()
	out.release = l.Release(releaseCtx)
	return out
}

// Keep contends for the lease until ctx ends, and runs fn whenever it is held. The context that fn gets ends when the
// lease is lost, before anybody else can have it, or when ctx ends. When fn returns by itself the lease is released, and
// contended for again a TTL later, so that another may have a turn. Keep returns nil when ctx has ended, fn has returned and
// the lease is released, and KindInvalid for a Config that cannot work. It logs to logger (nil: slog.Default()) what
// the store and fn returned.
func Keep(ctx context.Context, c Config, logger *slog.Logger, fn func(ctx context.Context, fence uint64) error) error {
	if err := c.check("lease.Keep"); err != nil {
		return err
	}
	if logger == nil {
		logger = slog.Default()
	}
	logger = logger.With("lease", c.Name)
	n := &contender{c: c}
	for pause := time.Duration(0); ; {
		if pause > 0 && clock.Sleep(ctx, c.Clock, pause) != nil {
			return nil
		}
		l, _, err := n.try(ctx)
		if ctx.Err() != nil && l == nil {
			return nil
		}
		if err != nil {
			if !tutti.IsKind(err, tutti.KindConflict) {
				logger.Warn("cannot ask for the lease", "error", err)
			}
			pause = c.TTL / renewPart
			continue
		}
		logger.Info("holding the lease", "fence", l.Fence())
		out := l.during(ctx, fn)
		pause = c.TTL
		switch {
		case out.lost:
			pause = c.TTL / renewPart
			logger.Warn("lost the lease", "fence", l.Fence(), "error", out.renew)
		case out.fn != nil && ctx.Err() == nil:
			logger.Error("gave the lease up", "fence", l.Fence(), "error", out.fn)
		}
		if out.release != nil {
			logger.Warn("could not release the lease; it ends by itself", "after", c.TTL, "error", out.release)
		}
	}
}
