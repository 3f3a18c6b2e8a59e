package catalog

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"

	"tutti"
	"tutti/store"
)

// What people did is kept apart from what there is: each person has a log of deeds and a snapshot in a partition of
// their own, and a read model that is loaded when they come and dropped when others need the room. A deed is one
// record, so it is done as a whole or not at all.

// kind says what a note is about.
type kind uint8

const (
	kindTrack kind = iota
	kindAlbum
	kindArtist
	kindFolder
)

var kindOfPrefix = map[string]kind{
	tutti.PrefixTrack: kindTrack, tutti.PrefixAlbum: kindAlbum, tutti.PrefixArtist: kindArtist, tutti.PrefixFolder: kindFolder,
}

type subject struct {
	kind kind
	n    uint64 // of the ID
}

func subjectOf(id tutti.ID) (subject, bool) {
	if len(id) < 3 {
		return subject{}, false
	}
	k, ok := kindOfPrefix[string(id[:3])]
	n, valid := id.Number()
	return subject{k, n}, ok && valid
}

// note is a tutti.Annotation in half its size. Times are Unix nanoseconds, 0 for none.
type note struct {
	starred, played, count int64
	rating                 int8
}

func (n note) annotation() tutti.Annotation {
	a := tutti.Annotation{Rating: int(n.rating), PlayCount: n.count}
	if n.starred != 0 {
		a.Starred = unixNano(n.starred)
	}
	if n.played != 0 {
		a.Played = unixNano(n.played)
	}
	return a
}

// person is one person's read model.
type person struct {
	user    tutti.ID
	journal *journal
	pins    int    // who uses it; guarded by people.mu
	used    uint64 // when it was last asked for; guarded by people.mu

	turn   turn // holds a token: one loading, following or writing at a time
	loaded bool // guarded by turn and mu
	saving bool // a snapshot is being written; guarded by turn
	looks  looks

	mu    sync.RWMutex // holders of the model's lock may take it, never the other way round
	seq   uint64
	notes map[subject]note

	lists   sync.Mutex
	rankeds map[ranking][]uint64 // dropped by every change
}

type ranking struct {
	kind  kind
	order tutti.AlbumOrder
}

// met reports whether the person has been loaded, be it some time ago.
func (p *person) met() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.loaded
}

// of returns what the person did with a thing. The caller holds mu.
func (p *person) of(k kind, n uint64) tutti.Annotation {
	if len(p.notes) == 0 {
		return tutti.Annotation{}
	}
	return p.notes[subject{k, n}].annotation()
}

// ranked returns the things of a kind for which the order means something, best first. The caller holds mu.
func (p *person) ranked(k kind, by tutti.AlbumOrder) []uint64 {
	p.lists.Lock()
	defer p.lists.Unlock()
	key := ranking{k, by}
	if list, ok := p.rankeds[key]; ok {
		return list
	}
	value := func(n note) int64 {
		switch by {
		case tutti.AlbumsFrequent:
			return n.count
		case tutti.AlbumsRecent:
			return n.played
		case tutti.AlbumsHighest:
			return int64(n.rating)
		default:
			return n.starred
		}
	}
	var list []uint64
	for s, n := range p.notes {
		if s.kind == k && value(n) > 0 {
			list = append(list, s.n)
		}
	}
	slices.SortFunc(list, func(a, b uint64) int {
		x, y := p.notes[subject{k, a}], p.notes[subject{k, b}]
		return cmp.Or(-cmp.Compare(value(x), value(y)), -cmp.Compare(x.played, y.played), cmp.Compare(a, b))
	})
	if p.rankeds == nil {
		p.rankeds = make(map[ranking][]uint64)
	}
	p.rankeds[key] = list
	return list
}

// deed is a record of a person's log.
type deed struct {
	Op     string     `json:"op"` // "star", "unstar", "rate", "play"
	At     int64      `json:"at"` // Unix nanoseconds
	IDs    []tutti.ID `json:"ids,omitempty"`
	Rating int        `json:"rating,omitempty"`
	Plays  []play     `json:"plays,omitempty"`
}

