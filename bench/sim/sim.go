// Package sim plays a whole fleet in virtual time: millions of listeners, and every machine of a capacity plan.
//
// What decides in it is the code that decides in a real fleet: who owns a chunk is peer/members.Ring, what a track cache
// keeps is trackcache/policy, how many machines there are is deploy/capacity, and the traffic is bench/traffic. What is
// modelled is time: processors and network cards are queues whose work costs what `make bench` measured
// (deploy/capacity/measured.json), the origin and the store answer after log-normal times, and the rules between them
// (how nginx passes over a dead server, three beats until a member is dropped, one fill at a time, a second copy of what
// is asked for twice, the next chunk fetched ahead, heads after the second play) are stated again here with the
// constants of the real ones. There is no waiting, and the same Config gives the same Result.
package sim

import (
	"cmp"
	"container/heap"
	"container/list"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"tutti"
	"tutti/bench/traffic"
	"tutti/deploy/capacity"
	"tutti/peer/members"
	"tutti/trackcache/policy"
)

// Config is a fleet, who listens to it, and what befalls it.
type Config struct {
	Traffic traffic.Config
	Until   time.Duration

	Plan      capacity.Plan // how many machines of each role there are, and what they cost
	DiskShare float64       // of the catalogue's bytes on all track caches together, second copies included
	EdgeBytes int64         // of nginx's cache, each

	Zones  int           // machines stand in them in turn
	LostAt time.Duration // when zone 0 is cut off; 0: never. Nothing in it answers, nor refuses
	Warm   bool          // begin with caches full of what is popular

	Origin Origin
	Every  time.Duration // between two points of the result
}

// Origin is the object store.
type Origin struct {
	Median time.Duration // until its answer begins
	Spread float64       // σ of its logarithm
	Rate   float64       // requests a second that it takes
}

// The constants of the real parts.
const (
	beat          = time.Second            // peer/members
	silences      = 3                      // beats until a member is dropped (peer/members)
	toDelivery    = time.Second            // connect timeout from nginx to A (deploy/nginx)
	toCache       = 500 * time.Millisecond // and to C
	failsDelivery = 2                      // max_fails, within 1 s, for which the server is then passed over
	failsCache    = 3
	failWindow    = time.Second
	tripAfter     = 3 // failed reads in a row until a track cache leaves the origin alone (trackcache)
	probeMin      = 500 * time.Millisecond
	firstByte     = 5 * time.Second        // that a read of the origin may take (trackcache)
	headReads     = 3000.0 / 88            // heads a second and track cache, by the quota (trackcache.HeadPolicy)
	headWrites    = 1000.0 / 343           // likewise
	storeMedian   = 8 * time.Millisecond   // for an item of 350 KB
	hop           = 500 * time.Microsecond // between two machines of a region, there and back
	refuseAfter   = time.Second            // of waiting in a queue: a clear 503 is better
	patience      = 6                      // refusals until a listener gives up
)

// Point is what happened in one interval.
type Point struct {
	At                                time.Duration
	Starts, Refused, Lost             int // streams begun; answers of 503 or none at all; listeners who gave up
	P50, P99                          time.Duration
	Requests, Edge, Cache, Peer       int // for chunks, and where they were answered
	Head, Origin                      int
	OriginRate, HeadRate, HeadWrite   float64 // a second; of the origin, those made ahead included
	Skew                              float64 // busiest track cache's bytes against the mean
	SkewP99                           float64 // of the 99th percentile
	EdgeBusy, DeliveryBusy, CacheBusy float64 // share of the busiest resource, mean over the machines
}

// Result is a run.
type Result struct {
	Name      string
	Listeners int
	Points    []Point
	Events    int
}

// queue is work done in the order in which it comes. What a request causes later in its life counts from when it came:
// work is not booked ahead, or those who come before it is due would wait behind nothing.
type queue struct {
	at      time.Duration
	backlog time.Duration // at that moment
	done    time.Duration
}

// wait is how long new work stands behind what is there.
func (q *queue) wait(now time.Duration) time.Duration {
	if now > q.at {
		q.backlog = max(0, q.backlog-(now-q.at))
		q.at = now
	}
	return q.backlog
}

func (q *queue) work(now, d time.Duration) {
	q.wait(now)
	q.backlog += d
	q.done += d
}

