// Package trackcache is service C: bytes near the listener. A Cache is a tutti.Source over another, as every tier of it
// is, and answers for all shapes of an object: originals, sound in other formats, pictures in other sizes.
//
//	Open ──▶ original on this machine ──▶ the origin's own file, untouched
//	     └─▶ memory (pictures) ──▶ disk (chunks of 1 MiB) ──▶ fill ──▶ origin | transcoder | picture maker
//
// Each object is made once: whoever asks for it while it is being made reads along. A fill belongs to all who read
// from it, so one listener who leaves ends nothing; when the last has left, it is stopped, unless it is nearly done.
//
// What belongs here: where bytes lie, how they get there, how long they stay. What does not: who may have them
// (delivery), and which shape they should have (catalogue).
package trackcache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
)

// Config is what a Cache needs. Origin, Dir, Clock and Logger are required.
type Config struct {
	Origin     tutti.Source // the originals
	Local      bool         // Origin's originals lie on this machine, or it keeps them itself (Chunks): they are passed through
	Transcoder tutti.Source // makes sound in other formats; nil if none can be made

	// Fleet, if set, says which member makes which transcode, and Peer how to ask it: a tutti.Neighbour, or a RangeSource
	// that has to send something each second, because it cannot be asked whether it is there. Store, if set, has one of
	// the others stand in for a member that does not answer. Suspects are the members that did not lately; nil makes its own.
	Fleet    tutti.Fleet
	Peer     func(tutti.Member) tutti.RangeSource
	Store    store.Store
	Suspects *Suspects

	Dir         string        // of the cache, made if need be; one process at a time may use it
	MaxBytes    int64         // on disk; 0 is 10 GiB. Exceeded by no more than what is being played or made
	MemoryBytes int64         // for small objects; 0 is 16 MiB, negative is none
	Linger      time.Duration // how long a fill goes on when nobody reads from it; 0 is 5 s. Less where its place is wanted

	// OnHash, if set, is told the SHA-256 of each original after its first delivery, by Run, which reads the file once
	// more in the background: at most HashRate bytes a second (0 is 32 MiB/s), one file at a time. WantHash says which
	// originals still need one; nil is all of them, once each while this process runs. It may wait, and holds up no
	// listener, only the hashes of others.
	OnHash   func(ctx context.Context, r tutti.Ref, sum [sha256.Size]byte) error
	WantHash func(r tutti.Ref) bool
	HashRate int64

	Clock  clock.Clock
	Logger *slog.Logger
}

// Cache is a tutti.TrackCache. Close it when done.
type Cache struct {
	origin, transcoder tutti.Source
	borrower           *borrower // nil outside a fleet
	crowd              crowded   // the transcoder, where its places are few; else nil
	pictures           *pictures
	local              bool
	dir                string
	max                int64
	linger             time.Duration
	clock              clock.Clock
	log                *slog.Logger
	memory             *memory
	verifier           *verifier // nil where no hashes are wanted
	create             func(path string) (file, error)
	stats              counters

	lock    *os.File // held while the folder is ours
	running sync.WaitGroup
	ctx     context.Context // of all fills
	stop    context.CancelFunc

	mu      sync.Mutex
	blobs   map[string]*blob
	lru     segmented[*blob]
	idle    []*blob // fills that nobody reads from, the longest left first
	filling int64   // bytes written of objects that are not complete
	temps   int64   // names given out in the folder of temporary files
	indexed bool    // every object on disk is in blobs
	closed  bool
}

const (
	// again is how long after it was made an object counts as asked for again: longer than one listener takes to
	// probe, seek and resume.
	again = 10 * time.Minute
	// enough is the share of an object from which it is finished even if nobody waits for it.
	enough = 0.8
	// touch is how exactly the time of last use is kept on disk.
	touch = time.Hour
)

