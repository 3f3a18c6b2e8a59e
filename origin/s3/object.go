package s3

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"tutti"
	"tutti/clock"
	"tutti/origin"
)

// A copy asks for pieces of this size, the first small and each twice the one before: whoever reads on is not held up by
// a request for every megabyte, and whoever leaves early leaves little behind. A slow listener keeps no connection longer
// than a piece takes.
const (
	firstPiece = 1 << 20
	maxPiece   = 16 << 20
	copyBuffer = 128 << 10
	progress   = 64 << 10 // bytes after which an answer that ended early was worth asking for: the rest is asked for at once
)

var (
	errSilent  = errors.New("the object store has fallen silent")
	errBroken  = errors.New("the object store's answer ended early")
	errChanged = errors.New("the object has been replaced since it was opened")
)

// stream is the bytes of one answer. Its errors are classified.
type stream struct {
	o      *Origin
	op     string
	ctx    context.Context
	cancel context.CancelCauseFunc
	quiet  clock.Timer // cancels when nothing comes; runs only while somebody waits for bytes
	body   io.ReadCloser
	left   int64
}

// get asks for n bytes (n < 0: all there are) of an object from off, once. With a tag, the object must still have it, or
// the error is KindConflict. The error is not classified otherwise.
func (o *Origin) get(ctx context.Context, l *library, op, p, key string, off, n int64, tag string) (*stream, facts, []byte, error) {
	if n > math.MaxInt64-off {
		n = -1
	}
	span := "bytes=" + strconv.FormatInt(off, 10) + "-"
	if n > 0 {
		span += strconv.FormatInt(off+n-1, 10)
	}
	in := &s3.GetObjectInput{Bucket: &l.bucket, Key: &key, Range: &span}
	if tag != "" {
		in.IfMatch = &tag
	}
	s := &stream{o: o, op: op}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	s.quiet = o.clock.AfterFunc(o.reply, func() { s.cancel(errSilent) })
	began := o.clock.Now()
	out, err := l.client.GetObject(s.ctx, in)
	s.quiet.Stop()
	if err != nil && errors.Is(context.Cause(s.ctx), errSilent) {
		err = errSilent
	}
	o.meter.request(opGet, o.clock.Now().Sub(began), err)
	if err != nil {
		s.cancel(nil)
		return nil, facts{}, nil, err
	}
	s.body = out.Body
	length, total := aws.ToInt64(out.ContentLength), aws.ToInt64(out.ContentLength)
	if out.ContentRange != nil {
		from, to, size, ok := parseContentRange(*out.ContentRange)
		if length = to - from + 1; !ok || from != off || (n >= 0 && length > n) || (length < n && to != size-1) || (n < 0 && to != size-1) {
			err = tutti.Errorf(tutti.KindUnavailable, op, "asked for %s the object store sends %q", span, *out.ContentRange)
		}
		total = size
	} else if off != 0 {
		err = tutti.Errorf(tutti.KindUnavailable, op, "this object store cannot send a part of an object")
	}
	f := factsOf(total, out.LastModified, out.ETag)
	if err == nil && tag != "" && f.tag != tag {
		err = tutti.Wrap(tutti.KindConflict, op, errChanged) // a store that does not know If-Match
	}
	if err != nil {
		s.Close()
		return nil, facts{}, nil, err
	}
	if s.left = length; n >= 0 {
		s.left = min(length, n)
	}
	return s, f, sumOf(out), nil
}

// sumOf is the MD5 of the whole object where its ETag is that: it has no dash, which those of objects put in parts have,
// and the object is not encrypted with a key of its owner's (Amazon S3 API Reference, "Object", ETag).
func sumOf(out *s3.GetObjectOutput) []byte {
	switch out.ServerSideEncryption {
	case "", types.ServerSideEncryptionAes256:
	default:
		return nil
	}
	sum, err := hex.DecodeString(strings.Trim(aws.ToString(out.ETag), `"`))
	if err != nil || len(sum) != 16 || out.SSECustomerAlgorithm != nil {
		return nil
	}
	return sum
}

