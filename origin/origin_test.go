package origin

import (
	"path"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestEscapeName(t *testing.T) {
	for _, c := range []struct{ name, elem, readable string }{
		{"plain.flac", "plain.flac", "plain.flac"},
		{"Sigur Rós", "Sigur Rós", "Sigur Rós"},
		{"Sigur R\xf3s", "Sigur R\uefF3s", "Sigur Rós"},
		{"\uefF3", "\uefEE\uefBF\uefB3", "î¿³"},
		{"a\xc3", "a\uefC3", "aÃ"},
	} {
		if got := EscapeName(c.name); got != c.elem || !utf8.ValidString(got) {
			t.Errorf("EscapeName(%q) = %q, want %q", c.name, got, c.elem)
		}
		if got, ok := UnescapeName(c.elem); got != c.name || !ok {
			t.Errorf("UnescapeName(%q) = %q, %v, want %q", c.elem, got, ok, c.name)
		}
		if got := ReadableName(c.elem); got != c.readable {
			t.Errorf("ReadableName(%q) = %q, want %q", c.elem, got, c.readable)
		}
	}
	for elem, why := range map[string]string{
		"\uefC3\uefA9": "two escaped bytes that are valid UTF-8 together: é would have two paths",
		"a\xff":        "not UTF-8",
	} {
		if name, ok := UnescapeName(elem); ok {
			t.Errorf("UnescapeName(%q) = %q, but it is %s", elem, name, why)
		}
	}
}

func TestEscapeNameLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := string(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "name"))
		if rapid.Bool().Draw(t, "text") {
			name += rapid.String().Draw(t, "tail") + "\uef80"
		}
		elem := EscapeName(name)
		back, ok := UnescapeName(elem)
		if !ok || back != name || !utf8.ValidString(elem) {
			t.Fatalf("%q became %q and then %q, %v", name, elem, back, ok)
		}
	})
}

func TestContentType(t *testing.T) {
	for name, want := range map[string]string{
		"a/b.FLAC": "audio/flac", "x.opus": "audio/ogg", "dir.mp3/file": "application/octet-stream", "cover.JPG": "image/jpeg", "": "application/octet-stream",
	} {
		if got := ContentType(name); got != want {
			t.Errorf("ContentType(%q) = %q, want %q", name, got, want)
		}
	}
}

func FuzzGlob(f *testing.F) {
	f.Add("**/live/**", "a/live/b")
	f.Add("[a-", "x")
	f.Add("**/**/**/**/x", "a/a/a/a/a/a/y")
	f.Fuzz(func(t *testing.T, pattern, p string) {
		if strings.Count(pattern, "**") > 8 || len(p) > 200 {
			t.Skip("patterns come from the operator: cost is theirs")
		}
		g, err := parseGlob(pattern)
		if err == nil && p != "" {
			g.match(p, path.Base(p))
		}
	})
}
