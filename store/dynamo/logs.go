package dynamo

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tutti"
	"tutti/store"
)

// A log without transactions
//
// A record is one item, written on the condition that there is none of its number. What needs thought is the order of
// that with everything else:
//
//   - The record before it must exist. It is read first, unless this Store has seen it within the hour; records go only
//     by trimming, so what was seen stays true.
//   - Trimming must not let a number be written twice: an Append that was on its way all the time would find nothing
//     there. So a trimmed record becomes a tombstone, which costs what its removal would, and the table's TTL removes
//     that after a week for nothing. An Append that took longer than a minute looks at the mark afterwards, for a
//     process can be stopped for a week, too.
//   - The newest number must outlive the tombstones. So the mark of how far a log is trimmed is written before anything is.
//   - Tombstones are written in batches, which can be done in part. So a reader takes what lies before a tombstone or a
//     gap for trimmed.

const (
	tombstoneLife = 7 * 24 * time.Hour
	promptAppend  = time.Minute
	tailLife      = time.Hour
	maxTails      = 10_000 // logs of which the end is remembered: about a megabyte
	batchWrite    = 25     // items a BatchWriteItem
)

// tail is a record that a Store has seen or written. For as long as tombstones live, that is as good as to read it.
type tail struct {
	seq uint64
	at  time.Time
}

// tails remembers a record of each log that was in use lately, so that who appends many need not read each one back.
type tails struct {
	mu sync.Mutex
	of map[string]tail
}

func (t *tails) saw(log string, seq uint64, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.of[log]; t.of == nil || !known && len(t.of) >= maxTails {
		t.of = make(map[string]tail)
	}
	t.of[log] = tail{seq, at}
}

func (t *tails) has(log string, seq uint64, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := t.of[log]
	return seen.seq == seq && now.Sub(seen.at) < tailLife
}

func recordKey(log string, seq uint64) attributes {
	return attributes{pkAttr: text(logPrefix + log), skAttr: text(sequence(seq))}
}

func sequence(seq uint64) string { return fmt.Sprintf("%020d", seq) }

func seqOf(a attributes) (seq uint64, ok bool) {
	return numberOf(&types.AttributeValueMemberN{Value: textOf(a[skAttr])})
}

func isTombstone(a attributes) bool { return a[expiryAttr] != nil }

func markKey(log string) attributes {
	return attributes{pkAttr: text(markPrefix + log), skAttr: text("trim")}
}

// mark returns up to where a log was trimmed, and up to where that is done.
func (s *Store) mark(ctx context.Context, op, log string) (trimmed, cleaned uint64, err error) {
	a, err := s.getItem(ctx, op, markKey(log))
	trimmed, _ = numberOf(a[trimAttr])
	cleaned, _ = numberOf(a[cleanedAttr])
	return trimmed, cleaned, err
}

// Append implements store.Store.
func (s *Store) Append(ctx context.Context, log string, seq uint64, value []byte) error {
	const op = "dynamo.Append"
	if err := store.CheckLog(log); err != nil {
		return err
	}
	if err := store.CheckValue(value); err != nil {
		return err
	}
	if seq == 0 {
		return tutti.Errorf(tutti.KindInvalid, op, "records are numbered from 1")
	}
	started := s.clock.Now()
	if err := s.mayAppend(ctx, op, log, seq); err != nil {
		return err
	}
	a := recordKey(log, seq)
	if len(value) > 0 {
		a[valueAttr] = &types.AttributeValueMemberB{Value: value}
	}
	err := s.putItem(ctx, op, a, len(value), condition{text: "attribute_not_exists(pk)"})
	if tutti.IsKind(err, tutti.KindConflict) {
		return taken(op, seq)
	}
	if err == nil {
		s.tails.saw(log, seq, started)
	}
	if err == nil && s.clock.Now().Sub(started) > promptAppend {
		trimmed, _, err := s.mark(ctx, op, log)
		if err != nil {
			return err
		}
		if seq <= trimmed {
			return tutti.Errorf(tutti.KindUnavailable, op, "the log was trimmed meanwhile; read it again to see what happened")
		}
	}
	return err
}

