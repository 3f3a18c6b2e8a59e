package main

import (
	"log/slog"
	"path/filepath"
	"slices"
	"testing"

	"tutti/store/sqlite"
)

// TestLibrariesKeepTheirIDs starts with one list of folders after another over the same database: what an account may
// see goes by these ids, so none may ever come to mean another folder.
func TestLibrariesKeepTheirIDs(t *testing.T) {
	a, b, c := musicFolder{Name: "A", Path: "/a"}, musicFolder{Name: "B", Path: "/b"}, musicFolder{Name: "C", Path: "/c"}
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "tutti.db"), sqlite.Options{Clock: newNode(&settings{}, slog.Default()).clock, Logger: slog.Default()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, step := range []struct {
		what    string
		folders []musicFolder
		want    []int
	}{
		{"first start", []musicFolder{a, b}, []int{1, 2}},
		{"the same again", []musicFolder{a, b}, []int{1, 2}},
		{"another order", []musicFolder{b, a}, []int{2, 1}},
		{"the first taken away", []musicFolder{b}, []int{2}},
		{"none", nil, []int{}},
		{"a new one gets no id that was another's", []musicFolder{c, b}, []int{3, 2}},
		{"what was taken away comes back", []musicFolder{a, b, c}, []int{1, 2, 3}},
		{"renamed", []musicFolder{{Name: "Z", Path: "/a"}, b}, []int{1, 2}},
		{"mounted elsewhere", []musicFolder{{Name: "Z", Path: "/mnt/a"}, b}, []int{1, 2}},
		{"names swapped: the path counts", []musicFolder{{Name: "B", Path: "/mnt/a"}, {Name: "Z", Path: "/b"}}, []int{1, 2}},
		{"the same folder twice", []musicFolder{c, c}, []int{3, 4}},
		{"and again", []musicFolder{c, c}, []int{3, 4}},
	} {
		n := newNode(&settings{Music: step.folders}, slog.Default())
		n.store = s
		ids, err := n.libraryIDs(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if !slices.Equal(ids, step.want) {
			t.Errorf("%s: ids %v, not %v", step.what, ids, step.want)
		}
	}
}
