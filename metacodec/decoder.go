package metacodec

import (
	"encoding/binary"
	"time"

	"tutti"
)

// Decoder reads the records of a frame. It is for one goroutine at a time; a Decoder that is used again allocates
// nothing but room for longer frames than before.
//
// After an error every method returns zero values, and Err says what happened: callers check once, at the end. What was
// read before the error is not to be used: a frame is read whole or not at all.
type Decoder struct {
	models  *Models
	model   *Model // of the frame; nil for a plain one
	coder   *coder // while a modelled frame is read
	plain   []byte // what is left of a plain frame
	own     []byte // where Zstandard frames are unpacked
	left    uint64 // records that are to come
	kind    Kind
	err     error
	spent   int // bytes of plain form that a modelled frame has grown to
	reading bool
	drawn   bool // from random bits, of which some may be left
}

// NewDecoder returns a decoder that reads frames written with any of the models, and all that need none. models may be
// nil, and may be added to at any time.
func NewDecoder(models *Models) *Decoder { return &Decoder{models: models} }

// Reset begins a frame, which must stay as it is until the last record is read. It fails with tutti.KindInvalid where
// the frame is damaged or of a later format, and with an UnknownModelError where its model is missing.
func (d *Decoder) Reset(frame []byte) error {
	d.Close()
	f, body, m, err := open(frame, d.models)
	d.err = err
	if err != nil {
		return err
	}
	d.model, d.plain, d.left, d.spent, d.reading = m, body, 0, 0, true
	switch f {
	case formModel:
		d.plain = nil
		d.coder = m.begin(body)
		d.left = d.coder.records()
	case formZstd:
		r, err := zstdReader()
		if err != nil {
			return d.fail(tutti.Wrap(tutti.KindInternal, "metacodec.Decoder", err))
		}
		if !packed(body) {
			return d.fail(errCorrupt("it would be too long"))
		}
		if d.own, err = r.DecodeAll(body, d.own[:0]); err != nil {
			return d.fail(errCorrupt("it cannot be unpacked"))
		}
		d.plain = d.own
		fallthrough
	default:
		d.left = d.uvarint()
	}
	if d.left > MaxRecords {
		return d.fail(errCorrupt("it has too many records"))
	}
	return d.err
}

// Draw begins a frame of so many records that nobody wrote: they are read from random bits, so each is as probable as the
// model holds it to be. Err says where the bits were too few.
func (d *Decoder) Draw(m *Model, records int, random []byte) {
	d.Close()
	d.model, d.left, d.spent, d.reading, d.drawn = m, uint64(records), 0, true, true
	d.coder = m.begin(random)
	d.coder.several(uint64(records))
}

// Close gives back what the decoder holds of a frame that was not read to its end. A decoder may be used again after it.
func (d *Decoder) Close() {
	if d.coder != nil {
		d.model.end(d.coder)
	}
	d.coder, d.model, d.plain, d.left, d.err, d.reading, d.drawn = nil, nil, nil, 0, nil, false, false
}

func (d *Decoder) fail(err error) error {
	if d.err == nil {
		d.err = err
	}
	d.left, d.plain = 0, nil
	return d.err
}

// Err returns what went wrong, or nil.
func (d *Decoder) Err() error { return d.err }

// Left returns how many records are still to come. It may be far more than there are in a frame made to deceive: do not
// make room by it without a limit of your own.
func (d *Decoder) Left() int { return int(d.left) }

// Next goes on to the next record. It returns false after the last one and after an error.
func (d *Decoder) Next() bool {
	if d.err != nil || !d.reading {
		return false
	}
	if d.left == 0 {
		d.finish()
		return false
	}
	d.left--
	var k uint64
	if d.coder != nil {
		k = d.coder.begin(0)
		d.took(1)
	} else {
		k = uint64(d.byte())
	}
	if k >= uint64(kinds) {
		d.fail(errCorrupt("it has records of an unknown kind"))
		return false
	}
	d.kind = Kind(k)
	return d.err == nil
}

// finish checks that the frame ends where its last record does.
func (d *Decoder) finish() {
	d.reading = false
	switch {
	case d.coder != nil:
		if !d.coder.ended() && (!d.drawn || d.coder.overrun()) {
			d.fail(errCorrupt("more follows its last record"))
		}
		d.model.end(d.coder)
		d.coder = nil
	case len(d.plain) > 0:
		d.fail(errCorrupt("more follows its last record"))
	}
}

