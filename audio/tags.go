package audio

import "strings"

// Tag is one value of one field.
type Tag struct {
	Key   string // canonical name, in upper case
	Value string
}

// Tags are a file's fields in the order in which the file has them; a field with several values appears several times.
// Names are those of Vorbis comments as MusicBrainz Picard writes them; the names of every other format are translated
// to them when read, so that one set of names serves all:
//
//	canonical            ID3v2.3/4              MP4        RIFF INFO  AIFF  APEv2
//	TITLE                TIT2                   ©nam       INAM       NAME  Title
//	ARTIST               TPE1                   ©ART       IART       AUTH  Artist
//	ALBUMARTIST          TPE2                   aART                        Album Artist
//	ALBUM                TALB                   ©alb       IPRD             Album
//	DATE                 TDRC, TYER+TDAT        ©day       ICRD             Year
//	ORIGINALDATE         TDOR, TORY
//	RELEASEDATE          TDRL
//	TRACKNUMBER          TRCK ("n/m")           trkn       ITRK, IPRT       Track
//	DISCNUMBER           TPOS ("n/m")           disk                        Disc
//	DISCSUBTITLE         TSST
//	GENRE                TCON                   ©gen, gnre IGNR             Genre
//	COMMENT              COMM                   ©cmt       ICMT       ANNO  Comment
//	COMPOSER …           TCOM                   ©wrt       IMUS             Composer
//	LYRICIST             TEXT                   ©aut       IWRI             Lyricist
//	CONDUCTOR            TPE3                   ©con
//	REMIXER              TPE4
//	PERFORMER            TMCL, IPLS as "Name (instrument)"
//	PRODUCER, ENGINEER, MIXER, DJMIXER, ARRANGER, DIRECTOR   TIPL, IPLS by function
//	LYRICS               USLT                   ©lyr                        Lyrics
//	BPM                  TBPM                   tmpo
//	COMPILATION          TCMP                   cpil
//	GROUPING             TIT1, GRP1             ©grp
//	WORK, MOVEMENTNAME, MOVEMENT, MOVEMENTTOTAL   TXXX:WORK, MVNM, MVIN   ©wrk, ©mvn, ©mvi, ©mvc
//	TITLESORT, ARTISTSORT, ALBUMARTISTSORT, ALBUMSORT, COMPOSERSORT   TSOT, TSOP, TSO2, TSOA, TSOC   sonm, soar, soaa, soal, soco
//	ISRC, LABEL, COPYRIGHT, LANGUAGE, MOOD, MEDIA, ENCODEDBY, ENCODER   TSRC, TPUB, TCOP, TLAN, TMOO, TMED, TENC, TSSE
//	MUSICBRAINZ_TRACKID (the recording)   UFID:http://musicbrainz.org
//
// Everything else, TXXX frames, freeform MP4 atoms and APEv2 items among it, keeps its own name in upper case, except
// for the aliases in the table below ("MusicBrainz Album Id" is MUSICBRAINZ_ALBUMID).
type Tags []Tag

// Get returns the first value of the field, or "".
func (t Tags) Get(key string) string {
	for i := range t {
		if strings.EqualFold(t[i].Key, key) {
			return t[i].Value
		}
	}
	return ""
}

// All returns the field's values in order.
func (t Tags) All(key string) []string {
	var vs []string
	for i := range t {
		if strings.EqualFold(t[i].Key, key) {
			vs = append(vs, t[i].Value)
		}
	}
	return vs
}

// Has reports whether the field has a value.
func (t Tags) Has(key string) bool {
	for i := range t {
		if strings.EqualFold(t[i].Key, key) {
			return true
		}
	}
	return false
}

const (
	maxTags     = 4096     // values of a file; honest ones have well under 200
	maxKey      = 256      // bytes of a name
	maxTagBytes = 16 << 20 // of all values together
)

// add appends a value under the canonical name of a foreign one. Empty values and repetitions are left out, as is
// what goes beyond the limits above.
func (t *Tags) add(name, value string) {
	t.put(canonical(name), value)
}

// put is add for a name that is canonical already.
func (t *Tags) put(key, value string) {
	value = clean(value)
	if key == "" || len(key) > maxKey || value == "" || len(*t) >= maxTags {
		return
	}
	size := len(value)
	for _, have := range *t {
		if have.Key == key && have.Value == value {
			return
		}
		size += len(have.Value)
	}
	if size > maxTagBytes {
		return
	}
	*t = append(*t, Tag{key, value})
}

// addMissing appends those of other's fields of which t has no value: a second tag in a file completes the first.
func (t *Tags) addMissing(other Tags) {
	n := len(*t)
	for _, tag := range other {
		if !(*t)[:n].Has(tag.Key) {
			t.put(tag.Key, tag.Value)
		}
	}
}

