// Package storetest is the contract of store.Store as tests. Every engine passes Run, and so does every wrapper that
// claims to be a Store.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tutti"
	"tutti/clock"
	"tutti/store"
)

// Epoch is the time at which Run's clocks start.
var Epoch = time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)

// Run runs the suite. open returns an empty store that goes by the clock; the suite closes it.
func Run(t *testing.T, open func(t testing.TB, c clock.Clock) store.Store) {
	for _, c := range []struct {
		name string
		test func(*suite)
	}{
		{"Versions", (*suite).versions},
		{"Conditions", (*suite).conditions},
		{"Delete", (*suite).deletes},
		{"Values", (*suite).values},
		{"Copies", (*suite).copies},
		{"Keys", (*suite).keys},
		{"Limits", (*suite).limits},
		{"BatchGet", (*suite).batchGet},
		{"KeyOrder", (*suite).keyOrder},
		{"Pages", (*suite).pages},
		{"LargePages", (*suite).largePages},
		{"CursorWhileChanging", (*suite).cursorWhileChanging},
		{"Expiry", (*suite).expiry},
		{"Log", (*suite).log},
		{"LogTrim", (*suite).logTrim},
		{"LargeLog", (*suite).largeLog},
		{"RacingPuts", (*suite).racingPuts},
		{"RacingCounter", (*suite).racingCounter},
		{"RacingAppends", (*suite).racingAppends},
		{"ReadYourWrites", (*suite).readYourWrites},
		{"Cancelled", (*suite).cancelled},
		{"Closed", (*suite).closed},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake := clock.NewFake(Epoch)
			s := open(t, fake)
			defer func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}()
			c.test(&suite{T: t, Store: s, clock: fake, ctx: t.Context()})
		})
	}
	t.Run("Model", func(t *testing.T) {
		fake := clock.NewFake(Epoch)
		s := open(t, fake)
		defer s.Close()
		round := 0
		rapid.Check(t, func(rt *rapid.T) {
			round++
			runModel(rt, s, fake, fmt.Sprintf("round%d/", round))
		})
	})
}

type suite struct {
	*testing.T
	store.Store
	clock *clock.Fake
	ctx   context.Context
}

func (s *suite) put(pk, sk, value string) uint64 {
	s.Helper()
	v, err := s.Put(s.ctx, store.Key{PK: pk, SK: sk}, []byte(value), time.Time{}, store.Always)
	if err != nil {
		s.Fatalf("Put(%q, %q): %v", pk, sk, err)
	}
	return v
}

func (s *suite) wantKind(err error, kind tutti.Kind, what string) {
	s.Helper()
	if err == nil {
		s.Fatalf("%s: no error, want %v", what, kind)
	}
	if got := tutti.KindOf(err); got != kind {
		s.Fatalf("%s: %v (%v), want %v", what, got, err, kind)
	}
}

func (s *suite) want(pk, sk, value string, version uint64) {
	s.Helper()
	it, err := s.Get(s.ctx, store.Key{PK: pk, SK: sk})
	if err != nil {
		s.Fatalf("Get(%q, %q): %v", pk, sk, err)
	}
	if it.PK != pk || it.SK != sk || string(it.Value) != value || it.Version != version {
		s.Fatalf("Get(%q, %q) = %q version %d of %q, want %q version %d", pk, sk, it.Value, it.Version, it.Key, value, version)
	}
}

// all reads a query to its end.
func (s *suite) all(pk, prefix string, limit int) []store.Item {
	s.Helper()
	var items []store.Item
	after := ""
	for {
		p, err := s.Query(s.ctx, pk, prefix, after, limit)
		if err != nil {
			s.Fatalf("Query(%q, %q, %q): %v", pk, prefix, after, err)
		}
		if len(p.Items) > limit {
			s.Fatalf("a page of %d, limit %d", len(p.Items), limit)
		}
		items = append(items, p.Items...)
		if p.Next == "" {
			return items
		}
		after = p.Next
	}
}

