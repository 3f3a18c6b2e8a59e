// Package encode makes sound in other formats with ffmpeg: an Encoder is a tutti.Source whose objects are what a child
// process writes. It keeps nothing; the track cache above it makes each object once.
//
// What belongs here: how ffmpeg is asked, kept within bounds and stopped. What does not: deciding which format a
// listener gets (the catalogue's plan does), and keeping what was made (the track cache does).
//
// ffmpeg is given the file as an open descriptor, never as a name: what the file is called, or what a link is changed
// to meanwhile, cannot matter. What lies in no file is fed to it through a pipe as it comes, or copied to a file without
// a name first where ffmpeg has to go back and forth in it. It runs without a shell, in a process group of its own, at low priority, may open no
// network protocol and no container that refers to other files, and ends with whoever reads from it: when this
// process dies, its next write fails.
package encode

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tutti"
	"tutti/audio"
	"tutti/clock"
)

// Files opens originals that lie in folders: the fs.File is an *os.File, which ffmpeg reads itself.
type Files interface {
	OpenFile(ctx context.Context, library, path string) (fs.File, error)
}

// Config is what an Encoder needs. Files is required, as are Clock and Logger.
type Config struct {
	Files Files
	// Caches are what the originals of the libraries that lie elsewhere are read from, by library: each part of an
	// original is then fetched once, whether it is played or converted. All other libraries are those of Files.
	Caches map[string]tutti.TrackCache
	// Dir is where an original of a cache is copied to, whole and while it is being converted, if ffmpeg has to seek in
	// it; "" is where the system keeps temporary files.
	Dir      string
	FFmpeg   string        // name or path of the program; "" is "ffmpeg" on the PATH
	Parallel int           // how many processes at once; 0 is the number of CPUs
	Queue    int           // how many requests may wait for a process; 0 is 32, negative is none
	MaxWait  time.Duration // how long one may wait; 0 is 20 s
	Patient  int           // how many processes there are at once, beside the others, for what nobody waits for; 0 is 2
	Nice     int           // added to the processes' niceness, 0 to 19: they yield to everything that serves
	Clock    clock.Clock
	Logger   *slog.Logger
}

// Encoder is a tutti.Source for refs whose profile names a sound format: "mp3", "opus", "aac", "flac", "wav", or "ts"
// for a segment of HTTP live streaming, which is a Ref whose Start and End bound it; "peaks" for the outline of the sound
// that a seek bar draws, as the bytes of an audio.Peaks; and "analysis" for all that can be heard in it, as those of an
// analyse.Full. The latter gives way to all others: while they take every place, Open returns KindExhausted for it.
type Encoder struct {
	files  Files
	caches map[string]tutti.TrackCache
	dir    string
	ffmpeg string
	nice   int
	queue  *queue
	later  *queue // of what nobody waits for
	clock  clock.Clock
	log    *slog.Logger

	active, started, finished, failed, stopped, refused atomic.Int64
}

// New returns an Encoder. It starts nothing and does not mind if ffmpeg is missing; Open and Available say so.
func New(c Config) (*Encoder, error) {
	const op = "encode.New"
	if c.Files == nil || c.Clock == nil || c.Logger == nil {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "Files, Clock and Logger are required")
	}
	if c.Parallel < 0 || c.Patient < 0 || c.MaxWait < 0 || c.Nice < 0 || c.Nice > 19 {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "the limits of the transcoder cannot be negative, and its niceness is from 0 to 19")
	}
	if c.FFmpeg == "" {
		c.FFmpeg = "ffmpeg"
	}
	if c.Parallel == 0 {
		c.Parallel = runtime.NumCPU()
	}
	switch {
	case c.Queue == 0:
		c.Queue = 32
	case c.Queue < 0:
		c.Queue = 0
	}
	if c.Patient == 0 {
		c.Patient = 2
	}
	if c.MaxWait == 0 {
		c.MaxWait = 20 * time.Second
	}
	return &Encoder{
		files: c.Files, caches: c.Caches, dir: c.Dir, ffmpeg: c.FFmpeg, nice: c.Nice, clock: c.Clock, log: c.Logger,
		queue: &queue{clock: c.Clock, maxWait: c.MaxWait, length: c.Queue, free: c.Parallel},
		later: &queue{clock: c.Clock, maxWait: c.MaxWait, length: c.Queue, free: c.Patient},
	}, nil
}

