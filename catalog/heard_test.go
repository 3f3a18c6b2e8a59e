package catalog_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"tutti"
	"tutti/audio/analyse"
	"tutti/catalog"
	"tutti/catalog/catalogtest"
	"tutti/catalog/scan"
)

// rowOf is what is heard in a track that lies at an angle, in degrees, among the others.
func rowOf(angle, loudness, peak float64) []byte {
	r := analyse.Result{Loudness: loudness, Range: 7, TruePeak: peak, Tempo: 96.04, TempoClarity: .4, Key: 18, KeyClarity: .8}
	r.Embedding[3], r.Embedding[40] = int8(math.Round(100*math.Cos(angle*math.Pi/180))), int8(math.Round(100*math.Sin(angle*math.Pi/180)))
	row := r.Row()
	return row[:]
}

func (d *desk) heard(t testing.TB, id tutti.ID, row []byte) {
	t.Helper()
	e, ok := d.Entry(id)
	if !ok {
		t.Fatalf("%s is not known", id)
	}
	if err := d.Apply(context.Background(), []scan.Change{{Heard: &scan.Heard{Track: id, Fingerprint: e.Fingerprint, Row: row}}}); err != nil {
		t.Fatal(err)
	}
}

func (d *desk) track(t testing.TB, id tutti.ID) tutti.Track {
	t.Helper()
	list, err := d.TracksByID(context.Background(), she, []tutti.ID{id})
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	return list[0]
}

func titles(list []tutti.SonicMatch) (s string) {
	for i, m := range list {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprintf("%s %.2f", m.Track.Title, m.Similarity)
	}
	return s
}

// TestHeard says what was heard in tracks, and asks about it: now, after a restart from the log, and from a snapshot.
func TestHeard(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t)
	ids := six(t, d)
	if x := d.track(t, ids[0]); x.Sound != nil || x.BPM != 0 || !x.Gain.IsZero() {
		t.Fatalf("nobody has listened: %+v", x)
	}
	// Odd (1, 3, 5) at 0, 60 and 120 degrees, Even (2, 4, 6) at 30, 90 and 150.
	for i, id := range ids {
		d.heard(t, id, rowOf(float64(30*i), -14-float64(i), -1))
	}
	// Tags win, as a whole.
	tagged := entryOf(7, args{"album": "Odd", "artist": "A"})
	gain := -3.5
	tagged.Gain.Track, tagged.BPM = &gain, 120
	if err := d.Apply(ctx, []scan.Change{{Put: tagged}}); err != nil {
		t.Fatal(err)
	}
	check := func(t *testing.T) {
		x := d.track(t, ids[0])
		if s := x.Sound; s == nil || s.Loudness != -14 || s.Range != 7 || s.TruePeak != -1 || s.Key != "F#m" || s.Tempo != 96.04 || x.BPM != 96 {
			t.Errorf("%+v %+v", x.Sound, x)
		}
		if g := x.Gain; g.Track == nil || *g.Track != -4 || *g.TrackPeak != .891251 || g.Album != nil {
			t.Errorf("gain %+v: one track of the album was not listened to", g)
		}
		// Even is all there: -15, -17 and -19 LUFS of the same length.
		mean := 10 * math.Log10((math.Pow(10, -1.5)+math.Pow(10, -1.7)+math.Pow(10, -1.9))/3)
		if g := d.track(t, ids[1]).Gain; g.Album == nil || math.Abs(*g.Album-(-18-mean)) > .01 || *g.AlbumPeak != .891251 {
			t.Errorf("gain of an album %+v, want %.2f", g, -18-mean)
		}
		if x := d.track(t, tagged.ID); x.Sound != nil || x.BPM != 120 || *x.Gain.Track != -3.5 {
			t.Errorf("%+v", x)
		}
		similar := func(v tutti.Viewer, id tutti.ID, n int, want string) {
			t.Helper()
			if list, err := d.SonicSimilar(ctx, v, id, n); err != nil || titles(list) != want {
				t.Errorf("%s, %v; want %s", titles(list), err, want)
			}
		}
		similar(she, ids[0], 3, "Track 2 0.98, Track 3 0.91, Track 4 0.83")
		similar(halfs, ids[5], 9, "Track 4 0.91, Track 2 0.76")
		similar(she, tagged.ID, 9, "")
		_, err := d.SonicSimilar(ctx, halfs, ids[0], 3)
		wantKind(t, err, tutti.KindNotFound)

		path := func(from, to tutti.ID, n int, want string) {
			t.Helper()
			if list, err := d.SonicPath(ctx, she, from, to, n); err != nil || titles(list) != want {
				t.Errorf("%s, %v; want %s", titles(list), err, want)
			}
		}
		path(ids[0], ids[4], 5, "Track 1 1.00, Track 2 0.98, Track 3 0.91, Track 4 0.83, Track 5 0.76")
		path(ids[0], ids[0], 5, "Track 1 1.00")
		path(ids[0], tagged.ID, 5, "Track 1 1.00, Track 7 -1.00")
		_, err = d.SonicPath(ctx, halfs, ids[1], ids[0], 5)
		wantKind(t, err, tutti.KindNotFound)

		// By genre and artist alone, 3 and 5 would be as much like 1 as each other.
		if list, err := d.Similar(ctx, she, ids[0], 3); err != nil || len(list) != 3 || list[0].ID != ids[2] {
			t.Errorf("%v, %v", list, err)
		}
		if s, err := d.ScanStatus(ctx); err != nil || s.Heard != 6 {
			t.Errorf("%d were heard", s.Heard)
		}
	}
	check(t)
	d.reopen(t)
	t.Run("from the log", check)
	if err := d.Snapshot(ctx); err != nil {
		t.Fatal(err)
	}
	d.reopen(t)
	t.Run("from a snapshot", check)

	// New tags leave what was heard; new sound does not. A row is of the sound and of the version that we know.
	e, _ := d.Entry(ids[0])
	e.Title = "Renamed"
	if err := d.Apply(ctx, []scan.Change{{Put: &e}}); err != nil {
		t.Fatal(err)
	}
	if d.track(t, ids[0]).Sound == nil {
		t.Error("a new title made us forget the sound")
	}
	was := e.Fingerprint
	e.Fingerprint[0] ^= 1
	if err := d.Apply(ctx, []scan.Change{{Put: &e}, {Heard: &scan.Heard{Track: e.ID, Fingerprint: was, Row: rowOf(0, -9, 0)}}}); err != nil {
		t.Fatal(err)
	}
	if s := d.track(t, ids[0]).Sound; s != nil {
		t.Errorf("another sound was heard: %+v", s)
	}
	old := rowOf(0, -9, 0)
	old[0]++
	wantKind(t, d.Apply(ctx, []scan.Change{{Heard: &scan.Heard{Track: ids[0], Fingerprint: e.Fingerprint, Row: old}}}), tutti.KindInvalid)
	if list, err := d.SonicSimilar(ctx, she, ids[2], 9); err != nil || len(list) != 4 {
		t.Errorf("%s, %v", titles(list), err)
	}
}

