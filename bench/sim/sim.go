// Package sim plays a whole fleet in virtual time: millions of listeners, and every machine of a capacity plan.
//
// What decides in it is the code that decides in a real fleet, the same types and functions: who owns a chunk
// (peer/members.Ring), who counts as a member, and when no longer (peer/members.Roll), which member is asked, which next,
// and when another one as well (peer/balance), what a track cache keeps, when it leaves the origin alone, whom it asks
// before that, what it gets ahead of time, gives a second copy of, and may spend on heads (trackcache/policy,
// trackcache.HeadPolicy). How many machines there are is deploy/capacity's plan, and the traffic is bench/traffic. What
// is modelled is time: processors and network cards are queues whose work costs what `make bench` measured
// (deploy/capacity/measured.json), the origin and the store answer after log-normal times; and what is no code of ours:
// nginx, with the constants of its configuration (deploy/nginx), and the listeners' players. There is no waiting, and the
// same Config gives the same Result.
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
	"tutti/peer/balance"
	"tutti/peer/members"
	"tutti/trackcache"
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

// The constants of nginx's configuration (deploy/nginx/nginx.conf.tmpl).
const (
	toDelivery    = time.Second            // connect timeout from nginx to A
	toCache       = 500 * time.Millisecond // and to C
	saysNothing   = 6 * time.Second        // until nginx gives up an A that has taken a request, as one does that is lost with its connections
	sendsNothing  = 3 * time.Second        // and a C
	failsDelivery = 2                      // max_fails, within failWindow, for which the server is then passed over
	failsCache    = 10
	failWindow    = time.Second
	keepalive     = 64 // connections that each worker keeps to all servers of a kind
)

// What the fleet and the listeners are taken to do besides.
const (
	beat        = time.Second            // of the members
	dialTimeout = time.Second            // between members (peer.newTransport)
	firstByte   = 5 * time.Second        // that a read of the origin may take (trackcache.ChunksConfig)
	originTries = 3                      // reads of the origin for one chunk (trackcache)
	storeMedian = 8 * time.Millisecond   // for an item of 340 KiB
	storeSmall  = 4 * time.Millisecond   // for a small one
	storeWait   = 50 * time.Millisecond  // that a fill waits for the store (trackcache)
	peerHurry   = 20 * time.Millisecond  // for a member to say what it has (trackcache)
	peerFirst   = time.Second            // for a member to begin to send (trackcache)
	hop         = 500 * time.Microsecond // between two machines of a region, there and back
	refuseAfter = time.Second            // of waiting in a queue: a clear 503 is better
	patience    = 6                      // refusals until a listener gives up
	addresses   = 12                     // of nginx machines that do not answer, until a listener gives up
	persons     = 1 << 16                // that the members of the catalogue are ranked for
)

// epoch is when the simulation begins, for those who go by dates.
var epoch = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func date(at time.Duration) time.Time { return epoch.Add(at) }

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
	self     tutti.Member
	cpu, net queue
	cores    float64
	perByte  time.Duration // ns × 1000 of the network card a byte, to keep what is below a ns
	zone     int
	dead     bool
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
	kept       lru
	deliveries []passed // what it knows of each delivery's failures
	caches     []passed // and of each track cache's
}

// passed is what an nginx knows of a server's failures.
type passed struct {
	fails int8
	since time.Duration // of the first of them
	until time.Duration // when the server is asked again
	stale int           // connections to it that were kept, and have been found to be dead
}

// silence is how long an exchange with a dead server takes: kept connections, one a worker, stand until the server has said
// nothing for long; new ones cannot be opened.
func (p *passed) silence(r *rand.Rand, workers float64, servers int, kept, connect time.Duration) time.Duration {
	if p.stale < int(workers) && r.Float64()*float64(servers) < keepalive {
		p.stale++
		return kept
	}
	return connect
}

