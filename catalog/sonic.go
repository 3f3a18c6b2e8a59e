package catalog

import (
	"cmp"
	"context"
	"math"
	"slices"

	"tutti"
	"tutti/audio/analyse"
)

// vector is an embedding, ready to be compared with rows.
type vector struct {
	v      [analyse.Dimensions]int32 // each in a byte
	square float64                   // of its length; 0: of silence, which is like nothing
}

func vectorOf(row []byte) vector {
	var x vector
	for i, b := range analyse.RowEmbedding(row) {
		x.v[i] = int32(int8(b))
	}
	x.square = squareOf(row)
	return x
}

// bytes is the embedding as rows have it.
func (x *vector) bytes() []byte {
	b := make([]byte, len(x.v))
	for i, v := range x.v {
		b[i] = byte(v)
	}
	return b
}

func squareOf(row []byte) float64 {
	l := analyse.RowLength(row)
	return l * l
}

// product is the inner product of an embedding and a row's.
func (x *vector) product(embedding []byte) int32 {
	const lane = 8 // as arrays of this length, so that no index is checked: most of the time of a search is spent here
	b := (*[analyse.Dimensions]byte)(embedding)
	var s, t, u, v int32
	for i := 0; i < analyse.Dimensions; i += lane {
		p, q := (*[lane]int32)(x.v[i:i+lane]), (*[lane]byte)(b[i:i+lane])
		s += p[0]*int32(int8(q[0])) + p[4]*int32(int8(q[4]))
		t += p[1]*int32(int8(q[1])) + p[5]*int32(int8(q[5]))
		u += p[2]*int32(int8(q[2])) + p[6]*int32(int8(q[6]))
		v += p[3]*int32(int8(q[3])) + p[7]*int32(int8(q[7]))
	}
	return s + t + u + v
}

// distance is the square of the distance from a row; NaN where one of both is of silence.
func (x *vector) distance(row []byte) float64 {
	y := squareOf(row)
	if x.square == 0 || y == 0 {
		return math.NaN()
	}
	return max(0, x.square+y-2*float64(x.product(analyse.RowEmbedding(row))))
}

// similarity is a distance as OpenSubsonic's sonicMatch has it: 1 is the same, 0 has nothing in common, and -1 says that it
// is not known. Music that has nothing to do with one another is at 0.37 or so.
func similarity(distance float64) float64 {
	if math.IsNaN(distance) {
		return -1
	}
	return math.Round(math.Exp(-distance/analyse.Spread)*1e4) / 1e4
}

// match is a track that was compared.
type match struct {
	slot     uint32
	distance float64
}

// nearest returns the n tracks that the viewer sees, that are not missing and that are most like x, the most alike first,
// without those that skip says. All tracks are compared: 100,000 take some milliseconds, and no index is as exact.
func (w *view) nearest(x *vector, n int, skip func(slot uint32) bool) []match {
	if n <= 0 {
		return nil
	}
	best := nearby{n: n}
	for lot, rows := range w.heard.lots {
		for i := 0; i < len(rows); i += analyse.RowSize {
			row := rows[i : i+analyse.RowSize : i+analyse.RowSize]
			if row[0] == 0 {
				continue
			}
			d := x.distance(row)
			if !best.wants(d) {
				continue
			}
			slot := uint32(lot*rowLot + i/analyse.RowSize)
			if w.missing[slot] || !w.seesTrack(slot) || skip != nil && skip(slot) {
				continue
			}
			best.add(match{slot, d})
		}
	}
	return best.list
}

// between returns, for each of n places that lie evenly between two embeddings, the n tracks that are nearest. All tracks are
// gone through once: the distance from a place between follows from those from both ends (Stewart's theorem).
func (w *view) between(from, to *vector, n int, skip func(slot uint32) bool) [][]match {
	places := make([]nearby, n)
	for i := range places {
		places[i].n = n // so that each finds one that is on no other place
	}
	length := max(0, from.square+to.square-2*float64(from.product(to.bytes())))
	for lot, rows := range w.heard.lots {
		for i := 0; i < len(rows); i += analyse.RowSize {
			row := rows[i : i+analyse.RowSize : i+analyse.RowSize]
			if row[0] == 0 {
				continue
			}
			a, b := from.distance(row), to.distance(row)
			slot := uint32(lot*rowLot + i/analyse.RowSize)
			checked := false
			for k := range places {
				share := float64(k+1) / float64(n+1)
				d := (1-share)*a + share*b - share*(1-share)*length
				if !places[k].wants(d) {
					continue
				}
				if !checked && (w.missing[slot] || !w.seesTrack(slot) || skip(slot)) {
					break
				}
				checked = true
				places[k].add(match{slot, d})
			}
		}
	}
	out := make([][]match, n)
	for i := range places {
		out[i] = places[i].list
	}
	return out
}