// New returns a Cache over the folder, with what an earlier process kept there. It removes what that process had not
// finished. The error is KindConflict where another process uses the folder, KindUnavailable where it cannot be used.
func New(c Config) (*Cache, error) {
	const op = "trackcache.New"
	if c.Origin == nil || c.Dir == "" || c.Clock == nil || c.Logger == nil {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "Origin, Dir, Clock and Logger are required")
	}
	if (c.Fleet == nil) != (c.Peer == nil) {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "Fleet and Peer belong together")
	}
	if c.MaxBytes < 0 || c.Linger < 0 || c.HashRate < 0 {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "the limits of the track cache cannot be negative")
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 10 << 30
	}
	if c.MemoryBytes == 0 {
		c.MemoryBytes = 16 << 20
	}
	if c.Linger == 0 {
		c.Linger = 5 * time.Second
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	lock, err := lockFolder(op, dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "objects"), 0o700); err != nil {
		return nil, errors.Join(diskError(op, err), lock.Close())
	}
	temp := filepath.Join(dir, "temp")
	if err := errors.Join(os.RemoveAll(temp), os.Mkdir(temp, 0o700)); err != nil {
		return nil, errors.Join(diskError(op, err), lock.Close())
	}
	cache := &Cache{
		origin: c.Origin, transcoder: c.Transcoder, local: c.Local, pictures: newPictures(c.Origin),
		dir: dir, max: c.MaxBytes, linger: c.Linger, clock: c.Clock, log: c.Logger,
		memory: &memory{max: c.MemoryBytes, byID: map[string]*slot[*piece]{}},
		create: createFile, lock: lock, blobs: map[string]*blob{},
	}
	cache.ctx, cache.stop = context.WithCancel(context.Background())
	if c.Fleet != nil {
		if c.Suspects == nil {
			c.Suspects = NewSuspects(c.Clock)
		}
		cache.borrower = &borrower{fleet: c.Fleet, peer: c.Peer, store: c.Store, clock: c.Clock, late: c.Suspects}
	}
	if c.OnHash != nil {
		cache.verifier = newVerifier(c)
	}
	if t, ok := c.Transcoder.(crowded); ok {
		cache.crowd = t
		t.OnWait(cache.yield)
	}
	return cache, nil
}

// lockFolder makes the folder and has it for this process alone, until the file is closed.
func lockFolder(op, dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, diskError(op, err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, diskError(op, err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = tutti.Errorf(tutti.KindConflict, op, "another tutti uses the cache in %s; stop it, or give this one another folder", dir)
		}
		return nil, errors.Join(tutti.Wrap(tutti.KindUnavailable, op, err), lock.Close())
	}
	return lock, nil
}

// Run does what can be done in the background, until ctx ends: it finds what earlier processes left on disk, so that
// the longest unused makes room first, and then takes hashes of originals, if wanted. The Cache works without, but
// may then exceed MaxBytes by what was there before.
func (c *Cache) Run(ctx context.Context) error {
	if err := c.index(ctx); err != nil {
		return err
	}
	if c.verifier == nil {
		<-ctx.Done()
		return nil
	}
	c.verifier.run(ctx)
	return nil
}

