package api

import (
	"io"

	"tutti"
	"tutti/carbon"
)

func (s *server) carbonRoutes() []route {
	return []route{
		get("carbon", "getFootprint", "carbon", "What listening costs the planet", member, (*call).footprint).
			saying("Energy, emissions and the score after ISO/IEC 21031:2024, of today and of the last year, with the part of who asks. " +
				"Every figure says whether it was measured, modelled or assumed. A fleet's members are added up."),
		bytesOf("carbon/manifest", "getCarbonManifest", "carbon", "The last year as a manifest of the Impact Framework", "application/yaml", member, (*call).manifest).
			saying("The Green Software Foundation's if-run computes the same score from it, from the energy up. 404 while nothing has been streamed."),
	}
}

func (c *call) metered(op string) error {
	if c.Carbon == nil {
		return tutti.Errorf(tutti.KindUnavailable, op, "this server cannot read its machine's accounting, so nothing is known of its energy")
	}
	return nil
}

func (c *call) footprint() (carbon.Footprint, error) {
	if err := c.metered("api.footprint"); err != nil {
		return carbon.Footprint{}, err
	}
	return c.Carbon.Footprint(c.r.Context(), c.who.ID)
}

func (c *call) manifest() error {
	if err := c.metered("api.manifest"); err != nil {
		return err
	}
	text, err := c.Carbon.Manifest(c.r.Context())
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/yaml")
	c.w.Header().Set("Content-Disposition", `attachment; filename="tutti-sci.yml"`)
	c.w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(c.w, text) // who has left needs no answer
	return nil
}
