package enrich

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"tutti"
	"tutti/clock"
	"tutti/store"
	"tutti/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// shelf is a catalogue as far as a desk knows one: tracks, and what is amended. How amendments are shown is the catalogue's
// and tested there.
type shelf struct {
	tracks  []tutti.Track
	amended map[string]tutti.Amendment
	broken  error
}

func (s *shelf) Amend(_ context.Context, list []tutti.Amendment) error {
	if s.broken != nil {
		return s.broken
	}
	for _, a := range list {
		if err := a.Check(); err != nil {
			return err
		}
		if k := string(a.Field) + a.Of; a.To == nil {
			delete(s.amended, k)
		} else {
			s.amended[k] = a
		}
	}
	return nil
}

func (s *shelf) EachTagged(_ context.Context, fn func(*tutti.Track) error) error {
	for i := range s.tracks {
		t := s.tracks[i]
		if err := fn(&t); err != nil {
			return err
		}
	}
	return nil
}

func (s *shelf) Amendments(context.Context) (list []tutti.Amendment, _ error) {
	for _, a := range s.amended {
		list = append(list, a)
	}
	return list, nil
}

// disk is a store that can fail once something is amended.
type disk struct {
	store.Store
	s    *shelf
	full bool
}

func (d *disk) Put(ctx context.Context, key store.Key, value []byte, expires time.Time, cond store.Condition) (uint64, error) {
	if d.full && len(d.s.amended) > 0 {
		return 0, tutti.Errorf(tutti.KindUnavailable, "test", "full")
	}
	return d.Store.Put(ctx, key, value, expires, cond)
}

// add puts an album of an artist on the shelf.
func (s *shelf) add(owner, album string, credits ...string) {
	n := uint64(len(s.tracks))
	for i, c := range credits {
		s.tracks = append(s.tracks, tutti.Track{
			ID: tutti.NewID(tutti.PrefixTrack, n+uint64(i)+1), AlbumID: tutti.NewID(tutti.PrefixAlbum, n+1), Album: album, Title: album + " " + string(rune('A'+i)), DisplayArtist: c,
			Artists: []tutti.ArtistRef{{Name: c}}, AlbumArtists: []tutti.ArtistRef{{Name: owner}}, Path: owner + "/" + album + "/x.flac",
			Duration: time.Duration(180+7*int(n)+31*i) * time.Second,
		})
	}
}

var (
	boss  = tutti.Viewer{Admin: true}
	guest = tutti.Viewer{}
)

func open(t *testing.T, apply float64) (*Desk, *shelf) {
	t.Helper()
	fake := clock.NewFake(epoch)
	quiet := slog.New(slog.DiscardHandler)
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "tutti.db"), sqlite.Options{Clock: fake, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &shelf{amended: map[string]tutti.Amendment{}}
	s.add("Ada Byrd", "Songs", "Ada Byrd", "Ada Byrd", "Ada Byrd feat. Bo Field", "Ada Byrd")
	s.add("Bo Field", "Fields", "Bo Field", "Bo Field")
	s.add("Simon & Garfunkel", "Bookends", "Simon & Garfunkel", "Simon & Garfunkel")
	s.add("Simon & Garfunkel", "Sounds", "Simon & Garfunkel")
	s.add("The Larks", "Nests", "The Larks", "The Larks", "The Larks")
	s.add("Larks", "Wings", "Larks")
	d, err := New(Config{Store: &disk{st, s, false}, Amender: s, Tagged: s, Clock: fake, Logger: quiet, Apply: apply})
	if err != nil {
		t.Fatal(err)
	}
	return d, s
}

func list(t *testing.T, d *Desk, q tutti.SuggestionQuery) []tutti.Suggestion {
	t.Helper()
	q.Limit = 100
	l, err := d.List(t.Context(), boss, q)
	if err != nil {
		t.Fatal(err)
	}
	return l.Suggestions
}

