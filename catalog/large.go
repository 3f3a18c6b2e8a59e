package catalog

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"

	"tutti"
	"tutti/store"
)

// A large item is one that may be larger than the store's: a queue, a playlist. Where it is, its value names a generation
// of parts, which are written first, so that the one write of the item itself makes the whole visible or nothing. A
// generation is deleted by whoever has replaced it, and only then. Those of writers that were killed go when the item is
// next written, after an hour.
//
// An hour by two clocks proves nothing, so whoever deletes what others wrote takes care that it cannot count any more:
// the item is written again as it was. A writer learns the item's version before it writes its first part and names the
// parts on the condition that it is still the same, so one that lives after all is refused, and begins anew.

// The forms of a large item's value: whole, or the name and number of its parts.
const (
	wholeItem = 'w'
	partsItem = 'p'
)

// maxParts bounds a large item: 64 MiB compressed.
const maxParts = maxUnpacked / store.MaxValue

// maxItemTries is how often a large item is written or read again because another node was faster.
const maxItemTries = 8

// inParts names the parts of a large item; the zero value is one without.
type inParts struct {
	generation string
	parts      int
}

// partsOf returns what an item's value says of its parts, and the data of one that has none.
func partsOf(item *store.Item) (p inParts, data []byte, err error) {
	d := decoder{b: item.Value}
	switch d.byte() {
	case wholeItem:
		return p, d.b, nil
	case partsItem:
		p = inParts{generation: d.string(), parts: int(d.uvarint())}
		if p.parts < 0 || p.parts > maxParts {
			d.fail()
		}
		return p, nil, d.err
	}
	return p, nil, tutti.Errorf(tutti.KindInvalid, "catalog: read item", "an item was written by another version of tutti")
}

func largePart(k store.Key, generation string, n int) store.Key {
	return store.Key{PK: "part#" + k.PK, SK: fmt.Sprintf("%s#%s#%04d", k.SK, generation, n)}
}

// newGeneration is a name that nobody else uses and that says when it was made: eight hexadecimal digits of Unix seconds
// and eight of chance.
func newGeneration(now time.Time) (string, error) {
	var random [4]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", err
	}
	return fmt.Sprintf("%08x%s", uint32(now.Unix()), hex.EncodeToString(random[:])), nil
}

// abandoned reports whether a generation is old enough for its writer to have been killed.
func abandoned(generation string, now time.Time) bool {
	if len(generation) < 8 {
		return false
	}
	made, err := strconv.ParseUint(generation[:8], 16, 32)
	return err == nil && now.Sub(time.Unix(int64(made), 0)) > time.Hour
}

// putLarge writes data under k, in parts where it is too large for one item. With store.Always it replaces whatever is
// there.
func (c *Catalog) putLarge(ctx context.Context, k store.Key, data []byte, cond store.Condition) (version uint64, err error) {
	data = c.pack.EncodeAll(data, nil)
	for try := 0; ; try++ {
		former, here, err := c.replaced(ctx, k, cond)
		if err != nil {
			return 0, err
		}
		next, head, err := c.putParts(ctx, k, data)
		if err != nil {
			return 0, err
		}
		version, err := c.store.Put(ctx, k, head, time.Time{}, here)
		if err == nil {
			c.dropParts(ctx, k, former)
			if former.parts+next.parts > 0 {
				version = c.sweepLarge(ctx, k, next.generation, head, version)
			}
			return version, nil
		}
		// Where the answer was lost the item may have been written; its parts stay until that is known for sure.
		if !tutti.IsKind(err, tutti.KindConflict) {
			return 0, err
		}
		c.dropParts(ctx, k, next)
		if cond != store.Always || try == maxItemTries {
			return 0, err
		}
	}
}

// putParts writes the parts of compressed data that is too large for one item, and returns the item's value.
func (c *Catalog) putParts(ctx context.Context, k store.Key, data []byte) (p inParts, head []byte, err error) {
	if len(data)+1 <= store.MaxValue {
		return p, append([]byte{wholeItem}, data...), nil
	}
	if p.generation, err = newGeneration(c.clock.Now()); err != nil {
		return p, nil, tutti.Wrap(tutti.KindInternal, "catalog: write item", err)
	}
	for part := range slices.Chunk(data, store.MaxValue) {
		if _, err := c.store.Put(ctx, largePart(k, p.generation, p.parts), part, time.Time{}, store.Always); err != nil {
			return p, nil, err
		}
		p.parts++
	}
	return p, appendUvarint(appendString([]byte{partsItem}, p.generation), uint64(p.parts)), nil
}