// play names the album and the artists of the track as they were, so that reading the log needs no catalogue.
type play struct {
	At  int64      `json:"at"`
	IDs []tutti.ID `json:"ids"` // the track, its album, its artists
}

func (p *person) apply(d *deed) {
	change := func(id tutti.ID, fn func(*note)) {
		s, ok := subjectOf(id)
		if !ok {
			return
		}
		n := p.notes[s]
		if fn(&n); n == (note{}) {
			delete(p.notes, s)
		} else {
			p.notes[s] = n
		}
	}
	for _, id := range d.IDs {
		change(id, func(n *note) {
			switch d.Op {
			case "star":
				n.starred = d.At
			case "unstar":
				n.starred = 0
			case "rate":
				n.rating = int8(d.Rating)
			}
		})
	}
	for _, pl := range d.Plays {
		for _, id := range pl.IDs {
			change(id, func(n *note) {
				n.count++
				n.played = max(n.played, pl.At)
			})
		}
	}
	p.rankeds = nil
}

// people holds the persons that were asked for lately.
type people struct {
	c       *Catalog
	mu      sync.Mutex
	present map[tutti.ID]*person
	ticks   uint64
	nobody  *person

	life  context.Context // of what goes on after the request that began it; ended by close
	end   context.CancelFunc
	alive sync.WaitGroup
	stale atomic.Int64 // answers that were given from memory because the store did not answer
}

func (p *people) init(c *Catalog) {
	p.c = c
	p.present = make(map[tutti.ID]*person)
	p.nobody = &person{loaded: true}
	p.life, p.end = context.WithCancel(context.Background())
}

// spawn runs fn in the background, unless that has been ended.
func (p *people) spawn(fn func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life.Err() != nil {
		return false
	}
	p.alive.Go(fn)
	return true
}

// close ends what goes on in the background, and waits for its end.
func (p *people) close() {
	p.mu.Lock()
	p.end()
	p.mu.Unlock()
	p.alive.Wait()
}

// partitionOf names a person's partition and log.
func partitionOf(user tutti.ID) string { return "u#" + string(user) }

// pin returns the person, as far as it is loaded, held in memory until release.
func (p *people) pin(user tutti.ID) *person {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ticks++
	x, ok := p.present[user]
	if !ok {
		p.evict()
		pk := partitionOf(user)
		x = &person{
			user: user, turn: newTurn(),
			journal: &journal{store: p.c.store, clock: p.c.clock, log: pk, pk: pk, shared: !p.c.cfg.SoleWriter},
		}
		p.present[user] = x
	}
	x.pins++
	x.used = p.ticks
	return x
}

// get returns the person, loaded and up to date, pinned until release. Where other nodes write too and the store does
// not answer within Tuning.Wait, it is the person as last known; for somebody whom this node does not know at all, one
// who has done nothing. Where known says that this would be an untruth, they are waited for, and the error is
// KindUnavailable if they cannot be had.
func (p *people) get(ctx context.Context, user tutti.ID, known bool) (*person, error) {
	if user == "" {
		return p.nobody, nil
	}
	x := p.pin(user)
	if err := p.refresh(ctx, x, known); err != nil {
		p.release(x)
		return nil, err
	}
	return x, nil
}

func (p *people) release(x *person) {
	if x == p.nobody {
		return
	}
	p.mu.Lock()
	x.pins--
	p.mu.Unlock()
}

// evict makes room for one more. The caller holds mu.
func (p *people) evict() {
	if len(p.present) < p.c.cfg.Tuning.Users {
		return
	}
	var oldest *person
	for _, x := range p.present {
		if x.pins == 0 && (oldest == nil || x.used < oldest.used) {
			oldest = x
		}
	}
	if oldest != nil {
		delete(p.present, oldest.user)
	}
}