// Close stops all fills, waits for them, and gives the folder up. Objects that are still open may be read no more.
func (c *Cache) Close() error {
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

// preparer is an origin that makes originals ready itself: Chunks.
type preparer interface {
	Prepare(ctx context.Context, r tutti.Ref) (tutti.Readiness, error)
}

// crowded is implemented by transcoders that do a few things at a time: they call fn whenever a request has to wait.
type crowded interface {
	OnWait(fn func())
	Waiting() int
}

// nameOf is the name of an object's folder: nothing of a key's own characters reaches the file system.
func nameOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

func (c *Cache) place(name string) string { return filepath.Join(c.dir, "objects", name[:2], name) }

// temp names a new folder for what is being filled or thrown away. c.mu is held.
func (c *Cache) temp() string {
	c.temps++
	return filepath.Join(c.dir, "temp", strconv.FormatInt(c.temps, 10))
}

// isPicture reports whether the ref is to be made by us rather than by the transcoder.
func isPicture(p tutti.Profile) bool {
	return p.Cover || p.Pixels != 0 || p.Format == "jpeg" || p.Format == "png"
}

// source is what makes the object of r.
func (c *Cache) source(r tutti.Ref) tutti.Source {
	switch {
	case r.Profile.Original():
		return c.origin
	case isPicture(r.Profile):
		return c.pictures
	}
	return c.transcoder
}

// check completes the ref and returns the errors that need no work to find.
func (c *Cache) check(ctx context.Context, r tutti.Ref) (tutti.Ref, error) {
	const op = "trackcache.Open"
	picture := isPicture(r.Profile)
	switch {
	case !fs.ValidPath(r.Path) || len(r.Path)+len(r.Version) > maxKey/2:
		return r, tutti.Errorf(tutti.KindInvalid, op, "%q is not a path within a library", r.Path)
	case r.Profile.Original() && (r.Start != 0 || r.End != 0):
		return r, tutti.Errorf(tutti.KindInvalid, op, "a section of a file can only be had in another format")
	case picture && (r.Profile.Pixels < 0 || r.Profile.Pixels > maxSide):
		return r, tutti.Errorf(tutti.KindInvalid, op, "a picture can have from 1 to %d pixels, not %d", maxSide, r.Profile.Pixels)
	case !r.Profile.Original() && !picture && c.transcoder == nil:
		return r, tutti.Errorf(tutti.KindUnavailable, op, "this server cannot convert music; originals still play")
	case picture:
		r.Start, r.End, r.Profile.Offset = 0, 0, 0 // all sections of a file have its picture
	}
	if r.Version != "" || r.Profile.Original() && c.local {
		return r, nil
	}
	// A picture beside the music has no version in the catalogue: its place, size and time are one.
	obj, err := c.origin.Open(ctx, tutti.Ref{Library: r.Library, Path: r.Path})
	if err != nil {
		return r, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	sum := sha256.New()
	for _, s := range []string{r.Library, r.Path, strconv.FormatInt(obj.Size(), 10), obj.ModTime().UTC().Format(time.RFC3339Nano)} {
		_, _ = io.WriteString(sum, s+"\x00") // a hash never fails
	}
	r.Version = tutti.Version("file-" + hex.EncodeToString(sum.Sum(nil)[:16]))
	return r, tutti.Wrap(tutti.KindUnavailable, op, obj.Close())
}

// Open implements tutti.Source. An object that has yet to be made is returned with its first bytes; ctx bounds the wait
// for them, and no more.
func (c *Cache) Open(ctx context.Context, r tutti.Ref) (tutti.Object, error) {
	return c.open(ctx, r, c.origin.Open)
}

// OpenAt implements tutti.Seeker.
func (c *Cache) OpenAt(ctx context.Context, r tutti.Ref, off int64) (tutti.Object, error) {
	s, ok := c.origin.(tutti.Seeker)
	if !ok {
		return c.Open(ctx, r)
	}
	return c.open(ctx, r, func(ctx context.Context, r tutti.Ref) (tutti.Object, error) { return s.OpenAt(ctx, r, off) })
}

func (c *Cache) open(ctx context.Context, r tutti.Ref, pass func(context.Context, tutti.Ref) (tutti.Object, error)) (tutti.Object, error) {
	const op = "trackcache.Open"
	r, err := c.check(ctx, r)
	if err != nil {
		return nil, err
	}
	if r.Profile.Original() && c.local {
		obj, err := pass(ctx, r)
		if err != nil {
			return nil, err
		}
		c.stats.passed.Add(1)
		return &passed{Object: obj, c: c, ref: r}, nil
	}
	key := r.Key()
	if p := c.memory.get(key); p != nil {
		c.stats.hitsMemory.Add(1)
		return &held{piece: p, c: c}, nil
	}
	b, err := c.acquire(r, true)
	if err != nil {
		return nil, err
	}
	if !b.isDone() {
		c.mu.Lock()
		b.left = true // once this reader is gone
		c.mu.Unlock()
	}
	rd := &reader{c: c, ref: r, b: b}
	picture := isPicture(r.Profile)
	if err := b.ready(ctx, picture); err != nil {
		return nil, errors.Join(tutti.Wrap(tutti.KindUnavailable, op, err), rd.Close())
	}
	if size := rd.Size(); picture && size <= small && size <= c.memory.max {
		return c.remember(rd, size)
	}
	return rd, nil
}

// remember takes a small complete object into memory and returns it from there.
func (c *Cache) remember(rd *reader, size int64) (tutti.Object, error) {
	p := &piece{key: rd.b.key, data: make([]byte, size), contentType: rd.ContentType(), modTime: rd.ModTime()}
	_, err := rd.ReadAt(p.data, 0)
	if err := errors.Join(err, rd.Close()); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	c.memory.put(p)
	return &held{piece: p, c: c}, nil
}

// Prepare implements tutti.TrackCache: it begins to make what is not there and says what is known so far. What it began
// is kept up for as long as fills linger, for the Open that will follow.
func (c *Cache) Prepare(ctx context.Context, r tutti.Ref) (tutti.Readiness, error) {
	r, err := c.check(ctx, r)
	if err != nil {
		return tutti.Readiness{}, err
	}
	if r.Profile.Original() && c.local {
		if p, ok := c.origin.(preparer); ok {
			return p.Prepare(ctx, r)
		}
		obj, err := c.origin.Open(ctx, r)
		if err != nil {
			return tutti.Readiness{}, err
		}
		ready := tutti.Readiness{Size: obj.Size(), ContentType: obj.ContentType(), Ready: true}
		return ready, tutti.Wrap(tutti.KindUnavailable, "trackcache.Prepare", obj.Close())
	}
	if p := c.memory.get(r.Key()); p != nil {
		return tutti.Readiness{Size: int64(len(p.data)), ContentType: p.contentType, Ready: true}, nil
	}
	b, err := c.acquire(r, false)
	if err != nil {
		return tutti.Readiness{}, err
	}
	if b == nil { // it has to be made: say at once if it cannot be
		if s, ok := c.source(r).(interface {
			Check(ctx context.Context, r tutti.Ref) error
		}); ok {
			if err := s.Check(ctx, r); err != nil {
				return tutti.Readiness{}, err
			}
		}
		if b, err = c.acquire(r, true); err != nil {
			return tutti.Readiness{}, err
		}
	}
	defer c.release(b)
	b.mu.Lock()
	defer b.mu.Unlock()
	return tutti.Readiness{Size: b.size, ContentType: b.contentType, Ready: b.written > 0 || b.done}, b.err
}

// acquire returns the blob of r, held for the caller, who releases it: one that is there, or is being made, or, with
// begin, one that it begins to make. Without begin it returns nil where there is none.
func (c *Cache) acquire(r tutti.Ref, begin bool) (*blob, error) { return c.acquireFor(r, begin, false) }

// acquireFor is acquire; what is begun for a neighbour is made here and by nobody else.
func (c *Cache) acquireFor(r tutti.Ref, begin, neighbour bool) (*blob, error) {
	const op = "trackcache.Open"
	key := r.Key()
	name := nameOf(key)
	for {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return nil, tutti.Errorf(tutti.KindUnavailable, op, "the server is shutting down")
		}
		b := c.blobs[name]
		if b == nil && !c.indexed {
			b = c.find(key, name)
		}
		if b == nil {
			if begin {
				b = c.begin(r, key, neighbour)
			}
			c.mu.Unlock()
			return b, nil
		}
		b.refs++
		c.stay(b)
		now := c.clock.Now()
		stale := b.place != nil && now.Sub(b.last) > touch
		if b.place != nil && now.Sub(b.last) > again {
			c.lru.used(b.place)
		}
		if stale {
			b.last = now
		}
		c.mu.Unlock()

		if err := b.load(now); err != nil {
			if damaged(err) {
				c.forget(b, err)
			}
			c.release(b)
			if damaged(err) {
				continue // and have it made again
			}
			return nil, diskError(op, err)
		}
		c.settle(b)
		if stale {
			if err := os.Chtimes(filepath.Join(c.place(name), manifestName), now, now); err != nil {
				c.log.Debug("the time of last use could not be kept", "err", err)
			}
		}
		if begin {
			if b.isDone() {
				c.stats.hitsDisk.Add(1)
			} else {
				c.stats.joined.Add(1)
			}
		}
		return b, nil
	}
}

func (b *blob) isDone() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.done
}

