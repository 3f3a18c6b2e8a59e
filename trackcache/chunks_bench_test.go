package trackcache

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store/sqlite"
)

// BenchmarkHotChunk sends one chunk of a MiB over TCP: from a file as it is, from a chunk on the disk, from one in
// memory. Besides the time of both ends it reports the process's CPU.
func BenchmarkHotChunk(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				buf := make([]byte, 1<<20)
				for {
					if _, err := c.Read(buf); err != nil {
						_ = c.Close()
						return
					}
				}
			}()
		}
	}()
	data := noise(1, tutti.ChunkSize)
	o := newObjects()
	r := o.put("a.flac", data)
	onDisk := newChunks(b, ChunksConfig{Origin: o, Clock: clock.System})
	inMemory := newChunks(b, ChunksConfig{Origin: o, Clock: clock.System, MaxBytes: 1})
	plain := filepath.Join(b.TempDir(), "file")
	write(b, plain, data)
	send := func(c *Chunks) func(io.Writer) error {
		return func(w io.Writer) error {
			obj, err := c.OpenAt(context.Background(), r, 0)
			if err != nil {
				return err
			}
			if _, err := obj.CopyRange(context.Background(), w, 0, tutti.ChunkSize); err != nil {
				return err
			}
			return obj.Close()
		}
	}
	for name, one := range map[string]func(io.Writer) error{
		"file": func(w io.Writer) error {
			f, err := os.Open(plain)
			if err != nil {
				return err
			}
			if _, err := io.Copy(w, &io.LimitedReader{R: f, N: tutti.ChunkSize}); err != nil {
				return err
			}
			return f.Close()
		},
		"disk": send(onDisk), "memory": send(inMemory),
	} {
		b.Run(name, func(b *testing.B) {
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			if err := one(conn); err != nil {
				b.Fatal(err)
			}
			settle(onDisk)
			settle(inMemory)
			b.SetBytes(tutti.ChunkSize)
			b.ReportAllocs()
			before := cpu()
			for b.Loop() {
				if err := one(conn); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// BenchmarkColdStart is the time until the first byte of a track that no member has, from an origin that takes 100 ms to
// answer, with its head in the store (SQLite) and without.
func BenchmarkColdStart(b *testing.B) {
	s, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "store.db"), sqlite.Options{Clock: clock.System, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	o := newObjects()
	o.fault = func(tutti.Ref, int64, int64) error { time.Sleep(100 * time.Millisecond); return nil }
	r := o.put("a.flac", noise(1, tutti.ChunkSize))
	id := tutti.ChunkID{Object: r.ID()}
	first := newChunks(b, ChunksConfig{Origin: o, Store: s, Clock: clock.System, Heads: HeadPolicy{When: HeadsAlways}})
	read(b, first, r)
	for first.heads.written.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	for name, when := range map[string]HeadsWhen{"head": HeadsAlways, "none": HeadsNever} {
		c := newChunks(b, ChunksConfig{Origin: o, Store: s, Clock: clock.System, Heads: HeadPolicy{When: when}})
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				obj, err := c.OpenAt(context.Background(), r, 0)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := obj.Close(); err != nil {
					b.Fatal(err)
				}
				settle(c)
				c.disk.drop(id, nil)
				b.StartTimer()
			}
		})
	}
}

// BenchmarkCheckedChunk opens a chunk that is compared with its checksum first.
func BenchmarkCheckedChunk(b *testing.B) {
	o := newObjects()
	r := o.put("a.flac", noise(1, tutti.ChunkSize))
	c := newChunks(b, ChunksConfig{Origin: o})
	read(b, c, r)
	settle(c)
	b.SetBytes(tutti.ChunkSize)
	before := cpu()
	for b.Loop() {
		f, _, err := c.disk.read(tutti.ChunkID{Object: r.ID()}, true)
		if err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
}

// cpu is the time that the process has spent on processors, in nanoseconds.
func cpu() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
