package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// atom is a box of an MP4 file (ISO/IEC 14496-12 §4.2).
type atom struct {
	kind  string
	off   int64 // of the content
	end   int64
	start int64 // of the header
}

var errMP4 = errors.New("damaged MP4 structure")

// mp4Atom reads the header of the box at off, which must end by limit.
func (p *parser) mp4Atom(off, limit int64) (a atom, err error) {
	h, err := p.f.upTo(off, 16)
	if err != nil {
		return a, err
	}
	if len(h) < 8 {
		return a, errTruncated
	}
	n := int64(binary.BigEndian.Uint32(h))
	a = atom{kind: string(h[4:8]), start: off, off: off + 8}
	switch {
	case n == 0: // to the end of what contains it
		a.end = limit
		return a, nil
	case n == 1:
		if len(h) < 16 {
			return a, errTruncated
		}
		big := binary.BigEndian.Uint64(h[8:])
		if big > math.MaxInt64 {
			return a, errMP4
		}
		n = int64(big)
		a.off += 8
	}
	if n < a.off-off {
		return a, errMP4
	}
	if n > limit-off { // a recording that was cut still plays up to there
		n = limit - off
	}
	a.end = off + n
	return a, nil
}

// mp4Each calls fn for every box from off to end, until fn says that it has seen enough. Damage ends the walk quietly:
// what was found before it counts.
func (p *parser) mp4Each(off, end int64, fn func(a atom) (more bool, err error)) error {
	for n := 0; end-off >= 8 && n < maxReads; n++ {
		a, err := p.mp4Atom(off, end)
		if err != nil {
			return p.f.failed
		}
		more, err := fn(a)
		if err != nil || !more {
			return err
		}
		off = a.end
	}
	return nil
}

// mp4Track is what is gathered of one track.
type mp4Track struct {
	handler              string
	codec, profile       string
	lossless             bool
	rate, channels, bits int
	scale, duration      int64 // of the media
	editStart, editLen   int64 // of an edit list with one part; in media and in movie units
	edits                int
	stts                 int64 // total duration of the samples
}

type mp4File struct {
	p                  *parser
	scale, duration    int64 // of the movie
	fragmentsDuration  int64 // from mehd, in movie units
	tracks             []mp4Track
	defaultDuration    uint32 // from trex
	mdat               atom   // the largest
	firstMdat, lastEnd int64
	moov               bool
	fragments          int64 // durations added up from moof boxes, in media units
	moofs              int
	sidx               time.Duration
}