// fail counts a failure as nginx does: so many within the window, and the server is passed over for as long.
func (p *passed) fail(now time.Duration, most int8) {
	if now-p.since > failWindow {
		p.fails, p.since = 0, now
	}
	if p.fails++; p.fails >= most {
		p.fails, p.until = 0, now+failWindow
	}
}

// asker is a process that asks members by peer/balance: what it knows of each.
type asker struct {
	machine
	budget balance.HedgeBudget
	known  []target // by the number of the member among its kind
}

type target struct {
	of     *machine
	health balance.Health
	stale  bool // the connection that was kept has been found to be dead
}

// Health implements balance.Target.
func (t *target) Health() *balance.Health { return &t.health }

type cache struct {
	machine
	kept      *policy.S3FIFO[int32]
	bytes     int64 // sent in this interval
	reads     policy.Quota
	writes    policy.Quota
	breaker   policy.Breaker[int32] // of the origin
	late      policy.Suspects[int16]
	foresight policy.Foresight[int32]
}

type fleet struct {
	c        Config
	cat      *traffic.Catalogue
	r        *rand.Rand
	costs    costs
	heads    trackcache.HeadPolicy
	edges    []*edge
	delivery []*asker // who know the members of the catalogue
	catalog  []*asker // who know the track caches
	caches   []*cache
	roll     members.Roll // as everybody is taken to see the members
	ring     *members.Ring
	in       struct{ delivery, catalog []int } // the members there are, by number
	share    float64                           // of a track cache in what a month's heads may cost
	place    map[string]int16                  // of a track cache, by its address
	ranked   [][]int16                         // members of the catalogue, by person
	owners   [][tutti.Replicas + balance.MaxAsked]int16
	objects  []string
	flying   []flight    // by chunk: its latest fill
	demand   [][2]demand // by chunk: at those who keep it
	plays    []uint8
	known    []bool // by track: its head is in the store
	origin   queue
	later    retries
	due      events
	latency  histogram
	p        Point
	out      *Result
	lost     bool
	moved    []int16 // by listener: at which nginx they are
}

// demand is what a track cache knows of the requests for a chunk that it keeps.
type demand struct {
	policy.Demand
	cache int16
}

// flight is a fill that may be under way.
type flight struct {
	cache int16
	until int32 // in ms
}

// event is something that happens by itself.
type event struct {
	at time.Duration
	n  int // of those at the same time, the first made is the first
	fn func(now time.Duration)
}

type events struct {
	list []event
	made int
}

func (e *events) Len() int { return len(e.list) }
func (e *events) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(e.list[i].at, e.list[j].at), cmp.Compare(e.list[i].n, e.list[j].n)) < 0
}
func (e *events) Swap(i, j int) { e.list[i], e.list[j] = e.list[j], e.list[i] }
func (e *events) Push(x any)    { e.list = append(e.list, x.(event)) }
func (e *events) Pop() any {
	last := e.list[len(e.list)-1]
	e.list[len(e.list)-1] = event{}
	e.list = e.list[:len(e.list)-1]
	return last
}

// at lets fn happen at a time.
func (f *fleet) at(at time.Duration, fn func(now time.Duration)) {
	f.due.made++
	heap.Push(&f.due, event{at, f.due.made, fn})
}

type costs struct{ nginxGB, nginxFetchGB, nginxStart, deliveryStart, catalogStart, cacheStart, cacheGB, fillGB float64 }

// Run plays it to its end, or to the context's, whose error it returns then.
func Run(ctx context.Context, name string, c Config) (Result, error) {
	f := newFleet(c)
	f.out.Name = name
	f.out.Listeners = c.Traffic.Seats
	next := c.Every
	for q := range traffic.Play(c.Traffic, c.Until) {
		at := q.At + time.Duration(f.r.Int64N(int64(20*time.Millisecond)))
		for len(f.later) > 0 && f.later[0].at <= at {
			r := heap.Pop(&f.later).(retry)
			f.happen(r.at)
			f.request(r)
		}
		for q.At >= next {
			f.point(next)
			next += c.Every
		}
		f.happen(at)
		f.request(retry{at: at, first: at, q: q})
		if f.out.Events%4096 == 0 && ctx.Err() != nil {
			return Result{}, ctx.Err()
		}
	}
	f.point(c.Until)
	return *f.out, nil
}

