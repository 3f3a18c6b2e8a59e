package catalog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"log/slog"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"

	"tutti"
	"tutti/metacodec"
)

// A packed value is
//
//	packedFormat, a byte of flags, what it is packed of (a snapshot part's kind, or packedLog)
//	the length of what it unpacks to, a varint
//	the columns: the length of the block, and the block, compressed by Zstandard where that pays
//	the hashes: their length and themselves
//	the texts, a frame of metacodec, where they are not in columns
//	CRC-32C of all before, little-endian
//
// Values of the format before begin with journalFormat and are read for ever.
const packedFormat = 2

const (
	packedZstd   = 1 << iota // the columns are compressed
	packedSingle             // there is one column
	packedTexts              // the texts are a frame of metacodec
	packedFlags  = 1<<iota - 1
)

// packedLog stands where a snapshot part's kind stands, for a record of the log.
const packedLog = 'l'

// fewRecords is up to how many records and strings share one column.
const fewRecords = 12

// walk goes over raw, a part of a snapshot or a record of the log as it is before compression, and writes it into
// columns; or makes it anew from columns.
func (x *packer) walk(kind byte, raw []byte, base uint64, sort sorts) []byte {
	switch kind {
	case partDict:
		d := decoder{b: raw}
		var list [][]byte
		if !x.reading {
			for d.byte(); len(d.b) > 0; {
				list = append(list, d.bytes())
			}
		}
		if d.err != nil {
			x.fail()
			return nil
		}
		out := []byte{partDict}
		for _, s := range x.strings(list, base, sort) {
			out = appendBytes(out, s)
		}
		return out
	case partTracks:
		return x.tracks(raw)
	case packedLog:
		return x.changes(raw)
	}
	x.fail()
	return nil
}

// strings walks over the strings of a dictionary from number base on.
func (x *packer) strings(list [][]byte, base uint64, sort sorts) [][]byte {
	n := uint64(len(list))
	x.num(colCount, &n)
	x.num(colCount, &base)
	if x.reading {
		if x.err != nil || n > uint64(len(*x.column(colKind))) {
			x.fail()
			return nil
		}
		list = make([][]byte, n)
	}
	s := &shared{n: base}
	for i := range list {
		var of uint8
		if s.n < uint64(len(sort)) {
			of = sort[s.n]
		}
		x.begin()
		if list[i] = x.shared(s, list[i], of); x.err != nil {
			return nil
		}
		x.end()
	}
	return list
}

// track walks over one record: from d, or onto out, which it returns. before is the record before it, and becomes this one.
func (x *packer) track(d *decoder, out []byte, before *fields) []byte {
	var f fields
	if !x.reading {
		f.missing = uint64(d.byte())
		r := decoder{b: d.bytes()}
		if r.fields(&f); r.err != nil || d.err != nil {
			x.fail()
		}
	}
	x.begin()
	if x.record(&f, before); x.err != nil {
		return out
	}
	x.end()
	if x.reading {
		out = appendBytes(append(out, byte(f.missing)), f.append(nil))
	}
	*before = f
	return out
}

// tracks walks over the records of a snapshot's part.
func (x *packer) tracks(raw []byte) []byte {
	d := decoder{b: raw}
	var n uint64
	if !x.reading {
		d.byte()
		for c := d; len(c.b) > 0; n++ {
			c.byte()
			c.bytes()
		}
	}
	x.num(colCount, &n)
	var before fields
	out := []byte{partTracks}
	for range n {
		if out = x.track(&d, out, &before); x.err != nil {
			return nil
		}
	}
	return out
}

// changes walks over a record of the log: its dictionary and its changes.
func (x *packer) changes(raw []byte) []byte {
	d := decoder{b: raw}
	var (
		list [][]byte
		sort sorts
		n    uint64
	)
	if !x.reading {
		list = make([][]byte, d.count())
		for i := range list {
			list[i] = d.bytes()
		}
		n = d.uvarint()
		sort = sortsOfChanges(d, int(n), list)
	}
	list = x.strings(list, 0, sort)
	x.num(colCount, &n)
	out := appendUvarint(nil, uint64(len(list)))
	for _, s := range list {
		out = appendBytes(out, s)
	}
	out = appendUvarint(out, n)
	var (
		before fields
		info   infoFields
	)
	for range n {
		op := uint64(d.byte()) // 0 where there is nothing to read from
		x.num(colKind, &op)
		if d.err != nil && !x.reading {
			x.fail()
		}
		if x.err != nil {
			return nil
		}
		out = append(out, byte(op))
		switch op {
		case opPut:
			if out = x.track(&d, out, &before); x.err != nil {
				return nil
			}
		case opMissing, opFound, opRemove:
			id := d.u64()
			x.hash64(&id)
			out = appendU64(out, id)
		case opFolder:
			f := infoFields{d.bytes(), d.bytes(), d.bytes(), d.u64()}
			x.begin()
			x.near(colText, &f.library, info.library)
			x.near(colPath, &f.path, info.path)
			x.near(colPath, &f.cover, f.path)
			x.end()
			x.hash64(&f.sides)
			out = appendU64(appendBytes(appendBytes(appendBytes(out, f.library), f.path), f.cover), f.sides)
			info = f
		default:
			x.fail()
			return nil
		}
	}
	return out
}

