package hits

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"tutti"
	"tutti/bench/traffic"
)

func evening() Stream {
	c := traffic.NewCatalogue(3, 3000, 0.9, 256)
	return NewStream(c, traffic.Play(traffic.Config{Seed: 3, Catalogue: c, Seats: 800, AlbumRun: 0.5, Skip: 0.25, Sitting: 8}, 2*time.Hour))
}

// TestOrder: the track cache's rule beats LRU where the cache is small, and nothing beats the one that knows the future.
func TestOrder(t *testing.T) {
	s := evening()
	for _, share := range []int64{50, 20, 10, 4} {
		size := s.Bytes / share
		ours, lru, tiny, best := s.Replay(Ours(size)), s.Replay(LRU(size)), s.Replay(TinyLFU(size)), s.Replay(s.Clairvoyant(size))
		t.Logf("1/%d: ours %.4f, LRU %.4f, W-TinyLFU %.4f, clairvoyant %.4f", share, ours, lru, tiny, best)
		if ours <= lru {
			t.Errorf("1/%d of the catalogue: ours %.4f, LRU %.4f", share, ours, lru)
		}
		if max(ours, lru, tiny) > best {
			t.Errorf("1/%d of the catalogue: %.4f, %.4f or %.4f is more than can be, %.4f", share, ours, lru, tiny, best)
		}
	}
}

func TestEverythingFits(t *testing.T) {
	s := evening()
	seen := map[int32]bool{}
	var hits int
	for i, c := range s.Chunks {
		if seen[c] && i >= len(s.Chunks)/4 {
			hits++
		}
		seen[c] = true
	}
	want := float64(hits) / float64(len(s.Chunks)-len(s.Chunks)/4)
	for name, c := range map[string]Cache{"ours": Ours(s.Bytes), "LRU": LRU(s.Bytes), "clairvoyant": s.Clairvoyant(s.Bytes)} {
		if got := s.Replay(c); got != want {
			t.Errorf("%s: %v of a cache that holds everything, want %v", name, got, want)
		}
	}
}

// TestClairvoyantIsOptimal compares it with trying everything, on short streams.
func TestClairvoyantIsOptimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		chunks := rapid.SliceOfN(rapid.Int32Range(0, 4), 1, 9).Draw(t, "chunks")
		size := rapid.IntRange(1, 3).Draw(t, "size")
		s := Stream{Chunks: chunks, Size: func(int32) int64 { return tutti.ChunkSize }, Count: 5}
		c := s.Clairvoyant(int64(size) * tutti.ChunkSize)
		got := 0
		for _, chunk := range chunks {
			if c.Request(chunk, tutti.ChunkSize) {
				got++
			}
		}
		if want := most(chunks, nil, size); got != want {
			t.Fatalf("%d hits, %d are possible", got, want)
		}
	})
}

// most is how many hits are possible with so many places, by trying every choice.
func most(chunks, kept []int32, size int) int {
	if len(chunks) == 0 {
		return 0
	}
	for _, k := range kept {
		if k == chunks[0] {
			return 1 + most(chunks[1:], kept, size)
		}
	}
	best := most(chunks[1:], kept, size) // not kept at all
	with := append(append([]int32{}, kept...), chunks[0])
	if len(with) <= size {
		return max(best, most(chunks[1:], with, size))
	}
	for i := range kept {
		without := append(append([]int32{}, with[:i]...), with[i+1:]...)
		best = max(best, most(chunks[1:], without, size))
	}
	return best
}
