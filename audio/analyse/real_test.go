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
	"time"
)

// decode has ffmpeg write the sound of a file into the analyser.
func decode(t testing.TB, name string, args ...string) *Analyser {
	t.Helper()
	a := new(Analyser)
	cmd := exec.Command("ffmpeg", append(append([]string{"-v", "error", "-nostdin"}, args...), "-i", name, "-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "wav", "-bitexact", "-")...)
	var errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = a, &errors
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, errors.String())
	}
	return a
}

func TestScratch(t *testing.T) {
	files, _ := filepath.Glob(os.Getenv("MUSIC"))
	ffl := regexp.MustCompile(`I:\s+(-?[\d.]+) LUFS[\s\S]*LRA:\s+([\d.]+) LU[\s\S]*Peak:\s+(-?[\d.]+) dBFS`)
	var total time.Duration
	for _, f := range files {
		a := decode(t, f)
		full, err := a.Full()
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		total += time.Since(began)
		out, _ := exec.Command("ffmpeg", "-nostdin", "-i", f, "-af", "ebur128=peak=true:framelog=verbose", "-f", "null", "-").CombinedOutput()
		all := ffl.FindAllSubmatch(out, -1)
		m := all[len(all)-1]
		num := func(i int) float64 { v, _ := strconv.ParseFloat(string(m[i]), 64); return v }
		var fp struct{ Fingerprint []uint32 }
		b, _ := exec.Command("fpcalc", "-raw", "-json", f).Output()
		json.Unmarshal(b, &fp)
		diff := 0
		n := min(len(fp.Fingerprint), len(full.Print))
		for i := range n {
			diff += bits.OnesCount32(fp.Fingerprint[i] ^ full.Print[i])
		}
		t.Logf("%-32s I %.2f (%+.2f) LRA %.2f (%+.2f) TP %.2f (%+.2f) print %d/%d %.3f%% tempo %.1f %.2f key %d %.2f", filepath.Base(f), full.Loudness, full.Loudness-num(1), full.Range, full.Range-num(2), full.TruePeak, full.TruePeak-num(3),
			len(full.Print), len(fp.Fingerprint), 100-100*float64(diff)/float64(32*max(1, n)), full.Tempo, full.TempoClarity, full.Key, full.KeyClarity)
		_ = math.Pi
	}
}