// program finds ffmpeg anew each time, so that installing it needs no restart.
func (e *Encoder) program() (string, error) {
	path, err := exec.LookPath(e.ffmpeg)
	if err != nil {
		return "", &tutti.Error{
			Kind: tutti.KindUnavailable, Op: "encode: find ffmpeg", Err: err,
			Message: "ffmpeg is not installed, so nothing can be converted (on Debian: apt install ffmpeg); originals still play",
		}
	}
	return path, nil
}

// Available returns nil where ffmpeg can be run, with its version, as "5.1.6-0+deb12u1"; else KindUnavailable with a
// message that says what to do.
func (e *Encoder) Available(ctx context.Context) (version string, err error) {
	path, err := e.program()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer e.clock.AfterFunc(10*time.Second, func() { cancel(errors.New("it did not answer within 10 s")) }).Stop()
	out, err := exec.CommandContext(ctx, path, "-version").Output()
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return "", &tutti.Error{
			Kind: tutti.KindUnavailable, Op: "encode.Available", Err: err,
			Message: "ffmpeg is installed but does not run, so nothing can be converted; originals still play",
		}
	}
	words := strings.Fields(string(out[:min(len(out), 200)]))
	if len(words) < 3 || words[0] != "ffmpeg" || words[1] != "version" {
		return "", tutti.Errorf(tutti.KindUnavailable, "encode.Available", "%s is not ffmpeg", e.ffmpeg)
	}
	return words[2], nil
}

