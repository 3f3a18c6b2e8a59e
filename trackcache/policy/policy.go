// Package policy holds what a track cache decides by: what stays in a cache of a bounded number of bytes (S3FIFO), whether
// an origin is left alone (Breaker), which members are asked and which are not (Sources, Suspects), what is got before
// anybody asks (Foresight, Demand), and what may be spent (Quota). It holds keys, sizes and times only, so that the tiers
// of the track cache, the replay of traces (bench) and the simulation of a fleet (bench/sim) run the same code.
//
// What belongs here: decisions. What does not: bytes, files, goroutines, clocks.
package policy

import "container/list"

// Policy is a rule of admission and eviction. It is not safe for concurrent use; whoever holds the bytes holds the lock.
type Policy[K comparable] interface {
	// Hit notes a request for the key and reports whether it is kept.
	Hit(k K) bool
	// Has reports whether the key is kept, and notes nothing.
	Has(k K) bool
	// Add keeps the key, which is not kept yet, and returns the keys that make room for it. The key itself is among
	// them where it is larger than the whole cache.
	Add(k K, size int64) (gone []K)
	// Remove lets the key go, if it is kept, without a trace.
	Remove(k K)
	// Victim lets the next key go and returns it: room is wanted for something else. ok is false when none is kept.
	Victim() (k K, ok bool)
	// Bytes is the sum of the sizes kept, at most the limit; Len is how many keys there are.
	Bytes() int64
	Len() int
}

// S3FIFO keeps three queues (Yang, Zhang, Qiu, Yue and Rashmi, "FIFO queues are all you need for cache eviction", SOSP
// 2023), weighed in bytes. What is new stands in a small queue of a tenth of the bytes; what was asked for there goes on
// to the main queue, the rest leaves only its name, in a queue of ghosts, by which it goes straight to the main queue
// should it come back. The main queue gives what was asked for meanwhile another round, three at most.
//
// It suits music: a listener who goes through a library once fills the small queue and no more; a hit costs a counter
// and moves nothing; and the order of eviction is that of arrival, which a restart can restore from the files' times.
type S3FIFO[K comparable] struct {
	max          int64
	small, main  fifo[K]
	ghosts       list.List // of K, the newest first
	kept         map[K]*node[K]
	ghost        map[K]*list.Element
	promoteAfter uint8
}

type node[K comparable] struct {
	key   K
	size  int64
	freq  uint8 // requests since it entered its queue, at most maxFreq
	main  bool
	place *list.Element
}

type fifo[K comparable] struct {
	list.List // of *node[K], the newest first
	bytes     int64
}

const (
	smallShare = 10 // the small queue is a tenth; the paper's figure, flat between 5 and 20 % on its traces
	maxFreq    = 3  // two bits, as in the paper
	minGhosts  = 64
)

// NewS3FIFO returns a policy for at most max bytes.
func NewS3FIFO[K comparable](max int64) *S3FIFO[K] {
	return &S3FIFO[K]{max: max, kept: map[K]*node[K]{}, ghost: map[K]*list.Element{}, promoteAfter: 1}
}

// Hit implements Policy.
func (s *S3FIFO[K]) Hit(k K) bool {
	n := s.kept[k]
	if n == nil {
		return false
	}
	n.freq = min(n.freq+1, maxFreq)
	return true
}

// Has implements Policy.
func (s *S3FIFO[K]) Has(k K) bool { return s.kept[k] != nil }

// Add implements Policy.
func (s *S3FIFO[K]) Add(k K, size int64) (gone []K) {
	if s.kept[k] != nil {
		return nil
	}
	if size > s.max {
		return []K{k}
	}
	for s.Bytes()+size > s.max {
		v, ok := s.Victim()
		if !ok {
			break
		}
		gone = append(gone, v)
	}
	n := &node[K]{key: k, size: size}
	s.kept[k] = n
	if g := s.ghost[k]; g != nil {
		s.ghosts.Remove(g)
		delete(s.ghost, k)
		s.enter(n, true)
		return gone
	}
	s.enter(n, false)
	return gone
}

// Restore keeps a key that an earlier process kept, in the order of the calls: the first is the first to go. It returns
// what does not fit.
func (s *S3FIFO[K]) Restore(k K, size int64) (gone []K) {
	if s.kept[k] != nil {
		return nil
	}
	if size > s.max {
		return []K{k}
	}
	for s.Bytes()+size > s.max {
		v, ok := s.Victim()
		if !ok {
			break
		}
		gone = append(gone, v)
	}
	n := &node[K]{key: k, size: size}
	s.kept[k] = n
	s.enter(n, true)
	return gone
}

func (s *S3FIFO[K]) enter(n *node[K], main bool) {
	q := &s.small
	if main {
		q = &s.main
	}
	n.main, n.freq = main, 0
	n.place = q.PushFront(n)
	q.bytes += n.size
}

func (s *S3FIFO[K]) leave(n *node[K]) {
	q := &s.small
	if n.main {
		q = &s.main
	}
	q.Remove(n.place)
	q.bytes -= n.size
}

// Victim implements Policy.
func (s *S3FIFO[K]) Victim() (k K, ok bool) {
	for {
		fromSmall := s.small.bytes > s.max/smallShare || s.main.Len() == 0
		if fromSmall && s.small.Len() == 0 {
			return k, false
		}
		if fromSmall {
			n := s.small.Back().Value.(*node[K])
			s.leave(n)
			if n.freq >= s.promoteAfter {
				s.enter(n, true)
				continue
			}
			delete(s.kept, n.key)
			s.remember(n.key)
			return n.key, true
		}
		n := s.main.Back().Value.(*node[K])
		if n.freq > 0 {
			n.freq--
			s.main.MoveToFront(n.place)
			continue
		}
		s.leave(n)
		delete(s.kept, n.key)
		return n.key, true
	}
}

// remember makes a ghost of a key. There are as many as the main queue has keys, as in the paper.
func (s *S3FIFO[K]) remember(k K) {
	s.ghost[k] = s.ghosts.PushFront(k)
	for s.ghosts.Len() > max(s.main.Len(), minGhosts) {
		delete(s.ghost, s.ghosts.Remove(s.ghosts.Back()).(K))
	}
}

// Remove implements Policy.
func (s *S3FIFO[K]) Remove(k K) {
	if n := s.kept[k]; n != nil {
		s.leave(n)
		delete(s.kept, k)
	}
}

// Bytes implements Policy.
func (s *S3FIFO[K]) Bytes() int64 { return s.small.bytes + s.main.bytes }

// Len implements Policy.
func (s *S3FIFO[K]) Len() int { return len(s.kept) }
