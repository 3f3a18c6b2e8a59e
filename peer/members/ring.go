package members

import (
	"cmp"
	"hash/crc32"
	"slices"
	"strconv"

	"tutti"
)

// pointsPerServer is how many points of the ring a server has: nginx gives 160 to each unit of weight, and all our
// servers have weight 1.
const pointsPerServer = 160

// Ring is nginx's consistent hashing (`hash KEY consistent`), so that whoever decides in Go where a chunk lies comes to
// the same answer as the nginx that asks for it. It is the ketama of Cache::Memcached::Fast: a server's points are
// crc32(HOST \0 PORT PREVIOUS), each from the one before, beginning with zero; a key belongs to the first point at or
// after its own crc32, and when that server fails, to the next point of another. The facts are from
// ngx_http_upstream_hash_module.c of nginx 1.22.1; a test asks a real one.
//
// A Ring is immutable. The zero value has no servers.
type Ring struct {
	servers []string
	points  []point // by hash; of equal hashes only the first server's is kept, as nginx does
}

type point struct {
	hash   uint32
	server int32 // index into servers
}

// NewRing makes the ring of servers as they stand in nginx's `server` lines, in the same order (which matters only where
// two points fall on one value). Addresses are HOST:PORT; a repeated one counts once.
func NewRing(servers []string) *Ring {
	r := &Ring{servers: make([]string, 0, len(servers)), points: make([]point, 0, len(servers)*pointsPerServer)}
	for _, s := range servers {
		if !slices.Contains(r.servers, s) {
			r.servers = append(r.servers, s)
		}
	}
	for i, s := range r.servers {
		host, port := splitServer(s)
		base := crc32.ChecksumIEEE([]byte(host + "\x00" + port))
		var previous uint32
		for range pointsPerServer {
			// nginx digests the previous point's bytes in little-endian order, whatever the machine's.
			previous = crc32.Update(base, crc32.IEEETable, []byte{byte(previous), byte(previous >> 8), byte(previous >> 16), byte(previous >> 24)})
			r.points = append(r.points, point{previous, int32(i)})
		}
	}
	slices.SortStableFunc(r.points, func(a, b point) int { return cmp.Compare(a.hash, b.hash) })
	r.points = slices.CompactFunc(r.points, func(a, b point) bool { return a.hash == b.hash })
	return r
}

// splitServer splits off the port as nginx does: digits after the last colon.
func splitServer(s string) (host, port string) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == ':' {
			return s[:i], s[i+1:]
		}
		if s[i] < '0' || s[i] > '9' {
			break
		}
	}
	return s, ""
}

// Len is how many servers there are.
func (r *Ring) Len() int { return len(r.servers) }

// Owners returns the first n distinct servers for a key, or as many as there are: the one that nginx asks, and those
// that it would ask next if the ones before failed.
func (r *Ring) Owners(key string, n int) []string {
	var indices [4]int32
	var bytes [96]byte
	out := make([]string, 0, max(0, min(n, len(r.servers))))
	for _, i := range r.owners(indices[:0], append(bytes[:0], key...), n) {
		out = append(out, r.servers[i])
	}
	return out
}

// owners appends to found the indices of the first n distinct servers for a key.
func (r *Ring) owners(found []int32, key []byte, n int) []int32 {
	n = min(n, len(r.servers))
	if n <= 0 {
		return found
	}
	hash := checksum(key)
	at, _ := slices.BinarySearchFunc(r.points, hash, func(p point, h uint32) int { return cmp.Compare(p.hash, h) })
	for range r.points {
		if at == len(r.points) {
			at = 0
		}
		if s := r.points[at].server; !slices.Contains(found, s) {
			if found = append(found, s); len(found) == n {
				break
			}
		}
		at++
	}
	return found
}

// checksum is crc32.ChecksumIEEE, which would have every key escape to the heap: it is called through a variable.
func checksum(key []byte) uint32 {
	c := ^uint32(0)
	for _, b := range key {
		c = crc32.IEEETable[byte(c)^b] ^ c>>8
	}
	return ^c
}

// SliceKey is the key under which nginx looks for the owner of a chunk: the object's id followed by the range that its
// slice module asks for, "bytes=FIRST-LAST", which covers a whole chunk even where the object ends before.
func SliceKey(c tutti.ChunkID) string {
	b := make([]byte, 0, 96)
	return string(appendSliceKey(b, c))
}

func appendSliceKey(b []byte, c tutti.ChunkID) []byte {
	b = append(b, c.Object...)
	b = append(b, "bytes="...)
	b = strconv.AppendInt(b, c.N*tutti.ChunkSize, 10)
	b = append(b, '-')
	return strconv.AppendInt(b, (c.N+1)*tutti.ChunkSize-1, 10)
}
