package capacity

import (
	"math"
	"slices"

	"tutti"
)

// Question is what somebody wants to know. Zero values of the fields that say so mean the figure of assumed.json.
type Question struct {
	Listeners    int     `json:"listeners" help:"People who listen at the same moment, at the peak." required:""`
	Bitrate      int     `json:"bitrateKbps" help:"Music a listener gets, in kbit/s (256 for an AAC file, about 900 for a FLAC)." default:"256"`
	Tracks       int     `json:"tracks" help:"Tracks in the catalogue." default:"1000000"`
	TrackSeconds float64 `json:"trackSeconds" help:"Length of a track on average, in seconds." default:"240"`
	PlaysPerHour float64 `json:"playsPerHour" help:"Stream starts a listener and hour; 0 is as many as tracks fit." default:"0"`
	HitRatio     float64 `json:"hitRatio" help:"Share of all requests for chunks that nginx and the track caches answer between them, without the object store; 0 computes it from the caches' size and the measured curve." default:"0"`
	CacheShare   float64 `json:"cacheShare" help:"Size of all track caches together, replicas included, as a share of the catalogue's bytes; 0 is what their disks hold." default:"0"`
	Zones        int     `json:"zones" help:"Zones over which the fleet is spread; it survives the loss of one. 1 does not." default:"3"`
	EgressPrice  float64 `json:"egressPrice" help:"Dollars a GB to the listeners; 0 is the list price." default:"0"`
	NoHeads      bool    `json:"noHeads" help:"Leave the heads in the store out."`
	NoTLS        bool    `json:"noTLS" help:"Somebody else ends TLS in front of the fleet."`
}

// check returns KindInvalid for a question that has no answer.
func (q Question) check() error {
	const op = "capacity.Question"
	switch {
	case q.Listeners < 1 || q.Listeners > 1e9:
		return tutti.Errorf(tutti.KindInvalid, op, "listeners: from 1 to 1,000,000,000")
	case q.Bitrate < 8 || q.Bitrate > 50_000:
		return tutti.Errorf(tutti.KindInvalid, op, "bitrate: from 8 to 50,000 kbit/s")
	case q.Tracks < 1 || q.Tracks > 1e10:
		return tutti.Errorf(tutti.KindInvalid, op, "tracks: from 1 to 10,000,000,000")
	case !(q.TrackSeconds >= 1 && q.TrackSeconds <= 1e6):
		return tutti.Errorf(tutti.KindInvalid, op, "seconds of a track: from 1 to 1,000,000")
	case !(q.PlaysPerHour >= 0 && q.PlaysPerHour <= 3600):
		return tutti.Errorf(tutti.KindInvalid, op, "plays an hour: from 0 to 3,600")
	case !(q.HitRatio >= 0 && q.HitRatio <= 1):
		return tutti.Errorf(tutti.KindInvalid, op, "hit ratio: from 0 to 1")
	case !(q.CacheShare >= 0 && q.CacheShare <= 10):
		return tutti.Errorf(tutti.KindInvalid, op, "share of the catalogue in the caches: from 0 to 10")
	case q.Zones < 1 || q.Zones > 20:
		return tutti.Errorf(tutti.KindInvalid, op, "zones: from 1 to 20")
	case !(q.EgressPrice >= 0 && q.EgressPrice <= 100):
		return tutti.Errorf(tutti.KindInvalid, op, "price of a GB: from 0 to 100 dollars")
	}
	return nil
}

// Plan is the answer. Rates are those of the peak's seconds; money is for a month of 730 hours.
type Plan struct {
	Question Question `json:"question"`

	StartsPerSecond float64 `json:"startsPerSecond"`
	GBPerSecond     float64 `json:"gbPerSecond"`   // of music, 10^9 bytes
	HitRatio        float64 `json:"hitRatio"`      // of all requests for chunks, those that nginx and the track caches answer between them
	CacheHitRatio   float64 `json:"cacheHitRatio"` // of the requests that nginx passes on, those that the track caches answer
	Roles           []Role  `json:"roles"`
	Network         Network `json:"network"`
	Store           Store   `json:"store"`
	Objects         Objects `json:"objects"`
	Money           Money   `json:"money"`
	Limits          []Limit `json:"limits"` // the nearest first

	measured, assumed Figures
}