type infoFields struct {
	library, path, cover []byte
	sides                uint64
}

// sortsOfChanges finds out what sort the strings of a log record's dictionary are. d stands at the changes.
func sortsOfChanges(d decoder, n int, list [][]byte) sorts {
	s := make(sorts, len(list))
	for range n {
		switch d.byte() {
		case opPut:
			d.byte()
			var f fields
			r := decoder{b: d.bytes()}
			if r.fields(&f); r.err == nil {
				s.note(&f)
			}
		case opMissing, opFound, opRemove:
			d.u64()
		case opFolder:
			d.folderInfo()
		}
	}
	s.credits(func(i int) string { return viewString(list[i]) })
	return s
}

// Models is where a process has its metadata models.
type Models interface {
	// All is what can be read with.
	All() *metacodec.Models
	// Find gets the model of a frame that carries this tag. KindNotFound: it is nowhere.
	Find(ctx context.Context, tag uint16) error
	// Writing is the model that everybody who reads the journal has; nil where there is none.
	Writing() *metacodec.Model
}

func (c *Catalog) readable() *metacodec.Models {
	if c.cfg.Models == nil {
		return nil
	}
	return c.cfg.Models.All()
}

// packing is how the journal is written.
type packing struct {
	zstd   *zstd.Encoder
	unzstd *zstd.Decoder
	packed bool
	model  *metacodec.Model  // for texts; nil: they lie in columns
	models *metacodec.Models // to read with
	log    *slog.Logger
	saved  *savings
}

// savings counts what packing has brought, in bytes and in write units of 1 KB, as the form of before would have taken
// them and as they were stored.
type savings struct{ log, snapshot saving }

type saving struct{ before, stored, beforeUnits, storedUnits atomic.Int64 }

func (s *savings) of(kind byte) *saving {
	if kind == packedLog {
		return &s.log
	}
	return &s.snapshot
}

// units is how many write units of DynamoDB an item of n bytes takes, its keys aside.
func units(n int) int64 { return int64(n+1023) / 1024 }

func (s *saving) note(before, stored int) {
	s.before.Add(int64(before))
	s.stored.Add(int64(stored))
	s.beforeUnits.Add(units(before))
	s.storedUnits.Add(units(stored))
}

func (c *Catalog) packing() packing {
	p := packing{zstd: c.pack, unzstd: c.unpack, packed: c.cfg.Packed != nil && c.cfg.Packed(), log: c.log, saved: &c.saved}
	if c.cfg.Models != nil && p.packed {
		p.model, p.models = c.cfg.Models.Writing(), c.cfg.Models.All()
	}
	return p
}

// record writes a record of the log with so many changes.
func (p packing) record(raw []byte, changes int) []byte {
	return p.value(packedLog, raw, 0, nil, changes <= fewRecords)
}

// part writes a part of a snapshot. base is how many of the dictionary's strings came before.
func (p packing) part(raw []byte, base uint64, sort sorts) []byte {
	return p.value(raw[0], raw, base, sort, false)
}

func (p packing) value(kind byte, raw []byte, base uint64, sort sorts, few bool) []byte {
	v := p.zstd.EncodeAll(raw, []byte{journalFormat})
	before := len(v)
	if p.packed && (kind == packedLog || kind == partDict || kind == partTracks) {
		small, err := p.pack(kind, raw, base, sort, few)
		if columns := p; err == nil && p.model != nil { // not all texts are such as the model has learnt
			columns.model = nil
			var other []byte
			if other, err = columns.pack(kind, raw, base, sort, few); len(other) < len(small) {
				small = other
			}
		}
		switch {
		case err != nil:
			p.log.Warn("a piece of the catalogue is stored in its longer form", "err", err)
		case len(small) < len(v):
			v = small
		}
	}
	p.saved.of(kind).note(before, len(v))
	return v
}

