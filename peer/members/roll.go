package members

import (
	"iter"
	"slices"
	"time"

	"tutti"
)

// Roll is who counts as a member by what one process found in the store, look by look. It knows no store and no clock, so
// that Members and the simulation of a fleet (bench/sim) draw the same conclusions. It is not safe for concurrent use.
type Roll struct {
	Beat time.Duration // between two looks, and between two signs of life

	seen   map[string]sign
	looked time.Time // when the latest successful look began; zero: never
	missed bool      // a look has failed since
}

// Found is a member's item as a look found it.
type Found struct {
	Version uint64 // of the item; each sign of life makes another
	// Read reads the item. It is called where the version is new; the error is what is wrong with the item.
	Read func() (tutti.Member, error)
}

// Silent is a member that has given no sign of life for a time.
type Silent struct {
	tutti.Member
	For time.Duration
}

// sign is what the looks found of a member.
type sign struct {
	member  tutti.Member
	version uint64
	alive   time.Time // no later than its last sign of life
	silent  bool      // dropped; kept in mind with its version, so that it counts again only with a new one
	missing bool      // its item was not there when the store was back from a gap, in which it may have expired
}

// Missed notes that a look failed.
func (r *Roll) Missed() { r.missed = true }

// Look brings the roll up to date with what a look, begun at a time, has found. own is when this process last got a sign of
// life into the store, zero if it gives none. It returns who is dropped, and what is wrong with items met for the first time.
func (r *Roll) Look(began time.Time, found map[string]Found, own time.Time) (dropped []Silent, damaged map[string]error) {
	if r.seen == nil {
		r.seen = make(map[string]sign, len(found))
	}
	before := r.looked
	// After a gap nobody can be blamed for what was not heard: it is as if all had been heard of now. Where a look has
	// failed, others may have found the store away as well, some of them for longer.
	gap := r.missed || before.IsZero() || began.Sub(before) > r.Beat*5/2
	r.looked, r.missed = began, false
	if gap {
		before = began
	}
	for id, item := range found {
		s, known := r.seen[id]
		if known && s.version == item.Version {
			continue
		}
		m, err := item.Read()
		if err != nil {
			if !known {
				if damaged == nil {
					damaged = map[string]error{}
				}
				damaged[id] = err
			}
			r.seen[id] = sign{version: item.Version, silent: true}
			continue
		}
		s = sign{version: item.Version, alive: before, member: m}
		if !known {
			s.alive = began // it may have stood there for long: it has the full time to give a sign
		}
		r.seen[id] = s
	}
	latest := r.latest(own)
	for id, s := range r.seen {
		_, there := found[id]
		if gap {
			s.alive, s.missing = began, !there
		} else if there {
			s.missing = false
		}
		r.seen[id] = s
		quiet := began.Sub(s.alive)
		switch {
		case !there && (s.silent || !s.missing):
			delete(r.seen, id) // it left, or was forgotten
		case s.silent:
		case quiet > forgetting*r.Beat, quiet > silences*r.Beat-r.Beat/2 && latest.Sub(s.alive) > r.Beat*3/2:
			// Silent, and not because the store takes no writes: another was heard well after it.
			s.silent = true
			r.seen[id] = s
			dropped = append(dropped, Silent{s.member, quiet})
		}
	}
	return dropped, damaged
}

// latest is when anybody, this process included, last got a sign of life into the store.
func (r *Roll) latest(own time.Time) time.Time {
	for _, s := range r.seen {
		if s.alive.After(own) && !s.silent {
			own = s.alive
		}
	}
	return own
}

// Members are those who are heard, in no order.
func (r *Roll) Members() iter.Seq[tutti.Member] {
	return func(yield func(tutti.Member) bool) {
		for _, s := range r.seen {
			if !s.silent && !yield(s.member) {
				return
			}
		}
	}
}

// Ready returns those members of a service that may be asked, by address, one for each: the order of nginx's `server`
// lines, and so of the ring.
func (r *Roll) Ready(of tutti.Service) []tutti.Member {
	var out []tutti.Member
	for m := range r.Members() {
		if m.Service == of && m.State == tutti.MemberReady {
			out = append(out, m)
		}
	}
	return Servers(slices.Clip(out))
}
