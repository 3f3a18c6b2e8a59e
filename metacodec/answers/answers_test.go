package answers_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tutti"
	"tutti/catalog/scan"
	"tutti/metacodec"
	"tutti/metacodec/answers"
	"tutti/metacodec/metacodectest"
	"tutti/metacodec/songs"
)

var derive = songs.Derive{Artist: scan.ArtistID, Folder: scan.FolderID, Album: scan.AlbumID}

// goldens are the answers of the whole API.
func goldens(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../../delivery/api/testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no answers to read:", err)
	}
	out := map[string][]byte{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, body, ok := bytes.Cut(text, []byte("application/json\n\n")); ok && json.Valid(body) && body[0] == '{' {
			var b bytes.Buffer
			if err := json.Compact(&b, body); err != nil {
				t.Fatal(err)
			}
			out[filepath.Base(name)] = b.Bytes()
		}
	}
	if len(out) < 20 {
		t.Fatalf("only %d answers were found", len(out))
	}
	return out
}

// odd are answers as no version of the API has them.
var odd = []string{
	`{}`, `{"":""}`, `{"a":{}}`, `{"a":[{}]}`, `{"a":[1,"2",{"b":null}]}`, `{"a":1,"a":2}`, `{"a\u0041":1}`, `{"title":"\u00e9<&>"}`, `{"title":"\u003c\u0026\u003e"}`,
	`{"size":-1,"n":1e5,"m":0.10,"k":-0,"l":18446744073709551615,"j":18446744073709551616,"i":-0.01,"h":1.5e-7}`,
	`{"id":"tr-zzzzzzzzzzzzz","id":"ar-0000000000000","name":"x"}`, `{"added":"2026-03-01T12:00:00+01:00","played":"2026-03-01T12:00:00.1Z","starred":"0001-01-01T00:00:00Z"}`,
	`{"items":[{"a":1,"b":2,"c":3},{"a":1,"b":2},{"d":[{"e":1,"f":2,"g":3}]},[]]}`, `{"items":[{"a":1,"b":2,"c":3},{"a":1,"b":2},{"d":[{"e":1,"f":2,"g":3}]}]}`,
	`{"artist":"A","artists":[{"id":"ar-0000000000000","name":"A"}],"albumArtist":"A","albumArtists":[{"id":"ar-0000000000001","name":"A"}]}`,
	`{"suffix":"flac","contentType":"audio/flac","codec":"mp3","title":"\u0002","path":"\u0001\u0002.flac"}`,
	`{"title":"1999","date":"1999-12","year":"99","day":"2020-13-45","path":"1999/1999 - 1999.flac","folderId":"fo-0000000000000"}`,
	`{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":1}}}}}}}}}}`, `{"covers":["al-0000000000001","al-0000000000002"],"mixed":["al-0000000000001","tr-0000000000002"]}`,
}

func check(t testing.TB, c *answers.Codec, m *metacodec.Model, answer []byte) []byte {
	t.Helper()
	frame, err := c.Append(nil, m, answer)
	if err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	var known *metacodec.Models
	if m != nil {
		known = metacodec.NewModels(m)
	}
	back, err := c.Read([]byte("before"), frame, known)
	if err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	if want := "before" + string(answer); string(back) != want {
		t.Fatalf("an answer came back as another:\n%s\n%s", want, back)
	}
	return frame
}

func TestEveryAnswerComesBackAsItWas(t *testing.T) {
	m := metacodectest.Model(t, "answers")
	c := answers.New(derive)
	for name, answer := range goldens(t) {
		t.Run(name, func(t *testing.T) {
			check(t, c, nil, answer)
			if frame := check(t, c, m, answer); len(frame) > len(answer) {
				t.Errorf("%d bytes became %d", len(answer), len(frame))
			}
		})
	}
	for _, answer := range odd {
		check(t, c, nil, []byte(answer))
		check(t, c, m, []byte(answer))
	}
	check(t, answers.New(songs.Derive{}), m, []byte(odd[10]))
}

