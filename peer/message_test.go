package peer

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"pgregory.net/rapid"

	"tutti"
	"tutti/catalog/catalogtest"
	"tutti/metacodec"
	"tutti/metacodec/metacodectest"
	"tutti/peer/wire"
)

func noModel(int) *metacodec.Model { return nil }

// tracksOf returns the messages of some synthetic tracks.
func tracksOf(n int) []*wire.Track {
	var list []*wire.Track
	for e := range catalogtest.Synthetic(n) {
		list = append(list, toTrack(&e.Track))
	}
	return list
}

func TestMessages(t *testing.T) {
	tracks := tracksOf(200)
	for name, m := range map[string]struct {
		path string
		m    proto.Message
	}{
		"track": {wire.CatalogTrackProcedure, tracks[3]},
		"list":  {wire.CatalogTracksProcedure, &wire.TrackList{Tracks: tracks[:50], Total: 3}},
		"spread": {wire.CatalogTracksProcedure, &wire.TrackList{Tracks: func() (l []*wire.Track) {
			for i := 0; i < 200; i += 7 {
				l = append(l, tracks[i])
			}
			return l
		}()}},
		"nothing": {wire.CatalogScanStatusProcedure, &wire.ScanStatus{}},
		"plan":    {wire.CatalogPlanProcedure, &wire.Plan{Track: tracks[3], Ref: &wire.Ref{Library: "1", Path: tracks[3].GetPath(), Version: tracks[3].GetVersion()}, Size: 4}},
	} {
		raw, err := proto.Marshal(m.m)
		if err != nil {
			t.Fatal(err)
		}
		of := exchanges()[m.path].answer
		small, ok := appendSmall(nil, of, raw, noModel)
		if !ok {
			t.Fatalf("%s: cannot be written small", name)
		}
		again, err := appendMessage(nil, of, small, metacodec.NewModels())
		if err != nil || !bytes.Equal(again, raw) {
			t.Errorf("%s: %v\n%x\n%x", name, err, again, raw)
		}
		t.Logf("%s: %d → %d", name, len(raw), len(small))
	}
}

