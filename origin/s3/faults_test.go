package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tutti"
	"tutti/clock"
	"tutti/origin/s3"
	"tutti/origin/s3/local"
)

// hurried is a clock on which nobody waits between two tries.
type hurried struct{ clock.Clock }

func (h hurried) NewTimer(time.Duration) clock.Timer { return h.Clock.NewTimer(0) }

func inAHurry(c *s3.Config) { c.Clock = hurried{clock.System} }

// soonSilent takes a store for silent after a moment.
func soonSilent(c *s3.Config) { c.IdleTimeout, c.ReplyTimeout = 50*time.Millisecond, 2*time.Second }

// counted returns a fault that fn makes for the n-th GET of an object (from 1).
func counted(fn func(n int) fault) func(*http.Request) fault {
	n := 0
	return func(r *http.Request) fault {
		if r.Method != http.MethodGet || r.URL.Query().Has("list-type") {
			return fault{}
		}
		n++
		return fn(n)
	}
}

// TestInterruptedCopies: whatever ends an answer early, the listener gets every byte once.
func TestInterruptedCopies(t *testing.T) {
	b := bucket(t)
	want := content(9<<20 + 12345)
	put(t, b, "x.flac", want)
	never := make(chan struct{})
	for what, fn := range map[string]func(n int) fault{
		"nothing":            func(int) fault { return fault{} },
		"cut once":           func(n int) fault { return fault{cut: int64(1-min(n-1, 1)) * 300_000} },
		"cut every time":     func(n int) fault { return fault{cut: 700_001} },
		"reset":              func(n int) fault { return fault{cut: int64(n%2) * 900_000, reset: true} },
		"slow down":          func(n int) fault { return map[bool]fault{true: {status: 503, code: "SlowDown"}}[n%3 == 0] },
		"internal errors":    func(n int) fault { return map[bool]fault{true: {status: 500, code: "InternalError"}}[n%3 != 2] },
		"silence":            func(n int) fault { return map[bool]fault{true: {cut: 500_000, stall: never}}[n == 2] },
		"silence at once":    func(n int) fault { return map[bool]fault{true: {cut: 1, stall: never}}[n == 1] },
		"connections refuse": func(n int) fault { return map[bool]fault{true: {cut: 1, reset: true}}[n%2 != 0] },
	} {
		t.Run(what, func(t *testing.T) {
			p := newProxy(t)
			o := p.origin(t, b, inAHurry, soonSilent)
			obj, err := o.Open(t.Context(), tutti.Ref{Library: "1", Path: "x.flac"})
			must(t, err)
			defer obj.Close()
			p.on(counted(fn))
			var got bytes.Buffer
			n, err := obj.CopyRange(deadline(t), &got, 100, -1)
			if err != nil || n != int64(len(want)-100) || !bytes.Equal(got.Bytes(), want[100:]) {
				t.Errorf("CopyRange = %d, %v; the bytes are right: %v", n, err, bytes.Equal(got.Bytes(), want[100:]))
			}
			p.on(counted(fn))
			f, err := o.OpenFile(deadline(t), "1", "x.flac")
			must(t, err)
			defer f.Close()
			all, err := io.ReadAll(f.(io.Reader))
			if err != nil || !bytes.Equal(all, want) {
				t.Errorf("OpenFile: %d bytes, %v; they are right: %v", len(all), err, bytes.Equal(all, want))
			}
		})
	}
}

