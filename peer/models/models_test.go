package models_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tutti"
	"tutti/clock"
	"tutti/metacodec"
	"tutti/metacodec/metacodectest"
	"tutti/peer/models"
	"tutti/store"
	"tutti/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var begun = time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)

// process is one of several that share a store.
type process struct {
	*models.Models
	learnt atomic.Int32 // how often it said that it reads something new
}

func newProcess(t testing.TB, s store.Store, c clock.Clock, follow bool) *process {
	t.Helper()
	p := &process{}
	p.Models = models.New(models.Config{
		Store: s, Clock: c, Logger: slog.New(slog.DiscardHandler), Follow: follow,
		Changed: func(context.Context) { p.learnt.Add(1) },
	})
	return p
}

// run runs the process until the test ends.
func (p *process) run(t testing.TB) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func openStore(t testing.TB) (store.Store, *clock.Fake) {
	t.Helper()
	c := clock.NewFake(begun)
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "db"), sqlite.Options{Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, c
}

func fileOf(t testing.TB, m *metacodec.Model) []byte {
	t.Helper()
	b, err := m.File()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// eventually waits for what another goroutine does.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come to pass", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestRollOut: an operator's model is added, and used; who runs follows, and who starts later has it at once; the
// program's own comes back when it is chosen again.
func TestRollOut(t *testing.T) {
	s, c := openStore(t)
	model := metacodectest.Model(t, "own")
	operator := newProcess(t, s, c, false)
	about, err := operator.Add(t.Context(), fileOf(t, model))
	if err != nil || about.ID != model.ID() || about.Name != "own" {
		t.Fatal(about, err)
	}
	list, err := operator.List(t.Context())
	if err != nil || len(list) != 3 || !list[0].Used || !list[0].Within || !list[1].Within || list[2].ID != model.ID() || list[2].Used {
		t.Fatalf("%+v, %v", list, err)
	}
	if err := operator.Use(t.Context(), model.ID()); err != nil {
		t.Fatal(err)
	}
	if operator.Current() != nil || len(operator.All().IDs()) != 0 {
		t.Error("a process that does not write with a model has one in memory")
	}

	node := newProcess(t, s, c, true)
	node.run(t)
	eventually(t, "the model in use", func() bool { m := node.Current(); return m != nil && m.ID() == model.ID() })
	if node.learnt.Load() != 1 {
		t.Errorf("it told the others %d times", node.learnt.Load())
	}
	if m := node.Best([]metacodec.ModelID{{1}, model.ID()}); m == nil || m.ID() != model.ID() {
		t.Error("it does not write with the model for somebody who has it")
	}
	if m := node.Best([]metacodec.ModelID{{1}}); m != nil {
		t.Error("it writes with a model that the other has not named")
	}

	another := metacodectest.Model(t, "another")
	if _, err := operator.Add(t.Context(), fileOf(t, another)); err != nil {
		t.Fatal(err)
	}
	if err := operator.Use(t.Context(), another.ID()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the next model", func() bool {
		c.Advance(time.Minute)
		return node.Current().ID() == another.ID()
	})
	if err := operator.Use(t.Context(), metacodec.DefaultID()); err != nil {
		t.Fatal(err)
	}
	if id, err := operator.Used(t.Context()); err != nil || id != metacodec.DefaultID() {
		t.Error(id, err)
	}
}

