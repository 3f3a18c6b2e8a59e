package encode

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tutti"
	"tutti/clock"
)

func TestQueue(t *testing.T) {
	fake := clock.NewFake(time.Unix(1_700_000_000, 0))
	q := &queue{clock: fake, maxWait: 20 * time.Second, length: 3, free: 1}
	if err := q.enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	type result struct {
		who int
		err error
	}
	results := make(chan result)
	ctx, cancel := context.WithCancel(t.Context())
	for i := range 3 {
		c := t.Context()
		if i == 1 {
			c = ctx
		}
		go func() { results <- result{i, q.enter(c)} }()
		fake.WaitForTimers(i + 1) // so that they stand in this order
	}
	if err := q.enter(t.Context()); !tutti.IsKind(err, tutti.KindExhausted) || !strings.Contains(tutti.Message(err), "too many") {
		t.Errorf("a fourth that waits: %v", err)
	}
	cancel()
	if r := <-results; r.who != 1 || !errors.Is(r.err, context.Canceled) {
		t.Errorf("after the second gave up: %+v", r)
	}
	q.leave()
	if r := <-results; r.who != 0 || r.err != nil {
		t.Errorf("after a place was free: %+v", r)
	}
	fake.Advance(20 * time.Second)
	if r := <-results; r.who != 2 || !tutti.IsKind(r.err, tutti.KindExhausted) || !strings.Contains(tutti.Message(r.err), "20s") {
		t.Errorf("after 20 s: %+v", r)
	}
	if n := q.queued(); n != 0 {
		t.Errorf("%d wait", n)
	}
	q.leave()
	if q.free != 1 {
		t.Errorf("%d places are free, not 1", q.free)
	}
}

// Whatever order requests come, leave and give up in, there are never more inside than places, and never an empty
// place while somebody waits.
func TestQueueKeepsCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fake := clock.NewFake(time.Unix(1_700_000_000, 0))
		places := rapid.IntRange(1, 3).Draw(t, "places")
		q := &queue{clock: fake, maxWait: time.Hour, length: 1000, free: places}
		type waiter struct {
			cancel context.CancelFunc
			done   chan error
		}
		var waiting []waiter
		inside := 0
		defer func() {
			for _, w := range waiting {
				w.cancel()
				<-w.done
			}
		}()
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch step := rapid.SampledFrom([]string{"come", "leave", "give up"}).Draw(t, "step"); {
			case step == "come":
				ctx, cancel := context.WithCancel(context.Background())
				w := waiter{cancel, make(chan error, 1)}
				go func() { w.done <- q.enter(ctx) }()
				if inside < places {
					if err := <-w.done; err != nil {
						t.Fatal(err)
					}
					inside++
					cancel()
					continue
				}
				fake.WaitForTimers(len(waiting) + 1)
				waiting = append(waiting, w)
			case step == "leave" && inside > 0:
				q.leave()
				if len(waiting) == 0 {
					inside--
					continue
				}
				if err := <-waiting[0].done; err != nil {
					t.Fatalf("the first who waits got %v", err)
				}
				waiting[0].cancel()
				waiting = waiting[1:]
			case step == "give up" && len(waiting) > 0:
				i := rapid.IntRange(0, len(waiting)-1).Draw(t, "who")
				waiting[i].cancel()
				if err := <-waiting[i].done; err == nil {
					t.Fatal("one who gave up was let in")
				}
				waiting = append(waiting[:i:i], waiting[i+1:]...)
			}
			if n := q.queued(); n != len(waiting) {
				t.Fatalf("%d wait, not %d", n, len(waiting))
			}
		}
	})
}

func FuzzTail(f *testing.F) {
	f.Add("Input #0, flac, from 'file:/dev/fd/3':\n  Metadata:\n    title           : x\n  Duration: 00:03:20.05, start: 0.000000, bitrate: 912 kb/s\n", 7)
	f.Add("  Duration: N/A, bitrate: N/A\n", 1)
	f.Add("  Duration: 99999:99:99999999999999999999.9,", 3)
	f.Add(strings.Repeat("x", 9000)+"\n  Duration: 00:00:01.00,", 4096)
	f.Fuzz(func(t *testing.T, s string, piece int) {
		var whole, pieces tail
		whole.Write([]byte(s))
		for rest := s; rest != ""; {
			n := min(len(rest), max(1, piece))
			if m, err := pieces.Write([]byte(rest[:n])); m != n || err != nil {
				t.Fatal(m, err)
			}
			rest = rest[n:]
		}
		if whole.duration() != pieces.duration() || whole.String() != pieces.String() {
			t.Errorf("in pieces %s, whole %s", pieces.duration(), whole.duration())
		}
		if whole.duration() < 0 || len(whole.String()) > tailSize || !strings.HasSuffix(s, whole.String()) {
			t.Errorf("%s, %d bytes kept", whole.duration(), len(whole.String()))
		}
	})
}

func TestInputDuration(t *testing.T) {
	for line, want := range map[string]time.Duration{
		"  Duration: 00:03:20.05, start: 0.000000, bitrate: 912 kb/s": 200*time.Second + 50*time.Millisecond,
		"    album           :   Duration: 00:00:01.00, start":        0,
		"  Duration: N/A, start: 0":                                   0,
	} {
		if got := inputDuration([]byte(line)); got != want {
			t.Errorf("%q: %s, not %s", line, got, want)
		}
	}
}

// Segments cut anywhere share out the frames of the grid: each frame goes to exactly one, and each segment is encoded
// from early enough.
func TestSegmentsShareTheGrid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var cut time.Duration
		next := int64(-1) // the frame that the next segment must begin with
		for i := range rapid.IntRange(1, 20).Draw(t, "segments") {
			end := cut + time.Duration(rapid.Int64Range(30_000, 12_000_000).Draw(t, "µs"))*time.Microsecond
			s := segmentOf(cut, end)
			from := int64(s.begin+time.Millisecond) * tsRate / aacFrame / int64(time.Second) // the grid frame the encoder begins with
			if first := from - 1 + s.first; first != next {
				t.Fatalf("segment %d begins with frame %d, not %d", i, first, next)
			}
			if i > 0 && s.first < lead {
				t.Fatalf("segment %d has a lead of %d frames", i, s.first)
			}
			if s.end < end {
				t.Fatalf("segment %d ends at %s before %s", i, s.end, end)
			}
			next = from - 1 + s.last
			cut = end
		}
	})
}

// However a file is cut into pieces, the number of samples ends up in the same 36 bits.
func TestStampSamples(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := rapid.Int64Range(1, 1<<36-1).Draw(t, "samples")
		file := make([]byte, 50)
		file[21] = 0xA0 // the bit depth's half
		for off := 0; off < len(file); {
			n := rapid.IntRange(1, len(file)-off).Draw(t, "piece")
			stampSamples(file[off:off+n], int64(off), samples)
			off += n
		}
		got := int64(file[21]&0x0F)<<32 | int64(file[22])<<24 | int64(file[23])<<16 | int64(file[24])<<8 | int64(file[25])
		if got != samples || file[21]>>4 != 0xA || file[20] != 0 || file[26] != 0 {
			t.Fatalf("%d came out as %d in %x", samples, got, file)
		}
	})
}
