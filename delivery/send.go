package delivery

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"tutti/clock"
)

// body writes the bytes of one track or picture to its listener. It is the io.Writer that an Object's CopyRange is
// given. It hands files to the kernel, keeps the write deadline ahead of a listener who still takes something, and
// never writes more than was declared.
//
// A listener is dropped who takes nothing at all for the stall time. What counts is progress, not speed: between two
// looks at the clock at least one byte must have gone out, or, where bytes come from memory, one piece of writePiece.
type body struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	conn  sender    // where files can go to directly; else nil
	plain *response // the server's own writer behind w, which counts what conn takes; set where conn is
	clock clock.Clock
	stall time.Duration // 0: never dropped
	left  int64         // how many more bytes may be written; -1: no limit
	live  bool          // the bytes are still being made: pass each on as it comes
	begun bool
	first func() // called once, when the first bytes have been handed to the kernel
}

// writePiece is how much is written under one deadline where a write that was cut short cannot be taken up again.
const writePiece = 64 << 10

// errDeclared says that an object had more bytes than the response declared. It ends the copying; the response is whole.
var errDeclared = errors.New("the declared length is reached")

// newBody prepares to send length bytes (-1: unknown) as the answer to r. The header must be complete.
func newBody(w http.ResponseWriter, r *http.Request, c clock.Clock, stall time.Duration, length int64, first func()) *body {
	b := &body{w: w, rc: http.NewResponseController(w), clock: c, stall: stall, left: length, live: length < 0, first: first}
	if length < 0 || r.Method == http.MethodHead {
		return b // net/http frames the body in chunks
	}
	if conn := connOf(r); conn != nil {
		if plain := serverWriter(w); plain != nil {
			b.conn, b.plain = conn, plain
		}
	}
	return b
}

// serverWriter finds the server's own writer behind those that wires may have put around it.
func serverWriter(w http.ResponseWriter) *response {
	for {
		switch t := w.(type) {
		case *response:
			return t
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return nil
		}
	}
}

// renew moves the write deadline on. A writer that has no deadlines (in a test, say) goes without.
func (b *body) renew() error {
	if b.stall <= 0 {
		return nil
	}
	if err := b.rc.SetWriteDeadline(clock.Deadline(b.stall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

func (b *body) began() {
	if !b.begun {
		b.begun = true
		if b.first != nil {
			b.first()
		}
	}
}

func (b *body) took(n int64) {
	if b.left >= 0 {
		b.left -= n
	}
}

// Write sends p.
func (b *body) Write(p []byte) (n int, err error) {
	whole := p
	if b.left >= 0 && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	for len(p) > 0 {
		if err := b.renew(); err != nil {
			return n, err
		}
		m, err := b.w.Write(p[:min(len(p), writePiece)])
		n += m
		b.took(int64(m))
		if err != nil {
			return n, err
		}
		p = p[m:]
		if b.live {
			if err := b.rc.Flush(); err != nil {
				return n, err
			}
		}
		b.began()
	}
	if n < len(whole) {
		return n, errDeclared
	}
	return n, nil
}

// ReadFrom sends what src has. A regular file behind an *io.LimitedReader goes by sendfile(2).
func (b *body) ReadFrom(src io.Reader) (int64, error) {
	lr, ok := src.(*io.LimitedReader)
	if !ok {
		return b.copy(src)
	}
	if _, ok := lr.R.(*os.File); !ok {
		return b.copy(src)
	}
	if b.left >= 0 && lr.N > b.left {
		whole := lr.N
		lr.N = b.left
		n, err := b.sendFile(lr)
		lr.N = whole - n
		if err == nil && b.left == 0 {
			err = errDeclared
		}
		return n, err
	}
	return b.sendFile(lr)
}

func (b *body) sendFile(lr *io.LimitedReader) (total int64, err error) {
	if b.conn == nil {
		return b.sendThrough(lr)
	}
	if !b.begun {
		// The header goes first, and by net/http, which from here on has nothing buffered.
		if err := b.renew(); err != nil {
			return 0, err
		}
		if err := b.rc.Flush(); err != nil {
			return 0, err
		}
	}
	for lr.N > 0 {
		if err = b.renew(); err != nil {
			break
		}
		var n int64
		n, err = b.conn.sendFile(lr)
		total += n
		if n > 0 {
			b.took(n)
			b.began()
		}
		if n > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil // slow, but there: go on
			continue
		}
		if err != nil || n == 0 {
			break
		}
	}
	if total > 0 {
		if _, countErr := b.plain.ReadFrom(sent(total)); err == nil {
			err = countErr
		}
	}
	return total, err
}

// sendThrough sends a file by way of net/http or whatever writer there is, a piece at a time so that the deadline can
// be renewed between two. net/http sends it by sendfile(2) as well, where neither TLS nor chunks forbid it.
func (b *body) sendThrough(lr *io.LimitedReader) (total int64, err error) {
	rf, ok := b.w.(io.ReaderFrom)
	if !ok || b.live {
		return b.copy(lr)
	}
	for lr.N > 0 {
		if err := b.renew(); err != nil {
			return total, err
		}
		part := &io.LimitedReader{R: lr.R, N: min(lr.N, 4*writePiece)}
		n, err := rf.ReadFrom(part)
		total += n
		lr.N -= n
		b.took(n)
		if n > 0 {
			b.began()
		}
		if err != nil || n == 0 {
			return total, err
		}
	}
	return total, nil
}

// copyBuffers are for bytes that do not come from a file, and for files behind TLS or in chunks.
var copyBuffers = sync.Pool{New: func() any { return new([16 << 10]byte) }}

func (b *body) copy(src io.Reader) (int64, error) {
	buf := copyBuffers.Get().(*[16 << 10]byte)
	defer copyBuffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{b}, src, buf[:])
}

// outcome tells how a copy ended. Of those who left or took nothing for too long, nobody is there to whom a failure
// would matter.
func outcome(ctx context.Context, err error) string {
	switch {
	case err == nil, errors.Is(err, errDeclared):
		return "complete"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "stalled"
	case ctx.Err() != nil, isGone(err):
		return "left"
	}
	return "failed"
}
