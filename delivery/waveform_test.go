package delivery

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"tutti"
	"tutti/audio"
	"tutti/clock"
)

func TestWaveform(t *testing.T) {
	lib := newLibrary(t)
	fake := clock.NewFake(modTime)
	s := NewStreamer(StreamerConfig{Catalog: lib, Cache: lib, Clock: fake, Logger: slog.New(slog.DiscardHandler), Metrics: NewMetrics(prometheus.NewRegistry())})
	want := audio.Peaks{Peak: []uint16{1, 65535, 7}, RMS: []uint16{1, 900, 2}}
	_, making := lib.addMaking(t, "tr-1", "a.peaks")
	type answer struct {
		p      audio.Peaks
		length time.Duration
		err    error
	}
	ask := func() chan answer {
		c := make(chan answer, 1)
		go func() {
			p, length, err := s.Waveform(t.Context(), tutti.Viewer{}, "tr-1")
			c <- answer{p, length, err}
		}()
		return c
	}
	// Somebody waits a while, and is then told when to ask again.
	first := ask()
	fake.WaitForTimers(1)
	fake.Advance(outlineWait)
	if a := <-first; !tutti.IsKind(a.err, tutti.KindUnavailable) || RetryAfter(a.err) != outlineAgain {
		t.Errorf("while it is made: %v, again after %v", a.err, RetryAfter(a.err))
	}
	second := ask()
	fake.WaitForTimers(1)
	making.write(t, want.Bytes())
	making.end(nil)
	if a := <-second; a.err != nil || !cmp.Equal(a.p, want) || a.length != 90*time.Second {
		t.Errorf("once it is made: %+v", a)
	}
	// What cannot be made fails as it does, and is not asked for again at once.
	_, broken := lib.addMaking(t, "tr-1", "b.peaks")
	broken.end(tutti.Errorf(tutti.KindUnavailable, "encode", "ffmpeg is not installed"))
	if a := <-ask(); tutti.Message(a.err) != "ffmpeg is not installed" || RetryAfter(a.err) == outlineAgain {
		t.Errorf("without ffmpeg: %v, again after %v", a.err, RetryAfter(a.err))
	}
	lib.add(t, "tr-1", "c.peaks", []byte("no outline at all"))
	if a := <-ask(); a.err == nil {
		t.Error("bytes that are no outline were taken for one")
	}
	lib.add(t, "tr-1", "d.peaks", make([]byte, audio.MaxPeaksBytes+1))
	if a := <-ask(); a.err == nil {
		t.Error("more bytes than any outline has were taken for one")
	}
	if _, _, err := s.Waveform(t.Context(), tutti.Viewer{Libraries: []string{}}, "tr-1"); !tutti.IsKind(err, tutti.KindNotFound) {
		t.Errorf("for somebody who may not see it: %v", err)
	}
	if n := lib.open(); n != 0 {
		t.Errorf("%d objects were not closed", n)
	}
}
