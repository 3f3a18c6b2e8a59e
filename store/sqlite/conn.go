package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net/url"
	"path/filepath"
	"strconv"

	engine "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"tutti"
)

// conn is one connection with its compiled statements. It is used by one goroutine at a time.
//
// It speaks to the driver directly: database/sql would add a lock, a goroutine and a dozen allocations to every point
// read, for pooling and conversions that this package does not need.
type conn struct {
	raw   driver.Conn
	stmts map[string]driver.Stmt // by SQL text; compiled once, closed with the connection
}

// pragma is a setting of a connection. https://www.sqlite.org/pragma.html
type pragma struct{ name, value string }

// busyMillis is how long a connection waits for a lock that another process holds. Within the process writes are
// serialised by the writer, so that only `tutti user`, a backup and the like ever make anybody wait.
const busyMillis = 10_000

// dial opens the database file, which is there. A file that is write-protected is opened for reading.
func dial(ctx context.Context, path string, pragmas ...pragma) (*conn, error) {
	return connect(ctx, fileURI(path, "rw", pragmas...))
}

func connect(ctx context.Context, uri string) (*conn, error) {
	connector, err := engine.NewConnector(uri)
	if err != nil {
		return nil, err
	}
	raw, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{raw: raw, stmts: make(map[string]driver.Stmt)}, nil
}

// fileURI names a file and its settings to the engine; mode is "rw" or "ro", neither of which makes a file.
// https://www.sqlite.org/uri.html
func fileURI(path, mode string, pragmas ...pragma) string {
	q := url.Values{"mode": {mode}, "_dqs": {"0"}}
	q.Add("_pragma", "busy_timeout("+strconv.Itoa(busyMillis)+")")
	for _, p := range pragmas {
		q.Add("_pragma", p.name+"("+p.value+")")
	}
	if !filepath.IsAbs(path) {
		path = "./" + path
	}
	uri := url.URL{Scheme: "file", Path: filepath.ToSlash(path), OmitHost: true, RawQuery: q.Encode()}
	return uri.String()
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	c.stmts = nil
	return errors.Join(append(errs, c.raw.Close())...)
}

func (c *conn) stmt(sql string) (driver.Stmt, error) {
	if s, ok := c.stmts[sql]; ok {
		return s, nil
	}
	s, err := c.raw.Prepare(sql)
	if err != nil {
		return nil, err
	}
	c.stmts[sql] = s
	return s, nil
}

func bind(args []driver.Value) []driver.NamedValue {
	if len(args) == 0 {
		return nil
	}
	named := make([]driver.NamedValue, len(args))
	for i, a := range args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	return named
}

// exec runs a statement and returns how many rows it changed. It cannot be interrupted: the driver would start a
// goroutine for that, which costs more than most statements here.
func (c *conn) exec(sql string, args ...driver.Value) (int64, error) {
	s, err := c.stmt(sql)
	if err != nil {
		return 0, err
	}
	r, err := s.(driver.StmtExecContext).ExecContext(context.Background(), bind(args))
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// query runs a statement and calls row for each row of the result; values are the row's until the next one. row
// returns false to stop.
func (c *conn) query(ctx context.Context, sql string, args []driver.Value, row func(v []driver.Value) (more bool)) (err error) {
	s, err := c.stmt(sql)
	if err != nil {
		return err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(ctx, bind(args))
	if err != nil {
		return err
	}
	defer func() {
		if e := rows.Close(); err == nil && e != nil {
			err = e
		}
	}()
	v := make([]driver.Value, len(rows.Columns()))
	for {
		if err := rows.Next(v); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		if !row(v) {
			return nil
		}
	}
}

// queryInt returns the only value of the only row, or ok false where there is no row.
func (c *conn) queryInt(sql string, args ...driver.Value) (n int64, ok bool, err error) {
	err = c.query(context.Background(), sql, args, func(v []driver.Value) bool {
		n, ok = v[0].(int64)
		return false
	})
	return n, ok, err
}

// script runs SQL of several statements that is not worth keeping compiled.
func (c *conn) script(ctx context.Context, sql string) error {
	_, err := c.raw.(driver.ExecerContext).ExecContext(ctx, sql, nil)
	return err
}

// classify gives an engine's error its kind and, where a person can do something about it, a message.
// https://www.sqlite.org/rescode.html
func classify(op string, err error) error {
	var e *engine.Error
	if err == nil || !errors.As(err, &e) {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	kind, message := tutti.KindInternal, ""
	switch e.Code() & 0xff {
	case codes.SQLITE_BUSY, codes.SQLITE_LOCKED:
		kind, message = tutti.KindUnavailable, "another program has kept the database busy for too long; try again"
	case codes.SQLITE_FULL:
		kind, message = tutti.KindUnavailable, "the disk with the data folder is full; free some space and try again"
	case codes.SQLITE_IOERR, codes.SQLITE_READONLY, codes.SQLITE_CANTOPEN, codes.SQLITE_PERM:
		kind, message = tutti.KindUnavailable, "the database cannot be read or written; the log says why"
	case codes.SQLITE_CORRUPT, codes.SQLITE_NOTADB:
		message = "the database file is damaged or is not one of tutti's; restore a backup"
	case codes.SQLITE_INTERRUPT, codes.SQLITE_NOMEM:
		kind = tutti.KindUnavailable
	}
	return &tutti.Error{Kind: kind, Op: op, Message: message, Err: err}
}
