package audio

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"

	"tutti"
)

// Fingerprint identifies the sound of a file without its tags: two files have the same fingerprint only if they hold
// the same recording in the same encoding, and a file keeps its fingerprint when it is renamed or tagged anew.
//
// FLAC carries an MD5 of its samples, which is taken with their number. For anything else it is a hash of the length of
// the sound and of four pieces of 16 KiB spread over it, at most 64 KiB whatever the size of the file. In an Ogg file
// the pages may be cut anew when the headers grow or shrink, so there it is the packets' bytes at the beginning and at
// the end that count.
//
// info is what Read (or Probe, which gives no bounds of the sound: then the whole file counts) said of the file. The
// error is KindUnavailable where f could not be read.
func Fingerprint(ctx context.Context, info *Info, f io.ReaderAt, size int64) (fp [16]byte, err error) {
	const op = "audio.Fingerprint"
	h := sha256.New()
	write := func(ns ...int64) {
		for _, n := range ns {
			var b [8]byte
			binary.BigEndian.PutUint64(b[:], uint64(n))
			h.Write(b[:])
		}
	}
	io.WriteString(h, info.Codec)
	write(int64(info.SampleRate), int64(info.Channels))
	if info.MD5 != [16]byte{} {
		h.Write(info.MD5[:])
		write(info.Samples, int64(info.BitDepth))
		return [16]byte(h.Sum(nil)), nil
	}
	src := openFile(ctx, f, size)
	defer src.close()
	off, n := info.AudioOffset, info.AudioLength
	if n <= 0 {
		off, n = 0, size
	}
	if off < 0 || off > size {
		return fp, tutti.Wrap(tutti.KindInvalid, op, errTruncated)
	}
	n = min(n, size-off)
	if info.Format == "ogg" {
		p := parser{f: src, info: &Info{}}
		err = p.oggSample(h, off)
	} else {
		write(n)
		const pieces, piece = 4, 16 << 10
		for k := range int64(pieces) {
			at := int64(0)
			if n > piece {
				at = (n - piece) / (pieces - 1) * k
			}
			var b []byte
			if b, err = src.upTo(off+at, int(min(piece, n))); err != nil {
				break
			}
			h.Write(b)
			if n <= piece {
				break
			}
		}
	}
	if err != nil {
		return fp, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	return [16]byte(h.Sum(nil)), nil
}

// oggSample hashes the first and the last 24 KiB of the packets between off and the end of the file.
func (p *parser) oggSample(h io.Writer, off int64) error {
	const piece = 24 << 10
	pg, err := p.oggPage(off)
	if err != nil {
		return nil // no sound at all: the header's numbers are all there is
	}
	serial := pg.serial
	payload := func(pg oggPage) ([]byte, error) { return p.f.upTo(pg.body, int(pg.end-pg.body)) }
	for left := piece; left > 0; {
		if pg.serial == serial {
			b, err := payload(pg)
			if err != nil {
				return err
			}
			b = b[:min(len(b), left)]
			h.Write(b)
			left -= len(b)
		}
		if pg, err = p.oggPage(pg.end); err != nil {
			break
		}
	}
	// The end is found from pages in the last few windows; pages that begin before them are left out, so the bytes
	// must be counted from the end.
	start := max(off, p.f.size-3*windowSize)
	pg, ok, err := p.oggFind(start, serial)
	buf := windows.Get().(*[windowSize]byte)
	defer windows.Put(buf)
	end := buf[:0] // never more than two pieces
	for ok && err == nil {
		if pg.serial == serial {
			b, err := payload(pg)
			if err != nil {
				return err
			}
			end = append(end, b[max(0, len(b)-piece):]...)
			end = end[:copy(end, end[max(0, len(end)-piece):])]
		}
		pg, err = p.oggPage(pg.end)
	}
	if p.f.failed != nil {
		return p.f.failed
	}
	h.Write(end)
	return nil
}
