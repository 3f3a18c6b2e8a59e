package trackcache

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // to compare with what object stores say, not against forgery
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
	"tutti/trackcache/policy"
)

// A seal is what the bytes of an object are, block by block: taken once, when the object was first read as a whole, and
// kept in the store. From then on no byte of the object leaves a fill before its block has been compared, whichever
// member, head or origin it came from. Before, an object is as whole as the transport made it.
//
// Blocks are smaller than chunks so that a listener who reads along waits for 64 KiB and not for a MiB. Eight bytes of
// SHA-256 a block find every accident and make a forgery 2⁶⁴ attempts; a seal of an hour of FLAC is 50 KB.
//
// The item's value is: "tuttisel", format (4 bytes), CRC-32C of all that follows (4), size (8), time of change (8),
// length of the tag (2), the tag, and the sums.
const (
	sealMagic  = "tuttisel"
	sealFormat = 1
	sealBlock  = 64 << 10
	sealSum    = 8
	sealHeader = 8 + 4 + 4 + 8 + 8 + 2
)

type seal struct {
	info tutti.ObjectInfo // without a content type
	sums []byte
}

func sealKey(object string) store.Key { return store.Key{PK: "seal#" + object, SK: "seal"} }

func sealBlocks(size int64) int64 { return (size + sealBlock - 1) / sealBlock }

func (s seal) encode() []byte {
	b := make([]byte, 16, sealHeader+len(s.info.Tag)+len(s.sums))
	copy(b, sealMagic)
	binary.BigEndian.PutUint32(b[8:], sealFormat)
	b = binary.BigEndian.AppendUint64(b, uint64(s.info.Size))
	b = binary.BigEndian.AppendUint64(b, unixNano(s.info.ModTime))
	b = binary.BigEndian.AppendUint16(b, uint16(len(s.info.Tag)))
	b = append(b, s.info.Tag...)
	b = append(b, s.sums...)
	binary.BigEndian.PutUint32(b[12:], crc32.Checksum(b[16:], castagnoli))
	return b
}

// parseSeal accepts exactly what encode writes.
func parseSeal(b []byte) (s seal, err error) {
	if len(b) < sealHeader || string(b[:8]) != sealMagic {
		return s, fmt.Errorf("%w: no seal", errCorrupt)
	}
	if v := binary.BigEndian.Uint32(b[8:]); v != sealFormat {
		return s, fmt.Errorf("%w: a seal of format %d", errCorrupt, v)
	}
	if sum := crc32.Checksum(b[16:], castagnoli); sum != binary.BigEndian.Uint32(b[12:]) {
		return s, fmt.Errorf("%w: the seal's checksum is %08x", errCorrupt, sum)
	}
	s.info.Size = int64(binary.BigEndian.Uint64(b[16:]))
	s.info.ModTime = timeOf(binary.BigEndian.Uint64(b[24:]))
	n := int(binary.BigEndian.Uint16(b[32:]))
	if n > len(b)-sealHeader {
		return s, fmt.Errorf("%w: the seal's tag", errCorrupt)
	}
	s.info.Tag, s.sums = string(b[sealHeader:sealHeader+n]), b[sealHeader+n:]
	if s.info.Size < 0 || s.info.Size > store.MaxValue*sealBlock || int64(len(s.sums)) != sealBlocks(s.info.Size)*sealSum {
		return s, fmt.Errorf("%w: a seal of %d bytes for %d", errCorrupt, len(s.sums), s.info.Size)
	}
	return s, nil
}

// seals keeps what the store says, so that a track costs one reading.
type seals struct {
	store store.Store
	clock clock.Clock

	read, missing, failed, taken, refused, revoked atomic.Int64
	away                                           pause

	mu    sync.Mutex
	known map[string]knownSeal
	kept  *policy.S3FIFO[string]
}

type knownSeal struct {
	*seal // nil: the store has none
	at    time.Time
}

const (
	maxSeals = 4096 // remembered: 5 KB each for a track of 40 MB
	unsealed = 10 * time.Minute
	// sealWait bounds what the store may hold up a fill. It is longer than storeWait: what is let go unseen may be wrong,
	// and the origin is asked meanwhile. Who has waited so long in vain does not wait again for a while.
	sealWait = 500 * time.Millisecond
)

