package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"tutti/bench/hits"
	"tutti/bench/traffic"
	"tutti/deploy/capacity"
)

// benchHits replays traffic against the track cache's rule of what to keep, and against others.
func benchHits(_ context.Context, o options, _, _ string) ([]section, error) {
	const bitrate = 256
	cat := traffic.NewCatalogue(1, 60_000, 0.9, bitrate)
	usual := traffic.Config{Seed: 1, Catalogue: cat, Seats: 10_000, AlbumRun: 0.5, Skip: 0.25, Sitting: 8}
	crowd := usual
	crowd.Flash = &traffic.Flash{At: 3 * time.Hour, Album: cat.Albums() / 2, Share: 0.5, HalfLife: 30 * time.Minute, Surge: 0.5, Ramp: 5 * time.Minute}
	play := func(c traffic.Config) hits.Stream {
		return hits.NewStream(c.Catalogue, traffic.Play(c, 5*time.Hour))
	}
	type trace struct {
		name, how string
		stream    hits.Stream
		curve     bool
	}
	traces := []trace{
		{"usual evening", fmt.Sprintf("10,000 listeners for five hours, %d tracks at %d kbit/s, albums popular as rank^-0.9, half of the sittings play an album in order, a quarter of the plays are skipped", cat.Tracks(), bitrate), play(usual), true},
		{"a new release", "the same, and after three hours half of all who begin something, and half as many listeners more, want one album", play(crowd), false},
	}
	if f, err := os.Open(o.plays); err == nil {
		plays, err := traffic.ReadPlays(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		c, requests := traffic.FromPlays(plays, bitrate)
		traces = append([]trace{{
			"real plays", fmt.Sprintf("%d plays of %d tracks (%s: bench/traffic/fetch.py says where they are from)", len(plays), c.Tracks(), "one week of 25 radio stations, CC BY 4.0"),
			hits.NewStream(c, slices.Values(requests)), false,
		}}, traces...)
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var out []section
	for _, t := range traces {
		s := section{
			title: "Hit ratio: " + t.name,
			how: t.how + fmt.Sprintf("; %d requests for %d chunks of 1 MiB. The cache holds a share of the catalogue's bytes and begins empty; the first quarter of the requests warms it up. "+
				"Ours is the code that runs in the track cache (S3-FIFO); the best possible knows the future.", len(t.stream.Chunks), t.stream.Count),
		}
		shares := []float64{0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5}
		for _, share := range shares {
			size := int64(share * float64(t.stream.Bytes))
			ours, lru := t.stream.Replay(hits.Ours(size)), t.stream.Replay(hits.LRU(size))
			tiny, best := t.stream.Replay(hits.TinyLFU(size)), t.stream.Replay(t.stream.Clairvoyant(size))
			bar := ""
			if share <= 0.2 {
				bar = "above LRU"
			}
			s.add(fmt.Sprintf("cache of %g %%", share*100), percent(ours), fmt.Sprintf("LRU %s, W-TinyLFU %s, best possible %s", percent(lru), percent(tiny), percent(best)),
				fmt.Sprintf("%.2f × LRU", ours/lru), bar)
			if t.curve {
				o.ledger.hits = append(o.ledger.hits, capacity.Point{Share: share, Ratio: ours})
			}
		}
		if t.curve {
			all := t.stream.Replay(hits.Ours(t.stream.Bytes))
			o.ledger.hits = append(o.ledger.hits, capacity.Point{Share: 1, Ratio: all})
			o.ledger.how = "go run ./bench -only hits: " + t.how
			s.add("cache of 100 %", percent(all), "", "", "")
		}
		out = append(out, s)
	}
	return out, nil
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", share*100) }
