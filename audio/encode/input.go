package encode

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"tutti"
	"tutti/audio"
)

// input is an original as ffmpeg gets it: a file in which it can seek, or an object that is fed to it.
type input struct {
	file    *os.File     // nil: fed from obj
	obj     tutti.Object // nil: the file lies in a folder
	size    int64
	modTime time.Time
}

// original names the file of which r is made.
func original(r tutti.Ref) tutti.Ref {
	return tutti.Ref{Library: r.Library, Path: r.Path, Version: r.Version}
}

// open opens the original of r. For one that comes from a cache it waits until the first bytes are there.
func (e *Encoder) open(ctx context.Context, r tutti.Ref) (*input, error) {
	if c := e.caches[r.Library]; c != nil {
		obj, err := c.Open(ctx, original(r))
		if err != nil {
			return nil, err
		}
		return &input{obj: obj, size: obj.Size(), modTime: obj.ModTime()}, nil
	}
	f, err := e.files.OpenFile(ctx, r.Library, r.Path)
	if err != nil {
		return nil, err
	}
	file, ok := f.(*os.File)
	if !ok {
		return nil, errors.Join(tutti.Errorf(tutti.KindInternal, "encode: open", "library %s lies in no folder and has no cache", r.Library), f.Close())
	}
	fi, err := file.Stat()
	if err == nil && fi.IsDir() {
		err = tutti.Errorf(tutti.KindInvalid, "encode: open", "%q is a folder", r.Path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &input{file: file, size: fi.Size(), modTime: fi.ModTime()}, nil
}

// settle decides how ffmpeg gets an object. A file without a name is what it gets where it has to seek: then all of the
// object must be there first.
func (in *input) settle(ctx context.Context, r tutti.Ref, dir string) error {
	if in.file != nil {
		return nil
	}
	kind, err := sniff(ctx, in)
	if err != nil {
		return err
	}
	if kind == streams || kind == streamsWhole && r.Start+r.Profile.Offset == 0 {
		return nil
	}
	const op = "encode: copy the original"
	f, err := os.CreateTemp(dir, "tutti-convert-*")
	if err != nil {
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	if err = os.Remove(f.Name()); err == nil { // so that it is gone with the process, however that ends
		var n int64
		if n, err = in.obj.CopyRange(ctx, f, 0, -1); err == nil && n != in.size {
			err = tutti.Errorf(tutti.KindUnavailable, op, "the file changed while it was read; try again")
		}
	}
	if err != nil {
		return errors.Join(tutti.Wrap(tutti.KindUnavailable, op, err), f.Close())
	}
	in.file = f
	return nil
}

// kind is what a file is to somebody who reads it from front to back only.
type kind int

const (
	seeks        kind = iota // has what is needed at its end, or is not known here
	streamsWhole             // plays, but a place in it is not found to the sample
	streams
)

// sniff tells the kind of an object by its first bytes. MP3 and Ogg have no index: ffmpeg finds a place in them exactly
// only by going back a little from where it guesses; for the whole of them a pipe will do. RIFF and FLAC state where
// each sample is as one goes, and so does an MP4 whose index comes first.
func sniff(ctx context.Context, in *input) (kind, error) {
	at := objectAt{ctx, in.obj}
	var head [16]byte
	n, err := at.ReadAt(head[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return seeks, err
	}
	b := head[:n]
	has := func(off int, magic string) bool {
		return len(b) >= off+len(magic) && string(b[off:off+len(magic)]) == magic
	}
	switch {
	case has(0, "fLaC"), has(0, "RIFF") && has(8, "WAVE"):
		return streams, nil
	case has(0, "OggS"), has(0, "ID3"), len(b) > 1 && b[0] == 0xFF && b[1]&0xE0 == 0xE0: // MPEG audio or ADTS
		return streamsWhole, nil
	case has(4, "ftyp"):
		return sniffMP4(at, in.size)
	}
	return seeks, nil
}

// maxBoxes bounds how many boxes are looked at before the index of an MP4 or its sound.
const maxBoxes = 32

// sniffMP4 walks over the boxes of a file (ISO 14496-12 §4.2) until it meets the index or what it is the index of.
func sniffMP4(at io.ReaderAt, size int64) (kind, error) {
	for off, n := int64(0), 0; n < maxBoxes && off <= size-16; n++ {
		var b [16]byte
		if _, err := at.ReadAt(b[:], off); err != nil {
			return seeks, err
		}
		length := uint64(binary.BigEndian.Uint32(b[:]))
		if length == 1 {
			length = binary.BigEndian.Uint64(b[8:])
		}
		switch name := string(b[4:8]); {
		case name == "moov":
			return streams, nil
		case name == "mdat", length < 8, length > uint64(size-off):
			return seeks, nil
		}
		off += int64(length)
	}
	return seeks, nil
}

// objectAt reads an object on behalf of a request: unlike the object's own ReadAt it ends with ctx.
type objectAt struct {
	ctx context.Context
	obj tutti.Object
}

func (o objectAt) ReadAt(p []byte, off int64) (int, error) {
	if off >= o.obj.Size() {
		return 0, io.EOF
	}
	var b bytes.Buffer
	_, err := o.obj.CopyRange(o.ctx, &b, off, int64(len(p)))
	n := copy(p, b.Bytes())
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// about is what our own reader knows of the original; the zero Info where it does not know the format.
func (in *input) about(ctx context.Context, r tutti.Ref) audio.Info {
	var at io.ReaderAt = in.file
	if in.file == nil {
		at = objectAt{ctx, in.obj}
	}
	info, err := audio.Read(ctx, at, in.size, r.Path)
	if err != nil {
		return audio.Info{} // ffmpeg may still know it
	}
	return info
}

// feed writes the object into the pipe that ffmpeg reads, and closes it. That ffmpeg has all it wants, or that ctx ends
// with it, is no error; an original that breaks off is: to ffmpeg that looks like its end.
func (in *input) feed(ctx context.Context, w *os.File) error {
	n, err := in.obj.CopyRange(ctx, w, 0, -1)
	switch {
	case errors.Is(err, syscall.EPIPE), ctx.Err() != nil:
		err = nil
	case err == nil && n != in.size:
		err = io.ErrUnexpectedEOF
	}
	return errors.Join(err, w.Close())
}

// Close gives up what is open.
func (in *input) Close() error {
	var errs [2]error
	if in.file != nil {
		errs[0] = in.file.Close()
	}
	if in.obj != nil {
		errs[1] = in.obj.Close()
	}
	return errors.Join(errs[:]...)
}
