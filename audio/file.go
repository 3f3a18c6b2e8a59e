package audio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

const (
	windowSize = 64 << 10  // bytes of one read: most tags fit, and an Ogg page (65,307 bytes) nearly does
	maxReads   = 4096      // reads of one file before it counts as hostile; honest ones need two to a few dozen
	maxRead    = 256 << 20 // bytes in all; Picture on a large picture in Ogg needs about 25 MiB
	maxBlock   = 16 << 20  // largest piece held in memory at once: FLAC's own limit of a metadata block
)

// errTruncated says that a structure reaches past the end of the file or of what contains it.
var errTruncated = errors.New("truncated")

// file gives access to parts of a file through a few windows, so that parsers may ask for a few bytes at a time.
type file struct {
	ctx    context.Context
	r      io.ReaderAt
	size   int64
	reads  int
	bytes  int64
	failed error // the first failure to read, as opposed to a failure to understand

	win  [3]window // the first is the head of the file and stays; the others take turns
	turn int
}

type window struct {
	off int64
	b   []byte // nil: not read yet
	buf *[windowSize]byte
}

var windows = sync.Pool{New: func() any { return new([windowSize]byte) }}

func openFile(ctx context.Context, r io.ReaderAt, size int64) *file {
	return &file{ctx: ctx, r: r, size: max(size, 0)}
}

func (f *file) close() {
	for i := range f.win {
		if f.win[i].buf != nil {
			windows.Put(f.win[i].buf)
			f.win[i] = window{}
		}
	}
}

// at returns the n bytes at off, or an error. They are valid until the next call of at or upTo.
func (f *file) at(off int64, n int) ([]byte, error) {
	if off < 0 || n < 0 || off > f.size || int64(n) > f.size-off {
		return nil, errTruncated
	}
	for i := range f.win {
		w := &f.win[i]
		if w.b != nil && off >= w.off && off+int64(n) <= w.off+int64(len(w.b)) {
			i := int(off - w.off)
			return w.b[i : i+n : i+n], nil
		}
	}
	if n > maxBlock {
		return nil, fmt.Errorf("a block of %d bytes is larger than %d", n, maxBlock)
	}
	if n > windowSize {
		b := make([]byte, n)
		return b, f.readAt(b, off)
	}
	w, start := &f.win[0], int64(0)
	if w.b != nil || off+int64(n) > windowSize {
		f.turn = 3 - max(f.turn, 1)
		w, start = &f.win[f.turn], off
		if last := f.size - windowSize; start > last { // near the end take all of the end: tags lie there
			start = max(last, 0)
		}
	}
	if w.buf == nil {
		w.buf = windows.Get().(*[windowSize]byte)
	}
	b := w.buf[:min(windowSize, f.size-start)]
	w.b = nil
	if err := f.readAt(b, start); err != nil {
		return nil, err
	}
	w.off, w.b = start, b
	i := int(off - start)
	return b[i : i+n : i+n], nil
}

// upTo returns the n bytes at off, or as many as there are.
func (f *file) upTo(off int64, n int) ([]byte, error) {
	if off < 0 || off >= f.size {
		return nil, nil
	}
	return f.at(off, int(min(int64(n), f.size-off)))
}

func (f *file) readAt(b []byte, off int64) error {
	f.reads++
	err := f.ctx.Err()
	if f.bytes += int64(len(b)); err == nil && (f.reads > maxReads || f.bytes > maxRead) {
		return fmt.Errorf("needs more than %d reads or %d MiB", maxReads, maxRead>>20)
	}
	if err == nil {
		var n int
		n, err = f.r.ReadAt(b, off)
		if n == len(b) {
			return nil
		}
		if err == nil || errors.Is(err, io.EOF) {
			return errTruncated // shorter than we were told: it is being written or cut
		}
	}
	f.failed = err
	return err
}

// A stream is read in order, with jumps ahead. Slices are valid until the next call.
type stream interface {
	next(n int) ([]byte, error)
	skip(n int64) error
	// where is the position in the file if the next n bytes lie there in one piece, else -1.
	where(n int64) int64
}

// section is the stream of a file's bytes from off to end.
type section struct {
	f        *file
	off, end int64
}

func (s *section) next(n int) ([]byte, error) {
	if n < 0 || int64(n) > s.end-s.off {
		return nil, errTruncated
	}
	b, err := s.f.at(s.off, n)
	if err == nil {
		s.off += int64(n)
	}
	return b, err
}

func (s *section) skip(n int64) error {
	if n < 0 || n > s.end-s.off {
		return errTruncated
	}
	s.off += n
	return nil
}

func (s *section) where(n int64) int64 {
	if n < 0 || n > s.end-s.off {
		return -1
	}
	return s.off
}