// mp4 reads an MP4 file: AAC, ALAC and whatever else is in it, with iTunes' tags (ISO/IEC 14496-12 and -14; the tags
// are documented in Apple's QuickTime File Format, "User data atoms" and "Metadata").
func (p *parser) mp4() error {
	p.info.Format = "mp4"
	m := mp4File{p: p}
	size := p.f.size
	err := p.mp4Each(0, size, func(a atom) (bool, error) {
		switch a.kind {
		case "moov":
			m.moov = true
			return true, m.movie(a)
		case "mdat":
			if m.firstMdat == 0 {
				m.firstMdat = a.off
			}
			m.lastEnd = a.end
			if a.end-a.off > m.mdat.end-m.mdat.off {
				m.mdat = a
			}
		case "sidx":
			return true, m.segmentIndex(a)
		case "moof":
			m.moofs++
			if m.sidx > 0 && m.firstMdat > 0 { // the index says how long it is
				m.lastEnd = size
				return false, nil
			}
			return true, m.fragment(a)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	i := p.info
	var t *mp4Track
	for k := range m.tracks {
		if c := &m.tracks[k]; c.handler == "soun" && c.codec != "" {
			t = c
			break
		}
	}
	if t == nil || t.rate == 0 {
		return errNoAudio
	}
	i.Codec, i.Profile, i.Lossless = t.codec, t.profile, t.lossless
	i.SampleRate, i.Channels = t.rate, t.channels
	if t.lossless {
		i.BitDepth = t.bits
	}
	i.AudioOffset, i.AudioLength = m.mdat.off, m.mdat.end-m.mdat.off
	if m.moofs > 0 {
		i.AudioOffset, i.AudioLength = m.firstMdat, m.lastEnd-m.firstMdat
	}
	m.length(t)
	return nil
}

// scaled is n units of scale a second as samples at rate.
func scaled(n, scale int64, rate int) int64 {
	if n <= 0 || scale <= 0 || rate <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(n), uint64(rate))
	if hi >= uint64(scale) {
		return 0
	}
	q, rem := bits.Div64(hi, lo, uint64(scale))
	if rem >= uint64(scale+1)/2 {
		q++
	}
	if q > math.MaxInt64 {
		return 0
	}
	return int64(q)
}

// length works out how long the track plays, and what an encoder added around it.
func (m *mp4File) length(t *mp4Track) {
	i := m.p.info
	// iTunes' own note is exact: delay, padding, samples.
	if f := strings.Fields(i.Tags.Get("ITUNSMPB")); len(f) >= 4 {
		delay, err1 := strconv.ParseUint(f[1], 16, 24)
		padding, err2 := strconv.ParseUint(f[2], 16, 24)
		n, err3 := strconv.ParseUint(f[3], 16, 48)
		if err1 == nil && err2 == nil && err3 == nil && n > 0 {
			i.EncoderDelay, i.EncoderPadding, i.Samples = int(delay), int(padding), int64(n)
			return
		}
	}
	media := t.duration
	if media == 0 {
		media = t.stts
	}
	total := scaled(media, t.scale, t.rate)
	i.Samples = total
	if t.edits == 1 && t.editStart >= 0 && t.editLen > 0 {
		delay := scaled(t.editStart, t.scale, t.rate)
		n := scaled(t.editLen, m.scale, t.rate)
		if delay+n <= total || total == 0 {
			i.EncoderDelay, i.EncoderPadding = int(min(delay, 1<<24)), int(min(max(total-delay-n, 0), 1<<24))
			i.Samples = n
		} else {
			i.Samples = max(total-delay, 0)
			i.EncoderDelay = int(min(delay, 1<<24))
		}
	}
	if i.Samples > 0 {
		return
	}
	switch { // a fragmented file
	case m.sidx > 0:
		i.Duration = m.sidx
		i.Samples = int64(m.sidx.Seconds() * float64(t.rate))
	case m.fragmentsDuration > 0:
		i.Samples = scaled(m.fragmentsDuration, m.scale, t.rate)
	case m.fragments > 0:
		i.Samples = scaled(m.fragments, t.scale, t.rate)
	default:
		i.Samples = scaled(m.duration, m.scale, t.rate)
	}
}

// full reads up to n bytes of a box's content, of which the first four are version and flags.
func (m *mp4File) full(a atom, n int) ([]byte, error) {
	return m.p.f.upTo(a.off, int(min(int64(n), a.end-a.off)))
}

func (m *mp4File) movie(moov atom) error {
	return m.p.mp4Each(moov.off, moov.end, func(a atom) (bool, error) {
		switch a.kind {
		case "mvhd":
			b, err := m.full(a, 36)
			if err != nil {
				return false, err
			}
			m.scale, m.duration = timescale(b)
		case "trak":
			if len(m.tracks) < 64 {
				m.tracks = append(m.tracks, mp4Track{})
				return true, m.track(a, &m.tracks[len(m.tracks)-1])
			}
		case "mvex":
			return true, m.p.mp4Each(a.off, a.end, func(a atom) (bool, error) {
				b, err := m.full(a, 24)
				switch {
				case err != nil:
				case a.kind == "mehd" && len(b) >= 12 && b[0] == 1:
					m.fragmentsDuration = int64(binary.BigEndian.Uint64(b[4:]) & math.MaxInt64)
				case a.kind == "mehd" && len(b) >= 8:
					m.fragmentsDuration = int64(binary.BigEndian.Uint32(b[4:]))
				case a.kind == "trex" && len(b) >= 16:
					m.defaultDuration = binary.BigEndian.Uint32(b[12:])
				}
				return true, err
			})
		case "udta":
			return true, m.userData(a)
		case "meta":
			return true, m.meta(a)
		}
		return true, nil
	})
}

// timescale reads the scale and duration of an mvhd or mdhd box.
func timescale(b []byte) (scale, duration int64) {
	switch {
	case len(b) >= 32 && b[0] == 1:
		scale, duration = int64(binary.BigEndian.Uint32(b[20:])), int64(binary.BigEndian.Uint64(b[24:])&math.MaxInt64)
		if duration == math.MaxInt64 {
			duration = 0
		}
	case len(b) >= 20 && b[0] == 0:
		scale, duration = int64(binary.BigEndian.Uint32(b[12:])), int64(binary.BigEndian.Uint32(b[16:]))
		if duration == math.MaxUint32 { // unknown
			duration = 0
		}
	}
	return scale, duration
}

func (m *mp4File) track(trak atom, t *mp4Track) error {
	return m.p.mp4Each(trak.off, trak.end, func(a atom) (bool, error) {
		switch a.kind {
		case "mdia", "minf", "stbl", "edts":
			return true, m.track(a, t)
		case "hdlr":
			b, err := m.full(a, 12)
			if err == nil && len(b) >= 12 && t.handler == "" {
				t.handler = string(b[8:12])
			}
			return true, err
		case "mdhd":
			b, err := m.full(a, 36)
			if err == nil {
				t.scale, t.duration = timescale(b)
			}
			return true, err
		case "elst":
			b, err := m.full(a, 8+2*20)
			if err == nil {
				t.editList(b)
			}
			return true, err
		case "stsd":
			if t.handler == "soun" {
				return true, m.description(a, t)
			}
		case "stts":
			b, err := m.full(a, 8+8*8) // sound has one or two entries
			if err == nil && len(b) >= 16 && t.handler == "soun" {
				for n, e := binary.BigEndian.Uint32(b[4:]), b[8:]; n > 0 && len(e) >= 8; n, e = n-1, e[8:] {
					t.stts += int64(binary.BigEndian.Uint32(e)) * int64(binary.BigEndian.Uint32(e[4:]))
				}
				t.stts = max(t.stts, 0)
			}
			return true, err
		}
		return true, nil
	})
}

// editList reads an edit list (ISO/IEC 14496-12 §8.6.6). Empty edits before the music are passed over.
func (t *mp4Track) editList(b []byte) {
	if len(b) < 8 {
		return
	}
	version, n := b[0], binary.BigEndian.Uint32(b[4:])
	b = b[8:]
	for ; n > 0; n-- {
		var length, start int64
		switch {
		case version == 1 && len(b) >= 20:
			length, start = int64(binary.BigEndian.Uint64(b)&math.MaxInt64), int64(binary.BigEndian.Uint64(b[8:]))
			b = b[20:]
		case version == 0 && len(b) >= 12:
			length, start = int64(binary.BigEndian.Uint32(b)), int64(int32(binary.BigEndian.Uint32(b[4:])))
			b = b[12:]
		default:
			return
		}
		if start < 0 {
			continue
		}
		t.edits++
		t.editStart, t.editLen = start, length
	}
}

// description reads the first sample entry (ISO/IEC 14496-12 §12.2.3).
func (m *mp4File) description(stsd atom, t *mp4Track) error {
	e, err := m.p.mp4Atom(stsd.off+8, stsd.end)
	if err != nil {
		return m.p.f.failed
	}
	b, err := m.p.f.upTo(e.off, int(min(28, e.end-e.off)))
	if err != nil || len(b) < 28 {
		return err
	}
	version := binary.BigEndian.Uint16(b[8:])
	t.channels, t.bits = int(binary.BigEndian.Uint16(b[16:])), int(binary.BigEndian.Uint16(b[18:]))
	t.rate = int(binary.BigEndian.Uint32(b[24:]) >> 16)
	if t.rate == 0 && t.scale < 1<<24 { // more than 16 bits do not fit there
		t.rate = int(t.scale)
	}
	switch e.kind {
	case "mp4a":
		t.codec = "aac"
	case "alac":
		t.codec, t.lossless = "alac", true
	case "fLaC":
		t.codec, t.lossless = "flac", true
	case "Opus":
		t.codec, t.rate = "opus", 48000
	case "ac-3":
		t.codec = "ac3"
	case "ec-3":
		t.codec = "eac3"
	case ".mp3":
		t.codec = "mp3"
	case "lpcm", "sowt", "twos", "in24", "in32", "fl32", "fl64", "ipcm", "fpcm":
		t.codec, t.lossless = "pcm", true
	default:
		return nil // protected or unknown: not playable, so no track of ours
	}
	switch e.kind { // the field for it says 16 whatever they have
	case "in24":
		t.bits = 24
	case "in32", "fl32":
		t.bits = 32
	case "fl64":
		t.bits = 64
	}
	off := e.off + 28
	switch version { // of QuickTime's sound description
	case 1:
		off += 16
	case 2:
		b, err := m.p.f.upTo(off, int(min(36, e.end-off)))
		if err != nil {
			return err
		}
		if len(b) == 36 {
			if hz := math.Float64frombits(binary.BigEndian.Uint64(b[4:])); hz >= 1 && hz < 1<<24 {
				t.rate = int(hz)
			}
			t.channels, t.bits = int(binary.BigEndian.Uint32(b[12:])&0xFFFF), int(binary.BigEndian.Uint32(b[20:])&0xFF)
		}
		off += 36
	}
	return m.p.mp4Each(off, e.end, func(a atom) (bool, error) { return true, m.decoder(a, t) })
}

// decoder reads the box with the decoder's own description.
func (m *mp4File) decoder(a atom, t *mp4Track) error {
	switch a.kind {
	case "wave": // QuickTime wraps it
		return m.p.mp4Each(a.off, a.end, func(a atom) (bool, error) {
			if a.kind == "wave" {
				return false, nil
			}
			return true, m.decoder(a, t)
		})
	case "esds":
		b, err := m.full(a, 256)
		if err == nil && len(b) > 4 {
			t.elementary(b[4:])
		}
		return err
	case "alac": // https://github.com/macosforge/alac/blob/master/ALACMagicCookieDescription.txt
		b, err := m.full(a, 28)
		if err == nil && len(b) >= 28 && t.codec == "alac" {
			t.bits, t.channels = int(b[9]), int(b[13])
			t.rate = int(binary.BigEndian.Uint32(b[24:]) & (1<<24 - 1))
		}
		return err
	case "dfLa": // https://github.com/xiph/flac/blob/master/doc/isoflac.txt
		b, err := m.full(a, 42)
		if err == nil && len(b) >= 42 && t.codec == "flac" {
			sub := parser{info: &Info{}}
			sub.streamInfo(b[8:42])
			t.bits, t.channels, t.rate = sub.info.BitDepth, sub.info.Channels, sub.info.SampleRate
			m.p.info.MD5 = sub.info.MD5
		}
		return err
	case "dOps":
		b, err := m.full(a, 11)
		if err == nil && len(b) >= 11 && t.codec == "opus" { // https://opus-codec.org/docs/opus_in_isobmff.html §4.3.2
			t.channels = int(b[1])
			if g := int16(binary.BigEndian.Uint16(b[8:])); g != 0 {
				db := float64(g) / 256
				m.p.info.OutputGain = &db
			}
		}
		return err
	}
	return nil
}

// elementary reads an MPEG-4 elementary stream descriptor (ISO/IEC 14496-1 §7.2.6).
func (t *mp4Track) elementary(b []byte) {
	tag := func() (kind byte, body []byte) {
		if len(b) < 2 {
			return 0, nil
		}
		kind = b[0]
		n, k := 0, 1
		for k < len(b) && k < 5 {
			n = n<<7 | int(b[k]&0x7F)
			k++
			if b[k-1]&0x80 == 0 {
				break
			}
		}
		body = b[k:min(k+n, len(b))]
		b = b[k:]
		return kind, body
	}
	kind, body := tag()
	if kind != 3 || len(body) < 3 {
		return
	}
	skip := 3
	switch flags := body[2]; {
	case flags&0x80 != 0:
		skip += 2
	case flags&0x40 != 0 && len(body) > 3:
		skip += 1 + int(body[3])
	}
	if b = body[min(skip, len(body)):]; len(b) == 0 {
		return
	}
	kind, body = tag()
	if kind != 4 || len(body) < 13 {
		return
	}
	switch body[0] { // http://mp4ra.org/registered-types/object-types
	case 0x40, 0x66, 0x67, 0x68:
		t.codec = "aac"
	case 0x69, 0x6B:
		t.codec = "mp3"
		return
	case 0xDD:
		t.codec = "vorbis"
		return
	default:
		return
	}
	b = body[13:]
	if kind, body = tag(); kind == 5 {
		t.aacConfig(body)
	}
}

// aacRates are by index (ISO/IEC 14496-3 table 1.18).
var aacRates = [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// aacConfig reads an AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1). With spectral band replication that is signalled
// the decoded rate is the extension's, and with parametric stereo there are two channels.
func (t *mp4Track) aacConfig(b []byte) {
	r := bitReader{b: b}
	object := func() int {
		o := r.take(5)
		if o == 31 {
			o = 32 + r.take(6)
		}
		return o
	}
	rate := func() int {
		i := r.take(4)
		if i == 15 {
			return r.take(24)
		}
		if i < len(aacRates) {
			return aacRates[i]
		}
		return 0
	}
	o, hz, channels := object(), rate(), r.take(4)
	profile := map[int]string{1: "Main", 2: "LC", 3: "SSR", 4: "LTP", 23: "LD", 39: "ELD", 42: "xHE-AAC"}[o]
	if o == 5 || o == 29 {
		profile = "HE-AAC"
		if ext := rate(); ext > 0 {
			hz = ext
		}
		if o == 29 {
			profile = "HE-AACv2"
			channels = 2
		}
	}
	if r.short || hz == 0 {
		return
	}
	if (o == 2 || o == 1 || o == 4) && channels > 0 { // a decoder of the older kind sees LC; newer ones look behind it (§1.6.5)
		r.take(1)
		if r.take(1) == 1 {
			r.take(14)
		}
		r.take(1)
		if r.take(11) == 0x2B7 && object() == 5 && r.take(1) == 1 {
			if ext := rate(); ext > 0 && !r.short {
				hz, profile = ext, "HE-AAC"
				if r.take(11) == 0x548 && r.take(1) == 1 && !r.short {
					profile, channels = "HE-AACv2", 2
				}
			}
		}
	}
	t.rate, t.profile = hz, profile
	switch {
	case channels == 7:
		t.channels = 8
	case channels > 0 && channels < 7:
		t.channels = channels
	}
}

// bitReader takes bits from the most significant on. Past the end it gives zeros and says so in short.
type bitReader struct {
	b     []byte
	pos   int
	short bool
}

func (r *bitReader) take(n int) int {
	v := 0
	for range n {
		v <<= 1
		if r.pos>>3 >= len(r.b) {
			r.short = true
			continue
		}
		v |= int(r.b[r.pos>>3]>>(7-r.pos&7)) & 1
		r.pos++
	}
	return v
}

// segmentIndex adds up the durations of a sidx box (ISO/IEC 14496-12 §8.16.3).
func (m *mp4File) segmentIndex(a atom) error {
	b, err := m.full(a, 32+12*65535)
	if err != nil || len(b) < 12 {
		return err
	}
	scale := int64(binary.BigEndian.Uint32(b[8:]))
	skip := 12 + 8
	if b[0] != 0 {
		skip = 12 + 16
	}
	if len(b) < skip+4 || scale == 0 {
		return nil
	}
	n := int(binary.BigEndian.Uint16(b[skip+2:]))
	b = b[skip+4:]
	var total int64
	for ; n > 0 && len(b) >= 12; n-- {
		if b[0]&0x80 != 0 { // points to another index, whose durations it repeats
			return nil
		}
		total += int64(binary.BigEndian.Uint32(b[4:]))
		b = b[12:]
	}
	m.sidx += time.Duration(float64(total) / float64(scale) * float64(time.Second))
	return nil
}

// fragment adds up the durations of a moof box's samples (ISO/IEC 14496-12 §8.8), those of the first track.
func (m *mp4File) fragment(moof atom) error {
	perSample := m.defaultDuration
	first := true
	var walk func(a atom) (bool, error)
	walk = func(a atom) (bool, error) {
		switch a.kind {
		case "traf":
			if !first {
				return false, nil
			}
			first = false
			return true, m.p.mp4Each(a.off, a.end, walk)
		case "tfhd":
			b, err := m.full(a, 40)
			if err != nil || len(b) < 8 {
				return true, err
			}
			flags, at := binary.BigEndian.Uint32(b)&0xFFFFFF, 8
			if flags&1 != 0 {
				at += 8
			}
			if flags&2 != 0 {
				at += 4
			}
			if flags&8 != 0 && len(b) >= at+4 {
				perSample = binary.BigEndian.Uint32(b[at:])
			}
		case "trun":
			b, err := m.full(a, 8)
			if err != nil || len(b) < 8 {
				return true, err
			}
			flags, n := binary.BigEndian.Uint32(b)&0xFFFFFF, int64(binary.BigEndian.Uint32(b[4:]))
			if flags&0x100 == 0 {
				m.fragments += n * int64(perSample)
				return true, nil
			}
			at, width := 8, 4
			for bit, size := range map[uint32]*int{1: &at, 4: &at, 0x200: &width, 0x400: &width, 0x800: &width} {
				if flags&bit != 0 {
					*size += 4
				}
			}
			if n > (a.end-a.off)/int64(width) {
				return true, nil
			}
			if b, err = m.full(a, at+int(n)*width); err != nil {
				return true, err
			}
			for b = b[min(at, len(b)):]; len(b) >= width; b = b[width:] {
				m.fragments += int64(binary.BigEndian.Uint32(b))
			}
		}
		return true, nil
	}
	return m.p.mp4Each(moof.off, moof.end, walk)
}

// userData reads a movie's udta box.
func (m *mp4File) userData(udta atom) error {
	return m.p.mp4Each(udta.off, udta.end, func(a atom) (bool, error) {
		switch a.kind {
		case "meta":
			return true, m.meta(a)
		case "chpl": // Nero's chapters: 100 ns units and length-prefixed titles
			b, err := m.full(a, maxText)
			if err == nil && len(b) >= 9 {
				m.chapters(b[8:])
			}
			return true, err
		}
		return true, nil
	})
}

func (m *mp4File) chapters(b []byte) {
	n := int(b[0])
	b = b[1:]
	cs := m.p.info.Chapters
	for ; n > 0 && len(b) >= 9; n-- {
		at, l := binary.BigEndian.Uint64(b), int(b[8])
		if len(b) < 9+l || at > math.MaxInt64/100 {
			break
		}
		if len(cs) > 0 {
			cs[len(cs)-1].End = time.Duration(at) * 100
		}
		cs = append(cs, Chapter{Start: time.Duration(at) * 100, Title: utf8OrLatin1(b[9 : 9+l])})
		b = b[9+l:]
	}
	m.p.info.Chapters = cs
}

// meta reads a meta box, which in QuickTime files lacks the version and flags of the standard's.
func (m *mp4File) meta(meta atom) error {
	b, err := m.full(meta, 8)
	if err != nil || len(b) < 8 {
		return err
	}
	off := meta.off
	if string(b[4:8]) != "hdlr" {
		off += 4
	}
	return m.p.mp4Each(off, meta.end, func(a atom) (bool, error) {
		if a.kind != "ilst" {
			return true, nil
		}
		return true, m.p.mp4Each(a.off, a.end, func(item atom) (bool, error) { return true, m.item(item) })
	})
}

// mp4Names are the canonical names of iTunes' atoms that hold text or a number.
var mp4Names = map[string]string{
	"\xA9nam": "TITLE", "\xA9ART": "ARTIST", "aART": "ALBUMARTIST", "\xA9alb": "ALBUM", "\xA9day": "DATE", "\xA9gen": "GENRE",
	"\xA9wrt": "COMPOSER", "\xA9cmt": "COMMENT", "\xA9lyr": "LYRICS", "\xA9too": "ENCODER", "\xA9enc": "ENCODEDBY", "cprt": "COPYRIGHT",
	"\xA9cpy": "COPYRIGHT", "cpil": "COMPILATION", "tmpo": "BPM", "soar": "ARTISTSORT", "soaa": "ALBUMARTISTSORT", "sonm": "TITLESORT",
	"soal": "ALBUMSORT", "soco": "COMPOSERSORT", "\xA9grp": "GROUPING", "\xA9wrk": "WORK", "\xA9mvn": "MOVEMENTNAME", "\xA9mvi": "MOVEMENT",
	"\xA9mvc": "MOVEMENTTOTAL", "shwm": "SHOWMOVEMENT", "rtng": "ITUNESADVISORY", "desc": "DESCRIPTION", "\xA9con": "CONDUCTOR",
	"\xA9dir": "DIRECTOR", "\xA9prd": "PRODUCER", "\xA9arg": "ARRANGER", "\xA9pub": "LABEL", "\xA9lab": "LABEL", "\xA9st3": "SUBTITLE",
	"\xA9isr": "ISRC", "\xA9aut": "LYRICIST", "\xA9sne": "ENGINEER",
}

// item reads one entry of the tags: its data boxes, each a value.
func (m *mp4File) item(item atom) error {
	p := m.p
	tags := &p.info.Tags
	name := mp4Names[item.kind]
	freeform := ""
	return p.mp4Each(item.off, item.end, func(a atom) (bool, error) {
		n := a.end - a.off
		if a.kind == "name" && item.kind == "----" {
			b, err := m.full(a, 4+256)
			if err == nil && len(b) > 4 {
				freeform = utf8OrLatin1(b[4:])
			}
			return true, err
		}
		if a.kind != "data" || n < 8 {
			return true, nil
		}
		if item.kind == "covr" {
			b, err := p.f.upTo(a.off, int(min(n, 32)))
			if err == nil && n > 8 {
				p.addPicture(PictureInfo{Kind: PictureFront, MIME: pictureMIME(b[8:], ""), Size: n - 8, Offset: a.off + 8})
			}
			return true, err
		}
		if n > maxText || (name == "" && item.kind != "----" && item.kind != "trkn" && item.kind != "disk" && item.kind != "gnre") {
			return true, nil
		}
		b, err := p.f.at(a.off, int(n))
		if err != nil {
			return false, err
		}
		kind, v := binary.BigEndian.Uint32(b)&0xFFFFFF, b[8:]
		switch item.kind {
		case "trkn", "disk":
			if len(v) >= 6 {
				key := "TRACK"
				if item.kind == "disk" {
					key = "DISC"
				}
				putNumber(tags, key+"NUMBER", binary.BigEndian.Uint16(v[2:]))
				putNumber(tags, key+"TOTAL", binary.BigEndian.Uint16(v[4:]))
			}
		case "gnre":
			if len(v) >= 2 {
				if g := int(binary.BigEndian.Uint16(v)) - 1; g >= 0 && g < len(id3Genres) {
					tags.put("GENRE", id3Genres[g])
				}
			}
		case "----":
			tags.add(freeform, mp4Value(kind, v))
		default:
			value := mp4Value(kind, v)
			if (name == "COMPILATION" || name == "ITUNESADVISORY" || name == "BPM" || name == "SHOWMOVEMENT") && value == "0" {
				return true, nil // iTunes writes these everywhere, meaning "no"
			}
			tags.put(name, value)
		}
		return true, nil
	})
}

func putNumber(t *Tags, key string, n uint16) {
	if n > 0 {
		t.put(key, strconv.Itoa(int(n)))
	}
}

// mp4Value decodes a value by its well-known type (QuickTime File Format, "Well-known types").
func mp4Value(kind uint32, b []byte) string {
	switch kind {
	case 2:
		return utf16String(b, binary.BigEndian)
	case 21, 22, 0:
		if kind == 0 && (len(b) > 8 || len(b) == 0 || bytes.ContainsFunc(b, func(r rune) bool { return r >= ' ' })) {
			break // text whose writer did not say so
		}
		if len(b) == 0 || len(b) > 8 {
			return ""
		}
		var n int64
		if kind == 21 && b[0]&0x80 != 0 {
			n = -1
		}
		for _, c := range b {
			n = n<<8 | int64(c)
		}
		return strconv.FormatInt(n, 10)
	}
	return utf8OrLatin1(b)
}
