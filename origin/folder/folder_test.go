package folder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"tutti"
	"tutti/origin"
	"tutti/origin/origintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, root, p string, data []byte) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(filepath.Join(root, p)), 0o755))
	must(t, os.WriteFile(filepath.Join(root, p), data, 0o644))
}

func open(t testing.TB, c Config) *Origin {
	t.Helper()
	o, err := New(c)
	must(t, err)
	return o
}

func single(t testing.TB, root string) *Origin {
	return open(t, Config{Libraries: []Library{{ID: "1", Name: "Music", Path: root}}})
}

func TestContract(t *testing.T) {
	for _, follow := range []bool{false, true} {
		t.Run(fmt.Sprint("FollowLinks=", follow), func(t *testing.T) {
			origintest.Run(t, func(t *testing.T) origintest.Fixture {
				root := filepath.Join(t.TempDir(), "music")
				must(t, os.Mkdir(root, 0o755))
				return origintest.Fixture{
					Origin:  open(t, Config{Libraries: []Library{{ID: "1", Name: "Music", Path: root}}, FollowLinks: follow}),
					Library: "1",
					Write:   func(t *testing.T, p string, data []byte) { write(t, root, p, data) },
					Remove:  func(t *testing.T, p string) { must(t, os.RemoveAll(filepath.Join(root, p))) },
					Rename: func(t *testing.T, from, to string) {
						must(t, os.Rename(filepath.Join(root, from), filepath.Join(root, to)))
					},
					Away: func(t *testing.T) { must(t, os.Rename(root, root+" away")) },
				}
			})
		})
	}
}

// tree lists everything, depth first.
func tree(t *testing.T, o *Origin, dir string) []string {
	t.Helper()
	infos, err := o.List(t.Context(), "1", dir)
	must(t, err)
	var out []string
	for _, fi := range infos {
		if fi.Dir {
			out = append(out, tree(t, o, fi.Path)...)
		} else {
			out = append(out, fi.Path)
		}
	}
	return out
}

