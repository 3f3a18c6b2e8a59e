package carbon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"tutti"
	"tutti/clock"
)

// Outlook is what predicts the grid. A Cached does.
type Outlook interface {
	// Outlook returns what is known from now on, and before, and who says so. It may take as long as a feed takes to answer.
	Outlook(ctx context.Context) (Series, Source, error)
}

// Book keeps what was promised of jobs, over restarts and for the whole fleet, and what became of them. Errors are the
// store's; nothing is written but when one of these is called.
type Book interface {
	// Promised returns what was promised under the name; KindNotFound where nothing was. A promise of a shared job is
	// everybody's, another only this process's own.
	Promised(ctx context.Context, name string, shared bool) (tutti.JobStatus, error)
	// Promise keeps the status of a job that waits or runs.
	Promise(ctx context.Context, st tutti.JobStatus, shared bool) error
	// Settle forgets the promise of a job that has ended and puts it into the history.
	Settle(ctx context.Context, st tutti.JobStatus, shared bool) error
	tutti.JobLog
}

// SchedulerConfig is what a Scheduler needs.
type SchedulerConfig struct {
	Clock   clock.Clock
	Logger  *slog.Logger
	Outlook Outlook // nil: nobody predicts the grid, and every job runs at once
	Book    Book    // nil: what is promised ends with the process
	// Alone runs fn while no other process of the fleet runs anything under the name; KindConflict where another does. nil
	// where there is no other.
	Alone func(ctx context.Context, name string, fn func(ctx context.Context) error) error
	Node  string // this process, in a fleet; else ""
	// Rest is called when a job has ended and no other runs, nil for nothing: what jobs needed may be given back.
	Rest func(ctx context.Context)
}

// MinSaving is the predicted share of emissions below which a job is not moved: forecasts are wrong by as much (5 % is what
// Wiesner et al. assume of the forecasts that grid operators publish: "Let's Wait Awhile", Middleware '21, §5.2), and whoever
// waits for less waits for nothing.
const MinSaving = 0.05

const (
	// shortest is what a job takes that does not say.
	shortest = time.Minute
	// contend is how soon a shared job that another process runs is looked at again.
	contend = time.Minute
	// maxName bounds Job.Name in bytes.
	maxName = 200
)

// Scheduler runs jobs when the grid is cleanest. It moves a job only for a predicted saving of more than MinSaving, and never
// begins one later than its estimated duration before its deadline. One runs at a time, but for those that would else be
// late. Where the prediction is lost, what was planned by the last one stands, and what was not planned runs at once.
//
// With nothing to do it holds no timer.
type Scheduler struct {
	c    SchedulerConfig
	wake chan struct{}

	mu      sync.Mutex
	waiting map[string]*entry
	running map[string]*entry
	series  Series // by which it was planned last
}

var _ tutti.Jobs = (*Scheduler)(nil)

type entry struct {
	job     tutti.Job
	st      tutti.JobStatus
	planned bool
	look    time.Time // when it is to be planned, again
	resting time.Time // until when another process is left to it
	stop    context.CancelFunc
	dropped bool // somebody cancelled it

	promised bool // the book has, or had, a promise of it
}

// latest is when the job has to begin.
func (e *entry) latest() time.Time { return e.st.Deadline.Add(-e.st.Duration) }

// NewScheduler returns one that takes jobs at once, and runs them in Run.
func NewScheduler(c SchedulerConfig) *Scheduler {
	return &Scheduler{c: c, wake: make(chan struct{}, 1), waiting: map[string]*entry{}, running: map[string]*entry{}}
}

