package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/delivery"
)

type scanRequest struct {
	Full bool `json:"full,omitempty" doc:"Read every file again, changed or not."`
}

func (s *server) scanRoutes() []route {
	events := bytesOf(eventsPath, "watchScan", "scan", "How the scan gets on, as it happens", "text/event-stream", member, (*call).scanEvents).
		saying("Server-sent events named scan, whose data is a scanStatus: one at once, then one after every change, at most four a second.")
	start := send(http.MethodPost, "scan", "startScan", "scan", "Scan the libraries now", holder(tutti.RoleAdmin), (*call).startScan).
		saying("A scan that is running is joined.")
	start.status = http.StatusAccepted
	return []route{
		get("scan", "getScan", "scan", "How the scan gets on", member, (*call).scan),
		start,
		events,
	}
}

func (c *call) scan() (scanStatus, error) {
	st, err := c.Catalog.ScanStatus(c.r.Context())
	return wireScan(st), err
}

func (c *call) startScan(b scanRequest) (scanStatus, error) {
	st, err := c.Catalog.Scan(c.r.Context(), b.Full)
	return wireScan(st), err
}

// Timing of an event stream. The beat is shorter than the minute after which common proxies drop a silent connection.
const (
	beat     = 25 * time.Second
	maxStall = 30 * time.Second // how long one event may take to write before the listener counts as gone
)

// scanEvents writes server-sent events (HTML Living Standard §9.2) until the browser leaves.
func (c *call) scanEvents() error {
	ctx, cancel := context.WithCancel(c.r.Context())
	defer cancel()
	delivery.HoldOpen(c.r.Context())

	events := make(chan tutti.ScanStatus)
	ended := make(chan error, 1)
	go func() { // ends with ctx, and is waited for below
		ended <- c.Catalog.WatchScan(ctx, func(st tutti.ScanStatus) error {
			select {
			case events <- st:
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
		case st := <-events:
			data, err := json.Marshal(wireScan(st))
			if err != nil {
				cancel()
				<-ended
				return tutti.Wrap(tutti.KindInternal, "api.scanEvents", err)
			}
			event = append(append([]byte("event: scan\ndata: "), data...), "\n\n"...)
		case <-timer.C():
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
