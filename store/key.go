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

// CheckLog returns KindInvalid for a name that no engine takes for a log. The rules are those of a partition key.
func CheckLog(name string) error { return checkPart("log's name", name, MaxPK) }

// CheckLimit returns KindInvalid for a limit outside 1 to MaxPage.
func CheckLimit(limit int) error {
	if limit < 1 || limit > MaxPage {
		return tutti.Errorf(tutti.KindInvalid, "store.CheckLimit", "the limit %d is outside 1 to %d", limit, MaxPage)
	}
	return nil
}

// CheckKeys returns KindInvalid for what no engine takes as the keys of a BatchGet: a key twice, more than
// MaxBatchGet of them, or one that CheckKey refuses.
func CheckKeys(keys []Key) error {
	const op = "store.CheckKeys"
	if len(keys) > MaxBatchGet {
		return tutti.Errorf(tutti.KindInvalid, op, "%d keys are over the limit of %d", len(keys), MaxBatchGet)
	}
	seen := make(map[Key]struct{}, len(keys))
	for _, k := range keys {
		if err := CheckKey(k); err != nil {
			return err
		}
		seen[k] = struct{}{}
	}
	if len(seen) != len(keys) {
		return tutti.Errorf(tutti.KindInvalid, op, "a key is asked for twice")
	}
	return nil
}

// CheckQuery returns KindInvalid for arguments of Query that no engine takes. A prefix may be empty.
func CheckQuery(pk, prefix, after string, limit int) error {
	if err := checkPart("partition key", pk, MaxPK); err != nil {
		return err
	}
	if prefix != "" {
		if err := checkPart("prefix", prefix, MaxSK); err != nil {
			return err
		}
	}
	if after != "" {
		if err := checkPart("cursor", after, MaxSK); err != nil {
			return err
		}
		if !strings.HasPrefix(after, prefix) {
			return tutti.Errorf(tutti.KindInvalid, "store.CheckQuery", "the cursor belongs to another query")
		}
	}
	return CheckLimit(limit)
}
