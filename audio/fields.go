package audio

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"tutti"
)

// Title returns the title; "" where the file has none.
func (t Tags) Title() string { return t.Get("TITLE") }

// Album returns the album's name.
func (t Tags) Album() string { return t.Get("ALBUM") }

// SortNames are the names by which things sort, where tagged.
type SortNames struct {
	Title, Album          string
	Artists, AlbumArtists []string // beside Artists and AlbumArtists, if there are as many
	Composers             []string
}

// SortNames returns the sort names.
func (t Tags) SortNames() SortNames {
	return SortNames{
		Title: t.Get("TITLESORT"), Album: t.Get("ALBUMSORT"),
		Artists:      t.people("ARTISTSSORT", "ARTISTS_SORT", "ARTISTSORT"),
		AlbumArtists: t.people("ALBUMARTISTSSORT", "ALBUMARTISTS_SORT", "ALBUMARTISTSORT"),
		Composers:    t.people("COMPOSERSORT"),
	}
}

// DisplayArtist is the track's whole credit as a person should read it: "A feat. B".
func (t Tags) DisplayArtist() string { return display(t.All("ARTIST"), t.All("ARTISTS")) }

// DisplayAlbumArtist is the album's whole credit.
func (t Tags) DisplayAlbumArtist() string {
	return display(t.All("ALBUMARTIST"), t.All("ALBUMARTISTS"))
}

// DisplayComposer is the composers' credit.
func (t Tags) DisplayComposer() string { return strings.Join(t.All("COMPOSER"), ", ") }

func display(credit, names []string) string {
	if len(credit) == 0 {
		credit = names
	}
	return strings.Join(credit, ", ")
}

// Artists returns each artist of the track: the ARTISTS field, which taggers write for this purpose, else every
// ARTIST value. A single ARTIST without MusicBrainz's word that it is one artist is divided at the separators that
// are hardly ever part of a name: ";", " / ", " feat. ", " ft. " and " featuring ".
func (t Tags) Artists() []string {
	return t.credit("ARTISTS", "ARTIST", "MUSICBRAINZ_ARTISTID")
}

// AlbumArtists returns each artist of the album, by the same rules.
func (t Tags) AlbumArtists() []string {
	return t.credit("ALBUMARTISTS", "ALBUMARTIST", "MUSICBRAINZ_ALBUMARTISTID")
}

func (t Tags) credit(names, single, mbid string) []string {
	ids := len(t.mbids(mbid))
	vs := t.people(names)
	if len(vs) == 0 {
		vs = t.All(single)
		if len(vs) != 1 || ids == 1 {
			return vs
		}
		vs = splitCredit(vs[0], true)
	}
	if len(vs) == 1 && ids > 1 { // v2.3 joins values with "/", which is worth a try where the number of artists is known
		if parts := strings.Split(vs[0], "/"); len(parts) == ids {
			return parts
		}
	}
	return vs
}

// people returns the values of the first key that has any, divided at ";".
func (t Tags) people(keys ...string) []string {
	vs := t.anyOf(keys...)
	if len(vs) == 1 {
		return splitCredit(vs[0], false)
	}
	return vs
}

