//go:build !linux

package folder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"tutti"
	"tutti/origin"
)

// statAll is the portable form of what stat_linux.go does faster.
func statAll(d *os.File, names []string, fn func(name string, fi tutti.FileInfo, link bool) error) error {
	for _, n := range names {
		if origin.HiddenName(n) {
			continue
		}
		info, err := os.Lstat(filepath.Join(d.Name(), n))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return err
		}
		link := info.Mode()&fs.ModeSymlink != 0
		if !link && !info.IsDir() && !info.Mode().IsRegular() {
			continue
		}
		if err := fn(n, fileInfo("", info), link); err != nil {
			return err
		}
	}
	return nil
}
