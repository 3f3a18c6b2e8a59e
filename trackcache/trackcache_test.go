package trackcache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"weak"

	"go.uber.org/goleak"

	"tutti"
	"tutti/audio/encode"
	"tutti/clock"
	"tutti/origin/folder"
)

func TestMain(m *testing.M) {
	if os.Getenv("TUTTI_TEST_FILL_FOREVER") != "" {
		fillForever()
		return
	}
	if dir := os.Getenv("TUTTI_TEST_CHUNKS_FOREVER"); dir != "" {
		chunksForever(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

var start = time.Unix(1_700_000_000, 0)

// files is a folder origin over a directory.
func files(t testing.TB, dir string) *folder.Origin {
	t.Helper()
	o, err := folder.New(folder.Config{Libraries: []folder.Library{{ID: "1", Name: "Music", Path: dir}}})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// noise is n bytes, the same for the same seed.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b)
	return b
}

func newCache(t testing.TB, c Config) *Cache {
	t.Helper()
	if c.Dir == "" {
		c.Dir = filepath.Join(t.TempDir(), "cache")
	}
	if c.Clock == nil {
		c.Clock = clock.NewFake(start)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	cache, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cache.Close(); err != nil {
			t.Error(err)
		}
	})
	return cache
}

// remote counts what is asked of an origin whose files are elsewhere, and can hold its answers back.
type remote struct {
	tutti.Source
	opens atomic.Int64
	gate  chan struct{} // if set, every 64 KiB waits for a value
}

func (r *remote) Open(ctx context.Context, ref tutti.Ref) (tutti.Object, error) {
	o, err := r.Source.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	r.opens.Add(1)
	return &slow{o, r.gate}, nil
}

type slow struct {
	tutti.Object
	gate chan struct{}
}

func (s *slow) CopyRange(ctx context.Context, w io.Writer, off, n int64) (int64, error) {
	if s.gate == nil || off > 0 {
		return s.Object.CopyRange(ctx, w, off, n)
	}
	var total int64
	for total < s.Size() {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return total, ctx.Err()
		}
		m, err := s.Object.CopyRange(ctx, w, total, 64<<10)
		total += m
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func all(t testing.TB, o tutti.Object) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := o.CopyRange(t.Context(), &b, 0, -1)
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("CopyRange says %d for %d bytes, %v", n, b.Len(), err)
	}
	return b.Bytes()
}

func fetch(t testing.TB, c *Cache, r tutti.Ref) []byte {
	t.Helper()
	o, err := c.Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	return all(t, o)
}

func ref(path string) tutti.Ref {
	return tutti.Ref{Library: "1", Path: path, Version: tutti.Version("v-" + path)}
}

// complete waits until the object of r lies on disk.
func complete(t *testing.T, c *Cache, r tutti.Ref) *blob {
	t.Helper()
	c.mu.Lock()
	b := c.blobs[nameOf(r.Key())]
	c.mu.Unlock()
	if b == nil {
		t.Fatalf("%s is not in the cache", r.Key())
	}
	if err := b.ready(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	c.running.Wait()
	return b
}

func TestReadsAnyRange(t *testing.T) {
	dir := t.TempDir()
	want := noise(1, 3*tutti.ChunkSize+12345)
	write(t, filepath.Join(dir, "a.flac"), want)
	write(t, filepath.Join(dir, "empty.flac"), nil)
	write(t, filepath.Join(dir, "even.flac"), want[:2*tutti.ChunkSize])
	for _, local := range []bool{true, false} {
		c := newCache(t, Config{Origin: files(t, dir), Local: local})
		for range 2 { // made, then kept
			o, err := c.Open(t.Context(), ref("a.flac"))
			if err != nil {
				t.Fatal(err)
			}
			if o.Size() != int64(len(want)) || o.ContentType() != "audio/flac" {
				t.Errorf("%d bytes of %s", o.Size(), o.ContentType())
			}
			for _, r := range [][2]int64{
				{0, -1},
				{0, 0},
				{0, 1},
				{5, 10},
				{tutti.ChunkSize - 1, 2},
				{tutti.ChunkSize, tutti.ChunkSize},
				{100, 3 * tutti.ChunkSize},
				{3*tutti.ChunkSize + 12344, 1},
				{3*tutti.ChunkSize + 12345, 1},
				{3*tutti.ChunkSize + 12340, 1000},
				{1, -1},
			} {
				from := min(r[0], int64(len(want)))
				to := int64(len(want))
				if r[1] >= 0 {
					to = min(to, from+r[1])
				}
				var b bytes.Buffer
				n, err := o.CopyRange(t.Context(), &b, r[0], r[1])
				if err != nil || n != to-from || !bytes.Equal(b.Bytes(), want[from:to]) {
					t.Errorf("local %v, range %v: %d bytes, %v", local, r, n, err)
				}
			}
			p := make([]byte, 1000)
			if n, err := o.ReadAt(p, tutti.ChunkSize-500); n != 1000 || err != nil || !bytes.Equal(p, want[tutti.ChunkSize-500:][:1000]) {
				t.Errorf("ReadAt: %d, %v", n, err)
			}
			if n, err := o.ReadAt(p, int64(len(want))-10); n != 10 || !errors.Is(err, io.EOF) {
				t.Errorf("ReadAt at the end: %d, %v", n, err)
			}
			if _, err := o.CopyRange(t.Context(), io.Discard, -1, 5); err == nil {
				t.Error("a negative offset is no error")
			}
			if _, err := o.CopyRange(t.Context(), io.Discard, 1<<40, -1); !tutti.IsKind(err, tutti.KindInvalid) {
				t.Errorf("an offset beyond the end: %v", err)
			}
			if err := o.Close(); err != nil {
				t.Error(err)
			}
		}
		if got := fetch(t, c, ref("empty.flac")); len(got) != 0 {
			t.Errorf("an empty file has %d bytes", len(got))
		}
		if got := fetch(t, c, ref("even.flac")); !bytes.Equal(got, want[:2*tutti.ChunkSize]) {
			t.Error("a file of whole chunks differs")
		}
	}
}

// TestLetsGoOfWhatMadeIt: an object that knows how far it is may hold all that makes it. It is not kept with what it made.
func TestLetsGoOfWhatMadeIt(t *testing.T) {
	made := make(chan weak.Pointer[gauged], 1)
	c := newCache(t, Config{Origin: sourceFunc(func(context.Context, tutti.Ref) (tutti.Object, error) {
		g := &gauged{Reader: bytes.NewReader(noise(1, 1000))}
		made <- weak.Make(g)
		return g, nil
	})})
	fetch(t, c, ref("a.flac"))
	complete(t, c, ref("a.flac"))
	g := <-made
	runtime.GC()
	if g.Value() != nil {
		t.Error("the cache keeps what an object was made from")
	}
}

type sourceFunc func(context.Context, tutti.Ref) (tutti.Object, error)

func (f sourceFunc) Open(ctx context.Context, r tutti.Ref) (tutti.Object, error) { return f(ctx, r) }

// gauged is an object that says how much of it has been made.
type gauged struct{ *bytes.Reader }

func (g *gauged) Progress() float64   { return 0.5 }
func (g *gauged) ModTime() time.Time  { return time.Time{} }
func (g *gauged) ContentType() string { return "audio/flac" }
func (g *gauged) Close() error        { return nil }
func (g *gauged) CopyRange(_ context.Context, w io.Writer, _, _ int64) (int64, error) {
	return g.WriteTo(w)
}

func TestWhatCannotBeHad(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.flac"), noise(1, 100))
	for _, local := range []bool{true, false} {
		c := newCache(t, Config{Origin: files(t, dir), Local: local})
		section := ref("a.flac")
		section.End = time.Second
		mp3 := ref("a.flac")
		mp3.Profile.Format = "mp3"
		huge := ref("a.flac")
		huge.Profile = tutti.Profile{Cover: true, Pixels: maxSide + 1}
		for _, test := range []struct {
			ref  tutti.Ref
			want tutti.Kind
		}{
			{ref("none.flac"), tutti.KindNotFound},
			{ref("../a.flac"), tutti.KindInvalid},
			{ref(""), tutti.KindInvalid},
			{section, tutti.KindInvalid},
			{huge, tutti.KindInvalid},
			{mp3, tutti.KindUnavailable},
		} {
			if _, err := c.Open(t.Context(), test.ref); !tutti.IsKind(err, test.want) {
				t.Errorf("Open(%+v) = %v, want %s", test.ref, err, test.want)
			}
		}
		if s := c.Stats(); s.StoredBytes != 0 || s.FillingBytes != 0 || s.Filling != 0 {
			t.Errorf("%+v", s)
		}
	}
}

// A hundred who ask at once have the object made once, and read it while it is made.
func TestManyAskOneMakes(t *testing.T) {
	dir := t.TempDir()
	want := noise(2, 2*tutti.ChunkSize+99)
	write(t, filepath.Join(dir, "a.flac"), want)
	origin := &remote{Source: files(t, dir), gate: make(chan struct{})}
	c := newCache(t, Config{Origin: origin})
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			o, err := c.Open(t.Context(), ref("a.flac"))
			if err != nil {
				t.Error(err)
				return
			}
			defer o.Close()
			off := int64(i) * 1000
			var b bytes.Buffer
			if _, err := o.CopyRange(t.Context(), &b, off, -1); err != nil || !bytes.Equal(b.Bytes(), want[off:]) {
				t.Errorf("from %d: %d bytes, %v", off, b.Len(), err)
			}
		})
	}
	for range (len(want) + 64<<10 - 1) >> 16 {
		origin.gate <- struct{}{}
	}
	wg.Wait()
	if n := origin.opens.Load(); n != 1 {
		t.Errorf("the origin was asked %d times", n)
	}
	if s := c.Stats(); s.Misses != 1 || s.Joined+s.HitsDisk != 99 || s.BytesDisk != 100*int64(len(want))-1000*99*50 {
		t.Errorf("%+v", s)
	}
}

