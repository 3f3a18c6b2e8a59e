package main

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"sync"
	"time"

	"tutti"
	"tutti/store"
)

// digests keeps the SHA-256 of originals: taken from the file after its first delivery, sent with every later one, so
// that a listener can prove that what arrived is what lies in the folder. They are items of their own in the store,
// written in the background, never at the start of a stream.
type digests struct {
	store  store.Store
	logger *slog.Logger

	mu    sync.Mutex
	known map[tutti.Version][]byte // nil for those that the store does not have
}

// maxDigests bounds how many are held in memory; 64 bytes or so each.
const maxDigests = 100_000

func newDigests(s store.Store, logger *slog.Logger) *digests {
	return &digests{store: s, logger: logger, known: map[tutti.Version][]byte{}}
}

// digestKey spreads the digests over partitions, as a database of several machines has a limit for each.
func digestKey(v tutti.Version) store.Key { return store.Key{PK: "digest#" + string(v), SK: "sha-256"} }

// get returns the digest of a version, nil where it has not been taken yet.
func (d *digests) get(ctx context.Context, v tutti.Version) []byte {
	if v == "" {
		return nil
	}
	d.mu.Lock()
	sum, seen := d.known[v]
	d.mu.Unlock()
	if seen {
		return sum
	}
	item, err := d.store.Get(ctx, digestKey(v))
	switch {
	case tutti.IsKind(err, tutti.KindNotFound):
	case err != nil:
		// The stream goes out without its digest, which is better than not at all.
		d.logger.WarnContext(ctx, "read the digest of an original", "version", v, "err", err)
		return nil
	}
	d.remember(v, item.Value)
	return item.Value
}

func (d *digests) remember(v tutti.Version, sum []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.known) >= maxDigests {
		clear(d.known)
	}
	d.known[v] = sum
}

// wants reports whether an original's digest has still to be taken.
func (d *digests) wants(r tutti.Ref) bool { return d.get(context.Background(), r.Version) == nil }

// put keeps a digest.
func (d *digests) put(ctx context.Context, r tutti.Ref, sum [sha256.Size]byte) error {
	if _, err := d.store.Put(ctx, digestKey(r.Version), sum[:], time.Time{}, store.Always); err != nil {
		return tutti.Wrap(tutti.KindUnavailable, "keep the digest of an original", err)
	}
	d.remember(r.Version, sum[:])
	return nil
}
