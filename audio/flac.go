package audio

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"
)

var errNoAudio = errors.New("no audio was found in it")

// flac reads a native FLAC file whose signature is at off (RFC 9639 §8).
func (p *parser) flac(off int64) error {
	p.info.Format = "flac"
	off += 4
	seen := false
	for {
		h, err := p.f.at(off, 4)
		if err != nil {
			return err
		}
		last, kind, n := h[0]&0x80 != 0, h[0]&0x7F, int64(h[1])<<16|int64(h[2])<<8|int64(h[3])
		off += 4
		if n > p.f.size-off {
			return errTruncated
		}
		body := section{p.f, off, off + n}
		switch kind {
		case 0:
			b, err := body.next(34)
			if err != nil {
				return err
			}
			p.streamInfo(b)
			seen = true
		case 4:
			if err := p.vorbisComment(&body); err != nil && !errors.Is(err, errTruncated) {
				return err
			}
		case 5:
			if b, err := body.next(int(n)); err == nil {
				p.cueSheetBlock(b)
			}
		case 6:
			if err := p.flacPicture(&body); err != nil && !errors.Is(err, errTruncated) {
				return err
			}
		}
		off += n
		if last {
			break
		}
	}
	if !seen || p.info.SampleRate == 0 {
		return errNoAudio
	}
	p.info.AudioOffset, p.info.AudioLength = off, p.f.size-off
	if p.info.MD5 == [16]byte{} || len(p.info.Tags) == 0 {
		// Tags do not belong behind FLAC, so to look for them is worth a journey to the file's end only where they
		// would be missed, or where the fingerprint depends on where the sound ends.
		tail := p.tailTags()
		p.info.AudioLength = max(0, tail.end-off)
		p.info.Tags.addMissing(tail.tags)
	}
	return nil
}

// streamInfo reads the 34 bytes of STREAMINFO (RFC 9639 §8.2).
func (p *parser) streamInfo(b []byte) {
	i := p.info
	i.Codec, i.Lossless = "flac", true
	bits := binary.BigEndian.Uint64(b[10:])
	i.SampleRate = int(bits >> 44)
	i.Channels = int(bits>>41&7) + 1
	i.BitDepth = int(bits>>36&31) + 1
	i.Samples = int64(bits & (1<<36 - 1))
	copy(i.MD5[:], b[18:34])
}

// cueSheetBlock reads a CUESHEET metadata block (RFC 9639 §8.7). A cue sheet in a CUESHEET comment says more (titles)
// and so wins over it.
func (p *parser) cueSheetBlock(b []byte) {
	const head, track, index = 396, 36, 12
	if len(b) < head || p.info.SampleRate == 0 {
		return
	}
	sheet := &Cue{Catalog: clean(latin1(b[:128]))}
	file := CueFile{}
	left := int(b[395])
	b = b[head:]
	for ; left > 0 && len(b) >= track; left-- {
		t := CueTrack{Number: int(b[8]), ISRC: clean(latin1(b[9:21])), Type: "AUDIO"}
		offset, indexes := binary.BigEndian.Uint64(b), int(b[35])
		if b[21]&0x80 != 0 {
			t.Type = "DATA"
		}
		b = b[track:]
		found := false
		for ; indexes > 0 && len(b) >= index; indexes-- {
			at := samplesToDuration(int64((offset+binary.BigEndian.Uint64(b))&(1<<62-1)), p.info.SampleRate)
			t.Indexes = append(t.Indexes, CueIndex{Number: int(b[8]), At: at})
			if b[8] == 1 {
				t.Start, found = at, true
			}
			b = b[index:]
		}
		if t.Number >= 1 && t.Number <= 99 && found && t.Type == "AUDIO" { // 170 and 255 are lead-outs
			file.Tracks = append(file.Tracks, t)
		}
	}
	sheet.Files = []CueFile{file}
	if sheet.trackCount() > 1 && !p.info.Tags.Has("CUESHEET") {
		p.info.Cue = sheet
	}
}

