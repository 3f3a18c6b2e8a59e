package audio

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"tutti"
)

// Cue is a cue sheet: how one or more files divide into tracks.
type Cue struct {
	Title, Performer, Songwriter string
	Catalog                      string            // UPC or EAN
	Rem                          map[string]string // remarks by upper-case name: GENRE, DATE, DISCID, COMMENT, DISCNUMBER, REPLAYGAIN_ALBUM_GAIN …
	Files                        []CueFile
}

// CueFile is a file of sound with the tracks in it. An embedded sheet's Name means the file itself.
type CueFile struct {
	Name   string // as written, with backslashes turned into slashes
	Type   string // "WAVE", "MP3", …: most programs write WAVE whatever it is
	Tracks []CueTrack
}

// CueTrack is a track of a cue sheet.
type CueTrack struct {
	Number                       int
	Type                         string // "AUDIO"; anything else is data
	Title, Performer, Songwriter string
	ISRC                         string
	Start                        time.Duration // of INDEX 01
	Indexes                      []CueIndex
	Rem                          map[string]string
}

// CueIndex is a place in a file; number 0 begins the gap before a track, 1 the track itself.
type CueIndex struct {
	Number int
	At     time.Duration
}

func (c *Cue) trackCount() int {
	n := 0
	for _, f := range c.Files {
		n += len(f.Tracks)
	}
	return n
}

// Sections returns where each track of the file starts and ends; an end of 0 is the end of the file. A track ends
// where the next begins, so that gaps belong to the track before them and nothing of the file is lost.
func (f CueFile) Sections() []Chapter {
	cs := make([]Chapter, len(f.Tracks))
	for i, t := range f.Tracks {
		cs[i] = Chapter{Start: t.Start, Title: t.Title}
		if i+1 < len(f.Tracks) && f.Tracks[i+1].Start > t.Start {
			cs[i].End = f.Tracks[i+1].Start
		}
	}
	return cs
}

var errNoCue = errors.New("no tracks in the cue sheet")

