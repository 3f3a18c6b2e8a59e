package enrich

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"tutti"
	"tutti/store"
)

// Suggestions are items of one partition, open ones and decided ones alike, so that a decision is one write. What was
// decided is kept for good: it is what keeps a suggestion from coming again, and what can be taken back.

const (
	partition = "suggestions"
	stateKey  = "state"
	itemKey   = "s#"
)

// perKind bounds the open suggestions of a kind that are kept: nobody reads more, and the best come first.
const perKind = 2000

// deskState is what is known of looks through the library.
type deskState struct {
	Given  time.Time `json:"given,omitzero"`
	Looked time.Time `json:"looked,omitzero"`
}

func (d *Desk) state(ctx context.Context) (s deskState, err error) {
	it, err := d.c.Store.Get(ctx, store.Key{PK: partition, SK: stateKey})
	if tutti.IsKind(err, tutti.KindNotFound) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(it.Value, &s)
	}
	return s, tutti.Wrap(tutti.KindOf(err), "enrich: read state", err)
}

func (d *Desk) update(ctx context.Context, change func(*deskState)) error {
	for try := 0; ; try++ {
		key := store.Key{PK: partition, SK: stateKey}
		var s deskState
		cond := store.IfAbsent
		it, err := d.c.Store.Get(ctx, key)
		switch {
		case err == nil:
			if err := json.Unmarshal(it.Value, &s); err != nil {
				return tutti.Wrap(tutti.KindInternal, "enrich: read state", err)
			}
			cond = store.IfVersion(it.Version)
		case !tutti.IsKind(err, tutti.KindNotFound):
			return err
		}
		change(&s)
		value, err := json.Marshal(s)
		if err == nil {
			_, err = d.c.Store.Put(ctx, key, value, time.Time{}, cond)
		}
		if !again(err, try) {
			return err
		}
	}
}

// kept is a suggestion as it is stored, with its item's version.
type kept struct {
	tutti.Suggestion
	// Reopened says that somebody took a decision back. It is people's from then on: the settings' rule, which would make the
	// same decision again, does not accept it.
	Reopened bool `json:",omitempty"`
	version  uint64
}

// suggestionID is the same for the same suggestion.
func suggestionID(s *tutti.Suggestion) string {
	h := sha256.New()
	add := func(parts ...string) {
		for _, p := range parts {
			h.Write([]byte(p))
			h.Write([]byte{0})
		}
	}
	add(string(s.Kind), s.Of)
	for _, c := range s.Changes {
		add(string(c.Field))
		add(c.After...)
	}
	for _, id := range s.Also {
		add(string(id))
	}
	return hex.EncodeToString(h.Sum(nil)[:10])
}

// all reads every suggestion.
func (d *Desk) all(ctx context.Context) (map[string]*kept, error) {
	const op = "enrich: read suggestions"
	list := make(map[string]*kept)
	for after := ""; ; {
		page, err := d.c.Store.Query(ctx, partition, itemKey, after, store.MaxPage)
		if err != nil {
			return nil, tutti.Wrap(tutti.KindOf(err), op, err)
		}
		for _, it := range page.Items {
			k := &kept{version: it.Version}
			if err := json.Unmarshal(it.Value, k); err != nil {
				return nil, tutti.Wrap(tutti.KindInternal, op, err)
			}
			list[k.ID] = k
		}
		if after = page.Next; after == "" {
			return list, nil
		}
	}
}

func (d *Desk) put(ctx context.Context, k *kept) error {
	value, err := json.Marshal(k)
	if err != nil {
		return tutti.Wrap(tutti.KindInternal, "enrich: write suggestion", err)
	}
	cond := store.IfAbsent
	if k.version != 0 {
		cond = store.IfVersion(k.version)
	}
	v, err := d.c.Store.Put(ctx, store.Key{PK: partition, SK: itemKey + k.ID}, value, time.Time{}, cond)
	if err == nil {
		k.version = v
	}
	return err
}

