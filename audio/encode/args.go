package encode

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"tutti"
)

// format is how ffmpeg is asked for a Profile.Format.
type format struct {
	contentType string
	muxer       []string // the last arguments before the output
	codec       string
	lossy       bool
	rate        int // kbit/s where the profile names none
	minRate     int // kbit/s
	maxRate     int
	rigid       bool // the profile chooses nothing but where to begin

	meter   func() meter // what makes the object of the sound; nil: it is the sound
	patient bool         // nobody waits for it: it has places of its own, and everything else goes before
}

// formats are the shapes of sound that this package makes. The default bit rates are where listening tests find each
// codec transparent for nearly all music; the limits are those of the encoders (libmp3lame: ISO 11172-3 layer III's
// table; libopus: RFC 6716 §2.1.1, 6 to 510 kbit/s).
//
// The muxers write to a pipe and so cannot go back to their headers. MP3 is made at a constant rate without a Xing
// frame, because one written first would have to count frames that do not exist yet: a player computes length and
// seeks exactly from the constant rate, and misses only the encoder's delay of some 25 ms. Ogg Opus carries its delay
// (pre-skip) first and its exact length in the last page, so it is gapless as it is. AAC goes out as ADTS, since an MP4
// either has its index at the end or must be finished before it can start. FLAC gets its number of
// samples from us where it is certain beforehand (samplesOf), else "unknown", as RFC 9639 §8.2 allows; WAV's sizes say
// "unknown" with 0xFFFFFFFF, by custom.
var formats = map[string]format{
	"mp3": {
		contentType: "audio/mpeg", codec: "libmp3lame", lossy: true, rate: 192, minRate: 8, maxRate: 320,
		muxer: []string{"-write_xing", "0", "-id3v2_version", "4", "-f", "mp3"},
	},
	"opus": {
		contentType: "audio/ogg", codec: "libopus", lossy: true, rate: 128, minRate: 6, maxRate: 510,
		muxer: []string{"-f", "ogg"},
	},
	"aac": {
		contentType: "audio/aac", codec: "aac", lossy: true, rate: 192, minRate: 16, maxRate: 512,
		muxer: []string{"-f", "adts"},
	},
	"flac": {contentType: "audio/flac", codec: "flac", muxer: []string{"-f", "flac"}},
	"wav":  {contentType: "audio/wav", codec: "pcm_s16le", muxer: []string{"-f", "wav"}},
	"ts": {
		contentType: "video/mp2t", codec: "aac", lossy: true, rate: 160, minRate: 16, maxRate: 512,
		muxer: []string{"-muxdelay", "0", "-muxpreload", "0", "-avoid_negative_ts", "disabled", "-f", "mpegts"},
	},
	// Not sound but what a seek bar draws of it (audio.Peaks), made here of the samples of all channels.
	"peaks": {
		contentType: "application/octet-stream", codec: "pcm_s16le", muxer: []string{"-f", "s16le"}, rigid: true, meter: newPeakMeter,
	},
	// What is heard in it (analyse.Full), the outline included, likewise. Samples beyond full scale count, as lossy formats
	// have them, and which channel is which: so floating-point numbers, in a container that says it.
	"analysis": {
		contentType: "application/octet-stream", codec: "pcm_f32le", muxer: []string{"-f", "wav"}, rigid: true, meter: newAnalysis, patient: true,
	},
}

// demuxers are the only containers that ffmpeg may look for: sound files. Without the list a file that calls itself
// .mp3 but holds a playlist would be followed to whatever it names.
const demuxers = "aac,ac3,aiff,amr,ape,asf,au,caf,dsf,dts,eac3,flac,iff,loas,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2," +
	"mp3,mpc,mpc8,mpegts,ogg,rf64,shn,tak,truehd,tta,voc,w64,wav,wv,xwma"

// Segments of format "ts" lie on a grid of AAC frames that starts at the beginning of the file, at one sample rate, so
// that independently encoded neighbours join without a gap: see segment.
const (
	tsRate   = 48000
	aacFrame = 1024 // samples (ISO 14496-3 §4.5.1.1, frameLengthFlag 0)
)

