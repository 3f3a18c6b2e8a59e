package audio

import (
	"os"
	"sync"
	"testing"

	"tutti/audio/audiotest"
)

// library is made once for all tests of the package, inside and outside.
var library struct {
	sync.Once
	dir   string
	files []audiotest.File
}

func TestMain(m *testing.M) {
	code := m.Run()
	if library.dir != "" {
		os.RemoveAll(library.dir)
	}
	os.Exit(code)
}

// Files returns the generated library, which tests must not change.
func Files(t testing.TB) (dir string, files []audiotest.File) {
	t.Helper()
	library.Do(func() {
		dir, err := os.MkdirTemp("", "audio")
		if err != nil {
			t.Fatal(err)
		}
		library.dir = dir
		library.files = audiotest.Library(t, dir)
	})
	if library.files == nil {
		t.Fatal("the library could not be made: see the first test that failed")
	}
	return library.dir, library.files
}
