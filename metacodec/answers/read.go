package answers

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"time"

	"tutti"
	"tutti/metacodec"
)

// found is a value that was read: where its JSON lies in the codec's room, or how many rows follow.
type found struct {
	from, to int
	rows     uint64
}

// reader reads one frame.
type reader struct {
	*Codec
	d   *metacodec.Decoder
	err error
}

// Read appends the JSON of a frame. It fails with tutti.KindInvalid where the frame is damaged, or stands for more than
// MaxAnswer, and with a metacodec.UnknownModelError where its model is not among models.
func (c *Codec) Read(dst, frame []byte, models *metacodec.Models) ([]byte, error) {
	d := metacodec.NewDecoder(models)
	defer d.Close()
	if err := d.Reset(frame); err != nil {
		return dst, err
	}
	c.frame.reset()
	c.room = c.room[:0]
	r := &reader{Codec: c, d: d}
	out := r.record(dst, len(dst), 1)
	if r.err == nil && d.Err() == nil && d.Next() {
		r.fail() // an answer is one object
	}
	if err := d.Err(); err != nil {
		return dst, err
	}
	if r.err != nil {
		return dst, r.err
	}
	return out, nil
}

func (r *reader) fail() {
	if r.err == nil {
		r.err = tutti.Errorf(tutti.KindInvalid, op, "the answer is damaged")
	}
}

func (r *reader) bad() bool { return r.err != nil || r.d.Err() != nil }

// record reads an object that is a record, and those of its lists.
func (r *reader) record(out []byte, start, depth int) []byte {
	if depth > maxDepth || !r.d.Next() {
		r.fail()
		return out
	}
	begun := len(r.room)
	shape, values := r.object(metacodec.Reference, depth)
	r.frame.meet()
	out = append(out, '{')
	for i, it := range shape {
		if r.bad() {
			return out
		}
		out = r.name(out, i, it)
		v := values[i]
		if it.form != formRows {
			out = append(out, r.room[v.from:v.to]...)
			continue
		}
		out = append(out, '[')
		for n := range v.rows {
			if n > 0 {
				out = append(out, ',')
			}
			if out = r.record(out, start, depth+1); r.bad() {
				return out
			}
		}
		out = append(out, ']')
	}
	if len(out)-start > MaxAnswer {
		r.fail()
	}
	r.room = r.room[:begun]
	return append(out, '}')
}

func (r *reader) name(out []byte, i int, it item) []byte {
	if i > 0 {
		out = append(out, ',')
	}
	name, _ := r.frame.nameOf(it.name) // the shape was checked
	return append(append(append(out, '"'), name...), '"', ':')
}

// within reads an object that lies in another, into the room.
func (r *reader) within(depth int) {
	if depth > maxDepth {
		r.fail()
		return
	}
	begun := len(r.room)
	shape, values := r.object(metacodec.Picture, depth)
	if r.bad() {
		return
	}
	at := len(r.room)
	r.room = append(r.room, '{')
	for i, it := range shape {
		r.room = r.name(r.room, i, it)
		r.room = append(r.room, r.room[values[i].from:values[i].to]...)
	}
	r.room = append(r.room, '}')
	r.room = append(r.room[:begun], r.room[at:]...)
}

// object reads a shape and its values.
func (r *reader) object(of metacodec.Field, depth int) ([]item, []found) {
	shape := r.shape(of)
	if r.bad() {
		return nil, nil
	}
	values := make([]found, len(shape))
	t := newThings()
	for _, i := range order(shape) {
		values[i].from = len(r.room)
		values[i].rows = r.value(shape, i, &t, depth)
		values[i].to = len(r.room)
		if r.bad() || len(r.room) > MaxAnswer {
			r.fail()
			return nil, nil
		}
	}
	for i, it := range shape { // what follows from the rest
		from := len(r.room)
		switch {
		case it.form == formBySuffix:
			r.room = appendString(r.room, t.bySuffix(it.name))
		case it.form == formPerson:
			name := t.credit(it.name)
			n, ok := r.artist(name)
			if !ok {
				r.fail()
			}
			r.room = append(r.room, '[')
			r.person(person{name, n})
			r.room = append(r.room, ']')
		case it.form >= formDerived && it.form < formIDs:
			n, ok := r.follows(it.name, it.form.prefix(), &t)
			if !ok {
				r.fail()
			}
			r.id(it.form.prefix(), n)
		default:
			continue
		}
		values[i] = found{from: from, to: len(r.room)}
		if len(r.room) > MaxAnswer {
			r.fail()
			return nil, nil
		}
	}
	return shape, values
}

func (r *reader) id(prefix int, n uint64) {
	r.room = append(append(append(r.room, '"'), tutti.NewID(prefixes[prefix], n)...), '"')
}

func (r *reader) person(p person) {
	r.room = append(r.room, `{"id":`...)
	r.id(idArtist, p.id)
	r.room = append(appendString(append(r.room, `,"name":`...), p.name), '}')
}

