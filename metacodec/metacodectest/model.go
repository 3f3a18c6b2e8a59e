// Package metacodectest has small models for tests of what uses metacodec.
package metacodectest

import (
	"fmt"
	"sync"
	"testing"

	"tutti/metacodec"
	"tutti/metacodec/corpus"
)

var (
	mu   sync.Mutex
	made = map[string]*metacodec.Model{}
)

// sample is a song as a model learns from it.
type sample struct{ corpus.Song }

// Artist implements metacodec.Sample.
func (s sample) Artist() string { return s.Primary() }

// Model returns a model of a name, trained on a few songs: one with another name is another model, with another
// ID. It takes a moment at the first call for a name.
func Model(t testing.TB, name string) *metacodec.Model {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	if m := made[name]; m != nil {
		return m
	}
	var samples []metacodec.Sample
	for i := range 16 {
		samples = append(samples, &sample{corpus.Song{
			Source: "test", AlbumArtist: fmt.Sprintf("The Band No. %d", i/8), Artist: fmt.Sprintf("The Band No. %d", i/8),
			Album: fmt.Sprintf("The Album No. %d", i/4), Title: fmt.Sprintf("Song of the %dth Day (Live)", i), Genre: "Rock",
			Track: i%4 + 1, Disc: 1, Year: 1990 + i/4, Seconds: 180 + i, Group: fmt.Sprint(i / 4),
		}})
	}
	m, err := metacodec.Train(t.Context(), samples, metacodec.Training{Name: name, Buckets: 1 << 12})
	if err != nil {
		t.Fatal(err)
	}
	made[name] = m
	return m
}
