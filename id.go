package tutti

import "strings"

// ID names a thing in the catalogue. Its first two letters say what kind of thing it is ("tr-0h3k…" is a track), so
// an endpoint that takes any ID knows what it was given without a look-up. IDs are opaque to clients, safe in URLs,
// file names and store keys, and equal only if their bytes are.
type ID string

// The prefixes of IDs.
const (
	PrefixTrack    = "tr-"
	PrefixAlbum    = "al-"
	PrefixArtist   = "ar-"
	PrefixFolder   = "fo-"
	PrefixPlaylist = "pl-"
	PrefixShare    = "sh-"
	PrefixStation  = "rs-"
	PrefixRoom     = "ro-"
	PrefixUser     = "us-"
)

// idAlphabet is Crockford's base32 in lower case: no letter that a person mistakes for a digit, and file systems and
// people that ignore case lose nothing. https://www.crockford.com/base32.html
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

const (
	idPrefixLen = 3
	idDigits    = 13 // ceil(64 bits / 5)
)

// NewID forms an ID of the kind that prefix names from 64 bits.
func NewID(prefix string, n uint64) ID {
	var b [idPrefixLen + idDigits]byte
	copy(b[:], prefix)
	for i := len(b) - 1; i >= idPrefixLen; i-- {
		b[i] = idAlphabet[n&31]
		n >>= 5
	}
	return ID(b[:])
}

// Is reports whether the ID has the prefix and a well-formed number.
func (id ID) Is(prefix string) bool {
	if !strings.HasPrefix(string(id), prefix) {
		return false
	}
	_, ok := id.Number()
	return ok
}

// Number returns the 64 bits that NewID was given. ok is false where the ID is not of NewID's form.
func (id ID) Number() (n uint64, ok bool) {
	if len(id) != idPrefixLen+idDigits {
		return 0, false
	}
	for i := idPrefixLen; i < len(id); i++ {
		d := strings.IndexByte(idAlphabet, id[i])
		if d < 0 || (i == idPrefixLen && d > 15) { // 13 digits hold 65 bits; the first has only four
			return 0, false
		}
		n = n<<5 | uint64(d)
	}
	return n, true
}