// parseContentRange reads "bytes FROM-TO/SIZE" (RFC 9110 §14.4) with all three known.
func parseContentRange(s string) (from, to, size int64, ok bool) {
	rest, ok := strings.CutPrefix(s, "bytes ")
	span, whole, ok1 := strings.Cut(rest, "/")
	first, last, ok2 := strings.Cut(span, "-")
	if !ok || !ok1 || !ok2 {
		return 0, 0, 0, false
	}
	var n [3]int64
	for i, digits := range [3]string{first, last, whole} {
		v, err := strconv.ParseUint(digits, 10, 62)
		if err != nil {
			return 0, 0, 0, false
		}
		n[i] = int64(v)
	}
	return n[0], n[1], n[2], n[0] <= n[1] && n[1] < n[2]
}

func (s *stream) Read(p []byte) (int, error) {
	if s.left <= 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > s.left {
		p = p[:s.left]
	}
	s.quiet.Reset(s.o.idle)
	n, err := s.body.Read(p)
	s.quiet.Stop()
	s.left -= int64(n)
	s.o.meter.read(int64(n))
	switch {
	case s.left == 0:
		return n, io.EOF
	case err == nil:
		return n, nil
	case errors.Is(context.Cause(s.ctx), errSilent):
		err = errSilent
	case s.ctx.Err() != nil:
		return n, tutti.Wrap(tutti.KindUnavailable, s.op, s.ctx.Err())
	}
	return n, tutti.Wrap(tutti.KindUnavailable, s.op, fmt.Errorf("%w: %w", errBroken, err))
}

func (s *stream) Close() error {
	s.quiet.Stop()
	err := s.body.Close()
	s.cancel(nil)
	return err
}

// OpenRange makes one request; its caller retries. Tag is the object's ETag.
func (o *Origin) OpenRange(ctx context.Context, r tutti.Ref, off, n int64, tag string) (io.ReadCloser, tutti.ObjectInfo, error) {
	const op = "s3.OpenRange"
	none := tutti.ObjectInfo{}
	l, key, err := o.original(op, r)
	if err != nil {
		return nil, none, err
	}
	if off < 0 {
		return nil, none, tutti.Errorf(tutti.KindInvalid, op, "there is nothing before the first byte")
	}
	var body io.ReadCloser
	var f facts
	var sum []byte
	if n != 0 {
		var s *stream
		s, f, sum, err = o.get(ctx, l, op, r.Path, key, off, n, tag)
		body = s
		if err == nil {
			o.budget.earn()
		}
	}
	if n == 0 || code(err) == "InvalidRange" { // nothing is wanted, or there is nothing: only the facts are left to tell
		body = io.NopCloser(strings.NewReader(""))
		if f, err = o.headOnce(ctx, l, key); err == nil {
			switch {
			case tag != "" && f.tag != tag:
				err = tutti.Wrap(tutti.KindConflict, op, errChanged)
			case off > f.size:
				err = tutti.Errorf(tutti.KindInvalid, op, "offset %d is outside the %d bytes", off, f.size)
			}
		}
	}
	if err != nil {
		return nil, none, classify(op, l, r.Path, err)
	}
	return body, tutti.ObjectInfo{Size: f.size, ModTime: f.modTime, ContentType: origin.ContentType(r.Path), Tag: f.tag, MD5: sum}, nil
}

// original checks a ref.
func (o *Origin) original(op string, r tutti.Ref) (*library, string, error) {
	if !r.Profile.Original() || r.Start != 0 || r.End != 0 {
		return nil, "", tutti.Errorf(tutti.KindInvalid, op, "an object store has originals only, not %s", r.Profile)
	}
	if r.Path == "." {
		return nil, "", noFile(op, r.Path)
	}
	return o.enter(op, r.Library, r.Path, false)
}

// object is an opened object. Every answer must be of the version that the first one was of.
type object struct {
	o      *Origin
	l      *library
	op     string
	path   string
	key    string
	facts  facts
	ctx    context.Context // of ReadAt; ended by Close
	cancel context.CancelFunc
	blocks blocks
}

var _ tutti.Object = (*object)(nil)

// Open opens an original. The version is not checked; a file that changed since it was scanned is delivered as it is
// now. ctx bounds the opening only.
func (o *Origin) Open(ctx context.Context, r tutti.Ref) (tutti.Object, error) {
	const op = "s3.Open"
	l, key, err := o.original(op, r)
	if err != nil {
		return nil, err
	}
	f, err := o.head(ctx, l, op, r.Path, key)
	if tutti.IsKind(err, tutti.KindNotFound) {
		if away := o.isThere(ctx, l, op); away != nil {
			err = away
		}
	}
	if err == nil && f.size == 0 {
		err = o.noDir(ctx, l, op, r.Path, key)
	}
	if err != nil {
		return nil, err
	}
	return o.object(context.WithoutCancel(ctx), l, "s3.Object", r.Path, key, f), nil
}

