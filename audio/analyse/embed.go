package analyse

import (
	"math"
)

// Dimensions is how many numbers an embedding has.
const Dimensions = 64

// features are what an embedding is made of, in groups that count for equally much whatever their number (see groups):
// timbre, as mean and deviation of mel-frequency cepstra (S. Davis and P. Mermelstein, IEEE TASSP 28(4), 1980; as a summary of
// music: B. Logan and A. Salomon, "A Music Similarity Function Based on Signal Analysis", ICME 2001), how noisy each octave
// is and how bright all of it; rhythm; and tonality without regard to the key.
func (m *measured) features() [Dimensions]float64 {
	var f [Dimensions]float64
	i := 0
	put := func(v float64) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			v = 0
		}
		f[i] = v
		i++
	}
	t := m.timbre
	for k := 1; k < cepstra; k++ {
		put(t.cepstrum[k].mean())
	}
	for k := range cepstra {
		put(t.cepstrum[k].deviation())
	}
	for k := range 6 {
		put(t.delta[k].deviation())
	}
	for k := range t.flatness {
		put(t.flatness[k].mean())
	}
	for k := range t.flatness {
		put(t.flatness[k].deviation())
	}
	put(t.centroid.mean())
	put(t.centroid.deviation())
	put(t.rolloff.mean())

	// Which intervals there are, without saying from which note.
	chroma, _ := m.tonality.chroma()
	for d := 1; d <= 6; d++ {
		sum := 0.0
		for n := range chroma {
			sum += math.Sqrt(chroma[n] * chroma[(n+d)%12])
		}
		put(sum)
	}
	frames := max(1, float64(m.tonality.frames))
	put(m.tonality.spread / frames)
	put(m.tonality.change / frames)
	major, minor := math.Inf(-1), math.Inf(-1)
	for k := range 12 {
		major, minor = max(major, keyFit(&chroma, k)), max(minor, keyFit(&chroma, k+12))
	}
	put(major - minor)

	var all, low stats
	for k, v := range t.onsets {
		all.add(float64(v))
		low.add(float64(t.low[k]))
	}
	put(math.Log1p(all.mean()))
	put(all.deviation() / (all.mean() + .1))
	put(low.mean() / (all.mean() + .1))
	put(m.tempo.clear)
	bpm := m.tempo.bpm
	if bpm == 0 {
		bpm = 110
	}
	put(math.Log2(bpm / 110))
	for _, band := range [...][2]float64{{.5, 1.5}, {1.5, 4}, {4, 10}} { // how much repeats that often in a second
		sum, n := 0.0, 0.0
		for lag := int(onsetRate / band[1]); lag <= int(onsetRate/band[0]) && lag < len(m.likeness); lag++ {
			sum += math.Abs(m.likeness[lag])
			n++
		}
		put(sum / max(1, n))
	}
	put(m.loudness.loudnessRange())
	return f
}

// groups are how many of the features belong together, and how much they weigh together.
var groups = [...]struct {
	n      int
	weight float64
}{
	{12, 3}, // what the spectrum looks like
	{19, 2}, // how it moves
	{12, 1}, // how noisy it is
	{3, 1},  // how bright
	{9, 1.5},
	{8, 1.5},
	{1, .3},
}

// clip is how many deviations from the mean count at most.
const clip = 3

// scale is how many steps of an embedding a unit is: what is farthest out fits.
var scale = func() float64 {
	most := 0.0
	for _, g := range groups {
		most = max(most, clip*math.Sqrt(g.weight/float64(g.n)))
	}
	return math.MaxInt8 / most
}()

// Spread is the mean square of the distance between the embeddings of two pieces of music that have nothing to do with one
// another: each group's features, of mean 0 and deviation 1, weigh as much as the group together.
var Spread = func() float64 {
	sum := 0.0
	for _, g := range groups {
		sum += 2 * g.weight
	}
	return sum * scale * scale
}()

// embed brings features to the scale of whitening, and to bytes. Two pieces are the more alike, the nearer their embeddings
// are: a distance, unlike an angle, is the same wherever in the world of music both lie.
func embed(f [Dimensions]float64) (e [Dimensions]int8) {
	i := 0
	for _, g := range groups {
		for range g.n {
			v := min(max((f[i]-whitening[i].mean)/whitening[i].deviation, -clip), clip)
			e[i] = int8(math.Round(v * math.Sqrt(g.weight/float64(g.n)) * scale))
			i++
		}
	}
	return e
}
