package metacodec

import (
	"encoding/binary"
	"time"

	"tutti"
)

// The types of what is written. They are not in the frame: the reader knows what it asks for.
type opType uint8

const (
	opBegin opType = iota
	opUint
	opInt
	opBool
	opTime
	opID
	opBytes
	opText
)

// op is one value of a frame that is being written.
type op struct {
	typ   opType
	field Field
	nanos uint32 // of opTime
	n     uint64 // the number; for ID, Bytes and Text the length
	off   int    // of ID, Bytes and Text in the encoder's buffer
}

// Encoder writes records into a frame. It is for one goroutine at a time; an Encoder that is used again allocates
// nothing but what the frame given to AppendFrame has to grow.
type Encoder struct {
	model   *Model
	ops     []op
	buf     []byte
	plain   []byte
	size    int // bytes of the plain form without the count of records
	records int
	open    bool
	err     error
}

// NewEncoder returns an encoder that writes frames with a model. With nil it writes frames that need no model.
func NewEncoder(m *Model) *Encoder { return &Encoder{model: m} }

// Reset forgets what was written, and takes another model or the same.
func (e *Encoder) Reset(m *Model) {
	e.model = m
	e.clear()
}

func (e *Encoder) clear() {
	e.ops, e.buf, e.plain = e.ops[:0], e.buf[:0], e.plain[:0]
	e.size, e.records, e.open, e.err = 0, 0, false, nil
}

func (e *Encoder) fail(format string, args ...any) {
	if e.err == nil {
		e.err = tutti.Errorf(tutti.KindInternal, "metacodec.Encoder", format, args...)
	}
}

func (e *Encoder) add(o op, plain int) {
	if !e.open {
		e.fail("a value was written outside of a record")
	}
	if o.field >= fields {
		e.fail("field %d does not exist", o.field)
	}
	if e.size += plain; e.size > MaxFrame {
		e.fail("a frame holds at most %d bytes", MaxFrame)
	}
	if e.err == nil {
		e.ops = append(e.ops, o)
	}
}

func uvarintLen(n uint64) int {
	var b [binary.MaxVarintLen64]byte
	return binary.PutUvarint(b[:], n)
}

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(n uint64) int64 { return int64(n>>1) ^ -int64(n&1) }

// Begin begins a record of a kind, less than 32.
func (e *Encoder) Begin(k Kind) {
	if e.open {
		e.fail("a record was begun inside another")
	}
	if k >= kinds {
		e.fail("kind %d does not exist", k)
	}
	if e.records++; e.records > MaxRecords {
		e.fail("a frame holds at most %d records", MaxRecords)
	}
	e.open = true
	e.add(op{typ: opBegin, n: uint64(k)}, 1)
}

// End ends the record.
func (e *Encoder) End() {
	if !e.open {
		e.fail("a record was ended that was not begun")
	}
	e.open = false
}

// Records returns how many records were begun.
func (e *Encoder) Records() int { return e.records }

// Plain returns how many bytes the fields take without any compression.
func (e *Encoder) Plain() int { return e.size + uvarintLen(uint64(e.records)) }

// Uint writes a number.
func (e *Encoder) Uint(f Field, v uint64) { e.add(op{typ: opUint, field: f, n: v}, uvarintLen(v)) }

// Int writes a number that may be negative.
func (e *Encoder) Int(f Field, v int64) {
	e.add(op{typ: opInt, field: f, n: zigzag(v)}, uvarintLen(zigzag(v)))
}

// Bool writes yes or no.
func (e *Encoder) Bool(f Field, v bool) {
	o := op{typ: opBool, field: f}
	if v {
		o.n = 1
	}
	e.add(o, 1)
}

// Time writes a moment to the nanosecond. The zero time, which means "unknown", stays zero; others are read in UTC.
func (e *Encoder) Time(f Field, t time.Time) {
	o := op{typ: opTime, field: f, n: zigzag(t.Unix()), nanos: uint32(t.Nanosecond())}
	e.add(o, uvarintLen(o.n)+uvarintLen(uint64(o.nanos)))
}

