package main

import (
	"errors"
	"fmt"
	"testing"

	"tutti"
)

func TestExplain(t *testing.T) {
	inUse := tutti.Errorf(tutti.KindConflict, "sqlite.Lock", "it is in use")
	cause := tutti.Wrap(tutti.KindUnavailable, "sqlite.Open", errors.New("disk full"))
	for _, c := range []struct {
		err  error
		want string
	}{
		{inUse, "it is in use"},
		{errors.Join(inUse, nil), "it is in use"},
		{fmt.Errorf("the data folder /srv: %w", inUse), "the data folder /srv: it is in use"},
		{cause, cause.Error()},
		{errors.Join(inUse, errors.New("and this")), inUse.Error() + "\nand this"},
		{errors.New("plain"), "plain"},
	} {
		if got := explain(c.err); got != c.want {
			t.Errorf("%v: %q, not %q", c.err, got, c.want)
		}
	}
}
