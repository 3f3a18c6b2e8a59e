package dynamo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tutti"
	"tutti/clock"
	"tutti/store"
	"tutti/store/dynamo/local"
	"tutti/store/storetest"
)

// fault is what happens to one exchange with the database.
type fault struct {
	status  int    // not 0: this is the answer, and the database is not asked …
	code    string // … with this error
	done    bool   // the database is asked first; only what it has done can go wrong
	err     error  // the exchange breaks: before the database is asked, or after where done
	hang    bool   // no answer, until the attempt is given up
	cut     bool   // the answer ends in its middle
	partial int    // a batch: only so many of its parts are done; 0: all, -1: none
	before  func() // runs before the database is asked
}

var (
	errBroken = errors.New("connection reset by peer")
	throttle  = fault{status: 400, code: "ProvisionedThroughputExceededException"}
	internal  = fault{status: 500, code: "InternalServerError"}
)

// exchange says which exchange a fault is decided for.
type exchange struct {
	operation string // GetItem …
	n         int    // counts the exchanges of this operation from 1
	body      string
}

// network is a transport on which things go wrong.
type network struct {
	base   http.RoundTripper
	decide func(exchange) fault

	mu    sync.Mutex
	count map[string]int
}

func newNetwork(t testing.TB, decide func(exchange) fault) *network {
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	return &network{base: base, decide: decide, count: make(map[string]int)}
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body.Close()
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	n.mu.Lock()
	n.count[operation]++
	x := exchange{operation, n.count[operation], string(body)}
	n.mu.Unlock()
	f := n.decide(x)
	if f.before != nil {
		f.before()
	}
	if f.hang {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if f.err != nil && !f.done {
		return nil, f.err
	}
	if f.status != 0 && !f.done {
		return f.answer(r), nil
	}
	var rest json.RawMessage
	if f.partial != 0 {
		body, rest = split(body, max(f.partial, 0))
	}
	var res *http.Response
	if body == nil {
		res = &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"Responses":{}}`)), Request: r}
	} else {
		r = r.Clone(r.Context())
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		if res, err = n.base.RoundTrip(r); err != nil {
			return nil, err
		}
	}
	switch {
	case res.StatusCode != http.StatusOK:
		return res, nil
	case f.err != nil:
		res.Body.Close()
		return nil, f.err
	case f.status != 0:
		res.Body.Close()
		return f.answer(r), nil
	case f.cut:
		whole := res.Body
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(whole, 10), iotest.ErrReader(io.ErrUnexpectedEOF)), whole}
	case rest != nil:
		return addUnprocessed(res, operation, rest)
	}
	return res, nil
}

func (f fault) answer(r *http.Request) *http.Response {
	body := fmt.Sprintf(`{"__type":"com.amazonaws.dynamodb.v20120810#%s","message":"injected"}`, f.code)
	return &http.Response{
		StatusCode: f.status, Request: r, Body: io.NopCloser(strings.NewReader(body)),
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
	}
}

// split divides a batch: the first n parts as a request, the rest as what is left unprocessed.
func split(body []byte, n int) (first []byte, rest json.RawMessage) {
	var request map[string]any
	if err := json.Unmarshal(body, &request); err != nil {
		panic(err)
	}
	left := map[string]any{}
	for table, of := range request["RequestItems"].(map[string]any) {
		switch of := of.(type) {
		case []any: // BatchWriteItem
			if n < len(of) {
				left[table] = of[n:]
				request["RequestItems"].(map[string]any)[table] = of[:n]
			}
		case map[string]any: // BatchGetItem
			if keys := of["Keys"].([]any); n < len(keys) {
				left[table] = map[string]any{"Keys": keys[n:], "ConsistentRead": true}
				of["Keys"] = keys[:n]
			}
		}
	}
	if n > 0 {
		first, _ = json.Marshal(request)
	}
	if len(left) > 0 {
		rest, _ = json.Marshal(left)
	}
	return first, rest
}

func addUnprocessed(res *http.Response, operation string, rest json.RawMessage) (*http.Response, error) {
	defer res.Body.Close()
	var answer map[string]json.RawMessage
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if operation == "BatchGetItem" {
		answer["UnprocessedKeys"] = rest
	} else {
		answer["UnprocessedItems"] = rest
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	res.Header.Del("Content-Length")
	res.Header.Del("X-Amz-Crc32")
	return res, nil
}

// shortPauses tells the time of one clock and waits by the system's, a hundred times faster.
type shortPauses struct {
	clock.Clock
	system clock.Clock
}

func pauses(c clock.Clock) clock.Clock { return shortPauses{c, clock.System} }

func (p shortPauses) NewTimer(d time.Duration) clock.Timer { return p.system.NewTimer(d / 100) }

func (p shortPauses) AfterFunc(d time.Duration, fn func()) clock.Timer {
	return p.system.AfterFunc(d, fn)
}

// openFaulty opens a new table behind a network.
func openFaulty(t testing.TB, c clock.Clock, decide func(exchange) fault) (*Store, *network) {
	t.Helper()
	cfg := newTable(t, local.DynamoDB, pauses(c))
	n := newNetwork(t, func(exchange) fault { return fault{} })
	cfg.Transport = n
	s := openTest(t, cfg)
	n.mu.Lock()
	n.decide = decide
	n.mu.Unlock()
	return s, n
}

func wantKind(t testing.TB, err error, kind tutti.Kind) {
	t.Helper()
	if !tutti.IsKind(err, kind) {
		t.Fatalf("%v, want %v", err, kind)
	}
}

// TestContractOnBadNetwork runs the whole contract while one exchange in eight is throttled, breaks or fails, batches are
// done in part, and the answers of writes get lost after they have happened.
func TestContractOnBadNetwork(t *testing.T) {
	if testing.Short() {
		t.Skip("the contract once more")
	}
	t.Parallel()
	storetest.Run(t, func(t testing.TB, c clock.Clock) store.Store {
		s, _ := openFaulty(t, c, func(x exchange) fault {
			// Where others write the same item meanwhile nobody can tell whose write it was: those tests get no lost answers. Nor
			// do writes that happen twice when they are sent twice: they count two versions, or find nothing to remove.
			unclear := strings.Contains(x.body, `"i#race"`) || x.operation == "UpdateItem" || x.operation == "DeleteItem"
			switch {
			case x.n%31 == 3:
				return throttle
			case x.n%31 == 7 && !unclear:
				return fault{err: errBroken, done: true}
			case x.n%31 == 13 && !unclear:
				return fault{status: 500, code: "InternalServerError", done: true}
			case x.n%31 == 19 && (x.operation == "GetItem" || x.operation == "Query"):
				return fault{err: errBroken}
			case x.n%2 == 0 && strings.HasPrefix(x.operation, "Batch"):
				return fault{partial: x.n%4 + 1}
			}
			return fault{}
		})
		return s
	})
}

var key = store.Key{PK: "p", SK: "s"}

// TestLostAnswers loses the answer of each conditional write after it has happened. The next attempt finds the
// condition false, and out that it was itself who made it so.
func TestLostAnswers(t *testing.T) {
	for name, lost := range map[string]fault{
		"broken":   {err: errBroken, done: true},
		"internal": {status: 500, code: "InternalServerError", done: true},
		"cut":      {cut: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, n := openFaulty(t, clock.System, func(x exchange) fault {
				if x.operation == "PutItem" && x.n%2 == 1 {
					return lost
				}
				return fault{}
			})
			ctx := t.Context()
			if v, err := s.Put(ctx, key, []byte("one"), time.Time{}, store.IfAbsent); v != 1 || err != nil {
				t.Fatal(v, err)
			}
			if v, err := s.Put(ctx, key, []byte("two"), time.Time{}, store.IfVersion(1)); v != 2 || err != nil {
				t.Fatal(v, err)
			}
			for seq := uint64(1); seq <= 3; seq++ {
				if err := s.Append(ctx, "log", seq, []byte{byte(seq)}); err != nil {
					t.Fatal(seq, err)
				}
			}
			it, err := s.Get(ctx, key)
			if err != nil || it.Version != 2 || string(it.Value) != "two" {
				t.Fatalf("%+v, %v", it, err)
			}
			if last, err := s.LastSeq(ctx, "log"); last != 3 || err != nil {
				t.Fatal(last, err)
			}
			if c := s.Consumed(); c.Lost != 5 || n.count["PutItem"] != 10 {
				t.Fatalf("%+v after %v", c, n.count)
			}
		})
	}
}

// TestLostAnswersUnconditional loses the answer of writes without a condition after they have happened. They count once.
func TestLostAnswersUnconditional(t *testing.T) {
	for name, lost := range map[string]fault{
		"broken":   {err: errBroken, done: true},
		"internal": {status: 500, code: "InternalServerError", done: true},
		"cut":      {cut: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, n := openFaulty(t, clock.System, func(x exchange) fault {
				if x.operation == "UpdateItem" && x.n%2 == 1 {
					return lost
				}
				return fault{}
			})
			ctx := t.Context()
			for want := uint64(1); want <= 3; want++ {
				if v, err := s.Put(ctx, key, fmt.Append(nil, want), time.Time{}, store.Always); v != want || err != nil {
					t.Fatal(want, v, err)
				}
				it, err := s.Get(ctx, key)
				if err != nil || it.Version != want || string(it.Value) != fmt.Sprint(want) {
					t.Fatalf("%+v, %v", it, err)
				}
			}
			if n.count["UpdateItem"] != 6 {
				t.Fatal(n.count)
			}
		})
	}
}

// TestLostAnswerOverwritten: the answer is lost, and before the next attempt another has written the item. Whether this
// write happened cannot be told any more, and it is not called a conflict.
func TestLostAnswerOverwritten(t *testing.T) {
	var other *Store
	s, _ := openFaulty(t, clock.System, func(x exchange) fault {
		switch {
		case x.operation == "PutItem" && x.n == 1, x.operation == "DeleteItem" && x.n == 1:
			return fault{err: errBroken, done: true}
		case x.operation == "PutItem" && x.n == 2:
			return fault{before: func() {
				if _, err := other.Put(context.Background(), key, []byte("other"), time.Time{}, store.Always); err != nil {
					t.Error(err)
				}
			}}
		}
		return fault{}
	})
	other = openTest(t, Config{Table: s.table, Endpoint: engines[local.DynamoDB].URL, Clock: clock.System, Credentials: madeUp})
	_, err := s.Put(t.Context(), key, []byte("mine"), time.Time{}, store.IfAbsent)
	wantKind(t, err, tutti.KindUnavailable)
	// The same for a removal that has happened: nobody can say whose it was.
	wantKind(t, s.Delete(t.Context(), key, store.IfVersion(2)), tutti.KindUnavailable)
	_, err = other.Get(t.Context(), key)
	wantKind(t, err, tutti.KindNotFound)
}

// TestConflictIsCertain: a condition that fails at the first attempt, or after throttling only, is a conflict.
func TestConflictIsCertain(t *testing.T) {
	s, n := openFaulty(t, clock.System, func(x exchange) fault {
		if x.operation == "PutItem" && x.n == 2 {
			return throttle
		}
		return fault{}
	})
	if _, err := s.Put(t.Context(), key, nil, time.Time{}, store.IfAbsent); err != nil {
		t.Fatal(err)
	}
	_, err := s.Put(t.Context(), key, nil, time.Time{}, store.IfAbsent)
	wantKind(t, err, tutti.KindConflict)
	if n.count["PutItem"] != 3 || n.count["GetItem"] != 0 {
		t.Fatal(n.count)
	}
}

func TestGivesUp(t *testing.T) {
	for name, trouble := range map[string]fault{
		"throttled": throttle,
		"internal":  internal,
		"broken":    {err: errBroken},
	} {
		t.Run(name, func(t *testing.T) {
			s, n := openFaulty(t, clock.System, func(x exchange) fault {
				if x.operation == "UpdateItem" {
					return trouble
				}
				return fault{}
			})
			_, err := s.Put(t.Context(), key, []byte("v"), time.Time{}, store.Always)
			wantKind(t, err, tutti.KindUnavailable)
			if n.count["UpdateItem"] != defaultAttempts {
				t.Fatalf("%d attempts", n.count["UpdateItem"])
			}
			_, err = s.Get(t.Context(), key)
			wantKind(t, err, tutti.KindNotFound)
		})
	}
}

// TestRetryBudget: when the database refuses everything, it is soon sent each call once and no more.
func TestRetryBudget(t *testing.T) {
	s, n := openFaulty(t, clock.System, func(exchange) fault { return throttle })
	const calls = 200
	for range calls {
		_, err := s.Get(t.Context(), key)
		wantKind(t, err, tutti.KindUnavailable)
	}
	if got, most := n.count["GetItem"], calls+retryTokens/retryCost; got != most {
		t.Fatalf("%d requests, want %d", got, most)
	}
	if c := s.Consumed(); c.Throttled != uint64(n.count["GetItem"]) || c.Total != (Units{}) {
		t.Fatalf("%+v", c)
	}
}

// TestNoAnswer: an attempt without an answer is given up after its time, and the next one may succeed.
func TestNoAnswer(t *testing.T) {
	c := clock.NewFake(storetest.Epoch)
	cfg := newTable(t, local.DynamoDB, c)
	hung := make(chan struct{})
	cfg.Transport = newNetwork(t, func(x exchange) fault {
		if x.operation == "GetItem" && x.n == 1 {
			return fault{hang: true, before: func() { close(hung) }}
		}
		return fault{}
	})
	s := openTest(t, cfg)
	done := make(chan error)
	go func() {
		_, err := s.Get(t.Context(), key)
		done <- err
	}()
	<-hung
	c.WaitForTimers(1)
	c.Advance(defaultAttemptTimeout)
	c.WaitForTimers(1) // the pause
	c.Advance(pauseMax)
	wantKind(t, <-done, tutti.KindNotFound)
}

// TestDeadConnections: whoever waits for an answer no longer than a second or two, as those do who have something else to
// answer from, gets one although the first connections that are tried are dead.
func TestDeadConnections(t *testing.T) {
	c := clock.NewFake(storetest.Epoch)
	cfg := newTable(t, local.DynamoDB, c)
	hung := make(chan struct{}, 2)
	cfg.Transport = newNetwork(t, func(x exchange) fault {
		if x.operation == "GetItem" && x.n <= 2 {
			return fault{hang: true, before: func() { hung <- struct{}{} }}
		}
		return fault{}
	})
	s := openTest(t, cfg)
	const patience = 2 * time.Second
	began := c.Now()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	end := c.AfterFunc(patience, cancel)
	defer end.Stop()
	done := make(chan error, 1)
	go func() {
		_, err := s.Get(ctx, key)
		done <- err
	}()
	for range 2 {
		<-hung
		c.WaitForTimers(2) // the caller's, and the attempt's
		c.Advance(defaultAttemptTimeout)
		if took := c.Now().Sub(began); took >= patience {
			t.Fatalf("no answer within %v", took)
		}
		c.WaitForTimers(2) // the caller's, and the pause
		c.Advance(pauseBase << 2)
	}
	wantKind(t, <-done, tutti.KindNotFound)
}

// TestCutAnswers: readings whose answers end in their middle are asked again.
func TestCutAnswers(t *testing.T) {
	s, n := openFaulty(t, clock.System, func(x exchange) fault {
		return fault{cut: x.n == 1 && x.operation != "UpdateItem"}
	})
	value := bytes.Repeat([]byte("v"), 50_000)
	if _, err := s.Put(t.Context(), key, value, time.Time{}, store.Always); err != nil {
		t.Fatal(err)
	}
	it, err := s.Get(t.Context(), key)
	if err != nil || !bytes.Equal(it.Value, value) {
		t.Fatalf("%d bytes, %v", len(it.Value), err)
	}
	items, err := s.BatchGet(t.Context(), []store.Key{key})
	if err != nil || len(items) != 1 {
		t.Fatal(len(items), err)
	}
	p, err := s.Query(t.Context(), key.PK, "", "", 1)
	if err != nil || len(p.Items) != 1 {
		t.Fatal(len(p.Items), err)
	}
	for _, operation := range []string{"GetItem", "BatchGetItem", "Query"} {
		if n.count[operation] != 2 {
			t.Errorf("%s: %d requests", operation, n.count[operation])
		}
	}
}

func TestCancelledOnTheWay(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, n := openFaulty(t, clock.System, func(exchange) fault { return fault{hang: true, before: cancel} })
	_, err := s.Put(ctx, key, nil, time.Time{}, store.Always)
	wantKind(t, err, tutti.KindUnavailable)
	if !errors.Is(err, context.Canceled) || n.count["UpdateItem"] != 1 {
		t.Fatal(err, n.count)
	}
}

func TestRefusals(t *testing.T) {
	for code, want := range map[string]tutti.Kind{
		"AccessDeniedException":       tutti.KindUnavailable,
		"UnrecognizedClientException": tutti.KindUnavailable,
		"ResourceNotFoundException":   tutti.KindUnavailable,
		"ValidationException":         tutti.KindInternal,
	} {
		s, n := openFaulty(t, clock.System, func(exchange) fault { return fault{status: 400, code: code} })
		_, err := s.Get(t.Context(), key)
		if tutti.KindOf(err) != want || n.count["GetItem"] != 1 {
			t.Errorf("%s: %v after %v", code, err, n.count)
		}
	}
}

func TestPartialBatchGet(t *testing.T) {
	parts := 7
	s, n := openFaulty(t, clock.System, func(x exchange) fault {
		if x.operation == "BatchGetItem" {
			return fault{partial: parts}
		}
		return fault{}
	})
	var keys []store.Key
	for i := range store.MaxBatchGet {
		k := store.Key{PK: "p", SK: fmt.Sprint(i)}
		keys = append(keys, k)
		if _, err := s.Put(t.Context(), k, []byte(k.SK), time.Time{}, store.IfAbsent); err != nil {
			t.Fatal(err)
		}
	}
	items, err := s.BatchGet(t.Context(), keys)
	if err != nil || len(items) != len(keys) || n.count["BatchGetItem"] != (len(keys)+parts-1)/parts {
		t.Fatalf("%d items, %v, %v", len(items), err, n.count)
	}
	seen := map[string]bool{}
	for _, it := range items {
		if seen[it.SK] || string(it.Value) != it.SK {
			t.Fatalf("%q: %q", it.SK, it.Value)
		}
		seen[it.SK] = true
	}
	parts = -1
	_, err = s.BatchGet(t.Context(), keys)
	wantKind(t, err, tutti.KindUnavailable)
}

// TestInterruptedTrim: a trim whose batches are done in part and which is cut short leaves a log that reads as trimmed
// as far as it got, and that a second trim finishes.
func TestInterruptedTrim(t *testing.T) {
	broken := true
	s, _ := openFaulty(t, clock.System, func(x exchange) fault {
		switch {
		case x.operation != "BatchWriteItem":
		case broken && x.n > 4:
			return throttle
		default:
			return fault{partial: 9}
		}
		return fault{}
	})
	const last = 100
	fill(t, s, "log", 1, last)
	wantKind(t, s.TrimLog(t.Context(), "log", 90), tutti.KindUnavailable) // 25 and 9 of the next 25 are done
	records, err := s.ReadLog(t.Context(), "log", 0, store.MaxPage)
	if err != nil || len(records) != last-34 || records[0].Seq != 35 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	wantKind(t, s.Append(t.Context(), "log", 20, nil), tutti.KindConflict)
	broken = false
	if err := s.TrimLog(t.Context(), "log", 50); err != nil { // finishes the one before
		t.Fatal(err)
	}
	records, err = s.ReadLog(t.Context(), "log", 0, store.MaxPage)
	if err != nil || len(records) != 10 || records[0].Seq != 91 {
		t.Fatalf("%d records, %v", len(records), err)
	}
}

func fill(t testing.TB, s store.Store, log string, from, to uint64) {
	t.Helper()
	for seq := from; seq <= to; seq++ {
		if err := s.Append(t.Context(), log, seq, fmt.Append(nil, "r", seq)); err != nil {
			t.Fatal(err)
		}
	}
}

// expireTombstones does what the table's TTL does in its own time.
func expireTombstones(t testing.TB, s *Store, log string, seqs ...uint64) {
	t.Helper()
	for _, seq := range seqs {
		if _, err := s.db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &s.table, Key: recordKey(log, seq)}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLateAppend: an Append that was on its way while another wrote the same number, and that was trimmed. It must not be
// acknowledged too.
func TestLateAppend(t *testing.T) {
	for _, test := range []struct {
		name  string
		gone  bool // the tombstone as well, a week later
		kind  tutti.Kind
		delay time.Duration
	}{
		{"trimmed", false, tutti.KindConflict, 0},
		{"trimmed and forgotten", true, tutti.KindUnavailable, tombstoneLife + time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := clock.NewFake(storetest.Epoch)
			var other *Store
			late := false
			s, _ := openFaulty(t, c, func(x exchange) fault {
				if x.operation != "PutItem" || !late {
					return fault{}
				}
				return fault{before: func() {
					fill(t, other, "log", 3, 5)
					if err := other.TrimLog(t.Context(), "log", 4); err != nil {
						t.Error(err)
					}
					c.Advance(test.delay)
					if test.gone {
						expireTombstones(t, other, "log", 1, 2, 3, 4)
					}
				}}
			})
			other = openTest(t, Config{Table: s.table, Endpoint: engines[local.DynamoDB].URL, Clock: c, Credentials: madeUp})
			fill(t, s, "log", 1, 2) // so that it knows of record 2, and need not look when it appends the third
			late = true
			wantKind(t, s.Append(t.Context(), "log", 3, []byte("late")), test.kind)
			r, err := s.ReadLog(t.Context(), "log", 0, 10)
			if err != nil || len(r) != 1 || r[0].Seq != 5 {
				t.Fatalf("%v, %v", r, err)
			}
		})
	}
}

// TestTails: who appends one after the other, or has read to the end, need not read the record before. That does not
// last longer than tombstones do, and is forgotten when there are too many logs.
func TestTails(t *testing.T) {
	c := clock.NewFake(storetest.Epoch)
	s, n := openFaulty(t, c, func(exchange) fault { return fault{} })
	readings := func(want int) {
		t.Helper()
		if got := n.count["GetItem"]; got != want {
			t.Fatalf("%d readings, want %d", got, want)
		}
	}
	fill(t, s, "log", 1, 5)
	readings(1) // of the mark, before the first
	other := openTest(t, Config{Table: s.table, Endpoint: engines[local.DynamoDB].URL, Clock: c, Credentials: madeUp})
	fill(t, other, "log", 6, 8)
	fillOne := func(seq uint64) {
		t.Helper()
		fill(t, s, "log", seq, seq)
	}
	fillOne(9) // its own 5 is of no use
	readings(2)
	fill(t, other, "log", 10, 11)
	if r, err := s.ReadLog(t.Context(), "log", 9, 10); len(r) != 2 || err != nil {
		t.Fatal(r, err)
	}
	fillOne(12)
	readings(2)
	c.Advance(tailLife)
	fillOne(13)
	readings(3)
	for i := range maxTails {
		s.tails.saw(fmt.Sprint(i), 1, c.Now())
	}
	fillOne(14)
	readings(4)
	if len(s.tails.of) > maxTails {
		t.Fatalf("%d logs are remembered", len(s.tails.of))
	}
}

// TestForgottenTombstones: whatever of the tombstones the TTL has removed, in whatever order, the log is the same.
func TestForgottenTombstones(t *testing.T) {
	for _, gone := range [][]uint64{{}, {1, 2, 3}, {10}, {5, 9, 10}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}} {
		t.Run(fmt.Sprint(gone), func(t *testing.T) {
			s := openTest(t, newTable(t, local.DynamoDB, clock.System))
			fill(t, s, "log", 1, 10)
			if err := s.TrimLog(t.Context(), "log", 1000); err != nil {
				t.Fatal(err)
			}
			expireTombstones(t, s, "log", gone...)
			check := func(last uint64) {
				t.Helper()
				if n, err := s.LastSeq(t.Context(), "log"); n != last || err != nil {
					t.Fatalf("LastSeq %d, %v", n, err)
				}
				for since := range last {
					r, err := s.ReadLog(t.Context(), "log", since, 3)
					if err != nil || (len(r) == 0) != (last == 10) || last > 10 && r[0].Seq != max(11, since+1) {
						t.Fatalf("since %d: %v, %v", since, r, err)
					}
				}
				for seq := uint64(1); seq <= last; seq++ {
					wantKind(t, s.Append(t.Context(), "log", seq, nil), tutti.KindConflict)
				}
				wantKind(t, s.Append(t.Context(), "log", last+2, nil), tutti.KindInvalid)
			}
			check(10)
			fill(t, s, "log", 11, 11)
			check(11)
			fill(t, s, "log", 12, 14)
			check(14)
		})
	}
}
