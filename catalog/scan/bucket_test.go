package scan_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tutti"
	"tutti/audio/audiotest"
	"tutti/catalog/scan"
	"tutti/catalog/scan/scantest"
	"tutti/clock"
	"tutti/origin/s3"
	"tutti/origin/s3/local"
)

// counting counts what is asked of an object store.
type counting struct {
	*http.Transport
	mu    sync.Mutex
	lists int
	heads int
	gets  map[string]int // by key
	bytes map[string]int64
	fails func(*http.Request) bool // called under mu; nil: none does
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	fail := c.fails != nil && c.fails(r)
	c.mu.Unlock()
	if fail {
		return nil, errors.New("the connection failed, as the test says")
	}
	res, err := c.Transport.RoundTrip(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case r.Method == http.MethodHead:
		c.heads++
	case r.URL.Query().Has("list-type"):
		c.lists++
	default:
		c.gets[key]++
		if err == nil {
			res.Body = &metered{res.Body, c, key}
		}
	}
	return res, err
}

type metered struct {
	io.ReadCloser
	c   *counting
	key string
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	m.c.bytes[m.key] += int64(n)
	return n, err
}

func (c *counting) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lists, c.heads, c.gets, c.bytes = 0, 0, map[string]int{}, map[string]int64{}
}

func (c *counting) total() (gets int, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.gets {
		gets += c.gets[k]
		bytes += c.bytes[k]
	}
	return gets, bytes
}

