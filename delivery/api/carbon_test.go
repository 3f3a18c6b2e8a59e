package api

import (
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"tutti/carbon"
)

// TestFootprint: what was streamed and used is told as the description says, every figure with its label, and to each
// listener their own part.
func TestFootprint(t *testing.T) {
	h := open(t)
	rules := newRules(t)
	if w := h.ask(listener, "GET carbon/manifest", ""); w.Code != http.StatusNotFound {
		t.Errorf("the manifest of nothing: %d\n%s", w.Code, w.Body)
	}
	u := made(h.accounts.User(t.Context(), listener))(t)
	h.meter.Played(carbon.Play{Listener: u.ID, Link: carbon.Mobile, Bytes: 40e6, Duration: 30 * time.Minute})
	h.meter.Played(carbon.Play{Listener: "us-somebody", Link: carbon.LAN, Bytes: 500e6, Duration: 90 * time.Minute})
	h.clock.Advance(time.Hour)
	w := h.ask(listener, "GET carbon", "")
	if id := rules.check(t, "GET carbon", w.Code, w.Header().Get("Content-Type"), w.Body.Bytes()); id != "getFootprint" {
		t.Fatalf("%s: %d %s", id, w.Code, w.Body)
	}
	f := decode[carbon.Footprint](t, w)
	if p := f.Today; p.StreamHours.Value != 2 || p.Listeners != 2 || p.Mine == nil || p.Mine.Value != 0.5 || p.Score == nil {
		t.Errorf("two hours of which half an hour was the listener's are %+v", p)
	}
	if s := f.Today.Score; s != nil {
		if sum := s.Operational.Value + s.Idle.Value + s.Embodied.Value; math.Abs(sum-s.Total.Value) > 1e-9*sum || sum <= 0 {
			t.Errorf("the parts of the score add up to %v, the score is %v", sum, s.Total.Value)
		}
	}
	// 40 MB at 1.5 W for each Mbit/s are 480 J; at 400 g/kWh, 0.053 g.
	if got := f.Today.Network.Value; math.Abs(got-480/3.6e6*400) > 0.2*got {
		t.Errorf("the network's part is %v g", got)
	}
	var all any
	must(t, json.Unmarshal(w.Body.Bytes(), &all))
	labelled(t, "", all)
	w = h.ask(listener, "GET carbon/manifest", "")
	rules.check(t, "GET carbon/manifest", w.Code, w.Header().Get("Content-Type"), w.Body.Bytes())
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "stream-hours: 2\n") {
		t.Errorf("the manifest: %d\n%s", w.Code, w.Body)
	}
	if w := h.ask("", "GET carbon", ""); w.Code != http.StatusUnauthorized {
		t.Errorf("a stranger is answered %d", w.Code)
	}
}

// labelled looks for figures without a label.
func labelled(t *testing.T, path string, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		if _, figure := v["value"]; figure {
			if l := v["label"]; l != "measured" && l != "modelled" && l != "assumed" {
				t.Errorf("%s is labelled %v", path, l)
			}
			return
		}
		for name, sub := range v {
			labelled(t, path+"/"+name, sub)
		}
	case []any:
		for _, sub := range v {
			labelled(t, path+"[]", sub)
		}
	}
}
