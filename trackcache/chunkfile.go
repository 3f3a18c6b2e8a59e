package trackcache

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"tutti"
)

// A chunk file is a header of a fixed size, which describes the chunk and the object that it is of, and the chunk's
// bytes as they are, so that sendfile can take them from there. All numbers are big-endian.
//
//	 0  "tuttichk"                  40  size of the whole object
//	 8  marks (2), format (2)       48  its time of change, ns since 1970; the lowest number there is for none
//	12  CRC-32C of the header,      56  length of this chunk
//	    these four bytes as zeros   60  CRC-32C of its bytes
//	16  object (Ref.ID)             64  tag, then content type: two bytes of length and as many of text
//	32  number of the chunk             zeros up to 1024
const (
	chunkHeader  = 1024
	chunkMagic   = "tuttichk"
	headMagic    = "tuttihed" // of a head's start in the store, which is the beginning of chunk 0 in the same clothes
	chunkFormat  = 1
	markUnproven = 1 << 16                     // the lowest of the marks
	chunkText    = 64                          // where the texts begin
	maxText      = chunkHeader - chunkText - 4 // bytes of tag and content type together
	noTime       = math.MinInt64
)

// chunkFile is what the header of a chunk file says.
type chunkFile struct {
	id     tutti.ChunkID
	info   tutti.ObjectInfo
	length int64
	sum    uint32
	// unproven says that the bytes were not compared with the object's seal, because the store did not say in time whether
	// there is one.
	unproven bool
}

// fits reports whether an object's description can be kept, in a chunk file as in a head.
func fits(i tutti.ObjectInfo) bool { return len(i.Tag)+len(i.ContentType) <= maxText && i.Size >= 0 }

func unixNano(t time.Time) uint64 {
	if t.IsZero() {
		return 1 << 63 // noTime
	}
	return uint64(t.UnixNano())
}

func timeOf(ns uint64) time.Time {
	if int64(ns) == noTime {
		return time.Time{}
	}
	return time.Unix(0, int64(ns)).UTC()
}

// encode returns the header. The description fits.
func (f chunkFile) encode(magic string) ([]byte, error) {
	object, err := hex.DecodeString(f.id.Object)
	if err != nil || len(object) != 16 || !fits(f.info) {
		return nil, fmt.Errorf("chunk file: object %q, tag of %d bytes, type of %d", f.id.Object, len(f.info.Tag), len(f.info.ContentType))
	}
	b := make([]byte, 0, chunkHeader)
	b = append(b, magic...)
	format := uint32(chunkFormat)
	if f.unproven {
		format |= markUnproven
	}
	b = binary.BigEndian.AppendUint32(b, format)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = append(b, object...)
	b = binary.BigEndian.AppendUint64(b, uint64(f.id.N))
	b = binary.BigEndian.AppendUint64(b, uint64(f.info.Size))
	b = binary.BigEndian.AppendUint64(b, unixNano(f.info.ModTime))
	b = binary.BigEndian.AppendUint32(b, uint32(f.length))
	b = binary.BigEndian.AppendUint32(b, f.sum)
	for _, s := range []string{f.info.Tag, f.info.ContentType} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
		b = append(b, s...)
	}
	b = b[:chunkHeader]
	binary.BigEndian.PutUint32(b[12:], crc32.Checksum(b, castagnoli))
	return b, nil
}

// parseChunkHeader accepts exactly what encode writes.
func parseChunkHeader(magic string, b []byte) (f chunkFile, err error) {
	if len(b) != chunkHeader || string(b[:8]) != magic {
		return f, fmt.Errorf("%w: no header of a chunk", errCorrupt)
	}
	switch v := binary.BigEndian.Uint32(b[8:]); {
	case v == chunkFormat|markUnproven && magic == chunkMagic:
		f.unproven = true
	case v != chunkFormat:
		return f, fmt.Errorf("%w: format %x is not known", errCorrupt, v)
	}
	sum := crc32.Update(crc32.Checksum(b[:12], castagnoli), castagnoli, []byte{0, 0, 0, 0})
	if sum = crc32.Update(sum, castagnoli, b[16:]); sum != binary.BigEndian.Uint32(b[12:]) {
		return f, fmt.Errorf("%w: the header's checksum is %08x", errCorrupt, sum)
	}
	f.id = tutti.ChunkID{Object: hex.EncodeToString(b[16:32]), N: int64(binary.BigEndian.Uint64(b[32:]))}
	f.info.Size = int64(binary.BigEndian.Uint64(b[40:]))
	f.info.ModTime = timeOf(binary.BigEndian.Uint64(b[48:]))
	f.length, f.sum = int64(binary.BigEndian.Uint32(b[56:])), binary.BigEndian.Uint32(b[60:])
	rest := b[chunkText:]
	for _, s := range []*string{&f.info.Tag, &f.info.ContentType} {
		if len(rest) < 2 || int(binary.BigEndian.Uint16(rest)) > len(rest)-2 {
			return f, fmt.Errorf("%w: a text is longer than the header", errCorrupt)
		}
		n := 2 + int(binary.BigEndian.Uint16(rest))
		*s, rest = string(rest[2:n]), rest[n:]
	}
	if len(bytes.TrimLeft(rest, "\x00")) > 0 {
		return f, fmt.Errorf("%w: the header goes on after its end", errCorrupt)
	}
	if f.id.N < 0 || f.info.Size < 0 || f.id.N > f.info.Size/tutti.ChunkSize || f.length != lengthUnder(magic, f.info.Size, f.id.N) {
		return f, fmt.Errorf("%w: chunk %d of %d bytes has %d", errCorrupt, f.id.N, f.info.Size, f.length)
	}
	return f, nil
}

// lengthUnder is how many bytes follow a header.
func lengthUnder(magic string, size, n int64) int64 {
	if magic == headMagic {
		return min(size, headStart)
	}
	return chunkLength(size, n)
}
