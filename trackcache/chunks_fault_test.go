package trackcache

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tutti"
	"tutti/clock"
	"tutti/store"
	"tutti/trackcache/policy"
)

// brokenFile fails after so many bytes.
type brokenFile struct {
	file
	left int
	err  error
}

func (f *brokenFile) Write(p []byte) (int, error) {
	if len(p) <= f.left {
		f.left -= len(p)
		return f.file.Write(p)
	}
	n, err := f.file.Write(p[:f.left])
	f.left = 0
	return n, errors.Join(f.err, err)
}

func TestDiskThatTakesNothing(t *testing.T) {
	for name, why := range map[string]error{"full": syscall.ENOSPC, "broken": syscall.EIO, "read-only": syscall.EROFS} {
		t.Run(name, func(t *testing.T) {
			o := newObjects()
			k := clock.NewFake(start)
			c := newChunks(t, ChunksConfig{Origin: o, Clock: k, MemoryBytes: 3 << 20})
			var bad atomic.Bool
			bad.Store(true)
			c.disk.create = func(path string) (file, error) {
				f, err := createFile(path)
				if err == nil && bad.Load() {
					return &brokenFile{f, 5000, why}, nil
				}
				return f, err
			}
			data := noise(1, 2*tutti.ChunkSize)
			r := o.put("a.flac", data)
			for range 3 {
				if got := read(t, c, r); !bytes.Equal(got, data) {
					t.Fatal("other bytes came")
				}
				settle(c)
			}
			if n := o.opened.Load(); n != 2 {
				t.Errorf("the origin was asked %d times; the memory has it", n)
			}
			if stored, n, failing := c.disk.usage(); stored != 0 || n != 0 || !failing {
				t.Errorf("%d chunks of %d bytes are said to be on the disk; failing: %v", n, stored, failing)
			}
			if left, err := os.ReadDir(filepath.Join(c.disk.dir, "temp")); err != nil || len(left) != 0 {
				t.Errorf("%d pieces are left, %v", len(left), err)
			}
			bad.Store(false)
			k.Advance(shutFor)
			r = o.put("b.flac", data)
			read(t, c, r)
			settle(c)
			if _, n, failing := c.disk.usage(); n != 2 || failing {
				t.Errorf("the disk is well again and has %d chunks; failing: %v", n, failing)
			}
		})
	}
}

func TestFullDiskMakesRoom(t *testing.T) {
	o := newObjects()
	c := newChunks(t, ChunksConfig{Origin: o})
	old := o.put("old.flac", noise(1, 100_000))
	read(t, c, old)
	settle(c)
	c.disk.create = func(path string) (file, error) { // full until something goes
		f, err := createFile(path)
		if err == nil && c.disk.has(tutti.ChunkID{Object: old.ID()}) {
			return &brokenFile{f, 0, syscall.ENOSPC}, nil
		}
		return f, err
	}
	r := o.put("new.flac", noise(2, 100_000))
	read(t, c, r)
	settle(c)
	if !c.disk.has(tutti.ChunkID{Object: r.ID()}) || c.disk.has(tutti.ChunkID{Object: old.ID()}) {
		t.Error("the old chunk did not make room for the new one")
	}
}

func TestChunksStayWithinTheirBytes(t *testing.T) {
	o := newObjects()
	const limit = 10 * (100_000 + chunkHeader)
	c := newChunks(t, ChunksConfig{Origin: o, MaxBytes: limit})
	for i := range 50 {
		read(t, c, o.put(fmt.Sprint(i), noise(uint64(i), 100_000)))
		settle(c)
		var sum int64
		err := filepath.WalkDir(filepath.Join(c.disk.dir, "chunks"), func(_ string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				fi, ferr := d.Info()
				err = ferr
				sum += fi.Size()
			}
			return err
		})
		stored, _, _ := c.disk.usage()
		if err != nil || sum != stored || sum > limit {
			t.Fatalf("%d bytes lie on the disk, %d are accounted for, %d allowed, %v", sum, stored, limit, err)
		}
	}
	if c.disk.evicted.Load() != 40 {
		t.Errorf("%d chunks made room", c.disk.evicted.Load())
	}
}

