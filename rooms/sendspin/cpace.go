package sendspin

import (
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"

	"filippo.io/edwards25519/field"
)

// cpace is one side of CPACE-X25519-SHA512 with explicit mutual confirmation (draft-irtf-cfrg-cpace-21, sections 6, 7 and
// 10.4): two who know the same short code agree on a key, and who does not learns nothing but that one guess was wrong.
type cpace struct {
	initiator bool
	sid       []byte
	ada, adb  []byte // what the proofs say of either side
	secret    *ecdh.PrivateKey
	share     []byte // ours: Ya of the initiator, Yb of the other
	peer      []byte
	key       []byte // ISK; nil until derive
}

const (
	shareSize = 32
	proofSize = sha512.Size
)

// newCPace begins with a code and a session's identifier.
func newCPace(initiator bool, code, sid []byte) (*cpace, error) {
	scalar := make([]byte, 32)
	if _, err := rand.Read(scalar); err != nil {
		return nil, err
	}
	return newCPaceWith(initiator, generator(code, nil, sid), sid, scalar)
}

func newCPaceWith(initiator bool, point, sid, scalar []byte) (*cpace, error) {
	secret, err := ecdh.X25519().NewPrivateKey(scalar)
	if err != nil {
		return nil, fmt.Errorf("cpace: %w", err)
	}
	c := &cpace{initiator: initiator, sid: sid, ada: []byte("server"), adb: []byte("client"), secret: secret}
	if c.share, err = c.times(point); err != nil {
		return nil, err
	}
	return c, nil
}

// times is the scalar's multiple of a point. Points of low order are refused, as X25519 of crypto/ecdh does.
func (c *cpace) times(point []byte) ([]byte, error) {
	p, err := ecdh.X25519().NewPublicKey(point)
	if err != nil {
		return nil, fmt.Errorf("cpace: %w", err)
	}
	out, err := c.secret.ECDH(p)
	if err != nil {
		return nil, fmt.Errorf("cpace: %w", err)
	}
	return out, nil
}

// derive takes the other side's share.
func (c *cpace) derive(peer []byte) error {
	if len(peer) != shareSize || c.key != nil {
		return errors.New("cpace: a share of another size, or a second one")
	}
	shared, err := c.times(peer)
	if err != nil {
		return err
	}
	c.peer = peer
	a, b := c.share, c.peer
	if !c.initiator {
		a, b = b, a
	}
	h := sha512.New()
	h.Write(joined([]byte("CPace255_ISK"), c.sid, shared))
	h.Write(joined(a, c.ada))
	h.Write(joined(b, c.adb))
	c.key = h.Sum(nil)
	return nil
}

// proof shows that this side has derived the key; theirs is what the other side's must be.
func (c *cpace) proof() []byte  { return c.tag(c.initiator) }
func (c *cpace) theirs() []byte { return c.tag(!c.initiator) }

func (c *cpace) tag(initiators bool) []byte {
	h := sha512.New()
	h.Write([]byte("CPaceMac"))
	h.Write(c.sid)
	h.Write(c.key)
	mac := hmac.New(sha512.New, h.Sum(nil))
	share, of := c.share, c.ada
	if initiators != c.initiator {
		share = c.peer
	}
	if !initiators {
		of = c.adb
	}
	mac.Write(joined(share, of))
	return mac.Sum(nil)
}

// verify reports whether the other side has derived the same key. Its own proof sent back is none.
func (c *cpace) verify(proof []byte) bool {
	return !hmac.Equal(c.proof(), c.theirs()) && hmac.Equal(proof, c.theirs())
}

// joined is lv_cat of the draft: every part behind its length.
func joined(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = binary.AppendUvarint(out, uint64(len(p)))
		out = append(out, p...)
	}
	return out
}

// generator is calculate_generator of the draft's group environment G_X25519 (section 8.2).
func generator(code, channel, sid []byte) []byte {
	const blockSize = 128 // of SHA-512
	dsi := []byte("CPace255")
	pad := max(0, blockSize-1-len(joined(code))-len(joined(dsi)))
	sum := sha512.Sum512(joined(dsi, code, make([]byte, pad), channel, sid))
	return elligator(sum[:32])
}

// elligator maps 32 bytes to a point of Curve25519 by Elligator 2 (RFC 9380, section 6.7.1, with J = 486662 and Z = 2), in
// constant time: what it maps comes from a short code.
func elligator(b []byte) []byte {
	var u field.Element
	masked := append([]byte(nil), b...)
	masked[31] &= 0x7f
	if _, err := u.SetBytes(masked); err != nil {
		panic(err) // 32 bytes are always taken
	}
	var j, one, t, x1, gx, x2, out field.Element
	j.Mult32(one.One(), 486662)
	// x1 = -J / (1 + 2 u²); 1 + 2 u² is never 0, because -1/2 is no square.
	t.Square(&u)
	t.Add(&t, &t)
	t.Add(&t, &one)
	t.Invert(&t)
	x1.Multiply(&j, &t)
	x1.Negate(&x1)
	// gx = x1³ + J x1² + x1
	gx.Add(&x1, &j)
	gx.Multiply(&gx, &x1)
	gx.Add(&gx, &one)
	gx.Multiply(&gx, &x1)
	// x2 = -x1 - J is right where gx is no square.
	x2.Negate(&x1)
	x2.Subtract(&x2, &j)
	_, square := new(field.Element).SqrtRatio(&gx, &one)
	out.Select(&x1, &x2, square)
	return out.Bytes()
}
