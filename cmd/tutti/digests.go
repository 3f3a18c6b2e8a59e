package main

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"sync"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
)

// digests keeps the SHA-256 of originals: taken from the file after its first delivery, sent with every later one, so
// that a listener can prove that what arrived is what lies in the folder. They are items of their own in the store,
// written in the background. The start of a stream waits for one no longer than digestWait: it goes out without rather
// than late.
type digests struct {
	store  store.Store
	clock  clock.Clock
	logger *slog.Logger

	mu    sync.Mutex
	known map[tutti.Version]digest
	away  time.Time // until when the store is not asked, because it did not answer
}

// digest is what the store said of a version.
type digest struct {
	sum []byte    // nil: it did not have it
	at  time.Time // when
}

const (
	// maxDigests bounds how many are held in memory; 100 bytes or so each.
	maxDigests = 100_000
	digestWait = 50 * time.Millisecond
	// digestAway is how long a store that did not answer is left alone.
	digestAway = 5 * time.Second
	// digestAnew is how long a missing digest is believed to be missing: another process may have taken it.
	digestAnew = time.Minute
)

func newDigests(s store.Store, c clock.Clock, logger *slog.Logger) *digests {
	return &digests{store: s, clock: c, logger: logger, known: map[tutti.Version]digest{}}
}

// digestKey spreads the digests over partitions, as a database of several machines has a limit for each.
func digestKey(v tutti.Version) store.Key { return store.Key{PK: "digest#" + string(v), SK: "sha-256"} }

// get returns the digest of a version, nil where it has not been taken yet or cannot be had at once.
func (d *digests) get(ctx context.Context, v tutti.Version) []byte {
	if v == "" {
		return nil
	}
	now := d.clock.Now()
	d.mu.Lock()
	have, seen := d.known[v]
	away := now.Before(d.away)
	d.mu.Unlock()
	if seen && (have.sum != nil || now.Sub(have.at) < digestAnew) || away {
		return have.sum
	}
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	defer d.clock.AfterFunc(digestWait, stop).Stop()
	item, err := d.store.Get(waiting, digestKey(v))
	if ctx.Err() != nil {
		return nil // the listener has left, which says nothing about the store
	}
	if err != nil && !tutti.IsKind(err, tutti.KindNotFound) {
		// It is better to go without its digest than to wait. The pause keeps this to a line every digestAway.
		d.logger.WarnContext(ctx, "the digest of an original could not be read in time", "version", v, "err", err)
		d.mu.Lock()
		d.away = now.Add(digestAway)
		d.mu.Unlock()
		return nil
	}
	d.remember(v, digest{item.Value, now})
	return item.Value
}

func (d *digests) remember(v tutti.Version, what digest) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.known) >= maxDigests {
		clear(d.known)
	}
	d.known[v] = what
}

// wants reports whether an original's digest has still to be taken.
func (d *digests) wants(r tutti.Ref) bool { return d.get(context.Background(), r.Version) == nil }

// put keeps a digest.
func (d *digests) put(ctx context.Context, r tutti.Ref, sum [sha256.Size]byte) error {
	if _, err := d.store.Put(ctx, digestKey(r.Version), sum[:], time.Time{}, store.Always); err != nil {
		return tutti.Wrap(tutti.KindUnavailable, "keep the digest of an original", err)
	}
	d.remember(r.Version, digest{sum[:], d.clock.Now()})
	return nil
}
