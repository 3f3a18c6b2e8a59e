// Package audio reads what an audio file says of itself: its tags, its technical properties, the pictures and lyrics
// inside it, and a fingerprint of its sound that survives re-tagging. It also reads the small text files that lie
// beside music: cue sheets, LRC lyrics and M3U playlists.
//
// Everything is pure Go and works on an io.ReaderAt with a handful of small reads, so that scanning a library costs
// little even on a slow disk: the sound itself, and the pictures, are never read. Formats that Read does not know
// (ErrFormat) can be given to Probe, which asks ffprobe.
//
// What belongs here: parsers of foreign bytes, and arithmetic on what they say. What does not: decisions about what a
// library should contain, and anything that touches the network. All parsers here take hostile input: they bound what
// they allocate and how much they read, and return errors, never panic.
package audio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"tutti"
)

// ErrFormat is wrapped by Read's error where the file is of no format that this package reads itself. Probe may do.
var ErrFormat = errors.New("not an audio format that is read natively")

// Info is what a file says of itself. Zero values mean "unknown".
type Info struct {
	Format  string // the container: "mp3", "flac", "ogg", "mp4", "wav", "aiff", "wavpack", "ape", "dsf"; from Probe ffprobe's first name
	Codec   string // as tutti.Track.Codec: "mp3", "flac", "vorbis", "opus", "speex", "aac", "alac", "pcm", "g711", "adpcm", "wavpack", "wavpack-hybrid" (lossy), "ape", "dsd", …
	Profile string // of the codec where it tells more: "LC", "HE-AAC", "HE-AACv2", "layer 2"

	Duration   time.Duration // as played: encoder delay and padding excluded where known
	Samples    int64         // per channel as played, at SampleRate
	BitRate    int           // kbit/s, averaged over the audio
	SampleRate int           // Hz, of the decoded sound
	BitDepth   int           // bits a sample; 0 for lossy codecs
	Channels   int
	Lossless   bool

	// AudioOffset and AudioLength bound the bytes of sound in the file: no tags, headers or pictures, though in an Ogg
	// file the page headers lie between.
	AudioOffset, AudioLength int64

	EncoderDelay, EncoderPadding int      // samples that the encoder added before and after the music
	MD5                          [16]byte // of the decoded samples, from FLAC's STREAMINFO; zero if the encoder left it out
	OutputGain                   *float64 // dB, from the Opus header: part of the decoded signal (RFC 7845 §5.1)

	Tags     Tags
	Pictures []PictureInfo
	Chapters []Chapter
	Cue      *Cue // an embedded cue sheet with more than one track

	lyrics []rawLyrics // what ID3 says with a language; other formats' lyrics are in Tags
}

// Chapter is a named section of a file.
type Chapter struct {
	Start, End time.Duration // End is 0 where the file does not say
	Title      string
}

// ContentType is the media type under which the file is delivered.
func (i *Info) ContentType() string {
	switch i.Format {
	case "mp3":
		return "audio/mpeg"
	case "mp4":
		return "audio/mp4"
	case "ogg", "flac", "wav", "aiff":
		return "audio/" + i.Format
	case "wavpack":
		return "audio/x-wavpack"
	case "ape":
		return "audio/x-ape"
	case "dsf":
		return "audio/x-dsf"
	case "matroska", "webm":
		return "audio/matroska" // RFC 9559
	case "mov":
		return "audio/mp4"
	case "tta", "mpc", "mpc8":
		return "audio/x-" + i.Format[:3]
	case "asf":
		return "audio/x-ms-wma"
	case "aac":
		return "audio/aac"
	}
	return "application/octet-stream"
}

// Read reads the tags and properties of a file of size bytes. name is only a hint for files that do not start with a
// signature. It makes few reads of at most 64 KiB each, whatever the size of the file and its pictures.
//
// The error is KindInvalid for a file that is damaged beyond use or, wrapping ErrFormat, of another format;
// KindUnavailable where f could not be read or ctx ended. A file with damaged tags but readable sound is no error: it
// has the tags that could be read.
func Read(ctx context.Context, f io.ReaderAt, size int64, name string) (Info, error) {
	p := parser{f: openFile(ctx, f, size), info: &Info{}}
	defer p.f.close()
	err := p.parse(name)
	return *p.info, err
}

