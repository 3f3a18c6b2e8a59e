package subsonic

import (
	"encoding/json"
	"encoding/xml"
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzText: whatever a tag holds, both forms stay well formed and say the same as far as they can.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "plain", `"quoted" \ <&>`, "\x00\x1f\x7f", "\xff\xfe", "\u2028\u2029\ufffe\uffff\ufffd", "a\r\n\tb", "日本語 \U0001f3b5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(appendJSON(nil, s), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		want := s
		if !utf8.ValidString(s) {
			b, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(b, &want); err != nil {
				t.Fatal(err)
			}
		}
		if got != want {
			t.Errorf("JSON: %q became %q", want, got)
		}

		var v struct {
			A string `xml:"a,attr"`
			T string `xml:",chardata"`
		}
		text := appendXML(nil, s)
		doc := `<x a="` + string(text) + `">` + string(text) + `</x>`
		if err := xml.Unmarshal([]byte(doc), &v); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		wantXML := strings.Map(func(r rune) rune {
			if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
				return utf8.RuneError
			}
			return r
		}, s) // Map makes U+FFFD of what is not UTF-8
		if v.A != wantXML || v.T != wantXML {
			t.Errorf("XML: %q became %q and %q", wantXML, v.A, v.T)
		}
	})
}

// describe writes one of everything.
func everything(e *encoder) {
	e.open("o")
	e.str("s", "a&b")
	e.int("i", -1)
	e.float("f", 0.25)
	e.float("nan", math.NaN())
	e.bool("b", true)
	e.strings("none", nil)
	e.strings("two", []string{"x", "<y>"})
	e.ints("n", []int64{1, 2})
	e.array("empty")
	e.endArray()
	e.array("a")
	e.each()
	e.int("k", 1)
	e.text("t&u")
	e.close()
	e.each()
	e.close()
	e.endArray()
	e.open("last")
	e.close()
	e.close()
}

func TestEncoder(t *testing.T) {
	for _, c := range []struct {
		form form
		want string
	}{
		{form{}, `{"subsonic-response":{"status":"ok","version":"1.16.1","type":"tutti","serverVersion":"v","openSubsonic":true,` +
			`"o":{"s":"a&b","i":-1,"f":0.25,"b":true,"none":[],"two":["x","<y>"],"n":[1,2],"empty":[],"a":[{"k":1,"value":"t&u"},{}],"last":{}}}}`},
		{form{xml: true}, `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
			`<subsonic-response xmlns="http://subsonic.org/restapi" status="ok" version="1.16.1" type="tutti" serverVersion="v" openSubsonic="true">` +
			`<o s="a&amp;b" i="-1" f="0.25" b="true"><two>x</two><two>&lt;y&gt;</two><n>1</n><n>2</n><a k="1">t&amp;u</a><a/><last/></o></subsonic-response>`},
	} {
		e := newEncoder(c.form, "v", "ok")
		everything(e)
		e.finish(c.form)
		if got := string(e.buf); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		e.release()
	}
}

// TestScalarsComeFirst: a description that XML could not follow is found whatever it describes.
func TestScalarsComeFirst(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an attribute was written after a child")
		}
	}()
	e := newEncoder(form{xml: true}, "v", "ok")
	e.open("o")
	e.strings("child", []string{"x"})
	e.str("late", "y")
}
