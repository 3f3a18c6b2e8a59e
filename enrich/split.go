package enrich

import (
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"tutti"
	"tutti/metacodec"
)

// A credit such as "A feat. B" names two artists, "Simon & Garfunkel" is one. Nothing in the text tells which, so every way to cut
// a credit is weighed against keeping it, by what the library knows (does each part occur alone? does the whole own albums?), by
// the shape of the parts, and by how likely a generative model finds the parts against the whole. The score is a sum of weighted
// features and stands for the log-odds of cutting; how well the probabilities hold is in docs/metadata-model.md.

// cut is a sort of separator.
type cut uint8

// The sorts, from the plainest to the most ambiguous.
const (
	cutFeat  cut = iota // feat., ft., featuring
	cutHard             // ;
	cutVs               // vs., versus
	cutSlash            // /
	cutWith             // with
	cutAnd              // &, and, und, et, y
	cutComma            // ,
	cutPlus             // +, x
	cuts
)

var separators = []struct {
	text string
	cut  cut
}{
	{" featuring ", cutFeat},
	{" feat. ", cutFeat},
	{" feat ", cutFeat},
	{" ft. ", cutFeat},
	{" ft ", cutFeat},
	{" (feat. ", cutFeat},
	{" (featuring ", cutFeat},
	{" (ft. ", cutFeat},
	{"; ", cutHard},
	{";", cutHard},
	{" vs. ", cutVs},
	{" vs ", cutVs},
	{" versus ", cutVs},
	{" / ", cutSlash},
	{"/", cutSlash},
	{" with ", cutWith},
	{" & ", cutAnd},
	{" and ", cutAnd},
	{" und ", cutAnd},
	{" et ", cutAnd},
	{" y ", cutAnd},
	{" e ", cutAnd},
	{", ", cutComma},
	{" + ", cutPlus},
	{" x ", cutPlus},
	{" × ", cutPlus},
}

// maxCuts bounds the separators that are looked at in one credit: all ways to cut at six are 64.
const maxCuts = 6

// piece is a text between two separators, and the separator after it.
type piece struct {
	text string // without what is around it
	sep  string // after it; "" for the last
	cut  cut
}

// pieces takes a credit apart at every separator. It returns nil where there are none, or more than are looked at.
func pieces(credit string) []piece {
	var out []piece
	lower := strings.ToLower(credit)
	if len(lower) != len(credit) { // letters whose lower case is longer; rare enough
		lower = credit
	}
	from := 0
	for i := 0; i < len(credit); i++ {
		for _, s := range separators {
			if !strings.HasPrefix(lower[i:], s.text) || i == from {
				continue
			}
			if len(out) == maxCuts {
				return nil
			}
			out = append(out, piece{strings.TrimSpace(credit[from:i]), credit[i : i+len(s.text)], s.cut})
			from = i + len(s.text)
			i = from - 1
			break
		}
	}
	last := credit[from:]
	if n := len(out); n > 0 && strings.HasPrefix(out[n-1].sep, " (") {
		last = strings.TrimSuffix(last, ")")
	}
	out = append(out, piece{text: strings.TrimSpace(last)})
	if len(out) < 2 || slices.ContainsFunc(out, func(p piece) bool { return p.text == "" }) {
		return nil
	}
	return out
}

// The features of a way to cut a credit, each against keeping it whole.
const (
	featBias     = iota
	featKnown    // log2 of how often the parts are known alone, the least known
	featStranger // parts that are not
	featSingle   // of them, those of a single word
	featArticle  // later parts that begin as the second half of a band's name does
	featOwner    // log2 of the albums that the whole owns
	featModel    // bits that the model saves by cutting, in tens
	featInverted // "Last, First", where not both are known
	featCut      // and then one for each sort of separator that is cut at
	features     = featCut + int(cuts)
)

// splitWeights were set by hand so that, on the validation part of the collection that TestQuality measures with, what is suggested
// is right in 99 of 100 cases.
var splitWeights = [features]float64{
	featBias: -1, featKnown: 0.9, featStranger: -2.2, featSingle: -1.6, featArticle: -4, featOwner: -0.8, featModel: 0.3, featInverted: -4,
	featCut + int(cutFeat): 6, featCut + int(cutHard): 5, featCut + int(cutVs): 3.5, featCut + int(cutSlash): 2, featCut + int(cutWith): 1.5,
	featCut + int(cutAnd): 0.2, featCut + int(cutComma): 0.2, featCut + int(cutPlus): 0.5,
}

// secondHalf are words that begin the second half of a band's name rather than an artist's own: "… & The Wailers", "… and His Orchestra".
var secondHalf = []string{
	"the", "his", "her", "their", "die", "das", "der", "los", "las", "les", "le", "la", "i", "gli", "il", "co", "co.", "company", "friends", "sons", "son", "orchestra", "band", "group", "trio", "quartet",
}

