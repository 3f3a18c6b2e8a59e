package scan

import (
	"cmp"
	"context"
	"encoding/binary"
	"hash/fnv"
	"io"
	"path"
	"slices"
	"strings"
	"sync"

	"tutti"
	"tutti/audio"
	"tutti/origin"
)

// fileKind is what a name promises.
type fileKind uint8

const (
	otherFile fileKind = iota
	soundFile
	pictureFile
	lyricsFile
	cueFile
	playlistFile
)

// kinds are the suffixes that a scan looks at. What ffprobe knows besides is not guessed at: a music folder may hold
// anything. In particular .mp4, .mkv and .webm are left out, which are video as a rule.
var kinds = map[string]fileKind{
	"aac": soundFile, "ac3": soundFile, "aif": soundFile, "aifc": soundFile, "aiff": soundFile, "alac": soundFile, "ape": soundFile, "caf": soundFile,
	"dff": soundFile, "dsf": soundFile, "dts": soundFile, "flac": soundFile, "m4a": soundFile, "m4b": soundFile, "mka": soundFile, "mp2": soundFile,
	"mp3": soundFile, "mpc": soundFile, "oga": soundFile, "ogg": soundFile, "opus": soundFile, "shn": soundFile, "spx": soundFile, "tak": soundFile,
	"tta": soundFile, "wav": soundFile, "wave": soundFile, "weba": soundFile, "wma": soundFile, "wv": soundFile,
	"jpg": pictureFile, "jpeg": pictureFile, "png": pictureFile, "webp": pictureFile, "gif": pictureFile,
	"lrc": lyricsFile, "txt": lyricsFile,
	"cue": cueFile,
	"m3u": playlistFile, "m3u8": playlistFile,
}

// kindOf spares the usual lower-case suffix an allocation.
func kindOf(name string) fileKind {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return otherFile
	}
	if k, ok := kinds[name[i+1:]]; ok {
		return k
	}
	return kinds[strings.ToLower(name[i+1:])]
}

// stem is a file's name without its suffix, folded for comparison with its neighbours' stems.
func stem(p string) string {
	base := path.Base(p)
	return fold(strings.TrimSuffix(base, path.Ext(base)))
}

// folder is what the files of one directory share while they are read.
type folder struct {
	library     string
	dir         string
	albumFolder string // dir, or the directory above where dir is one disc
	disc        int    // from the directory's name; 0 is unknown

	cover, lateCover string          // pictures of the directory that come before and after embedded ones; "" for none
	lyrics           map[string]bool // stems of lyrics files; nil for none
	cues             []tutti.FileInfo
	sounds           []string // paths of the sound files; only where there are cues

	sheetsOnce sync.Once
	sheets     map[string]*sheet // by the path of the sound file that they divide
}

// sheet is the part of a cue sheet that divides one file.
type sheet struct {
	cue  *audio.Cue
	file audio.CueFile
}

// contents is a directory's listing by kind.
type contents struct {
	sounds, playlists []tutti.FileInfo
	dirs              []string // paths
	cover             string   // the picture that stands for the directory
	sides             uint64
	folder            *folder
}

// sort divides a listing, which is in path order. inherited is the cover of the directory above, which the discs of an
// album share.
func (s *Scanner) sortListing(library, dir string, infos []tutti.FileInfo, inherited string) contents {
	c := contents{folder: &folder{library: library, dir: dir}}
	f := c.folder
	f.albumFolder, f.disc = albumFolderOf(dir)
	var pictures []string
	h := fnv.New64a()
	any := false
	side := func(fi *tutti.FileInfo) {
		any = true
		h.Write([]byte(fi.Path))
		var b [17]byte
		binary.BigEndian.PutUint64(b[1:], uint64(fi.Size))
		binary.BigEndian.PutUint64(b[9:], uint64(fi.ModTime.UnixNano()))
		h.Write(b[:])
	}
	for i := range infos {
		fi := &infos[i]
		if fi.Dir {
			c.dirs = append(c.dirs, fi.Path)
			continue
		}
		switch kindOf(fi.Path) {
		case soundFile:
			c.sounds = append(c.sounds, *fi)
		case pictureFile:
			pictures = append(pictures, fi.Path)
			side(fi)
		case lyricsFile:
			if f.lyrics == nil {
				f.lyrics = map[string]bool{}
			}
			f.lyrics[stem(fi.Path)] = true
			side(fi)
		case cueFile:
			f.cues = append(f.cues, *fi)
			side(fi)
		case playlistFile:
			c.playlists = append(c.playlists, *fi)
		}
	}
	f.cover, f.lateCover = s.covers.choose(dir, pictures)
	if f.disc > 0 && f.cover == "" && inherited != "" {
		f.cover = inherited
		any = true
		h.Write([]byte(inherited))
	}
	c.cover = cmp.Or(f.cover, f.lateCover)
	if c.cover == "" && len(c.sounds) == 0 {
		c.cover = s.artistPictures.first(pictures)
	}
	if len(f.cues) > 0 {
		for _, fi := range c.sounds {
			f.sounds = append(f.sounds, fi.Path)
		}
	}
	if any || dir == "." { // the root's tells besides that the library was scanned to its end once
		c.sides = max(h.Sum64(), 1) // 0 says that there are none
	}
	return c
}

