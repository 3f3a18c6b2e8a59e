package subsonic

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"tutti"
)

// searchText reads a query as clients write it: some quote it, some send only a pair of quotes to list everything, and
// some end a word with the asterisk of the search engine that the first server of this protocol used.
func searchText(q string) string {
	q = strings.TrimSpace(q)
	if len(q) >= 2 && q[0] == '"' && q[len(q)-1] == '"' {
		q = q[1 : len(q)-1]
	}
	words := strings.Fields(q)
	for i, w := range words {
		words[i] = strings.TrimRight(w, "*")
	}
	return strings.TrimSpace(strings.Join(words, " "))
}

func (s *Server) find(c *call) (tutti.SearchResult, error) {
	query, sent := c.lookup("query")
	if !sent {
		return tutti.SearchResult{}, failf(codeMissing, "the required parameter %q is missing; send it empty to list everything", "query")
	}
	page := func(kind string) tutti.Page {
		return tutti.Page{Offset: c.offset(kind + "Offset"), Limit: c.count(kind+"Count", 20, maxFound)}
	}
	q := tutti.SearchQuery{Text: searchText(query), Artists: page("artist"), Albums: page("album"), Tracks: page("song")}
	if err := c.err(); err != nil {
		return tutti.SearchResult{}, err
	}
	var err error
	if q.Library, err = s.library(c); err != nil {
		return tutti.SearchResult{}, err
	}
	return s.cfg.Catalog.Search(c.r.Context(), c.viewer, q)
}

func (s *Server) search2(c *call) error {
	found, err := s.find(c)
	if err != nil {
		return err
	}
	c.out.open("searchResult2")
	c.out.oldArtists("artist", found.Artists)
	c.out.albumChildren("album", found.Albums)
	c.out.songs("song", found.Tracks)
	c.out.close()
	return nil
}

func (s *Server) search3(c *call) error {
	found, err := s.find(c)
	if err != nil {
		return err
	}
	c.out.open("searchResult3")
	c.out.artists("artist", found.Artists)
	c.out.albums("album", found.Albums)
	c.out.songs("song", found.Tracks)
	c.out.close()
	return nil
}

// search is the search of protocol 1.0, deprecated since 1.4 and still asked for by old players: songs only, matched
// field by field. It looks through the best oldSearchScan songs that match the words.
func (s *Server) search(c *call) error {
	const oldSearchScan = 2000
	artist, album, title, anything := c.get("artist"), c.get("album"), c.get("title"), c.get("any")
	count, offset := c.count("count", 20, maxPage), c.offset("offset")
	newer := c.moment("newerThan")
	if err := c.err(); err != nil {
		return err
	}
	found, err := s.cfg.Catalog.Search(c.r.Context(), c.viewer, tutti.SearchQuery{
		Text:   searchText(strings.Join([]string{anything, artist, album, title}, " ")),
		Tracks: tutti.Page{Limit: oldSearchScan},
	})
	if err != nil {
		return err
	}
	hits := found.Tracks[:0]
	for i := range found.Tracks {
		t := &found.Tracks[i]
		if within(t.DisplayArtist+" "+names(t.Artists), artist) && within(t.Album, album) && within(t.Title, title) &&
			(newer.IsZero() || t.Added.After(newer)) {
			hits = append(hits, *t)
		}
	}
	from := min(offset, len(hits))
	c.out.open("searchResult")
	c.out.int("offset", int64(offset))
	c.out.int("totalHits", int64(len(hits)))
	c.out.songs("match", hits[from:min(from+count, len(hits))])
	c.out.close()
	return nil
}

// fold takes away what people leave out when they type: capitals and accents.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(s))
}

// within reports whether every word of the query is somewhere in the text.
func within(text, query string) bool {
	text = fold(text)
	for _, w := range strings.Fields(fold(query)) {
		if !strings.Contains(text, strings.TrimRight(w, "*")) {
			return false
		}
	}
	return true
}
