package subsonic

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tutti"
	"tutti/delivery"
)

// The extension "transcoding": the client says what it can play, the server says whether the original will do, and if
// not, what it would make of it. Both endpoints are stateless: what was decided travels in transcodeParams.

// clientInfo is the body of getTranscodeDecision. Bit rates in it are in bit/s, sample rates in Hz.
type clientInfo struct {
	Name                       string               `json:"name"`
	Platform                   string               `json:"platform"`
	MaxAudioBitrate            int64                `json:"maxAudioBitrate"`
	MaxTranscodingAudioBitrate int64                `json:"maxTranscodingAudioBitrate"`
	DirectPlayProfiles         []directPlayProfile  `json:"directPlayProfiles"`
	TranscodingProfiles        []transcodingProfile `json:"transcodingProfiles"`
	CodecProfiles              []codecProfile       `json:"codecProfiles"`
}

type directPlayProfile struct {
	Containers       []string `json:"containers"`
	AudioCodecs      []string `json:"audioCodecs"`
	Protocols        []string `json:"protocols"`
	MaxAudioChannels int      `json:"maxAudioChannels"`
}

type transcodingProfile struct {
	Container        string `json:"container"`
	AudioCodec       string `json:"audioCodec"`
	Protocol         string `json:"protocol"`
	MaxAudioChannels int    `json:"maxAudioChannels"`
}

type codecProfile struct {
	Type        string       `json:"type"`
	Name        string       `json:"name"`
	Limitations []limitation `json:"limitations"`
}

type limitation struct {
	Name       string   `json:"name"`
	Comparison string   `json:"comparison"`
	Values     []string `json:"values"`
	Required   bool     `json:"required"`
}

const (
	maxClientInfo = 256 << 10
	maxProfiles   = 200 // of each sort
)

// readClientInfo reads and checks the body.
func readClientInfo(w http.ResponseWriter, r *http.Request) (*clientInfo, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && media != "application/json" {
		return nil, failf(codeGeneric, "the request's body must be JSON (Content-Type: application/json); parameters go into the address")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxClientInfo))
	if err != nil {
		return nil, failf(codeGeneric, "the description of the client could not be read: it must arrive whole and hold at most %d KiB", maxClientInfo>>10)
	}
	if len(body) == 0 {
		return nil, failf(codeMissing, "the description of the client is missing from the request's body")
	}
	var info clientInfo
	if err := json.Unmarshal(body, &info); err != nil {
		var wrongType *json.UnmarshalTypeError
		if errors.As(err, &wrongType) {
			return nil, failf(codeGeneric, "the description of the client has a %s at %q, where something else belongs", wrongType.Value, wrongType.Field)
		}
		return nil, failf(codeGeneric, "the description of the client is not JSON")
	}
	if info.Name == "" || info.Platform == "" {
		return nil, failf(codeMissing, `the description of the client must have a "name" and a "platform"`)
	}
	if len(info.DirectPlayProfiles) > maxProfiles || len(info.TranscodingProfiles) > maxProfiles || len(info.CodecProfiles) > maxProfiles {
		return nil, failf(codeGeneric, "the description of the client is too long: at most %d profiles of each sort", maxProfiles)
	}
	for i, p := range info.CodecProfiles {
		if p.Type != "AudioCodec" {
			return nil, failf(codeGeneric, "codecProfiles[%d].type must be AudioCodec", i)
		}
		for j, l := range p.Limitations {
			if !slices.Contains([]string{"audioChannels", "audioBitrate", "audioProfile", "audioSamplerate", "audioBitdepth"}, l.Name) {
				return nil, failf(codeGeneric, "codecProfiles[%d].limitations[%d].name is none that there is", i, j)
			}
			if !slices.Contains([]string{"Equals", "NotEquals", "LessThanEqual", "GreaterThanEqual"}, l.Comparison) {
				return nil, failf(codeGeneric, "codecProfiles[%d].limitations[%d].comparison is none that there is", i, j)
			}
			if len(l.Values) == 0 {
				return nil, failf(codeGeneric, "codecProfiles[%d].limitations[%d].values is empty", i, j)
			}
			if l.Name == "audioProfile" {
				continue
			}
			for _, v := range l.Values {
				if _, err := strconv.ParseInt(v, 10, 64); err != nil {
					return nil, failf(codeGeneric, "codecProfiles[%d].limitations[%d].values must be whole numbers", i, j)
				}
			}
		}
	}
	return &info, nil
}

