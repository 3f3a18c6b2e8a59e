package carbon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tutti"
	"tutti/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var midnight = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// hours is a series of an hour a value, from midnight.
func hours(t testing.TB, grams ...float64) Series {
	t.Helper()
	var points []Point
	for i, g := range grams {
		from := midnight.Add(time.Duration(i) * time.Hour)
		points = append(points, Point{From: from, To: from.Add(time.Hour), Grams: g, Forecast: true})
	}
	s, err := newSeries(points)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// outlook is a prediction that a test changes.
type outlook struct {
	mu     sync.Mutex
	series Series
	err    error
	asked  int
}

func (o *outlook) Outlook(context.Context) (Series, Source, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked++
	return o.series, Source{Name: "the test"}, o.err
}

func (o *outlook) set(s Series, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.series, o.err = s, err
}

// book keeps promises in memory. Several schedulers of a test share one.
type book struct {
	mu       sync.Mutex
	promises map[string]tutti.JobStatus
	history  []tutti.JobStatus
	writes   int
	settled  *sync.Cond
}

func newBook() *book {
	b := &book{promises: map[string]tutti.JobStatus{}}
	b.settled = sync.NewCond(&b.mu)
	return b
}

func (b *book) Promised(_ context.Context, name string, _ bool) (tutti.JobStatus, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if st, ok := b.promises[name]; ok {
		return st, nil
	}
	return tutti.JobStatus{}, tutti.Errorf(tutti.KindNotFound, "test", "no promise")
}

func (b *book) Promise(_ context.Context, st tutti.JobStatus, _ bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.promises[st.Name] = st
	b.writes++
	b.settled.Broadcast()
	return nil
}

func (b *book) Settle(_ context.Context, st tutti.JobStatus, _ bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.promises, st.Name)
	b.history = append(b.history, st)
	b.writes++
	b.settled.Broadcast()
	return nil
}

func (b *book) Jobs(context.Context) ([]tutti.JobStatus, error) { return nil, nil }

func (b *book) JobHistory(context.Context, int) ([]tutti.JobStatus, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := slices.Clone(b.history)
	slices.Reverse(out)
	return out, nil
}

// await waits until the book is as fn wants it.
func (b *book) await(fn func() bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !fn() {
		b.settled.Wait()
	}
}

func (b *book) ended(n int) []tutti.JobStatus {
	b.await(func() bool { return len(b.history) >= n })
	return b.history
}

// bench is a scheduler that runs by a clock of its own.
type bench struct {
	*Scheduler
	clock   *clock.Fake
	outlook *outlook
	book    *book
}

func start(t *testing.T, at time.Time, series Series, change func(*SchedulerConfig)) *bench {
	t.Helper()
	b := &bench{clock: clock.NewFake(at), outlook: &outlook{series: series}, book: newBook()}
	c := SchedulerConfig{Clock: b.clock, Logger: slog.New(slog.DiscardHandler), Outlook: b.outlook, Book: b.book}
	if change != nil {
		change(&c)
	}
	b.Scheduler = NewScheduler(c)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := b.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	return b
}

func job(name string, d, within time.Duration, run func(context.Context) error) tutti.Job {
	if run == nil {
		run = func(context.Context) error { return nil }
	}
	return tutti.Job{Name: name, Kind: tutti.JobBackup, Energy: 18_000, Duration: d, Deadline: midnight.Add(within), Run: run}
}

