package api

import (
	"tutti"
	"tutti/carbon"
)

func (s *server) carbonRoutes() []route {
	return []route{
		get("carbon", "getFootprint", "carbon", "What listening costs the planet", member, (*call).footprint).
			saying("Energy, emissions and the score after ISO/IEC 21031:2024, of today and of the last year, with the part of who asks. " +
				"Every figure says whether it was measured, modelled or assumed. A fleet's members are added up."),
	}
}

func (c *call) footprint() (carbon.Footprint, error) {
	if c.Carbon == nil {
		return carbon.Footprint{}, tutti.Errorf(tutti.KindUnavailable, "api.footprint", "this server cannot read its machine's accounting, so nothing is known of its energy")
	}
	return c.Carbon.Footprint(c.r.Context(), c.who.ID)
}
