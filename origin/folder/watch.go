package folder

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/fsnotify/fsnotify"

	"tutti"
	"tutti/origin"
)

// Watch implements tutti.Origin with inotify (kqueue or its like elsewhere): one watch for each directory that List
// shows. A directory that appears is watched at once and reported itself, with all directories below it. When the
// kernel drops events, "." is reported. The kernel's limits, and a library that is away or goes away, end the watch with
// KindUnavailable. Changes of attributes alone (chmod, touch) are not reported. fn is called from one goroutine.
func (o *Origin) Watch(ctx context.Context, lib string, fn func(dir string)) error {
	const op = "folder.Watch"
	b, _, err := o.enter(op, lib, ".")
	if err != nil {
		return err
	}
	b.close()
	w, err := fsnotify.NewBufferedWatcher(1024) // a whole album's worth of events while directories are being added
	if err != nil {
		return watchError(op, err)
	}
	defer w.Close()
	watch := watch{o: o, lib: b.lib, w: w, dirs: map[string]bool{}}
	if err := watch.add(ctx, ".", nil); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return tutti.Wrap(tutti.KindUnavailable, op, ctx.Err())
		case err, ok := <-w.Errors:
			switch {
			case !ok:
				return tutti.Errorf(tutti.KindUnavailable, op, "the watch ended")
			case errors.Is(err, fsnotify.ErrEventOverflow):
				fn(".")
			default:
				return watchError(op, err)
			}
		case ev, ok := <-w.Events:
			if !ok {
				return tutti.Errorf(tutti.KindUnavailable, op, "the watch ended")
			}
			if err := watch.handle(ctx, ev, fn); err != nil {
				return err
			}
		}
	}
}

func watchError(op string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return &tutti.Error{Kind: tutti.KindUnavailable, Op: op, Err: err, Message: "the library has more directories than the system lets a user watch; " +
			"raise fs.inotify.max_user_watches with sysctl. Until then scheduled scans find what changed"}
	case errors.Is(err, syscall.EMFILE):
		return &tutti.Error{Kind: tutti.KindUnavailable, Op: op, Err: err, Message: "too many watches are in use; " +
			"raise fs.inotify.max_user_instances with sysctl. Until then scheduled scans find what changed"}
	}
	return tutti.Wrap(tutti.KindUnavailable, op, err)
}

type watch struct {
	o    *Origin
	lib  *library
	w    *fsnotify.Watcher
	dirs map[string]bool // the paths that are watched
}

// add watches dir and every directory below it, reporting each through fn if there is one. Watching a directory comes
// before listing it, so that nothing made in between is overlooked.
func (w *watch) add(ctx context.Context, dir string, fn func(string)) error {
	const op = "folder.Watch"
	if err := ctx.Err(); err != nil {
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	name, _ := origin.UnescapePath(dir)
	err := w.w.Add(filepath.Join(w.lib.Path, name))
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		if dir == "." {
			return awayError(op, w.lib, err)
		}
		return nil // gone again
	case errors.Is(err, syscall.EACCES):
		w.o.log.Warn("a directory may not be read", "library", w.lib.ID, "dir", dir)
		return nil
	case err != nil:
		return watchError(op, err)
	}
	w.dirs[dir] = true
	if fn != nil {
		fn(dir)
	}
	infos, err := w.o.List(ctx, w.lib.ID, dir)
	if tutti.IsKind(err, tutti.KindNotFound) {
		return nil
	}
	if err != nil {
		if dir == "." {
			return err
		}
		w.o.log.Warn("a directory cannot be listed", "library", w.lib.ID, "dir", dir, "err", err)
		return nil
	}
	for _, fi := range infos {
		if fi.Dir && !w.dirs[fi.Path] {
			if err := w.add(ctx, fi.Path, fn); err != nil {
				return err
			}
		}
	}
	return nil
}

// remove forgets dir and everything below it: it was removed, or moved to where it will be met again.
func (w *watch) remove(dir string) {
	w.drop(dir)
	delete(w.dirs, dir)
	name, _ := origin.UnescapePath(dir)
	_ = w.w.Remove(filepath.Join(w.lib.Path, name)) // fails where the kernel has dropped it already
}

// drop forgets everything below dir.
func (w *watch) drop(dir string) {
	for d := range w.dirs {
		if d != dir && (dir == "." || strings.HasPrefix(d, dir+"/")) {
			delete(w.dirs, d)
			name, _ := origin.UnescapePath(d)
			_ = w.w.Remove(filepath.Join(w.lib.Path, name)) // fails for those that the kernel has dropped already
		}
	}
}

func (w *watch) handle(ctx context.Context, ev fsnotify.Event, fn func(string)) error {
	const op = "folder.Watch"
	if !ev.Has(fsnotify.Create) && !ev.Has(fsnotify.Write) && !ev.Has(fsnotify.Remove) && !ev.Has(fsnotify.Rename) {
		return nil
	}
	rel, err := filepath.Rel(w.lib.Path, ev.Name)
	if err != nil {
		return tutti.Wrap(tutti.KindInternal, op, err)
	}
	elems := strings.Split(filepath.ToSlash(rel), "/")
	for i, e := range elems {
		elems[i] = origin.EscapeName(e)
	}
	p := strings.Join(elems, "/")
	gone := ev.Has(fsnotify.Remove) || ev.Has(fsnotify.Rename)
	if p == "." {
		if gone {
			fn(".")
			return tutti.Errorf(tutti.KindUnavailable, op, "the library %q has gone away", w.lib.Name)
		}
		return nil
	}
	parent, base := ".", elems[len(elems)-1]
	if len(elems) > 1 {
		parent = strings.Join(elems[:len(elems)-1], "/")
	}
	if origin.Marker(base) {
		switch {
		case ev.Has(fsnotify.Create): // closes the directory
			w.drop(parent)
			fn(parent)
		case gone: // opens it, and whatever is below
			return w.add(ctx, parent, fn)
		}
		return nil
	}
	wasDir := w.dirs[p]
	if w.lib.rules.Hides(p, base, wasDir) {
		isDir := false
		if info, err := w.o.Stat(ctx, w.lib.ID, p); err == nil {
			isDir = info.Dir // include patterns are about files only
		}
		if !isDir {
			return nil
		}
	}
	if gone && wasDir {
		w.remove(p)
	}
	fn(parent)
	if ev.Has(fsnotify.Create) {
		if info, err := w.o.Stat(ctx, w.lib.ID, p); err == nil && info.Dir {
			return w.add(ctx, p, fn)
		}
	}
	return nil
}
