package dynamo

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"tutti"
	"tutti/clock"
	"tutti/store"
	"tutti/store/dynamo/local"
	"tutti/store/storetest"
)

func TestInit(t *testing.T) {
	for _, e := range []local.Engine{local.DynamoDB, local.Dynalite} {
		t.Run(string(e), func(t *testing.T) {
			cfg := Config{Table: fmt.Sprint("init", tables.Add(1)), Endpoint: engines[e].URL, Clock: clock.System, Tags: map[string]string{"project": "tutti", "a": "b"}, Logger: slog.New(slog.DiscardHandler)}
			_, err := Open(t.Context(), cfg)
			wantKind(t, err, tutti.KindNotFound)
			if !strings.Contains(tutti.Message(err), "tutti store init") {
				t.Fatal(tutti.Message(err))
			}
			for range 2 { // a second time does nothing
				if err := Init(t.Context(), cfg); err != nil {
					t.Fatal(err)
				}
			}
			s := openTest(t, cfg)
			if e == local.Dynalite {
				return
			}
			out, err := s.db.DescribeTimeToLive(t.Context(), &dynamodb.DescribeTimeToLiveInput{TableName: &cfg.Table})
			if err != nil || aws.ToString(out.TimeToLiveDescription.AttributeName) != expiryAttr ||
				out.TimeToLiveDescription.TimeToLiveStatus != types.TimeToLiveStatusEnabled {
				t.Fatalf("%+v, %v", out, err)
			}
			d, err := s.describe(t.Context(), "test")
			if err != nil || d.BillingModeSummary == nil || d.BillingModeSummary.BillingMode != types.BillingModePayPerRequest {
				t.Fatalf("%+v, %v", d, err)
			}
		})
	}
}

// TestForeignTable: a table of somebody else is neither used nor changed.
func TestForeignTable(t *testing.T) {
	cfg := Config{Table: "foreign", Endpoint: engines[local.DynamoDB].URL, Clock: clock.System}
	s, err := connect(t.Context(), "test", cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, keys := range [][]string{{"id"}, {"pk", "other"}, {"sk", "pk"}} {
		in := &dynamodb.CreateTableInput{TableName: &cfg.Table, BillingMode: types.BillingModePayPerRequest}
		for i, k := range keys {
			in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: aws.String(k), AttributeType: types.ScalarAttributeTypeS})
			in.KeySchema = append(in.KeySchema, types.KeySchemaElement{AttributeName: aws.String(k), KeyType: []types.KeyType{types.KeyTypeHash, types.KeyTypeRange}[i]})
		}
		if _, err := s.db.CreateTable(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), cfg)
		wantKind(t, err, tutti.KindInvalid)
		wantKind(t, Init(t.Context(), cfg), tutti.KindInvalid)
		if _, err := s.db.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: &cfg.Table}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBadConfig(t *testing.T) {
	for what, cfg := range map[string]Config{
		"no table":      {Endpoint: "http://127.0.0.1:1"},
		"no host":       {Table: "t", Endpoint: "http://"},
		"no scheme":     {Table: "t", Endpoint: "127.0.0.1:8000"},
		"a scheme":      {Table: "t", Endpoint: "ftp://127.0.0.1:8000"},
		"with a secret": {Table: "t", Endpoint: "http://user:secret@127.0.0.1:8000"},
	} {
		cfg.Clock = clock.System
		if _, err := Open(t.Context(), cfg); !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	nobody := Config{Table: "t", Endpoint: "http://127.0.0.1:1", Clock: pauses(clock.System)}
	_, err := Open(t.Context(), nobody)
	wantKind(t, err, tutti.KindUnavailable)
}

// TestConsumed checks the units against the rules of DynamoDB: a consistent read costs one for each 4 KB begun, a
// write one for each KB, counting names and keys.
func TestConsumed(t *testing.T) {
	cfg := newTable(t, local.DynamoDB, clock.System)
	cfg.Prices = Prices{MillionReads: 1e6, MillionWrites: 10e6}
	s := openTest(t, cfg)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	value := make([]byte, 5000)
	_, err := s.Put(ctx, key, value, time.Time{}, store.IfAbsent) // 5 writes
	must(err)
	_, err = s.Put(ctx, key, value[:10], time.Time{}, store.Always) // 5 writes: the larger of old and new
	must(err)
	_, err = s.Put(ctx, key, value, time.Time{}, store.IfVersion(1)) // refused: 5 writes
	wantKind(t, err, tutti.KindConflict)
	_, err = s.Put(ctx, key, value, time.Time{}, store.IfVersion(2)) // 5 writes
	must(err)
	_, err = s.Get(ctx, key) // 2 reads
	must(err)
	_, err = s.BatchGet(ctx, []store.Key{key}) // 2 reads
	must(err)
	_, err = s.Query(ctx, "p", "", "", 10) // 2 reads
	must(err)
	must(s.Delete(ctx, key, store.Always)) // 5 writes
	c := s.Consumed()
	want := map[string]Units{
		"PutItem": {3, 0, 15}, "UpdateItem": {1, 0, 5}, "GetItem": {1, 2, 0}, "BatchGetItem": {1, 2, 0}, "Query": {1, 2, 0}, "DeleteItem": {1, 0, 5},
	}
	for operation, u := range want {
		if c.Operations[operation] != u {
			t.Errorf("%s: %+v, want %+v", operation, c.Operations[operation], u)
		}
	}
	if c.Total != (Units{8, 6, 25}) || c.Dollars != 6+250 {
		t.Errorf("%+v", c)
	}
	registry := prometheus.NewPedanticRegistry()
	must(registry.Register(s))
	families, err := registry.Gather()
	must(err)
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			got[f.GetName()] += m.Counter.GetValue()
		}
	}
	if got["tutti_dynamodb_consumed_units_total"] != 31 || got["tutti_dynamodb_cost_dollars_total"] != 256 || got["tutti_dynamodb_calls_total"] != 8 {
		t.Error(got)
	}
}