// Role is what one kind of machine needs at the peak, and how many of them do it.
type Role struct {
	Name      string  `json:"name"`
	Machine   string  `json:"machine"`
	CPU       float64 `json:"cpuCores"`   // busy
	Gbit      float64 `json:"gbitOut"`    // sent, framing included
	MemoryGiB float64 `json:"memoryGiB"`  // of all instances together, or of each where each holds the same
	DiskGB    float64 `json:"diskGB"`     // of all together
	Files     float64 `json:"files"`      // held open by all together, where that may bind
	Binds     string  `json:"binds"`      // which of them asks for the most machines
	Needed    int     `json:"needed"`     // at the utilisation
	Instances int     `json:"instances"`  // so that as many are left when a zone is gone
	Used      float64 `json:"used"`       // share of what binds, of each instance at the peak
	UsedLess  float64 `json:"usedLess"`   // the same with a zone lost at the peak
	PriceHour float64 `json:"priceAHour"` // of one
	Cores     float64 `json:"coresEach"`
	GbitEach  float64 `json:"gbitEach"`
}

// Network is what crosses the fleet's border and its inside.
type Network struct {
	ToListenersGbit  float64 `json:"toListenersGbit"`
	CacheToEdgeGbit  float64 `json:"cacheToEdgeGbit"`
	OriginGbit       float64 `json:"originGbit"`
	TLSCores         float64 `json:"tlsCores"` // part of the edge's CPU
	HandshakesSecond float64 `json:"tlsHandshakesPerSecond"`
}

// Store is what DynamoDB is asked for.
type Store struct {
	ReadUnits     float64 `json:"readUnitsPerSecond"`         // at the peak, RestingReads included
	WriteUnits    float64 `json:"writeUnitsPerSecond"`        // likewise
	RestingReads  float64 `json:"restingReadUnitsPerSecond"`  // by day and by night, however many listen
	RestingWrites float64 `json:"restingWriteUnitsPerSecond"` // likewise
	HeadReads     float64 `json:"headReadsPerSecond"`
	HeadWrites    float64 `json:"headWritesPerSecond"` // steady: as many as end
	HeadGB        float64 `json:"headGB"`
	HeadFillHours float64 `json:"headFillHours"` // to write all heads into a new table, at its first write limit
	GB            float64 `json:"gb"`            // heads included
	ReadMillions  float64 `json:"readUnitsMillionsAMonth"`
	WriteMillions float64 `json:"writeUnitsMillionsAMonth"`
}

// Objects is what the object store is asked for.
type Objects struct {
	GetsPerSecond float64 `json:"getsPerSecond"`
	GetsMillions  float64 `json:"getsMillionsAMonth"`
	GB            float64 `json:"gb"`
}

// Money is in US dollars.
type Money struct {
	Machines       float64 `json:"machines"`
	Egress         float64 `json:"egress"`
	Zones          float64 `json:"betweenZones"` // what the track caches send to nginx in other zones
	Store          float64 `json:"store"`
	Objects        float64 `json:"objects"`
	Month          float64 `json:"month"`
	StreamHours    float64 `json:"streamHours"` // in the month
	StreamHour     float64 `json:"streamHour"`  // of all
	WithoutEgress  float64 `json:"streamHourWithoutEgress"`
	HeadsPerStarts float64 `json:"headsPerMillionHeadStarts"` // what a million starts from a head cost in read units
}

// Limit is a ceiling that a fleet meets, with how near this one is.
type Limit struct {
	Name     string  `json:"name"`
	Load     float64 `json:"load"`
	Ceiling  float64 `json:"ceiling"`
	Unit     string  `json:"unit"`
	Share    float64 `json:"share"`            // load / ceiling; over 1 it binds
	Binds    int     `json:"bindsAtListeners"` // 0: not below a billion
	Remedy   string  `json:"remedy"`
	Source   string  `json:"source"`
	Scalable bool    `json:"scalable"` // more machines or a request to the provider raise it
}

// Make answers a question from figures. The error is KindInvalid for a question outside the ranges.
func Make(q Question, measured, assumed Figures) (Plan, error) {
	if err := q.check(); err != nil {
		return Plan{}, err
	}
	p := compute(q, measured, assumed)
	p.binds()
	slices.SortStableFunc(p.Limits, func(a, b Limit) int {
		switch {
		case a.Share > b.Share:
			return -1
		case a.Share < b.Share:
			return 1
		}
		return 0
	})
	return p, nil
}

