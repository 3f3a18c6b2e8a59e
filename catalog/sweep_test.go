package catalog

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
	"tutti/store/sqlite"
	"tutti/store/storetest"
)

// The tests of this file have two nodes whose clocks are more than sweepGrace apart, so that one takes what the other is
// writing for what somebody left behind. Suspending the writer for that long would be the same.

var (
	rightTime = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	longAgo   = rightTime.Add(-sweepGrace - time.Minute)
)

func openSwept(t *testing.T) store.Store {
	t.Helper()
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "tutti.db"),
		sqlite.Options{Clock: clock.NewFake(rightTime), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

// journalOf opens a person's journal as a node with that clock does, and returns it with a way to read it.
func journalOf(st store.Store, now time.Time) (j *journal, read func(context.Context) ([]string, error)) {
	j = &journal{store: st, clock: clock.NewFake(now), log: "u#x", pk: "u#x", shared: true}
	return j, func(ctx context.Context) (deeds []string, err error) {
		_, err = j.load(ctx, func() { deeds = nil }, nil,
			func(part []byte) error {
				deeds = append(deeds, strings.Fields(string(part))...)
				return nil
			},
			func(r store.Record) error {
				deeds = append(deeds, string(r.Value))
				return nil
			})
		return deeds, err
	}
}

// upTo is a snapshot of the deeds 1 to n, a part for each two. before is called before each part.
func upTo(n int, before func()) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for i := 1; i <= n; i += 2 {
			before()
			if !yield(fmt.Appendf(nil, "%d %d", i, i+1), nil) {
				return
			}
		}
		before() // between the last part and the manifest
	}
}

// TestSweptWhileWriting sweeps at each moment of a snapshot being written. Whether the snapshot counts in the end or not,
// nothing is lost, and nothing stays behind.
func TestSweptWhileWriting(t *testing.T) {
	for _, earlier := range []int{0, 4} { // records in the snapshot before; 0: there is none
		for moment := 1; moment <= 6; moment++ {
			t.Run(fmt.Sprintf("%d records before, moment %d", earlier, moment), func(t *testing.T) {
				ctx := t.Context()
				st := openSwept(t)
				behind, _ := journalOf(st, longAgo)
				right, read := journalOf(st, rightTime)
				var want []string
				for i := range uint64(10) {
					if err := behind.append(ctx, i, fmt.Append(nil, i+1)); err != nil {
						t.Fatal(err)
					}
					want = append(want, fmt.Sprint(i+1))
				}
				if earlier > 0 {
					if err := behind.save(ctx, uint64(earlier), upTo(earlier, func() {})); err != nil {
						t.Fatal(err)
					}
				}
				at := 0
				err := behind.save(ctx, 10, upTo(10, func() {
					if at++; at != moment {
						return
					}
					if err := right.sweep(ctx, sweepGrace); err != nil {
						t.Error(err)
					}
				}))
				if !tutti.IsKind(err, tutti.KindConflict) {
					t.Errorf("whoever was swept is told %v", err)
				}
				check := func(generations int) {
					t.Helper()
					if got, err := read(ctx); err != nil || !slices.Equal(got, want) {
						t.Fatalf("%v, %v", got, err)
					}
					page, err := st.Query(ctx, "u#x", "snapshot-", "", store.MaxPage)
					if err != nil {
						t.Fatal(err)
					}
					left := map[string]bool{}
					for _, item := range page.Items {
						left[strings.Split(item.SK, "#")[1]] = true
					}
					if len(left) != generations {
						t.Errorf("%d generations are kept instead of %d", len(left), generations)
					}
				}
				check(min(earlier, 1))
				if err := behind.save(ctx, 10, upTo(10, func() {})); err != nil { // the next attempt
					t.Fatal(err)
				}
				check(1)
			})
		}
	}
}

