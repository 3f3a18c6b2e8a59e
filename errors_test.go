package tutti

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
)

func TestErrorsAreClassifiedOnce(t *testing.T) {
	inner := Errorf(KindNotFound, "origin.Open", "there is no such file")
	outer := Wrap(KindInternal, "catalog.Plan", inner)
	if KindOf(outer) != KindNotFound || Message(outer) != "there is no such file" {
		t.Errorf("wrapping changed kind or message: %v, %q", KindOf(outer), Message(outer))
	}
	if s := outer.Error(); !strings.Contains(s, "catalog.Plan") || !strings.Contains(s, "origin.Open") {
		t.Errorf("a log line lost an operation: %q", s)
	}
	if Wrap(KindInternal, "x", nil) != nil {
		t.Error("wrapping nil made an error")
	}
}

func TestMessageNeverShowsCauses(t *testing.T) {
	secret := errors.New("dial tcp 10.0.0.1: password=hunter2")
	for _, err := range []error{secret, Wrap(KindInternal, "op", secret), Wrap(KindUnavailable, "op", secret), Wrap(KindNotFound, "op", fs.ErrNotExist)} {
		if m := Message(err); m == "" || strings.Contains(m, "hunter2") || strings.Contains(m, "file does not exist") {
			t.Errorf("Message(%v) = %q", err, m)
		}
	}
}

func TestKindOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Kind
	}{
		{nil, KindInternal},
		{errors.New("?"), KindInternal},
		{context.Canceled, KindUnavailable},
		{Wrap(KindConflict, "op", errors.New("?")), KindConflict},
		{errors.Join(errors.New("?"), Errorf(KindInvalid, "op", "no")), KindInvalid},
	} {
		if got := KindOf(c.err); got != c.want {
			t.Errorf("KindOf(%v) = %v, want %v", c.err, got, c.want)
		}
	}
	if IsKind(nil, KindInternal) {
		t.Error("nil is an error of a kind")
	}
}