// ParseCue reads a cue sheet in any of the usual encodings. Unknown commands are passed over, as are data tracks and
// tracks without INDEX 01; the error is KindInvalid for more than 1 MiB and for a sheet without tracks.
// https://wiki.hydrogenaud.io/index.php?title=Cue_sheet
func ParseCue(b []byte) (*Cue, error) {
	const op = "audio.ParseCue"
	if len(b) > maxText {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "a cue sheet of more than %d bytes", maxText)
	}
	c := &Cue{Rem: map[string]string{}}
	var track *CueTrack // being read; the last of the last file's
	for line := range strings.SplitSeq(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(decodeText(b)), "\n") {
		words := cueWords(line)
		if len(words) < 2 {
			continue
		}
		arg := words[1]
		switch strings.ToUpper(words[0]) {
		case "FILE":
			kind := ""
			if len(words) > 2 {
				kind = strings.ToUpper(words[len(words)-1])
				arg = strings.Join(words[1:len(words)-1], " ") // a name with spaces that nobody quoted
			}
			c.Files = append(c.Files, CueFile{Name: strings.ReplaceAll(arg, `\`, "/"), Type: kind})
			// "Non-compliant" sheets put a track's gap at the end of the file before and INDEX 01 into this one.
			if track != nil && len(c.Files) > 1 {
				prev := &c.Files[len(c.Files)-2]
				if !track.hasStart() && len(prev.Tracks) > 0 {
					moved := *track
					moved.Indexes = nil
					prev.Tracks = prev.Tracks[:len(prev.Tracks)-1]
					last := &c.Files[len(c.Files)-1]
					last.Tracks = append(last.Tracks, moved)
					track = &last.Tracks[0]
				}
			}
		case "TRACK":
			n, ok := digits(arg, 3)
			if !ok || c.trackCount() >= 999 {
				track = nil
				continue
			}
			if len(c.Files) == 0 {
				c.Files = append(c.Files, CueFile{})
			}
			f := &c.Files[len(c.Files)-1]
			f.Tracks = append(f.Tracks, CueTrack{Number: n, Type: "AUDIO"})
			track = &f.Tracks[len(f.Tracks)-1]
			if len(words) > 2 {
				track.Type = strings.ToUpper(words[2])
			}
		case "INDEX":
			if len(words) < 3 || track == nil || len(track.Indexes) >= 100 {
				continue
			}
			n, ok := digits(arg, 3)
			at, good := cueTime(words[2])
			if !ok || !good {
				continue
			}
			track.Indexes = append(track.Indexes, CueIndex{n, at})
			if n == 1 {
				track.Start = at
			}
		case "TITLE":
			set(track, &c.Title, arg, func(t *CueTrack) *string { return &t.Title })
		case "PERFORMER":
			set(track, &c.Performer, arg, func(t *CueTrack) *string { return &t.Performer })
		case "SONGWRITER":
			set(track, &c.Songwriter, arg, func(t *CueTrack) *string { return &t.Songwriter })
		case "CATALOG":
			c.Catalog = arg
		case "ISRC":
			if track != nil {
				track.ISRC = arg
			}
		case "REM":
			if len(words) < 3 {
				continue
			}
			rem := c.Rem
			if track != nil {
				if track.Rem == nil {
					track.Rem = map[string]string{}
				}
				rem = track.Rem
			}
			rem[strings.ToUpper(arg)] = strings.Join(words[2:], " ")
		}
	}
	for i := range c.Files {
		f := &c.Files[i]
		kept := f.Tracks[:0]
		for _, t := range f.Tracks {
			if t.hasStart() && t.Type == "AUDIO" {
				kept = append(kept, t)
			}
		}
		f.Tracks = kept
	}
	if c.trackCount() == 0 {
		return nil, tutti.Wrap(tutti.KindInvalid, op, errNoCue)
	}
	return c, nil
}

func (t *CueTrack) hasStart() bool {
	for _, i := range t.Indexes {
		if i.Number == 1 {
			return true
		}
	}
	return false
}

// set gives a value to the track that is being read, or else to the sheet.
func set(t *CueTrack, sheet *string, value string, field func(*CueTrack) *string) {
	if t != nil {
		sheet = field(t)
	}
	*sheet = value
}

// cueWords splits a line at spaces, except from the first to the last double quote.
func cueWords(s string) []string {
	var words []string
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimLeft(s, " \t") {
		if s[0] == '"' {
			end := strings.LastIndexByte(s, '"') // the last: titles have unescaped quotes inside, lines one quoted word
			if end == 0 {
				end = len(s) // never closed
			}
			word, rest := s[1:end], s[min(end+1, len(s)):]
			words, s = append(words, clean(word)), rest
			continue
		}
		end := strings.IndexAny(s, " \t")
		if end < 0 {
			end = len(s)
		}
		words, s = append(words, s[:end]), s[end:]
	}
	return words
}

// cueTime reads mm:ss:ff, where a second has 75 frames.
func cueTime(s string) (time.Duration, bool) {
	parts := strings.Split(s, ":")
	if len(parts) != 3 {
		return 0, false
	}
	var n [3]int
	for i, part := range parts {
		v, ok := digits(part, 5)
		if !ok {
			return 0, false
		}
		n[i] = v
	}
	return time.Duration(n[0])*time.Minute + time.Duration(n[1])*time.Second + time.Duration(n[2])*time.Second/75, true
}

// TrackTags returns the tags that the sheet gives the track, the sheet's own fields included.
func (c *Cue) TrackTags(t CueTrack) Tags {
	var tags Tags
	tags.put("TITLE", t.Title)
	artist := t.Performer
	if artist == "" {
		artist = c.Performer
	}
	tags.put("ARTIST", artist)
	tags.put("ALBUMARTIST", c.Performer)
	tags.put("ALBUM", c.Title)
	writer := t.Songwriter
	if writer == "" {
		writer = c.Songwriter
	}
	tags.put("COMPOSER", writer)
	tags.put("TRACKNUMBER", strconv.Itoa(t.Number))
	tags.put("ISRC", t.ISRC)
	tags.put("BARCODE", c.Catalog)
	for _, rem := range []map[string]string{t.Rem, c.Rem} {
		for _, key := range []string{
			"GENRE", "DATE", "COMMENT", "COMPOSER", "DISCNUMBER", "TOTALDISCS",
			"REPLAYGAIN_TRACK_GAIN", "REPLAYGAIN_TRACK_PEAK", "REPLAYGAIN_ALBUM_GAIN", "REPLAYGAIN_ALBUM_PEAK",
		} {
			if v := rem[key]; v != "" && !tags.Has(canonical(key)) {
				tags.add(key, v)
			}
		}
	}
	return tags
}
