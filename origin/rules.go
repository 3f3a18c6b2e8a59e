package origin

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Marker reports whether a file of that name says "no music here": its whole directory is listed as empty.
func Marker(name string) bool { return name == ".nomedia" || name == ".tuttiignore" }

// clutter are names, in lower case, that storage systems put into shared folders for themselves.
var clutter = []string{"@eadir", "#recycle", "#snapshot", "$recycle.bin", "system volume information", "lost+found"}

// Rules decide which paths of a library exist as far as its origin is concerned. The zero value hides names that begin
// with a dot and the clutter that storage systems leave.
type Rules struct {
	include, exclude []glob
}

// ParseRules makes rules of patterns. include, if not empty, names the only files that there are; exclude names files
// and directories that are not, and wins. A pattern without a slash (path.Match) is compared with names everywhere; one
// with a slash with the path from the library's root, where "**" stands for any number of directories. The error says
// which pattern is none.
func ParseRules(include, exclude []string) (r Rules, err error) {
	if r.include, err = parseGlobs(include); err == nil {
		r.exclude, err = parseGlobs(exclude)
	}
	return r, err
}

// HiddenName reports whether a name is never listed, whatever the configuration says.
func HiddenName(name string) bool {
	if name[0] == '.' {
		return true
	}
	switch name[0] {
	case '@', '#', '$', 's', 'S', 'l', 'L': // the first letters of clutter: spares nearly every name the comparison
		return slices.Contains(clutter, strings.ToLower(name))
	}
	return false
}

// Hides reports whether the last element of p is left out of its directory's listing.
func (r *Rules) Hides(p, name string, dir bool) bool {
	if HiddenName(name) {
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

// HidesAny is Hides for a path that somebody asks for: one hidden directory on the way hides all below it.
func (r *Rules) HidesAny(p string, dir bool) bool {
	if p == "." {
		return false
	}
	for i := 0; i <= len(p); i++ {
		if i < len(p) && p[i] != '/' {
			continue
		}
		sub := p[:i]
		if r.Hides(sub, path.Base(sub), dir || i < len(p)) {
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
