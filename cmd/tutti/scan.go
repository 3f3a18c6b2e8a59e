package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"tutti"
	"tutti/peer/members"
)

type scanCmd struct {
	Full  bool `help:"Read every file again, changed or not."`
	Purge bool `help:"Afterwards forget the tracks that are missing, with their stars and counts."`
}

// Run scans once and prints what came of it. It needs the data folder to itself: where a server runs, that server
// scans (on its page, or by startScan). In a fleet, the catalogue process that scans does.
func (c scanCmd) Run(ctx context.Context, s *settings, std *streams, logger *slog.Logger) (err error) {
	if s.fleet() {
		return c.inFleet(ctx, s, std, logger)
	}
	if len(s.Music) == 0 {
		return errors.New("no music folder is configured: name one with --music DIR")
	}
	lock, err := lockData(s.Data)
	if tutti.IsKind(err, tutti.KindConflict) {
		return errors.New("a server is using this data folder; start the scan on its page, or stop it first")
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	n := newNode(s, logger)
	defer func() { err = errors.Join(err, n.close()) }()
	for _, part := range []string{"trackcache here", "catalog here"} {
		if err := n.build(ctx, part); err != nil {
			return err
		}
	}
	bar := newProgress(std, "scanning", "files")
	var barErr error
	st, err := n.scanner.ScanOnce(ctx, c.Full, func(st tutti.ScanStatus) {
		barErr = errors.Join(barErr, bar.set(st.Seen, st.Total))
	})
	if err := errors.Join(err, barErr, bar.end()); err != nil {
		return err
	}
	if c.Purge {
		if st.Removed, err = n.scanner.Purge(ctx); err != nil {
			return err
		}
	}
	return report(std, st)
}

// inFleet asks for a scan, watches it, and prints what came of it.
func (c scanCmd) inFleet(ctx context.Context, s *settings, std *streams, logger *slog.Logger) (err error) {
	if c.Purge {
		return errors.New("--purge is for one machine: a fleet keeps tracks that are missing, with their stars and counts, so that they are there again when the files are. Scan without it")
	}
	n := newNode(s, logger)
	defer func() { err = errors.Join(err, n.close()) }()
	if err := n.build(ctx, "store"); err != nil {
		return err
	}
	fleet, err := members.New(ctx, members.Config{Store: n.store, Clock: n.clock, Logger: logger})
	if err != nil {
		return err
	}
	peers, err := n.connect(fleet)
	if err != nil {
		return err
	}
	defer peers.Close()
	g, ctx := errgroup.WithContext(ctx)
	ctx, done := context.WithCancel(ctx)
	defer done()
	g.Go(func() error { return fleet.Run(ctx) })
	g.Go(func() error {
		defer done()
		st, err := c.watch(ctx, peers.Catalog(), std)
		if err != nil {
			return err
		}
		return report(std, st)
	})
	return g.Wait()
}

// errScanned ends the watching of a scan.
var errScanned = errors.New("scanned")

// watch asks for a scan and returns how it ended.
func (c scanCmd) watch(ctx context.Context, catalogue tutti.Catalog, std *streams) (st tutti.ScanStatus, err error) {
	before, err := catalogue.ScanStatus(ctx)
	if err != nil {
		return st, err
	}
	if _, err := catalogue.Scan(ctx, c.Full); err != nil {
		return st, err
	}
	bar := newProgress(std, "scanning", "files")
	err = catalogue.WatchScan(ctx, func(now tutti.ScanStatus) error {
		st = now
		if !now.Scanning && now.Finished.After(before.Finished) {
			return errScanned
		}
		if !now.Scanning {
			return nil // it has not begun
		}
		return bar.set(now.Seen, now.Total)
	})
	if errors.Is(err, errScanned) {
		err = nil
	}
	return st, errors.Join(err, bar.end())
}

func report(std *streams, st tutti.ScanStatus) error {
	_, err := fmt.Fprintf(std.out, "%s seen in %v: %d added, %d changed, %d moved, %d missing, %d removed, %d unreadable; %s in the catalogue\n",
		plural(st.Seen, "file", "files"), st.Finished.Sub(st.Started).Round(time.Millisecond),
		st.Added, st.Changed, st.Moved, st.Missing, st.Removed, st.Failed, plural(int64(st.Tracks), "track", "tracks"))
	return err
}
