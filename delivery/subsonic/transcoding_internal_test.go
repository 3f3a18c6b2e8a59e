package subsonic

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var (
	flac96 = &streamDetails{container: "flac", codec: "flac", channels: 2, bitRate: 3_000_000, sampleRate: 96000, bitDepth: 24}
	flac51 = &streamDetails{container: "flac", codec: "flac", channels: 6, bitRate: 5_000_000, sampleRate: 48000, bitDepth: 24}
	mp3128 = &streamDetails{container: "mp3", codec: "mp3", channels: 2, bitRate: 128_000, sampleRate: 44100}
	alac   = &streamDetails{container: "mp4", codec: "alac", channels: 2, bitRate: 900_000, sampleRate: 44100, bitDepth: 16}
	opus   = &streamDetails{container: "ogg", codec: "opus", channels: 2, bitRate: 160_000, sampleRate: 48000}
)

func TestDirectPlay(t *testing.T) {
	for _, c := range []struct {
		name   string
		source *streamDetails
		client string
		want   string // "yes", or the reasons
	}{
		{"anything", flac96, `"directPlayProfiles":[{}]`, "yes"},
		{"nothing", flac96, ``, "NoDirectPlayProfile"},
		{"its container and codec", flac96, `"directPlayProfiles":[{"containers":["FLAC"],"audioCodecs":["flac"]}]`, "yes"},
		{"another name of them", alac, `"directPlayProfiles":[{"containers":["m4a"],"audioCodecs":["alac"]}]`, "yes"},
		{"opus in ogg by its other name", opus, `"directPlayProfiles":[{"containers":["opus"],"audioCodecs":["opus"]}]`, "yes"},
		{
			"a reason for each profile", flac96, `"directPlayProfiles":[{"containers":["mp3"]},{"audioCodecs":["mp3"]},{"protocols":["hls"]}]`,
			"ContainerNotSupported AudioCodecNotSupported ProtocolNotSupported",
		},
		{"too many channels", flac51, `"directPlayProfiles":[{"maxAudioChannels":2}]`, "AudioChannelsNotSupported"},
		{"enough channels", flac51, `"directPlayProfiles":[{"maxAudioChannels":6}]`, "yes"},
		{"too high a bit rate", flac96, `"maxAudioBitrate":2000000,"directPlayProfiles":[{}]`, "AudioBitrateNotSupported"},
		{"a bit rate that is just right", flac96, `"maxAudioBitrate":3000000,"directPlayProfiles":[{}]`, "yes"},
		{
			"a limitation of the codec", flac96, `"directPlayProfiles":[{}],"codecProfiles":[{"type":"AudioCodec","name":"flac","limitations":[{"name":"audioSamplerate","comparison":"LessThanEqual","values":["48000"],"required":true}]}]`,
			"AudioSamplerateNotSupported",
		},
		{"one that need not be met", flac96, `"directPlayProfiles":[{}],"codecProfiles":[{"type":"AudioCodec","name":"flac","limitations":[{"name":"audioSamplerate","comparison":"LessThanEqual","values":["48000"],"required":false}]}]`, "yes"},
		{"one of another codec", flac96, `"directPlayProfiles":[{}],"codecProfiles":[{"type":"AudioCodec","name":"mp3","limitations":[{"name":"audioSamplerate","comparison":"LessThanEqual","values":["48000"],"required":true}]}]`, "yes"},
		{"equals one of several", flac96, `"directPlayProfiles":[{}],"codecProfiles":[{"type":"AudioCodec","name":"flac","limitations":[{"name":"audioChannels","comparison":"Equals","values":["1","2"],"required":true}]}]`, "yes"},
		{"equals none", flac96, `"directPlayProfiles":[{}],"codecProfiles":[{"type":"AudioCodec","name":"flac","limitations":[{"name":"audioChannels","comparison":"NotEquals","values":["1","2"],"required":true}]}]`, "AudioChannelsNotSupported"},
		{"at least", flac96, `"directPlayProfiles":[{}],"codecProfiles":[{"type":"AudioCodec","name":"flac","limitations":[{"name":"audioBitdepth","comparison":"GreaterThanEqual","values":["32"],"required":true}]}]`, "AudioBitdepthNotSupported"},
		{"a bit depth that a lossy codec has not", mp3128, `"directPlayProfiles":[{}],"codecProfiles":[{"type":"AudioCodec","name":"mp3","limitations":[{"name":"audioBitdepth","comparison":"LessThanEqual","values":["16"],"required":true}]}]`, "yes"},
		{"an unknown number that must be met", &streamDetails{container: "mp3", codec: "mp3"}, `"directPlayProfiles":[{}],"codecProfiles":[{"type":"AudioCodec","name":"mp3","limitations":[{"name":"audioChannels","comparison":"LessThanEqual","values":["2"],"required":true}]}]`, "AudioChannelsNotSupported"},
		{"a profile that must be met and is unknown", mp3128, `"directPlayProfiles":[{}],"codecProfiles":[{"type":"AudioCodec","name":"mp3","limitations":[{"name":"audioProfile","comparison":"Equals","values":["LC"],"required":true}]}]`, "AudioProfileNotSupported"},
	} {
		t.Run(c.name, func(t *testing.T) {
			info := client(t, c.client)
			reasons, direct := info.refusals(c.source, true, 0)
			got := strings.Join(reasons, " ")
			if direct {
				got = "yes"
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	if reasons, direct := client(t, `"directPlayProfiles":[{}]`).refusals(flac96, false, 0); direct || reasons[0] != "SectionOfFile" {
		t.Errorf("a section of a file: %v", reasons)
	}
	if reasons, direct := client(t, `"directPlayProfiles":[{}]`).refusals(flac96, true, 320_000); direct || reasons[0] != "AudioBitrateNotSupported" {
		t.Errorf("more than the account may have: %v", reasons)
	}
}

// client reads the inside of a client's description as the endpoint does.
func client(t *testing.T, inside string) *clientInfo {
	t.Helper()
	body := `{"name":"n","platform":"p"`
	if inside != "" {
		body += "," + inside
	}
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/", strings.NewReader(body+"}"))
	r.Header.Set("Content-Type", "application/json")
	info, err := readClientInfo(httptest.NewRecorder(), r)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestTranscodeTarget(t *testing.T) {
	limits := func(codec, limitations string) string {
		return `"codecProfiles":[{"type":"AudioCodec","name":"` + codec + `","limitations":[` + limitations + `]}],`
	}
	for _, c := range []struct {
		name    string
		source  *streamDetails
		client  string // before the profiles
		profile string
		want    string // params, or "no"
	}{
		{"mp3", flac96, "", `"container":"mp3","audioCodec":"mp3","protocol":"http"`, "1-http-mp3-256-48000-0-0"},
		{"mp3 of surround", flac51, "", `"container":"mp3","audioCodec":"mp3"`, "1-http-mp3-256-0-2-0"},
		{"opus", flac51, "", `"container":"ogg","audioCodec":"opus"`, "1-http-opus-160-0-0-0"},
		{"opus in stereo", flac51, "", `"container":"ogg","audioCodec":"opus","maxAudioChannels":2`, "1-http-opus-160-0-2-0"},
		{"aac", alac, "", `"container":"aac","audioCodec":"aac"`, "1-http-aac-256-0-0-0"},
		{"aac in mp4 is not made", alac, "", `"container":"mp4","audioCodec":"aac"`, "no"},
		{"hls", alac, "", `"container":"ts","audioCodec":"aac","protocol":"hls"`, "1-hls-ts-256-0-0-0"},
		{"hls of mp3 is not made", alac, "", `"container":"mp3","audioCodec":"mp3","protocol":"hls"`, "no"},
		{"another protocol", alac, "", `"container":"mp3","audioCodec":"mp3","protocol":"rtsp"`, "no"},
		{"flac as it is", alac, "", `"container":"flac","audioCodec":"flac"`, "1-http-flac-0-0-0-0"},
		{"wav", alac, "", `"container":"wav","audioCodec":"pcm"`, "1-http-wav-0-0-0-0"},
		{"flac of mp3", mp3128, "", `"container":"flac","audioCodec":"flac"`, "1-http-flac-0-0-0-16"},
		{"no more than the source holds", mp3128, "", `"container":"ogg","audioCodec":"opus"`, "1-http-opus-128-0-0-0"},
		{"the client's limit", flac96, `"maxTranscodingAudioBitrate":100000,`, `"container":"mp3","audioCodec":"mp3"`, "1-http-mp3-96-48000-0-0"},
		{"the client's other limit", flac96, `"maxAudioBitrate":70000,"maxTranscodingAudioBitrate":100000,`, `"container":"mp3","audioCodec":"mp3"`, "1-http-mp3-64-48000-0-0"},
		{"a limit below everything", flac96, `"maxTranscodingAudioBitrate":8000,`, `"container":"mp3","audioCodec":"mp3"`, "no"},
		{"flac over the limit", flac96, `"maxTranscodingAudioBitrate":320000,`, `"container":"flac","audioCodec":"flac"`, "no"},
		{"the codec's bit rate", flac96, limits("mp3", `{"name":"audioBitrate","comparison":"LessThanEqual","values":["200000"],"required":true}`), `"container":"mp3","audioCodec":"mp3"`, "1-http-mp3-192-48000-0-0"},
		{"a bit rate from below", mp3128, limits("mp3", `{"name":"audioBitrate","comparison":"GreaterThanEqual","values":["200000"],"required":true}`), `"container":"mp3","audioCodec":"mp3"`, "1-http-mp3-224-0-0-0"},
		{"the codec's sample rate", flac96, limits("flac", `{"name":"audioSamplerate","comparison":"LessThanEqual","values":["48000"],"required":false}`), `"container":"flac","audioCodec":"flac"`, "1-http-flac-0-48000-0-0"},
		{"a sample rate above the source's", alac, limits("mp3", `{"name":"audioSamplerate","comparison":"Equals","values":["48000"],"required":true}`), `"container":"mp3","audioCodec":"mp3"`, "1-http-mp3-256-48000-0-0"},
		{"a wish that cannot be met", alac, limits("mp3", `{"name":"audioSamplerate","comparison":"GreaterThanEqual","values":["96000"],"required":false}`), `"container":"mp3","audioCodec":"mp3"`, "1-http-mp3-256-0-0-0"},
		{"a demand that cannot be met", alac, limits("mp3", `{"name":"audioSamplerate","comparison":"GreaterThanEqual","values":["96000"],"required":true}`), `"container":"mp3","audioCodec":"mp3"`, "no"},
		{"the codec's bit depth", flac96, limits("flac", `{"name":"audioBitdepth","comparison":"LessThanEqual","values":["16"],"required":true}`), `"container":"flac","audioCodec":"flac"`, "1-http-flac-0-0-0-16"},
		{"mp3 at MPEG-2's sample rates", alac, limits("mp3", `{"name":"audioSamplerate","comparison":"LessThanEqual","values":["24000"],"required":true}`), `"container":"mp3","audioCodec":"mp3"`, "1-http-mp3-160-24000-0-0"},
		{"aac at its lowest", alac, limits("aac", `{"name":"audioSamplerate","comparison":"LessThanEqual","values":["8000"],"required":true}`), `"container":"aac","audioCodec":"aac","maxAudioChannels":1`, "1-http-aac-48-8000-1-0"},
		{"mono", alac, limits("mp3", `{"name":"audioChannels","comparison":"Equals","values":["1"],"required":true}`), `"container":"mp3","audioCodec":"mp3"`, "1-http-mp3-128-0-1-0"},
		{"our aac is LC", alac, limits("aac", `{"name":"audioProfile","comparison":"Equals","values":["lc"],"required":true}`), `"container":"aac","audioCodec":"aac"`, "1-http-aac-256-0-0-0"},
		{"and not HE", alac, limits("aac", `{"name":"audioProfile","comparison":"NotEquals","values":["LC"],"required":true}`), `"container":"aac","audioCodec":"aac"`, "no"},
	} {
		t.Run(c.name, func(t *testing.T) {
			info := client(t, c.client+`"transcodingProfiles":[{`+c.profile+`}]`)
			lossless := c.source.codec == "flac" || c.source.codec == "alac"
			_, params, ok := info.fit(c.source, lossless, info.TranscodingProfiles[0], 0)
			got := params.String()
			if !ok {
				got = "no"
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestDecisionsHold: whatever is decided meets every limitation that must be met, stays below every limit, and comes
// back from its parameters unchanged.
func TestDecisionsHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := &streamDetails{
			container:  rapid.SampledFrom([]string{"flac", "mp3", "mp4"}).Draw(t, "container"),
			codec:      rapid.SampledFrom([]string{"flac", "mp3", "aac"}).Draw(t, "codec"),
			channels:   rapid.Int64Range(0, 8).Draw(t, "channels"),
			bitRate:    rapid.Int64Range(0, 6_000_000).Draw(t, "bitRate"),
			sampleRate: rapid.SampledFrom([]int64{0, 8000, 22050, 44100, 48000, 96000, 192000, 352800}).Draw(t, "sampleRate"),
			bitDepth:   rapid.SampledFrom([]int64{0, 8, 16, 24, 32}).Draw(t, "bitDepth"),
		}
		p := rapid.SampledFrom(targets).Draw(t, "target")
		profile := transcodingProfile{Container: p.container, AudioCodec: p.codec, MaxAudioChannels: rapid.IntRange(0, 6).Draw(t, "maxChannels")}
		if p.hls {
			profile.Protocol = "hls"
		}
		limit := rapid.Custom(func(t *rapid.T) limitation {
			name := rapid.SampledFrom([]string{"audioChannels", "audioBitrate", "audioSamplerate", "audioBitdepth"}).Draw(t, "name")
			values := map[string][]string{
				"audioChannels": {"1", "2", "6"}, "audioBitrate": {"64000", "128000", "500000", "2000000"},
				"audioSamplerate": {"22050", "44100", "48000", "96000"}, "audioBitdepth": {"16", "24"},
			}[name]
			return limitation{
				Name:       name,
				Comparison: rapid.SampledFrom([]string{"Equals", "NotEquals", "LessThanEqual", "GreaterThanEqual"}).Draw(t, "comparison"),
				Values:     rapid.SliceOfN(rapid.SampledFrom(values), 1, 3).Draw(t, "values"),
				Required:   rapid.Bool().Draw(t, "required"),
			}
		})
		info := &clientInfo{
			MaxAudioBitrate:            rapid.SampledFrom([]int64{0, 40_000, 320_000, 2_000_000}).Draw(t, "maxAudio"),
			MaxTranscodingAudioBitrate: rapid.SampledFrom([]int64{0, 64_000, 1_000_000}).Draw(t, "maxTranscoding"),
			CodecProfiles:              []codecProfile{{Type: "AudioCodec", Name: p.codec, Limitations: rapid.SliceOfN(limit, 0, 4).Draw(t, "limits")}},
		}
		maxRate := rapid.SampledFrom([]int64{0, 96_000, 320_000}).Draw(t, "maxRate")
		d, params, ok := info.fit(src, src.codec == "flac", profile, maxRate)
		if !ok {
			return
		}
		for _, most := range []int64{info.MaxAudioBitrate, info.MaxTranscodingAudioBitrate, maxRate} {
			if most > 0 && d.bitRate > most {
				t.Errorf("%d bit/s, over %d", d.bitRate, most)
			}
		}
		if m := int64(profile.MaxAudioChannels); m > 0 && d.channels > m {
			t.Errorf("%d channels, over %d", d.channels, m)
		}
		for _, l := range info.CodecProfiles[0].Limitations {
			n := map[string]int64{"audioChannels": d.channels, "audioBitrate": d.bitRate, "audioSamplerate": d.sampleRate, "audioBitdepth": d.bitDepth}[l.Name]
			if l.Required && !l.holds(n) {
				t.Errorf("%s %d breaks %+v", l.Name, n, l)
			}
		}
		back, ok := parseStreamParams(params.String())
		if !ok || back != params {
			t.Errorf("%s came back as %s (%v)", params, back, ok)
		}
	})
}

// FuzzStreamParams: what is read is what was written, and nothing else is read.
func FuzzStreamParams(f *testing.F) {
	for _, s := range []string{"1-http-mp3-256-48000-2-0", "1-hls-ts-128-0-0-0", "1-http-flac-0-0-0-24", "1-http-mp3-0256-0-0-0", "", "1-http-mp3", "2-http-mp3-1-1-1-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if p, ok := parseStreamParams(s); ok && p.String() != s {
			t.Errorf("%q was read as %s", s, p)
		}
	})
}

// FuzzClientInfo: no description of a client breaks the decision.
func FuzzClientInfo(f *testing.F) {
	f.Add([]byte(`{"name":"n","platform":"p","directPlayProfiles":[{"containers":null}],"transcodingProfiles":[{"container":"mp3","audioCodec":"mp3"}],"codecProfiles":[{"type":"AudioCodec","name":"mp3","limitations":[{"name":"audioProfile","comparison":"Equals","values":["x"]}]}]}`))
	f.Add([]byte(`{"name":"n","platform":"p","maxAudioBitrate":-1,"transcodingProfiles":[{"container":"flac","audioCodec":"flac","maxAudioChannels":-3}]}`))
	f.Add([]byte(`[]`))
	f.Add([]byte(`{"name":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/", strings.NewReader(string(body)))
		info, err := readClientInfo(httptest.NewRecorder(), r)
		if err != nil {
			return
		}
		for _, src := range []*streamDetails{flac96, mp3128, {}} {
			info.refusals(src, true, 0)
			for _, p := range info.TranscodingProfiles {
				if d, params, ok := info.fit(src, false, p, 0); ok {
					if back, ok := parseStreamParams(params.String()); !ok || back != params {
						t.Errorf("%s cannot be read back (%+v)", params, d)
					}
				}
			}
		}
	})
}

func TestClientInfoErrors(t *testing.T) {
	for body, want := range map[string]int{
		``: codeMissing, `{}`: codeMissing, `{"name":"x"}`: codeMissing, `nonsense`: codeGeneric, `{"name":5}`: codeGeneric,
		`{"name":"n","platform":"p","codecProfiles":[{"type":"VideoCodec","name":"x"}]}`:                                                                                 codeGeneric,
		`{"name":"n","platform":"p","codecProfiles":[{"type":"AudioCodec","name":"x","limitations":[{"name":"audioColour"}]}]}`:                                          codeGeneric,
		`{"name":"n","platform":"p","codecProfiles":[{"type":"AudioCodec","name":"x","limitations":[{"name":"audioBitrate","comparison":"About"}]}]}`:                    codeGeneric,
		`{"name":"n","platform":"p","codecProfiles":[{"type":"AudioCodec","name":"x","limitations":[{"name":"audioBitrate","comparison":"Equals"}]}]}`:                   codeGeneric,
		`{"name":"n","platform":"p","codecProfiles":[{"type":"AudioCodec","name":"x","limitations":[{"name":"audioBitrate","comparison":"Equals","values":["much"]}]}]}`: codeGeneric,
		`{"name":"n","platform":"p","directPlayProfiles":[` + strings.TrimSuffix(strings.Repeat(`{},`, maxProfiles+1), ",") + `]}`:                                       codeGeneric,
		fmt.Sprintf(`{"name":%q,"platform":"p"}`, strings.Repeat("x", maxClientInfo)):                                                                                    codeGeneric,
	} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/", strings.NewReader(body))
		_, err := readClientInfo(httptest.NewRecorder(), r)
		if err == nil {
			t.Errorf("%.80s was accepted", body)
			continue
		}
		if got, _ := describe(err); got != want {
			t.Errorf("%.80s: error %d, want %d", body, got, want)
		}
	}
}
