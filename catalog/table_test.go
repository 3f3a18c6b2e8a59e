package catalog

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestSlotTable: a table holds what a plain list would, whatever comes and goes, also where keys and homes collide.
func TestSlotTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var keys []uint64 // by slot
		there := map[uint32]bool{}
		table := slotTable{keyOf: func(s uint32) uint64 { return keys[s] }}
		if rapid.Bool().Draw(t, "reserved") {
			table.reserve(rapid.IntRange(0, 5000).Draw(t, "room"))
		}
		key := rapid.OneOf(rapid.Uint64Range(0, 3), rapid.Uint64(), rapid.Map(rapid.Uint64Range(0, 40), func(v uint64) uint64 { return v << 40 }))
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			if n := len(keys); n > 0 && rapid.IntRange(0, 2).Draw(t, "what") == 0 {
				s := uint32(rapid.IntRange(0, n-1).Draw(t, "slot"))
				table.remove(keys[s], s)
				delete(there, s)
				continue
			}
			keys = append(keys, key.Draw(t, "key"))
			there[uint32(len(keys)-1)] = true
			table.add(keys[len(keys)-1], uint32(len(keys)-1))
		}
		if table.n != len(there) {
			t.Fatalf("the table counts %d of %d", table.n, len(there))
		}
		for _, k := range keys {
			var want, got []uint32
			for s, other := range keys {
				if other == k && there[uint32(s)] {
					want = append(want, uint32(s))
				}
			}
			table.each(k, func(s uint32) bool { got = append(got, s); return true })
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Fatalf("key %d has %v, not %v", k, got, want)
			}
			if s, ok := table.find(k); ok != (len(want) > 0) || (ok && !slices.Contains(want, s)) {
				t.Fatalf("key %d is found at %d, %v", k, s, ok)
			}
		}
	})
}