func sortKeys(items []store.Item) []string {
	keys := []string{}
	for _, it := range items {
		keys = append(keys, it.SK)
	}
	return keys
}

func (s *suite) versions() {
	_, err := s.Get(s.ctx, store.Key{PK: "a", SK: "b"})
	s.wantKind(err, tutti.KindNotFound, "Get of nothing")
	for want := uint64(1); want <= 3; want++ {
		if got := s.put("a", "b", fmt.Sprint("v", want)); got != want {
			s.Fatalf("write %d is version %d", want, got)
		}
		s.want("a", "b", fmt.Sprint("v", want), want)
	}
	s.put("a", "bb", "other")
	s.put("aa", "b", "other")
	s.want("a", "b", "v3", 3)
}

func (s *suite) conditions() {
	k := store.Key{PK: "p", SK: "s"}
	put := func(value string, cond store.Condition) (uint64, error) {
		return s.Put(s.ctx, k, []byte(value), time.Time{}, cond)
	}
	_, err := put("x", store.IfVersion(1))
	s.wantKind(err, tutti.KindConflict, "IfVersion of nothing")
	_, err = put("x", store.IfVersion(0))
	s.wantKind(err, tutti.KindConflict, "IfVersion(0) of nothing")
	if v, err := put("one", store.IfAbsent); v != 1 || err != nil {
		s.Fatalf("IfAbsent of nothing: %d, %v", v, err)
	}
	_, err = put("x", store.IfAbsent)
	s.wantKind(err, tutti.KindConflict, "IfAbsent of something")
	_, err = put("x", store.IfVersion(2))
	s.wantKind(err, tutti.KindConflict, "IfVersion of another")
	s.want("p", "s", "one", 1)
	if v, err := put("two", store.IfVersion(1)); v != 2 || err != nil {
		s.Fatalf("IfVersion: %d, %v", v, err)
	}
	s.want("p", "s", "two", 2)
}

func (s *suite) deletes() {
	k := store.Key{PK: "p", SK: "s"}
	if err := s.Delete(s.ctx, k, store.Always); err != nil {
		s.Fatalf("Delete of nothing: %v", err)
	}
	s.wantKind(s.Delete(s.ctx, k, store.IfVersion(1)), tutti.KindConflict, "Delete IfVersion of nothing")
	s.put("p", "s", "1")
	s.put("p", "s", "2")
	s.wantKind(s.Delete(s.ctx, k, store.IfVersion(1)), tutti.KindConflict, "Delete IfVersion of another")
	s.wantKind(s.Delete(s.ctx, k, store.IfAbsent), tutti.KindConflict, "Delete IfAbsent of something")
	s.want("p", "s", "2", 2)
	if err := s.Delete(s.ctx, k, store.IfVersion(2)); err != nil {
		s.Fatal(err)
	}
	_, err := s.Get(s.ctx, k)
	s.wantKind(err, tutti.KindNotFound, "Get after Delete")
	if v := s.put("p", "s", "again"); v != 1 {
		s.Fatalf("the first write after a Delete is version %d, want 1", v)
	}
}

func (s *suite) values() {
	for _, v := range [][]byte{nil, {}, {0}, []byte("\x00\xff\xfe text \x00"), bytes.Repeat([]byte{0xa5, 0}, store.MaxValue/2)} {
		k := store.Key{PK: "values", SK: fmt.Sprint("n", len(v))}
		if _, err := s.Put(s.ctx, k, v, time.Time{}, store.Always); err != nil {
			s.Fatalf("%d bytes: %v", len(v), err)
		}
		it, err := s.Get(s.ctx, k)
		if err != nil || !bytes.Equal(it.Value, v) {
			s.Fatalf("%d bytes came back as %d: %v", len(v), len(it.Value), err)
		}
		if !it.Expires.IsZero() {
			s.Fatalf("an item without expiry expires at %v", it.Expires)
		}
	}
}

