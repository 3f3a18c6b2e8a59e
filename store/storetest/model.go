package storetest

import (
	"context"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"tutti"
	"tutti/clock"
	"tutti/store"
)

// model is what a store should do, as maps.
type model struct {
	items map[store.Key]store.Item
	logs  map[string]*modelLog
}

type modelLog struct {
	first   uint64
	records []string // from first on
}

func (l *modelLog) last() uint64 { return l.first + uint64(len(l.records)) - 1 }

// runModel does random things to a store and to a model, and compares. Its keys begin with space, so that rounds do
// not meet.
func runModel(t *rapid.T, s store.Store, c *clock.Fake, space string) {
	ctx := context.Background()
	m := model{items: map[store.Key]store.Item{}, logs: map[string]*modelLog{}}
	pks := rapid.SampledFrom([]string{space + "p", space + "q"})
	sks := rapid.SampledFrom([]string{"a", "ab", "abc", "b", "é", "\U0010ffff", "\ue000"})
	logs := rapid.SampledFrom([]string{space + "l", space + "m"})
	values := rapid.StringN(0, 8, 16)
	key := func(t *rapid.T) store.Key { return store.Key{PK: pks.Draw(t, "pk"), SK: sks.Draw(t, "sk")} }
	live := func(k store.Key) (store.Item, bool) {
		it, ok := m.items[k]
		return it, ok && (it.Expires.IsZero() || it.Expires.After(c.Now()))
	}
	cond := func(t *rapid.T, k store.Key) (store.Condition, bool) {
		it, ok := live(k)
		switch rapid.IntRange(0, 3).Draw(t, "condition") {
		case 0:
			return store.IfAbsent, !ok
		case 1:
			v := rapid.Uint64Range(1, 4).Draw(t, "version")
			return store.IfVersion(v), ok && it.Version == v
		}
		return store.Always, true
	}
	wantKind := func(t *rapid.T, err error, ok bool, kind tutti.Kind) {
		if ok && err != nil || !ok && (err == nil || tutti.KindOf(err) != kind) {
			t.Fatalf("error %v, want none: %v, else %v", err, ok, kind)
		}
	}
	same := func(a, b store.Item) bool {
		return a.Key == b.Key && string(a.Value) == string(b.Value) && a.Version == b.Version && a.Expires.Equal(b.Expires)
	}
	t.Repeat(map[string]func(*rapid.T){
		"put": func(t *rapid.T) {
			k, v := key(t), values.Draw(t, "value")
			var expires time.Time
			if s := rapid.IntRange(-2, 10).Draw(t, "seconds to live"); s >= 0 {
				expires = c.Now().Add(time.Duration(s) * time.Second)
			}
			cond, ok := cond(t, k)
			version, err := s.Put(ctx, k, []byte(v), expires, cond)
			wantKind(t, err, ok, tutti.KindConflict)
			if !ok {
				return
			}
			var want uint64 = 1
			if old, alive := live(k); alive {
				want = old.Version + 1
			}
			if version != want {
				t.Fatalf("version %d, want %d", version, want)
			}
			m.items[k] = store.Item{Key: k, Value: []byte(v), Version: version, Expires: expires}
		},
		"delete": func(t *rapid.T) {
			k := key(t)
			cond, ok := cond(t, k)
			wantKind(t, s.Delete(ctx, k, cond), ok, tutti.KindConflict)
			if ok {
				delete(m.items, k)
			}
		},
		"get": func(t *rapid.T) {
			k := key(t)
			want, ok := live(k)
			got, err := s.Get(ctx, k)
			wantKind(t, err, ok, tutti.KindNotFound)
			if ok && !same(got, want) {
				t.Fatalf("got %+v, want %+v", got, want)
			}
		},
		"query": func(t *rapid.T) {
			pk, prefix := pks.Draw(t, "pk"), rapid.SampledFrom([]string{"", "a", "ab", "é", "z"}).Draw(t, "prefix")
			limit := rapid.IntRange(1, 4).Draw(t, "limit")
			var want []store.Item
			for k := range m.items {
				if it, ok := live(k); ok && k.PK == pk && strings.HasPrefix(k.SK, prefix) {
					want = append(want, it)
				}
			}
			slices.SortFunc(want, func(a, b store.Item) int { return strings.Compare(a.SK, b.SK) })
			var got []store.Item
			for after := ""; ; {
				p, err := s.Query(ctx, pk, prefix, after, limit)
				if err != nil || len(p.Items) > limit {
					t.Fatalf("%d items, %v", len(p.Items), err)
				}
				got = append(got, p.Items...)
				if after = p.Next; after == "" {
					break
				}
			}
			if !slices.EqualFunc(got, want, same) {
				t.Fatalf("got %+v, want %+v", got, want)
			}
		},
		"append": func(t *rapid.T) {
			name, v := logs.Draw(t, "log"), values.Draw(t, "value")
			l := m.logs[name]
			if l == nil {
				l = &modelLog{first: 1}
				m.logs[name] = l
			}
			seq := max(int64(l.last())+rapid.Int64Range(-1, 2).Draw(t, "step"), 0)
			err := s.Append(ctx, name, uint64(seq), []byte(v))
			switch {
			case seq == 0 || uint64(seq) > l.last()+1:
				wantKind(t, err, false, tutti.KindInvalid)
			case uint64(seq) <= l.last():
				wantKind(t, err, false, tutti.KindConflict)
			default:
				wantKind(t, err, true, 0)
				l.records = append(l.records, v)
			}
		},
		"trim": func(t *rapid.T) {
			name, upTo := logs.Draw(t, "log"), rapid.Uint64Range(0, 12).Draw(t, "up to")
			if err := s.TrimLog(ctx, name, upTo); err != nil {
				t.Fatal(err)
			}
			if l := m.logs[name]; l != nil {
				for len(l.records) > 0 && l.first <= upTo {
					l.first, l.records = l.first+1, l.records[1:]
				}
			}
		},
		"read": func(t *rapid.T) {
			name, since := logs.Draw(t, "log"), rapid.Uint64Range(0, 12).Draw(t, "since")
			l := m.logs[name]
			if l == nil {
				l = &modelLog{first: 1}
			}
			last, err := s.LastSeq(ctx, name)
			if err != nil || last != l.last() {
				t.Fatalf("LastSeq %d, %v, want %d", last, err, l.last())
			}
			next := max(l.first, since+1)
			for {
				r, err := s.ReadLog(ctx, name, since, 3)
				if err != nil {
					t.Fatal(err)
				}
				if len(r) == 0 {
					break
				}
				for _, rec := range r {
					if rec.Seq != next || string(rec.Value) != l.records[next-l.first] {
						t.Fatalf("record %d is %q, want %d", rec.Seq, rec.Value, next)
					}
					next++
				}
				since = r[len(r)-1].Seq
			}
			if next != max(l.last()+1, next) {
				t.Fatalf("the log ends before %d, want %d", next, l.last())
			}
		},
		"wait": func(t *rapid.T) {
			c.Advance(time.Duration(rapid.IntRange(1, 5).Draw(t, "seconds")) * time.Second)
		},
	})
}
