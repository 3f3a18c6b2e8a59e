package catalog_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"tutti"
	"tutti/catalog/catalogtest"
)

// sizes are the catalogues that benchmarks run on: 100,000 tracks, and what TUTTI_BENCH names besides ("500k", "2m").
func sizes(b *testing.B) []int {
	list := []int{100_000}
	for _, s := range strings.FieldsFunc(os.Getenv("TUTTI_BENCH"), func(r rune) bool { return r == ',' }) {
		unit := 1
		switch {
		case strings.HasSuffix(s, "k"):
			unit = 1000
		case strings.HasSuffix(s, "m"):
			unit = 1_000_000
		}
		n, err := strconv.Atoi(strings.TrimRight(s, "km"))
		if err != nil {
			b.Fatal(err)
		}
		list = append(list, n*unit)
	}
	return list
}

var filled struct {
	sync.Mutex
	n int
	d *desk
}

// library returns a catalogue of n synthetic tracks; the latest one is kept for the next benchmark.
func library(b *testing.B, n int) *desk {
	filled.Lock()
	defer filled.Unlock()
	if filled.n != n {
		filled.d = nil
		d := newDesk(b)
		d.fill(b, catalogtest.Synthetic(n))
		filled.n, filled.d = n, d
	}
	return filled.d
}

func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkMemory reports what a track costs in memory, what applying it as a scan does takes, and how long a start
// takes from the log and from a snapshot.
func BenchmarkMemory(b *testing.B) {
	for _, n := range sizes(b) {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				filled.d, filled.n = nil, 0
				before := heap()
				d := newDesk(b)
				began := cpu(b)
				d.fill(b, catalogtest.Synthetic(n))
				b.ReportMetric((cpu(b)-began)*1e6/float64(n), "apply-us/track")
				filled.n, filled.d = n, d
				b.ReportMetric((heap()-before)/float64(n), "B/track")
				if err := d.Snapshot(context.Background()); err != nil {
					b.Fatal(err)
				}
				began = cpu(b)
				d.reopen(b)
				b.ReportMetric(cpu(b)-began, "start-cpu-s")
				b.ReportMetric((heap()-before)/float64(n), "B/track-reloaded")
			}
		})
	}
}

func BenchmarkRequests(b *testing.B) {
	ctx := context.Background()
	for _, n := range slices.Backward(sizes(b)) { // the largest is still there
		d := library(b, n)
		page := tutti.Page{Limit: 50}
		albums, total, err := d.Albums(ctx, she, tutti.AlbumQuery{Order: tutti.AlbumsByName, Page: page})
		if err != nil || total == 0 {
			b.Fatal(total, err)
		}
		_, tracks, err := d.Album(ctx, she, albums[7].ID)
		if err != nil {
			b.Fatal(err)
		}
		run := func(name string, fn func() error) {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				began, n := cpu(b), 0
				for b.Loop() {
					n++
					if err := fn(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric((cpu(b)-began)*1e6/float64(n), "cpu-us/op")
			})
		}
		list := func(q tutti.AlbumQuery) func() error {
			return func() error {
				q.Page = page
				_, _, err := d.Albums(ctx, she, q)
				return err
			}
		}
		for _, o := range []tutti.AlbumOrder{tutti.AlbumsByName, tutti.AlbumsByArtist, tutti.AlbumsNewest, tutti.AlbumsRandom} {
			run("albums/"+string(o), list(tutti.AlbumQuery{Order: o}))
		}
		run("albums/deep", func() error {
			_, _, err := d.Albums(ctx, she, tutti.AlbumQuery{Order: tutti.AlbumsByName, Page: tutti.Page{Offset: total / 2, Limit: 50}})
			return err
		})
		run("albums/byGenre", list(tutti.AlbumQuery{Order: tutti.AlbumsByGenre, Genres: []string{"jazz"}}))
		run("albums/byYear", list(tutti.AlbumQuery{Order: tutti.AlbumsByYear, FromYear: 1999, ToYear: 1980}))
		run("song", func() error {
			_, err := d.Track(ctx, she, tracks[0].ID)
			return err
		})
		run("album", func() error {
			_, _, err := d.Album(ctx, she, albums[7].ID)
			return err
		})
		twenty := tutti.Page{Limit: 20}
		for _, text := range []string{"love", "the night", "a", "th lo", "l", "blue ri", tracks[0].Title, tracks[0].DisplayArtist, "zzzz"} {
			run("search/"+strings.ReplaceAll(text, " ", "_"), func() error {
				_, err := d.Search(ctx, she, tutti.SearchQuery{Text: text, Artists: twenty, Albums: twenty, Tracks: twenty})
				return err
			})
		}
		run("search/everything", func() error {
			_, err := d.Search(ctx, she, tutti.SearchQuery{Tracks: tutti.Page{Offset: n / 2, Limit: 20}})
			return err
		})
		run("songs/random", func() error {
			_, _, err := d.Tracks(ctx, she, tutti.TrackQuery{Random: true, Page: twenty})
			return err
		})
		run("songs/genre", func() error {
			_, _, err := d.Tracks(ctx, she, tutti.TrackQuery{Genres: []string{"Jazz"}, Page: twenty})
			return err
		})
		fifty := tutti.Page{Offset: n / 2, Limit: 50}
		for name, q := range map[string]tutti.TrackQuery{
			"title": {Order: tutti.TracksByTitle, Page: fifty}, "duration": {Order: tutti.TracksByDuration, Reverse: true, Page: fifty},
			"album": {Order: tutti.TracksByAlbum, Page: fifty}, "added": {Order: tutti.TracksAdded, Page: page},
			"title+genre": {Order: tutti.TracksByTitle, Genres: []string{"Jazz", "Rock"}, Page: page},
			"title+text":  {Order: tutti.TracksByTitle, Text: "lo", Page: page},
		} {
			run("songs/"+name, func() error {
				_, _, err := d.Tracks(ctx, she, q)
				return err
			})
		}
		// As above, but never from memory: what the first page of a list costs.
		for name, q := range map[string]tutti.TrackQuery{
			"title+genre": {Order: tutti.TracksByTitle, Genres: []string{"Jazz", "Rock"}, Page: page},
			"title+text":  {Order: tutti.TracksByTitle, Text: "lo", Page: page},
			"all+library": {Order: tutti.TracksByTitle, Libraries: []string{"1"}, FromYear: 1970, Page: page},
		} {
			year := 0
			run("songs/first/"+name, func() error {
				year++
				q.ToYear = 3000 + year
				_, _, err := d.Tracks(ctx, she, q)
				return err
			})
		}
		run("albums/filter", list(tutti.AlbumQuery{Order: tutti.AlbumsByName, Genres: []string{"jazz", "rock"}, FromYear: 1980, ToYear: 1999, Formats: []string{"flac"}}))
		run("home", func() error {
			_, err := d.Home(ctx, she, 20)
			return err
		})
		run("genres", func() error {
			_, err := d.Genres(ctx, she)
			return err
		})
		run("similar", func() error {
			_, err := d.Similar(ctx, she, tracks[0].ID, 20)
			return err
		})
		run("plan", func() error {
			_, err := d.Plan(ctx, tutti.PlanRequest{Viewer: she, Track: tracks[0].ID})
			return err
		})
	}
}
