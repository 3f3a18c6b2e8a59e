package subsonic

import (
	"strings"

	"tutti"
)

// getLyrics is the older of the two: it names a song by artist and title, and wants plain text.
func (s *Server) getLyrics(c *call) error {
	ctx := c.r.Context()
	artist, title := c.get("artist"), c.get("title")
	if err := c.err(); err != nil {
		return err
	}
	var found tutti.SearchResult
	if title != "" || artist != "" {
		const enough = 50 // several recordings of a song share its name; one with lyrics is among the first
		var err error
		found, err = s.cfg.Catalog.Search(ctx, c.viewer, tutti.SearchQuery{
			Text: searchText(artist + " " + title), Tracks: tutti.Page{Limit: enough},
		})
		if err != nil {
			return err
		}
	}
	text := ""
	for i := range found.Tracks {
		t := &found.Tracks[i]
		if !t.HasLyrics || !within(t.Title, title) || !within(t.DisplayArtist+" "+names(t.Artists), artist) {
			continue
		}
		all, err := s.cfg.Catalog.Lyrics(ctx, c.viewer, t.ID)
		if err != nil && !tutti.IsKind(err, tutti.KindNotFound) {
			return err
		}
		if len(all) > 0 {
			text = plainLyrics(&all[0])
			artist, title = t.DisplayArtist, t.Title
			break
		}
	}
	c.out.open("lyrics")
	c.out.known("artist", artist)
	c.out.known("title", title)
	c.out.text(text)
	c.out.close()
	return nil
}

func plainLyrics(l *tutti.Lyrics) string {
	var b strings.Builder
	for i, line := range l.Lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(line.Text)
	}
	return b.String()
}

// getLyricsBySongId is the extension songLyrics. Its second version adds when words are sung; without enhanced=true
// the answer is that of the first.
func (s *Server) getLyricsBySongID(c *call) error {
	ctx := c.r.Context()
	id := c.id("id")
	enhanced := c.bool("enhanced", false)
	if err := c.err(); err != nil {
		return err
	}
	t, err := s.cfg.Catalog.Track(ctx, c.viewer, id)
	if err != nil {
		return err
	}
	all, err := s.cfg.Catalog.Lyrics(ctx, c.viewer, id)
	if err != nil && !tutti.IsKind(err, tutti.KindNotFound) { // a song without lyrics is an empty list
		return err
	}
	c.out.open("lyricsList")
	c.out.array("structuredLyrics")
	for i := range all {
		c.out.each()
		c.out.lyrics(&all[i], &t, enhanced)
		c.out.close()
	}
	c.out.endArray()
	c.out.close()
	return nil
}

func (e *encoder) lyrics(l *tutti.Lyrics, t *tutti.Track, enhanced bool) {
	lang := l.Lang
	if lang == "" {
		lang = "und" // ISO 639-2: undetermined
	}
	artist, title := l.Artist, l.Title
	if artist == "" {
		artist = t.DisplayArtist
	}
	if title == "" {
		title = t.Title
	}
	e.str("displayArtist", artist)
	e.str("displayTitle", title)
	e.str("lang", lang)
	e.bool("synced", l.Synced)
	e.int("offset", l.Offset.Milliseconds())
	if enhanced {
		e.str("kind", "main")
	}
	e.array("line")
	for _, line := range l.Lines {
		e.each()
		if l.Synced {
			e.int("start", line.Start.Milliseconds())
		}
		e.text(line.Text)
		e.close()
	}
	e.endArray()
	if !enhanced || !l.Synced {
		return
	}
	e.array("cueLine")
	for i := range l.Lines {
		if line := &l.Lines[i]; len(line.Cues) > 0 {
			e.each()
			e.cueLine(i, line)
			e.close()
		}
	}
	e.endArray()
}

// cueLine writes when the words of a line are sung. Our cues end before a byte, the protocol's at one.
func (e *encoder) cueLine(index int, line *tutti.LyricsLine) {
	e.int("index", int64(index))
	e.int("start", line.Cues[0].Start.Milliseconds())
	if end := line.Cues[len(line.Cues)-1].End; end > 0 {
		e.int("end", end.Milliseconds())
	}
	e.str("value", line.Text)
	e.array("cue")
	for _, cue := range line.Cues {
		if cue.From < 0 || cue.To > len(line.Text) || cue.From >= cue.To {
			continue // nothing to highlight
		}
		e.each()
		e.int("start", cue.Start.Milliseconds())
		if cue.End > 0 {
			e.int("end", cue.End.Milliseconds())
		}
		e.int("byteStart", int64(cue.From))
		e.int("byteEnd", int64(cue.To-1))
		e.text(line.Text[cue.From:cue.To])
		e.close()
	}
	e.endArray()
}
