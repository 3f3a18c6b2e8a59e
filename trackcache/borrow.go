package trackcache

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
	"tutti/store/lease"
)

// borrower has the other members of a fleet make what they own. A transcode is made by the first owner of its chunk 0,
// and the other members, the second owner among them, read along with it, from the first byte. Where the first owner does
// not answer, one of the others makes it, by lease, and the rest read along with that one.
type borrower struct {
	fleet tutti.Fleet
	peer  func(tutti.Member) tutti.RangeSource
	store store.Store
	clock clock.Clock
	late  *Suspects
}

// leaseToMake is how long others ask the holder rather than make the same thing; most transcodes are done by then.
const leaseToMake = time.Minute

// whole is the chunk by which it is decided who owns an object of unknown size.
func whole(r tutti.Ref) tutti.ChunkID { return tutti.ChunkID{Object: r.ID()} }

// from returns the member that makes r; ok is false where that is this one.
func (w *borrower) from(r tutti.Ref) (m tutti.Member, ok bool) {
	if w == nil {
		return m, false
	}
	owners := w.fleet.Owners(whole(r), 1)
	if len(owners) == 0 || owners[0].ID == w.fleet.Self().ID {
		return m, false
	}
	return owners[0], true
}

// turn makes this member the one that does something by the name, or returns the member that does it already. It saves
// work and protects nothing: where the store does not answer in time both are nothing, and the caller goes ahead.
type turn struct {
	store store.Store
	clock clock.Clock
	fleet tutti.Fleet
}

func (t turn) take(ctx context.Context, name string, ttl time.Duration) (release func(), other *tutti.Member, err error) {
	release = func() {}
	limited, cancel := within(ctx, t.clock, storeWait)
	defer cancel()
	self := t.fleet.Self().ID
	l, err := lease.Try(limited, lease.Config{Store: t.store, Clock: t.clock, Name: name, Holder: self, TTL: ttl})
	switch {
	case err == nil:
		return func() {
			ctx, cancel := within(context.WithoutCancel(ctx), t.clock, storeWait)
			defer cancel()
			_ = l.Release(ctx) // else it ends by itself
		}, nil, nil
	case !tutti.IsKind(err, tutti.KindConflict):
		return release, nil, err
	}
	holder, _, err := lease.Holder(limited, t.store, name)
	switch {
	case tutti.IsKind(err, tutti.KindNotFound), err == nil && holder == self:
		return release, nil, nil // released since, or left by an earlier process
	case err != nil:
		return release, nil, err
	}
	for _, m := range t.fleet.Members(tutti.ServiceTrackCache) {
		if m.ID == holder {
			return release, &m, nil
		}
	}
	return release, nil, nil // it is gone
}

// lent is another member's Source of what it makes.
type lent struct {
	w *borrower
	m tutti.Member
}

// Open implements tutti.Source. A member that is stopped or cut off is given up after a second and a half, with
// KindUnavailable, and is not asked again for a while; one that is there may take its time.
func (l lent) Open(ctx context.Context, r tutti.Ref) (tutti.Object, error) {
	if l.w.late.suspected(l.m) {
		return nil, errLate
	}
	inner, cancel := context.WithCancelCause(ctx)
	o := &lentObject{l: l, ctx: inner, outer: ctx}
	o.vigil = watch(inner, l.w.clock, cancel, func(ctx context.Context) bool { return l.alive(ctx, r) })
	rc, info, err := l.w.peer(l.m).OpenRange(inner, r, 0, -1, "")
	if err != nil {
		err = o.why(err)
		o.vigil.end()
		return nil, err
	}
	o.rc, o.info = rc, info
	return o, nil
}

// alive reports whether the member answers at all.
func (l lent) alive(ctx context.Context, r tutti.Ref) bool {
	n, ok := l.w.peer(l.m).(tutti.Neighbour)
	if !ok {
		return false
	}
	_, err := n.Held(ctx, r, 0)
	return err == nil || !tutti.IsKind(err, tutti.KindUnavailable)
}

// lentObject is read once, from its beginning to its end.
type lentObject struct {
	l          lent
	rc         io.ReadCloser
	info       tutti.ObjectInfo
	ctx, outer context.Context
	vigil      *vigil
}

// why is err, or errLate where the exchange ended because the member was silent.
func (o *lentObject) why(err error) error {
	if err != nil && o.outer.Err() == nil && errors.Is(context.Cause(o.ctx), errLate) {
		o.l.w.late.note(o.l.m, errLate)
		return errLate
	}
	return err
}

// Read tells the vigil what comes.
func (o *lentObject) Read(p []byte) (int, error) {
	n, err := o.rc.Read(p)
	if n > 0 {
		o.vigil.progress()
	}
	return n, err
}

func (o *lentObject) Size() int64         { return o.info.Size }
func (o *lentObject) ModTime() time.Time  { return o.info.ModTime }
func (o *lentObject) ContentType() string { return o.info.ContentType }

func (o *lentObject) CopyRange(_ context.Context, w io.Writer, off, n int64) (int64, error) {
	if off != 0 || n >= 0 {
		return 0, errOnce
	}
	total, err := io.Copy(w, struct{ io.Reader }{o})
	return total, o.why(err)
}

func (o *lentObject) ReadAt([]byte, int64) (int, error) { return 0, errOnce }

func (o *lentObject) Close() error {
	err := o.rc.Close()
	o.vigil.end()
	return err
}

var errOnce = tutti.Errorf(tutti.KindInvalid, "trackcache: read from another member", "what another member makes is read from its beginning to its end")

