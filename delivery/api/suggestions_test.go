package api

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"slices"
	"testing"

	"tutti"
	"tutti/catalog/scan"
)

// TestSuggestion follows a suggestion from the tags to what listeners see, and back.
func TestSuggestion(t *testing.T) {
	h := open(t)
	h.furnish()
	duet := tutti.ArtistRef{ID: scan.ArtistID("The Harbour Band feat. Guest Quartet"), Name: "The Harbour Band feat. Guest Quartet"}
	entry, ok := h.catalog.Entry(polka)
	if !ok {
		t.Fatal("there is no polka")
	}
	entry.Artists, entry.DisplayArtist = []tutti.ArtistRef{duet}, duet.Name
	must(t, h.catalog.Apply(t.Context(), []scan.Change{{Put: &entry}}))

	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.jobs.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}()
	if w := h.ask(admin, "POST suggestions/look", ""); w.Code != http.StatusNoContent {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var list suggestionsReply
	for list.Looked.IsZero() {
		runtime.Gosched()
		list = decode[suggestionsReply](t, h.ask(admin, "GET suggestions?kind=split", ""))
		if t.Context().Err() != nil {
			t.Fatal("nobody looked")
		}
	}
	if len(list.Items) != 1 || list.Items[0].Of != duet.Name || !slices.Equal(list.Items[0].Changes[0].After, []string{"The Harbour Band", "Guest Quartet"}) {
		t.Fatalf("suggested: %+v", list)
	}
	id := list.Items[0].ID

	artists := func() (names []string) {
		for _, a := range decode[track](t, h.ask(listener, "GET tracks/"+string(polka), "")).Artists {
			names = append(names, a.Name)
		}
		return names
	}
	for _, step := range []struct {
		decision string
		want     []string
	}{
		{`"state":"accepted"`, []string{"The Harbour Band", "Guest Quartet"}},
		{`"state":"open"`, []string{duet.Name}},
		{`"state":"edited","after":[["The Harbour Band","Somebody Else"]]`, []string{"The Harbour Band", "Somebody Else"}},
		{`"state":"rejected"`, []string{duet.Name}},
	} {
		out := decode[decidedReply](t, h.ask(admin, "POST suggestions/decisions", `{"decisions":[{"id":"`+id+`",`+step.decision+`}]}`))
		if got := artists(); !slices.Equal(got, step.want) || len(out.Items) != 1 {
			t.Errorf("%s: the artists are %q, %+v", step.decision, got, out)
		}
	}
	// What the scanner sees is what the tags say, throughout.
	if e, _ := h.catalog.Entry(polka); e.Artists[0] != duet {
		t.Errorf("the tags are %v", e.Artists)
	}
}
