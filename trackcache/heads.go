package trackcache

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
)

// HeadsWhen says which objects have their head put into the store.
type HeadsWhen uint8

// The choices.
const (
	HeadsSecond HeadsWhen = iota // what was played twice: most of what is played once is never played again
	HeadsNever
	HeadsAlways // what was played
)

// HeadPolicy says what may be spent on heads: the first tutti.HeadSize bytes of an object, in the store, so that it
// starts at once while the origin is slow. Units are DynamoDB's: a unit of writing is a KB, a unit of consistent reading
// 4 KB ("Read and write operations", DynamoDB developer guide). They are counted from sizes, whatever the store is. What
// would go beyond is left out, and counted.
//
// The limits a second are each process's. Those a month are the fleet's: each member spends an equal share of them. A
// process that starts again begins anew with its share, so a fleet of which each member is started n times in a month may
// spend n times as much.
type HeadPolicy struct {
	When           HeadsWhen
	TTL            time.Duration // 0 is 30 days; a head that is read in the last quarter of it is written anew
	WritesPerSec   float64       // 0 is 1000: three heads a second
	ReadsPerSec    float64       // 0 is 3000: 35 heads a second
	WritesPerMonth float64       // 0 is 30 million: 88,000 heads
	ReadsPerMonth  float64       // 0 is 100 million: 1.1 million heads
}

// heads is the tier of heads. It is never the first hop for what is played often: only a chunk 0 that no member has is
// looked for here.
type heads struct {
	policy HeadPolicy
	store  store.Store
	clock  clock.Clock
	log    *slog.Logger

	read, missed, written, skipped, failed, stale atomic.Int64

	fleet         tutti.Fleet // nil: alone
	writes, reads bucket
	away          pause
}

const headRenew = 4 // a head is renewed in the last of so many parts of its life

func newHeads(c ChunksConfig) (*heads, error) {
	p := c.Heads
	if p.When > HeadsAlways || p.TTL < 0 || p.WritesPerSec < 0 || p.ReadsPerSec < 0 || p.WritesPerMonth < 0 || p.ReadsPerMonth < 0 {
		return nil, tutti.Errorf(tutti.KindInvalid, "trackcache.NewChunks", "the limits of heads cannot be negative")
	}
	setDefault(&p.TTL, 30*24*time.Hour)
	for _, d := range []struct {
		v *float64
		d float64
	}{{&p.WritesPerSec, 1000}, {&p.ReadsPerSec, 3000}, {&p.WritesPerMonth, 30e6}, {&p.ReadsPerMonth, 100e6}} {
		if *d.v == 0 {
			*d.v = d.d
		}
	}
	return &heads{
		policy: p, store: c.Store, fleet: c.Fleet, clock: c.Clock, log: c.Logger,
		writes: bucket{rate: p.WritesPerSec, month: p.WritesPerMonth},
		reads:  bucket{rate: p.ReadsPerSec, month: p.ReadsPerMonth},
	}, nil
}

// share is this member's part of what may be spent in a month.
func (h *heads) share() float64 {
	if h.fleet == nil {
		return 1
	}
	return 1 / float64(max(1, len(h.fleet.Members(tutti.ServiceTrackCache))))
}

func (h *heads) on() bool { return h.store != nil && h.policy.When != HeadsNever }

// A head is one item; what says that it is there, for a unit instead of 86, is another, written after it.
func headKey(object string) store.Key     { return store.Key{PK: "head#" + object, SK: "bytes"} }
func headNoteKey(object string) store.Key { return store.Key{PK: "head#" + object, SK: "note"} }

func writeUnits(n int) float64 { return float64((n + 1023) / 1024) }
func readUnits(n int) float64  { return float64((n + 4095) / 4096) }

// encodeHead makes an item's value of the first bytes of an object.
func encodeHead(object string, info tutti.ObjectInfo, data []byte) ([]byte, error) {
	header, err := chunkFile{
		id: tutti.ChunkID{Object: object}, info: info, length: int64(len(data)), sum: crc32.Checksum(data, castagnoli),
	}.encode(headMagic)
	if err != nil {
		return nil, err
	}
	return append(header, data...), nil
}

