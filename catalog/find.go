package catalog

import (
	"context"
	"slices"
	"strings"
	"time"

	"tutti"
)

// Limits of a search for described tracks.
const (
	maxSought      = 100_000
	soughtLot      = 256             // are looked for while the catalogue is held still
	soughtEffort   = 1500            // steps of some 20 ns that looking for one by its title takes
	soughtDistance = 3 * time.Second // by which two versions of a piece of music are the same: lists round, and encoders pad
	maxSoughtPaths = 64              // of one description
	maxSoughtText  = 4 << 10         // bytes of one of its texts
)

// FindTracks looks for tracks by where their files are, and for those that are elsewhere by title, artist and length.
func (c *Catalog) FindTracks(_ context.Context, v tutti.Viewer, sought []tutti.Sought) ([]tutti.ID, error) {
	if len(sought) > maxSought {
		return nil, tutti.Errorf(tutti.KindInvalid, "catalog.FindTracks", "%d tracks are more than the %d that can be looked for at once", len(sought), maxSought)
	}
	found := make([]tutti.ID, 0, len(sought))
	for lot := range slices.Chunk(sought, soughtLot) {
		w := c.glance(v)
		f := finder{view: w, names: make(map[uint32]map[string][]uint32)}
		for i := range lot {
			id := tutti.ID("")
			if s := f.find(&lot[i]); s != none {
				id = tutti.NewID(tutti.PrefixTrack, w.idOf(s))
			}
			found = append(found, id)
		}
		w.done()
	}
	return found, nil
}

// finder finds tracks by description.
type finder struct {
	*view
	names map[uint32]map[string][]uint32 // of the files in a folder, folded
	r     record
}

// find returns the slot of what fits best; none for nothing.
func (f *finder) find(s *tutti.Sought) uint32 {
	if len(s.Title) > maxSoughtText {
		return none
	}
	for _, p := range s.Paths[:min(len(s.Paths), maxSoughtPaths)] {
		if list := f.at(p); len(list) > 0 {
			return f.titled(list, s)
		}
	}
	return f.byTitle(s)
}

// at returns the tracks of the file at a path, without regard to the case of its name; not of those of its folders.
func (f *finder) at(p string) []uint32 {
	if len(p) > maxSoughtText {
		return nil
	}
	dir, name := ".", p
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		dir, name = p[:i], p[i+1:]
	}
	for lib := range f.libraries {
		if f.mask&(1<<lib) == 0 {
			continue
		}
		n, ok := f.folderByPath[folderKey{uint8(lib), dir}]
		if !ok {
			continue
		}
		files := f.names[n]
		if files == nil {
			files = make(map[string][]uint32)
			for _, s := range f.folders[n].tracks {
				if !f.missing[s] {
					f.read(s, &f.r)
					key := fold(viewString(f.r.name))
					files[strings.Clone(key)] = append(files[key], s)
				}
			}
			f.names[n] = files
		}
		if list := files[fold(name)]; len(list) > 0 {
			return list
		}
	}
	return nil
}

// titled chooses among the tracks of one file, or of files whose names differ in case: by title, else the first.
func (f *finder) titled(list []uint32, s *tutti.Sought) uint32 {
	title := fold(strings.TrimSpace(s.Title))
	for _, slot := range list {
		_, t := recordTitle(f.bytes(slot))
		if own := fold(viewString(t)); own == title || strings.HasSuffix(title, " - "+own) {
			return slot
		}
	}
	return list[0]
}

// byTitle looks for a track by its artist and title, which are divided by a dash that may also be part of either. Of
// several the one of the nearest length is it, unless that is another length altogether.
func (f *finder) byTitle(s *tutti.Sought) uint32 {
	text := fold(strings.TrimSpace(s.Title))
	dash := strings.LastIndex(text, " - ")
	if dash < 0 {
		return none // a title alone is too common
	}
	// A credit such as "A feat. B" has words that are in no name; then the title's have to do.
	for _, words := range [...][]string{queryWords(text), queryWords(text[dash:])} {
		if slot := f.among(words, text, s.Duration); slot != none {
			return slot
		}
	}
	return none
}

// among looks for a track that has the words, and whose artist and title the text is.
func (f *finder) among(words []string, text string, length time.Duration) uint32 {
	best, nearest := none, soughtDistance
	for _, slot := range f.trackWords.find(words, soughtEffort, func(slot uint32, prefix string) bool {
		f.read(slot, &f.r)
		has := false
		f.eachTrackWord(&f.r, func(word string) { has = has || strings.HasPrefix(word, prefix) })
		return has
	}) {
		if f.missing[slot] || !f.seesTrack(slot) {
			continue
		}
		f.read(slot, &f.r)
		artist, ok := strings.CutSuffix(text, " - "+fold(viewString(f.r.title)))
		if !ok || !f.credits(artist) {
			continue
		}
		var away time.Duration
		if length > 0 {
			away = (f.r.duration - length).Abs()
		}
		if away < nearest {
			best, nearest = slot, away
		}
	}
	return best
}

// credits reports whether the track that was read last is by the artist, alone or with others.
func (f *finder) credits(artist string) bool {
	for i, n := range f.r.artists {
		name := fold(f.lookup(n)[8:])
		if name == artist || i == 0 && strings.HasPrefix(artist, name+" ") { // "A feat. B"
			return true
		}
	}
	return false
}
