package peer_test

import (
	"context"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	"tutti"
	"tutti/clock"
	"tutti/peer"
	"tutti/peer/wire"
)

// cpu is how much this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it cannot fail for the process itself
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// timed reports the median, the 99th percentile and the CPU of a call; both ends of it run in this process.
func timed(b *testing.B, call func() error) {
	b.Helper()
	var took []time.Duration
	if err := call(); err != nil { // connections and pools
		b.Fatal(err)
	}
	used := cpu()
	for b.Loop() {
		begun := time.Now()
		if err := call(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begun))
	}
	used = cpu() - used
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
	b.ReportMetric(float64(used.Microseconds())/float64(len(took)), "cpu-us/op")
}

// BenchmarkPlan is the control round trip of a stream's start: A→B→C→B→A, over loopback, signed, next to the same in
// one process.
func BenchmarkPlan(b *testing.B) {
	dir := b.TempDir()
	_, ref := music(b, dir, "a.flac", 1<<20)
	k := keys(b)
	near := newCache(b, dir)
	far := &fleet{}
	far.add(tutti.ServiceTrackCache, serve(b, peer.HandlerConfig{TrackCache: near, Keys: k}))
	fromB := client(b, peer.ClientConfig{Fleet: far, Keys: k})
	remote := newCatalog(b, 2000, at{fromB.TrackCache(), ref})
	far.add(tutti.ServiceCatalog, serve(b, peer.HandlerConfig{Catalog: remote, Keys: k}))
	fromA := client(b, peer.ClientConfig{Fleet: far, Keys: k}).Catalog()
	direct := newCatalog(b, 2000, at{near, ref})
	tracks, _, err := direct.Tracks(b.Context(), she, tutti.TrackQuery{Page: tutti.Page{Limit: 1}})
	if err != nil || len(tracks) != 1 {
		b.Fatal(err)
	}
	for name, c := range map[string]tutti.Catalog{"apart": fromA, "together": direct} {
		b.Run(name, func(b *testing.B) {
			timed(b, func() error {
				_, err := c.Plan(b.Context(), tutti.PlanRequest{Viewer: she, Track: tracks[0].ID})
				return err
			})
		})
	}
}

// at is a track cache in which the one file stands for every track of a catalogue that has no files.
type at struct {
	tutti.TrackCache
	ref tutti.Ref
}

func (a at) Prepare(ctx context.Context, r tutti.Ref) (tutti.Readiness, error) {
	r.Library, r.Path = a.ref.Library, a.ref.Path
	return a.TrackCache.Prepare(ctx, r)
}

// BenchmarkCodec asks for fifty albums and for one track in both forms that Connect has.
func BenchmarkCodec(b *testing.B) {
	s := start(b, peer.HandlerConfig{Catalog: newCatalog(b, 2000, nil)})
	for name, options := range map[string][]connect.ClientOption{"protobuf": nil, "json": {connect.WithProtoJSON()}} {
		rpc := wire.NewCatalogClient(&http.Client{Transport: &http.Transport{DisableCompression: true}}, s.URL,
			append(options, connect.WithAcceptCompression("gzip", nil, nil))...)
		viewer := &wire.Viewer{User: "us-00000000000s1", AllLibraries: true}
		b.Run(name+"/albums50", func(b *testing.B) {
			timed(b, func() error {
				_, err := rpc.Albums(b.Context(), &wire.AlbumsRequest{Viewer: viewer, Query: &wire.AlbumQuery{Order: string(tutti.AlbumsByName), Page: &wire.Page{Limit: 50}}})
				return err
			})
		})
		b.Run(name+"/counts", func(b *testing.B) {
			timed(b, func() error {
				_, err := rpc.Counts(b.Context(), &wire.ViewerRequest{Viewer: viewer})
				return err
			})
		})
	}
}

// BenchmarkSigned asks the same with and without signatures, through the client.
func BenchmarkSigned(b *testing.B) {
	c := newCatalog(b, 2000, nil)
	for name, k := range map[string]*peer.Keys{"signed": keys(b), "open": nil} {
		remote := client(b, peer.ClientConfig{Fleet: (&fleet{}).add(tutti.ServiceCatalog, serve(b, peer.HandlerConfig{Catalog: c, Keys: k})), Keys: k}).Catalog()
		b.Run(name, func(b *testing.B) {
			timed(b, func() error {
				_, err := remote.Counts(b.Context(), she)
				return err
			})
		})
	}
}

// BenchmarkBytes reads a file of 64 MiB, in chunks from their owners, as delivery does where there is no nginx.
func BenchmarkBytes(b *testing.B) {
	const size = 64 << 20
	dir := b.TempDir()
	_, ref := music(b, dir, "a.flac", size)
	k := keys(b)
	far := &fleet{}
	for range 3 {
		far.add(tutti.ServiceTrackCache, serve(b, peer.HandlerConfig{TrackCache: newCache(b, dir), Keys: k}))
	}
	cache := client(b, peer.ClientConfig{Fleet: far, Keys: k, Clock: clock.System}).TrackCache()
	obj, err := cache.Open(b.Context(), ref)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	used := cpu()
	for b.Loop() {
		if n, err := obj.CopyRange(b.Context(), discard{}, 0, -1); err != nil || n != size {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64((cpu()-used).Milliseconds())/float64(b.N)/size*(1<<30)/1000, "cpu-s/GiB")
}

// discard is a writer that takes everything and has no ReadFrom.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
