package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
)

// oggPage is the header of a page (RFC 3533 §6).
type oggPage struct {
	off     int64 // of the header
	flags   byte
	granule int64 // -1: no packet ends here
	serial  uint32
	number  uint32 // counts the pages of the stream
	lacing  [255]byte
	count   int   // of lacing values
	body    int64 // offset of the payload
	end     int64 // offset of what follows
}

const (
	oggContinued = 1
	oggFirst     = 2
	oggLast      = 4
)

var errOggPage = errors.New("no Ogg page where one should be")

func (p *parser) oggPage(off int64) (pg oggPage, err error) {
	b, err := p.f.upTo(off, 27+255)
	if err != nil {
		return pg, err
	}
	return parseOggPage(b, off)
}

func parseOggPage(b []byte, off int64) (pg oggPage, err error) {
	if len(b) < 27 || string(b[:4]) != "OggS" || b[4] != 0 {
		return pg, errOggPage
	}
	pg.off, pg.flags = off, b[5]
	pg.granule = int64(binary.LittleEndian.Uint64(b[6:]))
	pg.serial = binary.LittleEndian.Uint32(b[14:])
	pg.number = binary.LittleEndian.Uint32(b[18:])
	pg.count = int(b[26])
	if len(b) < 27+pg.count {
		return pg, errTruncated
	}
	copy(pg.lacing[:], b[27:27+pg.count])
	pg.body = off + 27 + int64(pg.count)
	pg.end = pg.body
	for _, l := range pg.lacing[:pg.count] {
		pg.end += int64(l)
	}
	return pg, nil
}

// oggPackets gives the bytes of one logical stream's packets in order. It is a stream: next and skip move within the
// current packet, across pages where needed.
type oggPackets struct {
	p      *parser
	serial uint32
	pg     oggPage
	seg    int   // the next lacing value
	off    int64 // of the next byte
	left   int   // bytes before the next lacing value
	more   bool  // the packet goes on with the next lacing value
	buf    []byte
}

// packet moves to the beginning of the next packet.
func (o *oggPackets) packet() error {
	for o.left > 0 || o.more {
		if o.left == 0 {
			if err := o.segment(); err != nil {
				return err
			}
			continue
		}
		o.off += int64(o.left)
		o.left = 0
	}
	o.more = true
	return o.segment()
}

// segment moves to the next lacing value, taking all that follow in the page and belong to the same packet.
func (o *oggPackets) segment() error {
	for o.seg >= o.pg.count {
		pg, err := o.p.oggPage(o.pg.end)
		if err != nil {
			return err
		}
		if pg.serial != o.serial { // another stream's
			o.pg.end = pg.end
			continue
		}
		o.pg, o.seg, o.off = pg, 0, pg.body
	}
	for o.more && o.seg < o.pg.count {
		l := int(o.pg.lacing[o.seg])
		o.seg++
		o.left += l
		o.more = l == 255
	}
	return nil
}

// ready makes bytes of the packet available, if it has any left.
func (o *oggPackets) ready() error {
	for o.left == 0 {
		if !o.more {
			return errTruncated
		}
		if err := o.segment(); err != nil {
			return err
		}
	}
	return nil
}

func (o *oggPackets) next(n int) ([]byte, error) {
	if n < 0 || n > maxBlock*3/2 { // a 16 MiB picture in base64 fits
		return nil, errTruncated
	}
	if n <= o.left {
		b, err := o.p.f.at(o.off, n)
		o.off += int64(n)
		o.left -= n
		return b, err
	}
	o.buf = o.buf[:0]
	for n > 0 {
		if err := o.ready(); err != nil {
			return nil, err
		}
		k := min(n, o.left)
		b, err := o.p.f.at(o.off, k)
		if err != nil {
			return nil, err
		}
		o.buf = append(o.buf, b...)
		o.off += int64(k)
		o.left -= k
		n -= k
	}
	return o.buf, nil
}

func (o *oggPackets) skip(n int64) error {
	if n < 0 {
		return errTruncated
	}
	for n > 0 {
		if o.left == 0 && o.more && o.seg == o.pg.count {
			k, err := o.jump(n)
			if err != nil {
				return err
			}
			n -= k
		}
		if err := o.ready(); err != nil {
			return err
		}
		k := min(n, int64(o.left))
		o.off += k
		o.left -= int(k)
		n -= k
	}
	return nil
}

// jump passes over many pages at once, from the end of one that lies in the middle of a long packet, if n bytes of the
// packet are to be skipped: a picture of 300 kB may lie in 75 pages, all alike. It looks where the pages would end if
// they are like the last. If there is a page of the stream with the number that would have, then so many pages lie
// between, and since each byte of lacing stands for 255 of the packet, their total length tells how much of the packet
// they hold. It returns how many bytes it passed over, 0 if it could not.
func (o *oggPackets) jump(n int64) (int64, error) {
	size, payload := o.pg.end-o.pg.off, o.pg.end-o.pg.body
	if payload != 255*int64(o.pg.count) || payload == 0 {
		return 0, nil
	}
	pages := n/payload - 1 // the last ones are walked
	if pages < 4 || pages > math.MaxInt32 {
		return 0, nil
	}
	pg, err := o.p.oggPage(o.pg.end + pages*size)
	switch {
	case o.p.f.failed != nil:
		return 0, err
	case err != nil, pg.serial != o.serial, pg.flags&oggContinued == 0, pg.number != o.pg.number+1+uint32(pages):
		return 0, nil
	}
	o.pg, o.seg, o.off = pg, 0, pg.body
	return pages * payload, nil
}

