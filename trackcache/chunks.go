package trackcache

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
	"tutti/trackcache/policy"
)

// ChunksConfig is what Chunks need. Origin, Dir, Clock and Logger are required.
type ChunksConfig struct {
	Origin tutti.RangeSource // the originals, elsewhere

	// Fleet, if set, says which member owns which chunk, and Peer how to ask one: a tutti.Neighbour, or a RangeSource
	// that cannot be told what to get ready. Without them the process is alone.
	Fleet tutti.Fleet
	Peer  func(tutti.Member) tutti.RangeSource
	Store store.Store // heads, seals and leases; nil goes without
	// Suspects are the members that were silent lately; nil makes its own.
	Suspects *Suspects

	Dir         string // made if need be; one process at a time may use it
	MaxBytes    int64  // on disk; 0 is 10 GiB. Exceeded by no more than what is being written
	MemoryBytes int64  // for chunks that do not lie on the disk; 0 is 64 MiB, negative is none
	Fills       int    // chunks that may be filled at a time, a MiB of memory each; 0 is 256

	Heads HeadPolicy

	FirstByte time.Duration // until the origin's answer begins; 0 is 5 s
	Stall     time.Duration // between two pieces of an answer; 0 is 5 s

	Clock  clock.Clock
	Logger *slog.Logger
}

// Chunks is a cache of originals that lie elsewhere, in pieces of tutti.ChunkSize:
//
//	OpenRange ──▶ disk ──▶ memory ──▶ fill ──▶ the chunk's owner ──▶ head in the store ──▶ origin
//
// It is a tutti.Source and a tutti.RangeSource, as is what it caches. Each chunk is filled once, whoever asks; those who
// ask meanwhile read along, from the first byte that arrives. The disk comes before the memory, because what lies in a
// file the kernel hands to the network from its own memory, without a copy (docs/decisions/bytes.md); ours holds what is
// not on the disk: chunks that other members own, and everything while the disk is full.
//
// A chunk is of one state of its object: the size, the tag and the time of change that the origin gave with it. Chunks
// of two states are never joined. Where the origin has another state by now, all chunks of the old one are dropped, and
// whoever was reading gets KindUnavailable.
//
// Close it when done; Run does the work in the background.
type Chunks struct {
	guard  *guard
	fleet  tutti.Fleet
	peer   func(tutti.Member) tutti.RangeSource
	store  store.Store
	heads  *heads
	seals  *seals
	disk   *chunkDisk
	late   *Suspects
	fills  int
	clock  clock.Clock
	log    *slog.Logger
	lock   *os.File
	stats  chunkCounters
	hints  chan struct{} // places for what is told to other members
	warmth chan struct{} // places for what is got before anybody asks

	foresight policy.Foresight[string] // by the object's ID

	running sync.WaitGroup
	ctx     context.Context // of all fills
	stop    context.CancelFunc

	mu       sync.Mutex
	filling  map[tutti.ChunkID]*chunk
	memory   map[tutti.ChunkID]*chunk
	inMemory *policy.S3FIFO[tutti.ChunkID]
	objects  map[string]*object
	known    *policy.S3FIFO[string] // of objects
	closed   bool
}

// object is what is known of an object as a whole. Guarded by Chunks.mu.
type object struct {
	info  tutti.ObjectInfo
	known bool
	plays uint8     // starts by listeners, up to maxPlays
	began time.Time // the latest of them
	heard bool      // somebody has come to its end
	head  bool      // is in the store, or on its way there
}

const (
	maxObjects = 100_000 // whose description is held in memory: about 300 bytes each
	// peerFirst is how long another member may take to begin its answer, and peerStall to go on: it may have to ask the
	// origin first, but a member that was stopped should not cost a listener more than this.
	peerFirst = time.Second
	peerStall = time.Second
	// peerHurry replaces peerFirst while the origin is known to be away: then a member has the chunk or has not, and a
	// listener is to hear soon that it cannot be had.
	peerHurry = 20 * time.Millisecond
	// tries is how often the origin is asked for a chunk, each time for the rest of it.
	tries = 3
	// spoiledTries replaces it while the origin answers and its bytes are not those that were sealed: each answer brings
	// the chunk further, up to the block that is wrong, and to give up would cut streams.
	spoiledTries = 10
	// storeWait bounds what the store may hold up a fill that could do without.
	storeWait = 50 * time.Millisecond
)

