package traffic

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tutti"
)

func config() Config {
	return Config{
		Seed: 7, Catalogue: NewCatalogue(7, 5000, 0.9, 256), Seats: 2000, AlbumRun: 0.5, Skip: 0.25, Sitting: 8,
	}
}

func TestPlayIsOrderedAndRepeatable(t *testing.T) {
	run := func() []Request { return slices.Collect(Play(config(), 10*time.Minute)) }
	one, two := run(), run()
	if !slices.Equal(one, two) {
		t.Fatal("the same seed gave other requests")
	}
	if len(one) == 0 || !slices.IsSortedFunc(one, func(a, b Request) int { return int(a.At - b.At) }) {
		t.Fatalf("%d requests, or not in order", len(one))
	}
	// 2,000 seats that fetch 256 kbit/s make 2,000 × 32,000 / 2^20 = 61 chunks a second; ends of tracks make some more.
	rate := float64(len(one)) / 600
	if rate < 61 || rate > 80 {
		t.Errorf("%.1f requests a second", rate)
	}
	starts := 0
	last := map[int32]Request{}
	cat := config().Catalogue
	for _, r := range one {
		if r.Chunk >= cat.ChunksOf(r.Track) {
			t.Fatalf("%+v: the track has %d chunks", r, cat.ChunksOf(r.Track))
		}
		before, met := last[r.Listener]
		if r.Start != (r.Chunk == 0 && r.Start) || met && !r.Start && (before.Track != r.Track || before.Chunk+1 != r.Chunk) {
			t.Fatalf("%+v follows %+v", r, before)
		}
		if r.Start {
			starts++
		}
		last[r.Listener] = r
	}
	if perHour := float64(starts) / 2000 * 6; perHour < 14 || perHour > 25 {
		t.Errorf("%.1f starts a listener and hour", perHour)
	}
}

func TestEvening(t *testing.T) {
	c := config()
	c.Active = Evening
	var night, evening int
	for r := range Play(c, 24*time.Hour) {
		switch int(r.At.Hours()) {
		case 4:
			night++
		case 20:
			evening++
		}
	}
	if ratio := float64(night) / float64(evening); ratio < 0.07 || ratio > 0.2 {
		t.Errorf("%d requests at four in the night, %d at eight in the evening", night, evening)
	}
}

func TestFlash(t *testing.T) {
	c := config()
	c.Flash = &Flash{At: 20 * time.Minute, Album: 100, Share: 0.5, HalfLife: 10 * time.Minute, Surge: 0.5, Ramp: time.Minute}
	var before, after, on int
	listeners := map[int32]bool{}
	for r := range Play(c, 25*time.Minute) {
		switch {
		case r.At < c.Flash.At:
			before++
			if int(r.Listener) >= c.Seats {
				t.Fatalf("%+v came before the release", r)
			}
		case r.At >= c.Flash.At+2*time.Minute:
			after++
			if c.Catalogue.album[r.Track] == 100 {
				on++
			}
		}
		listeners[r.Listener] = true
	}
	if len(listeners) != 3000 {
		t.Errorf("%d listeners, want 3,000", len(listeners))
	}
	if grew := float64(after) / 3 / (float64(before) / 20); grew < 1.35 || grew > 1.65 {
		t.Errorf("the rate grew %.2f times, want 1.5", grew)
	}
	if share := float64(on) / float64(after); share < 0.25 || share > 0.6 {
		t.Errorf("the release has a share of %.2f", share)
	}
}

func TestAliasFollowsItsWeights(t *testing.T) {
	weights := []float64{5, 1, 0, 3, 1}
	a := newAlias(weights)
	r := rand.New(rand.NewPCG(1, 1))
	const n = 200_000
	counts := make([]int, len(weights))
	for range n {
		counts[a.pick(r)]++
	}
	for i, w := range weights {
		if got, want := float64(counts[i])/n, w/10; math.Abs(got-want) > 0.006 {
			t.Errorf("%d: %.4f, want %.4f", i, got, want)
		}
	}
}

func TestReadPlays(t *testing.T) {
	got, err := ReadPlays(strings.NewReader("# a record\n200\tb\tsong two\n\n100\ta\tsong one\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Recorded{{100, "a", "song one"}, {200, "b", "song two"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, bad := range []string{"1\ta", "1\ta\tb\tc", "x\ta\tb", "-1\ta\tb", "1\t\tb", "1\ta\t", "99999999999999999999\ta\tb", strings.Repeat("x", maxLine+1)} {
		if _, err := ReadPlays(strings.NewReader(bad)); !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
}

func TestFromPlays(t *testing.T) {
	// The listener skips on after 40 s: two chunks of 33 s have begun to be heard. The second play is heard to its end.
	c, reqs := FromPlays([]Recorded{{1000, "a", "one"}, {1040, "a", "two"}, {1041, "b", "one"}}, 256)
	if c.Tracks() != 2 || c.Albums() != 2 {
		t.Fatalf("%d tracks, %d albums", c.Tracks(), c.Albums())
	}
	byPlay := map[[2]int32]int{}
	for _, r := range reqs {
		byPlay[[2]int32{r.Listener, r.Track}]++
	}
	want := map[[2]int32]int{{0, 0}: 2, {0, 1}: int(c.ChunksOf(1)), {1, 0}: int(c.ChunksOf(0))}
	if d := cmp.Diff(want, byPlay); d != "" {
		t.Error(d)
	}
	if !slices.IsSortedFunc(reqs, func(a, b Request) int { return int(a.At - b.At) }) {
		t.Error("not in order")
	}
	if c2, reqs2 := FromPlays(nil, 256); c2.Tracks() != 0 || len(reqs2) != 0 {
		t.Error("something came of nothing")
	}
}

func FuzzReadPlays(f *testing.F) {
	f.Add([]byte("100\ta\tsong one\n"))
	f.Add([]byte("# x\n\n5\tb\tä\n9\tb\tä\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		plays, err := ReadPlays(bytes.NewReader(b))
		if err != nil {
			if !tutti.IsKind(err, tutti.KindInvalid) {
				t.Fatal(err)
			}
			return
		}
		c, reqs := FromPlays(plays, 256)
		for _, r := range reqs {
			if r.Chunk >= c.ChunksOf(r.Track) || c.ChunkBytes(r.Track, r.Chunk) <= 0 {
				t.Fatalf("%+v", r)
			}
		}
	})
}
