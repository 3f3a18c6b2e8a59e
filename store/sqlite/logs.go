package sqlite

import (
	"context"
	"database/sql/driver"

	"tutti"
	"tutti/store"
)

const (
	logSQL        = `SELECT last FROM logs WHERE name = ?`
	logIDSQL      = `SELECT id FROM logs WHERE name = ?`
	newLogSQL     = `INSERT INTO logs (name, last) VALUES (?, 0)`
	advanceLogSQL = `UPDATE logs SET last = ? WHERE id = ?`
	appendSQL     = `INSERT INTO records (id, value) VALUES (?, coalesce(?, x''))`
	readLogSQL    = `SELECT records.id & ?, value FROM logs CROSS JOIN records
		ON records.id > (logs.id << ?) + ? AND records.id <= (logs.id << ?) + ? WHERE name = ? ORDER BY records.id LIMIT ?`
	trimSQL = `DELETE FROM records WHERE id IN (SELECT id FROM records WHERE id > ? AND id <= ? ORDER BY id LIMIT ?)`
)

// trimStep is how many records one write removes: a few milliseconds' worth, so that others are not kept waiting.
const trimStep = 1000

// Append implements store.Store.
func (s *Store) Append(ctx context.Context, log string, seq uint64, value []byte) error {
	const op = "sqlite.Append"
	if err := store.CheckLog(log); err != nil {
		return err
	}
	if err := store.CheckValue(value); err != nil {
		return err
	}
	if seq == 0 || seq > maxSeq {
		return tutti.Errorf(tutti.KindInvalid, op, "the sequence number %d is outside 1 to %d", seq, uint64(maxSeq))
	}
	return s.submit(ctx, op, len(value), func(c *conn) error {
		last, known, err := c.queryInt(logSQL, log)
		switch {
		case err != nil:
			return err
		case int64(seq) <= last:
			return tutti.Errorf(tutti.KindConflict, op, "record %d has been written by somebody else; read on and try again", seq)
		case int64(seq) != last+1:
			return tutti.Errorf(tutti.KindInvalid, op, "record %d would leave a gap after %d", seq, last)
		}
		if !known {
			if _, err := c.exec(newLogSQL, log); err != nil {
				return err
			}
		}
		id, _, err := c.queryInt(logIDSQL, log)
		if err != nil {
			return err
		}
		if _, err := c.exec(appendSQL, id<<seqBits|int64(seq), value); err != nil {
			return err
		}
		_, err = c.exec(advanceLogSQL, int64(seq), id)
		return err
	})
}

// ReadLog implements store.Store.
func (s *Store) ReadLog(ctx context.Context, log string, since uint64, limit int) ([]store.Record, error) {
	if err := store.CheckLog(log); err != nil {
		return nil, err
	}
	if err := store.CheckLimit(limit); err != nil {
		return nil, err
	}
	if since >= maxSeq {
		return nil, nil
	}
	args := []driver.Value{int64(maxSeq), int64(seqBits), int64(since), int64(seqBits), int64(maxSeq), log, int64(limit)}
	var records []store.Record
	bytes := 0
	err := s.read(ctx, "sqlite.ReadLog", func(c *conn) error {
		return c.query(context.Background(), readLogSQL, args, func(v []driver.Value) bool {
			r := store.Record{Seq: uint64(v[0].(int64))}
			r.Value, _ = v[1].([]byte) // nil for an empty one
			records = append(records, r)
			bytes += len(r.Value)
			return bytes < maxPageBytes
		})
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

// LastSeq implements store.Store.
func (s *Store) LastSeq(ctx context.Context, log string) (uint64, error) {
	if err := store.CheckLog(log); err != nil {
		return 0, err
	}
	var last int64
	err := s.read(ctx, "sqlite.LastSeq", func(c *conn) (err error) {
		last, _, err = c.queryInt(logSQL, log)
		return err
	})
	return uint64(last), err
}

// TrimLog implements store.Store. A trim that is cut short has removed the oldest records and may be repeated.
func (s *Store) TrimLog(ctx context.Context, log string, upTo uint64) error {
	if err := store.CheckLog(log); err != nil {
		return err
	}
	for {
		var removed int64
		err := s.submit(ctx, "sqlite.TrimLog", 0, func(c *conn) error {
			id, known, err := c.queryInt(logIDSQL, log)
			if err != nil || !known {
				return err
			}
			end := id<<seqBits | int64(min(upTo, maxSeq))
			removed, err = c.exec(trimSQL, id<<seqBits, end, int64(trimStep))
			return err
		})
		if err != nil || removed < trimStep {
			return err
		}
	}
}