func words(s string) int { return len(strings.Fields(s)) }

func firstWord(s string) string {
	w, _, _ := strings.Cut(strings.ToLower(s), " ")
	return w
}

// way is one way to cut a credit.
type way struct {
	parts    []string
	features [features]float64
}

// ways returns every way to cut a credit.
func (l *Library) ways(credit string, bits func(string) float64) []way {
	ps := pieces(credit)
	if ps == nil {
		return nil
	}
	whole := l.names[credit]
	var out []way
	n := len(ps) - 1
	for set := 1; set < 1<<n; set++ {
		var w way
		f := &w.features
		f[featBias] = 1
		part := ""
		for i, p := range ps {
			part += p.text
			if i < n && set&(1<<i) == 0 {
				part += p.sep
				continue
			}
			if i < n {
				f[featCut+int(p.cut)]++
			}
			w.parts = append(w.parts, part)
			part = ""
		}
		if twice(w.parts) {
			continue // "Now, Now" is nobody's duet with themselves
		}
		least := math.Inf(1)
		for i, p := range w.parts {
			k := 0
			if known := l.names[p]; known != nil {
				k = known.whole + known.albums
			}
			if k == 0 {
				f[featStranger]++
				if words(p) == 1 {
					f[featSingle]++
				}
			}
			least = min(least, float64(k))
			if i > 0 && slices.Contains(secondHalf, firstWord(p)) && (k == 0 || firstWord(p) == "the") {
				f[featArticle]++
			}
			if utf8.RuneCountInString(p) < 2 {
				f[featSingle]++
			}
		}
		f[featKnown] = math.Log2(1 + least)
		if whole != nil {
			f[featOwner] = math.Log2(1 + float64(whole.albums))
		}
		if f[featStranger] > 0 && inverted(ps, set) {
			f[featInverted] = 1
		}
		if bits != nil {
			saved := bits(credit)
			for _, p := range w.parts {
				saved -= bits(p)
			}
			f[featModel] = max(-6, min(6, saved/10))
		}
		out = append(out, w)
	}
	return out
}

func twice(parts []string) bool {
	for i, p := range parts {
		if slices.Contains(parts[:i], p) {
			return true
		}
	}
	return false
}

// inverted reports whether a credit is cut at its only comma, behind which there are given names: "Sibelius, Jean".
func inverted(ps []piece, set int) bool {
	if len(ps) != 2 || ps[0].cut != cutComma || set != 1 {
		return false
	}
	return words(ps[1].text) <= 3 && words(ps[0].text) <= 2 && !strings.ContainsFunc(ps[1].text, unicode.IsDigit)
}

func (w *way) score(weights *[features]float64) float64 {
	s := 0.0
	for i, f := range w.features {
		s += f * weights[i]
	}
	return s
}

// best returns the way to cut a credit that is most likely right, and the log-odds of it against keeping the credit.
func (l *Library) best(credit string, bits func(string) float64, weights *[features]float64) (w way, odds float64) {
	odds = math.Inf(-1)
	for _, c := range l.ways(credit, bits) {
		if s := c.score(weights); s > odds {
			w, odds = c, s
		}
	}
	return w, odds
}

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// SplitCredit returns the artists that a credit most likely names, if it names several, and the probability that it does.
func (l *Library) SplitCredit(credit string, scorer Scorer) (parts []string, p float64) {
	w, odds := l.best(credit, bitsOf(scorer), &splitWeights)
	if w.parts == nil {
		return nil, 0
	}
	return w.parts, logistic(odds)
}

// bitsOf remembers what texts cost as artists; nil without a scorer.
func bitsOf(scorer Scorer) func(string) float64 {
	if scorer == nil {
		return nil
	}
	known := make(map[string]float64)
	return func(s string) float64 {
		b, ok := known[s]
		if !ok {
			b = scorer.Bits(metacodec.Artist, s)
			known[s] = b
		}
		return b
	}
}

func (l *Library) findSplits(scorer Scorer) []tutti.Suggestion {
	var out []tutti.Suggestion
	for _, n := range l.sortedNames() {
		parts, p := l.SplitCredit(n.text, scorer)
		if parts == nil || p < Least {
			continue
		}
		why := "separator"
		if !slices.ContainsFunc(parts, func(s string) bool { return l.names[s] == nil }) {
			why = "alone"
		}
		out = append(out, tutti.Suggestion{
			Kind: tutti.SuggestSplit, Of: n.text, Subject: n.text, Tracks: n.tracks, Probability: round(p), Source: byRules, Why: why,
			Changes: []tutti.TagChange{{Field: tutti.FieldArtist, Before: []string{n.text}, After: parts}},
		})
	}
	return out
}
