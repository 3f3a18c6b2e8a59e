package encode

import (
	"bytes"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tutti"
	"tutti/audio"
)

// TestOutline compares the outline of a file with one of its own samples.
func TestOutline(t *testing.T) {
	dir, files := music(t)
	e := newEncoder(t, files)
	flat := filepath.Join(dir, "steps.wav")
	// 2 s of silence, 2 s at half of full scale, 2 s at full scale on one channel only.
	run(t, "ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "aevalsrc=if(lt(t\\,2)\\,0\\,if(lt(t\\,4)\\,0.5\\,0))|if(lt(t\\,2)\\,0\\,if(lt(t\\,4)\\,0.5\\,0.999)):d=6:s=44100", flat)
	defer os.Remove(flat)
	for name, test := range map[string]struct {
		ref  tutti.Ref
		want []float64 // peaks in equal parts
	}{
		"all":       {tutti.Ref{}, []float64{0, 0, .5, .5, .999, .999}},
		"a section": {tutti.Ref{Start: time.Second, End: 3 * time.Second}, []float64{0, .5}},
	} {
		t.Run(name, func(t *testing.T) {
			r := test.ref
			r.Library, r.Path, r.Profile = "1", "steps.wav", tutti.Profile{Format: "peaks"}
			p, err := audio.ParsePeaks(encoded(t, e, r))
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Peak) < 1000 {
				t.Errorf("only %d parts", len(p.Peak))
			}
			got := p.Resample(len(test.want))
			for i, want := range test.want {
				// Where one level becomes the next, a part holds some of both.
				if level := float64(got.Peak[i]) / math.MaxUint16; math.Abs(level-want) > .001 && (i+1 == len(test.want) || math.Abs(level-test.want[i+1]) > .001) {
					t.Errorf("part %d peaks at %.4f, want %.4f", i, level, want)
				}
			}
			if rms := float64(got.RMS[len(got.RMS)-1]) / math.MaxUint16; name == "all" && math.Abs(rms-.999/math.Sqrt2) > .01 { // one of two channels
				t.Errorf("the last part's mean is %.4f", rms)
			}
		})
	}
	o, err := e.Open(t.Context(), tutti.Ref{Library: "1", Path: "a.mp3", Profile: tutti.Profile{Format: "peaks"}})
	if err != nil {
		t.Fatal(err)
	}
	if o.Size() != -1 {
		t.Errorf("the size is %d before anything was heard", o.Size())
	}
	var head [20]byte
	if _, err := o.ReadAt(head[:], 0); err != nil {
		t.Fatal(err)
	}
	var rest bytes.Buffer
	if _, err := o.CopyRange(t.Context(), &rest, 20, -1); err != nil {
		t.Fatal(err)
	}
	if got := int64(len(head) + rest.Len()); got != o.Size() {
		t.Errorf("%d bytes of %d", got, o.Size())
	}
	if _, err := o.CopyRange(t.Context(), io.Discard, 0, -1); !tutti.IsKind(err, tutti.KindInvalid) {
		t.Errorf("reading again: %v", err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}