func newSeals(c ChunksConfig) *seals {
	return &seals{store: c.Store, clock: c.Clock, known: map[string]knownSeal{}, kept: policy.NewS3FIFO[string](maxSeals)}
}

func (s *seals) forget(object string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept.Remove(object)
	delete(s.known, object)
}

func (s *seals) remember(object string, k knownSeal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.kept.Hit(object) {
		for _, old := range s.kept.Add(object, 1) {
			delete(s.known, old)
		}
	}
	s.known[object] = k
}

// askedSeal is a seal that is on its way. One fill has it.
type askedSeal struct {
	answer chan sealAnswer // nil where it is known already
	cancel context.CancelFunc
	waited bool
	sealAnswer
}

// sealAnswer is what is known of an object's seal.
type sealAnswer struct {
	seal *seal
	sure bool // the store has said so just now: it has this one, or none
}

// ask begins to look for an object's seal, so that the origin can be asked meanwhile.
func (s *seals) ask(ctx context.Context, object string) *askedSeal {
	if s.store == nil {
		return &askedSeal{waited: true, sealAnswer: sealAnswer{sure: true}} // nothing is ever sealed
	}
	now := s.clock.Now()
	s.mu.Lock()
	k, ok := s.known[object]
	s.mu.Unlock()
	if ok && (k.seal != nil || now.Sub(k.at) < unsealed) {
		return &askedSeal{waited: true, sealAnswer: sealAnswer{k.seal, k.seal != nil}}
	}
	if s.away.now(now) {
		return &askedSeal{waited: true}
	}
	ctx, cancel := within(ctx, s.clock, sealWait)
	a := &askedSeal{answer: make(chan sealAnswer, 1), cancel: cancel}
	go func() { // ends with the fill, which waits for it
		a.answer <- s.get(ctx, object)
	}()
	return a
}

// end waits for an answer that nobody wanted.
func (a *askedSeal) end() {
	if a.cancel == nil {
		return
	}
	a.cancel()
	if !a.waited {
		a.waited = true
		<-a.answer
	}
}

func (s *seals) get(ctx context.Context, object string) sealAnswer {
	asked := s.clock.Now()
	item, err := s.store.Get(ctx, sealKey(object))
	switch {
	case tutti.IsKind(err, tutti.KindNotFound):
		s.missing.Add(1)
		s.remember(object, knownSeal{at: s.clock.Now()})
		return sealAnswer{sure: true}
	case errors.Is(err, context.Canceled) && ctx.Err() != nil && s.clock.Now().Sub(asked) < sealWait:
		return sealAnswer{} // the fill ended before
	case err != nil:
		s.failed.Add(1)
		s.away.begin(s.clock.Now())
		return sealAnswer{}
	}
	found, err := parseSeal(item.Value)
	if err != nil {
		s.failed.Add(1)
		s.remember(object, knownSeal{at: s.clock.Now()})
		return sealAnswer{sure: true}
	}
	s.read.Add(1)
	s.remember(object, knownSeal{&found, s.clock.Now()})
	return sealAnswer{&found, true}
}

// wait returns the sums to compare with: none where there is no seal of this state of the object, or the store does not
// say in time. It is the same for all of one fill.
func (a *askedSeal) wait(info tutti.ObjectInfo) sums {
	if !a.waited {
		a.waited = true
		a.sealAnswer = <-a.answer // its context ends it in time
	}
	if a.seal == nil || !sameState(a.seal.info, info) {
		return nil
	}
	return a.seal.sums
}

// sums are the seal of an object's blocks; nil knows nothing and finds all well.
type sums []byte

// check compares what has been read of a chunk but not let go, up to filled bytes, and returns how much may be.
func (s sums) check(ch *chunk, filled int) (sound int, err error) {
	if s == nil {
		return filled, nil
	}
	sound = ch.have
	for sound < filled {
		end := min(sound-sound%sealBlock+sealBlock, len(ch.buf))
		if end > filled {
			return sound, nil
		}
		block := sound - sound%sealBlock
		i := (ch.id.N*tutti.ChunkSize + int64(block)) / sealBlock * sealSum
		sum := sha256.Sum256(ch.buf[block:end])
		if string(sum[:sealSum]) != string(s[i:i+sealSum]) {
			return sound, &otherBlock{i / sealSum, sum}
		}
		sound = end
	}
	return sound, nil
}

