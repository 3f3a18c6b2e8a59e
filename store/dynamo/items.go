package dynamo

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tutti"
	"tutti/store"
)

// The attributes of the table.
const (
	pkAttr      = "pk"
	skAttr      = "sk"
	valueAttr   = "v"   // absent for an empty value
	versionAttr = "ver" // of an item
	expiryAttr  = "exp" // Unix seconds; the table's TTL attribute. A record of a log has it when it was trimmed
	nonceAttr   = "w"   // of the latest write
	trimAttr    = "t"   // of a log: everything up to here was trimmed
	cleanedAttr = "c"   // of a log: and everything up to here is gone
)

// What tells the kinds of partitions apart.
const (
	itemPrefix = "i#"
	logPrefix  = "l#"
	markPrefix = "m#"
)

type attributes = map[string]types.AttributeValue

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number[N int64 | uint64](n N) types.AttributeValue {
	if n < 0 {
		return &types.AttributeValueMemberN{Value: strconv.FormatInt(int64(n), 10)}
	}
	return &types.AttributeValueMemberN{Value: strconv.FormatUint(uint64(n), 10)}
}

func numberOf(a types.AttributeValue) (n uint64, ok bool) {
	m, ok := a.(*types.AttributeValueMemberN)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(m.Value, 10, 64)
	return n, err == nil
}

func textOf(a types.AttributeValue) string {
	if m, ok := a.(*types.AttributeValueMemberS); ok {
		return m.Value
	}
	return ""
}

func bytesOf(a types.AttributeValue) []byte {
	if m, ok := a.(*types.AttributeValueMemberB); ok {
		return m.Value
	}
	return nil
}

func itemKey(k store.Key) attributes {
	return attributes{pkAttr: text(itemPrefix + k.PK), skAttr: text(k.SK)}
}

// nonce makes a write recognisable. It is never 0, which settle takes for none.
func nonce() uint64 { return rand.Uint64() | 1 }

// expiry turns an Item's Expires into what the table holds. It rounds down: nothing outlives its time.
func expiry(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(t.Unix(), 1)
}

// item reads an item of the table. ok is false for one that has expired at the time now.
func item(op string, a attributes, now int64) (it store.Item, ok bool, err error) {
	it.PK, it.SK = textOf(a[pkAttr]), textOf(a[skAttr])
	version, good := numberOf(a[versionAttr])
	if !good || len(it.PK) <= len(itemPrefix) {
		return store.Item{}, false, &tutti.Error{
			Kind: tutti.KindInternal, Op: op, Message: "an item of the database is not one of tutti's", Err: errors.New(it.PK + "/" + it.SK),
		}
	}
	it.PK, it.Version, it.Value = it.PK[len(itemPrefix):], version, bytesOf(a[valueAttr])
	if e, ok := numberOf(a[expiryAttr]); ok {
		if e <= uint64(now) {
			return store.Item{}, false, nil
		}
		it.Expires = time.Unix(int64(e), 0).UTC()
	}
	return it, true, nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, k store.Key) (store.Item, error) {
	const op = "dynamo.Get"
	if err := store.CheckKey(k); err != nil {
		return store.Item{}, err
	}
	a, err := s.getItem(ctx, op, itemKey(k))
	if err != nil {
		return store.Item{}, err
	}
	if a != nil {
		if it, ok, err := item(op, a, s.now()); ok || err != nil {
			return it, err
		}
	}
	return store.Item{}, tutti.Errorf(tutti.KindNotFound, op, "there is no such item")
}

// getItem reads one item of the table; nil where there is none.
func (s *Store) getItem(ctx context.Context, op string, key attributes) (a attributes, err error) {
	_, err = s.call(ctx, op, func(ctx context.Context) error {
		out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{
			TableName: &s.table, Key: key, ConsistentRead: aws.Bool(true), ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
		})
		if err != nil {
			return err
		}
		s.read("GetItem", one(out.ConsumedCapacity))
		a = out.Item
		return nil
	})
	return a, err
}

