package nginx

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
)

// Header is the request header in which nginx tells delivery the secret. nginx sets it on every request that it passes
// on, whatever a client has sent.
const Header = "X-Tutti-Edge"

const (
	slicesPath = "/_tutti/slices/"
	wholePath  = "/_tutti/whole/"
)

// Secret derives the secret between nginx and delivery from a key of the fleet, so that there is no other to hand out.
func Secret(key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("tutti: nginx in front of delivery, 1"))
	return hex.EncodeToString(mac.Sum(nil))
}

// Behind reports whether a request came through an nginx that knows one of the secrets. While keys are rotated there are
// several.
func Behind(r *http.Request, secrets ...string) bool {
	said := r.Header[Header]
	if len(said) != 1 {
		return false
	}
	ok := 0
	for _, s := range secrets {
		if s != "" {
			ok |= subtle.ConstantTimeCompare([]byte(said[0]), []byte(s))
		}
	}
	return ok == 1
}

// Location is the address for X-Accel-Redirect under which nginx has the bytes of an object. id is its Ref.ID, pass the
// sealed leave to fetch it, in the letters of base64url and dots. Sliced is for objects whose bytes never change and whose
// size is known; the others go whole, from the owners of their first chunk.
func Location(id, pass string, sliced bool) string {
	if sliced {
		return slicesPath + id + "?pass=" + pass
	}
	return wholePath + id + "?pass=" + pass
}
