package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"
)

// TestListenedToAndUntouched has a server listen to a library, and compares every file and every stream with what was there
// before: what is learned from music lies beside it, never in it.
func TestListenedToAndUntouched(t *testing.T) {
	need(t, "ffmpeg")
	music := t.TempDir()
	if _, stderr, err := tutti(t, "", "demo", music); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	sums := func() map[string]string {
		list := map[string]string{}
		if err := filepath.WalkDir(music, func(p string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				list[p] = fileSum(t, p)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return list
	}
	before := sums()
	s := start(t, "", []string{music}, "--analyse-enabled", "--analyse-tracks=2")
	tracks := s.scanned()
	type gained struct {
		ReplayGain struct{ TrackGain, AlbumGain, TrackPeak *float64 }
	}
	songs := s.songs()
	waitFor(t, fmt.Sprintf("%d tracks to be listened to", tracks), func() bool {
		for _, song := range songs {
			var one gained
			s.call("getSong", url.Values{"id": {song.ID}}, "song", &one)
			if one.ReplayGain.TrackGain == nil || one.ReplayGain.AlbumGain == nil {
				return false
			}
		}
		return true
	})
	var answer struct {
		Response struct {
			SonicMatch []struct {
				Entry      song
				Similarity float64
			}
		} `json:"subsonic-response"`
	}
	resp, err := http.Get(s.rest("getSonicSimilarTracks", url.Values{"id": {songs[0].ID}, "count": {"50"}}))
	if err != nil {
		t.Fatal(err)
	}
	err = json.NewDecoder(resp.Body).Decode(&answer)
	resp.Body.Close()
	matches := answer.Response.SonicMatch
	if err != nil || len(matches) != tracks-1 {
		t.Errorf("%d tracks of %d are compared with the first, %v", len(matches), tracks, err)
	}
	for i, m := range matches {
		if m.Entry.ID == songs[0].ID || m.Similarity < 0 || m.Similarity > 1 || i > 0 && m.Similarity > matches[i-1].Similarity {
			t.Errorf("match %d: %+v", i, m)
		}
	}
	for _, song := range songs {
		for _, endpoint := range []string{"stream", "download"} {
			resp, err := http.Get(s.rest(endpoint, url.Values{"id": {song.ID}}))
			if err != nil {
				t.Fatal(err)
			}
			got := readerSum(t, resp.Body)
			resp.Body.Close()
			found := false
			for p, sum := range before {
				found = found || filepath.Base(p) == filepath.Base(song.Path) && sum == got
			}
			if !found {
				t.Errorf("%s of %s is of no file's bytes", endpoint, song.Path)
			}
		}
	}
	after := sums()
	if len(after) != len(before) {
		t.Errorf("%d files became %d", len(before), len(after))
	}
	for p, sum := range before {
		if after[p] != sum {
			t.Errorf("%s was changed", p)
		}
	}
}
