package main

import (
	"context"
	"errors"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"tutti"
	"tutti/clock"
)

// A heap of the default GOGC may grow to twice what is in use. That is cheap while little is in use and dear for a
// catalogue of millions of tracks, most of which lies in large pieces that the collector needs not look into. So from
// largeHeap on it may grow by half only. Whoever sets GOGC decides for themselves.
const (
	largeHeap     = 256 << 20 // bytes in use after a collection
	smallHeapGOGC = 100
	largeHeapGOGC = 50
)

// A delivery process of a fleet has 4 MB in use, and at the default GOGC collects after every 4 MB more, which is each 130th
// request for a range: a tenth of its processor time. So it holds a slab that the collector counts and that nobody ever
// touches: it takes addresses and no memory, and lets the heap grow by as much again between collections.
const slabBytes = 16 << 20

// holdSlab does so for as long as n lives. Whoever sets GOGC decides for themselves.
func (n *node) holdSlab() {
	if _, set := os.LookupEnv("GOGC"); !set {
		n.slab = make([]byte, slabBytes)
	}
}

// paceCollector sets how far the heap may grow, by what is in use.
func paceCollector() {
	if _, set := os.LookupEnv("GOGC"); set {
		return
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	percent := smallHeapGOGC
	if sample[0].Value.Kind() == metrics.KindUint64 && sample[0].Value.Uint64() > largeHeap {
		percent = largeHeapGOGC
	}
	debug.SetGCPercent(percent)
}

// tidy looks after memory while scans go on: it paces the collector by the size of the catalogue, and after a scan
// that changed something gives back to the system what only the scan needed. An idle server would else keep it until
// its next collection, which may be hours away.
func (n *node) tidy(ctx context.Context) error {
	paceCollector()
	scanning := false
	err := n.catalog.WatchScan(ctx, func(st tutti.ScanStatus) error {
		if scanning {
			paceCollector()
		}
		if scanning && !st.Scanning && st.Added+st.Changed+st.Moved+st.Missing > 0 {
			n.letGo(ctx)
		}
		scanning = st.Scanning
		return nil
	})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// settleAfter is when a start is over: the first answers have been given, and the scan of a small library is done.
const settleAfter = 20 * time.Second

// settle gives back to the system, once, what only the start needed.
func (n *node) settle(ctx context.Context) error {
	if clock.Sleep(ctx, n.clock, settleAfter) == nil {
		n.letGo(ctx)
	}
	return nil
}

// letGo gives back to the system what the process does not use now.
func (n *node) letGo(ctx context.Context) {
	debug.FreeOSMemory()
	if err := forgetCode(); err != nil {
		n.logger.DebugContext(ctx, "the program's own pages stay in memory", "err", err)
	}
}