// HandOver implements tutti.Jobs.
func (s *Scheduler) HandOver(ctx context.Context, j tutti.Job) error {
	const op = "carbon.HandOver"
	if j.Name == "" || len(j.Name) > maxName || j.Kind == "" || j.Run == nil || j.Energy < 0 || j.Duration < 0 {
		return tutti.Errorf(tutti.KindInvalid, op, "a job needs a name of up to %d bytes, a kind, something to run, and no energy or duration below 0", maxName)
	}
	now := s.c.Clock.Now().UTC()
	e := &entry{job: j, st: tutti.JobStatus{
		Name: j.Name, Kind: j.Kind, State: tutti.JobWaiting, Node: s.c.Node, Energy: j.Energy, Duration: j.Duration,
		Given: now, Deadline: j.Deadline.UTC(), Start: now,
	}}
	if e.st.Duration == 0 {
		e.st.Duration = shortest
	}
	if j.Deadline.IsZero() {
		e.st.Deadline = now.Add(tutti.JobSlack)
	}
	var err error
	if s.c.Book != nil {
		var before tutti.JobStatus
		if before, err = s.c.Book.Promised(ctx, j.Name, j.Shared); err == nil {
			e.keep(before)
			e.promised = true
		} else if tutti.IsKind(err, tutti.KindNotFound) {
			err = nil
		}
	}
	s.mu.Lock()
	if before := s.waiting[j.Name]; before != nil {
		e.keep(before.st)
	}
	s.waiting[j.Name] = e
	s.mu.Unlock()
	s.ring()
	return tutti.Wrap(tutti.KindUnavailable, op, err)
}

// keep has a job take over what was promised before under its name.
func (e *entry) keep(before tutti.JobStatus) {
	if before.Given.Before(e.st.Given) {
		e.st.Given, e.st.AtOnce, e.st.Source = before.Given, before.AtOnce, before.Source
	}
	if before.Deadline.Before(e.st.Deadline) {
		e.st.Deadline = before.Deadline
	}
}

func (s *Scheduler) ring() {
	select {
	case s.wake <- struct{}{}:
	default: // it is awake
	}
}

// Cancel implements tutti.Jobs.
func (s *Scheduler) Cancel(ctx context.Context, name string) error {
	s.mu.Lock()
	e := s.waiting[name]
	delete(s.waiting, name)
	run := s.running[name]
	if run != nil {
		run.dropped = true
		run.stop()
	}
	s.mu.Unlock()
	s.ring()
	switch {
	case e == nil && run == nil:
		return tutti.Errorf(tutti.KindNotFound, "carbon.Cancel", "no job called %q waits or runs here", name)
	case e == nil || run != nil: // the one that runs is settled when it has ended
		return nil
	}
	e.st.State, e.st.Ended = tutti.JobCancelled, s.c.Clock.Now().UTC()
	return s.settle(ctx, e)
}

func (s *Scheduler) settle(ctx context.Context, e *entry) error {
	if s.c.Book == nil {
		return nil
	}
	return s.c.Book.Settle(ctx, e.st, e.job.Shared)
}

// Jobs implements tutti.JobLog.
func (s *Scheduler) Jobs(ctx context.Context) ([]tutti.JobStatus, error) {
	s.mu.Lock()
	var list []tutti.JobStatus
	for _, m := range []map[string]*entry{s.running, s.waiting} {
		for _, e := range m {
			list = append(list, e.st)
		}
	}
	s.mu.Unlock()
	var err error
	if s.c.Book != nil {
		var others []tutti.JobStatus
		others, err = s.c.Book.Jobs(ctx)
		for _, o := range others {
			// Its own are known better here; one that is not is of a life before, and nobody has handed it over again.
			if o.Node != s.c.Node && !slices.ContainsFunc(list, func(st tutti.JobStatus) bool { return st.Name == o.Name && st.Given.Equal(o.Given) }) {
				list = append(list, o)
			}
		}
	}
	SortJobs(list)
	return list, err
}

// SortJobs puts jobs into the order in which they began or are to begin, those that run first.
func SortJobs(list []tutti.JobStatus) {
	slices.SortFunc(list, func(a, b tutti.JobStatus) int {
		if run := a.State == tutti.JobRunning; run != (b.State == tutti.JobRunning) {
			return map[bool]int{true: -1, false: 1}[run]
		}
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.Name, b.Name))
	})
}

// JobHistory implements tutti.JobLog.
func (s *Scheduler) JobHistory(ctx context.Context, limit int) ([]tutti.JobStatus, error) {
	if s.c.Book == nil {
		return nil, nil
	}
	return s.c.Book.JobHistory(ctx, limit)
}

