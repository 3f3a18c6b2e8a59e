package audio

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// pcm is samples as a PeakMeter takes them.
func pcm(samples ...int16) []byte {
	var b []byte
	for _, s := range samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(s))
	}
	return b
}

func TestPeakMeter(t *testing.T) {
	var m PeakMeter
	loud, soft := make([]int16, firstPart), make([]int16, firstPart)
	for i := range loud {
		loud[i], soft[i] = -32768, int16(16384*(1-2*(i%2)))
	}
	for _, s := range [][]int16{loud, soft, {32767}} {
		if n, err := m.Write(pcm(s...)); n != 2*len(s) || err != nil {
			t.Fatal(n, err)
		}
	}
	want := Peaks{Peak: []uint16{65535, 32768, 65533}, RMS: []uint16{65535, 32768, 65533}}
	if diff := cmp.Diff(want, m.Peaks()); diff != "" {
		t.Error(diff)
	}
}

// TestPeakMeterIsBounded compares the meter with one that keeps every sample, over writes of any size.
func TestPeakMeterIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := make([]int16, rapid.IntRange(1, 3*maxPeaks*firstPart).Draw(t, "samples"))
		seed := rapid.Uint32().Draw(t, "seed")
		for i := range samples {
			seed = seed*1664525 + 1013904223
			samples[i] = int16(seed>>16) >> (uint(i/5000) % 12)
		}
		b := pcm(samples...)
		var m PeakMeter
		for len(b) > 0 {
			n := min(len(b), rapid.IntRange(1, 200_000).Draw(t, "write"))
			if _, err := m.Write(b[:n]); err != nil {
				t.Fatal(err)
			}
			b = b[n:]
		}
		got := m.Peaks()
		if len(got.Peak) > maxPeaks || len(samples) > maxPeaks*firstPart && len(got.Peak) < maxPeaks/2 {
			t.Fatalf("%d samples in %d parts", len(samples), len(got.Peak))
		}
		size := int(m.size)
		for i := range got.Peak {
			peak, squares := 0.0, 0.0
			own := samples[i*size : min(len(samples), (i+1)*size)]
			for _, s := range own {
				peak = max(peak, math.Abs(float64(s)))
				squares += float64(s) * float64(s)
			}
			if got.Peak[i] != wide(peak) || math.Abs(float64(got.RMS[i])-float64(wide(math.Sqrt(squares/float64(len(own)))))) > 1 {
				t.Fatalf("part %d: %d and %d, the loudest sample is %v", i, got.Peak[i], got.RMS[i], peak)
			}
		}
		back, err := ParsePeaks(got.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, back); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestResample(t *testing.T) {
	p := Peaks{Peak: []uint16{1, 9, 3, 4, 5}, RMS: []uint16{1, 7, 3, 4, 5}}
	for _, c := range []struct {
		n    int
		want []uint16
	}{{1, []uint16{9}}, {2, []uint16{9, 5}}, {3, []uint16{9, 9, 5}}, {5, p.Peak}, {10, []uint16{1, 1, 9, 9, 3, 3, 4, 4, 5, 5}}} {
		if got := p.Resample(c.n); !cmp.Equal(got.Peak, c.want) || len(got.RMS) != c.n {
			t.Errorf("in %d parts: %d, want %d", c.n, got.Peak, c.want)
		}
	}
	if got := (Peaks{}).Resample(2); !cmp.Equal(got.Peak, []uint16{0, 0}) {
		t.Errorf("nothing: %d", got.Peak)
	}
}

func FuzzParsePeaks(f *testing.F) {
	f.Add(Peaks{Peak: []uint16{1, 65535}, RMS: []uint16{0, 3}}.Bytes())
	f.Add([]byte(peaksMagic + "\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePeaks(b)
		if err == nil && !cmp.Equal(p.Bytes(), b) {
			t.Errorf("%x reads as %v", b, p)
		}
	})
}

func BenchmarkPeakMeter(b *testing.B) {
	second := make([]int16, 2*44100)
	for i := range second {
		second[i] = int16(i * 7919)
	}
	sound := pcm(second...)
	b.SetBytes(int64(len(sound)))
	for b.Loop() {
		var m PeakMeter
		if _, err := m.Write(sound); err != nil {
			b.Fatal(err)
		}
	}
}
