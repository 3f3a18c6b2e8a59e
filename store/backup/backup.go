// Package backup packs what a data folder holds that cannot be made again into one file, and unpacks it: the database
// and a few small files beside it, such as the key that opens its secrets. Caches and the music are not in it.
//
// A backup is a tar archive in zstd (RFC 8878), so that `tar --zstd -xf` reads it without tutti. It begins with
// manifest.json, which lists the files that follow, in order, with their sizes and SHA-256. It holds the key beside what
// the key protects, so it has to be kept as safe as a password.
package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"tutti"
	"tutti/clock"
	"tutti/store/sqlite"
)

// Folder says where in a data folder the things are that a backup holds.
type Folder struct {
	Dir      string
	Database string   // name of the database file in Dir
	Files    []string // names of small files in Dir; those that are not there are left out
}

// Options are common to Write and Restore.
type Options struct {
	Clock    clock.Clock             // for Manifest.Created; only Write needs it
	Version  string                  // of tutti, for Manifest.Version
	Progress func(done, total int64) // bytes; may be nil
}

// Manifest is the first file in a backup.
type Manifest struct {
	Format  int       `json:"format"`
	Created time.Time `json:"created"` // UTC
	Version string    `json:"version"` // of the tutti that made it
	Files   []File    `json:"files"`
}

// File is a file in a backup.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // in hexadecimal
}

const (
	format       = 1
	manifestName = "manifest.json"
	maxManifest  = 64 << 10 // bytes
	maxSmall     = 1 << 20  // bytes of a file that is not the database
	maxWindow    = 8 << 20  // bytes of memory that an archive may make zstd use
)

func (f Folder) database() string { return filepath.Join(f.Dir, f.Database) }

// Write writes a backup of the folder as it is now to w. The server may be running, in this process or in another. For the time
// being it needs room for a second copy of the database in the folder.
func Write(ctx context.Context, w io.Writer, f Folder, o Options) (m Manifest, err error) {
	const op = "backup.Write"
	tmp, err := os.MkdirTemp(f.Dir, ".backup-*") // mode 0700
	if err != nil {
		return Manifest{}, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	p := progress{report: o.Progress}
	dbCopy := filepath.Join(tmp, f.Database)
	err = sqlite.Backup(ctx, f.database(), dbCopy, func(done, total int64) { p.set(done, 2*total) }) // copying, then packing
	if err != nil {
		return Manifest{}, err
	}
	m = Manifest{Format: format, Created: o.Clock.Now().UTC(), Version: o.Version}
	db, err := describe(ctx, dbCopy, f.Database)
	if err != nil {
		return Manifest{}, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	m.Files = append(m.Files, db)
	small := map[string][]byte{}
	for _, name := range f.Files {
		b, err := readSmall(filepath.Join(f.Dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Manifest{}, tutti.Wrap(tutti.KindUnavailable, op, err)
		}
		sum := sha256.Sum256(b)
		m.Files = append(m.Files, File{name, int64(len(b)), hex.EncodeToString(sum[:])})
		small[name] = b
	}
	p.set(db.Size, 2*db.Size)
	err = pack(ctx, w, m, func(name string) (io.ReadCloser, error) {
		if b, ok := small[name]; ok {
			return io.NopCloser(bytes.NewReader(b)), nil
		}
		in, err := os.Open(dbCopy)
		return readCloser{p.reader(in), in}, err
	})
	return m, tutti.Wrap(tutti.KindUnavailable, op, err)
}

type readCloser struct {
	io.Reader
	io.Closer
}

func pack(ctx context.Context, w io.Writer, m Manifest, open func(name string) (io.ReadCloser, error)) error {
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(maxWindow/2))
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	head, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return err
	}
	add := func(name string, size int64, r io.Reader) error {
		h := tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: m.Created.Truncate(time.Second), Format: tar.FormatPAX}
		if err := t.WriteHeader(&h); err != nil {
			return err
		}
		_, err := io.Copy(t, withContext(ctx, r))
		return err
	}
	if err := add(manifestName, int64(len(head)), bytes.NewReader(head)); err != nil {
		return err
	}
	for _, file := range m.Files {
		r, err := open(file.Name)
		if err != nil {
			return err
		}
		if err := errors.Join(add(file.Name, file.Size, r), r.Close()); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), z.Close())
}

