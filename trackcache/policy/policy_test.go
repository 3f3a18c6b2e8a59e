package policy

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var _ Policy[int] = (*S3FIFO[int])(nil)

// TestS3FIFOKeepsItsBooks compares what the policy says of itself with what it was told, after any row of calls.
func TestS3FIFOKeepsItsBooks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(0, 200).Draw(t, "limit")
		s := NewS3FIFO[int](limit)
		kept := map[int]int64{}
		lose := func(keys []int) {
			for _, k := range keys {
				if _, ok := kept[k]; !ok {
					t.Fatalf("%d made room and was not kept", k)
				}
				delete(kept, k)
			}
		}
		key := rapid.IntRange(0, 30)
		t.Repeat(map[string]func(*rapid.T){
			"hit": func(t *rapid.T) {
				k := key.Draw(t, "key")
				if _, want := kept[k]; s.Hit(k) != want || s.Has(k) != want {
					t.Fatalf("%d: kept is %v", k, want)
				}
			},
			"add": func(t *rapid.T) {
				k, size := key.Draw(t, "key"), rapid.Int64Range(1, 60).Draw(t, "size")
				add := s.Add
				if rapid.Bool().Draw(t, "restore") {
					add = s.Restore
				}
				_, before := kept[k]
				gone := add(k, size)
				if before {
					if gone != nil {
						t.Fatalf("%d was kept already, and %v made room", k, gone)
					}
					return
				}
				kept[k] = size
				lose(gone)
				if _, stays := kept[k]; !stays && size <= limit {
					t.Fatalf("%d of %d bytes was refused", k, size)
				}
			},
			"remove": func(t *rapid.T) {
				k := key.Draw(t, "key")
				s.Remove(k)
				delete(kept, k)
			},
			"victim": func(t *rapid.T) {
				k, ok := s.Victim()
				if ok != (len(kept) > 0) {
					t.Fatalf("%d are kept, and a victim was found: %v", len(kept), ok)
				}
				if ok {
					lose([]int{k})
				}
			},
			"": func(t *rapid.T) {
				var sum int64
				for _, n := range kept {
					sum += n
				}
				if s.Len() != len(kept) || s.Bytes() != sum || sum > limit {
					t.Fatalf("%d keys of %d bytes, not %d of %d; the limit is %d", s.Len(), s.Bytes(), len(kept), sum, limit)
				}
				if s.ghosts.Len() != len(s.ghost) {
					t.Fatalf("%d ghosts", s.ghosts.Len())
				}
			},
		})
	})
}

func TestS3FIFOIsNotSweptByAScan(t *testing.T) {
	s := NewS3FIFO[int](100)
	for k := range 60 {
		s.Add(k, 1)
		s.Hit(k)
	}
	for k := range 10_000 { // somebody plays the whole library
		s.Add(1000+k, 1)
	}
	var left int
	for k := range 60 {
		if s.Has(k) {
			left++
		}
	}
	if left != 60 {
		t.Errorf("%d of 60 that are played are left", left)
	}
}

func TestS3FIFORemembersWhatCameBack(t *testing.T) {
	s := NewS3FIFO[int](100)
	for k := range 100 {
		s.Add(k, 1)
	}
	s.Add(100, 1) // the oldest of the small queue goes
	if s.Has(0) {
		t.Fatal("the oldest is still there")
	}
	s.Add(0, 1) // and comes back
	for k := range 80 {
		s.Add(200+k, 1)
	}
	if !s.Has(0) {
		t.Error("what came back was taken for new")
	}
}

func TestS3FIFORestoresInOrder(t *testing.T) {
	s := NewS3FIFO[int](3)
	for k := range 3 {
		s.Restore(k, 1)
	}
	var order []int
	for {
		k, ok := s.Victim()
		if !ok {
			break
		}
		order = append(order, k)
	}
	if !slices.Equal(order, []int{0, 1, 2}) {
		t.Errorf("they went in the order %v", order)
	}
}

func BenchmarkS3FIFO(b *testing.B) {
	s := NewS3FIFO[uint64](10_000)
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.1, 1, 1_000_000)
	b.ReportAllocs()
	for b.Loop() {
		if k := z.Uint64(); !s.Hit(k) {
			s.Add(k, 1)
		}
	}
}
