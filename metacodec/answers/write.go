package answers

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"tutti"
	"tutti/metacodec"
)

// value is a member of an object that is being written.
type value struct {
	raw    []byte
	text   string
	whole  uint64
	number int64
	list   [][]byte
	people []person
}

// person is an artist as lists of them have it.
type person struct {
	name string
	id   uint64
}

// object is an object that is being written.
type object struct {
	shape  []item
	values []value
	things things
}

// Append appends the frame of an answer, written with a model, nil for none. It fails with tutti.KindInvalid where the
// answer is not a JSON object, or is longer than MaxAnswer.
func (c *Codec) Append(dst []byte, m *metacodec.Model, answer []byte) ([]byte, error) {
	if len(answer) > MaxAnswer {
		return dst, tutti.Errorf(tutti.KindInvalid, op, "an answer takes at most %d bytes", MaxAnswer)
	}
	c.compact.Reset()
	if err := json.Compact(&c.compact, answer); err != nil {
		return dst, tutti.Wrap(tutti.KindInvalid, op, err)
	}
	if c.compact.Len() == 0 || c.compact.Bytes()[0] != '{' {
		return dst, tutti.Errorf(tutti.KindInvalid, op, "an answer is a JSON object")
	}
	c.frame.reset()
	c.enc.Reset(m)
	c.record(c.compact.Bytes(), 1)
	if c.frame.tooMany || len(c.frame.names) > maxNames {
		return dst, tutti.Errorf(tutti.KindInvalid, op, "an object has at most %d members, and those of an answer at most %d names", maxMembers, maxNames)
	}
	return c.enc.AppendFrame(dst)
}

// record writes an object as a record, and after it those of its lists.
func (c *Codec) record(raw []byte, depth int) {
	o := c.take(raw, depth, true)
	c.enc.Begin(0)
	c.write(o, metacodec.Reference, depth)
	c.enc.End()
	c.frame.meet()
	for i, it := range o.shape {
		if it.form == formRows {
			for _, row := range o.values[i].list {
				c.record(row, depth+1)
			}
		}
	}
}

// take takes an object apart.
func (c *Codec) take(raw []byte, depth int, rows bool) *object {
	t, n := published(), at()
	o := &object{things: newThings()}
	eachMember(raw, func(name string, raw []byte) {
		k, ok := t.number[name]
		if !ok {
			k = c.frame.add(name)
		}
		v := value{raw: raw}
		f := c.form(k, &v, depth, rows)
		switch f {
		case formText:
			o.things.texts[k] = v.text
		case formWhole, formLasting, formYear, formMonth, formDay:
			o.things.whole[k] = v.whole
		}
		o.shape, o.values = append(o.shape, item{k, f}), append(o.values, v)
	})
	c.frame.tooMany = c.frame.tooMany || len(o.shape) > maxMembers
	// What follows from the rest is found now that all of it is there.
	for i := range o.shape {
		it, v := &o.shape[i], &o.values[i]
		switch {
		case it.form == formText && (it.name == n.contentType || it.name == n.codec) && v.text == o.things.bySuffix(it.name):
			it.form = formBySuffix
		case it.form == formText && it.name == n.path && o.things.texts[n.title] != "":
			it.form = formPath
		case it.form >= formID && it.form < formDerived:
			if id, ok := c.follows(it.name, it.form.prefix(), &o.things); ok && id == v.whole {
				it.form += formDerived - formID
			}
		case it.form == formPeople && len(v.people) == 1 && v.people[0].name == o.things.credit(it.name):
			if id, ok := c.artist(v.people[0].name); ok && id == v.people[0].id {
				it.form = formPerson
			}
		}
	}
	return o
}

// form chooses how a value is kept by itself, and reads it.
func (c *Codec) form(name int, v *value, depth int, rows bool) form {
	n := at()
	switch v.raw[0] {
	case 't':
		return formTrue
	case 'f':
		return formFalse
	case 'n':
		return formNull
	case '"':
		return textForm(v)
	case '{':
		if depth < maxDepth && len(v.raw) > len("{}") {
			return formObject
		}
	case '[':
		return listForm(v, depth, rows)
	default:
		if whole, ok := wholeOf(v.raw); ok {
			v.whole = whole
			switch {
			case name == n.durationMs:
				return formLasting
			case name == n.size && whole < 1<<60:
				return formSize
			}
			return formWhole
		}
		return decimalForm(v)
	}
	return formRaw
}

