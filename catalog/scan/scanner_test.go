package scan_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"tutti"
	"tutti/catalog/scan"
	"tutti/catalog/scan/scantest"
	"tutti/clock"
)

// fill writes albums of tracks of two discs, with a cue sheet, a playlist and copies among them.
func (l *library) fill(albums int) {
	l.t.Helper()
	for a := range albums {
		for n := range 4 {
			l.write(fmt.Sprintf("artist %d/album %d/CD%d/%d.flac", a%3, a, n%2+1, n), sound(l.t, a*10+n, 1, false, []string{
				fmt.Sprintf("TITLE=%d", n), fmt.Sprintf("ARTIST=artist %d", a%3), fmt.Sprintf("ALBUM=album %d", a),
			}))
		}
	}
}

// TestKilledAtAnyApply ends the scan at each call of Apply in turn and scans again with a new scanner, as after kill
// -9: the result must be that of an undisturbed scan, and what was applied before is not read again.
func TestKilledAtAnyApply(t *testing.T) {
	killed := errors.New("killed")
	build := func(t *testing.T) *library {
		l := newLibrary(t, nil)
		l.fill(300) // 1,200 tracks: three batches
		return l
	}
	want := build(t)
	want.scan(false)
	applies := want.book.Applied()
	if applies < 3 {
		t.Fatalf("only %d batches", applies)
	}
	for at := range applies {
		book := scantest.NewBook()
		want.book, book = book, want.book
		want.restart(nil)
		want.book.BeforeApply = func(n int) error {
			if n == at {
				return killed
			}
			return nil
		}
		if _, err := want.scanner.ScanOnce(t.Context(), false, nil); !errors.Is(err, killed) {
			t.Fatalf("killed at %d: %v", at, err)
		}
		done := len(want.book.Entries())
		want.book.BeforeApply = nil
		want.restart(nil)
		st := want.scan(false)
		if int(st.Added) != 1200-done || st.Changed+st.Moved+st.Missing != 0 {
			t.Errorf("killed at %d with %d tracks applied; then %+v", at, done, st)
		}
		if got := want.book.Entries(); !reflect.DeepEqual(got, book.Entries()) {
			t.Errorf("killed at %d: the book differs from that of an undisturbed scan", at)
		}
		if again := want.scan(false); again.Added+again.Changed+again.Moved+again.Missing != 0 {
			t.Errorf("a third scan found something: %+v", again)
		}
		want.book = book
	}
}

// TestWorkersDoNotMatter scans with one worker and with many, among them exact copies, which get their ordinals in
// order.
func TestWorkersDoNotMatter(t *testing.T) {
	l := newLibrary(t, func(c *scan.Config) { c.Workers = 1 })
	l.fill(20)
	for i := range 10 {
		l.write(fmt.Sprintf("copies/%d/x.flac", i), sound(t, 1, 1, false, []string{"TITLE=copy"}))
	}
	l.scan(false)
	want := l.book.Entries()
	for range 5 {
		l.book = scantest.NewBook()
		l.restart(func(c *scan.Config) { c.Workers = 8 })
		l.scan(false)
		if !reflect.DeepEqual(l.book.Entries(), want) {
			t.Fatal("the book depends on which worker is faster")
		}
	}
}

// TestCopiesAcrossBatches scans more copies of one sound than a batch holds: each is a track of its own, also the one
// with which a batch begins.
func TestCopiesAcrossBatches(t *testing.T) {
	const copies = 600
	l := newLibrary(t, nil)
	data := sound(t, 1, 1, false, []string{"TITLE=copy"})
	for i := range copies {
		l.write(fmt.Sprintf("copies/%04d.flac", i), data)
	}
	if st := l.scan(false); st.Added != copies || st.Tracks != copies {
		t.Errorf("%d copies gave %d new tracks, %d in all", copies, st.Added, st.Tracks)
	}
	if n := len(l.book.Entries()); n != copies {
		t.Errorf("the book has %d tracks of %d copies", n, copies)
	}
	if st := l.scan(false); st.Added+st.Changed+st.Moved+st.Missing != 0 {
		t.Errorf("a second scan found something: %+v", st)
	}
}

func TestCancelledScan(t *testing.T) {
	l := newLibrary(t, nil)
	l.fill(50)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := l.scanner.ScanOnce(ctx, false, func(st tutti.ScanStatus) { cancel() })
	st := l.scanner.Status()
	if st.Scanning || (err != nil && !errors.Is(err, context.Canceled)) {
		t.Errorf("%v, %+v", err, st)
	}
	l.scan(false)
	if n := l.book.TrackCount("1"); n != 200 {
		t.Errorf("%d tracks after a scan that followed a cancelled one", n)
	}
}