// asker says for whom a chunk is wanted.
type asker uint8

const (
	byListener  asker = iota
	byNeighbour       // another member: it gets what we have or the origin has, and no third member is asked
	byForesight       // nobody yet
	byOurselves       // to know the bytes, not to play them
)

// maxPlays is as far as starts are counted: once may be chance, twice is a habit.
const maxPlays = 2

// startAgain is how long the requests for one object's beginning count as one start: a player asks for a piece, then for the
// rest, and leaps.
const startAgain = 30 * time.Second

// played counts a start of an object by a listener. It is called when one is prepared, which is told here even where nginx
// has the bytes, and when half of the first chunk was taken, where nobody prepares.
func (c *Chunks) played(r tutti.Ref) {
	now := c.clock.Now()
	c.mu.Lock()
	o := c.object(r.ID())
	again := o.plays == 0 || now.Sub(o.began) >= startAgain
	if again {
		o.plays, o.began = min(o.plays+1, maxPlays), now
	}
	plays := o.plays
	c.mu.Unlock()
	if again {
		c.heads.played(c, r, plays)
	}
}

// NewChunks returns Chunks over the folder, with what an earlier process kept there. The error is KindConflict where
// another process uses the folder, KindUnavailable where it cannot be used.
func NewChunks(c ChunksConfig) (*Chunks, error) {
	const op = "trackcache.NewChunks"
	if c.Origin == nil || c.Dir == "" || c.Clock == nil || c.Logger == nil {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "Origin, Dir, Clock and Logger are required")
	}
	if (c.Fleet == nil) != (c.Peer == nil) {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "Fleet and Peer belong together")
	}
	if c.MaxBytes < 0 || c.Fills < 0 || c.FirstByte < 0 || c.Stall < 0 {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "the limits of the chunks cannot be negative")
	}
	setDefault(&c.MaxBytes, 10<<30)
	setDefault(&c.MemoryBytes, 64<<20)
	setDefault(&c.Fills, 256)
	setDefault(&c.FirstByte, 5*time.Second)
	setDefault(&c.Stall, 5*time.Second)
	if c.Suspects == nil {
		c.Suspects = NewSuspects(c.Clock)
	}
	heads, err := newHeads(c)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	lock, err := lockFolder(op, dir)
	if err != nil {
		return nil, err
	}
	disk, err := openDisk(dir, c.MaxBytes, c.Clock, c.Logger)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s := &Chunks{
		fleet: c.Fleet, peer: c.Peer, store: c.Store, heads: heads, seals: newSeals(c), disk: disk, late: c.Suspects, fills: c.Fills,
		clock: c.Clock, log: c.Logger, lock: lock,
		hints: make(chan struct{}, maxHints), warmth: make(chan struct{}, maxWarmth),
		filling: map[tutti.ChunkID]*chunk{}, memory: map[tutti.ChunkID]*chunk{},
		inMemory: policy.NewS3FIFO[tutti.ChunkID](max(0, c.MemoryBytes)),
		objects:  map[string]*object{}, known: policy.NewS3FIFO[string](maxObjects),
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.guard = &guard{
		origin: c.Origin, firstByte: c.FirstByte, stall: c.Stall, clock: c.Clock, log: c.Logger,
		ctx: s.ctx, running: &s.running, breakers: map[string]*policy.Breaker[tutti.Ref]{},
	}
	disk.gone = func(_ tutti.ChunkID, e *diskChunk) {
		if e.demand.Ahead {
			s.stats.aheadWasted.Add(1)
		}
	}
	return s, nil
}

