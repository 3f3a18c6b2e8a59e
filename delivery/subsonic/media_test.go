package subsonic_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"tutti"
	"tutti/audio/encode"
	"tutti/catalog/scan"
	"tutti/clock"
	"tutti/origin/folder"
	"tutti/trackcache"
)

const (
	toneSeconds = 25.0
	toneHz      = 440.0
	rate        = 48000 // at which the test listens
)

// openCache is the real track cache over the real encoder.
func openCache(t *testing.T, o *folder.Origin, program string) tutti.TrackCache {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	encoder, err := encode.New(encode.Config{Files: o, FFmpeg: program, Clock: clock.System, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	cache, err := trackcache.New(trackcache.Config{
		Origin: o, Local: true, Transcoder: encoder, Dir: filepath.Join(t.TempDir(), "cache"), Clock: clock.System, Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cache.Close(); err != nil {
			t.Error(err)
		}
	})
	return cache
}

// TestWithoutFFmpeg: what cannot be made is refused at once and in words, and a damaged picture is as good as none.
func TestWithoutFFmpeg(t *testing.T) {
	h, c := realHouseWith(t, func(o *folder.Origin) tutti.TrackCache { return openCache(t, o, "no-such-ffmpeg") })
	for name, content := range map[string]string{"a.flac": "not read here", "cover.jpg": "\xFF\xD8\xFF\xE0 and then nothing"} {
		if err := os.WriteFile(filepath.Join(h.music, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	song := tutti.Track{
		ID: tr1, AlbumID: al1, Library: "1", Title: "Tone", Album: "Tones", Artists: []tutti.ArtistRef{bach}, AlbumArtists: []tutti.ArtistRef{bach}, FolderID: scan.FolderID("1", "."), Path: "a.flac", Size: 13, HasCover: true,
		Suffix: "flac", ContentType: "audio/flac", Codec: "flac", Duration: 25 * time.Second, BitRate: 900, SampleRate: 44100, BitDepth: 16, Channels: 2, Version: "v",
	}
	if err := c.Apply(t.Context(), []scan.Change{{Put: &scan.Entry{Track: song, CoverPath: "cover.jpg"}}}); err != nil {
		t.Fatal(err)
	}
	for _, request := range []string{"hls.m3u8?id=" + tr1, "hls.m3u8?bitRate=128&bitRate=64&id=" + tr1, "stream?format=mp3&id=" + tr1} {
		h.wants(h.json(request), code(0), "ffmpeg is not installed")
	}
	// Players and proxies go by the status: what cannot be had now is no document to play.
	if w := h.ask("stream?format=mp3&id="+tr1, as(operator), ""); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "5" {
		t.Errorf("what cannot be streamed now: %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	h.wants(h.json("getCoverArt?size=300&id="+tr1), code(70), "the picture is damaged")
	if w := h.ask("stream?id="+tr1, as(operator), ""); w.Body.String() != "not read here" {
		t.Errorf("the original: %d %s", w.Code, w.Body)
	}
}

// TestPlays lets ffmpeg be the player: everything that this wire plays goes through the real catalogue, track cache,
// encoder and streamer, over a real connection, and what comes out is the tone that went in.
func TestPlays(t *testing.T) {
	if testing.Short() {
		t.Skip("runs ffmpeg a dozen times")
	}
	h, c := realHouseWith(t, func(o *folder.Origin) tutti.TrackCache { return openCache(t, o, "ffmpeg") })

	file := filepath.Join(h.music, "tone.flac")
	ffmpeg(t, "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100:duration=25", "-ac", "2", file)
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	tone := tutti.Track{
		ID: tr1, AlbumID: al1, Library: "1", Title: "Tone", Album: "Tones", Artists: []tutti.ArtistRef{bach}, AlbumArtists: []tutti.ArtistRef{bach},
		FolderID: scan.FolderID("1", "."), Path: "tone.flac", Size: info.Size(), ModTime: info.ModTime(), Suffix: "flac", ContentType: "audio/flac", Codec: "flac",
		Duration: toneSeconds * time.Second, BitRate: int(info.Size() * 8 / toneSeconds / 1000), SampleRate: 44100, BitDepth: 16, Channels: 2, Version: "tone",
	}
	part := tone // a section of the same file, as a cue sheet makes them
	part.ID, part.Title, part.Track, part.Start, part.End, part.Duration = tr2, "Part", 2, 5*time.Second, 20*time.Second, 15*time.Second
	if err := c.Apply(t.Context(), []scan.Change{{Put: &scan.Entry{Track: tone}}, {Put: &scan.Entry{Track: part}}}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.StripPrefix("/music", h.server))
	t.Cleanup(server.Close)
	address := func(request string) string {
		sep := "?"
		if strings.Contains(request, "?") {
			sep = "&"
		}
		return server.URL + "/music/rest/" + request + sep + as(operator)
	}

	original, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range []string{"stream?id=" + tr1, "stream?format=raw&id=" + tr1, "download?id=" + tr1} {
		if got := fetch(t, server.Client(), address(request)); !bytes.Equal(got, original) {
			t.Errorf("%s: %d bytes that are not the original's %d", request, len(got), len(original))
		}
	}

	params := func(container, codec, protocol, id string) string {
		body := `{"name":"n","platform":"p","transcodingProfiles":[{"container":"` + container + `","audioCodec":"` + codec + `","protocol":"` + protocol + `"}]}`
		answer := h.ask("POST getTranscodeDecision?mediaType=song&mediaId="+id, as(operator)+"&f=json", body).Body.String()
		m := regexp.MustCompile(`"transcodeParams":"([^"]+)"`).FindStringSubmatch(answer)
		if m == nil {
			t.Fatal(answer)
		}
		return "getTranscodeStream?mediaType=song&mediaId=" + id + "&transcodeParams=" + m[1]
	}
	for _, c := range []struct {
		request, codec string
		seconds        float64
		slack          float64 // encoders add silence: at most this much
	}{
		{"stream?format=mp3&maxBitRate=128&id=" + tr1, "mp3", 25, 0.1},
		{"stream?format=opus&id=" + tr1, "opus", 25, 0.03},
		{"stream?format=mp3&timeOffset=10&id=" + tr1, "mp3", 15, 0.1},
		{"stream?id=" + tr2, "flac", 15, 0.001},
		{params("mp3", "mp3", "http", tr1), "mp3", 25, 0.1},
		{params("ogg", "opus", "http", tr1) + "&offset=20", "opus", 5, 0.03},
		{params("flac", "flac", "http", tr2), "flac", 15, 0.001},
		{params("wav", "pcm", "http", tr1), "pcm_s16le", 25, 0.001},
		{"hls.m3u8?id=" + tr1, "aac", 25, 0.1},
		{"hls.m3u8?bitRate=128&bitRate=64&id=" + tr1, "aac", 25, 0.1},
		{"hls.m3u8?bitRate=96&id=" + tr2, "aac", 15, 0.1},
		{params("ts", "aac", "hls", tr1), "aac", 25, 0.1},
	} {
		t.Run(c.request[:strings.IndexByte(c.request, '?')]+" "+c.codec, func(t *testing.T) {
			out := probe(t, address(c.request))
			if out.Codec != c.codec {
				t.Errorf("%s is %s, not %s", c.request, out.Codec, c.codec)
			}
			samples := pcm(t, address(c.request))
			least := c.seconds - 0.001
			if out.Codec == "aac" {
				least = c.seconds - 1024.0/rate // segments of a part of a file begin with a whole frame
			}
			if got := float64(len(samples)) / rate; got < least || got > c.seconds+c.slack {
				t.Errorf("%s lasts %.4f s, not %.4f", c.request, got, c.seconds)
			}
			clicks(t, c.request, samples)
		})
	}
}

// clicks fails the test where the tone jumps: between two samples a sine of amplitude a moves by at most 2πf/rate·a.
// Codecs add noise; a cut in the wave is many times that.
func clicks(t *testing.T, request string, samples []int16) {
	t.Helper()
	const edge = rate / 10 // the tone begins and ends abruptly, which no lossy codec leaves as it is
	if len(samples) < 3*edge {
		t.Fatalf("%s: %d samples", request, len(samples))
	}
	var peak float64
	for _, s := range samples[edge : len(samples)-edge] {
		peak = max(peak, math.Abs(float64(s)))
	}
	if peak < 1000 {
		t.Fatalf("%s is silent", request)
	}
	most := 1.5 * 2 * math.Pi * toneHz / rate * peak
	for i := edge; i < len(samples)-edge; i++ {
		if d := math.Abs(float64(samples[i]) - float64(samples[i-1])); d > most {
			t.Errorf("%s clicks at %.4f s: a step of %.0f, where the tone makes %.0f at most", request, float64(i)/rate, d, most)
			return
		}
	}
}

func fetch(t *testing.T, client *http.Client, address string) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func ffmpeg(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffmpeg", append([]string{"-hide_banner", "-loglevel", "error", "-nostdin"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffmpeg %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return out
}

// pcm decodes an address to one channel of 16-bit samples.
func pcm(t *testing.T, address string) []int16 {
	t.Helper()
	b := ffmpeg(t, "-i", address, "-ac", "1", "-ar", strconv.Itoa(rate), "-f", "s16le", "-")
	samples := make([]int16, len(b)/2)
	for i := range samples {
		samples[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return samples
}

type stream struct {
	Codec string `json:"codec_name"`
}

func probe(t *testing.T, address string) stream {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-show_streams", "-select_streams", "a:0", "-of", "json", address).Output()
	if err != nil {
		t.Fatalf("ffprobe %s: %v", address, err)
	}
	var doc struct{ Streams []stream }
	if err := json.Unmarshal(out, &doc); err != nil || len(doc.Streams) == 0 {
		t.Fatalf("ffprobe %s: %v in %s", address, err, out)
	}
	return doc.Streams[0]
}
