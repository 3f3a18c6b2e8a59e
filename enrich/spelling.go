package enrich

import (
	"math"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"tutti"
)

// Spellings of one artist differ in case, accents, punctuation, "&" and "and", and in where the article stands. Names that are equal
// but for those are one artist with some probability, which depends on what differs and on how much more often one of the
// spellings is used: "Beyonce" beside forty albums of "Beyoncé" is a slip, two bands of three albums each may be two bands.

// variance says what two spellings differ in.
type variance uint8

const (
	differMarks   variance = 1 << iota // accents
	differArticle                      // "The", in front, behind or absent
	differAnd                          // "&" and "and"
	differPoints                       // punctuation and spaces
	differOrder                        // "Last, First"
)

var articles = []string{"the", "a", "an", "die", "der", "das", "les", "le", "la", "los", "las", "el"}

// key reduces a name to what its spellings have in common.
func key(s string) string {
	var b strings.Builder
	s = unarticled(reordered(strings.ToLower(norm.NFKD.String(s))))
	for w := range strings.FieldsSeq(strings.ReplaceAll(strings.ReplaceAll(s, "&", " and "), "+", " and ")) {
		if w == "and" {
			b.WriteByte('&')
			continue
		}
		for _, r := range w {
			switch {
			case unicode.IsLetter(r), unicode.IsDigit(r):
				b.WriteRune(r)
			case r == '$':
				b.WriteByte('s')
			case r > 0x2000 || !unicode.In(r, unicode.Mn) && r > 0x7f:
				b.WriteRune(r)
			}
		}
	}
	return b.String()
}

// unarticled takes a leading article off, in lower case, where something is left, and the "the" that stands behind a comma.
func unarticled(s string) string {
	s = strings.TrimSpace(s)
	for _, a := range []string{", the", ", die", ", les", ", los"} {
		s = strings.TrimSuffix(s, a)
	}
	for _, a := range articles[:1] { // of the others too many are part of the name: "Die Ärzte", "La Roux"
		if rest, ok := strings.CutPrefix(s, a+" "); ok && rest != "" {
			return rest
		}
	}
	return s
}

// reordered turns "Last, First" around, in lower case, where it is one.
func reordered(s string) string {
	last, first, ok := strings.Cut(s, ", ")
	if !ok || strings.Contains(first, ",") || words(first) > 3 || words(last) > 2 || slices.Contains(articles, first) || strings.ContainsAny(s, "&/;") || strings.Contains(s, " and ") {
		return s
	}
	return first + " " + last
}

func stripMarks(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFKD.String(s))
}

// differ says what tells two spellings with the same key apart.
func differ(a, b string) (v variance) {
	a, b = strings.ToLower(a), strings.ToLower(b)
	if x, y := reordered(a), reordered(b); (x != a) != (y != b) {
		v |= differOrder
		a, b = x, y
	}
	if x, y := stripMarks(a), stripMarks(b); x != y || a != b {
		if (x == a) != (y == b) || x == y {
			v |= differMarks
		}
		a, b = x, y
	}
	if x, y := unarticled(a), unarticled(b); (x == a) != (y == b) {
		v |= differArticle
		a, b = x, y
	}
	amp := func(s string) bool { return strings.ContainsAny(s, "&+") }
	if amp(a) != amp(b) {
		v |= differAnd
		and := strings.NewReplacer("&", "and", "+", "and")
		a, b = and.Replace(a), and.Replace(b)
	}
	if a != b {
		v |= differPoints
	}
	return v
}

// spellingOdds is the log-odds that two spellings are one artist: less for each thing in which they differ, more for each
// doubling by which one is used more. Set by hand; TestQuality measures them.
var spellingOdds = struct {
	bias, marks, article, and, points, order, ratio, short float64
}{bias: 5, marks: -1.2, article: -1, and: -0.2, points: -0.6, order: -0.5, ratio: 0.25, short: -3}

// spellingProbability is the probability that the spelling is the same artist as the one that is used more.
func spellingProbability(spelling, better *name) float64 {
	o := &spellingOdds
	v := differ(spelling.text, better.text)
	x := o.bias
	for _, d := range []struct {
		bit variance
		w   float64
	}{{differMarks, o.marks}, {differArticle, o.article}, {differAnd, o.and}, {differPoints, o.points}, {differOrder, o.order}} {
		if v&d.bit != 0 {
			x += d.w
		}
	}
	x += o.ratio * min(6, math.Log2(float64(1+better.tracks)/float64(1+spelling.tracks)))
	if len(key(spelling.text)) <= 3 {
		x += o.short
	}
	return logistic(x)
}

// prefer reports whether a is the spelling to show rather than b: the one that is used more; of equals the one that says more.
func prefer(a, b *name) bool {
	if a.tracks != b.tracks {
		return a.tracks > b.tracks
	}
	care := func(s string) int { // capital letters where there are small ones, too, and accents
		n := 0
		if s != strings.ToUpper(s) && s != strings.ToLower(s) {
			n += 4
		}
		if stripMarks(s) != norm.NFKD.String(s) {
			n += 2
		}
		if !strings.Contains(s, ", ") {
			n++
		}
		return n
	}
	if x, y := care(a.text), care(b.text); x != y {
		return x > y
	}
	return a.text < b.text
}

// findSpellings suggests one spelling for each artist that has several. taken are credits that are to be cut instead.
func (l *Library) findSpellings(taken map[string]bool) []tutti.Suggestion {
	byKey := make(map[string][]*name)
	for _, n := range l.sortedNames() {
		if k := key(n.text); k != "" && !taken[n.text] {
			byKey[k] = append(byKey[k], n)
		}
	}
	var out []tutti.Suggestion
	for _, n := range l.sortedNames() {
		group := byKey[key(n.text)]
		if len(group) < 2 || taken[n.text] {
			continue
		}
		best := group[0]
		for _, o := range group[1:] {
			if prefer(o, best) {
				best = o
			}
		}
		if best == n || differ(n.text, best.text) == 0 {
			continue // what differs in case alone is one artist to the catalogue anyway
		}
		out = append(out, tutti.Suggestion{
			Kind: tutti.SuggestSpelling, Of: n.text, Subject: n.text, Tracks: n.tracks, Probability: round(spellingProbability(n, best)), Source: byRules, Why: "spelling",
			Changes: []tutti.TagChange{{Field: tutti.FieldArtist, Before: []string{n.text}, After: []string{best.text}}},
		})
	}
	return out
}
