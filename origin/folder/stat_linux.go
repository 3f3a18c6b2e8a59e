package folder

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"tutti"
	"tutti/origin"
)

// statAll calls fn with the size and time of each name in the open directory d. Names that have gone meanwhile, and
// what is neither file, directory nor link, are left out. link is true for a symbolic link, of which nothing else is
// told. One fstatat relative to the directory costs a third of os.Lstat, which looks up the whole path and allocates.
func statAll(d *os.File, names []string, fn func(name string, fi tutti.FileInfo, link bool) error) error {
	conn, err := d.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		var st unix.Stat_t
		for _, n := range names {
			if origin.HiddenName(n) {
				continue
			}
			if err := unix.Fstatat(int(fd), n, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
				if errors.Is(err, unix.ENOENT) {
					continue
				}
				failed = &os.PathError{Op: "fstatat", Path: n, Err: err}
				return
			}
			fi := tutti.FileInfo{ModTime: time.Unix(st.Mtim.Unix()).UTC(), Inode: st.Ino}
			link := false
			switch st.Mode & unix.S_IFMT {
			case unix.S_IFREG:
				fi.Size = st.Size
			case unix.S_IFDIR:
				fi.Dir = true
			case unix.S_IFLNK:
				link = true
			default:
				continue
			}
			if failed = fn(n, fi, link); failed != nil {
				return
			}
		}
	})
	if failed != nil {
		return failed
	}
	return err
}