// Run runs jobs until ctx ends and those that run have returned. It returns nil.
func (s *Scheduler) Run(ctx context.Context) error {
	var jobs sync.WaitGroup
	defer jobs.Wait()
	for ctx.Err() == nil {
		if next := s.look(ctx, &jobs); next.IsZero() {
			select {
			case <-ctx.Done():
			case <-s.wake:
			}
		} else {
			t := s.c.Clock.NewTimer(next.Sub(s.c.Clock.Now()))
			select {
			case <-ctx.Done():
			case <-s.wake:
			case <-t.C():
			}
			t.Stop()
		}
	}
	return nil
}

// look plans what has to be planned, begins what is due, and returns when to look again; zero for when it is woken.
func (s *Scheduler) look(ctx context.Context, jobs *sync.WaitGroup) time.Time {
	next := s.begin(ctx, jobs) // what is due need not wait for a feed's answer
	if !s.unplanned() {
		return next
	}
	series, source, err := s.outlook(ctx, next)
	for _, e := range s.plan(series, source, err) {
		if s.gone(ctx, e) {
			s.mu.Lock()
			if s.waiting[e.job.Name] == e {
				delete(s.waiting, e.job.Name)
			}
			s.mu.Unlock()
			continue
		}
		s.mu.Lock()
		st := e.st
		e.promised = true
		s.mu.Unlock()
		s.promise(ctx, st, e.job.Shared)
	}
	return s.begin(ctx, jobs)
}

var errNoOutlook = errors.New("nobody predicts the grid")

// outlook asks what is predicted, until a job has to begin at the latest.
func (s *Scheduler) outlook(ctx context.Context, until time.Time) (Series, Source, error) {
	if s.c.Outlook == nil {
		return nil, Source{}, errNoOutlook
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if !until.IsZero() {
		defer s.c.Clock.AfterFunc(until.Sub(s.c.Clock.Now()), stop).Stop()
	}
	return s.c.Outlook.Outlook(ctx)
}

// unplanned reports whether any job's time has come to be planned.
func (s *Scheduler) unplanned() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.c.Clock.Now()
	for _, e := range s.waiting {
		if !e.look.After(now) && e.latest().After(now) {
			return true
		}
	}
	return false
}

// gone reports whether a shared job that was promised is so no more: then another process has done it.
func (s *Scheduler) gone(ctx context.Context, e *entry) bool {
	s.mu.Lock()
	promised := e.promised
	s.mu.Unlock()
	if s.c.Book == nil || !e.job.Shared || !promised {
		return false
	}
	_, err := s.c.Book.Promised(ctx, e.job.Name, true)
	return tutti.IsKind(err, tutti.KindNotFound)
}

// plan decides when jobs begin whose time has come to be planned. It returns those that wait, for their promise to be kept.
func (s *Scheduler) plan(series Series, source Source, err error) (promised []*entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.c.Clock.Now().UTC()
	if err == nil {
		s.series = series
	}
	for _, e := range s.waiting {
		if e.look.After(now) {
			continue
		}
		before := e.st
		d := decide(series, now, e.st.Duration, e.latest())
		switch {
		case err != nil || !d.known:
			// Without a prediction what was planned stands; what was not runs now.
			if !e.planned {
				e.st.Start, e.st.Why = now, unpredicted(err, errors.Is(err, errNoOutlook))
			}
		default:
			if e.st.AtOnce == 0 {
				e.st.AtOnce = d.atOnce
			}
			e.st.Start, e.st.Chosen, e.st.Source, e.st.Why = d.start, d.chosen, source.String(), d.why(now)
		}
		e.planned = true
		e.look = e.st.Start // and then once more, by what is predicted then
		if !e.st.Start.After(now) {
			e.look = e.latest() // it is to begin, if need be when another has ended
		}
		if e.st.Start.After(now) && e.st != before {
			promised = append(promised, e)
		}
	}
	return promised
}

// decision is when to run, and by what.
type decision struct {
	start          time.Time
	atOnce, chosen float64 // g/kWh
	known          bool    // whether the series tells
}

