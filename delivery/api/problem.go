package api

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"

	"tutti"
	"tutti/delivery"
)

// problem is an error as clients see it: RFC 9457 problem details. The type is always the default "about:blank", so the
// title is the status's own phrase; Kind is what programs are to look at, Detail what people read.
type problem struct {
	Title     string `json:"title" doc:"The status in words."`
	Status    int    `json:"status" doc:"The HTTP status."`
	Detail    string `json:"detail" doc:"What happened and what to do, for a person."`
	Kind      string `json:"kind" enum:"internal,not-found,invalid,conflict,unauthorised,forbidden,exhausted,unavailable" doc:"What sort of failure it is, for a program."`
	RequestID string `json:"requestId,omitempty" doc:"Under which id the server's log knows the request."`
}

func kindName(k tutti.Kind) string { return strings.ReplaceAll(k.String(), " ", "-") }

func writeProblem(w http.ResponseWriter, p problem) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	// Marshalling strings and a number cannot fail, and who has left needs no answer.
	body, _ := json.Marshal(p)
	_, _ = w.Write(append(body, '\n'))
}

// fail answers with err, and logs what is our fault.
func (s *server) fail(c *call, rt route, err error) {
	ctx := c.r.Context()
	if ctx.Err() != nil && c.wrote {
		return
	}
	status := delivery.Status(err)
	if status >= http.StatusInternalServerError && ctx.Err() == nil {
		s.Logger.LogAttrs(ctx, slog.LevelError, "the API could not answer",
			slog.String("route", rt.id), slog.String("request", delivery.RequestID(ctx)), slog.Any("error", err))
	}
	if status == http.StatusUnauthorized {
		c.w.Header().Set("WWW-Authenticate", `Bearer realm="tutti"`) // RFC 9110 §11.6.1, RFC 6750 §3
	}
	delivery.SetRetryAfter(c.w.Header(), err)
	writeProblem(c.w, problem{
		Title: http.StatusText(status), Status: status, Detail: tutti.Message(err),
		Kind: kindName(tutti.KindOf(err)), RequestID: delivery.RequestID(ctx),
	})
}
