// Package scantest has an in-memory scan.Book, simple enough to be plainly right: the reference for tests of the
// scanner, and for what the catalogue's own book must do.
package scantest

import (
	"cmp"
	"context"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"tutti"
	"tutti/catalog/scan"
)

// Book implements scan.Book with maps. The zero value is not ready; use NewBook.
type Book struct {
	mu      sync.Mutex
	tracks  map[tutti.ID]scan.Entry
	folders map[string]scan.FolderInfo
	lists   map[string]tutti.Playlist
	files   map[string]map[string]map[tutti.ID]bool // directory, file name, tracks
	dirs    map[string]map[string]int               // directory, sub-directory, tracks in and below it
	byFP    map[scan.Fingerprint]map[tutti.ID]bool
	applied int

	// BeforeApply, if set, is asked before each Apply, with how many there were; an error keeps it from happening.
	BeforeApply func(n int) error
}

var _ scan.Book = (*Book)(nil)

// NewBook returns an empty book.
func NewBook() *Book {
	return &Book{
		tracks: map[tutti.ID]scan.Entry{}, folders: map[string]scan.FolderInfo{}, lists: map[string]tutti.Playlist{},
		files: map[string]map[string]map[tutti.ID]bool{}, dirs: map[string]map[string]int{}, byFP: map[scan.Fingerprint]map[tutti.ID]bool{},
	}
}

func key(library, p string) string { return library + "\x00" + p }

// Files implements scan.Book. A file of which some tracks are missing and some are not is described by those that are not.
func (b *Book) Files(library, dir string) ([]scan.KnownFile, scan.FolderInfo) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var files []scan.KnownFile
	for name, ids := range b.files[key(library, dir)] {
		k := scan.KnownFile{Name: name, Missing: true, Tracks: slices.Sorted(maps.Keys(ids))}
		for _, id := range k.Tracks {
			k.Missing = k.Missing && b.tracks[id].Missing
		}
		for _, id := range k.Tracks {
			if e := b.tracks[id]; e.Missing == k.Missing {
				k.ModTime = e.ModTime.UnixNano()
				if e.End != 0 {
					k.Size += e.Size
				} else {
					k.Size = e.Size
				}
			}
		}
		files = append(files, k)
	}
	slices.SortFunc(files, func(x, y scan.KnownFile) int { return strings.Compare(x.Name, y.Name) })
	return files, b.folders[key(library, dir)]
}

// Dirs implements scan.Book.
func (b *Book) Dirs(library, dir string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.dirs[key(library, dir)]))
}

// ByFingerprint implements scan.Book.
func (b *Book) ByFingerprint(fp scan.Fingerprint) []tutti.ID {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.byFP[fp]))
}

// Entry implements scan.Book.
func (b *Book) Entry(id tutti.ID) (scan.Entry, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.tracks[id]
	return e, ok
}

// TrackCount implements scan.Book.
func (b *Book) TrackCount(library string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, e := range b.tracks {
		if e.Library == library && !e.Missing {
			n++
		}
	}
	return n
}

// Apply implements scan.Book.
func (b *Book) Apply(ctx context.Context, changes []scan.Change) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.BeforeApply != nil {
		if err := b.BeforeApply(b.applied); err != nil {
			return err
		}
	}
	b.applied++
	for _, c := range changes {
		switch {
		case c.Put != nil:
			e := *c.Put
			if old, ok := b.tracks[e.ID]; ok {
				if e.Added.IsZero() {
					e.Added = old.Added
				}
				b.forget(old)
			}
			b.tracks[e.ID] = e
			b.index(e, 1)
		case c.Missing != "", c.Found != "":
			id := cmp.Or(c.Missing, c.Found)
			e, ok := b.tracks[id]
			if !ok {
				return tutti.Errorf(tutti.KindInvalid, "scantest.Apply", "there is no track %s", id)
			}
			e.Missing = c.Missing != ""
			b.tracks[id] = e
		case c.Remove != "":
			b.forget(b.tracks[c.Remove])
			delete(b.tracks, c.Remove)
		case c.Folder != nil:
			b.folders[key(c.Folder.Library, c.Folder.Path)] = *c.Folder
		default:
			return tutti.Errorf(tutti.KindInvalid, "scantest.Apply", "an empty change")
		}
	}
	return nil
}

func (b *Book) forget(e scan.Entry) { b.index(e, -1) }

// index adds a track to the indexes (n = 1) or takes it out (n = -1).
func (b *Book) index(e scan.Entry, n int) {
	dir, name := path.Dir(e.Path), path.Base(e.Path)
	k := key(e.Library, dir)
	if n > 0 {
		if b.files[k] == nil {
			b.files[k] = map[string]map[tutti.ID]bool{}
		}
		if b.files[k][name] == nil {
			b.files[k][name] = map[tutti.ID]bool{}
		}
		b.files[k][name][e.ID] = true
		if b.byFP[e.Fingerprint] == nil {
			b.byFP[e.Fingerprint] = map[tutti.ID]bool{}
		}
		b.byFP[e.Fingerprint][e.ID] = true
	} else {
		delete(b.byFP[e.Fingerprint], e.ID)
		if delete(b.files[k][name], e.ID); len(b.files[k][name]) == 0 {
			delete(b.files[k], name)
		}
	}
	for dir != "." {
		up := key(e.Library, path.Dir(dir))
		if b.dirs[up] == nil {
			b.dirs[up] = map[string]int{}
		}
		if b.dirs[up][path.Base(dir)] += n; b.dirs[up][path.Base(dir)] == 0 {
			delete(b.dirs[up], path.Base(dir))
		}
		dir = path.Dir(dir)
	}
}

// PlaylistFiles implements scan.Book.
func (b *Book) PlaylistFiles(library string) []string {
	var files []string
	for _, p := range b.Playlists(library) {
		files = append(files, p.File)
	}
	return files
}

// ImportPlaylist implements scan.Book.
func (b *Book) ImportPlaylist(_ context.Context, library string, p tutti.Playlist) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.Tracks == nil {
		delete(b.lists, key(library, p.File))
		return nil
	}
	p.ID = scan.PlaylistID(library, p.File)
	b.lists[key(library, p.File)] = p
	return nil
}

// Playlists returns the imported playlists of a library by file.
func (b *Book) Playlists(library string) []tutti.Playlist {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []tutti.Playlist
	for _, k := range slices.Sorted(maps.Keys(b.lists)) {
		if strings.HasPrefix(k, library+"\x00") {
			out = append(out, b.lists[k])
		}
	}
	return out
}

// Entries returns every track by library, path and start.
func (b *Book) Entries() []scan.Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.SortedFunc(maps.Values(b.tracks), func(x, y scan.Entry) int {
		return cmp.Or(strings.Compare(x.Library, y.Library), strings.Compare(x.Path, y.Path), cmp.Compare(x.Start, y.Start), strings.Compare(string(x.ID), string(y.ID)))
	})
}

// Applied is how often Apply has succeeded.
func (b *Book) Applied() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.applied
}