func TestWaitsForTheCleanestHour(t *testing.T) {
	b := start(t, midnight.Add(30*time.Minute), hours(t, 241, 241, 230, 220, 156, 156, 240, 240), nil)
	if err := b.HandOver(t.Context(), job("backup", time.Hour, 8*time.Hour, nil)); err != nil {
		t.Fatal(err)
	}
	b.book.await(func() bool { return len(b.book.promises) == 1 })
	list, err := b.Jobs(t.Context())
	if err != nil || len(list) != 1 || list[0].State != tutti.JobWaiting || !list[0].Start.Equal(midnight.Add(4*time.Hour)) {
		t.Fatalf("it is to begin at %v, %v", list, err)
	}
	b.clock.WaitForTimers(1)
	b.clock.Advance(3*time.Hour + 29*time.Minute)
	if len(b.book.history) != 0 {
		t.Fatal("it began too early")
	}
	b.clock.WaitForTimers(1)
	b.clock.Advance(time.Minute)
	st := b.book.ended(1)[0]
	if want := "waited 3 h 30 min: 241 → 156 g/kWh, saved 0.4 g"; st.Why != want || st.State != tutti.JobDone || st.Source != "the test" {
		t.Errorf("%q, want %q: %+v", st.Why, want, st)
	}
}

func TestWaitsForNothingLess(t *testing.T) {
	for name, c := range map[string]struct {
		series Series
		err    error
		why    string
	}{
		"five percent":   {hours(t, 100, 95.1, 96, 97), nil, "no cleaner hour before its deadline saves 5 %: 100 g/kWh"},
		"after it":       {hours(t, 100, 100, 100, 100, 10), nil, "no cleaner hour before its deadline saves 5 %: 100 g/kWh"},
		"short forecast": {hours(t, 100)[:0], nil, "ran at once: the forecast of the grid does not reach far enough"},
		"no forecast":    {nil, tutti.Errorf(tutti.KindUnavailable, "test", "the feed is away"), "ran at once: there was no forecast of the grid (the feed is away)"},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, midnight, c.series, nil)
			b.outlook.set(c.series, c.err)
			if err := b.HandOver(t.Context(), job("backup", time.Hour, 4*time.Hour, nil)); err != nil {
				t.Fatal(err)
			}
			if st := b.book.ended(1)[0]; st.Why != c.why || !st.Start.Equal(midnight) {
				t.Errorf("%v %q, want %q", st.Start, st.Why, c.why)
			}
		})
	}
}

func TestFeedLostWhileWaiting(t *testing.T) {
	b := start(t, midnight, hours(t, 300, 300, 100, 300, 300), nil)
	if err := b.HandOver(t.Context(), job("backup", time.Hour, 5*time.Hour, nil)); err != nil {
		t.Fatal(err)
	}
	b.clock.WaitForTimers(1)
	b.outlook.set(nil, errors.New("away"))
	b.clock.Advance(2 * time.Hour)
	if st := b.book.ended(1)[0]; !st.Start.Equal(midnight.Add(2*time.Hour)) || st.State != tutti.JobDone {
		t.Errorf("what was planned does not stand: %+v", st)
	}
}

func TestNeverLate(t *testing.T) {
	// The cleanest hour is the last that the deadline allows, and another job is at work then.
	b := start(t, midnight, hours(t, 300, 290, 280, 270, 100, 300), nil)
	gate := make(chan struct{})
	long := job("long", 5*time.Hour, 5*time.Hour, func(ctx context.Context) error {
		select {
		case <-gate:
		case <-ctx.Done():
		}
		return ctx.Err()
	})
	if err := b.HandOver(t.Context(), long); err != nil {
		t.Fatal(err)
	}
	b.book.await(func() bool { return b.book.promises["long"].State == tutti.JobRunning })
	if err := b.HandOver(t.Context(), job("short", time.Hour, 5*time.Hour, nil)); err != nil {
		t.Fatal(err)
	}
	b.clock.WaitForTimers(1)
	b.clock.Advance(4 * time.Hour)
	if st := b.book.ended(1)[0]; st.Name != "short" || !st.Start.Equal(midnight.Add(4*time.Hour)) {
		t.Errorf("%+v", st)
	}
	close(gate)
	b.book.ended(2)
}

