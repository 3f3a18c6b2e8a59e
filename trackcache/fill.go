package trackcache

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"tutti"
)

// fill has the object of r made and writes it into b, in a goroutine of its own that belongs to the Cache. It does not
// belong to the request that began it: whoever else asks for the object meanwhile reads along, and the fill goes on
// until nobody is left.
func (c *Cache) fill(ctx context.Context, r tutti.Ref, b *blob) {
	defer c.running.Done()
	defer b.cancel()
	err := c.fillShared(ctx, r, b)
	if err == nil {
		err = c.publish(b)
	}
	b.note(func() { b.progress = nil }) // which holds all that the source needed to make it
	c.mu.Lock()
	if err != nil {
		c.filling -= b.written
		if c.blobs[b.name] == b { // abandon may have taken it off already
			delete(c.blobs, b.name)
		}
	}
	c.stay(b)
	c.mu.Unlock()
	if err != nil {
		b.note(func() { b.err = err })
		if ctx.Err() != nil {
			c.stats.fillsStopped.Add(1)
		} else {
			c.stats.fillsFailed.Add(1)
			c.log.Warn("an object could not be made", "library", r.Library, "path", r.Path, "profile", r.Profile.String(), "err", err)
		}
	}
	c.stats.filling.Add(-1)
	c.release(b) // the last to do so removes what a failed fill has written
}

// fillFrom copies the object of r from src into b's folder, by way of w.
func (c *Cache) fillFrom(ctx context.Context, src tutti.Source, r tutti.Ref, b *blob, w *chunkWriter) (err error) {
	const op = "trackcache: fill"
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return diskError(op, err)
	}
	obj, err := src.Open(ctx, r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, obj.Close()) }()
	b.note(func() {
		b.opened = true
		b.contentType, b.modTime, b.size = obj.ContentType(), obj.ModTime(), obj.Size()
		if p, ok := obj.(interface{ Progress() float64 }); ok {
			b.progress = p.Progress
		}
	})
	n, err := obj.CopyRange(ctx, w, 0, -1)
	if w.failed == nil && err != nil && b.lent {
		return err // somebody else may go on
	}
	if err := errors.Join(w.failed, w.close()); err != nil {
		return diskError(op, err) // the copy failed because of it
	}
	if err != nil {
		return err
	}
	if size := obj.Size(); size >= 0 && size != n {
		return tutti.Errorf(tutti.KindUnavailable, op, "the file changed while it was read; try again")
	}
	m := manifest{Format: manifestFormat, Key: b.key, Size: n, ContentType: b.contentType, ModTime: b.modTime, Sums: w.sums}
	line, err := m.encode()
	if err != nil {
		return tutti.Wrap(tutti.KindInternal, op, err)
	}
	f, err := c.create(filepath.Join(b.dir, manifestName))
	if err != nil {
		return diskError(op, err)
	}
	_, err = f.Write(line)
	if err := errors.Join(err, f.Close()); err != nil {
		return diskError(op, err)
	}
	b.note(func() {
		b.size, b.sums = n, w.sums
		b.whole.done(c.clock.Now())
		if n > eagerly {
			b.checked = slices.Repeat([]inspection{b.whole}, len(w.sums))
		}
	})
	return nil
}

// publish moves a filled object to its place. From then on it survives the process.
func (c *Cache) publish(b *blob) error {
	const op = "trackcache: keep"
	dest := c.place(b.name)
	if err := os.MkdirAll(filepath.Dir(dest), 0o700); err != nil {
		return diskError(op, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	b.note(func() {
		// A damaged object that was forgotten may still lie there; a rename does not replace a folder with files in it.
		if err = os.Rename(b.dir, dest); errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) {
			if err = os.RemoveAll(dest); err == nil {
				err = os.Rename(b.dir, dest)
			}
		}
		if err == nil {
			b.dir, b.done, b.loaded = dest, true, true
		}
	})
	if err != nil {
		return diskError(op, err)
	}
	b.last = c.clock.Now()
	b.place = c.lru.add(b, b.size)
	c.filling -= b.size
	return nil
}

// file is what a chunk is written to; tests have it fail.
type file interface {
	io.Writer
	io.Closer
}

func createFile(path string) (file, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// chunkWriter cuts what it is given into chunks and tells the blob's readers of each step.
type chunkWriter struct {
	c      *Cache
	b      *blob
	f      file
	sum    hash.Hash32
	filled int64 // of the current chunk
	sums   []uint32
	failed error // of the disk, which io.Copy's caller cannot tell from the source's

	// What has been written stays when another source begins anew: as many bytes of it are compared rather than written.
	same, compared int64
}

func (w *chunkWriter) Write(p []byte) (int, error) {
	total := 0
	if left := w.same - w.compared; left > 0 && len(p) > 0 {
		known := p[:min(left, int64(len(p)))]
		if err := w.compare(known, w.compared); err != nil {
			return 0, err
		}
		w.compared += int64(len(known))
		p, total = p[len(known):], len(known)
	}
	for len(p) > 0 {
		if w.f == nil {
			w.c.makeRoom(tutti.ChunkSize)
			f, err := w.c.create(filepath.Join(w.b.dir, chunkName(int64(len(w.sums)))))
			if err != nil {
				w.failed = err
				return total, err
			}
			w.f, w.sum, w.filled = f, crc32.New(castagnoli), 0
		}
		part := p[:min(int64(len(p)), tutti.ChunkSize-w.filled)]
		n, err := w.f.Write(part)
		if errors.Is(err, syscall.ENOSPC) && w.c.makeRoomNow() {
			var more int
			more, err = w.f.Write(part[n:])
			n += more
		}
		_, _ = w.sum.Write(part[:n]) // a hash never fails
		w.filled += int64(n)
		total += n
		w.c.grow(int64(n))
		w.b.note(func() { w.b.written += int64(n) })
		if err != nil {
			w.failed = err
			return total, err
		}
		p = p[n:]
		if w.filled == tutti.ChunkSize {
			if err := w.close(); err != nil {
				w.failed = err
				return total, err
			}
		}
	}
	return total, nil
}

// close ends the current chunk.
func (w *chunkWriter) close() error {
	if w.f == nil {
		return nil
	}
	err := w.f.Close()
	w.f = nil
	w.sums = append(w.sums, w.sum.Sum32())
	return err
}

// diskError classifies a failure of the cache's own disk.
func diskError(op string, err error) error {
	msg := "the track cache cannot write to its folder; the server's log says why. Originals still play"
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		msg = "the disk of the track cache is full. Originals still play"
	}
	return &tutti.Error{Kind: tutti.KindUnavailable, Op: op, Message: msg, Err: fmt.Errorf("disk: %w", err)}
}