// TestMet: a model that is met is fetched; one that is nowhere, or damaged, is an error that says what to do, and is not
// asked for with every message.
func TestMet(t *testing.T) {
	s, c := openStore(t)
	model := metacodectest.Model(t, "own")
	counting := &counter{Store: s}
	node := newProcess(t, counting, c, false)
	node.run(t)
	if err := node.Find(t.Context(), model.ID().Tag()); !tutti.IsKind(err, tutti.KindNotFound) {
		t.Errorf("a model that is nowhere: %v", err)
	}
	if missing, ok := errors.AsType[*metacodec.UnknownModelError](node.Find(t.Context(), model.ID().Tag())); !ok || missing.Tag != model.ID().Tag() {
		t.Error("it does not say which")
	}
	if _, err := node.Get(t.Context(), model.ID()); !tutti.IsKind(err, tutti.KindNotFound) {
		t.Errorf("a model that is nowhere: %v", err)
	}
	before := counting.gets.Load()
	for range 5 { // it is heard of with every message
		node.Want(model.ID())
	}
	node.Want(metacodec.ModelID{9}) // looked for after all that was wanted before
	eventually(t, "a look for another model", func() bool { return counting.gets.Load() > before })
	if n := counting.gets.Load() - before; n != 1 {
		t.Errorf("%d looks at once after the model was not to be had", n)
	}
	before = counting.gets.Load()
	if _, err := newProcess(t, s, c, false).Add(t.Context(), fileOf(t, model)); err != nil {
		t.Fatal(err)
	}
	c.Advance(time.Hour)
	node.Want(model.ID())
	eventually(t, "the model", func() bool { return node.All().Get(model.ID()) != nil })
	if n := counting.gets.Load() - before; n > 3 { // what is known of it, and its pieces
		t.Errorf("%d reads", n)
	}
	if err := node.Find(t.Context(), model.ID().Tag()); err != nil {
		t.Error(err)
	}

	page, err := s.Query(t.Context(), "model#"+model.ID().String(), "", "", 10)
	if err != nil || len(page.Items) == 0 {
		t.Fatal(err)
	}
	piece := page.Items[0]
	if _, err := s.Put(t.Context(), piece.Key, bytes.Repeat([]byte{7}, len(piece.Value)), time.Time{}, store.Always); err != nil {
		t.Fatal(err)
	}
	late := newProcess(t, s, c, false)
	_, err = late.Get(t.Context(), model.ID())
	if err == nil || !strings.Contains(tutti.Message(err), "tutti model add") {
		t.Errorf("a damaged model: %v", err)
	}
	if err := late.Use(t.Context(), model.ID()); err == nil {
		t.Error("a damaged model is used")
	}
	if _, err := late.Add(t.Context(), fileOf(t, model)); err != nil { // mends it
		t.Fatal(err)
	}
	if _, err := late.Get(t.Context(), model.ID()); err != nil {
		t.Error(err)
	}
	if _, err := late.Add(t.Context(), []byte("no model")); !tutti.IsKind(err, tutti.KindInvalid) {
		t.Errorf("a file that is no model: %v", err)
	}
}

// counter counts reads of single items.
type counter struct {
	store.Store
	gets atomic.Int32
}

func (c *counter) Get(ctx context.Context, k store.Key) (store.Item, error) {
	c.gets.Add(1)
	return c.Store.Get(ctx, k)
}

// patient is a store whose first reading of a model begins, and ends only with its context.
type patient struct {
	store.Store
	taken atomic.Bool
	begun chan struct{}
}

func (p *patient) Get(ctx context.Context, k store.Key) (store.Item, error) {
	if strings.HasPrefix(k.SK, "model#") && p.taken.CompareAndSwap(false, true) {
		close(p.begun)
		<-ctx.Done()
		return store.Item{}, ctx.Err()
	}
	return p.Store.Get(ctx, k)
}

// TestWhoAskedFirstLeaves: a model that two ask for at once is had by the second, though the first does not wait for it.
func TestWhoAskedFirstLeaves(t *testing.T) {
	s, c := openStore(t)
	model := metacodectest.Model(t, "own")
	if _, err := newProcess(t, s, c, false).Add(t.Context(), fileOf(t, model)); err != nil {
		t.Fatal(err)
	}
	held := &patient{Store: s, begun: make(chan struct{})}
	p := newProcess(t, held, c, false)
	impatient, leave := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { _, err := p.Get(impatient, model.ID()); first <- err }()
	<-held.begun
	asks := make(chan struct{})
	go func() {
		close(asks)
		m, err := p.Get(t.Context(), model.ID())
		if err == nil && m == nil {
			err = errors.New("it is none")
		}
		second <- err
	}()
	<-asks
	for range 1000 {
		runtime.Gosched() // it most likely waits by now; if not, it asks anew and has it as well
	}
	leave()
	if err := <-first; err == nil {
		t.Error("who left has it")
	}
	if err := <-second; err != nil {
		t.Errorf("who waited: %v", err)
	}
}
