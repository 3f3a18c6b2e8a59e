package trackcache

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
	"tutti/trackcache/policy"
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
	writes, reads policy.Quota
	away          pause
}

const headRenew = 4 // a head is renewed in the last of so many parts of its life

func newHeads(c ChunksConfig) (*heads, error) {
	p := c.Heads
	if p.When > HeadsAlways || p.TTL < 0 || p.WritesPerSec < 0 || p.ReadsPerSec < 0 || p.WritesPerMonth < 0 || p.ReadsPerMonth < 0 {
		return nil, tutti.Errorf(tutti.KindInvalid, "trackcache.NewChunks", "the limits of heads cannot be negative")
	}
	p = p.WithDefaults()
	h := &heads{policy: p, store: c.Store, fleet: c.Fleet, clock: c.Clock, log: c.Logger}
	p.Budget(&h.reads, &h.writes)
	return h, nil
}

// WithDefaults is the policy with what is zero replaced.
func (p HeadPolicy) WithDefaults() HeadPolicy {
	setDefault(&p.TTL, 30*24*time.Hour)
	for _, d := range []struct {
		v *float64
		d float64
	}{{&p.WritesPerSec, 1000}, {&p.ReadsPerSec, 3000}, {&p.WritesPerMonth, 30e6}, {&p.ReadsPerMonth, 100e6}} {
		if *d.v == 0 {
			*d.v = d.d
		}
	}
	return p
}

// A head is two items, so that its start can go out while the rest is on its way: a database takes an item of 340 KiB whole
// before it sends any of it, and a client before it shows any. headStart is a block of a seal, as no less can be checked.
const headStart = sealBlock

// HeadReadUnits and HeadWriteUnits are what a head costs at most, with the note that it is there.
var (
	HeadReadUnits  = policy.ReadUnits(chunkHeader+headStart) + policy.ReadUnits(headSum+tutti.HeadSize-headStart)
	HeadWriteUnits = policy.WriteUnits(chunkHeader+headStart) + policy.WriteUnits(headSum+tutti.HeadSize-headStart) + 1
)

// Budget sets what one process may spend; of a month's, the share that Take is told.
func (p HeadPolicy) Budget(reads, writes *policy.Quota) {
	reads.PerSecond, reads.PerMonth, reads.Burst = p.ReadsPerSec, p.ReadsPerMonth, HeadReadUnits
	writes.PerSecond, writes.PerMonth, writes.Burst = p.WritesPerSec, p.WritesPerMonth, HeadWriteUnits
}

// Due reports whether the head of what was started so often by listeners is to be in the store.
func (w HeadsWhen) Due(plays uint8) bool {
	switch w {
	case HeadsAlways:
		return plays > 0
	case HeadsSecond:
		return plays > 1
	}
	return false
}

// share is this member's part of what may be spent in a month.
func (h *heads) share() float64 {
	if h.fleet == nil {
		return 1
	}
	return 1 / float64(max(1, len(h.fleet.Members(tutti.ServiceTrackCache))))
}

func (h *heads) on() bool { return h.store != nil && h.policy.When != HeadsNever }

// What says that a head is there, for a unit instead of 87, is a third item, written after the others. (Heads that lie
// under "head#" are of an earlier version, and end by themselves.)
func headKey(object string) store.Key     { return store.Key{PK: "head2#" + object, SK: "start"} }
func headRestKey(object string) store.Key { return store.Key{PK: "head2#" + object, SK: "rest"} }
func headNoteKey(object string) store.Key { return store.Key{PK: "head2#" + object, SK: "note"} }

// headSum is how many bytes the rest begins with: a CRC-32C of the start's header and of what follows, so that it is the
// rest of that start and of no other.
const headSum = 4

// encodeHead makes the items' values of the first bytes of an object; rest is nil where the start is all.
func encodeHead(object string, info tutti.ObjectInfo, data []byte) (begin, rest []byte, err error) {
	start := data[:min(len(data), headStart)]
	header, err := chunkFile{
		id: tutti.ChunkID{Object: object}, info: info, length: int64(len(start)), sum: crc32.Checksum(start, castagnoli),
	}.encode(headMagic)
	if err != nil {
		return nil, nil, err
	}
	begin = append(header, start...)
	if len(data) > len(start) {
		rest = append(make([]byte, headSum), data[len(start):]...)
		binary.BigEndian.PutUint32(rest, restSum(begin, rest))
	}
	return begin, rest, nil
}

// restSum is the sum of a rest after its own place.
func restSum(begin, rest []byte) uint32 {
	return crc32.Update(crc32.Checksum(begin[:chunkHeader], castagnoli), castagnoli, rest[headSum:])
}

// parseHead accepts exactly what encodeHead writes for the start of the object's head.
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

// parseRest accepts exactly what encodeHead writes after a start that parseHead has accepted.
func parseRest(begin []byte, info tutti.ObjectInfo, b []byte) (data []byte, err error) {
	if int64(len(b)) != headSum+min(info.Size, tutti.HeadSize)-headStart || binary.BigEndian.Uint32(b) != restSum(begin, b) {
		return nil, fmt.Errorf("%w: the head's rest", errCorrupt)
	}
	return b[headSum:], nil
}