func setDefault[T int | int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// Run finds what earlier processes left on the disk, and then waits for ctx to end. Chunks work without it, but may then
// exceed MaxBytes by what was there before.
func (c *Chunks) Run(ctx context.Context) error {
	if err := c.disk.index(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// Close stops all fills, waits for them, and gives the folder up. Objects that are still open may be read no more.
func (c *Chunks) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.mu.Unlock()
	c.stop()
	c.running.Wait()
	return tutti.Wrap(tutti.KindInternal, "trackcache.Close", c.lock.Close())
}

// chunk is a chunk in memory: one that is being filled, or one that does not lie on the disk.
type chunk struct {
	id   tutti.ChunkID
	ref  tutti.Ref
	who  asker // for whom the fill began
	keep bool  // this member owns it

	headed   bool // it begins with a head from the store; the fill's own
	unproven bool // its bytes were not compared with a seal, and there may be one; the fill's own until it is done

	mu      sync.Mutex
	changed chan struct{} // closed, and replaced, when something below changes
	info    tutti.ObjectInfo
	known   bool   // info is
	buf     []byte // as long as the chunk, once that is known
	have    int    // bytes that may be read, without a gap from 0; what lies beyond belongs to the fill
	ahead   bool   // nobody has asked for it yet
	lent    bool   // the bytes come from another member just now
	done    bool
	moved   bool // it lies on the disk, and buf is gone
	err     error
}

func (ch *chunk) note(change func()) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	change()
	close(ch.changed)
	ch.changed = make(chan struct{})
}

// until waits for a condition on the chunk, which is checked with mu held, or for the end of its fill.
func (ch *chunk) until(ctx context.Context, met func() bool) error {
	for {
		ch.mu.Lock()
		ok, err, changed := met(), ch.err, ch.changed
		ch.mu.Unlock()
		switch {
		case ok:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return tutti.Wrap(tutti.KindUnavailable, "trackcache: wait for the chunk", context.Cause(ctx))
		}
	}
}

// held is a chunk that can be read: from a file, or from memory.
type heldChunk struct {
	file *os.File
	disk *diskChunk
	mem  *chunk
	info tutti.ObjectInfo
}

func (h *heldChunk) close() {
	if h.file != nil {
		_ = h.file.Close() // it was only read
	}
}

func sameState(a, b tutti.ObjectInfo) bool {
	return a.Size == b.Size && a.Tag == b.Tag && (a.Tag != "" || a.ModTime.Equal(b.ModTime))
}

// object returns what is known of an object, which may be nothing yet. c.mu is held.
func (c *Chunks) object(id string) *object {
	if c.known.Hit(id) {
		return c.objects[id]
	}
	for _, old := range c.known.Add(id, 1) {
		delete(c.objects, old)
	}
	o := &object{}
	c.objects[id] = o
	return o
}

// described returns the description of an object, if it is known.
func (c *Chunks) described(id string) (tutti.ObjectInfo, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.objects[id]
	if o == nil || !o.known {
		return tutti.ObjectInfo{}, false
	}
	return o.info, true
}

// agree compares a description with what is known of the object, and learns it where nothing is.
func (c *Chunks) agree(id string, info tutti.ObjectInfo) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.object(id)
	if !o.known {
		o.info, o.known = info, true
		return true
	}
	return sameState(o.info, info)
}

// forget drops what is known of an object and all its chunks: the origin has other bytes by now. info is the state that
// is gone; where another one has been learnt meanwhile, nothing happens.
func (c *Chunks) forget(id string, info tutti.ObjectInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.objects[id]
	if o == nil || !o.known || !sameState(o.info, info) {
		return
	}
	c.log.Warn("an original changed at the origin; what was kept of it is dropped", "object", id)
	c.stats.changed.Add(1)
	c.known.Remove(id)
	delete(c.objects, id)
	c.seals.forget(id)
	for n := range chunks(info.Size) {
		k := tutti.ChunkID{Object: id, N: n}
		c.disk.drop(k, nil)
		if c.memory[k] != nil {
			delete(c.memory, k)
			c.inMemory.Remove(k)
		}
	}
}

