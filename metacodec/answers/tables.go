package answers

import (
	_ "embed"
	"strings"
	"sync"

	"tutti"
	"tutti/metacodec"
)

// tables.txt is part of the format: the members that answers are known to have, in the order in which values are written,
// and the shapes that objects mostly have. Lines are added at the end of a section only, with a new version of the media
// type: what a frame says by number is never said otherwise.
//
//go:embed tables.txt
var tablesText string

// known is a member that the tables name.
type known struct {
	name  string
	field metacodec.Field // what predicts a text or a number in it
}

// item is a member of a shape: its name's number and how its value is kept.
type item struct {
	name int
	form form
}

type tables struct {
	names  []known
	number map[string]int
	shapes [][]item
	key    map[string]int
}

var fieldNames = map[string]metacodec.Field{
	"genre": metacodec.Genre, "albumArtist": metacodec.AlbumArtist, "artist": metacodec.Artist, "album": metacodec.Album,
	"title": metacodec.Title, "year": metacodec.Year, "disc": metacodec.DiscNumber, "track": metacodec.TrackNumber,
	"seconds": metacodec.Seconds, "token": metacodec.Token, "bitRate": metacodec.BitRate, "bitDepth": metacodec.BitDepth,
	"sampleRate": metacodec.SampleRate, "channels": metacodec.Channels, "size": metacodec.Size, "path": metacodec.Path,
	"count": metacodec.Count, "tempo": metacodec.Tempo, "comment": metacodec.Comment, "composer": metacodec.Composer,
	"sort": metacodec.Sort, "mood": metacodec.Mood, "work": metacodec.Work, "label": metacodec.Label, "name": metacodec.Name,
	"loudness": metacodec.Loudness, "lyrics": metacodec.Lyrics, "number": metacodec.Number, "other": metacodec.Other,
	"when": metacodec.When, "identifier": metacodec.Identifier,
}

// published reads the tables. What is wrong in them is found by any test.
var published = sync.OnceValue(func() *tables {
	t := &tables{number: map[string]int{}, key: map[string]int{}}
	section := ""
	for line := range strings.Lines(tablesText) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "#":
		case words[0] == "members" || words[0] == "shapes":
			section = words[0]
		case section == "members":
			f, ok := fieldNames[words[1]]
			if !ok {
				panic("answers: tables.txt knows no field " + words[1])
			}
			t.number[words[0]] = len(t.names)
			t.names = append(t.names, known{words[0], f})
		default:
			var shape []item
			for _, word := range words {
				name, how, _ := strings.Cut(word, ":")
				n, ok := t.number[name]
				f, is := formNumbers[how]
				if !ok || !is {
					panic("answers: tables.txt has a shape with " + word)
				}
				shape = append(shape, item{n, f})
			}
			t.key[keyOf(shape)] = len(t.shapes)
			t.shapes = append(t.shapes, shape)
		}
	}
	return t
})

// form says how a value is kept. The numbers are part of the format.
type form uint8

const (
	formRaw       form = iota // as JSON
	formTrue                  //
	formFalse                 //
	formNull                  //
	formNone                  // an empty list
	formText                  //
	formOne                   // a list of one text
	formTexts                 // a list of texts: how many, and each
	formWhole                 // a number from 0
	formHundredth             // a number of hundredths, which may be negative
	formMillionth             // of millionths
	formMoment                // as RFC 3339 writes it, in UTC
	formYear                  // YYYY
	formMonth                 // YYYY-MM
	formDay                   // YYYY-MM-DD
	formUUID                  //
	formLasting               // milliseconds: the seconds, and what is left
	formSize                  // bytes, as the difference to what length and bit rate lead to
	formPath                  // a template of what is known
	formBySuffix              // what a file of this suffix has, mostly
	formObject                // its shape and its values
	formObjects               // how many, and each
	formRows                  // how many; each is a record of its own, after this one
	formPeople                // a list of objects of id and name: how many, and of each its name and, unless it follows, its id
	formPerson                // a list of one, who is named as the credit beside it says, and whose id follows
	formID        form = 32   // and the prefix's number: 64 bits
	formDerived   form = 48   // likewise: it follows from the rest
	formIDs       form = 64   // and the prefix's number: a list, how many and each
)