func TestOneAtATime(t *testing.T) {
	b := start(t, midnight, nil, func(c *SchedulerConfig) { c.Outlook = nil })
	var mu sync.Mutex
	at, most := 0, 0
	for _, name := range []string{"a", "b", "c", "d"} {
		if err := b.HandOver(t.Context(), job(name, time.Minute, 24*time.Hour, func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			at++
			most = max(most, at)
			mu.Unlock()
			mu.Lock()
			at--
			return nil
		})); err != nil {
			t.Fatal(err)
		}
	}
	for _, st := range b.book.ended(4) {
		if st.Why != "ran at once: no forecast of the grid is configured" {
			t.Error(st.Why)
		}
	}
	if most != 1 {
		t.Errorf("%d at once", most)
	}
}

// TestRestsWhenAllHaveEnded: what jobs needed is given back once none of them runs.
func TestRestsWhenAllHaveEnded(t *testing.T) {
	var b *bench
	begun, gate, rests := make(chan struct{}), make(chan struct{}), make(chan int, 2)
	b = start(t, midnight, nil, func(c *SchedulerConfig) {
		c.Outlook = nil
		c.Rest = func(context.Context) {
			b.book.mu.Lock()
			defer b.book.mu.Unlock()
			rests <- len(b.book.history)
		}
	})
	for i, within := range []time.Duration{24 * time.Hour, -time.Hour} { // one that is late begins while another runs
		if err := b.HandOver(t.Context(), job([]string{"first", "late"}[i], time.Minute, within, func(context.Context) error {
			begun <- struct{}{}
			<-gate
			return nil
		})); err != nil {
			t.Fatal(err)
		}
		<-begun
	}
	gate <- struct{}{}
	b.book.ended(1)
	gate <- struct{}{}
	b.book.ended(2)
	if n := <-rests; n != 2 {
		t.Errorf("it rested after %d of 2", n)
	}
}

