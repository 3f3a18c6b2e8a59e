package audiotest

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLibraryIsComplete(t *testing.T) {
	dir := t.TempDir()
	files := Library(t, dir)
	if len(files) != len(specs) {
		t.Fatalf("%d files, want %d", len(files), len(specs))
	}
	for _, f := range files {
		if st, err := os.Stat(filepath.Join(dir, f.Path)); err != nil || st.Size() < 1000 {
			t.Errorf("%s: %v, %v", f.Path, st, err)
		}
	}
}
