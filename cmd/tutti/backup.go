package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"tutti/clock"
	"tutti/store/backup"
	"tutti/store/sqlite"
)

// dataFolder says what of a data folder a backup holds.
func dataFolder(s *settings) backup.Folder {
	return backup.Folder{
		Dir: s.Data, Database: filepath.Base(databasePath(s.Data)),
		Files: []string{filepath.Base(keyPath(s.Data)), "tutti.yml"},
	}
}

// checkDatabase looks for damage in the database, also while a server uses it.
func checkDatabase(ctx context.Context, path string) error { return sqlite.Validate(ctx, path) }

type backupCmd struct {
	File string `arg:"" help:"Where to write the backup; - is standard output." type:"path"`
}

// Run writes the backup, through a temporary name so that a file under its own name is a whole one.
func (c backupCmd) Run(ctx context.Context, s *settings, std *streams, _ *slog.Logger) (err error) {
	bar := newProgress(std, "backing up", "")
	var barErr error
	o := backup.Options{Clock: clock.System, Version: version, Progress: func(done, total int64) { barErr = errors.Join(barErr, bar.set(done, total)) }}
	if c.File == "-" {
		_, err := backup.Write(ctx, std.out, dataFolder(s), o)
		return errors.Join(err, barErr, bar.end())
	}
	f, err := os.CreateTemp(filepath.Dir(c.File), ".tutti-backup-*") // mode 0600: there are secrets in it
	if err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	m, err := backup.Write(ctx, f, dataFolder(s), o)
	if err := errors.Join(err, barErr, bar.end(), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), c.File); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	var size int64
	for _, file := range m.Files {
		size += file.Size
	}
	_, err = fmt.Fprintf(std.out, "%s: %s, %.1f MiB before compression; keep it as you keep passwords\n", c.File, plural(int64(len(m.Files)), "file", "files"), float64(size)/(1<<20))
	return err
}

type restoreCmd struct {
	File string `arg:"" help:"The backup; - is standard input." type:"path"`
}

// Run puts a backup back. The server must be stopped.
func (c restoreCmd) Run(ctx context.Context, s *settings, std *streams, _ *slog.Logger) (err error) {
	lock, err := lockData(s.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	in := std.in
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return fmt.Errorf("read the backup: %w", err)
		}
		defer f.Close()
		in = f
	}
	bar := newProgress(std, "restoring", "")
	var barErr error
	m, kept, err := backup.Restore(ctx, in, dataFolder(s), backup.Options{Progress: func(done, total int64) { barErr = errors.Join(barErr, bar.set(done, total)) }})
	if err := errors.Join(err, barErr, bar.end()); err != nil {
		return err
	}
	fmt.Fprintf(std.out, "restored the backup of %s (tutti %s) to %s\n", m.Created.Format(time.DateTime), m.Version, s.Data)
	for _, k := range kept {
		fmt.Fprintln(std.out, "what was there before is kept in", k)
	}
	return nil
}
