package catalog_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"tutti"
	"tutti/catalog/scan"
)

// watching is a running Watch.
type watching struct {
	t      *testing.T
	events chan tutti.Event
	stop   func()
}

func (d *desk) watch(t *testing.T, v tutti.Viewer) *watching {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watching{t: t, events: make(chan tutti.Event)}
	ended := make(chan error, 1)
	go func() {
		ended <- d.Watch(ctx, v, func(e tutti.Event) error {
			select {
			case w.events <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	w.stop = func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch ended with %v", err)
		}
	}
	if e := <-w.events; e.Kind != tutti.EventScan {
		t.Fatalf("the first event is %+v", e)
	}
	return w
}

func (w *watching) want(kind tutti.EventKind) tutti.Event {
	w.t.Helper()
	e := <-w.events
	if e.Kind != kind {
		w.t.Fatalf("%+v, want an event of the %s", e, kind)
	}
	return e
}

// silent fails where something is told.
func (w *watching) silent() {
	w.t.Helper()
	select {
	case e := <-w.events:
		w.t.Fatalf("%+v, of which nobody should be told", e)
	default:
	}
}

func (d *desk) put(t *testing.T, numbers ...int) {
	t.Helper()
	var batch []scan.Change
	for _, n := range numbers {
		batch = append(batch, scan.Change{Put: entryOf(n, args{})})
	}
	if err := d.Apply(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

func TestWatch(t *testing.T) {
	ctx := t.Context()
	d := newDesk(t)
	d.put(t, 1, 2)
	mine, theirs := d.watch(t, she), d.watch(t, tutti.Viewer{User: "us-0000000000009"})
	defer theirs.stop()

	// A queue is told to whose it is, with who saved it.
	if err := d.SaveQueue(ctx, she, tutti.Queue{Tracks: []tutti.ID{trackID(1)}, ChangedBy: "the kitchen"}); err != nil {
		t.Fatal(err)
	}
	if e := mine.want(tutti.EventQueue); e.By != "the kitchen" || !e.At.Equal(d.clock.Now()) {
		t.Errorf("%+v", e)
	}
	theirs.silent()

	// Playlists are told to everybody, however often they are changed before somebody listens.
	p, err := d.SavePlaylist(ctx, she, tutti.Playlist{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	mine.want(tutti.EventPlaylists)
	theirs.want(tutti.EventPlaylists)
	if err := d.DeletePlaylist(ctx, she, p.ID); err != nil {
		t.Fatal(err)
	}
	mine.want(tutti.EventPlaylists)
	theirs.want(tutti.EventPlaylists)

	// The library is told now and then, and not where nothing changed.
	d.put(t, 1)
	d.put(t, 3)
	d.put(t, 4)
	d.clock.WaitForTimers(2)
	d.clock.Advance(2 * time.Second)
	mine.want(tutti.EventLibrary)
	theirs.want(tutti.EventLibrary)
	d.put(t, 5)
	mine.silent()
	mine.stop()
	d.clock.WaitForTimers(1)
	d.clock.Advance(2 * time.Second)
	theirs.want(tutti.EventLibrary)
}

// TestWatchAmongNodes: what another node did is told within seconds, and nobody looks where nobody watches.
func TestWatchAmongNodes(t *testing.T) {
	ctx := t.Context()
	f := newDesk(t)
	f.cfg.SoleWriter = false
	f.reopen(t)
	other := &desk{store: f.store, clock: f.clock, cfg: f.cfg}
	other.reopen(t)
	f.put(t, 1)
	if err := other.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	if err := other.SaveQueue(ctx, she, tutti.Queue{Tracks: []tutti.ID{trackID(1)}, ChangedBy: "before"}); err != nil {
		t.Fatal(err)
	}
	f.clock.Advance(time.Second)
	w := f.watch(t, she)
	again := func() {
		t.Helper()
		f.clock.WaitForTimers(2) // the look, and the pause between two events of the library
		f.clock.Advance(5 * time.Second)
	}
	again()
	f.clock.WaitForTimers(1)
	w.silent()
	if err := other.SaveQueue(ctx, she, tutti.Queue{Tracks: []tutti.ID{trackID(1), trackID(1)}, Current: 1, ChangedBy: "the car"}); err != nil {
		t.Fatal(err)
	}
	f.clock.Advance(5 * time.Second)
	if e := w.want(tutti.EventQueue); e.By != "the car" {
		t.Errorf("%+v", e)
	}
	if _, err := other.SavePlaylist(ctx, she, tutti.Playlist{Name: "x"}); err != nil {
		t.Fatal(err)
	}
	f.clock.WaitForTimers(1)
	f.clock.Advance(5 * time.Second)
	w.want(tutti.EventPlaylists)
	w.stop()
}