// coverRule is the order in which pictures are preferred: names before and after the embedded picture.
type coverRule struct{ before, after names }

// names are patterns of folded file names, best first.
type names []string

// embedded stands for the embedded picture among the patterns of Config.Covers.
const embedded = "embedded"

func parseCovers(patterns []string) (coverRule, error) {
	var r coverRule
	into := &r.before
	for _, p := range patterns {
		if p == embedded {
			into = &r.after
			continue
		}
		p = fold(p)
		if _, err := path.Match(p, ""); err != nil || p == "" {
			return r, tutti.Errorf(tutti.KindInvalid, "scan.New", "%q in the list of covers is not a pattern", p)
		}
		*into = append(*into, p)
	}
	return r, nil
}

// first returns the picture that the earliest pattern matches, "" for none.
func (ns names) first(pictures []string) string {
	for _, pattern := range ns {
		for _, p := range pictures {
			if ok, _ := path.Match(pattern, fold(path.Base(p))); ok { // patterns are checked by parseCovers
				return p
			}
		}
	}
	return ""
}

func (r *coverRule) choose(dir string, pictures []string) (before, after string) {
	if len(pictures) == 0 {
		return "", ""
	}
	if before = r.before.first(pictures); before != "" {
		return before, ""
	}
	return "", r.after.first(pictures)
}

// maxSheet bounds a cue sheet; real ones have a few kilobytes.
const maxSheet = 1 << 20

// sheetFor returns the cue sheet that divides the sound file, nil for none. The directory's sheets are read once, when
// the first of its files asks.
func (f *folder) sheetFor(ctx context.Context, s *Scanner, p string) *sheet {
	if len(f.cues) == 0 {
		return nil
	}
	f.sheetsOnce.Do(func() {
		f.sheets = map[string]*sheet{}
		for _, fi := range f.cues {
			b, err := s.readSmall(ctx, f.library, fi.Path, maxSheet)
			var cue *audio.Cue
			if err == nil {
				cue, err = audio.ParseCue(b)
			}
			if err != nil {
				s.log.Warn("a cue sheet cannot be read", "library", f.library, "path", fi.Path, "err", err)
				continue
			}
			for _, cf := range cue.Files {
				if len(cf.Tracks) < 2 {
					continue // the file is a track already
				}
				if sound := f.soundNamed(cf.Name, fi.Path, len(cue.Files) == 1); sound != "" && f.sheets[sound] == nil {
					f.sheets[sound] = &sheet{cue, cf}
				}
			}
		}
	})
	return f.sheets[p]
}

// soundNamed finds the file that a cue sheet means: by name; by stem, because sheets keep saying album.wav after the
// file became album.flac; or, in a sheet of one file, by the sheet's own stem or by being the only sound there is.
func (f *folder) soundNamed(name, cue string, single bool) string {
	want := fold(path.Base(name))
	for _, p := range f.sounds {
		if fold(path.Base(p)) == want {
			return p
		}
	}
	stems := []string{stem(name)}
	if single {
		stems = append(stems, stem(cue))
	}
	for _, st := range stems {
		for _, p := range f.sounds {
			if stem(p) == st {
				return p
			}
		}
	}
	if single && len(f.sounds) == 1 && len(f.cues) == 1 {
		return f.sounds[0]
	}
	return ""
}

// readSmall reads a whole side file of at most limit bytes.
func (s *Scanner) readSmall(ctx context.Context, library, p string, limit int64) ([]byte, error) {
	const op = "scan: read a side file"
	file, err := s.origin.OpenFile(ctx, library, p)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	if int64(len(b)) > limit {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "%q is larger than %d bytes", p, limit)
	}
	return b, nil
}

// hasLyricsFor reports whether there is a lyrics file beside the sound file.
func (f *folder) hasLyricsFor(p string) bool { return f.lyrics != nil && f.lyrics[stem(p)] }

// title is what a file without a title is called: its name, without the number that it may begin with, which is the
// track's ("07 - Gold", "1-07. Gold").
func titleOf(p string) (title string, track int) {
	base := path.Base(p)
	name := origin.ReadableName(strings.TrimSuffix(base, path.Ext(base)))
	rest, n := number(name)
	if n > 0 && rest != "" && rest[0] == '-' { // disc and track
		if r, m := number(rest[1:]); m > 0 {
			rest, n = r, m
		}
	}
	trimmed := strings.TrimLeft(rest, " ._-")
	if n == 0 || trimmed == "" || trimmed == rest {
		return name, 0
	}
	return strings.TrimSpace(trimmed), n
}

// number reads up to three digits at the beginning of s.
func number(s string) (rest string, n int) {
	i := 0
	for i < len(s) && i < 4 && s[i] >= '0' && s[i] <= '9' {
		n = n*10 + int(s[i]-'0')
		i++
	}
	if i > 3 {
		return s, 0 // a year, or a title that is a number
	}
	return s[i:], n
}

// sortKnown makes sure of the order that the merge with a listing relies on.
func sortKnown(known []KnownFile) []KnownFile {
	byName := func(a, b KnownFile) int { return strings.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(known, byName) {
		known = slices.SortedFunc(slices.Values(known), byName)
	}
	return known
}