func (p *people) refresh(ctx context.Context, x *person, known bool) error {
	if !p.c.cfg.SoleWriter {
		longest := p.c.cfg.Tuning.Wait
		if known && !x.met() {
			longest = max(longest, patience)
		}
		_, err := x.looks.await(ctx, p.c, longest, func(ctx context.Context) error {
			if err := x.turn.lock(ctx); err != nil {
				return err
			}
			defer x.turn.unlock()
			return p.refreshLocked(ctx, x)
		})
		if err == nil && known && !x.met() {
			err = tutti.Errorf(tutti.KindUnavailable, "catalog: read person", "the database does not answer; what you keep cannot be read now")
		}
		return err
	}
	if x.met() {
		return nil
	}
	if err := x.turn.lock(ctx); err != nil {
		return err
	}
	defer x.turn.unlock()
	return p.refreshLocked(ctx, x)
}

// refreshLocked reads what other nodes wrote, or everything. The caller has the person's turn.
func (p *people) refreshLocked(ctx context.Context, x *person) error {
	if x.loaded {
		if p.c.cfg.SoleWriter {
			return nil
		}
		last, err := p.c.store.LastSeq(ctx, x.journal.log)
		if err != nil {
			return tutti.Wrap(tutti.KindOf(err), "catalog: read person", err)
		}
		if last == x.seq {
			return nil
		}
		var deeds []deed
		gap, err := x.journal.follow(ctx, x.seq, last, func(r store.Record) error { return decodeDeed(r.Value, &deeds) })
		if err != nil {
			return err
		}
		if !gap {
			x.mu.Lock()
			for i := range deeds {
				x.apply(&deeds[i])
			}
			x.seq = last
			x.mu.Unlock()
			return nil
		}
	}
	var (
		fresh *person
		deeds []deed
	)
	seq, err := x.journal.load(ctx,
		func() { fresh, deeds = &person{notes: make(map[subject]note)}, nil },
		nil,
		func(part []byte) error { return p.c.loadNotes(fresh, part) },
		func(r store.Record) error { return decodeDeed(r.Value, &deeds) })
	if err != nil {
		return err
	}
	for i := range deeds {
		fresh.apply(&deeds[i])
	}
	if !x.loaded && p.c.cfg.SoleWriter {
		if err := x.journal.sweep(ctx, 0); err != nil {
			p.c.log.WarnContext(ctx, "clearing up after an interrupted snapshot failed; the next start tries again", "user", x.user, "err", err)
		}
	}
	x.mu.Lock()
	x.notes, x.seq, x.loaded, x.rankeds = fresh.notes, seq, true, nil
	x.mu.Unlock()
	return nil
}

func decodeDeed(value []byte, to *[]deed) error {
	var d deed
	if err := json.Unmarshal(value, &d); err != nil {
		return tutti.Wrap(tutti.KindInternal, "catalog: read person", err)
	}
	*to = append(*to, d)
	return nil
}

// do makes a deed durable and visible. prepare is called with the person held still, and again where another node was
// faster; it returns nil where there is nothing to do.
func (p *people) do(ctx context.Context, user tutti.ID, prepare func(*person) *deed) error {
	const op = "catalog: note"
	if user == "" {
		return tutti.Errorf(tutti.KindForbidden, op, "nobody is signed in")
	}
	x := p.pin(user)
	defer p.release(x)
	if err := x.turn.lock(ctx); err != nil {
		return err
	}
	defer x.turn.unlock()
	if !x.loaded {
		if err := p.refreshLocked(ctx, x); err != nil {
			return err
		}
	}
	const tries = 16
	sure := p.c.cfg.SoleWriter // that x is what the store has
	for range tries {
		d := prepare(x)
		if d == nil {
			if sure {
				return nil
			}
			// Not to be decided from what was true some time ago. A deed is: it is refused where something came before.
			if err := p.refreshLocked(ctx, x); err != nil {
				return err
			}
			sure = true
			continue
		}
		value, err := json.Marshal(d)
		if err != nil {
			return tutti.Wrap(tutti.KindInternal, op, err)
		}
		switch err := x.journal.append(ctx, x.seq, value); {
		case tutti.IsKind(err, tutti.KindConflict):
			if err := p.catchUp(ctx, x); err != nil {
				return err
			}
			sure = true
			continue
		case err != nil:
			return err
		}
		x.mu.Lock()
		x.apply(d)
		x.seq++
		x.mu.Unlock()
		p.tidy(ctx, x)
		return nil
	}
	return tutti.Errorf(tutti.KindConflict, op, "other devices keep changing the same things; try again")
}

