package audio

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"tutti"
)

const (
	probeTimeout = 30 * time.Second // a file that takes longer is stuck on a dead disk or made to be slow
	probeOutput  = 4 << 20          // bytes of JSON; tags with lyrics are a few dozen kB
	probeByName  = 50               // the best score that a file's name alone can get: libavformat's AVPROBE_SCORE_EXTENSION
)

// Probe asks the ffprobe program for what Read would say, for formats that Read does not know. path is the file's
// name in the file system. The process ends with ctx, or after 30 s. Pictures are not described, and values of a
// field that appears several times come back as ffprobe joins them, divided at ";".
//
// The error is KindInvalid for a file without sound, KindUnavailable where ffprobe cannot be run or did not finish,
// KindExhausted where it says more than 4 MiB.
func Probe(ctx context.Context, ffprobe, path string) (Info, error) {
	const op = "audio.Probe"
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	// The prefix keeps a name like "http:…" or "concat:…" from being taken for one of ffmpeg's protocols.
	cmd := exec.CommandContext(ctx, ffprobe, "-v", "error", "-protocol_whitelist", "file", "-of", "json",
		"-show_format", "-show_streams", "-show_chapters", "file:"+path)
	out := &limited{left: probeOutput}
	complaint := &limited{left: 4096}
	cmd.Stdout, cmd.Stderr = out, complaint
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	switch {
	case out.over:
		return Info{}, tutti.Errorf(tutti.KindExhausted, op, "ffprobe says more than %d bytes of the file", probeOutput)
	case ctx.Err() != nil:
		return Info{}, tutti.Wrap(tutti.KindUnavailable, op, ctx.Err())
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return Info{}, tutti.Wrap(tutti.KindInvalid, op, errors.New(clean(complaint.buf.String())))
	}
	if err != nil {
		return Info{}, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	info, err := parseProbe(out.buf.Bytes())
	return info, tutti.Wrap(tutti.KindInvalid, op, err)
}

// limited keeps what is written to it up to a limit, past which writing fails and so ends the process.
//
// It does not embed the buffer: that would have a ReadFrom, which goes past the limit.
type limited struct {
	buf  bytes.Buffer
	left int
	over bool
}

func (l *limited) Write(b []byte) (int, error) {
	if len(b) > l.left {
		l.over = true
		return 0, io.ErrShortWrite
	}
	l.left -= len(b)
	return l.buf.Write(b)
}

// probeJSON is as much of ffprobe's answer as is used. It gives most numbers as strings.
type probeJSON struct {
	Format struct {
		Name     string            `json:"format_name"`
		Score    int               `json:"probe_score"` // how sure ffprobe is of that name, to 100
		Duration string            `json:"duration"`
		BitRate  string            `json:"bit_rate"`
		Tags     map[string]string `json:"tags"`
	} `json:"format"`
	Streams []struct {
		Type       string            `json:"codec_type"`
		Codec      string            `json:"codec_name"`
		Profile    string            `json:"profile"`
		SampleRate string            `json:"sample_rate"`
		Channels   int               `json:"channels"`
		Bits       int               `json:"bits_per_sample"`
		RawBits    string            `json:"bits_per_raw_sample"`
		Duration   string            `json:"duration"`
		BitRate    string            `json:"bit_rate"`
		Tags       map[string]string `json:"tags"`
	} `json:"streams"`
	Chapters []struct {
		Start string            `json:"start_time"`
		End   string            `json:"end_time"`
		Tags  map[string]string `json:"tags"`
	} `json:"chapters"`
}

// parseProbe reads ffprobe's answer.
func parseProbe(b []byte) (Info, error) {
	var j probeJSON
	var info Info
	if err := json.Unmarshal(b, &j); err != nil {
		return info, err
	}
	found := false
	for _, s := range j.Streams {
		if s.Type != "audio" || found {
			continue
		}
		found = true
		info.Codec, info.Lossless = probeCodec(s.Codec)
		if s.Profile != "unknown" {
			info.Profile = s.Profile
		}
		info.SampleRate, info.Channels = atoi(s.SampleRate), max(s.Channels, 0)
		if info.Lossless {
			if info.BitDepth = atoi(s.RawBits); info.BitDepth == 0 {
				info.BitDepth = max(s.Bits, 0)
			}
		}
		info.Duration, info.BitRate = seconds(s.Duration), atoi(s.BitRate)/1000
		probeTags(&info.Tags, s.Tags)
	}
	if info.Duration == 0 {
		info.Duration = seconds(j.Format.Duration)
	}
	// For rubbish with a familiar ending, or nothing at all, ffprobe still names the codec that the ending promises, but
	// knows no more of it. A real stream that was never given its length is recognised by its contents.
	if !found || info.SampleRate == 0 || info.Channels == 0 || info.Duration == 0 && j.Format.Score <= probeByName {
		return info, errNoAudio
	}
	info.Format, _, _ = strings.Cut(j.Format.Name, ",")
	if info.BitRate == 0 {
		info.BitRate = atoi(j.Format.BitRate) / 1000
	}
	info.Samples = int64(info.Duration.Seconds() * float64(info.SampleRate))
	var whole Tags
	probeTags(&whole, j.Format.Tags)
	whole.addMissing(info.Tags)
	info.Tags = whole
	for _, c := range j.Chapters[:min(len(j.Chapters), maxTags)] {
		info.Chapters = append(info.Chapters, Chapter{Start: seconds(c.Start), End: seconds(c.End), Title: clean(c.Tags["title"])})
	}
	return info, nil
}

// probeCodec translates ffmpeg's names of codecs to those of tutti.Track.
func probeCodec(name string) (codec string, lossless bool) {
	switch {
	case name == "pcm_mulaw", name == "pcm_alaw": // logarithmic, so not what "pcm" promises
		return "g711", false
	case strings.HasPrefix(name, "pcm_"):
		return "pcm", true
	case strings.HasPrefix(name, "adpcm_"):
		return "adpcm", false
	case strings.HasPrefix(name, "dsd_"):
		return "dsd", true
	}
	switch name {
	case "flac", "alac", "wavpack", "ape", "tta", "truehd", "mlp", "shorten":
		return name, true
	}
	return name, false
}

// probeTags adds tags in a fixed order, since a map has none.
func probeTags(t *Tags, m map[string]string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		v := m[k]
		if len(v) > maxText {
			continue
		}
		if key := canonical(k); probeLists[key] {
			for part := range strings.SplitSeq(v, ";") {
				t.put(key, part)
			}
		} else if lang, ok := strings.CutPrefix(key, "LYRICS-"); ok && lang != "" { // lyrics-eng
			t.put("LYRICS", v)
		} else {
			t.put(key, v)
		}
	}
}

// probeLists are the fields whose values ffprobe joins with ";" where the file has several.
var probeLists = map[string]bool{
	"ARTIST": true, "ARTISTS": true, "ALBUMARTIST": true, "ALBUMARTISTS": true, "GENRE": true, "COMPOSER": true, "LYRICIST": true,
	"PERFORMER": true, "PRODUCER": true, "CONDUCTOR": true, "REMIXER": true, "ISRC": true, "MOOD": true, "LABEL": true,
	"MUSICBRAINZ_ARTISTID": true, "MUSICBRAINZ_ALBUMARTISTID": true, "RELEASETYPE": true,
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > math.MaxInt32 {
		return 0
	}
	return n
}

func seconds(s string) time.Duration {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f > 0 && f < 1e9) {
		return 0
	}
	return time.Duration(f * float64(time.Second))
}
