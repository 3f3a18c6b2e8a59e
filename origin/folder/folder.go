// Package folder is the origin of music that lies in directories of this machine, network mounts included.
//
// What is listed: regular files and directories. Left out are names that begin with a dot, the clutter that storage
// systems leave (see origin.Rules), directories that hold a file named .nomedia or .tuttiignore, and what the library's
// Include and Exclude patterns say. Devices, pipes and sockets do not exist here.
//
// Containment: every path is checked by fs.ValidPath and opened beneath the library's root by os.Root, which lets
// neither ".." nor a symbolic link lead outside. A relative link that stays inside is followed; absolute links and those
// that leave are as good as absent, unless Config.FollowLinks is set. Links that would lead in circles are left out.
//
// Names that are not UTF-8 are escaped as package origin describes, and are opened by their true bytes.
//
// Nothing is kept open between calls, so a library can be unmounted at any time; every call then returns
// KindUnavailable, because a root that is not there says nothing about the music in it.
package folder

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"tutti"
	"tutti/origin"
)

// Library is a directory of music.
type Library struct {
	ID   string // see tutti.Library
	Name string
	Path string // absolute, or relative to the working directory
	// Include and Exclude are patterns, as origin.ParseRules takes them.
	Include, Exclude []string
}

// Config says which directories there are.
type Config struct {
	Libraries []Library
	// FollowLinks follows symbolic links wherever they lead. Whoever can write to the library can then have any file
	// delivered that the server may read.
	FollowLinks bool
	Logger      *slog.Logger // nil discards
}

// Origin implements tutti.Origin. It holds no resources; Watch does while it runs.
type Origin struct {
	libs   []*library
	public []tutti.Library
	log    *slog.Logger
}

type library struct {
	tutti.Library
	rules  origin.Rules
	follow bool
}

var _ tutti.Origin = (*Origin)(nil)

// New returns an origin for the libraries. KindInvalid: an empty or repeated ID, an empty path, or a pattern that is
// none. A directory need not be there yet.
func New(c Config) (*Origin, error) {
	const op = "folder.New"
	o := &Origin{log: c.Logger}
	if o.log == nil {
		o.log = slog.New(slog.DiscardHandler)
	}
	for _, l := range c.Libraries {
		if l.ID == "" || l.Path == "" {
			return nil, tutti.Errorf(tutti.KindInvalid, op, "a library needs an id and a path")
		}
		if o.find(l.ID) != nil {
			return nil, tutti.Errorf(tutti.KindInvalid, op, "two libraries have the id %q", l.ID)
		}
		abs, err := filepath.Abs(l.Path)
		if err != nil {
			return nil, tutti.Wrap(tutti.KindInternal, op, err)
		}
		name := l.Name
		if name == "" {
			name = origin.ReadableName(origin.EscapeName(filepath.Base(abs)))
		}
		lib := &library{Library: tutti.Library{ID: l.ID, Name: name, Path: abs}, follow: c.FollowLinks}
		if lib.rules, err = origin.ParseRules(l.Include, l.Exclude); err != nil {
			return nil, tutti.Errorf(tutti.KindInvalid, op, "library %q: %v", name, err)
		}
		o.libs = append(o.libs, lib)
		o.public = append(o.public, lib.Library)
	}
	return o, nil
}

func (o *Origin) find(id string) *library {
	for _, l := range o.libs {
		if l.ID == id {
			return l
		}
	}
	return nil
}

// Libraries returns the configured libraries in their order.
func (o *Origin) Libraries() []tutti.Library { return slices.Clone(o.public) }

// LocalPath returns where a file lies on this machine, for child processes that read it themselves. ok is false for
// what the origin would not open. The file system may change between this call and the use of the path.
func (o *Origin) LocalPath(lib, p string) (file string, ok bool) {
	f, err := o.open("folder.LocalPath", lib, p)
	if err != nil {
		return "", false
	}
	f.Close()
	l := o.find(lib)
	name, _ := origin.UnescapePath(p) // open has checked it
	return filepath.Join(l.Path, name), true
}