const (
	monthHours   = 730 // 365 × 24 / 12
	monthSeconds = monthHours * 3600
	giB          = 1 << 30
)

func compute(q Question, m, a Figures) Plan {
	p := Plan{Question: q, measured: m, assumed: a}
	listeners := float64(q.Listeners)
	plays := q.PlaysPerHour
	if plays == 0 {
		plays = 3600 / q.TrackSeconds
	}
	p.StartsPerSecond = listeners * plays / 3600
	p.GBPerSecond = listeners * float64(q.Bitrate) * 1000 / 8 / 1e9
	trackGB := float64(q.Bitrate) * 1000 / 8 * q.TrackSeconds / 1e9
	catalogueGB := trackGB * float64(q.Tracks)
	mean := a.at(meanToPeak)

	// The edge: every byte leaves through it. Its slice module opens all slices of a track at once where they are in its
	// cache, and closes them when the listener has the last.
	slices := math.Ceil(trackGB * 1e9 / tutti.ChunkSize)
	tls := 0.0
	if !q.NoTLS {
		p.Network.HandshakesSecond = p.StartsPerSecond / a.at(sessionStarts)
		tls = p.GBPerSecond*m.at(NginxTLSPerGB) + p.Network.HandshakesSecond*m.at(NginxPerHandshake)
		p.Network.TLSCores = tls
	}
	passed := 1 - a.at(edgeHit) // to the track caches
	toEdge := p.GBPerSecond * passed
	edge := Role{
		Name: "nginx", Machine: a.Figures[edgeVCPU].Source, PriceHour: a.at(edgePrice),
		CPU:       p.GBPerSecond*m.at(NginxPerGB) + toEdge*m.at(NginxFetchPerGB) + p.StartsPerSecond*m.at(NginxPerStart) + tls,
		Gbit:      p.GBPerSecond * 8 * a.at(framing),
		MemoryGiB: listeners * slices * m.at(NginxMemory) / giB,
		Files:     listeners * (1 + slices),
	}
	edge.count(q, a, machine{cores: a.at(edgeVCPU), gbit: a.at(edgeGbit), gib: a.at(edgeGiB), files: a.at(openFiles) * a.at(edgeVCPU)})
	p.Network.ToListenersGbit = edge.Gbit

	// A and B: control only.
	requests := p.StartsPerSecond * a.at(apiPerStart)
	half := requests * m.at(APIPerRequest) / 2 // measured for both together
	delivery := Role{
		Name: "delivery", Machine: a.Figures[nodeVCPU].Source, PriceHour: a.at(nodePrice),
		CPU:  p.StartsPerSecond*m.at(DeliveryPerStart) + half,
		Gbit: requests * 20_000 * 8 / 1e9 * a.at(framing), // a page of fifty albums is about 20 kB
	}
	delivery.count(q, a, machine{cores: a.at(nodeVCPU), gbit: a.at(nodeGbit), gib: a.at(nodeGiB)})
	catalog := Role{
		Name: "catalog", Machine: a.Figures[nodeVCPU].Source, PriceHour: a.at(nodePrice),
		CPU:       p.StartsPerSecond*m.at(CatalogPerStart) + half,
		Gbit:      delivery.Gbit,
		MemoryGiB: float64(q.Tracks) * m.at(CatalogMemory) * 1.5 / giB, // half as much again while a snapshot is read
	}
	catalog.count(q, a, machine{cores: a.at(nodeVCPU), gbit: a.at(nodeGbit)}) // each holds all tracks: a limit, not a number of machines

	// C: what nginx does not have itself.
	cache := Role{
		Name: "trackcache", Machine: a.Figures[cacheVCPU].Source, PriceHour: a.at(cachePrice),
		Gbit: toEdge * 8 * a.at(framing),
	}
	cache.CPU = toEdge*m.at(CachePerGB) + p.StartsPerSecond*m.at(CachePerStart)
	cache.DiskGB = q.CacheShare * catalogueGB
	each := machine{cores: a.at(cacheVCPU), gbit: a.at(cacheGbit), disk: a.at(cacheDisk)}
	cache.count(q, a, each)
	if q.CacheShare == 0 {
		cache.DiskGB = min(float64(cache.Instances)*a.at(cacheDisk)*0.9, catalogueGB*tutti.Replicas)
	}
	p.HitRatio = q.HitRatio
	if p.HitRatio == 0 {
		p.HitRatio = m.hit(cache.DiskGB / tutti.Replicas / catalogueGB)
	}
	// The curve is of all requests, with no nginx before the cache. What nginx answers is what is asked for most, which
	// the track caches would have as well: it is a part of these hits and takes nothing off the misses.
	p.HitRatio = max(p.HitRatio, a.at(edgeHit))
	missed := 1 - p.HitRatio
	if passed > 0 {
		p.CacheHitRatio = 1 - missed/passed
	}
	fills := p.GBPerSecond * missed
	cache.CPU += fills * m.at(FillPerGB)
	if q.CacheShare == 0 {
		each.disk = 0 // what the machines happen to have asks for no more of them
	}
	cache.count(q, a, each)
	p.Network.CacheToEdgeGbit = cache.Gbit
	p.Network.OriginGbit = fills * 8 * a.at(framing)
	p.Roles = []Role{edge, delivery, catalog, cache}

	members := 0.0
	for _, r := range p.Roles[1:] {
		members += float64(r.Instances)
	}
	p.store(q, members, float64(edge.Instances), float64(catalog.Instances))
	p.Objects.GetsPerSecond = fills * 1e9 / tutti.ChunkSize
	p.Objects.GetsMillions = p.Objects.GetsPerSecond * mean * monthSeconds / 1e6
	p.Objects.GB = catalogueGB
	p.money(q)
	p.limits(q, members, float64(edge.Instances))
	return p
}

