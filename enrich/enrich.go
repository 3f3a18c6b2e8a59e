// Package enrich finds what is wrong with tags or missing from them and suggests what to show instead. It never writes a file:
// what is accepted becomes an amendment of the catalogue, which stands beside the tags and can be taken back.
//
// A look through the library reads every track once (library.go), asks each of the finders (split.go, spelling.go, title.go,
// guess.go, same.go) and keeps what they suggest in the store (kept.go), each suggestion with the probability that it is right.
// It is work that may wait: it is handed over after scans that changed something, and nothing here runs in between.
//
// What may go in here: anything that judges tags. How amendments are kept and shown is the catalogue's.
package enrich

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/metacodec"
	"tutti/store"
)

// Scorer says how likely texts are; a metacodec.Model does.
type Scorer interface {
	// Bits returns -log2 of the probability of a text in a field.
	Bits(f metacodec.Field, text string, known ...metacodec.Value) float64
}

// Watcher tells of scans; the catalogue does.
type Watcher interface {
	Watch(ctx context.Context, v tutti.Viewer, fn func(tutti.Event) error) error
}

// Config is what a Desk needs. Store, Amender and Clock are required.
type Config struct {
	Store   store.Store
	Amender tutti.Amender
	Clock   clock.Clock
	Logger  *slog.Logger // nil: slog.Default()

	// Tagged, Watcher and Jobs are of a process that has the library; nil in others, which only list and decide.
	Tagged  tutti.Tagged
	Watcher Watcher
	Jobs    tutti.Jobs
	// Model returns what scores texts, when it is needed; nil: finders do without.
	Model func() (Scorer, error)

	// Apply is the probability from which a suggestion is accepted without asking anybody; 0: none is. Duplicates never are.
	Apply float64
}

// Desk keeps suggestions and what was decided. It implements tutti.Suggestions.
type Desk struct {
	c       Config
	log     *slog.Logger
	looking atomic.Bool
	writing sync.Mutex // one look, or one batch of decisions, of this process at a time
}

var _ tutti.Suggestions = (*Desk)(nil)

// New returns a desk. It returns KindInvalid for a Config that cannot work.
func New(c Config) (*Desk, error) {
	const op = "enrich.New"
	if c.Store == nil || c.Amender == nil || c.Clock == nil {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "a store, an amender and a clock are needed")
	}
	if c.Apply != 0 && !(c.Apply >= MinApply && c.Apply <= 1) {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "suggestions are applied from a probability of %v to 1, or never, with 0", MinApply)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return &Desk{c: c, log: c.Logger}, nil
}

// MinApply is the least probability from which suggestions may be applied without asking.
const MinApply = 0.9

const (
	jobName = "enrich"
	// lookSlack is by when the library is looked through after a scan.
	lookSlack = tutti.JobSlack
	// lookEnergy and lookTime are what a look is estimated to take: a core of a small machine for some seconds.
	lookEnergy = 200 // J
	lookTime   = 2 * time.Minute
)

// Run hands a look over whenever a scan has changed something, and at first where nobody ever looked, until ctx ends. It
// returns nil then. Without a library it waits for ctx.
func (d *Desk) Run(ctx context.Context) error {
	if d.c.Tagged == nil || d.c.Watcher == nil || d.c.Jobs == nil {
		<-ctx.Done()
		return nil
	}
	if st, err := d.state(ctx); err != nil {
		d.log.WarnContext(ctx, "it is not known whether the library was looked through for suggestions", "err", err)
	} else if st.Given.After(st.Looked) { // asked for before this process started
		d.handOver(ctx, lookSlack)
	}
	var last time.Time // the end of the latest scan that is dealt with
	err := d.c.Watcher.Watch(ctx, tutti.Viewer{Admin: true}, func(e tutti.Event) error {
		s := e.Scan
		if e.Kind != tutti.EventScan || s.Scanning || s.Finished.IsZero() || !s.Finished.After(last) {
			return nil
		}
		last = s.Finished
		st, err := d.state(ctx)
		if err != nil {
			d.log.WarnContext(ctx, "it is not known whether the library was looked through for suggestions", "err", err)
			return nil
		}
		changed := s.Added+s.Changed+s.Removed > 0
		if changed && st.Looked.Before(s.Finished) || st.Looked.IsZero() && s.Tracks > 0 {
			d.handOver(ctx, lookSlack)
		}
		return nil
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// handOver has the library looked through within slack.
func (d *Desk) handOver(ctx context.Context, slack time.Duration) {
	now := d.c.Clock.Now().UTC()
	if err := d.update(ctx, func(s *deskState) { s.Given = now }); err != nil && ctx.Err() == nil {
		d.log.WarnContext(ctx, "that the library is to be looked through could not be noted", "err", err)
	}
	job := tutti.Job{
		Name: jobName, Kind: tutti.JobEnrich, Energy: lookEnergy, Duration: lookTime, Deadline: now.Add(slack), Shared: true,
		Run: d.look,
	}
	if err := d.c.Jobs.HandOver(ctx, job); err != nil && ctx.Err() == nil {
		d.log.WarnContext(ctx, "looking the library through was handed over, but will not survive a restart", "err", err)
	}
}

// Look implements tutti.Suggestions.
func (d *Desk) Look(ctx context.Context, v tutti.Viewer) error {
	const op = "enrich.Look"
	if err := mayDecide(op, v); err != nil {
		return err
	}
	if d.c.Tagged == nil || d.c.Jobs == nil {
		return tutti.Errorf(tutti.KindUnavailable, op, "this process has no library; ask one that has the catalogue")
	}
	d.handOver(ctx, 0)
	return nil
}

func mayDecide(op string, v tutti.Viewer) error {
	if !v.Admin {
		return tutti.Errorf(tutti.KindForbidden, op, "suggestions are for administrators")
	}
	return nil
}

// look looks the library through and keeps what is found.
func (d *Desk) look(ctx context.Context) error {
	const op = "enrich: look through the library"
	d.looking.Store(true)
	defer d.looking.Store(false)
	began := d.c.Clock.Now()
	var scorer Scorer
	if d.c.Model != nil {
		var err error
		if scorer, err = d.c.Model(); err != nil {
			return tutti.Wrap(tutti.KindOf(err), op, err)
		}
	}
	lib, err := Read(ctx, d.c.Tagged)
	if err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	found := lib.Find(scorer)
	n, err := d.keep(ctx, found)
	if err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	now := d.c.Clock.Now().UTC()
	if err := d.update(ctx, func(s *deskState) { s.Looked = now }); err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	d.log.InfoContext(ctx, "library looked through for suggestions", "tracks", lib.tracks, "suggestions", len(found), "new", n, "took", now.Sub(began))
	return nil
}

// tries is how often a write is made again that somebody else was before.
const tries = 8

func again(err error, try int) bool {
	return tutti.IsKind(err, tutti.KindConflict) && try+1 < tries && !errors.Is(err, context.Canceled)
}
