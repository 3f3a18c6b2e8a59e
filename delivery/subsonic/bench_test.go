package subsonic_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/delivery/subsonic"
)

// nowhere is a listener that costs nothing.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(b []byte) (int, error) { return io.Discard.Write(b) }
func (n nowhere) WriteHeader(int)             {}

// BenchmarkAnswers measures what this wire adds to the catalogue's work: reading the request, signing in by token, and
// writing the answer for 50 albums, a search with 20 artists, albums and songs each, and one song. The fixture hands out
// the same things again and again.
func BenchmarkAnswers(b *testing.B) {
	fake := clock.NewFake(epoch)
	lib := newLibrary(fake.Now)
	full := &crowded{library: lib}
	a := openAccounts(b, fake)
	server := subsonic.New(subsonic.Config{
		Catalog: full, Accounts: a, Door: a, Bytes: &sound{catalog: lib}, Clock: fake, Logger: slog.New(slog.DiscardHandler), ServerVersion: "1.2.3",
	})
	for _, endpoint := range []string{"ping?", "getSong?id=" + tr1, "getAlbumList2?type=newest&size=50", "search3?query=bach"} {
		for _, form := range []string{"json", "xml"} {
			b.Run(endpoint+form, func(b *testing.B) {
				b.ReportAllocs()
				before := processTime(b)
				for b.Loop() {
					r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/rest/"+endpoint+"&"+as(operator)+"&f="+form, nil)
					server.ServeHTTP(nowhere{http.Header{}}, r)
				}
				b.ReportMetric(float64((processTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// processTime is the CPU time that this process has used; on a busy machine it says more than the wall clock.
func processTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// crowded repeats the fixture's things until a list is full.
type crowded struct{ *library }

func fill[T any](few []T, n int) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = few[i%len(few)]
	}
	return out
}

func (c *crowded) Albums(_ context.Context, _ tutti.Viewer, q tutti.AlbumQuery) ([]tutti.Album, int, error) {
	return fill(c.albums, q.Limit), q.Limit, nil
}

func (c *crowded) Search(_ context.Context, _ tutti.Viewer, q tutti.SearchQuery) (tutti.SearchResult, error) {
	return tutti.SearchResult{
		Artists: fill(c.artists, q.Artists.Limit), Albums: fill(c.albums, q.Albums.Limit), Tracks: fill(c.tracks, q.Tracks.Limit),
	}, nil
}
