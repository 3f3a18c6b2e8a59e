package delivery

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"tutti"
)

// Status is the one place where a kind of error becomes an HTTP status.
func Status(err error) int {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	switch tutti.KindOf(err) {
	case tutti.KindNotFound:
		return http.StatusNotFound
	case tutti.KindInvalid:
		return http.StatusBadRequest
	case tutti.KindConflict:
		return http.StatusConflict
	case tutti.KindUnauthorised:
		return http.StatusUnauthorized
	case tutti.KindForbidden:
		return http.StatusForbidden
	case tutti.KindExhausted:
		return http.StatusTooManyRequests
	case tutti.KindUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// defaultRetry is what a client is told to wait where the error does not say: long enough that a queue moves on, short
// enough that a person still waits for it.
const defaultRetry = 5 * time.Second

// RetryAfter returns how long a client should wait before it asks again: what an error in the chain with a method
// RetryAfter() time.Duration says, else five seconds where later may help (exhausted and unavailable), else zero.
func RetryAfter(err error) time.Duration {
	var says interface{ RetryAfter() time.Duration }
	if errors.As(err, &says) {
		return max(0, says.RetryAfter())
	}
	switch tutti.KindOf(err) {
	case tutti.KindExhausted, tutti.KindUnavailable:
		return defaultRetry
	}
	return 0
}

// SetRetryAfter sets the Retry-After header (RFC 9110 §10.2.3) in whole seconds, rounded up, where RetryAfter is not zero.
func SetRetryAfter(h http.Header, err error) {
	if d := RetryAfter(err); d > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10))
	}
}

// WriteError answers with the error's status and, as plain text, the message that its user may read. Wires with an
// error form of their own use Status and SetRetryAfter instead. It must come before anything is written.
func WriteError(w http.ResponseWriter, err error) {
	h := w.Header()
	for _, k := range []string{"Content-Length", "Content-Encoding", "Content-Disposition", "Content-Range", "Etag", "Last-Modified", "Cache-Control"} {
		h.Del(k)
	}
	SetRetryAfter(h, err)
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(Status(err))
	// A failure to write means that the asker has left; there is nobody to tell.
	_, _ = w.Write([]byte(tutti.Message(err) + "\n"))
}
