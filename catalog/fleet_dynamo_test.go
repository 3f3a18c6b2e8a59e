package catalog_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"testing"
	"time"

	"tutti"
	"tutti/catalog"
	"tutti/catalog/catalogtest"
	"tutti/catalog/scan"
	"tutti/clock"
	"tutti/store/dynamo"
	"tutti/store/dynamo/local"
)

// openDynamo opens a new table of AWS's own DynamoDB Local.
func openDynamo(t testing.TB) (*dynamo.Store, dynamo.Config) {
	t.Helper()
	cfg := dynamo.Config{
		Table: "tutti", Endpoint: local.ForTest(t, local.DynamoDB).URL, Clock: clock.System, Logger: slog.New(slog.DiscardHandler),
	}
	if err := dynamo.Init(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	return reopenDynamo(t, cfg), cfg
}

func reopenDynamo(t testing.TB, cfg dynamo.Config) *dynamo.Store {
	t.Helper()
	s, err := dynamo.Open(t.Context(), cfg)
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

// TestReadYourWritesOnDynamoDB is TestReadYourWrites on the database that a fleet has.
func TestReadYourWritesOnDynamoDB(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts DynamoDB Local")
	}
	s, _ := openDynamo(t)
	f := &fleet{t: t, store: s, music: t.TempDir()}
	f.tune.Wait = time.Minute
	f.tune.UserSnapshotBytes = 4000
	readYourWrites(t, f, 8)
}

// BenchmarkDynamoDB reports what nodes cost on DynamoDB: applying a library of 100,000 tracks (and what TUTTI_BENCH
// names), a snapshot of it, a start from that, following the log, and an idle node. The seconds are DynamoDB Local's, the
// units those that it reports, and the money what AWS asks for those.
func BenchmarkDynamoDB(b *testing.B) {
	for _, n := range sizes(b) {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			if os.Getenv("TUTTI_BENCH_DYNAMODB") == "" {
				b.Skip("set TUTTI_BENCH_DYNAMODB: it takes a minute")
			}
			for b.Loop() {
				dynamoOnce(b, n)
			}
		})
	}
}

func dynamoOnce(b *testing.B, n int) {
	ctx := context.Background()
	_, cfg := openDynamo(b)
	prices := dynamo.DefaultPrices
	report := func(what string, s *dynamo.Store, before dynamo.Consumption, began time.Time) {
		now := s.Consumed()
		u := dynamo.Units{Reads: now.Total.Reads - before.Total.Reads, Writes: now.Total.Writes - before.Total.Writes}
		b.Logf("%-28s %7.2f s %6d calls %9.1f read units %9.1f write units %.6f $",
			what, time.Since(began).Seconds(), now.Total.Calls-before.Total.Calls, u.Reads, u.Writes, prices.Dollars(u))
	}
	open := func() (*desk, *dynamo.Store) {
		s := reopenDynamo(b, cfg)
		d := &desk{store: s, cfg: catalog.Config{
			Store: s, Clock: clock.System, Logger: slog.New(slog.DiscardHandler), Origin: shelfware{[]tutti.Library{{ID: "1", Name: "Music"}}},
			Tuning: catalog.Tuning{SnapshotBytes: 1 << 40}, Packed: func() bool { return os.Getenv("TUTTI_BENCH_PLAIN") == "" },
		}}
		return d, s
	}
	w, ws := open()
	w.reopen(b)
	f, fs := open()
	f.reopen(b)

	began, before := time.Now(), ws.Consumed()
	w.fill(b, catalogtest.Synthetic(n))
	report("apply, in batches of 400", ws, before, began)

	began, before = time.Now(), fs.Consumed()
	if err := f.Refresh(ctx); err != nil {
		b.Fatal(err)
	}
	report("follow all of it", fs, before, began)

	began, before = time.Now(), ws.Consumed()
	if err := w.Snapshot(ctx); err != nil {
		b.Fatal(err)
	}
	report("snapshot", ws, before, began)

	var last scan.Entry
	for e := range catalogtest.Synthetic(1) {
		last = e
	}
	last.Title = "another"
	if err := w.Apply(ctx, []scan.Change{{Put: &last}}); err != nil {
		b.Fatal(err)
	}
	if err := f.Refresh(ctx); err != nil {
		b.Fatal(err)
	}
	began, before = time.Now(), fs.Consumed()
	for range 100 {
		if err := f.Refresh(ctx); err != nil {
			b.Fatal(err)
		}
	}
	report("100 looks at an idle log", fs, before, began)
	perLook := (fs.Consumed().Total.Reads - before.Total.Reads) / 100
	const looks = 2 * 3600 * 24 * 365.0 / 12
	b.Logf("an idle node: %.2f read units a look, %.2f $ a month", perLook, prices.Dollars(dynamo.Units{Reads: perLook * looks}))

	began, before = time.Now(), ws.Consumed()
	if err := w.Snapshot(ctx); err != nil {
		b.Fatal(err)
	}
	report("snapshot, trimming the log", ws, before, began)

	runtime.GC()
	l, ls := open()
	began, before = time.Now(), ls.Consumed()
	l.reopen(b)
	report("start from the snapshot", ls, before, began)

	began, before = time.Now(), fs.Consumed()
	for range 100 {
		if _, err := f.Track(ctx, she, last.ID); err != nil {
			b.Fatal(err)
		}
	}
	report("100 songs for one person", fs, before, began)
	if err := f.Star(ctx, she, true, last.ID); err != nil {
		b.Fatal(err)
	}
	began, before = time.Now(), fs.Consumed()
	for i := range 100 {
		if err := f.Star(ctx, she, i%2 == 1, last.ID); err != nil {
			b.Fatal(err)
		}
	}
	report("100 stars of one person", fs, before, began)
}
