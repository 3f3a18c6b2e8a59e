package sqlite

import (
	"context"
	"fmt"

	"tutti"
)

// applicationID marks the file as tutti's ("tutt"), for `file` and for Restore. https://www.sqlite.org/fileformat.html
const applicationID = 0x74757474

// migrations take a database from the version that is their index to the next. A released one is never edited: what
// it made is in people's files. Each runs in a transaction of its own together with the change of version.
//
// Items are a table without rowid, so that a point read descends one tree instead of an index and a table. Records are
// the opposite: their key is 64 bits (the log's number above, the sequence number in the lower 40), which makes
// appending and reading a range as cheap as SQLite can make it, and keeps large values out of the tree's inner pages.
var migrations = []string{
	`CREATE TABLE items (
		pk      TEXT NOT NULL,
		sk      TEXT NOT NULL,
		value   BLOB NOT NULL,
		version INTEGER NOT NULL,
		expires INTEGER NOT NULL, -- Unix seconds; 0 is never
		PRIMARY KEY (pk, sk)
	) STRICT, WITHOUT ROWID;
	CREATE TABLE logs (
		id   INTEGER PRIMARY KEY,
		name TEXT NOT NULL UNIQUE,
		last INTEGER NOT NULL -- the newest sequence number
	) STRICT;
	CREATE TABLE records (
		id    INTEGER PRIMARY KEY, -- logs.id << 40 | sequence number
		value BLOB NOT NULL
	) STRICT;`,
	// Finds expired items without looking at the others.
	`CREATE INDEX items_by_expiry ON items (expires) WHERE expires <> 0;`,
}

// seqBits is how many bits of a record's id are its sequence number: 10^12 records a log, in 8 million logs.
const seqBits = 40

const maxSeq = 1<<seqBits - 1

// schemaVersion reads the version of the schema: 0 for a new, empty file.
func schemaVersion(c *conn) (int, error) {
	_, ok, err := c.queryInt(`SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'meta'`)
	if err != nil {
		return 0, err
	}
	if !ok {
		n, _, err := c.queryInt(`SELECT count(*) FROM sqlite_schema`)
		if err != nil {
			return 0, err
		}
		if n != 0 {
			return 0, tutti.Errorf(tutti.KindInvalid, "sqlite.schemaVersion", "this SQLite file was not made by tutti; choose another data folder")
		}
		return 0, nil
	}
	v, ok, err := c.queryInt(`SELECT value FROM meta WHERE key = 'schema'`)
	if err == nil && !ok {
		err = tutti.Errorf(tutti.KindInternal, "sqlite.schemaVersion", "the database does not say which version it is; restore a backup")
	}
	return int(v), err
}

func checkNotNewer(version, ours int) error {
	if version > ours {
		return tutti.Errorf(tutti.KindInvalid, "sqlite.Open",
			"the database was written by a newer tutti (schema %d, this one knows up to %d); run that version, or restore a backup made by this one", version, ours)
	}
	return nil
}

// migrate brings the schema to the newest version. The caller is the only one who has the file open.
func migrate(ctx context.Context, c *conn, steps []string) error {
	version, err := schemaVersion(c)
	if err != nil {
		return err
	}
	if err := checkNotNewer(version, len(steps)); err != nil {
		return err
	}
	for ; version < len(steps); version++ {
		if err := c.script(ctx, step(version, steps[version])); err != nil {
			if rollback := c.script(context.WithoutCancel(ctx), "ROLLBACK"); rollback != nil {
				err = fmt.Errorf("%w (and rolling back: %w)", err, rollback)
			}
			return fmt.Errorf("bring the schema from version %d to %d: %w", version, version+1, err)
		}
	}
	return nil
}

func step(version int, sql string) string {
	first := ""
	if version == 0 {
		first = fmt.Sprintf(`PRAGMA application_id = %d;
			CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;`, applicationID)
	}
	return "BEGIN IMMEDIATE;\n" + first + sql +
		fmt.Sprintf("\nINSERT OR REPLACE INTO meta (key, value) VALUES ('schema', %d);\nCOMMIT;", version+1)
}
