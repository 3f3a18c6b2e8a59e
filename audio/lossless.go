package audio

import "encoding/binary"

// wavpack reads a WavPack file, whose blocks each begin with a header of 32 bytes.
// https://www.wavpack.com/WavPack5FileFormat.pdf
func (p *parser) wavpack() error {
	i := p.info
	i.Format, i.Codec = "wavpack", "wavpack"
	off := int64(0)
	for block := 0; ; block++ {
		h, err := p.f.at(off, 32)
		if err != nil {
			return err
		}
		if !hasAt(h, 0, "wvpk") || block == 64 {
			return errNoAudio
		}
		size := int64(binary.LittleEndian.Uint32(h[4:])) + 8
		samples, flags := binary.LittleEndian.Uint32(h[20:]), binary.LittleEndian.Uint32(h[24:])
		if samples == 0 { // holds only metadata
			off += size
			continue
		}
		total := int64(binary.LittleEndian.Uint32(h[12:]))
		if total == 1<<32-1 { // unknown when it was written
			total = 0
		} else {
			total |= int64(h[11]) << 32
		}
		const mono, hybrid, float, final, dsd = 1 << 2, 1 << 3, 1 << 7, 1 << 12, 1 << 31
		i.Samples = total
		i.Lossless = flags&hybrid == 0
		i.BitDepth = (int(flags&3)+1)*8 - int(flags>>13&31)
		if flags&float != 0 {
			i.BitDepth = 32
		}
		if i.Channels = 2; flags&mono != 0 {
			i.Channels = 1
		}
		if k := flags >> 23 & 15; k < 15 {
			i.SampleRate = [...]int{6000, 8000, 9600, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000, 192000}[k]
		}
		if err := p.wavpackBlock(off+32, off+size, flags&final == 0); err != nil {
			return err
		}
		switch {
		case flags&hybrid != 0:
			i.Codec = "wavpack-hybrid" // what was taken away may lie in a .wvc file beside it, which is not delivered
		case flags&dsd != 0:
			i.Codec, i.BitDepth = "dsd", 1
		}
		break
	}
	if i.SampleRate == 0 {
		return errNoAudio
	}
	t := p.tailTags()
	i.Tags = t.tags
	i.AudioLength = t.end
	if !i.Lossless {
		i.BitDepth = 0
	}
	return nil
}

// wavpackBlock reads the sub-blocks that say more than the header can: the number of channels where a block is one of
// several, and an unusual rate.
func (p *parser) wavpackBlock(off, end int64, several bool) error {
	end = min(end, p.f.size)
	for range 64 {
		b, err := p.f.upTo(off, 4)
		if err != nil || len(b) < 4 || off >= end {
			return err
		}
		id, n, head := b[0], int64(b[1])*2, int64(2)
		if id&0x80 != 0 {
			n, head = (int64(b[1])|int64(b[2])<<8|int64(b[3])<<16)*2, 4
		}
		odd := id & 0x40 >> 6
		body, err := p.f.upTo(off+head, int(min(n-int64(odd), 8)))
		if err != nil {
			return err
		}
		switch id & 0x3F {
		case 0x0D:
			if several && len(body) > 0 {
				p.info.Channels = int(body[0])
				if len(body) >= 6 { // more than 255 channels have their number elsewhere
					p.info.Channels = (int(body[0]) | int(body[2]&15)<<8) + 1
				}
			}
		case 0x27:
			if len(body) >= 3 {
				p.info.SampleRate = int(body[0]) | int(body[1])<<8 | int(body[2])<<16
			}
		}
		off += head + n
	}
	return nil
}

// monkeys reads a Monkey's Audio file whose signature is at off. The layout is that of the SDK's APE_DESCRIPTOR and
// APE_HEADER (since version 3.98) and APE_HEADER_OLD.
func (p *parser) monkeys(off int64) error {
	i := p.info
	i.Format, i.Codec, i.Lossless = "ape", "ape", true
	b, err := p.f.upTo(off, 128)
	if err != nil {
		return err
	}
	if len(b) < 32 {
		return errTruncated
	}
	var perFrame, last, frames int64
	if version := binary.LittleEndian.Uint16(b[4:]); version >= 3980 {
		skip := int(binary.LittleEndian.Uint32(b[8:]))
		if skip < 52 || skip > len(b)-24 {
			return errTruncated
		}
		b = b[skip:]
		perFrame, last, frames = int64(binary.LittleEndian.Uint32(b[4:])), int64(binary.LittleEndian.Uint32(b[8:])), int64(binary.LittleEndian.Uint32(b[12:]))
		i.BitDepth, i.Channels, i.SampleRate = int(binary.LittleEndian.Uint16(b[16:])), int(binary.LittleEndian.Uint16(b[18:])), int(binary.LittleEndian.Uint32(b[20:]))
	} else {
		level, flags := binary.LittleEndian.Uint16(b[6:]), binary.LittleEndian.Uint16(b[8:])
		i.Channels, i.SampleRate = int(binary.LittleEndian.Uint16(b[10:])), int(binary.LittleEndian.Uint32(b[12:]))
		frames, last = int64(binary.LittleEndian.Uint32(b[24:])), int64(binary.LittleEndian.Uint32(b[28:]))
		switch {
		case version >= 3950:
			perFrame = 73728 * 4
		case version >= 3900, version >= 3800 && level == 4000:
			perFrame = 73728
		default:
			perFrame = 9216
		}
		switch {
		case flags&1 != 0:
			i.BitDepth = 8
		case flags&8 != 0:
			i.BitDepth = 24
		default:
			i.BitDepth = 16
		}
	}
	if i.SampleRate == 0 || i.Channels == 0 {
		return errNoAudio
	}
	if frames > 0 {
		i.Samples = (frames-1)*perFrame + last
	}
	t := p.tailTags()
	i.Tags.addMissing(t.tags)
	i.AudioOffset, i.AudioLength = off, max(t.end-off, 0)
	return nil
}

// dsf reads a DSF file: DSD chunk, fmt chunk, data chunk, and an ID3v2 tag whose place the first says (Sony's DSF file
// format specification 1.01).
func (p *parser) dsf() error {
	i := p.info
	i.Format, i.Codec, i.Lossless = "dsf", "dsd", true
	b, err := p.f.at(0, 28+52+12)
	if err != nil {
		return err
	}
	if !hasAt(b, 28, "fmt ") || !hasAt(b, 80, "data") {
		return errNoAudio
	}
	tag := binary.LittleEndian.Uint64(b[20:])
	i.Channels, i.SampleRate = int(binary.LittleEndian.Uint32(b[52:])&0xFF), int(binary.LittleEndian.Uint32(b[56:]))
	i.BitDepth = 1
	i.Samples = int64(binary.LittleEndian.Uint64(b[64:]) & (1<<62 - 1))
	size := int64(binary.LittleEndian.Uint64(b[84:])&(1<<62-1)) - 12
	i.AudioOffset = 92
	i.AudioLength = max(min(size, p.f.size-92), 0)
	if i.SampleRate == 0 || i.Channels == 0 {
		return errNoAudio
	}
	if tag >= 92 && tag < uint64(p.f.size) {
		t, err := p.embeddedID3(int64(tag))
		if err != nil {
			return err
		}
		i.Tags = t
	}
	return nil
}