// beneath opens things of a library. It is one library's root for the duration of one call.
type beneath struct {
	lib  *library
	root *os.Root
}

// enter opens the library's root and checks the path; name is the path in the file system's own bytes.
func (o *Origin) enter(op, lib, p string) (b *beneath, name string, err error) {
	l := o.find(lib)
	if l == nil {
		return nil, "", tutti.Errorf(tutti.KindNotFound, op, "there is no library %q", lib)
	}
	name, ok := origin.UnescapePath(p)
	if !ok || !fs.ValidPath(p) || strings.IndexByte(p, 0) >= 0 {
		return nil, "", tutti.Errorf(tutti.KindNotFound, op, "%q is not a path within a library", p)
	}
	root, err := os.OpenRoot(l.Path)
	if err != nil {
		return nil, "", awayError(op, l, err)
	}
	return &beneath{lib: l, root: root}, name, nil
}

func awayError(op string, l *library, cause error) error {
	return &tutti.Error{
		Kind: tutti.KindUnavailable, Op: op, Err: cause,
		Message: "the library \"" + l.Name + "\" is away; its disk may not be mounted, or the server may not read it",
	}
}

func (b *beneath) close() { b.root.Close() }

// open opens for reading without waiting for what is no file: a pipe would block until somebody writes to it.
func (b *beneath) open(name string) (*os.File, error) {
	const flags = os.O_RDONLY | syscall.O_NONBLOCK
	if b.lib.follow {
		return os.OpenFile(filepath.Join(b.lib.Path, name), flags, 0)
	}
	return b.root.OpenFile(name, flags, 0)
}

func (b *beneath) stat(name string) (fs.FileInfo, error) {
	if b.lib.follow {
		return os.Stat(filepath.Join(b.lib.Path, name))
	}
	return b.root.Stat(name)
}

// classify gives an error of the file system its kind. The path is the listeners' own, so a message may name it.
func (b *beneath) classify(op, p string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.EINVAL), isEscape(err):
		if _, gone := os.Stat(b.lib.Path); gone != nil {
			return awayError(op, b.lib, gone)
		}
		return &tutti.Error{Kind: tutti.KindNotFound, Op: op, Message: "there is no file \"" + p + "\"", Err: err}
	case errors.Is(err, fs.ErrPermission):
		return &tutti.Error{Kind: tutti.KindUnavailable, Op: op, Message: "the server may not read \"" + p + "\"; check its permissions", Err: err}
	}
	return &tutti.Error{Kind: tutti.KindUnavailable, Op: op, Message: "\"" + p + "\" cannot be read right now", Err: err}
}

// isEscape recognises os.Root's refusal, which has neither a type nor a sentinel: it is the only path error of these
// calls whose cause is no system error.
func isEscape(err error) bool {
	var pe *fs.PathError
	var errno syscall.Errno
	return errors.As(err, &pe) && !errors.As(err, &errno) && !errors.Is(err, fs.ErrClosed)
}

func notFile(op, p string) error {
	return tutti.Errorf(tutti.KindNotFound, op, "there is no file %q", p)
}

