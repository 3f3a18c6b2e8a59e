package e2e

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tutti/audio/audiotest"
)

// TestEveryFormat serves a library of every format that can be made: each file is a track, arrives bit for bit, is
// decoded by mpv and ffmpeg as the file itself is, and can be heard as mp3 and Opus by players that know nothing else.
func TestEveryFormat(t *testing.T) {
	music := t.TempDir()
	files := audiotest.Library(t, music)
	s := start(t, "", []string{music})
	s.scanned()
	tracks := map[string][]song{}
	for _, song := range s.songs() {
		tracks[song.Path] = append(tracks[song.Path], song)
	}
	for _, f := range files {
		if strings.HasSuffix(f.Path, ".mp4") {
			continue // as a rule that is a film, and none is scanned; the same inside an .m4a is music
		}
		t.Run(strings.ReplaceAll(f.Path, "/", "-"), func(t *testing.T) {
			t.Parallel()
			there := tracks[f.Path]
			if len(there) == 0 {
				for path, ts := range tracks { // some apps are told the path with its library
					if strings.HasSuffix(path, "/"+f.Path) {
						there = ts
					}
				}
			}
			if len(there) == 0 {
				t.Fatal("not in the library")
			}
			if len(there) > 1 {
				return // a cue sheet's tracks are not the file
			}
			local := filepath.Join(music, f.Path)
			body, err := s.get(s.rest("stream", url.Values{"id": {there[0].ID}, "format": {"raw"}}))
			if err != nil {
				t.Fatal(err)
			}
			if want, err := os.ReadFile(local); err != nil || string(want) != string(body) {
				t.Errorf("%d bytes arrived, the file has %d (%v)", len(body), len(want), err)
			}
			raw := s.rest("stream", url.Values{"id": {there[0].ID}, "format": {"raw"}})
			var decodes bool // what ffmpeg cannot decode it cannot transcode
			for _, player := range []string{"mpv", "ffplay"} {
				want, err := tryPCM(t, player, local)
				if decodes = err == nil; !decodes {
					t.Logf("%s cannot play the file itself: %v", player, err)
				} else if got, err := tryPCM(t, player, raw); err != nil || got != want {
					t.Errorf("%s hears something else from the server than from the file (%v)", player, err)
				}
			}
			if !decodes {
				return
			}
			for _, format := range []string{"mp3", "opus"} {
				made := s.rest("stream", url.Values{"id": {there[0].ID}, "format": {format}})
				if b, err := exec.Command(need(t, "ffprobe"), "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", made).CombinedOutput(); err != nil || !strings.HasPrefix(string(b), format) {
					t.Errorf("asked for %s, got %s (%v)", format, b, err)
				}
			}
		})
	}
}
