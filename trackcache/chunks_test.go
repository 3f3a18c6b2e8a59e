package trackcache

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tutti"
	"tutti/clock"
)

// objects is an object store in memory, with the faults of one.
type objects struct {
	mu     sync.Mutex
	byPath map[string]stored
	reads  map[string]int // by "path@off"
	fault  func(r tutti.Ref, off, n int64) error
	cut    func(off int64) int64 // bytes after which a body breaks off; negative: never
	spoil  func(off int64, b []byte)
	gate   chan struct{} // if set, each 64 KiB of a body waits for a value
	opened atomic.Int64
}

type stored struct {
	data []byte
	info tutti.ObjectInfo
}

func newObjects() *objects { return &objects{byPath: map[string]stored{}, reads: map[string]int{}} }

func (o *objects) put(path string, data []byte) tutti.Ref {
	o.mu.Lock()
	defer o.mu.Unlock()
	sum := md5.Sum(data)
	o.byPath[path] = stored{data, tutti.ObjectInfo{
		Size: int64(len(data)), ModTime: start, ContentType: "audio/flac", Tag: fmt.Sprintf("%q", fmt.Sprintf("%x", sum)), MD5: sum[:],
	}}
	return tutti.Ref{Library: "1", Path: path, Version: tutti.Version("v-" + path)}
}

func (o *objects) OpenRange(ctx context.Context, r tutti.Ref, off, n int64, tag string) (io.ReadCloser, tutti.ObjectInfo, error) {
	o.opened.Add(1)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fault != nil {
		if err := o.fault(r, off, n); err != nil {
			return nil, tutti.ObjectInfo{}, err
		}
	}
	s, ok := o.byPath[r.Path]
	if !ok {
		return nil, tutti.ObjectInfo{}, tutti.Errorf(tutti.KindNotFound, "objects", "no such object")
	}
	if tag != "" && tag != s.info.Tag {
		return nil, s.info, tutti.Errorf(tutti.KindConflict, "objects", "another object by now")
	}
	o.reads[fmt.Sprintf("%s@%d", r.Path, off)]++
	data := s.data[min(off, int64(len(s.data))):]
	if n >= 0 && n < int64(len(data)) {
		data = data[:n]
	}
	if o.spoil != nil {
		data = bytes.Clone(data)
		o.spoil(off, data)
	}
	b := &body{ctx: ctx, r: bytes.NewReader(data), gate: o.gate, cut: -1}
	if o.cut != nil {
		b.cut = o.cut(off)
	}
	return b, s.info, nil
}

func (o *objects) count(path string, off int64) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.reads[fmt.Sprintf("%s@%d", path, off)]
}

// with changes the faults.
func (o *objects) with(change func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change()
}

type body struct {
	ctx  context.Context
	r    *bytes.Reader
	gate chan struct{}
	cut  int64
}

func (b *body) Read(p []byte) (int, error) {
	if b.gate != nil {
		select {
		case <-b.gate:
		case <-b.ctx.Done():
			return 0, b.ctx.Err()
		}
	}
	p = p[:min(len(p), 64<<10)]
	if b.cut == 0 {
		return 0, io.EOF
	}
	if b.cut > 0 {
		p = p[:min(int64(len(p)), b.cut)]
	}
	n, err := b.r.Read(p)
	if b.cut > 0 {
		b.cut -= int64(n)
	}
	return n, err
}

func (b *body) Close() error { return nil }

// expect takes what it expects, and nothing else. A thousand of them need no memory.
type expect struct{ want []byte }

func (e *expect) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(e.want, p) {
		return 0, errors.New("other bytes came")
	}
	e.want = e.want[len(p):]
	return len(p), nil
}

