package tutti

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestProfileNames: equal profiles have equal names and different ones different names, since caches are keyed by them.
func TestProfileNames(t *testing.T) {
	draw := rapid.Custom(func(t *rapid.T) Profile {
		return Profile{
			Format:   rapid.SampledFrom([]string{"", "mp3", "opus", "flac", "jpeg"}).Draw(t, "format"),
			BitRate:  rapid.IntRange(0, 2).Draw(t, "rate") * 64,
			Rate:     rapid.IntRange(0, 1).Draw(t, "hz") * 44100,
			Channels: rapid.IntRange(0, 2).Draw(t, "channels"),
			BitDepth: rapid.IntRange(0, 1).Draw(t, "depth") * 16,
			Offset:   time.Duration(rapid.IntRange(0, 2).Draw(t, "offset")) * 250 * time.Millisecond,
			Pixels:   rapid.IntRange(0, 2).Draw(t, "pixels") * 300,
			Cover:    rapid.Bool().Draw(t, "cover"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		if (a == b) != (a.String() == b.String()) {
			t.Fatalf("%+v is %q, %+v is %q", a, a, b, b)
		}
	})
}

func TestChunkKeys(t *testing.T) {
	r := Ref{Version: "v1", Profile: Profile{Format: "opus", BitRate: 128}}
	if got := r.ChunkKey(3); got != "v1#opus-128#3" {
		t.Errorf("chunk key %q", got)
	}
	r.Start, r.End = time.Second, 2*time.Second
	if got := r.Key(); got != "v1#opus-128@1000000-2000000" {
		t.Errorf("key of a section %q", got)
	}
}

func TestDates(t *testing.T) {
	for want, d := range map[string]Date{"": {}, "1969": {Year: 1969}, "1969-09": {Year: 1969, Month: 9}, "0800-01-02": {Year: 800, Month: 1, Day: 2}} {
		if got := d.String(); got != want {
			t.Errorf("%+v is %q, want %q", d, got, want)
		}
	}
	if (Date{Year: 1969}).Compare(Date{Year: 1969, Month: 1}) >= 0 || (Date{Year: 1970}).Compare(Date{Year: 1969, Month: 12}) <= 0 {
		t.Error("dates are out of order")
	}
}

func TestViewerSees(t *testing.T) {
	if !(Viewer{}).Sees("1") || (Viewer{Libraries: []string{}}).Sees("1") || !(Viewer{Libraries: []string{"2", "1"}}).Sees("1") {
		t.Error("nil libraries are all, an empty list is none")
	}
}
