package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
)

// hold keeps the writer busy until the returned function is called.
func (s *Store) hold(t *testing.T) (release func()) {
	t.Helper()
	holding, done := make(chan struct{}), make(chan struct{})
	finished := make(chan error, 1)
	go func() {
		finished <- s.submit(context.Background(), "hold", 0, func(*conn) error {
			close(holding)
			<-done
			return nil
		})
	}()
	<-holding
	return func() {
		close(done)
		if err := <-finished; err != nil {
			t.Error(err)
		}
	}
}

// queued waits until n writes wait for the writer.
func (s *Store) queued(n int) {
	for len(s.writes) < n {
		<-clock.System.NewTimer(time.Millisecond).C()
	}
}

// TestWithdrawnWrites: a write whose caller gives up before it is taken does not happen.
func TestWithdrawnWrites(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "tutti.db"), clock.System)
	release := s.hold(t)
	ctx, cancel := context.WithCancel(t.Context())
	gone, stays := make(chan error), make(chan error)
	go func() {
		_, err := s.Put(ctx, store.Key{PK: "p", SK: "gone"}, nil, time.Time{}, store.Always)
		gone <- err
	}()
	go func() {
		_, err := s.Put(t.Context(), store.Key{PK: "p", SK: "stays"}, []byte("v"), time.Time{}, store.Always)
		stays <- err
	}()
	s.queued(2)
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the write that was given up: %v", err)
	}
	release()
	if err := <-stays; err != nil {
		t.Fatal(err)
	}
	if get(t, s, "stays") != "v" {
		t.Error("the other one did not happen")
	}
	if _, err := s.Get(t.Context(), store.Key{PK: "p", SK: "gone"}); !tutti.IsKind(err, tutti.KindNotFound) {
		t.Errorf("the one that was given up has happened: %v", err)
	}
}

// TestGroup: writes that wait together are committed together, each with its own outcome.
func TestGroup(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "tutti.db"), clock.System)
	put(t, s, "taken", "v")
	release := s.hold(t)
	const n = 20
	outcomes := make(chan error)
	for i := range n {
		go func() {
			sk := fmt.Sprint(i)
			if i%2 == 0 {
				sk = "taken"
			}
			_, err := s.Put(t.Context(), store.Key{PK: "p", SK: sk}, nil, time.Time{}, store.IfAbsent)
			if i%2 == 0 == tutti.IsKind(err, tutti.KindConflict) {
				err = nil
			} else {
				err = fmt.Errorf("%q: %w", sk, err)
			}
			outcomes <- err
		}()
	}
	s.queued(n)
	before := s.Stats()
	release()
	for range n {
		if err := <-outcomes; err != nil {
			t.Error(err)
		}
	}
	after := s.Stats()
	if after.Commits-before.Commits != 2 || after.Writes-before.Writes != n+1 { // the one that held the writer, and the group
		t.Errorf("from %+v to %+v for %d writes", before, after, n)
	}
}

// TestEngineFailure: when the engine fails in one write, the group is undone, everybody hears of it, and the next
// write works.
func TestEngineFailure(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "tutti.db"), clock.System)
	release := s.hold(t)
	outcomes := make(chan error)
	go func() {
		_, err := s.Put(t.Context(), store.Key{PK: "p", SK: "innocent"}, nil, time.Time{}, store.Always)
		outcomes <- err
	}()
	s.queued(1)
	go func() {
		outcomes <- s.submit(t.Context(), "fail", 0, func(c *conn) error {
			_, err := c.exec(`INSERT INTO items (pk, sk, value, version, expires) VALUES (NULL, '', x'', 1, 0)`)
			return err
		})
	}()
	s.queued(2)
	release()
	for range 2 {
		if err := <-outcomes; !tutti.IsKind(err, tutti.KindInternal) {
			t.Errorf("%v", err)
		}
	}
	if _, err := s.Get(t.Context(), store.Key{PK: "p", SK: "innocent"}); !tutti.IsKind(err, tutti.KindNotFound) {
		t.Errorf("half of the group has happened: %v", err)
	}
	put(t, s, "next", "v")
}

// TestFullDisk has the database reach its largest size, which the engine reports like a full disk.
func TestFullDisk(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "tutti.db"), clock.System)
	put(t, s, "k", "before")
	if err := s.submit(t.Context(), "limit", 0, func(c *conn) error {
		_, _, err := c.queryInt("PRAGMA max_page_count = 30")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	_, err := s.Put(t.Context(), store.Key{PK: "p", SK: "large"}, make([]byte, store.MaxValue), time.Time{}, store.Always)
	if !tutti.IsKind(err, tutti.KindUnavailable) || !strings.Contains(tutti.Message(err), "full") {
		t.Fatalf("%v (%q)", err, tutti.Message(err))
	}
	if get(t, s, "k") != "before" {
		t.Error("reading does not work any more")
	}
	if err := s.Delete(t.Context(), store.Key{PK: "p", SK: "k"}, store.Always); err != nil {
		t.Errorf("freeing space does not work any more: %v", err)
	}
}

// TestReadersWait: more readers than connections wait for one another, and one that gives up says so.
func TestReadersWait(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "tutti.db"), Options{Clock: clock.System, Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "k", "v")
	c, err := s.reader(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error)
	go func() {
		_, err := s.Get(ctx, store.Key{PK: "p", SK: "k"})
		waiting <- err
	}()
	cancel()
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	s.release(c)
	if get(t, s, "k") != "v" {
		t.Error("nothing to read after waiting")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
