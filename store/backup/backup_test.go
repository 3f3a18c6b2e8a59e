package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"tutti"
	"tutti/clock"
	"tutti/store"
	"tutti/store/sqlite"
)

var now = time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)

func folder(dir string) Folder {
	return Folder{Dir: dir, Database: "tutti.db", Files: []string{"tutti.key", "tutti.yml"}}
}

var options = Options{Clock: clock.NewFake(now), Version: "1.2.3"}

func openStore(t testing.TB, dir string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "tutti.db"), sqlite.Options{Clock: options.Clock})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t testing.TB, s *sqlite.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func put(t testing.TB, s store.Store, value string) {
	t.Helper()
	if _, err := s.Put(t.Context(), store.Key{PK: "p", SK: "s"}, []byte(value), time.Time{}, store.Always); err != nil {
		t.Fatal(err)
	}
}

func stored(t testing.TB, dir string) string {
	t.Helper()
	s := openStore(t, dir)
	defer closeStore(t, s)
	it, err := s.Get(t.Context(), store.Key{PK: "p", SK: "s"})
	if err != nil {
		t.Fatal(err)
	}
	return string(it.Value)
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// snapshot is everything in a folder but lock files, by name.
func snapshot(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		switch {
		case e.IsDir():
			files[e.Name()+"/"] = ""
		case !strings.HasSuffix(e.Name(), ".lock"):
			files[e.Name()] = readFile(t, filepath.Join(dir, e.Name()))
		}
	}
	return files
}

// made returns a folder with a database and a key in it, and a backup of it taken while it was open.
func made(t testing.TB) (dir string, archive []byte) {
	t.Helper()
	dir = t.TempDir()
	s := openStore(t, dir)
	put(t, s, "backed up")
	writeFile(t, filepath.Join(dir, "tutti.key"), "the key")
	var b bytes.Buffer
	if _, err := Write(t.Context(), &b, folder(dir), options); err != nil {
		t.Fatal(err)
	}
	put(t, s, "later")
	closeStore(t, s)
	return dir, b.Bytes()
}

func TestThereAndBack(t *testing.T) {
	dir, archive := made(t)
	for name := range snapshot(t, dir) {
		if strings.HasPrefix(name, ".") {
			t.Errorf("%s was left behind", name)
		}
	}
	// To a new folder.
	fresh := filepath.Join(t.TempDir(), "new", "data")
	var last, total int64
	o := options
	o.Progress = func(d, n int64) { last, total = d, n }
	m, kept, err := Restore(t.Context(), bytes.NewReader(archive), folder(fresh), o)
	if err != nil || len(kept) != 0 || m.Version != "1.2.3" || !m.Created.Equal(now) || len(m.Files) != 2 {
		t.Fatal(m, kept, err)
	}
	if last != total || total == 0 {
		t.Errorf("progress ended at %d of %d", last, total)
	}
	if stored(t, fresh) != "backed up" || readFile(t, filepath.Join(fresh, "tutti.key")) != "the key" {
		t.Fatal("restored something else")
	}
	for _, name := range []string{"", "tutti.db", "tutti.key"} {
		info, err := os.Stat(filepath.Join(fresh, name))
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%q: %v, %v", name, info.Mode(), err)
		}
	}
	// Over what is there. The key is the same, so it stays as it is.
	_, kept, err = Restore(t.Context(), bytes.NewReader(archive), folder(dir), options)
	if err != nil || !slices.Equal(kept, []string{filepath.Join(dir, "tutti.db.before-restore")}) {
		t.Fatal(kept, err)
	}
	if stored(t, dir) != "backed up" {
		t.Fatal("not restored")
	}
	// Over another key and a configuration that the backup does not have.
	writeFile(t, filepath.Join(dir, "tutti.key"), "another key")
	writeFile(t, filepath.Join(dir, "tutti.yml"), "listen: here")
	_, kept, err = Restore(t.Context(), bytes.NewReader(archive), folder(dir), options)
	if err != nil || !slices.Equal(kept, []string{filepath.Join(dir, "tutti.key.before-restore"), filepath.Join(dir, "tutti.db.before-restore-2")}) {
		t.Fatal(kept, err)
	}
	for name, want := range map[string]string{"tutti.key": "the key", "tutti.key.before-restore": "another key", "tutti.yml": "listen: here"} {
		if got := readFile(t, filepath.Join(dir, name)); got != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
	// The way back.
	for _, k := range kept {
		name, _, _ := strings.Cut(k, ".before-restore")
		if err := os.Rename(k, name); err != nil {
			t.Fatal(err)
		}
	}
	if stored(t, dir) != "backed up" || readFile(t, filepath.Join(dir, "tutti.key")) != "another key" {
		t.Fatal("not undone")
	}
}