// noDir returns KindNotFound where an empty object only stands for a directory.
func (o *Origin) noDir(ctx context.Context, l *library, op, p, key string) error {
	dir, err := o.isDir(ctx, l, op, p, key)
	if err == nil && dir {
		err = noFile(op, p)
	}
	return err
}

func (o *Origin) object(ctx context.Context, l *library, op, p, key string, f facts) *object {
	b := &object{o: o, l: l, op: op, path: p, key: key, facts: f}
	b.ctx, b.cancel = context.WithCancel(ctx)
	return b
}

func (b *object) Size() int64         { return b.facts.size }
func (b *object) ModTime() time.Time  { return b.facts.modTime }
func (b *object) ContentType() string { return origin.ContentType(b.path) }

// Close ends what is being read through ReadAt; a CopyRange under way goes on.
func (b *object) Close() error {
	b.cancel()
	b.blocks.drop()
	return nil
}

// piece asks for n bytes from off, which must be of the version that was opened.
func (b *object) piece(ctx context.Context, off, n int64) (*stream, error) {
	s, f, _, err := b.o.get(ctx, b.l, b.op, b.path, b.key, off, n, b.facts.tag)
	if err == nil && f != b.facts { // without ETags, size and time must do
		s.Close()
		err = tutti.Wrap(tutti.KindConflict, b.op, errChanged)
	}
	return s, err
}

// fail is what a reader is told of an error. That the object has changed is nothing that they can mend by reading again.
func (b *object) fail(err error) error {
	err = classify(b.op, b.l, b.path, err)
	if tutti.IsKind(err, tutti.KindConflict) || tutti.IsKind(err, tutti.KindNotFound) {
		return &tutti.Error{Kind: tutti.KindUnavailable, Op: b.op, Message: "the file \"" + b.path + "\" has been replaced or removed while it was read", Err: err}
	}
	return err
}

var buffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// CopyRange copies from a few large answers, one after the other. What an answer lacks is asked for again.
func (b *object) CopyRange(ctx context.Context, w io.Writer, off, n int64) (int64, error) {
	if off < 0 || off > b.facts.size {
		return 0, tutti.Errorf(tutti.KindInvalid, b.op, "offset %d is outside the %d bytes", off, b.facts.size)
	}
	if n < 0 || n > b.facts.size-off {
		n = b.facts.size - off
	}
	buf := buffers.Get().(*[copyBuffer]byte)
	defer buffers.Put(buf)
	var done int64
	for size, try := int64(firstPiece), 2; done < n; {
		s, err := b.piece(ctx, off+done, min(size, n-done))
		if err == nil {
			m, writing, reading := copyTo(w, s, buf[:])
			s.Close()
			done += m
			if writing != nil {
				return done, writing // net/http needs it unwrapped
			}
			if err = reading; err == nil {
				size = min(2*size, maxPiece)
			}
			if b.goesOn(ctx, m, err) {
				try = 2
				continue
			}
		}
		if !passes(ctx, err) || !b.o.wait(ctx, try) {
			return done, b.fail(err)
		}
		try++
	}
	return done, nil
}

// goesOn reports whether the next bytes may be asked for at once after an answer of n bytes that ended with err.
func (b *object) goesOn(ctx context.Context, n int64, err error) bool {
	if err == nil {
		b.o.budget.earn()
		return true
	}
	b.o.meter.resumed.Inc()
	return n >= progress && passes(ctx, err)
}

// copyTo is io.Copy that tells whose error it was.
func copyTo(w io.Writer, r io.Reader, buf []byte) (n int64, writing, reading error) {
	for {
		m, err := r.Read(buf)
		if m > 0 {
			k, werr := w.Write(buf[:m])
			n += int64(k)
			if werr == nil && k < m {
				werr = io.ErrShortWrite
			}
			if werr != nil {
				return n, werr, nil
			}
		}
		if errors.Is(err, io.EOF) {
			return n, nil, nil
		}
		if err != nil {
			return n, nil, err
		}
	}
}

