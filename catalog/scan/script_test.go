package scan_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tutti"
	"tutti/catalog/scan"
)

// TestScripts runs testdata/*.txt: blocks of commands, "----", and what the scanner and the book must say, each ended
// by an empty line. TUTTI_UPDATE_GOLDEN=1 writes what they say now, to be reviewed.
//
//	sound PATH SEED [BLOCKS] [+picture] [KEY=value]…   writes a FLAC file of half seconds; spaces in values are "_"
//	text PATH LINE…                                    writes a text file, a line for each word, "_" for spaces
//	mv|cp FROM TO, rm PATH, touch PATH                 as in a shell; cp keeps the time
//	away, back                                         take the library's directory away, and bring it back
//	scan, full, restart, purge                         what the scanner does; restart forgets what is not in the book
//	tracks, albums, artists, lists, show FIELD…        what the book has
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	must(t, err)
	if len(files) == 0 {
		t.Fatal("no scripts")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			b, err := os.ReadFile(file)
			must(t, err)
			s := script{library: newLibrary(t, nil), ids: map[tutti.ID]string{}}
			var got strings.Builder
			for block := range strings.SplitSeq(strings.TrimRight(string(b), "\n"), "\n\n") {
				commands, _, ok := strings.Cut(block, "\n----")
				if got.Len() > 0 {
					got.WriteString("\n")
				}
				got.WriteString(commands + "\n")
				if !ok {
					continue
				}
				got.WriteString("----\n")
				for line := range strings.SplitSeq(commands, "\n") {
					if line != "" && line[0] != '#' {
						got.WriteString(s.do(strings.Fields(line)))
					}
				}
			}
			if os.Getenv("TUTTI_UPDATE_GOLDEN") != "" {
				must(t, os.WriteFile(file, []byte(got.String()), 0o644))
			} else if want := string(b); got.String() != want {
				t.Errorf("%s differs; it would now be\n%s", file, got.String())
			}
		})
	}
}

type script struct {
	*library
	ids map[tutti.ID]string // ids by order of appearance: stable words for what is only a hash
}

// name gives an ID a short name that stays the same for as long as the ID does.
func (s *script) name(id tutti.ID) string {
	if n, ok := s.ids[id]; ok {
		return n
	}
	kind, n := string(id[:2]), 1
	for _, other := range s.ids {
		if strings.HasPrefix(other, kind) {
			n++
		}
	}
	s.ids[id] = kind + strconv.Itoa(n)
	return s.ids[id]
}

