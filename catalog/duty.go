package catalog

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
	"tutti/store/lease"
)

// Where several nodes share the store, one of them scans. Which one, a lease says; that it alone does, the log says.
//
// A lease alone cannot: a node that was stopped for a while (by its system, by a virtual machine's move) goes on where
// it was, and writes, before it looks at its clock. So whoever gets the lease first appends a notice with the lease's
// fence to the catalogue's log. Everybody who appends has read all that is before, since an append names its place in the
// log and fails where that is taken. So a node that was deposed finds the notice before it can write anything behind
// it, and sees that a higher fence than its own is there. No clock takes part in that.
// (The fence is that of M. Kleppmann, "How to do distributed locking", 2016; the log takes the place of the storage
// that refuses.)
//
// What the nodes have to tell one another about scans goes the same way: that a scan is asked for, that one has begun,
// that it has ended. Every node follows the log anyway, so an idle fleet reads and writes nothing for it. Only how far a
// scan has got is an item of its own, which is written and read while there is one, at most twice a second.

// notice is a record of the log that changes no track's record: what nodes tell one another, and amendments.
type notice struct {
	Fence  uint64            `json:"fence,omitempty"`  // of a node that begins to be the one that scans
	Ask    bool              `json:"ask,omitempty"`    // somebody wants a scan
	Full   bool              `json:"full,omitempty"`   // that reads every file again
	Served uint64            `json:"served,omitempty"` // requests up to this record of the log have been done
	Status *tutti.ScanStatus `json:"status,omitempty"` // a scan has begun, or ended

	Amend []tutti.Amendment `json:"amend,omitempty"` // what is shown instead of what tags say
}

// noticeFormat begins a notice's record; JSON follows. Others begin with journalFormat.
const noticeFormat = 'n'

func (n *notice) encode() ([]byte, error) {
	b, err := json.Marshal(n)
	return append([]byte{noticeFormat}, b...), err
}

func decodeNotice(value []byte) (*notice, error) {
	const op = "catalog: read log"
	n := new(notice)
	if err := json.Unmarshal(value[1:], n); err != nil {
		return nil, tutti.Wrap(tutti.KindInternal, op, err)
	}
	for i := range n.Amend {
		if err := n.Amend[i].Check(); err != nil {
			return nil, &tutti.Error{Kind: tutti.KindInternal, Op: op, Err: err}
		}
	}
	return n, nil
}

// state is what the notices amount to.
type state struct {
	Fence  uint64           `json:"fence"`  // of the node that scans, or did
	Ask    uint64           `json:"ask"`    // record of the latest request for a scan
	Full   bool             `json:"full"`   // it, or one before it that has not been done either, wants every file read
	Served uint64           `json:"served"` // requests up to this record have been done
	Status tutti.ScanStatus `json:"status"` // of the latest scan, when it began or ended
}

func (s *state) encode(b []byte) []byte {
	j, err := json.Marshal(s)
	if err != nil {
		panic(err) // numbers, strings, and times that were read from JSON or a clock
	}
	return append(b, j...)
}

func (s *state) decode(b []byte) error { return json.Unmarshal(b, s) }

func (s *state) asked() bool { return s.Ask > s.Served }

// heed applies a notice.
func (m *model) heed(seq uint64, n *notice) {
	s := &m.state
	s.Fence = max(s.Fence, n.Fence)
	if n.Ask {
		s.Full = n.Full || s.Full && s.asked()
		s.Ask = seq
	}
	s.Served = max(s.Served, n.Served)
	if n.Status != nil {
		s.Status = *n.Status
	}
}

// duty is what this node has to do with scans.
type duty struct {
	fence  atomic.Uint64 // 0: another node scans
	began  atomic.Int64  // when this one began to, in Unix nanoseconds
	handed atomic.Uint64 // the latest request that the scanner was told of

	mu   sync.Mutex
	told chan struct{} // closed, and replaced, when there is something new

	asking   turn
	progress progress  // of another node's scan, as last read
	read     time.Time // when
}

// progress is the item that says how far a scan has got.
type progress struct {
	Fence  uint64           `json:"fence"`
	Status tutti.ScanStatus `json:"status"`
}

var progressKey = store.Key{PK: "catalog", SK: "scan-progress"}