// get returns chunk n of r, which may still be growing: its description is known. It waits no longer than ctx.
func (c *Chunks) get(ctx context.Context, r tutti.Ref, n int64, who asker) (heldChunk, error) {
	const op = "trackcache: get a chunk"
	id := tutti.ChunkID{Object: r.ID(), N: n}
	var ch *chunk
	for again := false; ; again = true {
		if f, cf, e := c.disk.open(id); f != nil {
			h := heldChunk{file: f, disk: e, info: cf.info}
			if c.agree(id.Object, cf.info) && c.provenFile(ctx, id, f, cf, e) {
				c.hit(r, id, e, who)
				return h, nil
			}
			h.close() // of another state of the object, or not its bytes
			c.disk.drop(id, e)
		}
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return heldChunk{}, tutti.Errorf(tutti.KindUnavailable, op, "the server is shutting down")
		}
		if ch = c.memory[id]; ch != nil && !c.current(ch) {
			delete(c.memory, id)
			c.inMemory.Remove(id)
			ch = nil
		}
		if ch != nil {
			c.inMemory.Hit(id)
			c.stats.hitsMemory.Add(1)
			c.mu.Unlock()
			break
		}
		if ch = c.filling[id]; ch != nil && !ch.over() {
			c.stats.joined.Add(1)
			c.mu.Unlock()
			break
		}
		if !again && c.disk.has(id) {
			c.mu.Unlock()
			continue // its fill ended since we looked
		}
		if len(c.filling) >= c.fills {
			c.mu.Unlock()
			c.stats.crowded.Add(1)
			return heldChunk{}, tutti.Errorf(tutti.KindExhausted, op, "too much is being fetched at once; try again in a few seconds")
		}
		c.stats.misses.Add(1)
		ch = c.begin(r, id, who)
		c.mu.Unlock()
		break
	}
	if who == byListener {
		c.wanted(ch)
	}
	var info tutti.ObjectInfo
	var lent bool
	err := ch.until(ctx, func() bool {
		info, lent = ch.info, ch.lent && !ch.done
		return ch.known && (ch.have > 0 || ch.done) || who == byNeighbour && lent
	})
	switch {
	case err != nil && ch.who == byNeighbour && who != byNeighbour && !final(err) && ctx.Err() == nil:
		return c.get(ctx, r, n, who) // nobody was asked but the origin
	case err != nil:
		return heldChunk{}, err
	case who == byNeighbour && lent:
		// Two members that wait for each other would wait for ever.
		return heldChunk{}, tutti.Errorf(tutti.KindUnavailable, op, "this member gets the chunk from another one")
	}
	if !c.provenMemory(ctx, ch) {
		c.mu.Lock()
		if c.memory[id] == ch {
			delete(c.memory, id)
			c.inMemory.Remove(id)
		}
		c.mu.Unlock()
		return c.get(ctx, r, n, who)
	}
	return heldChunk{mem: ch, info: info}, nil
}

// current reports whether a chunk in memory is of the state of its object that is known. c.mu is held.
func (c *Chunks) current(ch *chunk) bool {
	o := c.object(ch.id.Object)
	if !o.known {
		o.info, o.known = ch.info, true
	}
	return sameState(o.info, ch.info)
}

// over reports whether there is nothing to read here: it failed, or lies on the disk.
func (ch *chunk) over() bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.err != nil || ch.moved
}

// wanted notes that a listener asks for a chunk that is, or was, got ahead of time.
func (c *Chunks) wanted(ch *chunk) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.ahead {
		ch.ahead = false
		c.stats.aheadUseful.Add(1)
	}
}

// begin starts to fill a chunk. c.mu is held.
func (c *Chunks) begin(r tutti.Ref, id tutti.ChunkID, who asker) *chunk {
	ch := &chunk{id: id, ref: r, who: who, keep: c.owns(id), ahead: who == byForesight, changed: make(chan struct{})}
	c.filling[id] = ch
	c.running.Add(1)
	go c.fill(ch)
	return ch
}

