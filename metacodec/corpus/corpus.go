// Package corpus reads collections of music metadata that a model may learn from: rows of songs in the formats in which
// such collections are given away. What is not known stays empty or zero; rows without artist or title are left out.
package corpus

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"tutti"
	"tutti/metacodec"
)

// Song is what a collection says of one recording on one release.
type Song struct {
	Source                            string // the collection
	AlbumArtist, Artist, Album, Title string
	Genre                             string
	Track, Disc, Year, Seconds        int
	Group                             string // names the release within the collection
}

// Primary returns the artist by which songs are held apart: the one credited, without guests.
func (s *Song) Primary() string { return s.Artist }

// Release returns what names the release among all collections.
func (s *Song) Release() string { return s.Source + "\x00" + s.Group }

// Kind is what the records that Write writes are called.
const Kind metacodec.Kind = 0

// Write writes the song as a record: what is general before what is particular, so that each field is predicted from what
// says most about it.
func (s *Song) Write(e *metacodec.Encoder) {
	e.Begin(Kind)
	e.Text(metacodec.Genre, s.Genre)
	e.Text(metacodec.AlbumArtist, s.AlbumArtist)
	e.Text(metacodec.Artist, s.Artist)
	e.Text(metacodec.Album, s.Album)
	e.Uint(metacodec.Year, uint64(s.Year))
	e.Uint(metacodec.DiscNumber, uint64(s.Disc))
	e.Uint(metacodec.TrackNumber, uint64(s.Track))
	e.Text(metacodec.Title, s.Title)
	e.Uint(metacodec.Seconds, uint64(s.Seconds))
	e.End()
}

// Read reads a song that Write wrote.
func Read(d *metacodec.Decoder) (s Song) {
	s.Genre = d.String(metacodec.Genre)
	s.AlbumArtist = d.String(metacodec.AlbumArtist)
	s.Artist = d.String(metacodec.Artist)
	s.Album = d.String(metacodec.Album)
	s.Year = int(d.Uint(metacodec.Year))
	s.Disc = int(d.Uint(metacodec.DiscNumber))
	s.Track = int(d.Uint(metacodec.TrackNumber))
	s.Title = d.String(metacodec.Title)
	s.Seconds = int(d.Uint(metacodec.Seconds))
	return s
}

const op = "corpus: read"

// maxLine bounds a line of a collection.
const maxLine = 1 << 20

// columns of the tab-separated form.
var columns = []string{"source", "albumartist", "artist", "album", "title", "track", "disc", "year", "genre", "duration", "group"}

// ReadTSV reads rows of source, album artist, artist, album, title, track, disc, year, genre, duration in seconds and
// release, separated by tabs under a line that says so; empty or 0 means unknown.
func ReadTSV(r io.Reader, each func(*Song) error) error {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 64<<10), maxLine)
	for line := 1; in.Scan(); line++ {
		row := strings.Split(in.Text(), "\t")
		if line == 1 {
			if strings.Join(row, "\t") != strings.Join(columns, "\t") {
				return tutti.Errorf(tutti.KindInvalid, op, "The first line must name the columns %s.", strings.Join(columns, ", "))
			}
			continue
		}
		if len(row) != len(columns) {
			return tutti.Errorf(tutti.KindInvalid, op, "Line %d has %d columns, not %d.", line, len(row), len(columns))
		}
		s := Song{Source: row[0], AlbumArtist: row[1], Artist: row[2], Album: row[3], Title: row[4], Genre: row[8], Group: row[10]}
		for _, n := range []struct {
			to   *int
			from string
		}{{&s.Track, row[5]}, {&s.Disc, row[6]}, {&s.Year, row[7]}, {&s.Seconds, row[9]}} {
			v, err := number(n.from)
			if err != nil {
				return tutti.Wrap(tutti.KindInvalid, op, fmt.Errorf("line %d: %w", line, err))
			}
			*n.to = v
		}
		if s.Artist == "" || s.Title == "" || !utf8.ValidString(in.Text()) {
			continue
		}
		if err := each(&s); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil {
		return tutti.Wrap(tutti.KindInvalid, op, err)
	}
	return nil
}

// number reads a number that may be missing.
func number(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || v < 0 || v > 1<<30 {
		return 0, tutti.Errorf(tutti.KindInvalid, op, "%q is not a number.", s)
	}
	return int(v), nil
}