func (o *oggPackets) where(n int64) int64 {
	if n > int64(o.left) {
		return -1
	}
	return o.off
}

// ogg reads an Ogg file with Vorbis, Opus, Speex or FLAC in it. Of several streams side by side (Skeleton, video) it
// takes the first that is sound; of several one after the other (chained) it adds up the lengths.
func (p *parser) ogg() error {
	p.info.Format = "ogg"
	o, err := p.oggStream(0)
	if err != nil {
		return err
	}
	preSkip, err := p.oggHeaders(o)
	if err != nil {
		return err
	}
	i := p.info
	if i.SampleRate == 0 {
		return errNoAudio
	}
	i.AudioOffset = o.pg.end // headers end a page: Vorbis I §A.2, RFC 7845 §3, FLAC-in-Ogg
	i.AudioLength = p.f.size - i.AudioOffset
	return p.oggLength(o.serial, preSkip)
}

// oggStream finds the first stream of sound among those that begin at off.
func (p *parser) oggStream(off int64) (*oggPackets, error) {
	for range 32 {
		pg, err := p.oggPage(off)
		if err != nil {
			return nil, err
		}
		if pg.flags&oggFirst == 0 {
			break
		}
		b, err := p.f.upTo(pg.body, 8)
		if err != nil {
			return nil, err
		}
		for _, magic := range []string{"\x01vorbis", "OpusHead", "Speex   ", "\x7FFLAC"} {
			if hasAt(b, 0, magic) {
				return &oggPackets{p: p, serial: pg.serial, pg: pg, off: pg.body}, nil
			}
		}
		off = pg.end
	}
	return nil, errNoAudio
}

// oggHeaders reads the stream's header packets into info, and returns how many samples to drop at the start.
func (p *parser) oggHeaders(o *oggPackets) (preSkip int64, err error) {
	i := p.info
	if err := o.packet(); err != nil {
		return 0, err
	}
	b, err := o.next(min(o.left, 80))
	if err != nil {
		return 0, err
	}
	headers := 0 // that follow the comments
	switch {
	case hasAt(b, 0, "\x01vorbis") && len(b) >= 30: // Vorbis I §4.2.2
		i.Codec, headers = "vorbis", 1
		i.Channels, i.SampleRate = int(b[11]), int(binary.LittleEndian.Uint32(b[12:]))
	case hasAt(b, 0, "OpusHead") && len(b) >= 19: // RFC 7845 §5.1
		i.Codec = "opus"
		i.Channels, i.SampleRate = int(b[9]), 48000
		preSkip = int64(binary.LittleEndian.Uint16(b[10:]))
		if g := int16(binary.LittleEndian.Uint16(b[16:])); g != 0 {
			db := float64(g) / 256
			i.OutputGain = &db
		}
		i.EncoderDelay = int(preSkip)
	case hasAt(b, 0, "Speex   ") && len(b) >= 80:
		i.Codec, headers = "speex", int(min(binary.LittleEndian.Uint32(b[68:]), 16))
		i.SampleRate, i.Channels = int(binary.LittleEndian.Uint32(b[36:])), int(binary.LittleEndian.Uint32(b[48:]))
	case hasAt(b, 0, "\x7FFLAC") && len(b) >= 51: // RFC 9639 §10.1
		p.streamInfo(b[17:51])
	default:
		return 0, errNoAudio
	}
	if i.Channels == 0 || i.Channels > 255 || i.SampleRate > 1<<24 {
		return 0, errNoAudio
	}
	if i.Codec == "flac" {
		return 0, p.oggFlacBlocks(o)
	}
	if err := o.packet(); err != nil {
		return 0, err
	}
	magic := map[string]string{"vorbis": "\x03vorbis", "opus": "OpusTags", "speex": ""}[i.Codec]
	b, err = o.next(len(magic))
	if err != nil {
		return 0, err
	}
	if string(b) != magic {
		return 0, errTruncated
	}
	if err := p.vorbisComment(o); err != nil && !errors.Is(err, errTruncated) {
		return 0, err
	}
	for range headers {
		if err := o.packet(); err != nil {
			return 0, err
		}
	}
	return preSkip, o.finish()
}

// finish moves to the end of the packet, so that pg is the page in which it ends.
func (o *oggPackets) finish() error {
	for o.more {
		o.off, o.left = o.off+int64(o.left), 0
		if err := o.segment(); err != nil {
			return err
		}
	}
	return nil
}

