package metacodec

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

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

// SmallID returns the ID of the small model, without unpacking it.
var SmallID = sync.OnceValue(func() (id ModelID) {
	sum := sha256.Sum256(bytesOf(smallFile))
	copy(id[:], sum[:])
	return id
})

// Within returns the file of a model that comes with the program, not to be changed; ok is false for any other.
func Within(id ModelID) (file []byte, ok bool) {
	switch id {
	case DefaultID():
		return bytesOf(defaultFile), true
	case SmallID():
		return bytesOf(smallFile), true
	}
	return nil, false
}

// About is what is known of a model without having it.
type About struct {
	ID     ModelID
	Name   string
	Size   int       // bytes of the file
	Added  time.Time // to the store
	Used   bool      // it is what the fleet writes with
	Within bool      // it comes with the program
}