// jobs keeps what is handed over, to be run by the test.
type jobs struct {
	tutti.JobLog
	given chan tutti.Job
}

func (j jobs) Cancel(context.Context, string) error { return nil }

func (j jobs) HandOver(_ context.Context, job tutti.Job) error {
	j.given <- job
	return nil
}

// stereo is a track cache in which every track sounds like a row.
type stereo struct {
	tutti.TrackCache
	mu    sync.Mutex
	asked map[string]int
	err   map[string]error // by path, once
}

func (s *stereo) Open(_ context.Context, r tutti.Ref) (tutti.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Profile.Format != "analysis" {
		return nil, tutti.Errorf(tutti.KindInvalid, "stereo", "nobody asks for %s", r.Profile)
	}
	s.asked[r.Path]++
	if err := s.err[r.Path]; err != nil {
		delete(s.err, r.Path)
		return nil, err
	}
	r1, err := analyse.ParseRow(rowOf(10, -20, -3))
	if err != nil {
		return nil, err
	}
	f := analyse.Full{Result: r1}
	return heardObject{bytes.NewReader(f.Bytes())}, nil
}

type heardObject struct{ *bytes.Reader }

func (o heardObject) Size() int64         { return -1 }
func (o heardObject) ModTime() time.Time  { return start }
func (o heardObject) ContentType() string { return "application/octet-stream" }
func (o heardObject) Close() error        { return nil }
func (o heardObject) CopyRange(_ context.Context, w io.Writer, off, n int64) (int64, error) {
	if _, err := o.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	if n < 0 {
		return io.Copy(w, o.Reader)
	}
	return io.CopyN(w, o.Reader, n)
}

