package enrich

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"tutti"
)

// Titles often hold more than the title: which version of the recording it is ("Hey Jude - Remastered 2015"), or the work that a
// movement is of ("Symphony No. 5: II. Andante").

// notes match what is said of a version at the end of a title, behind a dash or in brackets. Only notes that say how the sound was
// published are taken off: "(Live)" or "(Acoustic)" is another performance, and part of what people call it.
var notes = regexp.MustCompile(`(?i)^(?:` + strings.Join([]string{
	`(?:digital(?:ly)? )?re-?master(?:ed)?(?: version)?(?: in)?(?: \d{4})?`,
	`\d{4} (?:digital(?:ly)? )?re-?master(?:ed)?(?: version| edition)?`,
	`(?:\d{4} )?(?:stereo|mono)(?: mix| version)?(?: ?[-/] ?(?:\d{4} )?re-?master(?:ed)?(?: \d{4})?)?`,
	`(?:album|lp|single|original|explicit|clean) version`,
	`bonus track`,
	`\d{4} (?:mix|version)`,
}, "|") + `)$`)

// versioned takes a title apart into what it is called and which version it is; version is "" where it says nothing of that.
func versioned(title string) (base, version string) {
	base = title
	for range 3 {
		head, note, ok := lastNote(base)
		if !ok || !notes.MatchString(note) {
			break
		}
		base = head
		if version == "" {
			version = note
		} else {
			version = note + ", " + version
		}
	}
	return base, version
}

// lastNote returns what stands at the end of a title in brackets, or behind its last dash.
func lastNote(title string) (head, note string, ok bool) {
	t := strings.TrimSpace(title)
	for _, pair := range []string{"()", "[]"} {
		if strings.HasSuffix(t, pair[1:]) {
			if i := strings.LastIndexByte(t, pair[0]); i > 0 {
				return strings.TrimSpace(t[:i]), strings.TrimSpace(t[i+1 : len(t)-1]), strings.TrimSpace(t[:i]) != ""
			}
		}
	}
	for _, dash := range []string{" - ", " – ", " — "} {
		if i := strings.LastIndex(t, dash); i > 0 {
			return strings.TrimSpace(t[:i]), strings.TrimSpace(t[i+len(dash):]), true
		}
	}
	return title, "", false
}

// movement matches how a movement of a work begins.
var movement = regexp.MustCompile(`^(?:(?:[IVX]{1,5}|\d{1,2})[.:)]\s*\S|(?:No|Nr|Act|Scene|Akt|Acte)\.? ?\d)`)

// titled is a track with the work and the movement that its title may hold.
type titled struct {
	id             tutti.ID
	title          string
	work, movement string
}

// workOf takes a title apart at the first ": " behind which a movement begins.
func workOf(title string) (work, mov string, ok bool) {
	for i := 0; ; {
		j := strings.Index(title[i:], ": ")
		if j < 0 {
			return "", "", false
		}
		i += j
		if w, m := title[:i], strings.TrimSpace(title[i+2:]); words(w) >= 2 && movement.MatchString(m) {
			return w, m, true
		}
		i += 2
	}
}

// readTitle gathers what titles suggest.
func (l *Library) readTitle(t *tutti.Track, a *album) {
	if t.Work == "" && t.Movement == "" && len(a.works) < 200 {
		if w, m, ok := workOf(t.Title); ok {
			a.works = append(a.works, titled{t.ID, strings.Clone(t.Title), strings.Clone(w), strings.Clone(m)})
		}
	}
	base, version := versioned(t.Title)
	if version == "" || len(l.titles) >= 4*perKind {
		return
	}
	p := 0.97
	if !strings.Contains(strings.ToLower(version), "master") {
		p = 0.9
	}
	l.titles = append(l.titles, tutti.Suggestion{
		Kind: tutti.SuggestTitle, Of: string(t.ID), Subject: strings.Clone(t.DisplayArtist) + " · " + strings.Clone(t.Album), Tracks: 1, Probability: p, Source: byRules, Why: "version",
		Changes: []tutti.TagChange{
			{Field: tutti.FieldTitle, Before: []string{strings.Clone(t.Title)}, After: []string{strings.Clone(base)}},
			{Field: tutti.FieldGrouping, Before: slices.Clone(t.Groupings), After: append(slices.Clone(t.Groupings), strings.Clone(version))},
		},
	})
}

// findTitles suggests what readTitle gathered, and works of which an album has several movements.
func (l *Library) findTitles() []tutti.Suggestion {
	out := slices.Clone(l.titles)
	for _, a := range l.albums {
		of := make(map[string]int)
		for _, w := range a.works {
			of[w.work]++
		}
		for _, w := range a.works {
			p := 0.75
			if of[w.work] > 1 {
				p = 0.97
			}
			out = append(out, tutti.Suggestion{
				Kind: tutti.SuggestTitle, Of: string(w.id), Subject: cmp.Or(strings.Join(a.owners, ", "), a.title) + " · " + a.title, Tracks: 1, Probability: p, Source: byRules, Why: "work",
				Changes: []tutti.TagChange{
					{Field: tutti.FieldWork, After: []string{w.work}},
					{Field: tutti.FieldMovement, After: []string{w.movement}},
				},
			})
		}
	}
	return out
}