// happen lets happen what is due by now.
func (f *fleet) happen(now time.Duration) {
	for len(f.due.list) > 0 && f.due.list[0].at <= now {
		e := heap.Pop(&f.due).(event)
		e.fn(e.at)
	}
}

func newFleet(c Config) *fleet {
	seats := c.Traffic.Seats
	if c.Traffic.Flash != nil {
		seats += int(float64(seats) * c.Traffic.Flash.Surge)
	}
	f := &fleet{
		c: c, cat: c.Traffic.Catalogue, r: rand.New(rand.NewPCG(c.Traffic.Seed, 3)), out: &Result{},
		heads: trackcache.HeadPolicy{}.WithDefaults(), roll: members.Roll{Beat: beat}, place: map[string]int16{},
		flying: make([]flight, c.Traffic.Catalogue.Chunks()), demand: make([][2]demand, c.Traffic.Catalogue.Chunks()),
		moved: make([]int16, seats),
	}
	figure := c.Plan.Figure
	f.costs = costs{
		nginxGB: figure(capacity.NginxPerGB) + figure(capacity.NginxTLSPerGB), nginxFetchGB: figure(capacity.NginxFetchPerGB), nginxStart: figure(capacity.NginxPerStart),
		deliveryStart: figure(capacity.DeliveryPerStart), catalogStart: figure(capacity.CatalogPerStart), cacheStart: figure(capacity.CachePerStart),
		cacheGB: figure(capacity.CachePerGB), fillGB: figure(capacity.FillPerGB),
	}
	f.plays = make([]uint8, f.cat.Tracks())
	f.known = make([]bool, f.cat.Tracks())
	f.objects = make([]string, f.cat.Tracks())
	for t := range f.objects {
		f.objects[t] = traffic.Object(int32(t))
	}
	roles := c.Plan.Roles
	made := 0
	newMachine := func(r capacity.Role, s tutti.Service, n int) machine {
		made++
		at := address(s, n)
		return machine{
			cores: r.Cores, perByte: time.Duration(8 * 1.06 * 1000 / r.GbitEach), zone: made % max(1, c.Zones),
			self: tutti.Member{ID: at, Address: at, Service: s, State: tutti.MemberReady},
		}
	}
	for n := range roles[0].Instances {
		f.edges = append(f.edges, &edge{
			machine: newMachine(roles[0], "", n), kept: newLRU(c.EdgeBytes), deliveries: make([]passed, roles[1].Instances), caches: make([]passed, roles[3].Instances),
		})
	}
	for n := range roles[1].Instances {
		f.delivery = append(f.delivery, &asker{machine: newMachine(roles[1], tutti.ServiceDelivery, n), known: make([]target, roles[2].Instances)})
	}
	for n := range roles[2].Instances {
		f.catalog = append(f.catalog, &asker{machine: newMachine(roles[2], tutti.ServiceCatalog, n), known: make([]target, roles[3].Instances)})
	}
	disk := int64(c.DiskShare * float64(f.cat.Bytes()) / float64(roles[3].Instances))
	for n := range roles[3].Instances {
		w := &cache{machine: newMachine(roles[3], tutti.ServiceTrackCache, n), kept: policy.NewS3FIFO[int32](disk)}
		f.heads.Budget(&w.reads, &w.writes)
		f.caches = append(f.caches, w)
		f.place[w.self.Address] = int16(n)
	}
	for _, d := range f.delivery {
		for i := range d.known {
			d.known[i].of = &f.catalog[i].machine
		}
	}
	for _, b := range f.catalog {
		for i := range b.known {
			b.known[i].of = &f.caches[i].machine
		}
	}
	for i := range f.moved {
		f.moved[i] = int16(i % len(f.edges))
	}
	f.look(0)
	if c.Warm {
		f.warm()
	}
	if c.LostAt > 0 {
		f.at(c.LostAt, f.lose)
		for at := beat / 2; at < c.Until; at += beat { // while all are well, looks change nothing
			f.at(at, f.look)
		}
	}
	return f
}