// keep keeps what was found: what is new is added, what is still there is brought up to date, and what nobody would suggest any
// more goes, but for what somebody decided. It returns how many are new. What no amendment can hold is not kept: it could
// only ever be refused, and with it all that is accepted together with it.
func (d *Desk) keep(ctx context.Context, found []tutti.Suggestion) (fresh int, err error) {
	d.writing.Lock()
	defer d.writing.Unlock()
	now := d.c.Clock.Now().UTC()
	have, err := d.all(ctx)
	if err != nil {
		return 0, err
	}
	var apply []*kept
	still := make(map[string]bool, len(found))
	decided := decidedFields(have)
	for i := range found {
		s := &found[i]
		if !amendable(s) {
			continue
		}
		s.ID = suggestionID(s)
		still[s.ID] = true
		k := have[s.ID]
		switch {
		case k == nil:
			if decided.touches(s) {
				continue // somebody has decided otherwise
			}
			s.State, s.Made = tutti.SuggestionOpen, now
			k = &kept{Suggestion: *s}
			fresh++
		case k.State != tutti.SuggestionOpen || same(&k.Suggestion, s):
			if k.State == tutti.SuggestionOpen && d.applies(k) {
				apply = append(apply, k)
			}
			continue
		default:
			made := k.Made
			k.Suggestion = *s
			k.State, k.Made = tutti.SuggestionOpen, made
		}
		// What is applied is written before as well: an amendment of which there is no suggestion could not be taken back.
		switch err := d.put(ctx, k); {
		case tutti.IsKind(err, tutti.KindConflict): // who was first wins
		case err != nil:
			return fresh, err
		case d.applies(k):
			apply = append(apply, k)
		}
	}
	if err := d.note(ctx, have, still); err != nil {
		return fresh, err
	}
	for id, k := range have {
		if k.State == tutti.SuggestionOpen && !still[id] {
			if err := d.c.Store.Delete(ctx, store.Key{PK: partition, SK: itemKey + id}, store.IfVersion(k.version)); err != nil && !tutti.IsKind(err, tutti.KindConflict) {
				return fresh, err
			}
		}
	}
	return fresh, d.accept(ctx, apply)
}

func (d *Desk) applies(k *kept) bool {
	return d.c.Apply > 0 && k.Probability >= d.c.Apply && len(k.Changes) > 0 && !k.Reopened
}

// amendable reports whether the catalogue would take what a suggestion changes.
func amendable(s *tutti.Suggestion) bool {
	return !slices.ContainsFunc(s.Amendments(), func(a tutti.Amendment) bool { return a.Check() != nil })
}

// note notes as accepted what is open and no longer suggested because the catalogue is amended just so: whoever accepted it
// was interrupted before it was written down. Who that was is not known any more.
func (d *Desk) note(ctx context.Context, have map[string]*kept, still map[string]bool) error {
	list, err := d.c.Tagged.Amendments(ctx)
	if err != nil {
		return err
	}
	amended := make(map[fieldOf][]string, len(list))
	for _, a := range list {
		amended[fieldOf{a.Field, a.Of}] = a.To
	}
	decided := decidedFields(have)
	for id, k := range have {
		other := func(c tutti.TagChange) bool { return !slices.Equal(amended[fieldOf{c.Field, k.Of}], c.After) }
		if k.State != tutti.SuggestionOpen || still[id] || len(k.Changes) == 0 || decided.touches(&k.Suggestion) || slices.ContainsFunc(k.Changes, other) {
			continue
		}
		k.State, k.Decided, k.By = tutti.SuggestionAccepted, d.c.Clock.Now().UTC(), ""
		if err := d.put(ctx, k); err != nil && !tutti.IsKind(err, tutti.KindConflict) {
			return err
		}
	}
	return nil
}

