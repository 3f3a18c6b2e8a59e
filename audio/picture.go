package audio

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"io"
	"strings"

	"tutti"
)

// PictureKind says what a picture shows; the numbers are those of ID3v2.4's APIC frame, which FLAC shares (RFC 9639
// §8.8, table 13).
type PictureKind uint32

// The kinds that matter to a music server.
const (
	PictureOther  PictureKind = 0
	PictureFront  PictureKind = 3
	PictureBack   PictureKind = 4
	PictureArtist PictureKind = 8
)

// MaxPicture is the largest picture in bytes that Picture returns.
const MaxPicture = 16 << 20

// PictureInfo describes a picture inside a file.
type PictureInfo struct {
	Kind        PictureKind
	MIME        string // as the file says; "" or wrong in some files, so Picture looks at the bytes
	Description string
	Size        int64 // bytes; approximate where the picture is stored encoded
	Offset      int64 // of the picture in the file, or -1 where it does not lie there in one unencoded piece

	data []byte // only while Picture works and Offset is -1
}

// Picture returns a picture from inside a file and its media type: the first of the wanted kind, else the front cover,
// else any. The error is KindNotFound where there is none, KindExhausted where it is larger than MaxPicture, and
// otherwise Read's.
func Picture(ctx context.Context, f io.ReaderAt, size int64, name string, kind PictureKind) (data []byte, mime string, err error) {
	const op = "audio.Picture"
	p := parser{f: openFile(ctx, f, size), info: &Info{}, keep: true}
	defer p.f.close()
	if err := p.parse(name); err != nil {
		return nil, "", tutti.Wrap(tutti.KindInvalid, op, err)
	}
	var best *PictureInfo
	rank := func(k PictureKind) int {
		switch k {
		case kind:
			return 2
		case PictureFront:
			return 1
		}
		return 0
	}
	for i := range p.info.Pictures {
		pic := &p.info.Pictures[i]
		if pic.MIME == "-->" || pic.Size == 0 { // a link, which we never follow
			continue
		}
		if best == nil || rank(pic.Kind) > rank(best.Kind) {
			best = pic
		}
	}
	if best == nil {
		return nil, "", tutti.Errorf(tutti.KindNotFound, op, "the file has no picture")
	}
	if best.Size > MaxPicture {
		return nil, "", tutti.Errorf(tutti.KindExhausted, op, "the file's picture is larger than %d MiB", MaxPicture>>20)
	}
	data = best.data
	if best.Offset >= 0 {
		b, err := p.f.at(best.Offset, int(best.Size))
		if err != nil {
			return nil, "", tutti.Wrap(tutti.KindUnavailable, op, err)
		}
		data = bytes.Clone(b)
	}
	if len(data) == 0 {
		return nil, "", tutti.Errorf(tutti.KindNotFound, op, "the file's picture is damaged")
	}
	return data, pictureMIME(data, best.MIME), nil
}

// pictureMIME tells the media type from the picture's signature, else from what the file says.
func pictureMIME(b []byte, said string) string {
	switch {
	case hasAt(b, 0, "\xFF\xD8\xFF"):
		return "image/jpeg"
	case hasAt(b, 0, "\x89PNG\r\n\x1A\n"):
		return "image/png"
	case hasAt(b, 0, "GIF8"):
		return "image/gif"
	case hasAt(b, 0, "RIFF") && hasAt(b, 8, "WEBP"):
		return "image/webp"
	case hasAt(b, 0, "BM"):
		return "image/bmp"
	case hasAt(b, 4, "ftypavif"):
		return "image/avif"
	}
	switch said = strings.ToLower(said); said {
	case "jpg", "jpeg", "image/jpg", "image/jpeg":
		return "image/jpeg"
	case "png", "image/png":
		return "image/png"
	case "image/gif", "image/webp", "image/bmp", "image/tiff":
		return said
	}
	return "application/octet-stream" // never a type that a browser would run
}

// flacPicture reads the body of a METADATA_BLOCK_PICTURE (RFC 9639 §8.8), which Ogg formats carry in base64.
func (p *parser) flacPicture(s stream) error {
	b, err := s.next(8)
	if err != nil {
		return err
	}
	pic := PictureInfo{Kind: PictureKind(binary.BigEndian.Uint32(b))}
	text := func(n uint32) (string, error) {
		if n > 4096 { // of a media type or a description, so not worth keeping
			return "", s.skip(int64(n))
		}
		b, err := s.next(int(n))
		return utf8OrLatin1(b), err
	}
	if pic.MIME, err = text(binary.BigEndian.Uint32(b[4:])); err != nil {
		return err
	}
	if b, err = s.next(4); err != nil {
		return err
	}
	if pic.Description, err = text(binary.BigEndian.Uint32(b)); err != nil {
		return err
	}
	if b, err = s.next(20); err != nil { // width, height, depth, colours, length
		return err
	}
	pic.Size = int64(binary.BigEndian.Uint32(b[16:]))
	if pic.Offset = s.where(pic.Size); pic.Offset < 0 && p.keep && pic.Size <= MaxPicture {
		if b, err = s.next(int(pic.Size)); err != nil {
			return err
		}
		pic.data = bytes.Clone(b)
	}
	p.addPicture(pic)
	return nil
}

const maxPictures = 64

func (p *parser) addPicture(pic PictureInfo) {
	if len(p.info.Pictures) < maxPictures {
		p.info.Pictures = append(p.info.Pictures, pic)
	}
}

// base64Picture reads a comment's value of n bytes: a METADATA_BLOCK_PICTURE, or the bare picture of the older
// COVERART. Only its beginning is decoded unless pictures are wanted.
func (p *parser) base64Picture(s stream, n int64, bare bool) error {
	want := min(n, 8192) // enough for the media type and an ordinary description
	if p.keep && n <= MaxPicture/3*4+8192 {
		want = n
	}
	b, err := s.next(int(want))
	if err != nil {
		return err
	}
	if want < n {
		b = b[:want&^3]
	}
	b = bytes.TrimRight(b, "=\x00 \r\n")
	dec := make([]byte, base64.RawStdEncoding.DecodedLen(len(b)))
	k, decErr := base64.RawStdEncoding.Decode(dec, b)
	dec = dec[:k]
	if err := s.skip(n - want); err != nil {
		return err
	}
	if decErr != nil || k == 0 {
		return nil // a damaged picture is no reason to refuse the tags around it
	}
	if bare {
		pic := PictureInfo{Kind: PictureFront, Offset: -1, Size: n / 4 * 3, MIME: pictureMIME(dec, "")}
		if p.keep && want == n {
			pic.data = dec
		}
		p.addPicture(pic)
		return nil
	}
	m := memory{b: dec, pad: n/4*3 - int64(k)}
	_ = p.flacPicture(&m) // likewise
	return nil
}

// memory is a stream of bytes that are not a piece of the file, followed by pad bytes that may be skipped but not read.
type memory struct {
	b   []byte
	pad int64
}

func (m *memory) next(n int) ([]byte, error) {
	if n < 0 || n > len(m.b) {
		return nil, errTruncated
	}
	b := m.b[:n]
	m.b = m.b[n:]
	return b, nil
}

func (m *memory) skip(n int64) error {
	if n < 0 || n > int64(len(m.b))+m.pad {
		return errTruncated
	}
	k := min(n, int64(len(m.b)))
	m.b, m.pad = m.b[k:], m.pad-(n-k)
	return nil
}

func (m *memory) where(int64) int64 { return -1 }