// decide finds when something that takes d should begin between now and latest.
func decide(series Series, now time.Time, d time.Duration, latest time.Time) decision {
	out := decision{start: now}
	if latest.Before(now) {
		latest = now
	}
	if out.atOnce, out.known = series.Mean(now, now.Add(d)); !out.known {
		return out
	}
	out.chosen = out.atOnce
	if start, mean, ok := series.Cleanest(d, now, latest); ok && mean < out.atOnce*(1-MinSaving) {
		out.start, out.chosen = start, mean
	}
	return out
}

func (d decision) why(now time.Time) string {
	if d.start.After(now) {
		return fmt.Sprintf("waits until %s: %.0f → %.0f g/kWh", d.start.Format("15:04 MST"), d.atOnce, d.chosen)
	}
	return fmt.Sprintf("no cleaner hour before its deadline saves %.0f %%: %.0f g/kWh", MinSaving*100, d.atOnce)
}

func unpredicted(err error, none bool) string {
	switch {
	case none:
		return "ran at once: no forecast of the grid is configured"
	case err != nil:
		return "ran at once: there was no forecast of the grid (" + tutti.Message(err) + ")"
	}
	return "ran at once: the forecast of the grid does not reach far enough"
}

// begin starts the jobs that are due and returns when the next thing is to be done.
func (s *Scheduler) begin(ctx context.Context, jobs *sync.WaitGroup) (next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.c.Clock.Now().UTC()
	var list []*entry
	for _, e := range s.waiting {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b *entry) int {
		return cmp.Or(a.latest().Compare(b.latest()), cmp.Compare(a.job.Name, b.job.Name))
	})
	sooner := func(t time.Time) {
		if t.After(now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, e := range list {
		if e.resting.After(now) {
			sooner(e.resting)
			continue
		}
		late := !e.latest().After(now)
		// A plan whose time has come is looked at once more before it is followed.
		due := e.planned && !e.st.Start.After(now) && e.look.After(now)
		if s.running[e.job.Name] == nil && (late || due && len(s.running) == 0) {
			if late && !due {
				e.st.Start = now
				if !e.planned {
					e.st.Why = "ran at once: its deadline allowed no waiting"
				}
			}
			delete(s.waiting, e.job.Name)
			s.running[e.job.Name] = e
			e.st.State, e.st.Start = tutti.JobRunning, now
			if mean, ok := s.series.Mean(now, now.Add(e.st.Duration)); ok && e.planned {
				e.st.Chosen = mean // which is another where it had to wait for its turn
			}
			var work context.Context
			work, e.stop = context.WithCancel(ctx)
			jobs.Go(func() { s.do(work, e) })
			continue
		}
		sooner(e.latest())
		sooner(e.st.Start)
		sooner(e.look)
	}
	return next
}

// do runs a job to its end, whatever that is.
func (s *Scheduler) do(ctx context.Context, e *entry) {
	s.mu.Lock()
	st := e.st
	s.mu.Unlock()
	work := func(ctx context.Context) error {
		s.promise(ctx, st, e.job.Shared)
		return e.job.Run(ctx)
	}
	var how ending
	if e.job.Shared && s.c.Alone != nil {
		how.busy = true
		how.err = s.c.Alone(ctx, e.job.Name, func(ctx context.Context) error {
			how.busy = false
			if how.elsewhere = s.gone(ctx, e); how.elsewhere {
				return nil
			}
			return work(ctx)
		})
		how.busy = how.busy && tutti.IsKind(how.err, tutti.KindConflict)
		how.lost = !how.busy && tutti.IsKind(how.err, tutti.KindConflict)
	} else {
		how.err = work(ctx)
	}
	how.stopped = ctx.Err() != nil
	e.stop()
	late := context.WithoutCancel(ctx)
	s.end(late, e, how)
	s.ring()
	if s.c.Rest != nil && !how.stopped && !how.busy && s.resting() {
		s.c.Rest(late)
	}
}

// resting reports whether nothing runs.
func (s *Scheduler) resting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.running) == 0
}