// vorbisComment reads a comment header as Ogg Vorbis, Opus and FLAC share it: little-endian lengths, a vendor string,
// then NAME=value in UTF-8. https://xiph.org/vorbis/doc/v-comment.html
func (p *parser) vorbisComment(s stream) error {
	length := func() (int64, error) {
		b, err := s.next(4)
		if err != nil {
			return 0, err
		}
		return int64(binary.LittleEndian.Uint32(b)), nil
	}
	n, err := length()
	if err != nil {
		return err
	}
	if err := s.skip(n); err != nil { // the vendor
		return err
	}
	count, err := length()
	if err != nil {
		return err
	}
	for range count {
		if n, err = length(); err != nil {
			return err
		}
		if err := p.comment(s, n); err != nil {
			return err
		}
	}
	return nil
}

// maxText is the longest value of a text field that is kept: lyrics and cue sheets are the longest honest ones.
const maxText = 1 << 20

// comment reads one NAME=value of n bytes. A name is looked at before its value is read: pictures are jumped over.
func (p *parser) comment(s stream, n int64) error {
	const maxName = 64
	name := make([]byte, 0, maxName)
	for len(name) < maxName && n > 0 {
		b, err := s.next(1)
		if err != nil {
			return err
		}
		n--
		if b[0] == '=' {
			break
		}
		name = append(name, b[0])
	}
	switch key := strings.ToUpper(string(name)); {
	case len(name) == maxName, n > maxText && key != "METADATA_BLOCK_PICTURE" && key != "COVERART":
		return s.skip(n)
	case key == "METADATA_BLOCK_PICTURE", key == "COVERART":
		return p.base64Picture(s, n, key == "COVERART")
	default:
		b, err := s.next(int(n))
		if err != nil {
			return err
		}
		p.info.Tags.add(key, utf8OrLatin1(b))
	}
	return nil
}

// chapters reads the CHAPTERxxx convention of Vorbis comments: CHAPTER001=00:01:02.345 and CHAPTER001NAME=….
// https://wiki.xiph.org/Chapter_Extension
func (t Tags) chapters() []Chapter {
	var cs []Chapter
	for _, tag := range t {
		num, ok := strings.CutPrefix(tag.Key, "CHAPTER")
		if !ok || len(num) != 3 || strings.Trim(num, "0123456789") != "" {
			continue
		}
		at, ok := parseClock(tag.Value)
		if !ok {
			continue
		}
		cs = append(cs, Chapter{Start: at, Title: t.Get(tag.Key + "NAME")})
	}
	for i := range cs[:max(len(cs)-1, 0)] {
		cs[i].End = cs[i+1].Start
	}
	return cs
}

// parseClock reads [[hh:]mm:]ss[.fraction].
func parseClock(s string) (time.Duration, bool) {
	parts := strings.Split(strings.TrimSpace(s), ":")
	if len(parts) > 3 {
		return 0, false
	}
	var d time.Duration
	for i, part := range parts {
		frac := ""
		if i == len(parts)-1 {
			part, frac, _ = strings.Cut(part, ".")
		}
		n, ok := digits(part, 6)
		if !ok {
			return 0, false
		}
		d = d*60 + time.Duration(n)*time.Second
		if frac != "" {
			f, ok := fraction(frac)
			if !ok {
				return 0, false
			}
			d += f
		}
	}
	return d, true
}

// digits reads a decimal number of at most width digits and nothing else.
func digits(s string, width int) (int, bool) {
	if s == "" || len(s) > width {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

// fraction reads the digits after a decimal point of seconds.
func fraction(s string) (time.Duration, bool) {
	d, unit := time.Duration(0), 100*time.Millisecond
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		d += time.Duration(s[i]-'0') * unit
		unit /= 10
	}
	return d, true
}