// proven compares a chunk that was filled without knowing its object's seal with it, if the store says it now. sure is
// whether it needs no more comparing, sound whether the bytes may be sent.
func (c *Chunks) proven(ctx context.Context, id tutti.ChunkID, info tutti.ObjectInfo, read func() ([]byte, error)) (sure, sound bool) {
	a := c.seals.ask(ctx, id.Object)
	defer a.end()
	blocks := a.wait(info)
	if blocks == nil {
		return a.sure, true
	}
	data, err := read()
	if err == nil {
		_, err = blocks.check(&chunk{id: id, buf: data}, len(data))
	}
	if err != nil {
		c.stats.mismatched.Add(1)
		c.log.Error("what was kept of an original is not what its seal says; it is fetched again", "object", id.Object, "chunk", id.N, "err", err)
	}
	return true, err == nil
}

// provenFile is proven for a chunk on the disk.
func (c *Chunks) provenFile(ctx context.Context, id tutti.ChunkID, f *os.File, cf chunkFile, e *diskChunk) bool {
	if !cf.unproven {
		return true
	}
	sure, sound := c.proven(ctx, id, cf.info, func() ([]byte, error) {
		data := make([]byte, cf.length)
		_, err := f.ReadAt(data, chunkHeader)
		return data, err
	})
	if sure && sound {
		c.disk.prove(e)
	}
	return sound
}

// provenMemory is proven for a chunk in memory.
func (c *Chunks) provenMemory(ctx context.Context, ch *chunk) bool {
	ch.mu.Lock()
	due, data := ch.done && ch.unproven && !ch.moved, ch.buf
	ch.mu.Unlock()
	if !due {
		return true
	}
	sure, sound := c.proven(ctx, ch.id, ch.info, func() ([]byte, error) { return data, nil })
	if sure && sound {
		ch.note(func() { ch.unproven = false })
	}
	return sound
}

// otherBlock is the error of bytes that are not those of the seal.
type otherBlock struct {
	block int64
	sum   [sha256.Size]byte
}

var errOther = tutti.Errorf(tutti.KindUnavailable, "trackcache: fill", "the bytes that came are not those of the file; try again")

func (e *otherBlock) Error() string { return errOther.Error() }
func (e *otherBlock) Unwrap() error { return errOther }

// revoke deletes a seal of which the origin sends the same other block again and again, without being able to say that
// it is not the file's (it vouches for no MD5): then it is more likely that other bytes were sealed than that the same
// accident happens twice. The fill goes on without.
func (s *seals) revoke(ctx context.Context, object string, a *askedSeal) error {
	ctx, cancel := within(ctx, s.clock, hintLimit)
	defer cancel()
	if err := s.store.Delete(ctx, sealKey(object), store.Always); err != nil {
		return err
	}
	s.revoked.Add(1)
	s.remember(object, knownSeal{at: s.clock.Now()})
	a.sealAnswer = sealAnswer{sure: true}
	return nil
}

// Sealer takes the sums of an original that is written to it, for Chunks.Seal.
type Sealer struct {
	sums       []byte
	block, md5 hash.Hash
	n          int64 // in the current block
	size       int64
}

// NewSealer returns a Sealer that has been given nothing.
func NewSealer() *Sealer { return &Sealer{block: sha256.New(), md5: md5.New()} }

// Write implements io.Writer. It never fails.
func (s *Sealer) Write(p []byte) (int, error) {
	total := len(p)
	s.size += int64(total)
	_, _ = s.md5.Write(p) // a hash never fails
	for len(p) > 0 {
		part := p[:min(int64(len(p)), sealBlock-s.n)]
		_, _ = s.block.Write(part)
		s.n += int64(len(part))
		p = p[len(part):]
		if s.n == sealBlock {
			s.end()
		}
	}
	return total, nil
}

func (s *Sealer) end() {
	if s.n > 0 {
		s.sums = append(s.sums, s.block.Sum(nil)[:sealSum]...)
		s.block.Reset()
		s.n = 0
	}
}