func TestRules(t *testing.T) {
	root := t.TempDir()
	for _, p := range []string{
		"a/1.flac", "a/.hidden.flac", ".git/x.flac", "@eaDir/x.flac", "#recycle/x.flac", "$RECYCLE.BIN/x.flac", "Lost+Found/x.flac", "#1 Hits/1.flac",
		"closed/1.flac", "closed/.nomedia", "closed/deeper/1.flac", "closed too/1.flac", "closed too/.tuttiignore",
		"a/notes.txt", "b/live/1.mp3", "b/studio/1.mp3", "b/studio/live/2.mp3",
	} {
		write(t, root, p, nil)
	}
	for _, c := range []struct {
		include, exclude []string
		want             string
	}{
		{nil, nil, "#1 Hits/1.flac a/1.flac a/notes.txt b/live/1.mp3 b/studio/1.mp3 b/studio/live/2.mp3"},
		{[]string{"*.flac"}, nil, "#1 Hits/1.flac a/1.flac"},
		{[]string{"*.flac", "*.mp3"}, []string{"live"}, "#1 Hits/1.flac a/1.flac b/studio/1.mp3"},
		{nil, []string{"b/live", "*.txt"}, "#1 Hits/1.flac a/1.flac b/studio/1.mp3 b/studio/live/2.mp3"},
		{nil, []string{"**/live/**", "/a"}, "#1 Hits/1.flac b/studio/1.mp3"},
		{[]string{"b/**/*.mp3"}, nil, "b/live/1.mp3 b/studio/1.mp3 b/studio/live/2.mp3"},
		{nil, []string{"[#a]*/"}, "b/live/1.mp3 b/studio/1.mp3 b/studio/live/2.mp3"},
	} {
		o := open(t, Config{Libraries: []Library{{ID: "1", Path: root, Include: c.include, Exclude: c.exclude}}})
		listed := tree(t, o, ".")
		if got := strings.Join(listed, " "); got != c.want {
			t.Errorf("include %q, exclude %q\n got %s\nwant %s", c.include, c.exclude, got, c.want)
		}
		for _, p := range []string{"a/1.flac", ".git/x.flac", "a/.hidden.flac", "b/live/1.mp3", "@eaDir/x.flac"} {
			_, err := o.OpenFile(t.Context(), "1", p)
			if slices.Contains(listed, p) != (err == nil) {
				t.Errorf("include %q, exclude %q: %s is listed: %v, but opening says %v", c.include, c.exclude, p, slices.Contains(listed, p), err)
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for name, libs := range map[string][]Library{
		"no id":         {{Path: "x"}},
		"no path":       {{ID: "1"}},
		"the same id":   {{ID: "1", Path: "x"}, {ID: "1", Path: "y"}},
		"a bad pattern": {{ID: "1", Path: "x", Exclude: []string{"[a"}}},
		"no pattern":    {{ID: "1", Path: "x", Include: []string{""}}},
		"only slashes":  {{ID: "1", Path: "x", Include: []string{"//"}}},
	} {
		if _, err := New(Config{Libraries: libs}); !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNamesThatAreNotText(t *testing.T) {
	root := t.TempDir()
	raw := "R\xf3s/\xc1g\xe6tis.mp3"
	write(t, root, raw, []byte("music"))
	o := single(t, root)
	got := tree(t, o, ".")
	want := origin.EscapeName("R\xf3s") + "/" + origin.EscapeName("\xc1g\xe6tis.mp3")
	if len(got) != 1 || got[0] != want {
		t.Fatalf("listed %q, want %q", got, want)
	}
	obj, err := o.Open(t.Context(), tutti.Ref{Library: "1", Path: want})
	must(t, err)
	defer obj.Close()
	var b bytes.Buffer
	if _, err := obj.CopyRange(t.Context(), &b, 0, -1); err != nil || b.String() != "music" {
		t.Errorf("read %q, %v", b.String(), err)
	}
	if p, ok := o.LocalPath("1", want); !ok || p != filepath.Join(root, raw) {
		t.Errorf("LocalPath = %q, %v", p, ok)
	}
	if _, err := o.Stat(t.Context(), "1", raw); !tutti.IsKind(err, tutti.KindNotFound) {
		t.Errorf("the raw bytes are a second path: %v", err)
	}
}

func TestLinks(t *testing.T) {
	top := t.TempDir()
	root := filepath.Join(top, "music")
	write(t, root, "a/1.mp3", []byte("in"))
	write(t, top, "secret.mp3", []byte("out"))
	write(t, top, "else/2.mp3", []byte("out"))
	for name, target := range map[string]string{
		"inside.mp3": "a/1.mp3", "outside.mp3": "../secret.mp3", "absolute.mp3": filepath.Join(top, "secret.mp3"),
		"outdir": "../else", "circle": ".", "a/up": "..", "a/self": "self", "dangling.mp3": "nothing", "b": "a",
	} {
		must(t, os.Symlink(target, filepath.Join(root, name)))
	}
	must(t, syscall.Mkfifo(filepath.Join(root, "pipe.mp3"), 0o644))

	// b is another name of a and so lists its file; b/up leads to the root, which encloses it.
	if got, want := strings.Join(tree(t, single(t, root), "."), " "), "a/1.mp3 b/1.mp3 inside.mp3"; got != want {
		t.Errorf("contained: %s, want %s", got, want)
	}
	follow := open(t, Config{Libraries: []Library{{ID: "1", Path: root}}, FollowLinks: true})
	if got, want := strings.Join(tree(t, follow, "."), " "), "a/1.mp3 absolute.mp3 b/1.mp3 inside.mp3 outdir/2.mp3 outside.mp3"; got != want {
		t.Errorf("following: %s, want %s", got, want)
	}
	for _, p := range []string{"outside.mp3", "absolute.mp3", "outdir/2.mp3", "outdir", "a/self", "dangling.mp3", "pipe.mp3", "circle/pipe.mp3"} {
		o := single(t, root)
		if _, err := o.OpenFile(t.Context(), "1", p); !tutti.IsKind(err, tutti.KindNotFound) {
			t.Errorf("OpenFile(%q) = %v", p, err)
		}
		if _, err := o.Open(t.Context(), tutti.Ref{Library: "1", Path: p}); !tutti.IsKind(err, tutti.KindNotFound) {
			t.Errorf("Open(%q) = %v", p, err)
		}
		if _, ok := o.LocalPath("1", p); ok {
			t.Errorf("LocalPath(%q) says ok", p)
		}
	}
}

// TestEmptiedOrReplacedFile opens a file that then changes.
func TestEmptiedOrReplacedFile(t *testing.T) {
	root := t.TempDir()
	write(t, root, "1.mp3", make([]byte, 1000))
	o := single(t, root)
	obj, err := o.Open(t.Context(), tutti.Ref{Library: "1", Path: "1.mp3"})
	must(t, err)
	defer obj.Close()
	must(t, os.Truncate(filepath.Join(root, "1.mp3"), 10))
	if n, err := obj.CopyRange(t.Context(), io.Discard, 0, -1); n != 10 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file cut short: %d bytes, %v", n, err)
	}
	must(t, os.Remove(filepath.Join(root, "1.mp3")))
	write(t, root, "1.mp3", []byte("another"))
	if _, err := obj.(*object).reopen("test"); err == nil {
		t.Error("another file was taken for the opened one")
	}
}

// readerFrom notes what it is handed.
type readerFrom struct {
	bytes.Buffer
	file, limited bool
}

func (r *readerFrom) ReadFrom(src io.Reader) (int64, error) {
	lr, ok := src.(*io.LimitedReader)
	r.limited = ok
	if ok {
		_, r.file = lr.R.(*os.File)
	}
	return io.Copy(&r.Buffer, src)
}

func TestCopyRangeHandsOverTheFile(t *testing.T) {
	root := t.TempDir()
	write(t, root, "1.mp3", []byte("0123456789"))
	obj, err := single(t, root).Open(t.Context(), tutti.Ref{Library: "1", Path: "1.mp3"})
	must(t, err)
	defer obj.Close()
	var rf readerFrom
	if n, err := obj.CopyRange(t.Context(), &rf, 2, 5); n != 5 || err != nil || rf.String() != "23456" || !rf.limited || !rf.file {
		t.Errorf("%d, %v, %q; behind a LimitedReader: %v, an *os.File: %v", n, err, rf.String(), rf.limited, rf.file)
	}
}

// TestServesLargeFile crosses copyStep on a real connection.
func TestServesLargeFile(t *testing.T) {
	root := t.TempDir()
	want := bytes.Repeat([]byte("0123456789abcdef"), (copyStep+12345)/16)
	write(t, root, "1.wav", want)
	o := single(t, root)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		obj, err := o.Open(r.Context(), tutti.Ref{Library: "1", Path: "1.wav"})
		if err != nil {
			t.Error(err)
			return
		}
		defer obj.Close()
		w.Header().Set("Content-Length", fmt.Sprint(obj.Size()))
		if _, err := obj.CopyRange(r.Context(), w, 0, -1); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	}))
	defer srv.Close()
	defer http.DefaultClient.CloseIdleConnections()
	resp, err := http.Get(srv.URL)
	must(t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v; want %d", len(got), err, len(want))
	}
}

func TestWatchRootGoesAway(t *testing.T) {
	root := filepath.Join(t.TempDir(), "music")
	write(t, root, "a/1.mp3", nil)
	o := single(t, root)
	reports, ended := make(chan string, 100), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { ended <- o.Watch(ctx, "1", func(dir string) { reports <- dir }) }()
	for i := 0; len(reports) == 0; i++ {
		write(t, root, "a/1.mp3", []byte{byte(i)})
	}
	must(t, os.RemoveAll(root))
	if err := <-ended; !tutti.IsKind(err, tutti.KindUnavailable) {
		t.Errorf("the watch ended with %v", err)
	}
}

func TestWatchMarkers(t *testing.T) {
	root := t.TempDir()
	write(t, root, "a/b/1.mp3", nil)
	write(t, root, "c/1.mp3", nil)
	o := single(t, root)
	reports, ended := make(chan string, 1000), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- o.Watch(ctx, "1", func(dir string) { reports <- dir }) }()
	for i := 0; len(reports) == 0; i++ {
		write(t, root, "c/1.mp3", []byte{byte(i)})
	}
	wait := func(want string) {
		t.Helper()
		for got := range reports {
			if got == want {
				return
			}
		}
	}
	write(t, root, "a/.nomedia", nil)
	wait("a")
	must(t, os.Remove(filepath.Join(root, "a/.nomedia")))
	wait("a/b")
	write(t, root, "a/b/2.mp3", nil)
	wait("a/b")
	cancel()
	<-ended
}

