package delivery

import (
	"mime"
	"strings"
	"testing"
	"unicode/utf8"

	"tutti"
)

func TestAttachment(t *testing.T) {
	for name, want := range map[string]string{
		"01 - Plain.flac":  `attachment; filename="01 - Plain.flac"`,
		"naïve.mp3":        `attachment; filename="na_ve.mp3"; filename*=UTF-8''na%C3%AFve.mp3`,
		"€ rates.mp3":      `attachment; filename="_ rates.mp3"; filename*=UTF-8''%E2%82%AC%20rates.mp3`, // RFC 6266 §5
		`a"b\c.mp3`:        `attachment; filename="a'b_c.mp3"; filename*=UTF-8''a%22b_c.mp3`,
		"100%.mp3":         `attachment; filename="100_.mp3"; filename*=UTF-8''100%25.mp3`,
		"a/../../b.mp3":    `attachment; filename="a_.._.._b.mp3"`,
		"..":               `attachment; filename="track"`,
		"":                 `attachment; filename="track"`,
		"a\r\nSet-X: y":    `attachment; filename="aSet-X: y"`,
		"gpj.\u202e3pm.sh": `attachment; filename="gpj.3pm.sh"`,
		"\xff.mp3":         `attachment; filename="_.mp3"`,
	} {
		if got := Attachment(name); got != want {
			t.Errorf("%q:\n got %s\nwant %s", name, got, want)
		}
	}
}

// FuzzAttachment: any name gives a header that another reader takes back to a plain file name.
func FuzzAttachment(f *testing.F) {
	for _, s := range []string{"a.mp3", `"`, "\\", "ü", "\x00\r\n", strings.Repeat("長", 200) + ".flac", "\xff\xfe", "'%41"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		s := Attachment(name)
		kind, params, err := mime.ParseMediaType(s)
		if err != nil || kind != "attachment" {
			t.Fatalf("%q → %q: %v", name, s, err)
		}
		got := params["filename"]
		if got == "" || len(got) > maxFileName || !utf8.ValidString(got) || strings.ContainsAny(got, "/\\\r\n\x00") {
			t.Errorf("%q → %q", name, got)
		}
		if strings.Contains(s, "filename*") && got != safeFileName(name) {
			t.Errorf("%q: written %q, read %q", name, safeFileName(name), got)
		}
	})
}

func TestFileName(t *testing.T) {
	track := &tutti.Track{Path: "Artist/Album/01. Title.v2.flac"}
	for want, got := range map[string]string{
		"01. Title.v2.flac": fileName(track, "flac", true),
		"01. Title.v2.mp3":  fileName(track, "mp3", false),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	long := safeFileName(strings.Repeat("長", 200) + ".flac")
	if len(long) > maxFileName || !strings.HasSuffix(long, "長.flac") {
		t.Errorf("%d bytes: %q", len(long), long)
	}
}
