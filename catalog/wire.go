package catalog

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"math/bits"
	"time"
	"unsafe"
)

// errTruncated is the one complaint of a decoder: bytes that this program wrote do not read back. Frames that travel
// carry checksums (zstd's own), so in practice it means a defect or a newer format.
var errTruncated = errors.New("malformed catalogue record")

// decoder reads what the append functions below wrote. After the first error everything reads as zero.
type decoder struct {
	b      []byte
	shared bool // b is the memory of a string, so strings may be pieces of it
	err    error
}

// decodeString returns a decoder of s whose strings are pieces of s rather than copies.
func decodeString(s string) decoder {
	return decoder{b: unsafe.Slice(unsafe.StringData(s), len(s)), shared: true}
}

func (d *decoder) fail() {
	d.err = errTruncated
	d.b = nil
}

func (d *decoder) uvarint() uint64 {
	if len(d.b) > 0 && d.b[0] < 0x80 { // most numbers are small
		v := d.b[0]
		d.b = d.b[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.fail()
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	return d.take(int(n))
}

func (d *decoder) string() string { return d.text(d.bytes()) }

func (d *decoder) text(b []byte) string {
	if d.shared && len(b) > 0 {
		return unsafe.String(&b[0], len(b)) // strings never change, and this one keeps its memory alive
	}
	return string(b)
}

func (d *decoder) u64() uint64 {
	b := d.take(8)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

func (d *decoder) byte() byte {
	b := d.take(1)
	if b == nil {
		return 0
	}
	return b[0]
}

// count reads the length of a list whose elements take at least one byte each.
func (d *decoder) count() int {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) time() time.Time {
	ns := d.varint()
	if d.err != nil {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// number reads what appendNumber wrote.
func (d *decoder) number(scale float64) float64 {
	u := d.uvarint()
	if u&1 != 0 {
		return math.Float64frombits(d.u64())
	}
	u >>= 1
	return float64(int64(u>>1)^-int64(u&1)) / scale
}

// packed reads what appendPacked wrote.
func (d *decoder) packed() string {
	h := d.uvarint()
	n := h >> 2
	if n > uint64(len(d.b)) {
		d.fail()
		return ""
	}
	b := d.take(int(n))
	switch h & 3 {
	case packedHex:
		return hex.EncodeToString(b)
	case packedUUID:
		if len(b) != 16 {
			d.fail()
			return ""
		}
		var u [36]byte
		hex.Encode(u[0:8], b[0:4])
		hex.Encode(u[9:13], b[4:6])
		hex.Encode(u[14:18], b[6:8])
		hex.Encode(u[19:23], b[8:10])
		hex.Encode(u[24:36], b[10:16])
		u[8], u[13], u[18], u[23] = '-', '-', '-', '-'
		return string(u[:])
	}
	return d.text(b)
}

func uvarintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

func appendUvarint(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }

func appendVarint(b []byte, v int64) []byte { return binary.AppendVarint(b, v) }

func appendU64(b []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(b, v) }

func appendBytes(b, v []byte) []byte { return append(binary.AppendUvarint(b, uint64(len(v))), v...) }

func appendString(b []byte, v string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

// appendNumber writes v exactly: as a small integer where v is one in units of 1/scale, as all tagged gains and peaks
// are, and as its bits where not.
func appendNumber(b []byte, v, scale float64) []byte {
	if n := math.Round(v * scale); math.Abs(n) < 1<<40 && n/scale == v && !(v == 0 && math.Signbit(v)) {
		return appendUvarint(b, uint64(int64(n)<<1^int64(n)>>63)<<1)
	}
	return appendU64(appendUvarint(b, 1), math.Float64bits(v))
}

const (
	packedText = iota
	packedHex
	packedUUID
)

// appendPacked writes a string in half its size where it is a hash or a UUID in lower-case hexadecimal.
func appendPacked(b []byte, s string) []byte {
	var buf [64]byte
	if len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' {
		plain := make([]byte, 0, 32)
		plain = append(append(append(append(append(plain, s[:8]...), s[9:13]...), s[14:18]...), s[19:23]...), s[24:]...)
		if lowerHex(string(plain)) {
			if n, err := hex.Decode(buf[:], plain); err == nil {
				return append(appendPackedHead(b, 16, packedUUID), buf[:n]...)
			}
		}
	}
	if len(s) > 0 && len(s)%2 == 0 && len(s) <= 2*len(buf) && lowerHex(s) {
		if n, err := hex.Decode(buf[:], []byte(s)); err == nil {
			return append(appendPackedHead(b, n, packedHex), buf[:n]...)
		}
	}
	return append(appendPackedHead(b, len(s), packedText), s...)
}

func appendPackedHead(b []byte, n int, form uint64) []byte {
	return appendUvarint(b, uint64(n)<<2|form)
}

func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// viewString returns b as a string without copying it: valid only while b is left alone, for look-ups and comparisons.
func viewString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func unixNano(ns int64) time.Time { return time.Unix(0, ns).UTC() }