func TestDamagedChunksAreFilledAgain(t *testing.T) {
	data := noise(1, 2*tutti.ChunkSize+9)
	for name, damage := range map[string]func(t *testing.T, path string){
		"a bit of a byte":     func(t *testing.T, path string) { flip(t, path, chunkHeader+50_000) },
		"a bit of the header": func(t *testing.T, path string) { flip(t, path, 41) },
		"cut": func(t *testing.T, path string) {
			if err := os.Truncate(path, chunkHeader+7); err != nil {
				t.Fatal(err)
			}
		},
		"cut in the header": func(t *testing.T, path string) {
			if err := os.Truncate(path, 7); err != nil {
				t.Fatal(err)
			}
		},
		"empty": func(t *testing.T, path string) {
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
		},
		"gone": func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
		"of another place": func(t *testing.T, path string) {
			b, err := os.ReadFile(path[:len(path)-1] + "1")
			if err != nil {
				t.Fatal(err)
			}
			write(t, path, b)
		},
		"a folder": func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		for _, restart := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, restart %v", name, restart), func(t *testing.T) {
				if name == "a folder" && !restart {
					t.Skip("nobody makes a folder there while we run")
				}
				o := newObjects()
				r := o.put("a.flac", data)
				k := clock.NewFake(start)
				dir := t.TempDir()
				c := newChunks(t, ChunksConfig{Origin: o, Dir: dir, Clock: k})
				read(t, c, r)
				settle(c)
				path := c.disk.place(tutti.ChunkID{Object: r.ID()})
				damage(t, path)
				if restart {
					if err := c.Close(); err != nil {
						t.Fatal(err)
					}
					c = newChunks(t, ChunksConfig{Origin: o, Dir: dir, Clock: k})
					if err := c.disk.index(t.Context()); err != nil {
						t.Fatal(err)
					}
				} else {
					k.Advance(recheck + 1)
				}
				if got := read(t, c, r); !bytes.Equal(got, data) {
					t.Error("other bytes came")
				}
				settle(c)
				if n := o.count(r.Path, 0); n != 2 {
					t.Errorf("the origin was read %d times for the damaged chunk", n)
				}
				if n := o.count(r.Path, tutti.ChunkSize); n != 1 {
					t.Errorf("the origin was read %d times for a good chunk", n)
				}
				if got := read(t, c, r); !bytes.Equal(got, data) {
					t.Error("other bytes came after it was mended")
				}
			})
		}
	}
}

func flip(t *testing.T, path string, at int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 4
	write(t, path, b)
}

// A chunk, or a transcode, that goes bad while it is asked for all the time reaches few: it is found after a number of
// opens, and after a time.
func TestWhatIsAskedForAllTheTimeIsCheckedAgain(t *testing.T) {
	data := noise(1, 300_000)
	gate := make(chan struct{})
	close(gate)
	o := newObjects()
	for what, ref := range map[string]tutti.Ref{"an original": o.put("a.flac", data), "a transcode": converted} {
		for name, pace := range map[string]time.Duration{"often": 0, "every minute": time.Minute} {
			t.Run(what+" "+name, func(t *testing.T) {
				k := clock.NewFake(start)
				dir := t.TempDir()
				c := newCache(t, Config{
					Origin: newChunks(t, ChunksConfig{Origin: o, Clock: k, Dir: filepath.Join(dir, "chunks")}), Local: true, Clock: k,
					Dir: filepath.Join(dir, "cache"), Transcoder: &maker{data: data, gate: gate, opens: new(atomic.Int64)},
				})
				fetch(t, c, ref)
				settle(c.origin.(*Chunks))
				var path string
				if ref.Profile.Original() {
					path = c.origin.(*Chunks).disk.place(tutti.ChunkID{Object: ref.ID()})
				} else {
					complete(t, c, ref)
					path = filepath.Join(c.place(nameOf(ref.Key())), chunkName(0))
				}
				flip(t, path, 5000)
				wrong := 0
				for range 2 * recheckOpens {
					if !bytes.Equal(fetch(t, c, ref), data) {
						wrong++
					}
					k.Advance(pace)
				}
				most := recheckOpens
				if pace > 0 {
					most = int(recheck / pace)
				}
				if wrong > most {
					t.Errorf("%d got wrong bytes; %d may", wrong, most)
				}
			})
		}
	}
}