// nearby is the n nearest of all that were added, the nearest first.
type nearby struct {
	n    int
	list []match
}

// wants reports whether something at that distance would be among them; nothing at NaN is.
func (b *nearby) wants(d float64) bool {
	if len(b.list) < b.n {
		return !math.IsNaN(d)
	}
	return d < b.list[b.n-1].distance
}

func (b *nearby) add(m match) {
	at, _ := slices.BinarySearchFunc(b.list, m.distance, func(m match, d float64) int { return cmp.Compare(m.distance, d) })
	for at < len(b.list) && b.list[at].distance == m.distance {
		at++
	}
	if b.list = slices.Insert(b.list, at, m); len(b.list) > b.n {
		b.list = b.list[:b.n]
	}
}

// blend is the middle of several embeddings.
type blend struct {
	sum [analyse.Dimensions]float64
	n   int
}

func (b *blend) add(row []byte) {
	if row == nil {
		return
	}
	x := vectorOf(row)
	if x.square == 0 {
		return
	}
	for i, v := range x.v {
		b.sum[i] += float64(v)
	}
	b.n++
}

// embedding is the middle; ok is false where there was nothing.
func (b *blend) embedding() (x vector, ok bool) {
	if b.n == 0 {
		return x, false
	}
	for i, v := range b.sum {
		x.v[i] = int32(math.Round(v / float64(b.n)))
		x.square += float64(x.v[i]) * float64(x.v[i])
	}
	return x, x.square > 0
}

// SonicSimilar returns the tracks that sound most like one.
func (c *Catalog) SonicSimilar(ctx context.Context, v tutti.Viewer, track tutti.ID, limit int) ([]tutti.SonicMatch, error) {
	w, err := c.look(ctx, v, "")
	if err != nil {
		return nil, err
	}
	defer w.done()
	self, ok := w.trackSlot(track)
	if !ok {
		return nil, notFound("catalog.SonicSimilar", track)
	}
	row := w.heard.at(self)
	if row == nil {
		return nil, nil
	}
	x := vectorOf(row)
	return w.sonicMatches(w.nearest(&x, min(limit, maxNearest), func(s uint32) bool { return s == self })), nil
}

// maxNearest and maxPath bound what one request asks for.
const (
	maxNearest = 500
	maxPath    = 100
)

func (w *view) sonicMatches(list []match) []tutti.SonicMatch {
	var r record
	out := make([]tutti.SonicMatch, len(list))
	for i, m := range list {
		out[i] = tutti.SonicMatch{Track: w.trackAt(m.slot, &r), Similarity: similarity(m.distance)}
	}
	return out
}

// SonicPath returns tracks that lead from one to another. The places between the two lie evenly on the line from the one's
// embedding to the other's; at each is the track that is nearest, of those that are not on the path yet.
func (c *Catalog) SonicPath(ctx context.Context, v tutti.Viewer, from, to tutti.ID, limit int) ([]tutti.SonicMatch, error) {
	const op = "catalog.SonicPath"
	w, err := c.look(ctx, v, "")
	if err != nil {
		return nil, err
	}
	defer w.done()
	first, ok := w.trackSlot(from)
	if !ok {
		return nil, notFound(op, from)
	}
	last, ok := w.trackSlot(to)
	if !ok {
		return nil, notFound(op, to)
	}
	limit = min(limit, maxPath)
	path := []match{{first, 0}}
	if first == last || limit < 2 {
		return w.sonicMatches(path), nil
	}
	a, b := w.heard.at(first), w.heard.at(last)
	if a == nil || b == nil {
		return w.sonicMatches(append(path, match{last, math.NaN()})), nil
	}
	begin, end := vectorOf(a), vectorOf(b)
	if begin.square > 0 && end.square > 0 {
		on := map[uint32]bool{}
		for _, near := range w.between(&begin, &end, limit-2, func(s uint32) bool { return s == first || s == last }) {
			for _, m := range near {
				if !on[m.slot] {
					on[m.slot] = true
					path = append(path, match{m.slot, begin.distance(w.heard.at(m.slot))})
					break
				}
			}
		}
	}
	return w.sonicMatches(append(path, match{last, begin.distance(b)})), nil
}