// fromHead gives a chunk 0 that nobody has the bytes of its head, if there is one. What it cannot do the origin will.
func (c *Chunks) fromHead(ctx context.Context, ch *chunk, seal *askedSeal) {
	h := c.heads
	if !h.on() || h.away.now(h.clock.Now()) {
		return
	}
	if !h.reads.Take(h.clock.Now(), HeadReadUnits, h.share()) {
		h.skipped.Add(1)
		return
	}
	units := 0.0
	defer func() { h.reads.Back(HeadReadUnits - units) }()
	object := ch.id.Object
	begin, ok := h.part(ctx, headKey(object), &units)
	if !ok {
		return
	}
	info, data, err := parseHead(object, begin.Value)
	if err == nil {
		err = c.describe(ch, info)
	}
	if err != nil {
		h.drop(c, object)
		return
	}
	blocks := seal.wait(info)
	ch.unproven = !seal.sure
	add := func(data []byte) bool {
		before := ch.have
		copy(ch.buf[before:], data)
		sound, err := blocks.check(ch, before+len(data))
		if sound > before {
			ch.note(func() { ch.have = sound })
			ch.headed = true
			c.stats.bytesHead.Add(int64(sound - before))
		}
		if err != nil {
			h.drop(c, object)
		}
		return err == nil && sound == before+len(data)
	}
	if !add(data) {
		return
	}
	h.read.Add(1)
	var rest []byte
	if info.Size > headStart {
		item, ok := h.part(ctx, headRestKey(object), &units)
		if !ok {
			return
		}
		rest = item.Value
		if data, err = parseRest(begin.Value, info, rest); err != nil {
			h.drop(c, object)
			return
		}
		if !add(data) {
			return
		}
	}
	if left := begin.Expires.Sub(h.clock.Now()); left < h.policy.TTL/headRenew {
		c.background(c.hints, &h.skipped, func() { h.put(c.ctx, object, begin.Value, rest) })
	}
}

// part reads an item of a head, and adds what that cost.
func (h *heads) part(ctx context.Context, key store.Key, units *float64) (item store.Item, ok bool) {
	within, cancel := within(ctx, h.clock, storeWait)
	defer cancel()
	item, err := h.store.Get(within, key)
	switch {
	case tutti.IsKind(err, tutti.KindNotFound):
		*units++
		h.missed.Add(1)
		return item, false
	case err != nil:
		*units = HeadReadUnits // it may have been read
		if ctx.Err() == nil {
			h.failed.Add(1)
			h.away.begin(h.clock.Now())
			h.log.Debug("a head could not be read", "key", key.PK, "err", err)
		}
		return item, false
	}
	*units += policy.ReadUnits(len(item.Value))
	return item, true
}

// drop removes a head that is not of the object, or not any more, in the background.
func (h *heads) drop(c *Chunks, object string) {
	h.stale.Add(1)
	h.log.Warn("a head in the store is not what it should be and is removed", "object", object)
	c.background(c.hints, &h.skipped, func() {
		ctx, cancel := within(c.ctx, h.clock, hintLimit)
		defer cancel()
		for _, k := range []store.Key{headNoteKey(object), headKey(object), headRestKey(object)} {
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
	id := tutti.ChunkID{Object: r.ID()}
	if !h.on() || !h.policy.When.Due(plays) || c.rank(id) != 0 {
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
	if !h.reads.Take(h.clock.Now(), 1, h.share()) {
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
	begin, rest, err := encodeHead(object, o.info, b.Bytes())
	if err != nil {
		return h.lost(err)
	}
	return h.put(ctx, object, begin, rest)
}

func (h *heads) lost(err error) bool {
	h.failed.Add(1)
	h.log.Debug("a head could not be kept", "err", err)
	return false
}

// put writes a head and the note that it is there.
func (h *heads) put(ctx context.Context, object string, begin, rest []byte) bool {
	if !h.writes.Take(h.clock.Now(), policy.WriteUnits(len(begin))+policy.WriteUnits(len(rest))+1, h.share()) {
		h.skipped.Add(1)
		return false
	}
	expires := h.clock.Now().Add(h.policy.TTL)
	for _, part := range []struct {
		key   store.Key
		value []byte
	}{{headRestKey(object), rest}, {headKey(object), begin}, {headNoteKey(object), []byte{1}}} {
		if part.value == nil {
			continue
		}
		if _, err := h.store.Put(ctx, part.key, part.value, expires, store.Always); err != nil {
			h.away.begin(h.clock.Now())
			return h.lost(err)
		}
	}
	h.written.Add(1)
	return true
}

// pause keeps us from a store that failed: what can do without it does, for a while.
type pause struct{ until atomic.Int64 }

const pauseFor = 5 * time.Second

func (p *pause) begin(now time.Time)    { p.until.Store(now.Add(pauseFor).UnixNano()) }
func (p *pause) now(now time.Time) bool { return now.UnixNano() < p.until.Load() }

var _ io.Reader = (*rangeReader)(nil)