// What others leave in the folders, as file servers do, is no reason not to start.
func TestStrayFilesAreRemoved(t *testing.T) {
	dir, o := t.TempDir(), newObjects()
	chunks := newChunks(t, ChunksConfig{Origin: o, Dir: filepath.Join(dir, "chunks")})
	r := o.put("a.flac", noise(1, 1000))
	read(t, chunks, r)
	settle(chunks)
	c := newCache(t, Config{Origin: files(t, t.TempDir()), Dir: filepath.Join(dir, "cache")})
	for _, folder := range []string{filepath.Join(dir, "chunks", "chunks"), filepath.Join(dir, "cache", "objects")} {
		stray := filepath.Join(folder, ".nfs0001")
		write(t, stray, []byte("x"))
		if err := errors.Join(chunks.disk.index(t.Context()), c.index(t.Context())); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(stray); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there, %v", stray, err)
		}
	}
	if !chunks.disk.has(tutti.ChunkID{Object: r.ID()}) {
		t.Error("the chunk is there no more")
	}
}

// A chunk that is cut short while it is being sent is got again in the same request.
func TestChunkThatFailsWhileItIsSent(t *testing.T) {
	o := newObjects()
	data := noise(1, tutti.ChunkSize)
	r := o.put("a.flac", data)
	c := newChunks(t, ChunksConfig{Origin: o})
	read(t, c, r)
	settle(c)
	obj, err := c.OpenAt(t.Context(), r, 0) // checked, and open
	if err != nil {
		t.Fatal(err)
	}
	defer obj.Close()
	if err := os.Truncate(c.disk.place(tutti.ChunkID{Object: r.ID()}), chunkHeader+300_000); err != nil {
		t.Fatal(err)
	}
	if got := all(t, obj); !bytes.Equal(got, data) {
		t.Error("other bytes came")
	}
	if n := o.opened.Load(); n != 2 {
		t.Errorf("the origin was asked %d times", n)
	}
}

func TestOriginThatBreaksOff(t *testing.T) {
	o := newObjects()
	data := noise(1, tutti.ChunkSize+500_000)
	r := o.put("a.flac", data)
	var cuts atomic.Int64
	o.cut = func(int64) int64 {
		if cuts.Add(1)%3 != 0 {
			return 200_000
		}
		return -1
	}
	c := newChunks(t, ChunksConfig{Origin: o})
	if got := read(t, c, r); !bytes.Equal(got, data) {
		t.Error("other bytes came")
	}
	settle(c)
	for _, off := range []int64{0, 200_000, 400_000, tutti.ChunkSize, tutti.ChunkSize + 200_000, tutti.ChunkSize + 400_000} {
		if n := o.count(r.Path, off); n != 1 {
			t.Errorf("the origin was read %d times at %d", n, off)
		}
	}
}

func TestOriginThatStandsStill(t *testing.T) {
	o := newObjects()
	o.gate = make(chan struct{})
	data := noise(1, 300_000)
	r := o.put("a.flac", data)
	k := clock.NewFake(start)
	c := newChunks(t, ChunksConfig{Origin: o, Clock: k, Stall: time.Second})
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.gate <- struct{}{} // 64 KiB, and then nothing
		k.WaitForTimers(1)
		for o.opened.Load() < 2 {
			k.Advance(100 * time.Millisecond)
			time.Sleep(time.Millisecond)
		}
		close(o.gate)
	}()
	if got := read(t, c, r); !bytes.Equal(got, data) {
		t.Error("other bytes came")
	}
	<-done
	if n := o.count(r.Path, 64<<10); n != 1 {
		t.Errorf("the rest was asked for %d times", n)
	}
}

// Who reads slowly from a cold chunk goes on from the disk once it is there, and so holds no memory.
func TestSlowListenersReadFromTheDisk(t *testing.T) {
	o := newObjects()
	c := newChunks(t, ChunksConfig{Origin: o, MemoryBytes: 1 << 20, Fills: 4})
	const listeners = 20
	gate := make(chan struct{})
	var begun, all sync.WaitGroup
	for i := range listeners {
		data := noise(uint64(i), tutti.ChunkSize)
		r := o.put(fmt.Sprint(i), data)
		obj, err := c.OpenAt(t.Context(), r, 0)
		if err != nil {
			t.Fatal(err)
		}
		begun.Add(1)
		all.Go(func() {
			w := &slowWriter{begun: &begun, gate: gate, to: expect{want: data}}
			if n, err := obj.CopyRange(t.Context(), w, 0, -1); err != nil || len(w.to.want) > 0 {
				t.Errorf("%d bytes came, %v", n, err)
			}
			if err := obj.Close(); err != nil {
				t.Error(err)
			}
		})
		begun.Wait()
		settle(c)
	}
	close(gate)
	all.Wait()
	if n := c.stats.bytesMemory.Load(); n > listeners*memoryPiece {
		t.Errorf("%d bytes were sent from memory", n)
	}
}

