package metacodec_test

import (
	"bytes"
	"os"
	"runtime"
	"testing"
	"weak"

	"tutti/metacodec"
)

func fileOf(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("models/" + name + ".tmm")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestModelsKeepTheirLimits holds the models that come with the program to the room that they may take in it and in memory.
func TestModelsKeepTheirLimits(t *testing.T) {
	for name, c := range map[string]struct {
		get          func() (*metacodec.Model, error)
		file, memory int
	}{
		"default": {metacodec.Default, 10_000_000, 40_000_000},
		"small":   {metacodec.Small, 2_000_000, 10_000_000},
	} {
		m, err := c.get()
		if err != nil {
			t.Fatal(err)
		}
		file := fileOf(t, name)
		if len(file) > c.file || m.Memory() > c.memory {
			t.Errorf("%s: %d bytes in the program, %d in memory", name, len(file), m.Memory())
		}
		again, err := metacodec.Load(bytes.NewReader(file))
		if err != nil || again.ID() != m.ID() {
			t.Errorf("%s: its file makes another model: %v", name, err)
		}
	}
	a, _ := metacodec.Default()
	b, _ := metacodec.Small()
	if a.ID().Tag() == b.ID().Tag() {
		t.Error("frames of one model may be taken for the other's")
	}
}

// TestModelIsDroppedWithItsLastHolder: a model is shared while somebody holds it, and takes no memory after that.
func TestModelIsDroppedWithItsLastHolder(t *testing.T) {
	get := metacodec.LendSmall()
	a, err := get()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := get(); err != nil || a != b {
		t.Errorf("it was unpacked twice: %v", err)
	}
	held, id := weak.Make(a), a.ID()
	runtime.GC()
	if held.Value() == nil {
		t.Error("it is gone while it is held")
	}
	runtime.KeepAlive(a)
	a = nil //nolint:ineffassign,wastedassign // or the test itself would hold it
	runtime.GC()
	if held.Value() != nil {
		t.Error("nobody holds it, and it is there")
	}
	if c, err := get(); err != nil || c.ID() != id {
		t.Errorf("it does not come back: %v", err)
	}
}

// TestNothingIsAllocated holds the way of a record into a frame and out of it to memory that is used again.
func TestNothingIsAllocated(t *testing.T) {
	m := model(t)
	e, d := metacodec.NewEncoder(m), metacodec.NewDecoder(metacodec.NewModels(m))
	var frame []byte
	there := func() {
		song(e)
		var err error
		if frame, err = e.AppendFrame(frame[:0]); err != nil {
			t.Fatal(err)
		}
	}
	back := func() {
		if err := d.Reset(frame); err != nil {
			t.Fatal(err)
		}
		for d.Next() {
			for _, f := range []metacodec.Field{metacodec.Genre, metacodec.AlbumArtist, metacodec.Artist, metacodec.Album} {
				d.Text(f)
			}
			d.Uint(metacodec.TrackNumber)
			d.Text(metacodec.Title)
		}
		if d.Err() != nil {
			t.Fatal(d.Err())
		}
	}
	there()
	back()
	if raceDetector {
		return // which has pools lose a part of what is put back, so that races show
	}
	// the pool may lose a coder to the garbage collector, once in a while
	if n := testing.AllocsPerRun(200, func() { there(); back() }); n >= 1 {
		t.Errorf("%.0f allocations a record", n)
	}
}

func TestLoadRefuses(t *testing.T) {
	m, err := metacodec.Small()
	if err != nil {
		t.Fatal(err)
	}
	file := fileOf(t, "small")
	later := bytes.Clone(file)
	later[7]++
	damaged := bytes.Clone(file)
	damaged[len(damaged)/2] ^= 0x55
	for name, b := range map[string][]byte{
		"nothing": nil, "something else": []byte("PK\x03\x04 and so on and so forth"), "half": file[:len(file)/2], "a later version": later, "damaged": damaged,
	} {
		if got, err := metacodec.Load(bytes.NewReader(b)); err == nil && got.ID() == m.ID() {
			t.Errorf("%s was taken for the model", name)
		} else if err == nil && name != "damaged" {
			t.Errorf("%s was taken for a model", name)
		}
	}
}

// FuzzLoad demands that files made to deceive end in an error or in a model that can be used, within limits.
func FuzzLoad(f *testing.F) {
	f.Add(fileOf(f, "small")[:4096])
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := metacodec.Load(bytes.NewReader(b))
		if err != nil {
			return
		}
		e := metacodec.NewEncoder(got)
		song(e)
		if _, err := e.AppendFrame(nil); err != nil {
			t.Fatal(err)
		}
	})
}
