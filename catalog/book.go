package catalog

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"tutti"
	"tutti/audio/analyse"
	"tutti/catalog/scan"
)

// Files returns the files known directly inside a directory.
func (c *Catalog) Files(library, dir string) ([]scan.KnownFile, scan.FolderInfo) {
	m := c.current()
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, ok := m.findFolder(library, dir)
	if !ok {
		return nil, scan.FolderInfo{}
	}
	f := &m.folders[n]
	var info scan.FolderInfo
	if f.cover != "" || f.sides != 0 {
		info = scan.FolderInfo{Library: library, Path: dir, CoverPath: f.cover, Sides: f.sides}
	}
	files := make([]scan.KnownFile, 0, len(f.tracks))
	var r record
	for _, s := range f.tracks {
		m.read(s, &r)
		i, found := slices.BinarySearchFunc(files, viewString(r.name), func(k scan.KnownFile, name string) int { return strings.Compare(k.Name, name) })
		if !found {
			files = slices.Insert(files, i, scan.KnownFile{Name: string(r.name), Missing: true})
		}
		k := &files[i]
		k.Tracks = append(k.Tracks, tutti.NewID(tutti.PrefixTrack, r.id))
		// Tracks that were in the file before it was replaced may be missing; what is there now counts.
		switch live := !m.missing[s]; {
		case k.Missing && live, !found:
			k.Missing, k.Size, k.ModTime = !live, r.size, r.modTime
		case k.Missing == !live && r.mask&hasSection != 0:
			k.Size += r.size // a cue sheet's tracks share their file
		}
	}
	return files, info
}

func (m *model) findFolder(library, dir string) (uint32, bool) {
	i := slices.Index(m.libraries, library)
	if i < 0 {
		return 0, false
	}
	n, ok := m.folderByPath[folderKey{uint8(i), dir}]
	return n, ok
}

// Dirs returns the names of the directories known directly inside dir.
func (c *Catalog) Dirs(library, dir string) []string {
	m := c.current()
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, ok := m.findFolder(library, dir)
	if !ok {
		return nil
	}
	var names []string
	for _, ch := range m.folders[n].children {
		if m.folders[ch].all > 0 {
			names = append(names, m.folders[ch].name())
		}
	}
	return names
}

func (f *folder) name() string { return f.path[strings.LastIndexByte(f.path, '/')+1:] }

// ByFingerprint returns the tracks with the fingerprint, missing ones included.
func (c *Catalog) ByFingerprint(fp scan.Fingerprint) []tutti.ID {
	m := c.current()
	m.mu.RLock()
	defer m.mu.RUnlock()
	var (
		ids []tutti.ID
		r   record
	)
	m.byFP.each(fpKey(fp), func(s uint32) bool {
		if m.read(s, &r); r.fp == fp {
			ids = append(ids, tutti.NewID(tutti.PrefixTrack, r.id))
		}
		return true
	})
	slices.Sort(ids)
	return ids
}

// Entry returns a track's entry.
func (c *Catalog) Entry(id tutti.ID) (scan.Entry, bool) {
	m := c.current()
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.entry(id)
}

// TrackCount is how many tracks of a library are known and not missing.
func (c *Catalog) TrackCount(library string) int {
	m := c.current()
	m.mu.RLock()
	defer m.mu.RUnlock()
	if i := slices.Index(m.libraries, library); i >= 0 {
		return m.counts[i].tracks
	}
	return 0
}

// Apply makes the changes durable and visible. Changes that change nothing are not written. It returns KindInvalid
// for an entry that cannot be kept, without having made any change; KindConflict where another node scans now, with none
// or some of the changes made, which that node makes again; and the store's errors, with none or some of the changes
// made: applying them all again is right.
func (c *Catalog) Apply(ctx context.Context, changes []scan.Change) error {
	for i := range changes {
		if err := checkChange(&changes[i]); err != nil {
			return err
		}
	}
	if err := c.writing.lock(ctx); err != nil {
		return err
	}
	defer c.writing.unlock()
	const tries = 8 // another node may write in between
	for try := 0; ; try++ {
		conflict, err := c.applyLocked(ctx, changes)
		if err != nil {
			return err
		}
		if !conflict {
			break
		}
		if try == tries {
			return tutti.Errorf(tutti.KindConflict, "catalog.Apply", "other nodes keep changing the catalogue")
		}
		if err := c.refreshLocked(ctx); err != nil {
			return err
		}
	}
	if c.journal.due(c.cfg.Tuning.SnapshotBytes) {
		c.wantSnapshot()
	}
	return nil
}

