package subsonic

import "tutti"

// The extension sonicSimilarity: songs that sound alike, as far as the server has listened to them.

func (s *Server) getSonicSimilarTracks(c *call) error {
	id := c.id("id")
	count := c.count("count", 10, maxPage)
	if err := c.err(); err != nil {
		return err
	}
	list, err := s.cfg.Catalog.SonicSimilar(c.r.Context(), c.viewer, id, count)
	if err != nil {
		return err
	}
	c.sonicMatches(list)
	return nil
}

func (s *Server) findSonicPath(c *call) error {
	from, to := c.id("startSongId"), c.id("endSongId")
	count := c.count("count", 25, maxPage)
	if err := c.err(); err != nil {
		return err
	}
	list, err := s.cfg.Catalog.SonicPath(c.r.Context(), c.viewer, from, to, max(count, 2)) // both ends must be there
	if err != nil {
		return err
	}
	c.sonicMatches(list)
	return nil
}

func (c *call) sonicMatches(list []tutti.SonicMatch) {
	c.out.array("sonicMatch")
	for i := range list {
		c.out.each()
		c.out.float("similarity", list[i].Similarity)
		c.out.open("entry")
		c.out.song(&list[i].Track)
		c.out.close()
		c.out.close()
	}
	c.out.endArray()
}