const (
	scannerLease = "scanner"

	// progressInterval is how often a scan's progress is written, and read by those who ask.
	progressInterval = 500 * time.Millisecond

	// scanRetry is how long a request that the scanner refused waits for the next attempt.
	scanRetry = 5 * time.Second

	// watchInterval is how often those who watch a scan are told, at most.
	watchInterval = 250 * time.Millisecond
)

// leased reports whether a lease decides which node scans.
func (c *Catalog) leased() bool { return c.scanner != nil && !c.cfg.SoleWriter }

// tell wakes whoever waits on toldOf.
func (c *Catalog) tell() {
	d := &c.duty
	d.mu.Lock()
	close(d.told)
	d.told = make(chan struct{})
	d.mu.Unlock()
}

func (c *Catalog) toldOf() <-chan struct{} {
	c.duty.mu.Lock()
	defer c.duty.mu.Unlock()
	return c.duty.told
}

func (c *Catalog) state() state {
	m := c.current()
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state
}

// mayScan returns KindConflict where another node's scans are the ones that count. The caller holds writing.
func (c *Catalog) mayScan(m *model) error {
	if c.cfg.SoleWriter || m.state.Fence == c.duty.fence.Load() {
		return nil
	}
	return tutti.Errorf(tutti.KindConflict, "catalog.Apply", "another node scans now")
}

// stillScans is mayScan for what is not in the log, after a look at it.
func (c *Catalog) stillScans(ctx context.Context) error {
	if c.cfg.SoleWriter {
		return nil
	}
	if err := c.writing.lock(ctx); err != nil {
		return err
	}
	defer c.writing.unlock()
	if err := c.refreshLocked(ctx); err != nil {
		return err
	}
	return c.mayScan(c.current())
}

// announce appends a notice. said is asked before each attempt whether that is still to be done. The caller holds
// writing.
func (c *Catalog) announce(ctx context.Context, n *notice, said func(*state) (bool, error)) error {
	const op = "catalog: tell the other nodes"
	value, err := n.encode()
	if err != nil {
		return tutti.Wrap(tutti.KindInternal, op, err)
	}
	const tries = 32 // beside a scan that appends all the time
	for range tries {
		m := c.current()
		if done, err := said(&m.state); done || err != nil {
			return err
		}
		switch err := c.journal.append(ctx, m.seq, value); {
		case err == nil:
			c.advance(m, m.seq+1, n)
			return nil
		case !tutti.IsKind(err, tutti.KindConflict):
			return err
		}
		if err := c.refreshLocked(ctx); err != nil {
			return err
		}
	}
	return tutti.Errorf(tutti.KindConflict, op, "other nodes keep changing the catalogue")
}

// takeTurns scans whenever it is this node's turn, until ctx ends.
func (c *Catalog) takeTurns(ctx context.Context) error {
	// Past the guard: the lease has times of its own.
	return lease.Keep(ctx, lease.Config{
		Store: c.cfg.Store, Clock: c.clock, Name: scannerLease, Holder: c.cfg.Node, TTL: c.cfg.Tuning.ScanLease,
	}, c.log, c.scanHere)
}

// scanHere is this node's turn: it runs the scanner, tells the others how it gets on, and writes the snapshots.
func (c *Catalog) scanHere(ctx context.Context, fence uint64) error {
	if err := c.assume(ctx, fence); err != nil {
		return err
	}
	defer func() {
		c.duty.fence.Store(0)
		c.tell()
	}()
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() { c.snapshots(ctx) })
	wg.Go(func() { c.listen(ctx) })
	wg.Go(func() { c.handOver(ctx) })
	wg.Go(func() { c.publish(ctx, fence) })
	return c.scanner.Run(ctx)
}

// assume makes this node the one whose changes count.
func (c *Catalog) assume(ctx context.Context, fence uint64) error {
	if err := c.writing.lock(ctx); err != nil {
		return err
	}
	defer c.writing.unlock()
	err := c.announce(ctx, &notice{Fence: fence}, func(s *state) (bool, error) {
		if s.Fence > fence {
			return false, tutti.Errorf(tutti.KindConflict, "catalog: scan", "another node has taken over")
		}
		return s.Fence == fence, nil // an attempt of which the answer was lost
	})
	if err != nil {
		return err
	}
	c.duty.began.Store(c.clock.Now().UnixNano())
	c.duty.handed.Store(0)
	c.duty.fence.Store(fence)
	c.tell()
	return nil
}