// TestConnectionsAreKept: calls one after the other use the same connections. A call may come before the connection of the
// one before it is back in the pool, so there can be a few.
func TestConnectionsAreKept(t *testing.T) {
	cfg := newTable(t, local.DynamoDB, clock.System)
	s := openTest(t, cfg)
	dials := 0
	dial := s.own.DialContext
	s.own.CloseIdleConnections()
	s.own.DialContext = dialCounter(&dials, dial)
	for range 20 {
		if _, err := s.Put(t.Context(), key, []byte("v"), time.Time{}, store.Always); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Put(t.Context(), key, []byte("v"), time.Time{}, store.IfAbsent); !tutti.IsKind(err, tutti.KindConflict) {
			t.Fatal(err)
		}
	}
	if dials > 10 {
		t.Fatalf("%d connections for 40 calls", dials)
	}
}

// TestRecordsOf: whatever tombstones and gaps a page has, what comes out of it is its end without either.
func TestRecordsOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var page []attributes
		var live []bool
		var seqs []uint64
		seq := rapid.Uint64Range(0, 1<<63).Draw(t, "before")
		for range rapid.IntRange(0, 12).Draw(t, "items") {
			seq += rapid.SampledFrom([]uint64{1, 1, 1, 2}).Draw(t, "step")
			a := recordKey("l", seq)
			tombstone := rapid.IntRange(0, 4).Draw(t, "tombstone") == 0
			if tombstone {
				a[expiryAttr] = number(int64(7))
			}
			page, live, seqs = append(page, a), append(live, !tombstone), append(seqs, seq)
		}
		from := len(page)
		for from > 0 && live[from-1] && (from == len(page) || seqs[from-1]+1 == seqs[from]) {
			from--
		}
		records, _, err := recordsOf("test", page)
		if err != nil || len(records) != len(page)-from {
			t.Fatalf("%d records of %v %v, %v", len(records), seqs, live, err)
		}
		for i, r := range records {
			if r.Seq != seqs[from+i] {
				t.Fatalf("record %d, want %d", r.Seq, seqs[from+i])
			}
		}
	})
}

// FuzzItem feeds the reader of items what another program could have put into the table.
func FuzzItem(f *testing.F) {
	f.Add("i#p", "s", "1", "")
	f.Add("i#", "s", "1", "9")
	f.Add("l#log", "00000000000000000001", "x", "-1")
	f.Add("", "", "18446744073709551616", "1e9")
	f.Fuzz(func(t *testing.T, pk, sk, version, expires string) {
		a := attributes{
			pkAttr: text(pk), skAttr: text(sk), versionAttr: &types.AttributeValueMemberN{Value: version},
			expiryAttr: &types.AttributeValueMemberN{Value: expires},
		}
		if it, ok, err := item("fuzz", a, storetest.Epoch.Unix()); ok && (err != nil || "i#"+it.PK != pk && len(pk) > 2 && pk[:2] == "i#" || it.SK != sk) {
			t.Fatalf("%+v, %v", it, err)
		}
		if _, _, err := recordsOf("fuzz", []attributes{a}); err != nil && !tutti.IsKind(err, tutti.KindInternal) {
			t.Fatal(err)
		}
	})
}

func dialCounter[C any](n *int, dial func(context.Context, string, string) (C, error)) func(context.Context, string, string) (C, error) {
	return func(ctx context.Context, network, address string) (C, error) {
		*n++
		return dial(ctx, network, address)
	}
}