func newChunks(t testing.TB, c ChunksConfig) *Chunks {
	t.Helper()
	if c.Dir == "" {
		c.Dir = filepath.Join(t.TempDir(), "chunks")
	}
	if c.Clock == nil {
		c.Clock = clock.NewFake(start)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := NewChunks(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// settle waits until no chunk is being filled.
func settle(c *Chunks) {
	for {
		var ch *chunk
		c.mu.Lock()
		for _, f := range c.filling {
			ch = f
			break
		}
		c.mu.Unlock()
		if ch == nil {
			return
		}
		_ = ch.until(context.Background(), func() bool { return ch.done })
		c.mu.Lock() // until the fill has put it away
		gone := c.filling[ch.id] != ch
		c.mu.Unlock()
		if !gone {
			runtime.Gosched()
		}
	}
}

func read(t testing.TB, c *Chunks, r tutti.Ref) []byte {
	t.Helper()
	o, err := c.Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	return all(t, o)
}

func TestChunksDeliverWhatTheOriginHas(t *testing.T) {
	o := newObjects()
	c := newChunks(t, ChunksConfig{Origin: o})
	for _, size := range []int{0, 1, sealBlock, tutti.HeadSize, tutti.ChunkSize - 1, tutti.ChunkSize, tutti.ChunkSize + 1, 3*tutti.ChunkSize + 7} {
		data := noise(uint64(size), size)
		r := o.put(fmt.Sprint(size), data)
		for range 2 {
			if got := read(t, c, r); !bytes.Equal(got, data) {
				t.Fatalf("%d bytes: %d came", size, len(got))
			}
		}
		settle(c)
		for off := 0; off < size; off += tutti.ChunkSize {
			if n := o.count(r.Path, int64(off)); n != 1 {
				t.Errorf("%d bytes: the origin was read %d times at %d", size, n, off)
			}
		}
		for _, rng := range [][2]int64{{0, 1}, {1, 2}, {int64(size) / 2, 5}, {int64(size) / 2, -1}, {int64(size), 3}, {tutti.ChunkSize - 1, 2}} {
			if rng[0] > int64(size) {
				continue
			}
			rc, info, err := c.OpenRange(t.Context(), r, rng[0], rng[1], "")
			if err != nil {
				t.Fatalf("%d bytes: range %v: %v", size, rng, err)
			}
			got, err := io.ReadAll(rc)
			want := data[rng[0]:]
			if rng[1] >= 0 {
				want = want[:min(rng[1], int64(len(want)))]
			}
			if err != nil || !bytes.Equal(got, want) || info.Size != int64(size) || info.ContentType != "audio/flac" {
				t.Errorf("%d bytes: range %v: %d of %d bytes, %+v, %v", size, rng, len(got), len(want), info, err)
			}
			if err := rc.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestChunksFillOnceForACrowd(t *testing.T) {
	o := newObjects()
	data := noise(1, 2*tutti.ChunkSize+100)
	r := o.put("a.flac", data)
	c := newChunks(t, ChunksConfig{Origin: o})
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			obj, err := c.OpenAt(t.Context(), r, 0)
			if err != nil {
				t.Error(err)
				return
			}
			defer obj.Close()
			w := expect{want: data}
			if n, err := obj.CopyRange(t.Context(), &w, 0, -1); err != nil || len(w.want) > 0 {
				t.Errorf("%d bytes came, %v", n, err)
			}
		})
	}
	wg.Wait()
	for n := range int64(3) {
		if got := o.count(r.Path, n*tutti.ChunkSize); got != 1 {
			t.Errorf("chunk %d was read %d times", n, got)
		}
	}
}

func TestChunksSendFirstBytesWhileTheRestIsOnItsWay(t *testing.T) {
	o := newObjects()
	o.gate = make(chan struct{})
	data := noise(1, tutti.ChunkSize)
	r := o.put("a.flac", data)
	c := newChunks(t, ChunksConfig{Origin: o})
	go func() { o.gate <- struct{}{} }()
	obj, err := c.OpenAt(t.Context(), r, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer obj.Close()
	var b bytes.Buffer
	if n, err := obj.CopyRange(t.Context(), &b, 0, 64<<10); err != nil || n != 64<<10 || !bytes.Equal(b.Bytes(), data[:n]) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	close(o.gate)
	if got := all(t, obj); !bytes.Equal(got, data) {
		t.Error("other bytes came")
	}
}

func TestChunksSurviveTheirProcess(t *testing.T) {
	o := newObjects()
	data := noise(1, 2*tutti.ChunkSize+5)
	r := o.put("a.flac", data)
	dir := t.TempDir()
	c := newChunks(t, ChunksConfig{Origin: o, Dir: dir})
	read(t, c, r)
	settle(c)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	before := o.opened.Load()
	for _, indexed := range []bool{false, true} {
		c = newChunks(t, ChunksConfig{Origin: o, Dir: dir})
		if indexed {
			if err := c.disk.index(t.Context()); err != nil {
				t.Fatal(err)
			}
			if bytes, n, _ := c.disk.usage(); n != 3 || bytes != int64(len(data))+3*chunkHeader {
				t.Errorf("%d chunks of %d bytes were found", n, bytes)
			}
		}
		ready, err := c.Prepare(t.Context(), r)
		if err != nil || !ready.Ready || ready.Size != int64(len(data)) || ready.ContentType != "audio/flac" {
			t.Errorf("%+v, %v", ready, err)
		}
		if got := read(t, c, r); !bytes.Equal(got, data) {
			t.Error("other bytes came")
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if o.opened.Load() != before {
		t.Error("the origin was asked for what lies on the disk")
	}
}

func TestChunksNeverJoinTwoStates(t *testing.T) {
	o := newObjects()
	before, after := noise(1, 3*tutti.ChunkSize), noise(2, 3*tutti.ChunkSize)
	r := o.put("a.flac", before)
	c := newChunks(t, ChunksConfig{Origin: o})
	obj, err := c.OpenAt(t.Context(), r, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer obj.Close()
	var b bytes.Buffer
	if _, err := obj.CopyRange(t.Context(), &b, 0, tutti.ChunkSize/4); err != nil {
		t.Fatal(err)
	}
	settle(c)
	o.put("a.flac", after)
	n, err := obj.CopyRange(t.Context(), &b, tutti.ChunkSize/4, -1)
	if !tutti.IsKind(err, tutti.KindUnavailable) || !bytes.Equal(b.Bytes(), before[:tutti.ChunkSize/4+n]) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if got := read(t, c, r); !bytes.Equal(got, after) {
		t.Error("the next listener did not get what is there now")
	}
}

func TestChunksRefuseWhatTheyCannotServe(t *testing.T) {
	o := newObjects()
	c := newChunks(t, ChunksConfig{Origin: o})
	r := o.put("a.flac", noise(1, 100))
	for name, bad := range map[string]tutti.Ref{
		"a path outside": {Library: "1", Path: "../a", Version: "v"},
		"a transcode":    {Library: "1", Path: "a.flac", Version: "v", Profile: tutti.Profile{Format: "opus"}},
		"a section":      {Library: "1", Path: "a.flac", Version: "v", End: time.Second},
		"a long path":    {Library: "1", Path: strings.Repeat("a", maxKey), Version: "v"},
	} {
		if _, err := c.Open(t.Context(), bad); !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if err := c.Neighbour().Warm(t.Context(), bad, 0, true); !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.OpenAt(t.Context(), r, -1); !tutti.IsKind(err, tutti.KindInvalid) {
		t.Error(err)
	}
	if _, err := c.Open(t.Context(), tutti.Ref{Library: "1", Path: "none", Version: "v"}); !tutti.IsKind(err, tutti.KindNotFound) {
		t.Error(err)
	}
	read(t, c, r)
	if _, _, err := c.OpenRange(t.Context(), r, 101, 1, ""); !tutti.IsKind(err, tutti.KindInvalid) {
		t.Error(err)
	}
	if _, _, err := c.OpenRange(t.Context(), r, 0, 1, "another"); !tutti.IsKind(err, tutti.KindConflict) {
		t.Error(err)
	}
	if _, err := NewChunks(ChunksConfig{}); !tutti.IsKind(err, tutti.KindInvalid) {
		t.Error(err)
	}
}
