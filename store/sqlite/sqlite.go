// Package sqlite keeps a store.Store in one SQLite file. It is the engine for one machine: pure Go, nothing to
// install, and a file that a person can copy and look into.
//
// # Durability
//
// A write that returned nil is on the disk. The file is in WAL mode with synchronous=FULL: the log is synced at every
// commit, so an acknowledged write outlives a kill -9 and, as far as the disk keeps its promises, a power cut
// (https://www.sqlite.org/pragma.html#pragma_synchronous; NORMAL would lose the latest commits to the latter). A sync costs
// milliseconds whatever it carries, so writes that wait at the same time are committed together.
//
// # Concurrency
//
// One goroutine writes; a few connections read, each from a consistent snapshot, and never wait for the writer. Other
// processes may open the same file (`tutti user`, a backup): they take turns through SQLite's own locks, waiting up to ten
// seconds. Nothing runs while nobody asks: there is no ticker, and expired items are removed along with later writes.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
)

// Options are what a Store needs besides its file.
type Options struct {
	Clock   clock.Clock  // for the expiry of items; required
	Logger  *slog.Logger // nil: slog.Default()
	Readers int          // connections that read at the same time; 0: one for each CPU, at least 4
}

// Store is an open database. It implements store.Store.
type Store struct {
	path   string
	clock  clock.Clock
	logger *slog.Logger
	lock   *FileLock

	writes chan *write
	counts struct{ commits, writes atomic.Int64 }
	sweep  time.Time     // when expired items are next looked for; the writer's
	stop   chan struct{} // closed by Close: no new calls
	done   chan struct{} // closed by the writer when it has gone

	slots chan struct{} // one for each reader in use
	mu    sync.Mutex
	idle  []*conn // readers not in use, the latest used last, so that a few stay warm and the rest stay unopened
	close sync.Once
	err   error
}

var _ store.Store = (*Store)(nil)

// Open opens the database file at path, making it (mode 0600) and its folder (0700) if need be and bringing an older
// schema up to date. It returns KindInvalid for a file of a newer tutti or of somebody else, and KindUnavailable where the
// file cannot be opened. The caller closes the Store.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	s, err := open(ctx, path, o, migrations)
	return s, classify("sqlite.Open", err)
}

