package policy

import (
	"sync"
	"time"
)

// Foresight decides what is got before anybody asks for it: the next chunk of somebody who listens on. O names an object.
// It is safe for concurrent use.
//
// Each member sees only the chunks that it owns, so that who plays on cannot be told from who leaps by looking at one's
// own. The owner of a chunk therefore tells the owner of the next one, and that one knows a request it was told of for
// what it is. The first chunk of a track begins a row; after a leap, the first chunk only announces the next.
type Foresight[O comparable] struct {
	expected recent[place[O]] // chunks that another member said will be asked for
	hinted   recent[place[O]] // chunks of which somebody was told lately
}

type place[O comparable] struct {
	object O
	n      int64
}

const (
	// hintAgain is how long nobody is told of a chunk again.
	hintAgain = time.Minute
	// expectFor is how long a chunk is expected: a MiB of a low bit rate lasts two minutes, and people pause.
	expectFor = 5 * time.Minute
	// fast is the time for which a chunk of a listener who downloads lasts, rather than one who plays; they get two
	// chunks ahead.
	fast = 2 * time.Second
)

// Heard is called when a listener has taken half of chunk n. row reports whether it belongs to somebody who listens on,
// and reach how many of the next chunks their owners are to be told of.
func (f *Foresight[O]) Heard(object O, n int64, now time.Time) (row bool, reach int64) {
	expected, ok := f.expected.met(place[O]{object, n})
	row = n == 0 || ok && now.Sub(expected) < expectFor
	if row && ok && now.Sub(expected) < fast {
		return row, 2
	}
	return row, 1
}

// Tell reports whether the owner of chunk n is to be told of it, which it is not again and again. row is what Heard said.
func (f *Foresight[O]) Tell(object O, n int64, row bool, now time.Time) bool {
	if !row {
		n = -1 - n // announced, which is not the same as fetched
	}
	before, ok := f.hinted.note(place[O]{object, n}, now)
	return !ok || now.Sub(before) >= hintAgain
}

// Expect is called when this member is told that chunk n will be asked for.
func (f *Foresight[O]) Expect(object O, n int64, now time.Time) {
	if n > 0 { // a beginning is the next of nothing
		f.expected.note(place[O]{object, n}, now)
	}
}

// Demand is what is known of the requests for a chunk that a member keeps. The zero value is that of one that was fetched
// because somebody asked for it.
type Demand struct {
	Ahead bool // it was got before anybody asked, and nobody has asked yet
	told  bool // its other owner was told to get it too
}

// Asked notes that a listener's request found the chunk here. useful reports that it had been got ahead of time for that;
// again, that the chunk is now asked for a second time: then its other owner gets a copy too, should this member be killed.
func (d *Demand) Asked() (useful, again bool) {
	if d.Ahead {
		d.Ahead = false
		return true, false
	}
	again = !d.told
	d.told = true
	return false, again
}

// recent remembers keys for a while, the latest maxRecent of them at least: two generations of a map, of which the
// older is dropped when the newer is full. Times are nanoseconds since 1970, which takes a third of the room.
type recent[K comparable] struct {
	mu       sync.Mutex
	now, old map[K]int64
}

const maxRecent = 16 << 10

// note remembers that the key was met at t, and returns when it was met before, if it was.
func (r *recent[K]) note(k K, t time.Time) (before time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, ok = r.when(k)
	if r.now == nil || len(r.now) >= maxRecent {
		r.now, r.old = map[K]int64{}, r.now
	}
	r.now[k] = t.UnixNano()
	return before, ok
}

// met returns when the key was met last, if it was.
func (r *recent[K]) met(k K) (t time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.when(k)
}

func (r *recent[K]) when(k K) (t time.Time, ok bool) {
	ns, ok := r.now[k]
	if !ok {
		ns, ok = r.old[k]
	}
	return time.Unix(0, ns), ok
}