// splitCredit divides a credit into names.
func splitCredit(s string, featured bool) []string {
	parts := strings.Split(s, ";")
	if featured {
		var more []string
		for _, p := range parts {
			more = append(more, strings.Split(p, " / ")...)
		}
		parts = nil
		for _, p := range more {
			for p != "" {
				before, after := cutFeatured(p)
				parts, p = append(parts, before), after
			}
		}
	}
	var out []string
	for _, p := range parts {
		if p = clean(p); p != "" && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// cutFeatured divides "A feat. B" and "A (feat. B)".
func cutFeatured(s string) (before, after string) {
	lower := strings.ToLower(s)
	if len(lower) != len(s) { // some letter changed its length, so that positions differ; leave such a name whole
		return s, ""
	}
	at, n := -1, 0
	for _, sep := range []string{" feat. ", " ft. ", " featuring ", " (feat. ", " (ft. ", " [feat. "} {
		if i := strings.Index(lower, sep); i > 0 && (at < 0 || i < at) {
			at, n = i, len(sep)
		}
	}
	if at < 0 {
		return s, ""
	}
	after = s[at+n:]
	if open := s[at+1]; open == '(' || open == '[' {
		after = strings.TrimRight(after, ")] ")
	}
	return s[:at], after
}

// Track returns the track's number and how many there are on the disc; 0 is unknown.
func (t Tags) Track() (n, total int) { return t.numbered("TRACKNUMBER", "TRACKTOTAL") }

// Disc returns the disc's number and how many there are.
func (t Tags) Disc() (n, total int) { return t.numbered("DISCNUMBER", "DISCTOTAL") }

// DiscSubtitle returns the title of the disc.
func (t Tags) DiscSubtitle() string { return t.Get("DISCSUBTITLE") }

func (t Tags) numbered(number, of string) (n, total int) {
	first, second, both := strings.Cut(t.Get(number), "/")
	n = leadingInt(first)
	if both {
		total = leadingInt(second)
	}
	if total == 0 {
		total = leadingInt(t.Get(of))
	}
	return n, total
}

// leadingInt reads the digits at the start of s, at most nine of them: "7", "07", "7 of 12". A vinyl side ("A3") has
// a letter first, which is passed over.
func leadingInt(s string) int {
	s = clean(s)
	if len(s) > 1 && (s[0]|0x20) >= 'a' && (s[0]|0x20) <= 'z' {
		s = s[1:]
	}
	end := 0
	for end < len(s) && end < 9 && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	n, _ := digits(s[:end], 9)
	return n
}

// Compilation reports whether the file is marked as part of a compilation.
func (t Tags) Compilation() bool { return truth(t.Get("COMPILATION")) }

func truth(s string) bool {
	switch strings.ToLower(s) {
	case "1", "true", "yes", "y":
		return true
	}
	return false
}

// Date returns the date of the recording or release as tagged.
func (t Tags) Date() tutti.Date { return t.date("DATE", "RELEASEDATE", "ORIGINALDATE", "ORIGINALYEAR") }

// OriginalDate returns when the music first came out.
func (t Tags) OriginalDate() tutti.Date { return t.date("ORIGINALDATE", "ORIGINALYEAR") }

// ReleaseDate returns when this edition came out.
func (t Tags) ReleaseDate() tutti.Date { return t.date("RELEASEDATE") }

func (t Tags) date(keys ...string) tutti.Date {
	for _, k := range keys {
		for _, v := range t.All(k) {
			if d := ParseDate(v); !d.IsZero() {
				return d
			}
		}
	}
	return tutti.Date{}
}

// ParseDate reads what taggers write for a date: YYYY, YYYY-MM, YYYY-MM-DD (with -, . or / between, and with a time
// behind), YYYYMMDD, and DD.MM.YYYY. It returns the zero date for anything else and leaves out an impossible month
// or day.
func ParseDate(s string) tutti.Date {
	s = clean(s)
	if i := strings.IndexAny(s, "T "); i > 0 {
		s = s[:i]
	}
	parts := strings.FieldsFunc(s, func(r rune) bool { return r == '-' || r == '.' || r == '/' })
	if len(parts) == 0 || len(parts) > 3 {
		return tutti.Date{}
	}
	if _, ok := digits(s, 8); ok && len(s) == 8 {
		parts = []string{s[:4], s[4:6], s[6:]}
	}
	if len(parts) == 3 && len(parts[2]) == 4 && len(parts[0]) <= 2 {
		parts[0], parts[2] = parts[2], parts[0]
	}
	var n [3]int
	for i, p := range parts {
		v, ok := digits(p, 4)
		if !ok {
			if i == 0 {
				return tutti.Date{}
			}
			break
		}
		n[i] = v
	}
	if len(parts[0]) != 4 || n[0] == 0 {
		return tutti.Date{}
	}
	d := tutti.Date{Year: n[0]}
	if n[1] >= 1 && n[1] <= 12 {
		d.Month = n[1]
		if n[2] >= 1 && n[2] <= daysIn(d.Year, d.Month) {
			d.Day = n[2]
		}
	}
	return d
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// r128Reference is how far ReplayGain 2.0's reference of -18 LUFS lies above EBU R128's -23 LUFS.
const r128Reference = 5

// Gain returns the loudness tags as tutti.Gain has them. ReplayGain's text tags win over R128's numbers, because a
// file that has both was given the text ones later.
func (i *Info) Gain() tutti.Gain {
	t := i.Tags
	number := func(key string) *float64 {
		v := t.Get(key)
		if v == "" {
			return nil
		}
		v = strings.ToLower(clean(v))
		v = clean(strings.TrimSuffix(v, "db"))
		if strings.Count(v, ",") == 1 && !strings.Contains(v, ".") { // a decimal comma, from where people write one
			v = strings.Replace(v, ",", ".", 1)
		}
		f, err := strconv.ParseFloat(v, 64)
		if err != nil || math.IsNaN(f) || math.Abs(f) > 200 {
			return nil
		}
		return &f
	}
	r128 := func(key string) *float64 {
		n, err := strconv.ParseInt(t.Get(key), 10, 16)
		if err != nil {
			return nil
		}
		f := float64(n)/256 + r128Reference
		return &f
	}
	g := tutti.Gain{
		Track: number("REPLAYGAIN_TRACK_GAIN"), Album: number("REPLAYGAIN_ALBUM_GAIN"),
		TrackPeak: number("REPLAYGAIN_TRACK_PEAK"), AlbumPeak: number("REPLAYGAIN_ALBUM_PEAK"),
		Base: i.OutputGain,
	}
	if g.Track == nil {
		g.Track = r128("R128_TRACK_GAIN")
	}
	if g.Album == nil {
		g.Album = r128("R128_ALBUM_GAIN")
	}
	for _, peak := range []*float64{g.TrackPeak, g.AlbumPeak} {
		if peak != nil && *peak < 0 {
			*peak = 0
		}
	}
	return g
}

// MusicBrainz holds the ids that MusicBrainz gave to what the file holds; each is a UUID in lower case, or "".
type MusicBrainz struct {
	Recording, ReleaseTrack, Release, ReleaseGroup, Work string
	Artists, AlbumArtists                                []string
}

// MusicBrainz returns the MusicBrainz ids. What is no UUID is left out.
func (t Tags) MusicBrainz() MusicBrainz {
	one := func(key string) string { return firstOf(t.mbids(key)) }
	return MusicBrainz{
		Recording:    one("MUSICBRAINZ_TRACKID"), // the name is from before recordings and tracks were told apart
		ReleaseTrack: one("MUSICBRAINZ_RELEASETRACKID"),
		Release:      one("MUSICBRAINZ_ALBUMID"),
		ReleaseGroup: one("MUSICBRAINZ_RELEASEGROUPID"),
		Work:         one("MUSICBRAINZ_WORKID"),
		Artists:      t.mbids("MUSICBRAINZ_ARTISTID"),
		AlbumArtists: t.mbids("MUSICBRAINZ_ALBUMARTISTID"),
	}
}

// mbids returns the UUIDs in a field, whichever way several of them are separated.
func (t Tags) mbids(key string) []string {
	var ids []string
	for _, v := range t.All(key) {
		for _, id := range strings.FieldsFunc(v, func(r rune) bool { return r == ';' || r == '/' || r == ',' || r == ' ' }) {
			if id = strings.ToLower(id); isUUID(id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return false
		}
	}
	return true
}

// BPM returns beats a minute, rounded; 0 where unknown or absurd.
func (t Tags) BPM() int {
	f, err := strconv.ParseFloat(strings.Replace(t.Get("BPM"), ",", ".", 1), 64)
	if err != nil || !(f >= 1 && f < 1000) {
		return 0
	}
	return int(f + 0.5)
}

// Comment returns the first comment.
func (t Tags) Comment() string { return t.first("COMMENT", "DESCRIPTION", "ID3V1 COMMENT") }

// Credit is a person's part in a track, as tagged. Role is one of OpenSubsonic's contributor roles; SubRole says more
// ("Violin" for a performer).
type Credit struct{ Role, SubRole, Name string }

// creditKeys are the fields that name contributors, with their roles.
var creditKeys = []struct{ key, role string }{
	{"COMPOSER", "composer"},
	{"LYRICIST", "lyricist"},
	{"WRITER", "writer"},
	{"CONDUCTOR", "conductor"},
	{"PERFORMER", "performer"},
	{"ARRANGER", "arranger"},
	{"PRODUCER", "producer"},
	{"DIRECTOR", "director"},
	{"ENGINEER", "engineer"},
	{"MIXER", "mixer"},
	{"REMIXER", "remixer"},
	{"DJMIXER", "djmixer"},
}

// Contributors returns everybody the file credits besides its artists, in a fixed order of roles. A performer's
// instrument is taken from "Name (instrument)" and from Picard's PERFORMER:INSTRUMENT keys.
func (t Tags) Contributors() []Credit {
	var cs []Credit
	add := func(role, sub, name string) {
		if c := (Credit{role, sub, name}); name != "" && !slices.Contains(cs, c) {
			cs = append(cs, c)
		}
	}
	for _, k := range creditKeys {
		for _, tag := range t {
			sub, of := strings.CutPrefix(tag.Key, k.key+":")
			switch {
			case of:
				add(k.role, strings.ToLower(sub), tag.Value)
			case tag.Key == k.key && k.role == "performer":
				name, instrument := cutInstrument(tag.Value)
				add(k.role, instrument, name)
			case tag.Key == k.key:
				for _, name := range splitCredit(tag.Value, false) {
					add(k.role, "", name)
				}
			}
		}
	}
	return cs
}

// cutInstrument divides "Name (instrument)" at the bracket that the last one closes.
func cutInstrument(s string) (name, instrument string) {
	depth := 0
	for i := len(s) - 1; i > 0 && s[len(s)-1] == ')'; i-- {
		switch s[i] {
		case ')':
			depth++
		case '(':
			if depth--; depth == 0 {
				return clean(s[:i]), clean(s[i+1 : len(s)-1])
			}
		}
	}
	return s, ""
}

// Genres returns the genres, numbers of ID3v1 resolved, several in one value divided at ";".
func (t Tags) Genres() []string { return t.listed("GENRE", id3Genre) }

// Moods returns the moods.
func (t Tags) Moods() []string { return t.listed("MOOD", nil) }

// ISRC returns the International Standard Recording Codes, without the hyphens that some write.
func (t Tags) ISRC() []string {
	vs := t.listed("ISRC", nil)
	for i := range vs {
		vs[i] = strings.ToUpper(strings.ReplaceAll(vs[i], "-", ""))
	}
	return vs
}

// Labels returns the record labels.
func (t Tags) Labels() []string { return t.listed("LABEL", nil) }

// ReleaseTypes returns what kind of release the album is: "album", "ep", "live" …, as tagged.
func (t Tags) ReleaseTypes() []string {
	var out []string
	for _, v := range t.listed("RELEASETYPE", nil) {
		for p := range strings.SplitSeq(v, "/") { // "album/compilation" is how Picard joins them in MP4
			if p = clean(p); p != "" && !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

// Groupings returns the groupings.
func (t Tags) Groupings() []string { return t.listed("GROUPING", nil) }

// listed returns a field's values divided at ";", without repetitions.
func (t Tags) listed(key string, expand func(string) []string) []string {
	var out []string
	for _, v := range t.All(key) {
		for p := range strings.SplitSeq(v, ";") {
			if p = clean(p); p == "" {
				continue
			}
			each := []string{p}
			if expand != nil {
				each = expand(p)
			}
			for _, e := range each {
				if !slices.Contains(out, e) {
					out = append(out, e)
				}
			}
		}
	}
	return out
}

// Edition returns what tells this edition of the album from others: "Deluxe Edition".
func (t Tags) Edition() string { return t.Get("EDITION") }

// Explicit returns "explicit", "clean" or "", from iTunes' advisory (1 and, in old files, 4 are explicit; 2 is clean).
func (t Tags) Explicit() string {
	switch strings.ToLower(t.Get("ITUNESADVISORY")) {
	case "1", "4", "explicit", "true", "yes":
		return "explicit"
	case "2", "clean":
		return "clean"
	}
	return ""
}

// Work returns the classical work of which the track is part.
func (t Tags) Work() string { return t.Get("WORK") }

// Movement returns the movement's name, number and how many the work has. Some taggers put the name where others put
// the number.
func (t Tags) Movement() (name string, n, total int) {
	name = t.Get("MOVEMENTNAME")
	if v := t.Get("MOVEMENT"); name == "" && v != "" && leadingInt(v) == 0 {
		return v, 0, 0
	}
	n, total = t.numbered("MOVEMENT", "MOVEMENTTOTAL")
	return name, n, total
}
