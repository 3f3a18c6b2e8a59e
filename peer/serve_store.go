package peer

import (
	"context"

	"tutti/peer/wire"
	"tutti/store"
)

// storeServer answers for a store. Answers stay well below maxBody: a page or a log is cut short, which the contract
// allows, and of a BatchGet the rest is asked for again.
type storeServer struct{ s store.Store }

var _ wire.StoreHandler = storeServer{}

const (
	maxAnswer = 8 << 20 // bytes of values in one answer, beyond the one that reaches it
	batchStep = 20      // keys that are looked up at once: at most 7 MB
)

func toKey(k store.Key) *wire.Key { return &wire.Key{Pk: k.PK, Sk: k.SK} }

func fromKey(m *wire.Key) store.Key { return store.Key{PK: m.GetPk(), SK: m.GetSk()} }

func toItem(i *store.Item) *wire.Item {
	return &wire.Item{Key: toKey(i.Key), Value: i.Value, Version: i.Version, Expires: toTime(i.Expires)}
}

func fromItem(m *wire.Item) store.Item {
	return store.Item{Key: fromKey(m.GetKey()), Value: m.GetValue(), Version: m.GetVersion(), Expires: fromTime(m.GetExpires())}
}

func toRecord(r *store.Record) *wire.Record { return &wire.Record{Seq: r.Seq, Value: r.Value} }

func fromRecord(m *wire.Record) store.Record {
	return store.Record{Seq: m.GetSeq(), Value: m.GetValue()}
}

func toCondition(c store.Condition) *wire.Condition {
	m := &wire.Condition{Absent: c.Absent()}
	if v, ok := c.Version(); ok {
		m.Version = &v
	}
	return m
}

func fromCondition(m *wire.Condition) store.Condition {
	switch {
	case m.GetAbsent():
		return store.IfAbsent
	case m != nil && m.Version != nil:
		return store.IfVersion(m.GetVersion())
	}
	return store.Always
}

func (s storeServer) Get(ctx context.Context, m *wire.Key) (*wire.Item, error) {
	i, err := s.s.Get(ctx, fromKey(m))
	return oneOf(i, err, toItem)
}

func (s storeServer) BatchGet(ctx context.Context, m *wire.BatchGetRequest) (*wire.BatchGetResponse, error) {
	keys := each(m.GetKeys(), fromKey)
	if err := store.CheckKeys(keys); err != nil {
		return nil, err
	}
	var out wire.BatchGetResponse
	for size := 0; len(keys) > 0 && size < maxAnswer; {
		n := min(batchStep, len(keys))
		items, err := s.s.BatchGet(ctx, keys[:n])
		if err != nil {
			return nil, err
		}
		for i := range items {
			size += len(items[i].Value)
			out.Items = append(out.Items, toItem(&items[i]))
		}
		keys = keys[n:]
		out.Keys += int64(n)
	}
	return &out, nil
}

func (s storeServer) Put(ctx context.Context, m *wire.PutRequest) (*wire.PutResponse, error) {
	v, err := s.s.Put(ctx, fromKey(m.GetKey()), m.GetValue(), fromTime(m.GetExpires()), fromCondition(m.GetCondition()))
	return &wire.PutResponse{Version: v}, err
}

func (s storeServer) Delete(ctx context.Context, m *wire.DeleteRequest) (*wire.Nothing, error) {
	return done(s.s.Delete(ctx, fromKey(m.GetKey()), fromCondition(m.GetCondition())))
}

func (s storeServer) Query(ctx context.Context, m *wire.QueryRequest) (*wire.ItemPage, error) {
	for limit := int(m.GetLimit()); ; limit /= 4 {
		p, err := s.s.Query(ctx, m.GetPk(), m.GetPrefix(), m.GetAfter(), limit)
		if err != nil {
			return nil, err
		}
		size := 0
		for i := range p.Items {
			size += len(p.Items[i].Value)
		}
		if size <= maxAnswer || len(p.Items) <= maxAnswer/store.MaxValue { // so few items cannot be larger
			return &wire.ItemPage{Items: eachOf(p.Items, toItem), Next: p.Next}, nil
		}
	}
}

func (s storeServer) Append(ctx context.Context, m *wire.AppendRequest) (*wire.Nothing, error) {
	return done(s.s.Append(ctx, m.GetLog(), m.GetSeq(), m.GetValue()))
}

func (s storeServer) ReadLog(ctx context.Context, m *wire.ReadLogRequest) (*wire.RecordList, error) {
	records, err := s.s.ReadLog(ctx, m.GetLog(), m.GetSince(), int(m.GetLimit()))
	if err != nil {
		return nil, err
	}
	size := 0
	for i := range records {
		if size += len(records[i].Value); size >= maxAnswer {
			records = records[:i+1]
			break
		}
	}
	return &wire.RecordList{Records: eachOf(records, toRecord)}, nil
}

func (s storeServer) LastSeq(ctx context.Context, m *wire.LogRequest) (*wire.LastSeqResponse, error) {
	seq, err := s.s.LastSeq(ctx, m.GetLog())
	return &wire.LastSeqResponse{Seq: seq}, err
}

func (s storeServer) TrimLog(ctx context.Context, m *wire.LogRequest) (*wire.Nothing, error) {
	return done(s.s.TrimLog(ctx, m.GetLog(), m.GetUpTo()))
}
