package scan

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"path"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"tutti"
)

// IDs are the first 64 bits of a SHA-256 over what makes a thing itself. Among 10 million things of a kind the chance
// that any two collide is about 3 in a million; tracks, which have an ordinal anyway, step over even that.
func id(prefix string, parts ...string) tutti.ID {
	h := sha256.New()
	var n [4]byte
	for _, p := range parts {
		binary.BigEndian.PutUint32(n[:], uint32(len(p))) // so that "ab","c" and "a","bc" differ
		h.Write(n[:])
		h.Write([]byte(p))
	}
	var sum [sha256.Size]byte
	return tutti.NewID(prefix, binary.BigEndian.Uint64(h.Sum(sum[:0])))
}

// TrackID names the n-th copy (from 0) of the piece of sound: a whole file, or the section-th track (from 1) of its cue
// sheet.
func TrackID(fp Fingerprint, section, n int) tutti.ID {
	var b [8]byte
	binary.BigEndian.PutUint32(b[:4], uint32(section))
	binary.BigEndian.PutUint32(b[4:], uint32(n))
	return id(tutti.PrefixTrack, string(fp[:]), string(b[:]))
}

// ArtistID is the id of the artist with a name. Spellings that differ only in case, spacing, width or typographic quotes
// and hyphens are one artist. The MusicBrainz id is not part of it: in a library of which half is tagged with those,
// every artist would appear twice.
func ArtistID(name string) tutti.ID { return id(tutti.PrefixArtist, fold(name)) }

// FolderID is the id of a directory of a library.
func FolderID(library, dir string) tutti.ID { return id(tutti.PrefixFolder, library, dir) }

// PlaylistID is the id of the playlist that follows a file of a library.
func PlaylistID(library, file string) tutti.ID { return id(tutti.PrefixPlaylist, library, file) }

// VersionOf identifies the bytes of a file, as far as a scan can without reading them all.
func VersionOf(fp Fingerprint, size, modTimeNanos int64) tutti.Version {
	var b [len(fp) + 16]byte
	copy(b[:], fp[:])
	binary.BigEndian.PutUint64(b[len(fp):], uint64(size))
	binary.BigEndian.PutUint64(b[len(fp)+8:], uint64(modTimeNanos))
	sum := sha256.Sum256(b[:])
	return tutti.Version(hex.EncodeToString(sum[:16]))
}

// newAlbumID is the id of an album that is met for the first time, in a directory where no other track of it is known.
// Two such tracks are of one album if they have the same MusicBrainz release; else if album artist, name, edition and
// year are the same and their album folders have the same parent, so that "Album (Disc 1)" and "Album (Disc 2)" side by
// side are one, and the same album kept as FLAC here and as MP3 there is two. Libraries never share an album, because
// people may be allowed to see only one of them. See albums.place for what happens when the album is known already.
func newAlbumID(library string, k albumKey, year int, albumFolder string) tutti.ID {
	if k.mbid != "" {
		return id(tutti.PrefixAlbum, library, "musicbrainz", k.mbid)
	}
	var y [4]byte
	binary.BigEndian.PutUint32(y[:], uint32(year))
	return id(tutti.PrefixAlbum, library, k.artist, k.name, k.edition, string(y[:]), path.Dir(albumFolder))
}

// AlbumID is the id that an album without a MusicBrainz id and without an edition gets when it is met in a directory for
// the first time. Most albums have the one that this returns; an album keeps its id when its tags change, so not all do.
func AlbumID(library, albumArtist, album string, year int, dir string) tutti.ID {
	folder, _ := albumFolderOf(dir)
	return newAlbumID(library, albumKey{name: fold(album), artist: fold(albumArtist)}, year, folder)
}

// fold makes strings equal that people take for the same name: compatibility-composed (NFKC), lower case, spaces
// collapsed, and one kind of quote and hyphen. Accents count: "Mørk" and "Mork" are two bands.
func fold(s string) string {
	plain := true
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x80 || c >= 'A' && c <= 'Z' || c < ' ' || c == ' ' && (i == 0 || i == len(s)-1 || s[i-1] == ' ') {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	space := false
	for _, r := range norm.NFKC.String(s) {
		switch r {
		case '‘', '’', '`', '´', 'ʼ', '′':
			r = '\''
		case '“', '”', '„', '″':
			r = '"'
		case '‐', '‑', '‒', '–', '—', '−':
			r = '-'
		}
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			space = b.Len() > 0
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return norm.NFC.String(b.String()) // lower case may have decomposed what was composed
}

// discFolder returns the number in the name of a directory that holds one disc of an album: "CD1", "Disc 2 - Live",
// "disk_03". ok is false for any other name.
func discFolder(name string) (disc int, ok bool) {
	lower := strings.ToLower(name)
	for _, word := range []string{"cd", "disc", "disk", "dvd"} {
		rest, is := strings.CutPrefix(lower, word)
		if !is {
			continue
		}
		rest = strings.TrimLeft(rest, " ._-#")
		n := 0
		for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
			disc = disc*10 + int(rest[n]-'0')
			n++
		}
		if n == 0 || n > 2 || disc == 0 {
			return 0, false
		}
		if rest = rest[n:]; rest != "" {
			if c := rest[0]; c >= 'a' && c <= 'z' || c >= 0x80 {
				return 0, false
			}
		}
		return disc, true
	}
	return 0, false
}

// albumFolderOf is the directory that stands for the album of the tracks in dir: dir itself, or the one above where dir
// is one disc of it.
func albumFolderOf(dir string) (folder string, disc int) {
	if dir == "." {
		return dir, 0
	}
	if n, ok := discFolder(path.Base(dir)); ok {
		return path.Dir(dir), n
	}
	return dir, 0
}