// Kind returns the record's kind.
func (d *Decoder) Kind() Kind { return d.kind }

// took counts n bytes of plain form, so that a few bytes cannot grow without end.
func (d *Decoder) took(n int) {
	if d.spent += n; d.spent > MaxFrame {
		d.fail(errCorrupt("it grows too long"))
	} else if d.coder.overrun() {
		d.fail(errCorrupt("it ends too early"))
	}
}

func (d *Decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.plain)
	if n <= 0 {
		d.fail(errCorrupt("it ends too early"))
		return 0
	}
	d.plain = d.plain[n:]
	return v
}

func (d *Decoder) byte() byte {
	if len(d.plain) == 0 {
		d.fail(errCorrupt("it ends too early"))
		return 0
	}
	b := d.plain[0]
	d.plain = d.plain[1:]
	return b
}

func (d *Decoder) bytes(n uint64) []byte {
	if n > MaxText || n > uint64(len(d.plain)) {
		d.fail(errCorrupt("a text in it is too long"))
		return nil
	}
	b := d.plain[:n:n]
	d.plain = d.plain[n:]
	return b
}

// ready reports whether a value can be read.
func (d *Decoder) ready(f Field) bool {
	if d.err == nil && (!d.reading || f >= fields) {
		d.fail(tutti.Errorf(tutti.KindInternal, "metacodec.Decoder", "a value was read outside of a record"))
	}
	return d.err == nil
}

// Uint reads a number.
func (d *Decoder) Uint(f Field) uint64 {
	if !d.ready(f) {
		return 0
	}
	if d.coder == nil {
		return d.uvarint()
	}
	v := d.coder.uint(f, 0)
	d.took(1)
	return v
}

// Int reads a number that may be negative.
func (d *Decoder) Int(f Field) int64 {
	if !d.ready(f) {
		return 0
	}
	if d.coder == nil {
		return unzigzag(d.uvarint())
	}
	v := d.coder.int(f, 0)
	d.took(1)
	return unzigzag(v)
}

// Bool reads yes or no.
func (d *Decoder) Bool(f Field) bool {
	if !d.ready(f) {
		return false
	}
	if d.coder == nil {
		b := d.byte()
		if b > 1 {
			d.fail(errCorrupt("it has something where yes or no should be"))
		}
		return b == 1
	}
	v := d.coder.bool(f, 0)
	d.took(1)
	return v == 1
}

// Time reads a moment, in UTC.
func (d *Decoder) Time(f Field) time.Time {
	if !d.ready(f) {
		return time.Time{}
	}
	var sec, nanos uint64
	if d.coder == nil {
		sec, nanos = d.uvarint(), d.uvarint()
	} else {
		var n uint32
		sec, n = d.coder.time(f, 0, 0)
		nanos = uint64(n)
		d.took(2)
	}
	if nanos > 999_999_999 {
		d.fail(errCorrupt("it has an impossible time"))
	}
	if d.err != nil {
		return time.Time{}
	}
	return time.Unix(unzigzag(sec), int64(nanos)).UTC()
}

// ID reads 16 bytes.
func (d *Decoder) ID(f Field) (id [16]byte) {
	if !d.ready(f) {
		return id
	}
	if d.coder == nil {
		copy(id[:], d.bytes(16))
		return id
	}
	copy(id[:], d.coder.id(f, nil))
	d.took(16)
	return id
}

// Bytes reads bytes. They are valid until the next Reset or Close.
func (d *Decoder) Bytes(f Field) []byte {
	if !d.ready(f) {
		return nil
	}
	if d.coder == nil {
		return d.bytes(d.uvarint())
	}
	b := d.coder.bytes(f, nil)
	d.took(len(b) + 1)
	return b
}

// Text reads a text. It is valid until the next Reset or Close.
func (d *Decoder) Text(f Field) []byte {
	if !d.ready(f) {
		return nil
	}
	if d.coder == nil {
		return d.bytes(d.uvarint())
	}
	b := d.coder.text(f, nil)
	d.took(len(b) + 1)
	return b
}

// String reads a text into a string of its own.
func (d *Decoder) String(f Field) string { return string(d.Text(f)) }