// Figure is one that the plan was made from, by its name in measured.json or assumed.json.
func (p Plan) Figure(name string) float64 {
	if v, ok := p.measured.Figures[name]; ok {
		return v.Value
	}
	return p.assumed.at(name)
}

// machine is the size of one. What is 0 is not asked about.
type machine struct{ cores, gbit, gib, disk, files float64 }

// count says how many machines of a size a role takes.
func (r *Role) count(q Question, a Figures, each machine) {
	r.Cores, r.GbitEach = each.cores, each.gbit
	most, full := 0.0, 0.0 // full: with nothing left over
	for _, need := range []struct {
		what       string
		load, each float64
		used       float64 // of it at most
	}{
		{"CPU", r.CPU, each.cores, a.at(utilisation)},
		{"network", r.Gbit, each.gbit, a.at(utilisation)},
		{"memory", r.MemoryGiB, each.gib, a.at(utilisation)},
		{"disk", r.DiskGB, each.disk, 0.9},
		{"open files", r.Files, each.files, a.at(utilisation)},
	} {
		if need.each > 0 && need.load/(need.each*need.used) > most {
			most, full, r.Binds = need.load/(need.each*need.used), need.load/need.each, need.what
		}
	}
	r.Needed = max(1, int(math.Ceil(most-1e-9)))
	r.Instances = r.Needed
	if q.Zones > 1 {
		r.Instances = max(2, int(math.Ceil(float64(r.Needed)*float64(q.Zones)/float64(q.Zones-1)-1e-9)))
	}
	r.Used = full / float64(r.Instances)
	r.UsedLess = r.Used
	if q.Zones > 1 { // they stand in the zones in turn
		left := r.Instances - (r.Instances+q.Zones-1)/q.Zones
		r.UsedLess = full / float64(max(1, left))
	}
}

func (p *Plan) store(q Question, members, edges, catalogs float64) {
	m, a := p.measured, p.assumed
	s := &p.Store
	played := p.StartsPerSecond * a.at(reported)
	// What follows the listeners.
	reads := p.StartsPerSecond*m.at(ReadsPerStart) + played*m.at(ReadsPerPlay)
	writes := played * m.at(WritesPerPlay)
	s.RestingReads, s.RestingWrites = resting(m, a, members, edges, catalogs)
	if !q.NoHeads {
		heads := float64(q.Tracks) * a.at(activeShare)
		cold := p.StartsPerSecond * (1 - p.HitRatio)
		s.HeadReads = cold * a.at(headShare)
		s.HeadWrites = heads / (a.at(headDays) * 86400)
		s.HeadGB = heads * a.at(headKiB) * 1024 / 1e9
		s.HeadFillHours = heads * headWriteUnits(a) / a.at(newTableWrites) / 3600
		reads += s.HeadReads*headReadUnits(a) + (cold - s.HeadReads) // that there is no head is a unit
		// Before a head is written its note is read. Heads end and are renewed by the calendar.
		s.RestingReads += s.HeadWrites
		s.RestingWrites += s.HeadWrites * headWriteUnits(a)
	}
	s.ReadUnits, s.WriteUnits = reads+s.RestingReads, writes+s.RestingWrites
	s.GB = s.HeadGB + float64(q.Tracks)*a.at(trackBytes)/1e9 + float64(q.Listeners)*a.at(usersPerListener)*a.at(stateBytes)/1e9
	mean := a.at(meanToPeak)
	s.ReadMillions = (reads*mean + s.RestingReads) * monthSeconds / 1e6
	s.WriteMillions = (writes*mean + s.RestingWrites) * monthSeconds / 1e6
}

