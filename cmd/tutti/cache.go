package main

import (
	"context"
	"path/filepath"

	"tutti"
	"tutti/audio/encode"
	"tutti/store/dynamo"
	"tutti/trackcache"
)

// makeTrackCache makes service C. Music in folders is passed through as it lies there; music in buckets comes by way of
// chunks, which this member shares with the others.
func (n *node) makeTrackCache(context.Context) error {
	s := n.settings
	// The cache of what was made and that of what was fetched share the room.
	disk, memory := int64(s.Cache.Size), int64(s.Cache.Memory)
	var originals tutti.Source = n.origin
	caches := map[string]tutti.TrackCache{} // of the libraries in buckets
	suspects := trackcache.NewSuspects(n.clock)
	if n.buckets != nil {
		disk, memory = disk/2, memory/2
		config := trackcache.ChunksConfig{
			Origin: n.buckets, Store: n.store, Dir: filepath.Join(s.Data, "chunks"), MaxBytes: disk, MemoryBytes: memory,
			Heads: s.headPolicy(), Suspects: suspects, Clock: n.clock, Logger: n.logger,
		}
		if n.members != nil {
			config.Fleet, config.Peer = n.members, func(m tutti.Member) tutti.RangeSource { return n.peers.Ranges(m) }
		}
		chunks, err := trackcache.NewChunks(config)
		if err != nil {
			return err
		}
		n.chunks = chunks
		n.closers = append(n.closers, n.chunks.Close)
		n.runners = append(n.runners, n.chunks.Run)
		n.registry.MustRegister(n.chunks)
		originals = newShelves(n.origin, n.chunks, n.buckets.Libraries())
		for _, l := range n.buckets.Libraries() {
			caches[l.ID] = n.chunks
		}
	}
	e, err := encode.New(encode.Config{
		Files: n.origin, Caches: caches, Dir: s.Data, FFmpeg: s.Transcode.FFmpeg, Parallel: s.Transcode.Parallel, Queue: s.Transcode.Queue, MaxWait: s.Transcode.Wait, Nice: 5,
		Patient: s.Analyse.Tracks + 1, // the catalogue's, and one for somebody who asks meanwhile
		Clock:   n.clock, Logger: n.logger,
	})
	if err != nil {
		return err
	}
	n.runners = append(n.runners, func(ctx context.Context) error {
		if _, err := e.Available(ctx); err != nil && ctx.Err() == nil {
			n.logger.WarnContext(ctx, tutti.Message(err), "err", err)
		}
		return nil
	})
	config := trackcache.Config{
		Origin: originals, Transcoder: e, Local: true,
		Dir: filepath.Join(s.Data, "cache"), MaxBytes: disk, MemoryBytes: memory,
		OnHash: n.digests.put, WantHash: n.digests.wants,
		Clock: n.clock, Logger: n.logger,
	}
	if n.members != nil { // each transcode is made by one member
		config.Fleet, config.Store, config.Suspects = n.members, n.store, suspects
		config.Peer = func(m tutti.Member) tutti.RangeSource { return n.peers.Ranges(m) }
	}
	c, err := trackcache.New(config)
	if err != nil {
		return err
	}
	n.cache, n.ownCache = c, c
	n.closers = append(n.closers, c.Close)
	n.runners = append(n.runners, c.Run)
	n.registry.MustRegister(c, e)
	return nil
}

// shelves is where originals are taken from: folders directly, buckets by way of their chunks.
type shelves struct {
	folders tutti.Source
	chunks  *trackcache.Chunks
	buckets map[string]bool // libraries
}

func newShelves(folders tutti.Source, chunks *trackcache.Chunks, buckets []tutti.Library) *shelves {
	s := &shelves{folders: folders, chunks: chunks, buckets: map[string]bool{}}
	for _, l := range buckets {
		s.buckets[l.ID] = true
	}
	return s
}

var (
	_ tutti.Seeker       = (*shelves)(nil)
	_ trackcache.Sealing = (*shelves)(nil)
)

// Open implements tutti.Source.
func (s *shelves) Open(ctx context.Context, r tutti.Ref) (tutti.Object, error) {
	if s.buckets[r.Library] {
		return s.chunks.Open(ctx, r)
	}
	return s.folders.Open(ctx, r)
}

// OpenAt implements tutti.Seeker.
func (s *shelves) OpenAt(ctx context.Context, r tutti.Ref, off int64) (tutti.Object, error) {
	if s.buckets[r.Library] {
		return s.chunks.OpenAt(ctx, r, off)
	}
	return s.folders.Open(ctx, r)
}

// Prepare says what is known of an object of a bucket. Of a file in a folder there is nothing to prepare; opening it
// tells.
func (s *shelves) Prepare(ctx context.Context, r tutti.Ref) (tutti.Readiness, error) {
	if s.buckets[r.Library] {
		return s.chunks.Prepare(ctx, r)
	}
	obj, err := s.folders.Open(ctx, r)
	if err != nil {
		return tutti.Readiness{}, err
	}
	ready := tutti.Readiness{Size: obj.Size(), ContentType: obj.ContentType(), Ready: true}
	return ready, tutti.Wrap(tutti.KindUnavailable, "prepare", obj.Close())
}

// Verifies reports whether this process is the one to take the hash of an original: of what lies in its own folders it is.
func (s *shelves) Verifies(r tutti.Ref) bool { return !s.buckets[r.Library] || s.chunks.Verifies(r) }

// OpenToVerify opens an original for that.
func (s *shelves) OpenToVerify(ctx context.Context, r tutti.Ref) (tutti.Object, error) {
	if s.buckets[r.Library] {
		return s.chunks.OpenToVerify(ctx, r)
	}
	return s.folders.Open(ctx, r)
}

// Seal keeps what the reading found, for chunks to be compared with.
func (s *shelves) Seal(ctx context.Context, r tutti.Ref, sums *trackcache.Sealer) error {
	if s.buckets[r.Library] {
		return s.chunks.Seal(ctx, r, sums)
	}
	return nil
}

// Neighbour is what other members may ask of originals: those of buckets. Folders lie here and nowhere else, or everywhere.
func (s *shelves) Neighbour() tutti.Neighbour { return s.chunks.Neighbour() }

// headPolicy says which beginnings of tracks are kept in the store. Half of what they may cost is for writing them and
// half for reading them. A database in this process's own folder is no better a place than the disk beside it.
func (s *settings) headPolicy() trackcache.HeadPolicy {
	when := map[string]trackcache.HeadsWhen{
		"second": trackcache.HeadsSecond, "always": trackcache.HeadsAlways, "never": trackcache.HeadsNever,
	}[s.Cache.Heads]
	if s.Store.sqlite() || s.Cache.HeadsBudget <= 0 {
		when = trackcache.HeadsNever
	}
	return trackcache.HeadPolicy{
		When: when, TTL: s.Cache.HeadsTTL,
		WritesPerMonth: s.Cache.HeadsBudget / 2 / dynamo.DefaultPrices.MillionWrites * 1e6,
		ReadsPerMonth:  s.Cache.HeadsBudget / 2 / dynamo.DefaultPrices.MillionReads * 1e6,
	}
}