func TestWhiteSpaceIsNotKept(t *testing.T) {
	c := answers.New(derive)
	frame, err := c.Append(nil, nil, []byte("{ \"a\" : [ 1 , {\"b\":\t\"c \"} ]\n}\n"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Read(nil, frame, nil)
	if err != nil || string(got) != `{"a":[1,{"b":"c "}]}` {
		t.Fatal(string(got), err)
	}
}

func TestWhatIsNoAnswerIsRefused(t *testing.T) {
	c := answers.New(derive)
	for _, s := range []string{"", "[]", "1", "{", `{"a":}`, `{"a":1}{"b":2}`} {
		if _, err := c.Append(nil, nil, []byte(s)); !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestDamageIsFound(t *testing.T) {
	m := metacodectest.Model(t, "answers")
	c := answers.New(derive)
	answer := []byte(`{"id":"tr-0000000000001","title":"Waltz","album":"Dances","artist":"The Harbour Band","durationMs":65000}`)
	for _, with := range []*metacodec.Model{nil, m} {
		frame, err := c.Append(nil, with, answer)
		if err != nil {
			t.Fatal(err)
		}
		for n := range frame {
			if _, err := c.Read(nil, frame[:n], metacodec.NewModels(m)); err == nil {
				t.Errorf("a frame cut to %d bytes was read", n)
			}
		}
	}
	frame, err := c.Append(nil, m, answer)
	if err != nil {
		t.Fatal(err)
	}
	var unknown *metacodec.UnknownModelError
	if _, err := c.Read(nil, frame, nil); !errors.As(err, &unknown) || unknown.Tag != m.ID().Tag() {
		t.Errorf("without the model: %v", err)
	}
}

// FuzzAppend writes whatever is JSON and reads it back.
func FuzzAppend(f *testing.F) {
	for _, s := range odd {
		f.Add([]byte(s))
	}
	for _, b := range goldens(f) {
		f.Add(b)
	}
	m := metacodectest.Model(f, "answers")
	f.Fuzz(func(t *testing.T, b []byte) {
		c := answers.New(derive)
		var compact bytes.Buffer
		if _, err := c.Append(nil, nil, b); err != nil {
			return
		}
		if err := json.Compact(&compact, b); err != nil {
			t.Fatal(err)
		}
		check(t, c, nil, compact.Bytes())
		check(t, c, m, compact.Bytes())
	})
}

// seal makes a frame of what it would hold, as docs/metadata-model.md says: with the right head and checksum.
func seal(body []byte, m *metacodec.Model) []byte {
	frame, seed := []byte{0}, uint32(0)
	if m != nil {
		id := m.ID()
		frame[0] = 2<<6 | byte(id.Tag())
		seed = binary.LittleEndian.Uint32(id[:]) ^ binary.LittleEndian.Uint32(id[4:])
	}
	frame = append(frame, body...)
	sum := crc32.Update(seed, crc32.MakeTable(crc32.Castagnoli), frame)
	n := 3
	if len(frame) <= 48 {
		n = 1
	} else if len(frame) <= 1024 {
		n = 2
	}
	for range n {
		frame, sum = append(frame, byte(sum)), sum>>8
	}
	return frame
}

// FuzzRead reads frames that nobody wrote: what is in them is made up, their checksum is right.
func FuzzRead(f *testing.F) {
	c := answers.New(derive)
	m := metacodectest.Model(f, "answers")
	models := metacodec.NewModels(m)
	for _, b := range goldens(f) {
		for _, with := range []*metacodec.Model{nil, m} {
			frame, err := c.Append(nil, with, b)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(frame[1:])
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := answers.New(derive)
		for _, with := range []*metacodec.Model{nil, m} {
			frame := seal(body, with)
			if got, err := c.Read(nil, frame, models); err == nil && (len(got) == 0 || len(got) > 2*answers.MaxAnswer) {
				t.Errorf("a frame of %d bytes was read as %d", len(frame), len(got))
			}
		}
	})
}

// update adds what is not in testdata/frames.txt yet.
var update = flag.Bool("update", false, "write the frames of today after those that are kept")

// TestFramesOfBefore reads frames that were written when the format was made: what they say by number stays so for ever.
func TestFramesOfBefore(t *testing.T) {
	const file = "testdata/frames.txt"
	c := answers.New(derive)
	if *update {
		var out bytes.Buffer
		all := goldens(t)
		for _, name := range []string{"getTrack.txt", "getAlbum.txt", "getArtist.txt", "search.txt", "getPlaylist.txt", "listGenres.txt"} {
			frame, err := c.Append(nil, nil, all[name])
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "%s\n%x\n", all[name], frame)
		}
		f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(out.Bytes()); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) < 12 {
		t.Fatalf("only %d lines are kept", len(lines))
	}
	for i := 0; i < len(lines); i += 2 {
		frame, err := hex.DecodeString(lines[i+1])
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Read(nil, frame, nil)
		if err != nil || string(got) != lines[i] {
			t.Errorf("a frame of before is read as\n%s (%v)\nnot\n%s", got, err, lines[i])
		}
	}
}