// inBucket starts a real object store and returns an origin of a bucket that holds what is in dir, now and whenever upload is
// called.
func inBucket(t *testing.T, dir string) (o *s3.Origin, c *counting, upload func(), store *local.Server) {
	store, err := local.Start(t.Context(), local.Config{})
	must(t, err)
	t.Cleanup(func() { store.Close() })
	must(t, store.MakeBucket(t.Context(), "music"))
	upload = func() { must(t, store.Upload(t.Context(), "music", "all/", dir)) }
	upload()
	for _, v := range store.Env() {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	c = &counting{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(c.CloseIdleConnections)
	c.reset()
	o, err = s3.New(t.Context(), s3.Config{
		Libraries: []s3.Library{{ID: "1", Name: "Music", Bucket: "music", Prefix: "all", Endpoint: store.URL, PathStyle: true}},
		Clock:     clock.System, Transport: c,
	})
	must(t, err)
	t.Cleanup(func() { must(t, o.Close()) })
	return o, c, upload, store
}

// TestBucket scans one library, of every format, in a folder and in an object store: the tracks must be the same, at the
// price of a request or two for each of these small files, and of listings alone the second time.
func TestBucket(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a library with ffmpeg and mutagen")
	}
	ffprobe, err := exec.LookPath("ffprobe")
	must(t, err)
	with := func(c *scan.Config) { c.FFprobe = ffprobe }
	l := newLibrary(t, with)
	files := audiotest.Library(t, l.root)
	l.write("lists/all.m3u", []byte("../flac/16.flac\n../mp3/v1.mp3\n"))
	l.write("flac/cover.jpg", []byte("\xff\xd8 no picture"))
	l.scan(false)

	origin, cost, upload, store := inBucket(t, l.root)
	far := &library{t: t, root: l.root, clock: l.clock, book: scantest.NewBook()}
	restart := func() {
		var err error
		far.scanner, err = scan.New(scan.Config{Origin: origin, Book: far.book, Clock: far.clock, FFprobe: ffprobe})
		must(t, err)
	}
	restart()
	st := far.scan(false)
	if st.Failed != 0 {
		t.Errorf("in the bucket: %+v", st)
	}
	// What depends on where a file lies, and nothing else, may differ.
	plain := func(es []scan.Entry) map[string]scan.Entry {
		m := map[string]scan.Entry{}
		for _, e := range es {
			e.Inode, e.ModTime, e.Added, e.Version, e.Track.Added = 0, time.Time{}, time.Time{}, "", time.Time{}
			m[e.Path+"@"+e.Start.String()] = e
		}
		return m
	}
	if diff := cmp.Diff(plain(l.book.Entries()), plain(far.book.Entries())); diff != "" {
		t.Errorf("the bucket's tracks (+) are not the folder's (-):\n%s", diff)
	}
	gets, bytes := cost.total()
	dirs := 0
	must(t, filepath.WalkDir(l.root, func(_ string, d os.DirEntry, err error) error {
		if d.IsDir() {
			dirs++
		}
		return err
	}))
	t.Logf("%d files in %d directories: %d LIST, %d HEAD, %d GET, %d KiB", len(files), dirs, cost.lists, cost.heads, gets, bytes>>10)
	if cost.lists != dirs {
		t.Errorf("%d directories took %d listings", dirs, cost.lists)
	}
	if gets > 2*len(files) {
		t.Errorf("%d files took %d GETs", len(files), gets)
	}
	for key, n := range cost.gets {
		if n > 6 {
			t.Errorf("%s took %d GETs", key, n)
		}
	}

	cost.reset()
	if st = far.scan(false); st.Added+st.Changed+st.Moved+st.Missing+st.Failed != 0 || st.Seen == 0 {
		t.Errorf("nothing has changed, but: %+v", st)
	}
	if gets, _ := cost.total(); gets+cost.heads != 0 || cost.lists != dirs {
		t.Errorf("a second scan took %d LIST, %d HEAD and %d GET", cost.lists, cost.heads, gets)
	}
	cost.reset()
	restart() // another process, or the same after a restart
	if st = far.scan(false); st.Added+st.Changed+st.Moved+st.Missing != 0 {
		t.Errorf("after a restart: %+v", st)
	}

	// New tags around the same sound, moved as well: still the tracks that they were.
	ids := map[string]tutti.ID{}
	for _, e := range far.book.Entries() {
		ids[e.Path] = e.ID
	}
	audiotest.Retag(t, l.path("flac/16.flac"), l.path("mp3/v24-utf8.mp3"))
	must(t, os.MkdirAll(l.path("moved"), 0o755))
	must(t, os.Rename(l.path("mp3/v24-utf8.mp3"), l.path("moved/x.mp3")))
	upload()
	must(t, store.Remove(t.Context(), "music", "all/mp3/v24-utf8.mp3"))
	st = far.scan(false)
	if st.Moved != 1 || st.Added != 0 || st.Missing != 0 {
		t.Errorf("tagged anew and moved: %+v", st)
	}
	for p, was := range map[string]string{"flac/16.flac": "flac/16.flac", "moved/x.mp3": "mp3/v24-utf8.mp3"} {
		if e, _ := far.book.Entry(ids[was]); e.Path != p {
			t.Errorf("%s is at %q now, want %q", was, e.Path, p)
		}
	}

	// Other bytes of the same length: a title changed by one letter, put within the same second or not.
	data, err := os.ReadFile(l.path("wav/16.wav"))
	must(t, err)
	data[len(data)/2] ^= 1
	must(t, os.WriteFile(l.path("wav/16.wav"), data, 0o644))
	was, _ := far.book.Entry(ids["wav/16.wav"])
	must(t, store.Put(t.Context(), "music", "all/wav/16.wav", data))
	far.scan(false)
	if e, _ := far.book.Entry(ids["wav/16.wav"]); e.Version == was.Version && e.Path == was.Path {
		t.Error("other bytes of the same size were not noticed")
	}
}

// TestBucketCost measures what a first scan asks for of files of a usual size.
func TestBucketCost(t *testing.T) {
	if testing.Short() {
		t.Skip("makes minutes of sound with ffmpeg")
	}
	ffmpeg, err := exec.LookPath("ffmpeg")
	must(t, err)
	dir := t.TempDir()
	const seconds = 32
	limits := map[string]int{}
	for name, c := range map[string]struct {
		encoder string
		gets    int
	}{
		"cbr.mp3":    {"-c:a libmp3lame -b:a 320k", 4},
		"cd.flac":    {"-c:a flac -sample_fmt s16", 1},
		"vorbis.ogg": {"-c:a libvorbis -q:a 10", 2},
		"opus.opus":  {"-c:a libopus -b:a 450k", 2},
		"aac.m4a":    {"-c:a aac -b:a 400k", 2},
		"alac.m4a":   {"-c:a alac -sample_fmt s16p", 4},
		"cd.wav":     {"-c:a pcm_s16le", 4},
		"cd.aiff":    {"-c:a pcm_s16be", 4},
		"cd.wv":      {"-c:a wavpack -sample_fmt s16p", 4},
	} {
		args := append([]string{"-v", "error", "-f", "lavfi", "-i", fmt.Sprintf("anoisesrc=d=%d:c=pink:r=44100:a=0.3", seconds), "-ac", "2", "-metadata", "title=" + name}, strings.Fields(c.encoder)...)
		out, err := exec.Command(ffmpeg, append(args, filepath.Join(dir, name))...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		limits["all/"+name] = c.gets
	}
	origin, cost, _, _ := inBucket(t, dir)
	scanner, err := scan.New(scan.Config{Origin: origin, Book: scantest.NewBook(), Clock: clock.System})
	must(t, err)
	st, err := scanner.ScanOnce(t.Context(), false, nil)
	must(t, err)
	if st.Failed != 0 || st.Added != int64(len(limits)) {
		t.Errorf("%+v", st)
	}
	for key, limit := range limits {
		info, err := os.Stat(filepath.Join(dir, path.Base(key)))
		must(t, err)
		t.Logf("%-12s %6d KiB: %d GET, %4d KiB", path.Base(key), info.Size()>>10, cost.gets[key], cost.bytes[key]>>10)
		if cost.gets[key] > limit || cost.bytes[key] > 1<<20 {
			t.Errorf("%s took %d GETs and %d bytes, want %d and at most 1 MiB", key, cost.gets[key], cost.bytes[key], limit)
		}
	}
}

// TestBucketIsNotWatched: a library that can never be watched is not walked every few minutes for it.
func TestBucketIsNotWatched(t *testing.T) {
	origin, cost, _, _ := inBucket(t, t.TempDir())
	l := &library{t: t, clock: clock.NewFake(epoch), book: scantest.NewBook()}
	var err error
	l.scanner, err = scan.New(scan.Config{Origin: origin, Book: l.book, Clock: l.clock, Watch: true, Interval: time.Hour})
	must(t, err)
	stop := l.run(t)
	l.clock.WaitForTimers(1) // that of the interval
	l.clock.Advance(time.Hour)
	for st := l.scanner.Status(); st.Scanning || st.Finished.IsZero(); st = l.scanner.Status() {
		must(t, t.Context().Err())
		runtime.Gosched()
	}
	stop()
	if cost.lists != 1 || cost.heads != 0 {
		t.Errorf("one scan of an empty bucket took %d listings and %d HEADs", cost.lists, cost.heads)
	}
}

// TestBucketAway: an object store that is away says nothing of the music in it. The tracks stay, and it is tried again
// before the next scan is due.
func TestBucketAway(t *testing.T) {
	l := newLibrary(t, nil)
	const tracks, years = 240, 20 * 365 * 24 * time.Hour
	l.fill(tracks / 4) // in 184 directories
	origin, cost, _, store := inBucket(t, l.root)
	book := scantest.NewBook()
	far := &library{t: t, clock: l.clock, book: book}
	failing := func(*http.Request) bool { return false }
	cost.fails = func(r *http.Request) bool { return failing(r) }
	restart := func() {
		var err error
		far.scanner, err = scan.New(scan.Config{Origin: origin, Book: book, Clock: far.clock, AtStart: true, Interval: years, Workers: 1, Logger: slog.New(slog.DiscardHandler)})
		must(t, err)
	}
	restart()

	// It goes away after the listing of some directories, and after the reading of some files.
	for what, kind := range map[string]func(*http.Request) bool{
		"listings": func(r *http.Request) bool { return r.URL.Query().Has("list-type") },
		"files":    func(r *http.Request) bool { return !r.URL.Query().Has("list-type") },
	} {
		n := 0
		failing = func(r *http.Request) bool {
			if kind(r) {
				n++
			}
			return n > 10 && kind(r)
		}
		if _, err := far.scanner.ScanOnce(t.Context(), false, nil); !tutti.IsKind(err, tutti.KindUnavailable) {
			t.Errorf("%s fail, and the scan ends with %v", what, err)
		}
	}
	failing = func(*http.Request) bool { return false }
	if st := far.scan(false); st.Failed != 0 || book.TrackCount("1") != tracks {
		t.Fatalf("when it is back: %d tracks, %+v", book.TrackCount("1"), st)
	}

	must(t, store.Close())
	if _, err := far.scanner.ScanOnce(t.Context(), false, nil); !tutti.IsKind(err, tutti.KindUnavailable) {
		t.Errorf("without a store the scan ends with %v", err)
	}
	if n := book.TrackCount("1"); n != tracks {
		t.Errorf("%d of %d tracks are left when the store is away", n, tracks)
	}
	restart()
	finished := func(ok bool, meanwhile func()) {
		t.Helper()
		for {
			must(t, t.Context().Err())
			if st := far.scanner.Status(); !st.Scanning && !st.Finished.IsZero() && (st.Error == "") == ok {
				return
			}
			meanwhile()
		}
	}
	stop := far.run(t)
	finished(false, runtime.Gosched)
	again, err := local.Start(t.Context(), local.Config{Dir: store.Dir, Address: store.Address(), Access: store.Access, Secret: store.Secret})
	must(t, err)
	t.Cleanup(func() { again.Close() })
	must(t, again.MakeBucket(t.Context(), "music"))
	must(t, again.Upload(t.Context(), "music", "all/", l.root))
	began := far.clock.Now()
	finished(true, func() { // the timer is set some time after the scan has ended
		if far.clock.Now().Sub(began) > 10*24*time.Hour {
			t.Fatal("it is not tried again before the next scan is due")
		}
		far.clock.Advance(time.Minute)
		time.Sleep(time.Millisecond)
	})
	stop()
	if n := book.TrackCount("1"); n != tracks {
		t.Errorf("%d of %d tracks when the store is back", n, tracks)
	}
}