// replaced returns the parts of what is about to be replaced, and the condition that it is just that. The store is not
// asked where there is nothing to replace.
func (c *Catalog) replaced(ctx context.Context, k store.Key, cond store.Condition) (inParts, store.Condition, error) {
	if cond.Absent() {
		return inParts{}, cond, nil
	}
	item, err := c.store.Get(ctx, k)
	if tutti.IsKind(err, tutti.KindNotFound) {
		if cond == store.Always {
			return inParts{}, store.IfAbsent, nil
		}
		return inParts{}, cond, nil
	}
	if err != nil {
		return inParts{}, cond, err
	}
	if v, ok := cond.Version(); ok && v != item.Version {
		return inParts{}, cond, tutti.Errorf(tutti.KindConflict, "catalog: write item", "it was changed elsewhere meanwhile")
	}
	p, _, err := partsOf(&item)
	return p, store.IfVersion(item.Version), err
}

// deleteLarge deletes k with its parts.
func (c *Catalog) deleteLarge(ctx context.Context, k store.Key) error {
	for try := 0; ; try++ {
		former, cond, err := c.replaced(ctx, k, store.Always)
		if err != nil || cond == store.IfAbsent {
			return err // or nothing to delete
		}
		err = c.store.Delete(ctx, k, cond)
		if err == nil {
			c.dropParts(ctx, k, former)
			return nil
		}
		if !tutti.IsKind(err, tutti.KindConflict) || try == maxItemTries {
			return err
		}
	}
}

// dropParts deletes parts that nothing names any more. What fails is swept later: the item itself has been written.
func (c *Catalog) dropParts(ctx context.Context, k store.Key, p inParts) {
	for n := range p.parts {
		if err := c.store.Delete(ctx, largePart(k, p.generation, n), store.Always); err != nil {
			c.log.WarnContext(ctx, "a part of an item that was replaced stays for now", "err", err)
			return
		}
	}
}

// sweepLarge deletes the parts of k that writers who were killed left behind, and returns the item's version. It is
// called by whoever has just written head, with the version that it has.
func (c *Catalog) sweepLarge(ctx context.Context, k store.Key, current string, head []byte, version uint64) uint64 {
	const stay = "parts of items that were never finished stay for now"
	now := c.clock.Now()
	prefix := k.SK + "#"
	var left []store.Key
	for after := ""; ; {
		page, err := c.store.Query(ctx, "part#"+k.PK, prefix, after, 8)
		if err != nil {
			c.log.WarnContext(ctx, stay, "err", err)
			return version
		}
		for _, item := range page.Items {
			generation := item.SK[len(prefix):]
			if i := len(generation) - len("#0000"); i > 0 {
				generation = generation[:i]
			}
			if generation != current && abandoned(generation, now) {
				left = append(left, item.Key)
			}
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if len(left) == 0 {
		return version
	}
	// From here on none of those whose parts were seen can name them.
	again, err := c.store.Put(ctx, k, head, time.Time{}, store.IfVersion(version))
	if err != nil {
		if !tutti.IsKind(err, tutti.KindConflict) { // else it is for whoever was faster
			c.log.WarnContext(ctx, stay, "err", err)
		}
		return version
	}
	for _, part := range left {
		if err := c.store.Delete(ctx, part, store.Always); err != nil {
			c.log.WarnContext(ctx, stay, "err", err)
			break
		}
	}
	return again
}

// openLarge returns the data of a large item, and the item itself: the one given, or the one by which another node
// replaced it while its parts were read. It returns KindNotFound where it was deleted meanwhile.
func (c *Catalog) openLarge(ctx context.Context, item store.Item) ([]byte, store.Item, error) {
	const op = "catalog: read item"
	for try := 0; ; try++ {
		data, err := c.gather(ctx, &item)
		if err == nil {
			raw, err := c.unpack.DecodeAll(data, nil)
			return raw, item, tutti.Wrap(tutti.KindInternal, op, err)
		}
		if !tutti.IsKind(err, tutti.KindNotFound) {
			return nil, item, tutti.Wrap(tutti.KindOf(err), op, err)
		}
		again, err := c.store.Get(ctx, item.Key)
		switch {
		case err != nil:
			return nil, item, tutti.Wrap(tutti.KindOf(err), op, err)
		case again.Version == item.Version:
			return nil, item, tutti.Errorf(tutti.KindInternal, op, "a part of an item is gone; restore a backup")
		case try == maxItemTries:
			return nil, item, tutti.Errorf(tutti.KindUnavailable, op, "an item is being replaced faster than it can be read")
		}
		item = again
	}
}

// gather reads an item's compressed data.
func (c *Catalog) gather(ctx context.Context, item *store.Item) ([]byte, error) {
	p, data, err := partsOf(item)
	if err != nil {
		return nil, err
	}
	for n := range p.parts {
		part, err := c.store.Get(ctx, largePart(item.Key, p.generation, n))
		if err != nil {
			return nil, err
		}
		data = append(data, part.Value...)
	}
	return data, nil
}
