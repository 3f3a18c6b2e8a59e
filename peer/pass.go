package peer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io/fs"
	"strings"
	"time"

	"tutti"
)

// A sealed pass is, in base64url without padding:
//
//	version 1 | key id | fields of tutti.Pass in order | the first 16 bytes of an HMAC-SHA256 over all before
//
// Strings and byte strings carry their length, numbers are varints. It travels in the query of addresses inside the
// fleet, so it is short; nobody who may log addresses sees it from outside (nginx makes the request itself, and members
// log no queries). 128 bits of MAC are what RFC 2104 §5 allows of 256.
const (
	passVersion = 1
	passMAC     = 16
	maxPass     = 8 << 10 // bytes of base64; a path has at most 4096 bytes on Linux
)

// SealPass signs the pass. Whoever holds the result may fetch the object until the pass expires.
func (k *Keys) SealPass(p tutti.Pass) string {
	signing := k.signing()
	b := make([]byte, 0, 256+len(p.Ref.Path))
	b = append(b, passVersion)
	b = appendText(b, signing.id)
	b = appendText(b, p.Ref.Library)
	b = appendText(b, p.Ref.Path)
	b = appendText(b, string(p.Ref.Version))
	b = appendText(b, p.Ref.Profile.Format)
	var cover int64
	if p.Ref.Profile.Cover {
		cover = 1
	}
	for _, n := range [...]int64{
		int64(p.Ref.Profile.BitRate), int64(p.Ref.Profile.Rate), int64(p.Ref.Profile.Channels), int64(p.Ref.Profile.BitDepth),
		int64(p.Ref.Profile.Offset), int64(p.Ref.Profile.Pixels), cover, int64(p.Ref.Start), int64(p.Ref.End), p.Size,
	} {
		b = binary.AppendVarint(b, n)
	}
	b = appendTime(b, p.ModTime)
	b = appendText(b, p.ContentType)
	b = appendText(b, p.ETag)
	b = appendText(b, string(p.SHA256))
	b = binary.AppendVarint(b, int64(p.Duration))
	b = appendTime(b, p.Expires)
	b = append(b, macOf(signing.pass, b)[:passMAC]...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// OpenPass returns what was sealed. The error is KindUnauthorised for what the fleet's keys did not seal, and
// KindForbidden for a pass that has expired by now.
func (k *Keys) OpenPass(sealed string, now time.Time) (tutti.Pass, error) {
	const op = "peer.OpenPass"
	bad := func(why string) (tutti.Pass, error) {
		return tutti.Pass{}, tutti.Errorf(tutti.KindUnauthorised, op, "this is no pass of the fleet: %s", why)
	}
	if sealed == "" {
		return bad("there is none")
	}
	if len(sealed) > maxPass {
		return bad("it is too long")
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil || len(b) < 2+passMAC || b[0] != passVersion {
		return bad("it is malformed")
	}
	body, mac := b[:len(b)-passMAC], b[len(b)-passMAC:]
	d := &passReader{b: body[1:]}
	signed, ok := k.find(d.text())
	if d.err != nil || !ok || !hmac.Equal(mac, macOf(signed.pass, body)[:passMAC]) {
		return bad("its signature is not by one of the fleet's keys")
	}
	p := tutti.Pass{Ref: tutti.Ref{Library: d.text(), Path: d.text(), Version: tutti.Version(d.text()), Profile: tutti.Profile{Format: d.text()}}}
	pr := &p.Ref.Profile
	pr.BitRate, pr.Rate, pr.Channels, pr.BitDepth = int(d.number()), int(d.number()), int(d.number()), int(d.number())
	pr.Offset, pr.Pixels, pr.Cover = time.Duration(d.number()), int(d.number()), d.number() == 1
	p.Ref.Start, p.Ref.End, p.Size = time.Duration(d.number()), time.Duration(d.number()), d.number()
	p.ModTime = d.time()
	p.ContentType, p.ETag = d.text(), d.text()
	if sum := d.text(); sum != "" {
		p.SHA256 = []byte(sum)
	}
	p.Duration = time.Duration(d.number())
	p.Expires = d.time()
	switch {
	case d.err != nil, len(d.b) != 0:
		return bad("it is malformed")
	case !now.Before(p.Expires):
		return tutti.Pass{}, tutti.Errorf(tutti.KindForbidden, op, "the pass has expired; ask for the stream again")
	}
	if err := checkPass(p); err != nil {
		return tutti.Pass{}, err
	}
	return p, nil
}

// checkPass refuses what no member of the fleet would seal, so that a defect in one of them is not one in all.
func checkPass(p tutti.Pass) error {
	const op = "peer.OpenPass"
	switch {
	case !fs.ValidPath(p.Ref.Path) || p.Ref.Path == "." || strings.IndexByte(p.Ref.Path, 0) >= 0:
		return tutti.Errorf(tutti.KindInvalid, op, "the pass is for a path that is none within a library")
	case p.Size < -1:
		return tutti.Errorf(tutti.KindInvalid, op, "the pass is for %d bytes", p.Size)
	case len(p.SHA256) != 0 && len(p.SHA256) != sha256.Size:
		return tutti.Errorf(tutti.KindInvalid, op, "the pass has a digest of %d bytes", len(p.SHA256))
	case p.ETag != "" && !isETag(p.ETag):
		return tutti.Errorf(tutti.KindInvalid, op, "the pass has a malformed entity-tag")
	case !isFieldValue(p.ContentType):
		return tutti.Errorf(tutti.KindInvalid, op, "the pass has a malformed content type")
	}
	return nil
}

func macOf(key, b []byte) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write(b) // a hash never fails
	return h.Sum(nil)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendTime writes seconds and nanoseconds, of which the latter is -1 for the zero time.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(binary.AppendVarint(b, 0), -1)
	}
	return binary.AppendVarint(binary.AppendVarint(b, t.Unix()), int64(t.Nanosecond()))
}

var errPass = errors.New("malformed pass")

// passReader reads the fields of a pass. After the first error everything reads as zero.
type passReader struct {
	b   []byte
	err error
}

func (d *passReader) text() string {
	n, w := binary.Uvarint(d.b)
	if w <= 0 || n > uint64(len(d.b)-w) {
		d.b, d.err = nil, errPass
		return ""
	}
	s := string(d.b[w : w+int(n)])
	d.b = d.b[w+int(n):]
	return s
}

func (d *passReader) number() int64 {
	n, w := binary.Varint(d.b)
	if w <= 0 {
		d.b, d.err = nil, errPass
		return 0
	}
	d.b = d.b[w:]
	return n
}

func (d *passReader) time() time.Time {
	seconds, nanos := d.number(), d.number()
	if nanos < 0 || nanos >= int64(time.Second) {
		return time.Time{}
	}
	return time.Unix(seconds, nanos).UTC()
}
