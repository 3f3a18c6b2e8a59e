package api

import "slices"

// routes is the whole API.
func (s *server) routes() []route {
	doc := bytesOf("openapi.json", "getDescription", "about", "This description, as OpenAPI 3.1", "application/json", anyone, func(c *call) error {
		c.w.Header().Set("Content-Type", "application/json")
		c.w.Header().Set("Cache-Control", "no-cache")
		_, _ = c.w.Write(document) // who has left needs no answer
		return nil
	})
	return slices.Concat(
		[]route{doc}, s.sessionRoutes(), s.userRoutes(), s.browseRoutes(), s.listenRoutes(), s.shelfRoutes(), s.roomRoutes(), s.pairingRoutes(), s.scanRoutes(), s.eventRoutes(), s.gridRoutes(), s.suggestionRoutes(), s.carbonRoutes(), s.clockRoutes(), s.modelRoutes(),
	)
}