// TestPieces: a copy asks for at least 1 MiB at a time, and for more the longer it goes on.
func TestPieces(t *testing.T) {
	b := bucket(t)
	put(t, b, "x.flac", make([]byte, 20<<20))
	p := newProxy(t)
	obj, err := p.origin(t, b).Open(t.Context(), tutti.Ref{Library: "1", Path: "x.flac"})
	must(t, err)
	defer obj.Close()
	p.on(func(*http.Request) fault { return fault{} })
	_, err = obj.CopyRange(t.Context(), io.Discard, 0, -1)
	must(t, err)
	path := "GET /" + b + "/x.flac bytes="
	want := []string{path + "0-1048575", path + "1048576-3145727", path + "3145728-7340031", path + "7340032-15728639", path + "15728640-20971519"}
	if got := p.requests(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestReplacedWhileRead: a listener gets bytes of one version, or is told.
func TestReplacedWhileRead(t *testing.T) {
	old, young := content(5<<20), bytes.Repeat([]byte("n"), 5<<20)
	for _, again := range []bool{false, true} { // between two pieces; or within one, which is then cut
		t.Run(fmt.Sprint("cut=", again), func(t *testing.T) {
			b := bucket(t)
			put(t, b, "x.flac", old)
			p := newProxy(t)
			o := p.origin(t, b, inAHurry)
			obj, err := o.Open(t.Context(), tutti.Ref{Library: "1", Path: "x.flac"})
			must(t, err)
			defer obj.Close()
			file, err := o.OpenFile(t.Context(), "1", "x.flac")
			must(t, err)
			defer file.Close()
			p.on(counted(func(n int) fault {
				if n == 2 {
					return fault{before: func() { put(t, b, "x.flac", young) }}
				}
				return map[bool]fault{true: {cut: 600_000}}[again]
			}))
			var got bytes.Buffer
			n, err := obj.CopyRange(deadline(t), &got, 0, -1)
			wantKind(t, "the copy", err, tutti.KindUnavailable)
			if n == 0 || n != int64(got.Len()) || !bytes.HasPrefix(old, got.Bytes()) {
				t.Errorf("%d bytes were sent that are not the beginning of the version that was opened", n)
			}
			_, err = file.(io.ReaderAt).ReadAt(make([]byte, 100), 4<<20)
			wantKind(t, "reading the file", err, tutti.KindUnavailable)
			if st, err := o.Stat(t.Context(), "1", "x.flac"); err != nil || st.ModTime.Equal(obj.ModTime()) {
				t.Errorf("the new version, of the same size, has the old one's time %v; %v", st.ModTime, err)
			}
		})
	}
}

// TestAnyFaults is the property behind the tests above: whatever happens to requests, a read gives the right bytes or
// an error.
func TestAnyFaults(t *testing.T) {
	b := bucket(t)
	want := content(3<<20 + 777)
	put(t, b, "x.flac", want)
	p := newProxy(t)
	o := p.origin(t, b, inAHurry, soonSilent)
	ref := tutti.Ref{Library: "1", Path: "x.flac"}
	size := len(want)
	rapid.Check(t, func(t *rapid.T) {
		kinds := rapid.SliceOfN(rapid.IntRange(0, 9), 0, 12).Draw(t, "faults")
		cuts := rapid.SliceOfN(rapid.Int64Range(1, 1<<20), len(kinds), len(kinds)).Draw(t, "cuts")
		p.on(func(*http.Request) fault {
			if len(kinds) == 0 {
				return fault{}
			}
			kind, cut := kinds[0], cuts[0]
			kinds, cuts = kinds[1:], cuts[1:]
			switch kind {
			case 0:
				return fault{status: 503, code: "SlowDown"}
			case 1:
				return fault{status: 500}
			case 2:
				return fault{cut: cut, reset: true}
			case 3, 4, 5:
				return fault{cut: cut}
			}
			return fault{}
		})
		off := rapid.IntRange(0, size).Draw(t, "off")
		n := rapid.IntRange(0, size-off).Draw(t, "n")
		var got []byte
		var err error
		switch rapid.IntRange(0, 2).Draw(t, "how") {
		case 0:
			var obj tutti.Object
			if obj, err = o.Open(context.Background(), ref); err == nil {
				var w bytes.Buffer
				var m int64
				m, err = obj.CopyRange(context.Background(), &w, int64(off), int64(n))
				if got = w.Bytes(); m != int64(len(got)) {
					t.Fatalf("CopyRange says %d and wrote %d", m, len(got))
				}
				obj.Close()
			}
		case 1:
			var obj tutti.Object
			if obj, err = o.Open(context.Background(), ref); err == nil {
				got = make([]byte, n)
				var m int
				m, err = obj.ReadAt(got, int64(off))
				if got = got[:m]; errors.Is(err, io.EOF) {
					err = nil
				}
				obj.Close()
			}
		case 2:
			var r io.ReadCloser
			if r, _, err = o.OpenRange(context.Background(), ref, int64(off), int64(n), ""); err == nil {
				got, err = io.ReadAll(r)
				r.Close()
			}
		}
		if !bytes.Equal(got, want[off:off+len(got)]) {
			t.Fatalf("wrong bytes")
		}
		if err == nil && len(got) != n {
			t.Fatalf("%d of %d bytes and no error", len(got), n)
		}
		if err != nil && !tutti.IsKind(err, tutti.KindUnavailable) {
			t.Fatal(err)
		}
	})
}

// TestBudget: a store that fails all the time is asked hardly more often than it would be asked anyway.
func TestBudget(t *testing.T) {
	p := newProxy(t)
	o := p.origin(t, bucket(t), inAHurry)
	p.on(func(*http.Request) fault { return fault{status: 503, code: "SlowDown"} })
	const calls = 100
	for range calls {
		_, err := o.List(t.Context(), "1", ".")
		wantKind(t, "List", err, tutti.KindUnavailable)
	}
	if n := len(p.requests()); n <= calls || n > calls+20 {
		t.Errorf("%d calls made %d requests, want up to 20 more", calls, n)
	}
	p.on(func(*http.Request) fault { return fault{} })
	for range 10 {
		_, err := o.List(t.Context(), "1", ".")
		must(t, err)
	}
	fail := true
	p.on(func(*http.Request) fault {
		fail = !fail
		return map[bool]fault{true: {status: 503, code: "SlowDown"}}[!fail]
	})
	_, err := o.List(t.Context(), "1", ".")
	must(t, err)
}

// TestAway: a store that is not there is known to be so at once, and the message says what to look at.
func TestAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	dead := "http://" + l.Addr().String()
	must(t, l.Close())
	b := bucket(t)
	put(t, b, "a/x.mp3", []byte("x"))
	for _, c := range []struct {
		what string
		lib  s3.Library
		says string
	}{
		{"nobody listens", s3.Library{ID: "1", Name: "Jazz", Bucket: b, Endpoint: dead}, "cannot be reached"},
		{"another bucket", s3.Library{ID: "1", Name: "Jazz", Bucket: "nobodys-bucket"}, "no such bucket"},
		{"no signature", s3.Library{ID: "1", Name: "Jazz", Bucket: b, Anonymous: true}, "credentials"},
	} {
		t.Run(c.what, func(t *testing.T) {
			o := open(t, s3.Config{Libraries: []s3.Library{c.lib}})
			ctx := deadline(t)
			check := func(what string, err error) {
				t.Helper()
				wantKind(t, what, err, tutti.KindUnavailable)
				if m := tutti.Message(err); !strings.Contains(m, c.says) || !strings.Contains(m, "Jazz") {
					t.Errorf("%s: the message is %q", what, m)
				}
				if err != nil && strings.Contains(err.Error(), server.Secret) {
					t.Errorf("%s: a secret is told: %v", what, err)
				}
			}
			_, err := o.List(ctx, "1", ".")
			check("List", err)
			for _, p := range []string{".", "a", "a/x.mp3", "none"} {
				_, err = o.Stat(ctx, "1", p)
				check("Stat of "+p, err)
			}
			ref := tutti.Ref{Library: "1", Path: "a/x.mp3"}
			_, err = o.Open(ctx, ref)
			check("Open", err)
			_, err = o.OpenFile(ctx, "1", ref.Path)
			check("OpenFile", err)
			_, _, err = o.OpenRange(ctx, ref, 0, 1, "")
			check("OpenRange", err)
		})
	}
}

// TestCancelled: who gives up waits no longer.
func TestCancelled(t *testing.T) {
	b := bucket(t)
	put(t, b, "x.flac", content(3<<20))
	p := newProxy(t)
	o := p.origin(t, b)
	obj, err := o.Open(t.Context(), tutti.Ref{Library: "1", Path: "x.flac"})
	must(t, err)
	release := make(chan struct{})
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	p.on(func(*http.Request) fault { return fault{cut: 1000, stall: release} })
	first := &firstWrite{fn: cancel}
	_, err = obj.CopyRange(ctx, first, 0, -1)
	wantKind(t, "a copy that was given up", err, tutti.KindUnavailable)

	// Close ends a ReadAt.
	reading := make(chan error, 1)
	arrived := make(chan struct{})
	p.on(func(*http.Request) fault {
		return fault{before: sync.OnceFunc(func() { close(arrived) }), cut: 1000, stall: release}
	})
	go func() {
		_, err := obj.ReadAt(make([]byte, 2<<20), 0)
		reading <- err
	}()
	<-arrived
	must(t, obj.Close())
	wantKind(t, "reading what was closed", <-reading, tutti.KindUnavailable)
}

type firstWrite struct{ fn func() }

func (f *firstWrite) Write(p []byte) (int, error) {
	f.fn()
	return len(p), nil
}

// lesser is a store that does less than Amazon's: it knows neither If-Match nor, as set, ETags, ranges, or what a
// listing was asked to encode.
type lesser struct {
	mu     sync.Mutex
	data   []byte
	time   time.Time
	tag    string
	ranges bool
	keys   string // the inside of a listing
}

func (s *lesser) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := http.Header{"Last-Modified": {s.time.UTC().Format(http.TimeFormat)}}
	if s.tag != "" {
		h.Set("ETag", s.tag)
	}
	res := &http.Response{StatusCode: 200, Header: h, Request: r, ProtoMajor: 1, ProtoMinor: 1}
	body := s.data
	var from, to int
	switch {
	case r.URL.Query().Has("list-type"):
		body = []byte("<ListBucketResult>" + s.keys + "</ListBucketResult>")
	case s.ranges && r.Header.Get("Range") != "":
		if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); n < 2 || to >= len(body) {
			to = len(body) - 1
		}
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(body)))
		res.StatusCode = 206
		body = body[from : to+1]
	}
	res.ContentLength = int64(len(body))
	h.Set("Content-Length", fmt.Sprint(len(body)))
	if r.Method == http.MethodHead {
		body = nil
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

func (s *lesser) origin(t testing.TB, prefix string) *s3.Origin {
	return open(t, s3.Config{Libraries: []s3.Library{{ID: "1", Bucket: "b", Prefix: prefix}}, Transport: s})
}

// TestLesserStores: a change is noticed where there is no If-Match, and even where there is no ETag.
func TestLesserStores(t *testing.T) {
	old := content(3 << 20)
	ref := tutti.Ref{Library: "1", Path: "x.flac"}
	for what, tag := range map[string]string{"no If-Match": `"one"`, "bare ETags": "one", "weak ETags": `W/"one"`, "no ETags": ""} {
		t.Run(what, func(t *testing.T) {
			s := &lesser{data: old, time: time.Unix(1e9, 0), tag: tag, ranges: true}
			o := s.origin(t, "")
			obj, err := o.Open(t.Context(), ref)
			must(t, err)
			defer obj.Close()
			var got bytes.Buffer
			if _, err := obj.CopyRange(t.Context(), &got, 5, -1); err != nil || !bytes.Equal(got.Bytes(), old[5:]) {
				t.Errorf("%d bytes, %v", got.Len(), err)
			}
			r, info, err := o.OpenRange(t.Context(), ref, 0, 10, "")
			must(t, err)
			r.Close()
			strong := map[string]string{`"one"`: `"one"`, "one": `"one"`}[tag]
			if info.Tag != strong || info.MD5 != nil {
				t.Errorf("the tag is %q, want %q; MD5 %x", info.Tag, strong, info.MD5)
			}
			s.mu.Lock()
			s.data, s.time = content(3<<20), s.time.Add(time.Minute)
			if s.tag != "" {
				s.tag = strings.Replace(tag, "one", "two", 1)
			}
			s.mu.Unlock()
			_, err = obj.CopyRange(t.Context(), io.Discard, 0, -1)
			wantKind(t, "another version", err, tutti.KindUnavailable)
			if strong != "" {
				_, _, err = o.OpenRange(t.Context(), ref, 0, 10, strong)
				wantKind(t, "a range of another version", err, tutti.KindConflict)
			}
		})
	}
	t.Run("no ranges", func(t *testing.T) {
		o := (&lesser{data: old, time: time.Unix(1e9, 0), tag: `"one"`}).origin(t, "")
		r, _, err := o.OpenRange(t.Context(), ref, 0, 1000, "")
		must(t, err)
		defer r.Close()
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, old[:1000]) {
			t.Errorf("the beginning: %d bytes, %v", len(got), err)
		}
		_, _, err = o.OpenRange(t.Context(), ref, 1000, 1000, "")
		wantKind(t, "a part", err, tutti.KindUnavailable)
	})
}