// find looks for an object on the disk that the index has not come to yet. c.mu is held.
func (c *Cache) find(key, name string) *blob {
	fi, err := os.Stat(filepath.Join(c.place(name), manifestName))
	if err != nil {
		return nil
	}
	b := c.blobOnDisk(key, name, fi.ModTime())
	c.blobs[name] = b
	return b
}

func (c *Cache) blobOnDisk(key, name string, last time.Time) *blob {
	return &blob{key: key, name: name, dir: c.place(name), size: -1, last: last, changed: make(chan struct{})}
}

// settle counts a blob that find brought in, once its size is known.
func (c *Cache) settle(b *blob) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b.place == nil && b.cancel == nil && c.blobs[b.name] == b {
		b.place = c.lru.add(b, b.size)
	}
}

// begin starts to fill a new blob. c.mu is held.
func (c *Cache) begin(r tutti.Ref, key string, neighbour bool) *blob {
	b := newBlob(key, c.temp())
	ctx, cancel := context.WithCancel(c.ctx)
	b.cancel = cancel
	b.loaded = true
	sound := !r.Profile.Original() && !isPicture(r.Profile)
	if sound && !neighbour {
		_, b.lent = c.borrower.from(r)
	}
	b.scarce = c.crowd != nil && sound && !b.lent
	b.refs = 2 // the caller and the fill
	b.last = c.clock.Now()
	c.blobs[b.name] = b
	c.stats.misses.Add(1)
	c.stats.filling.Add(1)
	c.running.Add(1)
	go c.fill(ctx, r, b)
	return b
}