func TestPromiseOutlivesTheProcess(t *testing.T) {
	series := hours(t, 300, 300, 300, 300, 100, 300, 300, 300)
	b := start(t, midnight, series, nil)
	if err := b.HandOver(t.Context(), job("backup", time.Hour, 5*time.Hour, nil)); err != nil {
		t.Fatal(err)
	}
	b.book.await(func() bool { return len(b.book.promises) == 1 })
	// The next process is given a later deadline, as owners count from their start.
	later := start(t, midnight.Add(time.Hour), series, func(c *SchedulerConfig) { c.Book = b.book })
	if err := later.HandOver(t.Context(), job("backup", time.Hour, 8*time.Hour, nil)); err != nil {
		t.Fatal(err)
	}
	list, err := later.Jobs(t.Context())
	if err != nil || len(list) != 1 || !list[0].Deadline.Equal(midnight.Add(5*time.Hour)) || !list[0].Given.Equal(midnight) {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestInterruptedIsNotForgotten(t *testing.T) {
	b := newBook()
	s := NewScheduler(SchedulerConfig{Clock: clock.NewFake(midnight), Logger: slog.New(slog.DiscardHandler), Book: b})
	ctx, stop := context.WithCancel(t.Context())
	if err := s.HandOver(ctx, job("train", time.Hour, 8*time.Hour, func(ctx context.Context) error {
		stop()
		<-ctx.Done()
		return ctx.Err()
	})); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if st, err := b.Promised(t.Context(), "train", false); err != nil || st.State != tutti.JobWaiting || len(b.history) != 0 {
		t.Errorf("%+v, %v, %v", st, err, b.history)
	}
}

func TestCancel(t *testing.T) {
	b := start(t, midnight, hours(t, 300, 300, 100, 300, 300), nil)
	if err := b.HandOver(t.Context(), job("waits", time.Hour, 5*time.Hour, func(context.Context) error { t.Error("it ran"); return nil })); err != nil {
		t.Fatal(err)
	}
	if err := b.Cancel(t.Context(), "waits"); err != nil {
		t.Fatal(err)
	}
	if st := b.book.ended(1)[0]; st.State != tutti.JobCancelled {
		t.Errorf("%+v", st)
	}
	begun := make(chan struct{})
	if err := b.HandOver(t.Context(), job("runs", 5*time.Hour, 5*time.Hour, func(ctx context.Context) error { close(begun); <-ctx.Done(); return ctx.Err() })); err != nil {
		t.Fatal(err)
	}
	<-begun
	if err := b.Cancel(t.Context(), "runs"); err != nil {
		t.Fatal(err)
	}
	if st := b.book.ended(2)[1]; st.State != tutti.JobCancelled || st.Name != "runs" {
		t.Errorf("%+v", st)
	}
	if err := b.Cancel(t.Context(), "runs"); !tutti.IsKind(err, tutti.KindNotFound) {
		t.Error(err)
	}
}

func TestFailureIsTold(t *testing.T) {
	b := start(t, midnight, nil, nil)
	if err := b.HandOver(t.Context(), job("backup", time.Hour, 5*time.Hour, func(context.Context) error {
		return tutti.Errorf(tutti.KindExhausted, "test", "the disk is full")
	})); err != nil {
		t.Fatal(err)
	}
	if st := b.book.ended(1)[0]; st.State != tutti.JobFailed || st.Problem != "the disk is full" {
		t.Errorf("%+v", st)
	}
}

// TestSharedRunsOnce has two processes of a fleet handed the same job, of which one is at it while the other tries.
func TestSharedRunsOnce(t *testing.T) {
	shared := newBook()
	var mu sync.Mutex
	held := false
	alone := func(ctx context.Context, _ string, fn func(context.Context) error) error {
		mu.Lock()
		if held {
			mu.Unlock()
			return tutti.Errorf(tutti.KindConflict, "test", "held")
		}
		held = true
		mu.Unlock()
		err := fn(ctx)
		mu.Lock()
		held = false
		mu.Unlock()
		return err
	}
	config := func(node string) func(*SchedulerConfig) {
		return func(c *SchedulerConfig) { c.Book, c.Alone, c.Node, c.Outlook = shared, alone, node, nil }
	}
	one, two := start(t, midnight, nil, config("one")), start(t, midnight, nil, config("two"))
	gate, ran := make(chan struct{}), make(chan string, 2)
	hand := func(b *bench, name string) {
		j := job("enrich", time.Hour, 24*time.Hour, func(context.Context) error { ran <- name; <-gate; return nil })
		j.Shared = true
		if err := b.HandOver(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	hand(one, "one")
	if who := <-ran; who != "one" {
		t.Fatal(who)
	}
	hand(two, "two")
	two.clock.WaitForTimers(1) // it has found the other at it
	close(gate)
	shared.ended(1)
	two.clock.Advance(contend)
	for {
		list, err := two.Jobs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	select {
	case who := <-ran:
		t.Errorf("%s did it again", who)
	default:
	}
}

func TestIdleHoldsNoTimer(t *testing.T) {
	b := start(t, midnight, nil, nil)
	if err := b.HandOver(t.Context(), job("backup", time.Hour, 5*time.Hour, nil)); err != nil {
		t.Fatal(err)
	}
	b.book.ended(1)
	writes, asked := b.book.writes, b.outlook.asked
	b.clock.Advance(30 * 24 * time.Hour)
	if b.book.writes != writes || b.outlook.asked != asked {
		t.Errorf("%d writes and %d questions of an idle scheduler", b.book.writes-writes, b.outlook.asked-asked)
	}
}

func TestHandOverRefuses(t *testing.T) {
	s := NewScheduler(SchedulerConfig{Clock: clock.NewFake(midnight), Logger: slog.New(slog.DiscardHandler)})
	for _, change := range []func(*tutti.Job){
		func(j *tutti.Job) { j.Name = "" },
		func(j *tutti.Job) { j.Kind = "" },
		func(j *tutti.Job) { j.Run = nil },
		func(j *tutti.Job) { j.Energy = -1 },
		func(j *tutti.Job) { j.Duration = -1 },
	} {
		j := job("backup", time.Hour, time.Hour, nil)
		change(&j)
		if err := s.HandOver(t.Context(), j); !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("%+v: %v", j, err)
		}
	}
}
