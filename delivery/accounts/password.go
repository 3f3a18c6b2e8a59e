package accounts

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"tutti"
)

// The bounds of a password. Eight characters is the least that NIST SP 800-63B §5.1.1.2 allows; the most keeps requests small.
const (
	minPassword = 8   // characters
	maxPassword = 256 // bytes
)

func checkPassword(op, password string) error {
	switch {
	case utf8.RuneCountInString(password) < minPassword:
		return tutti.Errorf(tutti.KindInvalid, op, "the password is too short; it needs at least %d characters", minPassword)
	case len(password) > maxPassword:
		return tutti.Errorf(tutti.KindInvalid, op, "the password is too long; it may have at most %d bytes", maxPassword)
	case !utf8.ValidString(password) || strings.ContainsRune(password, 0):
		return tutti.Errorf(tutti.KindInvalid, op, "the password has characters in it that are not text")
	}
	return nil
}

// phc is a password hash with all that is needed to check it, in the string format that argon2's reference program
// prints (https://github.com/P-H-C/phc-string-format).
type phc struct {
	memory     uint32 // KiB
	passes     uint32
	lanes      uint8
	salt, hash []byte
}

// cost is the argon2id parameters for new hashes: the first choice of OWASP's Password Storage Cheat Sheet, 19 MiB and
// two passes. It takes about 30 ms of one core. RFC 9106 §4's second choice (64 MiB, three passes, four lanes) would let
// a handful of sign-ins push a small machine into swap.
var cost = phc{memory: 19 * 1024, passes: 2, lanes: 1}

const (
	saltLen = 16 // bytes; RFC 9106 §3.1 recommends it
	hashLen = 32 // bytes
)

// The largest parameters that are taken from the database, so that a damaged item cannot take the machine down.
const (
	maxMemory = 1 << 20 // KiB
	maxPasses = 64
	maxField  = 64 // bytes of salt or hash
)

func (p phc) String() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.passes, p.lanes, b64(p.salt), b64(p.hash))
}

// parsePHC reads what String wrote.
func parsePHC(s string) (phc, error) {
	const op = "accounts.parsePHC"
	bad := func(what string) (phc, error) {
		return phc{}, tutti.Errorf(tutti.KindInternal, op, "a stored password hash has a bad %s; set the password again", what)
	}
	f := strings.Split(s, "$")
	if len(s) > 512 || len(f) != 6 || f[0] != "" || f[1] != "argon2id" {
		return bad("form")
	}
	if f[2] != "v="+strconv.Itoa(argon2.Version) {
		return bad("version")
	}
	params := strings.Split(f[3], ",")
	if len(params) != 3 {
		return bad("list of parameters")
	}
	var n [3]uint64
	for i, limit := range [3]struct {
		name string
		max  uint64
	}{{"m=", maxMemory}, {"t=", maxPasses}, {"p=", 255}} {
		digits, ok := strings.CutPrefix(params[i], limit.name)
		v, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil || v == 0 || v > limit.max {
			return bad("parameter " + limit.name)
		}
		n[i] = v
	}
	p := phc{memory: uint32(n[0]), passes: uint32(n[1]), lanes: uint8(n[2])}
	for i, field := range [2]*[]byte{&p.salt, &p.hash} {
		b, err := base64.RawStdEncoding.Strict().DecodeString(f[4+i])
		if err != nil || len(b) < 8 || len(b) > maxField {
			return bad("salt or hash")
		}
		*field = b
	}
	if p.String() != s { // leading zeros, line ends that base64 skips
		return bad("form")
	}
	return p, nil
}

// hasher computes password hashes, few at a time: each takes 19 MiB, and a crowd of sign-ins must not take the memory
// that playing needs.
type hasher struct {
	slots  chan struct{}
	queued atomic.Int64
	derive func(password, salt []byte, passes, memory uint32, lanes uint8, length uint32) []byte
}

// maxQueued is how many sign-ins may wait: at 30 ms each, two seconds for the last of them on two cores.
const maxQueued = 64

func newHasher() *hasher {
	// Half of the processors, so that a crowd at the door does not make the music stutter.
	return &hasher{slots: make(chan struct{}, max(1, min(4, runtime.GOMAXPROCS(0)/2))), derive: argon2.IDKey}
}

func (h *hasher) run(ctx context.Context, op, password string, p phc, length uint32) ([]byte, error) {
	if h.queued.Add(1) > maxQueued {
		h.queued.Add(-1)
		return nil, tutti.Errorf(tutti.KindExhausted, op, "too many people are signing in at once; try again in a moment")
	}
	defer h.queued.Add(-1)
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, tutti.Wrap(tutti.KindUnavailable, op, ctx.Err())
	}
	defer func() { <-h.slots }()
	return h.derive([]byte(password), p.salt, p.passes, p.memory, p.lanes, length), nil
}

// hash makes a new hash of a password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	p := cost
	p.salt = make([]byte, saltLen)
	rand.Read(p.salt) // never fails: crypto/rand ends the program instead
	sum, err := h.run(ctx, "accounts.hash", password, p, hashLen)
	if err != nil {
		return "", err
	}
	p.hash = sum
	return p.String(), nil
}

// verify reports whether the password is the one that was hashed, and whether the hash was made with other parameters
// than today's and should be made again.
func (h *hasher) verify(ctx context.Context, hashed, password string) (ok, stale bool, err error) {
	p, err := parsePHC(hashed)
	if err != nil {
		return false, false, err
	}
	if len(password) > maxPassword {
		password = "" // which nobody has; the work is done all the same
	}
	sum, err := h.run(ctx, "accounts.verify", password, p, uint32(len(p.hash)))
	if err != nil {
		return false, false, err
	}
	stale = p.memory != cost.memory || p.passes != cost.passes || p.lanes != cost.lanes
	return subtle.ConstantTimeCompare(sum, p.hash) == 1, stale, nil
}