// TestListening has the catalogue listen to what it has, and to what comes.
func TestListening(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	given := jobs{given: make(chan tutti.Job, 1)}
	cache := &stereo{asked: map[string]int{}, err: map[string]error{
		"Odd/01.flac": tutti.Errorf(tutti.KindExhausted, "stereo", "busy"),
		"Odd/03.flac": tutti.Errorf(tutti.KindUnavailable, "stereo", "broken"),
	}}
	d := newDesk(t, func(c *catalog.Config) {
		c.Cache = cache
		c.Listening = catalog.Listening{Jobs: given, Skips: func(library string) bool { return library == "2" }}
		c.NewScanner = func(scan.Book) (catalog.Scanner, error) { return idle{}, nil }
	})
	ids := six(t, d)
	var running sync.WaitGroup
	running.Go(func() {
		if err := d.Run(ctx); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	})
	defer running.Wait()
	defer stop()
	next := func() tutti.Job {
		for {
			select {
			case j := <-given.given:
				return j
			case <-ctx.Done():
				t.Fatal("no job came")
			case <-time.After(time.Millisecond):
				d.clock.Advance(time.Second)
			}
		}
	}
	j := next()
	if j.Name != "analyse" || j.Kind != tutti.JobAnalyse || j.Duration != 15*time.Second || j.Energy != 75 {
		t.Errorf("%+v", j)
	}
	done := make(chan error)
	go func() { done <- j.Run(ctx) }()
	for ended := false; !ended; { // the cache is busy at first
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			ended = true
		case <-time.After(time.Millisecond):
			d.clock.Advance(time.Second)
		}
	}
	if cache.asked["Odd/01.flac"] != 2 || cache.asked["Odd/03.flac"] != 1 || cache.asked["Odd/05.flac"] != 1 || len(cache.asked) != 3 {
		t.Errorf("%v", cache.asked)
	}
	if d.track(t, ids[0]).Sound == nil || d.track(t, ids[2]).Sound != nil || d.track(t, ids[4]).Sound == nil {
		t.Error("what was heard is not there")
	}
	// What failed waits for the next start; what comes is listened to.
	seven := entryOf(7, args{"album": "Odd"})
	if err := d.Apply(ctx, []scan.Change{{Put: seven}}); err != nil {
		t.Fatal(err)
	}
	if err := next().Run(ctx); err != nil {
		t.Fatal(err)
	}
	if cache.asked[seven.Path] != 1 || cache.asked["Odd/03.flac"] != 1 || d.track(t, seven.ID).Sound == nil {
		t.Errorf("%v", cache.asked)
	}
}

// idle is a scanner that finds nothing.
type idle struct{ catalog.Scanner }

func (idle) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (idle) Outstanding() bool { return false }

func (idle) Watch(ctx context.Context, _ func(tutti.ScanStatus) error) error {
	<-ctx.Done()
	return nil
}

// BenchmarkSonic compares one track with all others, and says what they take in memory.
func BenchmarkSonic(b *testing.B) {
	ctx := context.Background()
	for _, n := range sizes(b) {
		d := newDesk(b)
		rng := rand.New(rand.NewPCG(1, 2))
		var ids []tutti.ID
		var batch []scan.Change
		flush := func() {
			if err := d.Apply(ctx, batch); err != nil {
				b.Fatal(err)
			}
			batch = nil
		}
		entries := map[tutti.ID]scan.Fingerprint{}
		for e := range catalogtest.Synthetic(n) {
			ids = append(ids, e.ID)
			entries[e.ID] = e.Fingerprint
			if batch = append(batch, scan.Change{Put: &e}); len(batch) == 400 {
				flush()
			}
		}
		flush()
		before := heap()
		for _, id := range ids {
			r := analyse.Result{Loudness: -14, Tempo: 60 + 100*rng.Float64(), Key: rng.IntN(24)}
			for i := range r.Embedding {
				r.Embedding[i] = int8(min(max(40*rng.NormFloat64(), -127), 127))
			}
			row := r.Row()
			if batch = append(batch, scan.Change{Heard: &scan.Heard{Track: id, Fingerprint: entries[id], Row: row[:]}}); len(batch) == 400 {
				flush()
			}
		}
		flush()
		held := heap() - before
		for name, ask := range map[string]func(i int) error{
			"similar": func(i int) error { _, err := d.SonicSimilar(ctx, she, ids[i], 50); return err },
			"path":    func(i int) error { _, err := d.SonicPath(ctx, she, ids[i], ids[i+1], 25); return err },
			"radio":   func(i int) error { _, err := d.Similar(ctx, she, ids[i], 50); return err },
		} {
			b.Run(name+"/"+strconv.Itoa(n), func(b *testing.B) {
				i, began := 0, cpu(b)
				for b.Loop() {
					if err := ask(i); err != nil {
						b.Fatal(err)
					}
					i = (i + 7919) % (len(ids) - 1)
				}
				b.ReportMetric((cpu(b)-began)*1e3/float64(b.N), "cpu-ms/op")
				b.ReportMetric(held/float64(len(ids)), "B/track")
			})
		}
	}
}
