package origin

import (
	"context"
	"io"
	"io/fs"
	"slices"

	"tutti"
)

// Join makes one origin of several: each library is served by the origin that has it. Where two have a library of the
// same id, the earlier one serves it.
func Join(origins ...tutti.Origin) *Joined {
	j := &Joined{by: map[string]tutti.Origin{}}
	for _, o := range origins {
		for _, l := range o.Libraries() {
			if _, taken := j.by[l.ID]; !taken {
				j.by[l.ID] = o
				j.libraries = append(j.libraries, l)
			}
		}
	}
	return j
}

// Joined implements tutti.Origin over several. It holds nothing of its own that needs closing.
type Joined struct {
	by        map[string]tutti.Origin
	libraries []tutti.Library
}

var _ tutti.Origin = (*Joined)(nil)

// of returns the origin of a library.
func (j *Joined) of(library string) (tutti.Origin, error) {
	if o, ok := j.by[library]; ok {
		return o, nil
	}
	return nil, tutti.Errorf(tutti.KindNotFound, "origin.Join", "there is no library %q", library)
}

// Libraries lists the libraries of all origins, in the order in which the origins were given.
func (j *Joined) Libraries() []tutti.Library { return slices.Clone(j.libraries) }

// Open implements tutti.Source.
func (j *Joined) Open(ctx context.Context, r tutti.Ref) (tutti.Object, error) {
	o, err := j.of(r.Library)
	if err != nil {
		return nil, err
	}
	return o.Open(ctx, r)
}

// OpenRange implements tutti.RangeSource for the libraries whose origin does; for others it is KindInvalid.
func (j *Joined) OpenRange(ctx context.Context, r tutti.Ref, off, n int64, tag string) (io.ReadCloser, tutti.ObjectInfo, error) {
	o, err := j.of(r.Library)
	if err != nil {
		return nil, tutti.ObjectInfo{}, err
	}
	ranges, ok := o.(tutti.RangeSource)
	if !ok {
		return nil, tutti.ObjectInfo{}, tutti.Errorf(tutti.KindInvalid, "origin.OpenRange", "the library %q lies on this machine and has no ranges to fetch", r.Library)
	}
	return ranges.OpenRange(ctx, r, off, n, tag)
}

// Stat implements tutti.Origin.
func (j *Joined) Stat(ctx context.Context, library, path string) (tutti.FileInfo, error) {
	o, err := j.of(library)
	if err != nil {
		return tutti.FileInfo{}, err
	}
	return o.Stat(ctx, library, path)
}

// List implements tutti.Origin.
func (j *Joined) List(ctx context.Context, library, dir string) ([]tutti.FileInfo, error) {
	o, err := j.of(library)
	if err != nil {
		return nil, err
	}
	return o.List(ctx, library, dir)
}

// OpenFile implements tutti.Origin.
func (j *Joined) OpenFile(ctx context.Context, library, path string) (fs.File, error) {
	o, err := j.of(library)
	if err != nil {
		return nil, err
	}
	return o.OpenFile(ctx, library, path)
}

// Watch implements tutti.Origin.
func (j *Joined) Watch(ctx context.Context, library string, fn func(dir string)) error {
	o, err := j.of(library)
	if err != nil {
		return err
	}
	return o.Watch(ctx, library, fn)
}

// LocalPath is where a file lies on this machine, for origins whose files do; see folder.Origin.
func (j *Joined) LocalPath(library, path string) (file string, ok bool) {
	if o, here := j.by[library].(interface {
		LocalPath(library, path string) (file string, ok bool)
	}); here {
		return o.LocalPath(library, path)
	}
	return "", false
}

// Watchable reports whether Watch is worth trying for a library: not for one whose origin says that it never is.
func (j *Joined) Watchable(library string) bool {
	o, says := j.by[library].(interface{ Watchable(library string) bool })
	return !says || o.Watchable(library)
}
