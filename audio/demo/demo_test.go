package demo

import (
	"crypto/md5"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mewkiz/flac"

	"tutti/audio"
)

// TestAlbum makes the album and decodes it again: every file must hold the samples that its own checksum promises,
// sound from start to end, and never clip.
func TestAlbum(t *testing.T) {
	if testing.Short() {
		t.Skip("renders four minutes of music")
	}
	dir := t.TempDir()
	told := 0
	folder, err := Write(t.Context(), dir, func(done, total int) { told = done })
	if err != nil {
		t.Fatal(err)
	}
	if told != len(titles) {
		t.Errorf("progress was told %d of %d tracks", told, len(titles))
	}
	var edge [2][2]int32 // last frame of part I, first frame of part II
	for i, title := range titles {
		f, err := flac.Open(filepath.Join(folder, fileName(i+1, title)))
		if err != nil {
			t.Fatal(err)
		}
		if got := tagged(t, filepath.Join(folder, fileName(i+1, title))); got != title {
			t.Errorf("track %d is tagged %q, not %q", i+1, got, title)
		}
		sum, energy, peak, n := md5.New(), 0.0, int32(0), 0
		for {
			fr, err := f.ParseNext()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", title, err)
			}
			fr.Hash(sum)
			for k := range fr.Subframes[0].Samples {
				l, r := fr.Subframes[0].Samples[k], fr.Subframes[1].Samples[k]
				if n == 0 && i == 5 {
					edge[1] = [2]int32{l, r}
				}
				if i == 4 {
					edge[0] = [2]int32{l, r}
				}
				energy += float64(l)*float64(l) + float64(r)*float64(r)
				peak = max(peak, l, -l, r, -r)
				n++
			}
		}
		if got := [16]byte(sum.Sum(nil)); got != f.Info.MD5sum {
			t.Errorf("%s: the samples do not match the file's MD5", title)
		}
		rms := 20 * math.Log10(math.Sqrt(energy/float64(2*n))/32768)
		if seconds := float64(n) / sampleRate; seconds < 15 || seconds > 60 {
			t.Errorf("%s lasts %.1f s", title, seconds)
		}
		if rms < -35 || rms > -10 || peak > 32000 {
			t.Errorf("%s: level %.1f dB, peak %d", title, rms, peak)
		}
		f.Close()
	}
	for ear := range 2 {
		if d := edge[0][ear] - edge[1][ear]; d > 3000 || d < -3000 {
			t.Errorf("the cut between the last two tracks jumps by %d", d)
		}
	}

	before, err := os.Stat(filepath.Join(folder, fileName(1, titles[0])))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Write(t.Context(), dir, nil); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(filepath.Join(folder, fileName(1, titles[0])))
	if err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("a second call made the album again (%v)", err)
	}
}

// tagged returns a file's title as the library reads it, having checked what else an album needs.
func tagged(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	info, err := audio.Read(t.Context(), f, stat.Size(), filepath.Base(path))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Tags.Get("ALBUM"); got != Album {
		t.Errorf("%s: album %q", path, got)
	}
	if got := info.Tags.All("GENRE"); len(got) != 2 {
		t.Errorf("%s: genres %q", path, got)
	}
	picture, mime, err := audio.Picture(t.Context(), f, stat.Size(), filepath.Base(path), audio.PictureFront)
	if err != nil || mime != "image/jpeg" || len(picture) < 1000 {
		t.Errorf("%s: a picture of %d bytes, %s, %v", path, len(picture), mime, err)
	}
	return info.Tags.Get("TITLE")
}

// TestDeterministic renders the same score twice: a second make must give the same recording, or its tracks would
// change their identity in the catalogue.
func TestDeterministic(t *testing.T) {
	render := func() []int16 {
		m := newMixer(1)
		m.pluck(0, 69, 0.5, 0)
		m.bell(0.1, 81, 0.2, 0.5)
		l, _ := m.finish().pcm(0, blockSize)
		return l
	}
	if !slices.Equal(render(), render()) {
		t.Error("the same score gave different samples")
	}
}