func key(k string, size int) string {
	return fmt.Sprintf("<Contents><Key>%s</Key><LastModified>2001-09-09T01:46:40.000Z</LastModified><ETag>&quot;t&quot;</ETag><Size>%d</Size></Contents>", k, size)
}

func dir(k string) string { return "<CommonPrefixes><Prefix>" + k + "</Prefix></CommonPrefixes>" }

// TestStrangeKeys: keys that are no paths are left out; what stands for a directory is one.
func TestStrangeKeys(t *testing.T) {
	for what, c := range map[string]struct{ prefix, dir, keys, want string }{
		"no paths":        {"m", ".", key("m/", 0) + key("m/ok.mp3", 1) + key("m/..", 1) + key("m/.", 1) + dir("m//") + dir("m/../") + dir("m/./"), "ok.mp3 "},
		"outside":         {"m", ".", key("n/x.mp3", 1) + key("x.mp3", 1) + dir("n/") + dir("m"), ""},
		"deeper":          {"m", ".", key("m/a/b.mp3", 1) + dir("m/a/b/"), ""},
		"a stand-in":      {"", ".", key("a", 0) + dir("a/"), "a/ "},
		"both":            {"", ".", key("a", 5) + dir("a/"), "a "},
		"backslashes":     {"", ".", key(`a\..\x.mp3`, 1), `a\..\x.mp3 `},
		"encoded":         {"", "d d", "<EncodingType>url</EncodingType>" + key("d+d/%C3%BC+%2B%2F.mp3", 1) + key("d+d/%C3%BC+%2B.mp3", 1) + key("d+d/%zz.mp3", 1), "d d/ü +.mp3 "},
		"not encoded":     {"", "d+d", key("d+d/%C3%BC+%2B.mp3", 1), "d+d/%C3%BC+%2B.mp3 "},
		"not UTF-8":       {"", ".", "<EncodingType>url</EncodingType>" + key("R%F3s.mp3", 1), "R\uefF3s.mp3 "},
		"private letters": {"", ".", key("\uef80.mp3", 1), "\uefee\uefbe\uef80.mp3 "},
	} {
		t.Run(what, func(t *testing.T) {
			infos, err := (&lesser{keys: c.keys}).origin(t, c.prefix).List(t.Context(), "1", c.dir)
			must(t, err)
			var got strings.Builder
			for _, fi := range infos {
				fmt.Fprintf(&got, "%s%s ", fi.Path, map[bool]string{true: "/"}[fi.Dir])
			}
			if got.String() != c.want {
				t.Errorf("got %q, want %q", got.String(), c.want)
			}
		})
	}
	_, err := (&lesser{keys: "<IsTruncated>true</IsTruncated>" + key("a", 1)}).origin(t, "").List(t.Context(), "1", ".")
	wantKind(t, "a listing without an end", err, tutti.KindUnavailable)
}

