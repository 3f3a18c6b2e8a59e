package trackcache

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/trackcache/policy"
)

// patiently runs fn while the fake clock goes on, until fn returns.
func patiently(t *testing.T, k *clock.Fake, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	for {
		select {
		case <-done:
			return
		case <-time.After(time.Millisecond):
			k.Advance(20 * time.Millisecond)
		}
	}
}

// refuseWhat has the origin fail for the paths that bad says.
func refuseWhat(o *objects, bad func(path string) bool) {
	o.with(func() {
		o.fault = func(r tutti.Ref, _, _ int64) error {
			if bad(r.Path) {
				return tutti.Errorf(tutti.KindUnavailable, "objects", "refused")
			}
			return nil
		}
	})
}

func TestObjectsThatCannotBeReadTakeNoLibraryAway(t *testing.T) {
	for name, before := range map[string]int{"nothing was read before": 0, "something was": 1} {
		t.Run(name, func(t *testing.T) {
			o := newObjects()
			k := clock.NewFake(start)
			c := newChunks(t, ChunksConfig{Origin: o, Clock: k})
			refuseWhat(o, func(path string) bool { return path == "bad.flac" })
			for i := range before {
				read(t, c, o.put(fmt.Sprintf("before%d.flac", i), noise(9, 1000)))
				settle(c)
			}
			bad := o.put("bad.flac", noise(1, 1000))
			for i := range 5 {
				patiently(t, k, func() {
					if _, err := c.Open(t.Context(), bad); !tutti.IsKind(err, tutti.KindUnavailable) {
						t.Error(err)
					}
				})
				patiently(t, k, func() {
					if _, err := c.Open(t.Context(), o.put(fmt.Sprintf("good%d.flac", i), noise(uint64(i), 1000))); err != nil {
						t.Errorf("after %d that could not be read: %v", i+1, err)
					}
				})
			}
		})
	}
}

// Where several objects cannot be read and none was before, the library is taken to be away: until the first probe of
// something that can be.
func TestLibraryComesBackByWhatCanBeRead(t *testing.T) {
	o := newObjects()
	k := clock.NewFake(start)
	c := newChunks(t, ChunksConfig{Origin: o, Clock: k})
	refuseWhat(o, func(path string) bool { return path != "good.flac" })
	for i := range 2 {
		patiently(t, k, func() { _, _ = c.Open(t.Context(), o.put(fmt.Sprintf("bad%d.flac", i), noise(1, 1000))) })
	}
	if !c.guard.isOpen("1") {
		t.Fatal("nothing can be read, and the library is not away")
	}
	good := o.put("good.flac", noise(2, 1000))
	if _, err := c.Prepare(t.Context(), good); !tutti.IsKind(err, tutti.KindUnavailable) {
		t.Fatal(err)
	}
	since := k.Now()
	for c.guard.isOpen("1") {
		if k.Now().Sub(since) > 4*policy.ProbeMax {
			t.Fatal("the library stays away, though what was asked for can be read")
		}
		time.Sleep(time.Millisecond)
		k.Advance(50 * time.Millisecond)
	}
	read(t, c, good)
}

// With a witness an origin that hangs is known after the witness's own time, and nobody but the probes asks from then on.
func TestLibraryThatHangsIsAway(t *testing.T) {
	o := newObjects()
	k := clock.NewFake(start)
	c := newChunks(t, ChunksConfig{Origin: hangs{o, new(atomic.Bool)}, Clock: k})
	read(t, c, o.put("before.flac", noise(1, 1000)))
	settle(c)
	c.guard.origin.(hangs).now.Store(true)
	r := o.put("a.flac", noise(2, 1000))
	patiently(t, k, func() { _, _ = c.Open(t.Context(), r) })
	since := k.Now()
	for !c.guard.isOpen("1") {
		if k.Now().Sub(since) > 2*policy.ProbeMax {
			t.Fatal("the library is not away")
		}
		time.Sleep(time.Millisecond)
		k.Advance(50 * time.Millisecond)
	}
	asked := c.guard.reads.Load()
	if _, err := c.Open(t.Context(), r); !tutti.IsKind(err, tutti.KindUnavailable) || c.guard.reads.Load() != asked {
		t.Errorf("it was asked %d times more, %v", c.guard.reads.Load()-asked, err)
	}
}

// hangs answers nothing while now is set.
type hangs struct {
	tutti.RangeSource
	now *atomic.Bool
}

func (h hangs) OpenRange(ctx context.Context, r tutti.Ref, off, n int64, tag string) (io.ReadCloser, tutti.ObjectInfo, error) {
	if h.now.Load() {
		<-ctx.Done()
		return nil, tutti.ObjectInfo{}, ctx.Err()
	}
	return h.RangeSource.OpenRange(ctx, r, off, n, tag)
}
