package api

import (
	"net/http"
	"time"

	"tutti"
)

type tagChange struct {
	Field  tutti.TagField `json:"field" enum:"artist,albumArtist,genre,year,title,work,movement,grouping,mood"`
	Before []string       `json:"before" doc:"What the tags say."`
	After  []string       `json:"after" doc:"What is suggested, or was decided."`
}

type suggestion struct {
	ID          string                `json:"id"`
	Kind        tutti.SuggestionKind  `json:"kind" enum:"split,spelling,title,owner,genre,year,mood,duplicate"`
	State       tutti.SuggestionState `json:"state" enum:"open,accepted,edited,rejected"`
	Of          string                `json:"of" doc:"What is changed: an artist's name, or the id of an album or a track."`
	Subject     string                `json:"subject" doc:"What that is called."`
	Changes     []tagChange           `json:"changes" doc:"Empty where there is nothing to change, as for duplicates."`
	Same        []track               `json:"same,omitempty" doc:"Of duplicates: the tracks, the best first."`
	Tracks      int                   `json:"tracks" doc:"How many it concerns."`
	Probability float64               `json:"probability" doc:"That it is right, 0 to 1."`
	Source      string                `json:"source" doc:"rules, or whose model."`
	Model       string                `json:"model,omitempty"`
	Why         string                `json:"why,omitempty" doc:"The evidence that weighed most."`
	Made        time.Time             `json:"made"`
	Decided     time.Time             `json:"decided,omitzero"`
	By          string                `json:"by,omitempty" doc:"Who decided; left out where a rule of the settings did."`
}

type suggestionCounts struct {
	Kind    tutti.SuggestionKind `json:"kind" enum:"split,spelling,title,owner,genre,year,mood,duplicate"`
	Open    int                  `json:"open"`
	Decided int                  `json:"decided"`
}

type suggestionsReply struct {
	Items   []suggestion       `json:"items"`
	Total   int                `json:"total"`
	Counts  []suggestionCounts `json:"counts" doc:"Of all kinds that there are."`
	Looked  time.Time          `json:"looked,omitzero" doc:"When the library was last looked through."`
	Looking bool               `json:"looking" doc:"It is being looked through."`
}

type decision struct {
	ID    string                `json:"id"`
	State tutti.SuggestionState `json:"state" enum:"open,accepted,edited,rejected" doc:"open takes back what was decided."`
	After [][]string            `json:"after,omitempty" doc:"Of edited: the values, for each of the suggestion's changes."`
}

type decisions struct {
	Decisions []decision `json:"decisions"`
}

type decidedReply struct {
	Items []suggestion `json:"items" doc:"The suggestions as they are now; those that are not there any more are left out."`
}

func (s *server) suggestionRoutes() []route {
	boss := holder(tutti.RoleAdmin)
	decide := send(http.MethodPost, "suggestions/decisions", "decideSuggestions", "suggestions", "Accept, edit, reject or take back suggestions", boss, (*call).decideSuggestions).
		saying("Files are never written: what is accepted is shown beside what the tags say, and can be taken back at any time.")
	decide.status = http.StatusOK
	return []route{
		get("suggestions", "listSuggestions", "suggestions", "What could be mended in the library's tags", boss, (*call).suggestions,
			param{name: "kind", doc: "Of this kind only; by default of any.", enum: []string{"", "split", "spelling", "title", "owner", "genre", "year", "mood", "duplicate"}},
			param{name: "state", doc: "What became of them.", enum: []string{"open", "accepted", "edited", "rejected", "all"}},
			param{name: "offset", kind: integer, max: 1 << 30, doc: "How many to leave out at the beginning."},
			param{name: "limit", kind: integer, min: 1, max: maxPage, def: pageLength, doc: "How many at most."}),
		decide,
		act(http.MethodPost, "suggestions/look", "lookForSuggestions", "suggestions", "Look through the library for suggestions soon", boss, (*call).lookForSuggestions),
	}
}

func (c *call) desk() (tutti.Suggestions, error) {
	if c.Suggestions == nil {
		return nil, tutti.Errorf(tutti.KindUnavailable, "api.desk", "this process keeps no suggestions")
	}
	return c.Suggestions, nil
}

func (c *call) wireSuggestions(list []tutti.Suggestion) ([]suggestion, error) {
	var ids []tutti.ID
	for i := range list {
		ids = append(ids, list[i].Also...)
	}
	known := make(map[tutti.ID]*tutti.Track, len(ids))
	if len(ids) > 0 {
		tracks, err := c.Catalog.TracksByID(c.r.Context(), c.viewer, ids)
		if err != nil {
			return nil, err
		}
		for i := range tracks {
			known[tracks[i].ID] = &tracks[i]
		}
	}
	return wireList(list, func(s *tutti.Suggestion) suggestion {
		out := suggestion{
			ID: s.ID, Kind: s.Kind, State: s.State, Of: s.Of, Subject: s.Subject, Tracks: s.Tracks, Probability: s.Probability,
			Source: s.Source, Model: s.Model, Why: s.Why, Made: s.Made, Decided: s.Decided, By: s.By,
		}
		out.Changes = wireList(s.Changes, func(t *tutti.TagChange) tagChange {
			return tagChange{t.Field, append([]string{}, t.Before...), append([]string{}, t.After...)}
		})
		for _, id := range s.Also {
			if t := known[id]; t != nil {
				out.Same = append(out.Same, wireTrack(t))
			}
		}
		return out
	}), nil
}

func (c *call) suggestions() (out suggestionsReply, err error) {
	desk, err := c.desk()
	if err != nil {
		return out, err
	}
	q := tutti.SuggestionQuery{Kind: tutti.SuggestionKind(c.params.text("kind")), Page: c.params.page()}
	if state := c.params.text("state"); state != "all" {
		q.State = tutti.SuggestionState(state)
	}
	list, err := desk.List(c.r.Context(), c.viewer, q)
	if err != nil {
		return out, err
	}
	items, err := c.wireSuggestions(list.Suggestions)
	return suggestionsReply{
		Items: items, Total: list.Total, Looked: list.Looked, Looking: list.Looking,
		Counts: wireList(list.Counts, func(n *tutti.SuggestionCounts) suggestionCounts { return suggestionCounts(*n) }),
	}, err
}

func (c *call) decideSuggestions(b decisions) (out decidedReply, err error) {
	desk, err := c.desk()
	if err != nil {
		return out, err
	}
	list := make([]tutti.Decision, len(b.Decisions))
	for i, d := range b.Decisions {
		list[i] = tutti.Decision{ID: d.ID, State: d.State, After: d.After}
	}
	done, err := desk.Decide(c.r.Context(), c.viewer, c.who.Name, list)
	if err != nil {
		return out, err
	}
	out.Items, err = c.wireSuggestions(done)
	return out, err
}

func (c *call) lookForSuggestions() error {
	desk, err := c.desk()
	if err != nil {
		return err
	}
	return desk.Look(c.r.Context(), c.viewer)
}