// TestStoreComesAndGoes: a store that hangs, or dies, is told from one that answers within the time that was set, and
// used again as soon as it is back.
func TestStoreComesAndGoes(t *testing.T) {
	dir := t.TempDir()
	store, err := local.Start(t.Context(), local.Config{Dir: dir, Access: server.Access, Secret: server.Secret})
	must(t, err)
	t.Cleanup(func() { store.Close() })
	must(t, store.MakeBucket(t.Context(), "music"))
	want := content(2 << 20)
	must(t, store.Put(t.Context(), "music", "x.flac", want))
	o := open(t, s3.Config{
		Libraries: []s3.Library{{ID: "1", Name: "Music", Bucket: "music", Endpoint: store.URL}}, Clock: hurried{clock.System},
		ReplyTimeout: 300 * time.Millisecond, IdleTimeout: 300 * time.Millisecond,
	})
	ref := tutti.Ref{Library: "1", Path: "x.flac"}
	obj, err := o.Open(t.Context(), ref)
	must(t, err)
	defer obj.Close()
	copies := func() {
		t.Helper()
		var got bytes.Buffer
		if _, err := obj.CopyRange(deadline(t), &got, 0, -1); err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%d bytes, %v", got.Len(), err)
		}
	}
	away := func(what string, within time.Duration) {
		t.Helper()
		began := time.Now()
		_, _, err := o.OpenRange(deadline(t), ref, 0, 1<<20, "")
		wantKind(t, what, err, tutti.KindUnavailable)
		if took := time.Since(began); took > within {
			t.Errorf("%s: known after %v", what, took)
		}
	}
	copies()
	must(t, store.Signal(syscall.SIGSTOP))
	stopped(t, store.PID)
	away("a store that hangs", 2*time.Second)
	must(t, store.Signal(syscall.SIGCONT))
	copies()
	must(t, store.Signal(syscall.SIGKILL))
	<-store.Done()
	away("a store that is dead", time.Second)
	again, err := local.Start(t.Context(), local.Config{Dir: dir, Address: store.Address(), Access: store.Access, Secret: store.Secret})
	must(t, err)
	t.Cleanup(func() { again.Close() })
	copies()
}

// stopped waits until every thread of a process has stopped.
func stopped(t testing.TB, pid int) {
	t.Helper()
	for ctx := deadline(t); ; {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		must(t, err)
		running := len(tasks) == 0
		for _, file := range tasks {
			text, err := os.ReadFile(file)
			must(t, err)
			_, rest, _ := strings.Cut(string(text), ") ")
			running = running || !strings.HasPrefix(rest, "T")
		}
		if !running {
			return
		}
		must(t, ctx.Err())
		runtime.Gosched()
	}
}

// BenchmarkOpenRange fetches 1 MiB at a time, as fills of chunks do.
func BenchmarkOpenRange(b *testing.B) {
	name := bucket(b)
	put(b, name, "x.flac", content(1<<20))
	o := open(b, s3.Config{Libraries: []s3.Library{{ID: "1", Bucket: name}}})
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		r, _, err := o.OpenRange(b.Context(), tutti.Ref{Library: "1", Path: "x.flac"}, 0, 1<<20, "")
		must(b, err)
		_, err = io.Copy(io.Discard, r)
		must(b, err)
		must(b, r.Close())
	}
}