// run starts Run, and returns what ends it and waits for it.
func (l *library) run(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.scanner.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// finished waits until a scan has ended after which cond holds.
func (l *library) finished(t *testing.T, what string, cond func(tutti.ScanStatus) bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		if st := l.scanner.Status(); !st.Scanning && !st.Finished.IsZero() && cond(st) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %+v\n%s", what, l.scanner.Status(), l.log.String())
		}
		time.Sleep(time.Millisecond)
	}
}

func (l *library) tracks(n int) func(tutti.ScanStatus) bool {
	return func(tutti.ScanStatus) bool { return l.book.TrackCount("1") == n }
}

func TestRunOnRequestAndOnSchedule(t *testing.T) {
	l := newLibrary(t, nil)
	l.restart(func(c *scan.Config) { c.AtStart, c.Interval = true, time.Hour })
	l.write("1.flac", sound(t, 1, 1, false, nil))
	stop := l.run(t)
	defer stop()
	l.finished(t, "the scan at the start", l.tracks(1))

	l.write("2.flac", sound(t, 2, 1, false, nil))
	if st, err := l.scanner.Scan(t.Context(), false); err != nil || !st.Scanning {
		t.Errorf("Scan = %+v, %v", st, err)
	}
	l.finished(t, "a scan on request", l.tracks(2))

	l.write("3.flac", sound(t, 3, 1, false, nil))
	l.clock.WaitForTimers(1)
	l.clock.Advance(59 * time.Minute)
	if n := l.book.TrackCount("1"); n != 2 {
		t.Errorf("%d tracks before the hour was over", n)
	}
	l.clock.Advance(time.Minute)
	l.finished(t, "a scan on schedule", l.tracks(3))
}

// TestWatching changes files under a running scanner with the machine's own clock and a short debounce.
func TestWatching(t *testing.T) {
	l := newLibrary(t, nil)
	l.restart(func(c *scan.Config) {
		c.Clock, c.AtStart, c.Watch, c.Debounce = clock.System, true, true, 20*time.Millisecond
	})
	l.write("A/1.flac", sound(t, 1, 1, false, []string{"ARTIST=A", "ALBUM=A"}))
	stop := l.run(t)
	defer stop()
	l.finished(t, "the scan at the start", l.tracks(1))
	// The watch may begin after that scan: go on until a change is noticed by itself.
	for i := 2; l.book.TrackCount("1") == 1; i++ {
		l.write("A/2.flac", sound(t, i, 1, false, []string{"ARTIST=A", "ALBUM=A"}))
		time.Sleep(5 * time.Millisecond)
	}
	id := l.book.Entries()[0].ID

	l.write("B/CD1/1.flac", sound(t, 100, 1, false, nil))
	l.write("B/CD2/1.flac", sound(t, 101, 1, false, nil))
	l.finished(t, "new directories", l.tracks(4))
	must(t, os.Rename(l.path("A"), l.path("C")))
	l.finished(t, "a moved directory", func(tutti.ScanStatus) bool {
		e, _ := l.book.Entry(id)
		return e.Path == "C/1.flac" && !e.Missing && l.book.TrackCount("1") == 4
	})
	l.write("B/cover.jpg", []byte("x"))
	l.finished(t, "a picture for both discs", func(tutti.ScanStatus) bool {
		n := 0
		for _, e := range l.book.Entries() {
			if e.CoverPath == "B/cover.jpg" {
				n++
			}
		}
		return n == 2
	})
	l.write("C/l.m3u", []byte("1.flac\n"))
	l.finished(t, "a playlist", func(tutti.ScanStatus) bool { return len(l.book.Playlists("1")) == 1 })
	must(t, os.Remove(l.path("C/l.m3u")))
	l.finished(t, "its removal", func(tutti.ScanStatus) bool { return len(l.book.Playlists("1")) == 0 })
	must(t, os.RemoveAll(l.path("B")))
	l.finished(t, "a removed directory", l.tracks(2))
}