func (s *suite) copies() {
	v := []byte("mine")
	k := store.Key{PK: "p", SK: "s"}
	if _, err := s.Put(s.ctx, k, v, time.Time{}, store.Always); err != nil {
		s.Fatal(err)
	}
	copy(v, "xxxx")
	s.want("p", "s", "mine", 1)
	it, err := s.Get(s.ctx, k)
	if err != nil {
		s.Fatal(err)
	}
	copy(it.Value, "yyyy")
	s.want("p", "s", "mine", 1)
}

var badKeys = []store.Key{
	{PK: "", SK: "s"},
	{PK: "p", SK: ""},
	{PK: "p\x00", SK: "s"},
	{PK: "p", SK: "\x00"},
	{PK: "p", SK: "\xff"},
	{PK: "\xc3\x28", SK: "s"},
	{PK: strings.Repeat("p", store.MaxPK+1), SK: "s"},
	{PK: "p", SK: strings.Repeat("s", store.MaxSK+1)},
}

func (s *suite) keys() {
	for _, k := range badKeys {
		_, err := s.Get(s.ctx, k)
		s.wantKind(err, tutti.KindInvalid, fmt.Sprintf("Get(%.20q)", k))
		_, err = s.Put(s.ctx, k, nil, time.Time{}, store.Always)
		s.wantKind(err, tutti.KindInvalid, fmt.Sprintf("Put(%.20q)", k))
		s.wantKind(s.Delete(s.ctx, k, store.Always), tutti.KindInvalid, fmt.Sprintf("Delete(%.20q)", k))
		_, err = s.BatchGet(s.ctx, []store.Key{k})
		s.wantKind(err, tutti.KindInvalid, fmt.Sprintf("BatchGet(%.20q)", k))
	}
	long := store.Key{PK: strings.Repeat("ü", store.MaxPK/2), SK: strings.Repeat("ö", store.MaxSK/2)}
	s.put(long.PK, long.SK, "long")
	s.want(long.PK, long.SK, "long", 1)
	odd := store.Key{PK: "a'b\"c%_\\;--", SK: "☃ %_' \U0001F3B5"}
	s.put(odd.PK, odd.SK, "odd")
	s.want(odd.PK, odd.SK, "odd", 1)
}

func (s *suite) limits() {
	k := store.Key{PK: "p", SK: "s"}
	_, err := s.Put(s.ctx, k, make([]byte, store.MaxValue+1), time.Time{}, store.Always)
	s.wantKind(err, tutti.KindInvalid, "Put of too much")
	s.wantKind(s.Append(s.ctx, "l", 1, make([]byte, store.MaxValue+1)), tutti.KindInvalid, "Append of too much")
	for _, limit := range []int{-1, 0, store.MaxPage + 1} {
		_, err = s.Query(s.ctx, "p", "", "", limit)
		s.wantKind(err, tutti.KindInvalid, fmt.Sprintf("Query with limit %d", limit))
		_, err = s.ReadLog(s.ctx, "l", 0, limit)
		s.wantKind(err, tutti.KindInvalid, fmt.Sprintf("ReadLog with limit %d", limit))
	}
	keys := make([]store.Key, store.MaxBatchGet+1)
	for i := range keys {
		keys[i] = store.Key{PK: "p", SK: fmt.Sprint(i)}
	}
	_, err = s.BatchGet(s.ctx, keys)
	s.wantKind(err, tutti.KindInvalid, "BatchGet of too many")
	_, err = s.BatchGet(s.ctx, []store.Key{k, k})
	s.wantKind(err, tutti.KindInvalid, "BatchGet of one key twice")
	for _, log := range []string{"", "a\x00", "\xff", strings.Repeat("l", store.MaxPK+1)} {
		s.wantKind(s.Append(s.ctx, log, 1, nil), tutti.KindInvalid, "Append to a bad name")
		_, err = s.ReadLog(s.ctx, log, 0, 1)
		s.wantKind(err, tutti.KindInvalid, "ReadLog of a bad name")
		_, err = s.LastSeq(s.ctx, log)
		s.wantKind(err, tutti.KindInvalid, "LastSeq of a bad name")
		s.wantKind(s.TrimLog(s.ctx, log, 1), tutti.KindInvalid, "TrimLog of a bad name")
	}
}

