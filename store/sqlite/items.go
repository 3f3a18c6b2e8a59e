package sqlite

import (
	"context"
	"database/sql/driver"
	"strings"
	"time"

	"tutti"
	"tutti/store"
)

// live is the condition that an item has not expired, given the time.
const live = `(expires = 0 OR expires > ?)`

const (
	getSQL        = `SELECT value, version, expires FROM items WHERE pk = ? AND sk = ? AND ` + live
	queryFirstSQL = `SELECT sk, value, version, expires FROM items WHERE pk = ? AND sk >= ? AND sk < ? AND ` + live + ` ORDER BY sk LIMIT ?`
	queryNextSQL  = `SELECT sk, value, version, expires FROM items WHERE pk = ? AND sk > ? AND sk < ? AND ` + live + ` ORDER BY sk LIMIT ?`
	versionSQL    = `SELECT version FROM items WHERE pk = ? AND sk = ? AND ` + live
	// The driver binds an empty slice as NULL.
	putSQL    = `INSERT OR REPLACE INTO items (pk, sk, value, version, expires) VALUES (?, ?, coalesce(?, x''), ?, ?)`
	deleteSQL = `DELETE FROM items WHERE pk = ? AND sk = ?`
)

// maxPageBytes bounds the values of one page, so that a page of large items does not fill the memory.
const maxPageBytes = 4 << 20

// expiry turns an Item's Expires into what the table holds. It rounds down: nothing outlives its time.
func expiry(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(t.Unix(), 1)
}

func item(k store.Key, value, version, expires driver.Value) store.Item {
	it := store.Item{Key: k, Version: uint64(version.(int64))}
	it.Value, _ = value.([]byte) // nil for an empty one
	if e := expires.(int64); e != 0 {
		it.Expires = time.Unix(e, 0).UTC()
	}
	return it
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, k store.Key) (it store.Item, err error) {
	const op = "sqlite.Get"
	if err := store.CheckKey(k); err != nil {
		return store.Item{}, err
	}
	found := false
	err = s.read(ctx, op, func(c *conn) error {
		return c.query(context.Background(), getSQL, []driver.Value{k.PK, k.SK, s.now()}, func(v []driver.Value) bool {
			it, found = item(k, v[0], v[1], v[2]), true
			return false
		})
	})
	if err == nil && !found {
		err = tutti.Errorf(tutti.KindNotFound, op, "there is no such item")
	}
	return it, err
}

// batchSizes are the numbers of keys for which a statement is compiled; a batch is padded to the next one, with NULLs,
// which equal nothing.
var batchSizes = [...]int{4, 16, 64, store.MaxBatchGet}

// batchSQL are the statements for batchSizes. CROSS JOIN makes SQLite go through the keys and look each up, whatever
// its statistics tell it (https://www.sqlite.org/optoverview.html §8.2).
var batchSQL = func() (sql [len(batchSizes)]string) {
	for i, n := range batchSizes {
		sql[i] = `WITH keys(pk, sk) AS (VALUES ` + strings.TrimSuffix(strings.Repeat("(?, ?), ", n), ", ") + `)
			SELECT items.pk, items.sk, value, version, expires FROM keys CROSS JOIN items USING (pk, sk) WHERE ` + live
	}
	return sql
}()

// BatchGet implements store.Store. It reads all keys from one snapshot.
func (s *Store) BatchGet(ctx context.Context, keys []store.Key) ([]store.Item, error) {
	if err := store.CheckKeys(keys); err != nil || len(keys) == 0 {
		return nil, err
	}
	size := 0
	for batchSizes[size] < len(keys) {
		size++
	}
	args := make([]driver.Value, 0, 2*batchSizes[size]+1)
	for _, k := range keys {
		args = append(args, k.PK, k.SK)
	}
	args = append(args[:2*batchSizes[size]], s.now()) // what lies between is nil
	items := make([]store.Item, 0, len(keys))
	err := s.read(ctx, "sqlite.BatchGet", func(c *conn) error {
		return c.query(context.Background(), batchSQL[size], args, func(v []driver.Value) bool {
			items = append(items, item(store.Key{PK: v[0].(string), SK: v[1].(string)}, v[2], v[3], v[4]))
			return true
		})
	})
	if err != nil {
		return nil, err
	}
	return items, nil
}

// Query implements store.Store. The cursor is the last sort key of the page, so it stays good while items before and
// after it come and go.
func (s *Store) Query(ctx context.Context, pk, prefix, after string, limit int) (store.Page, error) {
	if err := store.CheckQuery(pk, prefix, after, limit); err != nil {
		return store.Page{}, err
	}
	sql, from := queryFirstSQL, prefix
	if after != "" {
		sql, from = queryNextSQL, after
	}
	end := prefix + "\xff" // no UTF-8 has this byte, so it comes after every key with the prefix
	var page store.Page
	bytes, more := 0, false
	err := s.read(ctx, "sqlite.Query", func(c *conn) error {
		return c.query(context.Background(), sql, []driver.Value{pk, from, end, s.now(), int64(limit) + 1}, func(v []driver.Value) bool {
			if len(page.Items) == limit || bytes >= maxPageBytes {
				more = true
				return false
			}
			it := item(store.Key{PK: pk, SK: v[0].(string)}, v[1], v[2], v[3])
			page.Items = append(page.Items, it)
			bytes += len(it.Value)
			return true
		})
	})
	if err != nil {
		return store.Page{}, err
	}
	if more {
		page.Next = page.Items[len(page.Items)-1].SK
	}
	return page, nil
}

// Put implements store.Store.
func (s *Store) Put(ctx context.Context, k store.Key, value []byte, expires time.Time, cond store.Condition) (version uint64, err error) {
	const op = "sqlite.Put"
	if err := store.CheckKey(k); err != nil {
		return 0, err
	}
	if err := store.CheckValue(value); err != nil {
		return 0, err
	}
	err = s.submit(ctx, op, len(value), func(c *conn) error {
		old, err := s.check(c, op, k, cond)
		if err != nil {
			return err
		}
		version = old + 1
		_, err = c.exec(putSQL, k.PK, k.SK, value, int64(version), expiry(expires))
		return err
	})
	if err != nil {
		return 0, err
	}
	return version, nil
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, k store.Key, cond store.Condition) error {
	const op = "sqlite.Delete"
	if err := store.CheckKey(k); err != nil {
		return err
	}
	return s.submit(ctx, op, 0, func(c *conn) error {
		if _, err := s.check(c, op, k, cond); err != nil {
			return err
		}
		_, err := c.exec(deleteSQL, k.PK, k.SK)
		return err
	})
}

// check returns the version of the item, 0 where there is none or an expired one, and KindConflict where cond does
// not hold. It runs in the writer's transaction, so nothing comes between the check and the change.
func (s *Store) check(c *conn, op string, k store.Key, cond store.Condition) (version uint64, err error) {
	n, _, err := c.queryInt(versionSQL, k.PK, k.SK, s.now())
	if err != nil {
		return 0, err
	}
	version = uint64(n)
	if want, ok := cond.Version(); (ok && (version != want || version == 0)) || (cond.Absent() && version != 0) {
		return version, tutti.Errorf(tutti.KindConflict, op, "it has been changed meanwhile; load it again")
	}
	return version, nil
}
