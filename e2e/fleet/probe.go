package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"
)

// Prober asks for a piece of a track somewhere, or looks something up, many times a second, as people do who click
// about. It tells when a fault begins to be felt, and when that is over.
type Prober struct {
	client *Client
	tracks []Track
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	stats ProbeStats
	open  map[time.Time]bool // when what is still unanswered was asked for
}

// ProbeStats is how the requests of a span of time ended.
type ProbeStats struct {
	Pieces, Lookups []time.Duration // how long each took that was answered well
	Failed          int
	Wrong           int       // pieces whose bytes are not the file's
	Last            time.Time // when the last that failed or was wrong was asked for
	Examples        []string
}

// String is for a person who wonders what went wrong.
func (s *ProbeStats) String() string {
	out := fmt.Sprintf("%d pieces (p50 %v, p99 %v), %d look-ups (p50 %v, p99 %v), %d failed, %d wrong", len(s.Pieces), percentile(s.Pieces, 0.5),
		percentile(s.Pieces, 0.99), len(s.Lookups), percentile(s.Lookups, 0.5), percentile(s.Lookups, 0.99), s.Failed, s.Wrong)
	for _, e := range s.Examples {
		out += "\n\t" + e
	}
	return out
}

// impatience is after how long a probe counts as failed.
const impatience = 5 * time.Second

// StartProber begins to ask perSecond times a second. Stop ends it.
func StartProber(ctx context.Context, c *Client, tracks []Track, perSecond int) *Prober {
	ctx, cancel := context.WithCancel(ctx)
	transport := &http.Transport{MaxIdleConnsPerHost: 8, DisableCompression: true}
	client := *c
	client.HTTP = &http.Client{Transport: transport}
	p := &Prober{client: &client, tracks: tracks, cancel: cancel, open: map[time.Time]bool{}}
	p.wg.Go(func() {
		defer transport.CloseIdleConnections()
		var asked sync.WaitGroup
		defer asked.Wait()
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		random := rand.New(rand.NewPCG(3, 4))
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			track, at, lookup := tracks[random.IntN(len(tracks))], random.Float64(), n%3 == 0
			asked.Go(func() {
				if lookup {
					p.ask(ctx, &p.stats.Lookups, func(ctx context.Context) error { return p.lookup(ctx, n, track) })
				} else {
					p.ask(ctx, &p.stats.Pieces, func(ctx context.Context) error { return p.piece(ctx, track, at) })
				}
			})
		}
	})
	return p
}

// Stop ends the prober.
func (p *Prober) Stop() {
	p.cancel()
	p.wg.Wait()
}

// Take returns what happened since it was last called.
func (p *Prober) Take() ProbeStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	p.stats = ProbeStats{}
	return s
}

// Well returns for how long all has been well: from when the last request that failed or was wrong (since Take), or else
// from begin, until the oldest that is still unanswered was asked for.
func (p *Prober) Well(begin time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stats.Last.After(begin) {
		begin = p.stats.Last
	}
	end := time.Now()
	for asked := range p.open {
		if asked.Before(end) {
			end = asked
		}
	}
	return end.Sub(begin)
}

func (p *Prober) ask(ctx context.Context, well *[]time.Duration, fn func(context.Context) error) {
	call, cancel := context.WithTimeout(ctx, impatience)
	defer cancel()
	begin := time.Now()
	p.mu.Lock()
	p.open[begin] = true
	p.mu.Unlock()
	err := fn(call)
	took := time.Since(begin)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, begin)
	if ctx.Err() != nil {
		return
	}
	switch {
	case err == nil:
		*well = append(*well, took)
		return
	case errors.Is(err, errWrong):
		p.stats.Wrong++
	default:
		p.stats.Failed++
	}
	if begin.After(p.stats.Last) {
		p.stats.Last = begin
	}
	if len(p.stats.Examples) < maxExamples {
		p.stats.Examples = append(p.stats.Examples, fmt.Sprintf("%s after %v: %v", begin.Format("15:04:05.000"), took.Round(time.Millisecond), err))
	}
}

func (p *Prober) lookup(ctx context.Context, n int, t Track) error {
	switch n % 4 {
	case 0:
		return p.client.Call(ctx, "getSong", url.Values{"id": {t.ID}}, "", nil)
	case 1:
		return p.client.Call(ctx, "search3", url.Values{"query": {t.Title}}, "", nil)
	case 2:
		return p.client.Call(ctx, "getAlbumList2", url.Values{"type": {"newest"}}, "", nil)
	}
	return p.client.Call(ctx, "getAlbum", url.Values{"id": {t.AlbumID}}, "", nil)
}

// pieceSize is how much of a track is asked for: it may lie in two chunks.
const pieceSize = 128 << 10

func (p *Prober) piece(ctx context.Context, t Track, at float64) error {
	off := int64(at * float64(t.Size-pieceSize))
	header := http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", off, off+pieceSize-1)}}
	got, _, err := p.client.do(ctx, http.MethodGet, p.client.Rest("stream", url.Values{"id": {t.ID}, "format": {"raw"}}), header, nil)
	if err != nil {
		return err
	}
	f, err := os.Open(t.File)
	if err != nil {
		return err
	}
	defer f.Close()
	want := make([]byte, pieceSize)
	if _, err := f.ReadAt(want, off); err != nil && err != io.EOF {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%s from %d: %w: %d of them: %.200q", t.Title, off, errWrong, len(got), got)
	}
	return nil
}