// fill reads len(p) bytes from off, which must be there.
func (b *object) fill(p []byte, off int64) error {
	for done, try := 0, 2; done < len(p); {
		s, err := b.piece(b.ctx, off+int64(done), int64(len(p)-done))
		if err == nil {
			var m int
			m, err = io.ReadFull(s, p[done:])
			s.Close()
			done += m
			if b.goesOn(b.ctx, int64(m), err) {
				try = 2
				continue
			}
		}
		if !passes(b.ctx, err) || !b.o.wait(b.ctx, try) {
			return b.fail(err)
		}
		try++
	}
	return nil
}

// ReadAt reads through a few blocks that are kept, because readers of tags ask for a little here and a little there.
func (b *object) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, tutti.Errorf(tutti.KindInvalid, b.op, "there is nothing before the first byte")
	}
	if off >= b.facts.size {
		return 0, io.EOF
	}
	want := p[:min(int64(len(p)), b.facts.size-off)]
	n, err := b.blocks.read(b, want, off)
	if err == nil && len(want) < len(p) {
		err = io.EOF
	}
	return n, err
}

// file is an object with a position.
type file struct {
	*object
	mu  sync.Mutex
	pos int64
}

var (
	_ io.ReaderAt   = (*file)(nil)
	_ io.ReadSeeker = (*file)(nil)
	_ fs.File       = (*file)(nil)
)

// OpenFile opens a file; the fs.File implements io.ReaderAt and io.Seeker. It asks for the beginning of the file at
// once, so readers of headers need no further request as a rule. ctx bounds reading, too.
func (o *Origin) OpenFile(ctx context.Context, lib, p string) (fs.File, error) {
	const op = "s3.OpenFile"
	l, key, err := o.original(op, tutti.Ref{Library: lib, Path: p})
	if err != nil {
		return nil, err
	}
	for try := 2; ; try++ {
		f, err := o.openFile(ctx, l, op, p, key)
		if err == nil {
			return f, nil
		}
		if !passes(ctx, err) || !o.wait(ctx, try) {
			return nil, classify(op, l, p, err)
		}
	}
}

func (o *Origin) openFile(ctx context.Context, l *library, op, p, key string) (*file, error) {
	s, facts, _, err := o.get(ctx, l, op, p, key, 0, headBlock, "")
	if code(err) == "InvalidRange" { // it is empty
		f, err := o.headOnce(ctx, l, key)
		if err == nil && f.size > 0 {
			err = errBroken // it was empty a moment ago
		}
		if err == nil {
			err = o.noDir(ctx, l, op, p, key)
		}
		if err != nil {
			return nil, err
		}
		return &file{object: o.object(ctx, l, "s3.File", p, key, f)}, nil
	}
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if facts.size == 0 { // a store may answer a range of nothing with nothing
		if err := o.noDir(ctx, l, op, p, key); err != nil {
			return nil, err
		}
	}
	f := &file{object: o.object(ctx, l, "s3.File", p, key, facts)}
	head := make([]byte, s.left)
	n, err := io.ReadFull(s, head)
	f.blocks.keep(head[:n], 0)
	if err != nil && n == 0 && len(head) > 0 {
		f.cancel()
		return nil, err
	}
	o.budget.earn()
	return f, nil // what is still lacking of the beginning is asked for when somebody reads it
}

func (o *Origin) headOnce(ctx context.Context, l *library, key string) (facts, error) {
	ctx, cancel := context.WithTimeout(ctx, o.reply)
	defer cancel()
	began := o.clock.Now()
	out, err := l.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &l.bucket, Key: &key})
	o.meter.request(opHead, o.clock.Now().Sub(began), err)
	if err != nil {
		return facts{}, err
	}
	return factsOf(aws.ToInt64(out.ContentLength), out.LastModified, out.ETag), nil
}

func (f *file) Stat() (fs.FileInfo, error) { return stat{f.object}, nil }

func (f *file) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.ReadAt(p, f.pos)
	f.pos += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (f *file) Seek(off int64, whence int) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		off += f.pos
	case io.SeekEnd:
		off += f.facts.size
	}
	if off < 0 {
		return f.pos, tutti.Errorf(tutti.KindInvalid, "s3.Seek", "there is nothing before the first byte")
	}
	f.pos = off
	return off, nil
}

// stat is an object as package io/fs describes files.
type stat struct{ b *object }

func (s stat) Name() string       { return path.Base(s.b.path) }
func (s stat) Size() int64        { return s.b.facts.size }
func (s stat) Mode() fs.FileMode  { return 0o444 }
func (s stat) ModTime() time.Time { return s.b.facts.modTime }
func (s stat) IsDir() bool        { return false }
func (s stat) Sys() any           { return nil }