// parser gathers what the format parsers find in one file.
type parser struct {
	f    *file
	info *Info
	keep bool // pictures' bytes are wanted

	data64 int64 // length of a 64-bit WAVE file's data chunk, from its ds64 chunk
}

func (p *parser) parse(name string) (err error) {
	const op = "audio.Read"
	head, err := p.f.upTo(0, 64)
	if err != nil {
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	switch {
	case hasAt(head, 0, "fLaC"):
		err = p.flac(0)
	case hasAt(head, 0, "OggS"):
		err = p.ogg()
	case hasAt(head, 4, "ftyp"):
		err = p.mp4()
	case hasAt(head, 8, "WAVE") && (hasAt(head, 0, "RIFF") || hasAt(head, 0, "RF64") || hasAt(head, 0, "BW64")):
		err = p.wav()
	case hasAt(head, 0, "FORM") && (hasAt(head, 8, "AIFF") || hasAt(head, 8, "AIFC")):
		err = p.aiff()
	case hasAt(head, 0, "wvpk"):
		err = p.wavpack()
	case hasAt(head, 0, "MAC "):
		err = p.monkeys(0)
	case hasAt(head, 0, "DSD "):
		err = p.dsf()
	case hasAt(head, 0, "ID3"):
		err = p.afterID3()
	case mpegHeader(head).valid() || strings.EqualFold(path.Ext(name), ".mp3"):
		err = p.mpeg(0, nil)
	default:
		err = fmt.Errorf("%q: %w", path.Ext(name), ErrFormat)
	}
	if err == nil {
		err = p.finish()
	}
	if err != nil {
		kind := tutti.KindInvalid
		if p.f.failed != nil { // the file could not be read, which says nothing of what is in it
			kind, err = tutti.KindUnavailable, p.f.failed
		}
		return tutti.Wrap(kind, op, err)
	}
	return nil
}

// finish fills what follows from the rest, whatever the format, and refuses what no encoder makes.
func (p *parser) finish() error {
	i := p.info
	const fastest = 1 << 26 // Hz; DSD1024 has 45 MHz
	if i.SampleRate <= 0 || i.SampleRate > fastest || i.Channels <= 0 || i.Channels > 4096 {
		return errNoAudio
	}
	if i.BitDepth < 0 || i.BitDepth > 64 {
		i.BitDepth = 0
	}
	i.Samples = max(i.Samples, 0)
	// A file that was cut says of itself where things would be.
	i.AudioOffset = min(i.AudioOffset, p.f.size)
	i.AudioLength = max(0, min(i.AudioLength, p.f.size-i.AudioOffset))
	if i.Duration == 0 && i.SampleRate > 0 && i.Samples > 0 {
		i.Duration = samplesToDuration(i.Samples, i.SampleRate)
	}
	if i.BitRate == 0 && i.AudioLength > 0 && i.Duration > 0 {
		i.BitRate = bitRate(i.AudioLength, i.Duration)
	}
	if i.Cue == nil {
		if sheet := i.Tags.Get("CUESHEET"); sheet != "" {
			if cue, err := ParseCue([]byte(sheet)); err == nil && cue.trackCount() > 1 {
				i.Cue = cue
			}
		}
	}
	if i.Chapters == nil {
		i.Chapters = i.Tags.chapters()
	}
	return nil
}

// bitRate is kbit/s, rounded, of n bytes over d.
func bitRate(n int64, d time.Duration) int {
	if d <= 0 {
		return 0
	}
	return int(float64(n)*8/1000/d.Seconds() + 0.5)
}

// samplesToDuration avoids the overflow that n × 1e9 would meet after 2.6 hours at 1 MHz-like rates: whole seconds and
// the rest are converted apart.
func samplesToDuration(n int64, rate int) time.Duration {
	r := int64(rate)
	if r <= 0 || n <= 0 {
		return 0
	}
	const longest = int64(1<<63-1) / int64(time.Second)
	if n/r >= longest { // only damaged or hostile headers say so
		return 0
	}
	return time.Duration(n/r)*time.Second + time.Duration(n%r)*time.Second/time.Duration(r)
}

func hasAt(b []byte, off int, s string) bool {
	return len(b) >= off+len(s) && string(b[off:off+len(s)]) == s
}