// release gives back what acquire gave.
func (c *Cache) release(b *blob) {
	c.mu.Lock()
	b.refs--
	var trash string
	switch {
	case b.refs == 1 && b.cancel != nil && b.place == nil && c.blobs[b.name] == b:
		if b.scarce && b.left && c.crowd.Waiting() > 0 && c.stopFill(b) {
			break
		}
		b.linger = c.clock.AfterFunc(c.linger, func() { c.abandon(b) })
		c.idle = append(c.idle, b)
	case b.refs == 0 && c.blobs[b.name] != b:
		b.mu.Lock()
		trash = b.dir // forgotten while it was in use
		b.mu.Unlock()
	}
	c.mu.Unlock()
	if trash != "" {
		c.remove(trash)
		return
	}
	c.makeRoom(0)
}

// stay ends the time that a fill has left because nobody reads from it. c.mu is held.
func (c *Cache) stay(b *blob) {
	if b.linger == nil {
		return
	}
	b.linger.Stop()
	b.linger = nil
	if i := slices.Index(c.idle, b); i >= 0 {
		c.idle = slices.Delete(c.idle, i, i+1)
	}
}

// abandon stops a fill that nobody came back to.
func (c *Cache) abandon(b *blob) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopFill(b)
}

// yield stops the longest left of the fills that hold a place of the transcoder for nobody: somebody else waits for
// one. What was prepared for a listener who is about to come keeps its place.
func (c *Cache) yield() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range slices.Clone(c.idle) {
		if b.scarce && b.left && c.stopFill(b) {
			return
		}
	}
}

// stopFill stops a fill that nobody wants any more and reports whether it did: one that is nearly done goes on. c.mu is
// held.
func (c *Cache) stopFill(b *blob) bool {
	if b.refs != 1 || b.place != nil || c.blobs[b.name] != b || b.filled() >= enough {
		return false
	}
	c.stay(b)
	delete(c.blobs, b.name) // the next to ask begins anew
	b.cancel()
	return true
}

// forget takes a damaged blob out of the cache, so that it is made again. Those who have it open keep it.
func (c *Cache) forget(b *blob, why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.blobs[b.name] != b {
		return
	}
	c.log.Warn("a cached object is damaged and will be made again", "key", b.key, "err", why)
	c.stats.damaged.Add(1)
	c.drop(b)
}

// drop takes a complete blob out of the index and its folder out of the way. c.mu is held; the folder is removed by
// whoever releases the blob last, or, if nobody has it, by the caller.
func (c *Cache) drop(b *blob) {
	delete(c.blobs, b.name)
	if b.place != nil {
		c.lru.remove(b.place)
		b.place = nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	away := c.temp()
	if err := os.Rename(b.dir, away); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.log.Warn("a cached object could not be moved away", "key", b.key, "err", err)
		}
		return // b.dir is then removed where it is
	}
	b.dir = away
}

// damaged reports whether err means that what is on the disk is wrong, rather than that it cannot be read just now.
func damaged(err error) bool {
	return errors.Is(err, errCorrupt) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EIO)
}

// remove deletes a folder that nothing refers to.
func (c *Cache) remove(dir string) {
	if err := os.RemoveAll(dir); err != nil {
		c.log.Warn("the track cache could not remove a folder", "dir", dir, "err", err)
	}
}

func (c *Cache) grow(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.filling += n
}

// makeRoom lets the longest unused objects go until n more bytes fit.
func (c *Cache) makeRoom(n int64) {
	c.mu.Lock()
	gone := c.evict(c.lru.bytes + c.filling + n - c.max)
	c.mu.Unlock()
	for _, dir := range gone {
		c.remove(dir)
	}
}

// makeRoomNow lets objects go because the disk is full, whatever MaxBytes says, and reports whether it could.
func (c *Cache) makeRoomNow() bool {
	c.mu.Lock()
	gone := c.evict(64 * tutti.ChunkSize)
	c.mu.Unlock()
	for _, dir := range gone {
		c.remove(dir)
	}
	return len(gone) > 0
}

