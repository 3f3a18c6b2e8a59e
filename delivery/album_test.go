package delivery

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tutti"
)

// albumOf is an edge that has one album of the library's tracks.
func albumOf(t *testing.T, lib *library, album tutti.Album, ids ...tutti.ID) *edge {
	t.Helper()
	return start(t, lib, func(c *ServerConfig, sc *StreamerConfig) {
		c.Mounts = append(c.Mounts, Mount{Path: "/album", Name: "album", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var tracks []tutti.Track
			for _, id := range ids {
				tracks = append(tracks, lib.tracks[id].track)
			}
			if err := NewStreamer(*sc).ServeAlbum(w, r, tutti.Viewer{}, &album, tracks); err != nil {
				WriteError(w, err)
			}
		})})
	})
}

func TestAlbumIsItsFiles(t *testing.T) {
	lib := newLibrary(t)
	files := map[string][]byte{
		"Who_ - A_B_ Live_/Disc 1/01 One.flac": bytes.Repeat([]byte("one"), 70_000),
		"Who_ - A_B_ Live_/Disc 2/01 One.flac": []byte("two"),
		"Who_ - A_B_ Live_/Disc 2/02 雨.flac":   {},
	}
	lib.add(t, "tr-1", "Who/Live/Disc 1/01 One.flac", files["Who_ - A_B_ Live_/Disc 1/01 One.flac"])
	lib.add(t, "tr-2", "Who/Live/Disc 2/01 One.flac", files["Who_ - A_B_ Live_/Disc 2/01 One.flac"]).inMemory = true
	lib.add(t, "tr-3", "Who/Live/Disc 2/02 雨.flac", nil)
	lib.add(t, "tr-4", "Who/Live/Disc 2/03 Gone.flac", []byte("gone")).track.Missing = true
	e := albumOf(t, lib, tutti.Album{Name: "A/B: Live?", DisplayArtist: "Who?"}, "tr-1", "tr-2", "tr-3", "tr-4")

	got := e.do(t, "GET", "/album")
	if got.StatusCode != http.StatusOK || got.err != nil {
		t.Fatalf("%s, %v", got.Status, got.err)
	}
	if want := `attachment; filename="Who_ - A_B_ Live_.zip"`; got.Header.Get("Content-Disposition") != want {
		t.Errorf("Content-Disposition %s, want %s", got.Header.Get("Content-Disposition"), want)
	}
	if got.ContentLength != int64(len(got.body)) {
		t.Errorf("%d bytes were declared, and %d came", got.ContentLength, len(got.body))
	}
	z, err := zip.NewReader(bytes.NewReader(got.body), int64(len(got.body)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r) // its checksum is compared at the end
		if want, ok := files[f.Name]; err != nil || !ok || !bytes.Equal(content, want) {
			t.Errorf("%q: %d bytes, want %d, %v", f.Name, len(content), len(want), err)
		}
		if f.Method != zip.Store || !f.Modified.Equal(modTime.Truncate(time.Second)) {
			t.Errorf("%q: method %d, modified %v", f.Name, f.Method, f.Modified)
		}
		delete(files, f.Name)
	}
	if len(files) != 0 {
		t.Errorf("not in the archive: %v", files)
	}
	head := e.do(t, "HEAD", "/album")
	if head.StatusCode != http.StatusOK || head.ContentLength != got.ContentLength || len(head.body) != 0 {
		t.Errorf("HEAD: %s, %d bytes declared", head.Status, head.ContentLength)
	}
	if part := e.do(t, "GET", "/album", "Range: bytes=5-"); part.StatusCode != http.StatusOK || !bytes.Equal(part.body, got.body) {
		t.Errorf("with a Range: %s", part.Status)
	}
}

func TestAlbumThatIsNotThere(t *testing.T) {
	lib := newLibrary(t)
	lib.add(t, "tr-1", "one.flac", []byte("one")).track.Missing = true
	lib.add(t, "tr-2", "two.flac", []byte("two")).openErr = tutti.Errorf(tutti.KindUnavailable, "test", "the disk is away")
	if got := albumOf(t, lib, tutti.Album{Name: "Gone"}, "tr-1").do(t, "GET", "/album"); got.StatusCode != http.StatusNotFound {
		t.Errorf("all missing: %s", got.Status)
	}
	if got := albumOf(t, lib, tutti.Album{Name: "Away"}, "tr-2").do(t, "GET", "/album"); got.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the first cannot be opened: %s", got.Status)
	}
}