// streamDetails describes a stream: bit rate in bit/s; 0 and "" are unknown.
type streamDetails struct {
	hls              bool
	container, codec string
	channels         int64
	bitRate          int64
	sampleRate       int64
	bitDepth         int64
	profile          string
}

func (e *encoder) streamDetails(name string, d *streamDetails) {
	protocol := "http"
	if d.hls {
		protocol = "hls"
	}
	e.open(name)
	e.str("protocol", protocol)
	e.str("container", d.container)
	e.str("codec", d.codec)
	e.int("audioChannels", d.channels)
	e.int("audioBitrate", d.bitRate)
	e.str("audioProfile", d.profile)
	e.int("audioSamplerate", d.sampleRate)
	e.int("audioBitdepth", d.bitDepth)
	e.close()
}

// Clients name containers and codecs in several ways; each list begins with the name that we use.
var (
	containerNames = [][]string{
		{"mp3", "mpeg"},
		{"flac"},
		{"mp4", "m4a", "m4b", "mov", "alac"},
		{"ogg", "oga", "opus", "spx"},
		{"aac", "adts"},
		{"wav", "wave"},
		{"aiff", "aif", "aifc"},
		{"wv", "wavpack"},
		{"ape"},
		{"dsf", "dff"},
		{"ts", "mpegts", "mp2t"},
	}
	codecNames = [][]string{
		{"mp3", "mpeg"},
		{"aac", "mp4a", "mp4a.40.2", "aac_lc", "aac-lc"},
		{"vorbis", "ogg"},
		{"pcm", "wav", "lpcm", "pcm_s16le", "pcm_s24le", "pcm_s16be", "pcm_s24be"},
		{"wavpack", "wv", "wavpack-hybrid"}, // the lossy kind plays wherever the other does
		{"ape", "monkeysaudio"},
		{"dsd", "dsf"},
	}
)

// canonical returns our name for a container or codec, or the name itself where we have none.
func canonical(all [][]string, name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	for _, same := range all {
		if slices.Contains(same, name) {
			return same[0]
		}
	}
	return name
}

func listed(all [][]string, list []string, want string) bool {
	if len(list) == 0 {
		return true // an empty list is any of them
	}
	return slices.ContainsFunc(list, func(v string) bool { return canonical(all, v) == want })
}

func sourceDetails(t *tutti.Track) *streamDetails {
	d := &streamDetails{
		container:  canonical(containerNames, t.Suffix),
		codec:      canonical(codecNames, t.Codec),
		channels:   int64(t.Channels),
		bitRate:    int64(t.BitRate) * 1000,
		sampleRate: int64(t.SampleRate),
		bitDepth:   int64(t.BitDepth),
	}
	return d
}

// holds reports whether a number is as the limitation wants it. An unknown number holds only what is not required; an
// unknown bit depth holds everything, because only lossy codecs have none, and nothing in them can break it.
func (l *limitation) holds(n int64) bool {
	if n == 0 {
		return !l.Required || l.Name == "audioBitdepth"
	}
	is := func(v string) bool { m, err := strconv.ParseInt(v, 10, 64); return err == nil && m == n }
	bound, err := strconv.ParseInt(first(l.Values), 10, 64)
	switch l.Comparison {
	case "Equals":
		return slices.ContainsFunc(l.Values, is)
	case "NotEquals":
		return !slices.ContainsFunc(l.Values, is)
	case "LessThanEqual":
		return err == nil && n <= bound
	default: // GreaterThanEqual; readClientInfo let no other through
		return err == nil && n >= bound
	}
}

// holdsProfile is holds for a codec's profile, such as aac's "LC".
func (l *limitation) holdsProfile(profile string) bool {
	if profile == "" {
		return !l.Required
	}
	has := slices.ContainsFunc(l.Values, func(v string) bool { return strings.EqualFold(v, profile) })
	switch l.Comparison {
	case "Equals":
		return has
	case "NotEquals":
		return !has
	}
	return !l.Required // profiles have no order
}

