package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/delivery"
)

const (
	eventsPath     = "events"
	scanEventsPath = "scan/events"
	roomEventsPath = "rooms/events"
	titlesPath     = "stations/{id}/events"
)

// EventPaths are where an answer goes on for as long as somebody listens, a star standing for one part of the path: events,
// and the sound of radio stations. Nothing is said for 25 s at a time, which a proxy in front has to bear.
func EventPaths() []string {
	return []string{Prefix + eventsPath, Prefix + scanEventsPath, Prefix + roomEventsPath, Prefix + "stations/*/events", Prefix + "stations/*/stream"}
}

// queueEvent says that the asker's queue was saved.
type queueEvent struct {
	Changed   time.Time `json:"changed,omitzero" doc:"When; left out where it is not known."`
	ChangedBy string    `json:"changedBy,omitempty" doc:"By which app, as it named itself in saveQueue."`
}

// nothing is the data of an event that says all by its name.
type nothing struct{}

func (s *server) eventRoutes() []route {
	return []route{
		bytesOf(eventsPath, "watch", "about", "What happens, as it happens", "text/event-stream", member, (*call).watch).
			saying("Server-sent events: scan, whose data is a scanStatus, one at once and then up to four a second while there is a scan; " +
				"library, when albums and tracks have changed, at most one in two seconds; playlists, when some playlist was made, changed or deleted; and " +
				"queue, whose data is a queueEvent, when the asker's queue was saved by any player. The data of the others is an empty object. " +
				"What happened before is not told: ask for it once connected."),
	}
}

func (c *call) watch() error {
	return c.events(func(ctx context.Context, tell func(string, any) error) error {
		return c.Catalog.Watch(ctx, c.viewer, func(e tutti.Event) error {
			switch e.Kind {
			case tutti.EventScan:
				return tell("scan", wireScan(e.Scan))
			case tutti.EventQueue:
				return tell("queue", queueEvent{e.At, e.By})
			default:
				return tell(string(e.Kind), nothing{})
			}
		})
	})
}

// stillAdmitted reports whether who asked would be let in again and sees what they saw: an answer that goes on for days
// must not outlive an account, a session, a key or a right. Where that cannot be found out now, it goes on.
func (c *call) stillAdmitted() bool {
	again := *c
	again.w = unheard{}
	if err := c.admit(&again, member); err != nil {
		return tutti.IsKind(err, tutti.KindUnavailable)
	}
	return slices.Equal(again.viewer.Libraries, c.viewer.Libraries)
}

// whileAdmitted gives the request a context that ends when stillAdmitted no longer holds, seen a beat later at most. The
// caller calls stop.
func (c *call) whileAdmitted() (r *http.Request, stop func()) {
	ctx, cancel := context.WithCancel(c.r.Context())
	done := make(chan struct{})
	go func() { // ends with ctx, which stop ends
		defer close(done)
		for clock.Sleep(ctx, c.Clock, beat) == nil {
			if !c.stillAdmitted() {
				cancel()
			}
		}
	}()
	return c.r.WithContext(ctx), func() {
		cancel()
		<-done
	}
}

// unheard is a ResponseWriter for what is asked in passing.
type unheard http.Header

func (u unheard) Header() http.Header       { return http.Header(u) }
func (unheard) Write(b []byte) (int, error) { return len(b), nil }
func (unheard) WriteHeader(int)             {}

// Timing of an event stream. The beat is shorter than the minute after which common proxies drop a silent connection.
const (
	beat     = 25 * time.Second
	maxStall = 30 * time.Second // how long one event may take to write before the listener counts as gone
)

// events writes server-sent events (HTML Living Standard §9.2) until the browser leaves: those that source tells, which ends
// with its context.
func (c *call) events(source func(ctx context.Context, tell func(name string, data any) error) error) error {
	ctx, cancel := context.WithCancel(c.r.Context())
	defer cancel()
	delivery.HoldOpen(c.r.Context())

	events := make(chan []byte)
	ended := make(chan error, 1)
	go func() { // ends with ctx, and is waited for below
		ended <- source(ctx, func(name string, data any) error {
			text, err := json.Marshal(data)
			if err != nil {
				return tutti.Wrap(tutti.KindInternal, "api.events", err)
			}
			event := append(append([]byte("event: "+name+"\ndata: "), text...), "\n\n"...)
			select {
			case events <- event:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()

	h := c.w.Header()
	out := http.NewResponseController(c.w)
	timer := c.Clock.NewTimer(beat)
	defer timer.Stop()
	started := false
	for {
		var event []byte
		select {
		case event = <-events:
		case <-timer.C():
			if !c.stillAdmitted() {
				return nil
			}
			event = []byte(":\n\n") // a comment, so that proxies see life
		case err := <-ended:
			if !started && ctx.Err() == nil {
				return err
			}
			return nil
		}
		if !started {
			started = true
			h.Set("Content-Type", "text/event-stream")
			h.Set("Cache-Control", "no-store")
			h.Set("X-Accel-Buffering", "no") // nginx would keep events back
		}
		timer.Reset(beat) // before anybody can see the event, and so wait for what comes after it
		// A writer that knows no deadlines still serves; only a stalled listener is then noticed later.
		_ = out.SetWriteDeadline(clock.Deadline(maxStall))
		_, err := c.w.Write(event)
		if err == nil {
			err = out.Flush()
		}
		if err != nil { // the listener has left
			cancel()
			<-ended
			return nil
		}
	}
}