func (s *suite) batchGet() {
	var keys []store.Key
	for i := range store.MaxBatchGet {
		k := store.Key{PK: fmt.Sprint("p", i%3), SK: fmt.Sprint("s", i)}
		if i%5 != 0 {
			s.put(k.PK, k.SK, fmt.Sprint("v", i))
		}
		keys = append(keys, k)
	}
	for _, n := range []int{0, 1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 99, 100} {
		items, err := s.BatchGet(s.ctx, keys[:n])
		if err != nil {
			s.Fatal(err)
		}
		got := map[store.Key]string{}
		for _, it := range items {
			got[it.Key] = string(it.Value)
			if it.Version != 1 {
				s.Errorf("%q has version %d", it.Key, it.Version)
			}
		}
		if len(got) != len(items) {
			s.Fatalf("%d keys: %d items, %d of them different", n, len(items), len(got))
		}
		for i, k := range keys[:n] {
			want := fmt.Sprint("v", i)
			if i%5 == 0 {
				want = ""
			}
			if got[k] != want {
				s.Fatalf("%d keys: %q is %q, want %q", n, k, got[k], want)
			}
		}
	}
}

// edgeKeys are sort keys whose order as bytes differs from other orders: by case, by UTF-16 unit, by collation.
var edgeKeys = []string{
	"\x01", " ", "!", "A", "Aa", "B", "Z", "a", "a\x01", "a ", "aA", "aa", "b", "e", "e\u0301", "z", "\x7f", "\u0080",
	"é", "ÿ", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0001F3B5", "\U0010ffff", "\U0010ffff\U0010ffff",
}

func (s *suite) keyOrder() {
	want := slices.Clone(edgeKeys)
	slices.Sort(want)
	for _, k := range edgeKeys {
		s.put("order", k, k)
		s.put("order2", k, "another partition")
	}
	for _, limit := range []int{1, 3, store.MaxPage} {
		if got := sortKeys(s.all("order", "", limit)); !slices.Equal(got, want) {
			s.Fatalf("limit %d: got %q, want %q", limit, got, want)
		}
	}
	for _, prefix := range append([]string{"ab", "\U0010ffff\U0010ffff\U0010ffff"}, edgeKeys...) {
		with := []string{}
		for _, k := range want {
			if strings.HasPrefix(k, prefix) {
				with = append(with, k)
			}
		}
		if got := sortKeys(s.all("order", prefix, 2)); !slices.Equal(got, with) {
			s.Fatalf("prefix %q: got %q, want %q", prefix, got, with)
		}
	}
}

func (s *suite) pages() {
	if got := s.all("empty", "", 10); len(got) != 0 {
		s.Fatalf("an empty partition has %d items", len(got))
	}
	for i := range 25 {
		s.put("pages", fmt.Sprintf("a%02d", i), fmt.Sprint(i))
		s.put("pages", fmt.Sprintf("b%02d", i), fmt.Sprint(i))
	}
	for _, limit := range []int{1, 7, 24, 25, 26, 100} {
		items := s.all("pages", "a", limit)
		if len(items) != 25 {
			s.Fatalf("limit %d: %d items", limit, len(items))
		}
		for i, it := range items {
			if it.PK != "pages" || it.SK != fmt.Sprintf("a%02d", i) || string(it.Value) != fmt.Sprint(i) || it.Version != 1 {
				s.Fatalf("item %d is %+v", i, it)
			}
		}
	}
	_, err := s.Query(s.ctx, "pages", "a", "b01", 10)
	s.wantKind(err, tutti.KindInvalid, "the cursor of another query")
}

