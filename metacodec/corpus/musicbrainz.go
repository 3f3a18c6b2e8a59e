package corpus

import (
	"bufio"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"tutti"
)

// ReadMusicBrainz reads the folder mbdump of a MusicBrainz core dump (mbdump.tar.bz2, unpacked; CC0): PostgreSQL's COPY
// format, tables track, medium, release, release_country and artist_credit (musicbrainz.org/doc/MusicBrainz_Database/Schema).
// A dump has some 50 million tracks; of its releases as many are taken, evenly, as come to about limit tracks. It takes
// about a kilobyte of memory a release that is taken.
func ReadMusicBrainz(dump fs.FS, limit int, each func(*Song) error) error {
	every, err := share(dump, limit)
	if err != nil {
		return err
	}
	type release struct {
		name   string
		credit int
		year   int
	}
	releases := make(map[int]*release)
	credits := make(map[int]string) // names of artist credits
	err = table(dump, "release", 4, func(row []string) error {
		if id := whole(row[0]); id%every == 0 {
			releases[id] = &release{name: row[2], credit: whole(row[3])}
			credits[whole(row[3])] = ""
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = table(dump, "release_country", 3, func(row []string) error {
		if r, year := releases[whole(row[0])], whole(row[2]); r != nil && year > 0 && (r.year == 0 || year < r.year) {
			r.year = year // of the first country
		}
		return nil
	})
	if err != nil {
		return err
	}
	type medium struct {
		release *release
		id      int
		disc    int
	}
	media := make(map[int]medium)
	err = table(dump, "medium", 3, func(row []string) error {
		if r := releases[whole(row[1])]; r != nil {
			media[whole(row[0])] = medium{r, whole(row[1]), whole(row[2])}
		}
		return nil
	})
	if err != nil {
		return err
	}
	type track struct {
		medium          medium
		position        int
		name            string
		credit, seconds int
	}
	var tracks []track
	err = table(dump, "track", 9, func(row []string) error {
		if m, ok := media[whole(row[3])]; ok && len(tracks) < limit {
			credits[whole(row[7])] = ""
			tracks = append(tracks, track{m, whole(row[4]), row[6], whole(row[7]), (whole(row[8]) + 500) / 1000})
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = table(dump, "artist_credit", 2, func(row []string) error {
		if _, used := credits[whole(row[0])]; used {
			credits[whole(row[0])] = row[1]
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, t := range tracks {
		s := Song{
			Source: "musicbrainz", Artist: credits[t.credit], AlbumArtist: credits[t.medium.release.credit], Album: t.medium.release.name,
			Title: t.name, Track: t.position, Disc: t.medium.disc, Year: t.medium.release.year, Seconds: t.seconds, Group: strconv.Itoa(t.medium.id),
		}
		if s.Artist == "" || s.Title == "" {
			continue
		}
		if err := each(&s); err != nil {
			return err
		}
	}
	return nil
}

// share returns of how many releases one is to be taken, by the size of the table of tracks.
func share(dump fs.FS, limit int) (int, error) {
	info, err := fs.Stat(dump, "track")
	if err != nil {
		return 0, tutti.Wrap(tutti.KindNotFound, op, err)
	}
	const rowLength = 120 // bytes, about
	return max(1, int(info.Size()/rowLength)/max(limit, 1)), nil
}

// table reads a table of at least so many columns.
func table(dump fs.FS, name string, columns int, each func(row []string) error) error {
	f, err := dump.Open(name)
	if err != nil {
		return tutti.Wrap(tutti.KindNotFound, op, err)
	}
	defer f.Close()
	return copied(f, name, columns, each)
}

// copied reads PostgreSQL's text format of COPY: tabs between columns, backslashes before what is special, \N for null.
func copied(r io.Reader, name string, columns int, each func(row []string) error) error {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 64<<10), maxLine)
	for line := 1; in.Scan(); line++ {
		row := strings.Split(in.Text(), "\t")
		if len(row) < columns {
			return tutti.Errorf(tutti.KindInvalid, op, "Line %d of the table %s has %d columns, not %d.", line, name, len(row), columns)
		}
		for i, v := range row {
			if v == `\N` {
				row[i] = ""
			} else if strings.IndexByte(v, '\\') >= 0 {
				row[i] = clean(unescape.Replace(v))
			}
		}
		if err := each(row); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil {
		return tutti.Wrap(tutti.KindInvalid, op, err)
	}
	return nil
}

var unescape = strings.NewReplacer(`\\`, `\`, `\t`, " ", `\n`, " ", `\r`, " ", `\b`, " ", `\f`, " ", `\v`, " ")
