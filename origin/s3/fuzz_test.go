package s3

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tutti/origin"
)

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-9/10", "bytes 5-5/6", "bytes 9-0/10", "bytes 0-10/10", "bytes */10", "bytes 0-9/*", "bytes -1-2/3", "bytes +1-2/3", "bytes 0-9223372036854775807/9223372036854775807", "items 0-1/2", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		from, to, size, ok := parseContentRange(s)
		if !ok {
			return
		}
		if from < 0 || to < from || size <= to || to-from+1 <= 0 {
			t.Fatalf("%q is %d to %d of %d", s, from, to, size)
		}
		if again, _, _, ok := parseContentRange(fmt.Sprintf("bytes %d-%d/%d", from, to, size)); !ok || again != from {
			t.Fatalf("%q is not read back", s)
		}
	})
}

// FuzzElement: what a store lists becomes a path element that leads back to the same name, or nothing.
func FuzzElement(f *testing.F) {
	for _, s := range []string{"x.mp3", "", ".", "..", "a/b", "a\x00b", "R\xf3s", "\uef80", "/", "ü", "\xff\xfe", "..\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		elem, ok := element(name)
		if !ok {
			return
		}
		back, valid := origin.UnescapePath("dir/" + elem)
		if !valid || back != "dir/"+name || !utf8.ValidString(elem) || !fs.ValidPath("dir/"+elem) || strings.Contains(elem, "/") {
			t.Fatalf("%q became %q and then %q", name, elem, back)
		}
	})
}

func FuzzFacts(f *testing.F) {
	f.Add(`"d41d8cd98f00b204e9800998ecf8427e"`, int64(1e9))
	f.Add(`W/"weak"`, int64(0))
	f.Add("bare", int64(-1))
	f.Add("", int64(1<<40))
	f.Fuzz(func(t *testing.T, tag string, unix int64) {
		at := time.Unix(unix%(1<<40), 0)
		got := factsOf(1, &at, &tag)
		if got.modTime.Unix() != at.Unix() || (got.tag != "" && got.tag[0] != '"') {
			t.Fatalf("%q at %v is %+v", tag, at, got)
		}
		if got != factsOf(1, &at, &tag) {
			t.Fatal("not the same twice")
		}
	})
}