func address(s tutti.Service, n int) string {
	return fmt.Sprintf("10.%d.%d.%d:7000", len(s), n/250, n%250+1)
}

// all are the members, dead or not, in a fixed order.
func (f *fleet) all() []*machine {
	var out []*machine
	for _, a := range slices.Concat(f.delivery, f.catalog) {
		out = append(out, &a.machine)
	}
	for _, c := range f.caches {
		out = append(out, &c.machine)
	}
	return out
}

// lose cuts zone 0 off.
func (f *fleet) lose(time.Duration) {
	for _, e := range f.edges {
		e.dead = e.zone == 0
	}
	for _, m := range f.all() {
		m.dead = m.zone == 0
	}
	f.lost = true
}

// look is what everybody does once a beat: read the members' signs of life, and go by who gives them. A member gave its
// last at some moment of the beat before it died.
func (f *fleet) look(now time.Duration) {
	found := map[string]members.Found{}
	for i, m := range f.all() {
		phase := time.Duration(i*7919%1000) * beat / 1000
		last := now
		if m.dead {
			last = min(now, f.c.LostAt)
		}
		found[m.self.ID] = members.Found{Version: uint64((last+phase)/beat) + 1, Read: func() (tutti.Member, error) { return m.self, nil }}
	}
	dropped, _ := f.roll.Look(date(now), found, time.Time{}) // items that make sense
	if len(dropped) > 0 || f.ring == nil {
		f.turn()
	}
}

// turn goes by a new list of members.
func (f *fleet) turn() {
	caches := f.roll.Ready(tutti.ServiceTrackCache)
	in := make([]string, len(caches))
	for i, m := range caches {
		in[i] = m.Address
	}
	f.ring = members.NewRing(in)
	f.share = 1 / float64(max(1, len(in)))
	f.owners = make([][tutti.Replicas + balance.MaxAsked]int16, f.cat.Chunks())
	for i := range f.owners {
		f.owners[i][0] = -1
	}
	numbers := func(of []*asker, s tutti.Service) (out []int) {
		here := map[string]bool{}
		for _, m := range f.roll.Ready(s) {
			here[m.ID] = true
		}
		for i, m := range of {
			if here[m.self.ID] {
				out = append(out, i)
			}
		}
		return out
	}
	f.in.delivery, f.in.catalog = numbers(f.delivery, tutti.ServiceDelivery), numbers(f.catalog, tutti.ServiceCatalog)
	f.ranked = make([][]int16, persons)
}

// ownersOf asks the ring, once for each chunk: those who own it, and those who would be asked next.
func (f *fleet) ownersOf(track, n int32) []int16 {
	o := &f.owners[f.cat.Chunk(track, n)]
	if o[0] < 0 {
		at := f.ring.Owners(members.SliceKey(tutti.ChunkID{Object: f.objects[track], N: int64(n)}), len(o))
		for i := range o {
			o[i] = -1
			if i < len(at) {
				o[i] = f.place[at[i]]
			}
		}
	}
	return o[:min(len(o), f.ring.Len())]
}

// keepers are those of a chunk's owners with whom it should lie.
func (f *fleet) keepers(track, n int32) []int16 {
	o := f.ownersOf(track, n)
	return o[:min(len(o), tutti.Replicas)]
}