// check returns KindInvalid for what cannot be made.
func check(r tutti.Ref) (format, error) {
	const op = "encode.Open"
	p := r.Profile
	f, ok := formats[p.Format]
	switch {
	case !ok || p.Cover || p.Pixels != 0:
		return f, tutti.Errorf(tutti.KindInvalid, op, "the format %q cannot be made; mp3, opus, aac, flac, wav, ts, peaks and analysis can", p.Format)
	case f.lossy && p.BitRate != 0 && (p.BitRate < f.minRate || p.BitRate > f.maxRate):
		return f, tutti.Errorf(tutti.KindInvalid, op, "%s needs a bit rate from %d to %d kbit/s, not %d", p.Format, f.minRate, f.maxRate, p.BitRate)
	case !f.lossy && p.BitRate != 0:
		return f, tutti.Errorf(tutti.KindInvalid, op, "%s is lossless and takes no bit rate", p.Format)
	case f.rigid && (p.Rate != 0 || p.Channels != 0 || p.BitDepth != 0):
		return f, tutti.Errorf(tutti.KindInvalid, op, "%s is made in one way only", p.Format)
	case p.Rate != 0 && (p.Rate < 8000 || p.Rate > 384_000):
		return f, tutti.Errorf(tutti.KindInvalid, op, "a sample rate is from 8000 to 384000 Hz, not %d", p.Rate)
	case p.Format == "ts" && p.Rate != 0 && p.Rate != tsRate:
		return f, tutti.Errorf(tutti.KindInvalid, op, "ts segments have %d Hz, not %d", tsRate, p.Rate)
	case p.Channels < 0 || p.Channels > 8:
		return f, tutti.Errorf(tutti.KindInvalid, op, "%d channels cannot be made", p.Channels)
	case p.BitDepth != 0 && (f.lossy || (p.BitDepth != 16 && p.BitDepth != 24)):
		return f, tutti.Errorf(tutti.KindInvalid, op, "flac and wav are made with 16 or 24 bits a sample, not %d", p.BitDepth)
	case p.Offset < 0 || r.Start < 0 || r.End < 0 || r.End != 0 && r.End <= r.Start+p.Offset:
		return f, tutti.Errorf(tutti.KindInvalid, op, "there is nothing to play after %s", p.Offset)
	}
	return f, nil
}

// arguments is ffmpeg's command line for r. input is its input URL; depth is the bit depth to make where the profile
// leaves that to the source (0: let ffmpeg choose).
func arguments(r tutti.Ref, f format, input string, depth int) []string {
	p := r.Profile
	begin, end := r.Start+p.Offset, r.End
	var seg segment
	if p.Format == "ts" {
		seg = segmentOf(begin, end)
		begin, end = seg.begin, seg.end
	}
	args := []string{
		"-hide_banner", "-nostdin", "-loglevel", "info", "-nostats", "-progress", "pipe:4", "-stats_period", "0.5",
		"-protocol_whitelist", "file,pipe", "-format_whitelist", demuxers,
	}
	// Seeking takes ffmpeg near the place cheaply; the trim below is what finds the sample. Whole seconds, so that
	// the distance left to trim is the same number of samples whoever computes it, and neighbours tile exactly.
	seek := max(0, begin.Truncate(time.Second)-time.Second)
	if seek > 0 {
		args = append(args, "-ss", seconds(seek))
	}
	args = append(args, "-i", input, "-map", "0:a:0", "-map_chapters", "-1")
	if p.Format == "ts" || r.Start != 0 || r.End != 0 {
		args = append(args, "-map_metadata", "-1") // the file's tags are the whole disc's, not this section's
	} else {
		// Ogg keeps tags with the stream, everything else with the file; take both.
		args = append(args, "-map_metadata:g", "0:g", "-map_metadata:g", "0:s:a:0")
	}
	if p.BitDepth != 0 {
		depth = p.BitDepth
	}
	var filters []string
	if begin > 0 || end > 0 {
		trim := "atrim=start=" + seconds(begin-seek)
		if end > 0 {
			trim += ":end=" + seconds(end-seek)
		}
		filters = append(filters, trim, "asetpts=PTS-STARTPTS")
	}
	if depth == 16 && !f.lossy {
		filters = append(filters, "aresample=out_sample_fmt=s16:dither_method=triangular")
	}
	if len(filters) > 0 {
		args = append(args, "-af", strings.Join(filters, ","))
	}
	codec := f.codec
	switch {
	case p.Format == "wav" && depth > 16:
		codec = "pcm_s24le"
	case p.Format == "flac" && depth == 16:
		args = append(args, "-sample_fmt", "s16")
	case p.Format == "flac" && depth > 16:
		args = append(args, "-sample_fmt", "s32", "-bits_per_raw_sample", "24")
	}
	args = append(args, "-c:a", codec)
	if f.lossy {
		rate := p.BitRate
		if rate == 0 {
			rate = f.rate
		}
		args = append(args, "-b:a", strconv.Itoa(rate)+"k")
	}
	switch {
	case p.Format == "ts":
		args = append(args, "-ar", strconv.Itoa(tsRate), "-bsf:a", seg.filter(), "-output_ts_offset", seconds(seg.stamp))
	case p.Rate != 0 && p.Format != "opus":
		args = append(args, "-ar", strconv.Itoa(p.Rate))
	}
	if p.Channels != 0 {
		args = append(args, "-ac", strconv.Itoa(p.Channels))
	}
	// Bit-exact muxing and coding leave out version strings and random stream numbers: the same ref gives the same bytes,
	// so that one member of a fleet can go on with what another began.
	args = append(args, "-fflags", "+bitexact", "-flags:a", "+bitexact")
	args = append(args, f.muxer...)
	return append(args, "pipe:1")
}