func open(ctx context.Context, path string, o Options, steps []string) (_ *Store, err error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Readers <= 0 {
		o.Readers = max(4, runtime.GOMAXPROCS(0))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, tutti.Wrap(tutti.KindUnavailable, "sqlite.Open", err)
	}
	lock, alone, err := lockForOpen(path)
	if err != nil {
		return nil, tutti.Wrap(tutti.KindUnavailable, "sqlite.Open", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	if err := create(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, tutti.Wrap(tutti.KindUnavailable, "sqlite.Open", err)
	}
	w, err := dial(ctx, path,
		pragma{"synchronous", "FULL"},
		pragma{"cache_size", "-4096"},            // KiB
		pragma{"journal_size_limit", "16777216"}, // bytes of WAL that stay on the disk after a checkpoint
		pragma{"temp_store", "MEMORY"},
	)
	if err != nil {
		return nil, err
	}
	if err := prepare(ctx, w, alone, steps); err != nil {
		return nil, errors.Join(err, w.close())
	}
	if err := lock.change(syscall.LOCK_SH); err != nil {
		return nil, errors.Join(err, w.close())
	}
	s := &Store{
		path:   path,
		clock:  o.Clock,
		logger: o.Logger,
		lock:   lock,
		writes: make(chan *write, maxGroup),
		stop:   make(chan struct{}),
		done:   make(chan struct{}),
		slots:  make(chan struct{}, o.Readers),
	}
	go s.runWriter(w)
	return s, nil
}

// lockForOpen takes a shared lock on the file's lock file, which keeps Restore away for as long as the database is
// open. Whoever is first gets it exclusively for the moment, and may bring the schema up to date.
func lockForOpen(path string) (lock *FileLock, alone bool, err error) {
	lock, err = flock(path+lockSuffix, syscall.LOCK_EX|syscall.LOCK_NB)
	if err == syscall.EWOULDBLOCK { // others have it open, or somebody is first or restores, which takes a moment
		lock, err = flock(path+lockSuffix, syscall.LOCK_SH)
		return lock, false, err
	}
	return lock, err == nil, err
}

const lockSuffix = ".lock"

// create makes an empty file, or returns fs.ErrExist; SQLite gives the files beside it the same mode. A file that is
// there is never opened: closing it again would drop the locks of every connection that this process has on it
// (https://www.sqlite.org/howtocorrupt.html §2.2).
func create(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// prepare makes the database ready for use: at once when it is up to date, and only by who has it alone otherwise.
func prepare(ctx context.Context, w *conn, alone bool, steps []string) error {
	version, err := schemaVersion(w)
	if err != nil {
		return err
	}
	if err := checkNotNewer(version, len(steps)); err != nil {
		return err
	}
	if version == len(steps) {
		return nil
	}
	if !alone {
		return tutti.Errorf(tutti.KindUnavailable, "sqlite.Open",
			"the database is in use by an older tutti (schema %d, this one needs %d); stop it first", version, len(steps))
	}
	if err := w.script(ctx, "PRAGMA journal_mode = WAL"); err != nil {
		return fmt.Errorf("switch to write-ahead logging: %w", err)
	}
	return migrate(ctx, w, steps)
}

// Stats counts what a Store has done since it was opened.
type Stats struct {
	Writes  int64 // changes asked for and made, or refused by their condition
	Commits int64 // transactions, each synced to the disk; writes that wait together share one
}

// Stats returns the counts.
func (s *Store) Stats() Stats {
	return Stats{Writes: s.counts.writes.Load(), Commits: s.counts.commits.Load()}
}

func closed(op string) error {
	return tutti.Errorf(tutti.KindUnavailable, op, "the server is shutting down")
}

// reader borrows a connection for reading; the caller gives it back with release.
func (s *Store) reader(ctx context.Context, op string) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	select {
	case <-s.stop:
		return nil, closed(op)
	default:
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, tutti.Wrap(tutti.KindUnavailable, op, ctx.Err())
	case <-s.stop:
		return nil, closed(op)
	}
	s.mu.Lock()
	if n := len(s.idle); n > 0 {
		c := s.idle[n-1]
		s.idle = s.idle[:n-1]
		s.mu.Unlock()
		return c, nil
	}
	s.mu.Unlock()
	c, err := dial(ctx, s.path, pragma{"query_only", "1"}, pragma{"cache_size", "-2048"})
	if err != nil {
		<-s.slots
		return nil, classify(op, err)
	}
	return c, nil
}

func (s *Store) release(c *conn) {
	s.mu.Lock()
	s.idle = append(s.idle, c)
	s.mu.Unlock()
	<-s.slots
}

// read runs fn with a reader and classifies its error.
func (s *Store) read(ctx context.Context, op string, fn func(c *conn) error) error {
	c, err := s.reader(ctx, op)
	if err != nil {
		return err
	}
	defer s.release(c)
	return classify(op, fn(c))
}

// Close waits for the calls in progress, writes the log back into the file and closes it. Later calls return
// KindUnavailable.
func (s *Store) Close() error {
	s.close.Do(func() {
		close(s.stop)
		for range cap(s.slots) { // each reader in use gives its slot back when it is done
			s.slots <- struct{}{}
		}
		var errs []error
		for _, c := range s.idle {
			errs = append(errs, c.close())
		}
		<-s.done // the writer closes last: the last connection to close writes the log back
		s.err = classify("sqlite.Close", errors.Join(append(errs, s.err, s.lock.Close())...))
	})
	return s.err
}

// now is the time by which items expire, in Unix seconds.
func (s *Store) now() int64 { return s.clock.Now().Unix() }