// near ranks the members of the catalogue for a person, once for each.
func (f *fleet) near(listener int32) []int16 {
	person := int(listener) % persons
	if f.ranked[person] == nil {
		of := balance.Rank(f.in.catalog, fmt.Sprint("us-", person), func(i int) string { return f.catalog[i].self.ID })
		for _, i := range of {
			f.ranked[person] = append(f.ranked[person], int16(i))
		}
	}
	return f.ranked[person]
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
		f.plays[t], f.known[t] = 2, true
		for n := range f.cat.ChunksOf(t) {
			chunk, size := f.cat.Chunk(t, n), f.cat.ChunkBytes(t, n)
			for _, o := range f.keepers(t, n) {
				f.caches[o].kept.Restore(chunk, size)
			}
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

type retry struct {
	at, first time.Duration
	q         traffic.Request
	refused   int
	missed    int // addresses that did not answer
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
	if q.refused++; q.refused > patience {
		f.p.Lost++
		return
	}
	after <<= min(q.refused-1, 4)
	q.at += after + time.Duration(f.r.Float64()*float64(after)/2)
	heap.Push(&f.later, q)
}

// elsewhere puts a request off that nobody answered: a player tries another of the addresses that the name has, after a
// second or a bit more, and stays with one that answers.
func (f *fleet) elsewhere(q retry) {
	f.p.Refused++
	if q.missed++; q.missed > addresses {
		f.p.Lost++
		return
	}
	f.moved[q.q.Listener] = int16(f.r.IntN(len(f.edges)))
	q.at += time.Second + time.Duration(f.r.Float64()*float64(time.Second/2))
	heap.Push(&f.later, q)
}

// request is a listener's request for a chunk, from beginning to end.
func (f *fleet) request(q retry) {
	f.out.Events++
	now, took := q.at, time.Duration(0)
	e := f.edges[f.moved[q.q.Listener]]
	if e.dead {
		f.elsewhere(q)
		return
	}
	if q.q.Start {
		d, ok := f.control(now, e, q.q)
		if !ok {
			f.again(q, time.Second)
			return
		}
		took += d
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
		took += d + e.compute(now, float64(size)/1e9*f.costs.nginxFetchGB)
		e.kept.add(chunk, size)
	}
	took += e.send(now, size)
	if q.q.Start {
		f.p.Starts++
		f.latency.add(now + took - q.first)
	}
}

// control is the round trip from nginx to A, to B, and to C and back.
func (f *fleet) control(now time.Duration, e *edge, q traffic.Request) (took time.Duration, ok bool) {
	took = e.compute(now, f.costs.nginxStart)
	a, lost := f.pick(now, e)
	took += lost
	if a == nil || a.cpu.wait(now) > refuseAfter {
		return took, false
	}
	took += hop + a.compute(now, f.costs.deliveryStart)
	read := balance.Class{Patience: balance.Read, Hedge: balance.Hedge, Again: true}
	ranked := f.near(q.Listener)
	targets := make([]*target, len(ranked))
	for i, b := range ranked {
		targets[i] = &a.known[b]
	}
	d, at, ok := f.ask(now, read, &a.budget, balance.Near(targets, date(now)), f.costs.catalogStart)
	took += d
	if !ok {
		return took, false
	}
	b := f.catalog[f.number(a, at)]
	read.Hedge /= 2
	owners := f.ownersOf(q.Track, 0)
	targets = targets[:0]
	for _, o := range owners {
		targets = append(targets, &b.known[o])
	}
	keepers := min(len(targets), tutti.Replicas)
	d, at, ok = f.ask(now, read, &b.budget, balance.Owners(targets[:keepers], targets[keepers:], date(now)), f.costs.cacheStart)
	took += d
	if !ok {
		return took, false
	}
	f.prepared(now, f.number(b, at), q.Track)
	return took, true
}

// number is which member a target of an asker's is.
func (f *fleet) number(of *asker, t *target) int {
	for i := range of.known {
		if &of.known[i] == t {
			return i
		}
	}
	return -1
}

// pick chooses the less busy of two deliveries, as least_conn does on average, passes over those known to be away, and
// pays for finding it out.
func (f *fleet) pick(now time.Duration, e *edge) (*asker, time.Duration) {
	var lost time.Duration
	for range 3 { // proxy_next_upstream_tries
		best := -1
		for range 2 {
			at := f.r.IntN(len(f.in.delivery))
			if e.deliveries[f.in.delivery[at]].until > now { // its neighbour in the list instead
				at = (at + 1) % len(f.in.delivery)
			}
			if n := f.in.delivery[at]; best < 0 || f.delivery[n].cpu.wait(now) < f.delivery[best].cpu.wait(now) {
				best = n
			}
		}
		if !f.delivery[best].dead {
			return f.delivery[best], lost
		}
		lost += e.deliveries[best].silence(f.r, e.cores, len(f.in.delivery), saysNothing, toDelivery)
		e.deliveries[best].fail(now, failsDelivery)
	}
	return nil, lost
}

// ask puts a control question to members, as peer.Client does, and returns who answered, and after how long.
func (f *fleet) ask(now time.Duration, how balance.Class, budget *balance.HedgeBudget, targets []*target, cost float64) (took time.Duration, won *target, ok bool) {
	if len(targets) == 0 {
		return 0, nil, false
	}
	race := balance.NewRace(how, len(targets), budget)
	type exchange struct {
		t            *target
		over         time.Duration
		dead, unsent bool
	}
	var open []exchange
	asked := 0
	ask := func(at time.Duration) {
		t := targets[asked]
		asked++
		x := exchange{t: t, dead: t.of.dead}
		switch {
		case !x.dead:
			x.over = at + hop + t.of.compute(now, cost)
		case t.stale:
			x.over, x.unsent = at+dialTimeout, true
		default: // the connections that are kept stand, and nothing comes
			x.over, t.stale = at+how.Patience, true
		}
		t.health.Begin()
		f.at(now+x.over, func(time.Duration) { t.health.End() })
		open = append(open, x)
	}
	ask(0)
	slow := race.Hedge()
	for {
		i := 0
		for k := range open {
			if open[k].over < open[i].over {
				i = k
			}
		}
		x := open[i]
		if slow > 0 && slow < x.over {
			at := slow
			slow = 0
			if race.Slow(budget) {
				ask(at)
			}
			continue
		}
		open = slices.Delete(open, i, i+1)
		if !x.dead {
			x.t.health.Answered()
			for _, other := range open { // asked before, and still silent
				if other.dead {
					other.t.health.Suspect(date(now + x.over))
				}
			}
			return x.over, x.t, true
		}
		x.t.health.Suspect(date(now + x.over))
		switch race.Failed(false, tutti.KindUnavailable, x.unsent) {
		case balance.Ask:
			ask(x.over)
		case balance.Wait:
		case balance.GiveUp, balance.Final:
			return x.over, nil, false
		}
	}
}

// prepared is what a track cache does when it is told that a track begins: it counts, and keeps the heads of what is
// played again.
func (f *fleet) prepared(now time.Duration, o int, track int32) {
	c := f.caches[o]
	f.plays[track] = min(f.plays[track]+1, 2)
	if f.known[track] || !f.heads.When.Due(f.plays[track]) || int16(o) != f.ownersOf(track, 0)[0] {
		return
	}
	if c.reads.Take(date(now), 1, f.share) && c.writes.Take(date(now), trackcache.HeadWriteUnits, f.share) {
		f.known[track] = true
		f.p.HeadWrite++
	}
}

// fetch gets a chunk from its owner, or from the next one on the ring.
func (f *fleet) fetch(now time.Duration, e *edge, track, n int32) (took time.Duration, ok bool) {
	tries := 0
	for _, o := range f.ownersOf(track, n) {
		c, seen := f.caches[o], &e.caches[o]
		if seen.until > now {
			continue
		}
		if tries++; tries > 3 { // proxy_next_upstream_tries
			break
		}
		if c.dead {
			took += seen.silence(f.r, e.cores, len(f.caches), sendsNothing, toCache)
			seen.fail(now, failsCache)
			continue
		}
		if c.cpu.wait(now)+c.net.wait(now) > refuseAfter {
			return took, false
		}
		d, ok := f.serve(now, o, track, n)
		return took + d, ok
	}
	return took, false
}

// serve answers nginx from a track cache.
func (f *fleet) serve(now time.Duration, o int16, track, n int32) (took time.Duration, ok bool) {
	c := f.caches[o]
	chunk, size := f.cat.Chunk(track, n), f.cat.ChunkBytes(track, n)
	took = hop + c.compute(now, float64(size)/1e9*f.costs.cacheGB)
	if c.kept.Hit(chunk) {
		f.p.Cache++
		if fl := f.flying[chunk]; fl.cache == o {
			took += max(0, time.Duration(fl.until)*time.Millisecond-now)
		}
		if _, again := f.demandOf(chunk, o).Asked(); again {
			if keepers := f.keepers(track, n); len(keepers) > 1 && keepers[0] == o { // a second copy, should this one be killed
				f.foresee(now, keepers[1], track, n, false)
			}
		}
	} else {
		d, ok := f.fill(now, o, track, n, forListener)
		if !ok {
			return took, false
		}
		took += d
	}
	row, reach := c.foresight.Heard(track, int64(n), date(now))
	for next := n + 1; next <= n+int32(reach) && next < f.cat.ChunksOf(track); next++ {
		if c.foresight.Tell(track, int64(next), row, date(now)) {
			to := f.keepers(track, next)[0]
			if w := f.caches[to]; !w.dead {
				w.foresight.Expect(track, int64(next), date(now))
				if row {
					f.foresee(now, to, track, next, true)
				}
			}
		}
	}
	took += c.send(now, size)
	c.bytes += size
	return took, true
}

// foresee has a track cache get a chunk before anybody asks for it there.
func (f *fleet) foresee(now time.Duration, o int16, track, n int32, ahead bool) {
	c, chunk := f.caches[o], f.cat.Chunk(track, n)
	if c.dead || c.kept.Has(chunk) || c.breaker.Open() {
		return
	}
	if _, ok := f.fill(now, o, track, n, forNobody); ok {
		f.demandOf(chunk, o).Ahead = ahead
	}
}

// demandOf is what a track cache knows of the requests for a chunk. There is room for those who own it; when others come to
// do, they take the place of one that does no longer.
func (f *fleet) demandOf(chunk int32, o int16) *policy.Demand {
	two := &f.demand[chunk]
	for i := range two {
		if two[i].cache == o+1 {
			return &two[i].Demand
		}
	}
	i := 0
	if two[0].cache != 0 && (two[1].cache == 0 || !f.caches[two[1].cache-1].kept.Has(chunk) || f.caches[two[1].cache-1].dead) {
		i = 1
	}
	two[i] = demand{cache: o + 1}
	return &two[i].Demand
}

// whom a chunk is fetched for.
type whom uint8

const (
	forListener whom = iota
	forMember        // another member: no third one is asked
	forNobody        // yet
)

// fill brings a chunk into a track cache: from its other owner, from its head, from the origin.
func (f *fleet) fill(now time.Duration, o int16, track, n int32, who whom) (took time.Duration, ok bool) {
	c := f.caches[o]
	chunk, size := f.cat.Chunk(track, n), f.cat.ChunkBytes(track, n)
	keepers := f.keepers(track, n)
	self := slices.Index(keepers, o)
	keep := func(ready time.Duration) {
		if self >= 0 {
			c.kept.Add(chunk, size)
			*f.demandOf(chunk, o) = policy.Demand{}
		}
		f.flying[chunk] = flight{o, int32(ready / time.Millisecond)}
	}
	if who != forMember {
		for i, ifHeld := range policy.Sources(len(keepers), self, func(i int) bool { return c.late.Suspected(keepers[i], date(now)) }) {
			p := f.caches[keepers[i]]
			wait := peerFirst
			if ifHeld || c.breaker.Open() {
				wait = peerHurry
			}
			if p.dead {
				took += wait
				c.late.Note(keepers[i], date(now+took))
				continue
			}
			if ifHeld {
				took += hop
				if !p.kept.Has(chunk) {
					continue
				}
			}
			took += hop
			if !p.kept.Hit(chunk) {
				d, ok := f.fill(now, keepers[i], track, n, forMember)
				if !ok {
					continue
				}
				took += d
			} else if who == forListener {
				f.p.Peer++
			}
			took += p.compute(now, float64(size)/1e9*f.costs.cacheGB) + p.send(now, size)
			keep(now + took)
			return took, true
		}
	}
	headed := time.Duration(-1)
	if n == 0 && !c.breaker.Open() && c.reads.Take(date(now), trackcache.HeadReadUnits, f.share) {
		if f.known[track] {
			f.p.HeadRate++
			if d := f.logNormal(storeMedian, 0.4); d < storeWait {
				headed = took + d
			}
			took += min(f.logNormal(storeMedian, 0.4), storeWait)
		} else {
			c.reads.Back(trackcache.HeadReadUnits - 1)
			took += min(f.logNormal(storeSmall, 0.4), storeWait)
		}
	}
	if self != 0 && who != forMember && !c.breaker.Open() { // the lease
		took += min(f.logNormal(storeSmall, 0.4), storeWait)
	}
	d, ok := f.read(now, c, track, size)
	if !ok && headed < 0 {
		return took + d, false
	}
	if ok {
		keep(now + took + d)
	}
	switch {
	case who == forNobody:
	case headed >= 0: // a listener begins with it, and the rest of the chunk comes behind
		f.p.Head++
		return headed, true
	case who == forListener || who == forMember:
		f.p.Origin++
	}
	return took + d, true
}

// read asks the origin, unless it has been found to be away.
func (f *fleet) read(now time.Duration, c *cache, track int32, size int64) (took time.Duration, ok bool) {
	for range originTries {
		if c.breaker.Open() {
			c.breaker.Wanted(track)
			return took, false
		}
		f.p.OriginRate++
		wait := f.origin.wait(now)
		if wait <= firstByte {
			took += f.take(wait)
			f.origin.work(now, time.Duration(1e9/f.c.Origin.Rate))
			c.compute(now, float64(size)/1e9*f.costs.fillGB)
			f.at(now+took, func(time.Duration) { c.breaker.Answered(track, true) })
			return took, true
		}
		// Given up after that long, which is work for nobody: the origin refuses what it cannot take.
		took += firstByte
		f.at(now+took, func(now time.Duration) {
			if _, probe := c.breaker.Failed(track); probe {
				f.probe(now, c)
			}
		})
	}
	return took, false
}

func (f *fleet) take(wait time.Duration) time.Duration {
	return wait + f.logNormal(f.c.Origin.Median, f.c.Origin.Spread)
}

// probe asks the origin now and then, until it answers.
func (f *fleet) probe(now time.Duration, c *cache) {
	track, wait, ok := c.breaker.Probe()
	if !ok {
		return
	}
	f.at(now+wait, func(now time.Duration) {
		f.p.OriginRate++
		queue := f.origin.wait(now)
		if queue > policy.ProbeMax {
			f.at(now+policy.ProbeMax, func(now time.Duration) {
				c.breaker.Failed(track)
				f.probe(now, c)
			})
			return
		}
		f.origin.work(now, time.Duration(1e9/f.c.Origin.Rate))
		f.at(now+f.take(queue), func(now time.Duration) {
			c.breaker.Answered(track, true)
			f.probe(now, c)
		})
	})
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
	p.DeliveryBusy = busy(len(f.delivery), func(i int) *machine { return &f.delivery[i].machine })
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
