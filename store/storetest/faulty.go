package storetest

import (
	"context"
	"slices"
	"sync"
	"time"

	"tutti"
	"tutti/store"
)

// Call says which call on a Store a Faulty is asked about.
type Call struct {
	Method string // "Get", "BatchGet", "Put", "Delete", "Query", "Append", "ReadLog", "LastSeq" or "TrimLog"
	PK     string // the partition key, or the log's name; that of the first key for BatchGet
	SK     string // the sort key, or the prefix; "" where there is none
	N      int    // counts the calls of this method from 1
}

// Fault is what happens to a call. The zero Fault is nothing.
type Fault struct {
	// Err is returned, and the call does not reach the store. Throttled() is what an engine returns that has run out of
	// patience with its database.
	Err error
	// Lost is returned although the call has reached the store and a write has happened: the answer was lost on its way.
	Lost error
	// Short cuts what Query and ReadLog return to this many items or records, with a cursor for the rest. To have an empty page
	// with a cursor, set Empty.
	Short int
	Empty bool
	// Before runs before the call reaches the store: the moment for a test to let somebody else in between, or to end the ctx.
	Before func()
}

// Throttled is the error of an engine that was refused too often.
func Throttled() error {
	return tutti.Errorf(tutti.KindUnavailable, "storetest.Faulty", "the database is overloaded; try again later")
}

// Faulty is a Store in which calls go wrong the way they do in a database at the other end of a network. It passes Run as
// long as its faults are short or empty pages.
type Faulty struct {
	store.Store
	decide func(Call) Fault

	mu    sync.Mutex
	calls map[string]int
	// cursors remembers, for each cursor of an empty page, where that page began.
	cursors map[string]string
}

// NewFaulty returns a Store that asks decide before every call but Close. decide may be called from many goroutines.
func NewFaulty(s store.Store, decide func(Call) Fault) *Faulty {
	return &Faulty{Store: s, decide: decide, calls: make(map[string]int), cursors: make(map[string]string)}
}

// FailEvery decides that every n-th call of the methods (none: of all) fails with err.
func FailEvery(n int, err error, methods ...string) func(Call) Fault {
	return func(c Call) Fault {
		if c.N%n == 0 && (len(methods) == 0 || slices.Contains(methods, c.Method)) {
			return Fault{Err: err}
		}
		return Fault{}
	}
}

// Calls returns how often a method was called, faults included.
func (f *Faulty) Calls(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

func (f *Faulty) fault(method, pk, sk string) Fault {
	f.mu.Lock()
	f.calls[method]++
	c := Call{Method: method, PK: pk, SK: sk, N: f.calls[method]}
	f.mu.Unlock()
	fault := f.decide(c)
	if fault.Before != nil {
		fault.Before()
	}
	return fault
}

// Get implements store.Store.
func (f *Faulty) Get(ctx context.Context, k store.Key) (store.Item, error) {
	fault := f.fault("Get", k.PK, k.SK)
	if fault.Err != nil {
		return store.Item{}, fault.Err
	}
	it, err := f.Store.Get(ctx, k)
	if err == nil && fault.Lost != nil {
		return store.Item{}, fault.Lost
	}
	return it, err
}

// BatchGet implements store.Store.
func (f *Faulty) BatchGet(ctx context.Context, keys []store.Key) ([]store.Item, error) {
	var first store.Key
	if len(keys) > 0 {
		first = keys[0]
	}
	fault := f.fault("BatchGet", first.PK, first.SK)
	if fault.Err != nil {
		return nil, fault.Err
	}
	items, err := f.Store.BatchGet(ctx, keys)
	if err == nil && fault.Lost != nil {
		return nil, fault.Lost
	}
	return items, err
}

// Put implements store.Store.
func (f *Faulty) Put(ctx context.Context, k store.Key, value []byte, expires time.Time, cond store.Condition) (uint64, error) {
	fault := f.fault("Put", k.PK, k.SK)
	if fault.Err != nil {
		return 0, fault.Err
	}
	v, err := f.Store.Put(ctx, k, value, expires, cond)
	if err == nil && fault.Lost != nil {
		return 0, fault.Lost
	}
	return v, err
}

// Delete implements store.Store.
func (f *Faulty) Delete(ctx context.Context, k store.Key, cond store.Condition) error {
	return f.write("Delete", k.PK, k.SK, func() error { return f.Store.Delete(ctx, k, cond) })
}

// Append implements store.Store.
func (f *Faulty) Append(ctx context.Context, log string, seq uint64, value []byte) error {
	return f.write("Append", log, "", func() error { return f.Store.Append(ctx, log, seq, value) })
}

// TrimLog implements store.Store.
func (f *Faulty) TrimLog(ctx context.Context, log string, upTo uint64) error {
	return f.write("TrimLog", log, "", func() error { return f.Store.TrimLog(ctx, log, upTo) })
}

func (f *Faulty) write(method, pk, sk string, do func() error) error {
	fault := f.fault(method, pk, sk)
	if fault.Err != nil {
		return fault.Err
	}
	if err := do(); err != nil {
		return err
	}
	return fault.Lost
}

// Query implements store.Store.
func (f *Faulty) Query(ctx context.Context, pk, prefix, after string, limit int) (store.Page, error) {
	fault := f.fault("Query", pk, prefix)
	if fault.Err != nil {
		return store.Page{}, fault.Err
	}
	if err := store.CheckQuery(pk, prefix, after, limit); err != nil {
		return store.Page{}, err
	}
	f.mu.Lock()
	from, ok := f.cursors[after]
	f.mu.Unlock()
	if !ok {
		from = after
	}
	if fault.Short > 0 {
		limit = min(limit, fault.Short)
	}
	p, err := f.Store.Query(ctx, pk, prefix, from, limit)
	if err != nil {
		return store.Page{}, err
	}
	if fault.Lost != nil {
		return store.Page{}, fault.Lost
	}
	if fault.Empty && len(p.Items) > 0 {
		// A cursor that leads back to where this page began.
		cursor := p.Items[0].SK
		f.mu.Lock()
		f.cursors[cursor+emptyMark] = from
		f.mu.Unlock()
		return store.Page{Next: cursor + emptyMark}, nil
	}
	return p, nil
}

// emptyMark ends the cursors of empty pages; private use, so that no key of a test has it.
const emptyMark = "\U0010fffd"

// ReadLog implements store.Store.
func (f *Faulty) ReadLog(ctx context.Context, log string, since uint64, limit int) ([]store.Record, error) {
	fault := f.fault("ReadLog", log, "")
	if fault.Err != nil {
		return nil, fault.Err
	}
	if err := store.CheckLimit(limit); err != nil {
		return nil, err
	}
	if fault.Short > 0 {
		limit = min(limit, fault.Short)
	}
	r, err := f.Store.ReadLog(ctx, log, since, limit)
	if err == nil && fault.Lost != nil {
		return nil, fault.Lost
	}
	return r, err
}

// LastSeq implements store.Store.
func (f *Faulty) LastSeq(ctx context.Context, log string) (uint64, error) {
	fault := f.fault("LastSeq", log, "")
	if fault.Err != nil {
		return 0, fault.Err
	}
	n, err := f.Store.LastSeq(ctx, log)
	if err == nil && fault.Lost != nil {
		return 0, fault.Lost
	}
	return n, err
}
