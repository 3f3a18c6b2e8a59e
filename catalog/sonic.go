package catalog

import (
	"cmp"
	"context"
	"math"
	"slices"

	"tutti"
	"tutti/audio/analyse"
)

// vector is an embedding with its length, ready to be compared with rows.
type vector struct {
	v      [analyse.Dimensions]int8
	length float64
}

func vectorOf(row []byte) vector {
	var x vector
	for i, b := range analyse.RowEmbedding(row) {
		x.v[i] = int8(b)
	}
	x.length = math.Sqrt(float64(product(&x.v, analyse.RowEmbedding(row))))
	return x
}

// product is the inner product of two embeddings.
func product(a *[analyse.Dimensions]int8, b []byte) int32 {
	c := (*[analyse.Dimensions]byte)(b)
	var s, t, u, v int32
	for i := 0; i < analyse.Dimensions; i += 4 {
		s += int32(a[i]) * int32(int8(c[i]))
		t += int32(a[i+1]) * int32(int8(c[i+1]))
		u += int32(a[i+2]) * int32(int8(c[i+2]))
		v += int32(a[i+3]) * int32(int8(c[i+3]))
	}
	return s + t + u + v
}

// cosine is how alike a row is, from -1 to 1.
func (x *vector) cosine(row []byte) float64 {
	e := analyse.RowEmbedding(row)
	return x.over(product(&x.v, e), analyse.RowLength(row))
}

func (x *vector) over(product int32, length float64) float64 {
	if length == 0 || x.length == 0 {
		return 0
	}
	return min(max(float64(product)/(x.length*length), -1), 1)
}

// similarity is a cosine as OpenSubsonic's sonicMatch has it: 1 is the same, 0 the opposite, and -1 that it is not known.
func similarity(cosine float64) float64 {
	if math.IsNaN(cosine) {
		return -1
	}
	return math.Round((1+cosine)/2*1e4) / 1e4
}

// match is a track that was compared.
type match struct {
	slot   uint32
	cosine float64
}

// nearest returns the n tracks that the viewer sees, that are not missing and that are most like x, the most alike first,
// without those that skip says. All tracks are compared: 100,000 take some milliseconds, and no index is as exact.
func (w *view) nearest(x *vector, n int, skip func(slot uint32) bool) []match {
	if n <= 0 {
		return nil
	}
	best := make([]match, 0, n+1)
	least := math.Inf(-1)
	for lot, rows := range w.heard.lots {
		for i := 0; i < len(rows); i += analyse.RowSize {
			row := rows[i : i+analyse.RowSize : i+analyse.RowSize]
			if row[0] == 0 {
				continue
			}
			c := x.over(product(&x.v, analyse.RowEmbedding(row)), analyse.RowLength(row))
			if c <= least {
				continue
			}
			slot := uint32(lot*rowLot + i/analyse.RowSize)
			if w.missing[slot] || !w.seesTrack(slot) || skip != nil && skip(slot) {
				continue
			}
			at, _ := slices.BinarySearchFunc(best, c, func(m match, c float64) int { return -cmp.Compare(m.cosine, c) })
			for at < len(best) && best[at].cosine == c {
				at++
			}
			if best = slices.Insert(best, at, match{slot, c}); len(best) > n {
				best = best[:n]
			}
			if len(best) == n {
				least = best[n-1].cosine
			}
		}
	}
	return best
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
	if x.length == 0 {
		return
	}
	for i, v := range x.v {
		b.sum[i] += float64(v) / x.length
	}
	b.n++
}

// embedding is the middle; ok is false where there was nothing.
func (b *blend) embedding() (x vector, ok bool) {
	most := 0.0
	for _, v := range b.sum {
		most = max(most, math.Abs(v))
	}
	if b.n == 0 || most == 0 {
		return x, false
	}
	sum := 0.0
	for i, v := range b.sum {
		x.v[i] = int8(math.Round(v / most * math.MaxInt8))
		sum += float64(x.v[i]) * float64(x.v[i])
	}
	x.length = math.Sqrt(sum)
	return x, true
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
		out[i] = tutti.SonicMatch{Track: w.trackAt(m.slot, &r), Similarity: similarity(m.cosine)}
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
	path := []match{{first, 1}}
	if first == last || limit < 2 {
		return w.sonicMatches(path), nil
	}
	a, b := w.heard.at(first), w.heard.at(last)
	if a == nil || b == nil {
		return w.sonicMatches(append(path, match{last, math.NaN()})), nil
	}
	begin, end := vectorOf(a), vectorOf(b)
	if begin.length > 0 && end.length > 0 {
		on := map[uint32]bool{first: true, last: true}
		for step := 1; step < limit-1; step++ {
			share := float64(step) / float64(limit-1)
			var between blend
			for i := range between.sum {
				between.sum[i] = float64(begin.v[i])/begin.length*(1-share) + float64(end.v[i])/end.length*share
			}
			between.n = 1
			x, ok := between.embedding()
			if !ok {
				continue // halfway between opposites is nothing
			}
			near := w.nearest(&x, 1, func(s uint32) bool { return on[s] })
			if len(near) == 0 {
				break
			}
			on[near[0].slot] = true
			path = append(path, match{near[0].slot, begin.cosine(w.heard.at(near[0].slot))})
		}
	}
	return w.sonicMatches(append(path, match{last, begin.cosine(b)})), nil
}
