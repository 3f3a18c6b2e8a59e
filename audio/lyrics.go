package audio

import (
	"errors"
	"slices"
	"strings"
	"time"

	"tutti"
)

// maxLines bounds the lines of one set of lyrics.
const maxLines = 20_000

// rawLyrics are lyrics as ID3 has them: text, or lines with times.
type rawLyrics struct {
	lang  string
	text  string
	lines []tutti.LyricsLine
}

var errNoLyrics = errors.New("no lyrics in it")

// Lyrics returns the lyrics inside the file, synchronised ones first. Text in the LRC form counts as synchronised
// wherever it stands. Lyrics that appear twice are returned once.
func (i *Info) Lyrics() []tutti.Lyrics {
	var all []tutti.Lyrics
	base := tutti.Lyrics{Artist: i.Tags.Get("ARTIST"), Title: i.Tags.Get("TITLE")}
	add := func(l tutti.Lyrics) {
		if l.Lang == "" {
			l.Lang = "und"
		}
		if l.Artist == "" {
			l.Artist = base.Artist
		}
		if l.Title == "" {
			l.Title = base.Title
		}
		if len(l.Lines) > 0 && !slices.ContainsFunc(all, func(h tutti.Lyrics) bool {
			return h.Synced == l.Synced && slices.EqualFunc(h.Lines, l.Lines, sameLine)
		}) {
			all = append(all, l)
		}
	}
	for _, r := range i.lyrics {
		if r.lines != nil {
			add(tutti.Lyrics{Lang: r.lang, Synced: true, Lines: r.lines})
		} else {
			l := lyricsText(r.text)
			if r.lang != "" {
				l.Lang = r.lang
			}
			add(l)
		}
	}
	for _, key := range []string{"SYNCEDLYRICS", "LYRICS"} {
		for _, v := range i.Tags.All(key) {
			if !slices.ContainsFunc(i.lyrics, func(r rawLyrics) bool { return clean(r.text) == v }) {
				add(lyricsText(v))
			}
		}
	}
	slices.SortStableFunc(all, func(a, b tutti.Lyrics) int {
		switch {
		case a.Synced == b.Synced:
			return 0
		case a.Synced:
			return -1
		}
		return 1
	})
	return all
}

// HasLyrics reports whether Lyrics would return any, without the work.
func (i *Info) HasLyrics() bool {
	return len(i.lyrics) > 0 || i.Tags.Has("LYRICS") || i.Tags.Has("SYNCEDLYRICS")
}

// lyricsText reads lyrics that may or may not be LRC.
func lyricsText(s string) tutti.Lyrics {
	if l, err := ParseLRC([]byte(s)); err == nil && l.Synced {
		return l
	}
	var l tutti.Lyrics
	for line := range strings.Lines(strings.ReplaceAll(s, "\r\n", "\n")) {
		if len(l.Lines) == maxLines {
			break
		}
		l.Lines = append(l.Lines, tutti.LyricsLine{Text: strings.Trim(line, "\r\n")})
	}
	return l
}

// ParseLRC reads lyrics in the LRC form: lines of [mm:ss.xx]text, where a line may have several times; [ar:…], [ti:…],
// [la:…] and [offset:±ms] before them; and the enhanced form's <mm:ss.xx> before each word, which are taken out.
// Text without any times comes back as plain lyrics, Synced false. Lines are ordered by time. It returns KindInvalid
// for more than 1 MiB and for a file without text. https://en.wikipedia.org/wiki/LRC_(file_format)
func ParseLRC(b []byte) (tutti.Lyrics, error) {
	const op = "audio.ParseLRC"
	l := tutti.Lyrics{Lang: "und"}
	if len(b) > maxText {
		return l, tutti.Errorf(tutti.KindInvalid, op, "lyrics of more than %d bytes", maxText)
	}
	s := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(decodeText(b))
	var plain []tutti.LyricsLine
	for line := range strings.SplitSeq(s, "\n") {
		if len(l.Lines) >= maxLines || len(plain) >= maxLines {
			break
		}
		rest := strings.TrimSpace(line)
		var times []time.Duration
		meta := false
		for strings.HasPrefix(rest, "[") {
			tag, after, ok := strings.Cut(rest[1:], "]")
			if !ok {
				break
			}
			if at, ok := lrcTime(tag); ok {
				times = append(times, at)
			} else if name, value, ok := strings.Cut(tag, ":"); ok && len(times) == 0 && lrcMeta(&l, name, clean(value)) {
				meta = true
			} else {
				break // part of the text: "[Chorus]"
			}
			rest = strings.TrimSpace(after)
		}
		rest, cues := wordTimes(rest)
		for i, at := range times {
			if i > 0 {
				cues = nil // the words' times are those of the first time that the line is sung
			}
			l.Lines = append(l.Lines, tutti.LyricsLine{Start: at, Text: rest, Cues: cues})
		}
		if len(times) == 0 && !(meta && rest == "") {
			plain = append(plain, tutti.LyricsLine{Text: rest})
		}
	}
	if l.Synced = len(l.Lines) > 0; l.Synced {
		slices.SortStableFunc(l.Lines, func(a, b tutti.LyricsLine) int {
			return int(max(-1, min(1, a.Start-b.Start)))
		})
		return l, nil
	}
	for len(plain) > 0 && plain[len(plain)-1].Text == "" {
		plain = plain[:len(plain)-1]
	}
	if len(plain) == 0 {
		return l, tutti.Wrap(tutti.KindInvalid, op, errNoLyrics)
	}
	l.Lines = plain
	return l, nil
}

