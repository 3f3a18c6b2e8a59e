package tutti

import (
	"testing"

	"pgregory.net/rapid"
)

func TestIDRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64().Draw(t, "n")
		prefix := rapid.SampledFrom([]string{PrefixTrack, PrefixAlbum, PrefixArtist, PrefixFolder}).Draw(t, "prefix")
		id := NewID(prefix, n)
		if got, ok := id.Number(); !ok || got != n || !id.Is(prefix) {
			t.Fatalf("NewID(%q, %d) = %q, whose number is %d, %v", prefix, n, id, got, ok)
		}
	})
}

func TestIDRejects(t *testing.T) {
	for _, s := range []ID{
		"", "tr-", "tr-000000000000", "tr-00000000000000", "tr-000000000000u", "tr-000000000000A",
		"tr-g000000000000", // 2^64: the first of 13 digits holds four bits
		"tr-00000000000/.",
	} {
		if n, ok := s.Number(); ok {
			t.Errorf("%q was read as %d", s, n)
		}
	}
	if NewID(PrefixAlbum, 7).Is(PrefixTrack) {
		t.Error("an album passed for a track")
	}
}

func FuzzID(f *testing.F) {
	f.Add("tr-0000000000007")
	f.Add("tr-fzzzzzzzzzzzz")
	f.Fuzz(func(t *testing.T, s string) {
		if n, ok := ID(s).Number(); ok {
			if again := NewID(s[:3], n); string(again) != s {
				t.Errorf("%q is read as %d, which is written %q", s, n, again)
			}
		}
	})
}