// accept accepts suggestions as the settings' rule says.
func (d *Desk) accept(ctx context.Context, list []*kept) error {
	var amend []tutti.Amendment
	for _, k := range list {
		amend = append(amend, k.Amendments()...)
	}
	if len(amend) == 0 {
		return nil
	}
	if err := d.c.Amender.Amend(ctx, amend); err != nil {
		return err
	}
	for _, k := range list {
		k.State, k.Decided, k.By = tutti.SuggestionAccepted, d.c.Clock.Now().UTC(), ""
		if err := d.put(ctx, k); err != nil && !tutti.IsKind(err, tutti.KindConflict) {
			return err
		}
	}
	return nil
}

// same reports whether a suggestion was made again as it was.
func same(a, b *tutti.Suggestion) bool {
	return a.Probability == b.Probability && a.Tracks == b.Tracks && a.Subject == b.Subject && a.Source == b.Source && a.Model == b.Model && a.Why == b.Why &&
		slices.EqualFunc(a.Changes, b.Changes, func(x, y tutti.TagChange) bool {
			return x.Field == y.Field && slices.Equal(x.Before, y.Before) && slices.Equal(x.After, y.After)
		})
}

// fieldOf is a field of a thing.
type fieldOf struct {
	field tutti.TagField
	of    string
}

type fieldsOf map[fieldOf]bool

// decidedFields are those that something was accepted for: another suggestion for them would undo what somebody wanted.
func decidedFields(list map[string]*kept) fieldsOf {
	out := make(fieldsOf)
	for _, k := range list {
		if k.State == tutti.SuggestionAccepted || k.State == tutti.SuggestionEdited {
			for _, c := range k.Changes {
				out[fieldOf{c.Field, k.Of}] = true
			}
		}
	}
	return out
}

func (f fieldsOf) touches(s *tutti.Suggestion) bool {
	return slices.ContainsFunc(s.Changes, func(c tutti.TagChange) bool { return f[fieldOf{c.Field, s.Of}] })
}

// List implements tutti.Suggestions.
func (d *Desk) List(ctx context.Context, v tutti.Viewer, q tutti.SuggestionQuery) (out tutti.SuggestionList, err error) {
	const op = "enrich.List"
	if err := mayDecide(op, v); err != nil {
		return out, err
	}
	// The state first: a look that ends in between has left what it found, and is not said to have found nothing.
	st, err := d.state(ctx)
	if err != nil {
		return out, err
	}
	all, err := d.all(ctx)
	if err != nil {
		return out, err
	}
	out.Looked, out.Looking = st.Looked, d.looking.Load()
	counts := make(map[tutti.SuggestionKind]tutti.SuggestionCounts)
	var list []tutti.Suggestion
	for _, k := range all {
		n := counts[k.Kind]
		if n.Kind = k.Kind; k.State == tutti.SuggestionOpen {
			n.Open++
		} else {
			n.Decided++
		}
		counts[k.Kind] = n
		if (q.Kind == "" || q.Kind == k.Kind) && (q.State == "" || q.State == k.State) {
			list = append(list, k.Suggestion)
		}
	}
	for _, kind := range tutti.SuggestionKinds {
		if n, ok := counts[kind]; ok {
			out.Counts = append(out.Counts, n)
		}
	}
	slices.SortFunc(list, func(a, b tutti.Suggestion) int {
		return cmp.Or(b.Decided.Compare(a.Decided), cmp.Compare(b.Probability, a.Probability), cmp.Compare(b.Tracks, a.Tracks),
			cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.ID, b.ID))
	})
	out.Total = len(list)
	from := min(max(q.Offset, 0), len(list))
	out.Suggestions = list[from:min(len(list), from+q.Limit)]
	return out, nil
}

// maxDecisions bounds one call of Decide.
const maxDecisions = perKind