// A reader far ahead of the fill does not wait for it.
func TestSeekAheadOfTheFill(t *testing.T) {
	dir := t.TempDir()
	want := noise(3, 8*tutti.ChunkSize)
	write(t, filepath.Join(dir, "a.flac"), want)
	origin := &remote{Source: files(t, dir), gate: make(chan struct{})}
	c := newCache(t, Config{Origin: origin})
	go func() { origin.gate <- struct{}{} }()
	o, err := c.Open(t.Context(), ref("a.flac"))
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	var b bytes.Buffer
	if _, err := o.CopyRange(t.Context(), &b, 7*tutti.ChunkSize, -1); err != nil || !bytes.Equal(b.Bytes(), want[7*tutti.ChunkSize:]) {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
	if n := origin.opens.Load(); n != 2 {
		t.Errorf("the origin was asked %d times", n)
	}
}

// One who leaves while others read ends nothing; when the last has left, the fill lingers and is then stopped.
func TestLeaving(t *testing.T) {
	dir := t.TempDir()
	want := noise(4, tutti.ChunkSize) // 16 steps
	write(t, filepath.Join(dir, "a.flac"), want)
	fake := clock.NewFake(start)
	origin := &remote{Source: files(t, dir), gate: make(chan struct{})}
	c := newCache(t, Config{Origin: origin, Clock: fake, Linger: 5 * time.Second})
	open := func() tutti.Object {
		t.Helper()
		o, err := c.Open(t.Context(), ref("a.flac"))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	go func() { origin.gate <- struct{}{} }()
	first := open()
	second := open()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	fake.Advance(time.Hour)
	origin.gate <- struct{}{} // it goes on
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	fake.Advance(4 * time.Second)
	third := open() // in time
	origin.gate <- struct{}{}
	if n := origin.opens.Load(); n != 1 {
		t.Fatalf("the origin was asked %d times", n)
	}
	if err := third.Close(); err != nil {
		t.Fatal(err)
	}
	if err := third.Close(); err != nil {
		t.Error("closing twice:", err)
	}
	fake.Advance(5 * time.Second)
	c.running.Wait() // the fill has ended though its origin would give more
	if s := c.Stats(); s.FillsStopped != 1 || s.FillsFailed != 0 || s.FillingBytes != 0 || s.StoredObjects != 0 {
		t.Errorf("%+v", s)
	}
	if left, err := os.ReadDir(filepath.Join(c.dir, "temp")); err != nil || len(left) != 0 {
		t.Errorf("%d folders are left, %v", len(left), err)
	}

	// Nearly done, it is finished though nobody waits.
	go func() { origin.gate <- struct{}{} }()
	fourth := open()
	for range 13 {
		origin.gate <- struct{}{}
	}
	p := make([]byte, 1)
	if _, err := fourth.ReadAt(p, 13*64<<10); err != nil {
		t.Fatal(err)
	}
	if err := fourth.Close(); err != nil {
		t.Fatal(err)
	}
	fake.Advance(time.Minute)
	for range 2 {
		origin.gate <- struct{}{}
	}
	c.running.Wait()
	if s := c.Stats(); s.StoredObjects != 1 || s.FillsStopped != 1 {
		t.Errorf("%+v", s)
	}
	if !bytes.Equal(fetch(t, c, ref("a.flac")), want) || origin.opens.Load() != 2 {
		t.Error("what was kept is not served")
	}
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.flac"), noise(5, tutti.ChunkSize))
	origin := &remote{Source: files(t, dir), gate: make(chan struct{})}
	c := newCache(t, Config{Origin: origin})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Open(ctx, ref("a.flac")); !tutti.IsKind(err, tutti.KindUnavailable) {
		t.Errorf("Open: %v", err)
	}
	go func() { origin.gate <- struct{}{} }()
	o, err := c.Open(t.Context(), ref("a.flac"))
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	ctx, cancel = context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := o.CopyRange(ctx, io.Discard, 64<<10, -1)
		done <- err
	}()
	cancel()
	if err := <-done; !tutti.IsKind(err, tutti.KindUnavailable) {
		t.Errorf("CopyRange: %v", err)
	}
}

func TestPrepare(t *testing.T) {
	dir := t.TempDir()
	want := noise(6, tutti.ChunkSize)
	write(t, filepath.Join(dir, "a.flac"), want)
	local := newCache(t, Config{Origin: files(t, dir), Local: true})
	if r, err := local.Prepare(t.Context(), ref("a.flac")); err != nil || !r.Ready || r.Size != int64(len(want)) || r.ContentType != "audio/flac" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := local.Prepare(t.Context(), ref("b.flac")); !tutti.IsKind(err, tutti.KindNotFound) {
		t.Error(err)
	}
	origin := &remote{Source: files(t, dir)}
	c := newCache(t, Config{Origin: origin})
	if _, err := c.Prepare(t.Context(), ref("a.flac")); err != nil {
		t.Fatal(err)
	}
	complete(t, c, ref("a.flac"))
	if r, err := c.Prepare(t.Context(), ref("a.flac")); err != nil || !r.Ready || r.Size != int64(len(want)) || r.ContentType != "audio/flac" {
		t.Errorf("%+v, %v", r, err)
	}
	if n := origin.opens.Load(); n != 1 {
		t.Errorf("the origin was asked %d times", n)
	}
}

func TestSurvivesARestart(t *testing.T) {
	dir, at := t.TempDir(), filepath.Join(t.TempDir(), "cache")
	want := noise(7, 2*tutti.ChunkSize+7)
	write(t, filepath.Join(dir, "a.flac"), want)
	origin := &remote{Source: files(t, dir)}
	for i := range 4 {
		c := newCache(t, Config{Origin: origin, Dir: at})
		if i > 1 { // with an index, and before there is one
			if err := c.index(t.Context()); err != nil {
				t.Fatal(err)
			}
			if s := c.Stats(); s.StoredObjects != 1 || s.StoredBytes != int64(len(want)) {
				t.Errorf("%+v", s)
			}
		}
		if !bytes.Equal(fetch(t, c, ref("a.flac")), want) {
			t.Error("other bytes")
		}
		if _, err := New(Config{Origin: origin, Dir: at, Clock: c.clock, Logger: c.log}); !tutti.IsKind(err, tutti.KindConflict) {
			t.Errorf("a second process in the same folder: %v", err)
		}
		c.running.Wait()
		if s := c.Stats(); s.StoredObjects != 1 || s.StoredBytes != int64(len(want)) || s.FillingBytes != 0 {
			t.Errorf("%+v", s)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Open(t.Context(), ref("a.flac")); !tutti.IsKind(err, tutti.KindUnavailable) {
			t.Errorf("after Close: %v", err)
		}
	}
	if n := origin.opens.Load(); n != 1 {
		t.Errorf("the origin was asked %d times", n)
	}
}

// Whatever happens to the files on disk, the next process serves the right bytes.
func TestDamageIsHealed(t *testing.T) {
	dir := t.TempDir()
	want := noise(8, 2*tutti.ChunkSize+7)
	write(t, filepath.Join(dir, "a.flac"), want)
	for name, harm := range map[string]func(obj string) error{
		"a bit": func(obj string) error {
			f, err := os.OpenFile(filepath.Join(obj, "1"), os.O_RDWR, 0)
			if err != nil {
				return err
			}
			b := []byte{want[tutti.ChunkSize+500] ^ 1}
			_, err = f.WriteAt(b, 500)
			return errors.Join(err, f.Close())
		},
		"a chunk cut":      func(obj string) error { return os.Truncate(filepath.Join(obj, "0"), 100) },
		"a chunk missing":  func(obj string) error { return os.Remove(filepath.Join(obj, "2")) },
		"manifest missing": func(obj string) error { return os.Remove(filepath.Join(obj, manifestName)) },
		"manifest empty":   func(obj string) error { return os.Truncate(filepath.Join(obj, manifestName), 0) },
		"manifest cut":     func(obj string) error { return os.Truncate(filepath.Join(obj, manifestName), 50) },
		"another's manifest": func(obj string) error {
			line, err := manifest{Format: 1, Key: "other", Sums: []uint32{}}.encode()
			return errors.Join(err, os.WriteFile(filepath.Join(obj, manifestName), line, 0o600))
		},
	} {
		for _, indexed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, indexed %v", name, indexed), func(t *testing.T) {
				at := filepath.Join(t.TempDir(), "cache")
				origin := &remote{Source: files(t, dir)}
				c := newCache(t, Config{Origin: origin, Dir: at})
				fetch(t, c, ref("a.flac"))
				b := complete(t, c, ref("a.flac"))
				if err := errors.Join(c.Close(), harm(b.dir)); err != nil {
					t.Fatal(err)
				}
				c = newCache(t, Config{Origin: origin, Dir: at})
				if indexed {
					if err := c.index(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				for range 2 {
					if !bytes.Equal(fetch(t, c, ref("a.flac")), want) {
						t.Error("other bytes")
					}
					complete(t, c, ref("a.flac"))
				}
				if n := origin.opens.Load(); n != 2 {
					t.Errorf("the origin was asked %d times", n)
				}
				if left, err := os.ReadDir(filepath.Join(at, "temp")); err != nil || len(left) != 0 {
					t.Errorf("%d folders are left, %v", len(left), err)
				}
				if s := c.Stats(); s.StoredObjects != 1 || s.StoredBytes != int64(len(want)) {
					t.Errorf("%+v", s)
				}
			})
		}
	}
}

// An object too large to be checked when it is opened is checked as it is read: the read fails rather than deliver
// other bytes, and the next one is healed.
func TestDamageInALargeObject(t *testing.T) {
	dir, at := t.TempDir(), filepath.Join(t.TempDir(), "cache")
	want := noise(9, eagerly+tutti.ChunkSize)
	write(t, filepath.Join(dir, "a.flac"), want)
	origin := files(t, dir)
	c := newCache(t, Config{Origin: origin, Dir: at})
	fetch(t, c, ref("a.flac"))
	b := complete(t, c, ref("a.flac"))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(want[3*tutti.ChunkSize : 4*tutti.ChunkSize])
	bad[77]++
	write(t, filepath.Join(b.dir, "3"), bad)
	c = newCache(t, Config{Origin: origin, Dir: at})
	o, err := c.Open(t.Context(), ref("a.flac"))
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	n, err := o.CopyRange(t.Context(), &got, 0, -1)
	if n != 3*tutti.ChunkSize || !tutti.IsKind(err, tutti.KindUnavailable) || !bytes.Equal(got.Bytes(), want[:n]) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if !bytes.Equal(fetch(t, c, ref("a.flac")), want) {
		t.Error("other bytes after healing")
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if s := c.Stats(); s.Damaged != 1 {
		t.Errorf("%+v", s)
	}
}

func TestEviction(t *testing.T) {
	dir := t.TempDir()
	for i := range 12 {
		write(t, filepath.Join(dir, fmt.Sprintf("%d.flac", i)), noise(uint64(i), tutti.ChunkSize))
	}
	fake := clock.NewFake(start)
	origin := &remote{Source: files(t, dir)}
	at := filepath.Join(t.TempDir(), "cache")
	c := newCache(t, Config{Origin: origin, Dir: at, MaxBytes: 4 * tutti.ChunkSize, Clock: fake})
	name := func(i int) tutti.Ref { return ref(fmt.Sprintf("%d.flac", i)) }
	has := func(i int) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		b := c.blobs[nameOf(name(i).Key())]
		return b != nil && b.place != nil
	}
	get := func(i int) {
		t.Helper()
		if !bytes.Equal(fetch(t, c, name(i)), noise(uint64(i), tutti.ChunkSize)) {
			t.Fatalf("%d has other bytes", i)
		}
		c.running.Wait()
		fake.Advance(again + time.Minute)
	}
	get(0)
	get(1)
	get(0) // asked for again: protected
	held, err := c.Open(t.Context(), name(2))
	if err != nil {
		t.Fatal(err)
	}
	for i := 3; i < 12; i++ {
		get(i)
		if s := c.Stats(); s.StoredBytes+s.FillingBytes > 4*tutti.ChunkSize {
			t.Fatalf("after %d: %+v", i, s)
		}
	}
	if !has(0) || !has(2) || has(1) || !has(11) || has(3) {
		t.Errorf("0 %v, 2 %v, 11 %v are to be there; 1 %v, 3 %v are not", has(0), has(2), has(11), has(1), has(3))
	}
	if !bytes.Equal(all(t, held), noise(2, tutti.ChunkSize)) {
		t.Error("an open object lost its bytes")
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if s := c.Stats(); s.Evicted == 0 || s.StoredObjects != 4 {
		t.Errorf("%+v", s)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	// A smaller limit after a restart holds once the index is there, and the longest unused goes first.
	c = newCache(t, Config{Origin: origin, Dir: at, MaxBytes: 2 * tutti.ChunkSize, Clock: fake})
	if err := c.index(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := c.Stats(); s.StoredObjects != 2 || !has(11) {
		t.Errorf("%+v", s)
	}
}

// failing is a file whose disk breaks after some bytes.
type failing struct {
	file
	left *atomic.Int64
	err  error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.left.Add(-int64(len(p))) < 0 {
		return 0, f.err
	}
	return f.file.Write(p)
}

func TestDiskFailures(t *testing.T) {
	dir := t.TempDir()
	want := noise(10, tutti.ChunkSize+1000)
	write(t, filepath.Join(dir, "a.flac"), want)
	write(t, filepath.Join(dir, "b.flac"), want)
	for _, fault := range []error{syscall.ENOSPC, syscall.EIO, syscall.EACCES} {
		for _, room := range []int64{0, 100_000, tutti.ChunkSize + 500, int64(len(want)) + 10} { // the last: the manifest fails
			c := newCache(t, Config{Origin: &remote{Source: files(t, dir)}})
			var left atomic.Int64
			left.Store(room)
			c.create = func(path string) (file, error) {
				f, err := createFile(path)
				return &failing{f, &left, fault}, err
			}
			o, err := c.Open(t.Context(), ref("a.flac"))
			if err == nil { // the first bytes came before the fault
				_, err = o.CopyRange(t.Context(), io.Discard, 0, -1)
				if cerr := o.Close(); cerr != nil {
					t.Error(cerr)
				}
			}
			c.running.Wait()
			if room < int64(len(want)) && (!tutti.IsKind(err, tutti.KindUnavailable) || !errors.Is(err, fault)) {
				t.Errorf("%v after %d bytes: %v", fault, room, err)
			}
			if s := c.Stats(); s.FillsFailed != 1 || s.StoredBytes != 0 || s.FillingBytes != 0 {
				t.Errorf("%v after %d bytes: %+v", fault, room, s)
			}
			left.Store(1 << 40) // the disk is well again
			if !bytes.Equal(fetch(t, c, ref("a.flac")), want) {
				t.Error("other bytes")
			}
			if left, err := os.ReadDir(filepath.Join(c.dir, "temp")); err != nil || len(left) != 0 {
				t.Errorf("%d folders are left, %v", len(left), err)
			}
		}
	}
	// A full disk makes room by letting go of what nobody needs.
	c := newCache(t, Config{Origin: &remote{Source: files(t, dir)}})
	fetch(t, c, ref("a.flac"))
	complete(t, c, ref("a.flac"))
	var once atomic.Bool
	c.create = func(path string) (file, error) {
		f, err := createFile(path)
		if once.CompareAndSwap(false, true) {
			return &fullOnce{file: f}, err
		}
		return f, err
	}
	if !bytes.Equal(fetch(t, c, ref("b.flac")), want) {
		t.Error("other bytes")
	}
	if s := c.Stats(); s.Evicted != 1 {
		t.Errorf("%+v", s)
	}
}

type fullOnce struct {
	file
	was bool
}

func (f *fullOnce) Write(p []byte) (int, error) {
	if !f.was {
		f.was = true
		n, err := f.file.Write(p[:len(p)/3])
		return n, errors.Join(err, &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC})
	}
	return f.file.Write(p)
}

// spy is a connection that notes what it is asked to read from.
type spy struct {
	bytes.Buffer
	files int
}

func (s *spy) ReadFrom(r io.Reader) (int64, error) {
	if l, ok := r.(*io.LimitedReader); ok {
		if _, ok := l.R.(*os.File); ok {
			s.files++
		}
	}
	return s.Buffer.ReadFrom(r)
}

// The network gets files, whichever tier the bytes lie in, so that it can use sendfile.
func TestSendfileSeam(t *testing.T) {
	dir := t.TempDir()
	want := noise(11, 2*tutti.ChunkSize+1)
	write(t, filepath.Join(dir, "a.flac"), want)
	for _, local := range []bool{true, false} {
		c := newCache(t, Config{Origin: files(t, dir), Local: local})
		fetch(t, c, ref("a.flac"))
		o, err := c.Open(t.Context(), ref("a.flac"))
		if err != nil {
			t.Fatal(err)
		}
		var w spy
		if n, err := o.CopyRange(t.Context(), &w, 10, -1); n != int64(len(want))-10 || err != nil || !bytes.Equal(w.Bytes(), want[10:]) {
			t.Errorf("%d, %v", n, err)
		}
		if w.files == 0 {
			t.Errorf("local %v: no file reached the connection", local)
		}
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestHashAfterFirstDelivery(t *testing.T) {
	dir := t.TempDir()
	data := map[string][]byte{"a.flac": noise(12, 300_000), "b.flac": noise(13, 10)}
	for name, d := range data {
		write(t, filepath.Join(dir, name), d)
	}
	type result struct {
		ref tutti.Ref
		sum [sha256.Size]byte
	}
	got := make(chan result)
	fake := clock.NewFake(start)
	c := newCache(t, Config{Origin: files(t, dir), Local: true, Clock: fake, HashRate: 100_000, OnHash: func(_ context.Context, r tutti.Ref, sum [sha256.Size]byte) error {
		got <- result{r, sum}
		return nil
	}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	o, err := c.Open(t.Context(), ref("b.flac")) // opened, not delivered: no hash
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	delivered := fetch(t, c, ref("a.flac"))
	fetch(t, c, ref("a.flac")) // once only
	var stop atomic.Bool
	go func() {
		for fake.WaitForTimers(1); !stop.Load(); fake.WaitForTimers(1) {
			fake.Advance(100 * time.Millisecond)
		}
	}()
	r := <-got
	if rested := fake.Now().Sub(start); rested < 2999*time.Millisecond { // 300,000 bytes at 100,000 a second
		t.Errorf("the hash took %s", rested)
	}
	stop.Store(true)
	fake.NewTimer(time.Hour) // lets the goroutine see it
	if r.ref != ref("a.flac") || r.sum != sha256.Sum256(delivered) || !bytes.Equal(delivered, data["a.flac"]) {
		t.Errorf("%+v", r)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	select {
	case r := <-got:
		t.Errorf("%+v came too", r)
	default:
	}
}

// sound makes 20 s of music with ffmpeg.
func sound(t testing.TB, path string) {
	t.Helper()
	if out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "anoisesrc=colour=pink:seed=3:duration=20:sample_rate=44100", "-sample_fmt", "s16", path).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
}

func transcoder(t testing.TB, o *folder.Origin, change ...func(*encode.Config)) *encode.Encoder {
	t.Helper()
	c := encode.Config{Files: o, Clock: clock.System, Logger: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&c)
	}
	e, err := encode.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestTranscodesAreMadeOnce(t *testing.T) {
	dir := t.TempDir()
	sound(t, filepath.Join(dir, "a.flac"))
	o := files(t, dir)
	enc := transcoder(t, o)
	c := newCache(t, Config{Origin: o, Local: true, Transcoder: enc})
	r := ref("a.flac")
	r.Profile = tutti.Profile{Format: "mp3", BitRate: 320}
	if _, err := c.Prepare(t.Context(), ref("none.flac")); !tutti.IsKind(err, tutti.KindNotFound) {
		t.Error(err)
	}
	if ready, err := c.Prepare(t.Context(), r); err != nil || ready.Ready && ready.ContentType != "audio/mpeg" {
		t.Errorf("%+v, %v", ready, err)
	}
	var mu sync.Mutex
	sums := map[[sha256.Size]byte]int{}
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			b := fetch(t, c, r)
			mu.Lock()
			sums[sha256.Sum256(b)]++
			mu.Unlock()
		})
	}
	wg.Wait()
	if s := enc.Stats(); len(sums) != 1 || s.Started != 1 {
		t.Errorf("%d different answers, %+v", len(sums), s)
	}
	obj, err := c.Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer obj.Close()
	if obj.Size() < 20*320_000/8 || obj.ContentType() != "audio/mpeg" {
		t.Errorf("%d bytes of %s", obj.Size(), obj.ContentType())
	}
	var part bytes.Buffer
	if n, err := obj.CopyRange(t.Context(), &part, 1000, 500); n != 500 || err != nil {
		t.Error(n, err)
	}
	bad := r
	bad.Profile.BitRate = 3
	if _, err := c.Open(t.Context(), bad); !tutti.IsKind(err, tutti.KindInvalid) {
		t.Error(err)
	}
	if _, err := c.Prepare(t.Context(), bad); !tutti.IsKind(err, tutti.KindInvalid) {
		t.Error(err)
	}
}

// TestSkipping goes through songs faster than they are made, with one place for making them and a clock that stands
// still: whoever has left holds up nobody.
func TestSkipping(t *testing.T) {
	dir := t.TempDir()
	sound(t, filepath.Join(dir, "a.flac"))
	script := filepath.Join(dir, "slowly") // as fast as it plays, so that none is done before the test is
	write(t, script, []byte("#!/bin/sh\nexec ffmpeg -re \"$@\"\n"))
	if err := os.Chmod(script, 0o700); err != nil {
		t.Fatal(err)
	}
	o := files(t, dir)
	enc := transcoder(t, o, func(c *encode.Config) { c.FFmpeg, c.Parallel, c.MaxWait = script, 1, time.Hour })
	c := newCache(t, Config{Origin: o, Local: true, Transcoder: enc, Clock: clock.NewFake(start)})
	song := func(i int) tutti.Ref {
		r := ref("a.flac")
		r.Profile, r.Start = tutti.Profile{Format: "wav"}, time.Duration(i)*time.Second
		return r
	}
	open := func(ctx context.Context, i int) (tutti.Object, error) { return c.Open(ctx, song(i)) }
	for i := range 4 {
		obj, err := open(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		if err := obj.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if s := c.Stats(); s.FillsStopped > 3 || s.FillsFailed != 0 {
		t.Errorf("%+v", s)
	}
	back, err := open(t.Context(), 3) // the last was given up by nobody
	if err != nil || enc.Stats().Started != 4 {
		t.Fatalf("%v, %+v", err, enc.Stats())
	}
	// Who leaves while they wait for a place leaves the line, and who is there when others wait goes at once.
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := open(ctx, 4)
		gone <- err
	}()
	until(t, "one waits", func() bool { return enc.Waiting() == 1 })
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	until(t, "nobody waits", func() bool { return enc.Waiting() == 0 })
	var next tutti.Object
	go func() {
		var err error
		next, err = open(t.Context(), 5)
		gone <- err
	}()
	until(t, "one waits", func() bool { return enc.Waiting() == 1 })
	if err := back.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-gone; err != nil {
		t.Fatal(err)
	}
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	// What was prepared is not given up for another.
	if _, err := c.Prepare(t.Context(), song(6)); err != nil {
		t.Fatal(err)
	}
	until(t, "the prepared one is made", func() bool { return enc.Stats().Started == 6 })
	ctx, cancel = context.WithCancel(t.Context())
	go func() {
		_, err := open(ctx, 7)
		gone <- err
	}()
	until(t, "one waits", func() bool { return enc.Waiting() == 1 })
	if ready, err := c.Prepare(t.Context(), song(6)); err != nil || enc.Stats().Active != 1 {
		t.Errorf("%+v, %v, %+v", ready, err, enc.Stats())
	}
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if s := enc.Stats(); s.Started != 6 || s.Failed != 0 || s.Refused != 0 {
		t.Errorf("%+v", s)
	}
}

// until waits for what other goroutines and processes do.
func until(t testing.TB, what string, met func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !met(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not come to pass that %s", what)
		}
	}
}

func TestFailedTranscodesLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.flac"), noise(14, 100_000))
	o := files(t, dir)
	r := ref("a.flac")
	r.Profile = tutti.Profile{Format: "opus"}
	c := newCache(t, Config{Origin: o, Local: true, Transcoder: transcoder(t, o)})
	for range 2 {
		if _, err := c.Open(t.Context(), r); !tutti.IsKind(err, tutti.KindUnavailable) {
			t.Error(err)
		}
	}
	c.running.Wait()
	if s := c.Stats(); s.FillsFailed != 2 || s.StoredObjects != 0 || s.FillingBytes != 0 {
		t.Errorf("%+v", s)
	}
	missing := newCache(t, Config{Origin: o, Local: true, Transcoder: transcoder(t, o, func(c *encode.Config) { c.FFmpeg = "no-such-ffmpeg" })})
	_, oerr := missing.Open(t.Context(), r)
	_, perr := missing.Prepare(t.Context(), r)
	for _, err := range []error{oerr, perr} {
		if !tutti.IsKind(err, tutti.KindUnavailable) || !bytes.Contains([]byte(tutti.Message(err)), []byte("originals still play")) {
			t.Errorf("%v", err)
		}
	}
	if !bytes.Equal(fetch(t, missing, ref("a.flac")), noise(14, 100_000)) {
		t.Error("the original does not play without ffmpeg")
	}
}

// fillForever is the child of TestKilledAnyTime: it fills a cache until it is killed, and says so when it has begun.
func fillForever() {
	o, err := folder.New(folder.Config{Libraries: []folder.Library{{ID: "1", Name: "Music", Path: os.Getenv("TUTTI_TEST_FILL_FOREVER")}}})
	if err != nil {
		panic(err)
	}
	c, err := New(Config{Origin: o, Dir: os.Getenv("TUTTI_TEST_CACHE"), MaxBytes: 6 * tutti.ChunkSize, Clock: clock.System, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	if err := c.index(context.Background()); err != nil {
		panic(err)
	}
	fmt.Println("begun")
	for i := 0; ; i = (i + 1) % 5 {
		obj, err := c.Open(context.Background(), ref(fmt.Sprintf("%d.flac", i)))
		if err != nil {
			panic(err)
		}
		if _, err := obj.CopyRange(context.Background(), io.Discard, 0, -1); err != nil {
			panic(err)
		}
		if err := obj.Close(); err != nil {
			panic(err)
		}
	}
}

// A process that is killed at any moment leaves a cache that needs no repair and holds no wrong byte.
func TestKilledAnyTime(t *testing.T) {
	dir, at := t.TempDir(), filepath.Join(t.TempDir(), "cache")
	for i := range 5 {
		write(t, filepath.Join(dir, fmt.Sprintf("%d.flac", i)), noise(uint64(i), 2*tutti.ChunkSize+i))
	}
	rounds := 200
	if testing.Short() {
		rounds = 10
	}
	r := rand.New(rand.NewPCG(1, 2))
	for round := range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "TUTTI_TEST_FILL_FOREVER="+dir, "TUTTI_TEST_CACHE="+at)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, len("begun"))); err != nil {
			t.Fatal(round, err)
		}
		// The moment is real time on purpose: what is tested is that no moment matters.
		time.Sleep(time.Duration(r.IntN(20_000)) * time.Microsecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		if round%10 != 9 {
			continue
		}
		c := newCache(t, Config{Origin: files(t, dir), Dir: at, MaxBytes: 6 * tutti.ChunkSize})
		if err := c.index(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			if !bytes.Equal(fetch(t, c, ref(fmt.Sprintf("%d.flac", i))), noise(uint64(i), 2*tutti.ChunkSize+i)) {
				t.Fatalf("round %d: other bytes in %d", round, i)
			}
		}
		c.running.Wait()
		if s := c.Stats(); s.Damaged != 0 || s.StoredBytes > 6*tutti.ChunkSize {
			t.Errorf("round %d: %+v", round, s)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzManifest(f *testing.F) {
	good, err := manifest{Format: 1, Key: "k#mp3-192", Size: tutti.ChunkSize + 1, ContentType: "audio/mpeg", ModTime: start.UTC(), Sums: []uint32{1, 2}}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("{}\n00000000\n"))
	f.Add([]byte("{\"format\":1,\"size\":-1}\n0db2cf8b\n"))
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseManifest(b)
		if err != nil {
			return
		}
		again, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parseManifest(again); err != nil || back.Key != m.Key || back.Size != m.Size || len(back.Sums) != len(m.Sums) || !back.ModTime.Equal(m.ModTime) {
			t.Errorf("%+v came back as %+v, %v", m, back, err)
		}
		if int64(len(m.Sums)) != chunks(m.Size) {
			t.Errorf("%+v", m)
		}
	})
}

// BenchmarkHit measures what an open of a cached object and 64 KiB of it cost, over a real connection.
func BenchmarkHit(b *testing.B) {
	dir := b.TempDir()
	write(b, filepath.Join(dir, "a.flac"), noise(15, 5*tutti.ChunkSize))
	for _, local := range []bool{true, false} {
		b.Run(fmt.Sprintf("local=%v", local), func(b *testing.B) {
			c := newCache(b, Config{Origin: files(b, dir), Local: local})
			fetch(b, c, ref("a.flac"))
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			go func() {
				conn, err := l.Accept()
				if err == nil {
					_, _ = io.Copy(io.Discard, conn)
					_ = conn.Close()
				}
			}()
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			b.ReportAllocs()
			for b.Loop() {
				o, err := c.Open(b.Context(), ref("a.flac"))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := o.CopyRange(b.Context(), conn, 0, 64<<10); err != nil {
					b.Fatal(err)
				}
				if err := o.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
