package metacodec

import (
	"bytes"
	"strings"

	"tutti"
)

// The marks of a template. They are control characters, which hardly a name has.
const (
	markNone         = 1 + iota // begins a text that holds control characters itself, and so is its own template
	MarkTitle                   //
	markTitleInFile             // MarkTitle with "_" for what no file name may hold
	MarkTrack                   // the track's number in two digits or more
	MarkTrackShort              // in as many as it takes
	MarkDisc                    //
	MarkArtist                  //
	markArtistInFile            //
	MarkAlbum                   //
	markAlbumInFile             //
	MarkYear                    //
	MarkFolder                  //
	MarkArtistRest              // of the artist's name, after its first word
	MarkArtistHead              // its first word
	MarkSuffix                  //
	marks
)

// Known is what a template's marks stand for: texts that writer and reader have in common when they come to a text that
// is made of them, as a file's name is of its track's number and title. The template is then that of the record before
// in nearly all records, and takes a bit. The zero value knows nothing.
type Known [marks][]byte

var forFiles = strings.NewReplacer("/", "_", ":", "_", "?", "_", "*", "_", `"`, "_", "<", "_", ">", "_", "|", "_", `\`, "_")

// Set makes one of MarkTitle, MarkArtist and MarkAlbum stand for a text, in the form that file names have too.
func (k *Known) Set(mark byte, s []byte) {
	k[mark], k[mark+1] = s, nil
	if bytes.ContainsAny(s, `/:?*"<>|\`) {
		k[mark+1] = []byte(forFiles.Replace(string(s)))
	}
}

// SetArtist is Set for MarkArtist, and makes the marks of the name's parts stand for those.
func (k *Known) SetArtist(name []byte) {
	k.Set(MarkArtist, name)
	k[MarkArtistHead], k[MarkArtistRest] = nil, nil
	if i := bytes.IndexByte(name, ' '); i > 0 {
		k[MarkArtistHead], k[MarkArtistRest] = name[:i], name[i+1:]
	}
}

// SetNumbers makes marks stand for a track's and a disc's number and a year, none where they are 0.
func (k *Known) SetNumbers(track, disc, year int64) {
	k[MarkTrack], k[MarkTrackShort], k[MarkDisc], k[MarkYear] = nil, nil, nil, nil
	if track > 0 {
		n := decimal(track)
		k[MarkTrackShort], k[MarkTrack] = n, n
		if len(n) < 2 {
			k[MarkTrack] = append([]byte{'0'}, n...)
		}
	}
	if disc > 0 {
		k[MarkDisc] = decimal(disc)
	}
	if year > 0 {
		k[MarkYear] = decimal(year)
	}
}

func decimal(n int64) []byte {
	var b [20]byte
	i := len(b)
	for ; n > 0 || i == len(b); n /= 10 {
		i--
		b[i] = byte('0' + n%10)
	}
	return b[i:]
}

func digit(b byte) bool { return b >= '0' && b <= '9' }

// Fold makes a template of a text, with each of the marks of order at the first place where what it stands for is found,
// the likelier marks first. The text itself is returned where nothing is.
func (k *Known) Fold(s, order []byte) []byte {
	for _, b := range s {
		if b < marks {
			return append([]byte{markNone}, s...)
		}
	}
	for _, mark := range order {
		s = k.fold(s, mark)
		if mark == MarkTitle || mark == MarkArtist || mark == MarkAlbum {
			s = k.fold(s, mark+1)
		}
	}
	return s
}

func (k *Known) fold(s []byte, mark byte) []byte {
	v := k[mark]
	if len(v) == 0 || len(v) == 1 && !digit(v[0]) {
		return s
	}
	i := bytes.Index(s, v)
	if i < 0 || digit(v[0]) && (i > 0 && digit(s[i-1]) || i+len(v) < len(s) && digit(s[i+len(v)])) {
		return s // a number is whole, or is another
	}
	t := make([]byte, 0, len(s))
	t = append(append(append(t, s[:i]...), mark), s[i+len(v):]...)
	return t
}

// maxUnfolded bounds a text that is made of a template, in bytes.
const maxUnfolded = 1 << 20

// Unfold makes the text of a template. It returns KindInvalid where the text would be longer than 1 MiB.
func (k *Known) Unfold(t []byte) ([]byte, error) {
	if len(t) > 0 && t[0] == markNone {
		return t[1:], nil
	}
	i := 0
	for i < len(t) && t[i] >= marks {
		i++
	}
	if i == len(t) {
		return t, nil
	}
	out := append(make([]byte, 0, 2*len(t)), t[:i]...)
	for _, b := range t[i:] {
		if b < marks {
			out = append(out, k[b]...)
		} else {
			out = append(out, b)
		}
		if len(out) > maxUnfolded {
			return nil, tutti.Errorf(tutti.KindInvalid, "metacodec.Unfold", "a text would be longer than %d bytes", maxUnfolded)
		}
	}
	return out, nil
}