func checkChange(ch *scan.Change) error {
	const op = "catalog.Apply"
	set := 0
	for _, on := range [...]bool{ch.Put != nil, ch.Missing != "", ch.Found != "", ch.Remove != "", ch.Folder != nil, ch.Heard != nil} {
		if on {
			set++
		}
	}
	if set != 1 {
		return tutti.Errorf(tutti.KindInvalid, op, "a change changes %d things instead of one", set)
	}
	if ch.Put != nil {
		return checkEntry(ch.Put)
	}
	if f := ch.Folder; f != nil {
		if f.Library == "" || f.Path == "" || len(f.Library)+len(f.Path)+len(f.CoverPath) > maxTexts {
			return tutti.Errorf(tutti.KindInvalid, op, "%q is not a folder in a library", f.Path)
		}
		return nil
	}
	if h := ch.Heard; h != nil {
		if _, err := analyse.ParseRow(h.Row); err != nil && len(h.Row) != 0 {
			return tutti.Wrap(tutti.KindInvalid, op, err)
		}
		if !h.Track.Is(tutti.PrefixTrack) {
			return tutti.Errorf(tutti.KindInvalid, op, "%q is not a track's ID", string(h.Track))
		}
		return nil
	}
	if id := ch.Missing + ch.Found + ch.Remove; !id.Is(tutti.PrefixTrack) {
		return tutti.Errorf(tutti.KindInvalid, op, "%q is not a track's ID", string(id))
	}
	return nil
}

func (c *Catalog) applyLocked(ctx context.Context, changes []scan.Change) (conflict bool, err error) {
	m := c.current()
	if err := c.mayScan(m); err != nil {
		return false, err
	}
	todo, err := m.effective(changes, c)
	if err != nil || len(todo) == 0 {
		return false, err
	}
	records, err := c.encodeChanges(todo)
	if err != nil {
		return false, err
	}
	for i, value := range records {
		switch err := c.journal.append(ctx, m.seq, value); {
		case tutti.IsKind(err, tutti.KindConflict):
			return true, nil
		case err != nil:
			return false, err
		}
		part := todo
		if len(records) > 1 {
			// The records were split by halves until they fitted; take the changes from the record itself.
			if part, err = c.decodeChanges(ctx, records[i]); err != nil {
				return false, err
			}
		}
		m.apply(part)
		c.advance(m, m.seq+1, nil)
		if ofLibrary(part) {
			c.news.library()
			c.listening.wake()
		}
	}
	return false, nil
}

// ofLibrary reports whether changes are worth telling players of. That a track was listened to is not: it happens to one after
// the other for hours, and what players show of it can wait.
func ofLibrary(changes []scan.Change) bool {
	return slices.ContainsFunc(changes, func(ch scan.Change) bool { return ch.Heard == nil })
}

// effective returns the changes that change anything, with the time of adding filled in.
func (m *model) effective(changes []scan.Change, c *Catalog) ([]scan.Change, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	libraries := slices.Clone(m.libraries)
	touched := make(map[tutti.ID]bool, len(changes)) // by earlier changes of the batch, so that what the model says is outdated
	todo := make([]scan.Change, 0, len(changes))
	for _, ch := range changes {
		var id tutti.ID
		library := ""
		redundant := false
		switch {
		case ch.Put != nil:
			id, library = ch.Put.ID, ch.Put.Library
			redundant = m.same(ch.Put)
			if _, known := m.byID.find(number(id)); !known && !touched[id] && ch.Put.Added.IsZero() {
				e := *ch.Put
				e.Added = c.clock.Now().UTC().Round(0)
				ch.Put = &e
			}
		case ch.Folder != nil:
			library = ch.Folder.Library
			if n, ok := m.findFolder(library, ch.Folder.Path); ok {
				f := &m.folders[n]
				redundant = f.cover == ch.Folder.CoverPath && f.sides == ch.Folder.Sides
			} else {
				redundant = ch.Folder.CoverPath == "" && ch.Folder.Sides == 0
			}
			id = tutti.ID(library + "\x00" + ch.Folder.Path)
		case ch.Heard != nil:
			id = ch.Heard.Track
			s, known := m.byID.find(number(id))
			redundant = !known || m.fpOf(s) != fpKey(ch.Heard.Fingerprint) || bytes.Equal(m.heard.at(s), ch.Heard.Row)
		default:
			id = ch.Missing + ch.Found + ch.Remove
			s, known := m.byID.find(number(id))
			redundant = !known || (ch.Missing != "" && m.missing[s]) || (ch.Found != "" && !m.missing[s])
		}
		if redundant && !touched[id] {
			continue
		}
		touched[id] = true
		if library != "" && !slices.Contains(libraries, library) {
			if libraries = append(libraries, library); len(libraries) > maxLibraries {
				return nil, tutti.Errorf(tutti.KindInvalid, "catalog.Apply", "more than %d libraries", maxLibraries)
			}
		}
		todo = append(todo, ch)
	}
	return todo, nil
}

func number(id tutti.ID) uint64 {
	n, _ := id.Number()
	return n
}