// Open waits for the original's first bytes and for a place, and starts ffmpeg on the ref. ctx bounds the waiting only:
// the process then lives until it is done or the object is closed.
//
// The object's Size is -1 until all of it was read. It is read once, from front to back: CopyRange and ReadAt return
// KindInvalid for an offset other than where the last call ended, and KindUnavailable if ffmpeg fails, however much
// came before. It also has Progress.
//
// The errors are those of tutti.Source, with KindExhausted when too many wait or one waited too long, and
// KindUnavailable without ffmpeg.
func (e *Encoder) Open(ctx context.Context, r tutti.Ref) (tutti.Object, error) {
	const op = "encode.Open"
	f, err := check(r)
	if err != nil {
		return nil, err
	}
	path, err := e.program()
	if err != nil {
		return nil, err
	}
	in, err := e.open(ctx, r)
	if err != nil {
		return nil, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	queue := e.queue
	if f.patient {
		queue = e.later
		if e.queue.full() {
			return nil, errors.Join(tutti.Errorf(tutti.KindExhausted, op, "the server is busy converting what people listen to; this can wait"), in.Close())
		}
	}
	if err := queue.enter(ctx); err != nil {
		if tutti.IsKind(err, tutti.KindExhausted) {
			e.refused.Add(1)
		}
		return nil, errors.Join(err, in.Close())
	}
	s, err := e.start(ctx, r, f, path, in, queue)
	if err != nil {
		queue.leave()
		e.failed.Add(1)
		return nil, errors.Join(tutti.Wrap(tutti.KindUnavailable, op, err), in.Close())
	}
	if f.meter != nil {
		return &outline{stream: s, meter: f.meter(), patient: f.patient}, nil
	}
	return s, nil
}

// Check returns the error that Open would return at once: KindInvalid for what cannot be made, KindUnavailable
// without ffmpeg, and those of the file's folder, or of Prepare where it comes from a cache. It starts no process and does
// not wait for one.
func (e *Encoder) Check(ctx context.Context, r tutti.Ref) error {
	const op = "encode.Check"
	if _, err := check(r); err != nil {
		return err
	}
	if _, err := e.program(); err != nil {
		return err
	}
	if c := e.caches[r.Library]; c != nil {
		_, err := c.Prepare(ctx, original(r))
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	in, err := e.open(ctx, r)
	if err != nil {
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	return tutti.Wrap(tutti.KindUnavailable, op, in.Close())
}

// depthOf is the bit depth to make where the profile leaves it to the source; 0 leaves it to ffmpeg, which gets it
// right for everything but WAV.
func depthOf(p tutti.Profile, info audio.Info) int {
	switch {
	case p.Format != "wav" || p.BitDepth != 0:
		return 0
	case info.Lossless:
		return info.BitDepth
	}
	return 16
}

// samplesOf is how many samples a channel a FLAC made of r will have, where that is certain beforehand: the source is
// lossless PCM whose length is known, at the rate that is asked for. 0 where it is not.
func samplesOf(r tutti.Ref, info audio.Info) int64 {
	p := r.Profile
	switch info.Codec {
	case "flac", "alac", "pcm":
	default:
		return 0
	}
	if p.Format != "flac" || p.Rate != 0 && p.Rate != info.SampleRate {
		return 0
	}
	at := func(t time.Duration) int64 { // as ffmpeg's atrim rounds
		return (t.Round(time.Microsecond).Microseconds()*int64(info.SampleRate) + 500_000) / 1_000_000
	}
	end := info.Samples
	if r.End != 0 {
		end = min(end, at(r.End))
	}
	return max(0, end-at(r.Start+p.Offset))
}

// OnWait has fn called whenever a request begins to wait for a place, so that whoever keeps one for nobody can give it
// up. fn must not call the Encoder. There is one fn; it is set before the first Open.
func (e *Encoder) OnWait(fn func()) {
	e.queue.mu.Lock()
	defer e.queue.mu.Unlock()
	e.queue.onWait = fn
}

// Waiting is how many requests wait for a place now.
func (e *Encoder) Waiting() int { return e.queue.queued() }

// Stats counts what an Encoder did since it was made.
type Stats struct {
	Active, Queued            int64 // processes running, requests waiting for one
	Started, Finished, Failed int64
	Stopped                   int64 // before their end, because nobody listened any more
	Refused                   int64 // for want of a place
}

// Stats returns the counts now.
func (e *Encoder) Stats() Stats {
	return Stats{
		Active: e.active.Load(), Queued: int64(e.queue.queued()),
		Started: e.started.Load(), Finished: e.finished.Load(), Failed: e.failed.Load(),
		Stopped: e.stopped.Load(), Refused: e.refused.Load(),
	}
}

var (
	descActive = prometheus.NewDesc("tutti_transcodes_active", "Transcoding processes that run now.", nil, nil)
	descQueued = prometheus.NewDesc("tutti_transcodes_queued", "Requests that wait for a transcoding process.", nil, nil)
	descDone   = prometheus.NewDesc("tutti_transcodes_total", "Transcodes by how they ended.", []string{"result"}, nil)
)

// Describe implements prometheus.Collector.
func (e *Encoder) Describe(ch chan<- *prometheus.Desc) {
	ch <- descActive
	ch <- descQueued
	ch <- descDone
}

// Collect implements prometheus.Collector.
func (e *Encoder) Collect(ch chan<- prometheus.Metric) {
	s := e.Stats()
	ch <- prometheus.MustNewConstMetric(descActive, prometheus.GaugeValue, float64(s.Active))
	ch <- prometheus.MustNewConstMetric(descQueued, prometheus.GaugeValue, float64(s.Queued))
	for _, c := range []struct {
		result string
		n      int64
	}{{"finished", s.Finished}, {"failed", s.Failed}, {"stopped", s.Stopped}, {"refused", s.Refused}} {
		ch <- prometheus.MustNewConstMetric(descDone, prometheus.CounterValue, float64(c.n), c.result)
	}
}
