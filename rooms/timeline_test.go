package rooms

import (
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestTimelineIsTheLine compares with exact fractions, over a day and either side of the anchor.
func TestTimelineIsTheLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom([]int64{8000, 44100, 48000, 88200, 96000, 192000}).Draw(t, "rate")
		day := rate * 86400
		l := Timeline{First: rapid.Int64Range(-day, day).Draw(t, "first"), At: time.Unix(1_790_000_000, rapid.Int64Range(0, 999_999_999).Draw(t, "ns")), Rate: rate}
		n := l.First + rapid.Int64Range(-day, day).Draw(t, "sample")
		ideal := new(big.Rat).SetFrac64((n-l.First)*1000, 1)
		ideal.Mul(ideal, new(big.Rat).SetFrac64(1_000_000, rate))
		got := new(big.Rat).SetInt64(int64(l.Time(n).Sub(l.At)))
		if d, _ := new(big.Rat).Sub(ideal, got).Float64(); d < 0 || d >= 1 {
			t.Fatalf("sample %d lies %v ns from the line", n, d)
		}
		if back := l.Sample(l.Time(n)); back != n {
			t.Fatalf("sample %d is heard at %v, when sample %d is", n, l.Time(n), back)
		}
		if before := l.Sample(l.Time(n).Add(-1)); before != n-1 {
			t.Fatalf("a nanosecond before sample %d, sample %d is heard", n, before)
		}
	})
}