// Once the archive has begun, a failure must not look like its end.
func TestAlbumThatBreaksIsCutOff(t *testing.T) {
	for name, spoil := range map[string]func(*testing.T, *library){
		"away":    func(_ *testing.T, l *library) { l.tracks["tr-2"].openErr = errors.New("the disk is away") },
		"shorter": func(_ *testing.T, l *library) { l.tracks["tr-2"].track.Size++ },
		"longer":  func(_ *testing.T, l *library) { l.tracks["tr-2"].track.Size-- },
		"cue, away": func(_ *testing.T, l *library) { // of unknown length
			l.tracks["tr-1"].track.End = time.Second
			l.tracks["tr-2"].openErr = errors.New("the disk is away")
		},
	} {
		t.Run(name, func(t *testing.T) {
			lib := newLibrary(t)
			lib.add(t, "tr-1", "one.flac", make([]byte, 100_000)) // so much that the answer has begun
			lib.add(t, "tr-2", "two.flac", []byte("two"))
			spoil(t, lib)
			got := albumOf(t, lib, tutti.Album{Name: "Broken"}, "tr-1", "tr-2").do(t, "GET", "/album")
			if got.StatusCode == http.StatusOK && got.err == nil {
				t.Errorf("%d bytes came as if they were all", len(got.body))
			}
		})
	}
}

func TestEntries(t *testing.T) {
	second := time.Second
	for _, c := range []struct {
		about  string
		tracks []tutti.Track
		want   []string
	}{
		{"one file", []tutti.Track{{Path: "a/b/1.flac"}}, []string{"X/1.flac"}},
		{"folders apart", []tutti.Track{{Path: "a/b/1.flac"}, {Path: "a/bc/2.flac"}}, []string{"X/b/1.flac", "X/bc/2.flac"}},
		{"a file beside a folder", []tutti.Track{{Path: "a/1.flac"}, {Path: "a/1/2.flac"}}, []string{"X/1.flac", "X/1/2.flac"}},
		{"cut from one", []tutti.Track{{Path: "a/all.flac", End: second}, {Path: "a/all.flac", Start: second}}, []string{"X/all.flac"}},
		{"two libraries", []tutti.Track{{Library: "1", Path: "a/1.flac"}, {Library: "2", Path: "a/1.FLAC"}}, []string{"X/1.flac", "X/1 (2).FLAC"}},
		{"names made alike", []tutti.Track{{Path: "a?.mp3"}, {Path: "a*.mp3"}, {Path: "a_.mp3"}}, []string{"X/a_.mp3", "X/a_ (2).mp3", "X/a_ (3).mp3"}},
		{"ways out", []tutti.Track{{Path: `a\..\..\b.mp3`}, {Path: "C:evil.mp3"}, {Path: "..../x.mp3"}}, []string{"X/a_.._.._b.mp3", "X/C_evil.mp3", "X/_/x.mp3"}},
	} {
		var got []string
		for _, e := range entriesOf("X", c.tracks) {
			got = append(got, e.name)
			if !fs.ValidPath(e.name) {
				t.Errorf("%s: %q is no path", c.about, e.name)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.about, got, c.want)
		}
	}
}

func FuzzFileSystemName(f *testing.F) {
	for _, s := range []string{"", "..", "a/b", "C:\\x", "CON. ", strings.Repeat("é", 300) + ".flac", "\xff\x00", "x\u202e3pm.exe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := fileSystemName(s)
		if !fs.ValidPath(got) || strings.ContainsAny(got, `/\<>:"|?*`) || got == "." || got != strings.TrimRight(got, ". ") || len(got) > maxFileName {
			t.Errorf("%q became %q", s, got)
		}
	})
}

// An archive that outgrows the short fields of ZIP declares no length: it would not be kept.
func TestLengthOfLargeAlbums(t *testing.T) {
	small := archive{entries: []entry{{name: "a", size: math.MaxUint32 - 1_000}}}
	if n, err := small.length(); err != nil || n < math.MaxUint32-1_000 {
		t.Errorf("%d, %v", n, err)
	}
	large := archive{entries: []entry{{name: "a", size: math.MaxUint32 - 1_000}, {name: "b", size: 1_000}}}
	if n, err := large.length(); err != nil || n != -1 {
		t.Errorf("%d, %v, want no length", n, err)
	}
	many := archive{}
	for i := range math.MaxUint16 {
		many.entries = append(many.entries, entry{name: strconv.Itoa(i)})
	}
	if n, err := many.length(); err != nil || n != -1 {
		t.Errorf("%d files: %d, %v, want no length", len(many.entries), n, err)
	}
}

// What others think of our archives: the program that comes with most systems unpacks one and checks every file.
func TestOtherProgramsReadAlbums(t *testing.T) {
	lib := newLibrary(t)
	lib.add(t, "tr-1", "a/1 – Été.flac", bytes.Repeat([]byte("x"), 100_000))
	lib.add(t, "tr-2", "a/2.flac", []byte("y"))
	got := albumOf(t, lib, tutti.Album{Name: "Été"}, "tr-1", "tr-2").do(t, "GET", "/album")
	if _, err := exec.LookPath("unzip"); err != nil {
		t.Skip("unzip is not installed")
	}
	name := filepath.Join(t.TempDir(), "album.zip")
	if err := os.WriteFile(name, got.body, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "unzip", "-t", name).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
