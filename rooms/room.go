package rooms

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"tutti"
	"tutti/clock"
)

const (
	// lead is how far ahead of being heard a block is sent: as much as players hold. It outlasts a lost packet's
	// retransmission and the pauses of a wireless network.
	lead = time.Second
	// startDelay is from the anchoring of a line to its first sound: time for a player to get a buffer's first blocks and to
	// open its device. In a fleet the others have to hear of it first.
	startDelay      = 400 * time.Millisecond
	fleetStartDelay = 800 * time.Millisecond
	// nearEnd is how long before its end the next track is opened, so that it is made when it is needed.
	nearEnd = 15 * time.Second
	// keeping is how long the store may take when nobody waits for it.
	keeping = 5 * time.Second
	// lateBy is how far behind a room may come before it starts a new line: the blocks until then would reach players too
	// late.
	lateBy = lead - 200*time.Millisecond
)

// room is a room at work. Its fields belong to House.mu, but for writing.
type room struct {
	record
	version uint64 // of the record in the store
	house   *House
	writing sync.Mutex // one change at a time, from this process
	gone    bool       // deleted

	program *program
	run     *run          // what plays here; nil where nothing does
	letGo   chan struct{} // closed when the run before has let go of its files

	leading    bool // by the lease, of a fleet
	fence      uint64
	contending context.CancelFunc // nil where the lead is not asked for
}

// run is one line being played by this process. Its fields belong to House.mu, but for the first ones, which stay.
type run struct {
	serial uint64
	stop   context.CancelFunc
	keep   chan struct{} // there is something to write down

	edit  uint64
	parts []part // as line.Parts, up to what has been sent
	sent  int64  // samples
}

// errAgain ends a pump that is to be begun anew, at what can still be heard in time.
var errAgain = errors.New("begin again")

// errSilent ends a pump that would look for sound for ever in a queue that repeats.
var errSilent = tutti.Errorf(tutti.KindInvalid, "rooms.pump", "nothing in the queue has any sound")

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (h *House) newRoom(rec record) *room {
	return &room{record: rec, house: h, program: newProgram(), letGo: closed}
}

// leads reports whether this process decides what one has to decide. The caller holds House.mu.
func (r *room) leads() bool { return r.house.alone() || r.leading }

// latest is the record with what follows what as far as it is known here: a second ahead of what is kept. The caller holds
// House.mu.
func (r *room) latest() record {
	rec := r.record
	if r.run != nil && rec.Playing && r.run.serial == rec.Line.Serial {
		rec.Line.Parts = r.run.parts
	}
	return rec
}

// apply takes a record that was written or read for what is, and does what follows from it here. The caller holds House.mu.
func (r *room) apply(next record, version uint64) {
	if version <= r.version {
		return
	}
	before := r.record
	r.record, r.version = next, version
	h := r.house
	if next.Name != before.Name {
		h.sort()
	}
	if next.Volume != before.Volume || next.Muted != before.Muted {
		h.settings(r.ID)
	}
	if r.run != nil && next.Playing && r.run.serial == next.Line.Serial && !r.run.follow(next.Line) {
		r.halt()
	}
	r.reconcile()
	h.news.touch()
	if next.Playing != before.Playing {
		h.lookAfter()
	}
}

// follow takes what the leader says of the line, and reports whether what was sent is not contradicted by it.
func (u *run) follow(l line) bool {
	if len(l.Parts) == 0 {
		return true
	}
	last := l.Parts[len(l.Parts)-1]
	tail := slices.IndexFunc(u.parts, func(p part) bool { return p.First > last.First })
	if tail < 0 {
		tail = len(u.parts)
	}
	if l.Edit != u.edit {
		// The queue is another, and so are the indices: what was sent of what was to follow is not.
		u.edit = l.Edit
		if tail < len(u.parts) || !slices.ContainsFunc(u.parts, func(p part) bool { return p.First == last.First }) {
			return false
		}
		u.parts = slices.Clone(l.Parts)
		return true
	}
	for _, p := range l.Parts {
		if len(u.parts) > 0 && p.First < u.parts[0].First || slices.Contains(u.parts, p) {
			continue
		}
		if p.First < u.sent { // another track was sent there
			return false
		}
	}
	u.parts = append(slices.Clone(l.Parts), u.parts[tail:]...)
	return true
}

