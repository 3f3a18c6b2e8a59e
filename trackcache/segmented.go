package trackcache

import "container/list"

// segmented is a segmented LRU (Karedla, Love and Wherry, "Caching strategies to improve disk system performance",
// 1994), weighed in bytes. What is new stands on probation; what is asked for again is protected, up to four fifths of
// all bytes, beyond which the longest unused goes back on probation. Room is made from probation first, so that
// somebody who goes through a whole library once does not push out what is played every day.
//
// There is no frequency sketch and nothing is refused: by the time an object could be, a transcoder has made it and
// somebody is listening to it.
type segmented[T any] struct {
	probation, protected list.List // of *slot[T], most recently used first
	bytes, protectedSize int64
}

type slot[T any] struct {
	value     T
	size      int64
	protected bool
	elem      *list.Element
}

func (s *segmented[T]) add(v T, size int64) *slot[T] {
	x := &slot[T]{value: v, size: size}
	x.elem = s.probation.PushFront(x)
	s.bytes += size
	return x
}

// used notes that x was asked for again.
func (s *segmented[T]) used(x *slot[T]) {
	if x.protected {
		s.protected.MoveToFront(x.elem)
		return
	}
	s.probation.Remove(x.elem)
	x.elem, x.protected = s.protected.PushFront(x), true
	s.protectedSize += x.size
	for s.protectedSize > s.bytes/5*4 && s.protected.Len() > 1 {
		old := s.protected.Back().Value.(*slot[T])
		s.protected.Remove(old.elem)
		s.protectedSize -= old.size
		old.elem, old.protected = s.probation.PushFront(old), false
	}
}

func (s *segmented[T]) remove(x *slot[T]) {
	if x.protected {
		s.protected.Remove(x.elem)
		s.protectedSize -= x.size
	} else {
		s.probation.Remove(x.elem)
	}
	s.bytes -= x.size
}

// victim returns what to let go of next among those that may go; nil if there is none.
func (s *segmented[T]) victim(may func(T) bool) *slot[T] {
	for _, l := range []*list.List{&s.probation, &s.protected} {
		for e := l.Back(); e != nil; e = e.Prev() {
			if x := e.Value.(*slot[T]); may(x.value) {
				return x
			}
		}
	}
	return nil
}

func (s *segmented[T]) len() int { return s.probation.Len() + s.protected.Len() }