// slowWriter takes nothing until its gate is closed.
type slowWriter struct {
	begun *sync.WaitGroup
	once  sync.Once
	gate  chan struct{}
	to    expect
}

func (w *slowWriter) Write(p []byte) (int, error) {
	w.once.Do(w.begun.Done)
	<-w.gate
	return w.to.Write(p)
}

func TestTooManyFillsAreRefused(t *testing.T) {
	o := newObjects()
	o.gate = make(chan struct{})
	c := newChunks(t, ChunksConfig{Origin: o, Fills: 2})
	var wg sync.WaitGroup
	for i := range 2 {
		r := o.put(fmt.Sprint(i), noise(uint64(i), 1000))
		wg.Go(func() { read(t, c, r) })
	}
	for {
		c.mu.Lock()
		n := len(c.filling)
		c.mu.Unlock()
		if n == 2 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if _, err := c.Open(t.Context(), o.put("third", noise(3, 1000))); !tutti.IsKind(err, tutti.KindExhausted) {
		t.Error(err)
	}
	close(o.gate)
	wg.Wait()
}

func TestListenerWhoLeavesWaitsForNothing(t *testing.T) {
	o := newObjects()
	o.gate = make(chan struct{})
	r := o.put("a.flac", noise(1, 1000))
	c := newChunks(t, ChunksConfig{Origin: o})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Open(ctx, r); !tutti.IsKind(err, tutti.KindUnavailable) {
		t.Error(err)
	}
	close(o.gate)
	settle(c)
	if !c.disk.has(tutti.ChunkID{Object: r.ID()}) {
		t.Error("what was begun was not kept")
	}
}

func TestChunksPassThroughTheCache(t *testing.T) {
	o := newObjects()
	data := noise(1, 2*tutti.ChunkSize)
	r := o.put("a.flac", data)
	var sums atomic.Int64
	f := newFleet(t, 1)
	chunks := f.add("c2", func(c *ChunksConfig) { c.Origin = o })
	f.with(func() { f.seen["c2"] = func(tutti.ChunkID) []string { return []string{"c2"} } })
	c := newCache(t, Config{Origin: chunks, Local: true, OnHash: func(context.Context, tutti.Ref, [32]byte) error { sums.Add(1); return nil }})
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error)
	go func() { ran <- c.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	}()
	if ready, err := c.Prepare(t.Context(), r); err != nil || ready.Ready || ready.Size != -1 || len(ready.Owners) != 1 {
		t.Errorf("before anything is known: %+v, %v", ready, err)
	}
	f.settle()
	if ready, err := c.Prepare(t.Context(), r); err != nil || !ready.Ready || ready.Size != int64(len(data)) {
		t.Errorf("when its beginning is there: %+v, %v", ready, err)
	}
	for range 2 {
		obj, err := c.OpenAt(t.Context(), r, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := all(t, obj); !bytes.Equal(got, data) {
			t.Error("other bytes came")
		}
		if err := obj.Close(); err != nil {
			t.Error(err)
		}
	}
	for sums.Load() == 0 { // the clock of the Cache paces the reading
		c.clock.(*clock.Fake).Advance(time.Second)
		time.Sleep(time.Millisecond)
	}
	if _, err := f.store.Get(t.Context(), sealKey(r.ID())); err != nil {
		t.Errorf("the seal: %v", err)
	}
	if n := o.opened.Load(); n != 2 {
		t.Errorf("the origin was asked %d times", n)
	}
}

func TestSealIsOfWhatTheOriginHas(t *testing.T) {
	data := noise(1, tutti.ChunkSize+100)
	verify := func(c *Chunks, r tutti.Ref) error {
		o, err := c.OpenToVerify(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		s := NewSealer()
		if _, err := o.CopyRange(t.Context(), s, 0, -1); err != nil {
			t.Fatal(err)
		}
		return c.Seal(t.Context(), r, s)
	}
	t.Run("spoilt on the way", func(t *testing.T) {
		f := newFleet(t, 1)
		c, r := f.node("c1"), f.o.put("a.flac", data)
		f.o.spoil = func(off int64, b []byte) {
			if off > 0 {
				b[50] ^= 1
			}
		}
		read(t, c, r)
		f.settle()
		f.o.with(func() { f.o.spoil = nil })
		if err := verify(c, r); !tutti.IsKind(err, tutti.KindUnavailable) {
			t.Fatal(err)
		}
		if got := read(t, c, r); !bytes.Equal(got, data) {
			t.Error("the damaged chunk is still there")
		}
		if n := f.o.count(r.Path, 0); n != 2 { // once to fill, once to compare
			t.Errorf("the good chunk was read %d times", n)
		}
		f.settle()
		if err := verify(c, r); err != nil {
			t.Error(err)
		}
	})
	t.Run("an origin that vouches for nothing", func(t *testing.T) {
		f := newFleet(t, 1)
		c, r := f.node("c1"), f.o.put("a.flac", data)
		s := f.o.byPath["a.flac"]
		s.info.MD5 = nil
		f.o.byPath["a.flac"] = s
		if err := verify(c, r); err != nil {
			t.Error(err)
		}
	})
	t.Run("an origin that vouches for something else", func(t *testing.T) {
		f := newFleet(t, 1)
		c, r := f.node("c1"), f.o.put("a.flac", data)
		s := f.o.byPath["a.flac"]
		s.info.MD5 = make([]byte, 16)
		f.o.byPath["a.flac"] = s
		if err := verify(c, r); !tutti.IsKind(err, tutti.KindUnavailable) {
			t.Error(err)
		}
	})
	t.Run("after a restart", func(t *testing.T) {
		f := newFleet(t, 0)
		dir := t.TempDir()
		c, r := f.add("c1", func(c *ChunksConfig) { c.Dir = dir }), f.o.put("a.flac", data)
		read(t, c, r)
		f.settle()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		f.with(func() { delete(f.nodes, "c1") })
		flipChunk(t, dir, r)
		c = f.add("c1", func(c *ChunksConfig) { c.Dir = dir })
		if err := verify(c, r); !tutti.IsKind(err, tutti.KindUnavailable) {
			t.Error(err)
		}
		if err := verify(c, r); err != nil {
			t.Error(err)
		}
	})
}

// An origin that sends other bytes for a while, and vouches for none (an object that was put in parts), is not to make
// its originals unplayable for good.
func TestSealOfWrongBytes(t *testing.T) {
	data := noise(1, tutti.ChunkSize+100)
	spoil := func(off int64, b []byte) {
		if off == 0 && len(b) > 100 {
			b[77] ^= 1
		}
	}
	unvouched := func(f *testFleet) tutti.Ref {
		r := f.o.put("a.flac", data)
		s := f.o.byPath["a.flac"]
		s.info.MD5 = nil
		f.o.byPath["a.flac"] = s
		return r
	}
	t.Run("is not taken", func(t *testing.T) {
		f := newFleet(t, 1)
		c, r := f.node("c1"), unvouched(f)
		f.o.spoil = spoil
		read(t, c, r)
		f.settle()
		f.o.with(func() { f.o.spoil = nil })
		o, err := c.OpenToVerify(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		s := NewSealer()
		if _, err := o.CopyRange(t.Context(), s, 0, -1); err != nil {
			t.Fatal(err)
		}
		if err := c.Seal(t.Context(), r, s); !tutti.IsKind(err, tutti.KindUnavailable) {
			t.Error(err)
		}
		if got := read(t, c, r); !bytes.Equal(got, data) {
			t.Error("other bytes came")
		}
	})
	t.Run("is deleted", func(t *testing.T) {
		f := newFleet(t, 1)
		r := unvouched(f)
		f.o.spoil = spoil
		sealed(t, f, f.node("c1"), r) // both readings were the same
		f.o.with(func() { f.o.spoil = nil })
		c := f.add("c2")
		f.with(func() { f.seen["c2"] = func(tutti.ChunkID) []string { return []string{"c2"} } })
		if got := read(t, c, r); !bytes.Equal(got, data) {
			t.Error("other bytes came")
		}
		f.settle()
		if _, err := f.store.Get(t.Context(), sealKey(r.ID())); !tutti.IsKind(err, tutti.KindNotFound) {
			t.Errorf("the seal: %v", err)
		}
	})
	t.Run("is kept when accidents differ", func(t *testing.T) {
		f := newFleet(t, 1)
		r := unvouched(f)
		sealed(t, f, f.node("c1"), r)
		c := f.add("c2")
		f.with(func() { f.seen["c2"] = func(tutti.ChunkID) []string { return []string{"c2"} } })
		n := byte(0)
		f.o.with(func() { f.o.spoil = func(_ int64, b []byte) { n++; b[50] ^= n } })
		if _, err := tryReadAt(t, c, r, 0, -1); !tutti.IsKind(err, tutti.KindUnavailable) {
			t.Error(err)
		}
		f.o.with(func() { f.o.spoil = nil })
		f.settle()
		if got := read(t, c, r); !bytes.Equal(got, data) {
			t.Error("other bytes came")
		}
		if n := c.seals.revoked.Load(); n != 0 {
			t.Error("the seal was deleted")
		}
	})
}

// flipChunk changes chunk 0 of r and its checksum, as a member does that was sent something wrong.
func flipChunk(t *testing.T, dir string, r tutti.Ref) {
	t.Helper()
	d := &chunkDisk{dir: dir}
	path := d.place(tutti.ChunkID{Object: r.ID()})
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseChunkHeader(chunkMagic, b[:chunkHeader])
	if err != nil {
		t.Fatal(err)
	}
	b[chunkHeader+9] ^= 1
	c.sum = crc32.Checksum(b[chunkHeader:], castagnoli)
	header, err := c.encode(chunkMagic)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, append(header, b[chunkHeader:]...))
}

// TestAnyInterleaving lets members read, fail and forget in any order: what a listener gets is the file, or the beginning
// of what was asked for and an error.
func TestAnyInterleaving(t *testing.T) {
	checks := flag.Lookup("rapid.checks")
	if before := checks.Value.String(); before == checks.DefValue { // a fleet each; -rapid.checks has its way
		if err := checks.Value.Set("20"); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = checks.Value.Set(before) }()
	}
	rapid.Check(t, func(rt *rapid.T) {
		f := newFleet(t, 3, func(c *ChunksConfig) { c.MaxBytes, c.MemoryBytes = 3<<20, 2<<20 })
		files := map[string][]byte{}
		var refs []tutti.Ref
		for i, size := range []int{700_000, 2*tutti.ChunkSize + 11, 40} {
			name := fmt.Sprint(i)
			files[name] = noise(uint64(i), size)
			refs = append(refs, f.o.put(name, files[name]))
		}
		stop := make(chan struct{})
		var ticking sync.WaitGroup
		ticking.Go(func() { // time passes, so that who waits in vain goes on
			for {
				select {
				case <-stop:
					return
				case <-time.After(500 * time.Microsecond):
					f.clock.Advance(50 * time.Millisecond)
				}
			}
		})
		defer ticking.Wait()
		defer close(stop)
		who := rapid.SampledFrom([]string{"c1", "c2", "c3"})
		which := rapid.SampledFrom(refs)
		var wg sync.WaitGroup
		listen := func(rt *rapid.T) {
			r, c := which.Draw(rt, "file"), f.node(who.Draw(rt, "member"))
			data := files[r.Path]
			off := rapid.Int64Range(0, int64(len(data))-1).Draw(rt, "offset")
			n := rapid.Int64Range(-1, int64(len(data))).Draw(rt, "length")
			wg.Go(func() {
				got, err := tryReadAt(t, c, r, off, n)
				want := data[off:]
				if n >= 0 {
					want = want[:min(n, int64(len(want)))]
				}
				switch {
				case err == nil && !bytes.Equal(got, want):
					t.Errorf("%d of %d bytes came, and they were others", len(got), len(want))
				case err != nil && !bytes.HasPrefix(want, got):
					t.Errorf("%d other bytes came before %v", len(got), err)
				case err != nil && tutti.KindOf(err) != tutti.KindUnavailable:
					t.Errorf("%v: %v", tutti.KindOf(err), err)
				}
			})
		}
		rt.Repeat(map[string]func(*rapid.T){
			"listen":  listen,
			"listen2": listen,
			"link": func(rt *rapid.T) {
				x := rapid.SampledFrom([]fail{{}, {}, {refuse: true}, {cut: 100_000}, {stall: true}}).Draw(rt, "fault")
				m := who.Draw(rt, "member")
				f.with(func() { f.fault[m] = func() fail { return x } })
			},
			"origin": func(rt *rapid.T) {
				x := rapid.IntRange(0, 3).Draw(rt, "fault")
				f.o.with(func() {
					f.o.fault, f.o.cut = nil, nil
					switch x {
					case 1:
						f.o.fault = func(tutti.Ref, int64, int64) error { return errAway }
					case 2:
						f.o.cut = func(off int64) int64 { return 150_000 }
					}
				})
			},
			"store": func(rt *rapid.T) { away := rapid.Bool().Draw(rt, "away"); f.with(func() { f.storeAway = away }) },
			"members": func(rt *rapid.T) {
				m, away := who.Draw(rt, "member"), rapid.Bool().Draw(rt, "away")
				f.with(func() { f.away[m] = away })
			},
			"spoil": func(rt *rapid.T) {
				// Between looking at a chunk and sending it nobody can help what the disk does to it.
				wg.Wait()
				f.settle()
				c, r := f.node(who.Draw(rt, "member")), which.Draw(rt, "file")
				id := tutti.ChunkID{Object: r.ID()}
				b, err := os.ReadFile(c.disk.place(id))
				if err != nil {
					return
				}
				b[len(b)-1] ^= 1
				if err := os.WriteFile(c.disk.place(id), b, 0o600); err != nil {
					t.Error(err)
				}
				c.disk.mu.Lock()
				if e := c.disk.chunks[id]; e != nil {
					e.verified = inspection{} // as after a restart
				}
				c.disk.mu.Unlock()
			},
			"wait": func(*rapid.T) { wg.Wait() },
		})
		wg.Wait()
		f.with(func() { clear(f.fault); f.storeAway = false })
		f.o.with(func() { f.o.fault, f.o.cut = nil, nil })
		f.settle()
		for f.node("c1").guard.isOpen("1") || f.node("c2").guard.isOpen("1") || f.node("c3").guard.isOpen("1") {
			time.Sleep(time.Millisecond)
		}
		for _, r := range refs { // all is well again, and so is every file
			for _, c := range []string{"c1", "c2", "c3"} {
				if got, err := tryReadAt(t, f.node(c), r, 0, -1); err != nil || !bytes.Equal(got, files[r.Path]) {
					t.Errorf("%s at the end: %d bytes, %v", r.Path, len(got), err)
				}
			}
		}
		f.settle()
		for _, c := range []string{"c1", "c2", "c3"} {
			if err := f.node(c).Close(); err != nil {
				t.Error(err)
			}
		}
		if t.Failed() {
			rt.FailNow()
		}
	})
}

func FuzzChunkHeader(f *testing.F) {
	for _, info := range []tutti.ObjectInfo{
		{Size: 10, ModTime: start, ContentType: "audio/flac", Tag: `"x"`}, {}, {Size: 5 << 20, Tag: "t"},
	} {
		b, err := chunkFile{id: tutti.ChunkID{Object: tutti.Ref{Path: "a"}.ID()}, info: info, length: chunkLength(info.Size, 0)}.encode(chunkMagic)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		b, err = chunkFile{id: tutti.ChunkID{Object: tutti.Ref{Path: "a"}.ID()}, info: info, length: chunkLength(info.Size, 0), unproven: true}.encode(chunkMagic)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseChunkHeader(chunkMagic, b)
		if err != nil {
			if !errors.Is(err, errCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again, err := c.encode(chunkMagic)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%+v is written in another way, %v", c, err)
		}
	})
}

func FuzzHead(f *testing.F) {
	object := tutti.Ref{Path: "a"}.ID()
	for _, size := range []int{100, headStart, headStart + 100} {
		begin, rest, err := encodeHead(object, tutti.ObjectInfo{Size: int64(size), ModTime: start, ContentType: "audio/flac", Tag: `"x"`}, noise(1, size))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(begin, rest)
		f.Add(begin[:50], rest)
		f.Add(begin, begin)
	}
	f.Fuzz(func(t *testing.T, begin, rest []byte) {
		info, data, err := parseHead(object, begin)
		if err != nil {
			return
		}
		whole := data
		if info.Size > headStart {
			data, err := parseRest(begin, info, rest)
			if err != nil {
				return
			}
			whole = append(bytes.Clone(whole), data...)
		} else {
			rest = nil
		}
		again, restAgain, err := encodeHead(object, info, whole)
		if err != nil || !bytes.Equal(again, begin) || !bytes.Equal(restAgain, rest) {
			t.Fatalf("%+v is written in another way, %v", info, err)
		}
	})
}

// TestRestIsOfItsStart: what follows the start of another state of the object is not taken for this one's.
func TestRestIsOfItsStart(t *testing.T) {
	object := tutti.Ref{Path: "a"}.ID()
	var begins, rests [2][]byte
	infos := [2]tutti.ObjectInfo{{Size: 400_000, ModTime: start, Tag: `"x"`}, {Size: 400_000, ModTime: start, Tag: `"y"`}}
	for i, info := range infos {
		var err error
		if begins[i], rests[i], err = encodeHead(object, info, noise(1, tutti.HeadSize)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range infos {
		if _, err := parseRest(begins[i], infos[i], rests[i]); err != nil {
			t.Error(err)
		}
		if _, err := parseRest(begins[i], infos[i], rests[1-i]); err == nil {
			t.Error("the rest of another start was accepted")
		}
		if _, err := parseRest(begins[i], infos[i], nil); err == nil {
			t.Error("no rest was accepted")
		}
	}
}

func FuzzSeal(f *testing.F) {
	s := NewSealer()
	_, _ = s.Write(noise(1, 3*sealBlock+1))
	s.end()
	b := seal{info: tutti.ObjectInfo{Size: s.size, ModTime: start, Tag: `"x"`}, sums: s.sums}.encode()
	f.Add(b)
	f.Add(b[:20])
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseSeal(b)
		if err != nil {
			return
		}
		if again := s.encode(); !bytes.Equal(again, b) {
			t.Fatalf("%+v is written in another way", s)
		}
	})
}

func TestLargestHeadFitsTheStore(t *testing.T) {
	info := tutti.ObjectInfo{Size: 1 << 40, Tag: string(make([]byte, maxText/2)), ContentType: string(make([]byte, maxText/2))}
	begin, rest, err := encodeHead(tutti.Ref{}.ID(), info, make([]byte, tutti.HeadSize))
	if err != nil || len(begin) > store.MaxValue || len(rest) > store.MaxValue {
		t.Errorf("%d and %d bytes, %v", len(begin), len(rest), err)
	}
	if reads := policy.ReadUnits(len(begin)) + policy.ReadUnits(len(rest)); reads != HeadReadUnits {
		t.Errorf("it takes %v units to read, where %v are reckoned with", reads, HeadReadUnits)
	}
	if writes := policy.WriteUnits(len(begin)) + policy.WriteUnits(len(rest)) + 1; writes != HeadWriteUnits {
		t.Errorf("it takes %v units to write, where %v are reckoned with", writes, HeadWriteUnits)
	}
}

// chunksForever is the child of TestChunksKilledAnyTime: it fills chunks until it is killed, and says so when it has begun.
func chunksForever(dir string) {
	o := newObjects()
	c, err := NewChunks(ChunksConfig{Origin: o, Dir: dir, MaxBytes: 6 << 20, Clock: clock.System, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	if err := c.disk.index(context.Background()); err != nil {
		panic(err)
	}
	refs := killRefs(o)
	fmt.Println("begun")
	for i := 0; ; i = (i + 1) % len(refs) {
		obj, err := c.OpenAt(context.Background(), refs[i], 0)
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

// killRefs puts five originals into o, 11 chunks in all, of which a cache of six keeps half.
func killRefs(o *objects) (refs []tutti.Ref) {
	for i := range 5 {
		refs = append(refs, o.put(fmt.Sprintf("%d.flac", i), noise(uint64(i), 2*tutti.ChunkSize+i)))
	}
	return refs
}

func TestChunksKilledAnyTime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "chunks")
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	r := rand.New(rand.NewPCG(1, 2))
	for round := range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "TUTTI_TEST_CHUNKS_FOREVER="+dir)
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
		o := newObjects()
		c := newChunks(t, ChunksConfig{Origin: o, Dir: dir, MaxBytes: 6 << 20})
		if err := c.disk.index(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, there, _ := c.disk.usage()
		for i, ref := range killRefs(o) {
			if !bytes.Equal(read(t, c, ref), noise(uint64(i), 2*tutti.ChunkSize+i)) {
				t.Fatalf("round %d: other bytes in %d", round, i)
			}
			settle(c)
		}
		if n := c.disk.damaged.Load(); n != 0 || there == 0 {
			t.Errorf("round %d: of %d chunks %d were damaged", round, there, n)
		}
		if stored, _, _ := c.disk.usage(); stored > 6<<20 {
			t.Errorf("round %d: %d bytes are stored", round, stored)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
