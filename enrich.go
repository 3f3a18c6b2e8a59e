package tutti

import (
	"context"
	"time"
)

// ---- Tags that are mended ----
//
// What files say of themselves is kept as it is, and no file is ever written. Beside it stand amendments: what the catalogue
// shows instead. They are part of the catalogue, so every process has them, and a file that is scanned again, moved or new is
// shown as they say. Suggestions are amendments that nobody has decided on, or that somebody has and may take back.

// TagField is a part of what tags say that can be amended.
type TagField string

// The fields. What an amendment is of depends on its field.
const (
	FieldArtist      TagField = "artist"      // of an artist, by name: whom credits of that name are for
	FieldAlbumArtist TagField = "albumArtist" // of an album, by ID
	FieldGenre       TagField = "genre"       // of an album, by ID: the genres of its tracks
	FieldYear        TagField = "year"        // of an album, by ID: the year of its release
	FieldTitle       TagField = "title"       // of a track, by ID
	FieldWork        TagField = "work"        // of a track, by ID
	FieldMovement    TagField = "movement"    // of a track, by ID
	FieldGrouping    TagField = "grouping"    // of a track, by ID: which version of the music it is, such as "2011 Remaster"
	FieldMood        TagField = "mood"        // of an album, by ID: the moods of its tracks
)

// Single reports whether a field has one value.
func (f TagField) Single() bool {
	switch f {
	case FieldYear, FieldTitle, FieldWork, FieldMovement:
		return true
	}
	return false
}

// Amendment says what is shown instead of what tags say.
type Amendment struct {
	Field TagField `json:"field"`
	Of    string   `json:"of"`           // an artist's name, or the ID of an album or a track
	To    []string `json:"to,omitempty"` // nil: what the tags say
}

// Limits of an amendment.
const (
	MaxAmended     = 400 // bytes of a value and of Of
	MaxAmendValues = 40
)

// Check returns KindInvalid for an amendment that cannot be made.
func (a Amendment) Check() error {
	const op = "tutti.Amendment"
	switch a.Field {
	case FieldArtist:
		if a.Of == "" || len(a.Of) > MaxAmended {
			return Errorf(KindInvalid, op, "an artist's name has 1 to %d bytes", MaxAmended)
		}
	case FieldAlbumArtist, FieldGenre, FieldYear, FieldMood:
		if !ID(a.Of).Is(PrefixAlbum) {
			return Errorf(KindInvalid, op, "%.60q is no album's id", a.Of)
		}
	case FieldTitle, FieldWork, FieldMovement, FieldGrouping:
		if !ID(a.Of).Is(PrefixTrack) {
			return Errorf(KindInvalid, op, "%.60q is no track's id", a.Of)
		}
	default:
		return Errorf(KindInvalid, op, "%.40q is no field that can be amended", string(a.Field))
	}
	if len(a.To) > MaxAmendValues || len(a.To) > 1 && a.Field.Single() {
		return Errorf(KindInvalid, op, "%d values are too many for %s", len(a.To), a.Field)
	}
	for _, v := range a.To {
		if v == "" || len(v) > MaxAmended {
			return Errorf(KindInvalid, op, "a value of %s has 1 to %d bytes", a.Field, MaxAmended)
		}
		if a.Field == FieldYear {
			if y, err := parseYear(v); err != nil || y == 0 {
				return Errorf(KindInvalid, op, "%.20q is no year", v)
			}
		}
	}
	return nil
}

// Year returns the year that an amendment of FieldYear sets; 0 where it sets none.
func (a Amendment) Year() int {
	if a.Field != FieldYear || len(a.To) != 1 {
		return 0
	}
	y, err := parseYear(a.To[0])
	if err != nil {
		return 0
	}
	return y
}

func parseYear(s string) (int, error) {
	y := 0
	if len(s) != 4 {
		return 0, Errorf(KindInvalid, "tutti.Amendment", "a year has four digits")
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, Errorf(KindInvalid, "tutti.Amendment", "a year has four digits")
		}
		y = y*10 + int(c-'0')
	}
	return y, nil
}

// Amender amends what the catalogue shows.
type Amender interface {
	// Amend makes the amendments durable and visible, in order; the last for a field of a thing counts. KindInvalid for one that
	// cannot be made, of which then none is; KindConflict where other nodes keep changing the catalogue; and the store's
	// errors, with none or some of them made: making them all again is right.
	Amend(ctx context.Context, list []Amendment) error
}

