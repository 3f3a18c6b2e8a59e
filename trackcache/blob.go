package trackcache

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tutti"
	"tutti/clock"
)

// blob is an object on disk, complete or still being filled. Its folder holds its chunks, each a file of its own that
// never changes once the next one is begun.
type blob struct {
	key  string
	name string // of its folder: a hash of the key

	// Guarded by the Cache's mu.
	refs   int          // those who have it open, and the fill itself
	place  *slot[*blob] // nil while it is being filled
	linger clock.Timer  // stops the fill when it fires
	left   bool         // somebody has read from it, or waited for it, since the fill began
	scarce bool         // the fill has, or waits for, one of the transcoder's places
	cancel context.CancelFunc
	last   time.Time // its manifest's modification time, as far as known

	mu          sync.Mutex
	changed     chan struct{} // closed, and replaced, when something below changes
	dir         string
	opened      bool // the source answered: content type and perhaps size are known
	loaded      bool // the manifest was read, or everything was written by this process
	contentType string
	modTime     time.Time
	size        int64 // -1 while unknown
	written     int64 // bytes that can be read, without a gap from 0
	done        bool  // complete
	err         error // the fill failed
	lent        bool  // another member makes it, as far as is known
	sums        []uint32
	whole       inspection   // of an object up to eagerly bytes
	checked     []inspection // of the chunks of a larger one; nil else
	progress    func() float64
}

func newBlob(key, dir string) *blob {
	return &blob{key: key, name: nameOf(key), dir: dir, size: -1, changed: make(chan struct{})}
}

// note changes the blob and wakes those who wait for it.
func (b *blob) note(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
	close(b.changed)
	b.changed = make(chan struct{})
}

// until waits for a condition on the blob, which is checked with mu held.
func (b *blob) until(ctx context.Context, met func() bool) error {
	for {
		b.mu.Lock()
		ok, changed := met(), b.changed
		b.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return tutti.Wrap(tutti.KindUnavailable, "trackcache: wait for the object", context.Cause(ctx))
		}
	}
}

// ready waits for the first bytes, or, with all, for all of them, and returns the error of a fill that failed.
func (b *blob) ready(ctx context.Context, all bool) error {
	var failed error
	err := b.until(ctx, func() bool {
		failed = b.err
		return b.written > 0 && !all || b.done || failed != nil
	})
	return errors.Join(err, failed)
}

// filled is the share of the whole that has been filled, 0 where that is not known.
func (b *blob) filled() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.done:
		return 1
	case b.size > 0:
		return float64(b.written) / float64(b.size)
	case b.progress != nil:
		return b.progress()
	}
	return 0
}

var errCorrupt = errors.New("the cached bytes are not those that were written")

// openChunk opens chunk i for reading. Those of an object of more than eagerly bytes are compared with their checksum
// when that is due.
func (b *blob) openChunk(i int64, now time.Time) (*os.File, error) {
	b.mu.Lock()
	f, err := os.Open(filepath.Join(b.dir, chunkName(i)))
	if err != nil && b.done && errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%w: chunk %d is missing", errCorrupt, i)
	}
	check := err == nil && b.done && b.checked != nil && b.checked[i].due(now)
	b.mu.Unlock()
	if err != nil || !check {
		return f, err
	}
	if err := b.compare(i, f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.checked[i].done(now)
	return f, nil
}

// compare compares all of chunk i, which f is, with its checksum.
func (b *blob) compare(i int64, f *os.File) error {
	sum := crc32.New(castagnoli)
	n, err := io.Copy(sum, f)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil && (n != chunkLength(b.size, i) || sum.Sum32() != b.sums[i]) {
		err = fmt.Errorf("%w: chunk %d", errCorrupt, i)
	}
	return err
}

