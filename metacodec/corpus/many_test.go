package corpus_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"tutti/metacodec"
	"tutti/metacodec/corpus"
)

// TestManyRecords writes and reads songs that the model itself draws, spoilt at random, in frames of all lengths. It takes
// few of them; TUTTI_RECORDS=10000000 takes as many as the format is to be trusted with.
func TestManyRecords(t *testing.T) {
	records := 2000
	if v := os.Getenv("TUTTI_RECORDS"); v != "" {
		var err error
		if records, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	m, err := metacodec.Default()
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(uint64(records), 5))
	drawn, d := metacodec.NewDecoder(nil), metacodec.NewDecoder(metacodec.NewModels(m))
	e := metacodec.NewEncoder(m)
	bits := make([]byte, 8<<10)
	var frame []byte
	for done := 0; done < records; {
		for i := range bits {
			bits[i] = byte(random.Uint32())
		}
		var songs []corpus.Song
		drawn.Draw(m, 1+random.IntN(1<<random.IntN(6)), bits)
		for drawn.Next() {
			songs = append(songs, corpus.Read(drawn))
		}
		if drawn.Err() != nil && len(songs) > 0 {
			songs = songs[:len(songs)-1] // the one that the bits did not suffice for
		}
		for i := range songs {
			spoil(random, &songs[i])
			songs[i].Write(e)
		}
		if frame, err = e.AppendFrame(frame[:0]); err != nil {
			t.Fatal(err)
		}
		if err := d.Reset(frame); err != nil {
			t.Fatal(err)
		}
		n := 0
		for ; d.Next(); n++ {
			if got := corpus.Read(d); got != songs[n] {
				t.Fatalf("record %d: %+v became %+v", done+n, songs[n], got)
			}
		}
		if d.Err() != nil || n != len(songs) {
			t.Fatal(n, len(songs), d.Err())
		}
		done += max(n, 1)
	}
}

// spoil changes a song in one case of three.
func spoil(random *rand.Rand, s *corpus.Song) {
	texts := []*string{&s.Genre, &s.AlbumArtist, &s.Artist, &s.Album, &s.Title}
	numbers := []*int{&s.Year, &s.Disc, &s.Track, &s.Seconds}
	text := texts[random.IntN(len(texts))]
	switch random.IntN(12) {
	case 0: // a byte is another, or comes between
		b := []byte(*text + "x")
		b[random.IntN(len(b))] = byte(random.Uint32())
		*text = string(b)
	case 1:
		*text = (*text)[:random.IntN(len(*text)+1)]
	case 2:
		*text = *texts[random.IntN(len(texts))] + *text
	case 3:
		*numbers[random.IntN(len(numbers))] = int(random.Uint32() >> (1 + random.IntN(31)))
	}
}