func describe(ctx context.Context, path, name string) (File, error) {
	in, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	h := sha256.New()
	n, err := io.Copy(h, withContext(ctx, in))
	return File{name, n, hex.EncodeToString(h.Sum(nil))}, errors.Join(err, in.Close())
}

func readSmall(path string) ([]byte, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(in, maxSmall+1))
	if err == nil && len(b) > maxSmall {
		err = fmt.Errorf("%s is larger than %d bytes", filepath.Base(path), maxSmall)
	}
	return b, errors.Join(err, in.Close())
}

// Restore unpacks a backup and, once all of it has proven whole, puts its files in the place of the present ones. It
// returns where those are kept; moving them back undoes the restore. It returns KindConflict while the database is in use and
// KindInvalid for an archive that is damaged, made by a newer tutti, or holds anything else than the folder's files; the
// folder is then as it was. Each file is replaced at once, the small ones first; if the process dies between
// two of them, restoring again completes it.
func Restore(ctx context.Context, r io.Reader, f Folder, o Options) (m Manifest, kept []string, err error) {
	const op = "backup.Restore"
	x, err := sqlite.OpenExclusive(f.database())
	if err != nil {
		return Manifest{}, nil, err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	tmp, err := os.MkdirTemp(f.Dir, ".restore-*") // mode 0700
	if err != nil {
		return Manifest{}, nil, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	if m, err = unpack(ctx, r, f, tmp, &progress{report: o.Progress}); err != nil {
		return Manifest{}, nil, err
	}
	if err := sqlite.Validate(ctx, filepath.Join(tmp, f.Database)); err != nil {
		return Manifest{}, nil, err
	}
	for _, file := range m.Files[1:] {
		k, err := replace(filepath.Join(f.Dir, file.Name), filepath.Join(tmp, file.Name))
		if k != "" {
			kept = append(kept, k)
		}
		if err != nil {
			return m, kept, tutti.Wrap(tutti.KindUnavailable, op, err)
		}
	}
	k, err := x.Replace(ctx, filepath.Join(tmp, f.Database))
	if k != "" {
		kept = append(kept, k)
	}
	return m, kept, err
}

func damaged(what string, cause error) error {
	return &tutti.Error{Kind: tutti.KindInvalid, Op: "backup.unpack", Message: "this backup cannot be used: " + what, Err: cause}
}

// unpack reads an archive into dir, which is empty. The names it writes are those of f, whatever the archive says.
func unpack(ctx context.Context, r io.Reader, f Folder, dir string, p *progress) (Manifest, error) {
	z, err := zstd.NewReader(withContext(ctx, r), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return Manifest{}, damaged("it is not a zstd archive", err)
	}
	defer z.Close()
	t := tar.NewReader(z)
	m, err := readManifest(t, f)
	if err != nil {
		return Manifest{}, orCancelled(ctx, err)
	}
	for _, file := range m.Files {
		p.total += file.Size
	}
	for _, file := range m.Files {
		if err := unpackFile(t, file, filepath.Join(dir, file.Name), p); err != nil {
			return Manifest{}, orCancelled(ctx, err)
		}
	}
	if _, err := t.Next(); err != io.EOF {
		return Manifest{}, orCancelled(ctx, damaged("something follows its last file", err))
	}
	return m, nil
}

func orCancelled(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return tutti.Wrap(tutti.KindUnavailable, "backup.unpack", ctx.Err())
	}
	return err
}

// next reads the header of the file that must come now.
func next(t *tar.Reader, name string) (*tar.Header, error) {
	h, err := t.Next()
	switch {
	case err != nil:
		return nil, damaged("it is cut short or damaged", err)
	case h.Typeflag != tar.TypeReg || h.Name != name:
		return nil, damaged(fmt.Sprintf("it holds %q where %q should be", h.Name, name), nil)
	}
	return h, nil
}

func readManifest(t *tar.Reader, f Folder) (m Manifest, err error) {
	h, err := next(t, manifestName)
	if err != nil {
		return m, err
	}
	if h.Size > maxManifest {
		return m, damaged("its list of files is too long", nil)
	}
	b, err := io.ReadAll(t)
	if err != nil {
		return m, damaged("its list of files is damaged", err)
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, damaged("its list of files is damaged", err)
	}
	if m.Format != format {
		return m, damaged(fmt.Sprintf("it is of format %d, made by tutti %.20q, and this one reads format %d", m.Format, m.Version, format), nil)
	}
	// The database comes first and nothing comes twice; there is no name in it that is not in f, and so no path.
	allowed := append([]string{f.Database}, f.Files...)
	for i, file := range m.Files {
		at := slices.Index(allowed, file.Name)
		if at < 0 || (at == 0) != (i == 0) || file.Size < 0 || (i > 0 && file.Size > maxSmall) {
			return m, damaged(fmt.Sprintf("it holds %.50q, which does not belong there", file.Name), nil)
		}
		allowed[at] = ""
	}
	if len(m.Files) == 0 {
		return m, damaged("it is empty", nil)
	}
	return m, nil
}

func unpackFile(t *tar.Reader, file File, path string, p *progress) (err error) {
	h, err := next(t, file.Name)
	if err != nil {
		return err
	}
	if h.Size != file.Size {
		return damaged(fmt.Sprintf("%q has another size than its list of files says", file.Name), nil)
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return tutti.Wrap(tutti.KindUnavailable, "backup.unpack", err)
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(writeOnly{out}, sum), p.reader(t))
	if err != nil {
		return errors.Join(copyError(err), out.Close())
	}
	if err := errors.Join(out.Sync(), out.Close()); err != nil {
		return tutti.Wrap(tutti.KindUnavailable, "backup.unpack", err)
	}
	if hex.EncodeToString(sum.Sum(nil)) != strings.ToLower(file.SHA256) {
		return damaged(fmt.Sprintf("%q is damaged", file.Name), nil)
	}
	return nil
}

// writeOnly marks the errors of the disk, to tell them from those of the archive.
type writeOnly struct{ w io.Writer }

type diskError struct{ error }

func (e diskError) Unwrap() error { return e.error }

func (w writeOnly) Write(b []byte) (int, error) {
	n, err := w.w.Write(b)
	if err != nil {
		err = diskError{err}
	}
	return n, err
}

func copyError(err error) error {
	var disk diskError
	if errors.As(err, &disk) {
		return tutti.Wrap(tutti.KindUnavailable, "backup.unpack", err)
	}
	return damaged("it is cut short or damaged", err)
}

// replace puts the file newPath in the place of path and keeps the present one, unless they are the same.
func replace(path, newPath string) (kept string, err error) {
	present, err := os.ReadFile(path)
	switch {
	case err == nil:
		b, err := os.ReadFile(newPath)
		if err != nil || bytes.Equal(present, b) {
			return "", err
		}
		if kept, err = sqlite.Keep(path); err != nil {
			return "", err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	return kept, os.Rename(newPath, path)
}

// progress adds up bytes and reports them.
type progress struct {
	report      func(done, total int64)
	done, total int64
}

func (p *progress) set(done, total int64) {
	p.done, p.total = done, total
	if p.report != nil {
		p.report(done, total)
	}
}

func (p *progress) reader(r io.Reader) io.Reader { return progressReader{r, p} }

type progressReader struct {
	r io.Reader
	p *progress
}

func (r progressReader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	if n > 0 {
		r.p.set(r.p.done+int64(n), r.p.total)
	}
	return n, err
}

// withContext makes reading end when ctx does.
func withContext(ctx context.Context, r io.Reader) io.Reader { return contextReader{ctx, r} }

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}
