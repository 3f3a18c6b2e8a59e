package catalog

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"

	"tutti"
	"tutti/audio/analyse"
	"tutti/catalog/scan"
	"tutti/clock"
)

// Every track is listened to once: the track cache decodes it and keeps what was heard (the profile "analysis", the
// outline that seek bars draw included), and the few numbers that everybody needs are written to the log. The node that
// scans does it, one track after the other, as work that may wait (tutti.Jobs), in pieces of about an hour. What was done
// is in the log, so a piece that is cut short costs one track at most.

// Listening is what a Catalog needs to have tracks listened to.
type Listening struct {
	// Jobs is who says when. nil: no tracks are listened to by themselves.
	Jobs tutti.Jobs
	// Skips reports whether a library's tracks are left alone; nil: none are. Those of object stores cost money to fetch.
	Skips func(library string) bool
	// Tracks is how many tracks are listened to at once; 0 is 1.
	Tracks int
}

const (
	// listenAfter is for how long the library must have been left alone.
	listenAfter = 5 * time.Second
	// listenPiece is how long the music of one job is, at most. It takes a hundredth of that or so, an hour of a slow processor.
	listenPiece = 48 * time.Hour
	// listenSpeed is how many times faster than it plays music is listened to: a careful estimate.
	listenSpeed = 40
	// listenPower is what that takes more than being idle, in watts: one core, a careful estimate.
	listenPower = 5
	// listenBusy is how long somebody who was told that the server is busy waits.
	listenBusy = 30 * time.Second
	// listenFlush and listenAge say how much is written to the log at once: what a crash makes us listen to again.
	listenFlush = 32
	listenAge   = 30 * time.Second
	// listenFailures is how many tracks may fail one after the other: then it is not they that are at fault.
	listenFailures = 8
)

// listening is what this node has to do with that.
type listening struct {
	poke chan struct{} // has one element when there may be something to listen to

	mu     sync.Mutex
	busy   bool                       // a job is at it, which wakes listen when it is done
	failed map[tutti.ID]tutti.Version // tracks that could not be listened to; they are tried again at the next start
}

func newListening() listening {
	return listening{poke: make(chan struct{}, 1), failed: map[tutti.ID]tutti.Version{}}
}

func (l *listening) wake() {
	select {
	case l.poke <- struct{}{}:
	default:
	}
}

// listen hands over what there is to be listened to, whenever the library has changed, until ctx ends.
func (c *Catalog) listen(ctx context.Context) {
	if c.cfg.Listening.Jobs == nil || c.cfg.Cache == nil {
		return
	}
	c.listening.wake()
	for {
		select {
		case <-c.listening.poke:
		case <-ctx.Done():
			return
		}
		if clock.Sleep(ctx, c.clock, listenAfter) != nil {
			return
		}
		if c.scanner != nil && c.scanner.Outstanding() {
			c.listening.wake() // what it finds comes in one piece
			continue
		}
		c.listening.mu.Lock()
		busy := c.listening.busy
		c.listening.mu.Unlock()
		if busy {
			continue
		}
		todo, music := c.unheard()
		if len(todo) == 0 {
			continue
		}
		takes := music / listenSpeed
		err := c.cfg.Listening.Jobs.HandOver(ctx, tutti.Job{
			Name: "analyse", Kind: tutti.JobAnalyse, Duration: takes, Energy: listenPower * takes.Seconds(),
			Run: func(job context.Context) error {
				job, stop := context.WithCancel(job)
				defer stop()
				defer context.AfterFunc(ctx, stop)() // another node scans now, and listens
				return c.listenNow(job)
			},
		})
		if err != nil && ctx.Err() == nil {
			c.log.WarnContext(ctx, "when to listen to new tracks could not be written down", "err", err)
		}
	}
}

// listenNow listens to a job's worth of tracks.
func (c *Catalog) listenNow(ctx context.Context) error {
	l := &c.listening
	l.mu.Lock()
	l.busy = true
	l.mu.Unlock()
	todo, _ := c.unheard() // now: what was new when the job was handed over may be gone, and more may have come
	err := c.listenTo(ctx, todo)
	l.mu.Lock()
	l.busy = false
	l.mu.Unlock()
	if err == nil {
		l.wake() // for what there is besides
	}
	return err
}

// piece is a track to be listened to.
type piece struct {
	id  tutti.ID
	fp  scan.Fingerprint
	ref tutti.Ref
}