// fill gets a chunk, in a goroutine of its own that belongs to the Chunks: whoever asks for it meanwhile reads along, and
// that the first to ask has left ends nothing, because a chunk is soon there and will be wanted again.
func (c *Chunks) fill(ch *chunk) {
	defer c.running.Done()
	err := c.fillFrom(c.ctx, ch)
	ahead, unproven := false, ch.unproven
	ch.note(func() { ch.done, ch.err, ch.lent, ahead = err == nil, err, false, ch.ahead })
	if err == nil {
		c.keepChunk(ch, ahead, unproven)
	} else if c.ctx.Err() == nil {
		c.stats.failed.Add(1)
		c.log.Warn("a chunk could not be had", "library", ch.ref.Library, "path", ch.ref.Path, "chunk", ch.id.N, "err", err)
	}
	c.mu.Lock()
	if c.filling[ch.id] == ch { // else another has begun since this one failed
		delete(c.filling, ch.id)
	}
	c.mu.Unlock()
}

// keepChunk puts a chunk where it stays: on the disk of a member that owns it, else, and where the disk does not take
// it, in memory.
func (c *Chunks) keepChunk(ch *chunk, ahead, unproven bool) {
	if !c.agree(ch.id.Object, ch.info) {
		return // the object has changed meanwhile
	}
	if ch.keep && c.disk.put(ch.id, ch.info, ch.buf, ahead, unproven) {
		ch.note(func() { ch.moved, ch.buf = true, nil }) // or each listener who reads slowly would hold a MiB
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, old := range c.inMemory.Add(ch.id, int64(len(ch.buf))+chunkHeader) {
		if old == ch.id {
			return
		}
		delete(c.memory, old)
	}
	c.memory[ch.id] = ch
}

// owns reports whether this member is one of those with which a chunk should lie.
func (c *Chunks) owns(id tutti.ChunkID) bool { return c.fleet == nil || c.rank(id) >= 0 }

// rank is this member's place among the owners of a chunk: 0 the first, -1 none.
func (c *Chunks) rank(id tutti.ChunkID) int {
	if c.fleet == nil {
		return 0
	}
	self := c.fleet.Self().ID
	return slices.IndexFunc(c.fleet.Owners(id, tutti.Replicas), func(m tutti.Member) bool { return m.ID == self })
}

// fillFrom tries the sources of a chunk in their order until it is complete.
func (c *Chunks) fillFrom(ctx context.Context, ch *chunk) error {
	seal := c.seals.ask(ctx, ch.id.Object)
	defer seal.end()
	err := c.fromPeers(ctx, ch, seal)
	if err == nil || tutti.IsKind(err, tutti.KindNotFound) {
		return err
	}
	ch.note(func() { ch.lent = false })
	if ch.id.N == 0 && ch.have == 0 && !c.guard.isOpen(ch.ref.Library) { // a beginning without an end is no use
		c.fromHead(ctx, ch, seal)
	}
	release, other := c.lease(ctx, ch)
	defer release()
	if other != nil {
		c.stats.leased.Add(1)
		if err := c.fromPeer(ctx, ch, *other, seal); err == nil || tutti.IsKind(err, tutti.KindNotFound) {
			return err
		}
		ch.note(func() { ch.lent = false })
	}
	return c.fromOrigin(ctx, ch, seal)
}

// leaseFor outlives the filling of a chunk from a slow origin; a holder that was killed costs nobody more than that.
const leaseFor = 10 * time.Second

// lease makes this member the one that asks the origin for a chunk of which it is not the first owner, or tells it who
// is. It happens where the first owner does not answer, until the members have noticed: then one of the others is to
// ask for all. It saves the origin readings and protects nothing, so a store that does not answer is done without.
func (c *Chunks) lease(ctx context.Context, ch *chunk) (release func(), other *tutti.Member) {
	if c.fleet == nil || c.store == nil || ch.who == byNeighbour || c.rank(ch.id) == 0 || c.heads.away.now(c.clock.Now()) || c.guard.isOpen(ch.ref.Library) {
		return func() {}, nil
	}
	name := "fill#" + ch.id.Object + "#" + strconv.FormatInt(ch.id.N, 10)
	release, other, err := turn{c.store, c.clock, c.fleet}.take(ctx, name, leaseFor)
	if err != nil {
		c.heads.away.begin(c.clock.Now())
		c.log.Debug("the lease to fill a chunk could not be had", "chunk", ch.id.N, "object", ch.id.Object, "err", err)
	}
	return release, other
}

// final reports whether the origin would say the same again. Of what another member says only that there is no such
// file is: that it refuses us may be its own affair.
func final(err error) bool {
	switch tutti.KindOf(err) {
	case tutti.KindNotFound, tutti.KindInvalid, tutti.KindForbidden:
		return true
	}
	return false
}

// errNoSource is returned where there is no member to ask. Nobody outside sees it.
var errNoSource = errors.New("no member has the chunk")

// fromPeers asks the members that own the chunk before us, and, as its first owner, the other one, if that has it: it
// is what is left of the time before a change of members, or of our disk.
func (c *Chunks) fromPeers(ctx context.Context, ch *chunk, seal *askedSeal) error {
	if c.fleet == nil || ch.who == byNeighbour {
		return errNoSource
	}
	self, owners := c.fleet.Self().ID, c.fleet.Owners(ch.id, tutti.Replicas)
	err := errNoSource
	place := slices.IndexFunc(owners, func(m tutti.Member) bool { return m.ID == self })
	for i, ifHeld := range policy.Sources(len(owners), place, func(i int) bool { return c.late.suspected(owners[i]) }) {
		m := owners[i]
		if ifHeld && !c.heldBy(ctx, m, ch.ref, ch.id.N) {
			continue
		}
		if err = c.fromPeer(ctx, ch, m, seal); err == nil || tutti.IsKind(err, tutti.KindNotFound) {
			return err
		}
	}
	return err
}

func (c *Chunks) fromPeer(ctx context.Context, ch *chunk, m tutti.Member, seal *askedSeal) error {
	first := peerFirst
	if c.guard.isOpen(ch.ref.Library) {
		first = peerHurry
	}
	ch.note(func() { ch.lent = true })
	n, err := c.pull(ctx, ch, seal, func(off, n int64, tag string) (io.ReadCloser, tutti.ObjectInfo, error) {
		return openTimed(ctx, c.clock, first, peerStall, c.peer(m), ch.ref, off, n, tag)
	})
	c.stats.bytesPeer.Add(n)
	if err != nil {
		c.late.note(m, err)
		c.stats.peerFailed.Add(1)
		c.log.Debug("another member did not send a chunk", "member", m.ID, "object", ch.id.Object, "chunk", ch.id.N, "err", err)
		return err
	}
	c.stats.fillsPeer.Add(1)
	return nil
}

// fromOrigin asks the origin, and again for the rest where it breaks off.
func (c *Chunks) fromOrigin(ctx context.Context, ch *chunk, seal *askedSeal) error {
	var before *otherBlock
	for try := 1; ; try++ {
		vouched := false
		n, err := c.pull(ctx, ch, seal, func(off, n int64, tag string) (io.ReadCloser, tutti.ObjectInfo, error) {
			rc, info, err := c.guard.OpenRange(ctx, ch.ref, off, n, tag)
			vouched = info.MD5 != nil
			return rc, info, err
		})
		c.stats.bytesOrigin.Add(n)
		var other *otherBlock
		if errors.As(err, &other) && !vouched && before != nil && *before == *other {
			c.log.Error("the origin does not have the bytes that were sealed; the seal is deleted", "library", ch.ref.Library, "path", ch.ref.Path)
			if rerr := c.seals.revoke(ctx, ch.id.Object, seal); rerr != nil {
				return errors.Join(err, rerr)
			}
		}
		before = other
		switch {
		case err == nil:
			c.stats.fillsOrigin.Add(1)
			return nil
		case tutti.IsKind(err, tutti.KindConflict):
			if info, ok := c.described(ch.id.Object); ok {
				c.forget(ch.id.Object, info)
			}
			if ch.headed {
				c.heads.drop(c, ch.id.Object)
			}
			return tutti.Errorf(tutti.KindUnavailable, "trackcache: fill", "the file changed at the origin; try again")
		case final(err) || try >= tries && other == nil || try >= spoiledTries || ctx.Err() != nil || c.guard.isOpen(ch.ref.Library):
			return err
		}
		if n == 0 {
			if serr := clock.Sleep(ctx, c.clock, 20*time.Millisecond<<min(try, tries)); serr != nil {
				return err
			}
		}
	}
}

// opener begins an exchange for n bytes from off of the object.
type opener func(off, n int64, tag string) (io.ReadCloser, tutti.ObjectInfo, error)

// pull reads what is missing of a chunk from one source and returns how many bytes came. What came before it failed
// stays: the next source is asked for the rest, of the same state of the object.
func (c *Chunks) pull(ctx context.Context, ch *chunk, seal *askedSeal, open opener) (taken int64, err error) {
	if ch.known && ch.have == len(ch.buf) {
		return 0, nil // the head was all there is
	}
	base, n := ch.id.N*tutti.ChunkSize, int64(tutti.ChunkSize-ch.have)
	info, known := ch.info, ch.known
	if !known {
		info, known = c.described(ch.id.Object)
	}
	if known {
		n = chunkLength(info.Size, ch.id.N) - int64(ch.have)
		if n < 0 || n == 0 && info.Size > 0 {
			return 0, tutti.Errorf(tutti.KindInvalid, "trackcache: fill", "chunk %d is beyond the end of %d bytes", ch.id.N, info.Size)
		}
	}
	body, got, err := open(base+int64(ch.have), n, info.Tag)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	if err := c.describe(ch, got); err != nil {
		return 0, err
	}
	blocks := seal.wait(ch.info)
	ch.unproven = !seal.sure
	filled := ch.have
	for filled < len(ch.buf) {
		m, err := body.Read(ch.buf[filled:])
		filled += m
		taken += int64(m)
		if m > 0 {
			sound, berr := blocks.check(ch, filled)
			if sound > ch.have {
				ch.note(func() { ch.have = sound })
			}
			if berr != nil {
				c.stats.mismatched.Add(1)
				return taken, berr
			}
		}
		if err != nil && filled < len(ch.buf) {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return taken, tutti.Wrap(tutti.KindUnavailable, "trackcache: fill", err)
		}
	}
	return taken, nil
}

// describe takes the description of a source's answer. It refuses one of another state than that of the bytes there are.
func (c *Chunks) describe(ch *chunk, info tutti.ObjectInfo) error {
	const op = "trackcache: fill"
	switch {
	case info.Size < 0 || ch.id.N > 0 && ch.id.N*tutti.ChunkSize >= info.Size:
		return tutti.Errorf(tutti.KindInvalid, op, "chunk %d is beyond the end of %d bytes", ch.id.N, info.Size)
	case ch.known && !sameState(ch.info, info), !c.agree(ch.id.Object, info):
		return tutti.Errorf(tutti.KindConflict, op, "the file changed while it was read; try again")
	case !ch.known:
		ch.note(func() {
			ch.info, ch.known = info, true
			ch.buf = make([]byte, chunkLength(info.Size, ch.id.N))
		})
	}
	return nil
}

var _ interface {
	tutti.Seeker
	tutti.RangeSource
} = (*Chunks)(nil)

// check returns the errors of a ref that need no work to find.
func (c *Chunks) check(op string, r tutti.Ref) error {
	switch {
	case !fs.ValidPath(r.Path) || len(r.Path)+len(r.Version) > maxKey/2:
		return tutti.Errorf(tutti.KindInvalid, op, "%q is not a path within a library", r.Path)
	case !r.Profile.Original() || r.Start != 0 || r.End != 0:
		return tutti.Errorf(tutti.KindInvalid, op, "only originals can be had in chunks")
	}
	return nil
}