// handOver hands the requests of all nodes to the scanner, and goes on with a scan that another node did not finish.
func (c *Catalog) handOver(ctx context.Context) {
	for unfinished := true; ; {
		told := c.toldOf()
		s := c.state()
		begun := true
		switch {
		case s.asked() && s.Ask > c.duty.handed.Load():
			if begun = c.scan(ctx, s.Full); begun { // else it is not done when the scanner has nothing left to do
				c.duty.handed.Store(s.Ask)
			}
		case unfinished && s.Status.Scanning:
			begun = c.scan(ctx, false)
		}
		if !begun {
			if clock.Sleep(ctx, c.clock, scanRetry) != nil {
				return
			}
			continue
		}
		unfinished = false
		select {
		case <-told:
		case <-ctx.Done():
			return
		}
	}
}

// scan asks the scanner for a scan, and reports whether it will be.
func (c *Catalog) scan(ctx context.Context, full bool) bool {
	_, err := c.scanner.Scan(ctx, full)
	if err != nil && ctx.Err() == nil {
		c.log.ErrorContext(ctx, "a scan that was asked for does not begin", "err", err, "again in", scanRetry)
	}
	return err == nil
}

// publish tells the other nodes how this one's scans get on.
func (c *Catalog) publish(ctx context.Context, fence uint64) {
	wake := make(chan struct{}, 1)
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() {
		err := c.scanner.Watch(ctx, func(tutti.ScanStatus) error {
			c.tell()
			select {
			case wake <- struct{}{}:
			default:
			}
			return nil
		})
		if ctx.Err() == nil {
			c.log.ErrorContext(ctx, "the scanner cannot be watched", "err", err)
		}
	})
	var last tutti.ScanStatus
	for {
		told := c.toldOf()
		err := c.publishOnce(ctx, fence, &last)
		switch {
		case ctx.Err() != nil || tutti.IsKind(err, tutti.KindConflict):
			return
		case err != nil:
			c.log.WarnContext(ctx, "the other nodes cannot be told how the scan gets on", "err", err)
			select { // and try again
			case wake <- struct{}{}:
			default:
			}
		}
		if clock.Sleep(ctx, c.clock, progressInterval) != nil {
			return
		}
		select {
		case <-wake:
		case <-told: // of a request that was handed over and done before anybody looked
		case <-ctx.Done():
			return
		}
	}
}

func (c *Catalog) publishOnce(ctx context.Context, fence uint64, last *tutti.ScanStatus) error {
	// In this order: what was handed over when the scanner has nothing left to do is done, and the status says how it went.
	handed := c.duty.handed.Load()
	idle := !c.scanner.Outstanding()
	st, fresh := c.localStatus()
	known := c.state()
	n := &notice{}
	switch served := idle && handed > known.Served; {
	case fresh && st.Scanning && !(known.Status.Scanning && known.Status.Started.Equal(st.Started)):
		n.Status = &st
	case fresh && !st.Scanning && !known.Status.Finished.Equal(st.Finished), served:
		if fresh {
			n.Status = &st
		}
		if served {
			n.Served = handed
		}
	case fresh && st.Scanning && st != *last:
		*last = st
		return c.putJSON(ctx, "catalog: tell how a scan gets on", progressKey, progress{fence, st}, time.Time{}, store.Always)
	default:
		return nil
	}
	if err := c.writing.lock(ctx); err != nil {
		return err
	}
	defer c.writing.unlock()
	return c.announce(ctx, n, func(s *state) (bool, error) {
		if s.Fence != fence {
			return false, tutti.Errorf(tutti.KindConflict, "catalog: scan", "another node has taken over")
		}
		return false, nil
	})
}

// localStatus is the scanner's status. It is fresh where it is of a scan that began since this node's turn did.
func (c *Catalog) localStatus() (st tutti.ScanStatus, fresh bool) {
	st = c.scanner.Status()
	return st, !st.Started.IsZero() && st.Started.UnixNano() >= c.duty.began.Load()
}

// sharedStatus is how the latest scan gets on, wherever it is.
func (c *Catalog) sharedStatus(ctx context.Context) tutti.ScanStatus {
	s := c.state()
	st := s.Status
	switch {
	case c.duty.fence.Load() != 0:
		if local, fresh := c.localStatus(); fresh {
			st = local
		}
	case st.Scanning:
		st = c.progressOf(ctx, &s)
	}
	if s.asked() && !st.Scanning {
		st = tutti.ScanStatus{Scanning: true, Phase: "listing"} // as good as
	}
	return st
}