// limitations returns those for one property of a codec.
func (i *clientInfo) limitations(codec, property string) []limitation {
	var out []limitation
	for _, p := range i.CodecProfiles {
		if canonical(codecNames, p.Name) != codec {
			continue
		}
		for _, l := range p.Limitations {
			if l.Name == property {
				out = append(out, l)
			}
		}
	}
	return out
}

// unmet returns the first property of a stream that breaks a limitation which must be met, or "".
func (i *clientInfo) unmet(d *streamDetails) string {
	for _, property := range []struct {
		name  string
		value int64
	}{
		{"audioChannels", d.channels},
		{"audioBitrate", d.bitRate},
		{"audioSamplerate", d.sampleRate},
		{"audioBitdepth", d.bitDepth},
	} {
		for _, l := range i.limitations(d.codec, property.name) {
			if l.Required && !l.holds(property.value) {
				return property.name
			}
		}
	}
	for _, l := range i.limitations(d.codec, "audioProfile") {
		if l.Required && !l.holdsProfile(d.profile) {
			return "audioProfile"
		}
	}
	return ""
}

// refusals are why the original cannot be played directly: one reason for each direct play profile, and nothing where
// one of them fits. maxRate is what the account may listen at, in bit/s; 0 is no limit.
func (i *clientInfo) refusals(d *streamDetails, wholeFile bool, maxRate int64) (reasons []string, fits bool) {
	general := ""
	switch {
	case !wholeFile:
		general = "SectionOfFile" // a cue track: the file itself holds more than the song
	case i.MaxAudioBitrate > 0 && d.bitRate > i.MaxAudioBitrate, maxRate > 0 && d.bitRate > maxRate:
		general = "AudioBitrateNotSupported"
	}
	broken := i.unmet(d)
	for _, p := range i.DirectPlayProfiles {
		switch {
		case !listed(nil, p.Protocols, "http"):
			reasons = append(reasons, "ProtocolNotSupported")
		case !listed(containerNames, p.Containers, d.container):
			reasons = append(reasons, "ContainerNotSupported")
		case !listed(codecNames, p.AudioCodecs, d.codec):
			reasons = append(reasons, "AudioCodecNotSupported")
		case p.MaxAudioChannels > 0 && d.channels > int64(p.MaxAudioChannels):
			reasons = append(reasons, "AudioChannelsNotSupported")
		case general != "":
			reasons = append(reasons, general)
		case broken != "":
			reasons = append(reasons, strings.ToUpper(broken[:1])+broken[1:]+"NotSupported")
		default:
			return nil, true
		}
	}
	if len(reasons) == 0 {
		reasons = []string{"NoDirectPlayProfile"}
	}
	return reasons, false
}

// target is a format that we can make.
type target struct {
	hls              bool
	container, codec string
	format           string // tutti.Profile's name for it
	lossless         bool
	defaultRate      int     // kbit/s, of stereo
	channels         int64   // at most
	rates            []int64 // sample rates, best first; nil is any
	profile          string
}

// bitRates are the rates in kbit/s that lossy transcodes are made at: few, so that listeners share what is cached, and
// those that MPEG-1 layer III has (ISO/IEC 11172-3 §2.4.2.3).
var bitRates = []int{320, 256, 224, 192, 160, 128, 112, 96, 80, 64, 56, 48, 40, 32}

// roundRate returns the greatest of bitRates that is not above rate, or the least of all.
func roundRate(rate int) int {
	for _, r := range bitRates {
		if r <= rate {
			return r
		}
	}
	return bitRates[len(bitRates)-1]
}

var (
	allSampleRates = []int64{192000, 176400, 96000, 88200, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000}
	mp3SampleRates = allSampleRates[4:10] // MPEG-1 and MPEG-2; the lower ones of "MPEG-2.5" are no standard
	aacSampleRates = allSampleRates[2:]
)