var prefixes = [...]string{
	tutti.PrefixTrack, tutti.PrefixAlbum, tutti.PrefixArtist, tutti.PrefixFolder, tutti.PrefixPlaylist, tutti.PrefixShare,
	tutti.PrefixStation, tutti.PrefixRoom, tutti.PrefixUser,
}

const (
	idTrack = iota
	idAlbum
	idArtist
	idFolder
	idPlaylist
)

var formNumbers = func() map[string]form {
	m := map[string]form{
		"raw": formRaw, "true": formTrue, "false": formFalse, "null": formNull, "none": formNone, "text": formText, "one": formOne,
		"texts": formTexts, "whole": formWhole, "hundredth": formHundredth, "millionth": formMillionth, "moment": formMoment,
		"year": formYear, "month": formMonth, "day": formDay, "uuid": formUUID, "lasting": formLasting, "size": formSize,
		"path": formPath, "bySuffix": formBySuffix, "object": formObject, "objects": formObjects, "rows": formRows,
		"people": formPeople, "person": formPerson,
	}
	for i, p := range prefixes {
		m[p+"id"], m[p+"derived"], m[p+"ids"] = formID+form(i), formDerived+form(i), formIDs+form(i)
	}
	return m
}()

func (f form) valid() bool {
	return f <= formPerson || f >= formID && f < formIDs+16 && int(f&15) < len(prefixes)
}

// prefix returns the number of the prefix of the ids that are kept so.
func (f form) prefix() int { return int(f & 15) }

// What files of a suffix mostly are, where that says it.
var (
	mediaTypes = map[string]string{
		"flac": "audio/flac", "mp3": "audio/mpeg", "m4a": "audio/mp4", "m4b": "audio/mp4", "ogg": "audio/ogg", "oga": "audio/ogg",
		"opus": "audio/ogg", "wav": "audio/wav", "aif": "audio/aiff", "aiff": "audio/aiff", "wma": "audio/x-ms-wma",
		"wv": "audio/x-wavpack", "ape": "audio/x-ape", "aac": "audio/aac", "mka": "audio/x-matroska", "dsf": "audio/x-dsf",
		"dff": "audio/x-dff", "mpc": "audio/x-musepack", "tta": "audio/x-tta",
	}
	codecs = map[string]string{
		"flac": "flac", "mp3": "mp3", "m4a": "aac", "m4b": "aac", "ogg": "vorbis", "oga": "vorbis", "opus": "opus", "wav": "pcm",
		"aif": "pcm", "aiff": "pcm", "aac": "aac", "wma": "wma", "wv": "wavpack", "ape": "ape", "dsf": "dsd", "dff": "dsd",
	}
)

// The numbers of the members that others follow from.
var at = sync.OnceValue(func() (n struct {
	albumArtist, artist, album, name, date, disc, track, title, durationMs, suffix, contentType, codec, bitRate, size, path, id, folderID, albumID, library, artists, albumArtists int
},
) {
	of := func(name string) int { return published().number[name] }
	n.albumArtist, n.artist, n.album, n.name, n.date, n.disc, n.track = of("albumArtist"), of("artist"), of("album"), of("name"), of("date"), of("disc"), of("track")
	n.title, n.durationMs, n.suffix, n.contentType, n.codec, n.bitRate = of("title"), of("durationMs"), of("suffix"), of("contentType"), of("codec"), of("bitRate")
	n.size, n.path, n.id, n.folderID, n.albumID, n.library = of("size"), of("path"), of("id"), of("folderId"), of("albumId"), of("library")
	n.artists, n.albumArtists = of("artists"), of("albumArtists")
	return n
})