// TestOtherToolsReadIt unpacks a backup with tar and looks into it with nothing of tutti's.
func TestOtherToolsReadIt(t *testing.T) {
	_, archive := made(t)
	z, err := zstd.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	dir := t.TempDir()
	cmd := exec.Command("tar", "-x", "-C", dir)
	cmd.Stdin = z
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var m Manifest
	if err := json.Unmarshal([]byte(readFile(t, filepath.Join(dir, "manifest.json"))), &m); err != nil {
		t.Fatal(err)
	}
	for _, f := range m.Files {
		b := readFile(t, filepath.Join(dir, f.Name))
		sum := sha256.Sum256([]byte(b))
		if int64(len(b)) != f.Size || hex.EncodeToString(sum[:]) != f.SHA256 {
			t.Errorf("%s is not what the manifest says", f.Name)
		}
	}
}

func TestRestoreWhileInUse(t *testing.T) {
	dir, archive := made(t)
	s := openStore(t, dir)
	defer closeStore(t, s)
	_, _, err := Restore(t.Context(), bytes.NewReader(archive), folder(dir), options)
	if !tutti.IsKind(err, tutti.KindConflict) {
		t.Fatal(err)
	}
}

func TestWriteFails(t *testing.T) {
	if _, err := Write(t.Context(), io.Discard, folder(t.TempDir()), options); !tutti.IsKind(err, tutti.KindNotFound) {
		t.Errorf("a folder without a database: %v", err)
	}
	dir, _ := made(t)
	before := snapshot(t, dir)
	full := errors.New("full")
	if _, err := Write(t.Context(), brokenWriter{full}, folder(dir), options); !errors.Is(err, full) {
		t.Errorf("a writer that fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	o := options
	o.Progress = func(int64, int64) { cancel() }
	if _, err := Write(ctx, io.Discard, folder(dir), o); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
	writeFile(t, filepath.Join(dir, "tutti.yml"), strings.Repeat("x", maxSmall+1))
	if _, err := Write(t.Context(), io.Discard, folder(dir), options); err == nil {
		t.Error("a small file that is large")
	}
	if err := os.Remove(filepath.Join(dir, "tutti.yml")); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, snapshot(t, dir)); d != "" {
		t.Errorf("backups that failed changed the folder: %s", d)
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

// entry is a file in an archive that a test makes.
type entry struct {
	tar.Header
	body string
}

func file(name, body string) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(body)), Mode: 0o600}, body}
}

func archiveOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	for _, e := range entries {
		if err := w.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// manifestOf lists entries truthfully.
func manifestOf(t testing.TB, change func(*Manifest), entries ...entry) entry {
	t.Helper()
	m := Manifest{Format: format, Created: now}
	for _, e := range entries {
		sum := sha256.Sum256([]byte(e.body))
		m.Files = append(m.Files, File{e.Name, int64(len(e.body)), hex.EncodeToString(sum[:])})
	}
	if change != nil {
		change(&m)
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return file(manifestName, string(b))
}

func badArchives(t testing.TB, good []byte) map[string][]byte {
	t.Helper()
	_, archive := made(t)
	z, err := zstd.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	r := tar.NewReader(z)
	var database string
	for {
		h, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Name == "tutti.db" {
			database = string(b)
			break
		}
	}
	db, key := file("tutti.db", database), file("tutti.key", "key")
	all := func(change func(*Manifest), entries ...entry) []byte {
		return archiveOf(t, append([]entry{manifestOf(t, change, entries...)}, entries...)...)
	}
	link := entry{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: "tutti.key", Linkname: "/etc/passwd"}}
	bad := map[string][]byte{
		"nothing":            nil,
		"text":               []byte("text"),
		"no files":           archiveOf(t),
		"no manifest":        archiveOf(t, db),
		"manifest only":      archiveOf(t, manifestOf(t, nil, db)),
		"empty list":         all(nil),
		"no database":        all(nil, key),
		"database last":      all(nil, key, db),
		"twice":              all(nil, db, key, key),
		"upwards":            all(nil, db, file("../tutti.key", "key")),
		"absolute":           all(nil, db, file("/tutti.key", "key")),
		"in a folder":        all(nil, db, file("folder/tutti.key", "key")),
		"another file":       all(nil, db, file("tutti.db-wal", "log")),
		"dot":                all(nil, db, file(".", "")),
		"no name":            all(func(m *Manifest) { m.Files = append(m.Files, File{}) }, db),
		"a link":             archiveOf(t, manifestOf(t, nil, db, key), db, link),
		"not in the list":    archiveOf(t, manifestOf(t, nil, db), db, key),
		"another order":      archiveOf(t, manifestOf(t, nil, db, key, file("tutti.yml", "")), db, file("tutti.yml", ""), key),
		"newer":              all(func(m *Manifest) { m.Format = 2 }, db),
		"wrong size":         all(func(m *Manifest) { m.Files[1].Size++ }, db, key),
		"negative size":      all(func(m *Manifest) { m.Files[0].Size = -1 }, db),
		"wrong hash":         all(func(m *Manifest) { m.Files[1].SHA256 = m.Files[0].SHA256 }, db, key),
		"large small file":   all(nil, db, file("tutti.key", strings.Repeat("k", maxSmall+1))),
		"long manifest":      archiveOf(t, file(manifestName, "{"+strings.Repeat(" ", maxManifest)+"}"), db),
		"manifest is text":   archiveOf(t, file(manifestName, "text"), db),
		"not a database":     all(nil, file("tutti.db", "text")),
		"a damaged database": all(nil, file("tutti.db", database[:len(database)/2])),
		"an empty database":  all(nil, file("tutti.db", "")),
	}
	for _, n := range []int{1, 10, len(good) / 2, len(good) - 20} {
		bad[fmt.Sprint("cut at ", n)] = good[:n]
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 0x10
	bad["a flipped bit"] = flipped
	if _, _, err := Restore(t.Context(), bytes.NewReader(all(nil, db, key)), folder(t.TempDir()), options); err != nil {
		t.Fatalf("even a good archive is refused: %v", err)
	}
	return bad
}

func TestBadArchives(t *testing.T) {
	dir, good := made(t)
	before := snapshot(t, dir)
	for what, archive := range badArchives(t, good) {
		_, kept, err := Restore(t.Context(), bytes.NewReader(archive), folder(dir), options)
		if !tutti.IsKind(err, tutti.KindInvalid) || tutti.Message(err) == "" || len(kept) != 0 {
			t.Errorf("%s: %v, %v", what, err, kept)
		}
		if d := cmp.Diff(before, snapshot(t, dir)); d != "" {
			t.Fatalf("%s changed the folder: %s", what, d)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Restore(ctx, bytes.NewReader(good), folder(dir), options); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
}

// FuzzUnpack feeds the reader anything, and sees that it writes nothing but the files it may write.
func FuzzUnpack(f *testing.F) {
	_, good := made(f)
	f.Add(good)
	for _, b := range badArchives(f, good) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		parent := t.TempDir()
		dir := filepath.Join(parent, "in")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := unpack(t.Context(), bytes.NewReader(b), folder(dir), dir, &progress{})
		if err != nil && tutti.KindOf(err) != tutti.KindInvalid {
			t.Fatal(err)
		}
		for name := range snapshot(t, dir) {
			if !slices.Contains([]string{"tutti.db", "tutti.key", "tutti.yml"}, name) {
				t.Fatalf("unpacked %q", name)
			}
		}
		if len(snapshot(t, parent)) != 1 {
			t.Fatalf("unpacked outside: %v", snapshot(t, parent))
		}
	})
}
