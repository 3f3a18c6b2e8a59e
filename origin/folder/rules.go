package folder

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// markers are files whose presence says "no music here": the whole directory is listed as empty.
var markers = []string{".nomedia", ".tuttiignore"}

// clutter are names, in lower case, that storage systems put into shared folders for themselves.
var clutter = []string{"@eadir", "#recycle", "#snapshot", "$recycle.bin", "system volume information", "lost+found"}

// rules decide which paths of a library exist as far as the origin is concerned.
type rules struct {
	include, exclude []glob
}

// hiddenName reports whether a name is never listed, whatever the configuration says.
func hiddenName(name string) bool {
	if name[0] == '.' {
		return true
	}
	switch name[0] {
	case '@', '#', '$', 's', 'S', 'l', 'L': // the first letters of clutter: spares nearly every name the comparison
		return slices.Contains(clutter, strings.ToLower(name))
	}
	return false
}

// hides reports whether the last element of p is left out of its directory's listing.
func (r *rules) hides(p, name string, dir bool) bool {
	if hiddenName(name) {
		return true
	}
	for _, g := range r.exclude {
		if g.match(p, name) {
			return true
		}
	}
	if dir || len(r.include) == 0 {
		return false
	}
	for _, g := range r.include {
		if g.match(p, name) {
			return false
		}
	}
	return true
}

// hidesAny is hides for a path that somebody asks for: one hidden directory on the way hides all below it.
func (r *rules) hidesAny(p string, dir bool) bool {
	if p == "." {
		return false
	}
	for i := 0; i <= len(p); i++ {
		if i < len(p) && p[i] != '/' {
			continue
		}
		sub := p[:i]
		if r.hides(sub, path.Base(sub), dir || i < len(p)) {
			return true
		}
	}
	return false
}

// glob is a pattern: without a slash it is matched against names in every directory; with one, against the path from
// the library's root, where the element "**" stands for any number of directories.
type glob struct {
	name  string   // pattern of a name, or ""
	elems []string // patterns of a path's elements
}

func parseGlob(pattern string) (glob, error) {
	if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
		return glob{}, fmt.Errorf("%q is not a pattern", pattern)
	}
	trimmed := strings.Trim(pattern, "/")
	if trimmed == "" {
		return glob{}, fmt.Errorf("%q is not a pattern", pattern)
	}
	if !strings.Contains(strings.TrimSuffix(pattern, "/"), "/") {
		return glob{name: trimmed}, nil
	}
	return glob{elems: strings.Split(trimmed, "/")}, nil
}

func parseGlobs(patterns []string) ([]glob, error) {
	var gs []glob
	for _, p := range patterns {
		g, err := parseGlob(p)
		if err != nil {
			return nil, err
		}
		gs = append(gs, g)
	}
	return gs, nil
}

func (g glob) match(p, name string) bool {
	if g.elems == nil {
		ok, _ := path.Match(g.name, name) // patterns are checked when parsed
		return ok
	}
	return matchElems(g.elems, strings.Split(p, "/"))
}

func matchElems(pattern, elems []string) bool {
	for i, want := range pattern {
		if want == "**" {
			rest := pattern[i+1:]
			if len(rest) == 0 {
				return len(elems) > i
			}
			for n := i; n <= len(elems); n++ {
				if matchElems(rest, elems[n:]) {
					return true
				}
			}
			return false
		}
		if i >= len(elems) {
			return false
		}
		if ok, _ := path.Match(want, elems[i]); !ok {
			return false
		}
	}
	return len(pattern) == len(elems)
}