// lrcMeta takes a [name:value] line; false where the name is none of LRC's.
func lrcMeta(l *tutti.Lyrics, name, value string) bool {
	switch strings.ToLower(clean(name)) {
	case "ar":
		l.Artist = value
	case "ti":
		l.Title = value
	case "la":
		if value != "" {
			l.Lang = strings.ToLower(value)
		}
	case "offset": // a positive value shows lyrics earlier, as tutti.Lyrics has it
		neg := strings.HasPrefix(value, "-")
		if n, ok := digits(strings.TrimLeft(value, "+-"), 7); ok {
			if l.Offset = time.Duration(n) * time.Millisecond; neg {
				l.Offset = -l.Offset
			}
		}
	case "al", "au", "by", "re", "ve", "length", "lr", "tool", "id", "#":
	default:
		return false
	}
	return true
}

// lrcTime reads mm:ss, mm:ss.xx, mm:ss:xx or hh:mm:ss.xx.
func lrcTime(s string) (time.Duration, bool) {
	parts := strings.Split(s, ":")
	if len(parts) == 3 && len(parts[2]) == 2 && !strings.Contains(s, ".") { // hundredths after a colon
		s = parts[0] + ":" + parts[1] + "." + parts[2]
	}
	if !strings.Contains(s, ":") {
		return 0, false
	}
	return parseClock(s)
}

// wordTimes takes the enhanced form's word times out of a line. A word is sung until the next one's time; a time
// without a word after it ends the last.
func wordTimes(s string) (string, []tutti.LyricsCue) {
	if !strings.Contains(s, "<") {
		return s, nil
	}
	var out strings.Builder
	var cues []tutti.LyricsCue
	space := false // one is due before the next piece of text
	write := func(piece string) (from, to int) {
		trimmed := strings.TrimSpace(piece)
		if trimmed == "" {
			space = space || piece != ""
			return out.Len(), out.Len()
		}
		if out.Len() > 0 && (space || piece[0] == ' ' || piece[0] == '\t') {
			out.WriteByte(' ')
		}
		from = out.Len()
		out.WriteString(trimmed)
		space = strings.TrimRight(piece, " \t") != piece
		return from, out.Len()
	}
	for s != "" {
		i := 0
		at, n, ok := time.Duration(0), 0, false
		for ; i < len(s); i++ {
			if s[i] != '<' {
				continue
			}
			tag, _, closed := strings.Cut(s[i+1:], ">")
			if !closed {
				i = len(s)
				break
			}
			if at, ok = lrcTime(tag); ok {
				n = len(tag) + 2
				break
			}
		}
		from, to := write(s[:min(i, len(s))])
		if k := len(cues) - 1; k >= 0 {
			cues[k].From, cues[k].To = from, to
		}
		if !ok {
			break
		}
		if k := len(cues) - 1; k >= 0 {
			cues[k].End = at
			if cues[k].From == cues[k].To {
				cues = cues[:k]
			}
		}
		cues = append(cues, tutti.LyricsCue{Start: at})
		s = s[i+n:]
	}
	if k := len(cues) - 1; k >= 0 && cues[k].From == cues[k].To {
		cues = cues[:k]
	}
	return out.String(), cues
}

func sameLine(a, b tutti.LyricsLine) bool { return a.Start == b.Start && a.Text == b.Text }