func (s *suite) largePages() {
	value := strings.Repeat("x", store.MaxValue)
	for i := range 20 {
		s.put("large", fmt.Sprintf("%02d", i), value)
	}
	items := s.all("large", "", store.MaxPage)
	if len(items) != 20 {
		s.Fatalf("%d of 20 large items", len(items))
	}
	for i, it := range items {
		if it.SK != fmt.Sprintf("%02d", i) || len(it.Value) != store.MaxValue {
			s.Fatalf("item %d is %q with %d bytes", i, it.SK, len(it.Value))
		}
	}
}

func (s *suite) cursorWhileChanging() {
	want := []string{}
	for i := 0; i < 40; i += 2 {
		k := fmt.Sprintf("%02d", i)
		s.put("moving", k, "")
		want = append(want, k)
	}
	got := []string{}
	inserted := ""
	for after := ""; ; {
		p, err := s.Query(s.ctx, "moving", "", after, 4)
		if err != nil {
			s.Fatal(err)
		}
		got = append(got, sortKeys(p.Items)...)
		if after = p.Next; after == "" {
			break
		}
		if len(p.Items) == 0 {
			continue
		}
		// The item under the cursor goes, one is inserted before it and, half way, one after it.
		last := got[len(got)-1]
		if err := s.Delete(s.ctx, store.Key{PK: "moving", SK: last}, store.Always); err != nil {
			s.Fatal(err)
		}
		s.put("moving", "!"+last, "before")
		if inserted == "" && last >= "20" {
			inserted = last + "5"
			s.put("moving", inserted, "after")
			want = append(want, inserted)
		}
	}
	slices.Sort(want)
	if inserted == "" || !slices.Equal(got, want) {
		s.Fatalf("got %q, want %q", got, want)
	}
}

func (s *suite) expiry() {
	put := func(sk string, expires time.Time, cond store.Condition) (uint64, error) {
		return s.Put(s.ctx, store.Key{PK: "exp", SK: sk}, []byte(sk), expires, cond)
	}
	for sk, d := range map[string]time.Duration{"a": 10 * time.Second, "b": 20 * time.Second, "past": -time.Hour} {
		if _, err := put(sk, Epoch.Add(d), store.Always); err != nil {
			s.Fatal(err)
		}
	}
	if _, err := put("never", time.Time{}, store.Always); err != nil {
		s.Fatal(err)
	}
	keys := []store.Key{{PK: "exp", SK: "a"}, {PK: "exp", SK: "b"}, {PK: "exp", SK: "never"}, {PK: "exp", SK: "past"}}
	check := func(want ...string) {
		s.Helper()
		if got := sortKeys(s.all("exp", "", 1)); !slices.Equal(got, want) {
			s.Fatalf("Query: %q, want %q", got, want)
		}
		batch, err := s.BatchGet(s.ctx, keys)
		if err != nil {
			s.Fatal(err)
		}
		got := sortKeys(batch)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			s.Fatalf("BatchGet: %q, want %q", got, want)
		}
		for _, k := range keys {
			_, err := s.Get(s.ctx, k)
			if slices.Contains(want, k.SK) != (err == nil) {
				s.Fatalf("Get(%q): %v, want %q", k.SK, err, want)
			}
		}
	}
	check("a", "b", "never")
	it, err := s.Get(s.ctx, keys[0])
	if err != nil || !it.Expires.Equal(Epoch.Add(10*time.Second)) {
		s.Fatalf("expires %v, %v", it.Expires, err)
	}
	s.clock.Advance(8 * time.Second)
	check("a", "b", "never")
	s.clock.Advance(3 * time.Second)
	check("b", "never")
	_, err = put("a", time.Time{}, store.IfVersion(1))
	s.wantKind(err, tutti.KindConflict, "IfVersion of an expired item")
	s.wantKind(s.Delete(s.ctx, keys[0], store.IfVersion(1)), tutti.KindConflict, "Delete IfVersion of an expired item")
	if _, err := put("a", time.Time{}, store.IfAbsent); err != nil {
		s.Fatalf("IfAbsent of an expired item: %v", err)
	}
	check("a", "b", "never")
	if _, err := put("b", Epoch.Add(time.Hour), store.IfVersion(1)); err != nil { // a new expiry
		s.Fatal(err)
	}
	s.clock.Advance(time.Minute)
	check("a", "b", "never")
	s.clock.Advance(2 * time.Hour)
	check("a", "never")
}

