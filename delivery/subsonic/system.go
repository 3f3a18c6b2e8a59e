package subsonic

import "tutti"

func (s *Server) ping(*call) error { return nil }

// getLicense answers that all is well: there is nothing to buy.
func (s *Server) getLicense(c *call) error {
	c.out.open("license")
	c.out.bool("valid", true)
	c.out.known("email", c.user.Email)
	c.out.close()
	return nil
}

// extensions are those of the specification that this server has.
var extensions = []Extension{
	{"apiKeyAuthentication", []int64{1}},
	{"formPost", []int64{1}},
	{"indexBasedQueue", []int64{1}},
	{"playbackReport", []int64{1}},
	{"sonicSimilarity", []int64{1}},
	{"songLyrics", []int64{1, 2}},
	{"topSongsByArtistId", []int64{1}},
	{"transcodeOffset", []int64{1}},
	{"transcoding", []int64{1}},
	{"tuttiRooms", []int64{1}}, // our own, described in docs/opensubsonic.md
}

func (s *Server) getOpenSubsonicExtensions(c *call) error {
	c.out.array("openSubsonicExtensions")
	for _, x := range extensions {
		c.out.each()
		c.out.str("name", x.Name)
		c.out.ints("versions", x.Versions)
		c.out.close()
	}
	c.out.endArray()
	return nil
}

// tokenInfo says whose an API key is. Without one there is nothing to tell of.
func (s *Server) tokenInfo(c *call) error {
	if !c.byKey {
		return failf(codeWrongKey, "no API key was sent")
	}
	c.out.open("tokenInfo")
	c.out.str("username", c.user.Name)
	c.out.close()
	return nil
}

func (s *Server) writeScan(c *call, st tutti.ScanStatus) {
	count := int64(st.Tracks)
	if st.Scanning {
		count = st.Seen
	}
	c.out.open("scanStatus")
	c.out.bool("scanning", st.Scanning)
	c.out.int("count", count)
	c.out.close()
}

func (s *Server) getScanStatus(c *call) error {
	st, err := s.cfg.Catalog.ScanStatus(c.r.Context())
	if err != nil {
		return err
	}
	s.writeScan(c, st)
	return nil
}

// startScan also takes fullScan, by which several clients ask for every file to be read again.
func (s *Server) startScan(c *call) error {
	full := c.bool("fullScan", false)
	if err := c.err(); err != nil {
		return err
	}
	st, err := s.cfg.Catalog.Scan(c.r.Context(), full)
	if err != nil {
		return err
	}
	s.writeScan(c, st)
	return nil
}
