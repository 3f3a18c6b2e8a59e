package api

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"tutti"
	"tutti/catalog/scan"
	"tutti/metacodec"
	"tutti/metacodec/answers"
	"tutti/metacodec/corpus"
	"tutti/metacodec/songs"
)

// collection puts the songs of a corpus into the catalogue, as files that a library would have of them.
func (h *house) collection(file string) {
	h.t.Helper()
	f := made(os.Open(file))(h.t)
	defer f.Close()
	var batch []scan.Change
	must(h.t, corpus.ReadTSV(f, func(s *corpus.Song) error {
		var as struct {
			Path, Suffix, ContentType, MusicBrainzID            string
			Size                                                int64
			BitRate, BitDepth, SamplingRate, ChannelCount, Year int
			Duration                                            int
			Created                                             time.Time
		}
		must(h.t, json.Unmarshal(songs.Imagine(s).JSON(derives), &as))
		id, _ := scan.ArtistID(as.Path).Number() // any number that nothing else follows from
		codec := as.Suffix
		if codec == "m4a" {
			codec = "aac"
		}
		dir := "."
		for i := range as.Path {
			if as.Path[i] == '/' {
				dir = as.Path[:i]
			}
		}
		albumArtist := s.AlbumArtist
		if albumArtist == "" {
			albumArtist = s.Artist
		}
		t := tutti.Track{
			ID: tutti.NewID(tutti.PrefixTrack, id), AlbumID: scan.AlbumID("1", albumArtist, s.Album, s.Year, dir), FolderID: scan.FolderID("1", dir), Library: "1",
			Title: s.Title, Album: s.Album, Artists: []tutti.ArtistRef{{ID: scan.ArtistID(s.Artist), Name: s.Artist}},
			AlbumArtists:  []tutti.ArtistRef{{ID: scan.ArtistID(albumArtist), Name: albumArtist}},
			DisplayArtist: s.Artist, DisplayAlbumArtist: albumArtist, Track: s.Track, Disc: s.Disc, Date: tutti.Date{Year: s.Year},
			Path: as.Path, Size: as.Size, ModTime: as.Created, Suffix: as.Suffix, ContentType: as.ContentType, Codec: codec,
			Duration: time.Duration(as.Duration)*time.Second + time.Duration(id%1000)*time.Millisecond, BitRate: as.BitRate, SampleRate: as.SamplingRate, BitDepth: as.BitDepth,
			Channels: as.ChannelCount, Version: tutti.Version(fmt.Sprintf("%032x", id)), Added: as.Created.Truncate(time.Second), HasCover: id%8 > 0, MusicBrainzID: as.MusicBrainzID,
		}
		if s.Genre != "" {
			t.Genres = []string{s.Genre}
		}
		if batch = append(batch, scan.Change{Put: &scan.Entry{Track: t}}); len(batch) == 1000 {
			must(h.t, h.catalog.Apply(context.Background(), batch))
			batch = batch[:0]
		}
		return nil
	}))
	must(h.t, h.catalog.Apply(context.Background(), batch))
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it cannot fail for the process itself
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestFrameSizes measures what answers take as frames, and as JSON with the compression that browsers read, on songs of
// artists whom the model has not met:
//
//	TUTTI_CORPUS=DIR/test.tsv go test ./delivery/api -run TestFrameSizes -v
//
// docs/metadata-frames.md has the table.
func TestFrameSizes(t *testing.T) {
	file := os.Getenv("TUTTI_CORPUS")
	if file == "" {
		t.Skip("TUTTI_CORPUS names no collection")
	}
	h := open(t)
	h.collection(file)
	page := func(line string) (ids []string) {
		for _, one := range decode[window[struct{ ID string }]](t, h.ask(admin, line, "")).Items {
			ids = append(ids, one.ID)
		}
		return ids
	}
	sets := []struct {
		name  string
		lines []string
	}{{name: "a track"}, {name: "an album with its tracks"}, {name: "an artist with their albums"}, {name: "a page of 50 albums"}, {name: "a page of 100 tracks by title"}, {name: "a search"}}
	for _, id := range page("GET tracks?order=title&limit=500&offset=1000") {
		sets[0].lines = append(sets[0].lines, "GET tracks/"+id)
	}
	for _, id := range page("GET albums?limit=200&offset=100") {
		sets[1].lines = append(sets[1].lines, "GET albums/"+id)
	}
	for _, id := range page("GET artists?limit=300&offset=100") {
		sets[2].lines = append(sets[2].lines, "GET artists/"+id)
	}
	for n := range 10 {
		sets[3].lines = append(sets[3].lines, fmt.Sprintf("GET albums?limit=50&offset=%d", n*50))
		sets[4].lines = append(sets[4].lines, fmt.Sprintf("GET tracks?order=title&limit=100&offset=%d", n*300))
	}
	for _, q := range []string{"lo", "the", "an", "sy", "no", "in", "re", "ma", "so", "be"} {
		sets[5].lines = append(sets[5].lines, "GET search?q="+q)
	}
	small, whole := made(metacodec.Small())(t), made(metacodec.Default())(t)
	zw := made(zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1)))(t)
	var counted counter
	gw := made(gzip.NewWriterLevel(&counted, gzip.DefaultCompression))(t)
	codec := answers.New(derives)
	ways := []struct {
		name  string
		write func(body []byte) int
	}{
		{"JSON", func(b []byte) int { return len(b) }},
		{"gzip", func(b []byte) int {
			counted = 0
			gw.Reset(&counted)
			_, err := gw.Write(b)
			must(t, err)
			must(t, gw.Close())
			return int(counted)
		}},
		{"zstd", func(b []byte) int { return len(zw.EncodeAll(b, nil)) }},
		{"frame", func(b []byte) int { return len(made(codec.Append(nil, nil, b))(t)) }},
		{"small model", func(b []byte) int { return len(made(codec.Append(nil, small, b))(t)) }},
		{"default model", func(b []byte) int { return len(made(codec.Append(nil, whole, b))(t)) }},
	}
	known := metacodec.NewModels(whole)
	for _, set := range sets {
		var bodies [][]byte
		for _, line := range set.lines {
			bodies = append(bodies, h.ask(admin, line, "").Body.Bytes())
		}
		row := fmt.Sprintf("| %s |", set.name)
		for _, way := range ways {
			bytes := 0
			began := cpu()
			for _, b := range bodies {
				bytes += way.write(b)
			}
			took := cpu() - began
			row += fmt.Sprintf(" %d", bytes/len(bodies))
			if way.name != "JSON" {
				row += fmt.Sprintf(" (%d)", took.Microseconds()/int64(len(bodies)))
			}
			row += " |"
		}
		for _, m := range []*metacodec.Model{nil, whole} {
			var frames [][]byte
			for _, b := range bodies {
				frames = append(frames, made(codec.Append(nil, m, b))(t))
			}
			began := cpu()
			for _, f := range frames {
				made(codec.Read(nil, f, known))(t)
			}
			row += fmt.Sprintf(" %d |", (cpu()-began).Microseconds()/int64(len(frames)))
		}
		t.Log(row)
	}
}

// counter counts what is written to it.
type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
