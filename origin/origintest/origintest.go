// Package origintest holds the suite that every tutti.Origin passes. An origin's tests call Run.
package origintest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tutti"
)

// Fixture is an origin with one empty library that the suite may fill.
type Fixture struct {
	Origin  tutti.Origin
	Library string
	Write   func(t *testing.T, path string, data []byte) // makes directories as needed
	Remove  func(t *testing.T, path string)              // a file, or a directory with all in it
	Rename  func(t *testing.T, from, to string)
	Away    func(t *testing.T) // makes the library itself unreachable until the end of the test
}

// Run runs the suite; open makes a fresh fixture for each of its tests.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, f Fixture)
	}{
		{"Libraries", testLibraries},
		{"List", testList},
		{"Stat", testStat},
		{"Paths", testPaths},
		{"Open", testOpen},
		{"CopyRange", testCopyRange},
		{"ConcurrentCopies", testConcurrentCopies},
		{"OpenFile", testOpenFile},
		{"Away", testAway},
		{"Watch", testWatch},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

func wantKind(t *testing.T, what string, err error, kind tutti.Kind) {
	t.Helper()
	if !tutti.IsKind(err, kind) {
		t.Errorf("%s: got %v, want an error of kind %q", what, err, kind)
	}
}

func testLibraries(t *testing.T, f Fixture) {
	libs := f.Origin.Libraries()
	i := slices.IndexFunc(libs, func(l tutti.Library) bool { return l.ID == f.Library })
	if i < 0 || libs[i].Name == "" {
		t.Fatalf("Libraries() = %+v, want one with the id %q and a name", libs, f.Library)
	}
	libs[i].Name = "changed by the caller"
	if f.Origin.Libraries()[i].Name == libs[i].Name {
		t.Error("the caller can change the origin's own list")
	}
}

func testList(t *testing.T, f Fixture) {
	ctx := t.Context()
	infos, err := f.Origin.List(ctx, f.Library, ".")
	if err != nil || len(infos) != 0 {
		t.Fatalf("an empty library lists as %v, %v", infos, err)
	}
	for i, p := range []string{"b.flac", "a/1.mp3", "a/B/2.mp3", "Ü.ogg", "a b/x.mp3", "a.mp3"} {
		f.Write(t, p, make([]byte, i+1))
	}
	list := func(dir string) string {
		t.Helper()
		infos, err := f.Origin.List(ctx, f.Library, dir)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, fi := range infos {
			fmt.Fprintf(&b, "%s %d %v; ", fi.Path, fi.Size, fi.Dir)
			if st, err := f.Origin.Stat(ctx, f.Library, fi.Path); err != nil || st != fi {
				t.Errorf("Stat says %+v, %v and List %+v", st, err, fi)
			}
		}
		return b.String()
	}
	for dir, want := range map[string]string{
		".":   "a 0 true; a b 0 true; a.mp3 6 false; b.flac 1 false; Ü.ogg 4 false; ",
		"a":   "a/1.mp3 2 false; a/B 0 true; ",
		"a/B": "a/B/2.mp3 3 false; ",
	} {
		if got := list(dir); got != want {
			t.Errorf("List(%q)\n got %s\nwant %s", dir, got, want)
		}
	}
	for _, dir := range []string{"nowhere", "a/nowhere", "b.flac"} {
		_, err := f.Origin.List(ctx, f.Library, dir)
		wantKind(t, "List of "+dir, err, tutti.KindNotFound)
	}
	f.Remove(t, "a/B")
	if got := list("a"); got != "a/1.mp3 2 false; " {
		t.Errorf("after the removal of a directory: %s", got)
	}
}

func testStat(t *testing.T, f Fixture) {
	f.Write(t, "a/1.mp3", []byte("12345"))
	root, err := f.Origin.Stat(t.Context(), f.Library, ".")
	if err != nil || !root.Dir || root.Path != "." {
		t.Errorf("the root is %+v, %v", root, err)
	}
	one, err := f.Origin.Stat(t.Context(), f.Library, "a/1.mp3")
	if err != nil || one.Size != 5 || one.Dir || one.ModTime.IsZero() || one.ModTime.Location() != time.UTC {
		t.Errorf("a file of 5 bytes is %+v, %v", one, err)
	}
	f.Rename(t, "a/1.mp3", "a/2.mp3")
	_, err = f.Origin.Stat(t.Context(), f.Library, "a/1.mp3")
	wantKind(t, "the old name", err, tutti.KindNotFound)
	two, err := f.Origin.Stat(t.Context(), f.Library, "a/2.mp3")
	if err != nil || two.Inode != one.Inode || two.Size != one.Size {
		t.Errorf("renamed, %+v became %+v, %v", one, two, err)
	}
}

// testPaths asks for what is outside, or is no path, in every way.
func testPaths(t *testing.T, f Fixture) {
	ctx := t.Context()
	f.Write(t, "a/1.mp3", []byte("x"))
	for _, p := range []string{"", "/", "..", "../x", "a/../a/1.mp3", "a//1.mp3", "/a/1.mp3", "./a/1.mp3", "a/1.mp3/", "a/.", "a\x00/1.mp3", "a/1.mp3\x00", "\xff", "a/1.mp3/x", strings.Repeat("x", 300), strings.Repeat("x/", 3000) + "x"} {
		_, err := f.Origin.Stat(ctx, f.Library, p)
		wantKind(t, fmt.Sprintf("Stat(%.40q)", p), err, tutti.KindNotFound)
		_, err = f.Origin.List(ctx, f.Library, p)
		wantKind(t, fmt.Sprintf("List(%.40q)", p), err, tutti.KindNotFound)
		_, err = f.Origin.OpenFile(ctx, f.Library, p)
		wantKind(t, fmt.Sprintf("OpenFile(%.40q)", p), err, tutti.KindNotFound)
		_, err = f.Origin.Open(ctx, tutti.Ref{Library: f.Library, Path: p})
		wantKind(t, fmt.Sprintf("Open(%.40q)", p), err, tutti.KindNotFound)
	}
	_, err := f.Origin.Stat(ctx, "no such library", "a/1.mp3")
	wantKind(t, "an unknown library", err, tutti.KindNotFound)
	wantKind(t, "watching an unknown library", f.Origin.Watch(ctx, "no such library", func(string) {}), tutti.KindNotFound)
}

// content is bytes that differ everywhere within 64 KiB.
func content(n int) []byte {
	b := make([]byte, n)
	x := uint32(2463534242)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}

func openRef(t *testing.T, f Fixture, path string) tutti.Object {
	t.Helper()
	o, err := f.Origin.Open(t.Context(), tutti.Ref{Library: f.Library, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

func testOpen(t *testing.T, f Fixture) {
	want := content(1000)
	f.Write(t, "a/1.flac", want)
	o := openRef(t, f, "a/1.flac")
	st, err := f.Origin.Stat(t.Context(), f.Library, "a/1.flac")
	if err != nil || o.Size() != 1000 || !o.ModTime().Equal(st.ModTime) || o.ContentType() != "audio/flac" {
		t.Errorf("opened: %d bytes of %s from %v; Stat: %+v, %v", o.Size(), o.ContentType(), o.ModTime(), st, err)
	}
	b := make([]byte, 10)
	if n, err := o.ReadAt(b, 990); n != 10 || (err != nil && !errors.Is(err, io.EOF)) || !bytes.Equal(b, want[990:]) {
		t.Errorf("ReadAt the end: %d, %v", n, err)
	}
	if n, err := o.ReadAt(b, 995); n != 5 || !errors.Is(err, io.EOF) {
		t.Errorf("ReadAt across the end: %d, %v", n, err)
	}
	_, err = f.Origin.Open(t.Context(), tutti.Ref{Library: f.Library, Path: "a"})
	wantKind(t, "opening a directory", err, tutti.KindNotFound)
	_, err = f.Origin.Open(t.Context(), tutti.Ref{Library: f.Library, Path: "a/1.flac", Profile: tutti.Profile{Format: "mp3"}})
	wantKind(t, "asking for a transcode", err, tutti.KindInvalid)
	_, err = f.Origin.Open(t.Context(), tutti.Ref{Library: f.Library, Path: "a/1.flac", End: time.Second})
	wantKind(t, "asking for a section", err, tutti.KindInvalid)
}

func testCopyRange(t *testing.T, f Fixture) {
	want := content(100_000)
	f.Write(t, "x.bin.mp3", want)
	o := openRef(t, f, "x.bin.mp3")
	for _, c := range []struct{ off, n, from, to int64 }{
		{0, -1, 0, 100_000},
		{0, 0, 0, 0},
		{1, 1, 1, 2},
		{99_999, -1, 99_999, 100_000},
		{100_000, -1, 100_000, 100_000},
		{50_000, 70_000, 50_000, 100_000},
		{3, 65_536, 3, 65_539},
	} {
		var b bytes.Buffer
		n, err := o.CopyRange(t.Context(), &b, c.off, c.n)
		if err != nil || n != c.to-c.from || !bytes.Equal(b.Bytes(), want[c.from:c.to]) {
			t.Errorf("CopyRange(%d, %d) = %d, %v; the bytes are right: %v", c.off, c.n, n, err, bytes.Equal(b.Bytes(), want[c.from:c.to]))
		}
	}
	for _, off := range []int64{-1, 100_001} {
		_, err := o.CopyRange(t.Context(), io.Discard, off, 1)
		wantKind(t, fmt.Sprint("offset ", off), err, tutti.KindInvalid)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := o.CopyRange(ctx, io.Discard, 0, -1); err == nil || n != 0 {
		t.Errorf("with an ended context: %d bytes, %v", n, err)
	}
	full := errors.New("the listener left")
	if n, err := o.CopyRange(t.Context(), &leaver{room: 10, err: full}, 0, -1); !errors.Is(err, full) || n != 10 {
		t.Errorf("with a writer that fails after 10 bytes: %d, %v", n, err)
	}
}

type leaver struct {
	room int
	err  error
}

func (l *leaver) Write(p []byte) (int, error) {
	if len(p) <= l.room {
		l.room -= len(p)
		return len(p), nil
	}
	n := l.room
	l.room = 0
	return n, l.err
}

func testConcurrentCopies(t *testing.T, f Fixture) {
	want := content(300_000)
	f.Write(t, "x.mp3", want)
	o := openRef(t, f, "x.mp3")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			off := int64(i * 1000)
			var b bytes.Buffer
			slow := &small{w: &b}
			if _, err := o.CopyRange(t.Context(), slow, off, -1); err != nil || !bytes.Equal(b.Bytes(), want[off:]) {
				t.Errorf("copy %d among others: %v; the bytes are right: %v", i, err, bytes.Equal(b.Bytes(), want[off:]))
			}
		})
	}
	wg.Wait()
}

// small takes a little at a time, so that copies overlap.
type small struct{ w io.Writer }

func (s *small) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		k, err := s.w.Write(p[:min(len(p), 777)])
		n += k
		if err != nil {
			return n, err
		}
		p = p[k:]
	}
	return n, nil
}

