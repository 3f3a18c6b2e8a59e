package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	engine "modernc.org/sqlite"

	"tutti"
)

// backupStep is how many pages (of 4 KiB) are copied between two reports of progress.
const backupStep = 1024

// Backup writes a consistent copy of the database as it is now to a new file, while everybody goes on reading and
// writing, in this process and in others. progress, which may be nil, is told how many bytes of how many are done. toPath
// must not exist (KindConflict). If Backup fails there is no such file.
func (s *Store) Backup(ctx context.Context, toPath string, progress func(done, total int64)) error {
	return s.read(ctx, "sqlite.Backup", func(*conn) error { return backupFile(ctx, s.path, toPath, progress) })
}

// Backup is Store.Backup for a database that this process has not opened as a Store. It never changes the schema. It
// returns KindNotFound where there is no database.
func Backup(ctx context.Context, path, toPath string, progress func(done, total int64)) (err error) {
	const op = "sqlite.Backup"
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return tutti.Errorf(tutti.KindNotFound, op, "there is no database at %s", path)
	}
	lock, err := flock(path+lockSuffix, syscall.LOCK_SH) // keeps Restore away meanwhile
	if err != nil {
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	return classify(op, backupFile(ctx, path, toPath, progress))
}

func backupFile(ctx context.Context, path, toPath string, progress func(done, total int64)) (err error) {
	if err := create(toPath); errors.Is(err, fs.ErrExist) {
		return tutti.Errorf(tutti.KindConflict, "sqlite.Backup", "%s exists already; choose another name", filepath.Base(toPath))
	} else if err != nil {
		return tutti.Wrap(tutti.KindUnavailable, "sqlite.Backup", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeDatabase(toPath))
		}
	}()
	src, err := dial(ctx, path, pragma{"query_only", "1"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	if err := copyPages(ctx, src, toPath, progress); err != nil {
		return err
	}
	return syncFile(toPath)
}

// copyPages copies the source as it is now. An open read transaction pins what it sees, so that the copy need not
// begin again whenever somebody writes (https://www.sqlite.org/backup.html).
func copyPages(ctx context.Context, src *conn, toPath string, progress func(done, total int64)) error {
	if err := src.script(ctx, "BEGIN"); err != nil {
		return err
	}
	if _, err := schemaVersion(src); err != nil { // the first read pins; and it is no use to copy what is not ours
		return err
	}
	pageSize, _, err := src.queryInt("PRAGMA page_size")
	if err != nil {
		return err
	}
	b, err := src.raw.(interface {
		NewBackup(string) (*engine.Backup, error)
	}).NewBackup(fileURI(toPath, "rw", pragma{"synchronous", "OFF"})) // it is synced as a whole at the end
	if err != nil {
		return err
	}
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, b.Finish())
		}
		if more, err = b.Step(backupStep); err != nil {
			return errors.Join(err, b.Finish())
		}
		if progress != nil {
			total := int64(b.PageCount()) * pageSize
			progress(total-int64(b.Remaining())*pageSize, total)
		}
	}
	raw, err := b.Commit()
	if err != nil {
		return err
	}
	dst := &conn{raw: raw, stmts: make(map[string]driver.Stmt)}
	// One file, without a log beside it, whoever opens it.
	return errors.Join(dst.script(ctx, "PRAGMA journal_mode = DELETE"), dst.close())
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), syncDir(filepath.Dir(path)))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// sideFiles are what SQLite keeps beside a database.
var sideFiles = []string{"-wal", "-shm", "-journal"}