// Decide implements tutti.Suggestions.
func (d *Desk) Decide(ctx context.Context, v tutti.Viewer, by string, list []tutti.Decision) ([]tutti.Suggestion, error) {
	const op = "enrich.Decide"
	if err := mayDecide(op, v); err != nil {
		return nil, err
	}
	if len(list) > maxDecisions {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "at most %d suggestions can be decided at once", maxDecisions)
	}
	d.writing.Lock()
	defer d.writing.Unlock()
	for try := 0; ; try++ {
		out, err := d.decide(ctx, by, list)
		if !again(err, try) {
			return out, tutti.Wrap(tutti.KindOf(err), op, err)
		}
	}
}

func (d *Desk) decide(ctx context.Context, by string, list []tutti.Decision) ([]tutti.Suggestion, error) {
	const op = "enrich.Decide"
	now := d.c.Clock.Now().UTC()
	var (
		todo  []*kept
		amend []tutti.Amendment
	)
	keys := make([]store.Key, 0, len(list))
	want := make(map[string]tutti.Decision, len(list))
	for _, dec := range list {
		if _, twice := want[dec.ID]; twice || dec.ID == "" || len(dec.ID) > 64 {
			return nil, tutti.Errorf(tutti.KindInvalid, op, "%.70q is no suggestion, or named twice", dec.ID)
		}
		want[dec.ID] = dec
		keys = append(keys, store.Key{PK: partition, SK: itemKey + dec.ID})
	}
	have := make(map[string]*kept, len(list))
	for lot := range slices.Chunk(keys, store.MaxBatchGet) {
		items, err := d.c.Store.BatchGet(ctx, lot)
		if err != nil {
			return nil, err
		}
		for _, it := range items {
			k := &kept{version: it.Version}
			if err := json.Unmarshal(it.Value, k); err != nil {
				return nil, tutti.Wrap(tutti.KindInternal, op, err)
			}
			have[k.ID] = k
		}
	}
	for _, dec := range list {
		k := have[dec.ID]
		if k == nil {
			continue
		}
		was := k.State == tutti.SuggestionAccepted || k.State == tutti.SuggestionEdited
		switch dec.State {
		case tutti.SuggestionAccepted, tutti.SuggestionEdited:
			if dec.State == tutti.SuggestionEdited {
				if err := edit(&k.Suggestion, dec.After); err != nil {
					return nil, err
				}
			}
			amend = append(amend, k.Amendments()...)
		case tutti.SuggestionOpen, tutti.SuggestionRejected:
			if was {
				for _, a := range k.Amendments() {
					a.To = nil
					amend = append(amend, a)
				}
			}
		default:
			return nil, tutti.Errorf(tutti.KindInvalid, op, "%.40q is nothing that can be decided", string(dec.State))
		}
		k.State, k.Decided, k.By, k.Reopened = dec.State, now, by, false
		if dec.State == tutti.SuggestionOpen {
			k.Decided, k.By, k.Reopened = time.Time{}, "", true
		}
		todo = append(todo, k)
	}
	// First what is shown, then what is said of it: of what is interrupted in between, the decision is there to be made again.
	if len(amend) > 0 {
		if err := d.c.Amender.Amend(ctx, amend); err != nil {
			return nil, err
		}
	}
	out := make([]tutti.Suggestion, 0, len(todo))
	for _, k := range todo {
		if err := d.put(ctx, k); err != nil {
			return nil, err
		}
		out = append(out, k.Suggestion)
	}
	return out, nil
}

// edit puts somebody's own values in the place of those suggested.
func edit(s *tutti.Suggestion, after [][]string) error {
	const op = "enrich.Decide"
	if len(s.Changes) == 0 || len(after) != len(s.Changes) {
		return tutti.Errorf(tutti.KindInvalid, op, "an edited suggestion needs values for each of its %d changes", len(s.Changes))
	}
	s.Changes = slices.Clone(s.Changes)
	for i, v := range after {
		if len(v) == 0 {
			return tutti.Errorf(tutti.KindInvalid, op, "an edited suggestion needs a value; reject it to leave the tags as they are")
		}
		s.Changes[i].After = v
	}
	for _, a := range s.Amendments() {
		if err := a.Check(); err != nil {
			return err
		}
	}
	return nil
}