// resting is what a fleet uses when nobody listens, heads apart. Each member writes its own heartbeat once a second; the
// members and the nginx machines, which are none, read everybody's as often. Catalogue nodes follow the catalogue's log.
func resting(m, a Figures, members, edges, catalogs float64) (reads, writes float64) {
	reads = lookUnits(m, members, edges) + catalogs*a.at(catalogFollow)
	return reads, beatUnits(m, members)
}

// lookUnits is what all looks at the heartbeats take, a second.
func lookUnits(m Figures, members, edges float64) float64 {
	return (members + edges) * memberReadUnits(members, m.at(MemberBytes))
}

// beatUnits is what all heartbeats take, a second.
func beatUnits(m Figures, members float64) float64 {
	return members * math.Ceil(m.at(MemberBytes)/1024)
}

// headReadUnits is what a read of a head takes: a unit for each 4 KiB begun of each of its two items, since the store reads consistently (half as
// much would do for reads that need not see the latest write, which it does not offer).
func headReadUnits(a Figures) float64 { return math.Ceil(a.at(headKiB)/4) + 1 }

// headWriteUnits is what a write of a head takes: a unit for each KiB begun, and one for the note that it is there.
func headWriteUnits(a Figures) float64 { return math.Ceil(a.at(headKiB)) + 1 }

// memberReadUnits is what one member's look at all heartbeats takes, strongly consistent: a query adds up the
// items it reads and rounds the sum up to 4 KiB.
func memberReadUnits(members, bytes float64) float64 { return math.Ceil(members * bytes / 4096) }

func (p *Plan) money(q Question) {
	a, w := p.assumed, &p.Money
	mean := a.at(meanToPeak)
	for _, r := range p.Roles {
		w.Machines += float64(r.Instances) * r.PriceHour * monthHours
	}
	gb := p.GBPerSecond * mean * monthSeconds * a.at(framing)
	if q.EgressPrice > 0 {
		w.Egress = gb * q.EgressPrice
	} else {
		w.Egress = tiered(gb, []tier{
			{10_000, a.at(priceEgress10)},
			{40_000, a.at(priceEgress50)},
			{100_000, a.at(priceEgress150)},
			{math.Inf(1), a.at(priceEgressMore)},
		})
	}
	w.Store = p.Store.ReadMillions*a.at(priceReads) + p.Store.WriteMillions*a.at(priceWrites) + p.Store.GB*a.at(priceStateStorage)
	w.Objects = p.Objects.GetsMillions*a.at(priceGets) + p.Objects.GB*a.at(priceMusicStorage)
	crossing := p.Network.CacheToEdgeGbit / 8 * float64(q.Zones-1) / float64(q.Zones)
	w.Zones = crossing * mean * monthSeconds * a.at(priceCrossZone)
	w.Month = w.Machines + w.Egress + w.Zones + w.Store + w.Objects
	w.StreamHours = float64(q.Listeners) * mean * monthHours
	w.StreamHour = w.Month / w.StreamHours
	w.WithoutEgress = (w.Month - w.Egress) / w.StreamHours
	w.HeadsPerStarts = headReadUnits(a) * a.at(priceReads)
}

type tier struct{ size, price float64 }

func tiered(amount float64, tiers []tier) (sum float64) {
	for _, t := range tiers {
		part := min(amount, t.size)
		sum += part * t.price
		amount -= part
	}
	return sum
}