func testOpenFile(t *testing.T, f Fixture) {
	want := content(5000)
	f.Write(t, "a/1.ogg", want)
	file, err := f.Origin.OpenFile(t.Context(), f.Library, "a/1.ogg")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || info.Size() != 5000 {
		t.Errorf("Stat: %v, %v", info, err)
	}
	ra, ok := file.(io.ReaderAt)
	if !ok {
		t.Fatal("the file has no random access")
	}
	b := make([]byte, 100)
	if _, err := ra.ReadAt(b, 4000); err != nil || !bytes.Equal(b, want[4000:4100]) {
		t.Errorf("ReadAt: %v", err)
	}
}

func testAway(t *testing.T, f Fixture) {
	f.Write(t, "a/1.mp3", []byte("x"))
	f.Away(t)
	ctx := t.Context()
	for _, p := range []string{".", "a", "a/1.mp3", "b"} {
		_, err := f.Origin.Stat(ctx, f.Library, p)
		wantKind(t, "Stat of "+p, err, tutti.KindUnavailable)
		_, err = f.Origin.List(ctx, f.Library, p)
		wantKind(t, "List of "+p, err, tutti.KindUnavailable)
	}
	_, err := f.Origin.OpenFile(ctx, f.Library, "a/1.mp3")
	wantKind(t, "OpenFile", err, tutti.KindUnavailable)
	_, err = f.Origin.Open(ctx, tutti.Ref{Library: f.Library, Path: "a/1.mp3"})
	wantKind(t, "Open", err, tutti.KindUnavailable)
	wantKind(t, "Watch", f.Origin.Watch(ctx, f.Library, func(string) {}), tutti.KindUnavailable)
}