type machine struct {
	cpu, net queue
	cores    float64
	perByte  time.Duration // ns × 1000 of the network card a byte, to keep what is below a ns
	zone     int
	dead     bool
	fails    int // in a row, as those who ask it see it
	avoid    time.Duration
}

func (m *machine) compute(now time.Duration, seconds float64) (wait time.Duration) {
	wait = m.cpu.wait(now)
	m.cpu.work(now, time.Duration(seconds/m.cores*1e9))
	return wait + time.Duration(seconds*1e9)
}

func (m *machine) send(now time.Duration, bytes int64) (wait time.Duration) {
	wait = m.net.wait(now)
	m.net.work(now, time.Duration(bytes)*m.perByte/1000)
	return wait
}

type edge struct {
	machine
	kept lru
	seen []passed // of each track cache
}

// passed is what an nginx knows of a track cache's failures.
type passed struct {
	fails int8
	until time.Duration
}

type cache struct {
	machine
	kept   *policy.S3FIFO[int32]
	bytes  int64 // sent in this interval
	again  bucket
	writes bucket

	failed  int // reads of the origin in a row
	open    bool
	probeAt time.Duration
	wait    time.Duration
}

// bucket is a budget that grows with time, to at most a second's worth.
type bucket struct {
	rate, have float64
	at         time.Duration
}

func (b *bucket) take(now time.Duration) bool {
	b.have = min(max(b.rate, 1), b.have+b.rate*(now-b.at).Seconds())
	b.at = now
	if b.have < 1 {
		return false
	}
	b.have--
	return true
}

type fleet struct {
	c        Config
	cat      *traffic.Catalogue
	r        *rand.Rand
	costs    costs
	edges    []*edge
	delivery []*machine
	catalog  []*machine
	caches   []*cache
	alive    []*cache // in the ring
	owners   [][2]int16
	objects  []string
	ring     *members.Ring
	place    map[string]int16
	flying   []flight // by chunk: its latest fill
	asked    []uint8  // by chunk: times that it was asked for since it was filled, up to 2
	plays    []uint8
	heads    []bool
	origin   queue
	later    retries
	latency  histogram
	p        Point
	out      *Result
	lost     bool
	dropped  bool
	moved    map[int32]uint8 // listeners whose nginx went away: how many they have tried since
}

// flight is a fill that may be under way.
type flight struct {
	cache int16
	until int32 // in ms
}

type costs struct{ nginxGB, nginxStart, deliveryStart, catalogStart, cacheStart, cacheGB, fillGB float64 }

// Run plays it to its end, or to the context's, whose error it returns then.
func Run(ctx context.Context, name string, c Config) (Result, error) {
	f := newFleet(c)
	f.out.Name = name
	f.out.Listeners = c.Traffic.Seats
	next := c.Every
	for q := range traffic.Play(c.Traffic, c.Until) {
		at := q.At + time.Duration(f.r.Int64N(int64(20*time.Millisecond)))
		for len(f.later) > 0 && f.later[0].at <= at {
			f.request(heap.Pop(&f.later).(retry))
		}
		for q.At >= next {
			f.point(next)
			next += c.Every
		}
		f.clock(q.At)
		f.request(retry{at: at, first: at, q: q})
		if f.out.Events%4096 == 0 && ctx.Err() != nil {
			return Result{}, ctx.Err()
		}
	}
	f.point(c.Until)
	return *f.out, nil
}