func (p *Plan) limits(q Question, members, edges float64) {
	m, a := p.measured, p.assumed
	add := func(name string, load, ceiling float64, unit, source, remedy string, scalable bool) {
		p.Limits = append(p.Limits, Limit{
			Name: name, Load: load, Ceiling: ceiling, Unit: unit, Share: load / ceiling, Remedy: remedy, Source: source, Scalable: scalable,
		})
	}
	s := p.Store
	if !q.NoHeads {
		// Keys spread heads over partitions evenly; a table has as many partitions as its read limit takes.
		add("head reads, one partition", s.HeadReads/math.Ceil(a.at(newTableReads)/a.at(partitionReads)),
			math.Floor(a.at(partitionReads)/headReadUnits(a)), "head reads/s", a.Figures[partitionReads].Source,
			"more partitions (warm throughput), larger caches, or no heads", true)
		add("head writes, new table", s.WriteUnits/headWriteUnits(a), math.Floor(a.at(newTableWrites)/headWriteUnits(a)),
			"head writes/s, all other writes counted as such", a.Figures[newTableWrites].Source, "warm throughput before the opening", true)
	}
	add("write units, new table", s.WriteUnits, a.at(newTableWrites), "write units/s", a.Figures[newTableWrites].Source, "warm throughput before the opening", true)
	add("read units, new table", s.ReadUnits, a.at(newTableReads), "read units/s", a.Figures[newTableReads].Source, "warm throughput before the opening", true)
	add("write units, table quota", s.WriteUnits, a.at(tableWrites), "write units/s", a.Figures[tableWrites].Source, "ask for a higher quota, or report plays in batches", true)
	add("read units, table quota", s.ReadUnits, a.at(tableReads), "read units/s", a.Figures[tableReads].Source, "ask for a higher quota", true)
	add("heartbeats, one partition's reads", lookUnits(m, members, edges), a.at(partitionReads), "read units/s",
		a.Figures[partitionReads].Source, "several fleets, each with its table, behind one name", false)
	add("heartbeats, one partition's writes", beatUnits(m, members), a.at(partitionWrites), "write units/s",
		a.Figures[partitionWrites].Source, "several fleets, each with its table, behind one name", false)
	add("object store, one prefix", p.Objects.GetsPerSecond, a.at(prefixGets), "GET/s", a.Figures[prefixGets].Source, "more prefixes (libraries), larger caches", true)
	add("catalogue in a node's memory", p.Roles[2].MemoryGiB, a.at(nodeGiB)*a.at(utilisation), "GiB", m.Figures[CatalogMemory].Source,
		"a machine with more memory for the catalogue", false)
	edge, cache := p.Roles[0], p.Roles[3]
	add("network of one nginx machine", edge.Gbit, a.at(edgeGbit)*a.at(utilisation), "Gbit/s", a.Figures[edgeGbit].Source, "more machines: the plan counts them", true)
	add("open files of one nginx machine", edge.Files, a.at(openFiles)*a.at(edgeVCPU)*a.at(utilisation), "files", a.Figures[openFiles].Source,
		"more machines: the plan counts them; needs LimitNOFILE as high", true)
	add("processors of one nginx machine", edge.CPU, a.at(edgeVCPU)*a.at(utilisation), "cores", m.Figures[NginxPerGB].Source, "more machines: the plan counts them", true)
	add("network of one trackcache machine", cache.Gbit, a.at(cacheGbit)*a.at(utilisation), "Gbit/s", a.Figures[cacheGbit].Source, "more machines: the plan counts them", true)
}

// binds fills in the fewest listeners at which each limit is reached. Loads need not rise with every listener (one
// more machine brings its disk, and the origin is asked less), so a grid is walked from below before the last step is
// halved.
func (p *Plan) binds() {
	shares := func(listeners int) []float64 {
		q := p.Question
		q.Listeners = listeners
		limits := compute(q, p.measured, p.assumed).Limits
		out := make([]float64, len(limits))
		for i, l := range limits {
			out[i] = l.Share
		}
		return out
	}
	const most = 1_000_000_000
	left, below := len(p.Limits), 0
	for at := 1; left > 0 && below < most; below, at = at, min(most, at+1+at/10) {
		for i, share := range shares(at) {
			if share < 1 || p.Limits[i].Binds > 0 {
				continue
			}
			lo, hi := below, at
			for hi-lo > 1 {
				if mid := lo + (hi-lo)/2; shares(mid)[i] >= 1 {
					hi = mid
				} else {
					lo = mid
				}
			}
			p.Limits[i].Binds = hi
			left--
		}
	}
}
