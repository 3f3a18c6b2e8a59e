// Package store is the contract for the state that services share: items under a partition and a sort key, and
// append-only logs. It is as narrow as DynamoDB makes it, so that every engine that can do this much will serve:
// store/sqlite on one machine, DynamoDB for a fleet. store/storetest holds the suite that every engine passes.
//
// There are no transactions across items. One action of a user writes one item or one log record, and read models
// apply the records, so a crash between two writes leaves nothing half done.
package store

import (
	"context"
	"time"

	"tutti"
)

// Limits that every engine keeps, from those of DynamoDB (400 KB an item, 2048 and 1024 bytes a key) with room to
// spare for names and numbers. Larger values are KindInvalid, not truncated.
const (
	MaxValue    = 350_000 // bytes of Item.Value or of a log record
	MaxPK       = 1024    // bytes
	MaxSK       = 900     // bytes
	MaxBatchGet = 100     // keys a BatchGet
	MaxPage     = 1000    // items a Query or records a ReadLog; an engine may return fewer
)

// Key names an item. Both parts are non-empty, valid UTF-8 and free of NUL.
type Key struct{ PK, SK string }

// Item is a stored value. Version counts its writes from 1. A zero Expires means never; an expired item is never
// returned, whenever the engine gets round to deleting it. Expiry has a resolution of one second.
type Item struct {
	Key
	Value   []byte
	Version uint64
	Expires time.Time
}

// Condition is what must hold for a write to happen; otherwise the write returns KindConflict and changes nothing.
type Condition struct {
	kind    conditionKind
	version uint64
}

type conditionKind uint8

const (
	always conditionKind = iota
	absent
	atVersion
)

// The conditions of a write. Always is the zero Condition.
var (
	Always   = Condition{}             // write whatever is there
	IfAbsent = Condition{kind: absent} // write only if there is no such item (an expired one is none)
)

// IfVersion writes only if the item's version is v.
func IfVersion(v uint64) Condition { return Condition{kind: atVersion, version: v} }

// Absent reports whether the condition is IfAbsent.
func (c Condition) Absent() bool { return c.kind == absent }

// Version returns the version that IfVersion was given; ok is false for other conditions.
func (c Condition) Version() (v uint64, ok bool) { return c.version, c.kind == atVersion }

// Page is one page of a query. Next is the cursor of the page after it, "" at the end. A page may be short, even
// empty, and still have a next one.
type Page struct {
	Items []Item
	Next  string
}

// Record is one entry of a log. Seq counts from 1 without gaps up to the newest.
type Record struct {
	Seq   uint64
	Value []byte
}

// Store is the contract. Every write is durable when it returns nil, and is seen by every read that starts after
// that. A write that returns an error has not happened, except where the answer of a database elsewhere was lost
// (KindUnavailable): then it may have, and the caller reads again. Of such a lost answer a write without a condition may
// happen a second time, before it returns, and replace what another wrote in between: who shares an item that matters
// names its version. Values passed in are not kept, values returned are the caller's. Engines retry throttling and
// partial answers themselves within a budget and then return KindUnavailable; callers retry KindConflict after reading
// again.
type Store interface {
	// Get returns KindNotFound where there is no item, or an expired one.
	Get(ctx context.Context, k Key) (Item, error)
	// BatchGet returns the items that exist, in no particular order, for up to MaxBatchGet distinct keys; a key that is
	// asked for twice is KindInvalid.
	BatchGet(ctx context.Context, keys []Key) ([]Item, error)
	// Put writes value and returns the item's new version. A zero expires is never.
	Put(ctx context.Context, k Key, value []byte, expires time.Time, cond Condition) (version uint64, err error)
	// Delete removes the item. Without a condition, deleting what is not there is no error; with IfVersion, it is a conflict.
	Delete(ctx context.Context, k Key, cond Condition) error
	// Query returns the partition's items whose sort key begins with prefix, in byte order of the sort key, at most
	// limit (1 to MaxPage) of them. after is "" or the Next of the page before.
	Query(ctx context.Context, pk, prefix, after string, limit int) (Page, error)

	// Append writes a log's record seq. It returns KindConflict if that record exists (also where it has been
	// trimmed), and KindInvalid if the one before it does not.
	Append(ctx context.Context, log string, seq uint64, value []byte) error
	// ReadLog returns up to limit (1 to MaxPage) records with Seq > since in order. It may return fewer although there are
	// more, but none only at the end. A log nobody appended to is empty.
	// Records that were trimmed are not returned: the first record's Seq tells.
	ReadLog(ctx context.Context, log string, since uint64, limit int) ([]Record, error)
	// LastSeq returns the newest sequence number, 0 for a log nobody appended to. Trimming does not change it.
	LastSeq(ctx context.Context, log string) (uint64, error)
	// TrimLog removes the records with Seq <= upTo. Readers that had not got there must start from a snapshot.
	TrimLog(ctx context.Context, log string, upTo uint64) error

	Close() error
}

// CheckKey returns KindInvalid for a key that no engine takes.
func CheckKey(k Key) error {
	if err := checkPart("partition key", k.PK, MaxPK); err != nil {
		return err
	}
	return checkPart("sort key", k.SK, MaxSK)
}

// CheckValue returns KindInvalid for a value that no engine takes.
func CheckValue(v []byte) error {
	if len(v) > MaxValue {
		return tutti.Errorf(tutti.KindInvalid, "store.CheckValue", "a value of %d bytes is over the limit of %d", len(v), MaxValue)
	}
	return nil
}
