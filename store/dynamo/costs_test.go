package dynamo

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"tutti"
	"tutti/catalog"
	"tutti/catalog/catalogtest"
	"tutti/catalog/scan"
	"tutti/clock"
	"tutti/origin/folder"
	"tutti/peer/members"
	"tutti/store"
	"tutti/store/dynamo/local"
	"tutti/store/lease"
)

// TestCosts does what people and processes do, with the parts that do it, and asks DynamoDB Local what it costs. The
// bounds are those of docs/decisions/dynamodb.md, whose figures are what this logs (go test -run Costs -v ./store/dynamo).
func TestCosts(t *testing.T) {
	ctx := t.Context()
	s := openTest(t, newTable(t, local.DynamoDB, clock.System))
	cost := func(what string, times int, reads, writes float64, do func(i int) error) {
		t.Helper()
		before := s.Consumed().Total
		for i := range times {
			if err := do(i); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		now := s.Consumed().Total
		n := float64(times)
		u := Units{Reads: (now.Reads - before.Reads) / n, Writes: (now.Writes - before.Writes) / n}
		calls := float64(now.Calls-before.Calls) / n
		t.Logf("%-44s %6.2f calls %7.2f read units %8.2f write units %9.3f $ a million", what, calls, u.Reads, u.Writes, DefaultPrices.Dollars(u)*1e6)
		if u.Reads > reads || u.Writes > writes {
			t.Errorf("%s costs %.2f reads and %.2f writes, want at most %.2f and %.2f", what, u.Reads, u.Writes, reads, writes)
		}
	}

	quiet := slog.New(slog.DiscardHandler)
	o, err := folder.New(folder.Config{Libraries: []folder.Library{{ID: "1", Name: "Music", Path: t.TempDir()}}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.New(ctx, catalog.Config{Store: s, Origin: o, Clock: clock.System, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- c.Run(running) }() // looks at its log once a second, which is in the figures
	const tracks = 2000
	var changes []scan.Change
	for e := range catalogtest.Synthetic(tracks) {
		changes = append(changes, scan.Change{Put: &e})
	}
	cost("a scan of 2,000 tracks", 1, 150, 300, func(int) error {
		for len(changes) > 0 {
			n := min(500, len(changes))
			if err := c.Apply(ctx, changes[:n]); err != nil {
				return err
			}
			changes = changes[n:]
		}
		return nil
	})
	viewer := tutti.Viewer{User: "user"}
	found, _, err := c.Tracks(ctx, viewer, tutti.TrackQuery{Page: tutti.Page{Limit: 100}})
	if err != nil || len(found) != 100 {
		t.Fatalf("%d tracks, %v", len(found), err)
	}
	cost("a star", 100, 4, 1.2, func(i int) error { return c.Star(ctx, viewer, true, found[i].ID) })
	cost("a play that is counted", 100, 4, 1.2, func(i int) error {
		return c.Played(ctx, viewer, tutti.Play{Track: found[i].ID})
	})
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	// Without the looks at the log, one of which may fall into any hundred starts.
	plan := func(i int) error {
		_, err := c.Plan(ctx, tutti.PlanRequest{Viewer: viewer, Track: found[i].ID})
		return err
	}
	cost("a stream start", 100, 0, 0, plan)

	var fleet *members.Members
	for i, service := range strings.Fields("delivery delivery catalog catalog trackcache trackcache trackcache") {
		fleet, err = members.New(ctx, members.Config{Store: s, Clock: clock.System, Logger: quiet, Self: tutti.Member{
			ID: fmt.Sprintf("%032d", i), Service: tutti.Service(service), Address: "192.0.2.17:4533", Version: "v1.0.0-100-g0123456789",
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	cost("a heartbeat", 10, 0, 1, func(i int) error {
		if i%2 == 0 {
			return fleet.Ready(ctx)
		}
		return fleet.Drain(ctx)
	})
	cost("a look at a fleet of seven", 10, 1, 0, func(int) error {
		p, err := s.Query(ctx, "fleet", "member/", "", store.MaxPage)
		if err == nil && len(p.Items) != 7 {
			err = fmt.Errorf("%d members", len(p.Items))
		}
		return err
	})
	l, err := lease.Acquire(ctx, lease.Config{Store: s, Clock: clock.System, Name: "scan", Holder: "catalog-1", TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	cost("the renewal of a lease", 10, 0, 1, func(int) error { return l.Renew(ctx) })
	cost("a look at a lease", 10, 1, 0, func(int) error {
		_, _, err := lease.Holder(ctx, s, "scan")
		return err
	})
	head := make([]byte, 340<<10)
	cost("a track's head written", 3, 0, 341, func(i int) error {
		_, err := s.Put(ctx, store.Key{PK: fmt.Sprint("head", i), SK: "h"}, head, time.Time{}, store.Always)
		return err
	})
	cost("a track's head read", 3, 86, 0, func(i int) error {
		_, err := s.Get(ctx, store.Key{PK: fmt.Sprint("head", i), SK: "h"})
		return err
	})
	fill(t, s, "trimmed", 1, 100)
	cost("100 records of a log trimmed", 1, 3, 102, func(int) error { return s.TrimLog(ctx, "trimmed", 100) })
}