func removeDatabase(path string) error {
	var errs []error
	for _, suffix := range append([]string{""}, sideFiles...) {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Validate reports what is wrong with a database file, such as a backup: KindInvalid if it is damaged, not tutti's or of
// a newer schema than this tutti knows. It reads the whole file, which others may be using meanwhile.
func Validate(ctx context.Context, path string) (err error) {
	const op = "sqlite.Validate"
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return tutti.Errorf(tutti.KindNotFound, op, "there is no such file")
	case err != nil:
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	case info.Size() == 0:
		return tutti.Errorf(tutti.KindInvalid, op, "the database is empty")
	}
	// Read-only: else the engine, on closing the file, would write a log that lies beside it back into whatever is there.
	c, err := connect(ctx, fileURI(path, "ro", pragma{"trusted_schema", "0"}))
	if err != nil {
		return invalid(op, err)
	}
	defer func() { err = errors.Join(err, c.close()) }()
	id, _, err := c.queryInt("PRAGMA application_id")
	if err != nil {
		return invalid(op, err)
	}
	if id != applicationID {
		return tutti.Errorf(tutti.KindInvalid, op, "this file is not one of tutti's databases")
	}
	version, err := schemaVersion(c)
	if err != nil {
		return invalid(op, err)
	}
	if err := checkNotNewer(version, len(migrations)); err != nil {
		return err
	}
	return invalid(op, integrity(ctx, c))
}

func invalid(op string, err error) error {
	if err == nil || tutti.KindOf(err) == tutti.KindInvalid {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	return &tutti.Error{Kind: tutti.KindInvalid, Op: op, Message: "the database is damaged", Err: err}
}

// integrity has SQLite look through the whole file.
func integrity(ctx context.Context, c *conn) error {
	var found []string
	err := c.query(ctx, "PRAGMA integrity_check(10)", nil, func(v []driver.Value) bool {
		found = append(found, fmt.Sprint(v[0]))
		return true
	})
	if err == nil && (len(found) != 1 || found[0] != "ok") {
		err = errors.New("integrity check: " + strings.Join(found, "; "))
	}
	return err
}

// Exclusive holds a database that nobody has open, so that it can be replaced. The holder closes it.
type Exclusive struct {
	path string
	lock *FileLock
}

// OpenExclusive keeps everybody away from the database at path, which need not exist. It returns KindConflict while
// a server or another program has it open.
func OpenExclusive(path string) (*Exclusive, error) {
	const op = "sqlite.OpenExclusive"
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	lock, err := Lock(path + lockSuffix)
	if tutti.IsKind(err, tutti.KindConflict) {
		err = tutti.Errorf(tutti.KindConflict, op, "the database is in use; stop the server and try again")
	}
	if err != nil {
		return nil, err
	}
	return &Exclusive{path: path, lock: lock}, nil
}

// Close lets others open the database again.
func (x *Exclusive) Close() error { return x.lock.Close() }

// keptSuffix ends the name of what Replace keeps, before a number if there are several.
const keptSuffix = ".before-restore"

// Replace puts the database file newPath, which lies in the same folder, in the place of the present one, and returns
// where that is kept: "" if there was none. Whenever the process dies, there is a whole database in place, the one or
// the other.
func (x *Exclusive) Replace(ctx context.Context, newPath string) (kept string, err error) {
	const op = "sqlite.Replace"
	_, err = os.Stat(x.path)
	switch {
	case err == nil:
		if kept, err = x.keep(ctx); err != nil {
			return "", tutti.Wrap(tutti.KindUnavailable, op, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return "", tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	err = errors.Join(os.Chmod(newPath, 0o600), os.Rename(newPath, x.path))
	if err == nil {
		err = syncDir(filepath.Dir(x.path))
	}
	return kept, tutti.Wrap(tutti.KindUnavailable, op, err)
}

// keep gives the present database a second name and takes away what lies beside it, so that the new one is not read with the
// old one's log.
func (x *Exclusive) keep(ctx context.Context) (kept string, err error) {
	if err := x.foldLog(ctx); err != nil {
		return "", err
	}
	if kept, err = Keep(x.path); err != nil {
		return "", err
	}
	for _, suffix := range sideFiles {
		if err := os.Rename(x.path+suffix, kept+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return kept, syncDir(filepath.Dir(x.path))
}

// Keep gives a file a second name, path.before-restore or with a number after it if that is taken, under which it stays
// when another file takes its place.
func Keep(path string) (kept string, err error) {
	for n := 1; ; n++ {
		kept = path + keptSuffix
		if n > 1 {
			kept = fmt.Sprint(kept, "-", n)
		}
		if err := os.Link(path, kept); !errors.Is(err, fs.ErrExist) {
			return kept, err
		}
	}
}

// foldLog writes the log back into the database, so that there is one file to keep. A damaged database, which is a
// reason to restore, is left as it is, and its log is kept beside it.
func (x *Exclusive) foldLog(ctx context.Context) error {
	if damage := Validate(ctx, x.path); damage != nil {
		return ctx.Err()
	}
	c, err := dial(ctx, x.path)
	if err != nil {
		return err
	}
	_, _, err = c.queryInt("PRAGMA wal_checkpoint(TRUNCATE)")
	return errors.Join(err, c.close())
}

// Restore puts a copy of the database file at fromPath in the place of the one at path. It returns KindInvalid for a
// file that Validate refuses and KindConflict while somebody has the database open, and then changes nothing. kept is where
// the previous database is; moving it back undoes the restore.
func Restore(ctx context.Context, path, fromPath string) (kept string, err error) {
	const op = "sqlite.Restore"
	x, err := OpenExclusive(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	if err := Validate(ctx, fromPath); err != nil {
		return "", err
	}
	next := path + ".restoring"
	if err := removeDatabase(next); err != nil { // of a restore that was cut short
		return "", tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	if err := backupFile(ctx, fromPath, next, nil); err != nil {
		return "", classify(op, err)
	}
	return x.Replace(ctx, next)
}
