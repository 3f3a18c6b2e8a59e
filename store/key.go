package store

import (
	"strings"
	"unicode/utf8"

	"tutti"
)

func checkPart(what, s string, limit int) error {
	const op = "store.CheckKey"
	switch {
	case s == "":
		return tutti.Errorf(tutti.KindInvalid, op, "the %s is empty", what)
	case len(s) > limit:
		return tutti.Errorf(tutti.KindInvalid, op, "a %s of %d bytes is over the limit of %d", what, len(s), limit)
	case !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0:
		return tutti.Errorf(tutti.KindInvalid, op, "the %s is not valid UTF-8 or has a NUL in it", what)
	}
	return nil
}