func newFleet(c Config) *fleet {
	f := &fleet{
		c: c, cat: c.Traffic.Catalogue, r: rand.New(rand.NewPCG(c.Traffic.Seed, 3)), out: &Result{},
		moved: map[int32]uint8{}, place: map[string]int16{},
		flying: make([]flight, c.Traffic.Catalogue.Chunks()), asked: make([]uint8, c.Traffic.Catalogue.Chunks()),
	}
	figure := c.Plan.Figure
	f.costs = costs{
		nginxGB: figure(capacity.NginxPerGB) + figure(capacity.NginxTLSPerGB), nginxStart: figure(capacity.NginxPerStart),
		deliveryStart: figure(capacity.DeliveryPerStart), catalogStart: figure(capacity.CatalogPerStart), cacheStart: figure(capacity.CachePerStart),
		cacheGB: figure(capacity.CachePerGB), fillGB: figure(capacity.FillPerGB),
	}
	f.plays = make([]uint8, f.cat.Tracks())
	f.heads = make([]bool, f.cat.Tracks())
	f.objects = make([]string, f.cat.Tracks())
	for t := range f.objects {
		f.objects[t] = traffic.Object(int32(t))
	}
	roles := c.Plan.Roles
	made := 0
	newMachine := func(r capacity.Role) machine {
		made++
		return machine{cores: r.Cores, perByte: time.Duration(8 * 1.06 * 1000 / r.GbitEach), zone: made % max(1, c.Zones)}
	}
	for range roles[0].Instances {
		f.edges = append(f.edges, &edge{machine: newMachine(roles[0]), kept: newLRU(c.EdgeBytes)})
	}
	for range roles[1].Instances {
		m := newMachine(roles[1])
		f.delivery = append(f.delivery, &m)
	}
	for range roles[2].Instances {
		m := newMachine(roles[2])
		f.catalog = append(f.catalog, &m)
	}
	disk := int64(c.DiskShare * float64(f.cat.Bytes()) / float64(roles[3].Instances))
	for i := range roles[3].Instances {
		f.caches = append(f.caches, &cache{
			machine: newMachine(roles[3]), kept: policy.NewS3FIFO[int32](disk), again: bucket{rate: headReads, have: headReads},
			writes: bucket{rate: headWrites, have: headWrites},
		})
		f.place[address(i)] = int16(i)
	}
	for _, e := range f.edges {
		e.seen = make([]passed, len(f.caches))
	}
	f.turn()
	if c.Warm {
		f.warm()
	}
	return f
}

func address(cache int) string { return fmt.Sprintf("10.0.%d.%d:7000", cache/250, cache%250+1) }

// turn makes the ring of those track caches that are members.
func (f *fleet) turn() {
	var in []string
	f.alive = f.alive[:0]
	for i, c := range f.caches {
		if !c.dead || !f.dropped {
			in = append(in, address(i))
			f.alive = append(f.alive, c)
		}
	}
	f.ring = members.NewRing(in)
	f.owners = make([][2]int16, f.cat.Chunks())
	for i := range f.owners {
		f.owners[i][0] = -1
	}
}

// ownersOf asks the ring, once for each chunk.
func (f *fleet) ownersOf(track, n int32) [2]int16 {
	o := &f.owners[f.cat.Chunk(track, n)]
	if o[0] < 0 {
		at := f.ring.Owners(members.SliceKey(tutti.ChunkID{Object: f.objects[track], N: int64(n)}), tutti.Replicas)
		o[0], o[1] = f.place[at[0]], -1
		if len(at) > 1 {
			o[1] = f.place[at[1]]
		}
	}
	return *o
}

// warm fills the caches with what is popular, and knows heads of as much: as after weeks.
func (f *fleet) warm() {
	var tracks []int32
	f.cat.ByRank(func(t int32) { tracks = append(tracks, t) })
	total := float64(f.cat.Bytes())
	var bytes float64
	known := len(tracks)
	for i, t := range tracks {
		for n := range f.cat.ChunksOf(t) {
			bytes += float64(f.cat.ChunkBytes(t, n))
		}
		if bytes > total*f.c.DiskShare/tutti.Replicas*1.3 { // what does not fit is let go again
			known = i
			break
		}
	}
	for _, t := range slices.Backward(tracks[:known]) {
		f.plays[t], f.heads[t] = 2, true
		for n := range f.cat.ChunksOf(t) {
			chunk, size := f.cat.Chunk(t, n), f.cat.ChunkBytes(t, n)
			for _, o := range f.ownersOf(t, n) {
				if o >= 0 {
					f.caches[o].kept.Restore(chunk, size)
				}
			}
			f.asked[chunk] = 2
		}
	}
	for _, e := range f.edges {
		var kept int64
		last := 0
		for kept < f.c.EdgeBytes && last < known {
			for n := range f.cat.ChunksOf(tracks[last]) {
				kept += f.cat.ChunkBytes(tracks[last], n)
			}
			last++
		}
		for _, t := range slices.Backward(tracks[:last]) {
			for n := range f.cat.ChunksOf(t) {
				e.kept.add(f.cat.Chunk(t, n), f.cat.ChunkBytes(t, n))
			}
		}
	}
}