// first returns the first of the keys' values that is not empty.
func (t Tags) first(keys ...string) string {
	for _, k := range keys {
		if v := t.Get(k); v != "" {
			return v
		}
	}
	return ""
}

// anyOf returns the values of the first key that has any.
func (t Tags) anyOf(keys ...string) []string {
	for _, k := range keys {
		if vs := t.All(k); len(vs) > 0 {
			return vs
		}
	}
	return nil
}

// canonical translates a foreign field name.
func canonical(name string) string {
	key := strings.ToUpper(clean(name))
	if alias, ok := aliases[key]; ok {
		return alias
	}
	return key
}

// aliases are the names that taggers use for the same field in Vorbis comments, TXXX frames, freeform MP4 atoms, APEv2
// items and what ffprobe makes of ASF attributes. Picard's are listed at
// https://picard-docs.musicbrainz.org/en/appendices/tag_mapping.html
var aliases = map[string]string{
	"ALBUM ARTIST": "ALBUMARTIST", "ALBUM_ARTIST": "ALBUMARTIST", "WM/ALBUMARTIST": "ALBUMARTIST", "ENSEMBLE": "ALBUMARTIST",
	"ALBUM ARTISTS": "ALBUMARTISTS", "ALBUM_ARTISTS": "ALBUMARTISTS",
	"AUTHOR": "ARTIST", "WM/ALBUMTITLE": "ALBUM",
	"TRACK": "TRACKNUMBER", "TRACKNUM": "TRACKNUMBER", "WM/TRACKNUMBER": "TRACKNUMBER", "TOTALTRACKS": "TRACKTOTAL", "TRACKC": "TRACKTOTAL",
	"DISC": "DISCNUMBER", "DISK": "DISCNUMBER", "DISKNUMBER": "DISCNUMBER", "WM/PARTOFSET": "DISCNUMBER", "TOTALDISCS": "DISCTOTAL", "DISCC": "DISCTOTAL",
	"SETSUBTITLE": "DISCSUBTITLE", "DISC SUBTITLE": "DISCSUBTITLE", "WM/SETSUBTITLE": "DISCSUBTITLE", "TSST": "DISCSUBTITLE",
	"YEAR": "DATE", "WM/YEAR": "DATE", "CREATION_TIME": "",
	"ORIGINAL DATE": "ORIGINALDATE", "WM/ORIGINALRELEASETIME": "ORIGINALDATE", "TDOR": "ORIGINALDATE",
	"ORIGYEAR": "ORIGINALYEAR", "ORIGINAL YEAR": "ORIGINALYEAR", "WM/ORIGINALRELEASEYEAR": "ORIGINALYEAR", "TORY": "ORIGINALYEAR",
	"RELEASE DATE": "RELEASEDATE", "RELEASETIME": "RELEASEDATE", "TDRL": "RELEASEDATE",
	"TITLE SORT": "TITLESORT", "SORT_NAME": "TITLESORT", "SORTNAME": "TITLESORT", "WM/TITLESORTORDER": "TITLESORT", "TITLE-SORT": "TITLESORT",
	"ARTIST SORT": "ARTISTSORT", "SORT_ARTIST": "ARTISTSORT", "SORTARTIST": "ARTISTSORT", "WM/ARTISTSORTORDER": "ARTISTSORT", "ARTIST-SORT": "ARTISTSORT",
	"ALBUMARTIST SORT": "ALBUMARTISTSORT", "ALBUM ARTIST SORT": "ALBUMARTISTSORT", "SORT_ALBUM_ARTIST": "ALBUMARTISTSORT", "SORTALBUMARTIST": "ALBUMARTISTSORT", "WM/ALBUMARTISTSORTORDER": "ALBUMARTISTSORT", "TSO2": "ALBUMARTISTSORT",
	"ALBUM SORT": "ALBUMSORT", "SORT_ALBUM": "ALBUMSORT", "SORTALBUM": "ALBUMSORT", "WM/ALBUMSORTORDER": "ALBUMSORT", "ALBUM-SORT": "ALBUMSORT",
	"COMPOSER SORT": "COMPOSERSORT", "SORT_COMPOSER": "COMPOSERSORT", "SORTCOMPOSER": "COMPOSERSORT", "WM/COMPOSERSORTORDER": "COMPOSERSORT",
	"WM/COMPOSER": "COMPOSER", "WM/WRITER": "LYRICIST", "WM/CONDUCTOR": "CONDUCTOR", "WM/PRODUCER": "PRODUCER",
	"WM/MODIFIEDBY": "REMIXER", "MIXARTIST": "REMIXER", "REMIXED BY": "REMIXER", "REMIXEDBY": "REMIXER", "MODIFIEDBY": "REMIXER",
	"DJ-MIX": "DJMIXER", "DJ MIXER": "DJMIXER", "MIX": "MIXER", "MIXED BY": "MIXER",
	"WM/GENRE": "GENRE", "WM/MOOD": "MOOD", "WM/ISRC": "ISRC",
	"DESCRIPTION": "DESCRIPTION", "COMMENTS": "COMMENT",
	"TEMPO": "BPM", "WM/BEATSPERMINUTE": "BPM", "TMPO": "BPM", "BEATSPERMINUTE": "BPM",
	"CONTENTGROUP": "GROUPING", "WM/CONTENTGROUPDESCRIPTION": "GROUPING", "CONTENT GROUP": "GROUPING",
	"ITUNESCOMPILATION": "COMPILATION", "WM/ISCOMPILATION": "COMPILATION", "TCMP": "COMPILATION", "CPIL": "COMPILATION",
	"ORGANIZATION": "LABEL", "PUBLISHER": "LABEL", "WM/PUBLISHER": "LABEL", "RECORDLABEL": "LABEL", "RECORD LABEL": "LABEL",
	"WM/CATALOGNO": "CATALOGNUMBER", "CATALOG NUMBER": "CATALOGNUMBER", "WM/BARCODE": "BARCODE",
	"UNSYNCEDLYRICS": "LYRICS", "UNSYNCED LYRICS": "LYRICS", "UNSYNCHRONISED LYRICS": "LYRICS", "WM/LYRICS": "LYRICS", "SYNCED LYRICS": "SYNCEDLYRICS",
	"WM/TOOL": "ENCODER", "WM/ENCODINGSETTINGS": "ENCODER", "ENCODED_BY": "ENCODEDBY", "ENCODED BY": "ENCODEDBY", "WM/ENCODEDBY": "ENCODEDBY", "ENCODING_TOOL": "ENCODER",
	"RATING ADVISORY": "ITUNESADVISORY", "EXPLICIT": "ITUNESADVISORY", "WM/LANGUAGE": "LANGUAGE",
	"WORKTITLE": "WORK", "WM/WORK": "WORK", "MOVEMENT NAME": "MOVEMENTNAME", "MVNM": "MOVEMENTNAME", "MVIN": "MOVEMENT", "MOVEMENTNUMBER": "MOVEMENT",
	"ALBUMVERSION": "EDITION", "MUSICBRAINZ_ALBUMCOMMENT": "EDITION", "MUSICBRAINZ ALBUM COMMENT": "EDITION", "RELEASECOMMENT": "EDITION",
	"MUSICBRAINZ TRACK ID": "MUSICBRAINZ_TRACKID", "MUSICBRAINZ/TRACK ID": "MUSICBRAINZ_TRACKID", "MUSICBRAINZ_RECORDINGID": "MUSICBRAINZ_TRACKID",
	"MUSICBRAINZ RELEASE TRACK ID": "MUSICBRAINZ_RELEASETRACKID", "MUSICBRAINZ/RELEASE TRACK ID": "MUSICBRAINZ_RELEASETRACKID",
	"MUSICBRAINZ ALBUM ID": "MUSICBRAINZ_ALBUMID", "MUSICBRAINZ/ALBUM ID": "MUSICBRAINZ_ALBUMID",
	"MUSICBRAINZ RELEASE GROUP ID": "MUSICBRAINZ_RELEASEGROUPID", "MUSICBRAINZ/RELEASE GROUP ID": "MUSICBRAINZ_RELEASEGROUPID",
	"MUSICBRAINZ ARTIST ID": "MUSICBRAINZ_ARTISTID", "MUSICBRAINZ/ARTIST ID": "MUSICBRAINZ_ARTISTID",
	"MUSICBRAINZ ALBUM ARTIST ID": "MUSICBRAINZ_ALBUMARTISTID", "MUSICBRAINZ/ALBUM ARTIST ID": "MUSICBRAINZ_ALBUMARTISTID",
	"MUSICBRAINZ WORK ID": "MUSICBRAINZ_WORKID", "MUSICBRAINZ/WORK ID": "MUSICBRAINZ_WORKID",
	"MUSICBRAINZ DISC ID":    "MUSICBRAINZ_DISCID",
	"MUSICBRAINZ ALBUM TYPE": "RELEASETYPE", "MUSICBRAINZ_ALBUMTYPE": "RELEASETYPE", "MUSICBRAINZ/ALBUM TYPE": "RELEASETYPE",
	"MUSICBRAINZ ALBUM STATUS": "RELEASESTATUS", "MUSICBRAINZ_ALBUMSTATUS": "RELEASESTATUS", "MUSICBRAINZ/ALBUM STATUS": "RELEASESTATUS",
	"MUSICBRAINZ ALBUM RELEASE COUNTRY": "RELEASECOUNTRY", "MUSICBRAINZ/ALBUM RELEASE COUNTRY": "RELEASECOUNTRY",
	"ACOUSTID ID": "ACOUSTID_ID", "ACOUSTID FINGERPRINT": "ACOUSTID_FINGERPRINT", "ACOUSTID/ID": "ACOUSTID_ID",
}