// fillShared has another member make the object of r, where that is to, or makes it here. What has come from a member
// that broke off stays: what is made here then is compared with it and goes on where it ends. Encoders make the same of
// the same; where one does not, the fill fails, and nobody gets a mixture.
func (c *Cache) fillShared(ctx context.Context, r tutti.Ref, b *blob) error {
	out := &chunkWriter{c: c, b: b}
	defer func() { _ = out.close() }() // what is still open belongs to a fill that failed
	if !b.lent {                       // set when it began
		return c.fillFrom(ctx, c.source(r), r, b, out)
	}
	m, _ := c.borrower.from(r)
	err := c.fillFrom(ctx, lent{c.borrower, m}, r, b, out)
	if err == nil || ctx.Err() != nil || tutti.IsKind(err, tutti.KindNotFound) {
		return err
	}
	c.log.Debug("another member did not make an object", "member", m.ID, "profile", r.Profile.String(), "err", err)
	release, other := func() {}, (*tutti.Member)(nil)
	if w := c.borrower; w.store != nil {
		release, other, err = turn{w.store, w.clock, w.fleet}.take(ctx, "make#"+r.ID(), leaseToMake)
		if err != nil {
			c.log.Debug("the lease to make an object could not be had", "err", err)
		}
	}
	defer release()
	if other != nil && other.ID != m.ID {
		out.again()
		if err = c.fillFrom(ctx, lent{c.borrower, *other}, r, b, out); err == nil || ctx.Err() != nil {
			return err
		}
	}
	b.note(func() { b.lent = false })
	c.mu.Lock()
	b.scarce = c.crowd != nil
	c.mu.Unlock()
	out.again()
	return c.fillFrom(ctx, c.source(r), r, b, out)
}

// again prepares the writer for the object from its beginning: what it has already is compared.
func (w *chunkWriter) again() { w.same, w.compared = w.b.filledBytes(), 0 }

// compare reports whether p, at off, is what was written there.
func (w *chunkWriter) compare(p []byte, off int64) error {
	have := make([]byte, len(p))
	for done := 0; done < len(p); {
		at := off + int64(done)
		n := min(int64(len(p)-done), tutti.ChunkSize-at%tutti.ChunkSize)
		f, err := os.Open(filepath.Join(w.b.dir, chunkName(at/tutti.ChunkSize)))
		if err != nil {
			return err
		}
		_, err = f.ReadAt(have[done:done+int(n)], at%tutti.ChunkSize)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		done += int(n)
	}
	if !bytes.Equal(have, p) {
		return tutti.Errorf(tutti.KindUnavailable, "trackcache: fill", "the sound was made anew and is not the same; try again")
	}
	return nil
}

func (b *blob) filledBytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.written
}

// Neighbour is what other members may ask of this one: what it makes, and what its origin offers of originals (Chunks).
func (c *Cache) Neighbour() tutti.Neighbour { return cacheNeighbour{c} }

type cacheNeighbour struct{ c *Cache }

// originals is who answers for originals; nil where they are not shared.
func (n cacheNeighbour) originals() tutti.Neighbour {
	if o, ok := n.c.origin.(interface{ Neighbour() tutti.Neighbour }); ok {
		return o.Neighbour()
	}
	return nil
}

var errNotShared = tutti.Errorf(tutti.KindUnavailable, "trackcache: ask a neighbour", "this member does not share that")

func (n cacheNeighbour) OpenRange(ctx context.Context, r tutti.Ref, off, count int64, tag string) (io.ReadCloser, tutti.ObjectInfo, error) {
	const op = "trackcache.OpenRange"
	if r.Profile.Original() {
		if o := n.originals(); o != nil {
			return o.OpenRange(ctx, r, off, count, tag)
		}
		return nil, tutti.ObjectInfo{}, errNotShared
	}
	r, err := n.c.check(ctx, r)
	if err != nil {
		return nil, tutti.ObjectInfo{}, err
	}
	b, err := n.c.acquireFor(r, true, true)
	if err != nil {
		return nil, tutti.ObjectInfo{}, err
	}
	rd := &reader{c: n.c, ref: r, b: b}
	var borrowed bool
	err = b.until(ctx, func() bool {
		borrowed = b.lent && !b.done
		return borrowed || b.written > 0 || b.done || b.err != nil
	})
	if err == nil && borrowed {
		// Two members that wait for each other would wait for ever.
		err = tutti.Errorf(tutti.KindUnavailable, op, "this member has it made by another one")
	}
	if err == nil {
		err = b.ready(ctx, false)
	}
	info := tutti.ObjectInfo{Size: rd.Size(), ModTime: rd.ModTime(), ContentType: rd.ContentType()}
	switch {
	case err != nil:
	case tag != "":
		err = tutti.Errorf(tutti.KindConflict, op, "what is made here has no tag")
	case off < 0 || info.Size >= 0 && off > info.Size:
		err = checkRange(ctx, off, info.Size)
	}
	if err != nil {
		return nil, info, errors.Join(err, rd.Close())
	}
	return &rangeReader{ctx: ctx, o: rd, off: off, left: count}, info, nil
}

func (n cacheNeighbour) Held(ctx context.Context, r tutti.Ref, count int64) ([]byte, error) {
	const op = "trackcache.Held"
	if !r.Profile.Original() { // of what is made here no chunks are lent; the answer says that this member is there
		if count < 0 || count > maxHeld {
			return nil, tutti.Errorf(tutti.KindInvalid, op, "an object of %d chunks", count)
		}
		return make([]byte, (count+7)/8), nil
	}
	if o := n.originals(); o != nil {
		return o.Held(ctx, r, count)
	}
	return nil, errNotShared
}

func (n cacheNeighbour) Warm(ctx context.Context, r tutti.Ref, chunk int64, fetch bool) error {
	if o := n.originals(); o != nil && r.Profile.Original() {
		return o.Warm(ctx, r, chunk, fetch)
	}
	return errNotShared
}