// ending is how a job came to its end.
type ending struct {
	err       error
	busy      bool // another process is at it, and it never began
	lost      bool // another process has taken it over
	elsewhere bool // another process had done it
	stopped   bool // it was told to stop
}

// end takes a job off what runs, and settles it or has it wait again.
func (s *Scheduler) end(ctx context.Context, e *entry, how ending) {
	s.mu.Lock()
	now := s.c.Clock.Now().UTC()
	delete(s.running, e.job.Name)
	if how.elsewhere || how.lost && !how.stopped {
		s.mu.Unlock()
		return
	}
	if how.busy && !how.stopped {
		e.st.State, e.st.Start = tutti.JobWaiting, now.Add(contend)
		e.resting, e.look, e.promised = e.st.Start, e.st.Deadline, true
		if s.waiting[e.job.Name] == nil {
			s.waiting[e.job.Name] = e
		}
		s.mu.Unlock()
		return
	}
	e.st.Ended = now
	switch {
	case e.dropped:
		e.st.State = tutti.JobCancelled
	case how.stopped:
		e.st.State = tutti.JobInterrupted
	case how.err != nil:
		e.st.State, e.st.Problem = tutti.JobFailed, tutti.Message(how.err)
	default:
		e.st.State = tutti.JobDone
	}
	e.st.Saved = float64(GramsPerKWh(e.st.AtOnce - e.st.Chosen).Of(Joules(e.st.Energy)))
	e.st.Why = account(e.st)
	st := e.st
	s.mu.Unlock()

	log := s.c.Logger.With("job", st.Name, "kind", string(st.Kind), "ran", now.Sub(st.Start).Round(time.Millisecond).String())
	if st.State == tutti.JobInterrupted {
		// Its owner hands it over again; what was promised stands.
		st.State, st.Ended, st.Saved = tutti.JobWaiting, time.Time{}, 0
		s.promise(ctx, st, e.job.Shared)
		return
	}
	if st.State == tutti.JobFailed {
		log.ErrorContext(ctx, "a job failed", "err", how.err)
	} else {
		log.InfoContext(ctx, "a job has ended", "state", string(st.State), "why", st.Why)
	}
	if err := s.settle(ctx, e); err != nil {
		log.WarnContext(ctx, "what became of a job could not be kept", "err", err)
	}
}

func (s *Scheduler) promise(ctx context.Context, st tutti.JobStatus, shared bool) {
	if s.c.Book == nil {
		return
	}
	if err := s.c.Book.Promise(ctx, st, shared); err != nil && ctx.Err() == nil {
		s.c.Logger.WarnContext(ctx, "a job goes on, but what was promised of it could not be kept", "job", st.Name, "err", err)
	}
}

// account says in a sentence when a job ran and what came of it.
func account(st tutti.JobStatus) string {
	waited := st.Start.Sub(st.Given)
	if waited < time.Minute || st.AtOnce == 0 {
		return st.Why
	}
	s := fmt.Sprintf("waited %s: %.0f → %.0f g/kWh", spell(waited), st.AtOnce, st.Chosen)
	switch {
	case st.Energy == 0 || st.State != tutti.JobDone:
		return s
	case st.Saved < 0:
		return s + ", " + grams(-st.Saved) + " more than at once"
	}
	return s + ", saved " + grams(st.Saved)
}

// grams writes a mass to two digits.
func grams(g float64) string {
	switch {
	case g >= 1000:
		return fmt.Sprintf("%.1f kg", g/1000)
	case g >= 10:
		return fmt.Sprintf("%.0f g", g)
	case g >= 0.1:
		return fmt.Sprintf("%.1f g", g)
	}
	return fmt.Sprintf("%.0f mg", g*1000)
}

// spell writes a time of minutes and hours as people do.
func spell(d time.Duration) string {
	d = d.Round(time.Minute)
	var parts []string
	if h := int(d / time.Hour); h > 0 {
		parts = append(parts, fmt.Sprintf("%d h", h))
	}
	if m := int(d % time.Hour / time.Minute); m > 0 || len(parts) == 0 {
		parts = append(parts, fmt.Sprintf("%d min", m))
	}
	return strings.Join(parts, " ")
}
