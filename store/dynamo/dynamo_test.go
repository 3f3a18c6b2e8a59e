package dynamo

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"tutti/clock"
	"tutti/store"
	"tutti/store/dynamo/local"
	"tutti/store/storetest"
)

// engines are started once for all tests.
var engines = map[local.Engine]*local.Server{}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		for _, e := range []local.Engine{local.DynamoDB, local.Dynalite} {
			s, err := local.Start(context.Background(), local.Config{Engine: e})
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			defer s.Stop()
			engines[e] = s
		}
		started := goleak.IgnoreCurrent()
		code := m.Run()
		if err := goleak.Find(started); err != nil && code == 0 {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}())
}

var tables atomic.Int64

// newTable makes an empty table.
func newTable(t testing.TB, e local.Engine, c clock.Clock) Config {
	t.Helper()
	cfg := Config{
		Table: fmt.Sprint("test", tables.Add(1)), Endpoint: engines[e].URL, Clock: clock.System,
		Logger: slog.New(slog.DiscardHandler), Credentials: madeUp,
	}
	if err := Init(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	cfg.Clock = c
	return cfg
}

func openTest(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), cfg)
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
	t.Parallel()
	for _, e := range []local.Engine{local.DynamoDB, local.Dynalite} {
		t.Run(string(e), func(t *testing.T) {
			if testing.Short() && e == local.Dynalite {
				t.Skip("another engine, and the same code of ours")
			}
			t.Parallel()
			storetest.Run(t, func(t testing.TB, c clock.Clock) store.Store {
				return openTest(t, newTable(t, e, c))
			})
		})
	}
}