func taken(op string, seq uint64) error {
	return tutti.Errorf(tutti.KindConflict, op, "record %d has been written by somebody else; read on and try again", seq)
}

// mayAppend returns nil if the log goes up to seq-1 at least and seq was not trimmed.
func (s *Store) mayAppend(ctx context.Context, op, log string, seq uint64) error {
	if seq > 1 {
		if s.tails.has(log, seq-1, s.clock.Now()) {
			return nil
		}
		before, err := s.getItem(ctx, op, recordKey(log, seq-1))
		if err != nil {
			return err
		}
		if before != nil && !isTombstone(before) {
			return nil
		}
	}
	trimmed, _, err := s.mark(ctx, op, log)
	switch {
	case err != nil:
		return err
	case seq <= trimmed:
		return taken(op, seq)
	case seq-1 > trimmed:
		return tutti.Errorf(tutti.KindInvalid, op, "record %d would leave a gap", seq)
	}
	return nil
}

// ReadLog implements store.Store.
func (s *Store) ReadLog(ctx context.Context, log string, since uint64, limit int) ([]store.Record, error) {
	const op = "dynamo.ReadLog"
	if err := store.CheckLog(log); err != nil {
		return nil, err
	}
	if err := store.CheckLimit(limit); err != nil {
		return nil, err
	}
	if since == math.MaxUint64 {
		return nil, nil
	}
	for asked := false; ; {
		began := s.clock.Now()
		out, err := s.query(ctx, op, &dynamodb.QueryInput{
			KeyConditionExpression:    aws.String("pk = :pk AND sk > :since"),
			ExpressionAttributeValues: attributes{":pk": text(logPrefix + log), ":since": text(sequence(since))},
			Limit:                     aws.Int32(int32(limit)),
		})
		if err != nil {
			return nil, err
		}
		records, trimmed, err := recordsOf(op, out.Items)
		if n := len(records); n > 0 {
			s.tails.saw(log, records[n-1].Seq, began)
		}
		if err != nil || len(records) > 0 || len(out.LastEvaluatedKey) == 0 {
			return records, err
		}
		// All that was read has been trimmed, and there is more.
		since = trimmed
		if !asked {
			mark, _, err := s.mark(ctx, op, log)
			if err != nil {
				return nil, err
			}
			since, asked = max(since, mark), true
		}
	}
}

// recordsOf returns the records of a page that have not been trimmed, and the last number that has.
func recordsOf(op string, page []attributes) (records []store.Record, trimmed uint64, err error) {
	for _, a := range page {
		seq, ok := seqOf(a)
		if !ok {
			return nil, 0, tutti.Errorf(tutti.KindInternal, op, "a record of the log is not one of tutti's")
		}
		if isTombstone(a) {
			records, trimmed = nil, seq
			continue
		}
		if n := len(records); n > 0 && records[n-1].Seq+1 != seq {
			records = nil
		}
		records = append(records, store.Record{Seq: seq, Value: bytesOf(a[valueAttr])})
	}
	return records, trimmed, nil
}

// LastSeq implements store.Store.
func (s *Store) LastSeq(ctx context.Context, log string) (uint64, error) {
	const op = "dynamo.LastSeq"
	if err := store.CheckLog(log); err != nil {
		return 0, err
	}
	return s.lastSeq(ctx, op, log)
}

