package enrich

import (
	"cmp"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"time"

	"tutti"
)

// Tracks are the same recording, or versions of one, where artist and title are the same but for spelling and notes of the version.
// How alike they are in length tells a copy from another version. Nothing is amended for them: a person sees what there is twice.

// recording is what is kept of every track: 32 bytes, so that millions fit.
type recording struct {
	key      uint64 // of artist and title
	id       uint64
	millis   int32
	bitrate  int32
	lossless bool
	version  bool
}

// RecordingKey is equal for tracks that may be the same recording.
func RecordingKey(artist, title string) string {
	base, _ := versioned(title)
	return key(artist) + "\x00" + key(base)
}

func (l *Library) readRecording(t *tutti.Track) {
	if len(l.recordings) >= maxRecordings || len(t.Artists) == 0 || nobody(t.Artists[0].Name) {
		return
	}
	k := RecordingKey(t.Artists[0].Name, t.Title)
	if strings.HasSuffix(k, "\x00") {
		return
	}
	_, version := versioned(t.Title)
	h := fnv.New64a()
	h.Write([]byte(k))
	n, _ := t.ID.Number()
	l.recordings = append(l.recordings, recording{
		key: h.Sum64(), id: n, millis: int32(min(t.Duration, 24*time.Hour) / time.Millisecond), bitrate: int32(t.BitRate), lossless: t.Lossless(), version: version != "",
	})
}

// SameLength is the probability that two tracks whose artist and title agree are the same recording, by how much their lengths
// differ: half of those that differ by three seconds are taken for versions. An unknown length says nothing.
func SameLength(a, b time.Duration) float64 {
	if a == 0 || b == 0 {
		return 0.5
	}
	d := math.Abs((a - b).Seconds())
	return logistic(3.2 - 1.1*d)
}

// findDuplicates suggests tracks that are there more than once.
func (l *Library) findDuplicates() []tutti.Suggestion {
	list := l.recordings
	slices.SortFunc(list, func(a, b recording) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.millis, b.millis), cmp.Compare(a.id, b.id))
	})
	var out []tutti.Suggestion
	for from := 0; from < len(list) && len(out) < 4*perKind; {
		// Those next to one another in length, of one key.
		to := from + 1
		p := 1.0
		for to < len(list) && list[to].key == list[from].key {
			q := SameLength(time.Duration(list[to-1].millis)*time.Millisecond, time.Duration(list[to].millis)*time.Millisecond)
			if q < Least {
				break
			}
			p = min(p, q)
			to++
		}
		if group := slices.Clone(list[from:to]); len(group) > 1 && len(group) <= 20 {
			slices.SortFunc(group, func(a, b recording) int { // the best first
				return cmp.Or(-cmp.Compare(rank(a), rank(b)), cmp.Compare(b.bitrate, a.bitrate), cmp.Compare(a.id, b.id))
			})
			s := tutti.Suggestion{Kind: tutti.SuggestDuplicate, Tracks: len(group), Probability: round(p), Source: byRules, Why: "same"}
			for _, r := range group {
				s.Also = append(s.Also, tutti.NewID(tutti.PrefixTrack, r.id))
			}
			s.Of = string(s.Also[0])
			out = append(out, s)
		}
		from = to
	}
	return out
}

func rank(r recording) int {
	if r.lossless {
		return 1
	}
	return 0
}
