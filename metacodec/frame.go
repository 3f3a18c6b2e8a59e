package metacodec

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strconv"
	"sync"

	"github.com/klauspost/compress/zstd"

	"tutti"
)

// A frame is a head, a body and a checksum:
//
//	head        a byte: the form (2 bits), the model's tag (6 bits; zero in forms without a model)
//	body        by form
//	checksum    the last 1, 2 or 3 bytes, by the length of head and body: CRC-32C of head and body, begun with the
//	            whole ID of the model, so that a model of the same tag is not taken for the right one
//
// So a plain frame is at most 4 bytes longer than its fields, and the plain form is taken whenever no other is shorter. A
// later version of the format takes the form that is free, or comes with models, whose files have a version of their own.
type form uint8

const (
	formPlain form = iota // the fields one after another: see appendPlain
	formZstd              // the plain form as a Zstandard frame (RFC 8878)
	formModel             // the fields through the model and a range coder
	formLater
)

const tagMask = 1<<6 - 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumBytes returns how long the checksum is after n bytes of head and body. Short frames are many and lie in stores and
// on connections that have checks of their own; a long frame is worth three bytes.
func sumBytes(n int) int {
	switch {
	case n <= 48:
		return 1
	case n <= 1024:
		return 2
	}
	return 3
}

// bodyLen returns how much of a frame of n bytes is head and body.
func bodyLen(n int) int {
	for s := 1; s <= 3; s++ {
		if sumBytes(n-s) == s {
			return n - s
		}
	}
	return -1 // no frame has this length
}

func checksum(id ModelID, b []byte) uint32 {
	var seed uint32
	if id != (ModelID{}) {
		seed = binary.LittleEndian.Uint32(id[:]) ^ binary.LittleEndian.Uint32(id[4:])
	}
	return crc32.Update(seed, castagnoli, b)
}

// appendSum closes the frame that begins at start of b.
func appendSum(b []byte, start int, id ModelID) []byte {
	sum := checksum(id, b[start:])
	for n := sumBytes(len(b) - start); n > 0; n-- {
		b = append(b, byte(sum))
		sum >>= 8
	}
	return b
}

func head(f form, tag uint16) byte { return byte(f)<<6 | byte(tag) }

// FrameModel returns the tag of the model that a frame was written with. ok is false where the frame needs none.
func FrameModel(frame []byte) (tag uint16, ok bool) {
	if len(frame) < 2 || form(frame[0]>>6) != formModel {
		return 0, false
	}
	return uint16(frame[0] & tagMask), true
}

// UnknownModelError says that a frame was written with a model that the decoder has not got. The model is one whose ID
// has this tag; with it added, the frame can be read. Its kind is tutti.KindUnavailable.
type UnknownModelError struct{ Tag uint16 }

// Error names the tag.
func (e *UnknownModelError) Error() string {
	return "a metadata model is missing: the one with the tag " + strconv.Itoa(int(e.Tag))
}

// Models is a set of models that frames may be read with. The zero value is empty; methods are safe for concurrent use.
type Models struct {
	mu     sync.RWMutex
	models []*Model
}

// NewModels returns a set of models.
func NewModels(models ...*Model) *Models {
	s := new(Models)
	for _, m := range models {
		s.Add(m)
	}
	return s
}

// Add adds a model; one with the same ID is there only once.
func (s *Models) Add(m *Model) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m != nil && !slices.ContainsFunc(s.models, func(o *Model) bool { return o.id == m.id }) {
		s.models = append(s.models, m)
	}
}

// IDs lists the models in the set.
func (s *Models) IDs() []ModelID {
	s.mu.RLock()
	defer s.mu.RUnlock()
	ids := make([]ModelID, len(s.models))
	for i, m := range s.models {
		ids[i] = m.id
	}
	return ids
}

// Get returns the model of an ID, or nil.
func (s *Models) Get(id ModelID) *Model {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, m := range s.models {
		if m.id == id {
			return m
		}
	}
	return nil
}

// pick returns the model that a frame was written with: of those with its tag the one that its checksum fits. known says
// whether any has the tag.
func (s *Models) pick(tag uint16, body []byte, sum uint32, mask uint32) (m *Model, known bool) {
	if s == nil {
		return nil, false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, m := range s.models {
		if m.id.Tag() != tag {
			continue
		}
		known = true
		if checksum(m.id, body)&mask == sum {
			return m, true
		}
	}
	return nil, known
}

// errCorrupt is what every damaged frame is called.
func errCorrupt(what string) error {
	return tutti.Errorf(tutti.KindInvalid, "metacodec: read frame", "The metadata is damaged: %s.", what)
}

// open checks a frame and returns its form and body, and the model that it was written with.
func open(frame []byte, models *Models) (f form, body []byte, m *Model, err error) {
	if len(frame) < 2 {
		return 0, nil, nil, errCorrupt("it is too short")
	}
	n := bodyLen(len(frame))
	if n < 1 {
		return 0, nil, nil, errCorrupt("it is cut short")
	}
	var sum uint32
	for i := len(frame) - 1; i >= n; i-- {
		sum = sum<<8 | uint32(frame[i])
	}
	mask := uint32(1)<<(8*(len(frame)-n)) - 1
	switch f = form(frame[0] >> 6); f {
	case formLater:
		return 0, nil, nil, tutti.Errorf(tutti.KindInvalid, "metacodec: read frame",
			"The metadata is written in a format that this version cannot read.")
	case formModel:
		tag := uint16(frame[0] & tagMask)
		m, known := models.pick(tag, frame[:n], sum, mask)
		switch {
		case m != nil:
			return f, frame[1:n], m, nil
		case !known:
			return 0, nil, nil, tutti.Wrap(tutti.KindUnavailable, "metacodec: read frame", &UnknownModelError{Tag: tag})
		}
		return 0, nil, nil, errCorrupt("its checksum is wrong")
	}
	if checksum(ModelID{}, frame[:n])&mask != sum {
		return 0, nil, nil, errCorrupt("its checksum is wrong")
	}
	if frame[0]&tagMask != 0 {
		return 0, nil, nil, errCorrupt("its form is unknown")
	}
	return f, frame[1:n], nil, nil
}

// The Zstandard coders are made at first need and shared: both are safe for concurrent EncodeAll and DecodeAll. One
// goroutine at a time each: frames are small, and the callers are many.
var (
	zstdWriter = sync.OnceValues(func() (*zstd.Encoder, error) {
		return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1),
			zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithLowerEncoderMem(true))
	})
	zstdReader = sync.OnceValues(func() (*zstd.Decoder, error) {
		return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxFrame), zstd.WithDecoderLowmem(true))
	})
)

// zstdGrowth bounds how many times longer than its frame what Zstandard packed may be: memory is made for it at once.
const zstdGrowth = 1 << 12

// packed reports whether a Zstandard frame says how long its content is, within the limits.
func packed(body []byte) bool {
	var h zstd.Header
	return h.Decode(body) == nil && h.HasFCS && h.FrameContentSize <= min(MaxFrame, uint64(len(body))*zstdGrowth)
}