// open opens a regular file that the rules do not hide.
func (o *Origin) open(op, lib, p string) (*os.File, error) {
	b, name, err := o.enter(op, lib, p)
	if err != nil {
		return nil, err
	}
	defer b.close()
	if b.lib.rules.HidesAny(p, false) {
		return nil, notFile(op, p)
	}
	f, err := b.open(name)
	if err != nil {
		return nil, b.classify(op, p, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		f.Close()
		return nil, b.classify(op, p, err)
	}
	return f, nil
}

// OpenFile opens a file; the fs.File is an *os.File, so it implements io.ReaderAt and io.Seeker.
func (o *Origin) OpenFile(_ context.Context, lib, p string) (fs.File, error) {
	f, err := o.open("folder.OpenFile", lib, p)
	if err != nil {
		return nil, err // not f: a nil *os.File in an interface is not nil
	}
	return f, nil
}

// Stat says what is at a path. A directory that a marker file closes is still there; it is only listed as empty.
func (o *Origin) Stat(_ context.Context, lib, p string) (tutti.FileInfo, error) {
	const op = "folder.Stat"
	b, name, err := o.enter(op, lib, p)
	if err != nil {
		return tutti.FileInfo{}, err
	}
	defer b.close()
	info, err := b.stat(name)
	if err != nil {
		return tutti.FileInfo{}, b.classify(op, p, err)
	}
	if (!info.IsDir() && !info.Mode().IsRegular()) || b.lib.rules.HidesAny(p, info.IsDir()) {
		return tutti.FileInfo{}, notFile(op, p)
	}
	return fileInfo(p, info), nil
}

func fileInfo(p string, info fs.FileInfo) tutti.FileInfo {
	fi := tutti.FileInfo{Path: p, ModTime: info.ModTime().UTC(), Dir: info.IsDir()}
	if !fi.Dir {
		fi.Size = info.Size()
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		fi.Inode = st.Ino
	}
	return fi
}

// List returns what is directly inside a directory, in byte order of the paths.
func (o *Origin) List(ctx context.Context, lib, dir string) ([]tutti.FileInfo, error) {
	const op = "folder.List"
	b, name, err := o.enter(op, lib, dir)
	if err != nil {
		return nil, err
	}
	defer b.close()
	if b.lib.rules.HidesAny(dir, true) {
		return nil, notFile(op, dir)
	}
	d, err := b.open(name)
	if err != nil {
		return nil, b.classify(op, dir, err)
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, b.classify(op, dir, err)
	}
	if slices.ContainsFunc(names, origin.Marker) {
		return nil, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	infos := make([]tutti.FileInfo, 0, len(names))
	err = statAll(d, names, func(n string, fi tutti.FileInfo, link bool) error {
		elem := origin.EscapeName(n)
		fi.Path = elem
		if dir != "." {
			fi.Path = dir + "/" + elem
		}
		if link {
			var ok bool
			if fi, ok = b.follow(name, n, fi.Path); !ok {
				o.log.Debug("left out a link that leads nowhere, outside or in a circle", "library", lib, "path", dir+"/"+elem)
				return nil
			}
		}
		if !b.lib.rules.Hides(fi.Path, elem, fi.Dir) {
			infos = append(infos, fi)
		}
		return nil
	})
	if err != nil {
		return nil, b.classify(op, dir, err)
	}
	slices.SortFunc(infos, func(a, b tutti.FileInfo) int { return strings.Compare(a.Path, b.Path) })
	return infos, nil
}

// follow says where the link leads that the directory dir (in the file system's bytes) has under name. ok is false
// where that is nowhere, or a directory that encloses the link: listing it again would never end.
func (b *beneath) follow(dir, name, p string) (fi tutti.FileInfo, ok bool) {
	info, err := b.stat(path.Join(dir, name))
	if err != nil || (!info.IsDir() && !info.Mode().IsRegular()) {
		return fi, false
	}
	if info.IsDir() {
		for above := dir; ; above = path.Dir(above) {
			if a, err := b.stat(above); err != nil || os.SameFile(a, info) {
				return fi, false
			}
			if above == "." {
				break
			}
		}
	}
	return fileInfo(p, info), true
}

// Open opens an original. KindInvalid for any other profile, and for a section of a file: the bytes of one are not
// those of an original. The version is not checked; a file that changed since it was scanned is delivered as it is now.
func (o *Origin) Open(_ context.Context, r tutti.Ref) (tutti.Object, error) {
	const op = "folder.Open"
	if !r.Profile.Original() || r.Start != 0 || r.End != 0 {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "a folder has originals only, not %s", r.Profile)
	}
	f, err := o.open(op, r.Library, r.Path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	return &object{file: f, info: info, origin: o, ref: r}, nil
}
