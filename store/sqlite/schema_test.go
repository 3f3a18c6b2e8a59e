package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
)

var someday = time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)

// fixture copies testdata/v1.db, which schema version 1 wrote: items "item0" to "item2", "expired" (2023) and "future"
// (2096) in the partition "fixture", and the log "log" with records 2 and 3, record 1 having been trimmed.
func fixture(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("testdata/v1.db")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tutti.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func checkFixture(t *testing.T, s *Store) {
	t.Helper()
	p, err := s.Query(t.Context(), "fixture", "", "", 10)
	if err != nil || len(p.Items) != 4 {
		t.Fatalf("%d items, %v", len(p.Items), err)
	}
	for i, it := range p.Items[1:] {
		if it.SK != fmt.Sprint("item", i) || string(it.Value) != fmt.Sprint("value", i) || it.Version != 1 {
			t.Errorf("item %d is %+v", i, it)
		}
	}
	if f := p.Items[0]; f.SK != "future" || f.Expires.Unix() != 4_000_000_000 {
		t.Errorf("%+v", f)
	}
	r, err := s.ReadLog(t.Context(), "log", 0, 10)
	if err != nil || len(r) != 2 || r[0].Seq != 2 || string(r[1].Value) != "record3" {
		t.Errorf("log: %v, %v", r, err)
	}
	if last, err := s.LastSeq(t.Context(), "log"); last != 3 || err != nil {
		t.Errorf("last: %d, %v", last, err)
	}
}

func (s *Store) version(t *testing.T) int {
	t.Helper()
	var v int
	if err := s.read(t.Context(), "version", func(c *conn) (err error) {
		v, err = schemaVersion(c)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestMigrateFromVersion1(t *testing.T) {
	path := fixture(t)
	s := openTest(t, path, clock.NewFake(someday))
	if v := s.version(t); v != len(migrations) {
		t.Fatalf("version %d after opening", v)
	}
	checkFixture(t, s)
	// The next write takes the expired item along.
	if _, err := s.Put(t.Context(), store.Key{PK: "p", SK: "s"}, nil, time.Time{}, store.Always); err != nil {
		t.Fatal(err)
	}
	if n := s.count(t, `SELECT count(*) FROM items WHERE sk = 'expired'`); n != 0 {
		t.Fatal("the expired item is still there")
	}
}

func (s *Store) count(t *testing.T, sql string) (n int64) {
	t.Helper()
	if err := s.read(t.Context(), "count", func(c *conn) (err error) {
		n, _, err = c.queryInt(sql)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestMigrationsOneByOne goes through every version, with writes in between, and through one that fails half way.
func TestMigrationsOneByOne(t *testing.T) {
	path := fixture(t)
	o := Options{Clock: clock.NewFake(someday)}
	for v := 1; v <= len(migrations); v++ {
		s, err := open(t.Context(), path, o, migrations[:v])
		if err != nil {
			t.Fatal(err)
		}
		if got := s.version(t); got != v {
			t.Fatalf("version %d, want %d", got, v)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	broken := append(migrations[:len(migrations):len(migrations)], `CREATE TABLE half (a); INSERT INTO nowhere VALUES (1);`)
	if s, err := open(t.Context(), path, o, broken); err == nil {
		s.Close()
		t.Fatal("a broken migration went through")
	}
	s := openTest(t, path, o.Clock)
	checkFixture(t, s)
	if n := s.count(t, `SELECT count(*) FROM sqlite_schema WHERE name = 'half'`); n != 0 {
		t.Fatal("half a migration stayed")
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := fixture(t)
	o := Options{Clock: clock.NewFake(someday)}
	newer := append(migrations[:len(migrations):len(migrations)], `CREATE TABLE later (a);`)
	s, err := open(t.Context(), path, o, newer)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), path, o)
	if !tutti.IsKind(err, tutti.KindInvalid) || !strings.Contains(tutti.Message(err), "newer tutti") {
		t.Fatal(err)
	}
	// The refusal leaves it as it was, for the newer one.
	s, err = open(t.Context(), path, o, newer)
	if err != nil {
		t.Fatal(err)
	}
	checkFixture(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestOldServerIsNotMigratedUnderneath: while an older tutti has the file open, a newer one keeps its hands off it.
func TestOldServerIsNotMigratedUnderneath(t *testing.T) {
	path := fixture(t)
	o := Options{Clock: clock.NewFake(someday)}
	old, err := open(t.Context(), path, o, migrations[:1])
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), path, o)
	if !tutti.IsKind(err, tutti.KindUnavailable) || !strings.Contains(tutti.Message(err), "older tutti") {
		t.Fatal(err)
	}
	checkFixture(t, old)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	checkFixture(t, openTest(t, path, o.Clock))
}

func TestForeignFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("not a database\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other.db")
	if err := create(other); err != nil {
		t.Fatal(err)
	}
	c, err := dial(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.script(t.Context(), "CREATE TABLE songs (a)"), c.close()); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{text: "damaged or is not one of tutti's", other: "not made by tutti"} {
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Open(t.Context(), path, Options{Clock: clock.System})
		if err == nil || !strings.Contains(tutti.Message(err), want) {
			t.Errorf("%s: %v (%q)", path, err, tutti.Message(err))
		}
		after, err := os.ReadFile(path)
		if err != nil || string(before) != string(after) {
			t.Errorf("%s was changed: %v", path, err)
		}
	}
}

// TestOpenAtOnce opens a new database from many sides at the same moment, as a server and `tutti user` may.
func TestOpenAtOnce(t *testing.T) {
	for round := range 10 {
		path := filepath.Join(t.TempDir(), "data", "tutti.db")
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				s, err := Open(t.Context(), path, Options{Clock: clock.System})
				if err != nil {
					t.Errorf("round %d: %v", round, err)
					return
				}
				if _, err := s.Put(t.Context(), store.Key{PK: "p", SK: fmt.Sprint(i)}, nil, time.Time{}, store.IfAbsent); err != nil {
					t.Error(err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		p, err := openTest(t, path, clock.System).Query(t.Context(), "p", "", "", 10)
		if err != nil || len(p.Items) != 4 {
			t.Fatalf("round %d: %d items, %v", round, len(p.Items), err)
		}
	}
}

// TestSweep sees that expired items go, a step at a time, along with writes, and that the index finds them.
func TestSweep(t *testing.T) {
	fake := clock.NewFake(someday)
	s := openTest(t, filepath.Join(t.TempDir(), "tutti.db"), fake)
	var wg sync.WaitGroup
	for i := range 2*sweepStep + 10 {
		wg.Go(func() {
			if _, err := s.Put(t.Context(), store.Key{PK: "old", SK: fmt.Sprint(i)}, nil, someday.Add(time.Hour), store.Always); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	fake.Advance(2 * time.Hour)
	all := `SELECT count(*) FROM items WHERE pk = 'old'`
	for _, want := range []int64{sweepStep + 10, 10, 0} {
		if _, err := s.Put(t.Context(), store.Key{PK: "p", SK: "s"}, nil, time.Time{}, store.Always); err != nil {
			t.Fatal(err)
		}
		if n := s.count(t, all); n != want {
			t.Fatalf("%d items are left, want %d", n, want)
		}
	}
	for sql, args := range map[string]int{sweepSQL: 2, getSQL: 3, queryFirstSQL: 5, queryNextSQL: 5, batchSQL[1]: 33, readLogSQL: 7, trimSQL: 3} {
		if plan := s.plan(t, sql, args); strings.Contains(plan, "SCAN items") || strings.Contains(plan, "SCAN records") || strings.Contains(plan, "TEMP B-TREE FOR ORDER") {
			t.Errorf("%s\nis answered the slow way:\n%s", sql, plan)
		}
	}
}
