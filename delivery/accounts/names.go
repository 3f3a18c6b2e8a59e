package accounts

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"

	"tutti"
)

const maxName = 64 // characters of a user's name

// fold returns the form of a user's name under which it is kept and found: two names with one form are one user. ASCII is
// put into lower case; the rest follows the Nickname profile of PRECIS (RFC 8266), which also takes care of
// width, composition and stray spaces. ok is false for what is no name.
func fold(name string) (key string, ok bool) {
	if name == "" || len(name) > 4*maxName || !utf8.ValidString(name) {
		return "", false
	}
	plain := true
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		key = strings.ToLower(name)
	} else {
		var err error
		if key, err = precis.Nickname.CompareKey(name); err != nil {
			return "", false
		}
	}
	return key, key != "" && utf8.RuneCountInString(key) <= maxName
}

// checkName returns how a new user's name is spelled and found.
func checkName(op, name string) (spelled, key string, err error) {
	spelled = strings.Join(strings.Fields(name), " ")
	key, ok := fold(spelled)
	if !ok {
		return "", "", tutti.Errorf(tutti.KindInvalid, op, "a user's name has 1 to %d letters, digits, spaces or symbols", maxName)
	}
	return spelled, key, nil
}