// seconds formats d for ffmpeg, which counts in microseconds.
func seconds(d time.Duration) string { return fmt.Sprintf("%.6f", d.Round(time.Microsecond).Seconds()) }

// segment is a piece of sound that joins its neighbours, though each is encoded by itself. AAC codes overlapping
// windows: a frame decodes right only after the one before it, and an encoder's first frame is made of silence. So all
// segments put their frames on one grid, frame g holding the samples from g*1024; each is encoded from a little
// before, and only the frames that belong to it are kept. A player that reads segment after segment then decodes
// one unbroken stream. Frame -1, the encoder's first, goes with the segment that begins at 0, which moves every
// time stamp by one frame.
type segment struct {
	begin, end  time.Duration // what to decode; end 0 is the end of the file
	first, last int64         // frames to keep, counted from the encoder's first; last is exclusive, -1 for no end
	stamp       time.Duration // the time stamp of the encoder's first frame
}

// lead is how many frames before its own a segment is encoded: one whose overlap is right is enough, and the encoder
// has two to settle its rate control. gridStep frames last 64 ms exactly, so that every begin is a whole number of
// microseconds.
const (
	lead     = 2
	gridStep = 3
)

func segmentOf(begin, end time.Duration) segment {
	frames := func(n int64) time.Duration {
		return time.Duration(math.Round(float64(n) * aacFrame / tsRate * float64(time.Second)))
	}
	// The first frame that starts at t or later; t is a whole number of microseconds, so the arithmetic is exact.
	frameAt := func(t time.Duration) int64 {
		const scale = aacFrame * 1_000_000
		return (t.Round(time.Microsecond).Microseconds()*tsRate + scale - 1) / scale
	}
	first := frameAt(begin)
	from := max(0, (first-lead)/gridStep*gridStep)
	s := segment{begin: frames(from), first: first - from + 1, last: -1, stamp: frames(from)}
	if first == 0 {
		s.first = 0
	}
	if end > 0 {
		last := frameAt(end)
		s.last = last - from + 1
		s.end = frames(last + lead)
	}
	return s
}

// filter is the bitstream filter that keeps the segment's frames. It counts packets rather than comparing time stamps,
// whose unit differs between versions of ffmpeg.
func (s segment) filter() string {
	expr := fmt.Sprintf(`lt(n\,%d)`, s.first)
	if s.last >= 0 {
		expr += fmt.Sprintf(`+gte(n\,%d)`, s.last)
	}
	return "noise=drop=" + expr
}
