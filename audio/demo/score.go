package demo

import (
	"context"
	"iter"
	"math"
)

// titles are the tracks in order.
var titles = []string{"Tuning Up", "First Light", "Canon for Two Rooms", "Rain on the Roof", "All Together, part I", "All Together, part II"}

// Chords as MIDI notes, spread so that the pad fills the middle and the bass stays clear of it.
var (
	dMaj9  = []int{50, 57, 61, 64, 66}
	bMin7  = []int{47, 57, 62, 66, 69}
	gMaj7  = []int{43, 55, 59, 62, 66}
	aSus   = []int{45, 57, 59, 64, 69}
	eMin7  = []int{40, 55, 59, 62, 67}
	fSharp = []int{42, 57, 61, 64, 69}
	cMaj7  = []int{48, 55, 59, 64, 67}
	aMin9  = []int{45, 55, 59, 60, 64}
	fMaj7  = []int{41, 57, 60, 64, 69}
	gSix   = []int{43, 55, 59, 64, 67}
)

// album composes the tracks one after another; a track is rendered when it is asked for. It stops early when ctx ends.
func album(ctx context.Context) iter.Seq[track] {
	return func(yield func(track) bool) {
		n := 0
		give := func(comment string, bpm int, m *mixer, from, to int) bool {
			l, r := m.pcm(from, to)
			t := track{title: titles[n], comment: comment, bpm: bpm, left: l, right: r}
			n++
			return ctx.Err() == nil && yield(t)
		}
		whole := func(comment string, bpm int, m *mixer) bool { return give(comment, bpm, m, 0, m.length()) }

		if !whole("An orchestra finds its A, one player after another.", 60, tuningUp()) ||
			!whole("Four chords and a morning.", 84, firstLight()) ||
			!whole("The right channel answers the left two beats later.", 96, canon()) ||
			!whole("Drops on a pentatonic tin roof.", 72, rain()) {
			return
		}
		m, cut := allTogether()
		_ = give("One recording in two files: there is no gap between this track and the next.", 108, m, 0, cut) &&
			give("Continues part I without a gap.", 108, m, cut, m.length())
	}
}

func tuningUp() *mixer {
	m := newMixer(34)
	for i, note := range []int{69, 57, 64, 62, 76, 50, 81, 69, 45} {
		at := 0.4 + 2.4*float64(i)
		pan := math.Sin(float64(i) * 1.9)
		m.pad(at, 30-at, note, 0.085, pan)
	}
	for i, note := range []int{69, 76, 81, 88, 81, 76} {
		m.bell(16+1.6*float64(i), note, 0.11, 0.8*math.Cos(float64(i)))
	}
	return m.finish()
}

func firstLight() *mixer {
	const beat = 60.0 / 84
	chords := [][]int{dMaj9, bMin7, gMaj7, aSus, dMaj9, fSharp, gMaj7, eMin7, dMaj9}
	m := newMixer(float64(len(chords))*4*beat + 5)
	for bar, chord := range chords {
		at := float64(bar) * 4 * beat
		m.bass(at, 3.8*beat, chord[0]-12, 0.24)
		for i, note := range chord[1:] {
			m.pad(at, 4.4*beat, note, 0.05, -0.6+0.4*float64(i))
		}
		for step := range 8 {
			note := chord[1+(step*3+bar)%4] + 12
			if step%4 == 3 {
				note += 12
			}
			m.pluck(at+float64(step)*beat/2, note, 0.16, 0.5*math.Sin(float64(bar*8+step)))
		}
		if bar%2 == 1 {
			m.bell(at+2*beat, chord[3]+24, 0.06, 0.3)
		}
	}
	return m.finish()
}

func canon() *mixer {
	const beat = 60.0 / 96
	melody := []struct {
		note  int
		beats float64
	}{
		{72, 1},
		{76, 1},
		{79, 1.5},
		{77, .5},
		{76, 1},
		{74, 1},
		{72, 1},
		{71, 1},
		{69, 1},
		{72, 1},
		{76, 1.5},
		{74, .5},
		{72, 1},
		{71, 1},
		{67, 2},
		{65, 1},
		{69, 1},
		{72, 1.5},
		{76, .5},
		{74, 1},
		{71, 1},
		{67, 1},
		{71, 1},
		{72, 4},
	}
	m := newMixer(2*32*beat/2 + 2*beat + 16*beat + 5)
	for round, transpose := range []int{0, -12} {
		at := float64(round) * 2 * beat
		pan := -0.85 + 1.7*float64(round)
		for range 2 {
			for _, n := range melody {
				m.pluck(at, n.note+transpose, 0.2, pan)
				at += n.beats * beat
			}
		}
	}
	for bar, chord := range [][]int{cMaj7, cMaj7, aMin9, gSix, fMaj7, gSix, cMaj7, cMaj7, aMin9, gSix, fMaj7, gSix, cMaj7} {
		at := float64(bar) * 4 * beat
		m.bass(at, 3.6*beat, chord[0]-12, 0.18)
		for i, note := range chord[1:] {
			m.pad(at, 4.2*beat, note, 0.032, -0.5+0.33*float64(i))
		}
	}
	return m.finish()
}

func rain() *mixer {
	const length = 38.0
	m := newMixer(length + 4)
	scale := []int{62, 64, 66, 69, 71, 74, 76, 78, 81, 83, 86}
	drops := newNoise(7)
	for at := 0.5; at < length-3; {
		density := 0.12 + 0.5*math.Abs(at-length/2)/length
		at += density * (0.35 + drops.unit())
		note := scale[int(drops.unit()*float64(len(scale)))%len(scale)]
		m.bell(at, note+12, 0.035+0.05*drops.unit(), 2*drops.unit()-1)
	}
	for i, chord := range [][]int{dMaj9, gMaj7, bMin7, aSus, dMaj9} {
		at := float64(i) * length / 5
		m.bass(at, length/5, chord[0]-12, 0.14)
		for j, note := range chord[1:] {
			m.pad(at, length/5+1.5, note, 0.045, -0.7+0.45*float64(j))
		}
	}
	return m.finish()
}

func allTogether() (m *mixer, cut int) {
	const beat = 60.0 / 108
	bars := [][]int{dMaj9, dMaj9, gMaj7, gMaj7, bMin7, aSus, gMaj7, aSus, dMaj9, fSharp, gMaj7, eMin7, bMin7, aSus, gMaj7, aSus, dMaj9, gMaj7, dMaj9}
	m = newMixer(float64(len(bars))*4*beat + 3)
	for bar, chord := range bars {
		at := float64(bar) * 4 * beat
		for step := range 4 {
			m.bass(at+float64(step)*beat, 0.8*beat, chord[0]-12, 0.16)
		}
		for i, note := range chord[1:] {
			m.pad(at, 4.3*beat, note, 0.02+0.02*math.Min(1, float64(bar)/8), -0.6+0.4*float64(i))
		}
		if bar >= 2 {
			for step := range 8 {
				m.pluck(at+float64(step)*beat/2, chord[1+(step*(1+bar%2*2))%4]+12, 0.13, 0.7*math.Sin(float64(step)))
			}
		}
		if bar >= 8 {
			for step := range 4 {
				m.bell(at+float64(step)*beat, chord[1+(step+bar)%4]+24, 0.05, -0.7*math.Sin(float64(step+bar)))
			}
		}
	}
	// The cut falls inside a sounding bar, on a FLAC frame.
	at := int(8.5 * 4 * beat * sampleRate)
	return m.finish(), at - at%blockSize
}
