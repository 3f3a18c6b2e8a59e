package peer

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"

	"tutti"
	"tutti/peer/wire"
)

// codes is the one place where kinds of errors become Connect codes. The code is for tools that look on; members read
// the kind itself from the Failure that goes with it.
var codes = map[tutti.Kind]connect.Code{
	tutti.KindInternal:     connect.CodeInternal,
	tutti.KindNotFound:     connect.CodeNotFound,
	tutti.KindInvalid:      connect.CodeInvalidArgument,
	tutti.KindConflict:     connect.CodeAborted,
	tutti.KindUnauthorised: connect.CodeUnauthenticated,
	tutti.KindForbidden:    connect.CodePermissionDenied,
	tutti.KindExhausted:    connect.CodeResourceExhausted,
	tutti.KindUnavailable:  connect.CodeUnavailable,
}

// statuses is the same for bytes, which travel without Connect.
var statuses = map[tutti.Kind]int{
	tutti.KindInternal:     http.StatusInternalServerError,
	tutti.KindNotFound:     http.StatusNotFound,
	tutti.KindInvalid:      http.StatusBadRequest,
	tutti.KindConflict:     http.StatusPreconditionFailed,
	tutti.KindUnauthorised: http.StatusUnauthorized,
	tutti.KindForbidden:    http.StatusForbidden,
	tutti.KindExhausted:    http.StatusTooManyRequests,
	tutti.KindUnavailable:  http.StatusServiceUnavailable,
}

// later is the cause of an error that says when to ask again.
type later time.Duration

func (l later) Error() string             { return "ask again in " + time.Duration(l).String() }
func (l later) RetryAfter() time.Duration { return time.Duration(l) }

func retryAfter(err error) time.Duration {
	var says interface{ RetryAfter() time.Duration }
	if errors.As(err, &says) {
		return max(0, says.RetryAfter())
	}
	return 0
}

// userMessage is what a user may read of err, or "" where nothing was written for users.
func userMessage(err error) string {
	var e *tutti.Error
	for cause := err; errors.As(cause, &e); cause = e.Err {
		if e.Message != "" {
			return e.Message
		}
	}
	return ""
}

// outgoing makes of a member's own error what another one is told: kind and message, never the cause.
func outgoing(err error) error {
	if err == nil {
		return nil
	}
	kind := tutti.KindOf(err)
	code, ok := codes[kind]
	if !ok {
		code = connect.CodeInternal
	}
	message := userMessage(err)
	out := connect.NewError(code, errors.New(message))
	detail, detailErr := connect.NewErrorDetail(&wire.Failure{Kind: uint32(kind), Message: text(message), RetryAfterNs: int64(retryAfter(err))})
	if detailErr == nil { // a message of ours always marshals
		out.AddDetail(detail)
	}
	return out
}

// incoming makes of what came back from a call an error of ours. answered says whether the other member said it, so
// that it is neither dead nor lost.
func incoming(ctx context.Context, op string, err error) (_ error, answered bool) {
	if err == nil {
		return nil, true
	}
	var said answeredError
	if errors.As(err, &said) {
		return said.error, true
	}
	var ce *connect.Error
	if errors.As(err, &ce) && connect.IsWireError(err) {
		for _, d := range ce.Details() {
			value, err := d.Value()
			if err != nil {
				continue
			}
			if f, ok := value.(*wire.Failure); ok {
				if kindOf(f.GetKind()) == tutti.KindUnauthorised {
					return &tutti.Error{Kind: tutti.KindUnavailable, Op: op, Err: refused(f.GetMessage())}, false
				}
				return failure(op, kindOf(f.GetKind()), f.GetMessage(), time.Duration(f.GetRetryAfterNs())), true
			}
		}
		return &tutti.Error{Kind: kindOfCode(ce.Code()), Op: op, Err: err}, true
	}
	if ctx.Err() != nil { // ours to give up: say so, and why
		return tutti.Wrap(tutti.KindUnavailable, op, context.Cause(ctx)), false
	}
	var own *tutti.Error
	if errors.As(err, &own) {
		return tutti.Wrap(tutti.KindUnavailable, op, err), false
	}
	return &tutti.Error{Kind: tutti.KindUnavailable, Op: op, Err: err}, false
}

// refused is what a member says that does not take this process for one of the fleet: their keys differ, or their clocks.
// That is between the two. To a listener, whose own credentials nobody doubts, it means that the member is of no use,
// and others may be.
type refused string

func (r refused) Error() string { return "refused: " + string(r) }

// failure is an error that another member reported.
func failure(op string, kind tutti.Kind, message string, retry time.Duration) error {
	e := &tutti.Error{Kind: kind, Op: op, Message: message}
	if retry > 0 {
		e.Err = later(retry)
	}
	return e
}

// kindOf reads a kind. One that only a newer member knows is an internal error to us.
func kindOf(n uint32) tutti.Kind {
	if n > uint32(tutti.KindUnavailable) {
		return tutti.KindInternal
	}
	return tutti.Kind(n)
}

func kindOfCode(c connect.Code) tutti.Kind {
	for kind, code := range codes {
		if code == c {
			return kind
		}
	}
	switch c {
	case connect.CodeCanceled, connect.CodeDeadlineExceeded:
		return tutti.KindUnavailable
	case connect.CodeUnimplemented: // an older member, or one of another service
		return tutti.KindUnavailable
	}
	return tutti.KindInternal
}

// The headers of an answer without bytes.
const (
	headerKind  = "Tutti-Kind"
	maxMessage  = 4 << 10
	defaultWait = 5 * time.Second // what an asker is told where the error does not say, as delivery does
)

// writeFailure answers a request for bytes with an error. Nothing must have been written.
func writeFailure(w http.ResponseWriter, err error) {
	h := w.Header()
	for _, k := range []string{"Content-Length", "Content-Range", "Etag", "Last-Modified", "Repr-Digest", "X-Content-Duration", "Accept-Ranges"} {
		h.Del(k)
	}
	kind := tutti.KindOf(err)
	wait := retryAfter(err)
	if wait == 0 && (kind == tutti.KindExhausted || kind == tutti.KindUnavailable) {
		wait = defaultWait
	}
	if wait > 0 { // whole seconds (RFC 9110 §10.2.3)
		h.Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	}
	status, ok := statuses[kind]
	if !ok {
		status = http.StatusInternalServerError
	}
	h.Set(headerKind, strconv.Itoa(int(kind)))
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, userMessage(err)) // who has left needs no telling
}

// readFailure makes an error of an answer without bytes, and closes its body.
func readFailure(op string, resp *http.Response) error {
	message, err := io.ReadAll(io.LimitReader(resp.Body, maxMessage))
	_ = resp.Body.Close() // only read
	kind := tutti.KindInternal
	if n, convErr := strconv.ParseUint(resp.Header.Get(headerKind), 10, 8); convErr == nil && err == nil {
		kind = kindOf(uint32(n))
	} else {
		// Not one of ours has answered, or only half: some gateway, say.
		message = nil
		switch {
		case resp.StatusCode == http.StatusNotFound:
			kind = tutti.KindNotFound
		case resp.StatusCode == http.StatusTooManyRequests:
			kind = tutti.KindExhausted
		case resp.StatusCode >= 500:
			kind = tutti.KindUnavailable
		}
	}
	var retry time.Duration
	if s, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16); err == nil {
		retry = time.Duration(s) * time.Second
	}
	return failure(op, kind, string(message), retry)
}
