// Package capacity answers what a fleet for so many listeners takes: how many machines of each role, what the network
// has to carry, what DynamoDB and the object store are asked for, what it costs, and which limit binds first.
//
// It computes; it measures nothing. What one stream costs is read from measured.json, which `make bench` rewrites
// with what it measured, and everything else that is believed (prices, a provider's limits, how people listen) from
// assumed.json. Each figure carries where it comes from, and a plan prints those it used.
package capacity

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"

	"tutti"
)

//go:embed measured.json
var measuredJSON []byte

//go:embed assumed.json
var assumedJSON []byte

// Figure is one number with its unit and where it comes from.
type Figure struct {
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Source string  `json:"source"` // the command that measured it, or the page that says it
}

// Point is a measured hit ratio of the track cache: of the requests for chunks, the share that was answered from a
// cache that holds this share of the catalogue's bytes. All requests of the listeners are meant: nothing stands before it.
type Point struct {
	Share float64 `json:"share"`
	Ratio float64 `json:"ratio"`
}

// Figures are the numbers that a plan is made from.
type Figures struct {
	Made    string            `json:"made"`              // date, ISO 8601
	Where   string            `json:"where"`             // on which machine, or for which region
	Figures map[string]Figure `json:"figures"`           // by name
	Hits    []Point           `json:"hits,omitempty"`    // by rising share
	HitsHow string            `json:"hitsHow,omitempty"` // how they were measured
}

// The names in measured.json: what this program costs.
const (
	NginxPerGB        = "nginx_cpu_per_gb"          // CPU seconds to send a GB of cached slices
	NginxFetchPerGB   = "nginx_fetch_cpu_per_gb"    // CPU seconds more a GB to fetch slices from the track caches and keep them
	NginxPerStart     = "nginx_cpu_per_start"       // CPU seconds a stream start beside its bytes
	NginxTLSPerGB     = "nginx_tls_cpu_per_gb"      // CPU seconds more a GB for TLS 1.3
	NginxPerHandshake = "nginx_tls_cpu_per_session" // CPU seconds a TLS handshake
	NginxMemory       = "nginx_memory_per_slice"    // bytes for each slice of the track that a listener hears
	DeliveryPerStart  = "delivery_cpu_per_start"    // CPU seconds
	CatalogPerStart   = "catalog_cpu_per_start"     // CPU seconds
	CachePerStart     = "cache_cpu_per_start"       // CPU seconds to prepare a head
	CachePerGB        = "cache_cpu_per_gb"          // CPU seconds to send a GB of slices to nginx
	FillPerGB         = "cache_fill_cpu_per_gb"     // CPU seconds to fetch, check and store a GB from the object store; sending it on is CachePerGB
	APIPerRequest     = "api_cpu_per_request"       // CPU seconds of delivery and catalog together
	CatalogMemory     = "catalog_memory_per_track"  // bytes
	ReadsPerStart     = "rcu_per_start"             // read units of the store a stream start
	WritesPerPlay     = "wcu_per_play"              // write units a finished play that is reported
	ReadsPerPlay      = "rcu_per_play"              // read units for it
	MemberBytes       = "member_item_bytes"         // of a heartbeat
)

var measuredNames = []string{
	NginxPerGB, NginxFetchPerGB, NginxPerStart, NginxTLSPerGB, NginxPerHandshake, NginxMemory, DeliveryPerStart, CatalogPerStart,
	CachePerStart, CachePerGB, FillPerGB, APIPerRequest, CatalogMemory, ReadsPerStart, WritesPerPlay, ReadsPerPlay, MemberBytes,
}

// The names in assumed.json: prices, limits and habits.
const (
	framing           = "framing"               // bytes on the wire a byte of music
	utilisation       = "utilisation"           // of a machine at the peak
	meanToPeak        = "mean_to_peak"          // listeners on average a listener at the peak
	apiPerStart       = "api_requests_a_start"  // what an app asks for besides
	sessionStarts     = "starts_a_connection"   // streams on one TLS connection
	edgeHit           = "edge_hit_ratio"        // slices that nginx has itself
	headShare         = "head_share"            // of the starts whose first chunk nobody has, those for which a head exists
	activeShare       = "active_share"          // of the tracks, played twice within a head's life
	headDays          = "head_days"             // a head's life
	headKiB           = "head_item_kib"         // a head item, description, key and names included
	reported          = "plays_reported"        // share of the plays that an app reports as finished
	stateBytes        = "state_bytes_per_user"  // in the store
	usersPerListener  = "users_per_listener"    // registered accounts a listener at the peak
	trackBytes        = "store_bytes_per_track" // catalogue log and snapshot
	catalogFollow     = "catalog_follow_reads"  // read units a second and catalogue node, whether anything changes or not
	partitionReads    = "partition_read_units"
	partitionWrites   = "partition_write_units"
	newTableReads     = "new_table_read_units"
	newTableWrites    = "new_table_write_units"
	tableReads        = "table_read_units"
	tableWrites       = "table_write_units"
	prefixGets        = "s3_prefix_gets"
	openFiles         = "open_files_a_process"
	priceReads        = "price_read_units"
	priceWrites       = "price_write_units"
	priceStateStorage = "price_store_gb_month"
	priceGets         = "price_s3_gets"
	priceMusicStorage = "price_s3_gb_month"
	priceEgress10     = "price_egress_first_10tb"
	priceEgress50     = "price_egress_next_40tb"
	priceEgress150    = "price_egress_next_100tb"
	priceEgressMore   = "price_egress_over_150tb"
	priceCrossZone    = "price_cross_zone"
	edgeVCPU          = "edge_vcpu"
	edgeGiB           = "edge_memory_gib"
	edgeGbit          = "edge_gbit"
	edgePrice         = "price_edge_hour"
	nodeVCPU          = "node_vcpu"
	nodeGiB           = "node_memory_gib"
	nodeGbit          = "node_gbit"
	nodePrice         = "price_node_hour"
	cacheVCPU         = "cache_vcpu"
	cacheGiB          = "cache_memory_gib"
	cacheGbit         = "cache_gbit"
	cacheDisk         = "cache_disk_gb"
	cachePrice        = "price_cache_hour"
)

