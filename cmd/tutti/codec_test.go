package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tutti/metacodec"
	"tutti/metacodec/answers"
	"tutti/metacodec/corpus"
	"tutti/metacodec/songs"
)

// command runs a command line, and returns what it wrote.
func command(t *testing.T, in []byte, args ...string) (out []byte, complaint string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, &streams{in: bytes.NewReader(in), out: &o, err: &e})
	return o.Bytes(), e.String(), code
}

// library is songs of a few albums as this server writes them.
func library(albums, each int) (lines []byte) {
	for a := range albums {
		for n := range each {
			s := &corpus.Song{
				Source: "test", AlbumArtist: "Clara Schumann", Artist: "Clara Schumann", Album: fmt.Sprintf("Songs, Op. %d", 10+a), Genre: "Classical",
				Title: fmt.Sprintf("Lied No. %d", n+1), Track: n + 1, Disc: 1, Year: 1840 + a, Seconds: 100 + 7*n, Group: fmt.Sprint(a),
			}
			lines = append(append(lines, songs.Imagine(s).JSON(derived)...), '\n')
		}
	}
	return lines
}

func TestCodecThereAndBack(t *testing.T) {
	lines := library(3, 8)
	lines = append(lines, `{"id":"of another server","title":"x","Odd":[1,{"a":"}"}],"duration":1.50}`+"\n"...)
	sizes := map[string]int{}
	for group, frames := range map[string]int{"record": 25, "album": 4} {
		packed, complaint, code := command(t, lines, "codec", "encode", "--group", group)
		if code != 0 {
			t.Fatal(complaint)
		}
		sizes[group] = len(packed)
		n := 0
		for rest := packed; len(rest) > 0; n++ {
			size, k := binary.Uvarint(rest)
			rest = rest[k+int(size):]
		}
		if n != frames {
			t.Errorf("%s: %d frames, not %d", group, n, frames)
		}
		again, complaint, code := command(t, packed, "codec", "decode")
		if code != 0 || !bytes.Equal(again, lines) {
			t.Errorf("%s: %s\n%s\nbecame\n%s", group, complaint, lines, again)
		}
	}
	if sizes["album"] >= sizes["record"] || sizes["record"]*5 > len(lines) {
		t.Errorf("%d bytes of JSON became %d alone and %d in albums", len(lines), sizes["record"], sizes["album"])
	}
}

func TestCodecSaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		args []string
		says string
	}{
		"no JSON":      {"{\"title\":\"x\"}\nnonsense\n", []string{"codec", "encode"}, "line 2"},
		"cut short":    {"\x05abc", []string{"codec", "decode"}, "frame 1"},
		"damaged":      {"\x03abc", []string{"codec", "decode"}, "frame 1"},
		"endless":      {"\xff\xff\xff\xff\xff\xff\xff\x7f", []string{"codec", "decode"}, "frame 1"},
		"no such file": {"", []string{"codec", "decode", filepath.Join(t.TempDir(), "none")}, "none"},
		"no model":     {"", []string{"codec", "encode", "--model", os.DevNull}, "model"},
	} {
		if out, complaint, code := command(t, []byte(c.in), c.args...); code == 0 || !strings.Contains(complaint, c.says) || len(out) > 0 {
			t.Errorf("%s: %d, %q, %q", name, code, out, complaint)
		}
	}
}

// TestTrain makes a model of a small collection and writes songs with it.
func TestTrain(t *testing.T) {
	dir := t.TempDir()
	var table strings.Builder
	table.WriteString("source\talbumartist\tartist\talbum\ttitle\ttrack\tdisc\tyear\tgenre\tduration\tgroup\n")
	for i := range 150 {
		fmt.Fprintf(&table, "x\tKwartet %d\tKwartet %d\tWieczór %d\tPolonez częstochowski %d\t%d\t1\t1999\tFolk\t180\t%d\n", i/3, i/3, i/3, i%9, i%3+1, i/3)
	}
	collection, model := filepath.Join(dir, "songs.tsv"), filepath.Join(dir, "own.tmm")
	if err := os.WriteFile(collection, []byte(table.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	said, complaint, code := command(t, nil, "train", "--corpus", collection, "--out", model)
	if code != 0 || !strings.Contains(string(said), "kept: "+model) {
		t.Fatal(complaint, string(said))
	}
	file, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	own, err := metacodec.Load(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if base, err := metacodec.Default(); err != nil || base.ID().Tag() == own.ID().Tag() {
		t.Error("two models in use have the same tag", err)
	}
	lines := library(1, 3)
	packed, complaint, code := command(t, lines, "codec", "encode", "--model", model)
	if code != 0 {
		t.Fatal(complaint)
	}
	if again, complaint, code := command(t, packed, "codec", "decode", "--model", model); code != 0 || !bytes.Equal(again, lines) {
		t.Error(complaint)
	}
	if _, complaint, code := command(t, packed, "codec", "decode"); code == 0 || !strings.Contains(complaint, "model is missing") {
		t.Error("frames of another model were read", complaint)
	}
	// the same again is no better than what is there now
	said, complaint, code = command(t, nil, "train", "--corpus", collection, "--out", model)
	if code != 0 || !strings.Contains(string(said), "not kept") {
		t.Error(complaint, string(said))
	}
}

// TestAnswerOfTheAPI reads what the API answers as a frame, with the model and without.
func TestAnswerOfTheAPI(t *testing.T) {
	m, err := metacodec.Small()
	if err != nil {
		t.Fatal(err)
	}
	answer := []byte(`{"id":"tr-0000000000001","title":"Sinnerman","artist":"Nina Simone","artists":[{"id":"ar-0000000000001","name":"Nina Simone"}],"hasLyrics":false,"durationMs":620000}`)
	for _, with := range []*metacodec.Model{nil, m} {
		frame, err := answers.New(derived).Append(nil, with, answer)
		if err != nil {
			t.Fatal(err)
		}
		out, complaint, code := command(t, frame, "codec", "decode", "--answer", "--model", "small")
		if code != 0 || string(out) != string(answer)+"\n" {
			t.Errorf("%s\n%s", complaint, out)
		}
		out, complaint, code = command(t, frame, "codec", "decode", "--answer")
		if with != nil && (code == 0 || !strings.Contains(complaint, "another model")) || with == nil && string(out) != string(answer)+"\n" {
			t.Errorf("with another model: %d %s", code, complaint)
		}
	}
	if _, complaint, code := command(t, []byte("not a frame"), "codec", "decode", "--answer"); code == 0 || complaint == "" {
		t.Error("what is no frame was read")
	}
}
