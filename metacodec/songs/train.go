package songs

import (
	"hash/fnv"

	"tutti/metacodec"
	"tutti/metacodec/corpus"
)

// plain is a song of a corpus as a sample without a file.
type plain struct{ *corpus.Song }

func (p plain) Artist() string { return p.Primary() }

// withFiles is of how many releases one is also imagined as files.
const withFiles = 3

// Samples makes of songs what a model learns from: the songs, and some of their releases as files in a library.
func Samples(all []*corpus.Song) []metacodec.Sample {
	samples := make([]metacodec.Sample, 0, len(all)+len(all)/withFiles)
	for _, s := range all {
		samples = append(samples, plain{s})
		h := fnv.New32a()
		_, _ = h.Write([]byte(s.Release())) // never fails
		if h.Sum32()%withFiles == 0 {
			samples = append(samples, Imagine(s))
		}
	}
	return samples
}

// Training returns how models are made: those that come with the program, large and small, and an operator's.
func Training(small bool) metacodec.Training {
	if small {
		return metacodec.Training{Seed: 1, Buckets: 125_000, Phrases: 1_000_000}
	}
	return metacodec.Training{Seed: 1, Buckets: 1_150_000, Phrases: 4 << 20}
}