// pack returns raw as a packed value. An error says that raw cannot be packed or would not come back to the byte: it is
// unpacked again to be sure, since what is stored here is stored nowhere else.
func (p packing) pack(kind byte, raw []byte, base uint64, sort sorts, few bool) ([]byte, error) {
	x := &packer{single: few}
	var enc *metacodec.Encoder
	if p.model != nil {
		enc = metacodec.NewEncoder(p.model)
		x.texts = textWriter{enc}
	}
	if x.walk(kind, raw, base, sort); x.err != nil {
		return nil, x.err
	}
	flags := byte(0)
	block := x.cols[0]
	if few {
		flags |= packedSingle
	} else {
		block = nil
		for _, c := range x.cols {
			block = appendUvarint(block, uint64(len(c)))
		}
		for _, c := range x.cols {
			block = append(block, c...)
		}
	}
	if small := p.zstd.EncodeAll(block, nil); len(small) < len(block) {
		block, flags = small, flags|packedZstd
	}
	out := appendUvarint([]byte{packedFormat, flags, kind}, uint64(len(raw)))
	out = appendBytes(appendBytes(out, block), x.hashes)
	if enc != nil {
		out[1] |= packedTexts
		frame, err := enc.AppendFrame(nil)
		if err != nil {
			return nil, err
		}
		out = appendBytes(out, frame)
	}
	out = binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, castagnoli))
	if _, again, err := unpack(p.unzstd, p.models, out); err != nil || !bytes.Equal(again, raw) {
		return nil, tutti.Errorf(tutti.KindInternal, "catalog: pack", "a packed value of kind %q does not come back as it was: %v", kind, err)
	}
	return out, nil
}

// unpackValue returns what a value of the journal holds, in whichever form it is. Where want is not 0, it must be that.
func (c *Catalog) unpackValue(ctx context.Context, want byte, value []byte) ([]byte, error) {
	const op = "catalog: unpack"
	switch {
	case len(value) > 0 && value[0] == journalFormat:
		raw, err := c.unpack.DecodeAll(value[1:], nil)
		return raw, tutti.Wrap(tutti.KindInternal, op, err)
	case len(value) > 0 && value[0] == packedFormat:
		kind, raw, err := unpack(c.unpack, c.readable(), value)
		if missing, ok := errors.AsType[*metacodec.UnknownModelError](err); ok && c.cfg.Models != nil {
			if err = c.cfg.Models.Find(ctx, missing.Tag); err == nil {
				kind, raw, err = unpack(c.unpack, c.readable(), value)
			}
		}
		if err == nil && want != 0 && kind != want || want == 0 && kind == packedLog {
			err = errTruncated
		}
		return raw, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	return nil, tutti.Errorf(tutti.KindInvalid, op, "the catalogue was written by another version of tutti; use that version, or restore a backup")
}

// unpack reads a packed value.
func unpack(z *zstd.Decoder, models *metacodec.Models, value []byte) (kind byte, raw []byte, err error) {
	const op = "catalog: unpack"
	if len(value) < 3+4 {
		return 0, nil, errTruncated
	}
	body, sum := value[:len(value)-4], binary.LittleEndian.Uint32(value[len(value)-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return 0, nil, tutti.Errorf(tutti.KindInternal, op, "the catalogue is damaged: a checksum is wrong; restore a backup")
	}
	flags, kind := body[1], body[2]
	if flags&^packedFlags != 0 {
		return 0, nil, tutti.Errorf(tutti.KindInvalid, op, "the catalogue was written by a newer version of tutti; use that version")
	}
	d := decoder{b: body[3:]}
	n := d.uvarint()
	block := d.bytes()
	x := &packer{reading: true, single: flags&packedSingle != 0, hashes: d.bytes()}
	if d.err != nil || n > maxUnpacked {
		return 0, nil, errTruncated
	}
	if flags&packedZstd != 0 {
		if block, err = z.DecodeAll(block, nil); err != nil {
			return 0, nil, tutti.Wrap(tutti.KindInternal, op, err)
		}
	}
	if x.single {
		x.cols[0] = block
	} else {
		c := decoder{b: block}
		var lengths [columns]uint64
		for i := range lengths {
			lengths[i] = c.uvarint()
		}
		for i, n := range lengths {
			if n > uint64(len(c.b)) {
				return 0, nil, errTruncated
			}
			x.cols[i] = c.take(int(n))
		}
		if c.err != nil {
			return 0, nil, c.err
		}
	}
	var dec *metacodec.Decoder
	if flags&packedTexts != 0 {
		frame := d.bytes()
		if d.err != nil {
			return 0, nil, errTruncated
		}
		dec = metacodec.NewDecoder(models)
		defer dec.Close()
		if err := dec.Reset(frame); err != nil {
			return 0, nil, err
		}
		x.texts = textReader{dec}
	}
	raw = x.walk(kind, nil, 0, nil)
	switch {
	case x.err != nil:
		return kind, nil, x.err
	case uint64(len(raw)) != n || len(d.b) > 0 || dec != nil && dec.Next():
		return kind, nil, errTruncated
	case dec != nil:
		return kind, raw, dec.Err()
	}
	return kind, raw, nil
}
