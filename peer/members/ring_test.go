package members

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"testing"

	"tutti"
)

func servers(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("10.0.%d.%d:7003", i/250, i%250+1)
	}
	return out
}

// rendezvous is the ownership that we would have without nginx: the servers by the hash of themselves with the key.
func rendezvous(servers []string, key string, n int) []string {
	type scored struct {
		server string
		score  uint64
	}
	all := make([]scored, len(servers))
	for i, s := range servers {
		h := fnv.New64a()
		_, _ = h.Write([]byte(s))
		_, _ = h.Write([]byte(key))
		x := h.Sum64() // FNV alone is too regular for this; mixed as splitmix64 does (Steele, Lea and Flood 2014)
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		all[i] = scored{s, x ^ x>>31}
	}
	slices.SortFunc(all, func(a, b scored) int {
		if a.score > b.score {
			return -1
		}
		return 1
	})
	var out []string
	for _, s := range all[:min(n, len(all))] {
		out = append(out, s.server)
	}
	return out
}

func chunkKeys(n int) []string {
	out := make([]string, n)
	for i := range out {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], uint64(i/8))
		out[i] = SliceKey(tutti.ChunkID{Object: tutti.Ref{Version: tutti.Version(b[:])}.ID(), N: int64(i % 8)})
	}
	return out
}

type owners func(key string, n int) []string

// spread is the most that a server owns, in relation to an equal share, as first choice and as either.
func spread(own owners, keys []string, servers int) (first, either float64) {
	a, b := map[string]int{}, map[string]int{}
	for _, k := range keys {
		o := own(k, tutti.Replicas)
		a[o[0]]++
		for _, s := range o {
			b[s]++
		}
	}
	for s := range b {
		first = max(first, float64(a[s])*float64(servers)/float64(len(keys)))
		either = max(either, float64(b[s])*float64(servers)/float64(len(keys)*tutti.Replicas))
	}
	return first, either
}

// moved is the share of keys whose first owner is another, and of replicas that lie with a server that had none.
func moved(before, after owners, keys []string) (first, either float64) {
	var f, e int
	for _, k := range keys {
		o, p := before(k, tutti.Replicas), after(k, tutti.Replicas)
		if o[0] != p[0] {
			f++
		}
		for _, s := range p {
			if !slices.Contains(o, s) {
				e++
			}
		}
	}
	return float64(f) / float64(len(keys)), float64(e) / float64(len(keys)*tutti.Replicas)
}

// TestOwnership holds the ring to what an owner function is for: nearly equal shares, and little that moves when a
// server comes or goes. The figures for rendezvous hashing stand beside them with -v; see docs/decisions/ownership.md.
func TestOwnership(t *testing.T) {
	keys := chunkKeys(100_000)
	if testing.Short() {
		keys = keys[:20_000]
	}
	for _, n := range []int{2, 3, 5, 10, 50} {
		ring, more := NewRing(servers(n)), NewRing(servers(n+1))
		first, either := spread(ring.Owners, keys, n)
		f, e := moved(ring.Owners, more.Owners, keys)
		hrw := func(servers []string) owners {
			return func(key string, n int) []string { return rendezvous(servers, key, n) }
		}
		hFirst, hEither := spread(hrw(servers(n)), keys, n)
		hf, he := moved(hrw(servers(n)), hrw(servers(n+1)), keys)
		t.Logf("%2d servers: most owned, in shares %.3f first %.3f either; one more server moves %.4f first %.4f either (1/%d = %.4f)   rendezvous %.3f %.3f; %.4f %.4f",
			n, first, either, f, e, n+1, 1/float64(n+1), hFirst, hEither, hf, he)
		if first > 1.35 || either > 1.3 {
			t.Errorf("%d servers: one owns %.2f shares as first choice, %.2f in all", n, first, either)
		}
		if limit := 1.35 / float64(n+1); f > limit || e > limit {
			t.Errorf("a server more than %d moves %.3f of the first choices and %.3f of the replicas", n, f, e)
		}
	}
}

func TestRingEdges(t *testing.T) {
	var none Ring
	if o := none.Owners("x", 2); len(o) != 0 {
		t.Errorf("nobody owns with %v", o)
	}
	one := NewRing([]string{"a:1", "a:1"})
	if o := one.Owners("x", 2); !slices.Equal(o, []string{"a:1"}) || one.Len() != 1 {
		t.Errorf("one owns with %v", o)
	}
	if o := one.Owners("x", 0); len(o) != 0 {
		t.Errorf("none were asked for: %v", o)
	}
	ring := NewRing(servers(5))
	for _, k := range chunkKeys(1000) {
		all := ring.Owners(k, 99)
		if len(all) != 5 || !slices.Equal(ring.Owners(k, 2), all[:2]) {
			t.Fatalf("%q: %v, then %v", k, ring.Owners(k, 2), all)
		}
		// When the first goes, the second is the first.
		rest := slices.DeleteFunc(servers(5), func(s string) bool { return s == all[0] })
		if o := NewRing(rest).Owners(k, 1); o[0] != all[1] {
			t.Fatalf("%q: %s follows %s, and %s when that has gone", k, all[1], all[0], o[0])
		}
	}
	if got := SliceKey(tutti.ChunkID{Object: "x", N: 2}); got != "xbytes=2097152-3145727" {
		t.Error(got)
	}
	for address, want := range map[string][2]string{"a:80": {"a", "80"}, "[fd00::1]:80": {"[fd00::1]", "80"}, "a": {"a", ""}, "a:b": {"a:b", ""}, "a:": {"a", ""}} {
		if host, port := splitServer(address); host != want[0] || port != want[1] {
			t.Errorf("%s: %q and %q", address, host, port)
		}
	}
}

func BenchmarkOwners(b *testing.B) {
	for _, n := range []int{3, 100} {
		ring := NewRing(servers(n))
		keys := chunkKeys(1024)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				ring.Owners(keys[i%len(keys)], tutti.Replicas)
			}
		})
	}
}