func (s *script) do(words []string) string {
	s.t.Helper()
	args := words[1:]
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "_", " ")
	}
	switch words[0] {
	case "sound":
		seed, err := strconv.Atoi(args[1])
		must(s.t, err)
		blocks, picture := 1, false
		var tags []string
		for _, a := range args[2:] {
			n, err := strconv.Atoi(a)
			switch {
			case err == nil:
				blocks = n
			case a == "+picture":
				picture = true
			default:
				tags = append(tags, strings.ReplaceAll(a, "|", "\n"))
			}
		}
		s.write(args[0], sound(s.t, seed, blocks, picture, tags))
	case "text":
		s.write(args[0], []byte(strings.Join(args[1:], "\n")+"\n"))
	case "mv":
		must(s.t, os.MkdirAll(filepath.Dir(s.path(args[1])), 0o755))
		must(s.t, os.Rename(s.path(args[0]), s.path(args[1])))
	case "cp":
		info, err := os.Stat(s.path(args[0]))
		must(s.t, err)
		b, err := os.ReadFile(s.path(args[0]))
		must(s.t, err)
		s.write(args[1], b)
		must(s.t, os.Chtimes(s.path(args[1]), info.ModTime(), info.ModTime()))
	case "rm":
		must(s.t, os.RemoveAll(s.path(args[0])))
	case "touch":
		b, err := os.ReadFile(s.path(args[0]))
		must(s.t, err)
		s.write(args[0], b)
	case "away":
		must(s.t, os.Rename(s.root, s.root+" away"))
	case "back":
		must(s.t, os.Rename(s.root+" away", s.root))
	case "restart":
		s.restart(nil)
	case "scan", "full":
		applied := s.book.Applied()
		st, err := s.scanner.ScanOnce(s.t.Context(), words[0] == "full", nil)
		out := fmt.Sprintf("seen %d", st.Seen)
		for _, c := range []struct {
			word string
			n    int64
		}{{"added", st.Added}, {"changed", st.Changed}, {"moved", st.Moved}, {"missing", st.Missing}, {"unreadable", st.Failed}} {
			if c.n != 0 {
				out += fmt.Sprintf(", %s %d", c.word, c.n)
			}
		}
		if s.book.Applied() == applied {
			out += ", nothing written"
		}
		if err != nil {
			out += "; " + strings.ReplaceAll(tutti.Message(err), s.root, "ROOT")
		}
		return out + "\n"
	case "purge":
		n, err := s.scanner.Purge(s.t.Context())
		must(s.t, err)
		return fmt.Sprintf("purged %d\n", n)
	case "tracks":
		return s.each(func(e *scan.Entry) string {
			out := s.name(e.ID) + " " + s.name(e.AlbumID) + " " + e.Path
			if e.End != 0 {
				out += fmt.Sprintf(" %v-%v %d bytes", e.Start, e.End, e.Size)
			}
			out += fmt.Sprintf(": %d-%d %q", e.Disc, e.Track.Track, e.Title)
			if e.Missing {
				out += " missing"
			}
			return out
		})
	case "albums":
		seen := map[string]bool{}
		return s.each(func(e *scan.Entry) string {
			out := fmt.Sprintf("%s %q by %q", s.name(e.AlbumID), e.Album, e.DisplayAlbumArtist)
			if seen[out] {
				return ""
			}
			seen[out] = true
			return out
		})
	case "artists":
		return s.each(func(e *scan.Entry) string {
			out := fmt.Sprintf("%s %q:", s.name(e.ID), e.DisplayArtist)
			for _, a := range e.Artists {
				out += fmt.Sprintf(" %s=%q", s.name(a.ID), a.Name)
			}
			for _, c := range e.Contributors {
				out += fmt.Sprintf(" %s=%s:%q", s.name(c.Artist.ID), c.Role, c.Artist.Name)
			}
			for _, d := range e.ArtistDetails {
				out += fmt.Sprintf(" %s~%q", s.name(d.ID), d.SortName)
			}
			return out
		})
	case "covers":
		return s.each(func(e *scan.Entry) string {
			return fmt.Sprintf("%s %s: cover %v %q, lyrics %v", s.name(e.ID), e.Path, e.HasCover, e.CoverPath, e.HasLyrics)
		})
	case "added":
		return s.each(func(e *scan.Entry) string {
			how := "with its file's time"
			if e.Added.Equal(s.clock.Now()) {
				how = "now"
			} else if !e.Added.Equal(e.ModTime) {
				how = e.Added.String()
			}
			return s.name(e.ID) + " added " + how
		})
	case "lists":
		out := ""
		for _, p := range s.book.Playlists("1") {
			out += fmt.Sprintf("%s %q:", p.File, p.Name)
			for _, id := range p.Tracks {
				out += " " + s.name(id)
			}
			out += "\n"
		}
		return cmp.Or(out, "none\n")
	case "log":
		out := s.log.String()
		s.log.Reset()
		lines := ""
		for line := range strings.Lines(out) {
			_, msg, _ := strings.Cut(line, "msg=")
			lines += strings.Split(msg, `"`)[1] + "\n"
		}
		return cmp.Or(lines, "nothing logged\n")
	default:
		s.t.Fatalf("no such command: %q", words[0])
	}
	return ""
}

func (s *script) each(line func(*scan.Entry) string) string {
	out := ""
	for _, e := range s.book.Entries() {
		if l := line(&e); l != "" {
			out += l + "\n"
		}
	}
	return cmp.Or(out, "none\n")
}