var targets = []target{
	{container: "mp3", codec: "mp3", format: "mp3", defaultRate: 256, channels: 2, rates: mp3SampleRates},
	{container: "ogg", codec: "opus", format: "opus", defaultRate: 160, channels: 8, rates: []int64{48000}}, // RFC 7845 §5.1
	{container: "aac", codec: "aac", format: "aac", defaultRate: 256, channels: 6, rates: aacSampleRates, profile: "LC"},
	{container: "flac", codec: "flac", format: "flac", lossless: true, channels: 8},
	{container: "wav", codec: "pcm", format: "wav", lossless: true, channels: 8},
	{hls: true, container: "ts", codec: "aac", format: "ts", defaultRate: 256, channels: 2, rates: []int64{48000}, profile: "LC"},
}

// choose returns the first candidate that holds every limitation, else the first that holds those which are required.
func choose(candidates []int64, limits []limitation, scale int64) (int64, bool) {
	for _, requiredOnly := range []bool{false, true} {
		for _, v := range candidates {
			if !slices.ContainsFunc(limits, func(l limitation) bool { return (l.Required || !requiredOnly) && !l.holds(v*scale) }) {
				return v, true
			}
		}
	}
	return 0, false
}

// upTo orders candidates for a source's value: the value itself, what is below it from the top, and only then what is
// above it, where a client will have nothing else.
func upTo(source int64, possible []int64) []int64 {
	var below, above []int64
	for _, v := range possible {
		if v <= source || source == 0 {
			below = append(below, v)
		} else {
			above = append([]int64{v}, above...)
		}
	}
	return append(below, above...)
}

// flacRatio is how much smaller FLAC makes PCM of music, on average; the length of a FLAC is not known before it is made.
const flacRatio = 0.65

// fit makes the best stream of a target that the client can play, or reports that there is none. maxRate is what the
// account may listen at, in bit/s.
func (i *clientInfo) fit(src *streamDetails, srcLossless bool, p transcodingProfile, maxRate int64) (*streamDetails, streamParams, bool) {
	hls := strings.EqualFold(p.Protocol, "hls")
	if !hls && p.Protocol != "" && !strings.EqualFold(p.Protocol, "http") {
		return nil, streamParams{}, false
	}
	n := slices.IndexFunc(targets, func(t target) bool {
		return t.hls == hls && t.container == canonical(containerNames, p.Container) && t.codec == canonical(codecNames, p.AudioCodec)
	})
	if n < 0 {
		return nil, streamParams{}, false
	}
	t := targets[n]
	d := &streamDetails{hls: hls, container: t.container, codec: t.codec, profile: t.profile}

	most := t.channels
	if p.MaxAudioChannels > 0 {
		most = min(most, int64(p.MaxAudioChannels))
	}
	if src.channels > 0 {
		most = min(most, src.channels)
	} else {
		most = min(most, 2)
	}
	var candidates []int64
	for c := most; c >= 1; c-- {
		candidates = append(candidates, c)
	}
	var ok bool
	if d.channels, ok = choose(candidates, i.limitations(t.codec, "audioChannels"), 1); !ok {
		return nil, streamParams{}, false
	}

	candidates = upTo(src.sampleRate, t.rates)
	if t.rates == nil {
		candidates = upTo(src.sampleRate, allSampleRates)
		if src.sampleRate > 0 && !slices.Contains(candidates, src.sampleRate) {
			candidates = append([]int64{src.sampleRate}, candidates...)
		}
	}
	if d.sampleRate, ok = choose(candidates, i.limitations(t.codec, "audioSamplerate"), 1); !ok {
		return nil, streamParams{}, false
	}

	ceiling := int64(0)
	for _, limit := range []int64{i.MaxAudioBitrate, i.MaxTranscodingAudioBitrate, maxRate} {
		if limit > 0 && (ceiling == 0 || limit < ceiling) {
			ceiling = limit
		}
	}
	params := streamParams{hls: hls, profile: tutti.Profile{Format: t.format}}
	rateLimits := i.limitations(t.codec, "audioBitrate")
	if t.lossless {
		depth := src.bitDepth
		if depth == 0 {
			depth = 16 // what a lossy codec decodes to is worth
		}
		if d.bitDepth, ok = choose(upTo(depth, []int64{24, 16}), i.limitations(t.codec, "audioBitdepth"), 1); !ok {
			return nil, streamParams{}, false
		}
		d.bitRate = losslessRate(t.format, d.sampleRate, d.bitDepth, d.channels)
		if ceiling > 0 && d.bitRate > ceiling {
			return nil, streamParams{}, false
		}
		if _, ok := choose([]int64{d.bitRate}, rateLimits, 1); !ok {
			return nil, streamParams{}, false
		}
		if d.bitDepth != src.bitDepth {
			params.profile.BitDepth = int(d.bitDepth)
		}
	} else {
		if most := codecCeiling(t.codec, d.sampleRate, d.channels); most > 0 && (ceiling == 0 || most < ceiling) {
			ceiling = most
		}
		start := int64(t.defaultRate)
		if d.channels == 1 {
			start /= 2
		}
		if !srcLossless && src.bitRate > 0 {
			start = min(start, int64(roundRate(int(src.bitRate/1000))))
		}
		candidates = candidates[:0]
		for _, r := range bitRates {
			if int64(r) <= start && (ceiling == 0 || int64(r)*1000 <= ceiling) {
				candidates = append(candidates, int64(r))
			}
		}
		for n := len(bitRates) - 1; n >= 0; n-- { // a limitation may want more than the source would need
			if r := int64(bitRates[n]); r > start && (ceiling == 0 || r*1000 <= ceiling) {
				candidates = append(candidates, r)
			}
		}
		rate, ok := choose(candidates, rateLimits, 1000)
		if !ok {
			return nil, streamParams{}, false
		}
		d.bitRate = rate * 1000
		params.profile.BitRate = int(rate)
	}
	for _, l := range i.limitations(t.codec, "audioProfile") {
		if l.Required && !l.holdsProfile(d.profile) {
			return nil, streamParams{}, false
		}
	}
	if d.channels != src.channels {
		params.profile.Channels = int(d.channels)
	}
	if d.sampleRate != src.sampleRate && len(t.rates) != 1 { // a format with one sample rate needs no telling
		params.profile.Rate = int(d.sampleRate)
	}
	return d, params, true
}

