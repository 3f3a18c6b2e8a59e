package analyse

import (
	"bytes"
	"encoding/json"
	"math"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// sound has ffmpeg write the sound of a file into an analyser, as audio/encode does.
func sound(t testing.TB, name string) *Analyser {
	t.Helper()
	a := new(Analyser)
	cmd := exec.Command("ffmpeg", "-v", "error", "-nostdin", "-i", name, "-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "wav", "-fflags", "+bitexact", "-")
	var errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = a, &errors
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, errors.String())
	}
	return a
}

func decode(t testing.TB, name string) Full {
	t.Helper()
	f, err := sound(t, name).Full()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// files are pieces of ours in several formats, and those that TUTTI_TEST_MUSIC, a pattern, names.
func files(t testing.TB) []string {
	t.Helper()
	dir := t.TempDir()
	flat := filepath.Join(dir, "flat.wav")
	b := wave(pieceRate, 1, piece{bpm: 120, key: 7, style: "rock", seed: 5, seconds: 20}.play())
	if err := os.WriteFile(flat, b, 0o644); err != nil {
		t.Fatal(err)
	}
	var list []string
	for name, args := range map[string][]string{
		"stereo.flac":  {"-af", "pan=stereo|c0=c0|c1=0.5*c0"},
		"hires.flac":   {"-ar", "96000", "-sample_fmt", "s32"},
		"mono.mp3":     {"-b:a", "128k"},
		"opus.opus":    {"-ac", "2", "-b:a", "96k"},
		"loud.ogg":     {"-af", "volume=12dB", "-ac", "2"},
		"surround.wav": {"-af", "pan=5.1|c0=c0|c1=c0|c2=0.5*c0|c3=c0|c4=0.3*c0|c5=0.3*c0", "-c:a", "pcm_s16le"},
		"slow.wav":     {"-ar", "22050"},
	} {
		to := filepath.Join(dir, name)
		if out, err := exec.Command("ffmpeg", append(append([]string{"-v", "error", "-nostdin", "-i", flat}, args...), to)...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		list = append(list, to)
	}
	more, err := filepath.Glob(os.Getenv("TUTTI_TEST_MUSIC"))
	if err != nil {
		t.Fatal(err)
	}
	return append(list, more...)
}

var summary = regexp.MustCompile(`I:\s+(-?[\d.]+) LUFS[\s\S]*LRA:\s+(-?[\d.]+) LU[\s\S]*Peak:\s+(-?[\d.]+|-inf) dBFS`)

// TestReferences compares with ffmpeg's ebur128 and with Chromaprint's fpcalc.
func TestReferences(t *testing.T) {
	if testing.Short() {
		t.Skip("decodes each file three times")
	}
	_, noPrint := exec.LookPath("fpcalc")
	for _, name := range files(t) {
		f := decode(t, name)
		out, err := exec.Command("ffmpeg", "-nostdin", "-i", name, "-map", "0:a:0", "-af", "ebur128=peak=true:framelog=verbose", "-f", "null", "-").CombinedOutput()
		m := summary.FindSubmatch(out)
		if err != nil || m == nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		number := func(i int) float64 {
			v, err := strconv.ParseFloat(string(m[i]), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		// ebur128 prints one decimal, so half of that comes on top. Its range is of windows from the first sample on, which
		// Tech 3342 does not want: pieces shorter than a minute may differ.
		base := filepath.Base(name)
		if d := f.Loudness - number(1); math.Abs(d) > .1 {
			t.Errorf("%s: %.2f LUFS, ebur128 has %.1f", base, f.Loudness, number(1))
		}
		if d := f.TruePeak - number(3); d > .3 || d < -.5 {
			t.Errorf("%s: %.2f dBTP, ebur128 has %.1f", base, f.TruePeak, number(3))
		}
		if noPrint != nil {
			continue
		}
		out, failed := exec.Command("fpcalc", "-raw", "-json", name).Output() // its exit status is 3 at the end of some sound files
		var want struct{ Fingerprint []uint32 }
		if err := json.Unmarshal(out, &want); err != nil {
			t.Fatalf("fpcalc %s: %v, %v", base, failed, err)
		}
		n, differ := min(len(want.Fingerprint), len(f.Print)), 0
		for i := range n {
			differ += bits.OnesCount32(want.Fingerprint[i] ^ f.Print[i])
		}
		same := 1 - float64(differ)/float64(32*max(1, n))
		if same < .99 || len(want.Fingerprint)-n > 1 || len(f.Print)-n > 1 {
			t.Errorf("%s: %d numbers and fpcalc %d, %.2f %% of their bits the same", base, len(f.Print), len(want.Fingerprint), 100*same)
		}
		t.Logf("%-30s %+.2f LU, range %+.2f LU, peak %+.2f dB, print %.3f %%", base, f.Loudness-number(1), f.Range-number(2), f.TruePeak-number(3), 100*same)
	}
	if noPrint != nil {
		t.Log("fpcalc (Debian: libchromaprint-tools) is not installed, so the prints were compared with nothing")
	}
}
