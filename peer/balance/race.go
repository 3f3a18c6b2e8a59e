package balance

import (
	"time"

	"tutti"
)

// Class is how members are asked.
type Class struct {
	Patience time.Duration // for one member
	Hedge    time.Duration // after how long another one is asked as well; 0: never
	Again    bool          // asking twice does no harm
	// Bytes is for those of an object: asking another member as well need not be rationed, and one that has another version
	// may stand alone.
	Bytes bool
}

// The defaults of how a client asks. Hedge is far beyond the slowest answer of a member that is well.
const (
	Read     = 5 * time.Second        // how long one member may take to answer a read
	Write    = 10 * time.Second       // and a write
	Hedge    = 100 * time.Millisecond // after how long another member is asked as well
	Stall    = time.Second            // how long a member may send nothing of an object before another is asked
	Patience = 30 * time.Second       // how long an object may take to go on whoever is asked
)

// MaxAsked is how many members are asked for one thing.
const MaxAsked = 3

// Race is the course of one question that is put to one member after another until one has an answer. Its owner asks the
// first target when it begins, and then goes by what Slow and Failed say.
type Race struct {
	class               Class
	targets, begun, out int
}

// NewRace begins a question that may be put to so many targets, of which MaxAsked are asked at most.
func NewRace(c Class, targets int, b *HedgeBudget) Race {
	b.Earn()
	return Race{class: c, targets: min(targets, MaxAsked), begun: 1}
}

// Targets is how many may be asked.
func (r *Race) Targets() int { return r.targets }

// Hedge is after how long Slow is to be called; 0 is never.
func (r *Race) Hedge() time.Duration {
	if r.targets < 2 {
		return 0
	}
	return r.class.Hedge
}

// Slow reports whether another target is to be asked because the first takes long.
func (r *Race) Slow(b *HedgeBudget) (ask bool) {
	if r.begun == r.targets || !r.class.Bytes && !b.Spend() {
		return false
	}
	r.begun++
	return true
}

// Next is what to do after a failure.
type Next uint8

// The choices.
const (
	Wait   Next = iota // for those that were asked already
	Ask                // the next target
	GiveUp             // with the best error there is
	Final              // with this error: all would say the same
)

// Failed decides what follows when a target has failed: answered is whether that is what it said, rather than what happened
// on the way, kind what kind of error it is, and unsent whether the question surely did not arrive.
func (r *Race) Failed(answered bool, kind tutti.Kind, unsent bool) Next {
	r.out++
	switch {
	case answered && kind != tutti.KindUnavailable && (!r.class.Bytes || kind != tutti.KindConflict):
		return Final
	case r.begun < r.targets && (r.class.Again || unsent):
		r.begun++
		return Ask
	case r.out == r.begun:
		return GiveUp
	}
	return Wait
}