func (s *Store) lastSeq(ctx context.Context, op, log string) (uint64, error) {
	began := s.clock.Now()
	out, err := s.query(ctx, op, &dynamodb.QueryInput{
		KeyConditionExpression:    aws.String("pk = :pk"),
		ExpressionAttributeValues: attributes{":pk": text(logPrefix + log)},
		ScanIndexForward:          aws.Bool(false),
		Limit:                     aws.Int32(1),
	})
	if err != nil {
		return 0, err
	}
	if len(out.Items) > 0 && !isTombstone(out.Items[0]) {
		seq, ok := seqOf(out.Items[0])
		if !ok {
			return 0, tutti.Errorf(tutti.KindInternal, op, "a record of the log is not one of tutti's")
		}
		s.tails.saw(log, seq, began)
		return seq, nil
	}
	// There is nothing, or nothing but tombstones, of which the newest may be gone already.
	trimmed, _, err := s.mark(ctx, op, log)
	return trimmed, err
}

// TrimLog implements store.Store. A trim that is cut short may be repeated, and goes on where it was.
func (s *Store) TrimLog(ctx context.Context, log string, upTo uint64) error {
	const op = "dynamo.TrimLog"
	if err := store.CheckLog(log); err != nil {
		return err
	}
	trimmed, cleaned, err := s.mark(ctx, op, log)
	if err != nil {
		return err
	}
	if upTo > trimmed {
		last, err := s.lastSeq(ctx, op, log)
		if err != nil {
			return err
		}
		upTo = min(upTo, last)
	}
	if upTo > trimmed {
		if err := s.setMark(ctx, op, log, trimAttr, upTo); err != nil {
			return err
		}
		trimmed = upTo
	}
	if cleaned >= trimmed {
		return nil
	}
	until := s.clock.Now().Add(tombstoneLife)
	for from := cleaned + 1; from <= trimmed; from += batchWrite {
		if err := s.bury(ctx, op, log, from, min(from+batchWrite-1, trimmed), until); err != nil {
			return err
		}
	}
	return s.setMark(ctx, op, log, cleanedAttr, trimmed)
}

// setMark raises one of the two numbers of a log's mark; another may have raised it further.
func (s *Store) setMark(ctx context.Context, op, log, attr string, to uint64) error {
	in := &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: markKey(log),
		UpdateExpression:          aws.String("SET #n = :n"),
		ConditionExpression:       aws.String("attribute_not_exists(#n) OR #n < :n"),
		ExpressionAttributeNames:  map[string]string{"#n": attr},
		ExpressionAttributeValues: attributes{":n": number(to)},
		ReturnConsumedCapacity:    types.ReturnConsumedCapacityTotal,
	}
	_, err := s.call(ctx, op, func(ctx context.Context) error {
		out, err := s.db.UpdateItem(ctx, in)
		if err == nil {
			s.wrote("UpdateItem", one(out.ConsumedCapacity))
		}
		return err
	})
	err = s.settle(ctx, op, "UpdateItem", 0, in.Key, 0, notOurs, err)
	if tutti.IsKind(err, tutti.KindConflict) {
		return nil
	}
	return err
}

// bury makes the records from first to last, at most batchWrite of them, into tombstones.
func (s *Store) bury(ctx context.Context, op, log string, first, last uint64, until time.Time) error {
	var pending []types.WriteRequest
	for seq := first; seq <= last; seq++ {
		a := recordKey(log, seq)
		a[expiryAttr] = number(until.Unix())
		pending = append(pending, types.WriteRequest{PutRequest: &types.PutRequest{Item: a}})
	}
	for stalled := 0; ; {
		var out *dynamodb.BatchWriteItemOutput
		_, err := s.call(ctx, op, func(ctx context.Context) (err error) {
			out, err = s.db.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{
				RequestItems:           map[string][]types.WriteRequest{s.table: pending},
				ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
			})
			if err == nil {
				s.wrote("BatchWriteItem", out.ConsumedCapacity...)
			}
			return err
		})
		if err != nil {
			return err
		}
		left := out.UnprocessedItems[s.table]
		if len(left) == 0 {
			return nil
		}
		if stalled, err = s.stalled(ctx, op, stalled, len(left) < len(pending)); err != nil {
			return err
		}
		pending = left
	}
}
