package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/peer/wire"
	"tutti/store"
)

// StoreConfig is what OpenStore needs beside the address. Clock and Logger are required.
type StoreConfig struct {
	Keys   *Keys
	TLS    *tls.Config   // as ReadTLS returns it, for an https address
	Wait   time.Duration // for an answer; 0 is 10 s
	Clock  clock.Clock
	Logger *slog.Logger
}

// OpenStore returns the store that the process at an address ("http://10.0.0.5:4533") serves. It asks once, so that
// wrong keys are found at the start: the error is KindUnauthorised then, and KindInvalid for what is no such address. A
// store that is away is no error yet. Nothing is retried, then or later: the contract of store.Store leaves that to
// whoever knows whether a write may happen twice.
func OpenStore(ctx context.Context, address string, c StoreConfig) (store.Store, error) {
	const op = "peer.OpenStore"
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "the address of a store looks like http://HOST:PORT")
	}
	if c.Wait == 0 {
		c.Wait = 10 * time.Second
	}
	base := newTransport(c.TLS)
	client := &http.Client{Transport: &signed{newSigner(c.Keys, c.Clock), base}, CheckRedirect: stay}
	s := &remoteStore{c: c, base: base, address: u.Host, rpc: wire.NewStoreClient(client, u.Scheme+"://"+u.Host, connectOptions()...)}
	if _, err := s.LastSeq(ctx, "peer"); err != nil {
		var no refused
		if errors.As(err, &no) {
			return nil, errors.Join(tutti.Errorf(tutti.KindUnauthorised, op, "%s does not take this process for one of its fleet: %s", u.Host, string(no)), s.Close())
		}
		c.Logger.Warn("the store does not answer yet", slog.Any("error", err))
	}
	return s, nil
}

type remoteStore struct {
	c       StoreConfig
	base    *http.Transport
	address string
	rpc     wire.StoreClient
	closed  atomic.Bool
}

func askStore[A, B any](ctx context.Context, s *remoteStore, method string, req *A, do func(wire.StoreClient, context.Context, *A) (*B, error)) (*B, error) {
	op := "peer: Store/" + method
	if s.closed.Load() {
		return nil, tutti.Errorf(tutti.KindUnavailable, op, "the store is closed")
	}
	if ctx.Err() != nil {
		return nil, tutti.Wrap(tutti.KindUnavailable, op, context.Cause(ctx))
	}
	if err := s.c.Keys.refresh(s.c.Clock.Now()); err != nil {
		s.c.Logger.Warn("the fleet's keys stay as they were", slog.Any("error", err))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	timer := s.c.Clock.AfterFunc(s.c.Wait, func() { cancel(errSilent) })
	defer cancel(context.Canceled)
	defer timer.Stop()
	m, err := do(s.rpc, ctx, req)
	if err != nil {
		err, _ = incoming(ctx, op+" on "+s.address, err)
		return nil, err
	}
	return m, nil
}

func (s *remoteStore) Get(ctx context.Context, k store.Key) (store.Item, error) {
	if err := store.CheckKey(k); err != nil {
		return store.Item{}, err
	}
	m, err := askStore(ctx, s, "Get", toKey(k), wire.StoreClient.Get)
	if err != nil {
		return store.Item{}, err
	}
	return fromItem(m), nil
}

func (s *remoteStore) BatchGet(ctx context.Context, keys []store.Key) ([]store.Item, error) {
	const op = "peer: Store/BatchGet"
	if err := store.CheckKeys(keys); err != nil {
		return nil, err
	}
	var items []store.Item
	for len(keys) > 0 {
		m, err := askStore(ctx, s, "BatchGet", &wire.BatchGetRequest{Keys: each(keys, toKey)}, wire.StoreClient.BatchGet)
		if err != nil {
			return nil, err
		}
		if m.GetKeys() < 1 || m.GetKeys() > int64(len(keys)) {
			return nil, tutti.Wrap(tutti.KindUnavailable, op, errors.New("an answer about other keys"))
		}
		items = append(items, each(m.GetItems(), fromItem)...)
		keys = keys[m.GetKeys():]
	}
	return items, nil
}

func (s *remoteStore) Put(ctx context.Context, k store.Key, value []byte, expires time.Time, cond store.Condition) (uint64, error) {
	if err := errors.Join(store.CheckKey(k), store.CheckValue(value)); err != nil {
		return 0, err
	}
	m, err := askStore(ctx, s, "Put", &wire.PutRequest{Key: toKey(k), Value: value, Expires: toTime(expires), Condition: toCondition(cond)}, wire.StoreClient.Put)
	return m.GetVersion(), err
}

func (s *remoteStore) Delete(ctx context.Context, k store.Key, cond store.Condition) error {
	if err := store.CheckKey(k); err != nil {
		return err
	}
	_, err := askStore(ctx, s, "Delete", &wire.DeleteRequest{Key: toKey(k), Condition: toCondition(cond)}, wire.StoreClient.Delete)
	return err
}

func (s *remoteStore) Query(ctx context.Context, pk, prefix, after string, limit int) (store.Page, error) {
	if err := store.CheckQuery(pk, prefix, after, limit); err != nil {
		return store.Page{}, err
	}
	m, err := askStore(ctx, s, "Query", &wire.QueryRequest{Pk: pk, Prefix: prefix, After: after, Limit: int64(limit)}, wire.StoreClient.Query)
	return store.Page{Items: each(m.GetItems(), fromItem), Next: m.GetNext()}, err
}

func (s *remoteStore) Append(ctx context.Context, log string, seq uint64, value []byte) error {
	if err := errors.Join(store.CheckLog(log), store.CheckValue(value)); err != nil {
		return err
	}
	_, err := askStore(ctx, s, "Append", &wire.AppendRequest{Log: log, Seq: seq, Value: value}, wire.StoreClient.Append)
	return err
}

func (s *remoteStore) ReadLog(ctx context.Context, log string, since uint64, limit int) ([]store.Record, error) {
	if err := errors.Join(store.CheckLog(log), store.CheckLimit(limit)); err != nil {
		return nil, err
	}
	m, err := askStore(ctx, s, "ReadLog", &wire.ReadLogRequest{Log: log, Since: since, Limit: int64(limit)}, wire.StoreClient.ReadLog)
	return each(m.GetRecords(), fromRecord), err
}

func (s *remoteStore) LastSeq(ctx context.Context, log string) (uint64, error) {
	if err := store.CheckLog(log); err != nil {
		return 0, err
	}
	m, err := askStore(ctx, s, "LastSeq", &wire.LogRequest{Log: log}, wire.StoreClient.LastSeq)
	return m.GetSeq(), err
}

func (s *remoteStore) TrimLog(ctx context.Context, log string, upTo uint64) error {
	if err := store.CheckLog(log); err != nil {
		return err
	}
	_, err := askStore(ctx, s, "TrimLog", &wire.LogRequest{Log: log, UpTo: upTo}, wire.StoreClient.TrimLog)
	return err
}

// Close gives the connections up. The store itself stays open for others.
func (s *remoteStore) Close() error {
	s.closed.Store(true)
	s.base.CloseIdleConnections()
	return nil
}