func FuzzPath(f *testing.F) {
	root := f.TempDir()
	write(f, root, "music/a/1.mp3", []byte("in"))
	write(f, root, "secret.mp3", []byte("out"))
	must(f, os.Symlink("../secret.mp3", filepath.Join(root, "music/link.mp3")))
	must(f, os.Symlink("..", filepath.Join(root, "music/up")))
	o := single(f, filepath.Join(root, "music"))
	for _, p := range []string{"a/1.mp3", "../secret.mp3", "link.mp3", "up/secret.mp3", "a/../../secret.mp3", "a\\..\\..\\secret.mp3", "\uefae\uefae/secret.mp3", "\x00", ".", "a"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		file, err := o.OpenFile(t.Context(), "1", p)
		if err != nil {
			if k := tutti.KindOf(err); k != tutti.KindNotFound {
				t.Fatalf("%q: %v", p, err)
			}
			return
		}
		defer file.Close()
		if b, err := io.ReadAll(file); err != nil || string(b) != "in" {
			t.Fatalf("%q leads to %q, %v", p, b, err)
		}
	})
}

// BenchmarkList lists directories of 12 files, as albums are: the bar of a rescan is 50,000 files a second.
func BenchmarkList(b *testing.B) {
	root := b.TempDir()
	const dirs, files = 200, 12
	for d := range dirs {
		for f := range files {
			write(b, root, fmt.Sprintf("artist %d/album %d/%02d - a track's name.flac", d%20, d, f), nil)
		}
	}
	o := single(b, root)
	b.ResetTimer()
	for i := range b.N {
		d := i % dirs
		if _, err := o.List(b.Context(), "1", fmt.Sprintf("artist %d/album %d", d%20, d)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*files)/b.Elapsed().Seconds(), "files/s")
}
