package api

import (
	"context"
	"net/http"
	"testing"

	"tutti/catalog/catalogtest"
	"tutti/catalog/scan"
)

// BenchmarkAPI measures whole requests, from the router to the JSON, on 100,000 tracks. The bars are 1 ms of CPU for a
// list of 50 albums and for a search, 0.3 ms for a track.
func BenchmarkAPI(b *testing.B) {
	h := open(b)
	var batch []scan.Change
	apply := func() {
		must(b, h.catalog.Apply(context.Background(), batch))
		batch = batch[:0]
	}
	var one string
	for e := range catalogtest.Synthetic(100_000) {
		one = string(e.ID)
		if batch = append(batch, scan.Change{Put: &e}); len(batch) == 1000 {
			apply()
		}
	}
	apply()
	for _, line := range []string{
		"GET albums?limit=50", "GET albums?order=newest&limit=50&offset=3000", "GET search?q=lo", "GET tracks/" + one, "GET session",
	} {
		b.Run(line[len("GET "):], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if w := h.do(h.request(listener, line, "")); w.Code != http.StatusOK {
					b.Fatal(w.Code, w.Body)
				}
			}
		})
	}
}