func (s *suite) log() {
	last, err := s.LastSeq(s.ctx, "log")
	if last != 0 || err != nil {
		s.Fatalf("LastSeq of nothing: %d, %v", last, err)
	}
	if r, err := s.ReadLog(s.ctx, "log", 0, 10); len(r) != 0 || err != nil {
		s.Fatalf("ReadLog of nothing: %v, %v", r, err)
	}
	s.wantKind(s.Append(s.ctx, "log", 0, nil), tutti.KindInvalid, "Append of record 0")
	s.wantKind(s.Append(s.ctx, "log", 2, nil), tutti.KindInvalid, "Append beyond the end")
	for i := uint64(1); i <= 30; i++ {
		if err := s.Append(s.ctx, "log", i, fmt.Append(nil, "r", i)); err != nil {
			s.Fatal(err)
		}
		if err := s.Append(s.ctx, "log2", i, []byte("another log")); err != nil {
			s.Fatal(err)
		}
	}
	s.wantKind(s.Append(s.ctx, "log", 30, nil), tutti.KindConflict, "Append of the newest again")
	s.wantKind(s.Append(s.ctx, "log", 1, nil), tutti.KindConflict, "Append of the first again")
	s.wantKind(s.Append(s.ctx, "log", 32, nil), tutti.KindInvalid, "Append with a gap")
	if last, err := s.LastSeq(s.ctx, "log"); last != 30 || err != nil {
		s.Fatalf("LastSeq: %d, %v", last, err)
	}
	s.wantLog("log", 0, 1, 30)
	s.wantLog("log", 12, 13, 30)
	s.wantLog("log", 29, 30, 30)
	s.wantLog("log", 30, 31, 30)
	s.wantLog("log", 1000, 31, 30)
	s.wantLog("log", ^uint64(0), 31, 30)
	r, err := s.ReadLog(s.ctx, "log", 5, 3)
	if err != nil || len(r) == 0 || len(r) > 3 || r[0].Seq != 6 {
		s.Fatalf("ReadLog with a limit: %v, %v", r, err)
	}
	if err := s.Append(s.ctx, "empty", 1, nil); err != nil {
		s.Fatal(err)
	}
	if r, err := s.ReadLog(s.ctx, "empty", 0, 1); err != nil || len(r) != 1 || len(r[0].Value) != 0 {
		s.Fatalf("an empty record: %v, %v", r, err)
	}
}

// wantLog reads a log of records "r<seq>" from since to its end and checks that they are first to last.
func (s *suite) wantLog(log string, since, first, last uint64) {
	s.Helper()
	next := first
	for {
		r, err := s.ReadLog(s.ctx, log, since, 7)
		if err != nil {
			s.Fatal(err)
		}
		if len(r) == 0 {
			break
		}
		for _, rec := range r {
			if rec.Seq != next || string(rec.Value) != fmt.Sprint("r", next) {
				s.Fatalf("record %d is %q, want %d", rec.Seq, rec.Value, next)
			}
			next++
		}
		since = r[len(r)-1].Seq
	}
	if next != last+1 {
		s.Fatalf("the log ends at %d, want %d", next-1, last)
	}
}

