package api

import (
	"net/http"

	"tutti"
	"tutti/delivery"
)

type roomPairing struct {
	Player    string             `json:"player" doc:"What the player calls itself."`
	Name      string             `json:"name"`
	Connected bool               `json:"connected,omitempty"`
	Paired    bool               `json:"paired,omitempty"`
	Methods   []tutti.PairMethod `json:"methods" enum:"token,shown-code,fixed-code" doc:"How it can be paired now: with a token that its own program shows, with digits that it shows or says when it is asked to, or with digits that it came with."`
	Ready     bool               `json:"ready,omitempty" doc:"It waits for its code to be entered."`
	Note      string             `json:"note,omitempty" doc:"What it wants people to know, in its own words."`
}

type pairStep struct {
	Player string `json:"player,omitempty" doc:"Not needed with a token."`
	Secret string `json:"secret,omitempty" doc:"The code or the token. Without it the player is asked to show its code, or to take the one that it has."`
}

// pairingRoutes are those of players that encrypt.
func (s *server) pairingRoutes() []route {
	admin := holder(tutti.RoleAdmin)
	return []route{
		get("room-pairings", "listRoomPairings", "rooms", "The players that encrypt, and whether they are paired", admin, (*call).pairings),
		send(http.MethodPost, "room-pairings", "pairRoomPlayer", "rooms", "Take a step towards pairing a player", admin, (*call).pair).
			saying("Asked for without a secret, it answers once the player is ready for its code; with the code or a token, once the player is paired. It may take as long as somebody needs at the player, up to three minutes."),
		act(http.MethodDelete, "room-pairings/{id}", "unpairRoomPlayer", "rooms", "Forget a pairing, here and at the player", admin, (*call).unpair),
	}
}

// pairers is who pairs players, where this process lets in any that can be.
func (c *call) pairers() (tutti.RoomPairings, error) {
	if c.Pairings == nil {
		return nil, tutti.Errorf(tutti.KindNotFound, "api.pairings", "this server lets no players in that can be paired (--sendspin)")
	}
	return c.Pairings, nil
}

func (c *call) pairings() (items[roomPairing], error) {
	p, err := c.pairers()
	if err != nil {
		return items[roomPairing]{}, err
	}
	all, err := p.Pairings(c.r.Context(), c.viewer)
	return items[roomPairing]{wireList(all, wirePairing)}, err
}

func (c *call) pair(b pairStep) (roomPairing, error) {
	p, err := c.pairers()
	if err != nil {
		return roomPairing{}, err
	}
	if b.Player == "" && b.Secret == "" {
		return roomPairing{}, tutti.Errorf(tutti.KindInvalid, "api.pairRoomPlayer", `"player" or "secret" must be given`)
	}
	delivery.HoldOpen(c.r.Context()) // it takes as long as somebody needs at the player
	now, err := p.Pair(c.r.Context(), c.viewer, b.Player, b.Secret)
	if err != nil {
		return roomPairing{}, err
	}
	return wirePairing(&now), nil
}

func (c *call) unpair() error {
	p, err := c.pairers()
	if err != nil {
		return err
	}
	return p.Unpair(c.r.Context(), c.viewer, c.r.PathValue("id"))
}

func wirePairing(p *tutti.RoomPairing) roomPairing {
	w := roomPairing{Player: p.Player, Name: p.Name, Connected: p.Connected, Paired: p.Paired, Methods: p.Methods, Ready: p.Ready, Note: p.Note}
	if w.Methods == nil {
		w.Methods = []tutti.PairMethod{}
	}
	return w
}