// catchUp reads again after a conflict. Where there should be no other writer, that shows that there is one after all.
func (p *people) catchUp(ctx context.Context, x *person) error {
	if p.c.cfg.SoleWriter {
		x.mu.Lock()
		x.loaded = false
		x.mu.Unlock()
	}
	return p.refreshLocked(ctx, x)
}

// tidy writes a snapshot of the person where one is due. The caller has the person's turn. A store elsewhere takes its
// time for that, which neither the request nor the next one has to wait for.
func (p *people) tidy(ctx context.Context, x *person) {
	if x.saving || !x.journal.due(p.c.cfg.Tuning.UserSnapshotBytes) {
		return
	}
	save := func(ctx context.Context, seq uint64, notes map[subject]note) {
		if err := x.journal.save(ctx, seq, noteParts(notes, p.c.pack)); err != nil && !tutti.IsKind(err, tutti.KindConflict) && ctx.Err() == nil {
			p.c.log.WarnContext(ctx, "writing a person's snapshot failed; the log keeps everything meanwhile", "user", x.user, "err", err)
		}
	}
	if p.c.cfg.SoleWriter {
		save(ctx, x.seq, x.notes)
		return
	}
	seq, notes := x.seq, maps.Clone(x.notes)
	x.saving = p.spawn(func() {
		if err := x.journal.sweep(p.life, sweepGrace); err != nil && p.life.Err() == nil {
			p.c.log.WarnContext(p.life, "clearing up after an interrupted snapshot failed; the next one tries again", "user", x.user, "err", err)
		}
		save(p.life, seq, notes)
		if x.turn.lock(p.life) == nil {
			x.saving = false
			x.turn.unlock()
		}
	})
}

// noteParts yields a person's snapshot. The caller keeps the notes still.
func noteParts(notes map[subject]note, pack *zstd.Encoder) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var buf []byte
		for s, n := range notes {
			buf = appendU64(append(buf, byte(s.kind), byte(n.rating)), s.n)
			buf = appendVarint(appendVarint(appendVarint(buf, n.starred), n.played), n.count)
			if len(buf) > partBytes-64 {
				if !yield(pack.EncodeAll(buf, []byte{journalFormat}), nil) {
					return
				}
				buf = buf[:0]
			}
		}
		if len(buf) > 0 {
			yield(pack.EncodeAll(buf, []byte{journalFormat}), nil)
		}
	}
}

func (c *Catalog) loadNotes(x *person, value []byte) error {
	const op = "catalog: read person"
	if len(value) == 0 || value[0] != journalFormat {
		return tutti.Errorf(tutti.KindInvalid, op, "a person's snapshot was written by another version of tutti; use that version, or restore a backup")
	}
	raw, err := c.unpack.DecodeAll(value[1:], nil)
	if err != nil {
		return tutti.Wrap(tutti.KindInternal, op, err)
	}
	for d := (decoder{b: raw}); len(d.b) > 0 || d.err != nil; {
		s := subject{kind: kind(d.byte())}
		n := note{rating: int8(d.byte())}
		s.n = d.u64()
		n.starred, n.played, n.count = d.varint(), d.varint(), d.varint()
		if d.err != nil {
			return tutti.Wrap(tutti.KindInternal, op, d.err)
		}
		x.notes[s] = n
	}
	return nil
}

// ---- tutti.Annotator ----