func (s *suite) logTrim() {
	for i := uint64(1); i <= 20; i++ {
		if err := s.Append(s.ctx, "log", i, fmt.Append(nil, "r", i)); err != nil {
			s.Fatal(err)
		}
	}
	trim := func(upTo uint64) {
		s.Helper()
		if err := s.TrimLog(s.ctx, "log", upTo); err != nil {
			s.Fatal(err)
		}
	}
	trim(0)
	s.wantLog("log", 0, 1, 20)
	trim(5)
	s.wantLog("log", 0, 6, 20)
	s.wantLog("log", 3, 6, 20)
	s.wantLog("log", 10, 11, 20)
	trim(2)
	s.wantLog("log", 0, 6, 20)
	s.wantKind(s.Append(s.ctx, "log", 3, nil), tutti.KindConflict, "Append of a trimmed record")
	trim(1000)
	s.wantLog("log", 0, 21, 20)
	if last, err := s.LastSeq(s.ctx, "log"); last != 20 || err != nil {
		s.Fatalf("LastSeq after everything was trimmed: %d, %v", last, err)
	}
	s.wantKind(s.Append(s.ctx, "log", 20, nil), tutti.KindConflict, "Append of a trimmed record")
	s.wantKind(s.Append(s.ctx, "log", 22, nil), tutti.KindInvalid, "Append with a gap after a trim")
	if err := s.Append(s.ctx, "log", 21, []byte("r21")); err != nil {
		s.Fatal(err)
	}
	s.wantLog("log", 0, 21, 21)
	if err := s.TrimLog(s.ctx, "nothing", 5); err != nil {
		s.Fatalf("TrimLog of nothing: %v", err)
	}
	if err := s.Append(s.ctx, "nothing", 1, []byte("r1")); err != nil {
		s.Fatalf("Append after a trim of nothing: %v", err)
	}
}

func (s *suite) largeLog() {
	value := bytes.Repeat([]byte("r"), store.MaxValue)
	for i := uint64(1); i <= 20; i++ {
		if err := s.Append(s.ctx, "large", i, value); err != nil {
			s.Fatal(err)
		}
	}
	next := uint64(1)
	for next <= 20 {
		r, err := s.ReadLog(s.ctx, "large", next-1, store.MaxPage)
		if err != nil || len(r) == 0 {
			s.Fatalf("ReadLog since %d: %d records, %v", next-1, len(r), err)
		}
		for _, rec := range r {
			if rec.Seq != next || !bytes.Equal(rec.Value, value) {
				s.Fatalf("record %d with %d bytes, want %d", rec.Seq, len(rec.Value), next)
			}
			next++
		}
	}
}

// race runs fn n times at once.
func race(n int, fn func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			fn(i)
		})
	}
	close(start)
	wg.Wait()
}

func (s *suite) racingPuts() {
	const racers = 16
	for round := range 20 {
		k := store.Key{PK: "race", SK: fmt.Sprint(round)}
		cond := store.IfAbsent
		for lap := uint64(1); lap <= 2; lap++ {
			var mu sync.Mutex
			var won []int
			race(racers, func(i int) {
				v, err := s.Put(s.ctx, k, fmt.Append(nil, i), time.Time{}, cond)
				if err == nil && v == lap {
					mu.Lock()
					won = append(won, i)
					mu.Unlock()
				} else if tutti.KindOf(err) != tutti.KindConflict {
					s.Errorf("version %d, %v", v, err)
				}
			})
			if len(won) != 1 {
				s.Fatalf("%d racers won", len(won))
			}
			s.want(k.PK, k.SK, fmt.Sprint(won[0]), lap)
			cond = store.IfVersion(lap)
		}
	}
}