// anyMessage fills a message with values of all sorts: such as tags hold, and such as nothing holds.
func anyMessage(t *rapid.T, m protoreflect.Message, depth int) {
	texts := rapid.OneOf(
		rapid.String(), rapid.StringMatching(`[0-9a-f]{16,40}`),
		rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`),
		rapid.Custom(func(t *rapid.T) string {
			return string(tutti.NewID(rapid.SampledFrom([]string{tutti.PrefixTrack, tutti.PrefixAlbum, tutti.PrefixArtist}).Draw(t, "prefix"), rapid.Uint64().Draw(t, "id")))
		}),
		rapid.SampledFrom([]string{"", "Nina Simone", "Sinnerman", "Nina Simone/Pastel Blues/10 - Sinnerman.flac", "\x01\x02", "10", "audio/flac", "tr-", "tr-0000000000000", "AR-000000000000g"}),
	)
	value := func(f protoreflect.FieldDescriptor) protoreflect.Value {
		switch f.Kind() {
		case protoreflect.BoolKind:
			return protoreflect.ValueOfBool(rapid.Bool().Draw(t, "bool"))
		case protoreflect.EnumKind:
			return protoreflect.ValueOfEnum(protoreflect.EnumNumber(rapid.Int32().Draw(t, "enum")))
		case protoreflect.Int32Kind, protoreflect.Sint32Kind:
			return protoreflect.ValueOfInt32(rapid.Int32().Draw(t, "int32"))
		case protoreflect.Int64Kind, protoreflect.Sint64Kind:
			return protoreflect.ValueOfInt64(rapid.Int64().Draw(t, "int64"))
		case protoreflect.Uint32Kind:
			return protoreflect.ValueOfUint32(rapid.Uint32().Draw(t, "uint32"))
		case protoreflect.Uint64Kind:
			return protoreflect.ValueOfUint64(rapid.Uint64().Draw(t, "uint64"))
		case protoreflect.DoubleKind:
			return protoreflect.ValueOfFloat64(rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0.5, -8.25, 0.988, math.Copysign(0, -1)})).Draw(t, "double"))
		case protoreflect.StringKind:
			return protoreflect.ValueOfString(texts.Draw(t, "text"))
		case protoreflect.BytesKind:
			return protoreflect.ValueOfBytes(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		}
		t.Fatalf("%s is of a kind that is not written small: %s", f.FullName(), f.Kind())
		return protoreflect.Value{}
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !rapid.Bool().Draw(t, "has") {
			continue
		}
		isMessage := f.Kind() == protoreflect.MessageKind
		switch {
		case f.IsMap():
			list := m.Mutable(f).Map()
			for range rapid.IntRange(0, 3).Draw(t, "entries") {
				v := list.NewValue()
				if f.MapValue().Kind() == protoreflect.MessageKind {
					anyMessage(t, v.Message(), depth-1)
				} else {
					v = value(f.MapValue())
				}
				list.Set(value(f.MapKey()).MapKey(), v)
			}
		case f.IsList():
			list := m.Mutable(f).List()
			for range rapid.IntRange(0, 3).Draw(t, "values") {
				switch {
				case !isMessage:
					list.Append(value(f))
				case depth > 0:
					anyMessage(t, list.AppendMutable().Message(), depth-1)
				}
			}
		case isMessage:
			if depth > 0 {
				anyMessage(t, m.Mutable(f).Message(), depth-1)
			}
		default:
			m.Set(f, value(f))
		}
	}
}

// TestAnyMessage: every message of every method comes back to the byte, with a model and without.
func TestAnyMessage(t *testing.T) {
	model := metacodectest.Model(t, "one")
	models := metacodec.NewModels(model)
	paths := slices.Sorted(maps.Keys(exchanges()))
	rapid.Check(t, func(t *rapid.T) {
		path := rapid.SampledFrom(paths).Draw(t, "path")
		service, method, _ := strings.Cut(path[1:], "/")
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service + "." + method))
		if err != nil {
			t.Fatal(err)
		}
		x := exchanges()[path]
		for name, of := range map[protoreflect.FullName]*shape{
			d.(protoreflect.MethodDescriptor).Input().FullName():  x.request,
			d.(protoreflect.MethodDescriptor).Output().FullName(): x.answer,
		} {
			typ, err := protoregistry.GlobalTypes.FindMessageByName(name)
			if err != nil {
				t.Fatal(err)
			}
			m := typ.New()
			anyMessage(t, m, 3)
			raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(m.Interface())
			if err != nil {
				t.Skip("a text is not UTF-8")
			}
			for _, with := range []*metacodec.Model{nil, model} {
				small, ok := appendSmall(nil, of, raw, func(int) *metacodec.Model { return with })
				if !ok {
					t.Fatalf("%s cannot be written small: %x", name, raw)
				}
				again, err := appendMessage(nil, of, small, models)
				if err != nil || !bytes.Equal(again, raw) {
					t.Fatalf("%s: %v\n%x\n%x", name, err, again, raw)
				}
			}
		}
	})
}

// TestLaterFieldsTravelAsTheyAre: a message with a field that this version does not know is not written small.
func TestLaterFieldsTravelAsTheyAre(t *testing.T) {
	raw, err := proto.Marshal(tracksOf(1)[0])
	if err != nil {
		t.Fatal(err)
	}
	raw = append(binary.AppendUvarint(raw, 60<<3|wireBytes), 1, 'x')
	if _, ok := appendSmall(nil, exchanges()[wire.CatalogTrackProcedure].answer, raw, noModel); ok {
		t.Error("a field that is not known was written small")
	}
}

// FuzzSmall: whatever a small message holds, reading it ends, with a message of bounded length or with an error.
func FuzzSmall(f *testing.F) {
	paths := slices.Sorted(maps.Keys(exchanges()))
	for i, path := range paths {
		if raw, err := proto.Marshal(&wire.TrackList{Tracks: tracksOf(3)}); err == nil && path == wire.CatalogTracksProcedure {
			s := newScribe()
			s.write(exchanges()[path].answer, raw)
			f.Add(uint8(i), s.head, s.hashes, "Sinnerman")
		}
	}
	f.Add(uint8(0), []byte{1, 255, 255, 255, 255, 255, 255, 255, 255, 1}, []byte("hashes"), "")
	f.Fuzz(func(t *testing.T, which uint8, head, hashes []byte, text string) {
		of := exchanges()[paths[int(which)%len(paths)]].answer
		enc := metacodec.NewEncoder(nil)
		enc.Begin(0)
		enc.Bytes(metacodec.Number, head)
		enc.Bytes(metacodec.Identifier, hashes)
		for range 4 {
			enc.Text(metacodec.Other, text)
		}
		enc.End()
		frame, err := enc.AppendFrame(nil)
		if err != nil {
			t.Skip()
		}
		if out, err := appendMessage(nil, of, frame, nil); err == nil && len(out) > 2*maxSmall {
			t.Errorf("%d bytes", len(out))
		}
	})
}

// used is how much CPU this process has used.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it cannot fail for the process itself
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMessage writes and reads messages as Protocol Buffers, small, and small through the model of the program. It
// reports CPU, which other programs on the machine do not change.
func BenchmarkMessage(b *testing.B) {
	def, err := metacodec.Default()
	if err != nil {
		b.Fatal(err)
	}
	models := metacodec.NewModels(def)
	tracks := tracksOf(50)
	of := exchanges()[wire.CatalogTracksProcedure].answer
	for _, n := range []int{1, 50} {
		m := &wire.TrackList{Tracks: tracks[:n]}
		raw, err := proto.Marshal(m)
		if err != nil {
			b.Fatal(err)
		}
		run := func(name string, size int, do func() error) {
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				begun := used()
				for b.Loop() {
					if err := do(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64((used()-begun).Nanoseconds())/1e3/float64(b.N), "cpu-us/op")
				b.ReportMetric(float64(size), "B")
			})
		}
		name := map[int]string{1: "track", 50: "list of 50"}[n]
		run(name+"/protobuf write", len(raw), func() error { _, err := proto.Marshal(m); return err })
		run(name+"/protobuf read", len(raw), func() error { return proto.Unmarshal(raw, new(wire.TrackList)) })
		for _, with := range []*metacodec.Model{nil, def} {
			form := "small"
			if with != nil {
				form = "model"
			}
			choose := func(int) *metacodec.Model { return with }
			small, _ := appendSmall(nil, of, raw, choose)
			var out []byte
			run(name+"/"+form+" write", len(small), func() error { out, _ = appendSmall(out[:0], of, raw, choose); return nil })
			run(name+"/"+form+" read", len(small), func() (err error) { out, err = appendMessage(out[:0], of, small, models); return err })
		}
	}
}
