package trackcache

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

type chunkCounters struct {
	hitsMemory, hitsDisk, joined, misses          atomic.Int64
	bytesMemory, bytesDisk                        atomic.Int64 // sent
	bytesPeer, bytesHead, bytesOrigin             atomic.Int64 // filled
	fillsPeer, fillsOrigin                        atomic.Int64
	failed, peerFailed, crowded                   atomic.Int64
	changed, mismatched                           atomic.Int64
	aheadFilled, aheadUseful, aheadWasted         atomic.Int64
	replicated, hintsDropped, warmDropped, leased atomic.Int64
}

var (
	descChunkReads   = prometheus.NewDesc("tutti_chunks_reads_total", "Chunks asked for, by what answered: disk, memory, joined (somebody else's fill) or filled.", []string{"by"}, nil)
	descChunkSent    = prometheus.NewDesc("tutti_chunks_sent_bytes_total", "Bytes of chunks sent to listeners and other members, by where they lay.", []string{"from"}, nil)
	descChunkFilled  = prometheus.NewDesc("tutti_chunks_filled_bytes_total", "Bytes that chunks were filled with, by where they came from.", []string{"from"}, nil)
	descChunkFills   = prometheus.NewDesc("tutti_chunks_fills_total", "Chunks filled, by the source that completed them; failed where none did.", []string{"from"}, nil)
	descChunkTrouble = prometheus.NewDesc("tutti_chunks_trouble_total", "What went wrong and was mended: damaged (on the disk), mismatched (with the seal), peer (did not send), changed (at the origin), crowded (too many fills), disk (did not take a chunk).", []string{"what"}, nil)
	descChunkAhead   = prometheus.NewDesc("tutti_chunks_ahead_total", "Chunks got before anybody asked: filled, useful (asked for later), wasted (made room unread), dropped (no place).", []string{"what"}, nil)
	descChunkHints   = prometheus.NewDesc("tutti_chunks_hints_total", "What other members were told: replicate (get a second copy), dropped.", []string{"what"}, nil)
	descChunkHeads   = prometheus.NewDesc("tutti_chunks_heads_total", "Heads in the store: read, missed, written, skipped (quota), failed, stale.", []string{"what"}, nil)
	descChunkUnits   = prometheus.NewDesc("tutti_chunks_head_units_total", "Units that heads cost, counted from their sizes.", []string{"kind"}, nil)
	descChunkSeals   = prometheus.NewDesc("tutti_chunks_seals_total", "Seals: read, missing, failed, taken, refused, revoked.", []string{"what"}, nil)
	descChunkOrigin  = prometheus.NewDesc("tutti_chunks_origin_total", "Requests of the origin: read, failed, refused (known to be away), probe.", []string{"what"}, nil)
	descChunkAway    = prometheus.NewDesc("tutti_chunks_origin_away", "1 while a library's storage is known to be away.", []string{"library"}, nil)
	descChunkStored  = prometheus.NewDesc("tutti_chunks_stored_bytes", "Bytes of chunks kept, by tier.", []string{"tier"}, nil)
	descChunkCount   = prometheus.NewDesc("tutti_chunks_stored", "Chunks kept, by tier.", []string{"tier"}, nil)
	descChunkFilling = prometheus.NewDesc("tutti_chunks_filling", "Chunks being filled now.", nil, nil)
	descChunkEvicted = prometheus.NewDesc("tutti_chunks_evicted_total", "Chunks on the disk that made room for others.", nil, nil)
	descChunkFailing = prometheus.NewDesc("tutti_chunks_disk_failing", "1 while the disk takes no chunks.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *Chunks) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descChunkReads, descChunkSent, descChunkFilled, descChunkFills, descChunkTrouble, descChunkAhead, descChunkHints, descChunkHeads,
		descChunkUnits, descChunkSeals, descChunkOrigin, descChunkAway, descChunkStored, descChunkCount, descChunkFilling, descChunkEvicted,
		descChunkFailing,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Chunks) Collect(ch chan<- prometheus.Metric) {
	s, h, l, g, d := &c.stats, c.heads, c.seals, c.guard, c.disk
	for _, m := range []struct {
		desc  *prometheus.Desc
		label string
		n     *atomic.Int64
	}{
		{descChunkReads, "disk", &s.hitsDisk},
		{descChunkReads, "memory", &s.hitsMemory},
		{descChunkReads, "joined", &s.joined},
		{descChunkReads, "filled", &s.misses},
		{descChunkSent, "disk", &s.bytesDisk},
		{descChunkSent, "memory", &s.bytesMemory},
		{descChunkFilled, "peer", &s.bytesPeer},
		{descChunkFilled, "head", &s.bytesHead},
		{descChunkFilled, "origin", &s.bytesOrigin},
		{descChunkFills, "peer", &s.fillsPeer},
		{descChunkFills, "origin", &s.fillsOrigin},
		{descChunkFills, "failed", &s.failed},
		{descChunkTrouble, "damaged", &d.damaged},
		{descChunkTrouble, "mismatched", &s.mismatched},
		{descChunkTrouble, "peer", &s.peerFailed},
		{descChunkTrouble, "changed", &s.changed},
		{descChunkTrouble, "crowded", &s.crowded},
		{descChunkTrouble, "disk", &d.refused},
		{descChunkAhead, "filled", &s.aheadFilled},
		{descChunkAhead, "useful", &s.aheadUseful},
		{descChunkAhead, "wasted", &s.aheadWasted},
		{descChunkAhead, "dropped", &s.warmDropped},
		{descChunkHints, "replicate", &s.replicated},
		{descChunkHints, "dropped", &s.hintsDropped},
		{descChunkHeads, "read", &h.read},
		{descChunkHeads, "missed", &h.missed},
		{descChunkHeads, "written", &h.written},
		{descChunkHeads, "skipped", &h.skipped},
		{descChunkHeads, "failed", &h.failed},
		{descChunkHeads, "stale", &h.stale},
		{descChunkSeals, "read", &l.read},
		{descChunkSeals, "missing", &l.missing},
		{descChunkSeals, "failed", &l.failed},
		{descChunkSeals, "taken", &l.taken},
		{descChunkSeals, "refused", &l.refused},
		{descChunkSeals, "revoked", &l.revoked},
		{descChunkOrigin, "read", &g.reads},
		{descChunkOrigin, "failed", &g.failures},
		{descChunkOrigin, "refused", &g.refused},
		{descChunkOrigin, "probe", &g.probes},
	} {
		ch <- prometheus.MustNewConstMetric(m.desc, prometheus.CounterValue, float64(m.n.Load()), m.label)
	}
	ch <- prometheus.MustNewConstMetric(descChunkUnits, prometheus.CounterValue, h.reads.Units(), "read")
	ch <- prometheus.MustNewConstMetric(descChunkUnits, prometheus.CounterValue, h.writes.Units(), "write")
	ch <- prometheus.MustNewConstMetric(descChunkEvicted, prometheus.CounterValue, float64(d.evicted.Load()))
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
	}
	for library, open := range g.states() {
		gauge(descChunkAway, truth(open), library)
	}
	bytes, count, failing := d.usage()
	gauge(descChunkStored, float64(bytes), "disk")
	gauge(descChunkCount, float64(count), "disk")
	gauge(descChunkFailing, truth(failing))
	c.mu.Lock()
	bytes, count, filling := c.inMemory.Bytes(), len(c.memory), len(c.filling)
	c.mu.Unlock()
	gauge(descChunkStored, float64(bytes), "memory")
	gauge(descChunkCount, float64(count), "memory")
	gauge(descChunkFilling, float64(filling))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