// reconcile plays here what is to be played here, and nothing else. The caller holds House.mu.
func (r *room) reconcile() {
	wanted := r.Playing && !r.gone && len(r.Line.Parts) > 0 && r.house.running.Err() == nil &&
		(r.leads() || r.Line.anchored() && r.occupied())
	if r.run != nil && (!wanted || r.run.serial != r.Line.Serial) {
		r.halt()
	}
	if wanted && r.run == nil {
		r.begin()
	}
}

// occupied reports whether a player of the room is connected here. The caller holds House.mu.
func (r *room) occupied() bool {
	for _, p := range r.house.players {
		if p.seat != nil && p.seat.room == r {
			return true
		}
	}
	return false
}

// halt ends what plays here. The caller holds House.mu.
func (r *room) halt() {
	r.run.stop()
	r.run = nil
	r.program.end()
	if r.program.unheard(r.house.c.Clock.Now()) {
		r.replace()
	}
}

// replace gives players an empty program: they forget what they hold, and are silent.
func (r *room) replace() {
	r.program = newProgram()
	for _, p := range r.house.players {
		if p.seat != nil && p.seat.room == r {
			p.seat.turn()
		}
	}
}

// begin plays the record's line. The caller holds House.mu.
func (r *room) begin() {
	ctx, stop := context.WithCancel(r.house.running)
	u := &run{serial: r.Line.Serial, stop: stop, keep: make(chan struct{}, 1), edit: r.Line.Edit, parts: slices.Clone(r.Line.Parts)}
	r.run = u
	r.program.end()
	r.replace()
	p, after, done := r.program, r.letGo, make(chan struct{})
	r.letGo = done
	r.house.pumps.Go(func() {
		defer close(done)
		<-after
		r.play(ctx, u, p)
	})
	r.house.pumps.Go(func() { r.keep(ctx, u) })
}

// keep writes down what follows what, for as long as the room is led from here.
func (r *room) keep(ctx context.Context, u *run) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-u.keep:
		}
		err := r.changeLed(ctx, u.serial, stillPlays)
		if err != nil && !errors.Is(err, errOvertaken) && ctx.Err() == nil {
			r.house.c.Logger.Warn("a room's place could not be kept", "room", r.ID, "err", err)
		}
	}
}

// play pumps a line until it ends, is replaced, or cannot be played.
func (r *room) play(ctx context.Context, u *run, p *program) {
	for {
		err := r.pump(ctx, u, p)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errAgain) || errors.Is(err, errOvertaken) && r.house.pauseAfter(ctx) == nil {
			continue
		}
		finished := r.finish(ctx, u, err)
		if finished == nil || ctx.Err() != nil {
			return
		}
		if errors.Is(finished, errAgain) {
			continue
		}
		// Nobody leads, or another does: it may be that only this process cannot play it, so that it is tried again; or the
		// end can be written down nowhere.
		if err != nil {
			r.house.c.Logger.Warn("a room cannot be heard on the players here", "room", r.ID, "err", err)
		}
		if r.house.pauseAfter(ctx) != nil {
			return
		}
	}
}

// finish writes down that the queue has been heard, or cause, why it cannot be.
func (r *room) finish(ctx context.Context, u *run, cause error) error {
	keep, cancel := context.WithTimeout(ctx, keeping)
	defer cancel()
	return r.changeLed(keep, u.serial, func(rec *record, now time.Time) error {
		if cause != nil {
			r.house.c.Logger.Warn("a room stopped", "room", rec.Name, "err", cause)
			rec.halt(now)
			rec.Problem = tutti.Message(cause)
			return nil
		}
		if n := len(rec.Line.Parts); n > 0 {
			if _, more := rec.following(rec.Line.Parts[n-1].Current); more {
				return errAgain // something was appended at the last moment
			}
		}
		rec.halt(now)
		rec.Current, rec.Position = 0, 0
		return nil
	})
}

