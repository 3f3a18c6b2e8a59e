package origin_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"tutti"
	"tutti/origin"
	"tutti/origin/folder"
	"tutti/origin/origintest"
)

func openFolder(t *testing.T, id, dir string) tutti.Origin {
	t.Helper()
	o, err := folder.New(folder.Config{Libraries: []folder.Library{{ID: id, Name: "library " + id, Path: dir}}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestJoinIsAnOrigin runs the suite of origins over two joined ones; the suite's files lie in the second.
func TestJoinIsAnOrigin(t *testing.T) {
	origintest.Run(t, func(t *testing.T) origintest.Fixture {
		dir := t.TempDir()
		must := func(t *testing.T, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		return origintest.Fixture{
			Origin:  origin.Join(openFolder(t, "1", t.TempDir()), openFolder(t, "2", dir)),
			Library: "2",
			Write: func(t *testing.T, path string, data []byte) {
				p := filepath.Join(dir, filepath.FromSlash(path))
				must(t, os.MkdirAll(filepath.Dir(p), 0o755))
				must(t, os.WriteFile(p, data, 0o644))
			},
			Remove: func(t *testing.T, path string) { must(t, os.RemoveAll(filepath.Join(dir, filepath.FromSlash(path)))) },
			Rename: func(t *testing.T, from, to string) {
				must(t, os.Rename(filepath.Join(dir, filepath.FromSlash(from)), filepath.Join(dir, filepath.FromSlash(to))))
			},
			Away: func(t *testing.T) {
				must(t, os.Rename(dir, dir+".away"))
				t.Cleanup(func() { must(t, os.Rename(dir+".away", dir)) })
			},
		}
	})
}

func TestJoinServesEachLibraryFromItsOrigin(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	for dir, text := range map[string]string{a: "in one", b: "in two"} {
		if err := os.WriteFile(filepath.Join(dir, "x.flac"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	j := origin.Join(openFolder(t, "1", a), openFolder(t, "2", b), openFolder(t, "1", b))
	if l := j.Libraries(); len(l) != 2 || l[0].ID != "1" || l[1].ID != "2" {
		t.Errorf("libraries: %+v", l)
	}
	for library, want := range map[string]string{"1": "in one", "2": "in two"} {
		o, err := j.Open(t.Context(), tutti.Ref{Library: library, Path: "x.flac"})
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, o.Size())
		if _, err := o.ReadAt(got, 0); err != nil {
			t.Fatal(err)
		}
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("library %s: got %q, want %q", library, got, want)
		}
	}
	if _, _, err := j.OpenRange(t.Context(), tutti.Ref{Library: "1", Path: "x.flac"}, 0, 1, ""); !tutti.IsKind(err, tutti.KindInvalid) {
		t.Errorf("a range of a folder: %v", err)
	}
	if _, err := j.Stat(t.Context(), "9", "x.flac"); !tutti.IsKind(err, tutti.KindNotFound) {
		t.Errorf("a library that is not there: %v", err)
	}
}

// still is an origin that can never be watched, and whose files lie elsewhere.
type still struct{ tutti.Origin }

func (still) Watchable(string) bool { return false }

// TestJoinKnowsWhoCanDoMore: what some origins can do and others cannot is asked of the library's own.
func TestJoinKnowsWhoCanDoMore(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		if err := os.WriteFile(filepath.Join(dir, "x.flac"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	j := origin.Join(openFolder(t, "1", a), still{openFolder(t, "2", b)})
	if file, ok := j.LocalPath("1", "x.flac"); !ok || file != filepath.Join(a, "x.flac") {
		t.Errorf("the folder's file is at %q, %v", file, ok)
	}
	for _, library := range []string{"2", "none"} {
		if file, ok := j.LocalPath(library, "x.flac"); ok {
			t.Errorf("library %s: a file that lies elsewhere is at %q", library, file)
		}
	}
	if !j.Watchable("1") || j.Watchable("2") {
		t.Errorf("watchable: %v and %v, want the first alone", j.Watchable("1"), j.Watchable("2"))
	}
}
