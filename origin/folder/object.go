package folder

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"tutti"
	"tutti/origin"
)

// copyStep bounds how many bytes are handed on between two looks at the context. It is a multiple of the 4 MiB that
// one sendfile call of package net moves, and large enough that the looks cost nothing.
const copyStep = 16 << 20

// object is an opened original.
type object struct {
	file   *os.File
	info   fs.FileInfo
	origin *Origin
	ref    tutti.Ref

	copying sync.Mutex // held while file's own offset is in use
}

func (o *object) Size() int64 { return o.info.Size() }

func (o *object) ModTime() time.Time { return o.info.ModTime().UTC() }

func (o *object) ContentType() string { return origin.ContentType(o.ref.Path) }

func (o *object) ReadAt(p []byte, off int64) (int, error) { return o.file.ReadAt(p, off) }

func (o *object) Close() error { return o.file.Close() }

// CopyRange hands w the file itself, so that a network connection can use sendfile. That uses the file's offset, which
// only one copy at a time can: a second one at the same time opens the file again.
func (o *object) CopyRange(ctx context.Context, w io.Writer, off, n int64) (int64, error) {
	const op = "folder.CopyRange"
	size := o.info.Size()
	if off < 0 || off > size {
		return 0, tutti.Errorf(tutti.KindInvalid, op, "offset %d is outside the %d bytes", off, size)
	}
	if n < 0 || n > size-off {
		n = size - off
	}
	f := o.file
	if o.copying.TryLock() {
		defer o.copying.Unlock()
	} else {
		again, err := o.reopen(op)
		if err != nil {
			return 0, err
		}
		defer again.Close()
		f = again
	}
	if _, err := f.Seek(off, io.SeekStart); err != nil {
		return 0, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	var done int64
	for done < n {
		if err := ctx.Err(); err != nil {
			return done, tutti.Wrap(tutti.KindUnavailable, op, err)
		}
		lr := &io.LimitedReader{R: f, N: min(n-done, copyStep)}
		m, err := io.Copy(w, lr) // ReadFrom where w has it
		done += m
		if err != nil {
			return done, err // w's failure, or the disk's: net/http needs the first unwrapped
		}
		if m == 0 { // the file has been cut short meanwhile
			return done, tutti.Wrap(tutti.KindUnavailable, op, io.ErrUnexpectedEOF)
		}
	}
	return done, nil
}

func (o *object) reopen(op string) (*os.File, error) {
	f, err := o.origin.open(op, o.ref.Library, o.ref.Path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !os.SameFile(info, o.info) {
		err = errors.New("the file has been replaced since it was opened")
	}
	if err != nil {
		f.Close()
		return nil, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	return f, nil
}
