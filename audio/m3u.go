package audio

import (
	"errors"
	"net/url"
	"path"
	"strings"
	"time"

	"tutti"
)

// M3U is a playlist file.
type M3U struct {
	Name    string // from #PLAYLIST; "" where the file does not say
	Entries []M3UEntry
}

// M3UEntry is one line of a playlist file with what the #EXTINF line before it said.
type M3UEntry struct {
	Path     string // with slashes, unescaped if it was a file: URL; an http(s) URL is left as it is
	Title    string
	Duration time.Duration // 0 where unknown
}

// maxEntries bounds a playlist.
const maxEntries = 100_000

var errNoM3U = errors.New("no entries in the playlist")

// ParseM3U reads an .m3u or .m3u8 file: UTF-8 with or without a mark, UTF-16, or Windows-1252; relative, absolute,
// Windows and file: paths. The error is KindInvalid for more than 16 MiB or 100,000 entries and for a file without
// any entry. https://en.wikipedia.org/wiki/M3U
func ParseM3U(b []byte) (*M3U, error) {
	const op = "audio.ParseM3U"
	if len(b) > 16<<20 {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "a playlist of more than 16 MiB")
	}
	list := &M3U{}
	var next M3UEntry
	for line := range strings.SplitSeq(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(decodeText(b)), "\n") {
		line = clean(line)
		switch {
		case line == "":
		case line[0] == '#':
			name, value, _ := strings.Cut(line[1:], ":")
			switch strings.ToUpper(name) {
			case "EXTINF":
				length, title, _ := strings.Cut(value, ",")
				length, _, _ = strings.Cut(clean(length), " ") // attributes may follow: 123 tvg-id="…"
				next = M3UEntry{Title: clean(title)}
				if d, ok := parseClock(length); ok && !strings.Contains(length, ":") {
					next.Duration = d
				}
			case "PLAYLIST":
				list.Name = clean(value)
			}
		default:
			if len(list.Entries) == maxEntries {
				return nil, tutti.Errorf(tutti.KindInvalid, op, "a playlist of more than %d entries", maxEntries)
			}
			next.Path = playlistPath(line)
			list.Entries = append(list.Entries, next)
			next = M3UEntry{}
		}
	}
	if len(list.Entries) == 0 {
		return nil, tutti.Wrap(tutti.KindInvalid, op, errNoM3U)
	}
	return list, nil
}

// playlistPath brings an entry into the form of M3UEntry.Path.
func playlistPath(s string) string {
	if scheme, _, ok := strings.Cut(s, "://"); ok {
		if !strings.EqualFold(scheme, "file") {
			return s
		}
		if u, err := url.Parse(s); err == nil {
			s = u.Path
			if len(s) > 2 && s[0] == '/' && s[2] == ':' { // file:///C:/Music
				s = s[1:]
			}
		}
	}
	// A backslash is a separator only where the path is plainly a Windows one; elsewhere it may be part of a name.
	if drive(s) || strings.HasPrefix(s, `\\`) || !strings.Contains(s, "/") {
		s = strings.ReplaceAll(s, `\`, "/")
	}
	return s
}

func drive(s string) bool {
	return len(s) >= 2 && s[1] == ':' && (s[0]|0x20) >= 'a' && (s[0]|0x20) <= 'z'
}

// URL reports whether the entry is not a file.
func (e M3UEntry) URL() bool { return strings.Contains(e.Path, "://") }

// Candidates returns the paths within a library at which the entry's file may be, most likely first, where the
// playlist itself lies in the library's directory dir ("." for its root). A relative path has one candidate. An
// absolute one may have been written on another machine: each of its ends, from the longest, may be the path within
// the library. Paths that lead outside the library are left out, and so are URLs.
func (e M3UEntry) Candidates(dir string) []string {
	if e.URL() || e.Path == "" {
		return nil
	}
	p := e.Path
	absolute := p[0] == '/' || drive(p)
	if !absolute {
		if p = path.Join(dir, p); p == ".." || strings.HasPrefix(p, "../") {
			return nil
		}
		return []string{p}
	}
	if drive(p) {
		p = p[2:]
	}
	p = strings.Trim(path.Clean("/"+p), "/")
	var cs []string
	for p != "" && len(cs) < 64 {
		cs = append(cs, p)
		_, rest, ok := strings.Cut(p, "/")
		if !ok {
			break
		}
		p = rest
	}
	return cs
}
