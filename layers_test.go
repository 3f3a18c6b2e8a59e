package tutti_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers is the order of the house: a package may import the packages of the layers before its own, and packages in
// its own folder. The reason is in docs/design.md: services meet through the interfaces in the root, so that each can
// run apart.
var layers = [][]string{
	{"."},
	{"clock"},
	{"store", "origin", "audio", "metacodec", "carbon"},
	{"delivery", "catalog", "trackcache", "rooms", "enrich", "peer", "web", "deploy"},
	{"cmd"},
}

// outside lists the folders that check the others and so may import any of them.
var outside = []string{"e2e", "bench", "docs"}

// onlyClock lists the calls that belong to the clock package: with them elsewhere, tests would have to wait.
var onlyClock = []string{"Now", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Since", "Until"}

func top(pkg string) string { return strings.SplitN(pkg, "/", 2)[0] }

func layerOf(pkg string) int {
	return slices.IndexFunc(layers, func(l []string) bool { return slices.Contains(l, top(pkg)) })
}

func eachGoFile(t *testing.T, fn func(pkg, file string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || (p != "." && strings.HasPrefix(d.Name(), "."))):
			return filepath.SkipDir
		case !d.IsDir() && strings.HasSuffix(p, ".go"):
			fn(filepath.ToSlash(filepath.Dir(p)), p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLayers(t *testing.T) {
	eachGoFile(t, func(pkg, file string) {
		if slices.Contains(outside, top(pkg)) || strings.HasSuffix(file, "_test.go") {
			return
		}
		mine := layerOf(pkg)
		if mine < 0 {
			t.Errorf("%s: folder %q is in no layer; the map of the house is in docs/design.md", file, top(pkg))
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if pkg == "." {
				if strings.Contains(top(imported), ".") || top(imported) == "tutti" {
					t.Errorf("%s imports %s: the words import the standard library only", file, imported)
				}
				continue
			}
			rel, ours := strings.CutPrefix(imported, "tutti/")
			if !ours || top(rel) == top(pkg) {
				continue
			}
			theirs := layerOf(rel)
			if theirs < 0 || theirs >= mine {
				t.Errorf("%s imports %s: %s may not know %s; let them meet through an interface in the root", file, imported, top(pkg), top(rel))
			}
		}
	})
}

func TestOnlyClockTellsTime(t *testing.T) {
	eachGoFile(t, func(pkg, file string) {
		if pkg == "clock" || slices.Contains(outside, top(pkg)) || strings.HasSuffix(file, "_test.go") {
			return
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, use := range selectors(f, "time") {
			if slices.Contains(onlyClock, use.name) {
				t.Errorf("%s: time.%s; take a clock.Clock instead", fset.Position(use.pos), use.name)
			}
		}
	})
}

func TestNoDumpingGrounds(t *testing.T) {
	eachGoFile(t, func(pkg, file string) {
		for _, bad := range []string{"util", "utils", "common", "core", "helpers", "internal", "misc"} {
			if path.Base(pkg) == bad {
				t.Errorf("%s: a folder called %q says nothing about what is in it", file, bad)
			}
		}
	})
}