func decimalForm(v *value) form {
	f, err := strconv.ParseFloat(string(v.raw), 64)
	if err != nil || math.Abs(f) > 1e9 {
		return formRaw
	}
	if v.number = int64(math.Round(f * hundredths)); bytes.Equal(decimal(v.number, hundredths), v.raw) {
		return formHundredth
	}
	if v.number = int64(math.Round(f * millionths)); bytes.Equal(decimal(v.number, millionths), v.raw) {
		return formMillionth
	}
	return formRaw
}

func textForm(v *value) form {
	var ok bool
	if v.text, ok = textOf(v.raw); !ok {
		return formRaw
	}
	if n, prefix, ok := idOf(v.text); ok {
		v.whole = n
		return formID + form(prefix)
	}
	if _, ok := uuidOf(v.text); ok {
		return formUUID
	}
	if _, ok := momentOf(v.text); ok {
		return formMoment
	}
	f, year, _, _ := dateOf(v.text)
	v.whole = year
	return f
}

func listForm(v *value, depth int, rows bool) form {
	objects, strings, elements := 0, 0, 0
	eachElement(v.raw, func(raw []byte) {
		elements++
		switch {
		case raw[0] == '{' && len(raw) > len("{}"):
			objects++
		case raw[0] == '"':
			if _, ok := textOf(raw); ok {
				strings++
			}
		}
		v.list = append(v.list, raw)
	})
	switch {
	case elements == 0:
		return formNone
	case strings == elements:
		if prefix, ok := idsOf(v.list); ok {
			return formIDs + form(prefix)
		}
		if elements == 1 {
			return formOne
		}
		return formTexts
	case objects < elements || depth >= maxDepth:
		return formRaw
	}
	if v.people = peopleOf(v.list); v.people != nil {
		return formPeople
	}
	members := 0
	eachMember(v.list[0], func(string, []byte) { members++ })
	if rows && members >= rowMembers {
		return formRows
	}
	return formObjects
}

// idsOf returns the prefix of a list of ids that have the same.
func idsOf(list [][]byte) (prefix int, ok bool) {
	for i, raw := range list {
		_, p, is := idOf(string(raw[1 : len(raw)-1]))
		if !is || i > 0 && p != prefix {
			return 0, false
		}
		prefix = p
	}
	return prefix, true
}

// peopleOf reads a list of artists, nil for one of anything else.
func peopleOf(list [][]byte) []person {
	people := make([]person, 0, len(list))
	for _, raw := range list {
		var p person
		ok := true
		members := 0
		eachMember(raw, func(name string, raw []byte) {
			s, is := textOf(raw)
			switch {
			case is && members == 0 && name == "id":
				var prefix int
				p.id, prefix, is = idOf(s)
				is = is && prefix == idArtist
			case is && members == 1 && name == "name":
				p.name = s
			default:
				is = false
			}
			ok = ok && is
			members++
		})
		if !ok || members != 2 {
			return nil
		}
		people = append(people, p)
	}
	return people
}

// write writes an object's shape and values.
func (c *Codec) write(o *object, of metacodec.Field, depth int) {
	c.writeShape(o.shape, of)
	e := c.enc
	n := at()
	for _, i := range order(o.shape) {
		it, v := o.shape[i], &o.values[i]
		f := fieldOf(it.name, o.shape)
		switch it.form {
		case formRaw:
			e.TextBytes(metacodec.Structured, v.raw)
		case formText:
			e.Text(textField(f), v.text)
		case formOne, formTexts:
			if it.form == formTexts {
				e.Uint(metacodec.Count, uint64(len(v.list)))
			}
			for _, raw := range v.list {
				s, _ := textOf(raw) // it is one: listForm saw to it
				e.Text(textField(f), s)
			}
		case formWhole:
			e.Uint(numberField(f), v.whole)
		case formHundredth, formMillionth:
			e.Int(metacodec.Loudness, v.number)
		case formMoment:
			m, _ := momentOf(v.text)
			e.Time(metacodec.When, m)
		case formYear, formMonth, formDay:
			_, year, month, day := dateOf(v.text)
			e.Uint(metacodec.Year, year)
			if it.form != formYear {
				e.Uint(metacodec.Month, month)
			}
			if it.form == formDay {
				e.Uint(metacodec.Day, day)
			}
		case formUUID:
			id, _ := uuidOf(v.text)
			e.ID(metacodec.Identifier, id)
		case formLasting:
			e.Uint(metacodec.Seconds, v.whole/1000)
			e.Uint(metacodec.Number, v.whole%1000)
		case formSize:
			e.Int(metacodec.Size, int64(v.whole)-int64(o.things.usualSize()))
		case formPath:
			e.TextBytes(metacodec.Path, o.things.known().Fold([]byte(v.text), inPath))
		case formObject:
			c.write(c.take(v.raw, depth+1, false), metacodec.Picture, depth+1)
		case formObjects:
			e.Uint(metacodec.Count, uint64(len(v.list)))
			for _, raw := range v.list {
				c.write(c.take(raw, depth+1, false), metacodec.Picture, depth+1)
			}
		case formRows:
			e.Uint(metacodec.Count, uint64(len(v.list)))
		case formPeople:
			e.Uint(metacodec.Count, uint64(len(v.people)))
			as := metacodec.Field(metacodec.Artist)
			if it.name == n.albumArtists {
				as = metacodec.AlbumArtist
			}
			for _, p := range v.people {
				e.Text(as, p.name)
				id, ok := c.artist(p.name)
				follows := ok && id == p.id
				e.Bool(metacodec.Usual, follows)
				if !follows {
					c.writeID(metacodec.ArtistKey, p.id)
				}
				c.frame.met = append(c.frame.met, p)
			}
		default:
			switch {
			case it.form >= formIDs:
				e.Uint(metacodec.Count, uint64(len(v.list)))
				for _, raw := range v.list {
					id, _, _ := idOf(string(raw[1 : len(raw)-1])) // it is one: idsOf saw to it
					c.writeID(metacodec.Identifier, id)
				}
			case it.form < formDerived && it.form >= formID:
				c.writeID(keyField(it.form.prefix()), v.whole)
			}
		}
	}
}