// codecCeiling is the most bit/s that a codec can have at a sample rate: MPEG-2's layer III ends at 160 kbit/s (ISO/IEC
// 13818-3 §2.4.2.3), and an AAC frame of 1024 samples at 6144 bits a channel (ISO/IEC 14496-3 §4.5.3.3). 0 is none
// that matters here.
func codecCeiling(codec string, sampleRate, channels int64) int64 {
	switch {
	case codec == "mp3" && sampleRate < 32000:
		return 160_000
	case codec == "aac":
		return 6144 * channels * sampleRate / 1024
	}
	return 0
}

// losslessRate is about how many bit/s a lossless stream has.
func losslessRate(format string, sampleRate, bitDepth, channels int64) int64 {
	rate := sampleRate * bitDepth * channels
	if format == "flac" {
		return int64(float64(rate) * flacRatio)
	}
	return rate
}

// streamParams is what transcodeParams says: the stream that was decided on. It is not signed, for it grants nothing
// that stream would not, but everything in it is checked when it comes back, so that nobody fills the track cache with
// formats that were never decided on.
type streamParams struct {
	hls     bool
	profile tutti.Profile
}

// String is safe in addresses: "1-http-mp3-256-0-2-0" is version, protocol, format, kbit/s, Hz, channels and bits, with
// 0 for what is left as it is.
func (p streamParams) String() string {
	protocol := "http"
	if p.hls {
		protocol = "hls"
	}
	parts := []string{"1", protocol, p.profile.Format}
	for _, n := range []int{p.profile.BitRate, p.profile.Rate, p.profile.Channels, p.profile.BitDepth} {
		parts = append(parts, strconv.Itoa(n))
	}
	return strings.Join(parts, "-")
}