// unheard returns tracks that were not listened to, in the order of their albums' arrival, and how long they play: about
// as much as one job is to have.
func (c *Catalog) unheard() (list []piece, music time.Duration) {
	m := c.current()
	m.mu.RLock()
	defer m.mu.RUnlock()
	c.listening.mu.Lock()
	defer c.listening.mu.Unlock()
	skipped := make([]bool, len(m.libraries))
	for i, l := range m.libraries {
		skipped[i] = c.cfg.Listening.Skips != nil && c.cfg.Listening.Skips(l)
	}
	var r record
	for slot, at := range m.refs {
		s := uint32(slot)
		if at == 0 || m.missing[s] || skipped[m.libOf[s]] || m.heard.at(s) != nil {
			continue
		}
		m.read(s, &r)
		var e scan.Entry
		if err := r.entry(m.dict, &e, false); err != nil {
			panic("catalog: the record of a known track does not decode")
		}
		if c.listening.failed[e.ID] == e.Version && e.Version != "" {
			continue
		}
		p := piece{e.ID, r.fp, e.Ref()}
		p.ref.Profile = tutti.Profile{Format: "analysis"}
		list = append(list, p)
		if music += e.Duration; music >= listenPiece {
			break
		}
	}
	return list, music
}

// listenTo listens to the tracks.
func (c *Catalog) listenTo(ctx context.Context, todo []piece) (err error) {
	began, done := c.clock.Now(), 0
	var (
		batch   []scan.Change
		flushed = began
		failed  int // one after the other
	)
	flush := func(ctx context.Context) error {
		if len(batch) == 0 {
			return nil
		}
		err := c.Apply(ctx, batch)
		batch, flushed = batch[:0], c.clock.Now()
		return err
	}
	defer func() {
		// What was heard is kept, also where the server is about to stop.
		late, stop := c.until(context.WithoutCancel(ctx), 5*time.Second)
		defer stop()
		if e := flush(late); err == nil {
			err = e
		}
		if done > 0 {
			c.log.InfoContext(ctx, "tracks listened to", "tracks", done, "of", len(todo), "took", c.clock.Now().Sub(began))
		}
	}()
	next := make(chan piece)
	type heard struct {
		piece
		row []byte
		err error
	}
	results := make(chan heard)
	work, stop := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer stop()
	for range max(1, c.cfg.Listening.Tracks) {
		workers.Go(func() {
			for p := range next {
				row, err := c.hearPatiently(work, p.ref)
				select {
				case results <- heard{p, row, err}:
				case <-work.Done():
				}
			}
		})
	}
	workers.Go(func() {
		defer close(next)
		for _, p := range todo {
			select {
			case next <- p:
			case <-work.Done():
				return
			}
		}
	})
	for range todo {
		var h heard
		select {
		case h = <-results:
		case <-ctx.Done():
			return ctx.Err()
		}
		switch {
		case h.err == nil:
			failed = 0
			done++
			batch = append(batch, scan.Change{Heard: &scan.Heard{Track: h.id, Fingerprint: h.fp, Row: h.row}})
		case ctx.Err() != nil:
			return ctx.Err()
		default:
			c.log.WarnContext(ctx, "a track could not be listened to; the next start tries again", "library", h.ref.Library, "path", h.ref.Path, "err", h.err)
			c.listening.mu.Lock()
			c.listening.failed[h.id] = h.ref.Version
			c.listening.mu.Unlock()
			if failed++; failed == listenFailures {
				return tutti.Wrap(tutti.KindUnavailable, "catalog: listen", h.err)
			}
		}
		if len(batch) >= listenFlush || c.clock.Now().Sub(flushed) >= listenAge {
			if err := flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// hearPatiently has the track cache listen to a track, and waits while it is busy with what people listen to.
func (c *Catalog) hearPatiently(ctx context.Context, r tutti.Ref) ([]byte, error) {
	for {
		row, err := c.hear(ctx, r)
		if !tutti.IsKind(err, tutti.KindExhausted) {
			return row, err
		}
		if err := clock.Sleep(ctx, c.clock, listenBusy); err != nil {
			return nil, err
		}
	}
}

func (c *Catalog) hear(ctx context.Context, r tutti.Ref) (row []byte, err error) {
	const op = "catalog: listen"
	obj, err := c.cfg.Cache.Open(ctx, r)
	if err != nil {
		return nil, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	defer func() {
		if e := obj.Close(); err == nil {
			err = tutti.Wrap(tutti.KindOf(e), op, e)
		}
	}()
	var b bytes.Buffer
	// All of it, though the row comes first: the cache keeps what somebody has taken to the end.
	if _, err := obj.CopyRange(ctx, &limited{&b, analyse.MaxBytes}, 0, -1); err != nil {
		return nil, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	f, err := analyse.Parse(b.Bytes())
	if err != nil {
		return nil, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	all := f.Row()
	return all[:], nil
}

// limited takes left bytes at most.
type limited struct {
	io.Writer
	left int
}

func (w *limited) Write(b []byte) (int, error) {
	if len(b) > w.left {
		return 0, tutti.Errorf(tutti.KindInvalid, "catalog: listen", "what was heard in the track takes more than %d bytes", analyse.MaxBytes)
	}
	w.left -= len(b)
	return w.Writer.Write(b)
}