// TestWatchStatus follows a scan: the first call is at once, and none comes while nothing happens.
func TestWatchStatus(t *testing.T) {
	l := newLibrary(t, nil)
	l.write("1.flac", sound(t, 1, 1, false, nil))
	enough := errors.New("enough")
	calls := make(chan tutti.ScanStatus, 100)
	ended := make(chan error, 1)
	go func() {
		ended <- l.scanner.Watch(t.Context(), func(st tutti.ScanStatus) error {
			calls <- st
			if st.Phase == "done" {
				return enough
			}
			return nil
		})
	}()
	if st := <-calls; st.Scanning || st.Phase != "" {
		t.Errorf("before any scan: %+v", st)
	}
	l.scan(false)
	l.clock.WaitForTimers(1) // Watch waits a quarter of a second before it looks again
	if n := len(calls); n != 0 {
		t.Errorf("%d calls within a quarter of a second", n)
	}
	l.clock.Advance(250 * time.Millisecond)
	if st := <-calls; st.Scanning || st.Added != 1 || st.Tracks != 1 || st.Total != 1 {
		t.Errorf("at the end: %+v", st)
	}
	if err := <-ended; !errors.Is(err, enough) {
		t.Errorf("Watch: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	l := newLibrary(t, nil)
	for name, c := range map[string]scan.Config{
		"nothing":       {},
		"a bad pattern": {Origin: l.origin, Book: l.book, Clock: l.clock, Covers: []string{"[x"}},
	} {
		if _, err := scan.New(c); !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// BenchmarkScan reads 5,000 real files with a warm page cache: the bar is 0.5 ms of CPU a file. BenchmarkRescan looks
// at 50,000 files of which none changed: the bar is 50,000 a second.
func BenchmarkScan(b *testing.B) {
	l := newLibrary(b, nil)
	const files = 5000
	for i := range files {
		l.write(fmt.Sprintf("artist %d/album %d/%02d.flac", i/100, i/10, i%10), sound(b, i, 1, false, []string{
			"TITLE=" + strings.Repeat("title ", 3), fmt.Sprintf("ARTIST=artist %d", i/100), fmt.Sprintf("ALBUM=album %d", i/10), "DATE=2001-02-03",
			"GENRE=Rock", "GENRE=Pop", fmt.Sprint("TRACKNUMBER=", i%10), "COMPOSER=somebody", "MUSICBRAINZ_TRACKID=11111111-1111-1111-1111-111111111111",
		}))
	}
	b.ResetTimer()
	cpu := cpuTime(b)
	for range b.N {
		l.book = scantest.NewBook()
		l.restart(nil)
		if st := l.scan(false); st.Added != files {
			b.Fatalf("%+v", st)
		}
	}
	b.ReportMetric(float64(files*b.N)/b.Elapsed().Seconds(), "files/s")
	b.ReportMetric((cpuTime(b)-cpu).Seconds()*1000/float64(files*b.N), "cpu-ms/file")
}

func BenchmarkRescan(b *testing.B) {
	l := newLibrary(b, nil)
	const files = 50_000
	data := sound(b, 1, 1, false, []string{"ARTIST=a", "ALBUM=b"})
	for i := range files {
		copy(data[26:30], []byte{byte(i), byte(i >> 8), byte(i >> 16), 1}) // part of the MD5 in STREAMINFO: each is another sound
		l.write(fmt.Sprintf("artist %d/album %d/%02d - a track's name.flac", i/120, i/12, i%12), data)
	}
	l.scan(false)
	b.ResetTimer()
	for range b.N {
		if st := l.scan(false); st.Seen != files || st.Added+st.Changed+st.Missing != 0 {
			b.Fatalf("%+v", st)
		}
	}
	b.ReportMetric(float64(files*b.N)/b.Elapsed().Seconds(), "files/s")
}

// TestLibraryThatComesBack takes the root of a watched library away and brings it back: both are noticed long before
// the watch of one that cannot be watched is tried again, and so is what changes afterwards.
func TestLibraryThatComesBack(t *testing.T) {
	l := newLibrary(t, nil)
	l.restart(func(c *scan.Config) { c.AtStart, c.Watch = true, true })
	l.write("1.flac", sound(t, 1, 1, false, nil))
	stop := l.run(t)
	defer stop()
	l.finished(t, "the scan at the start", l.tracks(1))
	soon := func(what string, n int, meanwhile func()) {
		t.Helper()
		began := l.clock.Now()
		for deadline := time.Now().Add(20 * time.Second); l.book.TrackCount("1") != n; {
			// Far more than it takes, since the clock here runs ahead of the system's events.
			if past := l.clock.Now().Sub(began); past > 9*time.Minute || time.Now().After(deadline) {
				t.Fatalf("%s: %d tracks after %s", what, l.book.TrackCount("1"), past)
			}
			meanwhile()
			time.Sleep(10 * time.Millisecond) // real events of the system's
			if !l.scanner.Status().Scanning {
				l.clock.Advance(time.Second)
			}
		}
	}
	soon("the watch", 2, func() { l.write("2.flac", sound(t, 2, 1, false, nil)) })
	for round := range 2 {
		must(t, os.Rename(l.root, l.root+"-away"))
		soon("a library that went away", 0, func() {})
		must(t, os.Rename(l.root+"-away", l.root))
		soon("a library that came back", 2+round, func() {})
		n := 3 + round
		soon("a change after that", n, func() { l.write(fmt.Sprintf("%d.flac", n), sound(t, n, 1, false, nil)) })
	}
	// What is mounted over a directory is another directory at its place, of which no event tells.
	must(t, os.Rename(l.root, l.root+"-away"))
	must(t, os.Mkdir(l.root, 0o755))
	for n := range 6 {
		l.write(fmt.Sprintf("%d.flac", n+10), sound(t, n+10, 1, false, nil))
	}
	soon("another directory", 6, func() {})
}