// Verifies reports whether this member is the one to take an original's seal, for which all of it is read: the first
// owner of its end, when somebody has listened to that, or of its beginning, when that has been played twice.
func (c *Chunks) Verifies(r tutti.Ref) bool {
	id := r.ID()
	c.mu.Lock()
	o := c.objects[id]
	if o == nil {
		c.mu.Unlock()
		return false
	}
	plays, heard, last := o.plays, o.heard, max(0, chunks(o.info.Size)-1)
	c.mu.Unlock()
	return plays >= maxPlays && c.rank(tutti.ChunkID{Object: id}) == 0 || heard && c.rank(tutti.ChunkID{Object: id, N: last}) == 0
}

// OpenToVerify is Open for whoever reads all of an original to know its bytes: it counts as no listening.
func (c *Chunks) OpenToVerify(ctx context.Context, r tutti.Ref) (tutti.Object, error) {
	const op = "trackcache: verify"
	if err := c.check(op, r); err != nil {
		return nil, err
	}
	return c.openAt(ctx, op, r, 0, byOurselves)
}

// Seal keeps what the bytes of an original are, of which an object of OpenToVerify was read as a whole. Where the origin
// vouches for the MD5 of these bytes they are sealed. Else the origin is read once more: the chunks that are not the same
// are dropped, and the error is KindUnavailable.
func (c *Chunks) Seal(ctx context.Context, r tutti.Ref, s *Sealer) error {
	const op = "trackcache.Seal"
	s.end()
	id := r.ID()
	info, ok := c.described(id)
	if !ok || info.Size != s.size {
		return tutti.Errorf(tutti.KindUnavailable, op, "the file changed while it was read; try again")
	}
	if info.MD5 == nil { // what is known is from the disk, which does not have it; the origin may
		rc, now, err := c.guard.OpenRange(ctx, r, 0, 1, info.Tag)
		if err != nil {
			return err
		}
		info.MD5 = now.MD5
		if err := rc.Close(); err != nil {
			return tutti.Wrap(tutti.KindUnavailable, op, err)
		}
	}
	if !bytes.Equal(info.MD5, s.md5.Sum(nil)) {
		err := c.compare(ctx, r, info, s)
		if err == nil && info.MD5 != nil {
			err = tutti.Errorf(tutti.KindUnavailable, op, "the storage of the music vouches for other bytes than it sends")
		}
		if err != nil {
			c.seals.refused.Add(1)
			return err
		}
	}
	info.ContentType, info.MD5 = "", nil
	found := &seal{info: info, sums: s.sums}
	value := found.encode()
	if c.store == nil || len(value) > store.MaxValue {
		return nil // an original of more than 2.8 GB goes unsealed
	}
	if _, err := c.store.Put(ctx, sealKey(id), value, time.Time{}, store.Always); err != nil {
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	c.seals.remember(id, knownSeal{found, c.clock.Now()})
	c.seals.taken.Add(1)
	return nil
}

// compare reads an original from the origin and drops the chunks that are not the same. With some it returns an error.
func (c *Chunks) compare(ctx context.Context, r tutti.Ref, info tutti.ObjectInfo, s *Sealer) error {
	const op = "trackcache.Seal"
	rc, _, err := c.guard.OpenRange(ctx, r, 0, -1, info.Tag)
	if err != nil {
		return err
	}
	own := NewSealer()
	_, err = io.Copy(own, rc)
	if err := errors.Join(err, rc.Close()); err != nil {
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	own.end()
	if own.size != s.size {
		return tutti.Errorf(tutti.KindUnavailable, op, "the file changed while it was read; try again")
	}
	var bad int64
	for i := range sealBlocks(s.size) {
		if string(own.sums[i*sealSum:(i+1)*sealSum]) == string(s.sums[i*sealSum:(i+1)*sealSum]) {
			continue
		}
		bad++
		k := tutti.ChunkID{Object: r.ID(), N: i * sealBlock / tutti.ChunkSize}
		c.disk.drop(k, nil)
		c.mu.Lock()
		delete(c.memory, k)
		c.inMemory.Remove(k)
		c.mu.Unlock()
	}
	if bad == 0 {
		return nil
	}
	c.stats.mismatched.Add(bad)
	c.log.Error("what was kept of an original is not what the origin has; it was dropped", "library", r.Library, "path", r.Path, "blocks", bad)
	return tutti.Errorf(tutti.KindUnavailable, op, "%d blocks of the file were damaged on the way; they are fetched again", bad)
}