// pump sends blocks until the queue ends, something fails, or ctx ends.
func (r *room) pump(ctx context.Context, u *run, p *program) (err error) {
	c := r.house.c.Clock
	r.house.mu.Lock()
	user, name := r.User, r.Name
	t, anchored := r.Line.timeline(), r.Line.anchored()
	r.house.mu.Unlock()
	viewer, err := r.house.viewer(ctx, user)
	if err != nil {
		return err
	}
	var sound, following *recording
	defer func() {
		for _, s := range []*recording{sound, following} {
			if s != nil {
				err = errors.Join(err, s.close())
			}
		}
	}()
	if !anchored {
		// Its first track first, which may take a while to be made.
		id, _, ok := r.track(u, 0)
		if !ok {
			return errAgain
		}
		if sound, err = r.house.open(ctx, viewer, id); err != nil {
			return err
		}
		if t, err = r.anchor(ctx, u); tutti.IsKind(err, tutti.KindUnavailable) {
			c := r.house.c
			c.Logger.Warn("a room cannot begin while the store is away", "room", name, "err", err)
			if err := r.house.pauseAfter(ctx); err != nil {
				return err
			}
			return errAgain
		} else if err != nil {
			return err
		}
	}
	r.house.mu.Lock()
	sample := u.sent
	r.house.mu.Unlock()
	var playing part
	for {
		if now := c.Now(); !t.At.After(now) {
			sample = max(sample, (t.Sample(now)/blockSamples+1)*blockSamples)
		}
		if sound, playing, err = r.enter(ctx, u, viewer, sound, sample); err != nil {
			return err
		}
		if sound == nil {
			return r.playOut(ctx, t.Time(sample))
		}
		if t.Time(sample).After(c.Now()) {
			break
		} // else it took so long to open that this is past
	}
	began := sample
	caughtUp := !anchored                             // a line that was begun elsewhere is joined at what is heard next, and run after
	offset := playing.Offset + sample - playing.First // of the next sample in its track
	kept := c.Now()
	silent := 0 // tracks in a row that had no sample
	for ; ; sample += blockSamples {
		at := t.Time(sample)
		switch ahead := at.Add(-lead).Sub(c.Now()); {
		case ahead > 0:
			caughtUp = true
			if err := clock.Sleep(ctx, c, ahead); err != nil {
				return err
			}
		case !caughtUp && ahead < -lead && sample > began:
			return errAgain
		case caughtUp && ahead < -lateBy && sample > began:
			return r.late(ctx, u, offset)
		}
		if now := c.Now(); now.Sub(kept) >= ledEvery {
			kept = now
			u.write()
		}
		block := make([]byte, blockSamples*FrameSize)
		for filled := 0; filled < len(block); {
			n, err := sound.read(ctx, block[filled:], offset)
			if err != nil {
				return fmt.Errorf("play %q: %w", sound.track.Title, err)
			}
			filled += n
			offset += int64(n / FrameSize)
			if filled == len(block) {
				break
			}
			if silent++; n > 0 {
				silent = 0
			} else if silent > maxQueue {
				return errSilent
			}
			// The track is at its end: the next one follows in the same block.
			next, id, err := r.join(u, playing, sample+int64(filled/FrameSize))
			if err != nil {
				return err
			}
			if id == "" {
				r.add(u, p, at, block, sample)
				return r.playOut(ctx, t.Time(sample+int64(filled/FrameSize)))
			}
			if following == nil || following.id != id {
				if following, err = r.reopen(ctx, viewer, following, id); err != nil {
					return err
				}
			}
			if err := sound.close(); err != nil {
				return err
			}
			sound, following, playing, offset = following, nil, next, next.Offset
		}
		r.add(u, p, at, block, sample)
		if following == nil && sound.track.Duration-length(offset, Rate) < nearEnd {
			if id := r.upcoming(u); id != "" {
				if following, err = r.reopen(ctx, viewer, nil, id); err != nil {
					// It is tried again when it is needed, and is a failure only then.
					r.house.c.Logger.Warn("a room's next track cannot be opened yet", "room", name, "err", err)
					following = nil
				}
			}
		}
	}
}

// write asks for what is known to be written down.
func (u *run) write() {
	select {
	case u.keep <- struct{}{}:
	default:
	}
}

// anchor says when the line begins to be heard: soon from now.
func (r *room) anchor(ctx context.Context, u *run) (Timeline, error) {
	delay := startDelay
	if !r.house.alone() {
		delay = fleetStartDelay
	}
	var t Timeline
	err := r.changeLed(ctx, u.serial, func(rec *record, now time.Time) error {
		if rec.Line.anchored() { // by who led before
			return errAgain
		}
		rec.Line.At, rec.Led = now.Add(delay).Round(0).UTC(), now
		t = rec.Line.timeline()
		return nil
	})
	return t, err
}