// Tagged is the catalogue as its files' tags have it.
type Tagged interface {
	Amender
	// EachTagged calls fn with each track that is not missing as its tags have it, tracks of an album mostly together, until
	// fn returns an error, which it returns. fn must not keep what the track points to. No lock is held while fn runs; tracks
	// that come or go meanwhile may be left out.
	EachTagged(ctx context.Context, fn func(*Track) error) error
	// Amendments returns what is amended, in a fixed order.
	Amendments(ctx context.Context) ([]Amendment, error)
}

// SuggestionKind says what a suggestion is about.
type SuggestionKind string

// The kinds of suggestions. The page has a name for each in its words.
const (
	SuggestSplit     SuggestionKind = "split"     // a credit names several artists
	SuggestSpelling  SuggestionKind = "spelling"  // an artist is spelt in several ways
	SuggestTitle     SuggestionKind = "title"     // a title holds a work, a movement or a version
	SuggestOwner     SuggestionKind = "owner"     // an album lacks its artist
	SuggestGenre     SuggestionKind = "genre"     // an album lacks a genre
	SuggestYear      SuggestionKind = "year"      // an album lacks its year
	SuggestMood      SuggestionKind = "mood"      // an album lacks a mood
	SuggestDuplicate SuggestionKind = "duplicate" // tracks are the same recording, or versions of one
)

// SuggestionKinds lists the kinds in the order in which they are looked through.
var SuggestionKinds = []SuggestionKind{
	SuggestSplit, SuggestSpelling, SuggestTitle, SuggestOwner, SuggestGenre, SuggestYear, SuggestMood, SuggestDuplicate,
}

// SuggestionState is what became of a suggestion.
type SuggestionState string

// The states of a suggestion.
const (
	SuggestionOpen     SuggestionState = "open"
	SuggestionAccepted SuggestionState = "accepted"
	SuggestionEdited   SuggestionState = "edited" // accepted with other values
	SuggestionRejected SuggestionState = "rejected"
)

// TagChange is one field of a suggestion: what the tags say, and what is suggested.
type TagChange struct {
	Field         TagField
	Before, After []string
}

// Suggestion is a change to what the catalogue shows that somebody may make.
type Suggestion struct {
	ID          string // the same for the same suggestion, however often it is made
	Kind        SuggestionKind
	State       SuggestionState
	Of          string // what the changes are of, as Amendment.Of
	Subject     string // what that is called, for a person
	Changes     []TagChange
	Also        []ID    // of SuggestDuplicate: the tracks, the best first
	Tracks      int     // that it concerns
	Probability float64 // that it is right, 0 to 1, calibrated
	Source      string  // "rules", or the address of a model's endpoint
	Model       string  // and which; "" for none
	Why         string  // the evidence that weighed most: a short code that the page has words for
	Made        time.Time
	Decided     time.Time // zero while it is open
	By          string    // who decided; "" for the rule of the settings
}

// Amendments returns what accepting the suggestion amends.
func (s *Suggestion) Amendments() []Amendment {
	list := make([]Amendment, 0, len(s.Changes))
	for _, c := range s.Changes {
		list = append(list, Amendment{Field: c.Field, Of: s.Of, To: c.After})
	}
	return list
}

// SuggestionQuery selects suggestions.
type SuggestionQuery struct {
	Kind  SuggestionKind  // "" is any
	State SuggestionState // "" is any
	Page
}

// SuggestionCounts says how many suggestions there are of a kind.
type SuggestionCounts struct {
	Kind          SuggestionKind
	Open, Decided int
}

// SuggestionList is a page of suggestions, the most probable first, of those decided the latest first.
type SuggestionList struct {
	Suggestions []Suggestion
	Total       int
	Counts      []SuggestionCounts // of all kinds that there are
	Looked      time.Time          // when the library was last looked through; zero: never
	Looking     bool
}

// Decision is what somebody wants to become of a suggestion. State SuggestionOpen takes back what was decided.
type Decision struct {
	ID    string
	State SuggestionState
	After [][]string // of SuggestionEdited: the values, for each of the suggestion's changes
}

// Suggestions keeps what is suggested for the library's tags, and what was decided.
type Suggestions interface {
	// List returns suggestions. Admins only.
	List(ctx context.Context, v Viewer, q SuggestionQuery) (SuggestionList, error)
	// Decide makes the decisions and returns the suggestions as they are then; those that are not there are left out. Admins
	// only. Where an error is returned, none or some of the decisions were made, and making them again is right.
	Decide(ctx context.Context, v Viewer, by string, list []Decision) ([]Suggestion, error)
	// Look has the library looked through soon. Admins only. KindUnavailable where this process cannot.
	Look(ctx context.Context, v Viewer) error
}