// progressOf asks how far another node's scan has got; where that cannot be had, it is what was last known.
func (c *Catalog) progressOf(ctx context.Context, s *state) tutti.ScanStatus {
	d := &c.duty
	if d.asking.lock(ctx) != nil {
		return s.Status
	}
	defer d.asking.unlock()
	if now := c.clock.Now(); d.read.IsZero() || now.Sub(d.read) >= progressInterval {
		var p progress
		switch _, ok, err := c.getJSON(ctx, "catalog.ScanStatus", progressKey, &p); {
		case err != nil && !tutti.IsKind(err, tutti.KindUnavailable):
			c.log.WarnContext(ctx, "how the scan gets on cannot be read", "err", err)
		case ok:
			d.progress = p
		}
		d.read = now
	}
	if d.progress.Fence == s.Fence && d.progress.Status.Started.Equal(s.Status.Started) {
		return d.progress.Status
	}
	return s.Status
}

// lastScan is when the latest scan ended.
func (c *Catalog) lastScan(m *model) time.Time {
	switch {
	case !c.cfg.SoleWriter:
		return m.state.Status.Finished
	case c.scanner != nil:
		return c.scanner.Status().Finished
	}
	return time.Time{}
}

// ---- tutti.Scanner ----

// Scan asks for a scan, or joins the one that is under way or asked for already, and returns at once. Among several
// nodes the request is kept in the log until it has been done, whichever node does it.
func (c *Catalog) Scan(ctx context.Context, full bool) (tutti.ScanStatus, error) {
	if c.cfg.SoleWriter {
		if c.scanner == nil {
			return tutti.ScanStatus{}, tutti.Errorf(tutti.KindUnavailable, "catalog.Scan", "this node does not scan; ask the one that does")
		}
		s, err := c.scanner.Scan(ctx, full)
		return c.withCount(s), err
	}
	if err := c.ask(ctx, full); err != nil {
		return tutti.ScanStatus{}, err
	}
	return c.withCount(c.sharedStatus(ctx)), nil
}

func (c *Catalog) ask(ctx context.Context, full bool) error {
	if err := c.writing.lock(ctx); err != nil {
		return err
	}
	defer c.writing.unlock()
	// A request that this node knows of and that has been done by now is not to be joined.
	if err := c.refreshLocked(ctx); err != nil {
		return err
	}
	return c.announce(ctx, &notice{Ask: true, Full: full}, func(s *state) (bool, error) {
		return s.asked() && (s.Full || !full), nil
	})
}

// ScanStatus says how the latest scan gets on, on whichever node it runs.
func (c *Catalog) ScanStatus(ctx context.Context) (tutti.ScanStatus, error) {
	switch {
	case !c.cfg.SoleWriter:
		return c.withCount(c.sharedStatus(ctx)), nil
	case c.scanner == nil:
		return c.withCount(tutti.ScanStatus{Phase: "done"}), nil
	}
	return c.withCount(c.scanner.Status()), nil
}

// WatchScan calls fn with the status now and after every change.
func (c *Catalog) WatchScan(ctx context.Context, fn func(tutti.ScanStatus) error) error {
	switch {
	case !c.cfg.SoleWriter:
		return c.watchShared(ctx, fn)
	case c.scanner == nil:
		if err := fn(c.withCount(tutti.ScanStatus{Phase: "done"})); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}
	return c.scanner.Watch(ctx, func(s tutti.ScanStatus) error { return fn(c.withCount(s)) })
}

// until returns a context that ends after d as well. The caller calls stop.
func (c *Catalog) until(ctx context.Context, d time.Duration) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	t := c.clock.AfterFunc(d, cancel)
	return ctx, func() {
		t.Stop()
		cancel()
	}
}

func (c *Catalog) watchShared(ctx context.Context, fn func(tutti.ScanStatus) error) error {
	var last tutti.ScanStatus
	for first := true; ; first = false {
		told := c.toldOf()
		st := c.withCount(c.sharedStatus(ctx))
		if first || st != last {
			last = st
			if err := fn(st); err != nil {
				return err
			}
		}
		// Only the progress of another node's scan has to be asked for.
		wait := ctx
		stop := func() {}
		if st.Scanning && c.duty.fence.Load() == 0 {
			wait, stop = c.until(ctx, progressInterval)
		}
		select {
		case <-told:
		case <-wait.Done():
		}
		stop()
		if err := clock.Sleep(ctx, c.clock, watchInterval); err != nil {
			return err
		}
	}
}
