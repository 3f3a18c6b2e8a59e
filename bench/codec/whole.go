package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"tutti/catalog/scan"
	"tutti/metacodec"
	"tutti/metacodec/corpus"
	"tutti/metacodec/songs"
)

// perAlbum is how many tracks an album has on average.
const perAlbum = 11

// whole makes a catalogue of songs that the model draws, as whole OpenSubsonic songs with ids and files, and measures what
// it takes as frames: one for each song, and one for each album.
func whole(b *bytes.Buffer, n int) error {
	m, err := metacodec.Default()
	if err != nil {
		return err
	}
	d, e := metacodec.NewDecoder(nil), metacodec.NewEncoder(m)
	defer d.Close()
	codec := songs.New(songs.Derive{Artist: scan.ArtistID, Folder: scan.FolderID, Album: scan.AlbumID})
	source := rand.NewPCG(1, 1)
	random := rand.New(source)
	bits := make([]byte, 16<<10)
	var json, alone int64
	var frame []byte
	albums, size := 0, 0
	for done := 0; done < n; {
		for i := 0; i < len(bits); i += 8 {
			binary.LittleEndian.PutUint64(bits[i:], random.Uint64())
		}
		d.Draw(m, min(1+random.IntN(2*perAlbum-1), n-done), bits)
		var lines [][]byte
		for d.Next() {
			s := corpus.Read(d)
			s.Group = fmt.Sprint(albums)
			lines = append(lines, songs.Imagine(&s).JSON(songs.Derive{Artist: scan.ArtistID, Folder: scan.FolderID, Album: scan.AlbumID}))
		}
		if d.Err() != nil {
			continue // a song that would not end
		}
		done += len(lines)
		for _, l := range lines {
			json += int64(len(l))
			if err := codec.Append(e, l); err != nil {
				return err
			}
			if frame, err = e.AppendFrame(frame[:0]); err != nil {
				return err
			}
			alone += int64(len(frame))
		}
		for _, l := range lines {
			if err := codec.Append(e, l); err != nil {
				return err
			}
		}
		if frame, err = e.AppendFrame(frame[:0]); err != nil {
			return err
		}
		albums++
		size += len(frame)
	}
	each := func(v float64) string {
		return fmt.Sprintf("%.1f bytes a song, %.2f GB for 100 million", v/float64(n), v/float64(n)/10)
	}
	fmt.Fprintf(b, "\nA catalogue of %d songs in %d albums that the model drew, whole OpenSubsonic songs with ids, path and file:\n\n", n, albums)
	fmt.Fprintf(b, "* as JSON: %s\n* a frame for each song: %s\n* a frame for each album: %s\n",
		each(float64(json)), each(float64(alone)), each(float64(size)))
	return nil
}