// BatchGet implements store.Store. An answer of many megabytes takes several requests.
func (s *Store) BatchGet(ctx context.Context, keys []store.Key) ([]store.Item, error) {
	const op = "dynamo.BatchGet"
	if err := store.CheckKeys(keys); err != nil || len(keys) == 0 {
		return nil, err
	}
	pending := make([]attributes, len(keys))
	for i, k := range keys {
		pending[i] = itemKey(k)
	}
	items := make([]store.Item, 0, len(keys))
	for stalled := 0; ; {
		var out *dynamodb.BatchGetItemOutput
		_, err := s.call(ctx, op, func(ctx context.Context) (err error) {
			out, err = s.db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
				RequestItems: map[string]types.KeysAndAttributes{
					s.table: {Keys: pending, ConsistentRead: aws.Bool(true)},
				},
				ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
			})
			if err == nil {
				s.read("BatchGetItem", out.ConsumedCapacity...)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		now := s.now()
		for _, a := range out.Responses[s.table] {
			it, ok, err := item(op, a, now)
			if err != nil {
				return nil, err
			}
			if ok {
				items = append(items, it)
			}
		}
		left := out.UnprocessedKeys[s.table].Keys
		if len(left) == 0 {
			return items, nil
		}
		// Fewer left means that the answer was full; as many, that the table is busy.
		if stalled, err = s.stalled(ctx, op, stalled, len(left) < len(pending)); err != nil {
			return nil, err
		}
		pending = left
	}
}

// stalled is called after an answer that left something undone. It waits where nothing was done at all, and gives up
// after as many such answers in a row as an attempt may fail.
func (s *Store) stalled(ctx context.Context, op string, before int, progress bool) (now int, err error) {
	if progress {
		return 0, nil
	}
	s.failed(true)
	now = before + 1
	busy := tutti.Errorf(tutti.KindUnavailable, op, "the database is overloaded; try again later")
	if now >= s.attempts {
		return now, busy
	}
	if err := s.pause(ctx, now); err != nil {
		return now, errors.Join(busy, err)
	}
	return now, nil
}

// Query implements store.Store. The cursor is the last sort key that the database looked at, so it stays good while items
// before and after it come and go.
func (s *Store) Query(ctx context.Context, pk, prefix, after string, limit int) (store.Page, error) {
	const op = "dynamo.Query"
	if err := store.CheckQuery(pk, prefix, after, limit); err != nil {
		return store.Page{}, err
	}
	in := &dynamodb.QueryInput{
		KeyConditionExpression:    aws.String("pk = :pk"),
		ExpressionAttributeValues: attributes{":pk": text(itemPrefix + pk)},
		Limit:                     aws.Int32(int32(limit)),
	}
	if prefix != "" {
		in.KeyConditionExpression = aws.String("pk = :pk AND begins_with(sk, :prefix)")
		in.ExpressionAttributeValues[":prefix"] = text(prefix)
	}
	if after != "" {
		in.ExclusiveStartKey = itemKey(store.Key{PK: pk, SK: after})
	}
	out, err := s.query(ctx, op, in)
	if err != nil {
		return store.Page{}, err
	}
	page := store.Page{Next: textOf(out.LastEvaluatedKey[skAttr])}
	now := s.now()
	for _, a := range out.Items {
		it, ok, err := item(op, a, now)
		if err != nil {
			return store.Page{}, err
		}
		if ok {
			page.Items = append(page.Items, it)
		}
	}
	return page, nil
}

// query reads one page of a partition.
func (s *Store) query(ctx context.Context, op string, in *dynamodb.QueryInput) (out *dynamodb.QueryOutput, err error) {
	in.TableName, in.ConsistentRead = &s.table, aws.Bool(true)
	in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	_, err = s.call(ctx, op, func(ctx context.Context) (err error) {
		if out, err = s.db.Query(ctx, in); err == nil {
			s.read("Query", one(out.ConsumedCapacity))
		}
		return err
	})
	return out, err
}

// The conditions of writes. An item whose time has come is none, whether or not the database has removed it yet.
const (
	ifGone    = "attribute_not_exists(pk) OR #exp <= :now"
	ifVersion = "#ver = :ver AND (attribute_not_exists(#exp) OR #exp > :now)"
	// There is none, or it has not expired; and this very write has not happened yet.
	ifNotPast = "(attribute_not_exists(#exp) OR #exp > :now) AND (attribute_not_exists(#w) OR #w <> :w)"
	ifPast    = "#exp <= :now"
)

// condition is a condition expression with what it refers to.
type condition struct {
	text   string
	names  map[string]string
	values attributes
}

func (s *Store) condition(text string, version uint64) condition {
	c := condition{text: text, names: map[string]string{"#exp": expiryAttr}, values: attributes{":now": number(s.now())}}
	if text == ifVersion {
		c.names["#ver"] = versionAttr
		c.values[":ver"] = number(version)
	}
	return c
}

// Put implements store.Store.
func (s *Store) Put(ctx context.Context, k store.Key, value []byte, expires time.Time, cond store.Condition) (version uint64, err error) {
	const op = "dynamo.Put"
	if err := store.CheckKey(k); err != nil {
		return 0, err
	}
	if err := store.CheckValue(value); err != nil {
		return 0, err
	}
	if old, ok := cond.Version(); ok {
		return s.replace(ctx, op, k, value, expires, old+1, s.condition(ifVersion, old))
	}
	if cond.Absent() {
		return s.replace(ctx, op, k, value, expires, 1, s.condition(ifGone, 0))
	}
	for range s.attempts {
		version, err := s.update(ctx, op, k, value, expires)
		if !tutti.IsKind(err, tutti.KindConflict) {
			return version, err
		}
		// What is there has expired: versions begin again.
		version, err = s.replace(ctx, op, k, value, expires, 1, s.condition(ifPast, 0))
		if !tutti.IsKind(err, tutti.KindConflict) {
			return version, err
		}
	}
	return 0, tutti.Errorf(tutti.KindUnavailable, op, "too many write this at once; try again")
}

// replace writes an item whose version is known beforehand, and returns that.
func (s *Store) replace(ctx context.Context, op string, k store.Key, value []byte, expires time.Time, version uint64, c condition) (uint64, error) {
	a := itemKey(k)
	a[versionAttr] = number(version)
	if len(value) > 0 {
		a[valueAttr] = &types.AttributeValueMemberB{Value: value}
	}
	if e := expiry(expires); e != 0 {
		a[expiryAttr] = number(e)
	}
	if err := s.putItem(ctx, op, a, len(value), c); err != nil {
		return 0, err
	}
	return version, nil
}

// putItem writes an item of the table under a condition.
func (s *Store) putItem(ctx context.Context, op string, a attributes, bytes int, c condition) error {
	w := nonce()
	a[nonceAttr] = number(w)
	in := &dynamodb.PutItemInput{
		TableName: &s.table, Item: a, ConditionExpression: &c.text, ExpressionAttributeNames: c.names, ExpressionAttributeValues: c.values,
		ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
	}
	sure, err := s.call(ctx, op, func(ctx context.Context) error {
		out, err := s.db.PutItem(ctx, in)
		if err == nil {
			s.wrote("PutItem", one(out.ConsumedCapacity))
		}
		return err
	})
	return s.settle(ctx, op, "PutItem", bytes, attributes{pkAttr: a[pkAttr], skAttr: a[skAttr]}, w, sure, err)
}

// settle makes a failed condition into an error of the contract, or into none where the item shows that an earlier
// attempt at this very write had happened.
func (s *Store) settle(ctx context.Context, op, operation string, bytes int, key attributes, w uint64, sure sureness, err error) error {
	var refused *types.ConditionalCheckFailedException
	if !errors.As(err, &refused) {
		return err
	}
	s.refused(operation, bytes)
	if sure == unsure {
		a, err := s.getItem(ctx, op, key)
		if err != nil {
			return err
		}
		got, ok := numberOf(a[nonceAttr])
		switch {
		case ok && got == w && w != 0:
			return nil
		case ok && a[versionAttr] == nil && !isTombstone(a): // a record, which nobody overwrites: another's
			return conflict(op)
		}
		return tutti.Errorf(tutti.KindUnavailable, op, "the database's answer was lost; load it again to see what happened")
	}
	return conflict(op)
}

func conflict(op string) error {
	return tutti.Errorf(tutti.KindConflict, op, "it has been changed meanwhile; load it again")
}

// update writes an item whatever is there, unless that has expired (KindConflict). It is sent again when an answer is
// lost; the nonce keeps it from happening twice then, unless another has written in between, whose write it replaces.
func (s *Store) update(ctx context.Context, op string, k store.Key, value []byte, expires time.Time) (version uint64, err error) {
	c := s.condition(ifNotPast, 0)
	c.names["#ver"], c.names["#v"], c.names["#w"] = versionAttr, valueAttr, nonceAttr
	c.values[":zero"], c.values[":one"] = number(int64(0)), number(int64(1))
	w := nonce()
	c.values[":w"] = number(w)
	set, remove := "SET #ver = if_not_exists(#ver, :zero) + :one, #w = :w", ""
	if len(value) > 0 {
		set += ", #v = :v"
		c.values[":v"] = &types.AttributeValueMemberB{Value: value}
	} else {
		remove = "#v"
	}
	if e := expiry(expires); e != 0 {
		set += ", #exp = :exp"
		c.values[":exp"] = number(e)
	} else if remove != "" {
		remove += ", #exp"
	} else {
		remove = "#exp"
	}
	if remove != "" {
		set += " REMOVE " + remove
	}
	in := &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: itemKey(k), UpdateExpression: &set,
		ConditionExpression: &c.text, ExpressionAttributeNames: c.names, ExpressionAttributeValues: c.values,
		// The old version rather than the new one: with the new would come the value that was just sent.
		ReturnValues: types.ReturnValueUpdatedOld, ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
	}
	sure, err := s.call(ctx, op, func(ctx context.Context) error {
		out, err := s.db.UpdateItem(ctx, in)
		if err != nil {
			return err
		}
		s.wrote("UpdateItem", one(out.ConsumedCapacity))
		old, _ := numberOf(out.Attributes[versionAttr]) // none: there was no item
		version = old + 1
		return nil
	})
	var refused *types.ConditionalCheckFailedException
	if sure == unsure && errors.As(err, &refused) {
		a, lookErr := s.getItem(ctx, op, itemKey(k))
		if lookErr != nil {
			return 0, lookErr
		}
		if got, ok := numberOf(a[nonceAttr]); ok && got == w {
			s.refused("UpdateItem", len(value))
			version, _ = numberOf(a[versionAttr])
			return version, nil
		}
	}
	return version, s.settle(ctx, op, "UpdateItem", len(value), itemKey(k), 0, notOurs, err)
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, k store.Key, cond store.Condition) error {
	const op = "dynamo.Delete"
	if err := store.CheckKey(k); err != nil {
		return err
	}
	in := &dynamodb.DeleteItemInput{
		TableName: &s.table, Key: itemKey(k), ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
	}
	set := func(c condition) {
		in.ConditionExpression, in.ExpressionAttributeNames, in.ExpressionAttributeValues = &c.text, c.names, c.values
	}
	if version, ok := cond.Version(); ok {
		set(s.condition(ifVersion, version))
	} else if cond.Absent() {
		set(s.condition(ifGone, 0))
	}
	sure, err := s.call(ctx, op, func(ctx context.Context) error {
		out, err := s.db.DeleteItem(ctx, in)
		if err == nil {
			s.wrote("DeleteItem", one(out.ConsumedCapacity))
		}
		return err
	})
	return s.settle(ctx, op, "DeleteItem", 0, itemKey(k), 0, sure, err)
}