// keyField is what predicts an id: one that is the last of its sort takes a bit or so.
func keyField(prefix int) metacodec.Field {
	switch prefix {
	case idAlbum:
		return metacodec.AlbumKey
	case idArtist:
		return metacodec.ArtistKey
	case idFolder:
		return metacodec.FolderKey
	}
	return metacodec.Identifier
}

func (c *Codec) writeID(f metacodec.Field, n uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	c.enc.Bytes(f, b[:])
}

// writeShape writes which shape an object has: its number, or the number that none has yet and how it differs from another.
func (c *Codec) writeShape(shape []item, of metacodec.Field) {
	t, e := published(), c.enc
	key := keyOf(shape)
	n, ok := t.key[key]
	if !ok {
		n, ok = c.frame.key[key]
	}
	if ok {
		e.Uint(of, uint64(n))
		return
	}
	e.Uint(of, uint64(len(t.shapes)+len(c.frame.shapes)))
	base, gone, come := c.nearest(shape)
	e.Uint(metacodec.Other, uint64(base))
	e.Uint(metacodec.Other, uint64(len(gone)))
	for _, skip := range gone {
		e.Uint(metacodec.Other, uint64(skip))
	}
	e.Uint(metacodec.Other, uint64(len(come)))
	for _, in := range come {
		e.Uint(metacodec.Other, uint64(in.skip))
		e.Uint(metacodec.Number, uint64(in.item.name))
		if in.item.name == len(t.names)+c.frame.said { // it was not said in this frame
			name, _ := c.frame.nameOf(in.item.name)
			e.Text(metacodec.Token, name)
			c.frame.said++
		}
		e.Uint(metacodec.Token, uint64(in.item.form))
	}
	c.frame.addShape(shape)
}

// insertion is a member that a shape has and its base has not: after so many more of those that both have.
type insertion struct {
	skip int
	item item
}

// lately is how many of the shapes of the frame itself are tried as a base.
const lately = 16

// nearest finds the shape that differs least: which members to leave out of it, each after how many that stay, and which
// to put in.
func (c *Codec) nearest(shape []item) (base int, gone []int, come []insertion) {
	t := published()
	best := math.MaxInt
	try := func(n int, from []item) {
		g, in := differ(from, shape)
		if cost := len(g) + 3*len(in); cost < best {
			best, base, gone, come = cost, n, g, in
		}
	}
	for i := range t.shapes {
		try(i, t.shapes[i])
	}
	for i := max(0, len(c.frame.shapes)-lately); i < len(c.frame.shapes); i++ {
		try(len(t.shapes)+i, c.frame.shapes[i])
	}
	return base, gone, come
}

func differ(from, to []item) (gone []int, come []insertion) {
	stay, since := 0, 0
	for len(from) > 0 || len(to) > 0 {
		switch {
		case len(from) > 0 && len(to) > 0 && from[0] == to[0]:
			from, to = from[1:], to[1:]
			stay++
			since++
		case len(from) > 0 && (len(to) == 0 || slices.Contains(from, to[0]) || !slices.Contains(to, from[0])):
			from = from[1:]
			gone = append(gone, stay)
			stay = 0
		default:
			come = append(come, insertion{since, to[0]})
			to = to[1:]
			since = 0
		}
	}
	return gone, come
}