// testWatch changes things and waits for the report of each. An origin that cannot watch says so and is excused.
func testWatch(t *testing.T, f Fixture) {
	f.Write(t, "a/1.mp3", []byte("x"))
	f.Write(t, "b/1.mp3", []byte("x"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reports := make(chan string, 1000)
	ended := make(chan error, 1)
	go func() { ended <- f.Origin.Watch(ctx, f.Library, func(dir string) { reports <- dir }) }()

	// Watching begins some time after the call: keep changing a file until that is noticed.
	for begun, i := false, 0; !begun; i++ {
		f.Write(t, "a/1.mp3", []byte(fmt.Sprint(i)))
		again, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		select {
		case <-reports:
			begun = true
		case err := <-ended:
			if tutti.IsKind(err, tutti.KindUnavailable) {
				t.Skipf("this origin cannot watch: %v", err)
			}
			t.Fatal(err)
		case <-again.Done():
		}
		cancel()
	}
	wait := func(what, dir string) {
		t.Helper()
		patience, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		for {
			select {
			case got := <-reports:
				if got == dir || got == "." && dir == "" {
					return
				}
			case err := <-ended:
				t.Fatalf("%s: the watch ended: %v", what, err)
			case <-patience.Done():
				t.Fatalf("%s: %q was not reported", what, dir)
			}
		}
	}
	f.Write(t, "b/2.mp3", []byte("x"))
	wait("a new file", "b")
	f.Write(t, "new/deep/er/1.mp3", []byte("x"))
	wait("a new directory", ".")
	wait("a directory inside a new one", "new/deep/er")
	f.Write(t, "new/deep/er/2.mp3", []byte("x"))
	wait("a file in a new directory", "new/deep/er")
	f.Rename(t, "new/deep", "moved")
	wait("where a directory was", "new")
	wait("where it is now", "moved/er")
	f.Write(t, "moved/er/3.mp3", []byte("x"))
	wait("a file in a moved directory", "moved/er")
	f.Remove(t, "b/2.mp3")
	wait("a removal", "b")
	f.Remove(t, "moved")
	wait("the removal of a directory", ".")
	cancel()
	wantKind(t, "after the context's end", <-ended, tutti.KindUnavailable)
}