// parseHead accepts exactly what encodeHead writes for the object.
func parseHead(object string, b []byte) (info tutti.ObjectInfo, data []byte, err error) {
	if len(b) < chunkHeader {
		return info, nil, fmt.Errorf("%w: a head of %d bytes", errCorrupt, len(b))
	}
	f, err := parseChunkHeader(headMagic, b[:chunkHeader])
	data = b[chunkHeader:]
	switch {
	case err != nil:
		return info, nil, err
	case f.id != tutti.ChunkID{Object: object}:
		return info, nil, fmt.Errorf("%w: the head is of %s", errCorrupt, f.id.Object)
	case int64(len(data)) != f.length || crc32.Checksum(data, castagnoli) != f.sum:
		return info, nil, fmt.Errorf("%w: the head's bytes", errCorrupt)
	}
	return f.info, data, nil
}

// fromHead gives a chunk 0 that nobody has the bytes of its head, if there is one. What it cannot do the origin will.
func (c *Chunks) fromHead(ctx context.Context, ch *chunk, seal *askedSeal) {
	h := c.heads
	if !h.on() || h.away.now(h.clock.Now()) {
		return
	}
	most := readUnits(chunkHeader + tutti.HeadSize)
	if !h.reads.take(h.clock.Now(), most, h.share()) {
		h.skipped.Add(1)
		return
	}
	within, cancel := within(ctx, h.clock, storeWait)
	item, err := h.store.Get(within, headKey(ch.id.Object))
	cancel()
	switch {
	case tutti.IsKind(err, tutti.KindNotFound):
		h.reads.back(most - 1)
		h.missed.Add(1)
		return
	case err != nil:
		if ctx.Err() == nil {
			h.failed.Add(1)
			h.away.begin(h.clock.Now())
			h.log.Debug("a head could not be read", "object", ch.id.Object, "err", err)
		}
		return
	}
	h.reads.back(most - readUnits(len(item.Value)))
	info, data, err := parseHead(ch.id.Object, item.Value)
	if err == nil {
		err = c.describe(ch, info)
	}
	if err == nil {
		blocks := seal.wait(info)
		ch.unproven = !seal.sure
		copy(ch.buf, data)
		var sound int
		if sound, err = blocks.check(ch, len(data)); sound > 0 {
			ch.note(func() { ch.have = sound })
			ch.headed = true
			h.read.Add(1)
			c.stats.bytesHead.Add(int64(sound))
		}
	}
	if err != nil {
		h.drop(c, ch.id.Object)
		return
	}
	if left := item.Expires.Sub(h.clock.Now()); left < h.policy.TTL/headRenew {
		c.background(c.hints, &h.skipped, func() { h.put(c.ctx, ch.id.Object, item.Value) })
	}
}

// drop removes a head that is not of the object, or not any more, in the background.
func (h *heads) drop(c *Chunks, object string) {
	h.stale.Add(1)
	h.log.Warn("a head in the store is not what it should be and is removed", "object", object)
	c.background(c.hints, &h.skipped, func() {
		ctx, cancel := within(c.ctx, h.clock, hintLimit)
		defer cancel()
		for _, k := range []store.Key{headNoteKey(object), headKey(object)} {
			if err := h.store.Delete(ctx, k, store.Always); err != nil {
				h.failed.Add(1)
				h.log.Debug("a head could not be removed", "object", object, "err", err)
			}
		}
	})
}

// played puts the head of an object into the store when it has been started so often. Only the first owner of the
// beginning does: it sees all starts, or as many as make no difference.
func (h *heads) played(c *Chunks, r tutti.Ref, plays uint8) {
	due := uint8(2)
	if h.policy.When == HeadsAlways {
		due = 1
	}
	id := tutti.ChunkID{Object: r.ID()}
	if !h.on() || plays < due || c.rank(id) != 0 {
		return
	}
	settled := func(yes bool) (before bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		o := c.object(id.Object)
		before, o.head = o.head, yes
		return before
	}
	if settled(true) {
		return
	}
	c.background(c.hints, &h.skipped, func() {
		if !h.write(c, r) {
			settled(false) // the next start tries again
		}
	})
}

