package metacodec_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tutti"
	"tutti/metacodec"
)

func model(t testing.TB) *metacodec.Model {
	t.Helper()
	m, err := metacodec.Default()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// value is a value of any type under any field.
type value struct {
	Type  int
	Field metacodec.Field
	N     uint64
	I     int64
	B     bool
	T     time.Time
	ID    [16]byte
	S     string
}

const types = 7

func write(e *metacodec.Encoder, v value) {
	switch v.Type {
	case 0:
		e.Uint(v.Field, v.N)
	case 1:
		e.Int(v.Field, v.I)
	case 2:
		e.Bool(v.Field, v.B)
	case 3:
		e.Time(v.Field, v.T)
	case 4:
		e.ID(v.Field, v.ID)
	case 5:
		e.Bytes(v.Field, []byte(v.S))
	case 6:
		e.Text(v.Field, v.S)
	}
}

// read reads a value of the type and field of v.
func read(d *metacodec.Decoder, v value) value {
	got := value{Type: v.Type, Field: v.Field}
	switch v.Type {
	case 0:
		got.N = d.Uint(v.Field)
	case 1:
		got.I = d.Int(v.Field)
	case 2:
		got.B = d.Bool(v.Field)
	case 3:
		got.T = d.Time(v.Field)
	case 4:
		got.ID = d.ID(v.Field)
	case 5:
		got.S = string(d.Bytes(v.Field))
	case 6:
		got.S = d.String(v.Field)
	}
	return got
}

func anyValue(t *rapid.T) value {
	v := value{Type: rapid.IntRange(0, types-1).Draw(t, "type"), Field: metacodec.Field(rapid.IntRange(0, 50).Draw(t, "field"))}
	switch v.Type {
	case 0:
		v.N = rapid.OneOf(rapid.Uint64Range(0, 20), rapid.Uint64()).Draw(t, "n")
	case 1:
		v.I = rapid.Int64().Draw(t, "i")
	case 2:
		v.B = rapid.Bool().Draw(t, "b")
	case 3:
		v.T = rapid.OneOf(rapid.Just(time.Time{}), rapid.Custom(func(t *rapid.T) time.Time {
			return time.Unix(rapid.Int64Range(-1e11, 1e11).Draw(t, "s"), rapid.SampledFrom([]int64{0, 5_000_000, 5_000, 5}).Draw(t, "ns")).UTC()
		})).Draw(t, "t")
	case 4:
		copy(v.ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	default:
		v.S = rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "Beethoven, Ludwig van", "Symphony No. 5", "Live", "\x00", "\xff\xfe"}),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "s")
	}
	return v
}

func TestRoundTrip(t *testing.T) {
	m := model(t)
	for name, m := range map[string]*metacodec.Model{"with a model": m, "without": nil} {
		t.Run(name, func(t *testing.T) {
			e, d := metacodec.NewEncoder(m), metacodec.NewDecoder(metacodec.NewModels(m))
			rapid.Check(t, func(t *rapid.T) {
				records := rapid.SliceOfN(rapid.SliceOfN(rapid.Custom(anyValue), 0, 8), 0, 12).Draw(t, "records")
				for i, r := range records {
					e.Begin(metacodec.Kind(i % 3))
					for _, v := range r {
						write(e, v)
					}
					e.End()
				}
				plain := e.Plain()
				frame, err := e.AppendFrame([]byte("before"))
				if err != nil {
					t.Fatal(err)
				}
				frame, _ = bytes.CutPrefix(frame, []byte("before"))
				if len(frame) > plain+4 {
					t.Fatalf("a frame of %d bytes for %d", len(frame), plain)
				}
				if err := d.Reset(frame); err != nil {
					t.Fatal(err)
				}
				i := 0
				for ; d.Next(); i++ {
					if d.Kind() != metacodec.Kind(i%3) {
						t.Fatalf("record %d has kind %d", i, d.Kind())
					}
					for _, v := range records[i] {
						if got := read(d, v); !cmp.Equal(got, v) && d.Err() == nil {
							t.Fatal(cmp.Diff(v, got))
						}
					}
				}
				if d.Err() != nil || i != len(records) {
					t.Fatal(i, d.Err())
				}
			})
		})
	}
}

func song(e *metacodec.Encoder) {
	e.Begin(0)
	e.Text(metacodec.Genre, "Classical")
	e.Text(metacodec.AlbumArtist, "Berliner Philharmoniker")
	e.Text(metacodec.Artist, "Berliner Philharmoniker")
	e.Text(metacodec.Album, "Symphony No. 7 in A major, Op. 92")
	e.Uint(metacodec.TrackNumber, 2)
	e.Text(metacodec.Title, "II. Allegretto")
	e.End()
}

