package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// wesnothMusic is where Debian's package wesnoth-1.16-music keeps its Ogg Vorbis files: real music to play.
const wesnothMusic = "/usr/share/games/wesnoth/1.16/data/core/music"

func wesnoth(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat(wesnothMusic); err != nil {
		t.Fatalf("the music of wesnoth-1.16-music is not installed; make e2e installs it: %v", err)
	}
	return wesnothMusic
}

func fileSum(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return readerSum(t, f)
}

func readerSum(t *testing.T, r io.Reader) string {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// TestOriginalsBitForBit downloads every track of a real library and compares it with its file.
func TestOriginalsBitForBit(t *testing.T) {
	music := wesnoth(t)
	s := start(t, "", []string{music})
	files, err := filepath.Glob(filepath.Join(music, "*.ogg"))
	if err != nil {
		t.Fatal(err)
	}
	if n := s.scanned(); n != len(files) {
		t.Errorf("%d tracks from %d files", n, len(files))
	}
	for _, song := range s.songs() {
		resp, err := http.Get(s.rest("stream", url.Values{"id": {song.ID}}))
		if err != nil {
			t.Fatal(err)
		}
		got := readerSum(t, resp.Body)
		resp.Body.Close()
		path := filepath.Join(music, filepath.Base(song.Path))
		if want := fileSum(t, path); got != want {
			t.Errorf("%s: the stream differs from the file", song.Path)
		}
		if info, err := os.Stat(path); err != nil || resp.ContentLength != info.Size() || song.Size != info.Size() {
			t.Errorf("%s: length %d, in the catalogue %d (%v)", song.Path, resp.ContentLength, song.Size, err)
		}
	}
}

// TestDigest asks for a track until its digest has been taken, and compares that with the file.
func TestDigest(t *testing.T) {
	music := wesnoth(t)
	s := start(t, "", []string{music})
	s.scanned()
	song := s.songs()[0]
	sum, err := hex.DecodeString(fileSum(t, filepath.Join(music, filepath.Base(song.Path))))
	if err != nil {
		t.Fatal(err)
	}
	want := "sha-256=:" + base64.StdEncoding.EncodeToString(sum) + ":"
	got := ""
	waitFor(t, "the digest", func() bool {
		resp, err := http.Get(s.rest("stream", url.Values{"id": {song.ID}}))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		got = resp.Header.Get("Repr-Digest")
		return got != ""
	})
	if got != want {
		t.Errorf("Repr-Digest %s, the file has %s", got, want)
	}
}

// pcm lets a player decode a source into samples and returns their hash.
func pcm(t *testing.T, player, source string) string {
	t.Helper()
	sum, err := tryPCM(t, player, source)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func tryPCM(t *testing.T, player, source string) (string, error) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out.wav")
	var cmd *exec.Cmd
	switch player {
	case "mpv":
		cmd = exec.Command(need(t, "mpv"), "--no-config", "--no-video", "--untimed", "--gapless-audio=no",
			"--ao=pcm", "--ao-pcm-file="+out, "--audio-format=s16", "--length=20", source)
	case "ffplay":
		// ffplay cannot write files; its decoder can, through the program it is built from.
		cmd = exec.Command(need(t, "ffmpeg"), "-v", "error", "-nostdin", "-t", "20", "-i", source, "-f", "wav", "-bitexact", "-c:a", "pcm_s16le", out)
	}
	if b, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", player, err, b)
	}
	info, err := os.Stat(out)
	if err != nil || info.Size() < 4410 {
		return "", fmt.Errorf("%s wrote hardly anything (%v)", player, err)
	}
	return fileSum(t, out), nil
}

// TestPlayersHearTheFile plays stream addresses in players and compares what they decode with what they decode from
// the file itself.
func TestPlayersHearTheFile(t *testing.T) {
	music := wesnoth(t)
	s := start(t, "", []string{music})
	s.scanned()
	for _, name := range []string{"silence.ogg", "battle.ogg", "victory.ogg"} {
		for _, song := range s.songs() {
			if filepath.Base(song.Path) != name {
				continue
			}
			for _, player := range []string{"mpv", "ffplay"} {
				got := pcm(t, player, s.rest("stream", url.Values{"id": {song.ID}}))
				if want := pcm(t, player, filepath.Join(music, name)); got != want {
					t.Errorf("%s hears something else from the server than from %s", player, name)
				}
			}
		}
	}
}

// TestTranscodeOnceThenRange asks for a transcode, hears it whole, and then seeks in it by range.
func TestTranscodeOnceThenRange(t *testing.T) {
	s := start(t, "", []string{wesnoth(t)})
	s.scanned()
	all := s.songs()
	if len(all) == 0 {
		t.Fatal("an empty library")
	}
	address := s.rest("stream", url.Values{"id": {all[0].ID}, "format": {"mp3"}, "maxBitRate": {"96"}})
	first, err := s.get(address)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Range", "bytes=1000-1999")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	part, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusPartialContent || string(part) != string(first[1000:2000]) {
		t.Errorf("a range of a made transcode: %s, %d bytes", resp.Status, len(part))
	}
	tmp := filepath.Join(t.TempDir(), "t.mp3")
	if err := os.WriteFile(tmp, first, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := exec.Command(need(t, "ffprobe"), "-v", "error", "-show_entries", "format=duration:stream=codec_name,bit_rate", "-of", "csv=p=0", tmp).Output()
	if err != nil || !strings.HasPrefix(string(b), "mp3,96000") {
		t.Errorf("the transcode is %q (%v), want mp3 at 96 kbit/s", b, err)
	}
}