// write puts the head of an object into the store unless it is there, and reports whether it is settled.
func (h *heads) write(c *Chunks, r tutti.Ref) bool {
	if h.away.now(h.clock.Now()) {
		h.skipped.Add(1)
		return false
	}
	object := r.ID()
	if !h.reads.take(h.clock.Now(), 1, h.share()) {
		h.skipped.Add(1)
		return false
	}
	ctx, cancel := within(c.ctx, h.clock, 10*time.Second)
	defer cancel()
	note, err := h.store.Get(ctx, headNoteKey(object))
	switch {
	case err == nil && note.Expires.Sub(h.clock.Now()) > h.policy.TTL/headRenew:
		return true
	case err != nil && !tutti.IsKind(err, tutti.KindNotFound):
		return h.lost(err)
	}
	obj, err := c.openAt(ctx, "trackcache: write a head", r, 0, byOurselves)
	if err != nil {
		return h.lost(err)
	}
	o, ok := obj.(*opened)
	if !ok || o.info.Tag == "" || !fits(o.info) {
		return o.Close() == nil // it could not be told whether the head is still the object's
	}
	var b bytes.Buffer
	_, err = o.CopyRange(ctx, &b, 0, tutti.HeadSize)
	if err := o.Close(); err != nil {
		return h.lost(err)
	}
	if err != nil {
		return h.lost(err)
	}
	value, err := encodeHead(object, o.info, b.Bytes())
	if err != nil {
		return h.lost(err)
	}
	return h.put(ctx, object, value)
}

func (h *heads) lost(err error) bool {
	h.failed.Add(1)
	h.log.Debug("a head could not be kept", "err", err)
	return false
}

// put writes a head and the note that it is there.
func (h *heads) put(ctx context.Context, object string, value []byte) bool {
	if !h.writes.take(h.clock.Now(), writeUnits(len(value))+1, h.share()) {
		h.skipped.Add(1)
		return false
	}
	expires := h.clock.Now().Add(h.policy.TTL)
	if _, err := h.store.Put(ctx, headKey(object), value, expires, store.Always); err != nil {
		h.away.begin(h.clock.Now())
		return h.lost(err)
	}
	if _, err := h.store.Put(ctx, headNoteKey(object), []byte{1}, expires, store.Always); err != nil {
		return h.lost(err)
	}
	h.written.Add(1)
	return true
}

// bucket is a quota: so many units a second, of which a second's worth (or one head's) may be saved up, and so many a
// calendar month (UTC), of which this process may spend its share.
type bucket struct {
	rate, month float64

	mu    sync.Mutex
	level float64
	at    time.Time
	spent float64
	in    time.Time // the month
	total float64
}

func (b *bucket) take(now time.Time, n, share float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	most := max(b.rate, writeUnits(store.MaxValue)+1)
	if b.at.IsZero() {
		b.level = most
	} else {
		b.level = min(most, b.level+b.rate*max(0, now.Sub(b.at).Seconds()))
	}
	b.at = now
	if y, m, _ := now.UTC().Date(); b.in.Year() != y || b.in.Month() != m {
		b.in, b.spent = time.Date(y, m, 1, 0, 0, 0, 0, time.UTC), 0
	}
	if n > b.level || b.spent+n > b.month*share {
		return false
	}
	b.level -= n
	b.spent += n
	b.total += n
	return true
}

// back returns what was taken and not used.
func (b *bucket) back(n float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.level += n
	b.spent -= n
	b.total -= n
}

func (b *bucket) units() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total
}

// pause keeps us from a store that failed: what can do without it does, for a while.
type pause struct{ until atomic.Int64 }

const pauseFor = 5 * time.Second

func (p *pause) begin(now time.Time)    { p.until.Store(now.Add(pauseFor).UnixNano()) }
func (p *pause) now(now time.Time) bool { return now.UnixNano() < p.until.Load() }

var _ io.Reader = (*rangeReader)(nil)