// evict drops objects that nobody has open until at least n bytes are free or none is left, and returns the folders to
// remove. c.mu is held.
func (c *Cache) evict(n int64) (gone []string) {
	for n > 0 {
		x := c.lru.victim(func(b *blob) bool { return b.refs == 0 })
		if x == nil {
			return gone
		}
		n -= x.size
		c.drop(x.value)
		gone = append(gone, x.value.dir)
		c.stats.evicted.Add(1)
	}
	return gone
}

// index finds the objects on the disk. Those whose manifest is damaged are removed.
func (c *Cache) index(ctx context.Context) error {
	const op = "trackcache: index"
	type found struct {
		m    manifest
		name string
		last time.Time
	}
	var all []found
	root := filepath.Join(c.dir, "objects")
	shelves, err := os.ReadDir(root)
	if err != nil {
		return diskError(op, err)
	}
	for _, shelf := range shelves {
		if ctx.Err() != nil {
			return nil
		}
		if !shelf.IsDir() { // nothing of ours
			c.sweep(filepath.Join(root, shelf.Name()), shelf.Name())
			continue
		}
		entries, err := os.ReadDir(filepath.Join(root, shelf.Name()))
		if err != nil {
			return diskError(op, err)
		}
		for _, e := range entries {
			dir := filepath.Join(root, shelf.Name(), e.Name())
			path := filepath.Join(dir, manifestName)
			m, err := readManifest(path)
			if err == nil && (nameOf(m.Key) != e.Name() || c.place(e.Name()) != dir) {
				err = errCorrupt
			}
			var fi fs.FileInfo
			if err == nil {
				fi, err = os.Stat(path)
			}
			if err != nil {
				c.sweep(dir, e.Name())
				continue
			}
			m.Sums = nil // read again when it is opened; a million chunks are not worth the memory until then
			all = append(all, found{m, e.Name(), fi.ModTime()})
		}
	}
	slices.SortFunc(all, func(a, b found) int { return a.last.Compare(b.last) })
	c.mu.Lock()
	for _, f := range all {
		if c.blobs[f.name] == nil && !c.closed {
			b := c.blobOnDisk(f.m.Key, f.name, f.last)
			b.place = c.lru.add(b, f.m.Size)
			c.blobs[f.name] = b
		}
	}
	c.indexed = true
	c.mu.Unlock()
	c.makeRoom(0)
	return nil
}

// sweep removes what index found and cannot use, unless somebody has just put something good there.
func (c *Cache) sweep(dir, name string) {
	c.mu.Lock()
	if b := c.blobs[name]; b != nil && b.place != nil {
		c.mu.Unlock()
		return
	}
	away := c.temp()
	err := os.Rename(dir, away)
	c.mu.Unlock()
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.log.Warn("the track cache could not move a damaged object away", "dir", dir, "err", err)
		}
		return
	}
	c.remove(away)
}

// direct delivers from the origin without keeping anything.
func (c *Cache) direct(ctx context.Context, r tutti.Ref, w io.Writer, off, n int64) (int64, error) {
	obj, err := c.origin.Open(ctx, r)
	if err != nil {
		return 0, err
	}
	taken, err := obj.CopyRange(ctx, w, off, n)
	c.stats.bytesOrigin.Add(taken)
	return taken, errors.Join(err, obj.Close())
}

// passed is an original of a local origin. It adds nothing to the origin's own object but counts: CopyRange's w still
// gets the *os.File.
type passed struct {
	tutti.Object
	c         *Cache
	ref       tutti.Ref
	delivered atomic.Bool
}

// Proven implements tutti.Prover. An origin that is not asked in chunks has the file itself.
func (p *passed) Proven() bool {
	o, ok := p.Object.(tutti.Prover)
	return !ok || o.Proven()
}

func (p *passed) CopyRange(ctx context.Context, w io.Writer, off, n int64) (int64, error) {
	taken, err := p.Object.CopyRange(ctx, w, off, n)
	p.c.stats.bytesOrigin.Add(taken)
	if taken > 0 {
		p.delivered.Store(true)
	}
	return taken, err
}

func (p *passed) Close() error {
	if v := p.c.verifier; v != nil && p.delivered.Load() {
		v.offer(p.ref)
	}
	return p.Object.Close()
}