// ID writes 16 bytes that nothing predicts, a UUID for example. One that was the last of its field costs a bit or so.
func (e *Encoder) ID(f Field, id [16]byte) {
	e.add(op{typ: opID, field: f, n: uint64(len(id)), off: len(e.buf)}, len(id))
	e.buf = append(e.buf, id[:]...)
}

// Bytes writes bytes that nothing predicts, at most MaxText.
func (e *Encoder) Bytes(f Field, b []byte) {
	e.tooLong(len(b))
	e.add(op{typ: opBytes, field: f, n: uint64(len(b)), off: len(e.buf)}, uvarintLen(uint64(len(b)))+len(b))
	e.buf = append(e.buf, b...)
}

// Text writes a text, at most MaxText bytes. Any bytes may be in it, UTF-8 or not.
func (e *Encoder) Text(f Field, s string) {
	e.tooLong(len(s))
	e.add(op{typ: opText, field: f, n: uint64(len(s)), off: len(e.buf)}, uvarintLen(uint64(len(s)))+len(s))
	e.buf = append(e.buf, s...)
}

// TextBytes is Text for what lies in a slice; it is copied.
func (e *Encoder) TextBytes(f Field, s []byte) {
	e.tooLong(len(s))
	e.add(op{typ: opText, field: f, n: uint64(len(s)), off: len(e.buf)}, uvarintLen(uint64(len(s)))+len(s))
	e.buf = append(e.buf, s...)
}

func (e *Encoder) tooLong(n int) {
	if n > MaxText {
		e.fail("a text holds at most %d bytes", MaxText)
	}
}

// appendPlain appends the plain form: the number of records as a varint, then every value in turn: a record's kind a
// byte, numbers as varints (signed ones zigzag), yes or no a byte, moments as seconds since 1970 (zigzag) and
// nanoseconds, IDs as they are, bytes and texts after their length.
func (e *Encoder) appendPlain(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(e.records))
	for i := range e.ops {
		switch o := &e.ops[i]; o.typ {
		case opBegin, opBool:
			b = append(b, byte(o.n))
		case opUint, opInt:
			b = binary.AppendUvarint(b, o.n)
		case opTime:
			b = binary.AppendUvarint(binary.AppendUvarint(b, o.n), uint64(o.nanos))
		case opID:
			b = append(b, e.buf[o.off:o.off+int(o.n)]...)
		case opBytes, opText:
			b = append(binary.AppendUvarint(b, o.n), e.buf[o.off:o.off+int(o.n)]...)
		}
	}
	return b
}

// zstdFrom is the length of the plain form from which Zstandard is tried where no model is at hand; its frame has a head
// of its own.
const zstdFrom = 64

// AppendFrame appends a frame with all records written since the last, in the shortest of its forms, and begins anew. It
// fails, with nothing appended, where the calls before were not in order or a limit was exceeded; that is a defect of
// the caller.
func (e *Encoder) AppendFrame(dst []byte) ([]byte, error) {
	defer e.clear()
	if e.open {
		e.fail("the last record was not ended")
	}
	if e.err != nil {
		return dst, e.err
	}
	start := len(dst)
	if m := e.model; m != nil && e.Plain() <= maxModelled {
		dst = append(dst, head(formModel, m.id.Tag()))
		dst = m.appendBody(dst, e)
		if len(dst)-start < 1+e.Plain() {
			return appendSum(dst, start, m.id), nil
		}
		dst = dst[:start]
	}
	dst = append(dst, head(formPlain, 0))
	dst = e.appendPlain(dst)
	if e.Plain() >= zstdFrom {
		w, err := zstdWriter()
		if err != nil {
			return dst[:start], tutti.Wrap(tutti.KindInternal, "metacodec.Encoder", err)
		}
		e.plain = w.EncodeAll(dst[start+1:], e.plain[:0])
		if len(e.plain) < len(dst)-start-1 && packed(e.plain) {
			dst = append(append(dst[:start], head(formZstd, 0)), e.plain...)
		}
	}
	return appendSum(dst, start, ModelID{}), nil
}
