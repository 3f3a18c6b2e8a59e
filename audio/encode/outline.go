package encode

import (
	"context"
	"io"
	"runtime"
	"sync"

	"tutti"
	"tutti/audio"
	"tutti/audio/analyse"
)

// meter makes something of sound.
type meter interface {
	io.Writer
	// result is what all that was written came to.
	result() ([]byte, error)
}

type peakMeter struct{ audio.PeakMeter }

func newPeakMeter() meter { return new(peakMeter) }

func (m *peakMeter) result() ([]byte, error) { return m.Peaks().Bytes(), nil }

type analysis struct{ analyse.Analyser }

func newAnalysis() meter { return new(analysis) }

func (m *analysis) result() ([]byte, error) {
	f, err := m.Full()
	if err != nil {
		return nil, err
	}
	return f.Bytes(), nil
}

// outline is the object of the formats "peaks" and "analysis": what a meter makes of what ffmpeg decodes. It is there once
// all of the sound has been heard. Like a stream it is read once, from front to back.
type outline struct {
	*stream
	patient bool

	mu    sync.Mutex
	meter meter
	heard int64  // bytes of sound so far
	bytes []byte // nil until the end
	next  int64  // the offset to be read from
}

// measure listens to the rest of the sound. mu is held.
func (o *outline) measure(ctx context.Context) error {
	if o.bytes != nil {
		return nil
	}
	listen := func() error {
		n, err := o.stream.CopyRange(ctx, o.meter, o.heard, -1)
		o.heard += n
		if err == nil {
			o.bytes, err = o.meter.result()
		}
		if err == nil {
			o.meter = nil // an analyser's tables are much larger than what it found
		}
		return err
	}
	if !o.patient {
		return listen()
	}
	// The arithmetic takes as long as ffmpeg does. It yields like ffmpeg: on a thread of its own, which ends with it.
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: a thread that was made to yield must not serve anybody else
		if err := yield(max(o.e.nice, patientNice)); err != nil {
			o.e.log.Debug("the analysis keeps its priority", "err", err)
		}
		done <- listen()
	}()
	return <-done
}

// Size is -1 until the end of the sound.
func (o *outline) Size() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.bytes == nil {
		return -1
	}
	return int64(len(o.bytes))
}

// CopyRange implements tutti.Object, from where the last call ended.
func (o *outline) CopyRange(ctx context.Context, w io.Writer, off, n int64) (int64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	part, err := o.from(ctx, off)
	if err != nil {
		return 0, err
	}
	if n >= 0 {
		part = part[:min(n, int64(len(part)))]
	}
	taken, err := w.Write(part)
	o.next += int64(taken)
	return int64(taken), err
}

// ReadAt implements io.ReaderAt, from where the last call ended.
func (o *outline) ReadAt(p []byte, off int64) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	part, err := o.from(context.Background(), off)
	if err != nil {
		return 0, err
	}
	n := copy(p, part)
	if o.next += int64(n); n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// from returns what lies from off on. mu is held.
func (o *outline) from(ctx context.Context, off int64) ([]byte, error) {
	if off != o.next {
		return nil, tutti.Errorf(tutti.KindInvalid, "encode: read", "an outline that is being made is read from front to back")
	}
	if err := o.measure(ctx); err != nil {
		return nil, err
	}
	return o.bytes[off:], nil
}