// parseStreamParams reads what String wrote, and refuses whatever it would not have written.
func parseStreamParams(v string) (p streamParams, ok bool) {
	parts := strings.Split(v, "-")
	if len(parts) != 7 || parts[0] != "1" || (parts[1] != "http" && parts[1] != "hls") {
		return p, false
	}
	p.hls = parts[1] == "hls"
	n := slices.IndexFunc(targets, func(t target) bool { return t.format == parts[2] && t.hls == p.hls })
	if n < 0 {
		return p, false
	}
	t := targets[n]
	var numbers [4]int
	for i, digits := range parts[3:] {
		m, err := strconv.ParseUint(digits, 10, 20)
		if err != nil || strconv.FormatUint(m, 10) != digits {
			return p, false
		}
		numbers[i] = int(m)
	}
	rate, sampleRate, channels, depth := numbers[0], numbers[1], numbers[2], numbers[3]
	switch {
	case t.lossless && rate != 0, !t.lossless && !slices.Contains(bitRates, rate):
		return p, false
	case sampleRate != 0 && (len(t.rates) == 1 || !slices.Contains(allSampleRates, int64(sampleRate))):
		return p, false
	case int64(channels) > t.channels:
		return p, false
	case depth != 0 && (!t.lossless || (depth != 16 && depth != 24)):
		return p, false
	}
	p.profile = tutti.Profile{Format: t.format, BitRate: rate, Rate: sampleRate, Channels: channels, BitDepth: depth}
	return p, true
}

func (c *call) streamParams(name string) streamParams {
	v := c.need(name)
	p, ok := parseStreamParams(v)
	if !ok && v != "" {
		c.fail(codeGeneric, "the parameter %q must be as getTranscodeDecision returned it", name)
	}
	return p
}

// getTranscodeDecision says whether the client can play the original, and what we would make of it otherwise.
func (s *Server) getTranscodeDecision(c *call) error {
	id := c.mediaID()
	if err := c.err(); err != nil {
		return err
	}
	info, err := readClientInfo(c.w, c.r)
	if err != nil {
		return err
	}
	t, err := s.cfg.Catalog.Track(c.r.Context(), c.viewer, id)
	if err != nil {
		return err
	}
	maxRate := int64(c.user.MaxBitRate) * 1000
	src := sourceDetails(&t)
	reasons, direct := info.refusals(src, t.Start == 0 && t.End == 0, maxRate)
	var made *streamDetails
	var params streamParams
	var can bool
	for _, p := range info.TranscodingProfiles {
		if made, params, can = info.fit(src, t.Lossless(), p, maxRate); can {
			break
		}
	}
	problem := ""
	if !direct && !can {
		problem = "the client can play neither the original nor anything that this server can make of it"
	}
	e := c.out
	e.open("transcodeDecision")
	e.bool("canDirectPlay", direct)
	e.bool("canTranscode", can)
	e.str("errorReason", problem)
	if can {
		e.str("transcodeParams", params.String())
	}
	e.strings("transcodeReason", reasons)
	e.streamDetails("sourceStream", src)
	if can {
		e.streamDetails("transcodeStream", made)
	}
	e.close()
	return nil
}

// getTranscodeStream sends what was decided on. Its errors have HTTP's own status codes.
func (s *Server) getTranscodeStream(c *call) error {
	const maxSeconds = 7 * 24 * 3600
	id := c.mediaID()
	p := c.streamParams("transcodeParams")
	offset := time.Duration(c.float("offset", 0, 0, maxSeconds) * float64(time.Second))
	if err := c.err(); err != nil {
		return err
	}
	if limit := c.user.MaxBitRate; limit > 0 {
		if p.profile.BitRate == 0 {
			return failf(codeForbidden, "this account may listen at %d kbit/s at most", limit)
		}
		p.profile.BitRate = min(p.profile.BitRate, roundRate(limit))
	}
	if p.hls {
		t, err := s.cfg.Catalog.Track(c.r.Context(), c.viewer, id)
		if err != nil {
			return err
		}
		return s.segments(c, &t, p, offset)
	}
	p.profile.Offset = offset
	return s.cfg.Bytes.ServeTrack(c.w, c.r, tutti.PlanRequest{Viewer: c.viewer, Track: id, Want: tutti.Want{Exact: &p.profile}}, delivery.Options{})
}
