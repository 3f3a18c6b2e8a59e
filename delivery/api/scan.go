package api

import (
	"context"
	"net/http"

	"tutti"
)

type scanRequest struct {
	Full bool `json:"full,omitempty" doc:"Read every file again, changed or not."`
}

func (s *server) scanRoutes() []route {
	events := bytesOf(scanEventsPath, "watchScan", "scan", "How the scan gets on, as it happens", "text/event-stream", member, (*call).scanEvents).
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

func (c *call) scanEvents() error {
	return c.events(func(ctx context.Context, tell func(name string, data any) error) error {
		return c.Catalog.WatchScan(ctx, func(st tutti.ScanStatus) error { return tell("scan", wireScan(st)) })
	})
}