// clock lets happen what is due.
func (f *fleet) clock(now time.Duration) {
	if f.c.LostAt > 0 && !f.lost && now >= f.c.LostAt {
		f.lost = true
		for _, e := range f.edges {
			e.dead = e.zone == 0
		}
		for _, m := range slices.Concat(f.delivery, f.catalog) {
			m.dead = m.zone == 0
		}
		for _, c := range f.caches {
			c.dead = c.zone == 0
		}
	}
	// Members are dropped after three beats; nginx and A go by the members.
	if f.lost && !f.dropped && now >= f.c.LostAt+silences*beat {
		f.dropped = true
		f.turn()
		gone := func(m *machine) bool { return m.dead }
		f.delivery = slices.DeleteFunc(f.delivery, gone)
		f.catalog = slices.DeleteFunc(f.catalog, gone)
	}
}

type retry struct {
	at, first time.Duration
	q         traffic.Request
	tried     int
}

type retries []retry

func (r retries) Len() int { return len(r) }
func (r retries) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(r[i].at, r[j].at), cmp.Compare(r[i].q.Listener, r[j].q.Listener)) < 0
}
func (r retries) Swap(i, j int) { r[i], r[j] = r[j], r[i] }
func (r *retries) Push(x any)   { *r = append(*r, x.(retry)) }
func (r *retries) Pop() any {
	last := (*r)[len(*r)-1]
	*r = (*r)[:len(*r)-1]
	return last
}

// again puts a request off after a refusal: by the second that Retry-After says, doubled each time, and up to half as
// much again by chance, so that those who were refused together do not come back together.
func (f *fleet) again(q retry, after time.Duration) {
	f.p.Refused++
	if q.tried++; q.tried > patience {
		f.p.Lost++
		return
	}
	after <<= min(q.tried-1, 4)
	q.at += after + time.Duration(f.r.Float64()*float64(after)/2)
	heap.Push(&f.later, q)
}

// request is a listener's request for a chunk, from beginning to end.
func (f *fleet) request(q retry) {
	f.out.Events++
	now, took := q.at, time.Duration(0)
	e := f.edges[int(q.q.Listener)%len(f.edges)]
	if e.dead {
		// No answer: a player tries again after a second or two, at another of the addresses that the name has, and stays
		// with one that answers.
		e = f.edges[(int(q.q.Listener)*7+int(f.moved[q.q.Listener]))%len(f.edges)]
		if f.moved[q.q.Listener] == 0 || e.dead {
			f.moved[q.q.Listener]++
			f.again(q, time.Second)
			return
		}
	}
	if q.q.Start {
		d, ok := f.control(now, e)
		if !ok {
			f.again(q, time.Second)
			return
		}
		took += d
		if f.plays[q.q.Track] < 2 {
			f.plays[q.q.Track]++
		}
	}
	chunk, size := f.cat.Chunk(q.q.Track, q.q.Chunk), f.cat.ChunkBytes(q.q.Track, q.q.Chunk)
	f.p.Requests++
	took += e.compute(now, float64(size)/1e9*f.costs.nginxGB)
	if e.kept.hit(chunk) {
		f.p.Edge++
	} else {
		d, ok := f.fetch(now, e, q.q.Track, q.q.Chunk)
		if !ok {
			f.again(q, time.Second)
			return
		}
		took += d
		e.kept.add(chunk, size)
	}
	took += e.send(now, size)
	if q.q.Start {
		f.p.Starts++
		f.latency.add(now + took - q.first)
	}
}

// control is the round trip from nginx to A, to B, and to C and back.
func (f *fleet) control(now time.Duration, e *edge) (took time.Duration, ok bool) {
	took = e.compute(now, f.costs.nginxStart)
	for _, part := range []struct {
		of      []*machine
		cost    float64
		timeout time.Duration
		fails   int
	}{{f.delivery, f.costs.deliveryStart, toDelivery, failsDelivery}, {f.catalog, f.costs.catalogStart, toCache, failsCache}} {
		m, lost := f.pick(now, part.of, part.timeout, part.fails)
		took += lost
		if m == nil || m.cpu.wait(now) > refuseAfter {
			return took, false
		}
		took += hop + m.compute(now, part.cost)
	}
	c := f.alive[f.r.IntN(len(f.alive))]
	if !c.dead {
		took += hop + c.compute(now, f.costs.cacheStart)
	} // else B answers without: getting ready is no condition of a plan
	return took, true
}