// oggFlacBlocks reads the metadata blocks of FLAC in Ogg, one in each packet.
func (p *parser) oggFlacBlocks(o *oggPackets) error {
	for {
		if err := o.packet(); err != nil {
			return err
		}
		h, err := o.next(4)
		if err != nil {
			return err
		}
		last, kind := h[0]&0x80 != 0, h[0]&0x7F
		if h[0] == 0xFF { // already a frame: there was no last block
			return nil
		}
		switch kind {
		case 4:
			err = p.vorbisComment(o)
		case 6:
			err = p.flacPicture(o)
		}
		if err != nil && !errors.Is(err, errTruncated) {
			return err
		}
		if err := o.finish(); err != nil {
			return err
		}
		if last {
			return nil
		}
	}
}

// maxChain is how many streams one after the other are looked at. A longer chain gets the length of its first ones.
const maxChain = 64

// oggLength finds how long the sound is from the granule positions of the last pages, without reading what lies between.
func (p *parser) oggLength(serial uint32, preSkip int64) error {
	i := p.info
	if i.Codec == "flac" && i.Samples > 0 {
		return nil
	}
	start, total := i.AudioOffset, int64(0)
	for range maxChain {
		last, ok, err := p.oggLastPage(p.f.size, serial)
		if err != nil {
			return err
		}
		if !ok { // another stream follows this one
			if last, ok, err = p.oggBoundary(start, serial); err != nil {
				return err
			}
		}
		if !ok {
			break
		}
		nextStream := int64(-1)
		if pg, err := p.oggPage(last.end); err == nil && pg.flags&oggFirst != 0 {
			nextStream = last.end
		} else if p.f.failed != nil {
			return p.f.failed
		}
		n := last.granule
		first, err := p.oggFirstGranule(start, serial)
		if err != nil {
			return err
		}
		// A capture of a running station does not begin at zero. The first page of an ordinary file holds at most 255
		// packets of at most 8192 samples (Vorbis; Opus and Speex have smaller ones).
		if first > 255*8192 {
			n -= first
		}
		if n = max(n-preSkip, 0); n < math.MaxInt64-total {
			total += n
		}
		if nextStream < 0 {
			break
		}
		// Of the further links only the length counts: the tags are the first's.
		o, err := p.oggStream(nextStream)
		if err != nil {
			break
		}
		link := parser{f: p.f, info: &Info{}}
		o.p = &link
		if preSkip, err = link.oggHeaders(o); err != nil || link.info.SampleRate != i.SampleRate {
			break
		}
		serial, start = o.serial, o.pg.end
	}
	i.Samples = total
	return nil
}

// oggLastPage returns the last page before end that belongs to the stream and has a granule position. ok is false if
// the last two windows hold none.
func (p *parser) oggLastPage(end int64, serial uint32) (last oggPage, ok bool, err error) {
	for range 2 {
		start := max(end-windowSize, 0)
		b, err := p.f.at(start, int(end-start))
		if err != nil {
			return last, false, err
		}
		for k := bytes.LastIndex(b, []byte("OggS")); k >= 0; k = bytes.LastIndex(b[:k], []byte("OggS")) {
			pg, err := parseOggPage(b[k:], start+int64(k))
			if err == nil && pg.serial == serial && pg.granule >= 0 {
				return pg, true, nil
			}
		}
		if end = start + 27; start == 0 { // a header may straddle the windows
			break
		}
	}
	return last, false, nil
}

// oggBoundary finds by bisection the last page of a stream that ends well before the file does.
func (p *parser) oggBoundary(start int64, serial uint32) (last oggPage, ok bool, err error) {
	lo, hi := start, p.f.size // a page of the stream begins at or after lo; none begins at or after hi
	for hi-lo > windowSize/2 {
		mid := lo + (hi-lo)/2
		pg, found, err := p.oggFind(mid, serial)
		if err != nil {
			return last, false, err
		}
		if found && pg.off < hi {
			lo = max(pg.off, mid)
		} else {
			hi = mid
		}
	}
	for off := lo; ; {
		pg, found, err := p.oggFind(off, serial)
		if err != nil {
			return last, false, err
		}
		if !found {
			return last, ok, nil
		}
		if pg.granule >= 0 {
			last, ok = pg, true
		}
		off = pg.end
	}
}

// oggFind returns the first page of the stream that begins within a window's length after off.
func (p *parser) oggFind(off int64, serial uint32) (pg oggPage, ok bool, err error) {
	b, err := p.f.upTo(off, windowSize)
	if err != nil {
		return pg, false, err
	}
	for k := 0; ; k++ {
		n := bytes.Index(b[k:], []byte("OggS"))
		if n < 0 {
			return pg, false, nil
		}
		k += n
		if pg, err := parseOggPage(b[k:], off+int64(k)); err == nil && pg.serial == serial {
			return pg, true, nil
		}
	}
}

// oggFirstGranule returns the granule position of the stream's first page of sound; 0 where it is not near.
func (p *parser) oggFirstGranule(off int64, serial uint32) (int64, error) {
	for range 16 {
		pg, err := p.oggPage(off)
		switch {
		case p.f.failed != nil:
			return 0, err
		case err != nil:
			return 0, nil
		case pg.serial == serial && pg.granule >= 0:
			return pg.granule, nil
		}
		off = pg.end
	}
	return 0, nil
}
