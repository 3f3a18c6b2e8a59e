package corpus

import (
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"

	"tutti/metacodec"
)

// Split puts aside all songs of one artist in every n, which a model may then be judged by.
func Split(all []*Song, n uint32) (learn, test []*Song) {
	for _, s := range all {
		h := fnv.New32a()
		_, _ = h.Write([]byte(s.Primary())) // never fails
		if h.Sum32()%n == 0 {
			test = append(test, s)
		} else {
			learn = append(learn, s)
		}
	}
	return learn, test
}

// Artists counts the artists of songs.
func Artists(all []*Song) int {
	names := make(map[string]struct{})
	for _, s := range all {
		names[s.Primary()] = struct{}{}
	}
	return len(names)
}

// PageLength is how many songs of a random order are taken for a page.
const PageLength = 100

// Groups returns songs as they are judged: each alone, by release, and in pages of a random order.
func Groups(all []*Song) (alone, albums, pages [][]*Song) {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b *Song) int { return strings.Compare(a.Release(), b.Release()) })
	for i := range all {
		alone = append(alone, all[i:i+1])
	}
	for i := 0; i < len(all); {
		j := i + 1
		for j < len(all) && all[j].Release() == all[i].Release() {
			j++
		}
		albums = append(albums, all[i:j])
		i = j
	}
	mixed := slices.Clone(all)
	rand.New(rand.NewPCG(7, 7)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	return alone, albums, slices.Collect(slices.Chunk(mixed, PageLength))
}

// Scores are how many bytes of frames a song takes.
type Scores struct{ Alone, Albums, Pages float64 }

// Sum is what one model is better than another by.
func (s Scores) Sum() float64 { return s.Alone + s.Albums + s.Pages }

// Score judges a model by songs.
func Score(m *metacodec.Model, all []*Song) (s Scores, err error) {
	alone, albums, pages := Groups(all)
	e := metacodec.NewEncoder(m)
	var frame []byte
	for _, g := range []struct {
		groups [][]*Song
		to     *float64
	}{{alone, &s.Alone}, {albums, &s.Albums}, {pages, &s.Pages}} {
		size := 0
		for _, songs := range g.groups {
			for _, song := range songs {
				song.Write(e)
			}
			if frame, err = e.AppendFrame(frame[:0]); err != nil {
				return s, err
			}
			size += len(frame)
		}
		*g.to = float64(size) / float64(max(len(all), 1))
	}
	return s, nil
}
