package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tutti/deploy/capacity"
)

// TestMerge: one table is measured anew, and the rest of the page stays as it was.
func TestMerge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	a, b, c := section{title: "A", how: "as it is"}, section{title: "B", how: "so"}, section{title: "C", how: "new"}
	a.add("one", "1 ms", "", "", "")
	b.add("two", "2 ms", "4 ms", "0.5 ×", "≤ 1 ×")
	var before bytes.Buffer
	before.WriteString("# Page\n\nHead.\n\n")
	if err := write(&before, []section{a, b}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, before.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	kept, err := readSections(path)
	if err != nil {
		t.Fatal(err)
	}
	fresh := section{title: "B", how: "so"}
	fresh.add("two", "3 ms", "", "", "")
	var got, want bytes.Buffer
	if err := write(&got, merge(kept, []section{fresh, c})); err != nil {
		t.Fatal(err)
	}
	if err := write(&want, []section{a, fresh, c}); err != nil {
		t.Fatal(err)
	}
	if got.String() != want.String() {
		t.Errorf("got\n%s\nwant\n%s", &got, &want)
	}
	if none, err := readSections(filepath.Join(t.TempDir(), "none.md")); err != nil || len(none) != 0 {
		t.Errorf("%v, %v", none, err)
	}
}

func TestLedger(t *testing.T) {
	b, err := os.ReadFile("../deploy/capacity/testdata/measured.json")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "measured.json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	l := &ledger{values: map[string]capacity.Figure{}}
	if err := l.write(path); err != nil { // nothing measured, nothing written
		t.Fatal(err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, b) {
		t.Errorf("the file changed: %v", err)
	}
	l.set(capacity.CachePerGB, 0.75, "a test")
	if err := l.write(path); err != nil {
		t.Fatal(err)
	}
	f, err := readFigures(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Figures[capacity.CachePerGB]; got.Value != 0.75 || got.Unit != "CPU s" || got.Source != "a test" {
		t.Errorf("%+v", got)
	}
}

func TestPercentile(t *testing.T) {
	if got := percentile(nil, .5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	if got := percentile([]time.Duration{3, 1, 2}, .5); got != 2 {
		t.Errorf("median of three: %v", got)
	}
	if got := percentile([]time.Duration{3, 1, 2}, .99); got != 3 {
		t.Errorf("p99 of three: %v", got)
	}
}
