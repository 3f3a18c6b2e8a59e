package sqlite

import (
	"database/sql/driver"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tutti/clock"
	"tutti/store"
	"tutti/store/storetest"
)

func openTest(t testing.TB, path string, c clock.Clock) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, Options{Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestContract(t *testing.T) {
	defer goleak.VerifyNone(t)
	storetest.Run(t, func(t testing.TB, c clock.Clock) store.Store {
		s, err := Open(t.Context(), filepath.Join(t.TempDir(), "tutti.db"), Options{Clock: c})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := openTest(t, filepath.Join(dir, "a?b#c%20 d.db"), clock.System)
	if _, err := s.Put(t.Context(), store.Key{PK: "p", SK: "s"}, nil, time.Time{}, store.Always); err != nil {
		t.Fatal(err)
	}
	want := map[string]fs.FileMode{".": 0o700 | fs.ModeDir}
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		want["a?b#c%20 d.db"+suffix] = 0o600
	}
	for name, mode := range want {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v, want %v", name, info.Mode(), err, mode)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	s := openTest(b, filepath.Join(b.TempDir(), "tutti.db"), clock.System)
	for i := range 1000 {
		if _, err := s.Put(b.Context(), store.Key{PK: "users", SK: fmt.Sprint("user", i)}, make([]byte, 300), time.Time{}, store.Always); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := s.Get(b.Context(), store.Key{PK: "users", SK: fmt.Sprint("user", i%1000)}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBatchGet100(b *testing.B) {
	s := openTest(b, filepath.Join(b.TempDir(), "tutti.db"), clock.System)
	var keys []store.Key
	for i := range 100 {
		k := store.Key{PK: "users", SK: fmt.Sprint("user", i)}
		keys = append(keys, k)
		if _, err := s.Put(b.Context(), k, make([]byte, 300), time.Time{}, store.Always); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if items, err := s.BatchGet(b.Context(), keys); err != nil || len(items) != 100 {
			b.Fatal(len(items), err)
		}
	}
}

func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint("writers=", writers), func(b *testing.B) {
			s := openTest(b, filepath.Join(b.TempDir(), "tutti.db"), clock.System)
			b.SetParallelism((writers + 1) / 2)
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if _, err := s.Put(b.Context(), store.Key{PK: "p", SK: fmt.Sprint(i % 1000)}, make([]byte, 300), time.Time{}, store.Always); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// plan returns how SQLite means to answer a statement.
func (s *Store) plan(t *testing.T, sql string, args int) (plan string) {
	t.Helper()
	if err := s.read(t.Context(), "plan", func(c *conn) error {
		return c.query(t.Context(), "EXPLAIN QUERY PLAN "+sql, make([]driver.Value, args), func(v []driver.Value) bool {
			plan += fmt.Sprintln(v[3])
			return true
		})
	}); err != nil {
		t.Fatal(err)
	}
	return plan
}
