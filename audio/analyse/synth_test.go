package analyse

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

// wave returns a WAVE file of interleaved samples.
func wave(rate, channels int, samples []float32) []byte {
	le := binary.LittleEndian
	b := append([]byte("RIFF"), 0xFF, 0xFF, 0xFF, 0xFF)
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, 3)
	b = le.AppendUint16(b, uint16(channels))
	b = le.AppendUint32(b, uint32(rate))
	b = le.AppendUint32(b, uint32(rate*channels*4))
	b = le.AppendUint16(b, uint16(channels*4))
	b = le.AppendUint16(b, 32)
	b = append(b, "data"...)
	b = le.AppendUint32(b, 0xFFFFFFFF)
	for _, v := range samples {
		b = le.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// heard analyses samples.
func heard(t testing.TB, rate, channels int, samples []float32) Full {
	t.Helper()
	var a Analyser
	if _, err := a.Write(wave(rate, channels, samples)); err != nil {
		t.Fatal(err)
	}
	f, err := a.Full()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const pieceRate = 44100

// string6 is one period of a tone with six partials.
var string6 = func() (t [4096]float64) {
	for i := range t {
		for h := 1.0; h <= 6; h++ {
			t[i] += math.Sin(2*math.Pi*h*float64(i)/float64(len(t))) / (h * h)
		}
	}
	return t
}()

// piece is a small band that plays in a key at a tempo: chords of the scale's cadences with a melody on the scale above and
// a bass below, and drums in a style.
type piece struct {
	bpm     float64
	key     int // as Result.Key
	style   string
	seed    uint64
	seconds float64
	cents   float64 // how much higher than 440 Hz it is tuned
}

func (p piece) play() []float32 {
	rng := rand.New(rand.NewPCG(p.seed, 1))
	out := make([]float32, int(p.seconds*pieceRate))
	beat := 60 / p.bpm
	tone := func(at, length, midi, level float64) {
		step := 440 * math.Exp2((midi-69)/12+p.cents/1200) / pieceRate * float64(len(string6))
		from, n := int(at*pieceRate), int(length*pieceRate)
		env, fall := level, math.Exp(-2.5/float64(n))
		for i := 0; i < n && from+i < len(out); i++ {
			env *= fall
			out[from+i] += float32(min(float64(i)/(.005*pieceRate), 1) * env * string6[int(float64(i)*step)%len(string6)])
		}
	}
	noise := func(at, length, level, colour float64) { // colour: how much of the highest frequencies
		from, last := int(at*pieceRate), 0.0
		for i := 0; i < int(length*pieceRate) && from+i < len(out); i++ {
			x := rng.Float64()*2 - 1
			v := x - colour*last
			last = x
			level *= math.Exp(-5 / (length * pieceRate))
			out[from+i] += float32(level * v)
		}
	}
	kick := func(at float64) {
		from := int(at * pieceRate)
		for i := 0; i < pieceRate/6 && from+i < len(out); i++ {
			x := float64(i) / pieceRate
			out[from+i] += float32(.5 * math.Exp(-18*x) * math.Sin(2*math.Pi*(50*x+4*(1-math.Exp(-30*x)))))
		}
	}
	tonic, minor := float64(p.key%12), p.key >= 12
	scale := []float64{0, 2, 4, 5, 7, 9, 11}
	chords := [][]float64{{0, 4, 7}, {5, 9, 12}, {7, 11, 14}, {0, 4, 7}, {9, 12, 16}, {5, 9, 12}, {7, 11, 14}, {0, 4, 7}}
	if minor {
		scale = []float64{0, 2, 3, 5, 7, 8, 10}
		chords = [][]float64{{0, 3, 7}, {5, 8, 12}, {7, 11, 14}, {0, 3, 7}, {8, 12, 15}, {5, 8, 12}, {7, 11, 14}, {0, 3, 7}}
	}
	for n := 0; float64(n)*beat < p.seconds; n++ {
		at, inBar := float64(n)*beat, n%4
		chord := chords[n/4%len(chords)]
		if inBar == 0 {
			for _, c := range chord {
				tone(at, 4*beat, 48+tonic+c, .06)
			}
		}
		if inBar%2 == 0 {
			tone(at, beat, 36+tonic+chord[0], .12)
		}
		tone(at, beat, 60+tonic+scale[rng.IntN(len(scale))], .07)
		if rng.IntN(3) == 0 {
			tone(at+beat/2, beat/2, 60+tonic+chord[rng.IntN(3)], .05)
		}
		switch p.style {
		case "rock":
			if inBar%2 == 0 {
				kick(at)
			} else {
				noise(at, .15, .2, .3)
			}
			noise(at, .04, .05, .9)
			noise(at+beat/2, .04, .05, .9)
		case "dance":
			kick(at)
			if inBar%2 == 1 {
				noise(at, .12, .12, .3)
			}
			noise(at+beat/2, .05, .06, .9)
		case "waltz": // whose chords change with every third beat too
			if n%3 == 0 {
				kick(at)
			} else {
				noise(at, .06, .05, .5)
			}
		case "none":
		}
	}
	return out
}