// TestSweepTooLate: a sweep that has seen a snapshot unfinished, and gets on when that counts, leaves it alone.
func TestSweepTooLate(t *testing.T) {
	ctx := t.Context()
	st := openSwept(t)
	behind, read := journalOf(st, longAgo)
	for i := range uint64(10) {
		if err := behind.append(ctx, i, fmt.Append(nil, i+1)); err != nil {
			t.Fatal(err)
		}
	}
	seen, finished := make(chan struct{}), make(chan struct{})
	right, _ := journalOf(storetest.NewFaulty(st, func(c storetest.Call) storetest.Fault {
		if c.Method != "Put" && c.Method != "Delete" || c.N > 1 {
			return storetest.Fault{}
		}
		return storetest.Fault{Before: func() {
			close(seen)
			<-finished
		}}
	}), rightTime)
	swept := make(chan error, 1)
	var at int
	err := behind.save(ctx, 10, upTo(10, func() {
		if at++; at != 6 {
			return
		}
		go func() { swept <- right.sweep(ctx, sweepGrace) }()
		<-seen
	}))
	close(finished)
	if err := <-swept; err != nil {
		t.Error(err)
	}
	if err != nil {
		t.Errorf("whoever was first is told %v", err)
	}
	if got, err := read(ctx); err != nil || len(got) != 10 {
		t.Errorf("%v, %v", got, err)
	}
}

// TestSweptLargeItem sweeps at each moment of a large item being written: what is there in the end is one or the other as
// a whole.
func TestSweptLargeItem(t *testing.T) {
	k := store.Key{PK: "shelf", SK: "thing"}
	random := func(seed uint64) []byte { // which does not compress
		var key [32]byte
		key[0] = byte(seed)
		b := make([]byte, 3*store.MaxValue)
		if _, err := io.ReadFull(rand.NewChaCha8(key), b); err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, begins := range []string{"new", "replaced"} {
		for moment := 1; moment <= 5; moment++ { // before each of the parts, and before the item itself
			t.Run(fmt.Sprintf("%s, moment %d", begins, moment), func(t *testing.T) {
				ctx := t.Context()
				st := openSwept(t)
				node := func(s store.Store, now time.Time) *Catalog {
					c, err := New(ctx, Config{
						Store: s, Origin: nowhere{}, Clock: clock.NewFake(now), Logger: slog.New(slog.DiscardHandler), SoleWriter: true,
					})
					if err != nil {
						t.Fatal(err)
					}
					return c
				}
				right := node(st, rightTime)
				puts, here := 0, false
				behind := node(storetest.NewFaulty(st, func(c storetest.Call) storetest.Fault {
					if c.Method != "Put" || !here {
						return storetest.Fault{}
					}
					if puts++; puts != moment {
						return storetest.Fault{}
					}
					return storetest.Fault{Before: func() {
						if _, err := right.putLarge(ctx, k, random(2), store.Always); err != nil {
							t.Error(err)
						}
					}}
				}), longAgo)
				if begins == "replaced" {
					if _, err := right.putLarge(ctx, k, random(1), store.Always); err != nil {
						t.Fatal(err)
					}
				}
				here = true
				version, err := behind.putLarge(ctx, k, random(3), store.Always)
				if err != nil {
					t.Fatal(err)
				}
				item, err := st.Get(ctx, k)
				if err != nil {
					t.Fatal(err)
				}
				got, _, err := right.openLarge(ctx, item)
				if err != nil || !slices.Equal(got, random(3)) {
					t.Fatalf("%d bytes, %v", len(got), err)
				}
				if item.Version != version {
					t.Errorf("the item's version is %d; its writer was told %d", item.Version, version)
				}
				page, err := st.Query(ctx, "part#"+k.PK, "", "", store.MaxPage)
				if err != nil {
					t.Fatal(err)
				}
				if len(page.Items) != 4 {
					t.Errorf("%d parts are kept instead of 4", len(page.Items))
				}
			})
		}
	}
}

// nowhere is an origin without libraries.
type nowhere struct{ tutti.Origin }

func (nowhere) Libraries() []tutti.Library { return nil }
