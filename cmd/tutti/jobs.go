package main

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"tutti"
	"tutti/carbon"

	"tutti/store"
	"tutti/store/lease"
)

// makeJobs makes what runs work that may wait.
func (n *node) makeJobs(context.Context) error {
	config := carbon.SchedulerConfig{Clock: n.clock, Logger: n.logger, Book: &jobBook{store: n.store}, Rest: n.letGo}
	if n.settings.fleet() {
		name, err := memberID(n.settings.Data, n.settings.Role)
		if err != nil {
			return err
		}
		config.Node, config.Book = name, &jobBook{store: n.store, node: name}
		config.Alone = func(ctx context.Context, job string, fn func(context.Context) error) error {
			c := lease.Config{Store: n.store, Clock: n.clock, Name: "job#" + job, Holder: name, TTL: jobLease}
			return lease.Hold(ctx, c, func(ctx context.Context, _ uint64) error { return fn(ctx) })
		}
	}
	if !n.grid.Source().Constant { // which says of every hour the same
		config.Outlook = n.grid
	}
	s := carbon.NewScheduler(config)
	n.jobs = s
	n.runners = append(n.runners, s.Run)
	return nil
}

const (
	// jobLease is how long a job of a member that was killed is left alone. Jobs take minutes to hours, and may wait.
	jobLease = time.Minute
	// jobPromiseKept is how long a promise outlives its deadline, for an owner who is long in coming back.
	jobPromiseKept = 7 * 24 * time.Hour
	// jobHistory is how many jobs that have ended are kept at least, and jobHistorySlack how many more before the oldest go.
	jobHistory      = 400
	jobHistorySlack = 100

	jobsKey = "jobs" // the partition of promises, and the log of what has ended
)

// jobBook keeps what was promised of jobs and what became of them in the store.
type jobBook struct {
	store store.Store
	node  string // "" for a process alone
}

var _ carbon.Book = (*jobBook)(nil)

func (b *jobBook) key(name string, shared bool) store.Key {
	if shared {
		return store.Key{PK: jobsKey, SK: "shared/" + name}
	}
	return store.Key{PK: jobsKey, SK: "of/" + b.node + "/" + name}
}

// Promised implements carbon.Book.
func (b *jobBook) Promised(ctx context.Context, name string, shared bool) (st tutti.JobStatus, err error) {
	const op = "main.Promised"
	it, err := b.store.Get(ctx, b.key(name, shared))
	if err != nil {
		return st, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	return st, tutti.Wrap(tutti.KindInternal, op, json.Unmarshal(it.Value, &st))
}

// Promise implements carbon.Book.
func (b *jobBook) Promise(ctx context.Context, st tutti.JobStatus, shared bool) error {
	const op = "main.Promise"
	value, err := json.Marshal(st)
	if err != nil {
		return tutti.Wrap(tutti.KindInternal, op, err)
	}
	until := st.Deadline
	if st.Start.After(until) {
		until = st.Start
	}
	_, err = b.store.Put(ctx, b.key(st.Name, shared), value, until.Add(jobPromiseKept), store.Always)
	return tutti.Wrap(tutti.KindOf(err), op, err)
}

// Settle implements carbon.Book. The history is written first: of a process that dies between the two the job is run once
// too often rather than not at all.
func (b *jobBook) Settle(ctx context.Context, st tutti.JobStatus, shared bool) error {
	const op = "main.Settle"
	value, err := json.Marshal(st)
	if err != nil {
		return tutti.Wrap(tutti.KindInternal, op, err)
	}
	seq, err := appendNext(ctx, b.store, jobsKey, value)
	if err == nil && seq%jobHistorySlack == 0 && seq > jobHistory {
		err = b.store.TrimLog(ctx, jobsKey, seq-jobHistory)
	}
	if err == nil {
		err = b.store.Delete(ctx, b.key(st.Name, shared), store.Always)
	}
	return tutti.Wrap(tutti.KindOf(err), op, err)
}

// appendTries is how often the end of a log that others write to as well is looked for.
const appendTries = 20

// appendNext appends to a log wherever its end is.
func appendNext(ctx context.Context, s store.Store, log string, value []byte) (seq uint64, err error) {
	for range appendTries {
		if seq, err = s.LastSeq(ctx, log); err != nil {
			return 0, err
		}
		seq++
		if err = s.Append(ctx, log, seq, value); !tutti.IsKind(err, tutti.KindConflict) {
			return seq, err
		}
	}
	return seq, err
}

// Jobs implements tutti.JobLog.
func (b *jobBook) Jobs(ctx context.Context) (list []tutti.JobStatus, err error) {
	const op = "main.Jobs"
	for after := ""; ; {
		page, err := b.store.Query(ctx, jobsKey, "", after, store.MaxPage)
		if err != nil {
			return nil, tutti.Wrap(tutti.KindOf(err), op, err)
		}
		for _, it := range page.Items {
			var st tutti.JobStatus
			if err := json.Unmarshal(it.Value, &st); err != nil {
				return nil, tutti.Wrap(tutti.KindInternal, op, err)
			}
			list = append(list, st)
		}
		if after = page.Next; after == "" {
			carbon.SortJobs(list)
			return list, nil
		}
	}
}

// JobHistory implements tutti.JobLog.
func (b *jobBook) JobHistory(ctx context.Context, limit int) ([]tutti.JobStatus, error) {
	const op = "main.JobHistory"
	limit = min(max(limit, 1), jobHistory)
	last, err := b.store.LastSeq(ctx, jobsKey)
	if err != nil {
		return nil, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	list := make([]tutti.JobStatus, 0, limit)
	since := last - min(last, uint64(limit))
	for since < last {
		records, err := b.store.ReadLog(ctx, jobsKey, since, limit)
		if err != nil {
			return nil, tutti.Wrap(tutti.KindOf(err), op, err)
		}
		if len(records) == 0 {
			break
		}
		for _, r := range records {
			var st tutti.JobStatus
			if err := json.Unmarshal(r.Value, &st); err != nil {
				return nil, tutti.Wrap(tutti.KindInternal, op, err)
			}
			list = append(list, st)
			since = r.Seq
		}
	}
	slices.Reverse(list)
	return list[:min(len(list), limit)], nil
}