func (s *suite) racingCounter() {
	const racers, laps = 8, 10
	k := store.Key{PK: "race", SK: "counter"}
	race(racers, func(int) {
		for done := 0; done < laps; {
			var n int
			cond := store.IfAbsent
			it, err := s.Get(s.ctx, k)
			if err == nil {
				if _, err := fmt.Sscan(string(it.Value), &n); err != nil {
					s.Error(err)
					return
				}
				cond = store.IfVersion(it.Version)
			} else if tutti.KindOf(err) != tutti.KindNotFound {
				s.Error(err)
				return
			}
			_, err = s.Put(s.ctx, k, fmt.Append(nil, n+1), time.Time{}, cond)
			switch {
			case err == nil:
				done++
			case tutti.KindOf(err) != tutti.KindConflict:
				s.Error(err)
				return
			}
		}
	})
	s.want(k.PK, k.SK, fmt.Sprint(racers*laps), racers*laps)
}

func (s *suite) racingAppends() {
	const racers, laps = 8, 15
	race(racers, func(i int) {
		for done := 0; done < laps; {
			last, err := s.LastSeq(s.ctx, "race")
			if err != nil {
				s.Error(err)
				return
			}
			err = s.Append(s.ctx, "race", last+1, fmt.Append(nil, "r", last+1))
			switch {
			case err == nil:
				done++
			case tutti.KindOf(err) != tutti.KindConflict:
				s.Error(err)
				return
			}
		}
	})
	s.wantLog("race", 0, 1, racers*laps)
}

func (s *suite) readYourWrites() {
	race(8, func(i int) {
		k := store.Key{PK: fmt.Sprint("mine", i), SK: "k"}
		for n := uint64(1); n <= 20; n++ {
			if _, err := s.Put(s.ctx, k, fmt.Append(nil, n), time.Time{}, store.Always); err != nil {
				s.Error(err)
				return
			}
			it, err := s.Get(s.ctx, k)
			if err != nil || it.Version != n || string(it.Value) != fmt.Sprint(n) {
				s.Errorf("read %q version %d, %v after writing %d", it.Value, it.Version, err, n)
				return
			}
		}
	})
}

func (s *suite) cancelled() {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	k := store.Key{PK: "p", SK: "s"}
	_, getErr := s.Get(ctx, k)
	_, putErr := s.Put(ctx, k, nil, time.Time{}, store.Always)
	_, batchErr := s.BatchGet(ctx, []store.Key{k})
	_, queryErr := s.Query(ctx, "p", "", "", 1)
	_, readErr := s.ReadLog(ctx, "l", 0, 1)
	_, lastErr := s.LastSeq(ctx, "l")
	for what, err := range map[string]error{
		"Get": getErr, "Put": putErr, "BatchGet": batchErr, "Query": queryErr, "ReadLog": readErr, "LastSeq": lastErr,
		"Delete": s.Delete(ctx, k, store.Always), "Append": s.Append(ctx, "l", 1, nil), "TrimLog": s.TrimLog(ctx, "l", 1),
	} {
		s.wantKind(err, tutti.KindUnavailable, what+" with a cancelled context")
		if !errors.Is(err, context.Canceled) {
			s.Fatalf("%s hides the cancellation: %v", what, err)
		}
	}
	_, err := s.Get(s.ctx, k)
	s.wantKind(err, tutti.KindNotFound, "Get after a cancelled Put")
	if last, err := s.LastSeq(s.ctx, "l"); last != 0 || err != nil {
		s.Fatalf("LastSeq after a cancelled Append: %d, %v", last, err)
	}
}

func (s *suite) closed() {
	s.put("p", "s", "v")
	if err := s.Close(); err != nil {
		s.Fatal(err)
	}
	_, err := s.Get(s.ctx, store.Key{PK: "p", SK: "s"})
	s.wantKind(err, tutti.KindUnavailable, "Get after Close")
	_, err = s.Put(s.ctx, store.Key{PK: "p", SK: "s"}, nil, time.Time{}, store.Always)
	s.wantKind(err, tutti.KindUnavailable, "Put after Close")
	if err := s.Close(); err != nil {
		s.Fatalf("Close again: %v", err)
	}
}