// load reads the manifest of a blob that was found on disk, and checks it: every chunk's length, and every checksum
// of an object up to eagerly bytes, now and when that is due again. Larger ones have theirs checked chunk by chunk as they
// are read.
func (b *blob) load(now time.Time) error {
	b.mu.Lock()
	if !b.loaded {
		if err := b.readManifest(); err != nil {
			b.mu.Unlock()
			return err
		}
	}
	check := b.done && b.checked == nil && b.whole.due(now)
	count := int64(len(b.sums))
	b.mu.Unlock()
	if !check {
		return nil
	}
	for i := range count {
		f, err := b.openChunk(i, now)
		if err != nil {
			return err
		}
		if err := errors.Join(b.compare(i, f), f.Close()); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.whole.done(now)
	return nil
}

// readManifest is the first part of load. b.mu is held.
func (b *blob) readManifest() error {
	m, err := readManifest(filepath.Join(b.dir, manifestName))
	if err == nil && m.Key != b.key {
		err = fmt.Errorf("%w: the manifest is of %q", errCorrupt, m.Key)
	}
	if err != nil {
		return err
	}
	for i := range m.Sums {
		fi, err := os.Stat(filepath.Join(b.dir, chunkName(int64(i))))
		if err == nil && fi.Size() != chunkLength(m.Size, int64(i)) {
			err = fmt.Errorf("%w: chunk %d has %d bytes", errCorrupt, i, fi.Size())
		}
		if err != nil {
			return err
		}
	}
	b.size, b.written, b.contentType, b.modTime, b.sums = m.Size, m.Size, m.ContentType, m.ModTime, m.Sums
	if m.Size > eagerly {
		b.checked = make([]inspection, len(m.Sums))
	}
	b.opened, b.loaded, b.done = true, true, true
	return nil
}

// eagerly is the size up to which an object is checked as a whole, before its first byte is sent, so that damage is mended
// without the listener noticing: any transcode of usual length, in a few milliseconds.
const eagerly = 16 << 20

// reader is an opened blob.
type reader struct {
	c      *Cache
	ref    tutti.Ref
	b      *blob
	closed sync.Once
}

func (r *reader) Size() int64 {
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	return r.b.size
}

func (r *reader) ModTime() time.Time {
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	return r.b.modTime
}

func (r *reader) ContentType() string {
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	return r.b.contentType
}

// CopyRange implements tutti.Object. A reader far ahead of the fill of an object that can be had directly (an original
// of an origin that is not local) gets its bytes from there, instead of waiting for all that lies between.
func (r *reader) CopyRange(ctx context.Context, w io.Writer, off, n int64) (int64, error) {
	if err := checkRange(ctx, off, r.Size()); err != nil {
		return 0, err
	}
	if r.ahead(off) {
		return r.c.direct(ctx, r.ref, w, off, n)
	}
	var total int64
	var f *os.File
	var open int64 // the chunk that f is
	defer func() {
		if f != nil {
			_ = f.Close() // it was only read
		}
	}()
	for n < 0 || total < n {
		avail, err := r.available(ctx, off)
		if err != nil || avail == 0 {
			return total, err
		}
		i := off / tutti.ChunkSize
		if f == nil || open != i {
			if f != nil {
				_ = f.Close()
			}
			if f, err = r.b.openChunk(i, r.c.clock.Now()); err != nil {
				return total, r.spoiled(err)
			}
			open = i
		}
		if _, err := f.Seek(off%tutti.ChunkSize, io.SeekStart); err != nil {
			return total, r.spoiled(err)
		}
		if n >= 0 {
			avail = min(avail, n-total)
		}
		m, err := io.Copy(w, &io.LimitedReader{R: f, N: avail})
		total += m
		off += m
		r.c.stats.bytesDisk.Add(m)
		if err != nil {
			return total, err
		}
		if m < avail {
			return total, r.spoiled(fmt.Errorf("%w: chunk %d ends early", errCorrupt, i))
		}
		if err := ctx.Err(); err != nil {
			return total, tutti.Wrap(tutti.KindUnavailable, "trackcache: read", err)
		}
	}
	return total, nil
}

// ReadAt implements io.ReaderAt.
func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	w := sliceWriter(p)
	n, err := r.CopyRange(context.Background(), &w, off, int64(len(p)))
	if err == nil && n < int64(len(p)) {
		err = io.EOF
	}
	return int(n), err
}

type sliceWriter []byte

func (w *sliceWriter) Write(p []byte) (int, error) {
	n := copy(*w, p)
	*w = (*w)[n:]
	return n, nil
}

// available waits until the byte at off can be read and returns how many from there lie in its chunk; 0 at the end.
func (r *reader) available(ctx context.Context, off int64) (n int64, err error) {
	b := r.b
	werr := b.until(ctx, func() bool {
		n = max(0, min(b.written, (off/tutti.ChunkSize+1)*tutti.ChunkSize)-off)
		err = b.err
		return n > 0 || b.done || b.err != nil
	})
	return n, errors.Join(werr, err)
}

// ahead reports whether off is so far from what has been filled that asking the origin itself is quicker.
func (r *reader) ahead(off int64) bool {
	if !r.ref.Profile.Original() {
		return false
	}
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	return !r.b.done && off > r.b.written+4*tutti.ChunkSize
}

// spoiled handles a failure to read the disk: what is there is forgotten, so that the next to ask has it made again.
func (r *reader) spoiled(err error) error {
	r.c.forget(r.b, err)
	return tutti.Wrap(tutti.KindUnavailable, "trackcache: read", err)
}

// Close implements io.Closer. Closing twice is harmless.
func (r *reader) Close() error {
	r.closed.Do(func() { r.c.release(r.b) })
	return nil
}
