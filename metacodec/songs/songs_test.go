package songs_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"tutti"
	"tutti/metacodec"
	"tutti/metacodec/corpus"
	"tutti/metacodec/songs"
)

// derive forms ids of names in a way of its own: what is derived is for the caller to say.
var derive = songs.Derive{
	Artist: func(name string) tutti.ID { return tutti.NewID(tutti.PrefixArtist, sum(name)) },
	Folder: func(library, dir string) tutti.ID { return tutti.NewID(tutti.PrefixFolder, sum(library+"\x00"+dir)) },
	Album: func(library, artist, album string, year int, dir string) tutti.ID {
		return tutti.NewID(tutti.PrefixAlbum, sum(library+artist+album+dir)+uint64(year))
	},
}

func sum(s string) (h uint64) {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return h
}

func again(t testing.TB, m *metacodec.Model, lines ...[]byte) ([][]byte, int) {
	t.Helper()
	c := songs.New(derive)
	e, d := metacodec.NewEncoder(m), metacodec.NewDecoder(metacodec.NewModels(m))
	for _, l := range lines {
		if err := c.Append(e, l); err != nil {
			t.Fatal(err)
		}
	}
	frame, err := e.AppendFrame(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Reset(frame); err != nil {
		t.Fatal(err)
	}
	var got [][]byte
	for d.Next() {
		line, err := c.Read(d, nil)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, line)
	}
	if d.Err() != nil {
		t.Fatal(d.Err())
	}
	return got, len(frame)
}

func model(t testing.TB) *metacodec.Model {
	t.Helper()
	m, err := metacodec.Default()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// sameAgain demands that songs come back as they were, but for white space.
func sameAgain(t testing.TB, m *metacodec.Model, lines ...[]byte) int {
	t.Helper()
	got, n := again(t, m, lines...)
	if len(got) != len(lines) {
		t.Fatalf("%d songs came back of %d", len(got), len(lines))
	}
	for i := range got {
		var want bytes.Buffer
		if err := json.Compact(&want, lines[i]); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got[i], want.Bytes()) {
			t.Errorf("wrote %s\n read %s", want.Bytes(), got[i])
		}
	}
	return n
}

// TestSongsOfThisServer takes the songs of the golden answers of the OpenSubsonic interface.
func TestSongsOfThisServer(t *testing.T) {
	files, err := filepath.Glob("../../delivery/subsonic/testdata/golden/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	var all [][]byte
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = songsIn(all, b)
	}
	if len(all) < 20 {
		t.Fatalf("only %d songs", len(all))
	}
	m := model(t)
	for _, m := range []*metacodec.Model{m, nil} {
		for _, s := range all {
			sameAgain(t, m, s)
		}
		sameAgain(t, m, all...)
	}
}

// songsIn appends all objects in a JSON text that have a title and a suffix.
func songsIn(to [][]byte, b []byte) [][]byte {
	var object map[string]json.RawMessage
	var array []json.RawMessage
	switch {
	case json.Unmarshal(b, &object) == nil:
		if object["title"] != nil && object["suffix"] != nil {
			return append(to, b)
		}
		for _, v := range object {
			to = songsIn(to, v)
		}
	case json.Unmarshal(b, &array) == nil:
		for _, v := range array {
			to = songsIn(to, v)
		}
	}
	return to
}

func TestOddSongs(t *testing.T) {
	m := model(t)
	for _, s := range []string{
		`{}`,
		`{"id":"42","title":"x","isDir":false}`,
		`{ "title" : "with space" , "track" : 7 }`,
		`{"track":"7","year":-1,"duration":1e3,"size":12345678901234567890123}`,
		`{"title":"a","title":"b","id":null}`,
		`{"path":"A/B.flac","title":"B","artist":"A","suffix":"flac","album":""}`,
		`{"title":"\u00e9 \ud800 \u2028","artist":"\/"}`,
		`{"musicBrainzId":"f3f72a0e-a554-4c8a-9c52-94e1d11b84b0","sortName":"Sort, The"}`,
		`{"musicBrainzId":"F3F72A0E-a554-4c8a-9c52-94e1d11b84b0-------------"}`,
		`{"zzz":[1,{"a":"},]"}],"title":"x","yyy":{}}`,
		`{"created":"2024-01-02T03:04:05.678Z","title":"\u0001\u0002"}`,
		`{"created":"2024-01-02T03:04:05Z"}`,
		`{"title":"x","id":"tr-0000000000005","coverArt":"tr-0000000000005","genres":[{"name":"Rock"}],"genre":"Rock"}`,
	} {
		sameAgain(t, m, []byte(s))
		sameAgain(t, nil, []byte(s))
	}
	e := metacodec.NewEncoder(nil)
	for _, s := range []string{"", "[]", "7", `{"a":`, `{"a":1}}`} {
		if err := songs.New(derive).Append(e, []byte(s)); !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestImaginedSongs(t *testing.T) {
	m := model(t)
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "Symphony No. 5", "AC/DC", "The Wall", "1"}))
		s := &corpus.Song{
			Artist: text.Draw(r, "artist"), AlbumArtist: text.Draw(r, "album artist"), Album: text.Draw(r, "album"), Title: text.Draw(r, "title"),
			Genre: text.Draw(r, "genre"), Track: rapid.IntRange(0, 120).Draw(r, "track"), Disc: rapid.IntRange(0, 3).Draw(r, "disc"),
			Year: rapid.IntRange(0, 2030).Draw(r, "year"), Seconds: rapid.IntRange(0, 4000).Draw(r, "seconds"),
		}
		sameAgain(t, m, songs.Imagine(s).JSON(derive))
	})
}

func FuzzAppend(f *testing.F) {
	f.Add([]byte(`{"id":"tr-0000000000005","title":"x","path":"a/x.mp3","suffix":"mp3"}`))
	m := model(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if songs.New(derive).Append(metacodec.NewEncoder(nil), b) == nil {
			sameAgain(t, m, b)
		}
	})
}

func FuzzRead(f *testing.F) {
	m := model(f)
	e := metacodec.NewEncoder(nil)
	if err := songs.New(derive).Append(e, []byte(`{"title":"x","odd":[]}`)); err != nil {
		f.Fatal(err)
	}
	frame, err := e.AppendFrame(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frame)
	c, d := songs.New(derive), metacodec.NewDecoder(metacodec.NewModels(m))
	f.Fuzz(func(t *testing.T, b []byte) {
		if d.Reset(b) != nil {
			return
		}
		for d.Next() {
			line, err := c.Read(d, nil)
			if err != nil {
				return
			}
			if len(line) > 64<<20 {
				t.Fatal("a song without end")
			}
		}
	})
}
