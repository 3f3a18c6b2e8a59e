package tutti

import (
	"context"
	"errors"
	"fmt"
)

// Kind says what sort of failure an error is. There are few, so that each wire (HTTP, Subsonic, Connect) maps them
// in one place.
type Kind uint8

// The kinds of failure. The zero value is KindInternal: an error nobody classified is our fault until shown otherwise.
const (
	KindInternal     Kind = iota // a defect or a broken machine; the message is for the log, not for the user
	KindNotFound                 // the thing asked for does not exist, or the asker may not know that it does
	KindInvalid                  // the request is malformed; repeating it cannot help
	KindConflict                 // a version or uniqueness condition failed; read again, then retry
	KindUnauthorised             // who are you? credentials are missing or wrong
	KindForbidden                // we know who you are, and you may not
	KindExhausted                // a limit is reached (rate, queue, size); later may work
	KindUnavailable              // a part is missing or away (ffmpeg, origin, database); later may work
)

var kindNames = [...]string{"internal", "not found", "invalid", "conflict", "unauthorised", "forbidden", "exhausted", "unavailable"}

// String returns the kind in words.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Error is the one error type that crosses package borders. Kind decides the wire code, Message what the user reads,
// Op and Err what the log says.
type Error struct {
	Kind    Kind
	Op      string // the operation that failed, as "package.Function" or "package: verb noun"
	Message string // what happened and what to do, for a user; never a secret, a path outside the library, or a stack
	Err     error  // the cause, or nil
}

// Error formats the operation, the message and the cause for a log line.
func (e *Error) Error() string {
	s := e.Message
	if s == "" {
		s = e.Kind.String()
	}
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an error of a kind whose message a user may read. It has no cause; to classify one, use Wrap.
func Errorf(kind Kind, op, format string, args ...any) error {
	return &Error{Kind: kind, Op: op, Message: fmt.Sprintf(format, args...)}
}

// Wrap classifies cause and says which operation met it. It returns nil for a nil cause. A cause that already has a
// kind and a message keeps both: errors are classified once, where they happen.
func Wrap(kind Kind, op string, cause error) error {
	if cause == nil {
		return nil
	}
	var e *Error
	if errors.As(cause, &e) {
		return &Error{Kind: e.Kind, Op: op, Message: e.Message, Err: cause}
	}
	return &Error{Kind: kind, Op: op, Err: cause}
}

// KindOf returns the kind of err. Cancellation and deadlines count as unavailable; anything unclassified is internal.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return KindUnavailable
	}
	return KindInternal
}

// IsKind reports whether err is of the kind.
func IsKind(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// Message returns what a user may read of err: the message of the outermost classified error that has one, else a
// sentence for its kind. Internal causes are never shown.
func Message(err error) string {
	var e *Error
	for cause := err; errors.As(cause, &e); cause = e.Err {
		if e.Message != "" {
			return e.Message
		}
	}
	switch k := KindOf(err); k {
	case KindInternal:
		return "something went wrong on the server; its log has the details"
	case KindUnavailable:
		return "this part of the server is not available right now; try again later"
	default:
		return k.String()
	}
}