// pick chooses the less busy of two machines, as least_conn does on average, passes over those known to be away, and
// pays for finding it out.
func (f *fleet) pick(now time.Duration, of []*machine, timeout time.Duration, fails int) (*machine, time.Duration) {
	var lost time.Duration
	for range 3 {
		var best *machine
		for range 2 {
			m := of[f.r.IntN(len(of))]
			if m.avoid > now { // its neighbour in the list instead
				m = of[(slices.Index(of, m)+1)%len(of)]
			}
			if best == nil || m.cpu.wait(now) < best.cpu.wait(now) {
				best = m
			}
		}
		if !best.dead {
			return best, lost
		}
		lost += timeout
		if best.fails++; best.fails >= fails {
			best.fails, best.avoid = 0, now+failWindow
		}
	}
	return nil, lost
}

// fetch gets a chunk from its owner, or from the next one.
func (f *fleet) fetch(now time.Duration, e *edge, track, n int32) (took time.Duration, ok bool) {
	owners := f.ownersOf(track, n)
	for i, o := range owners {
		if o < 0 {
			break
		}
		c, seen := f.caches[o], &e.seen[o]
		if seen.until > now {
			continue
		}
		if c.dead {
			took += toCache
			if seen.fails++; seen.fails >= failsCache {
				seen.fails, seen.until = 0, now+failWindow
			}
			continue
		}
		if c.cpu.wait(now)+c.net.wait(now) > refuseAfter {
			return took, false
		}
		d, ok := f.serve(now, o, owners[1-i], track, n)
		return took + d, ok
	}
	return took, false
}

// serve answers from a track cache.
func (f *fleet) serve(now time.Duration, o, other int16, track, n int32) (took time.Duration, ok bool) {
	c := f.caches[o]
	chunk, size := f.cat.Chunk(track, n), f.cat.ChunkBytes(track, n)
	took = hop + c.compute(now, float64(size)/1e9*f.costs.cacheGB)
	if c.kept.Hit(chunk) {
		f.p.Cache++
		if fl := f.flying[chunk]; fl.cache == o {
			took += max(0, time.Duration(fl.until)*time.Millisecond-now)
		}
		if f.asked[chunk] < 2 {
			if f.asked[chunk]++; f.asked[chunk] == 2 && other >= 0 && !f.caches[other].dead && !f.caches[other].kept.Has(chunk) {
				f.caches[other].kept.Add(chunk, size) // a second copy, should this one be killed
				c.send(now, size)
			}
		}
	} else {
		d, ok := f.fill(now, o, other, track, n, true)
		if !ok {
			return took, false
		}
		took += d
	}
	if n+1 < f.cat.ChunksOf(track) {
		next := f.ownersOf(track, n+1)
		if w := f.caches[next[0]]; !w.dead && !w.kept.Has(f.cat.Chunk(track, n+1)) {
			f.fill(now, next[0], next[1], track, n+1, false)
		}
	}
	took += c.send(now, size)
	c.bytes += size
	return took, true
}

// fill brings a chunk into a track cache: from the other owner, from its head, from the origin.
func (f *fleet) fill(now time.Duration, o, other int16, track, n int32, asked bool) (took time.Duration, ok bool) {
	c := f.caches[o]
	chunk, size := f.cat.Chunk(track, n), f.cat.ChunkBytes(track, n)
	keep := func(ready time.Duration) {
		c.kept.Add(chunk, size)
		f.flying[chunk] = flight{o, int32(ready / time.Millisecond)}
		f.asked[chunk] = 0
		if asked {
			f.asked[chunk] = 1
		}
	}
	if other >= 0 && !f.caches[other].dead && f.caches[other].kept.Has(chunk) {
		p := f.caches[other]
		took = hop + p.compute(now, float64(size)/1e9*f.costs.cacheGB) + p.send(now, size)
		keep(now + took)
		if asked {
			f.p.Peer++
		}
		return took, true
	}
	if n == 0 && asked && f.heads[track] && c.again.take(now) {
		f.p.Head++
		f.p.HeadRate++
		took = f.logNormal(storeMedian, 0.4)
		if d, ok := f.read(now, c, size); ok { // the rest of the chunk, behind the head
			keep(now + max(took, d))
		}
		return took, true
	}
	d, ok := f.read(now, c, size)
	if !ok {
		return 0, false
	}
	keep(now + d)
	if n == 0 && f.plays[track] >= 2 && !f.heads[track] && c.writes.take(now) {
		f.heads[track] = true
		f.p.HeadWrite++
	}
	if asked {
		f.p.Origin++
	}
	return d, true
}

