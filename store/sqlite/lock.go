package sqlite

import (
	"fmt"
	"os"
	"sync"
	"syscall"

	"tutti"
)

// FileLock is an advisory lock on a file, released by Close and by the death of the process.
type FileLock struct {
	once sync.Once
	f    *os.File
	err  error
}

// Lock takes the exclusive lock on a lock file, making the file if need be. It returns KindConflict at once if
// somebody, in this process or another, holds it. The server takes one on its data folder, so that two servers never share
// it. The file itself stays behind: removing it would let two holders lock two files of the same name.
func Lock(path string) (*FileLock, error) {
	l, err := flock(path, syscall.LOCK_EX|syscall.LOCK_NB)
	if err == syscall.EWOULDBLOCK {
		return nil, tutti.Errorf(tutti.KindConflict, "sqlite.Lock", "it is in use by another tutti process")
	}
	return l, tutti.Wrap(tutti.KindUnavailable, "sqlite.Lock", err)
}

// flock uses flock(2) and not fcntl(2), whose locks a process loses whenever it closes any descriptor of the file.
func flock(path string, how int) (*FileLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	l := &FileLock{f: f}
	if err := l.change(how); err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

func (l *FileLock) change(how int) error {
	for {
		err := syscall.Flock(int(l.f.Fd()), how)
		if err != syscall.EINTR {
			return err
		}
	}
}

// Close releases the lock. Closing it again does nothing.
func (l *FileLock) Close() error {
	l.once.Do(func() {
		if err := l.f.Close(); err != nil {
			l.err = fmt.Errorf("release the lock: %w", err)
		}
	})
	return l.err
}
