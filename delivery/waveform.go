package delivery

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"tutti"
	"tutti/audio"
	"tutti/audio/analyse"
)

// Waveforms knows what tracks look like.
type Waveforms interface {
	// Waveform returns the outline of a track and how long the track is. While it is being made for the first time, which
	// takes a second for some ten minutes of music, the error is KindUnavailable and knows when to ask again (RetryAfter).
	Waveform(ctx context.Context, v tutti.Viewer, track tutti.ID) (audio.Peaks, time.Duration, error)
}

var _ Waveforms = (*Streamer)(nil)

const (
	// outlineWait is how long a request waits for an outline that is being made: longer than most songs take.
	outlineWait = 1500 * time.Millisecond
	// outlineAgain is when to ask again. The track cache goes on for some seconds for somebody who has gone away, so whoever
	// asks again in time finds it further on.
	outlineAgain = time.Second
)

var errBeingMade = errors.New("it is still being made")

// Waveform implements Waveforms.
func (s *Streamer) Waveform(ctx context.Context, v tutti.Viewer, track tutti.ID) (audio.Peaks, time.Duration, error) {
	const op = "delivery.Waveform"
	plan, err := s.c.Catalog.Plan(ctx, tutti.PlanRequest{Viewer: v, Track: track, Want: tutti.Want{Exact: &tutti.Profile{Format: "peaks"}}})
	if err != nil {
		return audio.Peaks{}, 0, err
	}
	patient, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer s.c.Clock.AfterFunc(outlineWait, func() { stop(errBeingMade) }).Stop()
	p, err := s.outline(patient, plan.Ref)
	if err != nil && errors.Is(context.Cause(patient), errBeingMade) {
		err = retryError{tutti.Errorf(tutti.KindUnavailable, op, "the outline of this track is being made; ask again in a moment"), outlineAgain}
	}
	return p, plan.Track.Duration, err
}

func (s *Streamer) outline(ctx context.Context, r tutti.Ref) (p audio.Peaks, err error) {
	obj, err := s.c.Cache.Open(ctx, r)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, obj.Close()) }()
	var b bytes.Buffer
	most := audio.MaxPeaksBytes
	if r.Profile.Format == "analysis" {
		most = analyse.MaxBytes
	}
	if _, err := obj.CopyRange(ctx, &limitedWriter{&b, most}, 0, -1); err != nil {
		return p, err
	}
	if r.Profile.Format == "analysis" { // the track was listened to, and its outline drawn on the way
		f, err := analyse.Parse(b.Bytes())
		return f.Peaks, err
	}
	return audio.ParsePeaks(b.Bytes())
}

// limitedWriter takes n bytes at most.
type limitedWriter struct {
	io.Writer
	n int
}

func (w *limitedWriter) Write(b []byte) (int, error) {
	if len(b) > w.n {
		return 0, io.ErrShortWrite
	}
	w.n -= len(b)
	return w.Writer.Write(b)
}