// read asks the origin, unless it has been found to be away.
func (f *fleet) read(now time.Duration, c *cache, size int64) (took time.Duration, ok bool) {
	if c.open {
		if now < c.probeAt {
			return 0, false
		}
	}
	f.p.OriginRate++
	wait := f.origin.wait(now)
	if wait > firstByte {
		// Given up after that long, which is work for nobody: the origin refuses what it cannot take.
		c.failed++
		if c.open {
			c.wait = min(2*c.wait, 4*probeMin)
			c.probeAt = now + c.wait
		} else if c.failed >= tripAfter {
			c.open, c.wait, c.probeAt = true, probeMin, now+probeMin
		}
		return 0, false
	}
	c.failed, c.open = 0, false
	f.origin.work(now, time.Duration(1e9/f.c.Origin.Rate))
	took = wait + f.logNormal(f.c.Origin.Median, f.c.Origin.Spread)
	c.compute(now, float64(size)/1e9*f.costs.fillGB)
	return took, true
}

func (f *fleet) logNormal(median time.Duration, sigma float64) time.Duration {
	return time.Duration(float64(median) * math.Exp(sigma*f.r.NormFloat64()))
}

// point ends an interval.
func (f *fleet) point(at time.Duration) {
	p := &f.p
	p.At = at
	p.P50, p.P99 = f.latency.at(0.5), f.latency.at(0.99)
	seconds := f.c.Every.Seconds()
	p.OriginRate, p.HeadRate, p.HeadWrite = p.OriginRate/seconds, p.HeadRate/seconds, p.HeadWrite/seconds
	var loads []float64
	var sum float64
	for _, c := range f.caches {
		if !c.dead {
			loads = append(loads, float64(c.bytes))
			sum += float64(c.bytes)
		}
		c.bytes = 0
	}
	slices.Sort(loads)
	if sum > 0 {
		mean := sum / float64(len(loads))
		p.Skew = loads[len(loads)-1] / mean
		p.SkewP99 = loads[int(0.99*float64(len(loads)-1)+0.5)] / mean
	}
	busy := func(n int, of func(int) *machine) (most float64) {
		var cpu, net time.Duration
		alive := 0
		for i := range n {
			m := of(i)
			if !m.dead {
				alive++
				cpu += m.cpu.done
				net += m.net.done
			}
			m.cpu.done, m.net.done = 0, 0
		}
		return float64(max(cpu, net)) / float64(max(1, alive)) / float64(f.c.Every)
	}
	p.EdgeBusy = busy(len(f.edges), func(i int) *machine { return &f.edges[i].machine })
	p.DeliveryBusy = busy(len(f.delivery), func(i int) *machine { return f.delivery[i] })
	p.CacheBusy = busy(len(f.caches), func(i int) *machine { return &f.caches[i].machine })
	f.out.Points = append(f.out.Points, *p)
	f.p, f.latency = Point{}, histogram{}
}

// histogram counts durations in steps of 5 %, from 10 µs to a minute and more.
type histogram struct {
	counts [330]int
	n      int
}

const histogramStep = 1.05

func (h *histogram) add(d time.Duration) {
	i := 0
	if d > 10*time.Microsecond {
		i = min(int(math.Log(float64(d)/float64(10*time.Microsecond))/math.Log(histogramStep)), len(h.counts)-1)
	}
	h.counts[i]++
	h.n++
}

func (h *histogram) at(share float64) time.Duration {
	left := int(share * float64(h.n))
	for i, n := range h.counts {
		if left -= n; left < 0 {
			return time.Duration(float64(10*time.Microsecond) * math.Pow(histogramStep, float64(i+1)))
		}
	}
	return 0
}

// lru is what nginx's cache manager keeps.
type lru struct {
	max, bytes int64
	order      *list.List
	kept       map[int32]*list.Element
}

type entry struct {
	chunk int32
	size  int64
}

func newLRU(bytes int64) lru {
	return lru{max: bytes, order: list.New(), kept: map[int32]*list.Element{}}
}

func (l *lru) hit(chunk int32) bool {
	e := l.kept[chunk]
	if e != nil {
		l.order.MoveToFront(e)
	}
	return e != nil
}

func (l *lru) add(chunk int32, size int64) {
	if l.kept[chunk] != nil || size > l.max {
		return
	}
	for l.bytes+size > l.max {
		old := l.order.Remove(l.order.Back()).(entry)
		delete(l.kept, old.chunk)
		l.bytes -= old.size
	}
	l.kept[chunk] = l.order.PushFront(entry{chunk, size})
	l.bytes += size
}
