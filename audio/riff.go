package audio

import (
	"encoding/binary"
	"math"
	"strings"
)

// chunk walks the chunks of a RIFF or IFF file, which differ in the order of bytes only.
type chunk struct {
	kind     string
	off, end int64 // of the content
}

func (p *parser) chunks(off, end int64, order binary.ByteOrder, fn func(c chunk) error) error {
	for n := 0; end-off >= 8 && n < maxReads; n++ {
		h, err := p.f.at(off, 8)
		if err != nil {
			return p.f.failed
		}
		c := chunk{kind: string(h[:4]), off: off + 8}
		size := int64(order.Uint32(h[4:]))
		if c.kind == "data" && size == math.MaxUint32 && p.data64 > 0 {
			size = p.data64
		}
		c.end = min(c.off+size, end)
		if err := fn(c); err != nil {
			return err
		}
		if off = c.off + size; size < math.MaxInt64 {
			off += size & 1
		}
	}
	return nil
}

// wavInfo are the canonical names of a LIST INFO chunk's entries.
// https://exiftool.org/TagNames/RIFF.html#Info
var wavInfo = map[string]string{
	"INAM": "TITLE", "IART": "ARTIST", "IPRD": "ALBUM", "ICRD": "DATE", "IGNR": "GENRE", "ICMT": "COMMENT", "ITRK": "TRACKNUMBER",
	"IPRT": "TRACKNUMBER", "ICOP": "COPYRIGHT", "IMUS": "COMPOSER", "IWRI": "LYRICIST", "IENG": "ENGINEER", "IPRO": "PRODUCER",
	"ISFT": "ENCODER", "ILNG": "LANGUAGE", "IPUB": "LABEL", "IMED": "MEDIA", "ISRC": "SOURCE", "IAAR": "ALBUMARTIST", "ICNM": "CINEMATOGRAPHER",
}