var assumedNames = []string{
	framing, utilisation, meanToPeak, apiPerStart, sessionStarts, edgeHit, headShare, activeShare, headDays, headKiB, reported, stateBytes,
	usersPerListener, trackBytes, catalogFollow, partitionReads, partitionWrites, newTableReads, newTableWrites, tableReads, tableWrites, prefixGets, openFiles,
	priceReads, priceWrites, priceStateStorage, priceGets, priceMusicStorage, priceEgress10, priceEgress50, priceEgress150, priceEgressMore, priceCrossZone,
	edgeVCPU, edgeGiB, edgeGbit, edgePrice, nodeVCPU, nodeGiB, nodeGbit, nodePrice, cacheVCPU, cacheGiB, cacheGbit, cacheDisk, cachePrice,
}

// Measured returns the figures that were measured when this program was built.
func Measured() (Figures, error) { return ReadMeasured(measuredJSON) }

// ReadMeasured reads figures in the form of measured.json. Missing, unknown, negative and endless ones are
// KindInvalid, and so is a hit ratio that falls as the cache grows.
func ReadMeasured(b []byte) (Figures, error) {
	f, err := read(b, measuredNames)
	if err != nil {
		return Figures{}, err
	}
	if len(f.Hits) == 0 {
		return Figures{}, tutti.Errorf(tutti.KindInvalid, "capacity.ReadMeasured", "no hit ratio was measured")
	}
	last := Point{}
	for _, p := range f.Hits {
		if !(p.Share > last.Share && p.Share <= 1 && p.Ratio >= last.Ratio && p.Ratio <= 1) {
			return Figures{}, tutti.Errorf(tutti.KindInvalid, "capacity.ReadMeasured", "the hit ratios do not rise with the share of the catalogue, at %v", p.Share)
		}
		last = p
	}
	return f, nil
}

// Assumed returns the figures that nobody here can measure.
func Assumed() (Figures, error) { return read(assumedJSON, assumedNames) }

func read(b []byte, names []string) (Figures, error) {
	const op = "capacity: read figures"
	var f Figures
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return Figures{}, tutti.Wrap(tutti.KindInvalid, op, err)
	}
	for name, figure := range f.Figures {
		switch {
		case !slices.Contains(names, name):
			return Figures{}, tutti.Errorf(tutti.KindInvalid, op, "nothing uses a figure %q", name)
		case figure.Value < 0 || math.IsInf(figure.Value, 0) || math.IsNaN(figure.Value) || figure.Unit == "" || figure.Source == "":
			return Figures{}, tutti.Errorf(tutti.KindInvalid, op, "figure %q needs a value from 0 on, a unit and a source", name)
		}
	}
	for _, name := range names {
		if _, ok := f.Figures[name]; !ok {
			return Figures{}, tutti.Errorf(tutti.KindInvalid, op, "figure %q is missing", name)
		}
	}
	return f, nil
}

// Rewrite changes measured values in a file such as measured.json and keeps the others as they are; a name that the
// file does not have, and a result that ReadMeasured would refuse, is KindInvalid and leaves the file alone.
func Rewrite(path, made, where string, values map[string]Figure, hits []Point, how string) error {
	const op = "capacity.Rewrite"
	b, err := os.ReadFile(path)
	if err != nil {
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	f, err := ReadMeasured(b)
	if err != nil {
		return err
	}
	f.Made, f.Where = made, where
	for name, v := range values {
		old, ok := f.Figures[name]
		if !ok {
			return tutti.Errorf(tutti.KindInvalid, op, "there is no figure %q", name)
		}
		if v.Unit == "" {
			v.Unit = old.Unit
		}
		if v.Source == "" {
			v.Source = old.Source
		}
		f.Figures[name] = v
	}
	if len(hits) > 0 {
		f.Hits, f.HitsHow = hits, how
	}
	out, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return tutti.Wrap(tutti.KindInvalid, op, err)
	}
	if _, err := ReadMeasured(out); err != nil {
		return err
	}
	if err := os.WriteFile(path, append(out, '\n'), 0o644); err != nil {
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	return nil
}

// at returns a figure that read has seen to be there.
func (f Figures) at(name string) float64 {
	v, ok := f.Figures[name]
	if !ok {
		panic(fmt.Sprintf("capacity: figure %q was not read", name))
	}
	return v.Value
}

// hit interpolates the measured hit ratios at a share of the catalogue's bytes, between points by the logarithm of the
// share, because popularity follows a power law; below the first point in proportion.
func (f Figures) hit(share float64) float64 {
	share = min(max(share, 0), 1)
	first, last := f.Hits[0], f.Hits[len(f.Hits)-1]
	switch {
	case share <= first.Share:
		return first.Ratio * share / first.Share
	case share >= last.Share:
		return last.Ratio
	}
	i, _ := slices.BinarySearchFunc(f.Hits, share, func(p Point, s float64) int {
		if p.Share < s {
			return -1
		}
		return 1
	})
	a, b := f.Hits[i-1], f.Hits[i]
	return a.Ratio + (b.Ratio-a.Ratio)*math.Log(share/a.Share)/math.Log(b.Share/a.Share)
}
