package sqlite

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
)

func put(t testing.TB, s store.Store, sk, value string) {
	t.Helper()
	if _, err := s.Put(t.Context(), store.Key{PK: "p", SK: sk}, []byte(value), time.Time{}, store.Always); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, s store.Store, sk string) string {
	t.Helper()
	it, err := s.Get(t.Context(), store.Key{PK: "p", SK: sk})
	if tutti.IsKind(err, tutti.KindNotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(it.Value)
}

func listed(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestBackupWhileWriting copies a database that several goroutines write to all the time. In the copy, nothing that was
// written later is there without what was written before it.
func TestBackupWhileWriting(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, filepath.Join(dir, "tutti.db"), clock.System)
	filler := strings.Repeat("x", 100_000)
	for i := range 200 { // 20 MB, so that a copy takes several steps
		put(t, s, fmt.Sprint("filler", i), filler)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var seq uint64
	wg.Go(func() {
		for {
			seq++
			put(t, s, "first", fmt.Sprint(seq))
			if err := s.Append(t.Context(), "log", seq, fmt.Append(nil, seq)); err != nil {
				t.Error(err)
				return
			}
			put(t, s, "last", fmt.Sprint(seq))
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for i := range 3 {
		to := filepath.Join(dir, fmt.Sprint("copy", i, ".db"))
		var reports [][2]int64
		if err := s.Backup(t.Context(), to, func(done, total int64) { reports = append(reports, [2]int64{done, total}) }); err != nil {
			t.Fatal(err)
		}
		if len(reports) < 3 {
			t.Errorf("progress was reported %d times", len(reports))
		}
		for j, r := range reports {
			if r[1] < 20_000_000 || r[0] > r[1] || (j > 0 && r[0] <= reports[j-1][0]) || (j == len(reports)-1 && r[0] != r[1]) {
				t.Fatalf("progress went like this: %v", reports)
			}
		}
		if err := Validate(t.Context(), to); err != nil {
			t.Fatal(err)
		}
		checkCopy(t, to)
	}
	close(stop)
	wg.Wait()
	for _, name := range listed(t, dir) {
		if strings.HasPrefix(name, "copy") && !strings.HasSuffix(name, ".db") && !strings.HasSuffix(name, ".lock") {
			t.Errorf("%s lies beside a copy", name)
		}
	}
}

func checkCopy(t *testing.T, path string) {
	t.Helper()
	c, err := Open(t.Context(), path, Options{Clock: clock.System})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	last, err := c.LastSeq(t.Context(), "log")
	if err != nil {
		t.Fatal(err)
	}
	var first, latest uint64
	fmt.Sscan(get(t, c, "first"), &first)
	fmt.Sscan(get(t, c, "last"), &latest)
	if first < last || first > last+1 || latest > last || latest+1 < last {
		t.Errorf("the copy holds first %d, log %d, last %d", first, last, latest)
	}
}

// TestBackupFromAnotherProcess copies a database that another process writes to.
func TestBackupFromAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tutti.db")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killChild+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Error("the writer ended by itself")
		}
	}()
	in := bufio.NewScanner(out)
	for i := range 5 {
		for range 50 {
			if !in.Scan() {
				t.Fatal("the writer has ended")
			}
		}
		to := filepath.Join(dir, fmt.Sprint("copy", i))
		if err := Backup(t.Context(), path, to, nil); err != nil {
			t.Fatal(err)
		}
		checkKilled(t, to, &acknowledged{})
		if err := Validate(t.Context(), path); err != nil {
			t.Fatalf("the database in use: %v", err)
		}
	}
	_, err = Restore(t.Context(), path, filepath.Join(dir, "copy0"))
	if !tutti.IsKind(err, tutti.KindConflict) {
		t.Fatalf("restored underneath a running server: %v", err)
	}
}

func TestBackupRefusals(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tutti.db")
	err := Backup(t.Context(), path, filepath.Join(dir, "copy"), nil)
	if !tutti.IsKind(err, tutti.KindNotFound) {
		t.Errorf("a backup of nothing: %v", err)
	}
	s := openTest(t, path, clock.System)
	for i := range 100 {
		put(t, s, fmt.Sprint(i), strings.Repeat("x", 100_000))
	}
	before := listed(t, dir)
	if err := s.Backup(t.Context(), path, nil); !tutti.IsKind(err, tutti.KindConflict) {
		t.Errorf("a backup onto itself: %v", err)
	}
	if err := s.Backup(t.Context(), filepath.Join(dir, "no", "such", "folder"), nil); !tutti.IsKind(err, tutti.KindUnavailable) {
		t.Errorf("a backup into nowhere: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.Backup(ctx, filepath.Join(dir, "copy"), func(int64, int64) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("a backup that was called off: %v", err)
	}
	if after := listed(t, dir); len(after) != len(before) {
		t.Errorf("refused backups left something behind: %v, %v", before, after)
	}
	put(t, s, "still", "works")
}

func TestRestore(t *testing.T) {
	dir := t.TempDir()
	path, copyPath := filepath.Join(dir, "tutti.db"), filepath.Join(dir, "copy")
	now := clock.NewFake(someday)
	with := func(fn func(s *Store)) {
		t.Helper()
		s, err := Open(t.Context(), path, Options{Clock: now})
		if err != nil {
			t.Fatal(err)
		}
		fn(s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	with(func(s *Store) {
		put(t, s, "k", "old")
		if err := s.Backup(t.Context(), copyPath, nil); err != nil {
			t.Fatal(err)
		}
		put(t, s, "k", "new")
		if _, err := Restore(t.Context(), path, copyPath); !tutti.IsKind(err, tutti.KindConflict) {
			t.Errorf("a restore while it is open: %v", err)
		}
	})
	// A restore that was cut short leaves its file behind.
	if err := os.WriteFile(path+".restoring", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	kept, err := Restore(t.Context(), path, copyPath)
	if err != nil || kept != path+".before-restore" {
		t.Fatal(kept, err)
	}
	with(func(s *Store) {
		if v := get(t, s, "k"); v != "old" {
			t.Errorf("restored %q", v)
		}
		put(t, s, "k", "newer")
	})
	// The way back, which keeps what it replaces as well.
	again, err := Restore(t.Context(), path, kept)
	if err != nil || again != path+".before-restore-2" {
		t.Fatal(again, err)
	}
	for _, name := range listed(t, dir) {
		if strings.HasSuffix(name, "-wal") || strings.HasSuffix(name, "-shm") {
			t.Errorf("%s was left behind", name)
		}
	}
	with(func(s *Store) {
		if v := get(t, s, "k"); v != "new" {
			t.Errorf("undone to %q", v)
		}
	})
	// To where there is nothing yet, and from a file of an older version.
	fresh := filepath.Join(dir, "fresh", "tutti.db")
	if kept, err := Restore(t.Context(), fresh, fixture(t)); kept != "" || err != nil {
		t.Fatal(kept, err)
	}
	checkFixture(t, openTest(t, fresh, now))
	for _, name := range []string{"tutti.db", "tutti.db.before-restore"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestRestoreRefusesBadFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tutti.db")
	s, err := Open(t.Context(), path, Options{Clock: clock.System})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		put(t, s, fmt.Sprint(i), strings.Repeat("x", 1000))
	}
	good := filepath.Join(dir, "good")
	if err := errors.Join(s.Backup(t.Context(), good, nil), s.Close()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(whole)
	for i := 8 << 10; i < 16<<10; i++ {
		damaged[i] = 0xa5
	}
	newer := append(migrations[:len(migrations):len(migrations)], `CREATE TABLE later (a);`)
	later := fixture(t)
	n, err := open(t.Context(), later, Options{Clock: clock.System}, newer)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, from := range map[string]string{
		"empty":   write("empty", nil),
		"text":    write("text", bytes.Repeat([]byte("text\n"), 4096)),
		"cut":     write("cut", whole[:len(whole)/2]),
		"damaged": write("damaged", damaged),
		"newer":   later,
	} {
		_, err := Restore(t.Context(), path, from)
		if !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := Restore(t.Context(), path, filepath.Join(dir, "nothing")); !tutti.IsKind(err, tutti.KindNotFound) {
		t.Errorf("nothing: %v", err)
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("refused restores changed the database: %v", err)
	}
}

// TestRestoreOverDamage replaces a database that cannot be read any more and still has a log beside it, as a killed
// process leaves it.
func TestRestoreOverDamage(t *testing.T) {
	dir := t.TempDir()
	path, good := filepath.Join(dir, "tutti.db"), filepath.Join(dir, "good")
	s := openTest(t, path, clock.System)
	for i := range 20 {
		put(t, s, fmt.Sprint(i), strings.Repeat("x", 100_000))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var promised acknowledged
	killOnce(t, path, 100, &promised)
	if err := Backup(t.Context(), path, good, nil); err != nil {
		t.Fatal(err)
	}
	killOnce(t, path, 100, &promised)
	log, err := os.ReadFile(path + "-wal")
	if err != nil || len(log) == 0 {
		t.Fatalf("%d bytes of log, %v", len(log), err)
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte{0xa5}, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	kept, err := Restore(t.Context(), path, good)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(kept); err != nil || len(b) != 1<<20 || b[0] != 0xa5 {
		t.Errorf("the damaged database was not kept: %d bytes, %v", len(b), err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old log lies beside the new database: %v", err)
	}
	checkKilled(t, path, &acknowledged{})
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(path); !tutti.IsKind(err, tutti.KindConflict) {
		t.Fatalf("locked twice: %v", err)
	}
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	l, err = Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(filepath.Join(path, "below", "a file")); !tutti.IsKind(err, tutti.KindUnavailable) {
		t.Fatalf("locked nothing: %v", err)
	}
}
