package subsonic

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"tutti"
)

// TestErrors: every kind of failure has a code and a status, what the catalogue says to users reaches them, and what it
// says to itself does not.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		err          error
		code, status int
		message      string
	}{
		{tutti.Errorf(tutti.KindNotFound, "op", "there is no such song"), 70, http.StatusNotFound, "there is no such song"},
		{tutti.Errorf(tutti.KindInvalid, "op", "the rating is from 0 to 5"), 0, http.StatusBadRequest, "the rating is from 0 to 5"},
		{tutti.Errorf(tutti.KindConflict, "op", "the name is taken"), 0, http.StatusConflict, "the name is taken"},
		{tutti.Errorf(tutti.KindUnauthorised, "op", "who are you?"), 40, http.StatusUnauthorized, "who are you?"},
		{tutti.Errorf(tutti.KindForbidden, "op", "not yours"), 50, http.StatusForbidden, "not yours"},
		{tutti.Errorf(tutti.KindExhausted, "op", "too many at once"), 0, http.StatusServiceUnavailable, "too many at once"},
		{tutti.Errorf(tutti.KindUnavailable, "op", "ffmpeg is not installed"), 0, http.StatusServiceUnavailable, "ffmpeg is not installed"},
		{tutti.Wrap(tutti.KindInternal, "op", errors.New("secret")), 0, http.StatusInternalServerError, "something went wrong"},
		{errors.New("secret"), 0, http.StatusInternalServerError, "something went wrong"},
		{context.DeadlineExceeded, 0, http.StatusServiceUnavailable, "not available"},
		{&tutti.Error{Kind: 200, Message: "from a newer part"}, 0, http.StatusInternalServerError, "from a newer part"},
		{failf(codeMissing, "id is missing"), 10, http.StatusBadRequest, "id is missing"},
		{failf(codeWrongKey, "invalid"), 44, http.StatusUnauthorized, "invalid"},
		{failf(codeGeneric, "nonsense"), 0, http.StatusBadRequest, "nonsense"},
	} {
		code, message := describe(c.err)
		if code != c.code || !strings.Contains(message, c.message) || strings.Contains(message, "secret") {
			t.Errorf("%v is told as %d %q", c.err, code, message)
		}
		if got := httpStatus(c.err); got != c.status {
			t.Errorf("%v has the status %d, want %d", c.err, got, c.status)
		}
	}
	if last := int(tutti.KindUnavailable); len(codes) != last+1 {
		t.Errorf("%d of %d kinds have a code", len(codes), last+1)
	}
}