func TestDamageIsFound(t *testing.T) {
	m := model(t)
	e, d := metacodec.NewEncoder(m), metacodec.NewDecoder(metacodec.NewModels(m))
	for range 20 {
		song(e)
	}
	frame, err := e.AppendFrame(nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range frame {
		for bit := range 8 {
			bad := bytes.Clone(frame)
			bad[i] ^= 1 << bit
			if err := d.Reset(bad); err == nil {
				t.Fatalf("bit %d of byte %d was turned over and nobody said so", bit, i)
			}
		}
	}
}

func TestModelMissing(t *testing.T) {
	m := model(t)
	e := metacodec.NewEncoder(m)
	song(e)
	frame, err := e.AppendFrame(nil)
	if err != nil {
		t.Fatal(err)
	}
	models := new(metacodec.Models)
	d := metacodec.NewDecoder(models)
	err = d.Reset(frame)
	var missing *metacodec.UnknownModelError
	if !errors.As(err, &missing) || missing.Tag != m.ID().Tag() || tutti.KindOf(err) != tutti.KindUnavailable {
		t.Fatal(err)
	}
	if tag, ok := metacodec.FrameModel(frame); !ok || tag != m.ID().Tag() {
		t.Fatal(tag, ok)
	}
	models.Add(m)
	if err := d.Reset(frame); err != nil {
		t.Fatal(err)
	}
}

func TestOrderOfCalls(t *testing.T) {
	for name, do := range map[string]func(e *metacodec.Encoder){
		"outside":  func(e *metacodec.Encoder) { e.Uint(metacodec.Number, 1) },
		"open":     func(e *metacodec.Encoder) { e.Begin(0) },
		"nested":   func(e *metacodec.Encoder) { e.Begin(0); e.Begin(0); e.End() },
		"closed":   func(e *metacodec.Encoder) { e.End() },
		"kind":     func(e *metacodec.Encoder) { e.Begin(32); e.End() },
		"field":    func(e *metacodec.Encoder) { e.Begin(0); e.Uint(64, 1); e.End() },
		"too long": func(e *metacodec.Encoder) { e.Begin(0); e.Text(0, string(make([]byte, metacodec.MaxText+1))); e.End() },
	} {
		e := metacodec.NewEncoder(nil)
		do(e)
		if b, err := e.AppendFrame(nil); err == nil || len(b) > 0 {
			t.Errorf("%s: %x, %v", name, b, err)
		}
		song(e) // and then it is as new
		if _, err := e.AppendFrame(nil); err != nil {
			t.Errorf("%s: afterwards: %v", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	m := model(f)
	e := metacodec.NewEncoder(m)
	for n := range 4 {
		for range n {
			song(e)
		}
		frame, err := e.AppendFrame(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame, uint64(n))
	}
	models := metacodec.NewModels(m)
	f.Fuzz(func(t *testing.T, body []byte, seed uint64) {
		d := metacodec.NewDecoder(models)
		// a frame as it came, and one that is right but for what is in it
		for _, frame := range [][]byte{body, metacodec.Seal(body, m)} {
			if d.Reset(frame) != nil {
				continue
			}
			r := rand.New(rand.NewPCG(seed, 3))
			for d.Next() {
				for range r.IntN(8) {
					read(d, value{Type: r.IntN(types), Field: metacodec.Field(r.IntN(50))})
				}
			}
			if d.Next() || d.Err() != nil && d.Uint(0) != 0 {
				t.Fatal("something was read after the end")
			}
		}
	})
}

func TestBits(t *testing.T) {
	m := model(t)
	usual, odd := m.Bits(metacodec.Title, "Symphony No. 5"), m.Bits(metacodec.Title, "Sypmhyno oN. 5")
	if usual >= odd || usual <= 0 || math.IsInf(odd, 0) {
		t.Errorf("%.1f bits against %.1f", usual, odd)
	}
	got := m.Complete(metacodec.Title, "Symphony N", 5)
	if len(got) == 0 || !bytes.HasPrefix([]byte(got[0].Text), []byte("Symphony No")) {
		t.Errorf("completions: %v", got)
	}
	for i, c := range got {
		if i > 0 && c.Bits < got[i-1].Bits {
			t.Errorf("completions out of order: %v", got)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	e := metacodec.NewEncoder(model(b))
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		song(e)
		buf, _ = e.AppendFrame(buf[:0])
	}
}

func BenchmarkDecode(b *testing.B) {
	m := model(b)
	e, d := metacodec.NewEncoder(m), metacodec.NewDecoder(metacodec.NewModels(m))
	song(e)
	frame, _ := e.AppendFrame(nil)
	b.ReportAllocs()
	for b.Loop() {
		_ = d.Reset(frame)
		for d.Next() {
			d.Text(metacodec.Genre)
			d.Text(metacodec.AlbumArtist)
			d.Text(metacodec.Artist)
			d.Text(metacodec.Album)
			d.Uint(metacodec.TrackNumber)
			d.Text(metacodec.Title)
		}
	}
}