// known reports whether the id names something that may be starred and rated and that the viewer sees.
func (w *view) known(id tutti.ID) bool {
	for _, find := range [...]func(tutti.ID) (uint32, bool){w.trackSlot, w.albumSlotOf, w.artistSlotOf, w.folderSlotOf} {
		if _, ok := find(id); ok {
			return true
		}
	}
	return false
}

// Star stars the things, or takes the stars back. What is starred already keeps the time of its star. It returns
// KindNotFound, and does nothing, where one of them is not there.
func (c *Catalog) Star(ctx context.Context, v tutti.Viewer, starred bool, ids ...tutti.ID) error {
	return c.annotate(ctx, v, "catalog.Star", ids, func(p *person) *deed {
		d := &deed{Op: "unstar", At: c.clock.Now().UnixNano()}
		if starred {
			d.Op = "star"
		}
		for _, id := range ids {
			if s, ok := subjectOf(id); ok && (p.notes[s].starred != 0) != starred {
				d.IDs = append(d.IDs, id)
			}
		}
		if len(d.IDs) == 0 {
			return nil
		}
		return d
	})
}

// Rate rates a thing from 1 to 5; 0 takes the rating back.
func (c *Catalog) Rate(ctx context.Context, v tutti.Viewer, id tutti.ID, rating int) error {
	const op = "catalog.Rate"
	if rating < 0 || rating > 5 {
		return tutti.Errorf(tutti.KindInvalid, op, "a rating of %d is not from 0 to 5", rating)
	}
	return c.annotate(ctx, v, op, []tutti.ID{id}, func(p *person) *deed {
		if s, ok := subjectOf(id); !ok || int(p.notes[s].rating) == rating {
			return nil
		}
		return &deed{Op: "rate", At: c.clock.Now().UnixNano(), IDs: []tutti.ID{id}, Rating: rating}
	})
}

func (c *Catalog) annotate(ctx context.Context, v tutti.Viewer, op string, ids []tutti.ID, prepare func(*person) *deed) error {
	if len(ids) > maxDeed {
		return tutti.Errorf(tutti.KindInvalid, op, "%d things at once are more than %d", len(ids), maxDeed)
	}
	w := c.glance(v)
	for _, id := range ids {
		if !w.known(id) {
			w.done()
			return notFound(op, id)
		}
	}
	w.done()
	return c.people.do(ctx, v.User, prepare)
}

// maxDeed bounds the things of one deed, so that its record fits the store.
const maxDeed = 2000

// Played counts plays. Tracks that are not there are left out; if none is, it returns KindNotFound. A time in the
// future, or none, counts as now.
func (c *Catalog) Played(ctx context.Context, v tutti.Viewer, plays ...tutti.Play) error {
	const op = "catalog.Played"
	if len(plays) == 0 {
		return nil
	}
	if len(plays) > maxDeed {
		return tutti.Errorf(tutti.KindInvalid, op, "%d plays at once are more than %d", len(plays), maxDeed)
	}
	w := c.glance(v)
	now := c.clock.Now()
	d := &deed{Op: "play", At: now.UnixNano()}
	var r record
	for _, pl := range plays {
		s, ok := w.trackSlot(pl.Track)
		if !ok {
			continue
		}
		at := pl.At
		if !representable(at) || at.After(now) {
			at = now
		}
		ids := []tutti.ID{pl.Track, tutti.NewID(tutti.PrefixAlbum, w.albums[w.albumOf[s]].id)}
		w.read(s, &r)
		for _, n := range r.artists {
			if id := creditOf(w.lookup(n)).ID; !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		for _, a := range w.albums[w.albumOf[s]].artists {
			if id := tutti.NewID(tutti.PrefixArtist, w.artists[a].id); !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		d.Plays = append(d.Plays, play{At: at.UnixNano(), IDs: ids})
	}
	w.done()
	if len(d.Plays) == 0 {
		return notFound(op, plays[0].Track)
	}
	return c.people.do(ctx, v.User, func(*person) *deed { return d })
}
