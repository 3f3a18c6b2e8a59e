package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"tutti/catalog"
	"tutti/catalog/catalogtest"
	"tutti/catalog/scan"
	"tutti/clock"
	"tutti/origin/folder"
	"tutti/store/sqlite"
)

// fillSynthetic writes a made-up catalogue of n tracks into a data folder, as a scan would, and leaves the rest to the
// program.
func fillSynthetic(ctx context.Context, data, music string, n int) (err error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	quiet := slog.New(slog.DiscardHandler)
	s, err := sqlite.Open(ctx, filepath.Join(data, "tutti.db"), sqlite.Options{Clock: clock.System, Logger: quiet})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	o, err := folder.New(folder.Config{Libraries: []folder.Library{{ID: "1", Name: "synthetic", Path: music}}, Logger: quiet})
	if err != nil {
		return err
	}
	c, err := catalog.New(ctx, catalog.Config{Store: s, Origin: o, Clock: clock.System, Logger: quiet, SoleWriter: true})
	if err != nil {
		return err
	}
	batch := make([]scan.Change, 0, 500)
	for e := range catalogtest.Synthetic(n) {
		batch = append(batch, scan.Change{Put: &e})
		if len(batch) == cap(batch) {
			if err := c.Apply(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if err := c.Apply(ctx, batch); err != nil {
		return err
	}
	return c.Snapshot(ctx)
}
