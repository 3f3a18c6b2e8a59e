package corpus

import (
	"encoding/csv"
	"errors"
	"io"
	"strconv"
	"strings"

	"tutti"
)

// ReadFMA reads tracks.csv of fma_metadata, the data set of the Free Music Archive (M. Defferrard et al., "FMA: a dataset
// for music analysis", ISMIR 2017; github.com/mdeff/fma, CC BY 4.0): a table whose columns have names of two lines.
func ReadFMA(r io.Reader, each func(*Song) error) error {
	in := csv.NewReader(r)
	in.ReuseRecord = true
	var groups []string
	columns := make(map[string]int)
	for line := 1; ; line++ {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			if line <= 3 {
				return tutti.Errorf(tutti.KindInvalid, op, "This is not FMA's tracks.csv: it ends within its head.")
			}
			return nil
		}
		if err != nil {
			return tutti.Wrap(tutti.KindInvalid, op, err)
		}
		switch line {
		case 1:
			groups = append(groups, row...)
			continue
		case 2:
			for i, name := range row {
				columns[groups[i]+"."+name] = i
			}
			for _, name := range []string{"album.id", "album.title", "artist.name", "track.title"} {
				if _, ok := columns[name]; !ok {
					return tutti.Errorf(tutti.KindInvalid, op, "This is not FMA's tracks.csv: it has no column %s.", name)
				}
			}
			continue
		case 3: // names the index
			continue
		}
		get := func(name string) string {
			if i, ok := columns[name]; ok {
				return clean(row[i])
			}
			return ""
		}
		s := Song{
			Source: "fma", Artist: get("artist.name"), AlbumArtist: get("artist.name"), Album: get("album.title"), Title: get("track.title"),
			Genre: get("track.genre_top"), Track: whole(get("track.number")), Seconds: whole(get("track.duration")), Disc: 1,
			Group: get("album.id"),
		}
		if date := get("album.date_released"); len(date) >= 4 {
			s.Year = whole(date[:4])
		}
		if s.Artist == "" || s.Title == "" {
			continue
		}
		if err := each(&s); err != nil {
			return err
		}
	}
}

// whole reads a number of a collection that has it as text of whatever sort: 0 where it is none.
func whole(s string) int {
	s, _, _ = strings.Cut(s, ".")
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1<<30 {
		return 0
	}
	return n
}

// clean makes a text of a collection fit for a line: control characters are spaces, and what is not UTF-8 goes.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "")))
}
