package metacodec

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"

	"tutti"
)

// ParseModelID reads what ModelID.String returns. Anything else is KindInvalid.
func ParseModelID(s string) (id ModelID, err error) {
	if len(s) == 2*len(id) {
		if _, err = hex.Decode(id[:], []byte(s)); err == nil && id.String() == s {
			return id, nil
		}
	}
	return ModelID{}, tutti.Errorf(tutti.KindInvalid, "metacodec.ParseModelID", "%q is no model's ID", s)
}

// DefaultID returns the ID of the model that comes with the program, without unpacking it.
var DefaultID = sync.OnceValue(func() (id ModelID) {
	sum := sha256.Sum256(bytesOf(defaultFile))
	copy(id[:], sum[:])
	return id
})

// DefaultSize returns how long the file of the model is that comes with the program, in bytes.
func DefaultSize() int { return len(defaultFile) }
