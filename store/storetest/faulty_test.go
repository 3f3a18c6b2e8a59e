package storetest_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"tutti/clock"
	"tutti/store"
	"tutti/store/sqlite"
	"tutti/store/storetest"
)

func open(t testing.TB, c clock.Clock) store.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "tutti.db"), sqlite.Options{Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPartialPages runs the whole contract over a store that returns short and empty pages all the time: the suite must
// not rely on full ones, and Faulty must not lose anything.
func TestPartialPages(t *testing.T) {
	storetest.Run(t, func(t testing.TB, c clock.Clock) store.Store {
		return storetest.NewFaulty(open(t, c), func(c storetest.Call) storetest.Fault {
			return storetest.Fault{Short: 1 + c.N%3, Empty: c.N%4 == 0}
		})
	})
}

func TestFaults(t *testing.T) {
	ctx := t.Context()
	k := store.Key{PK: "p", SK: "s"}
	var next storetest.Fault
	var seen storetest.Call
	s := storetest.NewFaulty(open(t, clock.System), func(c storetest.Call) storetest.Fault {
		seen = c
		return next
	})
	defer s.Close()
	mishap := errors.New("mishap")
	calls := map[string]func() error{
		"Get":      func() error { _, err := s.Get(ctx, k); return err },
		"BatchGet": func() error { _, err := s.BatchGet(ctx, []store.Key{k}); return err },
		"Put":      func() error { _, err := s.Put(ctx, k, nil, time.Time{}, store.Always); return err },
		"Delete":   func() error { return s.Delete(ctx, store.Key{PK: "p", SK: "other"}, store.Always) },
		"Query":    func() error { _, err := s.Query(ctx, "p", "s", "", 1); return err },
		"Append":   func() error { return s.Append(ctx, "p", 1, nil) },
		"ReadLog":  func() error { _, err := s.ReadLog(ctx, "p", 0, 1); return err },
		"LastSeq":  func() error { _, err := s.LastSeq(ctx, "p"); return err },
		"TrimLog":  func() error { return s.TrimLog(ctx, "p", 0) },
	}
	for method, call := range calls {
		next = storetest.Fault{Err: mishap}
		if err := call(); !errors.Is(err, mishap) {
			t.Errorf("%s: %v", method, err)
		}
		if seen.Method != method || seen.PK != "p" || seen.N != 1 || s.Calls(method) != 1 {
			t.Errorf("%s was seen as %+v", method, seen)
		}
	}
	next = storetest.Fault{}
	if _, err := s.Get(ctx, k); err == nil {
		t.Fatal("a Put that failed has happened")
	}
	for _, method := range []string{"Put", "Append", "Get", "BatchGet", "Delete", "Query", "ReadLog", "LastSeq", "TrimLog"} {
		ran := false
		next = storetest.Fault{Lost: mishap, Before: func() { ran = true }}
		if err := calls[method](); !errors.Is(err, mishap) || !ran {
			t.Errorf("%s with a lost answer: %v, %v", method, err, ran)
		}
	}
	next = storetest.Fault{}
	if _, err := s.Get(ctx, k); err != nil {
		t.Fatalf("a Put whose answer was lost has not happened: %v", err)
	}
	if n, err := s.LastSeq(ctx, "p"); n != 1 || err != nil {
		t.Fatalf("an Append whose answer was lost has not happened: %d, %v", n, err)
	}
}

func TestFailEvery(t *testing.T) {
	s := storetest.NewFaulty(open(t, clock.System), storetest.FailEvery(3, storetest.Throttled(), "LastSeq"))
	defer s.Close()
	for i := 1; i <= 9; i++ {
		if _, err := s.LastSeq(t.Context(), "log"); (err != nil) != (i%3 == 0) {
			t.Errorf("call %d: %v", i, err)
		}
		if _, err := s.ReadLog(t.Context(), "log", 0, 1); err != nil {
			t.Errorf("another method: %v", err)
		}
	}
}