// wav reads a RIFF/WAVE file, or its 64-bit forms RF64 and BW64 (EBU Tech 3306, ITU-R BS.2088).
func (p *parser) wav() error {
	i := p.info
	i.Format = "wav"
	var format, align, perSecond int
	var fact int64
	var info, id3 Tags
	err := p.chunks(12, p.f.size, binary.LittleEndian, func(c chunk) error {
		switch c.kind {
		case "ds64":
			b, err := p.f.upTo(c.off, 24)
			if err == nil && len(b) >= 16 {
				p.data64 = int64(binary.LittleEndian.Uint64(b[8:]) & math.MaxInt64)
			}
			return err
		case "fmt ":
			b, err := p.f.upTo(c.off, int(min(c.end-c.off, 40)))
			if err != nil || len(b) < 16 {
				return err
			}
			format, i.Channels = int(binary.LittleEndian.Uint16(b)), int(binary.LittleEndian.Uint16(b[2:]))
			i.SampleRate = int(binary.LittleEndian.Uint32(b[4:]))
			perSecond, align = int(binary.LittleEndian.Uint32(b[8:])), int(binary.LittleEndian.Uint16(b[12:]))
			i.BitDepth = int(binary.LittleEndian.Uint16(b[14:]))
			if format == 0xFFFE && len(b) >= 26 { // extensible: the real format is the GUID's beginning
				format = int(binary.LittleEndian.Uint16(b[24:]))
				if valid := int(binary.LittleEndian.Uint16(b[18:])); valid > 0 && valid < i.BitDepth {
					i.BitDepth = valid
				}
			}
		case "fact":
			b, err := p.f.upTo(c.off, 4)
			if err == nil && len(b) == 4 {
				fact = int64(binary.LittleEndian.Uint32(b))
			}
			return err
		case "data":
			if i.AudioOffset == 0 {
				i.AudioOffset, i.AudioLength = c.off, c.end-c.off
			}
		case "LIST":
			b, err := p.f.upTo(c.off, 4)
			if err != nil || string(b) != "INFO" {
				return err
			}
			return p.chunks(c.off+4, c.end, binary.LittleEndian, func(c chunk) error {
				key := wavInfo[c.kind]
				if key == "" || c.end-c.off > maxText {
					return nil
				}
				b, err := p.f.at(c.off, int(c.end-c.off))
				if err == nil {
					info.put(key, utf8OrLatin1(b))
				}
				return err
			})
		case "id3 ", "ID3 ":
			t, err := p.embeddedID3(c.off)
			id3.addMissing(t)
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	if i.SampleRate == 0 || i.Channels == 0 || i.AudioOffset == 0 {
		return errNoAudio
	}
	i.Tags = id3
	i.Tags.addMissing(info)
	switch format {
	case 1, 3: // integers, floats
		i.Codec, i.Lossless = "pcm", true
		if align > 0 {
			i.Samples = i.AudioLength / int64(align)
		}
	case 6, 7:
		i.Codec, i.BitDepth = "g711", 0
		if align > 0 {
			i.Samples = i.AudioLength / int64(align)
		}
	default:
		i.Codec, i.BitDepth = wavCodec(format), 0
		if i.Samples = fact; fact == 0 && perSecond > 0 {
			i.Samples = int64(float64(i.AudioLength) / float64(perSecond) * float64(i.SampleRate))
		}
	}
	return nil
}

// wavCodec names a format tag of which the samples are not plain (RFC 2361).
func wavCodec(format int) string {
	switch format {
	case 0x02, 0x11:
		return "adpcm"
	case 0x50:
		return "mp2"
	case 0x55:
		return "mp3"
	case 0xFF, 0x1610:
		return "aac"
	}
	return "unknown"
}

// embeddedID3 reads the ID3v2 tag at off apart from the tags that info has already.
func (p *parser) embeddedID3(off int64) (Tags, error) {
	before := p.info.Tags
	p.info.Tags = nil
	_, err := p.id3v2(off)
	t := p.info.Tags
	p.info.Tags = before
	if err != nil && p.f.failed == nil {
		err = nil // a damaged tag does not spoil the sound
	}
	return t, err
}

// aiff reads an AIFF or AIFF-C file (Apple's Audio Interchange File Format 1.3 and AIFF-C drafts).
func (p *parser) aiff() error {
	i := p.info
	i.Format = "aiff"
	var text, id3 Tags
	compression := "NONE"
	err := p.chunks(12, p.f.size, binary.BigEndian, func(c chunk) error {
		switch c.kind {
		case "COMM":
			b, err := p.f.upTo(c.off, int(min(c.end-c.off, 22)))
			if err != nil || len(b) < 18 {
				return err
			}
			i.Channels, i.Samples = int(binary.BigEndian.Uint16(b)), int64(binary.BigEndian.Uint32(b[2:]))
			i.BitDepth, i.SampleRate = int(binary.BigEndian.Uint16(b[6:])), extended(b[8:18])
			if len(b) >= 22 {
				compression = string(b[18:22])
			}
		case "SSND":
			b, err := p.f.upTo(c.off, 8)
			if err != nil || len(b) < 8 {
				return err
			}
			i.AudioOffset = min(c.off+8+int64(binary.BigEndian.Uint32(b)), c.end)
			i.AudioLength = c.end - i.AudioOffset
		case "NAME", "AUTH", "ANNO", "(c) ":
			if c.end-c.off > maxText {
				return nil
			}
			b, err := p.f.at(c.off, int(c.end-c.off))
			if err == nil {
				key := map[string]string{"NAME": "TITLE", "AUTH": "ARTIST", "ANNO": "COMMENT", "(c) ": "COPYRIGHT"}[c.kind]
				text.put(key, utf8OrLatin1(b))
			}
			return err
		case "ID3 ", "id3 ":
			t, err := p.embeddedID3(c.off)
			id3.addMissing(t)
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	if i.SampleRate == 0 || i.Channels == 0 {
		return errNoAudio
	}
	i.Tags = id3
	i.Tags.addMissing(text)
	switch strings.ToLower(compression) {
	case "none", "twos", "sowt", "raw ", "in24", "in32", "fl32", "fl64", "23ni":
		i.Codec, i.Lossless = "pcm", true
	case "alaw", "ulaw":
		i.Codec, i.BitDepth = "g711", 0
	case "ima4":
		i.Codec, i.BitDepth = "adpcm", 0
		i.Samples *= 64 // COMM counts packets
	default:
		i.Codec, i.BitDepth = "unknown", 0
	}
	return nil
}

// extended reads an 80-bit floating-point number of IEEE 754, as a whole number of Hz.
func extended(b []byte) int {
	exponent := int(binary.BigEndian.Uint16(b)&0x7FFF) - 16383
	mantissa := binary.BigEndian.Uint64(b[2:])
	if b[0]&0x80 != 0 || exponent < 0 || exponent > 24 {
		return 0
	}
	return int(math.Round(math.Ldexp(float64(mantissa), exponent-63)))
}
