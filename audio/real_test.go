package audio_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tutti/audio"
)

// TestRealMusic compares Read with ffprobe over a folder of real music, named by the environment variable
// TUTTI_TEST_MUSIC; without it there is nothing to do.
func TestRealMusic(t *testing.T) {
	root := os.Getenv("TUTTI_TEST_MUSIC")
	if root == "" {
		t.Skip("TUTTI_TEST_MUSIC names no folder of music")
	}
	ffprobe, err := exec.LookPath("ffprobe")
	if err != nil {
		t.Fatal(err)
	}
	count, reads, bytes := 0, 0, int64(0)
	seen := map[[16]byte]string{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, size := open(t, path)
		c := &counted{ReaderAt: f}
		got, err := audio.Read(t.Context(), c, size, path)
		if errors.Is(err, audio.ErrFormat) {
			return f.Close()
		}
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return f.Close()
		}
		count, reads, bytes = count+1, reads+c.reads, bytes+c.bytes
		fp, err := audio.Fingerprint(t.Context(), &got, f, size)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if other, ok := seen[fp]; ok {
			t.Logf("%s sounds like %s", path, other)
		}
		seen[fp] = path
		want, err := audio.Probe(t.Context(), ffprobe, path)
		if err != nil {
			t.Logf("%s: %v", path, err)
			return f.Close()
		}
		if d := got.Duration - want.Duration; d.Abs() > 60*time.Millisecond {
			t.Errorf("%s: %v, ffprobe says %v", path, got.Duration, want.Duration)
		}
		if got.SampleRate != want.SampleRate || got.Channels != want.Channels || got.Codec != want.Codec {
			t.Errorf("%s: %s %d Hz %d channels, ffprobe says %s %d %d", path, got.Codec, got.SampleRate, got.Channels, want.Codec, want.SampleRate, want.Channels)
		}
		for _, key := range []string{"TITLE", "ARTIST", "ALBUM", "DATE"} {
			if w := want.Tags.Get(key); w != got.Tags.Get(key) {
				t.Errorf("%s: %s is %q, ffprobe says %q", path, key, got.Tags.Get(key), w)
			}
		}
		return f.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	if count == 0 {
		t.Fatalf("no music in %s", root)
	}
	t.Logf("%d files, %.1f reads and %d kB each", count, float64(reads)/float64(count), bytes/int64(count)/1000)
}