func look(t *testing.T, d *Desk) {
	t.Helper()
	if err := d.look(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestLookDecideTakeBack(t *testing.T) {
	d, s := open(t, 0)
	look(t, d)
	found := list(t, d, tutti.SuggestionQuery{State: tutti.SuggestionOpen})
	slices.SortFunc(found, func(a, b tutti.Suggestion) int { return strings.Compare(string(b.Kind), string(a.Kind)) })
	var got [][]string
	for _, f := range found {
		got = append(got, append([]string{string(f.Kind), f.Of}, f.Changes[0].After...))
	}
	want := [][]string{{"split", "Ada Byrd feat. Bo Field", "Ada Byrd", "Bo Field"}, {"spelling", "Larks", "The Larks"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	if len(s.amended) != 0 {
		t.Fatalf("something was amended that nobody accepted: %v", s.amended)
	}

	decide := func(dec ...tutti.Decision) {
		t.Helper()
		if _, err := d.Decide(t.Context(), boss, "ada", dec); err != nil {
			t.Fatal(err)
		}
	}
	decide(tutti.Decision{ID: found[0].ID, State: tutti.SuggestionAccepted}, tutti.Decision{ID: found[1].ID, State: tutti.SuggestionRejected})
	if a := s.amended["artistAda Byrd feat. Bo Field"]; !slices.Equal(a.To, []string{"Ada Byrd", "Bo Field"}) || len(s.amended) != 1 {
		t.Fatalf("amended is %v", s.amended)
	}

	// Another look suggests neither again.
	look(t, d)
	if open := list(t, d, tutti.SuggestionQuery{State: tutti.SuggestionOpen}); len(open) != 0 {
		t.Fatalf("suggested again: %v", open)
	}
	decided := list(t, d, tutti.SuggestionQuery{})
	if len(decided) != 2 || decided[0].By != "ada" || !decided[0].Decided.Equal(epoch) {
		t.Fatalf("decided: %+v", decided)
	}

	// What was decided is taken back, and decided otherwise.
	decide(tutti.Decision{ID: found[0].ID, State: tutti.SuggestionOpen}, tutti.Decision{ID: found[1].ID, State: tutti.SuggestionOpen})
	if len(s.amended) != 0 {
		t.Fatalf("amended is still %v", s.amended)
	}
	decide(tutti.Decision{ID: found[0].ID, State: tutti.SuggestionEdited, After: [][]string{{"Ada Byrd", "Bo Field", "Cy"}}})
	if a := s.amended["artistAda Byrd feat. Bo Field"]; len(a.To) != 3 {
		t.Fatalf("amended is %v", s.amended)
	}
	decide(tutti.Decision{ID: found[0].ID, State: tutti.SuggestionRejected})
	if len(s.amended) != 0 {
		t.Fatalf("amended is still %v", s.amended)
	}
}

func TestDecideRefuses(t *testing.T) {
	d, s := open(t, 0)
	look(t, d)
	found := list(t, d, tutti.SuggestionQuery{State: tutti.SuggestionOpen})
	id := found[0].ID
	for name, c := range map[string]struct {
		v    tutti.Viewer
		list []tutti.Decision
		kind tutti.Kind
	}{
		"guest":         {guest, []tutti.Decision{{ID: id, State: tutti.SuggestionAccepted}}, tutti.KindForbidden},
		"twice":         {boss, []tutti.Decision{{ID: id, State: tutti.SuggestionAccepted}, {ID: id, State: tutti.SuggestionRejected}}, tutti.KindInvalid},
		"nothing":       {boss, []tutti.Decision{{ID: id, State: "perhaps"}}, tutti.KindInvalid},
		"empty values":  {boss, []tutti.Decision{{ID: id, State: tutti.SuggestionEdited, After: [][]string{{}}}}, tutti.KindInvalid},
		"empty value":   {boss, []tutti.Decision{{ID: id, State: tutti.SuggestionEdited, After: [][]string{{""}}}}, tutti.KindInvalid},
		"wrong changes": {boss, []tutti.Decision{{ID: id, State: tutti.SuggestionEdited, After: [][]string{{"a"}, {"b"}}}}, tutti.KindInvalid},
	} {
		if _, err := d.Decide(t.Context(), c.v, "x", c.list); !tutti.IsKind(err, c.kind) {
			t.Errorf("%s: %v instead of %v", name, err, c.kind)
		}
	}
	if _, err := d.List(t.Context(), guest, tutti.SuggestionQuery{}); !tutti.IsKind(err, tutti.KindForbidden) {
		t.Errorf("a guest may list: %v", err)
	}
	// Where the catalogue cannot amend, nothing counts as decided.
	s.broken = tutti.Errorf(tutti.KindUnavailable, "test", "away")
	if _, err := d.Decide(t.Context(), boss, "x", []tutti.Decision{{ID: id, State: tutti.SuggestionAccepted}}); !tutti.IsKind(err, tutti.KindUnavailable) {
		t.Errorf("%v", err)
	}
	if got := list(t, d, tutti.SuggestionQuery{State: tutti.SuggestionOpen}); len(got) != len(found) {
		t.Errorf("%d are open of %d", len(got), len(found))
	}
}

func TestAppliedByRule(t *testing.T) {
	d, s := open(t, 0.95)
	look(t, d)
	applied := list(t, d, tutti.SuggestionQuery{State: tutti.SuggestionAccepted})
	if len(applied) == 0 || len(s.amended) != len(applied) {
		t.Fatalf("%d applied, %d amended", len(applied), len(s.amended))
	}
	for _, a := range applied {
		if a.Probability < 0.95 || a.By != "" {
			t.Errorf("applied: %+v", a)
		}
	}
	// Taken back by hand, it is not applied by the next look.
	if _, err := d.Decide(t.Context(), boss, "ada", []tutti.Decision{{ID: applied[0].ID, State: tutti.SuggestionRejected}}); err != nil {
		t.Fatal(err)
	}
	n := len(s.amended)
	look(t, d)
	if len(s.amended) != n {
		t.Errorf("%d amended instead of %d", len(s.amended), n)
	}
	// Nor is one that was opened again, which is how the page takes back.
	if _, err := d.Decide(t.Context(), boss, "ada", []tutti.Decision{{ID: applied[1].ID, State: tutti.SuggestionOpen}}); err != nil {
		t.Fatal(err)
	}
	look(t, d)
	if len(s.amended) != n-1 {
		t.Errorf("%d amended instead of %d: what was taken back was applied again", len(s.amended), n-1)
	}
	if open := list(t, d, tutti.SuggestionQuery{State: tutti.SuggestionOpen}); !slices.ContainsFunc(open, func(o tutti.Suggestion) bool { return o.ID == applied[1].ID }) {
		t.Error("what was opened again is not open")
	}
}

// TestInterrupted: what was amended can be taken back, whoever accepted it and whatever failed before that was written down.
func TestInterrupted(t *testing.T) {
	for name, apply := range map[string]float64{"by hand": 0, "by rule": 0.95} {
		t.Run(name, func(t *testing.T) {
			d, s := open(t, apply)
			disk := d.c.Store.(*disk)
			if apply == 0 {
				look(t, d)
			}
			disk.full = true
			if apply == 0 {
				found := list(t, d, tutti.SuggestionQuery{State: tutti.SuggestionOpen})
				_, err := d.Decide(t.Context(), boss, "ada", []tutti.Decision{{ID: found[0].ID, State: tutti.SuggestionAccepted}})
				if !tutti.IsKind(err, tutti.KindUnavailable) {
					t.Fatal(err)
				}
			} else if err := d.look(t.Context()); !tutti.IsKind(err, tutti.KindUnavailable) {
				t.Fatal(err)
			}
			n := len(s.amended)
			disk.full = false
			look(t, d)
			accepted := list(t, d, tutti.SuggestionQuery{State: tutti.SuggestionAccepted})
			if n == 0 || len(accepted) != n || len(s.amended) != n {
				t.Fatalf("%d were amended, %d are now, of which %d can be taken back", n, len(s.amended), len(accepted))
			}
			for _, a := range accepted {
				if _, err := d.Decide(t.Context(), boss, "ada", []tutti.Decision{{ID: a.ID, State: tutti.SuggestionOpen}}); err != nil {
					t.Fatal(err)
				}
			}
			if len(s.amended) != 0 {
				t.Errorf("amended is still %v", s.amended)
			}
		})
	}
}

// TestTooLongForAnAmendment: a tag that is longer than the catalogue takes hinders nothing else.
func TestTooLongForAnAmendment(t *testing.T) {
	d, s := open(t, 0.95)
	s.tracks[0].Title = strings.Repeat("long ", tutti.MaxAmended/5+1) + "(2011 Remaster)"
	look(t, d)
	if len(s.amended) == 0 {
		t.Error("nothing was applied")
	}
	for _, f := range list(t, d, tutti.SuggestionQuery{}) {
		if f.Kind == tutti.SuggestTitle {
			t.Errorf("suggested, and could not be accepted: %+v", f)
		}
	}
}

func TestGoneSuggestionsGo(t *testing.T) {
	d, s := open(t, 0)
	look(t, d)
	s.tracks = s.tracks[4:] // Ada Byrd's are gone
	look(t, d)
	for _, f := range list(t, d, tutti.SuggestionQuery{}) {
		if f.Kind == tutti.SuggestSplit {
			t.Errorf("still there: %+v", f)
		}
	}
}
