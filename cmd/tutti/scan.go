package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tutti"
)

type scanCmd struct {
	Full  bool `help:"Read every file again, changed or not."`
	Purge bool `help:"Afterwards forget the tracks that are missing, with their stars and counts."`
}

// Run scans once and prints what came of it. It needs the data folder to itself: where a server runs, that server
// scans (on its page, or by startScan).
func (c scanCmd) Run(ctx context.Context, s *settings, std *streams, logger *slog.Logger) (err error) {
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
	if err := n.build(ctx, "catalog"); err != nil {
		return err
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
	_, err = fmt.Fprintf(std.out, "%s seen in %v: %d added, %d changed, %d moved, %d missing, %d removed, %d unreadable; %s in the catalogue\n",
		plural(st.Seen, "file", "files"), st.Finished.Sub(st.Started).Round(time.Millisecond),
		st.Added, st.Changed, st.Moved, st.Missing, st.Removed, st.Failed, plural(int64(st.Tracks), "track", "tracks"))
	return err
}
