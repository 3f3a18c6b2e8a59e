package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// mpegFrame is the header of an MPEG-1, -2 or -2.5 audio frame (ISO/IEC 11172-3 §2.4.1.3, 13818-3 §2.4.2.3).
type mpegFrame struct {
	version  int // 1, 2, or 3 for the unofficial 2.5
	layer    int
	rate     int // Hz
	kbps     int // 0: free format
	channels int
	samples  int // per frame and channel
	size     int // bytes; 0 for free format
	crc      bool
}

func (h mpegFrame) valid() bool { return h.layer != 0 }

// like reports whether two frames can belong to one stream.
func (h mpegFrame) like(o mpegFrame) bool {
	return h.version == o.version && h.layer == o.layer && h.rate == o.rate
}

// mpegRates are kbit/s by [version 1 or later][layer-1][index].
var mpegRates = [2][3][15]int{
	{
		{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
		{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
		{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
	},
	{
		{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
	},
}

// mpegHeader reads a frame header. The zero value is returned for what is none.
func mpegHeader(b []byte) mpegFrame {
	if len(b) < 4 || b[0] != 0xFF || b[1]&0xE0 != 0xE0 {
		return mpegFrame{}
	}
	var h mpegFrame
	switch b[1] >> 3 & 3 {
	case 0:
		h.version = 3
	case 2:
		h.version = 2
	case 3:
		h.version = 1
	default:
		return mpegFrame{}
	}
	layer, rate, index := 4-int(b[1]>>1&3), int(b[2]>>2&3), int(b[2]>>4)
	if layer == 4 || rate == 3 || index == 15 || b[3]&3 == 2 {
		return mpegFrame{}
	}
	h.layer, h.crc = layer, b[1]&1 == 0
	h.rate = [3]int{44100, 48000, 32000}[rate] >> (h.version - 1)
	h.kbps = mpegRates[min(h.version, 2)-1][layer-1][index]
	h.channels = 2
	if b[3]>>6 == 3 {
		h.channels = 1
	}
	pad := int(b[2] >> 1 & 1)
	switch {
	case layer == 1:
		h.samples = 384
		h.size = (12000*h.kbps/h.rate + pad) * 4
	case layer == 3 && h.version > 1:
		h.samples = 576
		h.size = 72000*h.kbps/h.rate + pad
	default:
		h.samples = 1152
		h.size = 144000*h.kbps/h.rate + pad
	}
	if h.kbps == 0 {
		h.size = 0
	}
	return h
}

// mpeg reads an MPEG audio stream that begins at or shortly after off, where lead is what was read before it.
func (p *parser) mpeg(off int64, lead Tags) error {
	i := p.info
	i.Format = "mp3"
	tail := p.tailTags()
	first, start, err := p.mpegSync(off, tail.end)
	if err != nil {
		return err
	}
	i.Codec, i.SampleRate, i.Channels = "mp3", first.rate, first.channels
	if first.layer != 3 {
		i.Codec, i.Profile = "mp2", fmt.Sprintf("layer %d", first.layer)
		if first.layer == 1 {
			i.Codec = "mp1"
		}
	}
	i.Tags.addMissing(lead)
	i.Tags.addMissing(tail.tags)

	b, err := p.f.upTo(start, max(first.size, 192))
	if err != nil {
		return err
	}
	frames, bytesOfAudio, ok := p.xing(b, first)
	if !ok {
		frames, bytesOfAudio, ok = vbri(b)
	}
	i.AudioOffset = start
	if ok {
		i.AudioOffset = min(start+int64(first.size), tail.end) // that frame holds no sound
	}
	i.AudioLength = tail.end - i.AudioOffset
	if frames > 0 {
		i.Samples = max(frames*int64(first.samples)-int64(i.EncoderDelay)-int64(i.EncoderPadding), 0)
		if d := samplesToDuration(frames*int64(first.samples), first.rate); d > 0 {
			if bytesOfAudio -= int64(first.size); bytesOfAudio <= 0 { // it counts the frame that says so
				bytesOfAudio = i.AudioLength
			}
			i.BitRate = bitRate(bytesOfAudio, d)
		}
		return nil
	}
	return p.mpegEstimate(first)
}

// afterID3 reads a file that begins with an ID3v2 tag: nearly always MPEG audio, but some programs put such tags
// before other formats.
func (p *parser) afterID3() error {
	off, err := p.id3v2(0)
	if errors.Is(err, errID3) {
		off, err = 10, nil // not a header after all, or a damaged one: there may still be sound
	}
	if err != nil {
		return err
	}
	// A second tag directly behind the first is the work of a tagger that did not understand the first.
	for range 4 {
		b, err := p.f.upTo(off, 10)
		if err != nil {
			return err
		}
		if !hasAt(b, 0, "ID3") {
			break
		}
		first := p.info.Tags
		p.info.Tags = nil
		next, err := p.id3v2(off)
		if err != nil && !errors.Is(err, errID3) {
			return err
		}
		off = max(next, off+10)
		second := p.info.Tags
		p.info.Tags = first
		p.info.Tags.addMissing(second)
	}
	b, err := p.f.upTo(off, 12)
	if err != nil {
		return err
	}
	switch {
	case hasAt(b, 0, "fLaC"):
		lead := p.info.Tags
		p.info.Tags = nil
		err := p.flac(off)
		p.info.Tags.addMissing(lead)
		return err
	case hasAt(b, 0, "MAC "):
		lead := p.info.Tags
		p.info.Tags = nil
		err := p.monkeys(off)
		p.info.Tags.addMissing(lead)
		return err
	}
	return p.mpeg(off, nil)
}

// mpegSync finds the first frame whose successor also is one. Padding and junk before it are passed over.
func (p *parser) mpegSync(off, end int64) (h mpegFrame, at int64, err error) {
	const reach = 2 * windowSize
	var single mpegFrame
	singleAt := int64(-1)
	for base := off; base < min(off+reach, end); {
		b, err := p.f.upTo(base, int(min(windowSize, end-base)))
		if err != nil {
			return h, 0, err
		}
		for k := 0; k+4 <= len(b); k++ {
			n := bytes.IndexByte(b[k:], 0xFF)
			if n < 0 {
				break
			}
			k += n
			h := mpegHeader(b[k:])
			if !h.valid() {
				continue
			}
			pos := base + int64(k)
			if h.size == 0 || pos+int64(h.size)+4 > end {
				if singleAt < 0 && pos == off { // one frame is a whole stream only where a stream should begin
					single, singleAt = h, pos
				}
				continue
			}
			var next []byte
			if k+h.size+4 <= len(b) {
				next = b[k+h.size:]
			} else {
				if next, err = p.f.at(pos+int64(h.size), 4); err != nil {
					return h, 0, err
				}
				next = bytes.Clone(next)
				if b, err = p.f.upTo(base, len(b)); err != nil { // the call before took the window away
					return h, 0, err
				}
			}
			if mpegHeader(next).like(h) {
				return h, pos, nil
			}
		}
		base += max(int64(len(b))-3, 1)
	}
	if singleAt >= 0 {
		return single, singleAt, nil
	}
	return h, 0, errNoAudio
}

// xing reads the header that encoders hide in an otherwise empty first frame: "Xing" for a variable, "Info" for a
// constant bit rate, with LAME's extension. http://gabriel.mp3-tech.org/mp3infotag.html
func (p *parser) xing(b []byte, h mpegFrame) (frames, size int64, ok bool) {
	if h.layer != 3 {
		return 0, 0, false
	}
	off := 4 + 32 // the header and the side information
	switch {
	case h.version == 1 && h.channels == 1, h.version > 1 && h.channels == 2:
		off = 4 + 17
	case h.version > 1:
		off = 4 + 9
	}
	if !hasAt(b, off, "Xing") && !hasAt(b, off, "Info") {
		if off += 2; !h.crc || !hasAt(b, off, "Xing") && !hasAt(b, off, "Info") { // a checksum moves it, in some files
			return 0, 0, false
		}
	}
	b = b[off+4:]
	if len(b) < 4 {
		return 0, 0, true
	}
	flags := binary.BigEndian.Uint32(b)
	b = b[4:]
	take := func(bit uint32, n int) []byte {
		if flags&bit == 0 || len(b) < n {
			return nil
		}
		v := b[:n]
		b = b[n:]
		return v
	}
	if v := take(1, 4); v != nil {
		frames = int64(binary.BigEndian.Uint32(v))
	}
	if v := take(2, 4); v != nil {
		size = int64(binary.BigEndian.Uint32(v))
	}
	take(4, 100) // seek table
	take(8, 4)   // quality
	if len(b) >= 24 && (b[0] >= 'A' && b[0] <= 'Z') {
		p.info.EncoderDelay = int(b[21])<<4 | int(b[22]>>4)
		p.info.EncoderPadding = int(b[22]&15)<<8 | int(b[23])
	}
	return frames, size, true
}

// vbri reads the header of Fraunhofer's encoder, which always lies 32 bytes behind the frame's header.
func vbri(b []byte) (frames, size int64, ok bool) {
	const off = 4 + 32
	if !hasAt(b, off, "VBRI") || len(b) < off+18 {
		return 0, 0, false
	}
	return int64(binary.BigEndian.Uint32(b[off+14:])), int64(binary.BigEndian.Uint32(b[off+10:])), true
}

// mpegEstimate works out the length of a stream without a header that says it: exact for a constant bit rate, else
// from the frames in windows spread over the file.
func (p *parser) mpegEstimate(first mpegFrame) error {
	i := p.info
	if first.size == 0 { // free format: nothing to go by
		return nil
	}
	const samplesOf = 8 // windows
	var frames, size int64
	constant := true
	for k := range int64(samplesOf) {
		at := i.AudioOffset + i.AudioLength/samplesOf*k
		b, err := p.f.upTo(at, int(min(windowSize/4, i.AudioOffset+i.AudioLength-at)))
		if err != nil {
			return err
		}
		pos, linked := 0, 0
		for pos+4 <= len(b) {
			h := mpegHeader(b[pos:])
			if !h.like(first) || h.size == 0 {
				pos++
				linked = 0
				continue
			}
			if linked++; linked > 1 || k == 0 { // the first after a search may be an accident
				frames++
				size += int64(h.size)
				constant = constant && h.kbps == first.kbps
			}
			pos += h.size
		}
		if k == 1 && constant && frames > 0 { // the beginning and one place further agree
			break
		}
	}
	if frames == 0 {
		frames, size = 1, int64(first.size)
	}
	if constant {
		// Padding makes frames differ by a byte; the rate itself is exact.
		i.BitRate = first.kbps
		i.Samples = i.AudioLength * 8 * int64(first.rate) / (int64(first.kbps) * 1000)
		return nil
	}
	i.Samples = int64(float64(i.AudioLength) * float64(frames) / float64(size) * float64(first.samples))
	return nil
}
