package scan

import (
	"cmp"
	"context"
	"path"
	"strings"

	"tutti"
	"tutti/audio"
	"tutti/origin"
)

// maxList bounds a playlist file, in bytes.
const maxList = 16 << 20

// lists are the playlist files that a pass met.
type lists struct {
	lib      tutti.Library
	files    []tutti.FileInfo
	walked   map[string]bool // the directories of a partial pass; nil for the whole library
	complete bool            // every directory of the pass could be listed
}

// relist imports the playlists that changed, and those whose tracks may have, and drops those whose file is gone. It
// comes last, when the tracks have their IDs.
func (s *Scanner) relist(ctx context.Context, c *committer) error {
	for _, l := range c.lists {
		known := map[string]bool{}
		for _, file := range s.book.PlaylistFiles(l.lib.ID) {
			known[file] = true
		}
		here := map[string]bool{}
		for i := range l.files {
			fi := &l.files[i]
			here[fi.Path] = true
			key := l.lib.ID + "\x00" + fi.Path
			if was, ok := s.lists[key]; ok && was.is(fi) && known[fi.Path] && !c.changed[l.lib.ID] {
				continue
			}
			s.update(func(st *tutti.ScanStatus) { st.Phase = phasePlaylists })
			if err := s.importList(ctx, l.lib, fi); err != nil {
				return err
			}
			s.lists[key] = stampOf(fi)
		}
		if !l.complete {
			continue
		}
		for file := range known {
			if here[file] || (l.walked != nil && !l.walked[path.Dir(file)]) {
				continue
			}
			if err := s.book.ImportPlaylist(ctx, l.lib.ID, tutti.Playlist{File: file}); err != nil {
				return tutti.Wrap(tutti.KindUnavailable, "scan: drop a playlist", err)
			}
			delete(s.lists, l.lib.ID+"\x00"+file)
		}
	}
	c.lists = nil
	return nil
}

// importList reads one playlist file. A file that cannot be read, or in which no entry is a track of the library, is
// left out with a word in the log; only a book that fails is an error.
func (s *Scanner) importList(ctx context.Context, lib tutti.Library, fi *tutti.FileInfo) error {
	b, err := s.readSmall(ctx, lib.ID, fi.Path, maxList)
	var m *audio.M3U
	if err == nil {
		m, err = audio.ParseM3U(b)
	}
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.log.WarnContext(ctx, "a playlist cannot be read", "library", lib.Name, "path", fi.Path, "err", err)
		return nil
	}
	f := finder{book: s.book, lib: lib, files: map[string][]KnownFile{}, dirs: map[string][]string{}}
	var tracks []tutti.ID
	for _, e := range m.Entries {
		tracks = append(tracks, f.find(path.Dir(fi.Path), e)...)
	}
	if len(tracks) == 0 {
		s.log.WarnContext(ctx, "no entry of a playlist is a track of the library", "library", lib.Name, "path", fi.Path, "entries", len(m.Entries))
		return nil
	}
	name := cmp.Or(m.Name, origin.ReadableName(strings.TrimSuffix(path.Base(fi.Path), path.Ext(fi.Path))))
	err = s.book.ImportPlaylist(ctx, lib.ID, tutti.Playlist{Name: name, File: fi.Path, Tracks: tracks, Changed: fi.ModTime})
	return tutti.Wrap(tutti.KindUnavailable, "scan: import a playlist", err)
}

// finder finds the tracks that playlist entries mean, remembering the directories that it has seen.
type finder struct {
	book  Book
	lib   tutti.Library
	files map[string][]KnownFile
	dirs  map[string][]string
}

// find resolves an entry: relative to the playlist's directory; absolute beneath the library's own path; and else by
// as much of its end as names a file from the library's root, which finds what another machine or mount wrote.
func (f *finder) find(dir string, e audio.M3UEntry) []tutti.ID {
	if e.URL() || e.Path == "" {
		return nil
	}
	ends := e
	if below, ok := strings.CutPrefix(path.Clean(e.Path), strings.TrimSuffix(f.lib.Path, "/")+"/"); ok {
		if ids := f.at(below); ids != nil {
			return ids
		}
	} else if own := e.Candidates(dir); len(own) == 0 { // relative, and leads outside
		ends.Path = "/" + e.Path
	} else if own[0] == path.Join(dir, e.Path) { // relative
		if ids := f.at(own[0]); ids != nil {
			return ids
		}
		ends.Path = "/" + e.Path
	}
	for _, p := range ends.Candidates(dir) {
		// A bare name at the library's root says too little unless the playlist itself is there.
		if !strings.Contains(p, "/") && dir != "." {
			return nil
		}
		if ids := f.at(p); ids != nil {
			return ids
		}
	}
	return nil
}

// at returns the tracks of the file at a path, without regard to case where no name fits exactly.
func (f *finder) at(p string) []tutti.ID {
	dir := "."
	parts := strings.Split(p, "/")
	for _, part := range parts[:len(parts)-1] {
		if part == ".." || part == "." {
			return nil
		}
		names, ok := f.dirs[dir]
		if !ok {
			names = f.book.Dirs(f.lib.ID, dir)
			f.dirs[dir] = names
		}
		found := ""
		for _, name := range names {
			if name == part {
				found = name
				break
			}
			if found == "" && fold(name) == fold(part) {
				found = name
			}
		}
		if found == "" {
			return nil
		}
		dir = join(dir, found)
	}
	files, ok := f.files[dir]
	if !ok {
		files, _ = f.book.Files(f.lib.ID, dir)
		f.files[dir] = files
	}
	want := parts[len(parts)-1]
	var loose []tutti.ID
	for i := range files {
		if files[i].Name == want {
			return files[i].Tracks
		}
		if loose == nil && fold(files[i].Name) == fold(want) {
			loose = files[i].Tracks
		}
	}
	return loose
}
