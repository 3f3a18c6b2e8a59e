package trackcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"tutti"
)

// Open implements tutti.Source. Where the object's description is known it touches no bytes, unless the origin is known
// to be away: then it says so now rather than when the answer has begun.
func (c *Chunks) Open(ctx context.Context, r tutti.Ref) (tutti.Object, error) {
	const op = "trackcache.Open"
	if err := c.check(op, r); err != nil {
		return nil, err
	}
	if r.Version != "" && !c.guard.isOpen(r.Library) {
		if info, ok := c.described(r.ID()); ok {
			return &opened{c: c, ref: r, info: info, who: byListener}, nil
		}
	}
	return c.openAt(ctx, op, r, 0, byListener)
}

// OpenAt implements tutti.Seeker: it returns when the byte at off can be read.
func (c *Chunks) OpenAt(ctx context.Context, r tutti.Ref, off int64) (tutti.Object, error) {
	const op = "trackcache.Open"
	if err := c.check(op, r); err != nil {
		return nil, err
	}
	if off < 0 {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "an object has no offset %d", off)
	}
	return c.openAt(ctx, op, r, off, byListener)
}

func (c *Chunks) openAt(ctx context.Context, op string, r tutti.Ref, off int64, who asker) (tutti.Object, error) {
	if r.Version == "" {
		return c.openDirect(ctx, r)
	}
	if info, ok := c.described(r.ID()); ok && off >= info.Size && off > 0 {
		return &opened{c: c, ref: r, info: info, who: who}, nil // CopyRange says what is wrong with off
	}
	h, err := c.get(ctx, r, off/tutti.ChunkSize, who)
	if err != nil {
		return nil, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	if h.mem != nil {
		at := int(off % tutti.ChunkSize)
		if err := h.mem.until(ctx, func() bool { return h.mem.have > at || h.mem.done }); err != nil {
			return nil, tutti.Wrap(tutti.KindUnavailable, op, err)
		}
	}
	return &opened{c: c, ref: r, info: h.info, who: who, first: &h, firstN: off / tutti.ChunkSize}, nil
}

// opened is an opened original. It stays with the state of the object that it was opened in.
type opened struct {
	c    *Chunks
	ref  tutti.Ref
	info tutti.ObjectInfo
	who  asker

	mu     sync.Mutex
	first  *heldChunk // what OpenAt got, until somebody reads it
	firstN int64
}

func (o *opened) Size() int64         { return o.info.Size }
func (o *opened) ModTime() time.Time  { return o.info.ModTime }
func (o *opened) ContentType() string { return o.info.ContentType }

// Proven implements tutti.Prover: whether the original's seal is known, with which its chunks are compared before they
// leave. Where it is not, it is looked for, and found the next time.
func (o *opened) Proven() bool {
	s, id := o.c.seals, o.ref.ID()
	s.mu.Lock()
	k, ok := s.known[id]
	s.mu.Unlock()
	if ok && k.seal != nil {
		return sameState(k.seal.info, o.info)
	}
	o.c.background(o.c.hints, &o.c.stats.hintsDropped, func() {
		a := s.ask(o.c.ctx, id)
		defer a.end()
		a.wait(o.info)
	})
	return false
}

// Close implements io.Closer. Closing twice is harmless.
func (o *opened) Close() error {
	if h := o.takeFirst(-1); h != nil {
		h.close()
	}
	return nil
}

// takeFirst hands out what OpenAt got, if it is chunk n, or n is negative.
func (o *opened) takeFirst(n int64) *heldChunk {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.first
	if h == nil || n >= 0 && n != o.firstN {
		return nil
	}
	o.first = nil
	return h
}

// rereads is how often one CopyRange goes back for a chunk that turned out to be damaged while it was being read.
const rereads = 3

// CopyRange implements tutti.Object.
func (o *opened) CopyRange(ctx context.Context, w io.Writer, off, n int64) (total int64, err error) {
	if err := checkRange(ctx, off, o.info.Size); err != nil {
		return 0, err
	}
	end := o.info.Size
	if n >= 0 && n < end-off {
		end = off + n
	}
	for again := 0; off < end; {
		i := off / tutti.ChunkSize
		h, err := o.chunk(ctx, i)
		if err != nil {
			return total, err
		}
		to := min(end, (i+1)*tutti.ChunkSize)
		m, err := o.copyChunk(ctx, w, h, i, off, to)
		h.close()
		total += m
		off += m
		var spoiled *spoiledError
		switch {
		case errors.As(err, &spoiled) && again < rereads:
			again++
			o.c.disk.spoiled(tutti.ChunkID{Object: o.ref.ID(), N: i}, h.disk, spoiled.err)
		case errors.Is(err, errMoved): // and is opened there
		case err != nil:
			return total, err
		}
		if err := ctx.Err(); err != nil {
			return total, tutti.Wrap(tutti.KindUnavailable, "trackcache: read", err)
		}
	}
	return total, nil
}

// chunk returns chunk i in the state that the object was opened in.
func (o *opened) chunk(ctx context.Context, i int64) (heldChunk, error) {
	if h := o.takeFirst(i); h != nil {
		return *h, nil
	}
	h, err := o.c.get(ctx, o.ref, i, o.who)
	if err != nil {
		return h, err
	}
	if !sameState(h.info, o.info) {
		h.close()
		return h, tutti.Errorf(tutti.KindUnavailable, "trackcache: read", "the file changed while it was read; try again")
	}
	return h, nil
}

// spoiledError says that what lies on the disk cannot be read, rather than that the listener is gone.
type spoiledError struct{ err error }

func (e *spoiledError) Error() string { return e.err.Error() }
func (e *spoiledError) Unwrap() error { return e.err }

// copyChunk copies the bytes from off to to, both in chunk i, in two parts where they include its middle: between them
// it is clear that somebody listens.
func (o *opened) copyChunk(ctx context.Context, w io.Writer, h heldChunk, i, off, to int64) (total int64, err error) {
	length := chunkLength(o.info.Size, i)
	half := i*tutti.ChunkSize + length/2
	for off < to {
		part := to
		if o.who == byListener && off <= half && half < to {
			part = half + 1
		}
		var m int64
		if h.file != nil {
			m, err = o.copyFile(w, h.file, off-i*tutti.ChunkSize, part-off)
		} else {
			m, err = o.copyMemory(ctx, w, h.mem, int(off-i*tutti.ChunkSize), int(part-i*tutti.ChunkSize))
		}
		total += m
		off += m
		if err != nil {
			return total, err
		}
		if o.who == byListener && part == half+1 {
			o.c.listening(o.ref, o.info, i)
		}
	}
	return total, nil
}

// copyFile hands w the file behind an io.LimitedReader, so that a connection can use sendfile.
func (o *opened) copyFile(w io.Writer, f *os.File, at, n int64) (int64, error) {
	if _, err := f.Seek(chunkHeader+at, io.SeekStart); err != nil {
		return 0, &spoiledError{err}
	}
	m, err := io.Copy(w, &io.LimitedReader{R: f, N: n})
	o.c.stats.bytesDisk.Add(m)
	switch {
	case errors.Is(err, syscall.EIO):
		err = &spoiledError{err}
	case err == nil && m < n:
		err = &spoiledError{fmt.Errorf("%w: the file ends early", errCorrupt)}
	}
	return m, err
}

// errMoved says that a chunk lies on the disk by now, and the rest is to be read from there.
var errMoved = errors.New("the chunk lies on the disk by now")

// memoryPiece is how much of a chunk in memory is written at a time: whoever reads slowly holds the chunk no longer than
// that takes.
const memoryPiece = 64 << 10

// copyMemory copies from a chunk in memory, as far as it has come.
func (o *opened) copyMemory(ctx context.Context, w io.Writer, ch *chunk, from, to int) (total int64, err error) {
	for from < to {
		var piece []byte
		moved := false
		err := ch.until(ctx, func() bool {
			if moved = ch.moved; !moved && ch.have > from {
				piece = ch.buf[from:min(ch.have, to, from+memoryPiece)]
			}
			return moved || piece != nil
		})
		if moved {
			err = errMoved
		}
		if err != nil {
			return total, err
		}
		m, err := w.Write(piece)
		total += int64(m)
		from += m
		o.c.stats.bytesMemory.Add(int64(m))
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// ReadAt implements io.ReaderAt. It is how tags and pictures are read, and counts as no listening.
func (o *opened) ReadAt(p []byte, off int64) (int, error) {
	w := sliceWriter(p)
	quiet := &opened{c: o.c, ref: o.ref, info: o.info, who: byOurselves}
	n, err := quiet.CopyRange(context.Background(), &w, off, int64(len(p)))
	if err == nil && n < int64(len(p)) {
		err = io.EOF
	}
	return int(n), err
}

// OpenRange implements tutti.RangeSource for listeners of this member.
func (c *Chunks) OpenRange(ctx context.Context, r tutti.Ref, off, n int64, tag string) (io.ReadCloser, tutti.ObjectInfo, error) {
	return c.openRange(ctx, r, off, n, tag, byListener)
}

func (c *Chunks) openRange(ctx context.Context, r tutti.Ref, off, n int64, tag string, who asker) (io.ReadCloser, tutti.ObjectInfo, error) {
	const op = "trackcache.OpenRange"
	if err := c.check(op, r); err != nil {
		return nil, tutti.ObjectInfo{}, err
	}
	if r.Version == "" {
		return c.guard.OpenRange(ctx, r, off, n, tag)
	}
	if off < 0 {
		return nil, tutti.ObjectInfo{}, tutti.Errorf(tutti.KindInvalid, op, "an object has no offset %d", off)
	}
	obj, err := c.openAt(ctx, op, r, off, who)
	if err != nil {
		return nil, tutti.ObjectInfo{}, err
	}
	o := obj.(*opened)
	switch {
	case tag != "" && tag != o.info.Tag:
		err = tutti.Errorf(tutti.KindConflict, op, "the file has changed; try again")
		c.doubt(r, o.info)
	case off > o.info.Size:
		err = checkRange(ctx, off, o.info.Size)
	}
	if err != nil {
		return nil, o.info, errors.Join(err, o.Close())
	}
	if n < 0 || n > o.info.Size-off {
		n = o.info.Size - off
	}
	return &rangeReader{ctx: ctx, o: o, off: off, left: n}, o.info, nil
}

// rangeReader reads a range of an opened object; a negative left is all there is. Its WriteTo keeps the way to sendfile
// open.
type rangeReader struct {
	ctx       context.Context
	o         tutti.Object
	off, left int64
}

func (r *rangeReader) WriteTo(w io.Writer) (int64, error) {
	n, err := r.o.CopyRange(r.ctx, w, r.off, r.left)
	r.off += n
	if r.left >= 0 {
		r.left -= n
	}
	return n, err
}

// Read implements io.Reader. Each call finds its chunk anew, so it is for small ranges; io.Copy uses WriteTo.
func (r *rangeReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if r.left > 0 {
		p = p[:min(int64(len(p)), r.left)]
	}
	w := sliceWriter(p)
	n, err := r.o.CopyRange(r.ctx, &w, r.off, int64(len(p)))
	r.off += n
	if r.left > 0 {
		r.left -= n
	}
	if n == 0 && err == nil && len(p) > 0 {
		err = io.EOF
	}
	return int(n), err
}

func (r *rangeReader) Close() error { return r.o.Close() }

// doubt asks the origin whether an object still is in the state that is known here, because another member knows
// another one.
func (c *Chunks) doubt(r tutti.Ref, info tutti.ObjectInfo) {
	c.background(c.hints, &c.stats.hintsDropped, func() {
		rc, now, err := c.guard.OpenRange(c.ctx, r, 0, 1, info.Tag)
		switch {
		case tutti.IsKind(err, tutti.KindConflict), err == nil && !sameState(now, info):
			c.forget(r.ID(), info)
		case err != nil:
			c.log.Debug("the origin was not asked whether an original changed", "err", err)
		}
		if rc != nil {
			_ = rc.Close() // a byte that nobody wants
		}
	})
}

// openDirect opens what has no version, and so cannot be kept: a picture beside the music.
func (c *Chunks) openDirect(ctx context.Context, r tutti.Ref) (tutti.Object, error) {
	rc, info, err := c.guard.OpenRange(ctx, r, 0, -1, "")
	if err != nil {
		return nil, err
	}
	if info.Size < 0 || info.Size > maxPicture {
		return nil, errors.Join(tutti.Errorf(tutti.KindExhausted, "trackcache.Open", "a file without a version can have %d MiB at most", maxPicture>>20), rc.Close())
	}
	data := make([]byte, info.Size)
	_, err = io.ReadFull(rc, data)
	if err := errors.Join(err, rc.Close()); err != nil {
		return nil, tutti.Wrap(tutti.KindUnavailable, "trackcache.Open", err)
	}
	return &held{piece: &piece{data: data, contentType: info.ContentType, modTime: info.ModTime}}, nil
}

// neighbour is what the Chunks are to other members.
type neighbour struct{ c *Chunks }

// Neighbour is what other members may ask of this one; peer serves it.
func (c *Chunks) Neighbour() tutti.Neighbour { return neighbour{c} }

func (n neighbour) OpenRange(ctx context.Context, r tutti.Ref, off, count int64, tag string) (io.ReadCloser, tutti.ObjectInfo, error) {
	return n.c.openRange(ctx, r, off, count, tag, byNeighbour)
}

func (n neighbour) Warm(_ context.Context, r tutti.Ref, chunk int64, fetch bool) error {
	return n.c.warm(r, chunk, fetch)
}

// maxHeld bounds what one Held is asked: an object of a TiB.
const maxHeld = 1 << 20

func (n neighbour) Held(_ context.Context, r tutti.Ref, count int64) ([]byte, error) {
	const op = "trackcache.Held"
	if err := n.c.check(op, r); err != nil {
		return nil, err
	}
	if count < 0 || count > maxHeld {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "an object of %d chunks", count)
	}
	return n.c.held(r.ID(), count), nil
}

// held is the bitmap of the chunks that lie here.
func (c *Chunks) held(object string, count int64) []byte {
	bits := make([]byte, (count+7)/8)
	for i := range count {
		id := tutti.ChunkID{Object: object, N: i}
		c.mu.Lock()
		here := c.memory[id] != nil
		c.mu.Unlock()
		if here || c.disk.has(id) {
			bits[i/8] |= 1 << (i % 8)
		}
	}
	return bits
}

// Prepare says what is known of an object, and counts a start of it. It waits for nobody, unless the origin is away: then it
// asks the other members, within 50 ms, and returns KindUnavailable for what is not wholly in reach.
func (c *Chunks) Prepare(ctx context.Context, r tutti.Ref) (tutti.Readiness, error) {
	const op = "trackcache.Prepare"
	if err := c.check(op, r); err != nil {
		return tutti.Readiness{}, err
	}
	if r.Version == "" {
		return tutti.Readiness{Size: -1}, nil
	}
	id := tutti.ChunkID{Object: r.ID()}
	ready := tutti.Readiness{Size: -1}
	if c.fleet != nil {
		for _, m := range c.fleet.Owners(id, tutti.Replicas) {
			ready.Owners = append(ready.Owners, m.Address)
		}
	}
	if _, ok := c.described(id.Object); !ok {
		if f, cf, _ := c.disk.open(id); f != nil { // an earlier process had it
			_ = f.Close()
			c.agree(id.Object, cf.info)
		}
	}
	info, ok := c.described(id.Object)
	if ok {
		ready.Size, ready.ContentType = info.Size, info.ContentType
	}
	if c.guard.isOpen(r.Library) {
		if !ok || !c.inReach(ctx, r, info) {
			c.guard.wanted(r)
			return ready, awayError()
		}
		ready.Ready = true
		return ready, nil
	}
	c.disk.asked(id) // it is as much in use as if its bytes were asked for here, and not of nginx
	c.played(r)
	c.mu.Lock()
	ch := c.memory[id]
	if ch == nil {
		ch = c.filling[id]
	}
	c.mu.Unlock()
	if ch != nil {
		ch.mu.Lock()
		defer ch.mu.Unlock()
		ready.Ready = ch.have > 0 || ch.done
		return ready, nil
	}
	if ready.Ready = c.disk.has(id); !ready.Ready {
		return ready, c.warm(r, 0, true)
	}
	return ready, nil
}

// inReach reports whether every chunk of an object lies with an owner that answers. Who does not say in time what it
// has counts as having nothing, because it would not send it in time either: what only it has cannot be played now, and
// a listener is told so before the answer has begun. Of what is played often its other owner has a copy.
func (c *Chunks) inReach(ctx context.Context, r tutti.Ref, info tutti.ObjectInfo) bool {
	count := chunks(info.Size)
	bits := c.held(r.ID(), count)
	if c.fleet != nil && !full(bits, count) {
		self := c.fleet.Self().ID
		answers := make(chan []byte)
		asked := 0
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for _, m := range c.ownersOf(r.ID(), count) {
			if m.ID == self {
				continue
			}
			asked++
			c.running.Add(1) // a request is running, so Close has not got past its wait
			go func() {
				defer c.running.Done()
				b, err := c.askHeld(ctx, m, r, count)
				if err != nil {
					c.log.Debug("another member did not say what it has", "member", m.ID, "err", err)
				}
				select {
				case answers <- b:
				case <-ctx.Done():
				}
			}()
		}
		for ; asked > 0; asked-- {
			select {
			case b := <-answers:
				for i := range min(len(b), len(bits)) {
					bits[i] |= b[i]
				}
			case <-ctx.Done():
				return false
			}
			if full(bits, count) {
				return true
			}
		}
	}
	return full(bits, count)
}

// ownersOf returns the members that own a chunk of an object of so many: those who would be asked for it.
func (c *Chunks) ownersOf(object string, count int64) []tutti.Member {
	var out []tutti.Member
	for n := range count {
		for _, m := range c.fleet.Owners(tutti.ChunkID{Object: object, N: n}, tutti.Replicas) {
			if !slices.ContainsFunc(out, func(o tutti.Member) bool { return o.ID == m.ID }) {
				out = append(out, m)
			}
		}
	}
	return out
}

func full(bits []byte, count int64) bool {
	for i := range count {
		if !bit(bits, i) {
			return false
		}
	}
	return true
}
