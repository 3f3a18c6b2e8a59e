package tutti_test

import (
	"go/ast"
	"go/token"
	"strconv"
)

// use is one mention of an imported package's name.
type use struct {
	name string
	pos  token.Pos
}

// selectors returns what a file uses of the package with the import path, under whichever name it is imported.
func selectors(f *ast.File, importPath string) []use {
	local := ""
	for _, spec := range f.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil && p == importPath {
			local = importPath
			if spec.Name != nil {
				local = spec.Name.Name
			}
		}
	}
	if local == "" {
		return nil
	}
	var uses []use
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == local {
				uses = append(uses, use{sel.Sel.Name, sel.Sel.Pos()})
			}
		}
		return true
	})
	return uses
}
