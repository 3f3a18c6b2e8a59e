package traffic

import (
	"bufio"
	"cmp"
	"hash/fnv"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"tutti"
)

// Recorded is one play of a record: somebody began a track at a moment.
type Recorded struct {
	At       int64 // seconds since 1970
	Listener string
	Track    string
}

// maxPlays and maxLine bound what is read of a record.
const (
	maxPlays = 50_000_000
	maxLine  = 64 << 10
)

// ReadPlays reads a record of plays: lines of seconds since 1970, listener and track, separated by tabs. Empty lines and
// those that begin with # are skipped. Anything else is KindInvalid, with its line. The plays come back in the order of
// their time. fetch.py in this folder makes such a file from published ones.
func ReadPlays(r io.Reader) ([]Recorded, error) {
	const op = "traffic.ReadPlays"
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), maxLine)
	var out []Recorded
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) != 3 || fields[1] == "" || fields[2] == "" {
			return nil, tutti.Errorf(tutti.KindInvalid, op, "line %d: want seconds, listener and track, separated by tabs", n)
		}
		at, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil || at < 0 || at > math.MaxInt64/int64(time.Second) {
			return nil, tutti.Errorf(tutti.KindInvalid, op, "line %d: %q is no time in seconds since 1970", n, fields[0])
		}
		if len(out) == maxPlays {
			return nil, tutti.Errorf(tutti.KindInvalid, op, "more than %d plays", maxPlays)
		}
		out = append(out, Recorded{at, fields[1], fields[2]})
	}
	if err := lines.Err(); err != nil {
		return nil, tutti.Wrap(tutti.KindInvalid, op, err)
	}
	slices.SortStableFunc(out, func(a, b Recorded) int { return cmp.Compare(a.At, b.At) })
	return out, nil
}

// FromPlays makes the catalogue that a record speaks of and the requests that its plays would make: each play fetches
// the track's chunks at the pace at which it is heard, until the listener's next play begins. A record does not say how
// long a track is, so that follows from a hash of its name, distributed as in NewCatalogue. Every track is an album of
// its own.
func FromPlays(plays []Recorded, bitrate int) (*Catalogue, []Request) {
	c := &Catalogue{base: []int32{0}}
	tracks, listeners := map[string]int32{}, map[string]int32{}
	type play struct {
		at              time.Duration
		listener, track int32
	}
	all := make([]play, len(plays))
	for i, p := range plays {
		t, ok := tracks[p.Track]
		if !ok {
			t = int32(len(tracks))
			tracks[p.Track] = t
			c.first = append(c.first, t)
			c.add(t, lengthOf(normalOf(p.Track)), bitrate)
		}
		l, ok := listeners[p.Listener]
		if !ok {
			l = int32(len(listeners))
			listeners[p.Listener] = l
		}
		all[i] = play{time.Duration(p.At-plays[0].At) * time.Second, l, t}
	}
	c.first = append(c.first, int32(len(tracks)))
	var out []Request
	until := make([]time.Duration, len(listeners)) // each listener's next play, from behind
	for i := range until {
		until[i] = math.MaxInt64
	}
	for _, p := range slices.Backward(all) {
		each := pace(c, p.track)
		for n := range c.ChunksOf(p.track) {
			at := p.at + time.Duration(n)*each
			if n > 0 && at >= until[p.listener] {
				break
			}
			out = append(out, Request{At: at, Listener: p.listener, Track: p.track, Chunk: n, Start: n == 0})
		}
		until[p.listener] = p.at
	}
	slices.SortStableFunc(out, func(a, b Request) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Listener, b.Listener), cmp.Compare(a.Chunk, b.Chunk))
	})
	return c, out
}

// normalOf turns a name into a number that is distributed as a standard normal over names (Box and Muller 1958).
func normalOf(name string) float64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, name) // a hash takes everything
	sum := h.Sum64()
	u, v := (float64(sum>>32)+1)/(1<<32+1), float64(uint32(sum))/(1<<32)
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}