func (r *reader) readID(f metacodec.Field) uint64 {
	b := r.d.Bytes(f)
	if len(b) != 8 {
		r.fail()
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// value reads a value into the room, and what others follow from into t. It returns how many rows follow.
func (r *reader) value(shape []item, i int, t *things, depth int) (rows uint64) {
	d, n, it := r.d, at(), shape[i]
	f := fieldOf(it.name, shape)
	switch it.form {
	case formRaw:
		r.room = append(r.room, d.Text(metacodec.Structured)...)
	case formTrue:
		r.room = append(r.room, "true"...)
	case formFalse:
		r.room = append(r.room, "false"...)
	case formNull:
		r.room = append(r.room, "null"...)
	case formNone:
		r.room = append(r.room, "[]"...)
	case formText:
		s := d.String(textField(f))
		t.texts[it.name] = s
		r.room = appendString(r.room, s)
	case formOne:
		r.room = append(appendString(append(r.room, '['), d.String(textField(f))), ']')
	case formTexts:
		r.list(func() { r.room = appendString(r.room, d.String(textField(f))) })
	case formWhole:
		v := d.Uint(numberField(f))
		t.whole[it.name] = v
		r.room = strconv.AppendUint(r.room, v, 10)
	case formHundredth:
		r.room = append(r.room, decimal(d.Int(metacodec.Loudness), hundredths)...)
	case formMillionth:
		r.room = append(r.room, decimal(d.Int(metacodec.Loudness), millionths)...)
	case formMoment:
		r.room = append(d.Time(metacodec.When).AppendFormat(append(r.room, '"'), time.RFC3339Nano), '"')
	case formYear, formMonth, formDay:
		r.date(it, t)
	case formUUID:
		r.room = append(append(append(r.room, '"'), uuidText(d.ID(metacodec.Identifier))...), '"')
	case formLasting:
		seconds := min(d.Uint(metacodec.Seconds), math.MaxInt64/1000)
		v := seconds*1000 + min(d.Uint(metacodec.Number), 999)
		t.whole[it.name] = v
		r.room = strconv.AppendUint(r.room, v, 10)
	case formSize:
		r.room = strconv.AppendUint(r.room, uint64(d.Int(metacodec.Size)+int64(t.usualSize())), 10)
	case formPath:
		path, err := t.known().Unfold(d.Text(metacodec.Path))
		if err != nil {
			r.fail()
			return 0
		}
		t.texts[it.name] = string(path)
		r.room = appendString(r.room, t.texts[it.name])
	case formObject:
		r.within(depth + 1)
	case formObjects:
		r.list(func() { r.within(depth + 1) })
	case formRows:
		if of := d.Uint(metacodec.Count); of <= uint64(d.Left()) && depth < maxDepth {
			return of
		}
		r.fail()
	case formPeople:
		as := metacodec.Field(metacodec.Artist)
		if it.name == n.albumArtists {
			as = metacodec.AlbumArtist
		}
		r.list(func() {
			p := person{name: d.String(as)}
			if d.Bool(metacodec.Usual) {
				var ok bool
				if p.id, ok = r.artist(p.name); !ok {
					r.fail()
				}
			} else {
				p.id = r.readID(metacodec.ArtistKey)
			}
			r.frame.met = append(r.frame.met, p)
			r.person(p)
		})
	default:
		switch {
		case it.form >= formIDs:
			r.list(func() { r.id(it.form.prefix(), r.readID(metacodec.Identifier)) })
		case it.form >= formID && it.form < formDerived:
			r.id(it.form.prefix(), r.readID(keyField(it.form.prefix())))
		}
	}
	return 0
}

// list reads how many there are, and each.
func (r *reader) list(each func()) {
	r.room = append(r.room, '[')
	for n := range r.d.Uint(metacodec.Count) {
		if n > 0 {
			r.room = append(r.room, ',')
		}
		if each(); r.bad() || len(r.room) > MaxAnswer {
			r.fail()
			return
		}
	}
	r.room = append(r.room, ']')
}

func (r *reader) date(it item, t *things) {
	year := r.d.Uint(metacodec.Year)
	t.whole[it.name] = year
	r.room = appendDigits(append(r.room, '"'), year, 4)
	if it.form != formYear {
		r.room = appendDigits(append(r.room, '-'), r.d.Uint(metacodec.Month), 2)
	}
	if it.form == formDay {
		r.room = appendDigits(append(r.room, '-'), r.d.Uint(metacodec.Day), 2)
	}
	r.room = append(r.room, '"')
}

// shape reads which shape an object has.
func (r *reader) shape(of metacodec.Field) []item {
	t, d := published(), r.d
	n := d.Uint(of)
	if n > uint64(len(t.shapes)+len(r.frame.shapes)) || d.Err() != nil {
		r.fail()
		return nil
	}
	if shape, ok := r.frame.shapeOf(int(n)); ok {
		return shape
	}
	base, ok := r.frame.shapeOf(int(min(d.Uint(metacodec.Other), math.MaxInt32)))
	if !ok {
		r.fail()
		return nil
	}
	shape := slices.Clone(base)
	at := 0
	for range d.Uint(metacodec.Other) {
		at += int(min(d.Uint(metacodec.Other), math.MaxInt32))
		if r.bad() || at >= len(shape) {
			r.fail()
			return nil
		}
		shape = slices.Delete(shape, at, at+1)
	}
	at = 0
	for range d.Uint(metacodec.Other) {
		at += int(min(d.Uint(metacodec.Other), math.MaxInt32))
		name := d.Uint(metacodec.Number)
		if name == uint64(len(t.names)+len(r.frame.names)) && len(r.frame.names) < maxNames {
			r.frame.names = append(r.frame.names, d.String(metacodec.Token))
		}
		f := d.Uint(metacodec.Token)
		if r.bad() || at > len(shape) || len(shape) >= maxMembers || name >= uint64(len(t.names)+len(r.frame.names)) || f > math.MaxUint8 || !form(f).valid() {
			r.fail()
			return nil
		}
		shape = slices.Insert(shape, at, item{int(name), form(f)})
		at++
	}
	r.frame.addShape(shape)
	return shape
}