// enter opens the track that a sample is of, and returns its part of the line; nil where the queue ends before. opened is
// the line's first track, if it is open, and is closed if it is another.
func (r *room) enter(ctx context.Context, u *run, v tutti.Viewer, opened *recording, sample int64) (*recording, part, error) {
	s := opened
	id, p, ok := r.track(u, sample)
	if !ok {
		return s, p, errAgain
	}
	for passed := 0; ; passed++ {
		if passed > maxQueue {
			return s, p, errSilent
		}
		if s == nil || s.id != id {
			var err error
			if s, err = r.reopen(ctx, v, s, id); err != nil {
				return nil, p, err
			}
		}
		n, known := s.samples()
		if !known || p.First+n-p.Offset > sample {
			return s, p, nil
		}
		next, following, err := r.join(u, p, p.First+max(n-p.Offset, 0))
		if err != nil {
			return s, p, err
		}
		if following == "" {
			return nil, p, s.close()
		}
		p, id = next, following
	}
}

// track is what the run has at a sample: the queue's track, and the part.
func (r *room) track(u *run, sample int64) (tutti.ID, part, bool) {
	r.house.mu.Lock()
	defer r.house.mu.Unlock()
	if len(u.parts) == 0 {
		return "", part{}, false
	}
	p := u.parts[0]
	for _, next := range u.parts[1:] {
		if next.First > sample {
			break
		}
		p = next
	}
	if p.Current < 0 || p.Current >= len(r.Tracks) {
		return "", part{}, false
	}
	return r.Tracks[p.Current], p, true
}

// reopen opens a track in place of what was opened before, if anything was.
func (r *room) reopen(ctx context.Context, v tutti.Viewer, old *recording, id tutti.ID) (*recording, error) {
	if old != nil {
		if err := old.close(); err != nil {
			return nil, err
		}
	}
	return r.house.open(ctx, v, id)
}

// late goes on from here where the music came too late: who leads begins a new line for everybody alike, rather than each
// when it can; the others skip what they have missed.
func (r *room) late(ctx context.Context, u *run, offset int64) error {
	r.house.mu.Lock()
	current := u.parts[len(u.parts)-1].Current
	r.house.mu.Unlock()
	err := r.changeLed(ctx, u.serial, func(rec *record, now time.Time) error {
		r.house.c.Logger.Warn("a room's music came too late and was begun again where it was", "room", rec.Name)
		rec.Current, rec.Position = current, length(offset, Rate)
		rec.begin(now)
		return nil
	})
	if err != nil && ctx.Err() == nil {
		return errAgain
	}
	return ctx.Err() // ended by the new line
}

// playOut waits until everything has been heard.
func (r *room) playOut(ctx context.Context, until time.Time) error {
	return clock.Sleep(ctx, r.house.c.Clock, until.Sub(r.house.c.Clock.Now()))
}

// add sends a block.
func (r *room) add(u *run, p *program, at time.Time, block []byte, sample int64) {
	r.house.mu.Lock()
	u.sent = sample + blockSamples
	r.house.mu.Unlock()
	p.add(at, block, r.house.c.Clock.Now())
}

// join notes that a part ends at a sample, and returns what begins there: as the leader said, or as the queue says; "" at
// the queue's end.
func (r *room) join(u *run, ends part, sample int64) (part, tutti.ID, error) {
	r.house.mu.Lock()
	defer r.house.mu.Unlock()
	i := slices.Index(u.parts, ends) + 1
	if r.run != u || i == 0 {
		return part{}, "", errAgain // the queue was arranged anew
	}
	if i == len(u.parts) {
		current, more := r.following(ends.Current)
		if !more {
			return part{}, "", nil
		}
		u.parts = append(u.parts, part{sample, current, 0})
		r.house.news.wake() // it is told when it is heard
		if i >= maxParts {
			u.parts = u.parts[1:]
			i--
		}
		if r.leads() {
			u.write()
		}
	}
	p := u.parts[i]
	if p.First != sample || p.Current < 0 || p.Current >= len(r.Tracks) {
		return part{}, "", errAgain // the leader has it end elsewhere
	}
	return p, r.Tracks[p.Current], nil
}

// upcoming is the track after the one that plays, "" for none.
func (r *room) upcoming(u *run) tutti.ID {
	r.house.mu.Lock()
	defer r.house.mu.Unlock()
	if len(u.parts) == 0 {
		return ""
	}
	next, more := r.following(u.parts[len(u.parts)-1].Current)
	if !more {
		return ""
	}
	return r.Tracks[next]
}
